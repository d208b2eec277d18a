/* run_test.c - the test of a channel: its plugin goes the way to the other end.  Runs on a worker, beside watch and
 * publish; changes nothing. */
#include "run.h"

int
rk_run_channel_test(struct rk_call *c)
{
    const struct rk_channel_ops *ops = &c->inst->module->channel;
    int err;

    if (!ops->test)
        return rk_call_step(c, "test", RK_STEP_SKIPPED,
                            "this plugin knows no test of its own: rekeyctl status shows whether records come");
    err = ops->test(c->inst->data, c);
    if (err && !c->step_err) /* else the reason would not be shown */
        return rk_call_step(c, "test", err, "%s", "");
    return err;
}
