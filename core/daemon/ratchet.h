/* ratchet.h - by which key an end's records are signed, and which of its peer's records count
 *
 * Runs in the loop.  Each key of a link gives its channels a key as well, made where the link's key is, kept by the
 * hosts of the channels, and wrapped in the journal: rekeyd sees names and descriptors only.  doc/channels.md says why.
 */
#ifndef RK_RATCHET_DAEMON_H
#define RK_RATCHET_DAEMON_H

#include "daemon.h"

/* ratchet_setup - what the journal has of this end, which has its channel and its configuration
 *                 ret: RK_OK, RK_E_NOMEM
 * ratchet_free - forget it; NULL is fine */
int ratchet_setup(struct end *end);
void ratchet_free(struct end *end);

/* ratchet_wants - is the channel key of the end's next key to be made: only when a record will be signed by it
 * ratchet_takes - a key came for the end; when its channel key came with it, it is taken, and true: the end hears of
 *                 its key when the hosts of its channels have the channel key, or that none will
 * ratchet_dispatch - hand over what waits for this channel
 * ratchet_left - the channel goes: nothing waits for it any more */
bool ratchet_wants(const struct end *end);
bool ratchet_takes(struct end *end, struct rk_item *item);
void ratchet_dispatch(struct inst *inst);
void ratchet_left(struct inst *inst);

/* ratchet_bound - the channel's host knows these links: give their channel keys back to it, or, when it is new to a
 *                 link, what the hosts of others have wrapped
 * ratchet_unbound - it does not need them any more */
void ratchet_bound(struct inst *inst, struct path *const *paths, size_t n);
void ratchet_unbound(struct inst *inst, const struct end *end);

/* ratchet_follow - the model has made a step.   ratchet_store - the end's state was written: so are its channel keys,
 * in the same group.   ratchet_stored - that group was committed, or not
 * ratchet_lost - the journal was begun anew: its channel keys are to be wrapped and written again */
void ratchet_follow(struct end *end, const struct rk_todo *todo);
void ratchet_store(struct end *end);
void ratchet_stored(struct end *end, bool ok);
void ratchet_lost(struct end *end);

/* ratchet_sign - whose channel key is to sign the end's record: into item->key_id, "" the auth-key
 * ratchet_still_signs - is what was signed by this key ID's channel key still as good as what would be signed now
 * ratchet_counts - does a record count whose tag was right; the end is roused
 *   in: by  the key ID whose channel key signed it, "" the auth-key;  stale  a newer one was there.   out: *why, if not
 * ratchet_name - of people's view: "off", "none" yet, "on", "reset" */
void ratchet_sign(const struct end *end, struct rk_item *item);
bool ratchet_still_signs(const struct end *end, const char *by);
bool ratchet_counts(struct end *end, const char *by, bool stale, const char **why);
const char *ratchet_name(const struct end *end);

#endif
