/* ratchet_priv.h - what the files of the ratchet share; private to ratchet*.c */
#ifndef RK_RATCHET_PRIV_H
#define RK_RATCHET_PRIV_H

#include "journal_chankeys.h"
#include "ratchet.h"

/* A place in the journal is the number of the path, times RK_CHANKEYS_MAX, and the slot. */
_Static_assert(RK_PATHS_MAX * RK_CHANKEYS_MAX <= RK_CHANKEY_PLACES && RK_CHANKEY_PLACES % RK_CHANKEYS_MAX == 0,
               "each has its place");

/* A channel key, wrapped by the host of one channel, that is not in the journal yet. */
struct wrapped {
    struct wrapped *next;
    bool written; /* in the open group */
    struct rk_journal_chankey row;
};

/* Of an end with a channel. */
struct ratchet {
    struct {
        uint64_t hash; /* of the key ID; 0: none */
        bool proven;   /* the peer has it, or had it */
    } key[RK_CHANKEYS_MAX];
    uint64_t cur;               /* the key in use, as it was at the last step */
    uint64_t reset_cur;         /* the same, when the peer turned out to have lost its channel keys */
    struct wrapped *wrapped;    /* not in the journal yet */
    uint8_t prove, drop;        /* slots whose rows are to be changed so */
    uint8_t proving, dropping;  /* in the open group */
    bool reset;
    char sign[RK_KEY_ID_MAX + 1]; /* whose channel key signs; "" the auth-key */
};

/* ratchet_hash - of a key ID; 0 of ""
 * ratchet_slot - where the channel key of this key is; -1: it is not held
 * ratchet_forget - it is not held any more, nor is its row
 * ratchet_channels - the channels of an end; ret: how many
 * ratchet_wrapped - keep a wrapped one until it is in the journal;  ratchet_free_wrapped - all of them */
uint64_t ratchet_hash(const char *key_id);
int ratchet_slot(const struct ratchet *r, const char *key_id);
void ratchet_forget(struct end *end, int slot);
size_t ratchet_channels(const struct end *end, struct inst *inst[RK_PATHS_MAX]);
void ratchet_wrapped(struct end *end, const struct inst *channel, const char *key_id, const char *blob);
void ratchet_free_wrapped(struct ratchet *r);

#endif
