/* status.c - the status of a KME, by a table of its members.
 *
 * Pure; runs on the host's worker threads.  Real servers leave members out, or put texts where numbers must be: that is
 * no reason to refuse a status, and what they tell is then not known.
 */
#include "status.h"

#include "jtext.h"

#include <rekey/err.h>

#include <stdbool.h>
#include <string.h>

#define COUNT(member) offsetof(struct status, member), true
#define NAME(member) offsetof(struct status, member), false

static const struct member {
    const char *name;
    size_t at;
    bool is_count;
} members[] = {
    {"key_size", COUNT(key_bits)},         {"min_key_size", COUNT(min_bits)},
    {"max_key_size", COUNT(max_bits)},     {"stored_key_count", COUNT(stored)},
    {"max_key_count", COUNT(capacity)},    {"max_key_per_request", COUNT(max_per_request)},
    {"max_SAE_ID_count", COUNT(max_saes)}, {"source_KME_ID", NAME(source_kme)},
    {"target_KME_ID", NAME(target_kme)},   {"master_SAE_ID", NAME(master_sae)},
    {"slave_SAE_ID", NAME(slave_sae)},
};

#define N_MEMBERS (sizeof members / sizeof members[0])

struct reading {
    struct status *st;
    bool seen[N_MEMBERS];
};

static void
clear(struct status *st)
{
    memset(st, 0, sizeof *st);
    for (size_t i = 0; i < N_MEMBERS; i++)
        if (members[i].is_count)
            *(int64_t *)(void *)((char *)st + members[i].at) = -1;
}

static bool
read_name(struct jtext_reader *r, char out[STATUS_NAME_MAX + 1])
{
    struct jtext t, none = {NULL, 0};
    size_t n = 0;

    if (jtext_peek(r) != '"')
        return jtext_skip(r, none, NULL);
    if (!jtext_string(r, &t))
        return false;
    for (; n < t.len && n < STATUS_NAME_MAX; n++)
        out[n] = t.at[n] > ' ' && t.at[n] <= '~' && t.at[n] != '"' ? t.at[n] : '?';
    out[n] = '\0';
    return true;
}

static bool
read_member(struct jtext_reader *r, struct jtext name, void *arg)
{
    struct reading *to = arg;

    for (size_t i = 0; i < N_MEMBERS; i++) {
        void *at = (char *)to->st + members[i].at;

        if (!jtext_is(name, members[i].name))
            continue;
        if (to->seen[i])
            return jtext_refuse(r, "a member comes twice");
        to->seen[i] = true;
        return members[i].is_count ? jtext_count(r, at) : read_name(r, at);
    }
    return jtext_skip(r, name, NULL);
}

int
status_read(char *body, size_t len, struct status *st, const char **why)
{
    struct jtext_reader r = {.at = body, .end = body + len};
    struct reading to = {.st = st};
    int err;

    clear(st);
    err = jtext_document(&r, read_member, &to);
    if (err)
        clear(st);
    *why = r.why;
    return err;
}
