/* model_time_test.c - when an end wakes, what it does then and not a moment earlier; pauses, polls, deadlines. */
#include "model_rig.h"

#include "core/model/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* The next time for what ends of its slot do together each step_ns. */
static int64_t
next(const struct fix *f, int64_t step_ns)
{
    return rk_pace_slot(f->e.slot, step_ns, f->now_ns);
}

/* It sleeps until then: a tick a moment earlier is too early for anything. */
static void
sleeps_until(struct fix *f, int64_t at_ns)
{
    enum rk_state state = f->e.state;

    assert_int_equal(f->e.wake_ns, at_ns);
    tick_at(f, at_ns - 1);
    assert_int_equal(f->e.state, state);
    assert_int_equal(f->todo.act, RK_ACT_NONE);
    assert_int_equal(f->e.wake_ns, at_ns);
    tick_at(f, at_ns);
}

static void
looks(struct fix *f, uint32_t cur, uint32_t prev, uint32_t cand)
{
    shown(f, (struct look){.cur = cur, .prev = prev, .cand = cand});
}

/* ---- idle ---- */

/* The device is read once in a verify period, whatever else there is. */
static void
verifies(void **state)
{
    struct fix f;

    (void)state;
    alone(&f, RK_CLASS_A, M); /* due in 45 s, but for whom */
    f.e.due_ns = f.now_ns + 5 * S;
    sleeps_until(&f, f.now_ns + VERIFY);
    assert_int_equal(f.todo.act, RK_ACT_OBSERVE);
    looks(&f, IN_USE, 0, 0);
    assert_int_equal(f.e.verify_at_ns, f.now_ns + VERIFY);
    assert_true(f.todo.publish); /* and what it has to say is said again */
    for (uint32_t role = M; role <= SL; role++) {
        ready(&f, RK_CLASS_A, role);
        sleeps_until(&f, f.now_ns + VERIFY);
        assert_int_equal(f.todo.act, RK_ACT_OBSERVE);
    }
    ready(&f, RK_CLASS_A, M);
    goes_to(&f, RK_ST_STAGED);
    sleeps_until(&f, f.e.verify_at_ns);
    assert_int_equal(f.todo.act, RK_ACT_OBSERVE);
    ready(&f, RK_CLASS_A, M);
    goes_to(&f, RK_ST_ACTIVE);
    sleeps_until(&f, f.e.verify_at_ns);
    assert_int_equal(f.todo.act, RK_ACT_OBSERVE);
}

/* Ends that are due together look at their device together too, whenever each of them looked last: it takes one call,
 * and none is late for the rotation because its own look is under way. */
static void
verifies_with_others(void **state)
{
    struct fix early, late;

    (void)state;
    ready(&early, RK_CLASS_B, M);
    ready(&late, RK_CLASS_B, SL);
    tick_at(&early, early.e.verify_at_ns);
    looks(&early, IN_USE, BOTH, 0);
    tick_at(&late, early.now_ns + VERIFY / 3); /* it was busy, or has begun just now */
    happens(&late, RK_EV_START);
    looks(&late, IN_USE, BOTH, 0);
    assert_true(early.now_ns < late.now_ns);
    assert_int_equal(early.e.verify_at_ns, late.e.verify_at_ns);
    assert_true(late.e.verify_at_ns <= early.now_ns + VERIFY);
    late.e.slot++;
    tick_at(&late, late.e.verify_at_ns);
    looks(&late, IN_USE, BOTH, 0);
    assert_int_not_equal(late.e.verify_at_ns % VERIFY, early.e.verify_at_ns % VERIFY); /* others at other times */
}

static void
begins_when_due(void **state)
{
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_A, M);
    f.e.due_ns = f.now_ns + 20 * S;
    hears(&f, peer_says(&f, RK_SAY_ACTIVE, 4, "k4"));
    sleeps_until(&f, f.now_ns + 20 * S);
    assert_int_equal(f.e.state, RK_ST_J_INTENT);
    ready(&f, RK_CLASS_B, M); /* a CAK: the device is read at that moment, and only then */
    f.e.due_ns = f.now_ns + 20 * S;
    hears(&f, peer_says(&f, RK_SAY_ACTIVE, 4, "k4"));
    sleeps_until(&f, f.now_ns + 20 * S);
    assert_int_equal(f.todo.act, RK_ACT_OBSERVE);
    looks(&f, IN_USE, BOTH, 0);
    assert_int_equal(f.e.state, RK_ST_J_INTENT);
}

/* MKA is down: it is looked for every two seconds, or as often as the device is verified. */
static void
polls_while_due(void **state)
{
    static const int64_t verify_ns[] = {VERIFY, 2 * S, S}, poll_ns[] = {2 * S, 2 * S, S};
    struct fix f;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        ready(&f, RK_CLASS_B, M);
        f.e.verify_ns = verify_ns[i];
        due(&f);
        looks(&f, BOTH, BOTH, 0);
        for (int n = 0; n < 5; n++) {
            assert_int_equal(f.e.state, RK_ST_IDLE);
            assert_int_equal(f.e.wake_ns, next(&f, poll_ns[i]));
            tick_at(&f, f.e.wake_ns);
            assert_int_equal(f.todo.act, RK_ACT_OBSERVE);
            looks(&f, n < 4 ? BOTH : IN_USE, BOTH, 0);
        }
        assert_int_equal(f.e.state, RK_ST_J_INTENT);
    }
}

/* What an operator asks for does not wait for the pause after failures. */
static void
operators_do_not_wait(void **state)
{
    struct fix f;

    (void)state;
    for (int adopts = 0; adopts < 2; adopts++) {
        ready(&f, RK_CLASS_A, M);
        f.e.failures = 9;
        f.e.want = adopts;
        hears(&f, peer_says(&f, RK_SAY_ACTIVE, 4, "k4"));
        assert_int_equal(f.e.state, RK_ST_IDLE);
        happens(&f, adopts ? RK_EV_ADOPT : RK_EV_ROTATE);
        assert_int_equal(f.e.failures, 0);
        if (adopts)
            happens(&f, RK_EV_DONE);
        assert_int_equal(f.e.state, RK_ST_J_INTENT);
    }
    ready(&f, RK_CLASS_A, SL);
    f.e.failures = 9;
    happens(&f, RK_EV_ROTATE);
    assert_int_equal(f.e.failures, 0);
    assert_true(f.todo.publish); /* its master is asked */
    ready(&f, RK_CLASS_A, M);
    goes_to(&f, RK_ST_STAGED);
    happens(&f, RK_EV_ROTATE);
    assert_false(f.todo.publish);
}

/* ---- pauses ---- */

/* A pause depends on the link and on the moment: many links that fail together do not try again together. */
static void
pauses_differ(void **state)
{
    int64_t first_ns = 0, by_link = 0, by_time = 0, after_ns = 0;
    struct fix f;

    (void)state;
    for (int i = 0; i < 20; i++)
        for (int later = 0; later < 2; later++)
            for (int burns = 0; burns < 2; burns++) {
                int64_t pause_ns;

                ready(&f, RK_CLASS_A, M);
                if (!later)
                    f.e.d.link[0] = (char)('a' + i);
                f.now_ns += later ? i : 0;
                f.e.want = true;
                hears(&f, peer_says(&f, RK_SAY_ACTIVE, 4, "k4"));
                assert_int_equal(f.e.state, RK_ST_J_INTENT);
                if (burns) {
                    happens(&f, RK_EV_DONE);
                    fails(&f, RK_E_EMPTY);
                    happens(&f, RK_EV_DONE);
                    pause_ns = f.e.due_ns - f.now_ns;
                    after_ns = after_ns ? after_ns : pause_ns;
                    by_link += !later && pause_ns != after_ns;
                    by_time += later && pause_ns != after_ns;
                } else {
                    fails(&f, RK_E_BUSY);
                    pause_ns = f.e.wake_ns - f.now_ns;
                    first_ns = first_ns ? first_ns : pause_ns;
                    by_link += !later && pause_ns != first_ns;
                    by_time += later && pause_ns != first_ns;
                }
                assert_true(pause_ns >= 187500 * RK_NS_PER_MS / 1000 && pause_ns <= 312500 * RK_NS_PER_MS / 1000);
            }
    assert_true(by_link >= 36 && by_time >= 36);
}

/* Each failure of one action makes its next pause longer; another action begins anew. */
static void
pauses_grow(void **state)
{
    struct fix f;
    int64_t last_ns = 0;

    (void)state;
    ready(&f, RK_CLASS_A, M);
    goes_to(&f, RK_ST_J_INTENT);
    for (int i = 0; i < 5; i++) {
        fails(&f, RK_E_BUSY);
        if (i != 1) /* the second pause may be as short as the first: -25 % to +25 % */
            assert_true(f.e.wake_ns - f.now_ns > last_ns);
        last_ns = (f.e.wake_ns - f.now_ns) * 11 / 10;
        assert_int_equal(f.e.tries, i + 1);
        tick_at(&f, f.e.wake_ns);
    }
    happens(&f, RK_EV_DONE);
    assert_int_equal(f.e.tries, 0);
}

/* The nearer the time to shut the link, the closer the tries. */
static void
hurries_before_shut(void **state)
{
    struct fix f;

    (void)state;
    for (int shuts = 0; shuts < 2; shuts++) {
        ready(&f, RK_CLASS_A, M);
        goes_to(&f, RK_ST_FETCH);
        f.e.on_stale = shuts ? RK_STALE_SHUT : RK_STALE_HOLD;
        f.e.failures = 100; /* by the usual pauses: half a minute */
        f.now_ns = f.e.cur_since_ns + f.e.shut_after_ns - 16 * S;
        fails(&f, RK_E_EMPTY);
        happens(&f, RK_EV_DONE);
        if (shuts) /* half of what is left, and a first pause */
            assert_true(f.e.due_ns - f.now_ns >= 8 * S + 187 * MS && f.e.due_ns - f.now_ns <= 8 * S + 313 * MS);
        else
            assert_true(f.e.due_ns - f.now_ns >= 22 * S);
    }
    ready(&f, RK_CLASS_A, M); /* far from it the usual pause is shorter */
    goes_to(&f, RK_ST_FETCH);
    f.e.on_stale = RK_STALE_SHUT;
    fails(&f, RK_E_EMPTY);
    happens(&f, RK_EV_DONE);
    assert_true(f.e.due_ns - f.now_ns <= 313 * MS);
    ready(&f, RK_CLASS_A, M); /* and when it is over, no pause is shorter than usual */
    goes_to(&f, RK_ST_FETCH);
    f.e.on_stale = RK_STALE_SHUT;
    f.e.cannot_shut = true;
    f.e.failures = 100;
    f.now_ns = f.e.cur_since_ns + f.e.shut_after_ns + 16 * S;
    fails(&f, RK_E_EMPTY);
    happens(&f, RK_EV_DONE);
    assert_true(f.e.due_ns - f.now_ns >= 22 * S);
}

/* ---- on the way ---- */

static void
drains(void **state)
{
    struct fix f;

    (void)state;
    for (uint32_t role = M; role <= SL; role++) {
        ready(&f, RK_CLASS_A, role);
        goes_to(&f, RK_ST_DRAIN);
        sleeps_until(&f, f.now_ns + DRAIN);
        assert_int_equal(f.todo.act, RK_ACT_RETIRE);
        assert_int_equal(f.todo.seq, 4);
    }
}

/* From begin to start time is the lead, in whole seconds for the device; without a word a quarter of it before. */
static void
start_times(void **state)
{
    static const int64_t after_ms[] = {0, 1, 500, 999, 1000}, start_ms[] = {0, 1000, 1000, 1000, 1000};
    struct fix f;

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        int64_t whole_ms;

        ready(&f, RK_CLASS_D, M);
        f.e.due_ns = 2000 * S + after_ms[i] * MS;
        whole_ms = 2000000 + LEAD / MS;
        goes_to(&f, RK_ST_J_FETCHED);
        assert_int_equal(f.e.d.start_ms, whole_ms + start_ms[i]);
        assert_int_equal(f.e.start_ns, f.now_ns + LEAD);
        goes_to(&f, RK_ST_STAGED);
        f.e.verify_at_ns = RK_NEVER;
        hears(&f, peer_says(&f, RK_SAY_ACTIVE, 4, "k4"));
        sleeps_until(&f, f.now_ns + LEAD - LEAD / 4);
        assert_int_equal(f.e.state, RK_ST_J_BURNING);
        assert_string_equal(f.e.last_why, "not confirmed before its start");
    }
}

static void
start_time_of_an_offer(void **state)
{
    static const struct {
        const char *confirm;
        int64_t start_ms, start_ns;
    } rows[] = {{"1090", 1090000, 1090 * S}, {"1015", 1015000, 1015 * S}, {"", 1060000, 1060 * S},
                {"1014", 0, 1000 * S}, {"1241", 0, 1000 * S}, {"0", 0, 1000 * S}};
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rk_record offer;

        ready(&f, RK_CLASS_D, SL);
        assert_int_equal(f.now_ns, 1000 * S);
        offer = peer_says(&f, RK_SAY_OFFER, 5, "k5");
        strcpy(offer.confirm, rows[i].confirm);
        hears(&f, offer);
        assert_int_equal(f.e.d.start_ms, rows[i].start_ms);
        assert_int_equal(f.e.start_ns, rows[i].start_ns);
        assert_int_equal(f.e.start_bad, rows[i].start_ms == 0);
    }
    for (int over = 0; over < 2; over++) { /* by a clock that is between two seconds */
        struct rk_record offer;

        ready(&f, RK_CLASS_D, SL);
        f.now_ns += over * MS;
        offer = peer_says(&f, RK_SAY_OFFER, 5, "k5");
        hears(&f, offer); /* of a master without start times */
        if (over)
            shown(&f, (struct look){.cur = USED | RK_PEER_USES, .prev = BOTH});
        assert_int_equal(f.e.d.start_ms, 1060000 + 1000 * over);
        assert_int_equal(f.e.start_ns, f.now_ns + LEAD);
        ready(&f, RK_CLASS_D, SL);
        f.now_ns += over * MS;
        strcpy(offer.confirm, "1015"); /* too near, by a millisecond */
        hears(&f, offer);
        if (over)
            shown(&f, (struct look){.cur = USED | RK_PEER_USES, .prev = BOTH});
        assert_int_equal(f.e.state, over ? RK_ST_J_BURNT : RK_ST_J_INTENT);
    }
}

/* A start time that is in the journal counts again after a restart, by the wall clock, at most one lead off. */
static void
start_time_after_restart(void **state)
{
    static const int64_t left_s[] = {30, 0, -30, 60, 61, 3600, -60, -61, -3600};
    static const int64_t is_s[] = {30, 0, -30, 60, 60, 60, -60, -60, -60};
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof left_s / sizeof *left_s; i++) {
        fresh(&f, M);
        f.e.class = RK_CLASS_D;
        f.e.lead_ns = LEAD;
        f.e.d.start_ms = f.now_ns / MS + 1000 * left_s[i];
        happens(&f, RK_EV_START);
        assert_int_equal(f.e.start_ns, f.now_ns + is_s[i] * S);
    }
}

/* A one-way peer is given one interval, and its use of the key is looked for all that time. */
static void
one_way_peer(void **state)
{
    struct fix f;
    int64_t began_ns;

    (void)state;
    ready(&f, RK_CLASS_E, M);
    goes_to(&f, RK_ST_STAGED);
    began_ns = f.now_ns;
    while (f.now_ns < began_ns + INTERVAL - 2 * S) {
        sleeps_until(&f, next(&f, 2 * S));
        looks(&f, IN_USE, 0, USED); /* only by this end */
        assert_int_equal(f.e.state, RK_ST_STAGED);
    }
    sleeps_until(&f, began_ns + INTERVAL);
    assert_int_equal(f.e.state, RK_ST_J_BURNING);
    assert_string_equal(f.e.last_why, "the peer did not follow");
    ready(&f, RK_CLASS_B, M); /* of others it is the peer's word that counts, and the usual period */
    goes_to(&f, RK_ST_STAGED);
    assert_int_equal(f.e.wake_ns, next(&f, VERIFY));
    assert_int_equal(f.e.give_up_ns, RK_NEVER);
}

/* The next rotation has a deadline of its own. */
static void
deadline_is_of_one_rotation(void **state)
{
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_D, M);
    goes_to(&f, RK_ST_STAGED);
    hears(&f, peer_says(&f, RK_SAY_NACK, 5, "k4"));
    goes_to(&f, RK_ST_IDLE);
    f.new_key = "k6";
    f.now_ns += 500 * S;
    hears(&f, peer_says(&f, RK_SAY_NACK, 5, "k4"));
    if (f.e.state != RK_ST_J_INTENT)
        goes_to(&f, RK_ST_J_INTENT);
    goes_to(&f, RK_ST_STAGED);
    assert_int_equal(f.e.give_up_ns, f.now_ns + LEAD - LEAD / 4);
}

/* MKA is awaited for ever; that it takes long is told only after the start time, and after a few looks. */
static void
awaits_mka(void **state)
{
    struct fix f;

    (void)state;
    for (uint32_t class = RK_CLASS_B; class <= RK_CLASS_D; class++) {
        int64_t told_ns = 0, start_ns;

        ready(&f, class, M);
        goes_to(&f, RK_ST_J_ACTIVATING);
        happens(&f, RK_EV_DONE);
        start_ns = class == RK_CLASS_D ? f.e.start_ns : f.now_ns;
        for (int i = 0; i < 60; i++) {
            looks(&f, BOTH, 0, BOTH);
            if (!told_ns && (f.e.alarms & RK_ALARM_DEVICE))
                told_ns = f.now_ns;
            sleeps_until(&f, next(&f, 2 * S));
            assert_int_equal(f.todo.act, RK_ACT_OBSERVE);
        }
        assert_true(told_ns > (class == RK_CLASS_D ? start_ns : start_ns + 8 * S));
        assert_true(told_ns <= (class == RK_CLASS_D ? start_ns + 2 * S : start_ns + 10 * S));
    }
}

/* ---- policies ---- */

static void
shuts(void **state)
{
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_A, SL);
    f.e.on_stale = RK_STALE_SHUT;
    f.e.verify_at_ns = RK_NEVER;
    hears(&f, peer_says(&f, RK_SAY_ACTIVE, 4, "k4"));
    sleeps_until(&f, f.e.cur_since_ns + 6 * INTERVAL);
    assert_int_equal(f.e.state, RK_ST_J_SHUT);
    ready(&f, RK_CLASS_A, M); /* a candidate does not hold it up */
    goes_to(&f, RK_ST_STAGED);
    f.e.on_stale = RK_STALE_SHUT;
    f.e.verify_at_ns = RK_NEVER;
    tick_at(&f, f.e.cur_since_ns + 6 * INTERVAL - 1);
    assert_int_equal(f.e.state, RK_ST_STAGED);
    tick_at(&f, f.e.cur_since_ns + 6 * INTERVAL);
    assert_int_equal(f.e.state, RK_ST_J_BURNING);
    assert_int_equal(f.e.last_err, RK_E_TIMEOUT);
    assert_string_equal(f.e.last_why, "the link must be shut before the peer has confirmed");
}

/* Nothing of this is shut: it may not, it is already, it cannot, it has no key. */
static void
does_not_shut(void **state)
{
    struct fix f;

    (void)state;
    for (int why = 0; why < 4; why++) {
        ready(&f, RK_CLASS_A, SL);
        f.e.on_stale = why == 0 ? RK_STALE_HOLD : RK_STALE_SHUT;
        f.e.d.flags |= why == 1 ? RK_DF_SHUT : 0;
        f.e.cannot_shut = why == 2;
        if (why == 3)
            f.e.d.cur[0] = '\0';
        f.e.looked = true;
        f.e.verify_at_ns = RK_NEVER;
        hears(&f, peer_says(&f, RK_SAY_ACTIVE, 4, "k4"));
        assert_int_equal(f.e.wake_ns, RK_NEVER);
        tick_at(&f, f.e.cur_since_ns + 7 * INTERVAL);
        assert_int_equal(f.e.state, RK_ST_IDLE);
    }
}

/* A sweep that did not come off is tried once in a verify period. */
static void
sweeps(void **state)
{
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_A, SL);
    f.e.sweep_at_ns = RK_NEVER; /* long ago another one */
    happens(&f, RK_EV_ADOPT);
    happens(&f, RK_EV_DONE);
    assert_int_equal(f.todo.act, RK_ACT_SWEEP);
    assert_int_equal(f.todo.seq, 4);
    fails(&f, RK_E_BUSY);
    sleeps_until(&f, f.now_ns + 2 * S);
    looks(&f, IN_USE, 0, 0);
    assert_int_equal(f.e.state, RK_ST_IDLE);
    tick_at(&f, f.e.sweep_at_ns - 1);
    assert_int_not_equal(f.todo.act, RK_ACT_SWEEP);
    tick_at(&f, f.e.sweep_at_ns);
    assert_int_equal(f.todo.act, RK_ACT_SWEEP);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verifies),
        cmocka_unit_test(verifies_with_others),
        cmocka_unit_test(begins_when_due),
        cmocka_unit_test(polls_while_due),
        cmocka_unit_test(operators_do_not_wait),
        cmocka_unit_test(pauses_differ),
        cmocka_unit_test(pauses_grow),
        cmocka_unit_test(hurries_before_shut),
        cmocka_unit_test(drains),
        cmocka_unit_test(start_times),
        cmocka_unit_test(start_time_of_an_offer),
        cmocka_unit_test(start_time_after_restart),
        cmocka_unit_test(one_way_peer),
        cmocka_unit_test(deadline_is_of_one_rotation),
        cmocka_unit_test(awaits_mka),
        cmocka_unit_test(shuts),
        cmocka_unit_test(does_not_shut),
        cmocka_unit_test(sweeps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
