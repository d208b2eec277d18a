/* end_slave.c - what a waiting slave makes of its master's newest record: what it takes, refuses or gives up.  Pure. */
#include "end_step.h"

#include "../base/key_parts.h"

#include <rekey/err.h>

#include <stdlib.h>
#include <string.h>

/* Class D: is the start time that the master chose one that this end can keep. */
static bool
take_start(struct step *s, const struct rk_record *offer)
{
    struct rk_end *e = s->e;
    int64_t start_s = strtoll(offer->confirm, NULL, 10), left_ms;

    if (!rk_of(e)->timed)
        return true;
    if (!offer->confirm[0]) { /* a master of another class: its key is in use as soon as both have it */
        rk_end_choose_start(s);
        return true;
    }
    left_ms = start_s > 0 && start_s < INT64_MAX / 2000 ? start_s * 1000 - s->ev->wall.unix_ms : INT64_MAX;
    e->start_bad = left_ms < rk_margin_ns(e) / RK_NS_PER_MS || left_ms > 4 * e->lead_ns / RK_NS_PER_MS;
    e->d.start_ms = e->start_bad ? 0 : start_s * 1000;
    e->start_ns = s->now_ns + (e->start_bad ? 0 : left_ms * RK_NS_PER_MS);
    return !e->start_bad;
}

/* What is wrong with the parts of a mixed key that is offered; NULL: nothing, or it is not to be mixed. */
static const char *
wrong_parts(const struct rk_end *e, const char *key_id, int *err)
{
    struct rk_key_parts parts;

    if (e->n_sources < 2 || (e->peer_words.flags & RK_WORD_FALLBACK))
        return NULL;
    *err = RK_E_PROTOCOL;
    if (rk_key_parts_split(key_id, e->n_sources, &parts) != RK_OK)
        return "the key offered is not mixed of as many sources as here: sources must be the same list in the same "
               "order at both ends";
    *err = RK_E_REJECTED;
    return !e->require_any && rk_key_parts_missing(key_id, e->n_sources) < e->n_sources
               ? "the key offered lacks a source, and require is all here" : NULL;
}

/* Why an offer that is newer than all this end took part in cannot be taken; RK_OK when it can. */
static int
judge_offer(const struct rk_end *e, const struct rk_record *offer)
{
    bool fits = rk_end_keeps_prev(e, offer->prev) || !offer->prev[0] || !e->d.cur[0] ||
                strcmp(offer->prev, e->d.cur) == 0 || strcmp(offer->prev, e->peer_active) == 0;
    int err;

    if ((e->d.flags & RK_DF_HELD) || e->clock_bad)
        return RK_E_CONFLICT;
    if ((e->peer_words.flags & RK_WORD_FALLBACK) && !e->has_fallback)
        return RK_E_CONFIG;
    if (!fits || rk_end_slot_taken(e, offer->seq))
        return RK_E_CONFLICT;
    if (!offer->key[0] || rk_end_uses(e, offer->key, (e->peer_words.flags & RK_WORD_FALLBACK) != 0))
        return RK_E_PROTOCOL;
    if (wrong_parts(e, offer->key, &err))
        return err;
    return rk_end_fits(e, offer->key) ? RK_OK : RK_E_UNSUPPORTED;
}

static const char *
why_refused(const struct rk_end *e, int err)
{
    const char *parts = NULL;

    if (e->d.flags & RK_DF_HELD)
        return "an operator's key is in use here: rekeyctl adopt goes on";
    if (e->clock_bad || e->start_bad)
        return "the start time does not fit this end's clocks";
    if (err == RK_E_CONFIG)
        return "the key offered is from a fallback source, and this link has none here";
    if (err == RK_E_REJECTED || err == RK_E_PROTOCOL)
        parts = wrong_parts(e, e->peer.key, &err);
    return parts ? parts : "the offer does not fit the key in use";
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
    rk_end_take_number(e, e->peer.seq);
    e->nack_err = err;
    rk_end_note(s, "refused", e->peer.key);
    rk_end_go(s, RK_ST_J_BURNT);
}

void
rk_slave_idle(struct step *s)
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
    if (peer->say != RK_SAY_OFFER || peer->seq <= e->d.seq || !rk_end_heard_peer(e))
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
        if (rk_end_keeps_prev(e, peer->prev)) /* the master's device may have nothing else: it stays */
            rk_end_change_places(&e->d);
        rk_end_begin(s, peer->seq, peer->key);
    }
}

bool
rk_slave_follows(const struct rk_end *e)
{
    const struct rk_record *peer = &e->peer;

    return e->d.role == RK_SLAVE && peer->role == RK_MASTER && peer->seq == e->d.seq && peer->say == RK_SAY_ACTIVE &&
           strcmp(peer->key, e->d.cand) == 0;
}

void
rk_slave_staged(struct step *s)
{
    struct rk_end *e = s->e;
    const struct rk_record *peer = &e->peer;

    if (peer->seq < e->d.seq)
        return;
    if (peer->role != RK_MASTER) { /* it was master when it made the offer: this is newer */
        if (rk_end_must_yield(e))
            rk_end_burn(s, RK_E_CONFLICT, "the peer is slave too, and by the rule it is");
        return;
    }
    if (peer->seq == e->d.seq && peer->say == RK_SAY_OFFER)
        return;
    if (rk_slave_follows(e))
        rk_end_go(s, RK_ST_J_ACTIVATING);
    else
        rk_end_burn(s, RK_E_CANCELED, "the master gave this rotation up");
}
