/* jtext.c - a JSON reader that works where the text stands.
 *
 * Pure; runs on the host's worker threads.  It reads bytes of a stranger: every step is bounded by the end of the
 * buffer and by JTEXT_DEPTH_MAX, and what it does not understand it refuses.  Nothing of a text is ever copied, for
 * there may be keys in it.
 */
#include "jtext.h"

#include <rekey/err.h>

#include <string.h>

bool
jtext_refuse(struct jtext_reader *r, const char *why)
{
    if (!r->why)
        r->why = why;
    return false;
}

bool
jtext_is(struct jtext t, const char *word)
{
    return t.len == strlen(word) && memcmp(t.at, word, t.len) == 0;
}

static void
skip_blank(struct jtext_reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
        r->at++;
}

char
jtext_peek(struct jtext_reader *r)
{
    skip_blank(r);
    return r->at < r->end ? *r->at : '\0';
}

static bool
take(struct jtext_reader *r, char c)
{
    if (jtext_peek(r) != c || r->at == r->end)
        return false;
    r->at++;
    return true;
}

/* The four hex digits of \uXXXX.  What is not ASCII becomes 0xff: no name, ID or key that is read here has it. */
static bool
read_hex4(struct jtext_reader *r, char *out)
{
    unsigned v = 0;

    if (r->end - r->at < 4)
        return jtext_refuse(r, "the JSON text ends inside an escape");
    for (int i = 0; i < 4; i++) {
        char c = *r->at++;

        if (c >= '0' && c <= '9')
            v = v * 16 + (unsigned)(c - '0');
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            v = v * 16 + (unsigned)((c | 32) - 'a' + 10);
        else
            return jtext_refuse(r, "the JSON text has a wrong escape");
    }
    *out = v < 0x80 ? (char)v : (char)0xff;
    return true;
}

static bool
read_escape(struct jtext_reader *r, char *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *hit;
    char c;

    if (r->at == r->end)
        return jtext_refuse(r, "the JSON text ends inside an escape");
    c = *r->at++;
    if (c == 'u')
        return read_hex4(r, out);
    hit = c ? strchr(from, c) : NULL;
    if (!hit)
        return jtext_refuse(r, "the JSON text has a wrong escape");
    *out = to[hit - from];
    return true;
}

/* A string; its escapes are resolved where it stands ('/' and '+' of base64 are escaped by some servers). */
bool
jtext_string(struct jtext_reader *r, struct jtext *t)
{
    char *out;

    if (!take(r, '"'))
        return jtext_refuse(r, "the JSON text has no string where one must be");
    t->at = out = r->at;
    while (r->at < r->end) {
        char c = *r->at++;

        if (c == '"') {
            t->len = (size_t)(out - t->at);
            return true;
        }
        if ((unsigned char)c < 0x20)
            return jtext_refuse(r, "the JSON text has a control character in a string");
        if (c == '\\' && !read_escape(r, &c))
            return false;
        *out++ = c;
    }
    return jtext_refuse(r, "the JSON text ends inside a string");
}

static bool
enter(struct jtext_reader *r)
{
    r->at++;
    if (++r->depth > JTEXT_DEPTH_MAX)
        return jtext_refuse(r, "the JSON text is nested too deep");
    return true;
}

bool
jtext_object(struct jtext_reader *r, jtext_value_fn *each, void *arg)
{
    struct jtext name;

    if (jtext_peek(r) != '{')
        return jtext_refuse(r, "the JSON text has no object where one must be");
    if (!enter(r))
        return false;
    if (!take(r, '}')) {
        do {
            if (!jtext_string(r, &name))
                return false;
            if (!take(r, ':'))
                return jtext_refuse(r, "the JSON text has no ':' after a name");
            if (!each(r, name, arg))
                return false;
        } while (take(r, ','));
        if (!take(r, '}'))
            return jtext_refuse(r, "the JSON text has an object without end");
    }
    r->depth--;
    return true;
}

bool
jtext_array(struct jtext_reader *r, jtext_value_fn *each, void *arg)
{
    if (jtext_peek(r) != '[')
        return jtext_refuse(r, "the JSON text has no array where one must be");
    if (!enter(r))
        return false;
    if (!take(r, ']')) {
        do {
            if (!each(r, (struct jtext){0}, arg))
                return false;
        } while (take(r, ','));
        if (!take(r, ']'))
            return jtext_refuse(r, "the JSON text has an array without end");
    }
    r->depth--;
    return true;
}

static size_t
skip_digits(struct jtext_reader *r)
{
    char *from = r->at;

    while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
        r->at++;
    return (size_t)(r->at - from);
}

static bool
skip_number(struct jtext_reader *r)
{
    if (*r->at == '-')
        r->at++;
    if (r->at < r->end && *r->at == '0')
        r->at++;
    else if (skip_digits(r) == 0)
        return jtext_refuse(r, "the JSON text has a value that is none");
    if (r->at < r->end && *r->at == '.') {
        r->at++;
        if (skip_digits(r) == 0)
            return jtext_refuse(r, "the JSON text has a wrong number");
    }
    if (r->at < r->end && (*r->at | 32) == 'e') {
        r->at++;
        if (r->at < r->end && (*r->at == '+' || *r->at == '-'))
            r->at++;
        if (skip_digits(r) == 0)
            return jtext_refuse(r, "the JSON text has a wrong number");
    }
    return true;
}

static bool
skip_word(struct jtext_reader *r, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0)
        return jtext_refuse(r, "the JSON text has a value that is none");
    r->at += len;
    return true;
}

bool
jtext_skip(struct jtext_reader *r, struct jtext name, void *arg)
{
    struct jtext unused;

    (void)name;
    switch (jtext_peek(r)) {
    case '{':
        return jtext_object(r, jtext_skip, arg);
    case '[':
        return jtext_array(r, jtext_skip, arg);
    case '"':
        return jtext_string(r, &unused);
    case 't':
        return skip_word(r, "true");
    case 'f':
        return skip_word(r, "false");
    case 'n':
        return skip_word(r, "null");
    case '\0':
        return jtext_refuse(r, r->at < r->end ? "the JSON text has a NUL" : "the JSON text ends too early");
    default:
        return skip_number(r);
    }
}

bool
jtext_count(struct jtext_reader *r, int64_t *v)
{
    struct jtext none = {NULL, 0};
    char *from;

    *v = -1;
    jtext_peek(r);
    from = r->at;
    if (!jtext_skip(r, none, NULL))
        return false;
    if (r->at - from > 18) /* digits of which each number fits */
        return true;
    for (const char *c = from; c < r->at; c++)
        if (*c < '0' || *c > '9')
            return true;
    *v = 0;
    for (const char *c = from; c < r->at; c++)
        *v = *v * 10 + (*c - '0');
    return true;
}

int
jtext_document(struct jtext_reader *r, jtext_value_fn *each, void *arg)
{
    if (jtext_object(r, each, arg)) {
        skip_blank(r);
        if (r->at < r->end)
            jtext_refuse(r, "text follows the JSON object");
    }
    return r->why ? RK_E_PROTOCOL : RK_OK;
}
