/* model_peer_test.c - what an end makes of its peer: offers and answers, numbers that are too high or too low, terms,
 * roles, facts, operators' wishes, alarms. */
#include "model_rig.h"

#include "core/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- offers ---- */

static void
offers(void **state)
{
    static const struct {
        uint64_t seq;
        const char *key, *prev;
        int refused; /* RK_OK: taken */
    } rows[] = {
        {5, "k5", "k4", RK_OK},
        {5, "k5", "", RK_OK},                /* the master has none */
        {5, "k5", "k3", RK_E_CONFLICT},      /* the master transmits on another one */
        {8, "k8", "k4", RK_E_CONFLICT},      /* AN 0 is that of k4 */
        {5, "k4", "k4", RK_E_PROTOCOL},      /* the key in use */
        {5, "", "k4", RK_E_PROTOCOL},        /* none */
        {RK_SEQ_MAX, "k5", "k4", RK_OK + 1}, /* nonsense: not even answered */
        {4, "k5", "k4", RK_OK + 1},          /* over */
        {3, "k5", "k4", RK_OK + 1},
        {0, "k5", "k4", RK_OK + 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rk_record r = record(M, RK_SAY_OFFER, rows[i].seq, rows[i].key);
        struct fix f;

        strcpy(r.prev, rows[i].prev);
        bring(&f, SL, RK_ST_IDLE);
        hears(&f, r);
        if (rows[i].refused > 0) {
            assert_int_equal(f.e.state, RK_ST_IDLE);
            assert_int_equal(f.e.d.seq, 4);
            assert_int_equal(f.todo.act, RK_ACT_NONE);
            continue;
        }
        assert_int_equal(f.e.state, rows[i].refused ? RK_ST_J_BURNT : RK_ST_J_INTENT);
        assert_int_equal(f.e.d.seq, rows[i].seq);
        assert_false(f.todo.publish); /* first the journal */
        if (!rows[i].refused)
            continue;
        happens(&f, RK_EV_DONE);
        rk_end_record(&f.e, &r);
        assert_int_equal(r.say, RK_SAY_NACK);
        assert_string_equal(r.confirm, rk_err_name(rows[i].refused));
    }
}

/* An offer whose answer would not fit a record is refused before its key is taken from the source. */
static void
answer_too_long(void **state)
{
    struct rk_record r = record(M, RK_SAY_OFFER, 5, "");
    struct fix f;

    (void)state;
    bring(&f, SL, RK_ST_IDLE);
    memset(f.e.d.link, 'l', RK_LINK_MAX);
    memset(f.e.d.cur, 'c', RK_KEY_ID_MAX);
    memset(f.e.facts, 'f', 20);
    memset(r.key, 'k', RK_KEY_ID_MAX);
    memcpy(r.prev, f.e.d.cur, sizeof r.prev);
    hears(&f, r);
    assert_int_equal(f.e.state, RK_ST_J_BURNT);
    assert_int_equal(f.e.nack_err, RK_E_UNSUPPORTED);
}

/* After a restart a slave knows one offer only.  It says no once to a key it does not know, and then goes along. */
static void
split_heals(void **state)
{
    struct rk_record r = record(M, RK_SAY_OFFER, 6, "k6");
    struct fix f;

    (void)state;
    strcpy(r.prev, "k5");
    bring(&f, SL, RK_ST_IDLE);
    hears(&f, r);
    assert_int_equal(f.e.state, RK_ST_J_BURNT);
    happens(&f, RK_EV_DONE);
    hears(&f, record(M, RK_SAY_WITHDRAWN, 6, "k5"));
    assert_true(rk_end_alarms(&f.e, f.now_ns) & RK_ALARM_SPLIT);
    r.seq = 7;
    strcpy(r.key, "k7");
    hears(&f, r);
    assert_int_equal(f.e.state, RK_ST_J_INTENT);
}

/* ---- what a master makes of answers ---- */

static void
answers(void **state)
{
    static const struct {
        uint32_t role, say;
        uint64_t seq;
        const char *key, *confirm;
        enum rk_state then;
    } rows[] = {
        {SL, RK_SAY_STAGED, 5, "k5", TAG_S, RK_ST_J_ACTIVATING},
        {SL, RK_SAY_STAGED, 5, "k5", TAG_M, RK_ST_J_BURNING}, /* reflected, or another key */
        {SL, RK_SAY_STAGED, 5, "k5", "", RK_ST_J_BURNING},
        {SL, RK_SAY_STAGED, 5, "k5", "5555", RK_ST_J_BURNING},
        {SL, RK_SAY_STAGED, 5, "x5", TAG_S, RK_ST_J_BURNING}, /* another key for this number */
        {SL, RK_SAY_ACTIVE, 5, "x5", "", RK_ST_J_BURNING},
        {SL, RK_SAY_NACK, 5, "k4", "key-gone", RK_ST_J_BURNING},
        {SL, RK_SAY_LOST, 5, "", "", RK_ST_J_BURNING},
        {SL, RK_SAY_ACTIVE, 6, "x6", "", RK_ST_J_BURNING}, /* the peer is further */
        {SL, RK_SAY_ACTIVE, 4, "k4", "", RK_ST_STAGED},    /* not yet */
        {SL, RK_SAY_LOST, 4, "", "", RK_ST_STAGED},
        {M, RK_SAY_ACTIVE, 5, "k4", "", RK_ST_STAGED}, /* a master must yield to us */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rk_record r = record(rows[i].role, rows[i].say, rows[i].seq, rows[i].key);
        struct fix f;

        strcpy(r.confirm, rows[i].confirm);
        bring(&f, M, RK_ST_STAGED);
        hears(&f, r);
        if (f.e.state != rows[i].then)
            fail_msg("answer %zu: %s", i, rk_state_name(f.e.state));
    }
}

/* The same for a slave that waits with its candidate: only ACTIVE of that key lets it go on. */
static void
slave_answers(void **state)
{
    static const struct {
        uint32_t role, say;
        uint64_t seq;
        const char *key;
        enum rk_state then;
    } rows[] = {
        {M, RK_SAY_ACTIVE, 5, "k5", RK_ST_J_ACTIVATING},
        {M, RK_SAY_OFFER, 5, "k5", RK_ST_STAGED},
        {M, RK_SAY_ACTIVE, 5, "x5", RK_ST_J_BURNING},
        {M, RK_SAY_WITHDRAWN, 5, "k4", RK_ST_J_BURNING},
        {M, RK_SAY_LOST, 5, "", RK_ST_J_BURNING},
        {M, RK_SAY_OFFER, 6, "k6", RK_ST_J_BURNING},
        {M, RK_SAY_ACTIVE, 6, "k5", RK_ST_J_BURNING},
        {M, RK_SAY_WITHDRAWN, 4, "k4", RK_ST_STAGED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fix f;

        bring(&f, SL, RK_ST_STAGED);
        hears(&f, record(rows[i].role, rows[i].say, rows[i].seq, rows[i].key));
        if (f.e.state != rows[i].then)
            fail_msg("answer %zu: %s", i, rk_state_name(f.e.state));
    }
}

/* A slave without keys is helped at once; a peer whose facts are not known can get no key at all. */
static void
when_to_begin(void **state)
{
    struct rk_record r = record(SL, RK_SAY_LOST, 4, ""), offer = record(M, RK_SAY_OFFER, 5, "k5");
    struct fix f;

    (void)state;
    bring(&f, M, RK_ST_IDLE);
    hears(&f, r);
    assert_int_equal(f.e.state, RK_ST_J_INTENT);
    bring(&f, M, RK_ST_IDLE);
    r.facts[0] = '\0';
    hears(&f, r);
    assert_int_equal(f.e.state, RK_ST_IDLE);
    due(&f);
    assert_int_not_equal(f.e.state, RK_ST_J_INTENT);
    bring(&f, SL, RK_ST_IDLE);
    offer.facts[0] = '\0';
    hears(&f, offer);
    assert_int_equal(f.e.state, RK_ST_IDLE);
    bring(&f, SL, RK_ST_IDLE);
    f.e.facts[0] = '\0'; /* its own */
    hears(&f, record(M, RK_SAY_OFFER, 5, "k5"));
    assert_int_equal(f.e.state, RK_ST_IDLE);
}

/* What a slave without a key says no with is the reason, so that the master can tell it. */
static void
no_with_reason(void **state)
{
    struct rk_record r;
    struct fix f;

    (void)state;
    bring(&f, SL, RK_ST_FETCH);
    f.e.d.cur[0] = '\0';
    f.e.d.cur_seq = 0;
    fails(&f, RK_E_KEY_GONE);
    happens(&f, RK_EV_DONE);
    rk_end_record(&f.e, &r);
    assert_int_equal(r.say, RK_SAY_LOST); /* which is heard whatever was said before */
    assert_string_equal(r.confirm, "key-gone");
    bring(&f, M, RK_ST_STAGED);
    r.seq = f.e.d.seq;
    hears(&f, r);
    assert_int_equal(f.e.last_err, RK_E_REJECTED);
    assert_non_null(strstr(f.e.last_why, "key-gone"));
}

/* From "activating" in the journal on there is no way back, whatever the peer says. */
static void
only_forward(void **state)
{
    static const enum rk_state states[] = {RK_ST_J_ACTIVATING, RK_ST_ACTIVATE, RK_ST_J_ACTIVE, RK_ST_DRAIN,
                                           RK_ST_RETIRE, RK_ST_J_IDLE};
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        for (uint32_t say = RK_SAY_IDLE; say <= RK_SAY_LOST; say++) {
            bring(&f, M, states[i]);
            hears(&f, record(SL, say, 5, "k4"));
            hears(&f, record(SL, say, 6, ""));
            assert_int_equal(f.e.state, states[i]);
            assert_string_equal(states[i] <= RK_ST_ACTIVATE ? f.e.d.cand : f.e.d.cur, "k5");
        }
}

/* A slave that does not follow costs a pause that grows: else it would take keys as fast as it can lose them. */
static void
slave_never_follows(void **state)
{
    struct fix f;
    int64_t pause_ns = 0;
    char id[16];

    (void)state;
    bring(&f, M, RK_ST_J_ACTIVE);
    f.e.drain_ns = 0;
    for (unsigned i = 1; i <= 6; i++) {
        hears(&f, record(SL, RK_SAY_LOST, f.e.d.seq, ""));
        happens(&f, RK_EV_DONE); /* active */
        assert_int_equal(f.e.state, RK_ST_RETIRE);
        happens(&f, RK_EV_DONE);
        sees(&f, USED, 0);
        happens(&f, RK_EV_DONE);
        assert_int_equal(f.e.state, RK_ST_IDLE);
        assert_int_equal(f.e.failures, i);
        pause_ns = f.e.due_ns - f.now_ns;
        assert_true(pause_ns > 0 && pause_ns <= 37500 * MS);
        due(&f);
        happens(&f, RK_EV_DONE);
        snprintf(id, sizeof id, "key-%u", i);
        step(&f, (struct rk_event){.type = RK_EV_KEY, .key_id = id});
        for (int k = 0; k < 3; k++)
            step(&f, (struct rk_event){.type = RK_EV_DONE, .mine = TAG_M, .theirs = TAG_S});
        sees(&f, USED, BOTH);
        hears(&f, record(SL, RK_SAY_STAGED, f.e.d.seq, f.e.d.cand));
        happens(&f, RK_EV_DONE);
        happens(&f, RK_EV_DONE);
        sees(&f, BOTH, USED);
        assert_int_equal(f.e.state, RK_ST_J_ACTIVE);
    }
    assert_true(pause_ns > 5 * S); /* 250 ms, doubled five times, less a quarter */
}

static void
bad_key(void **state)
{
    static char long_id[RK_KEY_ID_MAX + 2];
    const char *ids[] = {"k4", long_id};
    struct fix f;

    (void)state;
    memset(long_id, 'k', RK_KEY_ID_MAX + 1);
    for (int i = 0; i < 2; i++) {
        bring(&f, M, RK_ST_FETCH);
        step(&f, (struct rk_event){.type = RK_EV_KEY, .key_id = ids[i]});
        assert_int_equal(f.e.state, RK_ST_J_BURNT);
        assert_true(f.todo.drop_key);
        assert_string_equal(f.e.d.cand, "");
    }
    bring(&f, M, RK_ST_FETCH); /* offer and answer would not fit a record */
    memset(f.e.d.link, 'l', RK_LINK_MAX);
    memset(f.e.d.cur, 'c', RK_KEY_ID_MAX);
    long_id[RK_KEY_ID_MAX] = '\0';
    memset(f.e.facts, 'f', 20);
    step(&f, (struct rk_event){.type = RK_EV_KEY, .key_id = long_id});
    assert_int_equal(f.e.state, RK_ST_J_BURNT);
    assert_int_equal(f.e.last_err, RK_E_UNSUPPORTED);
    bring(&f, M, RK_ST_STAGE);
    step(&f, (struct rk_event){.type = RK_EV_DONE, .mine = TAG_M, .theirs = ""}); /* without confirm tags */
    assert_int_equal(f.e.state, RK_ST_J_BURNING);
}

/* ---- numbers, terms, old records ---- */

static void
hostile_numbers(void **state)
{
    struct fix f;

    (void)state;
    bring(&f, M, RK_ST_IDLE);
    hears(&f, record(SL, RK_SAY_ACTIVE, UINT64_MAX, "k4"));
    hears(&f, record(SL, RK_SAY_ACTIVE, RK_SEQ_MAX, "k4"));
    assert_int_equal(f.e.d.floor, 4);
    assert_int_equal(f.e.peer.role, 0);
    hears(&f, record(SL, RK_SAY_ACTIVE, 4 + (UINT64_C(1) << 40), "k4")); /* as far as it goes */
    assert_int_equal(f.e.d.floor, 4 + (UINT64_C(1) << 40));
    due(&f);
    assert_int_equal(f.e.d.seq, 5 + (UINT64_C(1) << 40));
    /* at the end of all numbers nothing begins, and nothing wraps */
    bring(&f, M, RK_ST_IDLE);
    f.e.d.seq = f.e.d.floor = RK_SEQ_MAX;
    hears(&f, record(SL, RK_SAY_ACTIVE, RK_SEQ_MAX, "k4"));
    due(&f);
    assert_int_equal(f.e.state == RK_ST_IDLE || f.e.state == RK_ST_OBSERVE, 1);
    assert_int_equal(f.e.d.seq, RK_SEQ_MAX);
    assert_int_equal(f.e.last_err, RK_E_PROTOCOL);
}

static void
numbers_of_slots(void **state)
{
    struct fix f;

    (void)state;
    bring(&f, M, RK_ST_IDLE);
    f.e.d.cur_seq = 1; /* AN 1 is in use: 5 would be its */
    hears(&f, record(SL, RK_SAY_ACTIVE, 4, "k4"));
    due(&f);
    assert_int_equal(f.e.d.seq, 6);
    bring(&f, M, RK_ST_IDLE);
    hears(&f, record(SL, RK_SAY_ACTIVE, 41, "k4")); /* above all that the peer knows */
    due(&f);
    assert_int_equal(f.e.d.seq, 42);
}

static void
terms(void **state)
{
    struct rk_record r = record(SL, RK_SAY_ACTIVE, 4, "k4");
    struct fix f;

    (void)state;
    bring(&f, M, RK_ST_IDLE);
    r.term = 3;
    hears(&f, r);
    assert_int_equal(f.e.d.term, 3); /* what follows carries it */
    rk_end_record(&f.e, &r);
    assert_int_equal(r.term, 3);
    hears(&f, record(SL, RK_SAY_LOST, 9, "")); /* of an earlier term */
    assert_int_equal(f.e.peer.seq, 4);
    bring(&f, M, RK_ST_IDLE);
    f.e.d.term = 2;
    hears(&f, record(SL, RK_SAY_ACTIVE, 4, "k4"));
    assert_int_equal(f.e.peer.role, 0);
}

/* Every record that is not newer changes nothing, in whatever role it was made. */
static void
old_records(void **state)
{
    struct fix f, before;

    (void)state;
    bring(&f, SL, RK_ST_STAGED);
    for (uint32_t role = M; role <= SL; role++)
        for (uint64_t seq = 0; seq < 5; seq++)
            for (uint32_t say = RK_SAY_IDLE; say <= RK_SAY_LOST; say++) {
                before = f;
                hears(&f, record(role, say, seq, "k4"));
                assert_memory_equal(&f.e, &before.e, sizeof f.e);
            }
}

/* The peer lost its journal and offers numbers that this end has heard of: it is told how far it was. */
static void
old_offer_is_answered(void **state)
{
    struct rk_record r;
    struct fix f;

    (void)state;
    bring(&f, SL, RK_ST_IDLE);
    hears(&f, record(M, RK_SAY_WITHDRAWN, 9, "k4"));
    assert_int_equal(f.e.state, RK_ST_IDLE);
    hears(&f, record(M, RK_SAY_OFFER, 6, "k6"));
    assert_int_equal(f.e.state, RK_ST_J_IDLE);
    happens(&f, RK_EV_DONE);
    rk_end_record(&f.e, &r);
    assert_int_equal(r.seq, 9);
    assert_int_equal(r.say, RK_SAY_WITHDRAWN);
    hears(&f, record(M, RK_SAY_OFFER, 6, "k6")); /* once */
    assert_int_equal(f.e.state, RK_ST_IDLE);
}

/* ---- roles ---- */

static void
roles(void **state)
{
    struct fix f;

    (void)state;
    for (uint32_t role = M; role <= SL; role++) {
        bring(&f, role, RK_ST_IDLE); /* SAE_A, by the rule master, or SAE_B */
        hears(&f, record(role, RK_SAY_ACTIVE, 7, "k4"));
        assert_true(f.e.alarms & RK_ALARM_ROLE_CONFLICT);
        assert_int_equal(f.e.d.role, role); /* as the rule has it already */
        assert_int_equal(f.todo.act, RK_ACT_JOURNAL); /* it catches up: the other must hear of it */
        bring(&f, role, RK_ST_IDLE);
        f.e.d.role = role == M ? SL : M; /* configured the other way */
        hears(&f, record(f.e.d.role, RK_SAY_ACTIVE, 4, "k4"));
        assert_true(f.e.alarms & RK_ALARM_ROLE_CONFLICT);
        assert_int_equal(f.e.d.role, role);
        assert_true(f.todo.publish);
        assert_true(f.e.d.floor >= 4);
        hears(&f, record(role == M ? SL : M, RK_SAY_ACTIVE, 4, "k4"));
        assert_true(f.e.alarms & RK_ALARM_ROLE_CONFLICT); /* its configuration is still wrong */
    }
    bring(&f, M, RK_ST_IDLE);
    hears(&f, record(M, RK_SAY_ACTIVE, 4, "k4"));
    hears(&f, record(SL, RK_SAY_ACTIVE, 4, "k4")); /* the other end was put right */
    assert_false(f.e.alarms & RK_ALARM_ROLE_CONFLICT);
    bring(&f, M, RK_ST_IDLE);
    f.e.own_sae = f.e.peer_sae = ""; /* a local link: there is no rule */
    hears(&f, record(M, RK_SAY_ACTIVE, 4, "k4"));
    assert_false(f.e.alarms & RK_ALARM_ROLE_CONFLICT);
}

/* In the middle of a rotation the end that must yield gives its candidate up; the other one stays. */
static void
roles_while_staged(void **state)
{
    struct fix f;

    (void)state;
    for (uint32_t role = M; role <= SL; role++)
        for (int yields = 0; yields < 2; yields++) {
            bring(&f, role, RK_ST_STAGED);
            if (yields) { /* by the rule the other has this role */
                const char *own = f.e.own_sae;

                f.e.own_sae = f.e.peer_sae;
                f.e.peer_sae = own;
            }
            hears(&f, record(role, RK_SAY_ACTIVE, 5, "k4"));
            assert_int_equal(f.e.state, yields ? RK_ST_J_BURNING : RK_ST_STAGED);
            assert_true(f.e.alarms & RK_ALARM_ROLE_CONFLICT);
        }
}

/* ---- facts, wishes, alarms ---- */

static void
rekey_fact(void **state)
{
    struct rk_record r = record(SL, RK_SAY_ACTIVE, 4, "k4");
    struct fix f;

    (void)state;
    bring(&f, M, RK_ST_IDLE);
    strcpy(r.facts, "sci=b,rekey");
    hears(&f, r);
    assert_int_equal(f.e.state, RK_ST_J_INTENT); /* at once */
    assert_string_equal(f.e.peer.facts, "sci=b"); /* and not for the device */
    bring(&f, M, RK_ST_IDLE);
    strcpy(r.facts, "sci=b,rekeyed");
    hears(&f, r);
    assert_int_equal(f.e.state, RK_ST_IDLE);
    bring(&f, SL, RK_ST_IDLE);
    happens(&f, RK_EV_ROTATE); /* an operator, at the slave */
    assert_true(f.todo.publish);
    rk_end_record(&f.e, &r);
    assert_string_equal(r.facts, "sci=a,rekey");
    do_how(&f, H_OFFER);
    for (int i = 0; i < 4; i++)
        happens(&f, i == 1 ? RK_EV_KEY : RK_EV_DONE);
    sees(&f, USED, BOTH);
    assert_int_equal(f.e.state, RK_ST_STAGED);
    rk_end_record(&f.e, &r);
    assert_string_equal(r.facts, "sci=a"); /* granted */
}

static void
rotate_now(void **state)
{
    struct fix f;

    (void)state;
    bring(&f, M, RK_ST_IDLE);
    happens(&f, RK_EV_ROTATE);
    assert_int_equal(f.e.state, RK_ST_IDLE); /* there is no peer yet; it is not forgotten */
    hears(&f, record(SL, RK_SAY_ACTIVE, 4, "k4"));
    assert_int_equal(f.e.state, RK_ST_J_INTENT);
    for (int st = 0; st < RK_ST_COUNT; st++) { /* in no other state does it disturb */
        bring(&f, M, (enum rk_state)st);
        happens(&f, RK_EV_ROTATE);
        assert_int_equal(f.e.state, st);
        assert_int_equal(f.todo.act, RK_ACT_NONE);
        assert_true(f.e.want);
    }
}

static void
alarms_by_age(void **state)
{
    static const struct {
        int64_t percent;
        uint32_t alarm;
    } rows[] = {{0, 0}, {125, 0}, {126, RK_ALARM_DUE}, {150, RK_ALARM_DUE}, {151, RK_ALARM_OVERDUE},
                {300, RK_ALARM_OVERDUE}, {301, RK_ALARM_EXPIRED}, {100000, RK_ALARM_EXPIRED}};
    const uint32_t ages = RK_ALARM_DUE | RK_ALARM_OVERDUE | RK_ALARM_EXPIRED;
    struct fix f;

    (void)state;
    bring(&f, SL, RK_ST_STAGE);
    do_how(&f, H_DONE);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(rk_end_alarms(&f.e, f.e.cur_since_ns + rows[i].percent * INTERVAL / 100) & ages,
                         rows[i].alarm);
    assert_false(rk_end_alarms(&f.e, f.e.heard_ns + 3 * VERIFY) & RK_ALARM_NO_PEER);
    assert_true(rk_end_alarms(&f.e, f.e.heard_ns + 3 * VERIFY + 1) & RK_ALARM_NO_PEER);
    f.e.d.cur[0] = '\0';
    assert_int_equal(rk_end_age_ns(&f.e, f.now_ns), -1);
    assert_false(rk_end_alarms(&f.e, INT64_MAX / 2) & ages);
}

static void
alarms_of_device(void **state)
{
    struct rk_seen seen = {.state = RK_IF_PRESENT, .cur = USED, .foreign = 2, .facts = "sci=a", .why = ""};
    struct fix f;

    (void)state;
    bring(&f, M, RK_ST_OBSERVE);
    step(&f, (struct rk_event){.type = RK_EV_OBSERVED, .seen = &seen});
    assert_int_equal(f.e.alarms, RK_ALARM_FOREIGN | RK_ALARM_UNPROTECTED);
    tick_at(&f, f.e.verify_at_ns);
    assert_int_equal(f.todo.act, RK_ACT_OBSERVE);
    sees(&f, USED, 0);
    assert_int_equal(f.e.alarms, 0);
    tick_at(&f, f.e.verify_at_ns);
    seen.state = 0; /* the interface is gone */
    step(&f, (struct rk_event){.type = RK_EV_OBSERVED, .seen = &seen});
    assert_int_equal(f.e.alarms, RK_ALARM_DEVICE);
    assert_paused(&f, RK_ST_OBSERVE);
}

static void
names(void **state)
{
    (void)state;
    for (int i = 0; i < RK_ST_COUNT; i++)
        assert_true(strlen(rk_state_name((enum rk_state)i)) > 3);
    assert_string_equal(rk_state_name(RK_ST_COUNT), "?");
    assert_string_equal(rk_alarm_name(RK_ALARM_DUE), "DUE");
    assert_string_equal(rk_alarm_name(RK_ALARM_UNPROTECTED), "UNPROTECTED");
    assert_string_equal(rk_alarm_name(RK_ALARM_UNPROVED), "UNPROVED");
    assert_string_equal(rk_alarm_name(RK_ALARM_CERT_EXPIRY), "CERT-EXPIRY");
    assert_string_equal(rk_alarm_name(RK_ALARM_MIX_REDUCED), "MIX-REDUCED");
    assert_string_equal(rk_alarm_name(RK_ALARM_NEIGHBOUR), "NEIGHBOUR");
    assert_string_equal(rk_alarm_name(RK_ALARM_RESET_PEER), "RESET-PEER");
    assert_string_equal(rk_alarm_name(RK_ALARM_RESET_PEER << 1), "?");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offers),
        cmocka_unit_test(answer_too_long),
        cmocka_unit_test(split_heals),
        cmocka_unit_test(answers),
        cmocka_unit_test(slave_answers),
        cmocka_unit_test(when_to_begin),
        cmocka_unit_test(no_with_reason),
        cmocka_unit_test(only_forward),
        cmocka_unit_test(slave_never_follows),
        cmocka_unit_test(bad_key),
        cmocka_unit_test(hostile_numbers),
        cmocka_unit_test(numbers_of_slots),
        cmocka_unit_test(terms),
        cmocka_unit_test(old_records),
        cmocka_unit_test(old_offer_is_answered),
        cmocka_unit_test(roles),
        cmocka_unit_test(roles_while_staged),
        cmocka_unit_test(rekey_fact),
        cmocka_unit_test(rotate_now),
        cmocka_unit_test(alarms_by_age),
        cmocka_unit_test(alarms_of_device),
        cmocka_unit_test(names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
