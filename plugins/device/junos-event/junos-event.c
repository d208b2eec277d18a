/* junos-event.c - device "junos-event": routers that run Junos and ask by themselves, for they cannot be reached
 *
 * What it asks and writes is in plugins/common/junos, how requests get there in relay.c.  Calls run on worker threads
 * of rekey-host, one at a time per instance; a thread of each listener (hub.c) serves what routers send meanwhile.  A
 * router that does not ask never fails init.
 */
#include "shim.h"

#include "../../common/junos/sealed.h"
#include "../../common/junos/shim_set.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void
fini(void *inst)
{
    struct je_router *r = inst;

    if (r->hub)
        je_hub_leave(r);
    jn_hang_up(&r->d);
    jn_sealed_free(&r->d);
    je_facts_drop(r);
    for (size_t i = 0; i < JE_ASKED_MAX; i++)
        free(r->asked[i].rpc);
    if (r->wake_fd >= 0)
        close(r->wake_fd);
    je_options_free(r);
    free(r);
}

static int
init(const struct rk_host *host, struct rk_call *call, const struct rk_conf *conf, void **inst)
{
    struct je_router *r = calloc(1, sizeof *r);
    int err;

    if (!r)
        return host->fail(call, RK_E_NOMEM, "out of memory");
    r->d.host = host;
    r->d.line = &je_relay;
    r->since_ms = jn_now_ms();
    r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    err = r->wake_fd < 0 ? host->fail(call, RK_E_IO, "no event descriptor; raise LimitNOFILE") : RK_OK;
    if (!err)
        err = je_options_read(r, call, conf);
    if (!err)
        err = je_hub_join(r, call, conf);
    if (err) {
        fini(r);
        return err;
    }
    *inst = r;
    return RK_OK;
}

/* ---- operations ---- */

static int
apply(void *inst, struct rk_call *call, struct rk_dev_op *ops, size_t n)
{
    int err;

    je_begin(inst, call, false);
    err = jn_apply(inst, call, ops, n);
    je_end(inst);
    return err;
}

static int
observe(void *inst, struct rk_call *call, struct rk_dev_seen *seen, size_t n)
{
    int err;

    je_begin(inst, call, true);
    err = jn_observe(inst, call, seen, n);
    je_end(inst);
    return err;
}

static int
discover(void *inst, struct rk_call *call, rk_found_fn *found, void *arg)
{
    int err;

    je_begin(inst, call, true);
    err = jn_discover(inst, call, found, arg);
    je_end(inst);
    return err;
}

static int
neighbours(void *inst, struct rk_call *call, const char *const *ifaces, size_t n, rk_neighbour_fn *found, void *arg)
{
    int err;

    je_begin(inst, call, true);
    err = jn_neighbours(inst, call, ifaces, n, found, arg);
    je_end(inst);
    return err;
}

#define TICK_MIN_S 60 /* a router's timer has no shorter interval */

/* The router is not reached from here, so what it needs is printed. */
static int
prepare(void *inst, struct rk_call *call, const struct rk_prepare *want, rk_line_fn *line, void *arg)
{
    const struct je_router *r = inst;
    unsigned tick_s = (unsigned)(r->tick_ms / 1000);
    const struct jn_shim_own own = {.router = r->router, .tick_s = tick_s > TICK_MIN_S ? tick_s : TICK_MIN_S};

    return jn_shim_print(r->d.host, call, &own, want, line, arg);
}

/* Nothing is open that is to be kept alive; but certificates may have changed. */
static int
tend(void *inst, struct rk_call *call)
{
    je_hub_look(inst, call);
    return RK_OK;
}

static const struct rk_device_ops ops = {
    .size = sizeof ops,
    .apply = apply,
    .observe = observe,
    .tend = tend,
    .discover = discover,
    .prepare = prepare,
    .neighbours = neighbours,
};

extern const struct rk_plugin junos_event_LTX_rk_plugin;

__attribute__((visibility("default"))) const struct rk_plugin junos_event_LTX_rk_plugin = {
    RK_PLUGIN_HEAD(RK_DEVICE, RK_CAP_CLASS(RK_CLASS_B) | RK_CAP_NEEDS_NET),
    .name = "junos-event",
    .version = PACKAGE_VERSION,
    .summary = "routers that run Junos and ask over HTTPS",
    .opts = je_opts,
    .opt_size = sizeof(struct rk_opt),
    .init = init,
    .fini = fini,
    .ops = &ops,
    .apply_ms = 360000, /* commit-timeout, and a minute to read back what became of it */
};
