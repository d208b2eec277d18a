/* frame_test.c - frames over a socket pair: sizes, descriptors, ends. */
#include "core/ipc/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static unsigned char out[RK_FRAME_MAX + 1], in[RK_FRAME_MAX];
static int fds[RK_FRAME_FDS];

static void
make_pair(int pair[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
}

static void
close_pair(const int pair[2])
{
    close(pair[0]);
    close(pair[1]);
}

/* How many descriptors this process has; the highest that a test could make is far below. */
static int
open_fds(void)
{
    int n = 0;

    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void
test_sizes(void **state)
{
    static const size_t sizes[] = {1, 8, 4096, RK_FRAME_MAX};
    int pair[2];
    size_t n;

    (void)state;
    make_pair(pair);
    for (size_t i = 0; i < sizeof out; i++)
        out[i] = (unsigned char)(i * 7 + i / 256);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_int_equal(rk_frame_send(pair[0], out, sizes[i], NULL, 0), 0);
        assert_int_equal(rk_frame_recv(pair[1], in, fds, &n), sizes[i]);
        assert_int_equal(n, 0);
        assert_memory_equal(in, out, sizes[i]);
    }
    close_pair(pair);
}

static void
test_refused(void **state)
{
    int pair[2], many[RK_FRAME_FDS + 1] = {0};
    size_t n;

    (void)state;
    make_pair(pair);
    assert_int_equal(rk_frame_send(pair[0], out, 0, NULL, 0), -1);
    assert_int_equal(errno, EMSGSIZE);
    assert_int_equal(rk_frame_send(pair[0], out, RK_FRAME_MAX + 1, NULL, 0), -1);
    assert_int_equal(errno, EMSGSIZE);
    assert_int_equal(rk_frame_send(pair[0], out, 1, many, RK_FRAME_FDS + 1), -1);
    assert_int_equal(errno, EMSGSIZE);
    assert_int_equal(rk_frame_recv(pair[1], in, fds, &n), -1);
    assert_int_equal(errno, EAGAIN);
    close_pair(pair);
}

static void
test_descriptors(void **state)
{
    int pair[2], pipes[2], many[RK_FRAME_FDS], before = open_fds();
    struct stat a, b;
    size_t n;

    (void)state;
    make_pair(pair);
    assert_int_equal(pipe(pipes), 0);
    for (int i = 0; i < RK_FRAME_FDS; i++)
        many[i] = pipes[i % 2];
    assert_int_equal(rk_frame_send(pair[0], "abc", 3, many, RK_FRAME_FDS), 0);
    assert_int_equal(rk_frame_recv(pair[1], in, fds, &n), 3);
    assert_int_equal(n, RK_FRAME_FDS);
    for (int i = 0; i < RK_FRAME_FDS; i++) {
        assert_int_equal(fcntl(fds[i], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        assert_int_equal(fstat(fds[i], &a), 0);
        assert_int_equal(fstat(pipes[i % 2], &b), 0);
        assert_true(a.st_ino == b.st_ino);
        close(fds[i]);
    }
    close_pair(pipes);
    close_pair(pair);
    assert_int_equal(open_fds(), before);
}

/* Frames that rekeyd never sends: what came with them is closed. */
static void
send_raw(int sock, size_t len, const int *many, size_t n)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(200 * sizeof(int))];
    } control;
    struct iovec iov = {out, len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
                         .msg_controllen = CMSG_SPACE(n * sizeof(int))};

    memset(&control, 0, sizeof control);
    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    control.head.cmsg_len = CMSG_LEN(n * sizeof(int));
    memcpy(CMSG_DATA(&control.head), many, n * sizeof(int));
    assert_true(sendmsg(sock, &msg, 0) == (ssize_t)len);
}

static void
test_too_much(void **state)
{
    int pair[2], many[200], before = open_fds();
    size_t n = 99;

    (void)state;
    make_pair(pair);
    for (int i = 0; i < 200; i++)
        many[i] = pair[0];
    send_raw(pair[0], 5, many, 200);
    assert_int_equal(rk_frame_recv(pair[1], in, fds, &n), -1);
    assert_int_equal(errno, EMSGSIZE);
    assert_int_equal(n, 0);
    assert_int_equal(open_fds(), before + 2);
    send_raw(pair[0], RK_FRAME_MAX + 1, many, 3);
    assert_int_equal(rk_frame_recv(pair[1], in, fds, &n), -1);
    assert_int_equal(errno, EMSGSIZE);
    assert_int_equal(open_fds(), before + 2);
    assert_int_equal(rk_frame_send(pair[0], "next", 4, NULL, 0), 0); /* and the stream goes on */
    assert_int_equal(rk_frame_recv(pair[1], in, fds, &n), 4);
    close_pair(pair);
}

static void
test_ends(void **state)
{
    int pair[2];
    size_t n;

    (void)state;
    make_pair(pair);
    assert_int_equal(rk_frame_send(pair[0], "last", 4, NULL, 0), 0);
    close(pair[0]);
    assert_int_equal(rk_frame_recv(pair[1], in, fds, &n), 4);
    assert_int_equal(rk_frame_recv(pair[1], in, fds, &n), 0);
    assert_int_equal(rk_frame_send(pair[1], "x", 1, NULL, 0), -1); /* an error, and no signal */
    assert_int_equal(errno, EPIPE);
    close(pair[1]);
}

static void
test_full(void **state)
{
    int pair[2], sent = 0, got = 0;
    size_t n;

    (void)state;
    make_pair(pair);
    while (rk_frame_send(pair[0], out, 65536, NULL, 0) == 0)
        sent++;
    assert_int_equal(errno, EAGAIN);
    while (rk_frame_recv(pair[1], in, fds, &n) > 0)
        got++;
    assert_int_equal(got, sent);
    assert_int_equal(rk_frame_send(pair[0], out, 65536, NULL, 0), 0);
    close_pair(pair);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),    cmocka_unit_test(test_refused), cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_too_much), cmocka_unit_test(test_ends),    cmocka_unit_test(test_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
