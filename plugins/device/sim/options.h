/* options.h - what the simulated device is made from: its options, and one instance */
#ifndef SIM_OPTIONS_H
#define SIM_OPTIONS_H

#include "device.h"
#include "fault.h"
#include "witness.h"

struct sim {
    const struct rk_host *host;
    struct sim_device *device;
    struct sim_witness *witness;  /* NULL: none */
    char **ifaces;                /* the interfaces there are; NULL: any */
    size_t n_ifaces;
    char *state_file, *mode_file; /* NULL: none */
    enum sim_mode mode;
    bool fault_observe;
    uint64_t fault_every;
    int64_t latency_ms;
    struct {                      /* find.c */
        char **list;              /* NULL-ended: links that it finds */
        char *file, *prepared;    /* NULL: none */
    } find;
    struct {                      /* lldp.c */
        char *dir, *operator_text; /* NULL: none */
        int64_t delay_ms;
        char **cables;            /* NULL-ended: "INTERFACE DEVICE INTERFACE" */
    } lldp;
};

extern const struct rk_opt sim_opts[];

/* sim_options - fill s, whose host is set, with what conf says
 * out:  s->device, and all but s->witness; owned by s also when it fails.   ret: RK_OK or a code stated by fail() */
int sim_options(struct sim *s, struct rk_call *call, const struct rk_conf *conf);

/* sim_set_clock - for tests: the clocks that an instance goes by from now on */
void sim_set_clock(void *inst, struct sim_clock clock);

#endif
