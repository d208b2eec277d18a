/* line.c - requests over whatever line the plugin has to its router, and what is asked once of each session. */
#include "read.h"

#include <string.h>

int
jn_rpc(struct jn_device *d, struct rk_call *call, const struct nc_request *request, struct nc_reply **reply)
{
    return d->line->rpc(d, call, request, reply);
}

int
jn_rpc_here(struct jn_device *d, struct rk_call *call, const struct nc_request *request, struct nc_reply **reply)
{
    return d->line->rpc_here(d, call, request, reply);
}

int
jn_ask(struct jn_device *d, struct rk_call *call, const char *what, const char *body, struct nc_reply **reply)
{
    struct nc_part part = {.kind = NC_TEXT, .text = body};
    struct nc_request request = {.what = what, .parts = &part, .n = 1};

    return jn_rpc(d, call, &request, reply);
}

void
jn_hang_up(struct jn_device *d)
{
    d->line->hang_up(d);
    d->model[0] = d->release[0] = d->host_name[0] = '\0';
    d->known = d->no_revision = false;
    d->encrypts_ms = 0;
    d->shown.useless = false;
    jn_forget(d);
}

int
jn_know(struct jn_device *d, struct rk_call *call)
{
    struct nc_reply *reply = NULL;
    struct jn_facts facts;
    int err;

    if (d->session && d->known)
        return RK_OK;
    err = jn_ask(d, call, "get-software-information", "<get-software-information/>", &reply);
    if (err && err != RK_E_REJECTED)
        return err;
    d->known = true;
    if (!err && jn_facts_read(reply->root, &facts) == RK_OK) {
        memcpy(d->model, facts.model, sizeof d->model);
        memcpy(d->release, facts.release, sizeof d->release);
        memcpy(d->host_name, facts.host_name, sizeof d->host_name);
    }
    nc_reply_free(&reply);
    return RK_OK;
}
