/* serve.c - what scripts send, and what they are answered.  Runs in the thread of the hub.
 *
 * An ask brings facts, and takes the work that waits, or waits itself for some; a report tells what became of it.  A
 * router speaks of itself alone: it is known by its certificate, and a work's number is looked for with that one only.
 */
#include "shim.h"

#include <event2/buffer.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HOLD_MS 1500     /* an ask that does not wait stays so long when a call is at work, which may have some next */
#define EARLY_MS 500     /* an ask is answered so long before its time is over */
#define LATE_MS 5000     /* its connection ends so long behind that, answered or not */
#define SUPERSEDED_MS 5000 /* pause of a run beside which another one runs */
#define UNDER_WAY_MS 15000 /* an ask comes so long behind what it says, or not at all */
#define AGAIN_MS 500     /* facts that are younger are told twice */

const char *const je_paths[] = {"/shim/v1/ask", "/shim/v1/report", NULL};

/* ---- facts ---- */

static void
fact_free(struct je_fact *f)
{
    if (f->reply) {
        explicit_bzero(f->reply, f->len);
        free(f->reply);
    }
    free(f->rpc);
    *f = (struct je_fact){.rpc = NULL};
}

void
je_facts_drop(struct je_router *r)
{
    for (size_t i = 0; i < r->n_facts; i++)
        fact_free(&r->fact[i]);
    r->n_facts = 0;
}

struct je_fact *
je_fact_of(struct je_router *r, const char *rpc)
{
    for (size_t i = 0; i < r->n_facts; i++)
        if (strcmp(r->fact[i].rpc, rpc) == 0)
            return &r->fact[i];
    return NULL;
}

bool
je_fresh(const struct je_router *r, const struct je_fact *f, int64_t now_ms)
{
    if (!f || f->epoch != r->epoch || f->at_ms < r->began_ms - JE_FRESH_MS)
        return false;
    if (now_ms - f->at_ms < AGAIN_MS)
        return true;
    /* What is asked for twice in a call is to be newer; and so is what the next observe is told, when the script waits:
     * one who looks often, for MKA to begin, would see the same all the time. */
    return !f->used && !(r->reading && r->poll && f->at_ms <= r->told_ms);
}

/* Where the reply to this request goes: in the place of the last one, else of the oldest when there is no other. */
static struct je_fact *
place_of(struct je_router *r, const char *rpc)
{
    struct je_fact *f = je_fact_of(r, rpc);

    if (!f && r->n_facts < JE_FACTS_MAX)
        return &r->fact[r->n_facts++];
    for (size_t i = 0; !f && i < r->n_facts; i++)
        f = i == 0 || r->fact[i].at_ms < f->at_ms ? &r->fact[i] : f;
    fact_free(f);
    return f;
}

static void
put_fact(struct je_router *r, const struct je_said *said, int64_t now_ms)
{
    struct je_fact made = {.rpc = strdup(said->rpc), .reply = malloc(said->len + 1), .len = said->len, .at_ms = now_ms,
                           .epoch = r->epoch};
    struct timespec t;

    if (!made.rpc || !made.reply) {
        made.len = 0;
        fact_free(&made);
        return;
    }
    clock_gettime(CLOCK_REALTIME, &t);
    made.at_unix_ms = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
    memcpy(made.reply, said->reply, said->len + 1);
    *place_of(r, said->rpc) = made;
}

static void
put_facts(struct je_router *r, const struct je_body *b, int64_t now_ms)
{
    for (size_t i = 0; i < b->n_facts; i++)
        put_fact(r, &b->fact[i], now_ms);
}

/* An edit is given out, or its end is told. */
static void
edited(struct je_router *r, int64_t now_ms)
{
    r->epoch++;
    r->edited_ms = now_ms;
}

/* A run on another routing engine knows nothing of this one: what it has read may be from before the last edit, and
 * would say that the edit was not done.   ret: it may be */
static bool
from_before(const struct je_router *r, const struct je_body *b, int64_t now_ms)
{
    return r->edited_ms && now_ms - b->age_ms - UNDER_WAY_MS < r->edited_ms;
}

/* ---- answers ---- */

static void
answer_code(struct rkp_conn *c, int code, const char *text)
{
    struct evbuffer *body = evbuffer_new();

    if (body)
        (void)evbuffer_add(body, text, strlen(text));
    rkp_conn_answer(c, body ? code : 503, body);
    if (body)
        evbuffer_free(body);
}

static void
answer(struct rkp_conn *c, const char *text)
{
    answer_code(c, 200, text);
}

static void
answer_empty(struct rkp_conn *c, int again_ms)
{
    char text[64];

    if (again_ms)
        snprintf(text, sizeof text, "{\"v\":1,\"work\":null,\"again_ms\":%d}", again_ms);
    else
        snprintf(text, sizeof text, "{\"v\":1,\"work\":null}");
    answer(c, text);
}

static void
wake_call(const struct je_router *r)
{
    const uint64_t one = 1;

    (void)!write(r->wake_fd, &one, sizeof one);
}

static void
text_done(const void *bytes, size_t len, void *arg)
{
    struct je_text *t = arg;

    (void)bytes;
    (void)len;
    je_text_free(t);
    free(t);
}

/* From the memory that is locked; it is wiped when it is sent, or the connection is over. */
static bool
send_text(struct rkp_conn *c, struct je_text *made)
{
    struct evbuffer *body = evbuffer_new();
    struct je_text *t = malloc(sizeof *t);
    bool ok;

    if (t)
        *t = *made;
    ok = body && t && evbuffer_add_reference(body, t->bytes, t->len, text_done, t) == 0;
    if (ok) {
        rkp_conn_answer(c, 200, body);
    } else {
        je_text_free(made);
        free(t);
    }
    if (body)
        evbuffer_free(body);
    return ok;
}

/* From here on it is not known whether it was done, until there is a report. */
static void
give(struct je_router *r, struct rkp_conn *c)
{
    struct je_text text;

    if (je_work_answer(r, r->work, jn_now_ms(), &text) != RK_OK || !send_text(c, &text)) {
        answer_empty(c, 0);
        return;
    }
    r->work->state = JE_GIVEN;
    strcpy(r->work->run, r->run);
    if (r->work->edit)
        edited(r, jn_now_ms());
}

static bool
waits(const struct je_router *r)
{
    return r->work && r->work->state == JE_WAITS;
}

/* An edit whose time is nearly over would only end as unknown. */
static bool
may_give(const struct je_router *r, int64_t now_ms)
{
    return waits(r) && (!r->work->edit || r->work->deadline_ms - now_ms >= JE_EDIT_MS);
}

void
je_give_due(struct je_hub *h)
{
    struct je_router *r;

    while ((r = h->due)) {
        struct rkp_conn *c = r->poll;

        h->due = r->next_due;
        r->due = false;
        if (!c || !may_give(r, jn_now_ms()))
            continue;
        r->poll = NULL;
        give(r, c);
    }
}

/* Nothing of a router is kept for longer than it may be used. */
void
je_end_polls(struct je_hub *h, int64_t now_ms)
{
    for (size_t i = 0; i < JE_BUCKETS; i++)
        for (struct je_router *r = h->router[i]; r; r = r->next) {
            struct rkp_conn *c = r->poll;

            if (!r->calling && now_ms - r->heard_ms > JE_AWAY_TICKS * r->tick_ms)
                je_facts_drop(r);
            if (!c || now_ms < r->poll_until_ms)
                continue;
            r->poll = NULL;
            answer_empty(c, 0);
        }
}

void
je_gone(void *hub, struct rkp_conn *c)
{
    struct je_router *r = rkp_conn_client(c);
    struct je_hub *h = hub;

    pthread_mutex_lock(&h->lock);
    if (r->poll == c)
        r->poll = NULL;
    pthread_mutex_unlock(&h->lock);
}

/* ---- asks ---- */

static void
note(struct je_router *r, const struct je_body *b, int64_t now_ms)
{
    const struct rk_host *host = r->d.host;
    const char *name = r->d.opt.name;
    bool is_new = !r->heard_ms || strcmp(r->shim, b->shim) != 0;

    if (r->heard_ms && now_ms - r->heard_ms > JE_AWAY_TICKS * r->tick_ms)
        host->log(NULL, RK_LOG_NOTICE, "ev=shim dev=%s res=ok away_ms=%lld", name, (long long)(now_ms - r->heard_ms));
    if (is_new)
        host->log(NULL, RK_LOG_INFO, "ev=shim dev=%s res=heard shim=\"%s\"", name, b->shim);
    if (b->tick_s * 1000 > r->tick_ms && !r->tick_told) {
        host->log(NULL, RK_LOG_WARNING, "ev=shim dev=%s why=\"its script runs every %lld s, option tick is %lld s\"",
                  name, (long long)b->tick_s, (long long)(r->tick_ms / 1000));
        r->tick_told = true;
    }
    strcpy(r->shim, b->shim);
    strcpy(r->run, b->run);
    r->n = b->n;
    r->heard_ms = now_ms;
}

/* The newest ask wins: an older one is of a run that is stuck, or of a connection that is gone. */
static void
supersede(struct je_router *r)
{
    struct rkp_conn *old = r->poll;

    r->poll = NULL;
    if (old)
        answer_empty(old, SUPERSEDED_MS);
}

/* A script that asks has no work any more: what was given out and not reported is lost. */
static void
lose(struct je_router *r, const char *run, int64_t now_ms)
{
    if (!r->work || r->work->state != JE_GIVEN)
        return;
    r->work->state = JE_LOST;
    r->work->beside = strcmp(r->work->run, run) != 0;
    if (r->work->edit)
        edited(r, now_ms);
    wake_call(r);
}

static void
hold(struct je_router *r, struct rkp_conn *c, int64_t wait_ms, int64_t now_ms)
{
    int64_t ms = wait_ms > 2 * EARLY_MS ? wait_ms - EARLY_MS : wait_ms;

    if (ms < HOLD_MS && r->calling)
        ms = HOLD_MS;
    if (ms <= 0) {
        answer_empty(c, 0);
        return;
    }
    r->poll = c;
    r->poll_until_ms = now_ms + ms;
    rkp_conn_wait(c, (int)ms + LATE_MS);
}

/* Did these facts bring what the look was for? */
static bool
is_seen(struct je_router *r, int64_t now_ms)
{
    return waits(r) && !r->work->edit && je_fresh(r, je_fact_of(r, r->work->need), now_ms);
}

static void
take_ask(struct je_hub *h, struct rkp_conn *c, const struct je_body *b)
{
    struct je_router *r = rkp_conn_client(c);
    int64_t now_ms = jn_now_ms();

    if (strcmp(r->run, b->run) == 0 && b->n <= r->n) { /* it was overtaken by a newer one */
        je_hub_refused(h, r, r->router, "an ask that is older than the last one of its run");
        answer_empty(c, SUPERSEDED_MS);
        return;
    }
    supersede(r);
    lose(r, b->run, now_ms);
    note(r, b, now_ms);
    if (!from_before(r, b, now_ms))
        put_facts(r, b, now_ms);
    if (is_seen(r, now_ms)) {
        r->work->state = JE_REPORTED;
        r->work->report.outcome = JE_DONE;
        wake_call(r);
    }
    if (may_give(r, now_ms))
        give(r, c);
    else
        hold(r, c, b->wait_ms, now_ms);
}

/* ---- reports ---- */

static void
take_report(struct je_hub *h, struct rkp_conn *c, struct je_body *b)
{
    struct je_router *r = rkp_conn_client(c);
    struct je_work *w = r->work;
    int64_t now_ms = jn_now_ms();

    if (!w || w->state != JE_GIVEN || strcmp(w->id, b->id) != 0) {
        je_hub_refused(h, r, r->router, "a report on work that this router does not have, or not any more");
        answer_code(c, 409, "{\"error\":\"no such work, or not any more\"}");
        return;
    }
    note(r, b, now_ms);
    if (w->edit)
        edited(r, now_ms);
    put_facts(r, b, now_ms);
    w->report = *b; /* its document goes with the work */
    b->doc = NULL;
    w->state = JE_REPORTED;
    wake_call(r);
    answer(c, r->calling ? "{\"v\":1,\"more\":true}" : "{\"v\":1,\"more\":false}");
}

void
je_serve(void *hub, struct rkp_conn *c, const struct rkp_head *head, char *text)
{
    struct je_hub *h = hub;
    bool report = head->path == 1;
    struct je_body *b = malloc(sizeof *b);
    const char *why = "out of memory";
    int err = b ? je_body_read(text, head->body_len, report, b, &why) : RK_E_NOMEM;

    if (err) {
        rkp_conn_refuse(c, b ? 400 : 503, why);
    } else {
        pthread_mutex_lock(&h->lock);
        if (report)
            take_report(h, c, b);
        else
            take_ask(h, c, b);
        pthread_mutex_unlock(&h->lock);
    }
    if (b)
        je_body_free(b);
    free(b);
}
