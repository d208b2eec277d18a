/* ratchet.c - see ratchet.h.  A channel key leaves the host that has the link's key as a sealed memfd, and rests in the
 * hosts of the link's channels.  All of them read the same memfd, so it is not wiped here: rekeyd does that. */
#include "ratchet.h"

#include "chankeys.h"
#include "safe.h"

#include "../base/err.h"
#include "../base/secret.h"
#include "../base/text.h"

#include <stdio.h>
#include <string.h>

const char *
rk_ratchet_wrong(const struct rk_item *item)
{
    if (!rk_name_ok(item->link, RK_LINK_MAX))
        return "no link name";
    if (item->op < RK_RATCHET_ADD || item->op > RK_RATCHET_WRAP)
        return "an operation that is not known";
    if ((item->op == RK_RATCHET_ADD) != (item->fd >= 0))
        return item->fd < 0 ? "ADD without a key" : "a key where none belongs";
    return item->op != RK_RATCHET_KEEP && !rk_key_id_ok(item->key_id) ? "no key ID" : NULL;
}

/* What else is held of the link is known by rekeyd, which knows what its peer may use. */
static void
keep(struct rk_chankeys *keys, const struct rk_item *in)
{
    const char *ids[RK_SEEN_KEYS + 1] = {[RK_SEEN_KEYS] = in->key_id};

    for (size_t i = 0; i < RK_SEEN_KEYS; i++)
        ids[i] = in->key[i].id;
    rk_chankeys_keep(keys, in->link, ids, RK_SEEN_KEYS + 1);
}

static int
one(struct rk_chankeys *keys, const struct rk_item *in, struct rk_item *out)
{
    const struct rk_wrap_of of = {in->link, in->key_id};

    if (in->op == RK_RATCHET_RESTORE)
        return rk_chankeys_restore(keys, &of, in->text);
    if (in->op == RK_RATCHET_WRAP)
        return rk_chankeys_wrap(keys, &of, out->text);
    keep(keys, in);
    return in->op == RK_RATCHET_ADD ? rk_chankeys_add(keys, &of, in->fd, out->text) : RK_OK;
}

static const char *
why(int err)
{
    switch (err) {
    case RK_E_AUTH:
        return "it was wrapped under another auth-key";
    case RK_E_NOENT:
        return "the link has no key in the auth-key file, or the channel key is not there";
    default:
        return rk_err_name(err);
    }
}

void
rk_run_ratchet(struct rk_call *c)
{
    c->reply.items = rk_items_new(c->msg.n);
    if (!c->reply.items) {
        rk_call_refuse(c, RK_E_NOMEM, "out of memory");
        return;
    }
    c->reply.n = c->msg.n;
    for (size_t i = 0; i < c->msg.n; i++) {
        const struct rk_item *in = &c->msg.items[i];
        struct rk_item *out = &c->reply.items[i];

        out->err = one(c->inst->keys, in, out);
        if (out->err)
            snprintf(out->text, sizeof out->text, "%s: channel key %s: %s", in->link, in->key_id, why(out->err));
    }
}

int
rk_ratchet_derive(const struct rk_item *in, const struct rk_secret *key, const char *key_id, struct rk_item *out)
{
    const struct rk_confirm_of of = {.link = in->link, .key_id = key_id};
    struct rk_secret *chan = NULL;
    int err;

    if (!in->ratchet)
        return RK_OK;
    err = rk_kdf_channel(key, &of, &chan);
    if (err)
        return err;
    out->chan_fd = rk_secret_send(&chan);
    return out->chan_fd < 0 ? RK_E_NOMEM : RK_OK;
}
