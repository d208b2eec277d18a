/* source_hold.c - key requests that were on their way when their source failed: how long they wait, and what they hear.
 *
 * Runs in the loop.  A slave's request names a key that its master holds for it, so it waits rather than lose that key;
 * a master's has nothing to lose.
 */
#include "source_pool.h"

#include <rekey/err.h>

#include <stdio.h>

/* The key that it was offered is not offered any more. */
static bool
is_moot(const struct end *end)
{
    const struct rk_record *peer = &end->live->e.peer;

    return end->live->act == RK_ACT_GET_BY_ID && peer->role == RK_MASTER &&
           (peer->seq > end->live->e.d.seq || (peer->seq == end->live->e.d.seq && peer->say != RK_SAY_OFFER));
}

/* Has it waited in the queue for as long as is good for it: a slave's master may have given the key up, or wants to
 * hear of a failure; and the policy for old keys goes on only when it does not wait. */
bool
source_tired(const struct end *end, int64_t now_ns)
{
    const struct rk_end *e = &end->live->e;
    bool master = end->live->act == RK_ACT_GET_NEW, asks_fallback = end->asked && end->asked == end->fallback;
    int64_t age_ns = rk_end_age_ns(e, now_ns), least_ns = RK_SOURCE_BUDGET_MS * RK_NS_PER_MS;
    int64_t limit_ns = master ? (e->interval_ns < least_ns ? e->interval_ns : least_ns) : e->interval_ns / 3;

    if (is_moot(end) || (e->on_stale == RK_STALE_SHUT && age_ns >= e->shut_after_ns))
        return true;
    if (master && e->has_fallback && !asks_fallback && age_ns > 3 * e->interval_ns)
        return true;
    return now_ns - end->live->queued_ns >= limit_ns;
}

void
source_fail_held(struct end *end)
{
    const struct source_pair *p = source_pair_of(end);
    char why[RK_TEXT_MAX];

    if (is_moot(end)) {
        end_failed(end, RK_E_KEY_GONE, "the master gave the key up while the source could not be asked for it");
        return;
    }
    snprintf(why, sizeof why, "the source was not asked, for it gives no keys: %s", p ? p->supply.why : "?");
    end_failed(end, p && p->supply.err ? p->supply.err : RK_E_BUSY, why);
}
