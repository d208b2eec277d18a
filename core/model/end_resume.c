/* end_resume.c - from the journal's phase and the device's truth to the next state.  Pure.
 *
 * The one way back from a crash, from an unknown outcome and from a verification.
 */
#include "end_step.h"

#include <rekey/err.h>
#include <string.h>

/* The keys that the device transmitted on are gone: nothing is in use any more. */
static void
lose_cur(struct step *s)
{
    struct rk_end *e = s->e;

    e->d.cur[0] = e->d.prev[0] = '\0';
    e->d.cur_seq = e->d.prev_seq = 0;
    e->want = true;
    rk_end_remember(s, RK_E_NOKEY, "the device does not hold the key in use any more");
    rk_end_note(s, "lost", "");
}

#define HELD_BOTH (RK_HELD_RX | RK_HELD_TX)

void
rk_end_activated(struct step *s)
{
    struct rk_end *e = s->e;
    struct rk_durable *d = &e->d;

    memcpy(d->prev, d->cur, sizeof d->prev);
    d->prev_seq = d->cur_seq;
    memcpy(d->cur, d->cand, sizeof d->cur);
    d->cur_seq = d->seq;
    d->cand[0] = '\0';
    d->cur_since = s->ev->wall;
    e->cur_since_ns = s->now_ns;
    e->d.phase = RK_PH_ACTIVE;
    rk_end_note(s, "activated", d->cur);
    rk_end_go(s, RK_ST_J_ACTIVE);
}

static void
resume_activating(struct step *s, const struct rk_seen *seen)
{
    struct rk_end *e = s->e;

    bool said = e->said_active;

    e->said_active = false;
    if (seen->cand & RK_SENDING) {
        rk_end_activated(s);
    } else if ((seen->cand & HELD_BOTH) == HELD_BOTH && said) {
        rk_end_remember(s, RK_E_CONTRACT, "the device said that it transmits on the new key, and does not");
        e->state = RK_ST_ACTIVATE;
        rk_end_retry(s);
    } else if ((seen->cand & HELD_BOTH) == HELD_BOTH) {
        rk_end_go(s, RK_ST_ACTIVATE);
    } else { /* the device lost the candidate: that cannot be helped; it never transmitted on it */
        if (e->d.cur[0] && !(seen->cur & RK_SENDING))
            lose_cur(s);
        rk_end_burn(s, RK_E_NOKEY, "the device lost the key before it transmitted on it");
    }
}

void
rk_end_resume(struct step *s, const struct rk_seen *seen)
{
    struct rk_end *e = s->e;
    bool cur_gone = e->d.cur[0] && !(seen->cur & RK_SENDING);

    switch (e->d.phase) {
    case RK_PH_INTENT:
    case RK_PH_FETCHED:
        rk_end_burn(s, e->last_err ? e->last_err : RK_E_UNKNOWN, "interrupted before the key was staged");
        break;
    case RK_PH_STAGED:
        if ((seen->cand & HELD_BOTH) == HELD_BOTH && !cur_gone) {
            rk_end_go(s, RK_ST_STAGED);
            break;
        }
        if (cur_gone)
            lose_cur(s);
        rk_end_burn(s, RK_E_NOKEY, "the device lost the staged key");
        break;
    case RK_PH_ACTIVATING:
        resume_activating(s, seen);
        break;
    case RK_PH_ACTIVE:
        if (cur_gone) {
            lose_cur(s);
            rk_end_go(s, RK_ST_J_IDLE);
        } else if (e->drain_until_ns > s->now_ns) {
            rk_end_go(s, RK_ST_DRAIN);
        } else {
            rk_end_go(s, RK_ST_ACTIVE);
        }
        break;
    case RK_PH_BURNING:
        rk_end_go(s, RK_ST_UNSTAGE);
        break;
    default:
        if (cur_gone) {
            lose_cur(s);
            rk_end_go(s, RK_ST_J_IDLE);
        } else {
            rk_end_go(s, RK_ST_IDLE);
        }
        break;
    }
}
