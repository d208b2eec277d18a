/* host-source.c - key source of the host's tests: key i of a request is bits/8 times the byte 0x40 + i.
 *
 * The peer SAE says what goes wrong (modes.h, and below).  With PARALLEL it is host-parallel, whose calls may overlap.
 */
#include "modes.h"

#include <rekey/source.h>

#include <stdatomic.h>
#include <stdio.h>

struct inst {
    const struct rk_host *host;
    atomic_int inside; /* calls that run now */
};

static int
fill(unsigned char *bytes, size_t len, void *arg)
{
    memset(bytes, 0x40 + *(int *)arg, len);
    return RK_OK;
}

static int
make_key(const struct inst *inst, struct rk_key *key, size_t i, size_t len)
{
    int n = (int)i;

    key->err = inst->host->secret_new(len, fill, &n, &key->secret);
    return key->err;
}

/* What a broken source would give. */
static void
spoil(const struct inst *inst, const char *mode, struct rk_key *keys, size_t n)
{
    if (mode_is(mode, "twins") && n > 1)
        strcpy(keys[1].id, keys[0].id);
    if (mode_is(mode, "shared") && n > 1) {
        inst->host->secret_free(&keys[1].secret);
        keys[1].secret = keys[0].secret;
    }
    if (mode_is(mode, "badid"))
        strcpy(keys[0].id, "a|b");
    if (mode_is(mode, "endless"))
        memset(keys[0].id, 'a', sizeof keys[0].id);
    if (mode_is(mode, "otherid"))
        strcpy(keys[0].id, "not-asked");
    if (mode_is(mode, "nokey"))
        inst->host->secret_free(&keys[0].secret);
    if (mode_is(mode, "gone"))
        keys[0].err = RK_E_KEY_GONE; /* with its secret left in: the host must free it */
    if (mode_is(mode, "weird"))
        keys[0].err = 12;
}

static int
give(struct inst *inst, struct rk_call *call, const char *mode, uint32_t bits, struct rk_key *keys, size_t n)
{
    size_t len = bits / 8;
    int err = mode_run(inst->host, call, mode);

    if (err)
        return err;
    if (mode_is(mode, "short"))
        len--;
    if (mode_is(mode, "unset"))
        return RK_OK;
    for (size_t i = 0; i < n; i++) {
        err = make_key(inst, &keys[i], i, len);
        if (err)
            return err;
    }
    spoil(inst, mode, keys, n);
    if (mode_is(mode, "leftover"))
        return inst->host->fail(call, RK_E_EMPTY, "none, but the secrets are there");
    inst->host->log(call, RK_LOG_INFO, "ev=given n=%zu\nforged=line", n);
    return RK_OK;
}

static int
source_get_new(void *arg, struct rk_call *call, const char *peer_sae, uint32_t bits, struct rk_key *keys, size_t n)
{
    struct inst *inst = arg;
    int err;

    if (atomic_fetch_add(&inst->inside, 1) > 0)
        inst->host->log(call, RK_LOG_INFO, "ev=overlap");
    for (size_t i = 0; i < n; i++)
        snprintf(keys[i].id, sizeof keys[i].id, "550E8400-E29B-41D4-A716-%012zX", i + 0xabc);
    err = give(inst, call, peer_sae, bits, keys, n);
    atomic_fetch_sub(&inst->inside, 1);
    return err;
}

static int
source_get_by_id(void *arg, struct rk_call *call, const char *peer_sae, uint32_t bits, struct rk_key *keys, size_t n)
{
    return give(arg, call, peer_sae, bits, keys, n);
}

static int
source_status(void *arg, struct rk_call *call, const char *peer_sae, struct rk_source_status *st)
{
    struct inst *inst = arg;
    int err = mode_run(inst->host, call, peer_sae);

    if (err)
        return err;
    *st = (struct rk_source_status){.stored_keys = 7, .max_per_request = 64, .min_bits = 8, .max_bits = 4096};
    snprintf(st->text, sizeof st->text, "7 keys\tfor %s", peer_sae);
    return RK_OK;
}

#ifndef PARALLEL
/* Steps as the peer SAE says; each begins with one that is well. */
static int
source_test(void *arg, struct rk_call *call, const struct rk_source_test *t)
{
    const struct rk_host *host = ((struct inst *)arg)->host;
    const char *mode = t->peer_sae;
    int err;

    host->step(call, "begin", RK_OK, "for \"%s\", %u to %u bits", mode, t->min_bits, t->max_bits);
    err = mode_run(host, call, mode); /* without a step of its own */
    if (err)
        return err;
    if (mode_is(mode, "steps-odd")) {
        host->step(call, "NO NAME", 4711, "line\nbreak");
        host->step(call, NULL, RK_STEP_WARNING, "none");
    }
    if (mode_is(mode, "steps-many"))
        for (int i = 0; i < 1000; i++)
            host->step(call, "again", RK_OK, "%d", i);
    if (mode_is(mode, "steps-fail")) {
        host->fail(call, RK_E_AUTH, "refused: for this reason");
        host->step(call, "door", RK_E_AUTH, "%s", "");
        host->step(call, "window", RK_E_NOENT, "none");
        return RK_E_AUTH;
    }
    return RK_OK;
}
#endif

/* Tells in its log what it sees of its options, for the test to compare. */
static int
source_init(const struct rk_host *host, struct rk_call *call, const struct rk_conf *conf, void **out)
{
    const char *fate = host->conf_str(conf, "fate"), *second = host->conf_item(conf, "list", 1);
    struct inst *inst;
    int err = mode_run(host, call, fate ? fate : "");

    if (err)
        return err;
    inst = calloc(1, sizeof *inst);
    if (!inst)
        return host->fail(call, RK_E_NOMEM, "out of memory");
    inst->host = host;
    host->log(call, RK_LOG_INFO, "ev=options sae=%s wait_ms=%lld list1=%s absent=%d", host->conf_str(conf, RK_CONF_SAE),
              (long long)host->conf_int(conf, "pause"), second ? second : "-", host->conf_str(conf, "nothing") == NULL);
    host->log(call, RK_LOG_INFO, "ev=environment path=%d tz=%s", getenv("PATH") != NULL,
              getenv("TZ") ? getenv("TZ") : "-");
    *out = inst;
    return RK_OK;
}

static void
source_fini(void *arg)
{
    struct inst *inst = arg;

    inst->host->log(NULL, RK_LOG_INFO, "ev=fini");
    free(inst);
}

static const struct rk_opt options[] = {
    {.name = "fate", .type = RK_OPT_STRING, .help = "What init does"},
    {.name = "pause", .type = RK_OPT_DURATION, .min = 1, .max = 60000, .dflt = "2s", .help = "A duration"},
    {.name = "list", .type = RK_OPT_STRING, .flags = RK_OPT_LIST, .help = "A list"},
    {.name = "level", .type = RK_OPT_INT, .min = 1, .max = 9, .unit = "steps", .help = "A number"},
    {.name = NULL},
};

static const struct rk_source_ops ops = {
    .size = sizeof ops,
    .get_new = source_get_new,
    .get_by_id = source_get_by_id,
    .status = source_status,
#ifndef PARALLEL
    .test = source_test,
#endif
};

#ifdef PARALLEL
#define SYMBOL host_parallel_LTX_rk_plugin
#define NAME "host-parallel"
#define CAPS RK_CAP_PARALLEL
#else
#define SYMBOL host_source_LTX_rk_plugin
#define NAME "host-source"
#define CAPS 0
#endif

extern const struct rk_plugin SYMBOL;
__attribute__((visibility("default"))) const struct rk_plugin SYMBOL = {
    RK_PLUGIN_HEAD(RK_SOURCE, CAPS),
    .name = NAME,
    .version = "1.2",
    .summary = "Keys for tests",
    .opts = options,
    .opt_size = sizeof options[0],
    .init = source_init,
    .fini = source_fini,
    .ops = &ops,
};
