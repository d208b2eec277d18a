/* model_arrows_test.c - the transition table as a whole: what holds for all of its arrows, not for one of them. */
#include "model_rig.h"

#include "core/model/end_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static bool
waits(int state)
{
    return state == RK_ST_IDLE || state == RK_ST_STAGED || state == RK_ST_ACTIVE || state == RK_ST_DRAIN;
}

/* The action that the table names for a state is the one that an end asks for on entering it. */
static void
acts(void **state)
{
    struct fix f;

    (void)state;
    for (int st = 0; st < RK_ST_COUNT; st++) {
        bring(&f, M, (enum rk_state)st);
        assert_int_equal(rk_state_act((enum rk_state)st), f.todo.act);
        assert_int_equal(rk_state_act((enum rk_state)st) == RK_ACT_NONE, waits(st));
    }
}

/* An action under way is let go by its answer alone: no record, no operator and no clock leads on. */
static void
only_answers_lead_on(void **state)
{
    static const enum rk_event_type others[] = {RK_EV_TICK, RK_EV_PEER, RK_EV_ROTATE, RK_EV_ADOPT};

    (void)state;
    for (int from = 0; from < RK_ST_COUNT; from++)
        for (size_t i = 0; i < sizeof others / sizeof *others; i++)
            for (int to = 0; to < RK_ST_COUNT; to++)
                if (!waits(from))
                    assert_int_equal(rk_arrow((enum rk_state)from, others[i], (enum rk_state)to), from == to);
}

/* A wait has no answer; an action has a failure, and one good answer. */
static void
answers(void **state)
{
    static const enum rk_event_type good[] = {RK_EV_DONE, RK_EV_KEY, RK_EV_OBSERVED};

    (void)state;
    for (int from = 0; from < RK_ST_COUNT; from++) {
        unsigned failures = 0, kinds = 0;

        for (int to = 0; to < RK_ST_COUNT; to++)
            failures += rk_arrow((enum rk_state)from, RK_EV_FAILED, (enum rk_state)to);
        for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
            unsigned to_any = 0;

            for (int to = 0; to < RK_ST_COUNT; to++)
                to_any += rk_arrow((enum rk_state)from, good[i], (enum rk_state)to);
            kinds += to_any > 0;
        }
        assert_int_equal(failures > 0, !waits(from));
        assert_int_equal(kinds, !waits(from));
    }
}

/* On a device that transmits on a key there is no way back but over what the device shows. */
static void
only_forward(void **state)
{
    static const enum rk_state late[] = {RK_ST_J_ACTIVATING, RK_ST_ACTIVATE, RK_ST_J_ACTIVE, RK_ST_ACTIVE, RK_ST_DRAIN,
                                         RK_ST_RETIRE};
    static const enum rk_state back[] = {RK_ST_J_BURNING, RK_ST_J_BURNT, RK_ST_UNSTAGE, RK_ST_STAGED, RK_ST_STAGE};

    (void)state;
    for (size_t from = 0; from < sizeof late / sizeof *late; from++)
        for (int ev = 0; ev < RK_EV_COUNT; ev++)
            for (size_t to = 0; to < sizeof back / sizeof *back; to++)
                assert_false(rk_arrow(late[from], (enum rk_event_type)ev, back[to]));
}

/* An answer that nobody waits for is a mistake of ours: it ends the process, before anything is built on it. */
static void
cannot_come(void **state)
{
    static const struct {
        enum rk_state state;
        enum rk_event_type event;
    } rows[] = {{RK_ST_IDLE, RK_EV_DONE}, {RK_ST_FETCH, RK_EV_OBSERVED}, {RK_ST_STAGE, RK_EV_START}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        pid_t child = fork();
        int how;

        assert_true(child >= 0);
        if (child == 0) {
            struct fix f;

            signal(SIGABRT, SIG_DFL);
            setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
            bring(&f, M, rows[i].state);
            if (!freopen("/dev/null", "w", stderr))
                _exit(1);
            happens(&f, rows[i].event);
            _exit(0);
        }
        assert_int_equal(waitpid(child, &how, 0), child);
        assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGABRT);
    }
}

/* What people read in a trace. */
static void
names(void **state)
{
    static const char *const events[] = {"start",  "tick", "done",   "key",  "observed",
                                         "failed", "peer", "rotate", "adopt"};
    static const char *const states[] = {
        "observing", "idle", "intent", "fetching", "fetched", "staging", "staging", "staged", "activating",
        "activating", "activating", "active", "draining", "retiring", "retiring", "burning", "burning", "burning",
        "shutting", "shutting", "sweeping",
    };
    static const char *const alarms[] = {"DUE", "OVERDUE", "EXPIRED", "ROLE-CONFLICT", "FOREIGN", "SPLIT", "NO-PEER",
                                         "JOURNAL", "DEVICE", "SOURCE", "UNPROTECTED", "CLOCK-SKEW", "SOURCE-DRY",
                                         "FALLBACK-IN-USE", "UNPROVED", "CERT-EXPIRY", "MIX-REDUCED", "PATH",
                                         "NEIGHBOUR"};

    (void)state;
    for (int i = 0; i < RK_EV_COUNT; i++)
        assert_string_equal(rk_event_name((enum rk_event_type)i), events[i]);
    assert_string_equal(rk_event_name(RK_EV_COUNT), "?");
    for (int i = 0; i < RK_ST_COUNT; i++)
        assert_string_equal(rk_state_name((enum rk_state)i), states[i]);
    for (size_t i = 0; i < sizeof alarms / sizeof *alarms; i++)
        assert_string_equal(rk_alarm_name(1u << i), alarms[i]);
    assert_string_equal(rk_alarm_name(0), "?");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acts),
        cmocka_unit_test(only_answers_lead_on),
        cmocka_unit_test(answers),
        cmocka_unit_test(only_forward),
        cmocka_unit_test(cannot_come),
        cmocka_unit_test(names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
