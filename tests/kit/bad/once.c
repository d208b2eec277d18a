/* once.c - refuses to stage a key again that it holds */
#include "base.h"

static int
once_apply(void *arg, struct rk_call *call, struct rk_dev_op *ops, size_t n)
{
    struct inst *inst = arg;

    if (n == 1 && ops[0].kind == RK_OP_STAGE && strcmp(inst->id[ops[0].seq % SLOTS], ops[0].key_id) == 0) {
        ops[0].err = base_refuse(&ops[0], RK_E_CONFLICT, "the slot holds a key already");
        return RK_OK;
    }
    return base_apply(arg, call, ops, n);
}

DEVICE(bad_once_LTX_rk_plugin, "bad-once", once_apply);
