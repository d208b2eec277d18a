/* pool.c - worker threads of a host.
 *
 * Everything shared is in struct rk_pool under its lock; a job belongs to the worker between submit and done.
 */
#include "pool.h"

#include <rekey/err.h>

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Enough for libcurl, OpenSSL and libxml2; 64 of them are 16 MiB of address space, and touched pages only. */
#define STACK_BYTES (256 * 1024)

struct worker {
    struct rk_pool *pool;
    pthread_t id;
    pthread_cond_t wake;
    struct rk_job *job;    /* what it is to do next; NULL: it waits, or is at one */
    struct worker *before; /* while it is idle: who was idle before it */
};

struct rk_pool {
    pthread_mutex_t lock;
    struct worker *idle;             /* who was busy last comes first: its stack and its heap are in the caches */
    struct rk_job *done, **done_end; /* finished, oldest first */
    bool ending;
    int fd;                          /* eventfd: something is in done */
    /* the owner's alone: */
    unsigned max, threads, busy;
    struct worker workers[];
};

/* Outside of the lock, as is every wake-up here: who is woken wants the lock next, and would wait for it. */
static void
tell(const struct rk_pool *p)
{
    const uint64_t one = 1;

    /* cannot fail: the counter is reset by each rk_pool_done, long before 2^64 */
    if (write(p->fd, &one, sizeof one) < 0)
        abort();
}

/* Idle it is as soon as its job is seen to be done, so that who takes that can give it the next one. */
static void
finish(struct rk_pool *p, struct worker *w, struct rk_job *job)
{
    bool first;

    job->next = NULL;
    pthread_mutex_lock(&p->lock);
    first = !p->done;
    *p->done_end = job;
    p->done_end = &job->next;
    w->before = p->idle;
    p->idle = w;
    pthread_mutex_unlock(&p->lock);
    if (first) /* else who came first tells of both */
        tell(p);
}

static void *
work(void *arg)
{
    struct worker *w = arg;
    struct rk_pool *p = w->pool;

    pthread_mutex_lock(&p->lock);
    for (;;) {
        struct rk_job *job = w->job;

        w->job = NULL;
        if (job) {
            pthread_mutex_unlock(&p->lock);
            job->run(job);
            finish(p, w, job);
            pthread_mutex_lock(&p->lock);
        } else if (p->ending) {
            break;
        } else {
            pthread_cond_wait(&w->wake, &p->lock);
        }
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

int
rk_pool_new(unsigned max, struct rk_pool **out)
{
    struct rk_pool *p = calloc(1, sizeof *p + max * sizeof p->workers[0]);

    *out = NULL;
    if (!p)
        return RK_E_NOMEM;
    p->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (p->fd < 0) {
        free(p);
        return RK_E_IO;
    }
    pthread_mutex_init(&p->lock, NULL);
    for (unsigned i = 0; i < max; i++) {
        p->workers[i].pool = p;
        pthread_cond_init(&p->workers[i].wake, NULL);
    }
    p->done_end = &p->done;
    p->max = max;
    *out = p;
    return RK_OK;
}

void
rk_pool_free(struct rk_pool **pool)
{
    struct rk_pool *p = *pool;

    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->ending = true;
    for (unsigned i = 0; i < p->threads; i++)
        pthread_cond_signal(&p->workers[i].wake);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->threads; i++)
        pthread_join(p->workers[i].id, NULL);
    for (unsigned i = 0; i < p->max; i++)
        pthread_cond_destroy(&p->workers[i].wake);
    pthread_mutex_destroy(&p->lock);
    close(p->fd);
    free(p);
    *pool = NULL;
}

/* One more thread for this job, with all signals blocked: they are the main thread's. */
static int
add_thread(struct rk_pool *p, struct rk_job *job)
{
    struct worker *w = &p->workers[p->threads];
    pthread_attr_t attr;
    sigset_t all, old;
    size_t stack = STACK_BYTES;
    int failed;

    if (stack < (size_t)PTHREAD_STACK_MIN)
        stack = (size_t)PTHREAD_STACK_MIN;
    if (pthread_attr_init(&attr) != 0)
        return RK_E_NOMEM;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    w->job = job;
    failed = pthread_attr_setstacksize(&attr, stack);
    if (!failed)
        failed = pthread_create(&w->id, &attr, work, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    if (failed)
        return RK_E_NOMEM;
    p->threads++;
    return RK_OK;
}

int
rk_pool_submit(struct rk_pool *p, struct rk_job *job)
{
    struct worker *w;

    if (p->busy == p->max)
        return RK_E_BUSY;
    job->next = NULL;
    if (p->busy == p->threads) {
        if (add_thread(p, job) != RK_OK)
            return RK_E_NOMEM;
        p->busy++;
        return RK_OK;
    }
    p->busy++;
    pthread_mutex_lock(&p->lock);
    w = p->idle; /* there is one: all that are not busy are idle */
    p->idle = w->before;
    w->job = job;
    pthread_mutex_unlock(&p->lock);
    pthread_cond_signal(&w->wake);
    return RK_OK;
}

int
rk_pool_fd(const struct rk_pool *p)
{
    return p->fd;
}

void
rk_pool_wake(struct rk_pool *p)
{
    tell(p);
}

struct rk_job *
rk_pool_done(struct rk_pool *p)
{
    struct rk_job *done;
    uint64_t count;

    /* Before the list is taken: what is added from here on is told anew.  That nothing was told yet is no error: a
     * job may be taken before its worker comes to tell of it, which is then one poll() for nothing. */
    if (read(p->fd, &count, sizeof count) < 0 && errno != EAGAIN)
        abort();
    pthread_mutex_lock(&p->lock);
    done = p->done;
    p->done = NULL;
    p->done_end = &p->done;
    pthread_mutex_unlock(&p->lock);
    for (const struct rk_job *j = done; j; j = j->next)
        p->busy--;
    return done;
}

unsigned
rk_pool_free_threads(const struct rk_pool *p)
{
    return p->max - p->busy;
}
