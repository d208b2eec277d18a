/* sched_heap_test.c - the timer heap against a naive model, and at the size of a large network. */
#include "core/sched/heap.h"

#include <rekey/err.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>

#include <cmocka.h>

#define FEW 300
#define MANY 100000

static uint64_t
chance(uint64_t *seed)
{
    uint64_t x = (*seed += UINT64_C(0x9e3779b97f4a7c15));

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    return x ^ (x >> 27);
}

/* Every timer is where it says, and none is before its parent. */
static void
check(const struct rk_heap *h)
{
    for (size_t i = 0; i < h->n; i++) {
        assert_int_equal(h->slot[i].t->pos, i + 1);
        assert_true(h->slot[i].at_ns == h->slot[i].t->at_ns);
        if (i > 0)
            assert_true(h->slot[(i - 1) / 4].at_ns <= h->slot[i].at_ns);
    }
}

static void
test_empty(void **state)
{
    struct rk_heap h = {0};
    struct rk_timer t = {0};

    (void)state;
    assert_null(rk_heap_first(&h));
    rk_heap_remove(&h, &t);
    assert_int_equal(h.n, 0);
    rk_heap_free(&h);
    assert_int_equal(rk_heap_put(&h, &t, -5), RK_OK);
    assert_ptr_equal(rk_heap_first(&h), &t);
    rk_heap_remove(&h, &t);
    assert_int_equal(t.pos, 0);
    assert_null(rk_heap_first(&h));
    assert_int_equal(rk_heap_put(&h, &t, INT64_MAX), RK_OK);
    rk_heap_free(&h);
    assert_int_equal(t.pos, 0); /* may be put into another heap */
}

/* With a sanitizer, too, an array that cannot be is no memory, and not the end. */
const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

/* No memory for one more: that one is refused, those that are in stay, and may still move. */
static void
test_full(void **state)
{
    const size_t most = SIZE_MAX / 4; /* twice as many pointers cannot be had */
    struct rk_heap h = {0}, before;
    struct rk_timer in = {0}, out = {0};

    (void)state;
    assert_int_equal(rk_heap_put(&h, &in, 7), RK_OK);
    before = h;
    h.n = h.cap = most;
    assert_int_equal(rk_heap_put(&h, &out, 3), RK_E_NOMEM);
    assert_int_equal(out.pos, 0);
    assert_ptr_equal(h.slot, before.slot);
    assert_int_equal(h.n, most);
    assert_int_equal(h.cap, most);
    h = before;
    assert_int_equal(rk_heap_put(&h, &in, 9), RK_OK);
    assert_int_equal(rk_heap_first(&h)->at_ns, 9);
    rk_heap_free(&h);
}

/* The model: who is in, and when; the first is found by looking at all. */
struct model {
    bool in[FEW];
    int64_t at[FEW];
};

static int64_t
model_first(const struct model *m)
{
    int64_t first = INT64_MAX;

    for (size_t i = 0; i < FEW; i++)
        if (m->in[i] && m->at[i] < first)
            first = m->at[i];
    return first;
}

static void
test_random(void **state)
{
    static struct rk_timer t[FEW];
    static struct model m;
    struct rk_heap h = {0};
    uint64_t seed = 42;
    size_t in = 0;

    (void)state;
    for (int step = 0; step < 50000; step++) {
        size_t i = chance(&seed) % FEW;

        if (chance(&seed) % 3 > 0) {
            int64_t at = (int64_t)(chance(&seed) % 1000) - 500; /* many equal ones, some negative */

            assert_int_equal(rk_heap_put(&h, &t[i], at), RK_OK);
            in += !m.in[i];
            m.in[i] = true;
            m.at[i] = at;
        } else {
            rk_heap_remove(&h, &t[i]);
            in -= m.in[i];
            m.in[i] = false;
        }
        assert_int_equal(h.n, in);
        assert_int_equal(t[i].pos != 0, m.in[i]);
        if (in > 0)
            assert_int_equal(rk_heap_first(&h)->at_ns, model_first(&m));
        else
            assert_null(rk_heap_first(&h));
        if (step % 500 == 0)
            check(&h);
    }
    rk_heap_free(&h);
    for (size_t i = 0; i < FEW; i++)
        assert_int_equal(t[i].pos, 0);
}

static void
test_many(void **state)
{
    struct rk_timer *t = calloc(MANY, sizeof *t);
    struct rk_heap h = {0};
    uint64_t seed = 1;
    int64_t last = -1;
    size_t left = MANY;

    (void)state;
    assert_non_null(t);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(rk_heap_put(&h, &t[i], (int64_t)(chance(&seed) >> 2)), RK_OK);
    for (size_t i = 0; i < MANY; i += 2) /* each second one moves, each tenth goes */
        assert_int_equal(rk_heap_put(&h, &t[i], (int64_t)(chance(&seed) >> 2)), RK_OK);
    for (size_t i = 0; i < MANY; i += 10, left--)
        rk_heap_remove(&h, &t[i]);
    check(&h);
    for (struct rk_timer *first; (first = rk_heap_first(&h)) != NULL; left--) {
        assert_true(first->at_ns >= last);
        last = first->at_ns;
        rk_heap_remove(&h, first);
    }
    assert_int_equal(left, 0);
    rk_heap_free(&h);
    free(t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_many),
    };

    return cmocka_run_group_tests_name("sched_heap", tests, NULL, NULL);
}
