/* store.h - what a KME remembers: how many keys it could give, and which IDs were fetched
 *
 * Pure; the time is a parameter.  Nothing here is kept over a restart.
 */
#ifndef KME_STORE_H
#define KME_STORE_H

#include "keys.h"

#include <stdint.h>

/* How a pool is filled. */
struct kme_pool_conf {
    int64_t keys;       /* of the default size: when it is full */
    int64_t start;      /* of these, at start; -1 all */
    int64_t refill;     /* keys that arrive per second; -1: rate counts */
    int64_t rate;       /* [bit/s] */
    bool per_sae;       /* a pool for each SAE of a peer, not one for all */
    int64_t max_bits, start_bits, bits_per_s; /* what it comes to */
};

#define KME_POOL_RATE_MAX INT64_C(9000000000) /* [bit/s]; a second of it in nanoseconds fits 64 bits */

/* A pool of key bits shared with one other KME.  Only their number: keys are derived when they are asked for. */
struct kme_pool {
    int64_t bits, max;    /* now, and when full */
    int64_t per_s;        /* bits that arrive per second; 0 none */
    int64_t filled_ns;    /* monotonic time up to which arrivals are counted */
};

/* kme_pool_start - a pool as configured.   kme_pool_level - bits in it at now.
 * kme_pool_take - take n of them, all or none; ret: false when there are fewer */
void kme_pool_start(struct kme_pool *pool, const struct kme_pool_conf *conf, int64_t now_ns);
int64_t kme_pool_level(struct kme_pool *pool, int64_t now_ns);
bool kme_pool_take(struct kme_pool *pool, int64_t n, int64_t now_ns);

/* IDs fetched by dec_keys, known by a hash of 64 bits.  Two generations: when the younger one is full, the older
 * one is forgotten.  So at least the last KME_SEEN_MAX are remembered, at most twice as many. */
#define KME_SEEN_MAX 1000000

struct kme_seen_gen {
    uint64_t *slot; /* open addressing; 0 is free */
    size_t slots, used;
};

struct kme_seen {
    struct kme_seen_gen young, old;
};

/* kme_seen_has - was the ID added.   kme_seen_reserve - make sure that n IDs can be added; RK_E_NOMEM when not.
 * kme_seen_add - remember an ID; after a reserve it cannot fail.   kme_seen_free - forget all.
 * in:   a zeroed struct is an empty one.   cost: O(1), adding grows the table by doubling */
bool kme_seen_has(const struct kme_seen *seen, const struct kme_id *id);
int kme_seen_reserve(struct kme_seen *seen, size_t n);
void kme_seen_add(struct kme_seen *seen, const struct kme_id *id);
void kme_seen_free(struct kme_seen *seen);

#endif
