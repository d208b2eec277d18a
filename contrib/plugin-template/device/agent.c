/* agent.c - one packet asks the switch's agent, one packet answers */
#include "agent.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int
agent_ask(const struct agent *a, struct rk_call *call, char line[AGENT_LINE])
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err = RK_OK;
    struct pollfd p[] = {{.fd = fd, .events = POLLIN}, {.fd = a->host->cancel_fd(call), .events = POLLIN}};
    ssize_t n = 0;

    if (fd < 0 || connect(fd, (struct sockaddr *)&a->at, sizeof a->at) < 0 ||
        send(fd, line, strlen(line), MSG_NOSIGNAL) < 0)
        err = a->host->fail(call, RK_E_UNREACHABLE, "socket: %s: %s: does the agent run?", a->at.sun_path,
                            strerror(errno));
    explicit_bzero(line, AGENT_LINE); /* it may have held a key */
    if (!err && poll(p, 2, a->host->left_ms(call)) > 0 && !p[1].revents)
        n = recv(fd, line, AGENT_LINE - 1, 0);
    if (!err && n <= 0)
        err = a->host->fail(call, RK_E_UNKNOWN, "socket: %s: no answer: is the agent overloaded?", a->at.sun_path);
    if (fd >= 0)
        close(fd);
    return err;
}
