/* macsec-plugin.c - the plugin linux-macsec against a real kernel: both ends of a link, in two network namespaces
 *
 * Runs as root in a guest that macsec-plugin.sh starts; it makes the namespaces a and b.  The plugin is linked in and
 * driven as rekey-host would; what the kernel then holds is read by macsec-counters, which shares no code with it.
 */
#include "plugins/device/linux-macsec/name.h"
#include "tests/plugin/fakehost.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define IFACE_A "macsec0@va"
#define IFACE_B "macsec0@vb"
#define DRAIN_MS 20 /* a frame needs well below a millisecond here */
#define ROTATIONS 30

extern const struct rk_plugin linux_macsec_LTX_rk_plugin;

static const struct rk_device_ops *device; /* of the plugin */

/* One end of the link. */
struct side {
    const char *netns, *iface;
    int ns; /* descriptor of the namespace */
    void *inst;
    struct rk_conf conf;
    const char *pairs[9];
    char facts[RK_FACTS_MAX + 1];
};

static struct side sides[2] = {{.netns = "a", .iface = IFACE_A}, {.netns = "b", .iface = IFACE_B}};
static int home_ns;

/* A key of the link, as both ends get it from a source. */
struct key {
    uint64_t seq;
    char id[RK_KEY_ID_MAX + 1];
    struct rk_secret *secret;
};

static void
sh(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Runs a command that must succeed. */
static void
sh(const char *fmt, ...)
{
    char line[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (system(line) != 0)
        fail_msg("failed: %s", line);
}

static void
enter(int ns)
{
    assert_int_equal(setns(ns, CLONE_NEWNET), 0);
}

static struct key
key_new(uint64_t seq)
{
    unsigned char bytes[32], id[16];
    struct key k = {.seq = seq};

    assert_int_equal(fake_host.random(bytes, sizeof bytes), RK_OK);
    assert_int_equal(fake_host.random(id, sizeof id), RK_OK);
    snprintf(k.id, sizeof k.id, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", id[0], id[1],
             id[2], id[3], id[4], id[5], id[6], id[7], id[8], id[9], id[10], id[11], id[12], id[13], id[14], id[15]);
    k.secret = fake_secret(bytes, sizeof bytes);
    return k;
}

static void
key_free(struct key *k)
{
    fake_host.secret_free(&k->secret);
}

/* Makes the instance of a side with these options: name, value, ..., NULL. */
static void
side_start(struct side *s, const char *const *pairs)
{
    struct rk_call call;
    size_t n = 0;

    for (; pairs && pairs[n] && n < 8; n++)
        s->pairs[n] = pairs[n];
    s->pairs[n] = NULL;
    s->conf.pairs = s->pairs;
    s->conf.opts = linux_macsec_LTX_rk_plugin.opts;
    fake_call(&call, 5000);
    assert_int_equal(linux_macsec_LTX_rk_plugin.init(&fake_host, &call, &s->conf, &s->inst), RK_OK);
    fake_call_end(&call);
}

static void
side_stop(struct side *s)
{
    linux_macsec_LTX_rk_plugin.fini(s->inst);
    s->inst = NULL;
}

static struct rk_dev_seen
observe_iface(struct side *s, const char *iface, const char *peer_facts, const struct key *k)
{
    struct rk_dev_seen seen = {.link = "a-b", .iface = iface, .peer_facts = peer_facts};
    struct rk_call call;

    if (k) {
        seen.key_ids[0] = k->id;
        seen.seqs[0] = k->seq;
    }
    fake_call(&call, 5000);
    enter(s->ns);
    assert_int_equal(device->observe(s->inst, &call, &seen, 1), RK_OK);
    enter(home_ns);
    fake_call_end(&call);
    return seen;
}

static struct side *
peer_of(struct side *s)
{
    return s == &sides[0] ? &sides[1] : &sides[0];
}

static struct rk_dev_seen
observe(struct side *s, const struct key *k)
{
    return observe_iface(s, s->iface, peer_of(s)->facts, k);
}

static struct rk_dev_op
op_of(struct side *s, uint32_t kind, const struct key *k)
{
    struct rk_dev_op op = {.kind = kind, .seq = k->seq, .link = "a-b", .iface = s->iface, .key_id = k->id,
                           .peer_facts = peer_of(s)->facts, .key = kind == RK_OP_STAGE ? k->secret : NULL,
                           .err = RK_E_CONTRACT};

    return op;
}

static int
apply(struct side *s, struct rk_dev_op *ops, size_t n, int budget_ms)
{
    struct rk_call call;
    int err;

    fake_call(&call, budget_ms);
    enter(s->ns);
    err = device->apply(s->inst, &call, ops, n);
    enter(home_ns);
    fake_call_end(&call);
    return err;
}

/* One operation; its result. */
static int
doing(struct side *s, uint32_t kind, const struct key *k)
{
    struct rk_dev_op op = op_of(s, kind, k);

    assert_int_equal(apply(s, &op, 1, 5000), RK_OK);
    if (op.err)
        print_message("# %s: %s\n", s->netns, op.why);
    return op.err;
}

static void
both(uint32_t kind, const struct key *k)
{
    for (int i = 0; i < 2; i++)
        assert_int_equal(doing(&sides[i], kind, k), RK_OK);
}

/* Both ends with these options, interfaces made anew, addresses set. */
static void
link_up(const char *const *pairs)
{
    for (int i = 0; i < 2; i++) {
        struct rk_dev_seen seen;

        side_start(&sides[i], pairs);
        seen = observe_iface(&sides[i], sides[i].iface, "", NULL);
        if (seen.err)
            fail_msg("%s", seen.why);
        assert_true(seen.state & RK_IF_PROTECTED);
        strcpy(sides[i].facts, seen.facts);
    }
    sh("ip -n a addr add 10.9.0.1/24 dev macsec0 && ip -n b addr add 10.9.0.2/24 dev macsec0");
}

static void
link_down(void)
{
    for (int i = 0; i < 2; i++) {
        side_stop(&sides[i]);
        sh("ip -n %s link del macsec0", sides[i].netns);
    }
}

/* After each test, also one that failed in its middle. */
static int
tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        if (!sides[i].inst)
            continue;
        side_stop(&sides[i]);
        sh("ip -n %s link del macsec0 2> /dev/null; true", sides[i].netns);
    }
    return 0;
}

/* About n frames in each direction, whether they arrive or not. */
static void
frames(unsigned n)
{
    sh("%s/tests/rig/traffic -a a,10.9.0.1 -b b,10.9.0.2 -r 1000 -t %u.%03u -w 30 > /dev/null", getenv("top_builddir"),
       n / 1000, n % 1000);
}

/* Traffic in both directions, from start to stop. */
struct traffic {
    pid_t pid;
    FILE *out;
};

static void
wait_line(struct traffic *t, char *line, size_t size, const char *with)
{
    do
        if (!fgets(line, (int)size, t->out))
            fail_msg("traffic ended");
    while (!strstr(line, with));
}

static struct traffic
traffic_start(void)
{
    char path[512], line[1024];
    struct traffic t;
    int p[2];

    snprintf(path, sizeof path, "%s/tests/rig/traffic", getenv("top_builddir"));
    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    t.pid = fork();
    if (t.pid == 0) {
        dup2(p[1], STDOUT_FILENO);
        execl(path, path, "-a", "a,10.9.0.1", "-b", "b,10.9.0.2", "-r", "1000", "-i", "0.1", (char *)NULL);
        _exit(127);
    }
    assert_true(t.pid > 0);
    close(p[1]);
    t.out = fdopen(p[0], "r");
    assert_non_null(t.out);
    wait_line(&t, line, sizeof line, "\"final\":false"); /* it flows */
    return t;
}

static unsigned long
member(const char *json, const char *name)
{
    char quoted[40];
    const char *at;

    snprintf(quoted, sizeof quoted, "\"%s\":", name);
    at = strstr(json, quoted);
    if (!at)
        fail_msg("no %s in %s", quoted, json);
    return strtoul(at + strlen(quoted), NULL, 10);
}

/* Ends it; how many frames were lost or came twice, of how many. */
static unsigned long
traffic_stop(struct traffic *t, unsigned long *sent)
{
    char line[1024];

    kill(t->pid, SIGTERM);
    wait_line(t, line, sizeof line, "\"final\":true");
    assert_int_equal(waitpid(t->pid, NULL, 0), t->pid);
    fclose(t->out);
    *sent = member(line, "sent");
    return member(line, "lost") + member(line, "duplicated");
}

/* What the kernel holds and counts at both ends, by the second reader. */
static void
kernel_truth(char *out, size_t size)
{
    char line[600];
    FILE *p;
    size_t n;

    snprintf(line, sizeof line, "%s/tests/rig/macsec-counters a:macsec0 b:macsec0", getenv("top_srcdir"));
    p = popen(line, "r");
    assert_non_null(p);
    n = fread(out, 1, size - 1, p);
    out[n] = '\0';
    assert_int_equal(pclose(p), 0);
}

static unsigned
count(const char *text, const char *word)
{
    unsigned n = 0;

    for (const char *at = text; (at = strstr(at, word)); at += strlen(word))
        n++;
    return n;
}

static void
pause_ms(long ms)
{
    struct timespec t = {0, ms * 1000000};

    nanosleep(&t, NULL);
}

/* Waits until each end was seen to receive on k, then for what is under way. */
static void
peers_use(const struct key *k)
{
    for (int i = 0; i < 2; i++) {
        int tries = 0;

        while (!(observe(&sides[i], k).held[0] & RK_PEER_USES)) {
            assert_true(++tries < 500);
            pause_ms(2);
        }
    }
    pause_ms(DRAIN_MS);
}

static void
rotate(struct key *old, struct key *new)
{
    both(RK_OP_STAGE, new);
    both(RK_OP_ACTIVATE, new);
    peers_use(new);
    both(RK_OP_RETIRE, old);
    key_free(old);
    *old = *new;
}

/* The first key of a link that has none. */
static struct key
first_key(uint64_t seq)
{
    struct key k = key_new(seq);

    both(RK_OP_STAGE, &k);
    both(RK_OP_ACTIVATE, &k);
    return k;
}

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
    sh("ip -n a macsec set macsec0 rx sci 02000000000b0001 sa 2 off && ip -n a macsec del macsec0 rx sci 02000000000b0001 sa 2");
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

static int
open_ns(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        fail_msg("%s", path);
    return fd;
}

static int
set_up(void **state)
{
    (void)state;
    device = linux_macsec_LTX_rk_plugin.ops;
    sh("ip netns add a && ip netns add b && ip link add va netns a type veth peer name vb netns b");
    sh("ip -n a link set va address 02:00:00:00:00:0a up && ip -n b link set vb address 02:00:00:00:00:0b up");
    home_ns = open_ns("/proc/self/ns/net");
    sides[0].ns = open_ns("/run/netns/a");
    sides[1].ns = open_ns("/run/netns/b");
    return 0;
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
        cmocka_unit_test_teardown(batches_and_budgets, tear_down),
        cmocka_unit_test_teardown(needs_the_privilege, tear_down),
    };

    if (!getenv("top_srcdir") || !getenv("top_builddir"))
        return 99;
    return cmocka_run_group_tests(tests, set_up, NULL);
}
