/* rotation_sim_test.c - named cases, and seeds of each class, in the simulator.
 *
 * A broken invariant ends the program with "not ok", the seed, and the command that shows it.
 */
#include "sim.h"
#include "tap.h"

#include "core/model/end_table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const uint32_t pairs[][2] = {
    {RK_CLASS_A, RK_CLASS_A}, {RK_CLASS_B, RK_CLASS_B}, {RK_CLASS_C, RK_CLASS_C}, {RK_CLASS_D, RK_CLASS_D},
    {RK_CLASS_B, RK_CLASS_C}, {RK_CLASS_B, RK_CLASS_D}, {RK_CLASS_C, RK_CLASS_D}, {RK_CLASS_E, RK_CLASS_C},
};
#define PAIRS (sizeof pairs / sizeof *pairs)

static const char *
pair_name(const uint32_t pair[2], const char *what)
{
    static char text[200];

    snprintf(text, sizeof text, "classes %s and %s: %s", rk_class_letter(pair[0]), rk_class_letter(pair[1]), what);
    return text;
}

static void
quiet(struct sim_conf *conf, const uint32_t pair[2])
{
    run_conf(conf, pair[0], pair[1]);
    conf->fault_every_ns = 0;
    conf->soup = 16;
    conf->text = true;
}

/* ---- without faults ---- */

/* One rotation each interval, and nothing else. */
static void
steady(const uint32_t pair[2])
{
    struct sim_conf conf;
    struct sim sim;
    struct sim_link *l;

    quiet(&conf, pair);
    sim_new(&sim, &conf);
    l = &sim.link[0];
    sim_run(&sim, 400 * conf.interval_ns);
    tap_ok(l->rotations >= 397 && l->rotations <= 401 && l->end[0].e.failed == 0 && l->end[1].e.failed == 0 &&
               l->oldest_ns < 2 * conf.interval_ns, pair_name(pair, "one rotation each interval, and nothing else"));
    sim_free(&sim);
}

/* Classes that have no rotation together: nothing is begun, and the alarm says why. */
static void
unproved(void)
{
    struct sim_conf conf;
    struct sim sim;

    quiet(&conf, (const uint32_t[]){RK_CLASS_B, RK_CLASS_B});
    sim_new(&sim, &conf);
    sim.link[0].end[1].dev.class = RK_CLASS_A;
    sim.link[0].end[1].e.class = RK_CLASS_A;
    sim.link[0].end[1].e.facts[0] = '\0';
    for (int i = 0; i < 2000 && !(sim.link[0].end[0].e.alarms & RK_ALARM_UNPROVED); i++) {
        struct sim_timer *t = (struct sim_timer *)rk_heap_first(&sim.heap);

        sim.now_ns = t->t.at_ns > sim.now_ns ? t->t.at_ns : sim.now_ns;
        if (t->what < 2)
            end_step(&sim.link[0].end[t->what]);
        sim_timers(&sim.link[0]);
    }
    tap_ok((sim.link[0].end[0].e.alarms & RK_ALARM_UNPROVED) && sim.link[0].installs == 0,
           "classes A and B together: UNPROVED, and no key is asked for");
    sim_free(&sim);
}

/* ---- one thing that goes wrong ---- */

/* ret: within how many intervals the link is at rest on another key than before; -1: not within most. */
static double
heals(struct sim *sim, int most)
{
    struct sim_link *l = &sim->link[0];
    int64_t begin_ns = sim->now_ns;
    uint32_t before = l->last_key;

    sim_timers(l);
    while (sim->now_ns < begin_ns + most * sim->conf.interval_ns) {
        sim_step(sim);
        if (check_rest(l) && l->last_key != before)
            return (double)(sim->now_ns - begin_ns) / (double)sim->conf.interval_ns;
    }
    return -1;
}

static void
begin(struct sim *sim, struct sim_conf *conf, uint64_t seed)
{
    conf->seed = seed;
    sim_new(sim, conf);
    sim_run(sim, 5 * conf->interval_ns);
    while (!check_rest(&sim->link[0]))
        sim_step(sim);
}

/* A device that lost everything: both ends come back by themselves. */
static void
wiped(const uint32_t pair[2])
{
    struct sim_conf conf;
    struct sim sim;
    double worst = 0;

    quiet(&conf, pair);
    for (uint64_t seed = 1; seed <= 40; seed++) {
        double took;

        begin(&sim, &conf, seed);
        fault_do(&sim.link[0], F_WIPED, &sim.link[0].end[seed % 2]);
        took = heals(&sim, 4);
        worst = took < 0 || worst < 0 ? -1 : took > worst ? took : worst;
        sim_free(&sim);
    }
    printf("# at rest again after %.2f intervals at most\n", worst);
    tap_ok(worst >= 0 && worst <= 2,
           pair_name(pair, "a device that lost its keys, at rest again within two intervals"));
}

/* The journal of either end is lost between two rotations: the key in use stays in use. */
static void
forgotten(const uint32_t pair[2], enum sim_fault f, const char *name)
{
    struct sim_conf conf;
    struct sim sim;
    bool good = true, kept = true;

    quiet(&conf, pair);
    for (uint64_t seed = 1; seed <= 40; seed++) {
        uint32_t key;

        begin(&sim, &conf, seed);
        key = dev_sends(&sim.link[0].end[0]);
        fault_do(&sim.link[0], f, &sim.link[0].end[seed % 2]);
        kept = kept && dev_sends(&sim.link[0].end[0]) == key;
        good = good && heals(&sim, 4) >= 0;
        sim_free(&sim);
    }
    tap_ok(good && kept, pair_name(pair, name));
}

/* Both ends are started with one role: the smaller SAE ID is master, and rotations go on. */
static void
one_role(const uint32_t pair[2])
{
    struct sim_conf conf;
    struct sim sim;
    bool good = true;

    quiet(&conf, pair);
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct sim_end *s;

        begin(&sim, &conf, seed);
        s = &sim.link[0].end[seed % 2];
        end_crash(s, false);
        s->disk.role = end_peer(s)->disk.role;
        end_boot(s);
        good = good && heals(&sim, 4) >= 0 && sim.link[0].end[0].e.d.role == RK_MASTER &&
               sim.link[0].end[1].e.d.role == RK_SLAVE;
        sim_free(&sim);
    }
    tap_ok(good, pair_name(pair, "both ends the same role: the rule decides, rotations go on"));
}

/* A record of any earlier time, a forged one, another key for the number: nothing happens to the floor or the key. */
static void
replayed(void)
{
    struct sim_conf conf;
    struct sim sim;
    struct sim_link *l;
    uint64_t seq, keys, burnt = 0;

    quiet(&conf, pairs[0]);
    conf.soup = 4096;
    begin(&sim, &conf, 3);
    sim_run(&sim, 60 * conf.interval_ns);
    l = &sim.link[0];
    while (!check_rest(l))
        sim_step(&sim);
    seq = l->end[0].e.d.seq + l->end[0].e.d.floor + l->end[1].e.d.seq + l->end[1].e.d.floor;
    keys = l->kme.next;
    for (int side = 0; side < 2; side++)
        for (uint32_t i = 0; i + 1 < l->end[side].n_said && i < conf.soup; i++) {
            struct rk_record r = l->end[side].soup[i];

            end_event(&l->end[!side], &(struct rk_event){.type = RK_EV_PEER, .record = &r});
            burnt++;
        }
    tap_ok(burnt > 300 && check_rest(l) && l->kme.next == keys &&
               seq == l->end[0].e.d.seq + l->end[0].e.d.floor + l->end[1].e.d.seq + l->end[1].e.d.floor,
           "every record of 60 rotations heard once more: no effect on the floor, no key is asked for");
    sim_free(&sim);
}

/* ---- clocks ---- */

struct at_state { /* jump the wall clock of an end when it asks for the action of a state for the first time */
    enum rk_state state;
    uint32_t side;
    int64_t by_ms;
    bool done;
};

static void
jump_at(struct sim_end *s, void *arg)
{
    struct at_state *at = arg;

    if (at->done || s->act.state != at->state || end_side(s) != at->side || end_link(s)->rotations < 3)
        return;
    at->done = true;
    s->jump_ms += at->by_ms;
    if (end_link(s)->end[0].dev.class == RK_CLASS_D) /* a clock is set right again after a while */
        end_link(s)->cure_ns = end_link(s)->sim->now_ns + end_link(s)->sim->conf.interval_ns / 2;
}

/* Rotations in ten intervals after the jump: those that there are without one. */
static bool
no_jump_shows(struct sim *sim, const struct at_state *at)
{
    struct sim_link *l = &sim->link[0];
    uint64_t begun = l->rotations, most = 11, least = 9;

    sim_run(sim, sim->now_ns + 10 * sim->conf.interval_ns);
    if (l->end[0].dev.class == RK_CLASS_D) /* nothing is begun while clocks differ */
        least = 8;
    return at->done && l->rotations - begun >= least && l->rotations - begun <= most;
}

static void
jumps(const uint32_t pair[2])
{
    static const int64_t by_ms[] = {3600000, -3600000, INT64_C(31536000000), INT64_C(-31536000000)};
    struct sim_conf conf;
    struct sim sim;
    int tried = 0, good = 0;

    quiet(&conf, pair);
    for (enum rk_state state = 0; state < RK_ST_COUNT; state++)
        for (uint32_t i = 0; i < 8 && rk_state_act(state) != RK_ACT_NONE; i++) {
            struct at_state at = {.state = state, .side = i % 2, .by_ms = by_ms[i / 2]};

            conf.seed = 100 + i;
            sim_new(&sim, &conf);
            sim.asked = jump_at;
            sim.asked_arg = &at;
            fault_until(&sim.link[0], 20 * conf.interval_ns);
            while (!at.done && sim.now_ns < 7 * conf.interval_ns)
                sim_step(&sim);
            tried += at.done; /* else no rotation without faults comes to this state */
            good += at.done && no_jump_shows(&sim, &at);
            sim_free(&sim);
        }
    printf("# jumps in %d states, ends and ways; as without in %d\n", tried, good);
    tap_ok(good == tried && tried >= 60,
           pair_name(pair, "+1 h, -1 h, +1 y, -1 y during each state of a rotation: no missed or extra rotation"));
}

/* ---- policies ---- */

/* The source fails for ten intervals: what happens to the link, by policy. */
static void
on_stale(const uint32_t pair[2], enum rk_stale policy, const char *name)
{
    struct sim_conf conf;
    struct sim sim;
    struct sim_link *l;
    uint32_t key;
    bool good;

    quiet(&conf, pair);
    conf.on_stale = policy;
    begin(&sim, &conf, 5);
    l = &sim.link[0];
    key = dev_sends(&l->end[0]);
    l->end[0].source_bad_ns = l->end[1].source_bad_ns = sim.now_ns + 10 * conf.interval_ns;
    fault_until(l, sim.now_ns + 10 * conf.interval_ns);
    sim_run(&sim, sim.now_ns + 9 * conf.interval_ns);
    good = policy == RK_STALE_HOLD       ? dev_sends(&l->end[0]) == key && dev_sends(&l->end[1]) == key
           : policy == RK_STALE_FALLBACK ? (dev_sends(&l->end[0]) & KEY_FALLBACK) != 0
                                         : dev_sends(&l->end[0]) == 0 && dev_sends(&l->end[1]) == 0;
    sim_run(&sim, sim.now_ns + 4 * conf.interval_ns);
    good = good && check_rest(l) && dev_sends(&l->end[0]) != key && !(dev_sends(&l->end[0]) & KEY_FALLBACK);
    tap_ok(good, pair_name(pair, name));
    sim_free(&sim);
}

/* ---- the checks themselves ---- */

/* A mistake that is made on purpose must end a child with "not ok". */
static bool
noticed(void (*mistake)(struct sim *sim), const uint32_t pair[2])
{
    struct sim_conf conf;
    struct sim sim;
    int status;

    fflush(stdout);
    if (fork() == 0) {
        if (!freopen("/dev/null", "w", stdout))
            _exit(2);
        quiet(&conf, pair);
        begin(&sim, &conf, 9);
        mistake(&sim);
        sim_run(&sim, sim.now_ns + 6 * conf.interval_ns);
        _exit(0);
    }
    return wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

static void
drop_key(struct sim *sim)
{
    memset(sim->link[0].end[1].dev.slot, 0, sizeof sim->link[0].end[1].dev.slot);
}

static void
other_bytes(struct sim *sim)
{
    for (int i = 0; i < SLOTS; i++)
        sim->link[0].end[1].dev.slot[i].bytes++;
}

static void
leave_unknown(struct sim *sim)
{
    for (int i = 0; i < SLOTS; i++)
        if (!sim->link[0].end[0].dev.slot[i].key)
            sim->link[0].end[0].dev.slot[i] = (struct sim_slot){.key = 4711, .rx = true, .tx = true};
}

static void
forget_number(struct sim *sim)
{
    sim->link[0].end[0].top_seq += 10;
}

static void
stop_source(struct sim *sim)
{
    sim->link[0].end[0].source_bad_ns = RK_NEVER;
}

static void
reuse_key(struct sim *sim)
{
    sim->link[0].end[0].dev.installed[0] = sim->link[0].kme.next + 1;
}

static void
oracle(void)
{
    static const struct {
        void (*mistake)(struct sim *sim);
        uint32_t pair;
        const char *name;
    } mistakes[] = {
        {drop_key, 0, "a key that is dropped too early is noticed, class A"},
        {drop_key, 1, "a key that is dropped too early is noticed, class B"},
        {other_bytes, 0, "different bytes for one key ID are noticed, class A"},
        {other_bytes, 1, "different bytes for one key ID are noticed, class B"},
        {leave_unknown, 0, "a key that nobody knows is noticed"},
        {forget_number, 0, "a number that goes back is noticed"},
        {stop_source, 0, "a key that grows old is noticed"},
        {reuse_key, 0, "a key that is installed twice is noticed"},
    };

    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++)
        tap_ok(noticed(mistakes[i].mistake, pairs[mistakes[i].pair]), mistakes[i].name);
}

/* ---- seeds ---- */

static void
seeds(const uint32_t pair[2], uint64_t n, bool real, enum rk_stale policy)
{
    struct sim_sum sum = {0};
    struct sim_conf conf;
    char what[100];

    run_conf(&conf, pair[0], pair[1]);
    conf.real = real;
    conf.text = real;
    conf.on_stale = policy;
    for (conf.seed = 1; conf.seed <= n; conf.seed++) {
        struct sim_conf some = conf;

        some.carried = conf.seed % 2 == 0;
        if (conf.seed % 3 == 0) /* a few kinds, often */
            some.kinds &= 0x9e3779b97f4a7c15u * conf.seed;
        if (!some.kinds)
            continue;
        run_whole(&some, &sum);
    }
    run_print(&conf, &sum);
    snprintf(what, sizeof what, "%llu seeds of faults%s%s", (unsigned long long)n, real ? ", journals in files" : "",
             policy == RK_STALE_SHUT ? ", on-stale: shut" : "");
    tap_ok(sum.stuck == 0 && sum.rotations > n && (pair[0] == RK_CLASS_A || sum.ahead > n), pair_name(pair, what));
}

/* As an operator would have it, but shorter: the long runs are in long.sh. */
static void
fleet(uint32_t links, int64_t time_ns, int64_t every_ns, const char *name)
{
    struct sim_sum sum = {0};
    struct sim_conf conf;

    run_fleet(&conf, links, time_ns, every_ns);
    run_whole(&conf, &sum);
    run_print(&conf, &sum);
    tap_ok(sum.stuck == 0 && sum.links == links && sum.rotations > links, name);
}

int
main(int argc, char **argv)
{
    uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : getenv("REKEY_QUICK") ? 100 : 300;

    oracle();
    for (size_t i = 0; i < PAIRS; i++)
        steady(pairs[i]);
    unproved();
    for (size_t i = 0; i < 4; i++) {
        wiped(pairs[i]);
        forgotten(pairs[i], F_J_LOST, "a lost journal: the key stays in use, rotations go on");
        forgotten(pairs[i], F_J_BOTH, "both journals lost: the key stays in use, rotations go on");
        one_role(pairs[i]);
        jumps(pairs[i]);
        on_stale(pairs[i], RK_STALE_HOLD, "no key for ten intervals, hold: the old key stays");
        on_stale(pairs[i], RK_STALE_FALLBACK,
                 "no key for ten intervals, fallback: a key of the other source, and back");
        on_stale(pairs[i], RK_STALE_SHUT, "no key for ten intervals, shut: nothing is sent, and the next key opens it");
    }
    replayed();
    for (size_t i = 0; i + 1 < PAIRS; i++) /* not E: with faults nothing can be promised of the old script */
        seeds(pairs[i], n, false, RK_STALE_HOLD);
    for (size_t i = 0; i < 4; i++)
        seeds(pairs[i], n / 30, true, RK_STALE_HOLD);
    for (size_t i = 0; i < 4; i++)
        seeds(pairs[i], i == 0 ? n : n / 4, false, RK_STALE_SHUT);
    fleet(100, 86400 * SEC, 180 * SEC, "100 links, a day, a fault every three minutes on each");
    fleet(2000, 3600 * SEC, 0, "2,000 links, an hour, without faults");
    return tap_end();
}
