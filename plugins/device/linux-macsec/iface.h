/* iface.h - the interfaces of one call: found, made or adopted, and what the kernel holds for each
 *
 * One dump serves all interfaces of a call.  One call at a time per instance.
 */
#ifndef LINUX_MACSEC_IFACE_H
#define LINUX_MACSEC_IFACE_H

#include "name.h"
#include "nl.h"

struct macsec_inst {
    const struct rk_host *host;
    const struct macsec_cipher *cipher;
    uint32_t window;       /* [packets] */
    uint16_t port;
    uint64_t pn_threshold; /* 0: by the cipher */
    struct macsec_nl nl;
};

struct macsec_call {
    struct macsec_inst *inst;
    struct macsec_time time;
    uint16_t family; /* of generic netlink, asked for anew in each call: a reloaded module has another */
};

/* A switch of the transmit slot that is still to be read back. */
struct macsec_switch {
    struct rk_dev_op *op; /* NULL: none */
    uint8_t an, old_an;
    bool had_old; /* old_an was in use */
    struct macsec_key_id key_id;
};

struct macsec_iface {
    const char *text; /* as configured */
    struct macsec_names names;
    struct macsec_link link;
    struct macsec_secy secy;
    bool wanted;  /* make it when it is not there and has a parent */
    bool absent;  /* it was not there when looked for (and may have been made since) */
    bool read;    /* secy is what the kernel holds */
    int err;      /* RK_OK: present and as the options want it */
    char why[RK_WHY_MAX];
    struct macsec_switch pending;
};

/* macsec_say - write why[RK_WHY_MAX] and return err */
int macsec_say(char *why, int err, const char *fmt, ...) RK_PRINTF(3, 4);

/* macsec_refused - the code for what the kernel answered to `act` on dev, with a text that says what to do
 * in:   refusal  errno, not 0.   out: why[RK_WHY_MAX] */
struct macsec_act {
    const char *dev;
    const char *what; /* "add transmit association 2" */
};
int macsec_refused(char *why, struct macsec_act act, int refusal);

/* macsec_failed - the text for a code of macsec_nl_ask;  ret: err */
int macsec_failed(char *why, struct macsec_act act, int err);

/* macsec_ifaces_load - find each interface, make those that are wanted, read all that the kernel holds
 * in:   ifaces[n].text, .wanted;  n up to 64.   out: the rest of each; err and why for each apart
 * ret:  RK_OK; a code, with why[RK_WHY_MAX], when the kernel could not be asked at all */
int macsec_ifaces_load(struct macsec_call *c, struct macsec_iface *ifaces, size_t n, char *why);

/* macsec_ifaces_read - read anew what the kernel holds for ifaces[n]; an interface that is gone has read == false
 * ret:  as macsec_ifaces_load */
int macsec_ifaces_read(struct macsec_call *c, struct macsec_iface *ifaces, size_t n, char *why);

#endif
