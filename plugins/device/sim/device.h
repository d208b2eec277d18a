/* device.h - the simulated device: its interfaces, its clocks, and the way of an operation to the rules of its class
 *
 * State and rules only: no faults, no files.  One device belongs to one instance; one call at a time.
 */
#ifndef SIM_DEVICE_H
#define SIM_DEVICE_H

#include <rekey/device.h>

#include <stdbool.h>
#include <stddef.h>

#define SIM_DIGEST 16         /* a key's digest [bytes]: HKDF-SHA-256 of the key */
#define SIM_DIGEST_HEX 32     /* the same [hex digits] */
#define SIM_IFACES_MAX 262144 /* interfaces of one device: 100,000 links with both ends on it, and room */
#define SIM_TEXT_MAX 255      /* longest description [bytes] */
#define SIM_NEVER INT64_MAX

struct sim_class; /* class.h */
struct sim_sas;   /* sa.h: keys of class A */
struct sim_cak;   /* cak.h: keys of classes B to E */

struct sim_digest {
    unsigned char bytes[SIM_DIGEST];
};

/* The clocks that a device goes by; tests have their own. */
struct sim_clock {
    int64_t (*boot_ns)(void); /* CLOCK_BOOTTIME */
    int64_t (*wall_ms)(void); /* Unix time */
};

/* There may be 100,000 of these: what only some need is not in it. */
struct sim_iface {
    struct sim_iface *next; /* in its bucket */
    char *text;             /* its description; NULL: none */
    struct sim_sas *sas;    /* of class A, else NULL */
    struct sim_cak *cak;    /* of the other classes, else NULL */
    char sci[17];           /* 16 hex digits */
    char name[];
};

struct sim_device {
    const struct rk_host *host;
    const struct sim_class *class;
    struct sim_clock clock;
    char name[33];                /* of the instance */
    struct sim_iface **buckets;   /* n_buckets, a power of two */
    size_t n_buckets, n_ifaces;
    int64_t hello_ns;             /* MKA: hello time; a peer that is not heard for three is gone */
    int64_t clock_offset_ms;      /* the device's own clock minus the host's */
    int zone_minutes;             /* its local time minus UTC */
    size_t ring;                  /* slots of its key chain */
    uint64_t applies, faults, violations;
};

/* What an operation did, for the records of a test. */
struct sim_event {
    struct sim_iface *iface;
    int an;                          /* -1: none */
    char digest[SIM_DIGEST_HEX + 1]; /* "" when no key was concerned */
    bool reused;                     /* class A: the key had been installed for transmit on this interface before */
};

/* One operation under way. */
struct sim_job {
    struct sim_device *d;
    struct rk_call *call;
    struct sim_iface *f;
    struct rk_dev_op *op;
    struct sim_event *ev;
    struct sim_digest digest; /* STAGE: of the key */
};

/* sim_device_new - an empty device on the system's clocks.   ret: NULL when out of memory */
struct sim_device *sim_device_new(const struct rk_host *host, const char *name, const struct sim_class *class);
void sim_device_free(struct sim_device *d);

/* sim_iface_get - the interface called name, made when it is new
 * ret: NULL: out of memory, name too long, or SIM_IFACES_MAX reached */
struct sim_iface *sim_iface_get(struct sim_device *d, const char *name);

/* sim_iface_next - walk over all: first with NULL; ret: NULL at the end */
struct sim_iface *sim_iface_next(const struct sim_device *d, const struct sim_iface *from);

/* sim_iface_text - set its description.   ret: false: out of memory */
bool sim_iface_text(struct sim_iface *f, const char *text);

/* sim_do - one operation on an interface by the rules of the device's class
 * in:   f;  op
 * out:  op->err, op->why;  *ev (all members) */
void sim_do(struct sim_device *d, struct rk_call *call, struct sim_iface *f, struct rk_dev_op *op,
            struct sim_event *ev);

/* sim_refuse - say why in op->why.   ret: err */
int sim_refuse(struct rk_dev_op *op, int err, const char *fmt, ...) RK_PRINTF(3, 4);

/* sim_foreign - count and name a key that was not asked for */
void sim_foreign(struct rk_dev_seen *seen, const char *key_id);

bool sim_digest_same(const struct sim_digest *a, const struct sim_digest *b);
/* sim_digest_hex - into hex[SIM_DIGEST_HEX + 1].   sim_digest_read - ret: false: hex is none */
void sim_digest_hex(const struct sim_digest *digest, char *hex);
bool sim_digest_read(const char *hex, struct sim_digest *out);

#endif
