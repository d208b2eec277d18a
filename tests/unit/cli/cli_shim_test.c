/* cli_shim_test.c - rekeyctl shim install and remove: which device is asked, and for what
 *
 * What a plugin makes of the words is in tests/plugin/junos_shim_test.c. */
#include "fakerekeyd.h"

#include "../../plugin/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct scratch scratch;
static struct fake_run run;

static int
begin(void **state)
{
    (void)state;
    scratch_make(&scratch);
    return 0;
}

static int
end(void **state)
{
    (void)state;
    fake_stop();
    fake_run_free(&run);
    memset(&run, 0, sizeof run);
    scratch_remove(&scratch);
    return 0;
}

/* Says what it was asked, a line for each word; device "out" has settings of its own. */
static void
serve(int sock, const struct rk_ask *ask, int n)
{
    char words[RK_WORDS_MAX], row[RK_WORDS_MAX + 40], *rest = NULL;

    (void)n;
    if (strcmp(ask->arg, "bad") == 0) {
        fake_done(sock, 1, "bad: it does not know that word");
        return;
    }
    if (strcmp(ask->words, "shim-settings") == 0) {
        fake_row(sock, "{\"line\":\"router=SAE_A\"}");
        fake_row(sock, "{\"line\":\"tick=90\"}");
        fake_done(sock, 0, "");
        return;
    }
    snprintf(row, sizeof row, "{\"line\":\"%s %s apply=%u\"}", ask->command, ask->arg, ask->apply);
    fake_row(sock, row);
    strcpy(words, ask->words);
    for (char *w = strtok_r(words, "\n", &rest); w; w = strtok_r(NULL, "\n", &rest)) {
        snprintf(row, sizeof row, "{\"line\":\"%s\"}", w);
        fake_row(sock, row);
    }
    fake_done(sock, 0, "out: done");
}

static void
ctl(const char *fmt, const char *file)
{
    char words[600];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(words, sizeof words, fmt, file);
#pragma GCC diagnostic pop
    fake_run_free(&run);
    fake_ctl(&run, words);
}

static void
words_of_one_device(void **state)
{
    const char *script = scratch_text(&scratch, "s.py", "x");
    char want[900];

    (void)state;
    fake_start(serve);
    ctl("shim install --socket @ --url https://r:1 --user u --both-engines --script %s out", script);
    snprintf(want, sizeof want, "prepare out apply=0\nshim-install\nurl=https://r:1\nuser=u\nboth-engines\nscript=%s\n",
             script);
    assert_int_equal(run.code, RK_CLI_OK);
    assert_string_equal(run.out, want);
    ctl("shim remove --socket @ --user %s out", "u");
    assert_string_equal(run.out, "prepare out apply=0\nshim-remove\nuser=u\n");
}

static void
through_another_one(void **state)
{
    (void)state;
    fake_start(serve);
    ctl("shim remove --socket @ --apply --yes --through %s out", "near");
    assert_int_equal(run.code, RK_CLI_OK);
    assert_string_equal(run.out, "prepare near apply=1\nshim-remove\nrouter=SAE_A\ntick=90\n");
    ctl("shim remove --socket @ --json --apply --yes --through %s out", "near");
    assert_non_null(strstr(run.out, "{\"ok\":true,\"device\":\"near\",\"apply\":true"));
    ctl("shim remove --socket @ --through %s bad", "near"); /* the first one refuses: the other one is not asked */
    assert_int_equal(run.code, RK_CLI_FAILED);
    assert_string_equal(run.out, "");
    assert_non_null(strstr(run.err, "it does not know that word"));
    ctl("shim remove --socket @ --json --through %s bad", "near");
    assert_non_null(strstr(run.out, "{\"ok\":false,\"device\":\"bad\""));
}

static void
wrong_usage(void **state)
{
    (void)state;
    fake_start(serve);
    ctl("shim install --socket @ %s", "out");
    assert_int_equal(run.code, RK_CLI_USAGE);
    assert_non_null(strstr(run.err, "wants --url"));
    ctl("shim install --socket @ --url https://r --key %s out", "/no/such/file");
    assert_int_equal(run.code, RK_CLI_USAGE);
    assert_non_null(strstr(run.err, "--key /no/such/file: No such file"));
    ctl("shim remove --socket @ --apply %s", "out"); /* no terminal to ask on */
    assert_int_equal(run.code, RK_CLI_USAGE);
    assert_non_null(strstr(run.err, "add --yes"));
    ctl("shim %s", "");
    assert_int_equal(run.code, RK_CLI_USAGE);
    ctl("status --url %s", "x");
    assert_non_null(strstr(run.err, "status has no option --url"));
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {T(words_of_one_device), T(through_another_one), T(wrong_usage)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
