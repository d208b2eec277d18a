/* prepare_do.c - asks the router what it has, tells what it lacks, and, when told to, commits that.
 *
 * Never a key.  A commit of which the end is not known is looked for, and never sent again. */
#include "prepare.h"

#include "session.h"

#include "../../common/junos/commit.h"

#include "../../common/keytext.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY \
    "<get-configuration database=\"committed\" inherit=\"inherit\" format=\"xml\"><configuration>" \
    "<system><login/><services/><ntp/></system><protocols><lldp/></protocols></configuration></get-configuration>"

/* The reply has hashes of passwords in it. */
static int
get_system(struct jn_device *d, struct rk_call *call, struct jn_system *out)
{
    struct nc_part part = {.kind = NC_TEXT, .text = BODY};
    struct nc_request request = {.what = "get-configuration", .parts = &part, .n = 1, .secret_reply = true};
    struct nc_reply *reply = NULL;
    int err = jn_rpc(d, call, &request, &reply);

    if (!err)
        err = jn_system_read(reply->root, d->opt.user, out);
    if (err == RK_E_PROTOCOL)
        err = d->host->fail(call, err, "%s: the answer to get-configuration is not understood", d->opt.host);
    nc_reply_free(&reply);
    return err;
}

static int
refused(struct jn_device *d, struct rk_call *call, const char *what, int err, struct nc_reply **reply)
{
    if (err == RK_E_REJECTED && *reply && (*reply)->n_errors)
        err = jn_refusal(d, call, what, &(*reply)->errors[0]);
    nc_reply_free(reply);
    return err;
}

static int
load(struct jn_device *d, struct rk_call *call, const char *text)
{
    struct nc_part part = {.kind = NC_TEXT, .text = text};
    struct jn_load what = {.part = &part, .n = 1};
    struct nc_reply *reply = NULL;

    return refused(d, call, "load-configuration", jn_load_send(d, call, &what, &reply), &reply);
}

static int
check(struct jn_device *d, struct rk_call *call)
{
    struct nc_reply *reply = NULL;
    int err = jn_commit_check(d, call, &reply);

    if (err == RK_E_UNKNOWN)
        err = d->host->fail(call, RK_E_UNREACHABLE, "commit check: no answer from %s; nothing was changed",
                            d->opt.host);
    return refused(d, call, "commit check", err, &reply);
}

static int
commit(struct jn_device *d, struct rk_call *call, const char *what)
{
    unsigned char random[JN_TXN_HEX / 2];
    char txn[JN_TXN_HEX + 1], log[80], holder[32];
    struct nc_reply *reply = NULL;
    enum jn_outcome outcome;
    int err;

    err = d->host->random(random, sizeof random);
    if (err)
        return d->host->fail(call, err, "no random number for the transaction");
    rkp_hex_put(random, sizeof random, txn);
    snprintf(log, sizeof log, "rekeyd txn=%s %.20s", txn, what);
    snprintf(holder, sizeof holder, "%s", d->holder);
    err = jn_commit_send(d, call, log, &reply);
    if (err != RK_E_UNKNOWN && err != RK_E_PROTOCOL)
        return refused(d, call, "commit", err, &reply);
    nc_reply_free(&reply);
    jn_commit_find(d, call, txn, holder, &outcome);
    if (outcome == JN_NOT_DONE)
        return d->host->fail(call, RK_E_UNREACHABLE, "commit: the session with %s was lost, and nothing was committed",
                             d->opt.host);
    return outcome == JN_DONE ? RK_OK : RK_E_UNKNOWN;
}

int
jn_need_apply(struct jn_device *d, struct rk_call *call, const struct jn_need *need, const char *what)
{
    char *text = jn_need_load(need);
    int err;

    if (!text)
        return d->host->fail(call, RK_E_NOMEM, "out of memory");
    err = jn_edit_open(d, call);
    if (!err) {
        err = load(d, call, text);
        if (!err)
            err = check(d, call);
        if (!err)
            err = commit(d, call, what);
        jn_edit_close(d, call);
    }
    free(text);
    return err;
}

/* Something else than the links. */
static int
other(struct jn_device *d, struct rk_call *call, const struct rk_prepare *want, rk_line_fn *line, void *arg)
{
    const char *first = jn_prepare_words(want)[0];

    if (strcmp(first, "offbox") == 0)
        return jn_conf_tell(d, call, line, arg);
    if (strcmp(first, "shim-install") == 0 || strcmp(first, "shim-remove") == 0)
        return jn_shim_prepare(d, call, want, line, arg);
    return d->host->fail(call, RK_E_UNSUPPORTED, "%.40s is not known for a router that is reached by NETCONF", first);
}

int
jn_prepare(void *inst, struct rk_call *call, const struct rk_prepare *want, rk_line_fn *line, void *arg)
{
    struct jn_device *d = inst;
    struct jn_system system = {.has_class = false};
    struct jn_need need = {.list = NULL};
    struct jn_view *view = NULL;
    int err;

    if (jn_prepare_words(want))
        return other(d, call, want, line, arg);
    err = jn_know(d, call);
    if (!err)
        err = jn_view_get(d, call, JN_WANT_CONF | JN_WANT_CLOCK, &view);
    if (!err)
        err = get_system(d, call, &system);
    if (!err) {
        err = jn_need_make(d, view, &system, want, &need);
        if (err)
            err = d->host->fail(call, err, "%s", err == RK_E_NOMEM ? "out of memory"
                                 : "too much is needed for one commit");
    }
    if (!err) {
        jn_need_tell(&need, line, arg);
        if (want->apply && need.n)
            err = jn_need_apply(d, call, &need, "prepare");
    }
    jn_need_free(&need);
    jn_system_free(&system);
    jn_view_free(d->host, &view);
    return err;
}
