/* etsi014_urls_test.c - the etsi014 plugin with several URLs: failover, return, and no request that is sent twice. */
#include "etsi014_kme.h"

#include "plugins/source/etsi014/etsi014.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BUDGET_MS 20000

static struct kme kme;
static struct rk_call call;
static void *inst;
static struct rk_key key;
static const struct rk_source_ops *ops;
static const char *connect_timeout;

static void
close_inst(void)
{
    fake_host.secret_free(&key.secret);
    if (inst)
        etsi014_LTX_rk_plugin.fini(inst);
    inst = NULL;
}

/* An instance with the URLs of these listeners. */
static void
open_at(const char *first, const char *second)
{
    char urls[2][64];
    const char *extra[] = {"url", urls[0], "url", urls[1], "connect-timeout", connect_timeout, NULL};

    close_inst();
    snprintf(urls[0], sizeof urls[0], "https://127.0.0.1:%d", kme_port(&kme, first));
    snprintf(urls[1], sizeof urls[1], "https://127.0.0.1:%d/", kme_port(&kme, second));
    if (etsi_open(&kme, NULL, extra, &call, &inst))
        fail_msg("init: %s", call.text);
}

static void
new_budget(int ms)
{
    fake_call_end(&call);
    fake_call(&call, ms);
}

static int
get_new(void)
{
    fake_host.secret_free(&key.secret);
    return ops->get_new(inst, &call, "SAE_B", 256, &key, 1);
}

static int
get_id(void)
{
    fake_host.secret_free(&key.secret);
    strcpy(key.id, "c0ffee00-0000-4000-8000-000000000042");
    return ops->get_by_id(inst, &call, "SAE_B", 256, &key, 1);
}

static void
assert_says(const char *text)
{
    if (!strstr(call.text, text))
        fail_msg("\"%s\" does not say \"%s\"", call.text, text);
}

/* All requests since the last look: how many there were, and how many of them at kme2. */
static void
assert_requests(size_t n, size_t at_second)
{
    size_t second = 0;

    kme_log(&kme);
    for (const char *at = kme.log; (at = strstr(at, " @kme2")); at++)
        second++;
    if (kme.n_requests != n || second != at_second)
        fail_msg("%zu requests, %zu of them at kme2:\n%s", kme.n_requests, second, kme.log);
}

static void
play(const char *part)
{
    kme_play(&kme, part);
    kme_log(&kme);
}

/* The pause before the first URL is tried again is over. */
static void
let_retry(void)
{
    struct etsi *e = inst;

    e->urls[0].retry_ms = 0;
}

static int
set_up(void **state)
{
    (void)state;
    fake_call(&call, BUDGET_MS);
    fake_log_clear();
    play("ok");
    connect_timeout = "500ms";
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    close_inst();
    fake_call_end(&call);
    return 0;
}

/* No connection, no TLS, no answer to the greeting, a server that is not the KME: the next one is asked at once. */
static void
test_failover(void **state)
{
    static const char *const broken[] = {"closed", "reset", "silent", "plain", "rogue", "expired", "other-host"};

    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        new_budget(BUDGET_MS);
        open_at(broken[i], "kme2");
        fake_log_clear();
        if (get_new() != RK_OK)
            fail_msg("%s: %s", broken[i], call.text);
        assert_non_null(key.secret);
        assert_requests(1, 1);
        assert_non_null(strstr(fake_log(), "res=failed-over"));
        assert_int_equal(get_id(), RK_OK);
        assert_requests(1, 1);
    }
}

/* The first of the list is used as long as it works, and its connection is kept. */
static void
test_first_is_preferred(void **state)
{
    struct rk_source_status st;
    char at[64];

    (void)state;
    open_at("kme", "kme2");
    for (int i = 0; i < 5; i++)
        assert_int_equal(get_new(), RK_OK);
    assert_requests(5, 0);
    assert_int_equal(ops->status(inst, &call, "SAE_B", &st), RK_OK);
    snprintf(at, sizeof at, ", at https://127.0.0.1:%d, handshakes 1, requests 6", kme_port(&kme, "kme"));
    assert_non_null(strstr(st.text, at));
    assert_null(strstr(fake_log(), "ev=url"));
}

/* It is asked again when its pause is over, by one call, and not before. */
static void
test_return(void **state)
{
    struct rk_source_status st;
    char at[64];

    (void)state;
    open_at("kme2", "kme");
    assert_int_equal(get_new(), RK_OK);
    kme_down(&kme, "kme2");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(get_new(), RK_OK);
        let_retry(); /* it is still down, and costs nothing but the try */
    }
    assert_requests(4, 1);
    assert_int_equal(((struct etsi *)inst)->urls[0].failures, 3);
    assert_int_equal(get_new(), RK_OK);
    assert_int_equal(((struct etsi *)inst)->urls[0].failures, 4);
    kme_up(&kme, "kme2");
    for (int i = 0; i < 5; i++)
        assert_int_equal(get_new(), RK_OK); /* the pause is 8 s now */
    assert_requests(6, 0);
    assert_int_equal(ops->status(inst, &call, "SAE_B", &st), RK_OK);
    snprintf(at, sizeof at, ", at https://127.0.0.1:%d,", kme_port(&kme, "kme"));
    assert_non_null(strstr(st.text, at));
    kme_log(&kme);
    let_retry();
    assert_int_equal(get_new(), RK_OK);
    assert_requests(1, 1);
    assert_non_null(strstr(fake_log(), "res=returned"));
    assert_int_equal(get_new(), RK_OK);
    assert_requests(1, 1);
}

/* The pause grows from one second to a minute, and one success ends it. */
static void
test_backoff(void **state)
{
    static const int64_t pauses_ms[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    struct etsi *e;
    uint32_t tried = 0;

    (void)state;
    open_at("kme", "kme2");
    e = inst;
    assert_int_equal(urls_next(e, &tried, 5), 0);
    assert_int_equal(e->urls[0].retry_ms, 0);
    for (size_t i = 0; i < sizeof pauses_ms / sizeof pauses_ms[0]; i++) {
        int64_t from = http_now_ms();

        urls_failed(e, &call, 0, "test");
        urls_failed(e, &call, 0, "of a call that was under way, too");
        assert_in_range(e->urls[0].retry_ms, from + pauses_ms[i], http_now_ms() + pauses_ms[i]);
        tried = 0;
        assert_int_equal(urls_next(e, &tried, from), 1);
        assert_int_equal(urls_next(e, &tried, from), 0); /* none else is left: it is better than none */
        assert_int_equal(urls_next(e, &tried, from), -1);
        urls_failed(e, &call, 1, "test");
        urls_worked(e, &call, 1);
        if (i + 1 < sizeof pauses_ms / sizeof pauses_ms[0]) {
            tried = 0;
            assert_int_equal(urls_next(e, &tried, e->urls[0].retry_ms), 0);
        }
    }
    tried = 0;
    assert_int_equal(urls_next(e, &tried, e->urls[0].retry_ms), 0);
    tried = 0;
    assert_int_equal(urls_next(e, &tried, e->urls[0].retry_ms - 1), 1); /* who came second does not try it too */
    urls_worked(e, &call, 0);
    tried = 0;
    assert_int_equal(urls_next(e, &tried, 0), 0);
}

/* What may have been acted on is not sent to another URL; the next request is. */
static void
test_lost_answer_is_not_repeated(void **state)
{
    static const char *const parts[] = {"drop", "cut", "slow"};

    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        new_budget(BUDGET_MS);
        open_at("kme", "kme2");
        play("ok");
        assert_int_equal(get_new(), RK_OK);
        play(parts[i]);
        new_budget(i == 2 ? 500 : BUDGET_MS);
        assert_int_equal(get_new(), RK_E_UNKNOWN);
        assert_null(key.secret);
        assert_requests(1, 0);
        play("ok");
        new_budget(BUDGET_MS);
        assert_int_equal(get_new(), RK_OK);
        assert_requests(1, 1);
    }
}

/* dec_keys without an answer is asked once more, as with one URL: of the URL that answers. */
static void
test_lost_key_by_id(void **state)
{
    (void)state;
    open_at("kme", "kme2");
    play("drop-once");
    assert_int_equal(get_id(), RK_OK);
    assert_requests(2, 1);
}

/* A gateway that does not reach its KME: a request that takes keys may have reached it; status is asked elsewhere. */
static void
test_gateway(void **state)
{
    static const char *const parts[] = {"gateway 502", "gateway 503", "gateway 504"};
    struct rk_source_status st;

    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        open_at("kme", "kme2");
        play(parts[i]);
        assert_int_equal(get_new(), RK_E_BUSY);
        assert_requests(1, 0);
        assert_int_equal(get_new(), RK_OK);
        assert_requests(1, 1);
        open_at("kme", "kme2");
        assert_int_equal(ops->status(inst, &call, "SAE_B", &st), RK_OK);
        assert_requests(2, 1);
    }
}

/* What the KME says itself is no reason to ask it through another URL. */
static void
test_word_of_the_kme(void **state)
{
    static const char *const parts[] = {"code 503 not now", "code 400 no", "code 500 broken", "huge"};

    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        open_at("kme", "kme2");
        play(parts[i]);
        assert_true(get_new() != RK_OK);
        assert_true(get_new() != RK_OK);
        assert_requests(2, 0);
    }
}

/* An outage of all: each call tries each of them, and the first that is back serves. */
static void
test_all_down(void **state)
{
    (void)state;
    open_at("kme", "kme2");
    kme_down(&kme, "kme");
    kme_down(&kme, "kme2");
    for (int i = 0; i < 4; i++) {
        assert_int_equal(get_new(), RK_E_UNREACHABLE);
        assert_says("check url");
    }
    kme_up(&kme, "kme2");
    assert_int_equal(get_new(), RK_OK);
    assert_requests(1, 1);
    kme_up(&kme, "kme");
    let_retry();
    assert_int_equal(get_new(), RK_OK);
    assert_requests(1, 0);
}

/* All that is done for one call is done within its budget, and ends with its cancel. */
static void
test_budget(void **state)
{
    (void)state;
    open_at("silent", "silent");
    new_budget(600);
    assert_true(get_new() != RK_OK);
    assert_int_equal(fake_host.left_ms(&call) > 0, 0);
    assert_int_equal(get_new(), RK_E_TIMEOUT);
    assert_says("no time left");
    connect_timeout = "30s";
    open_at("silent", "kme2");
    new_budget(3000); /* the silent one gets half of it */
    assert_int_equal(get_new(), RK_OK);
    open_at("silent", "kme2");
    new_budget(BUDGET_MS);
    fake_cancel(&call);
    assert_int_equal(get_new(), RK_E_CANCELED);
    assert_requests(1, 1);
}

static int
group_up(void **state)
{
    (void)state;
    ops = etsi014_LTX_rk_plugin.ops;
    return kme_start(&kme);
}

static int
group_down(void **state)
{
    (void)state;
    kme_stop(&kme);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_failover),
        TEST(test_first_is_preferred),
        TEST(test_return),
        TEST(test_backoff),
        TEST(test_lost_answer_is_not_repeated),
        TEST(test_lost_key_by_id),
        TEST(test_gateway),
        TEST(test_word_of_the_kme),
        TEST(test_all_down),
        TEST(test_budget),
    };

    if (system("python3 -c 'import ssl' 2>/dev/null") != 0) {
        puts("1..0 # SKIP python3 with ssl is not there");
        return 0;
    }
    return cmocka_run_group_tests(tests, group_up, group_down);
}
