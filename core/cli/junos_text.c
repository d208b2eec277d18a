/* junos_text.c - which form a configuration is in, and the two that are for people: "set" lines, and braces.
 *
 * Runs in rekeyctl, on a file that somebody saved: it may be cut, of another vendor, or no text at all.  Pure.
 */
#include "junos_text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN 40 /* of what was not understood [bytes] */

/* ---- shared ---- */

bool
rk_junos_fail(struct rk_junos_in *in, unsigned line, const char *fmt, ...)
{
    va_list ap;
    int n = snprintf(in->why->text, sizeof in->why->text, "line %u: ", line);

    va_start(ap, fmt);
    vsnprintf(in->why->text + n, sizeof in->why->text - (size_t)n, fmt, ap);
    va_end(ap);
    return false;
}

bool
rk_junos_push(struct rk_junos_in *in, const char *word, size_t len)
{
    struct rk_junos_path *p = &in->path;

    if (p->n == RK_JUNOS_WORDS)
        return true;
    if (len >= sizeof p->text - p->used)
        return rk_junos_fail(in, in->line, "a statement of more than %d bytes", RK_JUNOS_PATH_MAX);
    p->at[p->n++] = p->used;
    memcpy(p->text + p->used, word, len);
    p->used += len;
    p->text[p->used++] = '\0';
    return true;
}

bool
rk_junos_emit(struct rk_junos_in *in, unsigned line, bool off)
{
    struct rk_junos_line l = {.line = line, .off = off, .n = in->path.n};

    for (size_t i = 0; i < l.n; i++)
        l.word[i] = in->path.text + in->path.at[i];
    if (l.n == 0 || in->fn(in->arg, &l))
        return true;
    return rk_junos_fail(in, line, "out of memory, or it is not UTF-8");
}

static size_t
line_length(const char *at, const char *end)
{
    const char *nl = memchr(at, '\n', (size_t)(end - at));

    return (size_t)((nl ? nl : end) - at);
}

static bool
begins(const char *at, size_t len, const char *with)
{
    return len >= strlen(with) && memcmp(at, with, strlen(with)) == 0;
}

/* "lab@SAE_A> show configuration" */
static bool
is_prompt(const char *at, size_t len)
{
    bool sign = false;

    for (size_t i = 0; i < len; i++) {
        if (sign && (at[i] == '>' || at[i] == '#' || at[i] == '%'))
            return true;
        if (i > 0 && at[i] == '@')
            sign = true;
        else if (!isalnum((unsigned char)at[i]) && !strchr("._-:", at[i]))
            return false;
    }
    return false;
}

size_t
rk_junos_noise(const char *at, const char *end)
{
    static const char *const marks[] = {"{master", "{backup", "{primary", "{secondary", "{linecard", "[edit"};
    size_t len = line_length(at, end);

    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        if (begins(at, len, marks[i]))
            return len;
    return is_prompt(at, len) ? len : 0;
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool
ends_word(char c)
{
    return is_blank(c) || strchr("\n{};[]\"", c);
}

bool
rk_junos_word(struct rk_junos_in *in, char **word, size_t *len)
{
    char *to = in->at;

    *word = in->at;
    if (*in->at != '"') {
        while (in->at < in->end && !ends_word(*in->at))
            in->at++;
        *len = (size_t)(in->at - *word);
        return true;
    }
    for (in->at++; in->at < in->end && *in->at != '"'; in->at++) {
        if (*in->at == '\n')
            return rk_junos_fail(in, in->line, "a quotation that does not end: is the file cut?");
        if (*in->at == '\\' && in->at + 1 < in->end && in->at[1] != '\n')
            in->at++;
        *to++ = *in->at;
    }
    if (in->at == in->end)
        return rk_junos_fail(in, in->line, "a quotation that does not end: is the file cut?");
    in->at++;
    *len = (size_t)(to - *word);
    return true;
}

/* ---- set ---- */

enum verb { NO_VERB, SET, DEACTIVATE, NO_MATTER, A_CHANGE };

static enum verb
verb_of(const char *word, size_t len)
{
    static const struct {
        const char *word;
        enum verb verb;
    } verbs[] = {
        {"set", SET},           {"deactivate", DEACTIVATE}, {"activate", NO_MATTER}, {"protect", NO_MATTER},
        {"annotate", NO_MATTER}, {"insert", NO_MATTER},     {"delete", A_CHANGE},    {"replace", A_CHANGE},
        {"rename", A_CHANGE},
    };

    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (strlen(verbs[i].word) == len && memcmp(verbs[i].word, word, len) == 0)
            return verbs[i].verb;
    return NO_VERB;
}

struct offs { /* paths of "deactivate": words with a NUL behind each */
    struct {
        char *text;
        size_t len;
    } *path;
    size_t n;
};

/* The rest of a line as words; brackets of a list mean nothing more.  A newline ends it. */
static bool
rest_of_line(struct rk_junos_in *in)
{
    char *word;
    size_t len;

    in->path.n = in->path.used = 0;
    while (in->at < in->end && *in->at != '\n') {
        if (is_blank(*in->at) || strchr("[]{};", *in->at)) {
            in->at++;
            continue;
        }
        if (!rk_junos_word(in, &word, &len) || !rk_junos_push(in, word, len))
            return false;
    }
    return true;
}

static bool
add_off(struct rk_junos_in *in, struct offs *offs)
{
    void *more = reallocarray(offs->path, offs->n + 1, sizeof *offs->path);
    char *copy = malloc(in->path.used + 1);

    if (more)
        offs->path = more;
    if (!more || !copy) {
        free(copy);
        return rk_junos_fail(in, in->line, "out of memory");
    }
    memcpy(copy, in->path.text, in->path.used);
    offs->path[offs->n].text = copy;
    offs->path[offs->n++].len = in->path.used;
    return true;
}

static bool
is_off(const struct rk_junos_in *in, const struct offs *offs)
{
    for (size_t i = 0; i < offs->n; i++)
        if (offs->path[i].len && offs->path[i].len <= in->path.used &&
            memcmp(offs->path[i].text, in->path.text, offs->path[i].len) == 0)
            return true;
    return false;
}

static bool
not_a_line(struct rk_junos_in *in)
{
    size_t len = line_length(in->at, in->end);

    return rk_junos_fail(in, in->line, "not a statement of Junos, as \"set ...\": \"%.*s\"%s",
                         (int)(len < SHOWN ? len : SHOWN), in->at,
                         memchr(in->at, '{', len) ? ": is a configuration with braces mixed with set lines?" : "");
}

/* One line.  want: SET: call fn for what is set; DEACTIVATE: note what is inactive */
static bool
one_line(struct rk_junos_in *in, enum verb want, struct offs *offs)
{
    size_t len = 0, noise;
    enum verb verb;

    while (in->at < in->end && is_blank(*in->at))
        in->at++;
    noise = rk_junos_noise(in->at, in->end);
    if (noise || in->at == in->end || *in->at == '\n' || *in->at == '#' || begins(in->at, 2, "/*")) {
        in->at += line_length(in->at, in->end);
        return true;
    }
    while (in->at + len < in->end && !ends_word(in->at[len]))
        len++;
    verb = verb_of(in->at, len);
    if (verb == NO_VERB)
        return not_a_line(in);
    if (verb == A_CHANGE)
        return rk_junos_fail(in, in->line, "\"%.*s\" is a change of a configuration: this wants a whole one, as "
                             "show configuration | display set gives it", (int)len, in->at);
    in->at += len;
    if (verb != want) {
        in->at += line_length(in->at, in->end);
        return true;
    }
    if (!rest_of_line(in))
        return false;
    if (in->path.n == 0)
        return rk_junos_fail(in, in->line, "a statement without words");
    return want == DEACTIVATE ? add_off(in, offs) : rk_junos_emit(in, in->line, is_off(in, offs));
}

bool
rk_junos_set(struct rk_junos_in *in)
{
    /* what is inactive comes behind what it is about, so there are two rounds; quotations are read in place, once */
    static const enum verb rounds[] = {DEACTIVATE, SET};
    struct offs offs = {.path = NULL};
    char *begin = in->at;
    bool ok = true;

    for (size_t round = 0; ok && round < 2; round++) {
        in->at = begin;
        for (in->line = 1; ok && in->at < in->end; in->line++) {
            ok = one_line(in, rounds[round], &offs);
            if (ok && in->at < in->end)
                in->at++;
        }
    }
    for (size_t i = 0; i < offs.n; i++)
        free(offs.path[i].text);
    free(offs.path);
    return ok;
}

/* ---- braces ---- */

struct frames { /* what the open braces have before them */
    struct {
        size_t n, used; /* words of the path that are of the outer ones */
        unsigned line;
        bool off;
    } frame[RK_JUNOS_DEPTH_MAX];
    size_t depth;
    bool off, begun;    /* of the statement that is being read: inactive, and has a word */
};

static void
skip_line(struct rk_junos_in *in)
{
    in->at += line_length(in->at, in->end);
}

static bool
skip_comment(struct rk_junos_in *in)
{
    unsigned line = in->line;

    for (in->at += 2; in->at + 1 < in->end; in->at++) {
        if (in->at[0] == '*' && in->at[1] == '/') {
            in->at += 2;
            return true;
        }
        in->line += *in->at == '\n';
    }
    return rk_junos_fail(in, line, "a comment that does not end: is the file cut?");
}

static void
back_to(struct rk_junos_in *in, const struct frames *f)
{
    in->path.n = f->depth ? f->frame[f->depth - 1].n : 0;
    in->path.used = f->depth ? f->frame[f->depth - 1].used : 0;
}

static bool
open_brace(struct rk_junos_in *in, struct frames *f)
{
    if (!f->begun)
        return rk_junos_fail(in, in->line, "a brace without a name before it");
    if (f->depth == RK_JUNOS_DEPTH_MAX)
        return rk_junos_fail(in, in->line, "more than %d braces in one another", RK_JUNOS_DEPTH_MAX);
    f->frame[f->depth].n = in->path.n;
    f->frame[f->depth].used = in->path.used;
    f->frame[f->depth].line = in->line;
    f->frame[f->depth].off = f->off;
    f->depth++;
    f->begun = false;
    return true;
}

static bool
close_brace(struct rk_junos_in *in, struct frames *f)
{
    if (f->depth == 0)
        return rk_junos_fail(in, in->line, "a brace that closes nothing: is the begin of the file missing?");
    if (f->begun)
        return rk_junos_fail(in, in->line, "a statement without \";\" at its end");
    f->depth--;
    f->off = f->depth ? f->frame[f->depth - 1].off : false;
    back_to(in, f);
    return true;
}

static bool
end_statement(struct rk_junos_in *in, struct frames *f)
{
    if (f->begun && !rk_junos_emit(in, in->line, f->off))
        return false;
    f->begun = false;
    f->off = f->depth ? f->frame[f->depth - 1].off : false;
    back_to(in, f);
    return true;
}

static bool
tag(struct frames *f, const char *word, size_t len)
{
    bool inactive = len == 9 && memcmp(word, "inactive:", 9) == 0;

    if (f->begun || !(inactive || (len == 8 && memcmp(word, "protect:", 8) == 0)))
        return false;
    f->off |= inactive;
    return true;
}

static bool
token(struct rk_junos_in *in, struct frames *f)
{
    char *word, c = *in->at;
    size_t len;

    if (c == '{' || c == '}' || c == ';') {
        in->at++;
        return c == '{' ? open_brace(in, f) : c == '}' ? close_brace(in, f) : end_statement(in, f);
    }
    if (c == '[' || c == ']') {
        in->at++;
        return true;
    }
    if (!rk_junos_word(in, &word, &len))
        return false;
    if (tag(f, word, len))
        return true;
    f->begun = true;
    return rk_junos_push(in, word, len);
}

bool
rk_junos_braces(struct rk_junos_in *in)
{
    struct frames f = {.depth = 0};
    bool fresh = true; /* at a line's begin */

    while (in->at < in->end) {
        char c = *in->at;
        bool was_fresh = fresh;

        if (c == '\n' || is_blank(c)) {
            in->line += c == '\n';
            fresh = c == '\n' || fresh;
            in->at++;
            continue;
        }
        fresh = false;
        if (c == '#' || (was_fresh && !f.begun && rk_junos_noise(in->at, in->end)))
            skip_line(in);
        else if (begins(in->at, (size_t)(in->end - in->at), "/*") ? !skip_comment(in) : !token(in, &f))
            return false;
    }
    if (f.depth)
        return rk_junos_fail(in, in->line, "the file ends within the braces of line %u: it is cut",
                             f.frame[f.depth - 1].line);
    return !f.begun || rk_junos_fail(in, in->line, "the file ends within a statement: it is cut");
}

/* ---- which form ---- */

static bool
is_text(struct rk_junos_in *in)
{
    size_t len = (size_t)(in->end - in->at);
    unsigned line = 1;

    if (len >= 2 && memcmp(in->at, "\x1f\x8b", 2) == 0)
        return rk_junos_fail(in, 1, "this is packed by gzip, as juniper.conf.gz: unpack it first");
    for (const char *c = in->at; c < in->end; c++) {
        unsigned char u = (unsigned char)*c;

        line += u == '\n';
        if ((u < 0x20 && !strchr("\n\r\t", (char)u)) || u == 0 || u == 0x7f)
            return rk_junos_fail(in, line, "byte 0x%02x is no text: this is no saved configuration", u);
    }
    return true;
}

/* Past what a terminal or a tool puts before a configuration.   ret: the first line that says something */
static char *
first_line(struct rk_junos_in *in, unsigned *line)
{
    char *at = in->at;

    for (*line = 1; at < in->end; ++*line) {
        size_t len = line_length(at, in->end), skip = 0;

        while (skip < len && is_blank(at[skip]))
            skip++;
        if (skip < len && at[skip] != '#' && !rk_junos_noise(at + skip, in->end) &&
            !begins(at + skip, len - skip, "/*"))
            return at + skip;
        at += len < (size_t)(in->end - at) ? len + 1 : len;
    }
    return at;
}

bool
rk_junos_read(char *text, size_t len, rk_junos_fn *fn, void *arg, struct rk_junos_why *why)
{
    struct rk_junos_in *in = calloc(1, sizeof *in);
    unsigned line;
    size_t n = 0;
    char *first;
    bool ok;

    snprintf(why->text, sizeof why->text, "out of memory");
    if (!in)
        return false;
    *in = (struct rk_junos_in){.at = text, .end = text + len, .line = 1, .fn = fn, .arg = arg, .why = why};
    if (begins(text, len, "\xef\xbb\xbf"))
        in->at += 3;
    ok = is_text(in);
    first = ok ? first_line(in, &line) : in->end;
    while (first + n < in->end && !ends_word(first[n]))
        n++;
    if (ok && first == in->end)
        ok = rk_junos_fail(in, 1, "there is nothing in it");
    else if (ok && *first == '<')
        ok = rk_junos_xml(in);
    else if (ok && verb_of(first, n) != NO_VERB)
        ok = rk_junos_set(in);
    else if (ok && memchr(first, '{', (size_t)(in->end - first)))
        ok = rk_junos_braces(in);
    else if (ok)
        ok = rk_junos_fail(in, line, "not a configuration of Junos: \"%.*s\"; save show configuration | display set",
                           (int)(n < SHOWN ? n : SHOWN), first);
    explicit_bzero(in, sizeof *in); /* it had statements with keys in it */
    free(in);
    return ok;
}
