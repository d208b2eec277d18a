/* spool.c - channel "spool": each record is a file; a file mover, or one shared host, brings it to the other end
 *
 * publish writes into the directory of this end, watch reads the directory where the other end's files appear.
 * Runs on worker threads of rekey-host; one publish may run beside one watch, and they share nothing that changes.
 */
#include "inbox.h"
#include "record.h"

#include "../../common/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH_MAX 64
#define RECORD_MODE 0644 /* records are signed, not secret; the directory says who may see them */

struct spool {
    const struct rk_host *host;
    char *dir; /* outbox */
    struct inbox *inbox;
};

static const struct rk_opt spool_opts[] = {
    {.name = "dir", .type = RK_OPT_PATH, .flags = RK_OPT_REQUIRED,
     .help = "Directory for the records of this end, writable by the daemon's user alone"},
    {.name = "peer-dir", .type = RK_OPT_PATH, .flags = RK_OPT_REQUIRED,
     .help = "Directory where the records of the other end appear, writable by its owner alone"},
    {.name = "rescan", .type = RK_OPT_DURATION, .min = 1000, .max = 86400000, .dflt = "60s",
     .help = "How often peer-dir is read whole, beside notices of changes; less for network file systems"},
    {.name = NULL},
};

static void
spool_fini(void *inst)
{
    struct spool *s = inst;

    if (s->inbox)
        inbox_free(s->inbox);
    free(s->dir);
    free(s);
}

/* Open one of the directories.  ret: RK_OK, or a code stated by fail() */
static int
open_dir(const struct spool *s, struct rk_call *call, const char *option, const char *path, int *fd)
{
    struct rkp_why why;
    int err = rkp_open_dir(path, RKP_NOT_SHARED, fd, &why);

    if (!err)
        return RK_OK;
    return s->host->fail(call, err, "%s: %s%s", option, why.text, err == RK_E_NOENT
                             ? "; create it (chmod 755, owned by the daemon's user), or correct the path" : "");
}

/* A process that was killed may have left files that were never renamed. */
static void
remove_leftovers(int dir_fd)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;

    if (!dir && fd >= 0)
        close(fd);
    while (dir && (entry = readdir(dir)))
        if (rkp_is_temp(entry->d_name))
            (void)unlinkat(dir_fd, entry->d_name, 0);
    if (dir)
        closedir(dir);
}

static int
check_dirs(struct spool *s, struct rk_call *call, const char *peer_dir)
{
    int own = -1, peer = -1, err = open_dir(s, call, "dir", s->dir, &own);
    struct stat a, b;

    if (!err)
        err = open_dir(s, call, "peer-dir", peer_dir, &peer);
    if (!err && (fstat(own, &a) < 0 || fstat(peer, &b) < 0))
        err = s->host->fail(call, RK_E_IO, "dir: %s: %m", s->dir);
    if (!err && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
        err = s->host->fail(call, RK_E_CONFIG, "peer-dir: %s is the same directory as dir; each end needs its own",
                            peer_dir);
    if (!err && faccessat(own, ".", W_OK | X_OK, AT_EACCESS) < 0)
        err = s->host->fail(call, RK_E_AUTH, "dir: %s: this user cannot write there; chown it to the daemon's user",
                            s->dir);
    if (!err)
        remove_leftovers(own);
    if (own >= 0)
        close(own);
    if (peer >= 0)
        close(peer);
    return err;
}

static int
spool_init(const struct rk_host *host, struct rk_call *call, const struct rk_conf *conf, void **inst)
{
    const char *dir = host->conf_str(conf, "dir"), *peer_dir = host->conf_str(conf, "peer-dir");
    struct spool *s = calloc(1, sizeof *s);
    int err;

    if (!s)
        return host->fail(call, RK_E_NOMEM, "out of memory");
    s->host = host;
    s->dir = dir ? strdup(dir) : NULL;
    if (!s->dir || !peer_dir) {
        err = host->fail(call, RK_E_CONFIG, "dir and peer-dir are both needed");
        goto fail;
    }
    err = check_dirs(s, call, peer_dir);
    if (err)
        goto fail;
    s->inbox = inbox_new(host, peer_dir, host->conf_int(conf, "rescan"));
    if (!s->inbox) {
        err = host->fail(call, RK_E_IO, "peer-dir: out of memory or of inotify instances (sysctl "
                         "fs.inotify.max_user_instances)");
        goto fail;
    }
    *inst = s;
    return RK_OK;

fail:
    spool_fini(s);
    return err;
}

static int
publish_one(const struct spool *s, struct rk_call *call, int dir_fd, const struct rk_post *post)
{
    char name[SPOOL_FILE_MAX], text[RK_RECORD_MAX + 2];
    size_t len = strnlen(post->record, sizeof post->record);

    if (!spool_name(post->link, name))
        return s->host->fail(call, RK_E_CONTRACT, "not a link name; it cannot name a file");
    if (len == sizeof post->record)
        return s->host->fail(call, RK_E_CONTRACT, "link %s: record without end", post->link);
    memcpy(text, post->record, len);
    text[len++] = '\n';
    if (spool_record_flaw(text, len))
        return s->host->fail(call, RK_E_CONTRACT, "link %s: record is %s", post->link, spool_record_flaw(text, len));
    if (rkp_replace(dir_fd, name, (struct rkp_bytes){text, len}, RECORD_MODE, true) < 0)
        return s->host->fail(call, rkp_code(errno), "dir: %s/%s cannot be written: %m", s->dir, name);
    return RK_OK;
}

static int
spool_publish(void *inst, struct rk_call *call, struct rk_post *posts, size_t n)
{
    const struct spool *s = inst;
    int fd, err = open_dir(s, call, "dir", s->dir, &fd), first = RK_OK;

    for (size_t i = 0; i < n; i++) {
        int given_up = err ? err : rkp_pause(s->host, call, -1, 0);

        posts[i].err = given_up;
        if (!err && given_up)
            s->host->fail(call, given_up, "dir: %s: %zu of %zu records written before the call was given up", s->dir, i,
                          n);
        else if (!err)
            posts[i].err = publish_one(s, call, fd, &posts[i]);
        first = first ? first : posts[i].err;
    }
    if (!err)
        close(fd);
    return first;
}

static int
spool_watch(void *inst, struct rk_call *call, struct rk_post *posts, size_t max, size_t *n)
{
    const struct spool *s = inst;

    *n = 0;
    if (max == 0 || max > BATCH_MAX)
        return s->host->fail(call, RK_E_CONTRACT, "watch for %zu records; 1 to %d can be", max, BATCH_MAX);
    return inbox_watch(s->inbox, call, posts, max, n);
}

static const struct rk_channel_ops spool_ops = {
    .size = sizeof spool_ops,
    .publish = spool_publish,
    .watch = spool_watch,
};

__attribute__((visibility("default"))) const struct rk_plugin spool_LTX_rk_plugin = {
    RK_PLUGIN_HEAD(RK_CHANNEL, 0),
    .name = "spool",
    .version = PACKAGE_VERSION,
    .summary = "records as files in a directory",
    .opts = spool_opts,
    .opt_size = sizeof(struct rk_opt),
    .init = spool_init,
    .fini = spool_fini,
    .ops = &spool_ops,
};
