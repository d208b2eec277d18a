/* keyout_test.c - the source "keyout": a file that is rewritten while it is used, at two ends that are not in step */
#include "fakehost.h"
#include "scratch.h"

#include "core/base/secret.h"
#include "core/conf/opt.h"
#include "plugins/common/keytext.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <time.h>
#include <cmocka.h>

extern const struct rk_plugin keyout_LTX_rk_plugin;

static struct scratch scratch;
static struct rk_call call;

static const struct rk_source_ops *
ops(void)
{
    return keyout_LTX_rk_plugin.ops;
}

static const char *owner;

static int
try_start(const char *name, const char *file, void **inst)
{
    const char *pairs[] = {RK_CONF_NAME, name, RK_CONF_STATE_DIR, scratch_path(&scratch, "state"), "file",
                           scratch_path(&scratch, file), owner ? "owner" : NULL, owner, NULL};
    struct rk_conf conf = {pairs, keyout_LTX_rk_plugin.opts};

    *inst = NULL;
    return keyout_LTX_rk_plugin.init(&fake_host, &call, &conf, inst);
}

static void *
start(const char *name, const char *file)
{
    void *inst;

    if (try_start(name, file, &inst) != RK_OK)
        fail_msg("%s", call.text);
    return inst;
}

static void
stop(void *inst)
{
    keyout_LTX_rk_plugin.fini(inst);
}

static void
bytes_of(int i, unsigned char *bytes)
{
    for (int k = 0; k < 32; k++)
        bytes[k] = (unsigned char)(i * 37 + k * k * 5 + 1);
}

/* Generation i, in place of the one before, as Rosenpass writes it: 44 digits of base64. */
static void
rewrite(const char *name, int i)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char b[33] = {0};
    char text[45];

    bytes_of(i, b);
    for (int k = 0; k < 11; k++) {
        unsigned three = (unsigned)b[3 * k] << 16 | (unsigned)b[3 * k + 1] << 8 | b[3 * k + 2];

        for (int d = 0; d < 4; d++)
            text[4 * k + d] = digits[three >> (18 - 6 * d) & 63];
    }
    text[43] = '=';
    text[44] = '\0';
    scratch_text(&scratch, name, text);
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

static int
copy(const unsigned char *bytes, size_t len, void *arg)
{
    memcpy(arg, bytes, len);
    return (int)len;
}

/* The two are one key; both are freed. */
static void
same(struct rk_key *a, struct rk_key *b)
{
    unsigned char bytes[64];
    int len = rk_secret_use(a->secret, copy, bytes);

    assert_string_equal(a->id, b->id);
    assert_true(fake_secret_is(b->secret, bytes, (size_t)len));
    rk_secret_free(&a->secret);
    rk_secret_free(&b->secret);
}

static void
test_schema(void **state)
{
    char why[200] = "";

    (void)state;
    if (rk_opts_sane(keyout_LTX_rk_plugin.opts, why, sizeof why) != RK_OK)
        fail_msg("%s", why);
    assert_int_equal(keyout_LTX_rk_plugin.kind, RK_SOURCE);
    assert_int_equal(keyout_LTX_rk_plugin.caps, 0);
}

static void
test_each_once_at_both_ends(void **state)
{
    char seen[5][65] = {""};
    void *a, *b;

    (void)state;
    rewrite("a", 0);
    rewrite("b", 0);
    a = start("a", "a");
    b = start("b", "b");
    for (int i = 0; i < 5; i++) {
        struct rk_key made, asked;

        rewrite("a", i);
        rewrite("b", i);
        if (get_new(a, &made) != RK_OK)
            fail_msg("%s", call.text);
        assert_int_equal(strlen(made.id), 16);
        strcpy(seen[i], made.id);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(seen[k], seen[i]);
        assert_int_equal(get_by_id(b, made.id, &asked), RK_OK);
        same(&made, &asked);
        assert_int_equal(get_new(a, &made), RK_E_AGAIN); /* not before the next one */
        assert_non_null(strstr(call.text, "the next one is expected"));
        assert_int_equal(get_by_id(b, seen[i], &asked), RK_E_KEY_GONE);
        assert_int_equal(get_new(b, &made), RK_E_AGAIN);
    }
    stop(a);
    stop(b);
}

/* Computed apart, with HKDF of another implementation: both are a promise to the other end. */
static void
test_golden(void **state)
{
    static const unsigned char want[] = {
        0xe6, 0xc6, 0x9c, 0x1d, 0x55, 0x68, 0xe6, 0x0e, 0x34, 0x2c, 0x9b, 0x17, 0x5f, 0x33, 0x47, 0x2f,
        0x04, 0x8b, 0xdf, 0x83, 0xe6, 0xef, 0x77, 0x71, 0xa4, 0x0e, 0x80, 0x75, 0xac, 0xf8, 0xa5, 0x0e};
    struct rk_key key;
    void *inst;

    (void)state;
    scratch_text(&scratch, "a", "Rk7pX0vT2mQ9sLw4Zb6nYc8dJf1gHu3e+aE5iO/KxVQ=\n");
    inst = start("a", "a");
    assert_int_equal(get_new(inst, &key), RK_OK);
    assert_string_equal(key.id, "OWi6IBMn7TWCryC1");
    assert_true(fake_secret_is(key.secret, want, sizeof want));
    rk_secret_free(&key.secret);
    stop(inst);
}

/* The master took a key; before the slave asks, its file has moved on, once or up to three times. */
static void
test_slave_is_ahead(void **state)
{
    void *a, *b;

    (void)state;
    rewrite("a", 0);
    rewrite("b", 0);
    a = start("a", "a");
    b = start("b", "b");
    for (int ahead = 1; ahead <= 4; ahead++) {
        struct rk_source_status st;
        struct rk_key made, asked;

        rewrite("a", 10 * ahead);
        rewrite("b", 10 * ahead);
        assert_int_equal(get_new(a, &made), RK_OK);
        assert_int_equal(ops()->status(b, &call, "A", &st), RK_OK); /* it has seen it */
        for (int i = 1; i <= ahead; i++) {
            rewrite("b", 10 * ahead + i);
            assert_int_equal(ops()->status(b, &call, "A", &st), RK_OK);
        }
        if (ahead < 4) {
            assert_int_equal(get_by_id(b, made.id, &asked), RK_OK);
            same(&made, &asked);
        } else { /* too far: it is forgotten */
            assert_int_equal(get_by_id(b, made.id, &asked), RK_E_AGAIN);
            assert_null(asked.secret);
            rk_secret_free(&made.secret);
        }
    }
    stop(a);
    stop(b);
}

/* The slave's file is written while it is asked. */
static void
test_slave_is_behind(void **state)
{
    struct timespec pause = {.tv_nsec = 50000000};
    struct rk_key made, asked;
    void *a, *b;
    pid_t child;

    (void)state;
    rewrite("a", 1);
    rewrite("b", 0);
    a = start("a", "a");
    b = start("b", "b");
    assert_int_equal(get_new(a, &made), RK_OK);
    assert_int_equal(get_by_id(b, made.id, &asked), RK_E_AGAIN); /* it waited for it */
    assert_non_null(strstr(call.text, "has not had key"));
    child = fork();
    if (child == 0) {
        nanosleep(&pause, NULL);
        rewrite("b", 1);
        _exit(0);
    }
    assert_int_equal(get_by_id(b, made.id, &asked), RK_OK);
    same(&made, &asked);
    assert_int_equal(waitpid(child, NULL, 0), child);
    fake_cancel(&call);
    assert_int_equal(get_by_id(b, "AAAAAAAAAAAAAAAA", &asked), RK_E_AGAIN);
    stop(a);
    stop(b);
}

static void
test_half_written(void **state)
{
    struct rk_source_status st;
    struct rk_key key;
    void *inst;

    (void)state;
    rewrite("a", 0);
    inst = start("a", "a");
    assert_int_equal(ops()->status(inst, &call, "B", &st), RK_OK);
    assert_int_equal(st.stored_keys, 1);
    scratch_text(&scratch, "a", ""); /* cut to nothing before it is written */
    assert_int_equal(get_new(inst, &key), RK_E_AGAIN);
    scratch_text(&scratch, "a", "Rk7pX0vT2mQ9sLw4Zb6nYc8d"); /* is base64, of 18 bytes */
    assert_int_equal(get_new(inst, &key), RK_E_AGAIN);
    assert_non_null(strstr(call.text, "does not hold a whole key of 256 bits"));
    assert_null(strstr(call.text, "Rk7pX0"));
    scratch_text(&scratch, "a", "00112233445566778899aabbccddeeff"); /* 32 bytes, but half of 64 digits */
    assert_int_equal(get_new(inst, &key), RK_E_AGAIN);
    scratch_text(&scratch, "a", "Rk7pX0vT2mQ9sLw4Zb6nYc8dRk7pX0vT"); /* the first 32 of 44 */
    assert_int_equal(get_new(inst, &key), RK_E_AGAIN);
    assert_int_equal(ops()->status(inst, &call, "B", &st), RK_E_AGAIN);
    rewrite("a", 1);
    assert_int_equal(get_new(inst, &key), RK_OK);
    rk_secret_free(&key.secret);
    assert_int_equal(ops()->status(inst, &call, "B", &st), RK_OK);
    assert_int_equal(st.stored_keys, 0);
    assert_non_null(strstr(st.text, key.id));
    stop(inst);
}

static void
test_forms(void **state)
{
    unsigned char raw[32];
    char hex[66];
    char id[65] = "";

    (void)state;
    bytes_of(3, raw);
    rkp_hex_put(raw, 32, hex);
    for (int i = 0; i < 3; i++) {
        struct rk_key key;
        char name[2] = {(char)('x' + i), '\0'};
        void *inst;

        if (i == 0)
            rewrite("k", 3);
        else if (i == 1)
            scratch_text(&scratch, "k", strcat(hex, "\n"));
        else
            scratch_write(&scratch, "k", 0600, raw, 32);
        inst = start(name, "k");
        assert_int_equal(get_new(inst, &key), RK_OK);
        assert_true(i == 0 || strcmp(id, key.id) == 0);
        strcpy(id, key.id);
        rk_secret_free(&key.secret);
        stop(inst);
    }
}

/* What was given stays so over a restart; also when the process ends between the mark and the key. */
static void
test_restart(void **state)
{
    char list[200], id[65];
    struct rk_key key;
    void *inst;

    (void)state;
    rewrite("a", 0);
    inst = start("a", "a");
    assert_int_equal(get_new(inst, &key), RK_OK);
    strcpy(id, key.id);
    rk_secret_free(&key.secret);
    stop(inst);
    inst = start("a", "a");
    assert_int_equal(get_new(inst, &key), RK_E_AGAIN);
    assert_int_equal(get_by_id(inst, id, &key), RK_E_KEY_GONE);
    rewrite("a", 1);
    assert_int_equal(get_new(inst, &key), RK_OK);
    rk_secret_free(&key.secret);
    rewrite("a", 0); /* an old file is put back */
    assert_int_equal(get_new(inst, &key), RK_E_AGAIN);
    stop(inst);
    scratch_read(scratch_path(&scratch, "state/keyout-a.used"), list, sizeof list);
    assert_int_equal(strlen(list), 2 * 17);
    rewrite("a", 2);
    for (int i = 3; i < 8; i++) { /* generations later it is still known */
        inst = start("a", "a");
        rewrite("a", i);
        assert_int_equal(get_new(inst, &key), RK_OK);
        rk_secret_free(&key.secret);
        stop(inst);
    }
    inst = start("a", "a");
    assert_int_equal(get_by_id(inst, id, &key), RK_E_KEY_GONE);
    for (int i = 20; i < 26; i++) {
        rewrite("a", i);
        assert_int_equal(get_new(inst, &key), RK_OK);
        rk_secret_free(&key.secret);
    }
    rewrite("a", 20); /* forgotten, and put back: the list knows it */
    assert_int_equal(get_new(inst, &key), RK_E_AGAIN);
    assert_non_null(strstr(call.text, "its key was used"));
    stop(inst);
}

/* The daemon that writes the file has come to a stop. */
static void
test_stale(void **state)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = time(NULL) - 359}};
    struct rk_key key;
    void *inst;

    (void)state;
    rewrite("a", 0);
    inst = start("a", "a");
    assert_int_equal(get_new(inst, &key), RK_OK);
    rk_secret_free(&key.secret);
    assert_int_equal(utimensat(AT_FDCWD, scratch_path(&scratch, "a"), times, 0), 0);
    assert_int_equal(get_new(inst, &key), RK_E_AGAIN);
    times[1].tv_sec -= 10;
    assert_int_equal(utimensat(AT_FDCWD, scratch_path(&scratch, "a"), times, 0), 0);
    assert_int_equal(get_new(inst, &key), RK_E_EMPTY);
    assert_non_null(strstr(call.text, "was not rewritten for 36"));
    stop(inst);
}

static void
test_unsafe(void **state)
{
    struct rk_key key;
    void *inst;

    (void)state;
    fake_log_clear();
    inst = start("a", "a"); /* not there yet */
    assert_non_null(strstr(fake_log(), "res=absent"));
    assert_int_equal(get_new(inst, &key), RK_E_NOENT);
    rewrite("a", 0);
    assert_int_equal(chmod(scratch_path(&scratch, "a"), 0640), 0);
    assert_int_equal(get_new(inst, &key), RK_E_UNSAFE);
    assert_non_null(strstr(call.text, "chmod 600"));
    assert_int_equal(try_start("x", "a", &(void *){NULL}), RK_E_UNSAFE);
    assert_int_equal(chmod(scratch_path(&scratch, "a"), 0600), 0);
    assert_int_equal(symlink("a", scratch_path(&scratch, "link")), 0);
    assert_int_equal(try_start("x", "link", &(void *){NULL}), RK_E_UNSAFE);
    scratch_text(&scratch, "a", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    assert_int_equal(get_new(inst, &key), RK_E_UNSAFE);
    assert_non_null(strstr(call.text, "a key of zeros"));
    rewrite("a", 1);
    assert_int_equal(get_new(inst, &key), RK_OK);
    rk_secret_free(&key.secret);
    stop(inst);
}

/* A daemon with a user of its own writes the file. */
static void
test_owner(void **state)
{
    const char *file = scratch_path(&scratch, "own/a");
    void *inst;

    (void)state;
    owner = "no-such-user";
    assert_int_equal(try_start("x", "a", &inst), RK_E_CONFIG);
    assert_non_null(strstr(call.text, "no user no-such-user"));
    owner = NULL;
    if (geteuid() != 0)
        skip();
    assert_int_equal(mkdir(scratch_path(&scratch, "own"), 0755), 0);
    rewrite("own/a", 0);
    assert_int_equal(chown(file, 12345, 0), 0);
    assert_int_equal(try_start("x", "own/a", &inst), RK_E_UNSAFE);
    assert_non_null(strstr(call.text, "belongs to user 12345"));
    owner = "12345";
    stop(start("x", "own/a"));
    assert_int_equal(chown(scratch_path(&scratch, "own"), 12345, 0), 0);
    assert_int_equal(chmod(file, 0640), 0);
    stop(start("x", "own/a"));
    assert_int_equal(chmod(file, 0644), 0);
    assert_int_equal(try_start("x", "own/a", &inst), RK_E_UNSAFE);
    assert_non_null(strstr(call.text, "chmod 640"));
    assert_int_equal(chmod(file, 0660), 0);
    assert_int_equal(try_start("x", "own/a", &inst), RK_E_UNSAFE);
    owner = "12346";
    assert_int_equal(chmod(file, 0600), 0);
    assert_int_equal(try_start("x", "own/a", &inst), RK_E_UNSAFE);
    owner = NULL;
}

static void
test_sizes(void **state)
{
    struct rk_key keys[3], asked[3];
    void *a, *b;

    (void)state;
    rewrite("a", 0);
    a = start("a", "a");
    b = start("b", "a"); /* two sources may read one file */
    memset(keys, 0, sizeof keys);
    memset(asked, 0, sizeof asked);
    assert_int_equal(ops()->get_new(a, &call, "B", 512, keys, 1), RK_E_KEY_SIZE); /* no more than is in it */
    assert_int_equal(ops()->get_new(a, &call, "B", 0, keys, 1), RK_E_CONTRACT);
    assert_int_equal(ops()->get_new(a, &call, "B", 128, keys, 3), RK_OK); /* one; the others come later */
    assert_int_equal(keys[1].err, RK_E_AGAIN);
    assert_int_equal(keys[2].err, RK_E_AGAIN);
    assert_null(keys[1].secret);
    assert_int_equal(rk_secret_len(keys[0].secret), 16);
    strcpy(asked[0].id, keys[0].id);
    strcpy(asked[1].id, keys[0].id);
    strcpy(asked[2].id, "nope");
    assert_int_equal(ops()->get_by_id(b, &call, "B", 128, asked, 3), RK_OK);
    assert_int_equal(asked[1].err, RK_E_KEY_GONE);
    assert_int_equal(asked[2].err, RK_E_AGAIN);
    same(&keys[0], &asked[0]);
    stop(a);
    stop(b);
}

static int
setup(void **state)
{
    (void)state;
    scratch_make(&scratch);
    fake_call(&call, 10000);
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
        TEST(test_each_once_at_both_ends),
        TEST(test_golden),
        TEST(test_slave_is_ahead),
        TEST(test_slave_is_behind),
        TEST(test_half_written),
        TEST(test_forms),
        TEST(test_restart),
        TEST(test_stale),
        TEST(test_unsafe),
        TEST(test_owner),
        TEST(test_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
