/* kdf_test.c - derivations against vectors that were made by other means (RFC 5869; Python's hashlib and hmac). */
#include "core/host/kdf.h"

#include "core/base/text.h"

#include <rekey/err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static int
fill(unsigned char *bytes, size_t len, void *arg)
{
    memcpy(bytes, arg, len);
    return RK_OK;
}

static struct rk_secret *
secret(const void *bytes, size_t len)
{
    struct rk_secret *s;

    assert_int_equal(rk_secret_new(len, fill, (void *)(size_t)bytes, &s), RK_OK);
    return s;
}

/* The 32 bytes 00 01 .. 1f. */
static struct rk_secret *
counting(void)
{
    unsigned char bytes[32];

    for (unsigned char i = 0; i < 32; i++)
        bytes[i] = i;
    return secret(bytes, sizeof bytes);
}

static int
to_hex(const unsigned char *bytes, size_t len, void *arg)
{
    rk_hex_put(bytes, len, arg);
    return RK_OK;
}

static int
digest(const unsigned char *bytes, size_t len, void *arg)
{
    return rk_kdf_sha256(bytes, len, arg);
}

/* RFC 5869, A.3: SHA-256 with salt and info of no length. */
static void
test_rfc5869_case_3(void **state)
{
    unsigned char ikm[22];
    struct rk_secret *key, *okm;
    char hex[2 * 42 + 1];

    (void)state;
    memset(ikm, 0x0b, sizeof ikm);
    key = secret(ikm, sizeof ikm);
    assert_int_equal(rk_kdf_derive(key, "", 0, 42, &okm), RK_OK);
    rk_secret_use(okm, to_hex, hex);
    assert_string_equal(hex, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
    rk_secret_free(&okm);
    assert_int_equal(rk_kdf_derive(key, NULL, 0, 42, &okm), RK_OK);
    rk_secret_use(okm, to_hex, hex);
    assert_memory_equal(hex, "8da4e775", 8);
    rk_secret_free(&okm);
    rk_secret_free(&key);
}

static void
test_long_output(void **state)
{
    struct rk_secret *key = counting(), *okm;
    unsigned char sum[32];
    char hex[65];

    (void)state;
    assert_int_equal(rk_kdf_derive(key, "long", 4, 4096, &okm), RK_OK);
    assert_int_equal(rk_secret_use(okm, digest, sum), RK_OK);
    rk_hex_put(sum, 32, hex);
    assert_string_equal(hex, "9ec3e640201c2e5ecfe9f95b9df3b0ca9f8a0e611d199ff2ebe3291557870dd4");
    rk_secret_free(&okm);
    assert_int_equal(rk_kdf_derive(key, "x", 1, 0, &okm), RK_E_CONTRACT);
    assert_null(okm);
    assert_int_equal(rk_kdf_derive(key, "x", 1, 255 * 32 + 1, &okm), RK_E_CONTRACT);
    assert_int_equal(rk_kdf_derive(key, "x", 1, RK_SECRET_MAX + 1, &okm), RK_E_CONTRACT);
    rk_secret_free(&key);
}

/* One block is made in another way than more of them: it is what the longer one begins with. */
static void
test_one_block(void **state)
{
    static const size_t infos[] = {0, 1, 31, 100, 1022, 1023, 1024, 2000}, lens[] = {1, 16, 31, 32};
    static char info[2000];
    struct rk_secret *key = counting(), *more, *okm;
    char hex[2 * 33 + 1], first[2 * 33 + 1];

    (void)state;
    memset(info, 'i', sizeof info);
    for (size_t i = 0; i < sizeof infos / sizeof *infos; i++) {
        assert_int_equal(rk_kdf_derive(key, info, infos[i], 33, &more), RK_OK);
        rk_secret_use(more, to_hex, hex);
        for (size_t l = 0; l < sizeof lens / sizeof *lens; l++) {
            assert_int_equal(rk_kdf_derive(key, info, infos[i], lens[l], &okm), RK_OK);
            assert_int_equal(rk_secret_len(okm), lens[l]);
            rk_secret_use(okm, to_hex, first);
            assert_memory_equal(first, hex, 2 * lens[l]);
            rk_secret_free(&okm);
        }
        rk_secret_free(&more);
    }
    rk_secret_free(&key);
}

static void
test_sha256(void **state)
{
    unsigned char sum[32];
    char hex[65];

    (void)state;
    assert_int_equal(rk_kdf_sha256("abc", 3, sum), RK_OK);
    rk_hex_put(sum, 32, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void
test_confirm(void **state)
{
    static const struct {
        uint64_t seq;
        uint32_t role;
        const char *tag;
    } rows[] = {
        {1, 1, "467c8fe87b3266250dd74e91faf65dc2"},
        {1, 2, "4735fad118bece6864a8930ba6add90b"},
        {UINT64_C(0x0102030405060708), 1, "eaeb9f0bc3c1389ccf3551069e58e822"},
    };
    struct rk_secret *key = counting();
    char hex[RK_CONFIRM_HEX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(rk_kdf_confirm(key, "a-b-1", "550e8400-e29b-41d4-a716-446655440000", rows[i].seq,
                                        rows[i].role, hex), RK_OK);
        assert_string_equal(hex, rows[i].tag);
    }
    rk_secret_free(&key);
}

/* Both tags from one derivation are those that each end makes of itself. */
static void
test_confirms(void **state)
{
    struct rk_secret *key = counting();
    char mine[RK_CONFIRM_HEX + 1], theirs[RK_CONFIRM_HEX + 1], want[RK_CONFIRM_HEX + 1];

    (void)state;
    for (uint32_t role = 1; role <= 2; role++) {
        const struct rk_confirm_of of = {"a-b-1", "550e8400-e29b-41d4-a716-446655440000", 9, role};

        assert_int_equal(rk_kdf_confirms(key, &of, (struct rk_confirm){mine, theirs}), RK_OK);
        assert_int_equal(rk_kdf_confirm(key, of.link, of.key_id, 9, role, want), RK_OK);
        assert_string_equal(mine, want);
        assert_int_equal(rk_kdf_confirm(key, of.link, of.key_id, 9, 3 - role, want), RK_OK);
        assert_string_equal(theirs, want);
        assert_string_not_equal(theirs, mine);
    }
    rk_secret_free(&key);
}

static void
test_record(void **state)
{
    static const char text[] = "rk1|a-b-1|M|1|7|O|k|p|f|";
    unsigned char bytes[32];
    const struct rk_bytes key = {bytes, sizeof bytes};
    char hex[RK_CONFIRM_HEX + 1];

    (void)state;
    for (unsigned char i = 0; i < 32; i++)
        bytes[i] = i;
    assert_int_equal(rk_kdf_record(key, (struct rk_parties){"SAE_A", "SAE_B"}, text, hex), RK_OK);
    assert_string_equal(hex, "801f311796e1ca5b33a97f2ef1ad9c78");
    assert_int_equal(rk_kdf_record(key, (struct rk_parties){"SAE_B", "SAE_A"}, text, hex), RK_OK);
    assert_string_equal(hex, "2dcfdd9f14ac1631df6b9bd43580e913");
    /* where one name ends is part of what is signed */
    assert_int_equal(rk_kdf_record(key, (struct rk_parties){"SAE_AS", "AE_B"}, "rk1", hex), RK_OK);
    assert_string_equal(hex, "22477a30d15ad4a7ee07fe59f35ce80b");
}

static int
to_bytes(const unsigned char *bytes, size_t len, void *arg)
{
    memcpy(arg, bytes, len);
    return RK_OK;
}

/* In Python: hmac.new(prk, b"rekey channel v1\0a-b-1\0550e...\0\1", "sha256") with prk = hmac.new(b"\0" * 32, key,
 * "sha256").digest(), and so on for the tag under what comes out, and for what wraps. */
static void
test_channel(void **state)
{
    static const char id[] = "550e8400-e29b-41d4-a716-446655440000",
                      text[] = "rk1|a-b-1|M|1|7|A|550e8400-e29b-41d4-a716-446655440000||sci=0011223344556677|";
    struct rk_secret *key = counting(), *out;
    const struct rk_confirm_of of = {.link = "a-b-1", .key_id = id}, other = {.link = "a-b-10", .key_id = id};
    unsigned char bytes[32];
    char hex[65], tag[RK_CONFIRM_HEX + 1];

    (void)state;
    assert_int_equal(rk_kdf_channel(key, &of, &out), RK_OK);
    rk_secret_use(out, to_bytes, bytes);
    rk_secret_free(&out);
    rk_hex_put(bytes, 32, hex);
    assert_string_equal(hex, "81276ba54532112a7838e767a6f3321657248d8333dcfd6342d88f1514147feb");
    assert_int_equal(rk_kdf_record((struct rk_bytes){bytes, 32}, (struct rk_parties){"SAE_A", "SAE_B"}, text, tag),
                     RK_OK);
    assert_string_equal(tag, "a23b20d7ebbda4c0103dcebd3dcfbc31");
    assert_int_equal(rk_kdf_channel(key, &other, &out), RK_OK);
    rk_secret_use(out, to_hex, hex);
    assert_memory_not_equal(hex, "81276ba5", 8);
    rk_secret_free(&out);
    rk_secret_use(key, to_bytes, bytes);
    assert_int_equal(rk_kdf_wrap((struct rk_bytes){bytes, 32}, "a-b-1", &out), RK_OK);
    rk_secret_use(out, to_hex, hex);
    assert_string_equal(hex, "080eb9f1b74a0127df4ea11a322ce4ab76b3ea558f2589898868ea8c368b65b2");
    rk_secret_free(&out);
    rk_secret_free(&key);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc5869_case_3), cmocka_unit_test(test_long_output), cmocka_unit_test(test_one_block),
        cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_confirm), cmocka_unit_test(test_confirms), cmocka_unit_test(test_record),
        cmocka_unit_test(test_channel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
