/* macsec-lab.c - two network namespaces, the plugin at both ends, traffic between them, and the kernel's truth
 *
 * Part of macsec-plugin, which runs in a guest; one thread.
 */
#include "macsec-lab.h"

#include <cmocka.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct side sides[2] = {{.netns = "a", .iface = IFACE_A}, {.netns = "b", .iface = IFACE_B}};
int home_ns;
const struct rk_device_ops *device;

/* Runs a command that must succeed. */
void
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

void
enter(int ns)
{
    assert_int_equal(setns(ns, CLONE_NEWNET), 0);
}

struct key
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

void
key_free(struct key *k)
{
    fake_host.secret_free(&k->secret);
}

/* Makes the instance of a side with these options: name, value, ..., NULL. */
void
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
    assert_int_equal(linux_macsec_LTX_rk_plugin.init(s->host ? s->host : &fake_host, &call, &s->conf, &s->inst), RK_OK);
    fake_call_end(&call);
}

void
side_stop(struct side *s)
{
    linux_macsec_LTX_rk_plugin.fini(s->inst);
    s->inst = NULL;
}

struct rk_dev_seen
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

struct rk_dev_seen
observe(struct side *s, const struct key *k)
{
    return observe_iface(s, s->iface, peer_of(s)->facts, k);
}

struct rk_dev_op
op_of(struct side *s, uint32_t kind, const struct key *k)
{
    struct rk_dev_op op = {.kind = kind, .seq = k->seq, .link = "a-b", .iface = s->iface, .key_id = k->id,
                           .peer_facts = peer_of(s)->facts, .key = kind == RK_OP_STAGE ? k->secret : NULL,
                           .err = RK_E_CONTRACT};

    return op;
}

int
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
int
doing(struct side *s, uint32_t kind, const struct key *k)
{
    struct rk_dev_op op = op_of(s, kind, k);

    assert_int_equal(apply(s, &op, 1, 5000), RK_OK);
    if (op.err)
        print_message("# %s: %s\n", s->netns, op.why);
    return op.err;
}

void
both(uint32_t kind, const struct key *k)
{
    for (int i = 0; i < 2; i++)
        assert_int_equal(doing(&sides[i], kind, k), RK_OK);
}

/* Both ends with these options, interfaces made anew, addresses set. */
void
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

void
link_down(void)
{
    for (int i = 0; i < 2; i++) {
        side_stop(&sides[i]);
        sh("ip -n %s link del macsec0", sides[i].netns);
    }
}

/* After each test, also one that failed in its middle. */
int
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
void
frames(unsigned n)
{
    sh("%s/tests/rig/traffic -a a,10.9.0.1 -b b,10.9.0.2 -r 1000 -t %u.%03u -w 30 > /dev/null", getenv("top_builddir"),
       n / 1000, n % 1000);
}

static void
wait_line(struct traffic *t, char *line, size_t size, const char *with)
{
    do
        if (!fgets(line, (int)size, t->out))
            fail_msg("traffic ended");
    while (!strstr(line, with));
}

struct traffic
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
unsigned long
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
void
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

unsigned
count(const char *text, const char *word)
{
    unsigned n = 0;

    for (const char *at = text; (at = strstr(at, word)); at += strlen(word))
        n++;
    return n;
}

void
pause_ms(long ms)
{
    struct timespec t = {0, ms * 1000000};

    nanosleep(&t, NULL);
}

/* Waits until each end was seen to receive on k, then for what is under way. */
void
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

void
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
struct key
first_key(uint64_t seq)
{
    struct key k = key_new(seq);

    both(RK_OP_STAGE, &k);
    both(RK_OP_ACTIVATE, &k);
    return k;
}

static int
open_ns(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        fail_msg("%s", path);
    return fd;
}

int
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
