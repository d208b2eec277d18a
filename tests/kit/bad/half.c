/* half.c - sets the result of the first operation only */
#include "base.h"

static int
half_apply(void *arg, struct rk_call *call, struct rk_dev_op *ops, size_t n)
{
    int first, err = base_apply(arg, call, ops, n);

    first = ops[0].err;
    for (size_t i = 0; i < n; i++)
        ops[i].err = RK_E_CONTRACT;
    ops[0].err = first;
    return err;
}

DEVICE(bad_half_LTX_rk_plugin, "bad-half", half_apply);
