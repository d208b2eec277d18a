/* model_explain_test.c - what an end tells people: the whole text, as they read it, for each state and each reason. */
#include "model_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MASTER "This end is master on a device of class A. "
#define SLAVE "This end is slave on a device of class A. "
#define KEY "Key k4 is in use since 30 s (rotation 4)."
#define OTHER_KEY "the device uses a key that is not rekeyd's"

static const char *
text_of(const struct fix *f)
{
    static char text[2000];

    rk_end_explain(&f->e, f->now_ns, text, sizeof text);
    return text;
}

static void
explained(const struct fix *f, const char *text)
{
    assert_string_equal(text_of(f), text);
}

static void
tells(const struct fix *f, const char *sentence)
{
    const char *text = text_of(f);

    if (!strstr(text, sentence))
        fail_msg("\"%s\" is not in \"%s\"", sentence, text);
}

static void
tells_not(const struct fix *f, const char *sentence)
{
    const char *text = text_of(f);

    if (strstr(text, sentence))
        fail_msg("\"%s\" is in \"%s\"", sentence, text);
}

static void
looks(struct fix *f, uint32_t cur, uint32_t prev, uint32_t cand)
{
    shown(f, (struct look){.cur = cur, .prev = prev, .cand = cand});
}

/* ---- idle ---- */

static void
idle_ends(void **state)
{
    struct fix f;

    (void)state;
    alone(&f, RK_CLASS_A, M);
    explained(&f, MASTER KEY " No rotation begins: nothing was heard of the peer yet: look at the channel and at the "
                             "peer's rekeyd.");
    ready(&f, RK_CLASS_A, M);
    explained(&f, MASTER KEY " The next rotation begins in 45 s.");
    ready(&f, RK_CLASS_A, SL);
    explained(&f, SLAVE KEY " It waits for the master's next offer.");
    for (int sign = -1; sign <= 1; sign += 2) { /* whoever was sooner */
        f.e.skew = (struct rk_skew){.seq = 4, .switched_ns = sign * 12 * RK_NS_PER_MS, .margin_ns = 340 * RK_NS_PER_MS};
        tells(&f, "In rotation 4 the ends switched 12 ms apart, 340 ms after both had the key.");
    }
    ready(&f, RK_CLASS_D, M);
    explained(&f, "This end is master on a device of class D. " KEY " The next rotation begins in 45 s.");
    alone(&f, RK_CLASS_E, M); /* its peer never says anything */
    explained(&f, "This end is master on a device of class E. " KEY " The next rotation begins in 45 s.");
}

static void
after_failures(void **state)
{
    struct fix f;

    (void)state;
    for (int n = 1; n <= 2; n++) {
        ready(&f, RK_CLASS_A, M);
        for (int i = 0; i < n; i++) {
            due(&f);
            happens(&f, RK_EV_DONE);
            fails(&f, RK_E_EMPTY);
            happens(&f, RK_EV_DONE);
        }
        f.e.due_ns = f.now_ns + 7 * S;
        f.now_ns += S;
        tells(&f, n == 1 ? " 1 rotation in a row failed; the next one is tried in 6 s. "
                         : " 2 rotations in a row failed; the next one is tried in 6 s. ");
        tells(&f, " The source has no key left. Last result, 1 s ago: no-keys: test.");
    }
}

static void
what_hinders(void **state)
{
    struct rk_record r = record(SL, RK_SAY_ACTIVE, 4, "k4");
    struct fix f;

    (void)state;
    alone(&f, RK_CLASS_A, M);
    f.e.d.flags |= RK_DF_HELD;
    tells(&f, " No rotation begins: " OTHER_KEY ", which is never removed: rekeyctl adopt takes over.");
    alone(&f, RK_CLASS_A, M);
    strcpy(r.facts, "sci=b,c=B");
    hears(&f, r);
    tells(&f, " No rotation begins: the classes of the two devices have no proved rotation together: drive both as A, "
              "or each as B, C or D.");
    ready(&f, RK_CLASS_D, M);
    tick_at(&f, f.e.verify_at_ns);
    sees(&f, IN_USE, 0); /* the device does not tell its clock */
    tells(&f, " No rotation begins: the device's clock is off by more than a start time bears, or is not told: set it, "
              "or its NTP.");
    alone(&f, RK_CLASS_A, M);
    f.e.own_sae = f.e.peer_sae = "";
    hears(&f, record(M, RK_SAY_ACTIVE, 4, "k4"));
    tells(&f, " No rotation begins: both ends claim the same role: correct it at one of them.");
    for (int own = 0; own < 2; own++) {
        alone(&f, RK_CLASS_A, M);
        r = record(SL, RK_SAY_ACTIVE, 4, "k4");
        *(own ? f.e.facts : r.facts) = '\0';
        hears(&f, r);
        tells(&f, " No rotation begins: the device of this end, or of the peer, has not told what the other one must "
                  "know: can it be read.");
    }
}

/* MKA is down: what is due waits for it, and only that. */
static void
waits_for_mka(void **state)
{
    static const uint32_t down[] = {BOTH, USED, BOTH | RK_PEER_USES};
    static const char waits[] = " A rotation is due, and begins as soon as MKA is live on the key in use at both ends.";
    struct fix f;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        ready(&f, RK_CLASS_B, M);
        tick_at(&f, f.e.verify_at_ns);
        looks(&f, down[i], BOTH, 0);
        tells(&f, " The next rotation begins in 15 s.");
        due(&f);
        looks(&f, down[i], BOTH, 0);
        assert_int_equal(f.e.state, RK_ST_IDLE);
        tells(&f, waits);
        f.now_ns = f.e.due_ns - 1;
        tells_not(&f, waits);
        happens(&f, RK_EV_ROTATE); /* an operator wants it now */
        looks(&f, down[i], BOTH, 0);
        tells(&f, waits);
        f.e.failures = 1; /* but what failed is tried after its pause */
        tells(&f, " 1 rotation in a row failed; the next one is tried in 0 s.");
    }
}

/* A CAK: the slave has the last word on each rotation. */
static void
waits_for_word(void **state)
{
    static const char word[] = " It waits for the slave to say how rotation 5 ended there.";
    struct fix f;

    (void)state;
    for (uint32_t class = RK_CLASS_A; class <= RK_CLASS_E; class++) {
        ready(&f, class, M);
        goes_to(&f, RK_ST_FETCH);
        fails(&f, RK_E_EMPTY);
        happens(&f, RK_EV_DONE);
        if (class == RK_CLASS_A || class == RK_CLASS_E) {
            tells_not(&f, word);
            continue;
        }
        tells(&f, word);
        hears(&f, peer_says(&f, RK_SAY_STAGED, 5, "k5"));
        tells(&f, word);
        hears(&f, peer_says(&f, RK_SAY_NACK, 5, "k4"));
        tells_not(&f, word);
    }
    ready(&f, RK_CLASS_B, SL);
    f.e.d.seq = 5;
    tells_not(&f, word);
}

static void
adopted_keys(void **state)
{
    struct fix f;

    (void)state;
    alone(&f, RK_CLASS_A, M);
    tells_not(&f, "adopted");
    happens(&f, RK_EV_ADOPT);
    happens(&f, RK_EV_DONE);
    tells(&f, " The device's other keys were adopted, and go as soon as both ends use the key of rekeyd.");
}

/* ---- the key ---- */

static void
keys(void **state)
{
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_A, SL);
    tick_at(&f, f.e.verify_at_ns);
    sees(&f, 0, 0);
    happens(&f, RK_EV_DONE);
    sees(&f, 0, 0); /* nor does it transmit on what the peer does */
    explained(&f, SLAVE "No key of rekeyd is in use. It waits for a key since 60 s, which comes from the source like "
                        "every other. It waits for the master's next offer. Last result, 0 s ago: "
                        "key-not-installed: the device does not hold the key in use any more.");
    f.e.d.seq = 0;
    tells(&f, " It waits for its first key since");
    f.e.d.flags |= RK_DF_HELD; /* an operator's key is in use, and protects it */
    tells_not(&f, "waits for its first key");
    ready(&f, RK_CLASS_A, SL);
    f.e.d.flags |= RK_DF_FALLBACK;
    explained(&f, SLAVE KEY " It is from the fallback source, for the first one gave none in time. It waits for the "
                            "master's next offer.");
    ready(&f, RK_CLASS_B, SL);
    tick_at(&f, f.e.verify_at_ns);
    looks(&f, BOTH, USED, 0);
    tells(&f, " The device has fallen back to the key before it, k3: MKA is not live on the new one. It waits");
    hears(&f, peer_says(&f, RK_SAY_OFFER, 5, "k5"));
    tells_not(&f, "fallen back"); /* a rotation is the cure, and under way */
    ready(&f, RK_CLASS_A, SL);
    f.e.seen_prev = USED; /* of class A it is the rotation before */
    tells_not(&f, "fallen back");
}

/* Seconds up to two minutes, minutes up to two hours; to the nearest second; what is over is now. */
static void
times(void **state)
{
    static const struct {
        int64_t in_ns;
        const char *text;
    } rows[] = {{0, "0 s"}, {-1, "0 s"}, {-3600 * S, "0 s"}, {499 * MS, "0 s"}, {500 * MS, "1 s"}, {119 * S, "119 s"},
                {119499 * MS, "119 s"}, {119500 * MS, "2 min"}, {120 * S, "2 min"}, {179 * S, "2 min"},
                {7199 * S, "119 min"}, {7200 * S, "2 h"}, {10799 * S, "2 h"}, {10800 * S, "3 h"}};
    char sentence[64];
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_A, M);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        f.e.due_ns = f.now_ns + rows[i].in_ns;
        snprintf(sentence, sizeof sentence, " The next rotation begins in %s.", rows[i].text);
        tells(&f, sentence);
    }
}

/* ---- waits and actions ---- */

static void
waits(void **state)
{
    struct fix f;

    (void)state;
    bring(&f, M, RK_ST_STAGED);
    tells(&f, " Key k5 of rotation 5 is installed and not in use; it waits for the slave to have it too. ");
    tells_not(&f, "given up");
    bring(&f, SL, RK_ST_STAGED);
    tells(&f, " Key k5 of rotation 5 is installed and not in use; it waits for the master to use it. ");
    bring(&f, M, RK_ST_ACTIVE);
    tells(&f, " It transmits on the new key and waits for the slave to do so; the old key k4 stays until then.");
    bring(&f, SL, RK_ST_DRAIN);
    tells(&f, " The old key k4 is removed in 2 s, when frames under way have come.");
    f.now_ns += S;
    tells(&f, " The old key k4 is removed in 1 s, when frames under way have come.");
}

/* Of a one-way peer only its device tells. */
static void
waits_for_one_way(void **state)
{
    struct fix f;

    (void)state;
    alone(&f, RK_CLASS_E, M);
    due(&f);
    looks(&f, IN_USE, BOTH, 0);
    for (int i = 0; i < 5; i++)
        happens(&f, i == 1 ? RK_EV_KEY : RK_EV_DONE);
    looks(&f, IN_USE, 0, RK_HELD_RX);
    assert_int_equal(f.e.state, RK_ST_STAGED);
    tells(&f, " it waits for the peer to use it, which only MKA can show. Without that it is given up in 2 min.");
    f.now_ns += 20 * S;
    tells(&f, " Without that it is given up in 100 s.");
}

static const struct {
    enum rk_state state;
    const char *does;
} doing[] = {
    {RK_ST_OBSERVE, "reads the device"},
    {RK_ST_J_INTENT, "writes its journal"},
    {RK_ST_FETCH, "asks the source for a key"},
    {RK_ST_J_FETCHED, "writes its journal"},
    {RK_ST_STAGE, "installs the new key"},
    {RK_ST_J_STAGED, "writes its journal"},
    {RK_ST_J_ACTIVATING, "writes its journal"},
    {RK_ST_ACTIVATE, "lets the device transmit on the new key"},
    {RK_ST_J_ACTIVE, "writes its journal"},
    {RK_ST_RETIRE, "removes the old key"},
    {RK_ST_J_IDLE, "writes its journal"},
    {RK_ST_J_BURNING, "writes its journal"},
    {RK_ST_UNSTAGE, "removes the key that was given up"},
    {RK_ST_J_BURNT, "writes its journal"},
    {RK_ST_J_SHUT, "writes its journal"},
    {RK_ST_SHUT, "shuts the link"},
    {RK_ST_SWEEP, "removes the adopted keys"},
};

static void
actions(void **state)
{
    char now[80], later[80], when[40];
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof doing / sizeof *doing; i++) {
        snprintf(now, sizeof now, " It %s now. ", doing[i].does);
        snprintf(later, sizeof later, " It %s again after a pause. ", doing[i].does);
        bring(&f, M, doing[i].state);
        f.e.last_err = RK_E_IO; /* so that there is a sentence behind it */
        tells(&f, now);
        tells_not(&f, "That is in");
        if (doing[i].state == RK_ST_FETCH || doing[i].state == RK_ST_STAGE)
            continue; /* not asked again: given up */
        fails(&f, RK_E_BUSY);
        if (f.e.state != doing[i].state)
            continue;
        f.e.wake_ns = f.now_ns + 9 * S;
        f.now_ns += 2 * S;
        tells(&f, later);
        snprintf(when, sizeof when, " That is in 7 s.");
        tells(&f, when);
    }
}

/* ACTIVATING on a device that needs no ACTIVATE: both have it, and MKA is awaited. */
static void
awaits_mka(void **state)
{
    static const struct {
        uint32_t class;
        const char *text;
    } rows[] = {
        {RK_CLASS_B, " Key k5 is installed at both ends; it waits for MKA to be live on it. That is in 1 s."},
        {RK_CLASS_D, " Key k5 is installed at both ends; it waits for MKA to be live on it. Its start time is in 60 s. "
                     "That is in 1 s."},
    };
    struct fix f;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct rk_record r;

        ready(&f, rows[i].class, M);
        due(&f);
        looks(&f, IN_USE, BOTH, 0);
        for (int k = 0; k < 5; k++)
            happens(&f, k == 1 ? RK_EV_KEY : RK_EV_DONE);
        looks(&f, IN_USE, 0, RK_HELD_RX);
        assert_int_equal(f.e.state, RK_ST_STAGED);
        r = peer_says(&f, RK_SAY_STAGED, 5, "k5");
        strcpy(r.prev, "k4");
        hears(&f, r);
        tells(&f, " It writes its journal now.");
        happens(&f, RK_EV_DONE);
        looks(&f, IN_USE, 0, RK_HELD_RX);
        tells(&f, rows[i].text);
        f.now_ns = f.e.start_ns; /* what is now is not ahead */
        tells_not(&f, "start time");
    }
}

/* ---- policies and alarms ---- */

static void
policies(void **state)
{
    static const struct {
        enum rk_stale policy;
        const char *text;
    } rows[] = {
        {RK_STALE_HOLD, " Its key is EXPIRED. The key stays in use, and a new one is tried for ever (on-stale: hold)."},
        {RK_STALE_FALLBACK,
         " Its key is EXPIRED. The fallback source is asked when the first one fails (on-stale: fallback)."},
        {RK_STALE_SHUT, " Its key is EXPIRED. The link is shut when no new key comes (on-stale: shut). That is in 6 "
                        "min."},
    };
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ready(&f, RK_CLASS_A, SL);
        f.e.on_stale = rows[i].policy;
        f.now_ns = f.e.cur_since_ns + 3 * INTERVAL;
        tells_not(&f, "EXPIRED");
        f.now_ns++;
        tells(&f, rows[i].text);
    }
    f.e.cannot_shut = true; /* found out when it was tried */
    tells(&f, " (on-stale: shut). The device cannot be shut by rekeyd.");
    bring(&f, M, RK_ST_J_SHUT);
    tells(&f, " The link is shut, for its key grew too old; the next rotation that succeeds opens it again.");
    tells_not(&f, "EXPIRED");
    ready(&f, RK_CLASS_A, M);
    f.e.on_stale = RK_STALE_SHUT;
    tells_not(&f, "shut");
}

static void
peer_is_shut(void **state)
{
    struct rk_record r = record(SL, RK_SAY_ACTIVE, 4, "k4");
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_A, M);
    tells_not(&f, "The peer says");
    strcpy(r.facts, "sci=b,shut");
    hears(&f, r);
    tells(&f, " The peer says that it is shut, or about to be.");
}

static void
alarms(void **state)
{
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_A, SL);
    f.now_ns += 3 * VERIFY;
    tells_not(&f, "Nothing valid");
    f.now_ns += 3 * S;
    tells(&f, " Nothing valid was heard of the peer for 93 s.");
    ready(&f, RK_CLASS_A, SL);
    hears(&f, record(M, RK_SAY_WITHDRAWN, 4, "kx"));
    tells(&f, " The peer transmits on kx, which this end does not use: the next rotation heals that.");
    for (uint32_t n = 0; n < 3; n++) {
        struct rk_seen seen = {.state = RK_IF_PRESENT | RK_IF_PROTECTED, .cur = USED, .foreign = n, .facts = "sci=a",
                               .why = ""};

        ready(&f, RK_CLASS_A, SL);
        tick_at(&f, f.e.verify_at_ns);
        step(&f, (struct rk_event){.type = RK_EV_OBSERVED, .seen = &seen});
        if (n == 0)
            tells_not(&f, "someone else");
        else
            tells(&f, n == 1 ? " The device holds 1 key of someone else."
                             : " The device holds 2 keys of someone else.");
    }
    tells_not(&f, "The source");
    tells_not(&f, "Last result");
}

static void
start_time_that_does_not_fit(void **state)
{
    struct rk_record offer;
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_D, SL);
    tells_not(&f, "start time");
    offer = peer_says(&f, RK_SAY_OFFER, 5, "k5");
    strcpy(offer.confirm, "12");
    hears(&f, offer);
    tells(&f, " The start time that the master offered does not fit the clock here.");
}

static void
first_key_is_asked_of_ends_without_one(void **state)
{
    const char *what = NULL;
    int64_t since_ns = -1;
    struct fix f;

    (void)state;
    bring(&f, M, RK_ST_STAGED);
    assert_false(rk_end_first_key(&f.e, &since_ns, &what));
    assert_true(since_ns == -1 && !what);
    f.e.d.cur[0] = '\0';
    assert_true(rk_end_first_key(&f.e, &since_ns, &what));
    assert_non_null(what);
}

/* Whoever has less room gets the beginning. */
static void
cut(void **state)
{
    char whole[2000], text[2001];
    struct fix f;

    (void)state;
    bring(&f, M, RK_ST_STAGED);
    f.e.d.flags |= RK_DF_FALLBACK;
    rk_end_explain(&f.e, f.now_ns, whole, sizeof whole);
    for (size_t size = 1; size <= strlen(whole) + 1; size++) {
        memset(text, '#', sizeof text);
        rk_end_explain(&f.e, f.now_ns, text, size);
        assert_int_equal(strlen(text), size - 1);
        assert_memory_equal(text, whole, size - 1);
        assert_int_equal(text[size], '#');
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_ends),
        cmocka_unit_test(after_failures),
        cmocka_unit_test(what_hinders),
        cmocka_unit_test(waits_for_mka),
        cmocka_unit_test(waits_for_word),
        cmocka_unit_test(adopted_keys),
        cmocka_unit_test(keys),
        cmocka_unit_test(times),
        cmocka_unit_test(waits),
        cmocka_unit_test(waits_for_one_way),
        cmocka_unit_test(actions),
        cmocka_unit_test(awaits_mka),
        cmocka_unit_test(policies),
        cmocka_unit_test(peer_is_shut),
        cmocka_unit_test(alarms),
        cmocka_unit_test(start_time_that_does_not_fit),
        cmocka_unit_test(first_key_is_asked_of_ends_without_one),
        cmocka_unit_test(cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
