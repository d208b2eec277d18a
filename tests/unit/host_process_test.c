/* host_process_test.c - rekey-host as rekeyd sees it: a process behind a socket. */
#include "hostrig.h"

#include "core/base/clock.h"
#include "core/base/secret.h"
#include "core/host/kdf.h"
#include "core/host/serve.h"
#include "core/ipc/frame.h"

#include <rekey/err.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

/* ---- hello ---- */

static void
test_hello(void **state)
{
    struct rig r;

    (void)state;
    rig_start(&r, "host-source", NULL);
    assert_string_equal(r.hello.error, "");
    assert_string_equal(r.hello.name, "host-source");
    assert_string_equal(r.hello.version, "1.2");
    assert_int_equal(r.hello.kind, RK_SOURCE);
    assert_int_equal(r.hello.n_opts, 4);
    assert_string_equal(r.hello.opts[1].dflt, "2s");
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

/* ---- source ---- */

static struct rk_call_msg
get_new(const char *peer_sae, uint32_t bits, size_t n)
{
    struct rk_call_msg c = {.verb = RK_V_GET_NEW, .inst = 1, .bits = bits, .items = rig_items(n), .n = n};

    snprintf(c.peer_sae, sizeof c.peer_sae, "%s", peer_sae);
    return c;
}

static void
start_source(struct rig *r)
{
    struct rk_reply reply;

    rig_start(r, "host-source", NULL);
    assert_int_equal(rig_config(r, 1, &reply, NULL), RK_OK);
}

static void
test_get_new(void **state)
{
    struct rk_call_msg c = get_new("SAE_B", 256, 3);
    struct rk_reply reply;
    struct rig r;

    (void)state;
    start_source(&r);
    assert_int_equal(rig_call(&r, &c, &reply), RK_OK);
    assert_int_equal(reply.n, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(reply.items[i].err, RK_OK);
        assert_true(rig_key_is(&reply.items[i].fd, (unsigned char)(0x40 + i), 32));
    }
    assert_string_equal(reply.items[0].key_id, "550e8400-e29b-41d4-a716-000000000abc");
    assert_true(rig_log_wait(&r, "ev=given n=3?forged=line inst=i1 call=2"));
    rk_items_free(c.items, c.n);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

static int
fill_40(unsigned char *bytes, size_t len, void *arg)
{
    (void)arg;
    memset(bytes, 0x40, len);
    return RK_OK;
}

/* With a role, the tag that the other end must show comes with the key; without one, none. */
static void
test_get_new_tag(void **state)
{
    char master[RK_CONFIRM_HEX + 1], slave[RK_CONFIRM_HEX + 1];
    struct rk_call_msg c = get_new("SAE_B", 256, 2);
    struct rk_secret *key;
    struct rk_reply reply;
    struct rig r;

    (void)state;
    start_source(&r);
    strcpy(c.items[0].link, "a-b-1");
    c.items[0].seq = 9;
    c.items[0].role = 1;
    assert_int_equal(rig_call(&r, &c, &reply), RK_OK);
    assert_int_equal(rk_secret_new(32, fill_40, NULL, &key), RK_OK);
    assert_int_equal(rk_kdf_confirm(key, "a-b-1", reply.items[0].key_id, 9, 1, master), RK_OK);
    assert_int_equal(rk_kdf_confirm(key, "a-b-1", reply.items[0].key_id, 9, 2, slave), RK_OK);
    rk_secret_free(&key);
    assert_true(rig_key_is(&reply.items[0].fd, 0x40, 32));
    assert_true(rig_key_is(&reply.items[1].fd, 0x41, 32));
    assert_string_equal(reply.items[0].theirs, slave);
    assert_string_equal(reply.items[0].mine, master);
    assert_string_equal(reply.items[1].theirs, "");
    rk_items_free(c.items, c.n);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

static void
test_get_by_id(void **state)
{
    struct rk_call_msg c = get_new("SAE_B", 128, 2);
    struct rk_reply reply;
    struct rig r;

    (void)state;
    start_source(&r);
    c.verb = RK_V_GET_BY_ID;
    strcpy(c.items[0].key_id, "550E8400-E29B-41D4-A716-446655440000");
    strcpy(c.items[1].key_id, "Opaque_1");
    assert_int_equal(rig_call(&r, &c, &reply), RK_OK);
    assert_string_equal(reply.items[0].key_id, "550e8400-e29b-41d4-a716-446655440000");
    assert_string_equal(reply.items[1].key_id, "Opaque_1");
    assert_true(rig_key_is(&reply.items[0].fd, 0x40, 16));
    assert_true(rig_key_is(&reply.items[1].fd, 0x41, 16));
    strcpy(c.items[1].key_id, "550e8400-e29b-41d4-a716-446655440000"); /* the same, written otherwise */
    assert_int_equal(rig_call(&r, &c, &reply), RK_E_CONTRACT);
    rk_items_free(c.items, c.n);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

/* What a broken source gives never arrives as a key. */
static void
test_distrusted_source(void **state)
{
    static const struct {
        const char *mode;
        uint32_t verb;
        int err;           /* of the whole */
        int errs[3];       /* of the keys; RK_OK: it is there */
    } rows[] = {
        {"twins", RK_V_GET_NEW, RK_OK, {RK_E_PROTOCOL, RK_E_PROTOCOL, RK_OK}},
        {"shared", RK_V_GET_NEW, RK_OK, {RK_E_CONTRACT, RK_E_CONTRACT, RK_OK}},
        {"badid", RK_V_GET_NEW, RK_OK, {RK_E_PROTOCOL, RK_OK, RK_OK}},
        {"endless", RK_V_GET_NEW, RK_OK, {RK_E_PROTOCOL, RK_OK, RK_OK}},
        {"otherid", RK_V_GET_BY_ID, RK_OK, {RK_E_PROTOCOL, RK_OK, RK_OK}},
        {"nokey", RK_V_GET_NEW, RK_OK, {RK_E_CONTRACT, RK_OK, RK_OK}},
        {"gone", RK_V_GET_BY_ID, RK_OK, {RK_E_KEY_GONE, RK_OK, RK_OK}},
        {"weird", RK_V_GET_NEW, RK_OK, {RK_E_CONTRACT, RK_OK, RK_OK}},
        {"short", RK_V_GET_NEW, RK_E_KEY_SIZE, {RK_E_KEY_SIZE, RK_E_KEY_SIZE, RK_E_KEY_SIZE}},
        {"unset", RK_V_GET_NEW, RK_E_CONTRACT, {RK_E_CONTRACT, RK_E_CONTRACT, RK_E_CONTRACT}},
        {"leftover", RK_V_GET_NEW, RK_E_EMPTY, {RK_E_EMPTY, RK_E_EMPTY, RK_E_EMPTY}},
        {"code", RK_V_GET_NEW, RK_E_CONTRACT, {RK_E_CONTRACT, RK_E_CONTRACT, RK_E_CONTRACT}},
        {"mute", RK_V_GET_NEW, RK_E_UNREACHABLE, {RK_E_UNREACHABLE, RK_E_UNREACHABLE, RK_E_UNREACHABLE}},
    };
    struct rig r;

    (void)state;
    start_source(&r);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rk_call_msg c = get_new(rows[i].mode, 256, 3);
        struct rk_reply reply;

        c.verb = rows[i].verb;
        for (size_t k = 0; c.verb == RK_V_GET_BY_ID && k < 3; k++)
            snprintf(c.items[k].key_id, sizeof c.items[k].key_id, "id-%zu", k);
        if (rig_call(&r, &c, &reply) != rows[i].err)
            fail_msg("%s: %d: %s", rows[i].mode, reply.err, reply.text);
        assert_int_equal(reply.n, 3);
        if (reply.err)
            assert_true(reply.text[0]);
        for (size_t k = 0; k < 3; k++) {
            if (reply.items[k].err != rows[i].errs[k])
                fail_msg("%s, key %zu: %d", rows[i].mode, k, reply.items[k].err);
            assert_int_equal(reply.items[k].fd >= 0, rows[i].errs[k] == RK_OK);
        }
        rk_items_free(c.items, c.n);
    }
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

static void
test_source_status(void **state)
{
    struct rk_call_msg c = {.verb = RK_V_SOURCE_STATUS, .inst = 1, .peer_sae = "SAE_B"};
    struct rk_reply reply;
    struct rig r;

    (void)state;
    start_source(&r);
    assert_int_equal(rig_call(&r, &c, &reply), RK_OK);
    assert_int_equal(reply.stored_keys, 7);
    assert_int_equal(reply.max_per_request, 64);
    assert_string_equal(reply.text, "7 keys?for SAE_B");
    strcpy(c.peer_sae, "ugly");
    assert_int_equal(rig_call(&r, &c, &reply), RK_E_REJECTED);
    assert_string_equal(reply.text, "line?break ?[1m and ?");
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

/* ---- instances ---- */

#define PAIRS(...) (const char *const[]){__VA_ARGS__, NULL}

static void
test_config(void **state)
{
    struct rk_reply reply;
    struct rig r;

    (void)state;
    rig_start(&r, "host-source", NULL);
    assert_int_equal(rig_config(&r, 1, &reply, PAIRS("pause", "90s")), RK_E_CONFIG);
    assert_non_null(strstr(reply.text, "pause: "));
    assert_int_equal(rig_config(&r, 1, &reply, PAIRS("paus", "9s")), RK_E_CONFIG);
    assert_int_equal(rig_config(&r, 1, &reply, PAIRS("level", "1", "level", "2")), RK_E_CONFIG);
    assert_int_equal(rig_config(&r, 1, &reply, PAIRS("fate", "mute")), RK_E_UNREACHABLE);
    assert_int_equal(rig_config(&r, 1, &reply, PAIRS("fate", "code")), RK_E_CONTRACT);
    assert_int_equal(rig_config(&r, 1, &reply, PAIRS("list", "a", "list", "b")), RK_OK);
    assert_int_equal(rig_config(&r, 1, &reply, NULL), RK_E_CONTRACT); /* there is a 1 now */
    assert_int_equal(rig_config(&r, 2, &reply, PAIRS("pause", "5s")), RK_OK);
    assert_true(rig_log_has(&r, "ev=options sae=SAE_A wait_ms=2000 list1=b absent=1 inst=i1"));
    assert_true(rig_log_has(&r, "ev=options sae=SAE_A wait_ms=5000 list1=- absent=1 inst=i2"));
    rig_drop(&r, 1);
    assert_true(rig_log_wait(&r, "ev=fini"));
    assert_int_equal(rig_config(&r, 1, &reply, NULL), RK_OK);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

static void
test_plugin_dies_in_init(void **state)
{
    struct rk_config c = {.inst = 1};
    struct rk_setting s[] = {{RK_CONF_NAME, "i1"}, {RK_CONF_SAE, "A"}, {"fate", "crash"}};
    struct rig r;

    (void)state;
    rig_start(&r, "host-source", NULL);
    c.settings = s;
    c.n = 3;
    assert_int_equal(rk_frame_send(r.sock, r.frame, rk_config_put(r.frame, 1, &c), NULL, 0), 0);
    assert_int_equal(rig_wait(&r), 99);
    rig_stop(&r);
}

/* ---- channel ---- */

static void
start_channel_of(struct rig *r, const char *module)
{
    struct rk_reply reply;
    char value[128];

    rig_start(r, module, NULL);
    assert_int_equal(rig_config(r, 1, &reply, NULL), RK_E_CONFIG);
    assert_non_null(strstr(reply.text, "auth-key: required"));
    rig_secret_file(r, "a-shared-key-of-two-sites\n", 0644, value, sizeof value);
    assert_int_equal(rig_config(r, 1, &reply, PAIRS("auth-key", value)), RK_E_UNSAFE);
    assert_non_null(strstr(reply.text, "chmod 600"));
    rig_secret_file(r, "a-shared-key-of-two-sites\n", 0600, value, sizeof value);
    assert_int_equal(rig_config(r, 1, &reply, PAIRS("auth-key", value)), RK_OK);
    assert_true(rig_log_has(r, "ev=options auth=hidden inst=i1"));
}

static void
start_channel(struct rig *r)
{
    start_channel_of(r, "host-channel");
}

/* One call of a verb on up to 9 links, each with this peer and text. */
static int
on_links(struct rig *r, uint32_t verb, const char *const *links, const char *sae, const char *text,
         struct rk_reply *reply)
{
    struct rk_call_msg c = {.verb = verb, .inst = 1, .items = rig_items(9)};

    for (; links[c.n]; c.n++) {
        strcpy(c.items[c.n].link, links[c.n]);
        strcpy(c.items[c.n].sae, sae);
        strcpy(c.items[c.n].text, text);
    }
    (void)rig_call(r, &c, reply);
    rk_items_free(c.items, c.n);
    return reply->err;
}

static int
watch(struct rig *r, struct rk_reply *reply, uint32_t budget_ms)
{
    struct rk_call_msg c = {.verb = RK_V_WATCH, .inst = 1, .budget_ms = budget_ms};

    return rig_call(r, &c, reply);
}

/* What of this reply is refused for this reason: how many items. */
static size_t
refused_for(const struct rk_reply *reply, const char *link, const char *why)
{
    size_t n = 0;

    for (size_t i = 0; i < reply->n; i++)
        n += reply->items[i].err && strcmp(reply->items[i].link, link) == 0 && strstr(reply->items[i].text, why);
    return n;
}

/* The channel hands back what it is given, so a peer with our own name is one whose records we may read.  Of those that
 * may not pass, each comes with its reason instead of its text. */
static void
test_records(void **state)
{
    static const char *const links[] = {
        "good", "forge1", "cut1", "bare1", "endless1", "other1", "words1", "wrong1", NULL};
    static const char *const none[] = {"stranger", NULL};
    char text[] = "rk1|text0";
    struct rk_reply reply;
    struct rig r;

    (void)state;
    start_channel(&r);
    assert_int_equal(on_links(&r, RK_V_ATTACH, links, "SAE_A", "", &reply), RK_OK);
    for (int i = 0; i < 3; i++) {
        text[8]++; /* a repeat would be left out */
        assert_int_equal(on_links(&r, RK_V_PUBLISH, links, "SAE_A", text, &reply), RK_OK);
        assert_int_equal(on_links(&r, RK_V_PUBLISH, none, "SAE_A", "rk1|text", &reply), RK_OK);
        assert_int_equal(watch(&r, &reply, 0), RK_OK);
        assert_int_equal(reply.n, 9);
        assert_string_equal(reply.items[0].link, "good");
        assert_string_equal(reply.items[0].sae, "SAE_A");
        assert_string_equal(reply.items[0].text, text);
        assert_int_equal(reply.items[0].err, RK_OK);
        assert_string_equal(reply.items[0].key_id, "");
        assert_int_equal(refused_for(&reply, "forge1", "wrong tag"), 1);
        assert_int_equal(refused_for(&reply, "cut1", "it has no tag"), 1);
        assert_int_equal(refused_for(&reply, "bare1", "it has no tag"), 1);
        assert_int_equal(refused_for(&reply, "endless1", "no record: xxx"), 1);
        assert_int_equal(refused_for(&reply, "other1", "from another peer"), 1);
        assert_int_equal(refused_for(&reply, "words1", "no record: cut off"), 1);
        assert_int_equal(refused_for(&reply, "wrong1", "another?neighbour"), 1);
        assert_int_equal(reply.items[7].err, RK_E_CONFLICT);
        assert_int_equal(refused_for(&reply, "stranger", "no link of this channel"), 1);
    }
    assert_int_equal(rig_log_count(&r, "ev=record-refused"), 0); /* the core tells, as often as is good */
    assert_int_equal(watch(&r, &reply, 1000), RK_OK); /* nothing new: the budget ends */
    assert_int_equal(reply.n, 0);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

/* A key ID without a record passes from a channel that may bring such, and from no other one. */
static void
test_key_id_alone(void **state)
{
    static const char *const links[] = {"keyid1", "nokeyid1", NULL}, *const none[] = {"keyid2", NULL};
    struct rk_reply reply;
    struct rig r;

    (void)state;
    for (int may = 0; may < 2; may++) {
        start_channel_of(&r, may ? "host-bare" : "host-channel");
        assert_int_equal(on_links(&r, RK_V_ATTACH, links, "SAE_A", "", &reply), RK_OK);
        assert_int_equal(on_links(&r, RK_V_PUBLISH, links, "SAE_A", "rk1|text", &reply), RK_OK);
        assert_int_equal(on_links(&r, RK_V_PUBLISH, none, "SAE_A", "rk1|text", &reply), RK_OK);
        assert_int_equal(watch(&r, &reply, 0), RK_OK);
        assert_int_equal(reply.n, 3);
        if (may) {
            assert_int_equal(reply.items[0].err, RK_OK);
            assert_string_equal(reply.items[0].text, "=k-1");
            assert_string_equal(reply.items[0].sae, "SAE_A");
            assert_int_equal(refused_for(&reply, "nokeyid1", "no key ID"), 1);
        } else {
            assert_int_equal(refused_for(&reply, "keyid1", "without a tag"), 1);
            assert_int_equal(refused_for(&reply, "nokeyid1", "without a tag"), 1);
        }
        assert_int_equal(refused_for(&reply, "keyid2", "no link of this channel"), 1);
        assert_int_equal(rig_stop(&r), RK_EXIT_OK);
    }
}

/* The plugin hears what is configured; a link that it refuses is one that fails, and is bound all the same. */
static void
test_attach(void **state)
{
    struct rk_call_msg c = {.verb = RK_V_ATTACH, .inst = 1, .budget_ms = 10000, .items = rig_items(4), .n = 4};
    static const char *const l1[] = {"l1", NULL}, *const told[] = {"told1", NULL};
    struct rk_reply reply;
    struct rig r;

    (void)state;
    start_channel(&r);
    for (size_t i = 0; i < c.n; i++) {
        strcpy(c.items[i].link, (const char *[]){"l1", "told1", "ugly", "no name"}[i]);
        strcpy(c.items[i].sae, "SAE_A");
        strcpy(c.items[i].iface, "macsec0@eth1");
        strcpy(c.items[i].chassis, "02:00:00:00:00:01");
        strcpy(c.items[i].port, "eth 1");
        c.items[i].carried = 1;
    }
    assert_int_equal(rig_call(&r, &c, &reply), RK_E_CONFLICT);
    rk_items_free(c.items, c.n);
    assert_int_equal(reply.n, 4);
    assert_int_equal(reply.items[0].err, RK_OK);
    assert_int_equal(reply.items[1].err, RK_E_CONFLICT);
    assert_string_equal(reply.items[1].text, "SAE_A at macsec0@eth1: 02:00:00:00:00:01, eth 1, carried 1");
    assert_int_equal(reply.items[2].err, RK_E_REJECTED);
    assert_string_equal(reply.items[2].text, "line?break ?[1m and ?");
    assert_int_equal(reply.items[3].err, RK_E_CONTRACT);
    assert_string_equal(reply.items[3].text, "an item has no link name");
    assert_non_null(strstr(reply.text, "told1: SAE_A at "));
    assert_int_equal(on_links(&r, RK_V_PUBLISH, told, "SAE_A", "rk1|text", &reply), RK_OK);
    assert_int_equal(watch(&r, &reply, 0), RK_OK);
    assert_int_equal(reply.n, 1);
    assert_int_equal(reply.items[0].err, RK_OK);
    assert_int_equal(on_links(&r, RK_V_ATTACH, l1, "", "", &reply), RK_OK);
    assert_int_equal(rig_log_count(&r, "ev=detached link=l1"), 1);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

static void
test_bindings_count(void **state)
{
    static const char *const links[] = {"l1", "l2", NULL}, *const l1[] = {"l1", NULL}, *const bad[] = {"no name", NULL};
    struct rk_reply reply;
    struct rig r;

    (void)state;
    start_channel(&r);
    assert_int_equal(on_links(&r, RK_V_ATTACH, bad, "SAE_A", "", &reply), RK_E_CONTRACT);
    assert_int_equal(on_links(&r, RK_V_ATTACH, links, "SAE_B", "", &reply), RK_OK);
    /* our own record comes back: it is not from SAE_B to SAE_A, so its tag is wrong */
    assert_int_equal(on_links(&r, RK_V_PUBLISH, links, "SAE_B", "rk1|text", &reply), RK_OK);
    assert_int_equal(watch(&r, &reply, 0), RK_OK);
    assert_int_equal(reply.n, 2);
    assert_int_equal(refused_for(&reply, "l1", "wrong tag") + refused_for(&reply, "l2", "wrong tag"), 2);
    assert_int_equal(on_links(&r, RK_V_ATTACH, links, "SAE_A", "", &reply), RK_OK);
    assert_int_equal(on_links(&r, RK_V_ATTACH, l1, "", "", &reply), RK_OK); /* and no longer l1 */
    assert_int_equal(on_links(&r, RK_V_PUBLISH, links, "SAE_A", "rk1|text", &reply), RK_OK);
    assert_int_equal(watch(&r, &reply, 0), RK_OK);
    assert_int_equal(reply.n, 2);
    assert_int_equal(refused_for(&reply, "l1", "no link of this channel"), 1);
    assert_string_equal(reply.items[1].link, "l2");
    assert_int_equal(reply.items[1].err, RK_OK);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

static void
test_publish_results(void **state)
{
    static const char *const some[] = {"l1", "refuse1", "l2", NULL}, *const mute[] = {"mute", NULL};
    static const char *const overrun[] = {"overrun", NULL}, *const l1[] = {"l1", NULL};
    char text[RK_RECORD_MAX + 1];
    struct rk_reply reply;
    struct rig r;

    (void)state;
    start_channel(&r);
    assert_int_equal(on_links(&r, RK_V_PUBLISH, some, "SAE_B", "rk1", &reply), RK_E_REJECTED);
    assert_int_equal(reply.items[0].err, RK_OK);
    assert_int_equal(reply.items[1].err, RK_E_REJECTED);
    assert_int_equal(reply.items[2].err, RK_E_REJECTED); /* not reached */
    assert_int_equal(on_links(&r, RK_V_PUBLISH, mute, "SAE_B", "rk1", &reply), RK_E_UNREACHABLE);
    memset(text, 'x', sizeof text);
    text[RK_RECORD_MAX - 33] = '\0'; /* the tag fits to the byte */
    assert_int_equal(on_links(&r, RK_V_PUBLISH, l1, "SAE_B", text, &reply), RK_OK);
    text[RK_RECORD_MAX - 33] = 'x';
    text[RK_RECORD_MAX - 32] = '\0';
    assert_int_equal(on_links(&r, RK_V_PUBLISH, l1, "SAE_B", text, &reply), RK_E_CONTRACT);
    assert_int_equal(on_links(&r, RK_V_PUBLISH, l1, "SAE_B", "two words", &reply), RK_E_CONTRACT);
    assert_int_equal(on_links(&r, RK_V_PUBLISH, overrun, "SAE_B", "rk1", &reply), RK_OK);
    assert_int_equal(watch(&r, &reply, 0), RK_E_CONTRACT); /* more than there was room for */
    assert_int_equal(reply.n, 0);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

static void
test_watch_beside_publish(void **state)
{
    static const char *const lost1[] = {"lost1", NULL}; /* else a watch that begins late has it, and ends */
    struct rk_call_msg w = {.verb = RK_V_WATCH, .inst = 1};
    struct rk_reply reply;
    uint32_t first, second;
    struct rig r;

    (void)state;
    start_channel(&r);
    first = rig_send(&r, &w);
    assert_int_equal(on_links(&r, RK_V_PUBLISH, lost1, "SAE_B", "rk1", &reply), RK_OK);
    second = rig_send(&r, &w);
    rig_reply(&r, &reply);
    assert_int_equal(reply.number, second);
    assert_int_equal(reply.err, RK_E_BUSY);
    rig_cancel(&r, first);
    rig_reply(&r, &reply);
    assert_int_equal(reply.number, first);
    assert_int_equal(reply.err, RK_OK);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

/* ---- memory ---- */

/* What it has for itself [KiB]. */
static long
own_kib(pid_t pid)
{
    char path[40], line[128];
    long kib = -1;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    f = fopen(path, "re");
    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        (void)sscanf(line, "RssAnon: %ld", &kib);
    fclose(f);
    return kib;
}

/* So many calls that wait for the one before them, each with as many links as there can be. */
static uint32_t
send_burst(struct rig *r, unsigned calls)
{
    struct rk_call_msg c = {.verb = RK_V_ATTACH, .inst = 1, .budget_ms = RIG_WAIT_MS, .items = rig_items(RK_BATCH_MAX),
                            .n = 1};
    uint32_t first;

    strcpy(c.items[0].link, "wait");
    strcpy(c.items[0].sae, "SAE_A");
    first = rig_send(r, &c);
    c.n = RK_BATCH_MAX;
    for (unsigned i = 0; i < calls; i++) {
        for (unsigned k = 0; k < RK_BATCH_MAX; k++) {
            snprintf(c.items[k].link, sizeof c.items[k].link, "l%u", i * RK_BATCH_MAX + k);
            strcpy(c.items[k].sae, "SAE_A");
        }
        (void)rig_send(r, &c);
    }
    rk_items_free(c.items, RK_BATCH_MAX);
    return first;
}

/* What a burst of calls took goes back to the kernel, though what stays of each lies between. */
static void
test_memory_after_burst(void **state)
{
    enum { CALLS = 40 };
    struct rk_call_msg c = {.verb = RK_V_RATCHET, .inst = 1, .items = rig_items(1), .n = 1};
    const struct timespec pause = {.tv_nsec = 20 * RK_NS_PER_MS};
    struct rk_reply reply;
    long before, most;
    uint32_t first;
    struct rig r;

    (void)state;
#ifdef SANITIZED
    rk_items_free(c.items, c.n);
    skip(); /* another allocator, which keeps what is freed */
#endif
    start_channel(&r);
    before = own_kib(r.pid);
    first = send_burst(&r, CALLS);
    c.items->op = RK_RATCHET_KEEP;
    strcpy(c.items->link, "l1");
    assert_int_equal(rig_call(&r, &c, &reply), RK_OK); /* it is done at once: all of them are there */
    rk_items_free(c.items, c.n);
    most = own_kib(r.pid) - before;
    assert_in_range(most, CALLS * 100, CALLS * 1000);
    rig_cancel(&r, first);
    for (unsigned i = 0; i <= CALLS; i++)
        rig_reply(&r, &reply);
    for (int64_t end_ns = rk_now_ns() + RIG_WAIT_MS * RK_NS_PER_MS;
         own_kib(r.pid) - before > most / 4 && rk_now_ns() < end_ns;)
        nanosleep(&pause, NULL);
    assert_in_range(own_kib(r.pid) - before, 0, most / 4);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

/* ---- deadlines and ends ---- */

static void
test_budget_and_cancel(void **state)
{
    struct rk_call_msg c = get_new("wait", 256, 1);
    struct rk_reply reply;
    uint32_t number;
    struct rig r;

    (void)state;
    start_source(&r);
    c.budget_ms = 30;
    assert_int_equal(rig_call(&r, &c, &reply) == RK_E_CANCELED || reply.err == RK_E_TIMEOUT, 1);
    c.budget_ms = 0; /* the rig's own, long */
    number = rig_send(&r, &c);
    rig_cancel(&r, number);
    rig_reply(&r, &reply);
    assert_int_equal(reply.number, number);
    assert_true(reply.err == RK_E_CANCELED || reply.err == RK_E_TIMEOUT); /* what is left is 0 after a cancel, too */
    assert_true(reply.took_us < RIG_WAIT_MS * 1000u);
    rk_items_free(c.items, c.n);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

/* A call that never returns costs a thread, until rekeyd ends the process; all others are served. */
static void
test_poisoned(void **state)
{
    struct rk_call_msg deaf = get_new("deaf", 256, 1), good = get_new("SAE_B", 256, 1);
    struct rk_reply reply;
    struct rig r;

    (void)state;
    rig_start(&r, "host-parallel", NULL);
    assert_int_equal(rig_config(&r, 1, &reply, NULL), RK_OK);
    deaf.budget_ms = 300;
    rig_send(&r, &deaf);
    assert_true(rig_log_wait(&r, "ev=poisoned inst=i1 call=2 verb=get-new"));
    assert_int_equal(rig_call(&r, &good, &reply), RK_OK);
    assert_true(rig_log_has(&r, "ev=overlap"));
    rk_items_free(deaf.items, deaf.n);
    rk_items_free(good.items, good.n);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK); /* and it ends although that call does not */
}

static void
test_end_cancels(void **state)
{
    struct rk_call_msg c = get_new("wait", 256, 1);
    struct rig r;

    (void)state;
    start_source(&r);
    c.budget_ms = 3600000;
    rig_send(&r, &c);
    rk_items_free(c.items, c.n);
    close(r.sock);
    r.sock = -1;
    assert_true(rig_log_wait(&r, "ev=fini")); /* once its call had returned */
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

static void
test_fatal(void **state)
{
    struct rk_call_msg c = get_new("fatal", 256, 1);
    struct rk_reply reply;
    struct rig r;

    (void)state;
    start_source(&r);
    assert_int_equal(rig_call(&r, &c, &reply), RK_E_FATAL);
    assert_string_equal(reply.text, "cannot go on");
    rk_items_free(c.items, c.n);
    assert_int_equal(rig_wait(&r), RK_EXIT_FATAL);
    rig_stop(&r);
}

static void
test_crash(void **state)
{
    struct rk_call_msg c = get_new("crash", 256, 1);
    struct rig r;

    (void)state;
    start_source(&r);
    rig_send(&r, &c);
    rk_items_free(c.items, c.n);
    assert_int_equal(rig_wait(&r), 99);
    rig_stop(&r);
}

static void
test_garbage(void **state)
{
    struct rk_call_msg c = get_new("SAE_B", 256, 1);
    uint32_t lie[4] = {RK_MSG_CALL, 7, 0x00ff0001, 0xffffffff};
    struct rk_reply reply;
    struct rig r;
    int fd;

    (void)state;
    start_source(&r);
    assert_int_equal(rk_frame_send(r.sock, "x", 1, NULL, 0), 0);
    fd = rig_key(9, 32);
    assert_int_equal(rk_frame_send(r.sock, "12345678", 8, &fd, 1), 0); /* a key on no message */
    assert_int_equal(rk_frame_send(r.sock, lie, sizeof lie, &fd, 1), 0);
    rig_reply(&r, &reply);
    assert_int_equal(reply.number, 7);
    assert_int_equal(reply.err, RK_E_CONTRACT);
    assert_false(rig_key_is(&fd, 9, 32)); /* wiped */
    assert_int_equal(rig_call(&r, &c, &reply), RK_OK);
    rk_items_free(c.items, c.n);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

/* ---- the process ---- */

static void
test_module_error(void **state)
{
    struct rig r;

    (void)state;
    rig_start_path(&r, "/nonexistent/host-source.so", NULL);
    assert_non_null(strstr(r.hello.error, "/nonexistent/host-source.so: "));
    assert_int_equal(rig_wait(&r), RK_EXIT_MODULE);
    rig_stop(&r);
    rig_start(&r, "bad-abi", NULL);
    assert_non_null(strstr(r.hello.error, "built for plugin ABI 2.0"));
    assert_int_equal(r.hello.n_opts, 0);
    assert_int_equal(rig_wait(&r), RK_EXIT_MODULE);
    rig_stop(&r);
}

/* A line of /proc/PID/status. */
static void
status_line(pid_t pid, const char *name, char *value, size_t size)
{
    char path[64], line[256];
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    f = fopen(path, "r");
    assert_non_null(f);
    value[0] = '\0';
    while (fgets(line, sizeof line, f))
        if (strncmp(line, name, strlen(name)) == 0)
            snprintf(value, size, "%s", line + strlen(name));
    fclose(f);
}

static void
assert_status(pid_t pid, const char *name, const char *want)
{
    char value[128];

    status_line(pid, name, value, sizeof value);
    if (strcmp(value, want) != 0)
        fail_msg("%s%s", name, value);
}

static void
test_privileges(void **state)
{
    char own[64] = "", theirs[64] = "", path[64];
    struct rig r;

    (void)state;
    setenv("TZ", "UTC", 1);
    start_source(&r);
    assert_status(r.pid, "CapEff:", "\t0000000000000000\n");
    assert_status(r.pid, "CapPrm:", "\t0000000000000000\n");
    assert_status(r.pid, "CapInh:", "\t0000000000000000\n");
    assert_status(r.pid, "CapAmb:", "\t0000000000000000\n");
    assert_status(r.pid, "NoNewPrivs:", "\t1\n");
    assert_true(rig_log_has(&r, "ev=environment path=0 tz=UTC"));
    snprintf(path, sizeof path, "/proc/%d/ns/net", (int)r.pid);
    if (geteuid() == 0 && readlink(path, theirs, sizeof theirs - 1) > 0 && rig_log_has(&r, "ev=sandbox network=none")) {
        assert_status(r.pid, "CapBnd:", "\t0000000000000000\n");
        assert_true(readlink("/proc/self/ns/net", own, sizeof own - 1) > 0);
        assert_string_not_equal(own, theirs);
    }
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

static void
test_keep_privs(void **state)
{
    char own[128], theirs[128];
    struct rig r;

    (void)state;
    rig_start(&r, "host-source", "--keep-privs");
    status_line(getpid(), "CapEff:", own, sizeof own);
    status_line(r.pid, "CapEff:", theirs, sizeof theirs);
    assert_string_equal(own, theirs);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

/* Run rekey-host with these arguments.  ret: exit code; out: what it printed */
static int
command(const char *args, char *out, size_t size)
{
    const char *dir = getenv("top_builddir");
    char line[1200];
    size_t n;
    FILE *p;
    int status;

    snprintf(line, sizeof line, "%s/core/host/rekey-host %s 2>&1", dir ? dir : ".", args);
    p = popen(line, "r");
    assert_non_null(p);
    n = fread(out, 1, size - 1, p);
    out[n] = '\0';
    status = pclose(p);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
test_arguments(void **state)
{
    static const char *const wrong[] = {
        "", "--describe", "--fd 3", "--fd x --module /a.so", "--fd 3 --module /a.so --log-level loud",
        "--describe --fd 3 /a.so", "--describe /a.so /b.so", "--bogus", "--fd 3 --module /a.so",
    };
    char path[512], args[600], out[4096];

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (command(wrong[i], out, sizeof out) != RK_EXIT_USAGE || !out[0])
            fail_msg("%s: %s", wrong[i], out);
    assert_int_equal(command("--help", out, sizeof out), RK_EXIT_OK);
    assert_non_null(strstr(out, "usage: rekey-host --describe"));
    assert_int_equal(command("--version", out, sizeof out), RK_EXIT_OK);
    assert_non_null(strstr(out, "rekey-host " PACKAGE_VERSION));
    rig_module("host-source", path, sizeof path);
    snprintf(args, sizeof args, "--describe %s", path);
    assert_int_equal(command(args, out, sizeof out), RK_EXIT_OK);
    assert_non_null(strstr(out, "  pause: duration, 1 to 60000 ms, default \"2s\"\n"));
    snprintf(args, sizeof args, "--describe --json %s", path);
    assert_int_equal(command(args, out, sizeof out), RK_EXIT_OK);
    assert_non_null(strstr(out, "\"name\": \"host-source\""));
    assert_int_equal(command("--describe /nonexistent/x.so", out, sizeof out), RK_EXIT_FAILED);
    assert_non_null(strstr(out, "/nonexistent/x.so: "));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello),
        cmocka_unit_test(test_get_new),
        cmocka_unit_test(test_get_new_tag),
        cmocka_unit_test(test_get_by_id),
        cmocka_unit_test(test_distrusted_source),
        cmocka_unit_test(test_source_status),
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_plugin_dies_in_init),
        cmocka_unit_test(test_records), cmocka_unit_test(test_key_id_alone),
        cmocka_unit_test(test_bindings_count), cmocka_unit_test(test_attach),
        cmocka_unit_test(test_publish_results),
        cmocka_unit_test(test_watch_beside_publish), cmocka_unit_test(test_memory_after_burst),
        cmocka_unit_test(test_budget_and_cancel),
        cmocka_unit_test(test_poisoned),
        cmocka_unit_test(test_end_cancels),
        cmocka_unit_test(test_fatal),
        cmocka_unit_test(test_crash),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_module_error),
        cmocka_unit_test(test_privileges),
        cmocka_unit_test(test_keep_privs),
        cmocka_unit_test(test_arguments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
