/* end.c - the rotation protocol of one end, device class A.
 *
 * A table says which handler answers which event in which state; entering a state asks for the state's action.  A
 * state whose name begins with J_ makes e->d durable before its effect follows.  Whatever is unclear, after a crash or
 * an unknown outcome, ends in OBSERVE, and rk_end_resume() decides from the phase and what the device holds.
 * Pure: no I/O, no clock, no allocation.  Never sees a key.
 */
#include "end_step.h"

#include "pace.h"

#include "../base/err.h"
#include "../base/log.h"
#include "../base/text.h"

#include <stdio.h>
#include <string.h>

#define FETCH_TRIES 3 /* of a slave, before it answers NACK */
/* A peer whose journal was lost here is ahead of us by as many rotations as there were.  More than that is nonsense,
 * and believed it would use the numbers up. */
#define SEQ_JUMP_MAX (UINT64_C(1) << 40)

void
rk_end_alarm(struct rk_end *e, uint32_t alarm, bool on)
{
    e->alarms = on ? e->alarms | alarm : e->alarms & ~alarm;
}

void
rk_end_remember(struct step *s, int err, const char *why)
{
    s->e->last_err = err;
    s->e->last_ns = s->now_ns;
    snprintf(s->e->last_why, sizeof s->e->last_why, "%s", why ? why : "");
}

void
rk_end_note(struct step *s, const char *event, const char *key_id)
{
    s->todo->note = event;
    s->todo->note_bad = strcmp(event, "burnt") == 0 || strcmp(event, "lost") == 0 || strcmp(event, "refused") == 0;
    snprintf(s->todo->note_key, sizeof s->todo->note_key, "%s", key_id);
}

void
rk_end_retry(struct step *s)
{
    struct rk_end *e = s->e;

    e->retrying = true;
    e->wake_ns = s->now_ns + rk_pace_backoff(++e->tries, e->interval_ns, rk_hash(e->d.link) ^ (uint64_t)s->now_ns);
}

/* After a failure the next rotation is due soon, but not at once. */
static void
pause(struct step *s)
{
    struct rk_end *e = s->e;

    e->due_ns = s->now_ns + rk_pace_backoff(e->failures, e->interval_ns, rk_hash(e->d.link) ^ (uint64_t)s->now_ns);
}

/* Give the candidate up: first in the journal, then on the device, then for good. */
void
rk_end_burn(struct step *s, int err, const char *why)
{
    struct rk_end *e = s->e;

    rk_end_remember(s, err, why);
    s->todo->drop_key = true;
    e->failed++;
    e->failures++;
    e->nack_err = rk_is_master(e) ? 0 : err;
    rk_end_note(s, "burnt", e->d.cand);
    if (e->state == RK_ST_FETCH) /* the device has not seen it */
        e->d.cand[0] = '\0';
    e->d.phase = e->d.cand[0] ? RK_PH_BURNING : RK_PH_IDLE;
    rk_end_go(s, e->d.cand[0] ? RK_ST_J_BURNING : RK_ST_J_BURNT);
}

/* ---- entering a state ---- */

static void
want_device(struct step *s, enum rk_act act, bool candidate)
{
    const struct rk_durable *d = &s->e->d;

    s->todo->act = act;
    snprintf(s->todo->key_id, sizeof s->todo->key_id, "%s", candidate ? d->cand : d->prev);
    s->todo->seq = candidate ? d->seq : d->prev_seq;
}

static void on_retired(struct step *s);

void
rk_end_go(struct step *s, enum rk_state state)
{
    struct rk_end *e = s->e;

    e->state = state;
    e->retrying = false;
    e->wake_ns = RK_NEVER;
    switch (state) {
    case RK_ST_OBSERVE:
        s->todo->act = RK_ACT_OBSERVE;
        break;
    case RK_ST_FETCH:
        s->todo->act = rk_is_master(e) ? RK_ACT_GET_NEW : RK_ACT_GET_BY_ID;
        snprintf(s->todo->key_id, sizeof s->todo->key_id, "%s", e->d.cand);
        break;
    case RK_ST_STAGE:
        want_device(s, RK_ACT_STAGE, true);
        break;
    case RK_ST_ACTIVATE:
        want_device(s, RK_ACT_ACTIVATE, true);
        break;
    case RK_ST_UNSTAGE:
        want_device(s, RK_ACT_RETIRE, true);
        break;
    case RK_ST_RETIRE:
        if (e->d.prev[0])
            want_device(s, RK_ACT_RETIRE, false);
        else
            on_retired(s);
        break;
    case RK_ST_ACTIVE:
        if (!rk_is_master(e)) { /* the master transmits on the new key already: that is why we are here */
            e->drain_until_ns = s->now_ns + e->drain_ns;
            rk_end_go(s, RK_ST_DRAIN);
            break;
        }
        __attribute__((fallthrough));
    case RK_ST_STAGED:
    case RK_ST_IDLE:
        s->todo->publish = true;
        __attribute__((fallthrough));
    case RK_ST_DRAIN:
        e->tries = 0;
        rk_end_consider(s);
        break;
    case RK_ST_J_IDLE:
        e->d.phase = RK_PH_IDLE;
        __attribute__((fallthrough));
    default: /* all J_ states */
        s->todo->act = RK_ACT_JOURNAL;
        s->todo->publish = false; /* what is said must be in the journal: a crash would take it back */
        break;
    }
}

/* ---- handlers: one row of the table each ---- */

static void
on_observed(struct step *s)
{
    struct rk_end *e = s->e;
    const struct rk_seen *seen = s->ev->seen;

    if (!(seen->state & RK_IF_PRESENT)) {
        rk_end_remember(s, RK_E_NOENT, seen->why);
        rk_end_alarm(e, RK_ALARM_DEVICE, true);
        rk_end_retry(s);
        return;
    }
    rk_end_alarm(e, RK_ALARM_DEVICE, false);
    rk_end_alarm(e, RK_ALARM_FOREIGN, seen->foreign > 0);
    rk_end_alarm(e, RK_ALARM_UNPROTECTED, !(seen->state & RK_IF_PROTECTED));
    if (!rk_copy(e->facts, sizeof e->facts, seen->facts))
        rk_end_remember(s, RK_E_CONTRACT, "the device's facts are too long");
    if (seen->state & RK_IF_REKEY)
        e->want = true;
    e->verify_at_ns = s->now_ns + e->verify_ns;
    rk_end_resume(s, seen);
}

static void
on_intent(struct step *s)
{
    rk_end_go(s, RK_ST_FETCH);
}

static void
on_key(struct step *s)
{
    struct rk_end *e = s->e;

    if (!rk_is_master(e)) {
        rk_end_go(s, RK_ST_STAGE);
        return;
    }
    if (!rk_copy(e->d.cand, sizeof e->d.cand, s->ev->key_id) || rk_end_uses(e, e->d.cand)) {
        e->d.cand[0] = '\0';
        rk_end_burn(s, RK_E_PROTOCOL, "the source gave a key ID that is in use");
        return;
    }
    e->d.phase = RK_PH_FETCHED;
    if (!rk_end_fits(e, e->d.cand)) { /* asked before anything is installed */
        e->d.cand[0] = '\0';
        rk_end_burn(s, RK_E_UNSUPPORTED, "key ID and link name are too long for a record");
        return;
    }
    rk_end_go(s, RK_ST_J_FETCHED);
}

static void
on_fetched(struct step *s)
{
    rk_end_go(s, RK_ST_STAGE);
}

static void
on_staged(struct step *s)
{
    struct rk_end *e = s->e;

    if (!rk_copy(e->d.mine, sizeof e->d.mine, s->ev->mine ? s->ev->mine : "") ||
        !rk_copy(e->d.theirs, sizeof e->d.theirs, s->ev->theirs ? s->ev->theirs : "") || !e->d.mine[0] ||
        !e->d.theirs[0]) {
        rk_end_burn(s, RK_E_CONTRACT, "no confirm tags with the staged key");
        return;
    }
    e->d.phase = RK_PH_STAGED;
    rk_end_note(s, "staged", e->d.cand);
    rk_end_go(s, RK_ST_J_STAGED);
}

/* The peer will transmit on the key on the strength of what is published now, so it is read back first: a device that
 * says done and did nothing would cost frames. */
static void
on_journaled_staged(struct step *s)
{
    rk_end_go(s, RK_ST_OBSERVE);
}

static void
on_activating(struct step *s)
{
    rk_end_go(s, RK_ST_ACTIVATE);
}

/* The old key goes, and the peer's too, on the strength of this: so it is read back as well. */
static void
on_activate_said(struct step *s)
{
    s->e->said_active = true;
    rk_end_go(s, RK_ST_OBSERVE);
}

static void
on_active(struct step *s)
{
    rk_end_go(s, RK_ST_ACTIVE);
}

static void
on_retired(struct step *s)
{
    struct rk_end *e = s->e;

    e->rotations++;
    e->nack_err = 0;
    e->d.prev[0] = '\0';
    e->d.prev_seq = 0;
    if (e->peer_lost) {
        pause(s); /* else a slave that cannot hold keys would take one after the other */
    } else {
        e->failures = 0;
        e->due_ns = rk_pace_next(e->d.link, e->interval_ns, s->now_ns);
        rk_end_remember(s, RK_OK, "");
    }
    rk_end_note(s, "rotated", e->d.cur);
    rk_end_go(s, RK_ST_J_IDLE);
}

static void
on_idle(struct step *s)
{
    rk_end_go(s, RK_ST_IDLE);
}

static void
on_burning(struct step *s)
{
    rk_end_go(s, RK_ST_UNSTAGE);
}

static void
on_unstaged(struct step *s)
{
    struct rk_end *e = s->e;

    e->d.cand[0] = e->d.mine[0] = e->d.theirs[0] = '\0';
    e->d.phase = RK_PH_IDLE;
    rk_end_go(s, RK_ST_J_BURNT);
}

static void
on_burnt(struct step *s)
{
    if (s->e->failures)
        pause(s);
    rk_end_go(s, RK_ST_IDLE);
}

static void
on_tick(struct step *s)
{
    struct rk_end *e = s->e;
    bool waiting = rk_end_waits(e);

    if (e->retrying) {
        if (s->now_ns >= e->wake_ns)
            rk_end_go(s, e->state);
        return;
    }
    if (waiting || e->state == RK_ST_DRAIN)
        rk_end_consider(s);
    if (rk_end_waits(e) && s->now_ns >= e->verify_at_ns)
        rk_end_go(s, RK_ST_OBSERVE);
}

/* A slave that needs a new key (packet numbers run out) says so behind its facts. */
static void
take_rekey(struct rk_end *e)
{
    char *at = strstr(e->peer.facts, RK_REKEY_FACT);

    if (!at || at[strlen(RK_REKEY_FACT)])
        return;
    *at = '\0';
    e->want = true;
}

/* What the peer transmits on, in this order: ACTIVE says with which rotation it came. */
static void
take_active(struct rk_end *e)
{
    const struct rk_record *r = &e->peer;

    if (!r->key[0] || (r->say != RK_SAY_ACTIVE && r->say != RK_SAY_WITHDRAWN && r->say != RK_SAY_NACK))
        return;
    if (strcmp(r->key, e->peer_active) != 0) {
        memcpy(e->peer_active, r->key, sizeof e->peer_active);
        e->peer_active_seq = 0;
    }
    if (r->say == RK_SAY_ACTIVE && r->seq != e->peer_active_seq) {
        e->peer_active_seq = r->seq;
        e->looked = false;
    }
}

/* Also of a peer that took another role since: else an old record from before that would count again.  In its new role
 * it may have something lesser to say of the same rotation. */
static bool
is_old(const struct rk_end *e, const struct rk_record *r)
{
    struct rk_record same = *r;

    if (!e->peer.role)
        return false;
    if (r->role != e->peer.role)
        same.say = e->peer.say;
    return rk_record_order(&same, &e->peer) < 0;
}

/* A newer record replaces the one before; one of the same step brings its facts up to date. */
static void
on_peer(struct step *s)
{
    struct rk_end *e = s->e;
    const struct rk_record *r = s->ev->record;

    if (r->term < e->d.term)
        return;
    if (is_old(e, r)) {
        if (!rk_is_master(e) && e->state == RK_ST_IDLE && r->say == RK_SAY_OFFER && r->seq > e->d.seq)
            rk_end_catch_up(s); /* a master that lost its journal learns only from this end how far it was */
        return;
    }
    if (r->seq > e->d.seq + SEQ_JUMP_MAX) {
        rk_end_remember(s, RK_E_PROTOCOL, "the peer's rotation number is out of all measure: its record is ignored");
        return;
    }
    e->d.term = r->term;
    e->peer = *r;
    e->heard_ns = s->now_ns;
    take_active(e);
    take_rekey(e);
    if (rk_is_master(e) && r->seq > e->d.floor)
        e->d.floor = r->seq;
    if (rk_end_waits(e))
        rk_end_consider(s);
}

static void
on_rotate(struct step *s)
{
    s->e->want = true;
    s->e->failures = 0;
    if (s->e->state != RK_ST_IDLE)
        return;
    s->todo->publish = !rk_is_master(s->e); /* a slave asks its master */
    rk_end_consider(s);
}

/* ---- failures ---- */

/* The alarm that a failure of this state's action raises. */
static uint32_t
alarm_of(enum rk_state state)
{
    switch (state) {
    case RK_ST_FETCH:
        return RK_ALARM_SOURCE;
    case RK_ST_OBSERVE:
    case RK_ST_STAGE:
    case RK_ST_ACTIVATE:
    case RK_ST_RETIRE:
    case RK_ST_UNSTAGE:
        return RK_ALARM_DEVICE;
    default:
        return RK_ALARM_JOURNAL;
    }
}

static void
fetch_failed(struct step *s)
{
    struct rk_end *e = s->e;
    enum rk_err_class class = rk_err_class(s->ev->err);
    bool again =
        !rk_is_master(e) && (class == RK_CLASS_RETRY || class == RK_CLASS_OBSERVE) && e->tries + 1 < FETCH_TRIES;

    if (rk_is_master(e) && class == RK_CLASS_OBSERVE)
        e->orphaned++; /* asked for, perhaps taken out of the pool, never seen */
    if (again) {
        rk_end_retry(s);
        return;
    }
    rk_end_burn(s, s->ev->err, s->ev->why);
}

static void
on_failed(struct step *s)
{
    struct rk_end *e = s->e;
    bool unknown = rk_err_class(s->ev->err) == RK_CLASS_OBSERVE;

    rk_end_remember(s, s->ev->err, s->ev->why);
    rk_end_alarm(e, alarm_of(e->state), true);
    switch (e->state) {
    case RK_ST_FETCH:
        fetch_failed(s);
        break;
    case RK_ST_STAGE:
        s->todo->drop_key = true;
        if (unknown)
            rk_end_go(s, RK_ST_OBSERVE);
        else
            rk_end_burn(s, s->ev->err, s->ev->why);
        break;
    case RK_ST_ACTIVATE:
    case RK_ST_RETIRE:
    case RK_ST_UNSTAGE:
        if (unknown || s->ev->err == RK_E_NOKEY || s->ev->err == RK_E_CONFLICT)
            e->state = RK_ST_OBSERVE; /* read the device back, but not at once */
        rk_end_retry(s);
        break;
    default: /* OBSERVE and the J_ states: no durable intent, no effect */
        rk_end_retry(s);
        break;
    }
}

static void
on_start(struct step *s)
{
    struct rk_end *e = s->e;

    e->due_ns = rk_pace_next(e->d.link, e->interval_ns, s->now_ns);
    e->heard_ns = s->now_ns;
    if (e->d.cur_since.unix_ms > 0 && s->ev->wall.unix_ms > e->d.cur_since.unix_ms)
        e->cur_since_ns = s->now_ns - (s->ev->wall.unix_ms - e->d.cur_since.unix_ms) * RK_NS_PER_MS;
    else
        e->cur_since_ns = s->now_ns;
    rk_end_go(s, RK_ST_OBSERVE);
}

/* ---- the table ---- */

typedef void handler(struct step *s);

static const struct {
    enum rk_state state;
    enum rk_event_type event;
    handler *handler;
} table[] = {
    {RK_ST_OBSERVE, RK_EV_OBSERVED, on_observed},
    {RK_ST_J_INTENT, RK_EV_DONE, on_intent},
    {RK_ST_FETCH, RK_EV_KEY, on_key},
    {RK_ST_J_FETCHED, RK_EV_DONE, on_fetched},
    {RK_ST_STAGE, RK_EV_DONE, on_staged},
    {RK_ST_J_STAGED, RK_EV_DONE, on_journaled_staged},
    {RK_ST_J_ACTIVATING, RK_EV_DONE, on_activating},
    {RK_ST_ACTIVATE, RK_EV_DONE, on_activate_said},
    {RK_ST_J_ACTIVE, RK_EV_DONE, on_active},
    {RK_ST_RETIRE, RK_EV_DONE, on_retired},
    {RK_ST_J_IDLE, RK_EV_DONE, on_idle},
    {RK_ST_J_BURNING, RK_EV_DONE, on_burning},
    {RK_ST_UNSTAGE, RK_EV_DONE, on_unstaged},
    {RK_ST_J_BURNT, RK_EV_DONE, on_burnt},
};

static handler *const any_state[RK_EV_COUNT] = {
    [RK_EV_START] = on_start, [RK_EV_TICK] = on_tick,     [RK_EV_FAILED] = on_failed,
    [RK_EV_PEER] = on_peer,   [RK_EV_ROTATE] = on_rotate,
};

static handler *
find_handler(enum rk_state state, enum rk_event_type event)
{
    if (any_state[event])
        return any_state[event];
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].state == state && table[i].event == event)
            return table[i].handler;
    return NULL;
}

void
rk_end_init(struct rk_end *e, const struct rk_durable *d)
{
    memset(e, 0, sizeof *e);
    e->d = *d;
    if (e->d.term == 0)
        e->d.term = 1;
    e->own_sae = e->peer_sae = "";
    e->state = RK_ST_OBSERVE;
    e->wake_ns = RK_NEVER;
}

void
rk_end_step(struct rk_end *e, const struct rk_event *ev, int64_t now_ns, struct rk_todo *todo)
{
    struct step s = {e, ev, now_ns, todo};
    handler *h = find_handler(e->state, ev->type);

    memset(todo, 0, sizeof *todo);
    rk_assert(h != NULL);
    if (ev->type == RK_EV_DONE || ev->type == RK_EV_KEY) { /* what was asked for works again */
        e->tries = 0;
        rk_end_alarm(e, alarm_of(e->state), false);
    }
    h(&s);
}
