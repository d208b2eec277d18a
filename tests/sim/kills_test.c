/* kills_test.c - kill -9 at every guarded step, of either end: enumerated from the model's states, alone and in pairs.
 *
 * A point is a state whose entry asks for an action, an end, and a place: before the action's effect, after the effect
 * and before its reply, after the reply and before the next action begins.  Each is tried in each of the cases below;
 * in one of them at least it must be reached, and wherever it is reached both ends must come to a new common key
 * within two intervals of the last start, with every invariant kept.  What is killed is started again at once, or after
 * a third of an interval, in which MKA settles and start times pass.
 *
 *   kills_test [CLASS CASE DOWN POINT [POINT]]     one run, with a trace; DOWN: 0 or 1
 */
#include "sim.h"
#include "tap.h"

#include "core/model/end_table.h"

#include <stdlib.h>
#include <string.h>

enum kill_case { C_NORMAL, C_DIVERGE, C_GONE, C_SHUT, C_SWEEP, C_COUNT };

static const char *const case_names[C_COUNT] = {"a normal rotation", "one given up for different bytes",
                                                "one given up for want of the key", "a link that is shut",
                                                "keys that are swept"};

struct point {
    enum rk_state state;
    uint32_t side;
    enum sim_point_at at;
};

#define POINTS_MAX (RK_ST_COUNT * 2 * K_COUNT)

static bool tracing;
static int down; /* thirds of an interval */

/* The states that ask for an action, less those that the model's header leaves to other classes and roles. */
static int
enumerate(uint32_t class, struct point points[POINTS_MAX])
{
    int n = 0;

    for (enum rk_state state = 0; state < RK_ST_COUNT; state++) {
        bool not_of_mka = state == RK_ST_ACTIVATE || state == RK_ST_RETIRE;

        if (rk_state_act(state) == RK_ACT_NONE || (class != RK_CLASS_A && not_of_mka))
            continue;
        for (uint32_t side = 0; side < 2; side++)
            for (int at = 0; at < K_COUNT; at++)
                if (state != RK_ST_J_FETCHED || side == 0) /* only a master hears of its key's ID so late */
                    points[n++] = (struct point){state, side, (enum sim_point_at)at};
    }
    return n;
}

/* ---- one run ---- */

static void
set_up(struct sim *sim, uint32_t class, enum kill_case which, uint64_t seed)
{
    struct sim_conf conf;

    run_conf(&conf, class, class);
    conf.seed = seed;
    conf.soup = 4;
    conf.fault_every_ns = 0;
    conf.trace = tracing;
    conf.carried = class == RK_CLASS_B || class == RK_CLASS_D; /* C: by a channel beside the device */
    conf.on_stale = which == C_SHUT ? RK_STALE_SHUT : RK_STALE_HOLD;
    sim_new(sim, &conf);
    for (int i = 0; i < 2000 && !check_rest(&sim->link[0]); i++)
        sim_step(sim);
    CHECK(&sim->link[0], check_rest(&sim->link[0]));
}

static void
arm(struct sim_link *l, int i, const struct point *p)
{
    if (p)
        l->kill[i] = (struct sim_kill){.state = p->state, .side = p->side, .at = p->at, .armed = true,
                                       .down_ns = down * l->sim->conf.interval_ns / 3};
}

/* A key that is on the device and in nobody's journal: as the last journal but one left it there. */
static void
leave_key(struct sim_end *s)
{
    int at = dev_is_cak(s) ? s->dev.class == RK_CLASS_C ? S_PRECEDING : S_FALLBACK : (s->dev.sending + 2) % 4;

    s->dev.slot[at] = (struct sim_slot){.key = KEY_OPERATOR | 9, .bytes = 9, .rx = true, .tx = true};
    end_link(s)->operated = true;
}

static void
begin(struct sim_link *l, enum kill_case which)
{
    struct rk_event rotate = {.type = RK_EV_ROTATE};

    l->kme.diverge_next = which == C_DIVERGE;
    l->kme.gone_next = which == C_GONE;
    for (int i = 0; i < 2; i++) {
        if (which == C_SHUT)
            l->end[i].source_bad_ns = l->sim->now_ns + 8 * l->sim->conf.interval_ns;
        if (which == C_SWEEP) {
            leave_key(&l->end[i]);
            end_event(&l->end[i], &(struct rk_event){.type = RK_EV_ADOPT});
        }
    }
    if (which == C_SWEEP || which == C_SHUT)
        fault_until(l, l->sim->now_ns + 8 * l->sim->conf.interval_ns);
    else
        end_event(&l->end[0], &rotate);
    sim_timers(l);
}

static bool
all_fired(const struct sim_link *l)
{
    return l->kill[0].fired && (l->kill[1].fired || !l->kill[1].armed);
}

/* After the last kill: does the link come to a new key within two intervals. */
static bool
converges(struct sim *sim, uint32_t before)
{
    struct sim_link *l = &sim->link[0];
    int64_t most_ns = 2 * sim->conf.interval_ns + down * sim->conf.interval_ns / 3, until_ns = sim->now_ns + most_ns;

    for (int i = 0; i < 2; i++) /* what shut the link is over */
        l->end[i].source_bad_ns = sim->now_ns;
    while (sim->now_ns <= until_ns) {
        bool both = all_fired(l);

        if (check_rest(l) && key_number(l->end[0].e.d.cur) != before)
            return true;
        sim_step(sim);
        if (all_fired(l) != both)
            until_ns = sim->now_ns + most_ns;
    }
    return false;
}

struct outcome {
    bool fired[2], converged;
};

static struct outcome
run_one(uint32_t class, enum kill_case which, const struct point *first, const struct point *second)
{
    struct sim sim;
    struct outcome out;
    uint32_t before;
    int64_t until_ns;

    set_up(&sim, class, which, 1 + first->state);
    snprintf(sim.replay, sizeof sim.replay, "tests/sim/kills_test %s %d %d %u:%u:%u %s%u:%u:%u", rk_class_letter(class),
             which, down, first->state, first->side, first->at, second ? "" : "# ", second ? second->state : 0,
             second ? second->side : 0, second ? second->at : 0);
    before = key_number(sim.link[0].end[0].e.d.cur);
    arm(&sim.link[0], 0, first);
    arm(&sim.link[0], 1, second);
    begin(&sim.link[0], which);
    until_ns = sim.now_ns + (which == C_SHUT ? 8 : 1) * sim.conf.interval_ns;
    while (sim.now_ns < until_ns && !sim.link[0].kill[0].fired)
        sim_step(&sim);
    out.converged = !sim.link[0].kill[0].fired || converges(&sim, before);
    if (!out.converged)
        check_failed(&sim.link[0], "a new common key within two intervals", __FILE__, __LINE__);
    out.fired[0] = sim.link[0].kill[0].fired;
    out.fired[1] = sim.link[0].kill[1].fired;
    sim_free(&sim);
    return out;
}

/* ---- all of them ---- */

static const uint32_t classes[] = {RK_CLASS_A, RK_CLASS_B, RK_CLASS_C, RK_CLASS_D};

static void
alone(uint32_t class)
{
    struct point points[POINTS_MAX];
    int n = enumerate(class, points), reached = 0, in[C_COUNT] = {0};
    char name[200];

    for (int i = 0; i < n; i++) {
        bool ever = false;

        for (int which = 0; which < C_COUNT; which++) {
            bool fired = run_one(class, (enum kill_case)which, &points[i], NULL).fired[0];

            in[which] += fired;
            ever = ever || fired;
        }
        if (!ever)
            printf("# class %s: never reached: %s(%d) of end %c, place %d\n", rk_class_letter(class),
                   rk_state_name(points[i].state), (int)points[i].state, 'a' + (char)points[i].side,
                   (int)points[i].at);
        reached += ever;
    }
    for (int which = 0; which < C_COUNT; which++)
        printf("# class %s: %d in %s\n", rk_class_letter(class), in[which], case_names[which]);
    snprintf(name, sizeof name, "class %s: kill points %d of %d, each ends on a new common key%s",
             rk_class_letter(class), reached, n, down ? "; down for a while" : "");
    tap_ok(reached == n, name);
}

static void
pairs(uint32_t class)
{
    struct point points[POINTS_MAX];
    int n = enumerate(class, points), runs = 0, both = 0;
    char name[200];

    for (int which = 0; which <= C_DIVERGE; which++)
        for (int i = 0; i < n; i++) {
            if (!run_one(class, (enum kill_case)which, &points[i], NULL).fired[0])
                continue;
            for (int k = 0; k < n; k++, runs++)
                both += run_one(class, (enum kill_case)which, &points[i], &points[k]).fired[1];
        }
    snprintf(name, sizeof name, "class %s: %d pairs of kills tried, the second reached in %d, each ends on a new "
             "common key%s", rk_class_letter(class), runs, both, down ? "; down for a while" : "");
    tap_ok(both > n, name);
}

static struct point
point_of(const char *text)
{
    unsigned state = 0, side = 0, at = 0;

    if (sscanf(text, "%u:%u:%u", &state, &side, &at) != 3 || state >= RK_ST_COUNT || side > 1 || at >= K_COUNT)
        exit(2);
    return (struct point){(enum rk_state)state, side, (enum sim_point_at)at};
}

int
main(int argc, char **argv)
{
    struct point first, second;

    if (argc > 4) {
        tracing = true;
        down = atoi(argv[3]);
        first = point_of(argv[4]);
        if (argc > 5)
            second = point_of(argv[5]);
        (void)run_one((uint32_t)(argv[1][0] - 'A') + RK_CLASS_A, (enum kill_case)atoi(argv[2]), &first,
                      argc > 5 ? &second : NULL);
        return 0;
    }
    for (down = 0; down < 2; down++)
        for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
            alone(classes[i]);
            pairs(classes[i]);
        }
    return tap_end();
}
