/* model_class_test.c - what is special to each device class, to evidence, to operators' keys and to policies */
#include "model_rig.h"

#include "core/model/end_class.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LIVE (USED | RK_PEER_USES)
#define LEAD (60 * S)

struct seen { /* what a device shows; state beside "present and protected" */
    uint32_t cur, prev, cand, peer, state, foreign;
    const char *facts, *why;
};

static void
looks(struct fix *f, struct seen s)
{
    struct rk_seen seen = {.state = RK_IF_PRESENT | RK_IF_UP | RK_IF_PROTECTED | s.state, .cur = s.cur, .prev = s.prev,
                           .cand = s.cand, .peer = s.peer, .foreign = s.foreign,
                           .facts = s.facts ? s.facts : f->e.class == RK_CLASS_D ? "clk=20" : "",
                           .why = s.why ? s.why : ""};

    assert_int_equal(f->e.state, RK_ST_OBSERVE);
    step(f, (struct rk_event){.type = RK_EV_OBSERVED, .seen = &seen});
}

static struct rk_record
says(const struct fix *f, uint32_t say, uint64_t seq, const char *key)
{
    struct rk_record r = record(f->e.d.role == M ? SL : M, say, seq, key);

    strcpy(r.facts, f->e.class == RK_CLASS_E ? "" : "c=C");
    return r;
}

/* An end of a class, idle on k4 with k3 in the fallback slot, its peer heard. */
static void
idle(struct fix *f, uint32_t class, uint32_t role)
{
    fresh(f, role);
    f->e.class = class;
    f->e.lead_ns = LEAD;
    f->e.shut_after_ns = 6 * INTERVAL;
    if (class != RK_CLASS_A && class != RK_CLASS_C) {
        strcpy(f->e.d.prev, "k3");
        f->e.d.prev_seq = 3;
    }
    happens(f, RK_EV_START);
    looks(f, (struct seen){.cur = LIVE, .prev = f->e.d.prev[0] ? BOTH : 0});
    if (class != RK_CLASS_E)
        hears(f, says(f, RK_SAY_ACTIVE, 4, "k4"));
    assert_int_equal(f->e.state, RK_ST_IDLE);
}

/* On to the installed key. */
static void
staged(struct fix *f, uint32_t class, uint32_t role)
{
    struct rk_record offer;

    idle(f, class, role);
    if (role == M) {
        due(f);
        looks(f, (struct seen){.cur = LIVE});
    } else {
        offer = says(f, RK_SAY_OFFER, 5, "k5");
        strcpy(offer.prev, "k4");
        hears(f, offer);
    }
    assert_int_equal(f->e.state, RK_ST_J_INTENT);
    happens(f, RK_EV_DONE);
    happens(f, RK_EV_KEY);
    if (role == M)
        happens(f, RK_EV_DONE);
    assert_int_equal(f->todo.act, RK_ACT_STAGE);
}

static void
waiting(struct fix *f, uint32_t class, uint32_t role)
{
    staged(f, class, role);
    happens(f, RK_EV_DONE);
    happens(f, RK_EV_DONE);
    looks(f, (struct seen){.cur = LIVE, .cand = RK_HELD_RX});
    assert_int_equal(f->e.state, RK_ST_STAGED);
}

/* One commit at each end, and no other change: STAGE with the key that stays. */
static void
one_commit(void **state)
{
    static const uint32_t classes[] = {RK_CLASS_B, RK_CLASS_C, RK_CLASS_D};
    struct fix f;

    (void)state;
    for (size_t i = 0; i < 3; i++)
        for (uint32_t role = M; role <= SL; role++) {
            char terms[64] = "keep=k4";

            staged(&f, classes[i], role);
            if (classes[i] == RK_CLASS_D)
                snprintf(terms, sizeof terms, "keep=k4,start=%lld", (long long)(f.e.d.start_ms / 1000));
            assert_string_equal(f.todo.terms, terms);
            happens(&f, RK_EV_DONE);
            assert_string_equal(f.e.d.prev, ""); /* its slot is k4's now */
            happens(&f, RK_EV_DONE);
            looks(&f, (struct seen){.cur = LIVE, .cand = RK_HELD_RX});
            hears(&f, says(&f, role == M ? RK_SAY_STAGED : RK_SAY_ACTIVE, 5, "k5"));
            assert_int_equal(f.e.state, RK_ST_J_ACTIVATING);
            happens(&f, RK_EV_DONE);
            looks(&f, (struct seen){.cur = LIVE, .cand = USED}); /* the peer is not seen on it yet */
            assert_paused(&f, RK_ST_OBSERVE);
            looks(&f, (struct seen){.cur = BOTH, .cand = LIVE});
            assert_string_equal(f.e.d.cur, "k5");
            assert_string_equal(f.e.d.prev, "k4");
            happens(&f, RK_EV_DONE);
            if (role == M) {
                assert_int_equal(f.e.state, RK_ST_ACTIVE);
                hears(&f, says(&f, RK_SAY_ACTIVE, 5, "k5"));
            }
            assert_int_equal(f.e.state, RK_ST_J_IDLE); /* no drain, nothing to remove */
            assert_string_equal(f.todo.note, "rotated");
            assert_string_equal(f.e.d.prev, "k4");
            assert_int_equal(f.e.rotations, 1);
        }
}

/* The confirmed key is primary again before anything else is tried; a device that only says so is asked again. */
static void
given_up(void **state)
{
    static const uint32_t classes[] = {RK_CLASS_B, RK_CLASS_C, RK_CLASS_D};
    struct fix f;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        waiting(&f, classes[i], M);
        hears(&f, says(&f, RK_SAY_NACK, 5, "k4"));
        happens(&f, RK_EV_DONE);
        assert_int_equal(f.todo.act, RK_ACT_RETIRE);
        assert_string_equal(f.todo.key_id, "k5");
        assert_string_equal(f.todo.terms, "keep=k4");
        happens(&f, RK_EV_DONE);
        looks(&f, (struct seen){.cur = BOTH, .cand = LIVE}); /* it was not done */
        assert_int_equal(f.e.last_err, RK_E_CONTRACT);
        assert_paused(&f, RK_ST_UNSTAGE);
        happens(&f, RK_EV_DONE);
        f.now_ns = classes[i] == RK_CLASS_D ? f.e.start_ns : f.now_ns; /* before, it would begin yet */
        looks(&f, (struct seen){.cur = LIVE, .cand = RK_HELD_RX});
        assert_int_equal(f.e.state, RK_ST_J_BURNT);
        assert_string_equal(f.e.d.cur, "k4");
        assert_string_equal(f.e.d.prev, "k5"); /* in the place that k4 had: the peer may have nothing else */
    }
}

/* The slave has the last word on each rotation: the master waits for it, and follows it. */
static void
last_word(void **state)
{
    struct fix f;

    (void)state;
    waiting(&f, RK_CLASS_B, M);
    hears(&f, says(&f, RK_SAY_IDLE, 6, "")); /* burnt, and the slave is elsewhere */
    happens(&f, RK_EV_DONE);
    happens(&f, RK_EV_DONE);
    looks(&f, (struct seen){.cur = LIVE});
    happens(&f, RK_EV_DONE);
    assert_int_equal(f.e.state, RK_ST_J_IDLE); /* its number is taken over, and then it may speak */
    assert_int_equal(f.e.d.seq, 6);
    happens(&f, RK_EV_DONE);

    waiting(&f, RK_CLASS_D, M);
    tick_at(&f, f.e.give_up_ns);
    happens(&f, RK_EV_DONE);
    happens(&f, RK_EV_DONE);
    looks(&f, (struct seen){.cur = LIVE});
    happens(&f, RK_EV_DONE);
    due(&f);
    assert_int_equal(f.e.d.phase, RK_PH_IDLE); /* nothing was heard of the slave on rotation 5 */
    hears(&f, says(&f, RK_SAY_STAGED, 5, "k5"));
    assert_int_equal(f.e.d.phase, RK_PH_IDLE);
    hears(&f, says(&f, RK_SAY_NACK, 5, "k4"));
    looks(&f, (struct seen){.cur = LIVE});
    assert_int_equal(f.e.state, RK_ST_J_INTENT);
    assert_int_equal(f.e.d.seq, 6);
}

/* A slave answers a master that gave up what it never heard of. */
static void
slave_answers_all(void **state)
{
    struct rk_record r;
    struct fix f;

    (void)state;
    idle(&f, RK_CLASS_B, SL);
    hears(&f, says(&f, RK_SAY_WITHDRAWN, 7, "k4"));
    assert_int_equal(f.e.state, RK_ST_J_IDLE);
    happens(&f, RK_EV_DONE);
    rk_end_record(&f.e, &r);
    assert_int_equal(r.say, RK_SAY_WITHDRAWN);
    assert_int_equal(r.seq, 7);
    assert_string_equal(r.key, "k4");
}

/* What a device says of a CAK that MKA is not live on is told, while it is waited for. */
static void
device_says_why(void **state)
{
    struct fix f;

    (void)state;
    waiting(&f, RK_CLASS_B, M);
    hears(&f, says(&f, RK_SAY_STAGED, 5, "k5"));
    happens(&f, RK_EV_DONE);
    looks(&f, (struct seen){.cur = LIVE, .cand = BOTH, .foreign = 1, .why = "key k9"});
    assert_string_equal(f.e.last_why, "");
    assert_paused(&f, RK_ST_OBSERVE);
    looks(&f, (struct seen){.cur = BOTH, .cand = BOTH, .why = "names are cut"});
    assert_int_equal(f.e.last_err, RK_E_AGAIN);
    assert_string_equal(f.e.last_why, "names are cut");
    assert_paused(&f, RK_ST_OBSERVE);
    looks(&f, (struct seen){.cur = BOTH, .cand = LIVE | BOTH, .why = "else"});
    assert_string_equal(f.e.last_why, "names are cut");
}

/* After ACTIVATING only the peer's own word leads back. */
static void
peer_gives_up_late(void **state)
{
    static const struct {
        uint32_t say;
        uint64_t seq;
        enum rk_state then;
    } rows[] = {{RK_SAY_NACK, 5, RK_ST_J_BURNING}, {RK_SAY_LOST, 5, RK_ST_J_BURNING},
                {RK_SAY_IDLE, 6, RK_ST_J_BURNING}, {RK_SAY_STAGED, 5, RK_ST_OBSERVE},
                {RK_SAY_ACTIVE, 4, RK_ST_OBSERVE}};
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        waiting(&f, RK_CLASS_B, M);
        hears(&f, says(&f, RK_SAY_STAGED, 5, "k5"));
        happens(&f, RK_EV_DONE);
        if (rows[i].seq >= 5)
            hears(&f, says(&f, rows[i].say, rows[i].seq, "k4"));
        looks(&f, (struct seen){.cur = LIVE, .cand = BOTH});
        assert_int_equal(f.e.state, rows[i].then);
    }
    waiting(&f, RK_CLASS_B, M);
    hears(&f, says(&f, RK_SAY_STAGED, 5, "k5"));
    happens(&f, RK_EV_DONE);
    looks(&f, (struct seen){.cur = LIVE}); /* the device lost it: a person put an older configuration back */
    assert_int_equal(f.e.state, RK_ST_J_BURNING);
}

/* MKA that does not come up is told, and waited for. */
static void
mka_not_live(void **state)
{
    struct fix f;

    (void)state;
    waiting(&f, RK_CLASS_B, M);
    hears(&f, says(&f, RK_SAY_STAGED, 5, "k5"));
    happens(&f, RK_EV_DONE);
    for (int i = 0; i < 100; i++) {
        looks(&f, (struct seen){.cur = BOTH, .cand = BOTH});
        assert_true(((rk_end_alarms(&f.e, f.now_ns) & RK_ALARM_DEVICE) != 0) == (i > 4));
        assert_paused(&f, RK_ST_OBSERVE);
    }
    looks(&f, (struct seen){.cur = BOTH, .cand = LIVE});
    assert_int_equal(f.e.state, RK_ST_J_ACTIVE);
    assert_false(rk_end_alarms(&f.e, f.now_ns) & RK_ALARM_DEVICE);
}

/* A CAK is replaced only while both ends are seen to use it, at that moment; or when that cannot be. */
static void
only_when_live(void **state)
{
    struct fix f;

    (void)state;
    idle(&f, RK_CLASS_C, M);
    due(&f);
    looks(&f, (struct seen){.cur = BOTH}); /* held, and MKA is down: a cut cable */
    assert_int_equal(f.e.state, RK_ST_IDLE);
    assert_int_equal(f.e.d.seq, 4);
    tick_at(&f, f.e.wake_ns);
    looks(&f, (struct seen){.cur = LIVE});
    assert_int_equal(f.e.state, RK_ST_J_INTENT);

    idle(&f, RK_CLASS_C, M); /* a slave that does not have the key: a new one is the cure, and at once */
    f.now_ns += S;
    hears(&f, says(&f, RK_SAY_LOST, 4, ""));
    looks(&f, (struct seen){.cur = BOTH});
    assert_int_equal(f.e.state, RK_ST_J_INTENT);

    idle(&f, RK_CLASS_B, M); /* a slave that is shut is not live */
    struct rk_record shut = says(&f, RK_SAY_ACTIVE, 4, "k4");
    strcpy(shut.facts, "c=B,shut");
    hears(&f, shut);
    due(&f);
    if (f.e.state == RK_ST_OBSERVE)
        looks(&f, (struct seen){.cur = BOTH});
    assert_int_equal(f.e.state, RK_ST_J_INTENT);
}

/* The slave went back to the key before: so does the master, before it begins anything. */
static void
turns_back(void **state)
{
    struct rk_record offer;
    struct fix f;

    (void)state;
    idle(&f, RK_CLASS_B, M);
    hears(&f, says(&f, RK_SAY_NACK, 5, "k3"));
    assert_int_equal(f.e.state, RK_ST_J_IDLE);
    happens(&f, RK_EV_DONE);
    assert_int_equal(f.e.state, RK_ST_J_BURNING);
    assert_string_equal(f.e.d.cur, "k3");
    happens(&f, RK_EV_DONE);
    assert_int_equal(f.todo.act, RK_ACT_RETIRE);
    assert_string_equal(f.todo.key_id, "k4");
    assert_string_equal(f.todo.terms, "keep=k3");
    happens(&f, RK_EV_DONE);
    looks(&f, (struct seen){.cur = LIVE, .cand = RK_HELD_RX});
    assert_string_equal(f.e.d.cur, "k3");
    assert_int_equal(f.e.d.cur_seq, 3);
    assert_string_equal(f.e.d.prev, "k4");

    idle(&f, RK_CLASS_B, SL); /* what the offer names stays, when the device has it: the master's may have only that */
    offer = says(&f, RK_SAY_OFFER, 5, "k5");
    strcpy(offer.prev, "k3");
    hears(&f, offer);
    assert_int_equal(f.e.state, RK_ST_J_INTENT);
    assert_string_equal(f.e.d.cur, "k3");
    assert_string_equal(f.e.d.prev, "k4");
    idle(&f, RK_CLASS_B, SL); /* else not */
    strcpy(offer.prev, "k2");
    hears(&f, offer);
    assert_int_equal(f.e.state, RK_ST_J_BURNT);
    assert_int_equal(f.e.nack_err, RK_E_CONFLICT);
}

/* A CAK is lost when the device does not have it; not when MKA is down. */
static void
lost_or_down(void **state)
{
    struct fix f;

    (void)state;
    idle(&f, RK_CLASS_B, M);
    tick_at(&f, f.e.verify_at_ns);
    looks(&f, (struct seen){.cur = BOTH, .prev = LIVE});
    assert_string_equal(f.e.d.cur, "k4");
    assert_true(rk_end_alarms(&f.e, f.now_ns) & RK_ALARM_FALLBACK_IN_USE);
    tick_at(&f, f.e.verify_at_ns);
    looks(&f, (struct seen){.cur = LIVE, .prev = BOTH});
    assert_false(rk_end_alarms(&f.e, f.now_ns) & RK_ALARM_FALLBACK_IN_USE);
    tick_at(&f, f.e.verify_at_ns);
    looks(&f, (struct seen){.prev = LIVE}); /* an older configuration was put back */
    assert_int_equal(f.e.state, RK_ST_J_IDLE);
    assert_string_equal(f.e.d.cur, "k3");
    assert_string_equal(f.e.d.prev, "");
    assert_string_equal(f.todo.note, "lost");
    idle(&f, RK_CLASS_B, M);
    tick_at(&f, f.e.verify_at_ns);
    looks(&f, (struct seen){.cur = 0});
    assert_string_equal(f.e.d.cur, "");
}

/* ---- class D ---- */

static void
start_time_is_offered(void **state)
{
    struct rk_record r;
    struct fix f;

    (void)state;
    waiting(&f, RK_CLASS_D, M);
    rk_end_record(&f.e, &r);
    assert_int_equal(atoll(r.confirm), (f.now_ns / MS + LEAD / MS + 999) / 1000);
    assert_int_equal(f.e.give_up_ns, f.now_ns + LEAD - LEAD / 4);
    tick_at(&f, f.e.give_up_ns - 1);
    if (f.e.state == RK_ST_OBSERVE)
        looks(&f, (struct seen){.cur = LIVE, .cand = RK_HELD_RX});
    assert_int_equal(f.e.state, RK_ST_STAGED);
    tick_at(&f, f.now_ns + 1); /* not confirmed in time: it goes before it begins */
    assert_int_equal(f.e.state, RK_ST_J_BURNING);
    assert_int_equal(f.e.last_err, RK_E_TIMEOUT);
}

static void
start_time_is_judged(void **state)
{
    static const struct {
        const char *confirm;
        int64_t left_s;
        bool taken;
    } rows[] = {{NULL, 60, true}, {NULL, 15, true}, {NULL, 14, false}, {NULL, 240, true}, {NULL, 241, false},
                {NULL, -3600, false}, {NULL, 86400 * 365, false}, {"-5", 0, false}, {"99999999999999999999", 0, false},
                {"x", 0, false}, {"", 0, true}};
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rk_record offer;

        idle(&f, RK_CLASS_D, SL);
        f.now_ns = 1000 * S;
        offer = says(&f, RK_SAY_OFFER, 5, "k5");
        strcpy(offer.prev, "k4");
        snprintf(offer.confirm, sizeof offer.confirm, "%lld", (long long)(f.now_ns / S + rows[i].left_s));
        if (rows[i].confirm)
            strcpy(offer.confirm, rows[i].confirm);
        hears(&f, offer);
        assert_int_equal(f.e.state, rows[i].taken ? RK_ST_J_INTENT : RK_ST_J_BURNT);
        assert_true(((rk_end_alarms(&f.e, f.now_ns) & RK_ALARM_CLOCK_SKEW) != 0) == !rows[i].taken);
        if (rows[i].taken && !rows[i].confirm)
            assert_int_equal(f.e.d.start_ms, 1000 * (f.now_ns / S + rows[i].left_s));
        else if (rows[i].taken) /* the master's device has no start times */
            assert_int_equal(f.e.d.start_ms, 1000 * (f.now_ns / S + 60));
    }
}

/* A device whose clock is off by more than half the margin gets no start times. */
static void
device_clock(void **state)
{
    static const struct {
        const char *facts;
        bool good;
    } rows[] = {{"clk=0", true}, {"clk=7500", true}, {"clk=7501", false}, {"clk=-7500", true}, {"clk=-7501", false},
                {"", false}, {"clk=99999999999999999999", false}};
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (uint32_t role = M; role <= SL; role++) {
            struct rk_record offer;

            idle(&f, RK_CLASS_D, role);
            tick_at(&f, f.e.verify_at_ns);
            looks(&f, (struct seen){.cur = LIVE, .prev = BOTH, .facts = rows[i].facts});
            assert_true(((rk_end_alarms(&f.e, f.now_ns) & RK_ALARM_CLOCK_SKEW) != 0) == !rows[i].good);
            offer = says(&f, RK_SAY_OFFER, 5, "k5");
            if (role == SL) {
                hears(&f, offer);
                assert_int_equal(f.e.state, rows[i].good ? RK_ST_J_INTENT : RK_ST_J_BURNT);
            } else {
                due(&f);
                assert_int_equal(f.e.state, rows[i].good ? RK_ST_OBSERVE : f.e.state);
                assert_int_equal(f.e.d.phase, RK_PH_IDLE);
            }
        }
}

/* A clock that jumps does not move deadlines; after a restart a start time is at most one lead ahead. */
static void
clock_jumps(void **state)
{
    static const int64_t jumps_ms[] = {3600000, -3600000, 31536000000, -31536000000};
    struct rk_seen seen = {.state = RK_IF_PRESENT | RK_IF_PROTECTED, .cur = LIVE, .cand = RK_HELD_RX,
                           .facts = "clk=0", .why = ""};
    struct fix f, g;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct rk_event ev = {.type = RK_EV_START};

        waiting(&f, RK_CLASS_D, M);
        g = f;
        ev.wall.unix_ms = f.now_ns / MS + jumps_ms[i];
        rk_end_init(&g.e, &f.e.d);
        g.e.class = RK_CLASS_D;
        g.e.lead_ns = LEAD;
        g.e.interval_ns = INTERVAL;
        g.e.verify_ns = VERIFY;
        rk_end_step(&g.e, &ev, g.now_ns, &g.todo);
        ev = (struct rk_event){.type = RK_EV_OBSERVED, .seen = &seen, .wall = ev.wall};
        rk_end_step(&g.e, &ev, g.now_ns, &g.todo);
        if (jumps_ms[i] < 0)
            assert_int_equal(g.e.give_up_ns, g.now_ns + LEAD - LEAD / 4);
        else
            assert_int_equal(g.e.state, RK_ST_J_BURNING); /* too late by that clock: another is tried */
    }
}

/* ---- class E ---- */

static void
one_way_master(void **state)
{
    struct fix f;

    (void)state;
    waiting(&f, RK_CLASS_E, M); /* nothing was ever heard of the peer */
    assert_false(rk_end_alarms(&f.e, f.now_ns + 10 * VERIFY) & RK_ALARM_NO_PEER);
    tick_at(&f, f.e.wake_ns);
    looks(&f, (struct seen){.cur = LIVE, .cand = USED}); /* only MKA can show that it follows */
    assert_int_equal(f.e.state, RK_ST_STAGED);
    tick_at(&f, f.e.wake_ns);
    looks(&f, (struct seen){.cur = BOTH, .cand = LIVE});
    assert_int_equal(f.e.state, RK_ST_J_ACTIVATING);
    happens(&f, RK_EV_DONE);
    looks(&f, (struct seen){.cur = BOTH, .cand = LIVE});
    happens(&f, RK_EV_DONE);
    assert_int_equal(f.e.state, RK_ST_J_IDLE);
    assert_string_equal(f.e.d.cur, "k5");
    assert_string_equal(f.e.d.prev, "k4");

    waiting(&f, RK_CLASS_E, M); /* it does not follow within an interval */
    while (f.e.state == RK_ST_STAGED) {
        tick_at(&f, f.e.wake_ns);
        if (f.todo.act == RK_ACT_OBSERVE)
            looks(&f, (struct seen){.cur = LIVE, .cand = BOTH});
    }
    assert_int_equal(f.e.state, RK_ST_J_BURNING);
    assert_int_equal(f.e.last_err, RK_E_TIMEOUT);
}

static void
one_way_slave(void **state)
{
    struct fix f;

    (void)state;
    waiting(&f, RK_CLASS_E, SL);
    tick_at(&f, f.e.wake_ns);
    looks(&f, (struct seen){.cur = BOTH, .cand = LIVE});
    assert_int_equal(f.e.state, RK_ST_J_ACTIVATING);
    waiting(&f, RK_CLASS_E, SL);
    hears(&f, says(&f, RK_SAY_OFFER, 6, "k6")); /* the master went on */
    assert_int_equal(f.e.state, RK_ST_J_BURNING);
}

/* ---- evidence ---- */

/* On class A a peer transmits on a new key only when it goes on with it for certain. */
static void
frames_are_evidence(void **state)
{
    struct fix f;

    (void)state;
    bring(&f, SL, RK_ST_STAGED);
    tick_at(&f, f.e.verify_at_ns);
    looks(&f, (struct seen){.cur = USED, .cand = BOTH | RK_PEER_USES, .facts = "sci=a"});
    assert_int_equal(f.e.state, RK_ST_J_ACTIVATING);
    bring(&f, M, RK_ST_STAGED);
    tick_at(&f, f.e.verify_at_ns);
    looks(&f, (struct seen){.cur = USED, .cand = BOTH | RK_PEER_USES, .facts = "sci=a"});
    assert_int_equal(f.e.state, RK_ST_STAGED); /* a slave never does so first */
    bring(&f, M, RK_ST_ACTIVE);
    tick_at(&f, f.e.verify_at_ns);
    looks(&f, (struct seen){.cur = USED, .prev = BOTH, .facts = "sci=a"});
    assert_int_equal(f.e.state, RK_ST_ACTIVE);
    tick_at(&f, f.e.verify_at_ns);
    looks(&f, (struct seen){.cur = USED | RK_PEER_USES, .prev = BOTH, .facts = "sci=a"});
    assert_int_equal(f.e.state, RK_ST_DRAIN);
    assert_int_equal(f.e.drain_until_ns, f.now_ns + DRAIN);
    waiting(&f, RK_CLASS_B, SL); /* MKA uses a key by itself: it shows nothing of the master's mind */
    tick_at(&f, f.e.verify_at_ns);
    looks(&f, (struct seen){.cur = BOTH, .cand = LIVE});
    assert_int_equal(f.e.state, RK_ST_STAGED);
}

/* What a device says that it removed is looked for. */
static void
retire_lies(void **state)
{
    struct fix f;

    (void)state;
    bring(&f, M, RK_ST_RETIRE);
    happens(&f, RK_EV_DONE);
    looks(&f, (struct seen){.cur = USED, .prev = BOTH, .facts = "sci=a"});
    assert_int_equal(f.e.last_err, RK_E_CONTRACT);
    assert_true(rk_end_alarms(&f.e, f.now_ns) & RK_ALARM_DEVICE);
    assert_paused(&f, RK_ST_RETIRE);
    happens(&f, RK_EV_DONE);
    looks(&f, (struct seen){.cur = USED, .facts = "sci=a"});
    assert_int_equal(f.e.state, RK_ST_J_IDLE);
    assert_false(rk_end_alarms(&f.e, f.now_ns) & RK_ALARM_DEVICE);
}

/* ---- classes together ---- */

static void
proved_pairs(void **state)
{
    static const char *const facts[] = {"", "sci=b", "c=B", "c=C", "clk=0,c=D", "c=E"};
    static const char table[6][6] = {"", " y....", " .yyy.", " .yyy.", " .yyy.", " ....."};
    struct fix f;

    (void)state;
    for (uint32_t own = RK_CLASS_A; own <= RK_CLASS_E; own++)
        for (uint32_t peer = RK_CLASS_A; peer <= RK_CLASS_E; peer++) {
            bool proved = table[own][peer] == 'y';
            struct rk_record r = record(SL, RK_SAY_ACTIVE, 4, "k4");

            idle(&f, own, M);
            strcpy(r.facts, facts[peer]);
            r.seq++; /* newer than what idle() has let it hear */
            hears(&f, r);
            if (f.e.state == RK_ST_OBSERVE)
                looks(&f, (struct seen){.cur = LIVE, .facts = own == RK_CLASS_A ? "sci=a" : NULL});
            assert_true(((rk_end_alarms(&f.e, f.now_ns) & RK_ALARM_UNPROVED) == 0) == proved);
            assert_true(proved || f.e.d.seq == 4);
        }
    idle(&f, RK_CLASS_E, M); /* a one-way peer has no facts */
    hears(&f, record(SL, RK_SAY_IDLE, 1, ""));
    assert_true(rk_end_alarms(&f.e, f.now_ns) & RK_ALARM_UNPROVED);
}

/* A device may say its class itself; whatever it says is a class. */
static void
class_as_seen(void **state)
{
    struct fix f;

    (void)state;
    idle(&f, RK_CLASS_A, M);
    tick_at(&f, f.e.verify_at_ns);
    looks(&f, (struct seen){.cur = LIVE, .state = RK_IF_CLASS(RK_CLASS_D)});
    assert_int_equal(f.e.class, RK_CLASS_D);
    assert_string_equal(rk_class_letter(RK_CLASS_D), "D");
    assert_string_equal(rk_class_letter(9), "?");
    assert_int_equal(rk_variant(9)->slots, 4);
    assert_int_equal(rk_variant(0)->slots, 4);
}

static void
words(void **state)
{
    static const struct {
        const char *text, *facts;
        uint32_t flags, class;
    } rows[] = {
        {"sci=b", "sci=b", 0, RK_CLASS_A},
        {"", "", 0, RK_CLASS_A},
        {"c=B", "", 0, RK_CLASS_B},
        {"sci=b,rekey", "sci=b", RK_WORD_REKEY, RK_CLASS_A},
        {"clk=1,c=D,rekey,shut,fb", "clk=1", RK_WORDS_ALL, RK_CLASS_D},
        {"rekey,x", "rekey,x", 0, RK_CLASS_A},
        {"x,c=F", "x,c=F", 0, RK_CLASS_A},
        {"x,c=BB", "x,c=BB", 0, RK_CLASS_A},
        {"x,", "x,", 0, RK_CLASS_A},
        {"shut", "", RK_WORD_SHUT, RK_CLASS_A},
    };
    char facts[RK_FACTS_MAX + 1];
    struct rk_words w;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        strcpy(facts, rows[i].text);
        rk_words_take(facts, &w);
        assert_string_equal(facts, rows[i].facts);
        assert_int_equal(w.flags, rows[i].flags);
        assert_int_equal(w.class, rows[i].class);
        if (strcmp(rows[i].text, rows[i].facts) != 0) {
            rk_words_add(facts, &w);
            assert_string_equal(facts, rows[i].text);
        }
    }
    memset(facts, 'x', RK_FACTS_MAX - 3);
    facts[RK_FACTS_MAX - 3] = '\0';
    rk_words_add(facts, &(struct rk_words){RK_WORDS_ALL, RK_CLASS_B}); /* only ",fb" has room */
    assert_string_equal(facts + RK_FACTS_MAX - 3, ",fb");
}

/* ---- an operator's key ---- */

static void
operators_key(void **state)
{
    static const uint32_t classes[] = {RK_CLASS_A, RK_CLASS_B, RK_CLASS_C};
    struct fix f;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const char *facts = classes[i] == RK_CLASS_A ? "sci=a" : "";

        idle(&f, classes[i], M);
        tick_at(&f, f.e.verify_at_ns);
        looks(&f, (struct seen){.cur = BOTH, .state = RK_IF_OTHER, .foreign = 1, .facts = facts});
        assert_string_equal(f.todo.note, "held");
        assert_true(f.e.d.flags & RK_DF_HELD);
        assert_string_equal(f.e.d.prev, "k4"); /* the peer may use it */
        happens(&f, RK_EV_DONE);
        due(&f);
        while (f.e.state == RK_ST_OBSERVE)
            looks(&f, (struct seen){.prev = BOTH, .state = RK_IF_OTHER, .foreign = 1, .facts = facts});
        assert_int_equal(f.e.state, RK_ST_IDLE);
        assert_int_equal(f.e.d.seq, 4); /* nothing begins */
        assert_true(rk_end_alarms(&f.e, f.now_ns) & RK_ALARM_FOREIGN);
        happens(&f, RK_EV_ADOPT);
        assert_int_equal(f.e.d.flags, RK_DF_SWEEP);
        assert_int_equal(f.e.state, RK_ST_J_IDLE);
        happens(&f, RK_EV_DONE);
        if (f.todo.act == RK_ACT_OBSERVE)
            looks(&f, (struct seen){.prev = BOTH, .state = RK_IF_OTHER, .foreign = 1, .facts = facts});
        if (classes[i] == RK_CLASS_A) { /* no end uses k4: it goes first, for slots are few */
            hears(&f, record(SL, RK_SAY_LOST, 4, ""));
            assert_int_equal(f.e.state, RK_ST_J_BURNING);
            happens(&f, RK_EV_DONE);
            assert_string_equal(f.todo.key_id, "k4");
            assert_int_equal(f.todo.seq, 4);
            happens(&f, RK_EV_DONE);
            looks(&f, (struct seen){.state = RK_IF_OTHER, .foreign = 1, .facts = facts});
            assert_string_equal(f.e.d.prev, "");
            happens(&f, RK_EV_DONE);
        }
        assert_int_equal(f.e.state, RK_ST_J_INTENT);
    }
}

/* A slave with an operator's key takes no offer; when the operator takes it away again, all goes on. */
static void
operators_key_at_slave(void **state)
{
    struct fix f;

    (void)state;
    idle(&f, RK_CLASS_B, SL);
    tick_at(&f, f.e.verify_at_ns);
    looks(&f, (struct seen){.state = RK_IF_OTHER, .foreign = 1});
    happens(&f, RK_EV_DONE);
    if (f.todo.act == RK_ACT_OBSERVE)
        looks(&f, (struct seen){.state = RK_IF_OTHER, .foreign = 1});
    hears(&f, says(&f, RK_SAY_OFFER, 5, "k5"));
    assert_int_equal(f.e.nack_err, RK_E_CONFLICT);
    happens(&f, RK_EV_DONE);
    assert_int_equal(f.e.state, RK_ST_IDLE);
    tick_at(&f, f.e.verify_at_ns);
    looks(&f, (struct seen){.state = 0});
    assert_int_equal(f.e.d.flags, 0);
    assert_int_equal(f.e.state, RK_ST_J_IDLE);
}

/* A link without any journal has nothing to hold on to: it takes over, and leaves what it does not know. */
static void
new_link(void **state)
{
    struct rk_durable d = {.link = "a-b-1", .end = 'a', .role = M};
    struct rk_seen seen = {.state = RK_IF_PRESENT | RK_IF_PROTECTED | RK_IF_OTHER, .foreign = 2, .facts = "sci=a",
                           .why = ""};
    struct fix f;

    (void)state;
    fresh(&f, M);
    f.e.d = d;
    happens(&f, RK_EV_START);
    step(&f, (struct rk_event){.type = RK_EV_OBSERVED, .seen = &seen});
    assert_int_equal(f.e.d.flags, 0);
    hears(&f, record(SL, RK_SAY_IDLE, 0, ""));
    assert_int_equal(f.e.state, RK_ST_J_INTENT);
}

/* What is adopted goes only when both ends use the current key. */
static void
sweep(void **state)
{
    struct fix f;

    (void)state;
    idle(&f, RK_CLASS_B, M);
    strcpy(f.e.peer.key, "kx"); /* the peer transmits on another one */
    f.e.failures = 1;
    happens(&f, RK_EV_ADOPT);
    happens(&f, RK_EV_DONE);
    assert_int_not_equal(f.todo.act, RK_ACT_SWEEP);
    idle(&f, RK_CLASS_B, M);
    happens(&f, RK_EV_ADOPT);
    happens(&f, RK_EV_DONE);
    assert_int_equal(f.todo.act, RK_ACT_SWEEP);
    fails(&f, RK_E_BUSY);
    assert_paused(&f, RK_ST_OBSERVE);
    looks(&f, (struct seen){.cur = LIVE, .prev = BOTH, .foreign = 1});
    assert_int_equal(f.e.state, RK_ST_IDLE); /* not at once again */
    tick_at(&f, f.e.sweep_at_ns);
    while (f.todo.act == RK_ACT_OBSERVE)
        looks(&f, (struct seen){.cur = LIVE, .prev = BOTH, .foreign = 1});
    assert_int_equal(f.todo.act, RK_ACT_SWEEP);
    happens(&f, RK_EV_DONE);
    looks(&f, (struct seen){.cur = LIVE, .prev = BOTH});
    assert_string_equal(f.todo.note, "swept");
    assert_int_equal(f.e.d.flags, 0);
}

/* ---- policies ---- */

static void
on_stale_fallback(void **state)
{
    struct fix f;

    (void)state;
    for (int expired = 0; expired < 2; expired++) {
        bring(&f, M, RK_ST_FETCH);
        f.e.on_stale = RK_STALE_FALLBACK;
        f.e.has_fallback = true;
        f.e.cur_since_ns = f.now_ns;
        f.now_ns += 3 * INTERVAL + expired;
        assert_false(f.todo.fallback);
        fails(&f, RK_E_EMPTY);
        assert_true(rk_end_alarms(&f.e, f.now_ns) & RK_ALARM_SOURCE_DRY);
        happens(&f, RK_EV_DONE);
        assert_int_equal(f.e.state, expired ? RK_ST_J_INTENT : RK_ST_IDLE);
        if (!expired)
            continue;
        happens(&f, RK_EV_DONE);
        assert_true(f.todo.fallback);
        assert_int_equal(f.todo.act, RK_ACT_GET_NEW);
        fails(&f, RK_E_EMPTY); /* the first one is the next to be asked again, after a pause */
        happens(&f, RK_EV_DONE);
        assert_int_equal(f.e.state, RK_ST_IDLE);
        due(&f);
        happens(&f, RK_EV_DONE);
        assert_false(f.todo.fallback);
    }
}

static void
fallback_is_offered_and_marked(void **state)
{
    struct rk_record r, offer = record(M, RK_SAY_OFFER, 5, "k5");
    struct fix f;

    (void)state;
    bring(&f, M, RK_ST_STAGED);
    f.e.d.flags |= RK_DF_CAND_FALLBACK;
    rk_end_record(&f.e, &r);
    assert_string_equal(r.facts, "sci=a,fb");
    hears(&f, record(SL, RK_SAY_STAGED, 5, "k5"));
    happens(&f, RK_EV_DONE);
    happens(&f, RK_EV_DONE);
    sees(&f, BOTH, USED);
    assert_int_equal(f.e.d.flags, RK_DF_FALLBACK);
    assert_true(rk_end_alarms(&f.e, f.now_ns) & RK_ALARM_FALLBACK_IN_USE);
    strcpy(offer.facts, "sci=b,fb");
    for (int has = 0; has < 2; has++) {
        bring(&f, SL, RK_ST_IDLE);
        f.e.has_fallback = has;
        hears(&f, offer);
        assert_int_equal(f.e.state, has ? RK_ST_J_INTENT : RK_ST_J_BURNT);
        assert_int_equal(f.e.nack_err, has ? RK_OK : RK_E_CONFIG);
        happens(&f, RK_EV_DONE);
        assert_true(f.todo.fallback == has);
    }
}

/* Announced, retried more and more often, shut; and opened by the next rotation. */
static void
on_stale_shut(void **state)
{
    struct rk_record r;
    struct fix f;

    (void)state;
    bring(&f, SL, RK_ST_IDLE);
    f.e.cur_since_ns = f.now_ns;
    f.e.on_stale = RK_STALE_SHUT;
    f.e.shut_after_ns = 6 * INTERVAL;
    tick_at(&f, f.e.cur_since_ns + 3 * INTERVAL + 1);
    assert_int_equal(f.todo.act, RK_ACT_OBSERVE);
    sees(&f, USED, 0);
    rk_end_record(&f.e, &r);
    assert_string_equal(r.facts, "sci=a,shut");
    tick_at(&f, f.e.cur_since_ns + 6 * INTERVAL);
    assert_int_equal(f.e.state, RK_ST_J_SHUT);
    happens(&f, RK_EV_DONE);
    happens(&f, RK_EV_DONE);
    sees(&f, USED, 0); /* it was not done */
    assert_paused(&f, RK_ST_SHUT);
    happens(&f, RK_EV_DONE);
    sees(&f, BOTH, 0);
    assert_string_equal(f.e.d.cur, "");
    assert_string_equal(f.e.d.prev, "k4");
    assert_true(rk_end_alarms(&f.e, f.now_ns) & RK_ALARM_EXPIRED); /* also without a key in use */
    happens(&f, RK_EV_DONE);
    tick_at(&f, f.e.verify_at_ns); /* someone started the device again: it is to stay shut */
    looks(&f, (struct seen){.prev = USED, .facts = "sci=a"});
    assert_int_equal(f.todo.act, RK_ACT_SHUT);
    assert_string_equal(f.todo.key_id, "k4");

    bring(&f, M, RK_ST_STAGED); /* a candidate that nobody answers is no reason to wait */
    f.e.cur_since_ns = f.now_ns;
    f.e.on_stale = RK_STALE_SHUT;
    f.e.shut_after_ns = 6 * INTERVAL;
    f.e.verify_at_ns = RK_NEVER;
    tick_at(&f, f.e.cur_since_ns + 6 * INTERVAL);
    assert_int_equal(f.e.state, RK_ST_J_BURNING);

    bring(&f, M, RK_ST_SHUT); /* a device that cannot is not asked again */
    fails(&f, RK_E_UNSUPPORTED);
    happens(&f, RK_EV_DONE);
    tick_at(&f, f.now_ns + INTERVAL);
    assert_int_not_equal(f.e.state, RK_ST_J_SHUT);
}

static void
last_burst(void **state)
{
    struct fix f;
    int64_t shut_ns, tries = 0;

    (void)state;
    bring(&f, M, RK_ST_FETCH);
    f.e.on_stale = RK_STALE_SHUT;
    f.e.shut_after_ns = 6 * INTERVAL;
    f.e.failures = 100;
    f.e.cur_since_ns = f.now_ns;
    shut_ns = f.e.cur_since_ns + f.e.shut_after_ns;
    f.now_ns = shut_ns - 20 * S; /* by the usual pauses there would be no other try */
    while (f.now_ns < shut_ns && f.e.state == RK_ST_FETCH) {
        fails(&f, RK_E_UNREACHABLE);
        happens(&f, RK_EV_DONE);
        tries++;
        due(&f);
        happens(&f, RK_EV_DONE);
    }
    assert_true(tries >= 4);
}

/* ---- age ---- */

static void
age_survives_clock(void **state)
{
    struct rk_event ev = {.type = RK_EV_START, .boot = 7, .wall = {5000000}};
    struct fix f;

    (void)state;
    fresh(&f, M); /* in use since wall time 1000 ms */
    f.e.d.cur_boot = 7;
    f.e.d.cur_boot_ns = 400 * S;
    rk_end_step(&f.e, &ev, f.now_ns, &f.todo);
    assert_int_equal(rk_end_age_ns(&f.e, f.now_ns), 600 * S);
    ev.boot = 8; /* the machine was started since: wall time is all there is */
    rk_end_step(&f.e, &ev, f.now_ns, &f.todo);
    assert_int_equal(rk_end_age_ns(&f.e, f.now_ns), 4999 * S);
    ev.wall.unix_ms = 500; /* and it was set back: the age is not below nothing */
    rk_end_step(&f.e, &ev, f.now_ns, &f.todo);
    assert_int_equal(rk_end_age_ns(&f.e, f.now_ns), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_commit),
        cmocka_unit_test(given_up),
        cmocka_unit_test(device_says_why),
        cmocka_unit_test(last_word),
        cmocka_unit_test(slave_answers_all),
        cmocka_unit_test(peer_gives_up_late),
        cmocka_unit_test(mka_not_live),
        cmocka_unit_test(only_when_live),
        cmocka_unit_test(turns_back),
        cmocka_unit_test(lost_or_down),
        cmocka_unit_test(start_time_is_offered),
        cmocka_unit_test(start_time_is_judged),
        cmocka_unit_test(device_clock),
        cmocka_unit_test(clock_jumps),
        cmocka_unit_test(one_way_master),
        cmocka_unit_test(one_way_slave),
        cmocka_unit_test(frames_are_evidence),
        cmocka_unit_test(retire_lies),
        cmocka_unit_test(proved_pairs),
        cmocka_unit_test(class_as_seen),
        cmocka_unit_test(words),
        cmocka_unit_test(operators_key),
        cmocka_unit_test(operators_key_at_slave),
        cmocka_unit_test(new_link),
        cmocka_unit_test(sweep),
        cmocka_unit_test(on_stale_fallback),
        cmocka_unit_test(fallback_is_offered_and_marked),
        cmocka_unit_test(on_stale_shut),
        cmocka_unit_test(last_burst),
        cmocka_unit_test(age_survives_clock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
