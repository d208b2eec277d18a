/* call.h - what the operations of a source share: keys of one request, one exchange with the KME */
#ifndef ETSI014_CALL_H
#define ETSI014_CALL_H

#include "container.h"
#include "etsi014.h"
#include "status.h"

/* One operation. */
struct asking {
    struct etsi *e;
    struct rk_call *call;
    const char *peer;
    uint32_t bits;
};

/* The keys that one request is about. */
struct batch {
    struct rk_key *key[BATCH_MAX];
    size_t n;
    bool more;            /* dec_keys: what is not there is asked for again */
    enum refusal refusal; /* out: what a refusal was about */
    long http;            /* out: HTTP code; 0 no answer */
    char said[SAID_MAX];  /* out: the text of a refusal; "" none */
};

/* Reads the body of a 200.  b is NULL for status.   ret: RK_OK or a code with text */
typedef int parse_fn(struct slot *s, const struct asking *a, const struct request *q, struct batch *b, void *arg);

/* How the body of a request reaches the KME; one of both is not NULL. */
struct form {
    const char *query; /* GET: "" or begins with '?', encoded */
    const char *post;  /* POST: the body */
};

/* exchange.c */

/* exchange - send one request and read its answer; a KME that says Retry-After is left alone for that long, and asked
 * once more when that was with 429 or 503 and the budget has room for it.  One log line for each request
 * ret: what parse returned, or a code with text.   blocks: within the budget */
int exchange(const struct asking *a, enum what what, const struct form *form, struct batch *b, parse_fn *parse,
             void *arg);

/* say_again - state once more why a request was refused, when the question for status that this led to has failed and
 * its text stands there instead.   ret: err */
int say_again(const struct asking *a, const struct batch *b, int err);

/* pause_ms - wait, unless the call is canceled or less than that is left
 * ret: true when the pause is over and there is time for another request */
bool pause_ms(const struct asking *a, int ms);
/* now_ms - monotonic [ms] */
int64_t now_ms(void);
/* count_wasted - n keys have come that cannot be used */
void count_wasted(const struct asking *a, size_t n);

/* call.c */

/* check_args - ret: RK_OK or RK_E_CONTRACT with text */
int check_args(const struct asking *a, size_t n);
/* by_get - is a request for n keys a GET;  wishes: is there something beside number and size to say */
bool by_get(const struct etsi *e, size_t n, bool wishes);
/* other_method - the KME has refused this method: is the other one to be tried, now and from now on
 * no_method - what came of the other one */
bool other_method(struct etsi *e, bool was_get, bool wishes);
void no_method(struct etsi *e, int err);
/* per_request - how many keys of this size surely fit into one answer */
size_t per_request(uint32_t bits);
/* make_key - make the secret of one key that came;  k->err: the same.   ret: RK_OK or a code with text */
int make_key(struct slot *s, const struct asking *a, const struct container_key *from, struct rk_key *k);
/* container_of - read the keys of a 200;  *n of them, at most max.   ret: RK_OK or a code with text; then what came is
 * counted as wasted */
int container_of(struct slot *s, const struct asking *a, const struct request *q, const struct batch *b,
                 struct container_key *found, size_t max, size_t *n);
/* set_err - the same for n keys;  sum_up - RK_OK when one of the keys is there, else last */
void set_err(struct rk_key *keys, size_t n, int err);
int sum_up(const struct rk_key *keys, size_t n, int last);
/* ask_status - one status request; its limits are remembered.   ret: RK_OK or a code with text */
int ask_status(const struct asking *a, struct status *st);

#endif
