/* daemon_path_test.c - the paths of an end: what counts as heard, which alarms follow, who stays at a reload.
 *
 * Clock, timers, channels and the telling of alarms are the test's: core/daemon/path.c runs between them.
 */
#include "core/daemon/path.h"

#include <rekey/err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S RK_NS_PER_S
#define VERIFY_S 10

static int64_t now_ns;
static unsigned posted, detached, told;
static struct wake *armed;
static int64_t armed_ns;

int64_t
rk_now_ns(void)
{
    return now_ns;
}

void
wake_at(struct daemon *d, struct wake *w, int64_t at_ns)
{
    (void)d;
    armed = w;
    armed_ns = at_ns;
}

void
wake_off(struct daemon *d, struct wake *w)
{
    (void)d;
    armed = armed == w ? NULL : armed;
}

void
chan_post(struct path *p)
{
    (void)p;
    posted++;
}

void
chan_detach(struct path *p)
{
    (void)p;
    detached++;
}

bool
end_rouse(struct end *end)
{
    return end != NULL;
}

void
end_show_alarms(struct end *end, int64_t at_ns)
{
    (void)at_ns;
    end->shown_alarms = path_alarms(end, now_ns);
    told++;
}

/* ---- an end with two channels ---- */

static struct rk_instance_conf names[3];
static struct inst x, y, z, *const insts[] = {&x, &y, &z};
static struct rk_link_conf conf;
static struct end end;

static int
set_up(void **state)
{
    struct inst *all[] = {&x, &y, &z};

    (void)state;
    now_ns = 1000 * S;
    posted = detached = told = 0;
    armed = NULL;
    for (size_t i = 0; i < 3; i++) {
        snprintf(names[i].name, sizeof names[i].name, "%c", (char)('x' + i));
        *all[i] = (struct inst){.conf = &names[i], .ready = true};
    }
    conf = (struct rk_link_conf){.name = "l1", .verify_ms = VERIFY_S * 1000, .n_channels = 2, .channel = 0,
                                 .more_channels = {1, 2}};
    end = (struct end){.conf = &conf, .which = 'a'};
    assert_int_equal(path_follow(&end, &conf, insts), RK_OK);
    return 0;
}

static int
clean(void **state)
{
    (void)state;
    path_drop_all(&end);
    return 0;
}

static struct rk_record
says(uint64_t seq, const char *clock)
{
    struct rk_record r = {.role = RK_MASTER, .say = RK_SAY_ACTIVE, .seq = seq};

    snprintf(r.facts, sizeof r.facts, "sci=1%s%s", clock[0] ? ",t=" : "", clock);
    return r;
}

static void
heard(const struct inst *inst, uint64_t seq, const char *clock, bool late)
{
    struct rk_record r = says(seq, clock);

    path_heard(path_of(&end, inst), &r, late);
}

static const char *
reason(uint32_t alarm, char *channel)
{
    static char why[RK_WHY_MAX];
    const struct path *p = path_why(&end, alarm, now_ns, why);

    *channel = p ? p->channel->conf->name[0] : '-';
    return why;
}

static void
test_stale(void **state)
{
    char at, text[400] = "Text.";

    (void)state;
    heard(&x, 1, "1", false);
    now_ns += 3 * VERIFY_S * S;
    assert_int_equal(path_alarms(&end, now_ns), 0);
    heard(&x, 1, "2", false);
    assert_int_equal(path_alarms(&end, now_ns), 0);
    now_ns++;
    assert_int_equal(path_alarms(&end, now_ns), RK_ALARM_PATH);
    assert_non_null(strstr(reason(RK_ALARM_PATH, &at), "nothing valid came on it for 30 s"));
    assert_int_equal(at, 'y');
    path_explain(&end, now_ns, text, sizeof text);
    assert_string_equal(text, "Text. Channel x: heard 0 ms ago. Channel y: nothing valid came on it for 30 s, and the "
                              "other ways are heard.");
    conf.verify_ms = 100; /* as short as tests have it: seconds would tell nothing */
    now_ns -= 29 * S;
    assert_non_null(strstr(reason(RK_ALARM_PATH, &at), "nothing valid came on it for 1000 ms,"));
    now_ns += 29 * S;
    conf.verify_ms = VERIFY_S * 1000;
    heard(&y, 1, "2", true); /* older than the others: that is no sign that it works */
    assert_non_null(strstr(reason(RK_ALARM_PATH, &at), "only records that are older"));
    heard(&y, 1, "2", false);
    assert_int_equal(path_alarms(&end, now_ns), 0);
    now_ns += 4 * VERIFY_S * S; /* all are silent: of that NO-PEER tells */
    assert_int_equal(path_alarms(&end, now_ns), 0);
}

/* The same once more is no sign, a clock that goes on is, and a record without a clock is as it always was. */
static void
test_same_again(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        char clock[2] = {(char)('1' + i), '\0'};

        heard(&x, 1, clock, false);
        heard(&y, 1, "5", false);
        assert_int_equal(path_alarms(&end, now_ns), 0);
        now_ns += VERIFY_S * S;
    }
    heard(&x, 1, "6", false);
    assert_int_equal(path_alarms(&end, now_ns), RK_ALARM_PATH);
    heard(&y, 1, "", false);
    assert_int_equal(path_alarms(&end, now_ns), 0);
    now_ns += 4 * VERIFY_S * S;
    heard(&x, 2, "7", false);
    heard(&y, 2, "1", false); /* of another rotation */
    assert_int_equal(path_alarms(&end, now_ns), 0);
}

static void
test_trouble(void **state)
{
    struct path *p = path_of(&end, &y);
    int64_t pauses_s[] = {1, 2, 4, 8, 16, 30, 30};
    char at;

    (void)state;
    for (size_t i = 0; i < sizeof pauses_s / sizeof *pauses_s; i++) {
        path_failed(p, false, RK_E_IO, "the disk is full");
        assert_int_equal((armed_ns - now_ns) / S, pauses_s[i]);
        armed->fn(NULL, armed);
        assert_int_equal(posted, i + 1);
    }
    assert_int_equal(path_alarms(&end, now_ns), 0); /* it may pass */
    now_ns += 3 * VERIFY_S * S + 1;
    heard(&x, 1, "1", false);
    heard(&y, 1, "1", false);
    assert_int_equal(path_alarms(&end, now_ns), RK_ALARM_PATH);
    assert_string_equal(reason(RK_ALARM_PATH, &at), "the disk is full");
    assert_int_equal(at, 'y');
    path_works(p);
    assert_int_equal(path_alarms(&end, now_ns), 0);
    assert_null(armed);
    path_failed(p, true, RK_E_NOENT, ""); /* it does not take the link: that does not pass */
    assert_int_equal(path_alarms(&end, now_ns), RK_ALARM_PATH);
    assert_string_equal(reason(RK_ALARM_PATH, &at), "not-there");
}

/* One path alone: a failure is told, silence is NO-PEER's. */
static void
test_one_alone(void **state)
{
    char text[400] = "";

    (void)state;
    conf.n_channels = 1;
    assert_int_equal(path_follow(&end, &conf, insts), RK_OK);
    now_ns += 100 * VERIFY_S * S;
    assert_int_equal(path_alarms(&end, now_ns), 0);
    path_explain(&end, now_ns, text, sizeof text);
    assert_string_equal(text, "");
    path_failed(path_of(&end, &x), true, RK_E_NOENT, "no such port");
    assert_int_equal(path_alarms(&end, now_ns), RK_ALARM_PATH);
    path_explain(&end, now_ns, text, sizeof text);
    assert_non_null(strstr(text, "it does not take the link (no such port)"));
}

static void
test_neighbour(void **state)
{
    char at;

    (void)state;
    path_conflict(path_of(&end, &x), "chassis 02:00:00:00:00:09");
    assert_int_equal(told, 1);
    assert_int_equal(end.shown_alarms, RK_ALARM_NEIGHBOUR);
    assert_string_equal(reason(RK_ALARM_NEIGHBOUR, &at), "chassis 02:00:00:00:00:09");
    assert_int_equal(at, 'x');
    now_ns += 59 * S;
    path_conflict(path_of(&end, &x), "chassis 02:00:00:00:00:0a");
    assert_int_equal(told, 1); /* it is raised already */
    now_ns += 59 * S;
    assert_int_equal(path_alarms(&end, now_ns), RK_ALARM_NEIGHBOUR);
    now_ns += 1 * S;
    assert_int_equal(path_alarms(&end, now_ns), 0);
}

/* Who stays is not touched; who goes is detached, and freed when the last call that names it is over. */
static void
test_follow(void **state)
{
    struct path *was_x = path_of(&end, &x), *was_y = path_of(&end, &y);

    (void)state;
    was_x->heard_ns = 7;
    was_y->busy = 1;
    conf.channel = 2;
    conf.more_channels[0] = 0;
    assert_int_equal(path_follow(&end, &conf, insts), RK_OK);
    assert_ptr_equal(end.channel, &z);
    assert_ptr_equal(end.paths->channel, &z);
    assert_ptr_equal(end.paths->next, was_x);
    assert_null(was_x->next);
    assert_int_equal(was_x->heard_ns, 7);
    assert_null(path_of(&end, &y));
    assert_int_equal(detached, 1);
    assert_null(was_y->end);
    was_y->busy = 0;
    path_release(was_y);
    was_x->attached = true;
    path_begin(&end, false);
    assert_int_equal(posted, 1); /* of the new one alone */
    end.paths->attaching = true;
    path_begin(&end, true);
    assert_int_equal(posted, 2); /* the one that is told just now is told again when that is over */
    assert_true(end.paths->again && !was_x->attached);
}

static void
test_refused(void **state)
{
    struct path *px = path_of(&end, &x), *py = path_of(&end, &y);
    struct refusals all;

    (void)state;
    path_refused(&end, &all);
    assert_int_equal(all.n, 0);
    px->refused = calloc(1, sizeof *px->refused);
    py->refused = calloc(1, sizeof *py->refused);
    assert_true(px->refused && py->refused);
    *px->refused = (struct refusals){.n = 3, .at_ns = 9, .why = "last"};
    *py->refused = (struct refusals){.n = 2, .at_ns = 8, .why = "before"};
    path_refused(&end, &all);
    assert_int_equal(all.n, 5);
    assert_string_equal(all.why, "last");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, clean)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_stale),     TEST(test_same_again), TEST(test_trouble), TEST(test_one_alone),
        TEST(test_neighbour), TEST(test_follow),     TEST(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
