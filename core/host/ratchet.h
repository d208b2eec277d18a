/* ratchet.h - the verb RATCHET: channel keys come, come back, and go
 *
 * Runs in rekey-host.
 */
#ifndef RK_RATCHET_H
#define RK_RATCHET_H

#include "call.h"

/* rk_ratchet_wrong - what of an item of RATCHET cannot be; NULL: nothing */
const char *rk_ratchet_wrong(const struct rk_item *item);

/* rk_run_ratchet - do it: fill call->reply, each item with its own result
 * in:   call->msg.items as core/ipc/msg.h says; their descriptors stay theirs, for rekeyd has other uses for them
 * thread: main.   blocks: never */
void rk_run_ratchet(struct rk_call *call);

/* rk_ratchet_derive - the channel key of a key that leaves for a device, when its item asks for it
 * in:   in  link, ratchet;  key_id.   out: out->chan_fd, -1 when it was not asked
 * ret:  RK_OK, RK_E_NOMEM, RK_E_FATAL.   thread: any.   blocks: never */
int rk_ratchet_derive(const struct rk_item *in, const struct rk_secret *key, const char *key_id, struct rk_item *out);

#endif
