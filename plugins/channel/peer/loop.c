/* loop.c - the event loop of an instance, its clock, and what has come in.
 *
 * It runs in watch, and only there; between two of them the kernel keeps what comes.  publish and attach change what is
 * under hub.lock and wake it.
 */
#include "peer.h"

#include <event2/event.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define TICK_MS 1000
#define UNKNOWN_MAX 64     /* connections before their handshake is done */
#define OF_PEER_MAX 2      /* of each peer: one in use, and the one that takes its place */
#define IDLE_MS 90000      /* more than two heartbeats of any length */
#define WORDS_EVERY_MS 2000 /* words on refusals */

int64_t
hub_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- inbox ---- */

size_t
inbox_room(const struct hub *h)
{
    return INBOX_MAX - h->inbox_n;
}

void
inbox_put(struct hub *h, const struct rk_post *post)
{
    h->inbox[(h->inbox_at + h->inbox_n) % INBOX_MAX] = *post;
    h->inbox_n++;
}

void
hub_refused(struct hub *h, const char *who, const char *why)
{
    struct rk_post post = {.err = RK_OK};
    int64_t now = hub_now_ms();

    h->words_left_out++;
    if (inbox_room(h) == 0 || (h->words_ms && now - h->words_ms < WORDS_EVERY_MS))
        return;
    snprintf(post.record, sizeof post.record, "a request or connection refused: %.64s: %.110s (%u since the last word)",
             who, why, h->words_left_out);
    inbox_put(h, &post);
    h->words_ms = now;
    h->words_left_out = 0;
}

/* ---- events ---- */

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct hub *h = arg;
    uint64_t n;

    (void)what;
    (void)!read((int)fd, &n, sizeof n);
    for (size_t i = 0; i < h->n_remotes; i++)
        client_go(&h->remotes[i]);
}

/* New certificates: new connections, one after the other. */
static void
renew(struct hub *h)
{
    const char *why = "";
    struct rkp_trust *t = rkp_trust_of(h->host, &h->certs, &why);

    if (!t) {
        h->host->log(h->call, RK_LOG_WARNING, "ev=certificate res=refused why=\"%s\" do=\"the old ones stay in use\"",
                     why);
        return;
    }
    rkp_trust_unref(&h->trust);
    h->trust = t;
    h->ends_new = true;
    rkp_https_renew(h->server, t);
    for (size_t i = 0; i < h->n_remotes; i++)
        client_renew(&h->remotes[i]);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct hub *h = arg;
    bool renewed;

    (void)fd;
    (void)what;
    rkp_certs_look(&h->certs, h->call);
    pthread_mutex_lock(&h->lock);
    renewed = h->renewed;
    h->renewed = false;
    pthread_mutex_unlock(&h->lock);
    if (renewed)
        renew(h);
    rkp_https_open(h->server);
}

static void
stop(evutil_socket_t fd, short what, void *arg)
{
    struct hub *h = arg;

    (void)fd;
    (void)what;
    event_base_loopbreak(h->base);
}

void
loop_wake(struct hub *h)
{
    const uint64_t one = 1;

    (void)!write(h->wake_fd, &one, sizeof one); /* it is full: it is awake */
}

/* ---- run ---- */

static void
tell_ends(struct hub *h)
{
    if (!h->ends_new || !rkp_certs_can_tell(&h->certs))
        return;
    h->ends_new = false;
    rkp_certs_tell_ends(&h->certs, h->call);
    for (size_t i = 0; i < h->n_remotes; i++) {
        const struct remote *r = &h->remotes[i];
        char what[RK_SAE_MAX + 32];

        snprintf(what, sizeof what, "the certificate of the peer %s", r->sae);
        if (r->shake.ends_s)
            h->host->expires(h->call, what, r->shake.ends_s);
    }
}

/* All that waits, and then what comes, until there is news. */
static int
turn(struct hub *h, int left_ms, int cancel_fd)
{
    const struct timeval after = {left_ms / 1000, left_ms % 1000 * 1000};
    struct event *end = event_new(h->base, -1, 0, stop, h),
                 *cancel = event_new(h->base, cancel_fd, EV_READ, stop, h);
    int err = end && cancel && event_add(end, &after) == 0 && (cancel_fd < 0 || event_add(cancel, NULL) == 0)
                  ? RK_OK : RK_E_NOMEM;

    if (!err)
        event_base_loop(h->base, EVLOOP_NONBLOCK);
    while (!err && h->inbox_n == 0 && !event_base_got_break(h->base))
        if (event_base_loop(h->base, EVLOOP_ONCE) < 0)
            err = RK_E_IO;
    if (end)
        event_free(end);
    if (cancel)
        event_free(cancel);
    return err;
}

int
loop_run(struct hub *h, struct rk_call *call, int most_ms)
{
    int left = h->host->left_ms(call), err;

    left = most_ms >= 0 && most_ms < left ? most_ms : left;
    h->call = call;
    rkp_https_open(h->server);
    err = turn(h, left > 0 ? left : 0, h->host->cancel_fd(call));
    tell_ends(h);
    h->call = NULL;
    return err ? h->host->fail(call, err, "the event loop fails: out of memory or descriptors") : RK_OK;
}

/* ---- begin and end ---- */

static void
on_refused(void *hub, const char *who, const char *why)
{
    hub_refused(hub, who, why);
}

static const char *
name_of(void *hub, const void *client)
{
    const struct remote *r = client;

    (void)hub;
    return r->sae;
}

static void
on_listening(void *hub, const char *error)
{
    struct hub *h = hub;
    bool is_new;

    pthread_mutex_lock(&h->lock);
    h->listening = error[0] == '\0';
    is_new = strcmp(h->listen_error, error) != 0;
    snprintf(h->listen_error, sizeof h->listen_error, "%s", error);
    pthread_mutex_unlock(&h->lock);
    if (!error[0])
        h->host->log(h->call, RK_LOG_INFO, "ev=listen at=%s res=ok", h->listen);
    else if (is_new)
        h->host->log(h->call, RK_LOG_WARNING, "ev=listen at=%s res=io why=\"%s\"", h->listen, error);
}

static void
on_full(void *hub, const char *error)
{
    struct hub *h = hub;

    h->host->log(h->call, RK_LOG_WARNING, "ev=accept res=io why=\"%s\" do=\"raise LimitNOFILE\"", error);
}

static int
make_server(struct hub *h)
{
    static const char *const paths[] = {HEAD_PATH, NULL};
    const struct rkp_https_conf conf = {
        .listen = h->listen, .head = {paths, HEAD_TYPE, "Rekey-Session"}, .members = h->members,
        .not_named = not_of_the_peer, .body_max = BODY_MAX, .unknown_max = UNKNOWN_MAX, .of_each_max = OF_PEER_MAX,
        .idle_ms = IDLE_MS, .life_ms = 2 * LIFE_MAX_S * 1000, .arg = h, .whose = whose_certificate, .name = name_of,
        .request = take_request, .refused = on_refused, .listening = on_listening, .full = on_full,
    };

    snprintf(h->members, sizeof h->members, "Rekey-Session: %s\r\n", h->session);
    return rkp_https_new(&conf, h->base, h->trust, &h->server);
}

int
loop_open(struct hub *h, struct rk_call *call)
{
    static const struct timeval tick = {TICK_MS / 1000, 0};

    h->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (h->wake_fd < 0)
        return h->host->fail(call, RK_E_IO, "no event descriptor: %s; raise LimitNOFILE", strerror(errno));
    h->base = rkp_https_base();
    h->inbox = calloc(INBOX_MAX, sizeof *h->inbox);
    if (h->base) {
        h->wake = event_new(h->base, h->wake_fd, EV_READ | EV_PERSIST, on_wake, h);
        h->tick = event_new(h->base, -1, EV_PERSIST, on_tick, h);
    }
    if (!h->wake || !h->tick || !h->inbox || event_add(h->wake, NULL) < 0 || event_add(h->tick, &tick) < 0 ||
        make_server(h) != RK_OK)
        return h->host->fail(call, RK_E_NOMEM, "out of memory, or of descriptors, for the event loop");
    return RK_OK;
}

void
loop_close(struct hub *h)
{
    if (h->wake)
        event_free(h->wake);
    if (h->tick)
        event_free(h->tick);
    if (h->base)
        event_base_free(h->base);
    if (h->wake_fd >= 0)
        close(h->wake_fd);
    free(h->inbox);
}
