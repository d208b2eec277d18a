/* etsi014_legacy_test.c - the etsi014 plugin's options under the names of the old script. */
#include "etsi014_kme.h"

#include "core/conf/opt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct kme kme;
static struct rk_call call;
static void *inst;

static void
assert_says(const char *text)
{
    if (!strstr(call.text, text))
        fail_msg("\"%s\" does not say \"%s\"", call.text, text);
}

/* The settings of the old script, as they stand in its configuration, get keys. */
static void
test_old_names_work(void **state)
{
    const struct rk_source_ops *ops = etsi014_LTX_rk_plugin.ops;
    char port[16];
    const char *const old[] = {"kme-host",   "127.0.0.1", "kme-port",        port,   "kme-ca", "true",
                               "kme-method", "post",      "kme-keyid-check", "true", NULL};
    struct rk_key key;

    (void)state;
    snprintf(port, sizeof port, "%d", kme_port(&kme, "kme"));
    if (etsi_open(&kme, NULL, old, &call, &inst) != RK_OK)
        fail_msg("%s", call.text);
    assert_non_null(strstr(fake_log(), "ev=options names=old"));
    if (ops->get_new(inst, &call, "SAE_B", 256, &key, 1) != RK_OK)
        fail_msg("%s", call.text);
    fake_host.secret_free(&key.secret);
    kme_log(&kme);
    assert_non_null(strstr(kme.log, " POST /api/v1/keys/SAE_B/enc_keys"));
    etsi014_LTX_rk_plugin.fini(inst);
    inst = NULL;
}

/* Nothing listens at port 443 of this name: its text tells what was made of the options. */
static void
test_default_port_and_ipv6(void **state)
{
    static const struct {
        const char *host, *base;
    } cases[] = {
        {"kme.invalid", "https://kme.invalid:443"}, {"::1", "https://[::1]:443"}, {"[::1]", "https://[::1]:443"}};
    const struct rk_source_ops *ops = etsi014_LTX_rk_plugin.ops;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const old[] = {"kme-host", cases[i].host, NULL};
        struct rk_call none;
        struct rk_key key;

        assert_int_equal(etsi_open(&kme, NULL, old, &call, &inst), RK_OK);
        fake_call(&none, 0);
        assert_int_equal(ops->get_new(inst, &none, "SAE_B", 256, &key, 1), RK_E_TIMEOUT);
        if (!strstr(none.text, cases[i].base))
            fail_msg("%s: %s", cases[i].host, none.text);
        fake_call_end(&none);
        etsi014_LTX_rk_plugin.fini(inst);
        inst = NULL;
    }
}

static void
test_contradictions(void **state)
{
    static const struct {
        const char *options[7], *says;
    } cases[] = {
        {{NULL}, "url: not given"},
        {{"kme-host", "a", "url", "https://a", NULL}, "both say where the KME is"},
        {{"url", "https://a", "kme-port", "443", NULL}, "kme-port belongs to kme-host"},
        {{"kme-port", "443", NULL}, "kme-port belongs to kme-host"},
        {{"kme-host", "a/b", NULL}, "a name or an address"},
        {{"kme-host", "u@a", NULL}, "a name or an address"},
        {{"url", "https://a", "kme-method", "get", "method", "post", NULL}, "contradict each other"},
        {{"url", "https://a", "kme-ca", "false", NULL}, "give the KME's CA certificate in ca"},
        {{"url", "https://a", "kme-ca", "no", NULL}, "give the KME's CA certificate in ca"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (etsi_open(&kme, NULL, cases[i].options, &call, &inst) != RK_E_CONFIG)
            fail_msg("case %zu was taken", i);
        assert_null(inst);
        assert_says(cases[i].says);
    }
}

static void
test_agreement(void **state)
{
    static const char *const same[] = {"url", "https://a", "kme-method", "get", "method", "get", "kme-ca", "yes", NULL};

    (void)state;
    assert_int_equal(etsi_open(&kme, NULL, same, &call, &inst), RK_OK);
    etsi014_LTX_rk_plugin.fini(inst);
    inst = NULL;
}

/* url may be a list, as long as one KME has URLs. */
static void
test_url_list(void **state)
{
    const char *many[19] = {NULL};

    (void)state;
    for (size_t i = 0; i < 8; i++) {
        many[2 * i] = "url";
        many[2 * i + 1] = "https://a";
    }
    assert_int_equal(etsi_open(&kme, NULL, many, &call, &inst), RK_OK);
    etsi014_LTX_rk_plugin.fini(inst);
    inst = NULL;
    many[16] = "url";
    many[17] = "https://a";
    assert_int_equal(etsi_open(&kme, NULL, many, &call, &inst), RK_E_CONFIG);
    assert_says("more than 8");
    many[16] = NULL;
    many[15] = "https://a/?b";
    assert_int_equal(etsi_open(&kme, NULL, many, &call, &inst), RK_E_CONFIG);
    assert_says("url: ");
    assert_null(inst);
}

static int
group_up(void **state)
{
    (void)state;
    fake_call(&call, 20000);
    return kme_start(&kme);
}

static int
group_down(void **state)
{
    (void)state;
    kme_stop(&kme);
    fake_call_end(&call);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_old_names_work), cmocka_unit_test(test_default_port_and_ipv6),
        cmocka_unit_test(test_contradictions), cmocka_unit_test(test_agreement),
        cmocka_unit_test(test_url_list),
    };

    if (system("python3 -c 'import ssl' 2>/dev/null") != 0) {
        puts("1..0 # SKIP python3 with ssl is not there");
        return 0;
    }
    return cmocka_run_group_tests(tests, group_up, group_down);
}
