/* pool.h - how long the keys of a source last, and which links have to be slowed down for it
 *
 * Pure: time is a parameter.  One for each source and peer SAE.  It goes by what can be relied on: the keys that were
 * given, and those that were refused because none was left.  The number that a status call tells counts only as long
 * as it moves as it should: there are KMEs that always say 0, and some that say any number.  Used by the loop only.
 */
#ifndef RK_POOL_H
#define RK_POOL_H

#include "../model/supply.h"

#include <stddef.h>

/* What the links of one pool use, by priority. */
struct rk_demand {
    size_t links;
    double per_s[RK_PRIORITIES];   /* keys per second at the links' intervals */
    double spare_s[RK_PRIORITIES]; /* and what of it can be saved by stretching each as far as it bears */
};

/* All zero: nothing is known. */
struct rk_pool {
    int64_t stored, stored_at_ns; /* as the last status said; at 0: never */
    double taken;                 /* keys given since */
    double refill_s;              /* keys per second that come into the pool, what others take subtracted */
    bool has_refill;
    unsigned fits, misfits;       /* of the numbers told with those before */
    int64_t empty_ns;             /* when it was found empty last; 0: never, or long ago */
    int64_t since_ns;             /* from when on keys are counted to know the rate of an empty pool, ... */
    double given;                 /* ... how many there were, */
    double given_s;               /* and the rate, keys per second; below 0: not known yet */
    bool dry;                     /* the alarm, with its hysteresis */
};

/* rk_demand_add - a link that asks for keys.   in: most  its greatest stretch [per mille] */
void rk_demand_add(struct rk_demand *d, unsigned priority, int64_t interval_ns, uint32_t most);

/* rk_pool_status - a status call said how many keys are stored
 * rk_pool_given - n keys were given
 * rk_pool_empty - a key was asked for and there was none
 * rk_pool_known - is the number of stored keys believed
 * rk_pool_left - keys there are now by what is believed; below 0: not known */
void rk_pool_status(struct rk_pool *p, int64_t now_ns, int64_t stored);
void rk_pool_given(struct rk_pool *p, size_t n);
void rk_pool_empty(struct rk_pool *p, int64_t now_ns, const struct rk_demand *d);
bool rk_pool_known(const struct rk_pool *p);
double rk_pool_left(const struct rk_pool *p, int64_t now_ns);

/* rk_pool_judge - what the links go by from now on
 * out:  s->squeeze, s->end_ns, s->dry; the rest of *s stays
 * note: the links of the lowest priority are slowed down first, those of the highest last.  SOURCE-DRY is raised when
 *       the keys end within 10 intervals, and cleared when they last for 20.   src: design 9 */
void rk_pool_judge(struct rk_pool *p, int64_t now_ns, const struct rk_demand *d, struct rk_supply *s);

#endif
