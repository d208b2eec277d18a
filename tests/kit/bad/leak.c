/* leak.c - forgets memory with each apply */
#include "base.h"

#define LEAK_BYTES 65536

static int
leak_apply(void *arg, struct rk_call *call, struct rk_dev_op *ops, size_t n)
{
    void *volatile lost = malloc(LEAK_BYTES); /* volatile: or a compiler leaves it out */

    if (!lost)
        return RK_E_NOMEM;
    memset(lost, 1, LEAK_BYTES);
    lost = NULL;
    return base_apply(arg, call, ops, n);
}

DEVICE(bad_leak_LTX_rk_plugin, "bad-leak", leak_apply);
