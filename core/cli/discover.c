/* discover.c - rekeyctl discover: the links that a device finds, as YAML to be pasted, or as JSON.
 *
 * Runs in rekeyctl.
 */
#include "discover.h"

#include "alone.h"
#include "row.h"
#include "show.h"
#include "paste.h"

#include "../base/limits.h"

#include <stdlib.h>
#include <string.h>

#define MORE_MS 5000 /* how long an answer may come after the daemon's own time is over */

struct answer {
    rk_cli_row_fn *fn;
    void *arg;
    bool over, ok;
    char *text; /* RK_TEXT_MAX bytes */
};

static void
take_row(json_t *row, void *arg)
{
    struct answer *a = arg;
    json_t *found = json_object_get(row, "found"), *over = json_object_get(row, "over");

    if (found)
        a->fn(row, a->arg);
    if (!over)
        return;
    a->over = true;
    a->ok = json_is_true(json_object_get(over, "ok"));
    snprintf(a->text, RK_TEXT_MAX, "%s", rk_row_text(over, "text", ""));
}

int
rk_cli_discover_rows(struct rk_cli_opts *o, const struct rk_cli_io *io, rk_cli_row_fn *fn, void *arg, char *text)
{
    const char *const more[] = {"--discover", o->arg, NULL};
    struct answer a = {.fn = fn, .arg = arg, .text = text};
    int code;

    text[0] = '\0';

    if (!o->config) {
        o->timeout_ms = (o->budget_ms ? o->budget_ms : RK_DISCOVER_MS) + MORE_MS;
        code = rk_cli_ask(o, io, "discover", take_row, &a, text);
        if (code == RK_CLI_NO_DAEMON)
            fprintf(io->err, "rekeyctl: with --config FILE a device is asked without a running rekeyd\n");
        return code;
    }
    if (!rk_cli_alone(o, io, more, take_row, &a))
        return RK_CLI_FAILED;
    if (!a.over)
        snprintf(text, RK_TEXT_MAX, "rekeyd ended before its answer was whole");
    return a.over && a.ok ? RK_CLI_OK : RK_CLI_FAILED;
}

static void
take_found(json_t *row, void *found)
{
    json_array_append(found, json_object_get(row, "found"));
}

int
rk_cli_discover(struct rk_cli_opts *o, struct rk_cli_io *io)
{
    json_t *found = json_array();
    char text[RK_TEXT_MAX], *safe;
    int code;

    o->budget_ms = (uint32_t)(o->timeout_ms < RK_DISCOVER_MAX_MS ? o->timeout_ms : RK_DISCOVER_MAX_MS);
    code = rk_cli_discover_rows(o, io, take_found, found, text);
    safe = rk_show_safe(text, io->utf8);
    if (code == RK_CLI_NO_DAEMON) {
        ;
    } else if (o->json) {
        json_t *whole = json_pack("{s:b, s:s, s:s, s:O}", "ok", code == RK_CLI_OK, "device", o->arg, "text", text,
                                  "links", found);

        rk_cli_json(io, whole);
        putc('\n', io->out);
        json_decref(whole);
    } else if (code == RK_CLI_OK) {
        rk_yaml_links(io->out, found);
    } else if (safe && safe[0]) {
        fprintf(io->err, "rekeyctl: %s\n", safe);
    }
    free(safe);
    json_decref(found);
    return code;
}
