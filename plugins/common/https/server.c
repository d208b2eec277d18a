/* server.c - a listener, and the life of its connections (https.h).  Runs in the loop of its owner. */
#include "conn.h"

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
#include <time.h>
#include <unistd.h>

#define BACKLOG 1024
#define HANDSHAKE_MS 5000

int64_t
rkp_https_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- the end of a connection ---- */

static void
unlink_conn(struct rkp_conn *c)
{
    struct rkp_https *s = c->server;

    if (!c->open)
        s->n_unknown--;
    s->n_conns--;
    if (c->next)
        c->next->prev = c->prev;
    if (c->prev)
        c->prev->next = c->next;
    else
        s->conns = c->next;
}

void
rkp_conn_end(struct rkp_conn *c)
{
    const struct rkp_https_conf *conf = &c->server->conf;

    unlink_conn(c);
    rkp_conn_release(c);
    if (c->asked && conf->gone)
        conf->gone(conf->arg, c);
    if (c->deadline)
        event_free(c->deadline);
    if (c->bev)
        bufferevent_free(c->bev);
    rkp_trust_unref(&c->trust);
    free(c);
}

static const char *
who(const struct rkp_conn *c, char text[64])
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof addr;

    if (c->client)
        return c->server->conf.name(c->server->conf.arg, c->client);
    if (getpeername(bufferevent_getfd(c->bev), (struct sockaddr *)&addr, &len) < 0 ||
        getnameinfo((struct sockaddr *)&addr, len, text, 64, NULL, 0, NI_NUMERICHOST) != 0)
        strcpy(text, "?");
    return text;
}

static void
refuse(struct rkp_conn *c, const char *why)
{
    char text[64];

    c->server->conf.refused(c->server->conf.arg, who(c, text), why);
    rkp_conn_end(c);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
    struct rkp_conn *c = arg;

    (void)fd;
    (void)what;
    if (!c->open)
        refuse(c, "its TLS handshake is not done in time");
    else if (c->started && !c->closing && !c->asked)
        refuse(c, c->writing ? "it does not read its answer in time" : "its request is not whole in time");
    else
        rkp_conn_end(c);
}

void
rkp_conn_deadline(struct rkp_conn *c, int ms)
{
    const struct timeval after = {ms / 1000, ms % 1000 * 1000};

    (void)event_add(c->deadline, &after);
}

/* ---- a handshake is done ---- */

/* A client that connects again has lost the older connection, though we may not know it yet. */
static void
end_surplus(struct rkp_conn *c)
{
    struct rkp_conn *oldest = NULL;
    size_t n = 0;

    for (struct rkp_conn *o = c->server->conns; o; o = o->next)
        if (o->open && o->client == c->client) {
            n++;
            oldest = o;
        }
    if (n > c->server->conf.of_each_max && oldest != c)
        rkp_conn_end(oldest);
}

static void
on_open(struct rkp_conn *c)
{
    if (!c->client) { /* cannot be: verify_client has refused it */
        refuse(c, "no certificate");
        return;
    }
    c->open = true;
    c->server->n_unknown--;
    rkp_conn_deadline(c, c->server->conf.idle_ms);
    end_surplus(c);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
    struct rkp_conn *c = arg;
    unsigned long err;
    char text[120];
    const char *why;

    if (what & BEV_EVENT_CONNECTED) {
        on_open(c);
        return;
    }
    err = bufferevent_get_openssl_error(bev);
    why = c->open ? NULL : rkp_trust_why(&c->shake, c->server->conf.not_named);
    if (!why && !c->open && err) {
        ERR_error_string_n(err, text, sizeof text);
        why = strrchr(text, ':') ? strrchr(text, ':') + 1 : text;
    }
    ERR_clear_error();
    if (why)
        refuse(c, why);
    else
        rkp_conn_end(c);
}

static void
on_read(struct bufferevent *bev, void *arg)
{
    (void)bev;
    rkp_conn_read(arg);
}

static void
on_written(struct bufferevent *bev, void *arg)
{
    struct rkp_conn *c = arg;
    bool old = c->trust != c->server->trust || rkp_https_now_ms() - c->since_ms > c->server->conf.life_ms;

    (void)bev;
    if (!c->writing)
        return;
    if (c->closing || old) {
        rkp_conn_end(c);
        return;
    }
    c->writing = c->started = false;
    (void)bufferevent_enable(c->bev, EV_READ);
    rkp_conn_deadline(c, c->server->conf.idle_ms);
    rkp_conn_read(c);
}

/* ---- a new connection ---- */

static void
keep_address(struct rkp_conn *c, const struct sockaddr *addr)
{
    if (addr->sa_family == AF_INET)
        memcpy(c->from, &((const struct sockaddr_in *)(const void *)addr)->sin_addr, 4);
    else if (addr->sa_family == AF_INET6)
        memcpy(c->from, &((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr, 16);
}

static size_t
of_address(const struct rkp_https *s, const unsigned char from[16])
{
    size_t n = 0;

    for (const struct rkp_conn *c = s->conns; c; c = c->next)
        n += !c->open && memcmp(c->from, from, 16) == 0;
    return n;
}

/* Room for another one: the oldest of the address that has most of them goes. */
static void
make_room(struct rkp_https *s)
{
    struct rkp_conn *victim = NULL;
    size_t most = 0;

    if (s->n_unknown < s->conf.unknown_max)
        return;
    for (struct rkp_conn *c = s->conns; c; c = c->next) {
        size_t n = c->open ? 0 : of_address(s, c->from);

        if (n && n >= most) {
            most = n;
            victim = c;
        }
    }
    if (victim)
        refuse(victim, "too many connections without a certificate");
}

static bool
begin_tls(struct rkp_conn *c, evutil_socket_t fd)
{
    SSL *ssl = SSL_new(c->trust->server);
    int one = 1;

    if (!ssl)
        return false;
    SSL_set_app_data(ssl, c);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->bev = bufferevent_openssl_socket_new(c->server->base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    if (!c->bev) {
        SSL_free(ssl);
        return false;
    }
    bufferevent_setcb(c->bev, on_read, on_written, on_event, c);
    return bufferevent_enable(c->bev, EV_READ | EV_WRITE) == 0;
}

static void
on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *addr, int len, void *arg)
{
    struct rkp_https *s = arg;
    struct rkp_conn *c;

    (void)listener;
    (void)len;
    make_room(s);
    c = calloc(1, sizeof *c);
    if (!c) {
        close(fd);
        return;
    }
    c->server = s;
    c->shake.alert = -1;
    c->since_ms = rkp_https_now_ms();
    c->trust = rkp_trust_ref(s->trust);
    keep_address(c, addr);
    c->next = s->conns;
    if (c->next)
        c->next->prev = c;
    s->conns = c;
    s->n_unknown++;
    s->n_conns++;
    c->deadline = event_new(s->base, -1, 0, on_deadline, c);
    if (!c->deadline || !begin_tls(c, fd)) {
        if (!c->bev)
            close(fd);
        rkp_conn_end(c);
        return;
    }
    rkp_conn_deadline(c, HANDSHAKE_MS);
}

/* Out of descriptors, as a rule: the tick tries again. */
static void
on_error(struct evconnlistener *listener, void *arg)
{
    struct rkp_https *s = arg;

    s->conf.full(s->conf.arg, strerror(errno));
    (void)evconnlistener_disable(listener);
}

/* ---- the listener ---- */

bool
rkp_https_listen_ok(const char *listen)
{
    struct sockaddr_storage addr;
    int len = sizeof addr;

    return evutil_parse_sockaddr_port(listen, (struct sockaddr *)&addr, &len) == 0 && strrchr(listen, ':');
}

void
rkp_https_open(struct rkp_https *s)
{
    struct sockaddr_storage addr;
    int len = sizeof addr;

    if (s->listener) {
        (void)evconnlistener_enable(s->listener);
        return;
    }
    memset(&addr, 0, sizeof addr);
    if (evutil_parse_sockaddr_port(s->conf.listen, (struct sockaddr *)&addr, &len) < 0)
        return; /* its owner has looked */
    errno = 0;
    s->listener = evconnlistener_new_bind(s->base, on_accept, s,
                                          LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, BACKLOG,
                                          (struct sockaddr *)&addr, len);
    if (s->listener)
        evconnlistener_set_error_cb(s->listener, on_error);
    s->conf.listening(s->conf.arg, s->listener ? "" : strerror(errno ? errno : ENOMEM));
}

bool
rkp_https_is_open(const struct rkp_https *s)
{
    return s->listener != NULL;
}

void
rkp_https_renew(struct rkp_https *s, struct rkp_trust *trust)
{
    rkp_trust_unref(&s->trust);
    s->trust = rkp_trust_ref(trust);
    for (struct rkp_conn *c = s->conns, *next; c; c = next) {
        next = c->next;
        if (c->open && !c->started)
            rkp_conn_end(c);
    }
}

void
rkp_https_drop(struct rkp_https *s, const void *client)
{
    for (struct rkp_conn *c = s->conns, *next; c; c = next) {
        next = c->next;
        if (c->client == client)
            rkp_conn_end(c);
    }
}

size_t
rkp_https_conns(const struct rkp_https *s)
{
    return s->n_conns;
}

/* ---- begin and end ---- */

int
rkp_https_new(const struct rkp_https_conf *conf, struct event_base *base, struct rkp_trust *trust,
              struct rkp_https **out)
{
    struct rkp_https *s = *out = calloc(1, sizeof *s);

    if (!s)
        return RK_E_NOMEM;
    s->conf = *conf;
    s->base = base;
    s->trust = rkp_trust_ref(trust);
    return RK_OK;
}

void
rkp_https_free(struct rkp_https **server)
{
    struct rkp_https *s = *server;

    *server = NULL;
    if (!s)
        return;
    while (s->conns)
        rkp_conn_end(s->conns);
    if (s->listener)
        evconnlistener_free(s->listener);
    rkp_trust_unref(&s->trust);
    free(s);
}

/* What libevent would print. */
static void
no_words(int severity, const char *text)
{
    (void)severity;
    (void)text;
}

struct event_base *
rkp_https_base(void)
{
    struct event_config *config;
    struct event_base *base = NULL;

    event_set_log_callback(no_words);
    config = event_config_new();
    if (config) {
        event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_PRECISE_TIMER);
        base = event_base_new_with_config(config);
        event_config_free(config);
    }
    return base;
}
