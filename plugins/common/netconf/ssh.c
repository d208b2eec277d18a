/* ssh.c - libssh2 below a session: its memory, its reading, and every wait.
 *
 * A wait is in nc_wait(), on a socket and on the call's cancel descriptor.  libssh2 is never left to read for long
 * without being asked whether to go on: a peer that floods it would keep it from ever coming back.
 */
#include "session.h"

#include <libxml/parser.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define EARLY_MAX (2 * 1024 * 1024) /* a server that sends more before there is a channel floods us [bytes] */
#define ASK_EVERY 32                /* reads of libssh2 between two looks at cancel and budget */

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

int
nc_left_ms(const struct nc_session *s)
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
    return nc_left_ms(s) == 0 ? RK_E_TIMEOUT : RK_OK;
}

void
nc_keepalive(struct nc_session *s)
{
    struct pollfd fd = {.fd = s->fd, .events = POLLOUT};
    int next = 0;

    if (!s->channel || nc_now_ms() < s->keepalive_ms)
        return;
    /* Half a packet could not be finished by libssh2 (its copy is gone): only with room for all of it. */
    if (poll(&fd, 1, 0) > 0 && fd.revents == POLLOUT && libssh2_keepalive_send(s->ssh, &next) == 0)
        s->keepalive_ms = nc_now_ms() + (int64_t)(next - 1) * 1000; /* libssh2 counts in whole seconds */
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
        int left = nc_left_ms(s), pause = left, n;

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
        rc == LIBSSH2_ERROR_CHANNEL_CLOSED || rc == LIBSSH2_ERROR_CHANNEL_EOF_SENT || rc == LIBSSH2_ERROR_BANNER_RECV ||
        rc == LIBSSH2_ERROR_BANNER_SEND)
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

/* ---- libssh2 ---- */

/* libssh2 decrypts packets where they are read: from buffer on it has taken all of them out by now, and what it has not
 * it has moved in front of it. */
static void
wipe_read(struct nc_session *s, void *buffer, size_t length)
{
    uintptr_t at = (uintptr_t)buffer;

    if (s->stale >= at && s->stale - at <= length)
        explicit_bzero(buffer, s->stale - at);
    else /* not the memory of the last time */
        explicit_bzero(buffer, length);
    s->stale = at;
}

/* libssh2 reads here: bounded, watched, and the greeting is kept. */
static LIBSSH2_RECV_FUNC(ssh_recv)
{
    struct nc_session *s = *abstract;
    ssize_t n;

    if (s->closing)
        return 0;
    if (++s->recv_calls % ASK_EVERY == 0 && nc_stop(s))
        return -EAGAIN;
    wipe_read(s, buffer, length);
    n = recv(socket, buffer, length, flags);
    s->stale += n > 0 ? (size_t)n : 0;
    if (n <= 0 && s->got) {
        s->got = false; /* libssh2 would forget what came before the end: it is told of the end the next time */
        return -EAGAIN;
    }
    if (n < 0)
        return -errno;
    s->got = n > 0;
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

int
nc_start_ssh(struct nc_session *s)
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
