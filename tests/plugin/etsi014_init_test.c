/* etsi014_init_test.c - the etsi014 plugin's options and the files that they name. */
#include "etsi014_kme.h"

#include "core/conf/opt.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static struct kme kme; /* only its certificates */
static struct rk_call call;
static void *inst;

static void
assert_says(const char *text)
{
    if (!strstr(call.text, text))
        fail_msg("\"%s\" does not say \"%s\"", call.text, text);
}

static void
test_schema(void **state)
{
    char why[200] = "";

    (void)state;
    if (rk_opts_sane(etsi014_LTX_rk_plugin.opts, why, sizeof why) != RK_OK)
        fail_msg("%s", why);
    assert_int_equal(etsi014_LTX_rk_plugin.abi, RK_ABI);
    assert_int_equal(etsi014_LTX_rk_plugin.kind, RK_SOURCE);
    assert_int_equal(etsi014_LTX_rk_plugin.opt_size, sizeof(struct rk_opt));
}

static void
test_init_refuses(void **state)
{
    char rogue[PATH_MAX], locked[PATH_MAX], no_pem[PATH_MAX], open_key[PATH_MAX];
    const struct {
        const char *name, *value;
        int err;
        const char *says;
    } cases[] = {
        {"cert", "/nonexistent/sae.pem", RK_E_NOENT, "cert: /nonexistent/sae.pem"},
        {"ca", "/nonexistent/ca.pem", RK_E_NOENT, "ca: /nonexistent/ca.pem"},
        {"ca", "/", RK_E_UNSAFE, "not a regular file"},
        {"cert", no_pem, RK_E_CONFIG, "no certificate in PEM form"},
        {"ca", no_pem, RK_E_CONFIG, "no certificate in PEM form"},
        {"key", rogue, RK_E_CONFIG, "does not belong to the certificate"},
        {"key", locked, RK_E_CONFIG, "without passphrase"},
        {"key", open_key, RK_E_UNSAFE, "chmod 600"},
        {"url", "https://user@127.0.0.1", RK_E_CONFIG, "url: "},
        {"url", "https://127.0.0.1/?x=1", RK_E_CONFIG, "url: "},
        {"url", "https://127.0.0.1:99999", RK_E_CONFIG, "url: "},
    };

    (void)state;
    snprintf(rogue, sizeof rogue, "file:%s/rogue-sae.key", kme.dir);
    snprintf(locked, sizeof locked, "file:%s/sae-locked.key", kme.dir);
    snprintf(open_key, sizeof open_key, "file:%s/sae.pem", kme.dir);
    snprintf(no_pem, sizeof no_pem, "%s/sae.key", kme.dir);
    assert_int_equal(chmod(open_key + 5, 0644), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *extra[] = {cases[i].name, cases[i].value, NULL};
        int err = etsi_open(&kme, "kme", extra, &call, &inst);

        if (err != cases[i].err)
            fail_msg("%s %s: %d %s", cases[i].name, cases[i].value, err, call.text);
        assert_null(inst);
        assert_says(cases[i].says);
    }
}

static void
test_init_takes(void **state)
{
    static const char *const all[] = {"kme-id",      "KME_A",       "method",
                                      "post",        "proxy",       "http://127.0.0.1:1",
                                      "connections", "64",          "connect-timeout",
                                      "100ms",       "sync-window", "0s",
                                      "lenient",     "yes",         NULL};

    (void)state;
    assert_int_equal(etsi_open(&kme, "kme", all, &call, &inst), RK_OK); /* nobody listens: that is for the calls */
    etsi014_LTX_rk_plugin.fini(inst);
    inst = NULL;
}

static int
set_up(void **state)
{
    (void)state;
    fake_call(&call, 10000);
    return kme_certs(&kme);
}

static int
tear_down(void **state)
{
    (void)state;
    fake_call_end(&call);
    kme_stop(&kme);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schema),
        cmocka_unit_test(test_init_refuses),
        cmocka_unit_test(test_init_takes),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
