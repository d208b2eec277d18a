/* squeeze.h - a block of bytes without its zeros
 *
 * For state that is mostly zeros and has to be kept in great number.  Pure; any thread.
 */
#ifndef RK_BASE_SQUEEZE_H
#define RK_BASE_SQUEEZE_H

#include <stdbool.h>
#include <stddef.h>

/* Room for n bytes squeezed, whatever they are: one more for each word of eight, and a word behind the last. */
#define RK_SQUEEZE_MAX(n) ((n) + (n) / 8 + 24)

/* rk_squeeze - from[n] to to[RK_SQUEEZE_MAX(n)].   ret: how many bytes it takes there
 * blocks: never.   src: design */
size_t rk_squeeze(const void *from, size_t n, unsigned char *to);

/* rk_unsqueeze - from[len] to to[n], exactly as it was
 * ret: false when from is not what rk_squeeze() made of n bytes: to then has some of it.   blocks: never */
bool rk_unsqueeze(const unsigned char *from, size_t len, void *to, size_t n);

#endif
