/* record.c - records as text.  Pure; fuzzed by tests/fuzz/fuzz_record.c. */
#include "record.h"

#include "../base/text.h"

#include <inttypes.h>
#include <rekey/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX (RK_RECORD_MAX - 1 - RK_CONFIRM_HEX) /* the tag and its bar come behind it */
#define FIELDS 10

static const char say_letters[] = "IOTNAWL";
static const char *const say_names[] = {"idle", "offer", "staged", "nack", "active", "withdrawn", "lost"};
_Static_assert(sizeof say_letters - 1 == RK_SAY_LOST + 1, "a letter for each");
_Static_assert(sizeof say_names / sizeof *say_names == RK_SAY_LOST + 1, "a name for each");

const char *
rk_say_name(uint32_t say)
{
    return say <= RK_SAY_LOST ? say_names[say] : "?";
}

int
rk_record_order(const struct rk_record *a, const struct rk_record *b)
{
    if (a->term != b->term)
        return a->term < b->term ? -1 : 1;
    if (a->seq != b->seq)
        return a->seq < b->seq ? -1 : 1;
    return (a->say > b->say) - (a->say < b->say);
}

bool
rk_record_put(const struct rk_record *r, char *text)
{
    int n;

    if (r->term > RK_SEQ_MAX || r->seq > RK_SEQ_MAX)
        return false;
    n = snprintf(text, TEXT_MAX + 1, "rk1|%s|%c|%" PRIu64 "|%" PRIu64 "|%c|%s|%s|%s|%s", r->link,
                 r->role == RK_MASTER ? 'M' : 'S', r->term, r->seq, say_letters[r->say], r->key, r->prev, r->facts,
                 r->confirm);
    return n > 0 && n <= TEXT_MAX;
}

static size_t
digits(uint64_t number)
{
    size_t n = 1;

    for (; number > 9; number /= 10)
        n++;
    return n;
}

bool
rk_record_fits(const struct rk_record *r)
{
    size_t n = strlen("rk1||M|||I||||") + strlen(r->link) + digits(r->term) + digits(r->seq) + strlen(r->key) +
               strlen(r->prev) + strlen(r->facts) + strlen(r->confirm);

    return r->term <= RK_SEQ_MAX && r->seq <= RK_SEQ_MAX && n <= TEXT_MAX;
}

static bool
get_number(const char *s, uint64_t *v)
{
    char *end;

    if (*s < '0' || *s > '9' || strlen(s) > 18 || (*s == '0' && s[1]))
        return false;
    *v = strtoull(s, &end, 10);
    return *end == '\0';
}

static bool
get_letter(const char *s, const char *letters, uint32_t *index)
{
    const char *at = *s && !s[1] ? strchr(letters, *s) : NULL;

    if (!at)
        return false;
    *index = (uint32_t)(at - letters);
    return true;
}

static bool
only(const char *s, const char *allowed)
{
    return s[strspn(s, allowed)] == '\0';
}

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static bool
get_key_id(const char *s, char *id)
{
    return (*s == '\0' || rk_key_id_ok(s)) && rk_copy(id, RK_KEY_ID_MAX + 1, s);
}

static bool
get_all(char *const field[FIELDS], struct rk_record *r)
{
    uint32_t role;

    if (strcmp(field[0], "rk1") != 0 || !rk_name_ok(field[1], RK_LINK_MAX) ||
        !rk_copy(r->link, sizeof r->link, field[1]) || !get_letter(field[2], "MS", &role) ||
        !get_number(field[3], &r->term) || !get_number(field[4], &r->seq) ||
        !get_letter(field[5], say_letters, &r->say))
        return false;
    r->role = role == 0 ? RK_MASTER : RK_SLAVE;
    return get_key_id(field[6], r->key) && get_key_id(field[7], r->prev) && only(field[8], LETTERS ":=,.-") &&
           rk_copy(r->facts, sizeof r->facts, field[8]) && only(field[9], LETTERS ".-") &&
           rk_copy(r->confirm, sizeof r->confirm, field[9]);
}

int
rk_record_get(const char *text, struct rk_record *r)
{
    char copy[TEXT_MAX + 1], *field[FIELDS], *p = copy;
    int n = 0;

    memset(r, 0, sizeof *r);
    if (!rk_copy(copy, sizeof copy, text))
        return RK_E_PROTOCOL;
    while (p && n < FIELDS)
        field[n++] = strsep(&p, "|");
    if (p || n != FIELDS || !get_all(field, r)) {
        memset(r, 0, sizeof *r);
        return RK_E_PROTOCOL;
    }
    return RK_OK;
}
