/* pool.c - loads the index of a pool, and reads single keys.  Every buffer that has held a key is wiped. */
#include "pool_int.h"

#include "../../common/files.h"
#include "../../common/keytext.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
grow(struct pool_load *l)
{
    struct pool *p = l->pool;
    size_t room = p->room ? p->room * 2 : 256;
    struct pool_key *keys = reallocarray(p->keys, room, sizeof keys[0]);
    struct pool_mark *marks;

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
    p->begin = 0;
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
        snprintf(out, size, "%.200s/%s%s", p->path, pool_id(p, k), k->bare ? "" : POOL_SUFFIX);
    else
        snprintf(out, size, "%.200s:%u", p->path, k->line);
    return out;
}

int
pool_add(struct pool_load *l, struct pool_key k, const char *written, size_t n)
{
    struct pool *p = l->pool;
    const struct pool_key *same;
    char id[RK_KEY_ID_MAX + 1];
    unsigned char digest[32];
    char here[300], there[300];
    int err;

    if (!rkp_key_id_ok(written, strlen(written)))
        return p->host->fail(l->call, RK_E_CONFIG, "pool: %s: not a key ID; it is 1 to 64 printable characters without "
                             "'|' and '/'", where(p, &k, here, sizeof here));
    strcpy(id, written);
    rkp_key_id_fold(id);
    if (p->n >= POOL_KEYS_MAX)
        return p->host->fail(l->call, RK_E_CONFIG, "pool: %s: more than %d keys; split it", p->path, POOL_KEYS_MAX);
    if ((p->n == p->room && !grow(l)) || !keep_id(p, id, &k.id))
        return p->host->fail(l->call, RK_E_NOMEM, "pool: %s: out of memory", p->path);
    same = pool_find(p, id);
    if (same)
        return p->host->fail(l->call, RK_E_CONFIG, "pool: %s: the key ID is also that of %s; remove one",
                             where(p, &k, here, sizeof here), where(p, same, there, sizeof there));
    k.bits = (uint32_t)n * 8;
    err = p->host->sha256(l->key, n, digest);
    if (err)
        return p->host->fail(l->call, err, "pool: %s", err == RK_E_NOMEM ? "out of memory" : "no SHA-256");
    memcpy(l->marks[p->n].digest, digest, POOL_DIGEST);
    explicit_bzero(digest, sizeof digest);
    l->marks[p->n].key = (uint32_t)p->n;
    p->keys[p->n] = k;
    put_index(p, (uint32_t)p->n++);
    return RK_OK;
}

static int
compare_marks(const void *a, const void *b)
{
    const struct pool_mark *x = a, *y = b;
    int order = memcmp(x->digest, y->digest, POOL_DIGEST);

    return order ? order : x->key < y->key ? -1 : x->key > y->key;
}

/* Two IDs with one key would be one key used twice. */
static int
check_twins(struct pool_load *l)
{
    struct pool *p = l->pool;
    char here[300], there[300];

    if (p->n > 1)
        qsort(l->marks, p->n, sizeof l->marks[0], compare_marks);
    for (size_t i = 1; i < p->n; i++)
        if (memcmp(l->marks[i - 1].digest, l->marks[i].digest, POOL_DIGEST) == 0)
            return p->host->fail(l->call, RK_E_CONFIG, "pool: %s: the key is also that of %s; make each key anew",
                                 where(p, &p->keys[l->marks[i].key], here, sizeof here),
                                 where(p, &p->keys[l->marks[i - 1].key], there, sizeof there));
    return RK_OK;
}

static bool
same_stat(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Open the pool, in either form, and check who can get at it. */
static int
open_pool(struct pool *p, struct rk_call *call, int *fd, struct stat *st)
{
    struct rkp_why why;
    int err;

    if (lstat(p->path, st) < 0)
        return p->host->fail(call, rkp_code(errno), "pool: %s: %m; make it with: rekeyctl keygen", p->path);
    err = rkp_check_parent(geteuid(), p->path, &why);
    if (err)
        return p->host->fail(call, err, "pool: %s", why.text);
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
    struct pool_load *l = calloc(1, sizeof *l);
    struct stat now;
    int err;

    if (!l)
        return p->host->fail(call, RK_E_NOMEM, "pool: out of memory");
    l->pool = p;
    l->call = call;
    err = p->is_dir ? pool_load_dir(l, fd) : pool_load_file(l, fd, st);
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

static int
fill_key(unsigned char *bytes, size_t len, void *arg)
{
    struct wanted *w = arg;
    struct pool *p = w->pool;
    unsigned char key[RK_SECRET_MAX];
    size_t n = 0;
    int err;

    if (p->is_dir)
        err = pool_read_dir(p, w->call, w->fd, w->key, key, &n);
    else
        err = p->is_json ? pool_read_json(w->fd, w->key, key, &n) : pool_read_line(p, w->fd, w->key, key, &n);
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
