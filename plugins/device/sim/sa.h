/* sa.h - class A: static SAKs in four slots */
#ifndef SIM_SA_H
#define SIM_SA_H

#include "device.h"

#define SIM_SLOTS 4     /* association numbers */
#define SIM_USED_MAX 32 /* keys that an interface remembers to have had: enough to see a repeat in a test */

struct sim_slot {
    uint64_t seq;
    uint32_t flags; /* RK_HELD_RX | RK_HELD_TX | RK_SENDING; 0: empty */
    char link[RK_LINK_MAX + 1];
    char key_id[RK_KEY_ID_MAX + 1];
    struct sim_digest digest;
};

struct sim_sas {
    struct sim_slot slot[SIM_SLOTS];
    struct sim_digest used[SIM_USED_MAX]; /* ring: keys installed for transmit */
    uint32_t n_used;                      /* how many there were */
};

#endif
