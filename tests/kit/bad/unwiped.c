/* unwiped.c - leaves a copy of each key in memory */
#include "base.h"

static unsigned char copy[RK_SECRET_MAX];

static int
keep(const unsigned char *bytes, size_t len, void *arg)
{
    (void)arg;
    memcpy(copy, bytes, len);
    return copy[0];
}

static int
unwiped_apply(void *arg, struct rk_call *call, struct rk_dev_op *ops, size_t n)
{
    struct inst *inst = arg;

    for (size_t i = 0; i < n; i++)
        if (ops[i].key)
            (void)inst->host->secret_use(ops[i].key, keep, NULL);
    return base_apply(arg, call, ops, n);
}

DEVICE(bad_unwiped_LTX_rk_plugin, "bad-unwiped", unwiped_apply);
