/* hmac.c - see hmac.h.  A context that is never used is copied; the copy is wiped when it is freed. */
#include "hmac.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>

static EVP_MAC_CTX *pattern; /* its key is zeros; shared by threads, never changed; NULL: no HMAC-SHA-256 */

static void
make_pattern(void)
{
    static const unsigned char zeros[RK_HMAC_BYTES];
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                           OSSL_PARAM_construct_end()};
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);

    pattern = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
    EVP_MAC_free(hmac); /* the context holds it */
    if (pattern && EVP_MAC_init(pattern, zeros, sizeof zeros, params) != 1) {
        EVP_MAC_CTX_free(pattern);
        pattern = NULL;
    }
}

bool
rk_hmac_begin(struct rk_hmac *h)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, make_pattern);
    h->ctx = pattern ? EVP_MAC_CTX_dup(pattern) : NULL;
    return h->ctx != NULL;
}

bool
rk_hmac_key(struct rk_hmac *h, struct rk_bytes key)
{
    return EVP_MAC_init(h->ctx, key.bytes, key.len, NULL) == 1;
}

bool
rk_hmac_tag(struct rk_hmac *h, const void *data, size_t len, unsigned char *mac)
{
    size_t made = 0;

    return EVP_MAC_update(h->ctx, data, len) == 1 && EVP_MAC_final(h->ctx, mac, &made, RK_HMAC_BYTES) == 1 &&
           made == RK_HMAC_BYTES;
}

void
rk_hmac_end(struct rk_hmac *h)
{
    EVP_MAC_CTX_free(h->ctx); /* which wipes it */
    h->ctx = NULL;
}
