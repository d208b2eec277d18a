/* keytext.c - key IDs and keys as text.  Pure; no table is indexed by a digit of a key and no branch depends on one. */
#include "keytext.h"

#include <rekey/source.h>

#include <ctype.h>
#include <string.h>

static bool
is_dash_place(size_t i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}

bool
rkp_uuid_ok(const char *id)
{
    if (strnlen(id, RKP_UUID_LEN + 1) != RKP_UUID_LEN)
        return false;
    for (size_t i = 0; i < RKP_UUID_LEN; i++)
        if (is_dash_place(i) ? id[i] != '-' : !isxdigit((unsigned char)id[i]))
            return false;
    return true;
}

void
rkp_uuid_put(const unsigned char random[16], char *out)
{
    unsigned char b[16];
    char hex[33];
    size_t o = 0;

    memcpy(b, random, sizeof b);
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    rkp_hex_put(b, sizeof b, hex);
    for (size_t i = 0; i < 32; i++) {
        if (is_dash_place(o))
            out[o++] = '-';
        out[o++] = hex[i];
    }
    out[o] = '\0';
}

bool
rkp_key_id_ok(const char *id, size_t len)
{
    if (len == 0 || len > RK_KEY_ID_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (id[i] <= ' ' || id[i] >= 0x7f || id[i] == '|' || id[i] == '/')
            return false;
    return true;
}

void
rkp_key_id_fold(char *id)
{
    if (!rkp_uuid_ok(id))
        return;
    for (; *id; id++)
        *id = (char)tolower((unsigned char)*id);
}

bool
rkp_name_ok(const char *name, size_t len, size_t max)
{
    if (len == 0 || len > max || !isascii((unsigned char)name[0]) || !isalnum((unsigned char)name[0]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!(isascii((unsigned char)name[i]) && isalnum((unsigned char)name[i])) &&
            (name[i] == '\0' || !strchr("._-", name[i])))
            return false;
    return true;
}

void
rkp_hex_put(const unsigned char *bytes, size_t n, char *out)
{
    for (size_t i = 0; i < 2 * n; i++) {
        unsigned v = i % 2 ? bytes[i / 2] & 15u : bytes[i / 2] >> 4;

        out[i] = (char)('0' + v + (((9u - v) >> 8) & 39u));
    }
    out[2 * n] = '\0';
}

/* 1 when lo <= c <= hi, else 0 */
static unsigned
within(unsigned c, unsigned lo, unsigned hi)
{
    return (((lo - 1 - c) & (c - hi - 1)) >> 31) & 1u;
}

/* Value of a hex digit; 16 for anything else. */
static unsigned
hex_value(unsigned c)
{
    unsigned digit = within(c, '0', '9'), letter = within(c | 32u, 'a', 'f');

    return digit * (c - '0') + letter * ((c | 32u) - 'a' + 10) + (1u - digit - letter) * 16u;
}

/* Value of a base64 digit; 64 for anything else. */
static unsigned
base64_value(unsigned c)
{
    unsigned upper = within(c, 'A', 'Z'), lower = within(c, 'a', 'z'), digit = within(c, '0', '9');
    unsigned plus = within(c, '+', '+'), slash = within(c, '/', '/');

    return upper * (c - 'A') + lower * (c - 'a' + 26) + digit * (c - '0' + 52) + plus * 62u + slash * 63u +
           (1u - upper - lower - digit - plus - slash) * 64u;
}

size_t
rkp_hex_len(const char *text, size_t len)
{
    unsigned bad = 0;

    for (size_t i = 0; i < len; i++)
        bad |= hex_value((unsigned char)text[i]) >> 4;
    return bad || len % 2 ? 0 : len / 2;
}

void
rkp_hex_get(const char *text, size_t len, unsigned char *bytes)
{
    for (size_t i = 0; i + 1 < len; i += 2)
        bytes[i / 2] =
            (unsigned char)(hex_value((unsigned char)text[i]) << 4 | hex_value((unsigned char)text[i + 1]));
}

size_t
rkp_base64_len(const char *text, size_t len)
{
    size_t pad = len > 0 && text[len - 1] == '=' ? len > 1 && text[len - 2] == '=' ? 2 : 1 : 0;
    unsigned bad = 0, last;

    if (len == 0 || len % 4)
        return 0;
    for (size_t i = 0; i < len - pad; i++)
        bad |= base64_value((unsigned char)text[i]) >> 6;
    /* bits that are in no byte must be zero, so that one key has one text */
    last = base64_value((unsigned char)text[len - pad - 1]);
    bad |= last & (pad == 2 ? 15u : pad == 1 ? 3u : 0u);
    return bad ? 0 : len / 4 * 3 - pad;
}

void
rkp_base64_get(const char *text, size_t len, unsigned char *bytes)
{
    size_t out = rkp_base64_len(text, len);
    unsigned held = 0, bits = 0;

    for (size_t i = 0, o = 0; i < len && o < out; i++) {
        held = (held << 6 | (base64_value((unsigned char)text[i]) & 63u)) & 0xfffu;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            bytes[o++] = (unsigned char)(held >> bits & 0xffu);
        }
    }
    explicit_bzero(&held, sizeof held);
}
