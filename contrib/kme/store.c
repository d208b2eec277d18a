/* store.c - see store.h.  Pure. */
#include "store.h"

#include <core/base/clock.h>
#include <rekey/err.h>

#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 256

void
kme_pool_start(struct kme_pool *pool, const struct kme_pool_conf *conf, int64_t now_ns)
{
    *pool = (struct kme_pool){conf->start_bits, conf->max_bits, conf->bits_per_s, now_ns};
}

int64_t
kme_pool_level(struct kme_pool *pool, int64_t now_ns)
{
    int64_t missing = pool->max - pool->bits, passed_ns = now_ns - pool->filled_ns, arrived;

    if (pool->per_s == 0 || passed_ns <= 0)
        return pool->bits;
    /* seconds first: a pool that was left alone for a year must not overflow */
    if (passed_ns / RK_NS_PER_S > missing / pool->per_s) {
        pool->bits = pool->max;
        pool->filled_ns = now_ns;
        return pool->bits;
    }
    arrived = passed_ns / RK_NS_PER_S * pool->per_s + passed_ns % RK_NS_PER_S * pool->per_s / RK_NS_PER_S;
    if (arrived >= missing) {
        pool->bits = pool->max;
        pool->filled_ns = now_ns;
    } else {
        pool->bits += arrived;
        pool->filled_ns += arrived / pool->per_s * RK_NS_PER_S + arrived % pool->per_s * RK_NS_PER_S / pool->per_s;
    }
    return pool->bits;
}

bool
kme_pool_take(struct kme_pool *pool, int64_t n, int64_t now_ns)
{
    if (kme_pool_level(pool, now_ns) < n)
        return false;
    pool->bits -= n;
    return true;
}

/* Both halves of an ID: neither is random enough alone.  Never 0, which is a free slot. */
static uint64_t
mark(const struct kme_id *id)
{
    uint64_t half[2], m;

    memcpy(half, id->bytes, sizeof half);
    m = half[0] ^ half[1] * UINT64_C(0xff51afd7ed558ccd);
    return m ? m : 1;
}

/* The slot that holds m, or the free one where it belongs. */
static uint64_t *
gen_find(const struct kme_seen_gen *g, uint64_t m)
{
    size_t i = (size_t)(m * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (g->slots - 1);

    while (g->slot[i] != 0 && g->slot[i] != m)
        i = (i + 1) & (g->slots - 1);
    return &g->slot[i];
}

static bool
gen_has(const struct kme_seen_gen *g, uint64_t m)
{
    return g->slots > 0 && *gen_find(g, m) == m;
}

/* Room for n more marks with at most half of the slots in use. */
static int
gen_grow(struct kme_seen_gen *g, size_t n)
{
    struct kme_seen_gen bigger = {.slots = g->slots ? g->slots : SLOTS_MIN, .used = g->used};

    while (bigger.slots < 2 * (g->used + n))
        bigger.slots *= 2;
    if (bigger.slots == g->slots)
        return RK_OK;
    bigger.slot = calloc(bigger.slots, sizeof *bigger.slot);
    if (!bigger.slot)
        return RK_E_NOMEM;
    for (size_t i = 0; i < g->slots; i++)
        if (g->slot[i] != 0)
            *gen_find(&bigger, g->slot[i]) = g->slot[i];
    free(g->slot);
    *g = bigger;
    return RK_OK;
}

bool
kme_seen_has(const struct kme_seen *seen, const struct kme_id *id)
{
    return gen_has(&seen->young, mark(id)) || gen_has(&seen->old, mark(id));
}

int
kme_seen_reserve(struct kme_seen *seen, size_t n)
{
    if (seen->young.used + n > KME_SEEN_MAX) {
        free(seen->old.slot);
        seen->old = seen->young;
        seen->young = (struct kme_seen_gen){0};
    }
    return gen_grow(&seen->young, n);
}

void
kme_seen_add(struct kme_seen *seen, const struct kme_id *id)
{
    uint64_t *slot = gen_find(&seen->young, mark(id));

    if (*slot == 0)
        seen->young.used++;
    *slot = mark(id);
}

void
kme_seen_free(struct kme_seen *seen)
{
    free(seen->young.slot);
    free(seen->old.slot);
    *seen = (struct kme_seen){0};
}
