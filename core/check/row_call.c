/* row_call.c - what the answers of calls say: results, truth, doing things again, errors. */
#include "check.h"

#include "../base/err.h"
#include "../base/text.h"

#include <string.h>

#define BUDGET_MS (uint32_t)ck->conf.budget_ms

static int
one(struct rk_check *ck, struct rk_check_host *h, uint32_t op, const struct rk_check_key *key, const char *keep)
{
    return rk_check_apply(ck, h, &(struct rk_check_op){.op = op, .key = key, .keep = keep}, 1, BUDGET_MS);
}

/* ---- results ---- */

/* Of three operations, all of which must say what became of them, in their order. */
static enum rk_check_result
results_of_device(struct rk_check *ck, struct rk_check_host *h)
{
    struct rk_check_key key, none;
    struct rk_check_op ops[] = {{.op = RK_OP_RETIRE, .key = &none}, {.op = RK_OP_STAGE, .key = &key},
                                {.op = RK_OP_ACTIVATE, .key = &none}};
    size_t n = rk_check_class_a(ck) ? 3 : 2;
    int err;

    rk_check_key_new(ck, &none);
    rk_check_key_new(ck, &key);
    if (!rk_check_class_a(ck))
        ops[0] = ops[1]; /* what became of the commit of a key, and of the same once more */
    err = rk_check_apply(ck, h, ops, n, BUDGET_MS);
    if (err)
        return rk_check_wrong(ck, h, "apply", err);
    for (size_t i = 0; i < 2; i++)
        if (h->reply.items[i].err == RK_E_CONTRACT)
            return rk_check_fail(ck, "operation %zu of %zu was left without a result of its own", i + 1, n);
    if (h->reply.items[1].err)
        return rk_check_fail(ck, "STAGE failed beside another operation: %s: %.180s",
                             rk_err_name(h->reply.items[1].err), h->reply.items[1].text);
    if (n == 3 && h->reply.items[2].err == RK_OK)
        return rk_check_fail(ck, "ACTIVATE of a key that it does not hold is said to be done");
    return rk_check_pass(ck, "%zu operations in one apply", n);
}

static enum rk_check_result
results_of_source(struct rk_check *ck, struct rk_check_host *h)
{
    static const char *const unknown[] = {"00000000-0000-4000-8000-00000000dead",
                                          "00000000-0000-4000-8000-00000000beef"};
    size_t good = 0;
    int err = rk_check_get_some(ck, h, 3);

    if (err)
        return rk_check_wrong(ck, h, "get_new of 3 keys", err);
    for (size_t i = 0; i < h->reply.n; i++) {
        const struct rk_item *item = &h->reply.items[i];

        if (item->err && rk_err_class(item->err) == RK_CLASS_BUG)
            return rk_check_fail(ck, "get_new: key %zu of 3: %s: %.180s", i + 1, rk_err_name(item->err), item->text);
        if (item->err == RK_OK && item->fd < 0)
            return rk_check_fail(ck, "get_new: key %zu of 3 is said to be there, and is not", i + 1);
        good += item->err == RK_OK;
    }
    if (good == 0)
        return rk_check_fail(ck, "get_new said ok, and gave none of 3 keys");
    err = rk_check_get_ids(ck, h, unknown, 2);
    if (h->sock < 0)
        return rk_check_wrong(ck, h, "get_by_id", err);
    for (size_t i = 0; i < h->reply.n; i++)
        if (h->reply.items[i].err == RK_E_CONTRACT)
            return rk_check_fail(ck, "get_by_id: ID %zu of 2 was left without a result of its own", i + 1);
    return rk_check_pass(ck, "%zu keys of 3 asked for; 2 IDs that nobody gave out", good);
}

static enum rk_check_result
results_of_channel(struct rk_check *ck, struct rk_check_host *h)
{
    int err = rk_check_attach(ck, h, true, 2); /* the second may be one too many: it has its result then */

    if (h->sock < 0)
        return rk_check_wrong(ck, h, "attach", err);
    err = rk_check_publish(ck, h, 2, BUDGET_MS);
    if (h->sock < 0 || h->reply.n != 2)
        return rk_check_wrong(ck, h, "publish of 2 records", err);
    for (size_t i = 0; i < 2; i++)
        if (h->reply.items[i].err == RK_E_CONTRACT || (err && !h->reply.items[i].err && h->reply.items[1 - i].err == 0))
            return rk_check_fail(ck, "record %zu of 2 was left without a result of its own", i + 1);
    return rk_check_pass(ck, "2 records in one publish");
}

enum rk_check_result
rk_check_row_results(struct rk_check *ck, struct rk_check_host *h)
{
    int err = rk_check_inst(ck, h, RK_CHECK_AS_GIVEN);

    if (err)
        return rk_check_wrong(ck, h, "init", err);
    if (ck->kind == RK_DEVICE)
        return results_of_device(ck, h);
    return ck->kind == RK_SOURCE ? results_of_source(ck, h) : results_of_channel(ck, h);
}

/* ---- idempotent ---- */

static int
held_of(struct rk_check *ck, struct rk_check_host *h, const struct rk_check_key *key, uint32_t *held)
{
    const struct rk_check_key *keys[] = {key};
    int err = rk_check_observe(ck, h, keys, 1, BUDGET_MS);

    *held = err ? 0 : h->reply.items->key[0].held;
    return err;
}

/* op is done twice; what is seen of the key must be the same after both. */
static enum rk_check_result
twice(struct rk_check *ck, struct rk_check_host *h, uint32_t op, const struct rk_check_key *key, const char *name)
{
    uint32_t first, second;
    int err = one(ck, h, op, key, NULL);

    if (err)
        return rk_check_wrong(ck, h, name, err);
    err = held_of(ck, h, key, &first);
    if (err)
        return rk_check_wrong(ck, h, "observe", err);
    err = one(ck, h, op, key, NULL);
    if (err) {
        char what[60];

        snprintf(what, sizeof what, "%s, done again", name);
        return rk_check_wrong(ck, h, what, err);
    }
    err = held_of(ck, h, key, &second);
    if (err)
        return rk_check_wrong(ck, h, "observe", err);
    if ((first ^ second) & (RK_HELD_RX | RK_HELD_TX))
        return rk_check_fail(ck, "%s, done again, changed what it holds from 0x%x to 0x%x", name, first, second);
    return RK_CHECK_PASSED;
}

enum rk_check_result
rk_check_row_idempotent(struct rk_check *ck, struct rk_check_host *h)
{
    struct rk_check_key key, next;
    enum rk_check_result r;
    int err = rk_check_inst(ck, h, RK_CHECK_AS_GIVEN);

    if (err)
        return rk_check_wrong(ck, h, "init", err);
    rk_check_key_new(ck, &key);
    r = twice(ck, h, RK_OP_STAGE, &key, "STAGE");
    if (r || !rk_check_class_a(ck))
        return r ? r : rk_check_pass(ck, "STAGE");
    r = twice(ck, h, RK_OP_ACTIVATE, &key, "ACTIVATE");
    if (r)
        return r;
    rk_check_key_new(ck, &next);
    err = one(ck, h, RK_OP_STAGE, &next, NULL);
    if (!err)
        err = one(ck, h, RK_OP_ACTIVATE, &next, NULL);
    if (err)
        return rk_check_wrong(ck, h, "the next key", err);
    r = twice(ck, h, RK_OP_RETIRE, &key, "RETIRE");
    rk_copy(ck->cur, sizeof ck->cur, next.id);
    ck->cur_seq = next.seq;
    return r ? r : rk_check_pass(ck, "STAGE, ACTIVATE, RETIRE");
}

/* ---- truthful ---- */

/* What must be seen of two keys: bits that must be set, and such that must not. */
struct truth {
    const char *after;
    uint32_t set[2], clear[2];
};

static enum rk_check_result
look(struct rk_check *ck, struct rk_check_host *h, const struct rk_check_key *const keys[2], const struct truth *t)
{
    int err = rk_check_observe(ck, h, keys, 2, BUDGET_MS);

    if (err)
        return rk_check_wrong(ck, h, t->after, err);
    for (size_t i = 0; i < 2; i++) {
        uint32_t held = h->reply.items->key[i].held;

        if ((held & t->set[i]) != t->set[i] || held & t->clear[i])
            return rk_check_fail(ck, "after %s the %s key is held as 0x%x: 0x%x expected, and 0x%x not", t->after,
                                 i ? "second" : "first", held, t->set[i], t->clear[i]);
    }
    return RK_CHECK_PASSED;
}

#define RX RK_HELD_RX
#define STAGED (RK_HELD_RX | RK_HELD_TX)
#define SENDS (RK_HELD_RX | RK_HELD_TX | RK_SENDING)
#define ANY (RK_HELD_RX | RK_HELD_TX | RK_SENDING)

static enum rk_check_result
truth_of_class_a(struct rk_check *ck, struct rk_check_host *h, const struct rk_check_key *const keys[2])
{
    static const struct {
        uint32_t op, key;
        struct truth truth;
    } steps[] = {
        {RK_OP_STAGE, 0, {"STAGE", {STAGED, 0}, {RK_SENDING, ANY}}},
        {RK_OP_ACTIVATE, 0, {"ACTIVATE", {SENDS, 0}, {0, ANY}}},
        {RK_OP_STAGE, 1, {"STAGE of a second key", {SENDS, STAGED}, {0, RK_SENDING}}},
        {RK_OP_ACTIVATE, 1, {"ACTIVATE of the second key", {RX, SENDS}, {RK_SENDING, 0}}},
        {RK_OP_RETIRE, 0, {"RETIRE", {0, SENDS}, {ANY, 0}}},
    };
    enum rk_check_result r = RK_CHECK_PASSED;

    for (size_t i = 0; !r && i < sizeof steps / sizeof *steps; i++) {
        int err = one(ck, h, steps[i].op, keys[steps[i].key], NULL);

        r = err ? rk_check_wrong(ck, h, steps[i].truth.after, err) : look(ck, h, keys, &steps[i].truth);
    }
    if (r)
        return r;
    if (one(ck, h, RK_OP_RETIRE, keys[1], NULL) == RK_OK)
        return rk_check_fail(ck, "RETIRE of the key that it transmits on is said to be done");
    r = look(ck, h, keys, &(struct truth){"a refused RETIRE", {0, SENDS}, {ANY, 0}});
    return r ? r : rk_check_pass(ck, "a rotation, step by step, and a RETIRE that is refused");
}

static enum rk_check_result
truth_of_others(struct rk_check *ck, struct rk_check_host *h, const struct rk_check_key *const keys[2])
{
    bool chain = rk_check_class(ck) == RK_CLASS_D;
    enum rk_check_result r;
    int err = one(ck, h, RK_OP_STAGE, keys[0], NULL);

    r = err ? rk_check_wrong(ck, h, "STAGE", err) : look(ck, h, keys, &(struct truth){"STAGE", {RX, 0}, {0, ANY}});
    if (r)
        return r;
    err = one(ck, h, RK_OP_STAGE, keys[1], keys[0]->id);
    r = err ? rk_check_wrong(ck, h, "STAGE of a second key", err)
            : look(ck, h, keys, &(struct truth){"STAGE of a second key", {RX, RX}, {0, 0}});
    if (r)
        return r;
    err = one(ck, h, RK_OP_RETIRE, keys[1], keys[0]->id);
    r = err ? rk_check_wrong(ck, h, "RETIRE", err)
            : look(ck, h, keys, &(struct truth){"RETIRE", {RX, 0}, {0, chain ? ANY : RK_HELD_TX}});
    return r ? r : rk_check_pass(ck, "two keys, and back to the first");
}

enum rk_check_result
rk_check_row_truthful(struct rk_check *ck, struct rk_check_host *h)
{
    struct rk_check_key first, second;
    const struct rk_check_key *const keys[2] = {&first, &second};
    int err = rk_check_inst(ck, h, RK_CHECK_AS_GIVEN);

    if (err)
        return rk_check_wrong(ck, h, "init", err);
    rk_check_key_new(ck, &first);
    rk_check_key_new(ck, &second);
    ck->cur[0] = '\0';
    return rk_check_class_a(ck) ? truth_of_class_a(ck, h, keys) : truth_of_others(ck, h, keys);
}

/* ---- errors ---- */

/* Is this failure one that a person and the scheduler can do something with? */
static enum rk_check_result
judge(struct rk_check *ck, const char *what, int err, const char *text)
{
    if (err == RK_OK)
        return RK_CHECK_PASSED;
    if (err == RK_E_CONTRACT || rk_err_class(err) == RK_CLASS_FATAL)
        return rk_check_fail(ck, "%s: it returned no code of a class, or one that ends the process (%s)", what,
                             rk_err_name(err));
    return text[0] ? RK_CHECK_PASSED : rk_check_fail(ck, "%s: %s, and no text that says why", what, rk_err_name(err));
}

static enum rk_check_result
judge_reply(struct rk_check *ck, struct rk_check_host *h, const char *what, int err, unsigned *failures)
{
    enum rk_check_result r = RK_CHECK_PASSED;

    if (h->sock < 0)
        return rk_check_wrong(ck, h, what, err);
    r = judge(ck, what, h->reply.err, h->reply.text);
    *failures += h->reply.err != RK_OK;
    for (size_t i = 0; !r && i < h->reply.n; i++) {
        const struct rk_item *item = &h->reply.items[i];

        r = judge(ck, what, item->err, item->text[0] ? item->text : h->reply.text);
        *failures += !h->reply.err && item->err;
    }
    return r;
}

/* What fails on any device, or may. */
static enum rk_check_result
provoke_device(struct rk_check *ck, struct rk_check_host *h, unsigned *failures)
{
    struct rk_check_key key;
    struct rk_check_op nowhere = {.op = RK_OP_STAGE, .key = &key, .iface = "no-such-port"};
    enum rk_check_result r;
    int err;

    rk_check_key_new(ck, &key);
    err = one(ck, h, rk_check_class_a(ck) ? RK_OP_ACTIVATE : RK_OP_RETIRE, &key,
              "00000000-0000-4000-8000-00000000dead");
    r = judge_reply(ck, h, "a key that it does not hold", err, failures);
    if (r)
        return r;
    err = one(ck, h, RK_OP_DESCRIBE, NULL, NULL);
    r = judge_reply(ck, h, "DESCRIBE", err, failures);
    if (r)
        return r;
    rk_check_key_new(ck, &key);
    err = rk_check_apply(ck, h, &nowhere, 1, BUDGET_MS);
    return judge_reply(ck, h, "an interface that is not there", err, failures);
}

static enum rk_check_result
provoke_source(struct rk_check *ck, struct rk_check_host *h, unsigned *failures)
{
    static const char *const unknown[] = {"00000000-0000-4000-8000-00000000dead"};
    struct rk_check_conf was = ck->conf;
    enum rk_check_result r;
    int err = rk_check_get_ids(ck, h, unknown, 1);

    r = judge_reply(ck, h, "a key ID that nobody gave out", err, failures);
    if (r)
        return r;
    rk_copy(ck->conf.peer_sae, sizeof ck->conf.peer_sae, "NO_SUCH_SAE");
    err = rk_check_get(ck, h, 1, BUDGET_MS);
    r = judge_reply(ck, h, "a peer that is not known", err, failures);
    ck->conf.bits = 24;
    err = r ? RK_OK : rk_check_get(ck, h, 1, BUDGET_MS);
    r = r ? r : judge_reply(ck, h, "a key size that is not offered", err, failures);
    ck->conf = was;
    return r;
}

static enum rk_check_result
provoke_channel(struct rk_check *ck, struct rk_check_host *h, unsigned *failures)
{
    int err = rk_check_publish(ck, h, 1, BUDGET_MS);

    return judge_reply(ck, h, "publish of a link that is not attached", err, failures);
}

static enum rk_check_result
provoke(struct rk_check *ck, struct rk_check_host *h, unsigned *failures)
{
    if (ck->kind == RK_DEVICE)
        return provoke_device(ck, h, failures);
    return ck->kind == RK_SOURCE ? provoke_source(ck, h, failures) : provoke_channel(ck, h, failures);
}

/* The peer does not answer. */
static enum rk_check_result
provoke_silence(struct rk_check *ck, struct rk_check_host *h, unsigned *failures)
{
    const struct rk_check_key *none[1] = {NULL};
    const char *why;
    int err;

    if (!rk_check_silent(ck, h, &why) || ck->kind == RK_CHANNEL)
        return RK_CHECK_PASSED;
    err = rk_check_inst(ck, h, RK_CHECK_SLOW);
    if (err)
        return judge_reply(ck, h, "init with a silent peer", err, failures);
    err = ck->kind == RK_SOURCE ? rk_check_get(ck, h, 1, 100) : rk_check_observe(ck, h, none, 0, 100);
    return judge_reply(ck, h, "a silent peer", err, failures);
}

enum rk_check_result
rk_check_row_errors(struct rk_check *ck, struct rk_check_host *h)
{
    unsigned failures = 0;
    enum rk_check_result r;
    int err = rk_check_inst(ck, h, RK_CHECK_AS_GIVEN);

    if (err)
        return rk_check_wrong(ck, h, "init", err);
    r = provoke(ck, h, &failures);
    if (!r)
        r = provoke_silence(ck, h, &failures);
    if (r)
        return r;
    if (failures == 0)
        return rk_check_skip(ck, "nothing failed that could be made to fail");
    return rk_check_pass(ck, "%u failures", failures);
}
