/* host_mix_test.c - mixed keys: vectors that were made by Python's hashlib and hmac, and the verb in a real host. */
#include "core/host/mix.h"
#include "hostrig.h"

#include "core/base/secret.h"
#include "core/base/text.h"
#include "core/host/kdf.h"
#include "core/host/serve.h"

#include <rekey/err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define UUID_1 "550e8400-e29b-41d4-a716-446655440000"
#define UUID_2 "0f5ce8d4-5c2b-4e0f-9a3c-6d1be1b0a7f2"
#define SHORT_1 "~VQ6EAOKbQdSnFkRmVUQAAA"
#define SHORT_2 "~D1zo1FwrTg-aPG0b4bCn8g"
#define L32 "llllllllllllllllllllllllllllllll"
#define S64 "SSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSS"
#define A64 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define FIRST_KEY "7707583096e76308019205cbb9929445f422e6d565b963f442f8bf633d154f6d"

struct row {
    const char *part[RK_PARTS_MAX]; /* "" left out, NULL behind the last; */
    unsigned char byte[RK_PARTS_MAX]; /* the key of each is this one again and again */
    const char *link, *sae, *other_sae;
    uint32_t bits;
    const char *id, *key; /* of more than 256 bits: its SHA-256 */
};

static const struct row rows[] = {
    {{UUID_1, "pool-1"}, {1, 2}, "a-b-1", "SAE_A", "SAE_B", 256, SHORT_1 "+pool-1", FIRST_KEY},
    {{UUID_1, "pool-1"}, {1, 2}, "a-b-1", "SAE_B", "SAE_A", 256, SHORT_1 "+pool-1", FIRST_KEY},
    {{"pool-1", UUID_1}, {2, 1}, "a-b-1", "SAE_A", "SAE_B", 256, "pool-1+" SHORT_1,
     "8c7af378af7969d2567ee9c0effe660903cfe4541b909eb4b93dceaeb41f7e90"},
    {{UUID_1, ""}, {1, 0}, "a-b-1", "SAE_A", "SAE_B", 256, SHORT_1 "+",
     "b9bd3efd4ad75d06823e241e75ee5ecf75994c62cd56b0ef912c52b5942f1f42"},
    {{"", UUID_1}, {0, 1}, "a-b-1", "SAE_A", "SAE_B", 256, "+" SHORT_1,
     "8ca72a748adc02fa559a98a9124bf49d63f56dc69dcd2c36db0b38618646aa49"},
    {{UUID_1, UUID_2, "x"}, {1, 2, 3}, "l", "Z", "A", 128, SHORT_1 "+" SHORT_2 "+x",
     "d69a83505c8e79ae15e78b40eec314c6"},
    {{UUID_1, UUID_2, "x"}, {1, 2, 3}, L32, S64, A64, 4096, SHORT_1 "+" SHORT_2 "+x",
     "58fb6f5aff5b44e8bf4a86c4b0ed0984c54d9ed6befaa13376ec157a112c61b9"},
    {{UUID_1, "pool-1"}, {1, 2}, "a-b-2", "SAE_A", "SAE_B", 256, SHORT_1 "+pool-1",
     "5e77632d0bc1b7e72adc7f5f0e5aaa78f2ec4441eb8de1dd65e578b3f035f4a9"},
    {{UUID_1, "pool-1"}, {1, 2}, "a-b-1", "SAE_A", "SAE_C", 256, SHORT_1 "+pool-1",
     "ee6f6f6ac81352bec25f52a3a504cc39c3705b93e76535f840b9beec0c4e3ae3"},
};

static int
fill(unsigned char *bytes, size_t len, void *arg)
{
    memset(bytes, *(const unsigned char *)arg, len);
    return RK_OK;
}

static int
show(const unsigned char *bytes, size_t len, void *arg)
{
    unsigned char sum[32];

    if (len <= 32)
        rk_hex_put(bytes, len, arg);
    else if (rk_kdf_sha256(bytes, len, sum) == RK_OK)
        rk_hex_put(sum, sizeof sum, arg);
    return RK_OK;
}

static size_t
count_parts(const struct row *row)
{
    return row->part[2] ? 3 : 2;
}

static void
test_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *row = &rows[i];
        struct rk_mix mix = {.link = row->link, .sae = row->sae, .other_sae = row->other_sae, .bits = row->bits};
        struct rk_secret *part[RK_PARTS_MAX] = {NULL}, *key;
        char id[RK_KEY_ID_MAX + 1], hex[65] = "";

        mix.ids.n = count_parts(row);
        for (size_t k = 0; k < mix.ids.n; k++) {
            strcpy(mix.ids.id[k], row->part[k]);
            if (row->part[k][0])
                assert_int_equal(rk_secret_new(row->bits / 8, fill, (void *)(size_t)&row->byte[k], &part[k]), RK_OK);
            mix.part[k] = part[k];
        }
        assert_int_equal(rk_mix_keys(&mix, id, &key), RK_OK);
        assert_string_equal(id, row->id);
        assert_int_equal(rk_secret_len(key), row->bits / 8);
        rk_secret_use(key, show, hex);
        assert_string_equal(hex, row->key);
        rk_secret_free(&key);
        for (size_t k = 0; k < RK_PARTS_MAX; k++)
            rk_secret_free(&part[k]);
    }
}

static void
test_parts_and_ids_must_fit(void **state)
{
    struct rk_mix mix = {.ids = {2, {"a", ""}}, .link = "l", .sae = "A", .other_sae = "B", .bits = 256};
    unsigned char byte = 1;
    struct rk_secret *one, *key;
    char id[RK_KEY_ID_MAX + 1];

    (void)state;
    assert_int_equal(rk_secret_new(32, fill, &byte, &one), RK_OK);
    assert_int_equal(rk_mix_keys(&mix, id, &key), RK_E_CONTRACT); /* an ID without its key */
    assert_null(key);
    mix.part[0] = mix.part[1] = one;
    assert_int_equal(rk_mix_keys(&mix, id, &key), RK_E_CONTRACT); /* a key without its ID */
    assert_null(key);
    strcpy(mix.ids.id[1], "b+c");
    assert_int_equal(rk_mix_keys(&mix, id, &key), RK_E_PROTOCOL);
    assert_null(key);
    rk_secret_free(&one);
}

/* ---- the verb ---- */

static struct rk_call_msg
mix_call(const struct row *row)
{
    struct rk_call_msg c = {.verb = RK_V_MIX, .inst = 1, .bits = row->bits, .n = 1 + count_parts(row)};

    c.items = rk_items_new(c.n);
    assert_non_null(c.items);
    strcpy(c.peer_sae, row->other_sae);
    strcpy(c.items[0].link, row->link);
    strcpy(c.items[0].sae, row->sae);
    for (size_t i = 1; i < c.n; i++) {
        strcpy(c.items[i].key_id, row->part[i - 1]);
        if (row->part[i - 1][0])
            c.items[i].fd = rig_key(row->byte[i - 1], row->bits / 8);
    }
    return c;
}

static void
start(struct rig *r)
{
    struct rk_reply reply;

    rig_start(r, "host-device", NULL);
    assert_int_equal(rig_config(r, 1, &reply, NULL), RK_OK);
}

static void
key_is(int *fd, const char *expected)
{
    struct rk_secret *s;
    char hex[65] = "";

    assert_int_equal(rk_secret_receive(*fd, &s), RK_OK);
    *fd = -1;
    rk_secret_use(s, show, hex);
    assert_string_equal(hex, expected);
    rk_secret_free(&s);
}

static void
test_host(void **state)
{
    struct rk_call_msg c = mix_call(&rows[0]);
    struct rk_reply reply;
    struct rig r;
    int kept;

    (void)state;
    start(&r);
    c.items[0].seq = 7;
    c.items[0].role = 1;
    kept = dup(c.items[1].fd); /* of a part, as no one should keep it */
    assert_int_equal(rig_call(&r, &c, &reply), RK_OK);
    assert_int_equal(reply.n, 1);
    assert_string_equal(reply.items[0].key_id, rows[0].id);
    assert_string_equal(reply.items[0].theirs, "3d8f1669182a3bcd24b4064708d93b51");
    key_is(&reply.items[0].fd, rows[0].key);
    assert_true(kept >= 0);
    assert_false(rig_key_is(&kept, rows[0].byte[0], 32)); /* the part was wiped where it came out */
    rk_items_free(c.items, c.n);
    c = mix_call(&rows[3]); /* no role: no tag; and a part that is left out */
    assert_int_equal(rig_call(&r, &c, &reply), RK_OK);
    assert_string_equal(reply.items[0].key_id, rows[3].id);
    assert_string_equal(reply.items[0].theirs, "");
    key_is(&reply.items[0].fd, rows[3].key);
    rk_items_free(c.items, c.n);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

/* A commit takes seconds: keys are mixed meanwhile, and the commit is not disturbed. */
static void
test_beside_a_call(void **state)
{
    struct rk_call_msg busy = {.verb = RK_V_OBSERVE, .inst = 1, .budget_ms = RIG_WAIT_MS, .n = 1}, c;
    struct rk_reply reply;
    struct rig r;
    uint32_t number;

    (void)state;
    start(&r);
    busy.items = rk_items_new(1);
    assert_non_null(busy.items);
    strcpy(busy.items[0].link, "l");
    strcpy(busy.items[0].iface, "wait");
    number = rig_send(&r, &busy);
    c = mix_call(&rows[0]);
    assert_int_equal(rig_call(&r, &c, &reply), RK_OK);
    assert_int_not_equal(reply.number, number);
    assert_string_equal(reply.items[0].key_id, rows[0].id);
    rig_cancel(&r, number);
    rig_reply(&r, &reply);
    assert_int_equal(reply.number, number);
    assert_int_equal(reply.err, RK_E_CANCELED);
    rk_items_free(c.items, c.n);
    rk_items_free(busy.items, 1);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

static void
refused(struct rig *r, struct rk_call_msg *c, int err)
{
    struct rk_reply reply;

    assert_int_equal(rig_call(r, c, &reply), err);
    assert_int_equal(reply.n, 0);
    assert_true(reply.text[0]);
    rk_items_free(c->items, c->n);
}

static void
test_what_is_refused(void **state)
{
    struct rk_call_msg c;
    struct rig r;
    int fd;

    (void)state;
    start(&r);
    c = mix_call(&rows[0]);
    c.n = 2;
    close(c.items[2].fd);
    refused(&r, &c, RK_E_CONTRACT);
    c = mix_call(&rows[0]);
    c.items[0].link[0] = '\0';
    refused(&r, &c, RK_E_CONTRACT);
    c = mix_call(&rows[0]);
    c.peer_sae[0] = '\0';
    refused(&r, &c, RK_E_CONTRACT);
    c = mix_call(&rows[0]);
    c.bits = 255;
    refused(&r, &c, RK_E_CONTRACT);
    c = mix_call(&rows[0]);
    c.items[1].key_id[0] = '\0';
    refused(&r, &c, RK_E_CONTRACT);
    c = mix_call(&rows[0]);
    fd = c.items[1].fd;
    c.items[1].fd = -1;
    refused(&r, &c, RK_E_CONTRACT);
    close(fd);
    c = mix_call(&rows[0]);
    strcpy(c.items[1].key_id, "a+b");
    refused(&r, &c, RK_E_PROTOCOL);
    c = mix_call(&rows[0]);
    memset(c.items[2].key_id, 'x', 60);
    refused(&r, &c, RK_E_CONFIG);
    c = mix_call(&rows[0]);
    rk_secret_fd_wipe(dup(c.items[1].fd)); /* it holds nothing any more */
    refused(&r, &c, RK_E_CONTRACT);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

static void
test_not_for_a_source(void **state)
{
    struct rk_call_msg c = mix_call(&rows[0]);
    struct rk_reply reply;
    struct rig r;

    (void)state;
    rig_start(&r, "host-source", NULL);
    assert_int_equal(rig_config(&r, 1, &reply, NULL), RK_OK);
    assert_int_equal(rig_call(&r, &c, &reply), RK_E_CONTRACT);
    rk_items_free(c.items, c.n);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),         cmocka_unit_test(test_parts_and_ids_must_fit),
        cmocka_unit_test(test_host),            cmocka_unit_test(test_beside_a_call),
        cmocka_unit_test(test_what_is_refused), cmocka_unit_test(test_not_for_a_source),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
