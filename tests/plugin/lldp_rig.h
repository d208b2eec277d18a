/* lldp_rig.h - two real lldpd in two network namespaces that a veth pair joins, for tests of the channel "lldp"
 *
 * All of it is made anew and has unusual names, and is gone at the end: only processes that were started here are
 * ended.
 */
#ifndef LLDP_RIG_H
#define LLDP_RIG_H

#include "scratch.h"

#include <stdbool.h>
#include <sys/types.h>

struct lldp_rig {
    struct scratch scratch;
    char ns[2][32], port[2][16], socket[2][100];
    pid_t pid[2]; /* of each lldpd; 0: it does not run */
};

/* lldp_rig_start - ret: NULL, or why this cannot be had here */
const char *lldp_rig_start(struct lldp_rig *r);
void lldp_rig_end(struct lldp_rig *r);

/* lldp_rig_lldpd - start that lldpd and wait until it answers;  lldp_rig_kill - end it
 * ret:   is it there */
bool lldp_rig_lldpd(struct lldp_rig *r, int end);
void lldp_rig_kill(struct lldp_rig *r, int end);

/* lldp_rig_meet - wait until each hears the other.   ret: do they */
bool lldp_rig_meet(const struct lldp_rig *r);

/* lldp_rig_cli - run lldpcli at that end;  lldp_rig_ip - run ip in that namespace.   ret: did it succeed */
bool lldp_rig_cli(const struct lldp_rig *r, int end, const char *args);
bool lldp_rig_ip(const struct lldp_rig *r, int end, const char *args);

/* lldp_rig_shows - the port description of that end's own port, as lldpcli tells it, in out[300] */
const char *lldp_rig_shows(const struct lldp_rig *r, int end, char *out);

/* lldp_rig_frame - send an LLDPDU from that end's port that lldpd did not make
 * in:    chassis  MAC address;  ttl [s];  description[len]  any bytes, 0..511 */
struct lldp_rig_frame {
    unsigned char chassis[6];
    const char *port, *system;
    unsigned ttl;
    const void *description;
    size_t len;
    size_t count_at; /* where in it the number of the frame is written, 4 digits; 0: nowhere */
};
bool lldp_rig_frame(const struct lldp_rig *r, int end, const struct lldp_rig_frame *f, unsigned times);

#endif
