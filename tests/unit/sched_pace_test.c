/* sched_pace_test.c - the grid, the spread of phases, the bounds of backoff, token buckets; all in virtual time. */
#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/model/pace.h"
#include "core/sched/bucket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define MS RK_NS_PER_MS
#define S RK_NS_PER_S

static void
test_grid(void **state)
{
    static const int64_t intervals[] = {1, 7, 100 * MS, 120 * S, 30 * 86400 * S};

    (void)state;
    for (size_t i = 0; i < sizeof intervals / sizeof *intervals; i++) {
        int64_t step = intervals[i], now = 12345 * S + 678, slot = rk_pace_next("a-b-1", step, now);

        assert_true(slot > now && slot <= now + step);
        assert_int_equal(rk_pace_next("a-b-1", step, slot - 1), slot);
        assert_int_equal(rk_pace_next("a-b-1", step, slot), slot + step); /* strictly after */
        assert_int_equal(rk_pace_next("a-b-1", step, slot + 10 * step), slot + 11 * step);
        assert_int_equal(rk_pace_next("a-b-1", step, slot - step), slot);
    }
}

/* Links of one number are due together, those of different ones are not; a link's own is that of its name. */
static void
test_slots(void **state)
{
    int64_t now = 12345 * S + 678, slot = rk_pace_slot(7, 120 * S, now);

    (void)state;
    assert_int_equal(rk_pace_slot(7, 120 * S, slot), slot + 120 * S);
    assert_int_not_equal(rk_pace_slot(8, 120 * S, now), slot);
    assert_int_equal(rk_pace_slot(rk_hash("a-b-1"), 120 * S, now), rk_pace_next("a-b-1", 120 * S, now));
}

static void
test_grid_edges(void **state)
{
    int64_t slot = rk_pace_next("x", 120 * S, -1);

    (void)state;
    assert_true(slot >= 0 && slot < 120 * S);
    assert_int_equal(rk_pace_next("x", 120 * S, slot - 120 * S), slot);
    assert_true(rk_pace_next("x", 120 * S, -1000 * S) > -1000 * S);
    assert_true(rk_pace_next("x", 120 * S, -1000 * S) <= -880 * S);
    assert_int_equal(rk_pace_next("x", 120 * S, INT64_MAX), RK_NEVER);
    assert_int_equal(rk_pace_next("x", INT64_MAX, INT64_MAX - 1), RK_NEVER);
}

/* Before time 0 the grid is the same one, for each place in the interval. */
static void
test_grid_before_zero(void **state)
{
    char name[16];

    (void)state;
    for (int i = 0; i < 200; i++) {
        int64_t slot, now = -7 * 120 * S - (int64_t)i * S;

        snprintf(name, sizeof name, "link-%d", i);
        slot = rk_pace_next(name, 120 * S, now);
        assert_true(slot > now && slot <= now + 120 * S);
        assert_int_equal(rk_pace_next(name, 120 * S, slot + 20 * 120 * S - 1), slot + 20 * 120 * S);
    }
}

/* The last slot before the end of all time is given, and then none. */
static void
test_grid_end(void **state)
{
    int64_t last = RK_NEVER - RK_NEVER % S;

    (void)state;
    for (int64_t slot = rk_pace_next("x", S, RK_NEVER - 3 * S); slot != RK_NEVER; slot = rk_pace_next("x", S, slot))
        last = slot;
    assert_true(last > RK_NEVER - S && last < RK_NEVER);
    assert_int_equal(rk_pace_next("x", S, last - 1), last);
}

/* A link's place in the interval, and a pause, stay what they are: a new version moves no rotation. */
static void
test_golden(void **state)
{
    (void)state;
    assert_int_equal(rk_pace_next("a-b-1", 120 * S, 0), 16734357055);
    assert_int_equal(rk_pace_next("site-07-link-3", 3600 * S, 0), 3406434087716);
    assert_int_equal(rk_pace_backoff(3, 3600 * S, 1), 1048389749);
    assert_int_equal(rk_pace_backoff(7, 3600 * S, 0x123456789abcdef0), 14023156244);
}

/* 10,000 links with names as people give them: no tenth of a second of two minutes gets far more than its share. */
static void
test_spread(void **state)
{
    static unsigned slots[1200];
    char name[32];
    unsigned most = 0, empty = 0;

    (void)state;
    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof name, "site-%02d-link-%d", i / 100, i % 100);
        slots[rk_pace_next(name, 120 * S, -1) / (100 * MS)]++;
    }
    for (size_t i = 0; i < 1200; i++) {
        most = slots[i] > most ? slots[i] : most;
        empty += slots[i] == 0;
    }
    assert_true(most <= 24); /* mean 8.3; a fair spread passes 24 once in 10^3 names sets */
    assert_true(empty <= 5);
}

static void
in_jitter(int64_t pause, int64_t middle)
{
    assert_true(pause >= middle - middle / 4);
    assert_true(pause <= middle + middle / 4);
}

static void
test_backoff(void **state)
{
    static const int64_t doubled[] = {250, 250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000};

    (void)state;
    for (unsigned seed = 0; seed < 1000; seed++) {
        for (unsigned i = 0; i < sizeof doubled / sizeof *doubled; i++)
            in_jitter(rk_pace_backoff(i, 3600 * S, seed), doubled[i] * MS);
        in_jitter(rk_pace_backoff(~0u, INT64_MAX, seed), 30 * S);
        in_jitter(rk_pace_backoff(9, 12 * S, seed), 3 * S);   /* a quarter of the interval */
        in_jitter(rk_pace_backoff(9, 100 * MS, seed), 250 * MS); /* never faster */
        in_jitter(rk_pace_backoff(9, 0, seed), 250 * MS);
    }
}

/* A try that uses up a key: up to the interval. */
static void
test_costly(void **state)
{
    static const int64_t doubled[] = {250, 250, 500, 1000, 2000, 4000, 8000, 16000, 32000, 64000, 120000, 120000};

    (void)state;
    for (unsigned seed = 0; seed < 1000; seed++) {
        for (unsigned i = 0; i < sizeof doubled / sizeof *doubled; i++)
            in_jitter(rk_pace_costly(i, 120 * S, seed), doubled[i] * MS);
        in_jitter(rk_pace_costly(~0u, 3600 * S, seed), 3600 * S);
        in_jitter(rk_pace_costly(9, 100 * MS, seed), 250 * MS); /* never faster */
    }
}

/* The jitter fills its whole range and follows from the seed alone. */
static void
test_jitter(void **state)
{
    int64_t least = INT64_MAX, most = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 10000; seed++) {
        int64_t pause = rk_pace_backoff(3, 3600 * S, seed);

        assert_int_equal(pause, rk_pace_backoff(3, 3600 * S, seed));
        least = pause < least ? pause : least;
        most = pause > most ? pause : most;
    }
    assert_true(least < 760 * MS && most > 1240 * MS);
}

static void
test_bucket(void **state)
{
    struct rk_bucket b = {.rate_per_s = 10, .burst = 5};
    int64_t now = 1000 * S, wait;

    (void)state;
    for (int i = 0; i < 5; i++)
        assert_int_equal(rk_bucket_take(&b, now), 0);
    wait = rk_bucket_take(&b, now);
    assert_true(wait > 99 * MS && wait <= 101 * MS);
    assert_true(rk_bucket_take(&b, now + wait / 2) > 0);
    assert_int_equal(rk_bucket_take(&b, now + wait), 0);
    assert_true(rk_bucket_take(&b, now + wait) > 0);
    assert_true(rk_bucket_take(&b, now - S) > 0); /* time that went back gives nothing */
    now += 3600 * S;                              /* and an hour no more than the burst */
    for (int i = 0; i < 5; i++)
        assert_int_equal(rk_bucket_take(&b, now), 0);
    assert_true(rk_bucket_take(&b, now) > 0);
}

/* Whoever waits as told is served, at any rate, and over a long time the rate is kept. */
static void
test_bucket_rate(void **state)
{
    static const double rates[] = {0.01, 0.3, 1, 3, 7, 1000, 1e6};

    (void)state;
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        struct rk_bucket b = {.rate_per_s = rates[i], .burst = 1};
        int64_t now = 5 * S, first = now;
        double took_s;

        assert_int_equal(rk_bucket_take(&b, now), 0);
        for (int n = 0; n < 1000; n++) {
            int64_t wait = rk_bucket_take(&b, now);

            assert_true(wait > 0);
            now += wait;
            assert_int_equal(rk_bucket_take(&b, now), 0);
        }
        took_s = (double)(now - first) / (double)S;
        assert_true(took_s * rates[i] > 999 && took_s * rates[i] < 1003);
    }
}

static void
test_bucket_edges(void **state)
{
    struct rk_bucket none = {.rate_per_s = 0}, small = {.rate_per_s = 1, .burst = 0}, slow = {.rate_per_s = 1e-12};

    (void)state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(rk_bucket_take(&none, i), 0); /* no limit */
    assert_int_equal(rk_bucket_take(&small, 0), 0);
    assert_true(rk_bucket_take(&small, 0) > 0);
    assert_int_equal(rk_bucket_take(&slow, 1), 0);
    assert_true(rk_bucket_take(&slow, 1) >= INT64_MAX / 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grid),    cmocka_unit_test(test_slots),
        cmocka_unit_test(test_grid_edges),  cmocka_unit_test(test_spread),
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_costly), cmocka_unit_test(test_jitter),      cmocka_unit_test(test_bucket),
        cmocka_unit_test(test_bucket_rate), cmocka_unit_test(test_bucket_edges),
        cmocka_unit_test(test_grid_before_zero), cmocka_unit_test(test_grid_end), cmocka_unit_test(test_golden),
    };

    return cmocka_run_group_tests_name("sched_pace", tests, NULL, NULL);
}
