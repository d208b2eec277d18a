/* hmac.h - HMAC-SHA-256 over OpenSSL's SHA-256
 *
 * OpenSSL 3 looks an algorithm up by its name each time, unless it is kept, and its own HMAC makes three hash contexts
 * for a tag: together that is several times the tag itself, and a rotation makes a dozen.
 */
#ifndef RK_HMAC_H
#define RK_HMAC_H

#include <stdbool.h>
#include <stddef.h>

#define RK_HMAC_BYTES 32
#define RK_HMAC_PARTS_MAX 4

struct rk_bytes {
    const unsigned char *bytes; /* NULL: len is 0 */
    size_t len;
};

/* rk_hmac - HMAC-SHA-256 of parts[n], one after the other; n at most RK_HMAC_PARTS_MAX
 * out:  mac[RK_HMAC_BYTES]: may be where the key or a part is.   ret: was it made
 * thread: any.   blocks: never.   src: RFC 2104 */
bool rk_hmac(struct rk_bytes key, const struct rk_bytes *parts, size_t n, unsigned char *mac);

#endif
