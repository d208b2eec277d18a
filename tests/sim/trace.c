/* trace.c - what a run of the simulator says: each event of a traced link, and how to see a link again. */
#include "sim.h"

#include <stdio.h>
#include <string.h>

static void
head(const struct sim_link *l, char who)
{
    printf("# %10.3f s %s %c ", (double)l->sim->now_ns / 1e9, l->name, who);
}

void
trace_event(const struct sim_end *s, const struct rk_event *ev)
{
    static const char *const names[RK_EV_COUNT] = {"start", "tick", "done", "key", "observed", "failed", "peer",
                                                   "rotate", "adopt"};
    const struct rk_record *r = ev->type == RK_EV_PEER ? ev->record : NULL;
    const struct rk_end *e = &s->e;

    head(end_link(s), 'a' + (char)end_side(s));
    printf("%-8s", names[ev->type]);
    if (r)
        printf(" %c %s(%llu) key=%s prev=%s %s %s", r->role == RK_MASTER ? 'M' : 'S', rk_say_name(r->say),
               (unsigned long long)r->seq, r->key, r->prev, r->facts, r->confirm);
    if (ev->type == RK_EV_OBSERVED)
        printf(" state=%x cur=%x prev=%x cand=%x peer=%x foreign=%u", ev->seen->state, ev->seen->cur, ev->seen->prev,
               ev->seen->cand, ev->seen->peer, ev->seen->foreign);
    printf(" -> %c %s(%d) phase=%u seq=%llu cur=%s prev=%s cand=%s sends=%x fl=%x al=%x peer=%c:%s(%llu) due=%.3f %s\n",
           e->d.role == RK_MASTER ? 'M' : 'S', rk_state_name(e->state), (int)e->state, e->d.phase,
           (unsigned long long)e->d.seq, e->d.cur, e->d.prev, e->d.cand, dev_sends(s), e->d.flags, e->alarms,
           e->peer.role == RK_MASTER ? 'M' : 'S', rk_say_name(e->peer.say), (unsigned long long)e->peer.seq,
           (double)(e->due_ns + s->base_ns) / 1e9,
           e->last_err ? e->last_why : "");
}

void
trace_fault(const struct sim_link *l, enum sim_fault f, const struct sim_end *s)
{
    head(l, 'a' + (char)end_side(s));
    printf("FAULT %s\n", fault_names[f]);
}

static const char *
class_name(uint32_t class)
{
    static const char *const names[] = {"?", "A", "B", "C", "D", "E"};

    return names[class < 6 ? class : 0];
}

void
trace_replay(const struct sim_link *l, char *text, size_t size)
{
    const struct sim_conf *c = &l->sim->conf;

    if (l->sim->replay[0]) {
        snprintf(text, size, "%s", l->sim->replay);
        return;
    }
    snprintf(text, size,
             "tests/sim/rotation_sim --seed %llu --link %u --classes %s%s --interval %lldms --drain %lldms --verify "
             "%lldms --lead %lldms --path %lldms --act %lldms --hear %lldms --fault-every %lldms --outage %lldms "
             "--kinds %llx --soup %u --stale %u%s%s --time %lldms --trace",
             (unsigned long long)c->seed, l->no, class_name(c->class[0]), class_name(c->class[1]),
             (long long)(c->interval_ns / MS), (long long)(c->drain_ns / MS), (long long)(c->verify_ns / MS),
             (long long)(c->lead_ns / MS), (long long)(c->path_ns / MS), (long long)(c->act_ns / MS),
             (long long)(c->hear_ns / MS), (long long)(c->fault_every_ns / MS), (long long)(c->outage_ns / MS),
             (unsigned long long)c->kinds, c->soup, (unsigned)c->on_stale, c->real ? " --real" : "",
             c->carried ? " --carried" : "",
             (long long)(c->time_ns / MS));
}
