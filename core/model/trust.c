/* trust.c - see trust.h.  Pure. */
#include "trust.h"

enum rk_trust_says
rk_trust_judge(const struct rk_trust *t)
{
    if (t->ratcheted || !t->proven || t->reset)
        return RK_TRUST_COUNTS;
    return t->silent_ns > t->silence_ns ? RK_TRUST_RESETS : RK_TRUST_REFUSED;
}

void
rk_trust_alarm(struct rk_end *e, bool on)
{
    e->alarms = on ? e->alarms | RK_ALARM_RESET_PEER : e->alarms & ~RK_ALARM_RESET_PEER;
}

bool
rk_trust_reset(const struct rk_end *e)
{
    return (e->alarms & RK_ALARM_RESET_PEER) != 0;
}
