/* file_test.c - the source "file": pools in both forms, keys used once, over crashes and changes */
#include "fakehost.h"
#include "scratch.h"

#include "core/base/secret.h"
#include "core/conf/opt.h"
#include "plugins/common/keytext.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/file.h>
#include <cmocka.h>

extern const struct rk_plugin file_LTX_rk_plugin;

static struct scratch scratch;
static struct rk_call call;

static const struct rk_source_ops *
ops(void)
{
    return file_LTX_rk_plugin.ops;
}

static int
try_start(const char *name, const char *pool, void **inst)
{
    const char *pairs[] = {RK_CONF_NAME, name, RK_CONF_STATE_DIR, scratch_path(&scratch, "state"),
                           "pool", scratch_path(&scratch, pool), NULL};
    struct rk_conf conf = {pairs, file_LTX_rk_plugin.opts};

    *inst = NULL;
    return file_LTX_rk_plugin.init(&fake_host, &call, &conf, inst);
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

/* The bytes of key number i: 32 of them, different for each i. */
static void
bytes_of(int i, unsigned char *bytes)
{
    for (int k = 0; k < 32; k++)
        bytes[k] = (unsigned char)(i * 37 + k * 5 + 1);
}

/* A pool with keys k0..k<n-1> of 256 bits. */
static void
write_pool(const char *name, int n)
{
    char text[8192] = "# a pool\n\n", hex[65];
    unsigned char bytes[32];

    for (int i = 0; i < n; i++) {
        bytes_of(i, bytes);
        rkp_hex_put(bytes, 32, hex);
        snprintf(text + strlen(text), sizeof text - strlen(text), "k%d\t %s \n", i, hex);
    }
    scratch_text(&scratch, name, text);
}

static int
get_new(void *inst, uint32_t bits, struct rk_key *key)
{
    memset(key, 0, sizeof *key);
    return ops()->get_new(inst, &call, "B", bits, key, 1);
}

static int
get_by_id(void *inst, const char *id, struct rk_key *key)
{
    memset(key, 0, sizeof *key);
    snprintf(key->id, sizeof key->id, "%s", id);
    return ops()->get_by_id(inst, &call, "A", 256, key, 1);
}

/* The next new key is number i. */
static void
expect_new(void *inst, int i)
{
    unsigned char bytes[32];
    struct rk_key key;
    char id[16];

    snprintf(id, sizeof id, "k%d", i);
    bytes_of(i, bytes);
    if (get_new(inst, 256, &key) != RK_OK)
        fail_msg("%s", call.text);
    assert_string_equal(key.id, id);
    assert_true(fake_secret_is(key.secret, bytes, 32));
    rk_secret_free(&key.secret);
}

static void
test_schema(void **state)
{
    char why[200] = "";

    (void)state;
    if (rk_opts_sane(file_LTX_rk_plugin.opts, why, sizeof why) != RK_OK)
        fail_msg("%s", why);
    assert_int_equal(file_LTX_rk_plugin.kind, RK_SOURCE);
    assert_int_equal(file_LTX_rk_plugin.caps, 0); /* not parallel */
}

static void
test_from_the_top_once(void **state)
{
    struct rk_source_status st;
    struct rk_key key;
    void *inst;

    (void)state;
    write_pool("pool", 3);
    inst = start("m", "pool");
    expect_new(inst, 0);
    expect_new(inst, 1);
    assert_int_equal(ops()->status(inst, &call, "B", &st), RK_OK);
    assert_int_equal(st.stored_keys, 1);
    assert_int_equal(st.min_bits, 256);
    assert_int_equal(st.max_bits, 256);
    expect_new(inst, 2);
    assert_int_equal(get_new(inst, 256, &key), RK_E_EMPTY);
    assert_null(key.secret);
    assert_non_null(strstr(call.text, "add keys with new IDs"));
    assert_int_equal(ops()->status(inst, &call, "B", &st), RK_OK);
    assert_int_equal(st.stored_keys, 0);
    stop(inst);
}

static void
test_two_ends_with_copies(void **state)
{
    unsigned char bytes[32];
    struct rk_key made[2], asked;
    void *master, *slave;

    (void)state;
    write_pool("pool-a", 4);
    write_pool("pool-b", 4);
    master = start("m", "pool-a");
    slave = start("s", "pool-b");
    memset(made, 0, sizeof made);
    assert_int_equal(ops()->get_new(master, &call, "B", 256, made, 2), RK_OK);
    assert_string_equal(made[1].id, "k1");
    assert_int_equal(get_by_id(slave, made[1].id, &asked), RK_OK);
    bytes_of(1, bytes);
    assert_true(fake_secret_is(made[1].secret, bytes, 32));
    assert_true(fake_secret_is(asked.secret, bytes, 32));
    rk_secret_free(&asked.secret);
    rk_secret_free(&made[0].secret);
    rk_secret_free(&made[1].secret);
    assert_int_equal(get_by_id(slave, "k1", &asked), RK_E_KEY_GONE);
    assert_non_null(strstr(call.text, "used before"));
    assert_int_equal(get_by_id(slave, "unknown", &asked), RK_E_AGAIN); /* its pool may be on the way */
    assert_non_null(strstr(call.text, "copy it here again"));
    assert_int_equal(get_by_id(master, "k0", &asked), RK_E_KEY_GONE);
    stop(master);
    stop(slave);
}

static void
test_batches(void **state)
{
    struct rk_key keys[4];
    void *inst;

    (void)state;
    write_pool("pool", 3);
    inst = start("m", "pool");
    memset(keys, 0, sizeof keys);
    strcpy(keys[0].id, "k2");
    strcpy(keys[1].id, "nope");
    strcpy(keys[2].id, "k2");
    assert_int_equal(ops()->get_by_id(inst, &call, "A", 256, keys, 3), RK_OK);
    assert_int_equal(keys[0].err, RK_OK);
    assert_int_equal(keys[1].err, RK_E_AGAIN);
    assert_int_equal(keys[2].err, RK_E_KEY_GONE);
    assert_null(keys[2].secret);
    rk_secret_free(&keys[0].secret);
    memset(keys, 0, sizeof keys);
    assert_int_equal(ops()->get_new(inst, &call, "B", 256, keys, 4), RK_OK); /* two are left */
    assert_int_equal(keys[1].err, RK_OK);
    assert_int_equal(keys[2].err, RK_E_EMPTY);
    assert_null(keys[3].secret);
    rk_secret_free(&keys[0].secret);
    rk_secret_free(&keys[1].secret);
    assert_int_equal(ops()->get_new(inst, &call, "B", 256, keys, 0), RK_E_CONTRACT);
    assert_int_equal(ops()->get_new(inst, &call, "B", 100, keys, 1), RK_E_CONTRACT);
    stop(inst);
}

static void
test_sizes_and_forms(void **state)
{
    struct rk_key key;
    void *inst;

    (void)state;
    scratch_text(&scratch, "pool",
                 "a 000102030405060708090a0b0c0d0eff\r\n"              /* 128 bits, hex, CR LF */
                 "0F5CE8D4-5C2B-4E0F-9A3C-6D1BE1B0A7F2 Rk7pX0vT2mQ9sLw4Zb6nYc8dJf1gHu3e+aE5iO/KxVQ=\n"
                 "c //79/PsAAAAAAAAAAAAAAA==\n");                        /* 128 bits, base64 */
    inst = start("m", "pool");
    assert_int_equal(get_new(inst, 192, &key), RK_E_EMPTY);
    assert_int_equal(get_new(inst, 256, &key), RK_OK);
    assert_string_equal(key.id, "0f5ce8d4-5c2b-4e0f-9a3c-6d1be1b0a7f2");
    assert_int_equal(rk_secret_len(key.secret), 32);
    rk_secret_free(&key.secret);
    assert_int_equal(get_new(inst, 128, &key), RK_OK);
    assert_string_equal(key.id, "a");
    assert_true(fake_secret_is(key.secret, "\0\1\2\3\4\5\6\7\10\11\12\13\14\15\16\377", 16));
    rk_secret_free(&key.secret);
    assert_int_equal(get_by_id(inst, "c", &key), RK_E_KEY_SIZE);
    assert_int_equal(get_new(inst, 128, &key), RK_OK); /* the refusal did not consume it */
    assert_true(fake_secret_is(key.secret, "\xff\xfe\xfd\xfc\xfb\0\0\0\0\0\0\0\0\0\0\0", 16));
    rk_secret_free(&key.secret);
    stop(inst);
}

static void
test_used_survives(void **state)
{
    const char *list = scratch_path(&scratch, "state/file-m.used");
    struct rk_key key;
    char text[200];
    void *inst;
    int fd;

    (void)state;
    write_pool("pool", 5);
    inst = start("m", "pool");
    expect_new(inst, 0);
    assert_int_equal(get_by_id(inst, "k2", &key), RK_OK);
    rk_secret_free(&key.secret);
    stop(inst);
    scratch_read(list, text, sizeof text);
    assert_string_equal(text, "k0\nk2\n");
    fd = open(list, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(write(fd, "k1", 2), 2); /* torn: the crash came before the key was given out */
    close(fd);
    fake_log_clear();
    inst = start("m", "pool");
    assert_non_null(strstr(fake_log(), "ev=torn"));
    expect_new(inst, 1);
    expect_new(inst, 3);
    stop(inst);
    scratch_read(list, text, sizeof text);
    assert_string_equal(text, "k0\nk2\nk1\nk3\n");
}

/* Two instances with one list (a new one is made before the old one ends): no key twice. */
static void
test_two_instances(void **state)
{
    void *old, *new;

    (void)state;
    write_pool("pool", 4);
    old = start("m", "pool");
    new = start("m", "pool");
    expect_new(old, 0);
    expect_new(new, 1);
    expect_new(old, 2);
    stop(old);
    expect_new(new, 3);
    stop(new);
}

static void
test_long_lists(void **state)
{
    char *text = malloc(100000);
    void *inst;
    size_t len = 0;

    (void)state;
    assert_non_null(text);
    for (int i = 0; i < 2000; i++)
        len += (size_t)sprintf(text + len, "of-another-pool-%d\n", i);
    len += (size_t)sprintf(text + len, "k0\n");
    scratch_write(&scratch, "state/file-m.used", 0600, text, len);
    free(text);
    write_pool("pool", 2);
    inst = start("m", "pool");
    expect_new(inst, 1);
    stop(inst);
}

static void
test_bad_lists(void **state)
{
    struct rk_key key;
    void *inst;

    (void)state;
    write_pool("pool", 2);
    scratch_text(&scratch, "state/file-m.used", "k0\nk|1\n");
    assert_int_equal(try_start("m", "pool", &inst), RK_E_UNSAFE);
    scratch_write(&scratch, "state/file-m.used", 0666, "", 0);
    assert_int_equal(try_start("m", "pool", &inst), RK_E_UNSAFE);
    assert_int_equal(unlink(scratch_path(&scratch, "state/file-m.used")), 0);
    inst = start("m", "pool");
    assert_int_equal(unlink(scratch_path(&scratch, "state/file-m.used")), 0);
    assert_int_equal(get_new(inst, 256, &key), RK_E_UNSAFE); /* else keys would come again after a restart */
    assert_null(key.secret);
    stop(inst);
}

static void
test_reload(void **state)
{
    struct rk_source_status st;
    struct rk_key key;
    void *inst;

    (void)state;
    write_pool("pool", 1);
    inst = start("m", "pool");
    expect_new(inst, 0);
    assert_int_equal(get_new(inst, 256, &key), RK_E_EMPTY);
    write_pool("pool", 3); /* grown */
    expect_new(inst, 1);
    scratch_text(&scratch, "pool", "broken\n");
    assert_int_equal(get_new(inst, 256, &key), RK_E_CONFIG);
    assert_non_null(strstr(call.text, "pool:1: no key"));
    assert_int_equal(ops()->status(inst, &call, "B", &st), RK_E_CONFIG);
    assert_int_equal(unlink(scratch_path(&scratch, "pool")), 0);
    assert_int_equal(get_new(inst, 256, &key), RK_E_NOENT);
    write_pool("pool", 4);
    expect_new(inst, 2);
    assert_int_equal(chmod(scratch_path(&scratch, "pool"), 0640), 0);
    assert_int_equal(get_new(inst, 256, &key), RK_E_UNSAFE);
    assert_non_null(strstr(call.text, "chmod 600"));
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
    assert_null(strstr(call.text, "0123456789abcdef")); /* never the content */
}

static void
test_bad_pools(void **state)
{
    char line[20000];

    (void)state;
    refused("# c\nk\n", "bad:2: no key");
    refused("k 0123456789abcdef0123456789abcde\n", "bad:1: a key that is neither");
    refused("k 0123456789abcdef0123456789abcde!\n", "bad:1: a key that is neither");
    refused("k 0123456789abcdef\n", "bad:1: a key shorter");
    refused("k 00000000000000000000000000000000\n", "bad:1: a key of zeros");
    refused("k AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", "bad:1: a key of zeros");
    refused("k 0123456789abcdef0123456789abcdef extra\n", "bad:1: more than");
    refused("k|1 0123456789abcdef0123456789abcdef\n", "bad:1: not a key ID");
    refused("a/b 0123456789abcdef0123456789abcdef\n", "bad:1: not a key ID");
    refused("k 0123456789abcdef0123456789abcdef\n\nk 0123456789abcdef0123456789abcdee\n", "bad:3: the key ID is also "
            "that of");
    refused("k 0123456789abcdef0123456789abcdef\nl 0123456789abcdef0123456789abcdef\n", "bad:2: the key is also that "
            "of");
    refused("k ASNFZ4mrze8BI0VniavN7w==\nl 0123456789abcdef0123456789abcdef\n", "bad:2: the key is also that of");
    refused("k 0123456789abcdef0123456789abcdef", "bad:1: the last line is cut off");
    memset(line, 'a', sizeof line);
    memcpy(line, "k ", 2);
    strcpy(line + 2 + 2 * RK_SECRET_MAX + 2, "\n");
    refused(line, "bad:1: a key longer");
    memset(line, 'a', sizeof line);
    strcpy(line + sizeof line - 2, "\n");
    refused(line, "bad:1: the line is too long");
}

static void
test_unsafe_pools(void **state)
{
    void *inst;

    (void)state;
    write_pool("pool", 1);
    assert_int_equal(try_start("m", "absent", &inst), RK_E_NOENT);
    assert_int_equal(symlink(scratch_path(&scratch, "pool"), scratch_path(&scratch, "link")), 0);
    assert_int_equal(try_start("m", "link", &inst), RK_E_UNSAFE);
    assert_int_equal(chmod(scratch_path(&scratch, "pool"), 0604), 0);
    assert_int_equal(try_start("m", "pool", &inst), RK_E_UNSAFE);
    assert_int_equal(chmod(scratch_path(&scratch, "pool"), 0600), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(scratch_path(&scratch, "pool"), 12345, 0), 0);
        assert_int_equal(try_start("m", "pool", &inst), RK_E_UNSAFE);
    }
    assert_int_equal(mkfifo(scratch_path(&scratch, "fifo"), 0600), 0);
    assert_int_equal(try_start("m", "fifo", &inst), RK_E_UNSAFE);
    assert_int_equal(mkdir(scratch_path(&scratch, "dir"), 0755), 0);
    assert_int_equal(chmod(scratch_path(&scratch, "dir"), 0755), 0);
    assert_int_equal(try_start("m", "dir", &inst), RK_E_UNSAFE);
    assert_non_null(strstr(call.text, "chmod 700"));
    assert_null(inst);
}

static void
test_directory(void **state)
{
    unsigned char raw[32];
    struct rk_key key;
    void *inst;

    (void)state;
    assert_int_equal(mkdir(scratch_path(&scratch, "dir"), 0700), 0);
    bytes_of(9, raw);
    scratch_write(&scratch, "dir/b.key", 0600, raw, 32);
    scratch_text(&scratch, "dir/a.key", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdee\n");
    scratch_text(&scratch, "dir/c.key", "Rk7pX0vT2mQ9sLw4Zb6nYc8dJf1gHu3e+aE5iO/KxVQ=");
    scratch_text(&scratch, "dir/README", "not a key");
    inst = start("m", "dir");
    assert_int_equal(get_new(inst, 256, &key), RK_OK); /* in the order of names */
    assert_string_equal(key.id, "a");
    rk_secret_free(&key.secret);
    assert_int_equal(get_by_id(inst, "b", &key), RK_OK);
    assert_true(fake_secret_is(key.secret, raw, 32));
    rk_secret_free(&key.secret);
    stop(inst);
    inst = start("m", "dir");
    assert_int_equal(get_new(inst, 256, &key), RK_OK);
    assert_string_equal(key.id, "c");
    rk_secret_free(&key.secret);
    assert_int_equal(get_new(inst, 256, &key), RK_E_EMPTY);
    bytes_of(10, raw);
    scratch_write(&scratch, "dir/d.key", 0600, raw, 32); /* a new file is seen */
    assert_int_equal(get_new(inst, 256, &key), RK_OK);
    assert_string_equal(key.id, "d");
    rk_secret_free(&key.secret);
    bytes_of(11, raw);
    scratch_write(&scratch, "dir/e.key", 0644, raw, 32);
    assert_int_equal(get_new(inst, 256, &key), RK_E_UNSAFE);
    assert_non_null(strstr(call.text, "dir/e.key"));
    assert_int_equal(unlink(scratch_path(&scratch, "dir/e.key")), 0);
    scratch_text(&scratch, "dir/0F5CE8D4-5C2B-4E0F-9A3C-6D1BE1B0A7F2.key", "0123456789abcdef0123456789abcdea");
    assert_int_equal(get_new(inst, 256, &key), RK_E_CONFIG);
    stop(inst);
}

/* Only the list is written when a key is lost on the way; the key does not come again. */
static void
test_lost_key_is_not_given_again(void **state)
{
    unsigned char raw[32];
    struct rk_key key;
    void *inst;

    (void)state;
    assert_int_equal(mkdir(scratch_path(&scratch, "dir"), 0700), 0);
    bytes_of(1, raw);
    scratch_write(&scratch, "dir/a.key", 0600, raw, 32);
    inst = start("m", "dir");
    scratch_write(&scratch, "dir/a.key", 0600, raw, 24); /* changed in place: the directory does not tell */
    assert_int_equal(get_new(inst, 256, &key), RK_E_BUSY);
    assert_null(key.secret);
    assert_int_equal(get_new(inst, 256, &key), RK_E_EMPTY);
    stop(inst);
}

static void
test_cancel_and_budget(void **state)
{
    struct rk_key key;
    void *inst;
    int fd;

    (void)state;
    write_pool("pool", 2);
    inst = start("m", "pool");
    fd = open(scratch_path(&scratch, "state/file-m.used"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_SH), 0);
    fake_cancel(&call);
    assert_int_equal(get_new(inst, 256, &key), RK_E_CANCELED);
    fake_call_end(&call);
    fake_call(&call, 20);
    assert_int_equal(get_new(inst, 256, &key), RK_E_TIMEOUT);
    fake_call_end(&call);
    fake_call(&call, 10000);
    close(fd);
    expect_new(inst, 0);
    stop(inst);
}

static void
test_loading_is_bounded(void **state)
{
    const size_t size = 400000;
    char *text = malloc(size);
    size_t len = 0;
    void *inst;

    (void)state;
    assert_non_null(text);
    for (int i = 0; i < 5000; i++)
        len += (size_t)snprintf(text + len, size - len, "key-%d 0123456789abcdef0123456789ab%04x\n", i, i + 1);
    scratch_write(&scratch, "pool", 0600, text, len);
    free(text);
    fake_cancel(&call);
    assert_int_equal(try_start("m", "pool", &inst), RK_E_CANCELED);
    fake_call_end(&call);
    fake_call(&call, 10000);
    inst = start("m", "pool");
    for (int i = 0; i < 5000; i += 499) {
        struct rk_key key;
        char id[16];

        snprintf(id, sizeof id, "key-%d", i);
        memset(&key, 0, sizeof key);
        strcpy(key.id, id);
        assert_int_equal(ops()->get_by_id(inst, &call, "A", 128, &key, 1), RK_OK);
        rk_secret_free(&key.secret);
    }
    stop(inst);
}

static int
setup(void **state)
{
    (void)state;
    scratch_make(&scratch);
    fake_call(&call, 10000);
    fake_log_clear();
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
        TEST(test_schema),
        TEST(test_from_the_top_once),
        TEST(test_two_ends_with_copies),
        TEST(test_batches),
        TEST(test_sizes_and_forms),
        TEST(test_used_survives),
        TEST(test_two_instances),
        TEST(test_long_lists),
        TEST(test_bad_lists),
        TEST(test_reload),
        TEST(test_bad_pools),
        TEST(test_unsafe_pools),
        TEST(test_directory),
        TEST(test_lost_key_is_not_given_again),
        TEST(test_cancel_and_budget),
        TEST(test_loading_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
