/* local.h - the way into a box from itself: a socket of each, for what runs "on the router"
 *
 * As local mgd does, it asks for no credentials: who may open the socket is the box's first user.
 */
#ifndef SIM_LOCAL_H
#define SIM_LOCAL_H

#include "sim.h"

struct local;

/* local_open - listen at DIR/NAME for each box; what another process left there is replaced
 * in:   dir: NULL: no local sessions
 * out:  *out: to be closed by local_close, which also removes the sockets;  NULL without dir
 * ret:  0, or -1 with why[SIM_WHY_MAX].   thread: main */
int local_open(const struct sim_lab *lab, const char *dir, struct local **out, char *why);
void local_close(struct local **l);

/* local_fd - can be read when somebody connects; -1: l is NULL
 * local_accept - the next connection, and its box;   ret: descriptor, or -1: there is none */
int local_fd(const struct local *l);
int local_accept(struct local *l, struct sim_box **box);

#endif
