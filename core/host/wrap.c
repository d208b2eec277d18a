/* wrap.c - see wrap.h. */
#include "wrap.h"

#include "kdf.h"

#include "../base/text.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#define NONCE 12
#define TAG 16
#define ALL (NONCE + RK_CHANKEY_BYTES + TAG)

_Static_assert(2 * ALL == RK_WRAP_HEX, "the text of limits.h");

/* One wrapping or unwrapping. */
struct wrap {
    EVP_CIPHER_CTX *ctx;
    const struct rk_wrap_of *of;
    const unsigned char *in;
    unsigned char *out;
    unsigned char *nonce, *tag;
    int encrypt;
};

static bool
add_names(const struct wrap *w)
{
    int done;

    return EVP_CipherUpdate(w->ctx, NULL, &done, (const unsigned char *)w->of->link,
                            (int)strlen(w->of->link) + 1) == 1 &&
           EVP_CipherUpdate(w->ctx, NULL, &done, (const unsigned char *)w->of->key_id,
                            (int)strlen(w->of->key_id) + 1) == 1;
}

/* ret: RK_E_AUTH: what was unwrapped is not what was wrapped */
static int
cipher_with(const unsigned char *key, size_t len, void *arg)
{
    struct wrap *w = arg;
    int done = 0, more = 0;

    (void)len;
    if (EVP_CipherInit_ex(w->ctx, EVP_aes_256_gcm(), NULL, key, w->nonce, w->encrypt) != 1 || !add_names(w) ||
        EVP_CipherUpdate(w->ctx, w->out, &done, w->in, RK_CHANKEY_BYTES) != 1 || done != RK_CHANKEY_BYTES)
        return RK_E_FATAL;
    if (!w->encrypt && EVP_CIPHER_CTX_ctrl(w->ctx, EVP_CTRL_AEAD_SET_TAG, TAG, w->tag) != 1)
        return RK_E_FATAL;
    if (EVP_CipherFinal_ex(w->ctx, w->out + done, &more) != 1)
        return w->encrypt ? RK_E_FATAL : RK_E_AUTH;
    if (w->encrypt && EVP_CIPHER_CTX_ctrl(w->ctx, EVP_CTRL_AEAD_GET_TAG, TAG, w->tag) != 1)
        return RK_E_FATAL;
    return RK_OK;
}

static int
run(struct wrap *w, struct rk_bytes auth_key)
{
    struct rk_secret *key = NULL;
    int err = rk_kdf_wrap(auth_key, w->of->link, &key);

    w->ctx = EVP_CIPHER_CTX_new();
    if (!err)
        err = w->ctx ? rk_secret_use(key, cipher_with, w) : RK_E_NOMEM;
    EVP_CIPHER_CTX_free(w->ctx); /* which wipes it */
    rk_secret_free(&key);
    return err;
}

int
rk_wrap(struct rk_bytes auth_key, const struct rk_wrap_of *of, const unsigned char *key, char *hex)
{
    unsigned char all[ALL];
    struct wrap w = {.of = of, .in = key, .nonce = all, .out = all + NONCE, .tag = all + NONCE + RK_CHANKEY_BYTES,
                     .encrypt = 1};
    int err = RAND_bytes(all, NONCE) == 1 ? run(&w, auth_key) : RK_E_FATAL;

    hex[0] = '\0';
    if (!err)
        rk_hex_put(all, sizeof all, hex);
    return err;
}

int
rk_unwrap(struct rk_bytes auth_key, const struct rk_wrap_of *of, const char *hex, unsigned char *key)
{
    unsigned char all[ALL];
    struct wrap w = {.of = of, .in = all + NONCE, .nonce = all, .out = key, .tag = all + NONCE + RK_CHANKEY_BYTES};
    int err = rk_hex_get(hex, all, sizeof all) ? run(&w, auth_key) : RK_E_PROTOCOL;

    if (err)
        explicit_bzero(key, RK_CHANKEY_BYTES);
    return err;
}
