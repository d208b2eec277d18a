/* server.c - see server.h.
 *
 * Keeps connections open between requests.  Must never log a body: it holds keys.
 */
#include "server.h"

#include "api.h"
#include "tls.h"

#include <core/base/clock.h>
#include <core/base/log.h>
#include <rekey/device.h>
#include <rekey/err.h>

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IDLE_S 120             /* a connection without a request is closed then */
#define HEADERS_MAX 8192
#define READ_MAX (4 * KME_BODY_MAX) /* evhttp drops what is longer; we answer 413 to what is longer than KME_BODY_MAX */

/* A reply that waits for its time: a slow answer, or a connection to be dropped. */
struct held {
    struct held *next, **from; /* what points to this one */
    struct evhttp_request *req;
    struct event *timer;
    struct kme_answer ans;
    bool drop, html;
};

struct kme_server {
    struct kme kme;
    struct event_base *base;
    struct evhttp *http;
    SSL_CTX *tls;
    struct held *held;
    char where[96];
};

static const char html_page[] = "<!DOCTYPE html><html><head><title>Proxy</title></head><body>Welcome</body></html>\n";

static struct bufferevent *
new_connection(struct event_base *base, void *arg)
{
    struct kme_server *server = arg;
    SSL *ssl = SSL_new(server->tls);
    struct bufferevent *bev;

    if (!ssl)
        return NULL;
    bev = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    if (!bev)
        SSL_free(ssl);
    else
        bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    return bev;
}

static void
wipe_sent(const void *data, size_t len, void *arg)
{
    (void)data;
    explicit_bzero(arg, len);
    free(arg);
}

/* Send and forget; the text of the answer goes to the connection's buffer without a copy and is wiped when sent. */
static void
send_answer(struct evhttp_request *req, struct kme_answer *ans, bool html)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
    struct evbuffer *body = evbuffer_new();

    evhttp_add_header(headers, "Cache-Control", "no-store");
    if (ans->text || html)
        evhttp_add_header(headers, "Content-Type", html ? "text/html; charset=utf-8" : "application/json");
    if (ans->allow)
        evhttp_add_header(headers, "Allow", ans->allow);
    if (html && body)
        evbuffer_add(body, html_page, sizeof html_page - 1);
    else if (ans->text && body && evbuffer_add_reference(body, ans->text, ans->len, wipe_sent, ans->text) == 0)
        ans->text = NULL;
    kme_answer_free(ans);
    evhttp_send_reply(req, ans->code, NULL, body);
    if (body)
        evbuffer_free(body);
}

static void
held_free(struct held *held)
{
    *held->from = held->next;
    if (held->next)
        held->next->from = held->from;
    if (held->timer)
        event_free(held->timer);
    kme_answer_free(&held->ans);
    free(held);
}

static void
on_held(evutil_socket_t fd, short what, void *arg)
{
    struct held *held = arg;
    struct evhttp_connection *conn = evhttp_request_get_connection(held->req);

    (void)fd;
    (void)what;
    if (!held->drop)
        send_answer(held->req, &held->ans, held->html);
    else if (conn)
        evhttp_connection_free(conn); /* its request with it */
    else
        evhttp_request_free(held->req);
    held_free(held);
}

/* Answer later; takes ans->text. */
static int
hold(struct kme_server *server, struct evhttp_request *req, const struct kme_fault *fault, struct kme_answer *ans)
{
    struct held *held = calloc(1, sizeof *held);
    struct timeval after = {fault->slow_ms / 1000, (suseconds_t)(fault->slow_ms % 1000) * 1000};

    if (!held)
        return RK_E_NOMEM;
    held->next = server->held;
    if (held->next)
        held->next->from = &held->next;
    held->from = &server->held;
    server->held = held;
    held->req = req;
    held->drop = fault->bits & KME_F_DROP;
    held->html = fault->bits & KME_F_HTML;
    held->timer = evtimer_new(server->base, on_held, held);
    if (!held->timer || evtimer_add(held->timer, &after) < 0) {
        held_free(held);
        return RK_E_NOMEM;
    }
    held->ans = *ans;
    ans->text = NULL;
    return RK_OK;
}

static enum kme_method
method_of(struct evhttp_request *req)
{
    switch (evhttp_request_get_command(req)) {
    case EVHTTP_REQ_GET:
        return KME_GET;
    case EVHTTP_REQ_POST:
        return KME_POST;
    default:
        return KME_OTHER;
    }
}

/* The answer, with the faults that concern what is said; those that concern how it is sent are the caller's. */
static void
answer(struct kme_server *server, struct evhttp_request *req, struct kme_request *request, struct kme_answer *ans)
{
    struct evbuffer *in = evhttp_request_get_input_buffer(req);
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
    char why[RK_WHY_MAX];

    *ans = (struct kme_answer){0};
    request->method = method_of(req);
    request->path = uri && evhttp_uri_get_path(uri) ? evhttp_uri_get_path(uri) : "";
    request->query = uri ? evhttp_uri_get_query(uri) : NULL;
    request->body_len = evbuffer_get_length(in);
    request->body = request->body_len ? (const char *)evbuffer_pullup(in, -1) : "";
    request->now_ns = rk_now_ns();
    if (kme_fault_now(&server->kme.conf->fault, server->kme.conf->fault_file, &request->fault, why) != RK_OK)
        kme_answer_error(ans, 500, "fault-file", (struct kme_detail){"reason", why});
    else if (request->body_len > KME_BODY_MAX || !request->body)
        kme_answer_error(ans, 413, "the body is too long", (struct kme_detail){0});
    else if (request->fault.bits & KME_F_HTML)
        ans->code = 200;
    else
        kme_answer(&server->kme, request, ans);
    if (request->fault.bits & KME_F_TRUNCATED)
        ans->len /= 2;
}

static void
on_request(struct evhttp_request *req, void *arg)
{
    struct kme_server *server = arg;
    struct evhttp_connection *conn = evhttp_request_get_connection(req);
    SSL *ssl = bufferevent_openssl_get_ssl(evhttp_connection_get_bufferevent(conn));
    char sae[RK_SAE_MAX + 1];
    struct kme_request request = {.caller = sae};
    struct kme_answer ans;

    kme_tls_peer(ssl, sae);
    answer(server, req, &request, &ans);
    rk_log(RK_LOG_INFO, "ev=request kme=%s sae=%s method=%s path=%s code=%d%s%s%s", server->kme.conf->id, sae,
           request.method == KME_GET ? "GET" : request.method == KME_POST ? "POST" : "other", request.path, ans.code,
           ans.note[0] ? " " : "", ans.note, request.fault.bits || request.fault.slow_ms ? " fault=yes" : "");
    /* a drop is held too: a connection must not be freed inside its own callback */
    if ((request.fault.slow_ms == 0 && !(request.fault.bits & KME_F_DROP)) ||
        hold(server, req, &request.fault, &ans) != RK_OK)
        send_answer(req, &ans, request.fault.bits & KME_F_HTML);
}

/* Listen; where[] gets the address, with the port that the kernel chose. */
static int
listen_on(struct kme_server *server, const struct kme_conf *conf)
{
    struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(server->http, conf->host, conf->port);
    struct sockaddr_storage addr;
    socklen_t len = sizeof addr;
    int fd = bound ? evhttp_bound_socket_get_fd(bound) : -1, on = 1;
    unsigned port;

    if (fd < 0 || getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
        return -1;
    /* connections inherit it: an answer is several small writes, and must not wait for the client's ACK */
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        return -1;
    port = ntohs(addr.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&addr)->sin6_port
                                            : ((struct sockaddr_in *)&addr)->sin_port);
    snprintf(server->where, sizeof server->where, strchr(conf->host, ':') ? "[%s]:%u" : "%s:%u", conf->host, port);
    return 0;
}

struct kme_server *
kme_server_new(struct event_base *base, const struct kme_conf *conf, char *why)
{
    struct kme_server *server = calloc(1, sizeof *server);

    snprintf(why, KME_CONF_TEXT_MAX, "KME %s: out of memory", conf->id);
    if (!server)
        return NULL;
    server->base = base;
    kme_start(&server->kme, conf, rk_now_ns());
    server->http = evhttp_new(base);
    server->tls = kme_tls_new(conf, why);
    if (!server->http || !server->tls)
        goto fail;
    evhttp_set_bevcb(server->http, new_connection, server);
    evhttp_set_gencb(server->http, on_request, server);
    evhttp_set_timeout(server->http, IDLE_S);
    evhttp_set_max_headers_size(server->http, HEADERS_MAX);
    evhttp_set_max_body_size(server->http, READ_MAX);
    evhttp_set_allowed_methods(server->http, 0x1ff); /* all that evhttp knows: 405 is ours to say */
    if (listen_on(server, conf) < 0) {
        snprintf(why, KME_CONF_TEXT_MAX, "KME %s: cannot listen on %s:%u: %s", conf->id, conf->host, conf->port,
                 strerror(evutil_socket_geterror(-1)));
        goto fail;
    }
    return server;
fail:
    kme_server_free(server);
    return NULL;
}

void
kme_server_free(struct kme_server *server)
{
    struct held *held;

    if (!server)
        return;
    while ((held = server->held) != NULL) {
        if (!evhttp_request_get_connection(held->req))
            evhttp_request_free(held->req); /* its connection went away while it was held */
        held_free(held);
    }
    if (server->http)
        evhttp_free(server->http);
    SSL_CTX_free(server->tls);
    kme_stop(&server->kme);
    free(server);
}

const char *
kme_server_where(const struct kme_server *server)
{
    return server->where;
}
