/* static_test.c - the source "static": which secrets it takes, and the keys it derives */
#include "fakehost.h"
#include "scratch.h"

#include "core/base/secret.h"
#include "core/conf/opt.h"
#include "plugins/common/keytext.h"
#include "plugins/source/static/quality.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

extern const struct rk_plugin static_LTX_rk_plugin;

static struct scratch scratch;

static const struct rk_source_ops *
ops(void)
{
    return static_LTX_rk_plugin.ops;
}

/* init with a secret file of these bytes */
static int
start(struct rk_call *call, const void *secret, size_t len, void **inst)
{
    char value[420];
    const char *pairs[] = {"secret", value, NULL};
    struct rk_conf conf = {pairs, static_LTX_rk_plugin.opts};

    snprintf(value, sizeof value, "file:%s", scratch_write(&scratch, "secret", 0600, secret, len));
    fake_call(call, 1000);
    return static_LTX_rk_plugin.init(&fake_host, call, &conf, inst);
}

static void *
start_good(const void *secret, size_t len)
{
    struct rk_call call;
    void *inst = NULL;

    if (start(&call, secret, len, &inst) != RK_OK)
        fail_msg("%s", call.text);
    fake_call_end(&call);
    return inst;
}

static void
make_random(void *bytes, size_t len)
{
    assert_int_equal(fake_host.random(bytes, len), RK_OK);
}

static void
test_schema(void **state)
{
    char why[200] = "";

    (void)state;
    assert_int_equal(rk_opts_sane(static_LTX_rk_plugin.opts, why, sizeof why), RK_OK);
    assert_int_equal(static_LTX_rk_plugin.abi, RK_ABI);
    assert_int_equal(static_LTX_rk_plugin.kind, RK_SOURCE);
    assert_true(static_LTX_rk_plugin.caps & RK_CAP_PARALLEL);
}

static int
take(const unsigned char *bytes, size_t len, void *arg)
{
    memcpy(arg, bytes, len);
    return (int)len;
}

static void
test_both_ends_derive_the_same(void **state)
{
    unsigned char secret[32], bytes[64];
    struct rk_key made[3], asked[3];
    struct rk_call call;
    void *a, *b;

    (void)state;
    make_random(secret, sizeof secret);
    secret[31] = 0x55; /* a newline at the end would be left out */
    a = start_good(secret, sizeof secret);
    b = start_good(secret, sizeof secret);
    fake_call(&call, 1000);
    memset(made, 0, sizeof made);
    memset(asked, 0, sizeof asked);
    assert_int_equal(ops()->get_new(a, &call, "B", 256, made, 3), RK_OK);
    assert_string_not_equal(made[0].id, made[1].id);
    for (int i = 0; i < 3; i++) {
        assert_true(rkp_uuid_ok(made[i].id));
        assert_int_equal(made[i].id[14], '4');
        strcpy(asked[i].id, made[i].id);
    }
    for (char *p = asked[1].id; *p; p++)
        *p = (char)(*p >= 'a' ? *p - 32 : *p); /* upper case is the same ID */
    assert_int_equal(ops()->get_by_id(b, &call, "A", 256, asked, 3), RK_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(asked[i].err, RK_OK);
        assert_string_equal(asked[i].id, made[i].id);
        assert_int_equal(rk_secret_use(made[i].secret, take, bytes), 32);
        assert_true(fake_secret_is(asked[i].secret, bytes, 32));
        fake_host.secret_free(&made[i].secret);
        fake_host.secret_free(&asked[i].secret);
    }
    fake_call_end(&call);
    static_LTX_rk_plugin.fini(a);
    static_LTX_rk_plugin.fini(b);
}

/* Computed apart, with HKDF of another implementation: the derivation is a promise to the other end. */
static void
test_golden_key(void **state)
{
    static const unsigned char want128[16] = {
        0xb1, 0x2b, 0x99, 0x74, 0xd1, 0x87, 0xf9, 0x92, 0x98, 0x1b, 0x8f, 0x10, 0x69, 0x0d, 0xa3, 0x50};
    static const unsigned char want256[32] = {
        0x67, 0xb5, 0x7d, 0x6a, 0x9c, 0xcf, 0xa7, 0x66, 0x53, 0x50, 0x51, 0x35, 0x2e, 0xd9, 0xf7, 0xcf,
        0xb8, 0x84, 0x5e, 0x2d, 0xe9, 0x29, 0x43, 0x26, 0x76, 0x21, 0xa1, 0x91, 0x19, 0x9e, 0xc7, 0xd2};
    const char *secret = "Rk7pX0vT2mQ9sLw4Zb6nYc8dJf1gHu3e+aE5iO/KxVQ=";
    struct rk_key key = {.id = "0f5ce8d4-5c2b-4e0f-9a3c-6d1be1b0a7f2"};
    struct rk_call call;
    void *inst = start_good(secret, strlen(secret));

    (void)state;
    fake_call(&call, 1000);
    assert_int_equal(ops()->get_by_id(inst, &call, "A", 128, &key, 1), RK_OK);
    assert_true(fake_secret_is(key.secret, want128, sizeof want128));
    fake_host.secret_free(&key.secret);
    assert_int_equal(ops()->get_by_id(inst, &call, "A", 256, &key, 1), RK_OK);
    assert_true(fake_secret_is(key.secret, want256, sizeof want256));
    fake_host.secret_free(&key.secret);
    fake_call_end(&call);
    static_LTX_rk_plugin.fini(inst);
}

static void
test_bad_requests(void **state)
{
    unsigned char secret[48];
    struct rk_key keys[2];
    struct rk_call call;
    void *inst;

    (void)state;
    make_random(secret, sizeof secret);
    secret[47] = 1;
    inst = start_good(secret, sizeof secret);
    fake_call(&call, 1000);
    memset(keys, 0, sizeof keys);
    strcpy(keys[0].id, "not-a-uuid");
    assert_int_equal(ops()->get_by_id(inst, &call, "A", 256, keys, 1), RK_E_KEY_GONE);
    assert_non_null(strstr(call.text, "not-a-uuid"));
    strcpy(keys[1].id, "0f5ce8d4-5c2b-4e0f-9a3c-6d1be1b0a7f2");
    assert_int_equal(ops()->get_by_id(inst, &call, "A", 256, keys, 2), RK_OK); /* one of two */
    assert_int_equal(keys[0].err, RK_E_KEY_GONE);
    assert_null(keys[0].secret);
    assert_int_equal(keys[1].err, RK_OK);
    fake_host.secret_free(&keys[1].secret);
    assert_int_equal(ops()->get_new(inst, &call, "B", 0, keys, 1), RK_E_UNSUPPORTED);
    assert_int_equal(ops()->get_new(inst, &call, "B", 12, keys, 1), RK_E_UNSUPPORTED);
    assert_int_equal(ops()->get_new(inst, &call, "B", 1u << 30, keys, 1), RK_E_UNSUPPORTED);
    fake_call_end(&call);
    static_LTX_rk_plugin.fini(inst);
}

static void
test_status(void **state)
{
    unsigned char secret[32];
    struct rk_source_status st;
    struct rk_call call;
    void *inst;

    (void)state;
    make_random(secret, sizeof secret);
    secret[31] = 1;
    inst = start_good(secret, sizeof secret);
    fake_call(&call, 1000);
    assert_int_equal(ops()->status(inst, &call, "B", &st), RK_OK);
    assert_int_equal(st.stored_keys, -1);
    assert_int_equal(st.min_bits, 8);
    assert_true(st.text[0] != '\0');
    fake_call_end(&call);
    static_LTX_rk_plugin.fini(inst);
}

static void
refused(const void *secret, size_t len)
{
    struct rk_call call;
    void *inst = NULL;

    assert_int_equal(start(&call, secret, len, &inst), RK_E_UNSAFE);
    assert_null(inst);
    assert_non_null(strstr(call.text, "head -c 32 /dev/urandom"));
    if (len < 200)
        assert_null(memmem(call.text, strlen(call.text), secret, len)); /* never the content */
    fake_call_end(&call);
}

static void
test_bad_secrets(void **state)
{
    static const char *const bad[] = {
        "Zx8vQ2mN5bV7",
        "Zx8vQ2mN5bV7cL1kJ4hG6fD3sA9pO0u", /* 31 bytes */
        "changemechangemechangemechangeme",
        "ChangeMe-Zx8vQ2mN5bV7cL1kJ4hG6fD3sA9pO0u",
        "my-password-Zx8vQ2mN5bV7cL1kJ4hG6fD3sA9pO",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF",
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", /* the same in base64 */
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        "zyxwvutsrqponmlkjihgfedcbazyxwvutsrqponm",
        "qwertyuiopasdfghjklzxcvbnm1234567890",
        "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "abcabcabcabcabcabcabcabcabcabcabcabc",
        "Tr0ub4dor&3xTr0ub4dor&3xTr0ub4dor&3x",
        "ad7a2bd03eac835a6f620fdcb506b345ad7a2bd03eac835a6f620fdcb506b345",
        "2B7E151628AED2A6ABF7158809CF4F3C5f3a9c1e7b2d8460f1e2d3c4b5a69788",
        "wHHVxRwDJs3/bXd38GHP3oe4svTuRpZS0yCC7x4Ly+s=",
        "OeGMPxh1+2RpJpNCYixWHFLYRubpOKCw94FcCI7VdJA=",
        "correct horse battery staple correct",
        "this is the key of our routers in the old town",
        "000000000000000000000000000000000000000000000000000000000000ffff",
        "1212121212121212121212121212121221212121",
        "30303030313031303030303130303130313030303130303130",
    };
    unsigned char raw[64] = {0};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refused(bad[i], strlen(bad[i]));
    refused(raw, 64);
    memset(raw, 0x0b, sizeof raw); /* RFC 4231, RFC 5869 */
    refused(raw, 32);
    for (size_t i = 0; i < sizeof raw; i++)
        raw[i] = (unsigned char)(i * 3); /* counts */
    refused(raw, 64);
    make_random(raw, 16);
    memcpy(raw + 16, raw, 16);
    raw[0] ^= raw[0] == '\n';
    memcpy(raw + 32, raw, 32);
    refused(raw, 63); /* repeats */
}

/* A refusal of a random secret would send people to weaker ones: none of 3000 may be refused. */
static void
test_random_secrets_pass(void **state)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char raw[32];
    char hex[65], base64[45];

    (void)state;
    for (int round = 0; round < 1000; round++) {
        unsigned held = 0, bits = 0;
        size_t o = 0;

        make_random(raw, sizeof raw);
        for (size_t i = 0; i < sizeof raw; i++)
            for (held = held << 8 | raw[i], bits += 8; bits >= 6; bits -= 6)
                base64[o++] = digits[held >> (bits - 6) & 63];
        base64[o++] = digits[held << (6 - bits) & 63];
        base64[o++] = '=';
        rkp_hex_put(raw, sizeof raw, hex);
        assert_null(static_secret_flaw(raw, sizeof raw));
        assert_null(static_secret_flaw((unsigned char *)hex, 64));
        assert_null(static_secret_flaw((unsigned char *)base64, o));
    }
}

static void
test_estimate(void **state)
{
    unsigned char raw[4096];

    (void)state;
    make_random(raw, sizeof raw);
    assert_true(static_secret_bits(raw, sizeof raw) > 7.5 * sizeof raw);
    assert_true(static_secret_bits((const unsigned char *)"aaaaaaaaaaaaaaaaaaaa", 20) < 1);
    assert_true(static_secret_bits((const unsigned char *)"it is a text of words", 21) <= 1.5 * 21);
    assert_true(static_secret_bits((const unsigned char *)"8f3ac1e7", 8) <= 4 * 8); /* hex: 4 per digit */
    assert_true(static_secret_bits(raw, 0) == 0);
}

static void
test_unsafe_files(void **state)
{
    char value[420];
    const char *pairs[] = {"secret", value, NULL};
    struct rk_conf conf = {pairs, static_LTX_rk_plugin.opts};
    struct rk_call call;
    unsigned char secret[32];
    void *inst = NULL;

    (void)state;
    make_random(secret, sizeof secret);
    fake_call(&call, 1000);
    snprintf(value, sizeof value, "file:%s", scratch_write(&scratch, "open", 0644, secret, sizeof secret));
    assert_int_equal(static_LTX_rk_plugin.init(&fake_host, &call, &conf, &inst), RK_E_UNSAFE);
    assert_non_null(strstr(call.text, "chmod 600"));
    snprintf(value, sizeof value, "file:%s", scratch_path(&scratch, "absent"));
    assert_int_equal(static_LTX_rk_plugin.init(&fake_host, &call, &conf, &inst), RK_E_NOENT);
    pairs[0] = NULL;
    assert_int_equal(static_LTX_rk_plugin.init(&fake_host, &call, &conf, &inst), RK_E_CONFIG);
    assert_null(inst);
    fake_call_end(&call);
}

static void *
ask_often(void *inst)
{
    struct rk_call call;
    struct rk_key keys[8];

    fake_call(&call, 10000);
    for (int i = 0; i < 50; i++) {
        memset(keys, 0, sizeof keys);
        if (ops()->get_new(inst, &call, "B", 256, keys, 8))
            return inst;
        for (int k = 0; k < 8; k++)
            fake_host.secret_free(&keys[k].secret);
        if (ops()->get_by_id(inst, &call, "B", 128, keys, 8))
            return inst;
        for (int k = 0; k < 8; k++)
            fake_host.secret_free(&keys[k].secret);
    }
    fake_call_end(&call);
    return NULL;
}

static void
test_parallel(void **state)
{
    unsigned char secret[32];
    pthread_t threads[4];
    void *inst, *failed;

    (void)state;
    make_random(secret, sizeof secret);
    secret[31] = 1;
    inst = start_good(secret, sizeof secret);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, inst), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    static_LTX_rk_plugin.fini(inst);
}

static int
setup(void **state)
{
    (void)state;
    scratch_make(&scratch);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    scratch_remove(&scratch);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schema),
        cmocka_unit_test(test_both_ends_derive_the_same),
        cmocka_unit_test(test_golden_key),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_bad_secrets),
        cmocka_unit_test(test_random_secrets_pass),
        cmocka_unit_test(test_estimate),
        cmocka_unit_test(test_unsafe_files),
        cmocka_unit_test(test_parallel),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
