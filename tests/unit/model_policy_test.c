/* model_policy_test.c - which alarm tells of what and when it is over, what operators' wishes and devices' words lead
 * to, keys of a fallback source, classes and the words behind facts. */
#include "model_rig.h"

#include "core/model/end_class.h"
#include "core/model/end_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- alarms of actions ---- */

static void
alarm_of_each_action(void **state)
{
    const uint32_t all = RK_ALARM_DEVICE | RK_ALARM_JOURNAL | RK_ALARM_SOURCE | RK_ALARM_SOURCE_DRY;
    struct fix f;

    (void)state;
    for (int st = 0; st < RK_ST_COUNT; st++)
        for (int dry = 0; dry < 2; dry++) {
            bool journal, waits;
            uint32_t alarm;

            bring(&f, M, (enum rk_state)st);
            journal = f.todo.act == RK_ACT_JOURNAL;
            waits = f.todo.act == RK_ACT_NONE;
            alarm = st == RK_ST_FETCH ? (dry ? RK_ALARM_SOURCE_DRY : RK_ALARM_SOURCE)
                    : journal        ? RK_ALARM_JOURNAL
                                     : RK_ALARM_DEVICE;
            if (waits)
                continue;
            fails(&f, dry ? RK_E_EMPTY : RK_E_BUSY);
            assert_int_equal(f.e.alarms & all, alarm);
        }
}

/* The source gives again, the device is read again: over. */
static void
alarms_go_out(void **state)
{
    struct fix f;

    (void)state;
    for (int dry = 0; dry < 2; dry++) {
        ready(&f, RK_CLASS_A, M);
        goes_to(&f, RK_ST_FETCH);
        fails(&f, dry ? RK_E_EMPTY : RK_E_IO);
        happens(&f, RK_EV_DONE);
        due(&f);
        happens(&f, RK_EV_DONE);
        assert_int_equal(f.e.alarms, dry ? RK_ALARM_SOURCE_DRY : RK_ALARM_SOURCE);
        goes_well(&f);
        assert_int_equal(f.e.alarms, 0);
    }
    ready(&f, RK_CLASS_A, M);
    tick_at(&f, f.e.verify_at_ns);
    for (int i = 0; i < 3; i++) {
        fails(&f, RK_E_IO);
        assert_int_equal(f.e.alarms, RK_ALARM_DEVICE);
        tick_at(&f, f.e.wake_ns);
    }
    shown(&f, (struct look){.cur = IN_USE});
    assert_int_equal(f.e.alarms, 0);
    assert_int_equal(f.e.tries, 0);
}

/* A device that cannot be shut is told of, and not asked again; that it cannot sweep says nothing of shutting. */
static void
cannot_shut(void **state)
{
    struct fix f;

    (void)state;
    bring(&f, SL, RK_ST_SWEEP);
    fails(&f, RK_E_UNSUPPORTED);
    assert_false(f.e.cannot_shut);
    bring(&f, SL, RK_ST_SHUT);
    fails(&f, RK_E_BUSY);
    assert_false(f.e.cannot_shut);
    bring(&f, SL, RK_ST_SHUT);
    fails(&f, RK_E_UNSUPPORTED);
    assert_true(f.e.cannot_shut);
    f.e.d.flags = RK_DF_SWEEP;
    bring(&f, SL, RK_ST_SWEEP);
    f.e.cannot_shut = true;
    fails(&f, RK_E_UNSUPPORTED);
    assert_true(f.e.cannot_shut);
}

/* Each alarm is told beside the others. */
static void
all_alarms(void **state)
{
    const uint32_t all = RK_ALARM_FOREIGN | RK_ALARM_EXPIRED | RK_ALARM_NO_PEER | RK_ALARM_CLOCK_SKEW |
                         RK_ALARM_FALLBACK_IN_USE;
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_D, SL);
    f.e.d.flags = RK_DF_FALLBACK;
    tick_at(&f, f.e.verify_at_ns);
    shown(&f, (struct look){.cur = IN_USE, .prev = BOTH, .foreign = 1, .facts = ""});
    assert_int_equal(rk_end_alarms(&f.e, f.now_ns + 4 * INTERVAL), all);
    f.e.alarms = 0;
    f.e.clock_bad = false;
    f.e.d.flags = 0;
    assert_int_equal(rk_end_alarms(&f.e, f.now_ns + 4 * INTERVAL), RK_ALARM_EXPIRED | RK_ALARM_NO_PEER);
    f.e.start_bad = true;
    assert_int_equal(rk_end_alarms(&f.e, f.now_ns), RK_ALARM_CLOCK_SKEW);
    assert_int_equal(rk_end_alarms(&f.e, f.e.heard_ns + 3 * VERIFY + 1), RK_ALARM_CLOCK_SKEW | RK_ALARM_NO_PEER);
    f.e.alarms = RK_ALARM_FOREIGN;
    f.e.start_bad = false;
    assert_int_equal(rk_end_alarms(&f.e, f.e.cur_since_ns + INTERVAL / 4 * 5 + 1),
                     RK_ALARM_FOREIGN | RK_ALARM_DUE | RK_ALARM_NO_PEER);
    assert_int_equal(rk_end_alarms(&f.e, f.e.cur_since_ns + INTERVAL / 2 * 3 + 1),
                     RK_ALARM_FOREIGN | RK_ALARM_OVERDUE | RK_ALARM_NO_PEER);
}

/* Only a master's unknown outcome may have cost a key: a slave's is asked for by its ID. */
static void
orphans(void **state)
{
    static const struct {
        uint32_t role;
        int err;
        unsigned orphaned;
    } rows[] = {{M, RK_E_UNKNOWN, 1}, {M, RK_E_BUSY, 0}, {SL, RK_E_UNKNOWN, 0}, {SL, RK_E_AUTH, 0}};
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ready(&f, RK_CLASS_A, rows[i].role);
        goes_to(&f, RK_ST_FETCH);
        fails(&f, rows[i].err);
        assert_int_equal(f.e.orphaned, rows[i].orphaned);
    }
}

/* ---- operators and devices ---- */

/* The operator's key took the place of the current one beside the previous one: that is not in use again, and one word
 * of the operator is enough. */
static void
operators_key_beside_previous(void **state)
{
    static const uint32_t classes[] = {RK_CLASS_B, RK_CLASS_C, RK_CLASS_E};
    const struct look other = {.prev = RK_HELD_RX, .state = RK_IF_OTHER, .foreign = 1};
    struct fix f;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        ready(&f, classes[i], M);
        tick_at(&f, f.e.verify_at_ns);
        shown(&f, other);
        assert_string_equal(f.todo.note, "held");
        assert_string_equal(f.e.d.cur, "");
        assert_string_equal(f.e.d.prev, "k3");
        happens(&f, RK_EV_DONE);
        while (f.e.state == RK_ST_OBSERVE)
            shown(&f, other);
        happens(&f, RK_EV_ADOPT);
        happens(&f, RK_EV_DONE);
        if (f.e.state == RK_ST_OBSERVE)
            shown(&f, other);
        assert_int_equal(f.e.d.flags, RK_DF_SWEEP);
        assert_int_equal(f.e.state, RK_ST_J_INTENT);
    }
}

/* A key that the device cannot tell from rekeyd's own, but for its name, is an operator's, too. */
static void
operators_key_alarm(void **state)
{
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_B, M);
    tick_at(&f, f.e.verify_at_ns);
    shown(&f, (struct look){.state = RK_IF_OTHER});
    assert_true(f.e.alarms & RK_ALARM_FOREIGN);
    happens(&f, RK_EV_DONE);
    while (f.e.state == RK_ST_OBSERVE)
        shown(&f, (struct look){.state = RK_IF_OTHER});
    tick_at(&f, f.e.verify_at_ns);
    shown(&f, (struct look){.state = RK_IF_OTHER});
    assert_true(f.e.alarms & RK_ALARM_FOREIGN);
    tick_at(&f, f.e.verify_at_ns);
    shown(&f, (struct look){.state = 0}); /* it was taken away */
    assert_false(f.e.alarms & RK_ALARM_FOREIGN);
}

static void
adopts(void **state)
{
    struct fix f;

    (void)state;
    for (int held = 0; held < 2; held++)
        for (int wanted = 0; wanted < 2; wanted++) {
            ready(&f, RK_CLASS_A, SL);
            f.e.d.flags = (held ? RK_DF_HELD : 0) | RK_DF_FALLBACK;
            f.e.want = wanted;
            happens(&f, RK_EV_ADOPT);
            assert_int_equal(f.e.d.flags, RK_DF_SWEEP | RK_DF_FALLBACK);
            assert_int_equal(f.e.want, held || wanted); /* a new key takes over from the operator's */
        }
    ready(&f, RK_CLASS_A, SL); /* while the device is being read: not forgotten, and journaled before it is done */
    tick_at(&f, f.e.verify_at_ns);
    happens(&f, RK_EV_ADOPT);
    assert_int_equal(f.todo.act, RK_ACT_NONE);
    shown(&f, (struct look){.cur = IN_USE});
    assert_int_equal(f.todo.act, RK_ACT_JOURNAL);
    assert_int_equal(f.e.state, RK_ST_J_IDLE);
    happens(&f, RK_EV_DONE);
    assert_int_equal(f.todo.act, RK_ACT_SWEEP);
    assert_string_equal(f.todo.key_id, "k4");
}

/* Adopted keys go only when this end and its peer use the current one. */
static void
when_to_sweep(void **state)
{
    static const struct {
        uint32_t class, flags, cur;
        const char *peer_key;
        bool sweeps;
    } rows[] = {
        {RK_CLASS_A, RK_DF_SWEEP, IN_USE, "4", true}, {RK_CLASS_A, 0, IN_USE, "4", false},
        {RK_CLASS_A, RK_DF_SWEEP, IN_USE, "x", false}, {RK_CLASS_B, RK_DF_SWEEP, BOTH, "4", false},
        {RK_CLASS_E, RK_DF_SWEEP, IN_USE, "", true},
    };
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ready_with_letters(&f, rows[i].class, SL);
        tick_at(&f, f.e.verify_at_ns);
        shown(&f, (struct look){.cur = rows[i].cur, .prev = f.e.d.prev[0] ? BOTH : 0});
        strcpy(f.e.peer.key, rows[i].peer_key);
        f.e.d.flags = rows[i].flags;
        happens(&f, RK_EV_TICK);
        assert_int_equal(f.todo.act == RK_ACT_SWEEP, rows[i].sweeps);
    }
    ready(&f, RK_CLASS_A, SL); /* there is none that they could use */
    f.e.d.cur[0] = '\0';
    f.e.peer.key[0] = f.e.peer_active[0] = '\0';
    f.e.peer_active_seq = 0;
    f.e.seen_cur = IN_USE;
    happens(&f, RK_EV_ADOPT);
    happens(&f, RK_EV_DONE);
    assert_int_equal(f.e.state, RK_ST_IDLE);
}

/* A device that is shut stays so; one that is not is shut again. */
static void
stays_shut(void **state)
{
    static const struct {
        uint32_t prev;
        bool again;
    } rows[] = {{BOTH, false}, {USED, true}, {RK_SENDING, true}, {0, false}};
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bring(&f, SL, RK_ST_SHUT);
        happens(&f, RK_EV_DONE);
        sees(&f, BOTH, 0);
        happens(&f, RK_EV_DONE);
        assert_int_equal(f.e.state, RK_ST_IDLE);
        assert_string_equal(f.e.d.cur, "");
        tick_at(&f, f.e.verify_at_ns);
        shown(&f, (struct look){.prev = rows[i].prev, .facts = "sci=a"});
        assert_int_equal(f.todo.act, rows[i].again ? RK_ACT_SHUT : RK_ACT_NONE);
        assert_string_equal(f.todo.key_id, rows[i].again ? "k4" : "");
        assert_int_equal(f.todo.seq, rows[i].again ? 4 : 0);
        assert_true(f.e.d.flags & RK_DF_SHUT);
    }
    f.e.d.flags = RK_DF_SHUT | RK_DF_HELD; /* held too, and the operator has taken the key away again */
    tick_at(&f, f.e.verify_at_ns);
    shown(&f, (struct look){.facts = "sci=a"});
    assert_int_equal(f.e.state, RK_ST_J_IDLE);
    assert_int_equal(f.e.d.flags, RK_DF_SHUT);
    assert_true(f.e.want);
    ready(&f, RK_CLASS_B, SL); /* a CAK is not lost by it: it is in its place, and MKA is down */
    f.e.d.flags = RK_DF_SHUT;
    tick_at(&f, f.e.verify_at_ns);
    shown(&f, (struct look){.cur = BOTH, .prev = BOTH});
    assert_int_equal(f.e.state, RK_ST_IDLE);
    tick_at(&f, f.e.verify_at_ns);
    shown(&f, (struct look){.cur = USED, .prev = BOTH});
    assert_int_equal(f.todo.act, RK_ACT_SHUT);
}

/* A slave with a candidate that is staged, and a key that is too old. */
static void
too_old_staged(struct fix *f)
{
    bring(f, SL, RK_ST_STAGED);
    f->e.cur_since_ns = f->now_ns;
    f->e.on_stale = RK_STALE_SHUT;
    f->e.shut_after_ns = 6 * INTERVAL;
    f->e.verify_at_ns = RK_NEVER;
    tick_at(f, f->e.cur_since_ns + 6 * INTERVAL);
    assert_int_equal(f->e.state, RK_ST_J_SHUT);
    assert_int_equal(f->e.d.phase, RK_PH_STAGED);
    assert_string_equal(f->e.d.cand, "k5");
    happens(f, RK_EV_DONE);
    assert_int_equal(f->todo.act, RK_ACT_SHUT);
    assert_string_equal(f->todo.key_id, "k4");
}

static void
goes_on_with_k5(struct fix *f)
{
    hears(f, record(M, RK_SAY_ACTIVE, 5, "k5"));
    assert_int_equal(f->e.state, RK_ST_J_ACTIVATING);
    happens(f, RK_EV_DONE);
    assert_int_equal(f->todo.act, RK_ACT_ACTIVATE);
    happens(f, RK_EV_DONE);
    shown(f, (struct look){.cand = USED, .prev = BOTH, .facts = "sci=a"});
    assert_string_equal(f->e.d.cur, "k5");
    assert_string_equal(f->e.d.prev, f->e.d.prev_seq ? "k4" : "");
    assert_int_equal(f->e.d.flags & RK_DF_SHUT, 0);
}

/* A slave has said that it has the key, and its master may transmit on it: it shuts the link and keeps the key, which
 * opens the link again. */
static void
shut_while_staged(void **state)
{
    struct rk_record r;
    struct fix f;

    (void)state;
    too_old_staged(&f);
    happens(&f, RK_EV_DONE);
    shown(&f, (struct look){.cur = BOTH, .cand = BOTH, .facts = "sci=a"});
    assert_int_equal(f.e.state, RK_ST_J_STAGED); /* that nothing is in use is durable first */
    happens(&f, RK_EV_DONE);
    shown(&f, (struct look){.prev = BOTH, .cand = BOTH, .facts = "sci=a"});
    assert_int_equal(f.e.state, RK_ST_STAGED);
    rk_end_record(&f.e, &r);
    assert_int_equal(r.say, RK_SAY_STAGED);
    assert_string_equal(r.key, "k5");
    assert_string_equal(r.prev, "");
    assert_string_equal(r.facts, "sci=a,shut");
    tick_at(&f, f.now_ns + INTERVAL); /* and it stays shut */
    assert_int_equal(f.e.state, RK_ST_OBSERVE);
    shown(&f, (struct look){.prev = USED, .cand = BOTH, .facts = "sci=a"});
    assert_int_equal(f.todo.act, RK_ACT_SHUT);
    happens(&f, RK_EV_DONE);
    shown(&f, (struct look){.prev = USED, .cand = BOTH, .facts = "sci=a"}); /* a device that lies: the new key counts */
    assert_int_equal(f.e.state, RK_ST_STAGED);
    assert_true(rk_end_alarms(&f.e, f.now_ns) & RK_ALARM_DEVICE);
    goes_on_with_k5(&f);

    bring(&f, SL, RK_ST_STAGED); /* the tick is late, and a record comes first */
    f.e.on_stale = RK_STALE_SHUT;
    f.e.shut_after_ns = 6 * INTERVAL;
    f.now_ns = f.e.cur_since_ns + 6 * INTERVAL;
    hears(&f, record(M, RK_SAY_OFFER, 5, "k5"));
    assert_int_equal(f.e.state, RK_ST_J_SHUT);

    too_old_staged(&f); /* the master gave it up */
    happens(&f, RK_EV_DONE);
    hears(&f, record(M, RK_SAY_WITHDRAWN, 5, "k4"));
    shown(&f, (struct look){.cur = BOTH, .cand = BOTH, .facts = "sci=a"});
    happens(&f, RK_EV_DONE);
    shown(&f, (struct look){.prev = BOTH, .cand = BOTH, .facts = "sci=a"});
    assert_int_equal(f.e.state, RK_ST_J_BURNING);
    assert_true(f.e.d.flags & RK_DF_SHUT);
}

/* A device that cannot be shut, or not now, does not stand in the way of the key that is staged. */
static void
cannot_shut_while_staged(void **state)
{
    struct fix f;

    (void)state;
    too_old_staged(&f);
    fails(&f, RK_E_UNSUPPORTED);
    assert_int_equal(f.e.state, RK_ST_J_STAGED);
    assert_int_equal(f.e.d.flags & RK_DF_SHUT, 0);
    happens(&f, RK_EV_DONE);
    shown(&f, (struct look){.cur = USED, .cand = BOTH, .facts = "sci=a"});
    assert_int_equal(f.e.state, RK_ST_STAGED);
    goes_on_with_k5(&f);

    too_old_staged(&f);
    fails(&f, RK_E_UNREACHABLE);
    assert_paused(&f, RK_ST_OBSERVE);
    shown(&f, (struct look){.cur = USED, .cand = BOTH, .facts = "sci=a"});
    assert_int_equal(f.todo.act, RK_ACT_SHUT);
    hears(&f, record(M, RK_SAY_ACTIVE, 5, "k5"));
    fails(&f, RK_E_UNREACHABLE);
    assert_paused(&f, RK_ST_OBSERVE);
    shown(&f, (struct look){.cur = USED, .cand = BOTH, .facts = "sci=a"});
    assert_int_equal(f.e.state, RK_ST_J_ACTIVATING);
}

/* Where MKA switches, the slave's word ends a rotation, and its master follows it back. */
static void
cak_given_up_to_shut(void **state)
{
    static const uint32_t classes[] = {RK_CLASS_B, RK_CLASS_C, RK_CLASS_D, RK_CLASS_E};
    struct fix f;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        ready(&f, classes[i], SL);
        goes_to(&f, RK_ST_STAGED);
        f.e.on_stale = RK_STALE_SHUT;
        f.e.verify_at_ns = f.e.give_up_ns = RK_NEVER;
        tick_at(&f, f.e.cur_since_ns + 6 * INTERVAL);
        assert_int_equal(f.e.state, RK_ST_J_BURNING);
    }
}

/* What is wanted while a rotation goes on stays wanted; but what this rotation cures is not asked for again. */
static void
wishes(void **state)
{
    struct fix f;

    (void)state;
    for (int lost = 0; lost < 2; lost++) {
        ready(&f, RK_CLASS_A, SL);
        goes_to(&f, RK_ST_J_STAGED);
        happens(&f, RK_EV_ROTATE);
        happens(&f, RK_EV_DONE);
        shown(&f, (struct look){.cur = lost ? 0 : IN_USE, .cand = BOTH});
        assert_int_equal(f.e.want, !lost);
    }
    ready(&f, RK_CLASS_A, SL);
    tick_at(&f, f.e.verify_at_ns);
    shown(&f, (struct look){.cur = IN_USE, .state = RK_IF_REKEY}); /* packet numbers run out */
    assert_true(f.e.want);
    ready(&f, RK_CLASS_A, M);
    tick_at(&f, f.e.verify_at_ns);
    shown(&f, (struct look){.cur = IN_USE, .state = RK_IF_REKEY});
    assert_int_equal(f.e.state, RK_ST_J_INTENT);
    assert_false(f.e.want);
    ready(&f, RK_CLASS_A, M); /* the operator took his key away again: ours comes at once */
    tick_at(&f, f.e.verify_at_ns);
    shown(&f, (struct look){.cur = BOTH, .state = RK_IF_OTHER});
    assert_false(f.e.want);
    happens(&f, RK_EV_DONE);
    shown(&f, (struct look){.prev = BOTH, .state = RK_IF_OTHER});
    assert_int_equal(f.e.state, RK_ST_IDLE);
    tick_at(&f, f.e.verify_at_ns);
    shown(&f, (struct look){.prev = BOTH});
    assert_int_equal(f.e.d.flags, 0);
    assert_true(f.e.want);
    happens(&f, RK_EV_DONE);
    if (f.e.state == RK_ST_OBSERVE)
        shown(&f, (struct look){.prev = BOTH});
    assert_int_equal(f.e.state, RK_ST_J_INTENT);
}

/* A key of the fallback source is marked as long as it is in use, and the mark of one that was given up goes. */
static void
fallback_marks(void **state)
{
    struct fix f;

    (void)state;
    for (int fb = 0; fb < 2; fb++) {
        struct rk_record offer;

        ready(&f, RK_CLASS_A, SL);
        f.e.has_fallback = true;
        f.e.d.flags = fb ? 0 : RK_DF_CAND_FALLBACK | RK_DF_FALLBACK;
        offer = peer_says(&f, RK_SAY_OFFER, 5, "k5");
        strcpy(offer.facts, fb ? "sci=b,fb" : "sci=b");
        hears(&f, offer);
        assert_int_equal(f.e.d.flags, fb ? RK_DF_CAND_FALLBACK : RK_DF_FALLBACK);
        happens(&f, RK_EV_DONE);
        assert_int_equal(f.todo.act, RK_ACT_GET_BY_ID);
        assert_int_equal(f.todo.fallback, fb);
        goes_to(&f, RK_ST_J_ACTIVE);
        assert_int_equal(f.e.d.flags, fb ? RK_DF_FALLBACK : 0);
    }
}

/* Only a master whose policy it is, and whose key is too old, asks its fallback source; and not the same twice. */
static void
when_to_fall_back(void **state)
{
    static const struct {
        uint32_t role, flags;
        enum rk_stale policy;
        bool has, old, falls;
    } rows[] = {
        {M, 0, RK_STALE_FALLBACK, true, true, true},    {M, 0, RK_STALE_FALLBACK, true, false, false},
        {M, 0, RK_STALE_FALLBACK, false, true, false},  {M, 0, RK_STALE_HOLD, true, true, false},
        {M, 0, RK_STALE_SHUT, true, true, false},       {SL, 0, RK_STALE_FALLBACK, true, true, false},
        {M, RK_DF_CAND_FALLBACK, RK_STALE_FALLBACK, true, true, false},
    };
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ready(&f, RK_CLASS_A, rows[i].role);
        goes_to(&f, RK_ST_FETCH);
        f.e.on_stale = rows[i].policy;
        f.e.has_fallback = rows[i].has;
        f.e.shut_after_ns = 100 * INTERVAL;
        f.e.d.flags |= rows[i].flags;
        f.now_ns = f.e.cur_since_ns + 3 * INTERVAL + rows[i].old;
        fails(&f, RK_E_KEY_GONE);
        happens(&f, RK_EV_DONE);
        assert_int_equal(f.e.d.phase, rows[i].falls ? RK_PH_INTENT : RK_PH_IDLE);
        if (rows[i].falls) {
            happens(&f, RK_EV_DONE);
            assert_true(f.todo.fallback);
            assert_int_equal(f.todo.act, RK_ACT_GET_NEW);
        }
    }
}

/* A fallback source with one fixed key gives it each time; only a CAK may be installed again. */
static void
fallback_key_returns(void **state)
{
    static const struct {
        uint32_t class, role;
        bool fallback, taken;
    } rows[] = {
        {RK_CLASS_B, SL, true, true}, {RK_CLASS_B, SL, false, false}, {RK_CLASS_A, SL, true, false},
        {RK_CLASS_B, M, true, true},  {RK_CLASS_B, M, false, false},  {RK_CLASS_A, M, true, false},
    };
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ready(&f, rows[i].class, rows[i].role);
        f.e.has_fallback = true;
        rk_end_take_key(&f.e, "k5"); /* once, a while ago */
        f.e.d.cand[0] = '\0';
        if (rows[i].role == SL) {
            struct rk_record offer = peer_says(&f, RK_SAY_OFFER, 5, "k5");

            strcat(offer.facts, !rows[i].fallback ? "" : offer.facts[0] ? ",fb" : "fb");
            hears(&f, offer);
            assert_int_equal(f.e.state, rows[i].taken ? RK_ST_J_INTENT : RK_ST_J_BURNT);
            continue;
        }
        goes_to(&f, RK_ST_FETCH);
        f.e.d.flags |= rows[i].fallback ? RK_DF_CAND_FALLBACK : 0;
        step(&f, (struct rk_event){.type = RK_EV_KEY, .key_id = "k5"});
        assert_int_equal(f.e.state, rows[i].taken ? RK_ST_J_FETCHED : RK_ST_J_BURNT);
    }
}

/* ---- classes and their words ---- */

static void
proved(void **state)
{
    (void)state;
    for (uint32_t a = RK_CLASS_A; a <= RK_CLASS_E; a++)
        for (uint32_t b = RK_CLASS_A; b <= RK_CLASS_E; b++) {
            bool both_a = a == RK_CLASS_A && b == RK_CLASS_A;
            bool mka = a > RK_CLASS_A && a < RK_CLASS_E && b > RK_CLASS_A && b < RK_CLASS_E;

            assert_int_equal(rk_class_proved(a, b), both_a || mka);
        }
    for (uint32_t class = 0; class < 9; class++) {
        static const char *const letters[] = {"?", "A", "B", "C", "D", "E", "?", "?", "?"};

        assert_string_equal(rk_class_letter(class), letters[class]);
        assert_int_equal(rk_variant(class)->cak, class >= RK_CLASS_B && class <= RK_CLASS_E);
        assert_int_equal(rk_variant(class)->slots, rk_variant(class)->cak ? 0 : 4);
        assert_int_equal(rk_variant(class)->timed, class == RK_CLASS_D);
        assert_int_equal(rk_variant(class)->one_way, class == RK_CLASS_E);
    }
}

/* Words are added as long as there is room, to the last byte; what is not one of them is the device's. */
static void
words(void **state)
{
    static const char *const not_words[] = {"c=", "c=@", "c=F", "c=BB", "x=B", "c:B", "rekey2", "reke", "C=B"};
    struct rk_words w;

    (void)state;
    for (size_t len = RK_FACTS_MAX - 8; len <= RK_FACTS_MAX; len++) {
        char facts[RK_FACTS_MAX + 1] = "", want[RK_FACTS_MAX + 8] = "";

        memset(facts, 'x', len);
        memset(want, 'x', len);
        if (len + strlen(",rekey") <= RK_FACTS_MAX)
            strcat(want, ",rekey");
        rk_words_add(facts, &(struct rk_words){RK_WORD_REKEY, RK_CLASS_A});
        assert_string_equal(facts, want);
    }
    for (size_t i = 0; i < sizeof not_words / sizeof *not_words; i++) {
        char facts[RK_FACTS_MAX + 1];

        strcpy(facts, not_words[i]);
        rk_words_take(facts, &w);
        assert_string_equal(facts, not_words[i]);
        assert_int_equal(w.flags, 0);
        assert_int_equal(w.class, RK_CLASS_A);
    }
    for (char letter = 'A'; letter <= 'E'; letter++) {
        char facts[RK_FACTS_MAX + 1];

        snprintf(facts, sizeof facts, "sci=b,c=%c", letter);
        rk_words_take(facts, &w);
        assert_string_equal(facts, "sci=b");
        assert_int_equal(w.class, RK_CLASS_A + (uint32_t)(letter - 'A'));
    }
}

/* A peer's class is judged when it is heard and when the device says its own. */
static void
class_is_judged(void **state)
{
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_A, M);
    assert_false(f.e.alarms & RK_ALARM_UNPROVED);
    tick_at(&f, f.e.verify_at_ns);
    shown(&f, (struct look){.cur = IN_USE, .state = RK_IF_CLASS(RK_CLASS_B)});
    assert_true(f.e.alarms & RK_ALARM_UNPROVED);
    due(&f);
    assert_int_equal(f.e.d.seq, 4);
    alone(&f, RK_CLASS_E, M); /* a peer that is one-way says nothing of itself */
    hears(&f, peer_says(&f, RK_SAY_ACTIVE, 4, "k4"));
    assert_false(f.e.alarms & RK_ALARM_UNPROVED);
    alone(&f, RK_CLASS_E, M);
    {
        struct rk_record r = peer_says(&f, RK_SAY_ACTIVE, 4, "k4");

        strcpy(r.facts, "c=B");
        hears(&f, r);
        assert_true(f.e.alarms & RK_ALARM_UNPROVED);
        strcpy(r.facts, "x");
        hears(&f, r);
        assert_true(f.e.alarms & RK_ALARM_UNPROVED);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operators_key_beside_previous),
        cmocka_unit_test(operators_key_alarm),
        cmocka_unit_test(alarm_of_each_action),
        cmocka_unit_test(alarms_go_out),
        cmocka_unit_test(cannot_shut),
        cmocka_unit_test(all_alarms),
        cmocka_unit_test(orphans),
        cmocka_unit_test(adopts),
        cmocka_unit_test(when_to_sweep),
        cmocka_unit_test(stays_shut),
        cmocka_unit_test(shut_while_staged),
        cmocka_unit_test(cannot_shut_while_staged),
        cmocka_unit_test(cak_given_up_to_shut),
        cmocka_unit_test(wishes),
        cmocka_unit_test(fallback_marks),
        cmocka_unit_test(fallback_key_returns),
        cmocka_unit_test(when_to_fall_back),
        cmocka_unit_test(proved),
        cmocka_unit_test(words),
        cmocka_unit_test(class_is_judged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
