/* calls.c - calls of each kind, made as rekeyd makes them. */
#include "check.h"

#include "../base/clock.h"
#include "../base/err.h"
#include "../base/secret.h"
#include "../base/text.h"

#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define START_AHEAD_S 120 /* class D: the start time of a key */
#define WATCH_MS 30
#define AGAIN_MS 20

uint32_t
rk_check_class(const struct rk_check *ck)
{
    return ck->device_class ? ck->device_class : RK_CAP_CLASS(ck->caps);
}

bool
rk_check_class_a(const struct rk_check *ck)
{
    return ck->kind == RK_DEVICE && rk_check_class(ck) == RK_CLASS_A;
}

static int
no_memory(void)
{
    return RK_E_NOMEM;
}

/* ---- sources ---- */

int
rk_check_get(struct rk_check *ck, struct rk_check_host *h, size_t n, uint32_t budget_ms)
{
    struct rk_call_msg m = {.verb = RK_V_GET_NEW, .budget_ms = budget_ms, .bits = (uint32_t)ck->conf.bits, .n = n};
    int err;

    rk_copy(m.peer_sae, sizeof m.peer_sae, ck->conf.peer_sae);
    m.items = rk_items_new(n);
    if (!m.items)
        return no_memory();
    err = rk_check_host_call(h, &m);
    rk_items_free(m.items, n);
    return err;
}

int
rk_check_get_some(struct rk_check *ck, struct rk_check_host *h, size_t n)
{
    int64_t end_ns = rk_now_ns() + ck->conf.budget_ms * RK_NS_PER_MS;
    int err;

    while ((err = rk_check_get(ck, h, n, (uint32_t)ck->conf.budget_ms)) == RK_E_AGAIN && rk_now_ns() < end_ns)
        (void)poll(NULL, 0, AGAIN_MS);
    return err;
}

int
rk_check_get_ids(struct rk_check *ck, struct rk_check_host *h, const char *const *ids, size_t n)
{
    struct rk_call_msg m = {.verb = RK_V_GET_BY_ID, .budget_ms = (uint32_t)ck->conf.budget_ms,
                            .bits = (uint32_t)ck->conf.bits, .n = n};
    int err;

    rk_copy(m.peer_sae, sizeof m.peer_sae, ck->conf.peer_sae);
    m.items = rk_items_new(n);
    if (!m.items)
        return no_memory();
    for (size_t i = 0; i < n; i++)
        rk_copy(m.items[i].key_id, sizeof m.items[i].key_id, ids[i]);
    err = rk_check_host_call(h, &m);
    rk_items_free(m.items, n);
    return err;
}

int
rk_check_status(struct rk_check *ck, struct rk_check_host *h, uint32_t budget_ms)
{
    struct rk_call_msg m = {.verb = RK_V_SOURCE_STATUS, .budget_ms = budget_ms};

    rk_copy(m.peer_sae, sizeof m.peer_sae, ck->conf.peer_sae);
    return rk_check_host_call(h, &m);
}

/* ---- devices ---- */

void
rk_check_key_new(struct rk_check *ck, struct rk_check_key *key)
{
    unsigned char id[8] = {0};

    /* without random bytes it is a key all the same; nothing is protected by it */
    (void)!getrandom(key->bytes, sizeof key->bytes, 0);
    (void)!getrandom(id, sizeof id, 0);
    key->seq = ++ck->seq;
    snprintf(key->id, sizeof key->id, "%02x%02x%02x%02x-%02x%02x-4%03x-8%02x%x-%012llx", id[0], id[1], id[2], id[3],
             id[4], id[5], id[6], id[7], (unsigned)(key->seq & 15), (unsigned long long)key->seq);
    memcpy(ck->key, key->bytes, sizeof ck->key);
}

static int
fill_key(unsigned char *bytes, size_t len, void *arg)
{
    const struct rk_check_key *key = arg;

    for (size_t i = 0; i < len; i++)
        bytes[i] = key->bytes[i % sizeof key->bytes];
    return RK_OK;
}

static int
key_fd(const struct rk_check *ck, const struct rk_check_key *key)
{
    struct rk_check_key copy = *key;
    struct rk_secret *secret = NULL;
    size_t len = (size_t)ck->conf.bits / 8;

    if (rk_secret_new(len, fill_key, &copy, &secret) != RK_OK)
        return -1;
    return rk_secret_send(&secret);
}

static void
terms(const struct rk_check *ck, const struct rk_check_op *op, struct rk_item *item)
{
    bool chain = rk_check_class(ck) == RK_CLASS_D && op->op == RK_OP_STAGE;

    if (rk_check_class_a(ck) || (op->op != RK_OP_STAGE && op->op != RK_OP_RETIRE))
        return;
    if (chain)
        snprintf(item->text, sizeof item->text, "keep=%.64s,start=%lld", op->keep ? op->keep : "",
                 (long long)time(NULL) + START_AHEAD_S + (long long)op->key->seq);
    else
        snprintf(item->text, sizeof item->text, "keep=%.64s", op->keep ? op->keep : "");
}

static int
fill_op(struct rk_check *ck, const struct rk_check_op *op, struct rk_item *item)
{
    item->op = op->op;
    item->role = 1;
    rk_copy(item->link, sizeof item->link, ck->conf.link);
    rk_copy(item->iface, sizeof item->iface, op->iface ? op->iface : ck->conf.iface);
    rk_copy(item->facts, sizeof item->facts, rk_check_class_a(ck) ? ck->conf.facts : "");
    if (!op->key)
        return RK_OK;
    item->seq = op->key->seq;
    rk_copy(item->key_id, sizeof item->key_id, op->key->id);
    terms(ck, op, item);
    if (op->op == RK_OP_STAGE)
        item->fd = key_fd(ck, op->key);
    if (op->op == RK_OP_STAGE && !op->iface)
        rk_check_staged(ck, op->key);
    return op->op == RK_OP_STAGE && item->fd < 0 ? RK_E_NOMEM : RK_OK;
}

int
rk_check_apply(struct rk_check *ck, struct rk_check_host *h, const struct rk_check_op *ops, size_t n,
               uint32_t budget_ms)
{
    struct rk_call_msg m = {.verb = RK_V_APPLY, .budget_ms = budget_ms, .items = rk_items_new(n), .n = n};
    int err = m.items ? RK_OK : RK_E_NOMEM;

    for (size_t i = 0; !err && i < n; i++)
        err = fill_op(ck, &ops[i], &m.items[i]);
    if (!err)
        err = rk_check_host_call(h, &m);
    rk_items_free(m.items, n);
    for (size_t i = 0; !err && i < h->reply.n && n == 1; i++)
        err = h->reply.items[i].err; /* of one operation, its own result is what counts */
    return err;
}

int
rk_check_observe(struct rk_check *ck, struct rk_check_host *h, const struct rk_check_key *const *keys, size_t n,
                 uint32_t budget_ms)
{
    struct rk_call_msg m = {.verb = RK_V_OBSERVE, .budget_ms = budget_ms, .items = rk_items_new(1), .n = 1};
    int err;

    if (!m.items)
        return no_memory();
    rk_copy(m.items->link, sizeof m.items->link, ck->conf.link);
    rk_copy(m.items->iface, sizeof m.items->iface, ck->conf.iface);
    rk_copy(m.items->facts, sizeof m.items->facts, rk_check_class_a(ck) ? ck->conf.facts : "");
    for (size_t i = 0; i < n && i < RK_SEEN_KEYS; i++) {
        rk_copy(m.items->key[i].id, sizeof m.items->key[i].id, keys[i]->id);
        m.items->key[i].seq = keys[i]->seq;
    }
    err = rk_check_host_call(h, &m);
    rk_items_free(m.items, 1);
    return !err && h->reply.n == 1 ? h->reply.items->err : err;
}

/* ---- channels ---- */

static int
links_call(struct rk_check *ck, struct rk_check_host *h, struct rk_call_msg *m)
{
    int err;

    m->items = rk_items_new(m->n);
    if (!m->items)
        return no_memory();
    for (size_t i = 0; i < m->n; i++) {
        struct rk_item *item = &m->items[i];

        snprintf(item->link, sizeof item->link, "%.20s%s", ck->conf.link, i ? "-2" : "");
        rk_copy(item->iface, sizeof item->iface, ck->conf.iface);
        rk_copy(item->sae, sizeof item->sae, m->apply ? "" : ck->conf.peer_sae);
        if (m->verb == RK_V_PUBLISH)
            snprintf(item->text, sizeof item->text, "rk1|%s|M|1|%u|I||||", item->link, h->number);
    }
    m->apply = 0; /* here it said only that they go */
    err = rk_check_host_call(h, m);
    rk_items_free(m->items, m->n);
    return err;
}

int
rk_check_attach(struct rk_check *ck, struct rk_check_host *h, bool on, size_t n)
{
    struct rk_call_msg m = {.verb = RK_V_ATTACH, .budget_ms = (uint32_t)ck->conf.budget_ms, .n = n, .apply = !on};

    return links_call(ck, h, &m);
}

int
rk_check_publish(struct rk_check *ck, struct rk_check_host *h, size_t n, uint32_t budget_ms)
{
    struct rk_call_msg m = {.verb = RK_V_PUBLISH, .budget_ms = budget_ms, .n = n};

    return links_call(ck, h, &m);
}

int
rk_check_watch(struct rk_check *ck, struct rk_check_host *h, uint32_t budget_ms)
{
    struct rk_call_msg m = {.verb = RK_V_WATCH, .budget_ms = budget_ms};

    (void)ck;
    return rk_check_host_call(h, &m);
}

/* ---- one rotation ---- */

static int
round_of_source(struct rk_check *ck, struct rk_check_host *h, const char **what)
{
    char id[RK_KEY_ID_MAX + 1];
    const char *ids[] = {id};
    int err;

    *what = "get_new";
    err = rk_check_get(ck, h, 2, (uint32_t)ck->conf.budget_ms);
    if (!err)
        err = h->reply.n ? h->reply.items->err : RK_E_CONTRACT;
    if (ck->got_key && (rk_err_class(err) == RK_CLASS_SUPPLY || err == RK_E_AGAIN))
        return RK_OK;
    if (err)
        return err;
    ck->got_key = true;
    rk_copy(id, sizeof id, h->reply.items->key_id);
    *what = "get_by_id"; /* of a key that is not this one's to get, or gone: any code is an answer */
    if (rk_check_get_ids(ck, h, ids, 1) == RK_E_UNKNOWN && h->sock < 0)
        return RK_E_UNKNOWN;
    *what = "status";
    if (rk_check_status(ck, h, (uint32_t)ck->conf.budget_ms) == RK_E_UNKNOWN && h->sock < 0)
        return RK_E_UNKNOWN;
    return RK_OK;
}

/* One operation; key NULL: it has none. */
static int
one(struct rk_check *ck, struct rk_check_host *h, uint32_t op, const struct rk_check_key *key)
{
    return rk_check_apply(ck, h, &(struct rk_check_op){.op = op, .key = key}, 1, (uint32_t)ck->conf.budget_ms);
}

/* As what the interface is driven: learnt once. */
static int
learn_class(struct rk_check *ck, struct rk_check_host *h, const struct rk_check_key *const *keys)
{
    int err = ck->device_class ? RK_OK : rk_check_observe(ck, h, keys, 1, (uint32_t)ck->conf.budget_ms);

    if (!err && !ck->device_class)
        ck->device_class = RK_IF_CLASS_OF(h->reply.items->state);
    if (!err && !ck->device_class)
        ck->device_class = RK_CAP_CLASS(ck->caps);
    return err;
}

static int
round_of_device(struct rk_check *ck, struct rk_check_host *h, const char **what)
{
    struct rk_check_key key, old = {.seq = ck->cur_seq};
    const struct rk_check_key *keys[] = {&key, &old};
    bool had = ck->cur[0] != '\0';
    int err;

    rk_copy(old.id, sizeof old.id, ck->cur);
    rk_check_key_new(ck, &key);
    *what = "observe";
    err = learn_class(ck, h, keys);
    if (err)
        return err;
    *what = "apply STAGE";
    err = one(ck, h, RK_OP_STAGE, &key);
    if (!err && rk_check_class_a(ck)) {
        *what = "apply ACTIVATE";
        err = one(ck, h, RK_OP_ACTIVATE, &key);
    }
    if (!err && rk_check_class_a(ck) && had) {
        *what = "apply RETIRE";
        err = one(ck, h, RK_OP_RETIRE, &old);
    }
    if (err)
        return err;
    rk_copy(ck->cur, sizeof ck->cur, key.id);
    ck->cur_seq = key.seq;
    *what = "observe";
    return rk_check_observe(ck, h, keys, had ? 2 : 1, (uint32_t)ck->conf.budget_ms);
}

static int
round_of_channel(struct rk_check *ck, struct rk_check_host *h, const char **what)
{
    int err;

    *what = "attach";
    err = rk_check_attach(ck, h, true, 1);
    if (err)
        return err;
    *what = "publish"; /* that the peer is not there is an answer */
    err = rk_check_publish(ck, h, 1, (uint32_t)ck->conf.budget_ms);
    if (err && (h->sock < 0 || rk_err_class(err) != RK_CLASS_RETRY))
        return err;
    *what = "watch";
    err = rk_check_watch(ck, h, WATCH_MS);
    if (err && err != RK_E_CANCELED && err != RK_E_TIMEOUT) /* at the end of the budget it is canceled as well */
        return err;
    *what = "attach, to let go";
    return rk_check_attach(ck, h, false, 1);
}

int
rk_check_round(struct rk_check *ck, struct rk_check_host *h, const char **what)
{
    if (ck->kind == RK_SOURCE)
        return round_of_source(ck, h, what);
    return ck->kind == RK_DEVICE ? round_of_device(ck, h, what) : round_of_channel(ck, h, what);
}
