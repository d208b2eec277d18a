/* sak.c - derivation of association keys.  Any thread; the bytes are only ever in the host's secrets. */
#include "sak.h"

#include <endian.h>
#include <linux/if_macsec.h>
#include <string.h>

/* Public bytes that bind a key to its one use. */
struct info {
    unsigned char bytes[256];
    size_t len;
    bool over;
};

static void
add(struct info *info, const void *bytes, size_t len)
{
    if (len > sizeof info->bytes - info->len) {
        info->over = true;
        return;
    }
    memcpy(info->bytes + info->len, bytes, len);
    info->len += len;
}

static int
derive(const struct rk_host *host, const struct rk_secret *key, const struct macsec_use *use, const char *label,
       size_t len, struct rk_secret **out)
{
    struct info info = {.len = 0};
    uint64_t seq = htobe64(use->seq);

    add(&info, label, strlen(label) + 1);
    add(&info, use->link, strlen(use->link) + 1);
    add(&info, use->key_id, strlen(use->key_id) + 1);
    add(&info, use->cipher->name, strlen(use->cipher->name) + 1);
    add(&info, use->sender->bytes, sizeof use->sender->bytes);
    add(&info, &seq, sizeof seq);
    return info.over ? RK_E_CONTRACT : host->secret_derive(key, info.bytes, info.len, len, out);
}

int
macsec_sak_derive(const struct rk_host *host, const struct rk_secret *key, const struct macsec_use *use,
                  struct rk_secret **sak, struct rk_secret **salt)
{
    int err;

    *sak = *salt = NULL;
    if (host->secret_len(key) < use->cipher->key_len)
        return RK_E_KEY_SIZE;
    err = derive(host, key, use, "rekey sak v1", use->cipher->key_len, sak);
    if (!err && use->cipher->xpn)
        err = derive(host, key, use, "rekey salt v1", MACSEC_SALT_LEN, salt);
    if (err)
        host->secret_free(sak);
    return err;
}

uint32_t
macsec_ssci(const struct macsec_sci *sender, const struct macsec_sci *receiver)
{
    return memcmp(sender, receiver, sizeof *sender) > 0 ? 1 : 2;
}
