/* run_channel.c - calls of channels.  A record leaves with its tag, and passes inwards only with the right one; of each
 * other the core is told why it was refused, for there it is counted.  Repeats pass now and then: who hears the peer's
 * record a thousand times in a second knows no more than who hears it ten times. */
#include "run.h"

#include "chankeys.h"
#include "safe.h"

#include "../base/clock.h"
#include "../base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TAG_BYTES (1 + RK_CONFIRM_HEX) /* '|' and the tag */
#define WHY_BYTES 120                  /* of what a channel says about something that is no record */

/* ---- publish ---- */

int
rk_sign_post(const struct rk_call *c, const struct rk_item *in, struct rk_post *post)
{
    const struct rk_signed what = {in->link, in->text, {c->inst->sae, in->sae}};
    char used[RK_KEY_ID_MAX + 1];
    size_t len = strlen(in->text);

    if (!rk_name_ok(in->link, RK_LINK_MAX) || !in->sae[0] || !rk_safe_record(in->text, sizeof in->text) ||
        len + TAG_BYTES > RK_RECORD_MAX)
        return RK_E_CONTRACT;
    strcpy(post->link, in->link);
    strcpy(post->peer_sae, in->sae);
    strcpy(post->record, in->text);
    post->record[len] = '|';
    post->err = RK_E_CONTRACT;
    rk_chankeys_look(c->inst->keys);
    return rk_chankeys_sign(c->inst->keys, &what, in->key_id,
                            (struct rk_tag_out){post->record + len + 1, used});
}

/* Sign what can be signed; at[i] is then the item of posts[i].  ret: how many. */
static size_t
sign_all(struct rk_call *c, struct rk_post *posts, size_t *at)
{
    size_t n = 0;

    for (size_t i = 0; i < c->msg.n; i++) {
        struct rk_item *out = &c->reply.items[i];

        out->err = rk_sign_post(c, &c->msg.items[i], &posts[n]);
        if (out->err == RK_OK)
            at[n++] = i;
        else if (out->err == RK_E_NOENT)
            strcpy(out->text, "the record cannot be signed: the auth-key file has no key for this link");
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

static void refuse(struct rk_item *item, int err, const char *fmt, ...) RK_PRINTF(3, 4);

/* Say instead of the record why it is none: the core counts it, and knows how often it was told. */
static void
refuse(struct rk_item *item, int err, const char *fmt, ...)
{
    va_list ap;

    item->err = err;
    va_start(ap, fmt);
    vsnprintf(item->text, sizeof item->text, fmt, ap);
    va_end(ap);
}

/* What is no record may be words by which the channel says why. */
static void
take_record(struct rk_item *out, int err, char record[RK_RECORD_MAX + 1])
{
    if (err == RK_E_CONFLICT) { /* of the neighbour, not of a record */
        rk_safe_text(record, RK_RECORD_MAX + 1);
        refuse(out, RK_E_CONFLICT, "%.*s", WHY_BYTES, record);
        return;
    }
    if (rk_safe_record(record, RK_RECORD_MAX + 1)) {
        strcpy(out->text, record);
        return;
    }
    rk_safe_text(record, RK_RECORD_MAX + 1);
    refuse(out, RK_E_PROTOCOL, "no record%s%.*s", record[0] ? ": " : "", WHY_BYTES, record);
}

void
rk_take_post(struct rk_post *post, struct rk_item *out)
{
    rk_safe_text(post->link, sizeof post->link);
    rk_safe_text(post->peer_sae, sizeof post->peer_sae);
    strcpy(out->link, post->link);
    strcpy(out->sae, post->peer_sae);
    take_record(out, post->err, post->record);
}

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
    rk_chankeys_look(c->inst->keys);
    if (!err && n > RK_BATCH_MAX)
        err = rk_call_fail(c, RK_E_CONTRACT, "%s: watch returned more records than there was room for", c->inst->name);
    for (size_t i = 0; !err && i < n; i++) {
        rk_take_post(&posts[i], &c->reply.items[i]);
        c->reply.n++;
    }
    free(posts);
    return err;
}

/* One more of the link, which may be too many, or a repeat that is to be dropped. */
static void
judge_flow(struct rk_item *item, enum rk_flow_way way)
{
    if (way == RK_FLOW_OVER)
        refuse(item, RK_E_BUSY, "too many records with good tags: the link's limit is %d in a second",
               RK_RECORDS_PER_S);
    else if (way == RK_FLOW_DROP)
        item->link[0] = '\0';
}

/* A key ID of a peer that signs nothing: what it is for is the core's to judge, which knows it by its mark. */
static void
verify_bare(const struct rk_inst *inst, struct rk_item *item, int64_t now_ns)
{
    if (!(inst->module->caps & RK_CAP_BARE))
        refuse(item, RK_E_AUTH, "a key ID without a tag, which this channel must not bring");
    else if (!rk_key_id_ok(item->text + 1))
        refuse(item, RK_E_PROTOCOL, "no key ID");
    else
        judge_flow(item, rk_chankeys_flow(inst->keys, item->link, item->text, now_ns));
}

/* Its tag is right: by whose channel key is told.  item->text is without the tag, and bar where it begins. */
static void
take_signed(struct rk_chankeys *keys, struct rk_item *item, char *bar, int64_t now_ns)
{
    enum rk_flow_way way;

    *bar = '|'; /* a repeat has the same tag */
    way = rk_chankeys_flow(keys, item->link, item->text, now_ns);
    *bar = '\0';
    judge_flow(item, way);
}

static void
check_tag(const struct rk_inst *inst, const char *peer, struct rk_item *item, char *bar, int64_t now_ns)
{
    const struct rk_signed what = {item->link, item->text, {peer, inst->sae}};
    int err;

    *bar = '\0';
    err = rk_chankeys_verify(inst->keys, &what, bar + 1, item->key_id);
    if (err == RK_OK)
        take_signed(inst->keys, item, bar, now_ns);
    else if (err == RK_E_AUTH)
        refuse(item, RK_E_AUTH, "wrong tag: auth-key or SAE IDs differ, or it is forged");
    else if (err == RK_E_NOENT)
        refuse(item, RK_E_AUTH, "the auth-key file has no key for this link");
    else
        refuse(item, err, "its tag cannot be checked: %s", err == RK_E_NOMEM ? "out of memory" : "no SHA-256");
}

/* Make a record that may not pass one that says why; what passes loses its tag, and what is to be dropped its link. */
static void
verify(const struct rk_inst *inst, struct rk_item *item, int64_t now_ns)
{
    const struct rk_bind *bind = rk_bind_find(&inst->binds, item->link);
    char *bar = strrchr(item->text, '|');

    if (item->err && (item->err != RK_E_CONFLICT || bind)) {
        return;
    } else if (!bind) {
        refuse(item, RK_E_NOENT, "no link of this channel");
    } else if (item->sae[0] && strcmp(item->sae, bind->sae) != 0) {
        refuse(item, RK_E_AUTH, "from another peer than the link's");
    } else if (item->text[0] == RK_BARE_MARK) {
        verify_bare(inst, item, now_ns);
        strcpy(item->sae, bind->sae);
    } else if (!bar || bar == item->text || strlen(bar) != TAG_BYTES) {
        refuse(item, RK_E_PROTOCOL, "no record: it has no tag");
    } else {
        check_tag(inst, bind->sae, item, bar, now_ns);
        strcpy(item->sae, bind->sae);
    }
}

void
rk_watch_verify(struct rk_call *c)
{
    int64_t now_ns = rk_now_ns();
    size_t kept = 0;

    for (size_t i = 0; i < c->reply.n; i++) {
        struct rk_item *item = &c->reply.items[i];

        verify(c->inst, item, now_ns);
        if (!item->link[0] && !item->err)
            continue; /* a repeat */
        if (kept != i)
            c->reply.items[kept] = *item;
        kept++;
    }
    c->reply.n = kept;
}
