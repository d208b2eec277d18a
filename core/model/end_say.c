/* end_say.c - what an end says: to its peer (the record), and to people (names, age, alarms).  Pure. */
#include "end_step.h"

#include "../base/err.h"
#include "../base/key_parts.h"
#include "../base/text.h"

#include <stdio.h>
#include <string.h>

static const char *const state_names[] = {
    "observing", "idle",   "intent",   "fetching",   "fetched", "staging", "staging",  "staged", "activating",
    "activating", "activating", "active", "draining", "retiring", "retiring", "burning", "burning", "burning",
    "shutting", "shutting", "sweeping",
};
_Static_assert(sizeof state_names / sizeof *state_names == RK_ST_COUNT, "a name for each state");

const char *
rk_state_name(enum rk_state state)
{
    return state < RK_ST_COUNT ? state_names[state] : "?";
}

const char *
rk_alarm_name(uint32_t bit)
{
    static const char *const names[] = {"DUE",   "OVERDUE", "EXPIRED", "ROLE-CONFLICT", "FOREIGN",    "SPLIT",
                                        "NO-PEER", "JOURNAL", "DEVICE",  "SOURCE",        "UNPROTECTED",
                                        "CLOCK-SKEW", "SOURCE-DRY", "FALLBACK-IN-USE", "UNPROVED",
                                        "CERT-EXPIRY", "MIX-REDUCED", "PATH", "NEIGHBOUR",
                                        "RESET-PEER"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (bit == 1u << i)
            return names[i];
    return "?";
}

static uint32_t
say(const struct rk_end *e)
{
    switch (e->d.phase) {
    case RK_PH_STAGED:
    case RK_PH_ACTIVATING:
        return rk_is_master(e) ? RK_SAY_OFFER : RK_SAY_STAGED;
    case RK_PH_ACTIVE: /* a slave says ACTIVE when it is idle again: the master then drops the old key */
        return rk_is_master(e) ? RK_SAY_ACTIVE : RK_SAY_STAGED;
    default:
        break;
    }
    if (e->d.cur[0] && e->d.cur_seq == e->d.seq)
        return RK_SAY_ACTIVE;
    if (!e->d.cur[0]) /* before NACK: it is heard also after WITHDRAWN, which a journal may have lost */
        return e->d.seq ? RK_SAY_LOST : RK_SAY_IDLE;
    if (e->d.role == RK_SLAVE && e->nack_err)
        return RK_SAY_NACK;
    return RK_SAY_WITHDRAWN; /* of a slave too: it may have said ACTIVE before its device went back to another key */
}

/* What an end adds to its device's facts.  A rotation that is under way answers "rekey": only then is it asked for. */
static struct rk_words
words(const struct rk_end *e, bool candidate)
{
    struct rk_words w = {0, e->class};

    if (!rk_is_master(e) && e->want && !candidate)
        w.flags |= RK_WORD_REKEY;
    if (e->d.flags & RK_DF_SHUT || e->stale)
        w.flags |= RK_WORD_SHUT;
    if (rk_is_master(e) && candidate && (e->d.flags & RK_DF_CAND_FALLBACK))
        w.flags |= RK_WORD_FALLBACK;
    return w;
}

static void
say_confirm(const struct rk_end *e, struct rk_record *r)
{
    if (r->say == RK_SAY_STAGED)
        memcpy(r->confirm, e->d.mine, sizeof r->confirm);
    else if (!rk_is_master(e) && e->nack_err && (r->say == RK_SAY_NACK || r->say == RK_SAY_LOST))
        snprintf(r->confirm, sizeof r->confirm, "%s", rk_err_name(e->nack_err));
    else if (r->say == RK_SAY_OFFER && rk_of(e)->timed)
        snprintf(r->confirm, sizeof r->confirm, "%lld", (long long)(e->d.start_ms / 1000));
}

void
rk_end_record(const struct rk_end *e, struct rk_record *r)
{
    struct rk_words w;
    bool candidate;

    memset(r, 0, sizeof *r);
    memcpy(r->link, e->d.link, sizeof r->link);
    memcpy(r->facts, e->facts, sizeof r->facts);
    r->role = e->d.role;
    r->term = e->d.term;
    r->seq = e->d.seq;
    r->say = say(e);
    candidate = r->say == RK_SAY_OFFER || r->say == RK_SAY_STAGED;
    memcpy(r->key, candidate && e->d.cand[0] ? e->d.cand : e->d.cur, sizeof r->key);
    if (candidate)
        memcpy(r->prev, e->d.cand[0] ? e->d.cur : e->d.prev, sizeof r->prev);
    say_confirm(e, r);
    w = words(e, candidate);
    rk_words_add(r->facts, &w);
}

void
rk_end_record_times(struct rk_end *e, struct rk_record *r, bool clock, struct rk_wall wall, int64_t now_ns)
{
    const struct rk_steps *s = &e->steps;
    bool staged = r->say == RK_SAY_OFFER || r->say == RK_SAY_STAGED || r->say == RK_SAY_ACTIVE;
    struct rk_times times = {0, -1, -1};

    if (clock)
        times.clock_ms = e->said_clock_ms = wall.unix_ms > e->said_clock_ms ? wall.unix_ms : e->said_clock_ms + 1;
    if (s->seq == r->seq && staged && s->staged_ns)
        times.staged_ms = (now_ns - s->staged_ns) / RK_NS_PER_MS;
    if (s->seq == r->seq && r->say == RK_SAY_ACTIVE && s->switched_ns)
        times.switched_ms = (now_ns - s->switched_ns) / RK_NS_PER_MS;
    rk_times_add(r->facts, &times);
}

/* A fallback source may have one key only, for each time that it is needed: a CAK may be taken up again, as MKA makes
 * new SAKs of it; a static SAK must not. */
bool
rk_end_uses(const struct rk_end *e, const char *key_id, bool fallback)
{
    bool may_return = fallback && rk_of(e)->cak;
    uint64_t hash = rk_hash(key_id);

    for (unsigned i = 0; !may_return && i < RK_USED_KEYS && i < e->n_used; i++)
        if (e->used[i] == hash)
            return true;
    return strcmp(key_id, e->d.cur) == 0 || strcmp(key_id, e->d.prev) == 0;
}

void
rk_end_take_key(struct rk_end *e, const char *key_id)
{
    (void)rk_copy(e->d.cand, sizeof e->d.cand, key_id); /* fits: it is one */
    e->used[e->n_used++ % RK_USED_KEYS] = rk_hash(key_id);
}

/* A slave's answer is longer than the offer, by its confirm tag; and there may be more to say by then. */
bool
rk_end_fits(const struct rk_end *e, const char *key_id)
{
    struct rk_end staged = *e;
    struct rk_record r;

    staged.d.phase = RK_PH_STAGED;
    (void)rk_copy(staged.d.cand, sizeof staged.d.cand, key_id); /* fits */
    rk_end_record(&staged, &r);
    rk_words_add(r.facts, &(struct rk_words){RK_WORDS_ALL, 0});
    memset(r.confirm, '0', RK_CONFIRM_HEX);
    r.confirm[RK_CONFIRM_HEX] = '\0';
    return rk_record_fits(&r);
}

bool
rk_end_waits(const struct rk_end *e)
{
    return !e->retrying && (e->state == RK_ST_IDLE || e->state == RK_ST_STAGED || e->state == RK_ST_ACTIVE);
}

bool
rk_end_unsaved(const struct rk_end *e)
{
    switch (e->state) {
    case RK_ST_J_INTENT:
    case RK_ST_J_FETCHED:
    case RK_ST_J_STAGED:
    case RK_ST_J_ACTIVATING:
    case RK_ST_J_ACTIVE:
    case RK_ST_J_IDLE:
    case RK_ST_J_BURNING:
    case RK_ST_J_BURNT:
    case RK_ST_J_SHUT:
        return true;
    default:
        return false;
    }
}

int64_t
rk_end_age_ns(const struct rk_end *e, int64_t now_ns)
{
    return e->d.cur[0] ? now_ns - e->cur_since_ns : -1;
}

/* Asked at each step of 100,000 links: most have one source, and then it costs nothing. */
size_t
rk_end_missing(const struct rk_end *e)
{
    if (e->n_sources < 2 || !e->d.cur[0] || (e->d.flags & RK_DF_FALLBACK))
        return e->n_sources;
    return rk_key_parts_missing(e->d.cur, e->n_sources);
}

int64_t
rk_end_silence_ns(const struct rk_end *e)
{
    return 3 * e->verify_ns;
}

uint32_t
rk_end_alarms(const struct rk_end *e, int64_t now_ns)
{
    uint32_t alarms = e->alarms | rk_end_supply_alarms(e);
    int64_t age_ns = rk_end_age_ns(e, now_ns);

    if (age_ns > 3 * e->interval_ns || (e->d.flags & RK_DF_SHUT))
        alarms |= RK_ALARM_EXPIRED;
    else if (age_ns > e->interval_ns / 2 * 3)
        alarms |= RK_ALARM_OVERDUE;
    else if (age_ns > e->interval_ns / 4 * 5)
        alarms |= RK_ALARM_DUE;
    if (now_ns - e->heard_ns > rk_end_silence_ns(e) && !(rk_of(e)->one_way && rk_is_master(e)))
        alarms |= RK_ALARM_NO_PEER;
    if (e->clock_bad || e->start_bad)
        alarms |= RK_ALARM_CLOCK_SKEW;
    if ((e->d.flags & RK_DF_FALLBACK) || (rk_of(e)->cak && e->d.phase == RK_PH_IDLE && (e->seen_prev & RK_SENDING)))
        alarms |= RK_ALARM_FALLBACK_IN_USE;
    if (rk_end_missing(e) < e->n_sources)
        alarms |= RK_ALARM_MIX_REDUCED;
    return alarms;
}
