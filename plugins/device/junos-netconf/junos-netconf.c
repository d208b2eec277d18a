/* junos-netconf.c - device "junos-netconf": routers that run Junos, over NETCONF
 *
 * What the files are for is in junos.h.  Runs on a worker thread of rekey-host, one call at a time per instance, and
 * never connects in init: an unreachable router must not keep the others from being served.
 */
#include "options.h"
#include "sealed.h"

#include <stdlib.h>

static void
fini(void *inst)
{
    struct jn_device *d = inst;

    jn_hang_up(d);
    jn_sealed_free(d);
    jn_options_free(&d->opt);
    free(d);
}

static int
init(const struct rk_host *host, struct rk_call *call, const struct rk_conf *conf, void **inst)
{
    struct jn_device *d = calloc(1, sizeof *d);
    int err;

    if (!d)
        return host->fail(call, RK_E_NOMEM, "out of memory");
    d->host = host;
    err = jn_options_read(d, call, conf);
    if (err) {
        fini(d);
        return err;
    }
    *inst = d;
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
