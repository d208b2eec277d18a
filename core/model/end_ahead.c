/* end_ahead.c - what an end will say when the change of its device that is under way is done, and which of its words
 * its peer can wait for.  Pure.
 *
 * For channels whose records are shown by the device itself: there each word is a change of the device, so the word
 * about a key goes into the change that brings the key.  doc/rotation.md says why that is safe.
 */
#include "end_step.h"

#include <string.h>

/* Of class A an end says nothing before it has read the device back, for its peer would transmit on the strength of it.
 * A CAK is used when both devices have it, whatever was said of it. */
bool
rk_end_record_ahead(const struct rk_end *e, struct rk_record *r)
{
    struct rk_end then;

    if (e->state != RK_ST_STAGE || !rk_of(e)->cak || !e->d.cand[0] || (!rk_is_master(e) && !e->d.mine[0]))
        return false;
    then = *e;
    then.d.phase = RK_PH_STAGED;
    rk_end_record(&then, r);
    return true;
}

/* Both ends have staged the key, and MKA uses it: what is left is that each knows so of the other.  Not so the first
 * key, without which nothing is kept, and whatever is said of a rotation that was given up. */
bool
rk_end_word_waits(const struct rk_end *e)
{
    const struct rk_record *peer = &e->peer;
    bool settled = peer->role && peer->seq == e->d.seq && strcmp(peer->key, e->d.cur) == 0 &&
                   (peer->say == RK_SAY_STAGED || peer->say == RK_SAY_ACTIVE);
    bool said = e->d.phase == RK_PH_IDLE || e->d.phase == RK_PH_ACTIVE;

    return rk_of(e)->cak && !rk_of(e)->one_way && said && e->d.cur[0] && e->d.cur_seq == e->d.seq && e->d.prev[0] &&
           settled && !e->want && !e->stale && !(e->d.flags & RK_DF_SHUT);
}

bool
rk_end_awaits(const struct rk_end *e)
{
    const struct rk_record *peer = &e->peer;

    return e->state != RK_ST_IDLE || e->want || !e->d.cur[0] || !peer->role || peer->seq < e->d.seq ||
           peer->say == RK_SAY_OFFER || peer->say == RK_SAY_STAGED;
}

/* More than the clock of a device, which is never the same twice, and what is said of times must differ. */
static void
without_clock(const char *whole, char out[RK_FACTS_MAX + 1])
{
    char facts[RK_FACTS_MAX + 1];
    struct rk_times times;
    const char *clk;
    size_t at, skip;

    memcpy(facts, whole, sizeof facts);
    rk_times_take(facts, &times);
    clk = strstr(facts, "clk=");
    at = clk ? (size_t)(clk - facts) : strlen(facts);
    skip = clk ? strcspn(clk, ",") : 0;
    memcpy(out, facts, at);
    memcpy(out + at, facts + at + skip, strlen(facts + at + skip) + 1);
}

bool
rk_record_same(const struct rk_record *a, const struct rk_record *b)
{
    char facts_a[RK_FACTS_MAX + 1], facts_b[RK_FACTS_MAX + 1];

    without_clock(a->facts, facts_a);
    without_clock(b->facts, facts_b);
    return rk_record_order(a, b) == 0 && a->role == b->role && strcmp(a->link, b->link) == 0 &&
           strcmp(a->key, b->key) == 0 && strcmp(a->prev, b->prev) == 0 && strcmp(facts_a, facts_b) == 0 &&
           strcmp(a->confirm, b->confirm) == 0;
}
