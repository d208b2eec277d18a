/* errand.h - calls on a device that are not about one end: tend, discover, prepare, neighbours
 *
 * A device does one call at a time, so an errand waits for its turn; it comes before the actions that wait there, which
 * are many, where errands are few.
 */
#ifndef RK_ERRAND_H
#define RK_ERRAND_H

#include "daemon.h"

struct errand {
    struct errand *next;
    struct inst *inst;
    uint32_t verb;
    int64_t budget_ms;
    bool apply, carries;        /* PREPARE */
    const char *const *ifaces;  /* PREPARE, NEIGHBOURS: n of them, at most RK_BATCH_MAX */
    size_t n;
    const char *const *words;   /* PREPARE, without ifaces: n_words of them, at most RK_WORDS */
    size_t n_words;
    uint32_t number;            /* of the call; 0: it is not under way */
    call_step *line;            /* PREPARE; with arg */
    call_found *found;          /* DISCOVER; with arg */
    call_heard *heard;          /* NEIGHBOURS; with arg */
    void (*done)(void *arg, int err, const char *why); /* once; NULL: nobody hears */
    void *arg;
};

/* errand_add - have it done;  e is the caller's until done() has come, and then free to be freed
 * errand_stop - its caller is not interested any more: done() comes soon, or now when it had not begun
 * errand_dispatch - begin the first that waits, when the device is free.   errand_fail - those that wait hear this
 * errand_ready - the device was made: tend it from now on, when its plugin wants that */
void errand_add(struct errand *e);
void errand_stop(struct errand *e);
void errand_dispatch(struct inst *inst);
void errand_fail(struct inst *inst, int err, const char *why);
void errand_ready(struct inst *inst);

/* inst_offers - does the plugin of this device, or channel, offer RK_OFFERS_... */
bool inst_offers(const struct inst *inst, uint32_t what);

#endif
