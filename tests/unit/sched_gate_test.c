/* sched_gate_test.c - a source that is away for a minute, five, or an hour, and 10,000 links that want keys of it; in
 * virtual time: how often it is asked then, and when it is back.
 */
#include "core/base/clock.h"
#include "core/sched/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MS RK_NS_PER_MS
#define S RK_NS_PER_S
#define LINKS 10000
#define INTERVAL (120 * S)
#define TICK (50 * MS)
#define BATCH 64
#define PARALLEL 4
#define PER_TICK 5           /* calls: 100 a second */
#define BACKOFF (75 * S / 2) /* the longest pause: 30 s and a quarter */

struct call {
    bool used, fails;
    size_t n, first; /* of the queue */
    int64_t at_ns;   /* of its answer */
};

struct world {
    struct rk_gate gate;
    int64_t now_ns, down_ns, up_ns; /* the source is away from down to up */
    int64_t fail_ns;                /* how long a call takes that fails */
    int64_t due_ns[LINKS];
    size_t queue[LINKS], head, n; /* ring of links that are due */
    bool queued[LINKS];
    struct call call[PARALLEL];
    size_t asked_away, asked_after, failed_after, keys_after; /* calls; and keys */
    int64_t first_ns, calm_ns;                                /* first key after, and when nobody waited any more */
};

static void
enqueue(struct world *w, size_t link)
{
    assert_true(w->n < LINKS);
    w->queue[(w->head + w->n++) % LINKS] = link;
    w->queued[link] = true;
}

static void
fall_due(struct world *w)
{
    for (size_t i = 0; i < LINKS; i++)
        if (!w->queued[i] && w->now_ns >= w->due_ns[i])
            enqueue(w, i);
}

static bool
is_away(const struct world *w)
{
    return w->now_ns >= w->down_ns && w->now_ns < w->up_ns;
}

static bool
is_after(const struct world *w)
{
    return w->now_ns >= w->up_ns && w->calm_ns == 0;
}

static bool
ask(struct world *w)
{
    size_t room = rk_gate_room(&w->gate, w->now_ns), n = w->n < BATCH ? w->n : BATCH;

    n = n < room ? n : room;
    for (size_t i = 0; n && i < PARALLEL; i++) {
        struct call *c = &w->call[i];

        if (c->used)
            continue;
        *c = (struct call){true, is_away(w), n, w->head, w->now_ns + (is_away(w) ? w->fail_ns : TICK)};
        w->head = (w->head + n) % LINKS;
        w->n -= n;
        rk_gate_asked(&w->gate, n);
        w->asked_away += is_away(w);
        w->asked_after += is_after(w);
        return true;
    }
    return false;
}

static void
answer(struct world *w, struct call *c)
{
    bool failed = c->fails;

    rk_gate_answered(&w->gate, c->n, failed, w->now_ns, INTERVAL, 7);
    c->used = false;
    w->failed_after += failed && is_after(w);
    if (!failed && is_after(w)) {
        w->keys_after += c->n;
        w->first_ns = w->first_ns ? w->first_ns : w->now_ns;
    }
    for (size_t i = 0; i < c->n; i++) {
        size_t link = w->queue[(c->first + i) % LINKS];

        w->queued[link] = false;
        if (failed)
            enqueue(w, link);
        else
            while (w->due_ns[link] <= w->now_ns)
                w->due_ns[link] += INTERVAL;
    }
}

static void
tick(struct world *w)
{
    w->now_ns += TICK;
    for (size_t i = 0; i < PARALLEL; i++)
        if (w->call[i].used && w->now_ns >= w->call[i].at_ns)
            answer(w, &w->call[i]);
    fall_due(w);
    if (w->n == 0)
        rk_gate_idle(&w->gate);
    for (int i = 0; i < PER_TICK && ask(w); i++)
        ;
    if (is_after(w) && w->first_ns && w->n == 0)
        w->calm_ns = w->now_ns;
}

/* ---- an outage ---- */

static void
outage(int64_t away_ns, int64_t fail_ns)
{
    struct world *w = calloc(1, sizeof *w);
    size_t probes = (size_t)(away_ns / (45 * S / 2)) + 8 + PARALLEL, needed;

    assert_non_null(w);
    w->down_ns = 300 * S;
    w->up_ns = w->down_ns + away_ns;
    w->fail_ns = fail_ns;
    for (size_t i = 0; i < LINKS; i++)
        w->due_ns[i] = (int64_t)i * INTERVAL / LINKS;
    while (w->calm_ns == 0 && w->now_ns < w->up_ns + 600 * S)
        tick(w);
    needed = (w->keys_after + BATCH - 1) / BATCH;
    print_message("# away %lld s: %zu calls; first key %.1f s after, all %.1f s later, by %zu calls for %zu keys\n",
                  (long long)(away_ns / S), w->asked_away, (double)(w->first_ns - w->up_ns) / 1e9,
                  (double)(w->calm_ns - w->first_ns) / 1e9, w->asked_after, w->keys_after);
    assert_true(w->calm_ns > 0);
    assert_true(w->asked_away >= (size_t)(away_ns / (BACKOFF + fail_ns))); /* it never stops asking */
    assert_true(w->asked_away <= probes);
    assert_true(w->first_ns - w->up_ns <= BACKOFF + fail_ns + 2 * TICK);
    assert_int_equal(w->failed_after, 0);
    assert_true(w->asked_after * 10 <= needed * 11);
    assert_true(w->calm_ns - w->first_ns < 10 * S);
    assert_int_equal(w->gate.state, RK_GATE_OPEN);
    free(w);
}

static void
one_minute(void **state)
{
    (void)state;
    outage(60 * S, TICK);
}

static void
five_minutes(void **state)
{
    (void)state;
    outage(300 * S, TICK);
}

static void
an_hour(void **state)
{
    (void)state;
    outage(3600 * S, TICK);
}

/* It does not refuse, it does not answer. */
static void
an_hour_of_silence(void **state)
{
    (void)state;
    outage(3600 * S, 10 * S);
}

/* ---- single steps ---- */

static void
fail_at(struct rk_gate *g, int64_t now_ns)
{
    rk_gate_asked(g, 1);
    rk_gate_answered(g, 1, true, now_ns, INTERVAL, 1);
}

static void
one_at_a_time(void **state)
{
    struct rk_gate g = {0};

    (void)state;
    assert_true(rk_gate_room(&g, 0) == SIZE_MAX);
    fail_at(&g, S);
    assert_int_equal(rk_gate_room(&g, S), 0);
    assert_int_equal(rk_gate_room(&g, g.retry_ns - 1), 0);
    assert_int_equal(rk_gate_room(&g, g.retry_ns), 1);
    rk_gate_asked(&g, 1);
    assert_int_equal(rk_gate_room(&g, g.retry_ns + 100 * S), 0); /* until it is answered */
}

static void
pauses_grow_and_end(void **state)
{
    struct rk_gate g = {0};
    int64_t now_ns = S, pause_ns = 0;

    (void)state;
    for (int i = 0; i < 40; i++, now_ns = g.retry_ns) {
        fail_at(&g, now_ns);
        pause_ns = g.retry_ns - now_ns;
        assert_true(pause_ns >= 187 * MS && pause_ns <= BACKOFF);
    }
    assert_true(pause_ns >= 22 * S);
}

/* Calls that were under way when it went away end one after the other: that is one failure, not four. */
static void
late_failures_count_once(void **state)
{
    struct rk_gate g = {0};
    int64_t retry_ns;

    (void)state;
    rk_gate_asked(&g, 256);
    rk_gate_answered(&g, 64, true, S, INTERVAL, 1);
    retry_ns = g.retry_ns;
    for (int i = 0; i < 3; i++)
        rk_gate_answered(&g, 64, true, S + 10 * MS, INTERVAL, 1);
    assert_int_equal(g.retry_ns, retry_ns);
    assert_int_equal(g.out, 0);
}

static void
opens_step_by_step(void **state)
{
    struct rk_gate g = {0};
    size_t asked = 0, calls = 0;

    (void)state;
    fail_at(&g, S);
    for (; g.state != RK_GATE_OPEN; calls++) {
        size_t n = rk_gate_room(&g, 100 * S);

        assert_true(n > 0 && calls < 12);
        n = n < BATCH ? n : BATCH;
        asked += n;
        rk_gate_asked(&g, n);
        rk_gate_answered(&g, n, false, 100 * S, INTERVAL, 1);
    }
    assert_true(asked > BATCH && calls <= 9);
}

/* It gives a key now and then: the pause stays near what fills it, and most calls bring something. */
static void
trickle(void **state)
{
    struct rk_gate g = {0};
    size_t failed = 0, good = 0, keys = 0;
    double stored = 0;

    (void)state;
    for (int64_t now_ns = S; now_ns < 3600 * S; now_ns += TICK) {
        size_t n = rk_gate_room(&g, now_ns);

        stored += 2.0 * TICK / S;
        if (!n)
            continue;
        n = n < BATCH ? n : BATCH;
        rk_gate_asked(&g, n);
        rk_gate_answered(&g, n, (double)n > stored, now_ns, INTERVAL, 1);
        failed += (double)n > stored;
        good += (double)n <= stored;
        keys += (double)n > stored ? 0 : n;
        stored -= (double)n > stored ? 0 : (double)n;
    }
    print_message("# %zu keys of 7200 by %zu calls, %zu without\n", keys, good, failed);
    assert_true(keys > 6000);
    assert_true(failed * 2 < good);
}

static void
word_that_it_is_back(void **state)
{
    struct rk_gate g = {0};

    (void)state;
    for (int i = 0; i < 12; i++)
        fail_at(&g, i == 0 ? S : g.retry_ns);
    rk_gate_retry(&g, g.retry_ns - 10 * S);
    assert_int_equal(rk_gate_room(&g, g.retry_ns), 1);
    rk_gate_asked(&g, 1);
    rk_gate_answered(&g, 1, false, g.retry_ns, INTERVAL, 1);
    assert_int_equal(g.state, RK_GATE_AJAR);
    rk_gate_idle(&g);
    assert_int_equal(g.state, RK_GATE_OPEN);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_minute),
        cmocka_unit_test(five_minutes),
        cmocka_unit_test(an_hour),
        cmocka_unit_test(an_hour_of_silence),
        cmocka_unit_test(one_at_a_time),
        cmocka_unit_test(pauses_grow_and_end),
        cmocka_unit_test(late_failures_count_once),
        cmocka_unit_test(opens_step_by_step),
        cmocka_unit_test(trickle),
        cmocka_unit_test(word_that_it_is_back),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("gate", tests, NULL, NULL);
}
