/* observe.c - what a router holds and uses: told from its committed configuration and from MKA.
 *
 * That a key is configured is not that it is used.  A key is in use when MKA shows a participant with its whole CKN that
 * is live, the interface is secured by a participant of that type, and a SAK has come by it.   src: junos.md 5; Junos
 * "show security mka sessions", "interface-state"
 */
#include "observe.h"

#include "plan.h"
#include "walk.h"

#include <stdio.h>
#include <string.h>

/* One interface of the view. */
struct spot {
    const struct jn_device *d;
    const struct jn_view *v;
    const struct jn_port *port;
    const struct jn_ca *ca;
    const struct jn_chain *chain;
    uint32_t class;
    struct rk_dev_seen *seen;
};

static void RK_PRINTF(2, 3)
say(struct rk_dev_seen *seen, const char *fmt, ...)
{
    size_t len = strlen(seen->why);
    va_list ap;

    if (len + 3 >= sizeof seen->why)
        return;
    if (len) {
        memcpy(seen->why + len, "; ", 3);
        len += 2;
    }
    va_start(ap, fmt);
    vsnprintf(seen->why + len, sizeof seen->why - len, fmt, ap);
    va_end(ap);
}

/* ---- MKA ---- */

static bool
is_live(const struct jn_mka *m)
{
    return m->status == JN_CAK_LIVE || m->status == JN_CAK_ACTIVE;
}

/* Is this participant the one by which the interface is secured now? */
static bool
secures(const struct jn_mka *m)
{
    if (!is_live(m) || !m->has_sak)
        return false;
    return (m->state == JN_MKA_PRIMARY && m->type == JN_CAK_PRIMARY) ||
           (m->state == JN_MKA_PRECEDING && m->type == JN_CAK_PRECEDING) ||
           (m->state == JN_MKA_FALLBACK && m->type == JN_CAK_FALLBACK);
}

static uint32_t
mka_flags(const struct spot *s, const char *ckn)
{
    uint32_t flags = 0;

    for (size_t i = 0; i < s->v->n_mka; i++) {
        const struct jn_mka *m = &s->v->mka[i];

        if (!jn_iface_same(m->iface, s->port->name) || !jn_ckn_same(m->ckn, ckn))
            continue;
        flags |= (m->type == JN_CAK_PRECEDING ? RK_HELD_RX : 0) | (is_live(m) ? RK_PEER_USES : 0) |
                 (secures(m) ? RK_SENDING : 0);
    }
    return flags;
}

/* ---- configuration ---- */

/* The key of the chain that the router uses: what it says itself, else the newest that has begun. */
static const struct jn_key *
begun(const struct spot *s)
{
    const struct jn_key *newest = NULL;
    int active = -1;

    for (size_t i = 0; i < s->v->n_hakr; i++)
        if (strcmp(s->v->hakr[i].chain, s->chain->name) == 0)
            active = s->v->hakr[i].active_send;
    for (size_t i = 0; i < s->chain->n; i++) {
        const struct jn_key *k = &s->chain->key[i];

        if (k->inactive || !k->ckn[0] || k->bad_start)
            continue;
        if (k->slot == active)
            return k;
        if (k->start_s <= s->v->clock.unix_s && (!newest || k->start_s > newest->start_s))
            newest = k;
    }
    return newest;
}

static uint32_t
conf_flags(const struct spot *s, const char *ckn)
{
    uint32_t flags = 0;

    if (!s->ca->fallback.inactive && jn_ckn_same(s->ca->fallback.ckn, ckn))
        flags |= RK_HELD_RX;
    if (!s->chain && !s->ca->psk.inactive && jn_ckn_same(s->ca->psk.ckn, ckn))
        flags |= RK_HELD_RX | RK_HELD_TX;
    for (size_t i = 0; s->chain && i < s->chain->n; i++)
        if (!s->chain->key[i].inactive && jn_ckn_same(s->chain->key[i].ckn, ckn))
            flags |= RK_HELD_RX | (&s->chain->key[i] == begun(s) ? RK_HELD_TX : 0);
    return flags;
}

/* ---- keys that were not asked for ---- */

static bool
is_asked(const struct spot *s, const char *ckn)
{
    char asked[JN_CKN_HEX + 1];

    for (size_t i = 0; i < RK_SEEN_KEYS; i++)
        if (s->seen->key_ids[i] && jn_ckn(s->d, s->seen->key_ids[i], asked) == RK_OK && jn_ckn_same(ckn, asked))
            return true;
    return false;
}

static void
count_foreign(const struct spot *s, const struct jn_key *k, const char *place)
{
    if (!k->ckn[0] || k->inactive || is_asked(s, k->ckn) || jn_pair_of(&s->ca->rekey, k->ckn))
        return;
    s->seen->foreign++;
    say(s->seen, "%s %.16s", place, k->ckn);
}

static void
tell_others(const struct spot *s)
{
    if (!s->chain)
        count_foreign(s, &s->ca->psk, "pre-shared-key");
    count_foreign(s, &s->ca->fallback, "fallback-key");
    for (size_t i = 0; s->chain && i < s->chain->n; i++)
        count_foreign(s, &s->chain->key[i], "key");
    for (size_t i = 0; i < s->v->n_mka; i++) {
        const struct jn_mka *m = &s->v->mka[i];

        if (jn_iface_same(m->iface, s->port->name) && secures(m) && !is_asked(s, m->ckn))
            s->seen->state |= RK_IF_OTHER;
    }
}

/* ---- the interface ---- */

/* A router that does not tell of interfaces has none that is down. */
static bool
is_up(const struct spot *s)
{
    for (size_t i = 0; i < s->v->n_links; i++)
        if (jn_iface_same(s->v->links[i].iface, s->port->name))
            return s->v->links[i].admin_up && s->v->links[i].oper_up;
    return s->v->n_links == 0;
}

static bool
is_protected(const struct spot *s)
{
    if (s->ca->should_secure)
        say(s->seen, "association %s has mka should-secure: without MKA frames go in clear", s->ca->name);
    else if (s->ca->no_encryption)
        say(s->seen, "association %s has no-encryption: frames are readable", s->ca->name);
    return !s->ca->should_secure && !s->ca->no_encryption;
}

static int
refuse(struct rk_dev_seen *seen, int err, const char *what, const char *name)
{
    say(seen, "%s%s: run rekeyctl prepare", what, name);
    seen->err = err;
    return err;
}

/* Where the interface is in the configuration.   ret: RK_OK, or seen->err and why */
static int
find(struct spot *s)
{
    const struct jn_conf *conf = s->v->conf;

    s->port = jn_conf_port(conf, s->seen->iface);
    if (!s->port || s->port->inactive || !s->port->ca[0])
        return refuse(s->seen, RK_E_CONFIG, "no connectivity association is bound to ", s->seen->iface);
    s->ca = jn_conf_ca(conf, s->port->ca);
    if (!s->ca || s->ca->inactive)
        return refuse(s->seen, RK_E_CONFIG, "there is no connectivity association ", s->port->ca);
    s->class = jn_class(s->d, s->ca);
    if (s->class != RK_CLASS_D)
        return RK_OK;
    s->chain = s->ca->chain[0] ? jn_conf_chain(conf, s->ca->chain) : NULL;
    return s->chain ? RK_OK : refuse(s->seen, RK_E_CONFIG, "no key chain for association ", s->ca->name);
}

static void
tell_keys(const struct spot *s)
{
    char ckn[JN_CKN_HEX + 1];

    for (size_t i = 0; i < RK_SEEN_KEYS; i++)
        if (s->seen->key_ids[i] && jn_ckn(s->d, s->seen->key_ids[i], ckn) == RK_OK)
            s->seen->held[i] = conf_flags(s, ckn) | mka_flags(s, ckn);
}

void
jn_tell(const struct jn_device *d, const struct jn_view *v, struct rk_dev_seen *seen)
{
    struct spot s = {.d = d, .v = v, .seen = seen};

    seen->err = RK_OK;
    if (find(&s) != RK_OK)
        return;
    seen->state = RK_IF_PRESENT | RK_IF_CLASS(s.class) | (is_up(&s) ? RK_IF_UP : 0) |
                  (is_protected(&s) ? RK_IF_PROTECTED : 0);
    if (s.class == RK_CLASS_D)
        snprintf(seen->facts, sizeof seen->facts, "clk=%lld", (long long)v->clock_offset_ms);
    tell_keys(&s);
    tell_others(&s);
}

unsigned
jn_observe_parts(const struct jn_device *d)
{
    return JN_WANT_CONF | JN_WANT_MKA | JN_WANT_LINKS |
           (d->opt.keying == JN_CHAIN ? JN_WANT_CLOCK | JN_WANT_HAKR : 0);
}

int
jn_observe(void *inst, struct rk_call *call, struct rk_dev_seen *seen, size_t n)
{
    struct jn_device *d = inst;
    struct jn_view *view = NULL;
    int err = jn_know(d, call);

    if (!err)
        err = jn_view_get(d, call, jn_observe_parts(d), &view);
    for (size_t i = 0; !err && i < n; i++)
        jn_tell(d, view, &seen[i]);
    jn_view_free(d->host, &view);
    return err == RK_E_UNKNOWN ? RK_E_UNREACHABLE : err; /* nothing was to be changed */
}
