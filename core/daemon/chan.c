/* chan.c - records out through channels, and in from them.
 *
 * One publish and one watch at a time per channel.  Of an end only the newest record is published.  The host signs and
 * checks; what comes in here had a good tag, and is still only believed when it is a record of a link on this channel.
 */
#include "errand.h"

#include "../base/err.h"
#include "../base/log.h"
#include "../base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAUSE_MS 1000 /* after a publish or a watch that failed */

struct posts { /* one publish under way */
    struct inst *inst;
    size_t n;
    struct end *end[RK_BATCH_MAX];
};

/* ---- attaching links ---- */

static void watch(struct inst *inst);
static void post(struct inst *inst, struct end *end);
static void again_later(struct inst *inst);

/* Do the link's records go by way of its device, which shows them to its neighbour. */
static bool
carried(const struct end *end)
{
    return inst_offers(end->channel, RK_OFFERS_ENCODE) && inst_offers(end->device, RK_OFFERS_NEIGHBOURS);
}

static void
attach_item(struct rk_item *item, const struct end *end, bool on)
{
    const struct rk_link_conf *conf = end->conf;

    snprintf(item->link, sizeof item->link, "%s", conf->name);
    if (!on)
        return;
    snprintf(item->sae, sizeof item->sae, "%s", conf->peer_sae);
    snprintf(item->iface, sizeof item->iface, "%s", conf->iface);
    snprintf(item->chassis, sizeof item->chassis, "%s", conf->peer_chassis);
    snprintf(item->port, sizeof item->port, "%s", conf->peer_port);
    item->carried = carried(end);
}

/* A link that is refused is tried again after a pause: what was missing may come. */
static void
attached_one(struct inst *inst, struct end *end, const struct rk_item *item)
{
    end->busy_posts--;
    end->attaching = false;
    if (!end->gone && inst->ready) { /* else all are attached again when it is back */
        end->attached = item->err == RK_OK;
        if (item->err) {
            rk_log(RK_LOG_WARNING, "ev=attach link=%s channel=%s res=%s why=\"%s\"", end->conf->name, inst->conf->name,
                   rk_err_name(item->err), item->text);
            again_later(inst);
        }
        if (item->err || end->record)
            post(inst, end);
    }
    end_release(end);
}

static void
attached(void *arg, struct rk_reply *reply)
{
    struct posts *p = arg;
    struct rk_item none = {.err = reply->err ? reply->err : RK_E_CONTRACT};

    snprintf(none.text, sizeof none.text, "%.*s", (int)sizeof none.text - 1,
             reply->err ? reply->text : "the host answered with the wrong number of results");
    for (size_t i = 0; i < p->n; i++)
        attached_one(p->inst, p->end[i], reply->n == p->n ? &reply->items[i] : &none);
    inst_mark(p->inst);
    free(p);
}

/* Have the channel know these links.  What is left undone for want of memory is done with their next post. */
static void
attach(struct inst *inst, struct end **ends, size_t n)
{
    struct rk_call_msg m = {.verb = RK_V_ATTACH, .budget_ms = RK_ATTACH_BUDGET_MS, .n = n, .items = rk_items_new(n)};
    struct posts *p = calloc(1, sizeof *p);

    for (size_t i = 0; m.items && p && i < n; i++) {
        attach_item(&m.items[i], ends[i], true);
        p->end[p->n++] = ends[i];
    }
    if (p && m.items)
        p->inst = inst;
    if (p && m.items && sup_call(inst, &m, attached, p) == RK_OK)
        for (size_t i = 0; i < n; i++) {
            ends[i]->attaching = true;
            ends[i]->busy_posts++;
        }
    else
        free(p);
    rk_items_free(m.items, n);
}

void
chan_detach(struct end *end)
{
    struct rk_call_msg m = {.verb = RK_V_ATTACH, .budget_ms = RK_ATTACH_BUDGET_MS, .n = 1};

    if (!end->channel || !(end->attached || end->attaching) || !end->channel->ready)
        return;
    end->attached = false;
    m.items = rk_items_new(1);
    if (!m.items)
        return;
    attach_item(m.items, end, false);
    (void)sup_call(end->channel, &m, NULL, NULL);
    rk_items_free(m.items, 1);
}

static void
attach_all(struct inst *inst)
{
    struct daemon *d = inst->d;
    struct end *some[RK_BATCH_MAX];
    size_t n = 0;

    for (size_t i = 0; i < d->n_ends; i++) {
        if (d->ends[i]->channel != inst)
            continue;
        d->ends[i]->attached = false;
        some[n++] = d->ends[i];
        if (n == RK_BATCH_MAX) {
            attach(inst, some, n);
            n = 0;
        }
    }
    if (n)
        attach(inst, some, n);
}

/* ---- publishing ---- */

static void
chan_again(struct daemon *d, struct wake *w)
{
    struct inst *inst = (struct inst *)w;

    (void)d;
    watch(inst);
    inst_mark(inst);
}

static void
post(struct inst *inst, struct end *end)
{
    if (end->post_due)
        return;
    end->post_due = true;
    end->next_post = NULL;
    *inst->post_last = end;
    inst->post_last = &end->next_post;
    inst_mark(inst);
}

static void
post_local(struct end *end, const struct rk_record *record)
{
    struct daemon *d = end->d;
    struct end *other = end->other;

    if (!other->inbox)
        other->inbox = malloc(sizeof *other->inbox);
    if (!other->inbox)
        return; /* as if a channel had lost it: it is said again */
    *other->inbox = *record;
    if (other->inbox_due)
        return;
    other->inbox_due = true;
    other->next_inbox = NULL;
    *d->inbox_last = other;
    d->inbox_last = &other->next_inbox;
    turn_soon(d);
}

void
chan_publish(struct end *end)
{
    struct rk_record record;
    char text[RK_RECORD_MAX + 1], *copy;

    rk_end_record(&end->live->e, &record);
    if (!end->channel) {
        post_local(end, &record);
        return;
    }
    if (!rk_record_put(&record, text)) {
        rk_log(RK_LOG_ERR, "ev=publish link=%s res=too-long", end->conf->name);
        return;
    }
    copy = strdup(text);
    if (!copy)
        return; /* as if the channel had lost it: it is said again */
    free(end->record);
    end->record = copy;
    post(end->channel, end);
}

void
chan_local(struct daemon *d)
{
    while (d->inbox) {
        struct end *end = d->inbox;
        struct rk_record record = *end->inbox;

        free(end->inbox);
        end->inbox = NULL;
        d->inbox = end->next_inbox;
        if (!d->inbox)
            d->inbox_last = &d->inbox;
        end->inbox_due = false;
        if (end->gone)
            end_release(end);
        else
            end_event(end, &(struct rk_event){.type = RK_EV_PEER, .record = &record});
    }
}

static void
again_later(struct inst *inst)
{
    inst->wake.fn = chan_again;
    inst->quiet_until_ns = rk_now_ns() + PAUSE_MS * RK_NS_PER_MS;
    wake_at(inst->d, &inst->wake, inst->quiet_until_ns);
}

/* A record that could not be published goes again after a pause: the newest one, if there is a newer by then. */
static void
published_one(struct inst *inst, struct end *end, int err, const char *why)
{
    end->busy_posts--;
    if (err && !end->gone && !inst->gone) {
        rk_log(RK_LOG_WARNING, "ev=publish link=%s channel=%s res=%s why=\"%s\"", end->conf->name, inst->conf->name,
               rk_err_name(err), why);
        again_later(inst);
        post(inst, end);
    }
    end_release(end);
}

static void
published(void *arg, struct rk_reply *reply)
{
    struct posts *p = arg;
    bool match = reply->n == p->n;

    p->inst->publishing = false;
    for (size_t i = 0; i < p->n; i++) {
        if (reply->err || !match)
            published_one(p->inst, p->end[i], reply->err ? reply->err : RK_E_CONTRACT,
                          reply->err ? reply->text : "the host answered with the wrong number of results");
        else
            published_one(p->inst, p->end[i], reply->items[i].err, reply->items[i].text);
    }
    inst_mark(p->inst);
    free(p);
}

static struct end *
pop_post(struct inst *inst)
{
    struct end *end = inst->post_first;

    inst->post_first = end->next_post;
    if (!inst->post_first)
        inst->post_last = &inst->post_first;
    end->post_due = false;
    end->next_post = NULL;
    return end;
}

void
chan_drop_posts(struct inst *inst)
{
    while (inst->post_first)
        end_release(pop_post(inst));
}

static void
publish_batch(struct inst *inst)
{
    struct rk_call_msg m = {.verb = RK_V_PUBLISH, .budget_ms = RK_PUBLISH_BUDGET_MS};
    struct posts *p = calloc(1, sizeof *p);
    struct end *fresh[RK_BATCH_MAX];
    size_t cap = 0, n_fresh = 0;

    for (const struct end *end = inst->post_first; end && cap < RK_BATCH_MAX; end = end->next_post)
        cap++;
    m.items = rk_items_new(cap);
    if (!p || !m.items)
        goto fail;
    p->inst = inst;
    while (inst->post_first && p->n + n_fresh < cap) {
        struct end *end = pop_post(inst);
        struct rk_item *item = &m.items[p->n];

        if (end->gone) {
            end_release(end);
            continue;
        }
        if (!end->attached) { /* it is posted again when it is */
            if (!end->attaching)
                fresh[n_fresh++] = end;
            continue;
        }
        if (!end->record)
            continue;
        snprintf(item->link, sizeof item->link, "%s", end->conf->name);
        snprintf(item->sae, sizeof item->sae, "%s", end->conf->peer_sae);
        snprintf(item->text, sizeof item->text, "%s", end->record);
        p->end[p->n++] = end;
    }
    if (n_fresh)
        attach(inst, fresh, n_fresh);
    m.n = p->n;
    if (p->n == 0 || sup_call(inst, &m, published, p) != RK_OK)
        goto fail;
    inst->publishing = true;
    for (size_t i = 0; i < p->n; i++)
        p->end[i]->busy_posts++;
    rk_items_free(m.items, cap);
    return;
fail:
    rk_items_free(m.items, cap);
    free(p);
}

/* ---- watching ---- */

static void
take_record(struct inst *inst, const struct rk_item *item)
{
    struct rk_record record;
    struct end *end = end_find(inst->d, item->link, 'a');
    const char *stale;

    if (item->err || rk_record_get(item->text, &record) != RK_OK || strcmp(record.link, item->link) != 0) {
        refused_note(inst, item->link, item->err ? item->text : "not a record of this link");
        return;
    }
    if (!end || end->channel != inst || !end_rouse(end)) /* without memory: as if the channel had lost it */
        return;
    stale = refused_stale(&end->live->e, &record);
    if (stale)
        refused_note(inst, item->link, stale);
    rk_log(RK_LOG_DEBUG, "ev=record link=%s role=%c seq=%llu says=%s key_id=%s", item->link,
           record.role == RK_MASTER ? 'M' : 'S', (unsigned long long)record.seq, rk_say_name(record.say), record.key);
    end_event(end, &(struct rk_event){.type = RK_EV_PEER, .record = &record});
}

static void
watched(void *arg, struct rk_reply *reply)
{
    struct inst *inst = arg;

    inst->watching = false;
    for (size_t i = 0; i < reply->n; i++)
        take_record(inst, &reply->items[i]);
    refused_tell_rest(inst);
    if (!inst->ready || inst->d->stopping)
        return;
    if (reply->err == RK_OK) {
        watch(inst);
        return;
    }
    rk_log(RK_LOG_WARNING, "ev=watch channel=%s res=%s why=\"%s\"", inst->conf->name, rk_err_name(reply->err),
           reply->text);
    again_later(inst);
}

static void
watch(struct inst *inst)
{
    struct rk_call_msg m = {.verb = RK_V_WATCH, .budget_ms = RK_WATCH_BUDGET_MS};

    if (inst->ready && !inst->watching)
        inst->watching = sup_call(inst, &m, watched, inst) == RK_OK;
}

void
chan_ready(struct inst *inst)
{
    inst->quiet_until_ns = 0;
    attach_all(inst);
    watch(inst);
}

void
chan_dispatch(struct inst *inst)
{
    if (inst->ready && !inst->publishing && inst->post_first && rk_now_ns() >= inst->quiet_until_ns)
        publish_batch(inst);
}
