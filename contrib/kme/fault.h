/* fault.h - the ways in which a lab KME can be told to misbehave
 *
 * Words separated by blanks or commas, from the configuration or from a file that is read at each request.
 */
#ifndef KME_FAULT_H
#define KME_FAULT_H

#include <stdbool.h>

#define KME_SLOW_MS_MAX 600000

enum kme_fault_bit {
    KME_F_HTML = 1 << 0,         /* 200 with an HTML page, nothing done: a proxy in the way */
    KME_F_DROP = 1 << 1,         /* all done, then the connection is closed without an answer */
    KME_F_TRUNCATED = 1 << 2,    /* all done, then half of the JSON */
    KME_F_REFUSE = 1 << 3,       /* 503 on every call */
    KME_F_REFUSE_ENC = 1 << 4,   /* 503 on enc_keys */
    KME_F_REFUSE_DEC = 1 << 5,   /* 503 on dec_keys */
    KME_F_UNAUTHORIZED = 1 << 6, /* 401 on every call */
    KME_F_NOT_FOUND = 1 << 7,    /* dec_keys: 400, as if the keys had not reached this KME yet; they stay */
    KME_F_EMPTY = 1 << 8,        /* enc_keys, dec_keys: 200 without keys, nothing done */
    KME_F_SHORT_KEY = 1 << 9,    /* enc_keys, dec_keys: the first half of each key */
    KME_F_LONG_KEY = 1 << 10,    /* enc_keys, dec_keys: each key twice in a row */
    KME_F_WRONG_KEY = 1 << 11,   /* enc_keys, dec_keys: other bytes of the right length */
    KME_F_WRONG_ID = 1 << 12,    /* dec_keys: an ID that was not asked for */
};

struct kme_fault {
    unsigned bits;    /* enum kme_fault_bit */
    unsigned slow_ms; /* hold each answer for so long [ms] */
};

/* kme_fault_parse - words to faults; "none" and "" are none
 * ret:  RK_OK; RK_E_CONFIG with why[RK_WHY_MAX]   thread: any */
int kme_fault_parse(const char *words, struct kme_fault *out, char *why);

/* kme_fault_now - what is asked for at this moment: the file's words, or *usual when path is NULL or there is no file
 * ret:  RK_OK; RK_E_CONFIG with why[RK_WHY_MAX]   blocks: on the file */
int kme_fault_now(const struct kme_fault *usual, const char *path, struct kme_fault *out, char *why);

#endif
