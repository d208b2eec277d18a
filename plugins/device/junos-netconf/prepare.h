/* prepare.h - what a router needs once before keys can be installed: statements, without I/O */
#ifndef JN_PREPARE_H
#define JN_PREPARE_H

#include "../../common/junos/read.h"
#include "../../common/junos/shim_set.h"

/* What the router has of all that is not in struct jn_conf. */
struct jn_system {
    bool has_class, netconf_ssh, lldp_all, lldp_names, ntp;
    char user_class[64];         /* of the user that is logged in as; "" not told */
    char (*lldp)[RK_IFACE_MAX + 1]; /* n_lldp interfaces with protocols lldp */
    size_t n_lldp;
    long lldp_interval_s, lldp_delay_s; /* advertisement-interval, transmit-delay; -1 not set */
};

/* jn_system_read - <system> and <protocols> of a get-configuration reply;  user  as whom we are logged in
 * out:  *out (jn_system_free).   ret: RK_OK, RK_E_NOMEM, RK_E_PROTOCOL */
int jn_system_read(const xmlNode *root, const char *user, struct jn_system *out);
void jn_system_free(struct jn_system *s);

/* jn_need_make - what is lacking for the interfaces of want (none: those with apply-macro qkd), and for records when it
 *                carries them
 * in:   view  configuration and clock.   out: *out (jn_need_free).   ret: RK_OK, RK_E_NOMEM; RK_E_CONFIG: too much
 * never: a key, a removal, another binding or mode than what is there */
int jn_need_make(const struct jn_device *d, const struct jn_view *view, const struct jn_system *system,
                 const struct rk_prepare *want, struct jn_need *out);

/* jn_need_apply - load and commit the statements;  what  for the log of the commit
 * ret:  RK_OK (committed), RK_E_UNKNOWN, or a code stated by fail: nothing was changed.   blocks: within the budget */
int jn_need_apply(struct jn_device *d, struct rk_call *call, const struct jn_need *need, const char *what);

/* jn_shim_prepare - words "shim-install" and "shim-remove": tell what the shim needs there, and with want->apply bring
 * its files and commit, or take them away (shim_do.c)
 * ret:  as jn_prepare; when it failed midway the files that were brought stay, and do nothing.   blocks: within the
 * budget */
int jn_shim_prepare(struct jn_device *d, struct rk_call *call, const struct rk_prepare *want, rk_line_fn *line,
                    void *arg);

#endif
