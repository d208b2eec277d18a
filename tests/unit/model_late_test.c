/* model_late_test.c - what comes late or never: a one-way peer that follows after all, a start time that a device does
 * not come to, a key that should stay and is not there, a peer that lost its memory */
#include "model_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define LIVE (USED | RK_PEER_USES)

/* A key that was given up is in use after all: it is the current one, and the other the one before. */
static void
one_way_peer_follows_late(void **state)
{
    static const struct {
        uint32_t class, cur, prev;
        bool taken;
    } rows[] = {{RK_CLASS_E, BOTH, LIVE, true},  {RK_CLASS_E, LIVE, BOTH, false}, {RK_CLASS_E, BOTH, USED, false},
                {RK_CLASS_E, USED, LIVE, false}, {RK_CLASS_B, BOTH, LIVE, false}, {RK_CLASS_A, USED, 0, false}};
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ready(&f, rows[i].class, M);
        f.now_ns += S;
        tick_at(&f, f.e.verify_at_ns);
        shown(&f, (struct look){.cur = rows[i].cur, .prev = rows[i].prev});
        assert_string_equal(f.e.d.cur, rows[i].taken ? "k3" : "k4");
        if (!rows[i].taken)
            continue;
        assert_int_equal(f.e.state, RK_ST_J_IDLE);
        assert_string_equal(f.todo.note, "adopted");
        assert_string_equal(f.e.d.prev, "k4");
        assert_int_equal(f.e.d.cur_seq, 3);
        assert_int_equal(f.e.d.prev_seq, 4);
        assert_int_equal(rk_end_age_ns(&f.e, f.now_ns), 0);
    }
    ready(&f, RK_CLASS_E, M); /* without one of its own there is nothing to change places */
    f.e.d.cur[0] = '\0';
    tick_at(&f, f.e.verify_at_ns);
    shown(&f, (struct look){.prev = LIVE});
    assert_string_equal(f.e.d.cur, "");
}

/* After ACTIVATING as well a one-way peer has an interval to follow, or goes on to its next key. */
static void
one_way_peer_does_not_follow(void **state)
{
    struct fix f;

    (void)state;
    for (uint32_t role = M; role <= SL; role++) {
        ready(&f, RK_CLASS_E, role);
        goes_to(&f, RK_ST_J_ACTIVATING);
        happens(&f, RK_EV_DONE);
        f.e.give_up_ns = RK_NEVER; /* as after a restart */
        while (f.e.state == RK_ST_OBSERVE) {
            if (f.e.retrying)
                tick_at(&f, f.e.wake_ns);
            shown(&f, (struct look){.cur = LIVE, .cand = BOTH});
        }
        assert_int_equal(f.e.state, RK_ST_J_BURNING);
        assert_int_equal(f.e.last_err, RK_E_TIMEOUT);
    }
    for (int newer = 0; newer < 2; newer++) {
        ready(&f, RK_CLASS_E, SL);
        goes_to(&f, RK_ST_J_ACTIVATING);
        happens(&f, RK_EV_DONE);
        hears(&f, peer_says(&f, RK_SAY_OFFER, 5 + (uint64_t)newer, newer ? "k6" : "k5"));
        shown(&f, (struct look){.cur = LIVE, .cand = BOTH});
        assert_int_equal(f.e.state, newer ? RK_ST_J_BURNING : RK_ST_OBSERVE);
    }
}

/* One that is on no known key for three intervals gets a new one all the same. */
static void
one_way_peer_is_lost(void **state)
{
    struct fix f;

    (void)state;
    for (int late = 0; late < 2; late++) {
        ready(&f, RK_CLASS_E, M);
        f.now_ns = f.e.cur_since_ns + 3 * INTERVAL + late;
        f.e.verify_at_ns = RK_NEVER;
        tick_at(&f, f.now_ns);
        shown(&f, (struct look){.cur = BOTH, .prev = BOTH});
        assert_int_equal(f.e.state, late ? RK_ST_J_INTENT : RK_ST_IDLE);
    }
}

/* Class D: a device whose clock was set back does not come to the start time: the key is given up a lead later. */
static void
start_never_comes(void **state)
{
    static const struct {
        uint32_t cand;
        int64_t late_ns;
        bool given_up;
    } rows[] = {{RK_HELD_RX, 1, true}, {RK_HELD_RX, 0, false}, {BOTH, 1, false}};
    struct fix f;

    (void)state;
    for (int activating = 0; activating < 2; activating++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            ready(&f, RK_CLASS_D, SL);
            goes_to(&f, activating ? RK_ST_J_ACTIVATING : RK_ST_STAGED);
            f.now_ns = f.e.start_ns + f.e.lead_ns + rows[i].late_ns;
            if (activating) {
                happens(&f, RK_EV_DONE);
            } else {
                f.e.verify_at_ns = f.now_ns;
                tick_at(&f, f.now_ns);
            }
            shown(&f, (struct look){.cur = LIVE, .cand = rows[i].cand});
            assert_int_equal(f.e.state == RK_ST_J_BURNING, rows[i].given_up);
        }
}

/* Class D: MKA went back to the key before, for the start of the current one has not come by that clock any more. */
static void
start_is_ahead_again(void **state)
{
    static const struct {
        uint32_t cur, prev;
        uint64_t prev_seq;
        bool lost;
    } rows[] = {{RK_HELD_RX, LIVE, 3, true}, {RK_HELD_RX, BOTH, 3, false}, {BOTH, LIVE, 3, false},
                {RK_HELD_RX, LIVE, 9, false}};
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ready(&f, RK_CLASS_D, SL);
        f.e.d.prev_seq = rows[i].prev_seq; /* 9: one that was given up */
        tick_at(&f, f.e.verify_at_ns);
        shown(&f, (struct look){.cur = rows[i].cur, .prev = rows[i].prev});
        assert_string_equal(f.e.d.cur, rows[i].lost ? "k3" : "k4");
    }
}

static void
gives_up(struct fix *f)
{
    ready(f, RK_CLASS_B, SL);
    goes_to(f, RK_ST_STAGE);
    fails(f, RK_E_BUSY);
    happens(f, RK_EV_DONE);
    assert_int_equal(f->e.state, RK_ST_UNSTAGE);
}

/* A key is given up, and the one that should stay is not there: what the device has counts. */
static void
nothing_stays(void **state)
{
    struct fix f;

    (void)state;
    gives_up(&f);
    fails(&f, RK_E_NOKEY);
    tick_at(&f, f.e.wake_ns);
    shown(&f, (struct look){.cand = BOTH}); /* the device has only the candidate */
    assert_string_equal(f.e.d.cur, "");
    assert_string_equal(f.todo.terms, "keep=");
    gives_up(&f); /* but it has it: asked again */
    fails(&f, RK_E_NOKEY);
    tick_at(&f, f.e.wake_ns);
    shown(&f, (struct look){.cur = RK_HELD_RX, .cand = BOTH});
    assert_string_equal(f.e.d.cur, "k4");
    gives_up(&f); /* or what it went back to is the key before */
    f.e.d.cur[0] = '\0';
    strcpy(f.e.d.prev, "k3");
    f.e.d.prev_seq = 3;
    happens(&f, RK_EV_DONE);
    shown(&f, (struct look){.prev = LIVE, .cand = RK_HELD_RX});
    assert_string_equal(f.e.d.cur, "k3");
    assert_int_equal(f.e.d.cur_seq, 3);
    assert_string_equal(f.e.d.prev, "k5");
}

/* Class C, and rekeyd was started again: the device has nothing but the given-up key, and MKA is live on it.  It is not
 * taken away: the next key goes on top of it. */
static void
nothing_else_is_common(void **state)
{
    static const uint32_t roles[] = {M, SL};
    struct fix f;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        ready(&f, RK_CLASS_C, roles[i]);
        goes_to(&f, RK_ST_STAGE);
        fails(&f, RK_E_BUSY);
        happens(&f, RK_EV_DONE);
        assert_int_equal(f.e.state, RK_ST_UNSTAGE);
        fails(&f, RK_E_NOKEY);
        tick_at(&f, f.e.wake_ns);
        shown(&f, (struct look){.cand = IN_USE});
        assert_int_equal(f.e.state, RK_ST_J_BURNT);
        assert_string_equal(f.e.d.cur, "");
        assert_string_equal(f.e.d.prev, "k5");
        assert_int_equal(f.e.d.prev_seq, f.e.d.seq);
    }
}

/* What the device has refused is alarmed until it is done, however often the device is read in between. */
static void
refused_until_done(void **state)
{
    struct fix f;

    (void)state;
    gives_up(&f);
    fails(&f, RK_E_NOKEY);
    assert_true(f.e.alarms & RK_ALARM_DEVICE);
    tick_at(&f, f.e.wake_ns);
    shown(&f, (struct look){.cur = RK_HELD_RX, .cand = BOTH});
    assert_int_equal(f.e.state, RK_ST_UNSTAGE);
    assert_true(f.e.alarms & RK_ALARM_DEVICE);
    happens(&f, RK_EV_DONE);
    shown(&f, (struct look){.cur = IN_USE, .cand = RK_HELD_RX});
    assert_int_equal(f.e.state, RK_ST_J_BURNT);
    assert_false(f.e.alarms & RK_ALARM_DEVICE);
}

/* A master hears of a slave that said nothing of this rotation, or another end that is master too and ahead. */
static void
peers_without_memory(void **state)
{
    static const uint32_t lost[] = {RK_SAY_NACK, RK_SAY_WITHDRAWN, RK_SAY_LOST};
    struct rk_record r;
    struct fix f;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        ready(&f, RK_CLASS_A, M);
        goes_to(&f, RK_ST_ACTIVE);
        hears(&f, peer_says(&f, lost[i], 5, "k4"));
        assert_int_equal(f.e.state, RK_ST_DRAIN);
        assert_true(f.e.peer_lost);
    }
    ready(&f, RK_CLASS_B, M); /* one that waits for MKA says so: only then does the slave learn what is expected */
    goes_to(&f, RK_ST_J_ACTIVATING);
    happens(&f, RK_EV_DONE);
    shown(&f, (struct look){.cur = BOTH, .cand = BOTH});
    assert_true(f.todo.publish);
    rk_end_record(&f.e, &r);
    assert_int_equal(r.say, RK_SAY_OFFER);
    assert_int_equal(r.seq, 5);
}

/* What a link without a key of rekeyd's holds of an old one goes before an operator's keys do. */
static void
old_key_goes_first(void **state)
{
    static const struct {
        uint32_t class, flags, say, seen;
        const char *key;
        bool goes;
    } rows[] = {
        {RK_CLASS_A, RK_DF_SWEEP, RK_SAY_LOST, BOTH, "", true},
        {RK_CLASS_A, RK_DF_SWEEP, RK_SAY_IDLE, BOTH, "", true},
        {RK_CLASS_A, 0, RK_SAY_LOST, BOTH, "", false},
        {RK_CLASS_B, RK_DF_SWEEP, RK_SAY_LOST, BOTH, "", false},
        {RK_CLASS_A, RK_DF_SWEEP, RK_SAY_LOST, USED, "", false},
        {RK_CLASS_A, RK_DF_SWEEP, RK_SAY_NACK, BOTH, "", false},
        {RK_CLASS_A, RK_DF_SWEEP, RK_SAY_ACTIVE, BOTH, "k4", false},
    };
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ready(&f, rows[i].class, M);
        strcpy(f.e.d.prev, "k4");
        f.e.d.prev_seq = 4;
        f.e.d.cur[0] = '\0';
        f.e.d.flags = rows[i].flags;
        f.e.seen_prev = rows[i].seen;
        f.e.looked = true;
        hears(&f, peer_says(&f, rows[i].say, 6, rows[i].key));
        assert_int_equal(f.e.state == RK_ST_J_BURNING, rows[i].goes);
    }
}

/* A master that has no key of its own any more keeps what the slave names, when its device holds that. */
static void
named_key_stays(void **state)
{
    static const struct {
        uint32_t class, prev;
        const char *named, *kept;
    } rows[] = {{RK_CLASS_B, BOTH, "k3", "k3"}, {RK_CLASS_B, 0, "k3", ""}, {RK_CLASS_B, BOTH, "k2", ""},
                {RK_CLASS_A, BOTH, "k3", ""}};
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ready(&f, rows[i].class, M);
        strcpy(f.e.d.prev, "k3");
        f.e.d.prev_seq = 3;
        f.e.d.cur[0] = '\0';
        f.e.d.cur_seq = 0;
        f.e.looked = true;
        f.e.seen_ns = f.now_ns;
        f.e.seen_prev = rows[i].prev;
        hears(&f, peer_says(&f, RK_SAY_WITHDRAWN, 4, rows[i].named));
        assert_int_equal(f.e.state, RK_ST_J_INTENT);
        assert_string_equal(f.e.d.cur, rows[i].kept);
    }
}

/* Class A: a previous key that the device does not hold any more takes no slot. */
static void
name_without_key(void **state)
{
    struct fix f;

    (void)state;
    for (int held = 0; held < 2; held++) {
        ready(&f, RK_CLASS_A, SL);
        strcpy(f.e.d.prev, "k2");
        f.e.d.prev_seq = 2;
        tick_at(&f, f.e.verify_at_ns);
        shown(&f, (struct look){.cur = USED, .prev = held ? BOTH : 0});
        assert_string_equal(f.e.d.prev, held ? "k2" : "");
        hears(&f, peer_says(&f, RK_SAY_OFFER, 6, "k6"));
        assert_int_equal(f.e.state, held ? RK_ST_J_BURNT : RK_ST_J_INTENT);
    }
}

/* Class D: before its time a given-up key is gone, or it would begin yet; after it the fallback slot may have it.  A
 * device said that it had removed one and had not: both ends came to use a key that both had given up. */
static void
given_up_before_its_time(void **state)
{
    struct fix f;

    (void)state;
    for (int late = 0; late < 2; late++) {
        ready(&f, RK_CLASS_D, M);
        goes_to(&f, RK_ST_STAGED);
        hears(&f, peer_says(&f, RK_SAY_NACK, f.e.d.seq, f.key));
        if (late)
            f.now_ns = f.e.start_ns;
        for (int i = 0; i < 10 && f.todo.act != RK_ACT_OBSERVE; i++)
            happens(&f, RK_EV_DONE);
        shown(&f, (struct look){.cur = IN_USE, .cand = RK_HELD_RX});
        if (late) {
            assert_int_equal(f.e.state, RK_ST_J_BURNT);
            assert_string_equal(f.e.d.prev, f.new_key);
            continue;
        }
        assert_paused(&f, RK_ST_UNSTAGE);
        assert_int_equal(f.e.last_err, RK_E_CONTRACT);
        happens(&f, RK_EV_DONE);
        shown(&f, (struct look){.cur = IN_USE});
        assert_int_equal(f.e.state, RK_ST_J_BURNT);
        assert_string_not_equal(f.e.d.prev, f.new_key);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_way_peer_follows_late), cmocka_unit_test(one_way_peer_does_not_follow),
        cmocka_unit_test(one_way_peer_is_lost),      cmocka_unit_test(start_never_comes),
        cmocka_unit_test(start_is_ahead_again),      cmocka_unit_test(nothing_stays),
        cmocka_unit_test(nothing_else_is_common),    cmocka_unit_test(refused_until_done),
        cmocka_unit_test(peers_without_memory),      cmocka_unit_test(old_key_goes_first),
        cmocka_unit_test(named_key_stays),           cmocka_unit_test(name_without_key),
        cmocka_unit_test(given_up_before_its_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
