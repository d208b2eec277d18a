/* observe.h - what an interface is seen to hold, in the words of the contract
 *
 * Pure but for the digests that name keys.
 */
#ifndef LINUX_MACSEC_OBSERVE_H
#define LINUX_MACSEC_OBSERVE_H

#include "iface.h"

/* macsec_look - fill *seen from f, which was loaded.   thread: any */
void macsec_look(const struct macsec_inst *inst, struct macsec_iface *f, struct rk_dev_seen *seen);

#endif
