/* squeeze.c - a block of bytes without its zeros.
 *
 * It is taken as words of eight bytes, the lowest byte first.  Each word that is not zero becomes one byte that says
 * how many zero words are before it (upper half) and how many bytes it has (lower half), and those bytes: zeros at its
 * upper end are left out.  Where there are more zero words than half a byte can say, bytes with a lower half of 0 stand
 * for 15 of them each.  Zero words at the end are left out.
 */
#include "squeeze.h"

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define WORD sizeof(uint64_t)
#define SKIP_MAX 15u

/* The word at[0..n), whatever is missing of it zero. */
static uint64_t
word_at(const unsigned char *at, size_t n)
{
    uint64_t word = 0;

    memcpy(&word, at, n < WORD ? n : WORD);
    return le64toh(word);
}

size_t
rk_squeeze(const void *from, size_t n, unsigned char *to)
{
    const unsigned char *at = from;
    unsigned char *out = to;
    unsigned skip = 0;

    for (size_t i = 0; i < n; i += WORD) {
        uint64_t word = i + WORD <= n ? word_at(at + i, WORD) : word_at(at + i, n - i), bytes;
        unsigned take;

        if (word == 0) {
            skip++;
            continue;
        }
        for (; skip > SKIP_MAX; skip -= SKIP_MAX)
            *out++ = SKIP_MAX << 4;
        take = (unsigned)WORD - (unsigned)__builtin_clzll(word) / 8;
        *out++ = (unsigned char)(skip << 4 | take);
        bytes = htole64(word);
        memcpy(out, &bytes, WORD); /* there is room; what is behind those that count is written over */
        out += take;
        skip = 0;
    }
    return (size_t)(out - to);
}

bool
rk_unsqueeze(const unsigned char *from, size_t len, void *to, size_t n)
{
    const unsigned char *end = from + len;
    unsigned char *out = to;
    size_t at = 0;

    memset(to, 0, n);
    while (from < end) {
        size_t skip = *from >> 4, take = *from & 15u;

        from++;
        at += skip * WORD;
        if (take > WORD || take > (size_t)(end - from) || at > n || take > n - at)
            return false;
        memcpy(out + at, from, take);
        from += take;
        at += take ? WORD : 0;
    }
    return true;
}
