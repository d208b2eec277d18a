/* hang.c - never returns, whatever the budget and the cancel descriptor say */
#include "base.h"

static int
hang_apply(void *arg, struct rk_call *call, struct rk_dev_op *ops, size_t n)
{
    (void)arg;
    (void)ops;
    (void)n;
    while (call)
        (void)poll(NULL, 0, -1);
    return RK_OK;
}

DEVICE(bad_hang_LTX_rk_plugin, "bad-hang", hang_apply);
