/* wait.c - calls, and how they wait for a router's script (shim.h).
 *
 * Runs in calls.  Work that was not given out is withdrawn when the time is over, and was certainly not done; work that
 * was, and is not reported, is unknown.
 */
#include "shim.h"

#include "../../common/files.h"
#include "../../common/keytext.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SPARE_MS 300          /* of the budget, so that a call returns within it */
#define KNOWN_MS 3600000LL    /* model and release are asked for so often: a router may have a new one */

/* ---- calls ---- */

void
je_begin(struct je_router *r, struct rk_call *call, bool reading)
{
    uint64_t n;

    je_hub_look(r, call);
    r->reading = reading;
    je_edit_end(r);
    (void)!read(r->wake_fd, &n, sizeof n);
    pthread_mutex_lock(&r->hub->lock);
    r->began_ms = jn_now_ms();
    r->calling = true;
    for (size_t i = 0; i < r->n_facts; i++)
        r->fact[i].used = false;
    pthread_mutex_unlock(&r->hub->lock);
    if (r->began_ms - r->known_ms > KNOWN_MS) {
        r->d.known = false;
        r->known_ms = r->began_ms;
    }
}

void
je_end(struct je_router *r)
{
    je_edit_end(r);
    pthread_mutex_lock(&r->hub->lock);
    r->calling = false;
    if (r->reading)
        r->told_ms = jn_now_ms();
    pthread_mutex_unlock(&r->hub->lock);
}

/* ---- waiting ---- */

int64_t
je_left_until(struct je_router *r, const struct rk_call *call, int64_t most_ms)
{
    int64_t left = r->d.host->left_ms(call) - SPARE_MS;

    left = left > 0 ? left : 0;
    return jn_now_ms() + (most_ms && most_ms < left ? most_ms : left);
}

/* Until when may this work be waited for?  A router that is away is not, unless it has an edit already.
 * ret: 0: it is over */
static int64_t
wait_until(struct je_router *r, const struct je_work *w)
{
    int64_t until_ms = w->deadline_ms, away_ms;

    pthread_mutex_lock(&r->hub->lock);
    away_ms = (r->heard_ms ? r->heard_ms : r->since_ms) + JE_AWAY_TICKS * r->tick_ms + 1;
    if ((w->state == JE_WAITS || !w->edit) && away_ms < until_ms)
        until_ms = away_ms;
    if (w->state > JE_GIVEN)
        until_ms = 0;
    pthread_mutex_unlock(&r->hub->lock);
    return until_ms;
}

/* Take the work back.  What was reported meanwhile counts. */
static struct je_work *
withdraw(struct je_router *r)
{
    struct je_work *w;

    pthread_mutex_lock(&r->hub->lock);
    w = r->work;
    r->work = NULL;
    pthread_mutex_unlock(&r->hub->lock);
    return w;
}

static void
submit(struct je_router *r, struct je_work *w)
{
    struct je_hub *h = r->hub;

    pthread_mutex_lock(&h->lock);
    r->work = w;
    if (!r->due) {
        r->due = true;
        r->next_due = h->due;
        h->due = r;
    }
    pthread_mutex_unlock(&h->lock);
    je_hub_wake(h);
}

/* Until it is reported or lost, or the time is over.   own: *work is taken, and given back
 * ret:  RK_OK: see its state; RK_E_CANCELED: the same, and the call is to end */
int
je_carry_out(struct je_router *r, struct rk_call *call, struct je_work **work)
{
    int64_t until_ms, now_ms;
    int err = RK_OK;

    submit(r, *work);
    while ((until_ms = wait_until(r, *work)) > (now_ms = jn_now_ms()) && err >= 0) {
        uint64_t n;

        err = rkp_pause(r->d.host, call, r->wake_fd, until_ms - now_ms);
        if (err > 0)
            (void)!read(r->wake_fd, &n, sizeof n);
    }
    *work = withdraw(r);
    return err == RK_E_CANCELED ? err : RK_OK;
}

/* ---- is there anybody? ---- */

static int
not_listening(struct je_router *r, struct rk_call *call, const char *error)
{
    return r->d.host->fail(call, RK_E_IO, "listen: %s: %s; is another program there, or a device with other "
                           "certificates, is it an address of this host?", r->hub->listen, error);
}

/* ret: RK_OK; RK_E_UNREACHABLE: it was not heard for some ticks; RK_E_IO: it cannot be heard */
int
je_check_heard(struct je_router *r, struct rk_call *call)
{
    int64_t now_ms = jn_now_ms(), heard_ms;
    char error[sizeof r->hub->listen_error];
    bool never;

    pthread_mutex_lock(&r->hub->lock);
    never = r->heard_ms == 0;
    heard_ms = never ? r->since_ms : r->heard_ms;
    memcpy(error, r->hub->listen_error, sizeof error);
    pthread_mutex_unlock(&r->hub->lock);
    if (now_ms - heard_ms <= JE_AWAY_TICKS * r->tick_ms)
        return RK_OK;
    if (error[0])
        return not_listening(r, call, error);
    return r->d.host->fail(call, RK_E_UNREACHABLE, "%s has %s for %lld s; look at its event-options, its clock and its "
                           "certificates: rekeyctl shim", r->router, never ? "never asked" : "not asked",
                           (long long)((now_ms - heard_ms) / 1000));
}

struct je_work *
je_work_new(struct je_router *r, int64_t deadline_ms)
{
    struct je_work *w = calloc(1, sizeof *w);
    unsigned char bytes[JE_ID_LEN / 2];

    if (!w || r->d.host->random(bytes, sizeof bytes) != RK_OK) {
        free(w);
        return NULL;
    }
    rkp_hex_put(bytes, sizeof bytes, w->id);
    w->deadline_ms = deadline_ms;
    return w;
}
