/* late.c - waits in an apply for its device as long as that takes, whatever its budget */
#include "base.h"

static int
late_apply(void *arg, struct rk_call *call, struct rk_dev_op *ops, size_t n)
{
    struct inst *inst = arg;
    int delay_ms = inst->delay_ms, err;

    (void)poll(NULL, 0, delay_ms);
    inst->delay_ms = 0;
    err = base_apply(arg, call, ops, n);
    inst->delay_ms = delay_ms;
    return err;
}

/* Reading is quick. */
static int
late_observe(void *arg, struct rk_call *call, struct rk_dev_seen *seen, size_t n)
{
    struct inst *inst = arg;
    int delay_ms = inst->delay_ms, err;

    inst->delay_ms = 0;
    err = base_observe(arg, call, seen, n);
    inst->delay_ms = delay_ms;
    return err;
}

DEVICE_AS(bad_late_LTX_rk_plugin, "bad-late", base_opts, base_init, late_apply, late_observe);
