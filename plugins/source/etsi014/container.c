/* container.c - reads key containers in place, and base64.
 *
 * Pure; runs on the host's worker threads.  What it does not understand it refuses.
 */
#include "container.h"

#include "jtext.h"

#include <string.h>

/* What is read into, and what of it was there. */
struct list {
    struct container_key *keys;
    size_t max, n;
    bool lenient, seen;
};

struct entry {
    struct container_key *key;
    bool lenient;
};

static bool
read_id(struct jtext_reader *r, struct container_key *k)
{
    struct jtext t;

    if (k->id[0])
        return jtext_refuse(r, "a key has two IDs");
    if (!jtext_string(r, &t))
        return false;
    if (t.len == 0 || t.len > RK_KEY_ID_MAX || memchr(t.at, '\0', t.len))
        return jtext_refuse(r, "a key ID is empty, too long or not printable");
    memcpy(k->id, t.at, t.len);
    k->id[t.len] = '\0';
    return container_fold_id(k->id) || jtext_refuse(r, "a key ID has a character that cannot be used");
}

static bool
read_key_member(struct jtext_reader *r, struct jtext name, void *arg)
{
    struct entry *e = arg;
    struct container_key *k = e->key;
    bool variant = jtext_is(name, "key_id") || jtext_is(name, "keyId");
    struct jtext t;

    if (jtext_is(name, "key_ID") || (variant && e->lenient))
        return read_id(r, k);
    if (variant)
        return jtext_refuse(r, "key_ID is spelled another way; the option lenient takes it so");
    if (!jtext_is(name, "key"))
        return jtext_skip(r, name, NULL);
    if (k->text)
        return jtext_refuse(r, "a key comes twice in one entry");
    if (!jtext_string(r, &t))
        return false;
    k->text = t.at;
    k->text_len = t.len;
    return true;
}

static bool
read_key(struct jtext_reader *r, struct jtext name, void *arg)
{
    struct list *l = arg;
    struct entry e = {.key = &l->keys[l->n], .lenient = l->lenient};

    (void)name;
    if (l->n == l->max)
        return jtext_refuse(r, "it holds more keys than were asked for");
    memset(e.key, 0, sizeof *e.key);
    if (!jtext_object(r, read_key_member, &e))
        return false;
    if (!e.key->id[0] || !e.key->text)
        return jtext_refuse(r, "an entry of keys has no key_ID or no key");
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->keys[i].id, e.key->id) == 0)
            return jtext_refuse(r, "two keys have the same ID");
    l->n++;
    return true;
}

static bool
read_top_member(struct jtext_reader *r, struct jtext name, void *arg)
{
    struct list *l = arg;

    /* the standard's table prints "Keys", its examples "keys" */
    if (!jtext_is(name, "keys") && !jtext_is(name, "Keys"))
        return jtext_skip(r, name, NULL);
    if (l->seen)
        return jtext_refuse(r, "it has two lists of keys");
    l->seen = true;
    return jtext_array(r, read_key, l);
}

int
container_read(char *body, size_t len, bool lenient, struct container_key *keys, size_t max, size_t *n,
               const char **why)
{
    struct jtext_reader r = {.at = body, .end = body + len};
    struct list l = {.keys = keys, .max = max, .lenient = lenient};
    int err = jtext_document(&r, read_top_member, &l);

    if (!err && !l.seen) {
        jtext_refuse(&r, "it has no list of keys");
        err = RK_E_PROTOCOL;
    }
    *n = err ? 0 : l.n;
    *why = r.why;
    return err;
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
