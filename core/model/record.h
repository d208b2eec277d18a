/* record.h - what one end of a link publishes about itself
 *
 * Pure.  The two ends exchange no messages: each publishes one record, and the newest wins.  As text:
 *
 *   rk1|link|role M/S|term|seq|phase letter|key ID|prev key ID|facts|confirm tag or NACK reason
 *
 * to which a host adds "|" and the record tag, so that all of it is at most RK_RECORD_MAX octets of
 * printable ASCII: it fits an LLDP description as well as a file or an HTTPS body.
 */
#ifndef RK_RECORD_H
#define RK_RECORD_H

#include "durable.h"

#include <stdbool.h>

#define RK_SEQ_MAX UINT64_C(999999999999999999) /* of seq and term: 18 digits, and an int64_t in the journal */

/* What an end says about rotation seq; in the order in which one replaces another. */
enum rk_say {
    RK_SAY_IDLE = 0,      /* I: no key yet, nothing under way */
    RK_SAY_OFFER = 1,     /* O: master holds `key` for receive */
    RK_SAY_STAGED = 2,    /* T: slave holds `key` for receive; confirm shows that it is the same key */
    RK_SAY_NACK = 3,      /* N: slave gave `seq` up; confirm holds the reason */
    RK_SAY_ACTIVE = 4,    /* A: this end transmits on `key` */
    RK_SAY_WITHDRAWN = 5, /* W: this end gave `seq` up, or never took part; it transmits on `key` */
    RK_SAY_LOST = 6       /* L: the device lost its keys; this end transmits on nothing */
};

struct rk_record {
    char link[RK_LINK_MAX + 1];
    uint32_t role;                     /* enum rk_role */
    uint32_t say;                      /* enum rk_say */
    uint64_t term, seq;
    char key[RK_KEY_ID_MAX + 1], prev[RK_KEY_ID_MAX + 1];
    char facts[RK_FACTS_MAX + 1];
    char confirm[RK_CONFIRM_HEX + 1];  /* [A-Za-z0-9.-] */
};

/* rk_record_put - record to text[RK_RECORD_MAX + 1]; false when it would not fit with its tag
 *                 or has a number above RK_SEQ_MAX
 * rk_record_fits - what rk_record_put would say; no text is made
 * rk_record_get - text without tag to record; RK_OK, or RK_E_PROTOCOL for anything that put could not have written
 * thread: any.  src: design: doc/rotation.md */
bool rk_record_put(const struct rk_record *r, char *text);
bool rk_record_fits(const struct rk_record *r);
int rk_record_get(const char *text, struct rk_record *r);

/* rk_record_order - <0, 0, >0: is a older than, the same step as, newer than b, by (term, seq, say) */
int rk_record_order(const struct rk_record *a, const struct rk_record *b);

/* rk_say_name - "offer", ...; "?" for none */
const char *rk_say_name(uint32_t say);

#endif
