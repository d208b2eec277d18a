/* etsi014.h - what the parts of the etsi014 plugin share
 *
 * etsi014.c  options, life of an instance, the three operations
 * get_new.c, get_by_id.c, call.c  the operations, as requests
 * exchange.c  one request and its answer, logged
 * answer.c   what an answer that is not 200 means
 * wishes.c   what the options add to key requests
 * learnt.c   what is known of the KME from its answers
 * urls.c     the URLs of the KME: which one is asked, failover and return
 * http.c     connections: libcurl, budget, cancel, one request sent once
 * tls.c      the handshake: what the KME's certificate must be
 * test.c, walk_*.c, probe.c  the test of a source, step by step (walk.h, probe.h)
 * legacy.c   options by the names of the old script
 * jtext.c, container.c, status.c, error.c  read what the KME answers, in place
 */
#ifndef ETSI014_H
#define ETSI014_H

#include "learnt.h"
#include "wishes.h"

#include "../../common/tls/certs.h"

#include <rekey/source.h>

#include <curl/curl.h>
#include <stdatomic.h>
#include <stdbool.h>

#define BODY_MAX 65536       /* longest body that is read [bytes] */
#define HEADERS_MAX 16384    /* longest header of an answer [bytes] */
#define CONNECTIONS_MAX 64   /* as many as a host has workers */
#define URL_MAX 2048         /* longest request URL [bytes]: base, SAE ID and key ID, percent-encoded */
#define MESSAGE_MAX 120      /* how much of a server's own message is shown [bytes] */
#define SAID_MAX 512         /* text of a refusal, to be stated again [bytes] */
#define LIFE_MAX_S 3600L     /* a connection older than that is not used again: a new one shows new certificates */
#define URLS_MAX 8           /* URLs of one KME */
#define LEGACY_URL_MAX 300   /* kme-host and kme-port as a URL [bytes] */
#define TLS_SAID_MAX 4096    /* what a server says before the first request: tickets, an alert [bytes] */
#define BATCH_MAX 64         /* most keys of one operation (rekey/source.h) */
#define PEER_MAX 64           /* longest SAE ID (RK_SAE_MAX) [bytes] */

/* What an answer comes down to; its name is class= in the log, and stands in the text of a failure. */
enum outcome {
    OUT_OK,
    OUT_KEY_GONE,      /* no key of this ID: consumed, expired, never there */
    OUT_NOT_YET,       /* the same, and it is asked for again */
    OUT_NOT_INVOLVED,  /* the KME says that this SAE has nothing to do with the key */
    OUT_OUT_OF_KEYS,
    OUT_BUSY,
    OUT_MISCONFIGURED, /* a person must change something, here or at the KME */
    OUT_BROKEN_SERVER, /* what no KME must answer */
    OUT_UNREACHABLE,
    OUT_LOST,          /* sent, and no whole answer came */
    OUT_GIVEN_UP,      /* budget or cancel */
    OUT_LOCAL          /* memory, descriptors */
};

/* What a refusal is about, as far as its message tells. */
enum refusal { REFUSED_PERHAPS_NUMBER, REFUSED_REQUEST, REFUSED_OPTIONAL };

enum method { METHOD_AUTO, METHOD_GET, METHOD_POST };

/* One URL of the KME; all but base under etsi.lock. */
struct url {
    char *base;         /* without '/' at its end */
    unsigned failures;  /* in a row; 0: it is well */
    int64_t retry_ms;   /* when it may be tried again */
    bool trying;        /* a call does that now */
    int64_t seen_ms;    /* last handshake with it, 0: none; and what that has shown: */
    int64_t cert_ends_s, ca_ends_s; /* when its certificate ends, and the first of its CAs; 0: not known */
};

struct etsi;
struct rkp_probe;

/* One connection to the KME, used by one worker at a time. */
struct slot {
    struct etsi *e;
    struct rkp_creds *creds;     /* that its connections are made with; NULL when it has none */
    size_t url;              /* the one that is asked, and ... */
    const char *base;        /* ... its text; the list's */
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
    bool shown;              /* there was a handshake, and it has shown: */
    int64_t cert_ends_s, ca_ends_s;
    int alert;               /* fatal TLS alert of the server, -1: none */
    char err_text[CURL_ERROR_SIZE];
    struct rkp_probe *probe;     /* of a test: hears of the handshake; else NULL */
    bool only_shake;         /* of a test: end where a request would be sent; then shaken: it came so far */
    bool shaken;
    enum outcome outcome;    /* of the last answer */
    enum refusal refusal;
    bool again;              /* it refused with a Retry-After, so that the same may be sent again */
    char message[MESSAGE_MAX + 1]; /* the server's own, for text and log; "" none */
    char said[SAID_MAX];     /* the whole text of a refusal; "" none */
};

struct etsi {
    const struct rk_host *host;
    const char *base;             /* the first URL, which stands for the KME in texts */
    char *kme_id, *proxy;
    char *sae;                    /* this site's; NULL: not known */
    struct url urls[URLS_MAX];
    size_t n_urls;
    size_t in_use;                /* the one that worked last; under lock */
    struct rkp_certs certs;       /* its lock is that of the instance */
    atomic_uint handshakes, requests;
    long keep_s;                  /* how long an idle connection is kept */
    struct curl_slist *headers;
    enum method method;
    bool lenient;
    int connect_ms, sync_ms;
    struct wishes wishes;
    struct learnt learnt;
    struct slot slots[CONNECTIONS_MAX];
    int free_fd;                  /* semaphore of free slots */
    pthread_mutex_t lock;         /* guards free_slots, n_free, and what says so */
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

/* http_now_ms - CLOCK_MONOTONIC [ms] */
int64_t http_now_ms(void);

/* http_take - get a free slot, waiting within the budget
 * ret:   RK_OK, RK_E_TIMEOUT, RK_E_CANCELED, RK_E_NOMEM with text */
int http_take(struct etsi *e, struct rk_call *call, struct slot **out);
/* http_give - wipe the slot's body and free it; *s may be NULL */
void http_give(struct etsi *e, struct slot **s);

/* http_probe_open - a connection's place of its own, for a test: nothing is kept from one request to the next but names
 * http_probe_close - end and free it; *s may be NULL
 * ret:   RK_OK or RK_E_NOMEM with text */
int http_probe_open(struct etsi *e, struct rk_call *call, struct slot **s);
void http_probe_close(struct slot **s);

/* http_drop_old - end the free connections that were made with replaced certificates; others end when they are given */
void http_drop_old(void *etsi);

/* http_try - send one request once, to s->url, and read its answer into s->body
 * in:    urls_left  how many other URLs may be asked after this one
 * out:   *http  status code
 * ret:   RK_OK: an answer is there, whatever its code; RK_E_UNKNOWN: sent, no (whole) answer; else a code that says
 *        that the server did not act on it, with text.   blocks: within the budget */
int http_try(struct slot *s, struct rk_call *call, const struct request *q, long *http, size_t urls_left);

/* urls.c */

/* urls_open - read and check url, or what stands for it;  urls_close - free them
 * ret:   RK_OK or a code with its text */
int urls_open(struct etsi *e, struct rk_call *call, const struct rk_conf *conf);
void urls_close(struct etsi *e);

/* http_ask - send one request, to the first URL that takes it; to a second one only when it was not sent to the first,
 * or takes no key.   in, out, ret, blocks: as http_try; it is tried while there is budget */
int http_ask(struct slot *s, struct rk_call *call, const struct request *q, long *http);

/* urls_next - the URL to ask next
 * in:    tried  a bit for each that was asked in this call, and its own is added
 * ret:   its index: the first that is well or is to be tried again, else one that failed; -1: all were asked
 * urls_failed, urls_worked - what came of it.   urls_shown - keep what the handshake of the slot has shown
 * urls_tell_ends - tell the host when our certificate and CA end, and those of the KME.   thread: any */
int urls_next(struct etsi *e, uint32_t *tried, int64_t now_ms);
void urls_failed(struct etsi *e, struct rk_call *call, size_t i, const char *why);
void urls_worked(struct etsi *e, struct rk_call *call, size_t i);
void urls_shown(struct slot *s, struct rk_call *call);
void urls_tell_ends(struct etsi *e, struct rk_call *call);

/* urls_status - rk_source_ops.status: that of etsi_status, with the URL in use and how often it was connected */
int urls_status(void *inst, struct rk_call *call, const char *peer_sae, struct rk_source_status *st);

/* legacy.c */

/* legacy_url - the URL that kme-host and kme-port say
 * out:   url, "" when they are not given.   ret: RK_OK, or RK_E_CONFIG with text: no URL at all, or two
 * legacy_check - the other old options: taken over, or refused with text */
int legacy_url(struct etsi *e, struct rk_call *call, const struct rk_conf *conf, char url[LEGACY_URL_MAX]);
int legacy_check(struct etsi *e, struct rk_call *call, const struct rk_conf *conf);

/* tls.c */

/* tls_hook - CURLOPT_SSL_CTX_FUNCTION; arg is the slot */
CURLcode tls_hook(CURL *easy, void *ctx, void *arg);

/* tls_ends_with_alert - is the last of these TLS 1.3 records as long as an alert: all that can be told from outside */
bool tls_ends_with_alert(const unsigned char *records, size_t len);

/* tls_failed - what went wrong in the handshake, by what the hooks saw
 * ret:   RK_OK when they saw nothing, else a code with text */
int tls_failed(const struct slot *s, struct rk_call *call, CURLcode curl_err);

/* answer.c */

/* answer_refused - state what an answer with a code other than 200 means, and note it in the slot
 * ret:   a code with text, never RK_OK */
int answer_refused(struct slot *s, struct rk_call *call, const struct request *q, long http);
/* answer_garbage - state that a 200 holds something else than it must;  why  static text */
int answer_garbage(struct slot *s, struct rk_call *call, const struct request *q, const char *why);

/* what_name - as in the URL;  result_name - of a code, for the log
 * outcome_of - what a code comes down to when no answer says more;  outcome_name - as in the log */
const char *what_name(enum what what);
const char *result_name(int err);
enum outcome outcome_of(int err);
const char *outcome_name(enum outcome outcome);

/* get_new.c, get_by_id.c, call.c: struct rk_source_ops */
int etsi_get_new(void *inst, struct rk_call *call, const char *peer_sae, uint32_t bits, struct rk_key *keys, size_t n);
int etsi_get_by_id(void *inst, struct rk_call *call, const char *peer_sae, uint32_t bits, struct rk_key *keys,
                   size_t n);
int etsi_status(void *inst, struct rk_call *call, const char *peer_sae, struct rk_source_status *st);

/* test.c: the same */
int etsi_test(void *inst, struct rk_call *call, const struct rk_source_test *t);

#endif
