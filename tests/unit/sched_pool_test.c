/* sched_pool_test.c - who is slowed down when keys are short, and when the alarm comes; in virtual time, with pools
 * that tell the truth, that say 0, that say anything, and that say nothing.
 */
#include "core/base/clock.h"
#include "core/sched/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S RK_NS_PER_S
#define LINKS 300
#define INTERVAL (60 * S)
#define USE 5.0 /* keys per second of all links at their intervals */

enum tells { TRUTH, ZERO, ANYTHING, NOTHING };

struct world {
    struct rk_pool pool;
    struct rk_demand demand;
    struct rk_supply supply;
    enum tells tells;
    double stored, refill_s, most;
    int64_t now_ns, since_ns[LINKS];
    unsigned priority[LINKS];
    uint32_t stretch[LINKS];
    size_t done[RK_PRIORITIES], empty;   /* keys given, and asked for in vain */
    int64_t dry_ns, dried_ns, wet_ns;    /* alarm raised first; pool empty first; alarm cleared after */
    int64_t foretold_ns;                 /* the end, as it was told when the alarm was raised */
    size_t dry_changes;
    unsigned seed;
};

static void
judge(struct world *w)
{
    bool dry = w->supply.dry;

    rk_pool_judge(&w->pool, w->now_ns, &w->demand, &w->supply);
    w->dry_changes += dry != w->supply.dry;
    if (w->supply.dry && !w->dry_ns) {
        w->dry_ns = w->now_ns;
        w->foretold_ns = w->supply.end_ns;
    }
    if (!w->supply.dry && dry)
        w->wet_ns = w->now_ns;
}

static void
ask(struct world *w, size_t i)
{
    if (w->stored < 1) {
        w->dried_ns = w->dried_ns ? w->dried_ns : w->now_ns;
        rk_pool_empty(&w->pool, w->now_ns, &w->demand);
        w->empty++;
        return;
    }
    w->stored -= 1;
    rk_pool_given(&w->pool, 1);
    w->done[w->priority[i]]++;
    w->since_ns[i] = w->now_ns;
}

static int64_t
told(struct world *w)
{
    switch (w->tells) {
    case TRUTH:
        return (int64_t)w->stored;
    case ZERO:
        return 0;
    case ANYTHING:
        return 10 + rand_r(&w->seed) % 9990;
    default:
        return -1;
    }
}

/* One second: each link that is due asks; the status is asked as often as the daemon does. */
static void
second(struct world *w)
{
    int64_t poll_ns = w->now_ns < 60 * S || w->supply.dry ? 10 * S : 60 * S;

    w->now_ns += S;
    w->stored += w->refill_s;
    w->stored = w->stored < w->most ? w->stored : w->most;
    for (size_t k = 0, i = (size_t)(w->now_ns / S) * 7 % LINKS; k < LINKS; k++, i = (i + 1) % LINKS) {
        uint32_t stretch = rk_supply_stretch(&w->supply, w->priority[i], w->stretch[i]);

        if (w->now_ns - w->since_ns[i] >= INTERVAL / 1000 * stretch)
            ask(w, i);
    }
    if (w->now_ns % poll_ns == 0)
        rk_pool_status(&w->pool, w->now_ns, told(w));
    judge(w);
}

static void
run(struct world *w, int64_t seconds)
{
    memset(w->done, 0, sizeof w->done);
    w->empty = 0;
    while (seconds-- > 0)
        second(w);
}

static struct world *
start(enum tells tells, double stored, double refill_s)
{
    static struct world w;

    w = (struct world){.tells = tells, .stored = stored, .refill_s = refill_s, .most = 10000, .seed = 3};
    w.pool.stored = -1;
    w.supply.end_ns = RK_NEVER;
    for (size_t i = 0; i < LINKS; i++) {
        w.priority[i] = i % 3 == 0 ? 1 : i % 3 == 1 ? 4 : 6;
        w.stretch[i] = 4000;
        w.since_ns[i] = -(int64_t)i * INTERVAL / LINKS;
        rk_demand_add(&w.demand, w.priority[i], INTERVAL, w.stretch[i]);
    }
    return &w;
}

/* Keys of a priority, of 100 that it wants. */
static double
served(const struct world *w, unsigned priority, int64_t seconds)
{
    return (double)w->done[priority] / (USE / 3 * (double)seconds) * 100;
}

static void
show(const struct world *w, const char *what, int64_t seconds)
{
    print_message("# %s: low %.0f %%, normal %.0f %%, high %.0f %%; in vain %zu; stored %.0f\n", what,
                  served(w, 1, seconds), served(w, 4, seconds), served(w, 6, seconds), w->empty, w->stored);
}

/* ---- enough ---- */

/* As long as there are keys, nobody waits and nothing is said, whatever the status tells. */
static void
enough(void **state)
{
    (void)state;
    for (int tells = TRUTH; tells <= NOTHING; tells++) {
        struct world *w = start((enum tells)tells, 5000, 8);

        run(w, 6 * 3600);
        show(w, "enough", 6 * 3600);
        assert_int_equal(w->empty, 0);
        assert_int_equal(w->dry_changes, 0);
        for (unsigned p = 1; p <= 6; p += p == 1 ? 3 : 2)
            assert_true(served(w, p, 6 * 3600) > 97);
    }
}

/* ---- too little ---- */

/* 70 % of what is wanted: those of low priority pay for it alone, each gets some, and few calls are in vain. */
static void
short_of_keys(void **state)
{
    (void)state;
    for (int tells = TRUTH; tells <= NOTHING; tells++) {
        struct world *w = start((enum tells)tells, 500, 0.7 * USE);

        run(w, 2 * 3600); /* the store is used up */
        run(w, 4 * 3600);
        show(w, "70 percent", 4 * 3600);
        assert_true(served(w, 6, 4 * 3600) > 90);
        assert_true(served(w, 6, 4 * 3600) > served(w, 1, 4 * 3600) + 20);
        assert_true(served(w, 1, 4 * 3600) >= 20); /* a quarter is what it bears */
        assert_true(w->done[1] + w->done[4] + w->done[6] > 0.65 * USE * 4 * 3600);
        assert_true(w->dry_ns > 0);
        if (tells == TRUTH)
            assert_true(w->empty * 50 < w->done[6]);
    }
}

/* Nobody is slowed down further than he bears: then the alarm is all that is left. */
static void
far_too_short(void **state)
{
    struct world *w = start(TRUTH, 1000, 0.1 * USE);

    (void)state;
    run(w, 3600);
    for (unsigned p = 0; p < RK_PRIORITIES; p++)
        assert_true(rk_supply_stretch(&w->supply, p, 4000) <= 4000);
    assert_int_equal(rk_supply_stretch(&w->supply, 1, 4000), 4000);
    assert_int_equal(rk_supply_stretch(&w->supply, 6, 4000), 4000);
    assert_true(w->supply.dry);
}

/* ---- the alarm ---- */

/* A store that is not filled any more: told before it is empty, with the right time. */
static void
told_before_it_ends(void **state)
{
    struct world *w = start(TRUTH, 10000, 0);
    int64_t end_ns;

    (void)state;
    for (size_t i = 0; i < LINKS; i++)
        w->stretch[i] = 1000; /* they do not slow down */
    memset(&w->demand, 0, sizeof w->demand);
    for (size_t i = 0; i < LINKS; i++)
        rk_demand_add(&w->demand, w->priority[i], INTERVAL, 1000);
    run(w, 900);
    end_ns = w->supply.end_ns;
    run(w, 7200);
    assert_true(w->dry_ns > 0 && w->dried_ns > 0);
    print_message("# told %lld s before; foreseen %lld s off, long before %lld s off\n",
                  (long long)((w->dried_ns - w->dry_ns) / S), (long long)((w->foretold_ns - w->dried_ns) / S),
                  (long long)((end_ns - w->dried_ns) / S));
    assert_true(w->dried_ns - w->dry_ns > 5 * INTERVAL);
    assert_true(llabs(w->foretold_ns - w->dried_ns) < 2 * INTERVAL);
    assert_true(llabs(end_ns - w->dried_ns) < 5 * INTERVAL);
    assert_true(w->supply.dry && w->dry_changes == 1);
}

/* New keys: it is over, once, and all go on at their intervals. */
static void
over_when_keys_come(void **state)
{
    (void)state;
    for (int tells = TRUTH; tells <= NOTHING; tells++) {
        struct world *w = start((enum tells)tells, 300, 0);

        run(w, 1800);
        assert_true(w->supply.dry);
        w->refill_s = 3 * USE;
        run(w, 1800);
        print_message("# tells %d: changed %zu times, cleared after %lld s\n", tells, w->dry_changes,
                      (long long)(w->wet_ns / S - 1800));
        assert_false(w->supply.dry);
        assert_true(w->dry_changes <= (tells == ANYTHING ? 6 : 2)); /* chance may look like a pool for a while */
        assert_int_equal(rk_supply_stretch(&w->supply, 1, 4000), RK_STRETCH_NONE);
        run(w, 1800);
        assert_true(served(w, 1, 1800) > 97);
    }
}

/* ---- single things ---- */

static void
the_low_ones_first(void **state)
{
    struct rk_demand d = {.links = 0};
    struct rk_pool p = {.stored = 1, .stored_at_ns = S, .has_refill = true, .fits = 8};
    struct rk_supply s = {.wait = false};

    (void)state;
    rk_demand_add(&d, 1, 10 * S, 2000); /* saves 0.05 of 0.1 per second */
    rk_demand_add(&d, 4, 10 * S, 2000);
    rk_demand_add(&d, 7, 10 * S, 2000);
    p.refill_s = 0.275;
    rk_pool_judge(&p, S, &d, &s);
    assert_in_range(s.squeeze[1], 465, 510);
    assert_int_equal(s.squeeze[4], 0);
    p.refill_s = 0.175;
    rk_pool_judge(&p, S, &d, &s);
    assert_int_equal(s.squeeze[1], 1000);
    assert_int_equal(s.squeeze[4], 1000);
    assert_in_range(s.squeeze[7], 465, 510);
    p.refill_s = 0.3001;
    rk_pool_judge(&p, S, &d, &s);
    assert_int_equal(s.squeeze[1], 0);
}

static void
stretches(void **state)
{
    struct rk_supply s = {.squeeze = {[1] = 1000, [4] = 500, [7] = 0}};

    (void)state;
    assert_int_equal(rk_supply_stretch(NULL, 1, 4000), 1000);
    assert_int_equal(rk_supply_stretch(&s, 1, 4000), 4000);
    assert_int_equal(rk_supply_stretch(&s, 1, 1000), 1000);
    assert_int_equal(rk_supply_stretch(&s, 1, 0), 1000);
    assert_int_equal(rk_supply_stretch(&s, 4, 4000), 1600); /* uses 5/8 */
    assert_int_equal(rk_supply_stretch(&s, 7, 4000), 1000);
    assert_int_equal(rk_supply_stretch(&s, 99, 16000), 1000);
}

static void
nobody_asks(void **state)
{
    struct rk_demand d = {.links = 0};
    struct rk_pool p = {.stored = -1, .dry = true};
    struct rk_supply s = {.dry = true};

    (void)state;
    rk_pool_empty(&p, S, &d);
    rk_pool_empty(&p, S, &d);
    rk_pool_status(&p, S, 0);
    rk_pool_status(&p, S, 0); /* no time has passed */
    rk_pool_judge(&p, S, &d, &s);
    assert_false(s.dry);
    assert_true(s.end_ns == RK_NEVER);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(enough),
        cmocka_unit_test(short_of_keys),
        cmocka_unit_test(far_too_short),
        cmocka_unit_test(told_before_it_ends),
        cmocka_unit_test(over_when_keys_come),
        cmocka_unit_test(the_low_ones_first),
        cmocka_unit_test(stretches),
        cmocka_unit_test(nobody_asks),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
