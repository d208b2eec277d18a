/* discover.c - rekeyctl discover: the links that a device finds, as YAML to be pasted, or as JSON.
 *
 * Runs in rekeyctl.
 */
#include "alone.h"
#include "row.h"
#include "show.h"
#include "paste.h"

#include "../base/limits.h"

#include <stdlib.h>
#include <string.h>

#define MORE_MS 5000 /* how long an answer may come after the daemon's own time is over */

struct answer {
    json_t *found; /* owned */
    bool over, ok;
    char text[RK_TEXT_MAX];
};

static void
take_row(json_t *row, void *arg)
{
    struct answer *a = arg;
    json_t *found = json_object_get(row, "found"), *over = json_object_get(row, "over");

    if (found)
        json_array_append(a->found, found);
    if (!over)
        return;
    a->over = true;
    a->ok = json_is_true(json_object_get(over, "ok"));
    snprintf(a->text, sizeof a->text, "%s", rk_row_text(over, "text", ""));
}

static int
ask(struct rk_cli_opts *o, struct rk_cli_io *io, struct answer *a)
{
    const char *const more[] = {"--discover", o->arg, NULL};
    int code;

    if (!o->config) {
        o->timeout_ms = (o->budget_ms ? o->budget_ms : RK_DISCOVER_MS) + MORE_MS;
        code = rk_cli_ask(o, io, "discover", take_row, a, a->text);
        if (code == RK_CLI_NO_DAEMON)
            fprintf(io->err, "rekeyctl: with --config FILE a device is asked without a running rekeyd\n");
        return code;
    }
    if (!rk_cli_alone(o, io, more, take_row, a))
        return RK_CLI_FAILED;
    if (!a->over)
        snprintf(a->text, sizeof a->text, "rekeyd ended before its answer was whole");
    return a->over && a->ok ? RK_CLI_OK : RK_CLI_FAILED;
}

int
rk_cli_discover(struct rk_cli_opts *o, struct rk_cli_io *io)
{
    struct answer a = {.found = json_array()};
    char *safe;
    int code;

    o->budget_ms = (uint32_t)(o->timeout_ms < RK_DISCOVER_MAX_MS ? o->timeout_ms : RK_DISCOVER_MAX_MS);
    code = ask(o, io, &a);
    safe = rk_show_safe(a.text, io->utf8);
    if (code == RK_CLI_NO_DAEMON) {
        ;
    } else if (o->json) {
        json_t *whole = json_pack("{s:b, s:s, s:s, s:O}", "ok", code == RK_CLI_OK, "device", o->arg, "text", a.text,
                                  "links", a.found);

        rk_cli_json(io, whole);
        putc('\n', io->out);
        json_decref(whole);
    } else if (code == RK_CLI_OK) {
        rk_yaml_links(io->out, a.found);
    } else if (safe && safe[0]) {
        fprintf(io->err, "rekeyctl: %s\n", safe);
    }
    free(safe);
    json_decref(a.found);
    return code;
}
