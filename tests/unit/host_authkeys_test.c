/* host_authkeys_test.c - auth-key files: one key, or lines; what is wrong is told with its line, never with a key. */
#include "core/host/authkeys.h"

#include <rekey/err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEX_1 "000102030405060708090a0b0c0d0e0f"
#define HEX_2 "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
#define B64_1 "dGhpcyBpcyBhIHNlY3JldCBrZXk="
#define B64_2 "YW5vdGhlciBzZWNyZXQga2V5IQ=="

static unsigned char text[70000];
static struct rk_auth_keys keys;
static char why[200];

static int
parse_bytes(const void *bytes, size_t len)
{
    memcpy(text, bytes, len);
    text[len] = 'x'; /* is only room */
    why[0] = '\0';
    return rk_auth_parse(text, len, &keys, why, sizeof why);
}

static int
parse(const char *s)
{
    return parse_bytes(s, strlen(s));
}

/* The keys of a link, joined by blanks. */
static const char *
of(const char *link)
{
    static char all[600];
    struct rk_bytes k[RK_AUTH_KEYS_MAX];
    size_t n = rk_auth_of(&keys, link, k), len = 0;

    all[0] = '\0';
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(all + len, sizeof all - len, "%s%.*s", i ? " " : "", (int)k[i].len,
                                (const char *)k[i].bytes);
    return all;
}

static void
test_one_key(void **state)
{
    static const unsigned char binary[20] = {1, '\n', '#', ' ', 0, 200, '\n', 7, 8, 9, 10, 11, 12, 13, 14, 15};
    static const char *const files[] = {HEX_1, HEX_1 "\n", B64_1 "\n", "not-base64:but-long-enough\n"};
    struct rk_bytes k[RK_AUTH_KEYS_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        size_t len = strcspn(files[i], "\n");

        assert_int_equal(parse(files[i]), RK_OK);
        assert_int_equal(strlen(of("any")), len);
        assert_memory_equal(of("any"), files[i], len);
        rk_auth_free(&keys);
    }
    assert_int_equal(parse_bytes(binary, sizeof binary), RK_OK);
    assert_int_equal(rk_auth_of(&keys, "any", k), 1);
    assert_int_equal(k[0].len, sizeof binary);
    assert_memory_equal(k[0].bytes, binary, sizeof binary);
    rk_auth_free(&keys);
    assert_int_equal(rk_auth_of(&keys, "any", k), 0);
}

static void
test_lines(void **state)
{
    (void)state;
    assert_int_equal(parse("# of the sites A and B\n\n  * " HEX_1 "\r\nb\t" B64_1 " \n#b no\na-1 " HEX_2 "\n*  " B64_2),
                     RK_OK);
    assert_int_equal(keys.n, 4);
    assert_string_equal(of("a-1"), HEX_2);
    assert_string_equal(of("b"), B64_1);
    assert_string_equal(of("a"), HEX_1 " " B64_2); /* all others: in the order of the file, the first signs */
    assert_string_equal(of("zz"), HEX_1 " " B64_2);
    rk_auth_free(&keys);
    assert_int_equal(parse("b " HEX_1 "\n"), RK_OK);
    assert_string_equal(of("b"), HEX_1);
    assert_string_equal(of("a"), "");
    assert_string_equal(of("c"), "");
    rk_auth_free(&keys);
}

static void
refused(const char *file, const char *reason)
{
    assert_int_equal(parse(file), RK_E_CONFIG);
    assert_non_null(strstr(why, reason));
    assert_null(strstr(why, HEX_1));
    assert_null(strstr(why, "c2hvcnQ"));
    assert_null(keys.list);
    assert_int_equal(keys.n, 0);
}

static void
test_wrong(void **state)
{
    char longer[5000];

    (void)state;
    refused("", "too short");
    refused("short\n", "too short");
    refused("00000000000000000000000000000000\n", "all zeros");
    refused("# only words\n", "no key in it");
    refused("a " HEX_1 "\nb c2hvcnQ=\n", "line 2: the key is too short");
    refused("a 00010203040506070809\n", "line 1: the key is too short");
    refused("\n\na " HEX_1 "\nb 00000000000000000000000000000000\n", "line 4: the key is all zeros");
    refused("a AAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", "line 1: the key is all zeros");
    refused("a not!base64:but-long-enough\n", "line 1: the key is neither hex nor base64");
    refused("a " HEX_1 "===\n", "line 1: the key is neither hex nor base64");
    refused("a " HEX_1 "\nb " HEX_1 "\n", "line 2: the same key as in line 1");
    refused("a " HEX_1 "\na " HEX_1 "\n", "line 2: the same key as in line 1");
    refused("a " HEX_1 " more\n", "line 1: more than a link's name and a key");
    refused("a " HEX_1 "\nb\n", "line 2: no key behind the link's name");
    refused("# words\n" HEX_1 "\n", "line 2: no key behind");
    refused("a/b " HEX_1 "\n", "line 1: not a link's name");
    refused("a-name-that-is-longer-than-32-bytes " HEX_1 "\n", "line 1: not a link's name");
    refused("a 1" HEX_1 "1\na 2" HEX_1 "2\na 3" HEX_1 "3\na 4" HEX_1 "4\na 5" HEX_1 "5\n",
            "line 5: too many keys of one link");
    memset(longer, 'k', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    refused(longer, "longer than 4096");
}

static void
test_many(void **state)
{
    char link[16];
    size_t len = 0;

    (void)state;
    for (int i = 0; i < 1000; i++)
        len += (size_t)snprintf((char *)text + len, sizeof text - len, "l%d %08xa1b2c3d4e5f60718293a4b5c\n",
                                999 - i, i);
    assert_int_equal(rk_auth_parse(text, len, &keys, why, sizeof why), RK_OK);
    for (int i = 0; i < 1000; i++) {
        char key[40];

        snprintf(link, sizeof link, "l%d", 999 - i);
        snprintf(key, sizeof key, "%08xa1b2c3d4e5f60718293a4b5c", i);
        assert_string_equal(of(link), key);
    }
    rk_auth_free(&keys);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_key), cmocka_unit_test(test_lines), cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
