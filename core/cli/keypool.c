/* keypool.c - writes one pool of keys, as a file of lines or a directory of files.
 *
 * Runs in rekeyctl.  Never writes over anything, follows no link, and leaves nothing behind when it is given up.
 */
#include "keypool.h"

#include "../base/text.h"

#include <rekey/err.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUF 65536 /* bytes of the pool in memory at a time */
#define LINE_MAX_BYTES (RK_POOL_KEY_MAX * 2 + 128)

struct rk_keypool {
    const char *path;          /* as given */
    char name[NAME_MAX - 13], temp[NAME_MAX + 1]; /* temp: 14 more */
    int parent, fd, old;       /* its folder; the hidden file or directory; the file that is appended to, locked */
    bool is_dir, was_there, published;
    size_t keys, bytes, len;
    char buf[BUF + 1];
};

static int
fail(char *why, int err, const char *path, const char *what)
{
    snprintf(why, RK_TEXT_MAX, "%.200s: %s", path, what);
    return err;
}

/* With what errno says. */
static int
fail_errno(char *why, const char *path, const char *what)
{
    snprintf(why, RK_TEXT_MAX, "%.200s: %s: %s", path, what, strerror(errno));
    return RK_E_IO;
}

/* ---- its place ---- */

/* Open the folder, and see that nobody else can put another file in the place of the pool. */
static int
open_parent(struct rk_keypool *p, char *why)
{
    size_t len = strlen(p->path);
    struct stat st;
    char *dir, *slash;
    int err = RK_OK;

    while (len > 1 && p->path[len - 1] == '/')
        len--;
    dir = strndup(p->path, len);
    if (!dir)
        return fail(why, RK_E_NOMEM, p->path, "out of memory");
    slash = strrchr(dir, '/');
    if (!rk_copy(p->name, sizeof p->name, slash ? slash + 1 : dir) || !p->name[0] ||
        strcmp(p->name, ".") == 0 || strcmp(p->name, "..") == 0) {
        err = fail(why, RK_E_CONFIG, p->path, "is no name for a pool");
        goto out;
    }
    if (slash)
        slash[slash == dir] = '\0';
    p->parent = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->parent < 0 || fstat(p->parent, &st) < 0)
        err = fail_errno(why, p->path, "its folder cannot be opened");
    else if ((st.st_uid != 0 && st.st_uid != geteuid()) || ((st.st_mode & 022) && !(st.st_mode & S_ISVTX)))
        err = fail(why, RK_E_UNSAFE, p->path, "others can write to its folder, and replace it; chmod go-w the folder, "
                   "or chown it");
out:
    free(dir);
    return err;
}

static bool
is_empty_dir(const struct rk_keypool *p)
{
    int fd = openat(p->parent, p->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;
    bool empty = dir != NULL;

    while (empty && (entry = readdir(dir)))
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    if (dir)
        closedir(dir);
    else if (fd >= 0)
        close(fd);
    return empty;
}

/* What is there, and may the pool come there? */
static int
look(struct rk_keypool *p, bool append, char *why)
{
    struct stat st;
    bool slash = p->path[strlen(p->path) - 1] == '/';

    p->was_there = fstatat(p->parent, p->name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (!p->was_there && errno != ENOENT)
        return fail_errno(why, p->path, "cannot be looked at");
    p->is_dir = slash || (p->was_there && S_ISDIR(st.st_mode));
    if (append && p->is_dir)
        return fail(why, RK_E_UNSUPPORTED, p->path, "is a directory: --append is for files; make a new directory");
    if (append && !p->was_there)
        return fail(why, RK_E_NOENT, p->path, "is not there to append to; leave --append out");
    if (append && !S_ISREG(st.st_mode))
        return fail(why, RK_E_UNSAFE, p->path, "is no regular file");
    if (p->was_there && !append && !(p->is_dir && is_empty_dir(p)))
        return fail(why, RK_E_CONFLICT, p->path, p->is_dir ? "is a directory that is not empty; name a new one"
                                                           : "is there already, and is not written over; name a new "
                                                             "file, or use --append");
    return RK_OK;
}

static int
make_temp(struct rk_keypool *p, char *why)
{
    for (int i = 0; i < 8; i++) {
        unsigned random;

        if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
            break;
        snprintf(p->temp, sizeof p->temp, ".%s.tmp-%08x", p->name, random);
        if (!p->is_dir)
            p->fd = openat(p->parent, p->temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        else if (mkdirat(p->parent, p->temp, 0700) == 0)
            p->fd = openat(p->parent, p->temp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (p->fd >= 0 || errno != EEXIST)
            break;
    }
    if (p->fd >= 0 && fchmod(p->fd, p->is_dir ? 0700 : 0600) == 0)
        return RK_OK;
    if (p->fd < 0)
        p->temp[0] = '\0';
    return fail_errno(why, p->path, "cannot be made");
}

/* ---- what is in it ---- */

static int
write_out(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        bytes += n;
        len -= (size_t)n;
    }
    return 0;
}

static int
flush(struct rk_keypool *p, char *why)
{
    if (write_out(p->fd, p->buf, p->len) < 0)
        return fail_errno(why, p->path, "cannot be written");
    p->len = 0;
    return RK_OK;
}

/* Is the file one that may be added to, and still the one with this name, now that it is locked? */
static int
check_old(struct rk_keypool *p, struct stat *st, char *why)
{
    struct stat named;

    if (fstat(p->old, st) < 0 || fstatat(p->parent, p->name, &named, AT_SYMLINK_NOFOLLOW) < 0)
        return fail_errno(why, p->path, "cannot be looked at");
    if (named.st_ino != st->st_ino || named.st_dev != st->st_dev)
        return fail(why, RK_E_BUSY, p->path, "was replaced meanwhile; try again");
    if (!S_ISREG(st->st_mode) || (st->st_uid != 0 && st->st_uid != geteuid() && geteuid() != 0) ||
        (st->st_mode & 077))
        return fail(why, RK_E_UNSAFE, p->path, "must be a file of your own that is closed to others; chmod 600 it");
    if (st->st_size > RK_POOL_BYTES_MAX)
        return fail(why, RK_E_CONFIG, p->path, "is longer than 100 MiB, as much as a pool may be");
    return RK_OK;
}

/* The keys that are there, to the begin of the new pool.  Comments count as keys: they only bound it. */
static int
copy_old(struct rk_keypool *p, char *why)
{
    char last = '\n';
    ssize_t n;

    while ((n = read(p->old, p->buf, BUF)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_errno(why, p->path, "cannot be read");
        p->buf[n] = '\0';
        if (p->bytes == 0 && p->buf[strspn(p->buf, " \t\r\n")] == '{')
            return fail(why, RK_E_UNSUPPORTED, p->path, "holds JSON: only a pool of lines can be appended to");
        for (ssize_t i = 0; i < n; i++)
            p->keys += p->buf[i] == '\n';
        last = p->buf[n - 1];
        p->bytes += (size_t)n;
        if (write_out(p->fd, p->buf, (size_t)n) < 0)
            return fail_errno(why, p->path, "cannot be written");
    }
    return last == '\n' ? RK_OK : fail(why, RK_E_CONFIG, p->path, "its last line is cut off (no newline); complete or "
                                       "remove it");
}

static int
begin_append(struct rk_keypool *p, char *why)
{
    struct stat st;
    int err;

    p->old = openat(p->parent, p->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (p->old < 0)
        return fail_errno(why, p->path, "cannot be opened");
    if (flock(p->old, LOCK_EX | LOCK_NB) < 0)
        return fail(why, RK_E_BUSY, p->path, "another rekeyctl appends to it; try again");
    err = check_old(p, &st, why);
    /* the daemon's user must still be able to read it */
    if (!err && (st.st_uid != geteuid() || st.st_gid != getegid()) && fchown(p->fd, st.st_uid, st.st_gid) < 0)
        err = fail_errno(why, p->path, "its owner cannot be kept");
    return err ? err : copy_old(p, why);
}

int
rk_keypool_begin(const char *path, bool append, struct rk_keypool **out, char *why)
{
    struct rk_keypool *p = calloc(1, sizeof *p);
    int err;

    *out = NULL;
    if (!p)
        return fail(why, RK_E_NOMEM, path, "out of memory");
    (void)mlock(p, sizeof *p); /* best effort: swap should be encrypted, too */
    p->path = path;
    p->parent = p->fd = p->old = -1;
    if (!path[0] || path[strlen(path) - 1] == '.')
        err = fail(why, RK_E_CONFIG, path, "is no name for a pool");
    else
        err = open_parent(p, why);
    if (!err)
        err = look(p, append, why);
    if (!err)
        err = make_temp(p, why);
    if (!err && append)
        err = begin_append(p, why);
    if (err)
        rk_keypool_end(&p);
    *out = p;
    return err;
}

bool
rk_keypool_same(const struct rk_keypool *a, const struct rk_keypool *b)
{
    struct stat x, y;

    return fstat(a->parent, &x) == 0 && fstat(b->parent, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino &&
           strcmp(a->name, b->name) == 0;
}

size_t
rk_keypool_keys(const struct rk_keypool *p)
{
    return p->keys;
}

const char *
rk_keypool_path(const struct rk_keypool *p)
{
    return p->path;
}

/* A file of its own for the key that is in buf[len]. */
static int
add_file(struct rk_keypool *p, const char *id, char *why)
{
    char name[NAME_MAX + 1];
    int fd, ok;

    snprintf(name, sizeof name, "%s.key", id);
    fd = openat(p->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    ok = fd >= 0 && fchmod(fd, 0600) == 0 && write_out(fd, p->buf, p->len) == 0;
    if (fd >= 0 && close(fd) < 0)
        ok = 0;
    p->len = 0;
    return ok ? RK_OK : fail_errno(why, p->path, "cannot be written");
}

int
rk_keypool_add(struct rk_keypool *p, const char *id, const unsigned char *bytes, size_t n, char *why)
{
    size_t before;
    int err;

    if (p->keys >= RK_POOL_KEYS_MAX)
        return fail(why, RK_E_CONFIG, p->path, "would have more than 1000000 keys, as many as a pool may have");
    if (!p->is_dir && BUF - p->len < LINE_MAX_BYTES && (err = flush(p, why)))
        return err;
    before = p->len;
    if (!p->is_dir)
        p->len += (size_t)sprintf(p->buf + p->len, "%s ", id);
    rk_hex_put(bytes, n, p->buf + p->len);
    p->len += 2 * n;
    p->buf[p->len++] = '\n';
    p->bytes += p->len - before;
    p->keys++;
    if (!p->is_dir && p->bytes > RK_POOL_BYTES_MAX)
        return fail(why, RK_E_CONFIG, p->path, "would be longer than 100 MiB, as much as a pool may be");
    return p->is_dir ? add_file(p, id, why) : RK_OK;
}

int
rk_keypool_sync(struct rk_keypool *p, char *why)
{
    int err = p->is_dir ? RK_OK : flush(p, why);

    if (err)
        return err;
    if (p->is_dir ? syncfs(p->fd) < 0 || fsync(p->fd) < 0 : fsync(p->fd) < 0)
        return fail_errno(why, p->path, "cannot be synced");
    return RK_OK;
}

/* Under a name that nothing may have. */
static int
rename_new(struct rk_keypool *p)
{
    if (renameat2(p->parent, p->temp, p->parent, p->name, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL || p->is_dir)
        return -1;
    /* a file system without it: a second name is made only where none is */
    return linkat(p->parent, p->temp, p->parent, p->name, 0) == 0 ? unlinkat(p->parent, p->temp, 0) : -1;
}

int
rk_keypool_publish(struct rk_keypool *p, char *why)
{
    struct stat st;

    if (p->old >= 0 && check_old(p, &st, why))
        return RK_E_BUSY;
    /* rename(2) replaces a directory only when it is empty */
    if (p->was_there ? renameat(p->parent, p->temp, p->parent, p->name) < 0 : rename_new(p) < 0)
        return fail_errno(why, p->path, "cannot be put in its place");
    p->published = true;
    return fsync(p->parent) < 0 ? fail_errno(why, p->path, "its folder cannot be synced") : RK_OK;
}

/* The hidden file or directory, or with its name the published one. */
static bool
remove_it(struct rk_keypool *p, const char *name)
{
    DIR *dir = p->is_dir && p->fd >= 0 ? fdopendir(p->fd) : NULL;
    struct dirent *entry;

    if (dir) {
        p->fd = -1;
        while ((entry = readdir(dir)))
            if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                (void)unlinkat(dirfd(dir), entry->d_name, 0);
        closedir(dir);
    }
    return unlinkat(p->parent, name, p->is_dir ? AT_REMOVEDIR : 0) == 0;
}

bool
rk_keypool_withdraw(struct rk_keypool *p)
{
    if (!p->published || p->old >= 0 || !remove_it(p, p->name))
        return false;
    p->published = false;
    p->temp[0] = '\0';
    return fsync(p->parent) == 0;
}

void
rk_keypool_end(struct rk_keypool **pool)
{
    struct rk_keypool *p = *pool;

    *pool = NULL;
    if (!p)
        return;
    if (p->temp[0] && !p->published)
        (void)remove_it(p, p->temp);
    if (p->fd >= 0)
        close(p->fd);
    if (p->old >= 0)
        close(p->old);
    if (p->parent >= 0)
        close(p->parent);
    explicit_bzero(p, sizeof *p);
    (void)munlock(p, sizeof *p);
    free(p);
}
