/* junos_psk_test.c - keying: pre-shared-key, classes B and C: what each operation makes of the configuration */
#include "junos_fake.h"

#include <rekey/err.h>

#include <libxml/xpath.h>
#include <stdlib.h>
#include <string.h>

#define CA(name, more) \
    "<connectivity-association><name>" name "</name><cipher-suite>gcm-aes-xpn-256</cipher-suite>" \
    "<security-mode>static-cak</security-mode>" more "</connectivity-association>"
#define PORT(name, ca) \
    "<interfaces><name>" name "</name><connectivity-association>" ca "</connectivity-association></interfaces>"
#define CONF(macsec, more) \
    "<configuration><security><macsec>" macsec "</macsec></security>" more "</configuration>"
#define ONE CONF(CA("CA1", "") PORT("et-0/0/1", "CA1"), "")
#define KEY(name, ckn) "<" name "><ckn>" ckn "</ckn><cak>" HIS_CAK "</cak></" name ">"
#define IF1 "et-0/0/1"

static int
setup(void **state)
{
    (void)state;
    fake_router_start(ONE);
    return 0;
}

static void
restart(const char *conf)
{
    fake_router_end();
    fake_router_start(conf);
}

static void
assert_key(const char *place, const char *key_id)
{
    char path[64];

    snprintf(path, sizeof path, "%s/ckn", place);
    assert_string_equal(fake_at("CA1", path), key_id ? fake_ckn(key_id) : "");
    snprintf(path, sizeof path, "%s/cak", place);
    assert_string_equal(fake_at("CA1", path), key_id ? fake_stored(key_id, IF1, "gcm-aes-xpn-256") : "");
}

static void
assert_keys(const char *primary, const char *fallback)
{
    assert_key("pre-shared-key", primary);
    assert_key("fallback-key", fallback);
}

static void
stage(uint64_t seq, const char *key_id, const char *terms)
{
    int err = fake_one(RK_OP_STAGE, IF1, seq, key_id, terms);

    if (err)
        print_message("%s\n", fake_why());
    assert_int_equal(err, RK_OK);
}

static void
test_first_key(void **state)
{
    (void)state;
    stage(1, "k1", "keep=");
    assert_keys("k1", NULL);
    assert_string_equal(fake_macro("CA1", "k1"), "1");
    assert_int_equal(router.commits, 1);
}

static void
test_rotation_keeps_one(void **state)
{
    (void)state;
    stage(1, "k1", "keep=");
    stage(2, "k2", "keep=k1");
    assert_keys("k2", "k1");
    stage(3, "k3", "keep=k2");
    assert_keys("k3", "k2");
    assert_null(fake_macro("CA1", "k1"));
    assert_string_equal(fake_macro("CA1", "k2"), "2");
    assert_string_equal(fake_macro("CA1", "k3"), "3");
}

static void
test_again_is_no_commit(void **state)
{
    (void)state;
    stage(1, "k1", "keep=");
    stage(2, "k2", "keep=k1");
    stage(2, "k2", "keep=k1");
    assert_int_equal(router.commits, 2);
    assert_int_equal(router.seen_opens, 0); /* nor is anything opened or locked */
    stage(3, "k2", "keep=k1"); /* another rotation of the same key: the number is noted */
    assert_int_equal(router.commits, 3);
    assert_string_equal(fake_macro("CA1", "k2"), "3");
    assert_keys("k2", "k1");
}

/* After a restart nothing is sealed: the router's own form moves. */
static void
test_after_a_restart_the_stored_form_moves(void **state)
{
    (void)state;
    stage(1, "k1", "keep=");
    jn_sealed_free(&router.d);
    stage(2, "k2", "keep=k1");
    assert_keys("k2", "k1");
    jn_sealed_free(&router.d);
    assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 2, "k2", "keep=k1"), RK_OK);
    assert_keys("k1", "k2");
}

static void
test_sealed_brings_a_key_back(void **state)
{
    (void)state;
    stage(1, "k1", "keep=");
    stage(2, "k2", "keep=k1");
    restart(ONE); /* and with what was sealed gone too, there is none */
    assert_int_equal(fake_one(RK_OP_STAGE, IF1, 3, "k3", "keep=k2"), RK_E_NOKEY);
    assert_int_equal(router.commits, 0);
}

static void
test_retire_changes_places(void **state)
{
    (void)state;
    stage(1, "k1", "keep=");
    stage(2, "k2", "keep=k1");
    assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 2, "k2", "keep=k1"), RK_OK);
    assert_keys("k1", "k2");
    assert_int_equal(router.commits, 3);
    assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 2, "k2", "keep=k1"), RK_OK);
    assert_int_equal(router.commits, 3);
    stage(3, "k3", "keep=k1"); /* and the given-up one goes */
    assert_keys("k3", "k1");
    assert_null(fake_macro("CA1", "k2"));
}

static void
test_retire_of_the_only_key(void **state)
{
    (void)state;
    stage(1, "k1", "keep=");
    assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 1, "k1", "keep="), RK_OK);
    assert_keys(NULL, "k1");
    assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 1, "k1", "keep="), RK_OK);
    assert_int_equal(router.commits, 2);
    stage(2, "k2", "keep=");
    assert_key("pre-shared-key", "k2");
}

static void
test_retire_of_what_is_not_there(void **state)
{
    (void)state;
    stage(1, "k1", "keep=");
    assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 2, "k2", "keep=k1"), RK_OK);
    assert_int_equal(router.commits, 1);
    assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 2, "k2", "keep=k0"), RK_E_NOKEY);
}

static void
test_sweep(void **state)
{
    (void)state;
    stage(1, "k1", "keep=");
    stage(2, "k2", "keep=k1");
    assert_int_equal(fake_one(RK_OP_SWEEP, IF1, 2, "k2", NULL), RK_E_CONFLICT); /* MKA shows nothing */
    router.sender = IF1;
    snprintf(router.sender_ckn, sizeof router.sender_ckn, "%s", fake_ckn("k1"));
    assert_int_equal(fake_one(RK_OP_SWEEP, IF1, 2, "k2", NULL), RK_E_CONFLICT);
    assert_keys("k2", "k1");
    snprintf(router.sender_ckn, sizeof router.sender_ckn, "%s", fake_ckn("k2"));
    assert_int_equal(fake_one(RK_OP_SWEEP, IF1, 2, "k2", NULL), RK_OK);
    assert_keys("k2", NULL);
}

/* keep= without an ID is what MKA uses: here the fallback key. */
static void
test_keeps_what_is_in_use(void **state)
{
    (void)state;
    stage(1, "k1", "keep=");
    stage(2, "k2", "keep=k1");
    router.sender = IF1;
    snprintf(router.sender_ckn, sizeof router.sender_ckn, "%s", fake_ckn("k1"));
    stage(3, "k3", "keep=");
    assert_keys("k3", "k1");
}

static void
test_others_key_is_taken_over(void **state)
{
    (void)state;
    restart(CONF(CA("CA1", KEY("pre-shared-key", HIS)) PORT(IF1, "CA1"), ""));
    stage(1, "k1", "keep=");
    assert_key("pre-shared-key", "k1");
    assert_string_equal(fake_at("CA1", "fallback-key/ckn"), HIS);
    assert_string_equal(fake_at("CA1", "fallback-key/cak"), HIS_CAK);
    stage(2, "k2", "keep=k1");
    assert_keys("k2", "k1");
}

static void
test_others_fallback_is_never_touched(void **state)
{
    (void)state;
    restart(CONF(CA("CA1", KEY("fallback-key", HIS)) PORT(IF1, "CA1"), ""));
    stage(1, "k1", "keep=");
    stage(2, "k2", "keep=k1"); /* as class C: k1 is the router's preceding key */
    assert_key("pre-shared-key", "k2");
    assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 2, "k2", "keep=k1"), RK_OK);
    assert_key("pre-shared-key", "k1");
    stage(3, "k3", "keep=k1");
    assert_key("pre-shared-key", "k3");
    assert_string_equal(fake_at("CA1", "fallback-key/ckn"), HIS);
    assert_string_equal(fake_at("CA1", "fallback-key/cak"), HIS_CAK);
}

/* An operator commits a fallback-key, or that there is none. */
static void
his_fallback(bool there)
{
    static const xmlChar path[] = "//connectivity-association", own[] = "//fallback-key";
    xmlXPathContext *context = xmlXPathNewContext(router.committed);
    xmlXPathObject *ca = xmlXPathEval(path, context), *old = xmlXPathEval(own, context);
    xmlNode *key;

    if (old->nodesetval && old->nodesetval->nodeNr) {
        xmlUnlinkNode(old->nodesetval->nodeTab[0]);
        xmlFreeNode(old->nodesetval->nodeTab[0]);
        old->nodesetval->nodeTab[0] = NULL;
    }
    if (there) {
        key = xmlNewChild(ca->nodesetval->nodeTab[0], NULL, (const xmlChar *)"fallback-key", NULL);
        xmlNewChild(key, NULL, (const xmlChar *)"ckn", (const xmlChar *)HIS);
        xmlNewChild(key, NULL, (const xmlChar *)"cak", (const xmlChar *)HIS_CAK);
    }
    xmlXPathFreeObject(ca);
    xmlXPathFreeObject(old);
    xmlXPathFreeContext(context);
}

/* He puts it there while a rotation is under way: it is given up all the same. */
static void
test_others_fallback_comes_between(void **state)
{
    (void)state;
    stage(1, "k1", "keep=");
    stage(2, "k2", "keep=k1");
    his_fallback(true);
    assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 2, "k2", "keep=k1"), RK_OK);
    assert_key("pre-shared-key", "k1");
    assert_string_equal(fake_at("CA1", "fallback-key/ckn"), HIS);
    stage(3, "k3", "keep=k1");
    assert_string_equal(fake_at("CA1", "fallback-key/ckn"), HIS);
    his_fallback(false); /* and away again */
    stage(4, "k4", "keep=k3");
    assert_keys("k4", "k3");
}

/* An operator has put a key in place of ours: it would be lost. */
static void
test_others_primary_beside_ours(void **state)
{
    (void)state;
    restart(CONF(CA("CA1", KEY("pre-shared-key", HIS) KEY("fallback-key", "aabb")) PORT(IF1, "CA1"), ""));
    assert_int_equal(fake_one(RK_OP_STAGE, IF1, 2, "k2", "keep=k1"), RK_E_CONFLICT);
    assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 2, "k2", "keep=k1"), RK_E_NOKEY);
    assert_int_equal(fake_one(RK_OP_STAGE, IF1, 2, "k2", "keep="), RK_E_CONFLICT);
    assert_non_null(strstr(fake_why(), "would be lost"));
    assert_int_equal(router.commits, 0);
}

static void
test_class_c(void **state)
{
    (void)state;
    snprintf(router.d.release, sizeof router.d.release, "18.4R3");
    stage(1, "k1", "keep=");
    stage(2, "k2", "keep=k1");
    assert_keys("k2", NULL);
    assert_int_equal(fake_one(RK_OP_STAGE, IF1, 3, "k3", "keep=k1"), RK_E_CONFLICT);
    assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 2, "k2", "keep=k1"), RK_OK); /* sealed */
    assert_keys("k1", NULL);
    stage(3, "k3", "keep=k1");
    jn_sealed_free(&router.d);
    assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 3, "k3", "keep=k1"), RK_E_NOKEY);
    assert_keys("k3", NULL);
}

/* After a restart the stored form of the key before is kept as long as it may be needed. */
static void
test_class_c_after_a_restart(void **state)
{
    (void)state;
    snprintf(router.d.release, sizeof router.d.release, "18.4R3");
    stage(1, "k1", "keep=");
    jn_sealed_free(&router.d);
    stage(2, "k2", "keep=k1");
    assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 2, "k2", "keep=k1"), RK_OK);
    assert_keys("k1", NULL);
}

/* The last key never goes; a given-up first key gives its place to one that nobody has. */
static void
test_class_c_only_key(void **state)
{
    char ckn[80];

    (void)state;
    snprintf(router.d.release, sizeof router.d.release, "%s", "");
    stage(1, "k1", "keep=");
    assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 1, "k1", "keep="), RK_OK);
    snprintf(ckn, sizeof ckn, "%s", fake_at("CA1", "pre-shared-key/ckn"));
    assert_string_not_equal(ckn, fake_ckn("k1"));
    assert_int_equal(strlen(ckn), 64);
    assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 1, "k1", "keep="), RK_OK);
    assert_int_equal(router.commits, 2);
    stage(2, "k2", "keep=");
    assert_keys("k2", NULL);
}

static void
test_cipher_decides_the_length(void **state)
{
    (void)state;
    restart("<configuration><security><macsec><connectivity-association><name>CA1</name><security-mode>static-cak"
            "</security-mode></connectivity-association>" PORT(IF1, "CA1") "</macsec></security></configuration>");
    stage(1, "k1", "keep=");
    assert_int_equal(strlen(fake_at("CA1", "pre-shared-key/cak")), 3 + 32);
}

struct bad {
    const char *conf, *says;
};

static void
test_what_is_to_be_prepared(void **state)
{
    static const struct bad bad[] = {
        {CONF(CA("CA1", ""), ""), "has no connectivity association: run rekeyctl prepare r1"},
        {CONF(PORT(IF1, "CA1"), ""), "has no connectivity association: run rekeyctl prepare r1"},
        {CONF(CA("CA1", "") PORT(IF1, "CA1") PORT("et-0/0/2", "CA1"), ""), "is shared by 2 interfaces: run rekeyctl"},
        {CONF("<connectivity-association><name>CA1</name>" KEY("pre-shared-key", HIS) "</connectivity-association>"
              PORT(IF1, "CA1"), ""), "has security-mode none"},
        {CONF("<connectivity-association><name>CA1</name><security-mode>dynamic</security-mode>"
              "</connectivity-association>" PORT(IF1, "CA1"), ""), "has security-mode dynamic"},
        {CONF(CA("CA1", "<mka><should-secure/></mka>") PORT(IF1, "CA1"), ""), "should-secure"},
        {CONF(CA("CA1", "<pre-shared-key-chain>KC</pre-shared-key-chain>") PORT(IF1, "CA1"), ""), "keying: key-chain"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        restart(bad[i].conf);
        assert_int_equal(fake_one(RK_OP_STAGE, IF1, 1, "k1", "keep="), RK_E_CONFIG);
        if (!strstr(fake_why(), bad[i].says))
            fail_msg("%s: not \"%s\"", fake_why(), bad[i].says);
        assert_int_equal(router.commits, 0);
    }
}

/* A router commits static-cak only with a key: the first one brings it. */
static void
test_first_key_brings_the_mode(void **state)
{
    (void)state;
    restart(CONF("<connectivity-association><name>CA1</name></connectivity-association>" PORT(IF1, "CA1"), ""));
    assert_int_equal(fake_one(RK_OP_RETIRE, IF1, 1, "k1", "keep="), RK_OK);
    assert_int_equal(router.commits, 0);
    stage(1, "k1", "keep=");
    assert_string_equal(fake_at("CA1", "security-mode"), "static-cak");
    stage(2, "k2", "keep=k1");
    assert_null(strstr(router.payload, "security-mode"));
}

static void
test_should_secure_by_force(void **state)
{
    (void)state;
    restart(CONF(CA("CA1", "<mka><should-secure/></mka>") PORT(IF1, "CA1"), ""));
    router.d.opt.force_should_secure = true;
    stage(1, "k1", "keep=");
}

static void
test_terms(void **state)
{
    (void)state;
    assert_int_equal(fake_one(RK_OP_STAGE, IF1, 1, "k1", "hold=k0"), RK_E_CONTRACT);
    assert_int_equal(fake_one(RK_OP_STAGE, IF1, 1, "k1", "keep=a b"), RK_E_CONTRACT);
    assert_int_equal(fake_one(RK_OP_STAGE, IF1, 1, "k1", "keep=k1"), RK_E_CONTRACT);
    assert_int_equal(fake_one(RK_OP_ACTIVATE, IF1, 1, "k1", NULL), RK_E_UNSUPPORTED);
    assert_int_equal(fake_one(RK_OP_SHUT, IF1, 1, "k1", NULL), RK_E_UNSUPPORTED);
    assert_int_equal(fake_one(99, IF1, 1, "k1", NULL), RK_E_UNSUPPORTED);
    assert_int_equal(router.commits, 0);
}

#define TEXT(name, text) \
    "<interfaces><interface><name>" name "</name><description>" text "</description></interface></interfaces>"

static void
test_describe(void **state)
{
    (void)state;
    restart(CONF(CA("CA1", "") PORT(IF1, "CA1"), TEXT(IF1, "to &lt;Zurich&gt; &amp; back")));
    assert_int_equal(fake_one(RK_OP_DESCRIBE, IF1, 0, "", "rk1|a|b"), RK_OK);
    assert_string_equal(fake_description(IF1), "to <Zurich> & back rk1|a|b");
    assert_int_equal(fake_one(RK_OP_DESCRIBE, IF1, 0, "", "rk1|a|b"), RK_OK);
    assert_int_equal(router.commits, 1);
    assert_int_equal(fake_one(RK_OP_DESCRIBE, IF1, 0, "", "rk1|c<d>&"), RK_OK);
    assert_string_equal(fake_description(IF1), "to <Zurich> & back rk1|c<d>&");
    assert_int_equal(fake_one(RK_OP_DESCRIBE, IF1, 0, "", ""), RK_OK);
    assert_string_equal(fake_description(IF1), "to <Zurich> & back");
    assert_int_equal(fake_one(RK_OP_DESCRIBE, IF1, 0, "", "hello"), RK_E_CONTRACT);
    assert_int_equal(fake_one(RK_OP_DESCRIBE, "et-0/0/9", 0, "", "rk1|x"), RK_OK);
    assert_string_equal(fake_description("et-0/0/9"), "rk1|x");
    assert_int_equal(fake_one(RK_OP_DESCRIBE, "et-0/0/9", 0, "", ""), RK_OK);
    assert_string_equal(fake_description("et-0/0/9"), "");
}

/* As the old script writes it: no blank before, and up to the end of the text. */
static void
test_describe_for_the_old_script(void **state)
{
    (void)state;
    restart(CONF(CA("CA1", "") PORT(IF1, "CA1"), TEXT(IF1, "to the lab|{&quot;key_ID&quot;: &quot;1&quot;}")));
    assert_int_equal(fake_one(RK_OP_DESCRIBE, IF1, 0, "", "|{\"key_ID\": \"2\"}"), RK_OK);
    assert_string_equal(fake_description(IF1), "to the lab|{\"key_ID\": \"2\"}");
    assert_int_equal(fake_one(RK_OP_DESCRIBE, IF1, 0, "", "rk1|a|b"), RK_OK); /* the link is of two rekeyd now */
    assert_string_equal(fake_description(IF1), "to the lab rk1|a|b");
    assert_int_equal(fake_one(RK_OP_DESCRIBE, IF1, 0, "", "|{\"key_ID\": \"3\"}"), RK_OK);
    assert_string_equal(fake_description(IF1), "to the lab|{\"key_ID\": \"3\"}");
    assert_int_equal(fake_one(RK_OP_DESCRIBE, IF1, 0, "", ""), RK_OK);
    assert_string_equal(fake_description(IF1), "to the lab");
    restart(CONF(CA("CA1", "") PORT(IF1, "CA1"), TEXT(IF1, "a|{b}|{&quot;key_ID&quot;: &quot;1&quot;}")));
    assert_int_equal(fake_one(RK_OP_DESCRIBE, IF1, 0, "", "|{2}"), RK_OK);
    assert_string_equal(fake_description(IF1), "a|{b}|{2}");
    assert_int_equal(fake_one(RK_OP_DESCRIBE, "et-0/0/9", 0, "", "|{}"), RK_OK);
    assert_string_equal(fake_description("et-0/0/9"), "|{}");
}

/* What only looks like ours is an operator's, and stays. */
static void
test_describe_keeps_what_is_not_ours(void **state)
{
    static const char *const his[] = {"network1|east", "a|{b", "a|{b} c", "rk|x", "rk1 spare", "|{", "dark2",
                                      "was rk1|x once", "a|{b}|c"};

    (void)state;
    for (size_t i = 0; i < sizeof his / sizeof his[0]; i++) {
        char conf[1000], want[100];

        snprintf(conf, sizeof conf, CONF(CA("CA1", "") PORT(IF1, "CA1"), TEXT(IF1, "%s")), his[i]);
        snprintf(want, sizeof want, "%s rk1|a|b", his[i]);
        restart(conf);
        assert_int_equal(fake_one(RK_OP_DESCRIBE, IF1, 0, "", "rk1|a|b"), RK_OK);
        assert_string_equal(fake_description(IF1), want);
        assert_int_equal(fake_one(RK_OP_DESCRIBE, IF1, 0, "", ""), RK_OK);
        assert_string_equal(fake_description(IF1), his[i]);
    }
    assert_int_equal(fake_one(RK_OP_DESCRIBE, IF1, 0, "", "|{\"a\"} and more"), RK_E_CONTRACT);
    assert_int_equal(fake_one(RK_OP_DESCRIBE, IF1, 0, "", " rk1|a"), RK_E_CONTRACT);
    assert_int_equal(fake_one(RK_OP_DESCRIBE, IF1, 0, "", "rk1|a\n"), RK_E_CONTRACT);
    assert_int_equal(fake_one(RK_OP_DESCRIBE, IF1, 0, "", "rk1|\303\244"), RK_E_CONTRACT);
}

static void
test_describe_needs_room(void **state)
{
    char record[240];

    (void)state;
    restart(CONF(CA("CA1", "") PORT(IF1, "CA1"), TEXT(IF1, "a text of the operator")));
    memset(record, 'x', sizeof record);
    memcpy(record, "rk1|", 4);
    record[233] = '\0';
    assert_int_equal(fake_one(RK_OP_DESCRIBE, IF1, 0, "", record), RK_E_CONFIG);
    record[232] = '\0';
    assert_int_equal(fake_one(RK_OP_DESCRIBE, IF1, 0, "", record), RK_OK);
    assert_int_equal(strlen(fake_description(IF1)), 255);
    record[0] = '|';
    record[1] = '{';
    record[232] = '}';
    record[233] = record[234] = '\0';
    assert_int_equal(fake_one(RK_OP_DESCRIBE, IF1, 0, "", record), RK_OK); /* it needs no blank */
    assert_int_equal(strlen(fake_description(IF1)), 255);
}

/* What the operator wrote is not known whole, so nothing is written over it. */
static void
test_describe_needs_the_text(void **state)
{
    char text[257], conf[2000];

    (void)state;
    memset(text, 'o', sizeof text - 1);
    text[256] = '\0';
    snprintf(conf, sizeof conf, CONF(CA("CA1", "") PORT(IF1, "CA1"), TEXT(IF1, "%s")), text);
    restart(conf);
    assert_int_equal(fake_one(RK_OP_DESCRIBE, IF1, 0, "", "rk1|t"), RK_E_CONFIG);
    assert_non_null(strstr(fake_why(), "longer than 255 characters"));
    assert_string_equal(fake_description(IF1), text);
    assert_int_equal(router.commits, 0);
}

/* Operations of one call, in order, in one commit; one that is refused leaves the others. */
static void
test_several(void **state)
{
    struct rk_dev_op ops[] = {
        fake_op(RK_OP_STAGE, IF1, 1, "k1", "keep="),
        fake_op(RK_OP_STAGE, "et-0/0/7", 1, "q1", "keep="),
        fake_op(RK_OP_DESCRIBE, IF1, 0, "", "rk1|t"),
        fake_op(RK_OP_SHUT, IF1, 0, "k1", NULL),
    };

    (void)state;
    assert_int_equal(fake_apply(ops, 4), RK_OK);
    assert_int_equal(ops[0].err, RK_OK);
    assert_int_equal(ops[1].err, RK_E_CONFIG);
    assert_int_equal(ops[2].err, RK_OK);
    assert_int_equal(ops[3].err, RK_E_UNSUPPORTED);
    assert_int_equal(router.commits, 1);
    assert_keys("k1", NULL);
    assert_string_equal(fake_description(IF1), "rk1|t");
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, fake_router_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(first_key), T(rotation_keeps_one), T(again_is_no_commit), T(after_a_restart_the_stored_form_moves),
        T(sealed_brings_a_key_back), T(retire_changes_places), T(retire_of_the_only_key),
        T(retire_of_what_is_not_there), T(sweep), T(keeps_what_is_in_use), T(others_key_is_taken_over),
        T(others_fallback_is_never_touched), T(others_fallback_comes_between), T(others_primary_beside_ours),
        T(class_c), T(class_c_after_a_restart),
        T(class_c_only_key), T(cipher_decides_the_length), T(what_is_to_be_prepared), T(first_key_brings_the_mode),
        T(should_secure_by_force),
        T(terms), T(describe), T(describe_for_the_old_script), T(describe_keeps_what_is_not_ours),
        T(describe_needs_room), T(describe_needs_the_text), T(several),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
