/* server.h - the one listener of all boxes
 *
 * Every address of 127.0.0.0/8 that a box has leads to it: the address that a client connected to says which box it is.
 */
#ifndef SIM_SERVER_H
#define SIM_SERVER_H

#include "sim.h"

struct local;

/* server_open - listen on the loopback device only
 * in:   address: "" for all boxes, or one;  *port: 0 for any, the real one is put there
 * ret:  descriptor, or -1 with why[SIM_WHY_MAX] */
int server_open(const char *address, uint16_t *port, char *why);

/* server_run - accept until stop_fd can be read; then end all sessions and wait for them.   thread: main
 * in:   local: who else may come (local.h); NULL: nobody */
void server_run(int listener, int stop_fd, const struct sim_lab *lab, struct local *local);

#endif
