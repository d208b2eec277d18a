/* request.c - what a peer sends on a connection, and what it is answered.
 *
 * Runs in the loop.  The connection has shown the certificate of a peer; still nothing that it sends is believed but
 * that it comes from that peer.
 */
#include "peer.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include <stdlib.h>
#include <string.h>

#define REQUEST_MS 10000 /* from its first byte to its last, and as long for the answer */
#define GOODBYE_MS 2000

static const char *
reason(int code)
{
    static const struct {
        int code;
        const char *text;
    } reasons[] = {
        {200, "OK"}, {204, "No Content"}, {400, "Bad Request"}, {404, "Not Found"}, {405, "Method Not Allowed"},
        {411, "Length Required"}, {413, "Content Too Large"}, {415, "Unsupported Media Type"},
        {417, "Expectation Failed"}, {431, "Request Header Fields Too Large"}, {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };

    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].code == code)
            return reasons[i].text;
    return "Refused";
}

static void
answer(struct conn *c, int code, struct evbuffer *body)
{
    struct evbuffer *out = bufferevent_get_output(c->bev);

    c->writing = true;
    evbuffer_add_printf(out, "HTTP/1.1 %d %s\r\nRekey-Session: %s\r\n", code, reason(code), c->hub->session);
    if (code != 204)
        evbuffer_add_printf(out, "Content-Type: " HEAD_TYPE "\r\nContent-Length: %zu\r\n",
                            body ? evbuffer_get_length(body) : 0);
    evbuffer_add_printf(out, "%s\r\n", c->closing ? "Connection: close\r\n" : "");
    if (body)
        (void)evbuffer_add_buffer(out, body);
    conn_wait(c, c->closing ? GOODBYE_MS : REQUEST_MS);
}

/* Refuse what came, and with it the connection: where the next request would begin cannot be known. */
static void
refuse(struct conn *c, int code, const char *why)
{
    hub_refused(c->hub, c->remote->sae, why);
    c->closing = true;
    (void)bufferevent_disable(c->bev, EV_READ);
    answer(c, code, NULL);
}

/* ---- records ---- */

/* Is it a link with this peer?  Without attach the host decides alone. */
static bool
is_ours(struct hub *h, const struct remote *r, const char *name)
{
    const struct link *l = link_find(h, name);

    return !h->attaching || (l && l->attached && l->remote == r);
}

static void
take_lines(struct conn *c, const struct body_line *lines, size_t n)
{
    struct hub *h = c->hub;
    struct evbuffer *unknown = evbuffer_new();

    if (!unknown || inbox_room(h) < n) { /* rekeyd fetches them soon */
        answer(c, 503, NULL);
        if (unknown)
            evbuffer_free(unknown);
        return;
    }
    pthread_mutex_lock(&h->lock);
    for (size_t i = 0; i < n; i++) {
        struct rk_post post = {.err = RK_OK};

        if (is_ours(h, c->remote, lines[i].link)) {
            strcpy(post.link, lines[i].link);
            strcpy(post.peer_sae, c->remote->sae);
            strcpy(post.record, lines[i].record);
            inbox_put(h, &post);
        } else {
            evbuffer_add_printf(unknown, "%s\tunknown\n", lines[i].link);
        }
    }
    pthread_mutex_unlock(&h->lock);
    answer(c, evbuffer_get_length(unknown) ? 200 : 204, unknown);
    evbuffer_free(unknown);
}

/* The peer's process may be another one than before: then it has forgotten what it was told. */
static void
note_session(struct conn *c, const char *session)
{
    struct hub *h = c->hub;

    if (session[0]) {
        pthread_mutex_lock(&h->lock);
        remote_session(h, c->remote, session);
        pthread_mutex_unlock(&h->lock);
        client_go(c->remote);
    }
    client_heard(c->remote);
}

static void
take_body(struct conn *c, const struct head *head, char *body)
{
    struct body_line lines[BODY_LINES_MAX];
    const char *why;
    size_t n;

    if (body_read(body, head->body_len, lines, &n, &why) != RK_OK) {
        refuse(c, 400, why);
        return;
    }
    c->closing = head->close;
    take_lines(c, lines, n);
    note_session(c, head->session);
}

/* ---- requests ---- */

/* Take one request when it is whole.   ret: false: there is nothing to do before more comes */
static bool
take_request(struct conn *c)
{
    struct evbuffer *in = bufferevent_get_input(c->bev);
    size_t len = evbuffer_get_length(in), part = len < HEAD_MAX ? len : HEAD_MAX;
    const unsigned char *text = evbuffer_pullup(in, (ev_ssize_t)part);
    struct head head;
    int code = text ? head_read((const char *)text, part, &head) : 503;
    char *body;

    if (code == 200 && head.body_len > BODY_MAX)
        code = 413;
    if (code && code != 200) {
        refuse(c, code, reason(code));
        return false;
    }
    if (code == 0 || len < head.len + head.body_len)
        return false;
    body = malloc(head.body_len + 1);
    if (!body) {
        refuse(c, 503, "out of memory");
        return false;
    }
    (void)evbuffer_drain(in, head.len);
    (void)evbuffer_remove(in, body, head.body_len);
    take_body(c, &head, body);
    free(body);
    return true;
}

void
conn_read(struct conn *c)
{
    if (!c->open || c->writing || c->closing || evbuffer_get_length(bufferevent_get_input(c->bev)) == 0)
        return;
    if (!c->started)
        conn_wait(c, REQUEST_MS);
    c->started = true;
    (void)take_request(c);
}
