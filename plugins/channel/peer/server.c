/* server.c - the listener of an instance, and the life of its connections.
 *
 * Each connection is bounded in time and memory, and so is their number: those that have not shown a certificate yet
 * share a few places, and each peer has a few of its own, which nobody else can take.  Runs in the loop.
 */
#include "peer.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/listener.h>

#include <openssl/err.h>

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNKNOWN_MAX 64     /* connections before their handshake is done */
#define OF_PEER_MAX 2      /* of each peer: one in use, and the one that takes its place */
#define BACKLOG 256
#define HANDSHAKE_MS 5000
#define IDLE_MS 90000      /* more than two heartbeats of any length */

/* ---- the end of a connection ---- */

void
conn_free(struct conn *c)
{
    struct hub *h = c->hub;

    if (!c->open)
        h->n_unknown--;
    if (c->next)
        c->next->prev = c->prev;
    if (c->prev)
        c->prev->next = c->next;
    else
        h->conns = c->next;
    if (c->deadline)
        event_free(c->deadline);
    if (c->bev)
        bufferevent_free(c->bev);
    trust_unref(&c->trust);
    free(c);
}

static const char *
who(const struct conn *c, char text[64])
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof addr;

    if (c->remote)
        return c->remote->sae;
    if (getpeername(bufferevent_getfd(c->bev), (struct sockaddr *)&addr, &len) < 0 ||
        getnameinfo((struct sockaddr *)&addr, len, text, 64, NULL, 0, NI_NUMERICHOST) != 0)
        strcpy(text, "?");
    return text;
}

static void
refuse(struct conn *c, const char *why)
{
    char text[64];

    hub_refused(c->hub, who(c, text), why);
    conn_free(c);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;

    (void)fd;
    (void)what;
    if (!c->open)
        refuse(c, "its TLS handshake is not done in time");
    else if (c->started && !c->closing)
        refuse(c, c->writing ? "it does not read its answer in time" : "its request is not whole in time");
    else
        conn_free(c);
}

void
conn_wait(struct conn *c, int ms)
{
    const struct timeval after = {ms / 1000, ms % 1000 * 1000};

    (void)event_add(c->deadline, &after);
}

/* ---- a handshake is done ---- */

/* A peer that connects again has lost the older connection, though we may not know it yet. */
static void
end_surplus(struct conn *c)
{
    struct conn *oldest = NULL;
    size_t n = 0;

    for (struct conn *o = c->hub->conns; o; o = o->next)
        if (o->open && o->remote == c->remote) {
            n++;
            oldest = o;
        }
    if (n > OF_PEER_MAX && oldest != c)
        conn_free(oldest);
}

static void
on_open(struct conn *c)
{
    if (!c->remote) { /* cannot be: verify_client has refused it */
        refuse(c, "no certificate");
        return;
    }
    c->open = true;
    c->hub->n_unknown--;
    conn_wait(c, IDLE_MS);
    end_surplus(c);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
    struct conn *c = arg;
    unsigned long err;
    char text[120];
    const char *why;

    if (what & BEV_EVENT_CONNECTED) {
        on_open(c);
        return;
    }
    err = bufferevent_get_openssl_error(bev);
    why = c->open ? NULL : trust_why(&c->shake);
    if (!why && !c->open && err) {
        ERR_error_string_n(err, text, sizeof text);
        why = strrchr(text, ':') ? strrchr(text, ':') + 1 : text;
    }
    ERR_clear_error();
    if (why)
        refuse(c, why);
    else
        conn_free(c);
}

static void
on_read(struct bufferevent *bev, void *arg)
{
    (void)bev;
    conn_read(arg);
}

static void
on_written(struct bufferevent *bev, void *arg)
{
    struct conn *c = arg;
    bool old = c->trust != c->hub->trust || hub_now_ms() - c->since_ms > 2 * LIFE_MAX_S * 1000;

    (void)bev;
    if (!c->writing)
        return;
    if (c->closing || old) {
        conn_free(c);
        return;
    }
    c->writing = c->started = false;
    conn_wait(c, IDLE_MS);
    conn_read(c);
}

/* ---- a new connection ---- */

static void
keep_address(struct conn *c, const struct sockaddr *addr)
{
    if (addr->sa_family == AF_INET)
        memcpy(c->from, &((const struct sockaddr_in *)(const void *)addr)->sin_addr, 4);
    else if (addr->sa_family == AF_INET6)
        memcpy(c->from, &((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr, 16);
}

static size_t
of_address(const struct hub *h, const unsigned char from[16])
{
    size_t n = 0;

    for (const struct conn *c = h->conns; c; c = c->next)
        n += !c->open && memcmp(c->from, from, 16) == 0;
    return n;
}

/* Room for another one: the oldest of the address that has most of them goes. */
static void
make_room(struct hub *h)
{
    struct conn *victim = NULL;
    size_t most = 0;

    if (h->n_unknown < UNKNOWN_MAX)
        return;
    for (struct conn *c = h->conns; c; c = c->next) {
        size_t n = c->open ? 0 : of_address(h, c->from);

        if (n && n >= most) {
            most = n;
            victim = c;
        }
    }
    if (victim)
        refuse(victim, "too many connections without a certificate");
}

static bool
begin_tls(struct conn *c, evutil_socket_t fd)
{
    SSL *ssl = SSL_new(c->trust->server);
    int one = 1;

    if (!ssl)
        return false;
    SSL_set_app_data(ssl, c);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->bev = bufferevent_openssl_socket_new(c->hub->base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    if (!c->bev) {
        SSL_free(ssl);
        return false;
    }
    bufferevent_setcb(c->bev, on_read, on_written, on_event, c);
    bufferevent_setwatermark(c->bev, EV_READ, 0, HEAD_MAX + BODY_MAX);
    return bufferevent_enable(c->bev, EV_READ | EV_WRITE) == 0;
}

static void
on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *addr, int len, void *arg)
{
    struct hub *h = arg;
    struct conn *c;

    (void)listener;
    (void)len;
    make_room(h);
    c = calloc(1, sizeof *c);
    if (!c) {
        close(fd);
        return;
    }
    c->hub = h;
    c->shake.alert = -1;
    c->since_ms = hub_now_ms();
    c->trust = trust_ref(h->trust);
    keep_address(c, addr);
    c->next = h->conns;
    if (c->next)
        c->next->prev = c;
    h->conns = c;
    h->n_unknown++;
    c->deadline = event_new(h->base, -1, 0, on_deadline, c);
    if (!c->deadline || !begin_tls(c, fd)) {
        if (!c->bev)
            close(fd);
        conn_free(c);
        return;
    }
    conn_wait(c, HANDSHAKE_MS);
}

/* Out of descriptors, as a rule: the tick tries again. */
static void
on_error(struct evconnlistener *listener, void *arg)
{
    struct hub *h = arg;

    h->host->log(h->call, RK_LOG_WARNING, "ev=accept res=io why=\"%s\" do=\"raise LimitNOFILE\"", strerror(errno));
    (void)evconnlistener_disable(listener);
}

/* ---- the listener ---- */

static void
note_listening(struct hub *h, const char *error)
{
    bool is_new;

    pthread_mutex_lock(&h->lock);
    h->listening = error[0] == '\0';
    is_new = strcmp(h->listen_error, error) != 0;
    snprintf(h->listen_error, sizeof h->listen_error, "%s", error);
    pthread_mutex_unlock(&h->lock);
    if (!error[0])
        h->host->log(h->call, RK_LOG_INFO, "ev=listen at=%s res=ok", h->listen);
    else if (is_new)
        h->host->log(h->call, RK_LOG_WARNING, "ev=listen at=%s res=io why=\"%s\"", h->listen, error);
}

void
server_open(struct hub *h)
{
    struct sockaddr_storage addr;
    int len = sizeof addr;

    if (h->listener) {
        (void)evconnlistener_enable(h->listener);
        return;
    }
    memset(&addr, 0, sizeof addr);
    if (evutil_parse_sockaddr_port(h->listen, (struct sockaddr *)&addr, &len) < 0)
        return; /* init has looked */
    errno = 0;
    h->listener = evconnlistener_new_bind(h->base, on_accept, h,
                                          LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, BACKLOG,
                                          (struct sockaddr *)&addr, len);
    if (h->listener)
        evconnlistener_set_error_cb(h->listener, on_error);
    note_listening(h, h->listener ? "" : strerror(errno ? errno : ENOMEM));
}

void
server_renew(struct hub *h)
{
    for (struct conn *c = h->conns, *next; c; c = next) {
        next = c->next;
        if (c->open && !c->started)
            conn_free(c);
    }
}

void
server_close(struct hub *h)
{
    while (h->conns)
        conn_free(h->conns);
    if (h->listener)
        evconnlistener_free(h->listener);
    h->listener = NULL;
}
