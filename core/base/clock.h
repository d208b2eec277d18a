/* clock.h - the two clocks
 *
 * Intervals, deadlines and timers run on CLOCK_BOOTTIME [ns], which does not jump and counts suspend; wall time is
 * only for people and records.  The two never share a type: monotonic time is int64_t named *_ns,
 * wall time is struct rk_wall.
 */
#ifndef RK_BASE_CLOCK_H
#define RK_BASE_CLOCK_H

#include <stdint.h>

#define RK_NS_PER_MS INT64_C(1000000)
#define RK_NS_PER_S INT64_C(1000000000)
#define RK_NEVER INT64_MAX

struct rk_wall {
    int64_t unix_ms; /* since 1970-01-01T00:00:00Z [ms] */
};

/* rk_now_ns - CLOCK_BOOTTIME [ns].   thread: any.  blocks: never */
int64_t rk_now_ns(void);

/* rk_wall_now - CLOCK_REALTIME.   thread: any */
struct rk_wall rk_wall_now(void);

/* rk_boot_id - which boot of the machine this is: times of rk_now_ns() compare within one only
 * ret: a hash of the kernel's boot ID, read at the first call; 0 when it cannot be read.   thread: one
 * blocks: the first call reads a file of /proc.   src: random(4) */
uint64_t rk_boot_id(void);

#endif
