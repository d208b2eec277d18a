/* rotation_sim_test.c - both ends of a link in one process on virtual time, with faults at random.
 *
 * Always: crashes, failed and unknown outcomes, lost and replayed records (any that was ever published).  By seed also:
 * devices that reboot or stop transmitting, journals that are lost, roles that are configured anew at a restart, and
 * times in which a journal, a source, a device or a channel does not work at all.
 * After every event the invariants are asserted:
 *   I1 what each end transmits on, the other can receive, but for what a device itself lost, and from the loss of a
 *      journal until both ends are at rest again;
 *   I2 no key is put into a transmit slot twice, each effect is in the journal before it is made, and what is said
 *      to the peer is in the journal before it is said;
 *   I3 seq only grows and is used for one key, at most three keys are held;
 *   I6 a key is not given up once the journal says that it will be transmitted on;
 *   I7 a device holds no key that its end does not know, and in the end only the current one.
 * Then the faults stop, and both must come to one common key and go on.  A seed replays its run:
 *   rotation_sim_test [SEED [RUNS [trace]]]
 */
#include "core/base/text.h"
#include "core/model/end.h"

#include <rekey/err.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MS RK_NS_PER_MS
#define KEYS 1500 /* in 72 s, with an interval of 1 s: failing on and on must not ask for more */
#define SOUP 4096 /* records of one end, newest win; all may be delivered again */
#define FAULTS_MS 60000

enum fault_kind { /* what a seed may have besides the faults that all have */
    F_REBOOT = 1,  /* a device forgets all */
    F_MUTE = 2,    /* a device holds its keys, but does not transmit any more */
    F_FORGET = 4,  /* a journal is lost */
    F_ROLES = 8,   /* an end is started with another role */
    F_OUTAGE = 16, /* a part does not work for seconds */
    F_ALL = 31
};

enum part { P_JOURNAL, P_SOURCE, P_DEVICE, P_CHANNEL, P_COUNT };

struct slot {
    int key; /* number of the key, 0: empty */
    bool rx, tx;
};

struct device {
    struct slot slot[4];
    int sending;          /* AN, -1: none */
    bool ever[KEYS];      /* keys that were put into a transmit slot */
};

struct side {
    struct rk_end e;
    struct rk_durable disk;
    struct device dev;
    enum rk_act act;      /* under way */
    struct rk_todo todo;
    struct rk_durable writing; /* what the journal is about to hold */
    int64_t act_at_ns;
    int key;              /* fetched, not staged */
    int64_t bad_until_ns[P_COUNT];
    unsigned boots;       /* of the device: its facts change */
    uint64_t staged_seq;  /* highest; for staged_key only */
    int staged_key, committed;
    struct rk_record soup[SOUP];
    size_t n_soup;
    int64_t deliver_ns;   /* when the other end hears the newest */
};

struct world {
    struct side side[2];
    int64_t now_ns;
    uint64_t rng, seed;
    int next_key;
    bool gone[KEYS];      /* consumed at the slave's KME */
    unsigned kinds;
    bool faults, forgot;  /* forgot: a journal was lost once */
    bool mending;         /* a journal was lost, and no rotation ended since */
    bool common;          /* both have a common key, until a device loses it */
    unsigned crashes;
};

static uint64_t
rnd(struct world *w, uint64_t n)
{
    w->rng += 0x9e3779b97f4a7c15u;
    uint64_t x = w->rng;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (x ^ (x >> 31)) % n;
}

static bool
fault(struct world *w, unsigned one_in)
{
    return w->faults && rnd(w, one_in) == 0;
}

static bool
may(struct world *w, enum fault_kind kind, unsigned one_in)
{
    return (w->kinds & kind) && fault(w, one_in);
}

static bool
bad(const struct world *w, const struct side *s, enum part part)
{
    return w->now_ns < s->bad_until_ns[part];
}

static int
key_number(const char *id)
{
    return id[0] ? atoi(id + 1) : 0;
}

static int
sends(const struct side *s)
{
    return s->dev.sending >= 0 && s->dev.slot[s->dev.sending].tx ? s->dev.slot[s->dev.sending].key : 0;
}

static bool
receives(const struct side *s, int key)
{
    for (int an = 0; an < 4; an++)
        if (s->dev.slot[an].key == key && s->dev.slot[an].rx)
            return true;
    return false;
}

#define CHECK(w, cond)                                                                                                 \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            fprintf(stderr, "# seed %llu, %lld ms: %s is broken\n", (unsigned long long)(w)->seed,                     \
                    (long long)((w)->now_ns / MS), #cond);                                                             \
            fail();                                                                                                    \
        }                                                                                                              \
    } while (0)

static bool
knows(const struct rk_durable *d, int key)
{
    return key_number(d->cur) == key || key_number(d->prev) == key || key_number(d->cand) == key;
}

static void
invariants(struct world *w)
{
    struct side *a = &w->side[0], *b = &w->side[1];
    bool a_to_b = sends(a) && receives(b, sends(a)), b_to_a = sends(b) && receives(a, sends(b));

    if (w->mending && a->e.state == RK_ST_IDLE && b->e.state == RK_ST_IDLE && a->e.d.cur[0] &&
        strcmp(a->e.d.cur, b->e.d.cur) == 0)
        w->mending = w->common = false;
    if (a_to_b && b_to_a)
        w->common = true;
    if (w->common && !w->mending)
        CHECK(w, a_to_b && b_to_a);
    for (int i = 0; i < 2; i++) {
        const struct side *s = &w->side[i];
        int held = 0;

        for (int an = 0; an < 4; an++) {
            int key = s->dev.slot[an].key;

            held += key != 0;
            CHECK(w, w->forgot || !key || knows(&s->disk, key));
        }
        CHECK(w, w->forgot || held <= 3);
    }
}

/* ---- the device: class A ---- */

static int
dev_stage(struct world *w, struct side *s)
{
    int an = (int)(s->todo.seq % 4), key = key_number(s->todo.key_id);
    struct slot *slot = &s->dev.slot[an];

    if (slot->key == key)
        return RK_OK;
    if (slot->key)
        return RK_E_CONFLICT;
    CHECK(w, s->key == key);
    CHECK(w, !s->dev.ever[key]);
    CHECK(w, key_number(s->disk.cand) == key && s->disk.seq == s->todo.seq);
    CHECK(w, s->disk.phase == (s->disk.role == RK_MASTER ? RK_PH_FETCHED : RK_PH_INTENT));
    CHECK(w, w->forgot || s->todo.seq > s->staged_seq || (s->todo.seq == s->staged_seq && s->staged_key == key));
    s->staged_seq = s->todo.seq;
    s->staged_key = key;
    if (fault(w, 30)) { /* only half of it */
        *slot = (struct slot){key, true, false};
        return RK_E_UNREACHABLE;
    }
    s->dev.ever[key] = true;
    *slot = (struct slot){key, true, true};
    return RK_OK;
}

static int
dev_activate(struct world *w, struct side *s)
{
    int an = (int)(s->todo.seq % 4);

    CHECK(w, s->disk.phase == RK_PH_ACTIVATING && strcmp(s->disk.cand, s->todo.key_id) == 0);
    if (s->dev.slot[an].key != key_number(s->todo.key_id) || !s->dev.slot[an].tx)
        return RK_E_NOKEY;
    s->dev.sending = an;
    return RK_OK;
}

static int
dev_retire(struct world *w, struct side *s)
{
    int key = key_number(s->todo.key_id);

    CHECK(w, s->disk.phase == RK_PH_BURNING ? strcmp(s->disk.cand, s->todo.key_id) == 0
                                            : s->disk.phase == RK_PH_ACTIVE &&
                                                  strcmp(s->disk.prev, s->todo.key_id) == 0);
    if (sends(s) == key)
        return RK_E_CONFLICT;
    for (int an = 0; an < 4; an++)
        if (s->dev.slot[an].key == key)
            s->dev.slot[an] = (struct slot){0, false, false};
    return RK_OK;
}

static uint32_t
dev_held(const struct side *s, const char *id)
{
    int key = key_number(id);

    for (int an = 0; key && an < 4; an++)
        if (s->dev.slot[an].key == key)
            return (s->dev.slot[an].rx ? RK_HELD_RX : 0) | (s->dev.slot[an].tx ? RK_HELD_TX : 0) |
                   (sends(s) == key ? RK_SENDING : 0);
    return 0;
}

/* ---- driving an end ---- */

static bool tracing;

static void
trace(const struct world *w, const struct side *s, const struct rk_event *ev)
{
    static const char *const events[] = {"start", "tick", "done", "key", "observed", "failed", "peer", "rotate"};
    const struct rk_record *r = ev->type == RK_EV_PEER ? ev->record : NULL;
    const struct rk_end *e = &s->e;

    if (!tracing)
        return;
    fprintf(stderr, "# %6lld ms %c %-8s", (long long)(w->now_ns / MS), s == w->side ? 'a' : 'b', events[ev->type]);
    if (r)
        fprintf(stderr, " %c %s(%d) %s prev=%s", r->role == RK_MASTER ? 'M' : 'S', rk_say_name(r->say), (int)r->seq,
                r->key, r->prev);
    fprintf(stderr, " -> %c %s phase=%u seq=%d cur=%s prev=%s cand=%s sends=%d err=%d %s\n",
            e->d.role == RK_MASTER ? 'M' : 'S', rk_state_name(e->state), e->d.phase, (int)e->d.seq, e->d.cur,
            e->d.prev, e->d.cand, sends(s), ev->err, e->last_why);
}

static void deliver(struct world *w, struct side *s, const struct rk_event *ev);

static void
publish(struct world *w, struct side *s)
{
    char text[RK_RECORD_MAX + 1];
    struct rk_record r;

    rk_end_record(&s->e, &r);
    CHECK(w, r.seq == s->disk.seq);
    CHECK(w, (r.say != RK_SAY_NACK && r.say != RK_SAY_WITHDRAWN && r.say != RK_SAY_LOST) ||
                 s->disk.phase == RK_PH_IDLE);
    CHECK(w, (r.say != RK_SAY_OFFER && r.say != RK_SAY_STAGED) || s->disk.phase == RK_PH_STAGED);
    CHECK(w, r.say != RK_SAY_ACTIVE || (s->disk.phase == (r.role == RK_MASTER && s->disk.prev[0] ? RK_PH_ACTIVE
                                                          : s->disk.phase) && strcmp(s->disk.cur, r.key) == 0));
    CHECK(w, rk_record_put(&r, text));
    CHECK(w, rk_record_get(text, &s->soup[s->n_soup % SOUP]) == RK_OK);
    s->n_soup++;
    if (!bad(w, s, P_CHANNEL) && !fault(w, 4)) /* else this one is lost, until a newer one or a repetition */
        s->deliver_ns = w->now_ns + (int64_t)rnd(w, 30) * MS;
}

static void
take_todo(struct world *w, struct side *s, const struct rk_todo *todo)
{
    if (todo->drop_key)
        s->key = 0;
    if (todo->publish)
        publish(w, s);
    if (todo->act == RK_ACT_NONE)
        return;
    CHECK(w, s->act == RK_ACT_NONE);
    s->act = todo->act;
    s->todo = *todo;
    s->writing = s->e.d;
    s->act_at_ns = w->now_ns + (int64_t)rnd(w, 20) * MS;
}

static void
deliver(struct world *w, struct side *s, const struct rk_event *ev)
{
    struct rk_event with_wall = *ev;
    struct rk_todo todo;
    uint64_t seq = s->e.d.seq;

    with_wall.wall.unix_ms = 1 + w->now_ns / MS;
    rk_end_step(&s->e, &with_wall, w->now_ns, &todo);
    trace(w, s, ev);
    CHECK(w, s->e.d.seq >= seq);
    take_todo(w, s, &todo);
}

static void
failed(struct world *w, struct side *s, int err)
{
    deliver(w, s, &(struct rk_event){.type = RK_EV_FAILED, .err = err, .why = "simulated"});
}

/* The source: keys are numbers; the slave's KME gives each once. */
static void
finish_fetch(struct world *w, struct side *s, enum rk_act act)
{
    char id[16];
    int key;

    if (act == RK_ACT_GET_NEW) {
        key = w->next_key++;
        CHECK(w, key < KEYS);
        if (bad(w, s, P_SOURCE) || fault(w, 20)) {
            failed(w, s, fault(w, 2) ? RK_E_UNKNOWN : RK_E_EMPTY);
            return;
        }
    } else {
        key = key_number(s->todo.key_id);
        if (bad(w, s, P_SOURCE) || fault(w, 20) || w->gone[key]) {
            failed(w, s, w->gone[key] ? RK_E_KEY_GONE : RK_E_UNREACHABLE);
            return;
        }
        w->gone[key] = true;
    }
    s->key = key;
    snprintf(id, sizeof id, "k%d", key);
    deliver(w, s, &(struct rk_event){.type = RK_EV_KEY, .key_id = id});
}

static void
finish_observe(struct world *w, struct side *s)
{
    char facts[RK_FACTS_MAX + 1];
    struct rk_seen seen = {.state = RK_IF_PRESENT | RK_IF_UP | RK_IF_PROTECTED,
                           .cur = dev_held(s, s->e.d.cur),
                           .prev = dev_held(s, s->e.d.prev),
                           .cand = dev_held(s, s->e.d.cand),
                           .peer = dev_held(s, s->e.peer_active),
                           .facts = facts,
                           .why = ""};

    snprintf(facts, sizeof facts, "sci=%c%u", s == w->side ? 'a' : 'b', s->boots);
    if (bad(w, s, P_DEVICE) || fault(w, 20))
        failed(w, s, RK_E_UNREACHABLE);
    else
        deliver(w, s, &(struct rk_event){.type = RK_EV_OBSERVED, .seen = &seen});
}

/* The journal takes an entry.  A key that was to be transmitted on is transmitted on, unless the device lost it. */
static void
write_journal(struct world *w, struct side *s)
{
    s->disk = s->writing;
    if (s->disk.phase == RK_PH_ACTIVATING && receives(s, key_number(s->disk.cand)))
        s->committed = key_number(s->disk.cand);
    if (s->committed && s->disk.phase == RK_PH_ACTIVE) {
        CHECK(w, key_number(s->disk.cur) == s->committed);
        s->committed = 0;
    }
    CHECK(w, !s->committed || s->disk.phase == RK_PH_ACTIVATING);
}

static int
effect(struct world *w, struct side *s)
{
    int err;

    switch (s->act) {
    case RK_ACT_STAGE:
        err = dev_stage(w, s);
        s->key = 0;
        return err;
    case RK_ACT_ACTIVATE:
        return dev_activate(w, s);
    case RK_ACT_RETIRE:
        return dev_retire(w, s);
    default:
        write_journal(w, s);
        return RK_OK;
    }
}

static void
finish(struct world *w, struct side *s)
{
    enum rk_act act = s->act;
    char tag[RK_CONFIRM_HEX + 1];
    int err;

    s->act = RK_ACT_NONE;
    if (act == RK_ACT_GET_NEW || act == RK_ACT_GET_BY_ID) {
        finish_fetch(w, s, act);
        return;
    }
    if (act == RK_ACT_OBSERVE) {
        finish_observe(w, s);
        return;
    }
    s->act = act;
    if (bad(w, s, act == RK_ACT_JOURNAL ? P_JOURNAL : P_DEVICE) || fault(w, 25)) { /* not done, certainly */
        s->act = RK_ACT_NONE;
        failed(w, s, act == RK_ACT_JOURNAL ? RK_E_IO : RK_E_BUSY);
        return;
    }
    err = effect(w, s);
    s->act = RK_ACT_NONE;
    invariants(w);
    if (!err && act != RK_ACT_JOURNAL && fault(w, 15))
        err = RK_E_UNKNOWN; /* done, but nobody was told */
    if (err) {
        failed(w, s, err);
        return;
    }
    snprintf(tag, sizeof tag, "%032d", key_number(s->todo.key_id));
    deliver(w, s, &(struct rk_event){.type = RK_EV_DONE, .mine = tag, .theirs = tag});
}

/* kill -9: before the effect, or between the effect and its answer. */
static void
crash(struct world *w, struct side *s)
{
    if (s->act >= RK_ACT_STAGE || s->act == RK_ACT_JOURNAL)
        if (rnd(w, 2))
            effect(w, s);
    invariants(w);
    s->act = RK_ACT_NONE;
    s->key = 0;
    w->crashes++;
}

static void
boot(struct world *w, struct side *s)
{
    if (!w->forgot && may(w, F_FORGET, 40)) { /* once: what is left of keys takes slots until a person removes them */
        struct rk_durable fresh = {.end = 'a', .role = s->disk.role};

        strcpy(fresh.link, s->disk.link);
        s->disk = fresh;
        s->committed = 0;
        w->forgot = w->mending = true;
    }
    if (s->disk.phase == RK_PH_IDLE && may(w, F_ROLES, 4))
        s->disk.role = rnd(w, 2) ? RK_MASTER : RK_SLAVE;
    rk_end_init(&s->e, &s->disk);
    s->e.own_sae = s == w->side ? "SAE_A" : "SAE_B";
    s->e.peer_sae = s == w->side ? "SAE_B" : "SAE_A";
    s->e.interval_ns = 1000 * MS;
    s->e.drain_ns = 60 * MS;
    s->e.verify_ns = 300 * MS;
    deliver(w, s, &(struct rk_event){.type = RK_EV_START});
}

static void
hear(struct world *w, struct side *s, const struct side *from)
{
    struct rk_record r;

    if (from->n_soup == 0 || bad(w, from, P_CHANNEL))
        return;
    r = from->soup[(from->n_soup - 1) % SOUP];
    if (fault(w, 5)) /* an old one is delivered once more */
        r = from->soup[rnd(w, from->n_soup < SOUP ? from->n_soup : SOUP)];
    deliver(w, s, &(struct rk_event){.type = RK_EV_PEER, .record = &r});
}

/* What happens to a device or to the surroundings of an end. */
static void
mishap(struct world *w, struct side *s)
{
    if (may(w, F_REBOOT, 900)) {
        memset(s->dev.slot, 0, sizeof s->dev.slot);
        s->dev.sending = -1;
        s->boots++;
        s->committed = 0;
        w->common = false;
    }
    if (may(w, F_MUTE, 900)) {
        s->dev.sending = -1;
        w->common = false;
    }
    if (may(w, F_OUTAGE, 500))
        s->bad_until_ns[rnd(w, P_COUNT)] = w->now_ns + (int64_t)rnd(w, 4000) * MS;
}

/* The next thing that happens, by time; ties by side. */
static void
advance(struct world *w)
{
    int64_t at_ns = RK_NEVER;
    int which = 0, what = 0;

    for (int i = 0; i < 2; i++) {
        struct side *s = &w->side[i];
        int64_t t[3] = {s->act != RK_ACT_NONE ? s->act_at_ns : RK_NEVER, s->e.wake_ns, w->side[!i].deliver_ns};

        for (int k = 0; k < 3; k++)
            if (t[k] < at_ns) {
                at_ns = t[k];
                which = i;
                what = k;
            }
    }
    CHECK(w, at_ns != RK_NEVER);
    if (at_ns > w->now_ns)
        w->now_ns = at_ns;
    struct side *s = &w->side[which];
    mishap(w, s);
    if (fault(w, 60)) {
        crash(w, s);
        boot(w, s);
    } else if (what == 0) {
        finish(w, s);
    } else if (what == 1) {
        deliver(w, s, &(struct rk_event){.type = RK_EV_TICK});
        CHECK(w, s->act != RK_ACT_NONE || s->e.wake_ns > w->now_ns);
    } else {
        w->side[!which].deliver_ns = RK_NEVER;
        hear(w, s, &w->side[!which]);
    }
    invariants(w);
}

static void
world_start(struct world *w, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    w->seed = w->rng = seed;
    w->next_key = 1;
    for (int i = 0; i < 2; i++) {
        struct side *s = &w->side[i];

        strcpy(s->disk.link, "a-b-1");
        s->disk.end = 'a';
        s->disk.role = i == 0 ? RK_MASTER : RK_SLAVE;
        s->dev.sending = -1;
        s->deliver_ns = RK_NEVER;
        boot(w, s);
    }
}

static void
run_until(struct world *w, int64_t until_ns)
{
    while (w->now_ns < until_ns)
        advance(w);
}

static unsigned long total_crashes, total_rotations;

/* Between two rotations each device holds the key in use, and nothing else. */
static void
at_rest(struct world *w)
{
    struct side *a = &w->side[0], *b = &w->side[1];

    for (int i = 0; i < 10000 && (a->e.state != RK_ST_IDLE || b->e.state != RK_ST_IDLE ||
                                  a->e.d.cur_seq != b->e.d.cur_seq); i++)
        advance(w);
    CHECK(w, a->e.state == RK_ST_IDLE && b->e.state == RK_ST_IDLE && sends(a) == sends(b));
    for (int i = 0; i < 2 && !w->forgot; i++)
        for (int an = 0; an < 4; an++)
            CHECK(w, !w->side[i].dev.slot[an].key || w->side[i].dev.slot[an].key == sends(a));
}

static void
run_seed(uint64_t seed)
{
    static struct world w;
    uint64_t before;

    world_start(&w, seed);
    w.faults = true;
    w.kinds = rnd(&w, 3) ? (unsigned)rnd(&w, F_ALL + 1) : 0;
    run_until(&w, FAULTS_MS * MS);
    w.faults = false;
    before = w.side[0].disk.cur_seq;
    run_until(&w, w.now_ns + 12000 * MS);
    CHECK(&w, w.common);
    CHECK(&w, w.side[0].disk.cur_seq > before);
    CHECK(&w, w.side[0].e.d.role != w.side[1].e.d.role);
    at_rest(&w);
    total_crashes += w.crashes;
    total_rotations += w.side[0].disk.cur_seq;
}

static uint64_t first_seed = 1, seeds = 1000;

static void
many_seeds(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < seeds; i++)
        run_seed(first_seed + i);
    assert_true(total_crashes > 0 || seeds < 10);
    fprintf(stderr, "# %llu runs, %lu crashes, %lu seqs used\n", (unsigned long long)seeds, total_crashes,
            total_rotations);
}

/* Without faults: one rotation each interval, and nothing else. */
static void
steady(void **state)
{
    static struct world w;

    (void)state;
    world_start(&w, 7);
    run_until(&w, 1000 * 1000 * MS);
    assert_true(w.side[0].e.rotations >= 995 && w.side[0].e.rotations <= 1002);
    assert_int_equal(w.side[0].e.failed, 0);
    assert_int_equal(w.side[1].e.failed, 0);
}

/* The oracle itself: a key dropped too early must be noticed. */
static bool noticed;

static void
oracle(void **state)
{
    static struct world w;
    struct side *b = &w.side[1];

    (void)state;
    world_start(&w, 9);
    run_until(&w, 5000 * MS);
    assert_true(w.common);
    memset(b->dev.slot, 0, sizeof b->dev.slot);
    noticed = !(sends(&w.side[0]) && receives(b, sends(&w.side[0])));
    assert_true(noticed);
}

/* A device that lost everything (reboot): both ends come back by themselves. */
static void
device_reboot(void **state)
{
    static struct world w;

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct side *s = &w.side[i];

        world_start(&w, 11 + (uint64_t)i);
        run_until(&w, 5300 * MS);
        memset(s->dev.slot, 0, sizeof s->dev.slot);
        s->dev.sending = -1;
        w.common = false; /* the link is down for one rotation: that is expected */
        run_until(&w, w.now_ns + 3000 * MS);
        assert_true(w.common);
        assert_int_equal(sends(&w.side[0]), sends(&w.side[1]));
    }
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steady),
        cmocka_unit_test(oracle),
        cmocka_unit_test(device_reboot),
        cmocka_unit_test(many_seeds),
    };
    const struct CMUnitTest seeded[] = {cmocka_unit_test(many_seeds)};

    if (argc > 1) {
        first_seed = strtoull(argv[1], NULL, 10);
        seeds = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
        tracing = argc > 3;
        return cmocka_run_group_tests(seeded, NULL, NULL);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
