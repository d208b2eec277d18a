/* daemon_expiry_test.c - alarm CERT-EXPIRY: raised and cleared by what plugins state and what the calendar says.
 *
 * Both clocks, the timer and the telling of alarms are the test's: core/daemon/expiry.c runs between them.
 */
#include "core/daemon/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DAY_S INT64_C(86400)
#define NOW_S INT64_C(1800000000)
#define LOOK_NS (RK_EXPIRY_LOOK_MS * RK_NS_PER_MS)

static int64_t now_ns, wall_s;
static struct wake *armed;
static int64_t armed_ns;
static unsigned told; /* how often alarms of an end were told */

int64_t
rk_now_ns(void)
{
    return now_ns;
}

struct rk_wall
rk_wall_now(void)
{
    return (struct rk_wall){wall_s * 1000};
}

void
wake_at(struct daemon *d, struct wake *w, int64_t at_ns)
{
    (void)d;
    armed = w;
    armed_ns = at_ns;
}

void
end_show_alarms(struct end *end, int64_t at_ns)
{
    (void)end;
    (void)at_ns;
    told++;
}

/* A daemon with a link of two ends, whose device is not the same. */
static struct {
    struct daemon d;
    struct rk_instance_conf conf[4];
    struct inst source, east, west, second;
    bool mixed; /* the second source gives parts, too */
    struct end a, b, *ends[2];
    struct live live[2];
} r;

bool
end_rouse(struct end *end)
{
    return end->live != NULL;
}

const struct rk_end *
end_see(const struct end *end)
{
    return &end->live->e;
}

size_t
mix_sources(const struct end *end, const struct inst *source[RK_PARTS_MAX])
{
    source[0] = end->source;
    source[1] = &r.second;
    return r.mixed ? 2 : 1;
}

static void
make_inst(struct inst *inst, size_t i, const char *name)
{
    snprintf(r.conf[i].name, sizeof r.conf[i].name, "%s", name);
    inst->d = &r.d;
    inst->conf = &r.conf[i];
    inst->next = r.d.insts;
    r.d.insts = inst;
}

static int
set_up(void **state)
{
    (void)state;
    memset(&r, 0, sizeof r);
    make_inst(&r.source, 0, "kme");
    make_inst(&r.east, 1, "east");
    make_inst(&r.west, 2, "west");
    make_inst(&r.second, 3, "second");
    r.a.device = &r.east;
    r.b.device = &r.west;
    r.a.source = r.b.source = &r.source;
    r.a.live = &r.live[0];
    r.b.live = &r.live[1];
    r.ends[0] = &r.a;
    r.ends[1] = &r.b;
    r.d.ends = r.ends;
    r.d.n_ends = 2;
    now_ns = 1000;
    wall_s = NOW_S;
    told = 0;
    armed = NULL;
    expiry_look(&r.d);
    return 0;
}

/* What was armed is due. */
static void
run_timer(void)
{
    struct wake *w = armed;

    assert_non_null(w);
    now_ns = armed_ns;
    armed = NULL;
    w->fn(&r.d, w);
    assert_ptr_equal(armed, w); /* and again in an hour, for ever */
    assert_int_equal(armed_ns, now_ns + LOOK_NS);
}

static void
state_end(struct inst *inst, const char *what, int64_t ends_s)
{
    struct rk_reply reply = {.ends_unix_s = ends_s};

    snprintf(reply.ends_what, sizeof reply.ends_what, "%s", what);
    expiry_heard(inst, &reply);
}

static bool
alarmed(const struct end *end)
{
    return end->live->e.alarms & RK_ALARM_CERT_EXPIRY;
}

/* Nothing calls, and the days go by. */
static void
test_time_goes_by(void **state)
{
    char text[300];

    (void)state;
    run_timer();
    state_end(&r.source, "/sae.pem", NOW_S + 31 * DAY_S);
    run_timer();
    assert_false(alarmed(&r.a));
    assert_null(expiry_of(&r.a));
    for (int hours = 0; hours < 24; hours++) {
        assert_false(alarmed(&r.a));
        wall_s += 3600;
        run_timer();
    }
    assert_true(alarmed(&r.a));
    assert_true(alarmed(&r.b));
    assert_int_equal(told, 2);
    assert_ptr_equal(expiry_of(&r.a), &r.source);
    assert_string_equal(expiry_remedy(&r.a, text, sizeof text), "renew /sae.pem: it ends 2027-02-15 08:00:00 UTC");
    wall_s += 31 * DAY_S;
    run_timer();
    assert_true(alarmed(&r.a));
    assert_int_equal(told, 2); /* it is told once */
    assert_string_equal(expiry_remedy(&r.a, text, sizeof text), "renew /sae.pem: it ended 2027-02-15 08:00:00 UTC");
}

/* What is heard counts at once, and only for the ends that use it. */
static void
test_heard(void **state)
{
    (void)state;
    run_timer();
    state_end(&r.east, "/device.pem", NOW_S + 3 * DAY_S);
    assert_int_equal(armed_ns, now_ns);
    run_timer();
    assert_true(alarmed(&r.a));
    assert_false(alarmed(&r.b));
    assert_ptr_equal(expiry_of(&r.a), &r.east);
    state_end(&r.east, "/device.pem", NOW_S + 3 * DAY_S); /* the same again is nothing new */
    assert_int_equal(armed_ns, now_ns + LOOK_NS);
    state_end(&r.source, "/sae.pem", NOW_S + 2 * DAY_S);
    run_timer();
    assert_ptr_equal(expiry_of(&r.a), &r.source); /* the one that ends first is shown */
    assert_true(alarmed(&r.b));
    state_end(&r.east, "", 0); /* a reply without one says nothing */
    assert_int_equal(r.east.ends_unix_s, NOW_S + 3 * DAY_S);
}

/* Of several sources each counts. */
static void
test_several_sources(void **state)
{
    (void)state;
    run_timer();
    state_end(&r.second, "/second.pem", NOW_S + 3 * DAY_S);
    run_timer();
    assert_false(alarmed(&r.a));
    r.mixed = true;
    run_timer();
    assert_true(alarmed(&r.a));
    assert_ptr_equal(expiry_of(&r.a), &r.second);
}

static void
test_renewed(void **state)
{
    (void)state;
    state_end(&r.source, "/sae.pem", NOW_S - 1);
    run_timer();
    assert_true(alarmed(&r.a));
    state_end(&r.source, "/sae.pem", NOW_S + 365 * DAY_S);
    assert_int_equal(armed_ns, now_ns);
    run_timer();
    assert_false(alarmed(&r.a));
    assert_false(alarmed(&r.b));
    assert_int_equal(told, 4);
}

/* The clock was wrong, and is set right. */
static void
test_clock_is_set(void **state)
{
    (void)state;
    state_end(&r.source, "/sae.pem", NOW_S + 100 * DAY_S);
    wall_s = NOW_S + 1000 * DAY_S;
    run_timer();
    assert_true(alarmed(&r.a));
    wall_s = NOW_S;
    run_timer();
    assert_false(alarmed(&r.a));
    wall_s = 0;
    run_timer();
    assert_false(alarmed(&r.a));
}

/* Channels and fallback source are used as well. */
static void
test_every_instance_of_an_end(void **state)
{
    struct path second = {.end = &r.b, .channel = &r.west}, first = {.end = &r.b, .channel = &r.west, .next = &second};
    struct inst **const places[] = {&first.channel, &second.channel, &r.b.fallback};

    (void)state;
    state_end(&r.east, "/x.pem", NOW_S + DAY_S);
    r.a.device = &r.west;
    r.b.paths = &first;
    run_timer();
    assert_false(alarmed(&r.b));
    for (size_t i = 0; i < 3; i++) {
        struct inst *was = *places[i];

        *places[i] = &r.east;
        run_timer();
        assert_true(alarmed(&r.b));
        *places[i] = was;
        run_timer();
        assert_false(alarmed(&r.b));
    }
}

#define TEST(f) cmocka_unit_test_setup(f, set_up)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_time_goes_by),
        TEST(test_several_sources), TEST(test_heard),
        TEST(test_renewed),
        TEST(test_clock_is_set),
        TEST(test_every_instance_of_an_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
