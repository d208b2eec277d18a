/* deaf.c - looks at its budget now and then, and never at the cancel descriptor */
#include "base.h"

static int
deaf_observe(void *arg, struct rk_call *call, struct rk_dev_seen *seen, size_t n)
{
    struct inst *inst = arg;
    int delay_ms = inst->delay_ms, err;

    for (int waited_ms = 0; waited_ms < delay_ms && inst->host->left_ms(call) > 0; waited_ms += 400)
        (void)poll(NULL, 0, 400);
    inst->delay_ms = 0;
    err = base_observe(arg, call, seen, n);
    inst->delay_ms = delay_ms;
    return err;
}

DEVICE_AS(bad_deaf_LTX_rk_plugin, "bad-deaf", base_opts, base_init, base_apply, deaf_observe);
