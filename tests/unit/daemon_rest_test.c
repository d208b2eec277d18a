/* daemon_rest_test.c - ends at rest: core/daemon/rest.c packs what an end is, and brings it back as it was.
 *
 * The timer is the test's, and what end_configure() sets comes from here.
 */
#include "core/daemon/daemon.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#define MANY 1000u

static struct {
    struct daemon d;
    struct end end;
    struct rk_end was;
    uint32_t random;
    unsigned released;
    bool holds;
} r;

static struct rk_supply supply;

void
wake_at(struct daemon *d, struct wake *w, int64_t at_ns)
{
    (void)d;
    w->timer.at_ns = at_ns;
    w->timer.pos = 1;
}

void
wake_off(struct daemon *d, struct wake *w)
{
    (void)d;
    w->timer.pos = 0;
}

void
end_release(struct end *end)
{
    assert_true(end->gone);
    r.released++;
}

bool
mix_holds(const struct end *end)
{
    (void)end;
    return r.holds;
}

static void
configure(struct rk_end *e)
{
    e->own_sae = "SAE_A";
    e->peer_sae = "SAE_B";
    e->supply = &supply;
    e->interval_ns = 120 * RK_NS_PER_S;
    e->drain_ns = 2 * RK_NS_PER_S;
    e->verify_ns = 10 * RK_NS_PER_S;
    e->lead_ns = 60 * RK_NS_PER_S;
    e->shut_after_ns = 7;
    e->slot = 0x123456789abcdef;
}

void
end_configure(struct end *end)
{
    configure(&end->live->e);
}

static uint32_t
next(void)
{
    r.random = r.random * 1664525u + 1013904223u;
    return r.random >> 8;
}

/* Half of them are as long as they may be, and the others anything down to nothing. */
static void
make_text(char *text, size_t size)
{
    size_t len = next() % 2 ? size - 1 : next() % size;

    memset(text, 0, size);
    for (size_t i = 0; i < len; i++)
        text[i] = (char)('!' + next() % 90);
}

/* Any state that is idle: all bytes are random, but those of texts, and where only some values are right. */
static void
make_state(struct rk_end *e)
{
    unsigned char *bytes = (unsigned char *)e;

    for (size_t i = 0; i < sizeof *e; i++)
        bytes[i] = next() % 3 ? 0 : (unsigned char)next();
    make_text(e->d.link, sizeof e->d.link);
    make_text(e->d.cur, sizeof e->d.cur);
    make_text(e->d.prev, sizeof e->d.prev);
    make_text(e->d.cand, sizeof e->d.cand);
    make_text(e->d.mine, sizeof e->d.mine);
    make_text(e->d.theirs, sizeof e->d.theirs);
    make_text(e->peer.link, sizeof e->peer.link);
    make_text(e->peer.key, sizeof e->peer.key);
    make_text(e->peer.prev, sizeof e->peer.prev);
    make_text(e->peer.facts, sizeof e->peer.facts);
    make_text(e->peer.confirm, sizeof e->peer.confirm);
    make_text(e->peer_active, sizeof e->peer_active);
    make_text(e->facts, sizeof e->facts);
    make_text(e->last_why, sizeof e->last_why);
    if (next() % 2) /* as a peer that agrees */
        memcpy(e->peer.key, e->d.cur, sizeof e->peer.key);
    e->state = RK_ST_IDLE;
    e->retrying = false;
    configure(e);
}

static void
make_end(struct end *end)
{
    memset(end, 0, sizeof *end);
    end->d = &r.d;
    end->key_fd = -1;
    end->live = live_new();
    assert_non_null(end->live);
    make_state(&end->live->e);
}

static void
time_goes_on(void)
{
    for (int look = 0; look < 2; look++) { /* the first one finds that something had happened before it */
        if (look == 0)
            assert_int_equal(r.d.rest_wake.timer.pos, 1);
        if (!r.d.rest_wake.timer.pos)
            break;
        r.d.rest_wake.timer.pos = 0;
        r.d.rest_wake.fn(&r.d, &r.d.rest_wake);
    }
}

static void
drop(struct end *end)
{
    live_free(end->live);
    rest_free(end->rest);
}

static int
set_up(void **state)
{
    (void)state;
    memset(&r, 0, sizeof r);
    r.random = 7;
    make_end(&r.end);
    r.was = r.end.live->e;
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    drop(&r.end);
    return 0;
}

/* At rest it is to be seen, and when it is roused it is there, as it was. */
static void
as_it_was(void **state)
{
    (void)state;
    for (int i = 0; i < 500; i++) {
        r.end.live->place.no = i;
        r.end.live->fetch_ns = 5 * i;
        r.end.live->act_key[0] = 'x'; /* of an action that is over */
        assert_true(end_rouse(&r.end));
        time_goes_on();
        assert_null(r.end.live);
        assert_memory_equal(end_see(&r.end), &r.was, sizeof r.was);
        assert_true(end_rouse(&r.end));
        assert_memory_equal(&r.end.live->e, &r.was, sizeof r.was);
        assert_ptr_equal(end_see(&r.end), &r.end.live->e);
        assert_int_equal(r.end.live->place.no, i);
        assert_int_equal(r.end.live->fetch_ns, 5 * i);
        assert_int_equal(r.end.live->act_key[0], 0);
        assert_int_equal(r.end.live->act, RK_ACT_NONE);
        make_state(&r.end.live->e);
        r.was = r.end.live->e;
    }
}

/* Not while there is one event after the other. */
static void
stirred(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        end_rouse(&r.end);
        r.d.rest_wake.fn(&r.d, &r.d.rest_wake);
        assert_non_null(r.end.live);
    }
    r.d.rest_wake.fn(&r.d, &r.d.rest_wake);
    assert_null(r.end.live);
}

/* What is behind the end of a text is no part of it. */
static void
behind_texts(void **state)
{
    struct rk_end *e = &r.end.live->e;

    (void)state;
    memcpy(e->last_why, "ok\0rest of an older and longer text", 36);
    memset(e->d.prev, 'k', sizeof e->d.prev);
    e->d.prev[0] = '\0';
    end_rouse(&r.end);
    time_goes_on();
    assert_string_equal(end_see(&r.end)->last_why, "ok");
    for (size_t i = 0; i < sizeof e->d.prev; i++)
        assert_int_equal(end_see(&r.end)->d.prev[i], 0);
}

/* With something under way it does not rest; when that is over the next event brings it to rest. */
static void
at_work(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        r.end.busy = i == 0;
        r.end.live->act = i == 1 ? RK_ACT_JOURNAL : RK_ACT_NONE;
        r.end.live->e.state = i == 2 ? RK_ST_STAGED : RK_ST_IDLE;
        r.end.live->e.retrying = i == 3;
        r.end.inbox_due = i == 4;
        r.end.key_fd = i == 5 ? 0 : -1;
        r.d.stopping = i == 6;
        r.holds = i == 7;
        end_rouse(&r.end);
        time_goes_on();
        assert_non_null(r.end.live);
        assert_int_equal(r.d.rest_wake.timer.pos, 0);
    }
    r.holds = false;
    end_rouse(&r.end);
    time_goes_on();
    assert_null(r.end.live);
}

/* At rest it is woken when its model wants to be, and not before. */
static void
its_timer(void **state)
{
    (void)state;
    wake_at(&r.d, &r.end.wake, 5);
    r.end.live->e.wake_ns = 1234567;
    end_rouse(&r.end);
    time_goes_on();
    assert_int_equal(r.end.wake.timer.pos, 1);
    assert_int_equal(r.end.wake.timer.at_ns, 1234567);
    end_rouse(&r.end);
    r.end.live->e.wake_ns = RK_NEVER;
    time_goes_on();
    assert_int_equal(r.end.wake.timer.pos, 0);
}

/* One that has left the configuration is let go of, and not packed; once, and only when it is in no list any more. */
static void
gone(void **state)
{
    (void)state;
    end_rouse(&r.end);
    end_rouse(&r.end);
    r.end.gone = true;
    assert_true(r.end.live->may_rest);
    time_goes_on();
    assert_int_equal(r.released, 1);
    assert_non_null(r.end.live);
    assert_false(r.end.live->may_rest);
}

/* Each in its own place, whatever the order in which they come and go. */
static void
many(void **state)
{
    static struct end end[MANY];
    static struct rk_end was[MANY];

    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        make_end(&end[i]);
        was[i] = end[i].live->e;
        end_rouse(&end[i]);
    }
    for (int round = 0; round < 20; round++) {
        time_goes_on();
        for (size_t i = 0; i < MANY; i++) {
            assert_memory_equal(end_see(&end[i]), &was[i], sizeof was[i]);
            if (round < 19 && next() % 2)
                assert_true(end_rouse(&end[i]));
        }
        if (!r.d.may_rest)
            break;
    }
    for (size_t i = 0; i < MANY; i++)
        drop(&end[i]);
}

/* Without memory an end stays at rest, and nothing of it is lost. */
static void
no_memory(void **state)
{
    static struct end end[MANY];
    struct rlimit as, none;
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        make_end(&end[i]);
        end_rouse(&end[i]);
    }
    time_goes_on();
    getrlimit(RLIMIT_AS, &as);
    none = (struct rlimit){1, as.rlim_max};
    setrlimit(RLIMIT_AS, &none);
    while (n < MANY && end_rouse(&end[n]))
        n++;
    setrlimit(RLIMIT_AS, &as);
    assert_in_range(n, 1, MANY - 1);
    assert_null(end[n].live);
    assert_true(end_rouse(&end[n]));
    for (size_t i = 0; i < MANY; i++)
        drop(&end[i]);
    r.d.may_rest = NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(as_it_was, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stirred, set_up, tear_down),
        cmocka_unit_test_setup_teardown(behind_texts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(at_work, set_up, tear_down),
        cmocka_unit_test_setup_teardown(its_timer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_memory, set_up, tear_down),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
