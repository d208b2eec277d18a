/* etsi014_outcomes_test.c - what each answer of a KME comes down to: code, class, text, log, what is counted.
 *
 * The names of the tests stand in doc/etsi014.md.
 */
#include "etsi014_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct outcome_case {
    const char *part; /* how the KME answers */
    int err;
    const char *class, *says;
};

enum verb { NEW, IDS, STATUS };

static int
ask(enum verb verb)
{
    struct rk_source_status st;

    if (verb == STATUS)
        return rig.ops->status(rig.inst, &rig.call, "SAE_B", &st);
    return verb == NEW ? rig_new(1) : rig_id("00000000000a");
}

/* One question, one request: the code, the class in log and text, the words, no key. */
static void
check(enum verb verb, const struct outcome_case *c)
{
    char class[64];
    int err;

    rig_play(c->part);
    fake_log_clear();
    err = ask(verb);
    if (err != c->err)
        fail_msg("%s: %d, not %d: %s", c->part, err, c->err, rig.call.text);
    assert_no_keys();
    assert_int_equal(rig_requests(), 1);
    snprintf(class, sizeof class, " class=%s ", c->class);
    assert_logged(class);
    snprintf(class, sizeof class, ": %s: ", c->class);
    assert_says(class);
    assert_says(c->says);
    assert_says("https://127.0.0.1:");
}

static void
check_all(enum verb verb, const struct outcome_case *cases, size_t n)
{
    static const char *const once[] = {"sync-window", "0s", "method", "get", NULL};

    rig_open(once);
    for (size_t i = 0; i < n; i++)
        check(verb, &cases[i]);
}

#define CHECK(verb, cases) check_all(verb, cases, sizeof(cases) / sizeof(cases)[0])

static void
key_gone(void **state)
{
    static const struct outcome_case cases[] = {
        {"code 400 one or more keys specified are not found on KME", RK_E_KEY_GONE, "key-gone", "\"one or more keys"},
        {"code 400 Some of the requested keys do not exist", RK_E_KEY_GONE, "key-gone", "HTTP 400"},
        {"code 400", RK_E_KEY_GONE, "key-gone", "HTTP 400; consumed, expired or not yet at this KME"},
        {"code 404 Element not found", RK_E_KEY_GONE, "key-gone", "HTTP 404 \"Element not found\""},
        {"typed 404 text/plain key not found", RK_E_KEY_GONE, "key-gone", "HTTP 404 \"key not found\""},
        {"code 410", RK_E_KEY_GONE, "key-gone", "HTTP 410"},
    };

    (void)state;
    CHECK(IDS, cases);
}

static void
not_involved(void **state)
{
    static const struct outcome_case cases[] = {
        {"code 401", RK_E_KEY_GONE, "not-involved", "check peer-sae and the certificate"},
        {"code 401 The given master_sae_id is not involved in any key exchange", RK_E_KEY_GONE, "not-involved",
         "HTTP 401 \"The given"},
        {"code 400 SAE is not involved", RK_E_KEY_GONE, "not-involved", "HTTP 400"},
        {"code 403 not authorized for this key", RK_E_KEY_GONE, "not-involved", "HTTP 403"},
    };

    (void)state;
    CHECK(IDS, cases);
}

static void
stranger(void **state)
{
    static const struct outcome_case ids[] = {
        {"html 401", RK_E_AUTH, "misconfigured", "HTTP 401 (HTML, not JSON); the KME does not know"},
        {"code 403", RK_E_AUTH, "misconfigured", "HTTP 403; the KME does not know"},
    };
    static const struct outcome_case new[] = {
        {"code 401", RK_E_AUTH, "misconfigured", "does not know this SAE's certificate"},
        {"html 401", RK_E_AUTH, "misconfigured", "does not know this SAE's certificate"},
        {"code 403 no", RK_E_AUTH, "misconfigured", "HTTP 403 \"no\""},
    };

    (void)state;
    CHECK(IDS, ids);
    CHECK(NEW, new);
    CHECK(STATUS, new);
}

static void
messages_of_the_standard(void **state)
{
    static const struct outcome_case cases[] = {
        {"code 400 size shall be a multiple of 8", RK_E_REJECTED, "misconfigured",
         "\"size shall be a multiple of 8\"; the KME cannot give keys of this link's size"},
        {"code 400 not all extension_mandatory parameters are supported", RK_E_REJECTED, "misconfigured",
         "change the option extension-mandatory"},
        {"code 400 not all extension_mandatory request options could be met", RK_E_REJECTED, "misconfigured",
         "change the option extension-mandatory"},
        {"code 400 not all extension_optional request options handled", RK_E_REJECTED, "misconfigured",
         "change the option extension-optional"},
        {"code 400 additional_slave_SAE_IDs are not supported, max_SAE_ID_count is 0", RK_E_REJECTED, "misconfigured",
         "change the option additional-slave-saes"},
    };

    (void)state;
    CHECK(NEW, cases);
}

static void
wrong_request(void **state)
{
    static const struct outcome_case new[] = {
        {"code 400 no", RK_E_REJECTED, "misconfigured", "HTTP 400 \"no\""},
        {"html 400", RK_E_REJECTED, "misconfigured", "HTTP 400 (HTML, not JSON)"},
        {"code 413", RK_E_REJECTED, "misconfigured", "HTTP 413"},
        {"code 400 SAE IDs are integers on this KME", RK_E_REJECTED, "misconfigured", "\"SAE IDs are integers"},
        {"redirect", RK_E_PROTOCOL, "misconfigured", "redirects are not followed"},
    };
    static const struct outcome_case ids[] = {
        {"code 400 key_IDs is malformed", RK_E_REJECTED, "misconfigured", "HTTP 400 \"key_IDs is malformed\""},
        {"html 400", RK_E_REJECTED, "misconfigured", "HTTP 400 (HTML, not JSON)"},
        {"html 404", RK_E_REJECTED, "misconfigured", "no KME is at this url"},
    };
    static const struct outcome_case status[] = {
        {"code 404 Element not found", RK_E_REJECTED, "misconfigured", "the peer SAE is not known to the KME"},
        {"code 412 remote KME is not configured", RK_E_REJECTED, "misconfigured", "its own configuration is wrong"},
    };

    (void)state;
    CHECK(NEW, new);
    CHECK(STATUS, new);
    CHECK(STATUS, status);
    CHECK(IDS, ids);
}

/* Status says more of these two. */
static void
status_is_asked_for_more(void **state)
{
    (void)state;
    rig_play("code 404 Element not found");
    assert_int_equal(rig_new(1), RK_E_REJECTED);
    assert_says("the peer SAE is not known to the KME");
    assert_int_equal(rig_requests(), 2);
    rig_play("code 412 remote KME is not configured");
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(i == 1 ? rig_id("00000000000a") : rig_new(1), RK_E_REJECTED);
        assert_says("misconfigured: HTTP 412 \"remote KME is not configured\"; the KME says that its own");
        assert_int_equal(rig_requests(), i == 0 ? 2 : 1); /* not each time */
    }
}

/* When status cannot be had, the reason stays what enc_keys said. */
static void
status_that_cannot_be_had(void **state)
{
    static const struct {
        const char *part, *says;
        size_t n;
    } cases[] = {
        {"no-status 404 Element not found", "enc_keys for SAE_A with SAE_B: misconfigured: HTTP 404 \"Element not", 1},
        {"no-status 412 no peer yet", "enc_keys for SAE_A with SAE_B: misconfigured: HTTP 412 \"no peer yet\"", 1},
        {"no-status 400 no so many", "enc_keys for SAE_A with SAE_B: misconfigured: HTTP 400 \"no so many\"", 4},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rig_play(cases[i].part);
        assert_int_equal(rig_new(cases[i].n), RK_E_REJECTED);
        assert_says(cases[i].says);
        assert_says("; and its status cannot be had");
        assert_int_equal(rig_requests(), 2);
    }
}

static void
method_not_taken(void **state)
{
    static const struct outcome_case cases[] = {
        {"code 405", RK_E_UNSUPPORTED, "misconfigured", "HTTP 405; try another option method"},
        {"code 501", RK_E_UNSUPPORTED, "misconfigured", "HTTP 501; try another option method"},
    };

    (void)state;
    CHECK(NEW, cases);
    CHECK(IDS, cases);
    CHECK(STATUS, cases);
}

static void
out_of_keys(void **state)
{
    static const struct outcome_case cases[] = {
        {"code 503 insufficient keys", RK_E_EMPTY, "out-of-keys", "HTTP 503 \"insufficient keys\""},
        {"code 400 Not enough keys for this", RK_E_EMPTY, "out-of-keys", "raise the interval"},
        {"code 404 no key available", RK_E_EMPTY, "out-of-keys", "HTTP 404"},
        {"none", RK_E_EMPTY, "out-of-keys", "has no key for SAE_B now"},
    };

    (void)state;
    CHECK(NEW, cases);
}

static void
busy(void **state)
{
    static const struct outcome_case cases[] = {
        {"code 408", RK_E_BUSY, "busy", "HTTP 408"},
        {"code 409 KMEs are out of sync", RK_E_BUSY, "busy", "HTTP 409 \"KMEs are out of sync\""},
        {"code 429", RK_E_BUSY, "busy", "HTTP 429; the KME allows fewer requests"},
        {"html 502", RK_E_BUSY, "busy", "HTTP 502 (HTML, not JSON)"},
        {"code 503 maintenance", RK_E_BUSY, "busy", "HTTP 503 \"maintenance\""},
        {"code 503", RK_E_BUSY, "busy", "HTTP 503"},
        {"code 504 remote KME down", RK_E_BUSY, "busy", "HTTP 504 \"remote KME down\""},
    };

    (void)state;
    CHECK(NEW, cases);
    CHECK(IDS, cases);
    CHECK(STATUS, cases);
}

static void
broken_server(void **state)
{
    static const struct outcome_case all[] = {
        {"code 500", RK_E_BUSY, "broken-server", "HTTP 500; look into the log of the KME"},
        {"html 500", RK_E_BUSY, "broken-server", "HTTP 500 (HTML, not JSON)"},
        {"html 200", RK_E_PROTOCOL, "broken-server", "answered HTML instead of JSON (HTTP 200)"},
        {"text hello", RK_E_PROTOCOL, "broken-server", "no object"},
        {"text", RK_E_PROTOCOL, "broken-server", "no object"},
        {"code 204", RK_E_PROTOCOL, "broken-server", "HTTP 204"},
        {"code 299", RK_E_PROTOCOL, "broken-server", "HTTP 299"},
    };
    static const struct outcome_case keys[] = {
        {"short", RK_E_KEY_SIZE, "broken-server", "248 bits, 256 were asked for"},
        {"long", RK_E_KEY_SIZE, "broken-server", "264 bits, 256 were asked for"},
        {"bad-base64", RK_E_PROTOCOL, "broken-server", "is not base64"},
        {"text {\"keys\":[{\"key_ID\":\"a\",\"key\":\"\"}]}", RK_E_PROTOCOL, "broken-server", "base64"},
        {"text {\"message\":\"ok\"}", RK_E_PROTOCOL, "broken-server", "no list of keys"},
        {"text {\"keys\":[{}]}", RK_E_PROTOCOL, "broken-server", "no key_ID or no key"},
    };

    (void)state;
    CHECK(NEW, all);
    CHECK(IDS, all);
    CHECK(STATUS, all);
    CHECK(NEW, keys);
}

static void
too_long(void **state)
{
    static const char *const parts[] = {"huge", "huge-header"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        rig_play(parts[i]);
        assert_int_equal(rig_new(1), RK_E_PROTOCOL);
        assert_says("longer than 65536 bytes");
        assert_no_keys();
        assert_int_equal(rig_requests(), 1);
    }
    assert_logged("class=broken-server orphaned=0 wasted=2");
}

static void
same_id_twice(void **state)
{
    (void)state;
    rig_play("duplicate");
    assert_int_equal(rig_new(2), RK_E_PROTOCOL);
    assert_says("two keys have the same ID");
    assert_no_keys();
    assert_logged("class=broken-server orphaned=0 wasted=2");
}

static void
another_id(void **state)
{
    (void)state;
    rig_play("wrong-id");
    assert_int_equal(rig_id("00000000000a"), RK_E_PROTOCOL);
    assert_says("it holds a key that was not asked for");
    assert_no_keys();
    assert_int_equal(rig_requests(), 1);
    assert_logged("class=broken-server orphaned=0 wasted=1");
}

static void
more_keys_than_asked(void **state)
{
    (void)state;
    rig_play("more");
    assert_int_equal(rig_new(2), RK_OK);
    assert_key(&rig.keys[0]);
    assert_key(&rig.keys[1]);
    assert_logged("res=ok class=ok orphaned=0 wasted=1");
    rig_play("more");
    assert_int_equal(rig_id("00000000000a"), RK_E_PROTOCOL); /* by ID there are no others */
    assert_says("more keys than were asked for");
}

static void
fewer_keys_than_asked(void **state)
{
    (void)state;
    rig_play("fewer");
    assert_int_equal(rig_new(3), RK_OK);
    assert_key(&rig.keys[0]);
    assert_key(&rig.keys[1]);
    assert_int_equal(rig.keys[2].err, RK_E_EMPTY);
    assert_int_equal(rig_requests(), 2); /* once for the rest, and no more */
    rig_play("none");
    assert_int_equal(rig_new(2), RK_E_EMPTY);
    assert_int_equal(rig_requests(), 2);
    assert_no_keys();
}

static void
untyped_answers(void **state)
{
    (void)state;
    rig_play("ok"); /* this KME never sends a Content-Type */
    assert_int_equal(rig_new(1), RK_OK);
    rig_play("code 503 no key");
    assert_int_equal(rig_new(1), RK_E_EMPTY);
    rig_play("typed 200 text/html {\"keys\":[]}");
    assert_int_equal(rig_new(1), RK_E_EMPTY);
    rig_play("typed 503 text/html {\"message\":\"in maintenance\"}");
    assert_int_equal(rig_new(1), RK_E_BUSY);
    assert_says("\"in maintenance\"");
}

static void
message_hides_keys(void **state)
{
    static const char key[] = "8Pf+BQwTGiEoLzY9REtSWWBnbnV8g4qRmJ+mrbS7wsk";

    (void)state;
    rig_play(
        "code 400 cannot wrap 8Pf+BQwTGiEoLzY9REtSWWBnbnV8g4qRmJ+mrbS7wsk= of c0ffee00-0000-4000-8000-00000000000a");
    assert_int_equal(rig_new(1), RK_E_REJECTED);
    assert_says("\"cannot wrap *** of c0ffee00-0000-4000-8000-00000000000a\"");
    assert_logged("msg=\"cannot wrap *** of c0ffee00-");
    rig_play("typed 500 text/plain cannot wrap 8Pf+BQwTGiEoLzY9REtSWWBnbnV8g4qRmJ+mrbS7wsk=");
    assert_int_equal(rig_new(1), RK_E_BUSY);
    assert_says("\"cannot wrap ***\"");
    rig_play("typed 400 text/plain {\"keys\":[{\"key\":\"8Pf+BQwTGiEoLzY9REtSWWBnbnV8g4qRmJ+mrbS7wsk=\"}");
    assert_int_equal(rig_new(1), RK_E_REJECTED);
    assert_null(strstr(rig.call.text, key));
    assert_not_logged(key);
    assert_not_logged("keys\":");
}

static void
log_names_both_ends(void **state)
{
    static const char *const named[] = {"kme-id", "KME_A", NULL};
    struct rk_source_status st;

    (void)state;
    rig_play("code 503 closed for the night");
    assert_int_equal(rig_new(1), RK_E_BUSY);
    assert_logged("ev=enc_keys kme=https://127.0.0.1:");
    assert_logged(" kme_id=- sae=SAE_A peer=SAE_B n=1 http=503 dur_ms=");
    assert_logged(" res=busy class=busy orphaned=0 wasted=0 msg=\"closed for the night\"\n");
    assert_says("enc_keys for SAE_A with SAE_B: busy: HTTP 503 \"closed for the night\"");
    rig_play("ok");
    assert_int_equal(rig.ops->status(rig.inst, &rig.call, "SAE_B", &st), RK_OK);
    fake_log_clear();
    assert_int_equal(rig_id("00000000dead"), RK_E_KEY_GONE);
    assert_logged("ev=dec_keys kme=https://127.0.0.1:");
    assert_logged(" kme_id=KME_A sae=SAE_A peer=SAE_B n=1 http=400 ");
    assert_says(" (KME_A): dec_keys for SAE_A with SAE_B: key-gone: HTTP 400 ");
    fake_log_clear();
    rig_open(named);
    assert_int_equal(rig_new(1), RK_OK);
    assert_logged(" kme_id=KME_A sae=SAE_A ");
}

static size_t
count(const char *text)
{
    size_t n = 0;

    for (const char *at = fake_log(); (at = strstr(at, text)); at++)
        n++;
    return n;
}

static void
late_key_few_questions(void **state)
{
    static const char *const wide[] = {"sync-window", "15s", NULL};
    size_t n;

    (void)state;
    rig_open(wide);
    rig_play("late");
    assert_int_equal(rig_id("00000000000a"), RK_OK); /* there at the third question */
    assert_key(&rig.keys[0]);
    assert_int_equal(rig_requests(), 3);
    assert_int_equal(count("class=not-yet"), 2);
    rig_open(NULL);
    rig_play("ok");
    fake_log_clear();
    assert_int_equal(rig_id("00000000dead"), RK_E_KEY_GONE);
    n = rig_requests();
    assert_in_range(n, 2, 4); /* in the whole window of a second; fewer when this process had to wait */
    assert_int_equal(count("class=not-yet"), n - 1);
    assert_int_equal(count("class=key-gone"), 1);
}

static void
one_question_for_a_key(void **state)
{
    (void)state;
    rig_play("ok");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rig_id("00000000000a"), RK_OK);
        assert_int_equal(rig_requests(), 1);
    }
    assert_int_equal(rig_ids(64), RK_OK);
    assert_int_equal(rig_requests(), 1);
}

static void
retry_after_within_the_budget(void **state)
{
    (void)state;
    rig_play("retry 429 1 1");
    assert_int_equal(rig_new(1), RK_OK);
    assert_key(&rig.keys[0]);
    assert_int_equal(rig_requests(), 2);
    assert_logged("http=429");
    assert_logged("res=busy class=busy orphaned=0 wasted=0 msg=\"slow down\"");
}

static void
retry_after_beyond_the_budget(void **state)
{
    (void)state;
    rig_play("retry 503 40 100");
    assert_int_equal(rig_new(1), RK_E_BUSY);
    assert_says("HTTP 503 \"slow down\"");
    assert_int_equal(rig_requests(), 1);
    assert_int_equal(rig_new(1), RK_E_BUSY);
    assert_says("it asked to be left alone for another ");
    assert_says(" s (Retry-After)");
    assert_int_equal(rig_requests(), 0);
    rig_play("retry 503 0 1");
    rig_open(NULL);
    assert_int_equal(rig_new(1), RK_E_BUSY); /* no time is no wish */
    assert_int_equal(rig_new(1), RK_OK);
}

/* Only a refusal is sent again: with these something may have answered in the KME's place, and keys be gone. */
static void
retry_after_of_a_gateway(void **state)
{
    static const char *const parts[] = {"retry 500 1 1", "retry 502 1 1", "retry 504 1 1"};

    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        rig_open(NULL);
        rig_play(parts[i]);
        assert_int_equal(rig_new(1), RK_E_BUSY);
        assert_int_equal(rig_requests(), 1);
    }
}

static void
lost_answers_are_counted(void **state)
{
    static const char *const post[] = {"method", "post", NULL};

    (void)state;
    rig_open(post);
    rig_play("drop");
    assert_int_equal(rig_new(3), RK_E_UNKNOWN);
    assert_int_equal(rig_requests(), 1); /* enc_keys is not sent twice */
    assert_logged("class=lost orphaned=3 wasted=0");
    rig_play("drop");
    assert_int_equal(rig_ids(2), RK_E_UNKNOWN);
    assert_int_equal(rig_requests(), 2); /* dec_keys is: it takes no other key */
    rig_play("drop-once");
    assert_int_equal(rig_ids(2), RK_OK);
    fake_log_clear();
    rig_play("ok");
    assert_int_equal(rig_new(1), RK_OK);
    assert_logged("orphaned=5 wasted=0");
}

/* A gateway's answer does not tell whether the KME has given keys; a refusal does. */
static void
answers_of_a_gateway_are_counted(void **state)
{
    static const struct {
        const char *part, *logged;
        enum verb verb;
    } cases[] = {
        {"html 502", "orphaned=1 wasted=0", NEW},
        {"code 504 remote KME down", "orphaned=2 wasted=0", NEW},
        {"code 500", "orphaned=3 wasted=0", NEW},
        {"code 500 insufficient keys", "class=out-of-keys orphaned=3 wasted=0", NEW},
        {"code 503", "class=busy orphaned=3 wasted=0", NEW},
        {"code 429", "class=busy orphaned=3 wasted=0", NEW},
        {"code 504", "class=busy orphaned=3 wasted=0", IDS},
        {"code 504", "class=busy orphaned=3 wasted=0", STATUS},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rig_play(cases[i].part);
        fake_log_clear();
        assert_true(ask(cases[i].verb) != RK_OK);
        assert_logged(cases[i].logged);
    }
}

static void
useless_keys_are_counted(void **state)
{
    static const char *const post[] = {"method", "post", NULL};

    (void)state;
    rig_open(post);
    rig_play("short");
    assert_int_equal(rig_new(2), RK_OK);
    assert_key(&rig.keys[0]);
    assert_int_equal(rig.keys[1].err, RK_E_KEY_SIZE);
    assert_logged("orphaned=0 wasted=1");
    rig_play("bad-base64");
    assert_int_equal(rig_new(1), RK_E_PROTOCOL);
    assert_logged("orphaned=0 wasted=2");
    rig_play("text {\"keys\":[{\"key_ID\":\"a\",\"key\":");
    assert_int_equal(rig_new(2), RK_E_PROTOCOL);
    assert_logged("orphaned=0 wasted=4");
    rig_play("html 200"); /* no key was in it */
    assert_int_equal(rig_new(2), RK_E_PROTOCOL);
    assert_not_logged("wasted=6");
    assert_int_equal(rig.call.wasted, 4); /* the host is told, for rekeyctl */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_up, rig_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(key_gone),
        TEST(not_involved),
        TEST(stranger),
        TEST(messages_of_the_standard),
        TEST(wrong_request),
        TEST(status_is_asked_for_more),
        TEST(status_that_cannot_be_had),
        TEST(method_not_taken),
        TEST(out_of_keys),
        TEST(busy),
        TEST(broken_server),
        TEST(too_long),
        TEST(same_id_twice),
        TEST(another_id),
        TEST(more_keys_than_asked),
        TEST(fewer_keys_than_asked),
        TEST(untyped_answers),
        TEST(message_hides_keys),
        TEST(log_names_both_ends),
        TEST(late_key_few_questions),
        TEST(one_question_for_a_key),
        TEST(retry_after_within_the_budget),
        TEST(retry_after_beyond_the_budget),
        TEST(retry_after_of_a_gateway),
        TEST(lost_answers_are_counted),
        TEST(answers_of_a_gateway_are_counted),
        TEST(useless_keys_are_counted),
    };

    return rig_can_run() ? cmocka_run_group_tests(tests, rig_group_up, rig_group_down) : 0;
}
