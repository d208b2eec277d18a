/* cli.c - what a router has as "cli", for what runs "on" a box of junos-sim: "cli xml-mode netconf need-trailer"
 *
 * Connects its stdin and stdout to the socket of the box, which JUNOS_SIM_SOCKET names, until the box ends the session.
 * It is never installed: tests and labs put it, or a script that calls it, where a router has its own.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char failed[] = "<rpc-error>\n<error-severity>error</error-severity>\n<error-message>\n"
                             "NETCONF initialization error\n</error-message>\n</rpc-error>\n";

static int
connect_to(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || !path || strlen(path) >= sizeof at.sun_path)
        return -1;
    strcpy(at.sun_path, path);
    return connect(fd, (struct sockaddr *)&at, sizeof at) == 0 ? fd : -1;
}

/* What can be read now goes on.   ret: false: there is no more, or nobody takes it */
static bool
pass(int from, int to)
{
    char bytes[65536];
    ssize_t n = read(from, bytes, sizeof bytes);
    bool ok = n > 0 || (n < 0 && errno == EINTR);

    for (ssize_t at = 0; ok && at < n;) {
        ssize_t done = write(to, bytes + at, (size_t)(n - at));

        ok = done > 0 || (done < 0 && errno == EINTR);
        at += done > 0 ? done : 0;
    }
    explicit_bzero(bytes, sizeof bytes);
    return ok;
}

int
main(int argc, char **argv)
{
    int fd = connect_to(getenv("JUNOS_SIM_SOCKET"));
    struct pollfd wait[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = fd, .events = POLLIN}};

    if (argc > 1 && strcmp(argv[1], "xml-mode") != 0) { /* as "netconf" it has no words */
        fprintf(stderr, "%s: only \"xml-mode netconf need-trailer\" is played here\n", argv[0]);
        return 2;
    }
    if (fd < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
        fputs(failed, stdout);
        return 1;
    }
    while (poll(wait, 2, -1) > 0 || errno == EINTR) {
        if (wait[1].revents && !pass(fd, STDOUT_FILENO))
            break;
        if (wait[0].revents && !pass(STDIN_FILENO, fd)) { /* whoever called it has gone */
            wait[0].fd = -1;
            shutdown(fd, SHUT_WR);
        }
    }
    return 0;
}
