/* linux-macsec.c - keys into this host's kernel: MACsec with static SAKs, class A
 *
 * Runs in rekey-host with CAP_NET_ADMIN, one call at a time per instance.  It deletes no interface, changes none but
 * for its associations, and removes no key that it was not told to.
 */
#include "iface.h"
#include "observe.h"
#include "stage.h"

#include <stdlib.h>
#include <string.h>

#define OPS_MAX 64 /* of one call, by the contract */

static const char *const cipher_names[] = {"gcm-aes-128", "gcm-aes-256", "gcm-aes-xpn-128", "gcm-aes-xpn-256", NULL};

static const struct rk_opt opts[] = {
    {"cipher", RK_OPT_ENUM, 0, NULL, 0, 0, "gcm-aes-256", cipher_names,
     "cipher suite; both ends must have the same"},
    {"replay-window", RK_OPT_INT, 0, "packets", 0, 0x3fffffff, "64", NULL,
     "how far behind a frame may be; several processors send a little out of order, 0 is strict order"},
    {"port", RK_OPT_INT, 0, NULL, 1, 65535, "1", NULL, "port part of the SCI of interfaces that are made"},
    {"pn-threshold", RK_OPT_INT, 0, "packets", 1, INT64_MAX, NULL, NULL,
     "packet number from which the key must be replaced; by default three quarters of what the cipher allows"},
    {NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL},
};

static int
macsec_init(const struct rk_host *host, struct rk_call *call, const struct rk_conf *conf, void **out)
{
    struct macsec_inst *inst = calloc(1, sizeof *inst);

    *out = NULL;
    if (!inst || macsec_nl_init(&inst->nl)) {
        free(inst);
        return host->fail(call, RK_E_NOMEM, "out of memory");
    }
    inst->host = host;
    inst->cipher = macsec_cipher_at((size_t)host->conf_int(conf, "cipher"));
    inst->window = (uint32_t)host->conf_int(conf, "replay-window");
    inst->port = (uint16_t)host->conf_int(conf, "port");
    inst->pn_threshold = (uint64_t)host->conf_int(conf, "pn-threshold");
    if (inst->cipher && !inst->cipher->xpn && inst->pn_threshold > UINT32_MAX) {
        macsec_nl_fini(&inst->nl);
        free(inst);
        return host->fail(call, RK_E_CONFIG, "pn-threshold is above 4294967295: that needs a cipher with xpn");
    }
    *out = inst;
    return RK_OK;
}

static void
macsec_fini(void *arg)
{
    struct macsec_inst *inst = arg;

    if (!inst)
        return;
    macsec_nl_fini(&inst->nl);
    free(inst);
}

/* The interfaces of a call, each once. */
struct set {
    struct macsec_iface *ifaces;
    size_t n;
};

static struct macsec_iface *
set_add(struct set *set, const char *text, bool wanted)
{
    size_t i;

    for (i = 0; i < set->n; i++)
        if (strcmp(set->ifaces[i].text, text) == 0)
            break;
    if (i == set->n)
        set->ifaces[set->n++].text = text;
    set->ifaces[i].wanted = set->ifaces[i].wanted || wanted;
    return &set->ifaces[i];
}

/* Reads back the switches that are pending.  Only then may anything else be done to those interfaces. */
static void
settle(struct macsec_call *c, struct set *set)
{
    char why[RK_WHY_MAX];
    bool any = false;
    int err;

    for (size_t i = 0; i < set->n; i++)
        any = any || set->ifaces[i].pending.op;
    if (!any)
        return;
    c->time.undoing = true; /* the switch is made: whatever the budget, say how it went */
    err = macsec_ifaces_read(c, set->ifaces, set->n, why);
    c->time.undoing = false;
    for (size_t i = 0; i < set->n; i++) {
        struct rk_dev_op *op = set->ifaces[i].pending.op;

        if (err && op) {
            op->err = macsec_say(op->why, RK_E_UNKNOWN, "%s", why);
            set->ifaces[i].pending.op = NULL;
        } else {
            macsec_activated(c, &set->ifaces[i]);
        }
    }
}

static void
apply_one(struct macsec_call *c, struct macsec_iface *f, struct rk_dev_op *op)
{
    if (op->kind == RK_OP_DESCRIBE) {
        op->err = macsec_say(op->why, RK_E_UNSUPPORTED, "%s: linux-macsec shows no text: use a channel of its own",
                             op->iface);
    } else if (op->kind == RK_OP_RETIRE && f->absent && f->err) {
        op->err = RK_OK; /* no interface, no key */
    } else if (op->kind == RK_OP_RETIRE && f->read) {
        macsec_retire(c, f, op); /* also from an interface that does not fit the options */
    } else if (f->err) {
        op->err = f->err;
        memcpy(op->why, f->why, sizeof op->why);
    } else if (!f->read) {
        op->err = macsec_say(op->why, RK_E_NOENT, "%s is no longer there", f->names.dev);
    } else if (op->kind == RK_OP_STAGE) {
        macsec_stage(c, f, op);
    } else if (op->kind == RK_OP_ACTIVATE) {
        macsec_activate(c, f, op);
    } else if (op->kind == RK_OP_SHUT) {
        macsec_shut(c, f, op);
    } else if (op->kind == RK_OP_SWEEP) {
        macsec_sweep(c, f, op);
    } else {
        op->err = macsec_say(op->why, RK_E_CONTRACT, "operation %u is not known", op->kind);
    }
}

/* Room for the interfaces of n operations, or looks.   ret: as the call's; *set is to be freed when it is RK_OK */
static int
begin(const struct macsec_inst *inst, struct rk_call *call, size_t n, struct set *set)
{
    set->n = 0;
    if (n == 0 || n > OPS_MAX)
        return inst->host->fail(call, RK_E_CONTRACT, "%zu interfaces in one call", n);
    set->ifaces = calloc(n, sizeof *set->ifaces);
    return set->ifaces ? RK_OK : inst->host->fail(call, RK_E_NOMEM, "out of memory");
}

static int
load(struct macsec_call *c, struct set *set)
{
    char why[RK_WHY_MAX];
    int err = macsec_ifaces_load(c, set->ifaces, set->n, why);

    return err ? c->time.host->fail(c->time.call, err, "%s", why) : RK_OK;
}

static int
macsec_apply(void *arg, struct rk_call *call, struct rk_dev_op *ops, size_t n)
{
    struct macsec_inst *inst = arg;
    struct macsec_call c = {.inst = inst, .time = {.host = inst->host, .call = call}};
    struct macsec_iface *of[OPS_MAX];
    struct set set;
    int err = begin(inst, call, n, &set);

    if (err)
        return err;
    for (size_t i = 0; i < n; i++)
        of[i] = set_add(&set, ops[i].iface, ops[i].kind == RK_OP_STAGE);
    err = load(&c, &set);
    for (size_t i = 0; !err && i < n; i++) {
        if (of[i]->pending.op)
            settle(&c, &set);
        apply_one(&c, of[i], &ops[i]);
    }
    if (!err)
        settle(&c, &set);
    free(set.ifaces);
    return err;
}

static int
macsec_observe(void *arg, struct rk_call *call, struct rk_dev_seen *seen, size_t n)
{
    struct macsec_inst *inst = arg;
    struct macsec_call c = {.inst = inst, .time = {.host = inst->host, .call = call}};
    struct macsec_iface *of[OPS_MAX];
    struct set set;
    int err = begin(inst, call, n, &set);

    if (err)
        return err;
    for (size_t i = 0; i < n; i++)
        of[i] = set_add(&set, seen[i].iface, true);
    err = load(&c, &set);
    for (size_t i = 0; !err && i < n; i++)
        macsec_look(inst, of[i], &seen[i]);
    free(set.ifaces);
    return err;
}

static const struct rk_device_ops ops = {
    .size = sizeof ops,
    .apply = macsec_apply,
    .observe = macsec_observe,
};

extern const struct rk_plugin linux_macsec_LTX_rk_plugin;

#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const struct rk_plugin linux_macsec_LTX_rk_plugin = {
    RK_PLUGIN_HEAD(RK_DEVICE, RK_CAP_CLASS(RK_CLASS_A) | RK_CAP_NEEDS_NET_ADMIN),
    .name = "linux-macsec",
    .version = PACKAGE_VERSION,
    .summary = "MACsec of the Linux kernel, static SAKs",
    .opts = opts,
    .opt_size = sizeof opts[0],
    .init = macsec_init,
    .fini = macsec_fini,
    .ops = &ops,
};
