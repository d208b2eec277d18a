/* run.c - one run of the program: started with what it is meant to have, listened to, and ended in time.
 *
 * Between fork and exec only calls are made that are safe beside other threads.  The program is the leader of a process
 * group of its own, which is killed in every case: no run leaves anything behind that did not leave the group itself.
 */
#include "exec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define KEY_FD 3
#define ABOVE 16       /* lowest number of a descriptor that is put in its place by the child */
#define DIE_MS 80      /* patience with a killed program that does not die (a hung disk): less than a cancel may last */
#define FILES_MAX 1024 /* descriptors of a program, as most expect it */

/* What the child needs, made before the fork. */
struct child {
    int in_fd, out_fd, null_fd, key_fd; /* each >= ABOVE */
    char *argv[EXEC_ARGS_MAX + 3];
    int *why; /* shared with the parent: errno of what failed before the program ran */
    pid_t parent;
};

/* ---- the child ---- */

static void
default_signals(void)
{
    struct sigaction normal;
    sigset_t none;

    memset(&normal, 0, sizeof normal);
    normal.sa_handler = SIG_DFL;
    for (int sig = 1; sig < NSIG; sig++)
        (void)sigaction(sig, &normal, NULL); /* SIGKILL, SIGSTOP and those of the C library cannot be set */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool
place_files(const struct child *c)
{
    struct rlimit files;
    bool keys = c->key_fd >= 0;

    if (dup2(c->in_fd, STDIN_FILENO) < 0 || dup2(c->out_fd, STDOUT_FILENO) < 0 || dup2(c->null_fd, STDERR_FILENO) < 0 ||
        dup2(keys ? c->key_fd : c->null_fd, KEY_FD) < 0 || syscall(SYS_close_range, KEY_FD + 1, ~0u, 0) < 0)
        return false;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > FILES_MAX) {
        files.rlim_cur = FILES_MAX;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    return true;
}

__attribute__((noreturn)) static void
be_program(struct child *c)
{
    static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", locale[] = "LC_ALL=C";
    static char *const env[] = {path, locale, NULL};

    default_signals();
    if (setpgid(0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 && getppid() == c->parent &&
        chdir("/") == 0 && place_files(c))
        (void)execve(c->argv[0], c->argv, env);
    *c->why = errno ? errno : ESRCH;
    _exit(127);
}

/* ---- its start ---- */

static int
lift(int fd)
{
    return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, ABOVE);
}

static void
child_end(struct child *c)
{
    const int fds[] = {c->in_fd, c->out_fd, c->null_fd, c->key_fd};

    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    if (c->why != MAP_FAILED)
        munmap(c->why, sizeof *c->why);
}

/* out: *out_fd, to read what it says.   ret: false: errno */
static bool
child_make(struct child *c, const struct exec_inst *x, const struct exec_run *run, int *out_fd)
{
    int fds[2] = {-1, -1}, null = open("/dev/null", O_RDWR | O_CLOEXEC);
    size_t n = 0;

    c->parent = getpid();
    c->argv[n++] = x->program;
    c->argv[n++] = (char *)(uintptr_t)run->verb; /* exec does not write to it */
    for (size_t i = 0; x->args[i]; i++)
        c->argv[n++] = x->args[i];
    c->why = mmap(NULL, sizeof *c->why, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (pipe2(fds, O_CLOEXEC) == 0)
        (void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
    *out_fd = fds[0];
    c->in_fd = lift(run->ask->text_fd);
    c->out_fd = lift(fds[1]);
    c->null_fd = lift(null);
    c->key_fd = lift(run->ask->key_fd);
    if (fds[1] >= 0)
        close(fds[1]);
    if (null >= 0)
        close(null);
    return c->why != MAP_FAILED && c->in_fd >= 0 && c->out_fd >= 0 && c->null_fd >= 0 &&
           (run->ask->key_fd < 0 || c->key_fd >= 0);
}

/* ---- while it runs ---- */

struct watch {
    int out_fd, pid_fd; /* out_fd -1: it has closed its output */
    struct exec_run *run;
};

/* Take what there is.   ret: false: it says too much, or a NUL */
static bool
take(struct watch *w)
{
    struct exec_run *run = w->run;

    for (;;) {
        ssize_t n = read(w->out_fd, run->out + run->len, EXEC_OUT_MAX + 1 - run->len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n <= 0) {
            close(w->out_fd);
            w->out_fd = -1;
            return true;
        }
        if (memchr(run->out + run->len, '\0', (size_t)n))
            return false;
        run->len += (size_t)n;
        if (run->len > EXEC_OUT_MAX)
            return false;
    }
}

/* ret: RK_OK: it has ended; RK_E_CANCELED, RK_E_TIMEOUT, RK_E_PROTOCOL, RK_E_IO: it is to be ended */
static int
listen_to(const struct rk_host *host, struct rk_call *call, struct watch *w)
{
    int quarter = host->left_ms(call) / 4, reserve = quarter < EXEC_RESERVE_MS ? quarter : EXEC_RESERVE_MS;

    for (;;) {
        struct pollfd fds[] = {{.fd = host->cancel_fd(call), .events = POLLIN}, {.fd = w->pid_fd, .events = POLLIN},
                               {.fd = w->out_fd, .events = POLLIN}};
        int left = host->left_ms(call) - reserve;

        if (left <= 0)
            return RK_E_TIMEOUT;
        if (poll(fds, 3, left) < 0 && errno != EINTR)
            return RK_E_IO;
        if (fds[0].revents)
            return RK_E_CANCELED;
        if (fds[2].revents && !take(w))
            return RK_E_PROTOCOL;
        if (fds[1].revents) /* a part of its group may hold the pipe still: what is not there by now does not count */
            return w->out_fd < 0 || take(w) ? RK_OK : RK_E_PROTOCOL;
    }
}

/* ---- its end ---- */

/* The leader is not waited for before the kill, so that its number is no one else's.   ret: its status is known */
static bool
end_group(struct exec_inst *x, struct watch *w, pid_t pid)
{
    struct pollfd dead = {.fd = w->pid_fd, .events = POLLIN};
    bool gone;

    (void)kill(-pid, SIGKILL);
    (void)kill(pid, SIGKILL); /* in case that it had not made its group yet */
    gone = (w->pid_fd >= 0 && poll(&dead, 1, DIE_MS) == 1) || w->pid_fd < 0;
    if (!gone || waitpid(pid, &w->run->status, w->pid_fd < 0 ? 0 : WNOHANG) != pid)
        x->left = pid;
    return x->left == 0;
}

static bool
still_there(struct exec_inst *x)
{
    if (x->left && waitpid(x->left, NULL, WNOHANG) != 0)
        x->left = 0;
    return x->left != 0;
}

static int
say(const struct exec_inst *x, struct rk_call *call, int err)
{
    switch (err) {
    case RK_E_CANCELED:
        return x->host->fail(call, err, "%s: %s was ended: the call was given up", x->name, x->program);
    case RK_E_TIMEOUT:
        return x->host->fail(call, err, "%s: %s was ended: it had not answered within the budget", x->name, x->program);
    case RK_E_PROTOCOL:
        return x->host->fail(call, err, "%s: %s was ended: it says more than %d bytes, or a NUL", x->name, x->program,
                             EXEC_OUT_MAX);
    default:
        return x->host->fail(call, err, "%s: %s was ended: it could not be listened to", x->name, x->program);
    }
}

/* It could not even start: certainly nothing was done. */
static int
not_run(const struct exec_inst *x, struct rk_call *call, int e)
{
    char text[100];

    if (e == ENOSYS)
        return x->host->fail(call, RK_E_UNSUPPORTED, "%s: programs need Linux 5.9 or newer", x->name);
    return x->host->fail(call, e == ENOEXEC ? RK_E_CONFIG : rkp_code(e), "%s: %s cannot be run: %s%s", x->name,
                         x->program, strerror_r(e, text, sizeof text),
                         e == ENOENT ? " (or what its first line names)" : "");
}

/* ret: RK_OK: it ran and ended by itself */
static int
run_child(struct exec_inst *x, struct rk_call *call, struct exec_run *run, struct child *c, int out_fd)
{
    struct watch w = {.out_fd = out_fd, .pid_fd = -1, .run = run};
    pid_t pid = fork();
    int err, e = errno;

    if (pid == 0)
        be_program(c);
    if (pid < 0) {
        close(out_fd);
        return not_run(x, call, e);
    }
    close(c->out_fd); /* else its end would not be seen */
    c->out_fd = -1;
    run->started = true;
    w.pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
    err = w.pid_fd < 0 ? RK_E_IO : listen_to(x->host, call, &w);
    if (!end_group(x, &w, pid) && !err)
        err = RK_E_IO;
    if (w.pid_fd >= 0)
        close(w.pid_fd);
    if (w.out_fd >= 0)
        close(w.out_fd);
    if (*c->why) {
        run->started = false;
        return not_run(x, call, *c->why);
    }
    return err ? say(x, call, err) : RK_OK;
}

int
exec_run(struct exec_inst *x, struct rk_call *call, struct exec_run *run)
{
    struct child c = {.parent = 0};
    struct rkp_why why;
    int out_fd = -1, err = exec_path_check(x->program, &why);

    run->len = 0;
    run->started = false;
    if (err)
        return x->host->fail(call, err, "%s: %s", x->name, why.text);
    if (still_there(x))
        return x->host->fail(call, RK_E_BUSY, "%s: the last run of %s was killed and is still there", x->name,
                             x->program);
    run->out = malloc(EXEC_OUT_MAX + 2);
    if (!run->out)
        return x->host->fail(call, RK_E_NOMEM, "%s: out of memory", x->name);
    if (!child_make(&c, x, run, &out_fd)) {
        err = x->host->fail(call, RK_E_IO, "%s: no descriptors to run %s", x->name, x->program);
        if (out_fd >= 0)
            close(out_fd);
    } else {
        err = run_child(x, call, run, &c, out_fd);
    }
    run->out[run->len] = '\0';
    child_end(&c);
    return err;
}

void
exec_run_end(struct exec_run *run)
{
    if (run->out)
        explicit_bzero(run->out, EXEC_OUT_MAX + 2);
    free(run->out);
    run->out = NULL;
}

int
exec_exit_code(int status)
{
    static const struct {
        int exit, err;
    } codes[] = {{0, RK_OK}, {EX_USAGE, RK_E_UNSUPPORTED}, {EX_NOHOST, RK_E_UNREACHABLE},
                 {EX_UNAVAILABLE, RK_E_UNREACHABLE}, {EX_IOERR, RK_E_IO}, {EX_TEMPFAIL, RK_E_BUSY},
                 {EX_NOPERM, RK_E_AUTH}, {EX_CONFIG, RK_E_CONFIG}};

    for (size_t i = 0; WIFEXITED(status) && i < sizeof codes / sizeof *codes; i++)
        if (codes[i].exit == WEXITSTATUS(status))
            return codes[i].err;
    return RK_E_UNKNOWN;
}
