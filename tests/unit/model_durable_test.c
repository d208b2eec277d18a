/* model_durable_test.c - what is in the journal at each step: of a rotation that goes well, of one that is given up,
 * and after what a device lost or an operator gave up.  On every class, and also with key IDs of one letter. */
#include "model_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define BOOT 77

typedef void ready_fn(struct fix *f, uint32_t class, uint32_t role);
static ready_fn *const readies[] = {ready, ready_with_letters};

static bool
cak(const struct fix *f)
{
    return f->e.class != RK_CLASS_A;
}

/* The keys, with the numbers that they came with. */
struct keys {
    const char *cur, *prev, *cand;
    uint64_t cur_seq, prev_seq;
};

static void
holds(const struct fix *f, uint32_t phase, uint64_t seq, struct keys keys)
{
    const struct rk_durable *d = &f->e.d;

    assert_int_equal(d->phase, phase);
    assert_int_equal(d->seq, seq);
    assert_int_equal(d->floor, seq);
    assert_string_equal(d->cur, keys.cur);
    assert_int_equal(d->cur_seq, keys.cur_seq);
    assert_string_equal(d->prev, keys.prev);
    assert_int_equal(d->prev_seq, keys.prev_seq);
    assert_string_equal(d->cand, keys.cand);
}

/* The entry that is asked for now. */
static void
writes(struct fix *f, enum rk_state state, uint32_t phase, struct keys keys)
{
    for (int i = 0; f->e.state != state && i < 9; i++)
        goes_well(f);
    assert_int_equal(f->e.state, state);
    assert_int_equal(f->todo.act, RK_ACT_JOURNAL);
    assert_int_equal(f->e.wake_ns, RK_NEVER); /* the answer wakes it */
    assert_true(rk_end_unsaved(&f->e));
    holds(f, phase, 5, keys);
}

static struct keys
before(const struct fix *f)
{
    return (struct keys){.cur = f->key, .cur_seq = 4, .prev = cak(f) ? f->old_key : "", .prev_seq = cak(f) ? 3 : 0,
                         .cand = ""};
}

static void
rotates(struct fix *f)
{
    bool master = f->e.d.role == M;
    struct keys keys = before(f);

    keys.cand = master ? "" : f->new_key;
    writes(f, RK_ST_J_INTENT, RK_PH_INTENT, keys);
    assert_string_equal(f->e.d.mine, "");
    assert_string_equal(f->e.d.theirs, "");
    keys.cand = f->new_key;
    if (master)
        writes(f, RK_ST_J_FETCHED, RK_PH_FETCHED, keys);
    keys.prev = ""; /* the key in use took its slot */
    keys.prev_seq = 0;
    writes(f, RK_ST_J_STAGED, RK_PH_STAGED, keys);
    assert_string_equal(f->e.d.mine, master ? TAG_M : TAG_S);
    assert_string_equal(f->e.d.theirs, master ? TAG_S : TAG_M);
    writes(f, RK_ST_J_ACTIVATING, RK_PH_ACTIVATING, keys);
    writes(f, RK_ST_J_ACTIVE, RK_PH_ACTIVE,
           (struct keys){.cur = f->new_key, .cur_seq = 5, .prev = f->key, .prev_seq = 4, .cand = ""});
    assert_int_equal(f->e.d.start_ms, 0);
    assert_int_equal(f->e.d.cur_since.unix_ms, f->now_ns / MS);
    assert_int_equal(f->e.d.cur_boot_ns, f->now_ns);
    assert_int_equal(f->e.cur_since_ns, f->now_ns);
    if (!cak(f)) {
        goes_to(f, RK_ST_RETIRE);
        assert_int_equal(f->todo.act, RK_ACT_RETIRE);
        assert_string_equal(f->todo.key_id, f->key);
        assert_int_equal(f->todo.seq, 4);
        assert_string_equal(f->todo.terms, "");
    }
    writes(f, RK_ST_J_IDLE, RK_PH_IDLE,
           (struct keys){.cur = f->new_key, .cur_seq = 5, .prev = cak(f) ? f->key : "", .prev_seq = cak(f) ? 4 : 0,
                         .cand = ""});
    assert_string_equal(f->e.d.mine, ""); /* as the candidate, whose tags they were */
    assert_string_equal(f->e.d.theirs, "");
    goes_well(f);
    assert_int_equal(f->e.state, RK_ST_IDLE);
    assert_int_equal(f->e.rotations, 1);
    assert_int_equal(f->e.failures, 0);
    assert_int_equal(f->e.d.flags, 0);
    assert_int_equal(f->e.last_err, RK_OK);
    assert_string_equal(f->e.last_why, "");
}

static void
every_step(void **state)
{
    struct fix f;

    (void)state;
    for (uint32_t class = RK_CLASS_A; class <= RK_CLASS_E; class++)
        for (uint32_t role = M; role <= SL; role++)
            for (size_t i = 0; i < 2; i++) {
                readies[i](&f, class, role);
                strcpy(f.e.d.mine, TAG_M); /* of the rotation before */
                strcpy(f.e.d.theirs, TAG_S);
                f.e.failures = 1;
                f.e.last_err = RK_E_IO;
                f.e.d.start_ms = 5;
                rotates(&f);
                if (role == M)
                    assert_true(f.e.due_ns > f.now_ns && f.e.due_ns <= f.now_ns + INTERVAL);
            }
}

/* Of the machine's clock both are kept: which start of the machine, and when in it. */
static void
when_it_began(void **state)
{
    struct rk_seen seen = {.state = RK_IF_PRESENT | RK_IF_PROTECTED, .cur = BOTH, .cand = USED, .facts = "sci=a",
                           .why = ""};
    struct rk_event ev = {.type = RK_EV_OBSERVED, .seen = &seen, .boot = BOOT, .wall = {123456}};
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_A, SL);
    goes_to(&f, RK_ST_ACTIVATE);
    happens(&f, RK_EV_DONE);
    rk_end_step(&f.e, &ev, f.now_ns, &f.todo);
    assert_int_equal(f.e.state, RK_ST_J_ACTIVE);
    assert_int_equal(f.e.d.cur_boot, BOOT);
    assert_int_equal(f.e.d.cur_boot_ns, f.now_ns);
    assert_int_equal(f.e.d.cur_since.unix_ms, 123456);
}

/* The first rotation of all: there is no old key that would have to go. */
static void
first_key(void **state)
{
    struct fix f;

    (void)state;
    for (uint32_t class = RK_CLASS_A; class <= RK_CLASS_E; class++)
        for (uint32_t role = M; role <= SL; role++) {
            struct rk_durable d = {.link = "a-b-1", .end = 'a', .role = role};

            alone(&f, class, role);
            rk_end_init(&f.e, &d);
            f.e.class = class;
            f.e.interval_ns = INTERVAL;
            f.e.verify_ns = VERIFY;
            f.e.lead_ns = LEAD;
            happens(&f, RK_EV_START);
            shown(&f, (struct look){.state = RK_IF_OTHER}); /* an operator's key until now */
            assert_int_equal(f.e.d.flags, 0);
            f.new_key = "k1";
            if (role == M && class != RK_CLASS_E)
                hears(&f, peer_says(&f, RK_SAY_IDLE, 0, ""));
            if (f.e.state != RK_ST_J_INTENT)
                goes_to(&f, RK_ST_J_INTENT);
            holds(&f, RK_PH_INTENT, 1, (struct keys){.cur = "", .prev = "", .cand = role == M ? "" : "k1"});
            goes_to(&f, RK_ST_J_ACTIVE);
            holds(&f, RK_PH_ACTIVE, 1, (struct keys){.cur = "k1", .cur_seq = 1, .prev = "", .cand = ""});
            while (f.e.state != RK_ST_J_IDLE) {
                goes_well(&f);
                assert_int_not_equal(f.todo.act, RK_ACT_RETIRE);
            }
            assert_string_equal(f.todo.note, "rotated");
            holds(&f, RK_PH_IDLE, 1, (struct keys){.cur = "k1", .cur_seq = 1, .prev = "", .cand = ""});
        }
}

/* ---- given up ---- */

/* The number is used up, the key in use stays.  A CAK that stays on the device counts as the one before. */
static void
given_up(void **state)
{
    struct fix f;

    (void)state;
    for (uint32_t class = RK_CLASS_A; class <= RK_CLASS_D; class++)
        for (uint32_t role = M; role <= SL; role++)
            for (uint32_t held = 0; held <= (class == RK_CLASS_A ? 0 : RK_HELD_RX); held += RK_HELD_RX) {
                struct keys keys = {.cur = "k4", .cur_seq = 4, .prev = "", .cand = "k5"};

                ready(&f, class, role);
                goes_to(&f, RK_ST_STAGED);
                hears(&f, peer_says(&f, role == M ? RK_SAY_NACK : RK_SAY_WITHDRAWN, 5, "k4"));
                assert_int_equal(f.e.state, RK_ST_J_BURNING);
                assert_int_equal(f.todo.act, RK_ACT_JOURNAL);
                assert_true(f.todo.drop_key);
                holds(&f, RK_PH_BURNING, 5, keys);
                assert_int_equal(f.e.failed, 1);
                assert_int_equal(f.e.failures, 1);
                goes_to(&f, RK_ST_UNSTAGE);
                assert_string_equal(f.todo.key_id, "k5");
                assert_int_equal(f.todo.seq, 5);
                happens(&f, RK_EV_DONE);
                f.now_ns = held && class == RK_CLASS_D ? f.e.start_ns : f.now_ns; /* before, it would begin yet */
                shown(&f, (struct look){.cur = IN_USE, .cand = held});
                keys.cand = "";
                if (held) {
                    keys.prev = "k5";
                    keys.prev_seq = 5;
                }
                assert_int_equal(f.e.state, RK_ST_J_BURNT);
                holds(&f, RK_PH_IDLE, 5, keys);
                assert_string_equal(f.e.d.mine, "");
                assert_string_equal(f.e.d.theirs, "");
            }
}

/* Before the device has seen it there is nothing to remove. */
static void
given_up_early(void **state)
{
    static char long_id[RK_KEY_ID_MAX + 2];
    const char *const ids[] = {"k4", "", long_id};
    struct keys keys = {.cur = "k4", .cur_seq = 4, .prev = "", .cand = ""};
    struct fix f;

    (void)state;
    memset(long_id, 'k', RK_KEY_ID_MAX + 1);
    for (size_t i = 0; i < 3; i++) {
        ready(&f, RK_CLASS_A, M);
        goes_to(&f, RK_ST_FETCH);
        step(&f, (struct rk_event){.type = RK_EV_KEY, .key_id = ids[i]});
        assert_int_equal(f.e.state, RK_ST_J_BURNT);
        holds(&f, RK_PH_IDLE, 5, keys);
        assert_string_equal(f.e.d.cand, "");
        assert_string_equal(f.todo.note_key, "");
    }
    ready(&f, RK_CLASS_A, SL);
    goes_to(&f, RK_ST_FETCH);
    fails(&f, RK_E_KEY_GONE);
    holds(&f, RK_PH_IDLE, 5, keys);
    assert_int_equal(f.e.nack_err, RK_E_KEY_GONE);
    ready(&f, RK_CLASS_B, M); /* the one that is in the fallback slot is in use too */
    goes_to(&f, RK_ST_FETCH);
    step(&f, (struct rk_event){.type = RK_EV_KEY, .key_id = "k3"});
    assert_int_equal(f.e.state, RK_ST_J_BURNT);
    assert_int_equal(f.e.last_err, RK_E_PROTOCOL);
}

/* Both confirm tags belong to a staged key, neither longer than it is. */
static void
bad_tags(void **state)
{
    static const struct {
        const char *mine, *theirs;
    } rows[] = {{NULL, TAG_S}, {TAG_M, NULL}, {"", TAG_S}, {TAG_M, ""}, {TAG_M "0", TAG_S}, {TAG_M, TAG_S "0"}};
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ready(&f, RK_CLASS_A, M);
        goes_to(&f, RK_ST_STAGE);
        step(&f, (struct rk_event){.type = RK_EV_DONE, .mine = rows[i].mine, .theirs = rows[i].theirs});
        assert_int_equal(f.e.state, RK_ST_J_BURNING);
        assert_int_equal(f.e.last_err, RK_E_CONTRACT);
    }
}

/* ---- what the device lost ---- */

struct loss {
    struct look shows;
    struct keys keys;
    uint32_t flags;
    bool want;
};

static void
loses(uint32_t class, const struct loss *loss)
{
    for (size_t i = 0; i < 2; i++) {
        struct fix f;

        readies[i](&f, class, SL);
        tick_at(&f, f.e.verify_at_ns);
        shown(&f, loss->shows);
        assert_int_equal(f.e.state, RK_ST_J_IDLE);
        assert_int_equal(f.e.d.flags, loss->flags);
        assert_int_equal(f.e.want, loss->want);
        assert_int_equal(f.e.last_err, RK_E_NOKEY);
        if (i == 0)
            holds(&f, RK_PH_IDLE, 4, loss->keys);
        else
            assert_int_equal(strlen(f.e.d.cur) + strlen(f.e.d.prev),
                             (strlen(loss->keys.cur) + strlen(loss->keys.prev)) / 2);
    }
}

static void
device_lost_it(void **state)
{
    static const struct loss of_a[] = {
        {{.cur = 0}, {.cur = "", .prev = "", .cand = ""}, 0, true},
        {{.cur = RK_HELD_RX}, {.cur = "", .prev = "k4", .prev_seq = 4, .cand = ""}, 0, true},
        {{.cur = BOTH, .state = RK_IF_OTHER}, {.cur = "", .prev = "k4", .prev_seq = 4, .cand = ""}, RK_DF_HELD, false},
    };
    static const struct loss of_b[] = {
        {{.cur = 0}, {.cur = "", .prev = "", .cand = ""}, 0, true},
        {{.cur = 0, .prev = BOTH}, {.cur = "k3", .cur_seq = 3, .prev = "", .cand = ""}, 0, true},
        {{.cur = 0, .prev = RK_HELD_RX}, {.cur = "k3", .cur_seq = 3, .prev = "", .cand = ""}, 0, true},
        {{.cur = BOTH, .state = RK_IF_OTHER}, {.cur = "", .prev = "k4", .prev_seq = 4, .cand = ""}, RK_DF_HELD, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof of_a / sizeof *of_a; i++)
        loses(RK_CLASS_A, &of_a[i]);
    for (size_t i = 0; i < sizeof of_b / sizeof *of_b; i++)
        loses(RK_CLASS_B, &of_b[i]);
}

/* What else the flags say stays. */
static void
flags_stay(void **state)
{
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_A, SL);
    f.e.d.flags = RK_DF_FALLBACK;
    tick_at(&f, f.e.verify_at_ns);
    shown(&f, (struct look){.cur = BOTH, .state = RK_IF_OTHER});
    assert_int_equal(f.e.d.flags, RK_DF_HELD | RK_DF_FALLBACK);
    ready(&f, RK_CLASS_A, SL);
    f.e.d.flags = RK_DF_FALLBACK;
    f.e.on_stale = RK_STALE_SHUT;
    f.e.verify_at_ns = RK_NEVER;
    tick_at(&f, f.e.cur_since_ns + f.e.shut_after_ns);
    assert_int_equal(f.e.state, RK_ST_J_SHUT);
    assert_int_equal(f.e.d.flags, RK_DF_SHUT | RK_DF_FALLBACK);
}

/* With no key in use there is none that would take the place of the one before: it stays until the next STAGE. */
static void
lost_cak_stays_before(void **state)
{
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_B, SL);
    tick_at(&f, f.e.verify_at_ns);
    shown(&f, (struct look){.cur = BOTH, .state = RK_IF_OTHER});
    happens(&f, RK_EV_DONE);
    shown(&f, (struct look){.prev = BOTH, .state = RK_IF_OTHER});
    assert_int_equal(f.e.state, RK_ST_IDLE);
    happens(&f, RK_EV_ADOPT);
    happens(&f, RK_EV_DONE);
    goes_to(&f, RK_ST_STAGE);
    assert_string_equal(f.todo.terms, "keep=");
    happens(&f, RK_EV_DONE);
    holds(&f, RK_PH_STAGED, 5, (struct keys){.cur = "", .prev = "k4", .prev_seq = 4, .cand = "k5"});
}

/* The slave kept the key before: this end goes back to it, and the newer one is given up. */
static void
turns_back(void **state)
{
    struct fix f;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        readies[i](&f, RK_CLASS_B, M);
        goes_to(&f, RK_ST_ACTIVE);
        hears(&f, peer_says(&f, RK_SAY_NACK, 5, f.key));
        if (f.e.state != RK_ST_J_IDLE)
            goes_to(&f, RK_ST_J_IDLE);
        happens(&f, RK_EV_DONE);
        assert_int_equal(f.e.state, RK_ST_J_BURNING);
        holds(&f, RK_PH_BURNING, 5, (struct keys){.cur = f.key, .cur_seq = 4, .prev = "", .cand = f.new_key});
    }
}

/* One that was given up, and is newer than the lost one, is not in use instead of it. */
static void
given_up_is_not_used_again(void **state)
{
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_B, SL);
    goes_to(&f, RK_ST_STAGED);
    hears(&f, peer_says(&f, RK_SAY_WITHDRAWN, 5, "k4"));
    goes_to(&f, RK_ST_UNSTAGE);
    happens(&f, RK_EV_DONE);
    shown(&f, (struct look){.cur = IN_USE, .cand = RK_HELD_RX});
    happens(&f, RK_EV_DONE);
    assert_int_equal(f.e.state, RK_ST_IDLE);
    tick_at(&f, f.e.verify_at_ns);
    shown(&f, (struct look){.cur = 0, .prev = BOTH});
    assert_string_equal(f.e.d.cur, "");
}

/* While a candidate is taken back, and in the middle of the way forward. */
static void
lost_on_the_way(void **state)
{
    struct fix f;

    (void)state;
    ready(&f, RK_CLASS_B, M);
    goes_to(&f, RK_ST_STAGED);
    hears(&f, peer_says(&f, RK_SAY_NACK, 5, "k4"));
    goes_to(&f, RK_ST_UNSTAGE);
    happens(&f, RK_EV_DONE);
    shown(&f, (struct look){.cur = 0, .cand = 0}); /* all is gone */
    assert_int_equal(f.e.state, RK_ST_J_BURNT);
    holds(&f, RK_PH_IDLE, 5, (struct keys){.cur = "", .prev = "", .cand = ""});
    ready(&f, RK_CLASS_A, SL);
    goes_to(&f, RK_ST_ACTIVATE);
    happens(&f, RK_EV_DONE);
    shown(&f, (struct look){.cur = 0, .cand = 0});
    holds(&f, RK_PH_BURNING, 5, (struct keys){.cur = "", .prev = "", .cand = "k5"});
}

/* The device was made to transmit on what was given up: it counts as nobody's, and the next rotation ends that. */
static void
given_up_key_in_use(void **state)
{
    struct fix f;

    (void)state;
    for (int lost = 0; lost < 2; lost++) {
        ready(&f, RK_CLASS_A, M);
        goes_to(&f, RK_ST_STAGED);
        if (lost)
            f.e.d.cur[0] = '\0';
        hears(&f, peer_says(&f, RK_SAY_NACK, 5, "k4"));
        goes_to(&f, RK_ST_UNSTAGE);
        happens(&f, RK_EV_DONE);
        shown(&f, (struct look){.cur = lost ? 0 : BOTH, .cand = USED});
        assert_int_equal(f.e.state, RK_ST_J_BURNT);
        assert_int_equal(f.e.last_err, RK_E_CONFLICT);
        assert_string_equal(f.e.d.cur, "");
        assert_string_equal(f.e.d.prev, lost ? "" : "k4");
        assert_string_equal(f.e.d.cand, "");
        assert_string_equal(f.e.d.mine, "");
        assert_string_equal(f.e.d.theirs, "");
    }
}

/* ---- a journal that was lost ---- */

static void
taken_over(void **state)
{
    static const struct {
        uint64_t seq, floor, seq_then, floor_then;
        const char *prev, *prev_then;
    } rows[] = {
        {0, 0, 77, 77, "", ""},
        {77, 77, 77, 77, "", ""},
        {80, 90, 80, 90, "", ""},     /* what is ahead stays ahead */
        {5, 90, 77, 90, "k77", ""},   /* held for receive until now: not both */
        {5, 5, 77, 77, "k70", "k70"},
    };
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rk_seen seen = {.state = RK_IF_PRESENT | RK_IF_PROTECTED, .peer = USED, .facts = "sci=a", .why = ""};
        struct rk_event ev = {.type = RK_EV_OBSERVED, .seen = &seen, .boot = BOOT, .wall = {654321}};

        alone(&f, RK_CLASS_A, SL);
        f.e.d.cur[0] = '\0';
        f.e.d.cur_seq = 0;
        f.e.d.seq = rows[i].seq;
        f.e.d.floor = rows[i].floor;
        f.e.d.flags = (i ? RK_DF_SWEEP : 0) | RK_DF_FALLBACK;
        f.e.want = true;
        strcpy(f.e.d.prev, rows[i].prev);
        seen.prev = rows[i].prev[0] ? BOTH : 0;
        hears(&f, record(M, RK_SAY_ACTIVE, 77, "k77"));
        assert_int_equal(f.todo.act, RK_ACT_OBSERVE);
        rk_end_step(&f.e, &ev, f.now_ns, &f.todo);
        assert_int_equal(f.e.state, RK_ST_J_IDLE);
        assert_string_equal(f.todo.note, "adopted");
        assert_string_equal(f.todo.note_key, "k77");
        assert_string_equal(f.e.d.cur, "k77");
        assert_int_equal(f.e.d.cur_seq, 77);
        assert_string_equal(f.e.d.prev, rows[i].prev_then);
        assert_int_equal(f.e.d.seq, rows[i].seq_then);
        assert_int_equal(f.e.d.floor, rows[i].floor_then);
        assert_int_equal(f.e.d.flags, i ? RK_DF_SWEEP : 0);
        assert_int_equal(f.e.d.cur_since.unix_ms, 654321);
        assert_int_equal(f.e.d.cur_boot, BOOT);
        assert_int_equal(f.e.d.cur_boot_ns, f.now_ns);
        assert_int_equal(rk_end_age_ns(&f.e, f.now_ns), 0);
        assert_false(f.e.want);
    }
}

/* A CAK is taken over from its place on the device, for MKA may be down; a static SAK when it is transmitted on. */
static void
what_may_be_taken_over(void **state)
{
    static const struct {
        uint32_t class, shows;
        bool taken;
    } rows[] = {{RK_CLASS_A, BOTH, false}, {RK_CLASS_A, RK_SENDING, true}, {RK_CLASS_B, BOTH, true},
                {RK_CLASS_B, RK_HELD_RX, false}, {RK_CLASS_C, RK_HELD_TX, true}};
    struct fix f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        alone(&f, rows[i].class, SL);
        f.e.d.cur[0] = f.e.d.prev[0] = '\0';
        hears(&f, peer_says(&f, RK_SAY_ACTIVE, 4, "k4"));
        shown(&f, (struct look){.peer = rows[i].shows});
        assert_string_equal(f.e.d.cur, rows[i].taken ? "k4" : "");
    }
}

/* An end as the journal has it: a term that no journal had yet is 1, everything volatile is as it was at first. */
static void
loaded(void **state)
{
    struct rk_durable d = {.link = "a-b-1", .end = 'b', .role = SL, .seq = 9, .floor = 12};
    struct rk_end e;

    (void)state;
    for (uint64_t term = 0; term < 4; term++) {
        memset(&e, 0xff, sizeof e);
        d.term = term;
        rk_end_init(&e, &d);
        assert_int_equal(e.d.term, term ? term : 1);
        assert_int_equal(e.d.seq, 9);
        assert_int_equal(e.d.floor, 12);
        assert_int_equal(e.state, RK_ST_OBSERVE);
        assert_int_equal(e.class, RK_CLASS_A);
        assert_int_equal(e.wake_ns, RK_NEVER);
        assert_int_equal(e.give_up_ns, RK_NEVER);
        assert_string_equal(e.own_sae, "");
        assert_string_equal(e.peer_sae, "");
        assert_int_equal(e.alarms, 0);
        assert_int_equal(e.peer.role, 0);
        assert_false(e.want);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_step),
        cmocka_unit_test(when_it_began),
        cmocka_unit_test(first_key),
        cmocka_unit_test(given_up),
        cmocka_unit_test(given_up_early),
        cmocka_unit_test(bad_tags),
        cmocka_unit_test(device_lost_it),
        cmocka_unit_test(flags_stay),
        cmocka_unit_test(lost_cak_stays_before),
        cmocka_unit_test(turns_back),
        cmocka_unit_test(given_up_is_not_used_again),
        cmocka_unit_test(lost_on_the_way),
        cmocka_unit_test(given_up_key_in_use),
        cmocka_unit_test(taken_over),
        cmocka_unit_test(what_may_be_taken_over),
        cmocka_unit_test(loaded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
