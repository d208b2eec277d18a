/* supply.h - what the scheduler knows of a source, and the ends that ask it go by
 *
 * Pure data, one for each source and peer SAE: made by core/sched, read by the ends.  An end without one goes by
 * its interval alone.
 */
#ifndef RK_SUPPLY_H
#define RK_SUPPLY_H

#include "../base/clock.h"

#include <rekey/device.h>

#include <stdbool.h>
#include <stdint.h>

#define RK_PRIORITIES 8    /* of links: 0 the lowest */
#define RK_STRETCH_NONE 1000u

struct rk_supply {
    bool wait;      /* it gives no keys: ends do not begin, but for one that is let through to see */
    bool dry;       /* its keys have run out, or will soon: SOURCE-DRY */
    int err;        /* why wait is set */
    char why[RK_WHY_MAX];
    int64_t retry_ns; /* wait: when the next key is asked for */
    int64_t end_ns;   /* when the keys end if each link rotates at its interval; RK_NEVER: not in sight */
    uint16_t squeeze[RK_PRIORITIES]; /* how much of what a link may be slowed down it must be [per mille] */
};

/* rk_supply_stretch - by what the interval of a link is multiplied now
 * in:   s  NULL: nothing is known;  priority;  most  what the link bears at most [per mille, 1000 or more]
 * ret:  [per mille], 1000 or more.  At squeeze 1000 it is most; in between, the link's use of keys goes down in
 *       proportion to squeeze.   thread: any.   blocks: never.   src: design */
uint32_t rk_supply_stretch(const struct rk_supply *s, unsigned priority, uint32_t most);

#endif
