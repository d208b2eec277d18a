/* ctl_source.c - the commands source-test and peer-test of the control socket: its rows come as the test goes on.
 *
 * Runs in the loop.
 */
#include "daemon.h"

static void
forget(void *arg)
{
    source_test_forget(arg);
}

void
do_source_test(struct daemon *d, struct ctl_client *c, const struct rk_ask *ask, uint32_t kind)
{
    const struct source_test_want want = {kind, ask->arg, ask->peer, ask->fetch != 0, ask->budget_ms};
    const struct hearer to = hearer_of_ctl(c);
    char why[RK_TEXT_MAX] = "";
    struct source_test *t = source_test_begin(d, &want, &to, why, sizeof why);

    if (t)
        ctl_wait(c, forget, t);
    else
        ctl_over(c, CTL_FAILED, why);
}
