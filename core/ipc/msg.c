/* msg.c - message codec: each message is a table of its members, walked by one writer and one reader.
 *
 * Pure but for memory and the descriptors that it moves; fuzzed by tests/fuzz/fuzz_msg.c.
 */
#include "msg.h"

#include "../base/secret.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { U32, U64, STR };

struct field {
    uint16_t tag;
    uint8_t kind;
    size_t offset, size;
};

#define F(struct_, tag_, kind_, member)                                                                                \
    {                                                                                                                  \
        tag_, kind_, offsetof(struct struct_, member), sizeof(((struct struct_ *)0)->member)                           \
    }
#define COUNT(a) (sizeof(a) / sizeof *(a))

_Static_assert(RK_FRAME_FDS >= 2 * RK_BATCH_MAX, "an item has up to two");

/* Nested values: an item, a key of an item, a setting, an option, a choice; and that an item has a descriptor. */
enum { T_ITEM = 100, T_KEY, T_SETTING, T_OPT, T_CHOICE, T_FD, T_CHAN_FD };

static const struct field item_fields[] = {
    F(rk_item, 1, U32, op),       F(rk_item, 2, U32, state),   F(rk_item, 3, U32, foreign),
    F(rk_item, 4, U32, err),      F(rk_item, 5, U64, seq),     F(rk_item, 6, STR, link),
    F(rk_item, 7, STR, iface),    F(rk_item, 8, STR, sae),     F(rk_item, 9, STR, key_id),
    F(rk_item, 10, STR, facts),   F(rk_item, 11, STR, text),   F(rk_item, 12, STR, mine),
    F(rk_item, 13, STR, theirs),  F(rk_item, 14, U32, role),
    F(rk_item, 15, U32, read),    F(rk_item, 16, STR, chassis), F(rk_item, 17, STR, port),
    F(rk_item, 18, U32, carried), F(rk_item, 30, U32, ratchet),
};

struct seen_key { /* one element of rk_item.key, which has no name of its own */
    char id[RK_KEY_ID_MAX + 1];
    uint64_t seq;
    uint32_t held;
};
_Static_assert(sizeof(struct seen_key) == sizeof(((struct rk_item *)0)->key[0]), "mirror of rk_item.key");

static const struct field key_fields[] = {
    F(seen_key, 1, STR, id), F(seen_key, 2, U64, seq), F(seen_key, 3, U32, held),
};

static const struct field call_fields[] = {
    F(rk_call_msg, 1, U32, verb), F(rk_call_msg, 2, U32, inst), F(rk_call_msg, 3, U32, budget_ms),
    F(rk_call_msg, 4, U32, bits), F(rk_call_msg, 5, STR, peer_sae), F(rk_call_msg, 6, U32, min_bits),
    F(rk_call_msg, 7, U32, fetch), F(rk_call_msg, 8, U32, apply),   F(rk_call_msg, 9, U32, read_ms),
    F(rk_call_msg, 10, U32, carries),
};

static const struct field reply_fields[] = {
    F(rk_reply, 1, U32, err), F(rk_reply, 2, U32, took_us), F(rk_reply, 3, STR, text),
    F(rk_reply, 4, U64, stored_keys), F(rk_reply, 5, U64, max_per_request),
    F(rk_reply, 6, U64, min_bits), F(rk_reply, 7, U64, max_bits),
    F(rk_reply, 40, U64, ends_unix_s), F(rk_reply, 41, STR, ends_what),
    F(rk_reply, 60, U32, wasted),
};

static const struct field step_fields[] = {
    F(rk_step, 1, U32, result), F(rk_step, 2, STR, name), F(rk_step, 3, STR, text),
};

static const struct field found_fields[] = {
    F(rk_found_msg, 1, U32, device_class), F(rk_found_msg, 2, STR, iface),      F(rk_found_msg, 3, STR, sae),
    F(rk_found_msg, 4, STR, peer_sae),     F(rk_found_msg, 5, STR, peer_iface), F(rk_found_msg, 6, STR, why),
};

static const struct field heard_fields[] = {
    F(rk_heard_msg, 1, U32, ttl_s), F(rk_heard_msg, 2, STR, iface),  F(rk_heard_msg, 3, STR, chassis),
    F(rk_heard_msg, 4, STR, port),  F(rk_heard_msg, 5, STR, system), F(rk_heard_msg, 6, STR, description),
};

static const struct field hello_fields[] = {
    F(rk_hello, 1, U32, abi), F(rk_hello, 2, U32, kind), F(rk_hello, 3, U32, caps), F(rk_hello, 4, STR, name),
    F(rk_hello, 5, STR, version), F(rk_hello, 6, STR, summary), F(rk_hello, 7, STR, error), F(rk_hello, 8, U32, ops),
    F(rk_hello, 9, U32, apply_ms),
};

static const struct field setting_fields[] = {F(rk_setting, 1, STR, name), F(rk_setting, 2, STR, value)};
static const struct field config_fields[] = {F(rk_config, 1, U32, inst)};
static const struct field ask_fields[] = {
    F(rk_ask, 1, STR, command), F(rk_ask, 2, STR, arg),   F(rk_ask, 3, U32, limit),
    F(rk_ask, 4, STR, peer),    F(rk_ask, 5, U32, fetch), F(rk_ask, 6, U32, budget_ms),
    F(rk_ask, 7, U32, apply), F(rk_ask, 8, STR, words),
};
static const struct field done_fields[] = {F(rk_done, 1, U32, exit_code), F(rk_done, 2, STR, text)};

/* Zero and "" are not sent: they are what the reader starts from. */
static void
put_fields(struct rk_tlv_w *w, const struct field *f, size_t n, const void *m)
{
    for (; n; n--, f++) {
        const char *at = (const char *)m + f->offset;
        uint64_t v64;
        uint32_t v32;

        if (f->kind == STR) {
            if (*at)
                rk_tlv_str(w, f->tag, at);
        } else if (f->kind == U32) {
            memcpy(&v32, at, sizeof v32);
            if (v32)
                rk_tlv_u32(w, f->tag, v32);
        } else {
            memcpy(&v64, at, sizeof v64);
            if (v64)
                rk_tlv_u64(w, f->tag, v64);
        }
    }
}

/* Store one value; tags that are not in the table are left out, so that a newer peer may say more. */
static bool
get_field(const struct field *f, size_t n, const struct rk_tlv *t, void *m)
{
    for (; n; n--, f++) {
        char *at = (char *)m + f->offset;
        uint64_t v64;
        uint32_t v32;

        if (f->tag != t->tag)
            continue;
        if (f->kind == STR)
            return rk_tlv_get_str(t, at, f->size);
        if (f->kind == U32) {
            if (!rk_tlv_get_u32(t, &v32))
                return false;
            memcpy(at, &v32, sizeof v32);
        } else {
            if (!rk_tlv_get_u64(t, &v64))
                return false;
            memcpy(at, &v64, sizeof v64);
        }
        return true;
    }
    return true;
}

static bool
get_fields(const struct field *f, size_t n, struct rk_tlv_r r, void *m)
{
    struct rk_tlv t;

    while (rk_tlv_next(&r, &t))
        if (!get_field(f, n, &t, m))
            return false;
    return !r.bad;
}

/* ---- frames ---- */

#define HEAD_BYTES 8 /* u32 type, u32 number */

static struct rk_tlv_w
begin(void *buf, enum rk_msg_type type, uint32_t number)
{
    uint32_t head[2] = {type, number};

    memcpy(buf, head, sizeof head);
    return (struct rk_tlv_w){buf, RK_FRAME_MAX, HEAD_BYTES, false};
}

static size_t
finish(const struct rk_tlv_w *w)
{
    return w->full ? 0 : w->len;
}

bool
rk_msg_head(const void *frame, size_t len, uint32_t *type, uint32_t *number)
{
    uint32_t head[2];

    if (len < sizeof head)
        return false;
    memcpy(head, frame, sizeof head);
    *type = head[0];
    *number = head[1];
    return true;
}

/* A reader of what follows the head; an empty one when the frame is not of this type. */
static bool
open_frame(const void *frame, size_t len, enum rk_msg_type type, uint32_t *number, struct rk_tlv_r *r)
{
    uint32_t got;

    if (!rk_msg_head(frame, len, &got, number) || got != type)
        return false;
    *r = (struct rk_tlv_r){(const unsigned char *)frame + HEAD_BYTES, (const unsigned char *)frame + len, false};
    return true;
}

static struct rk_tlv_r
inside(const struct rk_tlv *t)
{
    return (struct rk_tlv_r){t->bytes, t->bytes + t->n, false};
}

static size_t
count(struct rk_tlv_r r, uint16_t tag)
{
    struct rk_tlv t;
    size_t n = 0;

    while (rk_tlv_next(&r, &t))
        n += t.tag == tag;
    return n;
}

size_t
rk_number_put(void *buf, enum rk_msg_type type, uint32_t number)
{
    struct rk_tlv_w w = begin(buf, type, number);

    return finish(&w);
}

/* ---- items ---- */

struct rk_item *
rk_items_new(size_t n)
{
    struct rk_item *items = calloc(n ? n : 1, sizeof *items);

    for (size_t i = 0; items && i < n; i++)
        items[i].fd = items[i].chan_fd = -1;
    return items;
}

void
rk_items_free(struct rk_item *items, size_t n)
{
    for (size_t i = 0; items && i < n; i++) {
        rk_secret_fd_wipe(items[i].fd);
        rk_secret_fd_wipe(items[i].chan_fd);
    }
    free(items);
}

void
rk_items_sent(struct rk_item *items, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (items[i].fd >= 0)
            close(items[i].fd);
        if (items[i].chan_fd >= 0)
            close(items[i].chan_fd);
        items[i].fd = items[i].chan_fd = -1;
    }
}

/* Which of the frame's descriptors is the item's. */
static void
put_fd(struct rk_tlv_w *w, uint16_t tag, int fd, int *fds, size_t *n_fds)
{
    if (fd < 0)
        return;
    rk_tlv_u32(w, tag, (uint32_t)*n_fds);
    fds[(*n_fds)++] = fd;
}

static void
put_items(struct rk_tlv_w *w, const struct rk_item *items, size_t n, int *fds, size_t *n_fds)
{
    *n_fds = 0;
    if (n > RK_BATCH_MAX)
        w->full = true;
    for (size_t i = 0; i < n && !w->full; i++) {
        size_t mark = rk_tlv_begin(w, T_ITEM);

        put_fields(w, item_fields, COUNT(item_fields), &items[i]);
        for (size_t k = 0; k < RK_SEEN_KEYS; k++) {
            size_t key_mark = rk_tlv_begin(w, T_KEY);

            put_fields(w, key_fields, COUNT(key_fields), &items[i].key[k]);
            if (w->len == key_mark + 6)
                w->len = key_mark; /* an empty key says nothing */
            else
                rk_tlv_u32(w, 9, (uint32_t)k), rk_tlv_end(w, key_mark);
        }
        put_fd(w, T_FD, items[i].fd, fds, n_fds);
        put_fd(w, T_CHAN_FD, items[i].chan_fd, fds, n_fds);
        rk_tlv_end(w, mark);
    }
}

static bool
get_key(const struct rk_tlv *t, struct rk_item *item)
{
    struct seen_key key = {0};
    struct rk_tlv_r r = inside(t);
    struct rk_tlv k;
    uint32_t index = RK_SEEN_KEYS;

    if (!get_fields(key_fields, COUNT(key_fields), r, &key))
        return false;
    while (rk_tlv_next(&r, &k))
        if (k.tag == 9 && !rk_tlv_get_u32(&k, &index))
            return false;
    if (index >= RK_SEEN_KEYS)
        return false;
    memcpy(&item->key[index], &key, sizeof key);
    return true;
}

/* fds[i] becomes -1 when an item has taken it: none can be taken twice. */
static bool
get_fd(const struct rk_tlv *t, int *fd, int *fds, size_t n_fds)
{
    uint32_t index;

    if (*fd >= 0 || !rk_tlv_get_u32(t, &index) || index >= n_fds || fds[index] < 0)
        return false;
    *fd = fds[index];
    fds[index] = -1;
    return true;
}

static bool
get_item(const struct rk_tlv *in, struct rk_item *item, int *fds, size_t n_fds)
{
    struct rk_tlv_r r = inside(in);
    struct rk_tlv t;

    while (rk_tlv_next(&r, &t)) {
        if (t.tag == T_KEY) {
            if (!get_key(&t, item))
                return false;
        } else if (t.tag == T_FD) {
            if (!get_fd(&t, &item->fd, fds, n_fds))
                return false;
        } else if (t.tag == T_CHAN_FD) {
            if (!get_fd(&t, &item->chan_fd, fds, n_fds))
                return false;
        } else if (!get_field(item_fields, COUNT(item_fields), &t, item)) {
            return false;
        }
    }
    return !r.bad;
}

static int
get_items(struct rk_tlv_r r, int *fds, size_t n_fds, struct rk_item **items, size_t *n)
{
    struct rk_tlv t;
    size_t i = 0;

    *n = count(r, T_ITEM);
    *items = NULL;
    if (*n > RK_BATCH_MAX)
        return RK_E_PROTOCOL;
    *items = rk_items_new(*n);
    if (!*items)
        return RK_E_NOMEM;
    while (rk_tlv_next(&r, &t))
        if (t.tag == T_ITEM && !get_item(&t, &(*items)[i++], fds, n_fds)) {
            rk_items_free(*items, *n);
            *items = NULL;
            return RK_E_PROTOCOL;
        }
    return RK_OK;
}

static void
close_left(int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        rk_secret_fd_wipe(fds[i]);
}

/* ---- call and reply ---- */

size_t
rk_call_put(void *buf, const struct rk_call_msg *m, int *fds, size_t *n)
{
    struct rk_tlv_w w = begin(buf, RK_MSG_CALL, m->number);

    put_fields(&w, call_fields, COUNT(call_fields), m);
    put_items(&w, m->items, m->n, fds, n);
    return finish(&w);
}

int
rk_call_get(const void *frame, size_t len, int *fds, size_t n, struct rk_call_msg *m)
{
    struct rk_tlv_r r;
    int err = RK_E_PROTOCOL;

    memset(m, 0, sizeof *m);
    if (open_frame(frame, len, RK_MSG_CALL, &m->number, &r) && get_fields(call_fields, COUNT(call_fields), r, m))
        err = get_items(r, fds, n, &m->items, &m->n);
    close_left(fds, n);
    return err;
}

size_t
rk_reply_put(void *buf, const struct rk_reply *m, int *fds, size_t *n)
{
    struct rk_tlv_w w = begin(buf, RK_MSG_REPLY, m->number);

    put_fields(&w, reply_fields, COUNT(reply_fields), m);
    put_items(&w, m->items, m->n, fds, n);
    return finish(&w);
}

int
rk_reply_get(const void *frame, size_t len, int *fds, size_t n, struct rk_reply *m)
{
    struct rk_tlv_r r;
    int err = RK_E_PROTOCOL;

    memset(m, 0, sizeof *m);
    if (open_frame(frame, len, RK_MSG_REPLY, &m->number, &r) && get_fields(reply_fields, COUNT(reply_fields), r, m))
        err = get_items(r, fds, n, &m->items, &m->n);
    close_left(fds, n);
    return err;
}

/* ---- step ---- */

size_t
rk_step_put(void *buf, const struct rk_step *m)
{
    struct rk_tlv_w w = begin(buf, RK_MSG_STEP, m->number);

    put_fields(&w, step_fields, COUNT(step_fields), m);
    return finish(&w);
}

int
rk_step_get(const void *frame, size_t len, struct rk_step *m)
{
    struct rk_tlv_r r;

    memset(m, 0, sizeof *m);
    return open_frame(frame, len, RK_MSG_STEP, &m->number, &r) && get_fields(step_fields, COUNT(step_fields), r, m)
               ? RK_OK : RK_E_PROTOCOL;
}

/* ---- config ---- */

static void
put_settings(struct rk_tlv_w *w, const struct rk_setting *settings, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t mark = rk_tlv_begin(w, T_SETTING);

        put_fields(w, setting_fields, COUNT(setting_fields), &settings[i]);
        rk_tlv_end(w, mark);
    }
}

/* out: *settings, the caller's also when there are none; NULL unless RK_OK */
static int
get_settings(struct rk_tlv_r r, struct rk_setting **settings, size_t *n)
{
    struct rk_tlv t;

    *n = 0;
    *settings = calloc(count(r, T_SETTING) + 1, sizeof **settings);
    if (!*settings)
        return RK_E_NOMEM;
    while (rk_tlv_next(&r, &t))
        if (t.tag == T_SETTING &&
            !get_fields(setting_fields, COUNT(setting_fields), inside(&t), &(*settings)[(*n)++])) {
            free(*settings);
            *settings = NULL;
            *n = 0;
            return RK_E_PROTOCOL;
        }
    return RK_OK;
}

size_t
rk_config_put(void *buf, uint32_t number, const struct rk_config *m)
{
    struct rk_tlv_w w = begin(buf, RK_MSG_CONFIG, number);

    put_fields(&w, config_fields, COUNT(config_fields), m);
    put_settings(&w, m->settings, m->n);
    return finish(&w);
}

int
rk_config_get(const void *frame, size_t len, struct rk_config *m)
{
    struct rk_tlv_r r;
    uint32_t number;
    int err;

    memset(m, 0, sizeof *m);
    if (!open_frame(frame, len, RK_MSG_CONFIG, &number, &r) || !get_fields(config_fields, COUNT(config_fields), r, m))
        return RK_E_PROTOCOL;
    err = get_settings(r, &m->settings, &m->n);
    if (err)
        memset(m, 0, sizeof *m);
    return err;
}

/* ---- found ---- */

size_t
rk_found_put(void *buf, const struct rk_found_msg *m)
{
    struct rk_tlv_w w = begin(buf, RK_MSG_FOUND, m->number);

    put_fields(&w, found_fields, COUNT(found_fields), m);
    put_settings(&w, m->settings, m->n);
    return finish(&w);
}

int
rk_found_get(const void *frame, size_t len, struct rk_found_msg *m)
{
    struct rk_tlv_r r;
    int err;

    memset(m, 0, sizeof *m);
    if (!open_frame(frame, len, RK_MSG_FOUND, &m->number, &r) || !get_fields(found_fields, COUNT(found_fields), r, m))
        return RK_E_PROTOCOL;
    err = get_settings(r, &m->settings, &m->n);
    if (err)
        memset(m, 0, sizeof *m);
    return err;
}

/* ---- heard ---- */

size_t
rk_heard_put(void *buf, const struct rk_heard_msg *m)
{
    struct rk_tlv_w w = begin(buf, RK_MSG_HEARD, m->number);

    put_fields(&w, heard_fields, COUNT(heard_fields), m);
    return finish(&w);
}

int
rk_heard_get(const void *frame, size_t len, struct rk_heard_msg *m)
{
    struct rk_tlv_r r;

    memset(m, 0, sizeof *m);
    return open_frame(frame, len, RK_MSG_HEARD, &m->number, &r) && get_fields(heard_fields, COUNT(heard_fields), r, m)
               ? RK_OK : RK_E_PROTOCOL;
}

/* ---- ask, row, done ---- */

size_t
rk_ask_put(void *buf, const struct rk_ask *m)
{
    struct rk_tlv_w w = begin(buf, RK_MSG_ASK, 0);

    put_fields(&w, ask_fields, COUNT(ask_fields), m);
    return finish(&w);
}

int
rk_ask_get(const void *frame, size_t len, struct rk_ask *m)
{
    struct rk_tlv_r r;
    uint32_t number;

    memset(m, 0, sizeof *m);
    return open_frame(frame, len, RK_MSG_ASK, &number, &r) && get_fields(ask_fields, COUNT(ask_fields), r, m)
               ? RK_OK : RK_E_PROTOCOL;
}

size_t
rk_row_put(void *buf, const char *json)
{
    struct rk_tlv_w w = begin(buf, RK_MSG_ROW, 0);

    rk_tlv_str(&w, 1, json);
    return finish(&w);
}

int
rk_row_get(const void *frame, size_t len, char *json, size_t size)
{
    struct rk_tlv_r r;
    struct rk_tlv t;
    uint32_t number;

    json[0] = '\0';
    if (!open_frame(frame, len, RK_MSG_ROW, &number, &r))
        return RK_E_PROTOCOL;
    while (rk_tlv_next(&r, &t))
        if (t.tag == 1 && !rk_tlv_get_str(&t, json, size))
            return RK_E_PROTOCOL;
    return r.bad ? RK_E_PROTOCOL : RK_OK;
}

size_t
rk_done_put(void *buf, const struct rk_done *m)
{
    struct rk_tlv_w w = begin(buf, RK_MSG_DONE, 0);

    put_fields(&w, done_fields, COUNT(done_fields), m);
    return finish(&w);
}

int
rk_done_get(const void *frame, size_t len, struct rk_done *m)
{
    struct rk_tlv_r r;
    uint32_t number;

    memset(m, 0, sizeof *m);
    return open_frame(frame, len, RK_MSG_DONE, &number, &r) && get_fields(done_fields, COUNT(done_fields), r, m)
               ? RK_OK : RK_E_PROTOCOL;
}

/* ---- hello ---- */

/* An option's texts as they travel; its numbers beside them. */
struct opt_text {
    uint32_t type, flags, has_default;
    uint64_t min, max;
    char name[RK_NAME_MAX + 1], unit[RK_NAME_MAX + 1], dflt[RK_VALUE_MAX], help[RK_VALUE_MAX];
};

static const struct field opt_fields[] = {
    F(opt_text, 1, U32, type), F(opt_text, 2, U32, flags), F(opt_text, 3, U64, min),  F(opt_text, 4, U64, max),
    F(opt_text, 5, STR, name), F(opt_text, 6, STR, unit),  F(opt_text, 7, STR, dflt), F(opt_text, 8, STR, help),
    F(opt_text, 9, U32, has_default),
};

static bool
put_opt(struct rk_tlv_w *w, const struct rk_opt *o, struct opt_text *t)
{
    memset(t, 0, sizeof *t);
    t->type = o->type;
    t->flags = o->flags;
    t->min = (uint64_t)o->min;
    t->max = (uint64_t)o->max;
    t->has_default = o->dflt != NULL;
    if (strlen(o->name) >= sizeof t->name || (o->unit && strlen(o->unit) >= sizeof t->unit) ||
        (o->dflt && strlen(o->dflt) >= sizeof t->dflt) || (o->help && strlen(o->help) >= sizeof t->help))
        return false;
    strcpy(t->name, o->name);
    strcpy(t->unit, o->unit ? o->unit : "");
    strcpy(t->dflt, o->dflt ? o->dflt : "");
    strcpy(t->help, o->help ? o->help : "");
    put_fields(w, opt_fields, COUNT(opt_fields), t);
    for (size_t i = 0; o->choices && o->choices[i]; i++)
        rk_tlv_str(w, T_CHOICE, o->choices[i]);
    return true;
}

size_t
rk_hello_put(void *buf, const struct rk_hello *m)
{
    struct rk_tlv_w w = begin(buf, RK_MSG_HELLO, 0);
    struct opt_text *t = malloc(sizeof *t);
    bool ok = t != NULL && m->n_opts <= RK_OPTS_MAX;

    put_fields(&w, hello_fields, COUNT(hello_fields), m);
    for (size_t i = 0; ok && i < m->n_opts; i++) {
        size_t mark = rk_tlv_begin(&w, T_OPT);

        ok = put_opt(&w, &m->opts[i], t);
        rk_tlv_end(&w, mark);
    }
    free(t);
    return ok ? finish(&w) : 0;
}

static const char *
keep(const char *text)
{
    return text[0] ? strdup(text) : NULL;
}

static bool
get_choices(struct rk_tlv_r r, struct rk_opt *o)
{
    size_t n = count(r, T_CHOICE), i = 0;
    const char **choices;
    struct rk_tlv t;

    if (n == 0)
        return true;
    if (n > RK_CHOICES_MAX || !(choices = calloc(n + 1, sizeof *choices)))
        return false;
    o->choices = choices;
    while (rk_tlv_next(&r, &t)) {
        char text[RK_NAME_MAX + 1];

        if (t.tag == T_CHOICE && (!rk_tlv_get_str(&t, text, sizeof text) || !(choices[i++] = strdup(text))))
            return false;
    }
    return true;
}

static bool
get_opt(const struct rk_tlv *in, struct rk_opt *o, struct opt_text *t)
{
    memset(t, 0, sizeof *t);
    if (!get_fields(opt_fields, COUNT(opt_fields), inside(in), t) || !t->name[0])
        return false;
    *o = (struct rk_opt){.name = strdup(t->name), .type = t->type, .flags = t->flags, .unit = keep(t->unit),
                         .min = (int64_t)t->min, .max = (int64_t)t->max, .help = keep(t->help),
                         .dflt = t->has_default ? strdup(t->dflt) : NULL};
    return o->name && get_choices(inside(in), o);
}

void
rk_hello_free(struct rk_hello *m)
{
    for (size_t i = 0; m->opts && i < m->n_opts; i++) {
        struct rk_opt *o = &m->opts[i];

        for (size_t c = 0; o->choices && o->choices[c]; c++)
            free((void *)(size_t)o->choices[c]);
        free((void *)(size_t)o->choices);
        free((void *)(size_t)o->name);
        free((void *)(size_t)o->unit);
        free((void *)(size_t)o->dflt);
        free((void *)(size_t)o->help);
    }
    free(m->opts);
    m->opts = NULL;
    m->n_opts = 0;
}

int
rk_hello_get(const void *frame, size_t len, struct rk_hello *m)
{
    struct rk_tlv_r r;
    struct rk_tlv t;
    struct opt_text *text;
    uint32_t number;
    bool ok = true;

    memset(m, 0, sizeof *m);
    if (!open_frame(frame, len, RK_MSG_HELLO, &number, &r) || !get_fields(hello_fields, COUNT(hello_fields), r, m) ||
        count(r, T_OPT) > RK_OPTS_MAX)
        return RK_E_PROTOCOL;
    text = malloc(sizeof *text);
    m->opts = calloc(count(r, T_OPT) + 1, sizeof *m->opts);
    if (!text || !m->opts) {
        free(text);
        rk_hello_free(m);
        return RK_E_NOMEM;
    }
    while (ok && rk_tlv_next(&r, &t))
        if (t.tag == T_OPT)
            ok = get_opt(&t, &m->opts[m->n_opts++], text);
    free(text);
    if (!ok)
        rk_hello_free(m);
    return ok ? RK_OK : RK_E_PROTOCOL;
}
