/* server.c - see server.h.
 *
 * Keeps connections open between requests.  Must never log a body: it holds keys.
 */
#include "server.h"

#include "send.h"
#include "stats.h"
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
#include <time.h>

#define IDLE_S 120             /* a connection without a request is closed then */
#define HEADERS_MAX 8192
#define READ_MAX (4 * KME_BODY_MAX) /* evhttp drops what is longer; we answer 413 to what is longer than KME_BODY_MAX */

struct kme_server {
    struct kme kme;
    struct kme_sender sender;
    struct evhttp *http;
    struct kme_tls tls;
    char where[96];
};

/* The faults of this moment.  -1: the file is wrong, the first word of *why says how. */
static int
faults_now(struct kme_server *server, unsigned call, struct kme_fault *fault, char *why)
{
    const struct kme_conf *conf = server->kme.conf;
    struct kme_faults faults;

    if (kme_faults_now(&conf->faults, conf->fault_file, &faults, why) != RK_OK) {
        *fault = (struct kme_fault){0};
        return -1;
    }
    *fault = kme_faults_roll(&faults, call, &server->kme.dice);
    return 0;
}

/* The certificate that a new connection sees. */
static SSL_CTX *
context_now(struct kme_server *server)
{
    struct kme_fault fault;
    char why[RK_WHY_MAX];

    if (faults_now(server, KME_C_CONNECT, &fault, why) < 0)
        return server->tls.usual; /* each request says it */
    if (fault.on[KME_F_EXPIRED] && server->tls.expired)
        return server->tls.expired;
    if (fault.on[KME_F_FUTURE] && server->tls.future)
        return server->tls.future;
    if (fault.any)
        rk_log(RK_LOG_WARNING, "ev=fault kme=%s res=failed it has no cert-expired or cert-future",
               server->kme.conf->id);
    return server->tls.usual;
}

static struct bufferevent *
new_connection(struct event_base *base, void *arg)
{
    struct kme_server *server = arg;
    SSL *ssl = SSL_new(context_now(server));
    struct bufferevent *bev;

    if (!ssl)
        return NULL;
    kme_stats_connection();
    bev = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    if (!bev)
        SSL_free(ssl);
    else
        bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    return bev;
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

/* A refusal that is the server's own. */
static void
server_error(struct kme_server *server, struct kme_answer *ans, int code, const char *message)
{
    const struct kme_personality *as = server->kme.conf->personality;

    *ans = (struct kme_answer){.retry_s = -1};
    kme_answer_error(ans, as, (struct kme_say){code, as->errors, message}, (struct kme_detail){0});
}

/* The answer; faults that concern how it is sent are the sender's. */
static void
answer(struct kme_server *server, struct evhttp_request *req, struct kme_request *request, struct kme_answer *ans)
{
    struct evbuffer *in = evhttp_request_get_input_buffer(req);
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
    char why[RK_WHY_MAX];
    struct timespec wall;

    clock_gettime(CLOCK_REALTIME, &wall);
    request->method = method_of(req);
    request->path = uri && evhttp_uri_get_path(uri) ? evhttp_uri_get_path(uri) : "";
    request->query = uri ? evhttp_uri_get_query(uri) : NULL;
    request->body_len = evbuffer_get_length(in);
    request->body = request->body_len ? (const char *)evbuffer_pullup(in, -1) : "";
    request->now_ns = rk_now_ns();
    request->wall_ms = (int64_t)wall.tv_sec * 1000 + wall.tv_nsec / RK_NS_PER_MS;
    if (faults_now(server, kme_call_of(request->path), &request->fault, why) < 0)
        server_error(server, ans, 500, why);
    else if (request->body_len > KME_BODY_MAX || !request->body)
        server_error(server, ans, 413, "the body is too long");
    else if (request->fault.on[KME_F_RESET] || request->fault.on[KME_F_HANG])
        *ans = (struct kme_answer){.note = "why=\"fault\""};
    else
        kme_answer(&server->kme, request, ans);
}

static const char *
method_name(enum kme_method method)
{
    return method == KME_GET ? "GET" : method == KME_POST ? "POST" : "other";
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
    kme_stats_request(request.path, ans.code);
    rk_log(RK_LOG_INFO, "ev=request kme=%s sae=%s method=%s path=%s code=%d%s%s%s%s", server->kme.conf->id, sae,
           method_name(request.method), request.path, ans.code, ans.note[0] ? " " : "", ans.note,
           request.fault.any ? " fault=" : "", request.fault.any ? request.fault.word : "");
    kme_send(&server->sender, req, &ans, &request.fault);
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
kme_server_new(struct event_base *base, const struct kme_conf *conf, struct kme_ledger *ledger, char *why)
{
    struct kme_server *server = calloc(1, sizeof *server);

    snprintf(why, KME_CONF_TEXT_MAX, "KME %s: out of memory", conf->id);
    if (!server || kme_start(&server->kme, conf, ledger, rk_now_ns()) != RK_OK)
        goto fail;
    server->sender = (struct kme_sender){.base = base, .one_at_a_time = conf->personality->one_at_a_time};
    server->http = evhttp_new(base);
    if (!server->http || kme_tls_new(conf, &server->tls, why) < 0)
        goto fail;
    evhttp_set_bevcb(server->http, new_connection, server);
    evhttp_set_gencb(server->http, on_request, server);
    evhttp_set_default_content_type(server->http, NULL); /* a type is ours to say, or not to say */
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
    if (!server)
        return;
    kme_send_stop(&server->sender);
    if (server->http)
        evhttp_free(server->http);
    kme_tls_free(&server->tls);
    kme_stop(&server->kme);
    free(server);
}

const char *
kme_server_where(const struct kme_server *server)
{
    return server->where;
}
