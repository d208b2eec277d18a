/* inst.h - instances of the module: one per device, source or channel of the configuration
 *
 * The table and all members but those named otherwise belong to the main thread.
 */
#ifndef RK_INST_H
#define RK_INST_H

#include "bind.h"
#include "chankeys.h"
#include "loader.h"

#include <stdbool.h>

struct rk_inst {
    uint32_t id;
    const struct rk_module *module;
    /* Written by the worker that runs init, then read only. */
    void *data;                 /* the plugin's */
    char name[RK_NAME_MAX + 1];
    char sae[RK_SAE_MAX + 1];   /* this site's */
    struct rk_chankeys *keys;   /* channels; else NULL */
    /* The main thread's. */
    struct rk_binds binds;
    unsigned calls;             /* calls that hold it, waiting ones included */
    unsigned running;
    unsigned busy;              /* running ones but WATCH, of a channel ... */
    unsigned attaching;         /* ... and its ATTACH that are not over: other calls but WATCH wait for them */
    bool publishing, watching, decoding;
    bool ready;                 /* init returned RK_OK */
    bool dropped;               /* no longer in the table; ends with its last call */
};

struct rk_insts {
    struct rk_inst **list; /* n, by id */
    size_t n, room;
};

/* rk_inst_add - a new instance in the table
 * out: *out, owned by the table.  ret: RK_OK; RK_E_CONTRACT: id is taken, or RK_INSTANCES_MAX; RK_E_NOMEM */
int rk_inst_add(struct rk_insts *t, const struct rk_module *module, uint32_t id, struct rk_inst **out);
struct rk_inst *rk_inst_find(const struct rk_insts *t, uint32_t id);
/* rk_inst_take - take it out of the table; the caller owns it */
void rk_inst_take(struct rk_insts *t, struct rk_inst *inst);
/* rk_inst_free - free it, fini() having been called where it must be; *inst becomes NULL */
void rk_inst_free(struct rk_inst **inst);

#endif
