/* run_channel.c - calls of channels.  A record leaves with its tag, and comes in only with the right one. */
#include "run.h"

#include "kdf.h"
#include "safe.h"

#include "../base/clock.h"
#include "../base/log.h"
#include "../base/text.h"

#include <stdlib.h>
#include <string.h>

#define TAG_BYTES (1 + RK_CONFIRM_HEX) /* '|' and the tag */
#define QUIET_NS (60 * RK_NS_PER_S)    /* between two lines about one link */

/* ---- publish ---- */

static int
sign(const struct rk_call *c, const struct rk_item *in, struct rk_post *post)
{
    const struct rk_parties parties = {c->inst->sae, in->sae};
    size_t len = strlen(in->text);

    if (!rk_name_ok(in->link, RK_LINK_MAX) || !in->sae[0] || !rk_safe_record(in->text, sizeof in->text) ||
        len + TAG_BYTES > RK_RECORD_MAX)
        return RK_E_CONTRACT;
    strcpy(post->link, in->link);
    strcpy(post->peer_sae, in->sae);
    strcpy(post->record, in->text);
    post->record[len] = '|';
    post->err = RK_E_CONTRACT;
    return rk_kdf_record(c->inst->auth_key, parties, in->text, post->record + len + 1);
}

/* Sign what can be signed; at[i] is then the item of posts[i].  ret: how many. */
static size_t
sign_all(struct rk_call *c, struct rk_post *posts, size_t *at)
{
    size_t n = 0;

    for (size_t i = 0; i < c->msg.n; i++) {
        struct rk_item *out = &c->reply.items[i];

        out->err = sign(c, &c->msg.items[i], &posts[n]);
        if (out->err == RK_OK)
            at[n++] = i;
        else
            strcpy(out->text, "the record cannot be signed: no link name, no peer, too long or unprintable");
    }
    return n;
}

int
rk_run_publish(struct rk_call *c)
{
    struct rk_post *posts = calloc(c->msg.n, sizeof *posts);
    size_t at[RK_BATCH_MAX], n;
    int err = RK_OK;

    c->reply.items = rk_items_new(c->msg.n);
    if (!posts || !c->reply.items) {
        free(posts);
        return rk_call_fail(c, RK_E_NOMEM, "out of memory");
    }
    c->reply.n = c->msg.n;
    n = sign_all(c, posts, at);
    if (n)
        err = c->inst->module->channel.publish(c->inst->data, c, posts, n);
    for (size_t i = 0; i < n; i++) {
        struct rk_item *out = &c->reply.items[at[i]];

        /* an entry that was not reached failed as the whole did */
        out->err = rk_safe_err(err && posts[i].err == RK_E_CONTRACT ? err : posts[i].err);
        if (out->err)
            rk_safe_copy(out->text, sizeof out->text, c->text);
    }
    for (size_t i = 0; !err && i < c->msg.n; i++)
        if (c->reply.items[i].err)
            err = rk_call_fail(c, c->reply.items[i].err, "%s: %.200s", c->msg.items[i].link, c->reply.items[i].text);
    free(posts);
    return err;
}

/* ---- watch ---- */

int
rk_run_watch(struct rk_call *c)
{
    struct rk_post *posts = calloc(RK_BATCH_MAX, sizeof *posts);
    size_t n = 0;
    int err;

    c->reply.items = rk_items_new(RK_BATCH_MAX);
    if (!posts || !c->reply.items) {
        free(posts);
        return rk_call_fail(c, RK_E_NOMEM, "out of memory");
    }
    err = c->inst->module->channel.watch(c->inst->data, c, posts, RK_BATCH_MAX, &n);
    if (!err && n > RK_BATCH_MAX)
        err = rk_call_fail(c, RK_E_CONTRACT, "%s: watch returned more records than there was room for", c->inst->name);
    for (size_t i = 0; !err && i < n; i++) {
        struct rk_item *out = &c->reply.items[i];

        rk_safe_text(posts[i].link, sizeof posts[i].link);
        rk_safe_text(posts[i].peer_sae, sizeof posts[i].peer_sae);
        strcpy(out->link, posts[i].link);
        strcpy(out->sae, posts[i].peer_sae);
        if (rk_safe_record(posts[i].record, sizeof posts[i].record))
            strcpy(out->text, posts[i].record);
        c->reply.n++;
    }
    free(posts);
    return err;
}

static const char *
wrong_record(const struct rk_inst *inst, const struct rk_bind *bind, struct rk_item *item)
{
    const struct rk_parties parties = {bind->sae, inst->sae};
    char tag[RK_CONFIRM_HEX + 1];
    char *bar = strrchr(item->text, '|');

    if (item->sae[0] && strcmp(item->sae, bind->sae) != 0)
        return "from another peer than the link's";
    if (!bar || bar == item->text || strlen(bar) != TAG_BYTES)
        return "no record";
    *bar = '\0';
    if (rk_kdf_record(inst->auth_key, parties, item->text, tag) != RK_OK)
        return "its tag cannot be checked";
    return rk_same(tag, bar + 1, RK_CONFIRM_HEX) ? NULL : "wrong tag: auth-key or SAE IDs differ, or it is forged";
}

static void
note_refused(const struct rk_inst *inst, struct rk_bind *bind, const char *why, int64_t now_ns)
{
    bind->refused++;
    if (now_ns < bind->quiet_until_ns)
        return;
    rk_log(RK_LOG_WARNING, "ev=record-refused inst=%s link=%s peer=%s count=%u why=\"%s\"", inst->name, bind->link,
           bind->sae, bind->refused, why);
    bind->refused = 0;
    bind->quiet_until_ns = now_ns + QUIET_NS;
}

/* Anyone may invent link names, so those that are not bound share one line a minute. */
static void
note_stranger(struct rk_inst *inst, const char *link, int64_t now_ns)
{
    inst->strangers++;
    if (now_ns < inst->strangers_quiet_ns)
        return;
    rk_log(RK_LOG_NOTICE, "ev=record-refused inst=%s link=%s count=%u why=\"no link of this channel\"", inst->name,
           rk_name_ok(link, RK_LINK_MAX) ? link : "?", inst->strangers);
    inst->strangers = 0;
    inst->strangers_quiet_ns = now_ns + QUIET_NS;
}

static bool
verify(struct rk_inst *inst, struct rk_item *item, int64_t now_ns)
{
    struct rk_bind *bind = rk_bind_find(&inst->binds, item->link);
    const char *why;

    if (!bind) {
        note_stranger(inst, item->link, now_ns);
        return false;
    }
    why = wrong_record(inst, bind, item);
    if (why) {
        note_refused(inst, bind, why, now_ns);
        return false;
    }
    strcpy(item->sae, bind->sae);
    return true;
}

void
rk_watch_verify(struct rk_call *c, int64_t now_ns)
{
    size_t kept = 0;

    for (size_t i = 0; i < c->reply.n; i++) {
        struct rk_item *item = &c->reply.items[i];

        if (!verify(c->inst, item, now_ns))
            continue;
        if (kept != i)
            c->reply.items[kept] = *item;
        kept++;
    }
    c->reply.n = kept; /* none of a WATCH holds a descriptor: nothing is left behind */
}
