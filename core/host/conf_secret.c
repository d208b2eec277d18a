/* conf_secret.c - reads secret files: opened once without following links, checked on the open descriptor. */
#include "conf_secret.h"

#include "../base/limits.h"
#include "../base/secret.h"

#include <rekey/err.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX "file:"

static int
check_file(int fd, const char *path, size_t most, struct stat *st, char *why, size_t size)
{
    const char *wrong = NULL;
    char longer[48];

    if (fstat(fd, st) < 0) {
        snprintf(why, size, "%s: %s", path, strerror(errno));
        return RK_E_IO;
    }
    if (!S_ISREG(st->st_mode))
        wrong = "not a regular file";
    else if (st->st_uid != 0 && st->st_uid != geteuid())
        wrong = "owned by another user; chown it to the daemon's user";
    else if (st->st_mode & 077)
        wrong = "open to group or others; chmod 600 it";
    else if (st->st_size == 0)
        wrong = "empty";
    else if ((uint64_t)st->st_size > most) {
        snprintf(longer, sizeof longer, "longer than %zu bytes", most);
        wrong = longer;
    }
    if (!wrong)
        return RK_OK;
    snprintf(why, size, "%s: %s", path, wrong);
    return RK_E_UNSAFE;
}

static int
read_file(unsigned char *bytes, size_t len, void *arg)
{
    size_t got = 0;

    while (got < len) {
        ssize_t n = read(*(int *)arg, bytes + got, len - got);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return RK_E_IO;
        got += (size_t)n;
    }
    return RK_OK;
}

/* The secret without the newline that an editor puts at the end. */
static size_t
length_of(int fd, size_t size)
{
    char last;

    return size > 1 && pread(fd, &last, 1, (off_t)size - 1) == 1 && last == '\n' ? size - 1 : size;
}

int
rk_conf_secret_open(const char *value, size_t most, struct stat *st, int *out, char *why, size_t size)
{
    const char *path = value + strlen(PREFIX);
    int err;

    *out = -1;
    if (strncmp(value, PREFIX "/", strlen(PREFIX) + 1) != 0) {
        snprintf(why, size, "a secret is given as \"file:/absolute/path\"");
        return RK_E_CONFIG;
    }
    *out = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (*out < 0) {
        err = errno;
        snprintf(why, size, "%s: %s", path, err == ELOOP ? "a symbolic link" : strerror(err));
        return err == ENOENT ? RK_E_NOENT : err == ELOOP ? RK_E_UNSAFE : err == EACCES ? RK_E_AUTH : RK_E_IO;
    }
    err = check_file(*out, path, most, st, why, size);
    if (err) {
        close(*out);
        *out = -1;
    }
    return err;
}

int
rk_conf_secret_bytes(int fd, unsigned char *bytes, size_t len)
{
    return read_file(bytes, len, &fd);
}

int
rk_conf_secret_read(const char *value, struct rk_secret **out, char *why, size_t size)
{
    struct stat st;
    int fd, err;

    *out = NULL;
    err = rk_conf_secret_open(value, RK_SECRET_FILE_MAX, &st, &fd, why, size);
    if (err)
        return err;
    err = rk_secret_new(length_of(fd, (size_t)st.st_size), read_file, &fd, out);
    if (err)
        snprintf(why, size, "%s: cannot be read whole", value + strlen(PREFIX));
    close(fd);
    return err;
}
