/* body.h - reads what a router's script sends: the JSON of an ask and of a report.  Pure but for memory
 *
 * Everything has a bound, what is not known is left out, and what is wrong is refused as a whole: rekey-junos-event(7)
 * specifies it.  What is read points into the document, which is wiped when it is freed.
 */
#ifndef JE_BODY_H
#define JE_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#define JE_BODY_MAX (4 * 1024 * 1024) /* longest body [bytes] */
#define JE_FACTS_MAX 32               /* facts of one body */
#define JE_STEPS_MAX 16               /* steps of one report */
#define JE_RPC_MAX 1024               /* longest request [bytes] */
#define JE_ID_LEN 16                  /* of a run's and of a work's number: hexadecimal digits */
#define JE_WAIT_MAX_MS 300000         /* longest wait for an answer that a script may ask for */
#define JE_AGE_MS 60000               /* of the facts of an ask that does not tell */

/* One reply of the router, as its script has it.  Borrowed from the document. */
struct je_said {
    const char *rpc;   /* of a fact; of a step: its name */
    const char *reply; /* NUL-ended */
    size_t len;
    bool lost;         /* of a step: no reply came */
};

enum je_outcome { JE_DONE = 0, JE_REFUSED, JE_UNKNOWN, JE_NOT_BEGUN };

struct je_body {
    json_t *doc;       /* owned */
    char shim[33];     /* version of the script, printable */
    char run[JE_ID_LEN + 1];
    int64_t n, clock_ms;
    int64_t wait_ms, tick_s; /* of an ask */
    int64_t age_ms;          /* of an ask: how long before it the first of its facts was read */
    char id[JE_ID_LEN + 1];  /* of a report */
    enum je_outcome outcome;
    char why[121];           /* printable, with what may be a key in it masked */
    struct je_said fact[JE_FACTS_MAX], step[JE_STEPS_MAX];
    size_t n_facts, n_steps;
};

/* je_body_read - read text[len] as an ask, or as a report
 * out:  *b, for je_body_free, also when it fails;  *why  static text, without quotes, when it is refused
 * ret:  RK_OK, RK_E_PROTOCOL */
int je_body_read(const char *text, size_t len, bool report, struct je_body *b, const char **why);
void je_body_free(struct je_body *b);

/* je_id_ok - is it a number of JE_ID_LEN hexadecimal digits, lower case? */
bool je_id_ok(const char *text);

/* je_memory - from now on, what JSON documents and libevent's buffers have held is wiped when it is freed: it may be
 * keys.  Of the whole process, so before anything of either is made */
void je_memory(void);

#endif
