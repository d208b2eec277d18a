/* daemon_slaves_test.c - links whose end here is slave, while their source gives no keys: core/daemon/source_slaves.c
 * with the real gate, on the test's time; the ends hear what they would.
 */
#include "core/daemon/source_pool.h"

#include <rekey/err.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define S RK_NS_PER_S
#define SLAVES 100u
#define INTERVAL (300 * S)

static struct {
    struct daemon d;
    struct rk_instance_conf conf;
    struct inst inst, other;
    struct source src;
    struct source_pair pair;
    struct end end[SLAVES], *ends[SLAVES];
    struct live live[SLAVES];
    size_t woken;
    int64_t now_ns;
} r;

void
end_event(struct end *end, const struct rk_event *ev)
{
    assert_int_equal(ev->type, RK_EV_ROTATE);
    assert_false(end->live->e.want); /* not told twice */
    end->live->e.want = true;
    r.woken++;
}

const struct rk_end *
end_see(const struct end *end)
{
    return &end->live->e;
}

static void
alarm_at(size_t i, uint32_t alarms)
{
    r.live[i].e.alarms = r.end[i].shown_alarms = alarms;
}

/* All but the last two have failed to get a key; the gate of the source is shut. */
static int
set_up(void **state)
{
    (void)state;
    memset(&r, 0, sizeof r);
    r.now_ns = 1000 * S;
    r.inst = (struct inst){.d = &r.d, .conf = &r.conf, .ready = true};
    r.src = (struct source){.inst = &r.inst, .pairs = &r.pair, .interval_ns = INTERVAL, .slaves_wait = true};
    r.pair = (struct source_pair){.src = &r.src, .used = true};
    for (size_t i = 0; i < SLAVES; i++) {
        r.end[i].source = &r.inst;
        r.end[i].live = &r.live[i];
        r.live[i].e.d.role = RK_SLAVE;
        r.live[i].e.state = RK_ST_IDLE;
        alarm_at(i, RK_ALARM_SOURCE);
        r.ends[i] = &r.end[i];
    }
    r.end[SLAVES - 1].source = &r.other;
    alarm_at(SLAVES - 2, 0);
    r.live[0].e.d.role = RK_MASTER;
    r.end[0].master = true;
    r.d.ends = r.ends;
    r.d.n_ends = SLAVES;
    rk_gate_failed(&r.src.gate, r.now_ns, INTERVAL, 1);
    return 0;
}

static void
goes_on(int64_t ns)
{
    r.now_ns += ns;
}

/* Not before the pause is over, not while keys are asked for, and never for masters alone. */
static void
when(void **state)
{
    struct end waiting = {.busy = true};

    (void)state;
    assert_null(source_probe(&r.src, r.now_ns));
    goes_on(S);
    assert_ptr_equal(source_probe(&r.src, r.now_ns), &r.pair);
    r.inst.in_flight = 1;
    assert_null(source_probe(&r.src, r.now_ns));
    r.inst.in_flight = 0;
    r.inst.queue.first = &waiting;
    assert_null(source_probe(&r.src, r.now_ns));
    r.inst.queue.first = NULL;
    r.pair.n_wait = 1; /* a master waits: it asks for a key */
    assert_null(source_probe(&r.src, r.now_ns));
    r.pair.n_wait = 0;
    r.src.polling = true;
    assert_null(source_probe(&r.src, r.now_ns));
    r.src.polling = false;
    r.src.slaves_wait = false;
    assert_null(source_probe(&r.src, r.now_ns));
}

/* A source that has no status cannot be asked; one that has none for this peer is asked for the next. */
static void
without_status(void **state)
{
    struct source_pair more = {.src = &r.src, .used = true};

    (void)state;
    goes_on(S);
    r.pair.poll_err = RK_E_UNSUPPORTED;
    assert_null(source_probe(&r.src, r.now_ns));
    r.pair.next = &more;
    assert_ptr_equal(source_probe(&r.src, r.now_ns), &more);
    more.used = false;
    assert_null(source_probe(&r.src, r.now_ns));
}

/* An hour away: asked on, with pauses of half a minute and a quarter at most, and nobody is woken. */
static void
outage(void **state)
{
    unsigned asked = 0;
    int64_t last_ns = r.now_ns, end_ns = r.now_ns + 3600 * S;

    (void)state;
    for (; r.now_ns < end_ns; goes_on(S / 10))
        if (source_probe(&r.src, r.now_ns)) {
            assert_true(r.now_ns - last_ns <= 38 * S);
            last_ns = r.now_ns;
            asked++;
            source_probed(&r.src, RK_E_UNREACHABLE, r.now_ns);
        }
    assert_true(asked >= 90 && asked <= 200);
    assert_int_equal(r.woken, 0);
}

/* It is back: one slave first, and not another one before it has had time; the others when that one has its key. */
static void
return_of_the_source(void **state)
{
    (void)state;
    goes_on(S);
    assert_ptr_equal(source_probe(&r.src, r.now_ns), &r.pair);
    source_probed(&r.src, RK_OK, r.now_ns);
    assert_int_equal(r.woken, 1);
    assert_false(r.live[0].e.want); /* a master asks by itself */
    assert_true(r.live[1].e.want);
    goes_on(S);
    assert_null(source_probe(&r.src, r.now_ns));
    source_slaves_turn(&r.src, r.now_ns);
    assert_int_equal(r.woken, 1); /* the gate is still shut */
    rk_gate_asked(&r.src.gate, 1);
    rk_gate_answered(&r.src.gate, 1, false, r.now_ns, INTERVAL, 1);
    alarm_at(1, 0);
    source_slaves_turn(&r.src, r.now_ns);
    assert_true(r.woken > 1 && r.woken < 30);
    for (int i = 0; i < 10 && r.src.gate.state != RK_GATE_OPEN; i++) {
        size_t n = rk_gate_room(&r.src.gate, r.now_ns);

        rk_gate_asked(&r.src.gate, n);
        rk_gate_answered(&r.src.gate, n, false, r.now_ns, INTERVAL, 1);
        source_slaves_turn(&r.src, r.now_ns);
    }
    source_slaves_turn(&r.src, r.now_ns);
    assert_int_equal(r.woken, SLAVES - 3); /* but the master, the one without alarm, and that of another source */
    source_slaves_turn(&r.src, r.now_ns);
    assert_false(r.src.slaves_wait);
}

/* Its status answers, its keys do not come: one slave now and then, not all. */
static void
status_alone_works(void **state)
{
    int64_t end_ns = r.now_ns + 600 * S;

    (void)state;
    for (; r.now_ns < end_ns; goes_on(S / 10))
        if (source_probe(&r.src, r.now_ns)) {
            size_t before = r.woken;

            source_probed(&r.src, RK_OK, r.now_ns);
            assert_true(r.woken - before <= 1);
            rk_gate_asked(&r.src.gate, 1);
            rk_gate_answered(&r.src.gate, 1, true, r.now_ns, INTERVAL, 1);
        }
    assert_true(r.woken > 5 && r.woken <= 60);
}

/* A mixed link waits for the source that failed, at whatever place of its list that is; and a slave that is reading its
 * device just now wants a key no less. */
static void
whoever_failed_there(void **state)
{
    static int mixed;

    (void)state;
    for (size_t i = 0; i < SLAVES; i++)
        alarm_at(i, 0);
    for (size_t i = 1; i <= 3; i++)
        alarm_at(i, RK_ALARM_SOURCE);
    r.end[1].mix = r.end[2].mix = (struct mix *)(void *)&mixed;
    r.end[1].asked = &r.other; /* its first source is this one, and works */
    r.end[2].source = &r.other;
    r.end[2].asked = &r.inst;
    r.live[3].e.state = RK_ST_OBSERVE;
    goes_on(S);
    source_probed(&r.src, RK_OK, r.now_ns);
    assert_int_equal(r.woken, 1);
    assert_true(r.live[2].e.want);
    rk_gate_asked(&r.src.gate, 1);
    rk_gate_answered(&r.src.gate, 1, false, r.now_ns, INTERVAL, 1);
    source_slaves_turn(&r.src, r.now_ns);
    assert_true(r.live[3].e.want);
    assert_int_equal(r.woken, 2);
}

static void
nobody_wants(void **state)
{
    (void)state;
    for (size_t i = 0; i < SLAVES; i++)
        alarm_at(i, 0);
    goes_on(S);
    source_probed(&r.src, RK_OK, r.now_ns);
    assert_int_equal(r.woken, 0);
    assert_false(r.src.slaves_wait);
    assert_null(source_probe(&r.src, r.now_ns));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(when, set_up),
        cmocka_unit_test_setup(without_status, set_up),
        cmocka_unit_test_setup(outage, set_up),
        cmocka_unit_test_setup(return_of_the_source, set_up),
        cmocka_unit_test_setup(status_alone_works, set_up),
        cmocka_unit_test_setup(whoever_failed_there, set_up),
        cmocka_unit_test_setup(nobody_wants, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
