/* model_supply_test.c - an end whose source gives no keys, or is short of them: it waits without a rotation begun, is
 * let through, falls back; its interval is stretched; and it says so.
 */
#include "model_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct rk_supply
shut(int err)
{
    return (struct rk_supply){.wait = true, .err = err, .why = "the KME is away", .end_ns = RK_NEVER};
}

/* A master that is due, with a source that gives no keys. */
static void
starve(struct fix *f, struct rk_supply *s, uint32_t class)
{
    ready(f, class, M);
    f->e.supply = s;
    f->e.verify_at_ns = 10 * INTERVAL; /* else it would be read at this moment */
    due(f);
}

static uint32_t
alarms(const struct fix *f)
{
    return rk_end_alarms(&f->e, f->now_ns) & (RK_ALARM_SOURCE | RK_ALARM_SOURCE_DRY);
}

/* Nothing is asked and no number is taken; not even the device of a CAK is read for it. */
static void
waits(void **state)
{
    static const uint32_t classes[] = {RK_CLASS_A, RK_CLASS_B, RK_CLASS_C, RK_CLASS_D};
    struct rk_supply s = shut(RK_E_UNREACHABLE);
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        starve(&f, &s, classes[i]);
        assert_int_equal(f.e.state, RK_ST_IDLE);
        assert_int_equal(f.todo.act, RK_ACT_NONE);
        assert_true(f.todo.starved);
        assert_int_equal(f.e.d.seq, 4);
        assert_true(rk_end_starved(&f.e));
        assert_int_equal(alarms(&f), RK_ALARM_SOURCE);
        assert_true(f.e.wake_ns != RK_NEVER && f.e.wake_ns > f.now_ns);
    }
    s = shut(RK_E_EMPTY);
    assert_int_equal(alarms(&f), RK_ALARM_SOURCE_DRY);
    s.wait = false;
    assert_false(rk_end_starved(&f.e));
    assert_int_equal(alarms(&f), 0);
}

/* One that is let through begins; when that fails, it waits again. */
static void
is_let_through(void **state)
{
    struct rk_supply s = shut(RK_E_UNREACHABLE);
    struct fix f;

    (void)state;
    starve(&f, &s, RK_CLASS_A);
    f.e.let = true;
    happens(&f, RK_EV_TICK);
    assert_int_equal(f.e.state, RK_ST_J_INTENT);
    assert_false(f.e.let);
    assert_false(f.todo.starved);
    happens(&f, RK_EV_DONE);
    assert_int_equal(f.todo.act, RK_ACT_GET_NEW);
    fails(&f, RK_E_UNREACHABLE);
    happens(&f, RK_EV_DONE);
    assert_int_equal(f.e.state, RK_ST_IDLE);
    due(&f);
    assert_true(f.todo.starved);
    s.wait = false;
    happens(&f, RK_EV_TICK);
    assert_int_equal(f.e.state, RK_ST_J_INTENT);
}

/* An operator need not wait for the turn of the link. */
static void
operator_asks(void **state)
{
    struct rk_supply s = shut(RK_E_UNREACHABLE);
    struct fix f;

    (void)state;
    starve(&f, &s, RK_CLASS_A);
    happens(&f, RK_EV_ROTATE);
    assert_int_equal(f.e.state, RK_ST_J_INTENT);
}

/* The fallback source is asked as soon as the key is too old, without asking the first one in vain. */
static void
falls_back(void **state)
{
    struct rk_supply s = shut(RK_E_UNREACHABLE);
    struct fix f;

    (void)state;
    starve(&f, &s, RK_CLASS_A);
    f.e.has_fallback = true;
    f.e.on_stale = RK_STALE_FALLBACK;
    happens(&f, RK_EV_TICK);
    assert_true(f.todo.starved);
    assert_true(f.e.wake_ns <= f.e.cur_since_ns + 3 * INTERVAL + 1);
    f.e.verify_at_ns = RK_NEVER;
    tick_at(&f, f.e.cur_since_ns + 3 * INTERVAL + 1);
    assert_true(f.todo.starved); /* first, for it is time that one asks the first source again */
    assert_true(f.e.wake_ns <= f.now_ns + S);
    s.retry_ns = f.now_ns + 30 * S;
    tick_at(&f, f.e.wake_ns);
    assert_int_equal(f.e.state, RK_ST_J_INTENT);
    assert_true(f.e.d.flags & RK_DF_CAND_FALLBACK);
    happens(&f, RK_EV_DONE);
    assert_true(f.todo.fallback);
}

/* A slave goes by its master's offers: it does not wait here, but says that its source fails. */
static void
slave(void **state)
{
    struct rk_supply s = shut(RK_E_UNREACHABLE);
    struct fix f;

    (void)state;
    s.dry = true;
    ready(&f, RK_CLASS_A, SL);
    f.e.supply = &s;
    hears(&f, record(M, RK_SAY_OFFER, 5, "k5"));
    assert_int_equal(f.e.state, RK_ST_J_INTENT);
    assert_int_equal(alarms(&f), 0);
    happens(&f, RK_EV_DONE);
    assert_int_equal(alarms(&f), RK_ALARM_SOURCE);
}

/* ---- short of keys ---- */

/* The due time moves, and is looked at again, for the source may get better or worse meanwhile. */
static void
is_stretched(void **state)
{
    struct rk_supply s = {.end_ns = RK_NEVER};
    struct fix f;
    int looks = 0;

    (void)state;
    s.squeeze[4] = 1000;
    ready(&f, RK_CLASS_A, M);
    f.e.supply = &s;
    f.e.priority = 4;
    f.e.stretch_max = 2000;
    assert_true(rk_end_interval_ns(&f.e) == 2 * INTERVAL);
    f.e.verify_at_ns = RK_NEVER;
    for (due(&f); f.e.state == RK_ST_IDLE; looks++) {
        assert_false(f.todo.starved);
        assert_true(f.e.wake_ns > f.now_ns && f.e.wake_ns - f.now_ns <= INTERVAL / 4);
        tick_at(&f, f.e.wake_ns);
        assert_true(looks < 10);
    }
    assert_true(f.now_ns - f.e.cur_since_ns == 2 * INTERVAL);
    assert_int_equal(f.e.state, RK_ST_J_INTENT);
}

/* As far as the link bears, and not further. */
static void
stretched_at_most(void **state)
{
    struct rk_supply s = {.end_ns = RK_NEVER};

    (void)state;
    for (uint32_t most = 1001; most <= 16000; most++)
        for (unsigned squeeze = 0; squeeze <= 1000; squeeze += 125) {
            uint32_t got;

            s.squeeze[4] = (uint16_t)squeeze;
            got = rk_supply_stretch(&s, 4, most);
            assert_true(got >= 1000 && got <= most && (squeeze < 1000 || got + 1 >= most));
        }
}

static void
is_not_stretched(void **state)
{
    struct rk_supply s = {.end_ns = RK_NEVER};
    struct fix f;

    (void)state;
    s.squeeze[4] = 1000;
    for (int i = 0; i < 4; i++) {
        ready(&f, RK_CLASS_A, M);
        f.e.supply = &s;
        f.e.priority = i == 0 ? 5 : 4;
        f.e.stretch_max = i == 1 ? 1000 : 2000;
        if (i == 2)
            f.e.peer_lost = true;
        if (i == 3)
            f.e.want = true;
        due(&f);
        assert_int_equal(f.e.state, RK_ST_J_INTENT);
    }
}

/* ---- what is said ---- */

static void
tells(const struct fix *f, const char *sentence)
{
    char text[2000];

    rk_end_explain(&f->e, f->now_ns, text, sizeof text);
    if (!strstr(text, sentence))
        fail_msg("\"%s\" is not in \"%s\"", sentence, text);
}

static void
explains(void **state)
{
    struct rk_supply s = shut(RK_E_UNREACHABLE);
    struct fix f;

    (void)state;
    starve(&f, &s, RK_CLASS_A);
    s.retry_ns = f.now_ns + 7 * S;
    tells(&f, " A rotation is due, and waits for the source: unreachable: the KME is away."
              " It is asked for one key of all that are waited for in 7 s; when that comes, all go on.");
    s = (struct rk_supply){.dry = true, .end_ns = f.now_ns + 300 * S};
    assert_int_equal(alarms(&f), RK_ALARM_SOURCE_DRY);
    tells(&f, " The keys of the source end in 5 min at the links' intervals.");
    s.end_ns = RK_NEVER;
    s.squeeze[0] = 1000;
    f.e.stretch_max = 4000;
    tells(&f, " The source has no key left. To spare them its interval is stretched from 120 s to 8 min.");
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits),         cmocka_unit_test(is_let_through),   cmocka_unit_test(operator_asks),
        cmocka_unit_test(falls_back),    cmocka_unit_test(slave),            cmocka_unit_test(is_stretched),
        cmocka_unit_test(stretched_at_most),
        cmocka_unit_test(is_not_stretched), cmocka_unit_test(explains),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("supply", tests, NULL, NULL);
}
