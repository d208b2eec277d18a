/* exchange.c - one request, its answer, its line in the log.
 *
 * Runs on the host's worker threads, several at once.  A request is sent once.  It is sent again only when its own
 * answer says that nothing was done: a 429 or 503 with a Retry-After, or a 412 once the status was asked.
 */
#include "call.h"

#include <inttypes.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define RESERVE_MS 300 /* of the budget, for the request after a pause */

int64_t
now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool
pause_ms(const struct asking *a, int ms)
{
    struct pollfd cancel = {.fd = a->e->host->cancel_fd(a->call), .events = POLLIN};

    if (a->e->host->left_ms(a->call) <= ms)
        return false;
    return poll(&cancel, 1, ms) == 0;
}

void
count_wasted(const struct asking *a, size_t n)
{
    const struct rk_host *host = a->e->host;

    atomic_fetch_add(&a->e->learnt.wasted, n);
    if (host->size >= offsetof(struct rk_host, wasted) + sizeof host->wasted)
        host->wasted(a->call, (uint32_t)n);
}

/* Keys may be gone that nobody will ever see: no answer, or one that something between us and the KME may have given in
 * its place.  A 503 refuses. */
static bool
is_orphaning(enum what what, int err, long http)
{
    return what == ENC_KEYS && (err == RK_E_UNKNOWN || (err == RK_E_BUSY && http >= 500 && http != 503));
}

/* Was a key taken at the KME that will never be used? */
static bool
is_loss(enum what what, int err, long http)
{
    return is_orphaning(what, err, http) ||
           (what != STATUS && (err == RK_E_UNKNOWN || err == RK_E_PROTOCOL || err == RK_E_KEY_SIZE));
}

struct line {
    const char *base; /* the URL that was asked */
    long http;
    int64_t from_ms;
    enum outcome outcome;
    char message[MESSAGE_MAX + 1];
};

/* Who asked whom for what, and what came of it; never anything of a body but the server's message. */
static void
tell(const struct asking *a, enum what what, size_t n, const struct line *l, int err)
{
    struct etsi *e = a->e;
    char own[41];

    e->host->log(a->call, is_loss(what, err, l->http) ? RK_LOG_WARNING : RK_LOG_INFO,
                 "ev=%s kme=%s kme_id=%s sae=%s peer=%s n=%zu http=%ld dur_ms=%" PRId64
                 " res=%s class=%s orphaned=%llu wasted=%llu%s%s%s",
                 what_name(what), l->base, learnt_kme_id(e, own), e->sae ? e->sae : "-", a->peer, n, l->http,
                 now_ms() - l->from_ms, result_name(err), outcome_name(l->outcome),
                 (unsigned long long)atomic_load(&e->learnt.orphaned),
                 (unsigned long long)atomic_load(&e->learnt.wasted), l->message[0] ? " msg=\"" : "", l->message,
                 l->message[0] ? "\"" : "");
}

/* ret: has this answer a Retry-After */
static bool
hold(struct slot *s)
{
    curl_off_t seconds = 0;

    if (curl_easy_getinfo(s->easy, CURLINFO_RETRY_AFTER, &seconds) != CURLE_OK || seconds <= 0)
        return false;
    learnt_hold(s->e, seconds < HOLD_MAX_MS ? (long)seconds : HOLD_MAX_MS);
    return true;
}

static int
ask(struct slot *s, const struct asking *a, const struct request *q, struct batch *b, parse_fn *parse, void *arg,
    long *http)
{
    int err = http_ask(s, a->call, q, http);

    if (err) {
        if (s->too_long && b)
            count_wasted(a, b->n);
        return err;
    }
    if (*http == 200)
        return parse(s, a, q, b, arg);
    err = answer_refused(s, a->call, q, *http);
    if (err == RK_E_BUSY && (a->e->n_urls == 1 || *http == 429)) /* else another URL may well give keys */
        s->again = hold(s) && (*http == 429 || *http == 503); /* the others may have taken keys */
    return err;
}

/* What the answer leaves with the keys that it is about. */
static void
note(const struct slot *s, long http, struct batch *b)
{
    b->refusal = s->refusal;
    b->http = http;
    memcpy(b->said, s->said, sizeof b->said);
}

/* out: *again  this very answer asks for the same request later */
static int
send_once(const struct asking *a, const struct request *q, struct batch *b, parse_fn *parse, void *arg, bool *again)
{
    struct line l = {.base = a->e->base, .from_ms = now_ms()};
    struct slot *s = NULL;
    int err = http_take(a->e, a->call, &s);

    if (!err) {
        s->message[0] = s->said[0] = '\0';
        s->outcome = OUT_OK;
        s->refusal = REFUSED_PERHAPS_NUMBER;
        s->again = false;
        err = ask(s, a, q, b, parse, arg, &l.http);
    }
    l.outcome = s && s->outcome != OUT_OK ? s->outcome : outcome_of(err);
    if (l.outcome == OUT_KEY_GONE && b && b->more)
        l.outcome = OUT_NOT_YET;
    if (s && s->base)
        l.base = s->base;
    if (s)
        memcpy(l.message, s->message, sizeof l.message);
    if (s && b)
        note(s, l.http, b);
    *again = s && s->again;
    if (is_orphaning(q->what, err, l.http))
        atomic_fetch_add(&a->e->learnt.orphaned, b->n);
    http_give(a->e, &s);
    tell(a, q->what, b ? b->n : 0, &l, err);
    return err;
}

/* Wait as long as the KME asked for, when there is time. */
static int
wait_held(const struct asking *a)
{
    const struct rk_host *host = a->e->host;
    int held = learnt_held_ms(a->e);

    if (held == 0)
        return RK_OK;
    if (host->left_ms(a->call) <= held + RESERVE_MS)
        return host->fail(a->call, RK_E_BUSY, "%s: busy: it asked to be left alone for another %d s (Retry-After)",
                          a->e->base, (held + 999) / 1000);
    return pause_ms(a, held)
               ? RK_OK
               : host->fail(a->call, RK_E_CANCELED, "%s: canceled before the request was sent", a->e->base);
}

static int
make_url(const struct asking *a, enum what what, const char *query, char url[URL_MAX])
{
    struct etsi *e = a->e;
    char *peer = curl_easy_escape(NULL, a->peer, 0);
    int len = peer ? snprintf(url, URL_MAX, "%s/api/v1/keys/%s/%s%s", e->base, peer, what_name(what), query) : -1;

    curl_free(peer);
    if (len < 0)
        return e->host->fail(a->call, RK_E_NOMEM, "out of memory");
    if (len >= URL_MAX)
        return e->host->fail(a->call, RK_E_CONFIG, "%s: the URL of a request is longer than %d bytes", e->base,
                             URL_MAX);
    return RK_OK;
}

/* As send_once; once more when its answer says Retry-After and the budget has room for it. */
static int
send_patiently(const struct asking *a, const struct request *q, struct batch *b, parse_fn *parse, void *arg)
{
    bool again = false;
    int err = wait_held(a);

    err = err ? err : send_once(a, q, b, parse, arg, &again);
    if (!again)
        return err;
    if (a->e->host->left_ms(a->call) <= learnt_held_ms(a->e) + RESERVE_MS)
        return err; /* with the KME's own words */
    err = wait_held(a);
    return err ? err : send_once(a, q, b, parse, arg, &again);
}

int
say_again(const struct asking *a, const struct batch *b, int err)
{
    return b->said[0] ? a->e->host->fail(a->call, err, "%s; and its status cannot be had", b->said) : err;
}

int
exchange(const struct asking *a, enum what what, const struct form *form, struct batch *b, parse_fn *parse, void *arg)
{
    char url[URL_MAX];
    struct request q = {.what = what, .url = url, .post = form->query ? NULL : form->post, .peer = a->peer};
    struct status st;
    int err = make_url(a, what, form->query ? form->query : "", url);

    err = err ? err : send_patiently(a, &q, b, parse, arg);
    /* there are KMEs that give keys only when they were asked for their status first */
    if (!b || !err || b->http != 412 || !learnt_may_ask_status(a->e, a->peer))
        return err;
    return ask_status(a, &st) == RK_OK ? send_patiently(a, &q, b, parse, arg) : say_again(a, b, err);
}
