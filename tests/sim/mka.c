/* mka.c - simulated devices of classes B, C, D and E, and the MKA between two of them.
 *
 * A device takes part in MKA with each key that it holds (class D: the newest key of the chain whose time has come, the
 * one before it until that is live, and the fallback key).  Two devices are live on a key from some seconds after both
 * hold it, number and bytes.  The traffic has the SAK of the key that the key server likes best: its primary one, the
 * preceding one, the fallback one.  Which device is the key server is a matter of the link.  A device that was live
 * on a key seems so for up to the MKA life time after its peer has dropped it.
 */
#include "sim.h"

#include <string.h>

#define LIFE_MS 6000

static struct sim_slot *
find(struct sim_dev *d, uint32_t key)
{
    for (int i = 0; i < SLOTS; i++)
        if (key && d->slot[i].key == key)
            return &d->slot[i];
    return NULL;
}

/* Class D: has the time of this entry of the chain come. */
bool
mka_began(const struct sim_end *s, const struct sim_slot *slot)
{
    return slot->start_ms <= dev_clock_ms(s);
}

static bool
in_chain(const struct sim_end *s, const struct sim_slot *slot)
{
    return s->dev.class == RK_CLASS_D && slot != &s->dev.slot[S_FALLBACK];
}

static struct sim_slot *
newest_begun(struct sim_end *s)
{
    struct sim_slot *best = NULL;

    for (int i = 0; i < SLOTS; i++) {
        struct sim_slot *slot = &s->dev.slot[i];

        if (slot->key && in_chain(s, slot) && mka_began(s, slot) && (!best || slot->start_ms > best->start_ms))
            best = slot;
    }
    return best;
}

/* The keys that the device takes part with, best first.  used: the end of a preceding key of a chain. */
static int
participants(struct sim_end *s, struct sim_slot *list[SLOTS])
{
    struct sim_slot *slot = s->dev.slot, *top = NULL;
    int n = 0;

    if (s->dev.class == RK_CLASS_D) {
        top = newest_begun(s);
        if (top)
            list[n++] = top;
        for (int i = 0; i < SLOTS; i++)
            if (slot[i].key && in_chain(s, &slot[i]) && &slot[i] != top && mka_began(s, &slot[i]) && !slot[i].used)
                list[n++] = &slot[i];
    } else {
        if (slot[S_PRIMARY].key)
            list[n++] = &slot[S_PRIMARY];
        if (slot[S_PRECEDING].key)
            list[n++] = &slot[S_PRECEDING];
    }
    if (slot[S_FALLBACK].key)
        list[n++] = &slot[S_FALLBACK];
    return n;
}

static int64_t
since(const struct sim_end *s, const struct sim_slot *slot)
{
    int64_t begun_ns = (slot->start_ms - s->dev.clock_ms - EPOCH_MS) * MS;

    return in_chain(s, slot) && begun_ns > slot->since_ns ? begun_ns : slot->since_ns;
}

static bool
is_live(struct sim_link *l, struct sim_slot *const own, struct sim_slot *const other, int server)
{
    const struct sim_end *a = &l->end[server], *b = &l->end[!server];
    int64_t from = since(a, own), of_peer = since(b, other);
    int64_t takes_ns = (1000 + (own->key * 7919u + l->no * 104729u) % 3000) * MS;

    if (of_peer > from)
        from = of_peer;
    if (a->dev.up_ns > from)
        from = a->dev.up_ns;
    if (b->dev.up_ns > from)
        from = b->dev.up_ns;
    if (l->link_down_ns > from)
        from = l->link_down_ns;
    return l->sim->now_ns >= from + takes_ns;
}

/* The key that both take part with, best of the server's; only live ones, or any. */
static struct sim_slot *
common_key(struct sim_link *l, bool live)
{
    int server = (int)(l->no % 2);
    struct sim_slot *own[SLOTS], *other[SLOTS];
    int n = participants(&l->end[server], own), m = participants(&l->end[!server], other);

    for (int i = 0; i < n; i++)
        for (int k = 0; k < m; k++)
            if (own[i]->key == other[k]->key && own[i]->bytes == other[k]->bytes &&
                (!live || is_live(l, own[i], other[k], server)))
                return own[i];
    return NULL;
}

bool
mka_common(const struct sim_link *l)
{
    return common_key((struct sim_link *)(size_t)l, false) != NULL;
}

/* The device drops what precedes a key that is live. */
static void
drop_preceding(struct sim_end *s, uint32_t live)
{
    struct sim_slot *slot = s->dev.slot, *top;

    if (s->dev.class == RK_CLASS_C && slot[S_PRIMARY].key == live)
        slot[S_PRECEDING] = (struct sim_slot){0};
    if (s->dev.class != RK_CLASS_D || !(top = newest_begun(s)) || top->key != live)
        return;
    for (int i = 0; i < SLOTS; i++)
        if (&slot[i] != top && slot[i].key && in_chain(s, &slot[i]) && mka_began(s, &slot[i]))
            slot[i].used = true;
}

/* Bring the MKA of a link up to now. */
void
mka_settle(struct sim_link *l)
{
    struct sim_slot *live = common_key(l, true), now = live ? *live : (struct sim_slot){0};

    for (int i = 0; i < 2; i++) {
        struct sim_end *s = &l->end[i];

        if (l->live[i].key && l->live[i].key != now.key && find(&s->dev, l->live[i].key) && l->sim->faults) {
            s->dev.stale_key = l->live[i].key;
            s->dev.stale_until_ns = l->sim->now_ns + (int64_t)rnd(l, LIFE_MS) * MS;
        }
        l->live[i] = now;
    }
    for (int i = 0; i < 2 && now.key; i++)
        drop_preceding(&l->end[i], now.key);
}

/* The MKA of a device begins anew. */
void
mka_restart(struct sim_end *s, int64_t at_ns)
{
    struct sim_link *l = end_link(s);

    if (s->dev.up_ns < at_ns)
        s->dev.up_ns = at_ns;
    s->dev.stale_key = 0;
    mka_settle(l);
}

uint32_t
mka_held(const struct sim_end *s, uint32_t key)
{
    struct sim_end *me = (struct sim_end *)(size_t)s;
    struct sim_link *l = end_link(s);
    struct sim_slot *slot = find(&me->dev, key), *list[SLOTS], *other[SLOTS];
    bool stale = slot && key == s->dev.stale_key && l->sim->now_ns < s->dev.stale_until_ns;
    uint32_t held = slot ? RK_HELD_RX : 0;

    if (!slot)
        return 0;
    if (s->dev.class == RK_CLASS_D ? slot == newest_begun(me) : slot == &s->dev.slot[S_PRIMARY])
        held |= RK_HELD_TX;
    if (s->dev.shut)
        return held;
    if (stale || l->live[end_side(s)].key == key)
        return held | RK_SENDING | RK_PEER_USES;
    for (int n = participants(me, list), m = participants(end_peer(s), other), i = 0; i < n; i++)
        for (int k = 0; k < m; k++)
            if (list[i] == slot && other[k]->key == key && other[k]->bytes == slot->bytes &&
                is_live(l, slot, other[k], (int)end_side(s)))
                held |= RK_PEER_USES;
    return held;
}

/* ---- commits ---- */

static const struct sim_slot none;

/* What the device uses: live, or else its primary key. */
static struct sim_slot
in_use(struct sim_end *s)
{
    struct sim_slot *slot = find(&s->dev, end_link(s)->live[end_side(s)].key);

    if (!slot && s->dev.class == RK_CLASS_D)
        slot = newest_begun(s);
    return slot ? *slot : s->dev.class == RK_CLASS_D ? none : s->dev.slot[S_PRIMARY];
}

/* The slot of terms "keep=" as it is now; false: the device does not hold that key. */
static bool
kept(struct sim_end *s, struct sim_slot *keep)
{
    struct sim_slot *slot = find(&s->dev, s->act.keep);

    *keep = !s->act.keep ? in_use(s) : slot ? *slot : none;
    return !s->act.keep || slot;
}

static void
stage_chain(struct sim_end *s, struct sim_slot fresh, struct sim_slot keep)
{
    struct sim_slot *slot = s->dev.slot, *of_keep = find(&s->dev, keep.key);
    bool stays = of_keep && in_chain(s, of_keep);

    memset(slot, 0, sizeof s->dev.slot);
    if (stays)
        slot[S_PRIMARY] = keep;
    slot[S_NEXT] = fresh;
    slot[S_FALLBACK] = keep;
}

static int
mka_stage(struct sim_end *s)
{
    struct sim_slot *slot = s->dev.slot, keep, was = slot[S_PRIMARY];
    struct sim_slot fresh = {.key = s->act.key, .bytes = s->fetched_bytes, .rx = true, .tx = true,
                             .since_ns = end_link(s)->sim->now_ns, .start_ms = s->act.start_ms};

    if (find(&s->dev, fresh.key) && find(&s->dev, fresh.key) != &slot[S_FALLBACK])
        return RK_OK;
    check_stage(s);
    if (!kept(s, &keep))
        return RK_E_NOKEY;
    if (s->dev.class == RK_CLASS_C && s->act.keep && s->act.keep != was.key)
        return RK_E_CONFLICT;
    if (s->dev.class == RK_CLASS_D && fresh.start_ms <= dev_clock_ms(s))
        return RK_E_CONFLICT;
    s->dev.shut = s->dev.wants_rekey = s->lied = false;
    end_link(s)->installs++;
    if (s->dev.class == RK_CLASS_D) {
        stage_chain(s, fresh, keep);
        return RK_OK;
    }
    s->dev.rollback[1] = s->dev.rollback[0];
    s->dev.rollback[0] = was;
    slot[s->dev.class == RK_CLASS_C ? S_PRECEDING : S_FALLBACK] = s->dev.class == RK_CLASS_C ? was : keep;
    slot[S_PRIMARY] = fresh;
    return RK_OK;
}

/* Class C: the confirmed key is committed once more, from the device's own copy of the commit before. */
static int
retire_implicit(struct sim_end *s)
{
    struct sim_slot *slot = s->dev.slot, keep = none;

    for (int i = 1; i >= 0 && s->act.keep; i--)
        if (s->dev.rollback[i].key == s->act.keep)
            keep = s->dev.rollback[i];
    if (slot[S_PRECEDING].key && (slot[S_PRECEDING].key == s->act.keep || !s->act.keep))
        keep = slot[S_PRECEDING];
    else
        keep.since_ns = end_link(s)->sim->now_ns;
    if (slot[S_PRIMARY].key == s->act.keep || (!s->act.keep && slot[S_PRIMARY].key != s->act.key))
        return RK_OK;
    if (keep.since_ns == end_link(s)->sim->now_ns)
        fault_excuse(end_link(s), false); /* MKA needs a moment: that is what class C is warned of */
    if (s->act.keep && !keep.key)
        return RK_E_NOKEY;
    slot[S_PRECEDING] = keep.key ? slot[S_PRIMARY] : none;
    slot[S_PRIMARY] = keep;
    return RK_OK;
}

/* The given-up key goes to the fallback slot, unless its time has not come yet. */
static int
retire_chain(struct sim_end *s)
{
    struct sim_slot *slot = s->dev.slot, keep, given_up = none;
    bool begun = false;

    if (!kept(s, &keep))
        return RK_E_NOKEY;
    for (int i = 0; i < SLOTS; i++)
        if (slot[i].key == s->act.key) {
            begun = begun || i == S_FALLBACK || mka_began(s, &slot[i]);
            given_up = slot[i];
            slot[i] = none;
        }
    if (keep.key && keep.key != s->act.key && !newest_begun(s)) { /* only the fallback slot has it */
        slot[S_PRIMARY] = keep;
        slot[S_PRIMARY].start_ms = dev_clock_ms(s);
        slot[S_PRIMARY].used = false;
    }
    if (begun)
        slot[S_FALLBACK] = given_up;
    return RK_OK;
}

static int
mka_retire(struct sim_end *s)
{
    struct sim_slot *slot = s->dev.slot, keep;

    if (s->dev.class == RK_CLASS_C)
        return retire_implicit(s);
    if (!find(&s->dev, s->act.key))
        return RK_OK;
    if (s->dev.class == RK_CLASS_D)
        return retire_chain(s);
    if (!s->act.keep)
        keep = slot[S_FALLBACK];
    else if (!kept(s, &keep))
        return RK_E_NOKEY;
    if (slot[S_PRIMARY].key == s->act.key) { /* they change places */
        slot[S_FALLBACK] = keep.key ? slot[S_PRIMARY] : none;
        slot[S_PRIMARY] = keep;
    }
    return RK_OK;
}

static int
mka_sweep(struct sim_end *s)
{
    if (dev_sends(s) != s->act.key)
        return RK_E_CONFLICT;
    for (int i = 0; i < SLOTS; i++)
        if (s->dev.slot[i].key != s->act.key)
            s->dev.slot[i] = none;
    return RK_OK;
}

int
mka_apply(struct sim_end *s)
{
    mka_settle(end_link(s));
    switch (s->act.act) {
    case RK_ACT_STAGE:
        return mka_stage(s);
    case RK_ACT_RETIRE:
        return mka_retire(s);
    case RK_ACT_SHUT:
        s->dev.shut = true;
        return RK_OK;
    default:
        CHECK(end_link(s), s->act.act == RK_ACT_SWEEP); /* ACTIVATE is not asked of these classes */
        return mka_sweep(s);
    }
}
