/* host-device.c - device of the host's tests: remembers nothing, but looks at what it is given.
 *
 * The interface says what goes wrong (modes.h, and below).
 */
#include "modes.h"

#include <rekey/device.h>

#include <stdio.h>

struct inst {
    const struct rk_host *host;
};

/* A test's key is one byte again and again. */
static int
is_pattern(const unsigned char *bytes, size_t len, void *arg)
{
    (void)arg;
    for (size_t i = 1; i < len; i++)
        if (bytes[i] != bytes[0])
            return 0;
    return bytes[0];
}

static void
do_op(const struct inst *inst, struct rk_dev_op *op)
{
    if (mode_is(op->iface, "unset"))
        return;
    op->err = RK_OK;
    if (op->kind == RK_OP_STAGE && (!op->key || inst->host->secret_use(op->key, is_pattern, NULL) == 0))
        op->err = RK_E_CONTRACT;
    if (op->kind != RK_OP_STAGE && op->key)
        op->err = RK_E_CONTRACT;
    if ((op->kind == RK_OP_DESCRIBE) != (op->text != NULL) && !mode_is(op->iface, "terms"))
        op->err = RK_E_CONTRACT;
    if (mode_is(op->iface, "terms")) { /* told what came, so that a test sees it */
        op->err = RK_E_REJECTED;
        snprintf(op->why, sizeof op->why, "%u %s %s", op->kind, op->key_id, op->text ? op->text : "none");
    }
    if (mode_is(op->iface, "refuse")) {
        op->err = RK_E_CONFLICT;
        snprintf(op->why, sizeof op->why, "taken by\nanother");
    }
    if (mode_is(op->iface, "endless")) {
        op->err = -77;
        memset(op->why, 'x', sizeof op->why);
    }
}

/* Until nothing is left, or it is canceled. */
static int
use_it_up(const struct inst *inst, struct rk_call *call)
{
    struct pollfd p = {.fd = inst->host->cancel_fd(call), .events = POLLIN};

    while (inst->host->left_ms(call) > 0 && poll(&p, 1, inst->host->left_ms(call)) == 0)
        ;
    return RK_E_TIMEOUT;
}

static int
device_apply(void *arg, struct rk_call *call, struct rk_dev_op *ops, size_t n)
{
    const struct inst *inst = arg;

    for (size_t i = 0; i < n; i++) {
        int err = mode_run(inst->host, call, ops[i].iface);

        if (err)
            return err;
        do_op(inst, &ops[i]);
        if (mode_is(ops[i].iface, "late"))
            (void)use_it_up(inst, call);
        if (mode_is(ops[i].iface, "unknown"))
            return inst->host->fail(call, RK_E_UNKNOWN, "the answer was lost");
    }
    return RK_OK;
}

static int
device_observe(void *arg, struct rk_call *call, struct rk_dev_seen *seen, size_t n)
{
    const struct inst *inst = arg;

    for (size_t i = 0; i < n; i++) {
        int err = mode_run(inst->host, call, seen[i].iface);

        if (err)
            return err;
        if (mode_is(seen[i].iface, "blind"))
            return inst->host->fail(call, RK_E_UNREACHABLE, "not now");
        if (mode_is(seen[i].iface, "slow-eyes"))
            return use_it_up(inst, call);
        if (mode_is(seen[i].iface, "late"))
            inst->host->log(NULL, RK_LOG_INFO, "ev=observe-late");
        seen[i].state = RK_IF_PRESENT | RK_IF_UP | 0x8000;
        seen[i].foreign = 3;
        for (size_t k = 0; k < RK_SEEN_KEYS; k++)
            seen[i].held[k] = seen[i].key_ids[k] ? RK_HELD_RX | (seen[i].seqs[k] == 9 ? RK_SENDING : 0) | 0x8000 : 99;
        snprintf(seen[i].facts, sizeof seen[i].facts, "sci=%.16s", seen[i].peer_facts);
        if (mode_is(seen[i].iface, "class"))
            seen[i].state |= RK_IF_OTHER | RK_IF_CLASS(strcmp(seen[i].link, "d") == 0 ? RK_CLASS_D : RK_CLASS_E + 1);
        if (mode_is(seen[i].iface, "facts"))
            strcpy(seen[i].facts, "sci=|bad");
        if (mode_is(seen[i].iface, "endless"))
            memset(seen[i].why, 'x', sizeof seen[i].why);
    }
    return RK_OK;
}

/* How many, and of what, the interface says. */
static int
device_neighbours(void *arg, struct rk_call *call, const char *const *ifaces, size_t n, rk_neighbour_fn *found,
                  void *to)
{
    static char endless[1000];
    int err = RK_OK;

    (void)arg;
    (void)call;
    memset(endless, '\n', sizeof endless - 1);
    for (size_t i = 0; !err && i < n; i++) {
        struct rk_neighbour seen = {.size = sizeof seen, .ttl_s = 120, .iface = ifaces[i],
                                    .chassis = "02:00:00:00:00:01", .port = "port1", .system = "router",
                                    .description = "to a rk1|text"};

        if (mode_is(ifaces[i], "one"))
            err = found(to, &seen);
        if (mode_is(ifaces[i], "short")) {
            seen.size = 8;
            err = found(to, &seen);
        }
        seen.chassis = seen.description = endless;
        seen.port = NULL;
        for (int k = 0; !err && k < 20 && mode_is(ifaces[i], "many"); k++) {
            seen.iface = k == 3 ? "elsewhere" : k == 4 ? NULL : ifaces[i];
            err = found(to, &seen);
        }
    }
    return err;
}

static int
device_init(const struct rk_host *host, struct rk_call *call, const struct rk_conf *conf, void **out)
{
    struct inst *inst = calloc(1, sizeof *inst);

    (void)conf;
    if (!inst)
        return host->fail(call, RK_E_NOMEM, "out of memory");
    inst->host = host;
    *out = inst;
    return RK_OK;
}

static void
device_fini(void *arg)
{
    struct inst *inst = arg;

    inst->host->log(NULL, RK_LOG_INFO, "ev=fini");
    free(inst);
}

static const struct rk_device_ops ops = {
    .size = sizeof ops,
    .apply = device_apply,
    .observe = device_observe,
    .neighbours = device_neighbours,
};

extern const struct rk_plugin host_device_LTX_rk_plugin;
__attribute__((visibility("default"))) const struct rk_plugin host_device_LTX_rk_plugin = {
    RK_PLUGIN_HEAD(RK_DEVICE, RK_CLASS_A),
    .name = "host-device",
    .version = "1.0",
    .summary = "Device for tests",
    .init = device_init,
    .fini = device_fini,
    .ops = &ops,
    .apply_ms = 90000,
};
