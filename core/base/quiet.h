/* quiet.h - how often something may be told: a few lines a minute, then with how many were left out
 *
 * Pure: time is a parameter.
 */
#ifndef RK_QUIET_H
#define RK_QUIET_H

#include <stdbool.h>
#include <stdint.h>

#define RK_QUIET_LINES 3                        /* enough to see that they differ */
#define RK_QUIET_NS (INT64_C(60) * 1000000000) /* of these in a minute */

struct rk_quiet { /* zeroed: nothing was told yet */
    int64_t since_ns;
    uint64_t left_out;
    unsigned said;
};

/* rk_quiet_may - may a line be written now
 * in:   now_ns  monotonic.   out: *more  how many were left out before it, and are told with it; only when it may
 * thread: the owner of q.   blocks: never.   src: design */
bool rk_quiet_may(struct rk_quiet *q, int64_t now_ns, uint64_t *more);

/* rk_quiet_owed - how many were left out and may be told of now, without a line of their own; 0: none, or not yet
 * thread: the owner of q.   blocks: never.   src: design */
uint64_t rk_quiet_owed(struct rk_quiet *q, int64_t now_ns);

#endif
