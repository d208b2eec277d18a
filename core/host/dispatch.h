/* dispatch.h - what the host does with calls: take, queue, start, cancel, finish
 *
 * The main thread's; it never blocks and never calls a plugin.
 */
#ifndef RK_DISPATCH_H
#define RK_DISPATCH_H

#include "call.h"

struct rk_dispatch {
    const struct rk_module *module;
    struct rk_pool *pool;
    struct rk_insts insts;
    struct rk_calls waiting; /* for a thread, or for their turn */
    struct rk_calls running; /* at most RK_WORKERS_MAX */
    struct rk_calls outbox;  /* finished, the reply is to be sent */
    int64_t waiting_until_ns; /* earliest deadline in waiting, or before it; RK_NEVER: none */
};

/* rk_dispatch_start - make the pool.   ret: RK_OK, RK_E_NOMEM, RK_E_IO */
int rk_dispatch_start(struct rk_dispatch *d, const struct rk_module *module);

/* rk_dispatch_frame - act on one frame of rekeyd; fds[n] are taken */
void rk_dispatch_frame(struct rk_dispatch *d, const void *frame, size_t len, int *fds, size_t n);

/* rk_dispatch_step - take finished calls, run out deadlines, start what can be started */
void rk_dispatch_step(struct rk_dispatch *d, int64_t now_ns);

/* rk_dispatch_next_ns - when rk_dispatch_step has to do with time again [CLOCK_BOOTTIME]; RK_NEVER: not */
int64_t rk_dispatch_next_ns(const struct rk_dispatch *d);

/* rk_dispatch_drop_all - end all instances: what runs is canceled, fini follows in further steps */
void rk_dispatch_drop_all(struct rk_dispatch *d);

/* rk_dispatch_idle - nothing waits and nothing runs */
bool rk_dispatch_idle(const struct rk_dispatch *d);

/* rk_dispatch_end - drop all, wait until all calls returned, free all.   blocks: for ever when a plugin hangs, so it is
 * for tests; a host process just exits */
void rk_dispatch_end(struct rk_dispatch *d);

#endif
