/* device.h - the simulated device: interfaces with four key slots, and the rules of a MACsec device
 *
 * State and rules only: no options, no faults, no files.  One device belongs to one instance; one call at a time.
 */
#ifndef SIM_DEVICE_H
#define SIM_DEVICE_H

#include <rekey/device.h>

#include <stdbool.h>
#include <stddef.h>

#define SIM_SLOTS 4             /* association numbers */
#define SIM_DIGEST_HEX 32       /* a key's digest [hex digits]: HKDF-SHA-256 of the key, 16 bytes */
#define SIM_USED_MAX 32         /* keys that an interface remembers to have had: enough to see a repeat in a test */
#define SIM_IFACES_MAX 262144   /* interfaces of one device: 100,000 links with both ends on it, and room */
#define SIM_TEXT_MAX 255        /* longest description [bytes] */

struct sim_slot {
    uint32_t flags;                     /* RK_HELD_RX | RK_HELD_TX | RK_SENDING; 0: empty */
    uint64_t seq;
    char link[RK_LINK_MAX + 1];
    char key_id[RK_KEY_ID_MAX + 1];
    char digest[SIM_DIGEST_HEX + 1];
};

struct sim_iface {
    struct sim_iface *next;             /* in its bucket */
    char name[RK_IFACE_MAX + 1];
    char facts[RK_FACTS_MAX + 1];       /* "sci=" and 16 hex digits */
    char text[SIM_TEXT_MAX + 1];        /* its description */
    struct sim_slot slot[SIM_SLOTS];
    char used[SIM_USED_MAX][SIM_DIGEST_HEX + 1]; /* ring: digests of keys installed for transmit */
    uint32_t n_used;                    /* how many there were */
};

struct sim_device {
    const struct rk_host *host;
    char name[33];                      /* of the instance */
    struct sim_iface **buckets;         /* n_buckets, a power of two */
    size_t n_buckets, n_ifaces;
    uint64_t applies, faults, violations;
};

/* What an operation did, for the records of a test. */
struct sim_event {
    struct sim_iface *iface;
    int an;                             /* -1: none */
    char digest[SIM_DIGEST_HEX + 1];    /* "" when no key was concerned */
    bool reused;                        /* the key had been installed for transmit on this interface before */
};

/* sim_device_new - an empty device.   ret: NULL when out of memory */
struct sim_device *sim_device_new(const struct rk_host *host, const char *name);
void sim_device_free(struct sim_device *d);

/* sim_iface_get - the interface called name, made when it is new
 * ret: NULL: out of memory, name too long, or SIM_IFACES_MAX reached */
struct sim_iface *sim_iface_get(struct sim_device *d, const char *name);

/* sim_iface_next - walk over all: first with NULL; ret: NULL at the end */
struct sim_iface *sim_iface_next(const struct sim_device *d, const struct sim_iface *from);

/* sim_do - one operation on an interface by the rules of class A
 * in:   f;  op
 * out:  op->err, op->why;  *ev (all members);  a re-used key is counted in d->violations and logged
 * note: STAGE: the slot seq mod 4 must be free, or hold this very key.  ACTIVATE: the slot must hold the key.
 *       RETIRE: not the key that it sends with */
void sim_do(struct sim_device *d, struct rk_call *call, struct sim_iface *f, struct rk_dev_op *op,
            struct sim_event *ev);

/* sim_look - fill one entry of observe, but for RK_PEER_USES */
void sim_look(const struct sim_iface *f, struct rk_dev_seen *seen);

#endif
