/* observe.c - tells what a router holds and uses, from a view of it (pure, jn_observe_one).
 *
 * What is held is what the committed configuration says; what is used is what MKA shows.  A key is transmitted with
 * only when a participant with its whole CKN is live, the interface is secured by a key of that type, and the
 * participant names a SAK.  Whatever is not told is taken as not so. */
#include "read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define ENCRYPTS_MS 9000 /* less than the usual verify, more than the looks of one rotation */

struct looker {
    const struct jn_device *d;
    const struct jn_view *v;
    const struct jn_ca *ca;
    const struct jn_chain *chain;
    char iface[RK_IFACE_MAX + 3];
    char ckn[RK_SEEN_KEYS][JN_CKN_HEX + 1]; /* of the keys asked for; "" none */
    int64_t device_s;                       /* the router's clock, Unix time */
    struct rk_dev_seen *seen;
};

/* One reason behind the other, as many as fit. */
static void say(struct rk_dev_seen *seen, const char *fmt, ...) RK_PRINTF(2, 3);

static void
say(struct rk_dev_seen *seen, const char *fmt, ...)
{
    size_t len = strlen(seen->why), size = sizeof seen->why - len;
    va_list args;
    int n;

    if (size < 3)
        return;
    n = len ? snprintf(seen->why + len, size, "; ") : 0;
    va_start(args, fmt);
    vsnprintf(seen->why + len + n, size - (size_t)n, fmt, args);
    va_end(args);
}

static bool
same_iface(const char *a, const char *b)
{
    size_t x = strlen(a), y = strlen(b);

    x -= x > 2 && strcmp(a + x - 2, ".0") == 0 ? 2 : 0;
    y -= y > 2 && strcmp(b + y - 2, ".0") == 0 ? 2 : 0;
    return x == y && memcmp(a, b, x) == 0;
}

/* ---- what is held ---- */

/* The key that is asked for with this CKN; -1: none */
static int
asked(const struct looker *l, const char *ckn)
{
    for (int i = 0; i < RK_SEEN_KEYS; i++)
        if (l->ckn[i][0] && jn_ckn_same(ckn, l->ckn[i]))
            return i;
    return -1;
}

static bool
counts(const struct jn_key *k)
{
    return k->ckn[0] && !k->inactive;
}

static const struct jn_hakr *
hakr_of(const struct looker *l)
{
    for (size_t i = 0; i < l->v->n_hakr; i++)
        if (strcmp(l->v->hakr[i].chain, l->chain->name) == 0)
            return &l->v->hakr[i];
    return NULL;
}

/* The newest of the chain that has begun.  The router's own word on it goes first.  A start time that cannot be read is
 * that of no key in use. */
static const struct jn_key *
newest(const struct looker *l)
{
    const struct jn_hakr *h = hakr_of(l);
    const struct jn_key *best = NULL;

    for (size_t i = 0; i < l->chain->n; i++) {
        const struct jn_key *k = &l->chain->key[i];

        if (!counts(k))
            continue;
        if (h && h->active_send == k->slot)
            return k;
        if (!k->bad_start && k->start_s <= l->device_s && (!best || k->start_s > best->start_s))
            best = k;
    }
    return best;
}

/* apply-macro rekey lists what this plugin has put there (plan.h). */
static bool
is_ours(const struct looker *l, const char *ckn)
{
    for (size_t i = 0; i < l->ca->rekey.n; i++)
        if (strcmp(l->ca->rekey.pair[i].name, ckn) == 0)
            return true;
    return false;
}

/* ret: true: this CKN has not been looked at before (it stands in one place of the configuration for each flag) */
static void
hold(struct looker *l, const struct jn_key *k, bool primary, const char *twin)
{
    int i = counts(k) ? asked(l, k->ckn) : -1;

    if (!counts(k))
        return;
    if (i >= 0) {
        l->seen->held[i] |= RK_HELD_RX | (primary ? RK_HELD_TX : 0);
        return;
    }
    if (twin && jn_ckn_same(k->ckn, twin))
        return;
    if (is_ours(l, k->ckn)) /* ours, and it goes by itself: in class D the fallback is one behind */
        return;
    l->seen->foreign++;
    say(l->seen, "key %.16s", k->ckn);
}

/* A key of the chain that is the fallback one, too, is counted once. */
static void
look_at_keys(struct looker *l)
{
    const struct jn_key *top = l->chain ? newest(l) : NULL;
    bool shared = false;

    if (!l->chain)
        hold(l, &l->ca->psk, true, NULL);
    for (size_t i = 0; l->chain && i < l->chain->n; i++) {
        hold(l, &l->chain->key[i], &l->chain->key[i] == top, NULL);
        shared |= counts(&l->chain->key[i]) && strcmp(l->chain->key[i].ckn, l->ca->fallback.ckn) == 0;
    }
    hold(l, &l->ca->fallback, false,
         shared ? l->ca->fallback.ckn : l->chain || !counts(&l->ca->psk) ? NULL : l->ca->psk.ckn);
}

/* ---- what is used ---- */

/* [U] "active" beside "live": the old primary one on its way out; peers that are listed as live are a word, too. */
static bool
is_live(const struct jn_mka *m)
{
    return m->status == JN_CAK_LIVE || (m->status == JN_CAK_ACTIVE && m->type == JN_CAK_PRECEDING) ||
           (m->status == JN_CAK_NONE && m->peers > 0);
}

static bool
has_peer(const struct jn_mka *m)
{
    return is_live(m) && (m->peers > 0 || m->rx > 0 || m->status == JN_CAK_LIVE);
}

static bool
sends(const struct jn_mka *m)
{
    enum jn_cak_type type = m->state == JN_MKA_PRIMARY     ? JN_CAK_PRIMARY
                            : m->state == JN_MKA_PRECEDING ? JN_CAK_PRECEDING
                            : m->state == JN_MKA_FALLBACK  ? JN_CAK_FALLBACK
                                                           : JN_CAK_UNKNOWN;

    return type != JN_CAK_UNKNOWN && m->type == type && m->has_sak && is_live(m);
}

/* What MKA shows, and what is told of it (P, F, R: a participant that is primary, fallback, preceding; x: not live):
 *
 *   interface            participants                told
 *   Secured - Primary    P new                       new: SENDING
 *   Secured - Primary    P new x, P old              old: SENDING (right after a commit there are two primary ones)
 *   Secured - Primary    P new, P old, both a SAK    the one in the transmit slot: SENDING; it had its SAK last  [U]
 *   Secured - Preceding  P new x, R old              both are held, old: SENDING
 *   Secured - Fallback   P new x, F old              both are held, old: SENDING
 *   Secured-Suspended    any                         nobody: SENDING, for nothing shows which SAK is in use; why
 *   Unsecured            any                         nobody: SENDING; why.  It is protected all the same: frames are
 *                                                    dropped, unless should-secure is set
 *   any                  live, no SAK, or another    PEER_USES alone: the peer has the key, no frames by it are seen
 *                        type than the interface's
 * A live participant has a peer with the same CAK: PEER_USES.  It, and a preceding one, is held, even when the
 * configuration has it no more (the old primary one between a commit and MKA's next step).  A CKN that is cut is
 * nobody's. */
static bool
slot_sends(const struct looker *l)
{
    for (size_t n = 0; n < l->v->n_mka; n++) {
        const struct jn_mka *m = &l->v->mka[n];
        int i = same_iface(m->iface, l->iface) && sends(m) ? asked(l, m->ckn) : -1;

        if (i >= 0 && l->seen->held[i] & RK_HELD_TX)
            return true;
    }
    return false;
}

/* Its CKN is printed short, and may be one that is asked for: it is neither that key nor another one. */
static bool
part_of(const struct looker *l, const struct jn_mka *m)
{
    for (int i = 0; i < RK_SEEN_KEYS; i++)
        if (l->ckn[i][0] && jn_ckn_cut(m->ckn, l->ckn[i]))
            return true;
    return false;
}

/* Participants that are no key of the configuration any more (the preceding one) are told as well. */
static void
look_at_mka(struct looker *l)
{
    bool slot = slot_sends(l);
    size_t cut = 0;

    for (size_t n = 0; n < l->v->n_mka; n++) {
        const struct jn_mka *m = &l->v->mka[n];
        int i = same_iface(m->iface, l->iface) ? asked(l, m->ckn) : -1;
        bool sending = sends(m) && (!slot || (i >= 0 && l->seen->held[i] & RK_HELD_TX));

        if (!same_iface(m->iface, l->iface))
            continue;
        if (i >= 0 && (m->type == JN_CAK_PRECEDING || is_live(m)))
            l->seen->held[i] |= RK_HELD_RX;
        if (i >= 0)
            l->seen->held[i] |= (sending ? RK_SENDING : 0) | (has_peer(m) ? RK_PEER_USES : 0);
        else if (part_of(l, m))
            cut = strlen(m->ckn);
        else if (sending)
            l->seen->state |= RK_IF_OTHER;
        if (m->state == JN_MKA_UNSECURED || m->state == JN_MKA_SUSPENDED)
            say(l->seen, "MKA: %s", m->state == JN_MKA_UNSECURED ? "unsecured" : "suspended");
    }
    if (cut)
        say(l->seen, "MKA shows only %zu digits of CKNs, in XML and text: no key can be confirmed", cut);
}

/* ---- the interface ---- */

static const struct jn_link_state *
link_of(const struct looker *l)
{
    for (size_t i = 0; i < l->v->n_links; i++)
        if (same_iface(l->v->links[i].iface, l->iface))
            return &l->v->links[i];
    return NULL;
}

/* A live peer is heard: then the interface is up, whoever else is asked. */
static bool
hears_peer(const struct jn_view *v, const char *iface)
{
    for (size_t i = 0; i < v->n_mka; i++)
        if (same_iface(v->mka[i].iface, iface) && sends(&v->mka[i]) && has_peer(&v->mka[i]))
            return true;
    return false;
}

static bool
in_clear(const struct looker *l)
{
    for (size_t i = 0; i < l->v->n_macsec; i++)
        if (same_iface(l->v->macsec[i].iface, l->iface) && l->v->macsec[i].out_inuse && !l->v->macsec[i].encrypts)
            return true;
    return false;
}

/* Without should-secure the router drops what MKA does not protect. */
static void
look_at_protection(struct looker *l)
{
    struct rk_dev_seen *seen = l->seen;
    bool protected = true;

    if (l->ca->should_secure) {
        protected = false;
        say(seen, "should-secure is set: frames go in clear without MKA");
    }
    if (l->ca->no_encryption || in_clear(l)) {
        protected = false;
        say(seen, "no-encryption is set: frames are not encrypted");
    }
    if (strcmp(l->ca->mode, "static-cak") != 0) {
        protected = false;
        say(seen, "security-mode is not static-cak");
    }
    if (!counts(&l->ca->psk) && !counts(&l->ca->fallback) && !(l->chain && l->chain->n)) {
        protected = false; /* [U] what an association without any key does */
        say(seen, "no key yet");
    }
    seen->state |= protected ? RK_IF_PROTECTED : 0;
}

static void
look_at_clock(struct looker *l)
{
    snprintf(l->seen->facts, sizeof l->seen->facts, "clk=%lld", (long long)l->v->clock_offset_ms);
}

static void
find_names(struct looker *l)
{
    for (int i = 0; i < RK_SEEN_KEYS; i++)
        if (l->seen->key_ids[i] && jn_ckn(l->d, l->seen->key_ids[i], l->ckn[i]) != RK_OK)
            l->ckn[i][0] = '\0'; /* no name of ours: it cannot be there */
}

static bool
find_ca(struct looker *l)
{
    const struct jn_port *port = jn_conf_port(l->v->conf, l->iface);
    bool to_bind;

    if (!port || !port->ca[0]) { /* one that was prepared is bound with its first key */
        l->ca = jn_conf_bound(l->v->conf, l->iface, &to_bind);
        if (l->ca && !l->ca->inactive)
            return true;
        l->ca = NULL;
    }
    if (!port || port->inactive || !port->ca[0]) {
        say(l->seen, "no connectivity association on it: run rekeyctl prepare %s",
            l->d->opt.name ? l->d->opt.name : "");
        return false;
    }
    l->ca = jn_conf_ca(l->v->conf, port->ca);
    if (!l->ca || l->ca->inactive) {
        say(l->seen, "its connectivity association %s is not there or inactive", port->ca);
        l->ca = NULL;
        return false;
    }
    return true;
}

uint32_t
jn_told_class(const struct jn_device *d, const struct jn_ca *ca)
{
    return d->opt.ckn == JN_CKN_OFFBOX ? RK_CLASS_E : jn_class(d, ca);
}

void
jn_observe_one(const struct jn_device *d, const struct jn_view *view, int64_t now_ms, struct rk_dev_seen *seen)
{
    struct looker l = {.d = d, .v = view, .seen = seen, .device_s = (now_ms + view->clock_offset_ms) / 1000};
    const struct jn_link_state *link;
    uint32_t class;
    bool ca;

    seen->err = RK_OK;
    snprintf(l.iface, sizeof l.iface, "%s", seen->iface);
    link = link_of(&l);
    ca = find_ca(&l);
    class = jn_class(d, l.ca);
    seen->state = RK_IF_CLASS(jn_told_class(d, l.ca)) | (ca || link ? RK_IF_PRESENT : 0) |
                  ((link ? link->oper_up : hears_peer(view, l.iface)) ? RK_IF_UP : 0);
    if (class == RK_CLASS_D)
        look_at_clock(&l);
    if (!ca)
        return;
    if (class == RK_CLASS_D && l.ca->chain[0])
        l.chain = jn_conf_chain(view->conf, l.ca->chain);
    find_names(&l);
    look_at_protection(&l);
    look_at_keys(&l);
    look_at_mka(&l);
}

/* ---- the operation ---- */

static int64_t
unix_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static bool
all_hear(const struct jn_view *v, const struct rk_dev_seen *seen, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!hears_peer(v, seen[i].iface))
            return false;
    return true;
}

/* Carriers are asked for only where MKA does not tell that there is one. */
static int
add_links(struct jn_device *d, struct rk_call *call, const char *const *ifaces, size_t n, struct jn_view *view)
{
    struct jn_view *more = NULL;
    int err = jn_view_get_for(d, call, JN_WANT_LINKS, ifaces, n, &more);

    if (!err) {
        view->links = more->links;
        view->n_links = more->n_links;
        more->links = NULL;
    }
    jn_view_free(d->host, &more);
    return err;
}

/* What a look asks for.  That all connections encrypt is looked at again only after a while: what turns it off is in
 * the configuration, which is read each time.  After an apply in the same call, that has just read it back. */
static unsigned
wants(const struct jn_device *d, int64_t now_ms)
{
    return JN_WANT_CONF | JN_WANT_RECENT | JN_WANT_MKA | JN_WANT_BRIEF |
           (now_ms - d->encrypts_ms >= ENCRYPTS_MS ? JN_WANT_MACSEC : 0) |
           (d->opt.keying == JN_CHAIN ? JN_WANT_CLOCK | JN_WANT_HAKR : 0);
}

int
jn_observe(void *inst, struct rk_call *call, struct rk_dev_seen *seen, size_t n)
{
    struct jn_device *d = inst;
    const char **ifaces = calloc(n ? n : 1, sizeof *ifaces);
    int64_t now_ms = jn_now_ms();
    struct jn_view *view = NULL;
    int err;

    if (!ifaces)
        return RK_E_NOMEM;
    for (size_t i = 0; i < n; i++)
        ifaces[i] = seen[i].iface;
    err = jn_know(d, call);
    if (!err)
        err = jn_view_get_for(d, call, wants(d, now_ms), ifaces, n, &view);
    if (!err && view->all_encrypt)
        d->encrypts_ms = now_ms;
    if (!err && !all_hear(view, seen, n))
        err = add_links(d, call, ifaces, n, view);
    free(ifaces);
    for (size_t i = 0; !err && i < n; i++)
        jn_observe_one(d, view, unix_ms(), &seen[i]);
    jn_view_free(d->host, &view);
    return err;
}
