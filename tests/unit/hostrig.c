/* hostrig.c - rekeyd's side of the socket, for tests. */
#include "hostrig.h"

#include "core/base/clock.h"
#include "core/base/secret.h"
#include "core/base/text.h"
#include "core/ipc/frame.h"

#include <rekey/err.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The rig's own failures are the test's. */
#define must(cond) ((cond) ? (void)0 : broken(#cond, __LINE__))

static void broken(const char *what, int line) __attribute__((noreturn));

static void
broken(const char *what, int line)
{
    fprintf(stderr, "hostrig.c:%d: %s: %s\n", line, what, strerror(errno));
    abort();
}

static const char *
build_dir(void)
{
    const char *dir = getenv("top_builddir");

    return dir ? dir : ".";
}

void
rig_module(const char *name, char *path, size_t size)
{
    char built[512], real[4096];

    snprintf(built, sizeof built, "%s/tests/unit/plugins/.libs/%s.so", build_dir(), name);
    must(realpath(built, real) != NULL);
    must((size_t)snprintf(path, size, "%s", real) < size);
}

static void
log_path(const struct rig *r, char *path, size_t size)
{
    snprintf(path, size, "%s/log", r->dir);
}

static void
child(const struct rig *r, int sock, const char *path, const char *extra)
{
    char program[512], fd[16], log[128];
    int out;

    log_path(r, log, sizeof log);
    out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    snprintf(program, sizeof program, "%s/core/host/rekey-host", build_dir());
    snprintf(fd, sizeof fd, "%d", sock);
    if (out < 0 || dup2(out, STDERR_FILENO) < 0 || fcntl(sock, F_SETFD, 0) < 0)
        _exit(126);
    execl(program, "rekey-host", "--fd", fd, "--module", path, "--log-level", "debug", extra, NULL);
    _exit(127);
}

static size_t
receive(struct rig *r, int *fds, size_t *n)
{
    struct pollfd p = {.fd = r->sock, .events = POLLIN};
    long len;

    must(poll(&p, 1, RIG_WAIT_MS) == 1);
    len = rk_frame_recv(r->sock, r->frame, fds, n);
    must(len > 0);
    return (size_t)len;
}

void
rig_start_path(struct rig *r, const char *path, const char *extra)
{
    int pair[2], fds[RK_FRAME_FDS];
    size_t n, len;

    memset(r, 0, sizeof *r);
    strcpy(r->dir, "/tmp/hostrig.XXXXXX");
    must(mkdtemp(r->dir) != NULL);
    must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    r->pid = fork();
    must(r->pid >= 0);
    if (r->pid == 0)
        child(r, pair[1], path, extra);
    close(pair[1]);
    r->sock = pair[0];
    len = receive(r, fds, &n);
    must(rk_hello_get(r->frame, len, &r->hello) == RK_OK);
}

void
rig_start(struct rig *r, const char *name, const char *extra)
{
    char path[512];

    rig_module(name, path, sizeof path);
    rig_start_path(r, path, extra);
}

static void
clean_up(struct rig *r)
{
    char command[128];

    /* reports of sanitizers end in the log, and the process leaves by _exit() */
    must(!rig_log_has(r, "Sanitizer") && !rig_log_has(r, "runtime error:"));
    rk_hello_free(&r->hello);
    rk_items_free(r->last.items, r->last.n);
    snprintf(command, sizeof command, "rm -rf %s", r->dir);
    must(system(command) == 0);
}

int
rig_wait(struct rig *r)
{
    int64_t end_ns = rk_now_ns() + RIG_WAIT_MS * RK_NS_PER_MS;
    int status = 0;
    pid_t got;

    /* polled, as waiting with a bound is not in waitpid */
    while ((got = waitpid(r->pid, &status, WNOHANG)) == 0 && rk_now_ns() < end_ns)
        poll(NULL, 0, 2);
    if (got == 0) {
        kill(r->pid, SIGKILL);
        waitpid(r->pid, &status, 0);
    }
    if (r->sock >= 0)
        close(r->sock);
    r->sock = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int
rig_stop(struct rig *r)
{
    int code;

    if (r->sock >= 0)
        close(r->sock);
    r->sock = -1;
    code = rig_wait(r);
    clean_up(r);
    return code;
}

/* ---- messages ---- */

static void
transmit(struct rig *r, size_t len, const int *fds, size_t n)
{
    must(len > 0);
    must(rk_frame_send(r->sock, r->frame, len, fds, n) == 0);
}

void
rig_reply(struct rig *r, struct rk_reply *reply)
{
    int fds[RK_FRAME_FDS];
    size_t n, len = receive(r, fds, &n);

    must(rk_reply_get(r->frame, len, fds, n, reply) == RK_OK);
    rk_items_free(r->last.items, r->last.n);
    r->last = *reply;
}

void
rig_step(struct rig *r, uint32_t number, struct rk_step *step)
{
    int fds[RK_FRAME_FDS];
    size_t n, len = receive(r, fds, &n);

    must(rk_step_get(r->frame, len, step) == RK_OK);
    must(n == 0 && step->number == number);
}

static void
set(struct rk_config *c, const char *name, const char *value)
{
    struct rk_setting *s = &c->settings[c->n++];

    must(rk_copy(s->name, sizeof s->name, name) && rk_copy(s->value, sizeof s->value, value));
}

int
rig_config(struct rig *r, uint32_t inst, struct rk_reply *reply, const char *const *pairs)
{
    struct rk_config c = {.inst = inst, .settings = calloc(16, sizeof *c.settings)};
    char name[16];

    must(c.settings != NULL);
    snprintf(name, sizeof name, "i%u", inst);
    set(&c, RK_CONF_NAME, name);
    set(&c, RK_CONF_SAE, "SAE_A");
    for (; pairs && pairs[0]; pairs += 2)
        set(&c, pairs[0], pairs[1]);
    transmit(r, rk_config_put(r->frame, ++r->number, &c), NULL, 0);
    free(c.settings);
    rig_reply(r, reply);
    must(reply->number == r->number);
    return reply->err;
}

void
rig_drop(struct rig *r, uint32_t inst)
{
    transmit(r, rk_number_put(r->frame, RK_MSG_DROP, inst), NULL, 0);
}

uint32_t
rig_send(struct rig *r, struct rk_call_msg *call)
{
    int fds[RK_FRAME_FDS];
    size_t n, len;

    call->number = ++r->number;
    if (call->budget_ms == 0)
        call->budget_ms = RIG_WAIT_MS;
    len = rk_call_put(r->frame, call, fds, &n);
    transmit(r, len, fds, n);
    return call->number;
}

void
rig_cancel(struct rig *r, uint32_t number)
{
    transmit(r, rk_number_put(r->frame, RK_MSG_CANCEL, number), NULL, 0);
}

int
rig_call(struct rig *r, struct rk_call_msg *call, struct rk_reply *reply)
{
    uint32_t number = rig_send(r, call);

    rig_reply(r, reply);
    must(reply->number == number);
    return reply->err;
}

/* ---- log and files ---- */

int
rig_log_count(const struct rig *r, const char *text)
{
    char path[128], line[4096];
    int count = 0;
    FILE *f;

    log_path(r, path, sizeof path);
    f = fopen(path, "r");
    must(f != NULL);
    while (fgets(line, sizeof line, f))
        count += strstr(line, text) != NULL;
    fclose(f);
    return count;
}

int
rig_log_has(const struct rig *r, const char *text)
{
    return rig_log_count(r, text) > 0;
}

int
rig_log_wait(const struct rig *r, const char *text)
{
    int64_t end_ns = rk_now_ns() + RIG_WAIT_MS * RK_NS_PER_MS;

    while (!rig_log_has(r, text)) {
        if (rk_now_ns() > end_ns)
            return 0;
        poll(NULL, 0, 5);
    }
    return 1;
}

void
rig_secret_file(const struct rig *r, const char *text, mode_t mode, char *value, size_t size)
{
    char path[128];
    int fd;

    snprintf(path, sizeof path, "%s/secret", r->dir);
    unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    must(fd >= 0);
    must(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    must(fchmod(fd, mode) == 0);
    close(fd);
    snprintf(value, size, "file:%s", path);
}

/* ---- keys ---- */

static int
fill(unsigned char *bytes, size_t len, void *arg)
{
    memset(bytes, *(unsigned char *)arg, len);
    return RK_OK;
}

int
rig_key(unsigned char byte, size_t len)
{
    struct rk_secret *s;
    int fd;

    must(rk_secret_new(len, fill, &byte, &s) == RK_OK);
    fd = rk_secret_send(&s);
    must(fd >= 0);
    return fd;
}

static int
all(const unsigned char *bytes, size_t len, void *arg)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != *(unsigned char *)arg)
            return 0;
    return 1;
}

int
rig_key_is(int *fd, unsigned char byte, size_t len)
{
    struct rk_secret *s;
    int same;

    if (*fd < 0 || rk_secret_receive(*fd, &s) != RK_OK)
        return 0;
    *fd = -1;
    same = rk_secret_len(s) == len && rk_secret_use(s, all, &byte);
    rk_secret_free(&s);
    return same;
}

struct rk_item *
rig_items(size_t n)
{
    struct rk_item *list = rk_items_new(n);

    must(list);
    return list;
}
