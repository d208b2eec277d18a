/* source_pool.c - what is known of each key source, and of each peer's keys at it: its status is asked now and then,
 * its answers are counted, and while it gives no keys the ends that are due wait here instead of asking each.
 *
 * Runs in the loop.  What is decided is in core/sched (gate.c, pool.c); here are the calls, the lists and the log.
 */
#include "source_pool.h"

#include "../base/err.h"
#include "../base/log.h"
#include "../base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INTERVAL_NS (60 * RK_NS_PER_S) /* when no link has one */
#define LEASE_NS (5 * RK_NS_PER_S) /* an end that was let through asks within that time, or another one is let */
#define SURVEY_NS (60 * RK_NS_PER_S) /* roles may have changed: the demand is counted anew */

/* ---- pools ---- */

static struct source_pair **
bucket_of(struct source *src, const char *peer_sae)
{
    return &src->buckets[rk_hash(peer_sae) % SOURCE_BUCKETS];
}

static struct source_pair *
pair_new(struct source *src, const char *peer_sae)
{
    struct source_pair *p = calloc(1, sizeof *p), **bucket = bucket_of(src, peer_sae);

    if (!p)
        return NULL;
    snprintf(p->peer_sae, sizeof p->peer_sae, "%s", peer_sae);
    p->src = src;
    p->pool.stored = p->max_per_request = p->min_bits = p->max_bits = -1;
    p->supply.end_ns = RK_NEVER;
    p->poll_ns = rk_now_ns();
    for (size_t i = 0; i < RK_PRIORITIES; i++)
        p->wait[i].last = &p->wait[i].first;
    p->next = src->pairs;
    src->pairs = p;
    p->next_in_bucket = *bucket;
    *bucket = p;
    return p;
}

/* NULL: no memory; then its ends ask without being held back. */
static struct source_pair *
pair_of(struct source *src, const char *peer_sae)
{
    struct source_pair *p = *bucket_of(src, peer_sae);

    while (p && strcmp(p->peer_sae, peer_sae) != 0)
        p = p->next_in_bucket;
    return p ? p : pair_new(src, peer_sae);
}

/* It is out of the list of all already. */
static void
pair_free(struct source_pair *p)
{
    struct source_pair **at = bucket_of(p->src, p->peer_sae);

    while (*at != p)
        at = &(*at)->next_in_bucket;
    *at = p->next_in_bucket;
    free(p);
}

int
source_new(struct inst *inst)
{
    struct source *src = calloc(1, sizeof *src);

    if (!src)
        return RK_E_NOMEM;
    src->wake.fn = source_turn;
    src->inst = inst;
    src->interval_ns = RK_NEVER;
    inst->source = src;
    return RK_OK;
}

static struct end *
wait_pop(struct source_pair *p)
{
    for (size_t i = RK_PRIORITIES; i-- > 0;) {
        struct end *end = p->wait[i].first;

        if (!end)
            continue;
        source_leave(end);
        return end;
    }
    return NULL;
}

void
source_leave(struct end *end)
{
    struct source_pair *p = end->pair;

    if (!end->waits || !p)
        return;
    *end->at_wait = end->next_wait;
    if (end->next_wait)
        end->next_wait->at_wait = end->at_wait;
    else
        p->wait[end->conf->priority].last = end->at_wait;
    end->next_wait = NULL;
    end->waits = false;
    p->n_wait--;
}

void
source_free(struct inst *inst)
{
    struct source *src = inst->source;

    if (!src)
        return;
    wake_off(inst->d, &src->wake);
    while (src->pairs) {
        struct source_pair *p = src->pairs;

        src->pairs = p->next;
        pair_free(p); /* its ends have gone before, or have another pair */
    }
    free(src);
    inst->source = NULL;
}

/* ---- the state that ends go by ---- */

static int64_t
interval_of(int64_t interval_ns)
{
    return interval_ns == RK_NEVER ? INTERVAL_NS : interval_ns;
}

static bool
is_open(const struct source_pair *p)
{
    return p->src->gate.state == RK_GATE_OPEN && p->gate.state == RK_GATE_OPEN;
}

/* When an end may ask again. */
static int64_t
retry_of(const struct source_pair *p)
{
    int64_t source_ns = p->src->gate.state == RK_GATE_SHUT ? p->src->gate.retry_ns : 0;
    int64_t pair_ns = p->gate.state == RK_GATE_SHUT ? p->gate.retry_ns : 0;

    return source_ns > pair_ns ? source_ns : pair_ns;
}

static void
show_pool(const struct source_pair *p, bool dry, int64_t now_ns)
{
    const struct rk_supply *s = &p->supply;
    long long end_s = s->end_ns == RK_NEVER ? -1 : (long long)((s->end_ns - now_ns) / RK_NS_PER_S);

    rk_log(dry ? RK_LOG_WARNING : RK_LOG_NOTICE,
           "ev=pool source=%s peer=%s alarm=SOURCE-DRY state=%s stored=%lld ends_s=%lld links=%zu%s",
           p->src->inst->conf->name, p->peer_sae, dry ? "raised" : "cleared", (long long)p->pool.stored, end_s,
           p->demand.links, dry ? " do=\"see that the source gets new keys\"" : "");
}

void
source_judge(struct source_pair *p, int64_t now_ns)
{
    struct rk_supply *s = &p->supply;
    bool dry = s->dry;

    rk_pool_judge(&p->pool, now_ns, &p->demand, s);
    s->wait = !is_open(p);
    s->retry_ns = retry_of(p);
    if (s->wait) {
        bool source = p->src->gate.state != RK_GATE_OPEN;

        s->err = source ? p->src->err : p->err;
        snprintf(s->why, sizeof s->why, "%s", source ? p->src->why : p->why);
    }
    if (s->dry != dry)
        show_pool(p, s->dry, now_ns);
}

static void
judge_all(struct source *src, int64_t now_ns)
{
    for (struct source_pair *p = src->pairs; p; p = p->next)
        source_judge(p, now_ns);
}

void
source_look(struct source *src, int64_t at_ns)
{
    if (!src->wake.timer.pos || at_ns < src->wake.timer.at_ns)
        wake_at(src->inst->d, &src->wake, at_ns);
}

/* ---- ends that wait ---- */

void
source_wait(struct end *end)
{
    struct source_pair *p = end->pair;
    unsigned i = end->conf->priority;

    if (!p || end->waits || end->gone)
        return;
    end->waits = true;
    end->next_wait = NULL;
    end->at_wait = p->wait[i].last;
    *p->wait[i].last = end;
    p->wait[i].last = &end->next_wait;
    p->n_wait++;
    source_look(p->src, p->supply.retry_ns);
}

/* Up to n of the ends that wait begin their rotations now. */
static size_t
let(struct source_pair *p, size_t n)
{
    size_t done = 0;
    struct end *end;

    while (done < n && (end = wait_pop(p))) {
        if (!end_rouse(end) || end->live->e.state != RK_ST_IDLE) /* when it is again it will wait again */
            continue;
        end->live->e.let = true;
        end_event(end, &(struct rk_event){.type = RK_EV_TICK});
        if (end->live->e.state == RK_ST_IDLE) /* it is not due any more, or may not: then it is another one's turn */
            end->live->e.let = false;
        else
            done++;
    }
    return done;
}

/* The ends of one peer after those of another, so that what goes in one call is not torn apart. */
static void
let_some(struct source *src, int64_t now_ns)
{
    size_t room = rk_gate_room(&src->gate, now_ns);

    if (room == 0 || (room != SIZE_MAX && now_ns < src->lease_ns) || src->inst->d->stopping)
        return;
    for (struct source_pair *p = src->pairs; p && room; p = p->next) {
        size_t more = rk_gate_room(&p->gate, now_ns), n;

        if (p->n_wait == 0 || more == 0 || (more != SIZE_MAX && now_ns < p->lease_ns))
            continue;
        n = let(p, more < room ? more : room);
        if (room != SIZE_MAX)
            room -= n;
        if (n && src->gate.state != RK_GATE_OPEN)
            src->lease_ns = now_ns + LEASE_NS;
        if (n && p->gate.state != RK_GATE_OPEN)
            p->lease_ns = now_ns + LEASE_NS;
    }
}

/* ---- what is asked, and what comes ---- */

/* Is it the source that fails, as a whole or for this peer, or only what was asked for? */
enum scope { OF_KEY, OF_PAIR, OF_SOURCE };

static enum scope
scope_of(int err, bool new_key)
{
    switch (rk_err_class(err)) {
    case RK_CLASS_SUPPLY:
        return new_key ? OF_PAIR : OF_KEY;
    case RK_CLASS_BUG:
        return new_key ? OF_PAIR : OF_KEY;
    case RK_CLASS_CONFIG:
        return err == RK_E_REJECTED ? (new_key ? OF_PAIR : OF_KEY) : OF_SOURCE;
    default:
        return err == RK_E_AGAIN ? OF_KEY : OF_SOURCE;
    }
}

struct source_pair *
source_pair_of(const struct end *end)
{
    struct source_pair *part = mix_pair(end);

    if (part)
        return part;
    if (!end->asked || end->asked == end->source)
        return end->pair;
    if (end->asked == end->fallback)
        return end->fallback_pair;
    return end->asked->source ? pair_of(end->asked->source, end_peer_sae(end)) : NULL;
}

size_t
source_room(const struct end *end, uint32_t verb, int64_t now_ns)
{
    const struct source_pair *p = source_pair_of(end);
    size_t room, more;

    if (!p)
        return SIZE_MAX;
    room = rk_gate_room(&p->src->gate, now_ns);
    if (p->max_per_request > 0 && (size_t)p->max_per_request < room)
        room = (size_t)p->max_per_request;
    more = verb == RK_V_GET_NEW ? rk_gate_room(&p->gate, now_ns) : SIZE_MAX;
    return more < room ? more : room;
}

void
source_asked(struct source_pair *p, uint32_t verb, size_t n)
{
    if (!p)
        return;
    p->calls++;
    p->in_flight++;
    rk_gate_asked(&p->src->gate, n);
    if (verb == RK_V_GET_NEW)
        rk_gate_asked(&p->gate, n);
}

static void
show_gate(const struct source_pair *p, const char *peer, bool open, int err, const char *why)
{
    rk_log(open ? RK_LOG_NOTICE : RK_LOG_WARNING, "ev=source source=%s%s%s state=%s res=%s%s%s%s%s",
           p->src->inst->conf->name, peer[0] ? " peer=" : "", peer, open ? "gives-keys" : "waits", rk_err_name(err),
           open ? "" : " why=\"", open ? "" : why, open ? "" : "\"",
           open ? "" : " note=\"one link asks until it gives keys again\"");
}

/* Of a gate: it was open, and is now shut.  That it gives keys again is said by tell_open(). */
static void
show_shut(const struct source_pair *p, const char *peer, bool was_open, const struct rk_gate *g, int err,
            const char *why)
{
    bool shut = g->state == RK_GATE_SHUT;

    if (was_open && shut)
        show_gate(p, peer, false, err, why);
}

static void
count(struct source_pair *p, uint32_t verb, size_t n, size_t good, int err)
{
    p->failed += good == 0;
    if (verb != RK_V_GET_NEW)
        return;
    p->keys += good;
    rk_pool_given(&p->pool, good);
    if (rk_err_class(err) == RK_CLASS_OBSERVE)
        p->orphaned += n - good;
}

void
source_answered(struct source_pair *p, uint32_t verb, size_t n, size_t good, int err, const char *why)
{
    bool new_key = verb == RK_V_GET_NEW;
    enum scope scope = err && (!good || err == RK_E_EMPTY) ? scope_of(err, new_key) : OF_KEY;
    int64_t now_ns = rk_now_ns();
    struct source *src;
    bool source_was, pair_was;

    if (!p)
        return;
    p->in_flight--;
    src = p->src;
    source_was = src->gate.state == RK_GATE_OPEN;
    pair_was = p->gate.state == RK_GATE_OPEN;
    count(p, verb, n, good, err);
    if (new_key && err == RK_E_EMPTY)
        rk_pool_empty(&p->pool, now_ns, &p->demand);
    if (scope == OF_SOURCE) {
        src->slaves_wait |= !new_key;
        src->err = err;
        snprintf(src->why, sizeof src->why, "%s", why);
    } else if (scope == OF_PAIR) {
        p->err = err;
        snprintf(p->why, sizeof p->why, "%s", why);
    }
    rk_gate_answered(&src->gate, n, scope == OF_SOURCE, now_ns, interval_of(src->interval_ns),
                     rk_hash(src->inst->conf->name));
    if (new_key && scope == OF_SOURCE) /* it says nothing of the pool */
        p->gate.out -= n < p->gate.out ? n : p->gate.out;
    else if (new_key)
        rk_gate_answered(&p->gate, n, scope == OF_PAIR, now_ns, interval_of(p->interval_ns), rk_hash(p->peer_sae));
    show_shut(p, "", source_was, &src->gate, err, why);
    show_shut(p, p->peer_sae, pair_was, &p->gate, err, why);
    src->lease_ns = p->lease_ns = 0;
    if (!source_was || !pair_was || !is_open(p) || err == RK_E_EMPTY)
        source_look(src, now_ns);
}

/* Whoever was let through has had his answer. */
static void
end_leases(struct source *src)
{
    src->lease_ns = 0;
    for (struct source_pair *p = src->pairs; p; p = p->next)
        p->lease_ns = 0;
}

void
source_down(struct inst *inst, int err, const char *why)
{
    struct source *src = inst->source;
    bool was_open;

    if (!src)
        return;
    was_open = src->gate.state == RK_GATE_OPEN;
    src->err = err;
    snprintf(src->why, sizeof src->why, "%s", why);
    rk_gate_failed(&src->gate, rk_now_ns(), interval_of(src->interval_ns), rk_hash(inst->conf->name));
    end_leases(src);
    if (was_open && src->pairs)
        show_shut(src->pairs, "", was_open, &src->gate, err, why);
    source_look(src, rk_now_ns());
}

void
source_up(struct inst *inst)
{
    struct source *src = inst->source;

    if (!src)
        return;
    rk_gate_retry(&src->gate, rk_now_ns());
    end_leases(src);
    source_look(src, rk_now_ns());
}

/* ---- the survey: who asks what ---- */

static void
add_demand(struct end *end)
{
    const struct rk_link_conf *conf = end->conf;
    int64_t interval_ns = conf->interval_ms * RK_NS_PER_MS;
    struct source_pair *all[RK_PARTS_MAX + 1];
    const struct source_pair *goes_by = end->mix && conf->require_any ? NULL : end->pair; /* as end_configure() */
    size_t n = mix_pairs(end, all);

    all[n] = end->fallback_pair;
    for (size_t i = 0; i <= n; i++) {
        struct source_pair *p = all[i];

        if (!p)
            continue;
        p->used = true;
        if (interval_ns < p->interval_ns)
            p->interval_ns = interval_ns;
        if (interval_ns < p->src->interval_ns)
            p->src->interval_ns = interval_ns;
    }
    for (size_t i = 0; i < n && end->master; i++)
        if (all[i]) /* a mixed link goes by the supply of one of its sources: it saves no keys for the others */
            rk_demand_add(&all[i]->demand, conf->priority, interval_ns,
                          all[i] == goes_by ? conf->stretch_max : RK_STRETCH_NONE);
}

static void
survey(struct daemon *d)
{
    for (struct inst *i = d->insts; i; i = i->next) {
        if (!i->source)
            continue;
        i->source->interval_ns = RK_NEVER;
        for (struct source_pair *p = i->source->pairs; p; p = p->next) {
            p->demand = (struct rk_demand){.links = 0};
            p->interval_ns = RK_NEVER;
            p->used = false;
        }
    }
    for (size_t i = 0; i < d->n_ends; i++)
        add_demand(d->ends[i]);
    d->surveyed_ns = rk_now_ns();
}

static void
drop_unused(struct source *src)
{
    for (struct source_pair **at = &src->pairs; *at;) {
        struct source_pair *p = *at;

        if (p->used || p->polling || p->in_flight) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        pair_free(p);
    }
}

static struct source_pair *
bind(struct inst *inst, const struct end *end)
{
    return inst && inst->source ? pair_of(inst->source, end_peer_sae(end)) : NULL;
}

void
source_bind_all(struct daemon *d)
{
    for (size_t i = 0; i < d->n_ends; i++) {
        struct end *end = d->ends[i];

        if (!end->mix) /* else it is that of the source that is asked first */
            end->pair = bind(end->source, end);
        end->fallback_pair = bind(end->fallback, end);
        mix_bind(end, bind);
        end_configure(end);
    }
    survey(d);
    for (struct inst *i = d->insts; i; i = i->next)
        if (i->source && !i->gone) {
            drop_unused(i->source);
            source_look(i->source, rk_now_ns());
        }
}

void
source_forget(struct end *end)
{
    source_leave(end);
    end->pair = end->fallback_pair = NULL;
    mix_forget(end);
    end_configure(end);
}

/* ---- the turn ---- */

static int64_t
earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When it must be looked at next, as far as gates and the ends behind them are concerned. */
static int64_t
next_of_gates(const struct source *src, int64_t now_ns)
{
    int64_t next_ns = RK_NEVER;

    for (const struct source_pair *p = src->pairs; p; p = p->next) {
        bool waits = p->n_wait || src->inst->queue.first;
        int64_t at_ns = retry_of(p), lease_ns = p->lease_ns > src->lease_ns ? p->lease_ns : src->lease_ns;

        if (p->supply.squeeze[0] || p->pool.empty_ns)
            next_ns = earlier(next_ns, now_ns + RK_NS_PER_S);
        if (!waits || is_open(p))
            continue;
        if (at_ns <= now_ns)
            at_ns = lease_ns > now_ns ? lease_ns : now_ns + RK_NS_PER_S;
        next_ns = earlier(next_ns, at_ns);
    }
    if (src->inst->queue.first) /* who waits there may get tired of it */
        next_ns = earlier(next_ns, now_ns + RK_NS_PER_S);
    return next_ns;
}

void
source_hold(struct inst *inst)
{
    int64_t next_ns = next_of_gates(inst->source, rk_now_ns());

    if (next_ns != RK_NEVER)
        source_look(inst->source, next_ns);
}

/* A gate behind which nobody waits is opened by the first key that was given. */
static void
open_idle(struct source *src)
{
    size_t waiting = 0;

    for (struct source_pair *p = src->pairs; p; p = p->next) {
        waiting += p->n_wait;
        if (p->n_wait == 0 && !src->inst->queue.first)
            rk_gate_idle(&p->gate);
    }
    if (waiting == 0 && !src->inst->queue.first)
        rk_gate_idle(&src->gate);
}

static void
tell_open(struct source *src)
{
    if (src->told_shut && src->gate.state == RK_GATE_OPEN && src->pairs)
        show_gate(src->pairs, "", true, RK_OK, "");
    src->told_shut = src->gate.state != RK_GATE_OPEN;
    for (struct source_pair *p = src->pairs; p; p = p->next) {
        if (p->told_shut && p->gate.state == RK_GATE_OPEN)
            show_gate(p, p->peer_sae, true, RK_OK, "");
        p->told_shut = p->gate.state != RK_GATE_OPEN;
    }
}

void
source_turn(struct daemon *d, struct wake *w)
{
    struct source *src = (struct source *)w;
    int64_t now_ns = rk_now_ns(), next_ns;

    if (src->inst->gone)
        return;
    if (now_ns - d->surveyed_ns > SURVEY_NS)
        survey(d);
    open_idle(src);
    judge_all(src, now_ns);
    tell_open(src);
    inst_fail_tired(src->inst);
    let_some(src, now_ns);
    source_slaves_turn(src, now_ns);
    inst_mark(src->inst);
    next_ns = earlier(source_poll(src, now_ns), next_of_gates(src, now_ns));
    if (next_ns != RK_NEVER)
        source_look(src, next_ns);
}
