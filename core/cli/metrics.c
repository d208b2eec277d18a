/* metrics.c - rekeyctl metrics: what the daemon knows, as OpenMetrics text, or as a JSON array of samples.
 *
 * Runs in rekeyctl.  The samples of one family must stand together, and rows come link by link: so each family is
 * written into memory of its own.  Nothing is told of an answer that was not whole, for a counter that is missing looks
 * like a link that is gone.
 */
#include "ask.h"
#include "row.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* All alarms, as each is told for each link; a test compares them with those of the daemon. */
static const char *const alarms[] = {
    "DUE", "OVERDUE", "EXPIRED", "ROLE-CONFLICT", "FOREIGN", "SPLIT", "NO-PEER", "JOURNAL", "DEVICE", "SOURCE",
    "UNPROTECTED", "CLOCK-SKEW", "SOURCE-DRY", "FALLBACK-IN-USE", "UNPROVED", "CERT-EXPIRY", "MIX-REDUCED", "PATH",
    "NEIGHBOUR", "RESET-PEER",
};
#define N_ALARMS (sizeof alarms / sizeof *alarms)

enum family {
    UP, BUILD_INFO, UPTIME, JOURNAL_OK, LINKS,
    LINK_INFO, LINK_STATE, LINK_ALARM, LINK_AGE, LINK_INTERVAL, LINK_NEXT, LINK_SEQ, LINK_ROTATIONS, LINK_FAILED,
    LINK_ORPHANED, LINK_SKEW, LINK_MARGIN, LINK_HEARD, LINK_REFUSED,
    PATH_HEARD, PATH_STALE, PATH_FAILING, PATH_REFUSED,
    SOURCE_STATE, SOURCE_LINKS, SOURCE_WAITING, SOURCE_STORED, SOURCE_REFILL, SOURCE_USE, SOURCE_ENDS, SOURCE_DRY,
    SOURCE_STRETCH, SOURCE_CALLS, SOURCE_FAILED, SOURCE_KEYS, SOURCE_ORPHANED, SOURCE_WASTED,
    PLUGIN_UP, PLUGIN_RESTARTS, PLUGIN_CALLS, PLUGIN_IN_FLIGHT, PLUGIN_REFUSED, INSTANCE_INFO, CREDENTIAL_ENDS,
    N_FAMILIES
};

/* Names as Prometheus has them: base units; what only grows ends with _total, which is added. */
static const struct {
    const char *name;
    bool counter;
    const char *help;
} families[N_FAMILIES] = {
    [UP] = {"rekeyd_up", false, "Whether rekeyd answered; if not, nothing else is told."},
    [BUILD_INFO] = {"rekeyd_build_info", false, "Always 1; the version of rekeyd, and its SAE ID."},
    [UPTIME] = {"rekeyd_uptime_seconds", false, "Time since rekeyd was started; its counters begin then."},
    [JOURNAL_OK] = {"rekeyd_journal_ok", false, "Whether the journal can be written."},
    [LINKS] = {"rekeyd_links", false, "Links in the configuration."},
    [LINK_INFO] = {"rekeyd_link_info", false, "Always 1; what the end of the link is made of."},
    [LINK_STATE] = {"rekeyd_link_state", false, "1 for the state that the end is in; no other one is told."},
    [LINK_ALARM] = {"rekeyd_link_alarm", false, "Whether this alarm is raised."},
    [LINK_AGE] = {"rekeyd_link_key_age_seconds", false, "Age of the key in use; none without a key."},
    [LINK_INTERVAL] = {"rekeyd_link_interval_seconds", false, "How old a key is meant to become."},
    [LINK_NEXT] = {"rekeyd_link_next_rotation_seconds", false, "Time until the next rotation; of a master only."},
    [LINK_SEQ] = {"rekeyd_link_seq", false, "Number of the last rotation."},
    [LINK_ROTATIONS] = {"rekeyd_link_rotations", true, "Rotations that were done."},
    [LINK_FAILED] = {"rekeyd_link_failed_rotations", true, "Rotations that were given up."},
    [LINK_ORPHANED] = {"rekeyd_link_orphaned_keys", true, "Keys that were asked for, and never seen."},
    [LINK_SKEW] = {"rekeyd_link_skew_seconds", false,
                   "How much later than this end the peer began to transmit on the last key."},
    [LINK_MARGIN] = {"rekeyd_link_margin_seconds", false, "How long both ends had the last key before it was used."},
    [LINK_HEARD] = {"rekeyd_link_peer_heard_seconds", false, "Time since the peer was heard."},
    [LINK_REFUSED] = {"rekeyd_link_refused_records", true, "Records that were not believed."},
    [PATH_HEARD] = {"rekeyd_link_channel_heard_seconds", false, "Time since a record came on this channel."},
    [PATH_STALE] = {"rekeyd_link_channel_stale", false, "Whether this channel is behind the link's others."},
    [PATH_FAILING] = {"rekeyd_link_channel_failing", false, "Whether nothing can be sent on this channel."},
    [PATH_REFUSED] = {"rekeyd_link_channel_refused_records", true, "Records of this channel that were not believed."},
    [SOURCE_STATE] = {"rekeyd_source_state", false, "1 for the state that the source is in; no other one is told."},
    [SOURCE_LINKS] = {"rekeyd_source_links", false, "Links that take new keys of the source."},
    [SOURCE_WAITING] = {"rekeyd_source_waiting_links", false, "Links that are due, and wait for the source."},
    [SOURCE_STORED] = {"rekeyd_source_stored_keys", false, "Keys that there are, as the source says."},
    [SOURCE_REFILL] = {"rekeyd_source_refill_keys_per_second", false, "Keys that come, when that is known."},
    [SOURCE_USE] = {"rekeyd_source_use_keys_per_second", false, "Keys that the links would use at their intervals."},
    [SOURCE_ENDS] = {"rekeyd_source_ends_seconds", false, "Time until the keys end at the links' intervals."},
    [SOURCE_DRY] = {"rekeyd_source_dry", false, "Whether the keys end soon, or have ended."},
    [SOURCE_STRETCH] = {"rekeyd_source_stretch_ratio", false, "By how much intervals are stretched to save keys."},
    [SOURCE_CALLS] = {"rekeyd_source_calls", true, "Requests for keys."},
    [SOURCE_FAILED] = {"rekeyd_source_failed_calls", true, "Requests that brought no key."},
    [SOURCE_KEYS] = {"rekeyd_source_keys", true, "New keys."},
    [SOURCE_ORPHANED] = {"rekeyd_source_orphaned_keys", true, "Keys that may have been taken without being seen."},
    [SOURCE_WASTED] = {"rekeyd_source_wasted_keys", true, "Keys that came and could not be used."},
    [PLUGIN_UP] = {"rekeyd_plugin_up", false, "Whether the plugin's process is up."},
    [PLUGIN_RESTARTS] = {"rekeyd_plugin_restarts", true, "Times that the plugin's process was started again."},
    [PLUGIN_CALLS] = {"rekeyd_plugin_calls", true, "Calls to the plugin."},
    [PLUGIN_IN_FLIGHT] = {"rekeyd_plugin_calls_in_flight", false, "Calls that are under way."},
    [PLUGIN_REFUSED] = {"rekeyd_plugin_refused_records", true, "Records of its channels that were not believed."},
    [INSTANCE_INFO] = {"rekeyd_plugin_instance_info", false, "Always 1; a source, device or channel of the plugin."},
    [CREDENTIAL_ENDS] = {"rekeyd_credential_end_timestamp_seconds", false,
                         "When the credential ends that ends first, as Unix time."},
};

struct metrics {
    const struct rk_cli_io *io;
    bool json, failed;
    struct {
        FILE *out;
        char *text; /* owned, once out is closed */
        size_t len;
    } of[N_FAMILIES];
};

/* ---- one sample ---- */

static void
put_label(FILE *out, const char *name, const char *value)
{
    fprintf(out, "%s=\"", name);
    for (; *value; value++)
        if (*value == '\n')
            fputs("\\n", out);
        else if (*value == '"' || *value == '\\')
            fprintf(out, "\\%c", *value);
        else
            putc(*value, out);
    putc('"', out);
}

/* Name and value of each label, as a JSON object. */
static json_t *
labels_of(va_list ap)
{
    json_t *labels = json_object();
    const char *name;

    while ((name = va_arg(ap, const char *)))
        json_object_set_new(labels, name, json_string(va_arg(ap, const char *)));
    return labels;
}

static void
put_text(FILE *out, enum family f, json_t *labels, double value)
{
    const char *name, *next = "{";
    json_t *label;

    fprintf(out, "%s%s", families[f].name, families[f].counter ? "_total" : "");
    json_object_foreach(labels, name, label) {
        fputs(next, out);
        put_label(out, name, json_string_value(label));
        next = ",";
    }
    fprintf(out, "%s %.15g\n", json_object_size(labels) ? "}" : "", value);
}

/* Labels: name and value, in turn; NULL. */
static void __attribute__((sentinel))
sample(struct metrics *m, enum family f, double value, ...)
{
    struct rk_cli_io io = *m->io;
    json_t *labels;
    va_list ap;

    if (!m->of[f].out && !(m->of[f].out = open_memstream(&m->of[f].text, &m->of[f].len))) {
        m->failed = true;
        return;
    }
    va_start(ap, value);
    labels = labels_of(ap);
    va_end(ap);
    io.out = m->of[f].out;
    m->failed = m->failed || !labels;
    if (labels && m->json) {
        json_t *row = json_pack("{ss+ sO sf}", "metric", families[f].name, families[f].counter ? "_total" : "",
                                "labels", labels, "value", value);

        fputs(",\n", io.out);
        rk_cli_json(&io, row);
        m->failed = m->failed || !row;
        json_decref(row);
    } else if (labels) {
        put_text(io.out, f, labels, value);
    }
    json_decref(labels);
}

/* ---- rows ---- */

/* A number of a row, times unit; what is null or not there is not told. */
static bool
number(const json_t *row, const char *name, double unit, double *value)
{
    const json_t *n = json_object_get(row, name);

    *value = json_number_value(n) * unit;
    return json_is_number(n);
}

/* The records that were refused: null when there are none. */
static double
refused(const json_t *row)
{
    return (double)rk_row_int(json_object_get(row, "refused"), "records", 0);
}

struct wanted {
    enum family family;
    const char *name;
    double unit;
};

#define MS 0.001

static void
daemon_row(struct metrics *m, const json_t *daemon)
{
    double value;

    sample(m, BUILD_INFO, 1, "version", rk_row_text(daemon, "version", ""), "sae", rk_row_text(daemon, "sae", ""),
           NULL);
    if (number(daemon, "uptime_ms", MS, &value))
        sample(m, UPTIME, value, NULL);
    sample(m, JOURNAL_OK, strcmp(rk_row_text(daemon, "journal", ""), "ok") == 0, NULL);
    if (number(daemon, "links", 1, &value))
        sample(m, LINKS, value, NULL);
}

static bool
raised(const json_t *row, const char *alarm)
{
    const json_t *list = json_object_get(row, "alarms");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));

        if (name && strcmp(name, alarm) == 0)
            return true;
    }
    return false;
}

static void
path_rows(struct metrics *m, const json_t *row, const char *link, const char *end)
{
    const json_t *list = json_object_get(row, "paths");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *path = json_array_get(list, i);
        const char *channel = rk_row_text(path, "channel", "");
        bool failing = json_is_string(json_object_get(path, "error"));
        double value;

        if (number(path, "heard_ms", MS, &value))
            sample(m, PATH_HEARD, value, "link", link, "end", end, "channel", channel, NULL);
        sample(m, PATH_STALE, json_is_true(json_object_get(path, "stale")), "link", link, "end", end, "channel",
               channel, NULL);
        sample(m, PATH_FAILING, failing, "link", link, "end", end, "channel", channel, NULL);
        sample(m, PATH_REFUSED, refused(path), "link", link, "end", end, "channel", channel, NULL);
    }
}

static void
link_numbers(struct metrics *m, const json_t *row, const char *link, const char *end)
{
    static const struct wanted all[] = {
        {LINK_AGE, "key_age_ms", MS},   {LINK_INTERVAL, "interval_ms", MS}, {LINK_NEXT, "next_ms", MS},
        {LINK_SEQ, "seq", 1},           {LINK_ROTATIONS, "rotations", 1},   {LINK_FAILED, "failed", 1},
        {LINK_ORPHANED, "orphaned", 1},
    };
    double value;

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (number(row, all[i].name, all[i].unit, &value))
            sample(m, all[i].family, value, "link", link, "end", end, NULL);
    if (number(json_object_get(row, "skew"), "switched_ms", MS, &value))
        sample(m, LINK_SKEW, value, "link", link, "end", end, NULL);
    if (number(json_object_get(row, "skew"), "margin_ms", MS, &value))
        sample(m, LINK_MARGIN, value, "link", link, "end", end, NULL);
    if (number(json_object_get(row, "peer"), "heard_ms", MS, &value))
        sample(m, LINK_HEARD, value, "link", link, "end", end, NULL);
    sample(m, LINK_REFUSED, refused(row), "link", link, "end", end, NULL);
}

static void
status_row(json_t *row, void *arg)
{
    const char *link = rk_row_text(row, "link", ""), *end = rk_row_text(row, "end", "");
    const json_t *daemon = json_object_get(row, "daemon");
    struct metrics *m = arg;

    if (daemon) {
        daemon_row(m, daemon);
        return;
    }
    sample(m, LINK_INFO, 1, "link", link, "end", end, "role", rk_row_text(row, "role", ""), "device",
           rk_row_text(row, "device", ""), "interface", rk_row_text(row, "interface", ""), "source",
           rk_row_text(row, "source", ""), "channel", rk_row_text(row, "channel", ""), "peer_sae",
           rk_row_text(row, "peer_sae", ""), "class", rk_row_text(row, "class", ""), NULL);
    sample(m, LINK_STATE, 1, "link", link, "end", end, "state", rk_row_text(row, "state", ""), NULL);
    for (size_t i = 0; i < N_ALARMS; i++)
        sample(m, LINK_ALARM, raised(row, alarms[i]), "link", link, "end", end, "alarm", alarms[i], NULL);
    link_numbers(m, row, link, end);
    path_rows(m, row, link, end);
}

static void
source_row(json_t *row, void *arg)
{
    static const struct wanted all[] = {
        {SOURCE_LINKS, "links", 1},          {SOURCE_WAITING, "waiting", 1}, {SOURCE_STORED, "stored", 1},
        {SOURCE_REFILL, "refill_per_s", 1},  {SOURCE_USE, "use_per_s", 1},   {SOURCE_ENDS, "ends_ms", MS},
        {SOURCE_STRETCH, "stretch", 1},      {SOURCE_CALLS, "calls", 1},     {SOURCE_FAILED, "failed", 1},
        {SOURCE_KEYS, "keys", 1},            {SOURCE_ORPHANED, "orphaned", 1},
    };
    const char *source = rk_row_text(row, "source", ""), *peer = rk_row_text(row, "peer_sae", "");
    struct metrics *m = arg;
    double value;

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (number(row, all[i].name, all[i].unit, &value))
            sample(m, all[i].family, value, "source", source, "peer_sae", peer, NULL);
    sample(m, SOURCE_DRY, json_is_true(json_object_get(row, "dry")), "source", source, "peer_sae", peer, NULL);
    sample(m, SOURCE_STATE, 1, "source", source, "peer_sae", peer, "state", rk_row_text(row, "state", ""), NULL);
}

static void
plugin_lists(struct metrics *m, const json_t *row, const char *plugin, const char *kind)
{
    const json_t *names = json_object_get(row, "instances"), *ends = json_object_get(row, "expires");
    json_t *wasted = json_object_get(row, "wasted"), *n;
    const char *source;
    double value;

    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));

        sample(m, INSTANCE_INFO, 1, "plugin", plugin, "kind", kind, "instance", name ? name : "", NULL);
    }
    for (size_t i = 0; i < json_array_size(ends); i++) {
        const json_t *end = json_array_get(ends, i);

        if (number(end, "unix_s", 1, &value))
            sample(m, CREDENTIAL_ENDS, value, "plugin", plugin, "instance", rk_row_text(end, "instance", ""), "what",
                   rk_row_text(end, "what", ""), NULL);
    }
    json_object_foreach(wasted, source, n)
        sample(m, SOURCE_WASTED, json_number_value(n), "source", source, NULL);
}

static void
plugin_row(json_t *row, void *arg)
{
    static const struct wanted all[] = {
        {PLUGIN_RESTARTS, "restarts", 1}, {PLUGIN_CALLS, "calls", 1}, {PLUGIN_IN_FLIGHT, "in_flight", 1}};
    const char *plugin = rk_row_text(row, "plugin", ""), *kind = rk_row_text(row, "kind", "");
    struct metrics *m = arg;
    double value;

    sample(m, PLUGIN_UP, strcmp(rk_row_text(row, "state", ""), "up") == 0, "plugin", plugin, "kind", kind, NULL);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (number(row, all[i].name, all[i].unit, &value))
            sample(m, all[i].family, value, "plugin", plugin, "kind", kind, NULL);
    if (strcmp(kind, "channel") == 0)
        sample(m, PLUGIN_REFUSED, refused(row), "plugin", plugin, "kind", kind, NULL);
    plugin_lists(m, row, plugin, kind);
}

/* ---- all of it ---- */

static void
put_head(const struct metrics *m, enum family f)
{
    static const char *const units[] = {"seconds", "ratio"};
    const char *name = families[f].name;
    FILE *out = m->io->out;

    fprintf(out, "# TYPE %s %s\n", name, families[f].counter ? "counter" : "gauge");
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        const char *unit = strrchr(name, '_') + 1;

        if (strcmp(unit, units[i]) == 0)
            fprintf(out, "# UNIT %s %s\n", name, unit);
    }
    fprintf(out, "# HELP %s %s\n", name, families[f].help);
}

/* The text of a family is whole once its stream is closed. */
static void
close_family(struct metrics *m, enum family f)
{
    if (m->of[f].out && (fclose(m->of[f].out) != 0 || !m->of[f].text))
        m->failed = true;
    m->of[f].out = NULL;
}

/* Write the families that have a sample, or of an answer that was not whole only that; free them all. */
static void
put_all(struct metrics *m, bool whole)
{
    FILE *out = m->io->out;
    bool first = true;

    fputs(m->json ? "[" : "", out);
    for (enum family f = 0; f < N_FAMILIES; f++) {
        const char *text = whole || f == UP ? m->of[f].text : NULL;

        if (text && !m->json)
            put_head(m, f);
        if (text)
            fputs(text + (m->json && first), out); /* without the comma before the very first */
        first = first && !text;
        free(m->of[f].text);
    }
    fputs(m->json ? "\n]\n" : "# EOF\n", out);
}

int
rk_cli_metrics(struct rk_cli_opts *o, struct rk_cli_io *io)
{
    struct metrics m = {.io = io, .json = o->json};
    int code = rk_cli_ask(o, io, "status", status_row, &m, NULL);

    if (code == RK_CLI_OK)
        code = rk_cli_ask(o, io, "sources", source_row, &m, NULL);
    if (code == RK_CLI_OK)
        code = rk_cli_ask(o, io, "plugins", plugin_row, &m, NULL);
    for (enum family f = 0; f < N_FAMILIES; f++)
        close_family(&m, f);
    if (m.failed && code == RK_CLI_OK) {
        fprintf(io->err, "rekeyctl: out of memory: the metrics are not whole\n");
        code = RK_CLI_FAILED;
    }
    sample(&m, UP, code == RK_CLI_OK, NULL);
    close_family(&m, UP);
    put_all(&m, code == RK_CLI_OK);
    return code;
}
