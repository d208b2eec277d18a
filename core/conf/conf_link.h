/* conf_link.h - what the readers of links share: one link, and those that devices find
 *
 * Only for core/conf/conf_link.c, conf_channels.c and conf_group.c.
 */
#ifndef RK_CONF_LINK_H
#define RK_CONF_LINK_H

#include "conf_priv.h"

enum {
    NAME, DEVICE, INTERFACE, PEER_SAE, SOURCE, CHANNEL, PEER_DEVICE, PEER_INTERFACE, PEER_SOURCE,
    INTERVAL, DRAIN, VERIFY, KEY_BITS, ROLE, ON_STALE, FALLBACK_SOURCE, PEER_FALLBACK_SOURCE, SHUT_AFTER, START_LEAD,
    PRIORITY, STRETCH_MAX, SOURCES, PEER_SOURCES, REQUIRE, CHANNELS, PEER_CHASSIS, PEER_PORT, RATCHET, DISCOVER,
    DISCOVER_EVERY, N_KEYS
};

/* A link as it is read: its own values, and those of the defaults where it has none. */
struct reading {
    struct rk_conf_read *r;
    struct rk_link_conf *link;
    struct rk_node *own[N_KEYS], *v[N_KEYS];
};

/* One end of a link, for finding interfaces that are used twice. */
struct link_end {
    size_t device;
    const char *iface;
    const char *link;
    int line, col;  /* where the interface is said */
    int link_line;
};

struct link_ends {
    struct link_end *list; /* n of them */
    size_t n;
};

extern const struct rk_opt rk_link_opts[N_KEYS + 1];

/* rk_link_number - a value of the link, or the option's default.  *v stays 0 when it is wrong
 * rk_link_read - g->own over the defaults into g->link;  rk_link_read_ends - the same, and its interfaces into all */
void rk_link_number(struct reading *g, int key, int64_t *v);
void rk_link_read(struct reading *g, struct rk_node *const *defaults);
void rk_link_read_ends(struct reading *g, struct rk_node *const *defaults, struct link_ends *all);

/* rk_link_reference - index of the instance that this key names, of this kind; SIZE_MAX: none, or an error */
size_t rk_link_reference(struct reading *g, int key, uint32_t kind);

/* conf_channels.c: rk_link_channels - the channel of the link, or several, into g->link
 * rk_link_pins - what the neighbour of the link must show, into g->link; local: it has none */
void rk_link_channels(struct reading *g, bool local);
void rk_link_pins(struct reading *g, bool local);

/* conf_group.c: rk_group_read - one group of links that a device finds, into the set
 * rk_groups_add - the links of r->found that belong to one of the set's groups, as they were read, behind all others */
void rk_group_read(struct reading *g, struct rk_node *node, struct rk_node *const *defaults);
void rk_groups_add(struct rk_conf_read *r, struct reading *groups, struct rk_node *const *defaults,
                   struct link_ends *all);

#endif
