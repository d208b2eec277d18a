/* etsi014_container_test.c - the key container reader on right, quirky and hostile texts; base64. */
#include "plugins/source/etsi014/container.h"
#include "plugins/source/etsi014/jtext.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ID "c0ffee00-0000-4000-8000-00000000000a"
#define KEY "AAECAwQFBgc="
#define GOOD "{\"keys\":[{\"key_ID\":\"" ID "\",\"key\":\"" KEY "\"}]}"

static struct container_key keys[4];
static size_t n;
static const char *why;
static char *body; /* exactly as long as the text, so that a sanitizer sees a step too far */

static int
read_len(const char *text, size_t len, bool lenient)
{
    free(body);
    body = malloc(len ? len : 1);
    assert_non_null(body);
    memcpy(body, text, len);
    memset(keys, 0x5a, sizeof keys);
    return container_read(body, len, lenient, keys, 4, &n, &why);
}

static int
read_text(const char *text)
{
    return read_len(text, strlen(text), false);
}

static void
assert_key(size_t i, const char *id, const char *text)
{
    assert_true(i < n);
    assert_string_equal(keys[i].id, id);
    assert_int_equal(keys[i].text_len, strlen(text));
    assert_memory_equal(keys[i].text, text, strlen(text));
}

static void
test_right_answers(void **state)
{
    static const char *const texts[] = {
        GOOD,
        " {\t\"keys\" :\r\n[ { \"key\" : \"" KEY "\" , \"key_ID\" : \"" ID "\" } ] }\n ",
        "{\"Keys\":[{\"key_ID\":\"C0FFEE00-0000-4000-8000-00000000000A\",\"key\":\"" KEY "\"}]}",
        "{\"x\":{\"keys\":[1,-0.5e+3,[],{}]},\"keys\":[{\"e\":null,\"key_ID\":\"" ID "\",\"t\":true,\"f\":false,"
        "\"key\":\"" KEY "\",\"key_extension\":{\"key\":\"no\"}}],\"u\":\"\\ud83d\\ude00\\u00e9\"}",
        "{\"keys\":[{\"k\\u0065y_ID\":\"\\u0063"
        "0ffee00\\u002d0000-4000-8000-00000000000a\",\"key\":\"" KEY "\"}]}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(read_text(texts[i]), RK_OK);
        assert_int_equal(n, 1);
        assert_key(0, ID, KEY);
        assert_true(keys[0].text >= body && keys[0].text < body + strlen(texts[i]));
    }
}

static void
test_several_and_none(void **state)
{
    (void)state;
    assert_int_equal(read_text("{\"keys\":[]}"), RK_OK);
    assert_int_equal(n, 0);
    assert_int_equal(
        read_text("{\"keys\":[{\"key_ID\":\"a\",\"key\":\"AA==\"},{\"key\":\"AQ==\",\"key_ID\":\"B.c\"}]}"), RK_OK);
    assert_int_equal(n, 2);
    assert_key(0, "a", "AA==");
    assert_key(1, "B.c", "AQ=="); /* only UUIDs are folded */
}

static void
test_escaped_base64(void **state)
{
    (void)state;
    assert_int_equal(read_text("{\"keys\":[{\"key_ID\":\"a\",\"key\":\"\\/\\u002b\\u002F\\u002B\"}]}"), RK_OK);
    assert_key(0, "a", "/+/+");
}

static void
test_lenient_names(void **state)
{
    const char *snake = "{\"keys\":[{\"key_id\":\"a\",\"key\":\"AA==\"}]}";
    const char *camel = "{\"keys\":[{\"keyId\":\"a\",\"key\":\"AA==\"}]}";

    (void)state;
    assert_int_equal(read_text(snake), RK_E_PROTOCOL);
    assert_int_equal(read_len(snake, strlen(snake), true), RK_OK);
    assert_int_equal(read_text(camel), RK_E_PROTOCOL);
    assert_int_equal(read_len(camel, strlen(camel), true), RK_OK);
}

static void
test_refused(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "no object"},
        {"[]", "no object"},
        {"\xef\xbb\xbf" GOOD, "no object"},
        {"<html>", "no object"},
        {"{}", "no list of keys"},
        {"{\"message\":\"x\"}", "no list of keys"},
        {"{\"keys\":{}}", "no array"},
        {"{\"keys\":null}", "no array"},
        {"{\"keys\":[],\"keys\":[]}", "two lists"},
        {"{\"keys\":[],\"Keys\":[]}", "two lists"},
        {"{\"keys\":[\"" ID "\"]}", "no object"},
        {"{\"keys\":[{}]}", "no key_ID or no key"},
        {"{\"keys\":[{\"key_ID\":\"a\"}]}", "no key_ID or no key"},
        {"{\"keys\":[{\"key\":\"AA==\"}]}", "no key_ID or no key"},
        {"{\"keys\":[{\"key_ID\":\"a\",\"key\":7}]}", "no string"},
        {"{\"keys\":[{\"key_ID\":\"a\",\"key\":null}]}", "no string"},
        {"{\"keys\":[{\"key_ID\":\"a\",\"key_ID\":\"b\",\"key\":\"AA==\"}]}", "two IDs"},
        {"{\"keys\":[{\"key_ID\":\"a\",\"key\":\"AA==\",\"key\":\"AA==\"}]}", "twice"},
        {"{\"keys\":[{\"key_ID\":\"a\",\"key\":\"AA==\"},{\"key_ID\":\"a\",\"key\":\"AA==\"}]}", "the same ID"},
        {"{\"keys\":[{\"key_ID\":\"\",\"key\":\"AA==\"}]}", "key ID"},
        {"{\"keys\":[{\"key_ID\":\"a b\",\"key\":\"AA==\"}]}", "key ID"},
        {"{\"keys\":[{\"key_ID\":\"a/b\",\"key\":\"AA==\"}]}", "key ID"},
        {"{\"keys\":[{\"key_ID\":\"a|b\",\"key\":\"AA==\"}]}", "key ID"},
        {"{\"keys\":[{\"key_ID\":\"a\\u0000\",\"key\":\"AA==\"}]}", "key ID"},
        {"{\"keys\":[{\"key_ID\":\"\xc3\xa9\",\"key\":\"AA==\"}]}", "key ID"},
        {"{\"keys\":[{\"key_ID\":\"12345678901234567890123456789012345678901234567890123456789012345\","
         "\"key\":\"AA==\"}]}",
         "key ID"},
        {"{\"keys\":[],}", "no string"},
        {"{\"keys\":[,]}", "no object"},
        {"{\"keys\":[]]", "without end"},
        {"{\"keys\":[}", "no object"},
        {"{\"keys\" []}", "no ':'"},
        {"{keys:[]}", "no string"},
        {"{\"keys\":[]} x", "text follows"},
        {"{\"keys\":[]}{\"keys\":[]}", "text follows"},
        {"{\"a\":01,\"keys\":[]}", "without end"},
        {"{\"a\":1.,\"keys\":[]}", "wrong number"},
        {"{\"a\":1e,\"keys\":[]}", "wrong number"},
        {"{\"a\":-,\"keys\":[]}", "value that is none"},
        {"{\"a\":+1,\"keys\":[]}", "value that is none"},
        {"{\"a\":nul,\"keys\":[]}", "value that is none"},
        {"{\"a\":NaN,\"keys\":[]}", "value that is none"},
        {"{\"a\":\"\\x\",\"keys\":[]}", "wrong escape"},
        {"{\"a\":\"\\u00g0\",\"keys\":[]}", "wrong escape"},
        {"{\"a\":\"\n\",\"keys\":[]}", "control character"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int err = read_text(cases[i].text);

        if (err != RK_E_PROTOCOL || n != 0 || !why || !strstr(why, cases[i].why))
            fail_msg("%s: err %d n %zu why %s, wanted %s", cases[i].text, err, n, why ? why : "-", cases[i].why);
    }
    assert_int_equal(read_len("{\"keys\"\0:[]}", 12, false), RK_E_PROTOCOL);
}

static void
test_more_than_room(void **state)
{
    (void)state;
    assert_int_equal(read_text("{\"keys\":[{\"key_ID\":\"1\",\"key\":\"\"},{\"key_ID\":\"2\",\"key\":\"\"},{\"key_ID\":"
                               "\"3\",\"key\":\"\"},{\"key_ID\":\"4\",\"key\":\"\"},{\"key_ID\":\"5\",\"key\":\"\"}]}"),
                     RK_E_PROTOCOL);
    assert_non_null(strstr(why, "more keys"));
    assert_int_equal(n, 0);
}

static void
test_depth(void **state)
{
    char text[256];

    (void)state;
    for (int depth = 1; depth < 60; depth++) {
        int len = snprintf(text, sizeof text, "{\"a\":%.*s%.*s,\"keys\":[]}", depth,
                           "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", depth,
                           "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");

        assert_true(len > 0 && (size_t)len < sizeof text);
        assert_int_equal(read_text(text), depth < JTEXT_DEPTH_MAX ? RK_OK : RK_E_PROTOCOL);
    }
}

/* Each cut of a right text is refused, and no step goes past its end. */
static void
test_every_cut(void **state)
{
    const char *text = "{\"x\":[-1.5e-7,true,\"\\u0041\\n\"],\"keys\":[{\"key_ID\":\"" ID "\",\"key\":\"" KEY "\"}]}";

    (void)state;
    for (size_t len = 0; len < strlen(text); len++)
        assert_int_equal(read_len(text, len, false), RK_E_PROTOCOL);
    assert_int_equal(read_text(text), RK_OK);
}

/* Broken at random (the same in each run): refused or read, never past the end; what is read is within bounds. */
static void
test_mutations(void **state)
{
    char text[] = "{\"x\":[-1.5e-7,true,\"\\u0041\\n\"],\"keys\":[{\"key_ID\":\"" ID "\",\"key\":\"" KEY "\"}]}";
    uint32_t r = 1;
    size_t good = 0;

    (void)state;
    for (int round = 0; round < 50000; round++) {
        char hurt[sizeof text];

        memcpy(hurt, text, sizeof text);
        for (int i = 0; i < 1 + round % 3; i++) {
            r = r * 1664525u + 1013904223u;
            hurt[(r >> 8) % (sizeof text - 1)] = round % 2 ? (char)(r >> 24) : "{}[]\",:\\u0e-"[(r >> 24) % 12];
        }
        if (read_len(hurt, sizeof text - 1, round % 5 == 0) != RK_OK)
            continue;
        good++;
        for (size_t i = 0; i < n; i++)
            assert_true(keys[i].text >= body && keys[i].text + keys[i].text_len <= body + sizeof text - 1);
    }
    assert_true(good > 100); /* the mutations reach beyond the first check */
}

static void
test_fold_id(void **state)
{
    char uuid[] = "C0FFEE00-ABCD-4000-8000-00000000000A", opaque[] = "Key.A",
         shifted[] = "C0FFEE000-ABC-4000-8000-00000000000A";
    char space[] = "a b", empty[] = "";

    (void)state;
    assert_true(container_fold_id(uuid));
    assert_string_equal(uuid, "c0ffee00-abcd-4000-8000-00000000000a");
    assert_true(container_fold_id(opaque));
    assert_string_equal(opaque, "Key.A");
    assert_true(container_fold_id(shifted));
    assert_string_equal(shifted, "C0FFEE000-ABC-4000-8000-00000000000A");
    assert_false(container_fold_id(space));
    assert_false(container_fold_id(empty));
}

/* RFC 4648, section 10 */
static void
test_base64_vectors(void **state)
{
    static const struct {
        const char *text, *bytes;
    } cases[] = {{"Zg==", "f"},        {"Zm8=", "fo"},        {"Zm9v", "foo"},
                 {"Zm9vYg==", "foob"}, {"Zm9vYmE=", "fooba"}, {"Zm9vYmFy", "foobar"}};
    unsigned char out[8];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size = base64_size(cases[i].text, strlen(cases[i].text), false);

        assert_int_equal(size, strlen(cases[i].bytes));
        assert_int_equal(base64_get(cases[i].text, strlen(cases[i].text), false, out, size), RK_OK);
        assert_memory_equal(out, cases[i].bytes, size);
    }
}

static void
test_base64_alphabet(void **state)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char out[3];

    (void)state;
    for (int c = 0; c < 256; c++) {
        char text[4] = {'A', 'A', 'A', (char)c};
        const char *hit = c ? strchr(alphabet, c) : NULL;

        if (c == '=')
            continue; /* padding */
        assert_int_equal(base64_get(text, 4, false, out, 3), hit ? RK_OK : RK_E_PROTOCOL);
        if (hit)
            assert_int_equal(out[2], hit - alphabet);
        assert_int_equal(base64_get(text, 4, true, out, 3), hit || c == '-' || c == '_' ? RK_OK : RK_E_PROTOCOL);
        if (c == '-' || c == '_')
            assert_int_equal(out[2], c == '-' ? 62 : 63);
    }
}

static void
test_base64_refused(void **state)
{
    unsigned char out[16];

    (void)state;
    assert_int_equal(base64_size("", 0, false), 0);
    assert_int_equal(base64_size("Zg", 2, false), 0);
    assert_int_equal(base64_size("Zg=", 3, false), 0);
    assert_int_equal(base64_size("Zg=", 3, true), 0);
    assert_int_equal(base64_size("Z", 1, true), 0);
    assert_int_equal(base64_size("Zg", 2, true), 1);
    assert_int_equal(base64_size("Zm8", 3, true), 2);
    assert_int_equal(base64_get("Zg", 2, true, out, 1), RK_OK);
    assert_int_equal(out[0], 'f');
    assert_int_equal(base64_get("Zh==", 4, false, out, 1), RK_E_PROTOCOL); /* spare bits */
    assert_int_equal(base64_get("Zm9=", 4, false, out, 2), RK_E_PROTOCOL);
    assert_int_equal(base64_get("Z===", 4, false, out, 1), RK_E_PROTOCOL);
    assert_int_equal(base64_get("Zg==Zg==", 8, false, out, 4), RK_E_PROTOCOL);
    assert_int_equal(base64_get("Zm9v\nZm9", 8, false, out, 6), RK_E_PROTOCOL);
    assert_int_equal(base64_get("Zm9v", 4, false, out, 2), RK_E_PROTOCOL); /* another size than it has */
}

static int
clean_up(void **state)
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
        cmocka_unit_test(test_right_answers),  cmocka_unit_test(test_several_and_none),
        cmocka_unit_test(test_escaped_base64), cmocka_unit_test(test_lenient_names),
        cmocka_unit_test(test_refused),        cmocka_unit_test(test_more_than_room),
        cmocka_unit_test(test_depth),          cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_mutations),      cmocka_unit_test(test_fold_id),
        cmocka_unit_test(test_base64_vectors), cmocka_unit_test(test_base64_alphabet),
        cmocka_unit_test(test_base64_refused),
    };

    return cmocka_run_group_tests(tests, NULL, clean_up);
}
