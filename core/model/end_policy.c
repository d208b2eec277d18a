/* end_policy.c - what operators ask for, and what is done when a key grows too old.  Pure. */
#include "end_step.h"

#include <rekey/err.h>

#include <string.h>

void
rk_on_rotate(struct step *s)
{
    s->e->want = s->e->let = true;
    s->e->failures = 0;
    if (s->e->state != RK_ST_IDLE)
        return;
    s->todo->publish = !rk_is_master(s->e); /* a slave asks its master */
    rk_end_consider(s);
}

/* The keys on the device that are not ours may go: at once when they only take slots, or after the rotation that takes
 * over from one that is in use. */
void
rk_on_adopt(struct step *s)
{
    struct rk_end *e = s->e;

    e->want |= (e->d.flags & RK_DF_HELD) != 0;
    e->d.flags = (e->d.flags & ~RK_DF_HELD) | RK_DF_SWEEP;
    e->failures = 0;
    e->save = true;
    e->sweep_at_ns = s->now_ns;
    rk_end_note(s, "adopt", e->d.cur);
    if (e->state == RK_ST_IDLE)
        rk_end_go(s, RK_ST_J_IDLE);
}

bool
rk_end_expired(const struct rk_end *e, int64_t now_ns)
{
    return now_ns - e->cur_since_ns > 3 * e->interval_ns;
}

static bool
will_shut(const struct rk_end *e)
{
    return e->on_stale == RK_STALE_SHUT && !(e->d.flags & RK_DF_SHUT) && !e->cannot_shut && e->d.cur[0];
}

bool
rk_end_must_shut(const struct rk_end *e, int64_t now_ns)
{
    return will_shut(e) && now_ns - e->cur_since_ns >= e->shut_after_ns;
}

void
rk_end_wake_to_shut(struct step *s)
{
    if (will_shut(s->e))
        rk_end_wake_at(s, s->e->cur_since_ns + s->e->shut_after_ns);
}

void
rk_end_shut(struct step *s)
{
    s->e->d.flags |= RK_DF_SHUT;
    rk_end_remember(s, RK_E_CANCELED, "the key in use is too old, and on-stale is shut");
    rk_end_note(s, "shut", s->e->d.cur);
    rk_end_go(s, RK_ST_J_SHUT);
}

/* What is adopted is removed only when both ends use the current key: the peer may transmit on any until then. */
static bool
may_sweep(const struct rk_end *e)
{
    bool rotates = e->peer.say == RK_SAY_OFFER || e->peer.say == RK_SAY_STAGED;

    return (e->d.flags & RK_DF_SWEEP) && e->d.cur[0] && (e->seen_cur & RK_SENDING) &&
           (rk_of(e)->one_way || strcmp(rotates ? e->peer.prev : e->peer.key, e->d.cur) == 0);
}

void
rk_end_policy(struct step *s)
{
    struct rk_end *e = s->e;

    if (rk_end_must_shut(e, s->now_ns)) {
        rk_end_shut(s);
    } else if (e->save) {
        rk_end_go(s, RK_ST_J_IDLE);
    } else if (may_sweep(e) && s->now_ns >= e->sweep_at_ns) {
        e->sweep_at_ns = s->now_ns + e->verify_ns;
        rk_end_go(s, RK_ST_SWEEP);
    } else {
        rk_end_wake_to_shut(s);
    }
}
