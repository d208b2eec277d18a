/* journal_chankeys.h - the channel keys of links in the journal, wrapped
 *
 * Owned by the loop of rekeyd, as the rest of the journal; a table of its own, in the same groups as the states.  What
 * is in it is encrypted under a key that rekeyd does not have (core/host/wrap.h).
 */
#ifndef RK_JOURNAL_CHANKEYS_H
#define RK_JOURNAL_CHANKEYS_H

#include "journal.h"

#define RK_BLOB_MAX 255     /* of a wrapped one [bytes]; it is text */
#define RK_CHANKEY_PLACES 16 /* of an end; a multiple of RK_CHANKEYS_MAX */

struct rk_journal_chankey {
    unsigned place; /* below RK_CHANKEY_PLACES */
    bool proven;    /* both ends have had it */
    char channel[RK_NAME_MAX + 1];
    char key_id[RK_KEY_ID_MAX + 1];
    char blob[RK_BLOB_MAX + 1];
};

/* Whose it is. */
struct rk_journal_end {
    const char *link;
    char end;
};

/* rk_journal_chankey_put - write one into the group, over what was at its place
 * rk_journal_chankey_proven - that of this place is proven
 * rk_journal_chankey_drop - delete those of this slot: of each channel, also of one that the link had before; a place
 *                           is a multiple of RK_CHANKEYS_MAX, and the slot
 * rk_journal_chankeys_forget - delete all of an end
 * in:   at  of the end, after rk_journal_put_at() in the same group
 * ret:  as rk_journal_put().   thread: loop only.   blocks: hardly.   src: design: doc/channels.md */
int rk_journal_chankey_put(struct rk_journal *j, const struct rk_journal_place *at, struct rk_journal_end whose,
                           const struct rk_journal_chankey *key);
int rk_journal_chankey_proven(struct rk_journal *j, const struct rk_journal_place *at, struct rk_journal_end whose,
                              unsigned place);
int rk_journal_chankey_drop(struct rk_journal *j, const struct rk_journal_place *at, unsigned slot);
int rk_journal_chankeys_forget(struct rk_journal *j, const struct rk_journal_place *at);

/* rk_journal_chankeys_load - give those of an end, in order of their places
 * in:   each  as of rk_journal_load()
 * ret:  RK_OK, also when there are none; each's non-zero; RK_E_IO; RK_E_PROTOCOL: a row was damaged, and left out
 * thread: loop only.   blocks: disk */
int rk_journal_chankeys_load(struct rk_journal *j, struct rk_journal_end whose,
                             int (*each)(const struct rk_journal_chankey *key, void *arg), void *arg);

#endif
