/* fault.c - what can go wrong, and when.
 *
 * Each link draws its faults from its own generator: a kind, an end, and either now or after some steps of a rotation.
 * README.md says in words what each kind does.
 */
#include "sim.h"

#include <string.h>

const char *const fault_names[F_COUNT] = {
    "crash", "down", "host", "fail", "unknown", "not-done", "half", "lie", "slow", "device-out", "reboot", "wiped",
    "mute", "pn", "link-down", "j-error", "j-lost", "j-old", "j-both", "kme-out", "kme-empty", "kme-diverge",
    "kme-twice", "kme-length", "kme-gone", "channel", "loss", "replay", "forged", "roles", "jump", "device-clock",
    "rotate", "operator",
};

#define ARMED (F_BIT(F_FAIL) | F_BIT(F_UNKNOWN) | F_BIT(F_NOT_DONE) | F_BIT(F_HALF) | F_BIT(F_LIE) | F_BIT(F_SLOW) | \
               F_BIT(F_KME_LENGTH))

uint64_t
rnd(struct sim_link *l, uint64_t n)
{
    uint64_t x = l->rng += 0x9e3779b97f4a7c15u;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return n ? (x ^ (x >> 31)) % n : 0;
}

/* Does this fault wait for the action at hand; only once. */
bool
fault_armed(struct sim_end *s, enum sim_fault f)
{
    bool yes = s->armed & F_BIT(f);

    s->armed &= ~F_BIT(f);
    return yes;
}

/* ---- what the kinds do ---- */

/* For the bound on the age of the key: there is trouble until then. */
void
fault_until(struct sim_link *l, int64_t until_ns)
{
    int64_t now_ns = l->sim->now_ns;

    if (until_ns <= l->bad_until_ns)
        return;
    l->bad_ns += until_ns - (l->bad_until_ns > now_ns ? l->bad_until_ns : now_ns);
    l->bad_until_ns = until_ns;
}

static int64_t
a_while(struct sim_link *l)
{
    int64_t until_ns = l->sim->now_ns + (int64_t)rnd(l, (uint64_t)l->sim->conf.outage_ns);

    fault_until(l, until_ns);
    return until_ns;
}

static void
crash(struct sim_end *s, bool at_once)
{
    struct sim_link *l = end_link(s);

    end_crash(s, rnd(l, 2));
    if (at_once)
        end_boot(s);
    else
        s->boot_ns = a_while(l);
}

/* Nothing that both ends can do would have kept the key. */
void
fault_excuse(struct sim_link *l, bool keys_gone)
{
    l->common = false;
    if (keys_gone)
        l->shares = false;
}

static void
forget(struct sim_end *s)
{
    struct sim_link *l = end_link(s);
    struct rk_durable fresh = {.end = 'a', .role = s->disk.role};

    memcpy(fresh.link, l->name, sizeof fresh.link);
    store_replace(s, &fresh);
    s->committed = 0;
    s->top_seq = 0;
    l->forgot = l->mending = true;
}

static void
journal_fault(struct sim_link *l, enum sim_fault f, struct sim_end *s)
{
    if (l->mending || (f == F_J_OLD && s->old.seq == 0))
        return; /* one after the other without rest between is the loss of both */
    for (int i = 0; i < 2; i++) {
        struct sim_end *end = f == F_J_BOTH ? &l->end[i] : s;

        if (i == 1 && f != F_J_BOTH)
            break;
        end_crash(end, rnd(l, 2));
        if (f == F_J_OLD) {
            store_replace(end, &end->old);
            end->committed = 0;
            end->top_seq = 0;
            l->forgot = l->mending = true;
        } else {
            forget(end);
        }
        end->n_said = 0; /* nobody can tell what it said and forgot from what it will say: see README.md */
        end_boot(end);
    }
    fault_until(l, l->sim->now_ns + 6 * l->sim->conf.interval_ns); /* keys are left over until an operator's round */
}

static void
device_fault(struct sim_link *l, enum sim_fault f, struct sim_end *s)
{
    switch (f) {
    case F_REBOOT:
        fault_excuse(l, false);
        mka_restart(s, a_while(l));
        break;
    case F_WIPED:
        fault_excuse(l, true);
        dev_wipe(s);
        if (dev_is_cak(s))
            mka_restart(s, l->sim->now_ns + SEC);
        break;
    case F_MUTE:
        fault_excuse(l, true);
        s->dev.sending = -1;
        break;
    case F_PN:
        s->dev.wants_rekey = dev_sends(s) != 0;
        break;
    case F_LINK_DOWN:
        fault_excuse(l, false);
        l->link_down_ns = a_while(l);
        mka_settle(l);
        break;
    default:
        s->dev.reach_ns = a_while(l);
        break;
    }
}

static void
source_fault(struct sim_link *l, enum sim_fault f, struct sim_end *s)
{
    int64_t until_ns;

    switch (f) {
    case F_KME_OUT:
        s->source_bad_ns = a_while(l);
        break;
    case F_KME_EMPTY:
        until_ns = a_while(l);
        l->end[0].source_bad_ns = l->end[1].source_bad_ns = until_ns;
        break;
    case F_KME_DIVERGE:
        l->kme.diverge_next = true;
        break;
    case F_KME_TWICE:
        l->kme.twice_next = true;
        break;
    default:
        l->kme.gone_next = true;
        break;
    }
}

static void
channel_fault(struct sim_link *l, enum sim_fault f, struct sim_end *s)
{
    struct sim_end *from = end_peer(s);
    uint32_t n = from->n_said < l->sim->conf.soup ? from->n_said : l->sim->conf.soup;
    struct rk_record r;

    if (f == F_CHANNEL) {
        s->mute_ns = a_while(l);
        end_peer(s)->hear_ns = RK_NEVER;
    } else if (f == F_LOSS) {
        s->loss_ns = a_while(l);
    } else if (f == F_REPLAY && n > 1 && !s->gone) {
        r = from->soup[rnd(l, n - 1)];
        end_event(s, &(struct rk_event){.type = RK_EV_PEER, .record = &r});
    }
}

static void
jump(struct sim_link *l, enum sim_fault f, struct sim_end *s)
{
    static const int64_t jumps_ms[] = {3600000, -3600000, INT64_C(31536000000), INT64_C(-31536000000), 0};
    int64_t by_ms = jumps_ms[rnd(l, 5)];
    bool chain = l->end[0].dev.class == RK_CLASS_D || l->end[1].dev.class == RK_CLASS_D;

    if (f == F_DEVICE_CLOCK) {
        by_ms = by_ms ? by_ms : (int64_t)rnd(l, 120000) - 60000;
        if (by_ms < 0) /* the times of its keys have not come yet */
            dev_set_back(s);
        s->dev.clock_ms += by_ms;
        mka_settle(l);
    } else {
        s->jump_ms = by_ms;
    }
    if (chain)
        l->cure_ns = a_while(l); /* nothing can be begun until the clocks are right */
}

static void
operator_fault(struct sim_link *l, struct sim_end *s)
{
    uint32_t key = KEY_OPERATOR | ++l->kme.next, both = rnd(l, 3) != 0;

    if (!check_rest(l)) /* a person looks first: not into a rotation */
        return;
    fault_excuse(l, true);
    l->operated = true;
    l->operator_ns = l->sim->now_ns;
    fault_until(l, l->sim->now_ns + 6 * l->sim->conf.interval_ns); /* some of the operator's rounds */
    dev_operator(s, key, key);
    if (both)
        dev_operator(end_peer(s), key, key);
    if (dev_is_cak(s))
        mka_settle(l);
}

static void
roles(struct sim_end *s)
{
    crash(s, true);
    if (s->disk.phase != RK_PH_IDLE)
        return;
    end_crash(s, false);
    s->disk.role = rnd(end_link(s), 2) ? RK_MASTER : RK_SLAVE;
    store_replace(s, &s->disk);
    end_boot(s);
}

static void
restart_host(struct sim_end *s)
{
    struct sim_link *l = end_link(s);

    end_crash(s, rnd(l, 2));
    s->boot_id = rnd(l, UINT64_MAX) | 1;
    s->boot_ns = a_while(l) + 1;
    s->base_ns = s->boot_ns - 10 * SEC; /* the clock since boot begins anew */
}

void
fault_do(struct sim_link *l, enum sim_fault f, struct sim_end *s)
{
    l->touched = true;
    l->sim->count[f]++;
    l->faults_since++;
    if (l->sim->conf.trace)
        trace_fault(l, f, s);
    if (F_BIT(f) & ARMED) {
        s->armed |= F_BIT(f);
    } else if (f == F_CRASH || f == F_DOWN) {
        crash(s, f == F_CRASH);
    } else if (f == F_HOST) {
        restart_host(s);
    } else if (f >= F_J_LOST && f <= F_J_BOTH) {
        journal_fault(l, f, s);
    } else if (f == F_J_ERROR) {
        s->journal_bad_ns = a_while(l);
    } else if (f >= F_DEVICE_OUT && f <= F_LINK_DOWN) {
        device_fault(l, f, s);
    } else if (f >= F_KME_OUT && f <= F_KME_GONE) {
        source_fault(l, f, s);
    } else if (f == F_CHANNEL || f == F_LOSS || f == F_REPLAY) {
        channel_fault(l, f, s);
    } else if (f == F_ROLES) {
        roles(s);
    } else if (f == F_JUMP || f == F_DEVICE_CLOCK) {
        jump(l, f, s);
    } else if (f == F_OPERATOR) {
        operator_fault(l, s);
    } else if (f == F_ROTATE && !s->gone) {
        end_event(s, &(struct rk_event){.type = RK_EV_ROTATE});
    }
}

/* ---- when ---- */

static bool
can_be(const struct sim_link *l, enum sim_fault f, const struct sim_end *s)
{
    uint64_t of_script = F_BIT(F_REBOOT) | F_BIT(F_LINK_DOWN) | F_BIT(F_DEVICE_OUT) | F_BIT(F_KME_OUT) |
                         F_BIT(F_KME_EMPTY) | F_BIT(F_KME_GONE) | F_BIT(F_CHANNEL) | F_BIT(F_WIPED);
    bool cak = dev_is_cak(s), chain = l->end[0].dev.class == RK_CLASS_D || l->end[1].dev.class == RK_CLASS_D;

    if (s->script && !(F_BIT(f) & of_script))
        return false;
    switch (f) {
    case F_HALF:
    case F_MUTE:
        return !cak;
    case F_REBOOT:
    case F_LINK_DOWN:
        return cak;
    case F_DEVICE_CLOCK:
        return chain;
    default:
        return true;
    }
}

/* When the next one comes. */
void
fault_draw(struct sim_link *l)
{
    struct sim *sim = l->sim;

    l->fault_ns = RK_NEVER;
    if (sim->faults && sim->conf.fault_every_ns)
        l->fault_ns = sim->now_ns + 1 + (int64_t)rnd(l, 2 * (uint64_t)sim->conf.fault_every_ns);
}

/* One has come: of which kind, where, and whether it waits for a rotation. */
void
fault_link(struct sim_link *l)
{
    struct sim_end *s = &l->end[rnd(l, 2)];
    uint32_t f;

    fault_draw(l);
    do
        f = (uint32_t)rnd(l, F_COUNT);
    while (!(l->sim->conf.kinds & F_BIT(f)));
    if (!can_be(l, f, s))
        return;
    if (l->fault < F_COUNT) { /* the one that waits has waited long enough */
        uint32_t waits = l->fault;

        l->fault = F_COUNT;
        fault_do(l, waits, &l->end[l->fault_side]);
    }
    if (rnd(l, 3) == 0) {
        fault_do(l, f, s);
        return;
    }
    l->fault = f;
    l->fault_side = end_side(s);
    l->fault_steps = (uint32_t)rnd(l, 40);
}

/* A fault that waits for a rotation: is it now.  It may end the process of s: then nothing else is to be done. */
bool
fault_strikes(struct sim_end *s)
{
    struct sim_link *l = end_link(s);
    uint32_t f = l->fault;

    if (f >= F_COUNT || s->gone || s->e.state == RK_ST_IDLE || l->fault_steps-- > 0)
        return false;
    l->fault = F_COUNT;
    fault_do(l, f, &l->end[l->fault_side]);
    return true;
}

/* All is well from now on. */
void
fault_end_all(struct sim_link *l)
{
    int64_t now_ns = l->sim->now_ns;

    l->fault = F_COUNT;
    l->fault_ns = RK_NEVER;
    l->kme.diverge_next = l->kme.twice_next = l->kme.gone_next = false;
    if (l->cure_ns != RK_NEVER)
        l->cure_ns = now_ns + 1;
    for (int i = 0; i < 2; i++) {
        struct sim_end *s = &l->end[i];

        s->armed = 0;
        s->journal_bad_ns = s->source_bad_ns = s->loss_ns = s->mute_ns = s->dev.reach_ns = now_ns;
        if (s->gone && s->boot_ns > now_ns + 1)
            s->boot_ns = now_ns + 1;
        if (s->gone && s->base_ns > now_ns)
            s->base_ns = now_ns;
    }
}
