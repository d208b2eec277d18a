/* model_trust_test.c - which records count whose tag was right: the whole table, and the alarm. */
#include "core/model/trust.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SILENCE INT64_C(30000)

static enum rk_trust_says
judged(bool ratcheted, bool proven, bool reset, int64_t silent_ns)
{
    return rk_trust_judge(&(struct rk_trust){ratcheted, proven, reset, silent_ns, SILENCE});
}

static void
test_table(void **state)
{
    static const int64_t silent[] = {0, 1, SILENCE, SILENCE + 1, 10 * SILENCE};

    (void)state;
    for (int i = 0; i < 8 * 5; i++) {
        bool ratcheted = i & 1, proven = i & 2, reset = i & 4;
        int64_t silent_ns = silent[i / 8];
        enum rk_trust_says want = RK_TRUST_COUNTS;

        if (!ratcheted && proven && !reset) /* the auth-key alone, against what the peer has shown to have */
            want = silent_ns > SILENCE ? RK_TRUST_RESETS : RK_TRUST_REFUSED;
        assert_int_equal(judged(ratcheted, proven, reset, silent_ns), want);
    }
}

/* The auth-key says nothing for as long as the peer is heard, however often a thief tries. */
static void
test_thief(void **state)
{
    (void)state;
    for (int64_t t = 0; t <= SILENCE; t += 100)
        assert_int_equal(judged(false, true, false, t), RK_TRUST_REFUSED);
    assert_int_equal(judged(false, false, false, 0), RK_TRUST_COUNTS); /* a new link has nothing else */
    assert_int_equal(judged(true, true, true, 0), RK_TRUST_COUNTS);    /* and the peer itself always */
}

static void
test_alarm(void **state)
{
    struct rk_end e = {.alarms = RK_ALARM_FOREIGN};

    (void)state;
    assert_false(rk_trust_reset(&e));
    rk_trust_alarm(&e, true);
    assert_true(rk_trust_reset(&e));
    assert_int_equal(e.alarms, RK_ALARM_FOREIGN | RK_ALARM_RESET_PEER);
    assert_string_equal(rk_alarm_name(RK_ALARM_RESET_PEER), "RESET-PEER");
    rk_trust_alarm(&e, false);
    assert_int_equal(e.alarms, RK_ALARM_FOREIGN);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table), cmocka_unit_test(test_thief), cmocka_unit_test(test_alarm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
