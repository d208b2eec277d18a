/* session.c - the one session of a router: opened when it is needed, kept, closed when it was idle for long.
 *
 * A request that was certainly not sent goes once more over a new session, but only where it does not depend on the
 * old one (rpc): never within the edit of a candidate (rpc_here). */
#include "session.h"

#include <stdio.h>

#define MANY_SESSIONS 2048   /* of this process: then idle ones are closed sooner */
#define MANY_IDLE_MS 60000
#define KEPT_MS 60000        /* what was read is kept while it is asked for more often than this */
#define OPEN_RPCS 2          /* to connect, log in and say hello may take as long as so many requests */
#define OLD_MS (24 * 3600000LL) /* libssh2 does not renew the keys of a session: it is replaced daily */

static struct jn_router *
router(struct jn_device *d)
{
    return (struct jn_router *)d; /* whose first member it is */
}

static void
hang_up(struct jn_device *d)
{
    struct nc_session *nc = d->session;

    if (nc)
        nc_close(&nc, NULL);
    d->session = NULL;
    d->holder[0] = '\0';
}

/* ---- opening ---- */

static int
read_secrets(struct jn_router *r, struct rk_call *call, struct rk_secret **key, struct rk_secret **passphrase)
{
    int err = RK_OK;

    if (r->key_value)
        err = r->d.host->secret_read(call, "key", r->key_value, key);
    if (!err && r->passphrase_value)
        err = r->d.host->secret_read(call, "passphrase", r->passphrase_value, passphrase);
    return err;
}

static void
opened(struct jn_router *r, struct nc_session *nc)
{
    const char *id = nc_id(nc);

    r->d.session = nc;
    snprintf(r->d.holder, sizeof r->d.holder, "%s", id ? id : "");
    r->opened_ms = r->used_ms = jn_now_ms();
}

static int
open_session(struct jn_router *r, struct rk_call *call)
{
    const struct rk_host *host = r->d.host;
    struct rk_secret *key = NULL, *passphrase = NULL;
    struct nc_session *nc = NULL;
    struct nc_target target = {
        .host = r->d.opt.host, .port = r->port, .user = r->d.opt.user, .known_hosts = r->known_hosts,
        .trust_first_use = r->trust_first_use, .agent = r->agent, .limit_ms = OPEN_RPCS * r->rpc_ms,
    };
    int err = read_secrets(r, call, &key, &passphrase);

    if (!err) {
        target.key = key;
        target.passphrase = passphrase;
        target.key_name = r->key_value;
        err = nc_open(host, call, &target, &nc);
    }
    host->secret_free(&key);
    host->secret_free(&passphrase);
    if (!err)
        opened(r, nc);
    return err;
}

/* ---- requests ---- */

static int
rpc_here(struct jn_device *d, struct rk_call *call, const struct nc_request *request, struct nc_reply **reply)
{
    struct nc_request r = *request;
    int err;

    *reply = NULL;
    if (!d->session)
        return d->host->fail(call, RK_E_UNREACHABLE, "%s: the session with %s has ended", r.what, d->opt.host);
    if (!r.timeout_ms)
        r.timeout_ms = router(d)->rpc_ms;
    err = nc_rpc(d->session, call, &r, reply);
    router(d)->used_ms = jn_now_ms();
    if (err && err != RK_E_REJECTED)
        jn_hang_up(d);
    return err;
}

static int
rpc(struct jn_device *d, struct rk_call *call, const struct nc_request *request, struct nc_reply **reply)
{
    bool was_open = d->session != NULL;
    int err = was_open ? RK_OK : open_session(router(d), call);

    *reply = NULL;
    if (!err)
        err = rpc_here(d, call, request, reply);
    if (err != RK_E_UNREACHABLE || !was_open)
        return err;
    err = open_session(router(d), call);
    return err ? err : rpc_here(d, call, request, reply);
}

const struct jn_line jn_ssh = {.rpc = rpc, .rpc_here = rpc_here, .hang_up = hang_up};

/* ---- between calls ---- */

/* Politely. */
static void
end_session(struct jn_device *d, struct rk_call *call)
{
    struct nc_session *nc = d->session;

    nc_close(&nc, call);
    d->session = NULL;
    jn_hang_up(d);
}

int
jn_tend(void *inst, struct rk_call *call)
{
    struct jn_router *r = inst;
    int64_t idle_ms = jn_now_ms() - r->used_ms;
    int err;

    if (!r->d.session)
        return RK_OK;
    if (idle_ms >= r->idle_ms || (idle_ms >= MANY_IDLE_MS && nc_sessions() > MANY_SESSIONS) ||
        (jn_now_ms() - r->opened_ms >= OLD_MS)) {
        end_session(&r->d, call);
        return RK_OK;
    }
    if (idle_ms >= KEPT_MS) {
        jn_forget(&r->d);
        jn_names_forget(&r->names);
    }
    err = nc_tend(r->d.session, call);
    if (err)
        jn_hang_up(&r->d);
    return err;
}
