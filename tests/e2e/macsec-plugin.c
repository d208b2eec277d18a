/* macsec-plugin.c - the plugin linux-macsec against a real kernel: both ends of a link, in two network namespaces
 *
 * Runs as root in a guest that macsec-plugin.sh starts; it makes the namespaces a and b.  The plugin is linked in and
 * driven as rekey-host would; what the kernel then holds is read by macsec-counters, which shares no code with it.
 */
#include "macsec-lab.h"

#include "plugins/device/linux-macsec/msg.h"
#include "plugins/device/linux-macsec/stage.h"

#include <cmocka.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROTATIONS 30

static void
makes_and_adopts(void **state)
{
    struct rk_dev_seen seen;
    char truth[8192];

    (void)state;
    link_up(NULL);
    assert_string_equal(sides[0].facts, "sci=02000000000a0001");
    assert_string_equal(sides[1].facts, "sci=02000000000b0001");
    assert_non_null(strstr(fake_log(), "ev=create iface=macsec0 parent=va"));
    kernel_truth(truth, sizeof truth);
    assert_int_equal(count(truth, "\"encrypt\": 1"), 2);
    assert_int_equal(count(truth, "\"protect\": 1"), 2);
    assert_int_equal(count(truth, "\"replay\": 1"), 2);
    assert_int_equal(count(truth, "\"validate\": 2"), 2);
    assert_int_equal(count(truth, "\"window\": 64"), 2);
    assert_int_equal(count(truth, "\"cipher\": \"0080c20001000002\""), 2);

    /* Again, and by its name alone: adopted, not made anew. */
    fake_log_clear();
    seen = observe(&sides[0], NULL);
    assert_int_equal(seen.err, RK_OK);
    assert_int_equal(seen.state, RK_IF_PRESENT | RK_IF_UP | RK_IF_PROTECTED);
    assert_int_equal(observe_iface(&sides[0], "macsec0", "", NULL).err, RK_OK);
    assert_null(strstr(fake_log(), "ev=create"));
    link_down();
}

static void
refused(const char *iface, int err, const char *text)
{
    struct rk_dev_seen seen = observe_iface(&sides[0], iface, "", NULL);

    print_message("# %s: %s\n", iface, seen.why);
    assert_int_equal(seen.err, err);
    assert_non_null(strstr(seen.why, text));
}

static void
refuses_what_does_not_fit(void **state)
{
    static const char *const other[] = {"cipher", "gcm-aes-128", "replay-window", "32", "port", "2", NULL};
    struct key k = key_new(1);
    struct rk_dev_op op;

    (void)state;
    link_up(NULL);
    refused("macsec9", RK_E_NOENT, "macsec9@PARENT");
    refused("macsec9@nowhere", RK_E_NOENT, "nowhere is not there");
    refused("va", RK_E_CONFIG, "no MACsec interface");
    refused("macsec0@lo", RK_E_CONFIG, "not on lo");
    refused("macsec1@va", RK_E_CONFLICT, "port 1");
    refused("no name", RK_E_CONFIG, "DEVICE@PARENT");
    sh("ip -n a link add d0 type dummy");
    refused("macsec9@d0", RK_E_UNREACHABLE, "d0 is down");
    sh("ip -n a link set macsec0 type macsec replay off");
    refused(IFACE_A, RK_E_CONFIG, "replay protection is off");
    sh("ip -n a link set macsec0 type macsec replay on window 100");
    refused(IFACE_A, RK_E_CONFIG, "wider than replay-window");
    sh("ip -n a link set macsec0 type macsec replay on window 64 encrypt off");
    refused(IFACE_A, RK_E_CONFIG, "encrypt on");
    assert_false(observe(&sides[0], NULL).state & RK_IF_PROTECTED);
    sh("ip -n a link set macsec0 type macsec encrypt on validate check");
    refused(IFACE_A, RK_E_CONFIG, "validate strict");
    sh("ip -n a link set macsec0 type macsec validate strict");
    assert_int_equal(observe(&sides[0], NULL).err, RK_OK);

    /* Other options: another cipher, a narrower window, another port. */
    side_stop(&sides[0]);
    side_start(&sides[0], other);
    refused(IFACE_A, RK_E_CONFIG, "has cipher gcm-aes-256, the option cipher says gcm-aes-128");
    op = op_of(&sides[0], RK_OP_STAGE, &k);
    assert_int_equal(apply(&sides[0], &op, 1, 5000), RK_OK);
    assert_int_equal(op.err, RK_E_CONFIG);
    sh("ip -n a link del d0");
    link_down();
    key_free(&k);
}

static void
facts_must_be_the_peers(void **state)
{
    static const struct {
        const char *facts;
        int err;
    } rows[] = {{"", RK_E_AGAIN}, {"sci=02000000000a0001", RK_E_CONFIG}, {"sci=02000000000b000", RK_E_CONFIG},
                {"sci=02000000000b0001,x", RK_E_CONFIG}, {"sci=02000000000b000g", RK_E_CONFIG}};
    struct key k = key_new(1);

    (void)state;
    link_up(NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rk_dev_op op = op_of(&sides[0], RK_OP_STAGE, &k);

        op.peer_facts = rows[i].facts;
        assert_int_equal(apply(&sides[0], &op, 1, 5000), RK_OK);
        assert_int_equal(op.err, rows[i].err);
        assert_true(op.why[0]);
    }
    assert_int_equal(observe(&sides[0], &k).held[0], 0);
    link_down();
    key_free(&k);
}

/* A new interface has its transmit slot on AN 0: a key staged there must not be sent with. */
static void
stage_sends_nothing(void **state)
{
    char truth[8192];

    (void)state;
    link_up(NULL);
    for (uint64_t seq = 0; seq < 6; seq++) {
        struct key k = key_new(seq);

        both(RK_OP_STAGE, &k);
        frames(3);
        assert_int_equal(observe(&sides[0], &k).held[0], RK_HELD_RX | RK_HELD_TX);
        kernel_truth(truth, sizeof truth);
        assert_int_equal(count(truth, "\"OutPktsEncrypted\": 0"), 2);
        both(RK_OP_RETIRE, &k); /* a burnt candidate goes */
        both(RK_OP_RETIRE, &k); /* and again */
        assert_int_equal(observe(&sides[0], &k).held[0], 0);
        key_free(&k);
    }
    link_down();
}

static void
operations_can_be_repeated(void **state)
{
    struct key k1, k2 = key_new(2);
    char truth[8192];

    (void)state;
    link_up(NULL);
    k1 = first_key(1);
    frames(3);
    assert_int_equal(observe(&sides[0], &k1).held[0], RK_HELD_RX | RK_HELD_TX | RK_SENDING | RK_PEER_USES);
    /* Staged again in use: nothing is installed anew, the packet numbers go on. */
    both(RK_OP_STAGE, &k1);
    both(RK_OP_ACTIVATE, &k1);
    kernel_truth(truth, sizeof truth);
    assert_int_equal(count(truth, "\"pn\": 1,"), 0);
    both(RK_OP_STAGE, &k2);
    both(RK_OP_STAGE, &k2);
    both(RK_OP_ACTIVATE, &k2);
    both(RK_OP_ACTIVATE, &k2);
    both(RK_OP_RETIRE, &k1);
    both(RK_OP_RETIRE, &k1);
    assert_int_equal(observe(&sides[0], &k1).held[0], 0);
    assert_int_equal(observe(&sides[0], &k1).foreign, 1);
    assert_int_equal(observe(&sides[1], &k2).held[0] & RK_SENDING, RK_SENDING);
    link_down();
    key_free(&k1);
    key_free(&k2);
}

static void
conflicts_are_refused(void **state)
{
    struct key k1, k2 = key_new(2), k5 = key_new(5), moved;
    struct rk_dev_op op;

    (void)state;
    link_up(NULL);
    k1 = first_key(1);
    assert_int_equal(doing(&sides[0], RK_OP_RETIRE, &k1), RK_E_CONFLICT); /* in use */
    assert_int_equal(doing(&sides[0], RK_OP_ACTIVATE, &k2), RK_E_NOKEY);  /* not staged */
    assert_int_equal(doing(&sides[0], RK_OP_ACTIVATE, &k5), RK_E_NOKEY);  /* another key in the slot */
    assert_int_equal(observe(&sides[0], &k1).held[0] & RK_SENDING, RK_SENDING);
    op = op_of(&sides[0], RK_OP_STAGE, &k5); /* AN 1 as well */
    assert_int_equal(apply(&sides[0], &op, 1, 5000), RK_OK);
    assert_int_equal(op.err, RK_E_CONFLICT);
    assert_non_null(strstr(op.why, "association 1 holds another key, id "));
    moved = k1;
    moved.seq = 2; /* the same key under another number */
    assert_int_equal(doing(&sides[0], RK_OP_STAGE, &moved), RK_E_CONFLICT);

    /* Half there: one direction was taken away by someone.  Never completed; retired, whatever is left. */
    both(RK_OP_STAGE, &k2);
    sh("ip -n a macsec set macsec0 rx sci 02000000000b0001 sa 2 off && ip -n a macsec del macsec0 rx sci "
       "02000000000b0001 sa 2");
    sh("ip -n b macsec set macsec0 tx sa 2 off && ip -n b macsec del macsec0 tx sa 2");
    assert_int_equal(observe(&sides[0], &k2).held[0], RK_HELD_TX);
    assert_int_equal(observe(&sides[1], &k2).held[0], RK_HELD_RX);
    assert_int_equal(doing(&sides[0], RK_OP_STAGE, &k2), RK_E_CONFLICT);
    assert_int_equal(doing(&sides[1], RK_OP_STAGE, &k2), RK_E_CONFLICT);
    assert_int_equal(doing(&sides[1], RK_OP_ACTIVATE, &k2), RK_E_NOKEY);
    both(RK_OP_RETIRE, &k2);
    assert_int_equal(observe(&sides[0], &k2).held[0], 0);
    assert_int_equal(observe(&sides[1], &k2).held[0], 0);

    /* Only the receive slot is taken: the STAGE fails in its middle or before, and leaves nothing of its own. */
    sh("ip -n a macsec add macsec0 tx sa 2 pn 1 off key 77 %064d", 5);
    assert_int_equal(doing(&sides[0], RK_OP_STAGE, &k2), RK_E_CONFLICT);
    assert_int_equal(observe(&sides[0], &k2).held[0], 0);
    assert_int_equal(observe(&sides[0], &k1).foreign, 1);
    assert_non_null(strstr(observe(&sides[0], &k1).why, "77000000"));
    link_down();
    key_free(&k1);
    key_free(&k2);
    key_free(&k5);
}

/* The peer's network card was changed: its channel is new, the old one goes with its last key. */
static void
follows_a_peer_with_a_new_sci(void **state)
{
    struct key k1, k2 = key_new(2);
    char truth[8192];

    (void)state;
    link_up(NULL);
    k1 = first_key(1);
    strcpy(sides[1].facts, "sci=02000000000c0001");
    assert_int_equal(doing(&sides[0], RK_OP_STAGE, &k1), RK_E_CONFLICT); /* that would be the same SAK again */
    assert_int_equal(doing(&sides[0], RK_OP_STAGE, &k2), RK_OK);
    assert_int_equal(doing(&sides[0], RK_OP_ACTIVATE, &k2), RK_OK);
    assert_int_equal(observe(&sides[0], &k1).held[0], RK_HELD_TX);
    kernel_truth(truth, sizeof truth);
    assert_int_equal(count(truth, "\"sci\": \"02000000000b0001\", \"sas\""), 1);
    assert_int_equal(doing(&sides[0], RK_OP_RETIRE, &k1), RK_OK);
    kernel_truth(truth, sizeof truth);
    assert_int_equal(count(truth, "\"sci\": \"02000000000b0001\", \"sas\""), 0);
    assert_int_equal(count(truth, "\"sci\": \"02000000000c0001\", \"sas\""), 1);
    link_down();
    key_free(&k1);
    key_free(&k2);
}

static void
rotates_without_loss(void **state)
{
    static const char *const pairs[4][3] = {{"cipher", "gcm-aes-256", NULL}, {"cipher", "gcm-aes-128", NULL},
                                            {"cipher", "gcm-aes-xpn-128", NULL}, {"cipher", "gcm-aes-xpn-256", NULL}};
    char truth[8192];

    (void)state;
    for (size_t c = 0; c < 4; c++) {
        unsigned long sent, lost;
        struct traffic t;
        struct key k;

        link_up(pairs[c]);
        k = first_key(7);
        t = traffic_start();
        for (uint64_t i = 1; i <= (c == 0 ? ROTATIONS : ROTATIONS / 5); i++) {
            struct key next = key_new(7 + i);

            rotate(&k, &next);
        }
        lost = traffic_stop(&t, &sent);
        kernel_truth(truth, sizeof truth);
        print_message("# %s: %lu lost of %lu\n", pairs[c][1], lost, sent);
        assert_int_equal(lost, 0);
        assert_true(sent > 100);
        assert_int_equal(count(truth, "\"errors\": {}"), 2);
        assert_int_equal(count(truth, "\"pn\""), 4); /* one key, two directions, two ends */
        link_down();
        key_free(&k);
    }
}

/* The same traffic sees wrong orders: the test above is alive. */
static void
wrong_orders_lose(void **state)
{
    struct key k, next = key_new(2), last = key_new(3);
    unsigned long sent, lost;
    struct traffic t;
    char truth[8192];

    (void)state;
    link_up(NULL);
    k = first_key(1);
    t = traffic_start();
    assert_int_equal(doing(&sides[0], RK_OP_STAGE, &next), RK_OK); /* sends before the other end can receive */
    assert_int_equal(doing(&sides[0], RK_OP_ACTIVATE, &next), RK_OK);
    pause_ms(DRAIN_MS);
    assert_int_equal(doing(&sides[1], RK_OP_STAGE, &next), RK_OK);
    assert_int_equal(doing(&sides[1], RK_OP_ACTIVATE, &next), RK_OK);
    peers_use(&next);
    lost = traffic_stop(&t, &sent);
    print_message("# switch before the peer: %lu lost of %lu\n", lost, sent);
    assert_true(lost > 0);
    kernel_truth(truth, sizeof truth);
    assert_int_equal(count(truth, "\"InPktsNotUsingSA\": 0"), 1);

    t = traffic_start();
    for (int i = 0; i < 2; i++) /* delete, then add */
        sh("ip -n %s macsec set macsec0 tx sa 2 off && ip -n %s macsec del macsec0 tx sa 2", sides[i].netns,
           sides[i].netns);
    both(RK_OP_STAGE, &last);
    both(RK_OP_ACTIVATE, &last);
    lost = traffic_stop(&t, &sent);
    print_message("# delete, then add: %lu lost of %lu\n", lost, sent);
    assert_true(lost > 0);
    link_down();
    key_free(&k);
    key_free(&next);
    key_free(&last);
}

static void
says_when_packet_numbers_run_out(void **state)
{
    static const char *const pairs[] = {"pn-threshold", "20", NULL};
    struct key k;

    (void)state;
    link_up(pairs);
    k = first_key(4);
    frames(3);
    assert_false(observe(&sides[0], &k).state & RK_IF_REKEY);
    frames(25);
    assert_true(observe(&sides[0], &k).state & RK_IF_REKEY);
    /* The very last number: the kernel switches the association off. */
    sh("ip -n a macsec set macsec0 tx sa 0 pn 4294967295 on");
    frames(3);
    assert_true(observe(&sides[0], &k).state & RK_IF_REKEY);
    assert_false(observe(&sides[0], &k).held[0] & RK_SENDING);
    link_down();
    key_free(&k);
}

/* Frames that a sent so far, as the kernel counts them; none of either end went in clear. */
static unsigned long
sent_by_a(void)
{
    char truth[8192];
    const char *at;

    kernel_truth(truth, sizeof truth);
    assert_int_equal(count(truth, "\"OutPktsUntagged\": 0"), 2);
    at = strstr(truth, "\"OutPktsEncrypted\": ");
    assert_non_null(at);
    return strtoul(at + strlen("\"OutPktsEncrypted\": "), NULL, 10);
}

static void
assert_silent(const struct key *k)
{
    unsigned long before = sent_by_a();

    assert_int_equal(observe(&sides[0], k).held[0], RK_HELD_RX | RK_HELD_TX | RK_PEER_USES);
    assert_int_equal(observe(&sides[0], k).state, RK_IF_PRESENT | RK_IF_UP | RK_IF_PROTECTED);
    frames(5);
    assert_int_equal(sent_by_a(), before);
}

/* Nothing is sent, in clear or not, until the next ACTIVATE; the keys stay. */
static void
shut_sends_nothing(void **state)
{
    struct key k1, k2 = key_new(2), k3 = key_new(3);
    struct rk_dev_op op, ops[3];

    (void)state;
    link_up(NULL);
    k1 = first_key(1);
    frames(5);
    assert_true(sent_by_a() > 0);
    assert_int_equal(doing(&sides[0], RK_OP_SHUT, &k1), RK_OK);
    assert_silent(&k1);
    assert_int_equal(doing(&sides[0], RK_OP_SHUT, &k1), RK_OK);
    assert_silent(&k1);

    /* A key that is staged meanwhile, also on the slot that was chosen to be silent, changes nothing. */
    assert_int_equal(doing(&sides[0], RK_OP_STAGE, &k2), RK_OK);
    assert_silent(&k1);
    assert_int_equal(doing(&sides[0], RK_OP_STAGE, &k3), RK_OK);
    assert_silent(&k1);
    assert_int_equal(doing(&sides[0], RK_OP_ACTIVATE, &k1), RK_OK);
    frames(5);
    peers_use(&k1);
    assert_int_equal(observe(&sides[1], &k1).held[0] & RK_PEER_USES, RK_PEER_USES);

    /* All four taken: one that is off will do, else nothing is changed. */
    sh("ip -n a macsec add macsec0 tx sa 0 pn 1 on key 77 %064d", 5);
    op = op_of(&sides[0], RK_OP_SHUT, &k1);
    assert_int_equal(apply(&sides[0], &op, 1, 5000), RK_OK);
    assert_int_equal(op.err, RK_E_CONFLICT);
    assert_non_null(strstr(op.why, "retire one"));
    assert_true(observe(&sides[0], &k1).held[0] & RK_SENDING);
    sh("ip -n a macsec set macsec0 tx sa 0 off");
    assert_int_equal(doing(&sides[0], RK_OP_SHUT, &k1), RK_OK);
    assert_silent(&k1);

    /* In one call with what ends it. */
    ops[0] = ops[2] = op_of(&sides[0], RK_OP_ACTIVATE, &k1);
    ops[1] = op_of(&sides[0], RK_OP_SHUT, &k1);
    assert_int_equal(apply(&sides[0], ops, 3, 5000), RK_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ops[i].err, RK_OK);
    assert_true(observe(&sides[0], &k1).held[0] & RK_SENDING);
    link_down();
    key_free(&k1);
    key_free(&k2);
    key_free(&k3);
}

/* All that is not the key in use goes, whoever installed it; the traffic does not notice. */
static void
sweep_removes_the_others(void **state)
{
    struct key k1, k2 = key_new(2);
    unsigned long sent, lost;
    struct traffic t;
    char truth[8192];

    (void)state;
    link_up(NULL);
    k1 = first_key(1);
    both(RK_OP_STAGE, &k2);
    sh("ip -n a macsec add macsec0 tx sa 3 pn 1 on key 77 %064d", 5);
    sh("ip -n a macsec add macsec0 rx sci 02000000000c0001 on");
    sh("ip -n a macsec add macsec0 rx sci 02000000000c0001 sa 0 pn 1 on key 78 %064d", 6);
    assert_int_equal(observe(&sides[0], &k1).foreign, 3);
    assert_int_equal(doing(&sides[0], RK_OP_SWEEP, &k2), RK_E_CONFLICT); /* not the one in use */
    assert_int_equal(observe(&sides[0], &k1).foreign, 3);
    t = traffic_start();
    assert_int_equal(doing(&sides[0], RK_OP_SWEEP, &k1), RK_OK);
    assert_int_equal(doing(&sides[0], RK_OP_SWEEP, &k1), RK_OK);
    pause_ms(50);
    lost = traffic_stop(&t, &sent);
    assert_int_equal(lost, 0);
    assert_true(sent > 0);
    assert_int_equal(observe(&sides[0], &k1).foreign, 0);
    assert_int_equal(observe(&sides[0], &k1).held[0], RK_HELD_RX | RK_HELD_TX | RK_SENDING | RK_PEER_USES);
    assert_int_equal(observe(&sides[1], &k2).held[0], RK_HELD_RX | RK_HELD_TX); /* that is another device */
    kernel_truth(truth, sizeof truth);
    assert_int_equal(count(truth, "02000000000c0001"), 0);
    link_down();
    key_free(&k1);
    key_free(&k2);
}

/* What observe says is what ACTIVATE finds, and what was really seen. */
static void
observe_tells_the_truth(void **state)
{
    struct key k1, k2 = key_new(2);
    struct rk_dev_seen seen;

    (void)state;
    link_up(NULL);
    k1 = first_key(1);
    both(RK_OP_STAGE, &k2);
    sh("ip -n a macsec set macsec0 tx sa 2 off");
    assert_int_equal(observe(&sides[0], &k2).held[0], RK_HELD_RX);
    assert_int_equal(doing(&sides[0], RK_OP_ACTIVATE, &k2), RK_E_NOKEY);
    sh("ip -n a macsec set macsec0 tx sa 2 on");
    assert_int_equal(observe(&sides[0], &k2).held[0], RK_HELD_RX | RK_HELD_TX);

    /* No frame came with k2: a packet number that someone set says nothing of the peer. */
    sh("ip -n a macsec set macsec0 rx sci 02000000000b0001 sa 2 pn 100");
    assert_int_equal(observe(&sides[0], &k2).held[0], RK_HELD_RX | RK_HELD_TX);
    sh("ip -n a macsec set macsec0 rx sci 02000000000b0001 sa 2 pn 1");
    assert_int_equal(doing(&sides[1], RK_OP_ACTIVATE, &k2), RK_OK);
    for (int tries = 0; !(observe(&sides[0], &k2).held[0] & RK_PEER_USES); tries++) {
        assert_true(tries < 100);
        frames(1);
    }

    /* A key that nobody asked for is in use. */
    assert_false(observe(&sides[0], &k1).state & RK_IF_OTHER);
    assert_true(observe(&sides[0], &k2).state & RK_IF_OTHER);
    sh("ip -n a macsec add macsec0 tx sa 3 pn 1 on key 77 %064d", 5);
    sh("ip -n a link set macsec0 type macsec encodingsa 3");
    seen = observe(&sides[0], &k1);
    assert_true(seen.state & RK_IF_OTHER);
    assert_false(seen.held[0] & RK_SENDING);
    link_down();
    key_free(&k1);
    key_free(&k2);
}

/* Several operations in one call, in order; and the budget. */
static void
batches_and_budgets(void **state)
{
    struct key k1 = key_new(1), k2 = key_new(2);
    struct rk_dev_op ops[6];
    struct rk_call call;

    (void)state;
    link_up(NULL);
    ops[0] = op_of(&sides[0], RK_OP_STAGE, &k1);
    ops[1] = op_of(&sides[0], RK_OP_ACTIVATE, &k1);
    ops[2] = op_of(&sides[0], RK_OP_STAGE, &k2);
    ops[3] = op_of(&sides[0], RK_OP_ACTIVATE, &k2);
    ops[4] = op_of(&sides[0], RK_OP_RETIRE, &k1);
    ops[5] = op_of(&sides[0], RK_OP_DESCRIBE, &k1);
    assert_int_equal(apply(&sides[0], ops, 6, 5000), RK_OK);
    for (int i = 0; i < 5; i++)
        assert_int_equal(ops[i].err, RK_OK);
    assert_int_equal(ops[5].err, RK_E_UNSUPPORTED);
    assert_int_equal(observe(&sides[0], &k1).held[0], 0);
    assert_int_equal(observe(&sides[0], &k2).held[0], RK_HELD_RX | RK_HELD_TX | RK_SENDING);

    ops[0] = op_of(&sides[1], RK_OP_STAGE, &k1);
    assert_int_equal(apply(&sides[1], ops, 1, 0), RK_OK);
    assert_int_equal(ops[0].err, RK_E_TIMEOUT);
    fake_call(&call, 5000);
    fake_cancel(&call);
    enter(sides[1].ns);
    ops[0] = op_of(&sides[1], RK_OP_STAGE, &k1);
    assert_int_equal(device->apply(sides[1].inst, &call, ops, 1), RK_OK);
    enter(home_ns);
    fake_call_end(&call);
    assert_int_equal(ops[0].err, RK_E_CANCELED);
    assert_int_equal(observe(&sides[1], &k1).held[0], 0);

    /* The interface goes away under us: its keys are gone with it, and it is not made anew but for a key. */
    sh("ip -n b link del macsec0");
    assert_int_equal(doing(&sides[1], RK_OP_RETIRE, &k1), RK_OK);
    assert_int_equal(doing(&sides[1], RK_OP_ACTIVATE, &k1), RK_E_NOENT);
    assert_int_equal(doing(&sides[1], RK_OP_STAGE, &k1), RK_OK);
    link_down();
    key_free(&k1);
    key_free(&k2);
}

/* Fails the nth derivation from now on. */
static int derivations_left;

static int
failing_derive(const struct rk_secret *key, const void *info, size_t info_len, size_t len, struct rk_secret **out)
{
    *out = NULL;
    if (derivations_left-- == 0)
        return RK_E_NOMEM;
    return fake_host.secret_derive(key, info, info_len, len, out);
}

/* A STAGE that fails in its middle leaves nothing of its own, and takes nothing of others. */
static void
failed_stage_is_undone(void **state)
{
    static struct rk_host host;
    struct key k1 = key_new(1), k2 = key_new(2);
    char truth[8192];

    (void)state;
    host = fake_host;
    host.secret_derive = failing_derive;
    sides[0].host = &host;
    link_up(NULL);
    for (int n = 0; n < 2; n++) { /* the receive key, the transmit key */
        derivations_left = n;
        assert_int_equal(doing(&sides[0], RK_OP_STAGE, &k1), RK_E_NOMEM);
        kernel_truth(truth, sizeof truth);
        assert_int_equal(count(truth, "\"tx\": [], \"rx\": []"), 2);
    }
    derivations_left = 99;
    assert_int_equal(doing(&sides[0], RK_OP_STAGE, &k1), RK_OK);
    derivations_left = 1;
    assert_int_equal(doing(&sides[0], RK_OP_STAGE, &k2), RK_E_NOMEM);
    assert_int_equal(observe(&sides[0], &k1).held[0], RK_HELD_RX | RK_HELD_TX);
    assert_int_equal(observe(&sides[0], &k2).held[0], 0);
    sides[0].host = NULL;
    link_down();
    key_free(&k1);
    key_free(&k2);
}

/* What a call keeps between its steps, to step through one by hand. */
struct by_hand {
    struct rk_call call;
    struct macsec_call c;
    struct macsec_iface f;
    char why[RK_WHY_MAX];
};

static void
by_hand_begin(struct by_hand *h, struct side *s)
{
    memset(h, 0, sizeof *h);
    fake_call(&h->call, 5000);
    h->c.inst = s->inst;
    h->c.time.host = &fake_host;
    h->c.time.call = &h->call;
    h->f.text = s->iface;
    enter(s->ns);
    assert_int_equal(macsec_ifaces_load(&h->c, &h->f, 1, h->why), RK_OK);
    assert_int_equal(h->f.err, RK_OK);
    enter(home_ns);
}

/* Someone empties the slot between the look at it and the switch: back to the old key, and said so. */
static void
switch_is_read_back(void **state)
{
    struct key k1, k2 = key_new(2);
    struct rk_dev_op op;
    struct by_hand h;

    (void)state;
    link_up(NULL);
    k1 = first_key(1);
    for (int old_too = 0; old_too < 2; old_too++) {
        assert_int_equal(doing(&sides[0], RK_OP_STAGE, &k2), RK_OK);
        by_hand_begin(&h, &sides[0]);
        op = op_of(&sides[0], RK_OP_ACTIVATE, &k2);
        sh("ip -n a macsec set macsec0 tx sa 2 off && ip -n a macsec del macsec0 tx sa 2");
        if (old_too)
            sh("ip -n a macsec set macsec0 tx sa 1 off && ip -n a macsec del macsec0 tx sa 1");
        assert_int_equal(macsec_activate(&h.c, &h.f, &op), RK_OK);
        assert_ptr_equal(h.f.pending.op, &op);
        assert_int_equal(macsec_ifaces_read(&h.c, &h.f, 1, h.why), RK_OK);
        macsec_activated(&h.c, &h.f);
        print_message("# %s\n", op.why);
        assert_int_equal(op.err, old_too ? RK_E_UNKNOWN : RK_E_NOKEY);
        assert_int_equal(observe(&sides[0], &k1).held[0] & RK_SENDING, old_too ? 0 : RK_SENDING);
        assert_int_equal(doing(&sides[0], RK_OP_RETIRE, &k2), RK_OK);
        fake_call_end(&h.call);
        key_free(&k2);
        k2 = key_new(2);
    }
    link_down();
    key_free(&k1);
    key_free(&k2);
}

static bool
holds(const void *where, size_t size, const void *what, size_t len)
{
    return memmem(where, size, what, len) != NULL;
}

/* Requests are wiped, and the kernel's refusal does not bring the key back. */
static void
buffers_keep_no_key(void **state)
{
    static const unsigned char zero[MACSEC_MSG_MAX];
    unsigned char marker[32];
    struct macsec_inst *inst;
    struct rk_secret *sak;
    struct key k;
    struct by_hand h;
    int refusal;

    (void)state;
    link_up(NULL);
    inst = sides[0].inst;
    k = first_key(1);
    assert_memory_equal(inst->nl.out, zero, sizeof zero);
    by_hand_begin(&h, &sides[0]);
    memset(marker, 0xa5, sizeof marker);
    sak = fake_secret(marker, sizeof marker);
    for (int i = 0; i < 2; i++) {
        struct macsec_new_sa sa = {.place = {h.f.link.ifindex, NULL, 1}, .sak = sak};

        assert_int_equal(macsec_msg_sa_add(inst->nl.out, h.c.family, &sa, &fake_host), RK_OK);
        assert_true(holds(inst->nl.out, MACSEC_MSG_MAX, marker, sizeof marker));
        if (i == 1)
            h.call.deadline_ns = 0; /* not even sent */
        assert_int_equal(macsec_nl_ask(&inst->nl, MACSEC_GENERIC, &h.c.time, NULL, NULL, &refusal),
                         i == 1 ? RK_E_TIMEOUT : RK_OK);
        assert_int_equal(refusal, i == 1 ? 0 : EBUSY);
        assert_memory_equal(inst->nl.out, zero, sizeof zero);
        assert_false(holds(inst->nl.in, 65536, marker, sizeof marker));
    }
    fake_host.secret_free(&sak);
    fake_call_end(&h.call);
    link_down();
    key_free(&k);
}

/* Without the privilege all is refused with the remedy, and can still be observed. */
static void
needs_the_privilege(void **state)
{
    struct key k = key_new(1);
    int status;
    pid_t pid;

    (void)state;
    link_up(NULL);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rk_dev_op op = op_of(&sides[0], RK_OP_STAGE, &k);
        struct rk_dev_seen seen = {.link = "a-b", .iface = IFACE_A, .peer_facts = ""};
        struct rk_call call;
        int bad = 0;

        fake_call(&call, 5000);
        if (setns(sides[0].ns, CLONE_NEWNET) || setgid(65534) || setuid(65534))
            _exit(99);
        side_start(&sides[0], NULL);
        bad |= device->observe(sides[0].inst, &call, &seen, 1) != RK_OK || seen.err != RK_OK;
        bad |= device->apply(sides[0].inst, &call, &op, 1) != RK_OK || op.err != RK_E_AUTH;
        bad |= !strstr(op.why, "CAP_NET_ADMIN");
        _exit(bad);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(observe(&sides[0], &k).held[0], 0);
    link_down();
    key_free(&k);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(makes_and_adopts, tear_down),
        cmocka_unit_test_teardown(refuses_what_does_not_fit, tear_down),
        cmocka_unit_test_teardown(facts_must_be_the_peers, tear_down),
        cmocka_unit_test_teardown(stage_sends_nothing, tear_down),
        cmocka_unit_test_teardown(operations_can_be_repeated, tear_down),
        cmocka_unit_test_teardown(conflicts_are_refused, tear_down),
        cmocka_unit_test_teardown(follows_a_peer_with_a_new_sci, tear_down),
        cmocka_unit_test_teardown(rotates_without_loss, tear_down),
        cmocka_unit_test_teardown(wrong_orders_lose, tear_down),
        cmocka_unit_test_teardown(says_when_packet_numbers_run_out, tear_down),
        cmocka_unit_test_teardown(shut_sends_nothing, tear_down),
        cmocka_unit_test_teardown(sweep_removes_the_others, tear_down),
        cmocka_unit_test_teardown(observe_tells_the_truth, tear_down),
        cmocka_unit_test_teardown(batches_and_budgets, tear_down),
        cmocka_unit_test_teardown(failed_stage_is_undone, tear_down),
        cmocka_unit_test_teardown(switch_is_read_back, tear_down),
        cmocka_unit_test_teardown(buffers_keep_no_key, tear_down),
        cmocka_unit_test_teardown(needs_the_privilege, tear_down),
    };

    if (!getenv("top_srcdir") || !getenv("top_builddir"))
        return 99;
    return cmocka_run_group_tests(tests, set_up, NULL);
}
