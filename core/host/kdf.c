/* kdf.c - derivations over OpenSSL's SHA-256.  Intermediate keys are secrets; a tag is public once made. */
#include "kdf.h"

#include "hmac.h"

#include "../base/text.h"

#include <openssl/evp.h>
#include <string.h>

/* ---- HKDF-SHA-256 (RFC 5869) ---- */

struct hkdf {
    const struct rk_secret *key;
    struct rk_bytes salt, info;
    unsigned char *out; /* of the step that runs: locked memory */
    size_t len;
};

/* No salt is one of zeros, and HMAC fills a short key with zeros. */
static int
extract_with(const unsigned char *key, size_t len, void *arg)
{
    const struct hkdf *h = arg;
    const struct rk_bytes part = {key, len};

    return rk_hmac(h->salt, &part, 1, h->out) ? RK_OK : RK_E_FATAL;
}

static int
extract(unsigned char *out, size_t len, void *arg)
{
    struct hkdf *h = arg;

    (void)len;
    h->out = out;
    return rk_secret_use(h->key, extract_with, h);
}

static int
expand_with(const unsigned char *prk, size_t prk_len, void *arg)
{
    const struct hkdf *h = arg;
    unsigned char number = 0, block[RK_HMAC_BYTES];
    struct rk_bytes parts[] = {{NULL, 0}, h->info, {&number, 1}};
    bool ok = true;

    for (size_t at = 0; ok && at < h->len; at += RK_HMAC_BYTES) {
        size_t n = h->len - at < RK_HMAC_BYTES ? h->len - at : RK_HMAC_BYTES;

        number++;
        ok = rk_hmac((struct rk_bytes){prk, prk_len}, parts, 3, block);
        if (ok)
            memcpy(h->out + at, block, n);
        parts[0] = (struct rk_bytes){h->out + at, n};
    }
    explicit_bzero(block, sizeof block);
    return ok ? RK_OK : RK_E_FATAL;
}

static int
expand(unsigned char *out, size_t len, void *arg)
{
    struct hkdf *h = arg;

    h->out = out;
    h->len = len;
    return rk_secret_use(h->key, expand_with, h);
}

static int
derive(struct hkdf *h, size_t len, struct rk_secret **out)
{
    struct rk_secret *prk;
    int err;

    *out = NULL;
    if (len == 0 || len > 255 * RK_HMAC_BYTES)
        return RK_E_CONTRACT;
    err = rk_secret_new(RK_HMAC_BYTES, extract, h, &prk);
    if (err)
        return err;
    h->key = prk;
    err = rk_secret_new(len, expand, h, out);
    rk_secret_free(&prk);
    return err;
}

int
rk_kdf_derive(const struct rk_secret *key, const void *info, size_t info_len, size_t len, struct rk_secret **out)
{
    return derive(&(struct hkdf){.key = key, .info = {info, info_len}}, len, out);
}

int
rk_kdf_salted(const struct rk_secret *key, const struct rk_kdf_label *label, size_t len, struct rk_secret **out)
{
    return derive(&(struct hkdf){.key = key, .salt = {(const unsigned char *)label->salt, strlen(label->salt)},
                                 .info = {label->info, label->info_len}}, len, out);
}

int
rk_kdf_sha256(const void *data, size_t len, unsigned char out[32])
{
    return EVP_Digest(data, len, out, NULL, EVP_sha256(), NULL) == 1 ? RK_OK : RK_E_FATAL;
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
    const struct text *text;
    char *hex;
};

static int
tag_with(const unsigned char *key, size_t len, void *arg)
{
    struct tag *t = arg;
    unsigned char mac[RK_HMAC_BYTES];

    if (!rk_hmac((struct rk_bytes){key, len}, &(struct rk_bytes){t->text->bytes, t->text->len}, 1, mac))
        return RK_E_FATAL;
    rk_hex_put(mac, RK_CONFIRM_HEX / 2, t->hex);
    return RK_OK;
}

/* ---- confirm tags ---- */

struct tags {
    struct text text;
    struct rk_confirm tags; /* where they go */
    uint32_t role;
};

static int
tags_with(const unsigned char *bytes, size_t len, void *arg)
{
    struct tags *t = arg;
    struct tag mine = {&t->text, t->tags.mine}, theirs = {&t->text, t->tags.theirs};
    unsigned char *role = &t->text.bytes[t->text.len - 1];
    int err = RK_OK;

    *role = (unsigned char)t->role;
    if (mine.hex)
        err = tag_with(bytes, len, &mine);
    *role = t->role == 1 ? 2 : 1;
    if (!err && theirs.hex)
        err = tag_with(bytes, len, &theirs);
    return err;
}

int
rk_kdf_confirms(const struct rk_secret *key, const struct rk_confirm_of *of, struct rk_confirm out)
{
    struct text info = {.len = 0};
    struct tags t = {.text = {.len = 0}, .tags = out, .role = of->role};
    struct rk_secret *confirm_key;
    int err;

    add_text(&info, "rekey confirm v1");
    add_text(&info, of->link);
    add_text(&info, of->key_id);
    add_text(&t.text, of->link);
    add_text(&t.text, of->key_id);
    for (int i = 7; i >= 0; i--)
        t.text.bytes[t.text.len++] = (unsigned char)(of->seq >> 8 * i);
    t.text.len++; /* the role */
    err = rk_kdf_derive(key, info.bytes, info.len, RK_HMAC_BYTES, &confirm_key);
    if (err)
        return err;
    err = rk_secret_use(confirm_key, tags_with, &t);
    rk_secret_free(&confirm_key);
    return err;
}

int
rk_kdf_confirm(const struct rk_secret *key, const char *link, const char *key_id, uint64_t seq, uint32_t role,
               char *hex)
{
    const struct rk_confirm_of of = {link, key_id, seq, role};

    return rk_kdf_confirms(key, &of, (struct rk_confirm){.mine = hex});
}

int
rk_kdf_record(const struct rk_secret *auth_key, struct rk_parties parties, const char *text, char *hex)
{
    struct text input = {.len = 0};
    struct tag tag = {&input, hex};

    add_text(&input, "rekey record v1");
    add_text(&input, parties.from_sae);
    add_text(&input, parties.to_sae);
    add_text(&input, text);
    return rk_secret_use(auth_key, tag_with, &tag);
}
