/* witness.c - writes the ends' states and the event log, and compares ends.  Every change is made under one lock, so
 * the order of events.log is the order of effects; replaced files are not synced, as only processes die in tests. */
#include "witness.h"

#include "keep.h"

#include "../../common/files.h"
#include "../../common/keytext.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ENDS_MAX 8       /* ends of one link that are compared: two, and those of tests that get it wrong */
#define END_BYTES_MAX 1024 /* four slot lines of 200 bytes */
#define LOCK_PAUSE_MS 1

struct sim_witness {
    const struct rk_host *host;
    int dir_fd, lock_fd, log_fd;
};

/* One end of a link, as its file tells. */
struct end {
    struct sim_slot slot[SIM_SLOTS];
};

int
sim_witness_new(const struct rk_host *host, struct rk_call *call, const char *path, struct sim_witness **out)
{
    struct sim_witness *w = calloc(1, sizeof *w);
    struct rkp_why why;
    int err;

    if (!w)
        return host->fail(call, RK_E_NOMEM, "peer-check-dir: out of memory");
    *w = (struct sim_witness){host, -1, -1, -1};
    err = rkp_open_dir(path, RKP_NOT_SHARED, &w->dir_fd, &why);
    if (err) {
        sim_witness_free(w);
        return host->fail(call, err, "peer-check-dir: %s", why.text);
    }
    w->lock_fd = openat(w->dir_fd, ".lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    w->log_fd = openat(w->dir_fd, "events.log", O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (w->lock_fd < 0 || w->log_fd < 0) {
        err = host->fail(call, rkp_code(errno), "peer-check-dir: %s: .lock or events.log cannot be written", path);
        sim_witness_free(w);
        return err;
    }
    *out = w;
    return RK_OK;
}

void
sim_witness_free(struct sim_witness *w)
{
    if (!w)
        return;
    if (w->log_fd >= 0)
        close(w->log_fd);
    if (w->lock_fd >= 0)
        close(w->lock_fd);
    if (w->dir_fd >= 0)
        close(w->dir_fd);
    free(w);
}

int
sim_witness_lock(struct sim_witness *w, struct rk_call *call)
{
    while (flock(w->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        int err = errno == EWOULDBLOCK || errno == EINTR ? rkp_pause(w->host, call, -1, LOCK_PAUSE_MS) : RK_E_IO;

        if (err)
            return w->host->fail(call, err, "peer-check-dir: .lock is held by another process");
    }
    return RK_OK;
}

void
sim_witness_unlock(struct sim_witness *w)
{
    (void)flock(w->lock_fd, LOCK_UN);
}

static void
end_name(const struct sim_device *d, const struct sim_iface *f, char *out, size_t size)
{
    char iface[3 * RK_IFACE_MAX + 1];

    sim_escape(f->name, iface);
    if ((size_t)snprintf(out, size, "%s@%s", d->name, iface) >= size)
        snprintf(out, size, "%s@%.100s", d->name, f->facts); /* too long for a file: the SCI is as good a name */
}

static int
open_link(const struct sim_witness *w, const char *link, bool make)
{
    if (!rkp_name_ok(link, strnlen(link, RK_LINK_MAX + 1), RK_LINK_MAX))
        return -1;
    if (make && mkdirat(w->dir_fd, link, 0700) < 0 && errno != EEXIST)
        return -1;
    return openat(w->dir_fd, link, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static bool
write_end(int link_fd, const struct sim_device *d, const struct sim_iface *f, const char *link)
{
    char text[END_BYTES_MAX], name[NAME_MAX / 2], flags[4];
    size_t len = (size_t)snprintf(text, sizeof text, "%s\n", f->facts);

    for (int i = 0; i < SIM_SLOTS; i++) {
        const struct sim_slot *s = &f->slot[i];

        if (!s->flags || strcmp(s->link, link) != 0 || len >= sizeof text)
            continue;
        sim_flags(s->flags, flags);
        len += (size_t)snprintf(text + len, sizeof text - len, "slot an=%d flags=%s seq=%llu id=%s digest=%s\n", i,
                                flags, (unsigned long long)s->seq, s->key_id, s->digest);
    }
    end_name(d, f, name, sizeof name);
    return len < sizeof text && rkp_replace(link_fd, name, (struct rkp_bytes){text, len}, 0600, false) == 0;
}

static bool
read_end(int link_fd, const char *name, struct end *e)
{
    char text[END_BYTES_MAX];
    int fd = openat(link_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t n = fd >= 0 ? rkp_read_small(fd, text, sizeof text) : -1;

    memset(e, 0, sizeof *e);
    if (fd >= 0)
        close(fd);
    for (char *line = n >= 0 ? strstr(text, "\nslot ") : NULL; line; line = strstr(line + 1, "\nslot ")) {
        struct sim_slot s = {0};
        unsigned long long seq;
        char flags[4];
        int an;

        if (sscanf(line + 1, "slot an=%1d flags=%3s seq=%20llu id=%64s digest=%32s", &an, flags, &seq, s.key_id,
                   s.digest) != 5 || an < 0 || an >= SIM_SLOTS)
            return false;
        s.seq = seq;
        s.flags = (flags[0] == 'r' ? RK_HELD_RX : 0) | (flags[2] == 's' ? RK_SENDING : 0);
        e->slot[an] = s;
    }
    return n >= 0;
}

/* The other ends of a link.  ret: how many */
static size_t
read_others(int link_fd, const char *own_name, struct end *ends)
{
    int fd = openat(link_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    size_t n = 0;

    if (!dir && fd >= 0)
        close(fd);
    while (dir && n < ENDS_MAX && (entry = readdir(dir)))
        if (strchr(entry->d_name, '@') && !rkp_is_temp(entry->d_name) && strcmp(entry->d_name, own_name) != 0 &&
            read_end(link_fd, entry->d_name, &ends[n]))
            n++;
    if (dir)
        closedir(dir);
    return n;
}

/* The slot that from sends with when to cannot receive it; NULL: all is well. */
static const struct sim_slot *
unheard(const struct sim_slot *from, const struct sim_slot *to)
{
    for (int i = 0; i < SIM_SLOTS; i++)
        if (from[i].flags & RK_SENDING &&
            !(to[i].flags & RK_HELD_RX && strcmp(to[i].digest, from[i].digest) == 0))
            return &from[i];
    return NULL;
}

static long long
now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (long long)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

struct line {
    const char *op, *link, *key_id, *digest;
    uint64_t seq;
    int an, err;
};

static void
print_line(FILE *out, const struct sim_device *d, const struct sim_iface *f, struct line l)
{
    char iface[3 * RK_IFACE_MAX + 1];

    sim_escape(f->name, iface);
    fprintf(out, "time_ns=%lld op=%s dev=%s iface=%s link=%s seq=%llu id=%s an=%d digest=%s err=%d\n", now_ns(), l.op,
            d->name, iface, l.link, (unsigned long long)l.seq, l.key_id[0] ? l.key_id : "-", l.an,
            l.digest[0] ? l.digest : "-", l.err);
}

static void
breach(struct sim_device *d, struct rk_call *call, FILE *out, const struct sim_iface *f, struct line l)
{
    d->violations++;
    d->host->log(call, RK_LOG_ERR, "ev=violation what=%s iface=%s link=%s seq=%llu key_id=%s an=%d count=%llu", l.op,
                 f->name, l.link, (unsigned long long)l.seq, l.key_id, l.an, (unsigned long long)d->violations);
    l.op = "violation";
    print_line(out, d, f, l);
}

/* This end's state of link, on the disk and against the other ends (invariant I1). */
static bool
publish(struct sim_witness *w, struct sim_device *d, struct rk_call *call, FILE *out, const struct sim_iface *f,
        const char *link)
{
    int link_fd = open_link(w, link, true);
    char name[NAME_MAX / 2];
    struct end ends[ENDS_MAX];
    size_t n;

    if (link_fd < 0)
        return false;
    if (!write_end(link_fd, d, f, link)) {
        close(link_fd);
        return false;
    }
    end_name(d, f, name, sizeof name);
    n = read_others(link_fd, name, ends);
    close(link_fd);
    for (size_t i = 0; i < n; i++) {
        const struct sim_slot *mine = unheard(f->slot, ends[i].slot), *theirs = unheard(ends[i].slot, f->slot);

        if (mine && strcmp(mine->link, link) == 0)
            breach(d, call, out, f, (struct line){"peer-cannot-hear", link, mine->key_id, mine->digest, mine->seq,
                                                  (int)(mine->seq % SIM_SLOTS), RK_E_NOKEY});
        if (theirs)
            breach(d, call, out, f, (struct line){"cannot-hear-peer", link, theirs->key_id, theirs->digest, theirs->seq,
                                                  (int)(theirs->seq % SIM_SLOTS), RK_E_NOKEY});
    }
    return true;
}

static const char *
op_name(uint32_t kind)
{
    static const char *const names[] = {"none", "stage", "activate", "retire", "describe"};

    return kind < sizeof names / sizeof names[0] ? names[kind] : "unknown";
}

/* Append what was printed, in one write. */
static int
append(struct sim_witness *w, struct rk_call *call, FILE *out, char **text, size_t *len, bool good)
{
    good = fclose(out) == 0 && good && rkp_write_all(w->log_fd, (struct rkp_bytes){*text, *len}) == 0;
    free(*text);
    return good ? RK_OK : w->host->fail(call, RK_E_IO, "peer-check-dir: the state of the links cannot be written: %m");
}

static bool
told_before(const struct rk_dev_op *ops, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (ops[k].kind != RK_OP_DESCRIBE && strcmp(ops[k].link, ops[i].link) == 0 &&
            strcmp(ops[k].iface, ops[i].iface) == 0)
            return true;
    return false;
}

int
sim_witness_tell(struct sim_witness *w, struct sim_device *d, struct rk_call *call, const struct rk_dev_op *ops,
                 const struct sim_event *events, size_t n)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    bool good = true;

    if (!out)
        return w->host->fail(call, RK_E_NOMEM, "peer-check-dir: out of memory");
    for (size_t i = 0; i < n; i++) {
        struct line l = {op_name(ops[i].kind), ops[i].link, ops[i].key_id, events[i].digest, ops[i].seq,
                         events[i].an, ops[i].err};

        if (!events[i].iface || !rkp_name_ok(l.link, strnlen(l.link, RK_LINK_MAX + 1), RK_LINK_MAX))
            continue;
        print_line(out, d, events[i].iface, l);
        if (events[i].reused) {
            l.op = "violation";
            print_line(out, d, events[i].iface, l); /* counted and logged when it was done */
        }
    }
    for (size_t i = 0; i < n; i++)
        if (events[i].iface && ops[i].kind != RK_OP_DESCRIBE && !told_before(ops, i) &&
            rkp_name_ok(ops[i].link, strnlen(ops[i].link, RK_LINK_MAX + 1), RK_LINK_MAX))
            good = publish(w, d, call, out, events[i].iface, ops[i].link) && good;
    return append(w, call, out, &text, &len, good);
}

int
sim_witness_boot(struct sim_witness *w, struct sim_device *d, struct rk_call *call)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    bool good = true;

    if (!out)
        return w->host->fail(call, RK_E_NOMEM, "peer-check-dir: out of memory");
    for (const struct sim_iface *f = sim_iface_next(d, NULL); f; f = sim_iface_next(d, f))
        for (int i = 0; i < SIM_SLOTS; i++) {
            const struct sim_slot *s = &f->slot[i];

            if (!s->flags)
                continue;
            print_line(out, d, f, (struct line){"boot", s->link, s->key_id, s->digest, s->seq, i, RK_OK});
            good = publish(w, d, call, out, f, s->link) && good;
        }
    return append(w, call, out, &text, &len, good);
}

void
sim_witness_peer(struct sim_witness *w, const struct sim_device *d, const struct sim_iface *f, struct rk_dev_seen *seen)
{
    int link_fd = open_link(w, seen->link, false);
    struct end ends[ENDS_MAX];
    char name[NAME_MAX / 2];
    size_t n;

    if (link_fd < 0)
        return;
    end_name(d, f, name, sizeof name);
    n = read_others(link_fd, name, ends);
    close(link_fd);
    for (size_t i = 0; i < n * RK_SEEN_KEYS; i++) {
        const struct end *e = &ends[i / RK_SEEN_KEYS];
        size_t at = i % RK_SEEN_KEYS, an = seen->seqs[at] % SIM_SLOTS;

        /* frames are heard only with the same key in the same slot */
        if (seen->key_ids[at] && seen->held[at] & RK_HELD_RX && e->slot[an].flags & RK_SENDING &&
            strcmp(e->slot[an].digest, f->slot[an].digest) == 0)
            seen->held[at] |= RK_PEER_USES;
    }
}
