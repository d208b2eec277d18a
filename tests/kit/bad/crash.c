/* crash.c - ends the process in the middle of an apply */
#include "base.h"

static int
crash_apply(void *arg, struct rk_call *call, struct rk_dev_op *ops, size_t n)
{
    struct inst *inst = arg;

    if (inst->calls >= 1)
        abort();
    return base_apply(arg, call, ops, n);
}

DEVICE(bad_crash_LTX_rk_plugin, "bad-crash", crash_apply);
