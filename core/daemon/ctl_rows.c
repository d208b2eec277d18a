/* ctl_rows.c - what rekeyctl shows, as JSON objects.  The members are documented in rekeyctl(8). */
#include "carry.h"
#include "discover.h"
#include "path.h"
#include "ratchet.h"
#include "source_pool.h"

#include "../base/err.h"
#include "../model/end_class.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPLAIN_BYTES 2000 /* a few sentences */

static char *
text_of(json_t *row)
{
    char *text = row ? json_dumps(row, JSON_COMPACT) : NULL;

    json_decref(row);
    return text;
}

static json_t *
text_or_null(const char *s)
{
    return s && s[0] ? json_string(s) : json_null();
}

static json_t *
ms_or_null(int64_t ns)
{
    return ns < 0 ? json_null() : json_integer(ns / RK_NS_PER_MS);
}

static json_t *
alarms_of(const struct end *end, int64_t now_ns)
{
    uint32_t alarms = end_alarms(end, now_ns);
    json_t *list = json_array();

    for (uint32_t bit = 1; alarms; bit <<= 1)
        if (alarms & bit) {
            json_array_append_new(list, json_string(rk_alarm_name(bit)));
            alarms &= ~bit;
        }
    return list;
}

static json_t *
last_of(const struct rk_end *e, int64_t now_ns)
{
    if (e->last_ns == 0)
        return json_null();
    return json_pack("{ss ss sI}", "result", rk_err_name(e->last_err), "why", e->last_why, "ago_ms",
                     (json_int_t)((now_ns - e->last_ns) / RK_NS_PER_MS));
}

static json_t *
peer_of(const struct rk_end *e, int64_t now_ns)
{
    if (e->peer.role == 0)
        return json_null();
    return json_pack("{sI ss ss sI}", "heard_ms", (json_int_t)((now_ns - e->heard_ns) / RK_NS_PER_MS), "role",
                     e->peer.role == RK_MASTER ? "master" : "slave", "phase", rk_say_name(e->peer.say), "seq",
                     (json_int_t)e->peer.seq);
}

static json_t *
refused_of(const struct refusals *r, int64_t now_ns)
{
    if (!r || r->n == 0)
        return json_null();
    return json_pack("{sI ss sI}", "records", (json_int_t)r->n, "why", r->why, "ago_ms",
                     (json_int_t)((now_ns - r->at_ns) / RK_NS_PER_MS));
}

/* The names of its channels, as the configuration has them: "lldp", "lldp,site-b". */
static const char *
channels_of(const struct end *end, char names[RK_PATHS_MAX * (RK_NAME_MAX + 1)])
{
    size_t len = 0;

    strcpy(names, "local");
    for (const struct path *p = end->paths; p; p = p->next)
        len += (size_t)sprintf(names + len, "%s%s", len ? "," : "", p->channel->conf->name);
    return names;
}

static json_t *
path_row(const struct path *p, int64_t now_ns)
{
    const struct path_trouble *t = p->trouble;

    return json_pack("{ss so so so sb so so so}", "channel", p->channel->conf->name, "heard_ms",
                     ms_or_null(p->heard_ns ? now_ns - p->heard_ns : -1), "phase",
                     p->heard_ns || p->late_ns ? json_string(rk_say_name(p->say)) : json_null(), "seq",
                     p->heard_ns || p->late_ns ? json_integer((json_int_t)p->seq) : json_null(), "stale",
                     path_stale(p, now_ns), "error", text_or_null(t ? t->why : NULL), "neighbour",
                     text_or_null(p->neighbour && path_neighbour_now(p, now_ns) ? p->neighbour->why : NULL), "refused",
                     refused_of(p->refused, now_ns));
}

/* How far apart the ends were in the last rotation that is known whole, and how long both had the key before. */
static json_t *
skew_of(const struct rk_end *e)
{
    const struct rk_skew *s = &e->skew;

    if (s->seq == 0)
        return json_null();
    return json_pack("{sI sI sI sI}", "seq", (json_int_t)s->seq, "staged_ms", (json_int_t)(s->staged_ns / RK_NS_PER_MS),
                     "switched_ms", (json_int_t)(s->switched_ns / RK_NS_PER_MS), "margin_ms",
                     (json_int_t)(s->margin_ns / RK_NS_PER_MS));
}

static json_t *
paths_of(const struct end *end, int64_t now_ns)
{
    json_t *list = json_array();

    for (const struct path *p = end->paths; p; p = p->next)
        json_array_append_new(list, path_row(p, now_ns));
    return list;
}

/* What is done when the key is too old, and what of it is done now. */
static void
add_policy(json_t *row, const struct end *end)
{
    static const char *const policies[] = {"hold", "fallback", "shut"}; /* enum rk_stale */
    const struct rk_end *e = end_see(end);
    bool shuts = e->on_stale == RK_STALE_SHUT;

    json_object_set_new(row, "on_stale", json_string(policies[e->on_stale]));
    json_object_set_new(row, "fallback_source", end->fallback ? json_string(end->fallback->conf->name) : json_null());
    json_object_set_new(row, "fallback_in_use", json_boolean(e->d.flags & RK_DF_FALLBACK));
    json_object_set_new(row, "shut_after_ms", shuts ? json_integer(end->conf->shut_after_ms) : json_null());
    json_object_set_new(row, "shut", json_boolean(e->d.flags & RK_DF_SHUT));
    json_object_set_new(row, "held", json_boolean(e->d.flags & RK_DF_HELD));
}

/* A credential of an instance, and when it ends. */
static json_t *
expires_of(const struct inst *inst)
{
    static const char *const states[] = {"none", "far", "soon", "over"}; /* enum rk_expiry */
    char time[RK_EXPIRY_TIME_MAX];

    if (!inst || inst->ends_unix_s == 0)
        return json_null();
    return json_pack("{ss ss sI ss ss}", "instance", inst->conf->name, "what", inst->ends_what, "unix_s",
                     (json_int_t)inst->ends_unix_s, "time", rk_expiry_time(inst->ends_unix_s, time), "state",
                     states[rk_expiry_state(rk_wall_now(), inst->ends_unix_s)]);
}

/* What its source's keys mean for it. */
static void
add_supply(json_t *row, const struct end *end, int64_t now_ns)
{
    const struct rk_supply *s = end_see(end)->supply;
    int64_t end_ns = s && s->end_ns != RK_NEVER ? (s->end_ns > now_ns ? s->end_ns - now_ns : 0) : -1;

    json_object_set_new(row, "priority", json_integer(end_see(end)->priority));
    json_object_set_new(row, "stretched_ms", ms_or_null(rk_end_interval_ns(end_see(end))));
    json_object_set_new(row, "pool_stored", s && end->pair->pool.stored >= 0 ? json_integer(end->pair->pool.stored)
                                                                              : json_null());
    json_object_set_new(row, "pool_ends_ms", ms_or_null(end_ns));
}

static json_t *
names_of(const struct inst *const *inst, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_string(inst[i]->conf->name));
    return list;
}

/* Where keys come from, and where the one in use came from, as far as that is known. */
static void
add_sources(json_t *row, const struct end *end)
{
    const struct inst *source[RK_PARTS_MAX];
    const struct rk_durable *d = &end_see(end)->d;
    size_t n = mix_sources(end, source), n_used = 0;

    json_object_set_new(row, "sources", names_of(source, n));
    json_object_set_new(row, "require", n < 2 ? json_null() : json_string(end_see(end)->require_any ? "any" : "all"));
    if (!d->cur[0])
        n_used = 0;
    else if (d->flags & RK_DF_FALLBACK)
        source[n_used++] = end->fallback;
    else
        n_used = n < 2 ? 1 : mix_used(end, d->cur, source);
    json_object_set_new(row, "sources_used", n_used && source[0] ? names_of(source, n_used) : json_null());
}

/* What helps a link that has no key yet, by what hinders it. */
static char *
first_key_remedy(const struct end *end, char *text, size_t size)
{
    const struct rk_end *e = end_see(end);
    const char *device = end->device->conf->name;
    bool refused = rk_err_class(e->last_err) == RK_CLASS_CONFIG;

    if (rk_end_starved(e))
        snprintf(text, size, "%s", alarm_remedy(RK_ALARM_SOURCE));
    else if (refused && inst_offers(end->device, RK_OFFERS_PREPARE))
        snprintf(text, size, "rekeyctl prepare %s shows what the device needs", device);
    else if (e->last_err || e->d.role == RK_SLAVE || e->peer.role)
        snprintf(text, size, "rekeyctl explain %s says what happens next", e->d.link);
    else
        snprintf(text, size, "%s", alarm_remedy(RK_ALARM_NO_PEER));
    return text;
}

static json_t *
first_key_of(const struct end *end, int64_t now_ns)
{
    const struct rk_end *e = end_see(end);
    char text[RK_TEXT_MAX];
    const char *what;
    int64_t since_ns;

    if (!rk_end_first_key(e, &since_ns, &what))
        return json_null();
    return json_pack("{sI ss ss}", "since_ms", (json_int_t)((now_ns - since_ns) / RK_NS_PER_MS), "waits_for", what,
                     "do", first_key_remedy(end, text, sizeof text));
}

char *
ctl_status_row(const struct end *end, int64_t now_ns)
{
    const struct rk_end *e = end_see(end);
    char channels[RK_PATHS_MAX * (RK_NAME_MAX + 1)];
    struct refusals refused;
    int64_t due_ns = rk_end_due_ns(e), next_ns = e->d.role == RK_MASTER && due_ns > now_ns ? due_ns - now_ns : -1;
    uint32_t declared = RK_CAP_CLASS(end->device->host->hello.caps);
    char which[2] = {e->d.end, '\0'};
    json_t *row;

    path_refused(end, &refused);
    row = json_pack(
        "{ss ss ss ss ss ss ss ss ss ss ss ss sI so so sI so sI sI sI so so so so}", "link", e->d.link, "end", which,
        "role", e->d.role == RK_MASTER ? "master" : "slave", "state", end_state(end), "phase",
        end_phase_name(e->d.phase), "device", end->device->conf->name,
        "interface", end_iface(end), "source", end->source->conf->name, "channel",
        channels_of(end, channels), "peer_sae", end_peer_sae(end), "class",
        rk_class_letter(e->class), "class_declared", rk_class_letter(declared), "seq", (json_int_t)e->d.seq, "key_id",
        text_or_null(e->d.cur), "key_age_ms", ms_or_null(rk_end_age_ns(e, now_ns)),
        "interval_ms", (json_int_t)end->conf->interval_ms, "next_ms", ms_or_null(next_ns), "rotations",
        (json_int_t)e->rotations, "failed", (json_int_t)e->failed, "orphaned", (json_int_t)e->orphaned, "last",
        last_of(e, now_ns), "alarms", alarms_of(end, now_ns), "peer", peer_of(e, now_ns), "refused",
        refused_of(&refused, now_ns));

    if (row) {
        json_object_set_new(row, "paths", paths_of(end, now_ns));
        json_object_set_new(row, "skew", skew_of(e));
        add_sources(row, end);
        add_policy(row, end);
        json_object_set_new(row, "expires", expires_of(expiry_of(end)));
        add_supply(row, end, now_ns);
        json_object_set_new(row, "first_key", first_key_of(end, now_ns));
        json_object_set_new(row, "ratchet", json_string(ratchet_name(end)));
    }
    return text_of(row);
}

/* Each alarm with the instance that it is about, and what helps. */
static json_t *
remedies_of(const struct end *end, int64_t now_ns)
{
    uint32_t alarms = end_alarms(end, now_ns);
    json_t *list = json_array();
    char renew[RK_WHY_MAX + RK_EXPIRY_TIME_MAX + 20];

    for (uint32_t bit = 1; alarms; bit <<= 1)
        if (alarms & bit) {
            const char *remedy =
                bit == RK_ALARM_CERT_EXPIRY ? expiry_remedy(end, renew, sizeof renew) : alarm_remedy(bit);

            json_array_append_new(list, json_pack("{ss so ss}", "alarm", rk_alarm_name(bit), "at",
                                                  text_or_null(alarm_place(end, bit)), "do", remedy));
            alarms &= ~bit;
        }
    return list;
}

char *
ctl_explain_row(const struct end *end, int64_t now_ns)
{
    const struct rk_end *e = end_see(end);
    char which[2] = {e->d.end, '\0'}, text[EXPLAIN_BYTES];

    rk_end_explain(e, now_ns, text, sizeof text);
    carry_explain(end, text, sizeof text);
    path_explain(end, now_ns, text, sizeof text);
    return text_of(json_pack("{ss ss ss ss ss so so}", "link", e->d.link, "end", which, "role",
                             e->d.role == RK_MASTER ? "master" : "slave", "state", end_state(end), "text", text,
                             "alarms", remedies_of(end, now_ns), "first_key",
                             first_key_of(end, now_ns)));
}

char *
ctl_daemon_row(const struct daemon *d, int64_t now_ns)
{
    return text_of(json_pack("{s{ss sI sI sI ss ss ss so}}", "daemon", "version", PACKAGE_VERSION, "pid",
                             (json_int_t)getpid(), "uptime_ms", (json_int_t)((now_ns - d->started_ns) / RK_NS_PER_MS),
                             "links", (json_int_t)d->conf->n_links, "journal",
                             d->journal_error[0] ? d->journal_error : "ok", "config", d->opt.config, "sae",
                             d->conf->sae, "discover", discover_rows(d, now_ns)));
}

static json_t *
caps_of(uint32_t caps)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } names[] = {{RK_CAP_PARALLEL, "parallel"}, {RK_CAP_FIXED, "fixed"}, {RK_CAP_BARE, "bare"},
                 {RK_CAP_NEEDS_NET, "net"}, {RK_CAP_NEEDS_NET_ADMIN, "net-admin"},
                 {RK_CAP_EXPERIMENTAL, "experimental"}};
    json_t *list = json_array();
    char class[] = "class-A";

    if (RK_CAP_CLASS(caps)) {
        class[sizeof class - 2] = (char)('A' + RK_CAP_CLASS(caps) - 1);
        json_array_append_new(list, json_string(class));
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (caps & names[i].bit)
            json_array_append_new(list, json_string(names[i].name));
    return list;
}

static const char *
host_state(const struct host *h)
{
    if (h->state == HOST_UP)
        return "up";
    if (h->state == HOST_STARTING)
        return "starting";
    if (h->state == HOST_STOPPED)
        return "stopped";
    return h->has_hello || h->failures < 5 ? "backoff" : "failed";
}

/* Of its instances those that are left alone. */
static json_t *
quarantine_of(const struct host *h)
{
    json_t *list = json_array();

    for (const struct inst *i = h->d->insts; i; i = i->next)
        if (i->host == h && !i->gone && blame_quarantined(i))
            json_array_append_new(list, json_pack("{ss sI sI}", "instance", i->conf->name, "left_ms",
                                                  (json_int_t)((i->blame.until_ns - rk_now_ns()) / RK_NS_PER_MS),
                                                  "times", (json_int_t)i->blame.times));
    return list;
}

static json_t *
instances_of(const struct host *h)
{
    json_t *list = json_array();

    for (const struct inst *i = h->d->insts; i; i = i->next)
        if (i->host == h && !i->gone)
            json_array_append_new(list, json_string(i->conf->name));
    return list;
}

/* Of its instances those that have stated when a credential ends. */
static json_t *
expire_list(const struct host *h)
{
    json_t *list = json_array();

    for (const struct inst *i = h->d->insts; i; i = i->next)
        if (i->host == h && !i->gone && i->ends_unix_s)
            json_array_append_new(list, expires_of(i));
    return list;
}

/* Of all channels of this plugin: how many in all, and the reason of the last one. */
static json_t *
refused_by(const struct host *h, int64_t now_ns)
{
    struct refusals all = {.n = 0};

    for (const struct inst *i = h->d->insts; i; i = i->next) {
        uint64_t n = all.n + i->refused.n;

        if (i->host != h || i->refused.n == 0)
            continue;
        if (i->refused.at_ns >= all.at_ns)
            all = i->refused;
        all.n = n;
    }
    return refused_of(&all, now_ns);
}

/* Why it does not work: the process, or an instance whose options it refused. */
static json_t *
error_of(const struct host *h)
{
    if (h->state != HOST_UP)
        return text_or_null(h->error);
    for (const struct inst *i = h->d->insts; i; i = i->next)
        if (i->host == h && i->err && !i->gone)
            return json_sprintf("%s: %s", i->conf->name, i->error);
    return json_null();
}

/* Keys that came and could not be used, by instance; null for what is no source. */
static json_t *
wasted_of(const struct host *h)
{
    json_t *all = h->hello.kind == RK_SOURCE ? json_object() : json_null();

    for (const struct inst *i = h->d->insts; i; i = i->next)
        if (i->host == h && i->conf->kind == RK_SOURCE && !i->gone)
            json_object_set_new(all, i->conf->name, json_integer((json_int_t)i->wasted));
    return all;
}

char *
ctl_plugin_row(const struct host *h)
{
    static const char *const kinds[] = {"?", "source", "device", "channel"};
    uint32_t kind = h->hello.kind <= RK_CHANNEL ? h->hello.kind : 0;

    return text_of(json_pack("{ss ss ss ss so sI so sI sI so so so so so so so}", "plugin", h->plugin,
                             "kind", kinds[kind], "version", h->hello.version, "state", host_state(h), "pid",
                             h->pid > 0 ? json_integer(h->pid) : json_null(), "restarts", (json_int_t)h->restarts,
                             "instances", instances_of(h), "calls", (json_int_t)h->n_calls, "in_flight",
                             (json_int_t)sup_in_flight(h), "last_exit", text_or_null(h->last_exit), "caps",
                             caps_of(h->hello.caps), "error", error_of(h),
                             "refused", refused_by(h, rk_now_ns()), "expires", expire_list(h),
                             "wasted", wasted_of(h), "quarantine", quarantine_of(h)));
}

char *
ctl_history_row(const struct rk_journal_event *e)
{
    char which[2] = {e->end, '\0'};

    return text_of(json_pack("{sI ss ss sI ss so ss so sI}", "time_unix_ms", (json_int_t)e->at.unix_ms, "link", e->link,
                             "end", which, "seq", (json_int_t)e->seq, "event", e->event, "key_id",
                             text_or_null(e->key_id), "result", rk_err_name(e->result), "why", text_or_null(e->why),
                             "took_ms", (json_int_t)e->took_ms));
}

static json_t *
messages(const struct rk_conf_errors *e)
{
    json_t *list = json_array();

    for (size_t i = 0; i < e->n; i++)
        json_array_append_new(list, json_pack("{si si ss}", "line", e->list[i].line, "col", e->list[i].col, "message",
                                              e->list[i].text));
    return list;
}

void
check_print_json(const char *file, const struct rk_conf_errors *errors, const struct rk_conf_set *set)
{
    char *text = text_of(json_pack("{ss sb so so sI}", "file", file, "ok", set != NULL, "errors", messages(errors),
                                   "warnings", set ? messages(&set->warnings) : json_array(), "links",
                                   (json_int_t)(set ? set->n_links : 0)));

    if (text)
        puts(text);
    free(text);
}
