/* carry_hear.c - records in through the device: it is asked for its neighbours, and the channel finds records in what
 * they show.
 *
 * Runs in the loop.  One call asks for all links of a device whose time has come: often while a word of the peer is
 * awaited, and less and less often when none comes; at rest every verify period.
 */
#include "carry.h"

#include "../base/err.h"
#include "../base/log.h"
#include "../base/text.h"

#include <stdlib.h>
#include <string.h>

#define FAST_NS (1 * RK_NS_PER_S) /* between two looks for a word that is awaited, at first */

/* ---- when ---- */

static int64_t
slow_ns(const struct end *end)
{
    return end->conf->verify_ms * RK_NS_PER_MS;
}

static int64_t
fast_ns(const struct end *end)
{
    int64_t slow = slow_ns(end);

    return FAST_NS < slow ? FAST_NS : slow;
}

void
carry_stir(struct carried *c)
{
    int64_t soon_ns = rk_now_ns() + fast_ns(c->end);

    c->pause_ns = fast_ns(c->end);
    if (c->hear_at_ns > soon_ns)
        c->hear_at_ns = soon_ns;
}

/* Twice as long as the last time, up to a verify period, which it is at rest. */
static void
next_look(struct carried *c, int64_t now_ns)
{
    const struct end *end = c->end;

    if (end->live)
        c->awaits = rk_end_awaits(&end->live->e);
    if (!c->awaits || c->pause_ns <= 0)
        c->pause_ns = slow_ns(end);
    c->hear_at_ns = now_ns + c->pause_ns;
    c->pause_ns = 2 * c->pause_ns < slow_ns(end) ? 2 * c->pause_ns : slow_ns(end);
}

/* ---- what was heard ---- */

struct decoding { /* one call to a channel */
    struct inst *channel;
    size_t n;
    struct end *end[RK_BATCH_MAX]; /* held */
};

static uint64_t
news_of(const struct rk_reply *reply, const char *link)
{
    uint64_t h = 0;

    for (size_t i = 0; i < reply->n; i++)
        if (strcmp(reply->items[i].link, link) == 0 && !reply->items[i].err)
            h = h * 31 + rk_hash(reply->items[i].text);
    return h;
}

static void
decoded(void *arg, struct rk_reply *reply)
{
    struct decoding *d = arg;

    if (reply->err)
        rk_log(RK_LOG_WARNING, "ev=decode channel=%s res=%s why=\"%s\"", d->channel->conf->name,
               rk_err_name(reply->err), reply->text);
    for (size_t i = 0; i < d->n; i++) {
        struct end *end = d->end[i];
        uint64_t news = end->gone ? 0 : news_of(reply, end->conf->name);

        if (news && news != end->carried->news) /* it goes on: the next word may come soon */
            carry_stir(end->carried);
        if (news)
            end->carried->news = news;
    }
    for (size_t i = 0; i < reply->n && !d->channel->gone; i++)
        chan_heard(d->channel, &reply->items[i]);
    if (!d->channel->gone)
        refused_tell_rest(d->channel);
    for (size_t i = 0; i < d->n; i++) {
        if (!d->end[i]->gone)
            inst_mark(d->end[i]->device);
        d->end[i]->carrying--;
        end_release(d->end[i]);
    }
    inst_release(d->channel);
    free(d);
}

static void
put_neighbour(struct rk_item *item, const struct end *end, const struct rk_heard_msg *heard)
{
    rk_copy(item->link, sizeof item->link, end->conf->name);
    rk_copy(item->iface, sizeof item->iface, end_iface(end));
    if (!heard)
        return;
    item->read = 1;
    item->state = heard->ttl_s;
    rk_copy(item->sae, sizeof item->sae, heard->system);
    rk_copy(item->chassis, sizeof item->chassis, heard->chassis);
    rk_copy(item->port, sizeof item->port, heard->port);
    rk_copy(item->text, sizeof item->text, heard->description);
}

/* Of a link without a neighbour the channel is told as well. */
static void
put_all(struct rk_call_msg *m, const struct end *end)
{
    const struct carried *c = end->carried;

    if (c->n_heard == 0)
        put_neighbour(&m->items[m->n++], end, NULL);
    for (size_t i = 0; i < c->n_heard; i++)
        put_neighbour(&m->items[m->n++], end, &c->heard[i]);
}

static void
forget_heard(struct carried *c)
{
    free(c->heard);
    c->heard = NULL;
    c->n_heard = 0;
}

static size_t
room_for(const struct end *end)
{
    return end->carried->n_heard ? end->carried->n_heard : 1;
}

/* As many of the ends as fit, of one channel, in one call; those that are done become NULL. */
static void
decode_some(struct end **ends, size_t n, struct inst *channel)
{
    struct rk_call_msg m = {.verb = RK_V_DECODE, .budget_ms = RK_CODE_BUDGET_MS, .items = rk_items_new(RK_BATCH_MAX)};
    struct decoding *d = calloc(1, sizeof *d);

    for (size_t i = 0; i < n; i++) {
        if (!ends[i] || carry_channel(ends[i]) != channel || (m.items && d && m.n + room_for(ends[i]) > RK_BATCH_MAX))
            continue;
        if (m.items && d) {
            put_all(&m, ends[i]);
            d->end[d->n++] = ends[i];
            ends[i]->carrying++;
        }
        forget_heard(ends[i]->carried);
        ends[i] = NULL;
    }
    if (d) {
        d->channel = channel;
        inst_hold(channel);
    }
    if (d && (!m.items || sup_call(channel, &m, decoded, d) != RK_OK)) {
        struct rk_reply none = {.err = RK_OK};

        decoded(d, &none); /* as if nothing had been heard: it is heard again */
    }
    rk_items_free(m.items, RK_BATCH_MAX);
}

struct look { /* one call to a device */
    struct errand errand;
    struct carry *device;
    size_t n;
    struct end *end[RK_BATCH_MAX]; /* held */
    char name[RK_BATCH_MAX][RK_IFACE_MAX + 1];
    const char *ifaces[RK_BATCH_MAX];
};

static void
heard(void *arg, const struct rk_heard_msg *m)
{
    struct look *l = arg;

    for (size_t i = 0; i < l->n; i++) {
        struct carried *of = l->end[i]->carried;
        struct rk_heard_msg *more;

        if (strcmp(l->name[i], m->iface) != 0 || of->n_heard >= RK_HEARD_MAX)
            continue;
        more = realloc(of->heard, (of->n_heard + 1) * sizeof *more);
        if (!more)
            return; /* as if it had not been heard */
        of->heard = more;
        of->heard[of->n_heard++] = *m;
    }
}

static void
decode_all(struct end **ends, size_t n)
{
    for (size_t i = 0; i < n; i++)
        while (ends[i])
            decode_some(ends + i, n - i, carry_channel(ends[i]));
}

/* Its channel knows what neighbour the link must have. */
static bool
may_hear(const struct end *end)
{
    const struct path *path = carry_path(end);

    return path && path->attached && path->channel->ready;
}

static void
looked(void *arg, int err, const char *why)
{
    struct look *l = arg;
    struct inst *device = l->device->inst;
    struct end *ends[RK_BATCH_MAX];
    int64_t now_ns = rk_now_ns();
    size_t n = 0;

    l->device->looking = false;
    if (err && !device->gone)
        rk_log(RK_LOG_INFO, "ev=neighbours inst=%s res=%s why=\"%s\"", device->conf->name, rk_err_name(err), why);
    for (size_t i = 0; i < l->n; i++) {
        struct end *end = l->end[i];

        if (err || end->gone || !may_hear(end))
            forget_heard(end->carried);
        else
            ends[n++] = end;
        if (!end->gone)
            next_look(end->carried, now_ns);
    }
    decode_all(ends, n);
    for (size_t i = 0; i < l->n; i++) {
        l->end[i]->carrying--;
        end_release(l->end[i]);
    }
    if (!device->gone)
        inst_mark(device);
    free(l);
}

/* ---- the look ---- */

/* Those whose time comes soon go along: the device tells of all its neighbours at once. */
static bool
its_time(const struct carried *c, int64_t now_ns)
{
    return c->hear_at_ns <= now_ns + fast_ns(c->end) / 4 && carry_path(c->end);
}

static int64_t
budget_ms(const struct inst *inst)
{
    const struct rk_conf_set *set = inst->d->conf;
    int64_t chosen_ms = inst->conf->call_budget_ms ? inst->conf->call_budget_ms : set->call_budget_ms;

    return chosen_ms < RK_OBSERVE_BUDGET_MS ? chosen_ms : RK_OBSERVE_BUDGET_MS;
}

void
carry_look(struct carry *c, int64_t now_ns)
{
    const struct carried *of = c->first;
    struct look *l;

    while (of && (of->hear_at_ns > now_ns || !carry_path(of->end)))
        of = of->next;
    if (c->looking || !of || !(l = calloc(1, sizeof *l)))
        return;
    for (struct carried *i = c->first; i && l->n < RK_BATCH_MAX; i = i->next) {
        if (!its_time(i, now_ns))
            continue;
        rk_copy(l->name[l->n], sizeof l->name[l->n], end_iface(i->end));
        l->ifaces[l->n] = l->name[l->n];
        l->end[l->n++] = i->end;
        i->end->carrying++;
    }
    c->looking = true;
    l->device = c;
    l->errand = (struct errand){.inst = c->inst, .verb = RK_V_NEIGHBOURS, .budget_ms = budget_ms(c->inst),
                                .ifaces = l->ifaces, .n = l->n, .heard = heard, .done = looked, .arg = l};
    errand_add(&l->errand);
}
