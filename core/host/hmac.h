/* hmac.h - HMAC-SHA-256, ready for use
 *
 * OpenSSL looks an algorithm up by its name each time, unless it is kept: that costs several times the tag itself.
 */
#ifndef RK_HMAC_H
#define RK_HMAC_H

#include <stdbool.h>
#include <stddef.h>

#define RK_HMAC_BYTES 32

struct rk_bytes {
    const unsigned char *bytes;
    size_t len;
};

/* rk_hmac - HMAC-SHA-256 of data[len]
 * out:  mac[RK_HMAC_BYTES];  data may be where key is, and mac may not.   ret: was it made
 * thread: any.   blocks: never.   src: RFC 2104 */
bool rk_hmac(struct rk_bytes key, const void *data, size_t len, unsigned char *mac);

#endif
