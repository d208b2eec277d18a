/* kme_api_test.c - the calls of ETSI GS QKD 014 V1.1.1, rule by rule, without a network; and the configuration. */
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

#define B_PATH(call) "/api/v1/keys/SAE_B/" call
#define A_PATH(call) "/api/v1/keys/SAE_A/" call
#define NOT_FOUND "one or more keys specified are not found on KME"

static const char pair_yaml[] =
    "kmes:\n"
    "  - id: kme-a\n    listen: 127.0.0.1:0\n    cert: a.crt\n    key: a.key\n    ca: ca.crt\n"
    "    saes: [SAE_A, SAE_D]\n"
    "    peers: [{ kme: kme-b, saes: [SAE_B, SAE_C, 'SAE E/5'] }]\n"
    "    max-key-per-request: 4\n    min-key-size: 64\n    max-key-size: 1024\n"
    "    pool: { keys: 6, refill: 2 }\n"
    "  - id: kme-b\n    listen: 127.0.0.1:0\n    cert: /b.crt\n    key: b.key\n    ca: ca.crt\n"
    "    saes: [SAE_B, SAE_C, 'SAE E/5']\n"
    "    peers: [{ kme: kme-a, saes: [SAE_A, SAE_D] }]\n";

struct lab {
    struct kme_conf_set set;
    struct kme a, b;
    struct kme_ledger *ledger;
    struct kme_answer ans;
    struct kme_fault fault;
    int64_t now_ns;
    json_t *json; /* of the last answer */
};

/* Read a configuration from text. */
static int
load(const char *yaml, struct kme_conf_set *set, char *why)
{
    char path[] = "/tmp/kme-test-XXXXXX";
    const struct kme_usual usual = {.personality = kme_personality_at(0), .seed = 1};
    int fd = mkstemp(path), err;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, yaml, strlen(yaml)), strlen(yaml));
    close(fd);
    err = kme_conf_load(path, &usual, set, why);
    unlink(path);
    return err;
}

static int
lab_up(void **state)
{
    struct lab *lab = calloc(1, sizeof *lab);
    char why[KME_CONF_TEXT_MAX];

    if (!lab || load(pair_yaml, &lab->set, why) != RK_OK)
        return -1;
    lab->ledger = kme_ledger_new();
    *state = lab;
    return !lab->ledger || kme_start(&lab->a, &lab->set.kme[0], lab->ledger, 0) ||
           kme_start(&lab->b, &lab->set.kme[1], lab->ledger, 0);
}

static int
lab_down(void **state)
{
    struct lab *lab = *state;

    json_decref(lab->json);
    kme_answer_free(&lab->ans);
    kme_stop(&lab->a);
    kme_stop(&lab->b);
    kme_ledger_free(lab->ledger);
    kme_conf_free(&lab->set);
    free(lab);
    return 0;
}

/* Exactly these faults from now on; those with a value of 1 for it. */
static void
faults(struct lab *lab, int n, ...)
{
    va_list ap;

    lab->fault = (struct kme_fault){.any = n > 0, .retry_s = -1};
    va_start(ap, n);
    for (int i = 0; i < n; i++) {
        int kind = va_arg(ap, int);

        lab->fault.on[kind] = true;
        lab->fault.value[kind] = 1;
    }
    va_end(ap);
}

struct ask {
    enum kme_method method;
    const char *caller, *path, *query, *body;
};

/* Ask a KME; the code of the answer, its body parsed in lab->json. */
static int
ask(struct lab *lab, struct kme *kme, struct ask q)
{
    const struct kme_request request = {.method = q.method, .path = q.path, .query = q.query,
                                        .body = q.body ? q.body : "", .body_len = q.body ? strlen(q.body) : 0,
                                        .caller = q.caller, .fault = lab->fault, .now_ns = lab->now_ns,
                                        .wall_ms = lab->now_ns / RK_NS_PER_MS};

    json_decref(lab->json);
    lab->json = NULL;
    kme_answer_free(&lab->ans);
    kme_answer(kme, &request, &lab->ans);
    if (lab->ans.text) {
        lab->json = json_loadb(lab->ans.text, lab->ans.len, 0, NULL);
        assert_non_null(lab->json);
    }
    return lab->ans.code;
}

static int
enc(struct lab *lab, const char *body)
{
    return ask(lab, &lab->a, (struct ask){KME_POST, "SAE_A", B_PATH("enc_keys"), NULL, body});
}

static int
enc_get(struct lab *lab, const char *query)
{
    return ask(lab, &lab->a, (struct ask){KME_GET, "SAE_A", B_PATH("enc_keys"), query, NULL});
}

static int
dec(struct lab *lab, const char *caller, const char *body)
{
    return ask(lab, &lab->b, (struct ask){KME_POST, caller, A_PATH("dec_keys"), NULL, body});
}

static const char *
message(const struct lab *lab)
{
    const char *text = json_string_value(json_object_get(lab->json, "message"));

    assert_non_null(text);
    return text;
}

static const char *
key_member(const struct lab *lab, size_t i, const char *name)
{
    const char *text =
        json_string_value(json_object_get(json_array_get(json_object_get(lab->json, "keys"), i), name));

    assert_non_null(text);
    return text;
}

static size_t
key_count(const struct lab *lab)
{
    return json_array_size(json_object_get(lab->json, "keys"));
}

/* The body of dec_keys for the keys in the last answer. */
static void
ids_body(const struct lab *lab, char *body, size_t size)
{
    size_t len = (size_t)snprintf(body, size, "{\"key_IDs\":[");

    for (size_t i = 0; i < key_count(lab); i++)
        len += (size_t)snprintf(body + len, size - len, "%s{\"key_ID\":\"%s\"}", i ? "," : "",
                                key_member(lab, i, "key_ID"));
    snprintf(body + len, size - len, "]}");
}

static json_int_t
number(const struct lab *lab, const char *name)
{
    assert_true(json_is_integer(json_object_get(lab->json, name)));
    return json_integer_value(json_object_get(lab->json, name));
}

static void
status_has_all_members(void **state)
{
    struct lab *lab = *state;
    const char *const texts[][2] = {{"source_KME_ID", "kme-a"}, {"target_KME_ID", "kme-b"},
                                    {"master_SAE_ID", "SAE_A"}, {"slave_SAE_ID", "SAE_B"}};

    assert_int_equal(ask(lab, &lab->a, (struct ask){KME_GET, "SAE_A", B_PATH("status"), NULL, NULL}), 200);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(json_string_value(json_object_get(lab->json, texts[i][0])), texts[i][1]);
    assert_int_equal(number(lab, "key_size"), 256);
    assert_int_equal(number(lab, "stored_key_count"), 6);
    assert_int_equal(number(lab, "max_key_count"), 6);
    assert_int_equal(number(lab, "max_key_per_request"), 4);
    assert_int_equal(number(lab, "max_key_size"), 1024);
    assert_int_equal(number(lab, "min_key_size"), 64);
    assert_int_equal(number(lab, "max_SAE_ID_count"), 0);
}

static void
keys_reach_the_slave_once(void **state)
{
    struct lab *lab = *state;
    char body[600], first[64], last[64];

    assert_int_equal(enc(lab, "{\"number\":3,\"size\":512}"), 200);
    assert_int_equal(key_count(lab), 3);
    assert_int_equal(strlen(key_member(lab, 0, "key")), 88); /* 64 bytes, padded base64 */
    snprintf(first, sizeof first, "%.60s", key_member(lab, 0, "key"));
    snprintf(last, sizeof last, "%.60s", key_member(lab, 2, "key"));
    assert_string_not_equal(first, last);
    ids_body(lab, body, sizeof body);
    assert_int_equal(dec(lab, "SAE_B", body), 200);
    assert_int_equal(key_count(lab), 3);
    assert_memory_equal(key_member(lab, 0, "key"), first, 60);
    assert_memory_equal(key_member(lab, 2, "key"), last, 60);
    assert_int_equal(dec(lab, "SAE_B", body), 400); /* fetched keys are gone */
    assert_string_equal(message(lab), NOT_FOUND);
}

static void
get_and_post_do_the_same(void **state)
{
    struct lab *lab = *state;
    char query[64], key[64];

    assert_int_equal(enc_get(lab, NULL), 200);
    assert_int_equal(key_count(lab), 1);
    assert_int_equal(strlen(key_member(lab, 0, "key")), 44);
    assert_int_equal(enc_get(lab, "number=2&size=128"), 200);
    assert_int_equal(key_count(lab), 2);
    assert_int_equal(strlen(key_member(lab, 1, "key")), 24);
    snprintf(key, sizeof key, "%s", key_member(lab, 1, "key"));
    snprintf(query, sizeof query, "key_ID=%s", key_member(lab, 1, "key_ID"));
    assert_int_equal(ask(lab, &lab->b, (struct ask){KME_GET, "SAE_B", A_PATH("dec_keys"), query, NULL}), 200);
    assert_string_equal(key_member(lab, 0, "key"), key);
    assert_int_equal(ask(lab, &lab->b, (struct ask){KME_GET, "SAE_B", A_PATH("dec_keys"), query, NULL}), 400);
    assert_int_equal(enc(lab, "{}"), 200);
}

static void
dec_gives_all_or_none(void **state)
{
    struct lab *lab = *state;
    char body[600], both[600], id[40];

    assert_int_equal(enc(lab, "{\"number\":1}"), 200);
    ids_body(lab, body, sizeof body);
    snprintf(id, sizeof id, "%s", key_member(lab, 0, "key_ID"));
    snprintf(both, sizeof both,
             "{\"key_IDs\":[{\"key_ID\":\"%s\"},{\"key_ID\":\"00000000-0000-4000-8000-000000000000\"}]}", id);
    assert_int_equal(dec(lab, "SAE_B", both), 400);
    assert_string_equal(message(lab), NOT_FOUND);
    snprintf(both, sizeof both, "{\"key_IDs\":[{\"key_ID\":\"%s\"},{\"key_ID\":\"%s\"}]}", id, id);
    assert_int_equal(dec(lab, "SAE_B", both), 400); /* one key cannot be given twice */
    assert_int_equal(dec(lab, "SAE_B", body), 200); /* neither took it away */
}

static void
another_slave_is_unauthorized(void **state)
{
    struct lab *lab = *state;
    char body[600];

    assert_int_equal(enc(lab, "{}"), 200);
    ids_body(lab, body, sizeof body);
    assert_int_equal(dec(lab, "SAE_C", body), 401);
    assert_null(lab->ans.text); /* 401 has no body */
    assert_int_equal(dec(lab, "SAE_A", body), 401);
    assert_int_equal(dec(lab, "SAE_X", body), 401);
    assert_int_equal(dec(lab, "", body), 401);
    assert_int_equal(ask(lab, &lab->b, (struct ask){KME_POST, "SAE_B", "/api/v1/keys/SAE_D/dec_keys", NULL, body}),
                     400);
    assert_string_equal(message(lab), NOT_FOUND); /* of another master */
    assert_int_equal(dec(lab, "SAE_B", body), 200);
}

static void
strangers_are_unauthorized(void **state)
{
    struct lab *lab = *state;
    const char *const calls[] = {B_PATH("status"), B_PATH("enc_keys"), B_PATH("dec_keys")};

    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ask(lab, &lab->a, (struct ask){KME_GET, "SAE_B", calls[i], NULL, NULL}), 401);
        assert_int_equal(ask(lab, &lab->a, (struct ask){KME_GET, "", calls[i], NULL, NULL}), 401);
    }
}

static void
key_request_is_checked(void **state)
{
    static const struct {
        const char *body, *message;
    } bad[] = {
        {"{\"size\":100}", "size shall be a multiple of 8"},
        {"{\"size\":56}", "size is out of range"},
        {"{\"size\":1032}", "size is out of range"},
        {"{\"size\":0}", "size is out of range"},
        {"{\"size\":-8}", "size is out of range"},
        {"{\"size\":9223372036854775800}", "size is out of range"},
        {"{\"size\":\"256\"}", "number and size shall be integers"},
        {"{\"number\":1.5}", "number and size shall be integers"},
        {"{\"number\":0}", "number is out of range"},
        {"{\"number\":-1}", "number is out of range"},
        {"{\"number\":5}", "number is out of range"},
        {"{\"extension_mandatory\":[{\"abc_route\":\"direct\"}]}",
         "not all extension_mandatory parameters are supported"},
        {"{\"extension_mandatory\":{}}", "extension_mandatory shall be an array"},
        {"{\"extension_optional\":1}", "extension_optional shall be an array"},
        {"{\"additional_slave_SAE_IDs\":[\"SAE_C\"]}",
         "additional_slave_SAE_IDs are not supported, max_SAE_ID_count is 0"},
        {"{\"additional_slave_SAE_IDs\":\"SAE_C\"}", "additional_slave_SAE_IDs shall be an array"},
        {"{\"key_size\":256}", "unknown parameter in the key request"},
        {"{\"number\":1,\"number\":2}", "malformed JSON"},
        {"{\"number\":1", "malformed JSON"},
        {"", "malformed JSON"},
        {"[]", "malformed JSON"},
    };
    struct lab *lab = *state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(enc(lab, bad[i].body), 400);
        assert_string_equal(message(lab), bad[i].message);
    }
    assert_int_equal(enc(lab, "{\"extension_mandatory\":[],\"additional_slave_SAE_IDs\":[],"
                              "\"extension_optional\":[{\"abc_x\":1}],\"number\":4,\"size\":64}"), 200);
    assert_int_equal(key_count(lab), 4);
}

static void
query_is_checked(void **state)
{
    static const char *const bad[] = {"number=", "number=x", "number=-1", "number=1&number=2", "size=256&key=1",
                                      "size=100", "number=99999999999999999999", "extension_mandatory=1", "number"};
    static const char *const bad_dec[] = {NULL,
                                          "",
                                          "key_id=00000000-0000-4000-8000-000000000000",
                                          "key_ID=",
                                          "key_ID=1&key_ID=2",
                                          "key_ID=%00",
                                          "key_ID=00000000-0000-4000-8000-000000000000"};
    struct lab *lab = *state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(enc_get(lab, bad[i]), 400);
        message(lab);
    }
    for (size_t i = 0; i < sizeof bad_dec / sizeof bad_dec[0]; i++) {
        assert_int_equal(ask(lab, &lab->b, (struct ask){KME_GET, "SAE_B", A_PATH("dec_keys"), bad_dec[i], NULL}), 400);
        message(lab);
    }
}

static void
key_ids_are_checked(void **state)
{
    static const char *const bad[] = {
        "{}", "{\"key_IDs\":[]}", "{\"key_IDs\":{}}", "{\"key_IDs\":[\"00000000-0000-4000-8000-000000000000\"]}",
        "{\"key_IDs\":[{\"key_id\":\"x\"}]}", "{\"key_IDs\":[{\"key_ID\":5}]}", "{\"key_IDs\":[{\"key_ID\":\"x\"}]}",
        "{\"key_IDs\":[{\"key_ID\":\"00000000-0000-4000-8000-000000000000\"}]}", "nonsense", "", "\"text\""};
    struct lab *lab = *state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(dec(lab, "SAE_B", bad[i]), 400);
        message(lab);
    }
}

static void
more_ids_than_a_request_may_have(void **state)
{
    struct lab *lab = *state;
    char body[8000];
    size_t len = (size_t)snprintf(body, sizeof body, "{\"key_IDs\":[");

    for (int i = 0; i < 129; i++)
        len += (size_t)snprintf(body + len, sizeof body - len,
                                "%s{\"key_ID\":\"00000000-0000-4000-8000-000000000%03d\"}", i ? "," : "", i);
    snprintf(body + len, sizeof body - len, "]}");
    assert_int_equal(dec(lab, "SAE_B", body), 400);
    assert_string_equal(message(lab), "more key_IDs than max_key_per_request");
}

static void
empty_pool_is_503(void **state)
{
    struct lab *lab = *state;

    assert_int_equal(enc(lab, "{\"number\":4}"), 200);
    assert_int_equal(enc(lab, "{\"number\":3}"), 503); /* two are left, and stay */
    assert_string_equal(message(lab), "not enough keys are stored");
    assert_int_equal(enc(lab, "{\"number\":1,\"size\":512}"), 200); /* as much as two of the default size */
    assert_int_equal(enc(lab, "{}"), 503);
    lab->now_ns = RK_NS_PER_S / 2;
    assert_int_equal(enc(lab, "{}"), 200);
    assert_int_equal(enc(lab, "{}"), 503);
}

static void
paths_and_methods(void **state)
{
    static const char *const nowhere[] = {"",
                                          "/",
                                          "/api/v1/keys/",
                                          "/api/v1/keys/SAE_B",
                                          "/api/v1/keys/SAE_B/",
                                          "/api/v1/keys//enc_keys",
                                          "/api/v1/keys/SAE_B/enc_keys/",
                                          "/api/v1/keys/SAE_B/x",
                                          "/api/v2/keys/SAE_B/enc_keys",
                                          "/api/v1/keys/SAE_B/ENC_KEYS"};
    struct lab *lab = *state;

    for (size_t i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++)
        assert_int_equal(ask(lab, &lab->a, (struct ask){KME_GET, "SAE_A", nowhere[i], NULL, NULL}), 404);
    assert_int_equal(ask(lab, &lab->a, (struct ask){KME_POST, "SAE_A", B_PATH("status"), NULL, "{}"}), 405);
    assert_string_equal(lab->ans.allow, "GET");
    assert_int_equal(ask(lab, &lab->a, (struct ask){KME_OTHER, "SAE_A", B_PATH("enc_keys"), NULL, NULL}), 405);
    assert_string_equal(lab->ans.allow, "GET, POST");
}

static void
sae_ids_are_url_encoded(void **state)
{
    struct lab *lab = *state;

    assert_int_equal(ask(lab, &lab->a, (struct ask){KME_GET, "SAE_A", "/api/v1/keys/SAE%20E%2f5/status", NULL, NULL}),
                     200);
    assert_string_equal(json_string_value(json_object_get(lab->json, "slave_SAE_ID")), "SAE E/5");
    assert_int_equal(ask(lab, &lab->a, (struct ask){KME_GET, "SAE_A", "/api/v1/keys/SAE_%42/status", NULL, NULL}), 200);
    assert_int_equal(ask(lab, &lab->a, (struct ask){KME_GET, "SAE_A", "/api/v1/keys/SAE_B%00/status", NULL, NULL}),
                     400);
    assert_int_equal(ask(lab, &lab->a, (struct ask){KME_GET, "SAE_A", "/api/v1/keys/SAE+E%2f5/status", NULL, NULL}),
                     400);
    assert_int_equal(ask(lab, &lab->a, (struct ask){KME_GET, "SAE_A", "/api/v1/keys/%ff%fe/status", NULL, NULL}), 400);
    message(lab);
    assert_int_equal(ask(lab, &lab->a, (struct ask){KME_GET, "SAE_A", "/api/v1/keys/SAE_A/status", NULL, NULL}), 400);
}

/* A restarted KME knows the IDs of before, when the secret is the same: it needs no memory for that. */
static void
restarted_kme_gives_keys_of_before(void **state)
{
    struct lab *lab = *state;
    char body[600], key[64];

    assert_int_equal(enc(lab, "{}"), 200);
    ids_body(lab, body, sizeof body);
    snprintf(key, sizeof key, "%s", key_member(lab, 0, "key"));
    kme_stop(&lab->a);
    assert_int_equal(kme_start(&lab->a, &lab->set.kme[0], lab->ledger, 0), RK_OK);
    kme_stop(&lab->b);
    assert_int_equal(kme_start(&lab->b, &lab->set.kme[1], lab->ledger, 0), RK_OK);
    assert_int_equal(dec(lab, "SAE_B", body), 200);
    assert_string_equal(key_member(lab, 0, "key"), key);
}

static void
note_holds_no_key(void **state)
{
    struct lab *lab = *state;
    char body[600];

    assert_int_equal(enc(lab, "{}"), 200);
    assert_null(strstr(lab->ans.note, key_member(lab, 0, "key")));
    assert_non_null(strstr(lab->ans.note, key_member(lab, 0, "key_ID")));
    ids_body(lab, body, sizeof body);
    assert_int_equal(dec(lab, "SAE_B", body), 200);
    assert_null(strstr(lab->ans.note, key_member(lab, 0, "key")));
}

static void
faults_of_keys(void **state)
{
    struct lab *lab = *state;
    char body[600], id[40], key[64];

    assert_int_equal(enc(lab, "{}"), 200);
    ids_body(lab, body, sizeof body);
    snprintf(id, sizeof id, "%s", key_member(lab, 0, "key_ID"));
    snprintf(key, sizeof key, "%s", key_member(lab, 0, "key"));
    faults(lab, 1, KME_F_NOT_FOUND);
    assert_int_equal(dec(lab, "SAE_B", body), 400);
    assert_string_equal(message(lab), NOT_FOUND);
    faults(lab, 1, KME_F_EMPTY);
    assert_int_equal(dec(lab, "SAE_B", body), 200);
    assert_int_equal(key_count(lab), 0);
    faults(lab, 2, KME_F_WRONG_KEY, KME_F_WRONG_ID); /* after faults that leave the key where it is */
    assert_int_equal(dec(lab, "SAE_B", body), 200);
    assert_int_equal(strlen(key_member(lab, 0, "key")), 44);
    assert_string_not_equal(key_member(lab, 0, "key"), key);
    assert_string_not_equal(key_member(lab, 0, "key_ID"), id);
    faults(lab, 1, KME_F_SHORT_KEY);
    assert_int_equal(enc(lab, "{}"), 200);
    assert_int_equal(strlen(key_member(lab, 0, "key")), 24);
    faults(lab, 1, KME_F_LONG_KEY);
    assert_int_equal(enc(lab, "{\"number\":4}"), 200);
    assert_int_equal(strlen(key_member(lab, 3, "key")), 88);
}

static void
faults_of_calls(void **state)
{
    const struct {
        enum kme_fault_kind kind;
        int status, enc, dec;
    } rows[] = {{KME_F_REFUSE, 503, 503, 503}, {KME_F_UNAUTHORIZED, 401, 401, 401}, {KME_F_NOT_FOUND, 200, 200, 400}};
    struct lab *lab = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        faults(lab, 1, rows[i].kind);
        assert_int_equal(ask(lab, &lab->a, (struct ask){KME_GET, "SAE_A", B_PATH("status"), NULL, NULL}),
                         rows[i].status);
        assert_int_equal(enc(lab, "{}"), rows[i].enc);
        assert_int_equal(dec(lab, "SAE_B", "{\"key_IDs\":[]}"), rows[i].dec);
    }
}

/* One KME of a file, with one line of it replaced or added. */
static int
load_with(const char *line, char *why)
{
    struct kme_conf_set set;
    char yaml[1000];
    int err;

    snprintf(yaml, sizeof yaml,
             "kmes:\n  - id: k\n    cert: a\n    key: b\n    ca: c\n    saes: [S]\n"
             "    listen: 127.0.0.1:1\n    peers: [{ kme: k, saes: [S] }]\n    %s\n", line);
    err = load(yaml, &set, why);
    if (!err)
        kme_conf_free(&set);
    return err;
}

static void
config_errors_name_line_and_remedy(void **state)
{
    static const struct {
        const char *line, *why;
    } bad[] = {
        {"key-sise: 256", ":9: 'key-sise' is not known in an entry of kmes; did you mean 'key-size'?"},
        {"key-size: 257", ":2: key sizes of k are in bits, multiples of 8"},
        {"key-size: 8", ":2: k needs min-key-size <= key-size <= max-key-size"},
        {"key-size: 2k", ":9: key-size must be a number from 8 to 65280"},
        {"max-key-size: 65288", ":9: max-key-size must be a number from 8 to 65280"},
        {"max-key-per-request: 0", ":9: max-key-per-request must be a number from 1 to 1024"},
        {"id: k", ":9: 'id' is there twice"},
        {"pool: 5", ":9: pool must be a map"},
        {"pool: { refill: 5 }", ":9: 'keys' is missing in pool"},
        {"fault: smoke", ":9: fault 'smoke' is not known"},
        {"fault-file: [a]", ":9: must be the path of a file"},
        {"fault: [", ":10: YAML: "},
    };
    char why[KME_CONF_TEXT_MAX];

    (void)state;
    assert_int_equal(load_with("key-size: 128", why), RK_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(load_with(bad[i].line, why), RK_E_CONFIG);
        if (!strstr(why, bad[i].why))
            fail_msg("'%s' gave: %s", bad[i].line, why);
    }
}

static void
config_of_pairs(void **state)
{
#define ONE(id, saes, peers)                                                                                           \
    "  - { id: " id ", listen: '127.0.0.1:1', cert: a, key: a, ca: a, saes: " saes ", peers: " peers " }\n"
    static const struct {
        const char *yaml, *why;
    } bad[] = {
        {ONE("a", "[A]", "[{kme: b, saes: [B]}]"), ":2: b is not in this file: name a pair-secret file"},
        {ONE("a", "[A]", "[{kme: b, saes: [B], pair-secret: /nonexistent}]"),
         ":2: pair-secret /nonexistent cannot be read"},
        {ONE("a", "[A]", "[{kme: b, saes: [B]}]") ONE("b", "[B]", "[{kme: b, saes: [B]}]"),
         ":2: a names b as peer, but not the other way round"},
        {ONE("a", "[A]", "[{kme: b, saes: [C]}]") ONE("b", "[B]", "[{kme: a, saes: [A]}]"),
         ":2: SAE 'C' is not among the saes of b"},
        {ONE("a", "[A]", "[{kme: b, saes: [B], pair-secret: x}]") ONE("b", "[B]", "[{kme: a, saes: [A]}]"),
         ":2: name the pair-secret of a and b at both or at none"},
        {ONE("a", "[A]", "[{kme: a, saes: [A]}, {kme: a, saes: [A]}]"), ":2: peer a of a is there twice"},
        {ONE("a", "[A]", "[{kme: a, saes: [A]}]") ONE("a", "[A]", "[{kme: a, saes: [A]}]"), ":3: KME a is there twice"},
        {ONE("a", "[A, A]", "[{kme: a, saes: [A]}]"), ":2: SAE ID 'A' is there twice"},
        {ONE("a", "[]", "[{kme: a, saes: [A]}]"), ":2: SAE IDs must be a list of 1 to 1000"},
        {ONE("a b", "[A]", "[{kme: a, saes: [A]}]"), ":2: a KME ID is"},
        {ONE("a", "[A]", "[]"), ":2: peers must be a list of 1 to 16"},
        {"  - { id: a }\n", ":2: 'listen' is missing in an entry of kmes"},
        {"  - { id: a, listen: 8443 }\n", ":2: listen must be ADDRESS:PORT"},
        {"  - { id: a, listen: '127.0.0.1:70000' }\n", ":2: listen must be ADDRESS:PORT"},
        {"  - x\n", ":2: an entry of kmes must be a map"},
        {"  {}\n", ":2: kmes must be a list of 1 to 16"},
    };
    const struct kme_usual usual = {.personality = kme_personality_at(0)};
    struct kme_conf_set set;
    char why[KME_CONF_TEXT_MAX], yaml[1000];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(yaml, sizeof yaml, "kmes:\n%s", bad[i].yaml);
        assert_int_equal(load(yaml, &set, why), RK_E_CONFIG);
        if (!strstr(why, bad[i].why))
            fail_msg("%s gave: %s", bad[i].yaml, why);
        assert_int_equal(set.n, 0);
    }
    assert_int_equal(load("", &set, why), RK_E_CONFIG);
    assert_int_equal(kme_conf_load("/nonexistent", &usual, &set, why), RK_E_CONFIG);
    assert_non_null(strstr(why, "/nonexistent: No such file"));
}

static void
config_gives_pairs_one_secret_and_paths_a_folder(void **state)
{
    struct lab *lab = *state;
    const struct kme_conf *a = &lab->set.kme[0], *b = &lab->set.kme[1];

    assert_memory_equal(&a->peers[0].secret, &b->peers[0].secret, sizeof a->peers[0].secret);
    assert_string_equal(a->cert, "/tmp/a.crt");
    assert_string_equal(b->cert, "/b.crt");
    assert_int_equal(b->max_per_request, 128);
    assert_int_equal(b->pool.keys, 10000);
}

int
main(void)
{
#define LAB(f) cmocka_unit_test_setup_teardown(f, lab_up, lab_down)
    const struct CMUnitTest tests[] = {
        LAB(status_has_all_members),
        LAB(keys_reach_the_slave_once),
        LAB(get_and_post_do_the_same),
        LAB(dec_gives_all_or_none),
        LAB(another_slave_is_unauthorized),
        LAB(strangers_are_unauthorized),
        LAB(key_request_is_checked),
        LAB(query_is_checked),
        LAB(key_ids_are_checked),
        LAB(more_ids_than_a_request_may_have),
        LAB(empty_pool_is_503),
        LAB(paths_and_methods),
        LAB(sae_ids_are_url_encoded),
        LAB(restarted_kme_gives_keys_of_before),
        LAB(note_holds_no_key),
        LAB(faults_of_keys),
        LAB(faults_of_calls),
        cmocka_unit_test(config_errors_name_line_and_remedy),
        cmocka_unit_test(config_of_pairs),
        LAB(config_gives_pairs_one_secret_and_paths_a_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
