/* etsi014_tls_test.c - the etsi014 plugin's handshakes and kept connections: versions, names, how many, traces. */
#include "etsi014_kme.h"
#include "etsi014_memory.h"

#include <limits.h>
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
    close_inst();
    if (etsi_open(&kme, listener, extra, &call, &inst))
        fail_msg("init: %s", call.text);
}

static int
get_new(void)
{
    fake_host.secret_free(&key.secret);
    return ops->get_new(inst, &call, "SAE_B", 256, &key, 1);
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
assert_status(const char *text)
{
    struct rk_source_status st;

    assert_int_equal(ops->status(inst, &call, "SAE_B", &st), RK_OK);
    if (!strstr(st.text, text))
        fail_msg("\"%s\" does not say \"%s\"", st.text, text);
}

static int
set_up(void **state)
{
    (void)state;
    fake_call(&call, BUDGET_MS);
    fake_log_clear();
    kme_play(&kme, "ok");
    kme_log(&kme);
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

/* TLS 1.2 is the least that is spoken (ETSI GS QKD 014 V1.1.1, 5.1). */
static void
test_version_floor(void **state)
{
    (void)state;
    open_at("tls11", NULL);
    assert_int_equal(get_new(), RK_E_UNSUPPORTED);
    assert_says("TLS 1.2 or newer is needed");
    assert_requests(0);
    open_at("tls12", NULL);
    assert_int_equal(get_new(), RK_OK);
    open_at("tls13", NULL);
    assert_int_equal(get_new(), RK_OK);
    assert_requests(2);
}

/* Where the KME ID may stand in a certificate, and that it must be whole. */
static void
test_kme_id_places(void **state)
{
    static const struct {
        const char *listener, *id;
        int err;
    } cases[] = {
        {"cn-only", "KME_A", RK_OK},       {"cn-only", "kme-a.example", RK_E_AUTH}, {"several", "a.example", RK_OK},
        {"several", "b.example", RK_OK},   {"several", "urn:kme:x", RK_OK},         {"several", "urn:kme:a", RK_OK},
        {"several", "front", RK_OK},       {"several", "KME_A", RK_E_AUTH},         {"several", "urn:kme", RK_E_AUTH},
        {"several", "example", RK_E_AUTH}, {"several", "a.example,", RK_E_AUTH},    {"kme", "KME_A", RK_OK},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *extra[] = {"kme-id", cases[i].id, NULL};

        open_at(cases[i].listener, extra);
        if (get_new() != cases[i].err)
            fail_msg("%s at %s: %s", cases[i].id, cases[i].listener, call.text);
        if (cases[i].err)
            assert_says("names no KME");
        assert_requests(cases[i].err ? 0 : 1);
    }
}

/* A KME that has signed its own certificate is trusted when that certificate is named as CA, and only then. */
static void
test_signed_by_itself(void **state)
{
    char path[PATH_MAX];
    const char *extra[] = {"ca", path, NULL};

    (void)state;
    open_at("self", NULL);
    assert_int_equal(get_new(), RK_E_AUTH);
    assert_says("a CA of that file");
    snprintf(path, sizeof path, "%s/self.pem", kme.dir);
    open_at("self", extra);
    assert_int_equal(get_new(), RK_OK);
    open_at("kme", extra);
    assert_int_equal(get_new(), RK_E_AUTH);
    assert_requests(1);
}

/* One handshake serves until the connection ends, and how many there were can be seen. */
static void
test_one_handshake_for_many_calls(void **state)
{
    (void)state;
    open_at("kme", NULL);
    for (int i = 0; i < 50; i++)
        assert_int_equal(get_new(), RK_OK);
    assert_status(", handshakes 1, requests 51");
    kme_play(&kme, "close-idle");
    assert_int_equal(get_new(), RK_OK);
    kme_end_kept(&kme);
    kme_play(&kme, "ok");
    assert_int_equal(get_new(), RK_OK);
    assert_status(", handshakes 2, requests 54");
    assert_non_null(strstr(fake_log(), "ev=connect"));
    assert_non_null(strstr(fake_log(), "handshakes=2 res=ok"));
    assert_null(strstr(fake_log(), "handshakes=3"));
}

/* The server resets a kept connection when the next request is on it, unread: it may have been read, so it is lost. */
static void
test_reset_on_kept_connection(void **state)
{
    (void)state;
    open_at("kme", NULL);
    kme_play(&kme, "reset-reused");
    assert_int_equal(get_new(), RK_OK);
    assert_int_equal(get_new(), RK_E_UNKNOWN);
    assert_null(key.secret);
    assert_requests(1);
    kme_play(&kme, "ok");
    assert_int_equal(get_new(), RK_OK);
    assert_requests(1);
}

/* The server's key for 0x42 as base64, inverted so that this copy is not found. */
static void
inverted_text(unsigned char text[44])
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned at = 0;

    for (unsigned bit = 0; bit < 256; bit += 6) {
        unsigned i = bit / 8, pair = ((0x42 * 31 + i * 7 + 0xf0) & 0xff) << 8;

        if (i + 1 < 32)
            pair |= (0x42 * 31 + (i + 1) * 7 + 0xf0) & 0xff;
        text[at++] = (unsigned char)~alphabet[pair >> (10 - bit % 8) & 63];
    }
    text[at] = (unsigned char)~'=';
}

/* An answer that is longer than it may be is given up, and the keys in it are nowhere. */
static void
test_long_answer_is_wiped(void **state)
{
    unsigned char text[44];

    (void)state;
    inverted_text(text);
    open_at("kme", NULL);
    kme_play(&kme, "huge-key");
    assert_int_equal(get_new(), RK_E_PROTOCOL);
    assert_says("longer than 65536 bytes");
    assert_requests(1);
    assert_int_equal(memory_count(text, sizeof text), 0);
    kme_play(&kme, "ok");
    assert_int_equal(get_new(), RK_OK);
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
        TEST(test_version_floor),
        TEST(test_kme_id_places),
        TEST(test_signed_by_itself),
        TEST(test_one_handshake_for_many_calls),
        TEST(test_reset_on_kept_connection),
        TEST(test_long_answer_is_wiped),
    };

    if (system("python3 -c 'import ssl' 2>/dev/null") != 0) {
        puts("1..0 # SKIP python3 with ssl is not there");
        return 0;
    }
    return cmocka_run_group_tests(tests, group_up, group_down);
}
