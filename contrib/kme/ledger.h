/* ledger.h - what the KMEs of one process tell each other
 *
 * KMEs share no state, but for two things that cannot be played without: which keys of a pair wait to be fetched
 * (a personality that has only the newest ones), and who else a key was issued for (multicast).  Bounded; kept in
 * memory only.
 */
#ifndef KME_LEDGER_H
#define KME_LEDGER_H

#include "keys.h"

#define KME_SHARED_MAX 4096  /* multicast keys that are known; the oldest is forgotten */
#define KME_OTHERS_MAX 64    /* slaves of one key beside the first */

struct kme_ledger;

/* Keys of one pair of SAEs that were given to the master and not fetched by the slave. */
struct kme_waiting {
    struct kme_id *id;
    size_t n, room;
};

/* A key for more than one slave: it is made for the first one. */
struct kme_shared {
    struct kme_id id;
    const struct kme_secret *secret; /* of the KMEs of master and first slave; borrowed from the configuration */
    char master[RK_SAE_MAX + 1], slave[RK_SAE_MAX + 1];
    char other[KME_OTHERS_MAX][RK_SAE_MAX + 1];
    bool fetched[KME_OTHERS_MAX];
    size_t n;
};

/* kme_ledger_new - an empty one; NULL without memory.   kme_ledger_free - ledger may be NULL.   thread: one */
struct kme_ledger *kme_ledger_new(void);
void kme_ledger_free(struct kme_ledger *ledger);

/* kme_ledger_waiting - the list of a pair, made when there is none yet; NULL without memory or without a ledger
 * own:  the ledger's */
struct kme_waiting *kme_ledger_waiting(struct kme_ledger *ledger, const struct kme_names *names);

/* kme_waiting_start - forget all, make room for n.   ret: RK_OK or RK_E_NOMEM
 * kme_waiting_add - after a start, at most n times.  kme_waiting_has - is it there.  kme_waiting_remove - if so */
int kme_waiting_start(struct kme_waiting *w, size_t n);
void kme_waiting_add(struct kme_waiting *w, const struct kme_id *id);
bool kme_waiting_has(const struct kme_waiting *w, const struct kme_id *id);
void kme_waiting_remove(struct kme_waiting *w, const struct kme_id *id);

/* kme_ledger_share - remember a multicast key, by copy; ret: RK_OK or RK_E_NOMEM
 * kme_ledger_shared - the entry of an ID; NULL when it is none.  own: the ledger's, until the next share */
int kme_ledger_share(struct kme_ledger *ledger, const struct kme_shared *shared);
struct kme_shared *kme_ledger_shared(struct kme_ledger *ledger, const struct kme_id *id);

/* kme_shared_at - where the SAE is among the others; -1 when it is not */
int kme_shared_at(const struct kme_shared *shared, const char *sae);

#endif
