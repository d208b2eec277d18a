/* spin.c - never returns, and burns the processor */
#include "base.h"

static int
spin_apply(void *arg, struct rk_call *call, struct rk_dev_op *ops, size_t n)
{
    static volatile unsigned long turns;

    (void)arg;
    (void)ops;
    (void)n;
    while (call)
        turns++;
    return RK_OK;
}

DEVICE(bad_spin_LTX_rk_plugin, "bad-spin", spin_apply);
