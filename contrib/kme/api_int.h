/* api_int.h - between the files of the API: what a routed call knows */
#ifndef KME_API_INT_H
#define KME_API_INT_H

#include "api.h"

#include <event2/keyvalq_struct.h>

struct kme_call {
    struct kme *kme;
    const struct kme_request *request;
    struct kme_answer *ans;
    char sae[RK_SAE_MAX + 1];          /* the other SAE, from the URL */
    const struct kme_peer_conf *peer;  /* the KME that serves it */
    struct kme_pool *pool;             /* keys shared with that KME */
    struct evkeyvalq query;            /* decoded */
};

/* kme_enc_keys, kme_dec_keys - clauses 5.2 and 5.3; they write call->ans, an answer of their own or an error */
void kme_enc_keys(struct kme_call *call);
void kme_dec_keys(struct kme_call *call);

/* kme_bad - shorthand for an error without details.   kme_note - text for the log */
void kme_bad(struct kme_call *call, int code, const char *message);
void kme_note(struct kme_call *call, const char *fmt, ...) RK_PRINTF(2, 3);

/* One key of a container, and what a fault makes of it. */
struct kme_give {
    struct kme_id id;    /* of the key */
    struct kme_id shown; /* in the answer */
};

/* kme_container - answer 200 with a key container (clause 6.3)
 * in:   names of the keys;  give[n].   ret: RK_OK; RK_E_NOMEM or RK_E_FATAL, nothing was written */
int kme_container(struct kme_call *call, const struct kme_names *names, const struct kme_give *give, size_t n);

#endif
