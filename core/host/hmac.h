/* hmac.h - HMAC-SHA-256 by OpenSSL, ready for use
 *
 * OpenSSL looks an algorithm up by its name each time, unless it is kept: that costs several times the tag itself.  A
 * context costs a quarter of a tag, so that tags that are made together share one.
 */
#ifndef RK_HMAC_H
#define RK_HMAC_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

#define RK_HMAC_BYTES 32

struct rk_bytes {
    const unsigned char *bytes;
    size_t len;
};

/* Tags that are made one after the other, by one thread. */
struct rk_hmac {
    EVP_MAC_CTX *ctx;
};

/* rk_hmac_begin - make h ready for a tag under RK_HMAC_BYTES zeros, the salt of an HKDF that has none
 * ret:  false: no memory, or OpenSSL has no HMAC-SHA-256; rk_hmac_end() is due in any case
 * thread: any.   blocks: never.   src: RFC 5869 section 2.2 */
bool rk_hmac_begin(struct rk_hmac *h);

/* rk_hmac_key - take another key for the next tag
 * own:  nothing is kept of the bytes beyond rk_hmac_end().   ret: was it taken
 * thread: one at a time.   blocks: never.   src: RFC 2104 */
bool rk_hmac_key(struct rk_hmac *h, struct rk_bytes key);

/* rk_hmac_tag - HMAC-SHA-256 of data[len], once for each rk_hmac_begin() and rk_hmac_key()
 * out:  mac[RK_HMAC_BYTES], not where data is.   ret: was it made
 * thread: one at a time.   blocks: never.   src: RFC 2104 */
bool rk_hmac_tag(struct rk_hmac *h, const void *data, size_t len, unsigned char *mac);

/* rk_hmac_end - wipe what is left of keys, and free it
 * thread: one at a time.   blocks: never.   src: none */
void rk_hmac_end(struct rk_hmac *h);

#endif
