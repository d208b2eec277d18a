/* run_source.c - calls of key sources: what a source gave is checked, and leaves this process as sealed memfds. */
#include "run.h"

#include "kdf.h"
#include "ratchet.h"
#include "safe.h"

#include "../base/log.h"
#include "../base/text.h"

#include <stdlib.h>
#include <string.h>

#define TEST_BITS 256 /* of a key that is taken for a test, when no link says */

/* Drop a key, stating why in its entry. */
static void
drop(struct rk_call *c, struct rk_key *key, int err, const char *why)
{
    rk_call_wasted(c, key->secret != NULL);
    rk_secret_free(&key->secret);
    key->err = rk_call_fail(c, err, "%s: %s", c->inst->name, why);
}

/* A secret that stands in two entries has one owner still: forget the second pointer before anything is freed. */
static void
part_shared(struct rk_call *c, struct rk_key *keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; keys[i].secret && k < i; k++)
            if (keys[k].secret == keys[i].secret) {
                keys[i].secret = NULL;
                drop(c, &keys[i], RK_E_CONTRACT, "the plugin gave the same secret twice");
                keys[k].err = RK_E_CONTRACT;
            }
}

static void
check_key(struct rk_call *c, struct rk_key *key, const struct rk_item *asked)
{
    if (key->err != RK_OK) {
        rk_secret_free(&key->secret);
        key->err = rk_safe_err(key->err);
        return;
    }
    if (!key->secret) {
        drop(c, key, RK_E_CONTRACT, "the plugin says it has a key, but gave none");
    } else if (!rk_safe_ended(key->id, sizeof key->id) || !rk_key_id_ok(key->id)) {
        drop(c, key, RK_E_PROTOCOL, "the source gave a key ID that is none");
    } else {
        rk_key_id_fold(key->id);
        if (c->verb == RK_V_GET_BY_ID && strcmp(key->id, asked->key_id) != 0)
            drop(c, key, RK_E_PROTOCOL, "the source gave another key ID than was asked for");
        else if (rk_secret_len(key->secret) != c->msg.bits / 8)
            drop(c, key, RK_E_KEY_SIZE, "the source gave a key of another size than was asked for");
    }
}

/* Two keys with one ID: the peer, asking by ID, could get either; so neither can be used. */
static void
check_twins(struct rk_call *c, struct rk_key *keys, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool twin = false;

        for (size_t k = i + 1; keys[i].err == RK_OK && k < n; k++)
            if (keys[k].err == RK_OK && strcmp(keys[i].id, keys[k].id) == 0) {
                drop(c, &keys[k], RK_E_PROTOCOL, "the source gave one key ID twice");
                twin = true;
            }
        if (twin)
            drop(c, &keys[i], RK_E_PROTOCOL, "the source gave one key ID twice");
    }
}

/* What each end shows to have the same key; not asked for by an end that gets it when the key is staged. */
static void
add_tag(struct rk_call *c, struct rk_key *key, const struct rk_item *in, struct rk_item *out)
{
    const struct rk_confirm_of of = {in->link, key->id, in->seq, in->role};
    int err;

    if (key->err != RK_OK || in->role == 0)
        return;
    err = rk_kdf_confirms(key->secret, &of, (struct rk_confirm){out->mine, out->theirs});
    if (err)
        drop(c, key, err, "no confirm tag can be made");
}

/* By which records will be signed while the key is in use: made here, for it must be in the journal before the device
 * may have the key. */
static void
add_channel_key(struct rk_call *c, struct rk_key *key, const struct rk_item *in, struct rk_item *out)
{
    int err = key->err == RK_OK ? rk_ratchet_derive(in, key->secret, key->id, out) : RK_OK;

    if (err)
        drop(c, key, err, "no channel key can be made");
}

/* Into the reply; ret: RK_OK when at least one key is there, else why not. */
static int
pass_on(struct rk_call *c, struct rk_key *keys, size_t n)
{
    int first = RK_OK;
    size_t good = 0;

    for (size_t i = 0; i < n; i++) {
        struct rk_item *out = &c->reply.items[i];

        add_tag(c, &keys[i], &c->msg.items[i], out);
        add_channel_key(c, &keys[i], &c->msg.items[i], out);
        if (keys[i].err == RK_OK) {
            strcpy(out->key_id, keys[i].id);
            out->fd = rk_secret_send(&keys[i].secret);
            if (out->fd < 0)
                keys[i].err = rk_call_fail(c, RK_E_NOMEM, "%s: the kernel gave no memory for a key", c->inst->name);
        }
        if (c->verb == RK_V_GET_BY_ID)
            strcpy(out->key_id, c->msg.items[i].key_id);
        out->err = keys[i].err;
        good += keys[i].err == RK_OK;
        if (keys[i].err && !first)
            first = keys[i].err;
        if (keys[i].err)
            rk_safe_copy(out->text, sizeof out->text, c->text);
    }
    return good ? RK_OK : first;
}

static int
check_asked(struct rk_call *c)
{
    struct rk_item *items = c->msg.items;

    for (size_t i = 0; c->verb == RK_V_GET_BY_ID && i < c->msg.n; i++) {
        rk_key_id_fold(items[i].key_id);
        for (size_t k = 0; k < i; k++)
            if (strcmp(items[k].key_id, items[i].key_id) == 0)
                return rk_call_fail(c, RK_E_CONTRACT, "one key ID was asked for twice");
    }
    return RK_OK;
}

static int
get(struct rk_call *c, struct rk_key *keys, size_t n)
{
    const struct rk_source_ops *ops = &c->inst->module->source;
    int err;

    for (size_t i = 0; i < n; i++) {
        keys[i].err = RK_E_CONTRACT;
        if (c->verb == RK_V_GET_BY_ID)
            strcpy(keys[i].id, c->msg.items[i].key_id);
    }
    if (c->verb == RK_V_GET_NEW)
        err = ops->get_new(c->inst->data, c, c->msg.peer_sae, c->msg.bits, keys, n);
    else
        err = ops->get_by_id(c->inst->data, c, c->msg.peer_sae, c->msg.bits, keys, n);
    part_shared(c, keys, n);
    for (size_t i = 0; i < n; i++) {
        if (err != RK_OK)
            keys[i].err = keys[i].err == RK_OK || keys[i].err == RK_E_CONTRACT ? err : keys[i].err;
        check_key(c, &keys[i], &c->msg.items[i]);
    }
    check_twins(c, keys, n);
    return err ? err : RK_OK;
}

int
rk_run_get(struct rk_call *c)
{
    size_t n = c->msg.n;
    struct rk_key *keys;
    int err = check_asked(c), passed;

    if (err)
        return err;
    keys = calloc(n, sizeof *keys);
    c->reply.items = rk_items_new(n);
    if (!keys || !c->reply.items) {
        free(keys);
        return rk_call_fail(c, RK_E_NOMEM, "out of memory");
    }
    c->reply.n = n;
    err = get(c, keys, n);
    passed = pass_on(c, keys, n);
    free(keys);
    return err ? err : passed;
}

int
rk_run_source_status(struct rk_call *c)
{
    const struct rk_source_ops *ops = &c->inst->module->source;
    struct rk_source_status st = {.stored_keys = -1, .max_per_request = -1, .min_bits = -1, .max_bits = -1};
    int err;

    if (!ops->status)
        return rk_call_fail(c, RK_E_UNSUPPORTED, "plugin %s tells no status", c->inst->module->name);
    err = ops->status(c->inst->data, c, c->msg.peer_sae, &st);
    if (err)
        return err;
    c->reply.stored_keys = st.stored_keys < 0 ? -1 : st.stored_keys;
    c->reply.max_per_request = st.max_per_request < 0 ? -1 : st.max_per_request;
    c->reply.min_bits = st.min_bits < 0 ? -1 : st.min_bits;
    c->reply.max_bits = st.max_bits < 0 ? -1 : st.max_bits;
    rk_safe_text(st.text, sizeof st.text);
    strcpy(c->reply.text, st.text);
    return RK_OK;
}

/* ---- test ---- */

/* A plugin without a test of its own. */
static int
test_by_status(struct rk_call *c)
{
    int err;

    if (!c->msg.peer_sae[0])
        return RK_OK;
    err = rk_run_source_status(c);
    if (err == RK_E_UNSUPPORTED && !c->inst->module->source.status)
        return rk_call_step(c, "status", RK_STEP_SKIPPED, "%s", c->text);
    return rk_call_step(c, "status", err, "%s", err ? "" : c->reply.text);
}

static int
test_by_plugin(struct rk_call *c)
{
    const struct rk_source_test t = {.size = sizeof t,
                                     .min_bits = c->msg.min_bits,
                                     .max_bits = c->msg.bits,
                                     .peer_sae = c->msg.peer_sae};
    int err = c->inst->module->source.test(c->inst->data, c, &t);

    if (err && !c->step_err) /* else the reason would not be shown */
        return rk_call_step(c, "test", err, "%s", "");
    return err; /* RK_OK although a step failed: there is another way */
}

/* Take one key as a link would, and drop it. */
static int
test_fetch(struct rk_call *c)
{
    struct rk_key key = {.err = RK_E_CONTRACT};
    uint32_t bits = c->msg.bits ? c->msg.bits : TEST_BITS;
    int err;

    c->msg.bits = bits; /* what check_key() compares with */
    err = c->inst->module->source.get_new(c->inst->data, c, c->msg.peer_sae, bits, &key, 1);
    key.err = err ? err : key.err;
    check_key(c, &key, NULL);
    if (key.err)
        return rk_call_step(c, "fetch", key.err, "%s", "");
    rk_secret_free(&key.secret);
    rk_call_wasted(c, 1);
    rk_log(RK_LOG_WARNING, "ev=key-dropped inst=%s peer=%s key_id=%s why=\"taken for a test, and not used\"",
           c->inst->name, c->msg.peer_sae, key.id);
    return rk_call_step(c, "fetch", RK_OK, "key %s of %u bits was taken and dropped: it is wasted, as was asked for",
                        key.id, bits);
}

int
rk_run_source_test(struct rk_call *c)
{
    int err = c->inst->module->source.test ? test_by_plugin(c) : test_by_status(c);

    if (!c->msg.fetch || !c->msg.peer_sae[0])
        return err;
    if (err)
        (void)rk_call_step(c, "fetch", RK_STEP_SKIPPED, "no key was taken, because of what failed before");
    return err ? err : test_fetch(c);
}
