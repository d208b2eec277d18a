/* journal_aside.c - sets a damaged journal aside; knows names, not contents.
 *
 * Runs in the loop of rekeyd, while nothing has the file open.  What was set aside is for people: rekeyd never reads it
 * again, and keeps the newest three, so that a disk that damages every journal does not fill up as well.
 */
#include "journal.h"

#include <rekey/err.h>

#include "../base/clock.h"
#include "../base/log.h"
#include "../base/text.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
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
    return at > 0 && at < LLONG_MAX && (*end == '\0' || *end == '-') ? at : 0;
}

/* The times of the newest that were set aside, newest first, and one more than are kept; 0: none. */
static void
newest(DIR *dir, const char *base, long long times[RK_JOURNAL_ASIDE + 1])
{
    struct dirent *e;

    memset(times, 0, (RK_JOURNAL_ASIDE + 1) * sizeof *times);
    rewinddir(dir);
    while ((e = readdir(dir))) {
        long long at = time_of(e->d_name, base);

        for (size_t i = 0; i <= RK_JOURNAL_ASIDE && at != 0 && at != times[i]; i++) {
            long long older = times[i];

            if (at > older) { /* and go on with what it pushed out */
                times[i] = at;
                at = older;
            }
        }
    }
}

/* Delete all but the newest, and make the names durable. */
static void
tidy(DIR *dir, const char *base)
{
    long long times[RK_JOURNAL_ASIDE + 1];
    struct dirent *e;

    newest(dir, base, times);
    rewinddir(dir);
    while ((e = readdir(dir))) {
        long long at = time_of(e->d_name, base);

        if (at != 0 && at <= times[RK_JOURNAL_ASIDE] && unlinkat(dirfd(dir), e->d_name, 0) < 0)
            rk_log(RK_LOG_WARNING, "ev=journal-aside file=%s res=io why=\"%s\"", e->d_name, strerror(errno));
    }
    (void)fsync(dirfd(dir)); /* else a crash brings the damaged one back, and it is set aside again */
}

static DIR *
folder_of(const char *path)
{
    char copy[PATH_BYTES];

    return rk_copy(copy, sizeof copy, path) ? opendir(dirname(copy)) : NULL;
}

int
rk_journal_set_aside(const char *path, char *aside, size_t size, char *why, size_t why_size)
{
    long long at = (long long)(rk_wall_now().unix_ms / 1000), times[RK_JOURNAL_ASIDE + 1];
    char from[PATH_BYTES], to[PATH_BYTES + 40];
    const char *base = strrchr(path, '/') + 1;
    DIR *dir = folder_of(path);
    int err = RK_OK;

    aside[0] = '\0';
    if (!dir) {
        snprintf(why, why_size, "%s: its folder: %s", path, strerror(errno));
        return errno == ENOENT ? RK_E_NOENT : RK_E_IO;
    }
    newest(dir, base, times);
    if (at <= times[0]) /* within a second, or the clock went back: still it is the newest */
        at = times[0] + 1;
    for (size_t i = 0; i < SUFFIXES && err == RK_OK; i++) {
        snprintf(from, sizeof from, "%s%s", path, suffix[i]);
        snprintf(to, sizeof to, "%s" MARK "%lld%s", path, at, suffix[i]);
        if (rename(from, to) == 0) {
            if (!aside[0])
                snprintf(aside, size, "%s", to);
        } else if (errno != ENOENT) {
            snprintf(why, why_size, "%s: damaged, and cannot be renamed to %s: %s", from, to, strerror(errno));
            err = RK_E_IO;
        }
    }
    tidy(dir, base);
    closedir(dir);
    return err;
}
