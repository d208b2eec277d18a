/* inbox.c - watches a directory: inotify for speed, scans for truth
 *
 * A scan is made at the start, after an overflow, when the directory was replaced, and now and then, as not every file
 * system tells of changes.  A scan or a batch of events that finds more than fits in a call is continued in the next.
 * Between calls no descriptor of the directory is kept, but for a scan under way: it would hide that it was removed.
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
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILE_EVENTS (IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM | IN_ATTRIB)
#define SELF_EVENTS (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)
#define EVENT_BYTES 4096   /* room for 16 events with the longest names, for 100 with usual ones */
#define OPEN_TRIES 3       /* a directory that is replaced more often within one call is somebody's mistake */
#define RACY_NS 2000000000 /* a file changed so shortly ago may change again without a new time: read it again */
#define FIRST_BUCKETS 256
#define LOOK_UP 256        /* so many files are looked at between two looks at the budget */

struct known {
    struct known *next;
    uint64_t content; /* hash of what was read; 0 for a bad file */
    uint64_t scan;    /* number of the scan that saw it last */
    ino_t ino;
    off_t size;
    int64_t mtime_ns, ctime_ns;
    bool bad;
    char name[];
};

struct inbox {
    const struct rk_host *host;
    char *path;
    int64_t rescan_ms, next_scan_ms;
    int notify_fd, watch;  /* watch: -1 when the directory is not watched */
    dev_t dev;             /* of the directory that is watched */
    ino_t ino;
    DIR *scan;             /* scan under way, or NULL */
    uint64_t scans;
    struct known **buckets;
    size_t n_buckets, n_known;
    bool told_full;
    size_t events_len, events_at;
    char events[EVENT_BYTES] __attribute__((aligned(__alignof__(struct inotify_event))));
};

/* Where the results of one call go. */
struct harvest {
    struct rk_call *call;
    int dir_fd;
    struct rk_post *posts;
    size_t max, n;
};

static uint64_t
hash(const char *bytes, size_t len)
{
    uint64_t h = 14695981039346656037u;

    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)bytes[i]) * 1099511628211u;
    return h ^ h >> 32;
}

static int64_t
now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int64_t
in_ns(struct timespec ts)
{
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

struct inbox *
inbox_new(const struct rk_host *host, const char *path, int64_t rescan_ms)
{
    struct inbox *b = calloc(1, sizeof *b);

    if (!b)
        return NULL;
    b->host = host;
    b->rescan_ms = rescan_ms;
    b->watch = -1;
    b->path = strdup(path);
    b->n_buckets = FIRST_BUCKETS;
    b->buckets = calloc(b->n_buckets, sizeof b->buckets[0]);
    b->notify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (!b->path || !b->buckets || b->notify_fd < 0) {
        inbox_free(b);
        return NULL;
    }
    return b;
}

void
inbox_free(struct inbox *b)
{
    for (size_t i = 0; b->buckets && i < b->n_buckets; i++)
        while (b->buckets[i]) {
            struct known *k = b->buckets[i];

            b->buckets[i] = k->next;
            free(k);
        }
    if (b->scan)
        closedir(b->scan);
    if (b->notify_fd >= 0)
        close(b->notify_fd);
    free(b->buckets);
    free(b->path);
    free(b);
}

/* Where the pointer to the file called name is, or would be. */
static struct known **
place(struct inbox *b, const char *name)
{
    struct known **p = &b->buckets[hash(name, strlen(name)) & (b->n_buckets - 1)];

    while (*p && strcmp((*p)->name, name) != 0)
        p = &(*p)->next;
    return p;
}

static void
grow(struct inbox *b)
{
    size_t n = b->n_buckets * 2;
    struct known **buckets = calloc(n, sizeof buckets[0]);

    if (!buckets)
        return; /* only slower */
    for (size_t i = 0; i < b->n_buckets; i++)
        while (b->buckets[i]) {
            struct known *k = b->buckets[i], **to = &buckets[hash(k->name, strlen(k->name)) & (n - 1)];

            b->buckets[i] = k->next;
            k->next = *to;
            *to = k;
        }
    free(b->buckets);
    b->buckets = buckets;
    b->n_buckets = n;
}

static struct known *
remember(struct inbox *b, const char *name)
{
    size_t size = strlen(name) + 1;
    struct known *k;

    if (b->n_known >= INBOX_FILES_MAX)
        return NULL;
    if (b->n_known >= b->n_buckets)
        grow(b);
    k = calloc(1, sizeof *k + size);
    if (!k)
        return NULL;
    memcpy(k->name, name, size);
    *place(b, name) = k;
    b->n_known++;
    return k;
}

static void
forget(struct inbox *b, const char *name)
{
    struct known **p = place(b, name), *k = *p;

    if (!k)
        return;
    *p = k->next;
    free(k);
    b->n_known--;
}

/* What no scan has seen since `scan` is gone. */
static void
sweep(struct inbox *b)
{
    for (size_t i = 0; i < b->n_buckets; i++)
        for (struct known **p = &b->buckets[i]; *p;) {
            struct known *k = *p;

            if (k->scan == b->scans) {
                p = &k->next;
                continue;
            }
            *p = k->next;
            free(k);
            b->n_known--;
        }
}

/* A name that is safe in a log line. */
static void
printable(const char *name, char *out, size_t size)
{
    size_t i;

    for (i = 0; name[i] && i + 1 < size; i++)
        out[i] = name[i] > ' ' && name[i] < 0x7f && name[i] != '"' ? name[i] : '?';
    out[i] = '\0';
}

/* In place of a record, words that say why it is none: the host counts it, and tells of it as often as is good. */
static void
put_flaw(struct rk_post *post, const char *name, const char *why)
{
    char shown[64];

    printable(name, shown, sizeof shown);
    snprintf(post->record, sizeof post->record, "%s: %s", shown, why);
}

/* Read a file whose stat is known; what is wrong with it, or NULL and its record in post, its hash in content. */
static const char *
read_record(int dir_fd, const char *name, const struct stat *st, struct rk_post *post, uint64_t *content)
{
    char text[RK_RECORD_MAX + 3];
    const char *flaw;
    struct stat now;
    ssize_t len;
    int fd;

    if (!spool_link(name, post->link))
        return "its name is not LINK.rec";
    if (!S_ISREG(st->st_mode))
        return S_ISLNK(st->st_mode) ? "a symbolic link" : "not a regular file";
    if (st->st_uid != 0 && st->st_uid != geteuid())
        return "it belongs to another user; the file mover must run as the daemon's user or root";
    if (st->st_size > RK_RECORD_MAX + 1)
        return "longer than a record (255 bytes)";
    fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == ELOOP ? "a symbolic link" : "it cannot be opened";
    len = fstat(fd, &now) == 0 && S_ISREG(now.st_mode) ? rkp_read_small(fd, text, sizeof text) : -1;
    close(fd);
    if (len < 0)
        return errno == EFBIG ? "longer than a record (255 bytes)" : "it cannot be read";
    flaw = spool_record_flaw(text, (size_t)len);
    if (flaw)
        return flaw;
    memcpy(post->record, text, (size_t)len - 1); /* at most RK_RECORD_MAX: the check above */
    *content = hash(text, (size_t)len);
    return NULL;
}

static bool
is_racy(int64_t mtime_ns)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return in_ns(now) - mtime_ns < RACY_NS;
}

/* Nothing about the file has changed, as far as its inode tells.  (A bad one may become good by its owner or mode.) */
static bool
looks_same(const struct known *k, const struct stat *st)
{
    return k->ino == st->st_ino && k->size == st->st_size && k->mtime_ns == in_ns(st->st_mtim) &&
           (!k->bad || k->ctime_ns == in_ns(st->st_ctim));
}

static void
note(struct known *k, const struct stat *st)
{
    k->ino = st->st_ino;
    k->size = st->st_size;
    k->mtime_ns = in_ns(st->st_mtim);
    k->ctime_ns = in_ns(st->st_ctim);
}

/* A file that is just being written shows up by IN_CREATE first; IN_CLOSE_WRITE tells when it is whole. */
static bool
not_yet_whole(const struct inotify_event *event, const struct stat *st)
{
    return event && event->mask & IN_CREATE && S_ISREG(st->st_mode) && st->st_nlink == 1;
}

/* Look at one name; what is new goes to h.  event: what led here, NULL: a scan. */
static void
examine(struct inbox *b, struct harvest *h, const char *name, const struct inotify_event *event)
{
    struct rk_post *post = &h->posts[h->n];
    struct known *k = *place(b, name);
    uint64_t content = 0;
    const char *flaw;
    struct stat st;
    bool same;

    if (name[0] == '.' || rkp_is_temp(name))
        return;
    if (fstatat(h->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        forget(b, name);
        return;
    }
    if (not_yet_whole(event, &st))
        return;
    same = k && looks_same(k, &st);
    if (same && !is_racy(k->bad ? k->ctime_ns : k->mtime_ns)) {
        k->scan = b->scans;
        return;
    }
    if (!k)
        k = remember(b, name);
    if (!k) {
        if (!b->told_full)
            b->host->log(h->call, RK_LOG_WARNING, "ev=ignore dir=%s why=\"out of memory or too many files: not all are "
                         "looked at\"", b->path);
        b->told_full = true;
        return;
    }
    memset(post, 0, sizeof *post);
    flaw = read_record(h->dir_fd, name, &st, post, &content);
    k->scan = b->scans;
    note(k, &st);
    if (same && content == k->content && k->bad == (flaw != NULL))
        return;
    if (flaw)
        put_flaw(post, name, flaw);
    h->n++;
    k->bad = flaw != NULL;
    k->content = content;
}

/* Go on with the scan until it ends, the harvest is full, or the call is to be given up. */
static void
scan_on(struct inbox *b, struct harvest *h)
{
    const struct dirent *entry;

    for (size_t i = 1; h->n < h->max; i++) {
        if (i % LOOK_UP == 0 && rkp_pause(b->host, h->call, -1, 0))
            return;
        entry = readdir(b->scan);
        if (!entry)
            break;
        examine(b, h, entry->d_name, NULL);
    }
    if (h->n == h->max)
        return;
    closedir(b->scan);
    b->scan = NULL;
    sweep(b);
}

static void
begin_scan(struct inbox *b)
{
    int fd = open(b->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (b->scan)
        closedir(b->scan);
    b->scan = fd >= 0 ? fdopendir(fd) : NULL;
    if (!b->scan && fd >= 0)
        close(fd);
    b->scans++;
    b->told_full = false;
    b->next_scan_ms = now_ms() + b->rescan_ms;
}

/* Forget the directory, but not its files: in a new one with the same path, the same files are no news. */
static void
unwatch(struct inbox *b)
{
    if (b->watch >= 0)
        (void)inotify_rm_watch(b->notify_fd, b->watch);
    b->watch = -1;
    if (b->scan)
        closedir(b->scan);
    b->scan = NULL;
}

/* Work through the events at hand until they end or the harvest is full. */
static void
events_on(struct inbox *b, struct harvest *h)
{
    while (b->events_at < b->events_len && h->n < h->max) {
        /* the buffer is aligned, and the kernel pads each event */
        const struct inotify_event *event = (const void *)(b->events + b->events_at);

        b->events_at += sizeof *event + event->len;
        if (event->mask & IN_Q_OVERFLOW)
            begin_scan(b);
        else if (event->wd != b->watch)
            continue; /* of a directory that was there before */
        else if (event->mask & SELF_EVENTS)
            unwatch(b);
        else if (event->len > 0 && event->mask & (IN_DELETE | IN_MOVED_FROM))
            forget(b, event->name);
        else if (event->len > 0)
            examine(b, h, event->name, event);
    }
}

static bool
read_events(struct inbox *b)
{
    ssize_t n;

    if (b->events_at < b->events_len)
        return true;
    n = read(b->notify_fd, b->events, sizeof b->events);
    b->events_at = 0;
    b->events_len = n > 0 ? (size_t)n : 0;
    return n > 0;
}

static int
missing(struct inbox *b, struct rk_call *call, int err, const char *why)
{
    return b->host->fail(call, err, "peer-dir: %s%s", why, err == RK_E_NOENT
                             ? "; create it (chmod 755, owned by the daemon's user), or correct the path" : "");
}

/* The watch and the checked descriptor must be of one directory, though a path can change in between. */
static int
watch_dir(struct inbox *b, struct rk_call *call, int dir_fd)
{
    struct stat at_path, at_fd;

    b->watch = inotify_add_watch(b->notify_fd, b->path, FILE_EVENTS | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR |
                                 IN_DONT_FOLLOW);
    if (b->watch < 0)
        return errno == ENOSPC
                   ? b->host->fail(call, RK_E_IO, "peer-dir: %s: no inotify watch left; raise the sysctl "
                                   "fs.inotify.max_user_watches", b->path)
                   : b->host->fail(call, rkp_code(errno), "peer-dir: %s: cannot be watched: %m", b->path);
    if (lstat(b->path, &at_path) < 0 || fstat(dir_fd, &at_fd) < 0 || at_path.st_ino != at_fd.st_ino ||
        at_path.st_dev != at_fd.st_dev) {
        unwatch(b);
        return RK_E_AGAIN;
    }
    b->dev = at_fd.st_dev;
    b->ino = at_fd.st_ino;
    begin_scan(b);
    return RK_OK;
}

/* Open the directory for this round, and watch it when it is not the one that is watched. */
static int
open_dir(struct inbox *b, struct rk_call *call, int *dir_fd)
{
    for (int i = 0; i < OPEN_TRIES; i++) {
        struct rkp_why why;
        struct stat st;
        int err = rkp_open_dir(b->path, RKP_NOT_SHARED, dir_fd, &why);

        if (err) {
            unwatch(b);
            return missing(b, call, err, why.text);
        }
        if (b->watch >= 0 && fstat(*dir_fd, &st) == 0 && st.st_ino == b->ino && st.st_dev == b->dev)
            return RK_OK;
        unwatch(b);
        err = watch_dir(b, call, *dir_fd);
        if (err == RK_OK)
            return RK_OK;
        close(*dir_fd);
        if (err != RK_E_AGAIN)
            return err;
    }
    return b->host->fail(call, RK_E_BUSY, "peer-dir: %s: is being replaced all the time", b->path);
}

/* Take what is there now, without waiting. */
static int
collect(struct inbox *b, struct harvest *h)
{
    int err = open_dir(b, h->call, &h->dir_fd);

    if (err)
        return err;
    if (!b->scan && now_ms() >= b->next_scan_ms)
        begin_scan(b);
    do {
        if (b->scan)
            scan_on(b, h);
        if (!b->scan && h->n < h->max && read_events(b))
            events_on(b, h);
    } while (h->n < h->max && b->watch >= 0 && (b->scan || b->events_at < b->events_len) &&
             rkp_pause(b->host, h->call, -1, 0) == 0);
    close(h->dir_fd);
    return RK_OK;
}

int
inbox_watch(struct inbox *b, struct rk_call *call, struct rk_post *posts, size_t max, size_t *n)
{
    struct harvest h = {.call = call, .dir_fd = -1, .posts = posts, .max = max};
    int err;

    *n = 0;
    do {
        int64_t pause;

        err = collect(b, &h);
        if (err || h.n > 0)
            break;
        pause = b->next_scan_ms - now_ms();
        /* after a change of the directory itself: at once */
        err = rkp_pause(b->host, call, b->watch >= 0 ? b->notify_fd : -1, b->watch >= 0 && pause > 0 ? pause : 0);
    } while (err >= 0);
    *n = h.n;
    if (err == RK_E_TIMEOUT)
        return RK_OK; /* no news */
    if (err == RK_E_CANCELED)
        return b->host->fail(call, err, "peer-dir: %s: watch was given up", b->path);
    return err;
}
