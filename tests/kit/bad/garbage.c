/* garbage.c - fails with codes that are none, and texts without end */
#include "base.h"

static int
garbage_apply(void *arg, struct rk_call *call, struct rk_dev_op *ops, size_t n)
{
    int err = base_apply(arg, call, ops, n);

    for (size_t i = 0; i < n; i++)
        if (ops[i].err) {
            ops[i].err = -7777;
            memset(ops[i].why, 0x1b, sizeof ops[i].why);
        }
    return err;
}

DEVICE(bad_garbage_LTX_rk_plugin, "bad-garbage", garbage_apply);
