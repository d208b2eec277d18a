/* inst.c - instances of plugins: set up in their host, and the queues of work for them.
 *
 * A device does one call at a time, and everything that is due on it goes into one call.  A source is asked for the
 * keys of all links that wait for the same peer at once.
 */
#include "carry.h"
#include "ratchet.h"
#include "reading.h"
#include "source_pool.h"

#include "../base/err.h"
#include "../base/log.h"
#include "../base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOURCE_CALLS_MAX 4 /* calls at once to one KME: some are single-threaded, four hide the round trip */
#define SOURCE_CALLS_PER_S 100
#define SOURCE_BURST 20
#define FETCHES 5 /* of a slave for offers that come to nothing: in a minute, or an interval when that is shorter */
#define INIT_PAUSE_MIN_MS 500
#define INIT_PAUSE_MAX_MS 30000

struct batch { /* one call, and the ends that wait for it */
    struct inst *inst;
    struct source_pair *pair; /* SOURCE */
    size_t room;              /* how many may be in it */
    int64_t now_ns;
    uint32_t verb;
    size_t n;
    struct end *end[RK_BATCH_MAX];
    struct carry_load *load; /* APPLY: what goes along; NULL: nothing */
    size_t n_early; /* ends that ask too often: not part of the call */
    struct end *early[RK_BATCH_MAX];
};

struct inst *
inst_find(struct daemon *d, const char *name)
{
    for (struct inst *i = d->insts; i; i = i->next)
        if (!i->gone && strcmp(i->conf->name, name) == 0)
            return i;
    return NULL;
}

/* ---- setting up ---- */

static void configure(struct inst *inst);
static void call_over(struct inst *inst);

static void
try_again(struct daemon *d, struct wake *w)
{
    (void)d;
    configure((struct inst *)w);
}

static void
init_failed(struct inst *inst, int err, const char *why)
{
    int64_t pause_ms = INIT_PAUSE_MIN_MS;

    for (unsigned i = 0; i < inst->failures && pause_ms < INIT_PAUSE_MAX_MS; i++)
        pause_ms *= 2;
    inst->failures++;
    inst->err = err;
    snprintf(inst->error, sizeof inst->error, "%s", why);
    rk_log(RK_LOG_ERR, "ev=init inst=%s plugin=%s at=%s:%d:%d res=%s why=\"%s\"", inst->conf->name, inst->conf->plugin,
           inst->d->conf->file, inst->conf->line, inst->conf->col, rk_err_name(err), why);
    inst->wake.fn = try_again;
    wake_at(inst->d, &inst->wake, rk_now_ns() + pause_ms * RK_NS_PER_MS);
    inst_mark(inst);
}

static void
configured(void *arg, struct rk_reply *reply)
{
    struct inst *inst = arg;

    inst->configuring = false;
    if (inst->gone) {
        call_over(inst);
        return;
    }
    if (reply->err == RK_E_UNKNOWN && inst->host->state != HOST_UP)
        return; /* the host died: inst_host_up() begins again */
    if (reply->err) {
        init_failed(inst, reply->err, reply->text);
        return;
    }
    inst->ready = true;
    inst->failures = 0;
    inst->err = RK_OK;
    inst->error[0] = '\0';
    rk_log(RK_LOG_INFO, "ev=init inst=%s plugin=%s res=ok", inst->conf->name, inst->conf->plugin);
    source_up(inst);
    if (inst->conf->kind == RK_CHANNEL)
        chan_ready(inst);
    errand_ready(inst);
    carry_ready(inst);
    inst_mark(inst);
}

/* One of its name that a reload took out, with calls under way: a device does one call at a time, whoever asks. */
static bool
predecessor(const struct inst *inst)
{
    for (const struct inst *i = inst->d->n_gone ? inst->d->insts : NULL; i; i = i->next)
        if (i->gone && strcmp(i->conf->name, inst->conf->name) == 0)
            return true;
    return false;
}

static void
configure(struct inst *inst)
{
    int err;

    if (inst->ready || inst->configuring || inst->gone || inst->host->state != HOST_UP || predecessor(inst))
        return;
    if (blame_quarantined(inst)) {
        inst->wake.fn = try_again;
        wake_at(inst->d, &inst->wake, inst->blame.until_ns);
        return;
    }
    inst->configuring = true;
    err = sup_config(inst, configured);
    if (err) {
        inst->configuring = false;
        init_failed(inst, err, "its options could not be sent to the host");
    }
}

struct inst *
inst_new(struct daemon *d, const struct rk_instance_conf *conf)
{
    struct inst *inst = calloc(1, sizeof *inst);
    struct rk_instance_conf *copy = calloc(1, sizeof *copy);

    if (!inst || !copy || !(inst->host = sup_host(d, conf->plugin)))
        goto fail;
    *copy = *conf;
    copy->places = NULL; /* only needed while the file is checked */
    copy->settings = calloc(conf->n ? conf->n : 1, sizeof *copy->settings);
    if (!copy->settings)
        goto fail;
    if (conf->n)
        memcpy(copy->settings, conf->settings, conf->n * sizeof *copy->settings);
    if (conf->kind == RK_SOURCE && source_new(inst) != RK_OK) {
        free(copy->settings);
        goto fail;
    }
    inst->d = d;
    inst->conf = copy;
    inst->number = ++d->next_inst;
    inst->bucket = (struct rk_bucket){.rate_per_s = SOURCE_CALLS_PER_S, .burst = SOURCE_BURST};
    inst->queue.last = &inst->queue.first;
    inst->post_last = &inst->post_first;
    inst->next = d->insts;
    d->insts = inst;
    return inst;
fail:
    free(copy);
    free(inst);
    return NULL;
}

void
inst_start(struct inst *inst)
{
    configure(inst);
}

void
inst_host_up(struct host *h)
{
    for (struct inst *i = h->d->insts; i; i = i->next)
        if (i->host == h)
            configure(i);
}

void
inst_host_down(struct host *h)
{
    for (struct inst *i = h->d->insts; i; i = i->next)
        if (i->host == h) {
            i->ready = i->configuring = false;
            i->publishing = i->watching = false;
            inst_mark(i);
        }
}

/* ---- queues ---- */

void
inst_mark(struct inst *inst)
{
    if (!inst->dirty) {
        inst->dirty = true;
        inst->next_dirty = inst->d->dirty;
        inst->d->dirty = inst;
        turn_soon(inst->d);
    }
}

void
inst_enqueue(struct inst *inst, struct end *end)
{
    end->live->next_queue = NULL;
    end->busy = true;
    if (inst->source)
        end->live->queued_ns = rk_now_ns();
    *inst->queue.last = end;
    inst->queue.last = &end->live->next_queue;
    inst_mark(inst);
}

static uint32_t
verb_of(const struct end *end)
{
    switch (end->live->act) {
    case RK_ACT_OBSERVE:
        return RK_V_OBSERVE;
    case RK_ACT_GET_NEW:
        return RK_V_GET_NEW;
    case RK_ACT_GET_BY_ID:
        return RK_V_GET_BY_ID;
    default:
        return RK_V_APPLY;
    }
}

static bool
fits(const struct batch *b, const struct end *end)
{
    const struct end *first = b->end[0];
    const struct source_pair *pair;

    if (b->n == 0)
        return b->inst->conf->kind == RK_DEVICE || source_room(end, verb_of(end), b->now_ns) > 0;
    if (b->n >= b->room || verb_of(end) != b->verb)
        return false;
    if (b->inst->conf->kind == RK_DEVICE)
        return true;
    pair = source_pair_of(end); /* tells most of a long queue apart without a look at their configuration */
    return (!pair || !b->pair || pair == b->pair) &&
           (end->conf->bits == first->conf->bits && strcmp(end_peer_sae(end), end_peer_sae(first)) == 0);
}

static struct end *
pop(struct inst *inst, struct end **at)
{
    struct end *end = *at;

    *at = end->live->next_queue;
    if (inst->queue.last == &end->live->next_queue)
        inst->queue.last = at;
    end->live->next_queue = NULL;
    return end;
}

static int64_t
fetch_step_ns(const struct end *end)
{
    int64_t minute_ns = 60 * RK_NS_PER_S;

    return (end->live->e.interval_ns < minute_ns ? end->live->e.interval_ns : minute_ns) / FETCHES;
}

/* A slave asks its source on the word of its peer.  A peer gone mad must not make it a burden of the KME, so what does
 * not end as a rotation has a rate. */
static bool
may_fetch(struct end *end)
{
    int64_t now_ns, step_ns;

    if (end->live->act != RK_ACT_GET_BY_ID || mix_goes_on(end))
        return true;
    now_ns = rk_now_ns();
    step_ns = fetch_step_ns(end);
    if (end->live->fetch_ns < now_ns)
        end->live->fetch_ns = now_ns;
    if (end->live->fetch_ns - now_ns > (FETCHES - 1) * step_ns)
        return false;
    end->live->fetch_ns += step_ns;
    return true;
}

void
inst_fetch_paid(struct end *end)
{
    end->live->fetch_ns -= fetch_step_ns(end);
}

/* The first in the queue, and all that may go with it in one call; the others stay, in order. */
static void
fill(struct inst *inst, struct batch *b)
{
    for (struct end **at = &inst->queue.first; *at && b->n < RK_BATCH_MAX && b->n_early < RK_BATCH_MAX;) {
        struct end *end = *at;

        if (end->gone) {
            pop(inst, at);
            end->busy = false;
            end_release(end);
        } else if (!fits(b, end)) {
            at = &end->live->next_queue;
        } else if (!may_fetch(end)) {
            b->early[b->n_early++] = pop(inst, at);
        } else {
            pop(inst, at);
            b->verb = verb_of(end);
            if (b->n == 0 && inst->source) {
                b->room = source_room(end, b->verb, b->now_ns);
                b->pair = source_pair_of(end);
            }
            b->end[b->n++] = end;
            b->room -= b->verb == RK_V_APPLY && b->room > b->n && carry_has_ahead(end);
        }
    }
}

static void
fail_all(struct inst *inst, int err, const char *why)
{
    struct end *end = inst->queue.first;

    inst->queue = (struct queue){NULL, &inst->queue.first};
    while (end) {
        struct end *next = end->live->next_queue;

        end->live->next_queue = NULL;
        end_failed(end, err, why);
        end = next;
    }
}

/* ---- requests ---- */

static uint32_t
op_of(enum rk_act act)
{
    switch (act) {
    case RK_ACT_STAGE:
        return RK_OP_STAGE;
    case RK_ACT_ACTIVATE:
        return RK_OP_ACTIVATE;
    case RK_ACT_SHUT:
        return RK_OP_SHUT;
    case RK_ACT_SWEEP:
        return RK_OP_SWEEP;
    default:
        return RK_OP_RETIRE;
    }
}

static void
request(struct end *end, uint32_t verb, struct rk_item *item)
{
    rk_copy(item->link, sizeof item->link, end->conf->name);
    rk_copy(item->key_id, sizeof item->key_id, end->live->act_key);
    if (mix_request(end, item))
        return;
    /* The tag that its peer must show: a crash between STAGE and its reply keeps it so.  A slave's own, to be said
     * early. */
    if (verb == RK_V_GET_NEW || (verb == RK_V_GET_BY_ID && carry_channel(end))) {
        item->seq = end->live->e.d.seq;
        item->role = end->live->e.d.role;
    }
    if (verb == RK_V_GET_NEW || verb == RK_V_GET_BY_ID) {
        item->ratchet = ratchet_wants(end);
        return;
    }
    rk_copy(item->iface, sizeof item->iface, end_iface(end));
    rk_copy(item->facts, sizeof item->facts, end->live->e.peer.facts);
    if (verb == RK_V_OBSERVE) {
        reading_ask(end, item);
        return;
    }
    reading_ask_too(end, item);
    item->op = op_of(end->live->act);
    item->seq = end->live->act_seq;
    item->role = end->live->e.d.role;
    rk_copy(item->text, sizeof item->text, end->act_terms ? end->act_terms : "");
    if (item->op == RK_OP_STAGE) {
        item->fd = end->key_fd;
        end->key_fd = -1;
    }
}

/* ---- answers ---- */

static void
answer(struct end *end, uint32_t verb, struct rk_item *item)
{
    const char *why;
    int err;

    if (item->err) {
        end_failed(end, item->err, item->text);
    } else if (verb == RK_V_OBSERVE) {
        reading_answer(end, item);
    } else if (verb == RK_V_APPLY) {
        reading_keep(end, item, rk_now_ns());
        end_answer(end, &(struct rk_event){.type = RK_EV_DONE, .mine = item->mine, .theirs = item->theirs});
    } else if (item->fd < 0) {
        end_failed(end, RK_E_CONTRACT, "the source said ok and gave no key");
    } else if ((err = fixed_refused(end, item->key_id, &why))) { /* the key is wiped with the reply */
        end_failed(end, err, why);
    } else {
        end->key_fd = item->fd;
        item->fd = -1;
        if (!ratchet_takes(end, item))
            end_answer(end, &(struct rk_event){.type = RK_EV_KEY, .key_id = item->key_id, .mine = item->mine,
                                               .theirs = item->theirs});
    }
}

/* How many keys came; when none did, or the source had not as many as it was asked for, why. */
static void
tell_source(const struct batch *b, const struct rk_reply *reply, bool match)
{
    int err = reply->err ? reply->err : match ? RK_OK : RK_E_UNKNOWN;
    const char *why = reply->text;
    size_t good = 0;

    for (size_t i = 0; !err && i < b->n; i++)
        good += reply->items[i].err == RK_OK;
    for (size_t i = 0; !err && good < b->n && i < b->n; i++)
        if (reply->items[i].err) {
            err = reply->items[i].err;
            why = reply->items[i].text;
        }
    source_answered(b->pair, b->verb, b->n, good, err, why);
}

static void
batch_done(void *arg, struct rk_reply *reply)
{
    struct batch *b = arg;
    bool match = reply->n == b->n + carry_loaded(b->load);

    b->inst->in_flight--;
    if (b->pair)
        tell_source(b, reply, match);
    rk_log(RK_LOG_DEBUG, "ev=call inst=%s verb=%u n=%zu took_us=%u res=%s", b->inst->conf->name, b->verb, b->n,
           reply->took_us, rk_err_name(reply->err));
    for (size_t i = 0; i < b->n; i++) {
        if (reply->err)
            end_failed(b->end[i], reply->err, reply->text);
        else if (!match)
            end_failed(b->end[i], RK_E_UNKNOWN, "the host answered with the wrong number of results");
        else
            answer(b->end[i], b->verb, &reply->items[i]);
    }
    carry_landed(b->load, !reply->err && match ? &reply->items[b->n] : NULL, reply->err ? reply->err : RK_E_UNKNOWN,
                 reply->text);
    inst_mark(b->inst);
    call_over(b->inst);
    free(b);
}

static int64_t
budget_ms(const struct inst *inst, uint32_t verb)
{
    const struct rk_conf_set *set = inst->d->conf;
    int64_t most_ms = verb == RK_V_OBSERVE ? RK_OBSERVE_BUDGET_MS : RK_SOURCE_BUDGET_MS;
    int64_t chosen_ms = inst->conf->call_budget_ms ? inst->conf->call_budget_ms : set->call_budget_ms;

    if (verb == RK_V_APPLY)
        return rk_conf_apply_ms(set, inst->conf, inst->host->hello.apply_ms);
    return chosen_ms < most_ms ? chosen_ms : most_ms;
}

static int
send_batch(struct batch *b)
{
    struct rk_call_msg m = {.verb = b->verb, .budget_ms = (uint32_t)budget_ms(b->inst, b->verb), .n = b->n};
    size_t room = b->inst->carry ? RK_BATCH_MAX : b->n;
    int err;

    m.items = rk_items_new(room);
    if (!m.items)
        return RK_E_NOMEM;
    if (b->verb == RK_V_APPLY)
        m.read_ms = (uint32_t)budget_ms(b->inst, RK_V_OBSERVE);
    if (b->verb == RK_V_GET_NEW || b->verb == RK_V_GET_BY_ID) {
        m.bits = b->end[0]->conf->bits;
        snprintf(m.peer_sae, sizeof m.peer_sae, "%s", end_peer_sae(b->end[0]));
    }
    for (size_t i = 0; i < b->n; i++)
        request(b->end[i], b->verb, &m.items[i]);
    b->load = b->verb == RK_V_APPLY ? carry_load(b->inst, b->end, &m) : NULL;
    err = sup_call(b->inst, &m, batch_done, b);
    rk_items_free(m.items, room); /* wipes the keys that were not sent */
    if (err)
        carry_landed(b->load, NULL, err, "the call could not be sent to the plugin's host");
    return err;
}

static size_t
calls_max(const struct inst *inst)
{
    return inst->conf->kind == RK_SOURCE && (inst->host->hello.caps & RK_CAP_PARALLEL) ? SOURCE_CALLS_MAX : 1;
}

static void
ask_again(struct daemon *d, struct wake *w)
{
    (void)d;
    inst_mark((struct inst *)w);
}

/* A source is asked in bursts of links, but not more often than its bucket allows: meanwhile the batch grows. */
static bool
may_ask(struct inst *inst)
{
    int64_t now_ns, pause_ns;

    if (inst->conf->kind != RK_SOURCE)
        return true;
    now_ns = rk_now_ns();
    pause_ns = rk_bucket_take(&inst->bucket, now_ns);
    if (pause_ns == 0)
        return true;
    inst->wake.fn = ask_again;
    wake_at(inst->d, &inst->wake, now_ns + pause_ns);
    return false;
}

/* Is there one in the queue that may be asked for: while a source gives no keys, only one may. */
static bool
any_may(const struct inst *inst, int64_t now_ns)
{
    const struct end *end = inst->queue.first;

    while (inst->source && end && !end->gone && source_room(end, verb_of(end), now_ns) == 0)
        end = end->live->next_queue;
    return end != NULL;
}

static void
dispatch_queue(struct inst *inst)
{
    int64_t now_ns = rk_now_ns();

    while (inst->ready && !blame_waits(inst) && inst->in_flight < calls_max(inst) && any_may(inst, now_ns) &&
           may_ask(inst)) {
        struct batch *b = calloc(1, sizeof *b);
        int err = RK_E_NOMEM;

        if (!b) {
            fail_all(inst, RK_E_NOMEM, "out of memory");
            return;
        }
        b->inst = inst;
        b->room = RK_BATCH_MAX;
        b->now_ns = now_ns;
        fill(inst, b);
        for (size_t i = 0; i < b->n_early; i++)
            end_failed(b->early[i], RK_E_BUSY, "too many key requests for offers that came to nothing: this one waits");
        if (b->n && (err = send_batch(b)) == RK_OK) {
            source_asked(b->pair, b->verb, b->n);
            inst->in_flight++;
            continue;
        }
        for (size_t i = 0; i < b->n; i++)
            end_failed(b->end[i], err, "the call could not be sent to the plugin's host");
        free(b);
    }
    if (inst->source && inst->ready && inst->queue.first && !any_may(inst, now_ns))
        source_hold(inst);
}

/* Its plugin is not there: what waits hears so, and what will be due waits without asking. */
static void
fail_down(struct inst *inst, int err, const char *why)
{
    if (inst->queue.first)
        source_down(inst, err, why);
    fail_all(inst, err, why);
}

void
inst_dispatch(struct inst *inst)
{
    char why[RK_TEXT_MAX];

    if (inst->conf->kind == RK_CHANNEL) {
        carry_dispatch(inst);
        chan_dispatch(inst);
        return;
    }
    if (inst->ready) {
        errand_dispatch(inst);
        carry_dispatch(inst);
        dispatch_queue(inst);
    } else if (inst->err) {
        snprintf(why, sizeof why, "%.60s: %.300s", inst->conf->name, inst->error);
        errand_fail(inst, inst->err, why);
        fail_down(inst, inst->err, why);
    } else if (inst->host->state == HOST_BACKOFF || inst->host->state == HOST_STOPPED) {
        snprintf(why, sizeof why, "plugin %s is not running: %.300s", inst->host->plugin, inst->host->error);
        errand_fail(inst, RK_E_UNREACHABLE, why);
        fail_down(inst, RK_E_UNREACHABLE, why);
    }
}

void
inst_fail_tired(struct inst *inst)
{
    int64_t now_ns = rk_now_ns();
    struct end *failed = NULL, **last = &failed;

    for (struct end **at = &inst->queue.first; *at;) {
        struct end *end = *at;

        if (end->gone || source_room(end, verb_of(end), now_ns) > 0 || !source_tired(end, now_ns)) {
            at = &end->live->next_queue;
            continue;
        }
        *last = pop(inst, at);
        last = &end->live->next_queue;
    }
    while (failed) {
        struct end *end = failed;

        failed = end->live->next_queue;
        end->live->next_queue = NULL;
        source_fail_held(end);
    }
}

/* ---- the end of an instance ---- */

static void
inst_free(struct inst *inst)
{
    struct inst **at = &inst->d->insts;

    while (*at != inst)
        at = &(*at)->next;
    *at = inst->next;
    wake_off(inst->d, &inst->wake);
    for (struct inst **q = &inst->d->dirty; *q; q = &(*q)->next_dirty)
        if (*q == inst) {
            *q = inst->next_dirty;
            break;
        }
    source_free(inst);
    carry_inst_free(inst);
    free(inst->conf->settings);
    free(inst->conf);
    free(inst);
}

/* Its last call has ended: the next of its name may begin.  Not done where the call ends, for the host that may go with
 * it is still busy with the answer there. */
static void
end_gone(struct daemon *d, struct wake *w)
{
    struct inst *gone = (struct inst *)w, *next;
    char name[RK_NAME_MAX + 1];

    memcpy(name, gone->conf->name, sizeof name);
    inst_free(gone);
    d->n_gone--;
    next = inst_find(d, name);
    if (next)
        configure(next);
    setup_drop_hosts(d);
}

static void
call_over(struct inst *inst)
{
    if (!inst->gone || inst->in_flight || inst->holds || inst->configuring)
        return;
    inst->wake.fn = end_gone;
    wake_at(inst->d, &inst->wake, rk_now_ns());
}

void
inst_retire(struct inst *inst)
{
    inst->gone = true;
    inst->ready = false;
    if (inst->conf->kind == RK_CHANNEL)
        sup_forget(inst); /* what a channel was asked to do can be done twice, and a watch would last long */
    sup_drop(inst);
    errand_fail(inst, RK_E_UNREACHABLE, "the instance was taken out of the configuration");
    fail_all(inst, RK_E_UNREACHABLE, "the instance was taken out of the configuration");
    chan_drop_posts(inst);
    ratchet_left(inst);
    carry_drop(inst);
    wake_off(inst->d, &inst->wake);
    if (inst->in_flight || inst->holds || inst->configuring)
        inst->d->n_gone++;
    else
        inst_free(inst);
}

void
inst_hold(struct inst *inst)
{
    inst->holds++;
}

void
inst_release(struct inst *inst)
{
    inst->holds--;
    call_over(inst);
}

void
inst_retry(struct inst *inst)
{
    if (inst->ready || inst->configuring || inst->gone)
        return;
    wake_off(inst->d, &inst->wake);
    configure(inst);
}
