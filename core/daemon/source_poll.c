/* source_poll.c - the status of key sources is asked: seldom, one pool at a time, and never in the way of a rotation.
 *
 * Runs in the loop.  It consumes no key, and nothing waits for it.
 */
#include "source_pool.h"

#include "../base/err.h"
#include "../base/log.h"
#include "../base/text.h"

#include <stdio.h>
#include <stdlib.h>

#define POLL_NS (60 * RK_NS_PER_S)     /* between two questions for the status of a pool */
#define POLL_SOON_NS (10 * RK_NS_PER_S) /* while it is short, and until its numbers are known to mean something */
#define POLLS_SOON 6
#define POLL_MIN_NS (RK_NS_PER_S / 2) /* between two questions to one source, however many pools it has */
#define POLL_BUDGET_MS 5000

struct poll {
    struct inst *inst;
    struct source_pair *pair;
};

static int64_t
poll_pause(const struct source_pair *p)
{
    bool soon = p->supply.dry || p->pool.empty_ns || p->n_polls < POLLS_SOON;
    int64_t pause_ns = p->poll_err == RK_E_UNSUPPORTED ? 10 * POLL_NS : soon && !p->poll_err ? POLL_SOON_NS : POLL_NS;
    uint64_t seed = rk_hash(p->peer_sae) ^ (uint64_t)p->poll_ns;

    return pause_ns - pause_ns / 4 + (int64_t)(seed % 1000) * (pause_ns / 2000);
}

static void
take_status(struct source_pair *p, const struct rk_reply *reply, int64_t now_ns)
{
    p->max_per_request = reply->max_per_request > 0 ? reply->max_per_request : -1;
    p->min_bits = reply->min_bits > 0 ? reply->min_bits : -1;
    p->max_bits = reply->max_bits > 0 ? reply->max_bits : -1;
    rk_pool_status(&p->pool, now_ns, reply->stored_keys < 0 ? -1 : reply->stored_keys);
}

/* There are sources that tell none. */
static void
show_status(const struct source_pair *p, const struct rk_reply *reply)
{
    bool matters = reply->err && reply->err != RK_E_UNSUPPORTED;

    rk_log(matters ? RK_LOG_INFO : RK_LOG_DEBUG, "ev=source-status source=%s peer=%s res=%s why=\"%s\"",
           p->src->inst->conf->name, p->peer_sae, rk_err_name(reply->err), reply->text);
}

static void
polled(void *arg, struct rk_reply *reply)
{
    struct poll *poll = arg;
    struct source_pair *p = poll->pair;
    struct inst *inst = poll->inst;
    int64_t now_ns = rk_now_ns();

    free(poll);
    inst->source->polling = false;
    p->polling = false;
    p->n_polls++;
    if (reply->err != p->poll_err)
        show_status(p, reply);
    p->poll_err = reply->err;
    if (!reply->err) {
        take_status(p, reply, now_ns);
        source_judge(p, now_ns);
    }
    source_probed(inst->source, reply->err, now_ns);
    p->poll_ns = now_ns + poll_pause(p);
    if (!inst->gone)
        source_look(inst->source, p->poll_ns);
    inst_release(inst);
}

static void
poll(struct source_pair *p)
{
    struct inst *inst = p->src->inst;
    struct rk_call_msg m = {.verb = RK_V_SOURCE_STATUS, .budget_ms = POLL_BUDGET_MS};
    struct poll *ctx = calloc(1, sizeof *ctx);

    p->poll_ns = rk_now_ns() + POLL_NS;
    if (!ctx)
        return;
    *ctx = (struct poll){inst, p};
    snprintf(m.peer_sae, sizeof m.peer_sae, "%s", p->peer_sae);
    if (sup_call(inst, &m, polled, ctx) != RK_OK) {
        free(ctx);
        return;
    }
    inst_hold(inst); /* it takes no turn of a call for keys */
    p->polling = p->src->polling = true;
    p->src->poll_ns = rk_now_ns() + POLL_MIN_NS;
}

/* Not while keys are asked for, which goes first; but not never. */
static bool
may_poll(const struct source *src, const struct source_pair *p, int64_t now_ns)
{
    const struct inst *inst = src->inst;
    bool busy = inst->queue.first || inst->in_flight;

    return p->used && !src->polling && now_ns >= src->poll_ns && now_ns >= p->poll_ns + (busy ? POLL_NS : 0);
}

/* It is known to fail: then only for slaves. */
static int64_t
poll_shut(struct source *src, int64_t now_ns)
{
    struct source_pair *p = source_probe(src, now_ns);
    int64_t next_ns = src->probe_ns > src->gate.retry_ns ? src->probe_ns : src->gate.retry_ns;

    if (p)
        poll(p);
    return src->slaves_wait && next_ns > now_ns ? next_ns : RK_NEVER;
}

int64_t
source_poll(struct source *src, int64_t now_ns)
{
    int64_t next_ns = RK_NEVER;

    if (!src->inst->ready || src->inst->d->stopping)
        return RK_NEVER;
    if (src->gate.state != RK_GATE_OPEN)
        return poll_shut(src, now_ns);
    for (struct source_pair *p = src->pairs; p; p = p->next) {
        if (may_poll(src, p, now_ns))
            poll(p);
        if (p->used && p->poll_ns <= now_ns)
            next_ns = now_ns + POLL_MIN_NS;
        else if (p->used && p->poll_ns < next_ns)
            next_ns = p->poll_ns;
    }
    return next_ns;
}
