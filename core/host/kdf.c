/* kdf.c - derivations by OpenSSL.  Intermediate keys are secrets; a tag is public once made. */
#include "kdf.h"

#include "../base/text.h"

#include <openssl/evp.h>
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

struct hkdf {
    const struct rk_secret *key;
    const char *salt; /* a text; NULL: none */
    const void *info;
    size_t info_len;
    unsigned char *out;
    size_t len;
};

/* What fails after it had worked before has found no memory; else
 * there is no SHA-256, and the process cannot go on. */
static int
outcome(bool ok)
{
    static atomic_bool worked;

    if (ok)
        atomic_store_explicit(&worked, true, memory_order_relaxed);
    else
        return atomic_load_explicit(&worked, memory_order_relaxed) ? RK_E_NOMEM : RK_E_FATAL;
    return RK_OK;
}

/* Fetched once: to look an algorithm up by name costs far more than to use it.  Shared by threads, never changed. */
static EVP_KDF *hkdf;

static void
fetch_hkdf(void)
{
    hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
}

static EVP_KDF_CTX *
new_hkdf(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, fetch_hkdf);
    return hkdf ? EVP_KDF_CTX_new(hkdf) : NULL;
}

static int
hkdf_with(const unsigned char *key, size_t key_len, void *arg)
{
    struct hkdf *h = arg;
    EVP_KDF_CTX *ctx = new_hkdf();
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(size_t)key, key_len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(size_t)h->info, h->info_len),
        OSSL_PARAM_construct_end(), /* or the salt */
        OSSL_PARAM_construct_end(),
    };
    int ok;

    if (h->salt)
        params[3] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(size_t)h->salt, strlen(h->salt));
    ok = ctx && EVP_KDF_derive(ctx, h->out, h->len, params) == 1;

    EVP_KDF_CTX_free(ctx);
    return outcome(ok);
}

static int
hkdf_fill(unsigned char *out, size_t len, void *arg)
{
    struct hkdf *h = arg;

    h->out = out;
    h->len = len;
    return rk_secret_use(h->key, hkdf_with, h);
}

int
rk_kdf_derive(const struct rk_secret *key, const void *info, size_t info_len, size_t len, struct rk_secret **out)
{
    struct hkdf h = {.key = key, .info = info, .info_len = info_len};

    *out = NULL;
    if (len == 0 || len > 255 * 32)
        return RK_E_CONTRACT;
    return rk_secret_new(len, hkdf_fill, &h, out);
}

int
rk_kdf_salted(const struct rk_secret *key, const struct rk_kdf_label *label, size_t len, struct rk_secret **out)
{
    struct hkdf h = {.key = key, .salt = label->salt, .info = label->info, .info_len = label->info_len};

    *out = NULL;
    if (len == 0 || len > 255 * 32)
        return RK_E_CONTRACT;
    return rk_secret_new(len, hkdf_fill, &h, out);
}

static EVP_MD *sha256; /* as hkdf */

static void
fetch_sha256(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

int
rk_kdf_sha256(const void *data, size_t len, unsigned char out[32])
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, fetch_sha256);
    return outcome(sha256 && EVP_Digest(data, len, out, NULL, sha256, NULL) == 1);
}

/* Public bytes that go into a tag: texts with their NUL, so that no two sequences of texts look alike. */
struct text {
    unsigned char bytes[1024];
    size_t len;
};

static void
add_text(struct text *t, const char *s)
{
    size_t n = strlen(s) + 1;

    if (n <= sizeof t->bytes - t->len) {
        memcpy(t->bytes + t->len, s, n);
        t->len += n;
    }
}

struct tag {
    struct rk_hmac *hmac;
    const struct text *text;
    char *hex;
};

static int
tag_with(const unsigned char *key, size_t len, void *arg)
{
    struct tag *t = arg;
    unsigned char mac[RK_HMAC_BYTES];

    if (!rk_hmac_key(t->hmac, (struct rk_bytes){key, len}) ||
        !rk_hmac_tag(t->hmac, t->text->bytes, t->text->len, mac))
        return outcome(false);
    rk_hex_put(mac, RK_CONFIRM_HEX / 2, t->hex);
    return outcome(true);
}

/* ---- keys of one block ---- */

/* HKDF-SHA-256 for one block (RFC 5869): what it extracts, and behind it the key, both in locked memory. */
struct block {
    struct rk_hmac *hmac; /* begun, with no salt therefore */
    const struct rk_secret *key;
    struct text info;
    unsigned char *out;
};

static int
extract(const unsigned char *key, size_t len, void *arg)
{
    struct block *c = arg;

    if (!rk_hmac_tag(c->hmac, key, len, c->out) ||
        !rk_hmac_key(c->hmac, (struct rk_bytes){c->out, RK_HMAC_BYTES}) ||
        !rk_hmac_tag(c->hmac, c->info.bytes, c->info.len, c->out + RK_HMAC_BYTES))
        return outcome(false);
    return RK_OK;
}

static int
block_fill(unsigned char *out, size_t len, void *arg)
{
    struct block *c = arg;

    (void)len;
    c->out = out;
    return rk_secret_use(c->key, extract, c);
}

/* ---- confirm tags ---- */

struct tags {
    struct rk_hmac *hmac;
    struct text text;
    struct rk_confirm tags; /* where they go */
    uint32_t role;
};

static int
tags_with(const unsigned char *bytes, size_t len, void *arg)
{
    struct tags *t = arg;
    struct tag mine = {t->hmac, &t->text, t->tags.mine}, theirs = {t->hmac, &t->text, t->tags.theirs};
    unsigned char *role = &t->text.bytes[t->text.len - 1];
    int err = RK_OK;

    (void)len;
    *role = (unsigned char)t->role;
    if (mine.hex)
        err = tag_with(bytes + RK_HMAC_BYTES, RK_HMAC_BYTES, &mine);
    *role = t->role == 1 ? 2 : 1;
    if (!err && theirs.hex)
        err = tag_with(bytes + RK_HMAC_BYTES, RK_HMAC_BYTES, &theirs);
    return err;
}

int
rk_kdf_confirms(const struct rk_secret *key, const struct rk_confirm_of *of, struct rk_confirm out)
{
    struct rk_hmac hmac;
    struct block c = {.hmac = &hmac, .key = key, .info = {.len = 0}};
    struct tags t = {.hmac = &hmac, .text = {.len = 0}, .tags = out, .role = of->role};
    struct rk_secret *confirm_key;
    int err;

    add_text(&c.info, "rekey confirm v1");
    add_text(&c.info, of->link);
    add_text(&c.info, of->key_id);
    c.info.bytes[c.info.len++] = 1; /* the number of the block */
    add_text(&t.text, of->link);
    add_text(&t.text, of->key_id);
    for (int i = 7; i >= 0; i--)
        t.text.bytes[t.text.len++] = (unsigned char)(of->seq >> 8 * i);
    t.text.len++; /* the role */
    err = rk_hmac_begin(&hmac) ? rk_secret_new(2 * RK_HMAC_BYTES, block_fill, &c, &confirm_key) : outcome(false);
    if (!err) {
        err = rk_secret_use(confirm_key, tags_with, &t);
        rk_secret_free(&confirm_key);
    }
    rk_hmac_end(&hmac);
    return err;
}

int
rk_kdf_confirm(const struct rk_secret *key, const char *link, const char *key_id, uint64_t seq, uint32_t role,
               char *hex)
{
    const struct rk_confirm_of of = {link, key_id, seq, role};

    return rk_kdf_confirms(key, &of, (struct rk_confirm){.mine = hex});
}

/* ---- channels ---- */

int
rk_kdf_channel(const struct rk_secret *key, const struct rk_confirm_of *of, struct rk_secret **out)
{
    struct text info = {.len = 0};

    add_text(&info, "rekey channel v1");
    add_text(&info, of->link);
    add_text(&info, of->key_id);
    return rk_kdf_derive(key, info.bytes, info.len, RK_CHANKEY_BYTES, out);
}

static int
copy_fill(unsigned char *out, size_t len, void *arg)
{
    memcpy(out, ((const struct rk_bytes *)arg)->bytes, len);
    return RK_OK;
}

int
rk_kdf_wrap(struct rk_bytes auth_key, const char *link, struct rk_secret **out)
{
    struct text info = {.len = 0};
    struct rk_secret *key;
    int err;

    add_text(&info, "rekey wrap v1");
    add_text(&info, link);
    *out = NULL;
    err = rk_secret_new(auth_key.len, copy_fill, &auth_key, &key);
    if (!err) {
        err = rk_kdf_derive(key, info.bytes, info.len, 32, out);
        rk_secret_free(&key);
    }
    return err;
}

int
rk_kdf_record(struct rk_bytes key, struct rk_parties parties, const char *text, char *hex)
{
    struct rk_hmac hmac;
    struct text input = {.len = 0};
    struct tag tag = {&hmac, &input, hex};
    int err;

    add_text(&input, "rekey record v1");
    add_text(&input, parties.from_sae);
    add_text(&input, parties.to_sae);
    add_text(&input, text);
    err = rk_hmac_begin(&hmac) ? tag_with(key.bytes, key.len, &tag) : outcome(false);
    rk_hmac_end(&hmac);
    return err;
}
