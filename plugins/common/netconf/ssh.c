/* ssh.c - the socket and libssh2 below a session: connects, waits, opens, closes.
 *
 * Every wait of this folder is in nc_wait(), on the socket and on the call's cancel descriptor.  libssh2 is never left to
 * read for long without being asked whether to go on: a peer that floods it would keep it from ever coming back.
 */
#include "session.h"

#include <libxml/parser.h>

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define OPEN_LIMIT_MS 60000    /* of nc_open, when the caller names none: a router asks its RADIUS server meanwhile */
#define CONNECT_LIMIT_MS 15000 /* of one address */
#define BYE_LIMIT_MS 1000      /* of a polite end */
#define EARLY_MAX (2 * 1024 * 1024) /* a server that sends more before there is a channel floods us [bytes] */
#define ASK_EVERY 32           /* reads of libssh2 between two looks at cancel and budget */
#define WINDOW (256 * 1024)    /* what a peer may send ahead [bytes]: libssh2 keeps it in memory */
#define PACKET 32768
#define DEAD_AFTER_MS 30000    /* sent bytes that nobody acknowledges */

static atomic_uint sessions;

unsigned
nc_sessions(void)
{
    return atomic_load(&sessions);
}

/* ---- memory ---- */

#define HEAD 16 /* before each piece, for its size; keeps the alignment */

void *
nc_alloc(size_t size)
{
    unsigned char *p = size < SIZE_MAX - HEAD ? malloc(size + HEAD) : NULL;

    if (!p)
        return NULL;
    memcpy(p, &size, sizeof size);
    return p + HEAD;
}

static LIBSSH2_ALLOC_FUNC(ssh_alloc)
{
    (void)abstract;
    return nc_alloc(count);
}

/* Keys, passphrases and requests pass through libssh2: nothing that it had stays. */
static LIBSSH2_FREE_FUNC(ssh_free)
{
    unsigned char *p = ptr;
    size_t size;

    (void)abstract;
    if (!p)
        return;
    memcpy(&size, p - HEAD, sizeof size);
    explicit_bzero(p, size);
    free(p - HEAD);
}

static LIBSSH2_REALLOC_FUNC(ssh_realloc)
{
    void *fresh = nc_alloc(count);
    size_t size = 0;

    if (!fresh || !ptr)
        return fresh;
    memcpy(&size, (unsigned char *)ptr - HEAD, sizeof size);
    memcpy(fresh, ptr, size < count ? size : count);
    ssh_free(ptr, abstract);
    return fresh;
}

/* ---- waiting ---- */

int64_t
nc_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void
nc_enter(struct nc_session *s, struct rk_call *call, int64_t limit_ms)
{
    s->call = call;
    s->until_ms = limit_ms > 0 ? nc_now_ms() + limit_ms : INT64_MAX;
    s->recv_calls = 0;
}

void
nc_leave(struct nc_session *s)
{
    s->call = NULL;
}

/* What is left of budget and limit [ms]. */
static int
left_ms(const struct nc_session *s)
{
    int64_t left = s->host->left_ms(s->call), own = s->until_ms == INT64_MAX ? INT_MAX : s->until_ms - nc_now_ms();

    left = left < own ? left : own;
    return left > 0 ? (int)left : 0;
}

int
nc_stop(const struct nc_session *s)
{
    struct pollfd cancel = {.fd = s->host->cancel_fd(s->call), .events = POLLIN};

    if (poll(&cancel, 1, 0) > 0)
        return RK_E_CANCELED;
    return left_ms(s) == 0 ? RK_E_TIMEOUT : RK_OK;
}

void
nc_keepalive(struct nc_session *s)
{
    struct pollfd fd = {.fd = s->fd, .events = POLLOUT};
    int next;

    /* Half a packet could not be finished by libssh2 (its copy is gone): only with room for all of it. */
    if (s->channel && poll(&fd, 1, 0) > 0 && fd.revents == POLLOUT)
        (void)libssh2_keepalive_send(s->ssh, &next);
}

static short
directions(const struct nc_session *s)
{
    int d = libssh2_session_block_directions(s->ssh);

    return (short)((d & LIBSSH2_SESSION_BLOCK_OUTBOUND ? POLLOUT : 0) |
                   (d & LIBSSH2_SESSION_BLOCK_INBOUND || d == 0 ? POLLIN : 0));
}

int
nc_wait(struct nc_session *s, int fd, short events)
{
    bool own = fd < 0;

    for (;;) {
        struct pollfd fds[2] = {{.fd = s->host->cancel_fd(s->call), .events = POLLIN}, {.fd = own ? s->fd : fd}};
        int left = left_ms(s), pause = left, n;

        fds[1].events = own ? directions(s) : events;
        if (own && fds[1].events == POLLIN && s->channel && (int64_t)s->keepalive_s * 500 < pause)
            pause = (int)s->keepalive_s * 500;
        if (left == 0)
            return nc_stop(s);
        n = poll(fds, 2, pause);
        if (n < 0 && errno != EINTR)
            return RK_E_IO;
        if (n > 0 && fds[0].revents)
            return RK_E_CANCELED;
        if (n > 0 && fds[1].revents)
            return RK_OK;
        if (own && fds[1].events == POLLIN)
            nc_keepalive(s);
    }
}

int
nc_gave_up(struct nc_session *s, int err)
{
    s->over = s->ssh ? true : s->over;
    switch (err) {
    case RK_E_CANCELED:
        return s->host->fail(s->call, err, "%s: canceled while %s", s->where, s->doing);
    case RK_E_TIMEOUT:
        return s->host->fail(s->call, err, "%s: no answer in time while %s", s->where, s->doing);
    default:
        return s->host->fail(s->call, err, "%s: cannot wait for it while %s: %m", s->where, s->doing);
    }
}

int
nc_broken(struct nc_session *s, int rc)
{
    char *text = NULL;

    s->over = true;
    if (rc == LIBSSH2_ERROR_ALLOC)
        return s->host->fail(s->call, RK_E_NOMEM, "%s: out of memory while %s", s->where, s->doing);
    if (rc == LIBSSH2_ERROR_SOCKET_DISCONNECT || rc == LIBSSH2_ERROR_SOCKET_SEND || rc == LIBSSH2_ERROR_SOCKET_RECV ||
        rc == LIBSSH2_ERROR_CHANNEL_CLOSED || rc == LIBSSH2_ERROR_CHANNEL_EOF_SENT ||
        rc == LIBSSH2_ERROR_BANNER_RECV || rc == LIBSSH2_ERROR_BANNER_SEND)
        return s->host->fail(s->call, RK_E_UNREACHABLE, "%s: the connection was lost while %s", s->where, s->doing);
    (void)libssh2_session_last_error(s->ssh, &text, NULL, 0);
    return s->host->fail(s->call, RK_E_PROTOCOL, "%s: SSH failed while %s: %.100s (%d)", s->where, s->doing,
                         text ? text : "", rc);
}

bool
nc_again(struct nc_session *s, int rc, int *err)
{
    *err = RK_OK;
    if (rc != LIBSSH2_ERROR_EAGAIN)
        return false;
    *err = nc_wait(s, -1, 0);
    if (*err)
        nc_gave_up(s, *err);
    return *err == RK_OK;
}

/* ---- the socket ---- */

static int
set_up_socket(int fd)
{
    static const int on = 1, idle_s = 30, every_s = 10, times = 3;
    static const unsigned dead_ms = DEAD_AFTER_MS;

    /* Without one of these a dead peer is only found later. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof every_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof times);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_ms, sizeof dead_ms);
    return fd;
}

/* ret: 0 connected; errno; a negative code: nothing more is to be tried */
static int
connect_one(struct nc_session *s, const struct addrinfo *a)
{
    int64_t until_ms = s->until_ms;
    int err, e = 0;
    socklen_t len = sizeof e;

    s->fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0)
        return errno;
    set_up_socket(s->fd);
    if (connect(s->fd, a->ai_addr, a->ai_addrlen) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    if (until_ms > nc_now_ms() + CONNECT_LIMIT_MS)
        s->until_ms = nc_now_ms() + CONNECT_LIMIT_MS;
    err = nc_wait(s, s->fd, POLLOUT);
    s->until_ms = until_ms;
    if (err == RK_E_TIMEOUT && left_ms(s) > 0)
        return ETIMEDOUT;
    if (err)
        return err;
    return getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &e, &len) < 0 ? errno : e;
}

static const char *
remedy(int e)
{
    if (e == ECONNREFUSED)
        return "; is NETCONF over SSH configured there (set system services netconf ssh)?";
    if (e == ETIMEDOUT || e == EHOSTUNREACH || e == ENETUNREACH)
        return "; is it up, and does a filter let the port pass?";
    return e == EMFILE || e == ENFILE ? "; raise the limit of open files" : "";
}

int
nc_connect(struct nc_session *s, const struct nc_target *t)
{
    struct addrinfo *list = NULL;
    char text[100];
    int err, e = 0;

    s->doing = "connecting";
    err = nc_resolve(s, t, &list);
    if (err)
        return err;
    for (const struct addrinfo *a = list; a; a = a->ai_next) {
        e = connect_one(s, a);
        if (e <= 0)
            break;
        if (s->fd >= 0)
            close(s->fd);
        s->fd = -1;
    }
    freeaddrinfo(list);
    if (e < 0)
        return nc_gave_up(s, e);
    if (e == 0 && s->fd >= 0)
        return RK_OK;
    err = e == EMFILE || e == ENFILE || e == ENOBUFS || e == ENOMEM ? RK_E_IO : RK_E_UNREACHABLE;
    return s->host->fail(s->call, err, "%s: cannot connect: %s%s", s->where, strerror_r(e, text, sizeof text),
                         remedy(e));
}

/* ---- libssh2 ---- */

/* libssh2 reads here: bounded, watched, and the greeting is kept. */
static LIBSSH2_RECV_FUNC(ssh_recv)
{
    struct nc_session *s = *abstract;
    ssize_t n;

    if (s->closing)
        return 0;
    if (++s->recv_calls % ASK_EVERY == 0 && nc_stop(s))
        return -EAGAIN;
    n = recv(socket, buffer, length, flags);
    if (n < 0)
        return -errno;
    if (s->channel)
        return n;
    s->early_bytes += (size_t)n;
    if (s->early_bytes > EARLY_MAX)
        return -ECONNABORTED;
    if (s->greeting && (size_t)n <= NC_GREETING_MAX - s->greeting_len) {
        memcpy(s->greeting + s->greeting_len, buffer, (size_t)n);
        s->greeting_len += (size_t)n;
    }
    return n;
}

static void
init_libraries(void)
{
    (void)libssh2_init(0);
    xmlInitParser();
}

static int
start_ssh(struct nc_session *s)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    /* the function pointer goes through void *, as libssh2 has it */
    union {
        LIBSSH2_RECV_FUNC((*fn));
        void *ptr;
    } recv_fn = {.fn = ssh_recv};

    pthread_once(&once, init_libraries);
    s->ssh = libssh2_session_init_ex(ssh_alloc, ssh_free, ssh_realloc, s);
    if (!s->ssh)
        return s->host->fail(s->call, RK_E_NOMEM, "%s: out of memory", s->where);
    libssh2_session_set_blocking(s->ssh, 0);
    libssh2_session_callback_set(s->ssh, LIBSSH2_CALLBACK_RECV, recv_fn.ptr);
    return RK_OK;
}

static int
open_channel(struct nc_session *s)
{
    int err = RK_OK, rc;

    s->doing = "opening a channel";
    do {
        s->channel = libssh2_channel_open_ex(s->ssh, "session", 7, WINDOW, PACKET, NULL, 0);
        rc = s->channel ? 0 : libssh2_session_last_errno(s->ssh);
    } while (nc_again(s, rc, &err));
    if (err || s->channel)
        return err;
    if (rc != LIBSSH2_ERROR_CHANNEL_FAILURE)
        return nc_broken(s, rc);
    return s->host->fail(s->call, RK_E_BUSY, "%s: no more sessions are let in; see its limit of connections (set system "
                         "services netconf ssh connection-limit)", s->where);
}

static int
start_subsystem(struct nc_session *s)
{
    int err = open_channel(s), rc;

    if (err)
        return err;
    s->doing = "starting NETCONF";
    do
        rc = libssh2_channel_handle_extended_data2(s->channel, LIBSSH2_CHANNEL_EXTENDED_DATA_IGNORE);
    while (nc_again(s, rc, &err));
    if (!err)
        do
            rc = libssh2_channel_subsystem(s->channel, "netconf");
        while (nc_again(s, rc, &err));
    if (err || rc == 0)
        return err;
    if (rc != LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED)
        return nc_broken(s, rc);
    return s->host->fail(s->call, RK_E_UNSUPPORTED, "%s: has no NETCONF here (subsystem refused); set system services "
                         "netconf ssh, and allow the user's class to use it", s->where);
}

/* ---- hello ---- */

struct greeting {
    struct nc_frame in;
    int err;
    bool done;
};

static int
take_hello(struct nc_session *s, char *text, size_t len, void *arg)
{
    struct greeting *g = arg;
    const char *why = NULL;

    if (g->done) {
        nc_wipe_free(text, len);
        return RK_OK;
    }
    g->done = true;
    g->err = nc_hello_read(text, len, &s->hello, &why);
    nc_wipe_free(text, len);
    if (g->err == RK_E_PROTOCOL)
        s->host->fail(s->call, g->err, "%s: %s", s->where, why);
    else if (g->err == RK_E_NOMEM)
        s->host->fail(s->call, g->err, "%s: out of memory", s->where);
    else if (g->err)
        s->host->fail(s->call, g->err, "%s: NETCONF was refused: %s", s->where, s->hello.refused);
    s->in.chunked = s->hello.base_1_1;
    return g->err;
}

static int
exchange_hellos(struct nc_session *s, size_t reply_max)
{
    struct greeting g = {.done = false};
    size_t sent;
    int err, n;

    s->doing = "exchanging hellos";
    s->in.max = NC_HELLO_MAX;
    err = nc_send(s, (struct nc_bytes){nc_hello_ours, strlen(nc_hello_ours)}, &sent);
    while (!err && !g.done) {
        err = nc_stop(s);
        n = err ? 0 : nc_read(s, take_hello, &g);
        if (n < 0 && !g.done && n == RK_E_PROTOCOL && s->in.why)
            return s->host->fail(s->call, n, "%s: its hello cannot be read: %s", s->where, s->in.why);
        if (n < 0)
            return n;
        if (!err && n == 0)
            err = nc_wait(s, -1, 0);
        if (err)
            nc_gave_up(s, err);
    }
    s->in.max = reply_max;
    return err ? err : g.err;
}

/* ---- open and close ---- */

static int
check_target(const struct nc_target *t, const struct rk_host *host, struct rk_call *call)
{
    if (!t->host || !t->host[0] || strlen(t->host) > 255 || !t->user || !t->user[0] || t->port == 0)
        return host->fail(call, RK_E_CONFIG, "a NETCONF target needs host, port and user");
    if (!t->known_hosts)
        return host->fail(call, RK_E_CONFIG, "%s: without a file of known hosts it cannot be trusted", t->host);
    if (!t->key && !t->agent)
        return host->fail(call, RK_E_CONFIG, "%s: neither a private key nor an agent is given", t->host);
    return RK_OK;
}

static int
open_session(struct nc_session *s, const struct nc_target *t)
{
    int err = nc_connect(s, t);

    if (!err)
        err = start_ssh(s);
    if (!err)
        err = nc_handshake(s, t);
    if (!err)
        err = nc_login(s, t);
    if (!err)
        err = start_subsystem(s);
    if (err)
        return err;
    libssh2_keepalive_config(s->ssh, 0, s->keepalive_s); /* without replies: libssh2 would keep each one for ever */
    return exchange_hellos(s, t->reply_max ? t->reply_max : 16 * 1024 * 1024);
}

static void
free_session(struct nc_session *s)
{
    s->closing = true;
    if (s->ssh) {
        if (!s->over)
            (void)libssh2_session_disconnect(s->ssh, "bye");
        (void)shutdown(s->fd, SHUT_RDWR); /* so that nothing of libssh2 waits any more */
        for (int i = 0; i < 8 && libssh2_session_free(s->ssh) == LIBSSH2_ERROR_EAGAIN; i++)
            ;
    }
    if (s->fd >= 0)
        close(s->fd);
    nc_frame_end(&s->in);
    nc_hello_end(&s->hello);
    free(s->greeting);
    free(s);
}

int
nc_open(const struct rk_host *host, struct rk_call *call, const struct nc_target *target, struct nc_session **out)
{
    struct nc_session *s;
    int64_t begun_ms = nc_now_ms();
    int err = check_target(target, host, call);

    *out = NULL;
    if (err)
        return err;
    s = calloc(1, sizeof *s);
    if (!s)
        return host->fail(call, RK_E_NOMEM, "out of memory");
    s->host = host;
    s->fd = -1;
    s->keepalive_s = target->keepalive_s ? target->keepalive_s : 30;
    snprintf(s->where, sizeof s->where, "%.60s@%.100s port %u", target->user, target->host, target->port);
    nc_enter(s, call, target->limit_ms ? target->limit_ms : OPEN_LIMIT_MS);
    err = open_session(s, target);
    host->log(call, err ? RK_LOG_INFO : RK_LOG_DEBUG, "ev=connect host=%.100s port=%u id=%s ms=%lld res=%s", target->host,
              target->port, s->hello.session_id, (long long)(nc_now_ms() - begun_ms), err ? "failed" : "ok");
    if (err) {
        s->over = true;
        free_session(s);
        return err;
    }
    nc_leave(s);
    atomic_fetch_add(&sessions, 1);
    *out = s;
    return RK_OK;
}

void
nc_close(struct nc_session **session, struct rk_call *call)
{
    static const struct nc_part bye = {.text = "<close-session/>"};
    const struct nc_request request = {"close-session", &bye, 1, false, BYE_LIMIT_MS};
    struct nc_session *s = *session;
    struct nc_reply *reply = NULL;

    if (!s)
        return;
    if (call && !s->over && s->host->left_ms(call) > 0)
        (void)nc_rpc(s, call, &request, &reply);
    if (reply)
        nc_reply_free(&reply);
    nc_leave(s);
    free_session(s);
    atomic_fetch_sub(&sessions, 1);
    *session = NULL;
}

bool
nc_can(const struct nc_session *s, const char *capability)
{
    return nc_hello_has(&s->hello, capability);
}

const char *
nc_id(const struct nc_session *s)
{
    return s->hello.session_id;
}
