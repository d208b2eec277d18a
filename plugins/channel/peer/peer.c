/* peer.c - channel "peer": each site's rekeyd sends its records to the other's, over HTTPS with certificates on both
 * sides.
 *
 * Owns the options and the life of an instance, which is one listener and its peers.  Runs in rekey-host: publish and
 * attach change the table of links and return; watch runs the loop that sends and receives.  It starts no thread, and
 * writes to nothing but its sockets.
 */
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOT_LISTENING_MS 1000 /* how long a watch goes on without the listener before it says so */

static const char *const schemes[] = {"https", NULL};

static const struct rk_opt options[] = {
    {.name = "listen", .type = RK_OPT_STRING, .flags = RK_OPT_REQUIRED, .min = 1, .max = 80,
     .help = "address and port on which peers are heard, as 0.0.0.0:8470 or [::]:8470"},
    {.name = "cert", .type = RK_OPT_PATH, .flags = RK_OPT_REQUIRED,
     .help = "PEM file with this SAE's certificate, then any intermediate ones"},
    {.name = "key", .type = RK_OPT_SECRET, .flags = RK_OPT_REQUIRED,
     .help = "PEM file with the certificate's private key, without passphrase"},
    {.name = "ca", .type = RK_OPT_PATH, .flags = RK_OPT_REQUIRED,
     .help = "PEM file with the CA certificates that the peers' certificates must come from"},
    {.name = "url", .type = RK_OPT_URL, .flags = RK_OPT_ONE_OF, .choices = schemes,
     .help = "the one peer, as https://host:port; its SAE ID is that of the links"},
    {.name = "peers", .type = RK_OPT_STRING, .flags = RK_OPT_LIST | RK_OPT_ONE_OF, .min = 1, .max = 400,
     .help = "several peers, each as \"SAE_B https://host:port\""},
    {.name = "connect-timeout", .type = RK_OPT_DURATION, .min = 100, .max = 60000, .dflt = "2s",
     .help = "longest wait for a connection with its TLS handshake"},
    {.name = "request-timeout", .type = RK_OPT_DURATION, .min = 100, .max = 60000, .dflt = "3s",
     .help = "longest wait for the answer to a request"},
    {.name = "heartbeat", .type = RK_OPT_DURATION, .min = 500, .max = 30000, .dflt = "5s",
     .help = "how often a request is sent though there is no record to send"},
    {.name = "backoff-max", .type = RK_OPT_DURATION, .min = 100, .max = 60000, .dflt = "2s",
     .help = "longest pause until a peer that is away is tried again"},
    {.name = NULL},
};

/* ---- options ---- */

static char *
joined(const char *base, const char *path)
{
    char *text;

    return asprintf(&text, "%s%s", base, path) < 0 ? NULL : text;
}

static int
check_url(struct hub *h, struct rk_call *call, const char *url)
{
    static const CURLUPart unwanted[] = {CURLUPART_QUERY, CURLUPART_FRAGMENT, CURLUPART_USER};
    CURLU *u = curl_url();
    char *part = NULL;
    int err = u ? RK_OK : h->host->fail(call, RK_E_NOMEM, "out of memory");

    if (u && (curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK || strncasecmp(url, "https://", 8) != 0))
        err = h->host->fail(call, RK_E_CONFIG, "%s: not a URL as https://host:port", url);
    for (size_t i = 0; !err && i < sizeof unwanted / sizeof unwanted[0]; i++)
        if (curl_url_get(u, unwanted[i], &part, 0) == CURLUE_OK) {
            curl_free(part);
            err = h->host->fail(call, RK_E_CONFIG, "a user, '?' or '#' has no place in the URL of a peer; give "
                                                   "https://host:port");
        }
    curl_url_cleanup(u);
    return err;
}

static int
add_remote(struct hub *h, struct rk_call *call, const char *sae, const char *url)
{
    struct remote *r = &h->remotes[h->n_remotes];
    size_t len = strlen(url);
    int err = check_url(h, call, url);

    if (err)
        return err;
    while (len > 0 && url[len - 1] == '/')
        len--;
    strcpy(r->sae, sae);
    r->hub = h;
    r->due_end = &r->due;
    h->n_remotes++; /* freed from here on */
    r->url = strndup(url, len);
    r->records_url = r->url ? joined(r->url, HEAD_PATH) : NULL;
    if (!r->records_url)
        return h->host->fail(call, RK_E_NOMEM, "out of memory");
    for (size_t i = 0; i + 1 < h->n_remotes; i++)
        if (strcmp(h->remotes[i].url, r->url) == 0)
            return h->host->fail(call, RK_E_CONFIG, "peers: %s stands there twice; each peer has a URL of its own",
                                 r->url);
    return RK_OK;
}

static bool
sae_ok(const char *sae)
{
    size_t n = 0;

    while (sae[n] > ' ' && sae[n] <= '~' && sae[n] != '/' && sae[n] != '|')
        n++;
    return !sae[n] && n > 0 && n <= RK_SAE_MAX;
}

/* "SAE_B https://host:port" */
static int
add_peer(struct hub *h, struct rk_call *call, const char *item)
{
    size_t len = strcspn(item, " \t");
    const char *url = item + len + strspn(item + len, " \t");
    char sae[RK_SAE_MAX + 1] = "";

    if (len <= RK_SAE_MAX)
        memcpy(sae, item, len);
    if (!sae_ok(sae) || !url[0])
        return h->host->fail(call, RK_E_CONFIG, "peers: \"%.100s\": wanted is \"SAE_B https://host:port\"", item);
    if (remote_by_sae(h, sae))
        return h->host->fail(call, RK_E_CONFIG, "peers: %s stands there twice", sae);
    if (h->sae && strcmp(h->sae, sae) == 0)
        return h->host->fail(call, RK_E_CONFIG, "peers: %s is this site itself", sae);
    return add_remote(h, call, sae, url);
}

static size_t
count_items(const struct hub *h, const struct rk_conf *conf)
{
    size_t n = 0;

    while (n <= REMOTES_MAX && h->host->conf_item(conf, "peers", n))
        n++;
    return n;
}

static int
read_peers(struct hub *h, struct rk_call *call, const struct rk_conf *conf)
{
    const char *url = h->host->conf_str(conf, "url"), *item;
    size_t n = url ? 1 : count_items(h, conf);
    int err = RK_OK;

    if (n == 0 || n > REMOTES_MAX)
        return h->host->fail(call, RK_E_CONFIG, "peers: 1 to %d can be; more are for a second channel", REMOTES_MAX);
    h->remotes = calloc(n, sizeof *h->remotes);
    if (!h->remotes)
        return h->host->fail(call, RK_E_NOMEM, "out of memory");
    if (url)
        return add_remote(h, call, "", url);
    for (size_t i = 0; !err && i < n && (item = h->host->conf_item(conf, "peers", i)); i++)
        err = add_peer(h, call, item);
    return err;
}

static int
read_options(struct hub *h, struct rk_call *call, const struct rk_conf *conf)
{
    const char *listen = h->host->conf_str(conf, "listen"), *sae = h->host->conf_str(conf, RK_CONF_SAE);

    h->connect_ms = (int)h->host->conf_int(conf, "connect-timeout");
    h->request_ms = (int)h->host->conf_int(conf, "request-timeout");
    h->heartbeat_ms = (int)h->host->conf_int(conf, "heartbeat");
    h->backoff_ms = (int)h->host->conf_int(conf, "backoff-max");
    h->listen = strdup(listen ? listen : "");
    h->sae = sae ? strdup(sae) : NULL;
    if (!h->listen || (sae && !h->sae))
        return h->host->fail(call, RK_E_NOMEM, "out of memory");
    if (!rkp_https_listen_ok(h->listen))
        return h->host->fail(call, RK_E_CONFIG, "listen: %s: wanted is an address with a port, as 0.0.0.0:8470",
                             h->listen);
    return read_peers(h, call, conf);
}

/* ---- life ---- */

static void
on_renewed(void *arg)
{
    struct hub *h = arg;

    pthread_mutex_lock(&h->lock);
    h->renewed = true;
    pthread_mutex_unlock(&h->lock);
    loop_wake(h);
}

static void
peer_fini(void *inst)
{
    struct hub *h = inst;

    rkp_https_free(&h->server);
    for (size_t i = 0; i < h->n_remotes; i++)
        client_close(&h->remotes[i]);
    free(h->remotes);
    links_free(h);
    loop_close(h);
    rkp_trust_unref(&h->trust);
    rkp_certs_close(&h->certs);
    pthread_mutex_destroy(&h->lock);
    free(h->listen);
    free(h->sae);
    free(h);
    curl_global_cleanup();
}

static int
make_session(struct hub *h, struct rk_call *call)
{
    unsigned char bytes[SESSION_LEN / 2];

    if (h->host->random(bytes, sizeof bytes) != RK_OK)
        return h->host->fail(call, RK_E_IO, "the kernel gives no random numbers");
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(h->session + 2 * i, 3, "%02x", bytes[i]);
    return RK_OK;
}

static int
open_all(struct hub *h, struct rk_call *call, const struct rk_conf *conf)
{
    const char *why = "";
    int err = read_options(h, call, conf);

    err = err ? err : make_session(h, call);
    err = err ? err : rkp_certs_open(&h->certs, call, conf);
    if (!err && !(h->trust = rkp_trust_new(h->host, h->certs.creds, &why)))
        err = h->host->fail(call, RK_E_CONFIG, "cert: %s: %s", h->certs.cert_path, why);
    err = err ? err : loop_open(h, call);
    for (size_t i = 0; !err && i < h->n_remotes; i++)
        err = client_open(&h->remotes[i], call);
    return err;
}

static int
peer_init(const struct rk_host *host, struct rk_call *call, const struct rk_conf *conf, void **inst)
{
    struct hub *h = calloc(1, sizeof *h);
    int err;

    if (!h)
        return host->fail(call, RK_E_NOMEM, "out of memory");
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(h);
        return host->fail(call, RK_E_NOMEM, "libcurl does not start");
    }
    h->host = host;
    h->wake_fd = -1;
    h->ends_new = true;
    pthread_mutex_init(&h->lock, NULL);
    h->certs.host = host;
    h->certs.lock = &h->lock;
    h->certs.renewed = on_renewed;
    h->certs.arg = h;
    err = open_all(h, call, conf);
    if (err)
        peer_fini(h);
    else
        *inst = h;
    return err;
}

/* ---- links ---- */

/* Whose link is it?  With the option url there is one peer, and the first link tells its name. */
static struct remote *
whose(struct hub *h, const char *sae)
{
    struct remote *r = remote_by_sae(h, sae);

    if (r || h->remotes[0].sae[0] || !sae_ok(sae))
        return r;
    strcpy(h->remotes[0].sae, sae);
    return &h->remotes[0];
}

static int
no_peer(struct hub *h, struct rk_call *call, const char *link, const char *sae)
{
    return h->host->fail(call, RK_E_CONFIG, "link %s: its peer %s is no peer of this channel; add it to the option "
                                            "peers", link, sae);
}

static int
publish_one(struct hub *h, struct rk_call *call, const struct rk_post *post)
{
    struct remote *r;
    struct link *l;

    if (strnlen(post->link, sizeof post->link) > RK_LINK_MAX || !body_link_ok(post->link) ||
        strnlen(post->record, sizeof post->record) > RK_RECORD_MAX || !body_record_ok(post->record))
        return h->host->fail(call, RK_E_CONTRACT, "not a link name, or no record");
    r = whose(h, post->peer_sae);
    if (!r)
        return no_peer(h, call, post->link, post->peer_sae);
    l = link_make(h, post->link);
    if (!l || !link_record(l, post->record))
        return h->host->fail(call, RK_E_NOMEM, "out of memory");
    link_to(l, r);
    link_due(l);
    return RK_OK;
}

/* The record is this instance's to deliver from here on: it keeps it until the peer has it, and for one that starts
 * anew.  That the peer is away is no failure of this call, which would be repeated for each link every second. */
static int
peer_publish(void *inst, struct rk_call *call, struct rk_post *posts, size_t n)
{
    struct hub *h = inst;
    int first = RK_OK;

    pthread_mutex_lock(&h->lock);
    for (size_t i = 0; i < n; i++) {
        posts[i].err = publish_one(h, call, &posts[i]);
        first = first ? first : posts[i].err;
    }
    pthread_mutex_unlock(&h->lock);
    loop_wake(h);
    return first;
}

static int
peer_attach(void *inst, struct rk_call *call, const struct rk_attach *a)
{
    struct hub *h = inst;
    struct remote *r = NULL;
    struct link *l;
    int err = RK_OK;

    pthread_mutex_lock(&h->lock);
    h->attaching = true;
    l = link_find(h, a->link);
    if (a->on && !(r = whose(h, a->peer_sae)))
        err = no_peer(h, call, a->link, a->peer_sae);
    else if (a->on && (!body_link_ok(a->link) || !(l = link_make(h, a->link))))
        err = h->host->fail(call, RK_E_NOMEM, "link %s: no link name, or out of memory", a->link);
    if (l && err == RK_OK && a->on) {
        l->attached = true;
        link_to(l, r);
    } else if (l) {
        link_drop(h, l);
    }
    pthread_mutex_unlock(&h->lock);
    loop_wake(h);
    return err;
}

static int
peer_watch(void *inst, struct rk_call *call, struct rk_post *posts, size_t max, size_t *n)
{
    struct hub *h = inst;
    int err;

    *n = 0;
    if (max == 0 || max > WATCH_MAX)
        return h->host->fail(call, RK_E_CONTRACT, "watch for %zu records; 1 to %d can be", max, WATCH_MAX);
    err = loop_run(h, call, rkp_https_is_open(h->server) ? -1 : NOT_LISTENING_MS);
    for (; *n < max && h->inbox_n > 0; h->inbox_n--) {
        posts[(*n)++] = h->inbox[h->inbox_at];
        h->inbox_at = (h->inbox_at + 1) % INBOX_MAX;
    }
    if (!err && !rkp_https_is_open(h->server) && *n == 0)
        err = h->host->fail(call, RK_E_IO, "listen: %s: %s; is another program there, is it an address of this host?",
                            h->listen, h->listen_error);
    return err;
}

static const struct rk_channel_ops ops = {
    .size = sizeof ops,
    .publish = peer_publish,
    .watch = peer_watch,
    .attach = peer_attach,
    .test = peer_test,
};

extern const struct rk_plugin peer_LTX_rk_plugin;

__attribute__((visibility("default"))) const struct rk_plugin peer_LTX_rk_plugin = {
    RK_PLUGIN_HEAD(RK_CHANNEL, RK_CAP_NEEDS_NET),
    .name = "peer",
    .version = PACKAGE_VERSION,
    .summary = "records over HTTPS to the peer's rekeyd",
    .opts = options,
    .opt_size = sizeof(struct rk_opt),
    .init = peer_init,
    .fini = peer_fini,
    .ops = &ops,
};
