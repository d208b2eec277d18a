/* ctl.c - the control socket: rekeyctl asks, rows come back, a last message ends the answer.
 *
 * Only root and the daemon's own user are heard.  An answer is made row by row as the client reads, so that a slow
 * client of a big daemon costs a cursor and not a copy of everything.
 */
#include "device_ask.h"
#include "source_pool.h"

#include "../base/err.h"
#include "../base/log.h"
#include "../ipc/frame.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define HISTORY_ROWS 20
#define HISTORY_ROWS_MAX 10000
#define CLIENT_QUIET_MS 60000 /* a client that asks nothing and reads nothing for so long is let go */

/* Exit codes of rekeyctl that the daemon chooses. */

struct ctl_client {
    struct wake wake; /* quiet for too long */
    struct ctl_client *next;
    struct daemon *d;
    int sock;
    struct event *read_ev, *write_ev;
    char *(*row)(struct ctl_client *c); /* next row (owned by the caller), NULL: no more; NULL pointer: idle */
    size_t at;                          /* cursor of row */
    char only[RK_LINK_MAX + 1];         /* STATUS: one link; "" all */
    bool footer_done;
    char **rows; /* HISTORY: made at once, n_rows; or as they come, while `later` */
    size_t n_rows;
    bool later;                 /* ctl_wait() */
    void (*forget)(void *arg);
    void *forget_arg;
    char *held; /* a row that the socket had no room for */
    struct rk_done done;
};

static void
client_free(struct ctl_client *c)
{
    for (struct ctl_client **at = &c->d->clients; *at; at = &(*at)->next)
        if (*at == c) {
            *at = c->next;
            c->d->n_clients--;
            break;
        }
    if (c->later)
        c->forget(c->forget_arg);
    wake_off(c->d, &c->wake);
    if (c->read_ev)
        event_free(c->read_ev);
    if (c->write_ev)
        event_free(c->write_ev);
    for (size_t i = c->at; i < c->n_rows; i++)
        free(c->rows[i]);
    free(c->rows);
    free(c->held);
    close(c->sock);
    free(c);
}

static void client_quiet(struct daemon *d, struct wake *w);

static void
stay_awake(struct ctl_client *c)
{
    c->wake.fn = client_quiet;
    wake_at(c->d, &c->wake, rk_now_ns() + CLIENT_QUIET_MS * RK_NS_PER_MS);
}

static void
client_quiet(struct daemon *d, struct wake *w)
{
    struct ctl_client *c = (struct ctl_client *)w;

    (void)d;
    if (c->later && c->at == c->n_rows)
        stay_awake(c); /* it is not the client who is slow */
    else
        client_free(c);
}

/* ---- rows of the commands ---- */

static char *
status_row(struct ctl_client *c)
{
    struct daemon *d = c->d;

    for (; c->at < d->n_ends; c->at++)
        if (!c->only[0] || strcmp(d->ends[c->at]->conf->name, c->only) == 0)
            return ctl_status_row(d->ends[c->at++], rk_now_ns());
    if (c->footer_done)
        return NULL;
    c->footer_done = true;
    return ctl_daemon_row(d, rk_now_ns());
}

static char *
explain_row(struct ctl_client *c)
{
    struct daemon *d = c->d;

    for (; c->at < d->n_ends; c->at++)
        if (strcmp(d->ends[c->at]->conf->name, c->only) == 0)
            return ctl_explain_row(d->ends[c->at++], rk_now_ns());
    return NULL;
}

static char *
plugin_row(struct ctl_client *c)
{
    struct host *h = c->d->hosts;

    for (size_t i = 0; h && i < c->at; i++)
        h = h->next;
    c->at++;
    return h ? ctl_plugin_row(h) : NULL;
}

/* The at-th pair of all sources. */
static char *
pair_row(struct ctl_client *c)
{
    size_t n = 0;

    for (const struct inst *i = c->d->insts; i; i = i->next)
        for (const struct source_pair *p = i->source && !i->gone ? i->source->pairs : NULL; p; p = p->next)
            if (n++ == c->at) {
                c->at++;
                return source_row(p, rk_now_ns());
            }
    return NULL;
}

static char *
history_row(struct ctl_client *c)
{
    return c->at < c->n_rows ? c->rows[c->at++] : NULL;
}

static int
add_history(const struct rk_journal_event *e, void *arg)
{
    struct ctl_client *c = arg;
    char *row = ctl_history_row(e);

    if (!row)
        return RK_E_NOMEM;
    c->rows[c->n_rows++] = row;
    return RK_OK;
}

/* ---- commands ---- */

static void
answer(struct ctl_client *c, uint32_t code, const char *fmt, ...) RK_PRINTF(3, 4);

static void
answer(struct ctl_client *c, uint32_t code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(c->done.text, sizeof c->done.text, fmt, ap);
    va_end(ap);
    c->done.exit_code = code;
}

static bool
need_link(struct ctl_client *c, const char *link)
{
    const char *near = NULL;

    if (end_find(c->d, link, 'a'))
        return true;
    for (size_t i = 0; i < c->d->n_ends && !near; i++)
        if (strncmp(c->d->ends[i]->conf->name, link, strlen(link)) == 0)
            near = c->d->ends[i]->conf->name;
    if (near)
        answer(c, CTL_FAILED, "no link \"%.64s\"; did you mean \"%s\"?", link, near);
    else
        answer(c, CTL_FAILED, "no link \"%.64s\"; rekeyctl status lists them", link);
    return false;
}

static void
do_status(struct ctl_client *c, const struct rk_ask *ask)
{
    if (ask->arg[0] && !need_link(c, ask->arg))
        return;
    snprintf(c->only, sizeof c->only, "%.*s", RK_LINK_MAX, ask->arg);
    c->footer_done = false;
    c->row = status_row;
}

static void
do_rotate(struct ctl_client *c, const struct rk_ask *ask)
{
    struct end *end;

    if (!need_link(c, ask->arg))
        return;
    for (char which = 'a'; which <= 'b'; which++) {
        end = end_find(c->d, ask->arg, which);
        if (end && (end_see(end)->d.flags & RK_DF_HELD)) {
            answer(c, CTL_FAILED, "%s: an operator's key is in use, and is held: rekeyctl adopt %s gives it up",
                   ask->arg, ask->arg);
            return;
        }
    }
    end = end_find(c->d, ask->arg, 'a');
    if (!end_rouse(end)) {
        answer(c, CTL_FAILED, "%s: out of memory", ask->arg);
        return;
    }
    rk_log(RK_LOG_NOTICE, "ev=rotate link=%s note=\"asked by an operator\"", ask->arg);
    end_event(end, &(struct rk_event){.type = RK_EV_ROTATE});
}

static void
do_explain(struct ctl_client *c, const struct rk_ask *ask)
{
    if (!need_link(c, ask->arg))
        return;
    snprintf(c->only, sizeof c->only, "%.*s", RK_LINK_MAX, ask->arg);
    c->row = explain_row;
}

/* Only where there is something to give up: else a key that is set by hand later would be swept. */
static void
do_adopt(struct ctl_client *c, const struct rk_ask *ask)
{
    bool held = false, any = false;
    const char *both;

    if (!need_link(c, ask->arg))
        return;
    both = end_find(c->d, ask->arg, 'a')->channel ? "; when the other end is held too, do so there as well" : "";
    for (char which = 'a'; which <= 'b'; which++) {
        struct end *end = end_find(c->d, ask->arg, which);
        bool here = end && (end_see(end)->d.flags & RK_DF_HELD);

        if (!end || (!here && !(rk_end_alarms(end_see(end), rk_now_ns()) & RK_ALARM_FOREIGN)))
            continue;
        if (!end_rouse(end)) {
            answer(c, CTL_FAILED, "%s: out of memory", ask->arg);
            return;
        }
        any = true;
        held |= here;
        rk_log(RK_LOG_NOTICE, "ev=adopt link=%s end=%c note=\"asked by an operator\"", ask->arg, which);
        end_event(end, &(struct rk_event){.type = RK_EV_ADOPT});
    }
    if (held)
        answer(c, CTL_OK, "%s: the operator's key is given up: a rotation follows; when both ends use its key, all "
               "others are removed%s", ask->arg, both);
    else if (any)
        answer(c, CTL_OK, "%s: the keys that are not rekeyd's are given up: they are removed when both "
               "ends are seen to use the same key of rekeyd", ask->arg);
    else
        answer(c, CTL_OK, "%s: there is no key on its devices that is not rekeyd's: nothing was changed", ask->arg);
}

static void
do_history(struct ctl_client *c, const struct rk_ask *ask)
{
    uint32_t limit = ask->limit ? ask->limit : HISTORY_ROWS;
    int err;

    if (!need_link(c, ask->arg))
        return;
    limit = limit < HISTORY_ROWS_MAX ? limit : HISTORY_ROWS_MAX;
    c->rows = calloc(limit, sizeof *c->rows);
    err = c->rows ? rk_journal_history(c->d->journal, ask->arg, limit, add_history, c) : RK_E_NOMEM;
    if (err && err != RK_E_PROTOCOL)
        answer(c, CTL_FAILED, "the journal cannot be read: %s", rk_err_name(err));
    c->row = history_row;
}

static void
do_plugins(struct ctl_client *c, const struct rk_ask *ask)
{
    (void)ask;
    c->row = plugin_row;
}

static void
do_enable(struct ctl_client *c, const struct rk_ask *ask)
{
    char text[RK_TEXT_MAX];
    int err = blame_enable(c->d, ask->arg, text, sizeof text);

    answer(c, err ? CTL_FAILED : CTL_OK, "%s", text);
}

static void
do_sources(struct ctl_client *c, const struct rk_ask *ask)
{
    (void)ask;
    c->row = pair_row;
}

static void
do_reload(struct ctl_client *c, const struct rk_ask *ask)
{
    char text[RK_TEXT_MAX];
    int err = setup_reload(c->d, text, sizeof text);

    (void)ask;
    answer(c, err ? CTL_FAILED : CTL_OK, "%s", text);
}

/* ---- answers that are made later ---- */

void
ctl_wait(struct ctl_client *c, void (*forget)(void *arg), void *arg)
{
    c->row = history_row;
    c->later = true;
    c->forget = forget;
    c->forget_arg = arg;
}

/* There is something to send again; until then only the end of the client would have been heard. */
static void
go_on(struct ctl_client *c)
{
    event_del(c->read_ev);
    event_add(c->write_ev, NULL);
}

void
ctl_push(struct ctl_client *c, char *row)
{
    char **rows = reallocarray(c->rows, c->n_rows + 1, sizeof *rows);

    if (!rows || !row) {
        free(row);
        c->rows = rows ? rows : c->rows;
        return;
    }
    c->rows = rows;
    rows[c->n_rows++] = row;
    go_on(c);
}

void
ctl_over(struct ctl_client *c, uint32_t code, const char *text)
{
    c->later = false;
    answer(c, code, "%s", text);
    go_on(c);
}

static void
do_source(struct ctl_client *c, const struct rk_ask *ask)
{
    do_source_test(c->d, c, ask, RK_SOURCE);
}

static void
do_peer(struct ctl_client *c, const struct rk_ask *ask)
{
    do_source_test(c->d, c, ask, RK_CHANNEL);
}

static void
do_discover_device(struct ctl_client *c, const struct rk_ask *ask)
{
    do_discover(c->d, c, ask);
}

static void
do_prepare_device(struct ctl_client *c, const struct rk_ask *ask)
{
    do_prepare(c->d, c, ask);
}

static char *
version_row(struct ctl_client *c)
{
    return c->at++ ? NULL : ctl_daemon_row(c->d, rk_now_ns());
}

static void
do_version(struct ctl_client *c, const struct rk_ask *ask)
{
    (void)ask;
    c->row = version_row;
}

static const struct {
    const char *name;
    void (*run)(struct ctl_client *c, const struct rk_ask *ask);
} commands[] = {
    {"status", do_status},   {"rotate", do_rotate}, {"explain", do_explain}, {"adopt", do_adopt},
    {"history", do_history}, {"plugins", do_plugins}, {"enable", do_enable}, {"sources", do_sources},
    {"reload", do_reload},   {"version", do_version},
    {"source-test", do_source}, {"peer-test", do_peer},
    {"discover", do_discover_device}, {"prepare", do_prepare_device},
};

static void
run_command(struct ctl_client *c, const struct rk_ask *ask)
{
    c->at = 0;
    c->row = NULL;
    c->rows = NULL;
    c->n_rows = 0;
    c->done = (struct rk_done){.exit_code = CTL_OK};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, ask->command) == 0) {
            commands[i].run(c, ask);
            return;
        }
    answer(c, CTL_USAGE, "this rekeyd does not know the command \"%s\"", ask->command);
}

/* ---- sending ---- */

/* ret: 1 sent, 0 no room now, -1 the client is gone */
static int
client_send(struct ctl_client *c, const void *buf, size_t len)
{
    rk_log_flush(); /* who is told finds in the log what was done */
    if (len && rk_frame_send(c->sock, buf, len, NULL, 0) == 0)
        return 1;
    return errno == EAGAIN || errno == ENOBUFS ? 0 : -1;
}

static char *
next_row(struct ctl_client *c)
{
    char *row = c->held;

    c->held = NULL;
    return row ? row : c->row ? c->row(c) : NULL;
}

static void
client_end(struct ctl_client *c, unsigned char *buf)
{
    int sent = client_send(c, buf, rk_done_put(buf, &c->done));

    if (sent < 0) {
        client_free(c);
    } else if (sent) {
        free(c->rows);
        c->rows = NULL;
        c->n_rows = 0;
        event_del(c->write_ev);
        event_add(c->read_ev, NULL);
    }
}

static void
on_client_writable(evutil_socket_t sock, short what, void *arg)
{
    static unsigned char buf[RK_FRAME_MAX];
    struct ctl_client *c = arg;
    char *row;

    (void)sock;
    (void)what;
    for (int i = 0; i < 256; i++) {
        int sent;

        row = next_row(c);
        if (!row && c->later) {
            event_del(c->write_ev); /* until go_on() */
            event_add(c->read_ev, NULL);
            return;
        }
        if (!row) {
            client_end(c, buf);
            return;
        }
        sent = client_send(c, buf, rk_row_put(buf, row));
        if (sent == 0) {
            c->held = row;
            return;
        }
        free(row);
        if (sent < 0) {
            client_free(c);
            return;
        }
        stay_awake(c);
    }
}

/* ---- receiving ---- */

static void
on_client_readable(evutil_socket_t sock, short what, void *arg)
{
    static unsigned char buf[RK_FRAME_MAX];
    struct ctl_client *c = arg;
    struct rk_ask ask;
    int fds[RK_FRAME_FDS];
    size_t n;
    long len = rk_frame_recv((int)sock, buf, fds, &n);

    (void)what;
    while (n)
        close(fds[--n]);
    if (len < 0 && errno == EAGAIN)
        return;
    if (len == 0 || c->later || (len < 0 && errno != EMSGSIZE)) { /* later: it has an answer to come, and asks again */
        client_free(c);
        return;
    }
    if (len < 0 || rk_ask_get(buf, (size_t)len, &ask) != RK_OK) {
        rk_log(RK_LOG_WARNING, "ev=control res=protocol why=\"a client sent what is not a command\"");
        c->row = NULL;
        answer(c, CTL_USAGE, "that is not a command; is rekeyctl of another version than rekeyd?");
    } else {
        run_command(c, &ask);
    }
    event_del(c->read_ev); /* one answer at a time */
    event_add(c->write_ev, NULL);
    stay_awake(c);
}

static bool
may_ask(int sock)
{
    struct ucred who;
    socklen_t len = sizeof who;

    return getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && (who.uid == 0 || who.uid == geteuid());
}

static void
on_connect(evutil_socket_t listener, short what, void *arg)
{
    struct daemon *d = arg;
    struct ctl_client *c = NULL;
    int sock = accept4((int)listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)what;
    if (sock < 0)
        return;
    if (!may_ask(sock) || d->n_clients >= RK_CTL_CLIENTS_MAX || !(c = calloc(1, sizeof *c))) {
        rk_log(RK_LOG_WARNING, "ev=control res=refused clients=%zu", d->n_clients);
        close(sock);
        return;
    }
    c->d = d;
    c->sock = sock;
    c->next = d->clients;
    d->clients = c;
    d->n_clients++;
    c->read_ev = event_new(d->base, sock, EV_READ | EV_PERSIST, on_client_readable, c);
    c->write_ev = event_new(d->base, sock, EV_WRITE | EV_PERSIST, on_client_writable, c);
    if (!c->read_ev || !c->write_ev || event_add(c->read_ev, NULL) < 0)
        client_free(c);
    else
        stay_awake(c);
}

/* ---- opening ---- */

/* Is a daemon listening there?  A socket that nobody answers was left behind by a crash. */
static bool
in_use(const struct sockaddr_un *addr)
{
    int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    bool used = sock >= 0 && connect(sock, (const struct sockaddr *)addr, sizeof *addr) == 0;

    if (sock >= 0)
        close(sock);
    return used;
}

static int
make_folder(const char *path, char *why, size_t size)
{
    char folder[108], *slash;

    snprintf(folder, sizeof folder, "%s", path);
    slash = strrchr(folder, '/');
    if (!slash || slash == folder)
        return RK_OK;
    *slash = '\0';
    if (mkdir(folder, 0755) == 0 || errno == EEXIST)
        return RK_OK;
    snprintf(why, size, "control: folder %s: %s", folder, strerror(errno));
    return RK_E_IO;
}

int
ctl_open(struct daemon *d, char *why, size_t size)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int err = make_folder(d->control, why, size);

    if (err)
        return err;
    memcpy(addr.sun_path, d->control, sizeof addr.sun_path);
    if (in_use(&addr)) {
        snprintf(why, size, "control: another rekeyd answers on %s", d->control);
        return RK_E_BUSY;
    }
    unlink(d->control);
    d->ctl_sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (d->ctl_sock < 0 || bind(d->ctl_sock, (struct sockaddr *)&addr, sizeof addr) < 0 ||
        chmod(d->control, 0600) < 0 || listen(d->ctl_sock, 16) < 0) {
        snprintf(why, size, "control: %s: %s", d->control, strerror(errno));
        return RK_E_IO;
    }
    d->ctl_ev = event_new(d->base, d->ctl_sock, EV_READ | EV_PERSIST, on_connect, d);
    return d->ctl_ev && event_add(d->ctl_ev, NULL) == 0 ? RK_OK : RK_E_NOMEM;
}

void
ctl_close(struct daemon *d)
{
    while (d->clients)
        client_free(d->clients);
    if (d->ctl_ev)
        event_free(d->ctl_ev);
    if (d->ctl_sock >= 0) {
        close(d->ctl_sock);
        unlink(d->control);
    }
    d->ctl_ev = NULL;
    d->ctl_sock = -1;
}
