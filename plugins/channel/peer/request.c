/* request.c - what a peer sends to the listener, and what it is answered.
 *
 * Runs in the loop.  The connection has shown the certificate of a peer; still nothing that it sends is believed but
 * that it comes from that peer.
 */
#include "peer.h"

#include <event2/buffer.h>

#include <string.h>

/* Is it a link with this peer?  Without attach the host decides alone. */
static bool
is_ours(struct hub *h, const struct remote *r, const char *name)
{
    const struct link *l = link_find(h, name);

    return !h->attaching || (l && l->attached && l->remote == r);
}

static void
take_lines(struct hub *h, struct rkp_conn *c, const struct body_line *lines, size_t n)
{
    const struct remote *r = rkp_conn_client(c);
    struct evbuffer *unknown = evbuffer_new();

    if (!unknown || inbox_room(h) < n) { /* rekeyd fetches them soon */
        rkp_conn_answer(c, 503, NULL);
        if (unknown)
            evbuffer_free(unknown);
        return;
    }
    pthread_mutex_lock(&h->lock);
    for (size_t i = 0; i < n; i++) {
        struct rk_post post = {.err = RK_OK};

        if (is_ours(h, r, lines[i].link)) {
            strcpy(post.link, lines[i].link);
            strcpy(post.peer_sae, r->sae);
            strcpy(post.record, lines[i].record);
            inbox_put(h, &post);
        } else {
            evbuffer_add_printf(unknown, "%s\tunknown\n", lines[i].link);
        }
    }
    pthread_mutex_unlock(&h->lock);
    rkp_conn_answer(c, evbuffer_get_length(unknown) ? 200 : 204, unknown);
    evbuffer_free(unknown);
}

/* The peer's process may be another one than before: then it has forgotten what it was told. */
static void
note_session(struct remote *r, const char *session)
{
    struct hub *h = r->hub;

    if (session[0]) {
        pthread_mutex_lock(&h->lock);
        remote_session(h, r, session);
        pthread_mutex_unlock(&h->lock);
        client_go(r);
    }
    client_heard(r);
}

void
take_request(void *hub, struct rkp_conn *c, const struct rkp_head *head, char *body)
{
    struct body_line lines[BODY_LINES_MAX];
    struct remote *r = rkp_conn_client(c);
    const char *why;
    size_t n;

    if (body_read(body, head->body_len, lines, &n, &why) != RK_OK) {
        rkp_conn_refuse(c, 400, why);
        return;
    }
    take_lines(hub, c, lines, n);
    note_session(r, head->session);
}
