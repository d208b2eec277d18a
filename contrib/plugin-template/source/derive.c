/* derive.c - keys derived from one secret that both sites hold: a template for key sources
 *
 * The key is HKDF-SHA-256 of the secret, the key's ID and its size.  An instance does not change after init, so calls
 * of one may run at once (RK_CAP_PARALLEL).  Who learns the secret learns every key: a KME is better.
 */
#include <rekey/source.h>

#include <stdio.h>
#include <stdlib.h>

#define ID_CHARS 32

struct derive {
    const struct rk_host *host;
    struct rk_secret *secret;
};

static const struct rk_opt derive_opts[] = {
    {.name = "secret", .type = RK_OPT_SECRET, .flags = RK_OPT_REQUIRED, .help = "File with the secret of both sites"},
    {.name = NULL},
};

static void
derive_fini(void *inst)
{
    struct derive *d = inst;

    d->host->secret_free(&d->secret);
    free(d);
}

static int
derive_init(const struct rk_host *host, struct rk_call *call, const struct rk_conf *conf, void **inst)
{
    struct derive *d = calloc(1, sizeof *d);
    int err;

    if (!d)
        return host->fail(call, RK_E_NOMEM, "out of memory");
    d->host = host;
    err = host->conf_secret(call, conf, "secret", &d->secret); /* it has stated why, when it failed */
    if (!err && host->secret_len(d->secret) < 32)
        err = host->fail(call, RK_E_UNSAFE, "secret: shorter than 32 bytes; head -c 32 /dev/urandom | base64 does it");
    if (err)
        derive_fini(d);
    else
        *inst = d;
    return err;
}

static int
make_key(const struct derive *d, struct rk_key *key, uint32_t bits)
{
    char info[RK_KEY_ID_MAX + 32];
    int len = snprintf(info, sizeof info, "derive v1 %u %s", bits, key->id);

    return d->host->secret_derive(d->secret, info, (size_t)len, bits / 8, &key->secret);
}

/* One entry that is filled is enough for RK_OK; the others say for themselves why they are not. */
static int
derive_get_by_id(void *inst, struct rk_call *call, const char *peer_sae, uint32_t bits, struct rk_key *keys, size_t n)
{
    struct derive *d = inst;
    size_t good = 0;

    for (size_t i = 0; i < n; i++) {
        keys[i].err = make_key(d, &keys[i], bits);
        good += keys[i].err == RK_OK;
    }
    return good ? RK_OK : d->host->fail(call, keys[0].err, "no key for %s could be derived", peer_sae);
}

/* A new ID is random, so that no key is ever given again. */
static int
derive_get_new(void *inst, struct rk_call *call, const char *peer_sae, uint32_t bits, struct rk_key *keys, size_t n)
{
    struct derive *d = inst;
    unsigned char r[ID_CHARS / 2];

    for (size_t i = 0; i < n; i++) {
        int err = d->host->random(r, sizeof r);

        if (err)
            return d->host->fail(call, err, "no random bytes for a key ID");
        for (size_t k = 0; k < sizeof r; k++)
            snprintf(keys[i].id + 2 * k, 3, "%02x", r[k]);
    }
    return derive_get_by_id(inst, call, peer_sae, bits, keys, n);
}

static int
derive_status(void *inst, struct rk_call *call, const char *peer_sae, struct rk_source_status *st)
{
    (void)inst, (void)call, (void)peer_sae;
    *st = (struct rk_source_status){.stored_keys = -1, .max_per_request = 64, .min_bits = 8, .max_bits = 8 * 255 * 32,
                                    .text = "keys are derived, without limit"};
    return RK_OK;
}

static const struct rk_source_ops derive_ops = {
    .size = sizeof derive_ops, .get_new = derive_get_new, .get_by_id = derive_get_by_id, .status = derive_status,
};

/* The one symbol that is seen from outside. */
__attribute__((visibility("default"))) const struct rk_plugin derive_LTX_rk_plugin = {
    RK_PLUGIN_HEAD(RK_SOURCE, RK_CAP_PARALLEL), .name = "derive", .version = "1.0",
    .summary = "keys derived from a secret of both sites", .opts = derive_opts, .opt_size = sizeof(struct rk_opt),
    .init = derive_init, .fini = derive_fini, .ops = &derive_ops,
};
