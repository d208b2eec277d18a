/* session.c - opens a session up to the hellos, and closes it. */
#include "session.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OPEN_LIMIT_MS 60000 /* of nc_open, when the caller names none: a router asks its RADIUS server meanwhile */
#define BYE_LIMIT_MS 1000   /* of a polite end */
#define REPLY_MAX (16 * 1024 * 1024)
#define WINDOW (256 * 1024) /* what a peer may send ahead [bytes]: libssh2 keeps it in memory */
#define PACKET 32768

static atomic_uint sessions;

unsigned
nc_sessions(void)
{
    return atomic_load(&sessions);
}

static int
open_channel(struct nc_session *s)
{
    int err = RK_OK, rc;

    s->doing = "opening a channel";
    do {
        s->channel = libssh2_channel_open_ex(s->ssh, "session", 7, WINDOW, PACKET, NULL, 0);
        rc = s->channel ? 0 : libssh2_session_last_errno(s->ssh);
    } while (nc_again(s, rc, &err));
    if (err || s->channel)
        return err;
    if (rc != LIBSSH2_ERROR_CHANNEL_FAILURE)
        return nc_broken(s, rc);
    return s->host->fail(s->call, RK_E_BUSY,
                         "%s: no more sessions are let in; see its limit of connections (set system "
                         "services netconf ssh connection-limit)",
                         s->where);
}

static int
start_subsystem(struct nc_session *s)
{
    int err = open_channel(s), rc;

    if (err)
        return err;
    s->doing = "starting NETCONF";
    do
        rc = libssh2_channel_handle_extended_data2(s->channel, LIBSSH2_CHANNEL_EXTENDED_DATA_IGNORE);
    while (nc_again(s, rc, &err));
    if (!err)
        do
            rc = libssh2_channel_subsystem(s->channel, "netconf");
        while (nc_again(s, rc, &err));
    if (err || rc == 0)
        return err;
    if (rc != LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED)
        return nc_broken(s, rc);
    return s->host->fail(s->call, RK_E_UNSUPPORTED,
                         "%s: has no NETCONF here (subsystem refused); set system services "
                         "netconf ssh, and allow the user's class to use it",
                         s->where);
}

/* ---- hello ---- */

struct greeting {
    struct nc_frame in;
    int err;
    bool done;
};

static int
take_hello(struct nc_session *s, char *text, size_t len, void *arg)
{
    struct greeting *g = arg;
    const char *why = NULL;

    if (g->done) {
        nc_wipe_free(text, len);
        return RK_OK;
    }
    g->done = true;
    g->err = nc_hello_read(text, len, &s->hello, &why);
    nc_wipe_free(text, len);
    if (g->err == RK_E_PROTOCOL)
        s->host->fail(s->call, g->err, "%s: %s", s->where, why);
    else if (g->err == RK_E_NOMEM)
        s->host->fail(s->call, g->err, "%s: out of memory", s->where);
    else if (g->err)
        s->host->fail(s->call, g->err, "%s: NETCONF was refused: %s", s->where, s->hello.refused);
    s->in.chunked = s->hello.base_1_1;
    return g->err;
}

static int
exchange_hellos(struct nc_session *s, size_t reply_max)
{
    struct greeting g = {.done = false};
    size_t sent;
    int err, n;

    s->doing = "exchanging hellos";
    s->in.max = NC_HELLO_MAX;
    err = nc_send(s, (struct nc_bytes){nc_hello_ours, strlen(nc_hello_ours)}, &sent);
    while (!err && !g.done) {
        err = nc_stop(s);
        n = err ? 0 : nc_read(s, take_hello, &g);
        if (n < 0 && !g.done && n == RK_E_PROTOCOL && s->in.why)
            return s->host->fail(s->call, n, "%s: its hello cannot be read: %s", s->where, s->in.why);
        if (n < 0)
            return n;
        if (!err && n == 0)
            err = nc_wait(s, -1, 0);
        if (err)
            nc_gave_up(s, err);
    }
    s->in.max = reply_max;
    return err ? err : g.err;
}

/* ---- open and close ---- */

static int
check_target(const struct nc_target *t, const struct rk_host *host, struct rk_call *call)
{
    if (!t->host || !t->host[0] || strlen(t->host) > 255 || !t->user || !t->user[0] || t->port == 0)
        return host->fail(call, RK_E_CONFIG, "a NETCONF target needs host, port and user");
    if (!t->known_hosts)
        return host->fail(call, RK_E_CONFIG, "%s: without a file of known hosts it cannot be trusted", t->host);
    if (!t->key && !t->agent)
        return host->fail(call, RK_E_CONFIG, "%s: neither a private key nor an agent is given", t->host);
    return RK_OK;
}

static int
open_session(struct nc_session *s, const struct nc_target *t)
{
    int err = nc_connect(s, t);

    if (!err)
        err = nc_start_ssh(s);
    if (!err)
        err = nc_handshake(s, t);
    if (!err)
        err = nc_login(s, t);
    if (!err)
        err = start_subsystem(s);
    if (err)
        return err;
    libssh2_keepalive_config(s->ssh, 0, s->keepalive_s); /* without replies: libssh2 would keep each one for ever */
    return exchange_hellos(s, t->reply_max ? t->reply_max : REPLY_MAX);
}

static void
free_session(struct nc_session *s)
{
    s->closing = true;
    if (s->ssh) {
        if (!s->over)
            (void)libssh2_session_disconnect(s->ssh, "bye");
        (void)shutdown(s->fd, SHUT_RDWR); /* so that nothing of libssh2 waits any more */
        for (int i = 0; i < 8 && libssh2_session_free(s->ssh) == LIBSSH2_ERROR_EAGAIN; i++)
            ;
    }
    if (s->fd >= 0)
        close(s->fd);
    nc_frame_end(&s->in);
    nc_hello_end(&s->hello);
    free(s->greeting);
    free(s);
}

int
nc_open(const struct rk_host *host, struct rk_call *call, const struct nc_target *target, struct nc_session **out)
{
    struct nc_session *s;
    int64_t begun_ms = nc_now_ms();
    int err = check_target(target, host, call);

    *out = NULL;
    if (err)
        return err;
    s = calloc(1, sizeof *s);
    if (!s)
        return host->fail(call, RK_E_NOMEM, "out of memory");
    s->host = host;
    s->fd = -1;
    s->keepalive_s = target->keepalive_s ? target->keepalive_s : 30;
    snprintf(s->where, sizeof s->where, "%.60s@%.100s port %u", target->user, target->host, target->port);
    nc_enter(s, call, target->limit_ms ? target->limit_ms : OPEN_LIMIT_MS);
    err = open_session(s, target);
    host->log(call, err ? RK_LOG_INFO : RK_LOG_DEBUG, "ev=connect host=%.100s port=%u id=%s ms=%lld res=%s",
              target->host, target->port, s->hello.session_id, (long long)(nc_now_ms() - begun_ms),
              err ? "failed" : "ok");
    if (err) {
        s->over = true;
        free_session(s);
        return err;
    }
    nc_leave(s);
    atomic_fetch_add(&sessions, 1);
    *out = s;
    return RK_OK;
}

void
nc_close(struct nc_session **session, struct rk_call *call)
{
    static const struct nc_part bye = {.text = "<close-session/>"};
    const struct nc_request request = {.what = "close-session", .parts = &bye, .n = 1, .timeout_ms = BYE_LIMIT_MS};
    struct nc_session *s = *session;
    struct nc_reply *reply = NULL;

    if (!s)
        return;
    if (call && !s->over && s->host->left_ms(call) > 0)
        (void)nc_rpc(s, call, &request, &reply);
    if (reply)
        nc_reply_free(&reply);
    nc_leave(s);
    free_session(s);
    atomic_fetch_sub(&sessions, 1);
    *session = NULL;
}

bool
nc_can(const struct nc_session *s, const char *capability)
{
    return nc_hello_has(&s->hello, capability);
}

const char *
nc_id(const struct nc_session *s)
{
    return s->hello.session_id;
}
