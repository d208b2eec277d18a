/* host.c - the life of one rekey-host, from its start to what it leaves behind. */
#include "host.h"

#include "../base/clock.h"
#include "../base/err.h"
#include "../base/text.h"
#include "../ipc/frame.h"

#include <rekey/plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOST_FD 3 /* where it finds its socket, and the probe its page */
#define PROBE_FD 4
#define END_MS 2500
#define SURVEY_MS 5000
#define ANSWER_MS 250 /* longer than the host waits itself, as rekeyd does */

/* ---- the process ---- */

static void
pause_ms(int ms)
{
    (void)poll(NULL, 0, ms);
}

static void
how_it_ended(struct rk_check_host *h, int status)
{
    if (h->obituary[0])
        return;
    if (WIFSIGNALED(status))
        snprintf(h->obituary, sizeof h->obituary, "killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(h->obituary, sizeof h->obituary, "it ended with exit status %d", WEXITSTATUS(status));
}

/* It must go, or has gone by itself. */
static int
gone(struct rk_check_host *h, const char *why)
{
    int status = 0;
    pid_t got;

    if (why)
        snprintf(h->obituary, sizeof h->obituary, "%s", why);
    if (h->pid > 0) {
        int64_t end_ns = rk_now_ns() + (why ? 0 : END_MS * RK_NS_PER_MS);

        while ((got = waitpid(h->pid, &status, WNOHANG)) == 0 && rk_now_ns() < end_ns)
            pause_ms(2);
        if (got == 0) {
            kill(h->pid, SIGKILL);
            waitpid(h->pid, &status, 0);
        }
        how_it_ended(h, status);
    }
    h->pid = 0;
    if (h->sock >= 0)
        close(h->sock);
    h->sock = -1;
    return RK_E_UNKNOWN;
}

static int
open_page(struct rk_check_host *h)
{
    int fd = memfd_create("probe", MFD_CLOEXEC);

    if (fd < 0 || ftruncate(fd, sizeof *h->probe) < 0)
        return fd;
    h->probe = mmap(NULL, sizeof *h->probe, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (h->probe == MAP_FAILED)
        h->probe = NULL;
    return fd;
}

static int
spawn(struct rk_check_host *h, const struct rk_check_paths *p, int theirs, int page)
{
    char preload[512], number[64], *env[] = {preload, number, NULL}, *none[] = {NULL};
    const char *argv[] = {p->host, "--fd", "3", "--module", p->module, "--log-level", "debug", NULL};
    posix_spawn_file_actions_t actions;
    int err;

    snprintf(preload, sizeof preload, "LD_PRELOAD=%s", p->probe);
    snprintf(number, sizeof number, "%s=%d", RK_PROBE_ENV, PROBE_FD);
    if (posix_spawn_file_actions_init(&actions))
        return RK_E_NOMEM;
    err = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!err)
        err = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, h->out, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (!err)
        err = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, h->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (!err)
        err = posix_spawn_file_actions_adddup2(&actions, theirs, HOST_FD);
    if (!err && page >= 0)
        err = posix_spawn_file_actions_adddup2(&actions, page, PROBE_FD);
    if (!err)
        err = posix_spawn(&h->pid, p->host, &actions, NULL, (char *const *)(size_t)argv, p->probe[0] ? env : none);
    posix_spawn_file_actions_destroy(&actions);
    if (err) {
        h->pid = 0;
        snprintf(h->obituary, sizeof h->obituary, "%.100s: %s", p->host, strerror(err));
    }
    return err ? RK_E_FATAL : RK_OK;
}

static int
hear_hello(struct rk_check_host *h)
{
    struct pollfd p = {.fd = h->sock, .events = POLLIN};
    int fds[RK_FRAME_FDS];
    size_t n = 0;
    long len;

    if (poll(&p, 1, RK_HELLO_MS) != 1)
        return gone(h, "it did not say hello in 10 s");
    len = rk_frame_recv(h->sock, h->frame, fds, &n);
    if (len <= 0)
        return gone(h, NULL);
    if (n || rk_hello_get(h->frame, (size_t)len, &h->hello) != RK_OK)
        return gone(h, "its first message is no hello");
    h->has_hello = true;
    return RK_OK;
}

/* Descriptors of ours must not be where the child's are to be. */
static int
above(int fd)
{
    int higher = fcntl(fd, F_DUPFD_CLOEXEC, 10);

    close(fd);
    return higher;
}

int
rk_check_host_start(struct rk_check_host *h, const struct rk_check_paths *paths)
{
    static unsigned n;
    int pair[2], page = -1, err;

    memset(h, 0, sizeof *h);
    h->sock = -1;
    snprintf(h->out, sizeof h->out, "%.200s/out.%u", paths->dir, n);
    snprintf(h->log, sizeof h->log, "%.200s/log.%u", paths->dir, n++);
    h->frame = malloc(RK_FRAME_MAX);
    if (!h->frame || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return gone(h, "no memory or descriptors");
    h->sock = above(pair[0]);
    pair[1] = above(pair[1]);
    if (paths->probe[0])
        page = above(open_page(h));
    err = spawn(h, paths, pair[1], page);
    close(pair[1]);
    if (page >= 0)
        close(page);
    if (err)
        return gone(h, h->obituary[0] ? NULL : "it cannot be started");
    err = hear_hello(h);
    if (!err && (!h->probe || atomic_load(&h->probe->magic) != RK_PROBE_MAGIC)) {
        h->no_probe = paths->probe[0] ? "the probe could not be loaded into the host" : "there is no probe";
        if (h->probe)
            munmap(h->probe, sizeof *h->probe);
        h->probe = NULL;
    }
    return err;
}

/* This process adopts what its hosts leave behind (rk_check_main). */
static int
end_orphans(void)
{
    int n = 0;

    for (int tries = 0; tries < 200; tries++) {
        siginfo_t info = {0};
        pid_t pid;

        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
            return n; /* no children */
        pid = info.si_pid;
        if (pid > 0) {
            n++;
            waitpid(pid, NULL, 0);
        } else {
            char path[64], list[400] = "";
            int fd;

            snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
            fd = open(path, O_RDONLY | O_CLOEXEC);
            if (fd >= 0 && read(fd, list, sizeof list - 1) > 0 && (pid = (pid_t)strtol(list, NULL, 10)) > 0)
                kill(pid, SIGKILL); /* a child of ours, which no other process can be while it is not reaped */
            if (fd >= 0)
                close(fd);
            pause_ms(2);
        }
    }
    return n ? n : 1;
}

int
rk_check_host_end(struct rk_check_host *h)
{
    if (h->sock >= 0)
        close(h->sock);
    h->sock = -1;
    if (h->pid > 0) {
        char was[sizeof h->obituary];

        memcpy(was, h->obituary, sizeof was);
        gone(h, NULL);
        if (strcmp(h->obituary, "it ended with exit status 0") == 0)
            memcpy(h->obituary, was, sizeof was);
    }
    if (h->has_hello)
        rk_hello_free(&h->hello);
    h->has_hello = false;
    rk_items_free(h->reply.items, h->reply.n);
    h->reply = (struct rk_reply){0};
    if (h->probe)
        munmap(h->probe, sizeof *h->probe);
    h->probe = NULL;
    free(h->frame);
    h->frame = NULL;
    return end_orphans();
}

/* ---- messages ---- */

static int
send_frame(struct rk_check_host *h, size_t len, const int *fds, size_t n)
{
    if (h->sock < 0)
        return RK_E_UNKNOWN;
    if (len == 0)
        return RK_E_CONTRACT;
    return rk_frame_send(h->sock, h->frame, len, fds, n) == 0 ? RK_OK : gone(h, NULL);
}

static int
take_frame(struct rk_check_host *h, size_t len, int *fds, size_t n)
{
    uint32_t type, number;

    if (!rk_msg_head(h->frame, len, &type, &number))
        return gone(h, "it sent a message that is not understood");
    if (type != RK_MSG_REPLY)
        return RK_E_AGAIN; /* a step, or what was found: counted by nobody here */
    rk_items_free(h->reply.items, h->reply.n);
    h->reply = (struct rk_reply){0};
    if (rk_reply_get(h->frame, len, fds, n, &h->reply) != RK_OK) {
        h->reply = (struct rk_reply){0};
        return gone(h, "it sent a reply that is not understood");
    }
    return RK_OK;
}

int
rk_check_host_reply(struct rk_check_host *h, int64_t most_ms)
{
    int64_t end_ns = rk_now_ns() + most_ms * RK_NS_PER_MS;
    int fds[RK_FRAME_FDS], err;

    while (h->sock >= 0) {
        int64_t left_ms = (end_ns - rk_now_ns() + RK_NS_PER_MS - 1) / RK_NS_PER_MS;
        struct pollfd p = {.fd = h->sock, .events = POLLIN};
        size_t n = 0;
        long len;

        if (poll(&p, 1, left_ms > 0 ? (int)left_ms : 0) == 0)
            return RK_E_TIMEOUT;
        len = rk_frame_recv(h->sock, h->frame, fds, &n);
        if (len <= 0)
            return gone(h, NULL);
        err = take_frame(h, (size_t)len, fds, n);
        if (err != RK_E_AGAIN)
            return err;
    }
    return RK_E_UNKNOWN;
}

int
rk_check_host_send(struct rk_check_host *h, struct rk_call_msg *m)
{
    int fds[RK_FRAME_FDS], err;
    size_t n = 0, len;

    if (h->sock < 0)
        return RK_E_UNKNOWN;
    m->number = ++h->number;
    if (!m->inst)
        m->inst = h->inst;
    len = rk_call_put(h->frame, m, fds, &n);
    err = send_frame(h, len, fds, n);
    if (!err)
        rk_items_sent(m->items, m->n);
    return err;
}

int
rk_check_host_call(struct rk_check_host *h, struct rk_call_msg *m)
{
    int err = rk_check_host_send(h, m);

    while (!err) {
        err = rk_check_host_reply(h, (int64_t)m->budget_ms + RK_GRACE_MS + ANSWER_MS);
        if (!err && h->reply.number == m->number)
            return h->reply.err;
    }
    return err == RK_E_TIMEOUT ? gone(h, "a call did not return in its budget and a second more") : err;
}

int
rk_check_host_cancel(struct rk_check_host *h, uint32_t number)
{
    return h->sock < 0 ? RK_E_UNKNOWN : send_frame(h, rk_number_put(h->frame, RK_MSG_CANCEL, number), NULL, 0);
}

int
rk_check_host_config(struct rk_check_host *h, const struct rk_config *config)
{
    struct rk_config c = *config;
    int err;

    if (h->sock < 0)
        return RK_E_UNKNOWN;
    c.inst = ++h->inst;
    err = send_frame(h, rk_config_put(h->frame, ++h->number, &c), NULL, 0);
    while (!err) {
        err = rk_check_host_reply(h, RK_INIT_BUDGET_MS + RK_GRACE_MS + ANSWER_MS);
        if (!err && h->reply.number == h->number)
            return h->reply.err;
    }
    return err == RK_E_TIMEOUT ? gone(h, "init did not return in its budget and a second more") : err;
}

int
rk_check_host_drop(struct rk_check_host *h, uint32_t inst)
{
    return h->sock < 0 ? RK_E_UNKNOWN : send_frame(h, rk_number_put(h->frame, RK_MSG_DROP, inst), NULL, 0);
}

/* ---- surveys ---- */

int
rk_check_host_survey(struct rk_check_host *h)
{
    int64_t end_ns = rk_now_ns() + SURVEY_MS * RK_NS_PER_MS;
    uint32_t asked;

    if (!h->probe)
        return RK_E_UNSUPPORTED;
    asked = atomic_fetch_add(&h->probe->asked, 1) + 1;
    /* its loop must turn once: no call has this number */
    if (rk_check_host_cancel(h, UINT32_MAX) != RK_OK)
        return RK_E_UNKNOWN;
    while (atomic_load(&h->probe->answered) != asked) {
        if (rk_now_ns() > end_ns)
            return gone(h, "its loop did not turn in 5 s");
        if (waitpid(h->pid, NULL, WNOHANG | 0) == h->pid) {
            h->pid = 0;
            return gone(h, "it ended in a survey");
        }
        pause_ms(1);
    }
    return RK_OK;
}
