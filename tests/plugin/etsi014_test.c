/* etsi014_test.c - the etsi014 plugin against a KME that answers rightly, strangely, wrongly. */
#include "etsi014_kme.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BUDGET_MS 20000
#define UUID "c0ffee00-0000-4000-8000-"

static struct kme kme;
static struct rk_call call;
static void *inst;
static struct rk_key keys[8];
static const struct rk_source_ops *ops;

static void
open_with(const char *const *extra)
{
    int err = etsi_open(&kme, "kme", extra, &call, &inst);

    if (err)
        fail_msg("init: %d %s", err, call.text);
}

static void
drop_keys(void)
{
    for (size_t i = 0; i < 8; i++)
        fake_host.secret_free(&keys[i].secret);
    memset(keys, 0, sizeof keys);
}

static int
get_new(const char *part, size_t n)
{
    drop_keys();
    kme_play(&kme, part);
    kme_log(&kme);
    return ops->get_new(inst, &call, "SAE_B", 256, keys, n);
}

static int
get_ids(const char *part, const char *const *ends, size_t n)
{
    drop_keys();
    kme_play(&kme, part);
    kme_log(&kme);
    for (size_t i = 0; i < n; i++)
        snprintf(keys[i].id, sizeof keys[i].id, UUID "%s", ends[i]);
    return ops->get_by_id(inst, &call, "SAE_B", 256, keys, n);
}

static int
get_id(const char *part)
{
    const char *end = "000000001234";

    return get_ids(part, &end, 1);
}

/* The key that the server made for this ID. */
static void
assert_key(const struct rk_key *k)
{
    unsigned number = (unsigned)strtoul(k->id + strlen(k->id) - 4, NULL, 16);
    unsigned char want[32];

    for (unsigned i = 0; i < sizeof want; i++)
        want[i] = (unsigned char)(number * 31 + i * 7 + 0xf0);
    assert_int_equal(k->err, RK_OK);
    assert_non_null(k->secret);
    assert_true(fake_secret_is(k->secret, want, sizeof want));
}

static void
assert_no_keys(void)
{
    for (size_t i = 0; i < 8; i++)
        assert_null(keys[i].secret);
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
assert_asked(const char *request)
{
    if (!strstr(kme.log, request))
        fail_msg("no \"%s\" in:\n%s", request, kme.log);
}

static int
set_up(void **state)
{
    (void)state;
    fake_call(&call, BUDGET_MS);
    fake_log_clear();
    open_with(NULL);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    drop_keys();
    if (inst)
        etsi014_LTX_rk_plugin.fini(inst);
    inst = NULL;
    fake_call_end(&call);
    return 0;
}

static void
reopen(const char *const *extra)
{
    etsi014_LTX_rk_plugin.fini(inst);
    inst = NULL;
    open_with(extra);
}

static void
test_new_one(void **state)
{
    (void)state;
    assert_int_equal(get_new("ok", 1), RK_OK);
    assert_key(&keys[0]);
    assert_requests(1);
    assert_asked("GET /api/v1/keys/SAE_B/enc_keys?number=1&size=256 accept=application/json,cache-control=no-store \n");
}

static void
test_new_several(void **state)
{
    (void)state;
    assert_int_equal(get_new("ok", 5), RK_OK);
    for (size_t i = 0; i < 5; i++)
        assert_key(&keys[i]);
    assert_requests(1);
    assert_asked("POST /api/v1/keys/SAE_B/enc_keys accept=application/json,content-type=application/json,"
                 "cache-control=no-store {\"number\":5,\"size\":256}\n");
}

static void
test_right_answers(void **state)
{
    static const char *const parts[] = {"extra", "key-first", "pretty", "escaped", "upper"};

    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        assert_int_equal(get_new(parts[i], 3), RK_OK);
        for (size_t k = 0; k < 3; k++) {
            assert_memory_equal(keys[k].id, UUID, strlen(UUID));
            assert_key(&keys[k]);
        }
    }
}

static void
test_by_id(void **state)
{
    const char *const ends[] = {"00000000000a", "0000000000ff", "000000000001"};

    (void)state;
    assert_int_equal(get_id("ok"), RK_OK);
    assert_key(&keys[0]);
    assert_requests(1);
    assert_asked("GET /api/v1/keys/SAE_B/dec_keys?key_ID=" UUID "000000001234 ");
    assert_int_equal(get_ids("ok", ends, 3), RK_OK);
    for (size_t i = 0; i < 3; i++)
        assert_key(&keys[i]);
    assert_requests(1);
    assert_asked("POST /api/v1/keys/SAE_B/dec_keys ");
    assert_asked("{\"key_IDs\":[{\"key_ID\":\"" UUID "00000000000a\"},{\"key_ID\":\"" UUID "0000000000ff\"},");
}

static void
test_methods(void **state)
{
    static const char *const get[] = {"method", "get", NULL}, *const post[] = {"method", "post", NULL};
    const char *const ends[] = {"00000000000a", "00000000000b"};

    (void)state;
    reopen(get);
    assert_int_equal(get_new("ok", 3), RK_OK);
    assert_requests(1);
    assert_asked("GET /api/v1/keys/SAE_B/enc_keys?number=3&size=256 ");
    assert_int_equal(get_ids("ok", ends, 2), RK_OK);
    assert_key(&keys[0]);
    assert_key(&keys[1]);
    assert_requests(2); /* by GET one ID at a time */
    reopen(post);
    assert_int_equal(get_new("ok", 1), RK_OK);
    assert_requests(1);
    assert_asked("POST ");
    assert_asked(" {\"number\":1,\"size\":256}\n");
    assert_int_equal(get_id("ok"), RK_OK);
    assert_requests(1);
    assert_asked(" {\"key_IDs\":[{\"key_ID\":\"" UUID "000000001234\"}]}\n");
}

static void
test_encoding(void **state)
{
    char url[80];
    const char *extra[] = {"url", url, NULL};

    (void)state;
    snprintf(url, sizeof url, "https://127.0.0.1:%d/site//", kme_port(&kme, "kme"));
    reopen(extra);
    kme_play(&kme, "ok");
    kme_log(&kme);
    assert_int_equal(ops->get_new(inst, &call, "a/b ?&#%\xc3\xa9", 256, keys, 1), RK_OK);
    assert_requests(1);
    assert_asked("GET /site/api/v1/keys/a%2Fb%20%3F%26%23%25%C3%A9/enc_keys?number=1&size=256 ");
    drop_keys();
    assert_int_equal(ops->get_new(inst, &call, "..", 256, keys, 1), RK_OK);
    assert_requests(1);
    assert_asked("GET /site/api/v1/keys/../enc_keys?");
    drop_keys();
    strcpy(keys[0].id, "a+b&c=d%1234");
    assert_int_equal(ops->get_by_id(inst, &call, "SAE_B", 256, keys, 1), RK_OK);
    assert_requests(1);
    assert_asked("/dec_keys?key_ID=a%2Bb%26c%3Dd%251234 ");
}

static void
test_sizes(void **state)
{
    (void)state;
    assert_int_equal(get_new("short", 1), RK_E_KEY_SIZE);
    assert_says("248 bits, 256 were asked");
    assert_no_keys();
    assert_int_equal(get_new("long", 1), RK_E_KEY_SIZE);
    assert_says("264 bits, 256 were asked");
    assert_no_keys();
    assert_int_equal(get_id("short"), RK_E_KEY_SIZE);
    assert_no_keys();
    assert_int_equal(get_new("short", 2), RK_OK); /* the other is there */
    assert_key(&keys[0]);
    assert_int_equal(keys[1].err, RK_E_KEY_SIZE);
    assert_null(keys[1].secret);
    assert_int_equal(get_new("bad-base64", 1), RK_E_PROTOCOL);
    assert_says("base64");
    assert_no_keys();
}

/* One request holds as many keys as its answer may be long. */
static void
test_large_keys(void **state)
{
    (void)state;
    kme_play(&kme, "ok");
    kme_log(&kme);
    assert_int_equal(ops->get_new(inst, &call, "SAE_B", 32768, keys, 8), RK_OK);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(fake_host.secret_len(keys[i].secret), 4096);
    assert_requests(1);
    {
        struct rk_key many[64];

        assert_int_equal(ops->get_new(inst, &call, "SAE_B", 32768, many, 64), RK_OK);
        for (size_t i = 0; i < 64; i++) {
            assert_int_equal(many[i].err, RK_OK);
            fake_host.secret_free(&many[i].secret);
        }
        assert_requests(7);
    }
}

static void
test_wrong_answers(void **state)
{
    static const struct {
        const char *part, *says;
    } cases[] = {
        {"html 200", "answered HTML instead of JSON (HTTP 200)"},
        {"text hello", "no object"},
        {"text", "no object"},
        {"text {\"message\":\"ok\"}", "no list of keys"},
        {"duplicate", "same ID"},
        {"huge", "longer than 65536 bytes"},
        {"huge-header", "longer than"},
        {"redirect", "redirects are not followed"},
        {"code 204", "HTTP 204"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int err = get_new(cases[i].part, 2);

        if (err != RK_E_PROTOCOL)
            fail_msg("%s: %d %s", cases[i].part, err, call.text);
        assert_says(cases[i].says);
        assert_no_keys();
        assert_requests(1);
    }
    assert_int_equal(get_id("wrong-id"), RK_E_PROTOCOL);
    assert_says("not asked for");
    assert_no_keys();
}

static void
test_too_few(void **state)
{
    const char *const ends[] = {"00000000000a", "00000000000b"};

    (void)state;
    assert_int_equal(get_new("fewer", 3), RK_OK);
    assert_key(&keys[0]);
    assert_key(&keys[1]);
    assert_int_equal(keys[2].err, RK_E_EMPTY);
    assert_null(keys[2].secret);
    assert_int_equal(get_new("none", 2), RK_E_EMPTY);
    assert_int_equal(keys[0].err, RK_E_EMPTY);
    assert_int_equal(keys[1].err, RK_E_EMPTY);
    assert_no_keys();
    assert_int_equal(get_ids("fewer", ends, 2), RK_OK);
    assert_key(&keys[0]);
    assert_int_equal(keys[1].err, RK_E_KEY_GONE);
    assert_null(keys[1].secret);
}

static void
test_refusals_of_new(void **state)
{
    static const struct {
        const char *part;
        int err;
        const char *says;
    } cases[] = {
        {"code 400 size shall be a multiple of 8", RK_E_REJECTED, "\"size shall be a multiple of 8\""},
        {"code 400 \xe2\x82\xac", RK_E_REJECTED, "\"?\""},
        {"code 400 Not enough keys for this", RK_E_EMPTY, "raise the interval"},
        {"code 401", RK_E_AUTH, "does not know this SAE's certificate"},
        {"code 403 no", RK_E_AUTH, "HTTP 403 \"no\""},
        {"code 503 insufficient keys", RK_E_EMPTY, "HTTP 503 \"insufficient keys\""},
        {"code 503 maintenance", RK_E_BUSY, "maintenance"},
        {"code 503", RK_E_BUSY, "HTTP 503"},
        {"code 504 remote KME down", RK_E_BUSY, "remote KME down"},
        {"html 500", RK_E_BUSY, "HTTP 500 (HTML, not JSON)"},
        {"html 400", RK_E_REJECTED, "HTTP 400 (HTML, not JSON)"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int err = get_new(cases[i].part, 1);

        if (err != cases[i].err)
            fail_msg("%s: %d %s", cases[i].part, err, call.text);
        assert_says(cases[i].says);
        assert_says("https://127.0.0.1:");
        assert_int_equal(keys[0].err, err);
        assert_no_keys();
        assert_requests(1);
    }
}

static void
test_long_message(void **state)
{
    char part[400] = "code 400 ";

    (void)state;
    for (size_t i = 0; i < 300; i++)
        part[9 + i] = ",; x"[i % 4];
    assert_int_equal(get_new(part, 1), RK_E_REJECTED);
    part[9 + 120] = '\0';
    assert_says(part + 9);
    part[9 + 120] = ',';
    part[9 + 121] = '\0';
    assert_null(strstr(call.text, part + 9));
}

static void
test_refusals_of_id(void **state)
{
    static const char *const brief[] = {"sync-window", "0s", NULL};
    static const struct {
        const char *part;
        int err;
    } cases[] = {
        {"code 400 one or more keys specified are not found on KME", RK_E_KEY_GONE},
        {"code 400 Some of the requested keys do not exist", RK_E_KEY_GONE},
        {"code 400", RK_E_KEY_GONE},
        {"code 400 key_IDs is malformed", RK_E_REJECTED},
        {"code 401", RK_E_KEY_GONE},
        {"html 401", RK_E_AUTH},
        {"code 404 Element not found", RK_E_KEY_GONE},
        {"code 403", RK_E_AUTH},
        {"code 503", RK_E_BUSY},
        {"none", RK_E_KEY_GONE},
    };

    (void)state;
    reopen(brief);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int err = get_id(cases[i].part);

        if (err != cases[i].err || keys[0].err != err)
            fail_msg("%s: %d %d %s", cases[i].part, err, keys[0].err, call.text);
        assert_no_keys();
        assert_requests(1);
    }
}

/* A batch is all or nothing at the KME: each key then gets a result of its own. */
static void
test_batch_with_gone(void **state)
{
    static const char *const brief[] = {"sync-window", "0s", NULL};
    const char *const ends[] = {"00000000000a", "00000000dead", "00000000000b"};

    (void)state;
    reopen(brief);
    assert_int_equal(get_ids("ok", ends, 3), RK_OK);
    assert_key(&keys[0]);
    assert_int_equal(keys[1].err, RK_E_KEY_GONE);
    assert_null(keys[1].secret);
    assert_key(&keys[2]);
    assert_requests(5); /* all, the first half, the other half, and each of that */
}

static void
test_batch_refused_wholly(void **state)
{
    const char *const ends[] = {"00000000000a", "00000000000b", "00000000000c"};

    (void)state;
    assert_int_equal(get_ids("code 503", ends, 3), RK_E_BUSY);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(keys[i].err, RK_E_BUSY);
    assert_requests(1);
    assert_int_equal(get_new("one-only", 3), RK_OK); /* a KME that gives one key for each request */
    for (size_t i = 0; i < 3; i++)
        assert_key(&keys[i]);
    assert_requests(5); /* three at once, status, and each by itself */
    assert_int_equal(get_new("code 400 no", 3), RK_E_REJECTED);
    assert_requests(1);
}

/* A key that reaches the KME a little later than its ID reaches us. */
static void
test_sync_window(void **state)
{
    static const char *const wide[] = {"sync-window", "15s", NULL}, *const none[] = {"sync-window", "0s", NULL};

    (void)state;
    reopen(wide);
    assert_int_equal(get_id("late"), RK_OK);
    assert_key(&keys[0]);
    assert_requests(3);
    reopen(none);
    assert_int_equal(get_id("late"), RK_E_KEY_GONE);
    assert_requests(1);
}

static void
test_lenient(void **state)
{
    static const char *const lenient[] = {"lenient", "yes", NULL};

    (void)state;
    assert_int_equal(get_new("lower-names", 1), RK_E_PROTOCOL);
    reopen(lenient);
    assert_int_equal(get_new("lower-names", 1), RK_OK);
    assert_key(&keys[0]);
}

static void
test_status(void **state)
{
    struct rk_source_status st;

    (void)state;
    kme_play(&kme, "ok");
    kme_log(&kme);
    assert_int_equal(ops->status(inst, &call, "SAE_B", &st), RK_OK);
    assert_requests(1);
    assert_asked("GET /api/v1/keys/SAE_B/status accept");
    assert_int_equal(st.stored_keys, 7);
    assert_int_equal(st.max_per_request, 20);
    assert_int_equal(st.min_bits, 64);
    assert_int_equal(st.max_bits, 1024);
    assert_int_equal(strncmp(st.text, "KME KME_A to KME_B: 7 keys stored", 33), 0);
    kme_play(&kme, "text {\"stored_key_count\":\"many\",\"max_key_per_request\":-4}");
    assert_int_equal(ops->status(inst, &call, "SAE_B", &st), RK_OK);
    assert_int_equal(st.stored_keys, -1);
    assert_int_equal(st.max_per_request, -1);
    assert_int_equal(st.max_bits, -1);
    kme_play(&kme, "text []");
    assert_int_equal(ops->status(inst, &call, "SAE_B", &st), RK_E_PROTOCOL);
    kme_play(&kme, "code 401");
    assert_int_equal(ops->status(inst, &call, "SAE_B", &st), RK_E_AUTH);
}

static void
test_arguments(void **state)
{
    (void)state;
    assert_int_equal(ops->get_new(inst, &call, "", 256, keys, 1), RK_E_CONTRACT);
    assert_int_equal(ops->get_new(inst, &call, "B", 0, keys, 1), RK_E_CONTRACT);
    assert_int_equal(ops->get_new(inst, &call, "B", 129, keys, 1), RK_E_CONTRACT);
    assert_int_equal(ops->get_new(inst, &call, "B", 32776, keys, 1), RK_E_CONTRACT);
    assert_int_equal(ops->get_new(inst, &call, "B", 256, keys, 0), RK_E_CONTRACT);
    assert_int_equal(ops->get_new(inst, &call, "B", 256, keys, 65), RK_E_CONTRACT);
    strcpy(keys[0].id, "a b");
    assert_int_equal(ops->get_by_id(inst, &call, "B", 256, keys, 1), RK_E_CONTRACT);
}

/* One line for each request, and no key in it. */
static void
test_log(void **state)
{
    (void)state;
    fake_log_clear();
    assert_int_equal(get_new("ok", 1), RK_OK);
    assert_non_null(strstr(fake_log(), "ev=enc_keys kme=https://127.0.0.1:"));
    assert_non_null(strstr(fake_log(), " peer=SAE_B n=1 http=200 dur_ms="));
    assert_non_null(strstr(fake_log(), " res=ok class=ok orphaned=0 wasted=0\n"));
    assert_null(strstr(fake_log(), "c0ffee"));
    fake_log_clear();
    assert_int_equal(get_new("code 503 no key", 1), RK_E_EMPTY);
    assert_non_null(strstr(fake_log(), "http=503"));
    assert_non_null(strstr(fake_log(), "res=empty class=out-of-keys orphaned=0 wasted=0 msg=\"no key\"\n"));
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
        TEST(test_new_one),
        TEST(test_new_several),
        TEST(test_right_answers),
        TEST(test_by_id),
        TEST(test_methods),
        TEST(test_encoding),
        TEST(test_sizes),
        TEST(test_large_keys),
        TEST(test_wrong_answers),
        TEST(test_too_few),
        TEST(test_refusals_of_new),
        TEST(test_long_message),
        TEST(test_refusals_of_id),
        TEST(test_batch_with_gone),
        TEST(test_batch_refused_wholly),
        TEST(test_sync_window),
        TEST(test_lenient),
        TEST(test_status),
        TEST(test_arguments),
        TEST(test_log),
    };

    if (system("python3 -c 'import ssl' 2>/dev/null") != 0) {
        puts("1..0 # SKIP python3 with ssl is not there");
        return 0;
    }
    return cmocka_run_group_tests(tests, group_up, group_down);
}
