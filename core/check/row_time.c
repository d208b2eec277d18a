/* row_time.c - budgets, cancels, calls at once, and memory that runs out.
 *
 * A machine may be busy, so no row demands more than the contract: a call that did not return in its budget and a
 * second more.  The 100 ms of a cancel may be missed twice of three times.
 */
#include "check.h"

#include "../base/clock.h"
#include "../base/err.h"

#include <poll.h>
#include <string.h>

#define SHORT_MS 50
#define LONG_MS 20000
#define CANCEL_MS 100
#define CANCEL_AFTER_MS 40
#define TRIES 3
#define AT_ONCE 8
#define EACH_ALLOCATION 48 /* the first ones each by itself, later ones with growing gaps */
#define WARM_ROUNDS 2
#define ALLOCATIONS_MAX 20000

/* ---- budget ---- */

struct timed {
    const char *what;
    unsigned took_ms;
};

static int
timed(struct rk_check_host *h, int err, const char *what, struct timed *worst)
{
    unsigned took_ms = h->reply.took_us / 1000;

    if (h->sock < 0) {
        worst->what = what;
        return RK_E_UNKNOWN;
    }
    (void)err; /* how it ended is for other rows */
    if (!worst->what || took_ms > worst->took_ms)
        *worst = (struct timed){what, took_ms};
    return RK_OK;
}

static int
hurry_device(struct rk_check *ck, struct rk_check_host *h, struct timed *worst)
{
    struct rk_check_key key;
    const struct rk_check_key *none[1] = {NULL};
    int err;

    rk_check_key_new(ck, &key);
    err = timed(h, rk_check_apply(ck, h, &(struct rk_check_op){.op = RK_OP_STAGE, .key = &key}, 1, SHORT_MS), "apply",
                worst);
    return err ? err : timed(h, rk_check_observe(ck, h, none, 0, SHORT_MS), "observe", worst);
}

static int
hurry(struct rk_check *ck, struct rk_check_host *h, struct timed *worst)
{
    int err;

    if (ck->kind == RK_DEVICE)
        return hurry_device(ck, h, worst);
    if (ck->kind == RK_SOURCE) {
        err = timed(h, rk_check_get(ck, h, 1, SHORT_MS), "get_new", worst);
        return err ? err : timed(h, rk_check_status(ck, h, SHORT_MS), "status", worst);
    }
    err = timed(h, rk_check_attach(ck, h, true, 1), "attach", worst);
    if (!err)
        err = timed(h, rk_check_publish(ck, h, 1, SHORT_MS), "publish", worst);
    return err ? err : timed(h, rk_check_watch(ck, h, SHORT_MS), "watch", worst);
}

enum rk_check_result
rk_check_row_budget(struct rk_check *ck, struct rk_check_host *h)
{
    struct timed worst = {0};
    const char *why = "";
    bool silent = rk_check_silent(ck, h, &why);
    int err;

    if (ck->gone)
        return rk_check_skip(ck, "calls end the process: see row calls");
    err = rk_check_inst(ck, h, silent ? RK_CHECK_SLOW : RK_CHECK_AS_GIVEN);
    if (err)
        return rk_check_wrong(ck, h, silent ? "init, while the peer is silent" : "init", err);
    err = hurry(ck, h, &worst);
    ck->late = err != RK_OK;
    if (err)
        return rk_check_fail(ck, "%s with %d ms: %.200s", worst.what, SHORT_MS, h->obituary);
    return rk_check_pass(ck, "%s, %d ms: the longest took %u ms (%s)", silent ? "with a silent peer" : why, SHORT_MS,
                         worst.took_ms, worst.what);
}

/* ---- cancel ---- */

static int
begin_long(struct rk_check *ck, struct rk_check_host *h, struct rk_call_msg *m)
{
    int err;

    *m = (struct rk_call_msg){.budget_ms = LONG_MS, .bits = (uint32_t)ck->conf.bits, .n = 1};
    m->verb = ck->kind == RK_SOURCE ? RK_V_GET_NEW : ck->kind == RK_DEVICE ? RK_V_OBSERVE : RK_V_WATCH;
    if (ck->kind == RK_CHANNEL)
        m->n = 0;
    snprintf(m->peer_sae, sizeof m->peer_sae, "%s", ck->kind == RK_SOURCE ? ck->conf.peer_sae : "");
    m->items = m->n ? rk_items_new(m->n) : NULL;
    if (m->n && !m->items)
        return RK_E_NOMEM;
    if (m->n)
        snprintf(m->items->iface, sizeof m->items->iface, "%s", ck->kind == RK_DEVICE ? ck->conf.iface : "");
    if (m->n)
        snprintf(m->items->link, sizeof m->items->link, "%s", ck->conf.link);
    err = rk_check_host_send(h, m);
    rk_items_free(m->items, m->n);
    return err;
}

/* How long a call goes on after it was given up [ms]; -1: it was over before;  -2: the process is gone */
static long
one_cancel(struct rk_check *ck, struct rk_check_host *h)
{
    struct rk_call_msg m;
    int64_t at_ns;
    int err = begin_long(ck, h, &m);

    if (!err && rk_check_host_reply(h, CANCEL_AFTER_MS) == RK_OK)
        return -1;
    at_ns = rk_now_ns();
    if (!err)
        err = rk_check_host_cancel(h, m.number);
    if (!err)
        err = rk_check_host_reply(h, RK_GRACE_MS + 1000);
    if (err == RK_E_TIMEOUT)
        return (long)((rk_now_ns() - at_ns) / RK_NS_PER_MS);
    return err || h->sock < 0 ? -2 : (long)((rk_now_ns() - at_ns) / RK_NS_PER_MS);
}

enum rk_check_result
rk_check_row_cancel(struct rk_check *ck, struct rk_check_host *h)
{
    const char *why = NULL;
    long best_ms = -1;
    int err;

    if (ck->gone || ck->late)
        return rk_check_skip(ck, "calls do not return: see row %s", ck->gone ? "calls" : "budget");
    if (ck->kind != RK_CHANNEL && !rk_check_silent(ck, h, &why))
        return rk_check_skip(ck, "no call lasts: %s", why);
    err = rk_check_inst(ck, h, ck->kind == RK_CHANNEL ? RK_CHECK_AS_GIVEN : RK_CHECK_SLOW);
    if (err)
        return rk_check_wrong(ck, h, "init", err);
    for (int i = 0; i < TRIES && (best_ms < 0 || best_ms > CANCEL_MS); i++) {
        long ms = one_cancel(ck, h);

        if (ms == -2)
            return rk_check_wrong(ck, h, "a canceled call", RK_E_UNKNOWN);
        if (ms > RK_GRACE_MS)
            return rk_check_fail(ck, "a call that was given up had not returned after %ld ms", ms);
        if (ms >= 0 && (best_ms < 0 || ms < best_ms))
            best_ms = ms;
    }
    if (best_ms < 0)
        return rk_check_skip(ck, "no call lasted %d ms, so none could be given up", CANCEL_AFTER_MS);
    if (best_ms > CANCEL_MS)
        return rk_check_fail(ck, "a call that was given up went on for %ld ms, at the best of %d", best_ms, TRIES);
    return rk_check_pass(ck, "it went on for %ld ms", best_ms);
}

/* ---- concurrent ---- */

/* Each answer of its own call, with keys that no other has. */
static enum rk_check_result
judge_answers(struct rk_check *ck, struct rk_check_host *h, uint32_t first)
{
    static char ids[AT_ONCE * 2][RK_KEY_ID_MAX + 1];
    unsigned n = 0, failed = 0, seen = 0;

    for (int i = 0; i < AT_ONCE; i++) {
        int err = rk_check_host_reply(h, ck->conf.budget_ms + RK_GRACE_MS + 500);

        if (err)
            return rk_check_wrong(ck, h, "one of calls at once", err);
        if (h->reply.number - first >= AT_ONCE || seen & 1u << (h->reply.number - first))
            return rk_check_fail(ck, "an answer to a call that was not made, or the second of one");
        seen |= 1u << (h->reply.number - first);
        failed += h->reply.err != RK_OK;
        for (size_t k = 0; k < h->reply.n && n < AT_ONCE * 2; k++) {
            const struct rk_item *item = &h->reply.items[k];

            if (item->err && rk_err_class(item->err) == RK_CLASS_BUG)
                return rk_check_fail(ck, "%s: %.200s", rk_err_name(item->err), item->text);
            for (unsigned j = 0; !item->err && !(ck->caps & RK_CAP_FIXED) && j < n; j++)
                if (strcmp(ids[j], item->key_id) == 0)
                    return rk_check_fail(ck, "two calls at once were given the same key");
            if (!item->err)
                memcpy(ids[n++], item->key_id, sizeof ids[0]);
        }
    }
    if (failed == AT_ONCE)
        return rk_check_fail(ck, "all of %d calls at once failed: %.200s", AT_ONCE, h->reply.text);
    return rk_check_pass(ck, "%d calls at once, %u keys", AT_ONCE, n);
}

enum rk_check_result
rk_check_row_concurrent(struct rk_check *ck, struct rk_check_host *h)
{
    uint32_t first;
    int err;

    if (!(ck->caps & RK_CAP_PARALLEL))
        return rk_check_skip(ck, "it does not claim RK_CAP_PARALLEL");
    err = rk_check_inst(ck, h, RK_CHECK_AS_GIVEN);
    first = h->number + 1;
    for (int i = 0; !err && i < AT_ONCE; i++) {
        struct rk_call_msg m = {.verb = RK_V_GET_NEW, .budget_ms = (uint32_t)ck->conf.budget_ms,
                                .bits = (uint32_t)ck->conf.bits, .n = 2, .items = rk_items_new(2)};

        snprintf(m.peer_sae, sizeof m.peer_sae, "%s", ck->conf.peer_sae);
        err = m.items ? rk_check_host_send(h, &m) : RK_E_NOMEM;
        rk_items_free(m.items, 2);
    }
    return err ? rk_check_wrong(ck, h, "init", err) : judge_answers(ck, h, first);
}

/* ---- allocations ---- */

static int
call_once(struct rk_check *ck, struct rk_check_host *h)
{
    const char *what;

    return rk_check_round(ck, h, &what);
}

/* The n-th allocation from now on fails, in init or in a round of calls.  ret: 1 it did, 0 there are not so many,
 * -1 the process is gone */
static int
fail_at(struct rk_check *ck, struct rk_check_host *h, int64_t n, bool in_init)
{
    uint32_t failed = atomic_load(&h->probe->failed);
    int err = RK_OK;

    atomic_store(&h->probe->fail_at, n);
    if (in_init) {
        if (rk_check_inst(ck, h, RK_CHECK_AS_GIVEN) == RK_OK)
            (void)rk_check_host_drop(h, h->inst);
    } else {
        err = call_once(ck, h);
    }
    atomic_store(&h->probe->fail_at, 0);
    if (err && h->sock >= 0 && ck->kind == RK_DEVICE && rk_check_class_a(ck))
        (void)rk_check_tidy(ck, h); /* else its slots would be full soon */
    if (h->sock < 0)
        return -1;
    return atomic_load(&h->probe->failed) != failed;
}

static int
warm_up(struct rk_check *ck, struct rk_check_host *h)
{
    int err = rk_check_inst(ck, h, RK_CHECK_AS_GIVEN);

    for (int i = 0; !err && i < WARM_ROUNDS; i++)
        err = call_once(ck, h);
    return err ? err : rk_check_host_drop(h, h->inst);
}

static int64_t
next_of(int64_t n)
{
    return n < EACH_ALLOCATION ? n + 1 : n + 1 + n / 6;
}

enum rk_check_result
rk_check_row_allocations(struct rk_check *ck, struct rk_check_host *h)
{
    unsigned tried = 0;
    int err, got = 1;

    if (!h->probe)
        return rk_check_skip(ck, "%s", h->no_probe);
    if (ck->conf.own)
        snprintf(h->probe->own, sizeof h->probe->own, "%s", ck->paths.module);
    err = warm_up(ck, h); /* what libraries set up once is theirs, and not all of them can do without memory then */
    if (err)
        return rk_check_wrong(ck, h, "a round of calls", err);
    for (int in_init = 1; in_init >= 0; in_init--) {
        err = in_init ? RK_OK : rk_check_inst(ck, h, RK_CHECK_AS_GIVEN);
        if (err)
            return rk_check_wrong(ck, h, "init, after allocations failed", err);
        for (int64_t n = 1; n < ALLOCATIONS_MAX && (got = fail_at(ck, h, n, in_init)) > 0; n = next_of(n))
            tried++;
        if (got < 0)
            return rk_check_fail(ck, "the process is gone after allocation %u%s failed: %.150s", tried + 1,
                                 in_init ? " of init" : "", h->obituary);
    }
    err = call_once(ck, h);
    if (err && ck->kind == RK_DEVICE) { /* it may hold what no answer told of: as rekeyd, begin anew */
        (void)rk_check_host_drop(h, h->inst);
        err = rk_check_inst(ck, h, RK_CHECK_AS_GIVEN);
        ck->seq += 4;
        err = err ? err : call_once(ck, h);
    }
    if (err)
        return rk_check_wrong(ck, h, "a call, after allocations failed in others", err);
    return rk_check_pass(ck, "%u allocations failed%s, and then all was well", tried,
                         ck->conf.own ? ", of the module itself and not of its libraries" : "");
}
