/* run_attach.c - links come to a channel instance, change, and go: the host binds them, and then the plugin is told.
 *
 * Bindings are made on the main thread as soon as the call is there, for what a watch returns next may be of such a
 * link; the plugin is told on a worker, as it may have to ask others.  A link that it refuses stays bound: a record
 * that comes nevertheless, with the right tag, is the peer's.
 */
#include "run.h"

#include "safe.h"

#include <rekey/err.h>

#include <stdio.h>

bool
rk_attach_bind(struct rk_call *c)
{
    int first = RK_OK;

    c->reply.items = rk_items_new(c->msg.n);
    if (!c->reply.items) {
        rk_call_refuse(c, RK_E_NOMEM, "out of memory");
        return false;
    }
    c->reply.n = c->msg.n;
    for (size_t i = 0; i < c->msg.n; i++) {
        const struct rk_item *in = &c->msg.items[i];
        struct rk_item *out = &c->reply.items[i];

        out->err = rk_bind_set(&c->inst->binds, (struct rk_bind_pair){in->link, in->sae});
        if (out->err)
            snprintf(out->text, sizeof out->text, "%s",
                     out->err == RK_E_CONTRACT ? "an item has no link name" : "out of memory");
        if (out->err && !first)
            rk_call_refuse(c, first = out->err, "attach on %s: %s", c->inst->name, out->text);
    }
    return c->inst->module->channel.attach != NULL;
}

static int
attach_one(struct rk_call *c, const struct rk_item *in, struct rk_item *out)
{
    struct rk_attach link = {.size = sizeof link,
                             .on = in->sae[0] != '\0',
                             .link = in->link,
                             .peer_sae = in->sae,
                             .iface = in->iface,
                             .peer_chassis = in->chassis,
                             .peer_port = in->port,
                             .carried = in->carried};

    c->text[0] = '\0';
    if (rk_call_left_ms(c) == 0)
        out->err = rk_call_fail(c, RK_E_TIMEOUT, "the plugin was not told of it within the budget");
    else
        out->err = rk_safe_err(c->inst->module->channel.attach(c->inst->data, c, &link));
    if (out->err)
        rk_safe_copy(out->text, sizeof out->text, c->text);
    return out->err;
}

int
rk_run_attach(struct rk_call *c)
{
    const struct rk_item *first = NULL;
    char why[RK_WHY_MAX];
    int err = RK_OK;

    for (size_t i = 0; i < c->msg.n; i++) {
        struct rk_item *out = &c->reply.items[i];

        if ((out->err == RK_OK && attach_one(c, &c->msg.items[i], out) == RK_OK) || first)
            continue;
        err = out->err;
        first = &c->msg.items[i];
        snprintf(why, sizeof why, "%.*s", (int)sizeof why - 1, out->text);
    }
    return first ? rk_call_fail(c, err, "%s: %s", first->link, why) : RK_OK;
}
