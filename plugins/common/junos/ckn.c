/* ckn.c - names and bytes of CAKs: what both ends make of a key and its ID.
 *
 * On the thread of the call; pure but for the host's secrets, and CKNs that are remembered.
 *
 * Form "digest": the CKN is a digest of the key ID, the CAK is derived from the key, bound to link and key ID.  Form
 * "offbox", as the script that this plugin takes the place of: a constant prefix and the UUID, a key's first bytes. */
#include "junos.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "../keytext.h"

#define CKN_LABEL "rekey ckn v1"
#define CAK_LABEL "rekey cak v1"
#define UUID_HEX 32
#define OFFBOX_PREFIX "abcd1234abcd5678abcd1234abcd5678" /* of offbox.py 2.2; a name, and no secret */

/* Public bytes that a key or its name is bound to: texts, each with its NUL. */
struct info {
    unsigned char bytes[256];
    size_t len;
    bool over;
};

static void
add(struct info *info, const char *text)
{
    size_t len = strlen(text) + 1;

    if (len > sizeof info->bytes - info->len) {
        info->over = true;
        return;
    }
    memcpy(info->bytes + info->len, text, len);
    info->len += len;
}

/* UUIDs are the same in either case. */
static void
add_id(struct info *info, const char *key_id)
{
    char folded[RK_KEY_ID_MAX + 1] = "";
    size_t len = strlen(key_id);

    info->over |= len >= sizeof folded;
    if (info->over)
        return;
    memcpy(folded, key_id, len + 1);
    rkp_key_id_fold(folded);
    add(info, folded);
}

static int
offbox_ckn(const struct jn_device *d, const char *key_id, char ckn[JN_CKN_HEX + 1])
{
    const char *prefix = d->opt.ckn_prefix ? d->opt.ckn_prefix : OFFBOX_PREFIX;
    size_t n = strlen(prefix);

    if (!rkp_uuid_ok(key_id) || n != JN_CKN_HEX - UUID_HEX)
        return RK_E_CONFIG;
    for (size_t i = 0; i < n; i++) {
        if (!isxdigit((unsigned char)prefix[i]))
            return RK_E_CONFIG;
        ckn[i] = (char)tolower((unsigned char)prefix[i]);
    }
    for (const char *p = key_id; *p; p++)
        if (*p != '-')
            ckn[n++] = (char)tolower((unsigned char)*p);
    ckn[n] = '\0';
    return RK_OK;
}

/* ---- names that were made already ---- */

/* Each look asks for the same few: of a place by the ID, the one that was made last for it. */
struct jn_name {
    char key_id[RK_KEY_ID_MAX + 1], ckn[JN_CKN_HEX + 1];
};

#define NAMES_FIRST 4
#define NAMES_MOST 128

void
jn_names_forget(struct jn_named *names)
{
    free(names->at);
    *names = (struct jn_named){.n = 0};
}

static struct jn_name *
place_of(const struct jn_named *names, const char *key_id)
{
    uint32_t h = 2166136261u; /* FNV-1a */

    for (const char *p = key_id; *p; p++)
        h = (h ^ (unsigned char)*p) * 16777619u;
    return names->n ? &names->at[(h ^ h >> 16) % names->n] : NULL;
}

/* Where there is another one already, all of them get more room, and are made anew. */
static void
put_name(struct jn_named *names, const char *key_id, const char *ckn)
{
    struct jn_name *at = place_of(names, key_id);

    if (strlen(key_id) >= sizeof at->key_id)
        return;
    if (!at || (at->key_id[0] && names->n < NAMES_MOST)) {
        size_t n = names->n ? 2 * names->n : NAMES_FIRST;
        struct jn_name *more = calloc(n, sizeof *more);

        if (!more)
            return;
        free(names->at);
        *names = (struct jn_named){.at = more, .n = n};
        at = place_of(names, key_id);
    }
    strcpy(at->key_id, key_id);
    memcpy(at->ckn, ckn, sizeof at->ckn);
}

static int
digest_ckn(const struct jn_device *d, const char *key_id, char ckn[JN_CKN_HEX + 1])
{
    struct info info = {.len = 0};
    unsigned char digest[32];
    int err;

    add(&info, CKN_LABEL);
    add_id(&info, key_id);
    if (info.over)
        return RK_E_CONFIG;
    err = d->host->sha256(info.bytes, info.len, digest);
    if (!err)
        rkp_hex_put(digest, sizeof digest, ckn);
    return err;
}

int
jn_ckn(const struct jn_device *d, const char *key_id, char ckn[JN_CKN_HEX + 1])
{
    const struct jn_name *made = d->names ? place_of(d->names, key_id) : NULL;
    int err;

    ckn[0] = '\0';
    if (d->opt.ckn == JN_CKN_OFFBOX)
        return offbox_ckn(d, key_id, ckn);
    if (made && made->key_id[0] && strcmp(made->key_id, key_id) == 0) {
        memcpy(ckn, made->ckn, sizeof made->ckn);
        return RK_OK;
    }
    err = digest_ckn(d, key_id, ckn);
    if (!err && d->names)
        put_name(d->names, key_id, ckn);
    return err;
}

struct cut {
    const struct rk_host *host;
    const struct rk_secret *key;
    unsigned char *to;
    size_t len;
};

static int
copy_out(const unsigned char *bytes, size_t len, void *arg)
{
    struct cut *c = arg;

    if (len < c->len)
        return RK_E_KEY_SIZE;
    memcpy(c->to, bytes, c->len);
    return RK_OK;
}

static int
fill_first(unsigned char *bytes, size_t len, void *arg)
{
    struct cut *c = arg;

    c->to = bytes;
    c->len = len;
    return c->host->secret_use(c->key, copy_out, c);
}

int
jn_cak(const struct jn_device *d, const struct rk_secret *key, const struct jn_cak_use *use, struct rk_secret **cak)
{
    size_t len = strstr(use->cipher, "256") ? 32 : 16;
    struct cut c = {.host = d->host, .key = key};
    struct info info = {.len = 0};

    *cak = NULL;
    if (d->opt.ckn == JN_CKN_OFFBOX)
        return d->host->secret_new(len, fill_first, &c, cak);
    add(&info, CAK_LABEL);
    add(&info, use->link);
    add_id(&info, use->key_id);
    return info.over ? RK_E_CONTRACT : d->host->secret_derive(key, info.bytes, info.len, len, cak);
}
