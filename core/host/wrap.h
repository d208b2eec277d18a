/* wrap.h - channel keys as text for the journal: wrapped under the auth-key, so that the journal has no key in it
 *
 * Runs in rekey-host.  AES-256-GCM by OpenSSL with a fresh nonce, under a key for each link (rk_kdf_wrap); link and key
 * ID are authenticated with it, so that no text stands for another key.
 */
#ifndef RK_WRAP_H
#define RK_WRAP_H

#include "hmac.h"

#include "../base/limits.h"

/* Whose channel key it is. */
struct rk_wrap_of {
    const char *link, *key_id;
};

/* rk_wrap - one channel key
 * in:   auth_key;  key[RK_CHANKEY_BYTES].   out: hex[RK_WRAP_HEX + 1]: nonce, wrapped key, tag
 * ret:  RK_OK, RK_E_NOMEM, RK_E_FATAL.   thread: any.   blocks: never.   src: NIST SP 800-38D */
int rk_wrap(struct rk_bytes auth_key, const struct rk_wrap_of *of, const unsigned char *key, char *hex);

/* rk_unwrap - the way back
 * in:   hex  any text.   out: key[RK_CHANKEY_BYTES], locked memory of the caller; zeros unless RK_OK
 * ret:  RK_OK; RK_E_PROTOCOL: no such text; RK_E_AUTH: of another auth-key, link or key ID; RK_E_NOMEM, RK_E_FATAL
 * thread: any.   blocks: never.   src: NIST SP 800-38D */
int rk_unwrap(struct rk_bytes auth_key, const struct rk_wrap_of *of, const char *hex, unsigned char *key);

#endif
