/* file_forms_test.c - the source "file": what other tools write, who may write it, both ends of a pool, large ones */
#include "fakehost.h"
#include "scratch.h"

#include "core/base/clock.h"
#include "core/base/secret.h"
#include "plugins/common/keyform.h"
#include "plugins/common/keytext.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <cmocka.h>

extern const struct rk_plugin file_LTX_rk_plugin;

static struct scratch scratch;
static struct rk_call call;
static const struct rk_host *host = &fake_host;
static const char *take = "first";
static bool synced; /* the list of used keys, since the last write to it */

/* In place of the C library's: is the list on the disk before a key is read? */
int
fdatasync(int fd)
{
    synced = true;
    return fsync(fd);
}

static const struct rk_source_ops *
ops(void)
{
    return file_LTX_rk_plugin.ops;
}

static int
try_start(const char *name, const char *pool, void **inst)
{
    const char *pairs[] = {RK_CONF_NAME, name, RK_CONF_STATE_DIR, scratch_path(&scratch, "state"), "take", take,
                           "pool", scratch_path(&scratch, pool), NULL};
    struct rk_conf conf = {pairs, file_LTX_rk_plugin.opts};

    *inst = NULL;
    return file_LTX_rk_plugin.init(host, &call, &conf, inst);
}

static void *
start(const char *name, const char *pool)
{
    void *inst;

    if (try_start(name, pool, &inst) != RK_OK)
        fail_msg("%s", call.text);
    return inst;
}

static void
stop(void *inst)
{
    file_LTX_rk_plugin.fini(inst);
}

static int
get_new(void *inst, struct rk_key *key)
{
    memset(key, 0, sizeof *key);
    return ops()->get_new(inst, &call, "B", 256, key, 1);
}

static int
get_by_id(void *inst, const char *id, struct rk_key *key)
{
    memset(key, 0, sizeof *key);
    snprintf(key->id, sizeof key->id, "%s", id);
    return ops()->get_by_id(inst, &call, "A", 256, key, 1);
}

static void
expect_new(void *inst, const char *id)
{
    struct rk_key key;

    if (get_new(inst, &key) != RK_OK)
        fail_msg("%s", call.text);
    assert_string_equal(key.id, id);
    rk_secret_free(&key.secret);
}

#define HEX_1 "9c1f0b7a55e2d34866aa10f3c7b8e9d1024f6b8c3a5d7e1f90b2c4d6e8fa0b1c"
#define HEX_2 "9c1f0b7a55e2d34866aa10f3c7b8e9d1024f6b8c3a5d7e1f90b2c4d6e8fa0b1d"
#define HEX_3 "9c1f0b7a55e2d34866aa10f3c7b8e9d1024f6b8c3a5d7e1f90b2c4d6e8fa0b1e"

static void
expect_key(void *inst, const char *id, const char *hex)
{
    unsigned char bytes[32];
    struct rk_key key;

    rkp_hex_get(hex, 64, bytes);
    if (get_by_id(inst, id, &key) != RK_OK)
        fail_msg("%s: %s", id, call.text);
    assert_true(fake_secret_is(key.secret, bytes, 32));
    rk_secret_free(&key.secret);
}

static void
test_lines_of_other_tools(void **state)
{
    void *inst;

    (void)state;
    scratch_text(&scratch, "pool", "a:" HEX_1 "\nb: " HEX_2 "\r\nx:y,c,\t" HEX_3 "\n"
                 "d:e Rk7pX0vT2mQ9sLw4Zb6nYc8dJf1gHu3e+aE5iO/KxVQ=\n");
    inst = start("m", "pool");
    expect_key(inst, "a", HEX_1);
    expect_key(inst, "b", HEX_2);
    expect_key(inst, "x:y,c", HEX_3);
    expect_new(inst, "d:e");
    stop(inst);
}

static void
test_json(void **state)
{
    void *inst;

    (void)state;
    scratch_text(&scratch, "pool",
                 "\n {\"key_container_extension\": {\"a\":[1,-2.5e3,true,{\"x\":null}], \"b\":\"\\u00e9\\n\"},"
                 "\n  \"keys\": [\n"
                 "    {\"key_ID\": \"0F5CE8D4-5C2B-4E0F-9A3C-6D1BE1B0A7F2\", \"key_ID_extension\": {},\n"
                 "     \"key\": \"Rk7pX0vT2mQ9sLw4Zb6nYc8dJf1gHu3e+aE5iO\\/KxVQ=\"},\n"
                 "    {\"key\": \"" HEX_1 "\", \"key_ID\": \"k\\u0031\"}]}\n"
                 "{\"keys\": [{\"key_ID\": \"k2\", \"key\": \"" HEX_2 "\"}]}");
    inst = start("m", "pool");
    expect_new(inst, "0f5ce8d4-5c2b-4e0f-9a3c-6d1be1b0a7f2"); /* with an escape in its key */
    expect_key(inst, "k1", HEX_1);
    expect_new(inst, "k2");
    stop(inst);
}

static void
refused(const char *text, const char *why)
{
    void *inst;

    scratch_text(&scratch, "bad", text);
    assert_int_equal(try_start("m", "bad", &inst), RK_E_CONFIG);
    if (!strstr(call.text, why))
        fail_msg("\"%s\" does not say \"%s\"", call.text, why);
    assert_null(strstr(call.text, "9c1f0b7a")); /* never the content */
}

static void
test_bad_json(void **state)
{
    static const char head[] = "{\"keys\":[{\"key_ID\":\"a\",\"key\":\"" HEX_1 "\"}";
    char text[40000];

    (void)state;
    refused("{", "bad:1: the name of a member");
    refused("{}", "bad:1: the name of a member");
    refused("{\"a\":1}", "bad:1: no \"keys\"");
    refused("{\"keys\":{}}", "bad:1: keys: a list");
    refused("{\"keys\":[{\"key_ID\":\"a\"}]}", "bad:1: a key needs");
    refused("{\"keys\":[{\"key_ID\":\"a\",\"key\":12}]}", "bad:1: key: one text");
    refused("{\"keys\":[{\"key_ID\":\"a\",\"key_ID\":\"b\"}]}", "bad:1: key_ID: one text");
    refused("{\"keys\":[\n{\"key_ID\":\"a b\",\"key\":\"" HEX_1 "\"}]}", "bad:2: not a key ID");
    refused("{\"keys\":[\n{\"key_ID\":\"a\\nb\",\"key\":\"" HEX_1 "\"}]}", "bad:2: not a key ID");
    refused("{\"keys\":[\n\n{\"key_ID\":\"a\",\"key\":\"9c1f0b7a\"}]}", "bad:3: a key shorter");
    refused("{\"keys\":[{\"key_ID\":\"a\",\"key\":\"9c1f0b7a", "bad:1: a text without end");
    refused("{\"x\":[[[[[[[[[[[[[[[[[[[[", "bad:1: nested too deeply");
    refused("{\"x\":]}", "bad:1: a bracket too many");
    refused("{\"keys\":[]}\nkey", "bad:2: not JSON");
    refused("{\"keys\":[]}\n[", "bad:2: something is between");
    snprintf(text, sizeof text, "%s,{\"key_ID\":\"a\",\"key\":\"" HEX_2 "\"}]}", head);
    refused(text, "bad:1: the key ID is also that of");
    snprintf(text, sizeof text, "%s,\n{\"key_ID\":\"b\",\"key\":\"" HEX_1 "\"}]}", head);
    refused(text, "bad:2: the key is also that of");
    for (size_t cut = 1; cut < sizeof head - 1; cut++) { /* any part of one is not taken for a whole */
        void *inst;

        scratch_write(&scratch, "bad", 0600, head, cut);
        assert_int_equal(try_start("m", "bad", &inst), RK_E_CONFIG);
    }
    memset(text, 'a', sizeof text);
    memcpy(text, "{\"x\":\"", 6);
    strcpy(text + sizeof text - 4, "\"}");
    refused(text, "bad:1: a text longer than any key");
}

static void
test_weak_keys(void **state)
{
    (void)state;
    refused("k ffffffffffffffffffffffffffffffff\n", "bad:1: a key whose bytes are all the same; make it anew");
    refused("k 9c1f0b7a55e2d34866aa10f3c7b8e9d102\n", "bad:1: a key of an odd number of bytes");
    refused("k 2b7e151628aed2a6abf7158809cf4f3c\n", "bad:1: a key that is printed in a standard");
    refused("\nk OeGMPxh1+2RpJpNCYixWHFLYRubpOKCw94FcCI7VdJA=\n", "bad:2: a key that is printed in a standard");
}

/* Who can put another pool in the place of this one? */
static void
test_parent(void **state)
{
    void *inst;

    (void)state;
    assert_int_equal(mkdir(scratch_path(&scratch, "up"), 0700), 0);
    scratch_text(&scratch, "up/pool", "k1 " HEX_1 "\n");
    assert_int_equal(chmod(scratch_path(&scratch, "up"), 0777), 0);
    assert_int_equal(try_start("m", "up/pool", &inst), RK_E_UNSAFE);
    assert_non_null(strstr(call.text, "chmod go-w the folder"));
    assert_int_equal(chmod(scratch_path(&scratch, "up"), 01777), 0); /* as /tmp */
    stop(start("m", "up/pool"));
    assert_int_equal(chmod(scratch_path(&scratch, "up"), 0755), 0);
    stop(start("m", "up/pool"));
    if (geteuid() == 0) {
        assert_int_equal(chown(scratch_path(&scratch, "up"), 12345, 0), 0);
        assert_int_equal(try_start("m", "up/pool", &inst), RK_E_UNSAFE);
        assert_non_null(strstr(call.text, "chown the folder"));
    }
}

static void
test_names_in_a_directory(void **state)
{
    void *inst;

    (void)state;
    assert_int_equal(mkdir(scratch_path(&scratch, "dir"), 0700), 0);
    scratch_text(&scratch, "dir/0f5ce8d4-5c2b-4e0f-9a3c-6d1be1b0a7f2", HEX_1 "\n");
    scratch_text(&scratch, "dir/k2.key", HEX_2);
    scratch_text(&scratch, "dir/k3.pem", HEX_3);
    inst = start("m", "dir");
    expect_new(inst, "0f5ce8d4-5c2b-4e0f-9a3c-6d1be1b0a7f2");
    expect_key(inst, "k2", HEX_2);
    assert_int_equal(get_by_id(inst, "k3", &(struct rk_key){.err = 0}), RK_E_AGAIN);
    scratch_text(&scratch, "dir/k4.key", HEX_1); /* a key under a second ID is found when it comes */
    assert_int_equal(get_new(inst, &(struct rk_key){.err = 0}), RK_E_CONFIG);
    assert_non_null(strstr(call.text, "the key is also that of"));
    assert_int_equal(symlink(scratch_path(&scratch, "dir/k2.key"), scratch_path(&scratch, "dir/k4.key")), -1);
    assert_int_equal(unlink(scratch_path(&scratch, "dir/k4.key")), 0);
    assert_int_equal(symlink(scratch_path(&scratch, "dir/k2.key"), scratch_path(&scratch, "dir/k4.key")), 0);
    assert_int_equal(get_new(inst, &(struct rk_key){.err = 0}), RK_E_UNSAFE);
    assert_non_null(strstr(call.text, "symbolic link"));
    stop(inst);
}

static void
write_pool(const char *name, int n)
{
    FILE *f = fopen(scratch_path(&scratch, name), "w");

    assert_non_null(f);
    assert_int_equal(fchmod(fileno(f), 0600), 0);
    for (int i = 0; i < n; i++)
        fprintf(f, "k%d %.56s%08x\n", i, HEX_1, (unsigned)i);
    assert_int_equal(fclose(f), 0);
}

/* Each end is the master of some links: the one takes from the top, the other from the bottom of one pool. */
static void
test_both_ends_take_new_keys(void **state)
{
    struct rk_key key, asked;
    void *a, *b;

    (void)state;
    write_pool("a", 4);
    write_pool("b", 4);
    a = start("a", "a");
    take = "last";
    b = start("b", "b");
    expect_new(b, "k3");
    expect_key(a, "k3", "9c1f0b7a55e2d34866aa10f3c7b8e9d1024f6b8c3a5d7e1f90b2c4d600000003");
    assert_int_equal(get_new(a, &key), RK_OK);
    assert_string_equal(key.id, "k0");
    assert_int_equal(get_by_id(b, "k0", &asked), RK_OK);
    rk_secret_free(&key.secret);
    rk_secret_free(&asked.secret);
    expect_new(b, "k2");
    write_pool("b", 6); /* appended to at both ends */
    write_pool("a", 6);
    expect_new(b, "k5");
    expect_new(a, "k1");
    stop(a);
    stop(b);
}

/* A pool that is brought to this end later than to the other one. */
static void
test_late_copy(void **state)
{
    struct rk_key key;
    void *inst;

    (void)state;
    write_pool("pool", 1);
    inst = start("s", "pool");
    assert_int_equal(get_by_id(inst, "k2", &key), RK_E_AGAIN);
    assert_null(key.secret);
    write_pool("pool", 3);
    expect_key(inst, "k2", "9c1f0b7a55e2d34866aa10f3c7b8e9d1024f6b8c3a5d7e1f90b2c4d600000002");
    write_pool("pool", 2); /* back to an older copy: what was used stays so */
    assert_int_equal(get_by_id(inst, "k2", &key), RK_E_KEY_GONE);
    assert_non_null(strstr(call.text, "used before"));
    write_pool("pool", 3);
    assert_int_equal(get_by_id(inst, "k2", &key), RK_E_KEY_GONE);
    stop(inst);
}

static bool die_at_secret;

/* Called when the key is about to be read: the end of the process, or a look whether the mark is on the disk. */
static int
secret_new(size_t len, rk_fill_fn *fill, void *arg, struct rk_secret **out)
{
    if (die_at_secret)
        _exit(9);
    assert_true(synced);
    synced = false;
    return fake_host.secret_new(len, fill, arg, out);
}

/* The process ends between the mark and the key, each time: each key is lost, none comes twice. */
static void
test_crash_between_mark_and_key(void **state)
{
    struct rk_host watched = fake_host;
    char list[200];
    void *inst;

    (void)state;
    watched.secret_new = secret_new;
    host = &watched;
    write_pool("pool", 5);
    for (int i = 0; i < 3; i++) {
        int status;
        pid_t child = fork();

        if (child == 0) {
            die_at_secret = true;
            get_new(start("m", "pool"), &(struct rk_key){.err = 0});
            _exit(1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 9);
    }
    scratch_read(scratch_path(&scratch, "state/file-m.used"), list, sizeof list);
    assert_string_equal(list, "k0\nk1\nk2\n");
    inst = start("m", "pool");
    synced = false;
    expect_new(inst, "k3"); /* secret_new looks whether the list was synced */
    expect_key(inst, "k4", "9c1f0b7a55e2d34866aa10f3c7b8e9d1024f6b8c3a5d7e1f90b2c4d600000004");
    stop(inst);
}

/* More than a pool may hold: read within the budget of an init, and refused. */
static void
test_too_many(void **state)
{
    int64_t begin = rk_now_ns();
    void *inst;

    (void)state;
    fake_call_end(&call);
    fake_call(&call, 120000);
    write_pool("pool", 1000001);
    begin = rk_now_ns();
    assert_int_equal(try_start("m", "pool", &inst), RK_E_CONFIG);
    print_message("# a million keys read in %lld ms\n", (long long)((rk_now_ns() - begin) / RK_NS_PER_MS));
    assert_non_null(strstr(call.text, "more than 1000000 keys; split it"));
}

static void
test_many(void **state)
{
    struct rk_source_status st;
    void *inst;

    (void)state;
    write_pool("pool", 20000);
    inst = start("m", "pool");
    for (int i = 0; i < 100; i++) {
        char id[16];

        snprintf(id, sizeof id, "k%d", i);
        expect_new(inst, id);
    }
    assert_int_equal(ops()->status(inst, &call, "B", &st), RK_OK);
    assert_int_equal(st.stored_keys, 19900);
    assert_non_null(strstr(st.text, "19900 of 20000 keys left"));
    stop(inst);
}

static int
setup(void **state)
{
    (void)state;
    scratch_make(&scratch);
    fake_call(&call, 10000);
    fake_log_clear();
    take = "first";
    host = &fake_host; /* one that failed has left its own */
    die_at_secret = false;
    return mkdir(scratch_path(&scratch, "state"), 0700);
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
        TEST(test_lines_of_other_tools),
        TEST(test_json),
        TEST(test_bad_json),
        TEST(test_weak_keys),
        TEST(test_parent),
        TEST(test_names_in_a_directory),
        TEST(test_both_ends_take_new_keys),
        TEST(test_late_copy),
        TEST(test_crash_between_mark_and_key),
        TEST(test_many),
        TEST(test_too_many), /* which is long: the last */
    };
    size_t n = sizeof tests / sizeof tests[0] - (getenv("REKEY_QUICK") ? 1 : 0);

    return _cmocka_run_group_tests("tests", tests, n, NULL, NULL);
}
