/* sim_mka_test.c - MKA between two ports, by a clock that the test moves: what each change of keys does to traffic */
#include <contrib/junos-sim/mka.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HELLO 2000
#define LIFE (MKA_LIVES * HELLO)
#define STEP 100

static struct mka_port a, b;
static int64_t now, a_clock, b_clock; /* the clocks are offsets of their routers */

/* A key that is told by its number; 0: none. */
static struct mka_key
key(unsigned n)
{
    struct mka_key k = {.cak_n = n ? 32 : 0};

    if (n) {
        memset(k.ckn, "0123456789abcdef"[n & 15], MKA_CKN_MAX);
        memset(k.cak, (int)n, sizeof k.cak);
    }
    return k;
}

static struct mka_conf
keys(unsigned primary, unsigned fallback)
{
    return (struct mka_conf){.on = true, .ca = "CA1", .cipher = "gcm-aes-256", .priority = 16, .hello_ms = HELLO,
                             .psk = key(primary), .fallback = key(fallback)};
}

static void
set(struct mka_port *p, struct mka_conf c)
{
    mka_port_configure(p, &c, now + (p == &a ? a_clock : b_clock), now);
}

static void
pass(int64_t ms)
{
    for (int64_t end = now + ms; now < end;) {
        now += STEP;
        mka_run((struct mka_end){&a, now + a_clock}, (struct mka_end){&b, now + b_clock}, now);
    }
}

static int
start(void **state)
{
    (void)state;
    now = INT64_C(1700000000000);
    a_clock = b_clock = 0;
    mka_port_start(&a, 0x1000, 1, now);
    mka_port_start(&b, 0x2000, 2, now);
    mka_port_up(&a, true, now);
    mka_port_up(&b, true, now);
    return 0;
}

static int
end(void **state)
{
    (void)state;
    mka_port_end(&a);
    mka_port_end(&b);
    return 0;
}

static void
begin(unsigned primary, unsigned fallback)
{
    set(&a, keys(primary, fallback));
    set(&b, keys(primary, fallback));
    pass(3 * HELLO);
    assert_int_equal(mka_state_of(&a, now), MKA_BY_PRIMARY);
    assert_int_equal(mka_state_of(&b, now), MKA_BY_PRIMARY);
}

static enum mka_status
status(const struct mka_port *p, enum mka_type type)
{
    const struct mka_part *part = mka_part_of(p, type);

    assert_non_null(part);
    return mka_status_of(p, part);
}

static void
nothing_lost(void)
{
    const struct mka_port *both[] = {&a, &b};

    for (size_t i = 0; i < 2; i++) {
        assert_true(both[i]->secured_once);
        assert_int_equal(both[i]->unsecured_ms, 0);
        assert_int_equal(both[i]->clear_ms, 0);
        assert_int_equal(both[i]->lost_ms, 0);
    }
}

static void
first_key_secures(void **state)
{
    (void)state;
    set(&a, keys(1, 0));
    pass(LIFE);
    assert_false(mka_secured(&a));
    assert_int_equal(status(&a, MKA_PRIMARY), MKA_IN_PROGRESS);
    assert_int_equal(mka_state_of(&a, now), MKA_UNSECURED);
    set(&b, keys(1, 0));
    pass(2 * HELLO);
    assert_int_equal(mka_state_of(&a, now), MKA_BY_PRIMARY);
    assert_int_equal(status(&a, MKA_PRIMARY), MKA_LIVE);
    assert_true(a.key_server && !b.key_server); /* the lower SCI */
    assert_memory_equal(a.latest.mi, b.latest.mi, MKA_MI);
    assert_int_equal(a.latest.kn, b.latest.kn);
    nothing_lost();
}

static void
priority_decides_who_serves(void **state)
{
    struct mka_conf c = keys(1, 0);

    (void)state;
    c.priority = 1;
    set(&a, keys(1, 0));
    set(&b, c);
    pass(3 * HELLO);
    assert_true(b.key_server && !a.key_server);
    assert_true(mka_secured(&a) && mka_secured(&b));
}

static void
fallback_carries_a_rotation(void **state)
{
    (void)state;
    begin(1, 2);
    assert_int_equal(status(&a, MKA_FALLBACK), MKA_ACTIVE);
    set(&a, keys(3, 1));
    pass(5 * LIFE); /* the other end is late */
    assert_int_equal(mka_state_of(&a, now), MKA_BY_FALLBACK);
    assert_int_equal(mka_state_of(&b, now), MKA_BY_PRIMARY);
    assert_int_equal(status(&a, MKA_PRIMARY), MKA_IN_PROGRESS);
    assert_int_equal(status(&b, MKA_FALLBACK), MKA_IN_PROGRESS);
    assert_null(mka_part_of(&a, MKA_PRECEDING)); /* it is the fallback one, the same participant */
    set(&b, keys(3, 1));
    pass(2 * HELLO);
    assert_int_equal(mka_state_of(&a, now), MKA_BY_PRIMARY);
    assert_int_equal(mka_state_of(&b, now), MKA_BY_PRIMARY);
    assert_int_equal(status(&a, MKA_FALLBACK), MKA_ACTIVE);
    assert_string_equal(a.latest.by.ckn, key(3).ckn);
    nothing_lost();
}

static void
preceding_carries_a_rotation(void **state)
{
    unsigned an;

    (void)state;
    begin(1, 0);
    an = a.latest.an;
    set(&a, keys(3, 0));
    assert_int_equal(mka_type_of(mka_part_of(&a, MKA_PRECEDING), now), MKA_PRIMARY); /* two primary ones, for a while */
    pass(5 * LIFE);
    assert_int_equal(mka_type_of(mka_part_of(&a, MKA_PRECEDING), now), MKA_PRECEDING);
    assert_int_equal(mka_state_of(&a, now), MKA_BY_PRECEDING);
    assert_int_equal(status(&a, MKA_PRECEDING), MKA_LIVE);
    assert_int_equal(status(&a, MKA_PRIMARY), MKA_IN_PROGRESS);
    assert_int_equal(mka_part_of(&a, MKA_PRIMARY)->rx, 0);
    assert_int_equal(b.stats.unknown_ckn > 0, true);
    assert_string_equal(b.unknown, key(3).ckn);
    set(&b, keys(3, 0));
    pass(4 * HELLO);
    assert_null(mka_part_of(&a, MKA_PRECEDING));
    assert_null(mka_part_of(&b, MKA_PRECEDING));
    assert_int_equal(mka_state_of(&a, now), MKA_BY_PRIMARY);
    assert_int_equal(a.latest.an, (an + 1) % 4);
    nothing_lost();
}

static void
hundred_rotations_lose_nothing(void **state)
{
    (void)state;
    begin(1, 2);
    for (unsigned n = 3; n < 103; n++) {
        struct mka_port *first = n % 2 ? &a : &b, *second = n % 2 ? &b : &a;
        unsigned last = n == 3 ? 1 : (n - 1) % 13 + 1;

        set(first, keys(n % 13 + 1, n % 3 ? last : 0));
        pass((n * 700) % 9000);
        set(second, keys(n % 13 + 1, n % 3 ? last : 0));
        pass(4 * HELLO);
        assert_int_equal(mka_state_of(&a, now), MKA_BY_PRIMARY);
        assert_int_equal(mka_state_of(&b, now), MKA_BY_PRIMARY);
    }
    nothing_lost();
}

static void
only_one_key_precedes(void **state)
{
    (void)state;
    begin(1, 0);
    set(&a, keys(3, 0));
    pass(LIFE);
    set(&a, keys(4, 0)); /* the key that is in use is neither primary nor preceding any more */
    pass(2 * LIFE);
    assert_false(mka_secured(&a));
    assert_true(a.unsecured_ms > 0 && b.unsecured_ms > 0);
}

static void
confirmed_key_comes_back(void **state)
{
    (void)state;
    begin(1, 0);
    set(&a, keys(3, 0));
    pass(LIFE);
    set(&a, keys(1, 0));
    pass(2 * LIFE);
    assert_int_equal(mka_state_of(&a, now), MKA_BY_PRIMARY);
    assert_null(mka_part_of(&a, MKA_PRECEDING));
    nothing_lost();
}

static void
without_preceding_traffic_stops(void **state)
{
    struct mka_conf c = keys(3, 0);

    (void)state;
    begin(1, 0);
    c.no_preceding = true;
    set(&a, c);
    pass(2 * LIFE);
    assert_false(mka_secured(&a) || mka_secured(&b));
    assert_true(a.unsecured_ms > 0);
    assert_int_equal(a.clear_ms, 0);
    set(&b, keys(3, 0));
    pass(3 * HELLO);
    assert_true(mka_secured(&a) && mka_secured(&b));
}

static void
wrong_cak_is_seen(void **state)
{
    struct mka_conf c = keys(3, 1);

    (void)state;
    begin(1, 2);
    set(&a, keys(3, 1));
    c.psk.cak[7] ^= 1;
    set(&b, c);
    pass(3 * LIFE);
    assert_true(a.stats.icv_mismatch > 0 && b.stats.icv_mismatch > 0);
    assert_int_equal(status(&a, MKA_PRIMARY), MKA_IN_PROGRESS);
    assert_int_equal(mka_state_of(&a, now), MKA_BY_FALLBACK);
    nothing_lost();
}

/* Two keys of a chain; the second one begins at start. */
static struct mka_conf
chain(int64_t start)
{
    struct mka_conf c = keys(0, 2);

    strcpy(c.chain_name, "KC");
    c.n_chain = 2;
    c.chain = calloc(2, sizeof *c.chain);
    assert_non_null(c.chain);
    c.chain[0] = (struct mka_chain_key){.slot = 5, .key = key(1)};
    c.chain[1] = (struct mka_chain_key){.slot = 6, .start_ms = start, .key = key(3)};
    return c;
}

static void
chain_changes_by_each_clock(void **state)
{
    int64_t at;

    (void)state;
    b_clock = -1500;
    at = now + 60000;
    set(&a, chain(at));
    set(&b, chain(at));
    pass(59000);
    assert_int_equal(a.active_slot, 5);
    assert_int_equal(mka_state_of(&b, now), MKA_BY_PRIMARY);
    pass(1500);
    assert_int_equal(a.active_slot, 6);
    assert_int_equal(b.active_slot, 5); /* its clock is behind */
    assert_int_equal(mka_state_of(&a, now), MKA_BY_PRECEDING);
    pass(LIFE);
    assert_int_equal(b.active_slot, 6);
    assert_string_equal(a.latest.by.ckn, key(3).ckn);
    assert_string_equal(b.latest.by.ckn, key(3).ckn);
    nothing_lost();
}

static void
what_goes_in_clear_is_counted(void **state)
{
    struct mka_conf c = keys(4, 0);

    (void)state;
    begin(1, 0);
    c.should_secure = c.no_preceding = true;
    set(&a, c);
    pass(LIFE);
    assert_true(a.clear_ms > 0);
    assert_int_equal(a.clear_ms, a.unsecured_ms);
    assert_int_equal(b.clear_ms, 0); /* it drops */
}

static void
no_encryption_is_clear(void **state)
{
    struct mka_conf c = keys(1, 0);

    (void)state;
    begin(1, 0);
    c.no_encryption = true;
    set(&a, c);
    pass(10000);
    assert_true(mka_secured(&a));
    assert_int_equal(a.clear_ms, 10000);
    assert_int_equal(a.unsecured_ms, 0);
}

static void
binding_removed_is_clear(void **state)
{
    (void)state;
    begin(1, 0);
    set(&a, (struct mka_conf){.on = false});
    pass(10000);
    assert_int_equal(a.clear_ms, 10000);
    assert_true(b.unsecured_ms > 0);
}

static void
cable_cut_is_down_and_not_unsecured(void **state)
{
    unsigned char mi[MKA_MI];

    (void)state;
    begin(1, 2);
    memcpy(mi, mka_part_of(&a, MKA_PRIMARY)->mi, MKA_MI);
    mka_port_up(&a, false, now);
    mka_port_up(&b, false, now);
    pass(20000);
    assert_false(mka_secured(&a));
    mka_port_up(&a, true, now);
    mka_port_up(&b, true, now);
    pass(2 * HELLO);
    assert_true(mka_secured(&a) && mka_secured(&b));
    assert_memory_not_equal(mi, mka_part_of(&a, MKA_PRIMARY)->mi, MKA_MI);
    assert_true(a.down_ms >= 20000);
    nothing_lost();
    set(&b, keys(4, 5)); /* but a link that does not come back in time is */
    mka_port_up(&a, false, now);
    mka_port_up(&a, true, now);
    mka_port_up(&b, false, now);
    mka_port_up(&b, true, now);
    pass(20 * LIFE);
    assert_true(a.unsecured_ms > LIFE);
}

static void
rekey_takes_the_next_an(void **state)
{
    struct mka_conf c = keys(1, 0);

    (void)state;
    c.rekey_ms = 60000;
    set(&a, c);
    set(&b, keys(1, 0));
    pass(5000);
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(a.latest.an, i % 4);
        assert_int_equal(b.latest.an, i % 4);
        assert_int_equal(a.latest.kn, i + 1);
        pass(60000);
    }
    nothing_lost();
}

static void
suspended_is_not_lost(void **state)
{
    (void)state;
    begin(1, 0);
    a.suspended_ms = b.suspended_ms = now + 5 * LIFE;
    pass(5 * LIFE - STEP);
    assert_int_equal(mka_state_of(&a, now), MKA_SUSPENDED);
    pass(2 * HELLO);
    assert_int_equal(mka_state_of(&a, now), MKA_BY_PRIMARY);
    nothing_lost();
}

static void
ckn_is_compared_filled_up(void **state)
{
    (void)state;
    assert_true(mka_ckn_same("badc0ffe01", "badc0ffe01000000"));
    assert_true(mka_ckn_same("badc0ffe0100", "badc0ffe01"));
    assert_false(mka_ckn_same("badc0ffe01", "badc0ffe0101"));
    assert_false(mka_ckn_same("badc0ffe01", "badc0ffe02"));
    assert_false(mka_ckn_same("", ""));
    assert_false(mka_ckn_same("", "00"));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, start, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(first_key_secures),
        CASE(priority_decides_who_serves),
        CASE(fallback_carries_a_rotation),
        CASE(preceding_carries_a_rotation),
        CASE(hundred_rotations_lose_nothing),
        CASE(only_one_key_precedes),
        CASE(confirmed_key_comes_back),
        CASE(without_preceding_traffic_stops),
        CASE(wrong_cak_is_seen),
        CASE(chain_changes_by_each_clock),
        CASE(what_goes_in_clear_is_counted),
        CASE(no_encryption_is_clear),
        CASE(binding_removed_is_clear),
        CASE(cable_cut_is_down_and_not_unsecured),
        CASE(rekey_takes_the_next_an),
        CASE(suspended_is_not_lost),
        CASE(ckn_is_compared_filled_up),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
