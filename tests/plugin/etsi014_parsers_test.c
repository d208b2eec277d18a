/* etsi014_parsers_test.c - the readers of status and error bodies on right, quirky and hostile texts. */
#include "plugins/source/etsi014/error.h"
#include "plugins/source/etsi014/jtext.h"
#include "plugins/source/etsi014/status.h"

#include <rekey/err.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WHOLE                                                                                                          \
    "{\"source_KME_ID\":\"KME_A\",\"target_KME_ID\":\"KME_B\",\"master_SAE_ID\":\"A\",\"slave_SAE_ID\":\"B\","         \
    "\"key_size\":256,\"stored_key_count\":7,\"max_key_count\":100,\"max_key_per_request\":20,\"max_key_size\":1024,"  \
    "\"min_key_size\":64,\"max_SAE_ID_count\":0,\"status_extension\":{\"a\":[{\"key_size\":1}]}}"

static struct status st;
static const char *why;
static char message[41];
static char *body; /* exactly as long as the text, so that a sanitizer sees a step too far */

static size_t
load(const char *text)
{
    size_t len = strlen(text);

    free(body);
    body = malloc(len ? len : 1);
    assert_non_null(body);
    memcpy(body, text, len);
    return len;
}

static int
read_status(const char *text)
{
    size_t len = load(text);

    memset(&st, 0x5a, sizeof st);
    return status_read(body, len, &st, &why);
}

static void
whole_status(void **state)
{
    (void)state;
    assert_int_equal(read_status(WHOLE), RK_OK);
    assert_null(why);
    assert_int_equal(st.key_bits, 256);
    assert_int_equal(st.min_bits, 64);
    assert_int_equal(st.max_bits, 1024);
    assert_int_equal(st.stored, 7);
    assert_int_equal(st.capacity, 100);
    assert_int_equal(st.max_per_request, 20);
    assert_int_equal(st.max_saes, 0);
    assert_string_equal(st.source_kme, "KME_A");
    assert_string_equal(st.target_kme, "KME_B");
    assert_string_equal(st.master_sae, "A");
    assert_string_equal(st.slave_sae, "B");
}

static void
status_of_liars(void **state)
{
    static const struct {
        const char *value;
        int64_t stored;
    } cases[] = {
        {"0", 0},
        {"999999999999999999", 999999999999999999},
        {"1000000000000000000", -1},
        {"-1", -1},
        {"1.0", -1},
        {"1e3", -1},
        {"\"12\"", -1},
        {"null", -1},
        {"true", -1},
        {"[1,2]", -1},
        {"{\"stored_key_count\":3}", -1},
        {"99999999999999999999999999", -1},
        {" \t 8 \r\n ", 8},
        {"-0", -1},
    };
    char text[200];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(text, sizeof text, "{\"source_KME_ID\":5,\"stored_key_count\":%s,\"key_size\":256}", cases[i].value);
        assert_int_equal(read_status(text), RK_OK);
        assert_int_equal(st.stored, cases[i].stored);
        assert_int_equal(st.key_bits, 256);
        assert_int_equal(st.max_per_request, -1);
        assert_string_equal(st.source_kme, "");
    }
}

static void
names_are_printable(void **state)
{
    (void)state;
    assert_int_equal(read_status("{\"source_KME_ID\":\"a b\\n\\u00e9\\\"\xc3\xa9|\",\"target_KME_ID\":"
                                 "\"0123456789012345678901234567890123456789012345678901234567890123x\"}"),
                     RK_OK);
    assert_string_equal(st.source_kme, "a?b?"
                                       "?"
                                       "?"
                                       "??|");
    assert_string_equal(st.target_kme, "0123456789012345678901234567890123456789012345678901234567890123");
}

static void
no_status(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "[]",
        "7",
        "hello",
        "<html>",
        "{",
        "{}x",
        "{\"key_size\":256,}",
        "{\"key_size\":}",
        "{\"key_size\":256,\"key_size\":256}",
        "{\"source_KME_ID\":\"a\",\"source_KME_ID\":\"a\"}",
        "{\"stored_key_count\":00}",
        "{\"source_KME_ID\":\"a",
        "{\"x\":[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (read_status(texts[i]) != RK_E_PROTOCOL)
            fail_msg("taken: %s", texts[i]);
        assert_non_null(why);
        assert_int_equal(st.key_bits, -1);
        assert_int_equal(st.stored, -1);
        assert_string_equal(st.source_kme, "");
    }
}

/* Every beginning of a status is refused, and read no further than it goes. */
static void
cut_status(void **state)
{
    char text[sizeof WHOLE];

    (void)state;
    for (size_t len = 0; len < sizeof WHOLE - 1; len++) {
        memcpy(text, WHOLE, len);
        text[len] = '\0';
        assert_int_equal(read_status(text), RK_E_PROTOCOL);
    }
}

static enum error_kind
read_error(const char *text)
{
    size_t len = load(text);

    memset(message, 'x', sizeof message);
    return error_read(body, len, message, sizeof message);
}

static void
messages(void **state)
{
    static const struct {
        const char *text;
        enum error_kind kind;
        const char *message;
    } cases[] = {
        {"{\"message\":\"not found\",\"details\":[{\"message\":\"x\"}]}", ERROR_JSON, "not found"},
        {" {\n \"details\" : [ ] , \"message\" : \"a\\/b\\u0041\\n\" } ", ERROR_JSON, "a/bA?"},
        {"{\"message\":\"say \\\"no\\\"\"}", ERROR_JSON, "say 'no'"},
        {"{\"error\":\"no such key\",\"code\":404}", ERROR_JSON, "no such key"},
        {"{\"detail\":\"Not authenticated\"}", ERROR_JSON, "Not authenticated"},
        {"{\"error\":\"short\",\"message\":\"the right one\"}", ERROR_JSON, "the right one"},
        {"{\"message\":\"the right one\",\"error\":\"short\"}", ERROR_JSON, "the right one"},
        {"{\"message\":5}", ERROR_JSON, ""},
        {"{}", ERROR_JSON, ""},
        {"", ERROR_NOTHING, ""},
        {" \r\n\t", ERROR_NOTHING, ""},
        {"<!DOCTYPE html>", ERROR_HTML, ""},
        {"\n  <html><body>key</body>", ERROR_HTML, ""},
        {"key not found\nstack trace", ERROR_OTHER, "key not found"},
        {"  method\tnot allowed\r\n", ERROR_OTHER, "method?not allowed"},
        {"{\"message\":\"cut", ERROR_OTHER, ""},
        {"[\"a\"]", ERROR_OTHER, ""},
        {"{\"message\":\"a\"} {\"message\":\"b\"}", ERROR_OTHER, ""},
        {"{\"message\":\"0123456789 0123456789 0123456789 0123456789\"}", ERROR_JSON,
         "0123456789 0123456789 0123456789 0123456"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum error_kind kind = read_error(cases[i].text);

        if (kind != cases[i].kind || strcmp(message, cases[i].message) != 0)
            fail_msg("%s: %d \"%s\"", cases[i].text, kind, message);
    }
}

static void
what_may_be_a_key(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"AAECAwQFBgcICQoLDA0ODw==", "***"},                 /* 128 bits */
        {"AAECAwQFBgcICQoLDA0ODw", "***"},                   /* without padding */
        {"a 000102030405060708090a0b0c0d0e0f b", "a *** b"}, /* hex */
        {"key=AAECAwQFBgcICQoLDA0ODw==.", "***."},
        {"abcdefghijklmnopqrstuvwxyzABCDEF", "***"},        /* no digit, no sign: may be one */
        {"ABCDEFGHIJKLMNOPQRSTU", "ABCDEFGHIJKLMNOPQRSTU"}, /* 21: too short */
        {"c0ffee00-0000-4000-8000-00000000000a", "c0ffee00-0000-4000-8000-00000000000a"},
        {"c0ffee00-0000-4000-8000-00000000000ab", "***"},
        {"additional_slave_SAE_IDs bad", "additional_slave_SAE_IDs bad"},
        {"key_container_extension", "key_container_extension"},
        {"AbCdEfGhIj_KlMnOpQrStUv", "***"}, /* base64 for URLs, by chance without a digit */
        {"not-enough-keys-in-the-pool", "***"},
        {"additional_slave_SAE_IDsX", "***"},
        {"/api/v1/keys/SAE_B/enc_keys", "***"},
    };
    char text[100];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(text, sizeof text, "{\"message\":\"%s\"}", cases[i].text);
        read_error(text);
        assert_string_equal(message, cases[i].message);
        read_error(cases[i].text);
        assert_string_equal(message, cases[i].message);
    }
}

static int
free_body(void **state)
{
    (void)state;
    free(body);
    body = NULL;
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_status),      cmocka_unit_test(status_of_liars), cmocka_unit_test(names_are_printable),
        cmocka_unit_test(no_status),         cmocka_unit_test(cut_status),      cmocka_unit_test(messages),
        cmocka_unit_test(what_may_be_a_key),
    };

    return cmocka_run_group_tests(tests, NULL, free_body);
}
