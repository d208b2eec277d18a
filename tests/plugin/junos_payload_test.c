/* junos_payload_test.c - a payload of every kind that is sent is valid by the vendor's YANG, and by stricter rules */
#include "junos_fake.h"

#include "scratch.h"

#include <rekey/err.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PSK "et-0/0/1"
#define CHAIN "et-0/0/2"
#define CONF \
    "<configuration><security><authentication-key-chains><key-chain><name>KC &amp; &lt;2&gt;</name><description>x" \
    "</description></key-chain></authentication-key-chains><macsec><connectivity-association><name>CA&amp;1</name>" \
    "<cipher-suite>gcm-aes-xpn-128</cipher-suite><security-mode>static-cak</security-mode>" \
    "</connectivity-association><connectivity-association><name>CA2</name><security-mode>static-cak</security-mode>" \
    "<pre-shared-key-chain>KC &amp; &lt;2&gt;</pre-shared-key-chain></connectivity-association><interfaces><name>" PSK \
    "</name><connectivity-association>CA&amp;1</connectivity-association></interfaces><interfaces><name>" CHAIN \
    "</name><connectivity-association>CA2</connectivity-association></interfaces></macsec></security></configuration>"

static struct scratch scratch;

static int
setup(void **state)
{
    (void)state;
    scratch_make(&scratch);
    fake_router_start(CONF);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    fake_router_end();
    scratch_remove(&scratch);
    return 0;
}

/* The folder of the YANG modules and its script; NULL: it is not there. */
static const char *
validator(void)
{
    static char path[512];
    const char *folder = getenv("REKEY_YANG"), *top = getenv("top_srcdir");

    if (folder)
        snprintf(path, sizeof path, "%s/validate.sh", folder);
    else
        snprintf(path, sizeof path, "%s/../shared/yang/validate.sh", top ? top : ".");
    if (access(path, X_OK) != 0 || system("command -v yanglint >/dev/null && command -v xsltproc >/dev/null") != 0)
        return NULL;
    return path;
}

/* Is the last load valid?  The fake has looked at digits, lengths, references and what may be deleted already. */
static void
assert_valid(void)
{
    char file[256], line[1024];
    FILE *out;

    if (!validator())
        return;
    snprintf(file, sizeof file, "%s/payload.xml", scratch.dir);
    out = fopen(file, "w");
    assert_non_null(out);
    fprintf(out, "<rpc>%s</rpc>", router.payload);
    fclose(out);
    snprintf(line, sizeof line, "'%s' '%s' security interfaces >'%s.out' 2>&1", validator(), file, file);
    if (system(line) != 0)
        fail_msg("not valid: %s", router.payload);
}

static void
send(uint32_t kind, const char *iface, uint64_t seq, const char *key_id, const char *text)
{
    unsigned loads = router.loads;
    int err = fake_one(kind, iface, seq, key_id, text);

    if (err)
        print_message("# %s\n", fake_why());
    assert_int_equal(err, RK_OK);
    assert_int_equal(router.loads, loads + 1);
    assert_valid();
}

static void
use(const char *iface, const char *key_id)
{
    router.sender = iface;
    snprintf(router.sender_ckn, sizeof router.sender_ckn, "%s", fake_ckn(key_id));
}

static void
test_pre_shared_keys(void **state)
{
    (void)state;
    send(RK_OP_STAGE, PSK, 1, "k1", "keep=");
    send(RK_OP_RETIRE, PSK, 1, "k1", "keep=");
    assert_non_null(strstr(router.payload, "<pre-shared-key delete=\"delete\"/>"));
    send(RK_OP_STAGE, PSK, 2, "k2", "keep=");
    send(RK_OP_STAGE, PSK, 3, "k3", "keep=k2");
    send(RK_OP_RETIRE, PSK, 3, "k3", "keep=k2");
    jn_sealed_free(&router.d);
    send(RK_OP_STAGE, PSK, 4, "k4", "keep=k2"); /* with the stored form */
    assert_non_null(strstr(router.payload, "$9$"));
    use(PSK, "k4");
    send(RK_OP_SWEEP, PSK, 4, "k4", NULL);
    assert_non_null(strstr(router.payload, "<fallback-key delete=\"delete\"/>"));
}

static void
chain_stage(uint64_t seq, const char *key_id, const char *keep)
{
    char terms[RK_TERMS_MAX];

    snprintf(terms, sizeof terms, "keep=%s,start=%lld", keep, (long long)time(NULL) + router.clock_offset_s + 60);
    send(RK_OP_STAGE, CHAIN, seq, key_id, terms);
    router.clock_offset_s += 70;
}

static void
test_chains(void **state)
{
    (void)state;
    router.d.opt.keying = JN_CHAIN;
    chain_stage(1, "k1", "");
    chain_stage(2, "k2", "k1");
    chain_stage(3, "k3", "k2");
    assert_non_null(strstr(router.payload, "<key delete=\"delete\"><name>0</name></key>"));
    send(RK_OP_RETIRE, CHAIN, 3, "k3", "keep=k2");
    send(RK_OP_RETIRE, CHAIN, 2, "k2", "keep=k3");
    use(CHAIN, "k3");
    send(RK_OP_SWEEP, CHAIN, 3, "k3", NULL);
}

static void
test_descriptions(void **state)
{
    (void)state;
    send(RK_OP_DESCRIBE, PSK, 0, "", "rk1|x<y>&\"'|z");
    send(RK_OP_DESCRIBE, PSK, 0, "", "");
    assert_non_null(strstr(router.payload, "<description delete=\"delete\"/>"));
    send(RK_OP_DESCRIBE, PSK, 0, "", "|{\"key_ID\": \"a<b>&'c'\"}");
}

/* The key and what is told of it are one load and one commit, so no peer hears of a key that is not there. */
static void
test_key_and_description_together(void **state)
{
    static const uint32_t kinds[] = {RK_OP_STAGE, RK_OP_RETIRE};

    (void)state;
    send(RK_OP_STAGE, PSK, 1, "k1", "keep=");
    for (size_t i = 0; i < 2; i++) {
        struct rk_dev_op ops[] = {fake_op(kinds[i], PSK, 2, "k2", "keep=k1"),
                                  fake_op(RK_OP_DESCRIBE, PSK, 0, "", i ? "rk1|w" : "rk1|o")};
        unsigned loads = router.loads, commits = router.commits;

        assert_int_equal(fake_apply(ops, 2), RK_OK);
        assert_int_equal(ops[0].err, RK_OK);
        assert_int_equal(ops[1].err, RK_OK);
        assert_int_equal(router.loads, loads + 1);
        assert_int_equal(router.commits, commits + 1);
        assert_non_null(strstr(router.payload, "<pre-shared-key>"));
        assert_non_null(strstr(router.payload, i ? "<description>rk1|w</description>" : "<description>rk1|o</descr"));
        assert_valid();
    }
}

/* The check can fail. */
static void
test_what_is_not_valid_is_seen(void **state)
{
    char file[256], line[1024];
    FILE *out;

    (void)state;
    send(RK_OP_STAGE, PSK, 1, "k1", "keep=");
    if (!validator()) {
        print_message("# no YANG modules (REKEY_YANG), yanglint or xsltproc here: checked by our rules only\n");
        return;
    }
    snprintf(file, sizeof file, "%s/bad.xml", scratch.dir);
    out = fopen(file, "w");
    assert_non_null(out);
    fputs("<configuration><security><macsec><connectivity-association><name>CA1</name><pre-shared-keys/>"
          "</connectivity-association></macsec></security></configuration>", out);
    fclose(out);
    snprintf(line, sizeof line, "'%s' '%s' security interfaces >/dev/null 2>&1", validator(), file);
    assert_int_not_equal(system(line), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(pre_shared_keys), T(chains), T(descriptions), T(key_and_description_together),
        T(what_is_not_valid_is_seen),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
