/* path.c - the program's file: nobody but root and this user may be able to put something else in its place. */
#include "exec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Each folder above the program's own: closed to writing, or sticky as /tmp is. */
static int
check_above(char *dir, struct rkp_why *why)
{
    char *slash;
    int err = RK_OK;

    while (!err && (slash = strrchr(dir, '/')) && slash[1]) {
        err = rkp_check_parent(geteuid(), dir, why);
        *slash = '\0';
    }
    return err;
}

/* The program's own folder may not even be sticky: who can put files there can put libraries of a script there. */
static int
check_folder(const char *path, struct rkp_why *why)
{
    char *dir = strdup(path), *slash = dir ? strrchr(dir, '/') : NULL;
    int fd = -1, err;

    if (!slash) {
        free(dir);
        snprintf(why->text, sizeof why->text, "out of memory");
        return RK_E_NOMEM;
    }
    slash[slash == dir] = '\0';
    err = rkp_open_dir(dir, RKP_NOT_SHARED, &fd, why);
    if (fd >= 0)
        close(fd);
    if (!err)
        err = check_above(dir, why);
    free(dir);
    return err;
}

static int
check_file(const char *path, struct rkp_why *why)
{
    int fd = -1, err = rkp_open_file(AT_FDCWD, path, RKP_NOT_SHARED, &fd, why);

    if (fd >= 0)
        close(fd);
    if (!err && access(path, X_OK) < 0) {
        snprintf(why->text, sizeof why->text, "%.200s: may not be run; chmod u+x it", path);
        err = RK_E_CONFIG;
    }
    return err;
}

int
exec_path_check(const char *path, struct rkp_why *why)
{
    char *real = realpath(path, NULL);
    bool same = real && strcmp(real, path) == 0;
    int e = errno;

    if (!real) {
        snprintf(why->text, sizeof why->text, "%.200s: there is no such program, or it cannot be reached", path);
        return rkp_code(e);
    }
    if (!same)
        snprintf(why->text, sizeof why->text, "%.130s: a link is on its way; name the real file, %.130s", path, real);
    free(real);
    if (!same)
        return RK_E_UNSAFE;
    e = check_file(path, why);
    return e ? e : check_folder(path, why);
}
