/* run_carry.c - records that a device carries: the channel makes the text that the device shows, and finds the record
 * in what the device hears.
 *
 * Runs on worker threads.  What neighbours say comes from far away, and anyone may have sent it: it is bounded and made
 * printable here, and a record in it is believed only when its tag is right, as one of watch.
 */
#include "run.h"

#include "safe.h"

#include <stdlib.h>
#include <string.h>

/* ---- encode ---- */

static bool
shows(const char *text)
{
    if (!rk_safe_ended(text, RK_RECORD_MAX + 1) || !text[0])
        return false;
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            return false;
    return true;
}

static int
encode_one(struct rk_call *c, const struct rk_item *in, struct rk_item *out)
{
    struct rk_post post = {.err = RK_OK};
    char text[RK_RECORD_MAX + 1] = "";
    int err = rk_sign_post(c, in, &post);

    if (err)
        return rk_call_fail(c, err, "the record cannot be signed: no link name, no peer, too long or unprintable");
    c->text[0] = '\0';
    err = rk_safe_err(c->inst->module->channel.encode(c->inst->data, c, &post, text));
    if (!err && !shows(text))
        return rk_call_fail(c, RK_E_CONTRACT, "%s: encode gave no text of printable ASCII", c->inst->name);
    if (!err)
        strcpy(out->text, text);
    return err;
}

static int
not_offered(struct rk_call *c)
{
    return rk_call_fail(c, RK_E_UNSUPPORTED, "plugin %s does not offer %s", c->inst->module->name,
                        rk_verb_name(c->verb));
}

int
rk_run_encode(struct rk_call *c)
{
    if (!c->inst->module->channel.encode)
        return not_offered(c);
    c->reply.items = rk_items_new(c->msg.n);
    if (!c->reply.items)
        return rk_call_fail(c, RK_E_NOMEM, "out of memory");
    c->reply.n = c->msg.n;
    for (size_t i = 0; i < c->msg.n; i++) {
        struct rk_item *out = &c->reply.items[i];

        strcpy(out->link, c->msg.items[i].link);
        out->err = encode_one(c, &c->msg.items[i], out);
        if (out->err)
            rk_safe_copy(out->text, sizeof out->text, c->text);
    }
    return RK_OK;
}

/* ---- decode ---- */

/* The neighbours of the link that begins at item i.   out: seen[*n].   ret: where the next link begins */
static size_t
neighbours_of(const struct rk_call *c, size_t i, struct rk_neighbour *seen, size_t *n)
{
    const char *link = c->msg.items[i].link;

    for (*n = 0; i < c->msg.n && strcmp(c->msg.items[i].link, link) == 0; i++) {
        const struct rk_item *in = &c->msg.items[i];

        if (in->read)
            seen[(*n)++] = (struct rk_neighbour){.size = sizeof *seen, .ttl_s = in->state, .iface = in->iface,
                                                 .chassis = in->chassis, .port = in->port, .system = in->sae,
                                                 .description = in->text};
    }
    return i;
}

/* One link: what was found goes behind what is in the reply. */
static int
decode_one(struct rk_call *c, const char *link, const struct rk_neighbour *seen, size_t n, struct rk_post *posts)
{
    size_t room = RK_BATCH_MAX - c->reply.n, found = 0;
    int err;

    memset(posts, 0, RK_BATCH_MAX * sizeof *posts);
    err = c->inst->module->channel.decode(c->inst->data, c, link, seen, n, posts, room, &found);
    if (!err && found > room)
        err = rk_call_fail(c, RK_E_CONTRACT, "%s: decode returned more records than there was room for", c->inst->name);
    for (size_t i = 0; !err && i < found; i++)
        rk_take_post(&posts[i], &c->reply.items[c->reply.n++]);
    return err;
}

int
rk_run_decode(struct rk_call *c)
{
    struct rk_post *posts = c->inst->module->channel.decode ? calloc(RK_BATCH_MAX, sizeof *posts) : NULL;
    struct rk_neighbour seen[RK_BATCH_MAX];
    int first = RK_OK, err;

    if (!c->inst->module->channel.decode)
        return not_offered(c);
    c->reply.items = rk_items_new(RK_BATCH_MAX);
    if (!posts || !c->reply.items) {
        free(posts);
        return rk_call_fail(c, RK_E_NOMEM, "out of memory");
    }
    /* What there is no room for is heard with the next look. */
    for (size_t i = 0, n; i < c->msg.n && c->reply.n < RK_BATCH_MAX;) {
        const char *link = c->msg.items[i].link;

        i = neighbours_of(c, i, seen, &n);
        err = decode_one(c, link, seen, n, posts);
        first = first ? first : err;
    }
    free(posts);
    return first;
}

/* ---- neighbours ---- */

struct hearing {
    struct rk_call *c;
    size_t told[RK_BATCH_MAX]; /* of each interface that was asked for */
};

#define HAS(s, member) ((s)->size >= offsetof(struct rk_neighbour, member) + sizeof(s)->member)

static struct rk_heard_msg *
heard_new(const struct rk_neighbour *seen)
{
    struct rk_heard_msg *m = calloc(1, sizeof *m);

    if (!m)
        return NULL;
    m->ttl_s = seen->ttl_s;
    rk_safe_copy(m->iface, sizeof m->iface, seen->iface);
    rk_safe_copy(m->chassis, sizeof m->chassis, seen->chassis);
    rk_safe_copy(m->port, sizeof m->port, seen->port);
    rk_safe_copy(m->system, sizeof m->system, seen->system);
    rk_safe_copy(m->description, sizeof m->description, seen->description);
    return m;
}

/* One of an interface that was not asked for, or more than a link can have, are not told. */
static int
on_neighbour(void *arg, const struct rk_neighbour *seen)
{
    struct hearing *h = arg;
    struct rk_call *c = h->c;
    struct rk_heard_msg *m;
    size_t i = 0;

    if (!HAS(seen, description))
        return rk_call_fail(c, RK_E_CONTRACT, "its struct rk_neighbour has %u bytes: set .size to sizeof of it",
                            seen->size);
    while (i < c->msg.n && (!seen->iface || strcmp(c->msg.items[i].iface, seen->iface) != 0))
        i++;
    if (i == c->msg.n || h->told[i]++ >= RK_HEARD_MAX)
        return RK_OK;
    m = heard_new(seen);
    return m ? rk_call_heard(c, m) : rk_call_fail(c, RK_E_NOMEM, "out of memory");
}

int
rk_run_neighbours(struct rk_call *c)
{
    const struct rk_device_ops *ops = &c->inst->module->device;
    const char *ifaces[RK_BATCH_MAX];
    struct hearing h = {.c = c};

    if (!ops->neighbours)
        return not_offered(c);
    for (size_t i = 0; i < c->msg.n; i++)
        ifaces[i] = c->msg.items[i].iface;
    return ops->neighbours(c->inst->data, c, ifaces, c->msg.n, on_neighbour, &h);
}
