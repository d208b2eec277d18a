/* found.h - links that a device found, as links of the configuration
 *
 * A found link has a name that both ends make alike, a source, and a channel; or a reason why it cannot be used.
 */
#ifndef RK_FOUND_H
#define RK_FOUND_H

#include "../base/limits.h"
#include "../base/setting.h"

#include <rekey/device.h>

#include <stdbool.h>

struct rk_conf_set;

struct rk_found_link {
    char device[RK_NAME_MAX + 1];
    char name[RK_LINK_MAX + 1];      /* "" it has none, for an end of it is not known */
    char iface[RK_IFACE_MAX + 1], peer_iface[RK_IFACE_MAX + 1];
    char sae[RK_SAE_MAX + 1], peer_sae[RK_SAE_MAX + 1];
    char source[RK_NAME_MAX + 1];    /* of the configuration, that has the device's KME; "" none */
    char kme[RK_VALUE_MAX];          /* host of the KME that the device names; "" none */
    uint32_t device_class;
    char needs[RK_WHY_MAX];          /* what the device still needs (rk_found.why); "" */
    char why[RK_WHY_MAX];            /* why it is not used; "" it is, or can be */
    unsigned missed;                 /* looks in a row that did not find it */
    bool used;                       /* out of the last reading of the configuration: it is one of its links */
};

struct rk_found_list {
    struct rk_found_link *list; /* n of them, of all devices */
    size_t n;
};

/* rk_found_name - the name of a link, the same at both ends: of their SAE IDs and interfaces
 * ret:  false: an end is not known.   thread: any.  blocks: never */
struct rk_found_end {
    const char *sae, *iface;
};
bool rk_found_name(struct rk_found_end a, struct rk_found_end b, char name[RK_LINK_MAX + 1]);

/* rk_found_source - the source of the configuration that these options mean: of the same plugin, at the same
 * KME.   ret: its name, of set; NULL: none, or several */
const char *rk_found_source(const struct rk_conf_set *set, const struct rk_setting *settings, size_t n);

/* rk_found_setting - the value of one of them; NULL */
const char *rk_found_setting(const struct rk_setting *settings, size_t n, const char *name);

#endif
