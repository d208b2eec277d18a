/* deliver.c - one load and one commit for all links of a call; a link that the router refuses does not hinder others.
 *
 * A second load, or a second commit, is sent only after a certain refusal of the first. */
#include "commit.h"

#include <stdlib.h>
#include <string.h>

static bool
to_send(const struct jn_unit *u)
{
    return !u->err && !u->skip && jn_unit_differs(u);
}

static size_t
count(const struct jn_plan *plan)
{
    size_t n = 0;

    for (size_t i = 0; i < plan->n_unit; i++)
        n += to_send(&plan->unit[i]);
    return n;
}

/* ---- which link an error is about ---- */

static bool
is_word_byte(char ch)
{
    return (ch >= '0' && ch <= '9') || (ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z') || ch == '_' || ch == '-' ||
           ch == '/' || ch == '.' || ch == ':';
}

/* name is in text as a word of its own: "ge-0/0/1" is not in "ge-0/0/14" */
static bool
names(const char *text, const char *name)
{
    size_t len = strlen(name);

    for (const char *p = len ? strstr(text, name) : NULL; p; p = strstr(p + 1, name))
        if ((p == text || !is_word_byte(p[-1])) && !is_word_byte(p[len]))
            return true;
    return false;
}

static bool
is_about(const struct nc_error *e, const struct jn_unit *u)
{
    const char *name[] = {u->iface, u->ca ? u->ca->name : "", u->chain ? u->chain->name : ""};

    for (size_t i = 0; i < sizeof name / sizeof *name; i++)
        if (names(e->path, name[i]) || names(e->message, name[i]))
            return true;
    return false;
}

static void
mark(struct jn_unit *u, const struct nc_error *e)
{
    u->err = jn_refused_code(e);
    jn_refused_text(e, u->why);
}

static size_t
mark_named(struct jn_plan *plan, const struct nc_reply *reply)
{
    size_t n = 0, errors = reply->n_errors < NC_ERRORS_MAX ? reply->n_errors : NC_ERRORS_MAX;

    for (size_t i = 0; i < plan->n_unit; i++)
        for (size_t k = 0; k < errors && to_send(&plan->unit[i]); k++)
            if (is_about(&reply->errors[k], &plan->unit[i])) {
                mark(&plan->unit[i], &reply->errors[k]);
                n++;
            }
    return n;
}

/* ---- one attempt ---- */

/* ret: RK_OK: loaded; RK_E_REJECTED: *reply says why; else a code */
static int
load(struct jn_device *d, struct rk_call *call, struct jn_plan *plan, struct nc_reply **reply)
{
    struct jn_load *l;
    int err = jn_write(d->host, plan, &l);

    if (err)
        return d->host->fail(call, err, "out of memory");
    if (l->n)
        err = jn_load_send(d, call, l, reply);
    jn_load_free(&l);
    return err;
}

/* Ask the router about one link alone: load, check, discard. */
static int
try_one(struct jn_device *d, struct rk_call *call, struct jn_plan *plan, struct jn_unit *u)
{
    struct nc_reply *reply = NULL;
    int err = jn_edit_open(d, call);

    if (err)
        return err;
    err = load(d, call, plan, &reply);
    if (!err) {
        nc_reply_free(&reply);
        err = jn_commit_check(d, call, &reply);
    }
    if (err == RK_E_REJECTED && reply && reply->n_errors)
        mark(u, &reply->errors[0]);
    nc_reply_free(&reply);
    jn_edit_close(d, call);
    return err == RK_E_REJECTED ? RK_OK : err;
}

/* The router's words name no link: each is tried alone.   ret: RK_OK (some are marked), or a code */
static int
mark_tried(struct jn_device *d, struct rk_call *call, struct jn_plan *plan)
{
    bool *was = calloc(plan->n_unit, sizeof *was);
    int err = was ? RK_OK : RK_E_NOMEM;
    size_t n = count(plan);

    for (size_t i = 0; !err && i < plan->n_unit; i++)
        was[i] = plan->unit[i].skip;
    for (size_t i = 0; !err && i < plan->n_unit; i++) {
        if (was[i] || plan->unit[i].err || !jn_unit_differs(&plan->unit[i]))
            continue;
        for (size_t k = 0; k < plan->n_unit; k++)
            plan->unit[k].skip = k != i;
        err = try_one(d, call, plan, &plan->unit[i]);
    }
    for (size_t i = 0; was && i < plan->n_unit; i++)
        plan->unit[i].skip = was[i];
    free(was);
    return err ? err : count(plan) < n ? RK_OK : RK_E_REJECTED;
}

/* The edit was refused and is closed.   ret: RK_OK: those to blame are marked, and others are left; else a code */
static int
blame(struct jn_device *d, struct rk_call *call, struct jn_plan *plan, const struct nc_reply *reply)
{
    struct nc_error none = {.message = "refused without a reason"};
    const struct nc_error *first = reply && reply->n_errors ? &reply->errors[0] : &none;
    int code = jn_refused_code(first);
    size_t n = count(plan);

    if (code != RK_E_REJECTED)
        return jn_refusal(d, call, "the change", first);
    if (n == 1 || (reply && mark_named(plan, reply))) {
        for (size_t i = 0; n == 1 && i < plan->n_unit; i++)
            if (to_send(&plan->unit[i]))
                mark(&plan->unit[i], first);
        return RK_OK;
    }
    code = mark_tried(d, call, plan);
    return code ? jn_refusal(d, call, "the change", first) : RK_OK;
}

static int
find_out(struct jn_device *d, struct rk_call *call, const char *txn, const char *holder)
{
    enum jn_outcome outcome;

    jn_hang_up(d); /* its answer, when it comes, is for nobody */
    jn_commit_find(d, call, txn, holder, &outcome);
    d->host->log(call, RK_LOG_WARNING, "ev=commit-unknown dev=%s txn=%s res=%s", d->opt.name, txn,
                 outcome == JN_DONE ? "done" : outcome == JN_NOT_DONE ? "not-done" : "unknown");
    if (outcome == JN_DONE)
        return RK_OK;
    if (outcome == JN_UNKNOWN)
        return RK_E_UNKNOWN;
    return d->host->fail(call, RK_E_AGAIN, "the commit txn=%s was not done: %s lost its session", txn, d->opt.host);
}

static int
commit(struct jn_device *d, struct rk_call *call, const struct jn_plan *plan, struct jn_delivery *delivery,
       struct nc_reply **reply)
{
    char log[80], holder[32];
    int err;

    snprintf(log, sizeof log, "rekeyd txn=%s links=%zu", delivery->txn, count(plan));
    snprintf(holder, sizeof holder, "%s", d->holder);
    delivery->commits++;
    err = jn_commit_send(d, call, log, reply);
    if (err == RK_E_UNKNOWN || err == RK_E_PROTOCOL)
        return find_out(d, call, delivery->txn, holder);
    return err;
}

/* ret: RK_OK: committed, nothing is left to be, or (*refused) some were marked and the rest is to be tried again; else
 * a code */
static int
attempt(struct jn_device *d, struct rk_call *call, struct jn_plan *plan, struct jn_delivery *delivery, bool *refused)
{
    struct nc_reply *reply = NULL;
    int err = jn_edit_open(d, call);

    if (err)
        return err;
    err = load(d, call, plan, &reply);
    if (!err && count(plan)) {
        nc_reply_free(&reply);
        err = commit(d, call, plan, delivery, &reply);
    }
    *refused = err == RK_E_REJECTED;
    jn_edit_close(d, call);
    if (*refused)
        err = blame(d, call, plan, reply);
    nc_reply_free(&reply);
    return err;
}

int
jn_deliver(struct jn_device *d, struct rk_call *call, struct jn_plan *plan, struct jn_delivery *delivery)
{
    bool refused = true;
    int err = RK_OK;

    delivery->commits = 0;
    for (int i = 0; !err && refused && i < 2 && count(plan); i++) {
        refused = false;
        err = attempt(d, call, plan, delivery, &refused);
    }
    if (!err && refused && count(plan)) /* refused twice, each time for another link */
        for (size_t i = 0; i < plan->n_unit; i++)
            if (to_send(&plan->unit[i])) {
                plan->unit[i].err = RK_E_BUSY;
                snprintf(plan->unit[i].why, sizeof plan->unit[i].why, "not committed: the router refused other links "
                         "of the same commit");
            }
    return err;
}
