/* bucket.h - rate limits
 *
 * Pure: time is a parameter.  Used by the loop only.
 */
#ifndef RK_BUCKET_H
#define RK_BUCKET_H

#include <stdint.h>

/* A token bucket.  Set rate_per_s and burst, leave the rest zero: it starts full.
 * rate_per_s 0 is no limit; a burst below 1 counts as 1. */
struct rk_bucket {
    int64_t at_ns; /* when tokens was right */
    double tokens;
    double rate_per_s, burst;
};

/* rk_bucket_take - take one token
 * ret:  0: taken; else how long to wait until one is there [ns] (nothing taken)
 * thread: loop only.   blocks: never.   src: design */
int64_t rk_bucket_take(struct rk_bucket *b, int64_t now_ns);

#endif
