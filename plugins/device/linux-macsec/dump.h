/* dump.h - reads the kernel's answers
 *
 * Pure, and safe on any bytes: every length is checked before it is believed.
 */
#ifndef LINUX_MACSEC_DUMP_H
#define LINUX_MACSEC_DUMP_H

#include "macsec.h"

#include <libmnl/libmnl.h>

/* macsec_dump_ok - is there a whole message at nlh, of which left bytes are there?  (mnl_nlmsg_ok takes lengths above
 * INT_MAX for negative ones, and so for good.) */
bool macsec_dump_ok(const struct nlmsghdr *nlh, int left);

/* macsec_dump_secy - one message of the dump MACSEC_CMD_GET_TXSC
 * in:   nlh  macsec_dump_ok() holds.   out: *out, whole
 * ret:  RK_OK or RK_E_PROTOCOL */
int macsec_dump_secy(const struct nlmsghdr *nlh, struct macsec_secy *out);

/* macsec_dump_link - RTM_NEWLINK.   macsec_dump_family - the id of a family, from CTRL_CMD_NEWFAMILY
 * in, out, ret: as macsec_dump_secy */
int macsec_dump_link(const struct nlmsghdr *nlh, struct macsec_link *out);
int macsec_dump_family(const struct nlmsghdr *nlh, uint16_t *out);

/* macsec_dump_errno - what NLMSG_ERROR or NLMSG_DONE says: 0 or a positive errno; EPROTO when it is too short */
int macsec_dump_errno(const struct nlmsghdr *nlh);

#endif
