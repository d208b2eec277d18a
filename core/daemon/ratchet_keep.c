/* ratchet_keep.c - the channel keys of ends over restarts: into the journal with the states, and back to the hosts of
 * channels that begin. */
#include "ratchet_priv.h"

#include "path.h"

#include "../base/err.h"
#include "../base/log.h"
#include "../base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- into the journal ---- */

static unsigned
number_of(const struct end *end, const struct inst *channel)
{
    struct inst *inst[RK_PATHS_MAX];
    size_t n = ratchet_channels(end, inst);

    for (size_t i = 0; i < n; i++)
        if (inst[i] == channel)
            return (unsigned)i;
    return 0;
}

void
ratchet_wrapped(struct end *end, const struct inst *channel, const char *key_id, const char *blob)
{
    struct ratchet *r = end->ratchet;
    int slot = r ? ratchet_slot(r, key_id) : -1;
    struct wrapped *w = slot >= 0 ? calloc(1, sizeof *w) : NULL;

    if (!w)
        return; /* it works until a restart */
    w->row.place = number_of(end, channel) * RK_CHANKEYS_MAX + (unsigned)slot;
    (void)rk_copy(w->row.channel, sizeof w->row.channel, channel->conf->name);
    (void)rk_copy(w->row.key_id, sizeof w->row.key_id, key_id);
    (void)rk_copy(w->row.blob, sizeof w->row.blob, blob);
    w->next = r->wrapped;
    r->wrapped = w;
}

void
ratchet_free_wrapped(struct ratchet *r)
{
    while (r->wrapped) {
        struct wrapped *w = r->wrapped;

        r->wrapped = w->next;
        free(w);
    }
}

static struct rk_journal_end
whose(const struct end *end)
{
    return (struct rk_journal_end){end->conf->name, end->which};
}

static void
store_dropped(struct end *end, const struct rk_journal_place *at)
{
    for (unsigned slot = 0; slot < RK_CHANKEYS_MAX; slot++)
        if (end->ratchet->dropping & (1u << slot))
            (void)rk_journal_chankey_drop(end->d->journal, at, slot);
}

static void
store_proven(struct end *end, const struct rk_journal_place *at)
{
    struct inst *inst[RK_PATHS_MAX];
    size_t n = ratchet_channels(end, inst);

    for (unsigned i = 0; i < n * RK_CHANKEYS_MAX; i++)
        if (end->ratchet->proving & (1u << i % RK_CHANKEYS_MAX))
            (void)rk_journal_chankey_proven(end->d->journal, at, whose(end), i);
}

/* What cannot be written fails the group, which then is told by its commit. */
void
ratchet_store(struct end *end)
{
    struct ratchet *r = end->ratchet;
    const struct rk_journal_place *at = &end->live->place;

    if (!r || (!r->wrapped && !r->prove && !r->drop))
        return;
    r->dropping |= r->drop;
    r->proving |= r->prove;
    r->drop = r->prove = 0;
    store_dropped(end, at);
    for (struct wrapped *w = r->wrapped; w; w = w->next) {
        int slot = ratchet_slot(r, w->row.key_id);

        w->row.proven = slot >= 0 && r->key[slot].proven;
        w->written = true;
        if (slot >= 0)
            (void)rk_journal_chankey_put(end->d->journal, at, whose(end), &w->row);
    }
    store_proven(end, at);
}

void
ratchet_stored(struct end *end, bool ok)
{
    struct ratchet *r = end->ratchet;

    if (!r)
        return;
    if (!ok) { /* again with the next entry */
        r->drop |= r->dropping;
        r->prove |= r->proving;
    }
    r->dropping = r->proving = 0;
    for (struct wrapped **at = &r->wrapped; *at;) {
        struct wrapped *w = *at;

        if (ok && w->written) {
            *at = w->next;
            free(w);
            continue;
        }
        w->written = false;
        at = &w->next;
    }
}

/* ---- back to the hosts ---- */

struct restoring { /* one call */
    struct inst *inst;
    struct rk_call_msg m;
    const struct end *end; /* whose rows are read */
    unsigned found;        /* slots of this end that the call has, or had before */
    bool borrow;           /* rows of other channels are read */
    struct {
        char link[RK_LINK_MAX + 1], key_id[RK_KEY_ID_MAX + 1];
        char borrowed[RK_WRAP_HEX + 1]; /* what another channel's host had wrapped; "" it was this one's */
    } key[RK_BATCH_MAX];
};

/* It cannot be unwrapped, for the auth-key is another one: as if the link had not had it. */
static void
lost_one(struct inst *inst, const char *link, const char *key_id, const struct rk_item *item)
{
    struct inst *paths[RK_PATHS_MAX];
    struct end *end = end_find(inst->d, link, 'a');
    int slot = end && end->ratchet ? ratchet_slot(end->ratchet, key_id) : -1;

    rk_log(RK_LOG_WARNING, "ev=ratchet link=%s channel=%s key_id=%s res=%s why=\"%s\" note=\"forgotten\"", link,
           inst->conf->name, key_id, rk_err_name(item->err), item->text);
    if (slot >= 0 && ratchet_channels(end, paths) == 1)
        ratchet_forget(end, slot);
}

/* What another channel's host had wrapped is this one's as well from now on, when both have the same auth-key. */
static void
borrowed_one(struct restoring *r, size_t i, const struct rk_item *item)
{
    struct end *end = end_find(r->inst->d, r->key[i].link, 'a');

    if (item->err)
        rk_log(RK_LOG_NOTICE, "ev=ratchet link=%s channel=%s key_id=%s res=%s why=\"%s\" note=\"nothing can be checked "
               "on this channel before the next rotation\"", r->key[i].link, r->inst->conf->name, r->key[i].key_id,
               rk_err_name(item->err), item->text);
    else if (end)
        ratchet_wrapped(end, r->inst, r->key[i].key_id, r->key[i].borrowed);
}

static void
restored(void *arg, struct rk_reply *reply)
{
    struct restoring *r = arg;

    for (size_t i = 0; i < r->m.n && reply->n == r->m.n; i++)
        if (r->key[i].borrowed[0])
            borrowed_one(r, i, &reply->items[i]);
        else if (reply->items[i].err)
            lost_one(r->inst, r->key[i].link, r->key[i].key_id, &reply->items[i]);
    free(r);
}

static struct restoring *
restoring_new(struct inst *inst)
{
    struct restoring *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    r->inst = inst;
    r->m = (struct rk_call_msg){.verb = RK_V_RATCHET, .budget_ms = RK_PUBLISH_BUDGET_MS};
    r->m.items = rk_items_new(RK_BATCH_MAX);
    if (r->m.items)
        return r;
    free(r);
    return NULL;
}

/* The rest of the call is done by the host itself, in the order of calls: before anything else of these links. */
static void
send(struct restoring *r)
{
    struct rk_item *items = r->m.items;
    bool sent = r->m.n > 0 && sup_call(r->inst, &r->m, restored, r) == RK_OK;

    free(items);
    if (!sent)
        free(r);
}

/* Room for one more in the call; one that is full is sent.   ret: false: no memory */
static bool
have_room(struct restoring **at)
{
    struct restoring *r = *at, *next;

    if (r->m.n < RK_BATCH_MAX)
        return true;
    next = restoring_new(r->inst);
    if (!next)
        return false;
    next->end = r->end;
    next->found = r->found;
    next->borrow = r->borrow;
    send(r);
    *at = next;
    return true;
}

static int
restore_one(const struct rk_journal_chankey *key, void *arg)
{
    struct restoring **at = arg, *r = *at;
    bool own = strcmp(key->channel, r->inst->conf->name) == 0;
    int slot = r->end->ratchet ? ratchet_slot(r->end->ratchet, key->key_id) : -1;
    struct rk_item *item;

    if (own == r->borrow || slot < 0 || (r->borrow && r->found & 1u << slot))
        return RK_OK;
    if (!have_room(at))
        return RK_E_NOMEM;
    r = *at;
    r->found |= 1u << slot;
    item = &r->m.items[r->m.n];
    item->op = RK_RATCHET_RESTORE;
    (void)rk_copy(item->link, sizeof item->link, r->end->conf->name);
    (void)rk_copy(item->key_id, sizeof item->key_id, key->key_id);
    (void)rk_copy(item->text, sizeof item->text, key->blob);
    memcpy(r->key[r->m.n].link, item->link, sizeof item->link);
    memcpy(r->key[r->m.n].key_id, item->key_id, sizeof item->key_id);
    (void)rk_copy(r->key[r->m.n].borrowed, sizeof r->key[0].borrowed, own ? "" : key->blob);
    r->m.n++;
    return RK_OK;
}

static unsigned
held(const struct ratchet *r)
{
    unsigned slots = 0;

    for (int i = 0; i < RK_CHANKEYS_MAX; i++)
        slots |= r->key[i].hash ? 1u << i : 0;
    return slots;
}

/* What this channel has not wrapped itself another one of the link may have: it is new to the link. */
static void
restore_end(const struct end *end, struct restoring **at)
{
    (*at)->end = end;
    (*at)->found = 0;
    for (int borrow = 0; borrow <= 1 && held(end->ratchet) & ~(*at)->found; borrow++) {
        (*at)->borrow = borrow;
        (void)rk_journal_chankeys_load(end->d->journal, whose(end), restore_one, at);
        for (const struct wrapped *w = end->ratchet->wrapped; w; w = w->next)
            (void)restore_one(&w->row, at);
    }
}

void
ratchet_bound(struct inst *inst, struct path *const *paths, size_t n)
{
    struct restoring *r = restoring_new(inst);

    for (size_t i = 0; r && i < n; i++)
        if (paths[i]->end->ratchet)
            restore_end(paths[i]->end, &r);
    if (r)
        send(r);
}

void
ratchet_unbound(struct inst *inst, const struct end *end)
{
    struct rk_call_msg m = {.verb = RK_V_RATCHET, .budget_ms = RK_PUBLISH_BUDGET_MS, .n = 1};

    m.items = rk_items_new(1);
    if (!m.items)
        return;
    m.items->op = RK_RATCHET_KEEP; /* nothing */
    (void)rk_copy(m.items->link, sizeof m.items->link, end->conf->name);
    (void)sup_call(inst, &m, NULL, NULL);
    rk_items_free(m.items, m.n);
}

/* ---- a new journal ---- */

struct wrapping { /* one call */
    struct inst *inst;
    char link[RK_LINK_MAX + 1];
    size_t n;
    char key_id[RK_CHANKEYS_MAX][RK_KEY_ID_MAX + 1];
};

static void
wrapped_again(void *arg, struct rk_reply *reply)
{
    struct wrapping *w = arg;
    struct end *end = end_find(w->inst->d, w->link, 'a');

    for (size_t i = 0; end && reply->n == w->n && i < w->n; i++)
        if (!reply->items[i].err)
            ratchet_wrapped(end, w->inst, w->key_id[i], reply->items[i].text);
    free(w);
}

static void
add_held(const struct ratchet *r, const char *key_id, struct wrapping *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (strcmp(w->key_id[i], key_id) == 0)
            return;
    if (w->n < RK_CHANKEYS_MAX && ratchet_slot(r, key_id) >= 0)
        memcpy(w->key_id[w->n++], key_id, strlen(key_id) + 1);
}

static void
wrap_again(const struct end *end, struct inst *inst)
{
    const struct rk_durable *d = &end_see(end)->d;
    struct rk_call_msg m = {.verb = RK_V_RATCHET, .budget_ms = RK_PUBLISH_BUDGET_MS};
    struct wrapping *w = calloc(1, sizeof *w);

    if (!w)
        return;
    w->inst = inst;
    (void)rk_copy(w->link, sizeof w->link, d->link);
    add_held(end->ratchet, d->cur, w);
    add_held(end->ratchet, d->prev, w);
    add_held(end->ratchet, d->cand, w);
    add_held(end->ratchet, end->ratchet->sign, w);
    m.items = w->n ? rk_items_new(w->n) : NULL;
    for (; m.items && m.n < w->n; m.n++) {
        m.items[m.n].op = RK_RATCHET_WRAP;
        memcpy(m.items[m.n].link, w->link, sizeof w->link);
        memcpy(m.items[m.n].key_id, w->key_id[m.n], sizeof w->key_id[0]);
    }
    if (!m.items || sup_call(inst, &m, wrapped_again, w) != RK_OK)
        free(w);
    free(m.items);
}

void
ratchet_lost(struct end *end)
{
    struct inst *inst[RK_PATHS_MAX];
    size_t n = end->ratchet ? ratchet_channels(end, inst) : 0;

    for (size_t i = 0; i < n; i++)
        wrap_again(end, inst[i]);
}
