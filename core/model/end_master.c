/* end_master.c - what a waiting master makes of its slave's newest record: it begins, goes on or gives up.  Pure. */
#include "end_step.h"

#include "../base/text.h"

#include <rekey/err.h>

#include <stdio.h>
#include <string.h>

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
    rk_end_go_back(d);
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

/* A master without a key of its own keeps the one that the slave names, when its device has it. */
static void
take_named(struct rk_end *e)
{
    if (!e->d.cur[0] && rk_end_keeps_prev(e, e->peer.key))
        rk_end_go_back(&e->d);
}

static void
master_due(struct step *s)
{
    struct rk_end *e = s->e;

    if (rk_end_held_back(s))
        return;
    if (rk_of(e)->cak && e->seen_ns != s->now_ns) {
        rk_end_go(s, RK_ST_OBSERVE);
    } else if (!usable(e, s->now_ns)) {
        rk_end_wake_at(s, rk_end_next(e, rk_poll_ns(e), s->now_ns));
    } else {
        take_named(e);
        rk_end_begin(s, rk_end_next_seq(e), "");
    }
}

void
rk_master_idle(struct step *s)
{
    struct rk_end *e = s->e;
    bool peer_lost = e->d.cur[0] && !rk_of(e)->one_way && e->peer.seq >= e->d.seq &&
                     (rk_of(e)->cak ? strcmp(e->peer.key, e->d.cur) != 0 : !e->peer.key[0]);
    bool at_once = (e->want || peer_lost || !e->d.cur[0]) && e->failures == 0;

    if (e->peer.role == RK_MASTER && e->peer.seq > e->d.seq) { /* it yields, but only to a word that is new to it */
        rk_end_catch_up(s);
        return;
    }
    if (!rk_end_heard_peer(e) || (e->d.flags & RK_DF_HELD) || e->clock_bad || settle(s))
        return;
    if (rk_end_next_seq(e) > RK_SEQ_MAX) {
        rk_end_remember(s, RK_E_PROTOCOL, "the numbers of rotations are used up");
        return;
    }
    if (at_once || s->now_ns >= e->due_ns)
        master_due(s);
    else
        rk_end_wake_at(s, e->due_ns);
}

/* What may be to blame for a key that the peer does not have, when keys are mixed. */
static const char *
same_lists(const struct rk_end *e)
{
    return e->n_sources > 1 ? "; are sources the same list in the same order there?" : "";
}

static void
burn_other_key(struct step *s)
{
    char why[RK_WHY_MAX];

    snprintf(why, sizeof why, "confirm tag differs: the two ends got different keys for this key ID%s",
             same_lists(s->e));
    rk_end_burn(s, RK_E_PROTOCOL, why);
}

void
rk_master_staged(struct step *s)
{
    struct rk_end *e = s->e;
    const struct rk_record *peer = &e->peer;

    if (rk_of(e)->one_way)
        return;
    if (rk_end_must_yield(e)) {
        rk_end_burn(s, RK_E_CONFLICT, "the peer is master too, and by the rule it is");
    } else if (peer->seq > e->d.seq) {
        rk_end_burn(s, RK_E_CANCELED, "the peer knows a newer rotation");
    } else if (peer->seq < e->d.seq || peer->role != RK_SLAVE) {
        return;
    } else if (peer->say == RK_SAY_NACK || peer->say == RK_SAY_LOST) {
        char why[RK_WHY_MAX];

        snprintf(why, sizeof why, "the peer could not take the key: %s%s", peer->confirm[0] ? peer->confirm : "lost",
                 same_lists(e));
        rk_end_burn(s, RK_E_REJECTED, why);
    } else if (peer->say == RK_SAY_ACTIVE && strcmp(peer->key, e->d.cand) == 0) { /* it is ahead of this journal */
        rk_end_go(s, RK_ST_J_ACTIVATING);
    } else if (peer->say == RK_SAY_STAGED && strcmp(peer->key, e->d.cand) == 0) {
        if (strlen(peer->confirm) == RK_CONFIRM_HEX && e->d.theirs[0] &&
            rk_same(peer->confirm, e->d.theirs, RK_CONFIRM_HEX))
            rk_end_go(s, RK_ST_J_ACTIVATING);
        else
            burn_other_key(s);
    } else {
        rk_end_burn(s, RK_E_CANCELED, "the peer has used this rotation's number for another key");
    }
}

/* The master may drop the old key when the slave transmits on the new one, or has lost everything. */
void
rk_master_active(struct step *s)
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
