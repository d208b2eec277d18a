/* source.h - key sources: where keys come from
 *
 * A source gives keys with an ID (get_new, at the master SAE), and the same key for an ID
 * (get_by_id, at the slave SAE).  Words and meaning follow ETSI GS QKD 014 V1.1.1 clauses 5 and 6.
 * Element structs that are passed as arrays never change within an ABI major number.
 */
#ifndef REKEY_SOURCE_H
#define REKEY_SOURCE_H

#include <rekey/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RK_KEY_ID_MAX 64 /* longest key ID [bytes], printable ASCII without blanks, '|' and '/' */

struct rk_key {
    char id[RK_KEY_ID_MAX + 1]; /* NUL-ended; UUIDs in lower case, 8-4-4-4-12 */
    int err;                    /* RK_OK, or why this key is not there */
    struct rk_secret *secret;   /* the key when err is RK_OK: owned by the host from the return on */
};

struct rk_source_status {
    int64_t stored_keys;     /* keys that can be had now; -1: not known */
    int64_t max_per_request; /* largest n of one call; -1: not known */
    int64_t min_bits, max_bits; /* key sizes [bits]; -1: not known */
    char text[160];          /* one line for a person, NUL-ended */
};

/* struct rk_source_test - what is to be tested; it grows at its end only */
struct rk_source_test {
    uint32_t size;               /* sizeof(struct rk_source_test) in the core's build */
    uint32_t min_bits, max_bits; /* shortest and longest key that the links want [bits]; 0: not known */
    const char *peer_sae;        /* as in status; "": all that does not depend on it, which is tested first and once */
};

struct rk_source_ops {
    uint32_t size; /* sizeof(struct rk_source_ops) in the plugin's build */

    /* get_new - take n new keys that peer_sae can ask for by ID (master SAE; enc_keys)
     * in:    peer_sae  the slave SAE ID;  bits  exact key size [bits], a multiple of 8;  n  1..64
     * out:   keys[n]: id and secret, or err; every entry whose err is RK_OK holds exactly `bits` bits
     * ret:   RK_OK when at least one entry is filled; else a code, and no secret is left in keys
     * note:  a key once taken is never given again.  A request whose answer was lost is not sent again:
     *        return RK_E_UNKNOWN, the key is counted as orphaned
     * thread: any worker; several at once when the plugin has RK_CAP_PARALLEL.  blocks: within the budget
     * src:   ETSI GS QKD 014 V1.1.1, 5.2 and 6.3
     */
    int (*get_new)(void *inst, struct rk_call *call, const char *peer_sae, uint32_t bits,
                   struct rk_key *keys, size_t n);

    /* get_by_id - take the keys with the IDs keys[i].id (slave SAE; dec_keys)
     * in:    peer_sae  the master SAE ID;  bits;  keys[n].id;  n  1..64
     * out:   keys[n]: secret, or err (RK_E_KEY_GONE, RK_E_AGAIN when it may still arrive, ...)
     * ret:   as get_new.   thread, blocks: as get_new
     * src:   ETSI GS QKD 014 V1.1.1, 5.3 and 6.4
     */
    int (*get_by_id)(void *inst, struct rk_call *call, const char *peer_sae, uint32_t bits,
                     struct rk_key *keys, size_t n);

    /* status - what the source has for peer_sae; consumes nothing.  NULL: not offered
     * out:   *st, all members set.   ret: RK_OK or a code
     * src:   ETSI GS QKD 014 V1.1.1, 5.1 and 6.1
     */
    int (*status)(void *inst, struct rk_call *call, const char *peer_sae,
                  struct rk_source_status *st);

    /* test - go the way to a key step by step, as far as it goes, for a person who wants to know what is wrong;
     * consumes nothing.  When all is well without a peer, it is called for each.  NULL: status is the only step
     * in:    t.   out: each step by host->step(), in order, with what to do about it
     * ret:   RK_OK when keys could be had this way, though a step may have failed; else a code
     * thread, blocks: as get_new.   src: design
     */
    int (*test)(void *inst, struct rk_call *call, const struct rk_source_test *t);
};

#ifdef __cplusplus
}
#endif

#endif
