/* base_quiet_test.c - lines a minute, and what was left out of them. */
#include "core/base/quiet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define START INT64_C(5000000000)

static void
test_few_lines_a_minute(void **state)
{
    struct rk_quiet q = {.said = 0};
    uint64_t more = 99;

    (void)state;
    for (int i = 0; i < RK_QUIET_LINES; i++) {
        assert_true(rk_quiet_may(&q, START + i, &more));
        assert_int_equal(more, 0);
    }
    for (int i = 0; i < 812; i++)
        assert_false(rk_quiet_may(&q, START + RK_QUIET_NS - 1, &more));
    assert_true(rk_quiet_may(&q, START + RK_QUIET_NS, &more));
    assert_int_equal(more, 812);
    assert_true(rk_quiet_may(&q, START + RK_QUIET_NS + 1, &more));
    assert_int_equal(more, 0);
}

/* When nothing follows, the number is told without a line of its own; that is a line of the new minute. */
static void
test_what_is_owed(void **state)
{
    struct rk_quiet q = {.said = 0};
    uint64_t more;

    (void)state;
    assert_int_equal(rk_quiet_owed(&q, START), 0);
    for (int i = 0; i < RK_QUIET_LINES + 5; i++)
        (void)rk_quiet_may(&q, START, &more);
    assert_int_equal(rk_quiet_owed(&q, START + RK_QUIET_NS - 1), 0);
    assert_int_equal(rk_quiet_owed(&q, START + RK_QUIET_NS), 5);
    assert_int_equal(rk_quiet_owed(&q, START + 3 * RK_QUIET_NS), 0);
    for (int i = 1; i < RK_QUIET_LINES; i++)
        assert_true(rk_quiet_may(&q, START + RK_QUIET_NS + i, &more));
    assert_false(rk_quiet_may(&q, START + RK_QUIET_NS + 9, &more));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_few_lines_a_minute), cmocka_unit_test(test_what_is_owed)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
