/* keyline.c - splits lines and decodes keys.  Pure; texts never hold what was read. */
#include "keyline.h"

#include "pool.h"

#include "../../common/keytext.h"

#include <string.h>

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static size_t
word_at(const char *line, size_t len, size_t *at)
{
    size_t end;

    while (*at < len && is_blank(line[*at]))
        (*at)++;
    for (end = *at; end < len && !is_blank(line[end]); end++)
        ;
    return end - *at;
}

const char *
keyline_split(const char *line, size_t len, struct keyline *out)
{
    size_t at = 0;

    memset(out, 0, sizeof *out);
    if (memchr(line, '\0', len))
        return "a NUL byte; the pool must be a text";
    out->id_len = word_at(line, len, &at);
    if (out->id_len == 0 || line[at] == '#')
        return NULL;
    if (!rkp_key_id_ok(line + at, out->id_len))
        return "not a key ID: 1 to 64 printable characters without '|' and '/'";
    out->id = line + at;
    at += out->id_len;
    out->key_len = word_at(line, len, &at);
    if (out->key_len == 0)
        return "no key behind the key ID";
    out->key = line + at;
    at += out->key_len;
    return word_at(line, len, &at) > 0 ? "more than a key ID and a key" : NULL;
}

static bool
is_zero(const unsigned char *bytes, size_t n)
{
    unsigned sum = 0;

    for (size_t i = 0; i < n; i++)
        sum |= bytes[i];
    return sum == 0;
}

const char *
keyline_decode(const char *text, size_t len, int raw, unsigned char *bytes, size_t *n)
{
    size_t hex = rkp_hex_len(text, len), base64 = hex ? 0 : rkp_base64_len(text, len);

    *n = hex ? hex : base64 ? base64 : raw ? len : 0;
    if (*n == 0)
        return raw ? "empty" : "a key that is neither hex nor base64";
    if (*n < POOL_KEY_MIN)
        return "a key shorter than 128 bits";
    if (*n > RK_SECRET_MAX)
        return "a key longer than 4096 bytes";
    if (hex)
        rkp_hex_get(text, len, bytes);
    else if (base64)
        rkp_base64_get(text, len, bytes);
    else
        memcpy(bytes, text, len);
    return is_zero(bytes, *n) ? "a key of zeros" : NULL;
}
