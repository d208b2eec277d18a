/* skew.h - when the two ends of a link took the steps of a rotation, as far apart as they did
 *
 * Pure.  A record says behind its facts how long ago its end staged and switched: with the time at which it comes, that
 * is a moment on the clock of the end that hears it, late by the delay of the path and never early.  So the clocks of
 * the hosts need not agree, the least of several is the best, and a repeated record spoils nothing.
 */
#ifndef RK_SKEW_H
#define RK_SKEW_H

#include "durable.h"

#include <stdbool.h>

#define RK_AGO_MAX_MS INT64_C(2176782335) /* 36^6 - 1, 25 days: longer ago is not said */

/* What a record says of time. */
struct rk_times {
    int64_t clock_ms;               /* of who says it, more each time: that it is alive; 0: not said */
    int64_t staged_ms, switched_ms; /* how long ago; -1: not said */
};

/* rk_times_add - append them to facts[RK_FACTS_MAX + 1] as "t=CLOCK[.[STAGED][.SWITCHED]]", numbers to base 36, as far
 *                as there is room: the clock is left out last
 * rk_times_take - take them off the end of facts.   out: *times
 * thread: any.   src: doc/rotation.md, the record */
void rk_times_add(char *facts, const struct rk_times *times);
void rk_times_take(char *facts, struct rk_times *times);

/* The steps of both ends in one rotation, on the clock of this end [ns]; 0: not known.  Peer's: late by the delay. */
struct rk_steps {
    uint64_t seq;
    int64_t staged_ns, switched_ns, peer_staged_ns, peer_switched_ns;
};

/* rk_steps_own - this end has done it.   rk_steps_peer - a record of rotation seq was heard with these times
 * note: of an older rotation than s->seq nothing is kept; a newer one begins anew.   thread: any */
void rk_steps_own(struct rk_steps *s, uint64_t seq, bool switched, int64_t now_ns);
void rk_steps_peer(struct rk_steps *s, uint64_t seq, const struct rk_times *times, int64_t now_ns);

struct rk_skew {
    uint64_t seq;
    int64_t staged_ns, switched_ns; /* how much later the peer did it; below 0: sooner */
    int64_t margin_ns;              /* from when both had the key to the first that transmitted on it */
};

/* rk_steps_skew - ret: false: not all of the four are known.   thread: any */
bool rk_steps_skew(const struct rk_steps *s, struct rk_skew *skew);

#endif
