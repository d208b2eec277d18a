/* api_int.h - between the files of the API: what a routed call knows */
#ifndef KME_API_INT_H
#define KME_API_INT_H

#include "api.h"

#include <event2/keyvalq_struct.h>
#include <jansson.h>

#define KME_DEEP 50000 /* levels of fault "deep" */

struct kme_call {
    struct kme *kme;
    const struct kme_request *request;
    struct kme_answer *ans;
    const struct kme_personality *as;
    char sae[RK_SAE_MAX + 1];         /* the other SAE, from the URL */
    const struct kme_peer_conf *peer; /* the KME that serves it */
    struct kme_pool *pool;            /* keys shared with that KME, or for that SAE */
    struct evkeyvalq query;           /* decoded */
};

/* kme_status, kme_enc_keys, kme_dec_keys - clauses 5.1, 5.2 and 5.3; they write call->ans, an answer or an error */
void kme_status(struct kme_call *call);
void kme_enc_keys(struct kme_call *call);
void kme_dec_keys(struct kme_call *call);

/* kme_refuse - an answer as the personality has it; detail.text may be NULL
 * kme_bad - an error that every personality has, with its code.   kme_note - text for the log */
void kme_refuse(struct kme_call *call, enum kme_refusal what, struct kme_detail detail);
void kme_bad(struct kme_call *call, int code, const char *message, struct kme_detail detail);
void kme_note(struct kme_call *call, const char *fmt, ...) RK_PRINTF(2, 3);

/* kme_answer_json - answer 200 with a document; takes json, NULL is no memory */
void kme_answer_json(struct kme_call *call, json_t *json);

/* kme_no_keys - answer 200 with an empty container */
void kme_no_keys(struct kme_call *call, const char *why);

/* kme_pair_of - what is remembered of master and slave; it may be empty */
struct kme_pair *kme_pair_of(struct kme_call *call, const struct kme_names *names);

/* kme_fault_on - is a fault asked for in this call */
static inline bool
kme_fault_on(const struct kme_call *call, enum kme_fault_kind kind)
{
    return call->request->fault.on[kind];
}

/* What a key request asks for. */
struct kme_want {
    json_int_t number, bits;
    char other[KME_OTHERS_MAX][RK_SAE_MAX + 1]; /* additional_slave_SAE_IDs */
    size_t n_others;
};

/* kme_want_read - the key request of a call, checked; false when an answer was written */
bool kme_want_read(struct kme_call *call, struct kme_want *want);

/* One key of a container, and what a fault makes of it. */
struct kme_give {
    struct kme_id id;    /* of the key */
    struct kme_id shown; /* in the answer */
    const struct kme_secret *secret;
    struct kme_names names;
    struct kme_shared *shared; /* a multicast key, asked for by its other slave number "at"; else NULL */
    int at;
};

/* kme_ids_read - the key IDs of a call: give[*n], room for max_per_request; false when an answer was written */
bool kme_ids_read(struct kme_call *call, struct kme_give *give, size_t *n);

/* kme_body_object - the body as a JSON object; NULL when it is none, and *why says what it is instead */
json_t *kme_body_object(struct kme_call *call, const char **why);

/* kme_container - answer 200 with a key container (clause 6.3)
 * in:   give[n].   ret: RK_OK; RK_E_NOMEM or RK_E_FATAL, nothing was written */
int kme_container(struct kme_call *call, const struct kme_give *give, size_t n);

/* kme_spoil - what a fault makes of a finished answer.   thread: one */
void kme_spoil(struct kme_answer *ans, const struct kme_fault *fault);

#endif
