/* client.c - requests to one peer: libcurl, driven by the loop.
 *
 * One connection and one request at a time for each peer; what becomes due meanwhile goes with the next one.  A request
 * may arrive twice, as a record replaces the one before.  A peer that is away is tried again after a pause, and holds
 * up no other.
 */
#include "peer.h"

#include <event2/event.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PAUSE_FIRST_MS 100 /* until a peer that failed is tried again; doubled up to backoff-max */
#define BUSY_MS 50         /* the same when it says that it has no room now */
#define UNKNOWN_MS 250     /* until links are said again that the peer does not know; doubled up to the heartbeat */
#define HEARD_MS 500       /* one that is heard of is not tried more often */
#define SAY_AGAIN_MS 300000 /* that it is away: the same reason again, and ... */
#define SAY_OTHER_MS 2000   /* ... another one */
#define HEADER_MAX 8192 /* of an answer [bytes] */

static void
in_ms(struct event *ev, int ms)
{
    const struct timeval after = {ms / 1000, ms % 1000 * 1000};

    (void)event_add(ev, &after);
}

/* ---- answers ---- */

static size_t
on_body(char *data, size_t size, size_t n, void *arg)
{
    struct remote *r = arg;

    (void)size; /* is 1 */
    if (n > sizeof r->answer - r->answer_len)
        return 0;
    memcpy(r->answer + r->answer_len, data, n);
    r->answer_len += n;
    return n;
}

static size_t
on_header(char *data, size_t size, size_t n, void *arg)
{
    static const char name[] = "Rekey-Session:";
    struct remote *r = arg;
    size_t at = sizeof name - 1;

    (void)size;
    if (n > HEADER_MAX)
        return 0;
    if (n < at || strncasecmp(data, name, at) != 0)
        return n;
    while (at < n && data[at] == ' ')
        at++;
    if (n - at >= SESSION_LEN) {
        memcpy(r->answer_session, data + at, SESSION_LEN);
        if (strspn(r->answer_session, "0123456789abcdef") != SESSION_LEN)
            r->answer_session[0] = '\0';
    }
    return n;
}

/* Lines of links that the peer does not know: it may be about to. */
static void
note_unknown(struct hub *h, struct remote *r)
{
    struct body_line lines[BODY_LINES_MAX];
    const char *why;
    size_t n;

    r->unknown = true;
    if (body_read(r->answer, r->answer_len, lines, &n, &why) != RK_OK)
        return;
    for (size_t i = 0; i < n; i++) {
        struct link *l = link_find(h, lines[i].link);

        if (l && l->remote == r)
            l->unknown = true;
    }
}

/* ---- connections ---- */

static void
drop(struct remote *r)
{
    if (r->multi)
        curl_multi_cleanup(r->multi);
    r->multi = NULL;
    r->stale = false;
    rkp_trust_unref(&r->trust);
}

static void start(struct remote *r, bool always);

static void
worked(struct remote *r)
{
    struct hub *h = r->hub;
    int64_t now = hub_now_ms();

    if (r->failures)
        h->host->log(h->call, RK_LOG_NOTICE, "ev=peer peer=%s url=%s res=ok away_ms=%lld", r->sae, r->url,
                     (long long)(now - r->away_since_ms));
    r->failures = 0;
    r->away_since_ms = r->said_ms = 0;
}

static void
say_away(struct remote *r, const char *why)
{
    struct hub *h = r->hub;
    int64_t now = hub_now_ms();

    if (!r->away_since_ms)
        r->away_since_ms = now;
    if (r->said_ms && now - r->said_ms < (strncmp(r->said, why, sizeof r->said - 1) ? SAY_OTHER_MS : SAY_AGAIN_MS))
        return;
    r->said_ms = now;
    snprintf(r->said, sizeof r->said, "%s", why);
    h->host->log(h->call, RK_LOG_WARNING, "ev=peer peer=%s url=%s res=away why=\"%.200s\" do=\"rekeyctl peer test\"",
                 r->sae, r->url, why);
}

/* The next try: not all peers at once, and none more seldom than backoff-max. */
static int
pause_ms(const struct remote *r)
{
    int pause = PAUSE_FIRST_MS, most = r->hub->backoff_ms;
    unsigned char dice = 0;

    for (unsigned i = 1; i < r->failures && pause < most; i++)
        pause *= 2;
    pause = pause < most ? pause : most;
    (void)r->hub->host->random(&dice, 1);
    return pause * 3 / 4 + pause * dice / 4 / 255;
}

/* Until the next request, when there is nothing to send before. */
static int
rest_ms(struct remote *r)
{
    int most = r->hub->heartbeat_ms, ms = UNKNOWN_MS;

    for (unsigned i = 0; i < r->unknown_tries && ms < most; i++)
        ms *= 2;
    return r->unknown && ms < most ? ms : most;
}

static void
wait_ms(struct remote *r, int ms)
{
    r->waiting = true;
    in_ms(r->next, ms);
}

static void
failed(struct remote *r, const char *why)
{
    r->failures++;
    say_away(r, why);
    drop(r); /* the next one begins anew, with its certificates */
    wait_ms(r, pause_ms(r));
}

/* An answer with a code.   ret: was the batch taken */
static bool
answered(struct remote *r, long http)
{
    struct hub *h = r->hub;
    bool ok = (http == 200 || http == 204) && r->answer_session[0];

    pthread_mutex_lock(&h->lock);
    if (r->answer_session[0])
        remote_session(h, r, r->answer_session);
    links_answered(h, r, ok);
    if (ok && http == 200)
        note_unknown(h, r);
    pthread_mutex_unlock(&h->lock);
    return ok;
}

static const char *
why_failed(const struct remote *r, CURLcode rc, long http, char text[80])
{
    const char *why = rc ? trust_why(&r->shake) : NULL;

    if (why)
        return why;
    if (rc)
        return r->err_text[0] ? r->err_text : curl_easy_strerror(rc);
    snprintf(text, 80, "it answers with %ld%s", http, http == 200 || http == 204 ? ", but is no rekeyd" : "");
    return text;
}

static void
finished(struct remote *r, CURLcode rc)
{
    char text[80];
    long http = 0;
    bool ok, waits = r->unknown && event_pending(r->next, EV_TIMEOUT, NULL); /* other news do not put it off */

    curl_multi_remove_handle(r->multi, r->easy);
    (void)curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &http);
    r->busy = false;
    ok = answered(r, rc == CURLE_OK ? http : 0);
    free(r->body);
    r->body = NULL;
    if (ok) {
        worked(r);
        if (r->stale)
            drop(r);
        if (!waits)
            in_ms(r->next, rest_ms(r));
        start(r, false);
    } else if (rc == CURLE_OK && http == 503) {
        wait_ms(r, BUSY_MS);
    } else {
        failed(r, why_failed(r, rc, http, text));
    }
}

/* ---- libcurl in the loop ---- */

static void
check_done(struct remote *r)
{
    CURLMsg *msg;
    int more;

    while (r->multi && (msg = curl_multi_info_read(r->multi, &more)))
        if (msg->msg == CURLMSG_DONE) {
            finished(r, msg->data.result);
            return; /* there is one at a time */
        }
}

static void
on_ready(evutil_socket_t fd, short what, void *arg)
{
    int flags = (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0), running;
    struct remote *r = arg;

    (void)curl_multi_socket_action(r->multi, fd, flags, &running);
    check_done(r);
}

static void
on_curl_timer(evutil_socket_t fd, short what, void *arg)
{
    struct remote *r = arg;
    int running;

    (void)fd;
    (void)what;
    if (!r->multi)
        return;
    (void)curl_multi_socket_action(r->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    check_done(r);
}

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *of_socket)
{
    struct event *ev = of_socket;
    struct remote *r = arg;
    short events = (short)((what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0) | EV_PERSIST);

    (void)easy;
    if (ev)
        event_free(ev);
    ev = what == CURL_POLL_REMOVE ? NULL : event_new(r->hub->base, fd, events, on_ready, r);
    if (ev && event_add(ev, NULL) < 0) {
        event_free(ev);
        ev = NULL;
    }
    (void)curl_multi_assign(r->multi, fd, ev);
    return ev || what == CURL_POLL_REMOVE ? 0 : -1;
}

static int
on_timer(CURLM *multi, long ms, void *arg)
{
    struct remote *r = arg;

    (void)multi;
    if (ms < 0)
        (void)event_del(r->curl_timer);
    else
        in_ms(r->curl_timer, ms < 3600000 ? (int)ms : 3600000);
    return 0;
}

static bool
make_multi(struct remote *r)
{
    if (r->multi)
        return true;
    r->multi = curl_multi_init();
    if (!r->multi)
        return false;
    r->trust = rkp_trust_ref(r->hub->trust);
    if (curl_multi_setopt(r->multi, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK &&
        curl_multi_setopt(r->multi, CURLMOPT_SOCKETDATA, r) == CURLM_OK &&
        curl_multi_setopt(r->multi, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK &&
        curl_multi_setopt(r->multi, CURLMOPT_TIMERDATA, r) == CURLM_OK &&
        curl_multi_setopt(r->multi, CURLMOPT_MAXCONNECTS, 1L) == CURLM_OK)
        return true;
    drop(r);
    return false;
}

/* ---- requests ---- */

#define SET(opt, value) (rc = rc ? rc : curl_easy_setopt(r->easy, (opt), (value)))

static CURLcode
set_request(struct remote *r)
{
    const struct hub *h = r->hub;
    bool connected = r->multi && r->handshakes && !r->failures;
    CURLcode rc = CURLE_OK;

    r->answer_len = 0;
    r->answer_session[0] = r->err_text[0] = '\0';
    SET(CURLOPT_POSTFIELDS, r->body_len ? r->body : "");
    SET(CURLOPT_POSTFIELDSIZE, (long)r->body_len);
    SET(CURLOPT_TIMEOUT_MS, (long)h->request_ms + (connected ? 0 : h->connect_ms));
    return rc;
}

static void
send_request(struct remote *r)
{
    bool ok = set_request(r) == CURLE_OK && make_multi(r);

    r->tried_ms = hub_now_ms();
    r->busy = ok && curl_multi_add_handle(r->multi, r->easy) == CURLM_OK;
    if (r->busy)
        return; /* libcurl has set its timer to begin at once */
    (void)answered(r, 0);
    free(r->body);
    r->body = NULL;
    failed(r, "out of memory");
}

/* Send what is due;  always: also when nothing is, which tells that both ends are there. */
static void
start(struct remote *r, bool always)
{
    struct hub *h = r->hub;
    bool known;

    if (r->busy || r->waiting)
        return;
    pthread_mutex_lock(&h->lock);
    known = r->sae[0];
    if (known && always) {
        links_unknown_due(h, r);
        r->unknown_tries = r->unknown ? r->unknown_tries + 1 : 0;
        r->unknown = false;
    }
    r->n_batch = r->body_len = 0;
    if (known && r->due && (r->body = malloc(BODY_MAX)))
        links_take(r);
    pthread_mutex_unlock(&h->lock);
    if (r->n_batch == 0) {
        free(r->body);
        r->body = NULL;
    }
    if (known && (r->n_batch || always))
        send_request(r);
    else if (always)
        in_ms(r->next, h->heartbeat_ms);
}

static void
on_next(evutil_socket_t fd, short what, void *arg)
{
    struct remote *r = arg;

    (void)fd;
    (void)what;
    r->waiting = false;
    start(r, true);
}

void
client_go(struct remote *r)
{
    start(r, false);
}

void
client_heard(struct remote *r)
{
    if (r->failures && r->waiting && hub_now_ms() - r->tried_ms > HEARD_MS)
        wait_ms(r, 0);
}

void
client_renew(struct remote *r)
{
    if (r->busy)
        r->stale = true;
    else
        drop(r);
}

/* ---- begin and end ---- */

static CURLcode
set_transport(struct remote *r)
{
    CURLcode rc = CURLE_OK;

    SET(CURLOPT_URL, r->records_url);
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_HTTPHEADER, r->headers);
    SET(CURLOPT_PROTOCOLS_STR, "https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_MAXLIFETIME_CONN, LIFE_MAX_S);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOPROXY, "*"); /* never from the environment */
#if LIBCURL_VERSION_NUM >= 0x075700
    SET(CURLOPT_QUICK_EXIT, 1L); /* do not wait for a name server when the instance ends */
#endif
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)r->hub->connect_ms);
    SET(CURLOPT_ERRORBUFFER, r->err_text);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, r);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, r);
    return rc;
}

static CURLcode
set_tls(struct remote *r)
{
    CURLcode rc = CURLE_OK;

    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 0L); /* trust.c looks for the SAE ID in its place: who it is, not where */
    SET(CURLOPT_CAINFO, (char *)NULL); /* the CA of the options, and none that the system trusts */
    SET(CURLOPT_CAPATH, (char *)NULL);
    SET(CURLOPT_SSL_SESSIONID_CACHE, 0L); /* a session taken up again would be that of the old certificates */
    SET(CURLOPT_SSL_CTX_FUNCTION, trust_hook);
    SET(CURLOPT_SSL_CTX_DATA, r);
    return rc;
}

static bool
make_headers(struct remote *r)
{
    char session[40];
    const char *const headers[] = {"Content-Type: " HEAD_TYPE, "Expect:", "Accept:", session};
    size_t n = r->probe ? 3 : 4; /* a test is no process that records are sent to */

    snprintf(session, sizeof session, "Rekey-Session: %s", r->hub->session);
    for (size_t i = 0; i < n; i++) {
        struct curl_slist *more = curl_slist_append(r->headers, headers[i]);

        if (!more)
            return false;
        r->headers = more;
    }
    return true;
}

int
client_easy(struct remote *r, struct rk_call *call)
{
    const struct rk_host *host = r->hub->host;

    r->shake.alert = -1;
    r->easy = curl_easy_init();
    if (!r->easy || !make_headers(r))
        return host->fail(call, RK_E_NOMEM, "out of memory");
    if (set_transport(r) != CURLE_OK || set_tls(r) != CURLE_OK)
        return host->fail(call, RK_E_UNSUPPORTED, "%s cannot do what is needed; install a libcurl built with OpenSSL",
                          curl_version());
    return RK_OK;
}

void
client_easy_free(struct remote *r)
{
    curl_easy_cleanup(r->easy);
    curl_slist_free_all(r->headers);
    free(r->url);
    free(r->records_url);
}

int
client_open(struct remote *r, struct rk_call *call)
{
    struct hub *h = r->hub;

    r->curl_timer = event_new(h->base, -1, 0, on_curl_timer, r);
    r->next = event_new(h->base, -1, 0, on_next, r);
    if (!r->curl_timer || !r->next)
        return h->host->fail(call, RK_E_NOMEM, "out of memory");
    wait_ms(r, 0);
    return client_easy(r, call);
}

void
client_close(struct remote *r)
{
    if (r->multi && r->busy)
        curl_multi_remove_handle(r->multi, r->easy);
    drop(r);
    if (r->curl_timer)
        event_free(r->curl_timer);
    if (r->next)
        event_free(r->next);
    free(r->body);
    client_easy_free(r);
}
