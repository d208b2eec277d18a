/* etsi014_kmes_test.c - the plugin at both ends, with each kind of KME that rekey-kme plays, and with each of its
 * faults.
 *
 * The names of the tests stand in doc/etsi014.md.
 */
#include "etsi014_lab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BUDGET_MS 20000
#define BRIEF_MS 400 /* of a call that must run into its budget */
#define UNKNOWN_ID "00000000-0000-4000-8000-000000000001"

static struct lab lab;
static struct rk_call call;
static void *master, *slave;
static struct rk_key ours[64], theirs[64];
static const struct rk_source_ops *ops;

static void
drop(struct rk_key *keys)
{
    for (size_t i = 0; i < 64; i++)
        fake_host.secret_free(&keys[i].secret);
    memset(keys, 0, 64 * sizeof *keys);
}

static void
end(void **inst)
{
    if (*inst)
        etsi014_LTX_rk_plugin.fini(*inst);
    *inst = NULL;
}

static void
open_one(const char *pair, char which, const char *sae, const char *const *extra, void **inst)
{
    char kme[40];

    end(inst);
    snprintf(kme, sizeof kme, "%s-%c", pair, which);
    if (lab_open(&lab, kme, sae, extra, &call, inst))
        fail_msg("init at %s: %s", kme, call.text);
}

/* Both ends at a pair of KMEs; extra are options of both. */
static void
at(const char *pair, const char *const *extra)
{
    open_one(pair, 'a', "SAE_A", extra, &master);
    open_one(pair, 'b', "SAE_B", extra, &slave);
    fake_log_clear();
}

static int
take(size_t n)
{
    drop(ours);
    return ops->get_new(master, &call, "SAE_B", 256, ours, n);
}

static int
fetch(size_t n)
{
    drop(theirs);
    for (size_t i = 0; i < n; i++) {
        if (ours[i].id[0])
            memcpy(theirs[i].id, ours[i].id, sizeof theirs[i].id);
        else
            strcpy(theirs[i].id, UNKNOWN_ID);
    }
    return ops->get_by_id(slave, &call, "SAE_A", 256, theirs, n);
}

static void
fault(const char *pair, char which, const char *words)
{
    char kme[40];

    snprintf(kme, sizeof kme, "%s-%c", pair, which);
    lab_fault(&lab, kme, words);
}

static void
budget(int ms)
{
    fake_call_end(&call);
    fake_call(&call, ms);
}

static int
bytes_are(const unsigned char *bytes, size_t len, void *arg)
{
    const struct rk_secret *other = arg;

    return fake_secret_is(other, bytes, len);
}

static void
assert_same(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(ours[i].err, RK_OK);
        assert_int_equal(theirs[i].err, RK_OK);
        assert_non_null(ours[i].secret);
        assert_non_null(theirs[i].secret);
        assert_true(fake_host.secret_use(ours[i].secret, bytes_are, theirs[i].secret));
    }
}

static void
assert_says(const char *text)
{
    if (!strstr(call.text, text))
        fail_msg("\"%s\" does not say \"%s\"", call.text, text);
}

static void
assert_logged(const char *text)
{
    if (!strstr(fake_log(), text))
        fail_msg("no \"%s\" in:\n%s", text, fake_log());
}

static size_t
logged(const char *text)
{
    size_t n = 0;

    for (const char *from = fake_log(); (from = strstr(from, text)); from++)
        n++;
    return n;
}

static void
assert_err(const char *what, int err, int want)
{
    if (err != want)
        fail_msg("%s: %d, not %d: %s", what, err, want, call.text);
}

/* ---- kinds of KMEs ---- */

static const char *const lenient[] = {"lenient", "yes", NULL};

static const char *const *
usual(const char *pair)
{
    return strcmp(pair, "vendor") == 0 ? lenient : NULL;
}

static void
every_kind_gives_keys(void **state)
{
    static const char *const kinds[] = {"strict", "next-door", "rust", "mock", "vendor"};

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        at(kinds[i], usual(kinds[i]));
        for (int k = 0; k < 3; k++) {
            assert_err(kinds[i], take(1), RK_OK);
            assert_err(kinds[i], fetch(1), RK_OK);
            assert_same(1);
        }
        assert_int_equal(logged("ev=enc_keys"), 3);
        assert_int_equal(logged("ev=dec_keys"), 3);
        assert_int_equal(logged("class=ok"), 6);
    }
}

static void
every_kind_by_each_method(void **state)
{
    static const char *const kinds[] = {"strict", "next-door", "rust", "mock", "vendor"};
    static const char *const methods[] = {"get", "post"};

    (void)state;
    for (size_t i = 0; i < 10; i++) {
        const char *extra[] = {"method", methods[i % 2], "lenient", "yes", NULL};

        at(kinds[i / 2], extra);
        assert_err(kinds[i / 2], take(1), RK_OK);
        assert_err(kinds[i / 2], fetch(1), RK_OK);
        assert_same(1);
    }
}

/* How many requests 12 keys need: at first, and when the limit is known. */
static void
every_kind_gives_several(void **state)
{
    static const struct {
        const char *kind;
        size_t first, then, fetch;
    } cases[] = {
        {"strict", 1, 1, 1},  {"next-door", 1, 1, 1}, /* in one call, for a second one would take the first ones away */
        {"rust", 4, 2, 2},                            /* 12 are refused, its status says 10 */
        {"mock", 14, 12, 12},                         /* 12 are refused, its status says 1 */
        {"vendor", 1, 1, 1},  {"first", 5, 2, 2},     /* refuses until it was asked for its status, which says 8 */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        at(cases[i].kind, usual(cases[i].kind));
        assert_err(cases[i].kind, take(12), RK_OK);
        if (logged(" http=") != cases[i].first)
            fail_msg("%s: %zu requests, not %zu:\n%s", cases[i].kind, logged(" http="), cases[i].first, fake_log());
        fake_log_clear();
        assert_err(cases[i].kind, take(12), RK_OK);
        assert_int_equal(logged(" http="), cases[i].then);
        assert_err(cases[i].kind, fetch(12), RK_OK);
        assert_same(12);
    }
}

static void
consumed_key(void **state)
{
    static const char *const once[] = {"sync-window", "0s", "lenient", "yes", NULL};
    static const struct {
        const char *kind;
        int err;
        const char *class, *says;
    } cases[] = {
        {"strict", RK_E_KEY_GONE, "class=key-gone", "HTTP 400 \"one or more keys specified are not found on KME\""},
        {"next-door", RK_E_KEY_GONE, "class=not-involved", "HTTP 401 \"The given master_sae_id is not involved"},
        {"vendor", RK_E_KEY_GONE, "class=key-gone", "HTTP 404 \"key not found\""},
        {"rust", RK_OK, "class=ok", ""}, /* does not consume */
        {"mock", RK_OK, "class=ok", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        at(cases[i].kind, once);
        assert_err(cases[i].kind, take(1), RK_OK);
        assert_err(cases[i].kind, fetch(1), RK_OK);
        fake_log_clear();
        assert_err(cases[i].kind, fetch(1), cases[i].err);
        assert_logged(cases[i].class);
        assert_says(cases[i].err ? cases[i].says : "");
    }
}

static void
unknown_key(void **state)
{
    static const char *const once[] = {"sync-window", "0s", NULL};
    static const struct {
        const char *kind, *says;
    } cases[] = {
        {"strict", "key-gone: HTTP 400 \"one or more keys specified are not found on KME\""},
        {"next-door", "not-involved: HTTP 401 \"The given"},
        {"rust", "key-gone: HTTP 404 \"Element not found\""},
        {"mock", "key-gone: HTTP 404 \"key not found\""},
        {"vendor", "key-gone: HTTP 404 \"key not found\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        at(cases[i].kind, once);
        drop(ours);
        assert_err(cases[i].kind, fetch(1), RK_E_KEY_GONE);
        assert_says(cases[i].says);
    }
}

static void
replaced_key(void **state)
{
    static const char *const once[] = {"sync-window", "0s", NULL};
    char first[RK_KEY_ID_MAX + 1];

    (void)state;
    at("next-door", once);
    assert_err("first", take(1), RK_OK);
    strcpy(first, ours[0].id);
    assert_err("second", take(1), RK_OK);
    assert_err("the second is there", fetch(1), RK_OK);
    assert_same(1);
    assert_err("third", take(1), RK_OK);
    strcpy(ours[0].id, first);
    assert_err("the first is gone", fetch(1), RK_E_KEY_GONE);
    assert_says("key-gone: HTTP 400 \"Some of the requested keys do not exist");
}

static void
stored_count_that_lies(void **state)
{
    static const char *const kinds[] = {"next-door", "mock", "vendor"};
    struct rk_source_status st;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        at(kinds[i], usual(kinds[i]));
        assert_err("drain", take(1), RK_OK);
        assert_err("drain", fetch(1), RK_OK);
        assert_err(kinds[i], ops->status(master, &call, "SAE_B", &st), RK_OK);
        assert_int_equal(i == 0 ? st.stored_keys : 0, 0); /* next-door: none waits to be fetched */
        assert_err(kinds[i], take(2), RK_OK);             /* and there are keys all the same */
    }
    at("strict", NULL);
    fault("strict", 'a', "status-zero");
    assert_err("strict", ops->status(master, &call, "SAE_B", &st), RK_OK);
    assert_int_equal(st.stored_keys, 0);
    assert_err("strict", take(2), RK_OK);
}

static void
other_key_sizes(void **state)
{
    static const struct {
        const char *kind;
        int err;
        const char *says;
    } cases[] = {
        {"strict", RK_OK, ""},
        {"next-door", RK_OK, ""}, /* its GET ignores the size: POST */
        {"rust", RK_E_KEY_SIZE, "broken-server: key"},
        {"mock", RK_E_REJECTED, "misconfigured: HTTP 400 \"size is out of range\""},
        {"vendor", RK_E_REJECTED, "misconfigured: HTTP 400 \"size is out of range\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        at(cases[i].kind, usual(cases[i].kind));
        drop(ours);
        assert_err(cases[i].kind, ops->get_new(master, &call, "SAE_B", 128, ours, 1), cases[i].err);
        if (cases[i].err)
            assert_says(cases[i].says);
        else
            assert_int_equal(fake_host.secret_len(ours[0].secret), 16);
    }
}

static void
unknown_peer(void **state)
{
    static const struct {
        const char *kind, *says;
    } cases[] = {
        {"strict", "HTTP 400 \"the SAE ID in the path is not known on this KME\""},
        {"next-door", "HTTP 400 \"The given slave SAE ID is unknown by this KME.\""},
        {"rust", "HTTP 400 \"Bad request\""},
        {"vendor", "HTTP 404 \"unknown SAE ID\"; the peer SAE is not known to the KME"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        at(cases[i].kind, NULL);
        drop(ours);
        assert_err(cases[i].kind, ops->get_new(master, &call, "SAE_Z", 256, ours, 1), RK_E_REJECTED);
        assert_says("misconfigured: ");
        assert_says(cases[i].says);
    }
}

static void
stranger_certificate(void **state)
{
    static const struct {
        const char *kind, *says;
    } cases[] = {
        {"strict", "HTTP 401; the KME does not know this SAE's certificate"},
        {"next-door", "HTTP 401 (HTML, not JSON); the KME does not know this SAE's certificate"},
        {"rust", "HTTP 401 \"Authentication error\"; the KME does not know this SAE's certificate"},
        {"vendor", "HTTP 403 \"forbidden\"; the KME does not know this SAE's certificate"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        open_one(cases[i].kind, 'a', "SAE_X", NULL, &master);
        assert_err(cases[i].kind, take(1), RK_E_AUTH);
        assert_says("misconfigured: ");
        assert_says(cases[i].says);
    }
}

static void
key_of_another_slave(void **state)
{
    static const char *const once[] = {"sync-window", "0s", NULL};

    (void)state;
    at("strict", once);
    assert_err("take", take(1), RK_OK);
    open_one("strict", 'b', "SAE_C", once, &slave);
    assert_err("as SAE_C", fetch(1), RK_E_KEY_GONE);
    assert_says("not-involved: HTTP 401; the KME has no key of this ID for this SAE; check peer-sae");
}

static void
pool_that_ends(void **state)
{
    (void)state;
    at("poor", NULL); /* five keys, and no status */
    assert_err("part of it", take(12), RK_OK);
    for (size_t i = 0; i < 12; i++)
        assert_int_equal(ours[i].err, i < 5 ? RK_OK : RK_E_EMPTY);
    fake_log_clear();
    assert_err("poor", take(1), RK_E_EMPTY);
    assert_says("out-of-keys: HTTP 503 \"not enough keys are stored\"");
    assert_int_equal(logged(" http="), 1);
    at("rust", NULL); /* it answers 404 whatever is missing; its status tells the rest */
    while (take(10) == RK_OK)
        continue;
    assert_err("rust", take(1), RK_E_EMPTY);
    assert_says("out-of-keys");
}

static void
extension_mandatory(void **state)
{
    static const char *const known[] = {"extension-mandatory", "abc_route=direct", NULL};
    static const char *const unknown[] = {"extension-mandatory", "abc_other=1", NULL};

    (void)state;
    at("rich", known);
    assert_err("rich", take(3), RK_OK);
    assert_err("rich", fetch(3), RK_OK);
    assert_same(3);
    at("rich", unknown);
    assert_err("rich", take(3), RK_E_REJECTED);
    assert_says("\"not all extension_mandatory parameters are supported\"; change the option extension-mandatory");
    assert_int_equal(logged(" http="), 1);
    at("strict", known);
    assert_err("strict", take(1), RK_E_REJECTED);
    at("next-door", known); /* ignores what it does not know */
    assert_err("next-door", take(1), RK_OK);
    at("rust", known);
    assert_err("mock", take(1) == RK_E_EMPTY ? RK_OK : RK_E_PROTOCOL, RK_OK); /* its pool is at its end */
}

static void
extension_optional(void **state)
{
    static const char *const unknown[] = {"extension-optional", "abc_other=1", NULL};

    (void)state;
    at("rich", unknown); /* refuses it, and is asked without */
    assert_err("rich", take(2), RK_OK);
    assert_logged("\"not all extension_optional request options handled\"");
    assert_int_equal(logged("http=400"), 1);
    assert_err("rich", take(2), RK_OK);
    assert_int_equal(logged("http=400"), 1);
    at("strict", unknown);
    assert_err("strict", take(2), RK_OK);
    assert_int_equal(logged("http="), 1);
}

static void
additional_slaves(void **state)
{
    static const char *const also[] = {"additional-slave-saes", "SAE_C", NULL};

    (void)state;
    at("rich", also);
    assert_err("take", take(2), RK_OK);
    assert_err("SAE_B", fetch(2), RK_OK);
    assert_same(2);
    open_one("rich", 'b', "SAE_C", NULL, &slave);
    assert_err("SAE_C", fetch(2), RK_OK);
    assert_same(2);
    at("strict", also); /* its max_SAE_ID_count is 0 */
    assert_err("strict", take(1), RK_E_REJECTED);
    assert_says("misconfigured: HTTP 400 ");
    assert_says("change the option additional-slave-saes");
}

/* ---- faults ---- */

struct fault_case {
    const char *words;
    int err;
    const char *class, *says;
};

/* One key is asked for with each fault. */
static void
check_faults(bool new, const struct fault_case *cases, size_t n)
{
    static const char *const once[] = {"sync-window", "0s", NULL};

    for (size_t i = 0; i < n; i++) {
        const struct fault_case *c = &cases[i];
        char class[64];
        int err = RK_OK;

        at("strict", once); /* a new one: what it has learnt is forgotten */
        if (!new)
            assert_err("take", take(1), RK_OK);
        fault("strict", new ? 'a' : 'b', c->words);
        fake_log_clear();
        err = new ? take(1) : fetch(1);
        fault("strict", new ? 'a' : 'b', NULL);
        assert_err(c->words, err, c->err);
        snprintf(class, sizeof class, "class=%s ", c->class);
        assert_logged(class);
        if (c->err)
            assert_says(c->says);
        if (c->err)
            assert_null((new ? ours : theirs)[0].secret);
    }
}

#define CHECK_FAULTS(new, cases) check_faults(new, cases, sizeof(cases) / sizeof(cases)[0])

static void
codes_of_enc_keys(void **state)
{
    static const struct fault_case cases[] = {
        {"400", RK_E_REJECTED, "misconfigured", "HTTP 400"},
        {"401", RK_E_AUTH, "misconfigured", "HTTP 401"},
        {"403", RK_E_AUTH, "misconfigured", "HTTP 403"},
        {"404", RK_E_REJECTED, "misconfigured", "HTTP 404"},
        {"405", RK_E_UNSUPPORTED, "misconfigured", "405"},
        {"409", RK_E_BUSY, "busy", "HTTP 409"},
        {"412", RK_E_REJECTED, "misconfigured", "HTTP 412"},
        {"429", RK_E_BUSY, "busy", "HTTP 429"},
        {"500", RK_E_BUSY, "broken-server", "HTTP 500"},
        {"502", RK_E_BUSY, "busy", "HTTP 502"},
        {"503", RK_E_BUSY, "busy", "HTTP 503"},
        {"504", RK_E_BUSY, "busy", "HTTP 504"},
        {"429:90s", RK_E_BUSY, "busy", "HTTP 429"},
    };

    (void)state;
    CHECK_FAULTS(true, cases);
}

static void
codes_of_dec_keys(void **state)
{
    static const struct fault_case cases[] = {
        {"401", RK_E_KEY_GONE, "not-involved", "HTTP 401"},
        {"403", RK_E_AUTH, "misconfigured", "HTTP 403"},
        {"404", RK_E_KEY_GONE, "key-gone", "HTTP 404"},
        {"405", RK_E_UNSUPPORTED, "misconfigured", "405"},
        {"409", RK_E_BUSY, "busy", "HTTP 409"},
        {"412", RK_E_REJECTED, "misconfigured", "HTTP 412"},
        {"429", RK_E_BUSY, "busy", "HTTP 429"},
        {"500", RK_E_BUSY, "broken-server", "HTTP 500"},
        {"502", RK_E_BUSY, "busy", "HTTP 502"},
        {"503", RK_E_BUSY, "busy", "HTTP 503"},
        {"504", RK_E_BUSY, "busy", "HTTP 504"},
        {"not-found", RK_E_KEY_GONE, "key-gone", "HTTP 400"},
        {"consumed", RK_E_KEY_GONE, "key-gone", "HTTP 400"},
    };

    (void)state;
    CHECK_FAULTS(false, cases);
}

static void
wrong_answers_of_enc_keys(void **state)
{
    static const struct fault_case cases[] = {
        {"html", RK_E_PROTOCOL, "broken-server", "HTML instead of JSON"},
        {"empty", RK_E_EMPTY, "out-of-keys", "has no key for SAE_B now"},
        {"short-key", RK_E_KEY_SIZE, "broken-server", "128 bits, 256 were asked for"},
        {"long-key", RK_E_KEY_SIZE, "broken-server", "512 bits, 256 were asked for"},
        {"twice", RK_E_PROTOCOL, "broken-server", "two keys have the same ID"},
        {"too-many", RK_OK, "ok", ""},
        {"too-few", RK_E_EMPTY, "out-of-keys", ""},
        {"base64", RK_E_PROTOCOL, "broken-server", "is not base64"},
        {"unpadded", RK_E_PROTOCOL, "broken-server", "the option lenient takes it"},
        {"key-id", RK_E_PROTOCOL, "broken-server", "the option lenient takes it so"},
        {"extensions", RK_OK, "ok", ""},
        {"untyped", RK_OK, "ok", ""},
        {"clock:-3600s", RK_OK, "ok", ""},
        {"slow:50ms", RK_OK, "ok", ""},
        {"truncated", RK_E_PROTOCOL, "broken-server", "not as ETSI GS QKD 014 says"},
        {"binary", RK_E_PROTOCOL, "broken-server", "not as ETSI GS QKD 014 says"},
        {"deep", RK_E_PROTOCOL, "broken-server", ""},
        {"huge", RK_E_PROTOCOL, "broken-server", "longer than 65536 bytes"},
        {"endless", RK_E_PROTOCOL, "broken-server", "longer than 65536 bytes"},
        {"headers", RK_E_PROTOCOL, "broken-server", "longer than"},
        {"drop", RK_E_UNKNOWN, "lost", "enc_keys was sent and no whole answer came"},
        {"reset", RK_E_UNKNOWN, "lost", "enc_keys was sent and no whole answer came"},
        {"reset-after", RK_E_UNKNOWN, "lost", "enc_keys was sent and no whole answer came"},
    };

    (void)state;
    CHECK_FAULTS(true, cases);
}

static void
wrong_answers_of_dec_keys(void **state)
{
    static const struct fault_case cases[] = {
        {"html", RK_E_PROTOCOL, "broken-server", "HTML instead of JSON"},
        {"empty", RK_E_KEY_GONE, "key-gone", "left 1 of 1 keys out"},
        {"short-key", RK_E_KEY_SIZE, "broken-server", "128 bits, 256 were asked for"},
        {"long-key", RK_E_KEY_SIZE, "broken-server", "512 bits, 256 were asked for"},
        {"wrong-id", RK_E_PROTOCOL, "broken-server", "a key that was not asked for"},
        {"twice", RK_E_PROTOCOL, "broken-server", ""},
        {"too-many", RK_E_PROTOCOL, "broken-server", "more keys than were asked for"},
        {"too-few", RK_E_KEY_GONE, "key-gone", ""},
        {"base64", RK_E_PROTOCOL, "broken-server", "is not base64"},
        {"extensions", RK_OK, "ok", ""},
        {"untyped", RK_OK, "ok", ""},
        {"truncated", RK_E_PROTOCOL, "broken-server", ""},
        {"binary", RK_E_PROTOCOL, "broken-server", ""},
        {"huge", RK_E_PROTOCOL, "broken-server", "longer than 65536 bytes"},
        {"reset", RK_E_UNKNOWN, "lost", "dec_keys was sent and no whole answer came"},
    };

    (void)state;
    CHECK_FAULTS(false, cases);
}

static void
answer_that_never_comes(void **state)
{
    static const char *const words[] = {"hang", "hang-after", "slow-loris:300ms"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        at("strict", NULL);
        assert_err("the connection is there", take(1), RK_OK);
        fault("strict", 'a', words[i]);
        budget(BRIEF_MS);
        assert_err(words[i], take(1), RK_E_UNKNOWN);
        assert_says("the budget ended");
        assert_logged("class=lost orphaned=1 wasted=0");
        fault("strict", 'a', NULL);
        budget(BUDGET_MS);
    }
}

static void
late_synchronisation(void **state)
{
    (void)state;
    at("strict", NULL);
    fault("strict", 'b', "late:250ms");
    assert_err("take", take(8), RK_OK);
    assert_err("fetch", fetch(8), RK_OK);
    assert_same(8);
    assert_logged("class=not-yet");
    fault("strict", 'b', "not-found");
    assert_err("take", take(1), RK_OK);
    fake_log_clear();
    assert_err("fetch", fetch(1), RK_E_KEY_GONE);
    assert_in_range(logged("ev=dec_keys"), 2, 4);
    fault("strict", 'b', NULL);
    assert_err("it is there later", fetch(1), RK_OK);
    assert_same(1);
}

static void
lost_answer_of_dec_keys(void **state)
{
    static const char *const once[] = {"sync-window", "0s", NULL};

    (void)state;
    at("strict", once);
    assert_err("take", take(1), RK_OK);
    fault("strict", 'b', "drop");
    assert_err("fetch", fetch(1), RK_E_UNKNOWN); /* asked twice, and not more often */
    assert_int_equal(logged("ev=dec_keys"), 2);
    fault("strict", 'b', NULL);
    assert_err("fetch", fetch(1), RK_E_KEY_GONE); /* the first answer took it */
    assert_err("take", take(1), RK_OK);
    assert_err("fetch", fetch(1), RK_OK);
    assert_logged("orphaned=1 wasted=0");
}

/* One end cannot see it: the daemon's confirm tags do. */
static void
different_bytes(void **state)
{
    (void)state;
    at("strict", NULL);
    fault("strict", 'b', "wrong-key");
    assert_err("take", take(1), RK_OK);
    assert_err("fetch", fetch(1), RK_OK);
    assert_false(fake_host.secret_use(ours[0].secret, bytes_are, theirs[0].secret));
}

static void
status_of_every_kind(void **state)
{
    static const char *const words[] = {"status-negative", "status-huge", "status-strings", "status-short"};
    struct rk_source_status st;

    (void)state;
    at("strict", NULL);
    for (size_t i = 0; i < 4; i++) {
        fault("strict", 'a', words[i]);
        assert_err(words[i], ops->status(master, &call, "SAE_B", &st), RK_OK);
        assert_int_equal(st.stored_keys, -1);
        assert_int_equal(st.max_per_request, -1);
        assert_err(words[i], take(12), RK_OK);
    }
    fault("strict", 'a', "html@status");
    assert_err("html", ops->status(master, &call, "SAE_B", &st), RK_E_PROTOCOL);
    fault("strict", 'a', NULL);
    at("poor", NULL);
    assert_true(ops->status(master, &call, "SAE_B", &st) != RK_OK);
    at("rust", NULL);
    assert_err("rust", ops->status(master, &call, "SAE_B", &st), RK_OK);
    assert_int_equal(st.max_per_request, 10);
}

static void
retry_after(void **state)
{
    (void)state;
    at("strict", NULL);
    fault("strict", 'a', "429:90s");
    assert_err("first", take(1), RK_E_BUSY);
    assert_err("second", take(1), RK_E_BUSY);
    assert_says(" it asked to be left alone for another ");
    assert_in_range(atoi(strstr(call.text, "another ") + 8), 1, 60); /* no longer than a minute */
    assert_int_equal(logged(" http="), 1);
}

static int
set_up(void **state)
{
    (void)state;
    fake_call(&call, BUDGET_MS);
    fake_log_clear();
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    drop(ours);
    drop(theirs);
    end(&master);
    end(&slave);
    fake_call_end(&call);
    fault("strict", 'a', NULL);
    fault("strict", 'b', NULL);
    return 0;
}

static int
group_up(void **state)
{
    (void)state;
    ops = etsi014_LTX_rk_plugin.ops;
    return lab_start(&lab);
}

static int
group_down(void **state)
{
    (void)state;
    lab_stop(&lab);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_kind_gives_keys),
        TEST(every_kind_by_each_method),
        TEST(consumed_key),
        TEST(unknown_key),
        TEST(replaced_key),
        TEST(stored_count_that_lies),
        TEST(other_key_sizes),
        TEST(unknown_peer),
        TEST(stranger_certificate),
        TEST(key_of_another_slave),
        TEST(every_kind_gives_several),
        TEST(pool_that_ends),
        TEST(extension_mandatory),
        TEST(extension_optional),
        TEST(additional_slaves),
        TEST(codes_of_enc_keys),
        TEST(codes_of_dec_keys),
        TEST(wrong_answers_of_enc_keys),
        TEST(wrong_answers_of_dec_keys),
        TEST(answer_that_never_comes),
        TEST(late_synchronisation),
        TEST(lost_answer_of_dec_keys),
        TEST(different_bytes),
        TEST(status_of_every_kind),
        TEST(retry_after),
    };

    return lab_can_run() ? cmocka_run_group_tests(tests, group_up, group_down) : 0;
}
