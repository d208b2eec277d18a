/* ratchet_add.c - a key came, and with it the channel key that it gives: first the hosts of the end's channels get
 * that, then the end hears of its key.  So before a device has the key, or the peer hears of it, the channel key is
 * where it will be needed, and in the journal by the time that the model builds on it.
 *
 * All channels read the same memfd; it is wiped here when they have.  A channel whose host is not there is waited for,
 * unless another one has taken it: what is heard on that path can then not be checked until the next rotation.
 */
#include "ratchet_priv.h"

#include "errand.h"

#include "../base/err.h"
#include "../base/log.h"
#include "../base/secret.h"
#include "../base/text.h"
#include "../model/end_class.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum hand { HAND_WAITS, HAND_SENT, HAND_TAKEN, HAND_LEFT };

struct ratchet_add {
    struct wake wake; /* the end of its time: first member */
    struct daemon *d;
    struct ratchet_add *next;
    struct end *end;
    int fd;    /* of the channel key */
    bool late;
    size_t n;
    struct {
        struct inst *inst;
        enum hand hand;
    } to[RK_PATHS_MAX];
    char key_id[RK_KEY_ID_MAX + 1], mine[RK_CONFIRM_HEX + 1], theirs[RK_CONFIRM_HEX + 1];
    int err; /* of the last that did not take it */
    char why[RK_TEXT_MAX];
};

struct handing { /* one call */
    struct inst *inst;
    size_t n;
    struct ratchet_add *add[RK_BATCH_MAX];
};

static struct ratchet_add **
adds(struct daemon *d)
{
    return &d->ratchet_adds;
}

/* ---- the end of one ---- */

static void
over(struct ratchet_add *a, bool taken)
{
    struct ratchet_add **at = adds(a->d);
    struct end *end = a->end;
    char why[RK_TEXT_MAX];

    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    wake_off(a->d, &a->wake);
    rk_secret_fd_wipe(a->fd);
    if (taken && !end->gone && inst_offers(end->channel, RK_OFFERS_ENCODE)) {
        ratchet_store(end); /* the change of the device may bring a word about the key along */
        a->d->group_open = true;
    }
    if (taken || end->gone) {
        end_answer(end, &(struct rk_event){.type = RK_EV_KEY, .key_id = a->key_id, .mine = a->mine,
                                           .theirs = a->theirs});
    } else {
        int slot = ratchet_slot(end->ratchet, a->key_id);

        if (slot >= 0)
            ratchet_forget(end, slot);
        rk_secret_fd_wipe(end->key_fd);
        end->key_fd = -1;
        end->live->e.orphaned++;
        snprintf(why, sizeof why, "no channel has taken the key that signs its records: %.300s",
                 a->why[0] ? a->why : "the host is not there");
        end_failed(end, a->err ? a->err : RK_E_UNREACHABLE, why);
    }
    free(a);
}

static size_t
count(const struct ratchet_add *a, enum hand hand)
{
    size_t n = 0;

    for (size_t i = 0; i < a->n; i++)
        n += a->to[i].hand == hand;
    return n;
}

static bool
waits_for_ready(const struct ratchet_add *a)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->to[i].hand == HAND_WAITS && a->to[i].inst->ready)
            return true;
    return false;
}

static void
settle(struct ratchet_add *a)
{
    if (count(a, HAND_SENT) > 0)
        return;
    if (a->late || a->end->gone || count(a, HAND_LEFT) == a->n || (count(a, HAND_TAKEN) && !waits_for_ready(a)))
        over(a, count(a, HAND_TAKEN) > 0);
}

static void
too_late(struct daemon *d, struct wake *w)
{
    struct ratchet_add *a = (struct ratchet_add *)w;

    (void)d;
    a->late = true;
    settle(a); /* what is under way ends within its budget */
}

/* ---- handing over ---- */

static void
answered(struct ratchet_add *a, struct inst *inst, int err, const char *text)
{
    size_t i = 0;

    while (a->to[i].inst != inst || a->to[i].hand != HAND_SENT)
        i++;
    a->to[i].hand = !err                          ? HAND_TAKEN
                    : err == RK_E_UNKNOWN && !inst->gone ? HAND_WAITS /* its host died, and comes again */
                                                  : HAND_LEFT;
    if (err) {
        a->err = err;
        snprintf(a->why, sizeof a->why, "%s: %.300s", inst->conf->name, text);
        rk_log(RK_LOG_WARNING, "ev=ratchet link=%s channel=%s key_id=%s res=%s why=\"%s\"", a->end->conf->name,
               inst->conf->name, a->key_id, rk_err_name(err), text);
    } else if (!a->end->gone) {
        ratchet_wrapped(a->end, inst, a->key_id, text);
    }
    settle(a);
}

static void
handed(void *arg, struct rk_reply *reply)
{
    struct handing *h = arg;
    bool match = reply->n == h->n;

    for (size_t i = 0; i < h->n; i++) {
        if (match)
            answered(h->add[i], h->inst, reply->items[i].err, reply->items[i].text);
        else
            answered(h->add[i], h->inst, reply->err ? reply->err : RK_E_CONTRACT,
                     reply->err ? reply->text : "the host answered with the wrong number of results");
    }
    free(h);
}

/* What else the host is to hold of this link: what the peer may sign by, beside the new one. */
static void
fill(const struct ratchet_add *a, struct rk_item *item)
{
    const struct rk_durable *d = &a->end->live->e.d;

    item->op = RK_RATCHET_ADD;
    item->fd = dup(a->fd);
    (void)rk_copy(item->link, sizeof item->link, a->end->conf->name);
    (void)rk_copy(item->key_id, sizeof item->key_id, a->key_id);
    (void)rk_copy(item->key[0].id, sizeof item->key[0].id, d->cur);
    (void)rk_copy(item->key[1].id, sizeof item->key[1].id, d->prev);
    (void)rk_copy(item->key[2].id, sizeof item->key[2].id, a->end->ratchet->sign);
}

static struct handing *
collect(struct inst *inst)
{
    struct handing *h = calloc(1, sizeof *h);

    for (struct ratchet_add *a = *adds(inst->d); h && a && h->n < RK_BATCH_MAX; a = a->next)
        for (size_t i = 0; i < a->n; i++)
            if (a->to[i].inst == inst && a->to[i].hand == HAND_WAITS && !a->end->gone) {
                a->to[i].hand = HAND_SENT;
                h->add[h->n++] = a;
            }
    if (h)
        h->inst = inst;
    return h;
}

static void
back(const struct handing *h)
{
    for (size_t k = 0; k < h->n; k++)
        for (size_t i = 0; i < h->add[k]->n; i++)
            if (h->add[k]->to[i].inst == h->inst)
                h->add[k]->to[i].hand = HAND_WAITS;
}

void
ratchet_dispatch(struct inst *inst)
{
    struct rk_call_msg m = {.verb = RK_V_RATCHET, .budget_ms = RK_PUBLISH_BUDGET_MS};
    struct handing *h = *adds(inst->d) && inst->ready ? collect(inst) : NULL;

    if (!h)
        return;
    m.items = h->n ? rk_items_new(h->n) : NULL;
    for (m.n = 0; m.items && m.n < h->n; m.n++)
        fill(h->add[m.n], &m.items[m.n]);
    if (!m.items || sup_call(inst, &m, handed, h) != RK_OK) {
        back(h); /* until it is there again, or it is too late */
        rk_items_sent(m.items, m.items ? m.n : 0); /* the same pages: they are not to be wiped */
        free(h);
    } else if (h->n == RK_BATCH_MAX) {
        inst_mark(inst); /* there may be more */
    }
    free(m.items);
}

void
ratchet_left(struct inst *inst)
{
    for (struct ratchet_add *a = *adds(inst->d), *next; a; a = next) {
        bool waited = false;

        next = a->next;
        for (size_t i = 0; i < a->n; i++)
            if (a->to[i].inst == inst && a->to[i].hand == HAND_WAITS) {
                a->to[i].hand = HAND_LEFT;
                waited = true;
            }
        if (waited)
            settle(a);
    }
}

/* ---- a key ---- */

bool
ratchet_wants(const struct end *end)
{
    return end->ratchet && !rk_variant(end->live->e.class)->one_way;
}

/* A slot for it: those that are not held on to are free.   ret: -1: none, which cannot be */
static int
make_room(struct end *end, const char *key_id)
{
    const struct rk_durable *d = &end->live->e.d;
    struct ratchet *r = end->ratchet;
    int slot = ratchet_slot(r, key_id);

    for (int i = 0; i < RK_CHANKEYS_MAX; i++)
        if (r->key[i].hash && i != slot && i != ratchet_slot(r, d->cur) && i != ratchet_slot(r, d->prev) &&
            i != ratchet_slot(r, r->sign))
            ratchet_forget(end, i);
    for (int i = 0; slot < 0 && i < RK_CHANKEYS_MAX; i++)
        if (!r->key[i].hash)
            slot = i;
    return slot;
}

bool
ratchet_takes(struct end *end, struct rk_item *item)
{
    struct inst *inst[RK_PATHS_MAX];
    struct ratchet_add *a = end->ratchet && !end->gone && item->chan_fd >= 0 ? calloc(1, sizeof *a) : NULL;
    int slot;

    if (!a)
        return false;
    slot = make_room(end, item->key_id);
    if (slot < 0) {
        free(a);
        return false;
    }
    end->ratchet->key[slot].hash = ratchet_hash(item->key_id);
    end->ratchet->key[slot].proven = false;
    a->d = end->d;
    a->end = end;
    a->fd = item->chan_fd;
    item->chan_fd = -1;
    (void)rk_copy(a->key_id, sizeof a->key_id, item->key_id);
    (void)rk_copy(a->mine, sizeof a->mine, item->mine);
    (void)rk_copy(a->theirs, sizeof a->theirs, item->theirs);
    a->n = ratchet_channels(end, inst);
    for (size_t i = 0; i < a->n; i++) {
        a->to[i].inst = inst[i];
        inst_mark(inst[i]);
    }
    a->next = *adds(end->d);
    *adds(end->d) = a;
    a->wake.fn = too_late;
    wake_at(end->d, &a->wake, rk_now_ns() + RK_RATCHET_WAIT_MS * RK_NS_PER_MS);
    return true;
}
