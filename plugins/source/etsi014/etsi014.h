/* etsi014.h - what the parts of the etsi014 plugin share
 *
 * etsi014.c  options, life of an instance, the three operations
 * call.c     from an operation to HTTP requests and back: get_new, get_by_id, status
 * answer.c   what an answer that is not 200 means
 * http.c     connections: libcurl, budget, cancel, one request sent once
 * tls.c      certificates: checked at the start and in each handshake
 * container.c  reads key containers
 */
#ifndef ETSI014_H
#define ETSI014_H

#include <rekey/source.h>

#include <curl/curl.h>
#include <pthread.h>
#include <stdbool.h>

#define BODY_MAX 65536       /* longest body that is read [bytes] */
#define HEADERS_MAX 16384    /* longest header of an answer [bytes] */
#define CONNECTIONS_MAX 64   /* as many as a host has workers */
#define URL_MAX 2048         /* longest request URL [bytes]: base, SAE ID and key ID, percent-encoded */
#define MESSAGE_MAX 120      /* how much of a server's own message is shown [bytes] */
#define IDLE_MAX_S 3L        /* a connection idle for longer is not used again: servers close after 5 s and more */
#define TLS_SAID_MAX 4096    /* what a server says before the first request: tickets, an alert [bytes] */
#define BATCH_MAX 64         /* most keys of one operation (rekey/source.h) */
#define PEER_MAX 64           /* longest SAE ID (RK_SAE_MAX) [bytes] */

enum method { METHOD_AUTO, METHOD_GET, METHOD_POST };

struct pem {
    char *path, *text; /* text is NUL-ended */
    size_t len;
};

struct etsi;

/* One connection to the KME, used by one worker at a time. */
struct slot {
    struct etsi *e;
    CURL *easy;
    CURLM *multi;
    char *body;              /* BODY_MAX bytes of locked memory */
    size_t body_len, header_len;
    bool too_long;           /* body or header did not fit */
    curl_socket_t fd;        /* the last that was opened; read by MSG_PEEK only */
    bool said_alert;         /* dead, and an alert was the last that it said */
    bool dead;               /* the server had ended the connection before anything was sent on it */
    int sent;                /* how often libcurl began to send the request: the second time is refused */
    int verify_err;          /* X509_V_ERR_... of the server's certificate, 0: none */
    bool wrong_kme;          /* the certificate does not name kme-id */
    int alert;               /* fatal TLS alert of the server, -1: none */
    char err_text[CURL_ERROR_SIZE];
};

struct etsi {
    const struct rk_host *host;
    char *base, *kme_id, *proxy;  /* base: URL without '/' at its end */
    struct pem cert, ca;
    struct rk_secret *key;        /* PEM text */
    struct curl_slist *headers;
    enum method method;
    bool lenient;
    int connect_ms, sync_ms;
    struct slot slots[CONNECTIONS_MAX];
    int free_fd;                  /* semaphore of free slots */
    pthread_mutex_t lock;         /* guards free_slots, n_free */
    unsigned char free_slots[CONNECTIONS_MAX]; /* the last used is on top: it has the warmest connection */
    size_t n_free;
};

enum what { ENC_KEYS, DEC_KEYS, STATUS };

struct request {
    enum what what;
    const char *url;
    const char *post;   /* body of a POST; NULL: GET */
    const char *peer;   /* peer SAE ID */
};

/* http.c */

/* http_open - make n connections' places (no connection yet);  http_close - end them, wiped
 * ret:   RK_OK or a code with its text.   thread: init and fini */
int http_open(struct etsi *e, struct rk_call *call, size_t n);
void http_close(struct etsi *e);

/* http_take - get a free slot, waiting within the budget
 * ret:   RK_OK, RK_E_TIMEOUT, RK_E_CANCELED, RK_E_NOMEM with text */
int http_take(struct etsi *e, struct rk_call *call, struct slot **out);
/* http_give - wipe the slot's body and free it; *s may be NULL */
void http_give(struct etsi *e, struct slot **s);

/* http_ask - send one request once and read its answer into s->body
 * out:   *http  status code
 * ret:   RK_OK: an answer is there, whatever its code; RK_E_UNKNOWN: sent, no (whole) answer; else a code that says
 *        that the server did not act on it, with text.   blocks: within the budget */
int http_ask(struct slot *s, struct rk_call *call, const struct request *q, long *http);

/* tls.c */

/* tls_load - read and check certificate, key and CA of the options
 * ret:   RK_OK or a code with a text that names file and remedy */
int tls_load(struct etsi *e, struct rk_call *call, const struct rk_conf *conf);
void tls_unload(struct etsi *e);

/* tls_hook - CURLOPT_SSL_CTX_FUNCTION; arg is the slot */
CURLcode tls_hook(CURL *easy, void *ctx, void *arg);

/* tls_ends_with_alert - is the last of these TLS 1.3 records as long as an alert: all that can be told from outside */
bool tls_ends_with_alert(const unsigned char *records, size_t len);

/* tls_failed - what went wrong in the handshake, by what the hooks saw
 * ret:   RK_OK when they saw nothing, else a code with text */
int tls_failed(const struct slot *s, struct rk_call *call, CURLcode curl_err);

/* answer.c */

/* answer_refused - state what an answer with a code other than 200 means
 * ret:   a code with text, never RK_OK */
int answer_refused(const struct slot *s, struct rk_call *call, const struct request *q, long http);
/* answer_garbage - state that a 200 holds something else than it must;  why  static text */
int answer_garbage(const struct slot *s, struct rk_call *call, const struct request *q, const char *why);

const char *what_name(enum what what);
const char *result_name(int err);

/* call.c: struct rk_source_ops */
int etsi_get_new(void *inst, struct rk_call *call, const char *peer_sae, uint32_t bits, struct rk_key *keys, size_t n);
int etsi_get_by_id(void *inst, struct rk_call *call, const char *peer_sae, uint32_t bits, struct rk_key *keys,
                   size_t n);
int etsi_status(void *inst, struct rk_call *call, const char *peer_sae, struct rk_source_status *st);

#endif
