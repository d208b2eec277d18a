/* lie.c - says that a key is retired, and keeps it */
#include "base.h"

static int
lie_apply(void *arg, struct rk_call *call, struct rk_dev_op *ops, size_t n)
{
    struct inst *inst = arg;

    if (n == 1 && ops[0].kind == RK_OP_RETIRE && inst->sending != (int)(ops[0].seq % SLOTS)) {
        ops[0].err = RK_OK;
        return RK_OK;
    }
    return base_apply(arg, call, ops, n);
}

DEVICE(bad_lie_LTX_rk_plugin, "bad-lie", lie_apply);
