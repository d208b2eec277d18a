/* errand.c - tend, discover and prepare: calls on devices beside those of the ends.
 *
 * Runs in the loop.  There may be thousands of devices, each tended every half a minute: spread over that time, and
 * only those that have nothing to do.
 */
#include "errand.h"

#include "../base/err.h"
#include "../base/log.h"
#include "../base/text.h"

#include <string.h>

#define SPREAD_STEPS 1021 /* a prime: instances in a row are far from each other */

bool
inst_offers(const struct inst *inst, uint32_t what)
{
    return inst->conf->kind != RK_SOURCE && inst->host->has_hello && (inst->host->hello.ops & what) == what;
}

/* ---- tend ---- */

static void
tended(void *arg, struct rk_reply *reply)
{
    struct inst *inst = arg;

    inst->in_flight--;
    if (reply->err != inst->tend_err && !inst->gone && inst->ready)
        rk_log(reply->err ? RK_LOG_WARNING : RK_LOG_INFO, "ev=tend inst=%s res=%s why=\"%s\"", inst->conf->name,
               rk_err_name(reply->err), reply->err ? reply->text : "");
    inst->tend_err = reply->err;
    if (!inst->gone)
        inst_mark(inst);
    inst_release(inst);
}

static void
tend(struct daemon *d, struct wake *w)
{
    struct inst *inst = (struct inst *)w;
    struct rk_call_msg m = {.verb = RK_V_TEND, .budget_ms = RK_TEND_BUDGET_MS};

    if (!inst->ready || inst->gone)
        return; /* errand_ready() begins again */
    wake_at(d, w, rk_now_ns() + RK_TEND_MS * RK_NS_PER_MS);
    if (inst->in_flight || inst->queue.first || sup_call(inst, &m, tended, inst) != RK_OK)
        return;
    inst->in_flight++;
    inst_hold(inst);
}

void
errand_ready(struct inst *inst)
{
    int64_t first_ms = (int64_t)(inst->number * SPREAD_STEPS % RK_TEND_MS);

    if (!inst_offers(inst, RK_OFFERS_TEND))
        return;
    inst->wake.fn = tend; /* of a device that is ready it is used for nothing else */
    wake_at(inst->d, &inst->wake, rk_now_ns() + (first_ms + 1) * RK_NS_PER_MS);
}

/* ---- errands ---- */

static void
over(struct errand *e, int err, const char *why)
{
    if (e->done)
        e->done(e->arg, err, why);
}

void
errand_add(struct errand *e)
{
    struct errand **at = &e->inst->errands;

    while (*at)
        at = &(*at)->next;
    e->next = NULL;
    e->number = 0;
    *at = e;
    inst_mark(e->inst);
}

void
errand_stop(struct errand *e)
{
    if (e->number) {
        sup_cancel(e->inst, e->number);
        return;
    }
    for (struct errand **at = &e->inst->errands; *at; at = &(*at)->next)
        if (*at == e) {
            *at = e->next;
            over(e, RK_E_CANCELED, "it had not begun");
            return;
        }
}

void
errand_fail(struct inst *inst, int err, const char *why)
{
    struct errand *e = inst->errands;

    inst->errands = NULL;
    while (e) {
        struct errand *next = e->next;

        over(e, err, why);
        e = next;
    }
}

static void
on_line(void *arg, const struct rk_step *step)
{
    struct errand *e = arg;

    if (e->line && e->done)
        e->line(e->arg, step);
}

static void
on_found(void *arg, const struct rk_found_msg *found)
{
    struct errand *e = arg;

    if (e->found && e->done)
        e->found(e->arg, found);
}

static void
on_heard(void *arg, const struct rk_heard_msg *heard)
{
    struct errand *e = arg;

    if (e->heard && e->done)
        e->heard(e->arg, heard);
}

static void
on_done(void *arg, struct rk_reply *reply)
{
    struct errand *e = arg;
    struct inst *inst = e->inst;

    inst->in_flight--;
    e->number = 0;
    over(e, reply->err, reply->text);
    if (!inst->gone)
        inst_mark(inst);
    inst_release(inst);
}

static int
send(struct errand *e)
{
    struct rk_call_msg m = {.verb = e->verb, .budget_ms = (uint32_t)e->budget_ms, .apply = e->apply,
                           .carries = e->carries, .n = e->n + e->n_words};
    int err;

    m.items = rk_items_new(m.n);
    if (!m.items)
        return RK_E_NOMEM;
    for (size_t i = 0; i < e->n; i++)
        (void)rk_copy(m.items[i].iface, sizeof m.items[i].iface, e->ifaces[i]);
    for (size_t i = 0; i < e->n_words; i++)
        (void)rk_copy(m.items[e->n + i].text, sizeof m.items[0].text, e->words[i]);
    err = sup_call(e->inst, &m, on_done, e);
    rk_items_free(m.items, m.n);
    if (err)
        return err;
    sup_steps(e->inst, on_line);
    sup_found(e->inst, on_found);
    sup_heard(e->inst, on_heard);
    e->number = m.number;
    e->inst->in_flight++;
    inst_hold(e->inst);
    return RK_OK;
}

void
errand_dispatch(struct inst *inst)
{
    while (inst->errands && inst->ready && inst->in_flight == 0) {
        struct errand *e = inst->errands;
        int err;

        inst->errands = e->next;
        err = send(e);
        if (err)
            over(e, err, "the call could not be sent to the plugin's host");
    }
}
