/* thread.c - leaves a thread running with each apply */
#include "base.h"

#include <pthread.h>
#include <stdint.h>

static void *
run(void *arg)
{
    for (;;)
        (void)poll(NULL, 0, -1);
    return arg;
}

static int
thread_apply(void *arg, struct rk_call *call, struct rk_dev_op *ops, size_t n)
{
    pthread_attr_t attr;
    pthread_t thread;
    int failed;

    if (pthread_attr_init(&attr) != 0)
        return RK_E_NOMEM;
    (void)pthread_attr_setstacksize(&attr, 64 * 1024);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    failed = pthread_create(&thread, &attr, run, NULL);
    pthread_attr_destroy(&attr);
    return failed ? RK_E_NOMEM : base_apply(arg, call, ops, n);
}

DEVICE(bad_thread_LTX_rk_plugin, "bad-thread", thread_apply);
