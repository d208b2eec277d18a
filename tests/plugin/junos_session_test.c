/* junos_session_test.c - when the session of a router is opened, opened again, and closed */
#include "plugins/common/junos/read.h"
#include "plugins/device/junos-netconf/session.h"

#include "fakehost.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <rekey/err.h>

static struct {
    int open_err, rpc_err[4], tend_err; /* rpc_err: of the requests to come */
    unsigned opens, closes, polite, rpcs, tends, n_sessions, forgets;
    int64_t timeout_ms;
    char user[32];
} nc;
static struct jn_router router;
static struct jn_device *const d = &router.d;
static struct rk_call call;

int
nc_open(const struct rk_host *host, struct rk_call *c, const struct nc_target *target, struct nc_session **out)
{
    (void)host;
    (void)c;
    assert_int_equal(target->limit_ms, 60000); /* twice what a request may take */
    snprintf(nc.user, sizeof nc.user, "%s@%s:%u", target->user, target->host, target->port);
    nc.opens++;
    *out = nc.open_err ? NULL : (struct nc_session *)&nc;
    return nc.open_err;
}

void
nc_close(struct nc_session **s, struct rk_call *c)
{
    nc.closes++;
    nc.polite += c != NULL;
    *s = NULL;
}

int
nc_tend(struct nc_session *s, struct rk_call *c)
{
    (void)s;
    (void)c;
    nc.tends++;
    return nc.tend_err;
}

const char *
nc_id(const struct nc_session *s)
{
    (void)s;
    return "4711";
}

unsigned
nc_sessions(void)
{
    return nc.n_sessions;
}

int
nc_rpc(struct nc_session *s, struct rk_call *c, const struct nc_request *request, struct nc_reply **reply)
{
    int err = nc.rpc_err[0];

    (void)s;
    (void)c;
    memmove(nc.rpc_err, nc.rpc_err + 1, sizeof nc.rpc_err - sizeof nc.rpc_err[0]);
    nc.rpcs++;
    nc.timeout_ms = request->timeout_ms;
    *reply = err == RK_OK || err == RK_E_REJECTED ? calloc(1, sizeof **reply) : NULL;
    return err;
}

void
nc_reply_free(struct nc_reply **reply)
{
    free(*reply);
    *reply = NULL;
}

void
jn_names_forget(struct jn_named *names)
{
    (void)names;
}

void
jn_forget(struct jn_device *device)
{
    (void)device;
    nc.forgets++;
}

int
jn_facts_read(const xmlNode *root, struct jn_facts *out)
{
    (void)root;
    *out = (struct jn_facts){.engines = 1};
    snprintf(out->release, sizeof out->release, "22.2R1");
    return RK_OK;
}

static int
setup(void **state)
{
    (void)state;
    memset(&nc, 0, sizeof nc);
    router = (struct jn_router){
        .d = {.host = &fake_host, .line = &jn_ssh, .opt = {.host = (char *)"r1", .user = (char *)"u"}},
        .port = 830, .agent = (char *)"/agent", .rpc_ms = 30000, .idle_ms = 3600000,
    };
    fake_call(&call, 60000);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    fake_call_end(&call);
    return 0;
}

static int
ask(void)
{
    struct nc_reply *reply = NULL;
    int err = jn_ask(d, &call, "get-x", "<get-x/>", &reply);

    assert_true((reply != NULL) == (err == RK_OK || err == RK_E_REJECTED));
    nc_reply_free(&reply);
    return err;
}

static int
here(void)
{
    struct nc_part part = {.kind = NC_TEXT, .text = "<commit-configuration/>"};
    struct nc_request r = {.what = "commit-configuration", .parts = &part, .n = 1, .timeout_ms = 5000};
    struct nc_reply *reply = NULL;
    int err = jn_rpc_here(d, &call, &r, &reply);

    nc_reply_free(&reply);
    return err;
}

static void
test_one_session_is_kept(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        assert_int_equal(ask(), RK_OK);
    assert_int_equal(nc.opens, 1);
    assert_int_equal(nc.rpcs, 5);
    assert_int_equal(nc.timeout_ms, 30000);
    assert_string_equal(nc.user, "u@r1:830");
    assert_int_equal(here(), RK_OK);
    assert_int_equal(nc.timeout_ms, 5000);
}

static void
test_sent_again_when_it_was_not_sent(void **state)
{
    (void)state;
    assert_int_equal(ask(), RK_OK);
    nc.rpc_err[0] = RK_E_UNREACHABLE;
    assert_int_equal(ask(), RK_OK);
    assert_int_equal(nc.opens, 2);
    assert_int_equal(nc.rpcs, 3);
    nc.rpc_err[0] = nc.rpc_err[1] = RK_E_UNREACHABLE; /* once, not for ever */
    assert_int_equal(ask(), RK_E_UNREACHABLE);
    assert_int_equal(nc.rpcs, 5);
    assert_null(d->session);
    nc.rpc_err[0] = RK_E_UNREACHABLE; /* on a new session it says something about the router */
    assert_int_equal(ask(), RK_E_UNREACHABLE);
    assert_int_equal(nc.rpcs, 6);
}

static void
test_never_again_when_it_may_have_been(void **state)
{
    static const int errs[] = {RK_E_UNKNOWN, RK_E_PROTOCOL, RK_E_TIMEOUT, RK_E_CANCELED};

    (void)state;
    for (size_t i = 0; i < sizeof errs / sizeof *errs; i++) {
        assert_int_equal(ask(), RK_OK);
        nc.rpcs = 0;
        nc.rpc_err[0] = errs[i];
        assert_int_equal(ask(), errs[i]);
        assert_int_equal(nc.rpcs, 1);
        assert_null(d->session);
    }
}

/* A commit on a new session would commit what someone else has in the shared candidate. */
static void
test_here_is_never_elsewhere(void **state)
{
    (void)state;
    assert_int_equal(here(), RK_E_UNREACHABLE);
    assert_int_equal(nc.opens, 0);
    assert_int_equal(ask(), RK_OK);
    nc.rpc_err[0] = RK_E_UNREACHABLE;
    assert_int_equal(here(), RK_E_UNREACHABLE);
    assert_int_equal(nc.opens, 1);
    assert_int_equal(here(), RK_E_UNREACHABLE);
}

static void
test_refused_keeps_the_session(void **state)
{
    (void)state;
    nc.rpc_err[0] = RK_E_REJECTED;
    assert_int_equal(ask(), RK_E_REJECTED);
    assert_non_null(d->session);
    nc.open_err = RK_E_AUTH;
    jn_hang_up(d);
    assert_int_equal(ask(), RK_E_AUTH);
}

static void
test_facts_are_asked_once_a_session(void **state)
{
    (void)state;
    assert_int_equal(jn_know(d, &call), RK_OK);
    assert_int_equal(jn_know(d, &call), RK_OK);
    assert_int_equal(nc.rpcs, 1);
    assert_string_equal(d->release, "22.2R1");
    jn_hang_up(d);
    assert_string_equal(d->release, "");
    assert_int_equal(nc.forgets, 1); /* and what was read over that session */
    nc.rpc_err[0] = RK_E_REJECTED; /* it does not tell */
    assert_int_equal(jn_know(d, &call), RK_OK);
    assert_int_equal(jn_know(d, &call), RK_OK);
    assert_int_equal(nc.rpcs, 2);
    assert_string_equal(d->release, "");
}

static void
test_tend(void **state)
{
    (void)state;
    assert_int_equal(jn_tend(&router, &call), RK_OK); /* nothing is open, and nothing is opened */
    assert_int_equal(nc.opens + nc.tends, 0);
    assert_int_equal(ask(), RK_OK);
    assert_int_equal(jn_tend(&router, &call), RK_OK);
    assert_int_equal(nc.tends, 1);
    assert_int_equal(nc.forgets, 0);
    router.used_ms -= 61000;
    assert_int_equal(jn_tend(&router, &call), RK_OK); /* at rest, nothing that was read is kept */
    assert_int_equal(nc.forgets, 1);
    nc.tend_err = RK_E_UNREACHABLE;
    assert_int_equal(jn_tend(&router, &call), RK_E_UNREACHABLE);
    assert_null(d->session);
}

static void
test_idle_sessions_are_closed(void **state)
{
    (void)state;
    assert_int_equal(ask(), RK_OK);
    router.used_ms -= 120000;
    assert_int_equal(jn_tend(&router, &call), RK_OK);
    assert_non_null(d->session);
    nc.n_sessions = 3000; /* many: sooner */
    assert_int_equal(jn_tend(&router, &call), RK_OK);
    assert_null(d->session);
    assert_int_equal(nc.polite, 1);
    nc.n_sessions = 1;
    assert_int_equal(ask(), RK_OK);
    router.used_ms -= 3600000;
    assert_int_equal(jn_tend(&router, &call), RK_OK);
    assert_null(d->session);
    assert_int_equal(ask(), RK_OK);
    router.opened_ms -= 25 * 3600000LL; /* and old ones */
    assert_int_equal(jn_tend(&router, &call), RK_OK);
    assert_null(d->session);
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(one_session_is_kept), T(sent_again_when_it_was_not_sent), T(never_again_when_it_may_have_been),
        T(here_is_never_elsewhere), T(refused_keeps_the_session), T(facts_are_asked_once_a_session), T(tend),
        T(idle_sessions_are_closed),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
