/* model_ahead_test.c - what is said together with the change that it is about: it is what is said after it. */
#include "model_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const uint32_t classes[] = {RK_CLASS_B, RK_CLASS_C, RK_CLASS_D};

/* The key comes with both tags, as a source's host gives them when it is asked. */
static void
goes_to_stage(struct fix *f, uint32_t role)
{
    goes_to(f, RK_ST_FETCH);
    step(f, (struct rk_event){.type = RK_EV_KEY, .key_id = f->new_key, .mine = role == M ? TAG_M : TAG_S,
                              .theirs = role == M ? TAG_S : TAG_M});
    if (role == M)
        happens(f, RK_EV_DONE); /* the journal knows the key */
    assert_int_equal(f->e.state, RK_ST_STAGE);
}

/* Of each class, at both ends: the same as what is published when the device was read. */
static void
test_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        for (uint32_t role = M; role <= SL; role++) {
            struct rk_record ahead, then;
            struct fix f;

            ready(&f, classes[i], role);
            assert_false(rk_end_record_ahead(&f.e, &ahead));
            goes_to_stage(&f, role);
            memset(&ahead, 0xff, sizeof ahead);
            assert_true(rk_end_record_ahead(&f.e, &ahead));
            assert_int_equal(ahead.say, role == M ? RK_SAY_OFFER : RK_SAY_STAGED);
            assert_string_equal(ahead.key, f.new_key);
            goes_to(&f, RK_ST_STAGED);
            assert_true(f.todo.publish);
            rk_end_record(&f.e, &then);
            assert_memory_equal(&ahead, &then, sizeof then);
            assert_true(rk_record_same(&ahead, &then));
            assert_false(rk_end_record_ahead(&f.e, &ahead));
        }
}

/* Class A reads back first; a slave without its tag cannot say it yet. */
static void
test_not_known(void **state)
{
    struct rk_record r;
    struct fix f;

    (void)state;
    for (uint32_t role = M; role <= SL; role++) {
        ready(&f, RK_CLASS_A, role);
        goes_to_stage(&f, role);
        assert_false(rk_end_record_ahead(&f.e, &r));
    }
    ready(&f, RK_CLASS_B, SL);
    goes_to(&f, RK_ST_STAGE);
    assert_false(rk_end_record_ahead(&f.e, &r));
    goes_to(&f, RK_ST_STAGED);
}

/* STAGE fails: what is said then is newer than what may have been shown. */
static void
test_failed(void **state)
{
    (void)state;
    for (uint32_t role = M; role <= SL; role++) {
        struct rk_record ahead, then;
        struct fix f;

        ready(&f, RK_CLASS_B, role);
        goes_to_stage(&f, role);
        assert_true(rk_end_record_ahead(&f.e, &ahead));
        fails(&f, RK_E_REJECTED);
        happens(&f, RK_EV_DONE); /* burning */
        happens(&f, RK_EV_DONE); /* the device has put the key before back */
        shown(&f, (struct look){.cur = IN_USE});
        happens(&f, RK_EV_DONE); /* burnt */
        assert_true(f.todo.publish);
        rk_end_record(&f.e, &then);
        assert_int_equal(then.say, role == M ? RK_SAY_WITHDRAWN : RK_SAY_NACK);
        assert_true(rk_record_order(&then, &ahead) > 0);
    }
}

/* What may wait: the last word of either end of a rotation of CAKs that goes well. */
static void
test_waits(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        for (uint32_t role = M; role <= SL; role++) {
            struct fix f;

            ready(&f, classes[i], role);
            assert_false(rk_end_awaits(&f.e));
            goes_to(&f, RK_ST_STAGED);
            assert_true(rk_end_awaits(&f.e));
            assert_false(rk_end_word_waits(&f.e));
            goes_to(&f, role == M ? RK_ST_ACTIVE : RK_ST_IDLE);
            assert_true(rk_end_word_waits(&f.e));
            f.e.want = true; /* the next rotation is wished for */
            assert_false(rk_end_word_waits(&f.e));
            f.e.want = false;
            f.e.d.prev[0] = '\0'; /* it is the first key */
            assert_false(rk_end_word_waits(&f.e));
        }
}

/* Not what the peer cannot do without: class A, a rotation that was given up, a peer that is elsewhere. */
static void
test_cannot_wait(void **state)
{
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_A, M);
    goes_to(&f, RK_ST_ACTIVE);
    assert_false(rk_end_word_waits(&f.e));
    ready(&f, RK_CLASS_B, SL);
    goes_to(&f, RK_ST_STAGED);
    hears(&f, peer_says(&f, RK_SAY_WITHDRAWN, f.e.d.seq, f.key));
    assert_false(rk_end_word_waits(&f.e));
    ready(&f, RK_CLASS_B, M);
    goes_to(&f, RK_ST_ACTIVE);
    f.e.peer.seq--;
    assert_false(rk_end_word_waits(&f.e));
}

static void
test_clock(void **state)
{
    struct rk_record a = {.link = "a-b-1", .role = M, .say = RK_SAY_ACTIVE, .seq = 4, .facts = "clk=-3,c=D"}, b = a;

    (void)state;
    strcpy(b.facts, "clk=120,c=D");
    assert_true(rk_record_same(&a, &b));
    strcpy(b.facts, "clk=120,c=D,t=mywpiww0.a.3");
    assert_true(rk_record_same(&a, &b));
    strcpy(b.facts, "clk=-3,c=D,shut");
    assert_false(rk_record_same(&a, &b));
    strcpy(b.facts, "c=D");
    strcpy(a.facts, "c=C");
    assert_false(rk_record_same(&a, &b));
    b = a;
    strcpy(b.key, "k5");
    assert_false(rk_record_same(&a, &b));
    b = a;
    b.role = SL;
    assert_false(rk_record_same(&a, &b));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same),  cmocka_unit_test(test_not_known),   cmocka_unit_test(test_failed),
        cmocka_unit_test(test_waits), cmocka_unit_test(test_cannot_wait), cmocka_unit_test(test_clock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
