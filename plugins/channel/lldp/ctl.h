/* ctl.h - one connection to lldpd, through liblldpctl with input and output of our own, so that budgets hold
 *
 * Runs on worker threads of rekey-host; a connection is used by one call at a time.  After a failure it is of no more
 * use and is to be closed: half a message may be under way.
 */
#ifndef LLDP_CTL_H
#define LLDP_CTL_H

#include "text.h"

#include <rekey/plugin.h>

#include <stdint.h>

/* How a text is carried: as port description, or in an organisational TLV of its own. */
struct ctl_carry {
    bool tlv;
    unsigned char oui[3];
    int subtype;
};

struct ctl;

enum ctl_how { CTL_NEW, CTL_HEARD, CTL_GONE }; /* GONE: its time ran out, or it said goodbye */

/* Called for each neighbour; iface is the port of this end, seen->description NULL when nothing is shown. */
typedef void ctl_heard_fn(void *arg, enum ctl_how how, const struct rk_neighbour *seen);

/* ctl_quiet - liblldpctl is to write nothing to stderr.  Once for the process, any number of times */
void ctl_quiet(void);

/* ctl_open - connect to lldpd
 * in:    path  of its socket; NULL: that of the library;  carry  borrowed until ctl_close
 * out:   *out, owned by the caller.   ret: RK_OK, or a code stated by fail().   blocks: within the budget */
int ctl_open(const struct rk_host *host, struct rk_call *call, const char *path, const struct ctl_carry *carry,
             struct ctl **out);
void ctl_close(struct ctl **c);

/* ctl_usable - has nothing failed on it */
bool ctl_usable(const struct ctl *c);

/* ctl_show - make this the text of a port
 * in:    own  what the operator had on it when it was ours that was there last, see ctl_own;  ours  see lldp_ours
 * ret:   RK_OK, or a code stated by fail(): RK_E_NOENT lldpd does not have the port
 * blocks: within the budget */
struct ctl_own { /* the operator's text: whole, and as it was shown when both did not fit */
    char whole[LLDP_TEXT_MAX + 1], shown[LLDP_TEXT_MAX + 1];
};
int ctl_show(struct ctl *c, struct rk_call *call, const char *port, const struct lldp_bytes *ours,
             struct ctl_own *own);

/* ctl_same - did the port show the text of the last ctl_show already: then lldpd sent no frame
 * ctl_send - have lldpd send the frames of all ports now.   ret: RK_OK, or a code stated by fail() */
bool ctl_same(const struct ctl *c);
int ctl_send(struct ctl *c, struct rk_call *call);

/* ctl_read - all neighbours of a port
 * ret:   RK_OK, RK_E_NOENT lldpd does not have the port, or a code;  stated by fail() */
int ctl_read(struct ctl *c, struct rk_call *call, const char *port, ctl_heard_fn *heard, void *arg);

/* ctl_watch - be told of changes from now on: by ctl_pump, which takes what is there without waiting
 * ret:   RK_OK, or a code stated by fail();  pump: RK_E_UNREACHABLE when lldpd is gone */
int ctl_watch(struct ctl *c, struct rk_call *call, ctl_heard_fn *heard, void *arg);
int ctl_pump(struct ctl *c, struct rk_call *call);

/* ctl_fd - readable when ctl_pump has something to do */
int ctl_fd(const struct ctl *c);

#endif
