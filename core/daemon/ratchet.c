/* ratchet.c - see ratchet.h: which channel keys an end has, which one signs, and what counts.  How they come and go is
 * in ratchet_add.c and ratchet_keep.c. */
#include "ratchet_priv.h"

#include "path.h"

#include "../base/log.h"
#include "../base/text.h"
#include "../model/end_class.h"
#include "../model/trust.h"

#include <stdlib.h>
#include <string.h>

uint64_t
ratchet_hash(const char *key_id)
{
    return key_id[0] ? rk_hash(key_id) : 0;
}

int
ratchet_slot(const struct ratchet *r, const char *key_id)
{
    uint64_t hash = ratchet_hash(key_id);

    for (int i = 0; hash && i < RK_CHANKEYS_MAX; i++)
        if (r->key[i].hash == hash)
            return i;
    return -1;
}

size_t
ratchet_channels(const struct end *end, struct inst *inst[RK_PATHS_MAX])
{
    size_t n = 0;

    for (const struct path *p = end->paths; p && n < RK_PATHS_MAX; p = p->next)
        inst[n++] = p->channel;
    return n;
}

/* ---- life ---- */

struct loading {
    struct end *end;
    char any[RK_KEY_ID_MAX + 1]; /* one that is proven */
};

static int
load_one(const struct rk_journal_chankey *key, void *arg)
{
    struct loading *l = arg;
    struct ratchet *r = l->end->ratchet;
    unsigned slot = key->place % RK_CHANKEYS_MAX;

    r->key[slot].hash = ratchet_hash(key->key_id);
    r->key[slot].proven |= key->proven;
    if (key->proven)
        memcpy(l->any, key->key_id, sizeof l->any);
    return RK_OK;
}

/* Of those that were read the one that the peer has most likely: what is in use, else what was. */
static void
choose_sign(struct end *end, const char *any)
{
    const struct rk_durable *d = &end->live->e.d;
    struct ratchet *r = end->ratchet;
    const char *sign = ratchet_slot(r, d->cur) >= 0 ? d->cur : ratchet_slot(r, d->prev) >= 0 ? d->prev : any;

    memcpy(r->sign, sign, strlen(sign) + 1);
}

int
ratchet_setup(struct end *end)
{
    struct loading l = {.end = end};
    const struct rk_journal_end whose = {end->conf->name, end->which};

    if (!end->channel || !end->conf->ratchet)
        return RK_OK;
    end->ratchet = calloc(1, sizeof *end->ratchet);
    if (!end->ratchet)
        return RK_E_NOMEM;
    end->ratchet->cur = ratchet_hash(end->live->e.d.cur);
    (void)rk_journal_chankeys_load(end->d->journal, whose, load_one, &l); /* damaged rows were reported */
    choose_sign(end, l.any);
    return RK_OK;
}

void
ratchet_free(struct end *end)
{
    if (!end->ratchet)
        return;
    ratchet_free_wrapped(end->ratchet);
    free(end->ratchet);
    end->ratchet = NULL;
}

/* ---- what is known of them ---- */

void
ratchet_forget(struct end *end, int slot)
{
    struct ratchet *r = end->ratchet;

    if (ratchet_hash(r->sign) == r->key[slot].hash)
        r->sign[0] = '\0';
    r->key[slot].hash = 0;
    r->key[slot].proven = false;
    r->prove &= (uint8_t) ~(1u << slot);
    r->drop |= (uint8_t)(1u << slot);
}

static void
prove(struct ratchet *r, const char *key_id)
{
    int slot = ratchet_slot(r, key_id);

    if (slot < 0 || r->key[slot].proven)
        return;
    r->key[slot].proven = true;
    r->prove |= (uint8_t)(1u << slot);
}

/* A key that this end begins to transmit on, the peer has for receive (I1), and so its channel key; a rotation that is
 * over has been heard to be over, or seen. */
void
ratchet_follow(struct end *end, const struct rk_todo *todo)
{
    const struct rk_durable *d = &end->live->e.d;
    struct ratchet *r = end->ratchet;
    uint64_t cur;

    if (!r)
        return;
    cur = ratchet_hash(d->cur);
    if (cur != r->cur && ratchet_slot(r, d->cur) >= 0)
        memcpy(r->sign, d->cur, sizeof r->sign);
    r->cur = cur;
    if (todo->note && strcmp(todo->note, "rotated") == 0)
        prove(r, d->cur);
}

/* ---- signing ---- */

/* A peer that has lost its channel keys has those of later keys only. */
void
ratchet_sign(const struct end *end, struct rk_item *item)
{
    const struct ratchet *r = end->ratchet;
    const char *by;

    item->key_id[0] = '\0';
    if (!r)
        return;
    by = r->sign;
    if (r->reset) {
        const char *cur = end_see(end)->d.cur;

        by = r->cur != r->reset_cur && ratchet_slot(r, cur) >= 0 ? cur : "";
    }
    memcpy(item->key_id, by, strlen(by) + 1);
}

/* What this end holds as a key of now or before, the peer does. */
bool
ratchet_still_signs(const struct end *end, const char *by)
{
    return end->ratchet && !end->ratchet->reset && ratchet_slot(end->ratchet, by) >= 0;
}

const char *
ratchet_name(const struct end *end)
{
    const struct ratchet *r = end->ratchet;
    bool proven = false;

    if (!r)
        return "off";
    for (int i = 0; i < RK_CHANKEYS_MAX; i++)
        proven |= r->key[i].proven;
    return r->reset ? "reset" : proven ? "on" : "none";
}

/* ---- trust ---- */

static void
reset(struct end *end, bool on)
{
    struct ratchet *r = end->ratchet;

    r->reset = on;
    r->reset_cur = r->cur;
    rk_trust_alarm(&end->live->e, on);
    rk_log(on ? RK_LOG_WARNING : RK_LOG_NOTICE, "ev=ratchet link=%s res=%s note=\"%s\"", end->conf->name,
           on ? "reset" : "ok",
           on ? "the peer was silent, and then signed by the auth-key alone: it has lost its channel keys"
              : "the peer signs by a channel key again");
}

/* What the peer has signed by, it has. */
static void
heard_by(struct end *end, const char *by)
{
    struct ratchet *r = end->ratchet;
    int slot = ratchet_slot(r, by);

    if (slot < 0)
        return;
    prove(r, by);
    memcpy(r->sign, by, strlen(by) + 1);
    if (r->reset)
        reset(end, false);
}

bool
ratchet_counts(struct end *end, const char *by, bool stale, const char **why)
{
    struct rk_end *e = &end->live->e;
    struct rk_trust t = {.ratcheted = by[0] != '\0', .silent_ns = rk_now_ns() - e->heard_ns,
                         .silence_ns = rk_end_silence_ns(e)};

    if (!end->ratchet)
        return true;
    for (int i = 0; i < RK_CHANKEYS_MAX; i++)
        t.proven |= end->ratchet->key[i].proven;
    t.reset = end->ratchet->reset;
    switch (rk_trust_judge(&t)) {
    case RK_TRUST_REFUSED:
        *why = "signed by the auth-key alone, and the peer has shown that it has a channel key";
        return false;
    case RK_TRUST_RESETS:
        reset(end, true);
        if (rk_end_waits(e))
            chan_publish(end); /* the peer can check what is signed from now on */
        return true;
    default:
        if (t.ratcheted && !stale)
            heard_by(end, by);
        return true;
    }
}
