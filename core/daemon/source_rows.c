/* source_rows.c - what rekeyctl sources shows, as JSON objects.  The members are documented in rekeyctl(8). */
#include "source_pool.h"

#include "../base/err.h"

#include <jansson.h>
#include <stdlib.h>

static json_t *
known(int64_t n)
{
    return n < 0 ? json_null() : json_integer(n);
}

static const char *
state_of(const struct source_pair *p)
{
    const struct inst *inst = p->src->inst;

    if (!inst->ready)
        return "down";
    if (p->src->gate.state == RK_GATE_SHUT || p->gate.state == RK_GATE_SHUT)
        return "waiting";
    return p->supply.wait ? "recovering" : "ok";
}

/* Why it waits, or why its plugin could not begin. */
static json_t *
why_of(const struct source_pair *p)
{
    const struct inst *inst = p->src->inst;

    if (p->supply.wait)
        return json_pack("{ss ss}", "result", rk_err_name(p->supply.err), "why", p->supply.why);
    if (!inst->ready && inst->err)
        return json_pack("{ss ss}", "result", rk_err_name(inst->err), "why", inst->error);
    return json_null();
}

/* The longest that a link's interval is stretched to, of those that are: its factor. */
static double
stretch_of(const struct rk_demand *d, const struct rk_supply *s)
{
    double most = 1;

    for (size_t i = 0; i < RK_PRIORITIES; i++) {
        double left = d->per_s[i] - d->spare_s[i] * s->squeeze[i] / 1000;

        if (left > 0 && d->per_s[i] / left > most)
            most = d->per_s[i] / left;
    }
    return most;
}

static double
use_of(const struct rk_demand *d)
{
    double sum = 0;

    for (size_t i = 0; i < RK_PRIORITIES; i++)
        sum += d->per_s[i];
    return sum;
}

char *
source_row(const struct source_pair *p, int64_t now_ns)
{
    const struct rk_supply *s = &p->supply;
    int64_t ends_ns = s->end_ns == RK_NEVER ? -1 : s->end_ns > now_ns ? s->end_ns - now_ns : 0;
    bool rate = p->pool.has_refill && rk_pool_known(&p->pool);
    json_t *row = json_pack(
        "{ss ss ss ss so so so so so sf sf so sb sI sI sI sI sI sI so}", "source", p->src->inst->conf->name, "plugin",
        p->src->inst->conf->plugin, "peer_sae", p->peer_sae, "state", state_of(p), "stored", known(p->pool.stored),
        "max_per_request", known(p->max_per_request), "min_bits", known(p->min_bits), "max_bits", known(p->max_bits),
        "refill_per_s", rate ? json_real(p->pool.refill_s) : json_null(), "use_per_s", use_of(&p->demand), "stretch",
        stretch_of(&p->demand, s), "ends_ms", known(ends_ns < 0 ? -1 : ends_ns / RK_NS_PER_MS), "dry", (int)s->dry,
        "links", (json_int_t)p->demand.links, "waiting", (json_int_t)p->n_wait, "calls", (json_int_t)p->calls, "failed",
        (json_int_t)p->failed, "keys", (json_int_t)p->keys, "orphaned", (json_int_t)p->orphaned, "last", why_of(p));
    char *text = row ? json_dumps(row, JSON_COMPACT) : NULL;

    json_decref(row);
    return text;
}
