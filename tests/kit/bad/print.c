/* print.c - writes to standard output */
#include "base.h"

#include <unistd.h>

static int
print_apply(void *arg, struct rk_call *call, struct rk_dev_op *ops, size_t n)
{
    static const char text[] = "applying\n";

    if (write(STDOUT_FILENO, text, sizeof text - 1) < 0)
        return RK_E_IO;
    return base_apply(arg, call, ops, n);
}

DEVICE(bad_print_LTX_rk_plugin, "bad-print", print_apply);
