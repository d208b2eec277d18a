/* device.c - interfaces and their operations, whatever the class.  Keys are known by a one-way digest only. */
#include "class.h"

#include "../../common/keytext.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DIGEST_LABEL "rekey sim digest v1"
#define FIRST_BUCKETS 64

static int64_t
read_clock(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int64_t
boot_ns(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

static int64_t
wall_ms(void)
{
    return read_clock(CLOCK_REALTIME) / 1000000;
}

static size_t
hash(const char *text)
{
    uint64_t h = 14695981039346656037u;

    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 1099511628211u;
    return (size_t)(h ^ h >> 32);
}

struct sim_device *
sim_device_new(const struct rk_host *host, const char *name, const struct sim_class *class)
{
    struct sim_device *d = calloc(1, sizeof *d);

    if (!d)
        return NULL;
    d->host = host;
    d->class = class;
    d->clock = (struct sim_clock){boot_ns, wall_ms};
    snprintf(d->name, sizeof d->name, "%s", name);
    d->n_buckets = FIRST_BUCKETS;
    d->buckets = calloc(d->n_buckets, sizeof d->buckets[0]);
    if (!d->buckets) {
        free(d);
        return NULL;
    }
    return d;
}

static void
iface_free(const struct sim_device *d, struct sim_iface *f)
{
    d->class->end(f);
    free(f->text);
    free(f);
}

void
sim_device_free(struct sim_device *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->n_buckets; i++)
        while (d->buckets[i]) {
            struct sim_iface *f = d->buckets[i];

            d->buckets[i] = f->next;
            iface_free(d, f);
        }
    free(d->buckets);
    free(d);
}

/* Twice the buckets; without memory it stays as it is, only slower. */
static void
grow(struct sim_device *d)
{
    size_t n = d->n_buckets * 2;
    struct sim_iface **buckets = calloc(n, sizeof buckets[0]);

    if (!buckets)
        return;
    for (size_t i = 0; i < d->n_buckets; i++)
        while (d->buckets[i]) {
            struct sim_iface *f = d->buckets[i], **to = &buckets[hash(f->name) & (n - 1)];

            d->buckets[i] = f->next;
            f->next = *to;
            *to = f;
        }
    free(d->buckets);
    d->buckets = buckets;
    d->n_buckets = n;
}

/* The same at each start, different for each end: the first 8 bytes of a digest of both names. */
static bool
make_sci(const struct sim_device *d, struct sim_iface *f)
{
    char text[sizeof d->name + RK_IFACE_MAX + 2];
    unsigned char digest[32];
    int n = snprintf(text, sizeof text, "%s|%s", d->name, f->name);

    if (d->host->sha256(text, (size_t)n, digest))
        return false;
    rkp_hex_put(digest, 8, f->sci);
    return true;
}

struct sim_iface *
sim_iface_get(struct sim_device *d, const char *name)
{
    size_t len = strnlen(name, RK_IFACE_MAX + 1);
    struct sim_iface *f = d->buckets[hash(name) & (d->n_buckets - 1)];

    while (f && strcmp(f->name, name) != 0)
        f = f->next;
    if (f || len == 0 || len > RK_IFACE_MAX || d->n_ifaces >= SIM_IFACES_MAX)
        return f;
    f = calloc(1, sizeof *f + len + 1);
    if (!f)
        return NULL;
    memcpy(f->name, name, len + 1);
    if (!make_sci(d, f) || !d->class->begin(f)) {
        free(f);
        return NULL;
    }
    if (d->n_ifaces++ >= d->n_buckets)
        grow(d);
    f->next = d->buckets[hash(name) & (d->n_buckets - 1)];
    d->buckets[hash(name) & (d->n_buckets - 1)] = f;
    return f;
}

struct sim_iface *
sim_iface_next(const struct sim_device *d, const struct sim_iface *from)
{
    size_t i = from ? (hash(from->name) & (d->n_buckets - 1)) + 1 : 0;

    if (from && from->next)
        return from->next;
    while (i < d->n_buckets && !d->buckets[i])
        i++;
    return i < d->n_buckets ? d->buckets[i] : NULL;
}

bool
sim_iface_text(struct sim_iface *f, const char *text)
{
    char *copy = strdup(text);

    if (!copy)
        return false;
    free(f->text);
    f->text = copy;
    return true;
}

/* ---- digests ---- */

bool
sim_digest_same(const struct sim_digest *a, const struct sim_digest *b)
{
    return memcmp(a->bytes, b->bytes, SIM_DIGEST) == 0;
}

void
sim_digest_hex(const struct sim_digest *digest, char *hex)
{
    rkp_hex_put(digest->bytes, SIM_DIGEST, hex);
}

bool
sim_digest_read(const char *hex, struct sim_digest *out)
{
    size_t len = strnlen(hex, SIM_DIGEST_HEX + 1);

    if (rkp_hex_len(hex, len) != SIM_DIGEST)
        return false;
    rkp_hex_get(hex, len, out->bytes);
    return true;
}

static int
take_bytes(const unsigned char *bytes, size_t len, void *arg)
{
    memcpy(arg, bytes, len);
    return RK_OK;
}

static int
digest_of(const struct sim_device *d, const struct rk_secret *key, struct sim_digest *out)
{
    struct rk_secret *digest = NULL;
    int err = d->host->secret_derive(key, DIGEST_LABEL, strlen(DIGEST_LABEL), SIM_DIGEST, &digest);

    if (err)
        return err;
    d->host->secret_use(digest, take_bytes, out->bytes);
    d->host->secret_free(&digest);
    return RK_OK;
}

/* ---- operations ---- */

int
sim_refuse(struct rk_dev_op *op, int err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(op->why, sizeof op->why, fmt, ap);
    va_end(ap);
    return err;
}

void
sim_foreign(struct rk_dev_seen *seen, const char *key_id)
{
    size_t len = strlen(seen->why);

    seen->foreign++;
    if (len + 1 < sizeof seen->why)
        snprintf(seen->why + len, sizeof seen->why - len, "%s%s", len ? " " : "", key_id);
}

static int
check_stage(struct sim_job *j)
{
    struct rk_dev_op *op = j->op;
    size_t len = op->key ? j->d->host->secret_len(op->key) : 0;
    int err;

    if (!op->key)
        return sim_refuse(op, RK_E_CONTRACT, "stage without a key");
    if (len != 16 && len != 32)
        return sim_refuse(op, RK_E_KEY_SIZE, "a MACsec key has 16 or 32 bytes, not %zu", len);
    if (!rkp_key_id_ok(op->key_id, strlen(op->key_id)) || !rkp_name_ok(op->link, strlen(op->link), RK_LINK_MAX))
        return sim_refuse(op, RK_E_CONTRACT, "stage without a link name or key ID that can be kept");
    err = digest_of(j->d, op->key, &j->digest);
    if (err)
        return sim_refuse(op, err, "no digest of the key can be made");
    sim_digest_hex(&j->digest, j->ev->digest);
    return RK_OK;
}

static int
do_describe(struct sim_iface *f, struct rk_dev_op *op)
{
    if (!op->text)
        return sim_refuse(op, RK_E_CONTRACT, "describe without a text");
    if (strnlen(op->text, SIM_TEXT_MAX + 1) > SIM_TEXT_MAX)
        return sim_refuse(op, RK_E_REJECTED, "a description has at most %d bytes", SIM_TEXT_MAX);
    return sim_iface_text(f, op->text) ? RK_OK : sim_refuse(op, RK_E_NOMEM, "out of memory");
}

void
sim_do(struct sim_device *d, struct rk_call *call, struct sim_iface *f, struct rk_dev_op *op, struct sim_event *ev)
{
    struct sim_job j = {.d = d, .call = call, .f = f, .op = op, .ev = ev};

    *ev = (struct sim_event){.iface = f, .an = -1};
    op->why[0] = '\0';
    if (op->kind == RK_OP_DESCRIBE) {
        op->err = do_describe(f, op);
        return;
    }
    if (op->kind >= SIM_OPS || !d->class->op[op->kind]) {
        op->err = sim_refuse(op, RK_E_UNSUPPORTED, "a device of class %s has no operation %u", d->class->name,
                             op->kind);
        return;
    }
    op->err = op->kind == RK_OP_STAGE ? check_stage(&j) : RK_OK;
    if (!op->err)
        op->err = d->class->op[op->kind](&j);
}
