/* source_test.c - goes the way to a key for a person, with each peer of a source: rekeyctl source test; or the way to
 * the peers of a channel: rekeyctl peer test.
 *
 * Runs in the loop; the steps are the plugin's, stated in its host.  It touches neither links nor journal, and takes no
 * key unless it is told to.
 */
#include "daemon.h"

#include "../base/err.h"
#include "../base/log.h"
#include "../base/text.h"

#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GONE "a reload has taken it out of the configuration"
#define LOOK_MS 20 /* between looks at an instance that is being made */

struct peer {
    char sae[RK_SAE_MAX + 1];    /* "" in the first: what does not depend on the peer */
    uint32_t min_bits, max_bits; /* of its links; 0: none */
};

struct source_test {
    struct wake wake; /* the next look, or the next peer: first member */
    struct daemon *d;
    struct inst *inst;
    struct hearer to; /* row NULL: nobody hears */
    struct peer *peers;           /* n, at: the one that is tested */
    size_t n, at;
    uint32_t call; /* under way; 0: none */
    uint32_t kind;
    bool fetch;
    bool failed_now; /* a step with this peer */
    int64_t deadline_ns;
    unsigned steps, failed, warnings;
    char first[RK_STEP_NAME_MAX + 1]; /* that failed */
};

/* ---- what is told ---- */

static const char *
kind_name(uint32_t kind)
{
    return kind == RK_CHANNEL ? "channel" : "source";
}

static const char *
result_name(int result)
{
    return result == RK_STEP_WARNING ? "warning" : result == RK_STEP_SKIPPED ? "skipped" : rk_err_name(result);
}

static void
tell(struct source_test *t, const char *peer, const struct rk_step *step)
{
    json_t *row;

    t->steps++;
    t->warnings += step->result == RK_STEP_WARNING;
    if (step->result < 0) {
        t->failed_now = true;
        if (t->failed++ == 0)
            memcpy(t->first, step->name, sizeof t->first);
    }
    if (!t->to.row)
        return;
    row = json_pack("{ss ss? ss ss ss}", kind_name(t->kind), t->inst->conf->name, "peer", peer, "step", step->name,
                    "result", result_name(step->result), "text", step->text);
    t->to.row(t->to.arg, row ? json_dumps(row, JSON_COMPACT) : NULL);
    json_decref(row);
}

static void say(struct source_test *t, const char *name, int result, const char *fmt, ...) RK_PRINTF(4, 5);

/* A step of our own, before those of the plugin or instead of them. */
static void
say(struct source_test *t, const char *name, int result, const char *fmt, ...)
{
    struct rk_step step = {.result = result};
    va_list ap;

    snprintf(step.name, sizeof step.name, "%s", name);
    va_start(ap, fmt);
    vsnprintf(step.text, sizeof step.text, fmt, ap);
    va_end(ap);
    tell(t, NULL, &step);
}

static void
over(struct source_test *t)
{
    char text[RK_TEXT_MAX];
    int n = snprintf(text, sizeof text, "%s: ", t->inst->conf->name);

    if (t->failed)
        n += snprintf(text + n, sizeof text - (size_t)n, "%u of %u steps failed, the first is %s", t->failed, t->steps,
                      t->first);
    else
        n += snprintf(text + n, sizeof text - (size_t)n, "all is well");
    if (t->warnings)
        snprintf(text + n, sizeof text - (size_t)n, "; %u warning%s", t->warnings, t->warnings == 1 ? "" : "s");
    rk_log(RK_LOG_NOTICE, "ev=%s inst=%s failed=%u warnings=%u first=%s",
           t->kind == RK_CHANNEL ? "peer-test" : "source-test", t->inst->conf->name, t->failed,
           t->warnings, t->failed ? t->first : "-");
    if (t->to.over)
        t->to.over(t->to.arg, t->failed == 0, text);
    wake_off(t->d, &t->wake);
    inst_release(t->inst);
    free(t->peers);
    free(t);
}

/* ---- one peer after the other ---- */

static void next_peer(struct daemon *d, struct wake *w);

static void
on_step(void *arg, const struct rk_step *step)
{
    struct source_test *t = arg;

    tell(t, t->peers[t->at].sae[0] ? t->peers[t->at].sae : NULL, step);
}

static void
on_done(void *arg, struct rk_reply *reply)
{
    struct source_test *t = arg;

    t->call = 0;
    if (reply->err && !t->failed_now) /* it did not come to a step: the host died, or does not know the verb */
        say(t, "plugin", reply->err, "%s", reply->text);
    if (reply->err && (t->at == 0 || reply->err == RK_E_UNKNOWN || reply->err == RK_E_CANCELED || t->inst->gone))
        t->at = t->n; /* it would be the same with every peer */
    else
        t->at++;
    t->wake.fn = next_peer; /* not from within the end of a call */
    wake_at(t->d, &t->wake, rk_now_ns());
}

static int
send_peer(struct source_test *t, int64_t left_ms)
{
    const struct peer *p = &t->peers[t->at];
    struct rk_call_msg m = {.verb = RK_V_SOURCE_TEST,
                            .budget_ms = (uint32_t)left_ms,
                            .bits = p->max_bits,
                            .min_bits = p->min_bits,
                            .fetch = t->fetch};
    int err;

    memcpy(m.peer_sae, p->sae, sizeof m.peer_sae);
    err = sup_call(t->inst, &m, on_done, t);
    if (!err) {
        sup_steps(t->inst, on_step);
        t->call = m.number;
    }
    return err;
}

static void
next_peer(struct daemon *d, struct wake *w)
{
    struct source_test *t = (struct source_test *)w;
    int64_t left_ms = (t->deadline_ns - rk_now_ns()) / RK_NS_PER_MS;
    int err;

    (void)d;
    t->failed_now = false;
    if (t->at < t->n && t->inst->gone) {
        say(t, "plugin", RK_E_CANCELED, "%s", GONE);
    } else if (t->at < t->n && t->to.row && left_ms > 0) {
        err = send_peer(t, left_ms);
        if (!err)
            return;
        say(t, "plugin", err, "%s: the call could not be sent to the plugin's host", t->peers[t->at].sae);
    } else if (t->at < t->n && t->to.row) {
        say(t, "time", RK_E_TIMEOUT,
            "%zu of %zu peers were not tested: there was no time left; give more with "
            "--timeout, or one of them with --peer",
            t->n - t->at, t->n - 1);
    } else if (t->n == 1 && t->failed == 0 && t->kind == RK_SOURCE) {
        say(t, "peer", RK_STEP_SKIPPED,
            "no link uses %s: name the SAE that keys are to be shared with, --peer SAE, to "
            "see whether it gives any",
            t->inst->conf->name);
    }
    over(t);
}

/* ---- the instance ---- */

/* Wait until the instance is made, or it is clear why it is not. */
static void
look(struct daemon *d, struct wake *w)
{
    struct source_test *t = (struct source_test *)w;
    const struct inst *inst = t->inst;
    const struct host *h = inst->host;

    if (inst->ready) {
        say(t, "plugin", RK_OK, "%s %s runs, and takes the options of %s with the files that they name",
            inst->conf->plugin, h->hello.version, inst->conf->name);
        next_peer(d, w);
        return;
    }
    if (inst->gone)
        say(t, "plugin", RK_E_CANCELED, "%s", GONE);
    else if ((h->state == HOST_BACKOFF || h->state == HOST_STOPPED) && h->error[0])
        say(t, "plugin", RK_E_UNREACHABLE, "plugin %s does not run: %.300s", h->plugin, h->error);
    else if (inst->err && !inst->configuring)
        say(t, "options", inst->err, "%s", inst->error);
    else if (rk_now_ns() >= t->deadline_ns)
        say(t, "plugin", RK_E_TIMEOUT, "plugin %s is still starting, or hangs while it is set up", h->plugin);
    else {
        wake_at(d, w, rk_now_ns() + LOOK_MS * RK_NS_PER_MS);
        return;
    }
    over(t);
}

/* ---- begin ---- */

static bool
uses(const struct rk_conf_set *set, size_t index, const char *name)
{
    return index != SIZE_MAX && strcmp(set->instances[index].name, name) == 0;
}

static bool
link_uses(const struct rk_conf_set *set, const struct rk_link_conf *l, const char *name)
{
    bool local = l->peer_source != SIZE_MAX;

    for (unsigned i = 0; i + 1 < l->n_sources; i++)
        if (uses(set, l->more[i], name) || (local && uses(set, l->peer_more[i], name)))
            return true;
    return uses(set, l->source, name) || uses(set, l->peer_source, name) || uses(set, l->fallback, name) ||
           uses(set, l->peer_fallback, name);
}

static int
add_peer(struct source_test *t, const char *sae, uint32_t bits)
{
    struct peer *more;

    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->peers[i].sae, sae) == 0) {
            struct peer *p = &t->peers[i];

            p->min_bits = bits < p->min_bits ? bits : p->min_bits;
            p->max_bits = bits > p->max_bits ? bits : p->max_bits;
            return RK_OK;
        }
    more = reallocarray(t->peers, t->n + 1, sizeof *more);
    if (!more)
        return RK_E_NOMEM;
    t->peers = more;
    more[t->n] = (struct peer){.min_bits = bits, .max_bits = bits};
    snprintf(more[t->n++].sae, sizeof more->sae, "%s", sae);
    return RK_OK;
}

/* Each peer of the links that use it, or the one that is asked for. */
static int
find_peers(struct source_test *t, const struct rk_conf_set *set, const struct source_test_want *want)
{
    int err = add_peer(t, "", 0);

    if (want->kind == RK_CHANNEL)
        return err;
    for (size_t i = 0; i < set->n_links && !err; i++) {
        const struct rk_link_conf *l = &set->links[i];

        if (link_uses(set, l, want->name) && (!want->peer[0] || strcmp(want->peer, l->peer_sae) == 0))
            err = add_peer(t, l->peer_sae, l->bits);
    }
    return !err && t->n == 1 && want->peer[0] ? add_peer(t, want->peer, 0) : err;
}

static void
test_free(struct source_test *t)
{
    if (t)
        free(t->peers);
    free(t);
}

const struct rk_instance_conf *
source_test_find(const struct rk_conf_set *set, const struct source_test_want *want, char *why, size_t size)
{
    const char *name = want->name, *kind = kind_name(want->kind);
    const char **names = calloc(set->n_instances + 1, sizeof *names), *near;
    size_t n = 0;

    for (size_t i = 0; i < set->n_instances; i++) {
        if (set->instances[i].kind == want->kind && strcmp(set->instances[i].name, name) == 0) {
            free(names);
            return &set->instances[i];
        }
        if (names && set->instances[i].kind == want->kind)
            names[n++] = set->instances[i].name;
    }
    near = rk_nearest(name, names, n);
    if (near)
        snprintf(why, size, "no %s \"%.*s\" in %.200s; did you mean \"%s\"?", kind, RK_NAME_MAX, name, set->file, near);
    else
        snprintf(why, size,
                 "no %s \"%.*s\" in %.200s, as it was read last; is it new there?  rekeyctl reload, or "
                 "test it with --config FILE",
                 kind, RK_NAME_MAX, name, set->file);
    free(names);
    return NULL;
}

/* As an SAE ID of the configuration; a peer that is asked for by name comes from the command line. */
static bool
sae_ok(const char *sae)
{
    size_t n = 0;

    while (sae[n] > ' ' && sae[n] <= '~' && sae[n] != '/' && sae[n] != '|')
        n++;
    return !sae[n] && n <= RK_SAE_MAX;
}

struct source_test *
source_test_begin(struct daemon *d, const struct source_test_want *want, const struct hearer *to, char *why,
                  size_t size)
{
    int64_t budget_ms = want->budget_ms ? want->budget_ms : RK_SOURCE_TEST_MS;
    struct inst *inst = source_test_find(d->conf, want, why, size) ? inst_find(d, want->name) : NULL;
    struct source_test *t = inst ? calloc(1, sizeof *t) : NULL;

    if (!inst)
        return NULL;
    if (!sae_ok(want->peer)) {
        snprintf(why, size, "--peer is no SAE ID: 1 to %d printable ASCII characters without blank, / and |",
                 RK_SAE_MAX);
        test_free(t);
        return NULL;
    }
    if (!t || find_peers(t, d->conf, want) != RK_OK) {
        snprintf(why, size, "out of memory");
        test_free(t);
        return NULL;
    }
    t->d = d;
    t->inst = inst;
    t->to = *to;
    t->kind = want->kind;
    t->fetch = want->fetch;
    t->deadline_ns =
        rk_now_ns() + (budget_ms < RK_SOURCE_TEST_MAX_MS ? budget_ms : RK_SOURCE_TEST_MAX_MS) * RK_NS_PER_MS;
    inst_hold(inst);
    inst_retry(inst);
    t->wake.fn = look;
    wake_at(d, &t->wake, rk_now_ns());
    return t;
}

void
source_test_forget(struct source_test *t)
{
    t->to = (struct hearer){NULL, NULL, NULL};
    if (t->call)
        sup_cancel(t->inst, t->call);
}

/* ---- without a running daemon ---- */

/* What is wrong in the file, as rows: nothing was begun. */
static void
print_errors(const struct daemon *d, const struct rk_conf_errors *errors, const struct hearer *to)
{
    char line[600], text[RK_TEXT_MAX];

    for (size_t i = 0; i < errors->n; i++) {
        json_t *row;

        rk_conf_error_text(errors, i, line, sizeof line);
        row = json_pack("{ss sn ss ss ss}", kind_name(d->opt.test.kind), d->opt.test.name, "peer", "step",
                        "configuration", "result", "config", "text", line);
        to->row(to->arg, row ? json_dumps(row, JSON_COMPACT) : NULL);
        json_decref(row);
    }
    snprintf(text, sizeof text, "%.300s: nothing was tested", d->opt.config);
    to->over(to->arg, false, text);
}

int
source_test_only(struct daemon *d)
{
    struct alone a = {.d = d};
    const struct hearer to = hearer_of_stdout(&a);
    struct rk_conf_errors errors = {.n = 0};
    struct rk_conf_set *set = NULL;
    const struct rk_instance_conf *conf;
    char why[RK_TEXT_MAX] = "out of memory";
    struct inst *inst;

    if (setup_check(d, d->opt.config, &set, &errors) != RK_OK) {
        print_errors(d, &errors, &to);
        rk_conf_errors_free(&errors);
        return 1;
    }
    rk_conf_errors_free(&errors);
    d->conf = set;
    conf = source_test_find(set, &d->opt.test, why, sizeof why);
    inst = conf ? inst_new(d, conf) : NULL;
    if (inst && source_test_begin(d, &d->opt.test, &to, why, sizeof why))
        event_base_dispatch(d->base);
    else
        to.over(to.arg, false, why);
    return a.ok ? 0 : 1;
}
