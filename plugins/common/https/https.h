/* https.h - a small HTTPS server for plugins: mutual TLS, one request at a time on a connection, answered at once or
 * later
 *
 * It runs in the event loop of its owner, in one thread, and knows POST with a Content-Length only.  Each connection is
 * bounded in time and memory, and so is their number: those that have not shown a certificate yet share a few places,
 * and each client that is known has a few of its own, which nobody else can take.
 */
#ifndef RKP_HTTPS_H
#define RKP_HTTPS_H

#include "head.h"
#include "trust.h"

#include <stdint.h>

struct evbuffer;
struct event_base;
struct rkp_https; /* a listener and its connections */
struct rkp_conn;  /* one of them */

/* What the owner wants; the texts are borrowed for as long as the server. */
struct rkp_https_conf {
    const char *listen;         /* address and port, as 0.0.0.0:8470 */
    struct rkp_head_rule head;  /* what requests there are */
    const char *members;        /* of the head of each answer, each line with its CRLF; "" none */
    const char *not_named;      /* what is said of a certificate that whose does not know */
    bool tells;                 /* an answer that refuses has a JSON body, {"error":"..."} */
    size_t body_max;            /* longest body of a request [bytes] */
    size_t bodies_max;          /* of all requests that come in at once [bytes]; 0: no bound */
    unsigned unknown_max;       /* connections before their handshake is done */
    unsigned of_each_max;       /* of each client: the oldest goes when there are more */
    int idle_ms;                /* a connection without a request ends after that */
    int64_t life_ms;            /* an older one ends with its next answer: certificates are looked at again */
    void *arg;                  /* of what follows; all are called in the loop */
    /* whose - in a handshake, whose chain is good: which client shows this certificate?   ret: NULL: none, refused
     * name - of that client, for people */
    void *(*whose)(void *arg, X509 *cert);
    const char *(*name)(void *arg, const void *client);
    /* request - a whole request of a client: body[h->body_len], NUL-ended, wiped after the return.  It is answered with
     * rkp_conn_answer or rkp_conn_refuse, then or later
     * gone - this connection ends before its request was answered; may be NULL */
    void (*request)(void *arg, struct rkp_conn *c, const struct rkp_head *h, char *body);
    void (*gone)(void *arg, struct rkp_conn *c);
    /* refused - a request or connection was; listening - it listens, or (error not "") does not
     * full - accept fails, as a rule for want of descriptors */
    void (*refused)(void *arg, const char *who, const char *why);
    void (*listening)(void *arg, const char *error);
    void (*full)(void *arg, const char *error);
};

/* rkp_https_new - a server that does not listen yet.   own: *out the caller's, until rkp_https_free; it holds trust
 * ret:  RK_OK, RK_E_NOMEM
 * rkp_https_free - end it with all its connections; gone is called for those that wait */
int rkp_https_new(const struct rkp_https_conf *conf, struct event_base *base, struct rkp_trust *trust,
                  struct rkp_https **out);
void rkp_https_free(struct rkp_https **s);
/* rkp_https_open - listen, when it does not yet; to be called again and again, as a port may be taken for a while
 * rkp_https_is_open - does it */
void rkp_https_open(struct rkp_https *s);
bool rkp_https_is_open(const struct rkp_https *s);
/* rkp_https_renew - new certificates: connections made with older ones end when they are idle
 * rkp_https_drop - this client is not there any more: its connections end */
void rkp_https_renew(struct rkp_https *s, struct rkp_trust *trust);
void rkp_https_drop(struct rkp_https *s, const void *client);
/* rkp_https_conns - how many there are */
size_t rkp_https_conns(const struct rkp_https *s);

/* rkp_conn_client - whose it is, never NULL in a request.   rkp_conn_closes - it ends with its answer (the request
 * says so)
 * rkp_conn_hold - keep what the owner knows of this request, NULL at its begin.   rkp_conn_held */
void *rkp_conn_client(const struct rkp_conn *c);
void rkp_conn_hold(struct rkp_conn *c, void *what);
void *rkp_conn_held(const struct rkp_conn *c);
/* rkp_conn_wait - its request is answered later: the connection ends when it is not in that time */
void rkp_conn_wait(struct rkp_conn *c, int ms);
/* rkp_conn_answer - answer its request;  body: of the media type of requests, NULL: none, is emptied
 * rkp_conn_refuse - the same with a code and a reason (static text, without quotes); the connection ends with it, for
 * where the next request would begin may not be known */
void rkp_conn_answer(struct rkp_conn *c, int code, struct evbuffer *body);
void rkp_conn_refuse(struct rkp_conn *c, int code, const char *why);

/* rkp_https_base - an event base as such a server wants it: for one thread, with exact timers, and silent
 * ret:  NULL: no memory, or no descriptor */
struct event_base *rkp_https_base(void);
/* rkp_https_listen_ok - is it an address with a port? */
bool rkp_https_listen_ok(const char *listen);

#endif
