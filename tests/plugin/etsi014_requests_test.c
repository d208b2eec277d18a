/* etsi014_requests_test.c - what is asked of a KME: number and size, how many at once, by which method, with what else.
 *
 * The names of the tests stand in doc/etsi014.md.
 */
#include "etsi014_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ENC "/api/v1/keys/SAE_B/enc_keys"
#define DEC "/api/v1/keys/SAE_B/dec_keys"

static void
assert_new(size_t n, size_t requests)
{
    size_t sent;

    if (rig_new(n) != RK_OK)
        fail_msg("%s", rig.call.text);
    for (size_t i = 0; i < n; i++)
        assert_key(&rig.keys[i]);
    sent = rig_requests();
    if (sent != requests)
        fail_msg("%zu requests, not %zu:\n%s", sent, requests, rig.kme.log);
}

static void
assert_ids(size_t n, size_t requests)
{
    size_t sent;

    if (rig_ids(n) != RK_OK)
        fail_msg("%s", rig.call.text);
    for (size_t i = 0; i < n; i++)
        assert_key(&rig.keys[i]);
    sent = rig_requests();
    if (sent != requests)
        fail_msg("%zu requests, not %zu:\n%s", sent, requests, rig.kme.log);
}

static void
number_and_size_always(void **state)
{
    static const char *const get[] = {"method", "get", NULL}, *const post[] = {"method", "post", NULL};

    (void)state;
    rig_play("ok");
    assert_new(1, 1);
    assert_sent("GET " ENC "?number=1&size=256 ");
    assert_new(2, 1);
    assert_sent("{\"number\":2,\"size\":256}");
    rig_open(get);
    assert_new(2, 1);
    assert_sent("GET " ENC "?number=2&size=256 ");
    rig_open(post);
    assert_new(1, 1);
    assert_sent("{\"number\":1,\"size\":256}");
}

static void
several_keys_in_one_request(void **state)
{
    (void)state;
    rig_play("ok");
    assert_new(64, 1);
    assert_sent("{\"number\":64,\"size\":256}");
    assert_ids(64, 1);
}

static void
limit_from_status(void **state)
{
    struct rk_source_status st;

    (void)state;
    rig_play("limit 10");
    assert_int_equal(rig.ops->status(rig.inst, &rig.call, "SAE_B", &st), RK_OK);
    assert_int_equal(rig_requests(), 1);
    assert_new(25, 3); /* 10, 10, 5: nothing is refused */
    assert_ids(25, 3);
}

static void
limit_from_refusal(void **state)
{
    (void)state;
    rig_play("limit 10");
    assert_new(25, 5); /* 25 are refused, status, 10, 10, 5 */
    assert_new(25, 3);
    rig_play("limit 10 mute"); /* a KME without status */
    rig_open(NULL);
    assert_new(8, 1);
    assert_new(40, 7); /* 40 are refused, no status, 20 are refused, four times 10 */
    assert_new(40, 4);
    assert_ids(25, 1 + 25); /* for IDs nothing is known: after a refusal one by one ... */
    assert_ids(25, 25);     /* ... and never more again */
}

static void
limit_by_halves(void **state)
{
    (void)state;
    rig_play("one-only");     /* its status says 20 */
    assert_new(4, 3 + 1 + 3); /* 4 are refused, status, 2 are refused, then one by one */
    assert_new(4, 4);
}

static void
limit_of_each_peer(void **state)
{
    (void)state;
    rig_play("limit 2");
    assert_new(4, 4);
    rig_play("ok");
    assert_int_equal(rig.ops->get_new(rig.inst, &rig.call, "SAE_C", 256, rig.keys + 4, 4), RK_OK);
    assert_int_equal(rig_requests(), 1); /* what was learnt of SAE_B is not held against SAE_C */
}

static void
refused_peer_asked_once(void **state)
{
    (void)state;
    rig_play("code 400 SAE_B is none of mine");
    assert_int_equal(rig_new(40), RK_E_REJECTED);
    assert_int_equal(rig_requests(), 7); /* 40, status, 20, 10, 5, 2, 1 */
    assert_int_equal(rig_new(40), RK_E_REJECTED);
    assert_int_equal(rig_requests(), 1);
    rig_play("ok"); /* when it works again, all go at once again */
    assert_new(40, 2);
    assert_new(40, 1);
}

static void
last_keys_of_a_pool(void **state)
{
    (void)state;
    rig_play("stock 5");
    assert_int_equal(rig_new(12), RK_OK);
    for (size_t i = 0; i < 12; i++) {
        assert_int_equal(rig.keys[i].err, i < 5 ? RK_OK : RK_E_EMPTY);
        assert_int_equal(rig.keys[i].secret != NULL, i < 5);
    }
    assert_true(rig_requests() <= 6);
    assert_int_equal(rig_new(64), RK_E_EMPTY);
    assert_true(rig_requests() <= 4);
    assert_int_equal(rig_new(1), RK_E_EMPTY);
    assert_int_equal(rig_requests(), 1);
}

static void
method_is_learnt(void **state)
{
    (void)state;
    rig_play("no-get");
    assert_new(1, 2);
    assert_new(1, 1);
    assert_ids(1, 1);
    rig_open(NULL);
    rig_play("no-post");
    assert_new(3, 2);
    assert_sent("GET " ENC "?number=3&size=256 ");
    assert_new(3, 1);
    assert_ids(3, 3);
    rig_open(NULL);
    assert_ids(3, 1 + 3);
    rig_play("code 405");
    rig_open(NULL);
    assert_int_equal(rig_new(1), RK_E_UNSUPPORTED);
    assert_int_equal(rig_requests(), 2);
}

static void
get_that_ignores_the_size(void **state)
{
    struct rk_key key = {.err = RK_E_EMPTY};

    (void)state;
    rig_play("get-ignores");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(rig.ops->get_new(rig.inst, &rig.call, "SAE_B", 128, &key, 1), RK_OK);
        assert_int_equal(fake_host.secret_len(key.secret), 16);
        fake_host.secret_free(&key.secret);
        assert_int_equal(rig_requests(), i == 0 ? 2 : 1); /* from then on by POST */
    }
    assert_logged("res=key-size class=broken-server orphaned=0 wasted=1");
    assert_not_logged("wasted=2");
}

static void
extensions(void **state)
{
    static const char *const extra[] = {"extension-mandatory",
                                        "abc_route_type=direct",
                                        "extension-mandatory",
                                        "{\"abc_hops\": 3, \"abc_via\": {\"a\": [true, null]}}",
                                        "extension-optional",
                                        "abc_note=a=b \"c\"",
                                        NULL};

    (void)state;
    rig_open(extra);
    rig_play("ok");
    assert_new(1, 1);
    assert_sent("POST " ENC " ");
    assert_sent("{\"number\":1,\"size\":256,\"extension_mandatory\":[{\"abc_route_type\":\"direct\"},"
                "{\"abc_hops\":3,\"abc_via\":{\"a\":[true,null]}}],"
                "\"extension_optional\":[{\"abc_note\":\"a=b \\\"c\\\"\"}]}");
    assert_ids(1, 1); /* dec_keys has none */
    assert_sent("GET " DEC "?key_ID=");
}

static void
optional_extension_refused(void **state)
{
    static const char *const extra[] = {"extension-optional", "abc_note=x", NULL};

    (void)state;
    rig_open(extra);
    rig_play("no-optional");
    assert_new(1, 2);
    assert_logged("note=\"it refuses extension-optional: asked without\"");
    assert_new(1, 1);
    assert_sent("{\"number\":1,\"size\":256}");
}

static void
further_slaves(void **state)
{
    static const char *const extra[] = {
        "additional-slave-saes", "SAE_C", "additional-slave-saes", "SAE_B", "additional-slave-saes",
        "Z\xc3\xbcrich \"2\"",   NULL};
    static const char *const peer_only[] = {"additional-slave-saes", "SAE_B", NULL};

    (void)state;
    rig_open(extra);
    rig_play("ok");
    assert_new(2, 1);
    assert_sent("{\"number\":2,\"size\":256,\"additional_slave_SAE_IDs\":[\"SAE_C\",\"Z\xc3\xbcrich \\\"2\\\"\"]}");
    rig_open(peer_only);
    assert_new(1, 1);
    assert_sent("{\"number\":1,\"size\":256}");
}

static void
refuse(const char *const *extra, const char *says)
{
    void *inst;

    assert_int_equal(etsi_open(&rig.kme, "kme", extra, &rig.call, &inst), RK_E_CONFIG);
    assert_null(inst);
    assert_says(says);
}

static void
options_refused(void **state)
{
    static const char *const get_ext[] = {"method", "get", "extension-optional", "a=b", NULL};
    static const char *const get_sae[] = {"method", "get", "additional-slave-saes", "SAE_C", NULL};
    static const char *const bad[][3] = {{"extension-mandatory", "abc", NULL},
                                         {"extension-mandatory", "=abc", NULL},
                                         {"extension-optional", "{\"a\":", NULL},
                                         {"extension-optional", "{}", NULL},
                                         {"extension-optional", "a b=c", NULL}};

    (void)state;
    refuse(get_ext, "can be sent by POST only; take out method: get");
    refuse(get_sae, "can be sent by POST only; take out method: get");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refuse(bad[i], "is neither name=value nor a JSON object");
}

static void
sae_ids_encoded(void **state)
{
    static const struct {
        const char *sae, *sent;
    } cases[] = {
        {"SAE B", "/api/v1/keys/SAE%20B/"},
        {"a/b\\c", "/api/v1/keys/a%2Fb%5Cc/"},
        {"100%25", "/api/v1/keys/100%2525/"},
        {"Z\xc3\xbcrich", "/api/v1/keys/Z%C3%BCrich/"},
        {"q?x=1&y#z", "/api/v1/keys/q%3Fx%3D1%26y%23z/"},
        {"..", "/api/v1/keys/../"},
        {"42", "/api/v1/keys/42/"},
    };

    (void)state;
    rig_play("ok");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rk_source_status st;
        struct rk_key key = {.err = RK_E_EMPTY};

        assert_int_equal(rig.ops->get_new(rig.inst, &rig.call, cases[i].sae, 256, &key, 1), RK_OK);
        fake_host.secret_free(&key.secret);
        assert_int_equal(rig.ops->get_by_id(rig.inst, &rig.call, cases[i].sae, 256, &key, 1), RK_OK);
        fake_host.secret_free(&key.secret);
        assert_int_equal(rig.ops->status(rig.inst, &rig.call, cases[i].sae, &st), RK_OK);
        assert_int_equal(rig_requests(), 3);
        assert_sent(cases[i].sent);
    }
}

static void
spelling_of_key_id(void **state)
{
    static const char *const lenient[] = {"lenient", "yes", NULL};

    (void)state;
    rig_play("lower-names");
    assert_int_equal(rig_new(1), RK_E_PROTOCOL);
    assert_says("key_ID is spelled another way; the option lenient takes it so");
    rig_open(lenient);
    assert_new(1, 1);
    rig_open(NULL);
    rig_play("no-padding");
    assert_int_equal(rig_new(1), RK_E_PROTOCOL);
    assert_says("the option lenient takes it without padding and in the URL alphabet");
    rig_open(lenient);
    assert_new(1, 1);
}

static void
extensions_of_answers(void **state)
{
    (void)state;
    rig_play("extra"); /* key_container_extension, key_ID_extension, key_extension, and others */
    assert_new(3, 1);
    assert_ids(3, 1);
}

static void
batch_with_a_key_that_is_gone(void **state)
{
    size_t gone = 37;

    (void)state;
    rig_play("ok");
    for (size_t i = 0; i < 64; i++)
        snprintf(rig.keys[i].id, sizeof rig.keys[i].id, RIG_UUID "%08zx%s", i, i == gone ? "dead" : "0001");
    assert_int_equal(rig.ops->get_by_id(rig.inst, &rig.call, "SAE_B", 256, rig.keys, 64), RK_OK);
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(rig.keys[i].err, i == gone ? RK_E_KEY_GONE : RK_OK);
    assert_true(rig_requests() <= 1 + 2 * 6 + 3); /* halves, and the one again in the sync window */
}

static void
batch_that_is_late(void **state)
{
    static const char *const wide[] = {"sync-window", "15s", NULL};

    (void)state;
    rig_open(wide);
    rig_play("late");  /* each ID is there at the third question */
    assert_ids(64, 4); /* all, both halves, and all again */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_up, rig_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(number_and_size_always),
        TEST(several_keys_in_one_request),
        TEST(limit_from_status),
        TEST(limit_from_refusal),
        TEST(limit_by_halves),
        TEST(limit_of_each_peer),
        TEST(refused_peer_asked_once),
        TEST(last_keys_of_a_pool),
        TEST(method_is_learnt),
        TEST(get_that_ignores_the_size),
        TEST(extensions),
        TEST(optional_extension_refused),
        TEST(further_slaves),
        TEST(options_refused),
        TEST(sae_ids_encoded),
        TEST(spelling_of_key_id),
        TEST(extensions_of_answers),
        TEST(batch_with_a_key_that_is_gone),
        TEST(batch_that_is_late),
    };

    return rig_can_run() ? cmocka_run_group_tests(tests, rig_group_up, rig_group_down) : 0;
}
