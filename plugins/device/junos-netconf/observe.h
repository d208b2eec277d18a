/* observe.h - what a view of a router says of one interface */
#ifndef JN_OBSERVE_H
#define JN_OBSERVE_H

#include "read.h"

/* jn_observe_parts - the parts of a view that jn_tell looks at.   jn_tell - fill one entry of observe; pure
 * in:   v with these parts;  seen: link, iface, key_ids, seqs.   out: seen: the rest, err and why among them */
unsigned jn_observe_parts(const struct jn_device *d);
void jn_tell(const struct jn_device *d, const struct jn_view *v, struct rk_dev_seen *seen);

#endif
