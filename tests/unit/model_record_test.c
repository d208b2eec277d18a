/* model_record_test.c - records as text: what is written is read, what could not have been written is refused, and the
 * order in which one record replaces another is an order. */
#include "core/model/record.h"

#include <rekey/err.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TEXT_MAX (RK_RECORD_MAX - 1 - RK_CONFIRM_HEX) /* what the tag leaves */
#define UUID "1b6f4d9e-0c3a-4c55-9f1e-6a7b8c9d0e1f"

static struct rk_record
sample(uint32_t say)
{
    struct rk_record r = {.link = "a-b-1", .role = RK_MASTER, .say = say, .term = 1, .seq = 42,
                          .key = UUID, .prev = "k41", .facts = "sci=0011223344556677", .confirm = "0123abcd"};

    return r;
}

static void
assert_same(const struct rk_record *a, const struct rk_record *b)
{
    assert_int_equal(rk_record_order(a, b), 0);
    assert_int_equal(a->role, b->role);
    assert_string_equal(a->link, b->link);
    assert_string_equal(a->key, b->key);
    assert_string_equal(a->prev, b->prev);
    assert_string_equal(a->facts, b->facts);
    assert_string_equal(a->confirm, b->confirm);
}

static void
assert_reads_back(const struct rk_record *r)
{
    char text[RK_RECORD_MAX + 1];
    struct rk_record back;

    assert_true(rk_record_put(r, text));
    assert_true(strlen(text) <= TEXT_MAX);
    assert_int_equal(rk_record_get(text, &back), RK_OK);
    assert_same(&back, r);
}

static void
round_trip(void **state)
{
    (void)state;
    for (uint32_t say = RK_SAY_IDLE; say <= RK_SAY_LOST; say++)
        for (uint32_t role = RK_MASTER; role <= RK_SLAVE; role++)
            for (unsigned empty = 0; empty < 16; empty++) {
                struct rk_record r = sample(say);

                r.role = role;
                if (empty & 1)
                    memset(r.key, 0, sizeof r.key);
                if (empty & 2)
                    memset(r.prev, 0, sizeof r.prev);
                if (empty & 4)
                    memset(r.facts, 0, sizeof r.facts);
                if (empty & 8)
                    memset(r.confirm, 0, sizeof r.confirm);
                assert_reads_back(&r);
            }
}

static void
golden(void **state)
{
    struct rk_record r = sample(RK_SAY_STAGED);
    char text[RK_RECORD_MAX + 1];

    (void)state;
    assert_true(rk_record_put(&r, text));
    assert_string_equal(text, "rk1|a-b-1|M|1|42|T|" UUID "|k41|sci=0011223344556677|0123abcd");
}

/* Fields of this many bytes; the rest of the text is 17 bytes. */
static bool
put_sized(struct rk_record r, int key, int prev, int facts)
{
    char text[RK_RECORD_MAX + 1];
    bool ok;

    memset(r.link, 'l', 32);
    memset(r.key, 'k', (size_t)key);
    memset(r.prev, 'p', (size_t)prev);
    memset(r.facts, 'f', (size_t)facts);
    ok = rk_record_put(&r, text);
    assert_int_equal(rk_record_fits(&r), ok);
    if (ok)
        assert_reads_back(&r);
    return ok;
}

static void
limits(void **state)
{
    struct rk_record r = {.role = RK_SLAVE, .term = 1, .seq = 1}, big = sample(RK_SAY_OFFER);
    char text[RK_RECORD_MAX + 1];
    const int rest = (int)strlen("rk1||S|1|1|I||||") + 32;

    (void)state;
    assert_true(put_sized(r, 64, 64, TEXT_MAX - rest - 128));
    assert_false(put_sized(r, 64, 64, TEXT_MAX - rest - 128 + 1));
    for (r.seq = 9; r.seq < RK_SEQ_MAX; r.seq = r.seq * 10 + 9) { /* the last number of a length, and the first */
        const int more = snprintf(text, sizeof text, "%llu", (unsigned long long)r.seq) - 1;

        assert_true(put_sized(r, 64, 64, TEXT_MAX - rest - 128 - more));
        assert_false(put_sized(r, 64, 64, TEXT_MAX - rest - 128 - more + 1));
        r.seq++;
        assert_false(put_sized(r, 64, 64, TEXT_MAX - rest - 128 - more));
        r.seq--;
    }
    big.seq = big.term = RK_SEQ_MAX;
    assert_reads_back(&big);
    assert_true(rk_record_fits(&big));
    big.seq++;
    assert_false(rk_record_put(&big, text));
    assert_false(rk_record_fits(&big));
    big.seq = UINT64_MAX;
    assert_false(rk_record_put(&big, text));
    big.seq = 1;
    big.term = RK_SEQ_MAX + 1;
    assert_false(rk_record_put(&big, text));
}

static const char *const malformed[] = {
    "", "rk1", "rk2|a|M|1|1|I||||", "RK1|a|M|1|1|I||||", " rk1|a|M|1|1|I||||", "rk1|a|M|1|1|I||||\n",
    "rk1|a|M|1|1|I|||", "rk1|a|M|1|1|I|||||", "rk1|a|M|1|1|I||||\x01", "rk1|a|M|1|1|I||||tag|",
    /* link */
    "rk1||M|1|1|I||||", "rk1|-a|M|1|1|I||||", "rk1|a b|M|1|1|I||||", "rk1|a/b|M|1|1|I||||",
    "rk1|l23456789012345678901234567890123|M|1|1|I||||",
    /* role, say */
    "rk1|a||1|1|I||||", "rk1|a|m|1|1|I||||", "rk1|a|X|1|1|I||||", "rk1|a|MS|1|1|I||||", "rk1|a|M|1|1|||||",
    "rk1|a|M|1|1|i||||", "rk1|a|M|1|1|Z||||", "rk1|a|M|1|1|IO||||",
    /* numbers */
    "rk1|a|M||1|I||||", "rk1|a|M|1||I||||", "rk1|a|M|01|1|I||||", "rk1|a|M|1|00|I||||", "rk1|a|M|1|-1|I||||",
    "rk1|a|M|1|+1|I||||", "rk1|a|M|1| 1|I||||", "rk1|a|M|1|1 |I||||", "rk1|a|M|1|0x1|I||||", "rk1|a|M|1|1e3|I||||",
    "rk1|a|M|1|1000000000000000000|I||||", "rk1|a|M|1|18446744073709551615|I||||",
    "rk1|a|M|18446744073709551616|1|I||||",
    /* key IDs: no blank, no slash, 64 bytes */
    "rk1|a|M|1|1|O|a b|||", "rk1|a|M|1|1|O|a/b|||", "rk1|a|M|1|1|O|k|a\tb||", "rk1|a|M|1|1|O|k\x7f|||",
    "rk1|a|M|1|1|O|k\xc3\xa4|||",
    "rk1|a|M|1|1|O|k2345678901234567890123456789012345678901234567890123456789012345|||",
    /* facts and confirm */
    "rk1|a|M|1|1|I|||sci=0 1|", "rk1|a|M|1|1|I|||sci=0;1|",
    "rk1|a|M|1|1|I|||f234567890123456789012345678901234567890123456789|",
    "rk1|a|M|1|1|I||||0123_", "rk1|a|M|1|1|I||||c23456789012345678901234567890123",
};

static void
refused(void **state)
{
    struct rk_record r, zero;

    (void)state;
    memset(&zero, 0, sizeof zero);
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        memset(&r, 'x', sizeof r);
        if (rk_record_get(malformed[i], &r) != RK_E_PROTOCOL)
            fail_msg("taken: %s", malformed[i]);
        assert_memory_equal(&r, &zero, sizeof r); /* nothing of it is left to be used */
    }
}

static void
too_long(void **state)
{
    char text[4096];
    struct rk_record r;

    (void)state;
    memset(text, 'f', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(rk_record_get(text, &r), RK_E_PROTOCOL);
    memcpy(text, "rk1|a|M|1|1|I|||", 16);
    assert_int_equal(rk_record_get(text, &r), RK_E_PROTOCOL);
}

/* Without a confirm tag the last bar is the end: everything shorter is refused. */
static void
truncated(void **state)
{
    struct rk_record r = sample(RK_SAY_ACTIVE), back;
    char text[RK_RECORD_MAX + 1];

    (void)state;
    memset(r.confirm, 0, sizeof r.confirm);
    assert_true(rk_record_put(&r, text));
    for (size_t n = strlen(text); n-- > 0;) {
        text[n] = '\0';
        assert_int_equal(rk_record_get(text, &back), RK_E_PROTOCOL);
    }
}

/* One bad byte: refused, or another record that is written exactly so. */
static void
changed(void **state)
{
    struct rk_record r = sample(RK_SAY_OFFER), back;
    char text[RK_RECORD_MAX + 1], bad[RK_RECORD_MAX + 1], again[RK_RECORD_MAX + 1];
    unsigned taken = 0;

    (void)state;
    assert_true(rk_record_put(&r, text));
    for (size_t i = 0; text[i]; i++)
        for (int c = 1; c < 256; c++) {
            strcpy(bad, text);
            bad[i] = (char)c;
            if (rk_record_get(bad, &back) != RK_OK)
                continue;
            taken++;
            assert_true(rk_record_put(&back, again));
            assert_string_equal(again, bad);
        }
    assert_true(taken > 0);
}

static int
sign(int v)
{
    return (v > 0) - (v < 0);
}

/* All of two terms, three numbers, all says: 42 steps, in the order in which they are made. */
static void
order(void **state)
{
    struct rk_record all[42];
    size_t n = 0;

    (void)state;
    for (uint64_t term = 1; term <= 2; term++)
        for (uint64_t seq = 1; seq <= 3; seq++)
            for (uint32_t say = RK_SAY_IDLE; say <= RK_SAY_LOST; say++) {
                all[n] = sample(say);
                all[n].term = term;
                all[n++].seq = seq == 3 ? RK_SEQ_MAX : seq;
            }
    for (int a = 0; a < 42; a++)
        for (int b = 0; b < 42; b++)
            assert_int_equal(sign(rk_record_order(&all[a], &all[b])), sign(a - b));
    all[1] = all[0];
    strcpy(all[1].facts, "sci=1"); /* the same step with other facts, of another role: neither is newer */
    all[1].role = RK_SLAVE;
    assert_int_equal(rk_record_order(&all[0], &all[1]), 0);
}

static void
names(void **state)
{
    (void)state;
    assert_string_equal(rk_say_name(RK_SAY_IDLE), "idle");
    assert_string_equal(rk_say_name(RK_SAY_LOST), "lost");
    assert_string_equal(rk_say_name(RK_SAY_LOST + 1), "?");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip), cmocka_unit_test(golden),    cmocka_unit_test(limits),
        cmocka_unit_test(refused),    cmocka_unit_test(too_long),  cmocka_unit_test(truncated),
        cmocka_unit_test(changed),    cmocka_unit_test(order),     cmocka_unit_test(names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
