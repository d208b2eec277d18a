/* check.c - the invariants, after every step of the link that was stepped.
 *
 *   I1 what each end transmits on, the other can receive, frames under way included; MKA: a live key is common
 *   I2 no key is put into a transmit slot twice (class A); the journal is ahead of every effect and every record
 *   I3 seq only grows and is used for one key; at most three keys are held
 *   I4 the age of the key is bounded
 *   I5 the last key is never removed
 *   I6 a key is not given up once the journal says that it will be transmitted on
 *   I7 a device holds no key that its end does not know
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
check_failed(const struct sim_link *l, const char *what, const char *file, int line)
{
    char command[400];

    trace_replay(l, command, sizeof command);
    printf("not ok - %s:%d: %s\n# link %u, %lld ms: broken\n# replay: %s\n", file, line, what, l->no,
           (long long)(l->sim->now_ns / MS), command);
    for (int i = 0; i < 2; i++) {
        printf("# device %c:", 'a' + i);
        for (int k = 0; k < SLOTS; k++)
            printf(" %x%s", l->end[i].dev.slot[k].key, k == l->end[i].dev.sending ? "*" : "");
        printf("\n");
    }
    fflush(stdout);
    exit(1);
}

bool
end_knows(const struct sim_end *s, uint32_t key)
{
    return key_number(s->disk.cur) == key || key_number(s->disk.prev) == key || key_number(s->disk.cand) == key;
}

/* ---- before an effect ---- */

void
check_stage(struct sim_end *s)
{
    struct sim_link *l = end_link(s);
    const struct sim_act *act = &s->act;

    CHECK(l, s->fetched == act->key);
    CHECK(l, key_number(s->disk.cand) == act->key && s->disk.seq == act->seq);
    CHECK(l, s->disk.phase == (s->disk.role == RK_MASTER ? RK_PH_FETCHED : RK_PH_INTENT));
    for (int i = 0; i < INSTALLED && !dev_is_cak(s); i++)
        CHECK(l, s->dev.installed[i] != act->key);
    if (!dev_is_cak(s))
        CHECK(l, l->forgot || (act->key & ~KEY_FALLBACK) > (s->dev.top_key & ~KEY_FALLBACK));
    CHECK(l, l->forgot || act->seq > s->staged_seq || (act->seq == s->staged_seq && s->staged_key == act->key));
    s->staged_seq = act->seq;
    s->staged_key = act->key;
}

void
check_retire(struct sim_end *s)
{
    struct sim_link *l = end_link(s);
    const struct rk_durable *d = &s->disk;

    if (d->phase == RK_PH_BURNING)
        CHECK(l, key_number(d->cand[0] ? d->cand : d->prev) == s->act.key);
    else
        CHECK(l, !dev_is_cak(s) && d->phase == RK_PH_ACTIVE && key_number(d->prev) == s->act.key);
}

/* What is said must be in the journal. */
void
check_record(struct sim_end *s, const struct rk_record *r)
{
    struct sim_link *l = end_link(s);
    const struct rk_durable *d = &s->disk;

    CHECK(l, r->seq == d->seq);
    switch (r->say) {
    case RK_SAY_OFFER:
    case RK_SAY_STAGED:
        CHECK(l, d->phase == RK_PH_STAGED || (dev_is_cak(s) && (d->phase == RK_PH_ACTIVE ||
                                                                d->phase == RK_PH_ACTIVATING)));
        break;
    case RK_SAY_ACTIVE:
        CHECK(l, strcmp(d->cur, r->key) == 0);
        CHECK(l, d->phase == RK_PH_IDLE || d->phase == RK_PH_ACTIVE);
        break;
    default:
        CHECK(l, d->phase == RK_PH_IDLE);
        break;
    }
}

/* A key that was to be transmitted on is transmitted on, unless the device lost it. */
void
check_journal(struct sim_end *s)
{
    struct sim_link *l = end_link(s);
    uint32_t cand = key_number(s->disk.cand);

    CHECK(l, s->disk.seq >= s->top_seq);
    s->top_seq = s->disk.seq;
    if (s->disk.seq % 5 == 0)
        s->old = s->disk;
    if (dev_is_cak(s)) /* there the peer may give it up: then it goes back to the confirmed key */
        return;
    if (s->disk.phase == RK_PH_ACTIVATING && dev_receives(s, cand))
        s->committed = cand;
    if (s->committed && s->disk.phase == RK_PH_ACTIVE) {
        CHECK(l, key_number(s->disk.cur) == s->committed);
        s->committed = 0;
    }
    CHECK(l, !s->committed || s->disk.phase == RK_PH_ACTIVATING);
}

/* ---- after each step ---- */

static bool
is_under_way(const struct sim_end *s)
{
    return s->flight && end_link(s)->sim->now_ns < s->flight_until_ns;
}

static uint32_t
bytes_of(const struct sim_end *s, uint32_t key)
{
    for (int i = 0; i < SLOTS; i++)
        if (s->dev.slot[i].key == key)
            return s->dev.slot[i].bytes;
    return 0;
}

static bool
reaches(const struct sim_end *from, const struct sim_end *to)
{
    uint32_t key = dev_sends(from);

    return key && dev_receives(to, key) && bytes_of(from, key) == bytes_of(to, key);
}

static void
check_static(struct sim_link *l)
{
    struct sim_end *a = &l->end[0], *b = &l->end[1];
    bool both = reaches(a, b) && reaches(b, a);

    l->common = l->common || both;
    if (!l->common || l->mending)
        return;
    CHECK(l, reaches(a, b));
    CHECK(l, reaches(b, a));
    CHECK(l, !is_under_way(a) || dev_receives(b, a->flight));
    CHECK(l, !is_under_way(b) || dev_receives(a, b->flight));
}

static void
check_mka(struct sim_link *l)
{
    uint32_t live;

    mka_settle(l);
    live = l->live[0].key;
    if (live && live == key_number(l->end[0].disk.cur) && live == key_number(l->end[1].disk.cur))
        l->common = l->shares = true; /* confirmed: both journals say that it is in use */
    if (l->mending || (l->end[1].script && l->sim->conf.fault_every_ns))
        return; /* the old script goes on without a look at what its peer has: with faults, only that it ends well */
    CHECK(l, !l->shares || mka_common(l));
    CHECK(l, !l->common || l->live[0].key);
}

/* A journal was lost: until both are at rest again, no more is promised than that they come to rest. */
static void
check_mending(struct sim_link *l)
{
    if (check_rest(l))
        l->mending = l->common = l->shares = false;
}

static void
check_held(struct sim_end *s)
{
    struct sim_link *l = end_link(s);
    int held = 0, unknown = 0;

    for (int i = 0; i < SLOTS; i++) {
        uint32_t key = s->dev.slot[i].key;

        held += key != 0;
        unknown += key && !(s->dev.class == RK_CLASS_C && i == S_PRECEDING) && !end_knows(s, key);
    }
    CHECK(l, unknown == 0 || s->lied || s->set_back);
    CHECK(l, held <= (s->dev.class == RK_CLASS_D ? 4 : 3)); /* D: the fallback key is in the chain as well */
}

void
check_link(struct sim_link *l)
{
    if (l->mending)
        check_mending(l);
    check_age(l);
    if (!l->touched && !dev_is_cak(&l->end[0]))
        return; /* nothing changed that the rest depends on; MKA goes on by itself */
    l->touched = false;
    if (dev_is_cak(&l->end[0]))
        check_mka(l);
    else
        check_static(l);
    for (int i = 0; i < 2 && !l->forgot && !l->operated && !l->end[1].script; i++)
        check_held(&l->end[i]);
}

/* ---- the age of the key ---- */

/* Both ends came to a newer key: its age counts from now. */
static void
renewed(struct sim_link *l, uint32_t key)
{
    int64_t now_ns = l->sim->now_ns;

    l->last_key = key;
    l->since_ns = now_ns;
    l->rotations++;
    l->faults_since = 0;
    l->bad_ns = l->bad_until_ns > now_ns ? l->bad_until_ns - now_ns : 0;
}

/* The key of both journals, when one of them changed; else 0. */
static uint32_t
new_key(struct sim_link *l)
{
    uint64_t text[2];

    for (int i = 0; i < 2; i++)
        memcpy(&text[i], l->end[i].disk.cur, sizeof text[i]);
    if (memcmp(text, l->cur_text, sizeof text) == 0)
        return 0;
    memcpy(l->cur_text, text, sizeof text);
    return key_number(l->end[0].disk.cur);
}

void
check_age(struct sim_link *l)
{
    const struct sim_conf *conf = &l->sim->conf;
    int64_t age_ns = l->sim->now_ns - l->since_ns, bound_ns;
    uint32_t key;

    if (age_ns > conf->interval_ns) {
        bound_ns = 2 * conf->interval_ns + l->bad_ns + (1 + l->faults_since) * conf->interval_ns;
        if ((double)age_ns / (double)bound_ns > l->fullest)
            l->fullest = (double)age_ns / (double)bound_ns;
        if (age_ns > l->oldest_ns) {
            l->oldest_ns = age_ns;
            l->bound_ns = bound_ns;
        }
        CHECK(l, age_ns <= bound_ns);
    }
    key = new_key(l);
    if (key && (key & ~KEY_FALLBACK) > (l->last_key & ~KEY_FALLBACK) && !(key & KEY_OPERATOR) &&
        key == key_number(l->end[1].disk.cur))
        renewed(l, key);
}

/* Both ends idle on one key, and transmitting on it. */
bool
check_rest(const struct sim_link *l)
{
    const struct sim_end *a = &l->end[0], *b = &l->end[1];

    return !a->gone && !b->gone && a->e.state == RK_ST_IDLE && b->e.state == RK_ST_IDLE && a->e.d.cur[0] &&
           strcmp(a->e.d.cur, b->e.d.cur) == 0 &&
           dev_sends(a) == key_number(a->e.d.cur) && dev_sends(b) == dev_sends(a);
}
