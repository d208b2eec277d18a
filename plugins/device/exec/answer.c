/* answer.c - what a program said: parsed as the words of a stranger, which a bug or worse may have written. */
#include "exec.h"

#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES 512
#define COUNT_MAX 1000000

/* ---- codes ---- */

static const struct code {
    const char *name;
    int err;
} codes[] = {
    {"ok", RK_OK}, {"unreachable", RK_E_UNREACHABLE}, {"busy", RK_E_BUSY}, {"timeout", RK_E_TIMEOUT}, {"io", RK_E_IO},
    {"again", RK_E_AGAIN}, {"unknown", RK_E_UNKNOWN}, {"config", RK_E_CONFIG}, {"auth", RK_E_AUTH},
    {"rejected", RK_E_REJECTED}, {"unsupported", RK_E_UNSUPPORTED}, {"noent", RK_E_NOENT}, {"unsafe", RK_E_UNSAFE},
    {"conflict", RK_E_CONFLICT}, {"protocol", RK_E_PROTOCOL}, {"nokey", RK_E_NOKEY},
};

static bool
code_of(const char *name, int *err)
{
    for (size_t i = 0; name && i < sizeof codes / sizeof *codes; i++)
        if (strcmp(codes[i].name, name) == 0) {
            *err = codes[i].err;
            return true;
        }
    return false;
}

/* ---- lines ---- */

/* The next word of *at, which moves behind it; NULL: there is none. */
static char *
next(char **at)
{
    char *word = strsep(at, " ");

    return word && word[0] ? word : NULL;
}

/* A whole number of at most max. */
static bool
number_of(const char *word, size_t max, size_t *number)
{
    size_t value = 0;

    if (!word || strlen(word) > 7 || strspn(word, "0123456789") != strlen(word))
        return false;
    for (const char *p = word; *p; p++)
        value = value * 10 + (size_t)(*p - '0');
    *number = value;
    return value <= max;
}

/* The rest of a line as a reason: printable, or it is made so. */
static void
copy_text(char *out, size_t size, const char *text)
{
    size_t n = 0;

    for (; text && *text && n + 1 < size; text++)
        out[n++] = *text < ' ' || *text > '~' ? '?' : *text;
    out[n] = '\0';
}

typedef bool line_fn(void *arg, char *kind, char *rest);

/* Each line, the last of which is "end".   ret: RK_OK, RK_E_PROTOCOL with why */
static int
each_line(char *text, line_fn *fn, void *arg, struct rkp_why *why)
{
    bool ended = false;
    char *line;

    for (unsigned n = 1; (line = strsep(&text, "\n")) != NULL && (text || line[0]); n++) {
        char *rest = line, *kind;
        bool fits = text && !ended && strlen(line) <= LINE_MAX_BYTES;

        kind = next(&rest);
        ended = kind && strcmp(kind, "end") == 0 && !rest;
        if (!fits || !kind || (!ended && !fn(arg, kind, rest))) {
            snprintf(why->text, sizeof why->text, "line %u of its answer is not one of the protocol", n);
            return RK_E_PROTOCOL;
        }
    }
    if (!ended)
        snprintf(why->text, sizeof why->text, "its answer has no \"end\"");
    return ended ? RK_OK : RK_E_PROTOCOL;
}

/* ---- apply ---- */

struct results {
    struct rk_dev_op *ops;
    size_t n;
};

/* "op NUMBER CODE [TEXT]", each once */
static bool
result_line(void *arg, char *kind, char *rest)
{
    struct results *r = arg;
    size_t number;
    int err;

    if (strcmp(kind, "op") != 0 || !number_of(next(&rest), r->n, &number) || number == 0 ||
        !code_of(next(&rest), &err) || r->ops[number - 1].err != RK_E_CONTRACT)
        return false;
    r->ops[number - 1].err = err;
    copy_text(r->ops[number - 1].why, RK_WHY_MAX, err ? rest : NULL);
    if (err && !r->ops[number - 1].why[0])
        snprintf(r->ops[number - 1].why, RK_WHY_MAX, "the program gives no reason");
    return true;
}

int
exec_answer_apply(char *text, struct rk_dev_op *ops, size_t n, struct rkp_why *why)
{
    struct results r = {ops, n};
    int err = each_line(text, result_line, &r, why);

    for (size_t i = 0; !err && i < n; i++)
        if (ops[i].err == RK_E_CONTRACT) {
            ops[i].err = RK_E_UNKNOWN;
            snprintf(ops[i].why, sizeof ops[i].why, "the program says nothing of it");
        }
    return err;
}

/* ---- observe ---- */

struct looks {
    struct rk_dev_seen *seen;
    size_t n;
    uint32_t device_class;
};

struct flag {
    const char *name;
    uint32_t bit;
};

static const struct flag state_flags[] = {{"present", RK_IF_PRESENT}, {"up", RK_IF_UP}, {"protected", RK_IF_PROTECTED},
                                          {"rekey", RK_IF_REKEY}, {"other", RK_IF_OTHER}, {NULL, 0}};
static const struct flag held_flags[] = {{"rx", RK_HELD_RX}, {"tx", RK_HELD_TX}, {"sending", RK_SENDING},
                                         {"peer", RK_PEER_USES}, {NULL, 0}};

static bool
flags_of(const struct flag *flags, char *rest, uint32_t *bits)
{
    while (rest) {
        const char *word = next(&rest);
        const struct flag *f = flags;

        while (word && f->name && strcmp(f->name, word) != 0)
            f++;
        if (!word || !f->name)
            return false;
        *bits |= f->bit;
    }
    return true;
}

/* "key NUMBER KEY-ID [rx] [tx] [sending] [peer]" of a key that was asked for */
static bool
key_line(struct rk_dev_seen *seen, char *rest)
{
    const char *id = next(&rest);
    uint32_t bits = 0;

    if (!id || !flags_of(held_flags, rest, &bits))
        return false;
    for (size_t i = 0; i < RK_SEEN_KEYS; i++)
        if (seen->key_ids[i] && strcmp(seen->key_ids[i], id) == 0) {
            seen->held[i] = bits;
            return true;
        }
    return false;
}

/* "facts NUMBER TEXT" */
static bool
facts_line(struct rk_dev_seen *seen, const char *facts)
{
    size_t len = facts ? strlen(facts) : 0;

    if (len == 0 || len > RK_FACTS_MAX ||
        strspn(facts, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:=,.-") != len)
        return false;
    memcpy(seen->facts, facts, len + 1);
    return true;
}

/* "foreign NUMBER COUNT [NAMES]" */
static bool
foreign_line(struct rk_dev_seen *seen, char *rest)
{
    size_t count;

    if (!number_of(next(&rest), COUNT_MAX, &count))
        return false;
    seen->foreign = (uint32_t)count;
    copy_text(seen->why, sizeof seen->why, rest);
    return true;
}

/* "see NUMBER [present] [up] [protected] [rekey] [other]", or "fail NUMBER CODE TEXT", each entry once, and first */
static bool
verdict_line(const struct looks *l, struct rk_dev_seen *seen, bool failed, char *rest)
{
    int err = RK_OK;

    if (seen->err != RK_E_CONTRACT)
        return false;
    if (failed && (!code_of(next(&rest), &err) || err == RK_OK))
        return false;
    if (failed)
        copy_text(seen->why, sizeof seen->why, rest ? rest : "the program gives no reason");
    seen->err = err;
    seen->state = failed ? 0 : RK_IF_CLASS(l->device_class);
    return failed || flags_of(state_flags, rest, &seen->state);
}

static bool
look_line(void *arg, char *kind, char *rest)
{
    const struct looks *l = arg;
    struct rk_dev_seen *seen;
    size_t number;

    if (!number_of(next(&rest), l->n, &number) || number == 0)
        return false;
    seen = &l->seen[number - 1];
    if (strcmp(kind, "see") == 0 || strcmp(kind, "fail") == 0)
        return verdict_line(l, seen, kind[0] == 'f', rest);
    if (seen->err != RK_OK)
        return false;
    if (strcmp(kind, "key") == 0)
        return key_line(seen, rest);
    if (strcmp(kind, "facts") == 0)
        return facts_line(seen, rest);
    return strcmp(kind, "foreign") == 0 && foreign_line(seen, rest);
}

/* Where words are missing that rekeyd cannot do without: of class A the other end must be told an SCI. */
static void
complete(struct rk_dev_seen *seen)
{
    bool silent = seen->err == RK_E_CONTRACT;
    bool a = seen->err == RK_OK && RK_IF_CLASS_OF(seen->state) == RK_CLASS_A;

    if (!silent && !(a && seen->state & RK_IF_PRESENT && !seen->facts[0]))
        return;
    seen->err = RK_E_PROTOCOL;
    snprintf(seen->why, sizeof seen->why, "%s", silent ? "the program says nothing of it"
                                                       : "the program gives no facts, which class a needs");
}

int
exec_answer_observe(char *text, uint32_t device_class, struct rk_dev_seen *seen, size_t n, struct rkp_why *why)
{
    struct looks l = {seen, n, device_class};
    int err;

    for (size_t i = 0; i < n; i++)
        seen[i].err = RK_E_CONTRACT;
    err = each_line(text, look_line, &l, why);
    for (size_t i = 0; !err && i < n; i++)
        complete(&seen[i]);
    return err;
}
