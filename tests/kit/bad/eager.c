/* eager.c - wants its device to answer before it can be made */
#include "base.h"

static int
eager_init(const struct rk_host *host, struct rk_call *call, const struct rk_conf *conf, void **out)
{
    if (host->conf_int(conf, "delay") > 0)
        return host->fail(call, RK_E_UNREACHABLE, "the device did not answer");
    return base_init(host, call, conf, out);
}

DEVICE_AS(bad_eager_LTX_rk_plugin, "bad-eager", base_opts, eager_init, base_apply, base_observe);
