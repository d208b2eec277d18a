/* leak.c - is there a key in what a program said?  What it says goes into logs, so then none of it may be used.
 *
 * No copy of the key is made: its hex and base64 forms are compared digit by digit.
 */
#include "exec.h"

#include <string.h>

struct search {
    const char *text;
    size_t len;
};

static char
hex_digit(const unsigned char *bytes, size_t i)
{
    return "0123456789abcdef"[i % 2 ? bytes[i / 2] & 15 : bytes[i / 2] >> 4];
}

static char
upper_digit(const unsigned char *bytes, size_t i)
{
    return "0123456789ABCDEF"[i % 2 ? bytes[i / 2] & 15 : bytes[i / 2] >> 4];
}

/* Digit i of the base64 form; only digits that are made of whole bytes are asked for. */
static char
base64_digit(const unsigned char *bytes, size_t i)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t bit = i * 6;
    unsigned two = (unsigned)bytes[bit / 8] << 8 | (bit % 8 > 2 ? bytes[bit / 8 + 1] : 0u);

    return digits[two >> (10 - bit % 8) & 63];
}

static bool
has(const struct search *s, const unsigned char *bytes, char (*digit)(const unsigned char *, size_t), size_t n)
{
    for (size_t at = 0; at + n <= s->len; at++) {
        size_t i = 0;

        while (i < n && s->text[at + i] == digit(bytes, i))
            i++;
        if (i == n)
            return true;
    }
    return false;
}

static int
search(const unsigned char *bytes, size_t len, void *arg)
{
    const struct search *s = arg;

    return memmem(s->text, s->len, bytes, len) || has(s, bytes, hex_digit, 2 * len) ||
           has(s, bytes, upper_digit, 2 * len) || has(s, bytes, base64_digit, len * 8 / 6);
}

bool
exec_holds_key(const struct rk_host *host, const struct rk_secret *key, const char *text, size_t len)
{
    struct search s = {text, len};

    return host->secret_use(key, search, &s) != 0;
}
