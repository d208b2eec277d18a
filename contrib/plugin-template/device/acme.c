/* acme.c - a device of class B: a template for device plugins.  An instance does not change after init */
#include "agent.h"

#include <rekey/device.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static int
add_hex(const unsigned char *bytes, size_t len, void *arg)
{
    for (char *to = strchr(arg, '\0'); len > 0; len--, to += 2)
        snprintf(to, 3, "%02x", *bytes++);
    return RK_OK;
}

static int
do_one(const struct agent *d, struct rk_call *call, struct rk_dev_op *op)
{
    const char *verb = op->kind == RK_OP_STAGE ? "stage" : op->kind == RK_OP_RETIRE ? "retire" : NULL;
    char line[AGENT_LINE];
    int err;

    snprintf(op->why, sizeof op->why, "the switch cannot do this, or not with a key of this size");
    if (!verb || (op->key && d->host->secret_len(op->key) > 64))
        return RK_E_UNSUPPORTED;
    snprintf(line, sizeof line, "%s %s %s %s ", verb, op->iface, op->key_id, op->text ? op->text : "keep=");
    if (op->key)
        d->host->secret_use(op->key, add_hex, line);
    err = agent_ask(d, call, line);
    snprintf(op->why, sizeof op->why, "the switch says: %.100s", err ? "nothing" : line);
    if (err || strcmp(line, "ok") == 0)
        return err;
    return strcmp(line, "nokey") == 0 ? RK_E_NOKEY : strcmp(line, "noent") == 0 ? RK_E_NOENT : RK_E_REJECTED;
}

static int
acme_apply(void *inst, struct rk_call *call, struct rk_dev_op *ops, size_t n)
{
    int err = RK_OK;

    for (size_t i = 0; i < n; i++)
        if ((ops[i].err = do_one(inst, call, &ops[i])) == RK_E_UNKNOWN)
            err = RK_E_UNKNOWN; /* rekeyd reads the device back, whatever the others say */
    return err;
}

/* "ok PRIMARY FALLBACK USED": what the switch holds now.  Never answered from memory. */
static int
look(const struct agent *d, struct rk_call *call, struct rk_dev_seen *seen)
{
    static const uint32_t flags[] = {RK_HELD_RX | RK_HELD_TX, RK_HELD_RX, RK_SENDING | RK_PEER_USES};
    char line[AGENT_LINE], id[3][RK_KEY_ID_MAX + 1];
    int err, asked[3] = {0};

    snprintf(line, sizeof line, "show %s", seen->iface);
    err = agent_ask(d, call, line);
    if (err || sscanf(line, "ok %64s %64s %64s", id[0], id[1], id[2]) != 3) {
        snprintf(seen->why, sizeof seen->why, "the switch says: %.100s", err ? "nothing" : line);
        return err ? err : RK_E_NOENT;
    }
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < RK_SEEN_KEYS; k++)
            if (seen->key_ids[k] && !strcmp(seen->key_ids[k], id[i])) {
                seen->held[k] |= flags[i];
                asked[i] = 1;
            }
    seen->state = RK_IF_PRESENT | RK_IF_UP | RK_IF_PROTECTED;
    if (!asked[2] && strcmp(id[2], "-") != 0)
        seen->state |= RK_IF_OTHER;
    for (int i = 0; i < 2; i++)
        seen->foreign += !asked[i] && strcmp(id[i], "-") != 0;
    return RK_OK;
}

static int
acme_observe(void *inst, struct rk_call *call, struct rk_dev_seen *seen, size_t n)
{
    for (size_t i = 0; i < n; i++)
        seen[i].err = look(inst, call, &seen[i]);
    return RK_OK;
}

static int
acme_init(const struct rk_host *host, struct rk_call *call, const struct rk_conf *conf, void **inst)
{
    struct agent *d = calloc(1, sizeof *d);

    if (!d)
        return host->fail(call, RK_E_NOMEM, "out of memory");
    d->host = host;
    d->at.sun_family = AF_UNIX; /* whether anybody listens there is for the first call to find out */
    snprintf(d->at.sun_path, sizeof d->at.sun_path, "%s", host->conf_str(conf, "socket"));
    *inst = d;
    return RK_OK;
}

static const struct rk_opt acme_opts[] = {
    {.name = "socket", .type = RK_OPT_PATH, .flags = RK_OPT_REQUIRED, .max = 107, .help = "Socket of its agent"},
    {.name = NULL},
};

static const struct rk_device_ops acme_ops = {.size = sizeof acme_ops, .apply = acme_apply, .observe = acme_observe};

/* The one symbol that is seen from outside. */
__attribute__((visibility("default"))) const struct rk_plugin acme_LTX_rk_plugin = {
    RK_PLUGIN_HEAD(RK_DEVICE, RK_CAP_CLASS(RK_CLASS_B)), .name = "acme", .version = "1.0",
    .summary = "a switch whose agent takes keys on a local socket", .opts = acme_opts,
    .opt_size = sizeof(struct rk_opt), .init = acme_init, .fini = free, .ops = &acme_ops,
};
