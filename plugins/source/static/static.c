/* static.c - key source "static": every key is derived from one shared secret and the key's ID, or is one fixed key
 *
 * Both ends have the same secret, so both get the same key for an ID, without a KME between them.  Who learns the
 * secret learns every key, past and coming: a source for labs, for first steps and as a fallback.
 * Runs on worker threads of rekey-host, several at once; an instance does not change after init.
 */
#include "derived.h"
#include "fixed.h"
#include "quality.h"

#include "../../common/keytext.h"

#include <rekey/source.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LABEL "rekey static v1"
#define BITS_MAX (RK_SECRET_MAX * 8)
#define NO_LIMIT (-1)

#define PEERS 64

struct source {
    const struct rk_host *host;
    struct rk_secret *secret;     /* mode derived */
    struct fixed fixed;           /* mode fixed: with a key */
    _Atomic uint64_t peers[PEERS]; /* hashes of SAE IDs that the secret was compared with; a hint */
};

static const char *const modes[] = {"derived", "fixed", NULL};

static const struct rk_opt static_opts[] = {
    {.name = "secret",
     .type = RK_OPT_SECRET,
     .flags = RK_OPT_REQUIRED,
     .help = "File with the secret that both ends share, 32 bytes or more, mode 0600; "
             "make one with: head -c 32 /dev/urandom | base64"},
    {.name = "mode", .type = RK_OPT_ENUM, .dflt = "derived", .choices = modes,
     .help = "What the secret is: keys are derived from it, or it is the one key, in hex or base64 (never for devices "
             "of class A)"},
    {.name = "key-id", .type = RK_OPT_STRING, .min = 1, .max = RK_KEY_ID_MAX,
     .help = "Mode fixed: the ID of the key; the default is made from the key, the same at both ends"},
    {.name = NULL},
};

/* What the secret is compared with. */
struct names {
    const struct rk_host *host;
    const char *names[4];
    bool fixed;
    const char *flaw;
};

static int
judge(const unsigned char *bytes, size_t len, void *arg)
{
    struct names *n = arg;

    if (!n->fixed)
        n->flaw = static_secret_flaw(bytes, len);
    for (size_t i = 0; !n->flaw && i < sizeof n->names / sizeof n->names[0]; i++)
        if (static_is_derived(n->host, bytes, len, n->names[i]))
            n->flaw = "can be computed from a name in the configuration";
    return RK_OK;
}

static int
say_flaw(const struct source *s, struct rk_call *call, const char *where, const char *flaw)
{
    return s->host->fail(call, RK_E_UNSAFE, "secret: %s: the secret %s; make a new one for both ends: "
                         "(umask 077; head -c 32 /dev/urandom | base64 > FILE); chmod 600 FILE", where, flaw);
}

/* Read the secret, and see that it is a good one. */
static int
take_secret(struct source *s, struct rk_call *call, const struct rk_conf *conf)
{
    const struct rk_host *host = s->host;
    const char *where = host->conf_str(conf, "secret"), *id = host->conf_str(conf, "key-id");
    char machine[100] = "";
    struct names names = {.host = host, .fixed = host->conf_int(conf, "mode") == 1, .names = {
        host->conf_str(conf, RK_CONF_NAME), host->conf_str(conf, RK_CONF_SAE), machine, id}};
    int err;

    if (id && (!names.fixed || !rkp_key_id_ok(id, strlen(id))))
        return host->fail(call, RK_E_CONFIG, names.fixed ? "key-id: is 1 to 64 printable characters without blank, '|' "
                          "and '/'" : "key-id: is for mode: fixed only; leave it out");
    err = host->conf_secret(call, conf, "secret", &s->secret);
    if (!err && !s->secret)
        err = host->fail(call, RK_E_CONFIG, "secret: not given; it names the file with the shared secret");
    if (err)
        return err;
    (void)gethostname(machine, sizeof machine - 1);
    host->secret_use(s->secret, judge, &names);
    if (!names.flaw && names.fixed)
        err = fixed_read(&s->fixed, s->secret, id, &names.flaw);
    if (names.flaw)
        return say_flaw(s, call, where, names.flaw);
    if (names.fixed)
        host->secret_free(&s->secret);
    return err ? host->fail(call, err, "secret: %s: cannot be kept", where) : RK_OK;
}

static void
static_fini(void *inst)
{
    struct source *s = inst;

    s->host->secret_free(&s->secret);
    fixed_free(&s->fixed);
    free(s);
}

static int
static_init(const struct rk_host *host, struct rk_call *call, const struct rk_conf *conf, void **inst)
{
    struct source *s = calloc(1, sizeof *s);
    int err;

    if (!s)
        return host->fail(call, RK_E_NOMEM, "secret: out of memory");
    s->host = s->fixed.host = host;
    err = take_secret(s, call, conf);
    if (err)
        static_fini(s);
    else
        *inst = s;
    return err;
}

/* The peer's name was not known to init.  Each is looked at once. */
static int
check_peer(struct source *s, struct rk_call *call, const char *peer_sae)
{
    struct names names = {.host = s->host, .fixed = true, .names = {peer_sae}};
    uint64_t hash = 14695981039346656037u;

    for (const char *p = peer_sae; *p; p++)
        hash = (hash ^ (unsigned char)*p) * 1099511628211u;
    if (s->peers[hash % PEERS] == hash)
        return RK_OK;
    s->host->secret_use(s->fixed.key ? s->fixed.key : s->secret, judge, &names);
    if (names.flaw)
        return say_flaw(s, call, "its file", names.flaw);
    s->peers[hash % PEERS] = hash;
    return RK_OK;
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
    size_t len = s->fixed.key ? s->host->secret_len(s->fixed.key) : 0;

    if (len && bits != len * 8)
        return s->host->fail(call, RK_E_KEY_SIZE, "the fixed key has %zu bits, not %u; set key-bits: %zu", len * 8,
                             bits, len * 8);
    if (len)
        return RK_OK;
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

/* One key cannot be two of one answer: the others are asked for again. */
static int
give_fixed(const struct source *s, struct rk_call *call, struct rk_key *keys, size_t n)
{
    int err = fixed_give(&s->fixed, &keys[0].secret);

    strcpy(keys[0].id, s->fixed.id);
    keys[0].err = err;
    for (size_t i = 1; i < n; i++)
        keys[i].err = s->host->fail(call, RK_E_BUSY, "there is one fixed key, for one link at a time");
    return err ? s->host->fail(call, err, "the fixed key cannot be copied") : RK_OK;
}

static int
give_by_id(const struct source *s, struct rk_key *key, uint32_t bits)
{
    rkp_key_id_fold(key->id);
    if (s->fixed.key)
        return strcmp(key->id, s->fixed.id) == 0 ? fixed_give(&s->fixed, &key->secret) : RK_E_KEY_GONE;
    return rkp_uuid_ok(key->id) ? derive(s, key->id, bits, &key->secret) : RK_E_KEY_GONE;
}

/* RK_OK when one entry has a key, as the contract of both calls wants it; else the first code. */
static int
sum_up(const struct source *s, struct rk_call *call, const struct rk_key *keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (keys[i].err == RK_OK)
            return RK_OK;
    if (keys[0].err == RK_E_KEY_GONE && s->fixed.key)
        return s->host->fail(call, RK_E_KEY_GONE, "key ID %.64s: the one key here is %s: check that both ends have the "
                             "same secret, mode and key-id", keys[0].id, s->fixed.id);
    if (keys[0].err == RK_E_KEY_GONE)
        return s->host->fail(call, RK_E_KEY_GONE, "key ID %.64s: not a UUID, so not from a static source: "
                             "check that both ends use the same source", keys[0].id);
    return s->host->fail(call, keys[0].err, "the key cannot be derived (code %d)", keys[0].err);
}

static int
static_get_new(void *inst, struct rk_call *call, const char *peer_sae, uint32_t bits, struct rk_key *keys, size_t n)
{
    struct source *s = inst;
    int err = check_bits(s, call, bits);

    if (!err) /* one secret, one peer: the key does not depend on who asks */
        err = check_peer(s, call, peer_sae);
    if (err)
        return err;
    for (size_t i = 0; i < n; i++)
        keys[i].secret = NULL;
    if (s->fixed.key)
        return give_fixed(s, call, keys, n);
    for (size_t i = 0; i < n; i++)
        keys[i].err = make_new(s, bits, &keys[i]);
    return sum_up(s, call, keys, n);
}

static int
static_get_by_id(void *inst, struct rk_call *call, const char *peer_sae, uint32_t bits, struct rk_key *keys, size_t n)
{
    struct source *s = inst;
    int err = check_bits(s, call, bits);

    if (!err)
        err = check_peer(s, call, peer_sae);
    if (err)
        return err;
    for (size_t i = 0; i < n; i++) {
        keys[i].secret = NULL;
        keys[i].err = give_by_id(s, &keys[i], bits);
    }
    return sum_up(s, call, keys, n);
}

static int
static_status(void *inst, struct rk_call *call, const char *peer_sae, struct rk_source_status *st)
{
    const struct source *s = inst;
    int64_t bits = s->fixed.key ? (int64_t)s->host->secret_len(s->fixed.key) * 8 : 0;

    (void)call;
    (void)peer_sae;
    if (bits) {
        *st = (struct rk_source_status){.stored_keys = NO_LIMIT, .max_per_request = 1, .min_bits = bits,
                                        .max_bits = bits};
        snprintf(st->text, sizeof st->text, "one fixed key of %lld bits, again and again", (long long)bits);
        return RK_OK;
    }
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
    RK_PLUGIN_HEAD(RK_SOURCE, RK_CAP_PARALLEL | RK_CAP_FIXED),
    .name = "static",
    .version = PACKAGE_VERSION,
    .summary = "keys derived from one shared secret, or one fixed key",
    .opts = static_opts,
    .opt_size = sizeof(struct rk_opt),
    .init = static_init,
    .fini = static_fini,
    .ops = &static_ops,
};
