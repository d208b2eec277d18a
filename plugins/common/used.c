/* used.c - appends and reads the list of used key IDs.  Holds IDs only, never a key. */
#include "used.h"

#include "files.h"
#include "keytext.h"

#include <rekey/source.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_PAUSE_MS 2
#define CHUNK 8192

int
rkp_used_open(struct rkp_used *u, struct rk_call *call, const char *path)
{
    struct stat st;

    u->path = strdup(path);
    if (!u->path)
        return u->host->fail(call, RK_E_NOMEM, "out of memory");
    u->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (u->fd < 0)
        return u->host->fail(call, rkp_code(errno), "%s: the list of used keys cannot be opened: %m", path);
    if (fstat(u->fd, &st) < 0 || !S_ISREG(st.st_mode) || (st.st_uid != 0 && st.st_uid != geteuid()) ||
        st.st_mode & RKP_NOT_SHARED)
        return u->host->fail(call, RK_E_UNSAFE, "%s: the list of used keys must be a regular file of the daemon's user "
                             "that nobody else can write", path);
    if (rkp_sync_parent(path) < 0)
        return u->host->fail(call, RK_E_IO, "%s: its directory cannot be synced: %m", path);
    return RK_OK;
}

void
rkp_used_close(struct rkp_used *u)
{
    if (u->fd >= 0)
        close(u->fd);
    free(u->path);
}

int
rkp_used_lock(struct rkp_used *u, struct rk_call *call)
{
    struct stat st;

    while (flock(u->fd, LOCK_EX | LOCK_NB) < 0) {
        int err = errno == EWOULDBLOCK || errno == EINTR ? rkp_pause(u->host, call, -1, LOCK_PAUSE_MS) : RK_E_IO;

        if (err)
            return u->host->fail(call, err, "%s: is locked by another process", u->path);
    }
    if (fstat(u->fd, &st) == 0 && st.st_nlink > 0)
        return RK_OK;
    rkp_used_unlock(u);
    return u->host->fail(call, RK_E_UNSAFE, "%s: the list of used keys was removed while in use; restart with a new "
                         "pool, as used keys of this one are not known any more", u->path);
}

void
rkp_used_unlock(struct rkp_used *u)
{
    (void)flock(u->fd, LOCK_UN);
}

/* Hand over the whole lines of buf[len].  ret: length of these lines; -1: one is no key ID */
static ssize_t
hand_over(char *buf, size_t len, void (*mark)(void *arg, const char *id), void *arg)
{
    size_t at = 0;

    for (char *end; (end = memchr(buf + at, '\n', len - at)); at = (size_t)(end - buf) + 1) {
        *end = '\0';
        if (!rkp_key_id_ok(buf + at, (size_t)(end - buf) - at))
            return -1;
        mark(arg, buf + at);
    }
    return (ssize_t)at;
}

int
rkp_used_read(struct rkp_used *u, struct rk_call *call, void (*mark)(void *arg, const char *id), void *arg)
{
    char buf[CHUNK];

    for (;;) {
        ssize_t n = pread(u->fd, buf, sizeof buf, u->read_to), lines;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return u->host->fail(call, RK_E_IO, "%s: cannot be read: %m", u->path);
        if (n == 0)
            return RK_OK;
        lines = hand_over(buf, (size_t)n, mark, arg);
        if (lines < 0 || (lines == 0 && n > RK_KEY_ID_MAX))
            return u->host->fail(call, RK_E_UNSAFE, "%s: holds what is no key ID behind byte %lld; repair it, as a key "
                                 "must not be used twice", u->path, (long long)u->read_to);
        u->read_to += lines;
        if (lines > 0)
            continue;
        u->host->log(call, RK_LOG_WARNING, "ev=torn file=%s bytes=%zd res=cut", u->path, n);
        if (ftruncate(u->fd, u->read_to) < 0)
            return u->host->fail(call, RK_E_IO, "%s: cannot be cut: %m", u->path);
    }
}

struct looked_for {
    const char *id;
    bool found;
};

static void
look(void *arg, const char *id)
{
    struct looked_for *l = arg;

    l->found = l->found || strcmp(id, l->id) == 0;
}

int
rkp_used_has(const struct rkp_used *u, struct rk_call *call, const char *id, bool *has)
{
    struct rkp_used whole = {.host = u->host, .path = u->path, .fd = u->fd};
    struct looked_for l = {.id = id};
    int err = rkp_used_read(&whole, call, look, &l);

    *has = l.found;
    return err;
}

int
rkp_used_add(struct rkp_used *u, struct rk_call *call, const char *lines, size_t len)
{
    int err;

    if (u->read_to + (off_t)len > RKP_USED_BYTES_MAX)
        return u->host->fail(call, RK_E_IO, "%s: is longer than 256 MiB; begin a new pool under a new source name",
                             u->path);
    if (rkp_write_all(u->fd, (struct rkp_bytes){lines, len}) == 0 && fdatasync(u->fd) == 0) {
        u->read_to += (off_t)len;
        return RK_OK;
    }
    err = u->host->fail(call, RK_E_IO, "%s: cannot be written, so no key is given out: %m", u->path);
    /* what is there of the lines stays unread: whole ones count as used, a torn one is cut */
    return err;
}
