/* sim_cak_test.c - the simulated device as classes B, C and E: commits, MKA, what it tells, its memory, its witness */
#include "simrig.h"

#include <string.h>

static void *a, *b;

/* Both ends of a link, with the key k1 live. */
static void
begin(const char *class)
{
    a = rig_start("a", class, "peer-check-dir", rig_dir(), NULL);
    b = rig_start("b", class, "peer-check-dir", rig_dir(), NULL);
    assert_int_equal(rig_commit(a, 1, "keep="), RK_OK);
    assert_int_equal(rig_commit(b, 1, "keep="), RK_OK);
    rig_pass(HELLO_MS);
    assert_int_equal(rig_held(a, 1), IN_USE);
    assert_int_equal(rig_held(b, 1), IN_USE);
}

static void
end(void)
{
    rig_stop(a);
    rig_stop(b);
}

static void
no_violation(void)
{
    assert_null(strstr(fake_log(), "ev=violation"));
    assert_null(strstr(rig_file("check/events.log"), "op=violation"));
}

static void
test_live_after_a_hello(void **state)
{
    static const char *const classes[] = {"b", "c", "e"};

    (void)state;
    for (int i = 0; i < 3; i++) {
        rig_teardown(NULL);
        rig_setup(NULL);
        a = rig_start("a", classes[i], "peer-check-dir", rig_dir(), NULL);
        b = rig_start("b", classes[i], "peer-check-dir", rig_dir(), NULL);
        assert_int_equal(rig_commit(a, 1, "keep="), RK_OK);
        rig_pass(10 * HELLO_MS);
        assert_int_equal(rig_held(a, 1), PRIMARY); /* in progress: nobody is there */
        assert_int_equal(rig_commit(b, 1, "keep="), RK_OK);
        rig_pass(HELLO_MS - 1);
        assert_int_equal(rig_held(a, 1), PRIMARY);
        assert_int_equal(rig_held(b, 1), PRIMARY);
        rig_pass(1);
        assert_int_equal(rig_held(a, 1), IN_USE);
        assert_int_equal(rig_held(b, 1), IN_USE);
        no_violation();
        end();
    }
}

static void
test_presumed_peer(void **state)
{
    (void)state;
    a = rig_start("a", "b", "mka-hello", "20ms", NULL); /* no directory: the peer follows at once */
    assert_int_equal(rig_commit(a, 1, "keep="), RK_OK);
    rig_pass(19);
    assert_int_equal(rig_held(a, 1), PRIMARY);
    rig_pass(1);
    assert_int_equal(rig_held(a, 1), IN_USE);
    rig_stop(a);
}

/* The old key is used until the new one is live, then waits in the fallback slot. */
static void
test_rotation_b(void **state)
{
    (void)state;
    begin("b");
    assert_int_equal(rig_commit(a, 2, "keep=k1"), RK_OK);
    rig_pass(20 * HELLO_MS);
    assert_int_equal(rig_held(a, 2), PRIMARY);
    assert_int_equal(rig_held(a, 1), HELD | RK_SENDING | LIVE);
    assert_int_equal(rig_held(b, 1), IN_USE);
    assert_non_null(strstr(rig_file("check/l/a@eth0"), "\ncak role=preceding status=live seq=1 id=k1 "));
    assert_int_equal(rig_commit(b, 2, "keep=k1"), RK_OK);
    rig_pass(HELLO_MS);
    assert_int_equal(rig_held(a, 2), IN_USE);
    assert_int_equal(rig_held(b, 2), IN_USE);
    assert_int_equal(rig_held(a, 1), HELD | LIVE);
    assert_non_null(strstr(rig_file("check/l/a@eth0"), "\ncak role=fallback status=live seq=1 id=k1 "));
    /* The next one: what was kept goes. */
    assert_int_equal(rig_commit(a, 3, "keep=k2"), RK_OK);
    assert_int_equal(rig_held(a, 1), 0);
    assert_int_equal(rig_held(a, 2), HELD | RK_SENDING | LIVE);
    no_violation();
    end();
}

static void
test_unknown_ckn_is_noise(void **state)
{
    (void)state;
    begin("b");
    fake_log_clear();
    assert_int_equal(rig_commit(a, 2, "keep=k1"), RK_OK);
    assert_int_equal(rig_held(b, 1), IN_USE);
    assert_non_null(strstr(fake_log(), "ev=mka what=unknown-ckn iface=eth0 link=l key_id=k2 count=1"));
    fake_log_clear();
    for (int i = 0; i < 5; i++) {
        rig_pass(HELLO_MS);
        assert_int_equal(rig_held(b, 1), IN_USE); /* harmless, and told once */
    }
    assert_string_equal(fake_log(), "");
    end();
}

static void
test_other_bytes_are_not_live(void **state)
{
    struct rk_dev_op op = {.kind = RK_OP_STAGE, .seq = 2, .link = "l", .iface = "eth0", .key_id = "k2",
                           .peer_facts = "", .text = "keep=k1", .err = RK_E_CONTRACT};
    extern const struct rk_plugin sim_LTX_rk_plugin;
    const struct rk_device_ops *ops = sim_LTX_rk_plugin.ops;
    struct rk_secret *key = fake_secret("0123456789abcdef", 16);

    (void)state;
    begin("b");
    assert_int_equal(rig_commit(a, 2, "keep=k1"), RK_OK);
    op.key = key;
    assert_int_equal(ops->apply(b, &rig_call, &op, 1), RK_OK);
    assert_int_equal(op.err, RK_OK);
    rig_pass(5 * HELLO_MS);
    assert_int_equal(rig_held(a, 2), PRIMARY);
    assert_int_equal(rig_held(b, 2), PRIMARY);
    assert_int_equal(rig_held(b, 1), HELD | RK_SENDING | LIVE);
    assert_non_null(strstr(fake_log(), "ev=mka what=wrong-cak iface=eth0 link=l key_id=k2"));
    assert_int_equal(ops->apply(a, &rig_call, &op, 1), RK_OK); /* the same ID with other bytes, on one device */
    assert_int_equal(op.err, RK_E_CONFLICT);
    fake_host.secret_free(&key);
    no_violation();
    end();
}

/* A peer that takes its participant away is heard for the last time then, and gone three hellos later. */
static void
test_dies_after_three_hellos(void **state)
{
    (void)state;
    begin("b");
    assert_int_equal(rig_commit(a, 2, "keep=k1"), RK_OK);
    assert_int_equal(rig_commit(b, 2, "keep=k1"), RK_OK);
    rig_pass(HELLO_MS);
    assert_int_equal(rig_held(a, 2), IN_USE);
    assert_int_equal(rig_revert(b, 2, "keep=k1"), RK_OK); /* it changes places only: still there */
    assert_int_equal(rig_held(b, 1), IN_USE);
    assert_int_equal(rig_held(b, 2), HELD | LIVE);
    rig_pass(9 * HELLO_MS);
    assert_int_equal(rig_held(a, 2), IN_USE);
    assert_int_equal(rig_commit(b, 3, "keep=k1"), RK_OK); /* and goes with the next one */
    assert_int_equal(rig_held(b, 2), 0);
    rig_pass(3 * HELLO_MS - 1);
    assert_int_equal(rig_held(a, 2), IN_USE);
    rig_pass(1);
    assert_int_equal(rig_held(a, 2), PRIMARY);
    assert_int_equal(rig_held(a, 1), HELD | RK_SENDING | LIVE);
    no_violation();
    end();
}

static void
test_cut_cable(void **state)
{
    (void)state;
    begin("b");
    scratch_text(&scratch, "check/l/cut", "");
    rig_pass(3 * HELLO_MS);
    assert_int_equal(rig_held(a, 1), PRIMARY); /* held all the same */
    assert_false(rig_look(a).state & RK_IF_OTHER);
    assert_int_equal(unlink(scratch_path(&scratch, "check/l/cut")), 0);
    assert_int_equal(rig_held(a, 1), IN_USE);
    no_violation();
    end();
}

static void
test_given_up_b(void **state)
{
    (void)state;
    begin("b");
    assert_int_equal(rig_commit(a, 2, "keep=k1"), RK_OK);
    assert_int_equal(rig_revert(a, 2, "keep=k9"), RK_E_NOKEY);
    assert_int_equal(rig_held(a, 2), PRIMARY); /* unchanged */
    assert_int_equal(rig_revert(a, 2, "keep=k1"), RK_OK);
    for (int i = 0; i < 2; i++) { /* again: nothing */
        assert_int_equal(rig_held(a, 1), IN_USE);
        assert_int_equal(rig_held(a, 2), HELD);
        assert_int_equal(rig_revert(a, 2, "keep=k1"), RK_OK);
    }
    assert_int_equal(rig_revert(a, 4, "keep=k1"), RK_OK); /* one that was never there */
    assert_int_equal(rig_held(a, 1), IN_USE);
    assert_int_equal(rig_commit(a, 2, "keep=k1"), RK_OK); /* a CAK may come again: its SAK is a new one */
    assert_int_equal(rig_commit(b, 2, "keep=k1"), RK_OK);
    rig_pass(HELLO_MS);
    assert_int_equal(rig_held(b, 2), IN_USE);
    no_violation();
    end();
}

/* A burnt candidate is primary, "keep" in the fallback slot: the next commit keeps what is confirmed. */
static void
test_keep_is_not_the_primary(void **state)
{
    (void)state;
    begin("b");
    assert_int_equal(rig_commit(a, 2, "keep=k1"), RK_OK);
    assert_int_equal(rig_commit(a, 3, "keep=k1"), RK_OK);
    assert_int_equal(rig_held(a, 2), 0);
    assert_int_equal(rig_held(a, 1), HELD | RK_SENDING | LIVE);
    assert_int_equal(rig_commit(a, 4, "keep="), RK_OK); /* what is in use: k1, not the primary k3 */
    assert_int_equal(rig_held(a, 3), 0);
    assert_int_equal(rig_held(a, 1), HELD | RK_SENDING | LIVE);
    assert_int_equal(rig_commit(a, 4, "keep="), RK_OK); /* the same again changes nothing */
    assert_int_equal(rig_held(a, 1), HELD | RK_SENDING | LIVE);
    no_violation();
    end();
}

static void
test_bad_terms(void **state)
{
    static const char *const bad[] = {"", "keep", "kept=k1", "keep=a b", "keep=a|b",
        "keep=0123456789012345678901234567890123456789012345678901234567890123456789"};

    (void)state;
    begin("b");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(rig_commit(a, 2, bad[i]), RK_E_CONTRACT);
        assert_int_equal(rig_revert(a, 2, bad[i]), RK_E_CONTRACT);
        assert_true(rig_why()[0]);
    }
    assert_int_equal(rig_commit(a, 2, "keep=k2"), RK_E_CONTRACT);
    assert_int_equal(rig_commit(a, 2, "keep=k3"), RK_E_NOKEY);
    assert_int_equal(rig_op(a, RK_OP_ACTIVATE, 1, "k1", NULL), RK_E_UNSUPPORTED);
    assert_int_equal(rig_held(a, 1), IN_USE);
    assert_int_equal(rig_held(a, 2), 0);
    end();
}

/* Class C: two deep, and the preceding one goes by itself. */
static void
test_rotation_c(void **state)
{
    (void)state;
    begin("c");
    assert_int_equal(rig_look(a).state, RK_IF_PRESENT | RK_IF_UP | RK_IF_PROTECTED | RK_IF_CLASS(RK_CLASS_C));
    assert_int_equal(rig_commit(a, 2, "keep=k1"), RK_OK);
    rig_pass(20 * HELLO_MS);
    assert_int_equal(rig_held(a, 1), HELD | RK_SENDING | LIVE);
    /* Another commit would push the only common key out. */
    assert_int_equal(rig_commit(a, 3, "keep=k1"), RK_E_CONFLICT);
    assert_int_equal(rig_held(a, 1), HELD | RK_SENDING | LIVE);
    assert_int_equal(rig_commit(b, 2, "keep=k1"), RK_OK);
    rig_pass(HELLO_MS);
    assert_int_equal(rig_held(a, 2), IN_USE);
    assert_int_equal(rig_held(b, 2), IN_USE);
    assert_int_equal(rig_held(a, 1), 0);
    assert_int_equal(rig_look(a).foreign, 0); /* the copy for a rollback is no key in use */
    assert_int_equal(rig_commit(a, 3, "keep=k2"), RK_OK);
    no_violation();
    end();
}

static void
test_given_up_c(void **state)
{
    (void)state;
    begin("c");
    assert_int_equal(rig_commit(a, 2, "keep=k1"), RK_OK);
    assert_int_equal(rig_revert(a, 2, "keep=k1"), RK_OK);
    assert_int_equal(rig_held(a, 1), IN_USE);
    assert_int_equal(rig_held(a, 2), 0); /* k1 was live all the time: nothing precedes it */
    assert_int_equal(rig_commit(a, 3, "keep=k1"), RK_OK);
    /* Both had it live; then it is given up, when k1 is no participant any more. */
    assert_int_equal(rig_commit(b, 3, "keep=k1"), RK_OK);
    rig_pass(HELLO_MS);
    assert_int_equal(rig_held(a, 3), IN_USE);
    assert_int_equal(rig_held(b, 3), IN_USE);
    assert_int_equal(rig_held(a, 1), 0);
    assert_int_equal(rig_revert(a, 3, "keep=k1"), RK_OK); /* from the rollback */
    assert_int_equal(rig_held(a, 1), PRIMARY);
    assert_int_equal(rig_held(a, 3), HELD | RK_SENDING | LIVE);
    assert_int_equal(rig_revert(b, 3, "keep=k1"), RK_OK);
    rig_pass(HELLO_MS);
    assert_int_equal(rig_held(a, 1), IN_USE);
    assert_int_equal(rig_held(b, 1), IN_USE);
    assert_int_equal(rig_revert(a, 3, "keep=k2"), RK_E_NOKEY);
    no_violation();
    end();
}

static void
test_shut(void **state)
{
    (void)state;
    begin("b");
    assert_int_equal(rig_op(a, RK_OP_SHUT, 1, "k1", NULL), RK_OK);
    assert_int_equal(rig_held(a, 1), PRIMARY);
    assert_false(rig_look(a).state & RK_IF_OTHER);
    rig_pass(3 * HELLO_MS - 1);
    assert_int_equal(rig_held(b, 1), IN_USE);
    rig_pass(1);
    assert_int_equal(rig_held(b, 1), PRIMARY); /* nothing comes any more */
    rig_pass(100 * HELLO_MS);
    assert_int_equal(rig_held(a, 1), PRIMARY);
    assert_int_equal(rig_commit(a, 2, "keep=k1"), RK_OK); /* opens it */
    rig_pass(HELLO_MS);
    assert_int_equal(rig_held(a, 1), HELD | RK_SENDING | LIVE);
    assert_int_equal(rig_op(a, RK_OP_SHUT, 2, "k2", NULL), RK_OK);
    assert_int_equal(rig_held(a, 1), HELD);
    assert_int_equal(rig_commit(a, 2, "keep=k1"), RK_OK); /* the same again does, too */
    rig_pass(HELLO_MS);
    assert_int_equal(rig_held(a, 1), HELD | RK_SENDING | LIVE);
    no_violation();
    end();
}

static const char operators_key[] =
    "rekey-sim 1 %s 0 0 0\nclass b\niface eth0\nlink l 0 0 0\n"
    "cak p---- 0 0 operator 00112233445566778899aabbccddeeff -1 0 -\n"
    "cak -f--- 1 1 k1 112233445566778899aabbccddeeff00 -1 0 -\n";

static void
begin_with_operators_key(void)
{
    char text[500];

    snprintf(text, sizeof text, operators_key, "a");
    scratch_text(&scratch, "a.state", text);
    snprintf(text, sizeof text, operators_key, "b");
    scratch_text(&scratch, "b.state", text);
    a = rig_start("a", "b", "peer-check-dir", rig_dir(), "state-file", scratch_path(&scratch, "a.state"), NULL);
    b = rig_start("b", "b", "peer-check-dir", rig_dir(), "state-file", scratch_path(&scratch, "b.state"), NULL);
    (void)rig_look(a);
    (void)rig_look(b);
    rig_pass(HELLO_MS);
}

/* Someone put a key of his own in at both ends. */
static void
test_operators_key(void **state)
{
    struct rk_dev_seen seen;

    (void)state;
    begin_with_operators_key();
    seen = rig_look(a);
    assert_true(seen.state & RK_IF_OTHER);
    assert_int_equal(seen.foreign, 1);
    assert_string_equal(seen.why, "operator");
    assert_int_equal(seen.held[0], HELD | LIVE);
    assert_int_equal(rig_revert(a, 2, "keep=k1"), RK_E_CONFLICT); /* on the way back it is never replaced */
    assert_non_null(strstr(rig_why(), "someone else"));
    assert_int_equal(rig_op(a, RK_OP_SWEEP, 1, "k1", NULL), RK_E_CONFLICT);
    assert_int_equal(rig_look(a).foreign, 1);
    no_violation();
    end();
}

static void
test_sweep(void **state)
{
    (void)state;
    begin_with_operators_key();
    assert_int_equal(rig_commit(a, 2, "keep="), RK_OK); /* keeps what is in use, whose ever it is */
    assert_int_equal(rig_look(a).foreign, 1);
    assert_int_equal(rig_held(a, 1), 0);
    assert_int_equal(rig_commit(b, 2, "keep="), RK_OK);
    assert_int_equal(rig_op(a, RK_OP_SWEEP, 2, "k2", NULL), RK_E_CONFLICT); /* not live yet */
    rig_pass(HELLO_MS);
    assert_int_equal(rig_held(a, 2), IN_USE);
    assert_int_equal(rig_held(b, 2), IN_USE);
    assert_int_equal(rig_op(a, RK_OP_SWEEP, 2, "k2", NULL), RK_OK);
    assert_int_equal(rig_op(b, RK_OP_SWEEP, 2, "k2", NULL), RK_OK);
    assert_int_equal(rig_look(a).foreign, 0);
    assert_int_equal(rig_held(a, 2), IN_USE);
    no_violation();
    end();
}

/* The ends had a key in common, and have none now. */
static void
test_violation(void **state)
{
    (void)state;
    begin("b");
    assert_int_equal(rig_commit(a, 2, "keep=k1"), RK_OK);
    assert_int_equal(rig_commit(b, 3, "keep=k1"), RK_OK);
    no_violation(); /* k1 is common */
    assert_int_equal(rig_commit(a, 4, "keep=k2"), RK_OK);
    assert_non_null(strstr(fake_log(), "ev=violation what=no-common-key iface=eth0 link=l seq=4 key_id=k4"));
    assert_non_null(strstr(rig_file("check/events.log"), " op=violation dev=a iface=eth0 link=l seq=4 id=k4 "));
    end();
}

/* The first key is given up at one end, and there is none to go back to: it is not primary any more, but stays. */
static void
test_only_key_given_up(void **state)
{
    static const char *const classes[] = {"b", "c"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        rig_teardown(NULL);
        rig_setup(NULL);
        begin(classes[i]);
        assert_int_equal(rig_revert(a, 1, "keep="), RK_OK);
        assert_int_equal(rig_held(a, 1), HELD | RK_SENDING | LIVE);
        assert_int_equal(rig_revert(a, 1, "keep="), RK_OK);
        assert_int_equal(rig_commit(a, 2, "keep="), RK_OK);
        assert_int_equal(rig_held(a, 1), HELD | RK_SENDING | LIVE);
        assert_int_equal(rig_commit(b, 2, "keep=k1"), RK_OK);
        rig_pass(HELLO_MS);
        assert_int_equal(rig_held(a, 2), IN_USE);
        no_violation();
        end();
    }
}

/* A peer of class C has dropped the old key when the new one was live; the given-up one is all that both have. */
static void
test_given_up_with_c(void **state)
{
    (void)state;
    a = rig_start("a", "b", "peer-check-dir", rig_dir(), NULL);
    b = rig_start("b", "c", "peer-check-dir", rig_dir(), NULL);
    for (uint64_t seq = 1; seq <= 2; seq++) {
        assert_int_equal(rig_commit(a, seq, seq == 1 ? "keep=" : "keep=k1"), RK_OK);
        assert_int_equal(rig_commit(b, seq, seq == 1 ? "keep=" : "keep=k1"), RK_OK);
        rig_pass(HELLO_MS);
        assert_int_equal(rig_held(a, seq), IN_USE);
        assert_int_equal(rig_held(b, seq), IN_USE);
    }
    assert_int_equal(rig_held(b, 1), 0);
    assert_int_equal(rig_revert(a, 2, "keep=k1"), RK_OK);
    rig_pass(100 * HELLO_MS);
    assert_int_equal(rig_held(a, 1), PRIMARY);
    assert_int_equal(rig_held(a, 2), HELD | RK_SENDING | LIVE);
    assert_int_equal(rig_held(b, 2), IN_USE);
    assert_int_equal(rig_revert(b, 2, "keep=k1"), RK_OK);
    rig_pass(HELLO_MS);
    assert_int_equal(rig_held(a, 1), IN_USE);
    assert_int_equal(rig_held(b, 1), IN_USE);
    no_violation();
    end();
}

static void
test_state_survives(void **state)
{
    const char *path = scratch_path(&scratch, "state");
    char file[300];

    (void)state;
    snprintf(file, sizeof file, "%s", path);
    a = rig_start("a", "b", "peer-check-dir", rig_dir(), "state-file", file, NULL);
    b = rig_start("b", "b", "peer-check-dir", rig_dir(), NULL);
    for (uint64_t seq = 1; seq <= 2; seq++) {
        assert_int_equal(rig_commit(a, seq, seq == 1 ? "keep=" : "keep=k1"), RK_OK);
        assert_int_equal(rig_commit(b, seq, seq == 1 ? "keep=" : "keep=k1"), RK_OK);
        rig_pass(HELLO_MS);
        assert_int_equal(rig_held(a, seq), IN_USE);
        assert_int_equal(rig_held(b, seq), IN_USE);
    }
    rig_stop(a);
    assert_null(strstr(rig_file("state"), "marker"));
    assert_null(strstr(rig_file("state"), "6d61726b6572")); /* nor in hex */
    assert_non_null(strstr(rig_file("state"), "\nclass b\n"));
    rig_pass(100 * HELLO_MS); /* the device goes on while its host is dead */
    a = rig_start("a", "b", "peer-check-dir", rig_dir(), "state-file", file, NULL);
    assert_int_equal(rig_held(a, 2), IN_USE);
    assert_int_equal(rig_held(a, 1), HELD | LIVE);
    assert_non_null(strstr(rig_file("check/events.log"), " op=hold dev=a iface=eth0 link=l seq=2 id=k2 "));
    assert_int_equal(rig_op(a, RK_OP_SHUT, 2, "k2", NULL), RK_OK);
    rig_stop(a);
    a = rig_start("a", "b", "peer-check-dir", rig_dir(), "state-file", file, NULL);
    assert_int_equal(rig_held(a, 2), PRIMARY);
    no_violation();
    end();
    assert_int_equal(rig_start_err("a", "a", "state-file", file, NULL), RK_E_CONFIG); /* of another class */
    assert_int_equal(rig_start_err("a", "c", "state-file", file, NULL), RK_E_CONFIG);
}

static void
test_bad_state_files(void **state)
{
    static const char *const bad[] = {
        "iface e\n", /* no class: of class a */
        "class c\n",
        "class b\niface e\ncak p---- 1 1 k 0011 -1 0 -\n",
        "class b\niface e\ncak p---- 1 1 k 00112233445566778899aabbccddeeff -1 0\n",
        "class b\niface e\ncak ----- 1 1 k 00112233445566778899aabbccddeeff -1 0 -\n",
        "class b\niface e\ncak f---- 1 1 k 00112233445566778899aabbccddeeff -1 0 -\n",
        "class b\niface e\ncak p---- 2 1 k 00112233445566778899aabbccddeeff -1 0 -\n",
        "class b\niface e\ncak p---- 1 1 k 00112233445566778899aabbccddeeff -1 0 yesterday\n",
        "class b\niface e\ncak ---c- 1 1 k 00112233445566778899aabbccddeeff -1 0 -\n",
        "class b\niface e\nlink l 2 0 0\n",
        "class b\niface e\nslot 1 rt- 1 l k 00112233445566778899aabbccddeeff\n",
        "class b\niface e\nclass b\n",
    };
    char text[300];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(text, sizeof text, "rekey-sim 1 a 0 0 0\n%s", bad[i]);
        if (rig_start_err("a", "b", "state-file", scratch_text(&scratch, "bad", text), NULL) != RK_E_CONFIG)
            fail_msg("taken: %s", bad[i]);
    }
}

/* The modes are the device's, whatever its class. */
static void
test_modes(void **state)
{
    const char *mode = scratch_text(&scratch, "mode", "lie\n");

    (void)state;
    a = rig_start("a", "b", "mode-file", mode, NULL);
    assert_int_equal(rig_commit(a, 1, "keep="), RK_OK);
    assert_int_equal(rig_held(a, 1), 0);
    scratch_text(&scratch, "mode", "fail");
    assert_int_equal(rig_commit(a, 1, "keep="), RK_E_BUSY);
    assert_int_equal(rig_held(a, 1), 0);
    scratch_text(&scratch, "mode", "unknown");
    assert_int_equal(rig_commit(a, 1, "keep="), RK_E_UNKNOWN);
    assert_int_equal(rig_held(a, 1), PRIMARY);
    scratch_text(&scratch, "mode", "garbage");
    assert_int_equal(rig_commit(a, 2, "keep=k1"), 12345);
    scratch_text(&scratch, "mode", "");
    assert_int_equal(rig_held(a, 2), 0);
    rig_stop(a);
}

/* What it transmits on, in the order of events. */
static void
test_use_is_logged(void **state)
{
    const char *log, *first, *second;

    (void)state;
    begin("b");
    assert_int_equal(rig_commit(a, 2, "keep=k1"), RK_OK);
    assert_int_equal(rig_commit(b, 2, "keep=k1"), RK_OK);
    rig_pass(HELLO_MS);
    (void)rig_look(a);
    log = rig_file("check/events.log");
    first = strstr(log, " op=use dev=a iface=eth0 link=l seq=1 id=k1 ");
    second = strstr(log, " op=use dev=a iface=eth0 link=l seq=2 id=k2 ");
    assert_true(first && second && first < second);
    assert_null(strstr(log, " op=use dev=a iface=eth0 link=l seq=0 id=- ")); /* never with nothing */
    assert_non_null(strstr(log, " op=commit dev=b iface=eth0 link=l seq=2 id=k2 an=-1 digest="));
    end();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_live_after_a_hello),
        RIG_TEST(test_presumed_peer),
        RIG_TEST(test_rotation_b),
        RIG_TEST(test_unknown_ckn_is_noise),
        RIG_TEST(test_other_bytes_are_not_live),
        RIG_TEST(test_dies_after_three_hellos),
        RIG_TEST(test_cut_cable),
        RIG_TEST(test_given_up_b),
        RIG_TEST(test_keep_is_not_the_primary),
        RIG_TEST(test_bad_terms),
        RIG_TEST(test_rotation_c),
        RIG_TEST(test_given_up_c),
        RIG_TEST(test_shut),
        RIG_TEST(test_operators_key),
        RIG_TEST(test_sweep),
        RIG_TEST(test_violation),
        RIG_TEST(test_only_key_given_up),
        RIG_TEST(test_given_up_with_c),
        RIG_TEST(test_state_survives),
        RIG_TEST(test_bad_state_files),
        RIG_TEST(test_modes),
        RIG_TEST(test_use_is_logged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
