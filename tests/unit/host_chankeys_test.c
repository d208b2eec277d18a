/* host_chankeys_test.c - the keys of a channel: what is wrapped comes back and only so, what signs, what verifies, a
 * file that changes, and how many records a link may bring. */
#include "core/host/chankeys.h"

#include "core/base/clock.h"
#include "core/base/secret.h"
#include "core/base/text.h"

#include <fcntl.h>
#include <malloc.h>
#include <rekey/err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define AUTH_1 "00112233445566778899aabbccddeeff"
#define AUTH_2 "ffeeddccbbaa99887766554433221100"
#define TEXT "rk1|a-b-1|M|1|7|A|k1||f|"
#define ID "550e8400-e29b-41d4-a716-446655440000"

static char dir[] = "/tmp/rekey-chankeys-XXXXXX", path[80], value[90];
static const struct rk_wrap_of k1 = {"a-b-1", "k1"}, k2 = {"a-b-1", "k2"}, other = {"a-b-2", "k1"};

static void
put_file(const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fchmod(fileno(f), 0600), 0);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static struct rk_chankeys *
opened(const char *text)
{
    struct rk_chankeys *keys = NULL;
    char why[200] = "";

    put_file(text);
    assert_int_equal(rk_chankeys_new(value, &keys, why, sizeof why), RK_OK);
    return keys;
}

static int
fill(unsigned char *bytes, size_t len, void *arg)
{
    memset(bytes, *(int *)arg, len);
    return RK_OK;
}

/* A sealed memfd of so many bytes with this value. */
static int
sealed(int byte, size_t len)
{
    struct rk_secret *s;
    int fd;

    assert_int_equal(rk_secret_new(len, fill, &byte, &s), RK_OK);
    fd = rk_secret_send(&s);
    assert_true(fd >= 0);
    return fd;
}

static int
add(struct rk_chankeys *keys, const struct rk_wrap_of *of, int byte, char *hex)
{
    int fd = sealed(byte, RK_CHANKEY_BYTES), err = rk_chankeys_add(keys, of, fd, hex);
    unsigned char same[RK_CHANKEY_BYTES];

    assert_int_equal(rk_secret_peek(fd, same, sizeof same), RK_OK); /* it is there for the next channel */
    assert_int_equal(same[5], byte);
    rk_secret_fd_wipe(fd);
    return err;
}

static struct rk_signed
record_of(const char *link)
{
    return (struct rk_signed){link, TEXT, {"SAE_A", "SAE_B"}};
}

/* Who has signed, when by is to. */
static const char *
signer(struct rk_chankeys *keys, const char *by, char tag[RK_CONFIRM_HEX + 1])
{
    static char used[RK_KEY_ID_MAX + 1];
    const struct rk_signed s = record_of("a-b-1");

    assert_int_equal(rk_chankeys_sign(keys, &s, by, (struct rk_tag_out){tag, used}), RK_OK);
    return used;
}

/* By whom; "?": by nobody. */
static const char *
verified(struct rk_chankeys *keys, const char *link, const char *tag)
{
    static char by[RK_KEY_ID_MAX + 1];
    const struct rk_signed s = record_of(link);
    int err = rk_chankeys_verify(keys, &s, tag, by);

    assert_true(err == RK_OK || err == RK_E_AUTH);
    assert_true(err == RK_OK || by[0] == '\0');
    return err ? "?" : by;
}

/* Made in Python: nonce + AESGCM(HKDF(auth-key, b"rekey wrap v1\0a-b-1\0")).encrypt(nonce, key, b"a-b-1\0ID\0"). */
static void
test_vector(void **state)
{
    static const char hex[] = "a0a1a2a3a4a5a6a7a8a9aaabad7652e254c36ddda7f514bc4b1231490b240fad50618274c2b2fa4e"
                              "cecaa5c0c5948ce1549058b80e5b785cdeefbb18";
    const struct rk_wrap_of of = {"a-b-1", ID};
    unsigned char auth[32], key[RK_CHANKEY_BYTES];
    char text[2 * RK_CHANKEY_BYTES + 1];

    (void)state;
    for (unsigned char i = 0; i < 32; i++)
        auth[i] = i;
    assert_int_equal(rk_unwrap((struct rk_bytes){auth, 32}, &of, hex, key), RK_OK);
    rk_hex_put(key, sizeof key, text);
    assert_string_equal(text, "81276ba54532112a7838e767a6f3321657248d8333dcfd6342d88f1514147feb");
}

static void
test_wrap(void **state)
{
    static const unsigned char auth[32] = {1}, wrong[32] = {2}, zeros[RK_CHANKEY_BYTES];
    const struct rk_bytes a = {auth, 32};
    unsigned char key[RK_CHANKEY_BYTES], back[RK_CHANKEY_BYTES];
    char hex[RK_WRAP_HEX + 1], again[RK_WRAP_HEX + 1];

    (void)state;
    memset(key, 0x5a, sizeof key);
    assert_int_equal(rk_wrap(a, &k1, key, hex), RK_OK);
    assert_int_equal(strlen(hex), RK_WRAP_HEX);
    assert_null(strstr(hex, "5a5a5a5a"));
    assert_int_equal(rk_wrap(a, &k1, key, again), RK_OK);
    assert_memory_not_equal(hex, again, 24); /* another nonce */
    assert_int_equal(rk_unwrap(a, &k1, hex, back), RK_OK);
    assert_memory_equal(back, key, sizeof key);
    assert_int_equal(rk_unwrap((struct rk_bytes){wrong, 32}, &k1, hex, back), RK_E_AUTH);
    assert_memory_equal(back, zeros, sizeof zeros);
    assert_int_equal(rk_unwrap(a, &k2, hex, back), RK_E_AUTH);
    assert_int_equal(rk_unwrap(a, &other, hex, back), RK_E_AUTH);
    assert_int_equal(rk_unwrap(a, &k1, "", back), RK_E_PROTOCOL);
    for (size_t i = 0; i < RK_WRAP_HEX; i += 7) {
        char was = hex[i];

        hex[i] = was == '0' ? '1' : '0';
        assert_int_equal(rk_unwrap(a, &k1, hex, back), RK_E_AUTH);
        hex[i] = was;
    }
    hex[RK_WRAP_HEX - 1] = '\0';
    assert_int_equal(rk_unwrap(a, &k1, hex, back), RK_E_PROTOCOL);
}

static void
test_sign_and_verify(void **state)
{
    struct rk_chankeys *keys = opened("* " AUTH_1 "\na-b-2 " AUTH_2 "\n");
    char hex[RK_WRAP_HEX + 1], auth[RK_CONFIRM_HEX + 1], one[RK_CONFIRM_HEX + 1], two[RK_CONFIRM_HEX + 1];
    const char *const keep[] = {"k2", "", "not-held"};

    (void)state;
    assert_string_equal(signer(keys, "", auth), "");
    assert_string_equal(signer(keys, "k1", one), ""); /* not held: as good as it can be, and it says so */
    assert_string_equal(one, auth);
    assert_int_equal(add(keys, &k1, 1, hex), RK_OK);
    assert_int_equal(add(keys, &k2, 2, hex), RK_OK);
    assert_string_equal(signer(keys, "k1", one), "k1");
    assert_string_equal(signer(keys, "k2", two), "k2");
    assert_string_not_equal(one, auth);
    assert_string_not_equal(one, two);
    assert_string_equal(verified(keys, "a-b-1", one), "k1");
    assert_string_equal(verified(keys, "a-b-1", two), "k2");
    assert_string_equal(verified(keys, "a-b-1", auth), "");
    assert_string_equal(verified(keys, "a-b-2", one), "?"); /* of another link */
    assert_string_equal(verified(keys, "a-b-2", auth), "?");
    assert_string_equal(verified(keys, "a-b-1", ""), "?");
    assert_string_equal(verified(keys, "a-b-1", "0"), "?");
    one[3] = one[3] == '0' ? '1' : '0';
    assert_string_equal(verified(keys, "a-b-1", one), "?");
    rk_chankeys_keep(keys, "a-b-1", keep, 3);
    assert_string_equal(signer(keys, "k1", one), "");
    assert_string_equal(verified(keys, "a-b-1", two), "k2");
    rk_chankeys_keep(keys, "a-b-1", keep, 0);
    assert_string_equal(verified(keys, "a-b-1", two), "?");
    rk_chankeys_keep(keys, "nobody", keep, 1);
    rk_chankeys_free(&keys);
    assert_null(keys);
    rk_chankeys_free(&keys);
}

static void
test_bounds(void **state)
{
    struct rk_chankeys *keys = opened("a-b-1 " AUTH_1 "\n");
    const struct rk_signed unknown = record_of("a-b-2");
    char hex[RK_WRAP_HEX + 1], id[8], tag[RK_CONFIRM_HEX + 1], used[RK_KEY_ID_MAX + 1];
    int fd;

    (void)state;
    for (int i = 0; i < RK_CHANKEYS_MAX; i++) {
        snprintf(id, sizeof id, "k%d", i);
        assert_int_equal(add(keys, &(struct rk_wrap_of){"a-b-1", id}, 1 + i, hex), RK_OK);
    }
    assert_int_equal(add(keys, &(struct rk_wrap_of){"a-b-1", "more"}, 9, hex), RK_E_CONTRACT);
    assert_int_equal(add(keys, &(struct rk_wrap_of){"a-b-1", "k0"}, 9, hex), RK_OK); /* over what was there */
    assert_int_equal(add(keys, &other, 9, hex), RK_E_NOENT);
    assert_int_equal(rk_chankeys_sign(keys, &unknown, "", (struct rk_tag_out){tag, used}), RK_E_NOENT);
    assert_int_equal(rk_chankeys_verify(keys, &unknown, "00000000000000000000000000000000", used), RK_E_NOENT);
    assert_int_equal(add(keys, &(struct rk_wrap_of){"a/b", "k"}, 9, hex), RK_E_CONTRACT);
    assert_int_equal(add(keys, &(struct rk_wrap_of){"a-b-3", ""}, 9, hex), RK_E_CONTRACT);
    fd = sealed(7, RK_CHANKEY_BYTES - 1);
    assert_int_equal(rk_chankeys_add(keys, &(struct rk_wrap_of){"a-b-4", "k"}, fd, hex), RK_E_CONTRACT);
    rk_secret_fd_wipe(fd);
    fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(rk_chankeys_add(keys, &(struct rk_wrap_of){"a-b-4", "k"}, fd, hex), RK_E_CONTRACT);
    close(fd);
    rk_chankeys_free(&keys);
}

/* Of very many links, so that the table grows and more memory is locked. */
static void
test_many(void **state)
{
    struct rk_chankeys *keys = opened(AUTH_1 "\n");
    char hex[RK_WRAP_HEX + 1], link[16], tag[RK_CONFIRM_HEX + 1];
    int fd = sealed(3, RK_CHANKEY_BYTES);

    (void)state;
    for (int i = 0; i < 5000; i++) {
        snprintf(link, sizeof link, "link-%d", i);
        assert_int_equal(rk_chankeys_add(keys, &(struct rk_wrap_of){link, "k1"}, fd, hex), RK_OK);
    }
    rk_secret_fd_wipe(fd);
    assert_int_equal(add(keys, &k1, 3, hex), RK_OK);
    assert_string_equal(signer(keys, "k1", tag), "k1");
    for (int i = 0; i < 5000; i += 499) {
        snprintf(link, sizeof link, "link-%d", i);
        assert_string_equal(verified(keys, link, tag), "k1");
    }
    rk_chankeys_free(&keys);
}

/* What is in use of the heap [bytes]; 0 or always the same where it is not glibc's. */
static size_t
heap_bytes(void)
{
#if defined __GLIBC__ && __GLIBC_PREREQ(2, 33)
    return mallinfo2().uordblks;
#else
    return 0;
#endif
}

/* Very many links: what one costs, with a channel key and a record; 32 bytes more are in locked memory. */
static void
test_cost(void **state)
{
    enum { LINKS = 10000 };
    struct rk_chankeys *keys = opened(AUTH_1 "\n");
    char hex[RK_WRAP_HEX + 1], link[16];
    size_t begin = heap_bytes(), bytes;
    int fd = sealed(3, RK_CHANKEY_BYTES);

    (void)state;
    for (int i = 0; i < LINKS; i++) {
        snprintf(link, sizeof link, "l%06d", i);
        assert_int_equal(rk_chankeys_add(keys, &(struct rk_wrap_of){link, ID}, fd, hex), RK_OK);
        assert_int_equal(rk_chankeys_flow(keys, link, "record", RK_NS_PER_S), RK_FLOW_PASS);
    }
    bytes = heap_bytes() - begin;
    rk_secret_fd_wipe(fd);
    rk_chankeys_free(&keys);
    if (bytes == 0)
        skip(); /* the allocator cannot be asked */
    assert_in_range(bytes / LINKS, 64, 256);
}

static void
test_restart(void **state)
{
    struct rk_chankeys *keys = opened(AUTH_1 "\n");
    char hex[RK_WRAP_HEX + 1], again[RK_WRAP_HEX + 1], tag[RK_CONFIRM_HEX + 1];

    (void)state;
    assert_int_equal(add(keys, &k1, 1, hex), RK_OK);
    assert_string_equal(signer(keys, "k1", tag), "k1");
    assert_int_equal(rk_chankeys_wrap(keys, &k1, again), RK_OK);
    assert_int_equal(rk_chankeys_wrap(keys, &k2, again), RK_E_NOENT);
    assert_int_equal(rk_chankeys_wrap(keys, &k1, again), RK_OK);
    rk_chankeys_free(&keys);
    keys = opened("* " AUTH_2 "\n* " AUTH_1 "\n"); /* the old one is there yet */
    assert_int_equal(rk_chankeys_restore(keys, &k1, hex), RK_OK);
    assert_string_equal(verified(keys, "a-b-1", tag), "k1");
    assert_int_equal(rk_chankeys_restore(keys, &k2, hex), RK_E_AUTH);
    assert_int_equal(rk_chankeys_restore(keys, &k2, "junk"), RK_E_PROTOCOL);
    assert_string_equal(verified(keys, "a-b-1", tag), "k1");
    rk_chankeys_free(&keys);
    keys = opened("* " AUTH_2 "\n");
    assert_int_equal(rk_chankeys_restore(keys, &k1, again), RK_E_AUTH);
    assert_string_equal(verified(keys, "a-b-1", tag), "?");
    rk_chankeys_free(&keys);
}

/* The file is looked at once in a while: until it was. */
static const char *
verified_later(struct rk_chankeys *keys, const char *tag, const char *until)
{
    const struct timespec pause = {.tv_nsec = 20 * RK_NS_PER_MS};

    for (int i = 0; i < 500 && strcmp(verified(keys, "a-b-1", tag), until) != 0; i++) {
        nanosleep(&pause, NULL);
        rk_chankeys_look(keys);
    }
    return verified(keys, "a-b-1", tag);
}

static void
test_changed_file(void **state)
{
    struct rk_chankeys *keys = opened(AUTH_1 "\n"), *theirs;
    char old[RK_CONFIRM_HEX + 1], new[RK_CONFIRM_HEX + 1];

    (void)state;
    signer(keys, "", old);
    theirs = opened("* " AUTH_2 "\n");
    signer(theirs, "", new);
    rk_chankeys_free(&theirs);
    assert_string_equal(verified(keys, "a-b-1", new), "?");
    put_file("* " AUTH_1 "\n* " AUTH_2 "\n");
    assert_string_equal(verified_later(keys, new, ""), "");
    assert_string_equal(verified(keys, "a-b-1", old), "");
    put_file("* " AUTH_2 "\n*\n"); /* wrong: nothing changes */
    for (int64_t end_ns = rk_now_ns() + 3 * RK_AUTH_LOOK_MS * RK_NS_PER_MS / 2; rk_now_ns() < end_ns;)
        rk_chankeys_look(keys);
    assert_string_equal(verified(keys, "a-b-1", old), "");
    put_file("* " AUTH_2 "\n");
    assert_string_equal(verified_later(keys, old, "?"), "?");
    assert_string_equal(verified(keys, "a-b-1", new), "");
    rk_chankeys_free(&keys);
}

static void
test_no_file(void **state)
{
    struct rk_chankeys *keys;
    char why[200];

    (void)state;
    unlink(path);
    assert_int_equal(rk_chankeys_new(value, &keys, why, sizeof why), RK_E_NOENT);
    assert_null(keys);
    put_file("a-b-1 " AUTH_1 " x\n");
    assert_int_equal(rk_chankeys_new(value, &keys, why, sizeof why), RK_E_CONFIG);
    assert_non_null(strstr(why, "/auth: line 1: more than"));
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(rk_chankeys_new(value, &keys, why, sizeof why), RK_E_UNSAFE);
}

/* ---- how many ---- */

static void
test_flow(void **state)
{
    struct rk_flow f = {.full_ns = 0};
    const int64_t begin_ns = 1000 * RK_NS_PER_S;
    char record[24];
    int passed = 0;

    (void)state;
    for (int i = 0; i < 10 * RK_RECORDS_BURST; i++) {
        snprintf(record, sizeof record, "record %d", i);
        passed += rk_flow_take(&f, record, begin_ns) == RK_FLOW_PASS;
    }
    assert_int_equal(passed, RK_RECORDS_BURST);
    assert_int_equal(rk_flow_take(&f, "one more", begin_ns + RK_NS_PER_S / RK_RECORDS_PER_S - 1), RK_FLOW_OVER);
    assert_int_equal(rk_flow_take(&f, "one more", begin_ns + RK_NS_PER_S / RK_RECORDS_PER_S), RK_FLOW_PASS);
    assert_int_equal(rk_flow_take(&f, "and one", begin_ns + RK_NS_PER_S / RK_RECORDS_PER_S), RK_FLOW_OVER);
    assert_int_equal(rk_flow_take(&f, "and one", begin_ns + 60 * RK_NS_PER_S), RK_FLOW_PASS);
}

static void
test_repeats(void **state)
{
    struct rk_flow f = {.full_ns = 0};
    int64_t now_ns = RK_NS_PER_S;
    int passed = 0;

    (void)state;
    for (int i = 0; i < 10000; i++) /* a thousand in a second, of two records in turn */
        passed += rk_flow_take(&f, i % 2 ? "this" : "that", now_ns + i * RK_NS_PER_MS) == RK_FLOW_PASS;
    assert_in_range(passed, 190, 210);
    now_ns += 10 * RK_NS_PER_S;
    for (int i = 0; i < RK_RECORDS_BURST; i++) { /* repeats have taken nothing of the rate */
        char record[24];

        snprintf(record, sizeof record, "record %d", i);
        assert_int_equal(rk_flow_take(&f, record, now_ns), RK_FLOW_PASS);
    }
    assert_int_equal(rk_flow_take(&f, "record 99", now_ns), RK_FLOW_DROP);
    assert_int_equal(rk_flow_take(&f, "record 0", now_ns), RK_FLOW_OVER); /* forgotten long ago */
}

/* 49.7 days are 2^32 ms. */
static void
test_long_time(void **state)
{
    const int64_t wrap_ns = (INT64_C(1) << 32) * RK_NS_PER_MS, ms = RK_NS_PER_MS;
    struct rk_flow f = {.full_ns = 0};

    (void)state;
    assert_int_equal(rk_flow_take(&f, "this", wrap_ns - ms), RK_FLOW_PASS);
    assert_int_equal(rk_flow_take(&f, "this", wrap_ns + (RK_REPEAT_MS - 2) * ms), RK_FLOW_DROP);
    assert_int_equal(rk_flow_take(&f, "this", wrap_ns + (RK_REPEAT_MS - 1) * ms), RK_FLOW_PASS);
    for (int64_t at_ns = 2 * wrap_ns, day_ns = 86400 * RK_NS_PER_S; at_ns < 4 * wrap_ns; at_ns += 29 * day_ns)
        assert_int_equal(rk_flow_take(&f, "this", at_ns), RK_FLOW_PASS);
}

/* A link of which nothing is held any more begins anew when it comes back. */
static void
test_forgotten(void **state)
{
    struct rk_chankeys *keys = opened(AUTH_1 "\n");
    const char *const none[] = {""}, *const k1_only[] = {"k1"};
    char hex[RK_WRAP_HEX + 1], record[24], tag[RK_CONFIRM_HEX + 1];

    (void)state;
    assert_int_equal(add(keys, &k1, 1, hex), RK_OK);
    for (int i = 0; i < RK_RECORDS_BURST; i++) {
        snprintf(record, sizeof record, "record %d", i);
        assert_int_equal(rk_chankeys_flow(keys, "a-b-1", record, RK_NS_PER_S), RK_FLOW_PASS);
    }
    rk_chankeys_keep(keys, "a-b-1", k1_only, 1);
    assert_int_equal(rk_chankeys_flow(keys, "a-b-1", "one more", RK_NS_PER_S), RK_FLOW_OVER);
    rk_chankeys_keep(keys, "a-b-1", none, 1);
    assert_int_equal(rk_chankeys_flow(keys, "a-b-1", "one more", RK_NS_PER_S), RK_FLOW_PASS);
    assert_int_equal(add(keys, &k1, 1, hex), RK_OK);
    assert_string_equal(signer(keys, "k1", tag), "k1");
    rk_chankeys_free(&keys);
}

static int
make_dir(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/auth", dir);
    snprintf(value, sizeof value, "file:%s", path);
    return 0;
}

static int
remove_dir(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vector), cmocka_unit_test(test_wrap), cmocka_unit_test(test_sign_and_verify),
        cmocka_unit_test(test_bounds), cmocka_unit_test(test_many), cmocka_unit_test(test_restart),
        cmocka_unit_test(test_changed_file), cmocka_unit_test(test_no_file), cmocka_unit_test(test_flow),
        cmocka_unit_test(test_repeats), cmocka_unit_test(test_long_time), cmocka_unit_test(test_forgotten),
        cmocka_unit_test(test_cost),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
