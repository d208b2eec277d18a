/* frame.c - SOCK_SEQPACKET frames with SCM_RIGHTS. */
#include "frame.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
    struct cmsghdr head;
    char bytes[CMSG_SPACE(RK_FRAME_FDS * sizeof(int))];
};

int
rk_frame_send(int sock, const void *buf, size_t len, const int *fds, size_t n)
{
    union control control;
    struct iovec iov = {(void *)(size_t)buf, len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t sent;

    if (len == 0 || len > RK_FRAME_MAX || n > RK_FRAME_FDS) {
        errno = EMSGSIZE;
        return -1;
    }
    if (n) {
        memset(&control, 0, sizeof control);
        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN(n * sizeof(int));
        memcpy(CMSG_DATA(&control.head), fds, n * sizeof(int));
    }
    do
        sent = sendmsg(sock, &msg, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -1 : 0;
}

/* Take the descriptors of a received message; all of them, also when there are too many for fds. */
static void
take_fds(struct msghdr *msg, int *fds, size_t *n)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        size_t got;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        got = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < got; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (*n < RK_FRAME_FDS)
                fds[(*n)++] = fd;
            else
                close(fd);
        }
    }
}

long
rk_frame_recv(int sock, void *buf, int *fds, size_t *n)
{
    union control control;
    struct iovec iov = {buf, RK_FRAME_MAX};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
                         .msg_controllen = sizeof control.bytes};
    ssize_t got;

    *n = 0;
    do
        got = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got <= 0)
        return got;
    take_fds(&msg, fds, n);
    if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        while (*n)
            close(fds[--*n]);
        errno = EMSGSIZE;
        return -1;
    }
    return got;
}
