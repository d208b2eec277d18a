/* api.h - the three calls of ETSI GS QKD 014 V1.1.1, apart from the transport
 *
 * (KME, request, time) -> answer.  One KME's calls run on one thread.  No I/O, no log.
 */
#ifndef KME_API_H
#define KME_API_H

#include "conf.h"
#include "store.h"

#define KME_NOTE_MAX 200
#define KME_BODY_MAX 65536 /* a request [bytes]: 1,024 key IDs as objects fit */

enum kme_method { KME_GET, KME_POST, KME_OTHER };

struct kme {
    const struct kme_conf *conf; /* borrowed */
    struct kme_pool pool[KME_PEERS_MAX];
    struct kme_seen seen;
};

struct kme_request {
    enum kme_method method;
    const char *path;        /* as sent: still URL-encoded */
    const char *query;       /* as sent, or NULL */
    const char *body;
    size_t body_len;
    const char *caller;      /* SAE ID of the client's certificate; "" when it has none */
    struct kme_fault fault;
    int64_t now_ns;          /* monotonic */
};

struct kme_answer {
    int code;                /* HTTP */
    const char *allow;       /* value of an Allow header, or NULL */
    char *text;              /* JSON, or NULL: no body; owned: kme_answer_free */
    size_t len;
    char note[KME_NOTE_MAX]; /* for the log: never a byte of a key */
};

/* kme_start - a KME with full pools.   kme_stop - forget all.
 * kme_answer - do what the request asks for.  kme_answer_free - wipe and free; ans may be empty
 * in:   request borrowed.  out: *ans, overwritten
 * own:  ans->text the caller's.   thread: one.  blocks: never.  src: ETSI GS QKD 014 V1.1.1 clauses 5 and 6 */
void kme_start(struct kme *kme, const struct kme_conf *conf, int64_t now_ns);
void kme_stop(struct kme *kme);
void kme_answer(struct kme *kme, const struct kme_request *request, struct kme_answer *ans);
void kme_answer_free(struct kme_answer *ans);

/* kme_answer_error - make an answer {"message": message, "details": [{name: text}]}; text NULL: no details */
struct kme_detail {
    const char *name, *text;
};
void kme_answer_error(struct kme_answer *ans, int code, const char *message, struct kme_detail detail);

#endif
