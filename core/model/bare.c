/* bare.c - what a key ID alone says.  Pure.
 *
 * Anyone may have written it, or it is an old one: so it never leads back to a key that was in use or given up before,
 * and never takes the place of a newer one. */
#include "bare.h"

#include "end_step.h"

#include <string.h>

static uint64_t
newest(const struct rk_end *e)
{
    uint64_t seq = e->d.floor > e->d.seq ? e->d.floor : e->d.seq;

    return e->peer.role && e->peer.seq > seq ? e->peer.seq : seq;
}

/* It stays with the key in use: said again, or after another one that came to nothing.  While that one is under way it
 * may be an old word that was late. */
static const char *
same_key(const struct rk_end *e, struct rk_record *r)
{
    r->seq = e->d.cur_seq;
    if (!e->peer.role || e->peer.seq <= e->d.cur_seq)
        return NULL;
    if (e->d.phase != RK_PH_IDLE)
        return "the key ID in use, after a newer one: late, or replayed";
    r->say = RK_SAY_ACTIVE;
    r->seq = e->peer.seq;
    return NULL;
}

const char *
rk_bare_record(const struct rk_end *e, const char *key_id, struct rk_record *r)
{
    if (!rk_of(e)->one_way)
        return "a key ID without a record: only a link of class E takes one";
    if (rk_is_master(e))
        return "the peer names keys, too: both ends are masters";
    if (e->peer.role == RK_MASTER && strcmp(e->peer.key, key_id) == 0) {
        *r = e->peer;
        return NULL;
    }
    memset(r, 0, sizeof *r);
    memcpy(r->link, e->d.link, sizeof r->link);
    r->role = RK_MASTER;
    r->say = RK_SAY_OFFER;
    r->term = e->d.term ? e->d.term : 1;
    r->seq = e->d.seq;
    if (strlen(key_id) >= sizeof r->key)
        return "a key ID that is too long";
    strcpy(r->key, key_id);
    if (e->d.cur[0] && strcmp(key_id, e->d.cur) == 0)
        return same_key(e, r);
    if (e->d.cand[0] && strcmp(key_id, e->d.cand) == 0 && e->d.phase != RK_PH_IDLE)
        return NULL;
    if (rk_end_uses(e, key_id, false))
        return "a key ID of before: late, or replayed";
    if (newest(e) >= RK_SEQ_MAX)
        return "the numbers of rotations are used up";
    r->seq = newest(e) + 1;
    return NULL;
}
