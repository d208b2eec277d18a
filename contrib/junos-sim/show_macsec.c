/* show_macsec.c - show security macsec: connections and statistics, show security keychain
 *
 * Flat siblings in the order of the interfaces, as routers give them: the name of an interface comes before what is
 * its own, and no container holds the two together.
 */
#include "show.h"

#include <ctype.h>
#include <string.h>

#define FRAMES_PER_MS 1000 /* a million frames a second on every port: packet numbers pass 2^32 in 72 minutes */
#define BYTES_PER_FRAME 512

static void
cipher(const struct sim_port *p, char out[24])
{
    size_t n = 0;

    for (; p->mka.conf.cipher[n] && n < 23; n++)
        out[n] = (char)toupper((unsigned char)p->mka.conf.cipher[n]);
    out[n] = '\0';
}

static uint64_t
frames(const struct show_ask *a, const struct sim_port *p)
{
    int64_t ms = a->now - p->mka.latest.since_ms;

    return mka_secured(&p->mka) && ms > 0 ? (uint64_t)ms * FRAMES_PER_MS + 1 : 1;
}

static void
created(const struct show_ask *a, int64_t since_ms, FILE *out)
{
    int64_t s = (a->now - since_ms) / 1000;
    char span[32];

    show_span(s, span);
    fprintf(out, "<create-time junos:seconds=\"%lld\">%s</create-time>\n", (long long)(s > 0 ? s : 0), span);
}

static void
channel(const struct show_ask *a, const struct sim_port *p, bool outbound, FILE *out)
{
    const char *way = outbound ? "outbound" : "inbound";
    const struct mka_port *m = outbound ? &p->mka : &p->peer->mka;
    const struct mka_sak *sak = p->mka.tx_latest || !outbound ? &p->mka.latest : &p->mka.previous;
    char sci[32];

    show_sci(m->sci, sci);
    fprintf(out, "<%s-secure-channel>\n", way);
    show_leaf(a, out, "sci", "%s", sci);
    if (outbound)
        show_leaf(a, out, "outgoing-packet-number", "%llu", (unsigned long long)frames(a, p));
    fprintf(out, "<%s-secure-association>\n", way);
    show_leaf(a, out, "association-number", "%u", sak->an);
    show_leaf(a, out, "association-number-status", "inuse");
    created(a, sak->since_ms, out);
    fprintf(out, "</%s-secure-association>\n</%s-secure-channel>\n", way, way);
}

void
show_macsec(const struct show_ask *a, FILE *out)
{
    char suite[24];

    fputs("<macsec-connection-information", out);
    show_ns(a, out, "macsec");
    fputs(">\n", out);
    for (size_t i = 0; i < a->w->n_ports; i++) {
        const struct sim_port *p = &a->w->port[i];
        const struct mka_conf *c = &p->mka.conf;

        if (!show_wants(a, p) || !c->on || a->w->no_licence)
            continue;
        cipher(p, suite);
        fputs("<macsec-interface-common-information>\n", out);
        show_leaf(a, out, "interface-name", "%s", p->name);
        show_leaf(a, out, "connectivity-association-name", "%s", c->ca);
        show_leaf(a, out, "cipher-suite", "%s", suite);
        show_leaf(a, out, "encryption", "%s", c->no_encryption ? "off" : "on");
        show_leaf(a, out, "offset", "%u", c->offset);
        show_leaf(a, out, "include-sci", "%s", c->include_sci ? "yes" : "no");
        show_leaf(a, out, "replay-protect", "%s", c->replay ? "on" : "off");
        show_leaf(a, out, "replay-protect-window", "%u", c->window);
        fputs("</macsec-interface-common-information>\n", out);
        created(a, p->mka.up_since_ms, out);
        if (mka_secured(&p->mka) && p->peer) {
            channel(a, p, true, out);
            channel(a, p, false, out);
        }
    }
    fputs("</macsec-connection-information>\n<cli>\n<banner></banner>\n</cli>\n", out);
}

void
show_macsec_text(const struct show_ask *a, FILE *out)
{
    char suite[24], sci[32], span[32];

    for (size_t i = 0; i < a->w->n_ports; i++) {
        const struct sim_port *p = &a->w->port[i];
        const struct mka_conf *c = &p->mka.conf;

        if (!show_wants(a, p) || !c->on || a->w->no_licence)
            continue;
        cipher(p, suite);
        fprintf(out,
                "    Interface name: %s\n        CA name: %s\n        Cipher suite: %s Encryption: %s\n"
                "        Key server offset: %u        Include SCI: %s\n"
                "        Replay protect: %s         Replay window: %u\n",
                p->name, c->ca, suite, c->no_encryption ? "off" : "on", c->offset, c->include_sci ? "yes" : "no",
                c->replay ? "on" : "off", c->window);
        if (!mka_secured(&p->mka) || !p->peer)
            continue;
        show_span((a->now - p->mka.latest.since_ms) / 1000, span);
        show_sci(p->mka.sci, sci);
        fprintf(out,
                "          Outbound secure channels\n            SC Id: %s\n            Outgoing packet number: %llu\n"
                "            Secure associations\n            AN: %u Status: inuse Create time: %s\n",
                sci, (unsigned long long)frames(a, p), p->mka.latest.an, span);
        show_sci(p->peer->mka.sci, sci);
        fprintf(out, "          Inbound secure channels\n            SC Id: %s\n            Secure associations\n"
                     "            AN: %u Status: inuse Create time: %s\n",
                sci, p->mka.latest.an, span);
    }
}

static void
sent(const struct show_ask *a, const struct sim_port *p, uint64_t n, FILE *out)
{
    uint64_t open = p->mka.conf.no_encryption ? n : 0, closed = n - open;

    fputs("<secure-channel-sent>\n", out);
    show_leaf(a, out, "encrypted-packets", "%llu", (unsigned long long)closed);
    show_leaf(a, out, "encrypted-bytes", "%llu", (unsigned long long)closed * BYTES_PER_FRAME);
    show_leaf(a, out, "protected-packets", "%llu", (unsigned long long)open);
    show_leaf(a, out, "protected-bytes", "%llu", (unsigned long long)open * BYTES_PER_FRAME);
    fputs("</secure-channel-sent>\n<secure-association-sent>\n", out);
    show_leaf(a, out, "encrypted-packets", "%llu", (unsigned long long)closed);
    show_leaf(a, out, "protected-packets", "%llu", (unsigned long long)open);
    fputs("</secure-association-sent>\n", out);
}

static void
received(const struct show_ask *a, const struct sim_port *p, uint64_t n, FILE *out)
{
    static const char *const what[] = {"secure-channel-received", "secure-association-received"};
    uint64_t bytes = n * BYTES_PER_FRAME;

    for (size_t i = 0; i < 2; i++) {
        fprintf(out, "<%s>\n", what[i]);
        show_leaf(a, out, "ok-packets", "%llu", (unsigned long long)n);
        show_leaf(a, out, "validated-bytes", "%llu", (unsigned long long)(p->mka.conf.no_encryption ? bytes : 0));
        show_leaf(a, out, "decrypted-bytes", "%llu", (unsigned long long)(p->mka.conf.no_encryption ? 0 : bytes));
        fprintf(out, "</%s>\n", what[i]);
    }
}

void
show_macsec_statistics(const struct show_ask *a, FILE *out)
{
    fputs("<macsec-statistics", out);
    show_ns(a, out, "macsec");
    fputs(">\n", out);
    for (size_t i = 0; i < a->w->n_ports; i++) {
        const struct sim_port *p = &a->w->port[i];
        uint64_t n = (uint64_t)p->mka.packets_ms * FRAMES_PER_MS;

        if (!show_wants(a, p) || !p->mka.conf.on || a->w->no_licence)
            continue;
        show_leaf(a, out, "interface-name", "%s", p->name);
        sent(a, p, n, out);
        received(a, p, n, out);
    }
    fputs("</macsec-statistics>\n<cli>\n<banner></banner>\n</cli>\n", out);
}

/* ---- key chains ---- */

struct ends {
    const struct mka_chain_key *active, *next;
};

static struct ends
ends_of(const struct world_chain *c, int64_t clock_ms)
{
    struct ends e = {NULL, NULL};

    for (size_t i = 0; i < c->n; i++) {
        const struct mka_chain_key *k = &c->key[i];

        if (k->start_ms <= clock_ms) {
            if (!e.active || k->start_ms >= e.active->start_ms)
                e.active = k;
        } else if (k->start_ms != INT64_MAX && (!e.next || k->start_ms < e.next->start_ms))
            e.next = k;
    }
    return e;
}

static void
slot_leaf(const struct show_ask *a, FILE *out, const char *name, const struct mka_chain_key *k)
{
    if (k)
        show_leaf(a, out, name, "%d", k->slot);
    else
        show_leaf(a, out, name, "None");
}

static void
chain(const struct show_ask *a, const struct world_chain *c, FILE *out)
{
    int64_t clock_ms = sim_box_now_ms(a->box);
    struct ends e = ends_of(c, clock_ms);
    char when[48] = "None";

    if (e.next)
        show_date(a, e.next->start_ms / 1000, when);
    fputs("<hakr-keychain>\n", out);
    show_leaf(a, out, "hakr-keychain-name", "%s", c->name);
    slot_leaf(a, out, "hakr-keychain-active-send-key", e.active);
    slot_leaf(a, out, "hakr-keychain-active-receive-key", e.active);
    slot_leaf(a, out, "hakr-keychain-next-send-key", e.next);
    slot_leaf(a, out, "hakr-keychain-next-receive-key", e.next);
    show_leaf(a, out, "hakr-keychain-next-key-time", "%s", when);
    show_leaf(a, out, "hakr-keychain-tolerance", "%lld", (long long)c->tolerance_s);
    for (size_t i = 0; a->level == SHOW_DETAIL && i < c->n; i++) {
        fputs("<hakr-keys>\n", out);
        show_leaf(a, out, "hakr-key-id", "%d", c->key[i].slot);
        show_leaf(a, out, "hakr-key-algorithm", "aes-128-cmac-96");
        show_leaf(a, out, "hakr-key-state", "%s", &c->key[i] == e.active ? "active" : "inactive");
        fputs("</hakr-keys>\n", out);
    }
    fputs("</hakr-keychain>\n", out);
}

void
show_keychain(const struct show_ask *a, FILE *out)
{
    fputs("<hakr-keychain-information", out);
    show_ns(a, out, "hakr");
    fputs(">\n", out);
    for (size_t i = 0; i < a->w->n_chains; i++)
        chain(a, &a->w->chain[i], out);
    fputs("</hakr-keychain-information>\n", out);
}
