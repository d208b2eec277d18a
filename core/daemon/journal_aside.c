/* journal_aside.c - sets a damaged journal aside; knows names, not contents.
 *
 * Runs in the loop of rekeyd, while nothing has the file open.  What was set aside is for people: rekeyd never reads it
 * again, and keeps the newest three, so that a disk that damages every journal does not fill up as well.
 */
#include "journal.h"

#include <rekey/err.h>

#include "../base/clock.h"
#include "../base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MARK ".damaged-"
#define PATH_BYTES 600 /* of a journal, and what is added */

static const char *const suffix[] = {"", "-wal", "-journal", "-shm"}; /* the file first: SQLite drops a log without */
#define SUFFIXES (sizeof suffix / sizeof *suffix)

/* What a directory's entry was set aside from the file `base` at; 0: it was not. */
static long long
time_of(const char *entry, const char *base)
{
    size_t len = strlen(base);
    long long at;
    char *end;

    if (strncmp(entry, base, len) != 0 || strncmp(entry + len, MARK, sizeof MARK - 1) != 0)
        return 0;
    at = strtoll(entry + len + sizeof MARK - 1, &end, 10);
    return at > 0 && (*end == '\0' || *end == '-') ? at : 0;
}

/* The times of the newest that are kept, newest first; ret: the newest of all that are not, 0: all are kept. */
static long long
too_old(DIR *dir, const char *base)
{
    long long kept[RK_JOURNAL_ASIDE + 1] = {0}; /* one more: it is the answer */
    struct dirent *e;

    while ((e = readdir(dir))) {
        long long at = time_of(e->d_name, base);

        for (size_t i = 0; i <= RK_JOURNAL_ASIDE && at != 0 && at != kept[i]; i++) {
            long long older = kept[i];

            if (at > older) { /* and go on with what it pushed out */
                kept[i] = at;
                at = older;
            }
        }
    }
    return kept[RK_JOURNAL_ASIDE];
}

/* Delete all but the newest, and make the names durable. */
static void
tidy(const char *path)
{
    char copy[PATH_BYTES], name[PATH_BYTES];
    const char *base = strrchr(path, '/') + 1;
    struct dirent *e;
    long long limit;
    DIR *dir;

    snprintf(copy, sizeof copy, "%s", path);
    dir = opendir(dirname(copy));
    if (!dir)
        return;
    limit = too_old(dir, base);
    rewinddir(dir);
    while (limit && (e = readdir(dir))) {
        long long at = time_of(e->d_name, base);

        snprintf(name, sizeof name, "%s", e->d_name);
        if (at != 0 && at <= limit && unlinkat(dirfd(dir), name, 0) < 0)
            rk_log(RK_LOG_WARNING, "ev=journal-aside file=%s res=io why=\"%s\"", name, strerror(errno));
    }
    (void)fsync(dirfd(dir)); /* else a crash brings the damaged one back, and it is set aside again */
    closedir(dir);
}

/* Nothing is named so, nor begins so. */
static bool
is_free(const char *to)
{
    char name[PATH_BYTES];
    bool taken = false;

    for (size_t i = 0; i < SUFFIXES && !taken; i++) {
        snprintf(name, sizeof name, "%s%s", to, suffix[i]);
        taken = access(name, F_OK) == 0;
    }
    return !taken;
}

int
rk_journal_set_aside(const char *path, char *aside, size_t size, char *why, size_t why_size)
{
    char from[PATH_BYTES], to[PATH_BYTES], name[PATH_BYTES];
    long long at = (long long)(rk_wall_now().unix_ms / 1000);

    if (at <= 0) /* a clock that was never set */
        at = 1;
    aside[0] = '\0';
    do
        snprintf(name, sizeof name, "%s" MARK "%lld", path, at);
    while (!is_free(name) && ++at);
    for (size_t i = 0; i < SUFFIXES; i++) {
        snprintf(from, sizeof from, "%s%s", path, suffix[i]);
        snprintf(to, sizeof to, "%.*s%s", (int)sizeof to - 10, name, suffix[i]);
        if (rename(from, to) == 0) {
            if (!aside[0])
                snprintf(aside, size, "%s", to);
        } else if (errno != ENOENT) {
            snprintf(why, why_size, "%s: damaged, and cannot be renamed to %s: %s", from, to, strerror(errno));
            return RK_E_IO;
        }
    }
    tidy(path);
    return RK_OK;
}
