/* junos_keep_test.c - the configuration that was read stands for a reply that is the same, and for no other */
#include "junos_readrig.h"

#include "plugins/common/junos/sealed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define CKN_A "aa00000000000000000000000000000000000000000000000000000000000001"
#define CKN_B "bb00000000000000000000000000000000000000000000000000000000000002"
#define CONF(more) \
    "<rpc-reply><configuration><security><macsec><connectivity-association><name>CA1</name>" more \
    "<pre-shared-key><ckn>" CKN_A "</ckn><cak>$9$one</cak></pre-shared-key>" \
    "<fallback-key><ckn>" CKN_B "</ckn><cak>$9$two</cak></fallback-key></connectivity-association>" \
    "<interfaces><name>ge-0/0/1</name><connectivity-association>CA1</connectivity-association></interfaces>" \
    "</macsec></security></configuration></rpc-reply>"

#define REVISION(id) \
    "<rpc-reply><commit-revision-information><revision>" id "</revision></commit-revision-information></rpc-reply>"

static struct jn_device d;
static struct rk_call call, other;
static struct jn_conf *a, *b;
static struct rig_rule rule[2];
static const char *const iface[] = {"ge-0/0/1"};

static int
setup(void **state)
{
    (void)state;
    memset(&d, 0, sizeof d);
    d.host = &fake_host;
    d.opt.host = (char *)"r1";
    fake_call(&call, 60000);
    fake_call(&other, 60000);
    rule[0] = (struct rig_rule){.part = "get-configuration", .reply = CONF("")};
    rig_rules(rule, 1);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    jn_conf_free(&fake_host, &a);
    jn_conf_free(&fake_host, &b);
    jn_forget(&d);
    jn_sealed_free(&d);
    fake_call_end(&call);
    fake_call_end(&other);
    return 0;
}

static void
get(struct rk_call *c, struct jn_conf_ask ask, struct jn_conf **out)
{
    jn_conf_free(&fake_host, out);
    ask.ifaces = iface;
    ask.n = 1;
    assert_int_equal(jn_conf_get(&d, c, &ask, out), RK_OK);
}

static void
seal(const char *ckn, bool stored)
{
    struct rk_secret *cak = fake_secret("0123456789abcdef", 16);

    assert_int_equal(jn_sealed_put(&d, (struct jn_key_name){iface[0], ckn}, stored, &cak), RK_OK);
}

static void
test_same_reply(void **state)
{
    const struct jn_conf_ask plain = {.zone_s = 0};

    (void)state;
    get(&call, plain, &a);
    get(&call, plain, &b);
    assert_ptr_equal(a, b);
    assert_int_equal(rule[0].asked, 2); /* it is asked for all the same */
    rule[0].reply = CONF("<cipher-suite>gcm-aes-xpn-256</cipher-suite>");
    get(&call, plain, &b);
    assert_ptr_not_equal(a, b);
    assert_string_equal(a->ca[0].cipher, ""); /* who has it still has it */
    assert_string_equal(b->ca[0].cipher, "gcm-aes-xpn-256");
    get(&call, plain, &a);
    assert_ptr_equal(a, b);
    jn_forget(&d);
    get(&call, plain, &a);
    assert_ptr_not_equal(a, b);
    assert_string_equal(a->ca[0].psk.ckn, CKN_A);
}

/* Start times without an offset are other ones in another zone. */
static void
test_zone(void **state)
{
    (void)state;
    get(&call, (struct jn_conf_ask){.zone_s = 3600}, &a);
    get(&call, (struct jn_conf_ask){.zone_s = 7200}, &b);
    assert_ptr_not_equal(a, b);
}

static void
test_failed(void **state)
{
    struct jn_conf_ask ask = {.ifaces = iface, .n = 1};

    (void)state;
    get(&call, ask, &a);
    rule[0].err = RK_E_UNKNOWN;
    assert_int_equal(jn_conf_get(&d, &call, &ask, &b), RK_E_UNKNOWN);
    assert_null(b);
    rule[0].err = RK_OK;
    rule[0].reply = "<rpc-reply><other/></rpc-reply>";
    assert_int_equal(jn_conf_get(&d, &call, &ask, &b), RK_E_PROTOCOL);
    assert_null(b);
    assert_int_equal(jn_conf_get(&d, &call, &ask, &b), RK_E_PROTOCOL); /* the same again is not taken for good */
    rule[0].reply = CONF("");
    get(&call, ask, &b);
    assert_ptr_not_equal(a, b);
}

/* The router's own form of a key is read where this process has not the key itself. */
static void
test_stored(void **state)
{
    const struct jn_conf_ask stored = {.stored = true}, plain = {.stored = false};

    (void)state;
    get(&call, plain, &a);
    get(&call, stored, &b);
    assert_ptr_not_equal(a, b);
    assert_non_null(b->ca[0].psk.stored);
    assert_non_null(b->ca[0].fallback.stored);
    get(&call, plain, &a); /* they are not kept for others */
    assert_ptr_not_equal(a, b);
    assert_null(a->ca[0].psk.stored);
    seal(CKN_A, false);
    seal(CKN_B, true); /* the router's form as it was once */
    get(&call, stored, &b);
    assert_non_null(b->ca[0].fallback.stored);
    seal(CKN_B, false);
    get(&call, plain, &a);
    get(&call, stored, &b);
    assert_ptr_equal(a, b);
    assert_null(b->ca[0].psk.stored);
}

static void
test_recent(void **state)
{
    const struct jn_conf_ask plain = {.recent = false}, recent = {.recent = true};

    (void)state;
    get(&call, recent, &a);
    assert_int_equal(rule[0].asked, 1);
    get(&call, recent, &b);
    assert_ptr_equal(a, b);
    assert_int_equal(rule[0].asked, 1);
    get(&call, plain, &b);
    assert_int_equal(rule[0].asked, 2);
    d.kept.read_ms = jn_now_ms();
    get(&other, recent, &b); /* another call that follows at once */
    assert_ptr_equal(a, b);
    assert_int_equal(rule[0].asked, 2);
    d.kept.read_ms -= 51; /* or later */
    get(&other, recent, &b);
    assert_int_equal(rule[0].asked, 3);
    d.kept.read_ms = 0; /* an edit was begun */
    get(&other, recent, &b);
    assert_int_equal(rule[0].asked, 4);
    jn_forget(&d);
    get(&other, recent, &b);
    assert_int_equal(rule[0].asked, 5);
}

static void
told_revision(const char *reply)
{
    rule[1] = (struct rig_rule){.part = "get-commit-revision-information", .reply = reply};
    rig_rules(rule, 2);
}

static void
test_revision(void **state)
{
    const struct jn_conf_ask plain = {.zone_s = 0}, stored = {.stored = true};

    (void)state;
    told_revision(REVISION("re0-1384090137-1"));
    get(&call, plain, &a);
    get(&other, plain, &b);
    assert_ptr_equal(a, b);
    assert_int_equal(rule[0].asked, 1); /* it cannot have changed */
    assert_int_equal(rule[1].asked, 2); /* which is asked each time */
    get(&other, stored, &b);            /* a form of a key is only in the whole of it */
    assert_non_null(b->ca[0].psk.stored);
    assert_int_equal(rule[0].asked, 2);
    get(&call, plain, &a);
    get(&call, (struct jn_conf_ask){.zone_s = 3600}, &b);
    assert_ptr_not_equal(a, b);
    assert_int_equal(rule[0].asked, 4);
}

/* Someone has committed: it may be anything, and also the same again. */
static void
test_another_revision(void **state)
{
    const struct jn_conf_ask plain = {.zone_s = 0};

    (void)state;
    told_revision(REVISION("re0-1384090137-1"));
    get(&call, plain, &a);
    rule[1].reply = REVISION("re0-1384090137-2");
    get(&call, plain, &b);
    assert_ptr_equal(a, b);
    assert_int_equal(rule[0].asked, 2);
    rule[0].reply = CONF("<cipher-suite>gcm-aes-xpn-256</cipher-suite>");
    rule[1].reply = REVISION("re0-1384090138-3");
    get(&call, plain, &b);
    assert_string_equal(b->ca[0].cipher, "gcm-aes-xpn-256");
    get(&call, plain, &a);
    assert_ptr_equal(a, b);
    assert_int_equal(rule[0].asked, 3);
    d.kept.whole_ms -= 120000; /* it is not believed for ever */
    get(&call, plain, &a);
    assert_int_equal(rule[0].asked, 4);
    jn_forget(&d); /* and not by another session */
    get(&call, plain, &a);
    assert_int_equal(rule[0].asked, 5);
}

/* What was read with one revision does not stand for another one that was read in vain. */
static void
test_revision_and_no_reply(void **state)
{
    struct jn_conf_ask ask = {.ifaces = iface, .n = 1};

    (void)state;
    told_revision(REVISION("re0-1384090137-1"));
    get(&call, ask, &a);
    rule[0].err = RK_E_UNKNOWN;
    rule[1].reply = REVISION("re0-1384090137-2");
    assert_int_equal(jn_conf_get(&d, &call, &ask, &b), RK_E_UNKNOWN);
    rule[0].err = RK_OK;
    get(&call, ask, &b);
    assert_int_equal(rule[0].asked, 3);
    rule[1].err = RK_E_UNKNOWN;
    jn_conf_free(&fake_host, &a);
    assert_int_equal(jn_conf_get(&d, &call, &ask, &a), RK_E_UNKNOWN);
    rule[1].err = RK_OK;
    get(&call, ask, &b);
    assert_int_equal(rule[0].asked, 4);
}

static void
test_no_revision(void **state)
{
    static const char *const replies[] = {
        NULL, "<rpc-reply><commit-revision-information/></rpc-reply>", REVISION(" "), "<rpc-reply><ok/></rpc-reply>"};
    const struct jn_conf_ask plain = {.zone_s = 0};

    (void)state;
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        told_revision(replies[i]);
        rule[0].asked = 0;
        get(&call, plain, &a);
        get(&call, plain, &b);
        assert_ptr_equal(a, b);
        assert_int_equal(rule[0].asked, 2);
        assert_int_equal(rule[1].asked, 1); /* once a session */
        jn_forget(&d);
        d.no_revision = false;
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_same_reply, setup, teardown),
        cmocka_unit_test_setup_teardown(test_zone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stored, setup, teardown),
        cmocka_unit_test_setup_teardown(test_recent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_revision, setup, teardown),
        cmocka_unit_test_setup_teardown(test_another_revision, setup, teardown),
        cmocka_unit_test_setup_teardown(test_revision_and_no_reply, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_revision, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
