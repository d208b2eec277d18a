/* find.h - the simulated device's discover, prepare and tend */
#ifndef SIM_FIND_H
#define SIM_FIND_H

#include "options.h"

/* sim_find_options - the options of this file.   ret: false: out of memory.   sim_find_free - free them */
bool sim_find_options(struct sim *s, const struct rk_conf *conf);
void sim_find_free(struct sim *s);

/* As struct rk_device_ops has them. */
int sim_tend(void *inst, struct rk_call *call);
int sim_discover(void *inst, struct rk_call *call, rk_found_fn *found, void *arg);
int sim_prepare(void *inst, struct rk_call *call, const struct rk_prepare *want, rk_line_fn *line, void *arg);

#endif
