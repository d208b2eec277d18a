/* secret.h - key material
 *
 * A struct rk_secret is opaque.  It lives in memory that is locked, not dumped, wiped on fork, and wiped when freed.
 * Its length is fixed when it is made; there is no append, no copy, no print, and the bytes are
 * reached only inside a callback.  Between processes a secret travels as a sealed memfd (size
 * sealed); its receiver moves the bytes into memory of its own and wipes the memfd, so that a key
 * is in one process at a time.  Functions on secrets are in struct rk_host (plugin.h).
 */
#ifndef REKEY_SECRET_H
#define REKEY_SECRET_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rk_secret;

#define RK_SECRET_MAX 4096 /* largest secret [bytes] */

/* rk_fill_fn - writes a new secret
 * in:   len  [bytes], 1..RK_SECRET_MAX;  arg  the caller's
 * out:  bytes[len], zeroed before the call; every byte must be written
 * ret:  RK_OK, or a code that secret_new() then returns (and nothing is made)
 */
typedef int rk_fill_fn(unsigned char *bytes, size_t len, void *arg);

/* rk_use_fn - reads a secret
 * in:   bytes[len], valid until it returns;  arg  the caller's
 * ret:  any int; secret_use() returns it
 * note: do not keep, print or copy the bytes anywhere that is not wiped
 */
typedef int rk_use_fn(const unsigned char *bytes, size_t len, void *arg);

#ifdef __cplusplus
}
#endif

#endif
