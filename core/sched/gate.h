/* gate.h - when a source that fails may be asked again, and for how many keys
 *
 * Pure: time is a parameter, chance is a seed.  One for each source, and one for each peer's keys at it.  While it is
 * shut one key is asked for after each pause, however many links wait; after that was given there are four times as
 * many after each answer, until it is open.  Used by the loop only.
 */
#ifndef RK_GATE_H
#define RK_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rk_gate_state { RK_GATE_OPEN, RK_GATE_SHUT, RK_GATE_AJAR };

/* All zero: open. */
struct rk_gate {
    enum rk_gate_state state;
    unsigned level;   /* of the pause: failures, less what went well between them */
    size_t out;       /* keys asked for, without answer yet */
    size_t window;    /* AJAR: as many may be out */
    size_t got;       /* keys since the last failure */
    int64_t retry_ns; /* SHUT: the next key may be asked for then */
};

/* rk_gate_room - how many keys may be asked for now; SIZE_MAX: any number
 * rk_gate_asked - a call for n keys is under way; rk_gate_answered comes once for it
 * rk_gate_answered - it has ended
 * in:   failed  as the source does, not as a single key may;  interval_ns  the shortest of the links that ask it;
 *       seed  any number that differs between sources
 * note: the pauses are those of rk_pace_backoff(): they never end, and are 30 s and a quarter at most.  A failure that
 *       comes before the pause is over, from a call that was under way already, does not lengthen it.
 * rk_gate_failed - as an answer that failed, to a call that could not be made
 * rk_gate_idle - nobody waits for it: once keys were given again, it is open
 * rk_gate_retry - there is reason to think that it works again: the pause is over
 * thread: loop only.   blocks: never.   src: design */
size_t rk_gate_room(const struct rk_gate *g, int64_t now_ns);
void rk_gate_asked(struct rk_gate *g, size_t n);
void rk_gate_answered(struct rk_gate *g, size_t n, bool failed, int64_t now_ns, int64_t interval_ns, uint64_t seed);
void rk_gate_failed(struct rk_gate *g, int64_t now_ns, int64_t interval_ns, uint64_t seed);
void rk_gate_idle(struct rk_gate *g);
void rk_gate_retry(struct rk_gate *g, int64_t now_ns);

#endif
