/* end.c - one end of a link: how it enters its states, and what follows from the answers to its actions.  Pure. */
#include "end_step.h"

#include "end_table.h"
#include "pace.h"

#include "../base/err.h"
#include "../base/text.h"

#include <stdio.h>
#include <string.h>

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
    static const char *const bad[] = {"burnt", "lost", "refused", "held", "shut"};

    s->todo->note = event;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        s->todo->note_bad |= strcmp(event, bad[i]) == 0;
    (void)rk_copy(s->todo->note_key, sizeof s->todo->note_key, key_id); /* fits */
}

void
rk_end_retry(struct step *s)
{
    struct rk_end *e = s->e;

    e->retrying = true;
    e->wake_ns = s->now_ns + rk_pace_backoff(++e->tries, e->interval_ns, rk_hash(e->d.link) ^ (uint64_t)s->now_ns);
}

void
rk_end_poll(struct step *s)
{
    s->e->state = RK_ST_OBSERVE;
    s->e->retrying = true;
    s->e->wake_ns = rk_end_next(s->e, rk_poll_ns(s->e), s->now_ns);
}

void
rk_end_wake_at(struct step *s, int64_t at_ns)
{
    if (at_ns < s->e->wake_ns)
        s->e->wake_ns = at_ns;
}

void
rk_end_burn(struct step *s, int err, const char *why)
{
    struct rk_end *e = s->e;

    rk_end_remember(s, err, why);
    s->todo->drop_key = true;
    e->failed++;
    e->failures++;
    e->nack_err = rk_is_master(e) ? 0 : err;
    e->costly = rk_is_master(e) && e->state != RK_ST_FETCH && e->d.cand[0];
    rk_end_note(s, "burnt", e->d.cand);
    if (e->state == RK_ST_FETCH) /* the device has not seen it */
        e->d.cand[0] = '\0';
    e->d.phase = e->d.cand[0] ? RK_PH_BURNING : RK_PH_IDLE;
    rk_end_go(s, e->d.cand[0] ? RK_ST_J_BURNING : RK_ST_J_BURNT);
}

void
rk_end_drop_prev(struct rk_durable *d)
{
    d->prev[0] = '\0';
    d->prev_seq = 0;
}

void
rk_end_go_back(struct rk_durable *d)
{
    memcpy(d->cur, d->prev, sizeof d->cur);
    d->cur_seq = d->prev_seq;
    rk_end_drop_prev(d);
}

void
rk_end_change_places(struct rk_durable *d)
{
    char key[sizeof d->cur];
    uint64_t seq = d->cur_seq;

    memcpy(key, d->cur, sizeof key);
    memcpy(d->cur, d->prev, sizeof d->cur);
    memcpy(d->prev, key, sizeof d->prev);
    d->cur_seq = d->prev_seq;
    d->prev_seq = seq;
}

/* ---- entering a state ---- */

/* The action is about the candidate, the old key, or the key in use. */
static const char *
key_of(const struct rk_durable *d, enum rk_act act, uint64_t *seq)
{
    bool old = act == RK_ACT_RETIRE && (d->phase == RK_PH_ACTIVE || !d->cand[0]);
    bool shut = act == RK_ACT_SHUT && !d->cur[0];

    *seq = d->seq;
    if (old || shut) {
        *seq = d->prev_seq;
        return d->prev;
    }
    if (act == RK_ACT_SHUT || act == RK_ACT_SWEEP) {
        *seq = d->cur_seq;
        return d->cur;
    }
    return act == RK_ACT_GET_NEW || act == RK_ACT_OBSERVE || act == RK_ACT_JOURNAL ? "" : d->cand;
}

/* A CAK is staged, and given up, together with the key that stays. */
static void
put_terms(struct step *s)
{
    const struct rk_end *e = s->e;
    char *terms = s->todo->terms;
    int n;

    if (!rk_of(e)->cak || (s->todo->act != RK_ACT_STAGE && s->todo->act != RK_ACT_RETIRE))
        return;
    n = snprintf(terms, sizeof s->todo->terms, "keep=%s", e->d.cur);
    if (rk_of(e)->timed && s->todo->act == RK_ACT_STAGE)
        snprintf(terms + n, sizeof s->todo->terms - (size_t)n, ",start=%lld", (long long)(e->d.start_ms / 1000));
}

static void
ask(struct step *s, enum rk_act act)
{
    struct rk_todo *todo = s->todo;

    if (act == RK_ACT_GET_NEW && !rk_is_master(s->e))
        act = RK_ACT_GET_BY_ID;
    todo->act = act;
    todo->fallback = s->e->d.flags & RK_DF_CAND_FALLBACK;
    (void)rk_copy(todo->key_id, sizeof todo->key_id, key_of(&s->e->d, act, &todo->seq)); /* fits */
    put_terms(s);
    if (act == RK_ACT_JOURNAL) {
        todo->publish = false; /* what is said must be in the journal: a crash would take it back */
        s->e->save = false;
    }
}

/* The master's slave transmits on the old key until it says otherwise; a slave knows that its master does not. */
static void
enter_active(struct step *s)
{
    struct rk_end *e = s->e;

    if (rk_is_master(e) && !rk_of(e)->one_way) {
        e->tries = 0;
        s->todo->publish = true;
        rk_end_consider(s);
    } else if (rk_of(e)->cak) {
        rk_end_finish(s);
    } else {
        e->drain_until_ns = s->now_ns + e->drain_ns;
        rk_end_go(s, RK_ST_DRAIN);
    }
}

void
rk_end_go(struct step *s, enum rk_state state)
{
    struct rk_end *e = s->e;

    e->state = state;
    e->retrying = false;
    e->wake_ns = RK_NEVER;
    switch (state) {
    case RK_ST_RETIRE:
        if (e->d.prev[0])
            ask(s, RK_ACT_RETIRE);
        else
            rk_end_finish(s);
        break;
    case RK_ST_ACTIVE:
        enter_active(s);
        break;
    case RK_ST_STAGED:
    case RK_ST_IDLE:
        s->todo->publish = true;
        __attribute__((fallthrough));
    case RK_ST_DRAIN:
        e->tries = 0;
        rk_end_consider(s);
        break;
    case RK_ST_J_ACTIVATING:
        e->d.phase = RK_PH_ACTIVATING;
        ask(s, RK_ACT_JOURNAL);
        break;
    case RK_ST_J_IDLE:
        e->d.phase = RK_PH_IDLE;
        __attribute__((fallthrough));
    default:
        ask(s, rk_state_act(state));
        break;
    }
}

/* ---- answers ---- */

int64_t
rk_end_next(const struct rk_end *e, int64_t step_ns, int64_t now_ns)
{
    return rk_pace_slot(e->slot ? e->slot : rk_hash(e->d.link), step_ns, now_ns);
}

void
rk_on_start(struct step *s)
{
    struct rk_end *e = s->e;
    const struct rk_durable *d = &e->d;
    int64_t age_ms = s->ev->wall.unix_ms - d->cur_since.unix_ms, left_ms = d->start_ms - s->ev->wall.unix_ms;
    int64_t lead_ms = e->lead_ns / RK_NS_PER_MS;

    e->due_ns = rk_end_next(e, e->interval_ns, s->now_ns);
    e->heard_ns = s->now_ns;
    e->cur_since_ns = s->now_ns;
    if (d->cur_boot && d->cur_boot == s->ev->boot && d->cur_boot_ns <= s->now_ns)
        e->cur_since_ns = d->cur_boot_ns;
    else if (d->cur_since.unix_ms > 0 && age_ms > 0)
        e->cur_since_ns = s->now_ns - age_ms * RK_NS_PER_MS;
    left_ms = left_ms > lead_ms ? lead_ms : left_ms < -lead_ms ? -lead_ms : left_ms; /* more is a clock that was set */
    e->start_ns = s->now_ns + left_ms * RK_NS_PER_MS;
    rk_end_go(s, RK_ST_OBSERVE);
}

/* MKA is not seen to be live on the new CAK: what the device tells about it is the reason for people to read.  With
 * foreign keys it may be their names. */
static void
waits_because(struct step *s, const struct rk_seen *seen)
{
    const struct rk_end *e = s->e;

    if (e->d.phase == RK_PH_ACTIVATING && rk_of(e)->cak && seen->why[0] && seen->foreign == 0 &&
        !(seen->cand & RK_SENDING))
        rk_end_remember(s, RK_E_AGAIN, seen->why);
}

void
rk_on_observed(struct step *s)
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
    rk_end_alarm(e, RK_ALARM_UNPROTECTED, !(seen->state & RK_IF_PROTECTED));
    if (!rk_copy(e->facts, sizeof e->facts, seen->facts))
        rk_end_remember(s, RK_E_CONTRACT, "the device's facts are too long");
    if (seen->state & RK_IF_REKEY)
        e->want = true;
    if (RK_IF_CLASS_OF(seen->state))
        e->class = RK_IF_CLASS_OF(seen->state);
    e->seen_ns = s->now_ns;
    e->seen_cur = seen->cur;
    e->seen_prev = seen->prev;
    e->seen_foreign = seen->foreign;
    rk_end_judge_class(e);
    rk_end_judge_clock(e);
    e->verify_at_ns = rk_end_next(e, e->verify_ns, s->now_ns);
    waits_because(s, seen);
    rk_end_resume(s, seen);
    rk_end_alarm(e, RK_ALARM_FOREIGN, seen->foreign > 0 || (e->d.flags & RK_DF_HELD)); /* a held link: one at least */
    if (e->refused && e->state == e->refused) /* it can be read, and what was refused is still to be done */
        rk_end_alarm(e, RK_ALARM_DEVICE, true);
    else
        e->refused = RK_ST_OBSERVE;
}

void
rk_on_done_intent(struct step *s)
{
    rk_end_go(s, RK_ST_FETCH);
}

/* Whole seconds: more is not said to a device. */
void
rk_end_choose_start(struct step *s)
{
    struct rk_end *e = s->e;

    e->start_ns = s->now_ns + e->lead_ns;
    e->d.start_ms = (s->ev->wall.unix_ms + e->lead_ns / RK_NS_PER_MS + 999) / 1000 * 1000;
}

void
rk_on_key(struct step *s)
{
    struct rk_end *e = s->e;

    if (!rk_is_master(e)) { /* what it will show can be said with STAGE, when it is known before */
        if (!s->ev->mine || !rk_copy(e->d.mine, sizeof e->d.mine, s->ev->mine))
            e->d.mine[0] = '\0';
        rk_end_go(s, RK_ST_STAGE);
        return;
    }
    if (!s->ev->key_id[0] || strlen(s->ev->key_id) > RK_KEY_ID_MAX ||
        rk_end_uses(e, s->ev->key_id, (e->d.flags & RK_DF_CAND_FALLBACK) != 0)) {
        rk_end_burn(s, RK_E_PROTOCOL, "the source gave no key ID, or one that it gave before");
        return;
    }
    e->d.phase = RK_PH_FETCHED;
    if (!rk_end_fits(e, s->ev->key_id)) { /* asked before anything is installed */
        rk_end_burn(s, RK_E_UNSUPPORTED, "key ID and link name are too long for a record");
        return;
    }
    rk_end_take_key(e, s->ev->key_id);
    if (!s->ev->theirs || !rk_copy(e->d.theirs, sizeof e->d.theirs, s->ev->theirs))
        e->d.theirs[0] = '\0';
    if (rk_of(e)->timed)
        rk_end_choose_start(s);
    rk_end_go(s, RK_ST_J_FETCHED);
}

void
rk_on_done_fetched(struct step *s)
{
    rk_end_go(s, RK_ST_STAGE);
}

void
rk_end_staged(struct step *s)
{
    struct rk_end *e = s->e;

    if (rk_of(e)->cak && e->d.cur[0]) /* cur took the fallback slot of the one before */
        rk_end_drop_prev(&e->d);
    e->d.phase = RK_PH_STAGED;
    rk_end_note(s, "staged", e->d.cand);
    rk_end_go(s, RK_ST_J_STAGED);
}

/* The two ends' steps are compared. */
static void
took_step(struct step *s, bool switched)
{
    struct rk_end *e = s->e;

    rk_steps_own(&e->steps, e->d.seq, switched, s->now_ns);
    (void)rk_steps_skew(&e->steps, &e->skew);
}

void
rk_on_done_stage(struct step *s)
{
    struct rk_end *e = s->e;

    if (!rk_copy(e->d.mine, sizeof e->d.mine, s->ev->mine ? s->ev->mine : "") ||
        !rk_copy(e->d.theirs, sizeof e->d.theirs, s->ev->theirs ? s->ev->theirs : "") || !e->d.mine[0] ||
        !e->d.theirs[0]) {
        rk_end_burn(s, RK_E_CONTRACT, "no confirm tags with the staged key");
        return;
    }
    took_step(s, false);
    rk_end_staged(s);
}

/* The peer will transmit on the key on the strength of what is published now, so it is read back first: a device that
 * says done and did nothing would cost frames. */
void
rk_on_done_staged(struct step *s)
{
    rk_end_go(s, RK_ST_OBSERVE);
}

/* MKA needs no word to use a CAK that both ends have: that it does is read from the device. */
void
rk_on_done_activating(struct step *s)
{
    rk_end_go(s, rk_of(s->e)->cak ? RK_ST_OBSERVE : RK_ST_ACTIVATE);
}

/* What the device says is read back before anything is built on it. */
void
rk_on_done_device(struct step *s)
{
    if (s->e->state == RK_ST_ACTIVATE)
        took_step(s, true);
    s->e->refused = RK_ST_OBSERVE;
    s->e->said = true;
    rk_end_go(s, RK_ST_OBSERVE);
}

void
rk_on_done_active(struct step *s)
{
    rk_end_go(s, RK_ST_ACTIVE);
}

void
rk_end_finish(struct step *s)
{
    struct rk_end *e = s->e;

    e->rotations++;
    e->nack_err = 0;
    e->d.mine[0] = e->d.theirs[0] = '\0'; /* they are the candidate's */
    if (!rk_of(e)->cak) /* else it is the device's fallback, until the next STAGE */
        rk_end_drop_prev(&e->d);
    if (e->peer_lost) {
        rk_end_pause(s); /* else a slave that cannot hold keys would take one after the other */
    } else {
        e->failures = 0;
        e->due_ns = rk_end_next(e, e->interval_ns, s->now_ns);
        rk_end_remember(s, RK_OK, "");
    }
    rk_end_note(s, "rotated", e->d.cur);
    rk_end_go(s, RK_ST_J_IDLE);
}

void
rk_on_done_idle(struct step *s)
{
    rk_end_go(s, RK_ST_IDLE);
}

void
rk_on_done_burning(struct step *s)
{
    rk_end_go(s, RK_ST_UNSTAGE);
}

void
rk_on_done_burnt(struct step *s)
{
    if (s->e->failures)
        rk_end_pause(s);
    rk_end_go(s, RK_ST_IDLE);
}

void
rk_on_done_shutting(struct step *s)
{
    rk_end_go(s, RK_ST_SHUT);
}

void
rk_on_tick(struct step *s)
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
