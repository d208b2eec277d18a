/* call.h - one call on an instance, from the frame that asked for it to the reply
 *
 * Made and ended by the main thread; between start and finish the worker that runs it has msg, config, reply, err and
 * text to itself.  What both touch meanwhile (cancel) is under the call's lock.
 */
#ifndef RK_CALL_H
#define RK_CALL_H

#include "inst.h"
#include "pool.h"

#include "../ipc/msg.h"

#include <pthread.h>

/* Verbs that no CALL can carry: an instance's begin and end. */
enum { RK_V_INIT = 1000, RK_V_FINI };

enum rk_call_state {
    RK_CALL_WAITING,  /* for a thread or for its turn */
    RK_CALL_RUNNING,
    RK_CALL_CANCELED, /* its cancel descriptor is readable */
    RK_CALL_POISONED, /* and it did not return within RK_GRACE_MS */
    RK_CALL_DONE
};

struct rk_call_step { /* what is to be sent before the reply */
    struct rk_call_step *next;
    struct rk_step step;
    struct rk_found_msg *found; /* instead of the step; NULL */
    struct rk_heard_msg *heard; /* the same */
};

struct rk_call {
    struct rk_job job;             /* first: the pool gives it back */
    struct rk_call *prev, *next;   /* in the list of its state */
    enum rk_call_state state;
    struct rk_inst *inst;          /* NULL: there is none, and reply says why */
    uint32_t number, verb;
    int64_t deadline_ns;           /* end of the budget; not changed after the call is made */
    int64_t begun_ns, grace_end_ns;
    pthread_mutex_t lock;
    bool canceled;                 /* under lock */
    int64_t most_end_ns;           /* under lock; RK_NEVER, or nothing is left after it although the budget goes on */
    int cancel_fd;                 /* under lock; eventfd, -1 until the plugin asks for it */
    struct rk_call_msg msg;        /* CALL */
    struct rk_config config;       /* RK_V_INIT */
    struct rk_reply reply;
    char text[RK_TEXT_MAX];        /* of the last fail() */
    struct rk_pool *pool;          /* that runs it */
    struct rk_call_step *steps, **steps_end; /* of a test, DISCOVER, PREPARE, NEIGHBOURS; under lock: not sent yet */
    unsigned n_steps;              /* stated so far */
    int step_err;                  /* of the first step that failed */
};

struct rk_calls { /* a list, in the order of adding */
    struct rk_call *first, *last;
    size_t n;
};

/* rk_call_new - a call with nothing in it;  NULL: no memory.   rk_call_free - free all it holds, wipe keys in it */
struct rk_call *rk_call_new(uint32_t number, uint32_t verb, uint32_t budget_ms);
void rk_call_free(struct rk_call **call);

/* rk_call_cancel - make its cancel descriptor readable, and nothing left of its budget.   thread: any */
void rk_call_cancel(struct rk_call *call);

/* rk_call_bound - from now on at most so much is left, however much of the budget there is
 * note: what waits for the cancel descriptor alone is told at the end of the budget.   thread: the call's worker */
void rk_call_bound(struct rk_call *call, uint32_t most_ms);

/* rk_call_fail - struct rk_host.fail
 * rk_call_left_ms, rk_call_cancel_fd - struct rk_host.left_ms, .cancel_fd; documented in rekey/plugin.h */
int rk_call_fail(struct rk_call *call, int err, const char *fmt, ...) RK_PRINTF(3, 4);
int rk_call_left_ms(const struct rk_call *call);
int rk_call_cancel_fd(const struct rk_call *call);

/* rk_call_expires - struct rk_host.expires: the earliest end of the call is in its reply */
void rk_call_expires(struct rk_call *call, const char *what, int64_t unix_s);
/* rk_call_wasted - struct rk_host.wasted: their number is in the reply */
void rk_call_wasted(struct rk_call *call, uint32_t n);
/* rk_call_step - struct rk_host.step: keep it for the main thread, and wake that
 * rk_call_step_first - the oldest step that is kept, the caller's (rk_call_step_free); NULL: none.   thread: main
 * rk_call_step_back - put it back: it could not be sent now
 * rk_call_line - one line of PREPARE, the same way.   rk_call_found - one link of DISCOVER; found is taken
 * rk_call_heard - one neighbour of NEIGHBOURS; heard is taken
 * ret: RK_OK; RK_E_CONTRACT: there are too many, or the line is too long; RK_E_NOMEM */
int rk_call_step(struct rk_call *call, const char *name, int result, const char *fmt, ...) RK_PRINTF(4, 5);
struct rk_call_step *rk_call_step_first(struct rk_call *call);
void rk_call_step_back(struct rk_call *call, struct rk_call_step *step);
void rk_call_step_free(struct rk_call_step *step);
int rk_call_line(struct rk_call *call, const char *line);
int rk_call_found(struct rk_call *call, struct rk_found_msg *found);
int rk_call_heard(struct rk_call *call, struct rk_heard_msg *heard);

/* rk_call_end - set what the reply says: err, made safe, and the text of the last fail() */
void rk_call_end(struct rk_call *call, int err);

/* rk_call_refuse - end a call that is not run, with this text */
void rk_call_refuse(struct rk_call *call, int err, const char *fmt, ...) RK_PRINTF(3, 4);

/* rk_verb_name - "apply", ...; "?" for none */
const char *rk_verb_name(uint32_t verb);

/* rk_calls_add - put call at the end of list;  rk_calls_remove - take it out, wherever it is */
void rk_calls_add(struct rk_calls *list, struct rk_call *call);
void rk_calls_remove(struct rk_calls *list, struct rk_call *call);

#endif
