/* durable.h - what one end of a link must remember over a crash: the unit that the journal keeps
 *
 * Pure data; never a key byte.  Confirm tags are public once the key is staged at both ends.
 */
#ifndef RK_DURABLE_H
#define RK_DURABLE_H

#include "../base/clock.h"
#include "../base/limits.h"

#include <rekey/device.h>

enum rk_role { RK_MASTER = 1, RK_SLAVE = 2 };

/* How far the rotation `seq` has come.  Written before the effect that it names, see doc/rotation.md. */
enum rk_phase {
    RK_PH_IDLE = 0,       /* no rotation; cur is in use ("" when there is none) */
    RK_PH_INTENT = 1,     /* seq is taken; the key will be asked for (slave: cand is known) */
    RK_PH_FETCHED = 2,    /* master: cand is known and about to be staged */
    RK_PH_STAGED = 3,     /* the device holds cand for receive; mine and theirs are set */
    RK_PH_ACTIVATING = 4, /* the device will transmit on cand: from here on only forward */
    RK_PH_ACTIVE = 5,     /* it does: cur is the new key, prev the old one, still held for receive */
    RK_PH_BURNING = 6     /* cand is given up and will be removed from the device */
};

/* struct rk_durable.flags */
#define RK_DF_HELD 0x1u          /* an operator's key was found in use: nothing is begun or taken until `adopt` */
#define RK_DF_SWEEP 0x2u         /* adopted: keys that are not rekeyd's are removed once both ends use cur */
#define RK_DF_SHUT 0x4u          /* on-stale: shut; the device transmits nothing until the next rotation */
#define RK_DF_FALLBACK 0x8u      /* cur came from the fallback source */
#define RK_DF_CAND_FALLBACK 0x10u /* cand is, or is asked, from the fallback source */

struct rk_durable {
    char link[RK_LINK_MAX + 1];
    char end;                         /* 'a'; 'b' for the second end of a local link */
    uint32_t role;                    /* enum rk_role */
    uint32_t phase;                   /* enum rk_phase */
    uint64_t term;                    /* for several controllers, later; 1 */
    uint64_t seq;                     /* of the rotation under way or last done; never reused */
    uint64_t floor;                   /* highest seq seen or used: a new one is above it */
    uint64_t cur_seq, prev_seq;       /* seq that cur and prev came with */
    char cur[RK_KEY_ID_MAX + 1], prev[RK_KEY_ID_MAX + 1], cand[RK_KEY_ID_MAX + 1];
    char mine[RK_CONFIRM_HEX + 1], theirs[RK_CONFIRM_HEX + 1]; /* confirm tags of cand */
    struct rk_wall cur_since;         /* when cur became the transmit key; 0: never.  A hint: wall time may jump */
    uint64_t cur_boot;                /* the same as boot of the machine (a hash of its boot ID) */
    int64_t cur_boot_ns;              /* and CLOCK_BOOTTIME of it */
    uint32_t flags;                   /* RK_DF_... */
    int64_t start_ms;                 /* class D: start time of cand, Unix time [ms]; else 0 */
};

#endif
