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

/* ---- TLS ---- */

static int
step_kme_certificate(const struct walk *w, int err)
{
    const struct slot *s = w->slot;
    const struct rkp_probe_cert *c = &w->probe.leaf;
    char days[40];

    if (w->probe.verify_err)
        return rkp_step_chain(&w->way, "kme-certificate");
    if (err == RK_E_AUTH && !s->wrong_kme && s->alert < 0 && !s->said_alert)
        return STEP(w, "kme-certificate", err,
                    "%s, by %s, is for other hosts: its names are %s, url says %s; use one of "
                    "its names in url, or give the KME a certificate with that name",
                    c->subject, c->issuer, w->probe.names, w->host);
    return STEP(w, "kme-certificate", rkp_state_of(c), "%s, by %s, until %s%s; it is for %s%s", c->subject, c->issuer,
                c->until, rkp_rest(c, days), w->probe.names, rkp_state_of(c) ? "; have it renewed soon" : "");
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

    err = err ? err : rkp_step_tcp(&w->way);
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
    w->way.near = w->near;
    w->way.of = w->of;
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

static void
test_own(struct walk *w)
{
    struct rkp_creds *creds;

    rkp_certs_look(&w->e->certs, w->call);
    rkp_step_files(&w->way);
    creds = rkp_certs_ref(&w->e->certs);
    rkp_step_certificate(&w->way, creds);
    rkp_step_ca(&w->way, creds);
    rkp_certs_unref(&w->e->certs, &creds);
}

int
etsi_test(void *inst, struct rk_call *call, const struct rk_source_test *t)
{
    struct walk w = {.e = inst, .call = call, .t = t};
    struct etsi *e = inst;
    bool any = false;
    int last = RK_OK;

    w.way = (struct rkp_way){.host = e->host, .call = call, .certs = &e->certs, .probe = &w.probe, .whose = "the KME",
                             .connect_ms = e->connect_ms};
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
