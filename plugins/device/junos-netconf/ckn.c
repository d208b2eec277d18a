/* ckn.c - names and bytes of CAKs: what both ends make of a key ID and a key, each by itself.  Pure but for the host's
 * digests.
 *
 * digest: the CKN is SHA-256("rekey ckn v1" NUL key ID), the CAK HKDF of the key: they tell nothing of each other, and a
 *         key ID of any form will do.
 * offbox: the CKN is a prefix of 32 digits and the 32 digits of the key ID, which is a UUID of any version; the CAK is
 *         the key's first bytes.  That is what the script of old does, so it can be the other end.
 */
#include "junos.h"

#include <stdio.h>
#include <string.h>

#define CKN_LABEL "rekey ckn v1"
#define CAK_LABEL "rekey cak v1"
#define UUID_DIGITS 32
#define INFO_MAX 256

static void
to_hex(const unsigned char *bytes, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * n] = '\0';
}

/* A text and its NUL behind what is there.   ret: the new length; more than size: does not fit */
static size_t
append(unsigned char *out, size_t size, size_t at, const char *text)
{
    size_t n = strlen(text) + 1;

    if (at <= size && n <= size - at)
        memcpy(out + at, text, n);
    return at + n;
}

static int
by_digest(const struct jn_device *d, const char *key_id, char *ckn)
{
    unsigned char text[INFO_MAX], sum[32];
    size_t n = append(text, sizeof text, append(text, sizeof text, 0, CKN_LABEL), key_id);
    int err = n > sizeof text ? RK_E_CONTRACT : d->host->sha256(text, n - 1, sum);

    if (!err)
        to_hex(sum, sizeof sum, ckn);
    return err;
}

static int
digit(char c)
{
    return c >= '0' && c <= '9' ? c : c >= 'a' && c <= 'f' ? c : c >= 'A' && c <= 'F' ? c - 'A' + 'a' : 0;
}

/* 8-4-4-4-12 digits, or 32 without dashes: KMEs give IDs that are of no version of RFC 4122. */
static int
by_uuid(const struct jn_device *d, const char *key_id, char *ckn)
{
    const char *prefix = d->opt.ckn_prefix ? d->opt.ckn_prefix : "";
    size_t n = JN_CKN_HEX - UUID_DIGITS, len = strlen(key_id);
    bool dashes = len == UUID_DIGITS + 4;

    if (strlen(prefix) != n || (len != UUID_DIGITS && !dashes))
        return RK_E_CONFIG;
    for (size_t i = 0; i < n; i++)
        ckn[i] = (char)digit(prefix[i]);
    for (size_t i = 0; i < len; i++) {
        bool dash = dashes && (i == 8 || i == 13 || i == 18 || i == 23);

        if (dash ? key_id[i] != '-' : !digit(key_id[i]))
            return RK_E_CONFIG;
        if (!dash)
            ckn[n++] = (char)digit(key_id[i]);
    }
    ckn[JN_CKN_HEX] = '\0';
    return strlen(ckn) == JN_CKN_HEX ? RK_OK : RK_E_CONFIG;
}

int
jn_ckn(const struct jn_device *d, const char *key_id, char ckn[JN_CKN_HEX + 1])
{
    int err = d->opt.ckn == JN_CKN_OFFBOX ? by_uuid(d, key_id, ckn) : by_digest(d, key_id, ckn);

    if (err)
        ckn[0] = '\0';
    return err;
}

/* ---- CAK ---- */

struct cut {
    const struct rk_host *host;
    size_t len;
    struct rk_secret **out;
    const unsigned char *from;
};

static int
fill_cut(unsigned char *bytes, size_t len, void *arg)
{
    memcpy(bytes, ((const struct cut *)arg)->from, len);
    return RK_OK;
}

static int
take_first(const unsigned char *bytes, size_t len, void *arg)
{
    struct cut *c = arg;

    if (len < c->len)
        return RK_E_KEY_SIZE;
    c->from = bytes;
    return c->host->secret_new(c->len, fill_cut, c, c->out);
}

/* 128-bit suites have CAKs of 32 digits, all others of 64.   src: IEEE 802.1X-2020 9.3.3; Junos "pre-shared-key" */
static size_t
cak_len(const char *cipher)
{
    return strcmp(cipher, "gcm-aes-256") == 0 || strcmp(cipher, "gcm-aes-xpn-256") == 0 ? 32 : 16;
}

int
jn_cak(const struct jn_device *d, const struct rk_secret *key, const struct jn_cak_use *use, struct rk_secret **cak)
{
    struct cut cut = {.host = d->host, .len = cak_len(use->cipher), .out = cak};
    unsigned char info[INFO_MAX];
    size_t n;

    *cak = NULL;
    if (d->opt.ckn == JN_CKN_OFFBOX)
        return d->host->secret_use(key, take_first, &cut);
    n = append(info, sizeof info, 0, CAK_LABEL);
    n = append(info, sizeof info, n, use->link);
    n = append(info, sizeof info, n, use->key_id);
    return n > sizeof info ? RK_E_CONTRACT : d->host->secret_derive(key, info, n, cut.len, cak);
}
