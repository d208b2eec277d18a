/* fd.c - leaves a descriptor open with each apply */
#include "base.h"

#include <fcntl.h>

static int
fd_apply(void *arg, struct rk_call *call, struct rk_dev_op *ops, size_t n)
{
    if (open("/dev/null", O_RDONLY | O_CLOEXEC) < 0)
        return RK_E_IO;
    return base_apply(arg, call, ops, n);
}

DEVICE(bad_fd_LTX_rk_plugin, "bad-fd", fd_apply);
