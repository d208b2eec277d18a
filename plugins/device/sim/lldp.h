/* lldp.h - the simulated device shows a description on each interface, and hears what is on the other end of the cable
 *
 * Each interface is a file of lldp-dir.  Files of tests beside it freeze what is heard of it, or add a second one.
 */
#ifndef SIM_LLDP_H
#define SIM_LLDP_H

#include "options.h"

/* sim_lldp_options - the options of this file.   ret: false: out of memory.   sim_lldp_free - free them */
bool sim_lldp_options(struct sim *s, const struct rk_conf *conf);
void sim_lldp_free(struct sim *s);

/* sim_lldp_fits - have the operator's text and that of a DESCRIBE room together.   ret: false: op says why not
 * sim_lldp_show - a description was set: advertise it, after the delay.   out: op->err when it cannot be */
bool sim_lldp_fits(struct sim *s, struct rk_dev_op *op);
void sim_lldp_show(struct sim *s, const struct sim_iface *f, struct rk_dev_op *op);

/* As struct rk_device_ops has it. */
int sim_neighbours(void *inst, struct rk_call *call, const char *const *ifaces, size_t n, rk_neighbour_fn *found,
                   void *arg);

#endif
