/* host-channel.c - channel of the host's tests: what is published is what is watched.
 *
 * The link says what goes wrong (modes.h, and below).
 */
#include "modes.h"

#include <rekey/channel.h>

#include <pthread.h>
#include <stdio.h>

#define ROOM 80

struct inst {
    const struct rk_host *host;
    pthread_mutex_t lock;
    struct rk_post posts[ROOM];
    size_t n;
    int overrun; /* watch is to claim more than it has */
};

/* What goes wrong on the way. */
static void
carry(struct rk_post *post)
{
    if (mode_is(post->link, "forge"))
        post->record[0] ^= 1;
    if (mode_is(post->link, "cut"))
        post->record[strlen(post->record) - 1] = '\0';
    if (mode_is(post->link, "bare"))
        *strrchr(post->record, '|') = '\0';
    if (mode_is(post->link, "endless"))
        memset(post->record, 'x', sizeof post->record);
    if (mode_is(post->link, "words"))
        strcpy(post->record, "cut off: no newline at its end");
    if (mode_is(post->link, "wrong")) {
        post->err = RK_E_CONFLICT;
        strcpy(post->record, "another\tneighbour");
    }
    if (mode_is(post->link, "keyid"))
        strcpy(post->record, "=k-1");
    if (mode_is(post->link, "nokeyid"))
        strcpy(post->record, "=a|b");
    if (mode_is(post->link, "other"))
        strcpy(post->peer_sae, "SAE_X");
    else
        post->peer_sae[0] = '\0';
}

static int
channel_publish(void *arg, struct rk_call *call, struct rk_post *posts, size_t n)
{
    struct inst *inst = arg;

    for (size_t i = 0; i < n; i++) {
        int err = mode_run(inst->host, call, posts[i].link);

        if (err)
            return err;
        posts[i].err = mode_is(posts[i].link, "refuse") ? RK_E_REJECTED : RK_OK;
        pthread_mutex_lock(&inst->lock);
        if (posts[i].err == RK_OK && inst->n < ROOM && !mode_is(posts[i].link, "lost")) {
            inst->posts[inst->n] = posts[i];
            carry(&inst->posts[inst->n++]);
        }
        inst->overrun |= mode_is(posts[i].link, "overrun");
        pthread_mutex_unlock(&inst->lock);
        if (posts[i].err)
            return inst->host->fail(call, posts[i].err, "not this one");
    }
    return RK_OK;
}

/* Nothing new: until the budget ends or the call is given up. */
static void
wait_for_end(const struct inst *inst, struct rk_call *call)
{
    struct pollfd p = {.fd = inst->host->cancel_fd(call), .events = POLLIN};

    while (inst->host->left_ms(call) > 0 && poll(&p, 1, inst->host->left_ms(call)) == 0)
        ;
}

static int
channel_watch(void *arg, struct rk_call *call, struct rk_post *posts, size_t max, size_t *n)
{
    struct inst *inst = arg;

    pthread_mutex_lock(&inst->lock);
    *n = inst->n < max ? inst->n : max;
    memcpy(posts, inst->posts, *n * sizeof *posts);
    inst->n -= *n;
    memmove(inst->posts, inst->posts + *n, inst->n * sizeof *posts);
    if (inst->overrun)
        *n = max + 1;
    inst->overrun = 0;
    pthread_mutex_unlock(&inst->lock);
    if (*n == 0)
        wait_for_end(inst, call);
    return RK_OK;
}

static int
channel_init(const struct rk_host *host, struct rk_call *call, const struct rk_conf *conf, void **out)
{
    struct inst *inst = calloc(1, sizeof *inst);

    if (!inst)
        return host->fail(call, RK_E_NOMEM, "out of memory");
    inst->host = host;
    pthread_mutex_init(&inst->lock, NULL);
    host->log(call, RK_LOG_INFO, "ev=options auth=%s", host->conf_str(conf, "auth-key") ? "seen" : "hidden");
    *out = inst;
    return RK_OK;
}

static void
channel_fini(void *arg)
{
    struct inst *inst = arg;

    pthread_mutex_destroy(&inst->lock);
    free(inst);
}

/* "told": what it was told comes back as an error's text; "words" of a mode; else it is taken. */
static int
channel_attach(void *arg, struct rk_call *call, const struct rk_attach *link)
{
    const struct inst *inst = arg;

    if (link->size < sizeof *link)
        return inst->host->fail(call, RK_E_CONTRACT, "of another build");
    if (link->on && mode_is(link->link, "told"))
        return inst->host->fail(call, RK_E_CONFLICT, "%s at %s: %s, %s, carried %u", link->peer_sae, link->iface,
                                link->peer_chassis, link->peer_port, link->carried);
    if (!link->on)
        inst->host->log(call, RK_LOG_INFO, "ev=detached link=%s", link->link);
    return mode_run(inst->host, call, link->link);
}

static const struct rk_channel_ops ops = {
    .size = sizeof ops,
    .publish = channel_publish,
    .watch = channel_watch,
    .attach = channel_attach,
};

#ifdef BARE
#define SYMBOL host_bare_LTX_rk_plugin
#define NAME "host-bare"
#define CAPS RK_CAP_BARE
#else
#define SYMBOL host_channel_LTX_rk_plugin
#define NAME "host-channel"
#define CAPS 0
#endif

extern const struct rk_plugin SYMBOL;
__attribute__((visibility("default"))) const struct rk_plugin SYMBOL = {
    RK_PLUGIN_HEAD(RK_CHANNEL, CAPS),
    .name = NAME,
    .version = "1.0",
    .summary = "Channel for tests",
    .init = channel_init,
    .fini = channel_fini,
    .ops = &ops,
};
