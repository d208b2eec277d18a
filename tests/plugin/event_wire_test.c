/* event_wire_test.c - junos-event on the wire: who is heard, what is refused, whose work is whose, and who is away */
#include "event_rig.h"

#include <poll.h>

#include <rekey/err.h>

#define MANY 1000

static struct je_router *r1, *r2;
static struct client c1, c2;

static int
setup(void **state)
{
    (void)state;
    fake_log_clear();
    r1 = rig_device("r1");
    r2 = rig_device("r2");
    client_make(&c1, "r1", NULL, BY_CA);
    client_make(&c2, "r2", NULL, BY_CA);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    client_end(&c1);
    client_end(&c2);
    rig_fini(r1);
    rig_fini(r2);
    return 0;
}

/* ---- calls beside the test ---- */

struct side {
    pthread_t thread;
    struct je_router *r;
    int budget_ms, err;
    char text[400];
    struct rk_call call;
};

static void *
run_side(void *arg)
{
    struct side *s = arg;
    const struct rk_device_ops *ops = junos_event_LTX_rk_plugin.ops;
    struct rk_dev_seen seen = {.link = "l1", .iface = "ge-0/0/1", .peer_facts = ""};

    s->err = ops->observe(s->r, &s->call, &seen, 1);
    snprintf(s->text, sizeof s->text, "%s", s->call.text);
    return NULL;
}

static void
side_begin(struct side *s, struct je_router *r, int budget_ms)
{
    *s = (struct side){.r = r, .budget_ms = budget_ms};
    fake_call(&s->call, budget_ms);
    assert_int_equal(pthread_create(&s->thread, NULL, run_side, s), 0);
}

static int
side_end(struct side *s)
{
    pthread_join(s->thread, NULL);
    fake_call_end(&s->call);
    return s->err;
}

static bool
has_work(struct je_router *r)
{
    bool there;

    pthread_mutex_lock(&r->hub->lock);
    there = r->work != NULL;
    pthread_mutex_unlock(&r->hub->lock);
    return there;
}

static bool
has_poll(struct je_router *r)
{
    bool there;

    pthread_mutex_lock(&r->hub->lock);
    there = r->poll != NULL;
    pthread_mutex_unlock(&r->hub->lock);
    return there;
}

static void
await(bool (*is)(struct je_router *r), struct je_router *r, bool wanted)
{
    for (int i = 0; is(r) != wanted && i < 4000; i++)
        (void)poll(NULL, 0, 5);
    assert_int_equal(is(r), wanted);
}

/* The work of an answer; NULL: none */
static const json_t *
work_of(const json_t *answer)
{
    const json_t *work = json_object_get(answer, "work");

    assert_int_equal(json_integer_value(json_object_get(answer, "v")), 1);
    return json_is_object(work) ? work : NULL;
}

static const char *
id_of(const json_t *answer)
{
    assert_non_null(work_of(answer));
    return json_string_value(json_object_get(work_of(answer), "id"));
}

/* ---- who is heard ---- */

static void
test_who_is_heard(void **state)
{
    struct client other, rogue, both;
    json_t *answer;

    (void)state;
    client_make(&other, "r3", NULL, BY_CA);
    client_make(&rogue, "r1", NULL, BY_ROGUE);
    client_make(&both, "r1", "r2", BY_CA); /* it would speak for two */
    assert_int_equal(client_ask(&c1, 0, NULL, &answer), 200);
    assert_null(work_of(answer));
    json_decref(answer);
    assert_int_equal(client_ask(&other, 0, NULL, NULL), 0);
    assert_int_equal(client_ask(&rogue, 0, NULL, NULL), 0);
    assert_int_equal(client_ask(&both, 0, NULL, NULL), 0);
    assert_int_equal(client_ask(&c1, 0, NULL, NULL), 200);
    assert_non_null(strstr(fake_log(), "res=refused"));
    client_end(&other);
    client_end(&rogue);
    client_end(&both);
}

/* Certificate, not content, says who it is: the work of r1 is not told to r2, nor may r2 report on it. */
static void
test_whose_work_it_is(void **state)
{
    json_t *mine, *answer;
    struct side s;

    (void)state;
    side_begin(&s, r1, RIG_CALL_MS);
    await(has_work, r1, true);
    assert_int_equal(client_ask(&c2, 0, NULL, &answer), 200);
    assert_null(work_of(answer));
    json_decref(answer);
    assert_int_equal(client_ask(&c1, 0, NULL, &mine), 200);
    assert_int_equal(client_report(&c2, id_of(mine), "done", NULL, NULL), 409);
    assert_int_equal(client_report(&c1, "0123456789abcdef", "done", NULL, NULL), 409);
    assert_true(has_work(r1));
    assert_int_equal(client_report(&c1, id_of(mine), "not-begun", NULL, NULL), 200);
    assert_int_equal(side_end(&s), RK_E_BUSY);
    assert_non_null(strstr(s.text, "for the test"));
    assert_int_equal(client_report(&c1, id_of(mine), "done", NULL, NULL), 409); /* once */
    assert_non_null(strstr(fake_log(), "does not have"));
    json_decref(mine);
}

static void
test_a_name_is_one_device(void **state)
{
    static const char *const options[] = {"router", "r1", NULL};
    struct je_router *again;
    struct rk_call call;

    (void)state;
    fake_call(&call, RIG_CALL_MS);
    assert_int_equal(rig_init(&call, "other", options, &again), RK_E_CONFIG);
    assert_non_null(strstr(call.text, "r1"));
    fake_call_end(&call);
    again = rig_device("r1"); /* its options have changed: the newer one is it */
    assert_int_equal(client_ask(&c1, 0, NULL, NULL), 200);
    assert_true(again->heard_ms != 0);
    assert_true(r1->heard_ms == 0);
    client_close(&c1);
    rig_fini(again);
    assert_int_equal(client_ask(&c1, 0, NULL, NULL), 200);
    assert_true(r1->heard_ms != 0);
}

/* ---- what is refused ---- */

static void
test_hostile_bodies(void **state)
{
#define HEAD "{\"v\":1,\"shim\":\"x\",\"run\":\"0000000000000001\",\"n\":1,\"clock_ms\":1"
    static const char *const bodies[] = {
        "", "{", "[]", "null", "\"x\"", "{\"v\":2}", "{\"v\":1}", "{\"v\":1,\"v\":1}",
        HEAD "}", HEAD ",\"facts\":{}}", HEAD ",\"facts\":[],\"wait_ms\":-1,\"tick_s\":1}",
        HEAD ",\"facts\":[],\"wait_ms\":0,\"tick_s\":1,\"age_ms\":-1}",
        HEAD ",\"facts\":[],\"wait_ms\":1}", HEAD ",\"facts\":[],\"wait_ms\":1,\"tick_s\":1} x",
        HEAD ",\"facts\":[1],\"wait_ms\":1,\"tick_s\":1}", HEAD ",\"facts\":[{}],\"wait_ms\":1,\"tick_s\":1}",
        HEAD ",\"facts\":[{\"rpc\":\"\",\"reply\":\"\"}],\"wait_ms\":1,\"tick_s\":1}",
        HEAD ",\"facts\":[{\"rpc\":\"a\",\"reply\":\"\\u0000\"}],\"wait_ms\":1,\"tick_s\":1}",
        "{\"v\":1,\"shim\":\"x\",\"run\":\"000000000000000G\",\"n\":1,\"clock_ms\":1,\"facts\":[],\"wait_ms\":0,"
        "\"tick_s\":1}",
        "{\"v\":1,\"shim\":\"x\",\"run\":\"0000000000000001\",\"n\":1e3,\"clock_ms\":1,\"facts\":[],\"wait_ms\":0,"
        "\"tick_s\":1}",
    };
    char deep[6001];
    json_t *answer;

    (void)state;
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        int code = client_post(&c1, je_paths[0], bodies[i], &answer);

        if (code != 400 || !json_is_string(json_object_get(answer, "error")))
            fail_msg("%d: %s", code, bodies[i]);
        json_decref(answer);
        client_close(&c1);
        assert_int_equal(client_post(&c1, je_paths[1], bodies[i], NULL), 400);
        client_close(&c1);
    }
    assert_int_equal(client_post(&c1, je_paths[0], deep, NULL), 400);
    client_close(&c1);
    assert_int_equal(client_post(&c1, "/shim/v1/other", "{}", NULL), 404);
    client_close(&c1);
    assert_int_equal(client_ask(&c1, 0, NULL, NULL), 200);
    assert_non_null(strstr(fake_log(), "res=refused"));
}

static void
test_sizes(void **state)
{
    static const char big[] = "POST /shim/v1/ask HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 4194305"
                              "\r\n\r\n", other[] = "POST /shim/v1/ask HTTP/1.1\r\nContent-Type: text/xml\r\n"
                              "Content-Length: 2\r\n\r\n{}";
    char *reply = malloc(3 * 1024 * 1024);
    json_t *facts = json_array();

    (void)state;
    assert_true(client_connect(&c1));
    client_send_raw(&c1, big, sizeof big - 1);
    assert_int_equal(client_take(&c1, NULL), 413);
    assert_true(client_connect(&c1));
    client_send_raw(&c1, other, sizeof other - 1);
    assert_int_equal(client_take(&c1, NULL), 415);
    client_close(&c1);
    memset(reply, 'x', 3 * 1024 * 1024 - 1);
    reply[3 * 1024 * 1024 - 1] = '\0';
    client_fact(facts, "<get-software-information/>", reply);
    assert_int_equal(client_ask(&c1, 0, facts, NULL), 200);
    assert_int_equal(r1->fact[0].len, 3 * 1024 * 1024 - 1);
    free(reply);
}

/* ---- polls ---- */

static void
test_the_newest_poll_wins(void **state)
{
    struct client late = c1;
    json_t *first, *second, *third;
    struct side s;

    (void)state;
    late.ssl = NULL;
    late.fd = -1;
    client_ask_begin(&c1, 20000, NULL);
    await(has_poll, r1, true);
    memcpy(late.run, "0000000000000002", sizeof late.run);
    client_ask_begin(&late, 20000, NULL);
    assert_int_equal(client_take(&c1, &first), 200); /* the older one is answered, and told to wait */
    assert_null(work_of(first));
    assert_true(json_integer_value(json_object_get(first, "again_ms")) > 0);
    side_begin(&s, r1, RIG_CALL_MS);
    assert_int_equal(client_take(&late, &second), 200);
    assert_int_equal(client_report(&late, id_of(second), "unknown", NULL, NULL), 200);
    assert_int_equal(side_end(&s), RK_E_BUSY);
    late.n = 0; /* one that was overtaken */
    assert_int_equal(client_ask(&late, 5000, NULL, &third), 200);
    assert_null(work_of(third));
    client_close(&late);
    json_decref(first);
    json_decref(second);
    json_decref(third);
}

static void
test_a_poll_that_is_gone(void **state)
{
    json_t *answer;
    struct side s;

    (void)state;
    client_ask_begin(&c1, 20000, NULL);
    await(has_poll, r1, true);
    client_close(&c1);
    await(has_poll, r1, false);
    side_begin(&s, r1, RIG_CALL_MS);
    await(has_work, r1, true);
    assert_int_equal(client_ask(&c1, 0, NULL, &answer), 200);
    assert_int_equal(client_report(&c1, id_of(answer), "not-begun", NULL, NULL), 200);
    assert_int_equal(side_end(&s), RK_E_BUSY);
    json_decref(answer);
}

/* A script that asks again has not done what it was given: a look is given again. */
static void
test_a_look_that_is_lost(void **state)
{
    json_t *first, *second;
    struct side s;

    (void)state;
    side_begin(&s, r1, RIG_CALL_MS);
    await(has_work, r1, true);
    assert_int_equal(client_ask(&c1, 0, NULL, &first), 200);
    client_close(&c1);
    client_ask_begin(&c1, 20000, NULL);
    assert_int_equal(client_take(&c1, &second), 200);
    assert_true(strcmp(id_of(first), id_of(second)) != 0);
    assert_int_equal(client_report(&c1, id_of(first), "done", NULL, NULL), 409);
    assert_int_equal(client_report(&c1, id_of(second), "not-begun", NULL, NULL), 200);
    assert_int_equal(side_end(&s), RK_E_BUSY);
    json_decref(first);
    json_decref(second);
}

/* ---- time ---- */

static void
test_nobody_asks(void **state)
{
    json_t *answer;

    (void)state;
    assert_int_equal(rig_stage(r1, "ge-0/0/1", "k1", "keep=", 1000), RK_E_TIMEOUT);
    assert_non_null(strstr(rig_text(), "has not asked"));
    assert_int_equal(client_ask(&c1, 0, NULL, &answer), 200); /* it was withdrawn */
    assert_null(work_of(answer));
    json_decref(answer);
}

static void
test_a_call_is_given_up(void **state)
{
    struct side s;

    (void)state;
    side_begin(&s, r1, 60000);
    await(has_work, r1, true);
    fake_cancel(&s.call);
    assert_int_equal(side_end(&s), RK_E_CANCELED);
    assert_false(has_work(r1));
}

static void
test_away(void **state)
{
    struct side s;

    (void)state;
    assert_int_equal(client_ask(&c1, 0, NULL, NULL), 200);
    pthread_mutex_lock(&r1->hub->lock);
    r1->heard_ms -= 3 * 60000 + 1000; /* three ticks */
    r2->since_ms -= 3 * 60000 + 1000;
    pthread_mutex_unlock(&r1->hub->lock);
    side_begin(&s, r1, 60000);
    assert_int_equal(side_end(&s), RK_E_UNREACHABLE);
    assert_non_null(strstr(s.text, "r1 has not asked for 181 s"));
    assert_int_equal(rig_stage(r1, "ge-0/0/1", "k1", "keep=", 60000), RK_E_UNREACHABLE);
    side_begin(&s, r2, 60000);
    assert_int_equal(side_end(&s), RK_E_UNREACHABLE);
    assert_non_null(strstr(s.text, "never asked"));
    assert_int_equal(client_ask(&c1, 0, NULL, NULL), 200);
    side_begin(&s, r1, 700);
    assert_int_equal(side_end(&s), RK_E_TIMEOUT); /* it is there again */
    pthread_mutex_lock(&r1->hub->lock);
    r1->heard_ms = jn_now_ms() - 3 * 60000 + 200; /* and away while it is waited for */
    pthread_mutex_unlock(&r1->hub->lock);
    side_begin(&s, r1, 60000);
    assert_int_equal(side_end(&s), RK_E_UNREACHABLE);
}

/* A host has few threads: where many calls wait, an observe takes what the last ask has told, or ends at once. */
static void
test_not_all_wait(void **state)
{
    struct side s;

    (void)state;
    pthread_mutex_lock(&r1->hub->lock);
    r1->hub->waiting += JE_WAITING_MAX;
    pthread_mutex_unlock(&r1->hub->lock);
    side_begin(&s, r1, 60000);
    assert_int_equal(side_end(&s), RK_E_TIMEOUT);
    assert_non_null(strstr(s.text, "too many"));
    pthread_mutex_lock(&r1->hub->lock);
    r1->hub->waiting -= JE_WAITING_MAX;
    assert_int_equal(r1->hub->waiting, 0);
    pthread_mutex_unlock(&r1->hub->lock);
}

/* ---- many ---- */

/* A thousand routers hold a poll at once; one of them gets its work, and no other. */
static void
test_many(void **state)
{
    struct je_router **r = calloc(MANY, sizeof *r);
    struct client *c = calloc(MANY, sizeof *c);
    size_t n = getenv("REKEY_QUICK") ? MANY / 10 : MANY;
    json_t *answer;
    struct side s;

    (void)state;
    for (size_t i = 0; i < n; i++) {
        char name[16];

        snprintf(name, sizeof name, "m%04zu", i);
        r[i] = rig_device(name);
        client_make(&c[i], name, NULL, BY_CA);
    }
    for (size_t i = 0; i < n; i++)
        client_ask_begin(&c[i], 200000, NULL);
    for (size_t i = 0; i < n; i++)
        await(has_poll, r[i], true);
    side_begin(&s, r[n / 2], RIG_CALL_MS);
    assert_int_equal(client_take(&c[n / 2], &answer), 200);
    assert_int_equal(client_report(&c[n / 2], id_of(answer), "not-begun", NULL, NULL), 200);
    assert_int_equal(side_end(&s), RK_E_BUSY);
    json_decref(answer);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(has_poll(r[i]), i != n / 2);
    for (size_t i = 0; i < n; i++) {
        client_end(&c[i]);
        rig_fini(r[i]);
    }
    free(r);
    free(c);
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(who_is_heard), T(whose_work_it_is), T(a_name_is_one_device), T(hostile_bodies), T(sizes),
        T(the_newest_poll_wins), T(a_poll_that_is_gone), T(a_look_that_is_lost), T(nobody_asks),
        T(a_call_is_given_up), T(away), T(not_all_wait), T(many),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
