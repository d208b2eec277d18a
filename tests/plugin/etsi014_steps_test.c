/* etsi014_steps_test.c - the test of a source by the etsi014 plugin: each thing that can be wrong is a step of its own,
 * which names it and says what to do; and no key is taken. */
#include "etsi014_kme.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define BUDGET_MS 20000
#define SHORT_MS 400 /* for what hangs */

static struct kme kme;
static struct rk_call call;
static void *inst;
static const struct rk_source_ops *ops;
static struct rk_source_test want;

static void
close_inst(void)
{
    if (inst)
        etsi014_LTX_rk_plugin.fini(inst);
    inst = NULL;
}

static void
open_at(const char *listener, const char *const *extra)
{
    int err;

    close_inst();
    err = etsi_open(&kme, listener, extra, &call, &inst);
    if (err)
        fail_msg("init: %d %s", err, call.text);
}

/* Test without a peer ("") or with one. */
static int
go(const char *peer)
{
    fake_log_clear();
    want.peer_sae = peer;
    return ops->test(inst, &call, &want);
}

/* The line of a step; fails when it was not stated. */
static const char *
step(const char *name, int result)
{
    static char line[600];
    char head[64];
    const char *at = fake_steps();

    snprintf(head, sizeof head, "%s %d ", name, result);
    while (at && strncmp(at, head, strlen(head)) != 0) {
        at = strchr(at, '\n');
        at = at ? at + 1 : NULL;
    }
    if (!at)
        fail_msg("no step \"%s\" in:\n%s", head, fake_steps());
    snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
    return line;
}

static void
assert_step(const char *name, int result, const char *says)
{
    const char *line = step(name, result);

    if (!strstr(line, says))
        fail_msg("\"%s\" does not say \"%s\"", line, says);
}

/* The last one is that one: after it there is nothing to be seen. */
static void
assert_last(const char *name)
{
    const char *at = fake_steps(), *end = at + strlen(at) - 1;

    while (end > at && end[-1] != '\n')
        end--;
    if (strncmp(end, name, strlen(name)) != 0 || end[strlen(name)] != ' ')
        fail_msg("the last step is not %s:\n%s", name, at);
}

static void
assert_none(const char *name)
{
    char head[40];

    snprintf(head, sizeof head, "\n%s ", name);
    if (strstr(fake_steps(), head) || strncmp(fake_steps(), head + 1, strlen(head) - 1) == 0)
        fail_msg("there is a step %s:\n%s", name, fake_steps());
}

static int
set_up(void **state)
{
    (void)state;
    fake_call(&call, BUDGET_MS);
    want = (struct rk_source_test){.size = sizeof want, .min_bits = 256, .max_bits = 256};
    kme_play(&kme, "ok");
    kme_log(&kme);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    close_inst();
    fake_call_end(&call);
    return 0;
}

/* Without a peer nothing is asked; with one, status and nothing else. */
static void
test_all_well(void **state)
{
    const char *extra[] = {"kme-id", "KME_A", "@sae", "A", NULL};

    (void)state;
    open_at("kme", extra);
    assert_int_equal(go(""), RK_OK);
    assert_step("certificate", RK_STEP_WARNING, "sae.pem: ours is CN=SAE_A, by CN=Test CA, until ");
    assert_step("certificate", RK_STEP_WARNING, "renew it soon"); /* a day is left */
    assert_step("ca", RK_STEP_WARNING, "1 CA certificate; the first to end is CN=Test CA");
    assert_step("tcp", RK_OK, "127.0.0.1 port ");
    assert_step("kme-certificate", RK_STEP_WARNING,
                "it is for KME_A, 127.0.0.1, kme-a.example, urn:kme:a; have it renewed soon");
    assert_step("kme-id", RK_OK, "names the KME \"KME_A\"");
    assert_step("tls", RK_OK, "TLSv1.3 with TLS_");
    assert_none("dns"); /* of an address */
    assert_none("status");
    kme_log(&kme);
    assert_int_equal(kme.n_requests, 0);
    assert_int_equal(go("B"), RK_OK);
    assert_step("status", RK_OK, "KME KME_A to KME_B; 7 of 100 keys stored, 20 in one request");
    assert_step("sae", RK_OK, "knows us as A, and B as the peer");
    assert_step("key-size", RK_OK, "links want keys of 256 to 256 bits, the KME gives 64 to 1024");
    assert_none("tls");
    assert_none("clock");
    kme_log(&kme);
    assert_int_equal(kme.n_requests, 1);
    assert_non_null(strstr(kme.log, "GET /api/v1/keys/B/status "));
}

static void
test_own_certificate(void **state)
{
    char cert[PATH_MAX], file[PATH_MAX];
    const char *extra[] = {"cert", cert, "key", file, NULL};

    (void)state;
    snprintf(cert, sizeof cert, "%s/expired.pem", kme.dir);
    snprintf(file, sizeof file, "file:%s/expired.key", kme.dir);
    open_at("tls12", extra);
    assert_int_equal(go(""), RK_E_AUTH);
    assert_step("certificate", RK_E_AUTH, "expired.pem: ours is CN=KME_A, by CN=Test CA, until ");
    assert_step("certificate", RK_E_AUTH, "days ago, and its private key fits; it has expired: renew it");
    assert_step("tls", RK_E_AUTH, "refused the client certificate"); /* the server says so, too */
}

static void
test_dns(void **state)
{
    /* A label of more than 63 letters is no name: no name server need be asked. */
    static const char host[] = "https://"
                               "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                               ".invalid:8443";
    const char *extra[] = {"url", host, NULL}, *local[] = {"url", NULL, NULL};
    char url[64];

    (void)state;
    open_at(NULL, extra);
    assert_int_equal(go(""), RK_E_UNREACHABLE);
    assert_step("dns", RK_E_UNREACHABLE, ".invalid has no address: ");
    assert_step("dns", RK_E_UNREACHABLE, "is the name in url right?  \"getent ahosts aaaa");
    assert_last("dns");
    snprintf(url, sizeof url, "https://localhost:%d", kme_port(&kme, "kme"));
    local[1] = url;
    open_at(NULL, local);
    go("");
    assert_step("dns", RK_OK, "the KME localhost is ");
    assert_step("dns", RK_OK, "127.0.0.1");
    assert_step("tcp", RK_OK, "127.0.0.1 port ");
    assert_step("kme-certificate", RK_E_AUTH,
                "its names are KME_A, 127.0.0.1, kme-a.example, urn:kme:a, url says localhost");
}

static void
test_tcp(void **state)
{
    (void)state;
    open_at("closed", NULL);
    assert_int_equal(go(""), RK_E_UNREACHABLE);
    assert_step("tcp", RK_E_UNREACHABLE, "refused: nothing listens there; is it running, is the port right?");
    assert_last("tcp");
}

static void
test_kme_certificate(void **state)
{
    static const struct {
        const char *listener, *says;
    } cases[] = {
        {"expired", "the KME's own certificate, CN=KME_A by CN=Test CA, until "},
        {"expired", "certificate has expired (ca "},
        {"expired", "a new one is needed there; or this host's clock is wrong"},
        {"rogue", "the KME's own certificate, CN=KME_A by CN=Rogue CA, until "},
        {"rogue", "unable to get local issuer certificate (ca "},
        {"rogue", "/ca.pem); put the certificate of the CA that made it into that file"},
        {"other-host", "its names are KME_A, other.example, url says 127.0.0.1; use one of its names in url"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        open_at(cases[i].listener, NULL);
        assert_int_equal(go(""), RK_E_AUTH);
        assert_step("kme-certificate", RK_E_AUTH, cases[i].says);
        assert_last("kme-certificate");
    }
}

static void
test_kme_id(void **state)
{
    const char *extra[] = {"kme-id", "KME_B", NULL};

    (void)state;
    open_at("kme", extra);
    assert_int_equal(go(""), RK_E_AUTH);
    assert_step("kme-id", RK_E_AUTH, "does not name the KME \"KME_B\": it names KME_A, kme-a.example, urn:kme:a; ");
    assert_last("kme-id");
    open_at("kme", NULL);
    assert_int_equal(go(""), RK_OK);
    assert_step("kme-id", RK_STEP_WARNING,
                "not set: any server with a certificate of that CA for 127.0.0.1 would be "
                "believed; set kme-id to one of: KME_A, kme-a.example, urn:kme:a");
}

/* TLS 1.3 refuses it after the handshake, 1.2 within. */
static void
test_client_refused(void **state)
{
    char cert[PATH_MAX], file[PATH_MAX];
    const char *extra[] = {"cert", cert, "key", file, NULL}, *listeners[] = {"kme", "tls12"};

    (void)state;
    snprintf(cert, sizeof cert, "%s/rogue-sae.pem", kme.dir);
    snprintf(file, sizeof file, "file:%s/rogue-sae.key", kme.dir);
    for (int i = 0; i < 2; i++) {
        open_at(listeners[i], extra);
        assert_int_equal(go(""), RK_E_AUTH);
        assert_step("certificate", RK_STEP_WARNING, "ours is CN=SAE_A, by CN=Rogue CA");
        assert_step("kme-certificate", RK_STEP_WARNING, "CN=KME_A, by CN=Test CA");
        assert_step("tls", RK_E_AUTH, "client certificate");
        assert_step("tls", RK_E_AUTH, "rogue-sae.pem");
        assert_last("tls");
        assert_int_equal(go("B"), RK_E_AUTH); /* and for one who asks with a peer only */
        assert_step("status", RK_E_AUTH, "client certificate");
    }
}

static void
test_no_tls(void **state)
{
    (void)state;
    open_at("plain", NULL);
    assert_int_equal(go(""), RK_E_PROTOCOL);
    assert_step("tls", RK_E_PROTOCOL, "the server does not speak TLS; check the port");
    open_at("reset", NULL);
    assert_int_equal(go(""), RK_E_UNREACHABLE);
    assert_step("tls", RK_E_UNREACHABLE, "some KMEs do this when they do not accept the client certificate");
    assert_none("kme-certificate");
}

/* A server that says nothing: the budget ends it, and the step says where it hung. */
static void
test_hang(void **state)
{
    (void)state;
    open_at("silent", NULL);
    fake_call_end(&call);
    fake_call(&call, SHORT_MS);
    assert_int_equal(go(""), RK_E_TIMEOUT);
    assert_step("tcp", RK_OK, "connected in ");
    assert_step("tls", RK_E_TIMEOUT, "no connection until the budget ended");
}

static void
test_status_refused(void **state)
{
    static const struct {
        const char *part;
        int err;
        const char *says;
    } cases[] = {
        {"code 401 no", RK_E_AUTH, "HTTP 401"},
        {"code 404", RK_E_REJECTED, "the peer SAE is not known to the KME, or url is wrong"},
        {"code 503 busy", RK_E_BUSY, "HTTP 503 \"busy\""},
        {"html 200", RK_E_PROTOCOL, "HTML"},
        {"html 403", RK_E_AUTH, "HTML"},
        {"text []", RK_E_PROTOCOL, "not a"},
        {"redirect", RK_E_PROTOCOL, "redirects are not followed"},
        {"huge", RK_E_PROTOCOL, "longer than"},
        {"drop", RK_E_UNREACHABLE, "no whole answer came"},
    };

    (void)state;
    open_at("kme", NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kme_play(&kme, cases[i].part);
        assert_int_equal(go("B"), cases[i].err);
        assert_step("status", cases[i].err, cases[i].says);
        assert_last("status");
    }
}

/* What a status says that does not fit. */
static void
test_status_odd(void **state)
{
    const char *extra[] = {"@sae", "SAE_A", NULL};

    (void)state;
    open_at("kme", extra);
    assert_int_equal(go("B"), RK_OK);
    assert_step("sae", RK_STEP_WARNING, "the KME knows us as \"A\", the configuration says sae: SAE_A; ");
    open_at("kme", NULL);
    assert_int_equal(go("SAE_B"), RK_OK);
    assert_step("sae", RK_STEP_WARNING, "the KME says the peer is \"B\", not SAE_B: is peer-sae right?");
    want.max_bits = 2048;
    assert_int_equal(go("B"), RK_E_KEY_SIZE);
    assert_step("key-size", RK_E_KEY_SIZE,
                "links want keys of 256 to 2048 bits, the KME gives 64 to 1024: set key-bits");
    want.min_bits = want.max_bits = 0; /* no link */
    kme_play(&kme, "status {\"stored_key_count\": 0, \"max_key_count\": \"x\"}");
    assert_int_equal(go("B"), RK_OK);
    assert_step("status", RK_STEP_WARNING, "0 of ? keys stored, 20 in one request; wait for keys");
    assert_none("key-size");
}

static void
test_clock(void **state)
{
    (void)state;
    open_at("kme", NULL);
    kme_play(&kme, "clock 0");
    assert_int_equal(go("B"), RK_OK);
    assert_none("clock");
    kme_play(&kme, "clock 7200");
    assert_int_equal(go("B"), RK_OK);
    assert_step("clock", RK_STEP_WARNING, " s before ours");
    kme_play(&kme, "clock -7200");
    assert_int_equal(go("B"), RK_OK);
    assert_step("clock", RK_STEP_WARNING, " s behind ours");
}

static void
test_proxy(void **state)
{
    char proxy[64];
    const char *extra[] = {"proxy", proxy, NULL};

    (void)state;
    snprintf(proxy, sizeof proxy, "http://localhost:%d", kme_port(&kme, "proxy"));
    open_at("kme", extra);
    assert_int_equal(go(""), RK_OK);
    assert_step("dns", RK_OK, "the proxy localhost is ");
    assert_step("tcp", RK_OK, "the proxy 127.0.0.1 port ");
    assert_step("kme-id", RK_STEP_WARNING, "of that CA for 127.0.0.1 ");
    assert_int_equal(go("B"), RK_OK);
}

/* Each URL is tested; one that works is enough, and one that does not is told all the same. */
static void
test_urls(void **state)
{
    char urls[2][64];
    const char *extra[] = {"url", urls[0], "url", urls[1], NULL};

    (void)state;
    snprintf(urls[0], sizeof urls[0], "https://127.0.0.1:%d", kme_port(&kme, "closed"));
    snprintf(urls[1], sizeof urls[1], "https://127.0.0.1:%d", kme_port(&kme, "kme"));
    open_at(NULL, extra);
    assert_int_equal(go(""), RK_OK);
    assert_step("url", RK_OK, "1 of 2: https://127.0.0.1:");
    assert_step("tcp", RK_E_UNREACHABLE, "refused");
    assert_step("tcp", RK_OK, "connected");
    assert_step("tls", RK_OK, "TLSv1.3");
    assert_last("tls");
    assert_int_equal(go("B"), RK_OK);
    assert_step("status", RK_STEP_SKIPPED, urls[0]);
    assert_step("status", RK_STEP_SKIPPED, " was not reached, see above");
    assert_step("status", RK_OK, "KME_A to KME_B");
    kme_log(&kme);
    assert_int_equal(kme.n_requests, 1);
    assert_null(strstr(fake_log(), "ev=url")); /* a test changes nothing for the calls beside it */
}

/* A file that was changed and cannot be used. */
static void
test_files(void **state)
{
    char cert[PATH_MAX], command[3 * PATH_MAX];
    const char *extra[] = {"cert", cert, NULL};
    FILE *f;

    (void)state;
    snprintf(cert, sizeof cert, "%s/changed.pem", kme.dir);
    snprintf(command, sizeof command, "cp %s/sae.pem %s", kme.dir, cert);
    assert_int_equal(system(command), 0);
    open_at("kme", extra);
    f = fopen(cert, "w");
    assert_non_null(f);
    fputs("half of a certificate\n", f);
    fclose(f);
    assert_int_equal(go(""), RK_OK); /* the old one is in use still */
    unlink(cert);
    assert_step("files", RK_E_CONFIG, "changed.pem: holds no certificate in PEM form");
    assert_step("files", RK_E_CONFIG, "until that is mended, what was read before is in use");
    assert_step("tls", RK_OK, "did not refuse our certificate");
}

static int
group_up(void **state)
{
    (void)state;
    ops = etsi014_LTX_rk_plugin.ops;
    return kme_start(&kme);
}

static int
group_down(void **state)
{
    (void)state;
    kme_stop(&kme);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_all_well),
        TEST(test_own_certificate),
        TEST(test_dns),
        TEST(test_tcp),
        TEST(test_kme_certificate),
        TEST(test_kme_id),
        TEST(test_client_refused),
        TEST(test_no_tls),
        TEST(test_hang),
        TEST(test_status_refused),
        TEST(test_status_odd),
        TEST(test_clock),
        TEST(test_proxy),
        TEST(test_urls),
        TEST(test_files),
    };

    if (system("python3 -c 'import ssl' 2>/dev/null") != 0) {
        puts("1..0 # SKIP python3 with ssl is not there");
        return 0;
    }
    return cmocka_run_group_tests(tests, group_up, group_down);
}
