/* model_end_test.c - one end of a link, arrow by arrow: each event in each state, each class of failure of each action,
 * what a restart makes of each phase; and that no end ever waits for nothing. */
#include "model_rig.h"

#include "core/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void
each_arrow(void **state)
{
    struct fix f;

    (void)state;
    for (const struct arrow *a = arrows; a < arrows + n_arrows; a++) {
        struct rk_record r;

        bring(&f, a->role, a->from);
        do_how(&f, a->how);
        if (f.e.state != a->to || f.todo.act != a->act || f.e.d.phase != a->phase ||
            f.todo.publish != (a->say != NOT_SAID))
            fail_msg("%s %s/%d: %s act=%d phase=%u publish=%d", a->role == M ? "master" : "slave",
                     rk_state_name(a->from), a->how, rk_state_name(f.e.state), f.todo.act, f.e.d.phase,
                     f.todo.publish);
        assert_string_equal(f.todo.key_id, a->key);
        assert_string_equal(f.todo.note ? f.todo.note : "-", a->note ? a->note : "-");
        assert_int_equal(rk_end_waits(&f.e), a->to == RK_ST_IDLE || a->to == RK_ST_STAGED || a->to == RK_ST_ACTIVE);
        assert_true(f.todo.act != RK_ACT_NONE || f.e.wake_ns != RK_NEVER);
        assert_int_equal(rk_end_unsaved(&f.e), f.todo.act == RK_ACT_JOURNAL);
        rk_end_record(&f.e, &r);
        if (a->say != NOT_SAID)
            assert_int_equal(r.say, a->say);
    }
}

/* Every state is on the table: with its action, and with the event that answers it. */
static void
all_states(void **state)
{
    unsigned from = 0, to = 0;

    (void)state;
    for (size_t i = 0; i < n_arrows; i++) {
        from |= 1u << arrows[i].from;
        to |= 1u << arrows[i].to;
    }
    assert_int_equal(from, (1u << RK_ST_COUNT) - 1);
    assert_int_equal(to | 1u << RK_ST_OBSERVE, (1u << RK_ST_COUNT) - 1);
}

/* A peer's record in every state: it is kept, and answered only by an end that waits. */
static void
record_in_every_state(void **state)
{
    struct fix f;

    (void)state;
    for (uint32_t role = M; role <= SL; role++)
        for (int st = 0; st < RK_ST_COUNT; st++) {
            bool none = role == SL && (st == RK_ST_J_FETCHED || st == RK_ST_ACTIVE); /* only a master is there */
            bool waits;

            if (none)
                continue;
            bring(&f, role, (enum rk_state)st);
            waits = rk_end_waits(&f.e);
            hears(&f, record(role == M ? SL : M, RK_SAY_LOST, 9, ""));
            assert_int_equal(f.e.peer.seq, 9);
            if (!waits) {
                assert_int_equal(f.e.state, st);
                assert_int_equal(f.todo.act, RK_ACT_NONE);
                assert_false(f.todo.publish);
            }
        }
}

/* ---- failures ---- */

enum then { RETRIES, LOOKS, LOOKS_LATER, BURNS, BURNS_UNSEEN, LEAVES };

static const struct {
    enum rk_state state;
    enum then retry, unknown, config, supply, bug, nokey, conflict;
} failures[] = {
    {RK_ST_OBSERVE, RETRIES, RETRIES, RETRIES, RETRIES, RETRIES, RETRIES, RETRIES},
    {RK_ST_J_INTENT, RETRIES, RETRIES, RETRIES, RETRIES, RETRIES, RETRIES, RETRIES},
    {RK_ST_J_FETCHED, RETRIES, RETRIES, RETRIES, RETRIES, RETRIES, RETRIES, RETRIES},
    {RK_ST_J_STAGED, RETRIES, RETRIES, RETRIES, RETRIES, RETRIES, RETRIES, RETRIES},
    {RK_ST_J_ACTIVATING, RETRIES, RETRIES, RETRIES, RETRIES, RETRIES, RETRIES, RETRIES},
    {RK_ST_J_ACTIVE, RETRIES, RETRIES, RETRIES, RETRIES, RETRIES, RETRIES, RETRIES},
    {RK_ST_J_IDLE, RETRIES, RETRIES, RETRIES, RETRIES, RETRIES, RETRIES, RETRIES},
    {RK_ST_J_BURNING, RETRIES, RETRIES, RETRIES, RETRIES, RETRIES, RETRIES, RETRIES},
    {RK_ST_J_BURNT, RETRIES, RETRIES, RETRIES, RETRIES, RETRIES, RETRIES, RETRIES},
    {RK_ST_FETCH, BURNS_UNSEEN, BURNS_UNSEEN, BURNS_UNSEEN, BURNS_UNSEEN, BURNS_UNSEEN, BURNS_UNSEEN, BURNS_UNSEEN},
    {RK_ST_STAGE, BURNS, LOOKS, BURNS, BURNS, BURNS, BURNS, BURNS},
    {RK_ST_ACTIVATE, RETRIES, LOOKS_LATER, RETRIES, RETRIES, RETRIES, LOOKS_LATER, LOOKS_LATER},
    {RK_ST_RETIRE, RETRIES, LOOKS_LATER, RETRIES, RETRIES, RETRIES, LOOKS_LATER, LOOKS_LATER},
    {RK_ST_UNSTAGE, RETRIES, LOOKS_LATER, RETRIES, RETRIES, RETRIES, LOOKS_LATER, LOOKS_LATER},
    {RK_ST_J_SHUT, RETRIES, RETRIES, RETRIES, RETRIES, RETRIES, RETRIES, RETRIES},
    {RK_ST_SHUT, LOOKS_LATER, LOOKS_LATER, LEAVES, LOOKS_LATER, LEAVES, LEAVES, LEAVES},
    {RK_ST_SWEEP, LOOKS_LATER, LOOKS_LATER, LEAVES, LOOKS_LATER, LEAVES, LEAVES, LEAVES},
};

static void
one_failure(uint32_t role, enum rk_state st, int err, enum then then)
{
    struct fix f;

    bring(&f, role, st);
    fails(&f, err);
    assert_int_equal(f.e.last_err, err);
    switch (then) {
    case RETRIES:
        assert_paused(&f, st);
        break;
    case LOOKS_LATER:
        assert_paused(&f, RK_ST_OBSERVE);
        break;
    case LOOKS:
        assert_int_equal(f.e.state, RK_ST_OBSERVE);
        assert_int_equal(f.todo.act, RK_ACT_OBSERVE);
        break;
    case BURNS:
        assert_int_equal(f.e.state, RK_ST_J_BURNING);
        break;
    case LEAVES: /* the device cannot: it is not asked again */
        assert_int_equal(f.e.state, RK_ST_J_IDLE);
        assert_int_equal(f.e.d.flags & (RK_DF_SHUT | RK_DF_SWEEP), 0);
        break;
    case BURNS_UNSEEN:
        assert_int_equal(f.e.state, RK_ST_J_BURNT);
        assert_string_equal(f.e.d.cand, "");
        break;
    }
    if (st == RK_ST_STAGE || st == RK_ST_FETCH)
        assert_true(f.todo.drop_key);
    assert_true(rk_end_alarms(&f.e, f.now_ns) &
                (RK_ALARM_JOURNAL | RK_ALARM_DEVICE | RK_ALARM_SOURCE | RK_ALARM_SOURCE_DRY));
}

static void
each_failure(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        enum rk_state st = failures[i].state;

        for (uint32_t role = M; role <= SL; role++) {
            if (role == SL && (st == RK_ST_FETCH || st == RK_ST_J_FETCHED))
                continue;
            one_failure(role, st, RK_E_BUSY, failures[i].retry);
            one_failure(role, st, RK_E_IO, failures[i].retry);
            one_failure(role, st, RK_E_UNKNOWN, failures[i].unknown);
            one_failure(role, st, RK_E_REJECTED, failures[i].config);
            one_failure(role, st, RK_E_EMPTY, failures[i].supply);
            one_failure(role, st, RK_E_CONTRACT, failures[i].bug);
            one_failure(role, st, RK_E_NOKEY, failures[i].nokey);
            one_failure(role, st, RK_E_CONFLICT, failures[i].conflict);
        }
    }
}

/* A slave asks three times when it may help, then says no; a key that is gone is gone. */
static void
slave_fetch(void **state)
{
    static const struct {
        int err, asked;
    } rows[] = {{RK_E_UNREACHABLE, 3}, {RK_E_UNKNOWN, 3}, {RK_E_KEY_GONE, 1}, {RK_E_AUTH, 1}, {RK_E_PROTOCOL, 1}};
    struct fix f;
    struct rk_record r;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int asked = 1;

        bring(&f, SL, RK_ST_FETCH);
        for (fails(&f, rows[i].err); f.e.state == RK_ST_FETCH; fails(&f, rows[i].err), asked++)
            assert_paused(&f, RK_ST_FETCH);
        assert_int_equal(asked, rows[i].asked);
        assert_int_equal(f.e.state, RK_ST_J_BURNT);
        assert_false(f.todo.publish);
        happens(&f, RK_EV_DONE);
        assert_true(f.todo.publish);
        rk_end_record(&f.e, &r);
        assert_int_equal(r.say, RK_SAY_NACK);
        assert_int_equal(r.seq, 5);
        assert_string_equal(r.confirm, rk_err_name(rows[i].err));
    }
}

/* An answer that never came may have taken a key out of the pool: it is counted, and never asked for again. */
static void
master_orphan(void **state)
{
    struct fix f;

    (void)state;
    bring(&f, M, RK_ST_FETCH);
    fails(&f, RK_E_UNKNOWN);
    assert_int_equal(f.e.orphaned, 1);
    happens(&f, RK_EV_DONE);
    assert_int_equal(f.e.state, RK_ST_IDLE);
    due(&f);
    assert_int_equal(f.e.d.seq, 6);
}

/* So is one that was asked for when the process died. */
static void
orphan_after_restart(void **state)
{
    struct fix f;

    (void)state;
    for (uint32_t role = M; role <= SL; role++) {
        bring(&f, role, RK_ST_OBSERVE);
        f.e.d.phase = RK_PH_INTENT;
        f.e.d.seq = f.e.d.floor = 5;
        sees(&f, USED, 0);
        assert_int_equal(f.e.orphaned, role == M);
    }
}

/* A key that was staged, and the reply never seen: the master goes on with it when the device holds it. */
static void
stage_reply_unseen(void **state)
{
    static const struct {
        uint32_t held;
        enum rk_state then;
    } rows[] = {{BOTH, RK_ST_J_STAGED}, {RK_HELD_RX, RK_ST_J_BURNING}, {0, RK_ST_J_BURNING}};
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bring(&f, M, RK_ST_STAGE);
        fails(&f, RK_E_UNKNOWN);
        assert_true(f.todo.drop_key);
        sees(&f, USED, rows[i].held);
        assert_int_equal(f.e.state, rows[i].then);
    }
    bring(&f, M, RK_ST_STAGE);
    fails(&f, RK_E_UNKNOWN);
    sees(&f, USED, BOTH);
    happens(&f, RK_EV_DONE);
    sees(&f, USED, BOTH);
    assert_int_equal(f.e.state, RK_ST_STAGED);
    hears(&f, record(SL, RK_SAY_STAGED, 5, "k5"));
    assert_int_equal(f.e.state, RK_ST_J_ACTIVATING); /* its tag was known before the key was staged */
    bring(&f, SL, RK_ST_STAGE); /* a slave has nothing to show */
    fails(&f, RK_E_UNKNOWN);
    sees(&f, USED, BOTH);
    assert_int_equal(f.e.state, RK_ST_J_BURNING);
}

/* A key ID that comes again, from the source or from the peer, is refused: also long after it left use. */
static void
key_id_comes_again(void **state)
{
    struct fix f;

    (void)state;
    bring(&f, M, RK_ST_FETCH);
    for (unsigned i = 0; i < RK_USED_KEYS; i++) {
        struct rk_event key = {.type = RK_EV_KEY, .key_id = "k5"};
        char id[16];

        if (i > 0) {
            step(&f, key);
            assert_int_equal(f.e.last_err, RK_E_PROTOCOL);
            assert_int_equal(f.e.state, RK_ST_J_BURNT);
            happens(&f, RK_EV_DONE);
            due(&f);
            happens(&f, RK_EV_DONE);
        }
        snprintf(id, sizeof id, i ? "key-%u" : "k5", i);
        key.key_id = id;
        step(&f, key);
        assert_int_equal(f.e.state, RK_ST_J_FETCHED);
        happens(&f, RK_EV_DONE);
        fails(&f, RK_E_BUSY);
        happens(&f, RK_EV_DONE);
        happens(&f, RK_EV_DONE);
        sees(&f, USED, 0);
        happens(&f, RK_EV_DONE);
        due(&f);
        happens(&f, RK_EV_DONE);
        assert_int_equal(f.e.state, RK_ST_FETCH);
    }
    bring(&f, SL, RK_ST_J_INTENT);
    happens(&f, RK_EV_DONE);
    fails(&f, RK_E_KEY_GONE);
    happens(&f, RK_EV_DONE);
    hears(&f, record(M, RK_SAY_OFFER, 6, "k5"));
    assert_int_equal(f.e.nack_err, RK_E_PROTOCOL);
}

/* Failing for ever: the pauses grow to at most 37.5 s, and it is asked for ever. */
static void
backoff(void **state)
{
    struct fix f;
    int64_t began_ns;

    (void)state;
    bring(&f, M, RK_ST_FETCH);
    began_ns = f.now_ns;
    for (unsigned i = 1; i <= 1000; i++) {
        assert_int_equal(f.todo.act, RK_ACT_GET_NEW);
        fails(&f, RK_E_EMPTY);
        happens(&f, RK_EV_DONE);
        assert_int_equal(f.e.state, RK_ST_IDLE);
        assert_int_equal(f.e.failures, i);
        assert_true(f.e.due_ns - f.now_ns >= 187 * MS && f.e.due_ns - f.now_ns <= 37500 * MS);
        due(&f);
        happens(&f, RK_EV_DONE);
    }
    assert_true(f.now_ns - began_ns < 1000 * 40 * S);
}

/* The peer is heard all the time. */
static void
goes_on_to(struct fix *f, enum rk_state state, uint32_t cand)
{
    while (f->e.state != state)
        if (f->todo.act == RK_ACT_OBSERVE) {
            sees(f, USED, cand);
        } else if (f->todo.act != RK_ACT_NONE) {
            happens(f, RK_EV_DONE);
        } else {
            hears(f, f->e.peer);
            due(f);
        }
}

/* The slave refuses the key of one rotation. */
static void
refused_once(struct fix *f)
{
    char key[8];

    goes_on_to(f, RK_ST_FETCH, 0);
    snprintf(key, sizeof key, "n%u", (unsigned)f->e.d.seq);
    step(f, (struct rk_event){.type = RK_EV_KEY, .key_id = key, .theirs = TAG_S});
    goes_on_to(f, RK_ST_STAGED, BOTH);
    hears(f, record(SL, RK_SAY_NACK, f->e.d.seq, "k4"));
    goes_on_to(f, RK_ST_IDLE, 0);
}

/* Each try uses up a key: the pauses grow up to an interval, until the slave says that it can take one again. */
static void
costly(void **state)
{
    struct fix f;
    struct rk_record r;

    (void)state;
    ready(&f, RK_CLASS_A, M);
    for (unsigned i = 1; i <= 20; i++) {
        int64_t most_ns = 250 * MS << (i - 1) < INTERVAL && i < 11 ? 250 * MS << (i - 1) : INTERVAL;

        refused_once(&f);
        assert_int_equal(f.e.failures, i);
        assert_true(f.e.due_ns - f.now_ns >= most_ns / 4 * 3 && f.e.due_ns - f.now_ns <= most_ns / 4 * 5);
    }
    r = record(SL, RK_SAY_NACK, f.e.d.seq, "k4");
    hears(&f, r);
    assert_true(f.e.due_ns - f.now_ns >= INTERVAL / 4 * 3);
    strcat(r.facts, ",rekey");
    hears(&f, r);
    assert_true(f.e.due_ns > f.now_ns && f.e.due_ns - f.now_ns <= 37500 * MS); /* and no faster than any failure */
    goes_on_to(&f, RK_ST_FETCH, 0);
    fails(&f, RK_E_EMPTY); /* this one used no key */
    happens(&f, RK_EV_DONE);
    assert_true(f.e.due_ns - f.now_ns <= 37500 * MS);
}

/* ---- restarts ---- */

static const struct {
    uint32_t role, phase, cur, prev, cand;
    enum rk_state state;
    uint32_t phase_then;
    const char *cur_then, *prev_then;
} restarts[] = {
    {M, RK_PH_IDLE, USED, 0, 0, RK_ST_IDLE, RK_PH_IDLE, "k4", ""},
    {M, RK_PH_IDLE, 0, 0, 0, RK_ST_J_IDLE, RK_PH_IDLE, "", ""},
    {M, RK_PH_IDLE, BOTH, 0, 0, RK_ST_J_IDLE, RK_PH_IDLE, "", "k4"},
    {SL, RK_PH_IDLE, RK_HELD_RX, 0, 0, RK_ST_J_IDLE, RK_PH_IDLE, "", "k4"},
    {M, RK_PH_INTENT, USED, 0, 0, RK_ST_J_BURNT, RK_PH_IDLE, "k4", ""},
    {SL, RK_PH_INTENT, USED, 0, 0, RK_ST_J_BURNING, RK_PH_BURNING, "k4", ""},
    {SL, RK_PH_INTENT, USED, 0, BOTH, RK_ST_J_BURNING, RK_PH_BURNING, "k4", ""},
    {M, RK_PH_FETCHED, USED, 0, BOTH, RK_ST_J_BURNING, RK_PH_BURNING, "k4", ""},
    {M, RK_PH_STAGED, USED, 0, BOTH, RK_ST_STAGED, RK_PH_STAGED, "k4", ""},
    {M, RK_PH_STAGED, USED, 0, RK_HELD_RX, RK_ST_J_BURNING, RK_PH_BURNING, "k4", ""},
    {SL, RK_PH_STAGED, USED, 0, 0, RK_ST_J_BURNING, RK_PH_BURNING, "k4", ""},
    {SL, RK_PH_STAGED, 0, 0, 0, RK_ST_J_BURNING, RK_PH_BURNING, "", ""},
    {SL, RK_PH_STAGED, 0, 0, BOTH, RK_ST_J_STAGED, RK_PH_STAGED, "", ""},
    {SL, RK_PH_STAGED, BOTH, 0, BOTH, RK_ST_J_STAGED, RK_PH_STAGED, "", "k4"},
    {M, RK_PH_STAGED, BOTH, 0, USED, RK_ST_J_STAGED, RK_PH_STAGED, "", "k4"},
    {M, RK_PH_ACTIVATING, USED, 0, BOTH, RK_ST_ACTIVATE, RK_PH_ACTIVATING, "k4", ""},
    {M, RK_PH_ACTIVATING, BOTH, 0, USED, RK_ST_J_ACTIVE, RK_PH_ACTIVE, "k5", "k4"},
    {SL, RK_PH_ACTIVATING, BOTH, 0, BOTH, RK_ST_ACTIVATE, RK_PH_ACTIVATING, "k4", ""},
    {SL, RK_PH_ACTIVATING, USED, 0, 0, RK_ST_J_BURNING, RK_PH_BURNING, "k4", ""},
    {SL, RK_PH_ACTIVATING, 0, 0, 0, RK_ST_J_BURNING, RK_PH_BURNING, "", ""},
    {M, RK_PH_ACTIVE, USED, BOTH, 0, RK_ST_ACTIVE, RK_PH_ACTIVE, "k4", "k3"},
    {SL, RK_PH_ACTIVE, USED, BOTH, 0, RK_ST_DRAIN, RK_PH_ACTIVE, "k4", "k3"},
    {M, RK_PH_ACTIVE, 0, 0, 0, RK_ST_J_IDLE, RK_PH_IDLE, "", ""},
    {M, RK_PH_ACTIVE, 0, BOTH, 0, RK_ST_J_IDLE, RK_PH_IDLE, "", "k3"},
    {M, RK_PH_ACTIVE, BOTH, BOTH, 0, RK_ST_ACTIVE, RK_PH_ACTIVE, "k4", "k3"},
    {M, RK_PH_BURNING, USED, 0, BOTH, RK_ST_UNSTAGE, RK_PH_BURNING, "k4", ""},
    {M, RK_PH_BURNING, USED, 0, 0, RK_ST_UNSTAGE, RK_PH_BURNING, "k4", ""},
    {M, RK_PH_BURNING, BOTH, 0, USED, RK_ST_J_BURNT, RK_PH_IDLE, "", "k4"},
};

static void
each_restart(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof restarts / sizeof *restarts; i++) {
        struct rk_seen seen = {.state = RK_IF_PRESENT | RK_IF_PROTECTED, .cur = restarts[i].cur,
                               .prev = restarts[i].prev, .cand = restarts[i].cand, .facts = "sci=a", .why = ""};
        uint32_t phase = restarts[i].phase;
        struct fix f;

        fresh(&f, restarts[i].role);
        f.e.d.phase = phase;
        if (phase == RK_PH_ACTIVE) {
            strcpy(f.e.d.prev, "k3");
            f.e.d.prev_seq = 3;
        } else if (phase != RK_PH_IDLE) {
            f.e.d.seq = f.e.d.floor = 5;
            if (phase != RK_PH_INTENT || restarts[i].role == SL)
                strcpy(f.e.d.cand, "k5");
        }
        happens(&f, RK_EV_START);
        assert_int_equal(f.todo.act, RK_ACT_OBSERVE); /* always first */
        assert_false(f.todo.publish);
        step(&f, (struct rk_event){.type = RK_EV_OBSERVED, .seen = &seen});
        if (f.e.state != restarts[i].state || f.e.d.phase != restarts[i].phase_then ||
            strcmp(f.e.d.cur, restarts[i].cur_then) != 0 || strcmp(f.e.d.prev, restarts[i].prev_then) != 0)
            fail_msg("restart %zu: %s phase=%u cur=%s prev=%s", i, rk_state_name(f.e.state), f.e.d.phase, f.e.d.cur,
                     f.e.d.prev);
        assert_false(f.todo.publish && f.todo.act == RK_ACT_JOURNAL); /* nothing is said that is not durable */
    }
}

/* A key that was lost for transmit and is still held goes with the rotation that replaces it. */
static void
lost_key_is_retired(void **state)
{
    struct fix f;

    (void)state;
    fresh(&f, SL);
    happens(&f, RK_EV_START);
    sees(&f, BOTH, 0);
    happens(&f, RK_EV_DONE);
    hears(&f, record(M, RK_SAY_OFFER, 8, "k8")); /* AN 0 is that of the lost key */
    assert_int_equal(f.e.state, RK_ST_J_BURNT);
    happens(&f, RK_EV_DONE);
    hears(&f, record(M, RK_SAY_OFFER, 9, "k9"));
    for (int i = 0; i < 2; i++)
        happens(&f, i ? RK_EV_KEY : RK_EV_DONE);
    happens(&f, RK_EV_DONE);
    happens(&f, RK_EV_DONE);
    sees(&f, 0, BOTH);
    hears(&f, record(M, RK_SAY_ACTIVE, 9, "k9"));
    happens(&f, RK_EV_DONE);
    happens(&f, RK_EV_DONE);
    sees(&f, 0, USED);
    happens(&f, RK_EV_DONE);
    assert_int_equal(f.e.state, RK_ST_DRAIN);
    tick_at(&f, f.e.wake_ns);
    assert_int_equal(f.todo.act, RK_ACT_RETIRE);
    assert_string_equal(f.todo.key_id, "k4");
    assert_int_equal(f.todo.seq, 4);
}

/* The device transmits on the key again before a rotation has replaced it: it is the current one again, not both. */
static void
lost_key_comes_back(void **state)
{
    struct rk_seen seen = {.state = RK_IF_PRESENT | RK_IF_PROTECTED, .prev = USED, .peer = USED, .facts = "sci=a",
                           .why = ""};
    struct fix f;

    (void)state;
    fresh(&f, SL);
    happens(&f, RK_EV_START);
    sees(&f, BOTH, 0);
    happens(&f, RK_EV_DONE);
    hears(&f, record(M, RK_SAY_ACTIVE, 4, "k4"));
    assert_int_equal(f.todo.act, RK_ACT_OBSERVE);
    step(&f, (struct rk_event){.type = RK_EV_OBSERVED, .seen = &seen});
    assert_string_equal(f.e.d.cur, "k4");
    assert_string_equal(f.e.d.prev, "");
    assert_int_equal(f.e.d.seq, 4);
}

/* How old a key is after a restart is known from the wall clock, unless that was set back. */
static void
age_after_restart(void **state)
{
    static const struct {
        int64_t since_ms, now_ms, age_ns;
    } rows[] = {{5000, 65000, 60 * S}, {5000, 4000, 0}, {0, 65000, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rk_event ev = {.type = RK_EV_START, .wall = {rows[i].now_ms}};
        struct fix f;

        fresh(&f, M);
        f.e.d.cur_since.unix_ms = rows[i].since_ms;
        rk_end_step(&f.e, &ev, f.now_ns, &f.todo);
        assert_int_equal(rk_end_age_ns(&f.e, f.now_ns), rows[i].age_ns);
    }
}

/* What works again puts its alarm out, and the pauses begin anew. */
static void
works_again(void **state)
{
    static const enum rk_state states[] = {RK_ST_J_INTENT, RK_ST_ACTIVATE, RK_ST_RETIRE, RK_ST_J_BURNT};
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        bring(&f, M, states[i]);
        for (int k = 0; k < 3; k++) {
            fails(&f, RK_E_BUSY);
            tick_at(&f, f.e.wake_ns);
        }
        assert_true(f.e.alarms & (RK_ALARM_JOURNAL | RK_ALARM_DEVICE));
        happens(&f, RK_EV_DONE);
        assert_false(f.e.alarms & (RK_ALARM_JOURNAL | RK_ALARM_DEVICE));
        assert_int_equal(f.e.tries, 0);
    }
    bring(&f, SL, RK_ST_FETCH);
    fails(&f, RK_E_BUSY);
    assert_true(f.e.alarms & RK_ALARM_SOURCE);
    tick_at(&f, f.e.wake_ns);
    happens(&f, RK_EV_KEY);
    assert_false(f.e.alarms & RK_ALARM_SOURCE);
}

/* The journal is lost: the key that both transmit on is taken over, or the peer is told at once. */
static void
adopted(void **state)
{
    for (int sending = 0; sending < 2; sending++) {
        struct rk_seen seen = {.state = RK_IF_PRESENT | RK_IF_PROTECTED, .facts = "sci=a", .why = ""};
        struct rk_durable d = {.link = "a-b-1", .end = 'a', .role = SL};
        struct rk_record r;
        struct fix f;

        (void)state;
        fresh(&f, SL);
        f.e.d = d;
        f.e.d.term = 1;
        happens(&f, RK_EV_START);
        step(&f, (struct rk_event){.type = RK_EV_OBSERVED, .seen = &seen});
        hears(&f, record(M, RK_SAY_ACTIVE, 77, "k77"));
        assert_int_equal(f.todo.act, RK_ACT_OBSERVE);
        seen.peer = sending ? USED : RK_HELD_RX;
        step(&f, (struct rk_event){.type = RK_EV_OBSERVED, .seen = &seen});
        assert_int_equal(f.e.state, RK_ST_J_IDLE);
        assert_false(f.todo.publish);
        happens(&f, RK_EV_DONE);
        assert_int_equal(f.e.state, RK_ST_IDLE);
        rk_end_record(&f.e, &r);
        assert_int_equal(r.seq, 77);
        assert_int_equal(r.say, sending ? RK_SAY_ACTIVE : RK_SAY_LOST);
        assert_string_equal(r.key, sending ? "k77" : "");
        hears(&f, record(M, RK_SAY_ACTIVE, 77, "k77")); /* looked at once, not at each repetition */
        assert_int_equal(f.todo.act, RK_ACT_NONE);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_arrow),
        cmocka_unit_test(all_states),
        cmocka_unit_test(record_in_every_state),
        cmocka_unit_test(each_failure),
        cmocka_unit_test(slave_fetch),
        cmocka_unit_test(master_orphan),
        cmocka_unit_test(orphan_after_restart),
        cmocka_unit_test(stage_reply_unseen),
        cmocka_unit_test(key_id_comes_again),
        cmocka_unit_test(backoff),
        cmocka_unit_test(costly),
        cmocka_unit_test(each_restart),
        cmocka_unit_test(lost_key_is_retired),
        cmocka_unit_test(lost_key_comes_back),
        cmocka_unit_test(age_after_restart),
        cmocka_unit_test(works_again),
        cmocka_unit_test(adopted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
