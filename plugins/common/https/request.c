/* request.c - what a client sends on a connection, as far as HTTP goes, and how it is answered.
 *
 * Runs in the loop of its owner.  The connection has shown the certificate of a client; still nothing that it sends is
 * believed but that it comes from that one.
 */
#include "conn.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include <stdlib.h>
#include <string.h>

#define REQUEST_MS 10000 /* from its first byte to its last, and as long for the answer */
#define GOODBYE_MS 2000
#define RETRY_S 5        /* what a client is told when there is no room */

static const char *
reason(int code)
{
    static const struct {
        int code;
        const char *text;
    } reasons[] = {
        {200, "OK"}, {204, "No Content"}, {400, "Bad Request"}, {403, "Forbidden"}, {404, "Not Found"},
        {405, "Method Not Allowed"}, {409, "Conflict"}, {411, "Length Required"}, {413, "Content Too Large"},
        {415, "Unsupported Media Type"}, {417, "Expectation Failed"}, {431, "Request Header Fields Too Large"},
        {503, "Service Unavailable"}, {505, "HTTP Version Not Supported"},
    };

    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].code == code)
            return reasons[i].text;
    return "Refused";
}

static void
put_head(struct rkp_conn *c, int code, size_t body_len)
{
    const struct rkp_https_conf *conf = &c->server->conf;
    struct evbuffer *out = bufferevent_get_output(c->bev);

    evbuffer_add_printf(out, "HTTP/1.1 %d %s\r\n%s", code, reason(code), conf->members);
    if (code == 503)
        evbuffer_add_printf(out, "Retry-After: %d\r\n", RETRY_S);
    if (code != 204)
        evbuffer_add_printf(out, "Content-Type: %s\r\nContent-Length: %zu\r\n", conf->head.type, body_len);
    evbuffer_add_printf(out, "%s\r\n", c->closing ? "Connection: close\r\n" : "");
}

void
rkp_conn_answer(struct rkp_conn *c, int code, struct evbuffer *body)
{
    c->asked = false;
    c->held = NULL;
    c->writing = true;
    put_head(c, code, body ? evbuffer_get_length(body) : 0);
    if (body)
        (void)evbuffer_add_buffer(bufferevent_get_output(c->bev), body);
    rkp_conn_deadline(c, c->closing ? GOODBYE_MS : REQUEST_MS);
}

void
rkp_conn_refuse(struct rkp_conn *c, int code, const char *why)
{
    const struct rkp_https_conf *conf = &c->server->conf;
    struct evbuffer *body = conf->tells ? evbuffer_new() : NULL;

    conf->refused(conf->arg, conf->name(conf->arg, c->client), why);
    c->closing = true;
    (void)bufferevent_disable(c->bev, EV_READ);
    if (body)
        evbuffer_add_printf(body, "{\"error\":\"%s\"}", why);
    rkp_conn_answer(c, code, body);
    if (body)
        evbuffer_free(body);
}

/* ---- what the owner sees of a connection ---- */

void *
rkp_conn_client(const struct rkp_conn *c)
{
    return c->client;
}

void
rkp_conn_hold(struct rkp_conn *c, void *what)
{
    c->held = what;
}

void *
rkp_conn_held(const struct rkp_conn *c)
{
    return c->held;
}

void
rkp_conn_wait(struct rkp_conn *c, int ms)
{
    rkp_conn_deadline(c, ms);
}

/* ---- requests ---- */

void
rkp_conn_release(struct rkp_conn *c)
{
    c->server->bodies -= c->reserved;
    c->reserved = 0;
}

/* A head is read: is there room for its body?   ret: 200, or why not */
static int
reserve(struct rkp_conn *c, const struct rkp_head *head)
{
    struct rkp_https *s = c->server;

    if (head->body_len > s->conf.body_max)
        return 413;
    if (c->reserved)
        return 200;
    if (s->conf.bodies_max && s->bodies + head->body_len > s->conf.bodies_max)
        return 503;
    s->bodies += head->body_len;
    c->reserved = head->body_len;
    return 200;
}

static void
hand_over(struct rkp_conn *c, const struct rkp_head *head)
{
    const struct rkp_https_conf *conf = &c->server->conf;
    struct evbuffer *in = bufferevent_get_input(c->bev);
    char *body = malloc(head->body_len + 1);

    if (!body) {
        rkp_conn_refuse(c, 503, "out of memory");
        return;
    }
    (void)evbuffer_drain(in, head->len);
    (void)evbuffer_remove(in, body, head->body_len);
    body[head->body_len] = '\0';
    rkp_conn_release(c);
    c->closing = head->close;
    c->asked = true;
    conf->request(conf->arg, c, head, body);
    explicit_bzero(body, head->body_len);
    free(body);
}

/* Take one request when it is whole. */
static void
take_request(struct rkp_conn *c)
{
    struct evbuffer *in = bufferevent_get_input(c->bev);
    size_t len = evbuffer_get_length(in), part = len < RKP_HEAD_MAX ? len : RKP_HEAD_MAX;
    const unsigned char *text = evbuffer_pullup(in, (ev_ssize_t)part);
    struct rkp_head head;
    int code = text ? rkp_head_read(&c->server->conf.head, (const char *)text, part, &head) : 503;

    if (code == 200)
        code = reserve(c, &head);
    if (code && code != 200)
        rkp_conn_refuse(c, code, reason(code));
    else if (code == 200 && len >= head.len + head.body_len)
        hand_over(c, &head);
}

/* Each call brings a TLS record at most, so what comes in is as good as bounded by what take_request wants.  A
 * watermark would leave a part of a record with OpenSSL, where no event on the socket tells of it. */
void
rkp_conn_read(struct rkp_conn *c)
{
    size_t len = evbuffer_get_length(bufferevent_get_input(c->bev));

    if (c->writing || c->asked) { /* one at a time: what is sent ahead waits in the kernel */
        if (len > RKP_HEAD_MAX)
            (void)bufferevent_disable(c->bev, EV_READ);
        return;
    }
    if (!c->open || c->closing || len == 0)
        return;
    if (!c->started)
        rkp_conn_deadline(c, REQUEST_MS);
    c->started = true;
    take_request(c);
}
