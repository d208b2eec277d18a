/* mix.c - mixed keys: never by XOR, always by HKDF over all of their parts with their lengths. */
#include "mix.h"

#include "kdf.h"
#include "ratchet.h"

#include "../base/text.h"

#include <string.h>

#define SALT "rekey mixed key"
#define LABEL "rekey mix v1"
#define INFO_MAX (sizeof LABEL - 1 + 4 + RK_LINK_MAX + 2 * (4 + RK_SAE_MAX) + 4 + RK_KEY_ID_MAX + 4)

struct writer {
    unsigned char *at, *end;
};

static void
put_number(struct writer *w, size_t v, size_t n_bytes)
{
    while (n_bytes-- && w->at < w->end)
        *w->at++ = (unsigned char)(v >> 8 * n_bytes);
}

static void
put_bytes(struct writer *w, const void *bytes, size_t n)
{
    if (n > (size_t)(w->end - w->at))
        n = (size_t)(w->end - w->at);
    memcpy(w->at, bytes, n);
    w->at += n;
}

static void
put_text(struct writer *w, const char *text)
{
    put_number(w, strlen(text), 4);
    put_bytes(w, text, strlen(text));
}

/* ---- the key that is derived from: all parts, one behind the other ---- */

static size_t
ikm_length(const struct rk_mix *mix)
{
    size_t len = 0;

    for (size_t i = 0; i < mix->ids.n; i++)
        if (mix->part[i])
            len += 2 + 4 + strlen(mix->ids.id[i]) + 4 + rk_secret_len(mix->part[i]);
    return len;
}

static int
put_key(const unsigned char *bytes, size_t len, void *arg)
{
    put_number(arg, len, 4);
    put_bytes(arg, bytes, len);
    return RK_OK;
}

static int
put_parts(unsigned char *bytes, size_t len, void *arg)
{
    const struct rk_mix *mix = arg;
    struct writer w = {bytes, bytes + len};

    for (size_t i = 0; i < mix->ids.n; i++) {
        if (!mix->part[i])
            continue;
        put_number(&w, i, 2);
        put_text(&w, mix->ids.id[i]);
        rk_secret_use(mix->part[i], put_key, &w);
    }
    return w.at == w.end ? RK_OK : RK_E_CONTRACT;
}

int
rk_mix_keys(const struct rk_mix *mix, char *id, struct rk_secret **out)
{
    unsigned char info[INFO_MAX];
    struct writer w = {info, info + sizeof info};
    bool in_order = strcmp(mix->sae, mix->other_sae) <= 0;
    struct rk_secret *ikm = NULL;
    int err = rk_key_parts_join(&mix->ids, id, NULL);

    *out = NULL;
    for (size_t i = 0; !err && i < mix->ids.n; i++)
        if (!mix->ids.id[i][0] != !mix->part[i])
            err = RK_E_CONTRACT;
    if (err)
        return err;
    put_bytes(&w, LABEL, sizeof LABEL - 1);
    put_text(&w, mix->link);
    put_text(&w, in_order ? mix->sae : mix->other_sae);
    put_text(&w, in_order ? mix->other_sae : mix->sae);
    put_text(&w, id);
    put_number(&w, mix->bits, 4);
    err = rk_secret_new(ikm_length(mix), put_parts, (void *)(size_t)mix, &ikm);
    if (!err)
        err = rk_kdf_salted(ikm, &(struct rk_kdf_label){SALT, info, (size_t)(w.at - info)}, mix->bits / 8, out);
    rk_secret_free(&ikm);
    return err;
}

/* ---- the verb ---- */

const char *
rk_mix_wrong(const struct rk_call *c)
{
    const struct rk_item *head = c->msg.items;

    if (c->msg.n < 3 || c->msg.n > 1 + RK_PARTS_MAX)
        return "not 2 or 3 parts";
    if (head->fd >= 0 || !rk_name_ok(head->link, RK_LINK_MAX) || !head->sae[0] || !c->msg.peer_sae[0] || head->role > 2)
        return "no link, or not both SAE IDs";
    for (size_t i = 1; i < c->msg.n; i++)
        if ((c->msg.items[i].fd >= 0) != (c->msg.items[i].key_id[0] != '\0'))
            return "a part without its key ID, or without its key";
    return NULL;
}

static int
take_parts(struct rk_call *c, struct rk_mix *mix, struct rk_secret *part[RK_PARTS_MAX])
{
    int err = RK_OK;

    mix->ids.n = c->msg.n - 1;
    for (size_t i = 0; !err && i < mix->ids.n; i++) {
        struct rk_item *in = &c->msg.items[i + 1];

        strcpy(mix->ids.id[i], in->key_id);
        if (in->fd < 0)
            continue;
        err = rk_secret_receive(in->fd, &part[i]);
        in->fd = -1;
        mix->part[i] = part[i];
    }
    return err;
}

static int
give(struct rk_call *c, const struct rk_mix *mix)
{
    const struct rk_item *head = c->msg.items;
    struct rk_item *out = c->reply.items;
    struct rk_secret *key = NULL;
    int err = rk_mix_keys(mix, out->key_id, &key);

    if (!err && head->role)
        err = rk_kdf_confirms(key, &(struct rk_confirm_of){head->link, out->key_id, head->seq, head->role},
                              (struct rk_confirm){out->mine, out->theirs});
    if (!err)
        err = rk_ratchet_derive(head, key, out->key_id, out);
    if (!err) {
        out->fd = rk_secret_send(&key);
        err = out->fd < 0 ? RK_E_NOMEM : RK_OK;
    }
    rk_secret_free(&key);
    return err;
}

void
rk_run_mix(struct rk_call *c)
{
    struct rk_mix mix = {.link = c->msg.items->link, .sae = c->msg.items->sae, .other_sae = c->msg.peer_sae,
                         .bits = c->msg.bits};
    struct rk_secret *part[RK_PARTS_MAX] = {NULL};
    int err = take_parts(c, &mix, part);

    c->reply.items = rk_items_new(1);
    c->reply.n = c->reply.items ? 1 : 0;
    if (!err)
        err = c->reply.items ? give(c, &mix) : RK_E_NOMEM;
    for (size_t i = 0; i < RK_PARTS_MAX; i++)
        rk_secret_free(&part[i]);
    if (err) {
        rk_items_free(c->reply.items, c->reply.n);
        c->reply.items = NULL;
        c->reply.n = 0;
        rk_call_refuse(c, err, "%s: the parts of its key cannot be mixed", c->msg.items->link);
    }
}
