/* junos_chain_test.c - keying: key-chain, class D: what each operation makes of the chain */
#include "junos_fake.h"

#include <rekey/err.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define IF1 "et-0/0/1"
#define CONF(keys, more) \
    "<configuration><security><authentication-key-chains><key-chain><name>KC</name><description>x</description>" keys \
    "</key-chain></authentication-key-chains><macsec><connectivity-association><name>CA1</name><cipher-suite>" \
    "gcm-aes-256</cipher-suite><security-mode>static-cak</security-mode><pre-shared-key-chain>KC" \
    "</pre-shared-key-chain>" more "</connectivity-association><interfaces><name>" IF1 \
    "</name><connectivity-association>CA1</connectivity-association></interfaces></macsec></security></configuration>"
#define HIS_KEY(slot, ckn, start) \
    "<key><name>" slot "</name><secret>" HIS_CAK "</secret><key-name>" ckn "</key-name><start-time>" start \
    "</start-time></key>"

static int64_t
now_s(void)
{
    return (int64_t)time(NULL);
}

static void
start(const char *conf)
{
    fake_router_start(conf);
    router.d.opt.keying = JN_CHAIN;
}

static int
setup(void **state)
{
    (void)state;
    start(CONF("", ""));
    return 0;
}

static int
try_stage(uint64_t seq, const char *key_id, const char *keep, int64_t start_s)
{
    char terms[RK_TERMS_MAX];

    snprintf(terms, sizeof terms, "keep=%s,start=%lld", keep, (long long)start_s);
    return fake_one(RK_OP_STAGE, IF1, seq, key_id, terms);
}

/* Time passes on the router alone. */
static void
pass(int64_t s)
{
    router.clock_offset_s += s;
}

static int64_t
router_s(void)
{
    return now_s() + router.clock_offset_s;
}

static void
stage(uint64_t seq, const char *key_id, const char *keep)
{
    int err = try_stage(seq, key_id, keep, router_s() + 60);

    if (err)
        print_message("%s\n", fake_why());
    assert_int_equal(err, RK_OK);
}

static void
rotate(uint64_t seq, const char *key_id, const char *keep)
{
    stage(seq, key_id, keep);
    pass(70);
}

/* The slot of a key, -1 none. */
static int
slot(const char *key_id)
{
    for (int i = 0; i < JN_SLOTS; i++)
        if (strcmp(fake_slot("KC", i, "key-name"), fake_ckn(key_id)) == 0)
            return i;
    return -1;
}

static int64_t
start_of(const char *key_id)
{
    int64_t s = 0;

    assert_true(jn_start_read(fake_slot("KC", slot(key_id), "start-time"), router.zone_s, &s));
    return s;
}

static void
assert_fallback(const char *key_id)
{
    assert_string_equal(fake_at("CA1", "fallback-key/ckn"), key_id ? fake_ckn(key_id) : "");
    assert_string_equal(fake_at("CA1", "fallback-key/cak"), key_id ? fake_stored(key_id, IF1, "gcm-aes-256") : "");
}

static void
test_first_key(void **state)
{
    (void)state;
    stage(1, "k1", "");
    assert_int_equal(slot("k1"), 0);
    assert_string_equal(fake_slot("KC", 0, "secret"), fake_stored("k1", IF1, "gcm-aes-256"));
    assert_string_equal(fake_macro("CA1", "k1"), "1");
    assert_fallback(NULL);
}

/* The ring: ascending slots, what is not needed goes, and the key before the kept one is the fallback. */
static void
test_ring(void **state)
{
    char id[8], before[8], older[8];

    (void)state;
    for (int i = 1; i <= 150; i++) {
        snprintf(id, sizeof id, "k%d", i);
        snprintf(before, sizeof before, "k%d", i - 1);
        if (i == 1)
            before[0] = '\0';
        snprintf(older, sizeof older, "k%d", i - 2);
        rotate((uint64_t)i, id, before);
        assert_int_equal(slot(id), (i - 1) % JN_SLOTS);
        assert_int_equal(fake_slots("KC"), i > 1 ? 2 : 1);
        assert_fallback(i > 2 ? older : NULL);
        if (i > 1)
            assert_true(start_of(id) > start_of(before));
    }
    assert_int_equal(router.commits, 150);
    assert_null(fake_macro("CA1", "k147"));
}

static void
test_again_is_no_commit(void **state)
{
    int64_t s = now_s() + 100;

    (void)state;
    rotate(1, "k1", "");
    assert_int_equal(try_stage(2, "k2", "k1", s), RK_OK);
    assert_int_equal(try_stage(2, "k2", "k1", s), RK_OK);
    assert_int_equal(router.commits, 2);
    jn_sealed_free(&router.d); /* also after a crash, and when it has begun meanwhile */
    pass(200);
    assert_int_equal(try_stage(2, "k2", "k1", s), RK_OK);
    assert_int_equal(router.commits, 2);
}

static void
test_another_start(void **state)
{
    (void)state;
    rotate(1, "k1", "");
    stage(2, "k2", "k1");
    assert_int_equal(try_stage(2, "k2", "k1", router_s() + 500), RK_OK);
    assert_int_equal(fake_slots("KC"), 2);
    assert_true(start_of("k2") >= router_s() + 499);
}

static void
test_starts_that_are_refused(void **state)
{
    (void)state;
    rotate(1, "k1", "");
    assert_int_equal(try_stage(2, "k2", "k1", router_s() - 1), RK_E_CONFLICT);
    assert_int_equal(try_stage(2, "k2", "k1", router_s()), RK_E_CONFLICT);
    router.clock_offset_s += 3600; /* the router's clock decides */
    assert_int_equal(try_stage(2, "k2", "k1", now_s() + 60), RK_E_CONFLICT);
    assert_int_equal(fake_one(RK_OP_STAGE, IF1, 2, "k2", "keep=k1"), RK_E_CONTRACT);
    assert_int_equal(fake_one(RK_OP_STAGE, IF1, 2, "k2", "keep=k1,start=x"), RK_E_CONTRACT);
    assert_int_equal(try_stage(2, "k1", "", router_s() + 60), RK_E_CONFLICT); /* it has begun */
    assert_int_equal(router.commits, 1);
}

static void
test_zones(void **state)
{
    static const int32_t zones[] = {0, 3600, 7200, 20700, 45900, -34200, -43200};

    (void)state;
    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++) {
        fake_router_end();
        start(CONF("", ""));
        router.zone_s = zones[i];
        assert_int_equal(try_stage(1, "k1", "", 1800000000), RK_OK); /* 2027-01-15 08:00:00 UTC */
        if (zones[i] == 20700)
            assert_string_equal(fake_slot("KC", 0, "start-time"), "2027-01-15.13:45:00");
        if (zones[i] == -43200)
            assert_string_equal(fake_slot("KC", 0, "start-time"), "2027-01-14.20:00:00");
        assert_true(start_of("k1") == 1800000000);
    }
}

/* The zone changes between now and the start: the key would begin an hour off, and is taken out in the same call. */
static void
test_zone_changes_before_the_start(void **state)
{
    static const int32_t later[] = {7200, 0};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        fake_router_end();
        start(CONF("", ""));
        router.zone_s = 3600;
        rotate(1, "k1", "");
        rotate(2, "k2", "k1");
        router.zone_change_s = router_s() + 30;
        router.zone_later_s = later[i];
        assert_int_equal(try_stage(3, "k3", "k2", router_s() + 20), RK_OK); /* before the change */
        assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 3, "k3", "keep=k2"), RK_OK);
        assert_int_equal(router.commits, 4);
        assert_int_equal(try_stage(4, "k4", "k2", router_s() + 60), RK_E_CONFLICT);
        assert_non_null(strstr(fake_why(), "the router's zone changes before the start time: use UTC"));
        assert_non_null(strstr(fake_why(), i == 0 ? "3600 s early" : "3600 s late"));
        assert_int_equal(router.commits, 6);
        assert_int_equal(slot("k4"), -1);
        assert_true(slot("k2") >= 0 && start_of("k2") <= router_s());
        if (i == 0) /* it had begun, so the peer may use it */
            assert_fallback("k4");
    }
}

/* It cannot be taken out: what is there is to be read. */
static void
test_zone_changes_and_the_router_is_gone(void **state)
{
    (void)state;
    rotate(1, "k1", "");
    router.zone_change_s = router_s() + 30;
    router.zone_later_s = -3600;
    fake_on((struct fake_rule){.what = "commit-configuration", .n = 2, .end = FAKE_ERROR, .message = "no"});
    assert_int_equal(try_stage(2, "k2", "k1", router_s() + 60), RK_E_UNKNOWN);
    assert_true(slot("k2") >= 0);
}

static void
test_given_up_before_its_time(void **state)
{
    (void)state;
    rotate(1, "k1", "");
    rotate(2, "k2", "k1");
    stage(3, "k3", "k2");
    assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 3, "k3", "keep=k2"), RK_OK);
    assert_int_equal(slot("k3"), -1);
    assert_int_equal(slot("k2"), 1);
    assert_null(fake_macro("CA1", "k3"));
    assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 3, "k3", "keep=k2"), RK_OK);
    assert_int_equal(router.commits, 4);
}

/* The given-up one takes the fallback slot. */
static void
test_given_up_after_its_time(void **state)
{
    (void)state;
    rotate(1, "k1", "");
    rotate(2, "k2", "k1");
    rotate(3, "k3", "k2");
    jn_sealed_free(&router.d);
    assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 3, "k3", "keep=k2"), RK_OK);
    assert_int_equal(slot("k3"), -1);
    assert_true(start_of("k2") < router_s() - 60); /* it is the newest that has begun: nothing to do */
    assert_fallback("k3");
    assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 3, "k3", "keep=k2"), RK_OK);
    assert_int_equal(router.commits, 4);
    rotate(4, "k4", "k2");
    assert_int_equal(fake_slots("KC"), 2);
}

/* A key that is in the chain, and not the newest, begins again: its start time alone changes. */
static void
test_begins_again(void **state)
{
    (void)state;
    rotate(1, "k1", "");
    rotate(2, "k2", "k1");
    jn_sealed_free(&router.d);
    assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 3, "k3", "keep=k1"), RK_OK);
    assert_true(start_of("k1") <= router_s() && start_of("k1") >= router_s() - 5);
    assert_null(strstr(router.payload, "<secret>"));
    assert_int_equal(slot("k1"), 0);
    assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 3, "k3", "keep=k1"), RK_OK);
    assert_int_equal(router.commits, 3);
}

/* A newer key was not taken up, and the router goes on with the one before as the preceding key: when another one
 * begins, only the kept key may be the preceding one. */
static void
test_kept_is_in_use_until_then(void **state)
{
    (void)state;
    rotate(1, "k1", "");
    rotate(2, "k2", "k1");
    jn_sealed_free(&router.d);
    stage(3, "k3", "k1");
    assert_true(slot("k1") >= 0 && slot("k3") >= 0);
    assert_int_equal(slot("k2"), -1);
    assert_fallback("k2");
}

static void
test_others_newer_key(void **state)
{
    (void)state;
    fake_router_end();
    start(CONF(HIS_KEY("0", "aabb", "2020-01-01.00:00:00") HIS_KEY("1", HIS, "2021-01-01.00:00:00"), ""));
    router.sender = IF1;
    snprintf(router.sender_ckn, sizeof router.sender_ckn, "%s", "aabb");
    assert_int_equal(try_stage(1, "k1", "", now_s() + 60), RK_E_CONFLICT);
    assert_non_null(strstr(fake_why(), "began after the one in use"));
    assert_int_equal(router.commits, 0);
}

static void
test_preceding_key_is_needed(void **state)
{
    (void)state;
    fake_router_end();
    start(CONF("", "<disable-preceding-key/>"));
    assert_int_equal(try_stage(1, "k1", "", now_s() + 60), RK_E_CONFIG);
    assert_non_null(strstr(fake_why(), "has disable-preceding-key"));
    assert_int_equal(router.commits, 0);
}

/* The kept key is in the fallback slot only. */
static void
test_back_from_the_fallback(void **state)
{
    (void)state;
    rotate(1, "k1", "");
    rotate(2, "k2", "k1");
    rotate(3, "k3", "k2");
    assert_fallback("k1");
    assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 3, "k3", "keep=k1"), RK_OK);
    assert_true(slot("k1") >= 0);
    assert_string_equal(fake_slot("KC", slot("k1"), "secret"), fake_stored("k1", IF1, "gcm-aes-256"));
    assert_fallback("k3");
    assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 3, "k3", "keep=zz"), RK_E_NOKEY);
}

static void
test_only_key_is_given_up(void **state)
{
    (void)state;
    stage(1, "k1", "");
    assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 1, "k1", "keep="), RK_OK);
    assert_int_equal(fake_slots("KC"), 0); /* its time had not come: nobody uses it */
    rotate(2, "k2", "");
    assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 2, "k2", "keep="), RK_OK);
    assert_int_equal(fake_slots("KC"), 0);
    assert_fallback("k2");
}

static void
test_others_keys_stay(void **state)
{
    (void)state;
    fake_router_end();
    start(CONF(HIS_KEY("0", HIS, "2020-01-01.00:00:00") HIS_KEY("5", "aabb", "2020-02-01.00:00:00"), ""));
    rotate(1, "k1", "");
    rotate(2, "k2", "k1");
    rotate(3, "k3", "k2");
    assert_string_equal(fake_slot("KC", 0, "key-name"), HIS);
    assert_string_equal(fake_slot("KC", 5, "key-name"), "aabb");
    assert_int_equal(slot("k1"), -1);
    assert_int_equal(fake_slots("KC"), 4);
}

static void
test_others_key_would_begin_later(void **state)
{
    (void)state;
    fake_router_end();
    start(CONF(HIS_KEY("0", HIS, "2035-01-01.00:00:00"), ""));
    assert_int_equal(try_stage(1, "k1", "", now_s() + 60), RK_E_CONFLICT);
    assert_non_null(strstr(fake_why(), "or later"));
    fake_router_end();
    start(CONF(HIS_KEY("0", HIS, "whenever"), ""));
    assert_int_equal(try_stage(1, "k1", "", now_s() + 60), RK_E_CONFLICT);
    assert_non_null(strstr(fake_why(), "cannot be read"));
}

static void
test_others_key_in_use_is_not_given_up(void **state)
{
    (void)state;
    rotate(1, "k1", "");
    fake_router_end();
    start(CONF(HIS_KEY("0", HIS, "2020-01-01.00:00:00"), ""));
    assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 1, "k1", "keep=k0"), RK_E_NOKEY);
    assert_int_equal(router.commits, 0);
}

static void
test_others_fallback(void **state)
{
    int64_t began_s;

    (void)state;
    fake_router_end();
    start(CONF("", "<fallback-key><ckn>" HIS "</ckn><cak>" HIS_CAK "</cak></fallback-key>"));
    rotate(1, "k1", "");
    rotate(2, "k2", "k1");
    rotate(3, "k3", "k2"); /* the kept key is in the chain: the slot is not needed */
    assert_string_equal(fake_at("CA1", "fallback-key/ckn"), HIS);
    began_s = start_of("k3");
    assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 3, "k3", "keep=k2"), RK_OK);
    assert_true(start_of("k3") == began_s && start_of("k2") > began_s); /* it waits behind the one to go on with */
    assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 3, "k3", "keep=k2"), RK_OK);
    assert_true(strstr(fake_log(), "ev=others-key") != NULL);
    rotate(4, "k4", "k2");
    assert_int_equal(slot("k3"), -1);
    assert_string_equal(fake_at("CA1", "fallback-key/ckn"), HIS);
    assert_string_equal(fake_at("CA1", "fallback-key/cak"), HIS_CAK);
}

/* It began in this very second: the one to go on with is still the newer one. */
static void
test_others_fallback_in_a_hurry(void **state)
{
    int64_t at;

    (void)state;
    fake_router_end();
    start(CONF("", "<fallback-key><ckn>" HIS "</ckn><cak>" HIS_CAK "</cak></fallback-key>"));
    rotate(1, "k1", "");
    stage(2, "k2", "k1");
    at = start_of("k2");
    pass(at - router_s());
    assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 2, "k2", "keep=k1"), RK_OK);
    assert_true(start_of("k2") < start_of("k1") && start_of("k1") <= router_s());
    assert_string_equal(fake_at("CA1", "fallback-key/ckn"), HIS);
}

/* A first key that is given up, with nothing else to go back to, only leaves: the operator's is there. */
static void
test_first_key_beside_others_fallback(void **state)
{
    (void)state;
    fake_router_end();
    start(CONF("", "<fallback-key><ckn>" HIS "</ckn><cak>" HIS_CAK "</cak></fallback-key>"));
    rotate(1, "k1", "");
    assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 1, "k1", "keep="), RK_OK);
    assert_int_equal(fake_slots("KC"), 0);
    assert_string_equal(fake_at("CA1", "fallback-key/ckn"), HIS);
}

static void
test_full(void **state)
{
    char conf[20000] = "", whole[24000], key[400];

    (void)state;
    for (int i = 0; i < JN_SLOTS; i++) {
        snprintf(key, sizeof key, HIS_KEY("%d", "%02x", "2020-01-01.00:%02d:00"), i, i, i % 60);
        if (i >= 60)
            snprintf(key, sizeof key, HIS_KEY("%d", "%02x", "2020-01-01.01:%02d:00"), i, i, i % 60);
        strcat(conf, key);
    }
    snprintf(whole, sizeof whole, CONF("%s", ""), conf);
    fake_router_end();
    start(whole);
    assert_int_equal(try_stage(1, "k1", "", now_s() + 60), RK_E_CONFLICT);
    assert_non_null(strstr(fake_why(), "full"));
}

static void
test_sweep(void **state)
{
    (void)state;
    fake_router_end();
    start(CONF(HIS_KEY("0", HIS, "2020-01-01.00:00:00"), ""));
    rotate(1, "k1", "");
    rotate(2, "k2", "k1");
    assert_int_equal(fake_one(RK_OP_SWEEP, IF1, 2, "k2", NULL), RK_E_CONFLICT);
    router.sender = IF1;
    snprintf(router.sender_ckn, sizeof router.sender_ckn, "%s", fake_ckn("k2"));
    assert_int_equal(fake_one(RK_OP_SWEEP, IF1, 2, "k2", NULL), RK_OK);
    assert_int_equal(fake_slots("KC"), 1);
    assert_true(slot("k2") >= 0);
    assert_fallback(NULL);
}

static void
test_what_is_to_be_prepared(void **state)
{
    (void)state;
    fake_router_end();
    start("<configuration><security><macsec><connectivity-association><name>CA1</name><security-mode>static-cak"
          "</security-mode></connectivity-association><interfaces><name>" IF1 "</name><connectivity-association>CA1"
          "</connectivity-association></interfaces></macsec></security></configuration>");
    assert_int_equal(try_stage(1, "k1", "", now_s() + 60), RK_E_CONFIG);
    assert_non_null(strstr(fake_why(), "has no pre-shared-key-chain: run rekeyctl prepare r1"));
    fake_router_end();
    start(CONF("", "<pre-shared-key><ckn>" HIS "</ckn><cak>" HIS_CAK "</cak></pre-shared-key>"));
    assert_int_equal(try_stage(1, "k1", "", now_s() + 60), RK_E_CONFIG);
    assert_non_null(strstr(fake_why(), "beside its chain"));
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, fake_router_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(first_key), T(ring), T(again_is_no_commit), T(another_start), T(starts_that_are_refused), T(zones),
        T(zone_changes_before_the_start), T(zone_changes_and_the_router_is_gone),
        T(given_up_before_its_time), T(given_up_after_its_time), T(begins_again), T(back_from_the_fallback),
        T(only_key_is_given_up), T(kept_is_in_use_until_then), T(others_newer_key), T(preceding_key_is_needed),
        T(others_keys_stay), T(others_key_would_begin_later), T(others_key_in_use_is_not_given_up), T(others_fallback),
        T(others_fallback_in_a_hurry),
        T(first_key_beside_others_fallback),
        T(full), T(sweep), T(what_is_to_be_prepared),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
