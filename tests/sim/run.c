/* run.c - whole runs: faults for a time, then the end of them, then rest; and the figures. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double
run_cpu_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* for the figures only */
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Faults that a class does not always come back from without a person, see README.md. */
static uint64_t
left_out(uint32_t class)
{
    switch (class) {
    case RK_CLASS_B:
    case RK_CLASS_C:
        return F_BIT(F_J_OLD) | F_BIT(F_OPERATOR);
    case RK_CLASS_D:
        return F_BIT(F_J_OLD) | F_BIT(F_J_LOST) | F_BIT(F_OPERATOR) | F_BIT(F_DEVICE_CLOCK);
    case RK_CLASS_E:
        return F_ALL & ~F_BIT(F_FAIL) & ~F_BIT(F_FORGED) & ~F_BIT(F_JUMP) & ~F_BIT(F_REPLAY);
    default:
        return 0;
    }
}

void
run_conf(struct sim_conf *conf, uint32_t class_a, uint32_t class_b)
{
    bool chain = class_a == RK_CLASS_D || class_b == RK_CLASS_D, cak = class_a != RK_CLASS_A;

    *conf = (struct sim_conf){.seed = 1, .links = 1, .class = {class_a, class_b}, .soup = 256};
    conf->kinds = F_ALL & ~left_out(class_a) & ~left_out(class_b);
    conf->interval_ns = chain ? 120 * SEC : cak ? 30 * SEC : SEC;
    conf->lead_ns = 16 * SEC;
    conf->verify_ns = conf->interval_ns * 3 / 10;
    conf->drain_ns = cak ? 2 * SEC : 60 * MS;
    conf->path_ns = conf->drain_ns / 3;
    conf->act_ns = cak ? 500 * MS : 20 * MS;
    conf->hear_ns = cak ? 500 * MS : 30 * MS;
    conf->fault_every_ns = conf->interval_ns / 2;
    conf->outage_ns = 4 * conf->interval_ns;
    conf->time_ns = 60 * conf->interval_ns;
}

void
run_fleet(struct sim_conf *conf, uint32_t links, int64_t time_ns, int64_t fault_every_ns)
{
    run_conf(conf, RK_CLASS_A, RK_CLASS_A);
    conf->links = links;
    conf->time_ns = time_ns;
    conf->fault_every_ns = fault_every_ns;
    conf->interval_ns = 300 * SEC;
    conf->verify_ns = 60 * SEC;
    conf->drain_ns = 2 * SEC;
    conf->path_ns = 500 * MS;
    conf->act_ns = 200 * MS;
    conf->hear_ns = SEC;
    conf->outage_ns = 600 * SEC;
    conf->soup = 16;
}

/* Does each device hold the key in use, and otherwise only what its class leaves there. */
static void
check_held_at_rest(struct sim_link *l)
{
    for (int k = 0; k < 2 && !l->forgot && !l->operated; k++)
        for (int i = 0; i < SLOTS && !dev_is_cak(&l->end[k]); i++)
            CHECK(l, !l->end[k].dev.slot[i].key || l->end[k].dev.slot[i].key == dev_sends(&l->end[k]));
}

static bool
rests(struct sim_link *l, uint64_t rotations)
{
    return check_rest(l) && l->rotations > rotations && l->end[0].disk.role != l->end[1].disk.role;
}

void
run_rest(struct sim *sim, struct sim_sum *sum)
{
    uint32_t n = sim->conf.links;
    uint64_t *before = calloc(n, sizeof *before);
    int64_t step_ns = sim->conf.interval_ns / 50, begin_ns;

    if (!before)
        abort();
    sim->faults = false;
    for (uint32_t i = 0; i < n; i++) {
        fault_end_all(&sim->link[i]);
        sim_timers(&sim->link[i]);
    }
    sim_run(sim, sim->now_ns + 10 * sim->conf.interval_ns);
    for (uint32_t i = 0; i < n; i++)
        before[i] = sim->link[i].rotations;
    begin_ns = sim->now_ns;
    sim_run(sim, begin_ns + 3 * sim->conf.interval_ns);
    for (uint32_t i = 0; i < n; i++) {
        struct sim_link *l = &sim->link[i];

        for (int t = 0; t < 200 && !rests(l, before[i]); t++)
            sim_run(sim, sim->now_ns + step_ns);
        if (!rests(l, before[i])) {
            sum->stuck++;
            check_failed(l, "comes to rest on a new key", __FILE__, __LINE__);
        }
        check_held_at_rest(l);
    }
    free(before);
}

static void
add(struct sim_sum *sum, const struct sim *sim)
{
    sum->steps += sim->steps;
    sum->crashes += sim->crashes;
    sum->records += sim->records;
    sum->ahead += sim->ahead;
    for (int f = 0; f < F_COUNT; f++)
        sum->count[f] += sim->count[f];
    for (uint32_t i = 0; i < sim->conf.links; i++) {
        const struct sim_link *l = &sim->link[i];
        double oldest = (double)l->oldest_ns / (double)sim->conf.interval_ns;

        sum->links++;
        sum->rotations += l->rotations;
        sum->oldest = oldest > sum->oldest ? oldest : sum->oldest;
        sum->fullest = l->fullest > sum->fullest ? l->fullest : sum->fullest;
    }
}

void
run_whole(const struct sim_conf *conf, struct sim_sum *sum)
{
    struct sim sim;
    double begin_s = run_cpu_s();

    sim_new(&sim, conf);
    sim.faults = conf->fault_every_ns > 0;
    for (uint32_t i = 0; i < conf->links; i++) {
        fault_draw(&sim.link[i]);
        sim_timers(&sim.link[i]);
    }
    sim_run(&sim, conf->time_ns);
    run_rest(&sim, sum);
    add(sum, &sim);
    sim_free(&sim);
    sum->cpu_s += run_cpu_s() - begin_s;
}

void
run_print(const struct sim_conf *conf, const struct sim_sum *sum)
{
    uint64_t faults = 0;

    for (int f = 0; f < F_COUNT; f++)
        faults += sum->count[f];
    printf("# %llu links, interval %.3g s, verify %.3g s: %llu rotations, %llu steps, %llu records, %llu faults "
           "(%llu crashes), %llu stuck\n",
           (unsigned long long)sum->links, (double)conf->interval_ns / 1e9, (double)conf->verify_ns / 1e9,
           (unsigned long long)sum->rotations, (unsigned long long)sum->steps, (unsigned long long)sum->records,
           (unsigned long long)faults, (unsigned long long)sum->crashes, (unsigned long long)sum->stuck);
    printf("# %.1f s of processor time: %.0f rotations/s, %.0f steps/s; oldest key %.2f intervals, at most %.0f %% of "
           "its bound\n",
           sum->cpu_s, (double)sum->rotations / sum->cpu_s, (double)sum->steps / sum->cpu_s, sum->oldest,
           100 * sum->fullest);
    for (int f = 0, n = 0; f < F_COUNT && faults; f++)
        if (sum->count[f])
            printf("%s%s %llu", n++ == 0 ? "# faults: " : n % 10 == 0 ? "\n#   " : ", ", fault_names[f],
                   (unsigned long long)sum->count[f]);
    if (faults)
        printf("\n");
}
