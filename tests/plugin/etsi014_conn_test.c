/* etsi014_conn_test.c - the etsi014 plugin's connections: trust, loss, budget, cancel, sharing, traces in memory. */
#include "etsi014_kme.h"
#include "etsi014_memory.h"

#include "plugins/source/etsi014/etsi014.h"

#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define BUDGET_MS 20000
#define SOON_MS 1000 /* what a host allows after a cancel, and far less than the budget */

static struct kme kme;
static struct rk_call call;
static void *inst;
static struct rk_key key;
static const struct rk_source_ops *ops;

static void
close_inst(void)
{
    fake_host.secret_free(&key.secret);
    if (inst)
        etsi014_LTX_rk_plugin.fini(inst);
    inst = NULL;
}

static void
open_at(const char *listener, const char *const *extra)
{
    int err;

    close_inst();
    err = etsi_open(&kme, listener, extra, &call, &inst);
    if (err)
        fail_msg("init: %d %s", err, call.text);
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

static void
assert_requests(size_t n)
{
    kme_log(&kme);
    if (kme.n_requests != n)
        fail_msg("%zu requests, not %zu:\n%s", kme.n_requests, n, kme.log);
}

static void
play(const char *part)
{
    kme_play(&kme, part);
    kme_log(&kme);
}

static int64_t
now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int
set_up(void **state)
{
    (void)state;
    fake_call(&call, BUDGET_MS);
    fake_log_clear();
    play("ok");
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

/* Nothing is asked of a server that is not the one that is meant. */
static void
test_trust(void **state)
{
    static const struct {
        const char *listener, *says;
    } cases[] = {{"rogue", "a CA of that file"}, {"expired", "expired"}, {"other-host", "for another host"}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        open_at(cases[i].listener, NULL);
        assert_int_equal(get_new(), RK_E_AUTH);
        assert_says("https://127.0.0.1:");
        assert_says(cases[i].says);
        assert_int_equal(get_id(), RK_E_AUTH);
        assert_null(key.secret);
        assert_requests(0);
    }
}

static void
test_kme_id(void **state)
{
    static const struct {
        const char *id;
        int err;
    } cases[] = {{"KME_A", RK_OK},         {"kme-a.example", RK_OK},   {"urn:kme:a", RK_OK}, {"KME_B", RK_E_AUTH},
                 {"KME_", RK_E_AUTH},      {"KME_AA", RK_E_AUTH},      {"kme_a", RK_E_AUTH}, {"127.0.0.1", RK_E_AUTH},
                 {"*.example", RK_E_AUTH}, {"kme-a.exampl", RK_E_AUTH}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *extra[] = {"kme-id", cases[i].id, NULL};
        int err;

        open_at("kme", extra);
        err = get_new();
        if (err != cases[i].err)
            fail_msg("%s: %d %s", cases[i].id, err, call.text);
        if (err)
            assert_says("names no KME");
        assert_requests(err ? 0 : 1);
    }
}

static void
test_client_refused(void **state)
{
    char cert[PATH_MAX], file[PATH_MAX];
    const char *extra[] = {"cert", cert, "key", file, NULL};
    int err = RK_OK;

    (void)state;
    snprintf(cert, sizeof cert, "%s/rogue-sae.pem", kme.dir);
    snprintf(file, sizeof file, "file:%s/rogue-sae.key", kme.dir);
    open_at("kme", extra);
    /* TLS 1.3: refused after the client has finished the handshake.  When it is sending just then, it cannot know. */
    for (int i = 0; i < 20 && (err = get_new()) == RK_E_UNKNOWN; i++)
        ;
    assert_int_equal(err, RK_E_AUTH);
    assert_says("client certificate");
    assert_says("rogue-sae.pem");
    open_at("tls12", extra);
    assert_int_equal(get_new(), RK_E_AUTH);
    assert_says("refused the client certificate");
    assert_requests(0);
    open_at("tls12", NULL);
    assert_int_equal(get_new(), RK_OK);
}

static void
test_no_connection(void **state)
{
    (void)state;
    open_at("closed", NULL);
    assert_int_equal(get_new(), RK_E_UNREACHABLE);
    assert_says("check url");
    open_at("reset", NULL);
    assert_int_equal(get_new(), RK_E_UNREACHABLE);
    assert_says("some KMEs do this when they do not accept the client certificate");
    open_at("plain", NULL);
    assert_int_equal(get_new(), RK_E_PROTOCOL);
    assert_says("does not speak TLS");
}

/* What can be told of a connection that was ended before it was used: the last record is as long as an alert. */
static void
test_alert_from_outside(void **state)
{
    unsigned char said[100] = {23, 3, 3, 0, 50}, *alert = said + 55;

    (void)state;
    memcpy(alert, "\x17\x03\x03\x00\x13", 5);
    assert_true(tls_ends_with_alert(said, 55 + 24));
    assert_true(tls_ends_with_alert(alert, 24));
    assert_false(tls_ends_with_alert(said, 55));
    assert_false(tls_ends_with_alert(said, 55 + 23));
    assert_false(tls_ends_with_alert(said, 55 + 25));
    assert_false(tls_ends_with_alert(said, 0));
    alert[4] = 20;
    assert_false(tls_ends_with_alert(said, 55 + 25));
}

/* A request whose answer is lost is not sent again. */
static void
test_lost_answer(void **state)
{
    (void)state;
    open_at("kme", NULL);
    play("drop");
    assert_int_equal(get_new(), RK_E_UNKNOWN);
    assert_int_equal(key.err, RK_E_UNKNOWN);
    assert_null(key.secret);
    assert_requests(1);
    play("cut");
    assert_int_equal(get_new(), RK_E_UNKNOWN);
    assert_null(key.secret);
    assert_requests(1);
    assert_non_null(strstr(fake_log(), "res=unknown"));
}

static void
test_lost_on_kept_connection(void **state)
{
    (void)state;
    open_at("kme", NULL);
    play("drop-reused");
    assert_int_equal(get_new(), RK_OK);
    assert_int_equal(get_new(), RK_E_UNKNOWN); /* on the same connection, which then dies without a byte */
    assert_says("a request is not sent twice");
    assert_requests(2);
}

/* A kept connection that the server has ended is seen before the request is sent: nothing is lost. */
static void
test_ended_while_kept(void **state)
{
    static const char *const parts[] = {"close-idle", "fin-idle"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        open_at("kme", NULL);
        play(parts[i]);
        assert_int_equal(get_new(), RK_OK);
        kme_end_kept(&kme);
        assert_int_equal(get_new(), RK_OK);
        assert_requests(2);
    }
}

/* The number of the connection that carried the last request. */
static int
last_connection(void)
{
    int number = -1;

    kme_log(&kme);
    assert_int_equal(kme.n_requests, 1);
    assert_int_equal(sscanf(kme.log, "c%d ", &number), 1);
    return number;
}

static void
test_kept_connection(void **state)
{
    int first;

    (void)state;
    open_at("kme", NULL);
    assert_int_equal(get_new(), RK_OK);
    first = last_connection();
    for (int i = 0; i < 5; i++) {
        assert_int_equal(i % 2 ? get_id() : get_new(), RK_OK);
        assert_int_equal(last_connection(), first);
    }
}

/* dec_keys without an answer would be a key lost for sure: it is asked once more. */
static void
test_lost_key_by_id(void **state)
{
    (void)state;
    open_at("kme", NULL);
    play("drop-once");
    assert_int_equal(get_id(), RK_OK);
    assert_requests(2);
    play("drop");
    assert_int_equal(get_id(), RK_E_UNKNOWN);
    assert_requests(2);
}

static void
new_budget(int ms)
{
    fake_call_end(&call);
    fake_call(&call, ms);
}

static void
test_budget(void **state)
{
    struct rk_source_status st;
    int64_t from = now_ms();

    (void)state;
    for (int i = 0; i < 3; i++) {
        new_budget(BUDGET_MS);
        open_at("kme", NULL);
        play("ok");
        assert_int_equal(get_new(), RK_OK); /* the connection is there, so that the budget ends in the answer */
        play("slow");
        new_budget(500);
        if (i == 0)
            assert_int_equal(get_new(), RK_E_UNKNOWN);
        else if (i == 1)
            assert_int_equal(get_id(), RK_E_UNKNOWN);
        else
            assert_int_equal(ops->status(inst, &call, "SAE_B", &st), RK_E_TIMEOUT);
        assert_says("the budget ended");
        assert_int_equal(get_new(), RK_E_TIMEOUT); /* nothing left to begin with */
        assert_requests(1);
    }
    new_budget(500);
    open_at("silent", NULL);
    assert_int_equal(get_new(), RK_E_TIMEOUT);
    assert_says("no connection");
    assert_true(now_ms() - from < BUDGET_MS);
}

static void
test_connect_timeout(void **state)
{
    static const char *const brief[] = {"connect-timeout", "100ms", NULL};
    int64_t from = now_ms();

    (void)state;
    open_at("silent", brief);
    assert_int_equal(get_new(), RK_E_UNREACHABLE);
    assert_true(now_ms() - from < BUDGET_MS / 2);
}

static int64_t canceled_ms;

static void *
cancel_when_asked(void *arg)
{
    kme_wait(&kme);
    canceled_ms = now_ms();
    fake_cancel(arg);
    return NULL;
}

static void
test_cancel(void **state)
{
    int (*const gets[])(void) = {get_new, get_id};
    pthread_t thread;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        open_at("kme", NULL);
        play("slow");
        assert_int_equal(pthread_create(&thread, NULL, cancel_when_asked, &call), 0);
        assert_int_equal(gets[i](), RK_E_UNKNOWN);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_true(now_ms() - canceled_ms < SOON_MS);
        print_message("# back %d ms after the cancel\n", (int)(now_ms() - canceled_ms));
        assert_says("canceled");
        assert_requests(1);
        fake_call_end(&call);
        fake_call(&call, BUDGET_MS);
    }
    open_at("silent", NULL);
    fake_cancel(&call);
    canceled_ms = now_ms();
    assert_int_equal(get_new(), RK_E_CANCELED);
    assert_true(now_ms() - canceled_ms < SOON_MS);
}

static void
test_cancel_in_sync_window(void **state)
{
    static const char *const wide[] = {"sync-window", "15s", NULL};
    pthread_t thread;

    (void)state;
    open_at("kme", wide);
    play("code 404");
    assert_int_equal(pthread_create(&thread, NULL, cancel_when_asked, &call), 0);
    assert_true(get_id() != RK_OK);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(now_ms() - canceled_ms < SOON_MS);
}

static void *
call_until_canceled(void *arg)
{
    struct rk_key mine;

    return (void *)(intptr_t)ops->get_new(inst, arg, "SAE_B", 256, &mine, 1);
}

static void
test_all_in_use(void **state)
{
    static const char *const one[] = {"connections", "1", NULL};
    struct rk_call other;
    pthread_t thread;
    void *ret;

    (void)state;
    open_at("kme", one);
    play("slow");
    fake_call(&other, BUDGET_MS);
    assert_int_equal(pthread_create(&thread, NULL, call_until_canceled, &other), 0);
    kme_wait(&kme);
    fake_call_end(&call);
    fake_call(&call, 100);
    assert_int_equal(get_new(), RK_E_TIMEOUT);
    assert_says("option connections");
    fake_call_end(&call);
    fake_call(&call, BUDGET_MS);
    fake_cancel(&call);
    assert_int_equal(get_new(), RK_E_CANCELED);
    fake_cancel(&other);
    assert_int_equal(pthread_join(thread, &ret), 0);
    assert_int_equal((intptr_t)ret, RK_E_UNKNOWN);
    assert_requests(1);
    fake_call_end(&other);
}

#define WORKERS 8
#define ROUNDS 10

struct worker {
    pthread_t thread;
    struct rk_call call;
    unsigned long numbers[ROUNDS]; /* of the keys that it got */
    int err;
};

static void *
work(void *arg)
{
    struct worker *w = arg;
    struct rk_key k = {.err = 0};

    for (int i = 0; !w->err && i < ROUNDS; i++) {
        w->err = ops->get_new(inst, &w->call, "SAE_B", 256, &k, 1);
        w->numbers[i] = w->err ? 0 : strtoul(k.id + strlen(k.id) - 8, NULL, 16);
        fake_host.secret_free(&k.secret);
    }
    return NULL;
}

static void
test_parallel(void **state)
{
    struct worker workers[WORKERS] = {0};

    (void)state;
    open_at("kme", NULL);
    for (int i = 0; i < WORKERS; i++) {
        fake_call(&workers[i].call, BUDGET_MS);
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < WORKERS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        if (workers[i].err)
            fail_msg("%d %s", workers[i].err, workers[i].call.text);
        fake_call_end(&workers[i].call);
    }
    for (int i = 0; i < WORKERS * ROUNDS; i++)
        for (int k = 0; k < i; k++)
            assert_true(workers[i / ROUNDS].numbers[i % ROUNDS] != workers[k / ROUNDS].numbers[k % ROUNDS]);
    assert_requests(WORKERS * ROUNDS);
}

static void
test_proxy(void **state)
{
    static const char *const names[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
    char url[64];
    const char *extra[] = {"proxy", url, NULL};

    (void)state;
    snprintf(url, sizeof url, "http://127.0.0.1:%d", kme_port(&kme, "proxy"));
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(setenv(names[i], url, 1), 0);
    open_at("kme", NULL);
    assert_int_equal(get_new(), RK_OK);
    assert_requests(1);
    assert_null(strstr(kme.log, "proxied"));
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(unsetenv(names[i]), 0);
    assert_int_equal(setenv("no_proxy", "127.0.0.1", 1), 0);
    open_at("kme", extra);
    assert_int_equal(get_new(), RK_OK);
    assert_requests(2);
    assert_non_null(strstr(kme.log, "CONNECT proxied"));
    assert_int_equal(unsetenv("no_proxy"), 0);
}

/* The server's key for 0x42, raw and as base64, both inverted so that these copies are not found. */
static void
inverted_key(unsigned char raw[32], unsigned char text[44])
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned at = 0;

    for (unsigned i = 0; i < 32; i++)
        raw[i] = (unsigned char)~(0x42 * 31 + i * 7 + 0xf0);
    for (unsigned bit = 0; bit < 256; bit += 6) {
        unsigned pair = (unsigned)(unsigned char)~raw[bit / 8] << 8;

        if (bit / 8 + 1 < 32)
            pair |= (unsigned char)~raw[bit / 8 + 1];
        text[at++] = (unsigned char)~alphabet[pair >> (10 - bit % 8) & 63];
    }
    text[at] = (unsigned char)~'=';
}

/* After a call neither the key nor its base64 text is in memory, but in the secret. */
static void
test_no_trace(void **state)
{
    unsigned char raw[32], text[44];

    (void)state;
    inverted_key(raw, text);
    open_at("kme", NULL);
    assert_int_equal(get_id(), RK_OK);
    assert_int_equal(memory_count(raw, sizeof raw), 1);
    assert_int_equal(memory_count(text, sizeof text), 0);
    fake_host.secret_free(&key.secret);
    assert_int_equal(memory_count(raw, sizeof raw), 0);
}

/* Another call learns in this instant that the KME wants to be left alone. */
static void
hold_meanwhile(struct rk_call *c, const char *what, int64_t unix_s)
{
    (void)c;
    (void)what;
    (void)unix_s;
    learnt_hold(inst, 1);
}

/* What another call's answer asked for is no leave to send this request twice. */
static void
test_hold_of_another_call(void **state)
{
    static const char *const parts[] = {"code 502", "code 503", "code 429"};
    static struct rk_host holding;

    (void)state;
    holding = fake_host;
    holding.expires = hold_meanwhile; /* called between the answer and what is made of it */
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        open_at("kme", NULL);
        ((struct etsi *)inst)->host = &holding;
        kme_play(&kme, parts[i]);
        kme_log(&kme);
        assert_int_equal(get_new(), RK_E_BUSY);
        assert_requests(1);
        assert_true(learnt_held_ms(inst) > 0);
    }
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
        TEST(test_trust),
        TEST(test_kme_id),
        TEST(test_client_refused),
        TEST(test_no_connection),
        TEST(test_alert_from_outside),
        TEST(test_lost_answer),
        TEST(test_lost_on_kept_connection),
        TEST(test_ended_while_kept),
        TEST(test_kept_connection),
        TEST(test_lost_key_by_id),
        TEST(test_budget),
        TEST(test_connect_timeout),
        TEST(test_cancel),
        TEST(test_cancel_in_sync_window),
        TEST(test_all_in_use),
        TEST(test_parallel),
        TEST(test_proxy),
        TEST(test_no_trace),
        TEST(test_hold_of_another_call),
    };

    if (system("python3 -c 'import ssl' 2>/dev/null") != 0) {
        puts("1..0 # SKIP python3 with ssl is not there");
        return 0;
    }
    return cmocka_run_group_tests(tests, group_up, group_down);
}
