/* pool.c - the budget of keys.  Pure. */
#include "pool.h"

#define DRY_INTERVALS 10  /* SOURCE-DRY: time for a person to do something before the first link waits */
#define WELL_INTERVALS 20 /* hysteresis; and what is stored is spread over this time */
#define FORGET_INTERVALS 4 /* a pool that was found empty once only */
#define RESERVE_INTERVALS 0.25 /* what is kept in the pool, for the numbers are never quite right */
#define FITS_ENOUGH 2     /* numbers that fit, one after the other, before they are believed */
#define FITS_MAX 8
#define MISFIT_COST 4 /* numbers that fit, for one that does not */
#define SLACK_KEYS 4  /* a call under way while the status was asked */
#define EMPTY_RATE_MIN 0.05 /* of the demand: from there the rate of an empty pool is felt for */

static double
seconds(int64_t ns)
{
    return (double)ns / (double)RK_NS_PER_S;
}

static double
total(const double by_priority[RK_PRIORITIES])
{
    double sum = 0;

    for (size_t i = 0; i < RK_PRIORITIES; i++)
        sum += by_priority[i];
    return sum;
}

static double
above_0(double x)
{
    return x > 0 ? x : 0;
}

void
rk_demand_add(struct rk_demand *d, unsigned priority, int64_t interval_ns, uint32_t most)
{
    double per_s = 1 / seconds(interval_ns);
    unsigned p = priority < RK_PRIORITIES ? priority : RK_PRIORITIES - 1;

    d->links++;
    d->per_s[p] += per_s;
    if (most > RK_STRETCH_NONE)
        d->spare_s[p] += per_s * (1 - (double)RK_STRETCH_NONE / most);
}

/* The mean interval [s]; 0: no link asks. */
static double
mean_interval(const struct rk_demand *d)
{
    double use = total(d->per_s);

    return use > 0 ? (double)d->links / use : 0;
}

/* ---- what is known ---- */

/* Does this refill go with the one before: half as much again at most, and a few keys. */
static bool
fits(const struct rk_pool *p, double refill_s, double span_s)
{
    double a = refill_s < 0 ? -refill_s : refill_s, b = p->refill_s < 0 ? -p->refill_s : p->refill_s;
    double apart = refill_s > p->refill_s ? refill_s - p->refill_s : p->refill_s - refill_s;

    return apart * span_s <= (a > b ? a : b) * span_s / 2 + SLACK_KEYS + p->taken / 10;
}

/* Next to nothing stored, twice, and yet many keys were given and never was there none: some KMEs always say 0, or the
 * number of keys that the other side has not fetched yet. */
static bool
is_nonsense(const struct rk_pool *p, int64_t stored)
{
    double most = (double)(stored > p->stored ? stored : p->stored);

    return p->taken > SLACK_KEYS && most * 10 < p->taken && p->empty_ns < p->stored_at_ns;
}

void
rk_pool_status(struct rk_pool *p, int64_t now_ns, int64_t stored)
{
    double span_s = seconds(now_ns - p->stored_at_ns), refill_s;

    if (p->stored_at_ns && span_s <= 0)
        return;
    if (p->stored_at_ns && stored >= 0 && p->stored >= 0) {
        refill_s = ((double)stored - (double)p->stored + p->taken) / span_s;
        if (!is_nonsense(p, stored) && (!p->has_refill || fits(p, refill_s, span_s))) {
            p->fits += p->fits < FITS_MAX && p->has_refill;
            p->misfits -= p->misfits > 0;
            p->refill_s = p->has_refill ? (p->refill_s + refill_s) / 2 : refill_s;
        } else {
            p->fits = 0;
            p->misfits = MISFIT_COST;
            p->refill_s = refill_s;
        }
        p->has_refill = true;
    }
    p->stored = stored;
    p->stored_at_ns = now_ns ? now_ns : 1;
    p->taken = 0;
}

void
rk_pool_given(struct rk_pool *p, size_t n)
{
    p->taken += (double)n;
    p->given += (double)n;
}

/* An empty pool gives what comes into it: that is how its rate is known, whatever its status says. */
void
rk_pool_empty(struct rk_pool *p, int64_t now_ns, const struct rk_demand *d)
{
    double span_s = seconds(now_ns - p->since_ns), rate_s, least_s = mean_interval(d) / 4;

    if (!p->empty_ns) {
        p->since_ns = now_ns;
        p->given = 0;
        p->given_s = -1;
    } else if (span_s >= least_s && span_s > 0) {
        rate_s = p->given / span_s;
        p->given_s = p->given_s < 0 ? rate_s : (p->given_s + rate_s) / 2;
        p->since_ns = now_ns;
        p->given = 0;
    }
    p->empty_ns = now_ns ? now_ns : 1;
}

bool
rk_pool_known(const struct rk_pool *p)
{
    return p->stored >= 0 && p->fits >= FITS_ENOUGH && p->misfits == 0;
}

double
rk_pool_left(const struct rk_pool *p, int64_t now_ns)
{
    if (!rk_pool_known(p))
        return -1;
    return above_0((double)p->stored - p->taken + p->refill_s * seconds(now_ns - p->stored_at_ns));
}

/* ---- what follows ---- */

/* Keys per second that the links may take, as a pool found empty gives them: doubled with each interval in which it was
 * not found so again.  Below 0: nothing is known of it, or it is not short any more. */
static double
empty_rate(struct rk_pool *p, int64_t now_ns, double use_s, double mean_s)
{
    double rate_s, quiet_s = seconds(now_ns - p->empty_ns);

    if (!p->empty_ns || p->given_s < 0)
        return -1;
    rate_s = p->given_s > use_s * EMPTY_RATE_MIN ? p->given_s : use_s * EMPTY_RATE_MIN;
    for (; quiet_s >= mean_s && rate_s < use_s; quiet_s -= mean_s)
        rate_s *= 2;
    return rate_s;
}

/* Has it given a key to each link since it was found empty, or was that one single time. */
static bool
has_enough(const struct rk_pool *p, int64_t now_ns, const struct rk_demand *d, double mean_s)
{
    double quiet_s = seconds(now_ns - p->empty_ns);

    return (quiet_s > 2 * mean_s && p->given >= (double)d->links) ||
           (quiet_s > FORGET_INTERVALS * mean_s && p->given_s < 0);
}

/* From the lowest priority on, as much as is needed is saved. */
static void
squeeze(double missing_s, const struct rk_demand *d, struct rk_supply *s)
{
    for (size_t i = 0; i < RK_PRIORITIES; i++) {
        double part = d->spare_s[i] > 0 ? above_0(missing_s) / d->spare_s[i] : 0;

        s->squeeze[i] = part >= 1 ? 1000 : (uint16_t)(part * 1000);
        missing_s -= d->spare_s[i];
    }
}

static int64_t
end_of(const struct rk_pool *p, int64_t now_ns, double use_s)
{
    double left = rk_pool_left(p, now_ns), net_s = use_s - p->refill_s, end_s;

    if (left < 0 || net_s <= 0)
        return p->empty_ns ? p->empty_ns : RK_NEVER;
    end_s = left / net_s;
    return end_s > 1e8 ? RK_NEVER : now_ns + (int64_t)(end_s * (double)RK_NS_PER_S);
}

/* A pool that was found empty is dry until it has shown that it is not. */
static bool
is_dry(const struct rk_pool *p, int64_t now_ns, int64_t end_ns, double mean_s)
{
    double intervals = p->dry ? WELL_INTERVALS : DRY_INTERVALS;

    if (p->empty_ns)
        return true;
    return end_ns != RK_NEVER && seconds(end_ns - now_ns) < intervals * mean_s;
}

void
rk_pool_judge(struct rk_pool *p, int64_t now_ns, const struct rk_demand *d, struct rk_supply *s)
{
    double use_s = total(d->per_s), mean_s = mean_interval(d), left = rk_pool_left(p, now_ns), rate_s, rest_s;
    double may_s = use_s;

    if (use_s <= 0) {
        squeeze(0, d, s);
        s->end_ns = RK_NEVER;
        s->dry = p->dry = false;
        return;
    }
    rate_s = empty_rate(p, now_ns, use_s, mean_s);
    if (rate_s >= use_s || has_enough(p, now_ns, d, mean_s))
        p->empty_ns = 0;
    else if (rate_s >= 0)
        may_s = rate_s;
    rest_s = p->refill_s + (left - RESERVE_INTERVALS * use_s * mean_s) / (WELL_INTERVALS * mean_s);
    if (left >= 0 && rest_s < may_s)
        may_s = above_0(rest_s);
    squeeze(use_s - may_s, d, s);
    s->end_ns = end_of(p, now_ns, use_s);
    s->dry = p->dry = is_dry(p, now_ns, s->end_ns, mean_s);
}
