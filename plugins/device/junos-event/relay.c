/* relay.c - requests of plugins/common/junos by way of the router's script (struct jn_line).
 *
 * Runs in calls.  A question is answered from facts that are new enough; else it is given to the script as a look, when
 * it asks.  Edits are in edit.c.
 */
#include "shim.h"

#include "../../common/netconf/reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOKS_MAX 3           /* looks for one question, when scripts end without a report */

static struct je_router *
router(struct jn_device *d)
{
    return (struct je_router *)d; /* whose first member it is */
}

/* ---- questions ---- */

/* A request is asked for again with the next look. */
static void
remember(struct je_router *r, const char *rpc)
{
    struct je_asked *oldest = &r->asked[0], *a = NULL;

    for (size_t i = 0; i < JE_ASKED_MAX && !a; i++) {
        if (r->asked[i].rpc && strcmp(r->asked[i].rpc, rpc) == 0)
            a = &r->asked[i];
        else if (!r->asked[i].rpc || (oldest->rpc && r->asked[i].used_ms < oldest->used_ms))
            oldest = &r->asked[i];
    }
    if (!a) {
        char *copy = strdup(rpc);

        a = copy ? oldest : NULL;
        if (copy) {
            free(oldest->rpc);
            oldest->rpc = copy;
        }
    }
    if (a)
        a->used_ms = jn_now_ms();
}

/* A copy of a fact, which may be mended when it is read. */
struct told {
    char *text;
    size_t len;
    int64_t at_unix_ms;
};

static int
copy_fact(struct je_fact *f, struct told *out)
{
    out->text = malloc(f->len + 1);
    if (!out->text)
        return RK_E_NOMEM;
    memcpy(out->text, f->reply, f->len + 1);
    out->len = f->len;
    out->at_unix_ms = f->at_unix_ms;
    f->used = true;
    return RK_OK;
}

/* ret: RK_OK; RK_E_NOENT: there is none that may be used, and *out is NULL; RK_E_NOMEM
 * stale: one of this tick does, when nothing was changed since */
static int
take_fact(struct je_router *r, const char *rpc, bool stale, struct told *out)
{
    int64_t now_ms = jn_now_ms();
    struct je_fact *f;
    int err = RK_E_NOENT;

    pthread_mutex_lock(&r->hub->lock);
    remember(r, rpc);
    f = je_fact_of(r, rpc);
    if (je_fresh(r, f, now_ms) ||
        (stale && f && f->epoch == r->epoch && now_ms - f->at_ms <= JE_AWAY_TICKS * r->tick_ms))
        err = copy_fact(f, out);
    pthread_mutex_unlock(&r->hub->lock);
    return err;
}

/* What became of a look, whose answer is among the facts when all went well. */
static int
looked(struct je_router *r, struct rk_call *call, const struct je_work *w, const char *what, int canceled)
{
    const struct rk_host *host = r->d.host;
    int err;

    if (w->state == JE_REPORTED && w->report.outcome == JE_DONE)
        return RK_OK;
    if (canceled)
        return host->fail(call, RK_E_CANCELED, "%s: given up while waiting for %s", what, r->router);
    if (w->state == JE_REPORTED)
        return host->fail(call, RK_E_BUSY, "%s: the script of %s could not ask: %s", what, r->router,
                          w->report.why[0] ? w->report.why : "it does not say why");
    if (w->state == JE_LOST)
        return RK_E_AGAIN;
    err = je_check_heard(r, call);
    if (err)
        return err;
    if (w->state == JE_WAITS)
        return host->fail(call, RK_E_TIMEOUT, "%s: %s has not asked within the time of the call", what, r->router);
    return host->fail(call, RK_E_TIMEOUT, "%s: the script of %s has not reported what it read", what, r->router);
}

/* ret: may it wait for the router to ask?   *counted: it is one of those that do */
static bool
may_wait(struct je_router *r, bool *counted)
{
    struct je_hub *h = r->hub;
    bool may;

    pthread_mutex_lock(&h->lock);
    may = r->poll || !r->reading || h->waiting < JE_WAITING_MAX;
    *counted = may && !r->poll;
    h->waiting += *counted;
    pthread_mutex_unlock(&h->lock);
    return may;
}

static void
waited(struct je_hub *h, bool counted)
{
    pthread_mutex_lock(&h->lock);
    h->waiting -= counted;
    pthread_mutex_unlock(&h->lock);
}

static int
look(struct je_router *r, struct rk_call *call, const char *what, const char *rpc)
{
    struct je_work *w;
    bool counted;
    int err;

    if (!may_wait(r, &counted))
        return r->d.host->fail(call, RK_E_TIMEOUT, "%s: %s does not ask just now, and too many calls wait for others",
                               what, r->router);
    w = je_work_new(r, je_left_until(r, call, 0));
    if (w) {
        w->need = rpc;
        err = je_carry_out(r, call, &w);
        err = looked(r, call, w, what, err);
        je_work_free(&w);
    } else {
        err = r->d.host->fail(call, RK_E_NOMEM, "out of memory");
    }
    waited(r->hub, counted);
    return err;
}

/* A script that was killed asks again: then its facts are there, or it looks again.   ret: RK_OK: take it */
static int
find_out(struct je_router *r, struct rk_call *call, const char *what, const char *rpc)
{
    int err = RK_E_AGAIN;

    for (int i = 0; i < LOOKS_MAX && err == RK_E_AGAIN; i++) {
        err = je_check_heard(r, call);
        if (!err)
            err = look(r, call, what, rpc);
    }
    if (err != RK_E_AGAIN)
        return err;
    return r->d.host->fail(call, RK_E_TIMEOUT, "%s: the script of %s ends each time without a report", what, r->router);
}

static int
fetch(struct je_router *r, struct rk_call *call, const char *what, const char *rpc, struct told *out)
{
    const struct rk_host *host = r->d.host;
    int err = take_fact(r, rpc, false, out), late = RK_OK;

    if (err == RK_E_NOENT) {
        late = find_out(r, call, what, rpc);
        if (late && !(r->reading && late == RK_E_TIMEOUT))
            return late;
        err = take_fact(r, rpc, r->reading, out);
    }
    if (err == RK_E_NOENT && late)
        return late;
    if (err == RK_E_NOENT)
        return host->fail(call, RK_E_PROTOCOL, "%s: the script of %s has not told the answer", what, r->router);
    return err ? host->fail(call, err, "%s: no memory for the answer of %s", what, r->router) : RK_OK;
}

/* ---- replies ---- */

/* The message-id says nothing of the content, and differs each time. */
static void
drop_id(struct told *t)
{
    char *end = memchr(t->text, '>', t->len);
    char *at = end ? memmem(t->text, (size_t)(end - t->text), " message-id=\"", 13) : NULL;
    char *close = at ? memchr(at + 13, '"', (size_t)(end - at - 13)) : NULL;

    if (!close)
        return;
    memmove(at, close + 1, (size_t)(t->text + t->len + 1 - (close + 1)));
    t->len -= (size_t)(close + 1 - at);
}

static bool
is_same(const struct rk_host *host, const struct told *t, const struct nc_same *last, struct nc_same *now)
{
    now->known = last && host->sha256(t->text, t->len, now->digest) == RK_OK;
    return now->known && last->known && memcmp(now->digest, last->digest, sizeof now->digest) == 0;
}

static void
keep(struct nc_same *same, const struct nc_same *now, const struct nc_reply *r)
{
    if (r && !r->same && (r->repaired || r->n_errors || r->n_warnings))
        same->known = false;
    else
        *same = r && now->known ? *now : (struct nc_same){.known = false};
}

/* own: t is wiped and freed.   ret: as nc_rpc */
static int
read_told(struct je_router *r, struct rk_call *call, const struct nc_request *request, struct told *t,
          struct nc_reply **reply)
{
    const struct rk_host *host = r->d.host;
    struct nc_same now = {.known = false};
    const char *why = "it is no reply";
    size_t room = t->len;
    int err;

    drop_id(t);
    if (is_same(host, t, request->same, &now)) {
        *reply = calloc(1, sizeof **reply);
        err = *reply ? RK_OK : RK_E_NOMEM;
        if (*reply)
            (*reply)->same = true;
    } else {
        err = nc_reply_read(t->text, t->len, reply, &why);
    }
    explicit_bzero(t->text, room);
    free(t->text);
    if (request->same)
        keep(request->same, &now, err ? NULL : *reply);
    if (err)
        return host->fail(call, err == RK_E_NOMEM ? err : RK_E_PROTOCOL, "%s: %s: %s", request->what, r->router, why);
    (*reply)->read_unix_ms = t->at_unix_ms;
    if ((*reply)->n_errors == 0)
        return RK_OK;
    return host->fail(call, RK_E_REJECTED, "%s at %s: %s", request->what, r->router, (*reply)->errors[0].message);
}

static int
ask(struct je_router *r, struct rk_call *call, const struct nc_request *request, struct nc_reply **reply)
{
    struct told t = {.text = NULL};
    int err;

    if (request->n != 1 || request->parts[0].kind != NC_TEXT || strlen(request->parts[0].text) > JE_RPC_MAX)
        return r->d.host->fail(call, RK_E_UNSUPPORTED, "%s: cannot be asked by way of a script", request->what);
    err = fetch(r, call, request->what, request->parts[0].text, &t);
    return err ? err : read_told(r, call, request, &t, reply);
}

/* ---- the line ---- */

static int
rpc_here(struct jn_device *d, struct rk_call *call, const struct nc_request *q, struct nc_reply **reply)
{
    struct je_router *r = router(d);
    int err;

    *reply = NULL;
    if (!d->session)
        return d->host->fail(call, RK_E_UNREACHABLE, "%s: the edit at %s is over", q->what, r->router);
    err = je_edit_rpc(r, call, q, reply);
    if (err == RK_E_NOENT)
        err = ask(r, call, q, reply);
    return err;
}

/* There is a session as soon as it is asked for: it costs nothing. */
static int
rpc(struct jn_device *d, struct rk_call *call, const struct nc_request *q, struct nc_reply **reply)
{
    d->session = router(d);
    snprintf(d->holder, sizeof d->holder, "%s", JN_HOLDER_ANY);
    return rpc_here(d, call, q, reply);
}

static void
hang_up(struct jn_device *d)
{
    je_edit_end(router(d));
    d->session = NULL;
    d->holder[0] = '\0';
}

const struct jn_line je_relay = {.rpc = rpc, .rpc_here = rpc_here, .hang_up = hang_up};
