/* base_err_test.c - every error code has one name and the class that its header says; the clocks run. */
#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/text.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* The codes of include/rekey/err.h, in its order: a code that is added there is added here. */
static const int codes[] = {
    RK_OK, RK_E_UNREACHABLE, RK_E_BUSY, RK_E_TIMEOUT, RK_E_CANCELED, RK_E_IO, RK_E_NOMEM, RK_E_AGAIN, RK_E_UNKNOWN,
    RK_E_CONFIG, RK_E_AUTH, RK_E_REJECTED, RK_E_UNSUPPORTED, RK_E_NOENT, RK_E_UNSAFE, RK_E_CONFLICT, RK_E_EMPTY,
    RK_E_KEY_GONE, RK_E_KEY_SIZE, RK_E_PROTOCOL, RK_E_CONTRACT, RK_E_NOKEY, RK_E_FATAL,
};
#define CODES (sizeof codes / sizeof *codes)

/* By the number's hundred, which is how the header groups them. */
static enum rk_err_class
class_of(int err)
{
    static const enum rk_err_class by_hundred[] = {RK_CLASS_RETRY, RK_CLASS_OBSERVE, RK_CLASS_CONFIG,
                                                   RK_CLASS_SUPPLY, RK_CLASS_BUG, RK_CLASS_FATAL};

    return err == RK_OK ? RK_CLASS_OK : by_hundred[(-err - 1000) / 100];
}

static void
test_classes(void **state)
{
    (void)state;
    for (size_t i = 0; i < CODES; i++)
        assert_int_equal(rk_err_class(codes[i]), class_of(codes[i]));
}

static void
test_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < CODES; i++) {
        const char *name = rk_err_name(codes[i]);

        assert_true(strlen(name) >= 2 && strlen(name) < 32);
        for (const char *c = name; *c; c++)
            assert_true(islower((unsigned char)*c) || *c == '-');
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(name, rk_err_name(codes[k]));
        assert_string_not_equal(name, rk_err_name(-1));
    }
}

/* Whatever number is in none of the lists is a bug of whoever returned it; and no listed one is missing above. */
static void
test_others(void **state)
{
    size_t known = 0;

    (void)state;
    for (int err = -3000; err <= 3000; err++) {
        if (strcmp(rk_err_name(err), rk_err_name(-1)) != 0)
            known++;
        else
            assert_int_equal(rk_err_class(err), RK_CLASS_BUG);
    }
    assert_int_equal(known, CODES);
}

static void
test_boot(void **state)
{
    char text[64] = "";
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "r");

    (void)state;
    if (!f)
        skip();
    assert_non_null(fgets(text, sizeof text, f));
    fclose(f);
    text[strcspn(text, "\n")] = '\0';
    assert_true(rk_boot_id() == rk_hash(text));
    assert_true(rk_boot_id() == rk_boot_id() && rk_boot_id() != 0);
}

static void
test_clocks(void **state)
{
    int64_t a = rk_now_ns(), b = rk_now_ns();
    int64_t wall_ms = rk_wall_now().unix_ms, now_s = (int64_t)time(NULL);

    (void)state;
    assert_true(a > 0 && b >= a);
    assert_in_range(wall_ms / 1000, now_s - 60, now_s + 60);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_clocks),
        cmocka_unit_test(test_boot),
    };

    return cmocka_run_group_tests_name("base_err", tests, NULL, NULL);
}
