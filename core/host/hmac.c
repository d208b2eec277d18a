/* hmac.c - see hmac.h.  A context that is never used is copied for each tag; the copy is wiped when it is freed. */
#include "hmac.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>

static EVP_MAC_CTX *pattern; /* shared by threads, never changed; NULL: this OpenSSL has no HMAC-SHA-256 */

static void
make_pattern(void)
{
    static const unsigned char any[RK_HMAC_BYTES]; /* one without a key cannot be copied */
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                           OSSL_PARAM_construct_end()};
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);

    pattern = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
    EVP_MAC_free(hmac); /* the context holds it */
    if (pattern && EVP_MAC_init(pattern, any, sizeof any, params) != 1) {
        EVP_MAC_CTX_free(pattern);
        pattern = NULL;
    }
}

bool
rk_hmac(struct rk_bytes key, const void *data, size_t len, unsigned char *mac)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    EVP_MAC_CTX *ctx;
    size_t made = 0;
    bool ok;

    (void)pthread_once(&once, make_pattern);
    ctx = pattern ? EVP_MAC_CTX_dup(pattern) : NULL;
    ok = ctx && EVP_MAC_init(ctx, key.bytes, key.len, NULL) == 1 && EVP_MAC_update(ctx, data, len) == 1 &&
         EVP_MAC_final(ctx, mac, &made, RK_HMAC_BYTES) == 1 && made == RK_HMAC_BYTES;
    EVP_MAC_CTX_free(ctx);
    return ok;
}
