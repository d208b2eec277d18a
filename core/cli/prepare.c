/* prepare.c - rekeyctl prepare: what a device needs before keys can be installed, printed or, with --apply, done.
 *
 * Runs in rekeyctl.  What is to be changed on a device is shown first, and asked for, unless --yes says it was seen.
 */
#include "prepare.h"

#include "alone.h"
#include "row.h"
#include "show.h"

#include "../base/limits.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MORE_MS 5000 /* how long an answer may come after the daemon's own time is over */

static void
take_row(json_t *row, void *arg)
{
    struct rk_prepared *a = arg;
    json_t *line = json_object_get(row, "line"), *over = json_object_get(row, "over");

    if (json_is_string(line)) {
        char *safe = a->quiet ? NULL : rk_show_safe(json_string_value(line), a->io->utf8);

        json_array_append(a->lines, line);
        if (!a->o->json && safe)
            fprintf(a->io->out, "%s\n", safe);
        fflush(a->io->out);
        free(safe);
    }
    if (!over)
        return;
    a->over = true;
    a->ok = json_is_true(json_object_get(over, "ok"));
    snprintf(a->text, sizeof a->text, "%s", rk_row_text(over, "text", ""));
}

int
rk_cli_prepare_ask(struct rk_cli_opts *o, struct rk_prepared *a)
{
    const char *const more[] = {"--prepare", o->arg, o->apply ? "--apply" : NULL, NULL};
    int64_t most_ms = o->apply ? RK_CALL_BUDGET_MAX_MS : RK_DISCOVER_MS; /* the daemon may know of slow commits */
    int code;

    a->over = false;
    a->text[0] = '\0';
    json_array_clear(a->lines);
    if (!o->config) {
        o->timeout_ms = (o->budget_ms ? o->budget_ms : most_ms) + MORE_MS;
        code = rk_cli_ask(o, a->io, "prepare", take_row, a, a->text);
        if (code == RK_CLI_NO_DAEMON)
            fprintf(a->io->err, "rekeyctl: with --config FILE a device is asked without a running rekeyd\n");
        return code;
    }
    if (!rk_cli_alone(o, a->io, more, take_row, a))
        return RK_CLI_FAILED;
    if (!a->over)
        snprintf(a->text, sizeof a->text, "rekeyd ended before its answer was whole");
    return a->over && a->ok ? RK_CLI_OK : RK_CLI_FAILED;
}

/* Show it, then ask on the terminal whether to do it. */
static int
confirm(struct rk_cli_opts *o, struct rk_prepared *a, bool *go)
{
    char answer[16] = "";
    int code;

    *go = false;
    if (o->json || !isatty(STDIN_FILENO)) {
        fprintf(a->io->err, "rekeyctl: --apply changes the device: look at it without --apply first, then add --yes\n");
        return RK_CLI_USAGE;
    }
    o->apply = false;
    code = rk_cli_prepare_ask(o, a);
    o->apply = true;
    if (code != RK_CLI_OK || json_array_size(a->lines) == 0)
        return code;
    fprintf(a->io->err, "commit this on %s? [y/N] ", o->arg);
    fflush(a->io->err);
    *go = fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
    if (!*go)
        snprintf(a->text, sizeof a->text, "nothing was changed");
    return RK_CLI_OK;
}

static void
print_end(const struct rk_prepared *a, int code)
{
    char *safe = rk_show_safe(a->text, a->io->utf8);

    if (a->o->json) {
        json_t *whole = json_pack("{s:b, s:s, s:b, s:s, s:O}", "ok", code == RK_CLI_OK, "device", a->o->arg, "apply",
                                  a->o->apply, "text", a->text, "lines", a->lines);

        rk_cli_json(a->io, whole);
        putc('\n', a->io->out);
        json_decref(whole);
    } else if (safe && safe[0]) {
        fprintf(a->io->err, "rekeyctl: %s\n", safe); /* the lines on stdout are for the device */
    }
    free(safe);
}

int
rk_cli_prepare(struct rk_cli_opts *o, struct rk_cli_io *io)
{
    struct rk_prepared a = {.o = o, .io = io, .lines = json_array()};
    bool go = true;
    int code = RK_CLI_OK;

    o->budget_ms = (uint32_t)(o->timeout_ms < RK_DISCOVER_MAX_MS ? o->timeout_ms : RK_DISCOVER_MAX_MS);
    if (o->apply && !o->yes)
        code = confirm(o, &a, &go);
    if (code == RK_CLI_OK && go)
        code = rk_cli_prepare_ask(o, &a);
    if (code != RK_CLI_NO_DAEMON && code != RK_CLI_USAGE)
        print_end(&a, code);
    json_decref(a.lines);
    return code;
}
