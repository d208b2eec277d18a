/* script.c - the peer of a class E end: the old script, which publishes or reads, and never answers.
 *
 * As master it takes a new key each interval, commits it, and publishes its ID without reading anything.  As slave it
 * reads what is published, and commits what it does not have.  Its device has no fallback slot; it keeps no journal,
 * and when something fails it does nothing until the next time.
 */
#include "sim.h"

#include <string.h>

static void
commit(struct sim_end *s)
{
    struct sim_slot *slot = s->dev.slot;

    slot[S_PRECEDING] = slot[S_PRIMARY];
    slot[S_PRIMARY] = (struct sim_slot){.key = s->fetched, .bytes = s->fetched_bytes, .rx = true, .tx = true,
                                        .since_ns = end_link(s)->sim->now_ns};
    key_id(s->fetched, s->e.d.cur);
    memcpy(s->disk.cur, s->e.d.cur, sizeof s->disk.cur);
    mka_settle(end_link(s));
}

static bool
can_commit(const struct sim_end *s)
{
    int64_t now_ns = end_link(s)->sim->now_ns;

    return now_ns >= s->dev.reach_ns && now_ns >= s->dev.up_ns;
}

static void
offer(struct sim_end *s)
{
    struct sim_link *l = end_link(s);

    s->act = (struct sim_act){.act = RK_ACT_NONE};
    if (!can_commit(s) || kme_get_new(s) != RK_OK)
        return;
    commit(s);
    s->said = (struct rk_record){.role = RK_MASTER, .say = RK_SAY_OFFER, .term = 1, .seq = ++s->e.d.seq};
    memcpy(s->said.link, l->name, sizeof s->said.link);
    key_id(s->fetched, s->said.key);
    s->n_said++;
}

static void
follow(struct sim_end *s)
{
    const struct sim_end *peer = end_peer(s);

    if (!peer->n_said || peer->said.say != RK_SAY_OFFER || end_link(s)->sim->now_ns < peer->mute_ns || !can_commit(s))
        return;
    s->act = (struct sim_act){.act = RK_ACT_NONE, .key = key_number(peer->said.key)};
    if (s->act.key != key_number(s->e.d.cur) && kme_get_by_id(s) == RK_OK)
        commit(s);
}

void
script_step(struct sim_end *s)
{
    struct sim_link *l = end_link(s);
    const struct sim_conf *conf = &l->sim->conf;

    if (s->disk.role == RK_MASTER && l->sim->now_ns >= s->script_due_ns) {
        offer(s);
        s->script_due_ns += conf->interval_ns;
    } else if (s->disk.role == RK_SLAVE) {
        follow(s);
    }
    if (s->n_said && l->sim->now_ns >= s->mute_ns) /* what it has published can be read at any time */
        end_peer(s)->hear_ns = l->sim->now_ns + 1;
    s->script_ns = l->sim->now_ns + conf->verify_ns;
}
