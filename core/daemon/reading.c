/* reading.c - what an end asks its device to tell, and the answer that may be here already.
 *
 * Runs in the loop.  After each change of a device the model asks for what the device shows.  So the call that makes
 * the change asks for that as well, and its answer is kept for the very next question.  It is used only when it is
 * what that question would bring: of the same keys, from the same run of the host, a moment old, and with nothing asked
 * of the device by this end since.  Otherwise it is forgotten, and the device is asked.
 */
#include "reading.h"

#include "../base/log.h"
#include "../base/text.h"
#include "../model/end_class.h"

#include <stdlib.h>
#include <string.h>

struct key {
    char id[RK_KEY_ID_MAX + 1];
    uint64_t seq;
    uint32_t held;
};

struct reading {
    int64_t at_ns; /* when it came; 0: it has not */
    uint32_t inst; /* number of the instance */
    uint32_t state, foreign;
    struct key key[RK_SEEN_KEYS];
    char facts[RK_FACTS_MAX + 1], why[RK_WHY_MAX];
};

struct asked { /* a key to look for, "" none */
    const char *id;
    uint64_t seq;
};

static void
asked_now(const struct rk_end *e, struct asked key[RK_SEEN_KEYS])
{
    const struct rk_durable *d = &e->d;

    key[0] = (struct asked){d->cur, d->cur_seq};
    key[1] = (struct asked){d->prev, d->prev_seq};
    key[2] = (struct asked){d->cand, d->seq};
    key[3] = (struct asked){e->peer_active, e->peer_active_seq};
}

/* With a CAK staged the one before the key in use is not asked for any more: its place was taken.  When this is wrong,
 * what is read is not what is asked for, and no harm is done. */
static void
asked_after(const struct rk_end *e, enum rk_act act, struct asked key[RK_SEEN_KEYS])
{
    asked_now(e, key);
    if (act == RK_ACT_STAGE && rk_variant(e->class)->cak && e->d.cur[0])
        key[1] = (struct asked){"", 0};
}

static void
put_keys(struct rk_item *item, const struct asked key[RK_SEEN_KEYS])
{
    for (size_t k = 0; k < RK_SEEN_KEYS; k++) {
        rk_copy(item->key[k].id, sizeof item->key[k].id, key[k].id);
        item->key[k].seq = key[k].seq;
    }
}

void
reading_ask(const struct end *end, struct rk_item *item)
{
    struct asked key[RK_SEEN_KEYS];

    asked_now(&end->live->e, key);
    put_keys(item, key);
}

void
reading_drop(struct end *end)
{
    free(end->live->reading);
    end->live->reading = NULL;
}

void
reading_ask_too(struct end *end, struct rk_item *item)
{
    struct reading *r = end->live->reading;
    struct asked key[RK_SEEN_KEYS];

    asked_after(&end->live->e, end->live->act, key);
    put_keys(item, key);
    if (!r)
        r = end->live->reading = malloc(sizeof *r);
    if (!r)
        return; /* the device is asked once more, then */
    r->at_ns = 0;
    r->inst = end->device->number;
    for (size_t k = 0; k < RK_SEEN_KEYS; k++) {
        rk_copy(r->key[k].id, sizeof r->key[k].id, key[k].id);
        r->key[k].seq = key[k].seq;
    }
}

void
reading_keep(struct end *end, const struct rk_item *item, int64_t now_ns)
{
    struct reading *r = end->live->reading;
    size_t why_len;

    if (!r)
        return;
    if (item->err || !item->read) {
        reading_drop(end);
        return;
    }
    r->at_ns = now_ns;
    r->state = item->state;
    r->foreign = item->foreign;
    for (size_t k = 0; k < RK_SEEN_KEYS; k++)
        r->key[k].held = item->key[k].held;
    rk_copy(r->facts, sizeof r->facts, item->facts);
    why_len = strnlen(item->text, sizeof r->why - 1);
    memcpy(r->why, item->text, why_len);
    r->why[why_len] = '\0';
}

/* ---- the next question ---- */

/* The host that read it is the one of now; else the device may have been changed by what nobody heard of. */
static bool
same_host(const struct reading *r, const struct inst *inst)
{
    return inst->ready && inst->number == r->inst && inst->host->state == HOST_UP &&
           inst->host->up_since_ns <= r->at_ns;
}

static const struct key *
find(const struct reading *r, const struct asked *asked)
{
    for (size_t k = 0; k < RK_SEEN_KEYS; k++)
        if (r->key[k].seq == asked->seq && strcmp(r->key[k].id, asked->id) == 0)
            return &r->key[k];
    return NULL;
}

static bool
is_asked(const struct key *key, const struct asked asked[RK_SEEN_KEYS])
{
    for (size_t k = 0; k < RK_SEEN_KEYS; k++)
        if (key->seq == asked[k].seq && strcmp(key->id, asked[k].id) == 0)
            return true;
    return false;
}

/* Are the two the same keys, in whatever order: one more or less, and another number of keys would count as foreign.
 * out: held of each */
static bool
same_keys(const struct reading *r, const struct asked asked[RK_SEEN_KEYS], uint32_t held[RK_SEEN_KEYS])
{
    for (size_t k = 0; k < RK_SEEN_KEYS; k++) {
        const struct key *key = asked[k].id[0] ? find(r, &asked[k]) : NULL;

        if ((asked[k].id[0] && !key) || (r->key[k].id[0] && !is_asked(&r->key[k], asked)))
            return false;
        held[k] = key ? key->held : 0;
    }
    return true;
}

bool
reading_answers(struct end *end, int64_t now_ns)
{
    struct reading *r = end->live->reading;
    struct asked asked[RK_SEEN_KEYS];
    uint32_t held[RK_SEEN_KEYS];
    struct rk_seen seen;

    if (!r)
        return false;
    asked_now(&end->live->e, asked);
    end->live->reading = NULL; /* it answers once */
    if (!r->at_ns || now_ns - r->at_ns > RK_READING_MAX_MS * RK_NS_PER_MS || !same_host(r, end->device) ||
        !same_keys(r, asked, held)) {
        free(r);
        return false;
    }
    rk_log(RK_LOG_DEBUG, "ev=reading link=%s end=%c age_us=%lld", end->conf->name, end->which,
           (long long)((now_ns - r->at_ns) / 1000));
    seen = (struct rk_seen){.state = r->state, .cur = held[0], .prev = held[1], .cand = held[2], .peer = held[3],
                            .foreign = r->foreign, .facts = r->facts, .why = r->why};
    end_answer(end, &(struct rk_event){.type = RK_EV_OBSERVED, .seen = &seen});
    free(r);
    return true;
}

void
reading_answer(struct end *end, const struct rk_item *item)
{
    struct rk_seen seen = {.state = item->state,
                           .cur = item->key[0].held,
                           .prev = item->key[1].held,
                           .cand = item->key[2].held,
                           .peer = item->key[3].held,
                           .foreign = item->foreign,
                           .facts = item->facts,
                           .why = item->text};

    end_answer(end, &(struct rk_event){.type = RK_EV_OBSERVED, .seen = &seen});
}
