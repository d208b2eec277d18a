/* pool.h - worker threads, made when they are needed
 *
 * The owner (one thread) submits jobs and takes back finished ones; a job that is submitted is run at once or
 * refused, so that no job waits behind one that hangs.  Threads are never cancelled.
 */
#ifndef RK_POOL_H
#define RK_POOL_H

#include <stddef.h>

struct rk_pool;

struct rk_job {
    struct rk_job *next;
    void (*run)(struct rk_job *job); /* on a worker */
};

/* rk_pool_new - a pool of at most max threads, none of them started yet
 * out: *out, owned by the caller.  ret: RK_OK, RK_E_NOMEM, RK_E_IO (no descriptor) */
int rk_pool_new(unsigned max, struct rk_pool **out);

/* rk_pool_free - wait for what runs, end all threads, free.   blocks: until the last job returned; so only where
 * jobs are known to return (tests): a host process just exits */
void rk_pool_free(struct rk_pool **pool);

/* rk_pool_submit - run job on a worker
 * in:   job, borrowed until rk_pool_done returns it
 * ret:  RK_OK; RK_E_BUSY: all threads are in use; RK_E_NOMEM: none is free and no further one can be made.
 * thread: owner.  blocks: never */
int rk_pool_submit(struct rk_pool *pool, struct rk_job *job);

/* rk_pool_fd - readable when a job has finished, or rk_pool_wake was called, since the last rk_pool_done */
int rk_pool_fd(const struct rk_pool *pool);

/* rk_pool_wake - make rk_pool_fd readable.   thread: any */
void rk_pool_wake(struct rk_pool *pool);

/* rk_pool_done - take the finished jobs, oldest first, linked by next; NULL: none.   thread: owner.  blocks: never */
struct rk_job *rk_pool_done(struct rk_pool *pool);

/* rk_pool_free_threads - how many jobs could be submitted now, were memory no matter.   thread: owner */
unsigned rk_pool_free_threads(const struct rk_pool *pool);

#endif
