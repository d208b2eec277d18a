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
#include <unistd.h>

#define LOCK_PAUSE_MS 1

struct sim_witness {
    const struct rk_host *host;
    int dir_fd, lock_fd, log_fd;
    struct sim_peers peers; /* of the link that was read last */
};

int
sim_witness_new(const struct rk_host *host, struct rk_call *call, const char *path, struct sim_witness **out)
{
    struct sim_witness *w = calloc(1, sizeof *w);
    struct rkp_why why;
    int err;

    if (!w)
        return host->fail(call, RK_E_NOMEM, "peer-check-dir: out of memory");
    w->host = host;
    w->dir_fd = w->lock_fd = w->log_fd = -1;
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
        snprintf(out, size, "%s@sci=%s", d->name, f->sci); /* too long for a file: the SCI is as good a name */
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
    char text[SIM_END_BYTES], name[NAME_MAX / 2];
    size_t len = d->class->print(d, f, link, text, sizeof text);

    end_name(d, f, name, sizeof name);
    return len < sizeof text && rkp_replace(link_fd, name, (struct rkp_bytes){text, len}, 0600, false) == 0;
}

static bool
read_end(int link_fd, const char *name, char *text)
{
    int fd = openat(link_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t n = fd >= 0 ? rkp_read_small(fd, text, SIM_END_BYTES) : -1;

    if (fd >= 0)
        close(fd);
    return n >= 0;
}

static void
read_others(struct sim_peers *peers, int link_fd, const char *own_name)
{
    int fd = openat(link_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;

    if (!dir && fd >= 0)
        close(fd);
    while (dir && peers->n < SIM_PEERS_MAX && (entry = readdir(dir)))
        if (strchr(entry->d_name, '@') && !rkp_is_temp(entry->d_name) && strcmp(entry->d_name, own_name) != 0 &&
            read_end(link_fd, entry->d_name, peers->text[peers->n]))
            peers->n++;
    if (dir)
        closedir(dir);
}

const struct sim_peers *
sim_witness_peers(struct sim_witness *w, const struct sim_device *d, const struct sim_iface *f, const char *link)
{
    int link_fd = open_link(w, link, false);
    char name[NAME_MAX / 2];

    w->peers.n = 0;
    w->peers.cut = false;
    if (link_fd < 0)
        return &w->peers;
    end_name(d, f, name, sizeof name);
    read_others(&w->peers, link_fd, name);
    w->peers.cut = faccessat(link_fd, "cut", F_OK, 0) == 0;
    close(link_fd);
    return &w->peers;
}

static void
print_line(FILE *out, const struct sim_device *d, const struct sim_iface *f, const struct sim_line *l)
{
    char iface[3 * RK_IFACE_MAX + 1];

    sim_escape(f->name, iface);
    fprintf(out, "time_ns=%lld op=%s dev=%s iface=%s link=%s seq=%llu id=%s an=%d digest=%s err=%d\n",
            (long long)d->clock.boot_ns(), l->op, d->name, iface, l->link, (unsigned long long)l->seq,
            l->key_id[0] ? l->key_id : "-", l->an, l->digest[0] ? l->digest : "-", l->err);
}

/* What is being written down. */
struct telling {
    struct sim_witness *w;
    struct sim_device *d;
    struct rk_call *call;
    FILE *out;
    struct sim_iface *f;
    bool good;
};

static void
breach(void *arg, const struct sim_line *what)
{
    struct telling *t = arg;
    struct sim_line l = *what;

    t->d->violations++;
    t->d->host->log(t->call, RK_LOG_ERR, "ev=violation what=%s iface=%s link=%s seq=%llu key_id=%s an=%d count=%llu",
                    l.op, t->f->name, l.link, (unsigned long long)l.seq, l.key_id, l.an,
                    (unsigned long long)t->d->violations);
    l.op = "violation";
    l.err = RK_E_NOKEY;
    print_line(t->out, t->d, t->f, &l);
}

/* This end's state of link, on the disk and against the other ends (invariant I1). */
static bool
publish(struct telling *t, const char *link)
{
    int link_fd = open_link(t->w, link, true);
    const struct sim_class *class = t->d->class;
    const struct sim_peers *peers;
    struct sim_line l;
    bool good;

    if (link_fd < 0)
        return false;
    good = write_end(link_fd, t->d, t->f, link);
    close(link_fd);
    peers = sim_witness_peers(t->w, t->d, t->f, link);
    for (size_t i = 0; good && i < peers->n; i++)
        class->compare(t->d, t->f, link, peers->text[i], breach, t);
    if (class->used && class->used(t->d, t->f, &l)) {
        l.link = link;
        print_line(t->out, t->d, t->f, &l);
    }
    return good;
}

static const char *
op_name(const struct sim_class *class, uint32_t kind)
{
    return kind < SIM_OPS ? class->ops[kind] : "unknown";
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

static bool
link_ok(const char *link)
{
    return rkp_name_ok(link, strnlen(link, RK_LINK_MAX + 1), RK_LINK_MAX);
}

static void
tell_op(struct telling *t, const struct rk_dev_op *op, const struct sim_event *ev)
{
    struct sim_line l = {.op = op_name(t->d->class, op->kind), .link = op->link, .key_id = op->key_id, .seq = op->seq,
                         .an = ev->an, .err = op->err};

    memcpy(l.digest, ev->digest, sizeof l.digest);
    print_line(t->out, t->d, ev->iface, &l);
    if (ev->reused) {
        l.op = "violation";
        print_line(t->out, t->d, ev->iface, &l); /* counted and logged when it was done */
    }
}

int
sim_witness_tell(struct sim_witness *w, struct sim_device *d, struct rk_call *call, const struct rk_dev_op *ops,
                 const struct sim_event *events, size_t n)
{
    char *text = NULL;
    size_t len = 0;
    struct telling t = {w, d, call, open_memstream(&text, &len), NULL, true};

    if (!t.out)
        return w->host->fail(call, RK_E_NOMEM, "peer-check-dir: out of memory");
    for (size_t i = 0; i < n; i++)
        if (events[i].iface && link_ok(ops[i].link))
            tell_op(&t, &ops[i], &events[i]);
    for (size_t i = 0; i < n; i++)
        if (events[i].iface && ops[i].kind != RK_OP_DESCRIBE && !told_before(ops, i) && link_ok(ops[i].link)) {
            t.f = events[i].iface;
            t.good = publish(&t, ops[i].link) && t.good;
        }
    return append(w, call, t.out, &text, &len, t.good);
}

int
sim_witness_note(struct sim_witness *w, struct sim_device *d, struct rk_call *call, struct sim_iface *f,
                 const char *link)
{
    char *text = NULL;
    size_t len = 0;
    struct telling t = {w, d, call, open_memstream(&text, &len), f, true};

    if (!t.out)
        return w->host->fail(call, RK_E_NOMEM, "peer-check-dir: out of memory");
    t.good = publish(&t, link);
    return append(w, call, t.out, &text, &len, t.good);
}

static void
tell_held(void *arg, const struct sim_line *l)
{
    struct telling *t = arg;

    print_line(t->out, t->d, t->f, l);
    t->good = publish(t, l->link) && t->good;
}

int
sim_witness_boot(struct sim_witness *w, struct sim_device *d, struct rk_call *call)
{
    char *text = NULL;
    size_t len = 0;
    struct telling t = {w, d, call, open_memstream(&text, &len), NULL, true};

    if (!t.out)
        return w->host->fail(call, RK_E_NOMEM, "peer-check-dir: out of memory");
    for (t.f = sim_iface_next(d, NULL); t.f; t.f = sim_iface_next(d, t.f))
        d->class->held(t.f, tell_held, &t);
    return append(w, call, t.out, &text, &len, t.good);
}
