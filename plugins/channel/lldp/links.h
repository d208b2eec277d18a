/* links.h - the links of one instance: their ports, their newest texts, their neighbours
 *
 * One lock for all of it, held for no longer than it takes to copy; never while lldpd is asked.
 */
#ifndef LLDP_LINKS_H
#define LLDP_LINKS_H

#include "ctl.h"
#include "neigh.h"

#include <rekey/channel.h>

#include <stdbool.h>
#include <stdint.h>

#define LLDP_PORT_MAX 15 /* longest name of a Linux interface [bytes] (IFNAMSIZ - 1) */

struct links_format {
    enum lldp_format format;
    char member[LLDP_MEMBER_MAX + 1];
};

struct links;

/* What a port is to show, copied out. */
struct links_job {
    char link[RK_LINK_MAX + 1], port[LLDP_PORT_MAX + 1];
    char ours[LLDP_TEXT_MAX + 1];
    struct ctl_own own;
    uint64_t gen; /* number of the text */
};

/* links_new - ret: owned; NULL: no memory.   links_free - l may be NULL */
struct links *links_new(const struct links_format *format);
void links_free(struct links *l);

/* links_put - a link, new or other than before
 * out:   left  when the link was on another port: what is to be shown there, "" in ours; else left->port is ""
 * ret:   RK_OK, or RK_E_CONFIG, RK_E_CONFLICT, RK_E_NOMEM with words in why[200] */
int links_put(struct links *l, const struct rk_attach *link, int64_t now_ms, struct links_job *left, char *why);

/* links_drop - a link goes;  left  as of links_put */
void links_drop(struct links *l, const char *link, struct links_job *left);

/* links_show - this record is the newest of its link
 * out:   job, when it is to be shown now
 * ret:   RK_OK; RK_E_EMPTY: nothing is to be shown; RK_E_CONFIG, RK_E_CONTRACT, with words in why[200] */
int links_show(struct links *l, const char *link, const char *record, struct links_job *job, char *why);

/* links_shown - job was tried on its port
 * out:   job  the newer one, when there is one by now.   ret: is there */
bool links_shown(struct links *l, struct links_job *job, bool done);

/* links_encode - the text that a device is to show for a record
 * out:   text[LLDP_TEXT_MAX + 1].   ret: as links_show */
int links_encode(struct links *l, const char *link, const char *record, char *text, char *why);

/* links_stale - lldpd was restarted: what the ports show is not known any more */
void links_stale(struct links *l);

/* links_waiting - a link whose port does not show its newest text yet
 * in:    round  a number of the caller's; each link is given once a round
 * ret:   is there one;  links_port_next  the same for all ports, to read them */
bool links_waiting(struct links *l, uint64_t round, struct links_job *job);
bool links_port_next(struct links *l, uint64_t round, struct links_job *job);

/* links_port_at - the i-th link on a port, from 0.   ret: is there one */
bool links_port_at(struct links *l, size_t i, struct links_job *job);

/* links_heard - a neighbour on a port;  links_begin, links_end  see neigh_begin, of a link */
void links_heard(struct links *l, enum ctl_how how, const struct rk_neighbour *seen, int64_t now_ms);
void links_begin(struct links *l, const char *link);
void links_end(struct links *l, const char *link, int64_t now_ms);

/* links_news - see neigh_news, of all links on ports
 * out:   *wait_ms  when there may be more, -1: never.   ret: how many */
size_t links_news(struct links *l, int64_t now_ms, struct rk_post *posts, size_t max, int64_t *wait_ms);

/* links_decode - what the neighbours of a link on a device say
 * out:   posts[max], *n.   ret: RK_OK, RK_E_CONFIG: not attached */
struct links_seen {
    const struct rk_neighbour *seen;
    size_t n;
};
int links_decode(struct links *l, const char *link, struct links_seen all, int64_t now_ms, struct rk_post *posts,
                 size_t max, size_t *n);

/* links_rules - how neighbours of a link are judged, for a look of one's own; borrowed until the link is changed
 * ret:   is the link there and on a port */
bool links_rules(struct links *l, const char *link, struct neigh_rules *rules);

#endif
