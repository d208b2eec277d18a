/* sup.c - supervises hosts: starts them, speaks with them, ends those that do not answer.
 *
 * Runs in the loop and never blocks (but for sup_wait_hello before the loop runs, or at a reload that brings a new
 * plugin).  A host that dies costs its calls in flight, which become unknown, and nothing else.
 */
#include "daemon.h"

#include "../base/err.h"
#include "../base/log.h"
#include "../base/secret.h"
#include "../ipc/frame.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STOP_MS 1500 /* a host gives up its calls within a second when its socket is closed */
#define HOST_FD 3 /* where a host finds its socket */

/* ---- calls ---- */

static void
call_end(struct call *c, struct rk_reply *reply)
{
    struct host *h = c->host;

    for (struct call **at = &h->calls; *at; at = &(*at)->next)
        if (*at == c) {
            *at = c->next;
            break;
        }
    wake_off(h->d, &c->wake);
    if (c->done)
        c->done(c->arg, reply);
    rk_items_free(reply->items, reply->n);
    free(c);
}

static void
calls_fail(struct host *h, const char *why)
{
    while (h->calls) {
        struct rk_reply reply = {.err = RK_E_UNKNOWN};

        snprintf(reply.text, sizeof reply.text, "plugin %s: %s", h->plugin, why);
        call_end(h->calls, &reply);
    }
}

size_t
sup_in_flight(const struct host *h)
{
    size_t n = 0;

    for (const struct call *c = h->calls; c; c = c->next)
        n++;
    return n;
}

/* ---- ending a host ---- */

static void
close_socket(struct host *h)
{
    if (h->read_ev)
        event_free(h->read_ev);
    if (h->write_ev)
        event_free(h->write_ev);
    h->read_ev = h->write_ev = NULL;
    if (h->sock >= 0)
        close(h->sock);
    h->sock = -1;
    while (h->out) {
        struct frame_out *f = h->out;

        h->out = f->next;
        for (size_t i = 0; i < f->n_fds; i++)
            rk_secret_fd_wipe(f->fds[i]);
        free(f);
    }
    h->out_end = &h->out;
}

static int64_t
restart_pause_ns(struct host *h)
{
    int64_t ms = RK_RESTART_MIN_MS;

    if (h->up_since_ns && rk_now_ns() - h->up_since_ns > RK_RESTART_GOOD_MS * RK_NS_PER_MS)
        h->failures = 0;
    for (unsigned i = 0; i < h->failures && ms < RK_RESTART_MAX_MS; i++)
        ms *= 2;
    h->failures++;
    return (ms < RK_RESTART_MAX_MS ? ms : RK_RESTART_MAX_MS) * RK_NS_PER_MS;
}

static void restart(struct daemon *d, struct wake *w);

/* The host is gone or must go: kill it, fail what it was doing, start another one after a pause.  culprit: whose call
 * did not return; NULL: it is not known whose */
static void
host_down_by(struct host *h, const struct inst *culprit, const char *why)
{
    int64_t pause_ns = restart_pause_ns(h);
    bool lived = h->state == HOST_UP && !h->d->stopping;

    rk_log(h->d->stopping ? RK_LOG_INFO : RK_LOG_WARNING, "ev=host-down plugin=%s pid=%d restart_ms=%lld why=\"%s\"",
           h->plugin, (int)h->pid, (long long)(pause_ns / RK_NS_PER_MS), why);
    if (h->pid > 0)
        kill(h->pid, SIGKILL); /* reaped in sup_reaped */
    h->state = HOST_BACKOFF;
    if (why != h->error)
        snprintf(h->error, sizeof h->error, "%s", why);
    close_socket(h);
    inst_host_down(h);
    if (lived)
        blame_calls(h, culprit);
    if (lived && blame_module(h, why))
        h->state = HOST_STOPPED;
    calls_fail(h, why);
    h->wake.fn = restart;
    if (!h->d->stopping && h->state != HOST_STOPPED)
        wake_at(h->d, &h->wake, rk_now_ns() + pause_ns);
    else
        wake_off(h->d, &h->wake);
}

static void
host_down(struct host *h, const char *why)
{
    host_down_by(h, NULL, why);
}

void
sup_again(struct host *h)
{
    h->state = HOST_BACKOFF;
    h->wake.fn = restart;
    wake_at(h->d, &h->wake, rk_now_ns());
}

static void
restart(struct daemon *d, struct wake *w)
{
    struct host *h = (struct host *)w;

    (void)d;
    h->restarts++;
    if (sup_start(h) != RK_OK)
        host_down(h, h->error);
}

void
sup_reaped(struct daemon *d, pid_t pid, int status)
{
    for (struct host *h = d->hosts; h; h = h->next) {
        if (h->pid != pid)
            continue;
        if (WIFSIGNALED(status))
            snprintf(h->last_exit, sizeof h->last_exit, "killed by signal %d (%s)", WTERMSIG(status),
                     strsignal(WTERMSIG(status)));
        else
            snprintf(h->last_exit, sizeof h->last_exit, "exit status %d", WEXITSTATUS(status));
        rk_log(RK_LOG_INFO, "ev=host-exit plugin=%s pid=%d how=\"%s\"", h->plugin, (int)pid, h->last_exit);
        h->pid = 0;
        if (h->sock >= 0)
            host_down(h, h->last_exit);
    }
}

static void
host_forget(struct host *h)
{
    wake_off(h->d, &h->wake);
    close_socket(h);
    calls_fail(h, "stopped");
    rk_hello_free(&h->hello);
    h->has_hello = false;
}

/* A host ends by itself when its socket is closed; one that does not is killed. */
static void
host_end(struct host *h, int64_t deadline_ns)
{
    const struct timespec pause = {.tv_nsec = 2 * RK_NS_PER_MS};

    if (h->pid <= 0)
        return;
    while (waitpid(h->pid, NULL, WNOHANG) == 0) {
        if (rk_now_ns() >= deadline_ns)
            kill(h->pid, SIGKILL);
        nanosleep(&pause, NULL);
    }
    h->pid = 0;
}

void
sup_stop(struct host *h)
{
    host_forget(h);
    host_end(h, rk_now_ns() + STOP_MS * RK_NS_PER_MS);
}

void
sup_stop_all(struct daemon *d)
{
    int64_t deadline_ns = rk_now_ns() + STOP_MS * RK_NS_PER_MS;

    for (struct host *h = d->hosts; h; h = h->next)
        host_forget(h);
    while (d->hosts) {
        struct host *h = d->hosts;

        host_end(h, deadline_ns);
        d->hosts = h->next;
        free(h);
    }
}

/* ---- sending ---- */

static void
on_writable(evutil_socket_t sock, short what, void *arg)
{
    struct host *h = arg;

    (void)what;
    while (h->out) {
        struct frame_out *f = h->out;

        if (rk_frame_send((int)sock, f->bytes, f->len, f->fds, f->n_fds) < 0) {
            if (errno != EAGAIN)
                host_down(h, strerror(errno));
            return;
        }
        h->out = f->next;
        if (!h->out)
            h->out_end = &h->out;
        for (size_t i = 0; i < f->n_fds; i++)
            close(f->fds[i]);
        free(f);
    }
    event_del(h->write_ev);
}

static int
keep_frame(struct host *h, const void *buf, size_t len, const int *fds, size_t n)
{
    struct frame_out *f = malloc(sizeof *f + len);

    if (!f)
        return RK_E_NOMEM;
    *f = (struct frame_out){.len = len, .n_fds = n};
    memcpy(f->bytes, buf, len);
    memcpy(f->fds, fds, n * sizeof *fds);
    *h->out_end = f;
    h->out_end = &f->next;
    event_add(h->write_ev, NULL);
    return RK_OK;
}

/* Send a frame; its descriptors are taken on RK_OK. */
static int
send_frame(struct host *h, const void *buf, size_t len, const int *fds, size_t n)
{
    if (len == 0)
        return RK_E_CONTRACT;
    if (!h->out && rk_frame_send(h->sock, buf, len, fds, n) == 0) {
        for (size_t i = 0; i < n; i++)
            close(fds[i]);
        return RK_OK;
    }
    if (!h->out && errno != EAGAIN)
        return RK_E_UNREACHABLE;
    return keep_frame(h, buf, len, fds, n);
}

static void
call_late(struct daemon *d, struct wake *w)
{
    struct call *c = (struct call *)w;
    char why[RK_TEXT_MAX];

    (void)d;
    snprintf(why, sizeof why, "%s did not return in its time; the host is replaced", c->inst->conf->name);
    host_down_by(c->host, c->inst, why);
}

static struct call *
call_new(struct inst *inst, uint32_t verb, call_done *done, void *arg)
{
    struct call *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->wake.fn = call_late;
    c->host = inst->host;
    c->inst = inst;
    c->verb = verb;
    c->number = ++inst->d->next_number;
    c->done = done;
    c->arg = arg;
    return c;
}

static void
call_begin(struct call *c, int64_t budget_ms)
{
    struct host *h = c->host;

    c->next = h->calls;
    h->calls = c;
    h->n_calls++;
    /* 250 ms more than the host waits itself, so that a last moment answer is still heard */
    wake_at(h->d, &c->wake, rk_now_ns() + (budget_ms + RK_GRACE_MS + 250) * RK_NS_PER_MS);
}

int
sup_call(struct inst *inst, struct rk_call_msg *m, call_done *done, void *arg)
{
    static unsigned char buf[RK_FRAME_MAX]; /* one thread: the loop's */
    struct host *h = inst->host;
    struct call *c;
    int fds[RK_FRAME_FDS], err;
    size_t n = 0, len;

    if (h->state != HOST_UP)
        return RK_E_UNREACHABLE;
    c = call_new(inst, m->verb, done, arg);
    if (!c)
        return RK_E_NOMEM;
    m->number = c->number;
    m->inst = inst->number;
    len = rk_call_put(buf, m, fds, &n);
    err = send_frame(h, buf, len, fds, n);
    if (err) {
        free(c);
        return err;
    }
    for (size_t i = 0; i < m->n; i++)
        m->items[i].fd = -1; /* the frame has taken them */
    call_begin(c, m->budget_ms);
    return RK_OK;
}

void
sup_steps(struct inst *inst, call_step *step)
{
    inst->host->calls->step = step; /* the newest is the first */
}

void
sup_found(struct inst *inst, call_found *found)
{
    inst->host->calls->found = found;
}

void
sup_heard(struct inst *inst, call_heard *heard)
{
    inst->host->calls->heard = heard;
}

void
sup_cancel(struct inst *inst, uint32_t number)
{
    unsigned char buf[64];

    if (inst->host->state == HOST_UP)
        (void)send_frame(inst->host, buf, rk_number_put(buf, RK_MSG_CANCEL, number), NULL, 0);
}

static bool
add_setting(struct rk_config *config, const char *name, const char *value)
{
    struct rk_setting *s = &config->settings[config->n++];

    return snprintf(s->name, sizeof s->name, "%s", name) < (int)sizeof s->name &&
           snprintf(s->value, sizeof s->value, "%s", value) < (int)sizeof s->value;
}

int
sup_config(struct inst *inst, call_done *done)
{
    static unsigned char buf[RK_FRAME_MAX];
    struct rk_config config = {.inst = inst->number};
    struct call *c = call_new(inst, 0, done, inst);
    int err = RK_E_NOMEM;

    config.settings = calloc(inst->conf->n + 3, sizeof *config.settings);
    if (c && config.settings) {
        const struct rk_conf_set *set = inst->d->conf;

        for (size_t i = 0; i < inst->conf->n; i++)
            add_setting(&config, inst->conf->settings[i].name, inst->conf->settings[i].value);
        add_setting(&config, RK_CONF_NAME, inst->conf->name);
        add_setting(&config, RK_CONF_SAE, set->sae);
        add_setting(&config, RK_CONF_STATE_DIR, set->state_dir);
        err = send_frame(inst->host, buf, rk_config_put(buf, c->number, &config), NULL, 0);
    }
    free(config.settings);
    if (err) {
        free(c);
        return err;
    }
    call_begin(c, RK_INIT_BUDGET_MS);
    return RK_OK;
}

void
sup_forget(struct inst *inst)
{
    struct host *h = inst->host;

    for (struct call *c = h->calls; c;) {
        struct rk_reply reply = {.err = RK_E_UNKNOWN, .text = "the instance was taken out of the configuration"};

        if (c->inst != inst) {
            c = c->next;
            continue;
        }
        call_end(c, &reply);
        c = h->calls; /* done() may have changed the list */
    }
}

void
sup_drop(struct inst *inst)
{
    struct host *h = inst->host;
    unsigned char buf[64];

    if (h->state == HOST_UP)
        (void)send_frame(h, buf, rk_number_put(buf, RK_MSG_DROP, inst->number), NULL, 0);
}

void
sup_log_level(struct daemon *d, int level)
{
    unsigned char buf[64];

    rk_log_level_set(level);
    for (struct host *h = d->hosts; h; h = h->next)
        if (h->state == HOST_UP || h->state == HOST_STARTING)
            (void)send_frame(h, buf, rk_number_put(buf, RK_MSG_LOG_LEVEL, (uint32_t)level), NULL, 0);
}

/* ---- receiving ---- */

static int
take_hello(struct host *h, const void *frame, size_t len)
{
    rk_hello_free(&h->hello);
    h->has_hello = false;
    if (rk_hello_get(frame, len, &h->hello) != RK_OK) {
        snprintf(h->error, sizeof h->error, "its first message is not a hello");
        return RK_E_PROTOCOL;
    }
    if (h->hello.error[0]) {
        snprintf(h->error, sizeof h->error, "%s", h->hello.error);
        return RK_E_CONFIG;
    }
    if (strcmp(h->hello.name, h->plugin) != 0) {
        snprintf(h->error, sizeof h->error, "the module calls itself \"%s\"", h->hello.name);
        return RK_E_CONFIG;
    }
    h->has_hello = true;
    h->state = HOST_UP;
    h->error[0] = '\0';
    h->up_since_ns = rk_now_ns();
    wake_off(h->d, &h->wake);
    rk_log(RK_LOG_INFO, "ev=host-up plugin=%s version=%s pid=%d", h->plugin, h->hello.version, (int)h->pid);
    return RK_OK;
}

static int
take_reply(struct host *h, const void *frame, size_t len, int *fds, size_t n)
{
    struct rk_reply reply;
    struct call *c;

    if (rk_reply_get(frame, len, fds, n, &reply) != RK_OK)
        return RK_E_PROTOCOL;
    for (c = h->calls; c && c->number != reply.number;)
        c = c->next;
    if (c) {
        expiry_heard(c->inst, &reply);
        c->inst->wasted += reply.wasted;
        blame_answered(c->inst, c->verb);
        call_end(c, &reply);
    } else {
        rk_items_free(reply.items, reply.n); /* of a dropped instance */
    }
    return RK_OK;
}

static int
take_step(struct host *h, const void *frame, size_t len)
{
    struct rk_step step;

    if (rk_step_get(frame, len, &step) != RK_OK)
        return RK_E_PROTOCOL;
    for (const struct call *c = h->calls; c; c = c->next)
        if (c->number == step.number && c->step) {
            c->step(c->arg, &step);
            break;
        }
    return RK_OK;
}

static int
take_found(struct host *h, const void *frame, size_t len)
{
    struct rk_found_msg found;

    if (rk_found_get(frame, len, &found) != RK_OK)
        return RK_E_PROTOCOL;
    for (const struct call *c = h->calls; c; c = c->next)
        if (c->number == found.number && c->found) {
            c->found(c->arg, &found);
            break;
        }
    free(found.settings);
    return RK_OK;
}

static int
take_heard(struct host *h, const void *frame, size_t len)
{
    struct rk_heard_msg heard;

    if (rk_heard_get(frame, len, &heard) != RK_OK)
        return RK_E_PROTOCOL;
    for (const struct call *c = h->calls; c; c = c->next)
        if (c->number == heard.number && c->heard) {
            c->heard(c->arg, &heard);
            break;
        }
    return RK_OK;
}

static int
take_frame(struct host *h, const void *frame, size_t len, int *fds, size_t n)
{
    uint32_t type, number;

    if (rk_msg_head(frame, len, &type, &number)) {
        if (type == RK_MSG_REPLY && h->state == HOST_UP)
            return take_reply(h, frame, len, fds, n);
        if (type == RK_MSG_STEP && h->state == HOST_UP && n == 0)
            return take_step(h, frame, len);
        if (type == RK_MSG_FOUND && h->state == HOST_UP && n == 0)
            return take_found(h, frame, len);
        if (type == RK_MSG_HEARD && h->state == HOST_UP && n == 0)
            return take_heard(h, frame, len);
        if (type == RK_MSG_HELLO && h->state == HOST_STARTING && n == 0)
            return take_hello(h, frame, len);
    }
    while (n)
        rk_secret_fd_wipe(fds[--n]);
    return RK_E_PROTOCOL;
}

/* ret: 1 a frame was taken, 0 none is there now, -1 the host is down */
static int
receive(struct host *h)
{
    static unsigned char buf[RK_FRAME_MAX];
    int fds[RK_FRAME_FDS];
    size_t n;
    bool starting = h->state == HOST_STARTING;
    long len = rk_frame_recv(h->sock, buf, fds, &n);

    if (len < 0 && errno == EAGAIN)
        return 0;
    if (len <= 0) {
        host_down(h, len == 0 ? "its process ended" : strerror(errno));
        return -1;
    }
    if (take_frame(h, buf, (size_t)len, fds, n) != RK_OK) {
        host_down(h, h->state == HOST_STARTING && h->error[0] ? h->error : "it sent a message that is not understood");
        return -1;
    }
    if (starting && h->read_ev)
        inst_host_up(h);
    return 1;
}

static void
on_readable(evutil_socket_t sock, short what, void *arg)
{
    struct host *h = arg;

    (void)sock;
    (void)what;
    for (int i = 0; i < 64 && receive(h) == 1; i++)
        if (h->sock < 0)
            return;
}

/* ---- starting ---- */

static void
hello_late(struct daemon *d, struct wake *w)
{
    (void)d;
    host_down((struct host *)w, "it did not say hello in 10 s");
}

static int
spawn(struct host *h, int theirs)
{
    struct daemon *d = h->d;
    char module[512], level[16], fd[16];
    const char *argv[] = {d->opt.host_path, "--fd", fd, "--module", module, "--log-level", level, NULL};
    static const char *const levels[] = {"err", "warning", "notice", "info", "debug"};
    extern char **environ;
    posix_spawn_file_actions_t actions;
    int err;

    snprintf(module, sizeof module, "%s/%s.so", d->opt.plugin_dir, h->plugin);
    snprintf(level, sizeof level, "%s", levels[rk_log_level() - RK_LOG_ERR]);
    snprintf(fd, sizeof fd, "%d", HOST_FD);
    if (posix_spawn_file_actions_init(&actions))
        return RK_E_NOMEM;
    err = posix_spawn_file_actions_adddup2(&actions, theirs, HOST_FD);
    if (!err)
        err = posix_spawn(&h->pid, d->opt.host_path, &actions, NULL, (char *const *)(size_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (err) {
        h->pid = 0;
        snprintf(h->error, sizeof h->error, "%s: %s", d->opt.host_path, strerror(err));
        return RK_E_FATAL;
    }
    return RK_OK;
}

int
sup_start(struct host *h)
{
    int pair[2], err;

    if (h->pid > 0 && waitpid(h->pid, NULL, WNOHANG) == 0) {
        snprintf(h->error, sizeof h->error, "the old process %d has not ended", (int)h->pid);
        return RK_E_BUSY;
    }
    h->pid = 0;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        snprintf(h->error, sizeof h->error, "socketpair: %s", strerror(errno));
        return RK_E_IO;
    }
    err = spawn(h, pair[1]);
    close(pair[1]);
    if (err || fcntl(pair[0], F_SETFL, O_NONBLOCK) < 0) {
        close(pair[0]);
        return err ? err : RK_E_IO;
    }
    h->sock = pair[0];
    h->state = HOST_STARTING;
    h->wake.fn = hello_late;
    wake_at(h->d, &h->wake, rk_now_ns() + RK_HELLO_MS * RK_NS_PER_MS);
    if (h->d->base) {
        h->read_ev = event_new(h->d->base, h->sock, EV_READ | EV_PERSIST, on_readable, h);
        h->write_ev = event_new(h->d->base, h->sock, EV_WRITE | EV_PERSIST, on_writable, h);
        if (!h->read_ev || !h->write_ev || event_add(h->read_ev, NULL) < 0)
            return RK_E_NOMEM;
    }
    return RK_OK;
}

/* Wait for the hello outside of the loop: at start, at --check, and for a plugin that a reload brings. */
int
sup_wait_hello(struct host *h, int64_t deadline_ns)
{
    while (h->state == HOST_STARTING && rk_now_ns() < deadline_ns) {
        struct pollfd p = {.fd = h->sock, .events = POLLIN};
        int64_t left_ms = (deadline_ns - rk_now_ns()) / RK_NS_PER_MS;

        if (poll(&p, 1, (int)left_ms + 1) > 0)
            receive(h);
    }
    if (h->state == HOST_STARTING)
        snprintf(h->error, sizeof h->error, "it did not say hello in 10 s");
    return h->state == HOST_UP ? RK_OK : RK_E_CONFIG;
}

struct host *
sup_host(struct daemon *d, const char *plugin)
{
    struct host *h;

    for (h = d->hosts; h; h = h->next)
        if (strcmp(h->plugin, plugin) == 0)
            return h;
    h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->d = d;
    h->sock = -1;
    h->state = HOST_BACKOFF;
    h->out_end = &h->out;
    snprintf(h->plugin, sizeof h->plugin, "%s", plugin);
    h->next = d->hosts;
    d->hosts = h;
    return h;
}
