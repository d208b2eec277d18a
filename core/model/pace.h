/* pace.h - when to do the next thing: grid slots of links, pauses after failures
 *
 * Pure: time is a parameter, chance is a seed.  Used by the loop only.
 */
#ifndef RK_PACE_H
#define RK_PACE_H

#include <stdint.h>

/* rk_pace_next - a link's next slot, k * interval + phase(link), strictly after now
 * in:   link  NUL ended;  interval_ns > 0;  now_ns  CLOCK_BOOTTIME
 * ret:  [ns]; RK_NEVER when there is none before the end of time
 * note: the phase is a hash of the name mod interval: links of one interval are spread over it evenly, and a link
 *       keeps its slots over a reload.   thread: any.   blocks: never.   src: design */
int64_t rk_pace_next(const char *link, int64_t interval_ns, int64_t now_ns);

/* rk_pace_slot - the same, for a phase by any number: links of the same number and interval are due together */
int64_t rk_pace_slot(uint64_t slot, int64_t interval_ns, int64_t now_ns);

/* rk_pace_backoff - the pause before the next try
 * in:   failures  so far, in a row; 1 is the first (0 counts as 1);  interval_ns  of the link;  seed  any number
 *       that differs between links and tries
 * ret:  250 ms, doubled with each further failure up to min(30 s, interval/4) but never below 250 ms; then -25 % to
 *       +25 % of it by seed [ns]
 * note: it never ends: a source or device is asked again for ever.   thread: any.   blocks: never.   src: design */
int64_t rk_pace_backoff(unsigned failures, int64_t interval_ns, uint64_t seed);

/* rk_pace_costly - the same for a try that uses up a key: doubled up to interval, so that however long it fails no more
 * keys are used than by rotations that succeed */
int64_t rk_pace_costly(unsigned failures, int64_t interval_ns, uint64_t seed);

#endif
