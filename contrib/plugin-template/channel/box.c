/* box.c - records as files in two folders, one for each way: a template for channels
 *
 * What takes the files to the other site is not its business.  Only watch changes an instance: publish may run beside.
 */
#include <rekey/channel.h>

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINKS 1000 /* records of more may be returned again, which is harmless */
#define LOOK_MS 100

struct box {
    const struct rk_host *host;
    char out[256], in[256];
    struct rk_post last[LINKS]; /* that watch returned */
};

static int
publish_one(const struct box *b, struct rk_call *call, const struct rk_post *post)
{
    char path[300], temp[310];

    snprintf(path, sizeof path, "%s/%s", b->out, post->link); /* a link name has no '/' and no '.' in front */
    snprintf(temp, sizeof temp, "%s/.%s", b->out, post->link);
    FILE *f = fopen(temp, "we");
    int bad = !f || fprintf(f, "%s\n", post->record) < 0 || fflush(f) != 0 || fsync(fileno(f)) != 0;
    bad |= f && fclose(f) != 0;
    if (!bad && rename(temp, path) == 0) /* nobody reads half a record */
        return RK_OK;
    return b->host->fail(call, RK_E_IO, "out: %s cannot be written: %s", path, strerror(errno));
}

static int
box_publish(void *inst, struct rk_call *call, struct rk_post *posts, size_t n)
{
    int err = RK_OK;

    for (size_t i = 0; i < n; i++)
        if ((posts[i].err = publish_one(inst, call, &posts[i])) != RK_OK)
            err = posts[i].err;
    return err;
}

/* Is there a record of this link that was not returned yet?  Then it is in post; the host checks what it says. */
static int
is_news(struct box *b, const char *link, struct rk_post *post)
{
    char path[600];
    size_t i = 0;

    *post = (struct rk_post){.err = RK_OK};
    snprintf(post->link, sizeof post->link, "%s", link);
    snprintf(path, sizeof path, "%s/%s", b->in, link);
    FILE *f = link[0] != '.' ? fopen(path, "re") : NULL;
    int news = f && fgets(post->record, sizeof post->record, f);
    if (f)
        fclose(f);
    post->record[strcspn(post->record, "\n")] = '\0';
    while (i < LINKS - 1 && b->last[i].link[0] && strcmp(b->last[i].link, post->link) != 0)
        i++;
    news = news && strcmp(b->last[i].record, post->record) != 0;
    b->last[i] = *post;
    return news;
}

static int
box_watch(void *inst, struct rk_call *call, struct rk_post *posts, size_t max, size_t *n)
{
    struct box *b = inst;
    struct pollfd given_up = {.fd = b->host->cancel_fd(call), .events = POLLIN};

    for (*n = 0; *n == 0;) {
        int left = b->host->left_ms(call);
        DIR *dir = opendir(b->in);

        if (!dir)
            return b->host->fail(call, RK_E_NOENT, "in: %s cannot be read: %s", b->in, strerror(errno));
        for (struct dirent *e; *n < max && (e = readdir(dir));)
            *n += is_news(b, e->d_name, &posts[*n]);
        closedir(dir);
        if (*n == 0 && (left <= 0 || poll(&given_up, 1, left < LOOK_MS ? left : LOOK_MS) > 0))
            break; /* no news is no error */
    }
    return RK_OK;
}

static int
box_init(const struct rk_host *host, struct rk_call *call, const struct rk_conf *conf, void **inst)
{
    struct box *b = calloc(1, sizeof *b);

    if (!b)
        return host->fail(call, RK_E_NOMEM, "out of memory");
    b->host = host;
    snprintf(b->out, sizeof b->out, "%s", host->conf_str(conf, "out"));
    snprintf(b->in, sizeof b->in, "%s", host->conf_str(conf, "in"));
    *inst = b;
    return RK_OK;
}

static const struct rk_opt box_opts[] = {
    {.name = "out", .type = RK_OPT_PATH, .flags = RK_OPT_REQUIRED, .max = 255, .help = "Folder for our records"},
    {.name = "in", .type = RK_OPT_PATH, .flags = RK_OPT_REQUIRED, .max = 255, .help = "Folder with those of the peer"},
    {.name = NULL},
};

static const struct rk_channel_ops box_ops = {.size = sizeof box_ops, .publish = box_publish, .watch = box_watch};

/* The one symbol that is seen from outside. */
__attribute__((visibility("default"))) const struct rk_plugin box_LTX_rk_plugin = {
    RK_PLUGIN_HEAD(RK_CHANNEL, 0), .name = "box", .version = "1.0", .summary = "records as files in two folders",
    .opts = box_opts, .opt_size = sizeof(struct rk_opt), .init = box_init, .fini = free, .ops = &box_ops,
};
