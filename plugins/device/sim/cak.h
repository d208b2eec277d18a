/* cak.h - classes B to E: CAKs as a device's configuration has them, and the MKA participants that they make
 *
 * cak.c has the keys and the commits of classes B, C and E, chain.c those of class D, mka.c what MKA does with them,
 * cak_class.c the rows of functions and all that is told.
 */
#ifndef SIM_CAK_H
#define SIM_CAK_H

#include "class.h"

/* Where the configuration, or MKA by itself, has a key. */
#define SIM_PRIMARY 0x1u   /* class D: the newest of the chain that has begun */
#define SIM_FALLBACK 0x2u
#define SIM_PRECEDING 0x4u /* was primary; used until the new primary one is live */
#define SIM_CHAIN 0x8u
#define SIM_SAVED 0x10u    /* class C: not in use; in the configuration that a rollback brings back */
#define SIM_HOLDS (SIM_PRIMARY | SIM_FALLBACK | SIM_PRECEDING | SIM_CHAIN)
#define SIM_TALKS (SIM_PRIMARY | SIM_FALLBACK | SIM_PRECEDING) /* has a participant */

#define SIM_RING_MIN 4
#define SIM_RING_MAX 64
#define SIM_GONE 4       /* former participants that the other end is told of */
#define SIM_START_MAX 20 /* "2026-11-22.16:30:00" */
#define SIM_LIFE 3       /* a participant that is not heard for so many hello times is gone: 6 s of 2 s */

struct sim_key {
    uint64_t seq;
    int64_t since_ns; /* its participant sends hellos since then; ahead: will; SIM_NEVER: none */
    int64_t heard_ns; /* last hello of the peer since both hear each other; 0: it was never live */
    unsigned place;   /* SIM_PRIMARY ... */
    bool own;         /* installed by an operation; false: by someone else, which only a state file can say */
    char start[SIM_START_MAX]; /* class D: local time of the device; "" else */
    char key_id[RK_KEY_ID_MAX + 1];
    struct sim_digest digest;
};

struct sim_gone {
    int64_t since_ns, until_ns; /* until 0: none */
    char key_id[RK_KEY_ID_MAX + 1];
    struct sim_digest digest;
};

struct sim_cak {
    struct sim_key *keys;
    size_t n;
    struct sim_gone gone[SIM_GONE]; /* ring */
    uint32_t n_gone;
    uint32_t unknown;               /* times that the peer was heard with keys that are not known here */
    uint64_t unknown_set;           /* hash of those of now */
    uint64_t signature;             /* of what settle left */
    bool shut;
    bool met;                       /* both ends had a common key once */
    char link[RK_LINK_MAX + 1];
    char told[RK_KEY_ID_MAX + 1];   /* what was transmitted with when it was last told */
};

/* The terms of STAGE and RETIRE. */
struct sim_terms {
    char keep[RK_KEY_ID_MAX + 1]; /* "": what is in use now */
    int64_t start_s;              /* Unix time; 0: none */
};

/* ---- cak.c ---- */

struct sim_key *sim_cak_find(const struct sim_cak *c, const char *key_id);
/* sim_cak_at - the first key with this place, or NULL */
struct sim_key *sim_cak_at(const struct sim_cak *c, unsigned place);
/* sim_cak_add - a key without place.   ret: NULL: out of memory; pointers to keys are void after it */
struct sim_key *sim_cak_add(struct sim_cak *c, const char *key_id, const struct sim_digest *digest);
/* sim_cak_tidy - forget keys that have no place any more */
void sim_cak_tidy(const struct sim_device *d, struct sim_cak *c);

/* sim_cak_check - the terms of a STAGE, and whether it can be
 * out:  *terms, with keep as it is given;  *keep  the key to keep, NULL: there is none
 * ret:  RK_OK, or a code with op->why */
int sim_cak_check(struct sim_job *j, struct sim_terms *terms, struct sim_key **keep);
/* sim_cak_terms - ret: RK_OK, or RK_E_CONTRACT with op->why */
int sim_cak_terms(struct rk_dev_op *op, bool wants_start, struct sim_terms *terms);
/* sim_cak_enter - the staged key, added when it is new.   ret: NULL: out of memory; pointers are void after it */
struct sim_key *sim_cak_enter(struct sim_job *j);

/* The operations: RETIRE, STAGE of classes B and E, of class C; SHUT and SWEEP of all. */
int sim_cak_stage(struct sim_job *j);
int sim_cak_stage_c(struct sim_job *j);
int sim_cak_retire(struct sim_job *j);
int sim_cak_retire_c(struct sim_job *j);
int sim_cak_shut(struct sim_job *j);
int sim_cak_sweep(struct sim_job *j);

/* ---- chain.c ---- */

int sim_chain_stage(struct sim_job *j);
int sim_chain_retire(struct sim_job *j);
/* sim_chain_roles - the newest key that has begun is the primary one */
void sim_chain_roles(const struct sim_device *d, struct sim_cak *c);
/* sim_chain_begins_ms - when the key begins by the device's clock, Unix time [ms] */
int64_t sim_chain_begins_ms(const struct sim_device *d, const struct sim_key *k);
/* sim_device_ms - the device's own clock, Unix time [ms] */
int64_t sim_device_ms(const struct sim_device *d);
/* sim_time_put - Unix time as local time of the device.   sim_time_get - back; false: it is none */
void sim_time_put(const struct sim_device *d, int64_t unix_s, char out[SIM_START_MAX]);
bool sim_time_get(const struct sim_device *d, const char *text, int64_t *unix_s);

/* ---- mka.c ---- */

#define SIM_AIR_MAX 24

struct sim_hello {
    char key_id[RK_KEY_ID_MAX + 1];
    struct sim_digest digest;
    int64_t since_ns, until_ns; /* until 0: still */
};

/* What comes from the other end. */
struct sim_air {
    struct sim_hello hello[SIM_AIR_MAX];
    size_t n;
    bool shut;
};

void sim_air_read(const char *text, struct sim_air *air);
bool sim_mka_settle(struct sim_device *d, struct rk_call *call, struct sim_iface *f, const struct sim_peers *peers);
bool sim_mka_live(const struct sim_device *d, const struct sim_key *k);
/* sim_mka_sender - the key by which the SAK in use came; NULL: nothing is transmitted */
const struct sim_key *sim_mka_sender(const struct sim_device *d, const struct sim_cak *c);
/* sim_mka_stop - the participant of k ends; the other end is told until when it was there */
void sim_mka_stop(struct sim_cak *c, struct sim_key *k, int64_t now_ns);

#endif
