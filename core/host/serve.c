/* serve.c - a host's main loop.  It blocks in poll() only, and never calls a plugin. */
#include "serve.h"

#include "dispatch.h"
#include "safe.h"

#include "../base/clock.h"
#include "../base/err.h"
#include "../base/log.h"
#include "../ipc/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is taken from the socket before time and finished calls are looked at again. */
#define FRAMES_PER_TURN 16
/* Calls in the house; at more, reading pauses.  rekeyd has one or two per instance under way. */
#define CALLS_MAX (3 * RK_INSTANCES_MAX)
/* For calls to return when rekeyd is gone. */
#define END_NS (1 * RK_NS_PER_S)
/* Before a reply is tried again for which the kernel had no room, although the socket has. */
#define RETRY_NS (10 * RK_NS_PER_MS)
/* How long after a call the memory that calls have left free is given back to the kernel.  A burst of calls takes
 * 130 KB for each, and what stays is put between them, so the allocator cannot give it back by itself.  Within a burst
 * it is used again, and to give it back and take it anew each second cost a quarter of what calls to routers cost: so
 * it is when there was no call for so long, or some time after the first one. */
#define TRIM_NS (1 * RK_NS_PER_S)
#define TRIM_AT_LAST_NS (20 * RK_NS_PER_S)

struct serve {
    int sock;
    struct rk_dispatch d;
    bool gone;          /* rekeyd closed the socket */
    bool fatal;         /* a plugin asked for the end, and rekeyd was told */
    bool full;          /* the socket takes no more now */
    int64_t retry_ns;   /* RK_NEVER, or when sending is tried again */
    int64_t trim_ns;    /* RK_NEVER, or when free memory is given back */
    int64_t trim_at_last_ns; /* and when it is, even when there are further calls */
    unsigned char *frame; /* RK_FRAME_MAX */
};

/* ---- hello ---- */

/* What of a device, or a channel, may be left out by its plugin. */
static uint32_t
ops_of(const struct rk_device_ops *ops)
{
    return (ops->tend ? RK_OFFERS_TEND : 0) | (ops->discover ? RK_OFFERS_DISCOVER : 0) |
           (ops->prepare ? RK_OFFERS_PREPARE : 0) | (ops->neighbours ? RK_OFFERS_NEIGHBOURS : 0);
}

static uint32_t
channel_ops_of(const struct rk_channel_ops *ops)
{
    return (ops->attach ? RK_OFFERS_ATTACH : 0) | (ops->encode && ops->decode ? RK_OFFERS_ENCODE : 0) |
           (ops->test ? RK_OFFERS_TEST : 0);
}

int
rk_serve_hello(int sock, const struct rk_module *m, const char *error)
{
    struct rk_hello *hello = calloc(1, sizeof *hello);
    unsigned char *frame = malloc(RK_FRAME_MAX);
    size_t len = 0;
    int err = RK_E_IO;

    if (!hello || !frame)
        goto out;
    if (m) {
        hello->abi = m->abi;
        hello->kind = m->kind;
        hello->caps = m->caps;
        hello->apply_ms = m->apply_ms;
        hello->ops = m->kind == RK_DEVICE ? ops_of(&m->device)
                     : m->kind == RK_CHANNEL ? channel_ops_of(&m->channel) : 0;
        strcpy(hello->name, m->name);
        strcpy(hello->version, m->version);
        strcpy(hello->summary, m->summary);
        hello->opts = m->opts;
        hello->n_opts = m->n_opts;
    }
    rk_safe_copy(hello->error, sizeof hello->error, error);
    len = rk_hello_put(frame, hello);
    if (len == 0)
        err = RK_E_CONTRACT;
    else if (rk_frame_send(sock, frame, len, NULL, 0) == 0)
        err = RK_OK;
out:
    free(hello);
    free(frame);
    return err;
}

/* ---- replies ---- */

static bool
ends_host(const struct rk_call *c)
{
    bool fatal = rk_err_class(c->reply.err) == RK_CLASS_FATAL;

    for (size_t i = 0; i < c->reply.n; i++)
        fatal |= rk_err_class(c->reply.items[i].err) == RK_CLASS_FATAL;
    return fatal;
}

/* Why nothing can be sent now, by errno. */
static void
not_sent(struct serve *s, int64_t now_ns)
{
    if (errno == EAGAIN)
        s->full = true;
    else if (errno == ETOOMANYREFS || errno == ENOBUFS || errno == ENOMEM)
        s->retry_ns = now_ns + RETRY_NS; /* descriptors under way are limited per user, sockets of others count too */
    else
        s->gone = true;
}

static size_t
put_step(unsigned char *frame, const struct rk_call_step *step)
{
    if (step->heard)
        return rk_heard_put(frame, step->heard);
    return step->found ? rk_found_put(frame, step->found) : rk_step_put(frame, &step->step);
}

/* What its test, discover or prepare has stated so far.  false: not all of it can be sent now */
static bool
send_steps(struct serve *s, struct rk_call *c, int64_t now_ns)
{
    struct rk_call_step *step;

    if (c->verb != RK_V_SOURCE_TEST && c->verb != RK_V_DISCOVER && c->verb != RK_V_PREPARE &&
        c->verb != RK_V_NEIGHBOURS)
        return true;
    while ((step = rk_call_step_first(c))) {
        size_t len = put_step(s->frame, step);

        if (rk_frame_send(s->sock, s->frame, len, NULL, 0) != 0) {
            not_sent(s, now_ns);
            rk_call_step_back(c, step);
            return false;
        }
        rk_call_step_free(step);
    }
    return true;
}

/* false: not now */
static bool
send_reply(struct serve *s, struct rk_call *c, int64_t now_ns)
{
    int fds[RK_FRAME_FDS];
    size_t n = 0, len;

    if (!send_steps(s, c, now_ns))
        return false;
    len = rk_reply_put(s->frame, &c->reply, fds, &n);
    if (len == 0) { /* 64 items with all texts full do fit: so this is a bug of ours, and the call has its answer */
        rk_items_free(c->reply.items, c->reply.n);
        c->reply.items = NULL;
        c->reply.n = 0;
        rk_call_refuse(c, RK_E_CONTRACT, "the reply does not fit in a frame");
        len = rk_reply_put(s->frame, &c->reply, fds, &n);
    }
    if (rk_frame_send(s->sock, s->frame, len, fds, n) == 0) {
        rk_items_sent(c->reply.items, c->reply.n);
        s->fatal |= ends_host(c);
        return true;
    }
    not_sent(s, now_ns);
    return false;
}

static void
send_replies(struct serve *s, int64_t now_ns)
{
    struct rk_call *c;

    s->full = false;
    s->retry_ns = RK_NEVER;
    for (c = s->d.running.first; c && send_steps(s, c, now_ns); c = c->next)
        ;
    while (!s->fatal && (c = s->d.outbox.first) && send_reply(s, c, now_ns)) {
        rk_calls_remove(&s->d.outbox, c);
        rk_call_free(&c);
        if (s->trim_ns == RK_NEVER)
            s->trim_at_last_ns = now_ns + TRIM_AT_LAST_NS;
        s->trim_ns = now_ns + TRIM_NS < s->trim_at_last_ns ? now_ns + TRIM_NS : s->trim_at_last_ns;
    }
}

static void
trim(struct serve *s, int64_t now_ns)
{
    if (s->trim_ns > now_ns)
        return;
    s->trim_ns = RK_NEVER;
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}

/* ---- frames ---- */

static bool
crowded(const struct serve *s)
{
    return s->d.waiting.n + s->d.running.n + s->d.outbox.n >= CALLS_MAX;
}

static void
receive(struct serve *s)
{
    int fds[RK_FRAME_FDS];
    size_t n;

    for (int i = 0; i < FRAMES_PER_TURN && !crowded(s); i++) {
        long len = rk_frame_recv(s->sock, s->frame, fds, &n);

        if (len > 0) {
            rk_dispatch_frame(&s->d, s->frame, (size_t)len, fds, n);
        } else if (len < 0 && errno == EMSGSIZE) {
            rk_log(RK_LOG_WARNING, "ev=bad-frame why=\"too long, or too many descriptors\"");
        } else {
            s->gone |= len == 0 || errno != EAGAIN;
            return;
        }
    }
}

/* ---- the loop ---- */

static int
timeout_ms(int64_t until_ns, int64_t now_ns)
{
    int64_t ms;

    if (until_ns == RK_NEVER)
        return -1;
    ms = until_ns > now_ns ? (until_ns - now_ns + RK_NS_PER_MS - 1) / RK_NS_PER_MS : 0;
    return ms < 3600000 ? (int)ms : 3600000;
}

static void
turn(struct serve *s)
{
    struct pollfd p[2] = {
        {.fd = s->sock, .events = (short)((crowded(s) ? 0 : POLLIN) | (s->full ? POLLOUT : 0))},
        {.fd = rk_pool_fd(s->d.pool), .events = POLLIN},
    };
    int64_t now_ns = rk_now_ns(), next_ns = rk_dispatch_next_ns(&s->d);

    if (s->retry_ns < next_ns)
        next_ns = s->retry_ns;
    if (s->trim_ns < next_ns)
        next_ns = s->trim_ns;
    if (poll(p, 2, timeout_ms(next_ns, now_ns)) < 0 && errno != EINTR) {
        rk_log(RK_LOG_ERR, "ev=poll why=\"%s\"", strerror(errno));
        s->fatal = true;
        return;
    }
    if (p[0].revents & (POLLIN | POLLHUP | POLLERR))
        receive(s);
    now_ns = rk_now_ns();
    rk_dispatch_step(&s->d, now_ns);
    send_replies(s, now_ns);
    trim(s, now_ns);
}

/* rekeyd is gone: give calls and instances a second to end as they should, in which nobody waits for replies. */
static void
wind_up(struct serve *s)
{
    int64_t end_ns = rk_now_ns() + END_NS;
    struct pollfd done = {.fd = rk_pool_fd(s->d.pool), .events = POLLIN};

    rk_dispatch_drop_all(&s->d);
    rk_dispatch_step(&s->d, rk_now_ns());
    while (!rk_dispatch_idle(&s->d) && rk_now_ns() < end_ns) {
        (void)poll(&done, 1, timeout_ms(end_ns, rk_now_ns()));
        rk_dispatch_step(&s->d, rk_now_ns());
    }
    rk_log(RK_LOG_DEBUG, "ev=end running=%zu", s->d.running.n);
}

int
rk_serve(int sock, const struct rk_module *m)
{
    struct serve s = {.sock = sock, .retry_ns = RK_NEVER, .trim_ns = RK_NEVER, .frame = malloc(RK_FRAME_MAX)};
    int flags = fcntl(sock, F_GETFL);

    if (!s.frame || flags < 0 || fcntl(sock, F_SETFL, flags | O_NONBLOCK) < 0 || rk_dispatch_start(&s.d, m) != RK_OK) {
        rk_log(RK_LOG_ERR, "ev=start why=\"no memory or descriptors\"");
        return RK_EXIT_FATAL;
    }
    while (!s.gone && !s.fatal)
        turn(&s);
    if (s.gone)
        wind_up(&s);
    else
        rk_log(RK_LOG_ERR, "ev=fatal why=\"the plugin cannot go on\"");
    return s.fatal ? RK_EXIT_FATAL : RK_EXIT_OK;
}
