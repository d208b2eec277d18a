/* cli_source_test.c - rekeyctl source test against a daemon that answers as the test says, and one that ends early. */
#include "fakerekeyd.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define ROW(peer, step, result, text) \
    "{\"source\":\"kme-a\",\"peer\":" peer ",\"step\":\"" step "\",\"result\":\"" result "\",\"text\":\"" text "\"}"
#define TLS ROW("null", "tls", "ok", "TLSv1.3 with a cipher")
#define KME_ID ROW("null", "kme-id", "warning", "not set: \\u001b[1m set it")
#define STATUS_B ROW("\"SAE_B\"", "status", "ok", "HTTP 200, 7 keys")
#define STATUS_C ROW("\"SAE_C\"", "status", "rejected", "HTTP 400: not known to the KME")

static struct fake_run run;

/* Answers what was asked for: all is well with SAE_B only. */
static void
serve(int sock, const struct rk_ask *ask, int n)
{
    char text[200];
    bool both = !ask->peer[0];

    (void)n;
    if (strcmp(ask->command, "source-test") != 0 || strcmp(ask->arg, "kme-a") != 0) {
        fake_done(sock, 1, "no source \"kme-x\"; did you mean \"kme-a\"?");
        return;
    }
    fake_row(sock, TLS);
    fake_row(sock, KME_ID);
    fake_row(sock, STATUS_B);
    if (both)
        fake_row(sock, STATUS_C);
    snprintf(text, sizeof text, "kme-a: peer=%s fetch=%u budget=%u", ask->peer, ask->fetch, ask->budget_ms);
    fake_done(sock, both, text);
}

static void
steps_are_lines(void **state)
{
    (void)state;
    fake_start(serve);
    fake_ctl(&run, "source test kme-a --socket @");
    assert_string_equal(run.out, "STEP            RESULT      WHAT WAS SEEN, WHAT TO DO\n"
                                 "tls             ok          TLSv1.3 with a cipher\n"
                                 "kme-id          warning     not set: ?[1m set it\n"
                                 "with SAE_B:\n"
                                 "status          ok          HTTP 200, 7 keys\n"
                                 "with SAE_C:\n"
                                 "status          rejected    HTTP 400: not known to the KME\n"
                                 "\n"
                                 "kme-a: peer= fetch=0 budget=20000\n");
    assert_string_equal(run.err, "");
    assert_int_equal(run.code, 1);
}

static void
steps_fit_a_width(void **state)
{
    (void)state;
    fake_start(serve);
    fake_ctl(&run, "source test --width 54 --color=always kme-a --socket @");
    assert_non_null(strstr(run.out, "status          \033[1;31mrejected\033[0m    HTTP 400: not known to the\n"
                                    "                            KME\n"));
    assert_non_null(strstr(run.out, "tls             \033[32mok\033[0m          TLSv1.3 with a cipher\n"));
    assert_non_null(strstr(run.out, "\033[33mwarning\033[0m     not set:"));
}

static void
options_are_sent(void **state)
{
    (void)state;
    fake_start(serve);
    fake_ctl(&run, "source test kme-a --peer SAE_B --fetch --timeout 7s --socket @");
    assert_non_null(strstr(run.out, "kme-a: peer=SAE_B fetch=1 budget=7000\n"));
    assert_null(strstr(run.out, "SAE_C"));
    assert_int_equal(run.code, 0);
}

static void
json_is_one_object(void **state)
{
    json_t *said;

    (void)state;
    fake_start(serve);
    fake_ctl(&run, "source test kme-a --json --socket @");
    assert_int_equal(run.code, 1);
    said = json_loads(run.out, 0, NULL);
    assert_true(json_is_false(json_object_get(said, "ok")));
    assert_string_equal(json_string_value(json_object_get(said, "source")), "kme-a");
    assert_int_equal(json_array_size(json_object_get(said, "steps")), 4);
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(json_object_get(said, "steps"), 3), "result")), "rejected");
    json_decref(said);
}

static void
no_such_source(void **state)
{
    (void)state;
    fake_start(serve);
    fake_ctl(&run, "source test kme-x --socket @");
    assert_string_equal(run.out, "");
    assert_string_equal(run.err, "rekeyctl: no source \"kme-x\"; did you mean \"kme-a\"?\n");
    assert_int_equal(run.code, 1);
}

static void
no_daemon(void **state)
{
    (void)state;
    fake_ctl(&run, "source test kme-a --json --socket @");
    assert_string_equal(run.out, "");
    assert_non_null(strstr(run.err, "with --config FILE a source is tested without a running rekeyd\n"));
    assert_int_equal(run.code, 3);
}

static void
usage(void **state)
{
    static const struct {
        const char *words, *says;
        int code;
    } cases[] = {
        {"source", "usage: rekeyctl source test [options] NAME\n", 2},
        {"source try kme-a", "usage: rekeyctl source test [options] NAME\n", 2},
        {"source test", "source test takes one argument", 2},
        {"source test a b", "source test takes one argument", 2},
        {"source test a --wait", "source test has no option --wait", 2},
        {"status a --fetch", "status has no option --fetch", 2},
        {"sourc test a", "no such command", 2},
        {"source test a --peer=", "--peer wants an SAE ID", 2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fake_ctl(&run, cases[i].words);
        if (!strstr(run.err, cases[i].says) || run.code != cases[i].code || run.out[0])
            fail_msg("%s: exit %d: %s", cases[i].words, run.code, run.err);
        fake_run_free(&run);
    }
    fake_ctl(&run, "source --help");
    assert_non_null(strstr(run.out, "usage: rekeyctl source test [options] NAME\n"));
    assert_non_null(strstr(run.out, "--fetch"));
    assert_int_equal(run.code, 0);
}

/* ---- without a daemon ---- */

/* A program that stands for rekeyd. */
static void
write_rekeyd(char *path, size_t size, const char *script)
{
    FILE *f;

    snprintf(path, size, "%s/rekeyd", fake_dir());
    f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "#!/bin/sh\n%s", script);
    assert_int_equal(fchmod(fileno(f), 0700), 0);
    assert_int_equal(fclose(f), 0);
}

static void
alone_runs_rekeyd(void **state)
{
    char path[200], words[400];

    (void)state;
    write_rekeyd(path, sizeof path,
                 "echo '" TLS "'\n"
                 "echo log of a library\n"
                 "printf '{\"over\":{\"ok\":true,\"text\":\"%s\"}}\\n' \"$*\"\n");
    snprintf(words, sizeof words,
             "source test kme-a --config /x.yaml --peer B --fetch --timeout 3s --host /h --rekeyd %s", path);
    fake_ctl(&run, words);
    unlink(path);
    assert_string_equal(run.err, "");
    assert_string_equal(run.out,
                        "STEP            RESULT      WHAT WAS SEEN, WHAT TO DO\n"
                        "tls             ok          TLSv1.3 with a cipher\n"
                        "\n"
                        "--config /x.yaml --test-source kme-a --fetch --peer B --host /h --budget 3000\n");
    assert_int_equal(run.code, 0);
}

static void
alone_it_may_die(void **state)
{
    char path[200], words[400];
    json_t *said;

    (void)state;
    write_rekeyd(path, sizeof path, "echo '" TLS "'\nexit 0\n");
    snprintf(words, sizeof words, "source test kme-a --json --config /x.yaml --rekeyd %s", path);
    fake_ctl(&run, words);
    unlink(path);
    said = json_loads(run.out, 0, NULL);
    assert_true(json_is_false(json_object_get(said, "ok")));
    assert_non_null(strstr(json_string_value(json_object_get(said, "text")), "ended before its answer was whole"));
    json_decref(said);
    assert_int_equal(run.code, 1);
    fake_run_free(&run);
    fake_ctl(&run, "source test kme-a --config /x.yaml --rekeyd /nonexistent/rekeyd");
    assert_string_equal(run.err, "rekeyctl: cannot run /nonexistent/rekeyd: No such file or directory: name it with "
                                 "--rekeyd\n");
    assert_int_equal(run.code, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(steps_are_lines, fake_end),   cmocka_unit_test_teardown(steps_fit_a_width, fake_end),
        cmocka_unit_test_teardown(options_are_sent, fake_end),  cmocka_unit_test_teardown(json_is_one_object, fake_end),
        cmocka_unit_test_teardown(no_such_source, fake_end),    cmocka_unit_test_teardown(no_daemon, fake_end),
        cmocka_unit_test_teardown(usage, fake_end),             cmocka_unit_test_teardown(alone_runs_rekeyd, fake_end),
        cmocka_unit_test_teardown(alone_it_may_die, fake_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
