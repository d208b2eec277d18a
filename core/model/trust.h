/* trust.h - does a record count whose tag was right
 *
 * Pure.  A record is signed by the channel key of the key in use (doc/channels.md, "Authentication"), or by the
 * channel's auth-key as long as there is none.  An auth-key is the same for years and lies in files; so who has only
 * that may say nothing while the peer shows that it has more.  A peer that has lost its keys has only that, too: it is
 * believed after the peer was silent for the time of NO-PEER, with an alarm, until the next record by a channel key.
 */
#ifndef RK_TRUST_H
#define RK_TRUST_H

#include "end.h"

struct rk_trust {
    bool ratcheted; /* the record was signed by a channel key */
    bool proven;    /* this end has one of which it knows that the peer had it too */
    bool reset;     /* the peer has lost its channel keys, as far as is known */
    int64_t silent_ns, silence_ns; /* since it was heard last; time of NO-PEER */
};

enum rk_trust_says {
    RK_TRUST_COUNTS,
    RK_TRUST_RESETS, /* it counts, and the peer has lost its channel keys */
    RK_TRUST_REFUSED
};

/* rk_trust_judge - what is done with the record
 * thread: any.   blocks: never.   cost: O(1).   src: design: doc/channels.md */
enum rk_trust_says rk_trust_judge(const struct rk_trust *t);

/* rk_trust_alarm - raise or clear RESET-PEER */
void rk_trust_alarm(struct rk_end *e, bool on);

/* rk_trust_reset - is it raised */
bool rk_trust_reset(const struct rk_end *e);

#endif
