/* ctl_source.c - the command source-test of the control socket: its rows come as the test goes on.
 *
 * Runs in the loop.
 */
#include "daemon.h"

enum { CTL_OK = 0, CTL_FAILED = 1 }; /* as in ctl.c */

static void
take_row(void *arg, char *row)
{
    ctl_push(arg, row);
}

static void
take_over(void *arg, bool ok, const char *text)
{
    ctl_over(arg, ok ? CTL_OK : CTL_FAILED, text);
}

static void
forget(void *arg)
{
    source_test_forget(arg);
}

void
do_source_test(struct daemon *d, struct ctl_client *c, const struct rk_ask *ask)
{
    const struct source_test_want want = {ask->arg, ask->peer, ask->fetch != 0, ask->budget_ms};
    const struct source_test_hearer to = {take_row, take_over, c};
    char why[RK_TEXT_MAX] = "";
    struct source_test *t = source_test_begin(d, &want, &to, why, sizeof why);

    if (t)
        ctl_wait(c, forget, t);
    else
        ctl_over(c, CTL_FAILED, why);
}
