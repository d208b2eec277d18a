/* quality.h - is a shared secret good enough to derive keys from
 *
 * Pure; runs in rekey-host inside a secret's callback, keeps nothing, and wipes what it decodes.  It finds bad secrets;
 * it cannot prove a good one (an estimate sees statistics, not how the secret was made).
 */
#ifndef STATIC_QUALITY_H
#define STATIC_QUALITY_H

#include <stddef.h>

#define STATIC_SECRET_MIN 32 /* shortest secret [bytes] */
/* Least estimated content [bits]: NIST SP 800-57 Part 1 Rev. 5, table 2, lowest strength that is still allowed. */
#define STATIC_BITS_MIN 112

/* static_secret_flaw - what is wrong with this secret
 * in:   bytes[len]
 * ret:  NULL when nothing was found; else a phrase that fits behind "the secret ", never with its content
 * thread: any.  blocks: never */
const char *static_secret_flaw(const unsigned char *bytes, size_t len);

/* static_key_flaw - what is wrong with a key that is used as it is
 * in:   bytes[len], decoded.   ret, thread, blocks: as static_secret_flaw */
const char *static_key_flaw(const unsigned char *bytes, size_t len);

/* static_secret_bits - estimated content [bits] of bytes[len]: Shannon entropy over byte values (with Miller's
 * correction, so that a short random secret is not rated too low), times the bytes that do not follow from others */
double static_secret_bits(const unsigned char *bytes, size_t len);

#endif
