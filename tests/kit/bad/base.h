/* base.h - a small device of class A that keeps its contract, for modules that break it in one way each
 *
 * It holds its keys in memory.  A bad module replaces one of the functions.  Option "delay": how long a call waits, as
 * a slow peer would have it.
 */
#ifndef KIT_BAD_BASE_H
#define KIT_BAD_BASE_H

#include <rekey/device.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 4

struct inst {
    const struct rk_host *host;
    int delay_ms;
    int calls;                              /* of apply */
    char id[SLOTS][RK_KEY_ID_MAX + 1];      /* "": the slot is empty */
    int sending;                            /* slot; -1: none */
};

static const struct rk_opt base_opts[] = {
    {.name = "delay", .type = RK_OPT_DURATION, .min = 0, .max = 60000, .dflt = "0ms", .help = "how long a call waits"},
    {.name = NULL},
};

static inline int
base_init(const struct rk_host *host, struct rk_call *call, const struct rk_conf *conf, void **out)
{
    struct inst *inst = calloc(1, sizeof *inst);

    if (!inst)
        return host->fail(call, RK_E_NOMEM, "out of memory");
    inst->host = host;
    inst->delay_ms = (int)host->conf_int(conf, "delay");
    inst->sending = -1;
    *out = inst;
    return RK_OK;
}

static inline void
base_fini(void *inst)
{
    free(inst);
}

/* RK_OK when the delay is over, else why not. */
static inline int
base_wait(struct inst *inst, struct rk_call *call)
{
    struct pollfd p = {.fd = inst->host->cancel_fd(call), .events = POLLIN};
    int left_ms = inst->host->left_ms(call);

    if (inst->delay_ms == 0)
        return RK_OK;
    if (poll(&p, 1, inst->delay_ms < left_ms ? inst->delay_ms : left_ms) > 0)
        return inst->host->fail(call, RK_E_CANCELED, "given up");
    return inst->delay_ms < left_ms ? RK_OK : inst->host->fail(call, RK_E_TIMEOUT, "the device did not answer");
}

static inline int
base_refuse(struct rk_dev_op *op, int err, const char *why)
{
    snprintf(op->why, sizeof op->why, "%s", why);
    return err;
}

static inline int
base_op(struct inst *inst, struct rk_dev_op *op)
{
    int slot = (int)(op->seq % SLOTS);
    int same = strcmp(inst->id[slot], op->key_id) == 0;

    switch (op->kind) {
    case RK_OP_STAGE:
        if (inst->id[slot][0] && !same)
            return base_refuse(op, RK_E_CONFLICT, "the slot is taken");
        snprintf(inst->id[slot], sizeof inst->id[slot], "%s", op->key_id);
        return RK_OK;
    case RK_OP_ACTIVATE:
        if (!same)
            return base_refuse(op, RK_E_NOKEY, "the slot does not hold this key");
        inst->sending = slot;
        return RK_OK;
    case RK_OP_RETIRE:
        if (same && inst->sending == slot)
            return base_refuse(op, RK_E_CONFLICT, "it transmits on this key");
        if (same)
            inst->id[slot][0] = '\0';
        return RK_OK;
    default:
        return base_refuse(op, RK_E_UNSUPPORTED, "this device cannot do it");
    }
}

static inline int
base_apply(void *arg, struct rk_call *call, struct rk_dev_op *ops, size_t n)
{
    struct inst *inst = arg;
    int err = base_wait(inst, call);

    inst->calls++;
    for (size_t i = 0; !err && i < n; i++)
        ops[i].err = base_op(inst, &ops[i]);
    return err;
}

static inline uint32_t
base_held(const struct inst *inst, const char *id, uint64_t seq)
{
    int slot = (int)(seq % SLOTS);

    if (!id || strcmp(inst->id[slot], id) != 0)
        return 0;
    return RK_HELD_RX | RK_HELD_TX | (inst->sending == slot ? RK_SENDING | RK_PEER_USES : 0);
}

static inline int
base_observe(void *arg, struct rk_call *call, struct rk_dev_seen *seen, size_t n)
{
    struct inst *inst = arg;
    int err = base_wait(inst, call);

    for (size_t i = 0; !err && i < n; i++) {
        seen[i].state = RK_IF_PRESENT | RK_IF_UP | RK_IF_PROTECTED;
        snprintf(seen[i].facts, sizeof seen[i].facts, "sci=0200000000020001");
        for (size_t k = 0; k < RK_SEEN_KEYS; k++)
            seen[i].held[k] = base_held(inst, seen[i].key_ids[k], seen[i].seqs[k]);
    }
    return err;
}

/* DEVICE - the module bad-NAME with these functions and options */
#define DEVICE_AS(symbol, name_, opts_, init_, apply_, observe_) \
    static const struct rk_device_ops ops = {.size = sizeof ops, .apply = apply_, .observe = observe_}; \
    extern const struct rk_plugin symbol; \
    __attribute__((visibility("default"))) const struct rk_plugin symbol = { \
        RK_PLUGIN_HEAD(RK_DEVICE, RK_CAP_CLASS(RK_CLASS_A)), .name = name_, .version = "1", \
        .summary = "breaks the contract in one way", .opts = opts_, .opt_size = sizeof(struct rk_opt), .init = init_, \
        .fini = base_fini, .ops = &ops}
#define DEVICE(symbol, name_, apply_) DEVICE_AS(symbol, name_, base_opts, base_init, apply_, base_observe)

#endif
