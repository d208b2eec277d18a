/* model_say_test.c - what an end says: its record, field by field, in each state and of each class; the history; and
 * the reasons that people read. */
#include "model_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct said {
    uint32_t say;
    uint64_t seq;
    const char *key, *prev, *facts, *confirm;
};

static void
says(const struct fix *f, struct said want)
{
    struct rk_record r;

    memset(&r, 0xff, sizeof r);
    rk_end_record(&f->e, &r);
    assert_int_equal(r.role, f->e.d.role);
    assert_string_equal(r.link, "a-b-1");
    assert_int_equal(r.term, 1);
    assert_int_equal(r.say, want.say);
    assert_int_equal(r.seq, want.seq);
    assert_string_equal(r.key, want.key);
    assert_string_equal(r.prev, want.prev ? want.prev : "");
    assert_string_equal(r.facts, want.facts);
    assert_string_equal(r.confirm, want.confirm ? want.confirm : "");
}

static const char *
facts_of(uint32_t class)
{
    static const char *const facts[] = {"", "sci=a", "c=B", "c=C", "clk=20,c=D", "c=E"};

    return facts[class];
}

/* ---- records ---- */

static void
in_a_rotation(uint32_t class, uint32_t role, bool letters)
{
    const char *facts = facts_of(class), *tag = role == M ? "" : TAG_S;
    uint32_t offers = role == M ? RK_SAY_OFFER : RK_SAY_STAGED;
    char start[RK_CONFIRM_HEX + 1] = "";
    struct fix f;

    letters ? ready_with_letters(&f, class, role) : ready(&f, class, role);
    says(&f, (struct said){RK_SAY_ACTIVE, 4, f.key, "", facts, ""});
    goes_to(&f, RK_ST_STAGED);
    assert_true(f.todo.publish);
    if (class == RK_CLASS_D && role == M)
        snprintf(start, sizeof start, "%lld", (long long)(f.e.d.start_ms / 1000));
    says(&f, (struct said){offers, 5, f.new_key, f.key, facts, role == M ? start : tag});
    goes_to(&f, RK_ST_J_ACTIVATING); /* what was said stays true */
    says(&f, (struct said){offers, 5, f.new_key, f.key, facts, role == M ? start : tag});
    goes_to(&f, RK_ST_J_ACTIVE);
    if (role == SL) /* the master may drop the old key only when this end has done so */
        says(&f, (struct said){RK_SAY_STAGED, 5, f.new_key, f.key, facts, tag});
    goes_well(&f);
    if (role == M && class != RK_CLASS_E) {
        assert_int_equal(f.e.state, RK_ST_ACTIVE);
        assert_true(f.todo.publish);
        says(&f, (struct said){RK_SAY_ACTIVE, 5, f.new_key, "", facts, ""});
    }
    if (f.e.state != RK_ST_J_IDLE)
        goes_to(&f, RK_ST_J_IDLE);
    goes_well(&f);
    assert_int_equal(f.e.state, RK_ST_IDLE);
    says(&f, (struct said){RK_SAY_ACTIVE, 5, f.new_key, "", facts, ""});
}

static void
each_class(void **state)
{
    (void)state;
    for (uint32_t class = RK_CLASS_A; class <= RK_CLASS_E; class++)
        for (uint32_t role = M; role <= SL; role++)
            for (int letters = 0; letters < 2; letters++)
                in_a_rotation(class, role, letters);
}

/* What an idle end says of its last rotation. */
static void
at_rest(void **state)
{
    static const struct {
        uint32_t role;
        const char *cur;
        uint64_t cur_seq, seq;
        int nack_err;
        uint32_t say;
        const char *confirm;
    } rows[] = {
        {M, "4", 4, 4, 0, RK_SAY_ACTIVE, ""},
        {SL, "4", 4, 4, RK_E_AUTH, RK_SAY_ACTIVE, ""}, /* it took part in this one after all */
        {M, "4", 4, 5, 0, RK_SAY_WITHDRAWN, ""},
        {SL, "4", 4, 5, 0, RK_SAY_WITHDRAWN, ""}, /* it was never asked for it, or its device went back */
        {SL, "4", 4, 5, RK_E_AUTH, RK_SAY_NACK, "auth"},
        {M, "", 0, 5, 0, RK_SAY_LOST, ""},
        {SL, "", 0, 5, 0, RK_SAY_LOST, ""},
        {SL, "", 0, 5, RK_E_AUTH, RK_SAY_LOST, "auth"},
        {M, "", 0, 5, RK_E_AUTH, RK_SAY_LOST, ""}, /* a master never says no */
        {M, "", 0, 0, 0, RK_SAY_IDLE, ""},
        {SL, "", 0, 0, 0, RK_SAY_IDLE, ""},
    };
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ready(&f, RK_CLASS_A, rows[i].role);
        strcpy(f.e.d.cur, rows[i].cur);
        f.e.d.cur_seq = rows[i].cur_seq;
        f.e.d.seq = rows[i].seq;
        f.e.nack_err = rows[i].nack_err;
        says(&f, (struct said){rows[i].say, rows[i].seq, rows[i].cur, "", "sci=a", rows[i].confirm});
    }
}

/* The words behind the facts, and who says them when. */
static void
words(void **state)
{
    static const struct {
        uint32_t role;
        bool staged, want, stale;
        uint32_t flags;
        const char *facts;
    } rows[] = {
        {M, false, true, false, 0, "sci=a"}, /* it does not ask, it begins */
        {SL, false, true, false, 0, "sci=a,rekey"},
        {SL, true, true, false, 0, "sci=a"}, /* that is what it asked for */
        {M, false, false, true, 0, "sci=a,shut"},
        {SL, true, false, true, 0, "sci=a,shut"},
        {M, false, false, false, RK_DF_SHUT, "sci=a,shut"},
        {SL, false, true, true, RK_DF_SHUT, "sci=a,rekey,shut"},
        {M, true, false, false, RK_DF_CAND_FALLBACK, "sci=a,fb"},
        {M, true, false, true, RK_DF_CAND_FALLBACK, "sci=a,shut,fb"},
        {M, false, false, false, RK_DF_CAND_FALLBACK, "sci=a"}, /* nothing is offered */
        {SL, true, false, false, RK_DF_CAND_FALLBACK, "sci=a"}, /* it was offered so */
        {M, true, false, false, RK_DF_FALLBACK | RK_DF_HELD | RK_DF_SWEEP, "sci=a"},
    };
    struct rk_record r;
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ready(&f, RK_CLASS_A, rows[i].role);
        if (rows[i].staged)
            goes_to(&f, RK_ST_STAGED);
        f.e.want = rows[i].want;
        f.e.stale = rows[i].stale;
        f.e.d.flags = rows[i].flags;
        rk_end_record(&f.e, &r);
        assert_string_equal(r.facts, rows[i].facts);
    }
}

/* A key is taken when the longest answer to it fits a record with its tag, and not when that is one byte longer. */
static void
what_fits(void **state)
{
    unsigned fit[2] = {0, 0};

    (void)state;
    for (uint32_t role = M; role <= SL; role++)
        for (size_t len = 40; len <= RK_KEY_ID_MAX; len++) {
            struct rk_record answer = {.role = role, .say = RK_SAY_STAGED, .term = 1, .seq = 5};
            char id[RK_KEY_ID_MAX + 1] = "", text[RK_RECORD_MAX + 1];
            bool fits;
            struct fix f;

            memset(id, 'k', len);
            ready(&f, RK_CLASS_A, role);
            memset(f.e.d.link, 'l', RK_LINK_MAX);
            memset(f.e.d.cur, 'c', RK_KEY_ID_MAX);
            strcpy(answer.link, f.e.d.link);
            strcpy(answer.key, id);
            strcpy(answer.prev, f.e.d.cur);
            strcpy(answer.facts, "sci=a,rekey,shut,fb");
            memset(answer.confirm, '5', RK_CONFIRM_HEX);
            fits = rk_record_put(&answer, text);
            f.new_key = id;
            goes_to(&f, role == M ? RK_ST_FETCH : fits ? RK_ST_J_INTENT : RK_ST_J_BURNT);
            if (role == M)
                goes_well(&f);
            assert_int_equal(f.e.state, role == M ? (fits ? RK_ST_J_FETCHED : RK_ST_J_BURNT) : f.e.state);
            assert_int_equal(role == M ? f.e.last_err : f.e.nack_err, fits ? RK_OK : RK_E_UNSUPPORTED);
            fit[fits]++;
        }
    assert_true(fit[0] > 2 && fit[1] > 2);
}

/* ---- the history, and reasons ---- */

static void
noted(const struct fix *f, const char *note, const char *key, bool bad)
{
    assert_non_null(f->todo.note);
    assert_string_equal(f->todo.note, note);
    assert_string_equal(f->todo.note_key, key);
    assert_int_equal(f->todo.note_bad, bad);
}

static void
because(const struct fix *f, int err, const char *why)
{
    assert_int_equal(f->e.last_err, err);
    assert_string_equal(f->e.last_why, why);
    assert_int_equal(f->e.last_ns, f->now_ns);
}

static void
history_of_a_rotation(void **state)
{
    struct fix f;

    (void)state;
    for (uint32_t role = M; role <= SL; role++) {
        ready(&f, RK_CLASS_A, role);
        assert_null(f.todo.note);
        goes_to(&f, RK_ST_J_INTENT);
        noted(&f, "begin", role == M ? "" : "k5", false);
        goes_to(&f, RK_ST_J_STAGED);
        noted(&f, "staged", "k5", false);
        goes_to(&f, RK_ST_J_ACTIVE);
        noted(&f, "activated", "k5", false);
        goes_to(&f, RK_ST_J_IDLE);
        noted(&f, "rotated", "k5", false);
        because(&f, RK_OK, "");
        goes_well(&f);
        assert_null(f.todo.note);
    }
}

static void
history_of_trouble(void **state)
{
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_A, M);
    goes_to(&f, RK_ST_STAGED);
    f.now_ns += S;
    hears(&f, peer_says(&f, RK_SAY_NACK, 5, "k4"));
    noted(&f, "burnt", "k5", true);
    because(&f, RK_E_REJECTED, "the peer could not take the key: lost");
    ready(&f, RK_CLASS_A, M);
    tick_at(&f, f.e.verify_at_ns);
    shown(&f, (struct look){.cur = 0});
    noted(&f, "lost", "", true);
    because(&f, RK_E_NOKEY, "the device does not hold the key in use any more");
    ready(&f, RK_CLASS_A, M);
    tick_at(&f, f.e.verify_at_ns);
    shown(&f, (struct look){.cur = BOTH, .state = RK_IF_OTHER});
    noted(&f, "held", "", true);
    because(&f, RK_E_NOKEY, "the device uses a key that is not rekeyd's: rekeyctl adopt takes over");
    happens(&f, RK_EV_ADOPT);
    noted(&f, "adopt", "", false);
    bring(&f, SL, RK_ST_J_SHUT);
    noted(&f, "shut", "k4", true);
    because(&f, RK_E_CANCELED, "the key in use is too old, and on-stale is shut");
    assert_true(f.e.d.flags & RK_DF_SHUT);
    happens(&f, RK_EV_DONE);
    happens(&f, RK_EV_DONE);
    shown(&f, (struct look){.cur = BOTH});
    noted(&f, "lost", "", true);
    because(&f, RK_E_NOKEY, "the link is shut, for its key is too old");
    bring(&f, SL, RK_ST_SWEEP);
    happens(&f, RK_EV_DONE);
    sees(&f, USED, 0);
    noted(&f, "swept", "k4", false);
}

static void
why_refused(void **state)
{
    static const struct {
        uint32_t class, flags;
        const char *prev, *facts, *confirm;
        int err;
        const char *why;
    } rows[] = {
        {RK_CLASS_A, 0, "kx", "sci=b", "", RK_E_CONFLICT, "the offer does not fit the key in use"},
        {RK_CLASS_A, RK_DF_HELD, "k4", "sci=b", "", RK_E_CONFLICT,
         "an operator's key is in use here: rekeyctl adopt goes on"},
        {RK_CLASS_A, 0, "k4", "sci=b,fb", "", RK_E_CONFIG,
         "the key offered is from a fallback source, and this link has none here"},
        {RK_CLASS_D, 0, "k4", "c=B", "5", RK_E_CONFLICT, "the start time does not fit this end's clocks"},
    };
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rk_record offer;

        ready(&f, rows[i].class, SL);
        f.e.d.flags = rows[i].flags;
        offer = peer_says(&f, RK_SAY_OFFER, 5, "k5");
        strcpy(offer.prev, rows[i].prev);
        strcpy(offer.facts, rows[i].facts);
        strcpy(offer.confirm, rows[i].confirm);
        f.now_ns += S;
        hears(&f, offer);
        if (rows[i].class == RK_CLASS_D) /* what does its clock say now */
            shown(&f, (struct look){.cur = IN_USE, .prev = BOTH});
        assert_int_equal(f.e.state, RK_ST_J_BURNT);
        noted(&f, "refused", "k5", true);
        because(&f, rows[i].err, rows[i].why);
        assert_int_equal(f.e.nack_err, rows[i].err);
    }
    ready(&f, RK_CLASS_D, SL); /* the clock of the device, not of the offer */
    tick_at(&f, f.e.verify_at_ns);
    shown(&f, (struct look){.cur = IN_USE, .prev = BOTH, .facts = ""});
    hears(&f, peer_says(&f, RK_SAY_OFFER, 5, "k5"));
    because(&f, RK_E_CONFLICT, "the start time does not fit this end's clocks");
}

/* A device that says done and did nothing: that is told, and asked again. */
static void
devices_that_lie(void **state)
{
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_A, SL);
    goes_to(&f, RK_ST_ACTIVATE);
    happens(&f, RK_EV_DONE);
    shown(&f, (struct look){.cur = IN_USE, .cand = BOTH});
    because(&f, RK_E_CONTRACT, "the device said that it transmits on the new key, and does not");
    assert_paused(&f, RK_ST_ACTIVATE);
    assert_int_equal(f.todo.act, RK_ACT_ACTIVATE);
    ready(&f, RK_CLASS_A, SL); /* one that did not say so is asked at once */
    goes_to(&f, RK_ST_ACTIVATE);
    fails(&f, RK_E_UNKNOWN);
    tick_at(&f, f.e.wake_ns);
    shown(&f, (struct look){.cur = IN_USE, .cand = BOTH});
    assert_int_equal(f.todo.act, RK_ACT_ACTIVATE);

    for (uint32_t class = RK_CLASS_A; class <= RK_CLASS_B; class++) {
        ready(&f, class, M);
        goes_to(&f, RK_ST_STAGED);
        hears(&f, peer_says(&f, RK_SAY_NACK, 5, "k4"));
        goes_to(&f, RK_ST_UNSTAGE);
        happens(&f, RK_EV_DONE);
        shown(&f, (struct look){.cur = IN_USE, .cand = BOTH});
        because(&f, RK_E_CONTRACT, "the device said that it removed the given-up key, and did not");
        assert_true(f.e.alarms & RK_ALARM_DEVICE);
        assert_paused(&f, RK_ST_UNSTAGE);
        happens(&f, RK_EV_DONE);
        assert_false(f.e.alarms & RK_ALARM_DEVICE);
    }

    bring(&f, M, RK_ST_SHUT);
    happens(&f, RK_EV_DONE);
    sees(&f, USED, 0);
    because(&f, RK_E_CONTRACT, "the device said that it is shut, and is not");
    assert_true(f.e.alarms & RK_ALARM_DEVICE);
    assert_paused(&f, RK_ST_SHUT);
}

static void
other_reasons(void **state)
{
    struct rk_seen gone = {.facts = "", .why = "no such interface"};
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_A, M);
    tick_at(&f, f.e.verify_at_ns);
    step(&f, (struct rk_event){.type = RK_EV_OBSERVED, .seen = &gone});
    because(&f, RK_E_NOENT, "no such interface");
    tick_at(&f, f.e.wake_ns);
    gone.why = NULL;
    step(&f, (struct rk_event){.type = RK_EV_OBSERVED, .seen = &gone});
    because(&f, RK_E_NOENT, "");
    tick_at(&f, f.e.wake_ns);
    shown(&f, (struct look){.cur = IN_USE, .facts = "facts-of-49-bytes-facts-of-49-bytes-facts-of-49-b"});
    because(&f, RK_E_CONTRACT, "the device's facts are too long");
    tick_at(&f, f.e.verify_at_ns);
    shown(&f, (struct look){.cur = IN_USE, .facts = "facts-of-48-bytes-facts-of-48-bytes-facts-of-48-"});
    assert_string_equal(f.e.facts, "facts-of-48-bytes-facts-of-48-bytes-facts-of-48-");
    ready(&f, RK_CLASS_A, M);
    f.now_ns += S;
    hears(&f, peer_says(&f, RK_SAY_ACTIVE, RK_SEQ_MAX, "k4"));
    because(&f, RK_E_PROTOCOL, "the peer's rotation number is out of all measure: its record is ignored");
    ready(&f, RK_CLASS_A, M);
    goes_to(&f, RK_ST_ACTIVE);
    f.now_ns += S;
    hears(&f, peer_says(&f, RK_SAY_LOST, 5, ""));
    because(&f, RK_E_REJECTED, "the peer did not follow to the new key");
    ready(&f, RK_CLASS_B, M);
    goes_to(&f, RK_ST_J_ACTIVATING);
    happens(&f, RK_EV_DONE);
    for (int i = 0; i < 6; i++) {
        shown(&f, (struct look){.cur = BOTH, .cand = BOTH});
        tick_at(&f, f.e.wake_ns);
    }
    assert_int_equal(f.e.last_err, RK_E_AGAIN);
    assert_string_equal(f.e.last_why, "MKA is not live at both ends on the new key yet: is the link up?");
}

/* After a restart in INTENT the key is given up; the peer is told the reason as far as it is known. */
static void
interrupted(void **state)
{
    struct fix f;

    (void)state;
    for (int known = 0; known < 2; known++) {
        fresh(&f, SL);
        f.e.d.phase = RK_PH_INTENT;
        f.e.d.seq = f.e.d.floor = 5;
        strcpy(f.e.d.cand, "k5");
        happens(&f, RK_EV_START);
        if (known) {
            fails(&f, RK_E_IO);
            tick_at(&f, f.e.wake_ns);
        }
        shown(&f, (struct look){.cur = IN_USE});
        because(&f, known ? RK_E_IO : RK_E_UNKNOWN, "interrupted before the key was staged");
        assert_int_equal(f.e.nack_err, known ? RK_E_IO : RK_E_UNKNOWN);
        assert_int_equal(f.e.state, RK_ST_J_BURNING);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_class),
        cmocka_unit_test(at_rest),
        cmocka_unit_test(words),
        cmocka_unit_test(what_fits),
        cmocka_unit_test(history_of_a_rotation),
        cmocka_unit_test(history_of_trouble),
        cmocka_unit_test(why_refused),
        cmocka_unit_test(devices_that_lie),
        cmocka_unit_test(other_reasons),
        cmocka_unit_test(interrupted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
