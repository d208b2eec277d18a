/* sim.c - links, their ends, and the queue of what happens next.
 *
 * One heap (the daemon's) for all links; each step touches one link and checks that one.
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_BOOT 77

static void
put(struct sim *sim, struct sim_timer *t, int64_t at_ns)
{
    if (at_ns == RK_NEVER)
        rk_heap_remove(&sim->heap, &t->t);
    else if ((t->t.pos == 0 || t->t.at_ns != at_ns) && rk_heap_put(&sim->heap, &t->t, at_ns) != RK_OK)
        abort();
}

static int64_t
earliest(const struct sim_link *l)
{
    int64_t at_ns = l->fault_ns < l->round_ns ? l->fault_ns : l->round_ns;

    return l->cure_ns < at_ns ? l->cure_ns : at_ns;
}

void
sim_timers(struct sim_link *l)
{
    for (int i = 0; i < 2; i++)
        put(l->sim, &l->end[i].timer, end_next_ns(&l->end[i]));
    put(l->sim, &l->timer, earliest(l));
}

/* ---- begin and end ---- */

static void
new_device(struct sim_end *s, uint32_t class)
{
    struct sim_link *l = end_link(s);

    s->dev.class = class;
    s->dev.sending = -1;
    if (class == RK_CLASS_D) /* a little off, as clocks are */
        s->dev.clock_ms = (int64_t)rnd(l, 400) - 200;
}

static void
new_end(struct sim_link *l, uint32_t side)
{
    const struct sim_conf *conf = &l->sim->conf;
    struct sim_end *s = &l->end[side];

    s->timer.link = l;
    s->timer.what = side;
    s->hear_ns = s->boot_ns = RK_NEVER;
    s->boot_id = DEFAULT_BOOT;
    s->base_ns = -3600 * SEC;
    memcpy(s->disk.link, l->name, sizeof s->disk.link);
    s->disk.end = 'a';
    s->disk.role = side == 0 ? RK_MASTER : RK_SLAVE;
    s->soup = conf->soup ? malloc(conf->soup * sizeof *s->soup) : NULL;
    new_device(s, conf->class[side]);
    s->script = side == 1 && conf->class[0] == RK_CLASS_E;
    s->script_ns = l->sim->now_ns + conf->interval_ns / 10;
    s->script_due_ns = s->script_ns + conf->interval_ns / 10;
    if (s->script && rnd(l, 2)) { /* either end of its scheme */
        s->disk.role = RK_MASTER;
        l->end[0].disk.role = RK_SLAVE;
    }
    store_open(s);
}

static void
new_link(struct sim *sim, struct sim_link *l, uint32_t no)
{
    l->sim = sim;
    l->no = no;
    l->rng = sim->conf.seed * 0x9e3779b97f4a7c15u + no * 0xd1b54a32d192ed03u;
    (void)rnd(l, 1);
    snprintf(l->name, sizeof l->name, "a-b-%u", no);
    l->traffic = rnd(l, 2);
    l->timer = (struct sim_timer){.link = l, .what = 2};
    l->cure_ns = l->fault_ns = RK_NEVER;
    l->round_ns = sim->now_ns + 2 * sim->conf.interval_ns;
    l->fault = F_COUNT;
    l->since_ns = sim->now_ns;
    for (uint32_t i = 0; i < 2; i++)
        new_end(l, i);
    for (int i = 0; i < 2; i++)
        if (l->end[i].script)
            l->end[i].e.state = RK_ST_IDLE;
        else
            end_boot(&l->end[i]);
    sim_timers(l);
}

void
sim_new(struct sim *sim, const struct sim_conf *conf)
{
    const char *tmp = getenv("TMPDIR");

    if (!tmp && access("/dev/shm", W_OK) == 0) /* each entry is an fsync, and the disk is not what is tested */
        tmp = "/dev/shm";
    memset(sim, 0, sizeof *sim);
    sim->conf = *conf;
    sim->link = calloc(conf->links, sizeof *sim->link);
    if (!sim->link)
        abort();
    snprintf(sim->dir, sizeof sim->dir, "%s/rekey-sim-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (conf->real && !mkdtemp(sim->dir)) {
        perror(sim->dir);
        exit(1);
    }
    for (uint32_t i = 0; i < conf->links; i++)
        new_link(sim, &sim->link[i], conf->first + i);
}

static void
remove_files(struct sim *sim)
{
    char path[192];

    for (uint32_t i = 0; i < sim->conf.links; i++)
        for (int k = 0; k < 6; k++) {
            snprintf(path, sizeof path, "%s/%u%c%s", sim->dir, sim->link[i].no, 'a' + k % 2,
                     (const char *const[]){"", "-wal", "-shm"}[k / 2]);
            (void)unlink(path);
        }
    (void)rmdir(sim->dir);
}

void
sim_free(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->conf.links; i++)
        for (int k = 0; k < 2; k++) {
            store_close(&sim->link[i].end[k]);
            free(sim->link[i].end[k].soup);
        }
    if (sim->conf.real)
        remove_files(sim);
    rk_heap_free(&sim->heap);
    free(sim->link);
    sim->link = NULL;
}

/* ---- time ---- */

/* Both ends have read their devices since the operator's hand was there, and could tell each other. */
static bool
both_know(const struct sim_link *l)
{
    for (int i = 0; i < 2; i++) {
        const struct sim_end *s = &l->end[i];

        if (s->script)
            continue;
        if (s->gone || s->e.seen_ns + s->base_ns <= l->operator_ns ||
            l->sim->now_ns <= l->operator_ns + 3 * l->sim->conf.verify_ns)
            return false;
    }
    return true;
}

/* An operator looks at the alarms of both ends, and gives up the keys that are not rekeyd's.  Class A: when that did
 * not help, for there is no key in use at both ends that they could be swept beside, those that no end transmits on
 * are removed by hand. */
static void
round_of(struct sim_link *l)
{
    l->round_ns = l->sim->now_ns + 2 * l->sim->conf.interval_ns;
    if (!both_know(l))
        return;
    for (int i = 0; i < 2; i++) {
        struct sim_end *s = &l->end[i];

        if (s->script || !(s->e.alarms & RK_ALARM_FOREIGN))
            continue;
        if ((s->e.d.flags & RK_DF_SWEEP) && !dev_is_cak(s) && s->e.state == RK_ST_IDLE)
            dev_clean(s);
        else if ((s->e.d.flags & RK_DF_SWEEP) && !dev_is_cak(s)) /* not while a rotation is tried: again soon */
            l->round_ns = l->sim->now_ns + l->sim->conf.interval_ns / 7;
        end_event(s, &(struct rk_event){.type = RK_EV_ADOPT});
    }
}

static void
cure(struct sim_link *l)
{
    l->cure_ns = RK_NEVER;
    for (int i = 0; i < 2; i++) {
        l->end[i].jump_ms = 0;
        if (l->end[i].dev.clock_ms > 0)
            dev_set_back(&l->end[i]);
        l->end[i].dev.clock_ms = 0;
    }
    if (dev_is_cak(&l->end[0]))
        mka_settle(l);
}

static void
step_link(struct sim_link *l)
{
    int64_t now_ns = l->sim->now_ns;

    l->touched = true;
    if (l->fault_ns <= now_ns)
        fault_link(l);
    else if (l->cure_ns <= now_ns)
        cure(l);
    else
        round_of(l);
}

void
sim_step(struct sim *sim)
{
    struct sim_timer *t = (struct sim_timer *)rk_heap_first(&sim->heap);
    struct sim_link *l = t->link;

    if (t->t.at_ns > sim->now_ns)
        sim->now_ns = t->t.at_ns;
    sim->steps++;
    l->steps++;
    if (t->what == 2)
        step_link(l);
    else if (l->fault == F_COUNT || !fault_strikes(&l->end[t->what]))
        end_step(&l->end[t->what]);
    check_link(l);
    sim_timers(l);
}

void
sim_run(struct sim *sim, int64_t until_ns)
{
    while (sim->heap.n > 0 && rk_heap_first(&sim->heap)->at_ns <= until_ns)
        sim_step(sim);
    if (sim->now_ns < until_ns)
        sim->now_ns = until_ns;
}
