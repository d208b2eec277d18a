/* traffic.c - numbered UDP frames in both directions between two network namespaces, counted exactly
 *
 * A test tool: it says how many frames a key rotation loses.  One process and one thread hold a socket in each
 * namespace (a socket stays in the namespace in which it was opened), because in User-Mode Linux every
 * further process costs; nothing is shared with rekeyd.  A frame that was due and could not be sent counts as sent.
 *
 *   traffic -a NETNS,ADDRESS -b NETNS,ADDRESS [-p PORT] [-r RATE] [-s BYTES] [-t SECONDS] [-i SECONDS] [-w MS]
 *   traffic -a ... -b ... --calibrate
 *
 * NETNS is a name below /run/netns, a path, or "-" for the namespace that it was started in.  Without -t it runs until
 * SIGTERM or SIGINT.  Exit status 0: done, whatever was lost; 1: it could not run; 2: usage.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
#define FRAMES_MAX UINT64_C(4000000000) /* each direction: half a gigabyte of bitmap */
#define FRAME_MAX 9000
#define MAGIC 0x52546631u /* "RTf1" */
#define CATCH_UP_NS (50 * NS_PER_MS) /* after a stall, at most this much of the missed time is sent in a burst */

/* What each datagram begins with. */
struct frame {
    uint32_t magic;
    uint32_t run; /* frames of an earlier run are not counted */
    uint64_t number;
};

/* One end: its socket, what it has sent and what it has seen of the other's frames. */
struct end {
    const char *netns;
    struct sockaddr_in address;
    int fd;
    uint64_t sent, failed;       /* failed: of sent, refused by the kernel */
    uint64_t seen, twice, behind; /* behind: seen after a frame with a higher number */
    uint64_t next;               /* one above the highest number seen */
    uint8_t *bits;               /* which numbers were seen */
    size_t bits_size;            /* [bytes] */
    int64_t last_ns, gap_ns;     /* arrival of the last frame; longest time without any */
};

struct run {
    struct end ends[2];
    uint32_t id;
    double rate;      /* frames a second, each direction */
    size_t size;      /* of a datagram [bytes] */
    int64_t for_ns;   /* INT64_MAX: until a signal */
    int64_t every_ns; /* interim reports; 0: none */
    int64_t drain_ns; /* wait for frames under way, at the end */
    int signals;
    bool ended; /* by a signal */
};

static void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

static void
die(const char *fmt, ...)
{
    va_list ap;

    fputs("traffic: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(1);
}

static int64_t
now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* Opens e's socket in its namespace, and comes back. */
static void
end_open(struct end *e)
{
    char path[PATH_MAX];
    int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), there = -1, room = 8 << 20;
    bool moved = strcmp(e->netns, "-") != 0;

    snprintf(path, sizeof path, "%s%s", strchr(e->netns, '/') ? "" : "/run/netns/", e->netns);
    if (home < 0 || (moved && (there = open(path, O_RDONLY | O_CLOEXEC)) < 0))
        die("%s: %s", path, strerror(errno));
    if (moved && setns(there, CLONE_NEWNET))
        die("enter %s: %s", path, strerror(errno));
    e->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (e->fd < 0 || bind(e->fd, (struct sockaddr *)&e->address, sizeof e->address))
        die("%s in %s: %s", inet_ntoa(e->address.sin_addr), e->netns, strerror(errno));
    if (setsockopt(e->fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room))
        (void)setsockopt(e->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    /* A frame that waits in the kernel for a busy processor still counts against its sender. */
    if (setsockopt(e->fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room))
        (void)setsockopt(e->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    if (moved && setns(home, CLONE_NEWNET))
        die("leave %s: %s", path, strerror(errno));
    close(home);
    if (there >= 0)
        close(there);
}

static void
end_send(const struct run *r, struct end *from, const struct end *to)
{
    unsigned char bytes[FRAME_MAX] = {0};
    struct frame f = {MAGIC, r->id, from->sent++};

    memcpy(bytes, &f, sizeof f);
    if (sendto(from->fd, bytes, r->size, 0, (const struct sockaddr *)&to->address, sizeof to->address) < 0)
        from->failed++;
}

/* Notes the arrival of frame `number`. */
static void
end_saw(struct end *e, uint64_t number, int64_t now)
{
    size_t byte = number / 8;
    uint8_t bit = (uint8_t)(1u << number % 8);

    if (byte >= e->bits_size) {
        size_t size = byte * 2 + 4096;
        uint8_t *bits = realloc(e->bits, size);

        if (!bits)
            die("out of memory");
        memset(bits + e->bits_size, 0, size - e->bits_size);
        e->bits = bits;
        e->bits_size = size;
    }
    if (e->last_ns && now - e->last_ns > e->gap_ns)
        e->gap_ns = now - e->last_ns;
    e->last_ns = now;
    if (e->bits[byte] & bit) {
        e->twice++;
        return;
    }
    e->bits[byte] |= bit;
    e->seen++;
    if (number < e->next)
        e->behind++;
    else
        e->next = number + 1;
}

static void
end_receive(const struct run *r, struct end *e, const struct end *peer)
{
    unsigned char bytes[FRAME_MAX];
    struct frame f;
    ssize_t n;

    for (int i = 0; i < 256; i++) { /* then it is the sender's turn again */
        n = recv(e->fd, bytes, sizeof bytes, 0);
        if (n < 0)
            return;
        if ((size_t)n < sizeof f)
            continue;
        memcpy(&f, bytes, sizeof f);
        if (f.magic == MAGIC && f.run == r->id && f.number < peer->sent)
            end_saw(e, f.number, now_ns());
    }
}

/* Waits for frames or a signal until due, and takes what is there. */
static void
run_wait(struct run *r, int64_t due)
{
    struct pollfd p[3] = {{r->ends[0].fd, POLLIN, 0}, {r->ends[1].fd, POLLIN, 0}, {r->signals, POLLIN, 0}};
    int64_t left = due - now_ns();
    struct timespec t = {0, 0};

    if (left > 0) {
        t.tv_sec = left / NS_PER_S;
        t.tv_nsec = left % NS_PER_S;
    }
    if (ppoll(p, 3, &t, NULL) < 0 && errno != EINTR)
        die("poll: %s", strerror(errno));
    for (int i = 0; i < 2; i++)
        if (p[i].revents)
            end_receive(r, &r->ends[i], &r->ends[1 - i]);
    if (p[2].revents)
        r->ended = true;
}

static uint64_t
lost(const struct end *from, const struct end *to)
{
    return from->sent - to->seen;
}

static void
print_way(const char *name, const struct end *from, const struct end *to)
{
    printf("\"%s\":{\"sent\":%" PRIu64 ",\"received\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"duplicated\":%" PRIu64
           ",\"reordered\":%" PRIu64 ",\"send_failed\":%" PRIu64 ",\"longest_gap_ms\":%.1f}",
           name, from->sent, to->seen, lost(from, to), to->twice, to->behind, from->failed,
           (double)to->gap_ns / (double)NS_PER_MS);
}

/* Interim reports count frames under way as lost; the final one follows the drain. */
static void
report(const struct run *r, int64_t took_ns, bool final)
{
    const struct end *a = &r->ends[0], *b = &r->ends[1];

    printf("{\"final\":%s,\"seconds\":%.3f,\"sent\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"duplicated\":%" PRIu64 ",",
           final ? "true" : "false", (double)took_ns / (double)NS_PER_S, a->sent + b->sent, lost(a, b) + lost(b, a),
           a->twice + b->twice);
    print_way("a_to_b", a, b);
    putchar(',');
    print_way("b_to_a", b, a);
    puts("}");
    fflush(stdout);
}

static void
end_reset(struct end *e)
{
    free(e->bits);
    e->bits = NULL;
    e->bits_size = 0;
    e->sent = e->failed = e->seen = e->twice = e->behind = e->next = 0;
    e->last_ns = e->gap_ns = 0;
}

/* Sends for r->for_ns, or until a signal; then waits for what is under way.  Returns how long it sent [ns]. */
static int64_t
run_traffic(struct run *r)
{
    int64_t gap = (int64_t)((double)NS_PER_S / r->rate), start, due, report_due, now, sent_ns, drained;
    struct end *a = &r->ends[0], *b = &r->ends[1];

    end_reset(a);
    end_reset(b);
    r->id++;
    start = due = now = now_ns();
    report_due = start + r->every_ns;
    while (!r->ended && now - start < r->for_ns && a->sent < FRAMES_MAX) {
        if (now >= due) {
            end_send(r, a, b);
            end_send(r, b, a);
            due = due + gap > now - CATCH_UP_NS ? due + gap : now - CATCH_UP_NS;
        }
        run_wait(r, due);
        now = now_ns();
        if (r->every_ns && now >= report_due) {
            report(r, now - start, false);
            report_due += r->every_ns;
        }
    }
    sent_ns = now - start;
    drained = now + r->drain_ns;
    while (now_ns() < drained && (lost(a, b) || lost(b, a)))
        run_wait(r, drained);
    return sent_ns;
}

/* The highest rate that loses nothing: up by half until frames are lost or the machine cannot keep the rate. */
static void
calibrate(struct run *r)
{
    double good = 0;

    r->for_ns = NS_PER_S / 3;
    r->every_ns = 0;
    for (r->rate = 250; r->rate < 1e6 && !r->ended; r->rate *= 1.5) {
        int64_t took = run_traffic(r);
        double done = (double)r->ends[0].sent * (double)NS_PER_S / (double)took;

        if (lost(&r->ends[0], &r->ends[1]) || lost(&r->ends[1], &r->ends[0]))
            break;
        if (done > good)
            good = done;
        if (done < 0.9 * r->rate)
            break;
    }
    printf("{\"calibrated_rate\":%.0f}\n", good);
}

static void
usage(void)
{
    fputs("usage: traffic -a NETNS,ADDRESS -b NETNS,ADDRESS [-p PORT] [-r FRAMES/S] [-s BYTES] [-t SECONDS]\n"
          "               [-i REPORT-SECONDS] [-w DRAIN-MS] [--calibrate]\n", stderr);
    exit(2);
}

static double
number(const char *text, double min, double max)
{
    char *end;
    double v = strtod(text, &end);

    if (end == text || *end || !(v >= min && v <= max)) {
        fprintf(stderr, "traffic: %s: want a number from %g to %g\n", text, min, max);
        usage();
    }
    return v;
}

/* "NETNS,ADDRESS"; the text is cut in two. */
static void
end_parse(struct end *e, char *text)
{
    char *comma = strrchr(text, ',');

    if (!comma || comma == text)
        usage();
    *comma = '\0';
    e->netns = text;
    e->address.sin_family = AF_INET;
    if (inet_pton(AF_INET, comma + 1, &e->address.sin_addr) != 1)
        usage();
}

static int
catch_signals(void)
{
    sigset_t set;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    fd = signalfd(-1, &set, SFD_CLOEXEC);
    if (fd < 0)
        die("signalfd: %s", strerror(errno));
    return fd;
}

int
main(int argc, char **argv)
{
    static const struct option longs[] = {{"calibrate", no_argument, NULL, 'c'}, {NULL, 0, NULL, 0}};
    struct run r = {.rate = 1000, .size = 200, .for_ns = INT64_MAX, .drain_ns = NS_PER_S};
    uint16_t port = 5000;
    bool find_rate = false;
    int o;

    while ((o = getopt_long(argc, argv, "a:b:p:r:s:t:i:w:", longs, NULL)) != -1)
        switch (o) {
        case 'a': end_parse(&r.ends[0], optarg); break;
        case 'b': end_parse(&r.ends[1], optarg); break;
        case 'p': port = (uint16_t)number(optarg, 1, 65535); break;
        case 'r': r.rate = number(optarg, 0.1, 1e6); break;
        case 's': r.size = (size_t)number(optarg, sizeof(struct frame), FRAME_MAX); break;
        case 't': r.for_ns = (int64_t)(number(optarg, 0.001, 1e6) * (double)NS_PER_S); break;
        case 'i': r.every_ns = (int64_t)(number(optarg, 0.001, 1e6) * (double)NS_PER_S); break;
        case 'w': r.drain_ns = (int64_t)(number(optarg, 0, 1e6) * (double)NS_PER_MS); break;
        case 'c': find_rate = true; break;
        default: usage();
        }
    if (optind != argc || !r.ends[0].netns || !r.ends[1].netns)
        usage();
    r.signals = catch_signals();
    r.id = (uint32_t)getpid() << 12;
    for (int i = 0; i < 2; i++) {
        r.ends[i].address.sin_port = htons(port);
        end_open(&r.ends[i]);
    }
    if (find_rate) {
        calibrate(&r);
    } else {
        int64_t took = run_traffic(&r);

        report(&r, took, true);
    }
    for (int i = 0; i < 2; i++) {
        end_reset(&r.ends[i]);
        close(r.ends[i].fd);
    }
    close(r.signals);
    return 0;
}
