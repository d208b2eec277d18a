/* sealed.c - CAKs that may be needed again, in memory that is locked and wiped.
 *
 * At most the key in use and the one before, of each interface: a third one is dropped when the router was seen to hold
 * the two.  Nothing of it is written anywhere: after a restart the router's own stored form takes its place. */
#include "sealed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct jn_sealed {
    struct jn_sealed_key *key;
    size_t n;
};

static struct jn_sealed_key *
find(const struct jn_device *d, struct jn_key_name name)
{
    for (size_t i = 0; d->sealed && i < d->sealed->n; i++) {
        struct jn_sealed_key *k = &d->sealed->key[i];

        if (strcmp(k->iface, name.iface) == 0 && strcmp(k->ckn, name.ckn) == 0)
            return k;
    }
    return NULL;
}

static struct jn_sealed_key *
add(struct jn_device *d)
{
    struct jn_sealed_key *key;

    if (!d->sealed)
        d->sealed = calloc(1, sizeof *d->sealed);
    if (!d->sealed)
        return NULL;
    key = realloc(d->sealed->key, (d->sealed->n + 1) * sizeof *key);
    if (!key)
        return NULL;
    d->sealed->key = key;
    key += d->sealed->n++;
    memset(key, 0, sizeof *key);
    return key;
}

int
jn_sealed_put(struct jn_device *d, struct jn_key_name name, bool stored, struct rk_secret **secret)
{
    struct jn_sealed_key *k = find(d, name);

    if (!k) {
        k = add(d);
        if (!k) {
            d->host->secret_free(secret);
            return RK_E_NOMEM;
        }
        snprintf(k->iface, sizeof k->iface, "%s", name.iface);
        snprintf(k->ckn, sizeof k->ckn, "%s", name.ckn);
    }
    d->host->secret_free(&k->secret);
    k->secret = *secret;
    k->stored = stored;
    *secret = NULL;
    return RK_OK;
}

/* ---- a copy: bytes of one secret into another, never elsewhere ---- */

struct copy {
    const struct rk_host *host;
    const struct rk_secret *from;
    unsigned char *to;
    size_t len;
};

static int
copy_use(const unsigned char *bytes, size_t len, void *arg)
{
    struct copy *c = arg;

    if (len != c->len)
        return RK_E_CONTRACT;
    memcpy(c->to, bytes, len);
    return RK_OK;
}

static int
copy_fill(unsigned char *bytes, size_t len, void *arg)
{
    struct copy *c = arg;

    c->to = bytes;
    c->len = len;
    return c->host->secret_use(c->from, copy_use, c);
}

int
jn_sealed_copy(struct jn_device *d, struct jn_key_name name, const struct rk_secret *stored)
{
    struct copy c = {.host = d->host, .from = stored};
    struct rk_secret *secret = NULL;
    int err = d->host->secret_new(d->host->secret_len(stored), copy_fill, &c, &secret);

    return err ? err : jn_sealed_put(d, name, true, &secret);
}

const struct jn_sealed_key *
jn_sealed_get(const struct jn_device *d, struct jn_key_name name)
{
    return find(d, name);
}

void
jn_sealed_drop(struct jn_device *d, struct jn_key_name keep, const char *keep_too)
{
    size_t n = 0;

    for (size_t i = 0; d->sealed && i < d->sealed->n; i++) {
        struct jn_sealed_key *k = &d->sealed->key[i];

        if (strcmp(k->iface, keep.iface) == 0 && strcmp(k->ckn, keep.ckn) != 0 && strcmp(k->ckn, keep_too) != 0)
            d->host->secret_free(&k->secret);
        else
            d->sealed->key[n++] = *k;
    }
    if (d->sealed)
        d->sealed->n = n;
}

void
jn_sealed_free(struct jn_device *d)
{
    for (size_t i = 0; d->sealed && i < d->sealed->n; i++)
        d->host->secret_free(&d->sealed->key[i].secret);
    if (d->sealed)
        free(d->sealed->key);
    free(d->sealed);
    d->sealed = NULL;
}
