/* outage_test.c - a key server is away for 1, 5 and 60 minutes, on virtual time.
 *
 * Half of the links have their keys from it, at the one end, at the other, or at both; the other half has another key
 * server and must notice nothing.  The real model and heap; the invariants of check.c hold at every step.
 */
#include "sim.h"
#include "tap.h"

#include <stdlib.h>

#define LINKS 40u
#define INTERVAL (300 * SEC)
#define BACKOFF (30 * SEC + 30 * SEC / 4) /* rk_pace_backoff(): the longest pause, and its chance */
#define ROUND (6 * SEC) /* a rotation that fails late: both devices, both ways of the channel */
#define DOUBLINGS 11    /* of 250 ms to an interval */
#define PROBE 30        /* a daemon asks a key server that gave no key for its status, at least so often [s] */

struct watch { /* of one link */
    int64_t asked_ns, longest_ns; /* the last request for a key, and the longest wait for the next */
    int64_t staged_ns;            /* first key that both got after the return; 0: none yet */
    uint32_t in_outage;           /* requests */
    uint64_t rotations;           /* at its begin */
};

static struct watch watch[LINKS];
static int64_t begin_ns, end_ns;

static bool
is_hit(const struct sim_link *l)
{
    return l->no % 2 == 0;
}

/* sim.asked */
static void
look(struct sim_end *s, void *arg)
{
    const struct sim_link *l = end_link(s);
    struct watch *w = &watch[l->no];
    int64_t now_ns = l->sim->now_ns;

    (void)arg;
    if (s->act.act == RK_ACT_STAGE && s->disk.role == RK_SLAVE && now_ns >= end_ns && !w->staged_ns)
        w->staged_ns = now_ns;
    if (s->act.act != RK_ACT_GET_NEW)
        return;
    if (w->asked_ns >= begin_ns && w->asked_ns < end_ns && now_ns - w->asked_ns > w->longest_ns)
        w->longest_ns = now_ns - w->asked_ns;
    w->in_outage += now_ns >= begin_ns && now_ns < end_ns;
    w->asked_ns = now_ns;
}

static void
start(struct sim *sim, const uint32_t pair[2])
{
    struct sim_conf conf;

    run_fleet(&conf, LINKS, 0, 0);
    conf.class[0] = pair[0];
    conf.class[1] = pair[1];
    conf.interval_ns = INTERVAL;
    sim_new(sim, &conf);
    sim->asked = look;
    begin_ns = end_ns = INT64_MAX;
    sim_run(sim, 3 * INTERVAL);
}

/* The key server is away from now on for so long, at these ends. */
static void
away(struct sim *sim, int64_t time_ns, unsigned ends)
{
    begin_ns = sim->now_ns;
    end_ns = begin_ns + time_ns;
    for (uint32_t i = 0; i < LINKS; i++) {
        struct sim_link *l = &sim->link[i];

        watch[i] = (struct watch){.rotations = l->rotations};
        for (unsigned k = 0; is_hit(l) && k < 2; k++)
            if (ends & 1u << k)
                l->end[k].source_bad_ns = end_ns;
        if (is_hit(l))
            fault_until(l, end_ns);
    }
    sim_run(sim, end_ns);
}

/* One link that was hit, at the moment of the return. */
static bool
kept_its_key(const struct sim_link *l)
{
    return l->rotations <= watch[l->no].rotations + 1; /* one had its key already */
}

/* A slave has no key to ask for: its daemon sees by the status that the server is back, and it asks for a rotation. */
static void
probes(struct sim *sim, unsigned ends)
{
    for (uint32_t t = 0; ends & 2 && t < PROBE; t++) {
        sim_run(sim, end_ns + t * SEC);
        for (uint32_t i = 0; i < LINKS; i++) {
            struct sim_end *s = &sim->link[i].end[1];

            if (i * 7 % PROBE == t && rk_end_alarms(&s->e, end_local_ns(s)) & RK_ALARM_SOURCE) {
                end_event(s, &(struct rk_event){.type = RK_EV_ROTATE});
                sim_timers(&sim->link[i]);
            }
        }
    }
}

/* However long it lasts: not many more keys than rotations would have used.  A master's server that is away gives
 * none. */
static bool
wasted_few(const struct sim_link *l, int64_t time_ns, unsigned ends)
{
    return ends & 1 || watch[l->no].in_outage <= DOUBLINGS + time_ns / (INTERVAL * 3 / 4) + 1;
}

static bool
noticed_nothing(const struct sim_link *l, int64_t time_ns)
{
    int64_t rotations = (int64_t)(l->rotations - watch[l->no].rotations);

    return rotations >= time_ns / INTERVAL - 1 && rotations <= time_ns / INTERVAL + 1 && l->end[0].e.failed == 0 &&
           l->end[1].e.failed == 0;
}

/* Those that were due and got nothing ask on, and have a key soon after the return. */
static bool
came_back(const struct sim_link *l, unsigned ends)
{
    const struct watch *w = &watch[l->no];
    int64_t most_ns = ends & 1 ? BACKOFF : INTERVAL + INTERVAL / 4;

    if (w->in_outage == 0)
        return l->rotations > w->rotations; /* it was not due */
    return w->longest_ns <= most_ns + ROUND && w->staged_ns > 0 && w->staged_ns - end_ns <= BACKOFF + ROUND;
}

static void
outage(const uint32_t pair[2], int64_t minutes, unsigned ends, const char *which)
{
    int64_t time_ns = minutes * 60 * SEC, latest_ns = 0, longest_ns = 0;
    bool kept = true, others = true, back = true, few = true;
    uint32_t requests = 0, due = 0;
    struct sim sim;
    char text[200];

    start(&sim, pair);
    away(&sim, time_ns, ends);
    for (uint32_t i = 0; i < LINKS; i++) {
        kept = kept && (!is_hit(&sim.link[i]) || kept_its_key(&sim.link[i]));
        others = others && (is_hit(&sim.link[i]) || noticed_nothing(&sim.link[i], time_ns));
    }
    probes(&sim, ends);
    sim_run(&sim, end_ns + 2 * INTERVAL);
    for (uint32_t i = 0; i < LINKS; i += 2) {
        back = back && came_back(&sim.link[i], ends);
        few = few && wasted_few(&sim.link[i], time_ns, ends);
        due += watch[i].in_outage > 0;
        requests += watch[i].in_outage;
        longest_ns = watch[i].longest_ns > longest_ns ? watch[i].longest_ns : longest_ns;
        if (watch[i].in_outage && watch[i].staged_ns - end_ns > latest_ns)
            latest_ns = watch[i].staged_ns - end_ns;
    }
    printf("# %u of %u links were due: %u requests, at most %.1f s apart; a new key at most %.1f s after the return\n",
           due, LINKS / 2, requests, (double)longest_ns / SEC, (double)latest_ns / SEC);
    snprintf(text, sizeof text,
             "classes %s and %s, %s away for %d min: the old key stays, requests go on, few keys are wasted, a new one "
             "within one backoff of the return, other links notice nothing",
             rk_class_letter(pair[0]), rk_class_letter(pair[1]), which, (int)minutes);
    tap_ok(kept && others && back && few && due > 0, text);
    sim_free(&sim);
}

int
main(void)
{
    static const uint32_t pairs[][2] = {{RK_CLASS_A, RK_CLASS_A}, {RK_CLASS_B, RK_CLASS_C}};
    static const int64_t minutes[] = {1, 5, 60};

    for (size_t p = 0; p < sizeof pairs / sizeof *pairs; p++)
        for (size_t m = 0; m < sizeof minutes / sizeof *minutes; m++) {
            outage(pairs[p], minutes[m], 1, "the master's key server");
            outage(pairs[p], minutes[m], 2, "the slave's key server");
            outage(pairs[p], minutes[m], 3, "both key servers");
        }
    return tap_end();
}
