/* peer_rig.c - see peer_rig.h.  Test code: runs in the test's process. */
#include "peer_rig.h"
#include "free_port.h"

#include "etsi014_certs.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <time.h>
#include <cmocka.h>

#define WATCH_MS 300
#define PATIENCE_MS 20000
#define LOOK_NS 2000000

extern const struct rk_plugin peer_LTX_rk_plugin;

struct scratch rig_dir;

int
rig_begin(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN); /* as in a host */
    scratch_make(&rig_dir);
    return certs_make(rig_dir.dir);
}

int
rig_end(void **state)
{
    (void)state;
    scratch_remove(&rig_dir);
    return 0;
}

const char *
https(const char *sae, int port)
{
    static char texts[8][160];
    static unsigned next;
    char *text = texts[next++ % 8];

    snprintf(text, sizeof texts[0], "%s%shttps://127.0.0.1:%d", sae ? sae : "", sae ? " " : "", port);
    return text;
}

static const struct rk_channel_ops *
ops(void)
{
    return peer_LTX_rk_plugin.ops;
}

/* ---- life ---- */

int
site_try(struct site *s, struct rk_call *call, const struct site_want *want)
{
    const char *cert = want->cert ? want->cert : "sae", *pairs[40];
    char listen[40], pem[40], key[440];
    struct rk_conf conf = {pairs, peer_LTX_rk_plugin.opts};
    size_t n = 0;

    if (!s->port)
        s->port = free_port();
    snprintf(listen, sizeof listen, "127.0.0.1:%d", s->port);
    snprintf(pem, sizeof pem, "%s.key", cert);
    snprintf(key, sizeof key, "file:%s", scratch_path(&rig_dir, pem));
    snprintf(pem, sizeof pem, "%s.pem", cert);
#define ADD(name, value) (pairs[n++] = (name), pairs[n++] = (value))
    ADD("listen", listen);
    ADD("cert", scratch_path(&rig_dir, pem));
    ADD("key", key);
    ADD("ca", scratch_path(&rig_dir, "ca.pem"));
    ADD(RK_CONF_SAE, want->sae ? want->sae : "SAE_A");
    for (size_t i = 0; i < 3; i++)
        if (want->peers[i])
            ADD("peers", want->peers[i]);
    if (want->url)
        ADD("url", want->url);
    if (want->backoff)
        ADD("backoff-max", want->backoff);
    if (want->heartbeat)
        ADD("heartbeat", want->heartbeat);
    pairs[n] = NULL;
    s->inst = NULL;
    return peer_LTX_rk_plugin.init(&fake_host, call, &conf, &s->inst);
}

static void
keep(struct site *s, const struct rk_post *post)
{
    size_t i = 0;

    if (!post->link[0]) {
        s->words++;
        memcpy(s->word, post->record, sizeof s->word);
        return;
    }
    while (i < s->n && strcmp(s->heard[i].link, post->link) != 0)
        i++;
    if (i == SITE_LINKS)
        return;
    s->n += i == s->n;
    memcpy(s->heard[i].link, post->link, sizeof post->link);
    memcpy(s->heard[i].record, post->record, sizeof post->record);
    memcpy(s->heard[i].sae, post->peer_sae, sizeof post->peer_sae);
    s->heard[i].times++;
}

static bool
stopped(struct site *s)
{
    bool stop;

    pthread_mutex_lock(&s->lock);
    stop = s->stop;
    pthread_mutex_unlock(&s->lock);
    return stop;
}

static void *
watch(void *arg)
{
    struct site *s = arg;
    struct rk_post posts[64];
    struct rk_call call;
    size_t n = 0;

    while (!stopped(s)) {
        int err;

        fake_call(&call, WATCH_MS);
        err = ops()->watch(s->inst, &call, posts, 64, &n);
        pthread_mutex_lock(&s->lock);
        for (size_t i = 0; i < n; i++)
            keep(s, &posts[i]);
        s->watch_err = err;
        if (err)
            memcpy(s->watch_text, call.text, sizeof call.text);
        if (call.ends_unix_s)
            s->ends_unix_s = call.ends_unix_s;
        pthread_mutex_unlock(&s->lock);
        fake_call_end(&call);
    }
    return NULL;
}

void
site_start(struct site *s, const struct site_want *want)
{
    int port = s->port;
    struct rk_call call;

    memset(s, 0, sizeof *s);
    s->port = port;
    pthread_mutex_init(&s->lock, NULL);
    fake_call(&call, 5000);
    if (site_try(s, &call, want) != RK_OK)
        fail_msg("%s", call.text);
    fake_call_end(&call);
    assert_int_equal(pthread_create(&s->watcher, NULL, watch, s), 0);
    s->watching = true;
}

void
site_stop(struct site *s)
{
    if (!s->watching)
        return;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->watcher, NULL);
    s->watching = false;
    peer_LTX_rk_plugin.fini(s->inst);
    pthread_mutex_destroy(&s->lock);
}

/* ---- doing ---- */

int
site_say(struct site *s, const char *sae, const char *link, const char *record)
{
    struct rk_post post = {.err = RK_E_CONTRACT};
    struct rk_call call;
    int err;

    snprintf(post.link, sizeof post.link, "%s", link);
    snprintf(post.peer_sae, sizeof post.peer_sae, "%s", sae);
    snprintf(post.record, sizeof post.record, "%s", record);
    fake_call(&call, 1000);
    err = ops()->publish(s->inst, &call, &post, 1);
    fake_call_end(&call);
    assert_int_equal(post.err, err);
    return err;
}

int
site_attach(struct site *s, const char *sae, const char *link)
{
    const struct rk_attach what = {.size = sizeof what, .on = sae != NULL, .link = link, .peer_sae = sae ? sae : "",
                                .iface = "", .peer_chassis = "", .peer_port = ""};
    struct rk_call call;
    int err;

    fake_call(&call, 1000);
    err = ops()->attach(s->inst, &call, &what);
    fake_call_end(&call);
    return err;
}

/* ---- waiting ---- */

bool
site_has(struct site *s, const char *link, const char *record)
{
    bool has = false;

    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->n; i++)
        has |= strcmp(s->heard[i].link, link) == 0 && strcmp(s->heard[i].record, record) == 0;
    pthread_mutex_unlock(&s->lock);
    return has;
}

static bool
has_word(struct site *s, const char *text, const char *unused)
{
    bool has;

    (void)unused;
    pthread_mutex_lock(&s->lock);
    has = strstr(s->word, text) != NULL;
    pthread_mutex_unlock(&s->lock);
    return has;
}

static void
wait_until(struct site *s, bool (*is)(struct site *, const char *, const char *), const char *first, const char *second)
{
    const struct timespec look = {0, LOOK_NS};

    for (int64_t ns = 0; ns < PATIENCE_MS * INT64_C(1000000); ns += LOOK_NS) {
        if (is(s, first, second))
            return;
        nanosleep(&look, NULL);
    }
    fail_msg("not seen: %s %s; last words: %s; log: %s", first, second ? second : "", s->word, fake_log());
}

void
site_hears(struct site *s, const char *link, const char *record)
{
    wait_until(s, site_has, link, record);
}

void
site_word(struct site *s, const char *text)
{
    wait_until(s, has_word, text, NULL);
}

/* ---- the sites of one test ---- */

struct site a, b, c;

int
sites_begin(void **state)
{
    struct site *const all[] = {&a, &b, &c};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        memset(all[i], 0, sizeof *all[i]);
        all[i]->port = free_port();
    }
    fake_log_clear();
    return 0;
}

int
sites_end(void **state)
{
    (void)state;
    site_stop(&b);
    site_stop(&a);
    site_stop(&c);
    return 0;
}

void
site_start_b(const char *cert)
{
    site_start(&b, &(struct site_want){.cert = cert, .sae = "SAE_B", .peers = {https("SAE_A", a.port)},
                                       .backoff = "100ms", .heartbeat = "500ms"});
}
