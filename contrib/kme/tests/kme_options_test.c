/* kme_options_test.c - what a configuration can switch on: multicast, extensions, key rates, pools, the call status.
 *
 * Without a network: requests go to kme_answer, and the time is a parameter.
 */
#include <contrib/kme/api.h>

#include <core/base/clock.h>
#include <rekey/err.h>

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NOT_FOUND "one or more keys specified are not found on KME"

/* Three KMEs; %s: more of kme-a. */
static const char three[] =
    "kmes:\n"
    "  - { id: kme-a, listen: '127.0.0.1:0', cert: a, key: a, ca: a, saes: [SAE_A], %s\n"
    "      peers: [{ kme: kme-b, saes: [SAE_B, SAE_C] }, { kme: kme-d, saes: [SAE_D] }] }\n"
    "  - { id: kme-b, listen: '127.0.0.1:0', cert: a, key: a, ca: a, saes: [SAE_B, SAE_C],\n"
    "      peers: [{ kme: kme-a, saes: [SAE_A] }] }\n"
    "  - { id: kme-d, listen: '127.0.0.1:0', cert: a, key: a, ca: a, saes: [SAE_D],\n"
    "      peers: [{ kme: kme-a, saes: [SAE_A] }] }\n";

struct lab {
    struct kme_conf_set set;
    struct kme kme[3];
    struct kme_ledger *ledger;
    struct kme_answer ans;
    struct kme_fault fault;
    int64_t now_ns;
    json_t *json;
};

enum { A, B, D };

static void
lab_up(struct lab *lab, const char *more)
{
    const struct kme_usual usual = {.personality = kme_personality_at(0), .seed = 1};
    char path[] = "/tmp/kme-test-XXXXXX", yaml[2000], why[KME_CONF_TEXT_MAX];
    int fd = mkstemp(path), len = snprintf(yaml, sizeof yaml, three, more);

    *lab = (struct lab){.now_ns = 0};
    assert_true(fd >= 0 && len < (int)sizeof yaml);
    assert_int_equal(write(fd, yaml, (size_t)len), len);
    close(fd);
    if (kme_conf_load(path, &usual, &lab->set, why) != RK_OK)
        fail_msg("%s", why);
    unlink(path);
    lab->ledger = kme_ledger_new();
    assert_non_null(lab->ledger);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(kme_start(&lab->kme[i], &lab->set.kme[i], lab->ledger, 0), RK_OK);
}

static void
lab_down(struct lab *lab)
{
    json_decref(lab->json);
    kme_answer_free(&lab->ans);
    for (size_t i = 0; i < 3; i++)
        kme_stop(&lab->kme[i]);
    kme_ledger_free(lab->ledger);
    kme_conf_free(&lab->set);
}

struct ask {
    int kme;
    const char *caller, *path, *body; /* body NULL: GET */
};

static int
ask(struct lab *lab, struct ask q)
{
    char path[200];
    const struct kme_request request = {.method = q.body ? KME_POST : KME_GET, .path = path,
                                        .body = q.body ? q.body : "", .body_len = q.body ? strlen(q.body) : 0,
                                        .caller = q.caller, .fault = lab->fault, .now_ns = lab->now_ns,
                                        .wall_ms = lab->now_ns / RK_NS_PER_MS};

    snprintf(path, sizeof path, "/api/v1/keys/%s", q.path);
    json_decref(lab->json);
    kme_answer_free(&lab->ans);
    kme_answer(&lab->kme[q.kme], &request, &lab->ans);
    lab->json = lab->ans.text ? json_loadb(lab->ans.text, lab->ans.len, 0, NULL) : NULL;
    return lab->ans.code;
}

static int
enc(struct lab *lab, const char *body)
{
    return ask(lab, (struct ask){A, "SAE_A", "SAE_B/enc_keys", body});
}

static const char *
message(const struct lab *lab)
{
    const char *text = json_string_value(json_object_get(lab->json, "message"));

    assert_non_null(text);
    return text;
}

static void
refused(struct lab *lab, const char *body, const char *why)
{
    assert_int_equal(enc(lab, body), 400);
    assert_string_equal(message(lab), why);
}

static const char *
first_key(const struct lab *lab, const char *name)
{
    const char *text = json_string_value(json_object_get(json_array_get(json_object_get(lab->json, "keys"), 0), name));

    assert_non_null(text);
    return text;
}

static json_int_t
number(struct lab *lab, const char *path, const char *name)
{
    assert_int_equal(ask(lab, (struct ask){A, "SAE_A", path, NULL}), 200);
    return json_integer_value(json_object_get(lab->json, name));
}

static void
multicast_key_is_fetched_by_all_its_slaves(void **state)
{
    static const struct {
        int kme;
        const char *sae;
    } slaves[] = {{B, "SAE_B"}, {B, "SAE_C"}, {D, "SAE_D"}};
    struct lab lab;
    char body[200], key[64];

    (void)state;
    lab_up(&lab, "max-sae-id-count: 2,");
    assert_int_equal(number(&lab, "SAE_B/status", "max_SAE_ID_count"), 2);
    assert_int_equal(enc(&lab, "{\"additional_slave_SAE_IDs\":[\"SAE_C\",\"SAE_D\"]}"), 200);
    snprintf(body, sizeof body, "{\"key_IDs\":[{\"key_ID\":\"%s\"}]}", first_key(&lab, "key_ID"));
    snprintf(key, sizeof key, "%s", first_key(&lab, "key"));
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ask(&lab, (struct ask){slaves[i].kme, slaves[i].sae, "SAE_A/dec_keys", body}), 200);
        assert_string_equal(first_key(&lab, "key"), key);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ask(&lab, (struct ask){slaves[i].kme, slaves[i].sae, "SAE_A/dec_keys", body}), 400);
        assert_string_equal(message(&lab), NOT_FOUND);
    }
    lab_down(&lab);
}

static void
multicast_key_is_not_for_others(void **state)
{
    static const char unknown[] = "one of additional_slave_SAE_IDs is not known on this KME";
    struct lab lab;
    char body[200];

    (void)state;
    lab_up(&lab, "max-sae-id-count: 2,");
    assert_int_equal(enc(&lab, "{\"additional_slave_SAE_IDs\":[\"SAE_D\"]}"), 200);
    snprintf(body, sizeof body, "{\"key_IDs\":[{\"key_ID\":\"%s\"}]}", first_key(&lab, "key_ID"));
    assert_int_equal(ask(&lab, (struct ask){B, "SAE_C", "SAE_A/dec_keys", body}), 401);
    assert_int_equal(ask(&lab, (struct ask){D, "SAE_D", "SAE_A/dec_keys", body}), 200);
    refused(&lab, "{\"additional_slave_SAE_IDs\":[\"SAE_X\"]}", unknown);
    refused(&lab, "{\"additional_slave_SAE_IDs\":[\"SAE_B\"]}", unknown);
    refused(&lab, "{\"additional_slave_SAE_IDs\":[\"SAE_C\",\"SAE_D\",\"SAE_C\"]}",
            "more additional_slave_SAE_IDs than max_SAE_ID_count");
    refused(&lab, "{\"additional_slave_SAE_IDs\":[5]}", "each of additional_slave_SAE_IDs shall be an SAE ID");
    lab_down(&lab);
}

static void
extensions_are_supported_by_name_and_value(void **state)
{
    static const char unsupported[] = "not all extension_mandatory parameters are supported",
                      unmet[] = "not all extension_mandatory request options could be met";
    struct lab lab;

    (void)state;
    lab_up(&lab, "extensions: [abc_any, abc_route=direct],");
    assert_int_equal(enc(&lab, "{\"extension_mandatory\":[{\"abc_any\":{\"x\":1}},{\"abc_route\":\"direct\"}]}"), 200);
    assert_int_equal(enc(&lab, "{\"extension_mandatory\":[{\"abc_any\":1,\"abc_route\":\"direct\"}]}"), 200);
    refused(&lab, "{\"extension_mandatory\":[{\"abc_route\":\"relay\"}]}", unmet);
    refused(&lab, "{\"extension_mandatory\":[{\"abc_route\":1}]}", unmet);
    refused(&lab, "{\"extension_mandatory\":[{\"abc_any\":1},{\"abc_rout\":\"direct\"}]}", unsupported);
    refused(&lab, "{\"extension_mandatory\":[{\"abc_any\":1,\"abc_other\":1}]}", unsupported);
    refused(&lab, "{\"extension_mandatory\":[\"abc_any\"]}", "an extension shall be an object");
    assert_int_equal(enc(&lab, "{\"extension_optional\":[{\"abc_other\":1}]}"), 200);
    lab_down(&lab);
}

static void
optional_extensions_may_be_refused(void **state)
{
    static const char unhandled[] = "not all extension_optional request options handled";
    struct lab lab;

    (void)state;
    lab_up(&lab, "extensions: [abc_route=direct], extension-optional: refuse,");
    assert_int_equal(enc(&lab, "{\"extension_optional\":[{\"abc_route\":\"direct\"}]}"), 200);
    refused(&lab, "{\"extension_optional\":[{\"abc_route\":\"relay\"}]}", unhandled);
    refused(&lab, "{\"extension_optional\":[{\"abc_other\":1}]}", unhandled);
    lab_down(&lab);
}

static void
key_rate_in_bits(void **state)
{
    struct lab lab;

    (void)state;
    lab_up(&lab, "pool: { keys: 10, start: 0, rate: 1000 },");
    assert_int_equal(enc(&lab, "{}"), 503);
    lab.now_ns = 255 * RK_NS_PER_MS;
    assert_int_equal(enc(&lab, "{}"), 503);
    lab.now_ns = 256 * RK_NS_PER_MS; /* 256 bits */
    assert_int_equal(enc(&lab, "{}"), 200);
    assert_int_equal(enc(&lab, "{}"), 503);
    lab.now_ns += 128 * RK_NS_PER_MS;
    assert_int_equal(enc(&lab, "{\"size\":128}"), 200); /* a short key costs less */
    lab.now_ns += 60 * RK_NS_PER_S;
    assert_int_equal(number(&lab, "SAE_B/status", "stored_key_count"), 10);
    assert_int_equal(number(&lab, "SAE_B/status", "max_key_count"), 10);
    lab_down(&lab);
}

static void
pool_is_shared_or_not(void **state)
{
    static const struct {
        const char *more;
        int same_kme; /* what another SAE of the same peer finds when one took all */
    } rows[] = {{"pool: { keys: 2 },", 503},
                {"pool: { keys: 2, per: kme },", 503},
                {"pool: { keys: 2, per: sae },", 200}};
    struct lab lab;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        lab_up(&lab, rows[i].more);
        assert_int_equal(enc(&lab, "{\"number\":2}"), 200);
        assert_int_equal(enc(&lab, "{}"), 503);
        assert_int_equal(ask(&lab, (struct ask){A, "SAE_A", "SAE_C/enc_keys", "{}"}), rows[i].same_kme);
        assert_int_equal(ask(&lab, (struct ask){A, "SAE_A", "SAE_D/enc_keys", "{}"}), 200);
        lab_down(&lab);
    }
}

static void
status_may_be_missing_or_needed(void **state)
{
    struct lab lab;

    (void)state;
    lab_up(&lab, "status: none,");
    assert_int_equal(ask(&lab, (struct ask){A, "SAE_A", "SAE_B/status", NULL}), 404);
    assert_int_equal(enc(&lab, "{}"), 200);
    lab_down(&lab);
    lab_up(&lab, "status: first,");
    assert_int_equal(enc(&lab, "{}"), 412);
    assert_int_equal(ask(&lab, (struct ask){A, "SAE_A", "SAE_C/status", NULL}), 200);
    assert_int_equal(enc(&lab, "{}"), 412); /* that was another pair */
    assert_int_equal(ask(&lab, (struct ask){A, "SAE_A", "SAE_B/status", NULL}), 200);
    assert_int_equal(enc(&lab, "{}"), 200);
    lab_down(&lab);
}

static void
late_keys_come(void **state)
{
    struct lab lab;
    char body[200];

    (void)state;
    lab_up(&lab, "");
    lab.now_ns = 1000 * RK_NS_PER_S;
    assert_int_equal(enc(&lab, "{}"), 200);
    snprintf(body, sizeof body, "{\"key_IDs\":[{\"key_ID\":\"%s\"}]}", first_key(&lab, "key_ID"));
    lab.fault = (struct kme_fault){.any = true, .on[KME_F_LATE] = true, .value[KME_F_LATE] = 400};
    lab.now_ns += 399 * RK_NS_PER_MS;
    assert_int_equal(ask(&lab, (struct ask){B, "SAE_B", "SAE_A/dec_keys", body}), 400);
    assert_string_equal(message(&lab), NOT_FOUND);
    lab.now_ns += RK_NS_PER_MS;
    assert_int_equal(ask(&lab, (struct ask){B, "SAE_B", "SAE_A/dec_keys", body}), 200);
    lab_down(&lab);
}

static int
load_with(const char *line, const struct kme_usual *usual, struct kme_conf_set *set, char *why)
{
    char path[] = "/tmp/kme-test-XXXXXX", yaml[2000];
    int fd = mkstemp(path), len = snprintf(yaml, sizeof yaml, three, line), err;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, yaml, (size_t)len), len);
    close(fd);
    err = kme_conf_load(path, usual, set, why);
    unlink(path);
    return err;
}

static void
wrong_options_are_told(void **state)
{
    static const char *const bad[][2] = {
        {"personality: rusty,", ":2: personality must be one of rekey-kme --list-personalities"},
        {"sae-ids: odd,", ":2: sae-ids must be any or integer"},
        {"status: maybe,", ":2: status must be offered, first or none"},
        {"key-id-name: id,", ":2: key-id-name must be key_ID, key_id or keyId"},
        {"extensions: x,", ":2: extensions must be a list of 1 to 32"},
        {"extensions: [x, x],", ":2: extension 'x' is there twice"},
        {"extension-optional: no,", ":2: extension-optional must be ignore or refuse"},
        {"max-sae-id-count: 65,", ":2: max-sae-id-count must be a number from 0 to 64"},
        {"pool: { keys: 1, rate: 5, refill: 5 },", ":2: a pool has refill, in keys per second, or rate, in bits"},
        {"pool: { keys: 1, start: 2 },", ":2: start is more than keys"},
        {"pool: { keys: 1, per: link },", ":2: per must be kme or sae"},
        {"fault: expired,", ":2: kme-a needs cert-expired and cert-future for those faults: make-certs --dates"},
        {"fault: 'slow:1h',", ":2: fault 'slow:1h' has a wrong value"},
        {"personality: rust-like, key-size: 128,", ":2: kme-a needs min-key-size <= key-size <= max-key-size"},
    };
    const struct kme_usual usual = {.personality = kme_personality_at(0)};
    struct kme_conf_set set;
    char why[KME_CONF_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(load_with(bad[i][0], &usual, &set, why), RK_E_CONFIG);
        if (!strstr(why, bad[i][1]))
            fail_msg("'%s' gave: %s", bad[i][0], why);
    }
}

/* The command line is for those that have no word of their own; --fail is for all. */
static void
command_line_and_file(void **state)
{
    struct kme_faults html = {.n = 0};
    struct kme_usual usual = {.personality = kme_personality_find("mock-like"), .faults = &html, .seed = 5};
    struct kme_conf_set set;
    char why[KME_CONF_TEXT_MAX];

    (void)state;
    assert_int_equal(kme_faults_parse("html", &html, why), RK_OK);
    assert_int_equal(load_with("max-key-per-request: 3, personality: rust-like, fault: drop,", &usual, &set, why),
                     RK_OK);
    assert_string_equal(set.kme[0].personality->name, "rust-like");
    assert_int_equal(set.kme[0].max_per_request, 3);
    assert_string_equal(set.kme[1].personality->name, "mock-like");
    assert_int_equal(set.kme[1].max_per_request, 1);
    assert_int_equal(set.kme[1].min_key_bits, 256);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(set.kme[i].faults.n, 1);
        assert_int_equal(set.kme[i].faults.word[0].kind, KME_F_HTML);
        assert_int_equal(set.kme[i].seed, 5);
    }
    kme_conf_free(&set);
}

static void
what_waits_must_be_known(void **state)
{
    static const char alone[] = "kmes:\n"
                                "  - { id: a, listen: '127.0.0.1:1', cert: a, key: a, ca: a, saes: [A],\n"
                                "      peers: [{ kme: b, saes: [B], pair-secret: x }], personality: next-door-like }\n";
    const struct kme_usual usual = {.personality = kme_personality_at(0)};
    struct kme_conf_set set;
    char path[] = "/tmp/kme-test-XXXXXX", why[KME_CONF_TEXT_MAX];
    FILE *f = fdopen(mkstemp(path), "w");

    (void)state;
    assert_non_null(f);
    assert_true(fputs(alone, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(kme_conf_load(path, &usual, &set, why), RK_E_CONFIG);
    assert_non_null(strstr(why, ":3: b is not in this file: a KME that is next-door-like has to know what waits"));
    unlink(path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(multicast_key_is_fetched_by_all_its_slaves),
        cmocka_unit_test(multicast_key_is_not_for_others),
        cmocka_unit_test(extensions_are_supported_by_name_and_value),
        cmocka_unit_test(optional_extensions_may_be_refused),
        cmocka_unit_test(key_rate_in_bits),
        cmocka_unit_test(pool_is_shared_or_not),
        cmocka_unit_test(status_may_be_missing_or_needed),
        cmocka_unit_test(late_keys_come),
        cmocka_unit_test(wrong_options_are_told),
        cmocka_unit_test(command_line_and_file),
        cmocka_unit_test(what_waits_must_be_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
