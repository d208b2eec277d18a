/* daemon_store_test.c - when core/daemon/store.c commits a group: at once, or with those that follow.
 *
 * The journal counts its commits, and timers are the test's.
 */
#include "core/daemon/ratchet.h"

#include <rekey/err.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BURST 3

static struct {
    struct daemon d;
    struct live live;
    struct end end;
    unsigned commits, done;
    bool no_memory;
} r;

/* ---- the rest of rekeyd ---- */

int
rk_journal_put_at(struct rk_journal *j, struct rk_journal_place *at, const struct rk_durable *d)
{
    (void)j, (void)at, (void)d;
    return RK_OK;
}

int
rk_journal_note_at(struct rk_journal *j, struct rk_journal_place *at, const struct rk_journal_event *e,
                   bool put_follows)
{
    (void)j, (void)at, (void)e, (void)put_follows;
    return RK_OK;
}

int
rk_journal_commit(struct rk_journal *j, char *why, size_t size)
{
    (void)j, (void)why, (void)size;
    r.commits++;
    return RK_OK;
}

bool
rk_journal_hollow(const struct rk_journal *j)
{
    (void)j;
    return false;
}

int
rk_journal_renew(struct rk_journal *j, char *aside, size_t aside_size, char *why, size_t size)
{
    (void)j, (void)aside, (void)aside_size, (void)why, (void)size;
    return RK_E_IO;
}

void
ratchet_store(struct end *end)
{
    (void)end;
}

void
ratchet_stored(struct end *end, bool ok)
{
    (void)end, (void)ok;
}

void
ratchet_lost(struct end *end)
{
    (void)end;
}

bool
end_rouse(struct end *end)
{
    (void)end;
    return true;
}

void
end_answer(struct end *end, const struct rk_event *ev)
{
    assert_ptr_equal(end, &r.end);
    assert_int_equal(ev->type, RK_EV_DONE);
    r.done++;
}

void
end_failed(struct end *end, int err, const char *why)
{
    (void)end, (void)err;
    fail_msg("%s", why);
}

void
turn_soon(struct daemon *d)
{
    d->turn_due = true;
}

void
wake_at(struct daemon *d, struct wake *w, int64_t at_ns)
{
    (void)d;
    w->timer.at_ns = at_ns;
    w->timer.pos = !r.no_memory;
}

/* ---- tests ---- */

static int
start(void **state)
{
    (void)state;
    memset(&r, 0, sizeof r);
    r.d.commits = (struct rk_bucket){.rate_per_s = 0.001, .burst = BURST};
    r.d.commit_last = &r.d.commit;
    r.end.d = &r.d;
    r.end.live = &r.live;
    return 0;
}

/* An entry that its end waits for, and a turn of the loop. */
static void
entry(void)
{
    store_put(&r.end);
    store_flush(&r.d);
}

static void
spend_burst(void)
{
    for (unsigned i = 1; i <= BURST; i++) {
        entry();
        assert_int_equal(r.commits, i);
        assert_int_equal(r.done, i);
        assert_false(store_due(&r.d));
    }
}

static void
time_passes(void)
{
    r.d.commit_wake.timer.pos = 0;
    r.d.commits.tokens = 1;
    r.d.turn_due = false;
    r.d.commit_wake.fn(&r.d, &r.d.commit_wake);
    assert_true(r.d.turn_due);
}

/* Some go at once; then one waits, and nobody hears of it before it is durable. */
static void
test_waits(void **state)
{
    (void)state;
    spend_burst();
    entry();
    assert_int_equal(r.commits, BURST);
    assert_int_equal(r.done, BURST);
    assert_true(r.d.group_open);
    assert_false(store_due(&r.d));
    assert_true(r.d.commit_wake.timer.at_ns > rk_now_ns());
    store_flush(&r.d);
    assert_int_equal(r.commits, BURST);
    time_passes();
    assert_true(store_due(&r.d));
    store_flush(&r.d);
    assert_int_equal(r.commits, BURST + 1);
    assert_int_equal(r.done, BURST + 1);
    assert_false(r.d.group_open);
}

/* At the end nothing waits: an entry may be what the end waits for. */
static void
test_stop(void **state)
{
    (void)state;
    spend_burst();
    entry();
    r.d.stopping = true;
    assert_true(store_due(&r.d));
    r.d.commit_wake.timer.pos = 0; /* whichever comes first */
    store_flush(&r.d);
    assert_int_equal(r.done, BURST + 1);
    store_put(&r.end);
    r.d.commit_wake.timer.pos = 1;
    store_flush(&r.d);
    assert_int_equal(r.done, BURST + 2);
}

static void
test_no_memory(void **state)
{
    (void)state;
    r.no_memory = true;
    for (unsigned i = 1; i <= BURST + 2; i++) {
        entry();
        assert_int_equal(r.done, i);
    }
}

/* What is in no group needs none. */
static void
test_nothing(void **state)
{
    (void)state;
    store_flush(&r.d);
    assert_false(store_due(&r.d));
    assert_int_equal(r.commits, 0);
    spend_burst();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_waits, start),
        cmocka_unit_test_setup(test_stop, start),
        cmocka_unit_test_setup(test_no_memory, start),
        cmocka_unit_test_setup(test_nothing, start),
    };

    return cmocka_run_group_tests_name("daemon_store", tests, NULL, NULL);
}
