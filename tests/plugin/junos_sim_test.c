/* junos_sim_test.c - the write side against contrib/junos-sim: SSH, NETCONF, load, commit, read back */
#include "plugins/common/junos/sealed.h"
#include "plugins/common/junos/read.h"
#include "plugins/device/junos-netconf/session.h"

#include "fakehost.h"
#include "scratch.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>
#include <rekey/err.h>

#define SIM "contrib/junos-sim/junos-sim"
#define IF1 "et-0/0/1"
#define IF2 "et-0/0/2"

static struct scratch scratch;
static char known[128], key[128], conf[128], allowed[128], *host = (char *)"127.9.8.7";
static struct jn_router router;
static struct rk_call call;
static pid_t sim;
static unsigned port;

static void
put_config(bool chain)
{
    FILE *out = fopen(conf, "w");

    assert_non_null(out);
    fputs("set system host-name r1\nset security macsec connectivity-association CA1 cipher-suite gcm-aes-xpn-256\n"
          "set security macsec interfaces " IF1 " connectivity-association CA1\n", out);
    if (chain)
        fputs("set security authentication-key-chains key-chain KC description x\n"
              "set security macsec connectivity-association CA1 security-mode static-cak\n"
              "set security macsec connectivity-association CA1 pre-shared-key-chain KC\n", out);
    fclose(out);
}

static void
run_sim(int ready)
{
    char fd[16];

    prctl(PR_SET_PDEATHSIG, SIGKILL); /* of a test that crashed */
    snprintf(fd, sizeof fd, "%d", ready);
    execl(SIM, "junos-sim", "--port", "0", "--listen", host, "--user", "lab", "--authorized-keys", allowed,
          "--known-hosts", known, "--config", conf, "--box", "r1=127.9.8.7,mx", "--ready-fd", fd, "--log", "err",
          (char *)NULL);
    _exit(127);
}

static bool
start_sim(void)
{
    char line[64] = "";
    int fds[2];
    FILE *in;

    assert_int_equal(pipe(fds), 0);
    sim = fork();
    assert_true(sim >= 0);
    if (sim == 0)
        run_sim(fds[1]);
    close(fds[1]);
    in = fdopen(fds[0], "r");
    assert_non_null(in);
    (void)!fgets(line, sizeof line, in);
    fclose(in);
    return sscanf(line, "ready port=%u", &port) == 1;
}

static bool
make_key(void)
{
    char line[400];

    snprintf(line, sizeof line, "ssh-keygen -q -t ed25519 -N '' -f '%s' </dev/null", key);
    return system(line) == 0;
}

/* Also after an assertion that failed: the simulator does not outlive its case. */
static int
end(void **state)
{
    int status;

    (void)state;
    if (sim <= 0)
        return 0;
    jn_hang_up(&router.d);
    jn_sealed_free(&router.d);
    kill(sim, SIGTERM);
    waitpid(sim, &status, 0);
    sim = 0;
    fake_call_end(&call);
    scratch_remove(&scratch);
    return 0;
}

static void
begin(bool chain)
{
    static char key_value[160];

    scratch_make(&scratch);
    snprintf(known, sizeof known, "%s/known_hosts", scratch.dir);
    snprintf(key, sizeof key, "%s/id", scratch.dir);
    snprintf(allowed, sizeof allowed, "%s/id.pub", scratch.dir);
    snprintf(conf, sizeof conf, "%s/config", scratch.dir);
    snprintf(key_value, sizeof key_value, "file:%s", key);
    put_config(chain);
    assert_true(make_key());
    fake_call(&call, 60000);
    assert_true(start_sim());
    router = (struct jn_router){
        .d = {.host = &fake_host, .line = &jn_ssh,
              .opt = {.name = (char *)"r1", .host = host, .user = (char *)"lab", .commit_ms = 30000,
                      .keying = chain ? JN_CHAIN : JN_PSK}},
        .known_hosts = known, .key_value = key_value, .port = (uint16_t)port, .rpc_ms = 20000, .idle_ms = 60000,
    };
}

static void
apply(uint32_t kind, uint64_t seq, const char *key_id, const char *terms)
{
    struct rk_secret *secret = kind == RK_OP_STAGE ? fake_secret("0123456789abcdef0123456789abcdef", 32) : NULL;
    struct rk_dev_op op = {.kind = kind, .seq = seq, .link = "l1", .iface = IF1, .key_id = key_id, .peer_facts = "",
                           .key = secret, .text = terms, .err = RK_E_CONTRACT};
    int err = jn_apply(&router.d, &call, &op, 1);

    fake_host.secret_free(&secret);
    if (err || op.err)
        fail_msg("%s: %d %s, %d %s", key_id, err, call.text, op.err, op.why);
}

static struct jn_view *
view(void)
{
    struct jn_view *v = NULL;

    assert_int_equal(jn_view_get(&router.d, &call, JN_WANT_CONF, &v), RK_OK);
    return v;
}

static void
assert_keys(const char *primary, const char *fallback)
{
    char ckn[JN_CKN_HEX + 1] = "";
    struct jn_view *v = view();
    const struct jn_ca *ca = jn_conf_ca(v->conf, "CA1");

    assert_non_null(ca);
    if (primary[0])
        assert_int_equal(jn_ckn(&router.d, primary, ckn), RK_OK);
    assert_string_equal(ca->psk.ckn, ckn);
    ckn[0] = '\0';
    if (fallback[0])
        assert_int_equal(jn_ckn(&router.d, fallback, ckn), RK_OK);
    assert_string_equal(ca->fallback.ckn, ckn);
    jn_view_free(&fake_host, &v);
}

static void
count(void *arg, const char *line)
{
    assert_null(strstr(line, "secret \""));
    ++*(unsigned *)arg;
}

static void
test_pre_shared_keys(void **state)
{
    (void)state;
    begin(false);
    apply(RK_OP_STAGE, 1, "k1", "keep=");
    assert_keys("k1", "");
    apply(RK_OP_STAGE, 2, "k2", "keep=k1");
    apply(RK_OP_STAGE, 2, "k2", "keep=k1");
    assert_keys("k2", "k1");
    jn_sealed_free(&router.d); /* after a restart: the router's own form moves */
    apply(RK_OP_STAGE, 3, "k3", "keep=k2");
    assert_keys("k3", "k2");
    apply(RK_OP_RETIRE, 3, "k3", "keep=k2");
    assert_keys("k2", "k3");
    apply(RK_OP_DESCRIBE, 0, "", "rk1|a|b");
    apply(RK_OP_DESCRIBE, 0, "", "");
}

static void
stage(uint64_t seq, const char *key_id, const char *keep, int64_t ahead_s)
{
    char terms[RK_TERMS_MAX];

    snprintf(terms, sizeof terms, "keep=%s,start=%lld", keep, (long long)(time(NULL) + ahead_s));
    apply(RK_OP_STAGE, seq, key_id, terms);
}

static void
test_chain(void **state)
{
    struct jn_view *v;

    (void)state;
    begin(true);
    stage(1, "k1", "", 60);
    apply(RK_OP_RETIRE, 1, "k1", "keep=");
    v = view();
    assert_int_equal(v->conf->chain[0].n, 0);
    jn_view_free(&fake_host, &v);
    stage(2, "k2", "", 60);
    v = view();
    assert_int_equal(v->conf->chain[0].n, 1);
    assert_false(v->conf->chain[0].key[0].bad_start);
    jn_view_free(&fake_host, &v);
}

/* What prepare leaves: an association without mode and key, and no binding; the first key brings all of it. */
static void
test_first_key(void **state)
{
    struct rk_prepare want = {.size = sizeof want, .apply = 1, .ifaces = (const char *const[]){IF2, NULL}};
    struct rk_secret *secret = fake_secret("0123456789abcdef0123456789abcdef", 32);
    struct rk_dev_op op = {.kind = RK_OP_STAGE, .seq = 1, .link = "l2", .iface = IF2, .key_id = "k1", .peer_facts = "",
                           .key = secret, .text = "keep=", .err = RK_E_CONTRACT};
    struct jn_view *v;
    unsigned lines = 0;

    (void)state;
    begin(false);
    assert_int_equal(jn_prepare(&router.d, &call, &want, count, &lines), RK_OK);
    assert_true(lines > 5);
    v = view();
    assert_true(!jn_conf_port(v->conf, IF2) || !jn_conf_port(v->conf, IF2)->ca[0]);
    jn_view_free(&fake_host, &v);
    if (jn_apply(&router.d, &call, &op, 1) != RK_OK || op.err != RK_OK)
        fail_msg("%s; %s", call.text, op.why);
    v = view();
    assert_non_null(jn_conf_port(v->conf, IF2));
    assert_string_equal(jn_conf_port(v->conf, IF2)->ca, "rk-et-0-0-2");
    assert_string_equal(jn_conf_ca(v->conf, "rk-et-0-0-2")->mode, "static-cak");
    assert_int_equal(strlen(jn_conf_ca(v->conf, "rk-et-0-0-2")->psk.ckn), JN_CKN_HEX);
    jn_view_free(&fake_host, &v);
    fake_host.secret_free(&secret);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(test_first_key, end),
                                       cmocka_unit_test_teardown(test_pre_shared_keys, end),
                                       cmocka_unit_test_teardown(test_chain, end)};

    if (access(SIM, X_OK) != 0 || system("command -v ssh-keygen >/dev/null") != 0) {
        puts("1..0 # SKIP junos-sim is not built, or ssh-keygen is not there");
        return 0;
    }

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
