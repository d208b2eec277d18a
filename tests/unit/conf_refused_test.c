/* conf_refused_test.c - every kind of mistake in a configuration, with the exact place and words of each error.
 *
 * The cases are in conf.d/refused.txt; its head says how they are written.
 */
#include "core/conf/conf.h"

#include <rekey/err.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CASES_MAX 300
#define TEXT_MAX 16384

struct refused {
    char name[80];
    char yaml[TEXT_MAX], expect[TEXT_MAX];
};

static struct refused *cases;
static struct CMUnitTest tests[CASES_MAX];

static void
one_case(void **state)
{
    const struct refused *c = *state;
    struct rk_conf_errors e = {.file = ""};
    struct rk_conf_set *set = NULL;
    char got[TEXT_MAX] = "", line[700];

    assert_int_equal(rk_conf_parse(c->yaml, strlen(c->yaml), &set, &e), RK_E_CONFIG);
    assert_null(set);
    for (size_t i = 0; i < e.n; i++) {
        rk_conf_error_text(&e, i, line, sizeof line);
        assert_true(strlen(got) + strlen(line) + 2 < sizeof got);
        strcat(strcat(got, line[0] == ':' ? line + 1 : line), "\n"); /* no file name in front */
    }
    assert_false(e.more);
    rk_conf_errors_free(&e);
    assert_string_equal(got, c->expect);
}

static size_t
read_cases(FILE *f)
{
    char line[4096];
    size_t n = 0;

    while (fgets(line, sizeof line, f)) {
        if (strncmp(line, "== ", 3) == 0) {
            if (n == CASES_MAX)
                return 0;
            n++;
            snprintf(cases[n - 1].name, sizeof cases->name, "%.*s", (int)strcspn(line + 3, "\n"), line + 3);
        } else if (n > 0) {
            struct refused *c = &cases[n - 1];
            char *to = strncmp(line, "-> ", 3) == 0 ? c->expect : c->yaml;

            if (strlen(to) + strlen(line) >= TEXT_MAX)
                return 0;
            strcat(to, to == c->expect ? line + 3 : line);
        }
    }
    return n;
}

int
main(void)
{
    const char *srcdir = getenv("top_srcdir");
    char path[4096];
    size_t n = 0;
    FILE *f;
    int failed;

    snprintf(path, sizeof path, "%s/tests/unit/conf.d/refused.txt", srcdir ? srcdir : ".");
    f = fopen(path, "r");
    cases = calloc(CASES_MAX, sizeof *cases);
    if (f && cases)
        n = read_cases(f);
    if (n == 0) {
        fprintf(stderr, "no cases in %s\n", path);
        return 1;
    }
    fclose(f);
    for (size_t i = 0; i < n; i++)
        tests[i] = (struct CMUnitTest){cases[i].name, one_case, NULL, NULL, &cases[i]};
    failed = _cmocka_run_group_tests("refused", tests, n, NULL, NULL);
    free(cases);
    return failed;
}
