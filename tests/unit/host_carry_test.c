/* host_carry_test.c - records that a device carries, in rekey-host as rekeyd sees it: ENCODE and DECODE of a channel,
 * NEIGHBOURS of a device. */
#include "hostrig.h"

#include "core/host/kdf.h"
#include "core/host/serve.h"
#include "core/ipc/frame.h"

#include <rekey/err.h>

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RECORD "rk1|a-b-1|M|1|4|A|k4||c=B|"

static void
call(struct rig *r, struct rk_call_msg *c, struct rk_reply *reply)
{
    c->inst = 1;
    rig_send(r, c);
    rk_items_free(c->items, c->n);
    rig_reply(r, reply);
}

static struct rk_call_msg
msg(uint32_t verb, size_t n)
{
    return (struct rk_call_msg){.verb = verb, .items = rig_items(n), .n = n};
}

static void
start_channel(struct rig *r, const char *name)
{
    char key[128];
    const char *pairs[] = {"auth-key", key, NULL};
    struct rk_call_msg c = msg(RK_V_ATTACH, 2);
    struct rk_reply reply;

    rig_start(r, name, NULL);
    rig_secret_file(r, "a-key-of-32-bytes-for-this-test!\n", 0600, key, sizeof key);
    assert_int_equal(rig_config(r, 1, &reply, pairs), RK_OK);
    strcpy(c.items[0].link, "a-b-1");
    strcpy(c.items[0].sae, "SAE_B");
    strcpy(c.items[1].link, "a-b-2");
    strcpy(c.items[1].sae, "SAE_B");
    call(r, &c, &reply);
    assert_int_equal(reply.err, RK_OK);
}

/* What the peer would have its device show. */
static void
of_peer(const char *own_sae, const char *record, char *text)
{
    const struct rk_bytes key = {(const unsigned char *)"a-key-of-32-bytes-for-this-test!", 32};
    char tag[RK_CONFIRM_HEX + 1];

    assert_int_equal(rk_kdf_record(key, (struct rk_parties){"SAE_B", own_sae}, record, tag), RK_OK);
    sprintf(text, "to a rk1|%s|%s", record + 4, tag);
}

static void
test_encode(void **state)
{
    struct rk_call_msg c = msg(RK_V_ENCODE, 3);
    struct rk_reply reply;
    struct rig r;

    (void)state;
    start_channel(&r, "carrier");
    assert_true(r.hello.ops & RK_OFFERS_ENCODE);
    strcpy(c.items[0].link, "a-b-1");
    strcpy(c.items[0].sae, "SAE_B");
    strcpy(c.items[0].text, RECORD);
    strcpy(c.items[1].link, "a-b-1"); /* no peer */
    strcpy(c.items[1].text, RECORD);
    strcpy(c.items[2].link, "a-b-1"); /* no room for the tag */
    strcpy(c.items[2].sae, "SAE_B");
    memset(c.items[2].text, 'x', RK_RECORD_MAX - 10);
    call(&r, &c, &reply);
    assert_int_equal(reply.err, RK_OK);
    assert_int_equal(reply.n, 3);
    assert_int_equal(reply.items[0].err, RK_OK);
    assert_int_equal(strncmp(reply.items[0].text, RECORD "|", strlen(RECORD) + 1), 0);
    assert_int_equal(strlen(reply.items[0].text), strlen(RECORD) + 1 + RK_CONFIRM_HEX);
    assert_int_equal(reply.items[1].err, RK_E_CONTRACT);
    assert_int_equal(reply.items[2].err, RK_E_CONTRACT);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

static void
neighbour(struct rk_item *item, const char *link, const char *text)
{
    strcpy(item->link, link);
    strcpy(item->iface, "port0");
    strcpy(item->chassis, "02:00:00:00:00:01");
    strcpy(item->port, "port1");
    item->read = 1;
    strcpy(item->text, text);
}

/* The right one passes without its tag; of each other the reason is told, and what is wrong with the neighbour. */
static void
test_decode(void **state)
{
    struct rk_call_msg c = msg(RK_V_DECODE, 6);
    struct rk_reply reply;
    struct rig r;
    char text[RK_RECORD_MAX + 1];

    (void)state;
    start_channel(&r, "carrier");
    of_peer("SAE_A", RECORD, text);
    neighbour(&c.items[0], "a-b-1", text);
    neighbour(&c.items[1], "a-b-1", "uplink");
    strcpy(c.items[2].link, "a-b-2"); /* has no neighbour */
    text[strlen(text) - 1] ^= 1;
    neighbour(&c.items[3], "a-b-1", text);
    of_peer("SAE_C", RECORD, text);
    neighbour(&c.items[4], "a-b-2", text); /* to another site */
    neighbour(&c.items[5], "not-ours", text);
    call(&r, &c, &reply);
    assert_int_equal(reply.err, RK_OK);
    assert_int_equal(reply.n, 6);
    assert_int_equal(reply.items[0].err, RK_OK);
    assert_string_equal(reply.items[0].link, "a-b-1");
    assert_string_equal(reply.items[0].sae, "SAE_B");
    assert_string_equal(reply.items[0].text, RECORD);
    assert_int_equal(reply.items[1].err, RK_E_PROTOCOL);
    assert_int_equal(reply.items[2].err, RK_E_CONFLICT);
    assert_string_equal(reply.items[2].text, "a second neighbour is on the port");
    assert_int_equal(reply.items[3].err, RK_E_AUTH);
    assert_int_equal(reply.items[4].err, RK_E_AUTH);
    assert_int_equal(reply.items[5].err, RK_E_NOENT);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

/* More than fits: what there is no room for comes with the next look. */
static void
test_decode_many(void **state)
{
    struct rk_call_msg c = msg(RK_V_DECODE, RK_BATCH_MAX);
    struct rk_reply reply;
    struct rig r;

    (void)state;
    start_channel(&r, "carrier");
    for (size_t i = 0; i < RK_BATCH_MAX; i++)
        neighbour(&c.items[i], i % 4 < 2 ? "a-b-1" : "a-b-2", "uplink"); /* two each, and a conflict: three posts */
    call(&r, &c, &reply);
    assert_int_equal(reply.err, RK_OK);
    assert_int_equal(reply.n, RK_BATCH_MAX);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

static void
test_not_offered(void **state)
{
    struct rk_call_msg c = msg(RK_V_ENCODE, 1);
    struct rk_reply reply;
    struct rig r;

    (void)state;
    start_channel(&r, "host-channel");
    assert_false(r.hello.ops & RK_OFFERS_ENCODE);
    strcpy(c.items[0].link, "a-b-1");
    call(&r, &c, &reply);
    assert_int_equal(reply.err, RK_E_UNSUPPORTED);
    c = msg(RK_V_DECODE, 1);
    call(&r, &c, &reply);
    assert_int_equal(reply.err, RK_E_UNSUPPORTED);
    c = msg(RK_V_NEIGHBOURS, 1);
    strcpy(c.items[0].iface, "port0");
    call(&r, &c, &reply);
    assert_int_equal(reply.err, RK_E_CONTRACT);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

/* ---- neighbours ---- */

static void
next_heard(struct rig *r, uint32_t number, struct rk_heard_msg *m)
{
    struct rk_heard_msg heard;
    struct pollfd p = {.fd = r->sock, .events = POLLIN};
    int fds[RK_FRAME_FDS];
    size_t n;
    long len;

    assert_int_equal(poll(&p, 1, RIG_WAIT_MS), 1);
    len = rk_frame_recv(r->sock, r->frame, fds, &n);
    assert_true(len > 0);
    assert_int_equal(rk_heard_get(r->frame, (size_t)len, &heard), RK_OK);
    assert_int_equal(heard.number, number);
    *m = heard;
}

static void
test_neighbours(void **state)
{
    struct rk_call_msg c = msg(RK_V_NEIGHBOURS, 3);
    struct rk_heard_msg m;
    struct rk_reply reply;
    struct rig r;
    uint32_t number;

    (void)state;
    rig_start(&r, "host-device", NULL);
    assert_true(r.hello.ops & RK_OFFERS_NEIGHBOURS);
    assert_int_equal(rig_config(&r, 1, &reply, NULL), RK_OK);
    strcpy(c.items[0].iface, "one");
    strcpy(c.items[1].iface, "none");
    strcpy(c.items[2].iface, "many"); /* 20, with bytes that cannot be printed, and of an interface not asked for */
    c.inst = 1;
    number = rig_send(&r, &c);
    rk_items_free(c.items, c.n);
    next_heard(&r, number, &m);
    assert_string_equal(m.iface, "one");
    assert_string_equal(m.chassis, "02:00:00:00:00:01");
    assert_string_equal(m.port, "port1");
    assert_string_equal(m.system, "router");
    assert_string_equal(m.description, "to a rk1|text");
    assert_int_equal(m.ttl_s, 120);
    for (int i = 0; i < RK_HEARD_MAX; i++) {
        next_heard(&r, number, &m);
        assert_string_equal(m.iface, "many");
        assert_int_equal(strlen(m.chassis), RK_PIN_MAX);
        assert_string_equal(m.port, "");
        assert_int_equal(strlen(m.description), RK_RECORD_MAX);
        assert_int_equal(m.description[0], '?');
    }
    rig_reply(&r, &reply);
    assert_int_equal(reply.err, RK_OK);
    assert_int_equal(reply.n, 0);
    c = msg(RK_V_NEIGHBOURS, 1);
    strcpy(c.items[0].iface, "short"); /* its struct is of no version that there is */
    call(&r, &c, &reply);
    assert_int_equal(reply.err, RK_E_CONTRACT);
    c = msg(RK_V_NEIGHBOURS, 1);
    call(&r, &c, &reply); /* no interface */
    assert_int_equal(reply.err, RK_E_CONTRACT);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encode),      cmocka_unit_test(test_decode),     cmocka_unit_test(test_decode_many),
        cmocka_unit_test(test_not_offered), cmocka_unit_test(test_neighbours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
