/* commit.c - the edit of a configuration, its commit, and what became of a commit whose answer was not seen.
 *
 * A commit is sent once.  When its end is not known, the history and the configuration are read until it is known, or
 * the call ends as unknown: it is never sent again blindly.  Locks of others are never broken. */
#include "commit.h"

#include "../files.h"

#include <stdlib.h>
#include <string.h>

#define LOOK_MS 1000        /* between two looks at the history */
#define LOOKS_GONE 2        /* looks without the transaction and without the session, for "not done" */
#define RESERVE_MAX_MS 15000 /* of the budget, for finding out */

/* ---- requests ---- */

static int
send(struct jn_device *d, struct rk_call *call, const char *what, const char *body, struct nc_reply **reply)
{
    struct nc_part part = {.kind = NC_TEXT, .text = body};
    struct nc_request request = {.what = what, .parts = &part, .n = 1};

    return jn_rpc_here(d, call, &request, reply);
}

/* ---- what the router answered ---- */

static bool
says(const struct nc_error *e, const char *words)
{
    return strstr(e->message, words) != NULL;
}

int
jn_refused_code(const struct nc_error *e)
{
    if (says(e, "locked by") || says(e, "database modified") || says(e, "commit in progress") ||
        says(e, "another commit") || says(e, "commit is in progress") || strcmp(e->tag, "lock-denied") == 0 ||
        strcmp(e->tag, "in-use") == 0)
        return RK_E_BUSY;
    if (says(e, "permission denied") || says(e, "ermission") || strcmp(e->tag, "access-denied") == 0)
        return RK_E_AUTH;
    return RK_E_REJECTED;
}

void
jn_refused_text(const struct nc_error *e, char text[RK_WHY_MAX])
{
    if (e->element[0])
        snprintf(text, RK_WHY_MAX, "%.120s (element %.25s)", e->message, e->element);
    else
        snprintf(text, RK_WHY_MAX, "%.159s", e->message);
}

int
jn_refusal(struct jn_device *d, struct rk_call *call, const char *what, const struct nc_error *e)
{
    int err = jn_refused_code(e);
    char text[RK_WHY_MAX];

    jn_refused_text(e, text);
    if (err == RK_E_AUTH)
        return d->host->fail(call, err, "%s: user %s may not: %s; see rekeyctl prepare %s", what, d->opt.user, text,
                             d->opt.name);
    return d->host->fail(call, err, "%s at %s: %s", what, d->opt.host, text);
}

/* ---- the edit ---- */

int
jn_edit_open(struct jn_device *d, struct rk_call *call)
{
    bool private = d->opt.candidate == JN_PRIVATE;
    struct nc_reply *reply = NULL;
    struct nc_error error = {.message = "refused"};
    const char *what = private ? "open-configuration" : "lock-configuration";
    int err;

    d->kept.read_ms = d->shown.last_ms = 0; /* what was read until now is from before the change */
    err = jn_ask(d, call, what, private ? "<open-configuration><private/></open-configuration>"
                                        : "<lock-configuration/>", &reply);

    if (err == RK_E_REJECTED && reply->n_errors)
        error = reply->errors[0];
    nc_reply_free(&reply);
    if (err == RK_E_REJECTED)
        return jn_refusal(d, call, what, &error);
    if (err == RK_E_UNKNOWN || err == RK_E_PROTOCOL) /* nothing is loaded yet */
        return d->host->fail(call, RK_E_UNREACHABLE, "%s: no answer from %s; nothing was changed", what, d->opt.host);
    return err;
}

void
jn_edit_close(struct jn_device *d, struct rk_call *call)
{
    struct nc_reply *reply = NULL;

    if (d->session && d->opt.candidate == JN_EXCLUSIVE) {
        (void)send(d, call, "discard-changes", "<discard-changes/>", &reply);
        nc_reply_free(&reply);
    }
    if (d->session && d->opt.candidate == JN_EXCLUSIVE)
        (void)send(d, call, "unlock-configuration", "<unlock-configuration/>", &reply);
    else if (d->session)
        (void)send(d, call, "close-configuration", "<close-configuration/>", &reply);
    nc_reply_free(&reply);
}

int
jn_load_send(struct jn_device *d, struct rk_call *call, const struct jn_load *load, struct nc_reply **reply)
{
    struct nc_request request = {.what = "load-configuration", .parts = load->part, .n = load->n};
    int err = jn_rpc_here(d, call, &request, reply);

    if (err == RK_OK && !(*reply)->positive) {
        nc_reply_free(reply);
        jn_hang_up(d); /* whatever is loaded goes with the session */
        return d->host->fail(call, RK_E_PROTOCOL, "load-configuration: %s said neither success nor an error",
                             d->opt.host);
    }
    if (err == RK_E_UNKNOWN) /* what is loaded went with the session */
        return d->host->fail(call, RK_E_UNREACHABLE, "load-configuration: no answer from %s; nothing was committed",
                             d->opt.host);
    return err;
}

/* What may be waited for: the option, inside the budget without its reserve. */
static int64_t
commit_ms(const struct jn_device *d, const struct rk_call *call)
{
    int64_t left = d->host->left_ms(call), reserve = left / 3 < RESERVE_MAX_MS ? left / 3 : RESERVE_MAX_MS;

    left -= reserve;
    if (left > d->opt.commit_ms)
        left = d->opt.commit_ms;
    return left > 0 ? left : 1;
}

static int
commit_rpc(struct jn_device *d, struct rk_call *call, const char *body, struct nc_reply **reply)
{
    struct nc_part part = {.kind = NC_TEXT, .text = body};
    struct nc_request request = {.what = "commit-configuration", .parts = &part, .n = 1,
                                 .timeout_ms = commit_ms(d, call)};
    int err = jn_rpc_here(d, call, &request, reply);
    bool doubtful = (err == RK_OK && !(*reply)->positive) || (err == RK_E_REJECTED && (*reply)->positive);

    if (!doubtful)
        return err;
    nc_reply_free(reply);
    return d->host->fail(call, RK_E_UNKNOWN, "commit-configuration: %s said %s", d->opt.host,
                         err ? "both success and an error" : "neither success nor an error");
}

int
jn_commit_send(struct jn_device *d, struct rk_call *call, const char *log, struct nc_reply **reply)
{
    char body[160];

    snprintf(body, sizeof body, "<commit-configuration><log>%.100s</log></commit-configuration>", log);
    return commit_rpc(d, call, body, reply);
}

int
jn_commit_check(struct jn_device *d, struct rk_call *call, struct nc_reply **reply)
{
    return commit_rpc(d, call, "<commit-configuration><check/></commit-configuration>", reply);
}

/* ---- after an unknown end ---- */

/* ret: RK_OK, or why the history cannot be read */
static int
in_history(struct jn_device *d, struct rk_call *call, const char *txn, bool *there)
{
    struct nc_reply *reply = NULL;
    struct jn_commit *commits = NULL;
    size_t n = 0;
    int err = jn_ask(d, call, "get-commit-information", "<get-commit-information/>", &reply);

    *there = false;
    if (!err)
        err = jn_commits_read(reply->root, &commits, &n);
    for (size_t i = 0; !err && i < n; i++) {
        const char *at = strstr(commits[i].log, "txn=");

        *there |= at && strncmp(at + 4, txn, JN_TXN_HEX) == 0;
    }
    free(commits);
    nc_reply_free(&reply);
    return err;
}

/* Is the session that sent the commit still there, by the router's list of who has the configuration open?
 * [not tried: that a session which is committing is listed; so it is looked twice]   ret: RK_OK, or a code: not told */
static int
holder_is_there(struct jn_device *d, struct rk_call *call, const char *holder, bool *there)
{
    struct nc_reply *reply = NULL;
    int err = jn_ask(d, call, "get-configuration-database-status", "<get-configuration-database-status/>", &reply);
    const xmlNode *entry = err ? NULL : nc_find(reply->root, "database-status");
    char pid[32];

    *there = false;
    if (!err && !nc_find(reply->root, "database-status-information"))
        err = RK_E_PROTOCOL;
    for (; !err && entry; entry = nc_next(entry))
        *there |= strcmp(holder, JN_HOLDER_ANY) == 0 ||
                  (nc_child_text(entry, "pid", pid, sizeof pid) && strcmp(pid, holder) == 0);
    nc_reply_free(&reply);
    return err;
}

/* One look.   ret: true: it is known */
static bool
look(struct jn_device *d, struct rk_call *call, const char *txn, const char *holder, bool *gone)
{
    bool there = false, busy = true;

    *gone = false;
    if (in_history(d, call, txn, &there) != RK_OK)
        return false;
    if (there || !holder[0] || holder_is_there(d, call, holder, &busy) != RK_OK || busy || jn_now_ms() < d->taken_ms)
        return there;
    *gone = in_history(d, call, txn, &there) == RK_OK && !there; /* it may have ended in between */
    return there;
}

void
jn_commit_find(struct jn_device *d, struct rk_call *call, const char *txn, const char *holder,
               enum jn_outcome *outcome)
{
    int gone = 0;

    *outcome = JN_UNKNOWN;
    while (d->host->left_ms(call) > 0) {
        bool is_gone;

        if (look(d, call, txn, holder, &is_gone)) {
            *outcome = JN_DONE;
            return;
        }
        gone = is_gone ? gone + 1 : 0;
        if (gone >= LOOKS_GONE) {
            *outcome = JN_NOT_DONE;
            return;
        }
        if (rkp_pause(d->host, call, -1, LOOK_MS) != RK_OK)
            break;
    }
    (void)d->host->fail(call, RK_E_UNKNOWN, "%s did not answer the commit txn=%s, and does not tell what became of "
                        "it", d->opt.host, txn);
}
