/* apply.c - apply: read the committed configuration, decide, commit once, read back, and tell.
 *
 * Results come from what the router shows afterwards, not from its saying that it is done. */
#include "commit.h"

#include "../keytext.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define OPS_MAX 64

static int64_t
router_now_s(const struct jn_view *view)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return ((int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 + view->clock_offset_ms) / 1000;
}

static bool
any_todo(const struct jn_plan *plan)
{
    for (size_t i = 0; i < plan->n_step; i++)
        if (plan->step[i].todo)
            return true;
    return false;
}

/* ---- results ---- */

/* A CAK is kept from when the router shows it, together with the key that it holds beside it; all others of the
 * interface go then.   committed: else it was so already */
static void
seal(struct jn_device *d, struct jn_step *s, bool committed)
{
    struct jn_key_name mine = {s->unit->iface, s->ckn}, other = {s->unit->iface, s->keep};
    const struct jn_key *psk = &s->unit->ca->psk; /* a STAGE that is done has an association */

    if (!s->cak || !s->ckn[0])
        return;
    /* class C has no other place for the key before than the memory of this process */
    if (committed && s->unit->class == RK_CLASS_C && s->keep[0] && !jn_sealed_get(d, other) && psk->stored &&
        strcmp(psk->ckn, s->keep) == 0)
        (void)jn_sealed_copy(d, other, psk->stored);
    (void)jn_sealed_put(d, mine, false, &s->cak);
    if (committed)
        jn_sealed_drop(d, mine, s->keep);
}

static void
set_result(struct jn_device *d, struct jn_step *s, const struct jn_conf *conf, struct rk_dev_op *op)
{
    const char *what;

    if (s->unit->err) {
        jn_refuse(op, s->unit->err, "%s", s->unit->why);
        return;
    }
    if (!jn_unit_shown(s->unit, conf, &what)) {
        jn_refuse(op, RK_E_REJECTED, "the router committed it, but its configuration does not show %s as it was sent",
                  what);
        return;
    }
    op->err = RK_OK;
    op->why[0] = '\0';
    if (op->kind == RK_OP_STAGE)
        seal(d, s, true);
}

static bool
all_shown(const struct jn_plan *plan, const struct jn_conf *conf)
{
    const char *what;

    for (size_t i = 0; i < plan->n_step; i++)
        if (plan->step[i].todo && !plan->step[i].unit->err && !jn_unit_shown(plan->step[i].unit, conf, &what))
            return false;
    return true;
}

/* ---- start times that the router reads otherwise ---- */

/* By how much the new key of a chain begins later than was meant [s].  A start time is written in the router's zone as
 * it is now; routers print it with the offset of its own date, which is another one after a change of the zone. */
static int64_t
start_off_s(const struct jn_step *s, const struct rk_dev_op *op, const struct jn_conf *conf)
{
    const struct jn_unit *u = s->unit;
    const struct jn_chain *chain = s->todo && !u->err && u->chain ? jn_conf_chain(conf, u->chain->name) : NULL;

    if (op->kind != RK_OP_STAGE || !chain)
        return 0;
    for (size_t i = 0; i < JN_SLOTS; i++) {
        const struct jn_key *k = strcmp(u->slot[i].ckn, s->ckn) == 0 ? jn_chain_key(chain, i) : NULL;

        if (k && strcmp(k->ckn, s->ckn) == 0 && !k->bad_start)
            return k->start_s - u->slot[i].start_s;
    }
    return 0;
}

struct undo {
    struct rk_dev_op op[OPS_MAX];
    char terms[OPS_MAX][RK_TERMS_MAX + 1];
    size_t of[OPS_MAX]; /* number of the STAGE */
    int64_t off_s[OPS_MAX];
    size_t n;
};

static void
add_undo(struct undo *u, const struct rk_dev_op *op, size_t of, int64_t off_s)
{
    char *terms = u->terms[u->n];

    snprintf(terms, sizeof u->terms[0], "%.*s", op->text ? (int)strcspn(op->text, ",") : 0, op->text ? op->text : "");
    u->op[u->n] = (struct rk_dev_op){.kind = RK_OP_RETIRE, .seq = op->seq, .link = op->link, .iface = op->iface,
                                     .key_id = op->key_id, .peer_facts = op->peer_facts, .text = terms,
                                     .err = RK_E_CONTRACT};
    u->of[u->n] = of;
    u->off_s[u->n++] = off_s;
}

static void
tell_undo(const struct undo *u, int err, struct rk_dev_op *ops)
{
    for (size_t i = 0; i < u->n; i++) {
        const char *early = u->off_s[i] < 0 ? "early" : "late";
        struct rk_dev_op *op = &ops[u->of[i]];

        if (err || u->op[i].err)
            jn_refuse(op, RK_E_UNKNOWN, "it begins %lld s %s, for the router's zone changes before, and cannot be "
                      "taken out again: use UTC", (long long)llabs(u->off_s[i]), early);
        else
            jn_refuse(op, RK_E_CONFLICT, "the router's zone changes before the start time: use UTC; the key would "
                      "begin %lld s %s, and was taken out again", (long long)llabs(u->off_s[i]), early);
    }
}

/* Keys that would begin at another time than at the other end are given up at once, in a commit of their own. */
static int
take_out(struct jn_device *d, struct rk_call *call, const struct jn_plan *plan, const struct jn_view *view,
         struct rk_dev_op *ops)
{
    struct undo *u = calloc(1, sizeof *u);

    if (!u)
        return d->host->fail(call, RK_E_UNKNOWN, "out of memory");
    for (size_t i = 0; i < plan->n_step; i++) {
        int64_t off_s = start_off_s(&plan->step[i], &ops[i], view->conf);

        if (off_s)
            add_undo(u, &ops[i], i, off_s);
    }
    if (u->n)
        tell_undo(u, jn_apply(d, call, u->op, u->n), ops);
    free(u);
    return RK_OK;
}

/* delivered: how the commit ended.   ret: RK_OK: all results are set; else a code */
static int
read_back(struct jn_device *d, struct rk_call *call, struct jn_plan *plan, struct rk_dev_op *ops, int delivered)
{
    struct jn_view *view = NULL;
    int err = jn_view_get(d, call, JN_WANT_CONF | (d->opt.keying == JN_CHAIN ? JN_WANT_CLOCK : 0), &view);

    if (err) {
        err = delivered == RK_E_AGAIN ? RK_E_AGAIN : RK_E_UNKNOWN;
        return d->host->fail(call, err, "%s: the configuration cannot be read back after the commit", d->opt.host);
    }
    if (delivered && !all_shown(plan, view->conf))
        err = d->host->fail(call, delivered, "%s lost the session while it committed: %s", d->opt.host,
                            delivered == RK_E_AGAIN ? "nothing was changed" : "it is not known whether it was done");
    for (size_t i = 0; !err && i < plan->n_step; i++)
        if (plan->step[i].todo)
            set_result(d, &plan->step[i], view->conf, &ops[i]);
    if (!err)
        err = take_out(d, call, plan, view, ops);
    jn_view_free(d->host, &view);
    return err;
}

/* Nothing was committed, and each operation has a reason of its own. */
static void
all_refused(struct jn_plan *plan, struct rk_dev_op *ops)
{
    for (size_t i = 0; i < plan->n_step; i++)
        if (plan->step[i].todo)
            jn_refuse(&ops[i], plan->step[i].unit->err, "%s", plan->step[i].unit->why);
}

static bool
all_marked(const struct jn_plan *plan)
{
    for (size_t i = 0; i < plan->n_step; i++)
        if (plan->step[i].todo && !plan->step[i].unit->err)
            return false;
    return true;
}

/* ---- the call ---- */

static int
carry_out(struct jn_device *d, struct rk_call *call, struct jn_plan *plan, struct rk_dev_op *ops)
{
    struct jn_delivery delivery = {.commits = 0};
    unsigned char random[JN_TXN_HEX / 2];
    int err = d->host->random(random, sizeof random);

    if (err)
        return d->host->fail(call, err, "no random number for the transaction");
    rkp_hex_put(random, sizeof random, delivery.txn);
    err = jn_deliver(d, call, plan, &delivery);
    d->host->log(call, RK_LOG_INFO, "ev=commit dev=%s txn=%s ops=%zu commits=%u res=%s", d->opt.name, delivery.txn,
                 plan->n_step, delivery.commits, err ? "failed" : "ok");
    if (err && err != RK_E_UNKNOWN && err != RK_E_AGAIN)
        return err;
    if (!err && all_marked(plan)) {
        all_refused(plan, ops);
        return RK_OK;
    }
    return read_back(d, call, plan, ops, err);
}

/* What is done otherwise than it was meant, for an operator's key is in the way. */
static void
log_notes(const struct jn_device *d, struct rk_call *call, const struct jn_plan *plan)
{
    for (size_t i = 0; i < plan->n_step; i++)
        if (plan->step[i].note && plan->step[i].todo)
            d->host->log(call, RK_LOG_WARNING, "ev=others-key dev=%s interface=%s note=\"%s\"", d->opt.name,
                         plan->step[i].unit->iface, plan->step[i].note);
}

static int
with_view(struct jn_device *d, struct rk_call *call, const struct jn_view *view, struct rk_dev_op *ops, size_t n)
{
    struct jn_plan_in in = {.d = d, .view = view, .now_s = router_now_s(view)};
    struct jn_plan *plan;
    int err = jn_plan_make(&in, ops, n, &plan);

    if (err)
        return d->host->fail(call, err, "out of memory");
    log_notes(d, call, plan);
    if (any_todo(plan))
        err = carry_out(d, call, plan, ops);
    for (size_t i = 0; i < n; i++) /* it was so already: its CAK may be new to this process all the same */
        if (!plan->step[i].todo && ops[i].err == RK_OK && ops[i].kind == RK_OP_STAGE)
            seal(d, &plan->step[i], false);
    jn_plan_free(d->host, &plan);
    return err;
}

int
jn_apply(void *inst, struct rk_call *call, struct rk_dev_op *ops, size_t n)
{
    struct jn_device *d = inst;
    const char *ifaces[OPS_MAX];
    struct jn_view *view = NULL;
    int err;

    if (n == 0 || n > OPS_MAX)
        return d->host->fail(call, RK_E_CONTRACT, "apply of %zu operations; 1 to %d can be", n, OPS_MAX);
    for (size_t i = 0; i < n; i++)
        ifaces[i] = ops[i].iface;
    err = jn_know(d, call);
    if (!err)
        err = jn_view_get_for(d, call, jn_plan_wants(d, ops, n), ifaces, n, &view);
    if (err == RK_E_UNKNOWN) /* only read so far */
        err = d->host->fail(call, RK_E_UNREACHABLE, "no answer from %s; nothing was changed", d->opt.host);
    if (!err)
        err = with_view(d, call, view, ops, n);
    jn_view_free(d->host, &view);
    return err;
}
