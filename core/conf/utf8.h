/* utf8.h - is this well-formed UTF-8
 *
 * Pure.
 */
#ifndef RK_UTF8_H
#define RK_UTF8_H

#include <stddef.h>

/* rk_utf8_len - length of the character at text
 * in:   left  bytes that may be looked at, 1 or more; a NUL among them ends the text
 * ret:  1..4 [bytes]; 0 when there is no well-formed character: overlong forms, surrogates and what is above
 *       U+10FFFF are none (RFC 3629 section 4).   thread: any */
size_t rk_utf8_len(const char *text, size_t left);

#endif
