/* pool_file.c - a pool in one file: a line for each key, or JSON.  Every buffer that has held a key is wiped. */
#include "pool_int.h"

#include "keyline.h"

#include "../../common/files.h"
#include "../../common/keyform.h"
#include "../../common/keytext.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
add_line(struct pool_load *l, const char *line, struct pool_key k)
{
    struct pool *p = l->pool;
    struct keyline split;
    char id[RK_KEY_ID_MAX + 1];
    const char *flaw = keyline_split(line, k.len, &split);
    size_t n = 0;

    if (!flaw && !split.id)
        return RK_OK;
    if (!flaw)
        flaw = rkp_key_decode(split.key, split.key_len, 0, l->key, &n);
    if (flaw)
        return p->host->fail(l->call, RK_E_CONFIG, "pool: %s:%u: %s", p->path, k.line, flaw);
    memcpy(id, split.id, split.id_len);
    id[split.id_len] = '\0';
    return pool_add(l, k, id, n);
}

int
pool_window_more(struct pool_window *w)
{
    ssize_t n;

    memmove(w->buf, w->buf + w->at, w->len - w->at);
    w->len -= w->at;
    w->begin += w->at;
    w->at = 0;
    if (w->len == POOL_CHUNK)
        return RK_E_CONFIG;
    do
        n = read(w->fd, w->buf + w->len, POOL_CHUNK - w->len);
    while (n < 0 && errno == EINTR);
    w->len += n > 0 ? (size_t)n : 0;
    return n < 0 ? RK_E_IO : n > 0;
}

/* Read on until the window holds a whole line.  ret: 1; 0 at the end of the file; else a code */
static int
next_line(struct pool_window *w, char **line, size_t *len)
{
    for (;;) {
        char *end = memchr(w->buf + w->at, '\n', w->len - w->at);
        int more;

        if (end) {
            *line = w->buf + w->at;
            *len = (size_t)(end - *line);
            return *len <= POOL_LINE_MAX ? 1 : RK_E_CONFIG;
        }
        if (w->len - w->at > POOL_LINE_MAX)
            return RK_E_CONFIG;
        more = pool_window_more(w);
        if (more < 0)
            return more;
        if (more == 0)
            return w->len == 0 ? 0 : RK_E_PROTOCOL;
    }
}

static int
load_lines(struct pool_load *l, struct pool_window *w)
{
    struct pool *p = l->pool;
    uint32_t number = 0;
    char *line;
    size_t len;
    int r;

    while ((r = next_line(w, &line, &len)) == 1) {
        struct pool_key k = {.at = w->begin + w->at, .len = (uint32_t)len, .line = ++number};
        int err = number % POOL_LOOK_UP ? RK_OK : rkp_pause(p->host, l->call, -1, 0);

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
                             ? "the last line is cut off (no newline); complete or remove it"
                             : "the line is too long; write one key in a line");
}

/* Does the text begin as JSON does.  No key ID begins so: such a line would be refused for its key. */
static bool
is_json(struct pool_window *w)
{
    size_t at = strspn(w->buf, " \t\r\n");

    return at < w->len && w->buf[at] == '{';
}

int
pool_load_file(struct pool_load *l, int fd, const struct stat *st)
{
    struct pool *p = l->pool;
    struct pool_window w = {.fd = fd};
    int err;

    if (st->st_size > POOL_BYTES_MAX)
        return p->host->fail(l->call, RK_E_CONFIG, "pool: %s: longer than 100 MiB; split it", p->path);
    w.buf = malloc(POOL_CHUNK + 1);
    if (!w.buf)
        return p->host->fail(l->call, RK_E_NOMEM, "pool: out of memory");
    err = pool_window_more(&w);
    w.buf[w.len] = '\0';
    p->is_json = err > 0 && is_json(&w);
    if (err < 0)
        err = p->host->fail(l->call, err, "pool: %s: cannot be read: %m", p->path);
    else
        err = p->is_json ? pool_load_json(l, &w) : load_lines(l, &w);
    explicit_bzero(w.buf, POOL_CHUNK);
    free(w.buf);
    return err;
}

/* The line of a key, when it is still the line that was loaded. */
int
pool_read_line(struct pool *p, int fd, const struct pool_key *k, unsigned char *bytes, size_t *n)
{
    char line[POOL_LINE_MAX + 1], id[RK_KEY_ID_MAX + 1] = "";
    struct keyline split = {.id = NULL};
    ssize_t len = pread(fd, line, k->len, (off_t)k->at);
    int err = RK_E_AGAIN;

    if (len == (ssize_t)k->len && !keyline_split(line, k->len, &split) && split.id) {
        memcpy(id, split.id, split.id_len);
        rkp_key_id_fold(id);
        if (strcmp(id, pool_id(p, k)) == 0 && !rkp_key_decode(split.key, split.key_len, 0, bytes, n))
            err = RK_OK;
    }
    explicit_bzero(line, sizeof line);
    return err;
}
