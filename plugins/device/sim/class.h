/* class.h - what differs by device class: one row of functions for each */
#ifndef SIM_CLASS_H
#define SIM_CLASS_H

#include "device.h"

#include <stdio.h>

#define SIM_OPS (RK_OP_SWEEP + 1)
#define SIM_END_BYTES 5120 /* longest state of one end of a link, as text */
#define SIM_PEERS_MAX 8    /* ends of one link that are looked at: two, and those of tests that get it wrong */

/* What the other ends of a link have written down (witness.h). */
struct sim_peers {
    size_t n;
    bool cut; /* nothing comes through between the ends */
    char text[SIM_PEERS_MAX][SIM_END_BYTES];
};

/* One line of a test's log. */
struct sim_line {
    const char *op, *link, *key_id;
    uint64_t seq;
    int an, err;
    char digest[SIM_DIGEST_HEX + 1];
};
typedef void sim_line_fn(void *arg, const struct sim_line *line);

struct sim_class {
    uint32_t class;
    const char *name;
    const char *ops[SIM_OPS];                  /* names of its operations in events.log */
    int (*op[SIM_OPS])(struct sim_job *j);     /* NULL: not supported.  ret: the operation's result */

    /* begin, end - make and free what an interface has of this class.   ret: false: out of memory */
    bool (*begin)(struct sim_iface *f);
    void (*end)(struct sim_iface *f);
    /* settle - what the device does by itself, up to now; NULL: nothing.  peers: NULL: not known
     * ret:  true: something is other than before */
    bool (*settle)(struct sim_device *d, struct rk_call *call, struct sim_iface *f, const struct sim_peers *peers);
    /* look - fill one entry of observe */
    void (*look)(const struct sim_device *d, const struct sim_iface *f, const struct sim_peers *peers,
                 struct rk_dev_seen *seen);
    /* print - the end's state of a link for the other end.   ret: bytes; size or more: does not fit */
    size_t (*print)(const struct sim_device *d, const struct sim_iface *f, const char *link, char *text, size_t size);
    /* compare - does the link have what it needs?  Calls breach for each that it has not (op: what it is) */
    void (*compare)(const struct sim_device *d, struct sim_iface *f, const char *link, const char *peer,
                    sim_line_fn *breach, void *arg);
    /* held - a line for each key that is held.   used - true: another key is transmitted with since the last time
     * that it was asked; NULL: never told */
    void (*held)(const struct sim_iface *f, sim_line_fn *fn, void *arg);
    bool (*used)(const struct sim_device *d, struct sim_iface *f, struct sim_line *line);
    /* save, load - lines of the state file (keep.h).   ret of load: false: no line of this class */
    void (*save)(const struct sim_iface *f, FILE *out);
    bool (*load)(const struct sim_device *d, struct sim_iface *f, const char *line);
};

#define SIM_CLASSES 5
extern const struct sim_class *const sim_classes[SIM_CLASSES];          /* a to e */
extern const struct sim_class sim_class_a;                              /* sa.c */
extern const struct sim_class sim_class_b, sim_class_c, sim_class_d, sim_class_e; /* cak_class.c */

#endif
