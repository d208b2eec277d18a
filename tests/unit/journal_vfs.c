/* journal_vfs.c - a disk that fails when told, and that remembers what a power cut would have left.
 *
 * One thread.  Nothing is really synced: the tests that use it do not switch the power off.
 */
#include "journal_vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#define SECTOR 512
#define FILES 8

/* A test that cannot go on. */
static void
must(bool ok)
{
    if (!ok)
        abort();
}

/* ---- The log of what is not synced ---- */

struct change { /* a write; a truncation when bytes is NULL */
    struct change *next;
    int64_t at;
    size_t n;
    unsigned char *bytes;
};

struct content {
    unsigned char *bytes;
    size_t n;
};

struct shadow {
    char name[256];
    bool there, durable; /* is there such a file; would it be there after a power cut, whatever was not synced */
    struct content synced;
    struct change *first, **last;
};

static struct shadow shadows[FILES];
static char watched[200];
static void (*on_boundary)(void *arg);
static void *boundary_arg;

static void
set_size(struct content *c, size_t n)
{
    c->bytes = realloc(c->bytes, n + 1);
    must(c->bytes);
    if (n > c->n)
        memset(c->bytes + c->n, 0, n - c->n);
    c->n = n;
}

static void
put_bytes(struct content *c, const unsigned char *bytes, size_t at, size_t n)
{
    if (n == 0)
        return;
    if (c->n < at + n)
        set_size(c, at + n);
    memcpy(c->bytes + at, bytes, n);
}

static struct shadow *
shadow_of(const char *path)
{
    size_t len = strlen(watched);

    if (len == 0 || !path || strncmp(path, watched, len) != 0 || path[len] != '/' ||
        strchr(path + len + 1, '/'))
        return NULL;
    for (struct shadow *s = shadows; s < shadows + FILES; s++) {
        if (!s->name[0]) {
            snprintf(s->name, sizeof s->name, "%s", path + len + 1);
            s->last = &s->first;
        }
        if (strcmp(s->name, path + len + 1) == 0)
            return s;
    }
    must(false); /* more files than expected */
    return NULL;
}

static void
drop_changes(struct shadow *s)
{
    while (s->first) {
        struct change *c = s->first;

        s->first = c->next;
        free(c->bytes);
        free(c);
    }
    s->last = &s->first;
}

static void
log_change(struct shadow *s, const void *bytes, size_t n, int64_t at)
{
    struct change *c = calloc(1, sizeof *c);

    must(c);
    c->at = at;
    c->n = n;
    if (bytes) {
        c->bytes = malloc(n + 1);
        must(c->bytes);
        memcpy(c->bytes, bytes, n);
    }
    *s->last = c;
    s->last = &c->next;
}

static unsigned
next_random(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return *seed >> 16;
}

/* Apply the changes to c, or those of their sectors that chance takes. */
static void
apply(const struct shadow *s, struct content *c, unsigned seed)
{
    bool all = seed == 1;

    for (const struct change *ch = s->first; ch; ch = ch->next) {
        size_t at = (size_t)ch->at;

        if (!ch->bytes && (all || next_random(&seed) % 2))
            set_size(c, at);
        for (size_t from = 0, n; ch->bytes && from < ch->n; from += n) { /* to the end of its sector */
            n = SECTOR - (at + from) % SECTOR;
            n = n < ch->n - from ? n : ch->n - from;
            if (all || next_random(&seed) % 2)
                put_bytes(c, ch->bytes + from, at + from, n);
        }
    }
}

static void
boundary(struct shadow *s)
{
    void (*call)(void *) = on_boundary;

    if (!s || !call)
        return;
    on_boundary = NULL; /* what it does is not looked at */
    call(boundary_arg);
    on_boundary = call;
}

static void
write_file(const char *to, const struct shadow *s, const struct content *c)
{
    char path[512];
    int fd;

    snprintf(path, sizeof path, "%.200s/%.200s", to, s->name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    must(fd >= 0);
    must(c->n == 0 || write(fd, c->bytes, c->n) == (ssize_t)c->n);
    close(fd);
}

void
vfs_image(const char *to, unsigned seed)
{
    for (struct shadow *s = shadows; s < shadows + FILES && s->name[0]; s++) {
        struct content c = {NULL, 0};
        char path[512];

        seed = seed > 1 ? seed * 31 + 7 : seed; /* another chance for each file */
        snprintf(path, sizeof path, "%.200s/%.200s", to, s->name);
        (void)unlink(path);
        if (!s->there && !(s->durable && (seed == 0 || (seed > 1 && seed % 2))))
            continue;
        if (s->there && !s->durable && (seed == 0 || (seed > 1 && seed % 3 == 0)))
            continue; /* made, but its directory was not synced */
        put_bytes(&c, s->synced.bytes ? s->synced.bytes : (const unsigned char *)"", 0, s->synced.n);
        if (seed != 0)
            apply(s, &c, seed);
        write_file(to, s, &c);
        free(c.bytes);
    }
}

void
vfs_watch(const char *dir, void (*call)(void *arg), void *arg)
{
    for (struct shadow *s = shadows; s < shadows + FILES; s++) {
        drop_changes(s);
        free(s->synced.bytes);
        *s = (struct shadow){.there = false};
    }
    snprintf(watched, sizeof watched, "%s", dir ? dir : "");
    vfs_on_boundary(call, arg);
}

void
vfs_on_boundary(void (*call)(void *arg), void *arg)
{
    on_boundary = call;
    boundary_arg = arg;
}

/* ---- Failing ---- */

static struct {
    unsigned kinds;
    enum vfs_how how;
    long at, count;
    bool once, failed;
} fault;

static int last_errno;

void
vfs_fail(unsigned kinds, enum vfs_how how, long at, bool once)
{
    fault.kinds = kinds;
    fault.how = how;
    fault.at = at;
    fault.count = 0;
    fault.once = once;
    fault.failed = false;
}

void
vfs_heal(void)
{
    fault.at = 0;
}

bool
vfs_failed(void)
{
    return fault.failed;
}

static bool
fails(unsigned kind)
{
    static const int errors[] = {[VFS_EIO] = EIO, [VFS_FULL] = ENOSPC, [VFS_SHORT] = ENOSPC, [VFS_READONLY] = EROFS};

    if (!(fault.kinds & kind) || fault.at == 0)
        return false;
    fault.count++;
    if (fault.count != fault.at && (fault.once || fault.count < fault.at))
        return false;
    fault.failed = true;
    last_errno = errors[fault.how];
    return true;
}

/* ---- The VFS ---- */

struct file {
    sqlite3_file base;
    struct shadow *shadow; /* NULL: not of the watched directory */
    sqlite3_file *real;    /* after this */
};

static sqlite3_vfs *usual;

static sqlite3_file *
real_of(sqlite3_file *f)
{
    return ((struct file *)f)->real;
}

static struct shadow *
shadow_of_file(sqlite3_file *f)
{
    return ((struct file *)f)->shadow;
}

static int
x_close(sqlite3_file *f)
{
    return real_of(f)->pMethods->xClose(real_of(f));
}

static int
x_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at)
{
    return fails(VFS_READ) ? SQLITE_IOERR_READ : real_of(f)->pMethods->xRead(real_of(f), to, n, at);
}

static int
do_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at)
{
    int rc = real_of(f)->pMethods->xWrite(real_of(f), from, n, at);

    if (rc == SQLITE_OK && shadow_of_file(f)) {
        log_change(shadow_of_file(f), from, (size_t)n, at);
        boundary(shadow_of_file(f));
    }
    return rc;
}

static int
x_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at)
{
    if (!fails(VFS_WRITE))
        return do_write(f, from, n, at);
    if (fault.how == VFS_SHORT)
        (void)do_write(f, from, n / 2, at);
    return fault.how == VFS_FULL || fault.how == VFS_SHORT ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

static int
x_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    int rc = fails(VFS_TRUNCATE) ? SQLITE_IOERR_TRUNCATE : real_of(f)->pMethods->xTruncate(real_of(f), size);

    if (rc == SQLITE_OK && shadow_of_file(f)) {
        log_change(shadow_of_file(f), NULL, 0, size);
        boundary(shadow_of_file(f));
    }
    return rc;
}

static int
x_sync(sqlite3_file *f, int flags)
{
    struct shadow *s = shadow_of_file(f);

    (void)flags;
    if (fails(VFS_SYNC)) { /* as Linux does: what was written is as good as synced now, but on the disk it is not */
        if (s)
            drop_changes(s);
        return SQLITE_IOERR_FSYNC;
    }
    if (s) {
        apply(s, &s->synced, 1);
        drop_changes(s);
        s->durable = s->there;
        for (struct shadow *other = shadows; other < shadows + FILES; other++) /* its directory, and all names in it */
            other->durable = other->there;
        boundary(s);
    }
    return SQLITE_OK;
}

static int
x_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return real_of(f)->pMethods->xFileSize(real_of(f), size);
}

static int
x_lock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xLock(real_of(f), level);
}

static int
x_unlock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int
x_reserved(sqlite3_file *f, int *out)
{
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
}

static int
x_control(sqlite3_file *f, int op, void *arg)
{
    if (op == SQLITE_FCNTL_LAST_ERRNO && fault.failed) {
        *(int *)arg = last_errno;
        return SQLITE_OK;
    }
    return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}

static int
x_sector(sqlite3_file *f)
{
    return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int
x_traits(sqlite3_file *f)
{
    return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

/* Of version 1: without shared memory, which an exclusive connection does not need. */
static const sqlite3_io_methods methods = {
    .iVersion = 1, .xClose = x_close, .xRead = x_read, .xWrite = x_write, .xTruncate = x_truncate, .xSync = x_sync,
    .xFileSize = x_size, .xLock = x_lock, .xUnlock = x_unlock, .xCheckReservedLock = x_reserved,
    .xFileControl = x_control, .xSectorSize = x_sector, .xDeviceCharacteristics = x_traits,
};

static int
x_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *f, int flags, int *out_flags)
{
    struct file *file = (struct file *)f;
    struct shadow *s = shadow_of(path);
    int rc;

    (void)vfs;
    file->base.pMethods = NULL;
    file->real = (sqlite3_file *)(file + 1);
    file->shadow = s;
    if (fails(VFS_OPEN))
        return SQLITE_CANTOPEN;
    rc = usual->xOpen(usual, path, file->real, flags, out_flags);
    if (rc == SQLITE_OK)
        file->base.pMethods = &methods;
    if (rc == SQLITE_OK && s && !s->there) { /* its name is in the directory; what an older one held is not in it */
        drop_changes(s);
        set_size(&s->synced, 0);
        s->there = true;
        s->durable = false;
    }
    return rc;
}

static int
x_delete(sqlite3_vfs *vfs, const char *path, int sync_dir)
{
    struct shadow *s = shadow_of(path);
    int rc;

    (void)vfs;
    rc = fails(VFS_DELETE) ? SQLITE_IOERR_DELETE : usual->xDelete(usual, path, 0);
    if (rc == SQLITE_OK && s) {
        s->there = false;
        s->durable = s->durable && !sync_dir;
        boundary(s);
    }
    return rc;
}

void
vfs_install(void)
{
    static sqlite3_vfs faulty;

    usual = sqlite3_vfs_find(NULL);
    must(usual);
    faulty = *usual;
    faulty.zName = "faulty";
    faulty.szOsFile = (int)sizeof(struct file) + usual->szOsFile;
    faulty.xOpen = x_open;
    faulty.xDelete = x_delete;
    must(sqlite3_vfs_register(&faulty, 1) == SQLITE_OK);
}
