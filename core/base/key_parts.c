/* key_parts.c - key IDs of mixed keys, together and apart.  Pure. */
#include "key_parts.h"

#include "text.h"

#include <rekey/err.h>
#include <string.h>

#define JOINT '+'
#define SHORT_MARK '~'
#define UUID_TEXT 36
#define SHORT_TEXT 22 /* base64url of 16 bytes, without padding; the last digit has four bits to spare */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* ---- UUIDs ---- */

static bool
is_dash(size_t at)
{
    return at == 8 || at == 13 || at == 18 || at == 23;
}

/* Of 8-4-4-4-12 hex digits: its 16 bytes. */
static bool
uuid_get(const char *id, unsigned char bytes[16])
{
    char hex[33];
    size_t n = 0;

    if (strlen(id) != UUID_TEXT)
        return false;
    for (size_t i = 0; i < UUID_TEXT; i++) {
        if (is_dash(i) != (id[i] == '-'))
            return false;
        if (!is_dash(i))
            hex[n++] = id[i];
    }
    hex[n] = '\0';
    return rk_hex_get(hex, bytes, 16);
}

static void
uuid_put(const unsigned char bytes[16], char *id)
{
    char hex[33];
    size_t n = 0;

    rk_hex_put(bytes, 16, hex);
    for (size_t i = 0; i < UUID_TEXT; i++)
        id[i] = is_dash(i) ? '-' : hex[n++];
    id[UUID_TEXT] = '\0';
}

static void
short_put(const unsigned char bytes[16], char *text)
{
    unsigned bits = 0, n_bits = 0;
    size_t at = 0;

    *text++ = SHORT_MARK;
    for (size_t i = 0; i < SHORT_TEXT; i++) {
        while (n_bits < 6) {
            bits = bits << 8 | (at < 16 ? bytes[at] : 0u);
            at++;
            n_bits += 8;
        }
        n_bits -= 6;
        text[i] = digits[bits >> n_bits & 63u];
        bits &= (1u << n_bits) - 1u;
    }
    text[SHORT_TEXT] = '\0';
}

/* Behind the mark.  What is over behind the last byte must be zero: one UUID has one short form. */
static bool
short_get(const char *text, unsigned char bytes[16])
{
    unsigned bits = 0, n_bits = 0;
    size_t at = 0;

    if (strlen(text) != SHORT_TEXT)
        return false;
    for (size_t i = 0; i < SHORT_TEXT; i++) {
        const char *digit = strchr(digits, text[i]);

        if (!digit)
            return false;
        bits = bits << 6 | (unsigned)(digit - digits);
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            bytes[at++] = (unsigned char)(bits >> n_bits);
            bits &= (1u << n_bits) - 1u;
        }
    }
    return bits == 0;
}

/* ---- parts ---- */

/* As it stands in a mixed ID; false: it cannot. */
static bool
part_put(const char *id, char *text)
{
    unsigned char bytes[16];

    if (!id[0]) {
        text[0] = '\0';
        return true;
    }
    if (!rk_key_id_ok(id) || id[0] == SHORT_MARK || strchr(id, JOINT))
        return false;
    if (uuid_get(id, bytes))
        short_put(bytes, text);
    else
        strcpy(text, id);
    return true;
}

static bool
part_get(const char *text, char *id)
{
    unsigned char bytes[16];

    if (text[0] == SHORT_MARK) {
        if (!short_get(text + 1, bytes))
            return false;
        uuid_put(bytes, id);
        return true;
    }
    return (!text[0] || rk_key_id_ok(text)) && !uuid_get(text, bytes) && rk_copy(id, RK_KEY_ID_MAX + 1, text);
}

int
rk_key_parts_join(const struct rk_key_parts *parts, char *id, size_t *which)
{
    char text[RK_PARTS_MAX * (RK_KEY_ID_MAX + 1)] = "";
    size_t len = 0, worst = 0, most = 0;

    id[0] = '\0';
    if (parts->n < 2 || parts->n > RK_PARTS_MAX)
        return RK_E_CONTRACT;
    for (size_t i = 0; i < parts->n; i++) {
        size_t n;

        if (which)
            *which = i;
        if (i)
            text[len++] = JOINT;
        if (!part_put(parts->id[i], text + len))
            return RK_E_PROTOCOL;
        n = strlen(text + len);
        len += n;
        worst = n > most ? i : worst;
        most = n > most ? n : most;
    }
    if (which)
        *which = worst;
    if (len < parts->n)
        return RK_E_CONTRACT;
    return rk_copy(id, RK_KEY_ID_MAX + 1, text) ? RK_OK : RK_E_CONFIG;
}

int
rk_key_parts_split(const char *id, size_t n, struct rk_key_parts *parts)
{
    char copy[RK_KEY_ID_MAX + 1], *rest = copy;
    bool ok = n >= 2 && n <= RK_PARTS_MAX && rk_copy(copy, sizeof copy, id), any = false;

    memset(parts, 0, sizeof *parts);
    for (size_t i = 0; ok && i < n; i++) {
        char *part = rest ? strsep(&rest, "+") : NULL;

        ok = part && part_get(part, parts->id[i]);
        any |= ok && parts->id[i][0];
    }
    if (ok && any && !rest) {
        parts->n = n;
        return RK_OK;
    }
    memset(parts, 0, sizeof *parts);
    return RK_E_PROTOCOL;
}

size_t
rk_key_parts_missing(const char *id, size_t n)
{
    struct rk_key_parts parts;
    size_t i = 0;

    if (rk_key_parts_split(id, n, &parts) != RK_OK)
        return n;
    while (i < n && parts.id[i][0])
        i++;
    return i;
}

bool
rk_key_parts_likely(const char *id)
{
    struct rk_key_parts parts;

    if (!strchr(id, SHORT_MARK))
        return false;
    for (size_t n = 2; n <= RK_PARTS_MAX; n++)
        if (rk_key_parts_split(id, n, &parts) == RK_OK)
            return true;
    return false;
}
