/* device.c - interfaces, slots and the rules for them.  Keys are known by a one-way digest only. */
#include "device.h"

#include "../../common/keytext.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGEST_LABEL "rekey sim digest v1"
#define FIRST_BUCKETS 64

static size_t
hash(const char *text)
{
    uint64_t h = 14695981039346656037u;

    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 1099511628211u;
    return (size_t)(h ^ h >> 32);
}

struct sim_device *
sim_device_new(const struct rk_host *host, const char *name)
{
    struct sim_device *d = calloc(1, sizeof *d);

    if (!d)
        return NULL;
    d->host = host;
    snprintf(d->name, sizeof d->name, "%s", name);
    d->n_buckets = FIRST_BUCKETS;
    d->buckets = calloc(d->n_buckets, sizeof d->buckets[0]);
    if (!d->buckets) {
        free(d);
        return NULL;
    }
    return d;
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
            free(f);
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
static int
make_facts(const struct sim_device *d, struct sim_iface *f)
{
    char text[sizeof d->name + sizeof f->name + 1], hex[17];
    unsigned char digest[32];
    int n = snprintf(text, sizeof text, "%s|%s", d->name, f->name);
    int err = d->host->sha256(text, (size_t)n, digest);

    if (err)
        return err;
    rkp_hex_put(digest, 8, hex);
    snprintf(f->facts, sizeof f->facts, "sci=%s", hex);
    return RK_OK;
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
    f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    memcpy(f->name, name, len + 1);
    if (make_facts(d, f)) {
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

static int
put_hex(const unsigned char *bytes, size_t len, void *arg)
{
    rkp_hex_put(bytes, len, arg);
    return RK_OK;
}

static int
digest_of(const struct sim_device *d, const struct rk_secret *key, char *hex)
{
    struct rk_secret *digest = NULL;
    int err = d->host->secret_derive(key, DIGEST_LABEL, strlen(DIGEST_LABEL), SIM_DIGEST_HEX / 2, &digest);

    if (err)
        return err;
    d->host->secret_use(digest, put_hex, hex);
    d->host->secret_free(&digest);
    return RK_OK;
}

static bool
was_used(const struct sim_iface *f, const char *digest)
{
    for (uint32_t i = 0; i < SIM_USED_MAX && i < f->n_used; i++)
        if (strcmp(f->used[i], digest) == 0)
            return true;
    return false;
}

static bool
holds(const struct sim_slot *s, const struct rk_dev_op *op)
{
    return s->flags && s->seq == op->seq && strcmp(s->key_id, op->key_id) == 0 && strcmp(s->link, op->link) == 0;
}

static int RK_PRINTF(3, 4)
refuse(struct rk_dev_op *op, int err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(op->why, sizeof op->why, fmt, ap);
    va_end(ap);
    return err;
}

static int
check_stage(const struct sim_device *d, struct rk_dev_op *op)
{
    size_t len = op->key ? d->host->secret_len(op->key) : 0;

    if (!op->key)
        return refuse(op, RK_E_CONTRACT, "stage without a key");
    if (len != 16 && len != 32)
        return refuse(op, RK_E_KEY_SIZE, "a MACsec key has 16 or 32 bytes, not %zu", len);
    if (!rkp_key_id_ok(op->key_id, strlen(op->key_id)) || !rkp_name_ok(op->link, strlen(op->link), RK_LINK_MAX))
        return refuse(op, RK_E_CONTRACT, "stage without a link name or key ID that can be kept");
    if (op->peer_facts[0] && (strlen(op->peer_facts) != 20 || strncmp(op->peer_facts, "sci=", 4) != 0 ||
                              rkp_hex_len(op->peer_facts + 4, 16) != 8))
        return refuse(op, RK_E_PROTOCOL, "the peer's facts are not \"sci=\" and 16 hex digits");
    return RK_OK;
}

static void
note_reuse(struct sim_device *d, struct rk_call *call, const struct sim_iface *f, const struct rk_dev_op *op)
{
    d->violations++;
    d->host->log(call, RK_LOG_ERR, "ev=violation what=reuse iface=%s link=%s seq=%llu key_id=%s an=%d count=%llu",
                 f->name, op->link, (unsigned long long)op->seq, op->key_id, (int)(op->seq % SIM_SLOTS),
                 (unsigned long long)d->violations);
}

static int
do_stage(struct sim_device *d, struct rk_call *call, struct sim_iface *f, struct rk_dev_op *op, struct sim_event *ev)
{
    struct sim_slot *s = &f->slot[op->seq % SIM_SLOTS];
    int err = check_stage(d, op);

    if (!err)
        err = digest_of(d, op->key, ev->digest);
    if (err)
        return err;
    if (holds(s, op))
        return strcmp(s->digest, ev->digest) == 0
                   ? RK_OK : refuse(op, RK_E_CONFLICT, "AN %d holds other bytes for this key ID", ev->an);
    if (s->flags)
        return refuse(op, RK_E_CONFLICT, "AN %d is taken by key %s of link %s%s", ev->an, s->key_id, s->link,
                      s->flags & RK_SENDING ? ", which is sent with" : "");
    ev->reused = was_used(f, ev->digest);
    if (ev->reused)
        note_reuse(d, call, f, op);
    s->flags = RK_HELD_RX | RK_HELD_TX;
    s->seq = op->seq;
    snprintf(s->link, sizeof s->link, "%s", op->link);
    snprintf(s->key_id, sizeof s->key_id, "%s", op->key_id);
    memcpy(s->digest, ev->digest, sizeof s->digest);
    memcpy(f->used[f->n_used++ % SIM_USED_MAX], ev->digest, sizeof f->used[0]);
    return RK_OK;
}

static int
do_activate(struct sim_iface *f, struct rk_dev_op *op, struct sim_event *ev)
{
    struct sim_slot *s = &f->slot[op->seq % SIM_SLOTS];

    if (!holds(s, op))
        return refuse(op, RK_E_NOKEY, "AN %d %s", ev->an, s->flags ? "holds another key" : "is empty");
    for (int i = 0; i < SIM_SLOTS; i++)
        f->slot[i].flags &= ~RK_SENDING;
    s->flags |= RK_SENDING;
    memcpy(ev->digest, s->digest, sizeof ev->digest);
    return RK_OK;
}

static int
do_retire(struct sim_iface *f, struct rk_dev_op *op, struct sim_event *ev)
{
    struct sim_slot *s = &f->slot[op->seq % SIM_SLOTS];

    if (!holds(s, op))
        return RK_OK;
    memcpy(ev->digest, s->digest, sizeof ev->digest);
    if (s->flags & RK_SENDING)
        return refuse(op, RK_E_CONFLICT, "AN %d is what the interface sends with", ev->an);
    memset(s, 0, sizeof *s);
    return RK_OK;
}

static int
do_describe(struct sim_iface *f, struct rk_dev_op *op)
{
    if (!op->text)
        return refuse(op, RK_E_CONTRACT, "describe without a text");
    if (strnlen(op->text, SIM_TEXT_MAX + 1) > SIM_TEXT_MAX)
        return refuse(op, RK_E_REJECTED, "a description has at most %d bytes", SIM_TEXT_MAX);
    snprintf(f->text, sizeof f->text, "%s", op->text);
    return RK_OK;
}

void
sim_do(struct sim_device *d, struct rk_call *call, struct sim_iface *f, struct rk_dev_op *op, struct sim_event *ev)
{
    *ev = (struct sim_event){.iface = f, .an = op->kind == RK_OP_DESCRIBE ? -1 : (int)(op->seq % SIM_SLOTS)};
    op->why[0] = '\0';
    switch (op->kind) {
    case RK_OP_STAGE:
        op->err = do_stage(d, call, f, op, ev);
        break;
    case RK_OP_ACTIVATE:
        op->err = do_activate(f, op, ev);
        break;
    case RK_OP_RETIRE:
        op->err = do_retire(f, op, ev);
        break;
    case RK_OP_DESCRIBE:
        op->err = do_describe(f, op);
        break;
    default:
        op->err = refuse(op, RK_E_UNSUPPORTED, "operation %u is not known to this device", op->kind);
    }
}

/* Is the key in slot an one of those asked for; a device knows the AN of a key, not the rotation it came with. */
static bool
is_asked(const struct rk_dev_seen *seen, const struct sim_slot *s, uint64_t an, size_t *at)
{
    for (*at = 0; *at < RK_SEEN_KEYS; (*at)++)
        if (seen->key_ids[*at] && strcmp(seen->key_ids[*at], s->key_id) == 0 && seen->seqs[*at] % SIM_SLOTS == an)
            return true;
    return false;
}

void
sim_look(const struct sim_iface *f, struct rk_dev_seen *seen)
{
    size_t len = 0, at;

    seen->err = RK_OK;
    seen->state = RK_IF_PRESENT | RK_IF_UP | RK_IF_PROTECTED;
    snprintf(seen->facts, sizeof seen->facts, "%s", f->facts);
    for (int i = 0; i < SIM_SLOTS; i++) {
        const struct sim_slot *s = &f->slot[i];

        if (!s->flags)
            continue;
        if (is_asked(seen, s, (uint64_t)i, &at)) {
            seen->held[at] = s->flags;
            continue;
        }
        seen->foreign++;
        len += (size_t)snprintf(seen->why + len, sizeof seen->why - len, "%s%s", len ? " " : "", s->key_id);
        if (len >= sizeof seen->why)
            len = sizeof seen->why - 1;
    }
}
