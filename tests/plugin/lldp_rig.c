/* lldp_rig.c - see lldp_rig.h */
#include "lldp_rig.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#define LLDPD "/usr/sbin/lldpd"
#define CHROOT "/run/lldpd" /* of every lldpd */

static bool run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static bool
run(const char *fmt, ...)
{
    char line[900];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    return system(line) == 0;
}

static bool
answers(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool there;

    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    there = connect(fd, (const struct sockaddr *)&to, sizeof to) == 0;
    close(fd);
    return there;
}

bool
lldp_rig_lldpd(struct lldp_rig *r, int end)
{
    char system_name[16];

    snprintf(system_name, sizeof system_name, "sim %c", 'a' + end);
    r->pid[end] = fork();
    if (r->pid[end] == 0) {
        int null = open("/dev/null", O_RDWR);

        prctl(PR_SET_PDEATHSIG, SIGTERM);
        dup2(null, 0);
        dup2(null, 1);
        dup2(null, 2);
        execlp("ip", "ip", "netns", "exec", r->ns[end], LLDPD, "-d", "-u", r->socket[end], "-I", r->port[end], "-C",
               r->port[end], "-O", "/dev/null", "-S", system_name, NULL);
        _exit(127);
    }
    for (int i = 0; i < 500 && !answers(r->socket[end]); i++) {
        if (waitpid(r->pid[end], NULL, WNOHANG) != 0)
            return false;
        poll(NULL, 0, 20);
    }
    return answers(r->socket[end]);
}

void
lldp_rig_kill(struct lldp_rig *r, int end)
{
    if (r->pid[end] <= 0)
        return;
    kill(r->pid[end], SIGTERM);
    waitpid(r->pid[end], NULL, 0);
    r->pid[end] = 0;
    unlink(r->socket[end]);
}

/* A frame from before the other one listened is lost, and the next one is due in half a minute. */
bool
lldp_rig_meet(const struct lldp_rig *r)
{
    bool met = false;

    for (int i = 0; i < 300 && !met; i++) {
        poll(NULL, 0, i ? 30 : 0);
        met = true;
        for (int end = 0; end < 2; end++) {
            (void)lldp_rig_cli(r, end, "update");
            met &= run("lldpcli -u %s -f keyvalue show neighbors 2>/dev/null | grep -q 'descr=sim %c'", r->socket[end],
                       'a' + !end);
        }
    }
    return met;
}

static const char *
make(struct lldp_rig *r)
{
    for (int i = 0; i < 2; i++) {
        snprintf(r->ns[i], sizeof r->ns[i], "rklldp%d%c", (int)getpid(), 'a' + i);
        snprintf(r->port[i], sizeof r->port[i], "rkv%c", 'a' + i);
        snprintf(r->socket[i], sizeof r->socket[i], "%s/%c.sock", r->scratch.dir, 'a' + i);
        if (!run("ip netns add %s 2>/dev/null", r->ns[i]))
            return "no network namespaces to be had";
    }
    if (!run("ip link add %s netns %s type veth peer name %s netns %s 2>/dev/null", r->port[0], r->ns[0], r->port[1],
             r->ns[1]))
        return "no veth to be had";
    for (int i = 0; i < 2; i++)
        if (!run("ip -n %s link set lo up && ip -n %s link set %s up", r->ns[i], r->ns[i], r->port[i]))
            return "a veth cannot be set up";
    for (int i = 0; i < 2; i++)
        if (!lldp_rig_lldpd(r, i))
            return "lldpd does not start";
    return lldp_rig_meet(r) ? NULL : "the two lldpd do not hear each other";
}

const char *
lldp_rig_start(struct lldp_rig *r)
{
    const char *why;

    memset(r, 0, sizeof *r);
    if (geteuid() != 0)
        return "needs root";
    if (access(LLDPD, X_OK) != 0)
        return "needs lldpd";
    if (mkdir(CHROOT, 0755) < 0 && errno != EEXIST)
        return "no " CHROOT ", the chroot of lldpd";
    scratch_make(&r->scratch);
    if (chmod(r->scratch.dir, 0755) < 0)
        return "no folder";
    why = make(r);
    if (why)
        lldp_rig_end(r);
    return why;
}

void
lldp_rig_end(struct lldp_rig *r)
{
    for (int i = 0; i < 2; i++) {
        lldp_rig_kill(r, i);
        if (r->ns[i][0])
            (void)run("ip netns del %s 2>/dev/null", r->ns[i]);
    }
    scratch_remove(&r->scratch);
}

bool
lldp_rig_cli(const struct lldp_rig *r, int end, const char *args)
{
    return run("lldpcli -u %s %s >/dev/null 2>&1", r->socket[end], args);
}

bool
lldp_rig_ip(const struct lldp_rig *r, int end, const char *args)
{
    return run("ip -n %s %s", r->ns[end], args);
}

const char *
lldp_rig_shows(const struct lldp_rig *r, int end, char *out)
{
    static const char label[] = "PortDescr:";
    char line[600];
    FILE *p;

    snprintf(line, sizeof line, "lldpcli -u %s show interfaces ports %s details 2>/dev/null", r->socket[end],
             r->port[end]);
    out[0] = '\0';
    p = popen(line, "r");
    while (p && fgets(line, sizeof line, p)) {
        const char *at = strstr(line, label);

        if (!at)
            continue;
        at += strlen(label);
        at += strspn(at, " ");
        snprintf(out, 300, "%.*s", (int)strcspn(at, "\n"), at);
    }
    if (p)
        pclose(p);
    return out;
}

/* ---- frames of one's own ---- */

static size_t
tlv(unsigned char *at, unsigned type, const void *value, size_t len)
{
    at[0] = (unsigned char)(type << 1 | len >> 8);
    at[1] = (unsigned char)len;
    memcpy(at + 2, value, len);
    return len + 2;
}

static size_t
build(const struct lldp_rig_frame *f, unsigned char frame[1500], unsigned char **count)
{
    static const unsigned char to[] = {0x01, 0x80, 0xc2, 0, 0, 0x0e};
    unsigned char id[64];
    size_t n = 14, port_len = strlen(f->port);

    memcpy(frame, to, 6);
    memcpy(frame + 6, f->chassis, 6);
    frame[12] = 0x88;
    frame[13] = 0xcc;
    id[0] = 4; /* a MAC address */
    memcpy(id + 1, f->chassis, 6);
    n += tlv(frame + n, 1, id, 7);
    id[0] = f->port[0] && f->port[2] == ':' ? 3 : 5; /* a MAC address, or the name of an interface */
    if (id[0] == 3) {
        unsigned mac[6] = {0};

        (void)sscanf(f->port, "%x:%x:%x:%x:%x:%x", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5]);
        for (port_len = 0; port_len < 6; port_len++)
            id[1 + port_len] = (unsigned char)mac[port_len];
    } else {
        memcpy(id + 1, f->port, port_len);
    }
    n += tlv(frame + n, 2, id, port_len + 1);
    id[0] = (unsigned char)(f->ttl >> 8);
    id[1] = (unsigned char)f->ttl;
    n += tlv(frame + n, 3, id, 2);
    if (f->description) {
        n += tlv(frame + n, 4, f->description, f->len);
        if (f->count_at)
            *count = frame + n - f->len + f->count_at;
    }
    n += tlv(frame + n, 5, f->system, strlen(f->system));
    return n + tlv(frame + n, 0, "", 0);
}

static int
send_frames(const struct lldp_rig *r, int end, const struct lldp_rig_frame *f, unsigned times)
{
    unsigned char frame[1500], *count = NULL;
    size_t n = build(f, frame, &count);
    struct sockaddr_ll to = {.sll_family = AF_PACKET};
    char path[64];
    int ns, fd;

    snprintf(path, sizeof path, "/run/netns/%s", r->ns[end]);
    ns = open(path, O_RDONLY | O_CLOEXEC);
    if (ns < 0 || setns(ns, CLONE_NEWNET) < 0)
        return 1;
    fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
    to.sll_ifindex = (int)if_nametoindex(r->port[end]);
    for (unsigned i = 0; i < times; i++) {
        for (unsigned digit = 0, rest = i; count && digit < 4; digit++, rest /= 10)
            count[3 - digit] = (unsigned char)('0' + rest % 10);
        if (sendto(fd, frame, n, 0, (const struct sockaddr *)&to, sizeof to) != (ssize_t)n)
            return 1;
        if (i % 10 == 9)
            poll(NULL, 0, 10); /* a thousand a second */
    }
    return 0;
}

bool
lldp_rig_frame(const struct lldp_rig *r, int end, const struct lldp_rig_frame *f, unsigned times)
{
    pid_t pid = fork();
    int status = 1;

    if (pid == 0)
        _exit(send_frames(r, end, f, times));
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}
