/* end_step.h - what the files of the state machine share; private to core/model
 *
 * end_table.c has the table and the step; end.c enters states and takes the answers to actions.  end_fail.c says what
 * follows from failures, end_peer.c from a record heard; end_wait.c, end_master.c and end_slave.c from a wait;
 * end_policy.c from age and operators, end_supply.c from the source's state, end_resume.c from the device's truth.
 * end_say.c and end_explain.c have what an end says to its peer and to people.
 */
#ifndef RK_END_STEP_H
#define RK_END_STEP_H

#include "end.h"

struct step { /* one call of rk_end_step */
    struct rk_end *e;
    const struct rk_event *ev;
    int64_t now_ns;
    struct rk_todo *todo;
};

typedef void handler(struct step *s);

#define HELD_BOTH (RK_HELD_RX | RK_HELD_TX)
#define LIVE (RK_SENDING | RK_PEER_USES) /* of a CAK: MKA is live on it at both ends */
/* How often a device is read while MKA is awaited: one hello (IEEE 802.1X-2020: 2 s). */
#define POLL_NS (2 * RK_NS_PER_S)

static inline bool
rk_is_master(const struct rk_end *e)
{
    return e->d.role == RK_MASTER;
}

static inline const struct rk_variant *
rk_of(const struct rk_end *e)
{
    return rk_variant(e->class);
}

/* rk_staged_bits - what a device shows of a key that is staged, RK_HELD_... */
static inline uint32_t
rk_staged_bits(const struct rk_end *e)
{
    return rk_of(e)->cak ? RK_HELD_RX : HELD_BOTH;
}

static inline int64_t
rk_poll_ns(const struct rk_end *e)
{
    return e->verify_ns < POLL_NS ? e->verify_ns : POLL_NS;
}

/* rk_margin_ns - class D: how long before its start time a key must be confirmed at both ends */
static inline int64_t
rk_margin_ns(const struct rk_end *e)
{
    return e->lead_ns / 4;
}

/* ---- end.c ---- */

/* rk_end_go - enter a state: ask for its action, or publish and look at the peer's record */
void rk_end_go(struct step *s, enum rk_state state);
/* rk_end_burn - give the candidate up: first in the journal, then on the device, then for good */
void rk_end_burn(struct step *s, int err, const char *why);
/* rk_end_retry - ask for the state's action again, later;  rk_end_poll - read the device, a poll later */
void rk_end_retry(struct step *s);
void rk_end_poll(struct step *s);
/* rk_end_remember - the last result, for people;  rk_end_note - a history event;  rk_end_alarm - raise or clear */
void rk_end_remember(struct step *s, int err, const char *why);
void rk_end_note(struct step *s, const char *event, const char *key_id);
void rk_end_alarm(struct rk_end *e, uint32_t alarm, bool on);
uint32_t rk_end_alarm_of(enum rk_state state);
/* With their numbers: rk_end_drop_prev - there is no previous key;  rk_end_go_back - it is the current one again
 * rk_end_change_places - of cur and prev */
void rk_end_drop_prev(struct rk_durable *d);
void rk_end_go_back(struct rk_durable *d);
void rk_end_change_places(struct rk_durable *d);
/* rk_end_choose_start - class D: the candidate begins one lead from now */
void rk_end_choose_start(struct step *s);
/* rk_end_staged - the device holds the candidate, and the tags are known */
void rk_end_staged(struct step *s);
/* rk_end_finish - the rotation is done: the old key is gone, or stays as the fallback */
void rk_end_finish(struct step *s);
/* rk_end_next - when to do the next of what is done each step_ns, within that time: ends that are due together also
 * look at their device together, which takes one call then, and none is busy with a look of its own when all are due */
int64_t rk_end_next(const struct rk_end *e, int64_t step_ns, int64_t now_ns);
/* rk_end_wake_at - wake it then, unless it wakes sooner */
void rk_end_wake_at(struct step *s, int64_t at_ns);
handler rk_on_start, rk_on_tick, rk_on_observed, rk_on_key, rk_on_done_intent, rk_on_done_fetched, rk_on_done_stage,
    rk_on_done_staged, rk_on_done_activating, rk_on_done_device, rk_on_done_active, rk_on_done_idle, rk_on_done_burning,
    rk_on_done_burnt, rk_on_done_shutting;

/* ---- end_fail.c, end_peer.c, end_policy.c ---- */

handler rk_on_failed, rk_on_peer, rk_on_rotate, rk_on_adopt;
/* rk_end_pause - the next rotation is due soon after a failure, but not at once */
void rk_end_pause(struct step *s);
/* rk_end_judge_class - are the classes of both ends a pair that is proved */
void rk_end_judge_class(struct rk_end *e);
/* rk_end_judge_clock - class D: does the device's own clock bear start times */
void rk_end_judge_clock(struct rk_end *e);
/* rk_end_expired - is the key older than the policy on-stale bears */
bool rk_end_expired(const struct rk_end *e, int64_t now_ns);
/* rk_end_must_shut - is it time to shut the link;  rk_end_wake_to_shut - wake when it is;  rk_end_shut - do so
 * rk_end_policy - what age and an operator ask of an idle end that has nothing else to do */
bool rk_end_must_shut(const struct rk_end *e, int64_t now_ns);
void rk_end_wake_to_shut(struct step *s);
void rk_end_shut(struct step *s);
void rk_end_policy(struct step *s);

/* ---- end_supply.c ---- */

/* rk_end_held_back - must a master that is due not begin yet, for its source gives no keys, or has to be spared
 * rk_end_supply_alarms - RK_ALARM_... of the source's state */
bool rk_end_held_back(struct step *s);
uint32_t rk_end_supply_alarms(const struct rk_end *e);

/* ---- end_wait.c, end_master.c, end_slave.c ---- */

/* rk_end_heard_peer - is what must be known of the peer known, and is it one that this end can rotate with
 * rk_end_must_yield - do both ends claim one role, and is it this end that must take the other one */
bool rk_end_heard_peer(const struct rk_end *e);
bool rk_end_must_yield(struct rk_end *e);
/* rk_end_slot_taken - class A: is the slot of this number in use;  rk_end_next_seq - the next number that can be used
 * rk_end_take_number - it is used;  rk_end_begin - begin its rotation.   in: key_id  "": not known yet */
bool rk_end_slot_taken(const struct rk_end *e, uint64_t seq);
uint64_t rk_end_next_seq(const struct rk_end *e);
void rk_end_take_number(struct rk_end *e, uint64_t seq);
void rk_end_begin(struct step *s, uint64_t seq, const char *key_id);
/* rk_end_keeps_prev - a CAK: is it the previous key of this end, and does the device have it */
bool rk_end_keeps_prev(const struct rk_end *e, const char *key_id);
/* rk_end_catch_up - count all that the peer said as past, and say so */
void rk_end_catch_up(struct step *s);
/* What either role makes of the peer's newest record in each state that waits. */
void rk_master_idle(struct step *s);
void rk_master_staged(struct step *s);
void rk_master_active(struct step *s);
void rk_slave_idle(struct step *s);
void rk_slave_staged(struct step *s);
/* rk_slave_follows - is it a slave whose master says that it transmits on the candidate */
bool rk_slave_follows(const struct rk_end *e);

/* ---- end_wait.c, end_resume.c, end_say.c ---- */

/* rk_end_consider - a waiting state looks at what the peer last said */
void rk_end_consider(struct step *s);
/* rk_end_activated - the device transmits on the candidate: it is the current key now */
void rk_end_activated(struct step *s);
/* rk_end_followed - the peer transmits on the new key: drain, or be done */
void rk_end_followed(struct step *s);
/* rk_end_resume - go on from e->d.phase with what the device was seen to hold */
void rk_end_resume(struct step *s, const struct rk_seen *seen);
/* rk_end_uses - is it a key that this end has, or had not long ago; a CAK of a fallback source may return
 * rk_end_take_key - it is the candidate
 * rk_end_fits - do offer and answer for it fit a record */
bool rk_end_uses(const struct rk_end *e, const char *key_id, bool fallback);
void rk_end_take_key(struct rk_end *e, const char *key_id);
bool rk_end_fits(const struct rk_end *e, const char *key_id);

#endif
