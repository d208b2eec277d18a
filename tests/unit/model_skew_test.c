/* model_skew_test.c - the times that records carry: as text, as signs of life, and as how far the ends are apart. */
#include "model_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CLOCK INT64_C(1800000000000)

/* ---- as text ---- */

static void
text(void **state)
{
    static const struct {
        const char *before;
        struct rk_times t, back;
        const char *after;
    } rows[] = {
        {"", {CLOCK, 0, 35}, {CLOCK, 0, 35}, "t=mywpiww0.0.z"},
        {"sci=0123456789abcdef,c=B,rekey", {CLOCK, 36, -1}, {CLOCK, 36, -1},
         "sci=0123456789abcdef,c=B,rekey,t=mywpiww0.10"},
        {"a", {CLOCK, -1, 1}, {CLOCK, -1, 1}, "a,t=mywpiww0..1"},
        {"a", {0, -1, 1}, {0, -1, 1}, "a,t=0..1"},
        {"a", {CLOCK, RK_AGO_MAX_MS + 1, RK_AGO_MAX_MS}, {CLOCK, -1, RK_AGO_MAX_MS}, "a,t=mywpiww0..zzzzzz"},
        {"a", {0, -1, -1}, {0, -1, -1}, "a"},
        {"a", {0, RK_AGO_MAX_MS + 1, -1}, {0, -1, -1}, "a"},
        /* with little room the moment of staging goes first, the clock last */
        {"sci=0123456789abcdef,rekey,shut,fb", {CLOCK, 1, 36}, {CLOCK, -1, -1},
         "sci=0123456789abcdef,rekey,shut,fb,t=mywpiww0"},
        {"sci=0123456789abcdef,rekey,shut", {CLOCK, 1, 2}, {CLOCK, 1, 2},
         "sci=0123456789abcdef,rekey,shut,t=mywpiww0.1.2"},
        {"sci=0123456789abcdef,rekey,shut", {CLOCK, 46656, 2}, {CLOCK, -1, 2},
         "sci=0123456789abcdef,rekey,shut,t=mywpiww0..2"},
        {"01234567890123456789012345678901234567", {CLOCK, 1, 2}, {0, -1, -1},
         "01234567890123456789012345678901234567"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char facts[RK_FACTS_MAX + 1];
        struct rk_times back;

        strcpy(facts, rows[i].before);
        rk_times_add(facts, &rows[i].t);
        assert_string_equal(facts, rows[i].after);
        rk_times_take(facts, &back);
        assert_string_equal(facts, rows[i].before);
        assert_int_equal(back.clock_ms, rows[i].back.clock_ms);
        assert_int_equal(back.staged_ms, rows[i].back.staged_ms);
        assert_int_equal(back.switched_ms, rows[i].back.switched_ms);
    }
}

/* What is no such text says nothing, and is in nobody's way. */
static void
no_text(void **state)
{
    static const char *const wrong[] = {"t=", "t=.1", "t=1.2.3.4", "t=A", "t=-1", "t=1,", "t=1234567890", "t=1.zzzzzzz",
                                        "t=1..zzzzzzz", "t=1.x y", "t=1.-2"};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char facts[RK_FACTS_MAX + 1];
        struct rk_times t;

        snprintf(facts, sizeof facts, "sci=1,%s", wrong[i]);
        rk_times_take(facts, &t);
        assert_true(t.clock_ms == 0 && t.staged_ms == -1 && t.switched_ms == -1);
        assert_true(strcmp(facts, "sci=1") == 0 || strchr(wrong[i], ','));
    }
}

/* ---- steps ---- */

static void
steps(void **state)
{
    struct rk_steps s = {.seq = 0};
    struct rk_skew skew = {.seq = 0};

    (void)state;
    rk_steps_peer(&s, 5, &(struct rk_times){CLOCK, 100, -1}, 1000 * MS); /* staged at 900 */
    rk_steps_own(&s, 5, false, 950 * MS);
    rk_steps_own(&s, 5, true, 1200 * MS);
    assert_false(rk_steps_skew(&s, &skew));
    rk_steps_peer(&s, 5, &(struct rk_times){CLOCK, 400, 80}, 1310 * MS); /* late by 10 ms for the first */
    assert_true(rk_steps_skew(&s, &skew));
    assert_int_equal(skew.seq, 5);
    assert_int_equal(skew.staged_ns / MS, -50);
    assert_int_equal(skew.switched_ns / MS, 30);
    assert_int_equal(skew.margin_ns / MS, 250);
    rk_steps_peer(&s, 5, &(struct rk_times){CLOCK, -1, 580}, 1805 * MS); /* less late */
    rk_steps_peer(&s, 5, &(struct rk_times){CLOCK, -1, 580}, 2805 * MS); /* the same once more: later still */
    rk_steps_peer(&s, 5, &(struct rk_times){CLOCK, -1, 70000}, 71205 * MS); /* of long ago: clocks drift */
    assert_true(rk_steps_skew(&s, &skew));
    assert_int_equal(skew.switched_ns / MS, 25);
    rk_steps_own(&s, 4, true, 1 * MS); /* of an older rotation */
    rk_steps_peer(&s, 4, &(struct rk_times){CLOCK, 1, 1}, 3000 * MS);
    assert_true(rk_steps_skew(&s, &skew) && skew.seq == 5 && skew.switched_ns == 25 * MS);
    rk_steps_peer(&s, 6, &(struct rk_times){CLOCK, -1, -1}, 3000 * MS); /* says nothing of it */
    assert_true(rk_steps_skew(&s, &skew));
    rk_steps_own(&s, 6, false, 3000 * MS);
    assert_false(rk_steps_skew(&s, &skew));
}

/* ---- in records ---- */

static struct rk_record
timed(struct rk_record r, int64_t clock_ms, int64_t staged_ms, int64_t switched_ms)
{
    rk_times_add(r.facts, &(struct rk_times){clock_ms, staged_ms, switched_ms});
    return r;
}

static bool
silent(const struct fix *f)
{
    return rk_end_alarms(&f->e, f->now_ns) & RK_ALARM_NO_PEER;
}

/* The same record, again and again, is no sign of life; with a clock that goes on it is. */
static void
life(void **state)
{
    struct rk_record r = record(M, RK_SAY_ACTIVE, 4, "k4");
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_A, SL);
    hears(&f, timed(r, CLOCK, -1, -1));
    assert_string_equal(f.e.peer.facts, r.facts); /* the times are not for the device */
    for (int i = 0; i < 3; i++) {
        f.now_ns += VERIFY;
        assert_false(silent(&f));
        hears(&f, timed(r, CLOCK, -1, -1));
    }
    f.now_ns++;
    assert_true(silent(&f));
    hears(&f, timed(r, CLOCK + 1, -1, -1));
    assert_false(silent(&f));
    f.now_ns += 4 * VERIFY;
    hears(&f, r); /* one that cannot say it: as it always was */
    assert_false(silent(&f));
}

/* What was said before the newest has no effect, though it is about the same step; unless there is no clock in it. */
static void
passed(void **state)
{
    struct rk_record now = record(M, RK_SAY_ACTIVE, 4, "k4"), old = now, next = now;
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_A, SL);
    now = timed(now, CLOCK, -1, -1);
    hears(&f, now);
    strcpy(old.facts, "sci=ffffffffffffffff");
    old = timed(old, CLOCK - 1, -1, -1);
    assert_null(rk_end_outdated(&f.e, &old)); /* a slow way is no offence */
    old.term = 0;
    assert_string_equal(rk_end_outdated(&f.e, &old), "of a lower term");
    old.term = now.term;
    hears(&f, old);
    assert_string_not_equal(f.e.peer.facts, "sci=ffffffffffffffff");
    strcpy(next.facts, "sci=eeeeeeeeeeeeeeee");
    next.seq = 5; /* of a peer whose clock was set back: the next step counts, and its clock from then on */
    next = timed(next, CLOCK - 1000, -1, -1);
    hears(&f, next);
    assert_string_equal(f.e.peer.facts, "sci=eeeeeeeeeeeeeeee");
    assert_int_equal(f.e.peer_clock_ms, CLOCK - 1000);
}

/* An offer that comes once more, later than the newest word about it, is not taken for one that was missed. */
static void
passed_offer(void **state)
{
    struct rk_record offer = record(M, RK_SAY_OFFER, 5, "k5");
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_A, SL);
    strcpy(offer.prev, "k4");
    f.e.facts[0] = '\0'; /* nothing is begun: the device was not read yet */
    hears(&f, timed(offer, CLOCK, 0, -1));
    assert_int_equal(f.e.d.seq, 4);
    hears(&f, timed(offer, CLOCK - 5, 0, -1));
    assert_int_equal(f.e.d.seq, 4);
    assert_int_equal(f.e.state, RK_ST_IDLE);
}

/* What an end says: never the same clock twice, and the ages of its steps. */
static void
says(void **state)
{
    struct rk_wall wall = {CLOCK};
    struct rk_record r;
    struct rk_times t;
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_A, M);
    for (int i = 0; i < 3; i++) {
        rk_end_record(&f.e, &r);
        rk_end_record_times(&f.e, &r, true, wall, f.now_ns);
        rk_times_take(r.facts, &t);
        assert_int_equal(t.clock_ms, CLOCK + i);
        assert_int_equal(t.switched_ms, -1); /* it was before this process */
        wall.unix_ms -= 1000;
    }
    rk_end_record(&f.e, &r);
    rk_end_record_times(&f.e, &r, false, wall, f.now_ns);
    assert_null(strstr(r.facts, "t="));
    rk_steps_own(&f.e.steps, 4, false, f.now_ns);
    rk_steps_own(&f.e.steps, 4, true, f.now_ns + 5 * MS);
    rk_end_record_times(&f.e, &r, false, wall, f.now_ns + 12 * MS);
    rk_times_take(r.facts, &t);
    assert_int_equal(t.staged_ms, 12);
    assert_int_equal(t.switched_ms, 7);
}

/* ---- a rotation ---- */

/* Both ends, with a delay of 3 ms from one to the other: each finds the same, but for the delay. */
static void
rotation(void **state)
{
    struct rk_record r;
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_A, M);
    assert_int_equal(f.e.skew.seq, 0);
    due(&f);
    while (f.e.state != RK_ST_STAGED) {
        f.now_ns += MS;
        goes_well(&f);
    }
    assert_int_equal(f.e.steps.seq, 5);
    r = record(SL, RK_SAY_STAGED, 5, f.new_key);
    strcpy(r.confirm, TAG_S);
    f.now_ns += 20 * MS;
    hears(&f, timed(r, CLOCK, 3, -1));
    while (f.e.state != RK_ST_ACTIVE) {
        f.now_ns += MS;
        goes_well(&f);
    }
    f.now_ns += 10 * MS;
    hears(&f, timed(record(SL, RK_SAY_ACTIVE, 5, f.new_key), CLOCK + 1, 20, 2));
    assert_int_equal(f.e.skew.seq, 5);
    assert_true(f.e.skew.margin_ns > 0 && f.e.skew.switched_ns > 0 && f.e.skew.switched_ns < 20 * MS);
    assert_int_equal(f.e.skew.switched_ns,
                     f.e.steps.peer_switched_ns - f.e.steps.switched_ns);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text),   cmocka_unit_test(no_text),      cmocka_unit_test(steps), cmocka_unit_test(life),
        cmocka_unit_test(passed), cmocka_unit_test(passed_offer), cmocka_unit_test(says),  cmocka_unit_test(rotation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
