/* authkeys.c - see authkeys.h.  What is wrong is told with its line; nothing of a key is ever told. */
#include "authkeys.h"

#include "../base/text.h"

#include <rekey/channel.h>
#include <rekey/err.h>

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALL "*"
#define BASE64 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"

struct reader {
    struct rk_auth_keys *keys;
    size_t room;
    char *why;
    size_t size;
    int line;
};

/* line 0: of the whole file;  other: a line that the text ends with, 0: none */
static int
wrong(const struct reader *r, int line, const char *what, int other)
{
    char before[24] = "", behind[24] = "";

    if (line)
        snprintf(before, sizeof before, "line %d: ", line);
    if (other)
        snprintf(behind, sizeof behind, " %d", other);
    snprintf(r->why, r->size, "%s%s%s", before, what, behind);
    return RK_E_CONFIG;
}

/* ---- one key ---- */

static bool
all_of(const unsigned char *key, size_t len, unsigned char c)
{
    unsigned char other = 0;

    for (size_t i = 0; i < len; i++)
        other |= key[i] ^ c;
    return other == 0;
}

static bool
is_hex(const unsigned char *key, size_t len)
{
    bool hex = len % 2 == 0;

    for (size_t i = 0; i < len; i++)
        hex &= isxdigit(key[i]) != 0;
    return hex;
}

static const char *
wrong_bytes(size_t n_bytes, bool zeros)
{
    if (n_bytes > RK_SECRET_FILE_MAX)
        return "the key is longer than 4096 bytes";
    if (n_bytes < RK_AUTH_KEY_MIN)
        return "the key is too short: it needs 16 bytes, which are 32 hex digits or 22 characters of base64";
    return zeros ? "the key is all zeros: make another one" : NULL;
}

/* A key of a line is used as it is written, as one alone is; what it stands for tells how much is in it. */
static const char *
wrong_text(const unsigned char *key, size_t len)
{
    size_t n = len;

    if (is_hex(key, len))
        return wrong_bytes(len / 2, all_of(key, len, '0'));
    while (n > 0 && len - n < 2 && key[n - 1] == '=')
        n--;
    for (size_t i = 0; i < n; i++)
        if (!key[i] || !strchr(BASE64, key[i]))
            return "the key is neither hex nor base64";
    return wrong_bytes(n * 6 / 8, all_of(key, n, 'A'));
}

static int
add(struct reader *r, const char *link, const unsigned char *key, size_t len)
{
    struct rk_auth_keys *keys = r->keys;

    if (keys->n == r->room) {
        size_t room = r->room ? 2 * r->room : 4;
        struct rk_auth_key *list = realloc(keys->list, room * sizeof *list);

        if (!list) {
            snprintf(r->why, r->size, "out of memory");
            return RK_E_NOMEM;
        }
        keys->list = list;
        r->room = room;
    }
    keys->list[keys->n++] = (struct rk_auth_key){link, key, len, r->line};
    return RK_OK;
}

/* ---- lines ---- */

static bool
blank(unsigned char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of a line, ended by a NUL; *at goes behind it.   ret: its length, 0: none */
static size_t
word(unsigned char **at, unsigned char *end, unsigned char **out)
{
    unsigned char *p = *at;
    size_t len;

    while (p < end && blank(*p))
        p++;
    *out = p;
    while (p < end && !blank(*p))
        p++;
    len = (size_t)(p - *out);
    *at = p < end ? p + 1 : p;
    *p = '\0'; /* of the last one: the newline, or what is behind the text */
    return len;
}

static int
read_line(struct reader *r, unsigned char *at, unsigned char *end)
{
    unsigned char *link, *key, *more;
    size_t n_key;
    const char *why;

    if (word(&at, end, &link) == 0 || link[0] == '#')
        return RK_OK;
    n_key = word(&at, end, &key);
    if (strcmp((char *)link, ALL) != 0 && !rk_name_ok((char *)link, RK_LINK_MAX))
        return wrong(r, r->line, "not a link's name, and not '*': a line is LINK KEY", 0);
    if (n_key == 0)
        return wrong(r, r->line, "no key behind the link's name; a file of one key alone has one line", 0);
    if (word(&at, end, &more))
        return wrong(r, r->line, "more than a link's name and a key", 0);
    why = wrong_text(key, n_key);
    return why ? wrong(r, r->line, why, 0) : add(r, (char *)link, key, n_key);
}

/* in: text[len + 1]: its last byte is free */
static int
read_lines(struct reader *r, unsigned char *text, size_t len)
{
    int err = RK_OK;

    for (size_t at = 0; !err && at < len;) {
        const unsigned char *newline = memchr(text + at, '\n', len - at);
        size_t n = newline ? (size_t)(newline - text) - at : len - at;

        r->line++;
        err = read_line(r, text + at, text + at + n);
        at += n + 1;
    }
    if (!err && r->keys->n == 0)
        err = wrong(r, 0, "no key in it", 0);
    return err;
}

/* ---- all of them together ---- */

static int
by_link(const void *a, const void *b)
{
    const struct rk_auth_key *x = a, *y = b;
    int order = strcmp(x->link, y->link);

    return order ? order : x->line - y->line;
}

static int
by_key(const void *a, const void *b)
{
    const struct rk_auth_key *x = a, *y = b;
    int order = memcmp(x->key, y->key, x->len < y->len ? x->len : y->len);

    return order ? order : x->len != y->len ? (x->len < y->len ? -1 : 1) : x->line - y->line;
}

static int
check_keys(const struct reader *r)
{
    struct rk_auth_key *list = r->keys->list;

    qsort(list, r->keys->n, sizeof *list, by_key);
    for (size_t i = 1; i < r->keys->n; i++)
        if (list[i].len == list[i - 1].len && memcmp(list[i].key, list[i - 1].key, list[i].len) == 0)
            return wrong(r, list[i].line, "the same key as in line", list[i - 1].line);
    qsort(list, r->keys->n, sizeof *list, by_link);
    for (size_t i = RK_AUTH_KEYS_MAX; i < r->keys->n; i++)
        if (strcmp(list[i].link, list[i - RK_AUTH_KEYS_MAX].link) == 0)
            return wrong(r, list[i].line, "too many keys of one link: more than 4", 0);
    return RK_OK;
}

/* Is it lines: text, whose first line that says something is for people, or has two words. */
static bool
has_lines(const unsigned char *text, size_t len)
{
    size_t at = 0, n;

    for (size_t i = 0; i < len; i++)
        if (text[i] != '\n' && !blank(text[i]) && (text[i] < ' ' || text[i] > '~'))
            return false;
    while (at < len && (blank(text[at]) || text[at] == '\n'))
        at++;
    for (n = at; n < len && text[n] != '\n' && !blank(text[n]);)
        n++;
    while (n < len && (blank(text[n]) || text[n] == '\n'))
        n++;
    return at < len && (text[at] == '#' || n < len);
}

int
rk_auth_parse(unsigned char *text, size_t len, struct rk_auth_keys *out, char *why, size_t size)
{
    struct reader r = {.keys = out, .why = why, .size = size};
    int err = RK_OK;

    *out = (struct rk_auth_keys){NULL, 0};
    if (len > 0 && has_lines(text, len)) {
        err = read_lines(&r, text, len);
        if (!err)
            err = check_keys(&r);
    } else {
        const char *bad;

        len -= len > 1 && text[len - 1] == '\n';
        bad = wrong_bytes(len, all_of(text, len, 0) || all_of(text, len, '0'));
        err = bad ? wrong(&r, 0, bad, 0) : add(&r, ALL, text, len);
    }
    if (err)
        rk_auth_free(out);
    return err;
}

size_t
rk_auth_of(const struct rk_auth_keys *all, const char *link, struct rk_bytes *keys)
{
    size_t low = 0, high = all->n, n = 0;

    while (low < high) { /* the first that is not below it */
        size_t mid = low + (high - low) / 2;

        if (strcmp(all->list[mid].link, link) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < all->n && n < RK_AUTH_KEYS_MAX && strcmp(all->list[low].link, link) == 0; low++)
        keys[n++] = (struct rk_bytes){all->list[low].key, all->list[low].len};
    return n || strcmp(link, ALL) == 0 ? n : rk_auth_of(all, ALL, keys);
}

void
rk_auth_free(struct rk_auth_keys *keys)
{
    free(keys->list);
    *keys = (struct rk_auth_keys){NULL, 0};
}
