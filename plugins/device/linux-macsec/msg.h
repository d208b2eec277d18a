/* msg.h - requests to the kernel: rtnetlink and the generic netlink family "macsec"
 *
 * Pure: each function writes one message at the begin of a buffer of MACSEC_MSG_MAX bytes.  nl.c numbers and sends it.
 */
#ifndef LINUX_MACSEC_MSG_H
#define LINUX_MACSEC_MSG_H

#include "macsec.h"

#include <libmnl/libmnl.h>

#define MACSEC_MSG_MAX 4096 /* one page; the longest message is below 300 bytes */

/* A MACsec interface to be made. */
struct macsec_new_link {
    char dev[IFNAMSIZ];
    uint32_t parent; /* ifindex */
    uint16_t port;
    uint32_t window; /* [packets] */
    const struct macsec_cipher *cipher;
};

/* An association that is named: of our channel, or of the receive channel rxsc. */
struct macsec_place {
    uint32_t ifindex;
    const struct macsec_sci *rxsc; /* NULL: transmit */
    uint8_t an;
};

struct nlmsghdr *macsec_msg_family(void *buf);
struct nlmsghdr *macsec_msg_dump(void *buf, uint16_t family);
struct nlmsghdr *macsec_msg_get_link(void *buf, const char *name);
/* Strict validation, encryption, replay protection; up. */
struct nlmsghdr *macsec_msg_new_link(void *buf, const struct macsec_new_link *link);
struct nlmsghdr *macsec_msg_encoding(void *buf, uint32_t ifindex, uint8_t an);
struct nlmsghdr *macsec_msg_rxsc(void *buf, uint16_t family, bool add, struct macsec_place place);
struct nlmsghdr *macsec_msg_sa_off(void *buf, uint16_t family, struct macsec_place place);
struct nlmsghdr *macsec_msg_sa_delete(void *buf, uint16_t family, struct macsec_place place);

/* macsec_msg_sa_add - an active association that begins at PN 1
 * in:   ssci  0: not XPN.   sak, salt (NULL: not XPN) borrowed: their bytes are in buf when it returns, wipe it
 * ret:  RK_OK, or what secret_use returned */
struct macsec_new_sa {
    struct macsec_place place;
    struct macsec_key_id key_id;
    uint32_t ssci;
    const struct rk_secret *sak, *salt;
};
int macsec_msg_sa_add(void *buf, uint16_t family, const struct macsec_new_sa *sa, const struct rk_host *host);

#endif
