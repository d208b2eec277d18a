/* sim_chain_test.c - the simulated device as class D: start times, ring, clocks and time zones */
#include "simrig.h"

#include <string.h>

static void *a, *b;

/* Terms with a start time so many seconds after the begin of the test. */
static const char *
at(const char *keep, int after_s)
{
    static char text[4][RK_TERMS_MAX + 1];
    static unsigned next;
    char *terms = text[next++ % 4];

    snprintf(terms, sizeof text[0], "keep=%s,start=%lld", keep, (long long)(WALL_S + after_s));
    return terms;
}

static void
no_violation(void)
{
    assert_null(strstr(fake_log(), "ev=violation"));
}

/* Both ends of a link, k1 live since 10 s + one hello. */
static void
begin(void)
{
    a = rig_start("a", "d", "peer-check-dir", rig_dir(), NULL);
    b = rig_start("b", "d", "peer-check-dir", rig_dir(), NULL);
    assert_int_equal(rig_commit(a, 1, at("", 10)), RK_OK);
    assert_int_equal(rig_commit(b, 1, at("", 10)), RK_OK);
    assert_int_equal(rig_held(a, 1), HELD);
    rig_pass(10000 + HELLO_MS - 1);
    assert_int_equal(rig_held(a, 1), PRIMARY);
    rig_pass(1);
    assert_int_equal(rig_held(a, 1), IN_USE);
    assert_int_equal(rig_held(b, 1), IN_USE);
}

static void
end(void)
{
    rig_stop(a);
    rig_stop(b);
}

/* Both switch at the start time, though nobody calls them then. */
static void
test_rotation(void **state)
{
    struct rk_dev_seen seen;

    (void)state;
    begin();
    seen = rig_look(a);
    assert_string_equal(seen.facts, "clk=0");
    assert_int_equal(RK_IF_CLASS_OF(seen.state), RK_CLASS_D);
    assert_int_equal(rig_commit(a, 2, at("k1", 60)), RK_OK);
    assert_int_equal(rig_commit(b, 2, at("k1", 60)), RK_OK);
    assert_int_equal(rig_commit(b, 2, at("k1", 60)), RK_OK); /* again: nothing */
    rig_pass(48000 - 1);
    assert_int_equal(rig_held(a, 2), HELD);
    assert_int_equal(rig_held(a, 1), IN_USE);
    rig_pass(1);
    assert_int_equal(rig_held(a, 2), PRIMARY);
    assert_int_equal(rig_held(a, 1), HELD | RK_SENDING | LIVE);
    rig_pass(HELLO_MS); /* b is not called between: its participant began all the same */
    assert_int_equal(rig_held(a, 2), IN_USE);
    assert_int_equal(rig_held(b, 2), IN_USE);
    assert_int_equal(rig_held(a, 1), HELD | LIVE);
    no_violation();
    end();
}

/* One end has no new key: the link stays on the fallback. */
static void
test_half_rotation(void **state)
{
    (void)state;
    begin();
    assert_int_equal(rig_commit(a, 2, at("k1", 60)), RK_OK);
    rig_pass(200000);
    assert_int_equal(rig_held(a, 2), PRIMARY);
    assert_int_equal(rig_held(a, 1), HELD | RK_SENDING | LIVE);
    assert_int_equal(rig_held(b, 1), IN_USE);
    assert_non_null(strstr(fake_log(), "what=unknown-ckn"));
    no_violation();
    end();
}

static void
test_start_must_be_ahead(void **state)
{
    static const char *const bad[] = {"keep=k1", "keep=k1,start=", "keep=k1,start=x", "keep=k1,start=-5",
                                      "keep=k1,start=5 ", "keep=k1,start=999999999999999999"};

    (void)state;
    begin(); /* 12 s have passed */
    assert_int_equal(rig_commit(a, 2, at("k1", 12)), RK_E_CONFLICT);
    assert_non_null(strstr(rig_why(), "past"));
    assert_int_equal(rig_held(a, 2), 0);
    assert_int_equal(rig_commit(a, 2, at("k1", 13)), RK_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(rig_commit(a, 3, bad[i]), RK_E_CONTRACT);
    rig_pass(1000);
    assert_int_equal(rig_commit(a, 2, at("k1", 60)), RK_E_CONFLICT); /* it has begun */
    assert_non_null(strstr(rig_why(), "has begun"));
    end();
}

/* The device's clock counts, and is told. */
static void
test_clock_offset(void **state)
{
    (void)state;
    a = rig_start("a", "d", "clock-offset", "5000", "mka-hello", "20ms", NULL);
    assert_string_equal(rig_look(a).facts, "clk=5000");
    assert_int_equal(rig_commit(a, 1, at("", 5)), RK_E_CONFLICT);
    assert_int_equal(rig_commit(a, 1, at("", 6)), RK_OK);
    rig_pass(1000);
    assert_int_equal(rig_held(a, 1), PRIMARY); /* 6 s by its clock */
    rig_stop(a);
    a = rig_start("a", "d", "clock-offset", "-5000", NULL);
    assert_string_equal(rig_look(a).facts, "clk=-5000");
    assert_int_equal(rig_commit(a, 1, at("", 2)), RK_OK);
    rig_pass(5999);
    assert_int_equal(rig_held(a, 1), HELD);
    rig_pass(1);
    assert_int_equal(rig_held(a, 1), PRIMARY);
    rig_stop(a);
}

/* Start times are in the device's local time; two ends in different zones switch together. */
static void
test_time_zone(void **state)
{
    char file[300];

    (void)state;
    snprintf(file, sizeof file, "%s", scratch_path(&scratch, "state"));
    a = rig_start("a", "d", "peer-check-dir", rig_dir(), "state-file", file, "time-zone", "-90", NULL);
    b = rig_start("b", "d", "peer-check-dir", rig_dir(), "time-zone", "345", NULL);
    assert_int_equal(rig_commit(a, 1, at("", 60)), RK_OK);
    assert_int_equal(rig_commit(b, 1, at("", 60)), RK_OK);
    assert_non_null(strstr(rig_file("state"), " 2025-11-24.14:31:00\n")); /* 16:01 UTC */
    rig_pass(60000 - 1);
    assert_int_equal(rig_held(a, 1), HELD);
    assert_int_equal(rig_held(b, 1), HELD);
    rig_pass(1);
    assert_int_equal(rig_held(a, 1), PRIMARY);
    assert_int_equal(rig_held(b, 1), PRIMARY);
    rig_pass(HELLO_MS);
    assert_int_equal(rig_held(a, 1), IN_USE);
    rig_stop(a);
    a = rig_start("a", "d", "peer-check-dir", rig_dir(), "state-file", file, "time-zone", "-90", NULL);
    assert_int_equal(rig_held(a, 1), IN_USE); /* its start time is remembered */
    end();
}

/* Given up before its time: gone; after it: the kept key is armed again. */
static void
test_given_up(void **state)
{
    (void)state;
    begin();
    assert_int_equal(rig_commit(a, 2, at("k1", 60)), RK_OK);
    assert_int_equal(rig_revert(a, 2, "keep=k9"), RK_E_NOKEY);
    assert_int_equal(rig_revert(a, 2, "keep=k1"), RK_OK);
    assert_int_equal(rig_held(a, 2), 0);
    assert_int_equal(rig_held(a, 1), IN_USE);
    assert_int_equal(rig_commit(a, 3, at("k1", 60)), RK_OK);
    assert_int_equal(rig_commit(b, 3, at("k1", 60)), RK_OK);
    rig_pass(48000 + HELLO_MS);
    assert_int_equal(rig_held(a, 3), IN_USE);
    assert_int_equal(rig_held(b, 3), IN_USE);
    assert_int_equal(rig_revert(a, 3, "keep=k1"), RK_OK);
    assert_int_equal(rig_revert(b, 3, "keep=k1"), RK_OK);
    assert_int_equal(rig_held(a, 1), IN_USE);
    assert_int_equal(rig_held(b, 1), IN_USE);
    assert_int_equal(rig_held(a, 3), HELD | LIVE); /* in the fallback slot, until the next one */
    assert_int_equal(rig_revert(a, 3, "keep=k1"), RK_OK);
    assert_int_equal(rig_held(a, 3), HELD | LIVE);
    assert_int_equal(rig_commit(a, 4, at("k1", 120)), RK_OK);
    assert_int_equal(rig_held(a, 3), 0);
    assert_int_equal(rig_held(a, 1), IN_USE);
    no_violation();
    end();
}

/* The kept key was in the fallback slot only. */
static void
test_kept_key_is_armed_again(void **state)
{
    (void)state;
    begin();
    for (uint64_t seq = 2; seq <= 3; seq++) {
        assert_int_equal(rig_commit(a, seq, at(seq == 2 ? "k1" : "k2", ((int)seq - 1) * 60)), RK_OK);
        assert_int_equal(rig_commit(b, seq, at(seq == 2 ? "k1" : "k2", ((int)seq - 1) * 60)), RK_OK);
        rig_pass(60000);
    }
    assert_int_equal(rig_held(a, 3), IN_USE);
    assert_int_equal(rig_held(b, 3), IN_USE);
    assert_int_equal(rig_held(a, 1), 0); /* replaced in the same step as k3 came */
    assert_int_equal(rig_revert(a, 3, "keep=k2"), RK_OK);
    assert_int_equal(rig_held(a, 2), IN_USE);
    assert_int_equal(rig_held(a, 3), HELD | LIVE); /* all that b may have */
    assert_int_equal(rig_revert(b, 3, "keep=k2"), RK_OK);
    assert_int_equal(rig_held(b, 2), IN_USE);
    no_violation();
    end();
}

/* The only key is given up after its time: it does not lead any more, but stays. */
static void
test_only_key_given_up(void **state)
{
    (void)state;
    begin();
    assert_int_equal(rig_revert(a, 1, "keep="), RK_OK);
    assert_int_equal(rig_held(a, 1), HELD | RK_SENDING | LIVE);
    assert_int_equal(rig_commit(a, 2, at("", 60)), RK_OK); /* keeps what is in use */
    assert_int_equal(rig_held(a, 1), HELD | RK_SENDING | LIVE);
    no_violation();
    end();
}

static const char foreign_chain[] =
    "rekey-sim 1 a 0 0 0\nclass d\niface eth0\nlink l 0 0 0\n"
    "cak ---c- 0 0 op1 00112233445566778899aabbccddeeff -1 0 2025-01-01.00:00:00\n"
    "cak ---c- 0 0 op2 00112233445566778899aabbccddee00 -1 0 2027-01-01.00:00:00\n"
    "cak ---c- 0 0 op3 00112233445566778899aabbccddee01 -1 0 2028-01-01.00:00:00\n";

/* Keys of others stay in the chain; ours share what is left of the ring. */
static void
test_ring(void **state)
{
    struct rk_dev_seen seen;

    (void)state;
    a = rig_start("a", "d", "state-file", scratch_text(&scratch, "state", foreign_chain), "mka-hello", "20ms", NULL);
    (void)rig_look(a);
    rig_pass(20);
    seen = rig_look(a);
    assert_int_equal(seen.foreign, 3);
    assert_true(seen.state & RK_IF_OTHER);
    assert_int_equal(rig_commit(a, 1, at("", 10)), RK_OK); /* the fourth of four */
    assert_int_equal(rig_commit(a, 2, at("", 20)), RK_OK); /* in the place of k1, which nobody keeps */
    assert_int_equal(rig_held(a, 1), 0);
    assert_int_equal(rig_held(a, 2), HELD);
    assert_int_equal(rig_look(a).foreign, 3);
    rig_pass(20000 - 20);
    assert_int_equal(rig_held(a, 2), PRIMARY);
    rig_pass(20);
    assert_int_equal(rig_held(a, 2), IN_USE);
    assert_int_equal(rig_commit(a, 3, at("k2", 60)), RK_E_CONFLICT); /* k2 is in use: no slot of ours is free */
    assert_non_null(strstr(rig_why(), "full"));
    assert_int_equal(rig_held(a, 2), IN_USE);
    assert_int_equal(rig_op(a, RK_OP_SWEEP, 2, "k2", NULL), RK_OK);
    assert_int_equal(rig_look(a).foreign, 0);
    assert_int_equal(rig_commit(a, 3, at("k2", 60)), RK_OK);
    rig_stop(a);
    assert_int_equal(rig_start_err("a", "d", "ring", "5", "state-file", scratch_path(&scratch, "state"), NULL), RK_OK);
}

/* Dozens of rotations: three keys at most, and always one in common. */
static void
test_many_rotations(void **state)
{
    char keep[24] = "k1";

    (void)state;
    begin();
    for (int i = 2; i < 60; i++) {
        assert_int_equal(rig_commit(a, (uint64_t)i, at(keep, i * 60)), RK_OK);
        assert_int_equal(rig_commit(b, (uint64_t)i, at(keep, i * 60)), RK_OK);
        rig_pass(30000);
        assert_in_range(rig_look(a).foreign, 0, 3);
        rig_pass(30000);
        (void)rig_look(a);
        snprintf(keep, sizeof keep, "k%d", i);
        if (i == 2)
            rig_pass(50000); /* k1 began at 10 s: from here on at the middle between two starts */
    }
    assert_int_equal(rig_op(a, RK_OP_SWEEP, 59, "k59", NULL), RK_OK);
    no_violation();
    end();
}

/* The clock on the wall jumps back behind a start time: the old key is the newest begun again. */
static void
test_clock_jumps(void **state)
{
    (void)state;
    begin();
    assert_int_equal(rig_commit(a, 2, at("k1", 60)), RK_OK);
    assert_int_equal(rig_commit(b, 2, at("k1", 60)), RK_OK);
    rig_pass(48000 + HELLO_MS);
    assert_int_equal(rig_held(a, 2), IN_USE);
    assert_int_equal(rig_held(b, 2), IN_USE);
    rig_step_wall(-30000);
    assert_int_equal(rig_held(a, 2), HELD);
    assert_int_equal(rig_held(b, 2), HELD);
    assert_int_equal(rig_held(a, 1), IN_USE);
    rig_pass(30000 - HELLO_MS);
    assert_int_equal(rig_held(b, 2), PRIMARY);
    assert_int_equal(rig_held(a, 1), HELD | RK_SENDING | LIVE);
    rig_pass(HELLO_MS);
    assert_int_equal(rig_held(a, 2), IN_USE);
    rig_step_wall(INT64_C(86400000) * 365); /* a year ahead */
    assert_int_equal(rig_held(a, 2), IN_USE);
    no_violation();
    end();
}

static void
test_shut(void **state)
{
    (void)state;
    begin();
    assert_int_equal(rig_op(a, RK_OP_SHUT, 1, "k1", NULL), RK_OK);
    rig_pass(3 * HELLO_MS);
    assert_int_equal(rig_held(a, 1), PRIMARY);
    assert_int_equal(rig_held(b, 1), PRIMARY);
    assert_int_equal(rig_commit(a, 2, at("k1", 60)), RK_OK); /* opens it: k1 again until then */
    rig_pass(HELLO_MS);
    assert_int_equal(rig_held(a, 1), IN_USE);
    assert_int_equal(rig_held(b, 1), IN_USE);
    no_violation();
    end();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_rotation),
        RIG_TEST(test_half_rotation),
        RIG_TEST(test_start_must_be_ahead),
        RIG_TEST(test_clock_offset),
        RIG_TEST(test_time_zone),
        RIG_TEST(test_given_up),
        RIG_TEST(test_kept_key_is_armed_again),
        RIG_TEST(test_only_key_given_up),
        RIG_TEST(test_ring),
        RIG_TEST(test_many_rotations),
        RIG_TEST(test_clock_jumps),
        RIG_TEST(test_shut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
