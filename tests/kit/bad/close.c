/* close.c - closes descriptors that are not its own */
#include "base.h"

#include <unistd.h>

static int
close_apply(void *arg, struct rk_call *call, struct rk_dev_op *ops, size_t n)
{
    int err = base_apply(arg, call, ops, n);

    for (int fd = 3; fd < 64; fd++)
        close(fd);
    return err;
}

DEVICE(bad_close_LTX_rk_plugin, "bad-close", close_apply);
