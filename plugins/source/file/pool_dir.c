/* pool_dir.c - a pool in a directory: a file for each key.  Every buffer that has held a key is wiped. */
#include "pool_int.h"

#include "../../common/files.h"
#include "../../common/keyform.h"
#include "../../common/keytext.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
        return p->host->fail(call, RK_E_CONFIG, "pool: %.200s/%s: cannot be read, or longer than any key; make it anew",
                             p->path, name);
    }
    /* a text may end in a newline; raw bytes are taken as they are */
    if (len > 0 && text[len - 1] == '\n' &&
        (rkp_hex_len(text, (size_t)len - 1) || rkp_base64_len(text, (size_t)len - 1)))
        len--;
    flaw = rkp_key_decode(text, (size_t)len, 1, bytes, n);
    explicit_bzero(text, sizeof text);
    return flaw ? p->host->fail(call, RK_E_CONFIG, "pool: %.200s/%s: %s", p->path, name, flaw) : RK_OK;
}

static bool
has_suffix(const char *name)
{
    size_t len = strlen(name);

    return len > strlen(POOL_SUFFIX) && strcmp(name + len - strlen(POOL_SUFFIX), POOL_SUFFIX) == 0;
}

static int
add_file(struct pool_load *l, int dir_fd, const char *name)
{
    bool bare = !has_suffix(name);
    size_t len = strlen(name) - (bare ? 0 : strlen(POOL_SUFFIX)), n = 0;
    char id[RK_KEY_ID_MAX + 1];
    int err;

    if (!rkp_key_id_ok(name, len))
        return l->pool->host->fail(l->call, RK_E_CONFIG, "pool: %s: a file called ...%s has no key ID of 1 to 64 "
                                   "printable characters before it; rename it", l->pool->path, POOL_SUFFIX);
    memcpy(id, name, len);
    id[len] = '\0';
    rkp_key_id_fold(id);
    if (memcmp(id, name, len) != 0)
        return l->pool->host->fail(l->call, RK_E_CONFIG, "pool: %s/%s: a UUID in a file name is written in lower case; "
                                   "rename it", l->pool->path, name);
    err = read_key_file(l->pool, l->call, dir_fd, name, l->key, &n);
    return err ? err : pool_add(l, (struct pool_key){.line = 0, .bare = bare}, id, n);
}

/* KEY-ID.key, or a name that is a UUID: what other tools leave in the directory is not looked at. */
static int
is_key_file(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && (has_suffix(entry->d_name) || rkp_uuid_ok(entry->d_name));
}

/* By bytes, not by the locale: the same order everywhere. */
static int
by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

int
pool_load_dir(struct pool_load *l, int fd)
{
    struct dirent **names = NULL;
    struct pool *p = l->pool;
    int err = RK_OK, n = scandirat(fd, ".", &names, is_key_file, by_name);

    if (n < 0)
        return p->host->fail(l->call, rkp_code(errno), "pool: %s: cannot be read: %m", p->path);
    if (n > POOL_KEYS_MAX)
        err = p->host->fail(l->call, RK_E_CONFIG, "pool: %s: more than %d keys; split it", p->path, POOL_KEYS_MAX);
    for (int i = 0; i < n; i++) {
        if (!err && i % POOL_LOOK_UP == POOL_LOOK_UP - 1 && (err = rkp_pause(p->host, l->call, -1, 0)))
            p->host->fail(l->call, err, "pool: %s: loading was given up", p->path);
        if (!err)
            err = add_file(l, fd, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    return err;
}

int
pool_read_dir(struct pool *p, struct rk_call *call, int fd, const struct pool_key *k, unsigned char *bytes, size_t *n)
{
    char name[RK_KEY_ID_MAX + sizeof POOL_SUFFIX];

    snprintf(name, sizeof name, "%s%s", pool_id(p, k), k->bare ? "" : POOL_SUFFIX);
    return read_key_file(p, call, fd, name, bytes, n);
}
