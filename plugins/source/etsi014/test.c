/* test.c - the way to a key, step by step, for a person: rekeyctl source test.
 *
 * Runs on the host's worker threads, beside other calls of the instance, on a connection of its own.  Each step says
 * what was seen, and what to do.
 */
#include "walk.h"

#include <openssl/x509_vfy.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DAY_S 86400
#define SOON_S (30 * DAY_S) /* a certificate that ends within this is worth a word */

int
walk_ask(struct walk *w, const char *path, long *http)
{
    struct request q = {.what = STATUS, .peer = w->t->peer_sae};
    char url[URL_MAX];

    if (snprintf(url, sizeof url, "%s%s", w->e->base, path) >= (int)sizeof url)
        return w->e->host->fail(w->call, RK_E_CONFIG, "%s: the URL of a request is longer than %d bytes", w->e->base,
                                URL_MAX);
    q.url = url; /* it begins with the first URL of the list; the slot's takes its place */
    return http_try(w->slot, w->call, &q, http, 0);
}

/* ---- certificates ---- */

/* ", for 3 days more", or "" */
static const char *
rest(const struct rkp_probe_cert *c, char text[40])
{
    int64_t left_s = c->to_s - (int64_t)time(NULL);

    if (left_s < 0)
        snprintf(text, 40, ", %" PRId64 " days ago", -left_s / DAY_S);
    else
        snprintf(text, 40, ", %" PRId64 " days from now", left_s / DAY_S);
    return text;
}

/* RK_OK, RK_STEP_WARNING: it ends soon; RK_E_AUTH: it is not valid now. */
static int
state_of(const struct rkp_probe_cert *c)
{
    int64_t now_s = (int64_t)time(NULL);

    if (c->to_s < now_s || c->from_s > now_s)
        return RK_E_AUTH;
    return c->to_s - now_s < SOON_S ? RK_STEP_WARNING : RK_OK;
}

static int
step_certificate(const struct walk *w, const struct rkp_creds *creds)
{
    const struct rkp_pem *pem = &creds->cert;
    struct rkp_probe_cert c = {0};
    bool client = rkp_probe_is_client(pem);
    int state = rkp_probe_pem(pem, 0, &c) ? state_of(&c) : RK_E_CONFIG;
    const char *remedy = c.from_s > (int64_t)time(NULL) ? "; it is not valid yet: is this host's clock right?"
                         : state == RK_E_AUTH           ? "; it has expired: renew it, the KME will refuse it"
                         : !client ? "; by its extensions it is none of a TLS client: the KME may refuse it"
                         : state   ? "; renew it soon"
                                   : "";
    char days[40];

    return STEP(w, "certificate", state == RK_OK && !client ? RK_STEP_WARNING : state,
                "%.120s: ours is %s, by %s, until %s%s, and its private key fits%s", w->e->certs.cert_path, c.subject,
                c.issuer, c.until, rest(&c, days), remedy);
}

static int
step_ca(const struct walk *w, const struct rkp_creds *creds)
{
    const struct rkp_pem *pem = &creds->ca;
    struct rkp_probe_cert c, first = {0};
    size_t n = 0, ended = 0;
    char days[40];
    int state;

    for (; rkp_probe_pem(pem, n, &c); n++) {
        ended += c.to_s < (int64_t)time(NULL);
        if (!first.there || c.to_s < first.to_s)
            first = c;
    }
    state = ended == n ? RK_E_AUTH : ended || state_of(&first) ? RK_STEP_WARNING : RK_OK;
    return STEP(w, "ca", state, "%.120s: %zu CA certificate%s; the first to end is %s, until %s%s%s",
                w->e->certs.ca_path, n, n == 1 ? "" : "s", first.subject, first.until, rest(&first, days),
                state == RK_OK ? "" : "; put the new one into that file, beside it");
}

/* ---- TLS ---- */

/* The chain was not accepted: which certificate of it, and why. */
static int
chain_refused(const struct walk *w)
{
    const struct rkp_probe *p = &w->probe;
    const char *why = X509_verify_cert_error_string(p->verify_err), *remedy;
    char whose[60], days[40];

    switch (p->verify_err) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        remedy = "the KME needs a new one; or this host's clock is wrong";
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        remedy = "a clock is wrong, of this host or of the one that made it";
        break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        remedy = "put the certificate of the CA that made it into that file, if this is the right KME";
        break;
    case X509_V_ERR_CERT_REVOKED:
        remedy = "it was withdrawn: the KME needs a new one";
        break;
    default:
        remedy = "it must come from a CA of that file";
    }
    if (p->bad_depth)
        snprintf(whose, sizeof whose, "certificate %d above the KME's", p->bad_depth);
    else
        snprintf(whose, sizeof whose, "the KME's own certificate");
    return STEP(w, "kme-certificate", RK_E_AUTH, "%s, %s by %s, until %s%s: %s (ca %.80s); %s", whose, p->bad.subject,
                p->bad.issuer, p->bad.until, rest(&p->bad, days), why, w->e->certs.ca_path, remedy);
}

static int
step_kme_certificate(const struct walk *w, int err)
{
    const struct slot *s = w->slot;
    const struct rkp_probe_cert *c = &w->probe.leaf;
    char days[40];

    if (w->probe.verify_err)
        return chain_refused(w);
    if (err == RK_E_AUTH && !s->wrong_kme && s->alert < 0 && !s->said_alert)
        return STEP(w, "kme-certificate", err,
                    "%s, by %s, is for other hosts: its names are %s, url says %s; use one of "
                    "its names in url, or give the KME a certificate with that name",
                    c->subject, c->issuer, w->probe.names, w->host);
    return STEP(w, "kme-certificate", state_of(c), "%s, by %s, until %s%s; it is for %s%s", c->subject, c->issuer,
                c->until, rest(c, days), w->probe.names, state_of(c) ? "; have it renewed soon" : "");
}

static int
step_kme_id(const struct walk *w)
{
    const char *id = w->e->kme_id;

    if (w->slot->wrong_kme)
        return STEP(w, "kme-id", RK_E_AUTH,
                    "the certificate does not name the KME \"%s\": it names %s; is url that of the "
                    "right KME, and is kme-id right?",
                    id, w->probe.ids);
    if (!id)
        return STEP(w, "kme-id", RK_STEP_WARNING,
                    "not set: any server with a certificate of that CA for %s would be "
                    "believed; set kme-id to one of: %s",
                    w->host, w->probe.ids);
    return STEP(w, "kme-id", RK_OK, "the certificate names the KME \"%s\"", id);
}

static int
step_tls(struct walk *w)
{
    const struct slot *s = w->slot;
    long http;
    int err;

    w->slot->only_shake = true;
    err = walk_ask(w, "", &http);
    w->slot->only_shake = false;
    if (s->shaken)
        err = RK_OK;
    if (w->probe.leaf.there) {
        int failed = step_kme_certificate(w, err);

        failed = failed ? failed : step_kme_id(w);
        if (failed)
            return failed;
    }
    return STEP(w, "tls", err, err ? "%s%s%s" : "%s with %s; %s", err ? "" : w->probe.version,
                err ? "" : w->probe.cipher, err ? "" : "the KME did not refuse our certificate");
}

/* ---- all of it ---- */

/* The host that is connected to, in the heap; NULL: no memory. */
static char *
host_of(const char *url)
{
    CURLU *u = curl_url();
    char *part = NULL, *host = NULL;
    size_t len;

    if (u && curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_HOST, &part, 0) == CURLUE_OK) {
        len = strlen(part);
        host = part[0] == '[' && len > 2 ? strndup(part + 1, len - 2) : strdup(part);
    }
    curl_free(part);
    curl_url_cleanup(u);
    return host;
}

static int
walk_way(struct walk *w)
{
    int err = walk_dns(w);

    err = err ? err : walk_tcp(w);
    return err ? err : step_tls(w);
}

/* What belongs to one URL of the list. */
static int
walk_begin(struct walk *w, size_t i)
{
    struct etsi *e = w->e;

    w->probe = (struct rkp_probe){.n_addrs = 0};
    w->base = e->urls[i].base;
    w->of = e->proxy ? "the proxy" : "the KME";
    w->host = host_of(w->base);
    w->near = host_of(e->proxy ? e->proxy : w->base);
    if (!w->host || !w->near)
        return STEP(w, "url", RK_E_NOMEM, "out of memory");
    if (http_probe_open(e, w->call, &w->slot) != RK_OK)
        return STEP(w, "url", RK_E_NOMEM, "%s", "");
    w->slot->probe = &w->probe;
    w->slot->url = i;
    w->slot->base = w->base;
    if (e->n_urls > 1)
        STEP(w, "url", RK_OK, "%zu of %zu: %s", i + 1, e->n_urls, w->base);
    return RK_OK;
}

static void
walk_end(struct walk *w)
{
    http_probe_close(&w->slot);
    free(w->host);
    free(w->near);
    w->host = w->near = NULL;
}

/* Files that were changed since the start and cannot be used: the old ones stay in use, as nothing else would work. */
static void
step_files(const struct walk *w)
{
    char why[sizeof w->e->certs.refused];

    pthread_mutex_lock(&w->e->lock);
    memcpy(why, w->e->certs.refused, sizeof why);
    pthread_mutex_unlock(&w->e->lock);
    if (why[0])
        STEP(w, "files", RK_E_CONFIG, "%s; until that is mended, what was read before is in use", why);
}

static void
test_own(struct walk *w)
{
    struct rkp_creds *creds;

    rkp_certs_look(&w->e->certs, w->call);
    step_files(w);
    creds = rkp_certs_ref(&w->e->certs);
    step_certificate(w, creds);
    step_ca(w, creds);
    rkp_certs_unref(&w->e->certs, &creds);
}

int
etsi_test(void *inst, struct rk_call *call, const struct rk_source_test *t)
{
    struct walk w = {.e = inst, .call = call, .t = t};
    bool any = false;
    int last = RK_OK;

    if (!t->peer_sae[0])
        test_own(&w);
    for (size_t i = 0; i < w.e->n_urls; i++) {
        int err = walk_begin(&w, i);

        if (!err)
            err = t->peer_sae[0] ? walk_status(&w) : walk_way(&w);
        walk_end(&w);
        any = any || !err;
        last = err ? err : last;
    }
    return any ? RK_OK : last; /* one of them is enough */
}
