/* model_rule_test.c - the rules of a pair: which record counts, what a number means, what the peer transmits on, who is
 * master, what an answer leads to. */
#include "model_rig.h"


#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- which record counts ---- */

/* Every valid record shows that the peer is there; one that is ignored does not. */
static void
is_heard(void **state)
{
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_A, SL);
    f.now_ns += 4 * VERIFY;
    assert_true(rk_end_alarms(&f.e, f.now_ns) & RK_ALARM_NO_PEER);
    hears(&f, record(M, RK_SAY_OFFER, 3, "k3"));
    assert_true(rk_end_alarms(&f.e, f.now_ns) & RK_ALARM_NO_PEER);
    hears(&f, record(M, RK_SAY_ACTIVE, 4, "k4"));
    assert_false(rk_end_alarms(&f.e, f.now_ns) & RK_ALARM_NO_PEER);
    alone(&f, RK_CLASS_A, SL); /* from the start on it has as long */
    assert_false(rk_end_alarms(&f.e, f.now_ns + 3 * VERIFY) & RK_ALARM_NO_PEER);
    assert_true(rk_end_alarms(&f.e, f.now_ns + 3 * VERIFY + 1) & RK_ALARM_NO_PEER);
    for (uint32_t role = M; role <= SL; role++) { /* only a slave hears of a one-way peer */
        alone(&f, RK_CLASS_E, role);
        assert_int_equal((rk_end_alarms(&f.e, f.now_ns + 9 * VERIFY) & RK_ALARM_NO_PEER) != 0, role == SL);
    }
}

/* In another role a peer may have something lesser to say of the same rotation; not of an older one. */
static void
says_less_in_another_role(void **state)
{
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_A, SL);
    f.e.own_sae = f.e.peer_sae = "";
    hears(&f, record(M, RK_SAY_NACK, 4, "k4"));
    assert_int_equal(f.e.peer.say, RK_SAY_ACTIVE); /* less, in the same role: an old record */
    hears(&f, record(SL, RK_SAY_NACK, 3, "k4"));
    assert_int_equal(f.e.peer.role, M);
    hears(&f, record(SL, RK_SAY_NACK, 4, "k4"));
    assert_int_equal(f.e.peer.role, SL);
    assert_int_equal(f.e.peer.say, RK_SAY_NACK);
}

/* An offer from before is answered only when it is above what this end took part in. */
static void
old_offers(void **state)
{
    struct fix f;

    (void)state;
    for (uint64_t seq = 3; seq <= 6; seq++) {
        ready(&f, RK_CLASS_A, SL);
        hears(&f, record(M, RK_SAY_WITHDRAWN, 9, "k4"));
        assert_int_equal(f.e.state, RK_ST_IDLE);
        hears(&f, record(M, RK_SAY_OFFER, seq, "k5"));
        assert_int_equal(f.e.state, seq > 4 ? RK_ST_J_IDLE : RK_ST_IDLE);
        assert_int_equal(f.e.d.seq, seq > 4 ? 9 : 4);
    }
    ready(&f, RK_CLASS_A, SL); /* nor in the middle of a rotation, nor by a master */
    goes_to(&f, RK_ST_STAGED);
    hears(&f, record(M, RK_SAY_OFFER, 4, "k4"));
    assert_int_equal(f.e.state, RK_ST_STAGED);
    ready(&f, RK_CLASS_A, M);
    hears(&f, record(SL, RK_SAY_ACTIVE, 9, "k4"));
    hears(&f, record(SL, RK_SAY_OFFER, 6, "k5"));
    assert_int_equal(f.e.d.seq, 4);
}

/* Only a master counts on from what it hears: a slave takes the numbers that it is offered. */
static void
floor_of_a_master(void **state)
{
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_A, SL);
    hears(&f, record(M, RK_SAY_ACTIVE, 9, "k4"));
    assert_int_equal(f.e.d.floor, 4);
    ready(&f, RK_CLASS_A, M);
    hears(&f, record(SL, RK_SAY_ACTIVE, 9, "k4"));
    assert_int_equal(f.e.d.floor, 9);
    ready(&f, RK_CLASS_A, M);
    f.e.d.floor = 50; /* of times that the peer has forgotten */
    hears(&f, record(SL, RK_SAY_ACTIVE, 9, "k4"));
    assert_int_equal(f.e.d.floor, 50);
    due(&f);
    assert_int_equal(f.e.d.seq, 51);
    assert_int_equal(f.e.d.floor, 51);
    ready(&f, RK_CLASS_A, M);
    goes_to(&f, RK_ST_STAGED);
    f.e.d.floor = 50;
    hears(&f, record(SL, RK_SAY_ACTIVE, 9, "x9"));
    assert_int_equal(f.e.state, RK_ST_J_BURNING);
    assert_int_equal(f.e.d.floor, 50);
    ready(&f, RK_CLASS_A, M); /* a slave that is ahead did not follow */
    goes_to(&f, RK_ST_ACTIVE);
    hears(&f, record(SL, RK_SAY_NACK, 9, "k4"));
    assert_int_equal(f.e.state, RK_ST_DRAIN);
    assert_int_equal(f.e.d.floor, 9);
    ready(&f, RK_CLASS_A, SL); /* what a slave knew when it was master stays */
    f.e.d.floor = 50;
    hears(&f, peer_says(&f, RK_SAY_OFFER, 5, "k5"));
    assert_int_equal(f.e.d.seq, 5);
    assert_int_equal(f.e.d.floor, 50);
}

/* Numbers of four, one per slot: those of the keys that are held are left out. */
static void
free_slots(void **state)
{
    static const struct {
        uint64_t cur_seq, prev_seq, next;
        const char *cur, *prev;
    } rows[] = {{4, 0, 5, "4", ""}, {1, 0, 6, "4", ""}, {1, 2, 7, "4", "3"}, {2, 1, 7, "4", "3"}, {4, 1, 6, "4", "3"},
                {4, 9, 6, "4", "3"}, {1, 1, 6, "4", ""}, {4, 5, 5, "4", ""}};
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ready(&f, RK_CLASS_A, M);
        strcpy(f.e.d.cur, rows[i].cur);
        strcpy(f.e.d.prev, rows[i].prev);
        f.e.d.cur_seq = rows[i].cur_seq;
        f.e.d.prev_seq = rows[i].prev_seq;
        due(&f);
        assert_int_equal(f.e.d.seq, rows[i].next);
    }
    ready(&f, RK_CLASS_B, M); /* a CAK has no slot */
    f.e.d.cur_seq = 1;
    due(&f);
    shown(&f, (struct look){.cur = IN_USE, .prev = BOTH});
    assert_int_equal(f.e.d.seq, 5);
    for (uint64_t floor = RK_SEQ_MAX - 1; floor <= RK_SEQ_MAX; floor++) { /* the last number is used, and no further */
        ready(&f, RK_CLASS_A, M);
        f.e.d.floor = floor;
        f.e.d.cur_seq = 1;
        f.e.due_ns = f.now_ns;
        hears(&f, record(SL, RK_SAY_ACTIVE, 4, "k4"));
        assert_int_equal(f.e.state, floor < RK_SEQ_MAX ? RK_ST_J_INTENT : RK_ST_IDLE);
        assert_int_equal(f.e.last_err, floor < RK_SEQ_MAX ? RK_OK : RK_E_PROTOCOL);
    }
}

/* ---- what the peer transmits on ---- */

/* Only ACTIVE says with which rotation a key came, and so is the only word after which it may be taken over. */
static void
key_of_the_peer(void **state)
{
    struct fix f;

    (void)state;
    alone(&f, RK_CLASS_A, SL);
    f.e.d.cur[0] = '\0';
    f.e.d.cur_seq = 0;
    hears(&f, record(M, RK_SAY_WITHDRAWN, 4, "7"));
    assert_string_equal(f.e.peer_active, "7");
    assert_int_equal(f.e.peer_active_seq, 0);
    assert_int_equal(f.todo.act, RK_ACT_NONE);
    hears(&f, record(M, RK_SAY_LOST, 4, ""));
    assert_string_equal(f.e.peer_active, "7"); /* nothing new */
    f.e.d.seq = 90;
    hears(&f, record(M, RK_SAY_ACTIVE, 8, "8"));
    assert_int_equal(f.e.peer_active_seq, 8);
    assert_int_equal(f.todo.act, RK_ACT_OBSERVE);
    shown(&f, (struct look){.peer = BOTH}); /* not this one */
    assert_int_equal(f.e.state, RK_ST_IDLE);
    hears(&f, record(M, RK_SAY_ACTIVE, 8, "8"));
    assert_int_equal(f.todo.act, RK_ACT_NONE);
    hears(&f, record(M, RK_SAY_ACTIVE, 9, "8")); /* another rotation: looked at again */
    assert_int_equal(f.todo.act, RK_ACT_OBSERVE);
    shown(&f, (struct look){.peer = BOTH});
    hears(&f, record(M, RK_SAY_WITHDRAWN, 9, "k7"));
    assert_int_equal(f.e.peer_active_seq, 0);
    tick_at(&f, f.e.verify_at_ns);
    shown(&f, (struct look){.peer = USED}); /* the number that k7 came with is not known */
    assert_string_equal(f.e.d.cur, "");
}

/* SPLIT: the peer transmits on what this end does not have. */
static void
split(void **state)
{
    static const struct {
        uint32_t class, say;
        const char *key;
        bool split;
    } rows[] = {
        {RK_CLASS_A, RK_SAY_ACTIVE, "4", false},   {RK_CLASS_A, RK_SAY_WITHDRAWN, "x", true},
        {RK_CLASS_A, RK_SAY_ACTIVE, "x", true},    {RK_CLASS_A, RK_SAY_LOST, "", false},
        {RK_CLASS_A, RK_SAY_WITHDRAWN, "", false}, {RK_CLASS_B, RK_SAY_ACTIVE, "x", true},
        {RK_CLASS_B, RK_SAY_ACTIVE, "3", false}, /* its fallback is ours */
        {RK_CLASS_A, RK_SAY_ACTIVE, "3", true},
    };
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ready_with_letters(&f, rows[i].class, SL);
        hears(&f, peer_says(&f, rows[i].say, 4, rows[i].key));
        assert_int_equal((f.e.alarms & RK_ALARM_SPLIT) != 0, rows[i].split);
        assert_int_equal(f.e.d.seq, 4);
        hears(&f, peer_says(&f, RK_SAY_WITHDRAWN, 4, "4"));
        hears(&f, peer_says(&f, RK_SAY_LOST, 4, ""));
        assert_false(f.e.alarms & RK_ALARM_SPLIT);
    }
}

/* A slave that finds itself behind says so in a record that counts; but it does not when nothing is wrong. */
static void
catches_up(void **state)
{
    static const struct {
        uint32_t class, role, say;
        const char *cur, *key;
        bool does;
    } rows[] = {
        {RK_CLASS_A, M, RK_SAY_ACTIVE, "4", "4", false},  {RK_CLASS_A, M, RK_SAY_ACTIVE, "4", "x", true},
        {RK_CLASS_A, M, RK_SAY_WITHDRAWN, "4", "4", false}, {RK_CLASS_A, M, RK_SAY_LOST, "4", "", false},
        {RK_CLASS_A, M, RK_SAY_LOST, "", "", true},       {RK_CLASS_A, SL, RK_SAY_NACK, "4", "4", true},
        {RK_CLASS_B, M, RK_SAY_WITHDRAWN, "4", "4", true},
    };
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rk_record r;

        ready_with_letters(&f, rows[i].class, SL);
        f.e.own_sae = f.e.peer_sae = "";
        strcpy(f.e.d.cur, rows[i].cur);
        f.e.looked = true;
        r = peer_says(&f, rows[i].say, 9, rows[i].key);
        r.role = rows[i].role;
        hears(&f, r);
        assert_int_equal(f.e.state, rows[i].does ? RK_ST_J_IDLE : RK_ST_IDLE);
        assert_int_equal(f.e.d.seq, rows[i].does ? 9 : 4);
        assert_int_equal(f.e.d.floor, rows[i].does ? 9 : 4);
    }
}

/* What the master transmits on is known from an offer that was refused; when it says none, nothing is forgotten. */
static void
refused_offer_tells(void **state)
{
    struct rk_record offer = record(M, RK_SAY_OFFER, 5, "5");
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_A, SL);
    strcpy(offer.prev, "x");
    hears(&f, offer);
    assert_int_equal(f.e.nack_err, RK_E_CONFLICT);
    assert_string_equal(f.e.peer_active, "x");
    assert_int_equal(f.e.peer_active_seq, 0);
    ready(&f, RK_CLASS_A, SL);
    strcpy(offer.prev, "");
    strcpy(offer.key, "");
    hears(&f, offer);
    assert_int_equal(f.e.nack_err, RK_E_PROTOCOL);
    assert_string_equal(f.e.peer_active, "k4");
    assert_int_equal(f.e.peer_active_seq, 4);
    ready_with_letters(&f, RK_CLASS_A, SL);
    strcpy(offer.key, "4");
    hears(&f, offer);
    assert_int_equal(f.e.nack_err, RK_E_PROTOCOL); /* a key that is in use */
    strcpy(offer.key, "5");
    strcpy(offer.prev, "x");
    ready_with_letters(&f, RK_CLASS_A, SL);
    hears(&f, offer);
    assert_int_equal(f.e.nack_err, RK_E_CONFLICT);
    ready_with_letters(&f, RK_CLASS_A, SL);
    f.e.d.cur[0] = '\0';
    f.e.looked = true;
    hears(&f, offer);
    assert_int_equal(f.e.state, RK_ST_J_INTENT); /* it has none that would have to stay */
}

/* A key ID that came before is refused, of the last sixteen also one that was given up; a new one is not. */
static void
key_ids_come_once(void **state)
{
    struct fix f, g;
    char id[16];

    (void)state;
    ready(&f, RK_CLASS_B, SL);
    for (unsigned n = 0; n < 3 * RK_USED_KEYS; n++) {
        for (unsigned ago = 0; ago <= RK_USED_KEYS; ago++) { /* 0: a new one */
            snprintf(id, sizeof id, "id-%u", n - ago);
            g = f;
            hears(&g, peer_says(&g, RK_SAY_OFFER, g.e.d.seq + 1, id));
            assert_int_equal(g.e.state, ago && ago <= n ? RK_ST_J_BURNT : RK_ST_J_INTENT);
            assert_int_equal(g.e.nack_err, ago && ago <= n ? RK_E_PROTOCOL : RK_OK);
        }
        snprintf(id, sizeof id, "id-%u", n);
        f.new_key = id;
        goes_to(&f, RK_ST_FETCH);
        fails(&f, RK_E_KEY_GONE);
        goes_to(&f, RK_ST_IDLE);
    }
    hears(&f, peer_says(&f, RK_SAY_OFFER, f.e.d.seq + 1, "id-0")); /* so long ago that it is forgotten */
    assert_int_equal(f.e.state, RK_ST_J_INTENT);
}

/* ---- roles ---- */

/* A role that was configured anew is taken between two rotations. */
static void
new_role(void **state)
{
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_A, SL);
    f.e.own_sae = f.e.peer_sae = "";
    hears(&f, record(M, RK_SAY_WITHDRAWN, 9, "x")); /* it catches up, and says no */
    happens(&f, RK_EV_DONE);
    f.e.d.floor = 4; /* as if from an older journal */
    f.e.nack_err = RK_E_AUTH;
    assert_true(f.e.alarms & RK_ALARM_SPLIT);
    f.e.conf_role = SL;
    hears(&f, record(M, RK_SAY_WITHDRAWN, 9, "x"));
    assert_int_equal(f.e.d.role, SL);
    assert_false(f.todo.publish);
    f.e.conf_role = M;
    hears(&f, record(M, RK_SAY_WITHDRAWN, 9, "x"));
    assert_int_equal(f.e.d.role, M);
    assert_true(f.todo.publish);
    assert_int_equal(f.e.d.floor, 9);
    assert_int_equal(f.e.nack_err, 0);
    assert_false(f.e.alarms & RK_ALARM_SPLIT);
    for (uint64_t floor = 5; floor <= 30; floor += 25)
        for (uint32_t role = SL; role >= M; role--) { /* only a master needs it, and it only grows */
            f.e.d.floor = floor;
            f.e.conf_role = role;
            happens(&f, RK_EV_TICK);
            assert_int_equal(f.e.d.role, role);
            assert_int_equal(f.e.d.floor, role == M && floor < 9 ? 9 : floor);
        }
    ready(&f, RK_CLASS_A, M);
    f.e.own_sae = f.e.peer_sae = "";
    goes_to(&f, RK_ST_STAGED);
    f.e.conf_role = SL;
    hears(&f, peer_says(&f, RK_SAY_ACTIVE, 4, "k4"));
    assert_int_equal(f.e.d.role, M);
    goes_to(&f, RK_ST_IDLE);
    assert_int_equal(f.e.d.role, SL);
}

/* The rule needs two names that differ, and a peer that can hear of it. */
static void
no_rule(void **state)
{
    static const struct {
        const char *own, *peer;
        uint32_t class;
        bool conflict;
    } rows[] = {{"B", "A", RK_CLASS_A, true}, {"A", "B", RK_CLASS_A, true}, {"B", "B", RK_CLASS_A, false},
                {"", "A", RK_CLASS_A, false}, {"", "", RK_CLASS_A, false}, {"B", "A", RK_CLASS_B, true},
                {"B", "A", RK_CLASS_E, false}};
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rk_record r;

        alone(&f, rows[i].class, M);
        f.e.own_sae = rows[i].own;
        f.e.peer_sae = rows[i].peer;
        r = peer_says(&f, RK_SAY_ACTIVE, 4, "k4");
        r.role = M;
        hears(&f, r);
        assert_int_equal((f.e.alarms & RK_ALARM_ROLE_CONFLICT) != 0, rows[i].conflict);
        assert_int_equal(f.e.d.role, rows[i].conflict && strcmp(rows[i].own, "B") == 0 ? SL : M);
        assert_int_equal(f.e.yielded, rows[i].conflict && strcmp(rows[i].own, "B") == 0);
    }
}

/* An end that took the other role by the rule keeps it against its configuration. */
static void
yielded_stays(void **state)
{
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_A, M);
    f.e.own_sae = "Z";
    f.e.conf_role = M;
    hears(&f, record(M, RK_SAY_ACTIVE, 4, "k4"));
    assert_int_equal(f.e.d.role, SL);
    hears(&f, record(M, RK_SAY_ACTIVE, 4, "k4"));
    assert_int_equal(f.e.d.role, SL);
    assert_true(f.e.alarms & RK_ALARM_ROLE_CONFLICT);
    goes_to(&f, RK_ST_STAGED); /* and works in it */
    assert_int_equal(f.e.d.role, SL);
}

/* ---- answers ---- */

/* The slave went on by itself, or this end's journal is an old one: it is ahead, and has the key. */
static void
slave_is_ahead(void **state)
{
    struct fix f;

    (void)state;
    for (uint32_t class = RK_CLASS_A; class <= RK_CLASS_B; class++) {
        ready(&f, class, M);
        goes_to(&f, RK_ST_STAGED);
        hears(&f, peer_says(&f, RK_SAY_ACTIVE, 5, "k5"));
        assert_int_equal(f.e.state, RK_ST_J_ACTIVATING);
        assert_int_equal(f.e.d.phase, RK_PH_ACTIVATING);
        ready(&f, class, M);
        goes_to(&f, RK_ST_STAGED);
        hears(&f, peer_says(&f, RK_SAY_ACTIVE, 5, "x5"));
        assert_int_equal(f.e.state, RK_ST_J_BURNING);
    }
}

/* After a restart the master's word of before may be heard first. */
static void
old_word_after_restart(void **state)
{
    struct fix f;

    (void)state;
    for (uint32_t role = M; role <= SL; role++) {
        fresh(&f, role);
        f.e.d.phase = RK_PH_STAGED;
        f.e.d.seq = f.e.d.floor = 5;
        strcpy(f.e.d.cand, "k5");
        strcpy(f.e.d.mine, TAG_M);
        strcpy(f.e.d.theirs, TAG_S);
        happens(&f, RK_EV_START);
        sees(&f, USED, BOTH);
        assert_int_equal(f.e.state, RK_ST_STAGED);
        hears(&f, peer_says(&f, RK_SAY_WITHDRAWN, 4, "k4"));
        assert_int_equal(f.e.state, RK_ST_STAGED);
    }
    for (int knows = 0; knows < 2; knows++) { /* nor is MKA given up for it */
        ready(&f, RK_CLASS_B, M);
        goes_to(&f, RK_ST_J_ACTIVATING);
        if (knows)
            f.e.peer.seq = 4;
        else
            f.e.peer.role = 0;
        f.e.peer.say = RK_SAY_NACK;
        happens(&f, RK_EV_DONE);
        shown(&f, (struct look){.cur = BOTH, .cand = BOTH});
        assert_int_equal(f.e.state, RK_ST_OBSERVE);
        assert_int_equal(f.e.d.phase, RK_PH_ACTIVATING);
    }
}

/* A tag that is not known cannot be confirmed, not even by nothing. */
static void
confirmed_by_the_tag(void **state)
{
    struct fix f;

    (void)state;
    for (int known = 0; known < 2; known++) {
        ready(&f, RK_CLASS_A, M);
        goes_to(&f, RK_ST_STAGED);
        if (!known)
            memset(f.e.d.theirs, 0, sizeof f.e.d.theirs);
        hears(&f, peer_says(&f, RK_SAY_STAGED, 5, "k5"));
        assert_int_equal(f.e.state, known ? RK_ST_J_ACTIVATING : RK_ST_J_BURNING);
    }
}

/* A slave that did not follow: the rotation ends, and another one comes soon. */
static void
did_not_follow(void **state)
{
    static const struct {
        uint32_t say;
        uint64_t seq;
        const char *key;
        bool over, lost;
    } rows[] = {
        {RK_SAY_ACTIVE, 5, "k5", true, false}, {RK_SAY_ACTIVE, 5, "x5", false, false},
        {RK_SAY_NACK, 5, "k4", true, true},    {RK_SAY_STAGED, 5, "k5", false, false},
        {RK_SAY_LOST, 5, "", true, true},      {RK_SAY_LOST, 4, "", false, false},
        {RK_SAY_IDLE, 6, "", true, true},
    };
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ready(&f, RK_CLASS_A, M);
        goes_to(&f, RK_ST_ACTIVE);
        hears(&f, peer_says(&f, rows[i].say, rows[i].seq, rows[i].key));
        assert_int_equal(f.e.state, rows[i].over ? RK_ST_DRAIN : RK_ST_ACTIVE);
        assert_int_equal(f.e.peer_lost, rows[i].lost);
        assert_int_equal(f.e.want, rows[i].lost);
        assert_int_equal(f.e.failures, rows[i].lost);
    }
}

/* A CAK: the slave has the last word on each rotation, and what it names is in use; until then nothing begins. */
static void
last_word(void **state)
{
    static const struct {
        uint32_t say;
        uint64_t seq;
        const char *key;
        bool begins;
    } rows[] = {
        {RK_SAY_ACTIVE, 4, "k4", false}, {RK_SAY_STAGED, 5, "k5", false}, {RK_SAY_OFFER, 5, "k5", false},
        {RK_SAY_NACK, 5, "k4", true},    {RK_SAY_LOST, 5, "", true},
    };
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ready(&f, RK_CLASS_B, M);
        goes_to(&f, RK_ST_FETCH);
        fails(&f, RK_E_EMPTY);
        happens(&f, RK_EV_DONE);
        f.now_ns += S; /* the device was read a while ago */
        f.e.due_ns = f.now_ns;
        hears(&f, peer_says(&f, rows[i].say, rows[i].seq, rows[i].key));
        if (rows[i].begins)
            shown(&f, (struct look){.cur = IN_USE, .prev = BOTH});
        assert_int_equal(f.e.state, rows[i].begins ? RK_ST_J_INTENT : RK_ST_IDLE);
    }
}

/* A peer that transmits on nothing is helped at once; a CAK peer that uses another key is too. */
static void
helps_at_once(void **state)
{
    static const struct {
        uint32_t class;
        const char *key;
        bool helps;
    } rows[] = {{RK_CLASS_A, "", true}, {RK_CLASS_A, "kx", false}, {RK_CLASS_A, "4", false}, {RK_CLASS_B, "", true},
                {RK_CLASS_B, "kx", true}, {RK_CLASS_B, "4", false}};
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ready_with_letters(&f, rows[i].class, M);
        f.now_ns += S;
        hears(&f, peer_says(&f, RK_SAY_LOST, 4, rows[i].key));
        if (rows[i].class == RK_CLASS_B && rows[i].helps)
            shown(&f, (struct look){.cur = IN_USE, .prev = BOTH});
        assert_int_equal(f.e.state, rows[i].helps ? RK_ST_J_INTENT : RK_ST_IDLE);
    }
}

/* What a slave said no to is past: when its device loses the key of a later rotation, that is what it says. */
static void
old_no_is_over(void **state)
{
    struct rk_record r;
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_A, SL);
    goes_to(&f, RK_ST_FETCH);
    fails(&f, RK_E_KEY_GONE);
    goes_to(&f, RK_ST_IDLE);
    f.new_key = "k6";
    goes_to(&f, RK_ST_RETIRE);
    fails(&f, RK_E_UNKNOWN);
    tick_at(&f, f.e.wake_ns);
    shown(&f, (struct look){.cur = 0});
    happens(&f, RK_EV_DONE);
    rk_end_record(&f.e, &r);
    assert_int_equal(r.say, RK_SAY_LOST);
    assert_int_equal(r.seq, 6);
}

/* The key in use, and the number it came with, are what a device is asked to shut or to sweep; and in no terms. */
static void
policy_asks_for_cur(void **state)
{
    struct fix f;

    (void)state;
    for (uint32_t class = RK_CLASS_A; class <= RK_CLASS_B; class++)
        for (int shut = 0; shut < 2; shut++) {
            ready(&f, class, SL);
            goes_to(&f, RK_ST_FETCH);
            assert_string_equal(f.todo.terms, "");
            fails(&f, RK_E_KEY_GONE); /* a number that came with no key */
            goes_to(&f, RK_ST_IDLE);
            if (shut) {
                f.e.on_stale = RK_STALE_SHUT;
                f.e.verify_at_ns = RK_NEVER;
                tick_at(&f, f.e.cur_since_ns + f.e.shut_after_ns);
            } else {
                happens(&f, RK_EV_ADOPT);
            }
            happens(&f, RK_EV_DONE);
            assert_int_equal(f.todo.act, shut ? RK_ACT_SHUT : RK_ACT_SWEEP);
            assert_string_equal(f.todo.key_id, "k4");
            assert_int_equal(f.todo.seq, 4);
            assert_string_equal(f.todo.terms, "");
        }
    ready(&f, RK_CLASS_A, M);
    goes_to(&f, RK_ST_STAGE);
    assert_string_equal(f.todo.terms, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_heard),
        cmocka_unit_test(says_less_in_another_role),
        cmocka_unit_test(old_offers),
        cmocka_unit_test(floor_of_a_master),
        cmocka_unit_test(free_slots),
        cmocka_unit_test(key_of_the_peer),
        cmocka_unit_test(split),
        cmocka_unit_test(catches_up),
        cmocka_unit_test(refused_offer_tells),
        cmocka_unit_test(key_ids_come_once),
        cmocka_unit_test(new_role),
        cmocka_unit_test(no_rule),
        cmocka_unit_test(yielded_stays),
        cmocka_unit_test(slave_is_ahead),
        cmocka_unit_test(old_word_after_restart),
        cmocka_unit_test(confirmed_by_the_tag),
        cmocka_unit_test(did_not_follow),
        cmocka_unit_test(last_word),
        cmocka_unit_test(helps_at_once),
        cmocka_unit_test(old_no_is_over),
        cmocka_unit_test(policy_asks_for_cur),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
