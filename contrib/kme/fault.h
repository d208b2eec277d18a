/* fault.h - the ways in which a lab KME can be told to misbehave
 *
 * Words separated by blanks or commas, from the configuration or from a file that is read at each request.  A word
 * may have a value, a probability and the calls that it is for: slow:500ms:10%@dec
 */
#ifndef KME_FAULT_H
#define KME_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define KME_SLOW_MS_MAX 600000
#define KME_FAULT_WORDS 16 /* at once */

enum kme_fault_kind {
    KME_F_NONE,
    /* nothing is done, and the answer is */
    KME_F_CODE,         /* an HTTP error */
    KME_F_REFUSE,       /* 503 */
    KME_F_UNAUTHORIZED, /* 401 */
    KME_F_HTML,         /* 200 with an HTML page: a proxy in the way */
    KME_F_EMPTY,        /* 200 without keys */
    KME_F_NOT_FOUND,    /* 400, as if the keys had not reached this KME yet; they stay */
    KME_F_LATE,         /* the same, until so long after enc_keys */
    /* the keys are taken, and the answer is */
    KME_F_CONSUMED,     /* 400: somebody else fetched the keys */
    KME_F_SHORT_KEY,    /* with the first half of each key */
    KME_F_LONG_KEY,     /* with each key twice in a row */
    KME_F_WRONG_KEY,    /* with other bytes of the right length, others than at the other KME */
    KME_F_WRONG_ID,     /* with an ID that was not asked for */
    KME_F_TWICE,        /* with an ID twice */
    KME_F_AGAIN,        /* with an ID of an earlier answer */
    KME_F_TOO_MANY,     /* with a key more than asked for */
    KME_F_TOO_FEW,      /* with one fewer */
    KME_F_BASE64,       /* with keys in another alphabet than base64 */
    KME_F_BASE64_URL,   /* with keys in the alphabet for URLs, where it differs */
    KME_F_UNPADDED,     /* with keys without the '=' at their end */
    KME_F_KEY_ID,       /* with "key_id" for "key_ID" */
    KME_F_EXTENSIONS,   /* with key_ID_extension, key_extension and key_container_extension */
    /* status says */
    KME_F_STATUS_ZERO,     /* that no key is stored */
    KME_F_STATUS_NEGATIVE, /* negative numbers */
    KME_F_STATUS_HUGE,     /* numbers that fit no integer */
    KME_F_STATUS_STRINGS,  /* numbers as strings */
    KME_F_STATUS_SHORT,    /* nothing but the names */
    /* all is done, then */
    KME_F_TRUNCATED, /* half of the JSON */
    KME_F_BINARY,    /* the JSON with bytes that are no text in front */
    KME_F_DEEP,      /* JSON of 50,000 levels */
    KME_F_HUGE,      /* JSON with so many blanks in front [KiB] */
    KME_F_UNTYPED,   /* no Content-Type */
    /* all is done, and it is sent */
    KME_F_SLOW,       /* so much later */
    KME_F_SLOW_LORIS, /* a byte at a time, so far apart */
    KME_F_ENDLESS,    /* with blanks behind it that do not end */
    KME_F_HEADERS,    /* with so many bytes of headers [KiB] */
    KME_F_CLOCK,      /* with a Date that is so wrong [s] */
    /* the connection */
    KME_F_DROP,        /* is closed when all is done */
    KME_F_RESET,       /* is reset, nothing is done */
    KME_F_RESET_AFTER, /* is reset when all is done */
    KME_F_HANG,        /* stays, without an answer; nothing is done */
    KME_F_HANG_AFTER,  /* stays, without an answer; all is done */
    KME_F_EXPIRED,     /* comes with a certificate that has expired */
    KME_F_FUTURE,      /* comes with a certificate that is not valid yet */
    KME_F_COUNT,
};

/* What a fault is for; a bit each. */
enum kme_call_bit {
    KME_C_STATUS = 1 << 0,
    KME_C_ENC = 1 << 1,
    KME_C_DEC = 1 << 2,
    KME_C_OTHER = 1 << 3,   /* another path */
    KME_C_CONNECT = 1 << 4, /* a new connection, before any call */
};

struct kme_fault_word {
    const char *word; /* without value; static */
    enum kme_fault_kind kind;
    unsigned calls; /* enum kme_call_bit */
    uint32_t ppm;   /* how often [parts per million] */
    int64_t value;  /* its meaning is the kind's: HTTP code, [ms], [s], [KiB] */
    int64_t retry_s; /* KME_F_CODE: Retry-After; -1 none */
};

struct kme_faults {
    struct kme_fault_word word[KME_FAULT_WORDS];
    size_t n;
};

/* What one request gets. */
struct kme_fault {
    bool any;
    const char *word; /* the first of them, for the log; NULL: none */
    bool on[KME_F_COUNT];
    int64_t value[KME_F_COUNT];
    int64_t retry_s;
};

/* kme_faults_parse - add words to *out; "none" and "" are none
 * ret:  RK_OK; RK_E_CONFIG with why[RK_WHY_MAX]   thread: any */
int kme_faults_parse(const char *words, struct kme_faults *out, char *why);

/* kme_faults_now - what is asked for at this moment: the file's words, or *usual when path is NULL or there is no file
 * ret:  RK_OK; RK_E_CONFIG with why[RK_WHY_MAX]   blocks: on the file */
int kme_faults_now(const struct kme_faults *usual, const char *path, struct kme_faults *out, char *why);

/* kme_faults_roll - what a request gets of it
 * in:   call  one enum kme_call_bit;  dice  state of the random numbers, changed only by words with a probability */
struct kme_fault kme_faults_roll(const struct kme_faults *faults, unsigned call, uint64_t *dice);

/* kme_dice - the next random number of a seed (splitmix64): a test that gives the seed gets the same ones again */
uint64_t kme_dice(uint64_t *state);

/* kme_faults_list - a line for each word, with tabs between: an example that can be used as it is, the calls that it
 * is for (or "connect"), what it does */
void kme_faults_list(FILE *out);

#endif
