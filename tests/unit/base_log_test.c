/* base_log_test.c - what reaches stderr: one line, one write, nothing that a terminal or journald would obey. */
#include "core/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static char said[8192];
static int memory, saved;

static void
listen_stderr(void)
{
    memory = memfd_create("stderr", MFD_CLOEXEC);
    saved = dup(STDERR_FILENO);
    assert_true(memory >= 0 && saved >= 0);
    assert_true(dup2(memory, STDERR_FILENO) >= 0);
}

/* What was written since listen_stderr(), in said. */
static size_t
heard(void)
{
    ssize_t n;

    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    n = pread(memory, said, sizeof said - 1, 0);
    close(saved);
    close(memory);
    assert_true(n >= 0);
    said[n] = '\0';
    return (size_t)n;
}

static void
test_journald_prefix(void **state)
{
    (void)state;
    setenv("JOURNAL_STREAM", "8:1", 1);
    rk_log_start("rekeyd", RK_LOG_DEBUG);
    listen_stderr();
    rk_log(RK_LOG_ERR, "ev=a n=%d", 1);
    rk_log(RK_LOG_DEBUG, "ev=b");
    heard();
    assert_string_equal(said, "<3>rekeyd: ev=a n=1\n<7>rekeyd: ev=b\n");
}

static void
test_time_prefix(void **state)
{
    struct tm tm = {0};
    time_t before = time(NULL);

    (void)state;
    unsetenv("JOURNAL_STREAM");
    rk_log_start("rekey-host[static]", RK_LOG_INFO);
    listen_stderr();
    rk_log(RK_LOG_WARNING, "ev=a");
    heard();
    /* 2026-01-01T00:00:00.000Z */
    assert_int_equal(said[4], '-');
    assert_int_equal(said[10], 'T');
    assert_int_equal(said[19], '.');
    assert_int_equal(said[23], 'Z');
    assert_string_equal(said + 24, " warning rekey-host[static]: ev=a\n");
    assert_ptr_equal(strptime(said, "%Y-%m-%dT%H:%M:%S", &tm), said + 19);
    assert_true(timegm(&tm) >= before && timegm(&tm) <= time(NULL));
}

static void
test_levels(void **state)
{
    (void)state;
    setenv("JOURNAL_STREAM", "8:1", 1);
    rk_log_start("r", RK_LOG_NOTICE);
    assert_int_equal(rk_log_level(), RK_LOG_NOTICE);
    listen_stderr();
    rk_log(RK_LOG_INFO, "ev=hidden");
    rk_log(RK_LOG_NOTICE, "ev=shown");
    rk_log_level_set(RK_LOG_INFO);
    rk_log(RK_LOG_INFO, "ev=after");
    rk_log(RK_LOG_DEBUG, "ev=hidden");
    rk_log(-5, "ev=wild");
    rk_log_level_set(99);
    rk_log(42, "ev=hidden");
    heard();
    assert_string_equal(said, "<5>r: ev=shown\n<6>r: ev=after\n<3>r: ev=wild\n");
}

static void
test_level_names(void **state)
{
    static const char *const names[] = {"err", "warning", "notice", "info", "debug"};

    (void)state;
    for (int i = 0; i < 5; i++)
        assert_int_equal(rk_log_level_parse(names[i]), RK_LOG_ERR + i);
    assert_int_equal(rk_log_level_parse(""), -1);
    assert_int_equal(rk_log_level_parse("INFO"), -1);
    assert_int_equal(rk_log_level_parse("infos"), -1);
}

/* A text from outside can neither start a line of its own nor move the cursor. */
static void
test_control_characters(void **state)
{
    (void)state;
    setenv("JOURNAL_STREAM", "8:1", 1);
    rk_log_start("r", RK_LOG_INFO);
    listen_stderr();
    rk_log(RK_LOG_INFO, "why=\"%s\"", "a\nb\r\tc\x1b[2J\x7f \xc3\xa9");
    heard();
    assert_string_equal(said, "<6>r: why=\"a?b??c?[2J? \xc3\xa9\"\n");
}

/* At any place of a line, and of the machine's words. */
static void
test_control_characters_anywhere(void **state)
{
    static const char plain[] = "the quick brown fox ~ 0123456789 \xff\x80";

    (void)state;
    setenv("JOURNAL_STREAM", "8:1", 1);
    rk_log_start("r", RK_LOG_INFO);
    for (int c = 1; c < 256; c++)
        for (size_t at = 0; at < sizeof plain - 1; at++) {
            char text[sizeof plain], want[sizeof plain + 10];

            memcpy(text, plain, sizeof plain);
            text[at] = (char)c;
            snprintf(want, sizeof want, "<6>r: %s\n", text);
            if (c < ' ' || c == 0x7f)
                want[6 + at] = '?';
            listen_stderr();
            rk_log(RK_LOG_INFO, "%s", text);
            heard();
            assert_string_equal(said, want);
        }
}

/* What has been written since listen_stderr(); the listening goes on. */
static const char *
so_far(void)
{
    ssize_t n = pread(memory, said, sizeof said - 1, 0);

    assert_true(n >= 0);
    said[n] = '\0';
    return said;
}

/* Lines that may wait go out in order: when they are flushed, before a warning, when they are too many. */
static void
test_kept(void **state)
{
    (void)state;
    setenv("JOURNAL_STREAM", "8:1", 1);
    rk_log_start("r", RK_LOG_INFO);
    listen_stderr();
    rk_log_keep(true);
    rk_log(RK_LOG_INFO, "1");
    rk_log(RK_LOG_NOTICE, "2");
    assert_string_equal(so_far(), "");
    rk_log_flush();
    assert_string_equal(so_far(), "<6>r: 1\n<5>r: 2\n");
    rk_log(RK_LOG_INFO, "3");
    rk_log(RK_LOG_WARNING, "4");
    assert_string_equal(so_far() + 16, "<6>r: 3\n<4>r: 4\n");
    for (int i = 0; i < 4; i++)
        rk_log(RK_LOG_INFO, "%01000d", i);
    assert_int_equal(strlen(so_far()), 32);
    rk_log(RK_LOG_INFO, "%01000d", 4);
    assert_int_equal(strlen(so_far()), 32 + 4 * 1007);
    rk_log_keep(false);
    assert_int_equal(strlen(so_far()), 32 + 5 * 1007);
    rk_log(RK_LOG_INFO, "5");
    assert_string_equal(so_far() + 32 + 5 * 1007, "<6>r: 5\n");
    heard();
}

/* At the level debug each step is seen when it is made. */
static void
test_debug_not_kept(void **state)
{
    (void)state;
    setenv("JOURNAL_STREAM", "8:1", 1);
    rk_log_start("r", RK_LOG_DEBUG);
    listen_stderr();
    rk_log_keep(true);
    rk_log(RK_LOG_INFO, "1");
    assert_string_equal(so_far(), "<6>r: 1\n");
    rk_log(RK_LOG_DEBUG, "2");
    assert_string_equal(so_far(), "<6>r: 1\n<7>r: 2\n");
    rk_log_keep(false);
    heard();
}

static void
test_long_line(void **state)
{
    char text[5000];
    size_t n;

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    setenv("JOURNAL_STREAM", "8:1", 1);
    rk_log_start("r", RK_LOG_INFO);
    for (size_t len = 2030; len < 2060; len++) {
        listen_stderr();
        rk_log(RK_LOG_INFO, "%.*s", (int)len, text);
        n = heard();
        assert_true(n <= 2048 && n >= 2030);
        assert_ptr_equal(strchr(said, '\n'), said + n - 1);
        assert_int_equal(strlen(said), n);
    }
    listen_stderr();
    rk_log(RK_LOG_INFO, "%s", text);
    assert_true(heard() <= 2048);
}

static void
test_assert_aborts(void **state)
{
    int status = 0;
    pid_t pid;

    (void)state;
    setenv("JOURNAL_STREAM", "8:1", 1);
    rk_log_start("r", RK_LOG_INFO);
    listen_stderr();
    rk_log_keep(true);
    rk_log(RK_LOG_INFO, "before");
    rk_assert(1 + 1 == 2);
    pid = fork();
    if (pid == 0) {
        rk_assert(1 + 1 == 3);
        _exit(0);
    }
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
    heard();
    rk_log_keep(false);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(said, "<6>r: before\n<3>r: ev=assert cond=\"1 + 1 == 3\" at="));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_journald_prefix), cmocka_unit_test(test_time_prefix),
        cmocka_unit_test(test_levels),          cmocka_unit_test(test_level_names),
        cmocka_unit_test(test_control_characters), cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_assert_aborts),   cmocka_unit_test(test_control_characters_anywhere),
        cmocka_unit_test(test_kept),            cmocka_unit_test(test_debug_not_kept),
    };

    return cmocka_run_group_tests_name("base_log", tests, NULL, NULL);
}
