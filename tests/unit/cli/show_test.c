/* show_test.c - text for terminals, and tables. */
#include "core/cli/show.h"
#include "core/cli/table.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
safe_is(const char *text, bool utf8, const char *want)
{
    char *safe = rk_show_safe(text, utf8);

    assert_string_equal(safe, want);
    free(safe);
}

static void
controls_are_shown_as_question_marks(void **state)
{
    (void)state;
    safe_is("plain", true, "plain");
    safe_is("a\033[31mb\r\n\tc\x7f", true, "a?[31mb???c?");
    safe_is("c1 \xc2\x9b" "2J", true, "c1 ?2J");
    safe_is("turn \xe2\x80\xae" "back", true, "turn ?back");
    safe_is("zero\xe2\x80\x8bwidth\xef\xbb\xbf", true, "zero?width?");
    safe_is("", true, "");
}

static void
bad_utf8_is_shown_as_question_marks(void **state)
{
    (void)state;
    safe_is("\xff\xfe", true, "??");
    safe_is("cut \xe2\x82", true, "cut ??");
    safe_is("long form \xc0\xaf", true, "long form ??");
    safe_is("surrogate \xed\xa0\x80", true, "surrogate ???");
    safe_is("beyond \xf4\x90\x80\x80", true, "beyond ????");
}

static void
other_scripts_pass_where_the_terminal_takes_them(void **state)
{
    (void)state;
    safe_is("Z\xc3\xbcrich", false, "Z?rich");
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        skip();
    safe_is("Z\xc3\xbcrich", true, "Z\xc3\xbcrich");
    assert_int_equal(rk_show_width("Z\xc3\xbcrich"), 6);
    assert_int_equal(rk_show_width("\xe6\x9d\xb1"), 2);
    assert_int_equal(rk_show_cut("Z\xc3\xbcrich", 2), 3);
    assert_int_equal(rk_show_cut("\xe6\x9d\xb1\xe6\x9d\xb1", 3), 3);
}

static void
times_read_as_people_write_them(void **state)
{
    static const struct {
        int64_t ms;
        const char *want;
    } rows[] = {
        {0, "0:00"}, {999, "0:00"}, {43000, "0:43"}, {120000, "2:00"}, {3599999, "59:59"}, {3600000, "1:00:00"},
        {86399000, "23:59:59"}, {86400000, "1d 00:00"}, {273900000, "3d 04:05"}, {-5, "0:00"},
        {INT64_MAX, "106751991167d 07:12"},
    };
    char out[RK_SPAN_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rk_show_span(rows[i].ms, out);
        assert_string_equal(out, rows[i].want);
    }
}

static char *
table_text(int columns, bool color, size_t max_rows)
{
    static const struct rk_column cols[] = {
        {"NAME", false, false, NULL}, {"SAME", false, false, "x"}, {"N", true, false, NULL}, {"WHY", false, true, NULL},
    };
    struct rk_cli_io io = {.color = color, .columns = columns};
    struct rk_table t;
    char *text = NULL;
    size_t len;

    io.out = open_memstream(&text, &len);
    rk_table_start(&t, cols, 4, false);
    for (int i = 0; i < 2; i++) {
        rk_table_add(&t, RK_TONE_PLAIN, "link-%d", i);
        rk_table_add(&t, RK_TONE_PLAIN, "x");
        rk_table_add(&t, RK_TONE_BAD, "%d", i * 100);
        rk_table_add(&t, RK_TONE_PLAIN, "%s", i ? "a reason that is rather long" : "");
    }
    assert_false(t.failed);
    rk_table_print(&t, &io, max_rows);
    rk_table_free(&t);
    fclose(io.out);
    return text;
}

static void
tables_fit_their_text(void **state)
{
    char *text = table_text(0, false, 0);

    (void)state;
    assert_string_equal(text, "NAME      N  WHY\n"
                              "link-0    0\n"
                              "link-1  100  a reason that is rather long\n");
    free(text);
}

static void
tables_fit_the_terminal(void **state)
{
    char *text = table_text(30, false, 1);

    (void)state;
    assert_string_equal(text, "NAME      N  WHY\n"
                              "link-0    0\n"
                              "... and 1 more rows\n");
    free(text);
    text = table_text(30, false, 0);
    assert_string_equal(text, "NAME      N  WHY\n"
                              "link-0    0\n"
                              "link-1  100  a reason that ...\n");
    free(text);
    text = table_text(5, false, 0);
    assert_string_equal(text, "NAME      N  WHY\n"
                              "link-0    0\n"
                              "link-1  100  a reason ...\n");
    free(text);
}

static void
colour_does_not_move_columns(void **state)
{
    char *text = table_text(0, true, 0);

    (void)state;
    assert_string_equal(text, "NAME      N  WHY\n"
                              "link-0    \033[1;31m0\033[0m\n"
                              "link-1  \033[1;31m100\033[0m  a reason that is rather long\n");
    free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(controls_are_shown_as_question_marks),
        cmocka_unit_test(bad_utf8_is_shown_as_question_marks),
        cmocka_unit_test(other_scripts_pass_where_the_terminal_takes_them),
        cmocka_unit_test(times_read_as_people_write_them),
        cmocka_unit_test(tables_fit_their_text),
        cmocka_unit_test(tables_fit_the_terminal),
        cmocka_unit_test(colour_does_not_move_columns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
