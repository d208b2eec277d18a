/* host_ratchet_test.c - channel keys in real hosts: made with a key when that is asked for, held by a channel's host,
 * and which one has signed. */
#include "hostrig.h"

#include "core/base/secret.h"
#include "core/host/kdf.h"
#include "core/host/serve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct rig r;
static struct rk_reply reply;

/* ---- a source ---- */

static int
copy(const unsigned char *bytes, size_t len, void *arg)
{
    memcpy(arg, bytes, len);
    return RK_OK;
}

static void
take(int *fd, unsigned char *bytes)
{
    struct rk_secret *s;

    assert_int_equal(rk_secret_receive(*fd, &s), RK_OK);
    *fd = -1;
    assert_int_equal(rk_secret_len(s), 32);
    rk_secret_use(s, copy, bytes);
    rk_secret_free(&s);
}

static void
test_made_with_a_key(void **state)
{
    struct rk_call_msg c = {.verb = RK_V_GET_NEW, .inst = 1, .bits = 256, .items = rig_items(2), .n = 2};
    struct rk_secret *key, *chan;
    unsigned char got[32], want[32];

    (void)state;
    rig_start(&r, "host-source", NULL);
    assert_int_equal(rig_config(&r, 1, &reply, NULL), RK_OK);
    strcpy(c.peer_sae, "SAE_B");
    strcpy(c.items[0].link, "a-b-1");
    c.items[0].ratchet = 1;
    strcpy(c.items[1].link, "a-b-2");
    assert_int_equal(rig_call(&r, &c, &reply), RK_OK);
    assert_true(reply.items[0].fd >= 0 && reply.items[0].chan_fd >= 0 && reply.items[1].fd >= 0);
    assert_int_equal(reply.items[1].chan_fd, -1); /* it was not asked for: it costs nothing */
    take(&reply.items[0].chan_fd, got);
    assert_int_equal(rk_secret_receive(reply.items[0].fd, &key), RK_OK);
    reply.items[0].fd = -1;
    assert_int_equal(
        rk_kdf_channel(key, &(struct rk_confirm_of){.link = "a-b-1", .key_id = reply.items[0].key_id}, &chan), RK_OK);
    rk_secret_use(chan, copy, want);
    assert_memory_equal(got, want, sizeof got);
    rk_secret_free(&chan);
    rk_secret_free(&key);
    rk_items_free(c.items, c.n);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

/* ---- a channel ---- */

static void
start_channel(void)
{
    char value[128];

    rig_start(&r, "host-channel", NULL);
    rig_secret_file(&r, "a-shared-key-of-two-sites\n", 0600, value, sizeof value);
    assert_int_equal(rig_config(&r, 1, &reply, (const char *const[]){"auth-key", value, NULL}), RK_OK);
}

struct what {
    uint32_t op;
    const char *link, *key_id, *text, *keep;
    unsigned char key; /* 0: none */
};

static int
ratchet(struct what what)
{
    struct rk_call_msg c = {.verb = RK_V_RATCHET, .inst = 1, .items = rig_items(1), .n = 1};
    int again;

    c.items->op = what.op;
    snprintf(c.items->link, sizeof c.items->link, "%s", what.link);
    snprintf(c.items->key_id, sizeof c.items->key_id, "%s", what.key_id);
    snprintf(c.items->text, sizeof c.items->text, "%s", what.text ? what.text : "");
    snprintf(c.items->key[2].id, sizeof c.items->key[2].id, "%s", what.keep ? what.keep : "");
    if (what.key)
        c.items->fd = rig_key(what.key, 32);
    again = dup(c.items->fd);
    (void)rig_call(&r, &c, &reply);
    if (what.op == RK_RATCHET_ADD && what.key)
        assert_true(rig_key_is(&again, what.key, 32)); /* there for the host of another channel */
    if (again >= 0)
        close(again);
    rk_items_free(c.items, c.n);
    return reply.err ? reply.err : reply.items->err;
}

static int
call_one(uint32_t verb, const char *link, const char *text, const char *by)
{
    struct rk_call_msg c = {.verb = verb, .inst = 1, .items = rig_items(1), .n = verb == RK_V_WATCH ? 0 : 1};

    snprintf(c.items->link, sizeof c.items->link, "%s", link);
    strcpy(c.items->sae, "SAE_A"); /* our own name: the channel hands back what it is given */
    snprintf(c.items->text, sizeof c.items->text, "%s", text);
    snprintf(c.items->key_id, sizeof c.items->key_id, "%s", by);
    (void)rig_call(&r, &c, &reply);
    rk_items_free(c.items, 1);
    return reply.err;
}

/* Publish a record, and hear it: who has signed it; NULL: it was refused, or is not there. */
static const char *
heard(const char *text, const char *by)
{
    assert_int_equal(call_one(RK_V_PUBLISH, "l1", text, by), RK_OK);
    assert_int_equal(call_one(RK_V_WATCH, "", "", ""), RK_OK);
    return reply.n == 1 && !reply.items->err ? reply.items->key_id : NULL;
}

static void
test_held_by_a_channel(void **state)
{
    char wrapped[RK_RECORD_MAX + 1];

    (void)state;
    start_channel();
    assert_int_equal(call_one(RK_V_ATTACH, "l1", "", ""), RK_OK);
    assert_string_equal(heard("rk1|a", "k1"), ""); /* not held: the auth-key */
    assert_int_equal(ratchet((struct what){.op = RK_RATCHET_ADD, .link = "l1", .key_id = "k1", .key = 1}), RK_OK);
    assert_int_equal(strlen(reply.items->text), RK_WRAP_HEX);
    strcpy(wrapped, reply.items->text);
    assert_string_equal(heard("rk1|b", "k1"), "k1");
    assert_string_equal(heard("rk1|c", ""), "");
    assert_int_equal(ratchet((struct what){.op = RK_RATCHET_ADD, .link = "l1", .key_id = "k2", .keep = "k1", .key = 2}),
                     RK_OK);
    assert_string_equal(heard("rk1|d", "k1"), "k1");
    assert_int_equal(ratchet((struct what){.op = RK_RATCHET_ADD, .link = "l1", .key_id = "k3", .keep = "k2", .key = 3}),
                     RK_OK);
    assert_string_equal(heard("rk1|e", "k1"), ""); /* it was not held on to */
    assert_string_equal(heard("rk1|f", "k2"), "k2");
    assert_int_equal(ratchet((struct what){.op = RK_RATCHET_RESTORE, .link = "l1", .key_id = "k1", .text = wrapped}),
                     RK_OK);
    assert_string_equal(heard("rk1|g", "k1"), "k1");
    assert_int_equal(ratchet((struct what){.op = RK_RATCHET_RESTORE, .link = "l2", .key_id = "k1", .text = wrapped}),
                     RK_E_AUTH);
    assert_non_null(strstr(reply.items->text, "another auth-key"));
    assert_int_equal(ratchet((struct what){.op = RK_RATCHET_WRAP, .link = "l1", .key_id = "k1"}), RK_OK);
    assert_int_equal(strlen(reply.items->text), RK_WRAP_HEX);
    assert_int_equal(ratchet((struct what){.op = RK_RATCHET_WRAP, .link = "l1", .key_id = "k9"}), RK_E_NOENT);
    assert_int_equal(ratchet((struct what){.op = RK_RATCHET_KEEP, .link = "l1", .key_id = ""}), RK_OK);
    assert_string_equal(heard("rk1|h", "k1"), "");
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

static void
test_wrong_calls(void **state)
{
    (void)state;
    start_channel();
    assert_int_equal(ratchet((struct what){.op = RK_RATCHET_ADD, .link = "l1", .key_id = "k1"}), RK_E_CONTRACT);
    assert_non_null(strstr(reply.text, "ADD without a key"));
    assert_int_equal(ratchet((struct what){.op = RK_RATCHET_KEEP, .link = "l1", .key_id = "", .key = 1}),
                     RK_E_CONTRACT);
    assert_non_null(strstr(reply.text, "a key where none belongs"));
    assert_int_equal(ratchet((struct what){.op = RK_RATCHET_RESTORE, .link = "l1", .key_id = "", .text = "00"}),
                     RK_E_CONTRACT);
    assert_int_equal(ratchet((struct what){.op = RK_RATCHET_RESTORE, .link = "", .key_id = "k1", .text = "00"}),
                     RK_E_CONTRACT);
    assert_int_equal(ratchet((struct what){.op = 9, .link = "l1", .key_id = "k1"}), RK_E_CONTRACT);
    assert_int_equal(ratchet((struct what){.op = RK_RATCHET_RESTORE, .link = "l1", .key_id = "k1", .text = "00"}),
                     RK_E_PROTOCOL);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

static void
test_too_many(void **state)
{
    int passed = 0, over = 0;
    char text[24];

    (void)state;
    start_channel();
    assert_int_equal(call_one(RK_V_ATTACH, "l1", "", ""), RK_OK);
    assert_string_equal(heard("rk1|same", ""), "");
    for (int i = 0; i < 3; i++)
        passed += heard("rk1|same", "") != NULL;
    assert_in_range(passed, 0, 2); /* how many is a matter of time */
    passed = 0;
    for (int i = 0; i < 2 * RK_RECORDS_BURST; i++) {
        snprintf(text, sizeof text, "rk1|%d", i);
        passed += heard(text, "") != NULL;
        over += reply.n == 1 && reply.items->err == RK_E_BUSY && strstr(reply.items->text, "too many records");
    }
    assert_int_equal(passed + over, 2 * RK_RECORDS_BURST);
    assert_true(passed >= RK_RECORDS_BURST - 1);
    assert_int_equal(call_one(RK_V_ATTACH, "l2", "", ""), RK_OK);
    assert_int_equal(call_one(RK_V_PUBLISH, "l2", "rk1|other", ""), RK_OK);
    assert_int_equal(call_one(RK_V_WATCH, "", "", ""), RK_OK);
    assert_true(reply.n == 1 && !reply.items->err); /* of another link */
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_made_with_a_key), cmocka_unit_test(test_held_by_a_channel),
        cmocka_unit_test(test_wrong_calls), cmocka_unit_test(test_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
