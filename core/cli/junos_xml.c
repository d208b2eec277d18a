/* junos_xml.c - a configuration as "display xml" or a NETCONF reply shows it, as statements.
 *
 * Runs in rekeyctl, which has no XML library: what is read is what Junos writes, elements with text, and nothing that
 * XML can do besides (no document type, no entities of its own, no CDATA).  Names are taken without prefix.  Pure.
 */
#include "junos_text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 80

struct element {
    char name[NAME_MAX_BYTES];
    size_t n, used;     /* of the path, before it */
    unsigned line;
    bool off;
    bool inside;        /* it is in <configuration> */
    bool children;      /* it has elements in it */
    bool named;         /* one of them is <name> */
    bool told;          /* a statement below it was told */
};

struct reader {
    struct rk_junos_in *in;
    struct element open[RK_JUNOS_DEPTH_MAX];
    size_t depth;
    char text[RK_JUNOS_PATH_MAX]; /* of the innermost element */
    size_t len;
    bool found;         /* a <configuration> */
};

static bool
fail(struct reader *r, const char *what)
{
    return rk_junos_fail(r->in, r->in->line, "%s", what);
}

static bool
is(const struct reader *r, const char *with)
{
    size_t len = strlen(with);

    return (size_t)(r->in->end - r->in->at) >= len && memcmp(r->in->at, with, len) == 0;
}

/* To behind the next `end`. */
static bool
skip_to(struct reader *r, const char *end)
{
    unsigned line = r->in->line;

    for (; r->in->at < r->in->end; r->in->at++) {
        if (is(r, end)) {
            r->in->at += strlen(end);
            return true;
        }
        r->in->line += *r->in->at == '\n';
    }
    return rk_junos_fail(r->in, line, "it does not end: is the file cut?");
}

/* ---- text ---- */

static bool
put(struct reader *r, char c)
{
    if (r->len == sizeof r->text)
        return fail(r, "a text that is too long");
    r->text[r->len++] = c;
    return true;
}

static bool
reference(struct reader *r)
{
    static const struct {
        const char *name;
        char c;
    } known[] = {{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&apos;", '\''}};
    char *end;
    long n;

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (is(r, known[i].name)) {
            r->in->at += strlen(known[i].name);
            return put(r, known[i].c);
        }
    if (!is(r, "&#"))
        return fail(r, "an entity that is not known here");
    n = r->in->at[2] == 'x' ? strtol(r->in->at + 3, &end, 16) : strtol(r->in->at + 2, &end, 10);
    if (*end != ';' || end >= r->in->end || n < 0x20 || n > 0x7e)
        return fail(r, "a character reference that is none, or not ASCII");
    r->in->at = end + 1;
    return put(r, (char)n);
}

static void
trim(struct reader *r)
{
    size_t skip = 0;

    while (r->len && isspace((unsigned char)r->text[r->len - 1]))
        r->len--;
    while (skip < r->len && isspace((unsigned char)r->text[skip]))
        skip++;
    memmove(r->text, r->text + skip, r->len - skip);
    r->len -= skip;
}

/* ---- elements ---- */

static struct element *
top(struct reader *r)
{
    return r->depth ? &r->open[r->depth - 1] : NULL;
}

/* A name without its prefix, and past it.   ret: false: stated */
static bool
name(struct reader *r, char out[NAME_MAX_BYTES])
{
    size_t n = 0;

    for (; r->in->at < r->in->end; r->in->at++) {
        char c = *r->in->at;

        if (c == ':') {
            n = 0;
            continue;
        }
        if (!isalnum((unsigned char)c) && !strchr("._-", c))
            break;
        if (n == NAME_MAX_BYTES - 1)
            return fail(r, "a name that is too long");
        out[n++] = c;
    }
    out[n] = '\0';
    return n > 0 || fail(r, "a \"<\" without a name behind it");
}

static void
blanks(struct reader *r)
{
    for (; r->in->at < r->in->end && isspace((unsigned char)*r->in->at); r->in->at++)
        r->in->line += *r->in->at == '\n';
}

/* One attribute; inactive="inactive" is the only one that matters. */
static bool
attribute(struct reader *r, struct element *e)
{
    char what[NAME_MAX_BYTES], quote, *value;

    if (!name(r, what))
        return false;
    blanks(r);
    if (r->in->at == r->in->end || *r->in->at != '=')
        return fail(r, "an attribute without a value");
    r->in->at++;
    blanks(r);
    quote = r->in->at < r->in->end ? *r->in->at : '\0';
    if (quote != '"' && quote != '\'')
        return fail(r, "an attribute's value without quotation marks");
    value = ++r->in->at;
    while (r->in->at < r->in->end && *r->in->at != quote && *r->in->at != '<')
        r->in->line += *r->in->at++ == '\n';
    if (r->in->at == r->in->end || *r->in->at != quote)
        return fail(r, "an attribute's value that does not end: is the file cut?");
    e->off |= strcmp(what, "inactive") == 0 && r->in->at - value == 8 && memcmp(value, "inactive", 8) == 0;
    r->in->at++;
    return true;
}

/* Words that Junos writes in XML only: those of an apply-macro's pairs, of an argument's value, and of an interface. */
static bool
is_silent(const struct reader *r, const char *what)
{
    const struct element *parent = r->depth > 1 ? &r->open[r->depth - 2] : NULL;

    return parent && ((strcmp(what, "data") == 0 && strcmp(parent->name, "apply-macro") == 0) ||
                      (strcmp(what, "interface") == 0 && strcmp(parent->name, "interfaces") == 0) ||
                      (strcmp(what, "value") == 0 && parent->named));
}

static bool
begin(struct reader *r)
{
    struct element *parent = top(r), *e;
    bool inside = parent && (parent->inside || strcmp(parent->name, "configuration") == 0);

    if (r->depth == RK_JUNOS_DEPTH_MAX)
        return fail(r, "too many elements in one another");
    e = &r->open[r->depth];
    *e = (struct element){.n = r->in->path.n, .used = r->in->path.used, .line = r->in->line, .inside = inside,
                          .off = parent && parent->off};
    r->in->at++;
    if (!name(r, e->name))
        return false;
    for (blanks(r); r->in->at < r->in->end && *r->in->at != '>' && !is(r, "/>"); blanks(r))
        if (!attribute(r, e))
            return false;
    if (parent)
        parent->children = true;
    r->depth++;
    r->len = 0;
    r->found |= strcmp(e->name, "configuration") == 0;
    return !inside || strcmp(e->name, "name") == 0 || is_silent(r, e->name) ||
           rk_junos_push(r->in, e->name, strlen(e->name));
}

static bool
tell(struct reader *r, const struct element *e)
{
    if (!rk_junos_emit(r->in, e->line, e->off))
        return false;
    for (size_t i = 0; i < r->depth; i++)
        r->open[i].told = true;
    return true;
}

/* The key of a list stays in the path, behind the list's name. */
static bool
key(struct reader *r, struct element *parent)
{
    parent->named = true;
    return rk_junos_push(r->in, r->text, r->len);
}

static bool
finish(struct reader *r)
{
    struct element e = *top(r), *parent = r->depth > 1 ? &r->open[r->depth - 2] : NULL;
    bool ok = true;

    trim(r);
    if (e.inside && !e.children) {
        if (strcmp(e.name, "name") == 0) {
            r->depth--;
            ok = key(r, parent);
            r->len = 0;
            return ok;
        }
        ok = (r->len == 0 || rk_junos_push(r->in, r->text, r->len)) && tell(r, &e);
    } else if (e.inside && !e.told) {
        ok = tell(r, &e);
    }
    r->in->path.n = e.n;
    r->in->path.used = e.used;
    r->len = 0;
    r->depth--;
    return ok;
}

static bool
end_tag(struct reader *r)
{
    char what[NAME_MAX_BYTES];
    struct element *e = top(r);

    r->in->at += 2;
    if (!name(r, what))
        return false;
    blanks(r);
    if (r->in->at == r->in->end || *r->in->at != '>')
        return fail(r, "a tag that does not end: is the file cut?");
    r->in->at++;
    if (!e || strcmp(e->name, what) != 0)
        return rk_junos_fail(r->in, r->in->line, "</%s> closes nothing that is open here (<%s> of line %u is)", what,
                             e ? e->name : "nothing", e ? e->line : 0);
    return finish(r);
}

static bool
start_tag(struct reader *r)
{
    if (!begin(r))
        return false;
    if (r->in->at == r->in->end)
        return fail(r, "a tag that does not end: is the file cut?");
    if (*r->in->at == '>') {
        r->in->at++;
        return true;
    }
    r->in->at += 2;
    return finish(r);
}

static bool
markup(struct reader *r)
{
    if (is(r, "<!--"))
        return skip_to(r, "-->");
    if (is(r, "<?"))
        return skip_to(r, "?>");
    if (is(r, "<!"))
        return fail(r, "a document type or CDATA, which Junos does not write");
    return is(r, "</") ? end_tag(r) : start_tag(r);
}

static bool
walk(struct reader *r)
{
    bool begun = false;

    while (r->in->at < r->in->end && (r->depth || !r->found)) {
        char c = *r->in->at;

        if (c == '<') {
            begun = true;
            if (!markup(r))
                return false;
            continue;
        }
        r->in->line += c == '\n';
        if (c == '&' && r->depth) {
            if (!reference(r))
                return false;
            continue;
        }
        if (r->depth && !put(r, c))
            return false;
        if (!r->depth && begun && !isspace((unsigned char)c))
            return fail(r, "text outside of all elements");
        r->in->at++;
    }
    if (r->depth)
        return rk_junos_fail(r->in, r->in->line, "the file ends within <%s> of line %u: it is cut", top(r)->name,
                             top(r)->line);
    return r->found || fail(r, "there is no <configuration> in it");
}

bool
rk_junos_xml(struct rk_junos_in *in)
{
    struct reader *r = calloc(1, sizeof *r);
    bool ok;

    if (!r)
        return rk_junos_fail(in, 1, "out of memory");
    r->in = in;
    ok = walk(r);
    explicit_bzero(r, sizeof *r);
    free(r);
    return ok;
}
