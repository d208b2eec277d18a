/* scratch.h - a folder of a test's own, and files in it
 *
 * For tests of plugins; aborts the test program on failure, as a test without its files says nothing.
 */
#ifndef RK_SCRATCH_H
#define RK_SCRATCH_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct scratch {
    char dir[64];
};

static inline void
scratch_make(struct scratch *s)
{
    strcpy(s->dir, "/tmp/rekey-test-XXXXXX");
    if (!mkdtemp(s->dir))
        abort();
}

static inline int
scratch_remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    return remove(path);
}

static inline void
scratch_remove(struct scratch *s)
{
    if (nftw(s->dir, scratch_remove_one, 8, FTW_DEPTH | FTW_PHYS) < 0 && errno != ENOENT)
        abort();
}

/* scratch_path - path of name, valid until the 8th call from now */
static inline const char *
scratch_path(const struct scratch *s, const char *name)
{
    static char paths[8][400];
    static unsigned next;
    char *path = paths[next++ % 8];

    if (snprintf(path, sizeof paths[0], "%s/%s", s->dir, name) >= (int)sizeof paths[0])
        abort();
    return path;
}

/* scratch_write - a file with these bytes and this mode */
static inline const char *
scratch_write(const struct scratch *s, const char *name, mode_t mode, const void *bytes, size_t len)
{
    const char *path = scratch_path(s, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0 || write(fd, bytes, len) != (ssize_t)len || fchmod(fd, mode) < 0 || close(fd) < 0)
        abort();
    return path;
}

/* scratch_text - the same with a text */
static inline const char *
scratch_text(const struct scratch *s, const char *name, const char *text)
{
    return scratch_write(s, name, 0600, text, strlen(text));
}

/* scratch_read - content of a file as text in out[size]; "" when it is not there */
static inline void
scratch_read(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, out, size - 1) : 0;

    out[n > 0 ? n : 0] = '\0';
    if (fd >= 0)
        close(fd);
}

#endif
