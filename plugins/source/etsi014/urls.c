/* urls.c - the URLs of one KME: which one is asked, and what happens when it does not answer.
 *
 * Runs on the host's worker threads; what is known of a URL is under etsi.lock.  The first of the list is preferred:
 * when it has failed it is tried again after a pause that grows, by one call at a time.  A request goes to a second URL
 * only when it certainly was not sent to the first, or takes no key.
 */
#include "etsi014.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAUSE_FIRST_MS 1000 /* until a URL that failed is tried again; doubled up to the last */
#define PAUSE_LAST_MS 60000
#define SEEN_MS (24 * 3600 * 1000) /* what a handshake showed longer ago may have been renewed since */

/* url without '/' at its end; what cannot be the beginning of a request URL is refused. */
static int
add(struct etsi *e, struct rk_call *call, const char *url)
{
    static const CURLUPart unwanted[] = {CURLUPART_QUERY, CURLUPART_FRAGMENT, CURLUPART_USER};
    CURLU *u = curl_url();
    char *part = NULL;
    size_t len = strlen(url);
    int err = u ? RK_OK : e->host->fail(call, RK_E_NOMEM, "out of memory");

    if (u && curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK)
        err = e->host->fail(call, RK_E_CONFIG, "url: %s: not a URL as https://host:port", url);
    for (size_t i = 0; !err && i < sizeof unwanted / sizeof unwanted[0]; i++)
        if (curl_url_get(u, unwanted[i], &part, 0) == CURLUE_OK) {
            curl_free(part);
            err =
                e->host->fail(call, RK_E_CONFIG, "url: a user, '?' or '#' has no place in it; give https://host:port");
        }
    curl_url_cleanup(u);
    if (err)
        return err;
    while (len > 0 && url[len - 1] == '/')
        len--;
    e->urls[e->n_urls].base = strndup(url, len);
    return e->urls[e->n_urls++].base ? RK_OK : e->host->fail(call, RK_E_NOMEM, "out of memory");
}

int
urls_open(struct etsi *e, struct rk_call *call, const struct rk_conf *conf)
{
    char old[LEGACY_URL_MAX];
    const char *url;
    int err = legacy_url(e, call, conf, old);

    if (!err && old[0])
        err = add(e, call, old);
    for (size_t i = 0; !err && (url = e->host->conf_item(conf, "url", i)); i++)
        err = i < URLS_MAX ? add(e, call, url)
                           : e->host->fail(call, RK_E_CONFIG, "url: more than %d: one KME has fewer", URLS_MAX);
    if (!err)
        e->base = e->urls[0].base;
    return err;
}

void
urls_close(struct etsi *e)
{
    for (size_t i = 0; i < e->n_urls; i++)
        free(e->urls[i].base);
}

static int64_t
pause_ms(const struct url *u)
{
    int64_t pause = PAUSE_FIRST_MS;

    for (unsigned i = 1; i < u->failures && pause < PAUSE_LAST_MS; i++)
        pause *= 2;
    return pause < PAUSE_LAST_MS ? pause : PAUSE_LAST_MS;
}

int
urls_next(struct etsi *e, uint32_t *tried, int64_t now_ms)
{
    int next = -1;

    pthread_mutex_lock(&e->lock);
    for (size_t i = 0; next < 0 && i < e->n_urls; i++)
        if (!(*tried & 1u << i) && now_ms >= e->urls[i].retry_ms)
            next = (int)i;
    for (size_t i = 0; next < 0 && i < e->n_urls; i++)
        if (!(*tried & 1u << i))
            next = (int)i; /* none that is well: rather one that failed a moment ago than none */
    if (next >= 0 && e->urls[next].failures && now_ms >= e->urls[next].retry_ms) {
        e->urls[next].retry_ms = now_ms + pause_ms(&e->urls[next]); /* one call tries it, not all */
        e->urls[next].trying = true;
    }
    pthread_mutex_unlock(&e->lock);
    if (next >= 0)
        *tried |= 1u << next;
    return next;
}

void
urls_failed(struct etsi *e, struct rk_call *call, size_t i, const char *why)
{
    struct url *u = &e->urls[i];
    unsigned failures;
    bool count;

    pthread_mutex_lock(&e->lock);
    count = u->failures == 0 || u->trying; /* calls that were under way together fail for one reason */
    failures = u->failures += count;
    if (count)
        u->retry_ms = http_now_ms() + pause_ms(u);
    u->trying = false;
    pthread_mutex_unlock(&e->lock);
    if (e->n_urls > 1 && count)
        e->host->log(call, failures == 1 ? RK_LOG_WARNING : RK_LOG_INFO,
                     "ev=url kme=%s url=%s res=failed n=%u why=\"%s\"", e->base, u->base, failures, why);
}

void
urls_worked(struct etsi *e, struct rk_call *call, size_t i)
{
    size_t was;

    pthread_mutex_lock(&e->lock);
    e->urls[i].failures = 0;
    e->urls[i].retry_ms = 0;
    e->urls[i].trying = false;
    was = e->in_use;
    e->in_use = i;
    pthread_mutex_unlock(&e->lock);
    if (was != i)
        e->host->log(call, i == 0 ? RK_LOG_NOTICE : RK_LOG_WARNING, "ev=url kme=%s url=%s res=%s before=%s", e->base,
                     e->urls[i].base, i < was ? "returned" : "failed-over", e->urls[was].base);
}

void
urls_shown(struct slot *s, struct rk_call *call)
{
    struct etsi *e = s->e;

    if (!s->shown)
        return;
    if (!s->verify_err && !s->wrong_kme)
        e->host->log(call, RK_LOG_INFO, "ev=connect kme=%s url=%s handshakes=%u res=ok", e->base, s->base,
                     atomic_load(&e->handshakes));
    pthread_mutex_lock(&e->lock);
    e->urls[s->url].seen_ms = http_now_ms();
    e->urls[s->url].cert_ends_s = s->cert_ends_s;
    e->urls[s->url].ca_ends_s = s->ca_ends_s;
    pthread_mutex_unlock(&e->lock);
    s->shown = false;
}

static void
tell(const struct etsi *e, struct rk_call *call, const char *which, const struct url *u, int64_t ends_s)
{
    char what[160];

    if (ends_s == 0)
        return;
    snprintf(what, sizeof what, "%s %s", which, u->base);
    e->host->expires(call, what, ends_s);
}

void
urls_tell_ends(struct etsi *e, struct rk_call *call)
{
    int64_t now = http_now_ms();

    if (!rkp_certs_can_tell(&e->certs))
        return;
    rkp_certs_tell_ends(&e->certs, call);
    for (size_t i = 0; i < e->n_urls; i++) {
        struct url u;

        pthread_mutex_lock(&e->lock);
        u = e->urls[i];
        pthread_mutex_unlock(&e->lock);
        if (!u.seen_ms || now - u.seen_ms > SEEN_MS)
            continue;
        tell(e, call, "the certificate of", &u, u.cert_ends_s);
        tell(e, call, "the CA certificate of", &u, u.ca_ends_s);
    }
}

/* Is it the word of something before the KME, which says that the KME does not answer?  A KME speaks JSON. */
static bool
is_gateway(const struct slot *s, long http)
{
    size_t i = 0;

    while (i < s->body_len && strchr(" \t\r\n", s->body[i]) && s->body[i])
        i++;
    return http == 502 || http == 504 || (http == 503 && !(i < s->body_len && s->body[i] == '{'));
}

/* May the same request go to another URL? */
static bool
may_repeat(const struct slot *s, const struct request *q)
{
    return q->what == STATUS || s->sent == 0;
}

/* Why another URL may do better; NULL: none would, for the KME has answered, or it is not the URL's fault. */
static const char *
what_failed(const struct slot *s, int err, long http)
{
    if (!err)
        return is_gateway(s, http) ? "a gateway answers in its place" : NULL;
    if (err == RK_E_CANCELED || err == RK_E_NOMEM || s->too_long)
        return NULL;
    return s->err_text[0] ? s->err_text : "no whole answer within the time";
}

static size_t
count_left(const struct etsi *e, uint32_t tried)
{
    return e->n_urls - (size_t)__builtin_popcount(tried);
}

int
http_ask(struct slot *s, struct rk_call *call, const struct request *q, long *http)
{
    struct etsi *e = s->e;
    uint32_t tried = 0;
    int i, err = RK_OK;

    *http = 0;
    if (e->host->left_ms(call) <= 0)
        return e->host->fail(call, RK_E_TIMEOUT, "%s: no time left to send %s", e->base, what_name(q->what));
    atomic_fetch_add(&e->requests, 1);
    while ((i = urls_next(e, &tried, http_now_ms())) >= 0) {
        const char *why;

        s->url = (size_t)i;
        s->base = e->urls[i].base;
        err = http_try(s, call, q, http, count_left(e, tried));
        urls_shown(s, call);
        why = what_failed(s, err, *http);
        if (why)
            urls_failed(e, call, s->url, why);
        else if (!err)
            urls_worked(e, call, s->url);
        if (!why || !may_repeat(s, q) || e->host->left_ms(call) <= 0)
            break;
    }
    urls_tell_ends(e, call);
    return err;
}

int
urls_status(void *inst, struct rk_call *call, const char *peer_sae, struct rk_source_status *st)
{
    struct etsi *e = inst;
    int err = etsi_status(inst, call, peer_sae, st);
    size_t len = strnlen(st->text, sizeof st->text), in_use;

    pthread_mutex_lock(&e->lock);
    in_use = e->in_use;
    pthread_mutex_unlock(&e->lock);
    if (!err)
        snprintf(st->text + len, sizeof st->text - len, ", at %.60s, handshakes %u, requests %u", e->urls[in_use].base,
                 atomic_load(&e->handshakes), atomic_load(&e->requests));
    return err;
}
