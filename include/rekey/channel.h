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
    int err;                       /* publish: out, result of this post */
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
};

#ifdef __cplusplus
}
#endif

#endif
