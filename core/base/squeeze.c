/* squeeze.c - a block of bytes without its zeros.
 *
 * Runs, until the block is full: one byte how many zeros there are, one byte how many other bytes follow, and those.
 * A zero or two among other bytes stay with them: to leave them out would cost as much.  Zeros at the end are left out.
 */
#include "squeeze.h"

#include <stdint.h>
#include <string.h>

#define RUN_MAX 255u
#define GAP 3u /* zeros in a row that end a run */

/* How many zeros at[0..n) begins with. */
static size_t
zeros(const unsigned char *at, size_t n)
{
    size_t i = 0;
    uint64_t word = 0;

    while (i + sizeof word <= n && (memcpy(&word, at + i, sizeof word), word == 0))
        i += sizeof word;
    while (i < n && at[i] == 0)
        i++;
    return i;
}

/* How many bytes there are before the next gap, or before the end; trailing zeros are not among them. */
static size_t
others(const unsigned char *at, size_t n)
{
    size_t i = 0, gap = 0;

    while (i < n && gap < GAP)
        gap = at[i++] ? 0 : gap + 1;
    return i - gap;
}

size_t
rk_squeeze(const void *from, size_t n, unsigned char *to)
{
    const unsigned char *at = from, *end = at + n;
    unsigned char *out = to;

    for (;;) {
        size_t skip = zeros(at, (size_t)(end - at)), keep;

        at += skip;
        if (at == end)
            return (size_t)(out - to);
        for (; skip > RUN_MAX; skip -= RUN_MAX) {
            *out++ = RUN_MAX;
            *out++ = 0;
        }
        keep = others(at, (size_t)(end - at) < RUN_MAX ? (size_t)(end - at) : RUN_MAX);
        *out++ = (unsigned char)skip;
        *out++ = (unsigned char)keep;
        memcpy(out, at, keep);
        out += keep;
        at += keep;
    }
}

bool
rk_unsqueeze(const unsigned char *from, size_t len, void *to, size_t n)
{
    const unsigned char *end = from + len;
    unsigned char *out = to;
    size_t left = n;

    memset(to, 0, n);
    while (end - from >= 2) {
        size_t skip = from[0], keep = from[1];

        from += 2;
        if (skip + keep > left || keep > (size_t)(end - from))
            return false;
        memcpy(out + skip, from, keep);
        from += keep;
        out += skip + keep;
        left -= skip + keep;
    }
    return from == end;
}
