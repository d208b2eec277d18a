/* chan.c - records out through channels, and in from them.
 *
 * One publish and one watch at a time per channel; what one channel does holds up no other.  Of an end only the newest
 * record is published, on each of its paths.  The host signs and checks; what comes in here had a good tag, and is
 * still only believed when it is a record of a link on this channel.
 */
#include "carry.h"
#include "path.h"
#include "ratchet.h"

#include "../base/err.h"
#include "../base/log.h"
#include "../base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAUSE_MS 1000 /* after a watch that failed */

struct posts { /* one publish, or attach, under way */
    struct inst *inst;
    size_t n;
    struct path *path[RK_BATCH_MAX];
};

/* ---- what waits to be sent ---- */

void
chan_post(struct path *p)
{
    struct inst *inst = p->channel;

    if (p->post_due || inst->gone)
        return;
    p->post_due = true;
    p->next_post = NULL;
    *inst->post_last = p;
    inst->post_last = &p->next_post;
    inst_mark(inst);
}

/* The first; NULL: it has gone meanwhile. */
static struct path *
pop_post(struct inst *inst)
{
    struct path *p = inst->post_first;

    inst->post_first = p->next_post;
    if (!inst->post_first)
        inst->post_last = &inst->post_first;
    p->post_due = false;
    p->next_post = NULL;
    if (p->end)
        return p;
    path_release(p);
    return NULL;
}

void
chan_drop_posts(struct inst *inst)
{
    while (inst->post_first)
        (void)pop_post(inst);
}

/* ---- attaching links ---- */

static void
attach_item(struct rk_item *item, const struct path *p, bool on)
{
    const struct rk_link_conf *conf = p->end->conf;

    snprintf(item->link, sizeof item->link, "%s", conf->name);
    if (!on)
        return;
    snprintf(item->sae, sizeof item->sae, "%s", conf->peer_sae);
    snprintf(item->iface, sizeof item->iface, "%s", conf->iface);
    snprintf(item->chassis, sizeof item->chassis, "%s", conf->peer_chassis);
    snprintf(item->port, sizeof item->port, "%s", conf->peer_port);
    item->carried = carry_path(p->end) == p;
}

/* When the host has gone meanwhile, all its links are attached again as soon as it is back. */
static void
attached_one(struct inst *inst, struct path *p, const struct rk_item *item)
{
    p->busy--;
    p->attaching = false;
    if (!p->end || !inst->ready) {
        path_release(p);
        return;
    }
    p->attached = item->err == RK_OK && !p->again;
    p->again = false;
    if (item->err) {
        path_failed(p, true, item->err, item->text);
        return;
    }
    if (p->attached && p->trouble && p->trouble->attach)
        path_works(p);
    chan_post(p);
}

static void
attached(void *arg, struct rk_reply *reply)
{
    struct posts *posts = arg;
    struct rk_item none = {.err = reply->err ? reply->err : RK_E_CONTRACT};

    snprintf(none.text, sizeof none.text, "%.*s", (int)sizeof none.text - 1,
             reply->err ? reply->text : "the host answered with the wrong number of results");
    for (size_t i = 0; i < posts->n; i++)
        attached_one(posts->inst, posts->path[i], reply->n == posts->n ? &reply->items[i] : &none);
    inst_mark(posts->inst);
    free(posts);
}

/* Have the channel know these links.  What is left undone for want of memory is done with their next post. */
static void
attach(struct inst *inst, struct path **paths, size_t n)
{
    struct rk_call_msg m = {.verb = RK_V_ATTACH, .budget_ms = RK_ATTACH_BUDGET_MS, .n = n, .items = rk_items_new(n)};
    struct posts *posts = calloc(1, sizeof *posts);

    for (size_t i = 0; m.items && posts && i < n; i++) {
        attach_item(&m.items[i], paths[i], true);
        posts->path[posts->n++] = paths[i];
    }
    if (posts)
        posts->inst = inst;
    ratchet_bound(inst, paths, n); /* first: as soon as they are bound, records of them are checked */
    if (posts && m.items && sup_call(inst, &m, attached, posts) == RK_OK)
        for (size_t i = 0; i < n; i++) {
            paths[i]->attaching = true;
            paths[i]->busy++;
        }
    else
        free(posts);
    rk_items_free(m.items, n);
}

void
chan_detach(struct path *p)
{
    struct rk_call_msg m = {.verb = RK_V_ATTACH, .budget_ms = RK_ATTACH_BUDGET_MS, .n = 1};

    if (!(p->attached || p->attaching) || !p->channel->ready)
        return;
    p->attached = false;
    m.items = rk_items_new(1);
    if (!m.items)
        return;
    attach_item(m.items, p, false);
    (void)sup_call(p->channel, &m, NULL, NULL);
    rk_items_free(m.items, 1);
    ratchet_unbound(p->channel, p->end);
}

static void
attach_all(struct inst *inst)
{
    struct daemon *d = inst->d;
    struct path *some[RK_BATCH_MAX];
    size_t n = 0;

    for (size_t i = 0; i < d->n_ends; i++) {
        struct path *p = path_of(d->ends[i], inst);

        if (!p)
            continue;
        p->attached = false;
        some[n++] = p;
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

/* What the end says now, as text, with what it says of time as far as that fits; but where a device shows it, for there
 * each new text costs a commit, and room that the operator's own text may need.
 * ret: false: it cannot be said */
static bool
text_of(struct end *end, const struct rk_record *record, char text[RK_RECORD_MAX + 1])
{
    struct rk_record timed = *record;

    if (!rk_record_put(record, text)) {
        rk_log(RK_LOG_ERR, "ev=publish link=%s res=too-long", end->conf->name);
        return false;
    }
    if (carry_path(end))
        return true;
    rk_end_record_times(&end->live->e, &timed, true, rk_wall_now(), rk_now_ns());
    return rk_record_put(&timed, text) || rk_record_put(record, text);
}

void
chan_publish(struct end *end)
{
    struct rk_record record;
    char text[RK_RECORD_MAX + 1], *copy;

    rk_end_record(&end->live->e, &record);
    if (!end->channel) {
        rk_end_record_times(&end->live->e, &record, false, rk_wall_now(), rk_now_ns());
        post_local(end, &record);
        return;
    }
    copy = text_of(end, &record, text) ? strdup(text) : NULL;
    if (!copy)
        return; /* as if the channel had lost it: it is said again */
    free(end->record);
    end->record = copy;
    for (struct path *p = end->paths; p; p = p->next)
        chan_post(p);
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

/* A record that could not be published goes again after a pause: the newest one, if there is a newer by then. */
static void
published_one(struct inst *inst, struct path *p, int err, const char *why)
{
    p->busy--;
    if (!p->end)
        path_release(p);
    else if (err && inst->ready)
        path_failed(p, false, err, why);
    else if (!err)
        path_works(p);
}

static void
published(void *arg, struct rk_reply *reply)
{
    struct posts *posts = arg;
    bool match = reply->n == posts->n;

    posts->inst->publishing = false;
    for (size_t i = 0; i < posts->n; i++) {
        if (match)
            published_one(posts->inst, posts->path[i], reply->items[i].err, reply->items[i].text);
        else
            published_one(posts->inst, posts->path[i], reply->err ? reply->err : RK_E_CONTRACT,
                          reply->err ? reply->text : "the host answered with the wrong number of results");
    }
    inst_mark(posts->inst);
    free(posts);
}

/* What is due now, at most cap: records into items and posts, links that the channel does not know yet into fresh. */
static size_t
take_due(struct inst *inst, struct rk_item *items, struct posts *posts, struct path **fresh)
{
    size_t n_fresh = 0;

    while (inst->post_first && posts->n + n_fresh < RK_BATCH_MAX) {
        struct path *p = pop_post(inst);
        struct rk_item *item = &items[posts->n];

        if (p && !p->attached && !p->attaching) { /* it is posted again when it is attached */
            fresh[n_fresh++] = p;
        } else if (p && p->attached && p->end->record && carry_path(p->end) == p) {
            carry_publish(p->end);
        } else if (p && p->attached && p->end->record) {
            snprintf(item->link, sizeof item->link, "%s", p->end->conf->name);
            snprintf(item->sae, sizeof item->sae, "%s", p->end->conf->peer_sae);
            ratchet_sign(p->end, item);
            snprintf(item->text, sizeof item->text, "%s", p->end->record);
            posts->path[posts->n++] = p;
        }
    }
    return n_fresh;
}

static void
publish_batch(struct inst *inst)
{
    struct rk_call_msg m = {.verb = RK_V_PUBLISH, .budget_ms = RK_PUBLISH_BUDGET_MS};
    struct posts *posts = calloc(1, sizeof *posts);
    struct path *fresh[RK_BATCH_MAX];
    size_t cap = 0, n_fresh;

    for (const struct path *p = inst->post_first; p && cap < RK_BATCH_MAX; p = p->next_post)
        cap++;
    m.items = rk_items_new(cap);
    if (!posts || !m.items)
        goto fail;
    posts->inst = inst;
    n_fresh = take_due(inst, m.items, posts, fresh);
    if (n_fresh)
        attach(inst, fresh, n_fresh);
    m.n = posts->n;
    if (posts->n == 0 || sup_call(inst, &m, published, posts) != RK_OK)
        goto fail;
    inst->publishing = true;
    for (size_t i = 0; i < posts->n; i++)
        posts->path[i]->busy++;
    rk_items_free(m.items, cap);
    return;
fail:
    rk_items_free(m.items, cap);
    free(posts);
}

/* ---- watching ---- */

static void watch(struct inst *inst);

static void
chan_again(struct daemon *d, struct wake *w)
{
    struct inst *inst = (struct inst *)w;

    (void)d;
    watch(inst);
}

static void
again_later(struct inst *inst)
{
    inst->wake.fn = chan_again;
    wake_at(inst->d, &inst->wake, rk_now_ns() + PAUSE_MS * RK_NS_PER_MS);
}

void
chan_heard(struct inst *inst, struct rk_item *item)
{
    struct end *end = end_find(inst->d, item->link, 'a');
    struct path *path = end ? path_of(end, inst) : NULL;
    struct rk_record record;
    const char *stale, *why;

    if (path && !bare_unfold(end, item))
        return;
    if (item->err || rk_record_get(item->text, &record) != RK_OK || strcmp(record.link, item->link) != 0) {
        refused_note(inst, item->link, item->err ? item->text : "not a record of this link");
        if (item->err == RK_E_CONFLICT && path)
            path_conflict(path, item->text);
        return;
    }
    if (!path || !end_rouse(end)) /* without memory: as if the channel had lost it */
        return;
    /* a stale one is handed on, too: of a master without a journal no other is heard */
    stale = rk_end_outdated(&end->live->e, &record);
    if (!ratchet_counts(end, item->key_id, stale != NULL, &why)) {
        refused_note(inst, item->link, why);
        return;
    }
    if (stale)
        refused_note(inst, item->link, stale);
    path_heard(path, &record, stale != NULL);
    rk_log(RK_LOG_DEBUG, "ev=record link=%s channel=%s role=%c seq=%llu says=%s key_id=%s by=%s", item->link,
           inst->conf->name, record.role == RK_MASTER ? 'M' : 'S', (unsigned long long)record.seq,
           rk_say_name(record.say), record.key, item->key_id[0] ? item->key_id : "auth-key");
    end_event(end, &(struct rk_event){.type = RK_EV_PEER, .record = &record});
}

static void
watched(void *arg, struct rk_reply *reply)
{
    struct inst *inst = arg;

    inst->watching = false;
    for (size_t i = 0; i < reply->n; i++)
        chan_heard(inst, &reply->items[i]);
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
    attach_all(inst);
    watch(inst);
}

void
chan_dispatch(struct inst *inst)
{
    ratchet_dispatch(inst);
    if (inst->ready && !inst->publishing && inst->post_first)
        publish_batch(inst);
}
