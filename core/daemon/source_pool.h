/* source_pool.h - the budget of key sources: one struct source for each source, one struct source_pair for each peer's
 * keys at it
 *
 * Private to core/daemon; loop only; no function here blocks.
 */
#ifndef RK_SOURCE_POOL_H
#define RK_SOURCE_POOL_H

#include "daemon.h"

#include "../sched/gate.h"
#include "../sched/pool.h"

#define SOURCE_BUCKETS 256 /* 100,000 links over a thousand peers are bound in no time */

struct source_pair { /* one peer SAE at one source */
    struct source_pair *next, *next_in_bucket;
    struct source *src;
    char peer_sae[RK_SAE_MAX + 1];
    struct rk_supply supply; /* what its ends go by */
    struct rk_pool pool;
    struct rk_gate gate; /* of new keys: shut while there is none for this peer */
    struct rk_demand demand;
    int64_t interval_ns; /* the shortest of its links; RK_NEVER: none */
    bool used;           /* a link names it */
    int err;             /* why the gate was shut last */
    char why[RK_WHY_MAX];
    struct queue wait[RK_PRIORITIES]; /* ends that are due, in order; none that is gone */
    size_t n_wait;
    int64_t lease_ns; /* an end was let through, and has until then to ask */
    int64_t poll_ns;  /* the next question for its status */
    bool polling, told_shut;
    unsigned n_polls;
    int poll_err;
    size_t in_flight;                              /* calls for keys */
    int64_t max_per_request, min_bits, max_bits;   /* as its status says; -1: not known */
    uint64_t calls, failed, keys, orphaned;        /* since it was set up: calls for keys, those without, new keys */
};

struct source {
    struct wake wake; /* source_turn */
    struct inst *inst;
    struct source_pair *pairs;
    struct source_pair *buckets[SOURCE_BUCKETS]; /* the same, by hash of the peer SAE */
    struct rk_gate gate; /* of all calls: shut while the source cannot be reached, or is broken */
    int64_t interval_ns; /* the shortest of all links; RK_NEVER: none */
    int err;
    char why[RK_WHY_MAX];
    int64_t lease_ns, poll_ns;
    bool polling, told_shut;
    bool slaves_wait;  /* a slave's request failed: source_slaves.c */
    int64_t probe_ns;  /* not asked for that before */
};

/* source_new, source_free - the struct source of a source's instance.   ret: RK_OK, RK_E_NOMEM
 * source_bind_all - after a configuration came into force: which pair each end asks, and what all want of each
 * source_forget - the end goes, or its source: it has no pair any more
 * source_turn - the wake of a struct source: let ends through, ask for a status, judge */
int source_new(struct inst *inst);
void source_free(struct inst *inst);
void source_bind_all(struct daemon *d);
void source_forget(struct end *end);
void source_turn(struct daemon *d, struct wake *w);

/* source_judge - what its ends go by from now on.   source_look - source_turn() then, or sooner
 * source_poll - ask for one status, when it is time.   ret: when to look again [ns]
 * source_hold - there are requests in the queue, and none of them may be asked for now: look again when one may
 * source_tired - has its request waited in the queue for as long as is good for it;  source_fail_held - it hears why */
void source_judge(struct source_pair *p, int64_t now_ns);
void source_look(struct source *src, int64_t at_ns);
int64_t source_poll(struct source *src, int64_t now_ns);
bool source_tired(const struct end *end, int64_t now_ns);
void source_fail_held(struct end *end);
void source_hold(struct inst *inst);

/* source_wait - the end is due, and its model waits: it is let through when its turn has come
 * source_leave - it waits no more
 * source_pair_of - the pair that the end asks, or asked last; NULL: none
 * source_room - how many keys may be asked for in one call with the end's; 0: none now, it stays in the queue
 * source_asked, source_answered - a call for n keys began, and ended
 * in:   good  keys that came;  err  RK_OK, or why the others did not;  why  for people
 * source_down, source_up - its plugin is not there, or is again */
void source_wait(struct end *end);
void source_leave(struct end *end);
struct source_pair *source_pair_of(const struct end *end);
size_t source_room(const struct end *end, uint32_t verb, int64_t now_ns);
void source_asked(struct source_pair *p, uint32_t verb, size_t n);
void source_answered(struct source_pair *p, uint32_t verb, size_t n, size_t good, int err, const char *why);
void source_down(struct inst *inst, int err, const char *why);
void source_up(struct inst *inst);

/* source_probe - the pair whose status is asked for to see whether slaves can have keys again; NULL: none now
 * source_probed - the status came, or did not.   source_slaves_turn - those that may get keys now ask their masters */
struct source_pair *source_probe(const struct source *src, int64_t now_ns);
void source_probed(struct source *src, int err, int64_t now_ns);
void source_slaves_turn(struct source *src, int64_t now_ns);

/* source_row - one pair as a JSON object, to be freed; NULL: no memory */
char *source_row(const struct source_pair *p, int64_t now_ns);

#endif
