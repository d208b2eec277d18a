/* api.h - the three calls of ETSI GS QKD 014 V1.1.1, apart from the transport
 *
 * (KME, request, time) -> answer.  One KME's calls run on one thread.  No I/O, no log.
 */
#ifndef KME_API_H
#define KME_API_H

#include "conf.h"
#include "ledger.h"
#include "store.h"

#define KME_NOTE_MAX 200
#define KME_BODY_MAX 65536 /* a request [bytes]: 1,024 key IDs as objects fit */
#define KME_PAIRS_KNOWN 1024

enum kme_method { KME_GET, KME_POST, KME_OTHER };

/* What a KME remembers of a pair of SAEs; another pair may take its place. */
struct kme_pair {
    uint64_t names; /* their hash; 0 free */
    bool status_asked;
    bool has_first;
    struct kme_id first; /* of the last answer to enc_keys */
};

struct kme {
    const struct kme_conf *conf; /* borrowed */
    struct kme_ledger *ledger;   /* borrowed */
    struct kme_pool *pool[KME_PEERS_MAX]; /* one, or one for each SAE of the peer */
    struct kme_seen seen;
    struct kme_pair pair[KME_PAIRS_KNOWN];
    uint64_t dice;
    uint32_t stamp; /* of the last ID that had to have its own */
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
    int64_t wall_ms;         /* since 1970: what the KMEs of a pair have in common */
};

struct kme_answer {
    int code;                /* HTTP */
    enum kme_form form;      /* of the body */
    const char *allow;       /* value of an Allow header, or NULL */
    int64_t retry_s;         /* value of a Retry-After header, or -1 */
    char *text;              /* body, or NULL: none; owned: kme_answer_free */
    size_t len;
    char note[KME_NOTE_MAX]; /* for the log: never a byte of a key */
};

/* kme_start - a KME with full pools; RK_OK or RK_E_NOMEM.   kme_stop - forget all.
 * kme_answer - do what the request asks for.  kme_answer_free - wipe and free; ans may be empty
 * in:   request borrowed;  ledger shared by the KMEs of a process.  out: *ans, overwritten
 * own:  ans->text the caller's.   thread: one.  blocks: never.  src: ETSI GS QKD 014 V1.1.1 clauses 5 and 6 */
int kme_start(struct kme *kme, const struct kme_conf *conf, struct kme_ledger *ledger, int64_t now_ns);
void kme_stop(struct kme *kme);
void kme_answer(struct kme *kme, const struct kme_request *request, struct kme_answer *ans);
void kme_answer_free(struct kme_answer *ans);

/* kme_call_of - which call a path is, for kme_faults_roll: one enum kme_call_bit */
unsigned kme_call_of(const char *path);

/* kme_answer_error - make an answer with a message, as {"message": message, "details": [{name: text}]} or in another
 * form; detail.text NULL: no details */
struct kme_detail {
    const char *name, *text;
};
void kme_answer_error(struct kme_answer *ans, const struct kme_personality *as, struct kme_say say,
                      struct kme_detail detail);

#endif
