/* plan.h - what is to be changed on a router: decided from its configuration, without I/O
 *
 * The plan has one unit for each interface that the operations name.  A unit starts as the committed configuration
 * has it; each operation, in order, moves keys between its places, or is refused and leaves it as it was.  What differs
 * between the committed configuration and the unit is written as a load (write.c) and committed (commit.c), and after
 * that the configuration must show the unit (jn_unit_shown).
 *
 * Ownership: `apply-macro rekey` of the connectivity association has a pair for each key that this plugin has put into
 * one of its places: the CKN, and the seq of the rotation that the key belongs to, 0 when it is not known.  The macro
 * is committed, rolled back and restored together with the keys, so it never says more than is true.
 */
#ifndef JN_PLAN_H
#define JN_PLAN_H

#include "read.h"
#include "sealed.h"

#define JN_MACRO "rekey" /* name of the macro */
#define JN_OWN_MAX 72    /* pairs of it that are looked at: every place of a chain, and some */
#define JN_TEXT_MAX 255  /* longest description that LLDP carries [bytes] */

/* A place for a key: pre-shared-key, fallback-key, an entry of the chain.  ckn "": it is empty. */
struct jn_place {
    char ckn[JN_CKN_HEX + 1];
    const struct rk_secret *cak;    /* as bytes, when it is known; borrowed */
    const struct rk_secret *stored; /* as the router shows it, when it is known; borrowed */
    int64_t start_s;                /* Unix time; 0: none */
    bool bad_start, inactive;
};

struct jn_own {
    char ckn[JN_CKN_HEX + 1];
    char seq[24];
};

struct jn_unit {
    char iface[RK_IFACE_MAX + 1];
    const struct jn_ca *ca;       /* NULL: the unit is only described */
    const struct jn_chain *chain; /* class D; else NULL */
    uint32_t class;
    struct jn_place psk, fallback, slot[JN_SLOTS];
    struct jn_own own[JN_OWN_MAX];
    size_t n_own;
    bool bind;                    /* the interface is bound to it by this commit, for it is bound to none */
    bool described;               /* text is wanted as the description */
    char text[JN_TEXT_MAX + 1];
    const char *was_text;         /* the description now, "" none */
    bool text_hidden;             /* there is one that cannot be told (struct jn_text) */
    bool skip;                    /* commit.c: not to be written now */
    int err;                      /* commit.c: the router refused this unit */
    char why[RK_WHY_MAX];
};

/* One operation of the plan. */
struct jn_step {
    struct jn_unit *unit;         /* NULL: refused before it had one */
    bool todo;                    /* its result depends on the commit; else ops[].err is final */
    char ckn[JN_CKN_HEX + 1], keep[JN_CKN_HEX + 1];
    struct rk_secret *cak;        /* of a new key, owned */
    const char *note;             /* a warning for the log; static, NULL: none */
};

struct jn_plan {
    struct jn_unit *unit;
    size_t n_unit;
    struct jn_step *step;         /* one for each operation */
    size_t n_step;
    int32_t zone_s;               /* the router's local time minus UTC, for start times */
};

struct jn_plan_in {
    struct jn_device *d;
    const struct jn_view *view;   /* configuration; MKA when jn_plan_wants says so; the clock for class D */
    int64_t now_s;                /* by the router's clock */
};

/* jn_plan_wants - the parts of a view (JN_WANT_...) that a plan for these operations looks at */
unsigned jn_plan_wants(const struct jn_device *d, const struct rk_dev_op *ops, size_t n);

/* jn_plan_make - decide
 * out:   *out, owned by the caller (jn_plan_free), valid as long as the view and what is sealed;
 *        ops[].err, .why: set where step.todo is false
 * ret:   RK_OK, RK_E_NOMEM */
int jn_plan_make(const struct jn_plan_in *in, struct rk_dev_op *ops, size_t n, struct jn_plan **out);
void jn_plan_free(const struct rk_host *host, struct jn_plan **plan);

/* jn_place_differs - is this place to be written: it has a key, and another one or another start time than it had;
 * was: NULL none.   jn_place_gone - is it to be emptied */
bool jn_place_differs(const struct jn_place *p, const struct jn_key *was);
bool jn_place_gone(const struct jn_place *p, const struct jn_key *was);
/* jn_chain_key - the entry of a slot as the chain has it, NULL: none */
const struct jn_key *jn_chain_key(const struct jn_chain *chain, size_t slot);
/* jn_ca_is_new - has this association neither a security mode nor a key?  A router commits static-cak only together
 * with a key, so the first one brings it; a mode that is there is never changed */
bool jn_ca_is_new(const struct jn_ca *ca);
/* jn_is_ckn - is it the name of a key: 2..64 hexadecimal digits, an even number */
bool jn_is_ckn(const char *text);
/* jn_pair_of - the pair of a macro with this name, NULL: none */
const struct jn_pair *jn_pair_of(const struct jn_macro *m, const char *name);
/* jn_unit_differs - is there anything to be committed for this unit
 * jn_unit_shown - does this configuration show the unit as it was wanted?  what: what it shows not, for people */
bool jn_unit_differs(const struct jn_unit *u);
bool jn_unit_shown(const struct jn_unit *u, const struct jn_conf *conf, const char **what);

/* ---- for plan_psk.c and plan_chain.c ---- */

struct jn_terms {
    bool has_keep;
    char keep[JN_CKN_HEX + 1]; /* CKN of the key to keep */
    int64_t start_s;
};
/* What one operation is decided from. */
struct jn_case {
    const struct jn_plan_in *in;
    struct jn_unit *u;
    struct jn_step *step;
    struct rk_dev_op *op;
    struct jn_terms terms;
};

/* jn_refuse - set the result of an operation.   ret: err */
int jn_refuse(struct rk_dev_op *op, int err, const char *fmt, ...) RK_PRINTF(3, 4);
/* jn_unit_place - where the unit has this key, NULL: nowhere.   jn_owns - has this plugin put it there?
 * jn_own_set - note that; seq NULL: leave what is noted, else 0 */
struct jn_place *jn_unit_place(struct jn_unit *u, const char *ckn);
bool jn_owns(const struct jn_unit *u, const char *ckn);
void jn_own_set(struct jn_unit *u, const char *ckn, const uint64_t *seq);
bool jn_own_is(const struct jn_unit *u, const char *ckn, uint64_t seq);
/* jn_key_get - the key in any form that can be put somewhere: sealed, or as the router stores it
 * ret:  false: there is none */
bool jn_key_get(const struct jn_case *c, const char *ckn, struct jn_place *out);
/* jn_sender - the key that MKA shows in use on the interface: its CKN; "" none or not to be told */
void jn_sender(const struct jn_case *c, char ckn[JN_CKN_HEX + 1]);
/* jn_fresh - the key of the operation as a place.   ret: RK_OK, or refused */
int jn_fresh(struct jn_case *c, struct jn_place *out);

/* What each kind does to the unit.   ret: RK_OK (done; or as it was, when it was so already), or refused */
int jn_psk_stage(struct jn_case *c);
int jn_psk_retire(struct jn_case *c);
int jn_psk_sweep(struct jn_case *c);
int jn_chain_stage(struct jn_case *c);
int jn_chain_retire(struct jn_case *c);
int jn_chain_sweep(struct jn_case *c);
int jn_describe(struct jn_case *c); /* plan_text.c */

#endif
