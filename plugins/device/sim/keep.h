/* keep.h - the simulated device's memory in a file, so that it survives the death of the host, as a real device does
 *
 * Never a key byte: key IDs, slots, flags and digests.  The file is replaced whole; it is not synced, as only the
 * loss of the process is simulated, not the loss of power.
 *
 *   rekey-sim 1 DEVICE APPLIES FAULTS VIOLATIONS
 *   class LETTER                           not of class a
 *   iface NAME                             %XX for what is no letter, digit, '.', '_' or '-'
 *   text DESCRIPTION                       escaped as NAME
 * Class a:
 *   slot AN FLAGS SEQ LINK KEY-ID DIGEST   FLAGS: r can receive, t in a transmit slot, s sends; '-' each when not
 *   used DIGEST                            oldest first
 * The others:
 *   link NAME SHUT MET UNKNOWN             1 or 0 each; UNKNOWN: keys of the peer that were not known here
 *   cak PLACES OWN SEQ KEY-ID DIGEST SINCE HEARD START
 *                                          PLACES: p primary, f fallback, r preceding, c in the chain, s in a rollback;
 *                                          OWN: 1 installed by the plugin, 0 by someone else; SINCE, HEARD:
 *                                          CLOCK_BOOTTIME [ns]; START: local time of the device, or '-'
 */
#ifndef SIM_KEEP_H
#define SIM_KEEP_H

#include "device.h"

/* sim_keep_save - ret: RK_OK, or RK_E_IO, RK_E_NOMEM stated by fail() */
int sim_keep_save(const struct sim_device *d, struct rk_call *call, const char *path);

/* sim_keep_load - fill an empty device; a file that is not there leaves it empty
 * ret: RK_OK, or a code stated by fail() with file and line */
int sim_keep_load(struct sim_device *d, struct rk_call *call, const char *path);

/* sim_escape - text with %XX for what is not [A-Za-z0-9._-]; out[3 * strlen(text) + 1] */
void sim_escape(const char *text, char *out);

/* sim_flags - "rts" with '-' for what is not set, into out[4] */
void sim_flags(uint32_t flags, char *out);

#endif
