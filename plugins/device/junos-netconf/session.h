/* session.h - what the files of this plugin share: a router that is reached over SSH, its options, its session */
#ifndef JN_SESSION_H
#define JN_SESSION_H

#include "../../common/junos/junos.h"

/* One instance: one router.  Its first member is what the operations that all plugins for Junos share know of it. */
struct jn_router {
    struct jn_device d;       /* session: its struct nc_session */
    struct jn_named names;    /* of d */
    char *known_hosts, *agent, *key_value, *passphrase_value;
    uint16_t port;
    bool trust_first_use;
    int64_t rpc_ms, idle_ms;
    int64_t used_ms, opened_ms; /* when the session was last used, and opened, monotonic */
};

extern const struct jn_line jn_ssh; /* session.c */
int jn_tend(void *inst, struct rk_call *call); /* operation of the plugin (session.c) */
int jn_prepare(void *inst, struct rk_call *call, const struct rk_prepare *want, rk_line_fn *line, void *arg);

extern const struct rk_opt jn_opts[]; /* options.c */
/* jn_router_read - read the options of an instance and check its files
 * ret:   RK_OK, or a code stated by fail.   jn_router_free - free what was read */
int jn_router_read(struct jn_router *r, struct rk_call *call, const struct rk_conf *conf);
void jn_router_free(struct jn_router *r);

#endif
