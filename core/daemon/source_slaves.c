/* source_slaves.c - links whose end here is slave, while their source gives no keys.
 *
 * Runs in the loop.  A slave has nothing to ask for before its master offers a key, and each offer that comes to
 * nothing costs one: so the source is asked for its status, and once it answers one slave wants a rotation.  When that
 * has got its key the others do, as many as the gate lets through.
 */
#include "source_pool.h"

#include "../base/text.h"

#include <rekey/err.h>

#define PROBE_NS (10 * RK_NS_PER_S) /* between two questions, at least */

static bool
wants_key(const struct end *end, const struct inst *inst)
{
    const struct inst *failed = end->mix && end->asked ? end->asked : end->source;
    const struct rk_end *e;

    if (failed != inst || end->gone || end->master || !(end->shown_alarms & RK_ALARM_SOURCE))
        return false;
    e = end_see(end);
    return (e->alarms & RK_ALARM_SOURCE) && !e->want;
}

/* Up to n of them ask their masters for a rotation.   ret: how many did */
static size_t
wake_slaves(struct source *src, size_t n)
{
    struct daemon *d = src->inst->d;
    size_t done = 0;

    for (size_t i = 0; i < d->n_ends && done < n; i++)
        if (wants_key(d->ends[i], src->inst)) {
            end_event(d->ends[i], &(struct rk_event){.type = RK_EV_ROTATE});
            done++;
        }
    return done;
}

static bool
is_busy(const struct source *src)
{
    bool busy = src->inst->queue.first || src->inst->in_flight || src->polling;

    for (const struct source_pair *p = src->pairs; p && !busy; p = p->next)
        busy = p->n_wait > 0;
    return busy;
}

struct source_pair *
source_probe(const struct source *src, int64_t now_ns)
{
    struct source_pair *p = src->pairs;

    if (!src->slaves_wait || src->gate.state != RK_GATE_SHUT || is_busy(src) || now_ns < src->gate.retry_ns ||
        now_ns < src->probe_ns)
        return NULL;
    while (p && (!p->used || p->poll_err == RK_E_UNSUPPORTED))
        p = p->next;
    return p;
}

void
source_probed(struct source *src, int err, int64_t now_ns)
{
    if (!src->slaves_wait || src->gate.state != RK_GATE_SHUT || err == RK_E_UNSUPPORTED)
        return;
    src->probe_ns = now_ns + PROBE_NS;
    if (!err && wake_slaves(src, 1) == 0)
        src->slaves_wait = false;
    if (err)
        rk_gate_failed(&src->gate, now_ns, src->interval_ns == RK_NEVER ? PROBE_NS : src->interval_ns,
                       rk_hash(src->inst->conf->name));
}

void
source_slaves_turn(struct source *src, int64_t now_ns)
{
    size_t room = src->slaves_wait ? rk_gate_room(&src->gate, now_ns) : 0;

    if (room > 0 && src->gate.state != RK_GATE_SHUT && wake_slaves(src, room) == 0)
        src->slaves_wait = false;
}
