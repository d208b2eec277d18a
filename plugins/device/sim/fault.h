/* fault.h - how the simulated device misbehaves
 *
 * The mode is an option, or the content of a file that a test changes while the daemon runs.
 */
#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include <rekey/device.h>

enum sim_mode {
    SIM_OK,
    SIM_SLOW,    /* takes ten times its latency, 1 s at least; does it; ends on cancel and at the end of the budget */
    SIM_HANG,    /* never returns, whatever the budget and the cancel descriptor say */
    SIM_SPIN,    /* the same, and burns the CPU */
    SIM_CRASH,   /* abort(): the 1st, 3rd ... time before anything is done, the others after all is done */
    SIM_GARBAGE, /* does nothing; codes out of range, texts without end */
    SIM_LIE,     /* does nothing, says done */
    SIM_FAIL,    /* does nothing, returns RK_E_BUSY */
    SIM_UNKNOWN, /* does it, returns RK_E_UNKNOWN */
    SIM_MODES
};

extern const char *const sim_mode_names[SIM_MODES + 1]; /* in the order of enum sim_mode, then NULL */

/* sim_mode_now - the mode of this moment
 * in:   path  of the mode file, NULL: none; a file that is not there or is empty means mode
 * out:  *now
 * ret:  RK_OK, or a code stated by fail(): the file cannot be read, or says what is no mode */
int sim_mode_now(const struct rk_host *host, struct rk_call *call, const char *path, enum sim_mode *now);

/* sim_stall - hang or spin, for ever */
void sim_stall(enum sim_mode mode) __attribute__((noreturn));

/* sim_garble_ops, sim_garble_seen - fill what a plugin may write with what it must not.   ret: what to return */
int sim_garble_ops(struct rk_dev_op *ops, size_t n);
int sim_garble_seen(struct rk_dev_seen *seen, size_t n);

#endif
