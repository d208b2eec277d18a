/* status.c - rekeyctl status: all links as a table, one link in detail, JSON, once or again and again.
 *
 * Runs in rekeyctl.  Each round asks anew, so that a restart of rekeyd does not end a --watch.
 */
#include "ask.h"
#include "row.h"
#include "show.h"
#include "sum.h"
#include "table.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct rk_column columns[] = {
    {"LINK", false, false, NULL},      {"END", false, false, "a"},        {"ROLE", false, false, NULL},
    {"STATE", false, false, NULL},     {"AGE / INTERVAL", true, false, NULL}, {"NEXT", true, false, NULL},
    {"ROTATIONS", true, false, NULL},  {"FAILED", true, false, NULL},     {"LAST RESULT", false, true, NULL},
    {"ALARMS", false, false, NULL},
};

struct round {
    const struct rk_cli_opts *o;
    const struct rk_cli_io *io;
    struct rk_table table;
    struct rk_sum sum;
    json_t *daemon;    /* owned; NULL until its row came */
    size_t n;          /* rows of links */
};

/* A member that is a time: "0:43", or dash when it is null. */
static const char *
span(const json_t *row, const char *name, const char *dash, char *out)
{
    if (!rk_row_has_int(row, name))
        return dash;
    rk_show_span(rk_row_int(row, name, 0), out);
    return out;
}

static enum rk_tone
state_tone(const char *state)
{
    if (strcmp(state, "idle") == 0)
        return RK_TONE_PLAIN;
    if (strcmp(state, "shut") == 0 || strcmp(state, "waiting-source") == 0)
        return RK_TONE_BAD;
    return strcmp(state, "burning") == 0 || strcmp(state, "held") == 0 ? RK_TONE_WARN : RK_TONE_BUSY;
}

/* "ok", or "empty: no key left at the KME" and how long ago. */
static void
add_last(struct rk_table *t, const json_t *last)
{
    const char *result = rk_row_text(last, "result", NULL), *why = rk_row_text(last, "why", "");
    bool ok = result && strcmp(result, "ok") == 0;
    char ago[RK_SPAN_MAX];

    if (!result)
        rk_table_add(t, RK_TONE_PLAIN, "-");
    else if (ok)
        rk_table_add(t, RK_TONE_GOOD, "ok");
    else
        rk_table_add(t, RK_TONE_WARN, "%s%s%s (%s ago)", result, why[0] ? ": " : "", why,
                     span(last, "ago_ms", "?", ago));
}

static void
add_alarms(struct rk_table *t, const json_t *row)
{
    char words[200];

    rk_row_words(row, "alarms", words, sizeof words);
    rk_table_add(t, strcmp(words, "DUE") == 0 ? RK_TONE_WARN : RK_TONE_BAD, "%s", words);
}

static void
add_link(struct rk_table *t, const json_t *row)
{
    char age[RK_SPAN_MAX], interval[RK_SPAN_MAX], next[RK_SPAN_MAX];
    const char *state = rk_row_text(row, "state", "?");
    long long failed = (long long)rk_row_int(row, "failed", 0);

    rk_table_add(t, RK_TONE_PLAIN, "%s", rk_row_text(row, "link", "?"));
    rk_table_add(t, RK_TONE_PLAIN, "%s", rk_row_text(row, "end", "?"));
    rk_table_add(t, RK_TONE_PLAIN, "%s", rk_row_text(row, "role", "?"));
    rk_table_add(t, state_tone(state), "%s", state);
    rk_table_add(t, RK_TONE_PLAIN, "%s / %s", span(row, "key_age_ms", "-", age),
                 span(row, "interval_ms", "?", interval));
    rk_table_add(t, RK_TONE_PLAIN, "%s", span(row, "next_ms", "-", next));
    rk_table_add(t, RK_TONE_PLAIN, "%lld", (long long)rk_row_int(row, "rotations", 0));
    rk_table_add(t, failed ? RK_TONE_WARN : RK_TONE_PLAIN, "%lld", failed);
    add_last(t, json_object_get(row, "last"));
    add_alarms(t, row);
}

/* ---- one link ---- */

static void
detail(const struct rk_cli_io *io, enum rk_tone tone, const char *name, const char *text)
{
    char *safe = rk_show_safe(text, io->utf8);

    fprintf(io->out, "  %-11s%s%s%s\n", name, rk_tone_on(io, tone), safe ? safe : "?", rk_tone_off(io, tone));
    free(safe);
}

static void
detail_key(const struct rk_cli_io *io, const json_t *row)
{
    char age[RK_SPAN_MAX], interval[RK_SPAN_MAX], next[RK_SPAN_MAX], line[300];

    snprintf(line, sizeof line, "%s, seq %lld", rk_row_text(row, "key_id", "none"),
             (long long)rk_row_int(row, "seq", 0));
    detail(io, RK_TONE_PLAIN, "key", line);
    snprintf(line, sizeof line, "%s of %s, next in %s", span(row, "key_age_ms", "-", age),
             span(row, "interval_ms", "?", interval), span(row, "next_ms", "-", next));
    detail(io, RK_TONE_PLAIN, "age", line);
}

/* The class as the device shows it; a device may be driven as another one than its plugin declares. */
static void
detail_device(const struct rk_cli_io *io, const json_t *row)
{
    const char *class = rk_row_text(row, "class", "?"), *declared = rk_row_text(row, "class_declared", class);
    bool differ = strcmp(class, declared) != 0;
    char line[300];

    snprintf(line, sizeof line, "%s, interface %s, class %s%s%s%s", rk_row_text(row, "device", "?"),
             rk_row_text(row, "interface", "?"), class, differ ? " (the plugin declares " : "", differ ? declared : "",
             differ ? ")" : "");
    detail(io, RK_TONE_PLAIN, "device", line);
}

/* Of one source: nothing to tell but its name.  Of several: which must give a part, and which gave one. */
static void
detail_sources(const struct rk_cli_io *io, const json_t *row)
{
    size_t n = json_array_size(json_object_get(row, "sources"));
    size_t used = json_array_size(json_object_get(row, "sources_used"));
    char names[120], line[400];

    rk_row_words(row, "sources", names, sizeof names);
    snprintf(line, sizeof line, "source%s %s%s%s, channel %s", n > 1 ? "s" : "",
             n > 1 ? names : rk_row_text(row, "source", "?"), n > 1 ? ", require " : "",
             n > 1 ? rk_row_text(row, "require", "?") : "", rk_row_text(row, "channel", "?"));
    detail(io, RK_TONE_PLAIN, "by", line);
    if (n < 2 || !used)
        return;
    rk_row_words(row, "sources_used", names, sizeof names);
    snprintf(line, sizeof line, "%s%s", names, used < n ? ": the key in use lacks a source" : "");
    detail(io, used < n ? RK_TONE_WARN : RK_TONE_GOOD, "mixed of", line);
}

/* A link that never had a key, or has lost all of them: what it waits for, and what helps. */
static void
detail_first(const struct rk_cli_io *io, const json_t *row)
{
    const json_t *first = json_object_get(row, "first_key");
    char since[RK_SPAN_MAX], line[700];

    if (!json_is_object(first))
        return;
    snprintf(line, sizeof line, "waited for since %s: %s", span(first, "since_ms", "?", since),
             rk_row_text(first, "waits_for", "?"));
    detail(io, RK_TONE_WARN, "first key", line);
    snprintf(line, sizeof line, "%s", rk_row_text(first, "do", ""));
    detail(io, RK_TONE_PLAIN, "remedy", line);
}

static void
detail_stale(const struct rk_cli_io *io, const json_t *row)
{
    const char *policy = rk_row_text(row, "on_stale", NULL);
    bool used = json_is_true(json_object_get(row, "fallback_in_use"));
    bool shut = json_is_true(json_object_get(row, "shut"));
    char after[RK_SPAN_MAX], line[300];

    if (!policy)
        return;
    if (strcmp(policy, "fallback") == 0)
        snprintf(line, sizeof line, "fallback to source %s%s", rk_row_text(row, "fallback_source", "?"),
                 used ? ": its key is in use" : "");
    else if (strcmp(policy, "shut") == 0)
        snprintf(line, sizeof line, "shut at the age of %s%s", span(row, "shut_after_ms", "?", after),
                 shut ? ": it is shut" : "");
    else
        snprintf(line, sizeof line, "%s%s", policy, shut ? ": it is shut" : "");
    detail(io, shut ? RK_TONE_BAD : used ? RK_TONE_WARN : RK_TONE_PLAIN, "on-stale", line);
}

static void
detail_results(const struct rk_cli_io *io, const json_t *row)
{
    const json_t *last = json_object_get(row, "last");
    const char *result = rk_row_text(last, "result", NULL), *why = rk_row_text(last, "why", "");
    char ago[RK_SPAN_MAX], line[700];

    snprintf(line, sizeof line, "%lld done, %lld failed, %lld orphaned keys",
             (long long)rk_row_int(row, "rotations", 0), (long long)rk_row_int(row, "failed", 0),
             (long long)rk_row_int(row, "orphaned", 0));
    detail(io, RK_TONE_PLAIN, "rotations", line);
    if (!result)
        snprintf(line, sizeof line, "none since rekeyd started");
    else
        snprintf(line, sizeof line, "%s%s%s, %s ago", result, why[0] ? ": " : "", why, span(last, "ago_ms", "?", ago));
    detail(io, result && strcmp(result, "ok") ? RK_TONE_WARN : RK_TONE_PLAIN, "last", line);
}

/* What its source has, as far as that is known; and what follows when it is short. */
static void
detail_supply(const struct rk_cli_io *io, const json_t *row)
{
    int64_t interval_ms = rk_row_int(row, "interval_ms", 0), now_ms = rk_row_int(row, "stretched_ms", interval_ms);
    char ends[RK_SPAN_MAX], stretched[RK_SPAN_MAX], line[300];
    size_t n = 0;

    if (!rk_row_has_int(row, "pool_stored") && !rk_row_has_int(row, "pool_ends_ms") && now_ms <= interval_ms)
        return;
    if (rk_row_has_int(row, "pool_stored"))
        n += (size_t)snprintf(line, sizeof line, "%lld stored", (long long)rk_row_int(row, "pool_stored", 0));
    else
        n += (size_t)snprintf(line, sizeof line, "not known how many are stored");
    if (rk_row_has_int(row, "pool_ends_ms"))
        n += (size_t)snprintf(line + n, sizeof line - n, ", the last in %s", span(row, "pool_ends_ms", "?", ends));
    if (now_ms > interval_ms)
        snprintf(line + n, sizeof line - n, ", interval stretched to %s", span(row, "stretched_ms", "?", stretched));
    detail(io, now_ms > interval_ms ? RK_TONE_WARN : RK_TONE_PLAIN, "keys", line);
}

static void
detail_peer(const struct rk_cli_io *io, const json_t *row)
{
    const json_t *peer = json_object_get(row, "peer");
    char ago[RK_SPAN_MAX], line[300];

    if (!json_is_object(peer))
        snprintf(line, sizeof line, "%s, not heard yet", rk_row_text(row, "peer_sae", "?"));
    else
        snprintf(line, sizeof line, "%s, %s, %s, seq %lld, heard %s ago", rk_row_text(row, "peer_sae", "?"),
                 rk_row_text(peer, "role", "?"), rk_row_text(peer, "phase", "?"),
                 (long long)rk_row_int(peer, "seq", 0), span(peer, "heard_ms", "never:", ago));
    detail(io, RK_TONE_PLAIN, "peer", line);
}

static void
detail_refused(const struct rk_cli_io *io, const json_t *row)
{
    const json_t *refused = json_object_get(row, "refused");
    char ago[RK_SPAN_MAX], line[300];

    if (!json_is_object(refused))
        return;
    snprintf(line, sizeof line, "%lld records, the last %s ago: %s", (long long)rk_row_int(refused, "records", 0),
             span(refused, "ago_ms", "?", ago), rk_row_text(refused, "why", "?"));
    detail(io, RK_TONE_WARN, "refused", line);
}

static void
detail_skew(const struct rk_cli_io *io, const json_t *row)
{
    const json_t *skew = json_object_get(row, "skew");
    long long ms = rk_row_int(skew, "switched_ms", 0);
    char line[300];

    if (!json_is_object(skew))
        return;
    snprintf(line, sizeof line, "the peer switched %lld ms %s; both had the key %lld ms before that",
             ms < 0 ? -ms : ms, ms < 0 ? "sooner" : "later", (long long)rk_row_int(skew, "margin_ms", 0));
    detail(io, RK_TONE_PLAIN, "skew", line);
}

static void
detail_path(const struct rk_cli_io *io, const json_t *path)
{
    const char *error = rk_row_text(path, "error", ""), *neighbour = rk_row_text(path, "neighbour", "");
    const json_t *refused = json_object_get(path, "refused");
    bool stale = json_is_true(json_object_get(path, "stale"));
    char ago[RK_SPAN_MAX], line[500];
    int n = snprintf(line, sizeof line, "%s: ", rk_row_text(path, "channel", "?"));

    if (rk_row_has_int(path, "heard_ms"))
        n += snprintf(line + n, sizeof line - (size_t)n, "heard %s ago", span(path, "heard_ms", "?", ago));
    else
        n += snprintf(line + n, sizeof line - (size_t)n, "not heard yet");
    if (json_is_object(refused))
        n += snprintf(line + n, sizeof line - (size_t)n, ", %lld refused",
                      (long long)rk_row_int(refused, "records", 0));
    if (stale)
        n += snprintf(line + n, sizeof line - (size_t)n, ", stale");
    if (error[0] || neighbour[0])
        snprintf(line + n, sizeof line - (size_t)n, ", %.330s", neighbour[0] ? neighbour : error);
    detail(io, stale || error[0] || neighbour[0] ? RK_TONE_WARN : RK_TONE_PLAIN, "path", line);
}

/* Of a link with one way that works, the line about the peer says it all. */
static void
detail_paths(const struct rk_cli_io *io, const json_t *row)
{
    const json_t *paths = json_object_get(row, "paths"), *path;
    size_t i;

    json_array_foreach(paths, i, path)
        if (json_array_size(paths) > 1 || rk_row_text(path, "error", "")[0] || rk_row_text(path, "neighbour", "")[0])
            detail_path(io, path);
}

/* Only what ends soon, or has ended, is in the row. */
static void
detail_expires(const struct rk_cli_io *io, const json_t *row)
{
    const json_t *expires = json_object_get(row, "expires");
    char line[300];

    if (!json_is_object(expires))
        return;
    snprintf(line, sizeof line, "%s at %s, %s", rk_row_text(expires, "what", "?"),
             rk_row_text(expires, "instance", "?"), rk_row_text(expires, "time", "?"));
    detail(io, RK_TONE_WARN, strcmp(rk_row_text(expires, "state", ""), "over") ? "ends" : "ended", line);
}

static void
print_detail(const struct rk_cli_io *io, const json_t *row)
{
    const char *state = rk_row_text(row, "state", "?"), *phase = rk_row_text(row, "phase", state);
    char line[300];
    char *name = rk_show_safe(rk_row_text(row, "link", "?"), io->utf8);

    fprintf(io->out, "%s\n", name ? name : "?");
    free(name);
    snprintf(line, sizeof line, "%s of end %s", rk_row_text(row, "role", "?"), rk_row_text(row, "end", "?"));
    detail(io, RK_TONE_PLAIN, "role", line);
    snprintf(line, sizeof line, "%s, phase %s", state, phase);
    detail(io, state_tone(state), "state", strcmp(state, phase) ? line : state);
    detail_device(io, row);
    detail_sources(io, row);
    detail_key(io, row);
    detail_first(io, row);
    detail_stale(io, row);
    detail_supply(io, row);
    detail_results(io, row);
    detail_peer(io, row);
    detail_paths(io, row);
    detail_skew(io, row);
    detail_refused(io, row);
    detail_expires(io, row);
    rk_row_words(row, "alarms", line, sizeof line);
    detail(io, line[0] ? RK_TONE_BAD : RK_TONE_GOOD, "alarms", line[0] ? line : "none");
}

/* ---- a round ---- */

static void
take_row(json_t *row, void *arg)
{
    struct round *r = arg;
    json_t *daemon = json_object_get(row, "daemon");

    if (daemon) {
        json_decref(r->daemon);
        r->daemon = json_incref(daemon);
        return;
    }
    rk_sum_link(&r->sum, row);
    if (r->o->json) {
        fputs(r->n ? "," : "", r->io->out);
        fputs(r->o->watch_ms ? "" : "\n", r->io->out);
        rk_cli_json(r->io, row);
    } else if (r->o->arg) {
        if (r->n)
            putc('\n', r->io->out);
        print_detail(r->io, row);
    } else {
        add_link(&r->table, row);
    }
    r->n++;
}

static void
end_json(const struct round *r)
{
    fputs("],\"daemon\":", r->io->out);
    if (r->daemon)
        rk_cli_json(r->io, r->daemon);
    else
        fputs("null", r->io->out);
    fputs("}\n", r->io->out);
}

static void
end_text(struct round *r)
{
    /* A live table keeps its last lines, the sums, on the screen. */
    size_t max_rows = r->o->watch_ms && r->io->lines > 6 ? (size_t)r->io->lines - 6 : 0;

    if (!r->o->arg && r->table.n)
        rk_table_print(&r->table, r->io, max_rows);
    if (!r->o->arg)
        rk_sum_print(&r->sum, r->io);
    if (r->o->arg && r->daemon)
        putc('\n', r->io->out);
    rk_sum_daemon(r->daemon, r->io);
    if (r->table.failed)
        fprintf(r->io->err, "rekeyctl: out of memory: the table is not whole\n");
}

/* One question and its answer, written to io. */
static int
run_round(const struct rk_cli_opts *o, const struct rk_cli_io *io)
{
    struct round r = {.o = o, .io = io};
    int code;

    rk_table_start(&r.table, columns, sizeof columns / sizeof columns[0], io->utf8);
    if (o->json)
        fputs("{\"links\":[", io->out);
    code = rk_cli_ask(o, io, "status", take_row, &r, NULL);
    if (o->json)
        end_json(&r);
    else if (code == RK_CLI_OK || r.n)
        end_text(&r);
    if (code == RK_CLI_OK && r.table.failed)
        code = RK_CLI_FAILED;
    if (code == RK_CLI_OK && o->check_alarms && (r.sum.alarmed || !rk_sum_daemon_ok(r.daemon)))
        code = RK_CLI_ALARM;
    rk_table_free(&r.table);
    json_decref(r.daemon);
    return code;
}

/* A round into memory, then to the screen in one go, so that a live table does not flicker. */
static int
run_buffered(const struct rk_cli_opts *o, struct rk_cli_io *io)
{
    struct rk_cli_io inner = *io;
    char *text = NULL;
    size_t len = 0;
    int code;

    inner.out = open_memstream(&text, &len);
    if (!inner.out) {
        fprintf(io->err, "rekeyctl: out of memory\n");
        return RK_CLI_FAILED;
    }
    if (o->watch_ms && io->terminal && !o->json) {
        fputs("\033[H\033[J", inner.out);
        inner.err = inner.out;
    }
    code = run_round(o, &inner);
    if (fclose(inner.out) != 0)
        code = RK_CLI_FAILED;
    if (text && (code != RK_CLI_NO_DAEMON || inner.err != io->err))
        fwrite(text, 1, len, io->out);
    free(text);
    return code;
}

int
rk_cli_status(struct rk_cli_opts *o, struct rk_cli_io *io)
{
    struct timespec pause = {.tv_sec = o->watch_ms / 1000, .tv_nsec = o->watch_ms % 1000 * 1000000};

    if (!o->watch_ms)
        return run_buffered(o, io);
    do {
        run_buffered(o, io);
        if (fflush(io->out) != 0)
            return RK_CLI_FAILED;
    } while (nanosleep(&pause, NULL) == 0);
    return RK_CLI_OK;
}
