/* fork.c - leaves a process behind with each apply */
#include "base.h"

#include <unistd.h>

#define LIVES_MS 10000 /* an end in sight: nobody waits for it */

static int
fork_apply(void *arg, struct rk_call *call, struct rk_dev_op *ops, size_t n)
{
    pid_t pid = fork();

    if (pid < 0)
        return RK_E_NOMEM;
    if (pid == 0) {
        (void)poll(NULL, 0, LIVES_MS);
        _exit(0);
    }
    return base_apply(arg, call, ops, n);
}

DEVICE(bad_fork_LTX_rk_plugin, "bad-fork", fork_apply);
