/* kme_parts_test.c - key IDs, pools, the memory of fetched IDs, fault words.  No time but a parameter. */
#include <contrib/kme/fault.h>
#include <contrib/kme/keys.h>
#include <contrib/kme/personality.h>
#include <contrib/kme/store.h>

#include <core/base/clock.h>
#include <rekey/device.h>
#include <rekey/err.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const struct kme_names a_to_b = {"SAE_A", "SAE_B"};

static struct kme_secret
secret(unsigned char fill)
{
    struct kme_secret s;

    memset(s.root, fill, sizeof s.root);
    return s;
}

static void
id_is_for_one_pair(void **state)
{
    struct kme_secret s = secret(1), other = secret(2);
    const struct kme_names back = {"SAE_B", "SAE_A"}, longer = {"SAE_AS", "AE_B"}, third = {"SAE_A", "SAE_C"};
    struct kme_id id;

    (void)state;
    assert_int_equal(kme_id_make(&s, &a_to_b, &(struct kme_about){.key_bytes = 32}, &id), RK_OK);
    assert_true(kme_id_issued(&s, &a_to_b, &id));
    assert_int_equal(kme_id_key_bytes(&id), 32);
    assert_false(kme_id_issued(&other, &a_to_b, &id));
    assert_false(kme_id_issued(&s, &back, &id));
    assert_false(kme_id_issued(&s, &longer, &id)); /* the same letters, cut elsewhere */
    assert_false(kme_id_issued(&s, &third, &id));
}

static void
id_with_a_changed_bit_was_not_issued(void **state)
{
    struct kme_secret s = secret(1);
    struct kme_id id;

    (void)state;
    assert_int_equal(kme_id_make(&s, &a_to_b, &(struct kme_about){.key_bytes = 32}, &id), RK_OK);
    for (unsigned bit = 0; bit < 128; bit++) {
        id.bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        assert_false(kme_id_issued(&s, &a_to_b, &id));
        id.bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    assert_true(kme_id_issued(&s, &a_to_b, &id));
}

static void
id_is_a_uuid(void **state)
{
    struct kme_secret s = secret(1);
    struct kme_id id, again;
    char text[KME_ID_TEXT], upper[KME_ID_TEXT];

    (void)state;
    assert_int_equal(kme_id_make(&s, &a_to_b, &(struct kme_about){.key_bytes = KME_KEY_BYTES_MAX}, &id), RK_OK);
    assert_int_equal(kme_id_key_bytes(&id), KME_KEY_BYTES_MAX);
    kme_id_put(&id, text);
    assert_int_equal(strlen(text), 36);
    assert_int_equal(text[14], '4');                /* version (RFC 9562 4.2) */
    assert_non_null(strchr("89ab", text[19]));      /* variant (4.1) */
    for (size_t i = 0; i < sizeof text; i++)
        upper[i] = text[i] >= 'a' && text[i] <= 'f' ? (char)(text[i] - 'a' + 'A') : text[i];
    assert_true(kme_id_get(upper, &again));
    assert_memory_equal(&id, &again, sizeof id);
}

static void
id_text_is_checked(void **state)
{
    static const char *const bad[] = {"",
                                      "x",
                                      "00000000-0000-4000-8000-00000000000",
                                      "00000000-0000-4000-8000-0000000000000",
                                      "00000000-0000-4000-8000-00000000000g",
                                      "000000000000-4000-8000-0000-00000000",
                                      "00000000x0000-4000-8000-000000000000",
                                      "00000000-0000-4000-8000-00000000-000"};
    struct kme_id id;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(kme_id_get(bad[i], &id));
}

static void
key_is_the_same_at_both_ends(void **state)
{
    struct kme_secret s = secret(7);
    struct kme_id id, id2;
    unsigned char mine[64], theirs[64], next[64];

    (void)state;
    assert_int_equal(kme_id_make(&s, &a_to_b, &(struct kme_about){.key_bytes = 64}, &id), RK_OK);
    assert_int_equal(kme_id_make(&s, &a_to_b, &(struct kme_about){.key_bytes = 64}, &id2), RK_OK);
    assert_int_equal(kme_key(&s, &a_to_b, &id, mine), RK_OK);
    assert_int_equal(kme_key(&s, &a_to_b, &id, theirs), RK_OK);
    assert_int_equal(kme_key(&s, &a_to_b, &id2, next), RK_OK);
    assert_memory_equal(mine, theirs, 64);
    assert_memory_not_equal(mine, next, 64);
    assert_memory_not_equal(mine, mine + 32, 32);
}

/* Computed apart from OpenSSL, with RFC 2104 and RFC 5869: two releases in one lab must agree. */
static void
key_has_a_known_value(void **state)
{
    static const unsigned char expect[] = {
        0xbf, 0x95, 0x36, 0x7c, 0x13, 0xdf, 0xa8, 0xd6, 0x0d, 0xfd, 0xe2, 0x91, 0x57, 0x58, 0x17, 0xe6,
        0x07, 0x0e, 0x17, 0x37, 0x1a, 0x99, 0xa2, 0x08, 0xd7, 0x48, 0x0c, 0xd4, 0xab, 0x10, 0xa7, 0x34};
    struct kme_secret s = secret(7);
    struct kme_id id;
    unsigned char key[32];

    (void)state;
    assert_true(kme_id_get("00010203-0405-4607-8020-dd6886a1b93f", &id));
    assert_true(kme_id_issued(&s, &a_to_b, &id));
    assert_int_equal(kme_key(&s, &a_to_b, &id, key), RK_OK);
    assert_memory_equal(key, expect, sizeof expect);
}

static void
write_file(const char *path, mode_t mode, const char *text, size_t len)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void
pair_secret_file_is_checked(void **state)
{
    char dir[] = "/tmp/kme-test-XXXXXX", path[64], why[RK_WHY_MAX], big[KME_PAIR_SECRET_MAX + 2];
    struct kme_secret one, two;

    (void)state;
    memset(big, 'x', sizeof big);
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/secret", dir);
    assert_int_equal(kme_secret_load(path, &one, why), RK_E_CONFIG);
    assert_non_null(strstr(why, "No such file"));
    write_file(path, 0600, "0123456789abcdef0123456789abcdef\n", 33);
    assert_int_equal(kme_secret_load(path, &one, why), RK_OK);
    write_file(path, 0600, "0123456789abcdef0123456789abcdef", 32);
    assert_int_equal(kme_secret_load(path, &two, why), RK_OK);
    assert_memory_equal(&one, &two, sizeof one); /* with or without a newline */
    write_file(path, 0640, "0123456789abcdef0123456789abcdef", 32);
    assert_int_equal(kme_secret_load(path, &one, why), RK_E_CONFIG);
    assert_non_null(strstr(why, "chmod 600"));
    write_file(path, 0600, "0123456789abcdef0123456789abcde\n", 32);
    assert_int_equal(kme_secret_load(path, &one, why), RK_E_CONFIG);
    assert_non_null(strstr(why, "holds 31 bytes"));
    write_file(path, 0600, big, sizeof big);
    assert_int_equal(kme_secret_load(path, &one, why), RK_E_CONFIG);
    assert_int_equal(kme_secret_load(dir, &one, why), RK_E_CONFIG);
    unlink(path);
    rmdir(dir);
}

static void
pool_empties_and_fills(void **state)
{
    const struct kme_pool_conf conf = {.max_bits = 10, .start_bits = 10, .bits_per_s = 4};
    const int64_t t = 50 * RK_NS_PER_S;
    struct kme_pool pool;

    (void)state;
    kme_pool_start(&pool, &conf, t);
    assert_false(kme_pool_take(&pool, 11, t));
    assert_true(kme_pool_take(&pool, 10, t));
    assert_false(kme_pool_take(&pool, 1, t + 249 * RK_NS_PER_MS));
    assert_int_equal(kme_pool_level(&pool, t + 250 * RK_NS_PER_MS), 1);
    assert_int_equal(kme_pool_level(&pool, t + 1900 * RK_NS_PER_MS), 7);
    assert_int_equal(kme_pool_level(&pool, t + 2000 * RK_NS_PER_MS), 8); /* fractions are kept */
    assert_int_equal(kme_pool_level(&pool, t + INT64_C(100000000) * RK_NS_PER_S), 10);
    assert_true(kme_pool_take(&pool, 10, t + INT64_C(100000000) * RK_NS_PER_S));
    assert_int_equal(kme_pool_level(&pool, t), 0); /* a clock that goes back gives nothing */
}

static void
pool_of_the_highest_rate(void **state)
{
    const struct kme_pool_conf conf = {.max_bits = INT64_C(100000000) * 65280, .bits_per_s = KME_POOL_RATE_MAX};
    struct kme_pool pool;

    (void)state;
    kme_pool_start(&pool, &conf, 0);
    assert_int_equal(kme_pool_level(&pool, RK_NS_PER_S - 1), KME_POOL_RATE_MAX - 9);
    assert_int_equal(kme_pool_level(&pool, INT64_MAX / 2), conf.max_bits);
}

static void
pool_without_refill_stays_empty(void **state)
{
    const struct kme_pool_conf conf = {.max_bits = 2, .start_bits = 2};
    struct kme_pool pool;

    (void)state;
    kme_pool_start(&pool, &conf, 0);
    assert_true(kme_pool_take(&pool, 2, 1));
    assert_false(kme_pool_take(&pool, 1, INT64_MAX));
}

static void
id_tells_its_age(void **state)
{
    const struct kme_about about = {.key_bytes = 32, .stamp = 0xfffffff0u}, ones = {32, 5, true};
    struct kme_secret s = secret(1);
    struct kme_id id, first;
    char text[KME_ID_TEXT];

    (void)state;
    assert_int_equal(kme_id_make(&s, &a_to_b, &about, &id), RK_OK);
    assert_int_equal(kme_id_age(&id, INT64_C(0xabcfffffff0)), 0);
    assert_int_equal(kme_id_age(&id, INT64_C(0xabd00000010)), 32); /* over the end of the stamp */
    assert_int_equal(kme_id_age(&id, INT64_C(0xabcffffffe0)), -16);
    assert_int_equal(kme_id_make(&s, &a_to_b, &ones, &id), RK_OK);
    kme_id_put(&id, text);
    assert_memory_equal(text, "ffffffff-", 9);
    assert_int_equal(kme_id_make(&s, &a_to_b, &(struct kme_about){32, 6, true}, &first), RK_OK);
    assert_memory_not_equal(&id, &first, sizeof id);
    assert_true(kme_id_issued(&s, &a_to_b, &id));
}

/* An ID whose random half is n, as an issued one has the version nibble. */
static struct kme_id
numbered(uint64_t n)
{
    struct kme_id id = {{0}};

    memcpy(id.bytes, &n, 6);
    id.bytes[6] = 0x40;
    return id;
}

static void
seen_remembers_the_last_million(void **state)
{
    const uint64_t total = 2 * (uint64_t)KME_SEEN_MAX + 10;
    struct kme_seen seen = {0};
    struct kme_id id = numbered(1);

    (void)state;
    assert_false(kme_seen_has(&seen, &id));
    for (uint64_t i = 0; i < total; i++) {
        id = numbered(i);
        assert_int_equal(kme_seen_reserve(&seen, 1), RK_OK);
        kme_seen_add(&seen, &id);
    }
    for (uint64_t i = total - KME_SEEN_MAX; i < total; i++) {
        id = numbered(i);
        assert_true(kme_seen_has(&seen, &id));
    }
    id = numbered(0);
    assert_false(kme_seen_has(&seen, &id)); /* bounded: the oldest are forgotten */
    id = numbered(total);
    assert_false(kme_seen_has(&seen, &id));
    kme_seen_free(&seen);
}

static struct kme_fault
parsed(const char *text, unsigned call)
{
    struct kme_faults faults = {.n = 0};
    char why[RK_WHY_MAX];
    uint64_t dice = 1;

    if (kme_faults_parse(text, &faults, why) != RK_OK)
        fail_msg("%s: %s", text, why);
    return kme_faults_roll(&faults, call, &dice);
}

static void
fault_words(void **state)
{
    struct kme_fault f = parsed("slow:3s, short-key\n", KME_C_ENC);

    (void)state;
    assert_true(f.on[KME_F_SHORT_KEY] && f.on[KME_F_SLOW]);
    assert_int_equal(f.value[KME_F_SLOW], 3000);
    assert_false(parsed("none", KME_C_ENC).any);
    assert_false(parsed(" \n", KME_C_ENC).any);
    f = parsed("429:100%:2s", KME_C_STATUS);
    assert_int_equal(f.value[KME_F_CODE], 429);
    assert_int_equal(f.retry_s, 2);
    assert_int_equal(parsed("503", KME_C_ENC).retry_s, -1);
    assert_int_equal(parsed("clock:-3600s", KME_C_ENC).value[KME_F_CLOCK], -3600);
    assert_int_equal(parsed("huge", KME_C_ENC).value[KME_F_HUGE], 128);
    assert_int_equal(parsed("late:250ms", KME_C_DEC).value[KME_F_LATE], 250);
}

static void
fault_words_are_for_some_calls(void **state)
{
    (void)state;
    assert_false(parsed("refuse-enc", KME_C_DEC).any);
    assert_true(parsed("refuse-enc", KME_C_ENC).on[KME_F_REFUSE]);
    assert_false(parsed("hang@dec", KME_C_ENC).any);
    assert_true(parsed("hang@dec", KME_C_DEC).on[KME_F_HANG]);
    assert_false(parsed("expired", KME_C_ENC).any);
    assert_true(parsed("expired", KME_C_CONNECT).on[KME_F_EXPIRED]);
    assert_false(parsed("html", KME_C_CONNECT).any);
}

static void
wrong_fault_words(void **state)
{
    static const char *const bad[] = {"shortkey", "slow",    "slow:3", "slow:",      "slow:601s", "slow:-1s", "html:3s",
                                      "503:101%", "503:x%", "503@x", "late:1s@enc", "expired@dec", "418", "slow:1s:2s",
                                      "huge:0KiB", "clock:99999999999999s", ":5%", "@dec"};
    char why[RK_WHY_MAX], many[512] = "";

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct kme_faults faults = {.n = 0};

        if (kme_faults_parse(bad[i], &faults, why) != RK_E_CONFIG)
            fail_msg("'%s' was taken", bad[i]);
        assert_non_null(strstr(why, "fault '"));
    }
    for (int i = 0; i <= KME_FAULT_WORDS; i++)
        strcat(many, "html ");
    assert_int_equal(kme_faults_parse(many, &(struct kme_faults){.n = 0}, why), RK_E_CONFIG);
}

static void
probability_repeats_with_its_seed(void **state)
{
    struct kme_faults faults = {.n = 0};
    char why[RK_WHY_MAX];
    uint64_t one = 7, two = 7;
    int n = 0;

    (void)state;
    assert_int_equal(kme_faults_parse("503:10% hang:0%", &faults, why), RK_OK);
    for (int i = 0; i < 10000; i++) {
        struct kme_fault f = kme_faults_roll(&faults, KME_C_ENC, &one);

        assert_false(f.on[KME_F_HANG]);
        assert_int_equal(f.any, kme_faults_roll(&faults, KME_C_ENC, &two).any);
        n += f.on[KME_F_CODE];
    }
    assert_in_range(n, 900, 1100);
}

/* What --list-faults prints can be used as it is. */
static void
listed_faults_are_faults(void **state)
{
    char *text = NULL, *save = NULL;
    size_t size = 0, n = 0;
    FILE *f = open_memstream(&text, &size);

    (void)state;
    assert_non_null(f);
    kme_faults_list(f);
    assert_int_equal(fclose(f), 0);
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        *strchr(line, '\t') = '\0';
        if (strcmp(line, "none") != 0)
            assert_true(parsed(line, ~0u).any);
        n++;
    }
    assert_true(n > 50);
    free(text);
}

static void
fault_file_counts_when_it_is_there(void **state)
{
    char dir[] = "/tmp/kme-test-XXXXXX", path[64], why[RK_WHY_MAX];
    struct kme_faults usual = {.n = 0}, f;

    (void)state;
    assert_int_equal(kme_faults_parse("html", &usual, why), RK_OK);
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/fault", dir);
    assert_int_equal(kme_faults_now(&usual, path, &f, why), RK_OK);
    assert_int_equal(f.word[0].kind, KME_F_HTML);
    write_file(path, 0644, "drop\n", 5);
    assert_int_equal(kme_faults_now(&usual, path, &f, why), RK_OK);
    assert_int_equal(f.n, 1);
    assert_int_equal(f.word[0].kind, KME_F_DROP);
    write_file(path, 0644, "", 0);
    assert_int_equal(kme_faults_now(&usual, path, &f, why), RK_OK);
    assert_int_equal(f.n, 0);
    assert_int_equal(kme_faults_now(&usual, dir, &f, why), RK_E_CONFIG);
    unlink(path);
    rmdir(dir);
}

static void
personalities_are_whole(void **state)
{
    const struct kme_personality *as;

    (void)state;
    for (size_t i = 0; (as = kme_personality_at(i)) != NULL; i++) {
        assert_ptr_equal(kme_personality_find(as->name), as);
        assert_true(as->min_key_bits <= 256 && as->max_key_bits >= 256 && as->max_per_request > 0);
        assert_non_null(as->key_id);
        for (int what = 0; what < KME_R_COUNT; what++) {
            struct kme_say say = kme_personality_say(as, (enum kme_refusal)what);

            assert_in_range(say.code, 400, 599);
            assert_non_null(say.message);
        }
    }
    assert_null(kme_personality_find("rusty"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(id_is_for_one_pair),
        cmocka_unit_test(id_with_a_changed_bit_was_not_issued),
        cmocka_unit_test(id_is_a_uuid),
        cmocka_unit_test(id_text_is_checked),
        cmocka_unit_test(key_is_the_same_at_both_ends),
        cmocka_unit_test(key_has_a_known_value),
        cmocka_unit_test(pair_secret_file_is_checked),
        cmocka_unit_test(id_tells_its_age),
        cmocka_unit_test(pool_empties_and_fills),
        cmocka_unit_test(pool_of_the_highest_rate),
        cmocka_unit_test(pool_without_refill_stays_empty),
        cmocka_unit_test(seen_remembers_the_last_million),
        cmocka_unit_test(fault_words),
        cmocka_unit_test(fault_words_are_for_some_calls),
        cmocka_unit_test(wrong_fault_words),
        cmocka_unit_test(probability_repeats_with_its_seed),
        cmocka_unit_test(listed_faults_are_faults),
        cmocka_unit_test(personalities_are_whole),
        cmocka_unit_test(fault_file_counts_when_it_is_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
