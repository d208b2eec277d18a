/* strdup.c - does not look whether there was memory */
#include "base.h"

static int
strdup_apply(void *arg, struct rk_call *call, struct rk_dev_op *ops, size_t n)
{
    char *copy = strdup(ops[0].key_id);

    /* volatile: as far as a compiler knows strdup() may be left out */
    ((volatile char *)copy)[0] = '\0';
    free(copy);
    return base_apply(arg, call, ops, n);
}

DEVICE(bad_strdup_LTX_rk_plugin, "bad-strdup", strdup_apply);
