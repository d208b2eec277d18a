/* end_peer.c - what a record of the other end tells.  Pure. */
#include "end_step.h"

#include <rekey/err.h>

#include <stdlib.h>
#include <string.h>

/* A peer whose journal was lost here is ahead of us by as many rotations as there were.  More than that is nonsense,
 * and believed it would use the numbers up. */
#define SEQ_JUMP_MAX (UINT64_C(1) << 40)

/* What the peer transmits on, in this order: ACTIVE says with which rotation it came. */
static void
take_active(struct rk_end *e)
{
    const struct rk_record *r = &e->peer;

    if (!r->key[0] || (r->say != RK_SAY_ACTIVE && r->say != RK_SAY_WITHDRAWN && r->say != RK_SAY_NACK))
        return;
    if (strcmp(r->key, e->peer_active) != 0) {
        memcpy(e->peer_active, r->key, sizeof e->peer_active);
        e->peer_active_seq = 0;
    }
    if (r->say == RK_SAY_ACTIVE && r->seq != e->peer_active_seq) {
        e->peer_active_seq = r->seq;
        e->looked = false;
    }
}

/* Also of a peer that took another role since: else an old record from before that would count again.  In its new role
 * it may have something lesser to say of the same rotation. */
static bool
is_old(const struct rk_end *e, const struct rk_record *r)
{
    struct rk_record same = *r;

    if (!e->peer.role)
        return false;
    if (r->role != e->peer.role)
        same.say = e->peer.say;
    return rk_record_order(&same, &e->peer) < 0;
}

/* Of what is said once more, does the clock tell that something was said after it. */
static bool
is_passed(const struct rk_end *e, const struct rk_record *r, int64_t clock_ms)
{
    return clock_ms && clock_ms < e->peer_clock_ms && r->role == e->peer.role && rk_record_order(r, &e->peer) == 0;
}

static void
times_of(const struct rk_record *r, struct rk_times *times)
{
    char facts[sizeof r->facts];

    memcpy(facts, r->facts, sizeof facts);
    rk_times_take(facts, times);
}

const char *
rk_end_outdated(const struct rk_end *e, const struct rk_record *r)
{
    if (r->term < e->d.term)
        return "of a lower term";
    return is_old(e, r) ? "older than what the peer said since: late, or replayed" : NULL;
}

void
rk_end_judge_class(struct rk_end *e)
{
    bool talks = e->peer.facts[0] || e->peer_words.class > RK_CLASS_A; /* as only a rekeyd does */

    if (e->peer.role)
        rk_end_alarm(e, RK_ALARM_UNPROVED,
                     rk_of(e)->one_way ? talks : !rk_class_proved(e->class, e->peer_words.class));
}

void
rk_end_judge_clock(struct rk_end *e)
{
    const char *clk = strstr(e->facts, "clk=");
    int64_t most_ms = rk_margin_ns(e) / 2 / RK_NS_PER_MS, off_ms = clk ? strtoll(clk + 4, NULL, 10) : 0;

    e->clock_bad = rk_of(e)->timed && (!clk || off_ms > most_ms || off_ms < -most_ms);
}

/* What is said once more is no sign of life when its clock stands still: it may have been kept, and shown again. */
static void
take_times(struct step *s, bool again)
{
    struct rk_end *e = s->e;
    struct rk_times times;

    rk_times_take(e->peer.facts, &times);
    if (!again || !times.clock_ms || times.clock_ms > e->peer_clock_ms)
        e->heard_ns = s->now_ns;
    if (!again || times.clock_ms)
        e->peer_clock_ms = times.clock_ms;
    rk_steps_peer(&e->steps, e->peer.seq, &times, s->now_ns);
    (void)rk_steps_skew(&e->steps, &e->skew);
}

static void
take_record(struct step *s, const struct rk_record *r)
{
    struct rk_end *e = s->e;
    bool again = e->peer.role == r->role && rk_record_order(r, &e->peer) == 0;

    e->d.term = r->term;
    e->peer = *r;
    take_times(s, again);
    rk_words_take(e->peer.facts, &e->peer_words);
    if (e->peer_words.flags & RK_WORD_REKEY) {
        e->want = true;
        if (e->failures && e->due_ns > e->soon_ns) /* it can take keys again: no more reason to save them */
            e->due_ns = e->soon_ns;
    }
    take_active(e);
    rk_end_judge_class(e);
    if (rk_is_master(e) && r->seq > e->d.floor)
        e->d.floor = r->seq;
}

/* A newer record replaces the one before; one of the same step brings its facts up to date. */
void
rk_on_peer(struct step *s)
{
    struct rk_end *e = s->e;
    const struct rk_record *r = s->ev->record;
    struct rk_times times;

    times_of(r, &times);
    if (r->term < e->d.term || is_passed(e, r, times.clock_ms))
        return;
    if (is_old(e, r)) {
        if (!rk_is_master(e) && e->state == RK_ST_IDLE && r->say == RK_SAY_OFFER && r->seq > e->d.seq)
            rk_end_catch_up(s); /* a master that lost its journal learns only from this end how far it was */
        return;
    }
    if (r->seq > e->d.seq + SEQ_JUMP_MAX) {
        rk_end_remember(s, RK_E_PROTOCOL, "the peer's rotation number is out of all measure: its record is ignored");
        return;
    }
    take_record(s, r);
    if (rk_end_waits(e))
        rk_end_consider(s);
}
