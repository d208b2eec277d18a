/* peer.h - what the parts of the channel "peer" share
 *
 * peer.c     options, life of an instance, publish, attach, watch
 * links.c    the newest record of each link, and what is due to whom
 * loop.c     the event loop, which runs in watch alone: wake, tick, inbox
 * request.c  what comes on a connection to the listener (plugins/common/https)
 * client.c   requests to the peers: libcurl in the loop
 * trust.c    whose certificate is believed
 * test.c     rekeyctl peer test
 * body.c     reads what a peer sends, in place
 */
#ifndef PEER_H
#define PEER_H

#include "body.h"

#include "../../common/https/https.h"

#include <rekey/channel.h>

#include <curl/curl.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define REMOTES_MAX 256       /* peers of one instance */
#define INBOX_MAX 1024        /* records that came and were not fetched yet */
#define WATCH_MAX 64          /* of one watch (rekey/channel.h) */
#define WORDS_MAX 200         /* of a text on a refusal [bytes] */
#define HASH_SIZE 4096        /* buckets; a power of 2 */
#define HEAD_PATH "/rekey/v1/records"
#define HEAD_TYPE "application/x-rekey-records"
#define SESSION_LEN RKP_SESSION_LEN
#define LIFE_MAX_S 3600L      /* a connection older than that is made anew: certificates are looked at again */

struct event;
struct event_base;
struct rkp_probe;

/* ---- links ---- */

struct link {
    struct link *next; /* in its bucket */
    struct link *next_due;
    struct remote *remote;
    char *record;             /* the newest, owned; NULL: none */
    uint16_t room;            /* of record [bytes] */
    bool attached, due, sent; /* sent: in a request that is not answered yet */
    bool gone;                /* freed with the answer */
    bool unknown;             /* the peer did not know the link: it is sent again soon */
    char name[];
};

/* ---- peers ---- */

struct remote {
    struct hub *hub;
    char sae[RK_SAE_MAX + 1];  /* "": not known yet, with the option url; under lock */
    char *url;                 /* as configured, without '/' at its end */
    char *records_url;
    struct link *due, **due_end; /* under lock */
    char session[SESSION_LEN + 1]; /* of the peer's process; "": never heard of; under lock */

    /* what follows is the loop's */
    CURLM *multi;
    CURL *easy;
    struct curl_slist *headers;
    struct rkp_trust *trust; /* of its connection */
    struct event *curl_timer, *next; /* next: when something is to be done again */
    struct link *batch[BODY_LINES_MAX];
    size_t n_batch;
    char *body; /* the request's; owned */
    size_t body_len;
    char answer[BODY_LINES_MAX * (RK_LINK_MAX + 10)];
    size_t answer_len;
    char answer_session[SESSION_LEN + 1];
    struct rkp_handshake shake; /* the last */
    char err_text[CURL_ERROR_SIZE];
    struct rkp_probe *probe; /* of a test: hears of the handshake; else NULL */
    bool busy, waiting;     /* a request is under way; next says when there may be another */
    bool unknown;           /* there are links that the peer did not know, and how often they were said again */
    unsigned unknown_tries;
    bool stale;             /* busy, and new certificates are there */
    unsigned failures;      /* in a row */
    int64_t tried_ms;       /* the last request was begun */
    int64_t away_since_ms, said_ms; /* 0: it is there */
    char said[40];          /* why it is away, as it begins */
    unsigned handshakes;
};

struct hub {
    const struct rk_host *host;
    pthread_mutex_t lock;
    struct rkp_certs certs;
    char *sae;    /* this site's; NULL: not known */
    char *listen; /* as configured */
    char session[SESSION_LEN + 1];
    int connect_ms, request_ms, heartbeat_ms, backoff_ms;
    struct remote *remotes;
    size_t n_remotes;
    bool attaching; /* attach was called: only attached links are taken; under lock */
    struct link *links[HASH_SIZE]; /* under lock */
    int wake_fd;
    bool renewed; /* certificates; under lock */
    bool listening; /* under lock */
    char listen_error[200]; /* why it does not; under lock */

    /* what follows is the loop's */
    struct rk_call *call; /* the watch that runs */
    struct event_base *base;
    struct event *wake, *tick;
    struct rkp_trust *trust;
    struct rkp_https *server;
    char members[40 + SESSION_LEN]; /* of the head of each answer */
    struct rk_post *inbox; /* ring */
    size_t inbox_at, inbox_n;
    int64_t words_ms; /* the last words on a refusal */
    unsigned words_left_out;
    bool ends_new;
};

/* hub_now_ms - CLOCK_MONOTONIC [ms] */
int64_t hub_now_ms(void);

/* ---- links.c ---- all with hub.lock held */

/* link_find - NULL: not there;  link_make - the same, made when it is not there; NULL: no memory
 * link_drop - forget it, at once or with the answer that it waits for;  links_free - all */
struct link *link_find(struct hub *h, const char *name);
struct link *link_make(struct hub *h, const char *name);
void link_drop(struct hub *h, struct link *l);
void links_free(struct hub *h);
/* link_record - its newest record is this one, which is copied.   ret: false: no memory, and the one of before stays
 * link_to - whose it is; what was due to another peer is not any more
 * link_due - it is to be sent, when it has a record */
bool link_record(struct link *l, const char *record);
void link_to(struct link *l, struct remote *r);
void link_due(struct link *l);
/* links_due_all - everything that a peer has to know is due, as it has forgotten it */
void links_due_all(struct hub *h, struct remote *r);
/* links_take - move what is due into r->batch and r->body, as many as fit
 * links_answered - the batch was taken, or (ok false) is due again
 * links_unknown_due - what the peer did not know is due again */
void links_take(struct remote *r);
void links_unknown_due(struct hub *h, struct remote *r);
void links_answered(struct hub *h, struct remote *r, bool ok);

/* remote_by_sae - NULL: none.   remote_session - note the number that a peer's process has; a new one has forgotten all
 */
struct remote *remote_by_sae(struct hub *h, const char *sae);
void remote_session(struct hub *h, struct remote *r, const char *session);

/* ---- loop.c ---- */

/* loop_open - everything but the listener;  loop_close - end it
 * ret: RK_OK or a code with text.   thread: init, fini */
int loop_open(struct hub *h, struct rk_call *call);
void loop_close(struct hub *h);
/* loop_run - until something is in the inbox, the budget ends, or cancel;  most_ms  no longer than that, -1: the budget
 * ret: RK_OK or a code with text */
int loop_run(struct hub *h, struct rk_call *call, int most_ms);
/* loop_wake - from any thread: there is something to send */
void loop_wake(struct hub *h);
/* inbox_room - how many records fit;  inbox_put - add one */
size_t inbox_room(const struct hub *h);
void inbox_put(struct hub *h, const struct rk_post *post);
/* hub_refused - say in words, not often, that something was refused: the host counts it */
void hub_refused(struct hub *h, const char *who, const char *why);

/* ---- trust.c ---- */

/* whose_certificate - which peer, of the hub, connects to us;  NULL: none
 * trust_hook - CURLOPT_SSL_CTX_FUNCTION; arg is the remote
 * trust_why - what was wrong in a handshake, as far as it was seen; NULL: nothing */
extern const char not_of_the_peer[];
void *whose_certificate(void *hub, X509 *cert);
CURLcode trust_hook(CURL *easy, void *ctx, void *arg);
const char *trust_why(const struct rkp_handshake *s);

/* ---- request.c ---- */

/* take_request - of the server: a whole request of a peer */
void take_request(void *hub, struct rkp_conn *c, const struct rkp_head *head, char *body);

/* ---- client.c ---- */

/* client_open, client_close - one peer's;  client_go - send what is due, when it can be sent now
 * client_heard - the peer has spoken: when it is away here, it is tried again soon
 * client_renew - the next request goes over a new connection
 * ret: RK_OK or a code with text */
int client_open(struct remote *r, struct rk_call *call);
void client_close(struct remote *r);
void client_go(struct remote *r);
void client_heard(struct remote *r);
void client_renew(struct remote *r);
/* client_easy - make r->easy, ready for requests;  client_easy_free - and all that belongs to it
 * ret: RK_OK or a code with text.   thread: of who owns r */
int client_easy(struct remote *r, struct rk_call *call);
void client_easy_free(struct remote *r);

/* ---- test.c ---- rk_channel_ops.test */
int peer_test(void *inst, struct rk_call *call);

#endif
