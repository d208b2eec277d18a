/* session.c - the one session of a router: opened when it is needed, kept, closed when it was idle for long.
 *
 * A request that was certainly not sent goes once more over a new session, but only where it does not depend on the
 * old one (jn_rpc): never within the edit of a candidate (jn_rpc_here). */
#include "read.h"

#include <string.h>

#define MANY_SESSIONS 2048   /* of this process: then idle ones are closed sooner */
#define MANY_IDLE_MS 60000
#define KEPT_MS 60000        /* what was read is kept while it is asked for more often than this */
#define OPEN_RPCS 2          /* to connect, log in and say hello may take as long as so many requests */
#define OLD_MS (24 * 3600000LL) /* libssh2 does not renew the keys of a session: it is replaced daily */

void
jn_hang_up(struct jn_device *d)
{
    if (d->nc)
        nc_close(&d->nc, NULL);
    d->nc = NULL;
    d->model[0] = d->release[0] = d->host_name[0] = '\0';
    d->known = d->no_revision = false;
    d->encrypts_ms = 0;
    jn_forget(d);
}

/* ---- opening ---- */

static int
read_secrets(struct jn_device *d, struct rk_call *call, struct rk_secret **key, struct rk_secret **passphrase)
{
    int err = RK_OK;

    if (d->opt.key_value)
        err = d->host->secret_read(call, "key", d->opt.key_value, key);
    if (!err && d->opt.passphrase_value)
        err = d->host->secret_read(call, "passphrase", d->opt.passphrase_value, passphrase);
    return err;
}

static int
open_session(struct jn_device *d, struct rk_call *call)
{
    struct rk_secret *key = NULL, *passphrase = NULL;
    struct nc_target target = {
        .host = d->opt.host, .port = d->opt.port, .user = d->opt.user, .known_hosts = d->opt.known_hosts,
        .trust_first_use = d->opt.trust_first_use, .agent = d->opt.agent, .limit_ms = OPEN_RPCS * d->opt.rpc_ms,
    };
    int err = read_secrets(d, call, &key, &passphrase);

    if (!err) {
        target.key = key;
        target.passphrase = passphrase;
        target.key_name = d->opt.key_value;
        err = nc_open(d->host, call, &target, &d->nc);
    }
    d->host->secret_free(&key);
    d->host->secret_free(&passphrase);
    if (!err)
        d->opened_ms = d->used_ms = jn_now_ms();
    return err;
}

/* ---- requests ---- */

int
jn_rpc_here(struct jn_device *d, struct rk_call *call, const struct nc_request *request, struct nc_reply **reply)
{
    struct nc_request r = *request;
    int err;

    *reply = NULL;
    if (!d->nc)
        return d->host->fail(call, RK_E_UNREACHABLE, "%s: the session with %s has ended", r.what, d->opt.host);
    if (!r.timeout_ms)
        r.timeout_ms = d->opt.rpc_ms;
    err = nc_rpc(d->nc, call, &r, reply);
    d->used_ms = jn_now_ms();
    if (err && err != RK_E_REJECTED)
        jn_hang_up(d);
    return err;
}

int
jn_rpc(struct jn_device *d, struct rk_call *call, const struct nc_request *request, struct nc_reply **reply)
{
    bool was_open = d->nc != NULL;
    int err = was_open ? RK_OK : open_session(d, call);

    *reply = NULL;
    if (!err)
        err = jn_rpc_here(d, call, request, reply);
    if (err != RK_E_UNREACHABLE || !was_open)
        return err;
    err = open_session(d, call);
    return err ? err : jn_rpc_here(d, call, request, reply);
}

int
jn_ask(struct jn_device *d, struct rk_call *call, const char *what, const char *body, struct nc_reply **reply)
{
    struct nc_part part = {.kind = NC_TEXT, .text = body};
    struct nc_request request = {.what = what, .parts = &part, .n = 1};

    return jn_rpc(d, call, &request, reply);
}

int
jn_know(struct jn_device *d, struct rk_call *call)
{
    struct nc_reply *reply = NULL;
    struct jn_facts facts;
    int err;

    if (d->nc && d->known)
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

/* ---- between calls ---- */

int
jn_tend(void *inst, struct rk_call *call)
{
    struct jn_device *d = inst;
    int64_t idle_ms = jn_now_ms() - d->used_ms;
    int err;

    if (!d->nc)
        return RK_OK;
    if (idle_ms >= d->opt.idle_ms || (idle_ms >= MANY_IDLE_MS && nc_sessions() > MANY_SESSIONS) ||
        (jn_now_ms() - d->opened_ms >= OLD_MS)) {
        nc_close(&d->nc, call);
        jn_hang_up(d);
        return RK_OK;
    }
    if (idle_ms >= KEPT_MS)
        jn_forget(d);
    err = nc_tend(d->nc, call);
    if (err)
        jn_hang_up(d);
    return err;
}
