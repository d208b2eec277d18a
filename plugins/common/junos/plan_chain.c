/* plan_chain.c - option keying: key-chain, class D.
 *
 * The router uses the newest key whose start time has come by its own clock.  The chain is a ring over its 64 slots: a
 * new key goes behind the newest one, and all that this plugin put there goes but the key in use, the one to keep and
 * the new one.
 * A CKN is never in the chain and in fallback-key at once [not tried on a router: that it is refused is the careful
 * reading].  So while the key to keep is in the chain, the one that both ends used before it is the fallback.
 *
 * Why the kept key need not be in the fallback slot.  STAGE leaves it the newest that has begun, which is the key
 * that the router uses.  When the new key begins, the router goes on with the kept one as its preceding key until the
 * new one is live (disable-preceding-key is refused for that reason).  So this end is never worse off than one of class
 * C, whose preceding key ends in the same way, and any pair of B, C and D with that is proved (tests/model/cak.pml):
 *  - the peer has not got the new key, or gave it up before it began: the kept key is common, as the preceding one;
 *  - the peer has it, and it was live: the preceding key has ended here, and the new one is common.  When the peer then
 *    gives it up, it keeps it beside the old one (B, D: fallback slot, C: preceding) until this end has followed;
 *  - this end gives it up after it has begun (RETIRE): the kept key is still in the chain with its bytes, begins again
 *    as the newest, and the new one goes to the fallback slot, where a peer that went on still finds it;
 *  - this end gives it up before: it only goes;
 *  - the router reboots: it comes back with the new key and the one of the fallback slot, as the model's device that
 *    comes back with its primary key alone, or better.  The link may be down until the next rotation then.
 * When the kept key is not in the chain (a router that was moved to another keying, or restored), it does go into the
 * slot. */
#include "plan.h"

#include <stdio.h>
#include <string.h>

static bool
begun(const struct jn_case *c, const struct jn_place *p)
{
    return p->ckn[0] && !p->inactive && !p->bad_start && p->start_s <= c->in->now_s;
}

static struct jn_place *
newest_begun(const struct jn_case *c)
{
    struct jn_place *newest = NULL;

    for (size_t i = 0; i < JN_SLOTS; i++) {
        struct jn_place *p = &c->u->slot[i];

        if (begun(c, p) && (!newest || p->start_s >= newest->start_s))
            newest = p;
    }
    return newest;
}

static struct jn_place *
in_chain(struct jn_unit *u, const char *ckn)
{
    for (size_t i = 0; ckn[0] && i < JN_SLOTS; i++)
        if (strcmp(u->slot[i].ckn, ckn) == 0)
            return &u->slot[i];
    return NULL;
}

/* The next empty slot behind the newest key; NULL: the chain is full. */
static struct jn_place *
next_slot(struct jn_unit *u)
{
    size_t newest = JN_SLOTS - 1;
    bool any = false;

    for (size_t i = 0; i < JN_SLOTS; i++)
        if (u->slot[i].ckn[0] && (!any || u->slot[i].start_s >= u->slot[newest].start_s)) {
            newest = i;
            any = true;
        }
    for (size_t i = 1; i <= JN_SLOTS; i++)
        if (!u->slot[(newest + i) % JN_SLOTS].ckn[0])
            return &u->slot[(newest + i) % JN_SLOTS];
    return NULL;
}

static bool
is(const struct jn_place *p, const char *ckn)
{
    return p && ckn[0] && strcmp(p->ckn, ckn) == 0;
}

/* ---- STAGE ---- */

static int
find_keep(struct jn_case *c, const struct jn_place *active, struct jn_place *keep)
{
    char ckn[JN_CKN_HEX + 1] = "";

    *keep = (struct jn_place){.ckn = ""};
    if (c->terms.has_keep) {
        if (!jn_key_get(c, c->terms.keep, keep))
            return jn_refuse(c->op, RK_E_NOKEY, "the router has no key %.16s... that could be kept", c->terms.keep);
        return RK_OK;
    }
    jn_sender(c, ckn);
    if (!ckn[0] && active)
        memcpy(ckn, active->ckn, sizeof ckn);
    if (ckn[0] && strcmp(ckn, c->step->ckn) != 0)
        (void)jn_key_get(c, ckn, keep);
    return RK_OK;
}

static int
check_start(const struct jn_case *c)
{
    int32_t zone_s = c->in->view->clock.zone_s;
    int64_t start_s = c->terms.start_s, now_s = c->in->now_s, back_s = 0;
    const struct jn_place *k = in_chain(c->u, c->step->ckn);
    char text[20];

    if (k && begun(c, k))
        return jn_refuse(c->op, RK_E_CONFLICT, "key %.64s has begun", c->op->key_id);
    if (start_s <= now_s)
        return jn_refuse(c->op, RK_E_CONFLICT, "the start time is %lld s past by the router's clock",
                         (long long)(now_s - start_s));
    jn_start_write(start_s, zone_s, text);
    if (!jn_start_read(text, zone_s, &back_s) || back_s != start_s)
        return jn_refuse(c->op, RK_E_REJECTED, "the start time reads back as %s, which is another", text);
    return RK_OK;
}

/* All that stays begins before the new key: the router would leave it again. */
static int
check_order(const struct jn_case *c)
{
    for (size_t i = 0; i < JN_SLOTS; i++) {
        const struct jn_place *p = &c->u->slot[i];

        if (!p->ckn[0] || is(p, c->step->ckn))
            continue;
        if (p->bad_start)
            return jn_refuse(c->op, RK_E_CONFLICT, "the start time of key %zu of chain %.40s cannot be read", i,
                             c->u->chain->name);
        if (p->start_s >= c->terms.start_s)
            return jn_refuse(c->op, RK_E_CONFLICT, "key %zu of chain %.40s begins with the new key, or later", i,
                             c->u->chain->name);
    }
    return RK_OK;
}

/* Empties the slots that are ours and not needed.   stays: the key in use until the new one begins, or NULL
 * out: *before, the newest begun of them */
static void
make_room(struct jn_case *c, const struct jn_place *stays, const char *keep, struct jn_place *before)
{
    for (size_t i = 0; i < JN_SLOTS; i++) {
        struct jn_place *p = &c->u->slot[i];

        if (p == stays || !p->ckn[0] || !jn_owns(c->u, p->ckn) || is(p, keep) || is(p, c->step->ckn))
            continue;
        if (begun(c, p) && (!before->ckn[0] || p->start_s > before->start_s))
            *before = *p;
        *p = (struct jn_place){.ckn = ""};
    }
}

static int
set_fallback(struct jn_case *c, const struct jn_place *keep, const struct jn_place *before)
{
    struct jn_unit *u = c->u;
    bool ours = !u->fallback.ckn[0] || jn_owns(u, u->fallback.ckn);
    const struct jn_place *want = keep->ckn[0] && !in_chain(u, keep->ckn) ? keep : before;

    if (!want->ckn[0] || is(&u->fallback, want->ckn))
        return RK_OK;
    if (!ours && want == keep)
        return jn_refuse(c->op, RK_E_CONFLICT, "fallback-key of association %s was not set by rekeyd, which needs that "
                         "slot: delete it", u->ca->name);
    if (!ours)
        return RK_OK;
    if (!want->cak && !want->stored)
        return RK_OK; /* it cannot be moved: the slot stays as it is */
    u->fallback = *want;
    u->fallback.start_s = 0;
    jn_own_set(u, want->ckn, NULL);
    return RK_OK;
}

static int
arm(struct jn_case *c, const struct jn_place *fresh)
{
    struct jn_place *k = in_chain(c->u, fresh->ckn);

    if (is(&c->u->fallback, fresh->ckn))
        c->u->fallback = (struct jn_place){.ckn = ""};
    if (!k)
        k = next_slot(c->u);
    if (!k)
        return jn_refuse(c->op, RK_E_CONFLICT, "key chain %.40s is full: %d keys, none that is ours and not in use",
                         c->u->chain->name, JN_SLOTS);
    *k = *fresh;
    k->start_s = c->terms.start_s;
    jn_own_set(c->u, fresh->ckn, &c->op->seq);
    return RK_OK;
}

int
jn_chain_stage(struct jn_case *c)
{
    struct jn_place *active = newest_begun(c), *k = in_chain(c->u, c->step->ckn), fresh, keep, before = {.ckn = ""};
    int err = jn_fresh(c, &fresh);

    if (err)
        return err;
    if (k && !k->inactive && k->start_s == c->terms.start_s && jn_own_is(c->u, k->ckn, c->op->seq))
        return RK_OK; /* it is so */
    err = check_start(c);
    if (!err)
        err = find_keep(c, active, &keep);
    if (err)
        return err;
    if (in_chain(c->u, keep.ckn))
        active = in_chain(c->u, keep.ckn); /* a newer one was not taken up, and would be the preceding key instead */
    make_room(c, active, keep.ckn, &before);
    err = check_order(c);
    if (!err && keep.ckn[0] && active && newest_begun(c) != active)
        err = jn_refuse(c->op, RK_E_CONFLICT, "chain %.40s has a key that rekeyd has not set, and that began after the "
                        "one in use: delete it", c->u->chain->name);
    if (!err)
        err = set_fallback(c, &keep, &before);
    if (!err)
        err = arm(c, &fresh);
    memcpy(c->step->keep, keep.ckn, sizeof c->step->keep);
    return err;
}

/* ---- RETIRE ---- */

static bool
start_taken(const struct jn_unit *u, int64_t start_s, const struct jn_place *but)
{
    for (size_t i = 0; i < JN_SLOTS; i++)
        if (&u->slot[i] != but && u->slot[i].ckn[0] && u->slot[i].start_s == start_s)
            return true;
    return false;
}

/* The key begins now, and is the newest that has.   key: a copy of it in a form that can be put into a slot */
static int
arm_again(struct jn_case *c, const struct jn_place *key)
{
    struct jn_place *at = in_chain(c->u, key->ckn);
    int64_t now_s = c->in->now_s;

    if (newest_begun(c) && newest_begun(c) == at)
        return RK_OK;
    if (!at)
        at = next_slot(c->u);
    if (!at)
        return jn_refuse(c->op, RK_E_CONFLICT, "key chain %.40s is full", c->u->chain->name);
    while (start_taken(c->u, now_s, at))
        now_s--;
    *at = *key;
    at->start_s = now_s;
    if (is(&c->u->fallback, key->ckn))
        c->u->fallback = (struct jn_place){.ckn = ""};
    jn_own_set(c->u, key->ckn, NULL);
    return RK_OK;
}

/* The fallback slot is an operator's, so a begun key that is given up cannot go there.  With a key to go back to it
 * stays in the chain, behind that one, until the next STAGE: then the router has it as its preceding key, as one of
 * class C.   ret: was it dealt with here */
static bool
beside_others(struct jn_case *c, struct jn_place *k, const char *keep)
{
    struct jn_unit *u = c->u;
    int64_t before_s = c->in->now_s - 2; /* arm_again() takes now, or a second less */

    if (!u->fallback.ckn[0] || jn_owns(u, u->fallback.ckn) || is(&u->fallback, keep))
        return false;
    c->step->note = "the given-up key cannot be kept: fallback-key was not set by rekeyd; delete it";
    if (!keep[0]) {
        *k = (struct jn_place){.ckn = ""};
        return true;
    }
    if (k->start_s > before_s)
        k->start_s = before_s;
    while (start_taken(u, k->start_s, k))
        k->start_s--;
    return true;
}

/* The given-up key leaves the chain; one that had begun goes to the fallback slot, for the peer's router may have
 * nothing else by now.   keep: the key that takes its place, "" none */
static int
leave(struct jn_case *c, struct jn_place *k, const char *keep)
{
    struct jn_unit *u = c->u;
    bool was_begun = begun(c, k);
    struct jn_place up;

    if (was_begun && beside_others(c, k, keep))
        return RK_OK;
    if (was_begun && !jn_key_get(c, k->ckn, &up))
        return jn_refuse(c->op, RK_E_NOKEY, "the router does not show key %.16s...: has the user permission secret?",
                         k->ckn);
    *k = (struct jn_place){.ckn = ""};
    if (was_begun) {
        u->fallback = up;
        jn_own_set(u, up.ckn, NULL);
    }
    return RK_OK;
}

/* Begun keys of ours that are newer than what was armed again do not exist; older ones go with the next STAGE. */
int
jn_chain_retire(struct jn_case *c)
{
    struct jn_place *k = in_chain(c->u, c->step->ckn), *active = newest_begun(c), keep = {.ckn = ""};
    int err = RK_OK;

    if (c->terms.has_keep && !jn_key_get(c, c->terms.keep, &keep) && !in_chain(c->u, c->terms.keep))
        return jn_refuse(c->op, RK_E_NOKEY, "the router has no key %.16s... that could be kept", c->terms.keep);
    if (c->terms.has_keep && active && active != k && !is(active, keep.ckn) && !jn_owns(c->u, active->ckn))
        return jn_refuse(c->op, RK_E_CONFLICT, "the key in use, of chain %.40s, was not set by rekeyd",
                         c->u->chain->name);
    if (k)
        err = leave(c, k, c->terms.keep);
    if (!err && c->terms.has_keep)
        err = arm_again(c, &keep);
    return err;
}

/* ---- SWEEP ---- */

int
jn_chain_sweep(struct jn_case *c)
{
    struct jn_place key;
    char ckn[JN_CKN_HEX + 1];

    jn_sender(c, ckn);
    if (strcmp(ckn, c->step->ckn) != 0)
        return jn_refuse(c->op, RK_E_CONFLICT, "interface %.64s does not transmit on key %.64s", c->u->iface,
                         c->op->key_id);
    if (!in_chain(c->u, ckn) && !jn_key_get(c, ckn, &key))
        return jn_refuse(c->op, RK_E_NOKEY, "the router does not show key %.16s...: has the user permission secret?",
                         ckn);
    for (size_t i = 0; i < JN_SLOTS; i++)
        if (!is(&c->u->slot[i], ckn))
            c->u->slot[i] = (struct jn_place){.ckn = ""};
    if (in_chain(c->u, ckn)) {
        c->u->fallback = (struct jn_place){.ckn = ""};
        return RK_OK;
    }
    return arm_again(c, &key);
}
