/* connect.c - the socket of a session, to the first address that answers. */
#include "session.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_LIMIT_MS 15000 /* of one address */
#define DEAD_AFTER_MS 30000    /* sent bytes that nobody acknowledges */

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
    if (err == RK_E_TIMEOUT && nc_left_ms(s) > 0)
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
