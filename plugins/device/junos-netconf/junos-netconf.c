/* junos-netconf.c - device "junos-netconf": routers that run Junos, over NETCONF
 *
 * What it asks and writes is in plugins/common/junos, how requests get there in session.c.  Runs on a worker thread of
 * rekey-host, one call at a time per instance, and never connects in init: an unreachable router must not keep the
 * others from being served.
 */
#include "session.h"

#include "../../common/junos/sealed.h"

#include <stdlib.h>

static void
fini(void *inst)
{
    struct jn_router *r = inst;

    jn_hang_up(&r->d);
    jn_names_forget(&r->names);
    jn_sealed_free(&r->d);
    jn_router_free(r);
    free(r);
}

static int
init(const struct rk_host *host, struct rk_call *call, const struct rk_conf *conf, void **inst)
{
    struct jn_router *r = calloc(1, sizeof *r);
    int err;

    if (!r)
        return host->fail(call, RK_E_NOMEM, "out of memory");
    r->d.host = host;
    r->d.line = &jn_ssh;
    r->d.names = &r->names;
    err = jn_router_read(r, call, conf);
    if (err) {
        fini(r);
        return err;
    }
    *inst = r;
    return RK_OK;
}

static const struct rk_device_ops ops = {
    .size = sizeof ops,
    .apply = jn_apply,
    .observe = jn_observe,
    .tend = jn_tend,
    .discover = jn_discover,
    .prepare = jn_prepare,
    .neighbours = jn_neighbours,
};

__attribute__((visibility("default"))) const struct rk_plugin junos_netconf_LTX_rk_plugin = {
    RK_PLUGIN_HEAD(RK_DEVICE, RK_CAP_CLASS(RK_CLASS_B) | RK_CAP_NEEDS_NET),
    .name = "junos-netconf",
    .version = PACKAGE_VERSION,
    .summary = "routers that run Junos, over NETCONF",
    .opts = jn_opts,
    .opt_size = sizeof(struct rk_opt),
    .init = init,
    .fini = fini,
    .ops = &ops,
    .apply_ms = 360000, /* commit-timeout, and a minute to read back what became of it */
};
