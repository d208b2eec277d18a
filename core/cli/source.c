/* source.c - rekeyctl source test, and what peer test has in common with it: the steps of the way to a key, or to a
 * peer, each as it comes; as JSON one object at the end.
 *
 * Runs in rekeyctl.  The steps are those of the running daemon, or, with --config, of a rekeyd that is started for
 * nothing else and speaks by lines of JSON.
 */
#include "steps.h"

#include "alone.h"
#include "row.h"
#include "show.h"
#include "table.h"

#include "../base/limits.h"

#include <stdlib.h>
#include <string.h>

#define MORE_MS 5000 /* how long an answer may come after the daemon's own time is over: its host has a second more */
#define STEP_COLUMNS 16
#define RESULT_COLUMNS 12
#define WORDS_MIN 24 /* columns for sentences on a narrow terminal */

struct answer {
    const struct rk_cli_io *io;
    const struct rk_cli_opts *o;
    const struct rk_cli_steps *what;
    json_t *steps;  /* owned; for JSON */
    char peer[100]; /* whose steps are shown now */
    bool begun, over, ok;
    char text[RK_TEXT_MAX]; /* of the end */
};

/* ---- steps as lines ---- */

static enum rk_tone
tone_of(const char *result)
{
    return strcmp(result, "ok") == 0        ? RK_TONE_GOOD
           : strcmp(result, "warning") == 0 ? RK_TONE_WARN
           : strcmp(result, "skipped") == 0 ? RK_TONE_BUSY
                                            : RK_TONE_BAD;
}

/* Words in the last column; no width: in one line, for grep. */
static void
print_words(const struct rk_cli_io *io, char *text)
{
    int indent = STEP_COLUMNS + RESULT_COLUMNS, column = 0;
    int width = io->columns ? io->columns - indent : 0;
    char *rest = NULL;

    width = io->columns && width < WORDS_MIN ? WORDS_MIN : width;
    for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        int w = rk_show_width(word);

        if (column && width && column + 1 + w > width) {
            fprintf(io->out, "\n%*s", indent, "");
            column = 0;
        }
        fprintf(io->out, "%s%s", column ? " " : "", word);
        column += w + (column ? 1 : 0);
    }
    putc('\n', io->out);
}

static void
print_cell(const struct rk_cli_io *io, const char *text, enum rk_tone tone, int columns)
{
    int pad = columns - rk_show_width(text);

    fprintf(io->out, "%s%s%s%*s", rk_tone_on(io, tone), text, rk_tone_off(io, tone), pad > 1 ? pad : 1, "");
}

/* The peer that the steps from here on are about. */
static void
print_peer(struct answer *a, const char *peer)
{
    char *safe;

    if (strcmp(peer, a->peer) == 0)
        return;
    snprintf(a->peer, sizeof a->peer, "%s", peer);
    safe = rk_show_safe(peer, a->io->utf8);
    if (safe && safe[0])
        fprintf(a->io->out, "with %s:\n", safe);
    free(safe);
}

static void
print_step(struct answer *a, const json_t *row)
{
    const struct rk_cli_io *io = a->io;
    char *step = rk_show_safe(rk_row_text(row, "step", "?"), io->utf8),
         *result = rk_show_safe(rk_row_text(row, "result", "?"), io->utf8),
         *text = rk_show_safe(rk_row_text(row, "text", ""), io->utf8);

    if (!a->begun)
        fprintf(io->out, "%-*s%-*s%s\n", STEP_COLUMNS, "STEP", RESULT_COLUMNS, "RESULT", "WHAT WAS SEEN, WHAT TO DO");
    a->begun = true;
    print_peer(a, rk_row_text(row, "peer", ""));
    if (step && result && text) {
        print_cell(io, step, RK_TONE_PLAIN, STEP_COLUMNS);
        print_cell(io, result, tone_of(result), RESULT_COLUMNS);
        print_words(io, text);
    }
    fflush(io->out); /* the next step may take a while */
    free(step);
    free(result);
    free(text);
}

static void
take_row(json_t *row, void *arg)
{
    struct answer *a = arg;
    const json_t *over = json_object_get(row, "over");

    if (over) {
        a->over = true;
        a->ok = json_is_true(json_object_get(over, "ok"));
        snprintf(a->text, sizeof a->text, "%s", rk_row_text(over, "text", ""));
    } else if (a->o->json) {
        json_array_append(a->steps, row);
    } else {
        print_step(a, row);
    }
}

/* ---- a rekeyd of its own ---- */

static int
run_alone(struct answer *a)
{
    const struct rk_cli_opts *o = a->o;
    const char *more[RK_ALONE_ARGS] = {a->what->option, o->arg};
    size_t n = 2;

    if (o->fetch)
        more[n++] = "--fetch";
    if (o->peer) {
        more[n++] = "--peer";
        more[n++] = o->peer;
    }
    if (!rk_cli_alone(o, a->io, more, take_row, a))
        return RK_CLI_FAILED;
    if (!a->over)
        snprintf(a->text, sizeof a->text,
                 "rekeyd ended before its answer was whole; rekeyd --config %.200s "
                 "%s %.32s says why",
                 o->config, a->what->option, o->arg);
    return a->over && a->ok ? RK_CLI_OK : RK_CLI_FAILED;
}

/* ---- the command ---- */

static int
run_daemon(struct answer *a, struct rk_cli_opts *o)
{
    int code;

    o->timeout_ms = o->budget_ms + MORE_MS;
    code = rk_cli_ask(o, a->io, a->what->command, take_row, a, a->text);
    if (code == RK_CLI_NO_DAEMON)
        fprintf(a->io->err, "rekeyctl: with --config FILE a %s is tested without a running rekeyd\n", a->what->kind);
    return code;
}

static void
print_end(const struct answer *a, int code)
{
    char *safe = rk_show_safe(a->text, a->io->utf8);
    enum rk_tone tone = code == RK_CLI_OK ? RK_TONE_GOOD : RK_TONE_BAD;

    if (a->begun && safe && safe[0])
        fprintf(a->io->out, "\n%s%s%s\n", rk_tone_on(a->io, tone), safe, rk_tone_off(a->io, tone));
    else if (safe && safe[0])
        fprintf(a->io->err, "rekeyctl: %s\n", safe);
    free(safe);
}

int
rk_cli_steps(const struct rk_cli_steps *what, struct rk_cli_opts *o, struct rk_cli_io *io)
{
    struct answer a = {.io = io, .o = o, .what = what, .steps = json_array()};
    int64_t ms = o->timeout_ms ? o->timeout_ms : RK_SOURCE_TEST_MS;
    int code;

    o->budget_ms = (uint32_t)(ms < RK_SOURCE_TEST_MAX_MS ? ms : RK_SOURCE_TEST_MAX_MS);
    code = o->config ? run_alone(&a) : run_daemon(&a, o);
    if (o->json && code != RK_CLI_NO_DAEMON) {
        json_t *whole = json_pack("{s:b, s:s, s:s, s:O}", "ok", code == RK_CLI_OK, what->kind, o->arg, "text", a.text,
                                  "steps", a.steps);

        rk_cli_json(io, whole);
        putc('\n', io->out);
        json_decref(whole);
    } else if (code != RK_CLI_NO_DAEMON) {
        print_end(&a, code);
    }
    json_decref(a.steps);
    return code;
}

int
rk_cli_source_test(struct rk_cli_opts *o, struct rk_cli_io *io)
{
    static const struct rk_cli_steps what = {"source", "source-test", "--test-source"};

    return rk_cli_steps(&what, o, io);
}
