/* run_device.c - calls of devices.  A key comes out of its memfd here, is lent to the plugin, and is freed here. */
#include "run.h"

#include "kdf.h"
#include "safe.h"

#include <stdlib.h>
#include <string.h>

/* What a plugin may say of an interface; all else is for later versions. */
#define STATE_BITS \
    (RK_IF_PRESENT | RK_IF_UP | RK_IF_PROTECTED | RK_IF_REKEY | RK_IF_OTHER | RK_IF_CLASS(0xf))

/* Both ends of a key show that they hold it with tags that differ by role. */
struct tags {
    char mine[RK_CONFIRM_HEX + 1], theirs[RK_CONFIRM_HEX + 1];
};

/* One apply, whatever it needs; freed whole. */
struct batch {
    struct rk_dev_op *ops;      /* n of each */
    struct rk_secret **keys;
    struct tags *tags;
    size_t n;
};

static void
batch_free(struct batch *b)
{
    for (size_t i = 0; b->keys && i < b->n; i++)
        rk_secret_free(&b->keys[i]);
    free(b->keys);
    free(b->ops);
    free(b->tags);
}

static int
take_key(struct rk_call *c, struct batch *b, size_t i)
{
    struct rk_item *in = &c->msg.items[i];
    const struct rk_confirm_of of = {in->link, in->key_id, in->seq, in->role};
    int err = rk_secret_receive(in->fd, &b->keys[i]);

    in->fd = -1;
    if (err)
        return rk_call_fail(c, err, "%s %s: the key did not arrive", in->link, in->iface);
    b->ops[i].key = b->keys[i];
    /* Made before the key is installed, so that what can fail has failed by then; told only when it is. */
    err = rk_kdf_confirms(b->keys[i], &of, (struct rk_confirm){b->tags[i].mine, b->tags[i].theirs});
    return err ? rk_call_fail(c, err, "%s %s: no confirm tag can be made", in->link, in->iface) : RK_OK;
}

/* A description is there even when it is empty, terms only when there are some. */
static const char *
text_of(const struct rk_item *in)
{
    bool terms = (in->op == RK_OP_STAGE || in->op == RK_OP_RETIRE) && in->text[0];

    return in->op == RK_OP_DESCRIBE || terms ? in->text : NULL;
}

static int
batch_fill(struct rk_call *c, struct batch *b)
{
    int err = RK_OK;

    b->n = c->msg.n;
    b->ops = calloc(b->n, sizeof *b->ops);
    b->keys = calloc(b->n, sizeof(struct rk_secret *));
    b->tags = calloc(b->n, sizeof *b->tags);
    if (!b->ops || !b->keys || !b->tags)
        return rk_call_fail(c, RK_E_NOMEM, "out of memory");
    for (size_t i = 0; !err && i < b->n; i++) {
        const struct rk_item *in = &c->msg.items[i];

        b->ops[i] = (struct rk_dev_op){
            .kind = in->op, .seq = in->seq, .link = in->link, .iface = in->iface,
            .key_id = in->op == RK_OP_DESCRIBE ? "" : in->key_id, .peer_facts = in->facts, .text = text_of(in),
            .err = RK_E_CONTRACT,
        };
        if (in->op == RK_OP_STAGE)
            err = take_key(c, b, i);
    }
    return err;
}

static void
batch_result(struct rk_call *c, const struct batch *b, int err)
{
    for (size_t i = 0; i < b->n; i++) {
        struct rk_item *out = &c->reply.items[i];
        struct rk_dev_op *op = &b->ops[i];

        out->err = rk_safe_err(err ? err : op->err);
        if (out->err) {
            op->why[sizeof op->why - 1] = '\0';
            rk_safe_copy(out->text, sizeof out->text, op->why);
        } else if (c->msg.items[i].op == RK_OP_STAGE) {
            strcpy(out->mine, b->tags[i].mine);
            strcpy(out->theirs, b->tags[i].theirs);
        }
    }
}

/* ---- observe ---- */

static void
ask(const struct rk_item *in, struct rk_dev_seen *seen)
{
    seen->link = in->link;
    seen->iface = in->iface;
    seen->peer_facts = in->facts;
    for (size_t k = 0; k < RK_SEEN_KEYS; k++) {
        seen->key_ids[k] = in->key[k].id[0] ? in->key[k].id : NULL;
        seen->seqs[k] = in->key[k].seq;
    }
}

static bool
facts_ok(const char *facts)
{
    return rk_safe_ended(facts, RK_FACTS_MAX + 1) &&
           facts[strspn(facts, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:=,.-")] == '\0';
}

/* What the plugin says of an interface, as far as it is believed: seen->err and why then say so. */
static int
judge(struct rk_dev_seen *seen)
{
    const char *wrong = NULL;

    seen->err = rk_safe_err(seen->err);
    rk_safe_text(seen->why, sizeof seen->why);
    if (!seen->err && !facts_ok(seen->facts))
        wrong = "the plugin gave facts that are none";
    else if (!seen->err && RK_IF_CLASS_OF(seen->state) > RK_CLASS_E)
        wrong = "the plugin gave a device class that is none";
    if (wrong) {
        seen->err = RK_E_CONTRACT;
        strcpy(seen->why, wrong);
    }
    return seen->err;
}

static void
tell(const struct rk_item *in, const struct rk_dev_seen *seen, struct rk_item *out)
{
    out->state = seen->state & STATE_BITS;
    out->foreign = seen->foreign;
    strcpy(out->facts, seen->facts);
    strcpy(out->text, seen->why);
    for (size_t k = 0; k < RK_SEEN_KEYS; k++)
        if (in->key[k].id[0])
            out->key[k].held = seen->held[k] & (RK_HELD_RX | RK_HELD_TX | RK_SENDING | RK_PEER_USES);
}

int
rk_run_observe(struct rk_call *c)
{
    const struct rk_device_ops *ops = &c->inst->module->device;
    size_t n = c->msg.n;
    struct rk_dev_seen *seen = calloc(n, sizeof *seen);
    int err;

    c->reply.items = rk_items_new(n);
    if (!seen || !c->reply.items) {
        free(seen);
        return rk_call_fail(c, RK_E_NOMEM, "out of memory");
    }
    c->reply.n = n;
    for (size_t i = 0; i < n; i++)
        ask(&c->msg.items[i], &seen[i]);
    err = ops->observe(c->inst->data, c, seen, n);
    for (size_t i = 0; i < n; i++) {
        struct rk_item *out = &c->reply.items[i];

        if (err)
            seen[i].err = err;
        out->err = judge(&seen[i]);
        if (out->err)
            strcpy(out->text, seen[i].why);
        else
            tell(&c->msg.items[i], &seen[i], out);
    }
    free(seen);
    return err;
}

/* ---- apply, with what rekeyd would ask next ---- */

/* A description changes no key. */
static bool
wants_reading(const struct rk_call *c, size_t i)
{
    return c->reply.items[i].err == RK_OK && c->msg.items[i].op != RK_OP_DESCRIBE;
}

/* Where operations were done the interfaces are read in the same call.  What cannot be read, or not in time, is not
 * told: rekeyd asks for it then, and hears why. */
static void
read_back(struct rk_call *c)
{
    const struct rk_device_ops *ops = &c->inst->module->device;
    struct rk_dev_seen *seen = rk_call_left_ms(c) > 0 ? calloc(c->reply.n, sizeof *seen) : NULL;
    size_t n = 0;

    for (size_t i = 0; seen && i < c->reply.n; i++)
        if (wants_reading(c, i))
            ask(&c->msg.items[i], &seen[n++]);
    if (n == 0)
        goto out;
    rk_call_bound(c, c->msg.read_ms);
    if (ops->observe(c->inst->data, c, seen, n) != RK_OK)
        goto out;
    for (size_t i = 0, s = 0; i < c->reply.n; i++) {
        struct rk_item *out = &c->reply.items[i];

        if (!wants_reading(c, i) || judge(&seen[s++]))
            continue;
        tell(&c->msg.items[i], &seen[s - 1], out);
        out->read = 1;
    }
out:
    free(seen);
}

int
rk_run_apply(struct rk_call *c)
{
    const struct rk_device_ops *ops = &c->inst->module->device;
    struct batch b = {0};
    int err = batch_fill(c, &b);

    if (err)
        goto out;
    c->reply.items = rk_items_new(b.n);
    if (!c->reply.items) {
        err = rk_call_fail(c, RK_E_NOMEM, "out of memory");
        goto out;
    }
    c->reply.n = b.n;
    err = ops->apply(c->inst->data, c, b.ops, b.n);
    batch_result(c, &b, err);
out:
    batch_free(&b); /* what is read needs no key */
    if (!err && c->msg.read_ms > 0)
        read_back(c);
    return err;
}
