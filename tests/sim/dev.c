/* dev.c - simulated devices: class A here, those with MKA in mka.c; and what an observe tells of either.
 *
 * They do what rekey/device.h asks of a plugin, and check what a plugin cannot: that a key goes into a transmit slot
 * once in its life.
 */
#include "sim.h"

#include <stdio.h>
#include <string.h>

bool
dev_is_cak(const struct sim_end *s)
{
    return s->dev.class != RK_CLASS_A;
}

int64_t
dev_clock_ms(const struct sim_end *s)
{
    return EPOCH_MS + end_link(s)->sim->now_ns / MS + s->dev.clock_ms;
}

uint32_t
dev_sends(const struct sim_end *s)
{
    const struct sim_dev *d = &s->dev;

    if (d->shut)
        return 0;
    if (dev_is_cak(s))
        return end_link(s)->live[end_side(s)].key;
    return d->sending >= 0 && d->slot[d->sending].tx ? d->slot[d->sending].key : 0;
}

static struct sim_slot *
find(struct sim_dev *d, uint32_t key)
{
    for (int i = 0; i < SLOTS; i++)
        if (key && d->slot[i].key == key)
            return &d->slot[i];
    return NULL;
}

bool
dev_holds(const struct sim_end *s, uint32_t key)
{
    return find((struct sim_dev *)(size_t)&s->dev, key) != NULL;
}

bool
dev_receives(const struct sim_end *s, uint32_t key)
{
    const struct sim_slot *slot = find((struct sim_dev *)(size_t)&s->dev, key);

    return slot && slot->rx;
}

/* All keys and all sessions are gone. */
void
dev_wipe(struct sim_end *s)
{
    memset(s->dev.slot, 0, sizeof s->dev.slot);
    memset(s->dev.rollback, 0, sizeof s->dev.rollback);
    s->dev.sending = -1;
    s->dev.shut = s->dev.wants_rekey = false;
    s->dev.stale_key = 0;
    s->dev.boots++;
    s->committed = s->flight = 0;
}

/* ---- class A ---- */

/* From now on the device transmits on that slot; frames with the old key are under way for a while. */
static void
send_on(struct sim_end *s, int an)
{
    struct sim_link *l = end_link(s);
    struct sim_end *peer = end_peer(s);
    uint32_t was = dev_sends(s), now;

    s->dev.sending = an;
    now = dev_sends(s);
    if (was && was != now && dev_receives(peer, was)) {
        s->flight = was;
        s->flight_until_ns = l->sim->now_ns + l->sim->conf.path_ns;
    }
    for (int i = 0; i < 4 && l->traffic && now; i++)
        peer->dev.slot[i].used |= peer->dev.slot[i].key == now;
}

static int
a_stage(struct sim_end *s)
{
    struct sim_slot *slot = &s->dev.slot[s->act.seq % 4];
    bool half = fault_armed(s, F_HALF);

    if (slot->key == s->act.key && slot->tx)
        return RK_OK;
    if (slot->key && slot->key != s->act.key)
        return RK_E_CONFLICT;
    check_stage(s);
    *slot = (struct sim_slot){.key = s->act.key, .bytes = s->fetched_bytes, .rx = true, .tx = !half};
    slot->used = end_link(s)->traffic && dev_sends(end_peer(s)) == slot->key;
    if (half)
        return RK_E_UNREACHABLE;
    s->dev.top_key = s->act.key;
    s->dev.installed[s->dev.n_installed++ % INSTALLED] = s->act.key;
    end_link(s)->installs++;
    return RK_OK;
}

static int
a_activate(struct sim_end *s)
{
    int an = (int)(s->act.seq % 4);

    if (s->dev.slot[an].key != s->act.key || !s->dev.slot[an].tx)
        return RK_E_NOKEY;
    s->dev.shut = s->dev.wants_rekey = false;
    send_on(s, an);
    return RK_OK;
}

static int
a_retire(struct sim_end *s)
{
    struct sim_slot *slot = find(&s->dev, s->act.key);

    if (slot && dev_sends(s) == s->act.key)
        return RK_E_CONFLICT;
    if (slot)
        *slot = (struct sim_slot){0};
    return RK_OK;
}

static int
a_sweep(struct sim_end *s)
{
    if (dev_sends(s) != s->act.key)
        return RK_E_CONFLICT;
    for (int i = 0; i < SLOTS; i++)
        if (s->dev.slot[i].key != s->act.key)
            s->dev.slot[i] = (struct sim_slot){0};
    return RK_OK;
}

static int
a_apply(struct sim_end *s)
{
    switch (s->act.act) {
    case RK_ACT_STAGE:
        return a_stage(s);
    case RK_ACT_ACTIVATE:
        return a_activate(s);
    case RK_ACT_RETIRE:
        return a_retire(s);
    case RK_ACT_SHUT:
        send_on(s, -1);
        s->dev.shut = true;
        return RK_OK;
    default:
        return a_sweep(s);
    }
}

int
dev_apply(struct sim_end *s)
{
    int err;

    if (s->act.act == RK_ACT_RETIRE)
        check_retire(s);
    if (s->act.act == RK_ACT_SHUT)
        end_link(s)->common = end_link(s)->shares = false; /* the policy asks for it */
    err = dev_is_cak(s) ? mka_apply(s) : a_apply(s);
    if (dev_is_cak(s))
        mka_settle(end_link(s));
    return err;
}

/* The clock of a device goes back: the times of its keys may not have come any more. */
void
dev_set_back(struct sim_end *s)
{
    fault_excuse(end_link(s), true);
    s->set_back = s->dev.class == RK_CLASS_D;
}

/* ---- an operator's hand ---- */

void
dev_operator(struct sim_end *s, uint32_t key, uint32_t bytes)
{
    struct sim_slot set = {.key = key, .bytes = bytes, .rx = true, .tx = true,
                           .since_ns = end_link(s)->sim->now_ns, .start_ms = dev_clock_ms(s)};
    struct sim_slot *slot = s->dev.slot;

    if (s->dev.class == RK_CLASS_A) {
        for (int an = 0; an < 4; an++)
            if (!slot[an].key) {
                slot[an] = set;
                send_on(s, an);
                return;
            }
        return; /* no slot is free */
    }
    if (s->dev.class == RK_CLASS_C)
        slot[S_PRECEDING] = slot[S_PRIMARY];
    slot[S_PRIMARY] = set;
    slot[S_NEXT] = slot[S_NEXT + 1] = (struct sim_slot){0};
}

/* Class A: remove by hand what is neither known nor in use; and when rekeyd uses no key of its own here, whatever no
 * end transmits on: keys in different slots at the two ends may leave no slot that is free at both. */
void
dev_clean(struct sim_end *s)
{
    for (int an = 0; an < 4; an++) {
        uint32_t key = s->dev.slot[an].key;

        if (key && key != dev_sends(s) && key != dev_sends(end_peer(s)) && (!s->e.d.cur[0] || !end_knows(s, key)) &&
            (key != end_peer(s)->flight || end_link(s)->sim->now_ns > end_peer(s)->flight_until_ns)) {
            s->dev.slot[an] = (struct sim_slot){0};
            end_link(s)->sim->cleaned++;
        }
    }
}

/* ---- what is seen ---- */

static uint32_t
a_held(const struct sim_end *s, uint32_t key)
{
    const struct sim_slot *slot = find((struct sim_dev *)(size_t)&s->dev, key);

    if (!slot)
        return 0;
    return (slot->rx ? RK_HELD_RX : 0) | (slot->tx ? RK_HELD_TX : 0) | (dev_sends(s) == key ? RK_SENDING : 0) |
           (slot->used ? RK_PEER_USES : 0);
}

static void
put_facts(const struct sim_end *s, char facts[RK_FACTS_MAX + 1])
{
    static const char digits[] = "0123456789abcdef";
    uint64_t sci = (uint64_t)(end_side(s) + 10) << 60 | s->dev.boots;

    if (s->dev.class == RK_CLASS_D) {
        snprintf(facts, RK_FACTS_MAX + 1, "clk=%lld", (long long)(dev_clock_ms(s) - end_wall_ms(s)));
        return;
    }
    memcpy(facts, "sci=", 4);
    for (int i = 0; i < 16; i++)
        facts[4 + i] = digits[sci >> (60 - 4 * i) & 15];
    facts[20] = '\0';
}

void
dev_observe(struct sim_end *s, struct rk_seen *seen, char facts[RK_FACTS_MAX + 1])
{
    uint32_t asked[4] = {key_number(s->e.d.cur), key_number(s->e.d.prev), key_number(s->e.d.cand),
                         key_number(s->e.peer_active)};
    uint32_t *held[4] = {&seen->cur, &seen->prev, &seen->cand, &seen->peer}, sends = dev_sends(s);
    bool other = sends != 0;

    *seen = (struct rk_seen){.state = RK_IF_PRESENT | RK_IF_UP | RK_IF_PROTECTED, .facts = facts, .why = ""};
    for (int i = 0; i < 4; i++) {
        *held[i] = dev_is_cak(s) ? mka_held(s, asked[i]) : a_held(s, asked[i]);
        other = other && sends != asked[i];
    }
    for (int i = 0; i < SLOTS; i++) {
        uint32_t key = s->dev.slot[i].key;

        seen->foreign += key && key != asked[0] && key != asked[1] && key != asked[2] && key != asked[3];
    }
    seen->state |= (other ? RK_IF_OTHER : 0) | (s->dev.wants_rekey ? RK_IF_REKEY : 0);
    put_facts(s, facts);
}
