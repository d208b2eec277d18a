/* end_wait.c - a waiting end looks at what its peer last said, and enters the next state or stays: what both roles have
 * in common.  Pure. */
#include "end_step.h"

#include <rekey/err.h>

#include <string.h>

/* Is what must be known of the peer known, and is it one that this end can rotate with. */
bool
rk_end_heard_peer(const struct rk_end *e)
{
    if (e->alarms & RK_ALARM_UNPROVED)
        return false;
    if (rk_of(e)->one_way) /* it reads what we say, or it says what we read */
        return rk_is_master(e) || e->peer.role == RK_MASTER;
    return e->peer.role != 0 && e->peer.role != e->d.role && (rk_of(e)->cak || (e->peer.facts[0] && e->facts[0]));
}

/* Do both ends claim one role, and is it this end that must take the other one: the smaller SAE ID is master. */
bool
rk_end_must_yield(struct rk_end *e)
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

bool
rk_end_slot_taken(const struct rk_end *e, uint64_t seq)
{
    unsigned slots = rk_of(e)->slots;

    return slots && ((e->d.cur[0] && seq % slots == e->d.cur_seq % slots) ||
                     (e->d.prev[0] && seq % slots == e->d.prev_seq % slots));
}

uint64_t
rk_end_next_seq(const struct rk_end *e)
{
    uint64_t seq = (e->d.seq > e->d.floor ? e->d.seq : e->d.floor) + 1;

    while (rk_end_slot_taken(e, seq))
        seq++;
    return seq;
}

/* The floor may be above it already: of an end that was master, and heard of higher numbers. */
void
rk_end_take_number(struct rk_end *e, uint64_t seq)
{
    e->d.seq = seq;
    if (e->d.floor < seq)
        e->d.floor = seq;
}

/* The peer is past what this end remembers, and the two do not fit: say so in a record that counts as new. */
void
rk_end_catch_up(struct step *s)
{
    struct rk_end *e = s->e;

    rk_end_take_number(e, e->peer.seq);
    rk_end_go(s, RK_ST_J_IDLE);
}

bool
rk_end_keeps_prev(const struct rk_end *e, const char *key_id)
{
    return rk_of(e)->cak && (e->seen_prev & RK_HELD_RX) && strcmp(key_id, e->d.prev) == 0;
}

void
rk_end_begin(struct step *s, uint64_t seq, const char *key_id)
{
    struct rk_end *e = s->e;
    bool fallback = rk_is_master(e) ? e->use_fallback : (e->peer_words.flags & RK_WORD_FALLBACK) != 0;

    e->want = e->peer_lost = e->use_fallback = e->let = e->starved = false;
    e->nack_err = 0;
    e->give_up_ns = RK_NEVER;
    rk_end_take_number(e, seq);
    e->d.mine[0] = e->d.theirs[0] = '\0';
    e->d.cand[0] = '\0';
    if (key_id[0])
        rk_end_take_key(e, key_id);
    e->d.phase = RK_PH_INTENT;
    e->d.flags = fallback ? e->d.flags | RK_DF_CAND_FALLBACK : e->d.flags & ~RK_DF_CAND_FALLBACK;
    rk_end_note(s, "begin", key_id);
    rk_end_go(s, RK_ST_J_INTENT);
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
    if (rk_end_must_yield(e))
        yield(s);
    if (prev_is_idle(e)) {
        e->d.phase = RK_PH_BURNING;
        rk_end_go(s, RK_ST_J_BURNING);
        return;
    }
    rk_is_master(e) ? rk_master_idle(s) : rk_slave_idle(s);
    if (e->state == RK_ST_IDLE)
        rk_end_policy(s);
}

/* The link must be shut, and a candidate waits for the peer.  A slave of class A has said that it has the key, and its
 * master may transmit on it by now: it stays, and opens the link when the master goes on.  On a CAK the slave has the
 * last word, and its master follows it back; a master has not begun with the key: so there it is given up. */
static void
shut_staged(struct step *s)
{
    if (rk_is_master(s->e) || rk_of(s->e)->cak)
        rk_end_burn(s, RK_E_TIMEOUT, "the link must be shut before the peer has confirmed");
    else
        rk_end_shut(s);
}

/* A candidate waits for the peer; but not beyond its start time, and a link that must be shut is. */
static void
staged(struct step *s)
{
    struct rk_end *e = s->e;

    rk_is_master(e) ? rk_master_staged(s) : rk_slave_staged(s);
    if (e->state != RK_ST_STAGED)
        return;
    if (s->now_ns >= e->give_up_ns)
        rk_end_burn(s, RK_E_TIMEOUT, rk_of(e)->one_way ? "the peer did not follow" : "not confirmed before its start");
    else if (rk_end_must_shut(e, s->now_ns))
        shut_staged(s);
    if (e->state != RK_ST_STAGED)
        return;
    rk_end_wake_at(s, e->give_up_ns);
    rk_end_wake_to_shut(s);
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
        rk_master_active(s);
    else if (s->now_ns >= e->drain_until_ns)
        rk_end_go(s, RK_ST_RETIRE);
}
