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

/* Both ends claim one role: the smaller SAE ID is master, and an operator is told.  The end that gives way keeps the
 * alarm for as long as it is configured so; the other one drops it when its peer has given way. */
static void
choose_role(struct step *s)
{
    struct rk_end *e = s->e;
    int order = strcmp(e->own_sae, e->peer_sae);
    uint32_t rule = order < 0 ? RK_MASTER : RK_SLAVE;

    rk_end_alarm(e, RK_ALARM_ROLE_CONFLICT, e->overruled || e->peer.role == e->d.role);
    if (e->peer.role != e->d.role || order == 0)
        return;
    if (e->d.role != rule) {
        e->overruled = true;
        e->d.role = rule;
        e->nack_err = 0;
        s->todo->publish = true;
    }
}

static uint64_t
next_seq(const struct rk_end *e)
{
    uint64_t seq = (e->d.seq > e->d.floor ? e->d.seq : e->d.floor) + 1;

    while ((e->d.cur[0] && seq % SLOTS == e->d.cur_seq % SLOTS) ||
           (e->d.prev[0] && seq % SLOTS == e->d.prev_seq % SLOTS))
        seq++;
    return seq;
}

static void
begin(struct step *s, uint64_t seq, const char *key_id)
{
    struct rk_end *e = s->e;

    e->want = false;
    e->nack_err = 0;
    e->d.seq = e->d.floor = seq;
    e->d.mine[0] = e->d.theirs[0] = '\0';
    snprintf(e->d.cand, sizeof e->d.cand, "%s", key_id);
    e->d.phase = RK_PH_INTENT;
    s->todo->publish = false; /* there is nothing to say of seq yet */
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
    if (at_once || s->now_ns >= e->due_ns)
        begin(s, next_seq(e), "");
    else
        wake_at(s, e->due_ns);
}

/* Why an offer cannot be taken; RK_OK when it can. */
static int
judge_offer(const struct rk_end *e, const struct rk_record *offer)
{
    if (offer->seq <= e->d.floor)
        return RK_E_CANCELED;
    if (offer->prev[0] && e->d.cur[0] && strcmp(offer->prev, e->d.cur) != 0 && strcmp(offer->prev, e->peer_active) != 0)
        return RK_E_CONFLICT;
    if (e->d.cur[0] && offer->seq % SLOTS == e->d.cur_seq % SLOTS)
        return RK_E_CONFLICT;
    if (!offer->key[0] || strcmp(offer->key, e->d.cur) == 0)
        return RK_E_PROTOCOL;
    return RK_OK;
}

static void
slave_idle(struct step *s)
{
    struct rk_end *e = s->e;
    const struct rk_record *peer = &e->peer;
    bool split = peer->say == RK_SAY_ACTIVE && e->d.cur[0] && strcmp(peer->key, e->d.cur) != 0;
    int err;

    rk_end_alarm(e, RK_ALARM_SPLIT, split);
    if (peer->say != RK_SAY_OFFER || !heard_peer(e))
        return;
    err = judge_offer(e, peer);
    if (err == RK_OK) {
        begin(s, peer->seq, peer->key);
        return;
    }
    if (peer->seq > e->d.floor) { /* say no, durably: this seq will not be taken later */
        rk_end_remember(s, err, "the offer does not fit the key in use");
        e->d.seq = e->d.floor = peer->seq;
        e->nack_err = err;
        rk_end_note(s, "refused", peer->key);
        rk_end_go(s, RK_ST_J_BURNT);
    }
}

static void
master_staged(struct step *s)
{
    struct rk_end *e = s->e;
    const struct rk_record *peer = &e->peer;

    if (peer->seq > e->d.seq) {
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
    }
}

static void
slave_staged(struct step *s)
{
    struct rk_end *e = s->e;
    const struct rk_record *peer = &e->peer;

    if (peer->seq < e->d.seq || peer->role != RK_MASTER)
        return;
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
        e->want = true;
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
        if (e->own_sae[0])
            choose_role(s);
        rk_is_master(e) ? master_idle(s) : slave_idle(s);
    } else if (was == RK_ST_STAGED) {
        rk_is_master(e) ? master_staged(s) : slave_staged(s);
    } else if (was == RK_ST_ACTIVE) {
        master_active(s);
    } else if (s->now_ns >= e->drain_until_ns) {
        rk_end_go(s, RK_ST_RETIRE);
    }
}
