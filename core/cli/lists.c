/* lists.c - rekeyctl history, plugins and sources: rows as a table, or as one JSON array.
 *
 * Runs in rekeyctl.
 */
#include "ask.h"
#include "row.h"
#include "show.h"
#include "table.h"

#include <string.h>
#include <time.h>

#define HISTORY_ROWS 50

struct list {
    const struct rk_cli_io *io;
    struct rk_table table;
    void (*add)(struct rk_table *t, const json_t *row);
    bool json;
    size_t n;
};

static void
take_row(json_t *row, void *arg)
{
    struct list *l = arg;

    if (l->json) {
        fputs(l->n ? ",\n" : "[\n", l->io->out);
        rk_cli_json(l->io, row);
    } else {
        l->add(&l->table, row);
    }
    l->n++;
}

/* Ask, and show what comes; nothing is "NONE". */
static int
run_list(struct list *l, const struct rk_cli_opts *o, const char *none)
{
    int code;

    l->json = o->json;
    code = rk_cli_ask(o, l->io, o->command->name, take_row, l, NULL);
    if (l->json && code != RK_CLI_NO_DAEMON)
        fputs(l->n ? "]\n" : "[]\n", l->io->out);
    else if (l->n)
        rk_table_print(&l->table, l->io, 0);
    else if (code == RK_CLI_OK)
        fprintf(l->io->out, "%s\n", none);
    if (l->table.failed) {
        fprintf(l->io->err, "rekeyctl: out of memory: the table is not whole\n");
        code = code == RK_CLI_OK ? RK_CLI_FAILED : code;
    }
    rk_table_free(&l->table);
    return code;
}

/* ---- history ---- */

static const struct rk_column history_columns[] = {
    {"TIME (UTC)", false, false, NULL}, {"LINK", false, false, NULL}, {"END", false, false, "a"},
    {"SEQ", true, false, NULL},         {"EVENT", false, false, NULL}, {"RESULT", false, false, NULL},
    {"TOOK", true, false, NULL},        {"KEY ID", false, false, NULL}, {"WHY", false, true, NULL},
};

static void
add_time(struct rk_table *t, const json_t *row)
{
    int64_t ms = rk_row_int(row, "time_unix_ms", -1);
    time_t s = (time_t)(ms / 1000);
    char text[40];
    struct tm tm;

    if (ms >= 0 && gmtime_r(&s, &tm) && strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm) > 0)
        rk_table_add(t, RK_TONE_PLAIN, "%s.%03d", text, (int)(ms % 1000));
    else
        rk_table_add(t, RK_TONE_PLAIN, "?");
}

static void
add_history(struct rk_table *t, const json_t *row)
{
    const char *result = rk_row_text(row, "result", "");
    enum rk_tone tone = strcmp(result, "ok") == 0 ? RK_TONE_GOOD : RK_TONE_WARN;

    add_time(t, row);
    rk_table_add(t, RK_TONE_PLAIN, "%s", rk_row_text(row, "link", "?"));
    rk_table_add(t, RK_TONE_PLAIN, "%s", rk_row_text(row, "end", "?"));
    rk_table_add(t, RK_TONE_PLAIN, "%lld", (long long)rk_row_int(row, "seq", 0));
    rk_table_add(t, RK_TONE_PLAIN, "%s", rk_row_text(row, "event", "?"));
    rk_table_add(t, tone, "%s", result);
    if (rk_row_has_int(row, "took_ms"))
        rk_table_add(t, RK_TONE_PLAIN, "%lld ms", (long long)rk_row_int(row, "took_ms", 0));
    else
        rk_table_add(t, RK_TONE_PLAIN, "-");
    rk_table_add(t, RK_TONE_PLAIN, "%s", rk_row_text(row, "key_id", ""));
    rk_table_add(t, RK_TONE_PLAIN, "%s", rk_row_text(row, "why", ""));
}

int
rk_cli_history(struct rk_cli_opts *o, struct rk_cli_io *io)
{
    struct list l = {.io = io, .add = add_history};

    if (!o->limit)
        o->limit = HISTORY_ROWS;
    rk_table_start(&l.table, history_columns, sizeof history_columns / sizeof history_columns[0], io->utf8);
    return run_list(&l, o, "nothing was done yet");
}

/* ---- plugins ---- */

static const struct rk_column plugin_columns[] = {
    {"PLUGIN", false, false, NULL},  {"KIND", false, false, NULL},    {"VERSION", false, false, NULL},
    {"STATE", false, false, NULL},   {"PID", true, false, NULL},      {"RESTARTS", true, false, NULL},
    {"CALLS", true, false, NULL},    {"IN FLIGHT", true, false, NULL}, {"INSTANCES", false, false, NULL},
    {"LAST EXIT", false, false, ""}, {"RECORDS REFUSED", false, true, ""}, {"ERROR", false, true, ""},
};

static enum rk_tone
plugin_tone(const char *state)
{
    return strcmp(state, "up") == 0 ? RK_TONE_GOOD : strcmp(state, "starting") == 0 ? RK_TONE_BUSY : RK_TONE_BAD;
}

/* Of a channel: "12, the last: wrong tag". */
static void
add_refused(struct rk_table *t, const json_t *refused)
{
    if (json_is_object(refused))
        rk_table_add(t, RK_TONE_WARN, "%lld, the last: %s", (long long)rk_row_int(refused, "records", 0),
                     rk_row_text(refused, "why", "?"));
    else
        rk_table_add(t, RK_TONE_PLAIN, "%s", "");
}

static void
add_plugin(struct rk_table *t, const json_t *row)
{
    const char *state = rk_row_text(row, "state", "?");
    long long restarts = (long long)rk_row_int(row, "restarts", 0);
    char names[60];

    rk_row_words(row, "instances", names, sizeof names);
    rk_table_add(t, RK_TONE_PLAIN, "%s", rk_row_text(row, "plugin", "?"));
    rk_table_add(t, RK_TONE_PLAIN, "%s", rk_row_text(row, "kind", "?"));
    rk_table_add(t, RK_TONE_PLAIN, "%s", rk_row_text(row, "version", "-"));
    rk_table_add(t, plugin_tone(state), "%s", state);
    if (rk_row_has_int(row, "pid"))
        rk_table_add(t, RK_TONE_PLAIN, "%lld", (long long)rk_row_int(row, "pid", 0));
    else
        rk_table_add(t, RK_TONE_PLAIN, "-");
    rk_table_add(t, restarts ? RK_TONE_WARN : RK_TONE_PLAIN, "%lld", restarts);
    rk_table_add(t, RK_TONE_PLAIN, "%lld", (long long)rk_row_int(row, "calls", 0));
    rk_table_add(t, RK_TONE_PLAIN, "%lld", (long long)rk_row_int(row, "in_flight", 0));
    rk_table_add(t, RK_TONE_PLAIN, "%s", names);
    rk_table_add(t, RK_TONE_PLAIN, "%s", rk_row_text(row, "last_exit", ""));
    add_refused(t, json_object_get(row, "refused"));
    rk_table_add(t, RK_TONE_BAD, "%s", rk_row_text(row, "error", ""));
}

int
rk_cli_plugins(struct rk_cli_opts *o, struct rk_cli_io *io)
{
    struct list l = {.io = io, .add = add_plugin};

    rk_table_start(&l.table, plugin_columns, sizeof plugin_columns / sizeof plugin_columns[0], io->utf8);
    return run_list(&l, o, "no plugins in use");
}

/* ---- sources ---- */

static const struct rk_column source_columns[] = {
    {"SOURCE", false, false, NULL},  {"PLUGIN", false, false, NULL}, {"PEER", false, false, NULL},
    {"STATE", false, false, NULL},   {"LINKS", true, false, NULL},   {"STORED", true, false, NULL},
    {"PER CALL", true, false, NULL}, {"REFILL/S", true, false, NULL}, {"USE/S", true, false, NULL},
    {"ENDS IN", true, false, NULL},  {"STRETCH", true, false, "1.0"}, {"WAITING", true, false, "0"},
    {"CALLS", true, false, NULL},    {"FAILED", true, false, NULL},  {"KEYS", true, false, NULL},
    {"ORPHANED", true, false, "0"},  {"WHY", false, true, ""},
};

static void
add_number(struct rk_table *t, const json_t *row, const char *name)
{
    if (rk_row_has_int(row, name))
        rk_table_add(t, RK_TONE_PLAIN, "%lld", (long long)rk_row_int(row, name, 0));
    else
        rk_table_add(t, RK_TONE_PLAIN, "-");
}

static void
add_rate(struct rk_table *t, const json_t *row, const char *name, int digits)
{
    const json_t *rate = json_object_get(row, name);

    if (json_is_number(rate))
        rk_table_add(t, RK_TONE_PLAIN, "%.*f", digits, json_number_value(rate));
    else
        rk_table_add(t, RK_TONE_PLAIN, "-");
}

static void
add_source(struct rk_table *t, const json_t *row)
{
    const char *state = rk_row_text(row, "state", "?"), *why = rk_row_text(json_object_get(row, "last"), "why", "");
    const char *result = rk_row_text(json_object_get(row, "last"), "result", "");
    bool dry = json_is_true(json_object_get(row, "dry"));
    char ends[RK_SPAN_MAX];

    for (size_t i = 0; i < 3; i++)
        rk_table_add(t, RK_TONE_PLAIN, "%s",
                     rk_row_text(row, i == 0 ? "source" : i == 1 ? "plugin" : "peer_sae", "?"));
    rk_table_add(t, strcmp(state, "ok") == 0 ? RK_TONE_GOOD : RK_TONE_BAD, "%s", state);
    add_number(t, row, "links");
    add_number(t, row, "stored");
    add_number(t, row, "max_per_request");
    add_rate(t, row, "refill_per_s", 2);
    add_rate(t, row, "use_per_s", 2);
    if (rk_row_has_int(row, "ends_ms"))
        rk_show_span(rk_row_int(row, "ends_ms", 0), ends);
    rk_table_add(t, dry ? RK_TONE_BAD : RK_TONE_PLAIN, "%s", rk_row_has_int(row, "ends_ms") ? ends : "-");
    add_rate(t, row, "stretch", 1);
    add_number(t, row, "waiting");
    add_number(t, row, "calls");
    add_number(t, row, "failed");
    add_number(t, row, "keys");
    add_number(t, row, "orphaned");
    rk_table_add(t, RK_TONE_BAD, "%s%s%s", result, why[0] ? ": " : "", why);
}

int
rk_cli_sources(struct rk_cli_opts *o, struct rk_cli_io *io)
{
    struct list l = {.io = io, .add = add_source};

    rk_table_start(&l.table, source_columns, sizeof source_columns / sizeof source_columns[0], io->utf8);
    return run_list(&l, o, "no sources in use");
}
