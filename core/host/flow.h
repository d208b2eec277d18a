/* flow.h - how many records with good tags one link may bring
 *
 * Pure: time is a parameter.  What is known already is a repeat: it is passed on now and then, for it tells that the
 * peer is there, and costs nothing.  Others have a rate.
 */
#ifndef RK_FLOW_H
#define RK_FLOW_H

#include "../base/limits.h"

#include <stdint.h>

/* Zeroed at first.  There is one for each link: hash and time are as short as does no harm.  That a record is taken for
 * another one, or one of 50 days ago for one of now, costs a record that is said again: by chance, 2 of 10^9. */
struct rk_flow {
    int64_t full_ns; /* when all of the burst is there again */
    unsigned next;   /* the place that is forgotten next */
    struct {
        uint32_t hash;      /* of a record with its tag; 0: none */
        uint32_t passed_ms; /* when it was passed on last; it begins anew every 50 days */
    } seen[RK_REPEATS_MAX];
};

enum rk_flow_way { RK_FLOW_PASS, RK_FLOW_DROP, RK_FLOW_OVER };

/* rk_flow_take - one more record, whose tag was good
 * in:   record  with its tag;  now_ns  monotonic
 * ret:  RK_FLOW_PASS; RK_FLOW_DROP: a repeat, too soon; RK_FLOW_OVER: too many
 * thread: one at a time.   blocks: never.   src: design: doc/channels.md */
enum rk_flow_way rk_flow_take(struct rk_flow *f, const char *record, int64_t now_ns);

#endif
