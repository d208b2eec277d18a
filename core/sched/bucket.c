/* bucket.c - token buckets.  Pure. */
#include "bucket.h"

#include "../base/clock.h"

int64_t
rk_bucket_take(struct rk_bucket *b, int64_t now_ns)
{
    double burst = b->burst < 1 ? 1 : b->burst, wait_ns;

    if (b->rate_per_s <= 0)
        return 0;
    if (b->at_ns == 0) {
        b->tokens = burst;
        b->at_ns = now_ns > 0 ? now_ns : 1;
    } else if (now_ns > b->at_ns) {
        b->tokens += (double)(now_ns - b->at_ns) / (double)RK_NS_PER_S * b->rate_per_s;
        b->tokens = b->tokens > burst ? burst : b->tokens;
        b->at_ns = now_ns;
    }
    /* sums of fractions end a hair below 1, and then whoever waited as told would be sent away again */
    if (b->tokens >= 1 - 1e-6) {
        b->tokens -= b->tokens > 1 ? 1 : b->tokens;
        return 0;
    }
    wait_ns = (1 - b->tokens) / b->rate_per_s * (double)RK_NS_PER_S;
    return wait_ns >= (double)(RK_NEVER / 2) ? RK_NEVER / 2 : (int64_t)wait_ns + 1;
}
