/* sim_test.c - the simulated device: its rules, its memory, its faults and its witness */
#include "fakehost.h"
#include "scratch.h"

#include "core/base/clock.h"
#include "core/base/secret.h"
#include "core/conf/opt.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <cmocka.h>

extern const struct rk_plugin sim_LTX_rk_plugin;

static struct scratch scratch;
static struct rk_call call;

static const struct rk_device_ops *
ops(void)
{
    return sim_LTX_rk_plugin.ops;
}

static int
try_start(const char *const *pairs, void **inst)
{
    struct rk_conf conf = {pairs, sim_LTX_rk_plugin.opts};

    *inst = NULL;
    return sim_LTX_rk_plugin.init(&fake_host, &call, &conf, inst);
}

static void *
start(const char *name, const char *option, const char *value)
{
    const char *pairs[] = {RK_CONF_NAME, name, option, value, NULL};
    void *inst;

    if (try_start(pairs, &inst) != RK_OK)
        fail_msg("%s", call.text);
    return inst;
}

static void
stop(void *inst)
{
    sim_LTX_rk_plugin.fini(inst);
}

/* One operation on link "l" at interface "eth0"; the key is made from its ID. */
static int
one(void *inst, uint32_t kind, uint64_t seq, const char *id)
{
    unsigned char bytes[32] = "marker-key-";
    struct rk_dev_op op = {.kind = kind, .seq = seq, .link = "l", .iface = "eth0", .key_id = id, .peer_facts = "",
                           .text = kind == RK_OP_DESCRIBE ? "text" : NULL, .err = RK_E_CONTRACT};
    struct rk_secret *key = NULL;
    int err;

    strncpy((char *)bytes + 11, id, 20);
    if (kind == RK_OP_STAGE)
        op.key = key = fake_secret(bytes, sizeof bytes);
    err = ops()->apply(inst, &call, &op, 1);
    rk_secret_free(&key);
    return err ? err : op.err;
}

static uint32_t
held(void *inst, uint64_t seq, const char *id)
{
    struct rk_dev_seen seen = {.link = "l", .iface = "eth0", .peer_facts = "", .key_ids = {id}, .seqs = {seq}};

    assert_int_equal(ops()->observe(inst, &call, &seen, 1), RK_OK);
    assert_int_equal(seen.err, RK_OK);
    return seen.held[0];
}

static void
test_schema(void **state)
{
    char why[200] = "";

    (void)state;
    if (rk_opts_sane(sim_LTX_rk_plugin.opts, why, sizeof why) != RK_OK)
        fail_msg("%s", why);
    assert_int_equal(sim_LTX_rk_plugin.kind, RK_DEVICE);
    assert_int_equal(sim_LTX_rk_plugin.caps, RK_CAP_CLASS(RK_CLASS_A));
}

static void
test_rules(void **state)
{
    void *d = start("a", NULL, NULL);

    (void)state;
    assert_int_equal(one(d, RK_OP_ACTIVATE, 1, "k1"), RK_E_NOKEY);
    assert_int_equal(one(d, RK_OP_STAGE, 1, "k1"), RK_OK);
    assert_int_equal(held(d, 1, "k1"), RK_HELD_RX | RK_HELD_TX);
    assert_int_equal(one(d, RK_OP_ACTIVATE, 1, "other"), RK_E_NOKEY);
    assert_int_equal(one(d, RK_OP_ACTIVATE, 1, "k1"), RK_OK);
    assert_int_equal(one(d, RK_OP_ACTIVATE, 1, "k1"), RK_OK); /* again: nothing changes */
    assert_int_equal(held(d, 1, "k1"), RK_HELD_RX | RK_HELD_TX | RK_SENDING);
    assert_int_equal(one(d, RK_OP_RETIRE, 1, "k1"), RK_E_CONFLICT);
    assert_int_equal(one(d, RK_OP_STAGE, 5, "k5"), RK_E_CONFLICT); /* 5 mod 4 is 1 */
    assert_int_equal(one(d, RK_OP_STAGE, 2, "k2"), RK_OK);
    assert_int_equal(one(d, RK_OP_STAGE, 2, "k2"), RK_OK); /* idempotent */
    assert_int_equal(one(d, RK_OP_ACTIVATE, 2, "k2"), RK_OK);
    assert_int_equal(held(d, 1, "k1"), RK_HELD_RX | RK_HELD_TX);
    assert_int_equal(one(d, RK_OP_RETIRE, 1, "k1"), RK_OK);
    assert_int_equal(one(d, RK_OP_RETIRE, 1, "k1"), RK_OK);
    assert_int_equal(held(d, 1, "k1"), 0);
    assert_int_equal(one(d, RK_OP_STAGE, 5, "k5"), RK_OK);
    assert_int_equal(one(d, RK_OP_DESCRIBE, 0, ""), RK_OK);
    assert_null(strstr(fake_log(), "ev=violation"));
    stop(d);
}

static void
test_reuse_is_a_violation(void **state)
{
    void *d = start("a", NULL, NULL);

    (void)state;
    fake_log_clear();
    assert_int_equal(one(d, RK_OP_STAGE, 1, "k1"), RK_OK);
    assert_int_equal(one(d, RK_OP_RETIRE, 1, "k1"), RK_OK);
    assert_null(strstr(fake_log(), "ev=violation"));
    assert_int_equal(one(d, RK_OP_STAGE, 2, "k1"), RK_OK);
    assert_non_null(strstr(fake_log(), "ev=violation what=reuse iface=eth0 link=l seq=2 key_id=k1 an=2 count=1"));
    stop(d);
}

static void
test_bad_operations(void **state)
{
    const char *pairs[] = {RK_CONF_NAME, "a", "interface", "eth0", "interface", "eth1", NULL};
    unsigned char bytes[32] = "0123456789";
    struct rk_secret *good = fake_secret(bytes, 32), *odd = fake_secret(bytes, 24);
    struct rk_dev_op list[] = {
        {.kind = RK_OP_STAGE, .seq = 1, .link = "l", .iface = "eth0", .key_id = "k", .peer_facts = "", .key = NULL},
        {.kind = RK_OP_STAGE, .seq = 1, .link = "l", .iface = "eth0", .key_id = "k", .peer_facts = "", .key = odd},
        {.kind = RK_OP_STAGE, .seq = 1, .link = "l", .iface = "eth9", .key_id = "k", .peer_facts = "", .key = good},
        {.kind = RK_OP_STAGE, .seq = 1, .link = "l", .iface = "eth0", .key_id = "k", .peer_facts = "sci=12",
         .key = good},
        {.kind = RK_OP_STAGE, .seq = 1, .link = "../l", .iface = "eth0", .key_id = "k", .peer_facts = "", .key = good},
        {.kind = 99, .seq = 1, .link = "l", .iface = "eth0", .key_id = "k", .peer_facts = ""},
        {.kind = RK_OP_DESCRIBE, .seq = 0, .link = "l", .iface = "eth0", .key_id = "", .peer_facts = ""},
        {.kind = RK_OP_STAGE, .seq = 1, .link = "l", .iface = "eth1", .key_id = "k",
         .peer_facts = "sci=0011223344556677", .key = good},
    };
    const int want[] = {RK_E_CONTRACT, RK_E_KEY_SIZE, RK_E_NOENT, RK_E_PROTOCOL, RK_E_CONTRACT, RK_E_UNSUPPORTED,
                        RK_E_CONTRACT, RK_OK};
    struct rk_dev_seen seen = {.link = "l", .iface = "eth9", .peer_facts = ""};
    void *d;

    (void)state;
    assert_int_equal(try_start(pairs, &d), RK_OK);
    assert_int_equal(ops()->apply(d, &call, list, 8), RK_OK); /* each has its own result */
    for (int i = 0; i < 8; i++) {
        assert_int_equal(list[i].err, want[i]);
        assert_true((list[i].why[0] != '\0') == (want[i] != RK_OK));
    }
    assert_int_equal(ops()->observe(d, &call, &seen, 1), RK_OK);
    assert_int_equal(seen.err, RK_E_NOENT);
    assert_int_equal(ops()->apply(d, &call, list, 0), RK_E_CONTRACT);
    stop(d);
    rk_secret_free(&good);
    rk_secret_free(&odd);
}

/* Nothing is sent until the next ACTIVATE; the keys stay. */
static void
test_shut(void **state)
{
    void *d = start("a", NULL, NULL);

    (void)state;
    assert_int_equal(one(d, RK_OP_STAGE, 1, "k1"), RK_OK);
    assert_int_equal(one(d, RK_OP_ACTIVATE, 1, "k1"), RK_OK);
    assert_int_equal(one(d, RK_OP_STAGE, 2, "k2"), RK_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(one(d, RK_OP_SHUT, 1, i == 0 ? "k1" : ""), RK_OK);
        assert_int_equal(held(d, 1, "k1"), RK_HELD_RX | RK_HELD_TX);
        assert_int_equal(held(d, 2, "k2"), RK_HELD_RX | RK_HELD_TX);
    }
    assert_int_equal(one(d, RK_OP_ACTIVATE, 2, "k2"), RK_OK);
    assert_int_equal(held(d, 2, "k2"), RK_HELD_RX | RK_HELD_TX | RK_SENDING);
    stop(d);
}

static void
test_sweep(void **state)
{
    void *d = start("a", NULL, NULL);

    (void)state;
    assert_int_equal(one(d, RK_OP_STAGE, 1, "k1"), RK_OK);
    assert_int_equal(one(d, RK_OP_STAGE, 2, "k2"), RK_OK);
    assert_int_equal(one(d, RK_OP_SWEEP, 1, "k1"), RK_E_CONFLICT); /* not sent with */
    assert_int_equal(one(d, RK_OP_ACTIVATE, 1, "k1"), RK_OK);
    assert_int_equal(one(d, RK_OP_SWEEP, 2, "k2"), RK_E_CONFLICT);
    assert_int_equal(held(d, 2, "k2"), RK_HELD_RX | RK_HELD_TX);
    assert_int_equal(one(d, RK_OP_SWEEP, 1, "k1"), RK_OK);
    assert_int_equal(held(d, 1, "k1"), RK_HELD_RX | RK_HELD_TX | RK_SENDING);
    assert_int_equal(held(d, 2, "k2"), 0);
    stop(d);
}

static void
test_foreign_keys_are_told(void **state)
{
    struct rk_dev_seen seen = {.link = "l", .iface = "eth0", .peer_facts = "", .key_ids = {"k2", "k3"}, .seqs = {2, 3}};
    void *d = start("a", NULL, NULL);

    (void)state;
    assert_int_equal(one(d, RK_OP_STAGE, 1, "k1"), RK_OK);
    assert_int_equal(one(d, RK_OP_STAGE, 2, "k2"), RK_OK);
    assert_int_equal(ops()->observe(d, &call, &seen, 1), RK_OK);
    assert_int_equal(seen.foreign, 1);
    assert_string_equal(seen.why, "k1");
    assert_int_equal(seen.held[0], RK_HELD_RX | RK_HELD_TX);
    assert_int_equal(seen.held[1], 0);
    assert_int_equal(seen.state, RK_IF_PRESENT | RK_IF_UP | RK_IF_PROTECTED);
    assert_memory_equal(seen.facts, "sci=", 4);
    assert_int_equal(strlen(seen.facts), 20);
    assert_int_equal(one(d, RK_OP_ACTIVATE, 1, "k1"), RK_OK); /* a key that nobody asks for is sent with */
    assert_int_equal(ops()->observe(d, &call, &seen, 1), RK_OK);
    assert_int_equal(seen.state, RK_IF_PRESENT | RK_IF_UP | RK_IF_PROTECTED | RK_IF_OTHER);
    assert_int_equal(one(d, RK_OP_ACTIVATE, 2, "k2"), RK_OK);
    assert_int_equal(ops()->observe(d, &call, &seen, 1), RK_OK);
    assert_false(seen.state & RK_IF_OTHER);
    stop(d);
}

static void
test_many_interfaces(void **state)
{
    void *d = start("a", NULL, NULL);
    char iface[20];

    (void)state;
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 1000; i++) {
            struct rk_dev_op op = {.kind = RK_OP_ACTIVATE, .seq = 1, .link = "l", .iface = iface, .key_id = "k",
                                   .peer_facts = ""};

            snprintf(iface, sizeof iface, "eth%d", i);
            if (round == 0) {
                op.kind = RK_OP_STAGE;
                op.key = fake_secret("0123456789abcdef", 16);
            }
            assert_int_equal(ops()->apply(d, &call, &op, 1), RK_OK);
            assert_int_equal(op.err, RK_OK);
            rk_secret_free((struct rk_secret **)(size_t)&op.key);
        }
    assert_null(strstr(fake_log(), "ev=violation")); /* one key on two interfaces is no re-use: two SCIs */
    stop(d);
}

static void
test_state_survives(void **state)
{
    const char *path = scratch_path(&scratch, "state");
    char text[4096];
    void *d = start("a", "state-file", path);

    (void)state;
    assert_int_equal(one(d, RK_OP_STAGE, 1, "k1"), RK_OK);
    assert_int_equal(one(d, RK_OP_ACTIVATE, 1, "k1"), RK_OK);
    assert_int_equal(one(d, RK_OP_STAGE, 2, "k2"), RK_OK);
    assert_int_equal(one(d, RK_OP_RETIRE, 2, "k2"), RK_OK);
    assert_int_equal(one(d, RK_OP_DESCRIBE, 0, ""), RK_OK);
    stop(d);
    scratch_read(path, text, sizeof text);
    assert_null(strstr(text, "marker"));
    assert_null(strstr(text, "6d61726b6572")); /* nor in hex */
    d = start("a", "state-file", path);
    assert_int_equal(held(d, 1, "k1"), RK_HELD_RX | RK_HELD_TX | RK_SENDING);
    fake_log_clear();
    assert_int_equal(one(d, RK_OP_STAGE, 2, "k2"), RK_OK); /* it remembers that k2 was there */
    assert_non_null(strstr(fake_log(), "what=reuse"));
    stop(d);
}

static void
test_bad_state_files(void **state)
{
    static const char *const bad[] = {
        "",
        "rekey-sim 1 b 0 0 0\n",
        "rekey-sim 2 a 0 0 0\n",
        "rekey-sim 1 a 0 0 0\nslot 1 rt- 1 l k 00112233445566778899aabbccddeeff\n",
        "rekey-sim 1 a 0 0 0\niface e\nslot 1 rt- 2 l k 00112233445566778899aabbccddeeff\n",
        "rekey-sim 1 a 0 0 0\niface e\nslot 1 xx- 1 l k 00112233445566778899aabbccddeeff\n",
        "rekey-sim 1 a 0 0 0\niface e\nslot 1 rt- 1 l k 0011\n",
        "rekey-sim 1 a 0 0 0\niface %zz\n",
        "rekey-sim 1 a 0 0 0\niface e\nused x\n",
        "rekey-sim 1 a 0 0 0\niface e\nwhat\n",
        "rekey-sim 1 a 0 0 0\nclass b\niface e\n",
        "rekey-sim 1 a 0 0 0\niface e",
    };
    const char *pairs[] = {RK_CONF_NAME, "a", "state-file", NULL, NULL};
    void *d;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        pairs[3] = scratch_text(&scratch, "bad", bad[i]);
        assert_int_equal(try_start(pairs, &d), RK_E_CONFIG);
        assert_non_null(strstr(call.text, "remove the file"));
    }
    pairs[3] = scratch_write(&scratch, "open", 0666, "", 0);
    assert_int_equal(try_start(pairs, &d), RK_E_UNSAFE);
}

/* A link with both ends watched: the whole protocol, then a breach. */
static void
test_witness(void **state)
{
    const char *dir = scratch_path(&scratch, "check");
    char log[8192];
    void *a, *b;

    (void)state;
    assert_int_equal(mkdir(dir, 0700), 0);
    fake_log_clear();
    a = start("a", "peer-check-dir", dir);
    b = start("b", "peer-check-dir", dir);
    for (uint64_t seq = 1; seq <= 6; seq++) {
        char id[8], old[8];

        snprintf(id, sizeof id, "k%d", (int)seq);
        snprintf(old, sizeof old, "k%d", (int)seq - 1);
        assert_int_equal(one(a, RK_OP_STAGE, seq, id), RK_OK);
        assert_int_equal(one(b, RK_OP_STAGE, seq, id), RK_OK);
        assert_int_equal(one(a, RK_OP_ACTIVATE, seq, id), RK_OK);
        assert_int_equal(held(b, seq, id), RK_HELD_RX | RK_HELD_TX | RK_PEER_USES);
        assert_int_equal(one(b, RK_OP_ACTIVATE, seq, id), RK_OK);
        assert_int_equal(one(b, RK_OP_RETIRE, seq - 1, old), RK_OK);
        assert_int_equal(one(a, RK_OP_RETIRE, seq - 1, old), RK_OK);
    }
    assert_null(strstr(fake_log(), "ev=violation"));
    assert_int_equal(one(a, RK_OP_STAGE, 7, "k7"), RK_OK);
    assert_int_equal(one(a, RK_OP_ACTIVATE, 7, "k7"), RK_OK); /* b has no such key */
    assert_non_null(strstr(fake_log(), "ev=violation what=peer-cannot-hear"));
    fake_log_clear();
    assert_int_equal(one(a, RK_OP_RETIRE, 6, "k6"), RK_OK); /* b still sends with it */
    assert_non_null(strstr(fake_log(), "ev=violation what=cannot-hear-peer"));
    stop(a);
    stop(b);
    scratch_read(scratch_path(&scratch, "check/events.log"), log, sizeof log);
    assert_int_equal(strncmp(log, "time_ns=", 8), 0);
    assert_non_null(strstr(log, " op=activate dev=a iface=eth0 link=l seq=1 id=k1 an=1 digest="));
    assert_non_null(strstr(log, " op=violation dev=a "));
    assert_null(strstr(log, "marker"));
    scratch_read(scratch_path(&scratch, "check/l/b@eth0"), log, sizeof log);
    assert_non_null(strstr(log, "\nslot an=2 flags=rts seq=6 id=k6 digest="));
}

static void
test_witness_lock_is_bounded(void **state)
{
    const char *dir = scratch_path(&scratch, "locked");
    void *d;
    int fd;

    (void)state;
    assert_int_equal(mkdir(dir, 0700), 0);
    d = start("a", "peer-check-dir", dir);
    fd = open(scratch_path(&scratch, "locked/.lock"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_SH), 0);
    fake_cancel(&call);
    assert_int_equal(one(d, RK_OP_STAGE, 1, "k1"), RK_E_CANCELED);
    close(fd);
    fake_call_end(&call);
    fake_call(&call, 10000);
    assert_int_equal(held(d, 1, "k1"), 0);
    assert_int_equal(one(d, RK_OP_STAGE, 1, "k1"), RK_OK);
    stop(d);
}

static void
test_modes(void **state)
{
    const char *mode = scratch_text(&scratch, "mode", "lie\n");
    struct rk_dev_op op[2] = {{.kind = RK_OP_RETIRE, .seq = 1, .link = "l", .iface = "e", .key_id = "k",
                               .peer_facts = ""}};
    void *d = start("a", "mode-file", mode);

    (void)state;
    op[1] = op[0];
    assert_int_equal(one(d, RK_OP_STAGE, 1, "k1"), RK_OK);
    assert_int_equal(held(d, 1, "k1"), 0);
    scratch_text(&scratch, "mode", "fail");
    assert_int_equal(one(d, RK_OP_STAGE, 1, "k1"), RK_E_BUSY);
    assert_int_equal(held(d, 1, "k1"), 0);
    scratch_text(&scratch, "mode", "unknown");
    assert_int_equal(one(d, RK_OP_STAGE, 1, "k1"), RK_E_UNKNOWN);
    assert_int_equal(held(d, 1, "k1"), RK_HELD_RX | RK_HELD_TX);
    scratch_text(&scratch, "mode", "garbage");
    assert_int_equal(ops()->apply(d, &call, op, 2), 12345);
    assert_int_equal(op[1].err, 0x7fffffff);
    assert_null(memchr(op[0].why, 0, sizeof op[0].why));
    scratch_text(&scratch, "mode", "");
    assert_int_equal(one(d, RK_OP_ACTIVATE, 1, "k1"), RK_OK);
    scratch_text(&scratch, "mode", "tired");
    assert_int_equal(one(d, RK_OP_ACTIVATE, 1, "k1"), RK_E_CONFIG);
    assert_non_null(strstr(call.text, "\"tired\" is not a mode"));
    assert_int_equal(unlink(mode), 0);
    assert_int_equal(one(d, RK_OP_ACTIVATE, 1, "k1"), RK_OK);
    stop(d);
}

static void
test_fault_every(void **state)
{
    const char *pairs[] = {RK_CONF_NAME, "a", "mode", "fail", "fault-every", "3", NULL};
    void *d;

    (void)state;
    assert_int_equal(try_start(pairs, &d), RK_OK);
    for (int i = 1; i <= 9; i++)
        assert_int_equal(one(d, RK_OP_DESCRIBE, 0, ""), i % 3 ? RK_OK : RK_E_BUSY);
    stop(d);
}

static void
test_fault_observe(void **state)
{
    const char *pairs[] = {RK_CONF_NAME, "a", "mode", "garbage", "fault-observe", "yes", NULL};
    struct rk_dev_seen seen[2] = {{.link = "l", .iface = "e", .peer_facts = ""}};
    void *d;

    (void)state;
    seen[1] = seen[0];
    assert_int_equal(try_start(pairs, &d), RK_OK);
    assert_int_equal(ops()->observe(d, &call, seen, 2), 12345);
    assert_null(memchr(seen[1].facts, 0, sizeof seen[1].facts));
    assert_string_equal(seen[1].iface, "e"); /* what the plugin may not write stays */
    stop(d);
}

static void
test_cancel_and_budget(void **state)
{
    void *d = start("a", "latency", "1h");
    int64_t begin;

    (void)state;
    fake_cancel(&call);
    assert_int_equal(one(d, RK_OP_STAGE, 1, "k1"), RK_E_CANCELED);
    fake_call_end(&call);
    fake_call(&call, 20);
    begin = rk_now_ns();
    assert_int_equal(one(d, RK_OP_STAGE, 1, "k1"), RK_E_TIMEOUT);
    assert_true(rk_now_ns() - begin >= 20 * RK_NS_PER_MS - RK_NS_PER_MS);
    stop(d);
    fake_call_end(&call);
    fake_call(&call, 20);
    d = start("a", "mode", "slow"); /* one second at least: longer than this budget */
    assert_int_equal(one(d, RK_OP_STAGE, 1, "k1"), RK_E_TIMEOUT);
    fake_call_end(&call);
    fake_call(&call, 10000);
    stop(d);
    d = start("a", "latency", "1ms");
    assert_int_equal(held(d, 1, "k1"), 0);
    assert_int_equal(one(d, RK_OP_STAGE, 1, "k1"), RK_OK);
    stop(d);
}

/* One stage in a child, in this mode.  ret: its pid; it exits with 0 when the call returned RK_OK, else with 1 */
static pid_t
stage_in_child(const char *mode, const char *state_file)
{
    const char *pairs[] = {RK_CONF_NAME, "a", "mode", mode, "state-file", state_file, NULL};
    const struct rlimit none = {0, 0};
    pid_t pid = fork();
    void *d;

    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    setrlimit(RLIMIT_CORE, &none);
    if (try_start(pairs, &d))
        _exit(2);
    _exit(one(d, RK_OP_STAGE, 1, "k1") != RK_OK);
}

static void
test_crash(void **state)
{
    const char *path = scratch_path(&scratch, "crash");
    void *d;

    (void)state;
    for (int round = 0; round < 2; round++) {
        int status = 0;

        assert_true(waitpid(stage_in_child("crash", path), &status, 0) > 0);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
        d = start("a", "state-file", path);
        assert_int_equal(held(d, 1, "k1"), round == 0 ? 0 : RK_HELD_RX | RK_HELD_TX);
        stop(d);
    }
}

static void
test_hang_and_spin(void **state)
{
    static const char *const modes[] = {"hang", "spin"};

    (void)state;
    fake_call_end(&call);
    fake_call(&call, 5);
    fake_cancel(&call);
    for (int i = 0; i < 2; i++) {
        pid_t pid = stage_in_child(modes[i], NULL);
        int status = 0;

        poll(NULL, 0, 100); /* long after budget and cancel; were it slower to begin, this would still hold */
        assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
}

static int
setup(void **state)
{
    (void)state;
    scratch_make(&scratch);
    fake_call(&call, 10000);
    fake_log_clear();
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    fake_call_end(&call);
    scratch_remove(&scratch);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_schema),
        TEST(test_rules),
        TEST(test_reuse_is_a_violation),
        TEST(test_bad_operations),
        TEST(test_shut),
        TEST(test_sweep),
        TEST(test_foreign_keys_are_told),
        TEST(test_many_interfaces),
        TEST(test_state_survives),
        TEST(test_bad_state_files),
        TEST(test_witness),
        TEST(test_witness_lock_is_bounded),
        TEST(test_modes),
        TEST(test_fault_every),
        TEST(test_fault_observe),
        TEST(test_cancel_and_budget),
        TEST(test_crash),
        TEST(test_hang_and_spin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
