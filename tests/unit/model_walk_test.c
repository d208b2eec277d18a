/* model_walk_test.c - ends of every class and policy on random walks: any record, any reading, any answer.
 *
 * No end ever waits for nothing, none spins, none asks for two things at once, none says what is not durable.  And
 * every arrow of the transition table is taken: the table has none that is not real, and rk_end_step() itself asserts
 * that none is taken which is not in it. */
#include "model_rig.h"

#include "core/model/end_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WALKS 25000 /* REKEY_WALKS in the environment: so many, and then not every arrow is asked for */
#define STEPS 200

static bool taken[RK_ST_COUNT][RK_EV_COUNT][RK_ST_COUNT];

static uint64_t
rnd(uint64_t *rng, uint64_t n)
{
    uint64_t x = *rng += 0x9e3779b97f4a7c15u;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (x ^ (x >> 31)) % n;
}

/* Mostly new ones. */
static const char *
any_key(uint64_t *rng)
{
    static const char *const keys[] = {"", "k4", "k5", "k6",
                                       "a-key-id-of-64-bytes-a-key-id-of-64-bytes-a-key-id-of-64-bytes-"};
    static char text[16];

    if (rnd(rng, 3) == 0)
        return keys[rnd(rng, sizeof keys / sizeof *keys)];
    snprintf(text, sizeof text, "k%u", (unsigned)rnd(rng, 100000));
    return text;
}

/* One event, with the arrow that it takes. */
static void
take(struct fix *f, struct rk_event ev)
{
    enum rk_state from = f->e.state;

    step(f, ev);
    taken[from][ev.type][f->e.state] = true;
}

static void
any_record(struct fix *f, uint64_t *rng)
{
    static const char *const facts[] = {"sci=b", "sci=b,rekey", "", "c=B", "c=C,shut", "clk=1,c=D", "c=B,rekey,fb"};
    struct rk_record r = record(rnd(rng, 2) ? M : SL, (uint32_t)rnd(rng, RK_SAY_LOST + 1),
                                rnd(rng, 3) ? f->e.d.seq + rnd(rng, 4) - 1 : rnd(rng, 3) ? rnd(rng, 9) : UINT64_MAX,
                                rnd(rng, 2) ? f->e.d.cand : rnd(rng, 2) ? f->e.d.cur : any_key(rng));

    snprintf(r.facts, sizeof r.facts, "%s", facts[rnd(rng, 3) ? (f->e.class == RK_CLASS_A ? 0 : 3)
                                                              : rnd(rng, sizeof facts / sizeof *facts)]);
    if (r.say == RK_SAY_OFFER && rnd(rng, 2))
        snprintf(r.confirm, sizeof r.confirm, "%lld", (long long)(f->now_ns / S + (int64_t)rnd(rng, 100) - 10));
    strcpy(r.prev, rnd(rng, 2) ? f->e.d.cur : any_key(rng));
    r.term = rnd(rng, 20) ? f->e.d.term : rnd(rng, 4);
    take(f, (struct rk_event){.type = RK_EV_PEER, .record = &r});
}

/* What a peer that works might say of this rotation, or offer next. */
static void
likely_record(struct fix *f, uint64_t *rng)
{
    bool master = f->e.d.role == M, offer = !master && f->e.state == RK_ST_IDLE;
    struct rk_record r = record(master ? SL : M, offer ? RK_SAY_OFFER : (uint32_t)rnd(rng, RK_SAY_LOST + 1),
                                f->e.d.seq + offer, f->e.d.cand[0]      ? f->e.d.cand
                                                         : rnd(rng, 4) ? f->e.d.cur
                                                                       : f->e.d.prev);

    r.term = f->e.d.term;
    if (offer)
        strcpy(r.key, any_key(rng));
    strcpy(r.facts, f->e.class == RK_CLASS_A ? "sci=b" : f->e.class == RK_CLASS_E ? "" : "c=C");
    strcpy(r.prev, f->e.d.cur);
    take(f, (struct rk_event){.type = RK_EV_PEER, .record = &r});
}

static void
any_reading(struct fix *f, uint64_t *rng)
{
    static const uint32_t usual = RK_IF_PRESENT | RK_IF_UP | RK_IF_PROTECTED;
    struct rk_seen seen = {.state = rnd(rng, 16) ? usual : (uint32_t)rnd(rng, 32),
                           .cur = rnd(rng, 3) ? USED | RK_PEER_USES : (uint32_t)rnd(rng, 16),
                           .prev = (uint32_t)rnd(rng, 16) * (uint32_t)rnd(rng, 2),
                           .cand = rnd(rng, 3) == 0 ? USED | RK_PEER_USES : rnd(rng, 2) ? BOTH : (uint32_t)rnd(rng, 16),
                           .peer = (uint32_t)rnd(rng, 16), .foreign = (uint32_t)rnd(rng, 2),
                           .facts = rnd(rng, 9) ? "clk=5" : rnd(rng, 2) ? "clk=-99999" : "", .why = ""};

    take(f, (struct rk_event){.type = RK_EV_OBSERVED, .seen = &seen});
}

/* The answer to the action under way: any that it may have. */
static void
any_answer(struct fix *f, enum rk_act act, uint64_t *rng)
{
    static const int errs[] = {RK_E_BUSY, RK_E_UNKNOWN, RK_E_REJECTED, RK_E_EMPTY, RK_E_PROTOCOL, RK_E_NOKEY,
                               RK_E_CONFLICT, RK_E_FATAL, -1};

    if (rnd(rng, 5) == 0)
        take(f, (struct rk_event){.type = RK_EV_FAILED, .err = errs[rnd(rng, sizeof errs / sizeof *errs)],
                                  .why = "test"});
    else if (act == RK_ACT_OBSERVE)
        any_reading(f, rng);
    else if (act == RK_ACT_GET_NEW || act == RK_ACT_GET_BY_ID)
        take(f, (struct rk_event){.type = RK_EV_KEY, .key_id = any_key(rng)});
    else
        take(f, (struct rk_event){.type = RK_EV_DONE, .mine = TAG_M, .theirs = rnd(rng, 30) ? TAG_S : ""});
}

static void
start(struct fix *f, uint64_t *rng)
{
    fresh(f, rnd(rng, 2) ? M : SL);
    f->e.class = RK_CLASS_A + (uint32_t)rnd(rng, 5);
    f->e.lead_ns = 60 * S;
    f->e.on_stale = (enum rk_stale)rnd(rng, 3);
    f->e.has_fallback = rnd(rng, 2);
    f->e.shut_after_ns = 4 * INTERVAL;
    f->e.conf_role = rnd(rng, 8) ? f->e.d.role : M;
    if (rnd(rng, 3) == 0)
        f->e.drain_ns = 0;
    take(f, (struct rk_event){.type = RK_EV_START});
}

/* What an operator does, or a clock. */
static void
anything_else(struct fix *f, uint64_t *rng)
{
    static const enum rk_event_type types[] = {RK_EV_ROTATE, RK_EV_TICK, RK_EV_ADOPT};

    if (rnd(rng, f->e.state == RK_ST_STAGED ? 2 : 40) == 0) /* a key grows old */
        f->now_ns += 4 * INTERVAL;
    take(f, (struct rk_event){.type = types[rnd(rng, 3)]});
}

static void
check(const struct fix *f, uint64_t seq, enum rk_act act)
{
    char text[1024];
    struct rk_record r;

    assert_true(f->e.d.seq >= seq && f->e.d.seq <= RK_SEQ_MAX);
    assert_true(f->todo.act == RK_ACT_NONE || act == RK_ACT_NONE); /* one at a time */
    assert_false(f->todo.publish && f->todo.act == RK_ACT_JOURNAL);
    rk_end_record(&f->e, &r);
    assert_true(r.say <= RK_SAY_LOST);
    (void)rk_end_alarms(&f->e, f->now_ns);
    rk_end_explain(&f->e, f->now_ns, text, sizeof text);
    assert_true(strlen(text) > 40 && text[strlen(text) - 1] == '.');
}

static void
walk(uint64_t seed)
{
    uint64_t rng = seed, seq = 4;
    enum rk_act act = RK_ACT_NONE;
    struct fix f;

    start(&f, &rng);
    for (int i = 0; i < STEPS; i++) {
        act = f.todo.act != RK_ACT_NONE ? f.todo.act : act;
        if (act == RK_ACT_NONE && f.e.wake_ns == RK_NEVER)
            fail_msg("seed %llu: waits for nothing in %s", (unsigned long long)seed, rk_state_name(f.e.state));
        if (act != RK_ACT_NONE && rnd(&rng, 4)) {
            enum rk_act answered = act;

            act = RK_ACT_NONE;
            f.now_ns += (int64_t)rnd(&rng, 3) * S;
            any_answer(&f, answered, &rng);
        } else if (act == RK_ACT_NONE && rnd(&rng, 2)) {
            f.now_ns = f.e.wake_ns > f.now_ns ? f.e.wake_ns : f.now_ns;
            take(&f, (struct rk_event){.type = RK_EV_TICK});
            assert_true(f.todo.act != RK_ACT_NONE || f.e.wake_ns > f.now_ns);
        } else if (rnd(&rng, 8) == 0) {
            anything_else(&f, &rng);
        } else {
            if (rnd(&rng, 20) == 0) /* a tick is late */
                f.now_ns += f.e.state == RK_ST_STAGED ? 4 * INTERVAL : INTERVAL;
            rnd(&rng, 2) ? any_record(&f, &rng) : likely_record(&f, &rng);
        }
        check(&f, seq, act);
        seq = f.e.d.seq;
    }
}

static void
each_arrow_is_taken(void **state)
{
    const char *few = getenv("REKEY_WALKS");
    uint64_t walks = few ? strtoull(few, NULL, 10) : WALKS;
    unsigned arrows_taken = 0, missing = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= walks; seed++)
        walk(seed);
    if (walks < WALKS)
        return;
    for (int from = 0; from < RK_ST_COUNT; from++)
        for (int ev = 0; ev < RK_EV_COUNT; ev++)
            for (int to = 0; to < RK_ST_COUNT; to++) {
                bool in_table = rk_arrow((enum rk_state)from, (enum rk_event_type)ev, (enum rk_state)to);

                arrows_taken += taken[from][ev][to];
                if (in_table && !taken[from][ev][to])
                    fprintf(stderr, "# never taken: %s(%d) %s -> %s(%d) %u\n", rk_state_name((enum rk_state)from), from,
                            rk_event_name((enum rk_event_type)ev), rk_state_name((enum rk_state)to), to, ++missing);
            }
    fprintf(stderr, "# %u arrows, each taken\n", arrows_taken);
    assert_int_equal(missing, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_arrow_is_taken)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
