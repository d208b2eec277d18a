/* witness.h - what both ends of a link write down so that a test can say whether the link was ever broken
 *
 * All devices of a test share one directory (option peer-check-dir):
 *   DIR/.lock                      flock: held while a device changes and writes; a test that holds it (shared)
 *                                  sees both ends at one instant
 *   DIR/LINK/DEVICE@IFACE          what the end holds of this link, replaced whole.  Class a: "sci=HEX", then a line
 *                                  "slot an= flags= seq= id= digest=" for each slot (keep.h: flags).  The others:
 *                                  "class=LETTER shut=", then "cak role= status= seq= id= digest= since= until="
 *   DIR/LINK/cut                   while it is there, nothing comes through between the ends
 *   DIR/events.log                 one line per operation, in the order of their effects:
 *                                  "time_ns= op= dev= iface= link= seq= id= an= digest= err="; time: CLOCK_BOOTTIME
 * After each change the device compares both ends (invariant I1; class a: what one sends with, the other holds for
 * receive; the others: there is a key that both hold); a breach is counted, logged as ev=violation, and a line
 * "op=violation" in events.log.
 */
#ifndef SIM_WITNESS_H
#define SIM_WITNESS_H

#include "class.h"

struct sim_witness;

/* sim_witness_new - ret: RK_OK, or a code stated by fail() */
int sim_witness_new(const struct rk_host *host, struct rk_call *call, const char *path, struct sim_witness **out);
void sim_witness_free(struct sim_witness *w);

/* sim_witness_lock - before an effect.   ret: RK_OK; RK_E_CANCELED, RK_E_TIMEOUT, RK_E_IO, stated: nothing is held */
int sim_witness_lock(struct sim_witness *w, struct rk_call *call);

/* sim_witness_unlock - after sim_witness_tell */
void sim_witness_unlock(struct sim_witness *w);

/* sim_witness_tell - write down what n operations did, and compare the ends
 * in:   ops[n], events[n];  the lock is held
 * out:  d->violations
 * ret:  RK_OK or RK_E_IO, stated */
int sim_witness_tell(struct sim_witness *w, struct sim_device *d, struct rk_call *call, const struct rk_dev_op *ops,
                     const struct sim_event *events, size_t n);

/* sim_witness_boot - write down all that a device holds when it is started; the lock is held.   ret: as tell */
int sim_witness_boot(struct sim_witness *w, struct sim_device *d, struct rk_call *call);

/* sim_witness_peers - what the other ends of a link have written.   ret: valid until the next call */
const struct sim_peers *sim_witness_peers(struct sim_witness *w, const struct sim_device *d, const struct sim_iface *f,
                                          const char *link);

/* sim_witness_note - write down what an interface holds of a link after it changed by itself; the lock is held
 * ret:  as tell */
int sim_witness_note(struct sim_witness *w, struct sim_device *d, struct rk_call *call, struct sim_iface *f,
                     const char *link);

#endif
