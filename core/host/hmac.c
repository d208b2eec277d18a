/* hmac.c - see hmac.h.  Nothing of a key is left behind: OpenSSL wipes a hash context when it is freed. */
#include "hmac.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

#define BLOCK_BYTES 64 /* of SHA-256 */

static EVP_MD *sha256; /* shared by threads, never changed; NULL: this OpenSSL has none */

static void
fetch(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

static bool
hash(EVP_MD_CTX *ctx, const struct rk_bytes *parts, size_t n, unsigned char *out)
{
    bool ok = EVP_DigestInit_ex2(ctx, sha256, NULL) == 1;

    for (size_t i = 0; ok && i < n; i++)
        ok = parts[i].len == 0 || EVP_DigestUpdate(ctx, parts[i].bytes, parts[i].len) == 1;
    return ok && EVP_DigestFinal_ex(ctx, out, NULL) == 1;
}

/* The key as one block; a longer one is its hash. */
static bool
put_key(EVP_MD_CTX *ctx, struct rk_bytes key, unsigned char block[BLOCK_BYTES])
{
    memset(block, 0, BLOCK_BYTES);
    if (key.len > BLOCK_BYTES)
        return hash(ctx, &key, 1, block);
    if (key.len)
        memcpy(block, key.bytes, key.len);
    return true;
}

static void
flip(unsigned char block[BLOCK_BYTES], unsigned char with)
{
    for (size_t i = 0; i < BLOCK_BYTES; i++)
        block[i] ^= with;
}

bool
rk_hmac(struct rk_bytes key, const struct rk_bytes *parts, size_t n, unsigned char *mac)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    unsigned char block[BLOCK_BYTES], inner[RK_HMAC_BYTES];
    struct rk_bytes all[1 + RK_HMAC_PARTS_MAX] = {{block, sizeof block}};
    const struct rk_bytes outer[] = {{block, sizeof block}, {inner, sizeof inner}};
    EVP_MD_CTX *ctx;
    bool ok;

    (void)pthread_once(&once, fetch);
    ctx = sha256 && n <= RK_HMAC_PARTS_MAX ? EVP_MD_CTX_new() : NULL;
    ok = ctx && put_key(ctx, key, block);
    if (ok) {
        memcpy(all + 1, parts, n * sizeof *parts);
        flip(block, 0x36);
        ok = hash(ctx, all, 1 + n, inner);
        flip(block, 0x36 ^ 0x5c);
        ok = ok && hash(ctx, outer, 2, mac);
    }
    EVP_MD_CTX_free(ctx);
    explicit_bzero(block, sizeof block);
    explicit_bzero(inner, sizeof inner);
    return ok;
}
