/* dispatch.c - the life of calls in a host.
 *
 * A device takes one call at a time, a channel one PUBLISH beside one WATCH: rekeyd promises so, and a second one is
 * refused.  ATTACH of a channel has the plugin to itself, but for WATCH, and comes before what came later.  Links are
 * bound, and MIX and RATCHET are done, at once, whatever else is under way.  Sources without RK_CAP_PARALLEL are served
 * in order.  The budget runs from the arrival of the call.
 */
#include "dispatch.h"

#include "mix.h"
#include "ratchet.h"
#include "run.h"

#include "../base/clock.h"
#include "../base/err.h"
#include "../base/log.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* ---- instances ---- */

/* End an instance that is dropped and free of calls: by fini on a worker when init had made it. */
static void
end_instance(struct rk_dispatch *d, struct rk_inst *inst)
{
    struct rk_call *c = inst->ready ? rk_call_new(0, RK_V_FINI, RK_INIT_BUDGET_MS) : NULL;

    if (inst->ready && !c)
        rk_log(RK_LOG_ERR, "ev=leak inst=%s why=\"no memory to end it\"", inst->name);
    if (!c) {
        rk_inst_free(&inst);
        return;
    }
    inst->ready = false;
    inst->calls++;
    c->inst = inst;
    rk_calls_add(&d->waiting, c);
}

/* A call that held it is over. */
static void
let_go(struct rk_dispatch *d, struct rk_inst *inst)
{
    inst->calls--;
    if (inst->dropped && inst->calls == 0)
        end_instance(d, inst);
}

/* Out of the table; it ends with the last call that holds it. */
static void
drop_instance(struct rk_dispatch *d, struct rk_inst *inst)
{
    rk_inst_take(&d->insts, inst);
    inst->dropped = true;
}

/* ---- the end of a call ---- */

static void
check_instance(struct rk_dispatch *d, struct rk_call *c)
{
    struct rk_inst *inst = c->inst;

    inst->ready = c->reply.err == RK_OK;
    if (inst->ready)
        rk_log(RK_LOG_INFO, "ev=instance inst=%s res=ok", inst->name);
    else
        drop_instance(d, inst);
}

/* Of what an instance has one of a kind, or waits for, this is over. */
static void
not_under_way(struct rk_inst *inst, uint32_t verb)
{
    if (verb == RK_V_PUBLISH)
        inst->publishing = false;
    if (verb == RK_V_WATCH)
        inst->watching = false;
    if (verb == RK_V_ATTACH)
        inst->attaching--;
}

static void
finish(struct rk_dispatch *d, struct rk_call *c, int64_t now_ns)
{
    struct rk_inst *inst = c->inst;

    if (c->state == RK_CALL_POISONED)
        rk_log(RK_LOG_NOTICE, "ev=unpoisoned inst=%s call=%u verb=%s ran_ms=%lld", inst->name, c->number,
               rk_verb_name(c->verb), (long long)((now_ns - c->begun_ns) / RK_NS_PER_MS));
    c->state = RK_CALL_DONE;
    inst->running--;
    inst->busy -= c->verb != RK_V_WATCH;
    not_under_way(inst, c->verb);
    if (c->verb == RK_V_DECODE)
        inst->decoding = false;
    if (c->verb == RK_V_WATCH || c->verb == RK_V_DECODE)
        rk_watch_verify(c);
    if (c->verb == RK_V_INIT)
        check_instance(d, c);
    if (c->verb == RK_V_FINI) {
        rk_calls_remove(&d->running, c);
        rk_inst_free(&inst);
        rk_call_free(&c);
        return;
    }
    c->inst = NULL;
    rk_calls_remove(&d->running, c);
    rk_calls_add(&d->outbox, c);
    let_go(d, inst);
}

/* A call that was not run, or not yet. */
static void
give_back(struct rk_dispatch *d, struct rk_call *c)
{
    struct rk_inst *inst = c->inst;

    c->state = RK_CALL_DONE;
    c->inst = NULL;
    rk_calls_add(&d->outbox, c);
    if (!inst)
        return;
    not_under_way(inst, c->verb);
    if (c->verb == RK_V_INIT)
        drop_instance(d, inst);
    let_go(d, inst);
}

/* ---- start ---- */

static bool
its_turn(const struct rk_call *c)
{
    const struct rk_inst *inst = c->inst;

    if (inst->module->kind == RK_CHANNEL && c->verb == RK_V_ATTACH)
        return inst->busy == 0;
    if (inst->module->kind == RK_CHANNEL && c->verb == RK_V_DECODE && inst->decoding)
        return false;
    if (inst->module->kind == RK_CHANNEL)
        return c->verb == RK_V_WATCH || inst->attaching == 0;
    return inst->running == 0 || (inst->module->caps & RK_CAP_PARALLEL);
}

/* false: no further call can be started now */
static bool
start(struct rk_dispatch *d, struct rk_call *c, int64_t now_ns)
{
    int err;

    c->job.run = rk_run;
    c->pool = d->pool;
    c->begun_ns = now_ns;
    err = rk_pool_submit(d->pool, &c->job);
    if (err == RK_E_BUSY || (err && d->running.n))
        return false; /* a thread that is in use will be free */
    rk_calls_remove(&d->waiting, c);
    if (err) {
        rk_call_refuse(c, RK_E_NOMEM, "no thread can be made for the call");
        give_back(d, c);
        return true;
    }
    c->state = RK_CALL_RUNNING;
    c->inst->running++;
    c->inst->busy += c->verb != RK_V_WATCH;
    c->inst->decoding |= c->verb == RK_V_DECODE;
    rk_calls_add(&d->running, c);
    return true;
}

static void
start_waiting(struct rk_dispatch *d, int64_t now_ns)
{
    for (struct rk_call *c = d->waiting.first, *next; c; c = next) {
        next = c->next;
        if (rk_pool_free_threads(d->pool) == 0)
            return;
        if (its_turn(c) && !start(d, c, now_ns))
            return;
    }
}

/* ---- time ---- */

static void
cancel(struct rk_call *c, int64_t now_ns)
{
    rk_call_cancel(c);
    c->state = RK_CALL_CANCELED;
    c->grace_end_ns = now_ns + RK_GRACE_MS * RK_NS_PER_MS;
}

static void
check_running(struct rk_dispatch *d, int64_t now_ns)
{
    for (struct rk_call *c = d->running.first; c; c = c->next) {
        if (c->state == RK_CALL_RUNNING && now_ns >= c->deadline_ns)
            cancel(c, now_ns);
        if (c->state == RK_CALL_CANCELED && now_ns >= c->grace_end_ns) {
            c->state = RK_CALL_POISONED;
            rk_log(RK_LOG_ERR, "ev=poisoned inst=%s call=%u verb=%s ran_ms=%lld why=\"the plugin did not return after "
                   "its budget\"", c->inst->name, c->number, rk_verb_name(c->verb),
                   (long long)((now_ns - c->begun_ns) / RK_NS_PER_MS));
        }
    }
}

static void
check_waiting(struct rk_dispatch *d, int64_t now_ns)
{
    int64_t earliest_ns = RK_NEVER;

    if (now_ns < d->waiting_until_ns)
        return;
    for (struct rk_call *c = d->waiting.first, *next; c; c = next) {
        next = c->next;
        if (now_ns >= c->deadline_ns && c->verb != RK_V_FINI) {
            rk_calls_remove(&d->waiting, c);
            rk_call_refuse(c, RK_E_TIMEOUT, "%s: not begun within its budget, other calls were before it",
                           rk_verb_name(c->verb));
            give_back(d, c);
        } else if (c->deadline_ns < earliest_ns && c->verb != RK_V_FINI) {
            earliest_ns = c->deadline_ns;
        }
    }
    d->waiting_until_ns = earliest_ns;
}

int64_t
rk_dispatch_next_ns(const struct rk_dispatch *d)
{
    int64_t next_ns = d->waiting.n ? d->waiting_until_ns : RK_NEVER;

    for (const struct rk_call *c = d->running.first; c; c = c->next) {
        int64_t at_ns = c->state == RK_CALL_RUNNING    ? c->deadline_ns
                        : c->state == RK_CALL_CANCELED ? c->grace_end_ns
                                                       : RK_NEVER;

        if (at_ns < next_ns)
            next_ns = at_ns;
    }
    return next_ns;
}

void
rk_dispatch_step(struct rk_dispatch *d, int64_t now_ns)
{
    for (struct rk_job *job = rk_pool_done(d->pool), *next; job; job = next) {
        next = job->next;
        finish(d, (struct rk_call *)job, now_ns);
    }
    check_running(d, now_ns);
    check_waiting(d, now_ns);
    start_waiting(d, now_ns);
    if (d->waiting.n == 0)
        d->waiting_until_ns = RK_NEVER;
}

/* ---- what rekeyd sends ---- */

static void
add_waiting(struct rk_dispatch *d, struct rk_call *c)
{
    rk_calls_add(&d->waiting, c);
    if (c->deadline_ns < d->waiting_until_ns)
        d->waiting_until_ns = c->deadline_ns;
}

static void
on_config(struct rk_dispatch *d, const void *frame, size_t len, uint32_t number)
{
    struct rk_call *c = rk_call_new(number, RK_V_INIT, RK_INIT_BUDGET_MS);
    int err;

    if (!c) {
        rk_log(RK_LOG_ERR, "ev=no-memory number=%u", number);
        return;
    }
    err = rk_config_get(frame, len, &c->config);
    if (!err)
        err = rk_inst_add(&d->insts, d->module, c->config.inst, &c->inst);
    if (err) {
        rk_call_refuse(c, err == RK_E_PROTOCOL ? RK_E_CONTRACT : err, "instance %u cannot be made: %s", c->config.inst,
                       err == RK_E_CONTRACT ? "its number is in use, or there are too many" : rk_err_name(err));
        give_back(d, c);
        return;
    }
    c->inst->calls++;
    add_waiting(d, c);
}

/* Can it be taken on?  Otherwise its reply says why not. */
static bool
admit(struct rk_call *c)
{
    struct rk_inst *inst = c->inst;
    bool busy;

    if (!inst->ready) {
        rk_call_refuse(c, RK_E_BUSY, "contract: the instance is still being made");
        return false;
    }
    if (rk_run_check(c) != RK_OK)
        return false;
    busy = (inst->module->kind == RK_DEVICE && inst->calls && c->verb != RK_V_MIX) ||
           (c->verb == RK_V_PUBLISH && inst->publishing) || (c->verb == RK_V_WATCH && inst->watching);
    if (busy) {
        rk_call_refuse(c, RK_E_BUSY, "contract: %s already has a call", inst->name);
        return false;
    }
    inst->publishing |= c->verb == RK_V_PUBLISH;
    inst->watching |= c->verb == RK_V_WATCH;
    return true;
}

static void
on_call(struct rk_dispatch *d, const void *frame, size_t len, int *fds, size_t n, uint32_t number)
{
    struct rk_call *c = rk_call_new(number, 0, 0);
    struct rk_inst *inst;
    int err;

    if (!c) {
        rk_log(RK_LOG_ERR, "ev=no-memory number=%u", number);
        for (size_t i = 0; i < n; i++)
            rk_secret_fd_wipe(fds[i]);
        return;
    }
    err = rk_call_get(frame, len, fds, n, &c->msg);
    c->verb = c->msg.verb;
    c->deadline_ns += c->msg.budget_ms * RK_NS_PER_MS;
    inst = err ? NULL : rk_inst_find(&d->insts, c->msg.inst);
    if (!inst) {
        if (err)
            rk_call_refuse(c, err == RK_E_NOMEM ? err : RK_E_CONTRACT, "the call cannot be read");
        else
            rk_call_refuse(c, RK_E_CONTRACT, "no instance %u", c->msg.inst);
        give_back(d, c);
        return;
    }
    c->inst = inst;
    if (!admit(c)) {
        c->inst = NULL; /* it never held the instance */
        give_back(d, c);
    } else if (c->verb == RK_V_MIX || c->verb == RK_V_RATCHET || (c->verb == RK_V_ATTACH && !rk_attach_bind(c))) {
        if (c->verb == RK_V_MIX)
            rk_run_mix(c);
        else if (c->verb == RK_V_RATCHET)
            rk_run_ratchet(c);
        c->inst = NULL;
        give_back(d, c);
    } else {
        inst->attaching += c->verb == RK_V_ATTACH;
        inst->calls++;
        add_waiting(d, c);
    }
}

static void
on_cancel(struct rk_dispatch *d, uint32_t number)
{
    for (struct rk_call *c = d->running.first; c; c = c->next)
        if (c->number == number && c->state == RK_CALL_RUNNING && c->verb != RK_V_FINI)
            cancel(c, rk_now_ns());
    for (struct rk_call *c = d->waiting.first, *next; c; c = next) {
        next = c->next;
        if (c->number != number || c->verb == RK_V_FINI)
            continue;
        rk_calls_remove(&d->waiting, c);
        rk_call_refuse(c, RK_E_CANCELED, "canceled before it began");
        give_back(d, c);
    }
}

/* End an instance: what waits for it is given back, what runs on it is told to return. */
static void
end_calls(struct rk_dispatch *d, struct rk_inst *inst)
{
    for (struct rk_call *c = d->running.first; c; c = c->next)
        if (c->inst == inst && c->state == RK_CALL_RUNNING)
            cancel(c, rk_now_ns());
    for (struct rk_call *c = d->waiting.first, *next; c; c = next) {
        next = c->next;
        if (c->inst != inst)
            continue;
        rk_calls_remove(&d->waiting, c);
        rk_call_refuse(c, RK_E_CANCELED, "the instance is dropped");
        give_back(d, c);
    }
}

static void
on_drop(struct rk_dispatch *d, uint32_t id)
{
    struct rk_inst *inst = rk_inst_find(&d->insts, id);

    if (!inst)
        return;
    drop_instance(d, inst);
    inst->calls++; /* held until its calls are dealt with */
    end_calls(d, inst);
    let_go(d, inst);
}

void
rk_dispatch_frame(struct rk_dispatch *d, const void *frame, size_t len, int *fds, size_t n)
{
    uint32_t type = 0, number = 0;

    if (rk_msg_head(frame, len, &type, &number) && type == RK_MSG_CALL) {
        on_call(d, frame, len, fds, n, number);
        return;
    }
    for (size_t i = 0; i < n; i++)
        rk_secret_fd_wipe(fds[i]);
    if (type == RK_MSG_CONFIG)
        on_config(d, frame, len, number);
    else if (type == RK_MSG_DROP)
        on_drop(d, number);
    else if (type == RK_MSG_CANCEL)
        on_cancel(d, number);
    else if (type == RK_MSG_LOG_LEVEL && number >= RK_LOG_ERR && number <= RK_LOG_DEBUG)
        rk_log_level_set((int)number);
    else
        rk_log(RK_LOG_WARNING, "ev=bad-frame type=%u bytes=%zu", type, len);
}

/* ---- begin and end ---- */

int
rk_dispatch_start(struct rk_dispatch *d, const struct rk_module *module)
{
    memset(d, 0, sizeof *d);
    d->module = module;
    d->waiting_until_ns = RK_NEVER;
    return rk_pool_new(RK_WORKERS_MAX, &d->pool);
}

void
rk_dispatch_drop_all(struct rk_dispatch *d)
{
    while (d->insts.n)
        on_drop(d, d->insts.list[d->insts.n - 1]->id);
}

bool
rk_dispatch_idle(const struct rk_dispatch *d)
{
    return d->waiting.n == 0 && d->running.n == 0;
}

void
rk_dispatch_end(struct rk_dispatch *d)
{
    struct pollfd done = {.fd = rk_pool_fd(d->pool), .events = POLLIN};

    rk_dispatch_drop_all(d);
    for (rk_dispatch_step(d, rk_now_ns()); !rk_dispatch_idle(d); rk_dispatch_step(d, rk_now_ns()))
        (void)poll(&done, 1, -1);
    while (d->outbox.first) {
        struct rk_call *c = d->outbox.first;

        rk_calls_remove(&d->outbox, c);
        rk_call_free(&c);
    }
    rk_pool_free(&d->pool);
    free(d->insts.list);
}
