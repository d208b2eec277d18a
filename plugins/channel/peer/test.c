/* test.c - the way to each peer, step by step, for a person: rekeyctl peer test.
 *
 * Runs on a worker thread beside the loop, on connections of its own.  The request that it sends holds no record, and
 * changes nothing at the other end.
 */
#include "peer.h"

#include "../../common/tls/steps.h"

#include <event2/util.h>
#include <openssl/x509v3.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct walk { /* to one peer */
    struct hub *h;
    struct rk_call *call;
    struct rkp_way way;
    struct rkp_probe probe;
    struct remote r; /* of the test's own */
    char whose[RK_SAE_MAX + 1];
    char *near;
    int64_t took_ms;
};

#define STEP(w, ...) ((w)->h->host->step((w)->call, __VA_ARGS__))

/* ---- one request ---- */

/* ret: what libcurl says; CURLE_ABORTED_BY_CALLBACK: no time left, or given up */
static CURLcode
run(struct walk *w, CURLM *multi)
{
    const struct rk_host *host = w->h->host;
    struct curl_waitfd cancel = {.fd = host->cancel_fd(w->call), .events = CURL_WAIT_POLLIN};

    for (;;) {
        int running = 0, more, left;
        const CURLMsg *msg;

        if (curl_multi_perform(multi, &running) != CURLM_OK)
            return CURLE_OUT_OF_MEMORY;
        while ((msg = curl_multi_info_read(multi, &more)))
            if (msg->msg == CURLMSG_DONE)
                return msg->data.result;
        left = host->left_ms(w->call);
        if (cancel.revents || left <= 0 || curl_multi_poll(multi, &cancel, 1, left, NULL) != CURLM_OK)
            return CURLE_ABORTED_BY_CALLBACK;
    }
}

static CURLcode
ask(struct walk *w, long *http)
{
    struct remote *r = &w->r;
    CURLM *multi = curl_multi_init();
    int64_t begun = hub_now_ms();
    CURLcode rc = CURLE_OUT_OF_MEMORY;

    r->answer_len = 0;
    r->answer_session[0] = r->err_text[0] = '\0';
    *http = 0;
    if (multi && curl_easy_setopt(r->easy, CURLOPT_POSTFIELDS, "") == CURLE_OK &&
        curl_easy_setopt(r->easy, CURLOPT_POSTFIELDSIZE, 0L) == CURLE_OK &&
        curl_easy_setopt(r->easy, CURLOPT_TIMEOUT_MS, (long)(w->h->connect_ms + w->h->request_ms)) == CURLE_OK &&
        curl_multi_add_handle(multi, r->easy) == CURLM_OK) {
        rc = run(w, multi);
        curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, http);
        curl_multi_remove_handle(multi, r->easy);
    }
    if (multi)
        curl_multi_cleanup(multi);
    w->took_ms = hub_now_ms() - begun;
    return rc;
}

static const char *
why(const struct walk *w, CURLcode rc)
{
    return w->r.err_text[0] ? w->r.err_text : curl_easy_strerror(rc);
}

/* ---- steps ---- */

static int
step_dns(struct walk *w)
{
    CURLcode rc;
    long http;

    curl_easy_setopt(w->r.easy, CURLOPT_OPENSOCKETFUNCTION, rkp_probe_socket);
    curl_easy_setopt(w->r.easy, CURLOPT_OPENSOCKETDATA, &w->probe);
    rc = ask(w, &http);
    curl_easy_setopt(w->r.easy, CURLOPT_OPENSOCKETFUNCTION, (void *)NULL);
    if (w->probe.n_addrs == 0)
        w->h->host->fail(w->call, RK_E_UNREACHABLE, "%s", why(w, rc));
    return rkp_step_dns(&w->way, rc == CURLE_ABORTED_BY_CALLBACK ? RK_E_TIMEOUT : RK_E_UNREACHABLE, why(w, rc),
                        "its URL");
}

static int
step_certificate(const struct walk *w)
{
    const struct rkp_probe_cert *c = &w->probe.leaf;
    char days[40];

    if (w->probe.verify_err)
        return rkp_step_chain(&w->way, "peer-certificate");
    return STEP(w, "peer-certificate", rkp_state_of(c), "%s, by %s, until %s%s; it is for %s%s", c->subject, c->issuer,
                c->until, rkp_rest(c, days), w->probe.names, rkp_state_of(c) ? "; have it renewed soon" : "");
}

static int
step_sae(const struct walk *w)
{
    if (!w->r.sae[0])
        return STEP(w, "sae-id", RK_E_CONFIG,
                    "no link has told yet whose url it is; the certificate names %s: write it as peers: [\"SAE %s\"]",
                    w->probe.ids, w->r.url);
    if (w->r.shake.not_named)
        return STEP(w, "sae-id", RK_E_AUTH,
                    "the certificate does not name the peer %s: it names %s; is it the URL of the right peer?",
                    w->r.sae, w->probe.ids);
    return STEP(w, "sae-id", RK_OK, "the certificate names the peer %s", w->r.sae);
}

/* Down to the HTTP answer. */
static int
step_tls(const struct walk *w, CURLcode rc)
{
    const struct rkp_handshake *s = &w->r.shake;

    if (rc == CURLE_OK)
        return STEP(w, "tls", RK_OK, "%s with %s; the peer takes our certificate", w->probe.version, w->probe.cipher);
    if (s->alert >= 0)
        return STEP(w, "tls", RK_E_AUTH,
                    "the peer refuses our certificate %.120s: TLS alert \"%s\"; it must be valid, from a CA that the "
                    "peer has, and name the SAE ID that the peer expects",
                    w->h->certs.cert_path, SSL_alert_desc_string_long(s->alert));
    if (rc == CURLE_ABORTED_BY_CALLBACK || rc == CURLE_OPERATION_TIMEDOUT)
        return STEP(w, "tls", RK_E_TIMEOUT, "it does not answer in time: %s", why(w, rc));
    return STEP(w, "tls", RK_E_UNREACHABLE,
                "%s; a peer that does not take our certificate %.120s may also just close the connection",
                why(w, rc), w->h->certs.cert_path);
}

static int
step_exchange(const struct walk *w, long http)
{
    if ((http == 200 || http == 204) && w->r.answer_session[0])
        return STEP(w, "exchange", RK_OK, "the peer answers a request without records in %lld ms, as process %s",
                    (long long)w->took_ms, w->r.answer_session);
    return STEP(w, "exchange", RK_E_PROTOCOL,
                "it answers with HTTP %ld%s; is that the port on which the peer's channel listens?", http,
                http == 200 || http == 204 ? ", but not as rekeyd does" : "");
}

static int
walk_peer(struct walk *w)
{
    int err = step_dns(w);
    CURLcode rc;
    long http;

    err = err ? err : rkp_step_tcp(&w->way);
    if (err)
        return err;
    w->probe.n_addrs = 0;
    rc = ask(w, &http);
    if (w->probe.leaf.there) {
        err = step_certificate(w);
        err = err ? err : step_sae(w);
    }
    err = err ? err : step_tls(w, rc);
    return err ? err : step_exchange(w, http);
}

/* ---- this end ---- */

static void
own_names(struct hub *h, struct rk_call *call, const struct rkp_trust *t)
{
    if (h->sae && !rkp_cert_names(t->cert, h->sae))
        h->host->step(call, "own-sae-id", RK_E_CONFIG,
                      "our certificate does not name %s (neither CN nor alternative name): the peers refuse it",
                      h->sae);
    else if (X509_check_purpose(t->cert, X509_PURPOSE_SSL_SERVER, 0) != 1)
        h->host->step(call, "own-sae-id", RK_E_CONFIG,
                      "by its extensions our certificate is none of a TLS server: the peers refuse it; it needs both "
                      "uses, serverAuth and clientAuth");
    else if (h->sae)
        h->host->step(call, "own-sae-id", RK_OK, "our certificate names %s", h->sae);
}

/* Can it listen?  A running rekeyd does; without one the port is free. */
static void
step_listen(struct hub *h, struct rk_call *call)
{
    struct sockaddr_storage addr;
    int len = sizeof addr, fd, err = 0, one = 1;
    bool listening;

    pthread_mutex_lock(&h->lock);
    listening = h->listening;
    pthread_mutex_unlock(&h->lock);
    if (listening) {
        h->host->step(call, "listen", RK_OK, "peers are heard on %s", h->listen);
        return;
    }
    memset(&addr, 0, sizeof addr);
    (void)evutil_parse_sockaddr_port(h->listen, (struct sockaddr *)&addr, &len);
    fd = socket(addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        bind(fd, (struct sockaddr *)&addr, (socklen_t)len) < 0)
        err = errno;
    if (fd >= 0)
        close(fd);
    if (err == EADDRINUSE)
        h->host->step(call, "listen", RK_STEP_WARNING, "%s is in use: by the rekeyd that runs, or by another program",
                      h->listen);
    else
        h->host->step(call, "listen", err ? RK_E_IO : RK_OK, "%s: %s", h->listen,
                      err ? strerror(err) : "free; rekeyd will hear peers there");
}

static void
test_own(struct hub *h, struct rk_call *call, const struct rkp_trust *t, const struct rkp_creds *creds)
{
    const struct rkp_way way = {.host = h->host, .call = call, .certs = &h->certs};

    rkp_step_files(&way);
    rkp_step_certificate(&way, creds);
    own_names(h, call, t);
    rkp_step_ca(&way, creds);
    step_listen(h, call);
}

/* ---- all of it ---- */

static char *
host_of(const char *url)
{
    CURLU *u = curl_url();
    char *part = NULL, *host = NULL;
    size_t len;

    if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_HOST, &part, 0) == CURLUE_OK) {
        len = strlen(part);
        host = part[0] == '[' && len > 2 ? strndup(part + 1, len - 2) : strdup(part);
    }
    curl_free(part);
    curl_url_cleanup(u);
    return host;
}

static int
begin(struct walk *w, const struct remote *of, struct rkp_trust *t)
{
    struct remote *r = &w->r;

    r->hub = w->h;
    r->trust = t; /* borrowed */
    r->probe = &w->probe;
    pthread_mutex_lock(&w->h->lock);
    strcpy(r->sae, of->sae);
    pthread_mutex_unlock(&w->h->lock);
    r->url = strdup(of->url);
    r->records_url = strdup(of->records_url);
    w->near = host_of(of->url);
    snprintf(w->whose, sizeof w->whose, "%s", r->sae[0] ? r->sae : "the peer");
    w->way = (struct rkp_way){w->h->host, w->call, &w->h->certs, &w->probe, w->near, w->whose, w->whose,
                              w->h->connect_ms};
    if (!r->url || !r->records_url || !w->near)
        return w->h->host->fail(w->call, RK_E_NOMEM, "out of memory");
    return client_easy(r, w->call);
}

static int
test_peer(struct hub *h, struct rk_call *call, size_t i, struct rkp_trust *t)
{
    struct walk *w = calloc(1, sizeof *w);
    int err;

    if (!w)
        return h->host->step(call, "peer", RK_E_NOMEM, "out of memory");
    w->h = h;
    w->call = call;
    err = begin(w, &h->remotes[i], t);
    if (err) {
        STEP(w, "peer", err, "%s", "");
    } else {
        STEP(w, "peer", RK_OK, "%zu of %zu: %s at %s", i + 1, h->n_remotes, w->whose, w->r.url);
        err = walk_peer(w);
    }
    client_easy_free(&w->r);
    free(w->near);
    free(w);
    return err;
}

static int
no_time(struct hub *h, struct rk_call *call, size_t tested)
{
    return h->host->step(call, "time", RK_E_TIMEOUT,
                         "%zu of %zu peers were not tested: there was no time left; give more with --timeout",
                         h->n_remotes - tested, h->n_remotes);
}

int
peer_test(void *inst, struct rk_call *call)
{
    struct hub *h = inst;
    struct rkp_creds *creds;
    struct rkp_trust *t;
    const char *text = "";
    int first = RK_OK;

    rkp_certs_look(&h->certs, call);
    creds = rkp_certs_ref(&h->certs);
    t = rkp_trust_new(h->host, creds, &text);
    if (!t)
        first = h->host->step(call, "certificate", RK_E_CONFIG, "%.120s: %s", h->certs.cert_path, text);
    else
        test_own(h, call, t, creds);
    for (size_t i = 0; t && i < h->n_remotes; i++) {
        bool time = h->host->left_ms(call) > 0;
        int err = time ? test_peer(h, call, i, t) : no_time(h, call, i);

        first = first ? first : err;
        if (!time)
            break;
    }
    rkp_certs_unref(&h->certs, &creds);
    rkp_trust_unref(&t);
    return first;
}
