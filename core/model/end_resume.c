/* end_resume.c - from the journal's phase and the device's truth to the next state.  Pure.
 *
 * The one way back from a crash, from an unknown outcome and from a verification.
 */
#include "end_step.h"

#include <rekey/err.h>
#include <string.h>

static const char not_shut[] = "the device said that it is shut, and is not";

/* The current key is not in use any more.  Class A: the device does not transmit on it.  A CAK is lost only when the
 * device does not have it (MKA may be down for a cut cable), or when someone put another one in its place; but not
 * while the candidate is the primary one: a device without a fallback slot then drops it, and can go back to it. */
static bool
cur_is_gone(const struct rk_end *e, const struct rk_seen *seen)
{
    if (!e->d.cur[0] || (seen->cur & RK_SENDING) || (rk_of(e)->cak && (seen->cand & RK_HELD_TX)))
        return false;
    if (rk_of(e)->timed && !(seen->cur & RK_HELD_TX) && (seen->prev & LIVE) == LIVE && e->d.prev_seq < e->d.cur_seq)
        return true; /* the clock was set back, so that its time has not come yet */
    return !rk_of(e)->cak || !(seen->cur & RK_HELD_RX) || (seen->state & RK_IF_OTHER);
}

static const char *
why_lost(const struct rk_end *e)
{
    if (e->d.flags & RK_DF_HELD)
        return "the device uses a key that is not rekeyd's: rekeyctl adopt takes over";
    if (e->d.flags & RK_DF_SHUT)
        return "the link is shut, for its key is too old";
    return "the device does not hold the key in use any more";
}

/* Nothing is in use.  When the device still holds the key, for receive or with used-up packet numbers, it stays as the
 * previous one: the peer may transmit on it until the next rotation is done, and then it is removed as any other.
 * A CAK before it that the device still has is in use again instead, unless an operator's key is. */
static void
lose_cur(struct step *s, const struct rk_seen *seen)
{
    struct rk_end *e = s->e;
    struct rk_durable *d = &e->d;
    bool other = seen->state & RK_IF_OTHER;

    if (rk_of(e)->cak && !other && (seen->prev & RK_HELD_RX) && d->prev_seq < d->cur_seq) { /* else it was given up */
        rk_end_go_back(d);
    } else {
        if (seen->cur || !seen->prev) {
            memcpy(d->prev, seen->cur ? d->cur : "", seen->cur ? sizeof d->prev : 1);
            d->prev_seq = seen->cur ? d->cur_seq : 0;
        }
        d->cur[0] = '\0';
        d->cur_seq = 0;
    }
    e->want = !other;
    if (other)
        d->flags |= RK_DF_HELD;
    rk_end_remember(s, RK_E_NOKEY, why_lost(e));
    rk_end_note(s, d->flags & RK_DF_HELD ? "held" : "lost", "");
}

/* From now on cur is what the device transmits on. */
static void
in_use_now(struct step *s)
{
    struct rk_durable *d = &s->e->d;

    d->cur_since = s->ev->wall;
    d->cur_boot = s->ev->boot;
    d->cur_boot_ns = s->e->cur_since_ns = s->now_ns;
}

/* What it said was read back, and is not so: it is asked again. */
static void
not_so(struct step *s, enum rk_state again, const char *why)
{
    rk_end_remember(s, RK_E_CONTRACT, why);
    rk_end_alarm(s->e, RK_ALARM_DEVICE, true);
    s->e->state = again;
    rk_end_retry(s);
}

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
    d->start_ms = 0;
    in_use_now(s);
    d->flags = (d->flags & RK_DF_SWEEP) | (d->flags & RK_DF_CAND_FALLBACK ? RK_DF_FALLBACK : 0);
    d->phase = RK_PH_ACTIVE;
    if (e->steps.seq == d->seq && e->steps.staged_ns && !e->steps.switched_ns) { /* MKA did it, or it is done twice */
        rk_steps_own(&e->steps, d->seq, true, s->now_ns);
        (void)rk_steps_skew(&e->steps, &e->skew);
    }
    rk_end_note(s, "activated", d->cur);
    rk_end_go(s, RK_ST_J_ACTIVE);
}

static void
resume_activating(struct step *s, const struct rk_seen *seen, bool said)
{
    struct rk_end *e = s->e;

    if (seen->cand & RK_SENDING) {
        rk_end_activated(s);
    } else if ((seen->cand & HELD_BOTH) == HELD_BOTH && said) {
        not_so(s, RK_ST_ACTIVATE, "the device said that it transmits on the new key, and does not");
    } else if ((seen->cand & HELD_BOTH) == HELD_BOTH) {
        rk_end_go(s, RK_ST_ACTIVATE);
    } else { /* the device lost the candidate: that cannot be helped; it never transmitted on it */
        if (cur_is_gone(e, seen))
            lose_cur(s, seen);
        rk_end_burn(s, RK_E_NOKEY, "the device lost the key before it transmitted on it");
    }
}

static void
set_give_up(struct step *s)
{
    struct rk_end *e = s->e;

    if (e->give_up_ns != RK_NEVER)
        return;
    if (rk_of(e)->one_way)
        e->give_up_ns = s->now_ns + e->interval_ns;
    else if (rk_of(e)->timed && rk_is_master(e))
        e->give_up_ns = e->start_ns - rk_margin_ns(e);
}

/* Does the peer's newest word make it certain that it will never use the candidate. */
static bool
peer_gave_up(const struct rk_end *e)
{
    const struct rk_record *peer = &e->peer;

    if (!peer->role || peer->seq < e->d.seq)
        return false;
    if (rk_of(e)->one_way) /* it does not answer; but it goes on to its next key */
        return !rk_is_master(e) && peer->seq > e->d.seq;
    return peer->seq > e->d.seq || peer->say == RK_SAY_NACK || peer->say == RK_SAY_LOST ||
           peer->say == RK_SAY_WITHDRAWN;
}

/* MKA takes a few seconds, or the time until the start; an open end only when the link is down. */
static void
await_mka(struct step *s)
{
    struct rk_end *e = s->e;

    if (++e->tries > 5 && s->now_ns > e->start_ns) {
        rk_end_alarm(e, RK_ALARM_DEVICE, true);
        rk_end_remember(s, RK_E_AGAIN, "MKA is not live at both ends on the new key yet: is the link up?");
    }
    s->todo->publish = true; /* a peer that lost its journal learns only so that it is waited for */
    rk_end_poll(s);
}

/* Class D: the time is over, and the device still waits for it: its clock was set back.  No MKA is on the key then. */
static bool
never_begins(const struct step *s, const struct rk_seen *seen)
{
    const struct rk_end *e = s->e;

    return rk_of(e)->timed && !(seen->cand & RK_HELD_TX) && s->now_ns > e->start_ns + e->lead_ns;
}

static void
resume_cak_activating(struct step *s, const struct rk_seen *seen)
{
    struct rk_end *e = s->e;

    if (rk_of(e)->one_way)
        set_give_up(s);
    if ((seen->cand & LIVE) == LIVE)
        rk_end_activated(s);
    else if (peer_gave_up(e))
        rk_end_burn(s, RK_E_REJECTED, "the peer gave the new key up");
    else if (!(seen->cand & RK_HELD_RX))
        rk_end_burn(s, RK_E_NOKEY, "the device lost the key before it transmitted on it");
    else if (rk_of(e)->one_way && s->now_ns >= e->give_up_ns)
        rk_end_burn(s, RK_E_TIMEOUT, "the peer did not follow");
    else if (never_begins(s, seen))
        rk_end_burn(s, RK_E_TIMEOUT, "the device did not begin with the key at its start time");
    else
        await_mka(s);
}

/* What the peer's device does is as good as the peer's word, on class A: an end transmits on a key only when it goes on
 * with it for certain.  MKA does so by itself; but a one-way peer has no other word. */
static bool
peer_follows(const struct rk_end *e, const struct rk_seen *seen)
{
    if (rk_of(e)->one_way)
        return (seen->cand & LIVE) == LIVE;
    return !rk_of(e)->cak && !rk_is_master(e) && (seen->cand & RK_PEER_USES);
}

/* The candidate waits for the peer, and the link may have been shut meanwhile, by a device that is to stay so whatever
 * started it again.  One that cannot be kept silent is no reason not to go on to the new key, which is the cure. */
static void
wait_staged(struct step *s, const struct rk_seen *seen, bool said)
{
    struct rk_end *e = s->e;
    bool sends = !rk_of(e)->cak && (e->d.flags & RK_DF_SHUT) && ((seen->cur | seen->prev) & RK_SENDING);

    if (peer_follows(e, seen)) {
        rk_end_go(s, RK_ST_J_ACTIVATING);
    } else if (sends && !said && !rk_slave_follows(e)) {
        rk_end_go(s, RK_ST_SHUT);
    } else {
        if (sends && said) {
            rk_end_remember(s, RK_E_CONTRACT, not_shut);
            rk_end_alarm(e, RK_ALARM_DEVICE, true);
        }
        rk_end_go(s, RK_ST_STAGED);
    }
}

/* The master may transmit on the staged key already: it is kept as long as the device holds it. */
static void
resume_staged(struct step *s, const struct rk_seen *seen, bool said)
{
    struct rk_end *e = s->e;
    bool cur_gone = cur_is_gone(e, seen);
    uint32_t need = rk_staged_bits(e);

    if (cur_gone)
        lose_cur(s, seen);
    if ((seen->cand & need) != need) {
        rk_end_burn(s, RK_E_NOKEY, "the device lost the staged key");
        return;
    }
    if (never_begins(s, seen)) {
        rk_end_burn(s, RK_E_TIMEOUT, "the device did not begin with the key at its start time");
        return;
    }
    e->want = e->want && !cur_gone; /* this rotation is the cure */
    set_give_up(s);
    if (rk_of(e)->one_way)
        e->verify_at_ns = rk_end_next(e, rk_poll_ns(e), s->now_ns);
    if (cur_gone)
        rk_end_go(s, RK_ST_J_STAGED);
    else
        wait_staged(s, seen, said);
}

/* The peer transmits on the new key: the old one goes, when frames under way have come. */
void
rk_end_followed(struct step *s)
{
    if (rk_of(s->e)->cak) { /* what is left of it is the device's fallback */
        rk_end_finish(s);
        return;
    }
    s->e->drain_until_ns = s->now_ns + s->e->drain_ns;
    rk_end_go(s, RK_ST_DRAIN);
}

static void
resume_active(struct step *s, const struct rk_seen *seen, bool said)
{
    struct rk_end *e = s->e;

    if (cur_is_gone(e, seen) && !seen->cur) {
        lose_cur(s, seen);
        rk_end_go(s, RK_ST_J_IDLE);
    } else if (said && !seen->prev) {
        rk_end_finish(s);
    } else if (said) {
        not_so(s, RK_ST_RETIRE, "the device said that it removed the old key, and did not");
    } else if (!rk_of(e)->cak && rk_is_master(e) && (seen->cur & RK_PEER_USES)) {
        rk_end_followed(s);
    } else {
        rk_end_go(s, RK_ST_ACTIVE);
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

/* A given-up CAK may stay on the device, in the place of the one that is primary again: the peer's device may have
 * nothing else by then.  It counts as the previous key, until the next STAGE takes its place. */
static void
burnt(struct step *s, const struct rk_seen *seen)
{
    struct rk_durable *d = &s->e->d;

    if (rk_of(s->e)->cak && (seen->cand & RK_HELD_RX)) {
        if (!d->cur[0] && (seen->prev & RK_HELD_TX)) { /* what the device went back to */
            memcpy(d->cur, d->prev, sizeof d->cur);
            d->cur_seq = d->prev_seq;
        }
        memcpy(d->prev, d->cand, sizeof d->prev);
        d->prev_seq = d->seq;
    } else if (!d->cand[0]) { /* it was the previous key that was given up */
        rk_end_drop_prev(d);
    }
    d->cand[0] = d->mine[0] = d->theirs[0] = '\0';
    d->phase = RK_PH_IDLE;
    rk_end_go(s, RK_ST_J_BURNT);
}

/* Of a CAK: the key that stays is the primary one again, for the next one is staged on top of it.  Of class D a key
 * that is still held before its time is not in the fallback slot, but waits in the chain, and would begin yet. */
static bool
cand_is_gone(const struct step *s, const struct rk_seen *seen)
{
    const struct rk_end *e = s->e;
    uint32_t primary = rk_of(e)->timed ? RK_HELD_TX | RK_SENDING : RK_HELD_TX; /* D: or the fallback, and in use */
    uint32_t left = rk_of(e)->timed && s->now_ns < e->start_ns ? HELD_BOTH : RK_HELD_TX;

    if (!rk_of(e)->cak)
        return !((e->d.cand[0] ? seen->cand : seen->prev) & (HELD_BOTH | RK_SENDING));
    return !(seen->cand & left) && (!e->d.cur[0] || (seen->cur & primary));
}

/* MKA is live on the given-up key, and the device has not the one before any more: class C, when rekeyd was started
 * again in between.  It is the only key that both have, so it stays as the previous one: anything that took its place
 * now would be no key of the peer's, and the next STAGE leaves it as the preceding one. */
static bool
is_all_there_is(const struct step *s, const struct rk_seen *seen)
{
    return rk_of(s->e)->cak && !s->e->d.cur[0] && (seen->cand & LIVE) == LIVE;
}

static void
resume_burning(struct step *s, const struct rk_seen *seen, bool said)
{
    struct rk_end *e = s->e;
    bool keeps = seen->cur & RK_HELD_RX;

    if (!rk_of(e)->cak && (seen->cand & RK_SENDING)) {
        forget_cand(s, seen);
        return;
    }
    if (rk_of(e)->cak && (cur_is_gone(e, seen) || (e->d.cur[0] && e->cannot_keep && !keeps)))
        lose_cur(s, seen);
    e->cannot_keep = false;
    if ((said && cand_is_gone(s, seen)) || is_all_there_is(s, seen)) {
        burnt(s, seen);
    } else if (said) {
        not_so(s, RK_ST_UNSTAGE, "the device said that it removed the given-up key, and did not");
    } else {
        rk_end_go(s, RK_ST_UNSTAGE);
    }
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
    in_use_now(s);
    d->flags &= RK_DF_SWEEP;
    e->want = false;
    rk_end_note(s, "adopted", d->cur);
    rk_end_go(s, RK_ST_J_IDLE);
}

/* A device that was shut is to stay so, whatever started it again. */
static void
resume_shut(struct step *s, const struct rk_seen *seen, bool said)
{
    bool sends = (seen->cur | seen->prev) & RK_SENDING;

    if (sends && said) {
        not_so(s, RK_ST_SHUT, not_shut);
    } else if (sends) {
        rk_end_go(s, RK_ST_SHUT);
    } else {
        rk_end_go(s, RK_ST_IDLE);
    }
}

/* A one-way peer may follow to a key after it was given up here: what MKA is live on is the key in use. */
static bool
followed_late(struct step *s, const struct rk_seen *seen)
{
    struct rk_end *e = s->e;
    struct rk_durable *d = &e->d;

    if (!rk_of(e)->one_way || !d->cur[0] || (seen->cur & RK_SENDING) || (seen->prev & LIVE) != LIVE)
        return false;
    rk_end_change_places(d);
    in_use_now(s);
    rk_end_note(s, "adopted", d->cur);
    rk_end_go(s, RK_ST_J_IDLE);
    return true;
}

static void
resume_idle(struct step *s, const struct rk_seen *seen, bool said)
{
    struct rk_end *e = s->e;
    struct rk_durable *d = &e->d;
    uint32_t in_use = rk_of(e)->cak ? RK_HELD_TX : RK_SENDING;

    if (followed_late(s, seen))
        return;
    if (!rk_of(e)->cak && !seen->prev) /* a name alone would keep a slot from being used */
        rk_end_drop_prev(d);
    if (cur_is_gone(e, seen)) {
        lose_cur(s, seen);
        rk_end_go(s, RK_ST_J_IDLE);
    } else if (!d->cur[0] && e->peer_active_seq && (seen->peer & in_use) && !(seen->state & RK_IF_OTHER)) {
        adopt(s);
    } else if ((d->flags & RK_DF_HELD) && !(seen->state & RK_IF_OTHER)) { /* the operator took it away again */
        d->flags &= ~RK_DF_HELD;
        e->want = true;
        rk_end_go(s, RK_ST_J_IDLE);
    } else if (d->flags & RK_DF_SHUT) {
        resume_shut(s, seen, said);
    } else if (said) { /* swept: what is left could not be */
        d->flags &= ~RK_DF_SWEEP;
        rk_end_note(s, "swept", d->cur);
        rk_end_go(s, RK_ST_J_IDLE);
    } else {
        rk_end_go(s, RK_ST_IDLE);
    }
}

/* A master knows what its slave must show before it stages the key: so one that the device was found to hold is as
 * good as one that it said to have taken. */
static void
resume_fetched(struct step *s, const struct rk_seen *seen)
{
    struct rk_end *e = s->e;
    uint32_t need = rk_staged_bits(e);

    if (e->d.theirs[0] && (seen->cand & need) == need)
        rk_end_staged(s);
    else
        rk_end_burn(s, e->last_err ? e->last_err : RK_E_UNKNOWN, "interrupted before the key was staged");
}

void
rk_end_resume(struct step *s, const struct rk_seen *seen)
{
    struct rk_end *e = s->e;
    bool said = e->said;

    e->said = false;
    switch (e->d.phase) {
    case RK_PH_INTENT: /* a master's source may have given a key, and nobody knows which */
        e->orphaned += rk_is_master(e);
        rk_end_burn(s, e->last_err ? e->last_err : RK_E_UNKNOWN, "interrupted before the key was staged");
        break;
    case RK_PH_FETCHED:
        resume_fetched(s, seen);
        break;
    case RK_PH_STAGED:
        resume_staged(s, seen, said);
        break;
    case RK_PH_ACTIVATING:
        if (rk_of(e)->cak)
            resume_cak_activating(s, seen);
        else
            resume_activating(s, seen, said);
        break;
    case RK_PH_ACTIVE:
        resume_active(s, seen, said);
        break;
    case RK_PH_BURNING:
        resume_burning(s, seen, said);
        break;
    default:
        resume_idle(s, seen, said);
        break;
    }
}
