/* container.c - a JSON reader for one kind of document, in place.
 *
 * Pure; runs on the host's worker threads.  It reads bytes of a stranger: every step is bounded by the end of the
 * buffer and by CONTAINER_DEPTH_MAX, and what it does not understand it refuses.
 */
#include "container.h"

#include <string.h>

struct reader {
    char *at, *end;
    const char *why; /* first reason to refuse */
    int depth;
    bool lenient;
    struct container_key *keys;
    size_t max, n;
    bool seen_keys; /* the list of keys was there */
};

struct text {
    char *at;
    size_t len;
};

/* What to do with the value at r->at: called with a member's name, or an element's position as no name. */
typedef bool value_fn(struct reader *r, struct text name, void *arg);

static bool
refuse(struct reader *r, const char *why)
{
    if (!r->why)
        r->why = why;
    return false;
}

static bool
is(struct text t, const char *word)
{
    return t.len == strlen(word) && memcmp(t.at, word, t.len) == 0;
}

static void
skip_blank(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
        r->at++;
}

static char
peek(struct reader *r)
{
    skip_blank(r);
    return r->at < r->end ? *r->at : '\0';
}

static bool
take(struct reader *r, char c)
{
    if (peek(r) != c || r->at == r->end)
        return false;
    r->at++;
    return true;
}

/* The four hex digits of \uXXXX.  What is not ASCII becomes 0xff: no name, ID or key that is read here has it. */
static bool
read_hex4(struct reader *r, char *out)
{
    unsigned v = 0;

    if (r->end - r->at < 4)
        return refuse(r, "the JSON text ends inside an escape");
    for (int i = 0; i < 4; i++) {
        char c = *r->at++;

        if (c >= '0' && c <= '9')
            v = v * 16 + (unsigned)(c - '0');
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            v = v * 16 + (unsigned)((c | 32) - 'a' + 10);
        else
            return refuse(r, "the JSON text has a wrong escape");
    }
    *out = v < 0x80 ? (char)v : (char)0xff;
    return true;
}

static bool
read_escape(struct reader *r, char *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *hit;
    char c;

    if (r->at == r->end)
        return refuse(r, "the JSON text ends inside an escape");
    c = *r->at++;
    if (c == 'u')
        return read_hex4(r, out);
    hit = c ? strchr(from, c) : NULL;
    if (!hit)
        return refuse(r, "the JSON text has a wrong escape");
    *out = to[hit - from];
    return true;
}

/* A string; its escapes are resolved where it stands ('/' and '+' of base64 are escaped by some servers). */
static bool
read_string(struct reader *r, struct text *t)
{
    char *out;

    if (!take(r, '"'))
        return refuse(r, "the JSON text has no string where one must be");
    t->at = out = r->at;
    while (r->at < r->end) {
        char c = *r->at++;

        if (c == '"') {
            t->len = (size_t)(out - t->at);
            return true;
        }
        if ((unsigned char)c < 0x20)
            return refuse(r, "the JSON text has a control character in a string");
        if (c == '\\' && !read_escape(r, &c))
            return false;
        *out++ = c;
    }
    return refuse(r, "the JSON text ends inside a string");
}

static bool
enter(struct reader *r)
{
    r->at++;
    if (++r->depth > CONTAINER_DEPTH_MAX)
        return refuse(r, "the JSON text is nested too deep");
    return true;
}

static bool
read_object(struct reader *r, value_fn *each, void *arg)
{
    struct text name;

    if (peek(r) != '{')
        return refuse(r, "the JSON text has no object where one must be");
    if (!enter(r))
        return false;
    if (!take(r, '}')) {
        do {
            if (!read_string(r, &name))
                return false;
            if (!take(r, ':'))
                return refuse(r, "the JSON text has no ':' after a name");
            if (!each(r, name, arg))
                return false;
        } while (take(r, ','));
        if (!take(r, '}'))
            return refuse(r, "the JSON text has an object without end");
    }
    r->depth--;
    return true;
}

static bool
read_array(struct reader *r, value_fn *each, void *arg)
{
    if (peek(r) != '[')
        return refuse(r, "the JSON text has no array where one must be");
    if (!enter(r))
        return false;
    if (!take(r, ']')) {
        do {
            if (!each(r, (struct text){0}, arg))
                return false;
        } while (take(r, ','));
        if (!take(r, ']'))
            return refuse(r, "the JSON text has an array without end");
    }
    r->depth--;
    return true;
}

static size_t
skip_digits(struct reader *r)
{
    char *from = r->at;

    while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
        r->at++;
    return (size_t)(r->at - from);
}

static bool
skip_number(struct reader *r)
{
    if (*r->at == '-')
        r->at++;
    if (r->at < r->end && *r->at == '0')
        r->at++;
    else if (skip_digits(r) == 0)
        return refuse(r, "the JSON text has a value that is none");
    if (r->at < r->end && *r->at == '.') {
        r->at++;
        if (skip_digits(r) == 0)
            return refuse(r, "the JSON text has a wrong number");
    }
    if (r->at < r->end && (*r->at | 32) == 'e') {
        r->at++;
        if (r->at < r->end && (*r->at == '+' || *r->at == '-'))
            r->at++;
        if (skip_digits(r) == 0)
            return refuse(r, "the JSON text has a wrong number");
    }
    return true;
}

static bool
skip_word(struct reader *r, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0)
        return refuse(r, "the JSON text has a value that is none");
    r->at += len;
    return true;
}

static bool
skip_value(struct reader *r, struct text name, void *arg)
{
    struct text unused;

    (void)name;
    switch (peek(r)) {
    case '{':
        return read_object(r, skip_value, arg);
    case '[':
        return read_array(r, skip_value, arg);
    case '"':
        return read_string(r, &unused);
    case 't':
        return skip_word(r, "true");
    case 'f':
        return skip_word(r, "false");
    case 'n':
        return skip_word(r, "null");
    case '\0':
        return refuse(r, r->at < r->end ? "the JSON text has a NUL" : "the JSON text ends too early");
    default:
        return skip_number(r);
    }
}

static bool
is_id_name(const struct reader *r, struct text name)
{
    return is(name, "key_ID") || (r->lenient && (is(name, "key_id") || is(name, "keyId")));
}

static bool
read_key_member(struct reader *r, struct text name, void *arg)
{
    struct container_key *k = arg;
    struct text t;

    if (is_id_name(r, name)) {
        if (k->id[0])
            return refuse(r, "a key has two IDs");
        if (!read_string(r, &t))
            return false;
        if (t.len == 0 || t.len > RK_KEY_ID_MAX || memchr(t.at, '\0', t.len))
            return refuse(r, "a key ID is empty, too long or not printable");
        memcpy(k->id, t.at, t.len);
        k->id[t.len] = '\0';
        return container_fold_id(k->id) || refuse(r, "a key ID has a character that cannot be used");
    }
    if (is(name, "key")) {
        if (k->text)
            return refuse(r, "a key comes twice in one entry");
        if (!read_string(r, &t))
            return false;
        k->text = t.at;
        k->text_len = t.len;
        return true;
    }
    return skip_value(r, name, NULL);
}

static bool
read_key(struct reader *r, struct text name, void *arg)
{
    struct container_key *k;

    (void)name;
    (void)arg;
    if (r->n == r->max)
        return refuse(r, "it holds more keys than were asked for");
    k = &r->keys[r->n];
    memset(k, 0, sizeof *k);
    if (!read_object(r, read_key_member, k))
        return false;
    if (!k->id[0] || !k->text)
        return refuse(r, "an entry of keys has no key_ID or no key");
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->keys[i].id, k->id) == 0)
            return refuse(r, "two keys have the same ID");
    r->n++;
    return true;
}

static bool
read_top_member(struct reader *r, struct text name, void *arg)
{
    /* the standard's table prints "Keys", its examples "keys" */
    if (!is(name, "keys") && !is(name, "Keys"))
        return skip_value(r, name, arg);
    if (r->seen_keys)
        return refuse(r, "it has two lists of keys");
    r->seen_keys = true;
    return read_array(r, read_key, NULL);
}

int
container_read(char *body, size_t len, bool lenient, struct container_key *keys, size_t max, size_t *n,
               const char **why)
{
    struct reader r = {.at = body, .end = body + len, .lenient = lenient, .keys = keys, .max = max};

    if (read_object(&r, read_top_member, NULL)) {
        if (!r.seen_keys)
            refuse(&r, "it has no list of keys");
        else if (skip_blank(&r), r.at < r.end)
            refuse(&r, "text follows the JSON object");
    }
    *n = r.why ? 0 : r.n;
    *why = r.why;
    return r.why ? RK_E_PROTOCOL : RK_OK;
}

static bool
is_uuid(const char *id)
{
    size_t len = strlen(id);

    for (size_t i = 0; i < len; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        char c = id[i], low = (char)(c | 32);

        if (dash ? c != '-' : !((c >= '0' && c <= '9') || (low >= 'a' && low <= 'f')))
            return false;
    }
    return len == 36;
}

bool
container_fold_id(char *id)
{
    size_t len = strnlen(id, RK_KEY_ID_MAX + 1);

    if (len == 0 || len > RK_KEY_ID_MAX)
        return false;
    for (char *c = id; *c; c++)
        if (*c <= ' ' || *c > '~' || *c == '|' || *c == '/')
            return false;
    if (is_uuid(id))
        for (char *c = id; *c; c++)
            if (*c >= 'A' && *c <= 'F')
                *c = (char)(*c | 32);
    return true;
}

/* How many '=' end the text: 0..2. */
static size_t
padding(const char *text, size_t len)
{
    if (len < 2 || text[len - 1] != '=')
        return 0;
    return text[len - 2] == '=' ? 2 : 1;
}

size_t
base64_size(const char *text, size_t len, bool lenient)
{
    size_t pad = padding(text, len), chars = len - pad;

    if (len % 4 != 0 && (!lenient || pad != 0 || chars % 4 == 1))
        return 0;
    return chars / 4 * 3 + (chars % 4 ? chars % 4 - 1 : 0);
}

/* All ones when lo <= c <= hi, else 0; without a branch. */
static unsigned
within(unsigned c, unsigned lo, unsigned hi)
{
    return 0u - (((lo - 1u - c) & (c - (hi + 1u))) >> 31);
}

/* The value 0..63 of a base64 character; *bad gets bits when it is none. */
static unsigned
value_of(unsigned c, bool lenient, unsigned *bad)
{
    unsigned url = 0u - (unsigned)lenient;
    unsigned upper = within(c, 'A', 'Z'), lower = within(c, 'a', 'z'), digit = within(c, '0', '9');
    unsigned plus = within(c, '+', '+') | (url & within(c, '-', '-'));
    unsigned slash = within(c, '/', '/') | (url & within(c, '_', '_'));

    *bad |= ~(upper | lower | digit | plus | slash);
    return (upper & (c - 'A')) | (lower & (c - 'a' + 26)) | (digit & (c - '0' + 52)) | (plus & 62u) | (slash & 63u);
}

int
base64_get(const char *text, size_t len, bool lenient, unsigned char *bytes, size_t size)
{
    size_t chars = len - padding(text, len), at = 0;
    unsigned acc = 0, bits = 0, bad = 0;

    if (size == 0 || size != base64_size(text, len, lenient))
        return RK_E_PROTOCOL;
    for (size_t i = 0; i < chars; i++) {
        acc = acc << 6 | value_of((unsigned char)text[i], lenient, &bad);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            bytes[at++] = (unsigned char)(acc >> bits);
        }
        acc &= (1u << bits) - 1u;
    }
    return (bad | acc) == 0 ? RK_OK : RK_E_PROTOCOL;
}
