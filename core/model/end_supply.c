/* end_supply.c - what an end makes of a source that is short of keys, or gives none: the old key stays.  Pure. */
#include "end_step.h"

#include <rekey/err.h>

#define TURN_NS RK_NS_PER_S /* longer than a source needs to fail once more */

uint32_t
rk_supply_stretch(const struct rk_supply *s, unsigned priority, uint32_t most)
{
    uint64_t squeeze, rate; /* rate: what is left of the link's use of keys [per million] */

    if (!s || most <= RK_STRETCH_NONE)
        return RK_STRETCH_NONE;
    squeeze = s->squeeze[priority < RK_PRIORITIES ? priority : RK_PRIORITIES - 1];
    rate = 1000000 - squeeze * (1000000 - UINT64_C(1000000000) / most) / 1000;
    return (uint32_t)((UINT64_C(1000000000) + rate / 2) / rate);
}

int64_t
rk_end_interval_ns(const struct rk_end *e)
{
    uint32_t stretch = rk_supply_stretch(e->supply, e->priority, e->stretch_max);

    return stretch == RK_STRETCH_NONE ? e->interval_ns : e->interval_ns / 1000 * stretch;
}

int64_t
rk_end_due_ns(const struct rk_end *e)
{
    int64_t interval_ns = rk_end_interval_ns(e), stretched_ns = e->cur_since_ns + interval_ns;
    bool stretched = e->d.cur[0] && !e->want && interval_ns > e->interval_ns;

    return stretched && stretched_ns > e->due_ns ? stretched_ns : e->due_ns;
}

/* The first source gives nothing, and the key is too old: the fallback source is asked without asking the first; unless
 * it is time to ask that, for else nobody might: then this end waits for its turn, but not for long. */
static bool
falls_back(struct step *s)
{
    struct rk_end *e = s->e;
    bool expired = rk_end_expired(e, s->now_ns);

    if (!e->has_fallback || e->on_stale != RK_STALE_FALLBACK)
        return false;
    e->use_fallback = expired && s->now_ns < e->supply->retry_ns;
    if (!e->use_fallback)
        rk_end_wake_at(s, expired ? s->now_ns + TURN_NS : e->cur_since_ns + 3 * e->interval_ns + 1);
    return e->use_fallback;
}

bool
rk_end_held_back(struct step *s)
{
    struct rk_end *e = s->e;
    int64_t due_ns = e->cur_since_ns + rk_end_interval_ns(e), look_ns = s->now_ns + e->interval_ns / 4;

    e->starved = false;
    if (!e->supply || e->use_fallback || e->let)
        return false;
    if (e->supply->wait) {
        if (falls_back(s))
            return false;
        e->starved = s->todo->starved = true;
        return true;
    }
    if (!e->d.cur[0] || e->want || e->peer_lost || s->now_ns >= due_ns || due_ns - e->cur_since_ns <= e->interval_ns)
        return false;
    rk_end_wake_at(s, due_ns < look_ns ? due_ns : look_ns);
    return true;
}

bool
rk_end_starved(const struct rk_end *e)
{
    return e->supply && e->supply->wait && (e->starved || e->state == RK_ST_FETCH);
}

uint32_t
rk_end_supply_alarms(const struct rk_end *e)
{
    uint32_t alarms = 0;

    if (!e->supply)
        return 0;
    if (rk_is_master(e) && e->supply->dry)
        alarms |= RK_ALARM_SOURCE_DRY;
    if (rk_end_starved(e))
        alarms |= e->supply->err == RK_E_EMPTY ? RK_ALARM_SOURCE_DRY : RK_ALARM_SOURCE;
    return alarms;
}
