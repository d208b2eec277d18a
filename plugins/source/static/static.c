/* static.c - key source "static": every key is derived from one shared secret and the key's ID
 *
 * Both ends have the same secret, so both get the same key for an ID, without a KME between them.  Who learns the
 * secret learns every key, past and coming: a source for labs, for first steps and as a fallback.
 * Runs on worker threads of rekey-host, several at once; an instance does not change after init.
 */
#include "quality.h"

#include "../../common/keytext.h"

#include <rekey/source.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABEL "rekey static v1"
#define BITS_MAX (RK_SECRET_MAX * 8)
#define NO_LIMIT (-1)

struct source {
    const struct rk_host *host;
    struct rk_secret *secret;
};

static const struct rk_opt static_opts[] = {
    {.name = "secret",
     .type = RK_OPT_SECRET,
     .flags = RK_OPT_REQUIRED,
     .help = "File with the secret that both ends share, 32 bytes or more, mode 0600; "
             "make one with: head -c 32 /dev/urandom | base64"},
    {.name = NULL},
};

static int
judge(const unsigned char *bytes, size_t len, void *arg)
{
    *(const char **)arg = static_secret_flaw(bytes, len);
    return RK_OK;
}

static int
static_init(const struct rk_host *host, struct rk_call *call, const struct rk_conf *conf, void **inst)
{
    const char *where = host->conf_str(conf, "secret"), *flaw = NULL;
    struct source *s = calloc(1, sizeof *s);
    int err;

    if (!s)
        return host->fail(call, RK_E_NOMEM, "secret: out of memory");
    s->host = host;
    err = host->conf_secret(call, conf, "secret", &s->secret);
    if (!err && !s->secret)
        err = host->fail(call, RK_E_CONFIG, "secret: not given; it names the file with the shared secret");
    if (err)
        goto fail;
    host->secret_use(s->secret, judge, &flaw);
    if (flaw) {
        err = host->fail(call, RK_E_UNSAFE, "secret: %s: the secret %s; make a new one for both ends: "
                         "(umask 077; head -c 32 /dev/urandom | base64 > FILE); chmod 600 FILE", where, flaw);
        goto fail;
    }
    *inst = s;
    return RK_OK;

fail:
    host->secret_free(&s->secret);
    free(s);
    return err;
}

static void
static_fini(void *inst)
{
    struct source *s = inst;

    s->host->secret_free(&s->secret);
    free(s);
}

/* The key of an ID: HKDF-SHA-256 with the ID and the size in its info, so that no two sizes share bytes. */
static int
derive(const struct source *s, const char *id, uint32_t bits, struct rk_secret **key)
{
    char info[sizeof LABEL + RK_KEY_ID_MAX + 1 + 10];
    int n = snprintf(info, sizeof info, "%s%c%s%c%u", LABEL, 0, id, 0, bits);

    if (n < 0 || (size_t)n >= sizeof info)
        return RK_E_CONTRACT;
    return s->host->secret_derive(s->secret, info, (size_t)n, bits / 8, key);
}

static int
check_bits(const struct source *s, struct rk_call *call, uint32_t bits)
{
    if (bits > 0 && bits % 8 == 0 && bits <= BITS_MAX)
        return RK_OK;
    return s->host->fail(call, RK_E_UNSUPPORTED, "key size %u: a static key has 8 to %d bits, in steps of 8", bits,
                         BITS_MAX);
}

static int
make_new(const struct source *s, uint32_t bits, struct rk_key *key)
{
    unsigned char random[16];
    int err = s->host->random(random, sizeof random);

    if (err)
        return err;
    rkp_uuid_put(random, key->id);
    return derive(s, key->id, bits, &key->secret);
}

/* RK_OK when one entry has a key, as the contract of both calls wants it; else the first code. */
static int
sum_up(const struct source *s, struct rk_call *call, const struct rk_key *keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (keys[i].err == RK_OK)
            return RK_OK;
    if (keys[0].err == RK_E_KEY_GONE)
        return s->host->fail(call, RK_E_KEY_GONE, "key ID %.64s: not a UUID, so not from a static source: "
                             "check that both ends use the same source", keys[0].id);
    return s->host->fail(call, keys[0].err, "the key cannot be derived (code %d)", keys[0].err);
}

static int
static_get_new(void *inst, struct rk_call *call, const char *peer_sae, uint32_t bits, struct rk_key *keys, size_t n)
{
    const struct source *s = inst;
    int err = check_bits(s, call, bits);

    (void)peer_sae; /* one secret, one peer: the key does not depend on who asks */
    if (err)
        return err;
    for (size_t i = 0; i < n; i++) {
        keys[i].secret = NULL;
        keys[i].err = make_new(s, bits, &keys[i]);
    }
    return sum_up(s, call, keys, n);
}

static int
static_get_by_id(void *inst, struct rk_call *call, const char *peer_sae, uint32_t bits, struct rk_key *keys, size_t n)
{
    const struct source *s = inst;
    int err = check_bits(s, call, bits);

    (void)peer_sae;
    if (err)
        return err;
    for (size_t i = 0; i < n; i++) {
        keys[i].secret = NULL;
        keys[i].err = RK_E_KEY_GONE;
        if (!rkp_uuid_ok(keys[i].id))
            continue;
        rkp_key_id_fold(keys[i].id);
        keys[i].err = derive(s, keys[i].id, bits, &keys[i].secret);
    }
    return sum_up(s, call, keys, n);
}

static int
static_status(void *inst, struct rk_call *call, const char *peer_sae, struct rk_source_status *st)
{
    (void)inst;
    (void)call;
    (void)peer_sae;
    *st = (struct rk_source_status){.stored_keys = NO_LIMIT, .max_per_request = 64, .min_bits = 8,
                                    .max_bits = BITS_MAX};
    snprintf(st->text, sizeof st->text, "keys are derived from a shared secret, without limit");
    return RK_OK;
}

static const struct rk_source_ops static_ops = {
    .size = sizeof static_ops,
    .get_new = static_get_new,
    .get_by_id = static_get_by_id,
    .status = static_status,
};

__attribute__((visibility("default"))) const struct rk_plugin static_LTX_rk_plugin = {
    RK_PLUGIN_HEAD(RK_SOURCE, RK_CAP_PARALLEL),
    .name = "static",
    .version = PACKAGE_VERSION,
    .summary = "keys derived from one shared secret",
    .opts = static_opts,
    .opt_size = sizeof(struct rk_opt),
    .init = static_init,
    .fini = static_fini,
    .ops = &static_ops,
};
