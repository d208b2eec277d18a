/* end_fail.c - what follows when an action failed, or nobody knows whether it was done.  Pure. */
#include "end_step.h"

#include "pace.h"

#include "../base/err.h"
#include "../base/text.h"

#define FETCH_TRIES 3 /* of a slave, before it answers NACK */

/* Closer together as the time to shut the link comes near: it may still be saved. */
void
rk_end_pause(struct step *s)
{
    struct rk_end *e = s->e;
    int64_t shut_ns = e->cur_since_ns + e->shut_after_ns, half_ns = s->now_ns + (shut_ns - s->now_ns) / 2;
    uint64_t seed = rk_hash(e->d.link) ^ (uint64_t)s->now_ns;

    e->soon_ns = e->due_ns = s->now_ns + rk_pace_backoff(e->failures, e->interval_ns, seed);
    if (e->costly)
        e->due_ns = s->now_ns + rk_pace_costly(e->failures, e->interval_ns, seed);
    if (e->on_stale == RK_STALE_SHUT && half_ns > s->now_ns && half_ns < e->due_ns)
        e->due_ns = half_ns + rk_pace_backoff(1, e->interval_ns, 0);
    if (e->use_fallback)
        e->due_ns = s->now_ns;
    if (rk_of(e)->one_way) /* it may still be at work on the key that was given up, and does not say so */
        e->due_ns = s->now_ns + e->interval_ns;
}

/* The alarm that a failure of this state's action raises. */
uint32_t
rk_end_alarm_of(enum rk_state state)
{
    switch (state) {
    case RK_ST_FETCH:
        return RK_ALARM_SOURCE | RK_ALARM_SOURCE_DRY;
    case RK_ST_OBSERVE:
    case RK_ST_STAGE:
    case RK_ST_ACTIVATE:
    case RK_ST_RETIRE:
    case RK_ST_UNSTAGE:
    case RK_ST_SHUT:
    case RK_ST_SWEEP:
        return RK_ALARM_DEVICE;
    default:
        return RK_ALARM_JOURNAL;
    }
}

static void
raise_alarm(struct rk_end *e, int err)
{
    uint32_t alarm = rk_end_alarm_of(e->state);

    if (e->state == RK_ST_FETCH)
        alarm = err == RK_E_EMPTY ? RK_ALARM_SOURCE_DRY : RK_ALARM_SOURCE;
    rk_end_alarm(e, alarm, true);
}

static void
fetch_failed(struct step *s)
{
    struct rk_end *e = s->e;
    enum rk_err_class class = rk_err_class(s->ev->err);
    bool again =
        !rk_is_master(e) && (class == RK_CLASS_RETRY || class == RK_CLASS_OBSERVE) && e->tries + 1 < FETCH_TRIES;

    if (rk_is_master(e) && class == RK_CLASS_OBSERVE)
        e->orphaned++; /* asked for, perhaps taken out of the pool, never seen */
    if (again) {
        rk_end_retry(s);
        return;
    }
    e->use_fallback = rk_is_master(e) && e->has_fallback && e->on_stale == RK_STALE_FALLBACK &&
                      !(e->d.flags & RK_DF_CAND_FALLBACK) && rk_end_expired(e, s->now_ns);
    rk_end_burn(s, s->ev->err, s->ev->why);
}

/* A device that cannot shut or sweep is not asked again: the alarms that led to it stay. */
static void
policy_failed(struct step *s, enum rk_err_class class)
{
    struct rk_end *e = s->e;

    if (class != RK_CLASS_CONFIG && class != RK_CLASS_BUG) {
        rk_end_poll(s);
        return;
    }
    e->cannot_shut |= e->state == RK_ST_SHUT;
    e->d.flags &= ~(e->state == RK_ST_SHUT ? RK_DF_SHUT : RK_DF_SWEEP);
    rk_end_go(s, e->d.phase == RK_PH_STAGED ? RK_ST_J_STAGED : RK_ST_J_IDLE);
}

void
rk_on_failed(struct step *s)
{
    struct rk_end *e = s->e;
    enum rk_err_class class = rk_err_class(s->ev->err);
    bool look = class == RK_CLASS_OBSERVE || s->ev->err == RK_E_NOKEY || s->ev->err == RK_E_CONFLICT;

    rk_end_remember(s, s->ev->err, s->ev->why);
    raise_alarm(e, s->ev->err);
    switch (e->state) {
    case RK_ST_FETCH:
        fetch_failed(s);
        break;
    case RK_ST_STAGE:
        s->todo->drop_key = true;
        if (class == RK_CLASS_OBSERVE)
            rk_end_go(s, RK_ST_OBSERVE);
        else
            rk_end_burn(s, s->ev->err, s->ev->why);
        break;
    case RK_ST_SHUT:
    case RK_ST_SWEEP:
        policy_failed(s, class);
        break;
    case RK_ST_ACTIVATE:
    case RK_ST_RETIRE:
    case RK_ST_UNSTAGE:
        e->cannot_keep = s->ev->err == RK_E_NOKEY;
        e->refused = e->state;
        if (look)
            e->state = RK_ST_OBSERVE; /* read the device back, but not at once */
        __attribute__((fallthrough));
    default: /* OBSERVE and the J_ states: no durable intent, no effect */
        rk_end_retry(s);
        break;
    }
}
