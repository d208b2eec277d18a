/* end_resume.c - from the journal's phase and the device's truth to the next state.  Pure.
 *
 * The one way back from a crash, from an unknown outcome and from a verification.
 */
#include "end_step.h"

#include <rekey/err.h>
#include <string.h>

/* The device does not transmit on the current key any more: nothing is in use.  When it still holds the key, for
 * receive or with used-up packet numbers, it stays as the previous one: the peer may transmit on it until the next
 * rotation is done, and then it is removed as any other. */
static void
lose_cur(struct step *s, const struct rk_seen *seen)
{
    struct rk_end *e = s->e;

    if (seen->cur) {
        memcpy(e->d.prev, e->d.cur, sizeof e->d.prev);
        e->d.prev_seq = e->d.cur_seq;
    } else if (!seen->prev) {
        e->d.prev[0] = '\0';
        e->d.prev_seq = 0;
    }
    e->d.cur[0] = '\0';
    e->d.cur_seq = 0;
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

    if (d->cur[0]) { /* else prev is one that the device lost, but holds */
        memcpy(d->prev, d->cur, sizeof d->prev);
        d->prev_seq = d->cur_seq;
    }
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
            lose_cur(s, seen);
        rk_end_burn(s, RK_E_NOKEY, "the device lost the key before it transmitted on it");
    }
}

/* The master may transmit on the staged key already: it is kept as long as the device holds it. */
static void
resume_staged(struct step *s, const struct rk_seen *seen)
{
    struct rk_end *e = s->e;
    bool cur_gone = e->d.cur[0] && !(seen->cur & RK_SENDING), held = (seen->cand & HELD_BOTH) == HELD_BOTH;

    if (cur_gone)
        lose_cur(s, seen);
    if (held) {
        e->want = e->want && !cur_gone; /* this rotation is the cure */
        rk_end_go(s, cur_gone ? RK_ST_J_STAGED : RK_ST_STAGED);
    } else {
        rk_end_burn(s, RK_E_NOKEY, "the device lost the staged key");
    }
}

/* Someone else made the device transmit on a key that was given up, and so it cannot be removed.  The next rotation
 * puts an end to that; until then the key counts as foreign. */
static void
forget_cand(struct step *s, const struct rk_seen *seen)
{
    struct rk_end *e = s->e;

    if (e->d.cur[0])
        lose_cur(s, seen);
    rk_end_remember(s, RK_E_CONFLICT, "the device transmits on a key that was given up");
    e->d.cand[0] = e->d.mine[0] = e->d.theirs[0] = '\0';
    e->d.phase = RK_PH_IDLE;
    rk_end_go(s, RK_ST_J_BURNT);
}

/* The journal is gone, but the device transmits on the key that the peer transmits on: that is the current one. */
static void
adopt(struct step *s)
{
    struct rk_end *e = s->e;
    struct rk_durable *d = &e->d;

    memcpy(d->cur, e->peer_active, sizeof d->cur);
    d->cur_seq = e->peer_active_seq;
    if (strcmp(d->prev, d->cur) == 0)
        d->prev[0] = '\0';
    if (d->seq < d->cur_seq)
        d->seq = d->cur_seq;
    if (d->floor < d->seq)
        d->floor = d->seq;
    d->cur_since = s->ev->wall;
    e->cur_since_ns = s->now_ns;
    e->want = false;
    rk_end_note(s, "adopted", d->cur);
    rk_end_go(s, RK_ST_J_IDLE);
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
        resume_staged(s, seen);
        break;
    case RK_PH_ACTIVATING:
        resume_activating(s, seen);
        break;
    case RK_PH_ACTIVE:
        if (cur_gone && !seen->cur) {
            lose_cur(s, seen);
            rk_end_go(s, RK_ST_J_IDLE);
        } else if (e->drain_until_ns > s->now_ns) {
            rk_end_go(s, RK_ST_DRAIN);
        } else {
            rk_end_go(s, RK_ST_ACTIVE);
        }
        break;
    case RK_PH_BURNING:
        if (seen->cand & RK_SENDING)
            forget_cand(s, seen);
        else
            rk_end_go(s, RK_ST_UNSTAGE);
        break;
    default:
        if (cur_gone) {
            lose_cur(s, seen);
            rk_end_go(s, RK_ST_J_IDLE);
        } else if (!e->d.cur[0] && e->peer_active_seq && (seen->peer & RK_SENDING)) {
            adopt(s);
        } else {
            rk_end_go(s, RK_ST_IDLE);
        }
        break;
    }
}
