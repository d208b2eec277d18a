/* send.c - see send.h.
 *
 * A held request outlives its connection: libevent takes the connection away from it when the client goes, and leaves
 * the request to us.  So each step looks whether there is a connection still.
 */
#include "send.h"

#include <core/base/clock.h>
#include <core/base/log.h>
#include <rekey/err.h>

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define LOOK_MS 500                       /* how often a hanging request looks for its client */
#define HELD_MS_MAX (2 * KME_SLOW_MS_MAX) /* after that the connection is closed, whatever was asked for */
#define ENDLESS_BYTES (256 * 1024 * 1024) /* a client that reads so much has no limit: enough was seen */
#define ENDLESS_CHUNK 65536
#define HEADER_BYTES 1000
#define READ_AHEAD_MAX (1024 * 1024)

/* What becomes of a held request when its time has come. */
enum plan { SEND, CLOSE, RESET, HANG, DRIP, FLOOD };

struct kme_held {
    struct kme_held *next, **from; /* what points to this one */
    struct evhttp_request *req;
    struct event *timer;
    struct kme_answer ans;
    struct kme_fault fault;
    enum plan plan;
    bool started; /* headers are sent */
    size_t sent;  /* bytes of the body */
    int64_t until_ns;
};

static void
wipe_sent(const void *data, size_t len, void *arg)
{
    (void)data;
    explicit_bzero(arg, len);
    free(arg);
}

static void
add_date(struct evkeyvalq *headers, int64_t off_s)
{
    time_t when = time(NULL) + (time_t)off_s;
    struct tm tm;
    char text[64];

    if (gmtime_r(&when, &tm) && strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm) > 0)
        evhttp_add_header(headers, "Date", text);
}

static void
add_many(struct evkeyvalq *headers, int64_t kib)
{
    char value[HEADER_BYTES + 1], name[32];

    memset(value, 'x', HEADER_BYTES);
    value[HEADER_BYTES] = '\0';
    for (int64_t i = 0; i * HEADER_BYTES < kib * 1024; i++) {
        snprintf(name, sizeof name, "X-Lab-%lld", (long long)i);
        evhttp_add_header(headers, name, value);
    }
}

static const char *
type_of(const struct kme_answer *ans)
{
    switch (ans->form) {
    case KME_JSON:
        return "application/json";
    case KME_HTML:
        return "text/html; charset=utf-8";
    case KME_TEXT:
        return "text/plain; charset=utf-8";
    default:
        return NULL;
    }
}

static void
add_headers(struct evhttp_request *req, const struct kme_answer *ans, const struct kme_fault *fault)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
    const char *type = ans->text ? type_of(ans) : NULL;
    char text[32];

    evhttp_add_header(headers, "Cache-Control", "no-store");
    if (type)
        evhttp_add_header(headers, "Content-Type", type);
    if (ans->allow)
        evhttp_add_header(headers, "Allow", ans->allow);
    if (ans->retry_s >= 0) {
        snprintf(text, sizeof text, "%lld", (long long)ans->retry_s);
        evhttp_add_header(headers, "Retry-After", text);
    }
    if (fault->on[KME_F_CLOCK])
        add_date(headers, fault->value[KME_F_CLOCK]);
    if (fault->on[KME_F_HEADERS])
        add_many(headers, fault->value[KME_F_HEADERS]);
}

/* Send and forget; the text of the answer goes to the connection's buffer without a copy and is wiped when sent. */
static void
send_now(struct evhttp_request *req, struct kme_answer *ans, const struct kme_fault *fault)
{
    struct evbuffer *body = evbuffer_new();

    add_headers(req, ans, fault);
    if (ans->text && body && evbuffer_add_reference(body, ans->text, ans->len, wipe_sent, ans->text) == 0)
        ans->text = NULL;
    kme_answer_free(ans);
    evhttp_send_reply(req, ans->code, NULL, body);
    if (body)
        evbuffer_free(body);
}

static void
held_free(struct kme_held *held)
{
    *held->from = held->next;
    if (held->next)
        held->next->from = held->from;
    if (held->timer)
        event_free(held->timer);
    kme_answer_free(&held->ans);
    free(held);
}

/* End the connection of a request: with a reset, or as a server that dies. */
static void
cut(struct evhttp_request *req, bool reset)
{
    struct evhttp_connection *conn = evhttp_request_get_connection(req);
    struct bufferevent *bev = evhttp_connection_get_bufferevent(conn);
    const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};

    /* SO_LINGER would not do: libevent shuts the connection down before it closes it */
    if (reset && connect(bufferevent_getfd(bev), &nowhere, sizeof nowhere) < 0)
        rk_log(RK_LOG_WARNING, "ev=fault res=failed the connection cannot be reset: %s", strerror(errno));
    evhttp_connection_free(conn); /* its request with it */
}

static void
send_piece(struct kme_held *held, const char *bytes, size_t n)
{
    struct evbuffer *piece = evbuffer_new();

    if (piece && evbuffer_add(piece, bytes, n) == 0)
        evhttp_send_reply_chunk(held->req, piece);
    if (piece)
        evbuffer_free(piece);
    held->sent += n;
}

/* One byte more; false when that was all. */
static bool
drip(struct kme_held *held)
{
    if (held->sent < held->ans.len)
        send_piece(held, held->ans.text + held->sent, 1);
    return held->sent < held->ans.len;
}

/* As many blanks as the client takes; false when it took too many. */
static bool
flood(struct kme_held *held)
{
    struct evhttp_connection *conn = evhttp_request_get_connection(held->req);
    struct evbuffer *out = bufferevent_get_output(evhttp_connection_get_bufferevent(conn));
    char blanks[ENDLESS_CHUNK];

    if (held->sent == 0 && held->ans.len > 0)
        send_piece(held, held->ans.text, held->ans.len);
    memset(blanks, ' ', sizeof blanks);
    while (evbuffer_get_length(out) < 4 * sizeof blanks && held->sent < ENDLESS_BYTES)
        send_piece(held, blanks, sizeof blanks);
    return held->sent < ENDLESS_BYTES;
}

static void
start_pieces(struct kme_held *held)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(held->req);
    char text[32];

    add_headers(held->req, &held->ans, &held->fault);
    if (held->plan == DRIP) { /* with a length it is not chunked: a byte of the body is a byte */
        snprintf(text, sizeof text, "%zu", held->ans.len);
        evhttp_add_header(headers, "Content-Length", text);
    }
    evhttp_send_reply_start(held->req, held->ans.code, NULL);
    held->started = true;
}

static void
again(struct kme_held *held, int64_t ms)
{
    const struct timeval after = {ms / 1000, (suseconds_t)(ms % 1000) * 1000};

    if (evtimer_add(held->timer, &after) < 0) {
        cut(held->req, false);
        held_free(held);
    }
}

/* One step of what lasts; false when it is over and the request is gone. */
static bool
step(struct kme_held *held)
{
    if (rk_now_ns() > held->until_ns) {
        cut(held->req, false);
        return false;
    }
    if (held->plan == HANG) {
        again(held, LOOK_MS);
        return true;
    }
    if (!held->started)
        start_pieces(held);
    if (held->plan == DRIP ? drip(held) : flood(held)) {
        again(held, held->plan == DRIP ? held->fault.value[KME_F_SLOW_LORIS] : 5);
        return true;
    }
    if (held->plan == DRIP)
        evhttp_send_reply_end(held->req);
    else
        cut(held->req, false);
    return false;
}

static void
on_held(evutil_socket_t fd, short what, void *arg)
{
    struct kme_held *held = arg;

    (void)fd;
    (void)what;
    if (!evhttp_request_get_connection(held->req))
        evhttp_request_free(held->req); /* the client has gone */
    else if (held->plan == SEND)
        send_now(held->req, &held->ans, &held->fault);
    else if (held->plan == CLOSE || held->plan == RESET)
        cut(held->req, held->plan == RESET);
    else if (step(held))
        return;
    held_free(held);
}

static enum plan
plan_of(const struct kme_answer *ans, const struct kme_fault *fault)
{
    if (fault->on[KME_F_HANG] || fault->on[KME_F_HANG_AFTER])
        return HANG;
    if (fault->on[KME_F_RESET] || fault->on[KME_F_RESET_AFTER])
        return RESET;
    if (fault->on[KME_F_DROP])
        return CLOSE;
    if (fault->on[KME_F_SLOW_LORIS] && ans->text)
        return DRIP;
    return fault->on[KME_F_ENDLESS] ? FLOOD : SEND;
}

/* How long until a request has its turn. */
static int64_t
delay_ms(struct kme_sender *sender, const struct kme_fault *fault)
{
    int64_t now_ns = rk_now_ns(), ms = fault->on[KME_F_SLOW] ? fault->value[KME_F_SLOW] : 0;

    if (!sender->one_at_a_time)
        return ms;
    if (sender->busy_until_ns < now_ns)
        sender->busy_until_ns = now_ns;
    sender->busy_until_ns += ms * RK_NS_PER_MS;
    return (sender->busy_until_ns - now_ns) / RK_NS_PER_MS;
}

/* Notice when the client goes: libevent does not read while a request is worked on.  What the client sends meanwhile
 * waits in the buffer, up to a limit; libevent takes its callbacks back when it sends the answer. */
static void
watch(struct evhttp_request *req)
{
    struct bufferevent *bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(req));
    bufferevent_data_cb on_write;
    bufferevent_event_cb on_event;
    void *arg;

    bufferevent_getcb(bev, NULL, &on_write, &on_event, &arg);
    bufferevent_setcb(bev, NULL, on_write, on_event, arg);
    bufferevent_setwatermark(bev, EV_READ, 0, READ_AHEAD_MAX);
    bufferevent_enable(bev, EV_READ);
}

/* Answer later; takes ans->text. */
static int
hold(struct kme_sender *sender, struct evhttp_request *req, struct kme_answer *ans, const struct kme_fault *fault,
     int64_t ms)
{
    const struct timeval after = {ms / 1000, (suseconds_t)(ms % 1000) * 1000};
    struct kme_held *held = calloc(1, sizeof *held);

    if (!held)
        return RK_E_NOMEM;
    held->next = sender->held;
    if (held->next)
        held->next->from = &held->next;
    held->from = &sender->held;
    sender->held = held;
    held->req = req;
    held->fault = *fault;
    held->plan = plan_of(ans, fault);
    held->until_ns = rk_now_ns() + HELD_MS_MAX * RK_NS_PER_MS;
    held->timer = evtimer_new(sender->base, on_held, held);
    if (!held->timer || evtimer_add(held->timer, &after) < 0) {
        held_free(held);
        return RK_E_NOMEM;
    }
    held->ans = *ans;
    ans->text = NULL;
    watch(req);
    return RK_OK;
}

void
kme_send(struct kme_sender *sender, struct evhttp_request *req, struct kme_answer *ans, const struct kme_fault *fault)
{
    int64_t ms = delay_ms(sender, fault);

    /* what ends a connection is held too: it must not be freed inside its own callback */
    if ((ms == 0 && plan_of(ans, fault) == SEND) || hold(sender, req, ans, fault, ms) != RK_OK)
        send_now(req, ans, fault);
}

void
kme_send_stop(struct kme_sender *sender)
{
    struct kme_held *held;

    while ((held = sender->held) != NULL) {
        if (!evhttp_request_get_connection(held->req))
            evhttp_request_free(held->req);
        held_free(held);
    }
}
