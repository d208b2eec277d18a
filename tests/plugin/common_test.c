/* common_test.c - what plugins share: IDs and keys as text, files that can be trusted, waiting */
#include "fakehost.h"
#include "scratch.h"

#include "plugins/common/files.h"
#include "plugins/common/keytext.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct scratch scratch;

static void
test_uuid(void **state)
{
    unsigned char random[16];
    char id[40], other[] = "Opaque-ID-AB";

    (void)state;
    memset(random, 0xff, sizeof random);
    rkp_uuid_put(random, id);
    assert_string_equal(id, "ffffffff-ffff-4fff-bfff-ffffffffffff");
    memset(random, 0, sizeof random);
    rkp_uuid_put(random, id);
    assert_string_equal(id, "00000000-0000-4000-8000-000000000000");
    assert_true(rkp_uuid_ok("0F5CE8D4-5C2B-4E0F-9A3C-6D1BE1B0A7F2"));
    assert_false(rkp_uuid_ok("0F5CE8D4-5C2B-4E0F-9A3C-6D1BE1B0A7F"));
    assert_false(rkp_uuid_ok("0F5CE8D4-5C2B-4E0F-9A3C-6D1BE1B0A7F2 "));
    assert_false(rkp_uuid_ok("0F5CE8D4x5C2B-4E0F-9A3C-6D1BE1B0A7F2"));
    assert_false(rkp_uuid_ok("0F5CE8D4-5C2B-4E0F-9A3C-6D1BE1B0A7FG"));
    strcpy(id, "0F5CE8D4-5C2B-4E0F-9A3C-6D1BE1B0A7F2");
    rkp_key_id_fold(id);
    assert_string_equal(id, "0f5ce8d4-5c2b-4e0f-9a3c-6d1be1b0a7f2");
    rkp_key_id_fold(other);
    assert_string_equal(other, "Opaque-ID-AB");
}

static void
test_names(void **state)
{
    char id[66];

    (void)state;
    memset(id, 'x', sizeof id);
    assert_true(rkp_key_id_ok(id, 64));
    assert_false(rkp_key_id_ok(id, 65));
    assert_false(rkp_key_id_ok(id, 0));
    assert_false(rkp_key_id_ok("a b", 3));
    assert_false(rkp_key_id_ok("a|b", 3));
    assert_false(rkp_key_id_ok("a/b", 3));
    assert_false(rkp_key_id_ok("a\x7f", 2));
    assert_false(rkp_key_id_ok("\xc3\xa4", 2));
    assert_true(rkp_name_ok("a.b_c-9", 7, 32));
    assert_false(rkp_name_ok(".a", 2, 32));
    assert_false(rkp_name_ok("a/", 2, 32));
    assert_false(rkp_name_ok("a\0b", 3, 32));
    assert_false(rkp_name_ok("\xe4", 1, 32));
    assert_false(rkp_name_ok("abc", 3, 2));
}

/* Each byte value is a digit or is none, and means what it should. */
static void
test_every_digit(void **state)
{
    static const char hex[] = "0123456789abcdef";
    static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    (void)state;
    for (int c = 0; c < 256; c++) {
        const char *h = c ? strchr(hex, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL, *b = c ? strchr(base64, c) : NULL;
        char text[4] = {'0', (char)c, 'A', 'A'};
        unsigned char bytes[3];

        assert_int_equal(rkp_hex_len(text, 2), h ? 1 : 0);
        if (h) {
            rkp_hex_get(text, 2, bytes);
            assert_int_equal(bytes[0], h - hex);
        }
        text[0] = 'A';
        assert_int_equal(rkp_base64_len(text, 4), b ? 3 : 0);
        if (b) {
            rkp_base64_get(text, 4, bytes);
            assert_int_equal(bytes[0] << 8 | bytes[1], (b - base64) << 4);
        }
    }
}

static void
test_hex_and_base64(void **state)
{
    /* src: RFC 4648, 10 */
    static const struct {
        const char *plain, *text;
    } rows[] = {{"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="},
                {"foobar", "Zm9vYmFy"}};
    static const char *const bad[] = {"", "Zg=", "Zg", "Z===", "====", "Zh==", "Zm9=", "Zg==Zg==", "Zm 8", "Zm8=\n"};
    unsigned char bytes[16];
    char hex[9];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t n = rkp_base64_len(rows[i].text, strlen(rows[i].text));

        assert_int_equal(n, strlen(rows[i].plain));
        rkp_base64_get(rows[i].text, strlen(rows[i].text), bytes);
        assert_memory_equal(bytes, rows[i].plain, n);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(rkp_base64_len(bad[i], strlen(bad[i])), 0);
    assert_int_equal(rkp_hex_len("abc", 3), 0);
    assert_int_equal(rkp_hex_len("", 0), 0);
    rkp_hex_put((const unsigned char *)"\0\x9f\xa0\xff", 4, hex);
    assert_string_equal(hex, "009fa0ff");
}

static void
test_replace(void **state)
{
    struct rkp_why why;
    char text[32], name[300];
    struct stat st;
    int dir, fd;

    (void)state;
    assert_int_equal(rkp_open_dir(scratch.dir, RKP_PRIVATE, &dir, &why), RK_OK);
    assert_int_equal(rkp_replace(dir, "f", (struct rkp_bytes){"one", 3}, 0600, true), 0);
    assert_int_equal(rkp_replace(dir, "f", (struct rkp_bytes){"three", 5}, 0640, false), 0);
    scratch_read(scratch_path(&scratch, "f"), text, sizeof text);
    assert_string_equal(text, "three");
    assert_int_equal(stat(scratch_path(&scratch, "f"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(rkp_replace(dir, name, (struct rkp_bytes){"x", 1}, 0600, false), -1);
    assert_int_equal(errno, ENAMETOOLONG);
    assert_int_equal(mkdirat(dir, "d", 0700), 0);
    assert_int_equal(rkp_replace(dir, "d", (struct rkp_bytes){"x", 1}, 0600, false), -1); /* and leaves nothing */
    assert_int_equal(unlinkat(dir, "d", AT_REMOVEDIR), 0);
    assert_int_equal(rkp_open_file(dir, "f", RKP_NOT_SHARED, &fd, &why), RK_OK);
    assert_int_equal(rkp_read_small(fd, text, 5), -1);
    assert_int_equal(errno, EFBIG);
    close(fd);
    assert_int_equal(rkp_open_file(dir, "f", RKP_PRIVATE, &fd, &why), RK_E_UNSAFE);
    assert_int_equal(unlinkat(dir, "f", 0), 0);
    assert_int_equal(rmdir(scratch.dir), 0); /* so no temporary file is left */
    close(dir);
    assert_true(rkp_is_temp("a.rec.tmp-0123abcd"));
    assert_false(rkp_is_temp("a.tmp-0123abcd.rec"));
    assert_false(rkp_is_temp("a.tmp-0123ABCD"));
}

static void
test_pause(void **state)
{
    struct rk_call call;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    fake_call(&call, 60000);
    assert_int_equal(rkp_pause(&fake_host, &call, ends[0], 1), 0);
    assert_int_equal(write(ends[1], "", 1), 1);
    assert_int_equal(rkp_pause(&fake_host, &call, ends[0], 50000), 1);
    fake_cancel(&call);
    assert_int_equal(rkp_pause(&fake_host, &call, ends[0], 50000), RK_E_CANCELED);
    fake_call_end(&call);
    fake_call(&call, 0);
    assert_int_equal(rkp_pause(&fake_host, &call, -1, 0), RK_E_TIMEOUT);
    assert_int_equal(rkp_pause(&fake_host, &call, -1, 50000), RK_E_TIMEOUT);
    fake_call_end(&call);
    close(ends[0]);
    close(ends[1]);
}

static int
setup(void **state)
{
    (void)state;
    scratch_make(&scratch);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    scratch_remove(&scratch);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uuid),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_every_digit),
        cmocka_unit_test(test_hex_and_base64),
        cmocka_unit_test_setup_teardown(test_replace, setup, teardown),
        cmocka_unit_test(test_pause),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
