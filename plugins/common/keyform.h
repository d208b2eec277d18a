/* keyform.h - keys that people and tools have written down: decoded, and judged
 *
 * Pure; linked into plugins.  What is decoded is the caller's to wipe; texts never hold what was read.
 */
#ifndef RKP_KEYFORM_H
#define RKP_KEYFORM_H

#include <stdbool.h>
#include <stddef.h>

#define RKP_KEY_MIN 16     /* shortest key [bytes]: 128 bits */
#define RKP_EXAMPLE_MAX 32 /* longest example key [bytes] */

/* rkp_key_decode - hex or base64 to bytes[RK_SECRET_MAX]
 * in:   text[len];  raw  what is neither is taken as it is
 * out:  *n, length [bytes]
 * ret:  NULL, or what is wrong with the key, and what to do about it */
const char *rkp_key_decode(const char *text, size_t len, int raw, unsigned char *bytes, size_t *n);

/* rkp_key_flaw - what is wrong with key bytes[n]: too short or long, cut, all the same, an example
 * ret:  NULL, or the flaw with its remedy.   blocks: never */
const char *rkp_key_flaw(const unsigned char *bytes, size_t n);

/* rkp_holds_example - is a key that is printed in a standard or manual a part of bytes[n] */
bool rkp_holds_example(const unsigned char *bytes, size_t n);

#endif
