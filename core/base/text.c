/* text.c - names, hex, suggestions.  Pure. */
#include "text.h"

#include <rekey/source.h>

#include <ctype.h>
#include <stdint.h>
#include <string.h>

bool
rk_copy(char *dst, size_t size, const char *src)
{
    size_t n = strnlen(src, size);

    if (n >= size) {
        dst[0] = '\0';
        return false;
    }
    memcpy(dst, src, n + 1);
    return true;
}

/* What a character may be part of: a state of the journal has some 200 of them, and is looked at in each step.  Of
 * what is secret none is looked up here, see rk_hex_get(). */
#define FIRST 1u /* of a name */
#define NAME 2u
#define KEY_ID 4u
#define HEX 8u

static const unsigned char is_part_of[256] = {
    ['!' ... ','] = KEY_ID,
    ['-' ... '.'] = KEY_ID | NAME,
    ['0' ... '9'] = KEY_ID | NAME | FIRST | HEX,
    [':' ... '@'] = KEY_ID,
    ['A' ... 'F'] = KEY_ID | NAME | FIRST | HEX,
    ['G' ... 'Z'] = KEY_ID | NAME | FIRST,
    ['[' ... '^'] = KEY_ID,
    ['_'] = KEY_ID | NAME,
    ['`'] = KEY_ID,
    ['a' ... 'f'] = KEY_ID | NAME | FIRST | HEX,
    ['g' ... 'z'] = KEY_ID | NAME | FIRST,
    ['{'] = KEY_ID,
    ['}' ... '~'] = KEY_ID,
};

/* Are n characters, at most max + 1 of which were counted, between 1 and max that are all part of it? */
static bool
all_part_of(const char *text, size_t n, size_t max, unsigned what)
{
    unsigned all = what;

    for (size_t i = 0; i < n; i++)
        all &= is_part_of[(unsigned char)text[i]];
    return n > 0 && n <= max && all == what;
}

bool
rk_name_ok(const char *name, size_t max)
{
    return (is_part_of[(unsigned char)name[0]] & FIRST) && all_part_of(name, strnlen(name, max + 1), max, NAME);
}

bool
rk_key_id_ok(const char *id)
{
    return all_part_of(id, strnlen(id, RK_KEY_ID_MAX + 1), RK_KEY_ID_MAX, KEY_ID);
}

void
rk_key_id_fold(char *id)
{
    if (strlen(id) != 36)
        return;
    for (size_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? id[i] != '-' : !isxdigit((unsigned char)id[i]))
            return;
    }
    for (size_t i = 0; i < 36; i++)
        id[i] = (char)tolower((unsigned char)id[i]);
}

void
rk_hex_put(const unsigned char *bytes, size_t n, char *out)
{
    for (size_t i = 0; i < 2 * n; i++) {
        unsigned v = i % 2 ? bytes[i / 2] & 15u : bytes[i / 2] >> 4;

        /* '0' + v, and 39 more from 'a' on; no table that a cache could tell about */
        out[i] = (char)('0' + v + (((9u - v) >> 8) & 39u));
    }
    out[2 * n] = '\0';
}

/* Value of a hex digit, or a number with bit 8 set; without branches on the digit. */
static unsigned
hex_value(unsigned c)
{
    unsigned digit = c - '0', letter = (c | 32u) - 'a';
    /* x below n has the top bit of x - n set, and of x itself clear: a character below the first one wraps */
    unsigned is_digit = ((digit - 10u) & ~digit) >> 31, is_letter = ((letter - 6u) & ~letter) >> 31;

    return (is_digit * (digit & 15u)) | (is_letter * ((letter + 10u) & 15u)) |
           ((1u ^ (is_digit | is_letter)) << 8);
}

bool
rk_hex_get(const char *hex, unsigned char *bytes, size_t n)
{
    unsigned bad = 0;

    if (strnlen(hex, 2 * n + 1) != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        unsigned hi = hex_value((unsigned char)hex[2 * i]), lo = hex_value((unsigned char)hex[2 * i + 1]);

        bad |= (hi | lo) >> 8;
        bytes[i] = (unsigned char)(hi << 4 | lo);
    }
    return bad == 0;
}

bool
rk_hex_ok(const char *hex, size_t digits)
{
    return strnlen(hex, digits + 1) == digits && (digits == 0 || all_part_of(hex, digits, digits, HEX));
}

bool
rk_same(const void *a, const void *b, size_t n)
{
    const volatile unsigned char *x = a, *y = b;
    unsigned differ = 0;

    for (size_t i = 0; i < n; i++)
        differ |= (unsigned)(x[i] ^ y[i]);
    return differ == 0;
}

/* Levenshtein distance of short words; longer than 31 counts as far. */
static unsigned
distance(const char *a, const char *b)
{
    unsigned row[32];
    size_t n = strlen(b);

    if (n > 31 || strlen(a) > 31)
        return 99;
    for (unsigned j = 0; j <= n; j++)
        row[j] = j;
    for (unsigned i = 1; a[i - 1]; i++) {
        unsigned diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);

            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[n];
}

const char *
rk_nearest(const char *word, const char *const *names, size_t n)
{
    const char *best = NULL;
    unsigned best_distance = strlen(word) < 4 ? 2 : 4; /* at most 1 or 3 letters off */

    for (size_t i = 0; i < n; i++) {
        unsigned d = distance(word, names[i]);

        if (d < best_distance && d < strlen(names[i])) {
            best = names[i];
            best_distance = d;
        }
    }
    return best;
}

unsigned long long
rk_hash(const char *text)
{
    uint64_t h = 14695981039346656037u;

    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 1099511628211u;
    return h;
}
