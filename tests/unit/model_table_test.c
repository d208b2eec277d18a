/* model_table_test.c - doc/transitions.md shows the transition table as it is; "model_table_test print" prints it */
#include "core/model/end_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const states[] = {
    "OBSERVE",  "IDLE",   "J_INTENT", "FETCH",  "J_FETCHED", "STAGE",     "J_STAGED",
    "STAGED",   "J_ACTIVATING", "ACTIVATE", "J_ACTIVE", "ACTIVE", "DRAIN", "RETIRE",
    "J_IDLE",   "J_BURNING", "UNSTAGE", "J_BURNT", "J_SHUT", "SHUT", "SWEEP",
};
_Static_assert(sizeof states / sizeof *states == RK_ST_COUNT, "a name for each state");

static const char *const acts[] = {"waits", "observe", "journal", "get_new / get_by_id", "get_by_id", "STAGE",
                                   "ACTIVATE", "RETIRE", "SHUT", "SWEEP"};

/* Arrows back to the same state say nothing: they are left out. */
static void
put_event(FILE *out, enum rk_state from, enum rk_event_type ev)
{
    int n = 0;

    for (int to = 0; to < RK_ST_COUNT; to++)
        if (to != (int)from && rk_arrow(from, ev, (enum rk_state)to)) {
            if (n == 0)
                fprintf(out, "    %-9s-> ", rk_event_name(ev));
            fprintf(out, "%s%s", n == 0 ? "" : n % 7 ? " | " : " |\n                ", states[to]);
            n++;
        }
    if (n)
        fputc('\n', out);
}

static char *
table_text(void)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    for (int from = 0; from < RK_ST_COUNT; from++) {
        fprintf(out, "%-13s %s\n", states[from], acts[rk_state_act((enum rk_state)from)]);
        for (int ev = 0; ev < RK_EV_COUNT; ev++)
            put_event(out, (enum rk_state)from, (enum rk_event_type)ev);
    }
    fclose(out);
    return text;
}

static char *
read_doc(void)
{
    const char *top = getenv("top_srcdir");
    char path[600], *text = calloc(1, 65536);
    FILE *in;

    snprintf(path, sizeof path, "%s/doc/transitions.md", top ? top : ".");
    in = fopen(path, "r");
    assert_non_null(in);
    assert_true(fread(text, 1, 65535, in) > 100);
    fclose(in);
    return text;
}

static void
doc_shows_the_table(void **state)
{
    char *doc = read_doc(), *table = table_text();

    (void)state;
    if (!strstr(doc, table))
        fail_msg("doc/transitions.md is not the table of core/model/end_table.c: put the output of "
                 "\"tests/unit/model_table_test print\" there");
    free(doc);
    free(table);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(doc_shows_the_table)};

    if (argc > 1 && strcmp(argv[1], "print") == 0) {
        fputs(table_text(), stdout);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
