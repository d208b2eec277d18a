/* bare.h - a peer that is no rekeyd and names no more than the key ID that it uses
 *
 * Pure.  The old script shows the newest key ID, for as long as there is no newer one: without a number, a role or a
 * tag.  An end of class E understands that as the offers of a master.
 */
#ifndef RK_BARE_H
#define RK_BARE_H

#include "end.h"

/* rk_bare_record - what the peer would say by a record
 * The rotation's number is made up here: one above all that this end has seen, for a key ID that is new to it; the one
 * that it had, for the key ID that the peer named last, or that is in use or under way.
 * in:   key_id  as it was heard
 * out:  *r, to be taken as RK_EV_PEER, when NULL is returned
 * ret:  NULL; else why it counts for nothing, static.   thread: loop only.   src: design: doc/rotation.md */
const char *rk_bare_record(const struct rk_end *e, const char *key_id, struct rk_record *r);

#endif
