/* files.c - opens, reads, replaces and waits; every check is made on the descriptor that is then used. */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TEMP_MARK ".tmp-"
#define TEMP_TRIES 8

int
rkp_code(int e)
{
    switch (e) {
    case ENOENT:
    case ENOTDIR:
        return RK_E_NOENT;
    case EACCES:
    case EPERM:
        return RK_E_AUTH;
    case ELOOP:
        return RK_E_UNSAFE;
    case ENOMEM:
        return RK_E_NOMEM;
    default:
        return RK_E_IO;
    }
}

/* Thread-safe strerror, of GNU. */
static int
say(struct rkp_why *why, const char *path, int e)
{
    char buf[100];

    if (e == ELOOP)
        snprintf(why->text, sizeof why->text, "%.200s: is a symbolic link; name the real file", path);
    else
        snprintf(why->text, sizeof why->text, "%.200s: %s", path, strerror_r(e, buf, sizeof buf));
    return rkp_code(e);
}

struct rules {
    uid_t owner;
    mode_t forbidden, type;
};

static const char *
remedy(const struct rules *r)
{
    if (!(r->forbidden & S_IROTH))
        return "go-w";
    return r->type == S_IFDIR ? "700" : r->forbidden & S_IRGRP ? "600" : "640";
}

static int
check(int fd, const char *path, struct rules r, struct rkp_why *why)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return say(why, path, errno);
    if ((st.st_mode & S_IFMT) != r.type)
        snprintf(why->text, sizeof why->text, "%.200s: is not a %s", path,
                 r.type == S_IFDIR ? "directory" : "regular file");
    else if (st.st_uid != 0 && st.st_uid != geteuid() && st.st_uid != r.owner)
        snprintf(why->text, sizeof why->text, "%.200s: belongs to user %u; chown it to root or user %u", path,
                 (unsigned)st.st_uid, (unsigned)geteuid());
    else if (st.st_mode & r.forbidden)
        snprintf(why->text, sizeof why->text, "%.200s: mode %04o lets others %s; chmod %s it", path,
                 (unsigned)(st.st_mode & 07777), r.forbidden & S_IROTH ? "in" : "write", remedy(&r));
    else
        return RK_OK;
    return RK_E_UNSAFE;
}

static int
open_checked(int dir_fd, const char *name, struct rules r, int *fd, struct rkp_why *why)
{
    int err, flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;

    *fd = openat(dir_fd, name, flags);
    if (*fd < 0)
        return say(why, name, errno);
    err = check(*fd, name, r, why);
    if (err) {
        close(*fd);
        *fd = -1;
    }
    return err;
}

int
rkp_open_dir(const char *path, mode_t forbidden, int *fd, struct rkp_why *why)
{
    return open_checked(AT_FDCWD, path, (struct rules){geteuid(), forbidden, S_IFDIR}, fd, why);
}

int
rkp_open_file(int dir_fd, const char *name, mode_t forbidden, int *fd, struct rkp_why *why)
{
    return open_checked(dir_fd, name, (struct rules){geteuid(), forbidden, S_IFREG}, fd, why);
}

int
rkp_open_file_of(uid_t owner, const char *path, mode_t forbidden, int *fd, struct rkp_why *why)
{
    return open_checked(AT_FDCWD, path, (struct rules){owner, forbidden, S_IFREG}, fd, why);
}

/* The folder that path is in, opened as the kernel would find it. */
static int
open_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = !slash ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
    int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1, e = errno;

    free(dir);
    errno = e;
    return fd;
}

int
rkp_check_parent(uid_t owner, const char *path, struct rkp_why *why)
{
    int fd = open_parent(path), err = RK_OK;
    struct stat st;

    if (fd < 0)
        return say(why, path, errno);
    if (fstat(fd, &st) < 0) {
        err = say(why, path, errno);
    } else if (st.st_uid != 0 && st.st_uid != geteuid() && st.st_uid != owner) {
        snprintf(why->text, sizeof why->text, "%.200s: its folder belongs to user %u, who can replace it; chown the "
                 "folder to root or user %u", path, (unsigned)st.st_uid, (unsigned)geteuid());
        err = RK_E_UNSAFE;
    } else if ((st.st_mode & RKP_NOT_SHARED) && !(st.st_mode & S_ISVTX)) {
        snprintf(why->text, sizeof why->text, "%.200s: mode %04o of its folder lets others replace it; chmod go-w the "
                 "folder", path, (unsigned)(st.st_mode & 07777));
        err = RK_E_UNSAFE;
    }
    close(fd);
    return err;
}

int
rkp_sync_parent(const char *path)
{
    int fd = open_parent(path), ok, e;

    if (fd < 0)
        return -1;
    ok = fsync(fd);
    e = errno;
    close(fd);
    errno = e;
    return ok;
}

ssize_t
rkp_read_small(int fd, char *buf, size_t size)
{
    size_t got = 0;

    while (got < size) {
        ssize_t n = read(fd, buf + got, size - got);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    if (got == size) {
        errno = EFBIG;
        return -1;
    }
    buf[got] = '\0';
    return (ssize_t)got;
}

int
rkp_write_all(int fd, struct rkp_bytes b)
{
    const char *p = b.bytes;

    while (b.len > 0) {
        ssize_t n = write(fd, p, b.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        p += n;
        b.len -= (size_t)n;
    }
    return 0;
}

/* A new file beside name; its own name in temp[NAME_MAX + 1]. */
static int
open_temp(int dir_fd, const char *name, mode_t mode, char *temp)
{
    for (int i = 0; i < TEMP_TRIES; i++) {
        unsigned random;
        int fd;

        if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
            return -1;
        if (snprintf(temp, NAME_MAX + 1, "%s" TEMP_MARK "%08x", name, random) > NAME_MAX) {
            errno = ENAMETOOLONG;
            return -1;
        }
        fd = openat(dir_fd, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0 && fchmod(fd, mode) == 0)
            return fd;
        if (fd >= 0) {
            close(fd);
            unlinkat(dir_fd, temp, 0);
            return -1;
        }
        if (errno != EEXIST)
            return -1;
    }
    return -1;
}

int
rkp_replace(int dir_fd, const char *name, struct rkp_bytes b, mode_t mode, bool durable)
{
    char temp[NAME_MAX + 1];
    int fd = open_temp(dir_fd, name, mode, temp), ok, e;

    if (fd < 0)
        return -1;
    ok = rkp_write_all(fd, b) == 0 && (!durable || fsync(fd) == 0);
    e = errno;
    if (close(fd) < 0 && ok) {
        ok = 0;
        e = errno;
    }
    if (ok && renameat(dir_fd, temp, dir_fd, name) == 0) {
        /* the new name is seen by all from here on; a failed sync must still be told */
        return durable ? fsync(dir_fd) : 0;
    }
    e = ok ? errno : e;
    unlinkat(dir_fd, temp, 0);
    errno = e;
    return -1;
}

bool
rkp_is_temp(const char *name)
{
    const char *mark = strstr(name, TEMP_MARK);

    return mark && strlen(mark) == strlen(TEMP_MARK) + 8 && strspn(mark + strlen(TEMP_MARK), "0123456789abcdef") == 8;
}

static int64_t
now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int
rkp_pause(const struct rk_host *host, const struct rk_call *call, int fd, int64_t ms)
{
    int64_t end = now_ms() + ms;

    for (;;) {
        struct pollfd fds[2] = {{.fd = host->cancel_fd(call), .events = POLLIN}, {.fd = fd, .events = POLLIN}};
        int64_t rest = end - now_ms(), left = host->left_ms(call), wait = rest < left ? rest : left;

        if (poll(fds, 2, wait > 0 ? (int)wait : 0) < 0 && errno != EINTR)
            return RK_E_IO;
        if (fds[0].revents)
            return RK_E_CANCELED;
        if (fds[1].revents)
            return 1;
        if (host->left_ms(call) == 0)
            return RK_E_TIMEOUT;
        if (end <= now_ms())
            return 0;
    }
}
