/* channel.h - channels: how records reach the other end
 *
 * A record is one line of printable ASCII without blanks, made and signed by the host; a channel carries it and
 * does not read it.  Each end publishes one record per link, the newest replaces the one before; loss,
 * repetition and reordering are harmless.  The host checks the tag of what watch returns before the
 * core sees it, so a channel need not be secure, only honest about its errors.
 */
#ifndef REKEY_CHANNEL_H
#define REKEY_CHANNEL_H

#include <rekey/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RK_RECORD_MAX 255 /* longest record [bytes]: what an LLDP description holds (IEEE 802.1AB 8.5.5) */
#define RK_LINK_MAX 32    /* longest link name [bytes]: [A-Za-z0-9._-], first a letter or digit */
#define RK_SAE_MAX 64     /* longest SAE ID [bytes] */

struct rk_post {
    char link[RK_LINK_MAX + 1];
    char peer_sae[RK_SAE_MAX + 1]; /* publish: to whom;  watch: from whom when the channel knows, else "" */
    char record[RK_RECORD_MAX + 1];
    int err;                       /* publish: out, result of this post.  watch, decode: RK_OK; RK_E_CONFLICT with words
                                    * in record: something is wrong with the neighbour itself, which is alarmed */
};

/* A link whose records go through an instance; borrowed for the call.  It grows at its end only. */
struct rk_attach {
    uint32_t size;            /* sizeof(struct rk_attach) in the core's build */
    uint32_t on;              /* 0: not any more; then only link counts */
    const char *link, *peer_sae;
    const char *iface;        /* as configured for the device, as "macsec0@eth1" */
    const char *peer_chassis; /* IDs that the neighbour must show, as configured; "": any */
    const char *peer_port;
    uint32_t carried;         /* 1: the device shows and hears the text (encode, decode); 0: publish, watch */
};

/* What is heard by LLDP on an interface (IEEE 802.1AB); borrowed for the call.  It grows at its end only. */
struct rk_neighbour {
    uint32_t size;            /* sizeof(struct rk_neighbour) in the build of who fills it */
    uint32_t ttl_s;           /* how long it is still valid [s]; 0: not known */
    const char *iface;        /* of this end, as configured */
    const char *chassis, *port; /* IDs as text: a MAC address in lower case with colons; "" when not known */
    const char *system;       /* system name, "" when not known */
    const char *description;  /* port description, as it came */
};

struct rk_channel_ops {
    uint32_t size; /* sizeof(struct rk_channel_ops) in the plugin's build */

    /* publish - make these the newest records of their links, durably where the channel can
     * in:    posts[n]: link, peer_sae, record;  n  1..64
     * out:   posts[n].err
     * ret:   RK_OK when all were published; else the first code (each entry has its own)
     * thread: one publish at a time per instance, beside one watch.  blocks: within the budget
     */
    int (*publish)(void *inst, struct rk_call *call, struct rk_post *posts, size_t n);

    /* watch - wait until records of the other end are there that this instance has not returned yet
     * in:    max  room in posts, 1..64
     * out:   posts[*n]: link, peer_sae, record, 0 <= *n <= max.  After init all present records count as new
     * ret:   RK_OK with *n == 0 when the budget ended without news; a code when the channel is broken
     * thread: one watch at a time per instance.  blocks: until news, the end of the budget or cancel
     * note:  what cannot be read (too long, unprintable, wrong link name) is left out and logged once, or returned
     *        with words instead of a record (they have blanks, a record has none) that say why: the host counts it
     */
    int (*watch)(void *inst, struct rk_call *call, struct rk_post *posts, size_t max, size_t *n);

    /* What follows may be NULL.
     *
     * attach - a link goes through this instance, other than before, or not any more
     * Called after init for each link, and before the first publish of it.
     * ret:   RK_OK, or a code: records of this link cannot go through here, and the text says why
     * thread: none of the others runs of this instance but watch.  blocks: within the budget */
    int (*attach)(void *inst, struct rk_call *call, const struct rk_attach *link);

    /* encode - what a device is to show for this record (RK_OP_DESCRIBE), when devices carry it
     * in:    post: link, peer_sae, record.   out: text[RK_RECORD_MAX + 1], printable ASCII
     * ret:   RK_OK or a code.   thread: any number at once.  blocks: never */
    int (*encode)(void *inst, struct rk_call *call, const struct rk_post *post, char *text);

    /* decode - what the neighbours of an attached link say, when devices carry it
     * in:    link;  seen[n]: all neighbours on its interface, n may be 0;  max  room in posts, 1..64
     * out:   posts[*n_posts] as of watch
     * ret:   RK_OK or a code.   thread: one at a time per instance.  blocks: never */
    int (*decode)(void *inst, struct rk_call *call, const char *link, const struct rk_neighbour *seen, size_t n,
                  struct rk_post *posts, size_t max, size_t *n_posts);

    /* test - go the way to the other end step by step, and say what is wrong (rk_host.step); changes nothing
     * ret:   RK_OK, or the code of the step that failed.   blocks: within the budget */
    int (*test)(void *inst, struct rk_call *call);
};

#ifdef __cplusplus
}
#endif

#endif
