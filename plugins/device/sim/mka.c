/* mka.c - MKA: who hears whom, and which key is transmitted with.
 *
 * No timer runs: whenever the device is called, what happened meanwhile follows from when each end's participants
 * began and ended.  A participant is live one hello time after both ends have it, and dies when the peer's was not
 * heard for three.  Without a directory that both ends share the peer is presumed to follow at once. */
#include "cak.h"

#include <string.h>

#define SLACK_NS 5000000 /* a start time that moves by less against the other clock has not moved */

bool
sim_mka_live(const struct sim_device *d, const struct sim_key *k)
{
    int64_t now_ns = d->clock.boot_ns();

    return k->since_ns <= now_ns && k->heard_ns > 0 && now_ns - k->heard_ns < SIM_LIFE * d->hello_ns;
}

static int
rank(const struct sim_key *k)
{
    return k->place & SIM_PRIMARY ? 0 : k->place & SIM_PRECEDING ? 1 : 2;
}

const struct sim_key *
sim_mka_sender(const struct sim_device *d, const struct sim_cak *c)
{
    const struct sim_key *best = NULL;

    for (size_t i = 0; i < c->n; i++)
        if (c->keys[i].place & SIM_TALKS && sim_mka_live(d, &c->keys[i]) && (!best || rank(&c->keys[i]) < rank(best)))
            best = &c->keys[i];
    return best;
}

void
sim_mka_stop(struct sim_cak *c, struct sim_key *k, int64_t now_ns)
{
    struct sim_gone *g;

    if (k->since_ns < now_ns && k->heard_ns > 0) {
        g = &c->gone[c->n_gone++ % SIM_GONE];
        *g = (struct sim_gone){.since_ns = k->since_ns, .until_ns = now_ns, .digest = k->digest};
        memcpy(g->key_id, k->key_id, sizeof g->key_id);
    }
    k->since_ns = SIM_NEVER;
    k->heard_ns = 0;
}

/* A key of the chain whose time has not come: when its participant will begin. */
static void
await_start(const struct sim_device *d, struct sim_cak *c, struct sim_key *k, int64_t now_ns)
{
    int64_t at_ns = now_ns + (sim_chain_begins_ms(d, k) - sim_device_ms(d)) * 1000000;

    if (at_ns <= now_ns)
        at_ns = SIM_NEVER; /* it was replaced by a newer one */
    if (k->since_ns <= now_ns)
        sim_mka_stop(c, k, now_ns);
    if (at_ns == SIM_NEVER || k->since_ns == SIM_NEVER || at_ns - k->since_ns > SLACK_NS ||
        k->since_ns - at_ns > SLACK_NS)
        k->since_ns = at_ns;
}

/* Participants begin and end as the places of keys say.  A time that is ahead is from before a restart of the
 * machine. */
static void
follow(const struct sim_device *d, struct sim_cak *c, int64_t now_ns)
{
    for (size_t i = 0; i < c->n; i++) {
        struct sim_key *k = &c->keys[i];

        if (!c->shut && k->place & SIM_TALKS) {
            if (k->since_ns > now_ns || k->heard_ns > now_ns)
                k->heard_ns = 0;
            if (k->since_ns > now_ns)
                k->since_ns = now_ns;
        } else if (!c->shut && k->place & SIM_CHAIN) {
            await_start(d, c, k, now_ns);
        } else {
            sim_mka_stop(c, k, now_ns);
        }
    }
}

/* ---- the other end ---- */

void
sim_air_read(const char *text, struct sim_air *air)
{
    air->n = 0;
    air->shut = strstr(text, " shut=1\n") != NULL;
    for (const char *line = strstr(text, "\ncak "); line && air->n < SIM_AIR_MAX; line = strstr(line + 1, "\ncak ")) {
        struct sim_hello *h = &air->hello[air->n];
        char digest[SIM_DIGEST_HEX + 1];
        long long since, until;

        if (sscanf(line + 1, "cak role=%*15s status=%*15s seq=%*20u id=%64s digest=%32s since=%20lld until=%20lld",
                   h->key_id, digest, &since, &until) != 4 || !sim_digest_read(digest, &h->digest))
            continue;
        h->since_ns = since;
        h->until_ns = until;
        air->n++;
    }
}

/* Hellos of the peer that the participant of k has heard, once both hear each other. */
static void
hear(const struct sim_device *d, struct sim_key *k, const struct sim_hello *h, int64_t now_ns)
{
    int64_t last_ns = h->until_ns ? h->until_ns : now_ns;
    int64_t both_ns = h->since_ns > k->since_ns ? h->since_ns : k->since_ns;

    if (strcmp(h->key_id, k->key_id) != 0 || !sim_digest_same(&h->digest, &k->digest))
        return;
    if (both_ns + d->hello_ns <= last_ns && last_ns > k->heard_ns)
        k->heard_ns = last_ns;
}

static void
hear_all(const struct sim_device *d, struct sim_cak *c, const struct sim_air *air, int64_t now_ns)
{
    for (size_t i = 0; i < c->n; i++) {
        struct sim_key *k = &c->keys[i];

        for (size_t n = 0; k->since_ns <= now_ns && n < air->n; n++)
            if (air->hello[n].since_ns <= now_ns)
                hear(d, k, &air->hello[n], now_ns);
    }
}

static uint64_t
mix(uint64_t h, const void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        h = (h ^ ((const unsigned char *)bytes)[i]) * 1099511628211u;
    return h;
}

/* Is this a hello of a key that has no participant here? */
static bool
is_unknown(const struct sim_cak *c, const struct sim_hello *h, int64_t now_ns)
{
    const struct sim_key *k = sim_cak_find(c, h->key_id);

    return h->until_ns == 0 && h->since_ns <= now_ns &&
           !(k && k->since_ns <= now_ns && sim_digest_same(&k->digest, &h->digest));
}

/* Noise as a router logs it (DOT1XD_MACSEC_SC_UNKNOWN_CAK_ERR): usual for as long as one end has a key before the
 * other, and harmless.  Told once for each set of keys, not for each hello. */
static void
note_unknown(struct sim_device *d, struct rk_call *call, struct sim_iface *f, const struct sim_air *air)
{
    int64_t now_ns = d->clock.boot_ns();
    struct sim_cak *c = f->cak;
    const char *first = NULL;
    uint64_t set = 0;

    for (size_t i = 0; i < air->n; i++)
        if (is_unknown(c, &air->hello[i], now_ns)) {
            set ^= mix(1, air->hello[i].key_id, strlen(air->hello[i].key_id));
            first = first ? first : air->hello[i].key_id;
        }
    if (set == c->unknown_set)
        return;
    c->unknown_set = set;
    if (set == 0)
        return;
    c->unknown++;
    d->host->log(call, RK_LOG_NOTICE, "ev=mka what=%s iface=%s link=%s key_id=%s count=%u",
                 sim_cak_find(c, first) ? "wrong-cak" : "unknown-ckn", f->name, c->link, first, c->unknown);
}

static void
listen(struct sim_device *d, struct rk_call *call, struct sim_iface *f, const struct sim_peers *peers, int64_t now_ns)
{
    struct sim_air air;

    for (size_t i = 0; !peers && i < f->cak->n; i++)
        if (f->cak->keys[i].since_ns + d->hello_ns <= now_ns && f->cak->keys[i].since_ns != SIM_NEVER)
            f->cak->keys[i].heard_ns = now_ns;
    for (size_t i = 0; peers && !peers->cut && i < peers->n; i++) {
        sim_air_read(peers->text[i], &air);
        hear_all(d, f->cak, &air, now_ns);
        note_unknown(d, call, f, &air);
    }
}

/* ---- all of it ---- */

static uint64_t
sign(const struct sim_device *d, const struct sim_cak *c)
{
    uint64_t h = mix(c->shut, &c->unknown, sizeof c->unknown);

    for (size_t i = 0; i < c->n; i++) {
        const struct sim_key *k = &c->keys[i];
        bool live = sim_mka_live(d, k);

        h = mix(h, k->key_id, strlen(k->key_id));
        h = mix(h, &k->place, sizeof k->place);
        h = mix(h, &k->since_ns, sizeof k->since_ns);
        h = mix(h, &live, sizeof live);
    }
    return h;
}

bool
sim_mka_settle(struct sim_device *d, struct rk_call *call, struct sim_iface *f, const struct sim_peers *peers)
{
    int64_t now_ns = d->clock.boot_ns();
    const struct sim_key *primary;
    struct sim_cak *c = f->cak;
    uint64_t signature;

    if (c->n == 0 && c->n_gone == 0 && !c->shut)
        return false;
    if (d->class->class == RK_CLASS_D)
        sim_chain_roles(d, c);
    follow(d, c, now_ns);
    listen(d, call, f, peers, now_ns);
    primary = sim_cak_at(c, SIM_PRIMARY);
    for (size_t i = 0; primary && sim_mka_live(d, primary) && i < c->n; i++)
        c->keys[i].place &= ~SIM_PRECEDING;
    follow(d, c, now_ns);
    sim_cak_tidy(d, c);
    signature = sign(d, c);
    if (signature == c->signature)
        return false;
    c->signature = signature;
    return true;
}
