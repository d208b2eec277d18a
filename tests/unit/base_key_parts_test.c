/* base_key_parts_test.c - IDs of mixed keys: one form for each list of parts, and nothing else is one. */
#include "core/base/key_parts.h"

#include <rekey/err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define UUID_1 "550e8400-e29b-41d4-a716-446655440000"
#define UUID_2 "0f5ce8d4-5c2b-4e0f-9a3c-6d1be1b0a7f2"
#define LONG_41 "0123456789abcdef0123456789abcdef012345678"

static const struct {
    size_t n;
    const char *part[RK_PARTS_MAX];
    const char *id;
} good[] = {
    /* the short forms were made by Python's base64.urlsafe_b64encode */
    {2, {UUID_1, UUID_2}, "~VQ6EAOKbQdSnFkRmVUQAAA+~D1zo1FwrTg-aPG0b4bCn8g"},
    {2, {UUID_2, UUID_1}, "~D1zo1FwrTg-aPG0b4bCn8g+~VQ6EAOKbQdSnFkRmVUQAAA"},
    {2, {UUID_1, ""}, "~VQ6EAOKbQdSnFkRmVUQAAA+"},
    {2, {"", UUID_1}, "+~VQ6EAOKbQdSnFkRmVUQAAA"},
    {2, {"ffffffff-ffff-ffff-ffff-ffffffffffff", "x"}, "~_____________________w+x"},
    {2, {"00000000-0000-0000-0000-000000000000", "x"}, "~AAAAAAAAAAAAAAAAAAAAAA+x"},
    {2, {"pool-1:7", "a~b"}, "pool-1:7+a~b"},
    {3, {UUID_1, UUID_2, "0123456789abcdef"}, "~VQ6EAOKbQdSnFkRmVUQAAA+~D1zo1FwrTg-aPG0b4bCn8g+0123456789abcdef"},
    {3, {"a", "", "b"}, "a++b"},
    {3, {"", "", "b"}, "++b"},
};

static struct rk_key_parts
parts_of(size_t n, const char *const part[RK_PARTS_MAX])
{
    struct rk_key_parts p = {.n = n};

    for (size_t i = 0; i < n && i < RK_PARTS_MAX; i++)
        snprintf(p.id[i], sizeof p.id[i], "%s", part[i]);
    return p;
}

static void
test_round_trip(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct rk_key_parts parts = parts_of(good[i].n, good[i].part), back;
        char id[RK_KEY_ID_MAX + 1];

        assert_int_equal(rk_key_parts_join(&parts, id, NULL), RK_OK);
        assert_string_equal(id, good[i].id);
        assert_int_equal(rk_key_parts_split(id, good[i].n, &back), RK_OK);
        assert_memory_equal(&back, &parts, sizeof parts);
        assert_int_equal(rk_key_parts_split(id, good[i].n == 2 ? 3 : 2, &back), RK_E_PROTOCOL);
    }
}

static void
test_upper_case_is_folded(void **state)
{
    struct rk_key_parts parts = {2, {"550E8400-E29B-41D4-A716-446655440000", "x"}}, back;
    char id[RK_KEY_ID_MAX + 1];

    (void)state;
    assert_int_equal(rk_key_parts_join(&parts, id, NULL), RK_OK);
    assert_int_equal(rk_key_parts_split(id, 2, &back), RK_OK);
    assert_string_equal(back.id[0], UUID_1);
}

static void
test_what_cannot_be_joined(void **state)
{
    static const struct {
        size_t n;
        const char *part[RK_PARTS_MAX];
        int err;
        size_t which;
    } rows[] = {
        {2, {UUID_1, LONG_41}, RK_E_CONFIG, 1},
        {3, {UUID_1, UUID_2, "0123456789abcdef0"}, RK_E_CONFIG, 0},
        {2, {"a+b", UUID_1}, RK_E_PROTOCOL, 0},
        {2, {"a", "~b"}, RK_E_PROTOCOL, 1},
        {2, {"a", "b c"}, RK_E_PROTOCOL, 1},
        {2, {"a", "b|"}, RK_E_PROTOCOL, 1},
        {2, {"", ""}, RK_E_CONTRACT, 0},
        {3, {"", "", ""}, RK_E_CONTRACT, 0},
        {1, {"a"}, RK_E_CONTRACT, 0},
        {4, {"a", "b", "c"}, RK_E_CONTRACT, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rk_key_parts parts = parts_of(rows[i].n, rows[i].part);
        char id[RK_KEY_ID_MAX + 1] = "before";
        size_t which = 99;

        assert_int_equal(rk_key_parts_join(&parts, id, &which), rows[i].err);
        assert_string_equal(id, "");
        if (rows[i].err != RK_E_CONTRACT)
            assert_int_equal(which, rows[i].which);
    }
}

static void
test_what_a_peer_may_not_say(void **state)
{
    static const char *const bad[] = {
        "", "+", "++", UUID_1, "a", "a+b+c", "a+b+", "+a+", "a b+c", "a|+b", "a/+b",
        "~+a", "~VQ6EAOKbQdSnFkRmVUQAA+a", "~VQ6EAOKbQdSnFkRmVUQAAAA+a", "~VQ6EAOKbQdSnFkRmVUQAA!+a",
        "~VQ6EAOKbQdSnFkRmVUQAAB+a", /* bits behind the last byte */
        "~VQ6EAOKbQdSnFkRmVUQAA=+a", "a+~", ("a+" UUID_1), /* a UUID has its short form only */
        "a+550E8400-E29B-41D4-A716-446655440000", "a+b\n", "a+\x80", "a+b\x7f",
        "0123456789abcdef0123456789abcdef+0123456789abcdef0123456789abcdef", /* 65 characters */
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct rk_key_parts parts, none = {0};

        memset(&parts, 0x55, sizeof parts);
        assert_int_equal(rk_key_parts_split(bad[i], 2, &parts), RK_E_PROTOCOL);
        assert_memory_equal(&parts, &none, sizeof parts);
    }
    for (size_t n = 0; n <= RK_PARTS_MAX + 1; n++) {
        struct rk_key_parts parts;

        assert_int_equal(rk_key_parts_split("a+b", n, &parts), n == 2 ? RK_OK : RK_E_PROTOCOL);
    }
}

/* Whatever is split is joined to the same text again: two IDs never mean the same parts. */
static void
test_random_ids(void **state)
{
    static const char letters[] = "+~+~aA0-_b/|= ";
    unsigned taken = 0;
    uint64_t x = 1;

    (void)state;
    for (int round = 0; round < 200000; round++) {
        char id[RK_KEY_ID_MAX + 8], again[RK_KEY_ID_MAX + 1];
        struct rk_key_parts parts;
        size_t len;

        x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
        len = x >> 60;
        for (size_t i = 0; i < len; i++) {
            x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
            id[i] = letters[(x >> 33) % (sizeof letters - 1)];
        }
        id[len] = '\0';
        for (size_t n = 2; n <= RK_PARTS_MAX; n++) {
            if (rk_key_parts_split(id, n, &parts) != RK_OK)
                continue;
            assert_int_equal(rk_key_parts_join(&parts, again, NULL), RK_OK);
            assert_string_equal(again, id);
            taken++;
        }
    }
    assert_true(taken > 1000);
}

static void
test_missing(void **state)
{
    (void)state;
    assert_int_equal(rk_key_parts_missing("a+b", 2), 2);
    assert_int_equal(rk_key_parts_missing("+b", 2), 0);
    assert_int_equal(rk_key_parts_missing("a+", 2), 1);
    assert_int_equal(rk_key_parts_missing("a++c", 3), 1);
    assert_int_equal(rk_key_parts_missing("a+", 3), 3);
    assert_int_equal(rk_key_parts_missing(UUID_1, 2), 2);
    assert_int_equal(rk_key_parts_missing("", 2), 2);
}

static void
test_likely(void **state)
{
    (void)state;
    assert_true(rk_key_parts_likely("~VQ6EAOKbQdSnFkRmVUQAAA+x"));
    assert_true(rk_key_parts_likely("+x+~VQ6EAOKbQdSnFkRmVUQAAA"));
    assert_false(rk_key_parts_likely(UUID_1));
    assert_false(rk_key_parts_likely("a+b"));
    assert_false(rk_key_parts_likely("~VQ6EAOKbQdSnFkRmVUQAAA"));
    assert_false(rk_key_parts_likely(""));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_upper_case_is_folded),
        cmocka_unit_test(test_what_cannot_be_joined),
        cmocka_unit_test(test_what_a_peer_may_not_say),
        cmocka_unit_test(test_random_ids),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_likely),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
