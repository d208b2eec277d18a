/* static_fixed_test.c - the source "static" with one literal key, and secrets that can be computed from names */
#include "fakehost.h"
#include "scratch.h"

#include "core/base/secret.h"
#include "core/conf/opt.h"
#include "plugins/common/keytext.h"
#include "plugins/source/static/derived.h"
#include "plugins/source/static/quality.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

extern const struct rk_plugin static_LTX_rk_plugin;

#define NAME "ca-east-1"
#define SAE "SAE_A"
#define KEY_HEX "9c1f0b7a55e2d34866aa10f3c7b8e9d1024f6b8c3a5d7e1f90b2c4d6e8fa0b1c"

static struct scratch scratch;
static struct rk_call call;

static const struct rk_source_ops *
ops(void)
{
    return static_LTX_rk_plugin.ops;
}

static int
try_start(const char *mode, const char *id, const char *secret, void **inst)
{
    char value[420];
    const char *pairs[] = {"secret", value, RK_CONF_NAME, NAME, RK_CONF_SAE, SAE, "mode", mode,
                           id ? "key-id" : NULL, id, NULL};
    struct rk_conf conf = {pairs, static_LTX_rk_plugin.opts};

    *inst = NULL;
    snprintf(value, sizeof value, "file:%s", scratch_text(&scratch, "secret", secret));
    return static_LTX_rk_plugin.init(&fake_host, &call, &conf, inst);
}

static void *
start(const char *id, const char *secret)
{
    void *inst;

    if (try_start("fixed", id, secret, &inst) != RK_OK)
        fail_msg("%s", call.text);
    return inst;
}

static void
stop(void *inst)
{
    static_LTX_rk_plugin.fini(inst);
}

static void
test_schema(void **state)
{
    (void)state;
    assert_true(static_LTX_rk_plugin.caps & RK_CAP_FIXED);
    assert_non_null(rk_opt_find(static_LTX_rk_plugin.opts, "mode")); /* what the capability refers to */
}

/* The same key and ID each time, at both ends, in either form of text. */
static void
test_one_key(void **state)
{
    unsigned char bytes[32];
    struct rk_key a = {.err = 0}, b = {.err = 0}, again = {.err = 0};
    void *east = start(NULL, KEY_HEX "\n"), *west = start(NULL, "nB8LelXi00hmqhDzx7jp0QJPa4w6XX4fkLLE1uj6Cxw=");

    (void)state;
    rkp_hex_get(KEY_HEX, 64, bytes);
    assert_int_equal(ops()->get_new(east, &call, "SAE_B", 256, &a, 1), RK_OK);
    assert_int_equal(ops()->get_new(west, &call, "SAE_B", 256, &again, 1), RK_OK);
    assert_string_equal(a.id, again.id);
    assert_true(rkp_uuid_ok(a.id));
    assert_null(strstr(KEY_HEX, (const char[]){a.id[0], a.id[1], a.id[2], a.id[3], a.id[4], a.id[5], '\0'}));
    strcpy(b.id, a.id);
    for (char *p = b.id; *p; p++)
        *p = (char)(*p >= 'a' ? *p - 32 : *p);
    assert_int_equal(ops()->get_by_id(west, &call, "SAE_A", 256, &b, 1), RK_OK);
    assert_true(fake_secret_is(a.secret, bytes, 32) && fake_secret_is(b.secret, bytes, 32) &&
                fake_secret_is(again.secret, bytes, 32));
    rk_secret_free(&a.secret);
    rk_secret_free(&b.secret);
    rk_secret_free(&again.secret);
    stop(east);
    stop(west);
}

static void
test_requests(void **state)
{
    struct rk_source_status st;
    struct rk_key keys[2];
    void *inst = start("abcd1234", KEY_HEX);

    (void)state;
    memset(keys, 0, sizeof keys);
    assert_int_equal(ops()->get_new(inst, &call, "B", 256, keys, 2), RK_OK);
    assert_string_equal(keys[0].id, "abcd1234");
    assert_int_equal(keys[1].err, RK_E_BUSY); /* never one ID twice in an answer */
    assert_null(keys[1].secret);
    rk_secret_free(&keys[0].secret);
    strcpy(keys[0].id, "other");
    assert_int_equal(ops()->get_by_id(inst, &call, "B", 256, keys, 1), RK_E_KEY_GONE);
    assert_non_null(strstr(call.text, "the one key here is abcd1234"));
    assert_int_equal(ops()->get_new(inst, &call, "B", 128, keys, 1), RK_E_KEY_SIZE); /* a part of it is never given */
    assert_non_null(strstr(call.text, "set key-bits: 256"));
    assert_int_equal(ops()->status(inst, &call, "B", &st), RK_OK);
    assert_int_equal(st.max_per_request, 1);
    assert_int_equal(st.min_bits, 256);
    assert_int_equal(st.max_bits, 256);
    assert_non_null(strstr(st.text, "one fixed key"));
    stop(inst);
}

static void
refused(int err, const char *mode, const char *id, const char *secret, const char *why)
{
    void *inst;

    assert_int_equal(try_start(mode, id, secret, &inst), err);
    assert_null(inst);
    if (!strstr(call.text, why))
        fail_msg("\"%s\" does not say \"%s\"", call.text, why);
    assert_null(strstr(call.text, secret));
}

static void
test_refused(void **state)
{
    (void)state;
    refused(RK_E_UNSAFE, "fixed", NULL, "9c1f0b7a55e2d34866aa10f3c7b8e9", "shorter than 128 bits");
    refused(RK_E_UNSAFE, "fixed", NULL, "9c1f0b7a55e2d34866aa10f3c7b8e9d10", "neither hex nor base64");
    refused(RK_E_UNSAFE, "fixed", NULL, "Not!hex?and*not(base64)at+all&so", "neither hex nor base64");
    refused(RK_E_UNSAFE, "fixed", NULL, "00000000000000000000000000000000", "repeats or counts");
    refused(RK_E_UNSAFE, "fixed", NULL, "101112131415161718191a1b1c1d1e1f", "repeats or counts");
    refused(RK_E_UNSAFE, "fixed", NULL, "2b7e151628aed2a6abf7158809cf4f3c", "an example from a standard");
    refused(RK_E_UNSAFE, "fixed", NULL, "a51c6368616e67656d65e29b01f7c3d4", "a well-known word"); /* "changeme" */
    refused(RK_E_CONFIG, "fixed", "a|b", KEY_HEX, "key-id:");
    refused(RK_E_CONFIG, "derived", "a", KEY_HEX, "for mode: fixed only");
}

/* Anyone who has read the configuration can compute these: digests of names. */
static void
test_derived_secrets(void **state)
{
    static const char *const texts[] = {NAME ":fallback:cak", NAME ":bootstrap:secret:0", NAME, NAME "\n", SAE,
                                        SAE ":key", SAE ":bootstrap:secret:1"};
    unsigned char digest[32];
    char hex[65];

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(fake_host.sha256(texts[i], strlen(texts[i]), digest), RK_OK);
        rkp_hex_put(digest, 32, hex);
        refused(RK_E_UNSAFE, "fixed", NULL, hex, "can be computed from a name");
        refused(RK_E_UNSAFE, "derived", NULL, hex, "can be computed from a name");
        hex[32] = '\0';
        refused(RK_E_UNSAFE, "fixed", NULL, hex, "can be computed from a name");
        assert_true(static_is_derived(&fake_host, digest, 32, i < 4 ? NAME : SAE));
        assert_false(static_is_derived(&fake_host, digest, 32, "another"));
        assert_false(static_is_derived(&fake_host, digest, 15, i < 4 ? NAME : SAE));
    }
    /* written by another tool: sha256("SAE_A:fallback:cak"), so that this test does not only agree with itself */
    refused(RK_E_UNSAFE, "fixed", NULL, "bc8e22f3cd4e106c8f1f78932fa7dfd71684aa061a4639835b8073c3b7b1c173",
            "can be computed from a name");
}

/* The peer's name comes with the first call. */
static void
test_derived_from_the_peer(void **state)
{
    struct rk_key key = {.err = 0};
    unsigned char digest[32];
    char hex[65];

    (void)state;
    assert_int_equal(fake_host.sha256("SAE_B:fallback:cak", 18, digest), RK_OK);
    rkp_hex_put(digest, 32, hex);
    for (int fixed = 0; fixed < 2; fixed++) {
        void *inst;

        assert_int_equal(try_start(fixed ? "fixed" : "derived", NULL, hex, &inst), RK_OK);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(ops()->get_new(inst, &call, "SAE_B", 256, &key, 1), RK_E_UNSAFE);
            assert_null(key.secret);
            assert_non_null(strstr(call.text, "can be computed from a name"));
            strcpy(key.id, "0f5ce8d4-5c2b-4e0f-9a3c-6d1be1b0a7f2");
            assert_int_equal(ops()->get_by_id(inst, &call, "SAE_B", 256, &key, 1), RK_E_UNSAFE);
            assert_int_equal(ops()->get_new(inst, &call, "SAE_C", 256, &key, 1), RK_OK);
            rk_secret_free(&key.secret);
        }
        stop(inst);
    }
}

/* A refusal of a random key would send people to weaker ones. */
static void
test_random_keys_pass(void **state)
{
    unsigned char raw[64];

    (void)state;
    for (int round = 0; round < 1000; round++)
        for (size_t len = 16; len <= sizeof raw; len *= 2) {
            assert_int_equal(fake_host.random(raw, len), RK_OK);
            assert_null(static_key_flaw(raw, len));
            assert_false(static_is_derived(&fake_host, raw, len, NAME));
        }
}

static int
setup(void **state)
{
    (void)state;
    scratch_make(&scratch);
    fake_call(&call, 10000);
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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schema),
        cmocka_unit_test(test_one_key),
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_derived_secrets),
        cmocka_unit_test(test_derived_from_the_peer),
        cmocka_unit_test(test_random_keys_pass),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
