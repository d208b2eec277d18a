/* host_pool_test.c - the worker pool: threads made when needed, full means refused, finished in order. */
#include "core/host/pool.h"

#include <poll.h>
#include <rekey/err.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct task {
    struct rk_job job; /* first */
    sem_t *go;         /* waited for, when not NULL */
    sem_t *begun;
    int ran;
};

static void
run(struct rk_job *job)
{
    struct task *t = (struct task *)job;

    if (t->begun)
        sem_post(t->begun);
    if (t->go)
        sem_wait(t->go);
    t->ran++;
}

/* Take n finished jobs, waiting for them. */
static size_t
collect(struct rk_pool *p, size_t n, struct rk_job **list)
{
    struct pollfd done = {.fd = rk_pool_fd(p), .events = POLLIN};
    size_t got = 0;

    while (got < n) {
        assert_int_equal(poll(&done, 1, 20000), 1);
        for (struct rk_job *j = rk_pool_done(p), *next; j; j = next) {
            next = j->next;
            list[got++] = j;
        }
    }
    return got;
}

static void
test_runs_and_refuses(void **state)
{
    struct task tasks[3];
    struct rk_job *list[3];
    struct rk_pool *p;
    sem_t go, begun;

    (void)state;
    sem_init(&go, 0, 0);
    sem_init(&begun, 0, 0);
    assert_int_equal(rk_pool_new(2, &p), RK_OK);
    assert_int_equal(rk_pool_free_threads(p), 2);
    for (int i = 0; i < 3; i++)
        tasks[i] = (struct task){.job.run = run, .go = &go, .begun = &begun};
    assert_int_equal(rk_pool_submit(p, &tasks[0].job), RK_OK);
    assert_int_equal(rk_pool_submit(p, &tasks[1].job), RK_OK);
    sem_wait(&begun); /* both run at once, */
    sem_wait(&begun);
    assert_int_equal(rk_pool_submit(p, &tasks[2].job), RK_E_BUSY); /* and there is no third thread */
    assert_null(rk_pool_done(p));
    sem_post(&go);
    assert_int_equal(collect(p, 1, list), 1);
    assert_int_equal(rk_pool_submit(p, &tasks[2].job), RK_OK);
    sem_post(&go);
    sem_post(&go);
    assert_int_equal(collect(p, 2, list), 2);
    for (int i = 0; i < 3; i++)
        assert_int_equal(tasks[i].ran, 1);
    rk_pool_free(&p);
    assert_null(p);
    sem_destroy(&go);
    sem_destroy(&begun);
}

static void
test_many(void **state)
{
    enum { N = 2000 };
    static struct task tasks[N];
    static struct rk_job *list[N];
    struct rk_pool *p;
    size_t sent = 0, got = 0;

    (void)state;
    assert_int_equal(rk_pool_new(8, &p), RK_OK);
    while (got < N) {
        while (sent < N && rk_pool_free_threads(p)) {
            tasks[sent] = (struct task){.job.run = run};
            assert_int_equal(rk_pool_submit(p, &tasks[sent].job), RK_OK);
            sent++;
        }
        got += collect(p, 1, list + got);
    }
    for (size_t i = 0; i < N; i++)
        assert_int_equal(tasks[i].ran, 1);
    assert_int_equal(rk_pool_free_threads(p), 8);
    rk_pool_free(&p);
}

static void
test_free_waits(void **state)
{
    struct task t = {.job.run = run};
    struct rk_pool *p;

    (void)state;
    assert_int_equal(rk_pool_new(1, &p), RK_OK);
    assert_int_equal(rk_pool_submit(p, &t.job), RK_OK);
    rk_pool_free(&p);
    assert_int_equal(t.ran, 1);
    rk_pool_free(&p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs_and_refuses),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_free_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
