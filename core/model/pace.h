/* pace.h - when a link is due, and how long to wait after a failure
 *
 * Pure.
 */
#ifndef RK_PACE_H
#define RK_PACE_H

#include <stdint.h>

/* rk_pace_next - the next time slot of a link: k * interval + phase, strictly after now
 * in:   link  its hash spreads links over the interval;  interval_ns  > 0;  now_ns  monotonic
 * thread: any.  src: design.md 9 */
int64_t rk_pace_next(const char *link, int64_t interval_ns, int64_t now_ns);

/* rk_pace_backoff - pause after the n-th failure in a row (0: the first) [ns]
 * 250 ms, doubled per failure up to min(30 s, interval / 4), never below 250 ms, then -25 % .. +25 % by seed
 * thread: any.  src: design.md 6 */
int64_t rk_pace_backoff(unsigned failures, int64_t interval_ns, uint64_t seed);

#endif
