/* keys.c - see keys.h.
 *
 * Pure but for kme_secret_load and the random generator.  Must never log: all that passes here is key material.
 */
#include "keys.h"

#include <core/base/text.h>
#include <rekey/device.h>
#include <rekey/err.h>

#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAG_AT 10 /* where the tag begins in an ID */
#define TAG_BYTES 6
#define CONTEXT_MAX (32 + 16 + 2 * (1 + RK_SAE_MAX))

static const char pair_label[] = "rekey-kme pair v1", tag_label[] = "rekey-kme tag v1",
                  key_label[] = "rekey-kme key v1";

struct context {
    unsigned char bytes[CONTEXT_MAX];
    size_t len;
};

static void
context_add(struct context *c, const void *bytes, size_t len)
{
    memcpy(c->bytes + c->len, bytes, len);
    c->len += len;
}

/* label | first n bytes of the ID | len master | len slave: lengths, so that two pairs never look the same */
static void
context_make(struct context *c, const char *label, const struct kme_id *id, size_t n, const struct kme_names *names)
{
    const char *const saes[] = {names->master, names->slave};

    c->len = 0;
    context_add(c, label, strlen(label));
    context_add(c, id->bytes, n);
    for (size_t i = 0; i < 2; i++) {
        unsigned char len = (unsigned char)strnlen(saes[i], RK_SAE_MAX);

        context_add(c, &len, 1);
        context_add(c, saes[i], len);
    }
}

int
kme_secret_random(struct kme_secret *out)
{
    return RAND_bytes(out->root, sizeof out->root) == 1 ? RK_OK : RK_E_FATAL;
}

/* Read the file of a pair secret into buf; its length, or -1 with why. */
static ssize_t
secret_read(const char *path, unsigned char buf[KME_PAIR_SECRET_MAX + 1], char *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = -1;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        snprintf(why, RK_WHY_MAX, "cannot be read: %s", strerror(errno));
    else if (!S_ISREG(st.st_mode) || (st.st_mode & 077) != 0)
        snprintf(why, RK_WHY_MAX, "must be a file that only its owner can read: chmod 600");
    else if ((n = read(fd, buf, KME_PAIR_SECRET_MAX + 1)) < 0)
        snprintf(why, RK_WHY_MAX, "cannot be read: %s", strerror(errno));
    if (fd >= 0)
        close(fd);
    return n;
}

int
kme_secret_load(const char *path, struct kme_secret *out, char *why)
{
    unsigned char buf[KME_PAIR_SECRET_MAX + 1];
    ssize_t n = secret_read(path, buf, why);
    int err = RK_E_CONFIG;

    if (n > 0 && buf[n - 1] == '\n')
        n--;
    if (n < 0)
        goto out;
    if (n < KME_PAIR_SECRET_MIN || n > KME_PAIR_SECRET_MAX) {
        snprintf(why, RK_WHY_MAX, "holds %zd bytes, a pair secret has %d..%d: openssl rand -hex 32", n,
                 KME_PAIR_SECRET_MIN, KME_PAIR_SECRET_MAX);
        goto out;
    }
    err = HMAC(EVP_sha256(), pair_label, sizeof pair_label - 1, buf, (size_t)n, out->root, NULL) ? RK_OK : RK_E_FATAL;
    if (err)
        snprintf(why, RK_WHY_MAX, "OpenSSL cannot compute an HMAC");
out:
    explicit_bzero(buf, sizeof buf);
    return err;
}

static int
tag_make(const struct kme_secret *s, const struct kme_names *names, const struct kme_id *id, unsigned char tag[32])
{
    struct context c;

    context_make(&c, tag_label, id, TAG_AT, names);
    return HMAC(EVP_sha256(), s->root, sizeof s->root, c.bytes, c.len, tag, NULL) ? RK_OK : RK_E_FATAL;
}

int
kme_id_make(const struct kme_secret *s, const struct kme_names *names, const struct kme_about *about,
            struct kme_id *out)
{
    unsigned char tag[32];
    int err;

    memset(out->bytes, 0xff, 4);
    if (!about->ones && RAND_bytes(out->bytes, 4) != 1)
        return RK_E_FATAL;
    out->bytes[4] = (unsigned char)(about->stamp >> 20);
    out->bytes[5] = (unsigned char)(about->stamp >> 12);
    out->bytes[6] = (unsigned char)(0x40 | ((about->stamp >> 8) & 0x0f));
    out->bytes[7] = (unsigned char)about->stamp;
    out->bytes[8] = (unsigned char)(0x80 | ((about->key_bytes >> 8) & 0x3f));
    out->bytes[9] = (unsigned char)about->key_bytes;
    err = tag_make(s, names, out, tag);
    memcpy(out->bytes + TAG_AT, tag, TAG_BYTES);
    return err;
}

int64_t
kme_id_age(const struct kme_id *id, int64_t wall_ms)
{
    const unsigned char *b = id->bytes;
    uint32_t stamp = (uint32_t)b[4] << 20 | (uint32_t)b[5] << 12 | (uint32_t)(b[6] & 0x0f) << 8 | b[7];
    int64_t age = (wall_ms - stamp) & ((INT64_C(1) << KME_STAMP_BITS) - 1);

    return age < INT64_C(1) << (KME_STAMP_BITS - 1) ? age : age - (INT64_C(1) << KME_STAMP_BITS);
}

bool
kme_id_issued(const struct kme_secret *s, const struct kme_names *names, const struct kme_id *id)
{
    unsigned char tag[32];
    size_t n = kme_id_key_bytes(id);

    if (n == 0 || n > KME_KEY_BYTES_MAX || tag_make(s, names, id, tag) != RK_OK)
        return false;
    return rk_same(tag, id->bytes + TAG_AT, TAG_BYTES);
}

size_t
kme_id_key_bytes(const struct kme_id *id)
{
    return (size_t)(id->bytes[8] & 0x3f) << 8 | id->bytes[9];
}

int
kme_key(const struct kme_secret *s, const struct kme_names *names, const struct kme_id *id, unsigned char *key)
{
    struct context c;
    unsigned char root[32];
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
                           OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, root, sizeof root),
                           OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, c.bytes, 0), OSSL_PARAM_END};
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    int err = RK_E_FATAL;

    memcpy(root, s->root, sizeof root);
    context_make(&c, key_label, id, sizeof id->bytes, names);
    params[2].data_size = c.len;
    if (ctx && EVP_KDF_derive(ctx, key, kme_id_key_bytes(id), params) == 1)
        err = RK_OK;
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    explicit_bzero(root, sizeof root);
    return err;
}

void
kme_id_put(const struct kme_id *id, char out[KME_ID_TEXT])
{
    const unsigned char *b = id->bytes;

    snprintf(out, KME_ID_TEXT, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
             b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

bool
kme_id_get(const char *text, struct kme_id *out)
{
    char hex[33];
    size_t n = 0;

    if (strnlen(text, KME_ID_TEXT) != KME_ID_TEXT - 1)
        return false;
    for (size_t i = 0; i < KME_ID_TEXT - 1; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (text[i] != '-')
                return false;
        } else {
            hex[n++] = text[i];
        }
    }
    hex[n] = '\0';
    return rk_hex_get(hex, out->bytes, sizeof out->bytes);
}
