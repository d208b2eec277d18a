/* args.h - command line of junos-sim
 *
 * Used before threads start.
 */
#ifndef SIM_ARGS_H
#define SIM_ARGS_H

#include "sim.h"

#define ARGS_BOXES_MAX 64

struct args {
    const char *topology;
    const char *listen;            /* "": all addresses of the loopback device */
    const char *host_keys, *known_hosts;
    const char *local_dir;         /* NULL: no local sessions */
    const char *box[ARGS_BOXES_MAX]; /* NAME=ADDRESS[,PERSONALITY] */
    size_t n_boxes;
    const char *user, *keys, *password, *config; /* of the boxes of the command line; the last three are files */
    int64_t commit_ms;
    int ready_fd, level;
    uint16_t port;
};
/* args_take - ret: -1 to go on, else the exit status
 * args_lab - the boxes: of the topology, or of the command line.   ret: 0, or -1 with why[SIM_WHY_MAX] */
int args_take(int argc, char **argv, struct args *a);
int args_lab(const struct args *a, struct sim_lab *lab, char *why);

#endif
