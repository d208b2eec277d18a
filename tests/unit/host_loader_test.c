/* host_loader_test.c - modules that must be refused, each with a reason, and those that must load. */
#include "core/conf/conf.h"
#include "core/host/describe.h"
#include "core/host/loader.h"

#include "hostrig.h"

#include <jansson.h>
#include <rekey/err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/host_loader.XXXXXX"; /* copies of modules, with mode and name as a test wants them */

static void
copy(const char *module, const char *as, mode_t mode, char *path, size_t size)
{
    char built[512], command[1200];

    rig_module(module, built, sizeof built);
    snprintf(path, size, "%s/%s", dir, as);
    snprintf(command, sizeof command, "cp -f %s %s", built, path);
    assert_int_equal(system(command), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void
test_refused(void **state)
{
    static const struct {
        const char *module;
        int err;
        const char *why;
    } rows[] = {
        {"bad-abi", RK_E_UNSUPPORTED, "built for plugin ABI 2.0, this rekeyd has 1.0"},
        {"bad-size", RK_E_CONTRACT, "its struct rk_plugin has 24 bytes"},
        {"bad-kind", RK_E_CONTRACT, "kind 9"},
        {"bad-class", RK_E_CONTRACT, "device class 0"},
        {"bad-name", RK_E_CONTRACT, "calls itself \"\""},
        {"bad-init", RK_E_CONTRACT, "init, fini or ops is missing"},
        {"bad-ops", RK_E_CONTRACT, "NULL in ops"},
        {"bad-ops-size", RK_E_CONTRACT, "its ops have 8 bytes"},
        {"bad-schema", RK_E_CONTRACT, "first"},
        {"bad-opt-size", RK_E_CONTRACT, "its struct rk_opt has 16 bytes"},
        {"bad-taken", RK_E_CONTRACT, "option auth-key is the host's own"},
        {"bad-apply", RK_E_CONTRACT, "apply_ms is 600001, and 600000 at most"},
        {"bad-undefined", RK_E_UNSUPPORTED, "rekey_test_nowhere_defined"},
        {"bad-symbol", RK_E_UNSUPPORTED, "has no symbol bad_symbol_LTX_rk_plugin"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rk_module m;
        char path[512], name[64], why[400];

        snprintf(name, sizeof name, "%s.so", rows[i].module);
        copy(rows[i].module, name, 0755, path, sizeof path);
        assert_int_equal(rk_module_load(path, &m, why, sizeof why), rows[i].err);
        if (!strstr(why, rows[i].why) || !strstr(why, path))
            fail_msg("%s: %s", rows[i].module, why);
    }
}

static void
check_path(const char *path, int err, const char *reason)
{
    struct rk_module m;
    char why[400];

    assert_int_equal(rk_module_load(path, &m, why, sizeof why), err);
    if (!strstr(why, reason) || (err && !strstr(why, path)))
        fail_msg("%s: %s", path, why);
    free(m.opts);
}

static void
test_unsafe_files(void **state)
{
    char path[512], elsewhere[600];
    FILE *f;

    (void)state;
    check_path("host-source.so", RK_E_CONFIG, "not an absolute path");
    check_path("/nonexistent/host-source.so", RK_E_NOENT, "is the plugin installed?");
    check_path(dir, RK_E_UNSAFE, "not a regular file");
    copy("host-source", "host-source.so", 0775, path, sizeof path);
    check_path(path, RK_E_UNSAFE, "chmod go-w");
    copy("host-source", "host-source.so", 0757, path, sizeof path);
    check_path(path, RK_E_UNSAFE, "chmod go-w");
    copy("host-source", "host_source.so", 0755, path, sizeof path);
    check_path(path, RK_E_CONFIG, "a module is named");
    copy("host-source", "another.so", 0755, path, sizeof path);
    check_path(path, RK_E_UNSUPPORTED, "has no symbol another_LTX_rk_plugin");
    snprintf(elsewhere, sizeof elsewhere, "%s/text.so", dir);
    f = fopen(elsewhere, "w");
    assert_non_null(f);
    fputs("no module\n", f);
    fclose(f);
    chmod(elsewhere, 0644);
    check_path(elsewhere, RK_E_UNSUPPORTED, "cannot be loaded");
}

/* A folder that others may write to, also behind a link, and with the sticky bit. */
static void
test_unsafe_folders(void **state)
{
    static const mode_t modes[] = {0775, 0757, 01777};
    char path[512], link[512], folder[300];

    (void)state;
    snprintf(folder, sizeof folder, "%s/open", dir);
    assert_int_equal(mkdir(folder, 0755), 0);
    snprintf(link, sizeof link, "%s/host-source.so", dir);
    unlink(link);
    copy("host-source", "open/host-source.so", 0755, path, sizeof path);
    assert_int_equal(symlink(path, link), 0);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        assert_int_equal(chmod(folder, modes[i]), 0);
        check_path(path, RK_E_UNSAFE, "/open is writable by group or others; chmod go-w it");
        check_path(link, RK_E_UNSAFE, "/open is writable by group or others; chmod go-w it");
    }
    assert_int_equal(chmod(folder, 0755), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(folder, 12345, (gid_t)-1), 0);
        check_path(link, RK_E_UNSAFE, "/open is owned by another user (uid 12345)");
        assert_int_equal(chown(folder, 0, (gid_t)-1), 0);
    }
    check_path(path, RK_OK, "");
    unlink(link);
}

static void
test_foreign_owner(void **state)
{
    char path[512];

    (void)state;
    if (geteuid() != 0)
        skip();
    copy("host-source", "host-source.so", 0755, path, sizeof path);
    assert_int_equal(chown(path, 12345, (gid_t)-1), 0);
    check_path(path, RK_E_UNSAFE, "owned by another user (uid 12345)");
}

/* A module of a later minor version: larger structs, and an option table with another stride. */
static void
test_newer_minor(void **state)
{
    struct rk_module m;
    char path[512], why[400];

    (void)state;
    copy("newer", "newer.so", 0755, path, sizeof path);
    if (rk_module_load(path, &m, why, sizeof why) != RK_OK)
        fail_msg("%s", why);
    assert_int_equal(m.abi, RK_ABI + 9);
    assert_int_equal(m.n_opts, 2);
    assert_string_equal(m.opts[0].name, "first");
    assert_string_equal(m.opts[1].name, "second");
    assert_null(m.opts[2].name);
    assert_non_null(m.source.get_new);
    assert_null(m.source.status);
    free(m.opts);
}

static void
test_loaded(void **state)
{
    struct rk_module m;
    char path[512], why[400];

    (void)state;
    copy("host-device", "host-device.so", 0755, path, sizeof path);
    if (rk_module_load(path, &m, why, sizeof why) != RK_OK)
        fail_msg("%s", why);
    assert_string_equal(m.name, "host-device");
    assert_int_equal(m.kind, RK_DEVICE);
    assert_int_equal(m.n_opts, 0);
    assert_non_null(m.device.apply);
    free(m.opts);
}

static void
test_describe(void **state)
{
    struct rk_module m;
    char path[512], why[400], text[4096] = "";
    json_t *j, *options;
    FILE *f;

    (void)state;
    copy("host-channel", "host-channel.so", 0755, path, sizeof path);
    assert_int_equal(rk_module_load(path, &m, why, sizeof why), RK_OK);
    f = fmemopen(text, sizeof text, "w");
    assert_int_equal(rk_describe_text(f, &m), RK_OK);
    fclose(f);
    assert_non_null(strstr(text, "host-channel 1.0: channel plugin, ABI 1.0\nChannel for tests\n"));
    assert_non_null(strstr(text, "  auth-key: secret, required\n"));
    f = fmemopen(text, sizeof text, "w");
    assert_int_equal(rk_describe_json(f, &m), RK_OK);
    fclose(f);
    j = json_loads(text, 0, NULL);
    assert_non_null(j);
    options = json_object_get(j, "options");
    assert_int_equal(json_array_size(options), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(options, 0), "type")), "secret");
    assert_true(json_is_true(json_object_get(json_array_get(options, 0), "required")));
    json_decref(j);
    free(m.opts);
}

static void
test_experimental(void **state)
{
    struct rk_module m;
    char path[512], why[400], text[4096] = "";
    FILE *f;

    (void)state;
    copy("trial", "trial.so", 0755, path, sizeof path);
    assert_int_equal(rk_module_load(path, &m, why, sizeof why), RK_OK);
    f = fmemopen(text, sizeof text, "w");
    assert_int_equal(rk_describe_text(f, &m), RK_OK);
    fclose(f);
    assert_non_null(strstr(text, "experimental: only with \"allow-experimental: yes\"\n"));
    f = fmemopen(text, sizeof text, "w");
    assert_int_equal(rk_describe_json(f, &m), RK_OK);
    fclose(f);
    assert_non_null(strstr(text, "\"experimental\": true"));
    free(m.opts);
}

static int
make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int
remove_dir(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),     cmocka_unit_test(test_unsafe_files), cmocka_unit_test(test_foreign_owner),
        cmocka_unit_test(test_unsafe_folders), cmocka_unit_test(test_experimental),
        cmocka_unit_test(test_newer_minor), cmocka_unit_test(test_loaded),       cmocka_unit_test(test_describe),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
