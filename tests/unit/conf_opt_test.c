/* conf_opt_test.c - values of options: every type, every bound, and the words of the refusals. */
#include "core/base/limits.h"
#include "core/conf/opt.h"

#include <rekey/err.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const levels[] = {"low", "middle", "high", NULL};
static const char *const web[] = {"https", "http", NULL};

static const struct rk_opt opts[] = {
    {"text", RK_OPT_STRING, 0, NULL, 0, 0, NULL, NULL, "any text"},
    {"short", RK_OPT_STRING, 0, NULL, 1, 4, NULL, NULL, "a short text"},
    {"flag", RK_OPT_BOOL, 0, NULL, 0, 0, "no", NULL, "yes or no"},
    {"count", RK_OPT_INT, 0, "packets", -5, 64, "7", NULL, "a number"},
    {"any", RK_OPT_INT, 0, NULL, 0, 0, NULL, NULL, "any number"},
    {"least", RK_OPT_INT, 0, NULL, 10, INT64_MAX, NULL, NULL, "10 or more"},
    {"pause", RK_OPT_DURATION, 0, NULL, 100, 3600000, "2s", NULL, "a time"},
    {"ever", RK_OPT_DURATION, 0, NULL, 0, 0, NULL, NULL, "any time"},
    {"room", RK_OPT_SIZE, 0, NULL, 1024, 1073741824, "64KiB", NULL, "a size"},
    {"level", RK_OPT_ENUM, 0, NULL, 0, 0, "low", levels, "one of three"},
    {"path", RK_OPT_PATH, 0, NULL, 0, 0, NULL, NULL, "a path"},
    {"url", RK_OPT_URL, 0, NULL, 0, 0, NULL, web, "a place on the web"},
    {"uri", RK_OPT_URL, 0, NULL, 0, 0, NULL, NULL, "a place"},
    {"key", RK_OPT_SECRET, 0, NULL, 0, 0, NULL, NULL, "a secret"},
    {NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL},
};

static void
values_that_fit(void **state)
{
    static const struct {
        const char *name, *value;
        int64_t number;
    } good[] = {
        {"text", "", 0},
        {"text", "a b\tc", 0},
        {"short", "a", 0},
        {"short", "abcd", 0},
        {"flag", "yes", 1},
        {"flag", "true", 1},
        {"flag", "no", 0},
        {"flag", "false", 0},
        {"count", "-5", -5},
        {"count", "64", 64},
        {"count", "0x40", 64},
        {"count", "-0x5", -5},
        {"count", "0", 0},
        {"any", "9223372036854775807", INT64_MAX},
        {"any", "-9223372036854775807", -INT64_MAX},
        {"any", "0x7fffffffffffffff", INT64_MAX},
        {"any", "0XfF", 255},
        {"least", "9223372036854775807", INT64_MAX},
        {"pause", "100ms", 100},
        {"pause", "1h", 3600000},
        {"pause", "60m", 3600000},
        {"pause", "90s", 90000},
        {"ever", "0s", 0},
        {"ever", "106751991167d", 9223372036828800000},
        {"ever", "9223372036854775807ms", INT64_MAX},
        {"room", "1KiB", 1024},
        {"room", "1024B", 1024},
        {"room", "1GiB", 1073741824},
        {"room", "3MiB", 3145728},
        {"level", "low", 0},
        {"level", "high", 2},
        {"path", "/", 0},
        {"path", "/a b/c", 0},
        {"url", "https://a.example", 0},
        {"url", "http://10.0.0.1:80/x?y#z", 0},
        {"url", "https://[2001:db8::1]:8443", 0},
        {"url", "https://[::1]/", 0},
        {"url", "https://a:65535", 0},
        {"url", "https://a/x@y", 0},
        {"uri", "ssh+x-1.2://h", 0},
        {"key", "file:/etc/rekey/key", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t v = 77;
        char why[200] = "x";

        if (rk_opt_value(rk_opt_find(opts, good[i].name), good[i].value, &v, why, sizeof why))
            fail_msg("%s: %s: %s", good[i].name, good[i].value, why);
        if (v != good[i].number)
            fail_msg("%s: %s: %lld", good[i].name, good[i].value, (long long)v);
        assert_string_equal(why, "");
    }
}

static void
values_refused(void **state)
{
#define HOST6 "URL's host is not right: an IPv6 address is written as [2001:db8::1]"
#define PORT "URL's port must be 1..65535 (an IPv6 address is written as [2001:db8::1])"
#define FILE_ONLY "a secret is never written here: put it in a file and give \"file:/absolute/path\""
    static const struct {
        const char *name, *value, *why;
    } bad[] = {
        {"short", "", "must not be empty"},
        {"short", "abcde", "must be 1..4 bytes long, not 5"},
        {"flag", "on", "yes or no expected, not \"on\""},
        {"flag", "", "yes or no expected, not \"\""},
        {"flag", "Yes", "yes or no expected, not \"Yes\""},
        {"count", "-6", "must be -5..64 packets"},
        {"count", "65", "must be -5..64 packets"},
        {"count", "", "whole number expected, not \"\""},
        {"count", "-", "whole number expected, not \"-\""},
        {"count", "+1", "whole number expected, not \"+1\""},
        {"count", " 1", "whole number expected, not \" 1\""},
        {"count", "1 ", "whole number expected, not \"1 \""},
        {"count", "1.5", "whole number expected, not \"1.5\""},
        {"count", "1e3", "whole number expected, not \"1e3\""},
        {"count", "0x", "whole number expected, not \"0x\""},
        {"count", "0xg", "whole number expected, not \"0xg\""},
        {"count", "ff", "whole number expected, not \"ff\""},
        {"count", "007", "\"007\": leave out the leading 0 (numbers are decimal, or hex as 0x1f)"},
        {"any", "9223372036854775808", "\"9223372036854775808\" is too large"},
        {"any", "-9223372036854775808", "\"-9223372036854775808\" is too large"},
        {"any", "99999999999999999999999999", "\"99999999999999999999999999\" is too large"},
        {"any", "0x8000000000000000", "\"0x8000000000000000\" is too large"},
        {"least", "9", "must be 10 or more"},
        {"pause", "90", "needs a unit: 90s? (ms, s, m, h, d)"},
        {"pause", "99ms", "must be 100ms..1h"},
        {"pause", "61m", "must be 100ms..1h"},
        {"pause", "3600001ms", "must be 100ms..1h"},
        {"pause", "", "whole number with unit expected, as 90s, not \"\""},
        {"pause", "s", "whole number with unit expected, as 90s, not \"s\""},
        {"pause", "-1s", "whole number with unit expected, as 90s, not \"-1s\""},
        {"pause", "1.5s", "\"1.5s\": whole number expected, take a smaller unit (ms, s, m, h, d)"},
        {"pause", "1 s", "\"1 s\": unknown unit (ms, s, m, h, d)"},
        {"pause", "1sec", "\"1sec\": unknown unit (ms, s, m, h, d)"},
        {"pause", "1S", "\"1S\": unknown unit (ms, s, m, h, d)"},
        {"pause", "0x1s", "\"0x1s\": unknown unit (ms, s, m, h, d)"},
        {"ever", "106751991168d", "\"106751991168d\" is too large"},
        {"ever", "9223372036854775808ms", "\"9223372036854775808ms\" is too large"},
        {"room", "64", "needs a unit: 64B? (B, KiB, MiB, GiB)"},
        {"room", "64K", "\"64K\": unknown unit (B, KiB, MiB, GiB)"},
        {"room", "1023B", "must be 1KiB..1GiB"},
        {"room", "2GiB", "must be 1KiB..1GiB"},
        {"room", "9999999999GiB", "\"9999999999GiB\" is too large"},
        {"room", "x", "whole number with unit expected, as 64KiB, not \"x\""},
        {"level", "hihg", "low, middle or high expected, not \"hihg\": did you mean \"high\"?"},
        {"level", "none", "low, middle or high expected, not \"none\""},
        {"level", "", "low, middle or high expected, not \"\""},
        {"level", "Low", "low, middle or high expected, not \"Low\": did you mean \"low\"?"},
        {"path", "a/b", "absolute path expected, not \"a/b\""},
        {"path", "", "absolute path expected, not \"\""},
        {"path", "/a\nb", "control character in path \"/a?b\""},
        {"url", "a.example", "URL expected, as https://host"},
        {"url", "", "URL expected, as https://host"},
        {"url", "://a", "URL expected, as https://host"},
        {"url", "1http://a", "URL expected, as https://host"},
        {"url", "ftp://a", "URL's scheme must be https or http, not \"ftp\""},
        {"url", "HTTPS://a", "URL's scheme must be https or http, not \"HTTPS\""},
        {"url", "https://", "URL has no host"},
        {"url", "https:///x", "URL has no host"},
        {"url", "https://:80", "URL has no host"},
        {"url", "https://a:", PORT},
        {"url", "https://a:0", PORT},
        {"url", "https://a:65536", PORT},
        {"url", "https://a:8x", PORT},
        {"url", "https://::1", "URL has no host"},
        {"url", "https://2001:db8::1", PORT},
        {"url", "https://[::1", HOST6},
        {"url", "https://::1]", HOST6},
        {"url", "https://[]", HOST6},
        {"url", "https://[::1]x", HOST6},
        {"url", "https://a b", "URL must be printable ASCII without blanks (others as %20)"},
        {"url", "https://a\xc3\xa4", "URL must be printable ASCII without blanks (others as %20)"},
        {"url", "https://me:pw@a", "URL must not hold a user or password"},
        {"key", "hunter2", FILE_ONLY},
        {"key", "/etc/key", FILE_ONLY},
        {"key", "", FILE_ONLY},
        {"key", "File:/etc/key", FILE_ONLY},
        {"key", "file:etc/key", "absolute path expected behind file: (\"file:/absolute/path\")"},
        {"key", "file:/", "absolute path expected behind file: (\"file:/absolute/path\")"},
        {"key", "file:", "absolute path expected behind file: (\"file:/absolute/path\")"},
        {"key", "fd:3", "secrets by fd: or cred: are not supported: give \"file:/absolute/path\""},
        {"key", "cred:x", "secrets by fd: or cred: are not supported: give \"file:/absolute/path\""},
        {"key", "file:/a\nb", "control character in the path of a secret"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t v = 77;
        char why[200] = "";

        if (rk_opt_value(rk_opt_find(opts, bad[i].name), bad[i].value, &v, why, sizeof why) != RK_E_CONFIG)
            fail_msg("%s: %s was accepted", bad[i].name, bad[i].value);
        assert_string_equal(why, bad[i].why);
        assert_int_equal(v, 0);
        assert_int_equal(rk_opt_value(rk_opt_find(opts, bad[i].name), bad[i].value, NULL, NULL, 0), RK_E_CONFIG);
    }
}

static void
value_too_long(void **state)
{
    char value[RK_VALUE_MAX + 1], why[200];

    (void)state;
    memset(value, 'a', sizeof value);
    value[RK_VALUE_MAX - 1] = '\0';
    assert_int_equal(rk_opt_value(&opts[0], value, NULL, why, sizeof why), RK_OK);
    value[RK_VALUE_MAX - 1] = 'a';
    value[RK_VALUE_MAX] = '\0';
    assert_int_equal(rk_opt_value(&opts[0], value, NULL, why, sizeof why), RK_E_CONFIG);
    assert_string_equal(why, "longer than 1023 bytes");
}

/* Whatever is wrong with it, the value of a secret is not shown, nor a URL's password. */
static void
secrets_are_not_echoed(void **state)
{
    static const char *const values[] = {"MARKER",      "fd:MARKER",      "cred:MARKER",
                                         "file:MARKER", "file:/MARKER\n", "\x01MARKER"};
    const struct rk_opt *url = rk_opt_find(opts, "url");
    char why[300];

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        assert_int_equal(rk_opt_value(rk_opt_find(opts, "key"), values[i], NULL, why, sizeof why), RK_E_CONFIG);
        assert_null(strstr(why, "MARKER"));
    }
    assert_int_equal(rk_opt_value(url, "https://u:MARKER@h:x", NULL, why, sizeof why), RK_E_CONFIG);
    assert_null(strstr(why, "MARKER"));
}

static void
unknown_type_and_find(void **state)
{
    const struct rk_opt odd = {"odd", 10, 0, NULL, 0, 0, NULL, NULL, NULL};
    char why[100];

    (void)state;
    assert_int_equal(rk_opt_value(&odd, "x", NULL, why, sizeof why), RK_E_CONFIG);
    assert_string_equal(why, "option of a type that is not known (10)");
    assert_null(rk_opt_find(NULL, "x"));
    assert_null(rk_opt_find(opts, "x"));
    assert_ptr_equal(rk_opt_find(opts, "key")->name, "key");
    assert_string_equal(rk_opt_type_name(RK_OPT_DURATION), "duration");
    assert_string_equal(rk_opt_type_name(RK_OPT_SECRET), "secret");
    assert_string_equal(rk_opt_type_name(0), "?");
    assert_string_equal(rk_opt_type_name(10), "?");
}

static void
why_is_cut_to_its_buffer(void **state)
{
    char why[8] = {'#', '#', '#', '#', '#', '#', '#', '#'};

    (void)state;
    rk_opt_value(rk_opt_find(opts, "pause"), "90", NULL, why, 6);
    assert_string_equal(why, "needs");
    assert_int_equal(why[6], '#');
}

static void
numbers_as_text(void **state)
{
    static const struct {
        const char *name;
        int64_t v;
        const char *text;
    } rows[] = {
        {"flag", 1, "yes"}, {"flag", 0, "no"}, {"count", -5, "-5"}, {"pause", 1500, "1500ms"}, {"pause", 90000, "90s"},
        {"pause", 120000, "2m"}, {"pause", 86400000, "1d"}, {"pause", 0, "0"}, {"room", 65536, "64KiB"},
        {"room", 1025, "1025B"}, {"level", 1, "middle"}, {"level", 3, "?"}, {"level", -1, "?"},
    };
    char out[32];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rk_opt_number_text(rk_opt_find(opts, rows[i].name), rows[i].v, out, sizeof out);
        assert_string_equal(out, rows[i].text);
    }
}

static void
shown_is_short_and_clean(void **state)
{
    struct rk_shown s;
    char many[400];

    (void)state;
    assert_string_equal(rk_opt_shown("plain", &s), "plain");
    assert_string_equal(rk_opt_shown("a\nb\x1b[1m\x7f", &s), "a?b?[1m?");
    assert_string_equal(rk_opt_shown("\xc3\xa4\xff\xc3", &s), "\xc3\xa4??");
    assert_string_equal(rk_opt_shown("\xc2\x9bx", &s), "?x"); /* a control character of two bytes */
    for (size_t i = 0; i + 2 < sizeof many; i += 2)
        memcpy(many + i, "\xc3\xa4", 3);
    rk_opt_shown(many, &s);
    assert_true(strlen(s.text) < sizeof s.text);
    assert_string_equal(s.text + strlen(s.text) - 5, "\xc3\xa4...");
    memset(many, 'x', 60);
    many[60] = '\0';
    assert_string_equal(rk_opt_shown(many, &s), many);
}

/* One row, and what rk_opts_sane says of it. */
static void
expect_row(struct rk_opt row, const char *expected)
{
    const struct rk_opt two[2] = {row, {NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL}};
    char why[300] = "x";
    int err = rk_opts_sane(two, why, sizeof why);

    assert_string_equal(why, expected);
    assert_int_equal(err, *expected ? RK_E_CONTRACT : RK_OK);
}

#define ROW(...) ((struct rk_opt){__VA_ARGS__})

static void
schemas_that_are_not_sane(void **state)
{
    static const char *const none[] = {NULL}, *const twice[] = {"a", "b", "a", NULL}, *const blank[] = {"a b", NULL};
    static const char *many[RK_CHOICES_MAX + 2];
    static char names[RK_CHOICES_MAX + 1][8];

    (void)state;
    for (size_t i = 0; i <= RK_CHOICES_MAX; i++) {
        snprintf(names[i], sizeof names[i], "c%zu", i);
        many[i] = names[i];
    }
#define NAME_RULE " is not lower-case words joined by '-' (at most 32 bytes, not \"plugin\")"
    expect_row(ROW(.name = "", .type = RK_OPT_STRING), "option name \"\"" NAME_RULE);
    expect_row(ROW(.name = "A", .type = RK_OPT_STRING), "option name \"A\"" NAME_RULE);
    expect_row(ROW(.name = "1a", .type = RK_OPT_STRING), "option name \"1a\"" NAME_RULE);
    expect_row(ROW(.name = "a-", .type = RK_OPT_STRING), "option name \"a-\"" NAME_RULE);
    expect_row(ROW(.name = "a--b", .type = RK_OPT_STRING), "option name \"a--b\"" NAME_RULE);
    expect_row(ROW(.name = "@sae", .type = RK_OPT_STRING), "option name \"@sae\"" NAME_RULE);
    expect_row(ROW(.name = "plugin", .type = RK_OPT_STRING), "option name \"plugin\"" NAME_RULE);
    expect_row(ROW(.name = "abcdefghijklmnopqrstuvwxyzabcdefg", .type = RK_OPT_STRING),
               "option name \"abcdefghijklmnopqrstuvwxyzabcdefg\"" NAME_RULE);
    expect_row(ROW(.name = "a", .type = 0), "option a: type 0 is not known");
    expect_row(ROW(.name = "a", .type = 10), "option a: type 10 is not known");
    expect_row(ROW(.name = "a", .type = RK_OPT_INT, .flags = 0x68), "option a: flags 0x60 are not known");
    expect_row(ROW(.name = "a", .type = RK_OPT_INT, .flags = RK_OPT_APPLY),
               "option a: only one duration can be a time within an apply");
    expect_row(ROW(.name = "a", .type = RK_OPT_INT, .flags = RK_OPT_REQUIRED, .dflt = "1"),
               "option a: required, so its default is never used");
    expect_row(ROW(.name = "a", .type = RK_OPT_INT, .flags = RK_OPT_ONE_OF), "");
    expect_row(ROW(.name = "a", .type = RK_OPT_INT, .flags = RK_OPT_ONE_OF, .dflt = "1"),
               "option a: one of several that must be given, so its default is never used");
    expect_row(ROW(.name = "a", .type = RK_OPT_INT, .flags = RK_OPT_ONE_OF | RK_OPT_REQUIRED),
               "option a: required, so that the others of its group are never given");
    expect_row(ROW(.name = "a", .type = RK_OPT_ENUM), "option a: a choice without choices");
    expect_row(ROW(.name = "a", .type = RK_OPT_ENUM, .choices = none), "option a: a choice without choices");
    expect_row(ROW(.name = "a", .type = RK_OPT_ENUM, .choices = twice), "option a: choice a is there twice");
    expect_row(ROW(.name = "a", .type = RK_OPT_ENUM, .choices = blank),
               "option a: choice 0 is not a word of printable ASCII");
    expect_row(ROW(.name = "a", .type = RK_OPT_ENUM, .choices = many), "option a: more than 32 choices");
    expect_row(ROW(.name = "a", .type = RK_OPT_INT, .choices = twice), "option a: choices with type integer");
    expect_row(ROW(.name = "a", .type = RK_OPT_INT, .min = 2, .max = 1), "option a: min is greater than max");
    expect_row(ROW(.name = "a", .type = RK_OPT_INT, .min = 2), "option a: min is greater than max");
    expect_row(ROW(.name = "a", .type = RK_OPT_SIZE, .min = -1, .max = 1),
               "option a: a size below 0 cannot be written");
    expect_row(ROW(.name = "a", .type = RK_OPT_DURATION, .max = 1000, .dflt = "2s"),
               "option a: its default does not fit: must be 0..1s");
    expect_row(ROW(.name = "a", .type = RK_OPT_DURATION, .dflt = "2"),
               "option a: its default does not fit: needs a unit: 2s? (ms, s, m, h, d)");
    many[RK_CHOICES_MAX] = NULL;
    expect_row(ROW(.name = "a-b2", .type = RK_OPT_ENUM, .flags = RK_OPT_LIST | RK_OPT_RELOAD, .choices = many,
                   .dflt = "c31"),
               "");
}

static void
schemas_as_a_whole(void **state)
{
    static struct rk_opt many[RK_OPTS_MAX + 2];
    static char names[RK_OPTS_MAX + 1][8];
    char why[300];

    (void)state;
    assert_int_equal(rk_opts_sane(opts, why, sizeof why), RK_OK);
    assert_int_equal(rk_opts_sane(NULL, why, sizeof why), RK_OK);
    for (size_t i = 0; i <= RK_OPTS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "o%zu", i);
        many[i] = (struct rk_opt){names[i], RK_OPT_INT, 0, NULL, 0, 0, NULL, NULL, NULL};
    }
    assert_int_equal(rk_opts_sane(many, why, sizeof why), RK_E_CONTRACT);
    assert_string_equal(why, "more than 128 options");
    many[RK_OPTS_MAX].name = NULL;
    assert_int_equal(rk_opts_sane(many, why, sizeof why), RK_OK);
    many[99].name = "o7";
    assert_int_equal(rk_opts_sane(many, NULL, 0), RK_E_CONTRACT);
    assert_int_equal(rk_opts_sane(many, why, sizeof why), RK_E_CONTRACT);
    assert_string_equal(why, "option o7 is there twice");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_that_fit),        cmocka_unit_test(values_refused),
        cmocka_unit_test(value_too_long),         cmocka_unit_test(secrets_are_not_echoed),
        cmocka_unit_test(unknown_type_and_find),  cmocka_unit_test(why_is_cut_to_its_buffer),
        cmocka_unit_test(numbers_as_text),        cmocka_unit_test(shown_is_short_and_clean),
        cmocka_unit_test(schemas_that_are_not_sane), cmocka_unit_test(schemas_as_a_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
