/* base_text_test.c - copying, names, key IDs, hex, suggestions, the hash. */
#include "core/base/text.h"

#include <rekey/source.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void
test_copy(void **state)
{
    char to[4] = "xyz";

    (void)state;
    assert_true(rk_copy(to, sizeof to, "abc"));
    assert_string_equal(to, "abc");
    assert_false(rk_copy(to, sizeof to, "abcd"));
    assert_string_equal(to, "");
    assert_true(rk_copy(to, sizeof to, ""));
    assert_string_equal(to, "");
    assert_false(rk_copy(to, 1, "a"));
}

static void
test_names(void **state)
{
    static const char *const good[] = {"a", "A-b_c.9", "0", "site-b", "12345678"};
    static const char *const bad[] = {"", "-a", ".a", "_a", "a b", "a/b", "a\n", "a|b", "123456789",
                                      "\xc3\xa9", "a\x7f"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(rk_name_ok(good[i], 8));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(rk_name_ok(bad[i], 8));
}

/* A buffer without NUL must not be read beyond its limit (the sanitizer watches). */
static void
test_unended(void **state)
{
    char name[9], id[RK_KEY_ID_MAX + 1];

    (void)state;
    memset(name, 'a', sizeof name);
    assert_false(rk_name_ok(name, 8));
    memset(id, 'a', sizeof id);
    assert_false(rk_key_id_ok(id));
    id[RK_KEY_ID_MAX] = '\0';
    assert_true(rk_key_id_ok(id));
}

static void
test_key_ids(void **state)
{
    static const char *const good[] = {"a", "5de2a4f4-0ff8-4bde-bd5a-15e1fb0e9c3d", "!~", "key:1,2"};
    static const char *const bad[] = {"", "a b", "a|b", "a/b", "a\tb", "a\x7f", "\xc3\xa9"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(rk_key_id_ok(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(rk_key_id_ok(bad[i]));
}

static void
test_fold(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"5DE2A4F4-0FF8-4BDE-BD5A-15E1FB0E9C3D", "5de2a4f4-0ff8-4bde-bd5a-15e1fb0e9c3d"},
        {"5de2a4f4-0ff8-4bde-bd5a-15e1fb0e9c3d", "5de2a4f4-0ff8-4bde-bd5a-15e1fb0e9c3d"},
        {"5DE2A4F4-0FF8-4BDE-BD5A-15E1FB0E9C3", "5DE2A4F4-0FF8-4BDE-BD5A-15E1FB0E9C3"},   /* short */
        {"5DE2A4F4-0FF8-4BDE-BD5A-15E1FB0E9C3DA", "5DE2A4F4-0FF8-4BDE-BD5A-15E1FB0E9C3DA"}, /* long */
        {"5DE2A4F40-FF8-4BDE-BD5A-15E1FB0E9C3D", "5DE2A4F40-FF8-4BDE-BD5A-15E1FB0E9C3D"}, /* dashes elsewhere */
        {"GDE2A4F4-0FF8-4BDE-BD5A-15E1FB0E9C3D", "GDE2A4F4-0FF8-4BDE-BD5A-15E1FB0E9C3D"}, /* not hex */
        {"Opaque-ID", "Opaque-ID"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char id[RK_KEY_ID_MAX + 1];

        assert_true(rk_copy(id, sizeof id, cases[i].in));
        rk_key_id_fold(id);
        assert_string_equal(id, cases[i].out);
    }
}

/* Every byte there and back, against printf; both cases of letters. */
static void
test_hex(void **state)
{
    (void)state;
    for (unsigned v = 0; v < 256; v++) {
        unsigned char byte = (unsigned char)v, back = (unsigned char)~v;
        char hex[3], lower[3], upper[3];

        rk_hex_put(&byte, 1, hex);
        snprintf(lower, sizeof lower, "%02x", v);
        snprintf(upper, sizeof upper, "%02X", v);
        assert_string_equal(hex, lower);
        assert_true(rk_hex_ok(lower, 2) && rk_hex_ok(upper, 2) && !rk_hex_ok(lower, 1) && !rk_hex_ok(lower, 3));
        assert_true(rk_hex_get(lower, &back, 1));
        assert_int_equal(back, v);
        back = (unsigned char)~v;
        assert_true(rk_hex_get(upper, &back, 1));
        assert_int_equal(back, v);
    }
}

/* Every character that is no hex digit is refused, in either place. */
static void
test_hex_invalid(void **state)
{
    unsigned char bytes[2];

    (void)state;
    for (int c = 1; c < 256; c++) {
        const char first[] = {(char)c, '0', '\0'}, second[] = {'0', (char)c, '\0'};
        bool is_hex = strchr("0123456789abcdefABCDEF", c) != NULL;

        assert_int_equal(rk_hex_get(first, bytes, 1), is_hex);
        assert_int_equal(rk_hex_get(second, bytes, 1), is_hex);
        assert_int_equal(rk_hex_ok(first, 2) && rk_hex_ok(second, 2), is_hex);
    }
    assert_false(rk_hex_get("", bytes, 1));
    assert_false(rk_hex_get("0", bytes, 1));
    assert_false(rk_hex_get("000", bytes, 1));
    assert_false(rk_hex_get("000", bytes, 2));
    assert_false(rk_hex_get("00000", bytes, 2));
    assert_true(rk_hex_get("", bytes, 0));
}

static void
test_same(void **state)
{
    (void)state;
    assert_true(rk_same("abc", "abc", 3));
    assert_true(rk_same("abc", "abd", 2));
    assert_false(rk_same("abc", "abd", 3));
    assert_false(rk_same("xbc", "abc", 3));
    assert_true(rk_same("a", "b", 0));
}

static void
test_nearest(void **state)
{
    static const char *const names[] = {"interval", "interface", "device", "url", "channel"};
    const size_t n = sizeof names / sizeof *names;

    (void)state;
    assert_string_equal(rk_nearest("intervall", names, n), "interval");
    assert_string_equal(rk_nearest("interfcae", names, n), "interface");
    assert_string_equal(rk_nearest("devcie", names, n), "device");
    assert_string_equal(rk_nearest("uri", names, n), "url");
    assert_string_equal(rk_nearest("chanel", names, n), "channel");
    assert_null(rk_nearest("xyzzy", names, n));
    assert_null(rk_nearest("ab", names, n));
    assert_null(rk_nearest("", names, n));
    assert_null(rk_nearest("a-word-that-is-longer-than-thirty-one-letters", names, n));
    assert_null(rk_nearest("device", names, 0));
}

static void
test_hash(void **state)
{
    (void)state;
    /* vectors of FNV-1a, 64 bit */
    assert_true(rk_hash("") == UINT64_C(0xcbf29ce484222325));
    assert_true(rk_hash("a") == UINT64_C(0xaf63dc4c8601ec8c));
    assert_true(rk_hash("foobar") == UINT64_C(0x85944171f73967e8));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy),    cmocka_unit_test(test_names),       cmocka_unit_test(test_unended),
        cmocka_unit_test(test_key_ids), cmocka_unit_test(test_fold),        cmocka_unit_test(test_hex),
        cmocka_unit_test(test_hex_invalid), cmocka_unit_test(test_same),    cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_hash),
    };

    return cmocka_run_group_tests_name("base_text", tests, NULL, NULL);
}
