/* fixed.c - reads and copies the one key.  Bytes are in secrets, or on the stack until they are wiped. */
#include "fixed.h"

#include "quality.h"

#include "../../common/keytext.h"

#include <stdio.h>
#include <string.h>

#define ID_LABEL "rekey static id v1"

struct reading {
    struct fixed *f;
    const char *flaw;
};

static int
copy_bytes(unsigned char *bytes, size_t len, void *arg)
{
    memcpy(bytes, *(const unsigned char *const *)arg, len);
    return RK_OK;
}

static int
decode(const unsigned char *text, size_t len, void *arg)
{
    unsigned char bytes[RK_SECRET_MAX];
    const unsigned char *from = bytes;
    struct reading *r = arg;
    size_t hex = rkp_hex_len((const char *)text, len), n = hex ? hex : rkp_base64_len((const char *)text, len);
    int err = RK_E_UNSAFE;

    if (hex)
        rkp_hex_get((const char *)text, len, bytes);
    else if (n)
        rkp_base64_get((const char *)text, len, bytes);
    r->flaw = n ? static_key_flaw(bytes, n) : "is neither hex nor base64, as a key of mode: fixed must be";
    if (!r->flaw)
        err = r->f->host->secret_new(n, copy_bytes, &from, &r->f->key);
    explicit_bzero(bytes, sizeof bytes);
    return err;
}

static int
put_id(const unsigned char *bytes, size_t len, void *arg)
{
    (void)len;
    rkp_uuid_put(bytes, arg);
    return RK_OK;
}

/* Derived like any key, so it tells nothing of it. */
static int
make_id(struct fixed *f)
{
    struct rk_secret *id = NULL;
    int err = f->host->secret_derive(f->key, ID_LABEL, strlen(ID_LABEL), 16, &id);

    if (!err)
        f->host->secret_use(id, put_id, f->id);
    f->host->secret_free(&id);
    return err;
}

int
fixed_read(struct fixed *f, const struct rk_secret *text, const char *id, const char **flaw)
{
    struct reading r = {.f = f};
    int err = f->host->secret_use(text, decode, &r);

    *flaw = r.flaw;
    if (err)
        return err;
    if (!id)
        return make_id(f);
    snprintf(f->id, sizeof f->id, "%s", id);
    rkp_key_id_fold(f->id);
    return RK_OK;
}

void
fixed_free(struct fixed *f)
{
    f->host->secret_free(&f->key);
}

struct copying {
    const struct rk_host *host;
    struct rk_secret *out;
};

static int
copy_key(const unsigned char *bytes, size_t len, void *arg)
{
    struct copying *c = arg;

    return c->host->secret_new(len, copy_bytes, &bytes, &c->out);
}

int
fixed_give(const struct fixed *f, struct rk_secret **out)
{
    struct copying c = {.host = f->host};
    int err = f->host->secret_use(f->key, copy_key, &c);

    *out = c.out;
    return err;
}
