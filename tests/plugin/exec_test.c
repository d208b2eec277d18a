/* exec_test.c - a program as a device: what it is given, what it may say, and how it is ended */
#include "fakehost.h"
#include "scratch.h"

#include "core/base/clock.h"
#include "core/base/secret.h"
#include "core/conf/opt.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#define KEY "marker-key-0123456789abcdef-mark"
#define KEY_HEX "6d61726b65722d6b65792d303132333435363738396162636465662d6d61726b"
#define KEY_BASE64 "bWFya2VyLWtleS0wMTIzNDU2Nzg5YWJjZGVmLW1hcms="
#define BUDGET_MS 20000
#define LIBC_SIGNALS 0x180000000ull /* 32 and 33, which the C library keeps for itself: as the test was started with */

extern const struct rk_plugin exec_LTX_rk_plugin;

static struct scratch scratch;
static struct rk_call call;
static const char *class_of_start = "b";

static const struct rk_device_ops *
ops(void)
{
    return exec_LTX_rk_plugin.ops;
}

static int
try_start(const char *program, void **inst)
{
    const char *pairs[] = {RK_CONF_NAME, "lab", "program", program, "argument", "one", "argument", "two words",
                           "class", class_of_start, NULL};
    struct rk_conf conf = {pairs, exec_LTX_rk_plugin.opts};

    *inst = NULL;
    return exec_LTX_rk_plugin.init(&fake_host, &call, &conf, inst);
}

/* A script that reads its request, and then does this. */
static void *
start(const char *body)
{
    char text[2000];
    const char *path;
    void *inst;

    snprintf(text, sizeof text, "#!/bin/sh\ncd %s || exit 1\n%s\n", scratch.dir, body);
    path = scratch_write(&scratch, "program", 0700, text, strlen(text));
    if (try_start(path, &inst) != RK_OK)
        fail_msg("%s", call.text);
    return inst;
}

static void
stop(void *inst)
{
    exec_LTX_rk_plugin.fini(inst);
}

static int
set_up(void **state)
{
    (void)state;
    scratch_make(&scratch);
    fake_call(&call, BUDGET_MS);
    fake_log_clear();
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    fake_call_end(&call);
    scratch_remove(&scratch);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
    return 0;
}

/* STAGE and ACTIVATE; the result of the call. */
static int
two(void *inst, struct rk_dev_op out[2])
{
    struct rk_secret *key = fake_secret(KEY, 32);
    int err;

    out[0] = (struct rk_dev_op){.kind = RK_OP_STAGE, .seq = 7, .link = "l", .iface = "eth0", .key_id = "k7",
                                .peer_facts = "sci=1", .key = key, .text = "keep=k6", .err = RK_E_CONTRACT};
    out[1] = (struct rk_dev_op){.kind = RK_OP_ACTIVATE, .seq = 7, .link = "l", .iface = "eth0", .key_id = "k7",
                                .peer_facts = "", .err = RK_E_CONTRACT};
    err = ops()->apply(inst, &call, out, 2);
    rk_secret_free(&key);
    return err;
}

static int
apply_with(const char *body, struct rk_dev_op out[2])
{
    void *inst = start(body);
    int err = two(inst, out);

    stop(inst);
    return err;
}

static int
look_with(const char *body, struct rk_dev_seen *seen)
{
    void *inst = start(body);
    int err;

    *seen = (struct rk_dev_seen){.link = "l", .iface = "eth0", .peer_facts = "",
                                 .key_ids = {"k6", "k7"}, .seqs = {6, 7}};
    err = ops()->observe(inst, &call, seen, 1);
    stop(inst);
    return err;
}

static void
assert_file(const char *name, const char *expected)
{
    char text[4000];

    scratch_read(scratch_path(&scratch, name), text, sizeof text);
    assert_string_equal(text, expected);
}

/* ---- what it is given ---- */

static void
test_schema(void **state)
{
    char why[200] = "";

    (void)state;
    if (rk_opts_sane(exec_LTX_rk_plugin.opts, why, sizeof why) != RK_OK)
        fail_msg("%s", why);
}

static void
test_apply(void **state)
{
    struct rk_dev_op o[2];

    (void)state;
    assert_int_equal(apply_with("cat >asked; cat <&3 >key; printf '%s\\n' \"$@\" >args; env | sort >env; pwd -P >cwd\n"
                                "echo 'op 2 nokey slot 3 is empty'; echo 'op 1 ok'; echo end", o), RK_OK);
    assert_int_equal(o[0].err, RK_OK);
    assert_int_equal(o[1].err, RK_E_NOKEY);
    assert_string_equal(o[1].why, "slot 3 is empty");
    assert_file("asked", "rekey-exec 1 apply lab\nop 1 stage l eth0 7 k7 sci=1 keep=k6\n"
                         "op 2 activate l eth0 7 k7 - -\nend\n");
    assert_file("key", "1 " KEY_HEX "\n");
    assert_file("args", "apply\none\ntwo words\n");
    assert_null(strstr(fake_log(), KEY_HEX));
}

/* Nothing but the four descriptors, two variables, and signals as they are in a new process. */
static void
test_clean(void **state)
{
    int extra = open("/dev/null", O_RDONLY); /* of a careless library: without O_CLOEXEC */
    struct rk_dev_op o[2];
    char text[4000];

    (void)state;
    assert_true(extra < 10); /* the shell has its own from there on */
    assert_int_equal(setenv("LD_DEBUG_MARKER", "1", 1), 0);
    signal(SIGTERM, SIG_IGN);
    assert_int_equal(apply_with("tr '\\0' '\\n' </proc/$$/environ | sort >env; readlink /proc/$$/fd/2 >err\n"
                                "for f in /proc/$$/fd/?; do [ ! -e $f ] || printf '%s ' ${f##*/}; done >fds\n"
                                "grep ^SigIgn /proc/self/status >ign; grep ^SigBlk /proc/self/status >>ign\n"
                                "cut -d' ' -f1,5 /proc/$$/stat >group\n"
                                "echo op 1 ok; echo op 2 ok; echo end", o), RK_OK);
    signal(SIGTERM, SIG_DFL);
    unsetenv("LD_DEBUG_MARKER");
    close(extra);
    assert_file("env", "LC_ALL=C\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n");
    assert_file("err", "/dev/null\n");
    assert_file("fds", "0 1 2 3 ");
    scratch_read(scratch_path(&scratch, "ign"), text, sizeof text);
    assert_int_equal(strtoull(text + strlen("SigIgn:"), NULL, 16) & ~LIBC_SIGNALS, 0);
    assert_non_null(strstr(text, "SigBlk:\t0000000000000000\n"));
    scratch_read(scratch_path(&scratch, "group"), text, sizeof text);
    assert_int_equal(atoi(text), atoi(strchr(text, ' '))); /* leads its group */
}

static void
test_observe(void **state)
{
    struct rk_dev_seen s;

    (void)state;
    assert_int_equal(look_with("cat >asked; echo see 1 present up rekey; echo key 1 k7 rx tx sending peer\n"
                               "echo key 1 k6 rx; echo foreign 1 2 x y; echo facts 1 sci=02; echo end", &s), RK_OK);
    assert_int_equal(s.err, RK_OK);
    assert_int_equal(s.state, RK_IF_PRESENT | RK_IF_UP | RK_IF_REKEY | RK_IF_CLASS(RK_CLASS_B));
    assert_int_equal(s.held[0], RK_HELD_RX);
    assert_int_equal(s.held[1], RK_HELD_RX | RK_HELD_TX | RK_SENDING | RK_PEER_USES);
    assert_int_equal(s.foreign, 2);
    assert_string_equal(s.why, "x y");
    assert_string_equal(s.facts, "sci=02");
    assert_file("asked", "rekey-exec 1 observe lab\nsee 1 l eth0 -\nkey 1 6 k6\nkey 1 7 k7\nend\n");
    assert_int_equal(look_with("echo fail 1 noent no such port; echo end", &s), RK_OK);
    assert_int_equal(s.err, RK_E_NOENT);
    assert_string_equal(s.why, "no such port");
    assert_int_equal(look_with("echo end", &s), RK_OK);
    assert_int_equal(s.err, RK_E_PROTOCOL);
    class_of_start = "a";
    assert_int_equal(look_with("echo see 1 present; echo end", &s), RK_OK);
    assert_int_equal(s.err, RK_E_PROTOCOL);
    assert_non_null(strstr(s.why, "no facts"));
    assert_int_equal(look_with("echo see 1 present; echo facts 1 sci=02; echo end", &s), RK_OK);
    assert_int_equal(s.err, RK_OK);
    class_of_start = "b";
}

/* ---- hostile words ---- */

/* All of these may have done something: the outcome of an apply is unknown, that of an observe an error. */
static void
test_hostile(void **state)
{
    static const char *const bodies[] = {
        "", "echo", "echo end; echo end", "echo op 1 ok", "printf 'op 1 ok\\nend'",
        "echo op 1 ok; echo op 1 ok; echo end",
        "echo op 0 ok; echo end", "echo op 3 ok; echo end", "echo op -1 ok; echo end",
        "echo op 99999999999 ok; echo end",
        "echo op 1 fine; echo end", "echo op 1; echo end", "echo ' op 1 ok'; echo end", "echo OP 1 ok; echo end",
        "printf 'op 1 ok\\000\\nend\\n'", "printf 'op 1 ok\\r\\nend\\r\\n'", "head -c 70000 /dev/zero | tr '\\0' a",
        "yes", "echo op 1 busy $(head -c 600 /dev/zero | tr '\\0' a); echo end", "echo hello; exit 75", "exit 1",
        "exit 127", "kill -SEGV $$", "kill -9 $$", "exec /no/such/program",
    };
    static const char *const looks[] = {
        "", "echo see 2 up; echo end", "echo see 1 down; echo end", "echo see 1 up; echo see 1 up; echo end",
        "echo key 1 k7 rx; echo see 1 up; echo end", "echo see 1 up; echo key 1 k9 rx; echo end",
        "echo see 1 up; echo key 1 k7 bogus; echo end", "echo see 1 'up '; echo end", "echo facts 1 x; echo end",
        "echo see 1 up; echo facts 1 'a b'; echo end", "echo see 1 up; echo foreign 1 -1; echo end",
        "echo see 1 up; echo facts 1 $(head -c 49 /dev/zero | tr '\\0' a); echo end", "echo fail 1 ok; echo end",
        "yes see", "exit 1", "kill -9 $$",
    };
    struct rk_dev_op o[2];
    struct rk_dev_seen s;

    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        if (apply_with(bodies[i], o) != RK_E_UNKNOWN)
            fail_msg("apply: %s: %d %s", bodies[i], call.err, call.text);
    for (size_t i = 0; i < sizeof looks / sizeof *looks; i++)
        if (look_with(looks[i], &s) == RK_OK)
            fail_msg("observe: %s", looks[i]);
}

static void
test_partial(void **state)
{
    struct rk_dev_op o[2];

    (void)state;
    assert_int_equal(apply_with("echo op 2 ok; echo end", o), RK_OK);
    assert_int_equal(o[0].err, RK_E_UNKNOWN);
    assert_int_equal(o[1].err, RK_OK);
    assert_int_equal(apply_with("printf 'op 1 busy \\033[2J\\377x\\nop 2 busy\\nend\\n'", o), RK_OK);
    assert_string_equal(o[0].why, "?[2J?x");
    assert_string_equal(o[1].why, "the program gives no reason");
}

static void
test_exit_codes(void **state)
{
    static const struct {
        int exit, err;
    } rows[] = {{64, RK_E_UNSUPPORTED}, {68, RK_E_UNREACHABLE}, {69, RK_E_UNREACHABLE}, {74, RK_E_IO},
                {75, RK_E_BUSY}, {77, RK_E_AUTH}, {78, RK_E_CONFIG}};
    struct rk_dev_op o[2];
    struct rk_dev_seen s;
    char body[20];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(body, sizeof body, "exit %d", rows[i].exit);
        assert_int_equal(apply_with(body, o), rows[i].err);
        assert_int_equal(look_with(body, &s), rows[i].err);
    }
}

/* A key that comes back is in no text. */
static void
test_leak(void **state)
{
    static const char *const bodies[] = {
        "read n k <&3; echo op 1 busy $k; echo end", "echo op 1 busy 00" KEY_HEX "; echo end",
        "echo op 1 busy $(echo " KEY_HEX " | tr a-f A-F); echo end", "echo op 1 busy " KEY_BASE64 "; echo end",
        "echo op 1 busy " KEY "; echo end", "echo " KEY_HEX "; exit 75",
    };
    struct rk_dev_op o[2];

    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        assert_int_equal(apply_with(bodies[i], o), RK_E_UNKNOWN);
        assert_non_null(strstr(call.text, "answers with the key"));
        assert_int_equal(o[0].err, RK_E_CONTRACT); /* as it was preset */
        assert_null(strstr(call.text, KEY));
    }
}

/* A program may spoil the file that it has the keys from: that is its loss. */
static void
test_key_file(void **state)
{
    struct rk_dev_op o[2];

    (void)state;
    assert_int_equal(apply_with("echo x | dd conv=notrunc of=/proc/$$/fd/3; truncate -s 0 /proc/$$/fd/3\n"
                                "echo op 1 ok; echo op 2 ok; echo end", o), RK_OK);
    assert_int_equal(o[0].err, RK_OK);
}

/* What left the group is not killed, but the keys are wiped when the run is over. */
static void
test_wiped(void **state)
{
    struct rk_dev_op o[2];
    unsigned char after[200];
    char done[10] = "";
    ssize_t n;
    int fd;

    (void)state;
    assert_int_equal(apply_with("setsid sh -c 'echo y >left; exec >&-; while [ ! -e go ]; do sleep 0.01; done\n"
                                "cat <&3 >after; echo y >done' &\n"
                                "while [ ! -e left ]; do sleep 0.01; done; echo op 1 ok; echo op 2 ok; echo end", o),
                     RK_OK);
    scratch_text(&scratch, "go", "");
    for (int i = 0; i < 2000 && !done[0]; i++) {
        scratch_read(scratch_path(&scratch, "done"), done, sizeof done);
        poll(NULL, 0, 10);
    }
    assert_string_equal(done, "y\n");
    fd = open(scratch_path(&scratch, "after"), O_RDONLY | O_CLOEXEC);
    n = read(fd, after, sizeof after);
    close(fd);
    assert_int_equal(n, strlen("1 " KEY_HEX "\n"));
    for (ssize_t i = 0; i < n; i++)
        assert_int_equal(after[i], 0);
}

/* A child of it that outlives it is killed with its group. */
static void
test_descendants(void **state)
{
    struct rk_dev_op o[2];
    char text[100];
    pid_t pid;

    (void)state;
    assert_int_equal(apply_with("sleep 1000 & echo $! >pid; echo op 1 ok; echo op 2 ok; echo end", o), RK_OK);
    assert_int_equal(o[0].err, RK_OK);
    scratch_read(scratch_path(&scratch, "pid"), text, sizeof text);
    pid = atoi(text);
    assert_true(pid > 1);
    for (int i = 0; i < 500 && kill(pid, 0) == 0; i++) { /* it was sent SIGKILL; it may be a zombie that nobody takes */
        char path[64], stat[200];

        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        scratch_read(path, stat, sizeof stat);
        if (!stat[0] || strstr(stat, ") Z "))
            return;
        poll(NULL, 0, 10);
    }
    assert_int_equal(kill(pid, 0), -1);
}

/* ---- time ---- */

static void
test_budget(void **state)
{
    struct rk_dev_op o[2];
    struct rk_dev_seen s;

    (void)state;
    fake_call_end(&call);
    fake_call(&call, 400);
    assert_int_equal(apply_with("sleep 1000; echo end", o), RK_E_UNKNOWN);
    assert_true(fake_host.left_ms(&call) > 0);
    fake_call_end(&call);
    fake_call(&call, 400);
    assert_int_equal(look_with("trap '' TERM; while :; do sleep 1000; done", &s), RK_E_TIMEOUT);
    fake_call_end(&call);
    fake_call(&call, BUDGET_MS);
}

/* in: arg  path of what it writes; the folder's paths are the other thread's */
static void *
cancel_when_it_runs(void *arg)
{
    const char *path = arg;
    struct stat st;

    while (stat(path, &st) < 0 || st.st_size == 0)
        poll(NULL, 0, 1);
    fake_cancel(&call);
    return NULL;
}

/* It would go on for a thousand seconds; generous, as a machine may be busy. */
static void
test_cancel(void **state)
{
    static const char *const bodies[] = {"echo y >runs; sleep 1000", "echo y >runs; exec >&-; while :; do :; done"};
    struct rk_dev_op o[2];
    struct rk_dev_seen s;
    char runs[200];
    pthread_t thread;

    (void)state;
    snprintf(runs, sizeof runs, "%s/runs", scratch.dir);
    for (int i = 0; i < 4; i++) {
        unlink(runs);
        fake_call_end(&call);
        fake_call(&call, BUDGET_MS);
        assert_int_equal(pthread_create(&thread, NULL, cancel_when_it_runs, runs), 0);
        assert_int_equal(i < 2 ? apply_with(bodies[i], o) : look_with(bodies[i - 2], &s),
                         i < 2 ? RK_E_UNKNOWN : RK_E_CANCELED);
        pthread_join(thread, NULL);
        assert_true(fake_host.left_ms(&call) > BUDGET_MS / 2);
    }
}

/* ---- the file ---- */

static void
expect_refused(const char *path, int err, const char *text)
{
    void *inst;

    assert_int_equal(try_start(path, &inst), err);
    assert_null(inst);
    if (!strstr(call.text, text))
        fail_msg("%s: %s", path, call.text);
}

static void
test_path(void **state)
{
    const char *path = scratch_write(&scratch, "p", 0700, "#!/bin/sh\n", 10);
    const char *link = scratch_path(&scratch, "link"), *dir = scratch_path(&scratch, "dir");
    const char *inside = scratch_path(&scratch, "dir/p");
    void *inst;

    (void)state;
    assert_int_equal(try_start(path, &inst), RK_OK);
    stop(inst);
    assert_int_equal(chmod(path, 0720), 0);
    expect_refused(path, RK_E_UNSAFE, "mode 0720");
    assert_int_equal(chmod(path, 0702), 0);
    expect_refused(path, RK_E_UNSAFE, "mode 0702");
    if (geteuid() != 0) {
        assert_int_equal(chmod(path, 0600), 0);
        expect_refused(path, RK_E_CONFIG, "may not be run");
    }
    assert_int_equal(chmod(path, 0700), 0);
    assert_int_equal(symlink(path, link), 0);
    expect_refused(link, RK_E_UNSAFE, "a link is on its way");
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_int_equal(rename(path, inside), 0);
    assert_int_equal(chmod(dir, 01777), 0); /* sticky is not enough for the program's own folder */
    expect_refused(inside, RK_E_UNSAFE, "dir: mode 1777");
    assert_int_equal(chmod(dir, 0700), 0);
    assert_int_equal(chmod(scratch.dir, 0777), 0);
    expect_refused(inside, RK_E_UNSAFE, scratch.dir);
    assert_int_equal(chmod(scratch.dir, 0700), 0);
    assert_int_equal(try_start(inside, &inst), RK_OK);
    stop(inst);
    expect_refused(scratch_path(&scratch, "none"), RK_E_NOENT, "no such program");
    expect_refused(scratch.dir, RK_E_UNSAFE, "not a regular file");
}

/* It is looked at before each run, and what cannot be run was certainly not done. */
static void
test_changed(void **state)
{
    void *inst = start("echo end");
    const char *path = scratch_path(&scratch, "program");
    struct rk_dev_op o[2];

    (void)state;
    assert_int_equal(chmod(path, 0722), 0);
    assert_int_equal(two(inst, o), RK_E_UNSAFE);
    scratch_write(&scratch, "program", 0700, "#!/no/such/shell\n", 17);
    assert_int_equal(two(inst, o), RK_E_NOENT);
    scratch_write(&scratch, "program", 0700, "neither\n", 8);
    assert_int_equal(two(inst, o), RK_E_CONFIG);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(two(inst, o), RK_E_NOENT);
    stop(inst);
}

static void
test_untold(void **state)
{
    void *inst = start("echo ran >ran");
    struct rk_dev_op o[2] = {{.kind = RK_OP_DESCRIBE, .link = "l", .iface = "eth0", .key_id = "", .peer_facts = "",
                              .text = "a text", .err = RK_E_CONTRACT},
                             {.kind = RK_OP_ACTIVATE, .link = "l", .iface = "eth 0\nop", .key_id = "k",
                              .peer_facts = "", .err = RK_E_CONTRACT}};

    (void)state;
    assert_int_equal(ops()->apply(inst, &call, o, 1), RK_OK);
    assert_int_equal(o[0].err, RK_E_UNSUPPORTED);
    assert_int_equal(ops()->apply(inst, &call, o, 2), RK_E_CONFIG);
    assert_file("ran", "");
    stop(inst);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_schema), TEST(test_apply), TEST(test_clean), TEST(test_observe), TEST(test_hostile),
        TEST(test_partial), TEST(test_exit_codes), TEST(test_leak), TEST(test_key_file), TEST(test_wiped),
        TEST(test_descendants), TEST(test_budget),
        TEST(test_cancel), TEST(test_path), TEST(test_changed), TEST(test_untold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
