/* http.c - connections to one KME.
 *
 * Runs on the host's worker threads; each slot is one worker's while it is taken.  A request is given to the network
 * once: libcurl's own repetition on a connection that died is refused, because enc_keys is not idempotent.
 * Nothing here may print, log or keep a body.
 */
#include "etsi014.h"

#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define SAY_NO_MS 200 /* a round trip round half the world */

int64_t
http_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* libcurl's memory is wiped when it is freed: its receive buffers held keys.  The process is this module's alone. */
static void
wiping_free(void *p)
{
    if (p)
        explicit_bzero(p, malloc_usable_size(p));
    free(p);
}

static void *
wiping_realloc(void *p, size_t size)
{
    size_t old = p ? malloc_usable_size(p) : 0;
    void *q = malloc(size);

    if (q && p) {
        memcpy(q, p, old < size ? old : size);
        wiping_free(p);
    }
    return q;
}

static size_t
on_body(char *data, size_t size, size_t n, void *arg)
{
    struct slot *s = arg;

    (void)size; /* is 1 */
    if (n > BODY_MAX - s->body_len) {
        s->too_long = true;
        return 0;
    }
    memcpy(s->body + s->body_len, data, n);
    s->body_len += n;
    return n;
}

static size_t
on_header(char *data, size_t size, size_t n, void *arg)
{
    struct slot *s = arg;

    (void)data;
    (void)size;
    if (n > HEADERS_MAX - s->header_len) {
        s->too_long = true;
        return 0;
    }
    s->header_len += n;
    return n;
}

static int
on_socket(void *arg, curl_socket_t fd, curlsocktype purpose)
{
    struct slot *s = arg;

    (void)purpose;
    s->fd = fd;
    return CURL_SOCKOPT_OK;
}

static bool
is_new(const struct slot *s)
{
    long opened = 1;

    return curl_easy_getinfo(s->easy, CURLINFO_NUM_CONNECTS, &opened) != CURLE_OK || opened != 0;
}

/* Is fd the connection with this port at our end?  libcurl may have tried several addresses. */
static bool
has_port(int fd, int local_port)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } addr = {0};
    socklen_t len = sizeof addr;

    if (fd < 0 || getsockname(fd, &addr.any, &len) < 0)
        return false;
    return ntohs(addr.any.sa_family == AF_INET6 ? addr.v6.sin6_port : addr.v4.sin_port) == local_port;
}

/* Has the server ended the connection already?  A kept one has nothing to say before the next request; on a new one
 * there may be tickets of TLS 1.3. */
static bool
is_dead(struct slot *s, int local_port)
{
    struct pollfd end = {.fd = s->fd, .events = POLLRDHUP};
    unsigned char said[TLS_SAID_MAX];
    ssize_t n;

    if (!has_port(s->fd, local_port))
        return false; /* cannot tell */
    if (is_new(s) && poll(&end, 1, 0) == 0)
        return false;
    n = recv(s->fd, said, sizeof said, MSG_PEEK | MSG_DONTWAIT);
    s->said_alert = is_new(s) && n > 0 && tls_ends_with_alert(said, (size_t)n);
    return n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

/* In a test there is time for a server to say that it does not take our certificate: in TLS 1.3 it does so after the
 * handshake, half a round trip later. */
static void
wait_for_end(const struct slot *s)
{
    struct pollfd end = {.fd = s->fd, .events = POLLRDHUP};

    (void)!poll(&end, 1, SAY_NO_MS);
}

/* Called each time a request is about to be sent: also when libcurl wants to send it again. */
static int
on_send(void *arg, char *conn_ip, char *local_ip, int conn_port, int local_port)
{
    struct slot *s = arg;

    (void)conn_ip;
    (void)local_ip;
    (void)conn_port;
    if (s->only_shake)
        wait_for_end(s);
    s->dead = s->sent == 0 && is_dead(s, local_port);
    s->shaken = s->only_shake && !s->dead;
    if (s->dead || s->only_shake)
        return CURL_PREREQFUNC_ABORT;
    return s->sent++ == 0 ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

#define SET(opt, value) (rc = rc ? rc : curl_easy_setopt(s->easy, (opt), (value)))

static CURLcode
set_transport(struct slot *s)
{
    CURLcode rc = CURLE_OK;

    SET(CURLOPT_PROTOCOLS_STR, "https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PATH_AS_IS, 1L); /* an SAE ID may be ".." */
    SET(CURLOPT_MAXCONNECTS, 1L);
    SET(CURLOPT_MAXAGE_CONN, s->e->keep_s);
    SET(CURLOPT_MAXLIFETIME_CONN, LIFE_MAX_S);
    SET(CURLOPT_PROXY, s->e->proxy ? s->e->proxy : "");
    SET(CURLOPT_NOPROXY, s->e->proxy ? "" : "*"); /* never from the environment */
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
    SET(CURLOPT_QUICK_EXIT, 1L); /* do not wait for a name server when the call is given up */
#endif
    SET(CURLOPT_ERRORBUFFER, s->err_text);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, s);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, s);
    SET(CURLOPT_SOCKOPTFUNCTION, on_socket);
    SET(CURLOPT_SOCKOPTDATA, s);
    SET(CURLOPT_PREREQFUNCTION, on_send);
    SET(CURLOPT_PREREQDATA, s);
    return rc;
}

static CURLcode
set_tls(struct slot *s)
{
    struct curl_blob cert = {s->creds->cert.text, s->creds->cert.len, CURL_BLOB_NOCOPY};
    struct curl_blob ca = {s->creds->ca.text, s->creds->ca.len, CURL_BLOB_NOCOPY};
    CURLcode rc = CURLE_OK;

    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_CAINFO, (char *)NULL); /* the CA of the options, and none that the system trusts */
    SET(CURLOPT_CAPATH, (char *)NULL);
    SET(CURLOPT_CAINFO_BLOB, &ca);
    SET(CURLOPT_SSLCERT_BLOB, &cert);
    SET(CURLOPT_SSL_SESSIONID_CACHE, 0L); /* a session taken up again would be that of the old certificates */
    SET(CURLOPT_SSL_CTX_FUNCTION, tls_hook);
    SET(CURLOPT_SSL_CTX_DATA, s);
    return rc;
}

static void
slot_close(struct slot *s)
{
    curl_easy_cleanup(s->easy);
    if (s->multi)
        curl_multi_cleanup(s->multi);
    if (s->body) {
        explicit_bzero(s->body, BODY_MAX);
        munmap(s->body, BODY_MAX);
    }
    s->easy = NULL;
    s->multi = NULL;
    s->body = NULL;
    rkp_certs_unref(&s->e->certs, &s->creds);
}

static bool
slot_open(struct slot *s)
{
    void *body;

    s->fd = CURL_SOCKET_BAD;
    s->creds = rkp_certs_ref(&s->e->certs);
    body = mmap(NULL, BODY_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (body == MAP_FAILED) {
        rkp_certs_unref(&s->e->certs, &s->creds);
        return false;
    }
    s->body = body;
    /* Locking may fail for want of RLIMIT_MEMLOCK, as with the host's own secrets. */
    (void)mlock(body, BODY_MAX);
    (void)madvise(body, BODY_MAX, MADV_DONTDUMP);
    (void)madvise(body, BODY_MAX, MADV_WIPEONFORK);
    s->multi = curl_multi_init();
    s->easy = curl_easy_init();
    if (s->multi && s->easy && set_transport(s) == CURLE_OK && set_tls(s) == CURLE_OK)
        return true;
    slot_close(s);
    return false;
}

int
http_probe_open(struct etsi *e, struct rk_call *call, struct slot **s)
{
    *s = calloc(1, sizeof **s);
    if (*s)
        (*s)->e = e;
    if (*s && slot_open(*s))
        return RK_OK;
    free(*s);
    *s = NULL;
    return e->host->fail(call, RK_E_NOMEM, "out of memory for a connection to %s", e->base);
}

void
http_probe_close(struct slot **s)
{
    if (!*s)
        return;
    slot_close(*s);
    free(*s);
    *s = NULL;
}

int
http_open(struct etsi *e, struct rk_call *call, size_t n)
{
    const char *headers[] = {"Content-Type: application/json", "Expect:", "Accept: application/json",
                             "Cache-Control: no-store"};

    e->free_fd = eventfd((unsigned)n, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC);
    if (e->free_fd < 0)
        return e->host->fail(call, RK_E_IO, "no event descriptor: %s; raise LimitNOFILE", strerror(errno));
    if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, wiping_free, wiping_realloc, strdup, calloc) != CURLE_OK)
        return e->host->fail(call, RK_E_NOMEM, "libcurl does not start");
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        struct curl_slist *more = curl_slist_append(e->headers, headers[i]);

        if (!more)
            return e->host->fail(call, RK_E_NOMEM, "out of memory");
        e->headers = more;
    }
    for (size_t i = 0; i < n; i++) {
        e->slots[i].e = e;
        e->free_slots[e->n_free++] = (unsigned char)i;
    }
    /* One now, to fail early when this libcurl cannot do what is needed; the others when they are used. */
    if (!slot_open(&e->slots[n - 1]))
        return e->host->fail(call, RK_E_UNSUPPORTED,
                             "%s cannot do what is needed; install a libcurl built with OpenSSL", curl_version());
    return RK_OK;
}

void
http_close(struct etsi *e)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        if (e->slots[i].easy)
            slot_close(&e->slots[i]);
    curl_slist_free_all(e->headers);
    if (e->free_fd >= 0) {
        close(e->free_fd);
        curl_global_cleanup();
    }
}

/* Are the slot's connections made with certificates that were replaced?  Under e->lock. */
static bool
is_old(const struct slot *s)
{
    return s->easy && s->creds != s->e->certs.creds;
}

void
http_drop_old(void *arg)
{
    struct etsi *e = arg;

    pthread_mutex_lock(&e->lock);
    for (size_t i = 0; i < e->n_free; i++)
        if (is_old(&e->slots[e->free_slots[i]]))
            slot_close(&e->slots[e->free_slots[i]]);
    pthread_mutex_unlock(&e->lock);
}

/* Wait until a slot may be free, cancel, or the end of the budget. */
static int
wait_free(struct etsi *e, struct rk_call *call)
{
    struct pollfd fds[2] = {{.fd = e->free_fd, .events = POLLIN}, {.fd = e->host->cancel_fd(call), .events = POLLIN}};
    int left = e->host->left_ms(call);

    if (left <= 0)
        return e->host->fail(call, RK_E_TIMEOUT,
                             "%s: all connections were in use until the budget ended; "
                             "raise the option connections",
                             e->base);
    if (poll(fds, 2, left) < 0 && errno != EINTR)
        return e->host->fail(call, RK_E_IO, "poll: %s", strerror(errno));
    return fds[1].revents ? e->host->fail(call, RK_E_CANCELED, "%s: canceled before the request was sent", e->base)
                          : RK_OK;
}

int
http_take(struct etsi *e, struct rk_call *call, struct slot **out)
{
    struct slot *s;
    uint64_t one;
    int err;

    rkp_certs_look(&e->certs, call);
    while (read(e->free_fd, &one, sizeof one) != sizeof one)
        if ((err = wait_free(e, call)))
            return err;
    pthread_mutex_lock(&e->lock);
    s = &e->slots[e->free_slots[--e->n_free]];
    pthread_mutex_unlock(&e->lock);
    if (!s->easy && !slot_open(s)) {
        http_give(e, &s);
        return e->host->fail(call, RK_E_NOMEM, "out of memory for a connection to %s", e->base);
    }
    *out = s;
    return RK_OK;
}

void
http_give(struct etsi *e, struct slot **s)
{
    const uint64_t one = 1;

    if (!*s)
        return;
    if ((*s)->body)
        explicit_bzero((*s)->body, BODY_MAX);
    pthread_mutex_lock(&e->lock);
    if (is_old(*s))
        slot_close(*s);
    e->free_slots[e->n_free++] = (unsigned char)(*s - e->slots);
    pthread_mutex_unlock(&e->lock);
    *s = NULL;
    /* cannot fail: the count never passes the number of slots */
    (void)!write(e->free_fd, &one, sizeof one);
}

static CURLcode
set_request(struct slot *s, const struct request *q)
{
    CURLcode rc = CURLE_OK;
    char url[URL_MAX];

    s->body_len = s->header_len = 0;
    s->too_long = s->wrong_kme = s->dead = s->said_alert = s->shaken = false;
    s->sent = 0;
    s->verify_err = 0;
    s->alert = -1;
    s->err_text[0] = '\0';
    /* q->url begins with e->base; another URL of the list may stand in its place */
    if (snprintf(url, sizeof url, "%s%s", s->base, q->url + strlen(s->e->base)) >= (int)sizeof url)
        return CURLE_URL_MALFORMAT;
    SET(CURLOPT_URL, url);
    /* the first two are for a body */
    SET(CURLOPT_HTTPHEADER, q->post ? s->e->headers : s->e->headers->next->next);
    if (q->post) {
        SET(CURLOPT_POSTFIELDS, q->post);
        SET(CURLOPT_POSTFIELDSIZE, (long)strlen(q->post));
    } else {
        SET(CURLOPT_HTTPGET, 1L);
    }
    return rc;
}

struct transfer {
    struct slot *s;
    struct rk_call *call;
    CURLcode result;
    size_t urls_left; /* that may be asked after this one */
    int stopped;      /* RK_OK, RK_E_TIMEOUT, RK_E_CANCELED: why it was given up */
};

/* Run the transfer until it is done, canceled or out of budget. */
static void
run(struct transfer *t)
{
    const struct rk_host *host = t->s->e->host;
    struct curl_waitfd cancel = {.fd = host->cancel_fd(t->call), .events = CURL_WAIT_POLLIN};

    for (;;) {
        int running = 0, more, left;
        CURLMsg *msg;

        if (curl_multi_perform(t->s->multi, &running) != CURLM_OK)
            return;
        while ((msg = curl_multi_info_read(t->s->multi, &more)))
            if (msg->msg == CURLMSG_DONE) {
                t->result = msg->data.result;
                return;
            }
        left = host->left_ms(t->call);
        t->stopped = cancel.revents ? RK_E_CANCELED : left <= 0 ? RK_E_TIMEOUT : RK_OK;
        if (t->stopped || curl_multi_poll(t->s->multi, &cancel, 1, left, NULL) != CURLM_OK)
            return;
    }
}

/* With the private key at hand: libcurl keeps no copy of it, OpenSSL does while a connection is open. */
static int
run_with_key(const unsigned char *bytes, size_t len, void *arg)
{
    struct transfer *t = arg;
    struct curl_blob key = {(void *)(uintptr_t)bytes, len, CURL_BLOB_NOCOPY};

    if (curl_easy_setopt(t->s->easy, CURLOPT_SSLKEY_BLOB, &key) != CURLE_OK ||
        curl_multi_add_handle(t->s->multi, t->s->easy) != CURLM_OK)
        return RK_E_NOMEM;
    run(t);
    curl_multi_remove_handle(t->s->multi, t->s->easy);
    curl_easy_setopt(t->s->easy, CURLOPT_SSLKEY_BLOB, (void *)NULL);
    return RK_OK;
}

/* The URLs that are left, should this one not answer, get their share of the budget.  The last one has the rest, whose
 * end is that of the call. */
static long
connect_ms(const struct transfer *t)
{
    const struct etsi *e = t->s->e;
    int share = e->host->left_ms(t->call) / (int)(t->urls_left + 1);

    if (t->urls_left == 0)
        return e->connect_ms;
    return share < 1 ? 1L : share < e->connect_ms ? share : e->connect_ms;
}

static int
send_once(struct transfer *t, const struct request *q, bool fresh)
{
    struct slot *s = t->s;

    if (set_request(s, q) != CURLE_OK || curl_easy_setopt(s->easy, CURLOPT_FRESH_CONNECT, (long)fresh) != CURLE_OK ||
        curl_easy_setopt(s->easy, CURLOPT_CONNECTTIMEOUT_MS, connect_ms(t)) != CURLE_OK)
        return RK_E_NOMEM;
    return s->e->host->secret_use(s->creds->key, run_with_key, t);
}

/* The transfer ended before the request was sent: nothing was done. */
static int
not_sent(const struct transfer *t)
{
    struct etsi *e = t->s->e;
    const char *why = t->s->dead          ? "the KME closed it after the TLS handshake"
                      : t->s->err_text[0] ? t->s->err_text
                                          : curl_easy_strerror(t->result);
    int err = tls_failed(t->s, t->call, t->result);

    if (err)
        return err;
    if (t->stopped == RK_E_CANCELED)
        return e->host->fail(t->call, RK_E_CANCELED, "%s: canceled before the request was sent", t->s->base);
    if (t->stopped == RK_E_TIMEOUT)
        return e->host->fail(t->call, RK_E_TIMEOUT, "%s: no connection until the budget ended", t->s->base);
    return e->host->fail(t->call, RK_E_UNREACHABLE, "%s: no connection: %s; check url, the KME and the network",
                         t->s->base, why);
}

/* It was sent, but no whole answer was seen. */
static int
no_answer(const struct transfer *t, const struct request *q)
{
    struct etsi *e = t->s->e;
    const char *why = t->stopped == RK_E_CANCELED  ? "canceled"
                      : t->stopped == RK_E_TIMEOUT ? "the budget ended"
                      : t->s->sent > 1             ? "the connection died, and a request is not sent twice"
                      : t->s->err_text[0]          ? t->s->err_text
                                                   : curl_easy_strerror(t->result);
    int err = q->what != STATUS ? RK_E_UNKNOWN : t->stopped ? t->stopped : RK_E_UNREACHABLE;

    return e->host->fail(t->call, err, "%s: %s was sent and no whole answer came: %s", t->s->base, what_name(q->what),
                         why);
}

int
http_try(struct slot *s, struct rk_call *call, const struct request *q, long *http, size_t urls_left)
{
    struct transfer t = {.s = s, .call = call, .result = CURLE_FAILED_INIT, .urls_left = urls_left};
    int err;

    *http = 0;
    err = send_once(&t, q, false);
    if (!err && s->dead && !is_new(s)) /* it was kept for too long; nothing was sent on it */
        err = send_once(&t, q, true);
    if (err)
        return s->e->host->fail(call, err, "out of memory for a request to %s", s->base);
    if (t.result == CURLE_OK && !t.stopped) {
        curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, http);
        return RK_OK;
    }
    if (s->too_long)
        return s->e->host->fail(call, RK_E_PROTOCOL, "%s: the answer to %s is longer than %d bytes", s->base,
                                what_name(q->what), BODY_MAX);
    if (s->sent == 0)
        return not_sent(&t);
    err = s->header_len == 0 ? tls_failed(s, call, CURLE_OK) : RK_OK;
    return err ? err : no_answer(&t, q);
}
