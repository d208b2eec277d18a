/* host_device_test.c - calls of a device in rekey-host, as rekeyd sees them: operations, and what it shows. */
#include "hostrig.h"

#include "core/base/secret.h"
#include "core/host/kdf.h"
#include "core/host/serve.h"

#include <rekey/err.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void
start_device(struct rig *r)
{
    struct rk_reply reply;

    rig_start(r, "host-device", NULL);
    assert_int_equal(r->hello.apply_ms, 90000);
    assert_int_equal(rig_config(r, 1, &reply, NULL), RK_OK);
}

static void
op(struct rk_item *item, uint32_t kind, const char *iface)
{
    item->op = kind;
    item->seq = 9;
    strcpy(item->link, "a-b-1");
    strcpy(item->iface, iface);
    strcpy(item->key_id, "k1");
    item->role = 2;
    if (kind == RK_OP_STAGE)
        item->fd = rig_key(0x55, 32);
    if (kind == RK_OP_DESCRIBE)
        strcpy(item->text, "rk1|text");
}

static struct rk_call_msg
apply(size_t n)
{
    return (struct rk_call_msg){.verb = RK_V_APPLY, .inst = 1, .items = rig_items(n), .n = n};
}

/* Sent descriptors are the receiver's: close ours, and do not wipe what it reads. */
static int
apply_and_free(struct rig *r, struct rk_call_msg *c, struct rk_reply *reply)
{
    rig_send(r, c);
    rk_items_sent(c->items, c->n);
    rk_items_free(c->items, c->n);
    rig_reply(r, reply);
    return reply->err;
}

static int
fill_55(unsigned char *bytes, size_t len, void *arg)
{
    (void)arg;
    memset(bytes, 0x55, len);
    return RK_OK;
}

static void
test_apply(void **state)
{
    char master[RK_CONFIRM_HEX + 1], slave[RK_CONFIRM_HEX + 1];
    struct rk_call_msg c = apply(5);
    struct rk_secret *key;
    struct rk_reply reply;
    struct rig r;

    (void)state;
    start_device(&r);
    op(&c.items[0], RK_OP_STAGE, "eth0");
    op(&c.items[1], RK_OP_ACTIVATE, "eth0");
    op(&c.items[2], RK_OP_DESCRIBE, "eth0");
    op(&c.items[3], RK_OP_STAGE, "refuse");
    op(&c.items[4], RK_OP_RETIRE, "unset");
    assert_int_equal(apply_and_free(&r, &c, &reply), RK_OK);
    assert_int_equal(reply.n, 5);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(reply.items[i].err, RK_OK);
    assert_int_equal(rk_secret_new(32, fill_55, NULL, &key), RK_OK);
    assert_int_equal(rk_kdf_confirm(key, "a-b-1", "k1", 9, 1, master), RK_OK);
    assert_int_equal(rk_kdf_confirm(key, "a-b-1", "k1", 9, 2, slave), RK_OK);
    rk_secret_free(&key);
    assert_string_equal(reply.items[0].mine, slave);
    assert_string_equal(reply.items[0].theirs, master);
    assert_string_equal(reply.items[1].mine, "");
    assert_int_equal(reply.items[3].err, RK_E_CONFLICT);
    assert_string_equal(reply.items[3].text, "taken by?another");
    assert_string_equal(reply.items[3].mine, ""); /* a key that is not installed is not confirmed */
    assert_string_equal(reply.items[3].theirs, "");
    assert_int_equal(reply.items[4].err, RK_E_CONTRACT);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

/* Terms reach STAGE and RETIRE; SHUT and SWEEP are passed on, and SHUT also when no key is in use. */
static void
test_apply_terms(void **state)
{
    static const struct {
        uint32_t kind;
        const char *key_id, *terms, *want;
    } rows[] = {
        {RK_OP_STAGE, "k2", "keep=k1,start=1764000000", "1 k2 keep=k1,start=1764000000"},
        {RK_OP_STAGE, "k2", "", "1 k2 none"},
        {RK_OP_RETIRE, "k2", "keep=", "3 k2 keep="},
        {RK_OP_RETIRE, "k2", "", "3 k2 none"},
        {RK_OP_ACTIVATE, "k2", "keep=k1", "2 k2 none"},
        {RK_OP_SHUT, "k1", "", "5 k1 none"},
        {RK_OP_SHUT, "", "", "5  none"},
        {RK_OP_SWEEP, "k1", "keep=k1", "6 k1 none"},
    };
    size_t n = sizeof rows / sizeof rows[0];
    struct rk_call_msg c = apply(n);
    struct rk_reply reply;
    struct rig r;

    (void)state;
    start_device(&r);
    for (size_t i = 0; i < n; i++) {
        op(&c.items[i], rows[i].kind, "terms");
        strcpy(c.items[i].key_id, rows[i].key_id);
        strcpy(c.items[i].text, rows[i].terms);
    }
    assert_int_equal(apply_and_free(&r, &c, &reply), RK_OK);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(reply.items[i].err, RK_E_REJECTED);
        assert_string_equal(reply.items[i].text, rows[i].want);
    }
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

static void
test_apply_fails(void **state)
{
    struct rk_reply reply;
    struct rk_call_msg c;
    struct rig r;

    (void)state;
    start_device(&r);
    c = apply(2);
    op(&c.items[0], RK_OP_STAGE, "unknown");
    op(&c.items[1], RK_OP_RETIRE, "eth0");
    assert_int_equal(apply_and_free(&r, &c, &reply), RK_E_UNKNOWN);
    assert_string_equal(reply.text, "the answer was lost");
    assert_int_equal(reply.items[0].err, RK_E_UNKNOWN);
    assert_int_equal(reply.items[1].err, RK_E_UNKNOWN);
    assert_string_equal(reply.items[0].mine, "");
    c = apply(1);
    op(&c.items[0], RK_OP_STAGE, "endless");
    assert_int_equal(apply_and_free(&r, &c, &reply), RK_OK);
    assert_int_equal(reply.items[0].err, RK_E_CONTRACT);
    assert_int_equal(strlen(reply.items[0].text), RK_WHY_MAX - 1);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

/* A core that breaks the contract is refused before the plugin sees anything. */
static void
test_apply_refused(void **state)
{
    struct rk_reply reply;
    struct rig r;
    int pipes[2];

    (void)state;
    start_device(&r);
    for (int i = 0; i < 10; i++) {
        static const uint32_t kinds[10] = {[1] = RK_OP_RETIRE, [6] = RK_OP_RETIRE, [7] = RK_OP_RETIRE,
                                           [8] = RK_OP_SWEEP, [9] = RK_OP_SWEEP + 1};
        struct rk_call_msg c = apply(1);

        op(&c.items[0], kinds[i] ? kinds[i] : RK_OP_STAGE, "crash");
        if (i == 0 || i == 5) { /* no key; or one that is none */
            rk_secret_fd_wipe(c.items[0].fd);
            c.items[0].fd = -1;
        }
        if (i == 1) /* a key where none belongs */
            c.items[0].fd = rig_key(1, 32);
        if (i == 2)
            c.items[0].role = 0;
        if (i == 3 || i == 8)
            c.items[0].key_id[0] = '\0';
        if (i == 6) /* longer than terms can be */
            memset(c.items[0].text, 'x', RK_TERMS_MAX + 1);
        if (i == 7)
            strcpy(c.items[0].text, "keep=k1 k2");
        if (i == 4)
            c.items[0].iface[0] = '\0';
        if (i == 5) {
            assert_int_equal(pipe(pipes), 0);
            c.items[0].fd = pipes[0];
        }
        assert_int_equal(apply_and_free(&r, &c, &reply), RK_E_CONTRACT);
        assert_true(reply.text[0]);
    }
    close(pipes[1]);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

static void
test_observe(void **state)
{
    struct rk_call_msg c = {.verb = RK_V_OBSERVE, .inst = 1, .items = rig_items(5), .n = 5};
    struct rk_reply reply;
    struct rig r;

    (void)state;
    start_device(&r);
    for (size_t i = 0; i < 5; i++) {
        strcpy(c.items[i].iface, (const char *[]){"eth0", "facts", "endless", "class", "class"}[i]);
        strcpy(c.items[i].facts, "0011223344556677");
        strcpy(c.items[i].link, i == 3 ? "d" : "f");
    }
    strcpy(c.items[0].key[1].id, "k1");
    c.items[0].key[1].seq = 9;
    strcpy(c.items[0].key[3].id, "k0");
    c.items[0].key[3].seq = 8;
    assert_int_equal(rig_call(&r, &c, &reply), RK_OK);
    assert_int_equal(reply.items[0].err, RK_OK);
    assert_int_equal(reply.items[0].state, RK_IF_PRESENT | RK_IF_UP);
    assert_int_equal(reply.items[0].foreign, 3);
    assert_string_equal(reply.items[0].facts, "sci=0011223344556677");
    assert_int_equal(reply.items[0].key[0].held, 0);
    assert_int_equal(reply.items[0].key[1].held, RK_HELD_RX | RK_SENDING);
    assert_string_equal(reply.items[0].key[1].id, ""); /* whose it is was asked, and need not be told */
    assert_int_equal(reply.items[0].key[3].held, RK_HELD_RX);
    assert_int_equal(reply.items[1].err, RK_E_CONTRACT);
    assert_string_equal(reply.items[1].facts, "");
    assert_int_equal(reply.items[2].err, RK_OK);
    assert_int_equal(strlen(reply.items[2].text), RK_WHY_MAX - 1);
    assert_int_equal(reply.items[3].err, RK_OK);
    assert_int_equal(reply.items[3].state, RK_IF_PRESENT | RK_IF_UP | RK_IF_OTHER | RK_IF_CLASS(RK_CLASS_D));
    assert_int_equal(reply.items[4].err, RK_E_CONTRACT); /* there is no class F */
    assert_int_equal(reply.items[4].state, 0);
    strcpy(c.items[2].iface, "mute");
    assert_int_equal(rig_call(&r, &c, &reply), RK_E_UNREACHABLE);
    assert_int_equal(reply.items[0].err, RK_E_UNREACHABLE);
    assert_int_equal(reply.items[0].state, 0);
    rk_items_free(c.items, c.n);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

/* Where an operation was done the interface is read in the same call, and only there: as OBSERVE would, one for all. */
static void
test_apply_and_read(void **state)
{
    struct rk_call_msg c = apply(5);
    struct rk_reply reply;
    struct rig r;

    (void)state;
    start_device(&r);
    c.read_ms = 20000;
    op(&c.items[0], RK_OP_STAGE, "eth0");
    op(&c.items[1], RK_OP_STAGE, "refuse");
    op(&c.items[2], RK_OP_ACTIVATE, "facts");
    op(&c.items[3], RK_OP_ACTIVATE, "class");
    op(&c.items[4], RK_OP_RETIRE, "eth1");
    for (size_t i = 0; i < 5; i++) {
        strcpy(c.items[i].facts, i == 4 ? "2222" : "1111");
        strcpy(c.items[i].key[1].id, "k1");
        c.items[i].key[1].seq = i == 4 ? 9 : 8;
    }
    assert_int_equal(apply_and_free(&r, &c, &reply), RK_OK);
    assert_int_equal(reply.items[0].err, RK_OK);
    assert_int_equal(reply.items[0].read, 1);
    assert_int_equal(strlen(reply.items[0].mine), RK_CONFIRM_HEX); /* as ever */
    assert_int_equal(strlen(reply.items[0].theirs), RK_CONFIRM_HEX);
    assert_int_equal(reply.items[0].state, RK_IF_PRESENT | RK_IF_UP);
    assert_int_equal(reply.items[0].foreign, 3);
    assert_string_equal(reply.items[0].facts, "sci=1111");
    assert_int_equal(reply.items[0].key[0].held, 0);
    assert_int_equal(reply.items[0].key[1].held, RK_HELD_RX);
    assert_int_equal(reply.items[1].err, RK_E_CONFLICT);
    assert_string_equal(reply.items[1].text, "taken by?another");
    for (size_t i = 1; i < 4; i++) { /* not done; no facts; no class: what was done was done */
        assert_int_equal(reply.items[i].err, i == 1 ? RK_E_CONFLICT : RK_OK);
        assert_int_equal(reply.items[i].read, 0);
        assert_int_equal(reply.items[i].state, 0);
        assert_string_equal(reply.items[i].facts, "");
    }
    assert_string_equal(reply.items[2].text, "");
    assert_int_equal(reply.items[4].read, 1);
    assert_string_equal(reply.items[4].facts, "sci=2222");
    assert_int_equal(reply.items[4].key[1].held, RK_HELD_RX | RK_SENDING);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

static int
apply_one(struct rig *r, const char *iface, uint32_t budget_ms, uint32_t read_ms, struct rk_reply *reply)
{
    struct rk_call_msg c = apply(1);

    c.budget_ms = budget_ms;
    c.read_ms = read_ms;
    op(&c.items[0], RK_OP_ACTIVATE, iface);
    return apply_and_free(r, &c, reply);
}

/* What was done is told as done, whatever reading it comes to; and when it was not asked for nothing is read. */
static void
test_apply_and_not_read(void **state)
{
    struct rk_reply reply;
    struct rig r;

    (void)state;
    start_device(&r);
    assert_int_equal(apply_one(&r, "eth0", 0, 0, &reply), RK_OK);
    assert_int_equal(reply.items[0].read, 0);
    assert_int_equal(reply.items[0].state, 0);
    assert_int_equal(apply_one(&r, "blind", 0, 20000, &reply), RK_OK);
    assert_true(reply.items[0].err == RK_OK && reply.items[0].read == 0);
    assert_int_equal(apply_one(&r, "slow-eyes", 0, 50, &reply), RK_OK); /* it is given up in time */
    assert_true(reply.items[0].err == RK_OK && reply.items[0].read == 0);
    assert_true(reply.took_us >= 40000); /* left_ms() tells whole ones */
    assert_int_equal(apply_one(&r, "mute", 0, 20000, &reply), RK_E_UNREACHABLE);
    assert_int_equal(apply_one(&r, "late", 50, 20000, &reply), RK_OK); /* all of the budget was needed */
    assert_true(reply.items[0].err == RK_OK && reply.items[0].read == 0);
    assert_false(rig_log_has(&r, "ev=observe-late"));
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_apply),
        cmocka_unit_test(test_apply_terms),
        cmocka_unit_test(test_apply_fails),
        cmocka_unit_test(test_apply_refused),
        cmocka_unit_test(test_observe),
        cmocka_unit_test(test_apply_and_read),
        cmocka_unit_test(test_apply_and_not_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
