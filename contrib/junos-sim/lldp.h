/* lldp.h - LLDP of the simulated routers: what a port says, and what it hears
 *
 * Times of its configuration are seconds of LLDP, two of which take world.lldp_ms.  All of it under world_lock.
 */
#ifndef SIM_LLDP_H
#define SIM_LLDP_H

#include "sim.h"

#define LLDP_TEXT_MAX 256    /* longest text of a frame, with its NUL (IEEE 802.1AB) */
#define LLDP_HEARD_MAX 4     /* neighbours that a port keeps */

struct sim_port;
struct lldp_frame {
    char chassis[24], port[SIM_NAME_MAX + 1], system[64], text[LLDP_TEXT_MAX];
    int64_t ttl_s;           /* 0: it leaves */
};
struct lldp_heard {
    struct lldp_frame frame;
    int64_t at_ms;
};
struct lldp_conf {
    bool on, by_name, by_number; /* by_name: the port's name in place of its description; by_number: the port's ID */
    int64_t interval_s, delay_s, hold;
};
struct lldp_port {
    struct lldp_conf conf;
    char text[LLDP_TEXT_MAX];                /* to be said; "": the port's name */
    struct lldp_frame said;                  /* last; ttl_s 0: nothing yet */
    int64_t sent_ms, send_ms;                /* send_ms: the next one; 0: none */
    uint64_t frames, changes;                /* that it has said; changes: with another text than the one before */
    struct lldp_heard heard[LLDP_HEARD_MAX]; /* the oldest first */
    size_t n_heard;
};

/* Faults of a box. */
#define LLDP_MUTE 1u   /* it says nothing more */
#define LLDP_FROZEN 2u /* it goes on with what it said last */
#define LLDP_LAZY 4u   /* a change is said with the next advertisement only */

/* lldp_read - what the committed configuration says of a port;  root: its top
 * lldp_link - its link came or went.   lldp_run - what is due now
 * lldp_hear - a frame comes in, from whomever: true, unless LLDP does not run there or there is no room
 * lldp_say - what the port says now
 * lldp_age_s - how old it is what was heard, in seconds of LLDP */
void lldp_read(struct sim_port *p, const xmlNode *root, int64_t now);
void lldp_link(struct sim_port *p, int64_t now);
void lldp_run(struct sim_port *p, int64_t now);
bool lldp_hear(struct sim_port *p, const struct lldp_frame *f, int64_t now);
void lldp_say(const struct sim_port *p, struct lldp_frame *f);
int64_t lldp_age_s(const struct lldp_heard *h, int64_t now);

#endif
