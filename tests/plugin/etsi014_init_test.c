/* etsi014_init_test.c - the etsi014 plugin's options and the files that they name. */
#include "etsi014_kme.h"

#include "core/conf/opt.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* A file of the folder; its path. */
static void
put(char path[PATH_MAX], const char *name, const char *text, mode_t mode)
{
    FILE *f;

    snprintf(path, PATH_MAX, "%s/%s", kme.dir, name);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fchmod(fileno(f), mode), 0);
    assert_int_equal(fclose(f), 0);
}

static void
test_init_refuses(void **state)
{
    char rogue[PATH_MAX], locked[PATH_MAX], no_pem[PATH_MAX], open_key[PATH_MAX], with_key[PATH_MAX];
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
        {"cert", with_key, RK_E_UNSAFE, "holds a private key; leave only certificates in it"},
        {"ca", with_key, RK_E_UNSAFE, "holds a private key; leave only certificates in it"},
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
    snprintf(with_key, sizeof with_key, "%s/sae.key", kme.dir);
    put(no_pem, "no-pem", "MIIB8Pf\n", 0600);
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

static int
open_as(const char *name, const char *value)
{
    const char *extra[] = {name, value, NULL};

    return etsi_open(&kme, "kme", extra, &call, &inst);
}

/* Whoever writes these files says whom this SAE trusts. */
static void
test_files_that_others_write(void **state)
{
    static const char *const options[] = {"cert", "ca"}, *const names[] = {"sae.pem", "ca.pem"};
    static const mode_t modes[] = {0620, 0602, 0666};
    char path[PATH_MAX];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", kme.dir, names[i]);
        for (size_t k = 0; k < 3; k++) {
            assert_int_equal(chmod(path, modes[k]), 0);
            assert_int_equal(open_as(options[i], path), RK_E_UNSAFE);
            assert_says(names[i]);
            assert_says("lets others write; chmod go-w it");
        }
        assert_int_equal(chmod(path, 0644), 0);
        if (geteuid() == 0) {
            assert_int_equal(chown(path, 65534, (gid_t)-1), 0);
            assert_int_equal(open_as(options[i], path), RK_E_UNSAFE);
            assert_says("belongs to user 65534; chown it to root or user 0");
            assert_int_equal(chown(path, 0, (gid_t)-1), 0);
        }
    }
}

/* Or puts others in their place; in a sticky folder nobody else can. */
static void
test_folder_that_others_write(void **state)
{
    static const char *const options[] = {"cert", "ca"}, *const names[] = {"sae.pem", "ca.pem"};
    char path[PATH_MAX];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", kme.dir, names[i]);
        assert_int_equal(chmod(kme.dir, 0777), 0);
        assert_int_equal(open_as(options[i], path), RK_E_UNSAFE);
        assert_says("chmod go-w the folder");
        assert_int_equal(chmod(kme.dir, 01777), 0);
        assert_int_equal(open_as(options[i], path), RK_OK);
        etsi014_LTX_rk_plugin.fini(inst);
        inst = NULL;
    }
    assert_int_equal(chmod(kme.dir, 0700), 0);
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
        cmocka_unit_test(test_files_that_others_write),
        cmocka_unit_test(test_folder_that_others_write),
        cmocka_unit_test(test_init_takes),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
