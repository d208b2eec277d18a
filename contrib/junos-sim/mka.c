/* mka.c - see mka.h
 *
 * What is not known of Junos is taken in the way that forgives a client least: there is one preceding key only, the
 * next change of the primary key takes its place even when that one was never in use; a key server that starts again
 * has lost its SAKs.  A key that changes its place (primary to fallback) stays the same participant.
 */
#include "mka.h"

#include <stdlib.h>
#include <string.h>

static uint64_t
dice(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

bool
mka_ckn_same(const char *a, const char *b)
{
    if (!*a || !*b)
        return false;
    if (strcmp(a, b) == 0) /* most are, or differ at once */
        return true;
    while (*a && *a == *b) {
        a++;
        b++;
    }
    if (*a && *b)
        return false;
    for (a = *a ? a : b; *a == '0'; a++)
        ;
    return !*a;
}

static bool
key_same(const struct mka_key *a, const struct mka_key *b)
{
    return mka_ckn_same(a->ckn, b->ckn) && a->cak_n == b->cak_n && memcmp(a->cak, b->cak, a->cak_n) == 0;
}

static struct mka_part *
part_by_ckn(struct mka_port *p, const char *ckn)
{
    for (size_t i = 0; i < MKA_PARTS; i++)
        if (p->part[i].there && mka_ckn_same(p->part[i].key.ckn, ckn))
            return &p->part[i];
    return NULL;
}

const struct mka_part *
mka_part_of(const struct mka_port *p, enum mka_type type)
{
    for (size_t i = 0; i < MKA_PARTS; i++)
        if (p->part[i].there && p->part[i].type == type)
            return &p->part[i];
    return NULL;
}

/* Something changed that the peer should hear soon: not at once, but without waiting for the next hello. */
static void
new_info(struct mka_port *p)
{
    int64_t soon = p->sent_ms + p->conf.hello_ms / 4;

    if (soon < p->next_ms)
        p->next_ms = soon;
}

/* ---- which participants there are ---- */

static const struct mka_key *
primary_key(struct mka_port *p, int64_t clock_ms)
{
    const struct mka_chain_key *best = NULL;

    p->active_slot = -1;
    if (!*p->conf.chain_name)
        return &p->conf.psk;
    for (size_t i = 0; i < p->conf.n_chain; i++) {
        const struct mka_chain_key *k = &p->conf.chain[i];

        if (k->start_ms <= clock_ms && *k->key.ckn && (!best || k->start_ms >= best->start_ms))
            best = k;
    }
    if (best)
        p->active_slot = best->slot;
    return best ? &best->key : &p->conf.psk; /* without a key that has begun, one that was left beside the chain */
}

/* The participant of this key, taken from those that there were, or a new one. */
static struct mka_part
take(struct mka_port *p, struct mka_part *old, const struct mka_key *key, enum mka_type type)
{
    struct mka_part part = {.there = true, .key = *key, .type = type};

    for (size_t i = 0; i < MKA_PARTS; i++)
        if (old[i].there && key_same(&old[i].key, key)) {
            part = old[i];
            part.type = type;
            old[i].there = false;
            return part;
        }
    for (size_t i = 0; i < MKA_MI; i++)
        part.mi[i] = (unsigned char)dice(&p->dice);
    new_info(p);
    return part;
}

static bool
is_key(const struct mka_key *key)
{
    return *key->ckn && key->cak_n > 0;
}

/* The preceding key: the primary one before this change, else the one that there is. */
static void
keep_preceding(struct mka_port *p, struct mka_part *old, const struct mka_key *was, int64_t now)
{
    struct mka_part *to = &p->part[1];

    for (size_t i = 0; i < MKA_PARTS; i++)
        if (old[i].there && (was ? key_same(&old[i].key, was) : old[i].type == MKA_PRECEDING)) {
            *to = old[i];
            if (to->type == MKA_PRIMARY)
                to->renamed_ms = now + p->conf.hello_ms;
            to->type = MKA_PRECEDING;
            return;
        }
}

static void
set_parts(struct mka_port *p, int64_t clock_ms, int64_t now)
{
    struct mka_part old[MKA_PARTS];
    const struct mka_part *primary = mka_part_of(p, MKA_PRIMARY), *fallback = mka_part_of(p, MKA_FALLBACK);
    const struct mka_key *key = primary_key(p, clock_ms), *spare = &p->conf.fallback;
    struct mka_key was = primary ? primary->key : (struct mka_key){.cak_n = 0};
    bool same = primary ? key_same(&was, key) : !is_key(key);
    bool same_spare = fallback ? key_same(&fallback->key, spare) : !is_key(spare) || key_same(key, spare);

    if (same && same_spare && !(p->conf.no_preceding && mka_part_of(p, MKA_PRECEDING)))
        return;
    memcpy(old, p->part, sizeof old);
    memset(p->part, 0, sizeof p->part);
    if (is_key(key))
        p->part[0] = take(p, old, key, MKA_PRIMARY);
    if (is_key(spare) && !key_same(key, spare))
        p->part[2] = take(p, old, spare, MKA_FALLBACK);
    if (!p->conf.no_preceding && is_key(key))
        keep_preceding(p, old, !same && primary ? &was : NULL, now);
    if (p->part[1].there && (mka_ckn_same(p->part[1].key.ckn, p->part[0].key.ckn) ||
                             mka_ckn_same(p->part[1].key.ckn, p->part[2].key.ckn)))
        p->part[1].there = false; /* the same name with another key */
    explicit_bzero(old, sizeof old);
    explicit_bzero(&was, sizeof was);
    new_info(p);
}

/* The preceding key has done its duty when the primary one has carried traffic for a hello. */
static void
end_preceding(struct mka_port *p, int64_t now)
{
    const struct mka_part *primary = mka_part_of(p, MKA_PRIMARY);

    if (p->part[1].there && primary && primary->live && p->latest.there && p->tx_latest &&
        mka_ckn_same(p->latest.by.ckn, primary->key.ckn) && now - p->latest.since_ms >= p->conf.hello_ms &&
        now - primary->live_since_ms >= p->conf.hello_ms && now >= p->part[1].renamed_ms)
        explicit_bzero(&p->part[1], sizeof p->part[1]);
}

/* ---- live peers, key server, SAK ---- */

static bool
any_live(const struct mka_port *p)
{
    for (size_t i = 0; i < MKA_PARTS; i++)
        if (p->part[i].there && p->part[i].live)
            return true;
    return false;
}

static void
expire(struct mka_port *p, int64_t now)
{
    for (size_t i = 0; i < MKA_PARTS; i++) {
        struct mka_part *part = &p->part[i];

        if (now < p->suspended_ms)
            part->heard_ms = now; /* its life time begins when the pause is over */
        else if (part->there && part->heard && now - part->heard_ms > MKA_LIVES * p->conf.hello_ms) {
            part->heard = part->live = false;
            part->rx = part->rx_mn = 0;
            new_info(p);
        }
    }
    if (!any_live(p)) {
        p->latest.there = p->previous.there = p->tx_latest = false;
        p->key_server = false;
    }
}

/* The lower priority is the key server, then the lower SCI. */
static bool
we_serve(const struct mka_port *p, const struct mka_part *part)
{
    if (part->peer_priority != p->conf.priority)
        return p->conf.priority < part->peer_priority;
    return p->sci < part->peer_sci;
}

static struct mka_part *
principal(struct mka_port *p)
{
    static const size_t order[MKA_PARTS] = {0, 1, 2}; /* primary, preceding, fallback */

    for (size_t i = 0; i < MKA_PARTS; i++)
        if (p->part[order[i]].there && p->part[order[i]].live)
            return &p->part[order[i]];
    return NULL;
}

static void
install(struct mka_port *p, const struct mka_sak *sak, bool transmit, int64_t now)
{
    p->previous = p->latest.there && (p->tx_latest || !p->previous.there) ? p->latest : p->previous;
    p->latest = *sak;
    p->latest.there = true;
    p->latest.since_ms = now;
    p->tx_latest = transmit;
    new_info(p);
}

/* As key server: a new SAK for a new peer, another CAK, or an old SAK. */
static void
serve(struct mka_port *p, int64_t now)
{
    struct mka_part *part = principal(p);
    struct mka_sak sak = {.there = true};
    const struct mka_sak *is = &p->latest;

    p->key_server = part && we_serve(p, part);
    if (!p->key_server)
        return;
    if (is->there && mka_ckn_same(is->by.ckn, part->key.ckn) && memcmp(is->mi, part->mi, MKA_MI) == 0 &&
        memcmp(is->peer_mi, part->peer_mi, MKA_MI) == 0 &&
        !(p->conf.rekey_ms > 0 && now - is->since_ms >= p->conf.rekey_ms))
        return;
    memcpy(sak.mi, part->mi, MKA_MI);
    memcpy(sak.peer_mi, part->peer_mi, MKA_MI);
    memcpy(sak.by.ckn, part->key.ckn, sizeof sak.by.ckn);
    sak.kn = ++part->kn;
    sak.an = is->there ? (is->an + 1) % 4 : 0;
    install(p, &sak, false, now);
}

/* ---- hellos ---- */

struct hello {
    const struct mka_key *key;
    const unsigned char *mi, *peer; /* peer: whom the sender hears; NULL: nobody */
    uint32_t mn;
    unsigned priority;
    uint64_t sci;
    const struct mka_sak *sak; /* what the key server gives out by this CAK; NULL: nothing */
    const struct mka_sak *has; /* the latest one that the sender has installed */
};

static void
hear_sak(struct mka_port *p, struct mka_part *part, const struct hello *h, int64_t now)
{
    bool known = p->latest.there && h->sak && p->latest.kn == h->sak->kn &&
                 memcmp(p->latest.mi, h->sak->mi, MKA_MI) == 0;

    if (!part->live)
        return;
    if (!we_serve(p, part)) {
        if (h->sak && !known)
            install(p, h->sak, true, now); /* the key server can receive it already */
    } else if (p->latest.there && !p->tx_latest && h->has->there && h->has->kn == p->latest.kn &&
               memcmp(h->has->mi, p->latest.mi, MKA_MI) == 0)
        p->tx_latest = true;
}

static void
hear(struct mka_port *p, const struct hello *h, int64_t now)
{
    struct mka_part *part = part_by_ckn(p, h->key->ckn);

    p->stats.received++;
    if (!part) {
        p->stats.unknown_ckn++;
        memcpy(p->unknown, h->key->ckn, sizeof p->unknown);
        return;
    }
    if (!key_same(&part->key, h->key)) {
        p->stats.icv_mismatch++;
        return;
    }
    if (part->heard && memcmp(part->peer_mi, h->mi, MKA_MI) == 0 && h->mn <= part->rx_mn) {
        p->stats.old_message++;
        return;
    }
    if (!part->heard || memcmp(part->peer_mi, h->mi, MKA_MI) != 0) {
        memcpy(part->peer_mi, h->mi, MKA_MI);
        part->live = false;
        new_info(p);
    }
    part->heard = true;
    part->heard_ms = now;
    part->rx_mn = h->mn;
    part->rx++;
    part->peer_priority = h->priority;
    part->peer_sci = h->sci;
    if (!part->live && h->peer && memcmp(h->peer, part->mi, MKA_MI) == 0) {
        part->live = true;
        part->live_since_ms = now;
        new_info(p);
    }
    hear_sak(p, part, h, now);
}

static void
say(struct mka_port *from, struct mka_port *to, int64_t now)
{
    if (now < from->next_ms || now < from->suspended_ms)
        return;
    from->sent_ms = now;
    from->next_ms = now + from->conf.hello_ms;
    for (size_t i = 0; i < MKA_PARTS; i++) {
        struct mka_part *part = &from->part[i];
        bool gives = from->key_server && from->latest.there && mka_ckn_same(from->latest.by.ckn, part->key.ckn);
        struct hello h = {&part->key, part->mi, part->heard ? part->peer_mi : NULL, 0, from->conf.priority, from->sci,
                          gives ? &from->latest : NULL, &from->latest};

        if (!part->there)
            continue;
        h.mn = ++part->mn;
        part->tx++;
        from->stats.sent++;
        if (to && to->up && to->conf.on && now >= to->suspended_ms)
            hear(to, &h, now);
    }
}

/* ---- what is counted ---- */

bool
mka_secured(const struct mka_port *p)
{
    return p->conf.on && p->latest.there && (p->tx_latest || p->previous.there) && any_live(p);
}

static void
count(struct mka_port *p, int64_t now)
{
    int64_t passed = now - p->counted_ms;
    bool secured = mka_secured(p);

    p->counted_ms = now;
    p->secured_once |= secured;
    if (secured)
        p->excuse = MKA_NO_EXCUSE;
    if (secured || now - p->up_since_ms > 3 * MKA_LIVES * p->conf.hello_ms)
        p->recovering = false;
    if (!p->secured_once || passed <= 0)
        return;
    if (secured && !p->lost)
        p->packets_ms += passed;
    if (!p->up || p->recovering)
        p->down_ms += passed;
    else if (!secured)
        *(p->excuse ? &p->excused_ms[p->excuse] : &p->unsecured_ms) += passed;
    if (p->up && !p->excuse &&
        (!p->conf.on || (!secured && p->conf.should_secure) || (secured && p->conf.no_encryption)))
        p->clear_ms += passed;
    if (p->up && !p->recovering && p->lost)
        p->lost_ms += passed;
}

static bool
holds(const struct mka_port *p, const struct mka_sak *sak)
{
    const struct mka_sak *mine[] = {&p->latest, &p->previous};

    for (size_t i = 0; i < 2; i++)
        if (mine[i]->there && mine[i]->kn == sak->kn && memcmp(mine[i]->mi, sak->mi, MKA_MI) == 0)
            return true;
    return false;
}

/* Does it transmit what the other end cannot read? */
static bool
loses(const struct mka_port *p, const struct mka_port *to)
{
    return mka_secured(p) && to && to->up && !holds(to, p->tx_latest ? &p->latest : &p->previous);
}

/* ---- from outside ---- */

static void
tend(struct mka_end e, int64_t now)
{
    count(e.port, now);
    if (!e.port->up || !e.port->conf.on) {
        mka_port_forget(e.port);
        return;
    }
    set_parts(e.port, e.clock_ms, now);
    expire(e.port, now);
    serve(e.port, now);
}

void
mka_run(struct mka_end a, struct mka_end b, int64_t now)
{
    tend(a, now);
    if (b.port)
        tend(b, now);
    if (a.port->up && a.port->conf.on)
        say(a.port, b.port, now);
    if (b.port && b.port->up && b.port->conf.on)
        say(b.port, a.port, now);
    end_preceding(a.port, now);
    a.port->lost = loses(a.port, b.port);
    if (b.port) {
        end_preceding(b.port, now);
        b.port->lost = loses(b.port, a.port);
    }
}

void
mka_port_start(struct mka_port *p, uint64_t sci, uint64_t seed, int64_t now)
{
    memset(p, 0, sizeof *p);
    p->sci = sci;
    p->dice = seed;
    p->active_slot = -1;
    p->conf.hello_ms = 2000;
    p->counted_ms = p->up_since_ms = p->next_ms = now;
}

void
mka_conf_free(struct mka_conf *conf)
{
    if (conf->chain)
        explicit_bzero(conf->chain, conf->n_chain * sizeof *conf->chain);
    free(conf->chain);
    explicit_bzero(conf, sizeof *conf);
}

void
mka_port_end(struct mka_port *p)
{
    mka_conf_free(&p->conf);
    explicit_bzero(p, sizeof *p);
}

void
mka_port_forget(struct mka_port *p)
{
    explicit_bzero(p->part, sizeof p->part);
    p->latest.there = p->previous.there = p->tx_latest = p->key_server = p->lost = false;
}

void
mka_port_configure(struct mka_port *p, struct mka_conf *conf, int64_t clock_ms, int64_t now)
{
    count(p, now);
    mka_conf_free(&p->conf);
    p->conf = *conf;
    memset(conf, 0, sizeof *conf);
    if (p->conf.hello_ms <= 0)
        p->conf.hello_ms = 2000;
    if (p->up && p->conf.on)
        set_parts(p, clock_ms, now);
    else
        mka_port_forget(p);
}

void
mka_port_up(struct mka_port *p, bool up, int64_t now)
{
    if (p->up == up)
        return;
    count(p, now);
    p->up = up;
    p->up_since_ms = now;
    p->recovering = up;
    p->next_ms = now;
    mka_port_forget(p);
}

void
mka_reset_counts(struct mka_port *p, int64_t now)
{
    p->secured_once = mka_secured(p);
    p->counted_ms = now;
    p->unsecured_ms = p->clear_ms = p->lost_ms = p->down_ms = 0;
    memset(p->excused_ms, 0, sizeof p->excused_ms);
    memset(p->excuses, 0, sizeof p->excuses);
}

void
mka_excuse(struct mka_port *p, enum mka_excuse why)
{
    if (why != MKA_NO_EXCUSE && why != p->excuse && p->excuse != MKA_EMPTY) {
        p->excuse = why;
        p->excuses[why]++;
    }
}

bool
mka_common(const struct mka_port *a, const struct mka_port *b)
{
    for (size_t i = 0; i < MKA_PARTS; i++)
        for (size_t j = 0; j < MKA_PARTS; j++)
            if (a->part[i].there && b->part[j].there && key_same(&a->part[i].key, &b->part[j].key))
                return true;
    return false;
}

enum mka_state
mka_state_of(const struct mka_port *p, int64_t now)
{
    const struct mka_part *in_use = NULL;

    if (!mka_secured(p))
        return MKA_UNSECURED;
    if (now < p->suspended_ms)
        return MKA_SUSPENDED;
    for (size_t i = 0; i < MKA_PARTS; i++)
        if (p->part[i].there && p->part[i].live &&
            (!in_use || mka_ckn_same(p->part[i].key.ckn, p->latest.by.ckn)))
            in_use = &p->part[i];
    return in_use ? MKA_BY_PRIMARY + (enum mka_state)in_use->type : MKA_UNSECURED;
}

enum mka_type
mka_type_of(const struct mka_part *part, int64_t now)
{
    return part->type == MKA_PRECEDING && now < part->renamed_ms ? MKA_PRIMARY : part->type;
}

enum mka_status
mka_status_of(const struct mka_port *p, const struct mka_part *part)
{
    if (!part->live)
        return MKA_IN_PROGRESS;
    return p->latest.there && mka_ckn_same(p->latest.by.ckn, part->key.ckn) ? MKA_LIVE : MKA_ACTIVE;
}
