/* journal_state_test.c - states and counters as the journal packs them: what is written is read, and nothing else
 * is. */
#include "core/daemon/journal_state.h"

#include "core/base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* A state whose every field tells of n. */
static struct rk_durable
state_of(uint64_t n)
{
    struct rk_durable d = {.link = "a-b-1", .end = 'b', .role = RK_MASTER, .phase = RK_PH_ACTIVATING, .term = n ^ 1,
                           .seq = n, .floor = n + 1, .cur_seq = n - 1, .prev_seq = n / 2,
                           .cur_since = {(int64_t)~n}, .cur_boot = n * 3, .cur_boot_ns = (int64_t)(n - 7),
                           .flags = RK_DF_HELD | RK_DF_CAND_FALLBACK, .start_ms = 253402300799999};

    memset(d.cur, '~', sizeof d.cur - 1);
    snprintf(d.cand, sizeof d.cand, "cand-%llu", (unsigned long long)n);
    snprintf(d.mine, sizeof d.mine, "%032llx", (unsigned long long)n);
    return d;
}

static void
same_state(const struct rk_durable *a, const struct rk_durable *b)
{
    assert_true(a->role == b->role && a->phase == b->phase && a->flags == b->flags && a->start_ms == b->start_ms);
    assert_true(a->term == b->term && a->seq == b->seq && a->floor == b->floor);
    assert_true(a->cur_seq == b->cur_seq && a->prev_seq == b->prev_seq);
    assert_true(a->cur_since.unix_ms == b->cur_since.unix_ms && a->cur_boot == b->cur_boot);
    assert_true(a->cur_boot_ns == b->cur_boot_ns);
    assert_string_equal(a->cur, b->cur);
    assert_string_equal(a->prev, b->prev);
    assert_string_equal(a->cand, b->cand);
    assert_string_equal(a->mine, b->mine);
    assert_string_equal(a->theirs, b->theirs);
}

/* Numbers at each length that they can have. */
static void
test_round_trip(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit <= 64; bit++) {
        uint64_t n = bit < 64 ? UINT64_C(1) << bit : 0;

        for (int less = 0; less < 2; less++) {
            unsigned char bytes[RK_JOURNAL_STATE_MAX];
            struct rk_durable d = state_of(n - (uint64_t)less), out = {.link = "a-b-1", .end = 'b'};
            struct rk_journal_tally tally = {(int64_t)(n >> 1), n, ~n}, got;

            assert_null(rk_journal_state_fault(&d));
            assert_null(rk_journal_state_get(bytes, rk_journal_state_put(&d, bytes), &out));
            same_state(&out, &d);
            assert_true(rk_journal_tally_get(bytes, rk_journal_tally_put(&tally, "x", 'a', bytes), "x", 'a', &got));
            assert_true(got.last == tally.last && got.done == tally.done && got.failed == tally.failed);
        }
    }
}

/* What could not be is not read, although its check value fits. */
static void
test_faults(void **state)
{
    struct rk_durable bad[10], out = {.link = "a-b-1", .end = 'b'};
    unsigned char bytes[RK_JOURNAL_STATE_MAX];

    (void)state;
    for (size_t i = 0; i < 10; i++)
        bad[i] = state_of(6);
    bad[0].phase = 7;
    bad[1].phase = UINT32_MAX;
    bad[2].role = 0;
    snprintf(bad[3].cur, sizeof bad[3].cur, "a/b");
    bad[4].cand[0] = '\0';
    memset(bad[5].prev, ' ', sizeof bad[5].prev - 1);
    bad[6].mine[31] = 'g';
    bad[7].theirs[0] = 'a';
    bad[8].flags = 32;
    bad[9].start_ms = -1;
    for (size_t i = 0; i < 10; i++) {
        const char *fault = rk_journal_state_fault(&bad[i]);

        assert_non_null(fault);
        assert_string_equal(rk_journal_state_get(bytes, rk_journal_state_put(&bad[i], bytes), &out), fault);
    }
}

/* Any one bit that is not what was written, any other length, another end: only the check value can tell. */
static void
test_decayed(void **state)
{
    struct rk_durable d = state_of(6), out = {.link = "a-b-1", .end = 'b'};
    unsigned char bytes[RK_JOURNAL_STATE_MAX];
    size_t n = rk_journal_state_put(&d, bytes);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        assert_non_null(rk_journal_state_get(bytes, i, &out));
        for (unsigned bit = 1; bit < 256; bit <<= 1) {
            bytes[i] ^= (unsigned char)bit;
            assert_non_null(rk_journal_state_get(bytes, n, &out));
            bytes[i] ^= (unsigned char)bit;
        }
    }
    assert_null(rk_journal_state_get(bytes, n, &out));
    out.end = 'a';
    assert_string_equal(rk_journal_state_get(bytes, n, &out), "check value");
    assert_string_equal(rk_journal_state_get(NULL, 0, &out), "length");
}

static void
test_decayed_tally(void **state)
{
    struct rk_journal_tally tally = {UINT32_MAX, 3, 1000}, got;
    unsigned char bytes[RK_JOURNAL_TALLY_MAX];
    size_t n = rk_journal_tally_put(&tally, "x", 'a', bytes);

    (void)state;
    assert_true(rk_journal_tally_get(bytes, n, "x", 'a', &got));
    assert_false(rk_journal_tally_get(bytes, n, "x", 'b', &got));
    assert_false(rk_journal_tally_get(bytes, n, "y", 'a', &got));
    assert_false(rk_journal_tally_get(bytes, n - 1, "x", 'a', &got));
    assert_false(rk_journal_tally_get(NULL, 0, "x", 'a', &got));
    bytes[2] ^= 1;
    assert_false(rk_journal_tally_get(bytes, n, "x", 'a', &got));
    assert_true(got.last == 0 && got.done == 0 && got.failed == 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_faults), cmocka_unit_test(test_decayed),
        cmocka_unit_test(test_decayed_tally),
    };

    return cmocka_run_group_tests_name("journal_state", tests, NULL, NULL);
}
