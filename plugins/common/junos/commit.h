/* commit.h - a load and its commit, and what became of it */
#ifndef JN_COMMIT_H
#define JN_COMMIT_H

#include "write.h"

#define JN_TXN_HEX 16

/* What is known when the router was told to commit. */
enum jn_outcome { JN_DONE = 0, JN_NOT_DONE, JN_UNKNOWN };

/* jn_edit_open - open a private copy of the configuration, or lock the shared one, as option candidate says
 * ret:   RK_OK, or a code stated by fail: RK_E_BUSY (with who holds the lock), RK_E_AUTH ...
 * jn_edit_close - discard what was not committed and give it back; never fails, as the session may be over */
int jn_edit_open(struct jn_device *d, struct rk_call *call);
void jn_edit_close(struct jn_device *d, struct rk_call *call);

/* jn_commit_send - commit what is loaded in the open edit, with this text in the log
 * ret:   RK_OK (the router says that it is committed); RK_E_UNKNOWN, RK_E_PROTOCOL: it is to be found out;
 *        RK_E_REJECTED with *reply (the caller's): refused, nothing was committed; else: certainly not committed
 * jn_commit_check - let the router check what is loaded, as a commit would.   ret: the same; commits nothing */
int jn_commit_send(struct jn_device *d, struct rk_call *call, const char *log, struct nc_reply **reply);
int jn_commit_check(struct jn_device *d, struct rk_call *call, struct nc_reply **reply);
/* jn_load_send - put this into the open edit.   ret: RK_OK; RK_E_REJECTED with *reply; else a code; then it is not
 * to be committed */
int jn_load_send(struct jn_device *d, struct rk_call *call, const struct jn_load *load, struct nc_reply **reply);

/* jn_commit_find - after an unknown end: connect again, and look into the commit history until it is known whether the
 * commit with this transaction ID was done, or the budget ends.  holder: session ID of the session that sent it
 * out:   *outcome; JN_UNKNOWN with a text stated by fail */
void jn_commit_find(struct jn_device *d, struct rk_call *call, const char *txn, const char *holder,
                    enum jn_outcome *outcome);

/* jn_refused_code - a code for what the router answered: RK_E_BUSY (locked, another commit), RK_E_AUTH (no permission),
 * else RK_E_REJECTED
 * jn_refused_text - its words on one line; nc_rpc has taken out what may be a key
 * jn_refusal - both, stated by fail.   ret: the code */
int jn_refused_code(const struct nc_error *error);
void jn_refused_text(const struct nc_error *error, char text[RK_WHY_MAX]);
int jn_refusal(struct jn_device *d, struct rk_call *call, const char *what, const struct nc_error *error);

/* jn_deliver - load and commit what the plan wants, in one load and one commit; when the router refuses it for some of
 * its links, those are marked (unit.err, unit.why), and the others are committed by a second one
 * in:    txn  JN_TXN_HEX digits;   links  for the log of the commit
 * ret:   RK_OK: what is not marked is committed; RK_E_UNKNOWN; else a code: certainly nothing was committed
 * blocks: within the budget, of which a part is left for looking */
struct jn_delivery {
    char txn[JN_TXN_HEX + 1];
    unsigned commits; /* out: how many were sent */
};
int jn_deliver(struct jn_device *d, struct rk_call *call, struct jn_plan *plan, struct jn_delivery *delivery);

#endif
