/* hub.c - a listener that many routers share: its options, its certificates, its thread.
 *
 * Instances of one process with the same listen, cert, key and ca share one, which is made by the first and ended by
 * the last.  Its thread runs the event loop; it blocks all signals, never waits for a call, and holds the lock only for
 * as long as it looks at a router.
 */
#include "shim.h"

#include <event2/event.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define TICK_MS 250
#define UNKNOWN_MAX 1024 /* connections before their handshake is done: routers come at the same second of a minute */
#define OF_ROUTER_MAX 4  /* connections of each router: of runs that overlap */
#define IDLE_MS 90000
#define LIFE_MS (3600 * 1000)
#define BODIES_MAX (64u * 1024 * 1024) /* of all requests that come in at once [bytes] */

static pthread_mutex_t hubs_lock = PTHREAD_MUTEX_INITIALIZER;
static struct je_hub *hubs;

/* ---- names ---- */

static struct je_router **
bucket_of(struct je_hub *h, const char *name, size_t len)
{
    uint32_t sum = 2166136261u;

    for (size_t i = 0; i < len; i++)
        sum = (sum ^ (unsigned char)name[i]) * 16777619u;
    return &h->router[sum & (JE_BUCKETS - 1)];
}

static struct je_router *
find(struct je_hub *h, const char *name, size_t len)
{
    for (struct je_router *r = *bucket_of(h, name, len); r; r = r->next)
        if (strlen(r->router) == len && memcmp(r->router, name, len) == 0)
            return r;
    return NULL;
}

struct named {
    struct je_hub *hub;
    struct je_router *r;
    bool several;
};

static void
on_name(void *arg, const char *name, size_t len)
{
    struct named *n = arg;
    struct je_router *r = find(n->hub, name, len);

    n->several |= r && n->r && r != n->r; /* one name twice, as CN and alternative name, is one router */
    n->r = r ? r : n->r;
}

/* A certificate with the names of two routers would let one speak for the other. */
static void *
whose(void *hub, X509 *cert)
{
    struct named n = {.hub = hub};

    pthread_mutex_lock(&n.hub->lock);
    rkp_cert_each_name(cert, on_name, &n);
    if (n.several || (n.r && n.r->leaving))
        n.r = NULL;
    if (n.r) {
        int64_t ends_s = rkp_cert_ends_s(cert);

        n.r->cert_new |= n.r->cert_ends_s != ends_s;
        n.r->cert_ends_s = ends_s;
    }
    pthread_mutex_unlock(&n.hub->lock);
    return n.r;
}

static const char *
name_of(void *hub, const void *client)
{
    const struct je_router *r = client;

    (void)hub;
    return r->router;
}

/* ---- what the log says ---- */

void
je_hub_refused(struct je_hub *h, struct je_router *r, const char *who, const char *why)
{
    int64_t now_ms = jn_now_ms(), *said_ms = r ? &r->words_ms : &h->words_ms;
    unsigned *n = r ? &r->refused : &h->strangers;

    ++*n;
    if (*said_ms && now_ms - *said_ms < JE_WORDS_MS)
        return;
    h->host->log(NULL, RK_LOG_WARNING, "ev=shim at=%s router=%.64s res=refused n=%u why=\"%.120s\"", h->listen, who, *n,
                 why);
    *said_ms = now_ms;
    *n = 0;
}

static void
on_refused(void *hub, const char *who, const char *why)
{
    struct je_hub *h = hub;

    pthread_mutex_lock(&h->lock);
    je_hub_refused(h, find(h, who, strlen(who)), who, why);
    pthread_mutex_unlock(&h->lock);
}

static void
on_listening(void *hub, const char *error)
{
    struct je_hub *h = hub;
    bool is_new;

    pthread_mutex_lock(&h->lock);
    is_new = strcmp(h->listen_error, error) != 0;
    snprintf(h->listen_error, sizeof h->listen_error, "%s", error);
    pthread_mutex_unlock(&h->lock);
    if (!error[0])
        h->host->log(NULL, RK_LOG_INFO, "ev=listen at=%s res=ok", h->listen);
    else if (is_new)
        h->host->log(NULL, RK_LOG_WARNING, "ev=listen at=%s res=io why=\"%s\"", h->listen, error);
}

static void
on_full(void *hub, const char *error)
{
    struct je_hub *h = hub;

    h->host->log(NULL, RK_LOG_WARNING, "ev=accept at=%s res=io why=\"%s\" do=\"raise LimitNOFILE\"", h->listen, error);
}

/* ---- the loop ---- */

static void
renew(struct je_hub *h)
{
    const char *why = "";
    struct rkp_trust *t = rkp_trust_of(h->host, &h->certs, &why);

    if (!t) {
        h->host->log(NULL, RK_LOG_WARNING, "ev=certificate at=%s res=refused why=\"%s\" do=\"the old ones stay in "
                     "use\"", h->listen, why);
        return;
    }
    rkp_trust_unref(&h->trust);
    h->trust = t;
    rkp_https_renew(h->server, t);
}

/* Instances that end have no connection any more, and none may look at them after this.   ret: the next one */
static struct je_router *
leaving(struct je_hub *h)
{
    for (size_t i = 0; i < JE_BUCKETS; i++)
        for (struct je_router *r = h->router[i]; r; r = r->next)
            if (r->leaving)
                return r;
    return NULL;
}

static void
unlink_router(struct je_hub *h, struct je_router *r)
{
    struct je_router **at = bucket_of(h, r->router, strlen(r->router));

    while (*at && *at != r)
        at = &(*at)->next;
    if (*at)
        *at = r->next;
    h->n_routers--;
    for (at = &h->due; *at && *at != r; at = &(*at)->next_due)
        ;
    if (*at)
        *at = r->next_due;
    if (h->teller == r)
        h->teller = NULL;
    r->leaving = false;
}

static void
let_go(struct je_hub *h)
{
    struct je_router *r;

    while ((r = leaving(h))) {
        pthread_mutex_unlock(&h->lock);
        rkp_https_drop(h->server, r);
        pthread_mutex_lock(&h->lock);
        unlink_router(h, r);
        pthread_cond_broadcast(&h->left);
    }
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct je_hub *h = arg;
    uint64_t n;
    bool renewed;

    (void)what;
    (void)!read((int)fd, &n, sizeof n);
    pthread_mutex_lock(&h->lock);
    renewed = h->renewed;
    h->renewed = false;
    let_go(h);
    je_give_due(h);
    if (h->ending)
        event_base_loopbreak(h->base);
    pthread_mutex_unlock(&h->lock);
    if (renewed)
        renew(h);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct je_hub *h = arg;

    (void)fd;
    (void)what;
    rkp_https_open(h->server);
    pthread_mutex_lock(&h->lock);
    je_end_polls(h, jn_now_ms());
    pthread_mutex_unlock(&h->lock);
}

static void *
run(void *arg)
{
    struct je_hub *h = arg;

    rkp_https_open(h->server);
    (void)event_base_loop(h->base, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

void
je_hub_wake(struct je_hub *h)
{
    const uint64_t one = 1;

    (void)!write(h->wake_fd, &one, sizeof one); /* it is full: it is awake */
}

/* ---- certificates ---- */

static void
on_renewed(void *arg)
{
    struct je_hub *h = arg;

    pthread_mutex_lock(&h->lock);
    h->renewed = h->ends_new = true;
    pthread_mutex_unlock(&h->lock);
    je_hub_wake(h);
}

/* One of the routers tells of the listener's certificate, and each of its own. */
void
je_hub_look(struct je_router *r, struct rk_call *call)
{
    struct je_hub *h = r->hub;
    char what[RK_WHY_MAX];
    bool tells, ours;
    int64_t ends_s;

    rkp_certs_look(&h->certs, call);
    pthread_mutex_lock(&h->lock);
    if (!h->teller)
        h->ends_new = true;
    h->teller = h->teller ? h->teller : r;
    ours = h->teller == r;
    tells = r->cert_new || (ours && h->ends_new);
    ends_s = r->cert_ends_s;
    if (tells && rkp_certs_can_tell(&h->certs)) {
        r->cert_new = false;
        h->ends_new = ours ? false : h->ends_new;
    }
    pthread_mutex_unlock(&h->lock);
    if (!tells || !rkp_certs_can_tell(&h->certs))
        return;
    if (ours)
        rkp_certs_tell_ends(&h->certs, call);
    snprintf(what, sizeof what, "the certificate of the router %.100s", r->router);
    if (ends_s)
        h->host->expires(call, what, ends_s);
}

/* ---- begin and end ---- */

static int
make_server(struct je_hub *h)
{
    const struct rkp_https_conf conf = {
        .listen = h->listen, .head = {je_paths, "application/json", NULL}, .members = "",
        .not_named = "the certificate names no router of this listener, or several (CN or alternative name)",
        .tells = true, .body_max = JE_BODY_MAX, .bodies_max = BODIES_MAX, .unknown_max = UNKNOWN_MAX,
        .of_each_max = OF_ROUTER_MAX, .idle_ms = IDLE_MS, .life_ms = LIFE_MS, .arg = h, .whose = whose,
        .name = name_of, .request = je_serve, .gone = je_gone, .refused = on_refused, .listening = on_listening,
        .full = on_full,
    };

    return rkp_https_new(&conf, h->base, h->trust, &h->server);
}

static int
open_loop(struct je_hub *h, struct rk_call *call)
{
    static const struct timeval tick = {0, TICK_MS * 1000};

    h->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    h->base = h->wake_fd >= 0 ? rkp_https_base() : NULL;
    if (h->base) {
        h->wake = event_new(h->base, h->wake_fd, EV_READ | EV_PERSIST, on_wake, h);
        h->tick = event_new(h->base, -1, EV_PERSIST, on_tick, h);
    }
    if (!h->wake || !h->tick || event_add(h->wake, NULL) < 0 || event_add(h->tick, &tick) < 0 ||
        make_server(h) != RK_OK)
        return h->host->fail(call, RK_E_NOMEM, "out of memory, or of descriptors, for the event loop");
    return RK_OK;
}

/* Signals are for the host's own threads. */
static int
start(struct je_hub *h, struct rk_call *call)
{
    sigset_t all, old;
    int err;

    sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &old);
    err = pthread_create(&h->thread, NULL, run, h);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    h->running = err == 0;
    return err ? h->host->fail(call, RK_E_NOMEM, "no thread for the listener: %s", strerror(err)) : RK_OK;
}

static void
free_hub(struct je_hub *h)
{
    if (h->running) {
        pthread_mutex_lock(&h->lock);
        h->ending = true;
        pthread_mutex_unlock(&h->lock);
        je_hub_wake(h);
        (void)pthread_join(h->thread, NULL);
    }
    rkp_https_free(&h->server);
    if (h->wake)
        event_free(h->wake);
    if (h->tick)
        event_free(h->tick);
    if (h->base)
        event_base_free(h->base);
    if (h->wake_fd >= 0)
        close(h->wake_fd);
    rkp_trust_unref(&h->trust);
    rkp_certs_close(&h->certs);
    pthread_cond_destroy(&h->left);
    pthread_mutex_destroy(&h->lock);
    free(h->listen);
    free(h);
}

static int
open_hub(struct je_hub *h, struct rk_call *call, const struct rk_conf *conf)
{
    const char *listen = h->host->conf_str(conf, "listen"), *why = "";
    int err;

    h->listen = strdup(listen ? listen : "");
    if (!h->listen)
        return h->host->fail(call, RK_E_NOMEM, "out of memory");
    if (!rkp_https_listen_ok(h->listen))
        return h->host->fail(call, RK_E_CONFIG, "listen: %s: wanted is an address with a port, as 0.0.0.0:8480",
                             h->listen);
    err = rkp_certs_open(&h->certs, call, conf);
    if (!err && !(h->trust = rkp_trust_new(h->host, h->certs.creds, &why)))
        err = h->host->fail(call, RK_E_CONFIG, "cert: %s: %s", h->certs.cert_path, why);
    err = err ? err : open_loop(h, call);
    return err ? err : start(h, call);
}

static int
new_hub(const struct rk_host *host, struct rk_call *call, const struct rk_conf *conf, struct je_hub **out)
{
    struct je_hub *h = calloc(1, sizeof *h);
    int err;

    if (!h)
        return host->fail(call, RK_E_NOMEM, "out of memory");
    h->host = host;
    h->wake_fd = -1;
    h->ends_new = true;
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->left, NULL);
    snprintf(h->listen_error, sizeof h->listen_error, "it begins");
    h->certs.host = host;
    h->certs.lock = &h->lock;
    h->certs.renewed = on_renewed;
    h->certs.arg = h;
    err = open_hub(h, call, conf);
    if (err)
        free_hub(h);
    else
        *out = h;
    return err;
}

/* ---- instances ---- */

static bool
same(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

/* With other certificates it is another listener: it waits until the port is free, as after a change of options. */
static bool
fits(const struct je_hub *h, const struct rk_conf *conf)
{
    return same(h->listen, h->host->conf_str(conf, "listen")) &&
           same(h->certs.cert_path, h->host->conf_str(conf, "cert")) &&
           same(h->certs.ca_path, h->host->conf_str(conf, "ca")) &&
           same(h->certs.key_value, h->host->conf_str(conf, "key"));
}

/* The same device may be there twice for a moment, when its options have changed: the newer one is found first. */
static int
enter(struct je_hub *h, struct je_router *r, struct rk_call *call)
{
    struct je_router **bucket = bucket_of(h, r->router, strlen(r->router)), *other;
    char name[64] = "";

    pthread_mutex_lock(&h->lock);
    other = find(h, r->router, strlen(r->router));
    if (other && !other->leaving && strcmp(other->d.opt.name, r->d.opt.name) != 0) {
        snprintf(name, sizeof name, "%s", other->d.opt.name);
    } else {
        r->next = *bucket;
        *bucket = r;
        h->n_routers++;
    }
    pthread_mutex_unlock(&h->lock);
    if (name[0])
        return h->host->fail(call, RK_E_CONFIG, "router: %s is that of the device %s already; each router has a "
                             "certificate with a name of its own", r->router, name);
    h->refs++;
    r->hub = h;
    return RK_OK;
}

int
je_hub_join(struct je_router *r, struct rk_call *call, const struct rk_conf *conf)
{
    struct je_hub *h;
    int err = RK_OK;

    pthread_mutex_lock(&hubs_lock);
    if (!hubs)
        je_memory();
    for (h = hubs; h && !fits(h, conf); h = h->next)
        ;
    if (!h) {
        err = new_hub(r->d.host, call, conf, &h);
        if (!err) {
            h->next = hubs;
            hubs = h;
        }
    }
    if (!err)
        err = enter(h, r, call);
    pthread_mutex_unlock(&hubs_lock);
    return err;
}

static void
end_hub(struct je_hub *h)
{
    struct je_hub **at = &hubs;

    while (*at != h)
        at = &(*at)->next;
    *at = h->next;
    free_hub(h);
}

void
je_hub_leave(struct je_router *r)
{
    struct je_hub *h = r->hub;

    pthread_mutex_lock(&hubs_lock);
    pthread_mutex_lock(&h->lock);
    r->leaving = true;
    pthread_mutex_unlock(&h->lock);
    je_hub_wake(h);
    pthread_mutex_lock(&h->lock);
    while (r->leaving)
        pthread_cond_wait(&h->left, &h->lock);
    pthread_mutex_unlock(&h->lock);
    if (--h->refs == 0)
        end_hub(h);
    pthread_mutex_unlock(&hubs_lock);
}
