/* base_expiry_test.c - how near the end of a credential is, whatever the clock says. */
#include "core/base/expiry.h"
#include "core/base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define END INT64_C(1800000000) /* 2027-01-15 08:00:00 */
#define ALARM_S (RK_EXPIRY_ALARM_DAYS * INT64_C(86400))

static enum rk_expiry
at(int64_t now_s, int64_t end_s)
{
    return rk_expiry_state((struct rk_wall){now_s * 1000 + 999}, end_s);
}

static void
test_states(void **state)
{
    (void)state;
    assert_int_equal(RK_EXPIRY_ALARM_DAYS, 30);
    assert_int_equal(at(END - ALARM_S - 1, END), RK_EXPIRY_FAR);
    assert_int_equal(at(END - ALARM_S, END), RK_EXPIRY_SOON);
    assert_int_equal(at(END, END), RK_EXPIRY_SOON); /* its last second */
    assert_int_equal(at(END + 1, END), RK_EXPIRY_OVER);
    assert_int_equal(at(END, 0), RK_EXPIRY_NONE);
}

/* A clock that was never set, one far ahead, and ends that no calendar has. */
static void
test_jumps(void **state)
{
    (void)state;
    assert_int_equal(at(0, END), RK_EXPIRY_FAR);
    assert_int_equal(at(-1, END), RK_EXPIRY_FAR);
    assert_int_equal(at(END * 100, END), RK_EXPIRY_OVER);
    assert_int_equal(at(END, END), RK_EXPIRY_SOON); /* set right again: the past leaves nothing behind */
    assert_int_equal(at(END, 1), RK_EXPIRY_OVER);
    assert_int_equal(at(END, INT64_MAX), RK_EXPIRY_FAR);
    assert_int_equal(at(END, INT64_MIN), RK_EXPIRY_OVER);
    assert_int_equal(rk_expiry_state((struct rk_wall){INT64_MAX}, INT64_MAX), RK_EXPIRY_FAR);
    assert_int_equal(rk_expiry_state((struct rk_wall){INT64_MIN}, INT64_MIN), RK_EXPIRY_OVER);
}

static void
test_time(void **state)
{
    char text[RK_EXPIRY_TIME_MAX];

    (void)state;
    assert_string_equal(rk_expiry_time(END, text), "2027-01-15 08:00:00 UTC");
    assert_string_equal(rk_expiry_time(1, text), "1970-01-01 00:00:01 UTC");
    assert_string_equal(rk_expiry_time(INT64_C(253402300799), text), "9999-12-31 23:59:59 UTC");
    assert_string_equal(rk_expiry_time(INT64_MAX, text), "?");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_jumps),
        cmocka_unit_test(test_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
