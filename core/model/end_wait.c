/* end_wait.c - what a waiting end makes of its peer's newest record: when a rotation begins, goes on or is given up.
 *
 * Pure.  Never waits itself: it looks, and enters the next state or stays.
 */
#include "end_step.h"

#include "../base/text.h"

#include <rekey/err.h>
#include <stdio.h>
#include <string.h>

#define SLOTS 4 /* receive slots of a class A device: AN = seq mod 4 */

static void
wake_at(struct step *s, int64_t at_ns)
{
    if (at_ns < s->e->wake_ns)
        s->e->wake_ns = at_ns;
}

static bool
heard_peer(const struct rk_end *e)
{
    return e->peer.role != 0 && e->peer.role != e->d.role && e->peer.facts[0] && e->facts[0];
}

/* Do both ends claim one role, and is it this end that must take the other one: the smaller SAE ID is master. */
static bool
must_yield(struct rk_end *e)
{
    int order = strcmp(e->own_sae, e->peer_sae);

    if (!e->own_sae[0] || order == 0)
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
    return (e->d.cur[0] && seq % SLOTS == e->d.cur_seq % SLOTS) ||
           (e->d.prev[0] && seq % SLOTS == e->d.prev_seq % SLOTS);
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

    e->want = e->peer_lost = false;
    e->nack_err = 0;
    take_number(e, seq);
    e->d.mine[0] = e->d.theirs[0] = '\0';
    snprintf(e->d.cand, sizeof e->d.cand, "%s", key_id);
    e->d.phase = RK_PH_INTENT;
    rk_end_note(s, "begin", key_id);
    rk_end_go(s, RK_ST_J_INTENT);
}

static void
master_idle(struct step *s)
{
    struct rk_end *e = s->e;
    bool peer_lost = e->d.cur[0] && !e->peer.key[0] && e->peer.seq >= e->d.seq;
    bool at_once = (e->want || peer_lost || !e->d.cur[0]) && e->failures == 0;

    if (!heard_peer(e))
        return;
    if (next_seq(e) > RK_SEQ_MAX) {
        rk_end_remember(s, RK_E_PROTOCOL, "the numbers of rotations are used up");
        return;
    }
    if (at_once || s->now_ns >= e->due_ns)
        begin(s, next_seq(e), "");
    else
        wake_at(s, e->due_ns);
}

/* Why an offer that is newer than all this end took part in cannot be taken; RK_OK when it can. */
static int
judge_offer(const struct rk_end *e, const struct rk_record *offer)
{
    if (offer->prev[0] && e->d.cur[0] && strcmp(offer->prev, e->d.cur) != 0 && strcmp(offer->prev, e->peer_active) != 0)
        return RK_E_CONFLICT;
    if (slot_taken(e, offer->seq))
        return RK_E_CONFLICT;
    if (!offer->key[0] || rk_end_uses(e, offer->key))
        return RK_E_PROTOCOL;
    return rk_end_fits(e, offer->key) ? RK_OK : RK_E_UNSUPPORTED;
}

/* Say no, durably: this seq will not be taken later. */
static void
refuse(struct step *s, int err)
{
    struct rk_end *e = s->e;

    rk_end_remember(s, err, "the offer does not fit the key in use");
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

static void
slave_idle(struct step *s)
{
    struct rk_end *e = s->e;
    const struct rk_record *peer = &e->peer;
    bool split = (peer->say == RK_SAY_ACTIVE || peer->say == RK_SAY_WITHDRAWN) && peer->key[0] && e->d.cur[0] &&
                 strcmp(peer->key, e->d.cur) != 0;
    int err;

    rk_end_alarm(e, RK_ALARM_SPLIT, split);
    if (peer->say != RK_SAY_OFFER && peer->seq > e->d.seq && (split || !e->d.cur[0] || peer->role == RK_SLAVE)) {
        rk_end_catch_up(s);
        return;
    }
    if (peer->say != RK_SAY_OFFER || peer->seq <= e->d.seq || !heard_peer(e))
        return;
    err = judge_offer(e, peer);
    if (err == RK_OK)
        begin(s, peer->seq, peer->key);
    else
        refuse(s, err);
}

static void
master_staged(struct step *s)
{
    struct rk_end *e = s->e;
    const struct rk_record *peer = &e->peer;

    if (must_yield(e)) {
        rk_end_burn(s, RK_E_CONFLICT, "the peer is master too, and by the rule it is");
    } else if (peer->seq > e->d.seq) {
        e->d.floor = peer->seq;
        rk_end_burn(s, RK_E_CANCELED, "the peer knows a newer rotation");
    } else if (peer->seq < e->d.seq || peer->role != RK_SLAVE) {
        return;
    } else if (peer->say == RK_SAY_NACK || peer->say == RK_SAY_LOST) {
        char why[RK_WHY_MAX];

        snprintf(why, sizeof why, "the peer could not take the key: %s", peer->confirm[0] ? peer->confirm : "lost");
        rk_end_burn(s, RK_E_REJECTED, why);
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
                (peer->seq == e->d.seq && (peer->say == RK_SAY_NACK || peer->say == RK_SAY_LOST));

    if (!done && !lost)
        return;
    if (lost) {
        e->peer_lost = e->want = true;
        e->failures++;
        rk_end_remember(s, RK_E_REJECTED, "the peer did not follow to the new key");
        if (peer->seq > e->d.floor)
            e->d.floor = peer->seq;
    }
    e->drain_until_ns = s->now_ns + e->drain_ns;
    rk_end_go(s, RK_ST_DRAIN);
}

/* A waiting state looks at what the peer last said, and sees to it that the device is verified. */
void
rk_end_consider(struct step *s)
{
    struct rk_end *e = s->e;
    enum rk_state was = e->state;

    e->wake_ns = was == RK_ST_DRAIN ? e->drain_until_ns : e->verify_at_ns;
    if (was == RK_ST_IDLE) {
        if (!e->d.cur[0] && e->peer_active_seq && !e->looked) { /* does the device transmit on what the peer does? */
            e->looked = true;
            rk_end_go(s, RK_ST_OBSERVE);
            return;
        }
        if (e->conf_role && !e->yielded && e->d.role != e->conf_role)
            take_role(s, e->conf_role); /* it was changed in the middle of a rotation */
        if (must_yield(e))
            yield(s);
        rk_is_master(e) ? master_idle(s) : slave_idle(s);
    } else if (was == RK_ST_STAGED) {
        rk_is_master(e) ? master_staged(s) : slave_staged(s);
    } else if (was == RK_ST_ACTIVE) {
        master_active(s);
    } else if (s->now_ns >= e->drain_until_ns) {
        rk_end_go(s, RK_ST_RETIRE);
    }
}
