/* model_rig.c - see model_rig.h. */
#include "model_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* The slot of which second 1000 is a time to begin a rotation, and a time to look at the device. */
#define ON_SECOND_1000 UINT64_C(0x7f59de6c58e5e928)

void
fresh(struct fix *f, uint32_t role)
{
    struct rk_durable d = {.link = "a-b-1", .end = 'a', .role = role, .seq = 4, .floor = 4, .cur_seq = 4, .cur = "k4",
                           .cur_since = {1000}};

    memset(f, 0, sizeof *f);
    rk_end_init(&f->e, &d);
    f->e.own_sae = role == M ? "SAE_A" : "SAE_B";
    f->e.peer_sae = role == M ? "SAE_B" : "SAE_A";
    f->e.interval_ns = INTERVAL;
    f->e.drain_ns = DRAIN;
    f->e.verify_ns = VERIFY;
    f->e.slot = ON_SECOND_1000;
    f->now_ns = 1000 * S;
}

void
step(struct fix *f, struct rk_event ev)
{
    ev.wall.unix_ms = f->now_ns / MS;
    rk_end_step(&f->e, &ev, f->now_ns, &f->todo);
}

void
happens(struct fix *f, enum rk_event_type type)
{
    step(f, (struct rk_event){.type = type, .mine = f->e.d.role == M ? TAG_M : TAG_S,
                              .theirs = f->e.d.role == M ? TAG_S : TAG_M, .key_id = "k5"});
}

void
fails(struct fix *f, int err)
{
    step(f, (struct rk_event){.type = RK_EV_FAILED, .err = err, .why = "test"});
}

void
sees(struct fix *f, uint32_t cur, uint32_t cand)
{
    struct rk_seen seen = {.state = RK_IF_PRESENT | RK_IF_UP | RK_IF_PROTECTED, .cur = cur, .cand = cand,
                           .facts = "sci=a", .why = ""};

    step(f, (struct rk_event){.type = RK_EV_OBSERVED, .seen = &seen});
}

struct rk_record
record(uint32_t role, uint32_t say, uint64_t seq, const char *key)
{
    struct rk_record r = {.link = "a-b-1", .role = role, .say = say, .term = 1, .seq = seq, .facts = "sci=b"};

    snprintf(r.key, sizeof r.key, "%s", key);
    if (say == RK_SAY_STAGED)
        strcpy(r.confirm, TAG_S);
    return r;
}

void
hears(struct fix *f, struct rk_record r)
{
    step(f, (struct rk_event){.type = RK_EV_PEER, .record = &r});
}

void
tick_at(struct fix *f, int64_t at_ns)
{
    f->now_ns = at_ns;
    happens(f, RK_EV_TICK);
}

void
due(struct fix *f)
{
    tick_at(f, f->now_ns > f->e.due_ns ? f->now_ns : f->e.due_ns);
}

void
shown(struct fix *f, struct look look)
{
    const char *facts = f->e.class == RK_CLASS_A ? "sci=a" : f->e.class == RK_CLASS_D ? "clk=20" : "";
    struct rk_seen seen = {.state = RK_IF_PRESENT | RK_IF_UP | RK_IF_PROTECTED | look.state, .cur = look.cur,
                           .prev = look.prev, .cand = look.cand, .peer = look.peer, .foreign = look.foreign,
                           .facts = look.facts ? look.facts : facts, .why = ""};

    assert_int_equal(f->e.state, RK_ST_OBSERVE);
    assert_false(f->e.retrying);
    step(f, (struct rk_event){.type = RK_EV_OBSERVED, .seen = &seen});
}

struct rk_record
peer_says(const struct fix *f, uint32_t say, uint64_t seq, const char *key)
{
    struct rk_record r = record(f->e.d.role == M ? SL : M, say, seq, key);

    strcpy(r.facts, f->e.class == RK_CLASS_A ? "sci=b" : f->e.class == RK_CLASS_E ? "" : "c=C");
    if (say == RK_SAY_OFFER || say == RK_SAY_STAGED)
        strcpy(r.prev, f->e.d.cur);
    return r;
}

static void
begin_alone(struct fix *f, uint32_t class, uint32_t role)
{
    struct rk_durable *d = &f->e.d;
    bool cak = class != RK_CLASS_A;

    fresh(f, role);
    f->old_key = "k3";
    f->key = "k4";
    f->new_key = "k5";
    f->e.class = class;
    f->e.lead_ns = LEAD;
    f->e.shut_after_ns = 6 * INTERVAL;
    d->cur_since.unix_ms = f->now_ns / MS - 30000;
    strcpy(d->prev, cak ? f->old_key : "");
    d->prev_seq = cak ? 3 : 0;
    happens(f, RK_EV_START);
}

void
alone(struct fix *f, uint32_t class, uint32_t role)
{
    begin_alone(f, class, role);
    shown(f, (struct look){.cur = IN_USE, .prev = class == RK_CLASS_A ? 0 : BOTH});
    f->e.due_ns = f->now_ns + 45 * S;
}

void
ready(struct fix *f, uint32_t class, uint32_t role)
{
    alone(f, class, role);
    if (class != RK_CLASS_E)
        hears(f, peer_says(f, RK_SAY_ACTIVE, 4, f->key));
    assert_int_equal(f->e.state, RK_ST_IDLE);
}

void
ready_with_letters(struct fix *f, uint32_t class, uint32_t role)
{
    begin_alone(f, class, role);
    f->old_key = "3";
    f->key = "4";
    f->new_key = "5";
    strcpy(f->e.d.cur, f->key);
    strcpy(f->e.d.prev, class == RK_CLASS_A ? "" : f->old_key);
    shown(f, (struct look){.cur = IN_USE, .prev = class == RK_CLASS_A ? 0 : BOTH});
    f->e.due_ns = f->now_ns + 45 * S;
    if (class != RK_CLASS_E)
        hears(f, peer_says(f, RK_SAY_ACTIVE, 4, f->key));
    assert_int_equal(f->e.state, RK_ST_IDLE);
}

static void
looks_well(struct fix *f)
{
    bool cak = f->e.class != RK_CLASS_A, one_way = f->e.class == RK_CLASS_E;

    switch (f->e.d.phase) {
    case RK_PH_STAGED: /* a one-way peer is not heard: that it uses the key is seen, the second time */
        shown(f, (struct look){.cur = IN_USE, .cand = one_way && f->e.give_up_ns != RK_NEVER ? IN_USE : BOTH});
        break;
    case RK_PH_ACTIVATING:
        shown(f, (struct look){.cur = BOTH, .cand = cak ? IN_USE : USED});
        break;
    default:
        shown(f, (struct look){.cur = IN_USE, .prev = cak && f->e.d.prev[0] ? BOTH : 0});
        break;
    }
}

static void
peer_goes_along(struct fix *f)
{
    bool master = f->e.d.role == M;
    uint32_t say = f->e.state == RK_ST_IDLE ? RK_SAY_OFFER : f->e.state == RK_ST_STAGED && master ? RK_SAY_STAGED
                                                                                             : RK_SAY_ACTIVE;

    hears(f, peer_says(f, say, f->e.d.seq + (say == RK_SAY_OFFER), f->new_key));
}

void
goes_well(struct fix *f)
{
    if (f->e.state == RK_ST_OBSERVE)
        looks_well(f);
    else if (f->todo.act == RK_ACT_GET_NEW || f->todo.act == RK_ACT_GET_BY_ID)
        step(f, (struct rk_event){.type = RK_EV_KEY, .key_id = f->new_key});
    else if (f->todo.act != RK_ACT_NONE)
        happens(f, RK_EV_DONE);
    else if (f->e.state == RK_ST_DRAIN || (f->e.state == RK_ST_STAGED && f->e.class == RK_CLASS_E))
        tick_at(f, f->e.wake_ns);
    else if (f->e.state == RK_ST_IDLE && f->e.d.role == M)
        due(f);
    else
        peer_goes_along(f);
}

void
goes_to(struct fix *f, enum rk_state state)
{
    for (int i = 0; i < 40; i++) {
        goes_well(f);
        if (f->e.state == state)
            return;
    }
    fail_msg("%s is not reached", rk_state_name(state));
}

void
do_how(struct fix *f, enum how how)
{
    switch (how) {
    case H_OBSERVED:
        sees(f, USED, 0);
        break;
    case H_DUE:
        hears(f, record(SL, RK_SAY_ACTIVE, 4, "k4"));
        assert_int_equal(f->e.state, RK_ST_IDLE);
        due(f);
        break;
    case H_DONE:
        happens(f, RK_EV_DONE);
        break;
    case H_STAGED_SEEN: /* what the peer is told of is read back first */
    case H_ACTIVE_SEEN:
        happens(f, RK_EV_DONE);
        assert_int_equal(f->todo.act, RK_ACT_OBSERVE);
        assert_false(f->todo.publish);
        sees(f, how == H_STAGED_SEEN ? USED : BOTH, how == H_STAGED_SEEN ? BOTH : USED);
        break;
    case H_KEY:
        happens(f, RK_EV_KEY);
        break;
    case H_DRAINED:
        tick_at(f, f->now_ns + DRAIN - 1);
        assert_int_equal(f->e.state, RK_ST_DRAIN); /* not a moment earlier */
        tick_at(f, f->now_ns + 1);
        break;
    case H_OFFER:
        hears(f, record(M, RK_SAY_OFFER, 5, "k5"));
        break;
    case H_STAGED:
        hears(f, record(SL, RK_SAY_STAGED, 5, "k5"));
        break;
    case H_NACK:
        hears(f, record(SL, RK_SAY_NACK, 5, "k4"));
        break;
    case H_ACTIVE:
        hears(f, record(f->e.d.role == M ? SL : M, RK_SAY_ACTIVE, 5, "k5"));
        break;
    case H_WITHDRAWN:
        hears(f, record(M, RK_SAY_WITHDRAWN, 5, "k4"));
        break;
    case H_GONE_SEEN: /* what is to be gone is looked for */
    case H_SWEPT_SEEN:
        happens(f, RK_EV_DONE);
        assert_int_equal(f->todo.act, RK_ACT_OBSERVE);
        sees(f, USED, 0);
        break;
    case H_TOO_OLD:
        f->e.on_stale = RK_STALE_SHUT;
        f->e.shut_after_ns = 6 * INTERVAL;
        f->e.cur_since_ns = f->now_ns;
        f->e.verify_at_ns = RK_NEVER;
        tick_at(f, f->now_ns + 6 * INTERVAL);
        break;
    case H_SHUT_SEEN:
        happens(f, RK_EV_DONE);
        assert_int_equal(f->todo.act, RK_ACT_OBSERVE);
        sees(f, BOTH, 0);
        break;
    case H_ADOPT:
        happens(f, RK_EV_ADOPT);
        break;
    case H_ADOPTED: /* an operator gives up the other keys, and both ends use ours */
        hears(f, record(f->e.d.role == M ? SL : M, RK_SAY_ACTIVE, 4, "k4"));
        happens(f, RK_EV_ADOPT);
        assert_int_equal(f->e.state, RK_ST_J_IDLE);
        happens(f, RK_EV_DONE);
        break;
    }
}

const struct arrow arrows[] = {
    /* the master's way; each arrow starts where one above it ends */
    {M, RK_ST_OBSERVE, H_OBSERVED, RK_ST_IDLE, RK_ACT_NONE, RK_PH_IDLE, RK_SAY_ACTIVE, "", NULL},
    {M, RK_ST_IDLE, H_DUE, RK_ST_J_INTENT, RK_ACT_JOURNAL, RK_PH_INTENT, NOT_SAID, "", "begin"},
    {M, RK_ST_J_INTENT, H_DONE, RK_ST_FETCH, RK_ACT_GET_NEW, RK_PH_INTENT, NOT_SAID, "", NULL},
    {M, RK_ST_FETCH, H_KEY, RK_ST_J_FETCHED, RK_ACT_JOURNAL, RK_PH_FETCHED, NOT_SAID, "", NULL},
    {M, RK_ST_J_FETCHED, H_DONE, RK_ST_STAGE, RK_ACT_STAGE, RK_PH_FETCHED, NOT_SAID, "k5", NULL},
    {M, RK_ST_STAGE, H_DONE, RK_ST_J_STAGED, RK_ACT_JOURNAL, RK_PH_STAGED, NOT_SAID, "", "staged"},
    {M, RK_ST_J_STAGED, H_STAGED_SEEN, RK_ST_STAGED, RK_ACT_NONE, RK_PH_STAGED, RK_SAY_OFFER, "", NULL},
    {M, RK_ST_STAGED, H_STAGED, RK_ST_J_ACTIVATING, RK_ACT_JOURNAL, RK_PH_ACTIVATING, NOT_SAID, "", NULL},
    {M, RK_ST_J_ACTIVATING, H_DONE, RK_ST_ACTIVATE, RK_ACT_ACTIVATE, RK_PH_ACTIVATING, NOT_SAID, "k5", NULL},
    {M, RK_ST_ACTIVATE, H_ACTIVE_SEEN, RK_ST_J_ACTIVE, RK_ACT_JOURNAL, RK_PH_ACTIVE, NOT_SAID, "", "activated"},
    {M, RK_ST_J_ACTIVE, H_DONE, RK_ST_ACTIVE, RK_ACT_NONE, RK_PH_ACTIVE, RK_SAY_ACTIVE, "", NULL},
    {M, RK_ST_ACTIVE, H_ACTIVE, RK_ST_DRAIN, RK_ACT_NONE, RK_PH_ACTIVE, NOT_SAID, "", NULL},
    {M, RK_ST_DRAIN, H_DRAINED, RK_ST_RETIRE, RK_ACT_RETIRE, RK_PH_ACTIVE, NOT_SAID, "k4", NULL},
    {M, RK_ST_RETIRE, H_GONE_SEEN, RK_ST_J_IDLE, RK_ACT_JOURNAL, RK_PH_IDLE, NOT_SAID, "", "rotated"},
    {M, RK_ST_J_IDLE, H_DONE, RK_ST_IDLE, RK_ACT_NONE, RK_PH_IDLE, RK_SAY_ACTIVE, "", NULL},
    /* given up */
    {M, RK_ST_STAGED, H_NACK, RK_ST_J_BURNING, RK_ACT_JOURNAL, RK_PH_BURNING, NOT_SAID, "", "burnt"},
    {M, RK_ST_J_BURNING, H_DONE, RK_ST_UNSTAGE, RK_ACT_RETIRE, RK_PH_BURNING, NOT_SAID, "k5", NULL},
    {M, RK_ST_UNSTAGE, H_GONE_SEEN, RK_ST_J_BURNT, RK_ACT_JOURNAL, RK_PH_IDLE, NOT_SAID, "", NULL},
    {M, RK_ST_J_BURNT, H_DONE, RK_ST_IDLE, RK_ACT_NONE, RK_PH_IDLE, RK_SAY_WITHDRAWN, "", NULL},
    /* a slave that did not follow */
    {M, RK_ST_ACTIVE, H_NACK, RK_ST_DRAIN, RK_ACT_NONE, RK_PH_ACTIVE, NOT_SAID, "", NULL},
    /* policy and operators */
    {M, RK_ST_IDLE, H_TOO_OLD, RK_ST_J_SHUT, RK_ACT_JOURNAL, RK_PH_IDLE, NOT_SAID, "", "shut"},
    {M, RK_ST_J_SHUT, H_DONE, RK_ST_SHUT, RK_ACT_SHUT, RK_PH_IDLE, NOT_SAID, "k4", NULL},
    {M, RK_ST_SHUT, H_SHUT_SEEN, RK_ST_J_IDLE, RK_ACT_JOURNAL, RK_PH_IDLE, NOT_SAID, "", "lost"},
    {M, RK_ST_IDLE, H_ADOPT, RK_ST_J_IDLE, RK_ACT_JOURNAL, RK_PH_IDLE, NOT_SAID, "", "adopt"},
    {M, RK_ST_IDLE, H_ADOPTED, RK_ST_SWEEP, RK_ACT_SWEEP, RK_PH_IDLE, RK_SAY_ACTIVE, "k4", NULL},
    {M, RK_ST_SWEEP, H_SWEPT_SEEN, RK_ST_J_IDLE, RK_ACT_JOURNAL, RK_PH_IDLE, NOT_SAID, "", "swept"},
    /* the slave's way */
    {SL, RK_ST_OBSERVE, H_OBSERVED, RK_ST_IDLE, RK_ACT_NONE, RK_PH_IDLE, RK_SAY_ACTIVE, "", NULL},
    {SL, RK_ST_IDLE, H_OFFER, RK_ST_J_INTENT, RK_ACT_JOURNAL, RK_PH_INTENT, NOT_SAID, "", "begin"},
    {SL, RK_ST_J_INTENT, H_DONE, RK_ST_FETCH, RK_ACT_GET_BY_ID, RK_PH_INTENT, NOT_SAID, "k5", NULL},
    {SL, RK_ST_FETCH, H_KEY, RK_ST_STAGE, RK_ACT_STAGE, RK_PH_INTENT, NOT_SAID, "k5", NULL},
    {SL, RK_ST_STAGE, H_DONE, RK_ST_J_STAGED, RK_ACT_JOURNAL, RK_PH_STAGED, NOT_SAID, "", "staged"},
    {SL, RK_ST_J_STAGED, H_STAGED_SEEN, RK_ST_STAGED, RK_ACT_NONE, RK_PH_STAGED, RK_SAY_STAGED, "", NULL},
    {SL, RK_ST_STAGED, H_ACTIVE, RK_ST_J_ACTIVATING, RK_ACT_JOURNAL, RK_PH_ACTIVATING, NOT_SAID, "", NULL},
    {SL, RK_ST_J_ACTIVATING, H_DONE, RK_ST_ACTIVATE, RK_ACT_ACTIVATE, RK_PH_ACTIVATING, NOT_SAID, "k5", NULL},
    {SL, RK_ST_ACTIVATE, H_ACTIVE_SEEN, RK_ST_J_ACTIVE, RK_ACT_JOURNAL, RK_PH_ACTIVE, NOT_SAID, "", "activated"},
    {SL, RK_ST_J_ACTIVE, H_DONE, RK_ST_DRAIN, RK_ACT_NONE, RK_PH_ACTIVE, NOT_SAID, "", NULL},
    {SL, RK_ST_DRAIN, H_DRAINED, RK_ST_RETIRE, RK_ACT_RETIRE, RK_PH_ACTIVE, NOT_SAID, "k4", NULL},
    {SL, RK_ST_RETIRE, H_GONE_SEEN, RK_ST_J_IDLE, RK_ACT_JOURNAL, RK_PH_IDLE, NOT_SAID, "", "rotated"},
    {SL, RK_ST_J_IDLE, H_DONE, RK_ST_IDLE, RK_ACT_NONE, RK_PH_IDLE, RK_SAY_ACTIVE, "", NULL},
    {SL, RK_ST_STAGED, H_WITHDRAWN, RK_ST_J_BURNING, RK_ACT_JOURNAL, RK_PH_BURNING, NOT_SAID, "", "burnt"},
    {SL, RK_ST_J_BURNING, H_DONE, RK_ST_UNSTAGE, RK_ACT_RETIRE, RK_PH_BURNING, NOT_SAID, "k5", NULL},
    {SL, RK_ST_UNSTAGE, H_GONE_SEEN, RK_ST_J_BURNT, RK_ACT_JOURNAL, RK_PH_IDLE, NOT_SAID, "", NULL},
    {SL, RK_ST_J_BURNT, H_DONE, RK_ST_IDLE, RK_ACT_NONE, RK_PH_IDLE, RK_SAY_NACK, "", NULL},
    {SL, RK_ST_IDLE, H_TOO_OLD, RK_ST_J_SHUT, RK_ACT_JOURNAL, RK_PH_IDLE, NOT_SAID, "", "shut"},
    {SL, RK_ST_J_SHUT, H_DONE, RK_ST_SHUT, RK_ACT_SHUT, RK_PH_IDLE, NOT_SAID, "k4", NULL},
    {SL, RK_ST_SHUT, H_SHUT_SEEN, RK_ST_J_IDLE, RK_ACT_JOURNAL, RK_PH_IDLE, NOT_SAID, "", "lost"},
    {SL, RK_ST_IDLE, H_ADOPT, RK_ST_J_IDLE, RK_ACT_JOURNAL, RK_PH_IDLE, NOT_SAID, "", "adopt"},
    {SL, RK_ST_IDLE, H_ADOPTED, RK_ST_SWEEP, RK_ACT_SWEEP, RK_PH_IDLE, RK_SAY_ACTIVE, "k4", NULL},
    {SL, RK_ST_SWEEP, H_SWEPT_SEEN, RK_ST_J_IDLE, RK_ACT_JOURNAL, RK_PH_IDLE, NOT_SAID, "", "swept"},
};

const size_t n_arrows = sizeof arrows / sizeof *arrows;

void
bring(struct fix *f, uint32_t role, enum rk_state state)
{
    if (state == RK_ST_OBSERVE) {
        fresh(f, role);
        happens(f, RK_EV_START);
        return;
    }
    for (size_t i = 0; i < n_arrows; i++)
        if (arrows[i].role == role && arrows[i].to == state) {
            bring(f, role, arrows[i].from);
            do_how(f, arrows[i].how);
            assert_int_equal(f->e.state, state);
            return;
        }
    fail_msg("no arrow leads to %s", rk_state_name(state));
}

void
assert_paused(struct fix *f, enum rk_state state)
{
    enum rk_act none = f->todo.act;

    assert_int_equal(none, RK_ACT_NONE);
    assert_int_equal(f->e.state, state);
    assert_false(rk_end_waits(&f->e));
    assert_true(f->e.wake_ns > f->now_ns && f->e.wake_ns <= f->now_ns + INTERVAL / 2);
    tick_at(f, f->e.wake_ns - 1);
    assert_int_equal(f->todo.act, RK_ACT_NONE);
    tick_at(f, f->e.wake_ns);
    assert_int_not_equal(f->todo.act, RK_ACT_NONE);
    assert_int_equal(f->e.state, state);
}
