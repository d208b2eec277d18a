/* show_mka.c - show security mka: sessions and statistics
 *
 * The XML of sessions is a flat list of leaves that repeat for each participant, or, on Junos Evolved, a container for
 * each interface: no public source has the whole of it. [U]
 */
#include "show.h"

#include <string.h>

static const char *const type_words[] = {"primary", "preceding", "fallback"};
static const char *const status_words[] = {"in-progress", "live", "active"};
static const char *const state_words[] = {"Unsecured", "Secured - Primary", "Secured - Preceding",
                                          "Secured - Fallback", "Secured-Suspended"};

/* One participant of one port, as it is shown. */
struct seen {
    const struct sim_port *p;
    const struct mka_part *part;
    char mi[2 * MKA_MI + 1], ckn[MKA_CKN_MAX + 1], sak[40], before[40], sci[32], peer_mi[2 * MKA_MI + 1], peer_sci[32];
    const char *type, *status, *state;
    unsigned an, before_an;
};

static void
name_sak(const struct mka_sak *sak, bool shown, char out[40])
{
    char mi[2 * MKA_MI + 1] = "000000000000000000000000";

    if (shown && sak->there)
        show_mi(sak->mi, mi);
    snprintf(out, 40, "%s/%u", mi, shown && sak->there ? sak->kn : 0);
}

static void
look(const struct show_ask *a, const struct sim_port *p, const struct mka_part *part, struct seen *s)
{
    bool latest = mka_ckn_same(p->mka.latest.by.ckn, part->key.ckn),
         before = mka_ckn_same(p->mka.previous.by.ckn, part->key.ckn);

    *s = (struct seen){.p = p, .part = part};
    show_mi(part->mi, s->mi);
    show_mi(part->peer_mi, s->peer_mi);
    show_ckn(a, part->key.ckn, s->ckn);
    name_sak(&p->mka.latest, latest, s->sak);
    name_sak(&p->mka.previous, before, s->before);
    s->an = latest && p->mka.latest.there ? p->mka.latest.an : 0;
    s->before_an = before && p->mka.previous.there ? p->mka.previous.an : 0;
    show_sci(p->mka.sci, s->sci);
    show_sci(part->peer_sci, s->peer_sci);
    s->type = type_words[mka_type_of(part, a->now)];
    s->status = status_words[mka_status_of(&p->mka, part)];
    s->state = state_words[mka_state_of(&p->mka, a->now)];
}

static unsigned
parts_of(const struct sim_port *p)
{
    unsigned n = 0;

    for (size_t i = 0; i < MKA_PARTS; i++)
        n += p->mka.part[i].there;
    return n;
}

static int
suspended_s(const struct show_ask *a, const struct sim_port *p)
{
    return p->mka.suspended_ms > a->now ? (int)((p->mka.suspended_ms - a->now + 999) / 1000) : 0;
}

static void
summary(const struct show_ask *a, const struct seen *s, FILE *out)
{
    show_leaf(a, out, "interface-name", "%s", s->p->name);
    show_leaf(a, out, "member-identifier", "%s", s->mi);
    show_leaf(a, out, "cak-type", "%s", s->type);
    show_leaf(a, out, "cak-status", "%s", s->status);
    show_leaf(a, out, "mn-tx", "%u", s->part->mn);
    show_leaf(a, out, "mn-rx", "%u", s->part->rx_mn);
    show_leaf(a, out, "cak-name", "%s", s->ckn);
}

static void
session(const struct show_ask *a, const struct seen *s, FILE *out)
{
    const struct mka_conf *c = &s->p->mka.conf;

    show_leaf(a, out, "interface-name", "%s", s->p->name);
    show_leaf(a, out, "interface-state", "%s", s->state);
    show_leaf(a, out, "member-identifier", "%s", s->mi);
    show_leaf(a, out, "cak-name", "%s", s->ckn);
    show_leaf(a, out, "cak-type", "%s", s->type);
    show_leaf(a, out, "cak-status", "%s", s->status);
    show_leaf(a, out, "security-mode", "static");
    show_leaf(a, out, "mka-suspended-time", "%d", suspended_s(a, s->p));
    show_leaf(a, out, "transmit-interval", "%u", c->shown_hello_ms);
    show_leaf(a, out, "sak-rekey-interval", "%lld", (long long)(c->rekey_ms / 1000));
    show_leaf(a, out, "preceding-key", "%s", c->no_preceding ? "disabled" : "enabled");
    show_leaf(a, out, "bounded-delay", "%s", c->bounded_delay ? "enabled" : "disabled");
    show_leaf(a, out, "sci", "%s", s->sci);
    show_leaf(a, out, "message-number", "%u", s->part->mn);
    show_leaf(a, out, "key-number", "%u", s->part->kn);
    show_leaf(a, out, "key-server", "%s", s->p->mka.key_server ? "yes" : "no");
    show_leaf(a, out, "key-server-priority", "%u", c->priority);
    show_leaf(a, out, "latest-sak-association-number", "%u", s->an);
    show_leaf(a, out, "latest-sak-key-identifier", "%s", s->sak);
    show_leaf(a, out, "peer-count", "%d", s->part->live);
    show_leaf(a, out, "cak-count", "%u", parts_of(s->p));
}

/* Junos Evolved: a container for each interface, in it one for each CAK. */
static void
nested(const struct show_ask *a, const struct sim_port *p, FILE *out)
{
    struct seen s;

    fputs("<mka-session>\n", out);
    show_leaf(a, out, "interface-name", "%s", p->name);
    show_leaf(a, out, "interface-state", "%s", state_words[mka_state_of(&p->mka, a->now)]);
    for (size_t i = 0; i < MKA_PARTS; i++) {
        if (!p->mka.part[i].there)
            continue;
        look(a, p, &p->mka.part[i], &s);
        fprintf(out, "<%s>\n", s.part->live ? "session-live" : "session-cak");
        show_leaf(a, out, "member-identifier", "%s", s.mi);
        show_leaf(a, out, "cak-name", "%s", s.ckn);
        show_leaf(a, out, "cak-type", "%s", s.type);
        show_leaf(a, out, "cak-status", "%s", s.status);
        show_leaf(a, out, "mn-tx", "%u", s.part->mn);
        show_leaf(a, out, "mn-rx", "%u", s.part->rx_mn);
        show_leaf(a, out, "latest-sak-association-number", "%u", s.an);
        show_leaf(a, out, "latest-sak-key-identifier", "%s", s.sak);
        show_leaf(a, out, "peer-count", "%d", s.part->live);
        fprintf(out, "</%s>\n", s.part->live ? "session-live" : "session-cak");
    }
    fputs("</mka-session>\n", out);
}

void
show_mka(const struct show_ask *a, FILE *out)
{
    fputs("<mka-session-information", out);
    show_ns(a, out, "mka");
    fputs(">\n", out);
    for (size_t i = 0; i < a->w->n_ports; i++) {
        const struct sim_port *p = &a->w->port[i];

        if (!show_wants(a, p) || !parts_of(p))
            continue;
        if (a->box->as->evo && a->level == SHOW_DETAIL) {
            nested(a, p, out);
            continue;
        }
        for (size_t j = 0; j < MKA_PARTS; j++) {
            struct seen s;

            if (!p->mka.part[j].there)
                continue;
            look(a, p, &p->mka.part[j], &s);
            (a->level == SHOW_SUMMARY ? summary : session)(a, &s, out);
        }
    }
    fputs("</mka-session-information>\n", out);
}

static void
peer_text(const struct show_ask *a, const struct seen *s, FILE *out)
{
    char up[32];
    int64_t hold = MKA_LIVES * s->p->mka.conf.hello_ms - (a->now - s->part->heard_ms);

    show_span((a->now - s->part->live_since_ms) / 1000, up);
    fprintf(out,
            "     Peer list\n          1. Member identifier: %s (%s)\n"
            "             Message number: %-12uHold time: %lld (ms)\n"
            "             SCI: %s    Uptime: %s\n             Lowest acceptable PN: 1\n",
            s->peer_mi, s->part->live ? "live" : "potential", s->part->rx_mn, (long long)(hold > 0 ? hold : 0),
            s->peer_sci, up);
}

static void
session_text(const struct show_ask *a, const struct seen *s, FILE *out)
{
    const struct mka_conf *c = &s->p->mka.conf;

    fprintf(out,
            "  Interface name: %s\n     Interface State: %s\n     Member identifier: %s\n     CAK name: %s\n"
            "     CAK type: %s\n     Security mode: static\n     MKA suspended: %d(s)\n     Transmit interval: %u(ms)\n"
            "     SAK rekey interval: %lld(s)\n     Preceding Key: %s\n     Bounded Delay: %s\n     Outbound SCI: %s\n",
            s->p->name, s->state, s->mi, s->ckn, s->type, suspended_s(a, s->p), c->shown_hello_ms,
            (long long)(c->rekey_ms / 1000), c->no_preceding ? "disabled" : "enabled",
            c->bounded_delay ? "enabled" : "disabled", s->sci);
    fprintf(out,
            "     Message number: %-11uKey number: %u\n     MKA ICV Indicator: enabled\n"
            "     Key server: %-15sKey server priority: %u\n     Latest SAK AN: %-12uLatest SAK KI: %s\n"
            "     Previous SAK AN: %-10uPrevious SAK KI: %s\n"
            "     MKA Suspend For: disabled  MKA Suspend On Request: disabled\n",
            s->part->mn, s->part->kn, s->p->mka.key_server ? "yes" : "no", c->priority, s->an, s->sak,
            s->before_an, s->before);
    if (s->part->heard)
        peer_text(a, s, out);
    fputs(" \n", out);
}

void
show_mka_text(const struct show_ask *a, FILE *out)
{
    struct seen s;

    if (a->level == SHOW_SUMMARY)
        fputs("Interface    Member-ID                  Type        Status        Tx        Rx        CAK Name\n", out);
    for (size_t i = 0; i < a->w->n_ports; i++)
        for (size_t j = 0; j < MKA_PARTS; j++) {
            const struct sim_port *p = &a->w->port[i];

            if (!p->mka.part[j].there || !show_wants(a, p))
                continue;
            look(a, p, &p->mka.part[j], &s);
            if (a->level == SHOW_SUMMARY)
                fprintf(out, "%-12s %-26s %-11s %-13s %-9u %-9u %s\n", p->name, s.mi, s.type, s.status, s.part->mn,
                        s.part->rx_mn, s.ckn);
            else
                session_text(a, &s, out);
        }
}

void
show_mka_statistics(const struct show_ask *a, FILE *out)
{
    fputs("<mka-statistics", out);
    show_ns(a, out, "mka");
    fputs(">\n", out);
    for (size_t i = 0; i < a->w->n_ports; i++) {
        const struct sim_port *p = &a->w->port[i];
        const struct mka_stats *s = &p->mka.stats;

        if (!show_wants(a, p) || !p->mka.conf.on)
            continue;
        fputs("<mka-interface-statistics>\n", out);
        show_leaf(a, out, "interface-name", "%s", p->name);
        show_leaf(a, out, "received-packets", "%llu", (unsigned long long)s->received);
        show_leaf(a, out, "sent-packets", "%llu", (unsigned long long)s->sent);
        show_leaf(a, out, "version-error", "0");
        show_leaf(a, out, "cak-error", "%llu", (unsigned long long)s->unknown_ckn);
        show_leaf(a, out, "integrity-check-value-mismatch", "%llu", (unsigned long long)s->icv_mismatch);
        show_leaf(a, out, "duplicate-message-identifier", "0");
        show_leaf(a, out, "duplicate-message-number", "0");
        show_leaf(a, out, "duplicate-address", "0");
        show_leaf(a, out, "invalid-destination", "0");
        show_leaf(a, out, "formatting-error", "0");
        show_leaf(a, out, "old-message-number", "%llu", (unsigned long long)s->old_message);
        fputs("</mka-interface-statistics>\n", out);
    }
    fputs("</mka-statistics>\n", out);
}
