/* gate.c - a source that fails is asked by one, not by all.  Pure. */
#include "gate.h"

#include "../base/clock.h"
#include "../model/pace.h"

#define STEP 4 /* times as many keys after each answer: 21 keys by three calls, then whole calls */
#define WINDOW_OPEN 256 /* more than all calls at once can ask for */
/* Keys between two failures, from which on the pause need not grow: three answers with keys for one without. */
#define GOT_ENOUGH 20

size_t
rk_gate_room(const struct rk_gate *g, int64_t now_ns)
{
    switch (g->state) {
    case RK_GATE_SHUT:
        return now_ns >= g->retry_ns && g->out == 0 ? 1 : 0;
    case RK_GATE_AJAR:
        return g->window > g->out ? g->window - g->out : 0;
    default:
        return SIZE_MAX;
    }
}

void
rk_gate_asked(struct rk_gate *g, size_t n)
{
    g->out += n;
}

void
rk_gate_failed(struct rk_gate *g, int64_t now_ns, int64_t interval_ns, uint64_t seed)
{
    if (g->state == RK_GATE_SHUT && now_ns < g->retry_ns)
        return;
    if (g->got < GOT_ENOUGH)
        g->level++;
    else if (g->level > 1)
        g->level--;
    g->state = RK_GATE_SHUT;
    g->got = 0;
    g->retry_ns = now_ns + rk_pace_backoff(g->level ? g->level : 1, interval_ns, seed ^ (uint64_t)now_ns);
}

static void
swing_open(struct rk_gate *g)
{
    g->state = RK_GATE_OPEN;
    g->level = 0;
}

static void
succeeded(struct rk_gate *g, size_t n)
{
    g->got += n;
    if (g->state == RK_GATE_OPEN)
        return;
    g->window = g->state == RK_GATE_SHUT ? STEP : STEP * g->window;
    g->state = RK_GATE_AJAR;
    if (g->window >= WINDOW_OPEN)
        swing_open(g);
}

void
rk_gate_idle(struct rk_gate *g)
{
    if (g->state == RK_GATE_AJAR && g->out == 0)
        swing_open(g);
}

void
rk_gate_answered(struct rk_gate *g, size_t n, bool failed, int64_t now_ns, int64_t interval_ns, uint64_t seed)
{
    g->out -= n < g->out ? n : g->out;
    if (failed)
        rk_gate_failed(g, now_ns, interval_ns, seed);
    else
        succeeded(g, n);
}

void
rk_gate_retry(struct rk_gate *g, int64_t now_ns)
{
    if (g->state == RK_GATE_SHUT && g->retry_ns > now_ns)
        g->retry_ns = now_ns;
}
