/* edit.c - an edit of a router's configuration by way of its script.
 *
 * It is only written down here, and goes out as a whole with its commit, at once with nothing else: so the errors of
 * opening and loading come with the answer to the commit.  What the script says is believed only as far as the router's
 * own words say the same.
 */
#include "shim.h"

#include "../../common/netconf/reply.h"

#include <stdlib.h>
#include <string.h>

#define LATE_MS 5000 /* work may be under way to the script for so long */

void
je_edit_end(struct je_router *r)
{
    je_text_free(&r->load);
    r->edit_open = false;
}

/* What the router would say: the truth comes with the commit. */
static int
say_ok(struct nc_reply **reply)
{
    *reply = calloc(1, sizeof **reply);
    if (!*reply)
        return RK_E_NOMEM;
    (*reply)->positive = true;
    return RK_OK;
}

static int
open_edit(struct je_router *r, bool exclusive, struct nc_reply **reply)
{
    je_edit_end(r);
    r->edit_open = true;
    r->edit_exclusive = exclusive;
    return say_ok(reply);
}

static int
put_load(struct je_router *r, struct rk_call *call, const struct nc_request *request, struct nc_reply **reply)
{
    int err = r->edit_open ? RK_OK : RK_E_CONTRACT;

    je_text_free(&r->load);
    if (!err)
        err = je_load_make(r->d.host, request, &r->load);
    if (err)
        return r->d.host->fail(call, err, "load-configuration cannot be handed to the script of %s", r->router);
    return say_ok(reply);
}

/* The content of <log> in a commit; its transaction is the work's number.   false: it has none */
static bool
take_log(struct je_work *w, const char *body)
{
    const char *log = strstr(body, "<log>"), *end = log ? strstr(log, "</log>") : NULL, *txn;
    char id[JE_ID_LEN + 1];

    if (!end || (size_t)(end - log - 5) >= sizeof w->log)
        return false;
    memcpy(w->log, log + 5, (size_t)(end - log - 5));
    txn = strstr(w->log, "txn=");
    if (!txn || strlen(txn) < 4 + JE_ID_LEN)
        return false;
    memcpy(id, txn + 4, JE_ID_LEN);
    id[JE_ID_LEN] = '\0';
    memcpy(w->id, id, sizeof id);
    return je_id_ok(id);
}

static struct je_work *
make_edit(struct je_router *r, struct rk_call *call, const struct nc_request *request)
{
    const char *body = request->parts[0].text;
    struct je_work *w = je_work_new(r, je_left_until(r, call, request->timeout_ms));

    if (!w)
        return NULL;
    w->edit = true;
    w->exclusive = r->edit_exclusive;
    w->check_only = strstr(body, "<check/>") != NULL;
    w->load = r->load;
    r->load = (struct je_text){.bytes = NULL};
    if (w->check_only || take_log(w, body))
        return w;
    je_work_free(&w);
    return NULL;
}

static const struct je_said *
step_of(const struct je_body *b, const char *name)
{
    const struct je_said *found = NULL;

    for (size_t i = 0; i < b->n_steps; i++)
        if (strcmp(b->step[i].rpc, name) == 0 && !b->step[i].lost)
            found = &b->step[i];
    return found;
}

/* ret: RK_OK: it can be read, whatever it says */
static int
read_step(const struct je_said *s, struct nc_reply **reply)
{
    char *copy = s ? malloc(s->len + 1) : NULL;
    const char *why;
    int err = s && !copy ? RK_E_NOMEM : RK_E_PROTOCOL;

    *reply = NULL;
    if (copy) {
        memcpy(copy, s->reply, s->len + 1);
        err = nc_reply_read(copy, s->len, reply, &why);
        explicit_bzero(copy, s->len);
        free(copy);
    }
    return err;
}

/* Was everything loaded?  Errors that the script has not seen are seen here. */
static bool
loads_good(const struct je_body *b)
{
    for (size_t i = 0; i < b->n_steps; i++) {
        struct nc_reply *reply = NULL;
        bool good;

        if (strcmp(b->step[i].rpc, "load") != 0)
            continue;
        good = !b->step[i].lost && read_step(&b->step[i], &reply) == RK_OK && reply->positive;
        nc_reply_free(&reply);
        if (!good)
            return false;
    }
    return true;
}

static int
unknown(struct je_router *r, struct rk_call *call, const char *why)
{
    return r->d.host->fail(call, RK_E_UNKNOWN, "commit-configuration: %s: %s", r->router, why);
}

/* The script says that it is done: then the router's own words must say so. */
static int
take_done(struct je_router *r, struct rk_call *call, const struct je_work *w, struct nc_reply **reply)
{
    int err = read_step(step_of(&w->report, w->check_only ? "check" : "commit"), reply);

    if (err)
        return unknown(r, call, "the script reports a commit, and not what the router said to it");
    if (!loads_good(&w->report)) {
        nc_reply_free(reply);
        return unknown(r, call, "the script has committed what was not loaded as a whole");
    }
    return (*reply)->n_errors ? RK_E_REJECTED : RK_OK;
}

/* The script says that it was refused: then the last word of the router is no success, and the edit was discarded. */
static int
take_refused(struct je_router *r, struct rk_call *call, const struct je_work *w, struct nc_reply **reply)
{
    static const char *const steps[] = {"commit", "check", "load", "open"};
    struct nc_reply *committed = NULL;
    bool done = read_step(step_of(&w->report, "commit"), &committed) == RK_OK && committed->positive;

    nc_reply_free(&committed);
    if (done)
        return unknown(r, call, "the script reports a refusal, and the router said that it was committed");
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        const struct je_said *s = step_of(&w->report, steps[i]);

        if (s && read_step(s, reply) == RK_OK && (*reply)->n_errors)
            return r->d.host->fail(call, RK_E_REJECTED, "%s at %s: %s", steps[i], r->router,
                                   (*reply)->errors[0].message);
        nc_reply_free(reply);
    }
    return r->d.host->fail(call, RK_E_BUSY, "the script of %s has discarded the change: %s", r->router,
                           w->report.why[0] ? w->report.why : "it does not say why");
}

/* Until when may it be begun yet?  A run that does not report may be slow, and one on another routing engine knows
 * nothing of what we give up; its time began when the work had got there. */
static int64_t
taken_until(const struct je_work *w)
{
    bool at_work = w->state == JE_GIVEN || (w->state == JE_LOST && w->beside);

    return at_work ? w->deadline_ms + LATE_MS : 0;
}

/* What became of an edit. */
static int
committed(struct je_router *r, struct rk_call *call, const struct je_work *w, int canceled, struct nc_reply **reply)
{
    const struct rk_host *host = r->d.host;

    if (w->state == JE_WAITS && !canceled && je_check_heard(r, call) != RK_OK)
        return RK_E_UNREACHABLE;
    if (w->state == JE_WAITS)
        return host->fail(call, canceled ? RK_E_CANCELED : RK_E_TIMEOUT, "%s has not asked %s: nothing was changed",
                          r->router, canceled ? "until the call was given up" : "in time");
    r->d.taken_ms = taken_until(w);
    if (w->state == JE_LOST)
        return unknown(r, call, "it has asked again without a report on the change");
    if (w->state == JE_GIVEN)
        return unknown(r, call, "it has the change, and has not reported in time");
    switch (w->report.outcome) {
    case JE_DONE:
        return take_done(r, call, w, reply);
    case JE_REFUSED:
        return take_refused(r, call, w, reply);
    case JE_NOT_BEGUN:
        return host->fail(call, RK_E_BUSY, "the script of %s has not begun the change: %s", r->router,
                          w->report.why[0] ? w->report.why : "it does not say why");
    case JE_UNKNOWN:
        break;
    }
    return unknown(r, call, "the script has committed and got no answer");
}

static int
commit(struct je_router *r, struct rk_call *call, const struct nc_request *request, struct nc_reply **reply)
{
    struct je_work *w;
    int err;

    if (!r->edit_open || !r->load.bytes)
        return r->d.host->fail(call, RK_E_CONTRACT, "a commit without an edit");
    err = je_check_heard(r, call);
    if (err)
        return err;
    w = make_edit(r, call, request);
    je_edit_end(r);
    if (!w)
        return r->d.host->fail(call, RK_E_NOMEM, "out of memory; nothing was changed");
    err = je_carry_out(r, call, &w);
    err = committed(r, call, w, err, reply);
    je_work_free(&w);
    return err;
}

int
je_edit_rpc(struct je_router *r, struct rk_call *call, const struct nc_request *q, struct nc_reply **reply)
{
    if (strcmp(q->what, "open-configuration") == 0 || strcmp(q->what, "lock-configuration") == 0)
        return open_edit(r, q->what[0] == 'l', reply);
    if (strcmp(q->what, "load-configuration") == 0)
        return put_load(r, call, q, reply);
    if (strcmp(q->what, "commit-configuration") == 0)
        return commit(r, call, q, reply);
    if (strcmp(q->what, "discard-changes") != 0 && strcmp(q->what, "unlock-configuration") != 0 &&
        strcmp(q->what, "close-configuration") != 0)
        return RK_E_NOENT;
    je_edit_end(r); /* the script does the same at the end of each edit */
    return say_ok(reply);
}
