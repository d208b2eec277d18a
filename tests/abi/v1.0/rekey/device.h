/* device.h - devices: where keys are installed
 *
 * One instance is one device (a router, or this host's kernel).  The host calls it with at most one
 * call at a time; one apply carries everything that is due on the device.
 * Element structs that are passed as arrays never change within an ABI major number.
 */
#ifndef REKEY_DEVICE_H
#define REKEY_DEVICE_H

#include <rekey/channel.h>
#include <rekey/plugin.h>
#include <rekey/source.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RK_IFACE_MAX 64   /* longest interface name [bytes] */
#define RK_FACTS_MAX 48   /* longest facts text [bytes]: [A-Za-z0-9:=,.-], what the peer must know of this end */
#define RK_WHY_MAX 160    /* longest reason text [bytes] */
#define RK_SEEN_KEYS 4    /* most key IDs asked for in one observe */
#define RK_TERMS_MAX 100  /* longest terms of a STAGE or RETIRE [bytes] */

/* Device classes (design: doc/rotation.md).  A plugin declares one in struct rk_plugin.caps; observe may give another
 * one for an interface, see RK_IF_CLASS. */
#define RK_CLASS_A 1 /* static SAK: several receive slots, one transmit */
#define RK_CLASS_B 2 /* CAK with an explicit fallback slot */
#define RK_CLASS_C 3 /* CAK, implicit preceding key only */
#define RK_CLASS_D 4 /* key chain with start times */
#define RK_CLASS_E 5 /* one-way channel */

enum rk_dev_op_kind {
    /* Install the key for receive, ready for transmit, not transmitting.  After RK_OK nothing more is
     * needed from the key's bytes: a crash of any process between STAGE and ACTIVATE loses nothing.
     * Done again for the same (link, seq, key ID) it changes nothing and returns RK_OK.
     * Classes B to E, where MKA uses a key as soon as both ends have it, in one commit: the key becomes the primary one
     * (class D: enters the chain with its start time), and the key of terms "keep=" the fallback one (class B, D, E:
     * in its slot; class C: RK_E_CONFLICT, unchanged, when it is not the primary one now, for only that one becomes
     * the preceding).  "keep=" without an ID keeps what the device uses now.  All other keys that this plugin
     * installed go.  Class D: RK_E_CONFLICT when the start time is not ahead by the device's own clock.  A device that
     * refuses one key in the chain and in the fallback slot may leave the kept key in the chain alone when it goes on
     * with it as the preceding one until the new one is live; the key before it may then stay in the slot. */
    RK_OP_STAGE = 1,
    /* Read back that the transmit slot holds the key, then transmit with it, then read back that it does.
     * RK_E_NOKEY when the slot does not hold it (and nothing was changed).  Not asked of classes B to E. */
    RK_OP_ACTIVATE = 2,
    /* Remove the key.  RK_OK when it is not there.  RK_E_CONFLICT, unchanged, when the device transmits on it.
     * Classes B to E know a key by its ID, and are asked this of a given-up key, in use, there, or not.  In one commit
     * the key of terms "keep=" becomes the primary one again (class C: is committed again; RK_E_NOKEY, unchanged, when
     * the device does not have it in any form), and the given-up key takes the place that it had (fallback, preceding),
     * for the peer's device may have nothing else by then.  It goes with the next STAGE.  A key of a chain whose start
     * time has not come goes at once. */
    RK_OP_RETIRE = 3,
    /* Show text on the interface (LLDP port description), behind the operator's own text, which is kept; what was shown
     * by the last one goes.  A shown text begins with "rk1|" or "|{".  "": show nothing of ours.  Together with other
     * operations on the device it is one commit with them.  RK_E_CONFIG when both do not fit into 255 octets */
    RK_OP_DESCRIBE = 4,
    /* Transmit nothing on the interface until the next ACTIVATE (classes B to E: the next STAGE).  The keys stay, and
     * nothing goes in clear.  RK_E_UNSUPPORTED where the device cannot.  key_id: the key in use. */
    RK_OP_SHUT = 5,
    /* Remove every key of the interface but key_id: an operator has given them up.  RK_E_CONFLICT, unchanged, when the
     * interface does not transmit on key_id. */
    RK_OP_SWEEP = 6
};

struct rk_dev_op {
    uint32_t kind;              /* enum rk_dev_op_kind */
    uint64_t seq;               /* number of the rotation that the key belongs to; class A: AN = seq mod 4 */
    const char *link;           /* link name, the same at both ends */
    const char *iface;          /* interface as configured */
    const char *key_id;         /* key ID; "" for DESCRIBE */
    const char *peer_facts;     /* facts of the other end ("" when it has none) */
    const struct rk_secret *key; /* STAGE: the key, borrowed; else NULL */
    const char *text;           /* DESCRIBE: the text.  STAGE, RETIRE of classes B to E: the terms, "keep=KEY-ID", and
                                 * for STAGE of class D ",start=UNIX-SECONDS" behind it; else NULL */
    int err;                    /* out: RK_OK or a code; preset to RK_E_CONTRACT */
    char why[RK_WHY_MAX];       /* out: reason when err is not RK_OK, NUL-ended */
};

/* What a device was seen to hold of one asked key; classes B to E in brackets. */
#define RK_HELD_RX 0x1u   /* it can receive with the key (it is primary, fallback, preceding, or in the chain) */
#define RK_HELD_TX 0x2u   /* the key is in a transmit slot (it is the primary one; class D: the newest begun) */
#define RK_SENDING 0x4u   /* it transmits with the key now (MKA is live on it, and the SAK in use came by it) */
#define RK_PEER_USES 0x8u /* the peer was seen to transmit with it: frames (a live peer in MKA) on this key */

/* State of an interface. */
#define RK_IF_PRESENT 0x1u   /* the interface is there */
#define RK_IF_UP 0x2u        /* it can carry frames */
#define RK_IF_PROTECTED 0x4u /* nothing leaves or enters it in clear */
#define RK_IF_REKEY 0x8u     /* the key in use must be replaced now (packet numbers run out) */
#define RK_IF_OTHER 0x10u    /* it transmits on a key that is none of those asked for */
/* The class that the interface must be driven as, RK_CLASS_...; 0: the one that the plugin declares */
#define RK_IF_CLASS(c) (((uint32_t)(c) & 0xfu) << 8)
#define RK_IF_CLASS_OF(state) ((state) >> 8 & 0xfu)

struct rk_dev_seen {
    const char *link, *iface;          /* in */
    const char *peer_facts;            /* in: facts of the other end, "" when not known */
    const char *key_ids[RK_SEEN_KEYS]; /* in: key IDs to look for, NULL where unused */
    uint64_t seqs[RK_SEEN_KEYS];       /* in: the seq of each */
    int err;                           /* out: RK_OK, or why this interface could not be read */
    uint32_t state;                    /* out: RK_IF_... */
    uint32_t held[RK_SEEN_KEYS];       /* out: RK_HELD_... of each asked key */
    uint32_t foreign;                  /* out: how many other keys it holds */
    char facts[RK_FACTS_MAX + 1];      /* out: what the peer must know of this end (class A: "sci=16 hex digits";
                                        * class D: "clk=N", N: the device's clock minus this host's [ms]) */
    char why[RK_WHY_MAX];              /* out: reason, or names of the other keys; NUL-ended */
};

/* A link that discover found; borrowed for the call of found.  It grows at its end only. */
struct rk_found {
    uint32_t size;          /* sizeof(struct rk_found) in the plugin's build */
    uint32_t device_class;  /* RK_CLASS_... of the interface */
    const char *iface;
    const char *sae;        /* SAE ID of this end as the device knows it (its host name) */
    const char *peer_sae;   /* SAE ID of the other end (its host name), "" when not known */
    const char *peer_iface; /* its interface, "" when not known */
    const char *const *source; /* options of the key source that the device's own configuration names: name, value,
                                * name, value ... NULL; "plugin" first.  NULL: it names none */
    const char *why;        /* what the device still needs before keys can be installed there; "": nothing */
};
typedef int rk_found_fn(void *arg, const struct rk_found *found); /* ret: RK_OK, or a code with which discover ends */

/* What a device is to be prepared for.  It grows at its end only. */
struct rk_prepare {
    uint32_t size;               /* sizeof(struct rk_prepare) in the core's build */
    uint32_t apply;              /* 0: only tell what would be done; 1: do it */
    const char *const *ifaces;   /* interfaces of the links, NULL-ended */
    uint32_t carries;            /* 1: the device itself shows and hears records of these links (RK_OP_DESCRIBE,
                                  * neighbours), and should be quick to tell of changes */
    const char *const *words;    /* NULL: for its links.  Else for something else, which the first word names,
                                  * NULL-ended, without ifaces; RK_E_UNSUPPORTED: it does not know that word */
};
typedef void rk_line_fn(void *arg, const char *line); /* one line for a person, or of the device's own configuration */

typedef int rk_neighbour_fn(void *arg, const struct rk_neighbour *seen); /* ret: RK_OK, or a code with which it ends */

#define RK_TEND_MS 30000 /* how often tend is called at least [ms] */

struct rk_device_ops {
    uint32_t size; /* sizeof(struct rk_device_ops) in the plugin's build */

    /* apply - do these operations, in order within an interface
     * in:    ops[n], n 1..64
     * out:   ops[n].err and .why; an operation that was not reached keeps RK_E_CONTRACT out: set every one
     * ret:   RK_OK when every operation has its own result (even when all failed);
     *        RK_E_UNKNOWN when it is not known what was done: the core then observes;
     *        any other code when certainly nothing was done
     * own:   op members are borrowed for the call.   thread: one call at a time per instance
     * blocks: within the budget.  idempotent: by (link, seq, key ID)
     */
    int (*apply)(void *inst, struct rk_call *call, struct rk_dev_op *ops, size_t n);

    /* observe - read the truth back; changes nothing but what adoption of a present interface needs
     * in:    seen[n]: link, iface, peer_facts, key_ids, seqs;  n 1..64
     * out:   seen[n]: err, state, held, foreign, facts, why; zeroed before the call
     * ret:   RK_OK when every entry has its own result; else a code
     * note:  also called right after an apply, in its call and within its budget, where operations were done
     * thread: one call at a time per instance.  blocks: within the budget
     */
    int (*observe)(void *inst, struct rk_call *call, struct rk_dev_seen *seen, size_t n);

    /* tend - keep what is open alive, or close it when it has been idle for long; changes nothing on the device
     * Called every RK_TEND_MS while no other call is running.  NULL: not needed
     * ret:   any code is logged, once, and has no other effect.   blocks: one second at most */
    int (*tend)(void *inst, struct rk_call *call);

    /* discover - find the links of the device and what is configured for them.  NULL: not offered
     * out:   found(arg, ...) for each.   ret: RK_OK or a code.   blocks: within the budget */
    int (*discover)(void *inst, struct rk_call *call, rk_found_fn *found, void *arg);

    /* prepare - tell, and when asked do, what the device needs once before keys can be installed: never a key.
     * NULL: not offered.   out: line(arg, ...) for each statement, in order; nothing when nothing is needed
     * ret:   RK_OK (done, when asked to), RK_E_UNKNOWN, or a code: nothing was done.   blocks: within the budget */
    int (*prepare)(void *inst, struct rk_call *call, const struct rk_prepare *want, rk_line_fn *line, void *arg);

    /* neighbours - what is heard by LLDP on these interfaces.  NULL: not offered.  With RK_OP_DESCRIBE it makes a
     * device that can carry records
     * in:    ifaces[n], n 1..64.   out: found(arg, ...) for each neighbour, any number of an interface
     * ret:   RK_OK or a code.   blocks: within the budget */
    int (*neighbours)(void *inst, struct rk_call *call, const char *const *ifaces, size_t n, rk_neighbour_fn *found,
                      void *arg);
};

#ifdef __cplusplus
}
#endif

#endif
