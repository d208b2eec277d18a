/* model_bare_test.c - a peer that names a key ID and says nothing else: what an end of class E makes of it */
#include "model_rig.h"

#include "core/model/bare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* The peer shows this key ID.   ret: why it counts for nothing; NULL: it was heard as a record */
static const char *
shows(struct fix *f, const char *key_id)
{
    struct rk_record r, again;
    const char *why = rk_bare_record(&f->e, key_id, &r);

    if (why)
        return why;
    assert_string_equal(r.link, "a-b-1");
    assert_string_equal(r.key, key_id);
    assert_int_equal(r.role, M);
    assert_string_equal(r.facts, "");
    hears(f, r);
    assert_null(rk_bare_record(&f->e, key_id, &again)); /* as long as it is shown it is one record */
    assert_int_equal(rk_record_order(&again, &f->e.peer), 0);
    return NULL;
}

/* A record of a rekeyd of that class says whatever it says. */
static void
only_class_e_takes_it(void **state)
{
    struct rk_record r;
    struct fix f;

    (void)state;
    for (uint32_t class = RK_CLASS_A; class <= RK_CLASS_E; class++) {
        ready(&f, class, SL);
        assert_int_equal(rk_bare_record(&f.e, "k5", &r) == NULL, class == RK_CLASS_E);
    }
    ready(&f, RK_CLASS_E, M);
    assert_non_null(strstr(rk_bare_record(&f.e, "k5", &r), "masters"));
}

static void
new_key_is_an_offer(void **state)
{
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_E, SL);
    assert_null(shows(&f, "k4")); /* the one in use: it is there, and wants nothing */
    assert_int_equal(f.e.state, RK_ST_IDLE);
    assert_int_equal(f.e.heard_ns, f.now_ns);
    assert_int_equal(f.e.peer.seq, 4);
    assert_null(shows(&f, "k5"));
    assert_int_equal(f.e.state, RK_ST_J_INTENT);
    assert_int_equal(f.e.d.seq, 5);
    for (int i = 0; i < 30 && f.e.state != RK_ST_IDLE; i++) {
        struct rk_todo todo = f.todo;

        assert_null(shows(&f, "k5")); /* in every state on the way, and nothing comes of it */
        assert_int_equal(f.todo.act, RK_ACT_NONE);
        f.todo = todo;
        goes_well(&f);
    }
    assert_string_equal(f.e.d.cur, "k5");
    assert_int_equal(f.e.d.seq, 5);
    assert_false(rk_end_alarms(&f.e, f.now_ns) & (RK_ALARM_UNPROVED | RK_ALARM_SPLIT | RK_ALARM_NO_PEER));
    f.now_ns += 4 * VERIFY;
    assert_true(rk_end_alarms(&f.e, f.now_ns) & RK_ALARM_NO_PEER);
    assert_null(shows(&f, "k5"));
    assert_false(rk_end_alarms(&f.e, f.now_ns) & RK_ALARM_NO_PEER);
}

/* A number that anything has had before is not had again, wherever it was seen. */
static void
numbers_only_grow(void **state)
{
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_E, SL);
    f.e.d.floor = 17;
    assert_null(shows(&f, "k5"));
    assert_int_equal(f.e.d.seq, 18);
    ready(&f, RK_CLASS_E, SL);
    f.e.d.floor = f.e.d.seq = RK_SEQ_MAX;
    assert_non_null(shows(&f, "k5"));
    assert_null(shows(&f, "k4"));
}

static void
old_keys_count_for_nothing(void **state)
{
    struct rk_durable d;
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_E, SL);
    assert_null(shows(&f, "k4"));
    d = f.e.d;
    assert_non_null(shows(&f, "k3")); /* the one before */
    assert_null(shows(&f, "k5"));
    goes_to(&f, RK_ST_IDLE);
    assert_string_equal(f.e.d.cur, "k5");
    assert_non_null(shows(&f, "k4"));
    f.new_key = "k6";
    assert_null(shows(&f, "k6"));
    goes_to(&f, RK_ST_IDLE);
    assert_string_equal(f.e.d.prev, "k5");
    d = f.e.d;
    assert_null(shows(&f, "k6"));
    assert_non_null(shows(&f, "k5")); /* two before is remembered, too, though not by the journal */
    assert_int_equal(f.e.state, RK_ST_IDLE);
    assert_memory_equal(&d, &f.e.d, sizeof d);
}

/* One that came to nothing is not tried again, and the one in use is no step back from it. */
static void
given_up_key(void **state)
{
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_E, SL);
    assert_null(shows(&f, "k4"));
    assert_null(shows(&f, "k5"));
    happens(&f, RK_EV_DONE);
    assert_int_equal(f.todo.act, RK_ACT_GET_BY_ID);
    assert_non_null(shows(&f, "k4")); /* late: k5 is under way */
    fails(&f, RK_E_NOKEY);            /* there is no such key: it was forged */
    for (int i = 0; i < 30 && f.e.state != RK_ST_IDLE; i++)
        if (f.e.state == RK_ST_OBSERVE)
            shown(&f, (struct look){.cur = IN_USE, .prev = BOTH});
        else
            happens(&f, RK_EV_DONE);
    assert_int_equal(f.e.state, RK_ST_IDLE);
    assert_string_equal(f.e.d.cur, "k4");
    assert_null(shows(&f, "k5"));
    assert_int_equal(f.e.state, RK_ST_IDLE);
    f.now_ns += 4 * VERIFY;
    assert_null(shows(&f, "k4")); /* the true one is shown again */
    assert_int_equal(f.e.state, RK_ST_IDLE);
    assert_int_equal(f.e.heard_ns, f.now_ns);
    assert_non_null(shows(&f, "k5")); /* and the forged one again */
    f.new_key = "k6";
    assert_null(shows(&f, "k6"));
    goes_to(&f, RK_ST_IDLE);
    assert_string_equal(f.e.d.cur, "k6");
}

static void
master_goes_on(void **state)
{
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_E, SL);
    assert_null(shows(&f, "k5"));
    goes_to(&f, RK_ST_STAGED);
    assert_null(shows(&f, "k6"));
    assert_int_equal(f.e.state, RK_ST_J_BURNING);
    assert_int_equal(f.e.peer.seq, 6);
}

static void
after_a_restart(void **state)
{
    struct rk_durable d;
    struct rk_record r;
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_E, SL);
    assert_null(shows(&f, "k5"));
    goes_to(&f, RK_ST_STAGED);
    d = f.e.d;
    ready(&f, RK_CLASS_E, SL);
    f.e.d = d; /* as the journal has it */
    assert_null(rk_bare_record(&f.e, "k5", &r));
    assert_int_equal(r.seq, 5); /* what is under way goes on */
    assert_null(rk_bare_record(&f.e, "k6", &r));
    assert_int_equal(r.seq, 6);
    assert_null(rk_bare_record(&f.e, "k4", &r));
    assert_true(r.seq <= 5);
}

static void
too_long(void **state)
{
    char id[RK_KEY_ID_MAX + 2];
    struct rk_record r;
    struct fix f;

    (void)state;
    memset(id, 'a', sizeof id - 1);
    id[sizeof id - 1] = '\0';
    ready(&f, RK_CLASS_E, SL);
    assert_non_null(rk_bare_record(&f.e, id, &r));
    id[RK_KEY_ID_MAX] = '\0';
    assert_null(rk_bare_record(&f.e, id, &r));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_class_e_takes_it), cmocka_unit_test(new_key_is_an_offer),
        cmocka_unit_test(numbers_only_grow), cmocka_unit_test(old_keys_count_for_nothing),
        cmocka_unit_test(given_up_key), cmocka_unit_test(master_goes_on), cmocka_unit_test(after_a_restart),
        cmocka_unit_test(too_long),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
