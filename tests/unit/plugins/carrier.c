/* carrier.c - channel for tests whose records a device carries: the text is the record behind "rk1|", or whatever the
 * neighbour's description has from there on.
 *
 * A link is attached to whoever is heard first; a second neighbour is told of as something that is wrong.
 */
#include <rekey/channel.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct inst {
    const struct rk_host *host;
};

static int
carrier_encode(void *arg, struct rk_call *call, const struct rk_post *post, char *text)
{
    struct inst *inst = arg;

    if (strlen(post->record) > RK_RECORD_MAX)
        return inst->host->fail(call, RK_E_CONTRACT, "too long");
    strcpy(text, post->record);
    return RK_OK;
}

static void
put(struct rk_post *post, const char *link, int err, const char *text)
{
    snprintf(post->link, sizeof post->link, "%s", link);
    snprintf(post->record, sizeof post->record, "%s", text);
    post->peer_sae[0] = '\0';
    post->err = err;
}

static int
carrier_decode(void *arg, struct rk_call *call, const char *link, const struct rk_neighbour *seen, size_t n,
               struct rk_post *posts, size_t max, size_t *n_posts)
{
    (void)arg;
    (void)call;
    *n_posts = 0;
    for (size_t i = 0; i < n && *n_posts < max; i++) {
        const char *record = strstr(seen[i].description, "rk1|");

        if (record)
            put(&posts[(*n_posts)++], link, RK_OK, record);
        else if (seen[i].description[0])
            put(&posts[(*n_posts)++], link, RK_OK, "the description has no record");
    }
    if (n > 1 && *n_posts < max)
        put(&posts[(*n_posts)++], link, RK_E_CONFLICT, "a second neighbour is on the port");
    return RK_OK;
}

/* Nobody publishes here, and nothing comes. */
static int
carrier_publish(void *arg, struct rk_call *call, struct rk_post *posts, size_t n)
{
    struct inst *inst = arg;

    for (size_t i = 0; i < n; i++)
        posts[i].err = RK_E_UNSUPPORTED;
    return inst->host->fail(call, RK_E_UNSUPPORTED, "only devices carry records of this channel");
}

static int
carrier_watch(void *arg, struct rk_call *call, struct rk_post *posts, size_t max, size_t *n)
{
    struct inst *inst = arg;
    struct pollfd p = {.fd = inst->host->cancel_fd(call), .events = POLLIN};

    (void)posts;
    (void)max;
    *n = 0;
    while (inst->host->left_ms(call) > 0 && poll(&p, 1, inst->host->left_ms(call)) == 0)
        ;
    return RK_OK;
}

static int
carrier_init(const struct rk_host *host, struct rk_call *call, const struct rk_conf *conf, void **out)
{
    struct inst *inst = calloc(1, sizeof *inst);

    (void)conf;
    if (!inst)
        return host->fail(call, RK_E_NOMEM, "out of memory");
    inst->host = host;
    *out = inst;
    return RK_OK;
}

static const struct rk_channel_ops ops = {
    .size = sizeof ops,
    .publish = carrier_publish,
    .watch = carrier_watch,
    .encode = carrier_encode,
    .decode = carrier_decode,
};

extern const struct rk_plugin carrier_LTX_rk_plugin;
__attribute__((visibility("default"))) const struct rk_plugin carrier_LTX_rk_plugin = {
    RK_PLUGIN_HEAD(RK_CHANNEL, 0),
    .name = "carrier",
    .version = "1.0",
    .summary = "Channel for tests, carried by devices",
    .init = carrier_init,
    .fini = free,
    .ops = &ops,
};
