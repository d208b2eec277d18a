/* host_call_test.c - a call's budget, cancel descriptor and texts; bindings, instances, options, safe texts. */
#include "core/host/call.h"
#include "core/host/options.h"
#include "core/host/safe.h"

#include "core/base/clock.h"

#include <limits.h>
#include <poll.h>
#include <rekey/err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int
readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

static void
test_cancel_fd(void **state)
{
    struct rk_call *c = rk_call_new(1, RK_V_APPLY, 60000);
    int fd;

    (void)state;
    fd = rk_call_cancel_fd(c);
    assert_true(fd >= 0);
    assert_int_equal(rk_call_cancel_fd(c), fd);
    assert_false(readable(fd));
    assert_true(rk_call_left_ms(c) > 50000);
    rk_call_cancel(c);
    rk_call_cancel(c);
    assert_true(readable(fd));
    assert_int_equal(rk_call_left_ms(c), 0);
    rk_call_free(&c);
    assert_null(c);
}

static void
test_cancel_before_fd(void **state)
{
    struct rk_call *c = rk_call_new(1, RK_V_APPLY, UINT32_MAX);

    (void)state;
    assert_true(rk_call_left_ms(c) > INT_MAX - 60000);
    rk_call_cancel(c);
    assert_true(readable(rk_call_cancel_fd(c)));
    rk_call_free(&c);
}

static void
test_left_ms(void **state)
{
    struct rk_call *c = rk_call_new(1, RK_V_APPLY, 0);

    (void)state;
    assert_int_equal(rk_call_left_ms(c), 0);
    c->deadline_ns = rk_now_ns() - RK_NS_PER_S;
    assert_int_equal(rk_call_left_ms(c), 0);
    c->deadline_ns = rk_now_ns() + 3600 * RK_NS_PER_S;
    assert_in_range(rk_call_left_ms(c), 3500000, 3600000);
    rk_call_free(&c);
}

/* A part of a call may have less than the call has, and never more. */
static void
test_bound(void **state)
{
    struct rk_call *c = rk_call_new(1, RK_V_APPLY, 60000);

    (void)state;
    rk_call_bound(c, 1800000);
    assert_in_range(rk_call_left_ms(c), 50000, 60000);
    rk_call_bound(c, 30000);
    assert_in_range(rk_call_left_ms(c), 20000, 30000);
    rk_call_bound(c, 0);
    assert_int_equal(rk_call_left_ms(c), 0);
    assert_false(readable(rk_call_cancel_fd(c)));
    rk_call_free(&c);
}

/* The earliest end counts, and its name is shown as text of a plugin is. */
static void
test_expires(void **state)
{
    struct rk_call *c = rk_call_new(1, RK_V_APPLY, 0);

    (void)state;
    assert_int_equal(c->reply.ends_unix_s, 0);
    rk_call_expires(c, "own", 2000);
    rk_call_expires(c, "CA\n\x1b[m", 1000);
    rk_call_expires(c, "peer", 1000);
    rk_call_expires(c, "later", INT64_MAX);
    assert_int_equal(c->reply.ends_unix_s, 1000);
    assert_string_equal(c->reply.ends_what, "CA??[m");
    rk_call_end(c, RK_E_BUSY); /* a call that fails states it too */
    assert_int_equal(c->reply.ends_unix_s, 1000);
    rk_call_expires(c, NULL, -5);
    assert_int_equal(c->reply.ends_unix_s, 1); /* 0 would be: none */
    assert_string_equal(c->reply.ends_what, "");
    rk_call_expires(NULL, "no call", 5);
    rk_call_free(&c);
}

static void
test_texts(void **state)
{
    struct rk_call *c = rk_call_new(1, RK_V_APPLY, 0);

    (void)state;
    assert_int_equal(rk_call_fail(c, RK_E_AUTH, "user %s\n", "x\x7f"), RK_E_AUTH);
    rk_call_end(c, RK_E_AUTH);
    assert_int_equal(c->reply.err, RK_E_AUTH);
    assert_string_equal(c->reply.text, "user x??");
    rk_call_end(c, 5);
    assert_int_equal(c->reply.err, RK_E_CONTRACT);
    assert_string_equal(c->reply.text, "the plugin returned 5, which is no code: user x??");
    c->text[0] = '\0';
    rk_call_end(c, RK_E_BUSY);
    assert_string_equal(c->reply.text, "busy (the plugin gave no reason)");
    assert_int_equal(rk_call_fail(NULL, RK_E_IO, "nobody asked"), RK_E_IO);
    rk_call_free(&c);
}

static void
test_safe(void **state)
{
    char text[8];

    (void)state;
    assert_int_equal(rk_safe_err(RK_OK), RK_OK);
    assert_int_equal(rk_safe_err(RK_E_NOKEY), RK_E_NOKEY);
    assert_int_equal(rk_safe_err(RK_E_FATAL), RK_E_FATAL);
    assert_int_equal(rk_safe_err(1), RK_E_CONTRACT);
    assert_int_equal(rk_safe_err(-1), RK_E_CONTRACT);
    assert_int_equal(rk_safe_err(INT_MIN), RK_E_CONTRACT);
    memset(text, 'x', sizeof text);
    rk_safe_text(text, sizeof text);
    assert_string_equal(text, "xxxxxxx");
    rk_safe_copy(text, sizeof text, NULL);
    assert_string_equal(text, "");
    rk_safe_copy(text, sizeof text, "a\tlong text");
    assert_string_equal(text, "a?long ");
    assert_true(rk_safe_record("abc|d", 6));
    assert_false(rk_safe_record("", 1));
    assert_false(rk_safe_record("a b", 4));
    assert_false(rk_safe_record("abc", 3)); /* no NUL in it */
}

static void
test_lists(void **state)
{
    struct rk_calls list = {0};
    struct rk_call *c[3];

    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        c[i] = rk_call_new(i, RK_V_APPLY, 0);
        rk_calls_add(&list, c[i]);
    }
    rk_calls_remove(&list, c[1]);
    assert_ptr_equal(list.first, c[0]);
    assert_ptr_equal(list.first->next, c[2]);
    rk_calls_remove(&list, c[0]);
    rk_calls_remove(&list, c[2]);
    assert_null(list.first);
    assert_null(list.last);
    assert_int_equal(list.n, 0);
    for (int i = 0; i < 3; i++)
        rk_call_free(&c[i]);
}

/* ---- bindings ---- */

static struct rk_bind_pair
pair(unsigned i, const char *sae, char *link, size_t size)
{
    snprintf(link, size, "link-%u", i);
    return (struct rk_bind_pair){link, sae};
}

static void
test_bindings(void **state)
{
    enum { N = 5000 };
    struct rk_binds b = {0};
    char link[32], sae[32];

    (void)state;
    assert_null(rk_bind_find(&b, "link-1"));
    assert_int_equal(rk_bind_set(&b, (struct rk_bind_pair){"link-1", ""}), RK_OK); /* nothing to end */
    assert_int_equal(rk_bind_set(&b, (struct rk_bind_pair){"no name", "S"}), RK_E_CONTRACT);
    for (unsigned i = 0; i < N; i++) {
        snprintf(sae, sizeof sae, "SAE_%u", i);
        assert_int_equal(rk_bind_set(&b, pair(i, sae, link, sizeof link)), RK_OK);
    }
    for (unsigned i = 0; i < N; i += 2)
        assert_int_equal(rk_bind_set(&b, pair(i, "", link, sizeof link)), RK_OK);
    assert_int_equal(b.n, N / 2);
    assert_int_equal(rk_bind_set(&b, pair(1, "other", link, sizeof link)), RK_OK);
    assert_int_equal(b.n, N / 2);
    for (unsigned i = 0; i < N; i++) {
        struct rk_bind *found = rk_bind_find(&b, pair(i, "", link, sizeof link).link);

        snprintf(sae, sizeof sae, "SAE_%u", i);
        assert_int_equal(found != NULL, i % 2);
        if (found)
            assert_string_equal(found->sae, i == 1 ? "other" : sae);
    }
    rk_binds_free(&b);
    assert_null(rk_bind_find(&b, "link-1"));
}

/* The longest names, and a peer whose name is longer than that of before. */
static void
test_long_bindings(void **state)
{
    struct rk_binds b = {0};
    char link[RK_LINK_MAX + 2], sae[RK_SAE_MAX + 2];

    (void)state;
    memset(link, 'l', sizeof link);
    memset(sae, 'S', sizeof sae);
    link[RK_LINK_MAX + 1] = sae[RK_SAE_MAX + 1] = '\0';
    assert_int_equal(rk_bind_set(&b, (struct rk_bind_pair){link, "S"}), RK_E_CONTRACT);
    link[RK_LINK_MAX] = '\0';
    assert_int_equal(rk_bind_set(&b, (struct rk_bind_pair){link, "S"}), RK_OK);
    assert_int_equal(rk_bind_set(&b, (struct rk_bind_pair){link, sae}), RK_E_CONTRACT);
    assert_string_equal(rk_bind_find(&b, link)->sae, "S"); /* as it was */
    sae[RK_SAE_MAX] = '\0';
    assert_int_equal(rk_bind_set(&b, (struct rk_bind_pair){link, sae}), RK_OK);
    assert_string_equal(rk_bind_find(&b, link)->sae, sae);
    assert_string_equal(rk_bind_find(&b, link)->link, link);
    assert_int_equal(b.n, 1);
    rk_binds_free(&b);
}

/* ---- instances ---- */

static void
test_instances(void **state)
{
    static const struct rk_module module;
    static const uint32_t ids[] = {7, 1, 9, 4, 0xffffffff, 0};
    struct rk_insts t = {0};
    struct rk_inst *inst;

    (void)state;
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(rk_inst_add(&t, &module, ids[i], &inst), RK_OK);
    assert_int_equal(rk_inst_add(&t, &module, 4, &inst), RK_E_CONTRACT);
    assert_null(inst);
    assert_null(rk_inst_find(&t, 5));
    for (size_t i = 0; i < 6; i++) {
        inst = rk_inst_find(&t, ids[i]);
        assert_int_equal(inst->id, ids[i]);
        rk_inst_take(&t, inst);
        rk_inst_take(&t, inst); /* already out: nothing happens */
        assert_null(rk_inst_find(&t, ids[i]));
        rk_inst_free(&inst);
    }
    assert_int_equal(t.n, 0);
    free(t.list);
}

static void
test_instances_are_bounded(void **state)
{
    static const struct rk_module module;
    struct rk_insts t = {0};
    struct rk_inst *inst;

    (void)state;
    for (uint32_t i = 0; i < RK_INSTANCES_MAX; i++)
        assert_int_equal(rk_inst_add(&t, &module, i, &inst), RK_OK);
    assert_int_equal(rk_inst_add(&t, &module, RK_INSTANCES_MAX, &inst), RK_E_CONTRACT);
    while (t.n) {
        inst = t.list[t.n - 1];
        rk_inst_take(&t, inst);
        rk_inst_free(&inst);
    }
    free(t.list);
}

/* ---- options ---- */

static struct rk_opt opts[] = {
    {.name = "must", .type = RK_OPT_INT, .flags = RK_OPT_REQUIRED, .min = 1, .max = 9, .help = "h"},
    {.name = "pause", .type = RK_OPT_DURATION, .min = 1, .max = 60000, .dflt = "2s", .help = "h"},
    {.name = "list", .type = RK_OPT_STRING, .flags = RK_OPT_LIST, .dflt = "one", .help = "h"},
    {.name = "pass", .type = RK_OPT_SECRET, .help = "h"},
    {.name = NULL},
};
static const struct rk_module source = {.name = "s", .kind = RK_SOURCE, .opts = opts, .n_opts = 4};
static struct rk_opt one_of[] = {
    {.name = "url", .type = RK_OPT_STRING, .flags = RK_OPT_ONE_OF | RK_OPT_LIST, .help = "h"},
    {.name = "host", .type = RK_OPT_STRING, .flags = RK_OPT_ONE_OF, .help = "h"},
    {.name = NULL},
};
static const struct rk_module either = {.name = "e", .kind = RK_SOURCE, .opts = one_of, .n_opts = 2};
static const struct rk_module channel = {.name = "c", .kind = RK_CHANNEL};

static void
check_options(const struct rk_module *m, const char *const *pairs, int err, const char *reason)
{
    struct rk_setting s[16];
    struct rk_conf conf = {m, s, 0};
    char why[200] = "";

    for (; pairs[0]; pairs += 2, conf.n++) {
        snprintf(s[conf.n].name, sizeof s[0].name, "%s", pairs[0]);
        snprintf(s[conf.n].value, sizeof s[0].value, "%s", pairs[1]);
    }
    assert_int_equal(rk_options_check(&conf, why, sizeof why), err);
    if (!strstr(why, reason))
        fail_msg("%s: %s", reason, why);
}

#define SITE "@name", "n", "@sae", "A"
#define WITH(...) (const char *const[]){__VA_ARGS__, NULL}

static void
test_options_checked(void **state)
{
    (void)state;
    check_options(&source, WITH(SITE, "must", "3"), RK_OK, "");
    check_options(&source, WITH(SITE), RK_E_CONFIG, "must: required");
    check_options(&source, WITH("must", "3"), RK_E_CONFIG, "@name: required");
    check_options(&source, WITH("@name", "n", "must", "3"), RK_E_CONFIG, "@sae: required");
    check_options(&source, WITH(SITE, "@other", "x", "must", "3"), RK_E_CONFIG, "@other");
    check_options(&source, WITH("@name", "no name", "@sae", "A", "must", "3"), RK_E_CONFIG, "@name");
    check_options(&source, WITH(SITE, "@state-dir", "relative", "must", "3"), RK_E_CONFIG, "@state-dir");
    check_options(&source, WITH(SITE, "must", "10"), RK_E_CONFIG, "must: ");
    check_options(&source, WITH(SITE, "must", "3", "must", "4"), RK_E_CONFIG, "must: given twice");
    check_options(&source, WITH(SITE, "must", "3", "list", "a", "list", "b"), RK_OK, "");
    check_options(&source, WITH(SITE, "must", "3", "mist", "4"), RK_E_CONFIG, "mist: plugin s has no such option");
    check_options(&source, WITH(SITE, "must", "3", "auth-key", "file:/x"), RK_E_CONFIG, "no such option");
    check_options(&source, WITH(SITE, "must", "3", "pass", "hunter2"), RK_E_CONFIG, "pass: ");
    check_options(&either, WITH(SITE), RK_E_CONFIG, "\"url\" or \"host\": required");
    check_options(&either, WITH(SITE, "url", "a", "url", "b"), RK_OK, "");
    check_options(&either, WITH(SITE, "url", "a", "host", "b"), RK_E_CONFIG, "only one of them can be given");
    check_options(&channel, WITH(SITE), RK_E_CONFIG, "auth-key: required");
    check_options(&channel, WITH(SITE, "auth-key", "file:/x"), RK_OK, "");
}

static void
test_options_read(void **state)
{
    struct rk_setting s[] = {{"@name", "n"}, {"@sae", "A"}, {"must", "0x7"}, {"list", "a"}, {"list", "b"}};
    const struct rk_conf conf = {&source, s, 5}, bare = {&source, s, 2}, chan = {&channel, s, 5};

    (void)state;
    assert_string_equal(rk_options_item(&conf, RK_CONF_SAE, 0), "A");
    assert_null(rk_options_item(&conf, RK_CONF_STATE_DIR, 0));
    assert_int_equal(rk_options_int(&conf, "must"), 7);
    assert_int_equal(rk_options_int(&conf, "pause"), 2000);
    assert_int_equal(rk_options_int(&conf, "absent"), 0);
    assert_string_equal(rk_options_item(&conf, "list", 1), "b");
    assert_null(rk_options_item(&conf, "list", 2)); /* a default does not stand behind what is given */
    assert_string_equal(rk_options_item(&bare, "list", 0), "one");
    assert_null(rk_options_item(&bare, "list", 1));
    strcpy(s[2].name, "auth-key");
    assert_null(rk_options_item(&chan, "auth-key", 0)); /* the host's own: not for the plugin */
    assert_string_equal(rk_options_raw(&chan, "auth-key", 0), "0x7");
}

static void
test_wasted(void **state)
{
    struct rk_call *c = rk_call_new(1, RK_V_GET_NEW, 0);

    (void)state;
    rk_call_wasted(c, 2);
    rk_call_wasted(c, 3);
    rk_call_end(c, RK_E_KEY_SIZE);
    assert_int_equal(c->reply.wasted, 5);
    rk_call_wasted(c, UINT32_MAX);
    assert_int_equal(c->reply.wasted, UINT32_MAX);
    rk_call_wasted(NULL, 1);
    rk_call_free(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cancel_fd),  cmocka_unit_test(test_cancel_before_fd),
        cmocka_unit_test(test_left_ms), cmocka_unit_test(test_bound), cmocka_unit_test(test_expires),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_wasted),
        cmocka_unit_test(test_safe),       cmocka_unit_test(test_lists),
        cmocka_unit_test(test_bindings), cmocka_unit_test(test_long_bindings),   cmocka_unit_test(test_instances),
        cmocka_unit_test(test_instances_are_bounded), cmocka_unit_test(test_options_checked),
        cmocka_unit_test(test_options_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
