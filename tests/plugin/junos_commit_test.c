/* junos_commit_test.c - one commit for all links; locks, refusals, and commits whose end was not seen */
#include "junos_fake.h"

#include <rekey/err.h>
#include <stdlib.h>
#include <string.h>

static char *conf;

static int
setup_n(int n)
{
    size_t size = 0;
    FILE *out = open_memstream(&conf, &size);

    fputs("<configuration><security><macsec>", out);
    for (int i = 1; i <= n; i++)
        fprintf(out, "<connectivity-association><name>CA%d</name><security-mode>static-cak</security-mode>"
                "</connectivity-association>", i);
    for (int i = 1; i <= n; i++)
        fprintf(out, "<interfaces><name>ge-0/0/%d</name><connectivity-association>CA%d</connectivity-association>"
                "</interfaces>", i, i);
    fputs("</macsec></security></configuration>", out);
    fclose(out);
    fake_router_start(conf);
    return 0;
}

static int
setup(void **state)
{
    (void)state;
    return setup_n(64);
}

static int
teardown(void **state)
{
    (void)state;
    fake_router_end();
    free(conf);
    return 0;
}

#define IF1 "ge-0/0/1"

static int
one(void)
{
    return fake_one(RK_OP_STAGE, IF1, 1, "k1", "keep=");
}

static bool
has(int i)
{
    char ca[8], id[8];

    snprintf(ca, sizeof ca, "CA%d", i);
    snprintf(id, sizeof id, "k%d", i);
    return strcmp(fake_at(ca, "pre-shared-key/ckn"), fake_ckn(id)) == 0;
}

static char ids[64][8], ifaces[64][16];

static int
many(struct rk_dev_op *ops, int n)
{
    for (int i = 1; i <= n; i++) {
        snprintf(ids[i - 1], sizeof ids[0], "k%d", i);
        snprintf(ifaces[i - 1], sizeof ifaces[0], "ge-0/0/%d", i);
        ops[i - 1] = fake_op(RK_OP_STAGE, ifaces[i - 1], 1, ids[i - 1], "keep=");
    }
    return fake_apply(ops, (size_t)n);
}

static void
test_48_links_are_one_commit(void **state)
{
    struct rk_dev_op ops[48];

    (void)state;
    assert_int_equal(many(ops, 48), RK_OK);
    for (int i = 1; i <= 48; i++) {
        assert_int_equal(ops[i - 1].err, RK_OK);
        assert_true(has(i));
    }
    assert_int_equal(router.loads, 1);
    assert_int_equal(router.commits, 1);
    assert_int_equal(router.checks, 0);
    assert_int_equal(strncmp(router.log[0], "rekeyd txn=", 11), 0);
    assert_int_equal(strspn(router.log[0] + 11, "0123456789abcdef"), 16);
    assert_string_equal(router.log[0] + 27, " links=48");
}

static void
test_warning_is_success(void **state)
{
    (void)state;
    fake_on((struct fake_rule){"commit-configuration", 0, FAKE_WARNING, NULL, NULL});
    fake_on((struct fake_rule){"open-configuration", 0, FAKE_WARNING, NULL, NULL});
    router.d.kept.read_ms = router.d.shown.last_ms = 1;
    assert_int_equal(one(), RK_OK);
    /* what was read before the change is not what a look after it shows */
    assert_int_equal(router.d.kept.read_ms + router.d.shown.last_ms, 0);
}

struct refusal {
    const char *what, *message;
    int err;
    const char *says;
};

static void
test_refusals_of_all(void **state)
{
    static const struct refusal table[] = {
        {"open-configuration", "configuration database locked by: admin terminal (pid 12345) on since 2026-08-05",
         RK_E_BUSY, "admin terminal (pid 12345)"},
        {"open-configuration", "configuration database modified", RK_E_BUSY, "modified"},
        {"open-configuration", "permission denied", RK_E_AUTH, "user rekeyd"},
        {"load-configuration", "permission denied", RK_E_AUTH, "rekeyctl prepare r1"},
        {"commit-configuration", "another commit is in progress", RK_E_BUSY, "another commit"},
        {"commit-configuration", "configuration database locked by: bob", RK_E_BUSY, "bob"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        router.n_rules = 0;
        fake_on((struct fake_rule){table[i].what, 0, FAKE_ERROR, table[i].message, ""});
        assert_int_equal(one(), table[i].err);
        if (!strstr(fake_why(), table[i].says))
            fail_msg("%s: not \"%s\"", fake_why(), table[i].says);
        assert_int_equal(router.commits, 0);
        assert_int_equal(router.open, 0);
    }
    assert_int_equal(router.seen_commits, 1);
    router.n_rules = 0;
    assert_int_equal(one(), RK_OK);
}

static void
test_syntax_error_names_the_element(void **state)
{
    (void)state;
    fake_on((struct fake_rule){"load-configuration", 0, FAKE_ERROR, "syntax error, expecting <cak>: fallback-key", ""});
    assert_int_equal(one(), RK_E_REJECTED);
    assert_non_null(strstr(fake_why(), "fallback-key"));
    assert_int_equal(router.commits, 0);
}

/* One link's error, by the path that the router names: the others are committed, with one more commit. */
static void
test_one_refused_by_name(void **state)
{
    struct rk_dev_op ops[20];

    (void)state;
    fake_on((struct fake_rule){"commit-configuration", 1, FAKE_ERROR, "configuration check-out failed",
                               "[edit security macsec connectivity-association CA1]"});
    assert_int_equal(many(ops, 20), RK_OK);
    assert_int_equal(ops[0].err, RK_E_REJECTED);
    assert_non_null(strstr(ops[0].why, "check-out failed"));
    assert_false(has(1));
    for (int i = 2; i <= 20; i++) { /* CA10 to CA19 are others */
        assert_int_equal(ops[i - 1].err, RK_OK);
        assert_true(has(i));
    }
    assert_int_equal(router.commits, 1);
    assert_int_equal(router.seen_commits, 2);
}

static void
test_load_refused_for_one(void **state)
{
    struct rk_dev_op ops[3];

    (void)state;
    fake_on((struct fake_rule){"load-configuration", 1, FAKE_ERROR, "bad value for ge-0/0/2", ""});
    assert_int_equal(many(ops, 3), RK_OK);
    assert_int_equal(ops[1].err, RK_E_REJECTED);
    assert_true(has(1) && !has(2) && has(3));
    assert_int_equal(router.commits, 1);
}

/* The words name nobody: each link is checked alone, without a commit. */
static void
test_one_refused_without_a_name(void **state)
{
    struct rk_dev_op ops[3];

    (void)state;
    fake_on((struct fake_rule){"commit-configuration", 1, FAKE_ERROR, "commit failed: (constraint check failed)", ""});
    fake_on((struct fake_rule){"commit-configuration", 3, FAKE_ERROR, "the same of the second", ""});
    assert_int_equal(many(ops, 3), RK_OK);
    assert_int_equal(ops[0].err, RK_OK);
    assert_int_equal(ops[1].err, RK_E_REJECTED);
    assert_int_equal(ops[2].err, RK_OK);
    assert_true(has(1) && !has(2) && has(3));
    assert_int_equal(router.commits, 1);
    assert_int_equal(router.checks, 2);
}

/* The rest is refused once more: it is told so, and there is no third commit. */
static void
test_refused_twice(void **state)
{
    struct rk_dev_op ops[3];

    (void)state;
    fake_on((struct fake_rule){"commit-configuration", 1, FAKE_ERROR, "no", "association CA1"});
    fake_on((struct fake_rule){"commit-configuration", 2, FAKE_ERROR, "no", "association CA2"});
    assert_int_equal(many(ops, 3), RK_OK);
    assert_int_equal(ops[0].err, RK_E_REJECTED);
    assert_int_equal(ops[1].err, RK_E_REJECTED);
    assert_int_equal(ops[2].err, RK_E_BUSY);
    assert_int_equal(router.commits, 0);
    assert_int_equal(router.seen_commits, 2);
}

static void
test_all_refused(void **state)
{
    struct rk_dev_op ops[1];

    (void)state;
    fake_on((struct fake_rule){"commit-configuration", 0, FAKE_ERROR, "no", ""});
    assert_int_equal(many(ops, 1), RK_OK);
    assert_int_equal(ops[0].err, RK_E_REJECTED);
    assert_int_equal(router.seen_commits, 1);
}

/* ---- a commit whose end was not seen ---- */

static void
test_done_and_in_the_history(void **state)
{
    static const enum fake_end ends[] = {FAKE_SILENT, FAKE_MALFORMED, FAKE_BOTH};

    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        char id[8];

        router.n_rules = 0;
        router.commits = 0;
        fake_on((struct fake_rule){"commit-configuration", 0, ends[i], NULL, NULL});
        snprintf(id, sizeof id, "k%zu", i);
        assert_int_equal(fake_one(RK_OP_STAGE, IF1, i + 1, id, "keep="), RK_OK);
        assert_int_equal(router.commits, 1); /* never a second one */
        assert_int_equal(router.seen_commits, 1);
        assert_int_equal(router.seen_looks, 1);
        assert_string_equal(fake_at("CA1", "pre-shared-key/ckn"), fake_ckn(id));
    }
}

static void
test_not_done(void **state)
{
    (void)state;
    fake_on((struct fake_rule){"commit-configuration", 0, FAKE_LOST, NULL, NULL});
    assert_int_equal(one(), RK_E_AGAIN);
    assert_non_null(strstr(fake_why(), "nothing was changed"));
    assert_int_equal(router.commits, 0);
    assert_int_equal(router.seen_commits, 1);
    assert_true(router.seen_status >= 2);
}

/* The history tells nothing, but the keys are there. */
static void
test_done_by_the_keys(void **state)
{
    (void)state;
    router.forgets = true;
    fake_on((struct fake_rule){"commit-configuration", 0, FAKE_SILENT, NULL, NULL});
    assert_int_equal(one(), RK_OK);
    assert_int_equal(router.commits, 1);
}

static void
budget(int ms)
{
    fake_call_end(&fake_router_call);
    fake_call(&fake_router_call, ms);
}

/* The session that sent it is still at work, or the router does not tell: unknown as long as the call lasts. */
static void
test_unknown_for_ever(void **state)
{
    (void)state;
    fake_on((struct fake_rule){"commit-configuration", 0, FAKE_LOST, NULL, NULL});
    router.holder = "4711";
    budget(1500);
    assert_int_equal(one(), RK_E_UNKNOWN);
    assert_int_equal(router.seen_commits, 1);
    router.no_status = true;
    budget(1500);
    assert_int_equal(one(), RK_E_UNKNOWN);
    assert_int_equal(router.seen_commits, 1);
}

static void
test_unknown_when_nothing_can_be_read(void **state)
{
    (void)state;
    fake_on((struct fake_rule){"commit-configuration", 0, FAKE_SILENT, NULL, NULL});
    fake_on((struct fake_rule){"get-commit-information", 0, FAKE_UNSENT, NULL, NULL});
    router.view_err = RK_E_UNREACHABLE;
    budget(1500);
    assert_int_equal(one(), RK_E_UNKNOWN);
    assert_int_equal(router.seen_commits, 1);
}

static void
test_cancel_ends_the_looking(void **state)
{
    (void)state;
    fake_on((struct fake_rule){"commit-configuration", 0, FAKE_LOST, NULL, NULL});
    router.holder = "4711";
    fake_cancel(&fake_router_call);
    assert_int_equal(one(), RK_E_UNKNOWN);
    assert_int_equal(router.seen_looks, 1);
}

static void
test_not_read_back(void **state)
{
    (void)state;
    router.view_err = RK_E_UNREACHABLE;
    assert_int_equal(one(), RK_E_UNKNOWN);
    assert_int_equal(router.commits, 1);
}

static void
test_session_ends_earlier(void **state)
{
    static const char *const at[] = {"open-configuration", "load-configuration"};
    static const enum fake_end ends[] = {FAKE_LOST, FAKE_UNSENT};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        router.n_rules = 0;
        fake_on((struct fake_rule){at[i / 2], 0, ends[i % 2], NULL, NULL});
        assert_int_equal(one(), RK_E_UNREACHABLE); /* nothing was committed, and that is certain */
        assert_int_equal(router.commits, 0);
    }
    router.n_rules = 0;
    fake_on((struct fake_rule){"commit-configuration", 0, FAKE_UNSENT, NULL, NULL});
    assert_int_equal(one(), RK_E_UNREACHABLE);
    assert_int_equal(router.seen_looks, 0);
}

/* Neither success nor an error for the load: it is not committed. */
static void
test_load_without_evidence(void **state)
{
    (void)state;
    fake_on((struct fake_rule){"load-configuration", 0, FAKE_MALFORMED, NULL, NULL});
    assert_int_equal(one(), RK_E_PROTOCOL);
    assert_int_equal(router.commits, 0);
}

static void
test_exclusive(void **state)
{
    (void)state;
    router.d.opt.candidate = JN_EXCLUSIVE;
    assert_int_equal(one(), RK_OK);
    router.discards = 0;
    fake_on((struct fake_rule){"lock-configuration", 0, FAKE_ERROR, "configuration database modified", ""});
    assert_int_equal(fake_one(RK_OP_STAGE, IF1, 2, "k2", "keep=k1"), RK_E_BUSY);
    assert_int_equal(router.discards, 0); /* what someone else has changed is not touched */
    router.n_rules = 0;
    fake_on((struct fake_rule){"commit-configuration", 0, FAKE_ERROR, "no", ""});
    assert_int_equal(fake_one(RK_OP_STAGE, IF1, 2, "k2", "keep=k1"), RK_E_REJECTED);
    assert_int_equal(router.discards, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(48_links_are_one_commit), T(warning_is_success), T(refusals_of_all), T(syntax_error_names_the_element),
        T(one_refused_by_name), T(load_refused_for_one), T(one_refused_without_a_name),
        T(refused_twice), T(all_refused), T(done_and_in_the_history), T(not_done), T(done_by_the_keys),
        T(unknown_for_ever), T(unknown_when_nothing_can_be_read), T(cancel_ends_the_looking), T(not_read_back),
        T(session_ends_earlier), T(load_without_evidence), T(exclusive),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
