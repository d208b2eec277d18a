/* base_squeeze_test.c - a block of bytes without its zeros, and back: core/base/squeeze.c */
#include "core/base/squeeze.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MOST 2000u

/* Exactly as large as they may be, so that a sanitizer sees a byte too many. */
static size_t
there_and_back(const unsigned char *block, size_t n)
{
    unsigned char *from = malloc(n + 1), *packed = malloc(RK_SQUEEZE_MAX(n)), *back = malloc(n + 1), *exact;
    size_t len;

    assert_true(from && packed && back);
    memcpy(from, block, n);
    from[n] = back[n] = 0xee;
    len = rk_squeeze(from, n, packed);
    assert_in_range(len, 0, RK_SQUEEZE_MAX(n));
    exact = malloc(len + 1);
    assert_non_null(exact);
    memcpy(exact, packed, len);
    memset(back, 0xaa, n);
    assert_true(rk_unsqueeze(exact, len, back, n));
    assert_memory_equal(back, block, n);
    assert_int_equal(back[n], 0xee);
    free(from);
    free(packed);
    free(back);
    free(exact);
    return len;
}

static void
same_again(void **state)
{
    unsigned char block[MOST] = {0};
    uint32_t random = 1;

    (void)state;
    for (int round = 0; round < 3000; round++) {
        size_t n = (size_t)round % MOST;
        uint32_t dense = (uint32_t)round % 11; /* of ten bytes so many are zero, on average */

        for (size_t i = 0; i < n; i++) {
            random = random * 1664525u + 1013904223u;
            block[i] = (random >> 24) % 10 < dense ? 0 : (unsigned char)(random >> 16);
        }
        there_and_back(block, n);
    }
}

/* Runs of every length around the bounds, of zeros and of others, and at both ends of the block. */
static void
runs(void **state)
{
    static const size_t lengths[] = {0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 119, 120, 121, 127, 128, 129, 247, 248, 249};
    unsigned char block[MOST];
    const size_t n = sizeof lengths / sizeof *lengths;

    (void)state;
    for (size_t a = 0; a < n; a++)
        for (size_t b = 0; b < n; b++)
            for (size_t c = 0; c < n; c++) {
                memset(block, 0, sizeof block);
                memset(block + lengths[a], 'x', lengths[b]);
                there_and_back(block, lengths[a] + lengths[b] + lengths[c]);
                memset(block, 'x', sizeof block);
                memset(block + lengths[a], 0, lengths[b]);
                there_and_back(block, lengths[a] + lengths[b] + lengths[c]);
            }
}

/* What it is for: zeros cost next to nothing, a number what it is large, and no block much more than it had. */
static void
sizes(void **state)
{
    unsigned char block[MOST] = {0};
    const uint64_t numbers[4] = {1, 0x1234, 0, UINT64_MAX};

    (void)state;
    assert_int_equal(there_and_back(block, MOST), 0);
    block[MOST - 8] = 1;
    assert_in_range(there_and_back(block, MOST), 2, 20);
    memset(block, 'x', sizeof block);
    assert_in_range(there_and_back(block, MOST), MOST, MOST + MOST / 8);
    memcpy(block, numbers, sizeof numbers);
    assert_in_range(there_and_back(block, sizeof numbers), 14, 26); /* 26: where the highest byte comes first */
}

/* What is not a squeezed block of that size is refused, and nothing is written behind the block. */
static void
nonsense(void **state)
{
    static const unsigned char cut[] = {0x13, 'a', 'b'}, wide[] = {0x09, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'},
                               full[] = {0x13, 'a', 'b', 'c'}, far[] = {0xf0, 0x11, 'a'};
    unsigned char block[13] = {0};

    (void)state;
    assert_false(rk_unsqueeze(cut, sizeof cut, block, 12));
    assert_false(rk_unsqueeze(wide, sizeof wide, block, 12));
    assert_false(rk_unsqueeze(far, sizeof far, block, 12));
    assert_false(rk_unsqueeze(full, sizeof full, block, 10));
    assert_true(rk_unsqueeze(full, sizeof full, block, 11));
    assert_memory_equal(block, "\0\0\0\0\0\0\0\0abc\0", 13);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_again),
        cmocka_unit_test(runs),
        cmocka_unit_test(sizes),
        cmocka_unit_test(nonsense),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
