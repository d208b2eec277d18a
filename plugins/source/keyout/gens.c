/* gens.c - reads the key file whole or not at all, and names what it read.  Buffers that have held a key are wiped. */
#include "gens.h"

#include "../../common/files.h"
#include "../../common/keyform.h"
#include "../../common/keytext.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ID_LABEL "rekey key_out id v1"
#define KEY_LABEL "rekey key_out key v1"
#define TEXT_MAX (RK_SECRET_MAX * 2 + 2)
#define TRIES 5 /* while it is being written: */
#define TRY_MS 10

struct text {
    char bytes[TEXT_MAX + 1];
    size_t len;
    int64_t changed_unix_s;
};

static int
open_file(const struct gens *g, struct rk_call *call, int *fd)
{
    struct rkp_why why;
    mode_t forbidden = g->owner == geteuid() ? RKP_PRIVATE : RKP_GROUP_READS;
    int err = rkp_check_parent(g->owner, g->path, &why);

    if (!err)
        err = rkp_open_file_of(g->owner, g->path, forbidden, fd, &why);
    if (err == RK_E_NOENT)
        return g->host->fail(call, err, "file: %s: is not there; does the daemon that writes it run?", g->path);
    return err ? g->host->fail(call, err, "file: %s", why.text) : RK_OK;
}

static bool
same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Read the file once.  ret: RK_OK; RK_E_AGAIN, not stated: it was changed meanwhile, or is longer than any key */
static int
read_once(const struct gens *g, struct rk_call *call, struct text *t)
{
    struct stat before = {.st_size = 0}, after;
    ssize_t n = 0;
    int fd, err = open_file(g, call, &fd);

    if (err)
        return err;
    errno = 0;
    if (fstat(fd, &before) < 0 || (n = rkp_read_small(fd, t->bytes, sizeof t->bytes)) < 0 || fstat(fd, &after) < 0 ||
        !same(&before, &after))
        err = errno == EIO ? g->host->fail(call, RK_E_IO, "file: %s: %m", g->path) : RK_E_AGAIN;
    close(fd);
    t->len = err ? 0 : (size_t)n;
    t->changed_unix_s = before.st_mtim.tv_sec;
    return err;
}

/* The key that the text is, in hex, base64 or as it is; the length tells.  Digits are never a key as they are: they are
 * half of one that is being written, or one of half the size.   ret: has it the length of a whole one */
static bool
decode(const struct gens *g, const struct text *t, unsigned char *key)
{
    size_t len = t->len;

    if (len == g->len && !rkp_hex_len(t->bytes, len) && !rkp_base64_len(t->bytes, len)) {
        memcpy(key, t->bytes, len);
        return true;
    }
    len -= len > 0 && t->bytes[len - 1] == '\n';
    len -= len > 0 && t->bytes[len - 1] == '\r';
    if (rkp_hex_len(t->bytes, len) == g->len)
        rkp_hex_get(t->bytes, len, key);
    else if (rkp_base64_len(t->bytes, len) == g->len)
        rkp_base64_get(t->bytes, len, key);
    else
        return false;
    return true;
}

/* Read until the file holds a whole key, for a short while. */
static int
read_key(const struct gens *g, struct rk_call *call, struct text *t, unsigned char *key)
{
    for (int i = 0; i < TRIES; i++) {
        int err = read_once(g, call, t);

        if (err && err != RK_E_AGAIN)
            return err;
        if (!err && decode(g, t, key))
            return RK_OK;
        err = rkp_pause(g->host, call, -1, TRY_MS);
        if (err)
            return g->host->fail(call, err, "file: %s: was being written all the time", g->path);
    }
    return g->host->fail(call, RK_E_AGAIN, "file: %s: does not hold a whole key of %zu bits (in hex, base64 or as it "
                         "is); is it being written, or is option bits wrong?", g->path, g->len * 8);
}

static int
fill(unsigned char *bytes, size_t len, void *arg)
{
    memcpy(bytes, arg, len);
    return RK_OK;
}

/* 12 bytes as 16 digits of base64url: no sign in it has a meaning in records.   src: RFC 4648, 5 */
static int
put_id(const unsigned char *bytes, size_t len, void *arg)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char *out = arg;

    for (size_t i = 0; i + 2 < len; i += 3) {
        unsigned three = (unsigned)bytes[i] << 16 | (unsigned)bytes[i + 1] << 8 | bytes[i + 2];

        for (int k = 3; k >= 0; k--)
            *out++ = digits[three >> (6 * k) & 63];
    }
    *out = '\0';
    return RK_OK;
}

static int
name(const struct gens *g, struct gen *gen)
{
    struct rk_secret *id = NULL;
    int err = g->host->secret_derive(gen->key, ID_LABEL, strlen(ID_LABEL), GEN_ID / 4 * 3, &id);

    if (!err)
        g->host->secret_use(id, put_id, gen->id);
    g->host->secret_free(&id);
    return err;
}

/* To the front: the oldest goes.  One that was there before comes back to the front. */
static void
push(struct gens *g, struct gen gen, bool *fresh)
{
    struct gen *old = gens_find(g, gen.id);

    *fresh = !old;
    if (old) {
        struct gen again = *old;

        g->host->secret_free(&gen.key);
        memmove(&g->list[1], &g->list[0], (size_t)(old - g->list) * sizeof gen);
        g->list[0] = again;
        return;
    }
    g->host->secret_free(&g->list[GENS - 1].key);
    memmove(&g->list[1], &g->list[0], (GENS - 1) * sizeof gen);
    g->list[0] = gen;
}

int
gens_read(struct gens *g, struct rk_call *call, bool *fresh)
{
    unsigned char key[RK_SECRET_MAX];
    struct gen gen = {.key = NULL};
    const char *flaw = NULL;
    struct text t;
    int err;

    *fresh = g->present = false;
    err = read_key(g, call, &t, key);
    if (!err && (flaw = rkp_key_flaw(key, g->len)))
        err = g->host->fail(call, RK_E_UNSAFE, "file: %s: %s", g->path, flaw);
    if (!err) {
        err = g->host->secret_new(g->len, fill, key, &gen.key);
        if (!err)
            err = name(g, &gen);
        if (err)
            g->host->fail(call, err, "file: %s: no memory for its key", g->path);
    }
    explicit_bzero(key, sizeof key);
    explicit_bzero(&t.bytes, sizeof t.bytes);
    if (err) {
        g->host->secret_free(&gen.key);
        return err;
    }
    push(g, gen, fresh);
    g->present = true;
    g->changed_unix_s = t.changed_unix_s;
    return RK_OK;
}

struct gen *
gens_find(struct gens *g, const char *id)
{
    for (size_t i = 0; i < GENS; i++)
        if (id[0] && strcmp(g->list[i].id, id) == 0)
            return &g->list[i];
    return NULL;
}

/* Of its own label and with the size in it: the bytes of the file are never used as they are, for its daemon may have
 * another use for them. */
int
gens_give(struct gens *g, struct gen *gen, uint32_t bits, struct rk_secret **out)
{
    char info[sizeof KEY_LABEL + GEN_ID + 1 + 10];
    int n = snprintf(info, sizeof info, "%s%c%s%c%u", KEY_LABEL, 0, gen->id, 0, bits), err;

    if (!gen->key || n < 0 || (size_t)n >= sizeof info)
        return RK_E_CONTRACT;
    err = g->host->secret_derive(gen->key, info, (size_t)n, bits / 8, out);
    g->host->secret_free(&gen->key);
    return err;
}

void
gens_free(struct gens *g)
{
    for (size_t i = 0; i < GENS; i++)
        g->host->secret_free(&g->list[i].key);
    free(g->path);
}
