/* daemon_fixed_test.c - a fixed key never reaches class A, also when only the device itself knows that it is of it */
#include "core/daemon/daemon.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct host hosts[2]; /* of the source, of the device */

struct host *
sup_host(struct daemon *d, const char *plugin)
{
    (void)d;
    return &hosts[strcmp(plugin, "device") == 0];
}

static const char *const choices[] = {"derived", "fixed", NULL};
static struct rk_opt with_mode[] = {{.name = "mode", .type = RK_OPT_ENUM, .choices = choices}, {.name = NULL}};
static struct rk_opt no_mode[] = {{.name = NULL}};

static void
test_when_the_key_comes(void **state)
{
    static const struct {
        uint32_t caps, class;
        struct rk_opt *opts;
        const char *mode, *key_id;
        int err;
    } rows[] = {
        {RK_CAP_FIXED, RK_CLASS_A, with_mode, "fixed", "k1", RK_E_CONFIG},
        {RK_CAP_FIXED, RK_CLASS_A, no_mode, NULL, "k1", RK_E_CONFIG},
        {RK_CAP_FIXED, RK_CLASS_A, with_mode, "derived", "k1", RK_OK},
        {RK_CAP_FIXED, RK_CLASS_A, with_mode, NULL, "k1", RK_OK},
        {0, RK_CLASS_A, with_mode, "fixed", "k1", RK_OK},
        {RK_CAP_FIXED, RK_CLASS_B, with_mode, "fixed", "k1", RK_OK},
        {RK_CAP_FIXED, RK_CLASS_B, with_mode, "fixed", "cur", RK_E_EMPTY},
        {0, RK_CLASS_B, with_mode, "fixed", "cur", RK_OK},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rk_setting mode = {.name = "mode"};
        struct rk_instance_conf conf = {.kind = RK_SOURCE, .settings = &mode, .n = rows[i].mode != NULL};
        struct inst inst = {.conf = &conf, .host = &hosts[0]};
        struct live live = {.e = {.class = rows[i].class, .d = {.cur = "cur"}}};
        struct end end = {.asked = &inst, .live = &live};
        const char *why = NULL;

        snprintf(mode.value, sizeof mode.value, "%s", rows[i].mode ? rows[i].mode : "");
        hosts[0].hello.caps = rows[i].caps;
        hosts[0].hello.opts = rows[i].opts;
        assert_int_equal(fixed_refused(&end, rows[i].key_id, &why), rows[i].err);
        assert_int_equal(why != NULL, rows[i].err != RK_OK);
    }
}

/* A device that an option makes one of another class is not judged by what its plugin declares. */
static void
test_configuration(void **state)
{
    static const struct {
        uint32_t declared;
        const char *class;
        bool fallback, error, warning;
    } rows[] = {
        {RK_CLASS_A, NULL, false, true, false}, {RK_CLASS_A, NULL, true, true, false},
        {RK_CLASS_A, "a", true, true, false},   {RK_CLASS_A, "b", true, false, false},
        {RK_CLASS_B, NULL, false, false, true}, {RK_CLASS_B, NULL, true, false, false},
    };

    (void)state;
    hosts[0].hello.caps = RK_CAP_FIXED;
    hosts[0].hello.opts = no_mode;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rk_setting class = {.name = "class"};
        struct rk_instance_conf insts[] = {{.kind = RK_SOURCE, .plugin = "source", .name = "last"},
                                           {.kind = RK_SOURCE, .plugin = "good"},
                                           {.kind = RK_DEVICE, .plugin = "device", .settings = &class,
                                            .n = rows[i].class != NULL}};
        struct rk_link_conf link = {.source = rows[i].fallback, .fallback = rows[i].fallback ? 0 : SIZE_MAX,
                                    .device = 2, .peer_device = SIZE_MAX, .peer_source = SIZE_MAX,
                                    .peer_fallback = SIZE_MAX,
                                    .line = 7, .col = 3};
        struct rk_conf_set set = {.instances = insts, .n_instances = 3, .warnings = {.file = "f"}};
        struct rk_conf_errors errors = {.file = "f"};

        snprintf(class.value, sizeof class.value, "%s", rows[i].class ? rows[i].class : "");
        hosts[1].hello.caps = RK_CAP_CLASS(rows[i].declared);
        if (rows[i].fallback)
            insts[1].kind = RK_CHANNEL; /* whatever is no source gives no key */
        fixed_check(NULL, &set, &link, &errors);
        assert_int_equal(errors.n, rows[i].error);
        assert_int_equal(set.warnings.n, rows[i].warning);
        rk_conf_errors_free(&errors);
        rk_conf_errors_free(&set.warnings);
    }
}

/* One of several sources, at either end. */
static void
test_mixed(void **state)
{
    struct rk_instance_conf insts[] = {{.kind = RK_CHANNEL, .plugin = "source"}, /* gives no key, fixed or not */
                                       {.kind = RK_SOURCE, .plugin = "source", .name = "last"},
                                       {.kind = RK_DEVICE, .plugin = "device"}};
    struct rk_conf_set set = {.instances = insts, .n_instances = 3, .warnings = {.file = "f"}};

    (void)state;
    hosts[0].hello.caps = RK_CAP_FIXED;
    hosts[0].hello.opts = no_mode;
    for (int i = 0; i < 16; i++) {
        bool here = i & 1, there = i & 2, class_a = i & 4, any = i & 8;
        struct rk_link_conf link = {.n_sources = 2, .require_any = any, .more = {here}, .peer_more = {there},
                                    .device = 2, .peer_device = 2, .fallback = SIZE_MAX,
                                    .peer_fallback = SIZE_MAX, .line = 7};
        struct rk_conf_errors errors = {.file = "f"};

        hosts[1].hello.caps = RK_CAP_CLASS(class_a ? RK_CLASS_A : RK_CLASS_B);
        fixed_check(NULL, &set, &link, &errors);
        assert_int_equal(errors.n, class_a || any ? here + there : 0); /* any: it may be alone */
        assert_int_equal(set.warnings.n, 0); /* what it is mixed with is not fixed */
        rk_conf_errors_free(&errors);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_when_the_key_comes),
        cmocka_unit_test(test_configuration),
        cmocka_unit_test(test_mixed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
