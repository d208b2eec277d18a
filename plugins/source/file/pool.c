/* pool.c - loads the index of a pool, and reads single keys.  Every buffer that has held a key is wiped. */
#include "pool.h"

#include "keyline.h"

#include "../../common/files.h"
#include "../../common/keytext.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SUFFIX ".key"
#define CHUNK 65536   /* bytes of a pool file in memory at a time, while it is loaded */
#define LOOK_UP 1024  /* so many keys are loaded between two looks at the budget */
#define DIGEST 16     /* bytes of SHA-256 that tell keys apart while a pool is loaded */

/* One key's digest, to find equal keys.  Wiped and freed when the pool is loaded. */
struct mark {
    unsigned char digest[DIGEST];
    uint32_t key;
};

struct load {
    struct pool *pool;
    struct rk_call *call;
    struct mark *marks;
    size_t room;
    unsigned char key[RK_SECRET_MAX];
};

static size_t
hash(const char *id)
{
    uint64_t h = 14695981039346656037u;

    for (; *id; id++)
        h = (h ^ (unsigned char)*id) * 1099511628211u;
    return (size_t)(h ^ h >> 32);
}

const char *
pool_id(const struct pool *p, const struct pool_key *k)
{
    return p->ids + k->id;
}

struct pool_key *
pool_find(const struct pool *p, const char *id)
{
    for (size_t i = p->n_index ? hash(id) : 0; p->n_index; i++) {
        uint32_t at = p->index[i & (p->n_index - 1)];

        if (at == 0)
            return NULL;
        if (strcmp(pool_id(p, &p->keys[at - 1]), id) == 0)
            return &p->keys[at - 1];
    }
    return NULL;
}

static void
put_index(struct pool *p, uint32_t key)
{
    size_t i = hash(pool_id(p, &p->keys[key]));

    while (p->index[i & (p->n_index - 1)])
        i++;
    p->index[i & (p->n_index - 1)] = key + 1;
}

/* Room for twice as many keys, and an index that stays half empty. */
static bool
grow(struct load *l)
{
    struct pool *p = l->pool;
    size_t room = p->room ? p->room * 2 : 256;
    struct pool_key *keys = reallocarray(p->keys, room, sizeof keys[0]);
    struct mark *marks;

    if (!keys)
        return false;
    p->keys = keys;
    marks = calloc(room, sizeof marks[0]);
    if (!marks)
        return false;
    if (l->marks) {
        memcpy(marks, l->marks, l->room * sizeof marks[0]);
        explicit_bzero(l->marks, l->room * sizeof marks[0]);
        free(l->marks);
    }
    l->marks = marks;
    l->room = room;
    p->room = room;
    free(p->index);
    p->n_index = room * 2;
    p->index = calloc(p->n_index, sizeof p->index[0]);
    for (uint32_t i = 0; p->index && i < p->n; i++)
        put_index(p, i);
    return p->index != NULL;
}

static bool
keep_id(struct pool *p, const char *id, uint32_t *at)
{
    size_t size = strlen(id) + 1;

    if (p->ids_room - p->ids_len < size) {
        size_t room = p->ids_room ? p->ids_room * 2 : 16384;
        char *ids = realloc(p->ids, room);

        if (!ids)
            return false;
        p->ids = ids;
        p->ids_room = room;
    }
    *at = (uint32_t)p->ids_len;
    memcpy(p->ids + p->ids_len, id, size);
    p->ids_len += size;
    return true;
}

void
pool_forget(struct pool *p)
{
    p->seen.st_ino = 0;
    p->n = p->room = p->ids_len = p->ids_room = p->n_index = 0;
    free(p->keys);
    free(p->ids);
    free(p->index);
    p->keys = NULL;
    p->ids = NULL;
    p->index = NULL;
}

void
pool_free(struct pool *p)
{
    pool_forget(p);
    free(p->path);
}

/* Where a key is, for a person: "PATH:LINE" or "PATH/ID.key". */
static const char *
where(const struct pool *p, const struct pool_key *k, char *out, size_t size)
{
    if (p->is_dir)
        snprintf(out, size, "%.200s/%s" SUFFIX, p->path, pool_id(p, k));
    else
        snprintf(out, size, "%.200s:%u", p->path, k->line);
    return out;
}

/* Add a key whose bytes are in l->key[n]; k has its place, its bits and its ID. */
static int
add_key(struct load *l, struct pool_key k, const char *id, size_t n)
{
    struct pool *p = l->pool;
    const struct pool_key *same;
    unsigned char digest[32];
    char here[300], there[300];

    if (p->n >= POOL_KEYS_MAX)
        return p->host->fail(l->call, RK_E_CONFIG, "pool: %s: more than %d keys; split it", p->path, POOL_KEYS_MAX);
    if ((p->n == p->room && !grow(l)) || !keep_id(p, id, &k.id))
        return p->host->fail(l->call, RK_E_NOMEM, "pool: %s: out of memory", p->path);
    same = pool_find(p, id);
    if (same)
        return p->host->fail(l->call, RK_E_CONFIG, "pool: %s: the key ID is also that of %s; remove one",
                             where(p, &k, here, sizeof here), where(p, same, there, sizeof there));
    k.bits = (uint32_t)n * 8;
    if (p->host->sha256(l->key, n, digest) != RK_OK)
        return p->host->fail(l->call, RK_E_FATAL, "pool: no SHA-256");
    memcpy(l->marks[p->n].digest, digest, DIGEST);
    explicit_bzero(digest, sizeof digest);
    l->marks[p->n].key = (uint32_t)p->n;
    p->keys[p->n] = k;
    put_index(p, (uint32_t)p->n++);
    return RK_OK;
}

static int
compare_marks(const void *a, const void *b)
{
    const struct mark *x = a, *y = b;
    int order = memcmp(x->digest, y->digest, DIGEST);

    return order ? order : x->key < y->key ? -1 : x->key > y->key;
}

/* Two IDs with one key would be one key used twice. */
static int
check_twins(struct load *l)
{
    struct pool *p = l->pool;
    char here[300], there[300];

    if (p->n > 1)
        qsort(l->marks, p->n, sizeof l->marks[0], compare_marks);
    for (size_t i = 1; i < p->n; i++)
        if (memcmp(l->marks[i - 1].digest, l->marks[i].digest, DIGEST) == 0)
            return p->host->fail(l->call, RK_E_CONFIG, "pool: %s: the key is also that of %s; make each key anew",
                                 where(p, &p->keys[l->marks[i].key], here, sizeof here),
                                 where(p, &p->keys[l->marks[i - 1].key], there, sizeof there));
    return RK_OK;
}

static int
add_line(struct load *l, const char *line, struct pool_key k)
{
    struct pool *p = l->pool;
    struct keyline split;
    char id[RK_KEY_ID_MAX + 1];
    const char *flaw = keyline_split(line, k.len, &split);
    size_t n = 0;

    if (!flaw && !split.id)
        return RK_OK;
    if (!flaw)
        flaw = keyline_decode(split.key, split.key_len, 0, l->key, &n);
    if (flaw)
        return p->host->fail(l->call, RK_E_CONFIG, "pool: %s:%u: %s", p->path, k.line, flaw);
    memcpy(id, split.id, split.id_len);
    id[split.id_len] = '\0';
    rkp_key_id_fold(id);
    return add_key(l, k, id, n);
}

/* A window of a file that moves on line by line. */
struct window {
    int fd;
    char *buf;      /* CHUNK bytes */
    size_t len, at;
    uint64_t begin; /* of buf in the file */
};

/* Read on until the window holds a whole line.  ret: 1; 0 at the end of the file; else a code */
static int
next_line(struct window *w, char **line, size_t *len)
{
    for (;;) {
        char *end = memchr(w->buf + w->at, '\n', w->len - w->at);
        ssize_t n;

        if (end) {
            *line = w->buf + w->at;
            *len = (size_t)(end - *line);
            return *len <= POOL_LINE_MAX ? 1 : RK_E_CONFIG;
        }
        if (w->len - w->at > POOL_LINE_MAX)
            return RK_E_CONFIG;
        memmove(w->buf, w->buf + w->at, w->len - w->at);
        w->len -= w->at;
        w->begin += w->at;
        w->at = 0;
        n = read(w->fd, w->buf + w->len, CHUNK - w->len);
        if (n < 0 && errno != EINTR)
            return RK_E_IO;
        if (n == 0)
            return w->len == 0 ? 0 : RK_E_PROTOCOL;
        w->len += n > 0 ? (size_t)n : 0;
    }
}

static int
load_lines(struct load *l, struct window *w)
{
    struct pool *p = l->pool;
    uint32_t number = 0;
    char *line;
    size_t len;
    int r;

    while ((r = next_line(w, &line, &len)) == 1) {
        struct pool_key k = {.at = w->begin + w->at, .len = (uint32_t)len, .line = ++number};
        int err = number % LOOK_UP ? RK_OK : rkp_pause(p->host, l->call, -1, 0);

        if (err)
            return p->host->fail(l->call, err, "pool: %s: loading was given up at line %u", p->path, number);
        err = add_line(l, line, k);
        if (err)
            return err;
        w->at += len + 1;
    }
    if (r == 0)
        return RK_OK;
    if (r == RK_E_IO)
        return p->host->fail(l->call, r, "pool: %s: cannot be read: %m", p->path);
    return p->host->fail(l->call, RK_E_CONFIG, "pool: %s:%u: %s", p->path, number + 1, r == RK_E_PROTOCOL
                             ? "the last line is cut off (no newline); complete or remove it" : "the line is too long");
}

static int
load_file(struct load *l, int fd, const struct stat *st)
{
    struct window w = {.fd = fd};
    int err;

    if (st->st_size > POOL_BYTES_MAX)
        return l->pool->host->fail(l->call, RK_E_CONFIG, "pool: %s: longer than 100 MiB; split it", l->pool->path);
    w.buf = malloc(CHUNK);
    if (!w.buf)
        return l->pool->host->fail(l->call, RK_E_NOMEM, "pool: out of memory");
    err = load_lines(l, &w);
    explicit_bzero(w.buf, CHUNK);
    free(w.buf);
    return err;
}

/* Read the file of one key into bytes[RK_SECRET_MAX]. */
static int
read_key_file(struct pool *p, struct rk_call *call, int dir_fd, const char *name, unsigned char *bytes, size_t *n)
{
    char text[POOL_LINE_MAX];
    struct rkp_why why;
    const char *flaw;
    ssize_t len;
    int fd, err = rkp_open_file(dir_fd, name, RKP_PRIVATE, &fd, &why);

    if (err)
        return p->host->fail(call, err, "pool: %.200s/%s", p->path, why.text);
    len = rkp_read_small(fd, text, sizeof text);
    close(fd);
    if (len < 0) {
        explicit_bzero(text, sizeof text);
        return p->host->fail(call, RK_E_CONFIG, "pool: %.200s/%s: cannot be read, or too long", p->path, name);
    }
    /* a text may end in a newline; raw bytes are taken as they are */
    if (len > 0 && text[len - 1] == '\n' &&
        (rkp_hex_len(text, (size_t)len - 1) || rkp_base64_len(text, (size_t)len - 1)))
        len--;
    flaw = keyline_decode(text, (size_t)len, 1, bytes, n);
    explicit_bzero(text, sizeof text);
    return flaw ? p->host->fail(call, RK_E_CONFIG, "pool: %.200s/%s: %s", p->path, name, flaw) : RK_OK;
}

static int
add_file(struct load *l, int dir_fd, const char *name)
{
    size_t len = strlen(name) - strlen(SUFFIX), n = 0;
    char id[RK_KEY_ID_MAX + 1];
    int err;

    if (!rkp_key_id_ok(name, len))
        return l->pool->host->fail(l->call, RK_E_CONFIG, "pool: %s: a file called ...%s has no key ID of 1 to 64 "
                                   "printable characters before it", l->pool->path, SUFFIX);
    memcpy(id, name, len);
    id[len] = '\0';
    rkp_key_id_fold(id);
    if (memcmp(id, name, len) != 0)
        return l->pool->host->fail(l->call, RK_E_CONFIG, "pool: %s/%s: a UUID in a file name is written in lower case",
                                   l->pool->path, name);
    err = read_key_file(l->pool, l->call, dir_fd, name, l->key, &n);
    return err ? err : add_key(l, (struct pool_key){.line = 0}, id, n);
}

static int
is_key_file(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);

    return len > strlen(SUFFIX) && entry->d_name[0] != '.' &&
           strcmp(entry->d_name + len - strlen(SUFFIX), SUFFIX) == 0;
}

/* By bytes, not by the locale: the same order everywhere. */
static int
by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int
load_dir(struct load *l, int fd)
{
    struct dirent **names = NULL;
    struct pool *p = l->pool;
    int err = RK_OK, n = scandirat(fd, ".", &names, is_key_file, by_name);

    if (n < 0)
        return p->host->fail(l->call, rkp_code(errno), "pool: %s: cannot be read: %m", p->path);
    for (int i = 0; i < n; i++) {
        if (!err && i % LOOK_UP == LOOK_UP - 1 && (err = rkp_pause(p->host, l->call, -1, 0)))
            p->host->fail(l->call, err, "pool: %s: loading was given up", p->path);
        if (!err)
            err = add_file(l, fd, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    return err;
}

static bool
same_stat(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Open the pool, in either form, and check who can get at it. */
static int
open_pool(struct pool *p, struct rk_call *call, int *fd, struct stat *st)
{
    struct rkp_why why;
    int err;

    if (lstat(p->path, st) < 0)
        return p->host->fail(call, rkp_code(errno), "pool: %s: %m", p->path);
    p->is_dir = S_ISDIR(st->st_mode);
    err = p->is_dir ? rkp_open_dir(p->path, RKP_PRIVATE, fd, &why)
                    : rkp_open_file(AT_FDCWD, p->path, RKP_PRIVATE, fd, &why);
    if (err)
        return p->host->fail(call, err, "pool: %s", why.text);
    if (fstat(*fd, st) == 0)
        return RK_OK;
    close(*fd);
    return p->host->fail(call, RK_E_IO, "pool: %s: %m", p->path);
}

static int
load(struct pool *p, struct rk_call *call, int fd, const struct stat *st)
{
    struct load *l = calloc(1, sizeof *l);
    struct stat now;
    int err;

    if (!l)
        return p->host->fail(call, RK_E_NOMEM, "pool: out of memory");
    l->pool = p;
    l->call = call;
    err = p->is_dir ? load_dir(l, fd) : load_file(l, fd, st);
    if (!err)
        err = check_twins(l);
    if (!err && (fstat(fd, &now) < 0 || !same_stat(st, &now)))
        err = p->host->fail(call, RK_E_BUSY, "pool: %s: was changed while it was read", p->path);
    if (l->marks)
        explicit_bzero(l->marks, l->room * sizeof l->marks[0]);
    free(l->marks);
    explicit_bzero(l, sizeof *l);
    free(l);
    return err;
}

int
pool_refresh(struct pool *p, struct rk_call *call, bool *loaded)
{
    struct stat st;
    int fd, err = open_pool(p, call, &fd, &st);

    *loaded = false;
    if (err) {
        pool_forget(p);
        return err;
    }
    if (p->seen.st_ino == 0 || !same_stat(&p->seen, &st)) {
        pool_forget(p);
        err = load(p, call, fd, &st);
        if (err)
            pool_forget(p);
        else
            p->seen = st;
        *loaded = true;
    }
    close(fd);
    return err;
}

struct wanted {
    struct pool *pool;
    struct rk_call *call;
    const struct pool_key *key;
    int fd;
};

/* The line of a key, when it is still the line that was loaded. */
static int
read_line(struct wanted *w, unsigned char *bytes, size_t *n)
{
    char line[POOL_LINE_MAX + 1], id[RK_KEY_ID_MAX + 1] = "";
    struct keyline split = {.id = NULL};
    ssize_t len = pread(w->fd, line, w->key->len, (off_t)w->key->at);
    int err = RK_E_AGAIN;

    if (len == (ssize_t)w->key->len && !keyline_split(line, w->key->len, &split) && split.id) {
        memcpy(id, split.id, split.id_len);
        rkp_key_id_fold(id);
        if (strcmp(id, pool_id(w->pool, w->key)) == 0 && !keyline_decode(split.key, split.key_len, 0, bytes, n))
            err = RK_OK;
    }
    explicit_bzero(line, sizeof line);
    return err;
}

static int
fill_key(unsigned char *bytes, size_t len, void *arg)
{
    struct wanted *w = arg;
    unsigned char key[RK_SECRET_MAX];
    char name[RK_KEY_ID_MAX + sizeof SUFFIX];
    size_t n = 0;
    int err;

    if (w->pool->is_dir) {
        snprintf(name, sizeof name, "%s" SUFFIX, pool_id(w->pool, w->key));
        err = read_key_file(w->pool, w->call, w->fd, name, key, &n);
    } else {
        err = read_line(w, key, &n);
    }
    if (!err && n != len)
        err = RK_E_AGAIN;
    if (!err)
        memcpy(bytes, key, len);
    explicit_bzero(key, sizeof key);
    return err;
}

int
pool_read(struct pool *p, struct rk_call *call, const struct pool_key *k, struct rk_secret **out)
{
    struct wanted w = {p, call, k, -1};
    struct stat st;
    int err = open_pool(p, call, &w.fd, &st);

    *out = NULL;
    if (err)
        return err;
    err = same_stat(&p->seen, &st) ? p->host->secret_new(k->bits / 8, fill_key, &w, out) : RK_E_AGAIN;
    close(w.fd);
    return err;
}
