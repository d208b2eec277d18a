/* device_ask.c - rekeyctl discover DEVICE, rekeyctl prepare DEVICE: an errand, told row by row.
 *
 * Runs in the loop.  It changes neither links nor journal; prepare changes the device when it is told to.
 */
#include "device_ask.h"

#include "discover.h"

#include "../base/err.h"
#include "../base/log.h"
#include "../base/text.h"

#include <event2/event.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct device_ask {
    struct wake wake; /* the next part, or the end of its time: first member */
    struct daemon *d;
    char device[RK_NAME_MAX + 1];
    struct hearer to; /* row NULL: nobody hears */
    bool prepare, apply;
    bool carries;     /* the device is to show and hear the records of a link */
    int64_t deadline_ns;
    struct errand errand;
    bool under_way, late;
    char **ifaces;    /* n, of its links; at: those of the parts that are done */
    size_t n, at, part;
    char *words;      /* what it is to be prepared for, cut into word[n_words]; NULL: for its links */
    const char *word[RK_WORDS];
    size_t n_words;
    void *told;       /* lines of the parts before: each is told once */
    unsigned rows;
    int err;
    char why[RK_TEXT_MAX];
};

/* ---- what is told ---- */

static void
push(struct device_ask *a, json_t *row)
{
    a->rows++;
    if (a->to.row)
        a->to.row(a->to.arg, row ? json_dumps(row, JSON_COMPACT) : NULL);
    json_decref(row);
}

static int
compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void
on_line(void *arg, const struct rk_step *step)
{
    struct device_ask *a = arg;
    char *copy = strdup(step->text), **known = copy ? tsearch(copy, &a->told, compare) : NULL;

    if (known && *known != copy) {
        free(copy); /* what is not about one interface comes with each part */
        return;
    }
    push(a, json_pack("{ss}", "line", step->text));
}

/* The channel that a link would have: when there is but one. */
static const char *
only_one(const struct rk_conf_set *set, uint32_t kind)
{
    const char *found = NULL;

    for (size_t i = 0; i < set->n_instances; i++) {
        if (set->instances[i].kind != kind)
            continue;
        if (found)
            return NULL;
        found = set->instances[i].name;
    }
    return found;
}

static json_t *
source_of(const struct rk_found_msg *m)
{
    json_t *options = m->n ? json_object() : json_null();

    for (size_t i = 0; i < m->n; i++)
        json_object_set_new(options, m->settings[i].name, json_string(m->settings[i].value));
    return options;
}

/* The link that the configuration has on this interface. */
static const char *
link_there(const struct rk_conf_set *set, const char *device, const char *iface)
{
    for (size_t i = 0; i < set->n_links; i++) {
        const struct rk_link_conf *l = &set->links[i];

        if ((strcmp(l->iface, iface) == 0 && strcmp(set->instances[l->device].name, device) == 0) ||
            (l->peer_device != SIZE_MAX && strcmp(l->peer_iface, iface) == 0 &&
             strcmp(set->instances[l->peer_device].name, device) == 0))
            return l->name;
    }
    return NULL;
}

static void
on_found(void *arg, const struct rk_found_msg *m)
{
    struct device_ask *a = arg;
    const struct rk_conf_set *set = a->d->conf;
    struct rk_found_link f;

    discover_link(set, a->device, m, &f);
    push(a, json_pack("{s:{ss ss ss ss ss ss so ss? ss? ss? ss ss ss}}", "found", "device", a->device, "interface",
                      f.iface, "sae", f.sae, "peer_sae", f.peer_sae, "peer_interface", f.peer_iface, "name", f.name,
                      "source_options", source_of(m), "source", f.source[0] ? f.source : NULL, "channel",
                      only_one(set, RK_CHANNEL), "link", link_there(set, a->device, f.iface), "why", f.why, "needs",
                      f.needs, "own_sae", set->sae));
}

static void
end(struct device_ask *a)
{
    char text[RK_TEXT_MAX + RK_NAME_MAX + 4];

    if (a->err)
        snprintf(text, sizeof text, "%s: %s", a->device, a->why);
    else if (a->prepare && !a->rows)
        snprintf(text, sizeof text, "%s: nothing is needed", a->device);
    else if (a->prepare)
        snprintf(text, sizeof text, "%s: %s", a->device, a->apply ? "done" : "nothing was changed");
    else
        snprintf(text, sizeof text, "%s: %u link%s", a->device, a->rows, a->rows == 1 ? "" : "s");
    if (a->apply || a->err)
        rk_log(a->err ? RK_LOG_WARNING : RK_LOG_NOTICE, "ev=%s device=%s apply=%d lines=%u res=%s why=\"%s\"",
               a->prepare ? "prepare" : "discover-ask", a->device, a->apply, a->rows, rk_err_name(a->err),
               a->err ? a->why : "");
    if (a->to.over)
        a->to.over(a->to.arg, !a->err, text);
    wake_off(a->d, &a->wake);
    tdestroy(a->told, free);
    for (size_t i = 0; i < a->n; i++)
        free(a->ifaces[i]);
    free(a->ifaces);
    free(a->words);
    free(a);
}

/* ---- one part after the other ---- */

static void part(struct daemon *d, struct wake *w);

static void
ended(struct daemon *d, struct wake *w)
{
    (void)d;
    end((struct device_ask *)w);
}

static void
on_done(void *arg, int err, const char *why)
{
    struct device_ask *a = arg;

    a->under_way = false;
    a->at += a->part;
    a->err = err == RK_E_CANCELED && a->late ? RK_E_TIMEOUT : err;
    if (err)
        snprintf(a->why, sizeof a->why, "%s",
                 a->err == RK_E_TIMEOUT && a->late
                     ? "the device was busy with other calls all the time; try again, or give more with --timeout"
                     : why);
    a->wake.fn = a->err || !a->to.row || a->at >= a->n ? ended : part;
    wake_at(a->d, &a->wake, rk_now_ns()); /* not from within the end of a call */
}

static void
too_late(struct daemon *d, struct wake *w)
{
    struct device_ask *a = (struct device_ask *)w;

    (void)d;
    a->late = true;
    if (a->under_way && a->errand.number == 0)
        errand_stop(&a->errand); /* else its own budget ends it */
}

/* The interfaces of one call are bounded; without any there is one call as well. */
static void
part(struct daemon *d, struct wake *w)
{
    struct device_ask *a = (struct device_ask *)w;
    struct inst *inst = inst_find(d, a->device);
    int64_t left_ms = (a->deadline_ns - rk_now_ns()) / RK_NS_PER_MS;

    a->part = a->n - a->at < RK_BATCH_MAX ? a->n - a->at : RK_BATCH_MAX;
    a->errand = (struct errand){.inst = inst, .verb = a->prepare ? RK_V_PREPARE : RK_V_DISCOVER,
                                .budget_ms = left_ms, .apply = a->apply, .carries = a->carries,
                                .ifaces = a->part ? (const char *const *)&a->ifaces[a->at] : NULL, .n = a->part,
                                .words = a->word, .n_words = a->n_words,
                                .line = on_line, .found = on_found, .done = on_done, .arg = a};
    if (!inst || left_ms <= 0) {
        on_done(a, inst ? RK_E_TIMEOUT : RK_E_CANCELED,
                inst ? "there was no time left for all its interfaces; give more with --timeout"
                     : "a reload has taken it out of the configuration");
        return;
    }
    a->under_way = true;
    a->wake.fn = too_late;
    wake_at(d, w, a->deadline_ns);
    inst_retry(inst);
    errand_add(&a->errand);
}

/* ---- begin ---- */

static const struct rk_instance_conf *
find_device(const struct rk_conf_set *set, const char *name, char *why, size_t size)
{
    const char **names = calloc(set->n_instances + 1, sizeof *names), *near;
    size_t n = 0;

    for (size_t i = 0; names && i < set->n_instances; i++) {
        if (set->instances[i].kind == RK_DEVICE && strcmp(set->instances[i].name, name) == 0) {
            free(names);
            return &set->instances[i];
        }
        if (set->instances[i].kind == RK_DEVICE)
            names[n++] = set->instances[i].name;
    }
    near = names ? rk_nearest(name, names, n) : NULL;
    if (near)
        snprintf(why, size, "no device \"%.*s\" in %.200s; did you mean \"%s\"?", RK_NAME_MAX, name, set->file, near);
    else
        snprintf(why, size, "no device \"%.*s\" in %.200s, as it was read last; is it new there?  rekeyctl reload, or "
                 "ask with --config FILE", RK_NAME_MAX, name, set->file);
    free(names);
    return NULL;
}

static bool
add_iface(struct device_ask *a, const char *iface)
{
    char **more = reallocarray(a->ifaces, a->n + 1, sizeof *more);

    if (!more)
        return false;
    a->ifaces = more;
    more[a->n] = strdup(iface);
    return more[a->n++] != NULL;
}

/* As carry_path() has it, of a link that may not be there yet. */
static bool
is_carried(const struct device_ask *a, const struct rk_link_conf *l)
{
    const struct rk_conf_set *set = a->d->conf;

    for (unsigned i = 0; i < l->n_channels && !strchr(l->iface, '@'); i++) {
        const struct host *h = sup_host(a->d, set->instances[i ? l->more_channels[i - 1] : l->channel].plugin);

        if (h && (h->hello.ops & RK_OFFERS_ENCODE))
            return inst_offers(inst_find(a->d, a->device), RK_OFFERS_NEIGHBOURS);
    }
    return false;
}

/* Those of its links that it has in the configuration; discovered ones are among them. */
static bool
add_ifaces(struct device_ask *a)
{
    const struct rk_conf_set *set = a->d->conf;
    bool ok = true;

    for (size_t i = 0; ok && a->prepare && !a->n_words && i < set->n_links; i++) {
        const struct rk_link_conf *l = &set->links[i];

        if (strcmp(set->instances[l->device].name, a->device) == 0) {
            a->carries |= is_carried(a, l);
            ok = add_iface(a, l->iface);
        }
        if (ok && l->peer_device != SIZE_MAX && strcmp(set->instances[l->peer_device].name, a->device) == 0)
            ok = add_iface(a, l->peer_iface);
    }
    return ok;
}

/* ret: false: there are too many, or one is too long, or there is no memory */
static bool
take_words(struct device_ask *a, const char *words)
{
    char *rest = NULL;

    a->words = strdup(words);
    for (char *w = a->words ? strtok_r(a->words, "\n", &rest) : NULL; w; w = strtok_r(NULL, "\n", &rest)) {
        if (a->n_words == RK_WORDS || strlen(w) > RK_RECORD_MAX)
            return false;
        a->word[a->n_words++] = w;
    }
    return a->words != NULL;
}

static int64_t
budget_of(const struct daemon *d, const struct device_ask_want *want)
{
    int64_t usual_ms = want->apply && d->conf->call_budget_ms > RK_DISCOVER_MS ? d->conf->call_budget_ms
                                                                              : RK_DISCOVER_MS;
    int64_t ms = want->budget_ms ? want->budget_ms : usual_ms;

    return ms < RK_DISCOVER_MAX_MS ? ms : RK_DISCOVER_MAX_MS;
}

struct device_ask *
device_ask_begin(struct daemon *d, const struct device_ask_want *want, const struct hearer *to, char *why,
                 size_t size)
{
    uint32_t what = want->prepare ? RK_OFFERS_PREPARE : RK_OFFERS_DISCOVER;
    const struct rk_instance_conf *conf = find_device(d->conf, want->name, why, size);
    struct inst *inst = conf ? inst_find(d, conf->name) : NULL;
    struct device_ask *a;

    if (!inst)
        return NULL;
    if (inst->host->has_hello && !inst_offers(inst, what)) {
        snprintf(why, size, "plugin %s of device %s does not offer %s", conf->plugin, conf->name,
                 want->prepare ? "prepare: its man page says what the device needs" : "discover: write its links down");
        return NULL;
    }
    a = calloc(1, sizeof *a);
    snprintf(why, size, "out of memory");
    if (!a)
        return NULL;
    if (want->words && !take_words(a, want->words)) {
        snprintf(why, size, "more than %d words, or one of more than %d bytes", RK_WORDS, RK_RECORD_MAX);
        free(a->words);
        free(a);
        return NULL;
    }
    a->d = d;
    a->to = *to;
    a->prepare = want->prepare;
    a->apply = want->apply;
    (void)rk_copy(a->device, sizeof a->device, conf->name);
    a->deadline_ns = rk_now_ns() + budget_of(d, want) * RK_NS_PER_MS;
    if (!add_ifaces(a)) {
        a->to = (struct hearer){NULL, NULL, NULL};
        end(a);
        return NULL;
    }
    a->wake.fn = part;
    wake_at(d, &a->wake, rk_now_ns());
    return a;
}

void
device_ask_forget(struct device_ask *a)
{
    a->to = (struct hearer){NULL, NULL, NULL};
    if (a->under_way)
        errand_stop(&a->errand);
}

/* ---- the control socket ---- */

static void
forget(void *arg)
{
    device_ask_forget(arg);
}

static void
ask_device(struct daemon *d, struct ctl_client *c, const struct device_ask_want *want)
{
    const struct hearer to = hearer_of_ctl(c);
    char why[RK_TEXT_MAX] = "";
    struct device_ask *a = device_ask_begin(d, want, &to, why, sizeof why);

    if (a)
        ctl_wait(c, forget, a);
    else
        ctl_over(c, CTL_FAILED, why);
}

void
do_discover(struct daemon *d, struct ctl_client *c, const struct rk_ask *ask)
{
    ask_device(d, c, &(struct device_ask_want){.name = ask->arg, .budget_ms = ask->budget_ms});
}

void
do_prepare(struct daemon *d, struct ctl_client *c, const struct rk_ask *ask)
{
    ask_device(d, c, &(struct device_ask_want){.name = ask->arg, .prepare = true, .apply = ask->apply != 0,
                                               .budget_ms = ask->budget_ms, .words = ask->words});
}

/* ---- without a running daemon ---- */

int
device_ask_only(struct daemon *d)
{
    struct alone a = {.d = d};
    const struct hearer to = hearer_of_stdout(&a);
    struct rk_conf_errors errors = {.n = 0};
    struct rk_conf_set *set = NULL;
    char why[600] = "out of memory";
    const struct rk_instance_conf *conf;
    struct inst *inst;

    if (setup_check(d, d->opt.config, &set, &errors) != RK_OK) {
        if (errors.n)
            rk_conf_error_text(&errors, 0, why, sizeof why);
        to.over(to.arg, false, why);
        rk_conf_errors_free(&errors);
        return 1;
    }
    rk_conf_errors_free(&errors);
    d->conf = set;
    conf = find_device(set, d->opt.device.name, why, sizeof why);
    inst = conf ? inst_new(d, conf) : NULL;
    if (inst && device_ask_begin(d, &d->opt.device, &to, why, sizeof why))
        event_base_dispatch(d->base);
    else
        to.over(to.arg, false, why);
    return a.ok ? 0 : 1;
}
