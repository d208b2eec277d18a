/* end_wait.c - what a waiting end makes of its peer's newest record: when a rotation begins, goes on or is given up.
 *
 * Pure.  Never waits itself: it looks, and enters the next state or stays.
 */
#include "end_step.h"

#include "../base/text.h"

#include <rekey/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Is what must be known of the peer known, and is it one that this end can rotate with. */
static bool
heard_peer(const struct rk_end *e)
{
    if (e->alarms & RK_ALARM_UNPROVED)
        return false;
    if (rk_of(e)->one_way) /* it reads what we say, or it says what we read */
        return rk_is_master(e) || e->peer.role == RK_MASTER;
    return e->peer.role != 0 && e->peer.role != e->d.role && (rk_of(e)->cak || (e->peer.facts[0] && e->facts[0]));
}

/* Do both ends claim one role, and is it this end that must take the other one: the smaller SAE ID is master. */
static bool
must_yield(struct rk_end *e)
{
    int order = strcmp(e->own_sae, e->peer_sae);

    if (!e->own_sae[0] || order == 0 || rk_of(e)->one_way)
        return false;
    if (e->peer.role != e->d.role) {
        if (!e->yielded) /* else this end's configuration is what is wrong */
            rk_end_alarm(e, RK_ALARM_ROLE_CONFLICT, false);
        return false;
    }
    rk_end_alarm(e, RK_ALARM_ROLE_CONFLICT, true);
    return e->d.role != (order < 0 ? RK_MASTER : RK_SLAVE);
}

static void
take_role(struct step *s, uint32_t role)
{
    struct rk_end *e = s->e;

    e->d.role = role;
    if (rk_is_master(e) && e->peer.seq > e->d.floor)
        e->d.floor = e->peer.seq;
    e->nack_err = 0;
    rk_end_alarm(e, RK_ALARM_SPLIT, false);
    s->todo->publish = true;
}

static void
yield(struct step *s)
{
    s->e->yielded = !s->e->yielded;
    take_role(s, rk_is_master(s->e) ? RK_SLAVE : RK_MASTER);
}

static bool
slot_taken(const struct rk_end *e, uint64_t seq)
{
    unsigned slots = rk_of(e)->slots;

    return slots && ((e->d.cur[0] && seq % slots == e->d.cur_seq % slots) ||
                     (e->d.prev[0] && seq % slots == e->d.prev_seq % slots));
}

static uint64_t
next_seq(const struct rk_end *e)
{
    uint64_t seq = (e->d.seq > e->d.floor ? e->d.seq : e->d.floor) + 1;

    while (slot_taken(e, seq))
        seq++;
    return seq;
}

/* The floor may be above it already: of an end that was master, and heard of higher numbers. */
static void
take_number(struct rk_end *e, uint64_t seq)
{
    e->d.seq = seq;
    if (e->d.floor < seq)
        e->d.floor = seq;
}

static void
begin(struct step *s, uint64_t seq, const char *key_id)
{
    struct rk_end *e = s->e;
    bool fallback = rk_is_master(e) ? e->use_fallback : (e->peer_words.flags & RK_WORD_FALLBACK) != 0;

    e->want = e->peer_lost = e->use_fallback = false;
    e->nack_err = 0;
    e->give_up_ns = RK_NEVER;
    take_number(e, seq);
    e->d.mine[0] = e->d.theirs[0] = '\0';
    e->d.cand[0] = '\0';
    if (key_id[0])
        rk_end_take_key(e, key_id);
    e->d.phase = RK_PH_INTENT;
    e->d.flags = fallback ? e->d.flags | RK_DF_CAND_FALLBACK : e->d.flags & ~RK_DF_CAND_FALLBACK;
    rk_end_note(s, "begin", key_id);
    rk_end_go(s, RK_ST_J_INTENT);
}

/* A CAK is replaced only while both ends are seen to use it, at this moment: else the new one might be the only one
 * that is left.  But when the peer says that it does not have it, when one that never says anything was not seen to use
 * it for too long, or when an end is shut, a new one is the cure. */
static bool
usable(const struct rk_end *e, int64_t now_ns)
{
    bool agreed = rk_of(e)->one_way ? !rk_end_expired(e, now_ns) : strcmp(e->peer.key, e->d.cur) == 0;

    return !rk_of(e)->cak || !e->d.cur[0] || (e->seen_cur & LIVE) == LIVE || (e->d.flags & RK_DF_SHUT) ||
           (e->peer_words.flags & RK_WORD_SHUT) || !agreed;
}

/* The slave has the last word on each rotation: what it names is the key in use.  The master goes back to it. */
static void
turn_back(struct step *s)
{
    struct rk_durable *d = &s->e->d;

    memcpy(d->cand, d->cur, sizeof d->cand);
    memcpy(d->cur, d->prev, sizeof d->cur);
    d->cur_seq = d->prev_seq;
    d->prev[0] = '\0';
    d->prev_seq = 0;
    rk_end_burn(s, RK_E_REJECTED, "the slave did not keep the new key: back to the one before");
}

/* Of a CAK nothing may change at the slave while the master begins, and both must name one key: so the master waits for
 * the slave's word on the last rotation, and follows it.   ret: does it wait, or something else comes first */
static bool
settle(struct step *s)
{
    struct rk_end *e = s->e;
    const struct rk_record *peer = &e->peer;

    if (!rk_of(e)->cak || rk_of(e)->one_way)
        return false;
    if (peer->seq > e->d.seq) { /* this end's journal was lost: the slave waits for a word on what it knows */
        rk_end_catch_up(s);
        return true;
    }
    if (peer->seq < e->d.seq || peer->say == RK_SAY_STAGED || peer->say == RK_SAY_OFFER)
        return true;
    if (e->d.cur[0] && e->d.prev[0] && strcmp(peer->key, e->d.prev) == 0) {
        turn_back(s);
        return true;
    }
    return false;
}

static void
master_due(struct step *s)
{
    struct rk_end *e = s->e;

    if (rk_of(e)->cak && e->seen_ns != s->now_ns) {
        rk_end_go(s, RK_ST_OBSERVE);
    } else if (!usable(e, s->now_ns)) {
        rk_end_wake_at(s, s->now_ns + rk_poll_ns(e));
    } else {
        begin(s, next_seq(e), "");
    }
}

static void
master_idle(struct step *s)
{
    struct rk_end *e = s->e;
    bool peer_lost = e->d.cur[0] && !rk_of(e)->one_way && e->peer.seq >= e->d.seq &&
                     (rk_of(e)->cak ? strcmp(e->peer.key, e->d.cur) != 0 : !e->peer.key[0]);
    bool at_once = (e->want || peer_lost || !e->d.cur[0]) && e->failures == 0;

    if (e->peer.role == RK_MASTER && e->peer.seq > e->d.seq) { /* it yields, but only to a word that is new to it */
        rk_end_catch_up(s);
        return;
    }
    if (!heard_peer(e) || (e->d.flags & RK_DF_HELD) || e->clock_bad || settle(s))
        return;
    if (next_seq(e) > RK_SEQ_MAX) {
        rk_end_remember(s, RK_E_PROTOCOL, "the numbers of rotations are used up");
        return;
    }
    if (at_once || s->now_ns >= e->due_ns)
        master_due(s);
    else
        rk_end_wake_at(s, e->due_ns);
}

/* Class D: is the start time that the master chose one that this end can keep. */
static bool
take_start(struct step *s, const struct rk_record *offer)
{
    struct rk_end *e = s->e;
    int64_t start_s = strtoll(offer->confirm, NULL, 10), left_ms;

    if (!rk_of(e)->timed)
        return true;
    if (!offer->confirm[0]) { /* a master of another class: its key is in use as soon as both have it */
        e->d.start_ms = (s->ev->wall.unix_ms + e->lead_ns / RK_NS_PER_MS + 999) / 1000 * 1000;
        e->start_ns = s->now_ns + e->lead_ns;
        return true;
    }
    left_ms = start_s > 0 && start_s < INT64_MAX / 2000 ? start_s * 1000 - s->ev->wall.unix_ms : INT64_MAX;
    e->start_bad = left_ms < rk_margin_ns(e) / RK_NS_PER_MS || left_ms > 4 * e->lead_ns / RK_NS_PER_MS;
    e->d.start_ms = e->start_bad ? 0 : start_s * 1000;
    e->start_ns = s->now_ns + (e->start_bad ? 0 : left_ms * RK_NS_PER_MS);
    return !e->start_bad;
}

/* Why an offer that is newer than all this end took part in cannot be taken; RK_OK when it can. */
static int
judge_offer(const struct rk_end *e, const struct rk_record *offer)
{
    bool in_fallback = rk_of(e)->cak && (e->seen_prev & RK_HELD_RX) && strcmp(offer->prev, e->d.prev) == 0;
    bool fits = in_fallback || !offer->prev[0] || !e->d.cur[0] || strcmp(offer->prev, e->d.cur) == 0 ||
                strcmp(offer->prev, e->peer_active) == 0;

    if ((e->d.flags & RK_DF_HELD) || e->clock_bad)
        return RK_E_CONFLICT;
    if ((e->peer_words.flags & RK_WORD_FALLBACK) && !e->has_fallback)
        return RK_E_CONFIG;
    if (!fits || slot_taken(e, offer->seq))
        return RK_E_CONFLICT;
    if (!offer->key[0] || rk_end_uses(e, offer->key))
        return RK_E_PROTOCOL;
    return rk_end_fits(e, offer->key) ? RK_OK : RK_E_UNSUPPORTED;
}

static const char *
why_refused(const struct rk_end *e, int err)
{
    if (e->d.flags & RK_DF_HELD)
        return "an operator's key is in use here: rekeyctl adopt goes on";
    if (e->clock_bad || e->start_bad)
        return "the start time does not fit this end's clocks";
    if (err == RK_E_CONFIG)
        return "the key offered is from a fallback source, and this link has none here";
    return "the offer does not fit the key in use";
}

/* Say no, durably: this seq will not be taken later. */
static void
refuse(struct step *s, int err)
{
    struct rk_end *e = s->e;

    rk_end_remember(s, err, why_refused(e, err));
    if (e->peer.prev[0]) { /* the master transmits on it: the next such offer is as good as any */
        memcpy(e->peer_active, e->peer.prev, sizeof e->peer_active);
        e->peer_active_seq = 0;
    }
    take_number(e, e->peer.seq);
    e->nack_err = err;
    rk_end_note(s, "refused", e->peer.key);
    rk_end_go(s, RK_ST_J_BURNT);
}

/* The peer is past what this end remembers, and the two do not fit: say so in a record that counts as new. */
void
rk_end_catch_up(struct step *s)
{
    struct rk_end *e = s->e;

    take_number(e, e->peer.seq);
    rk_end_go(s, RK_ST_J_IDLE);
}

/* The master's device may have nothing but the key before: what the offer names stays, when this device has it too. */
static void
turn_to(struct rk_end *e, const char *key_id)
{
    struct rk_durable *d = &e->d;
    char key[sizeof d->cur];
    uint64_t seq = d->cur_seq;

    if (!rk_of(e)->cak || !(e->seen_prev & RK_HELD_RX) || strcmp(key_id, d->prev) != 0)
        return;
    memcpy(key, d->cur, sizeof key);
    memcpy(d->cur, d->prev, sizeof d->cur);
    memcpy(d->prev, key, sizeof d->prev);
    d->cur_seq = d->prev_seq;
    d->prev_seq = seq;
}

static void
slave_idle(struct step *s)
{
    struct rk_end *e = s->e;
    const struct rk_record *peer = &e->peer;
    bool differs = (peer->say == RK_SAY_ACTIVE || peer->say == RK_SAY_WITHDRAWN) && peer->key[0] && e->d.cur[0] &&
                   strcmp(peer->key, e->d.cur) != 0;
    bool in_fallback = rk_of(e)->cak && strcmp(peer->key, e->d.prev) == 0;
    bool answer = rk_of(e)->cak || differs || !e->d.cur[0] || peer->role == RK_SLAVE;
    int err;

    rk_end_alarm(e, RK_ALARM_SPLIT, differs && !in_fallback);
    if (peer->say != RK_SAY_OFFER && peer->seq > e->d.seq && answer) {
        rk_end_catch_up(s);
        return;
    }
    if (peer->say != RK_SAY_OFFER || peer->seq <= e->d.seq || !heard_peer(e))
        return;
    if (rk_of(e)->timed && e->seen_ns != s->now_ns) { /* do the clocks agree, now that a start time depends on them */
        rk_end_go(s, RK_ST_OBSERVE);
        return;
    }
    err = judge_offer(e, peer);
    if (err == RK_OK && !take_start(s, peer))
        err = RK_E_CONFLICT;
    if (err) {
        refuse(s, err);
    } else {
        turn_to(e, peer->prev);
        begin(s, peer->seq, peer->key);
    }
}

static void
master_staged(struct step *s)
{
    struct rk_end *e = s->e;
    const struct rk_record *peer = &e->peer;

    if (rk_of(e)->one_way)
        return;
    if (must_yield(e)) {
        rk_end_burn(s, RK_E_CONFLICT, "the peer is master too, and by the rule it is");
    } else if (peer->seq > e->d.seq) {
        rk_end_burn(s, RK_E_CANCELED, "the peer knows a newer rotation");
    } else if (peer->seq < e->d.seq || peer->role != RK_SLAVE) {
        return;
    } else if (peer->say == RK_SAY_NACK || peer->say == RK_SAY_LOST) {
        char why[RK_WHY_MAX];

        snprintf(why, sizeof why, "the peer could not take the key: %s", peer->confirm[0] ? peer->confirm : "lost");
        rk_end_burn(s, RK_E_REJECTED, why);
    } else if (peer->say == RK_SAY_ACTIVE && strcmp(peer->key, e->d.cand) == 0) { /* it is ahead of this journal */
        e->d.phase = RK_PH_ACTIVATING;
        rk_end_go(s, RK_ST_J_ACTIVATING);
    } else if (peer->say == RK_SAY_STAGED && strcmp(peer->key, e->d.cand) == 0) {
        if (strlen(peer->confirm) == RK_CONFIRM_HEX && e->d.theirs[0] &&
            rk_same(peer->confirm, e->d.theirs, RK_CONFIRM_HEX)) {
            e->d.phase = RK_PH_ACTIVATING;
            rk_end_go(s, RK_ST_J_ACTIVATING);
        } else {
            rk_end_burn(s, RK_E_PROTOCOL, "confirm tag differs: the two ends got different keys for this key ID");
        }
    } else {
        rk_end_burn(s, RK_E_CANCELED, "the peer has used this rotation's number for another key");
    }
}

static void
slave_staged(struct step *s)
{
    struct rk_end *e = s->e;
    const struct rk_record *peer = &e->peer;

    if (peer->seq < e->d.seq)
        return;
    if (peer->role != RK_MASTER) { /* it was master when it made the offer: this is newer */
        if (must_yield(e))
            rk_end_burn(s, RK_E_CONFLICT, "the peer is slave too, and by the rule it is");
        return;
    }
    if (peer->seq == e->d.seq && peer->say == RK_SAY_OFFER)
        return;
    if (peer->seq == e->d.seq && peer->say == RK_SAY_ACTIVE && strcmp(peer->key, e->d.cand) == 0) {
        e->d.phase = RK_PH_ACTIVATING;
        rk_end_go(s, RK_ST_J_ACTIVATING);
    } else {
        rk_end_burn(s, RK_E_CANCELED, "the master gave this rotation up");
    }
}

/* The master may drop the old key when the slave transmits on the new one, or has lost everything. */
static void
master_active(struct step *s)
{
    struct rk_end *e = s->e;
    const struct rk_record *peer = &e->peer;
    bool done = peer->seq == e->d.seq && peer->say == RK_SAY_ACTIVE && strcmp(peer->key, e->d.cur) == 0;
    bool lost = peer->seq > e->d.seq ||
                (peer->seq == e->d.seq &&
                 (peer->say == RK_SAY_NACK || peer->say == RK_SAY_WITHDRAWN || peer->say == RK_SAY_LOST));

    if (!done && !lost)
        return;
    if (lost) {
        e->peer_lost = e->want = true;
        e->failures++;
        rk_end_remember(s, RK_E_REJECTED, "the peer did not follow to the new key");
    }
    rk_end_followed(s);
}

/* An operator has given the other keys up, and neither end uses one of rekeyd's: then what is left of those goes first,
 * for with keys of others in other slots there may be no slot that is free at both ends. */
static bool
prev_is_idle(const struct rk_end *e)
{
    const struct rk_record *peer = &e->peer;
    bool peer_has_none = peer->role && !peer->key[0] && (peer->say == RK_SAY_LOST || peer->say == RK_SAY_IDLE);
    bool only_old = !e->d.cur[0] && e->d.prev[0] && !(e->seen_prev & RK_SENDING);

    return rk_of(e)->slots && (e->d.flags & RK_DF_SWEEP) && only_old && peer_has_none;
}

static void
idle(struct step *s)
{
    struct rk_end *e = s->e;

    if (!e->d.cur[0] && e->peer_active_seq && !e->looked) { /* does the device transmit on what the peer does? */
        e->looked = true;
        rk_end_go(s, RK_ST_OBSERVE);
        return;
    }
    if (e->conf_role && !e->yielded && e->d.role != e->conf_role)
        take_role(s, e->conf_role); /* it was changed in the middle of a rotation */
    if (must_yield(e))
        yield(s);
    if (prev_is_idle(e)) {
        e->d.phase = RK_PH_BURNING;
        rk_end_go(s, RK_ST_J_BURNING);
        return;
    }
    rk_is_master(e) ? master_idle(s) : slave_idle(s);
    if (e->state == RK_ST_IDLE)
        rk_end_policy(s);
}

/* A candidate waits for the peer; but not beyond its start time, nor on a link that must be shut. */
static void
staged(struct step *s)
{
    struct rk_end *e = s->e;

    rk_is_master(e) ? master_staged(s) : slave_staged(s);
    if (e->state != RK_ST_STAGED)
        return;
    if (s->now_ns >= e->give_up_ns)
        rk_end_burn(s, RK_E_TIMEOUT, rk_of(e)->one_way ? "the peer did not follow" : "not confirmed before its start");
    else if (rk_end_must_shut(e, s->now_ns))
        rk_end_burn(s, RK_E_TIMEOUT, "the link must be shut before the peer has confirmed");
    else
        rk_end_wake_at(s, e->give_up_ns);
}

/* A waiting state looks at what the peer last said, and sees to it that the device is verified. */
void
rk_end_consider(struct step *s)
{
    struct rk_end *e = s->e;

    e->wake_ns = e->state == RK_ST_DRAIN ? e->drain_until_ns : e->verify_at_ns;
    if (e->state == RK_ST_IDLE)
        idle(s);
    else if (e->state == RK_ST_STAGED)
        staged(s);
    else if (e->state == RK_ST_ACTIVE)
        master_active(s);
    else if (s->now_ns >= e->drain_until_ns)
        rk_end_go(s, RK_ST_RETIRE);
}
