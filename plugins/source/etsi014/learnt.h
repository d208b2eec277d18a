/* learnt.h - what an instance has learnt of its KME, and what it lost there; kept as long as the instance
 *
 * Nothing here is needed to be right: it saves requests that the KME refused before.
 */
#ifndef ETSI014_LEARNT_H
#define ETSI014_LEARNT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PEERS_MAX 4096        /* peers that are remembered: more than one KME serves */
#define PEER_BUCKETS 256
#define STATUS_PAUSE_MS 10000 /* between questions for status that a refusal leads to */
#define HOLD_MAX_MS 60000     /* longest Retry-After that is believed: a rotation must not wait for ever on a typo */

enum counted { ASKED_NEW, ASKED_IDS }; /* what a limit is about: keys of enc_keys, IDs of dec_keys */

struct learnt_peer;

struct learnt {
    struct learnt_peer *peers[PEER_BUCKETS]; /* guarded by the instance's lock, as kme_id */
    size_t n_peers;
    char kme_id[41];            /* source_KME_ID of a status; "" not known */
    atomic_int only;            /* method auto: the method that this KME takes (enum method) */
    atomic_bool no_optional;    /* it refused extension_optional */
    atomic_llong hold_until_ms; /* monotonic: the KME asked to be left alone until then */
    atomic_ullong orphaned;     /* keys asked for without an answer of the KME: it may have given them away */
    atomic_ullong wasted;       /* keys that came and cannot be used */
};

struct etsi;

/* learnt_most - how many keys one request for this peer may ask for, as far as is known
 * learnt_told - the KME's status says so; 0 or less: it says nothing
 * learnt_fits - a request for more than n was refused, and one for n was not
 * learnt_refused - was even one key refused, when it was asked for last?  learnt_set_refused - it was, or was not
 * thread: any.   blocks: never */
size_t learnt_most(struct etsi *e, const char *peer, enum counted what);
void learnt_told(struct etsi *e, const char *peer, int64_t n);
void learnt_fits(struct etsi *e, const char *peer, enum counted what, size_t n);
bool learnt_refused(struct etsi *e, const char *peer, enum counted what);
void learnt_set_refused(struct etsi *e, const char *peer, enum counted what, bool refused);

/* learnt_may_ask_status - true when no status of this peer was asked in the last STATUS_PAUSE_MS; that begins anew */
bool learnt_may_ask_status(struct etsi *e, const char *peer);

/* learnt_kme - the KME's own name as its status gave it */
void learnt_kme(struct etsi *e, const char *kme_id);
/* learnt_kme_id - kme-id of the options, else what a status told, else "-";  buf  room for it */
const char *learnt_kme_id(struct etsi *e, char buf[41]);

/* learnt_hold - leave the KME alone for this long [s];  learnt_held_ms - how much of that is left [ms], 0: none */
void learnt_hold(struct etsi *e, long seconds);
int learnt_held_ms(struct etsi *e);

/* learnt_free - forget all;  no other thread uses e any more */
void learnt_free(struct etsi *e);

#endif
