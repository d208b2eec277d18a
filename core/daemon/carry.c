/* carry.c - records out through the device: signed and made a text in the channel's host, shown by the device.
 *
 * Runs in the loop.  On a router each text is a commit, so it goes with a change of the device that is made anyway,
 * with the one that it tells of when that is possible, and all that wait go together.  What is shown already is not
 * shown again.
 */
#include "carry.h"
#include "ratchet.h"

#include "../base/err.h"
#include "../base/log.h"
#include "../base/text.h"
#include "../model/skew.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAUSE_MIN_MS 250 /* after a text that could not be shown */
#define PAUSE_MAX_MS 30000
#define LEAVE_TRIES 8 /* to take away what a link has shown that is not there any more: for about half a minute */

/* A record that is to be encoded; its end is held. */
struct encoding {
    struct encoding *next;
    struct end *end;
    bool ahead;
    struct rk_record record;
};

struct encodings { /* one call */
    struct inst *channel;
    size_t n;
    struct encoding *of[RK_BATCH_MAX];
};

struct carry_load {
    struct inst *device;
    size_t n;
    struct {
        struct end *end; /* held */
        char *text;
        struct rk_record record;
    } of[RK_BATCH_MAX];
};

/* ---- ends and instances ---- */

/* What a device shows is one text: the first channel that can be carried is.  Not on an interface above another one of
 * a host, as macsec0@eth1: there LLDP goes on the one below, which is lldpd's. */
struct path *
carry_path(const struct end *end)
{
    struct path *p = end->paths;

    if (!p || !inst_offers(end->device, RK_OFFERS_NEIGHBOURS) || strchr(end_iface(end), '@'))
        return NULL;
    while (p && !inst_offers(p->channel, RK_OFFERS_ENCODE))
        p = p->next;
    return p;
}

struct inst *
carry_channel(const struct end *end)
{
    const struct path *p = carry_path(end);

    return p ? p->channel : NULL;
}

static void
hold(struct end *end)
{
    end->carrying++;
}

static void
let_go(struct end *end)
{
    end->carrying--;
    end_release(end);
}

static void
on_wake(struct daemon *d, struct wake *w)
{
    struct carry *c = (struct carry *)w;

    (void)d;
    if (!c->inst->gone)
        inst_mark(c->inst);
}

static struct carry *
carry_of(struct inst *inst)
{
    struct carry *c = inst->carry ? inst->carry : calloc(1, sizeof *c);

    if (!c || inst->carry)
        return c;
    c->wake.fn = on_wake;
    c->inst = inst;
    c->last = &c->to_encode;
    return inst->carry = c;
}

/* A text takes the place of the one that waits. */
static void
set_text(struct carried *c, char *text)
{
    struct carry *device = c->end->device->carry;

    device->n_waiting += (text != NULL) - (c->text != NULL);
    free(c->text);
    c->text = text;
}

static void
unlink_carried(struct carried *c)
{
    struct carried **at = &c->end->device->carry->first;

    set_text(c, NULL);
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
}

/* After each failure twice as long. */
static int64_t
pause_ns(struct carried *c)
{
    int64_t ms = PAUSE_MIN_MS;

    for (unsigned i = 0; i < c->failures && ms < PAUSE_MAX_MS; i++)
        ms *= 2;
    c->failures++;
    return (ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS) * RK_NS_PER_MS;
}

/* ---- of a link that goes ---- */

/* Nobody waits for it any more; c is freed, unless it is in a call. */
static void
left(struct carried *c)
{
    unlink_carried(c);
    let_go(c->end);
}

/* What is shown stays otherwise until a person takes it away, and the peer goes on reading it.  With the device's next
 * change, or soon alone.   ret: it will be */
static bool
leave(struct carried *c)
{
    struct inst *device = c->end->device;
    char *nothing = device->gone || device->d->stopping ? NULL : strdup("");

    if (!nothing)
        return false;
    c->leaves = true;
    c->failures = 0;
    c->show_at_ns = rk_now_ns();
    set_text(c, nothing);
    hold(c->end);
    inst_mark(device);
    return true;
}

/* A call of it has come back, maybe one from before it left. */
static void
landed_last(struct carried *c, bool last, int err, const char *why)
{
    enum rk_err_class class = rk_err_class(err);
    const struct end *end = c->end;
    bool again = class == RK_CLASS_RETRY || class == RK_CLASS_OBSERVE || class == RK_CLASS_SUPPLY;

    if (!c->leaves || !last)
        return;
    again = again && c->failures < LEAVE_TRIES && !end->device->gone;
    if (again) {
        c->show_at_ns = rk_now_ns() + pause_ns(c);
        set_text(c, strdup(""));
    }
    if (c->text)
        return;
    rk_log(err ? RK_LOG_WARNING : RK_LOG_INFO, "ev=describe link=%s device=%s interface=%s res=%s note=\"%s\"%s%.*s%s",
           end->conf->name, end->device->conf->name, end_iface(end), rk_err_name(err),
           err ? "the last record of the link that was removed stays in the description" : "taken away with the link",
           err ? " why=\"" : "", RK_WHY_MAX, err ? why : "", err ? "\"" : "");
    left(c);
}

/* An interface that has another link now shows that one's records. */
static void
forget_left(struct carry *device, const char *iface)
{
    for (struct carried *c = device->first, *next; c; c = next) {
        next = c->next;
        if (c->leaves && !c->showing && (!iface || strcmp(end_iface(c->end), iface) == 0))
            left(c);
    }
}

static struct carried *
carried_of(struct end *end)
{
    struct carry *c = carry_of(end->device);
    struct carried *new;

    if (end->carried || !c || !(new = calloc(1, sizeof *new)))
        return end->carried;
    forget_left(c, end_iface(end));
    new->end = end;
    new->next = c->first;
    c->first = new;
    rk_log(RK_LOG_INFO, "ev=carried link=%s channel=%s device=%s interface=%s", end->conf->name,
           carry_channel(end)->conf->name, end->device->conf->name, end_iface(end));
    return end->carried = new;
}

static void
set_ahead(struct carried *c, char *text)
{
    free(c->ahead);
    c->ahead = text;
}

static void
set_shown(struct carried *c, char *text)
{
    free(c->shown);
    c->shown = text;
}

void
carry_retire(struct end *end)
{
    struct carried *c = end->carried;

    if (c && !leave(c))
        unlink_carried(c);
}

void
carry_free(struct end *end)
{
    struct carried *c = end->carried;

    if (!c)
        return;
    free(c->text);
    free(c->ahead);
    free(c->shown);
    free(c->heard);
    free(c);
}

void
carry_inst_free(struct inst *inst)
{
    struct carry *c = inst->carry;

    if (!c)
        return;
    wake_off(inst->d, &c->wake);
    free(c);
}

int64_t
carry_period_ns(const struct end *end)
{
    int64_t quarter_ns = end->conf->interval_ms * RK_NS_PER_MS / 4, verify_ns = end->conf->verify_ms * RK_NS_PER_MS;

    return quarter_ns < verify_ns ? quarter_ns : verify_ns;
}

/* ---- what is to be shown ---- */

static bool
may_show(const struct carried *c, int64_t now_ns)
{
    return c->text && !c->showing && c->show_at_ns <= now_ns;
}

void
carry_wake(struct carry *device)
{
    int64_t at_ns = RK_NEVER, now_ns = rk_now_ns();

    for (const struct carried *c = device->first; c; c = c->next) {
        if (c->text && c->show_at_ns > now_ns && c->show_at_ns < at_ns)
            at_ns = c->show_at_ns;
        if (c->hear_at_ns > now_ns && c->hear_at_ns < at_ns)
            at_ns = c->hear_at_ns;
    }
    if (at_ns != RK_NEVER)
        wake_at(device->inst->d, &device->wake, at_ns);
}

/* The path tells it, and has it tried again with the next record. */
static void
failed(struct carried *c, int err, const char *why)
{
    const struct end *end = c->end;
    struct path *path = carry_path(end);

    if (c->err != err)
        rk_log(RK_LOG_WARNING, "ev=describe link=%s device=%s interface=%s res=%s why=\"%.*s\"%s", end->conf->name,
               end->device->conf->name, end_iface(end), rk_err_name(err), RK_WHY_MAX, why,
               rk_err_class(err) == RK_CLASS_CONFIG
                   ? " do=\"shorten the interface's description, the link's name or the key IDs\"" : "");
    c->err = err;
    if (path)
        path_failed(path, false, err, why);
}

static void
worked(struct carried *c)
{
    struct path *path = carry_path(c->end);

    c->err = RK_OK;
    c->failures = 0;
    if (path)
        path_works(path);
}

/* The end is live: it has just said this. */
static void
encoded(struct carried *c, const struct rk_record *record, const char *text)
{
    struct end *end = c->end;
    int64_t show_at_ns = rk_now_ns();
    char *copy;

    if (c->shown && strcmp(c->shown, text) == 0) { /* what is in a call is something else, or it would not be shown */
        c->said = *record;
        set_text(c, NULL);
        return;
    }
    copy = strdup(text);
    if (!copy)
        return; /* as if it were lost: it is said again */
    if (c->shown && end->live && rk_end_word_waits(&end->live->e))
        show_at_ns += carry_period_ns(end);
    if (!c->failures && (!c->text || c->show_at_ns > show_at_ns))
        c->show_at_ns = show_at_ns; /* one that waits already waits no longer for this */
    set_text(c, copy);
    c->waits = *record;
    inst_mark(end->device);
}

/* ---- encoding ---- */

static void
stage(struct end *end)
{
    if (end->gone)
        end_failed(end, RK_E_CANCELED, "the link is not in the configuration any more");
    else
        inst_enqueue(end->device, end);
}

static void
encoding_over(struct encoding *e, int err, const char *text)
{
    struct carried *c = e->end->carried;

    if (c->queued == e)
        c->queued = NULL;
    if (err && !e->end->gone)
        failed(c, err, text);
    if (e->ahead) {
        set_ahead(c, err ? NULL : strdup(text));
        c->later = e->record;
        stage(e->end);
    } else if (!err && !e->end->gone) {
        encoded(c, &e->record, text);
    }
    let_go(e->end);
    free(e);
}

static void
encoded_all(void *arg, struct rk_reply *reply)
{
    struct encodings *all = arg;
    bool match = reply->n == all->n;

    for (size_t i = 0; i < all->n; i++) {
        if (reply->err || !match)
            encoding_over(all->of[i], reply->err ? reply->err : RK_E_CONTRACT,
                          reply->err ? reply->text : "the host answered with the wrong number of results");
        else
            encoding_over(all->of[i], reply->items[i].err, reply->items[i].text);
    }
    free(all);
}

static struct encoding *
pop(struct carry *c)
{
    struct encoding *e = c->to_encode;

    c->to_encode = e->next;
    if (!c->to_encode)
        c->last = &c->to_encode;
    if (e->end->carried->queued == e)
        e->end->carried->queued = NULL;
    return e;
}

/* Does it say what is shown already: times alone are no reason for another commit, they come with the next word. */
static bool
is_shown(const struct carried *c, const struct rk_record *record)
{
    return c->shown && rk_record_same(record, &c->said);
}

/* What is shown and can be checked by the peer is not signed anew by another key: that would be a commit. */
static void
sign(struct carried *c, const struct rk_record *record, struct rk_item *item)
{
    if (is_shown(c, record) && ratchet_still_signs(c->end, c->by))
        (void)rk_copy(item->key_id, sizeof item->key_id, c->by);
    else
        ratchet_sign(c->end, item);
    (void)rk_copy(c->by, sizeof c->by, item->key_id);
}

/* Of one whose end goes, nobody wants to know; but the STAGE that waits for it must not be forgotten. */
static void
fill(struct carry *c, struct encodings *all, struct rk_item *items)
{
    while (c->to_encode && all->n < RK_BATCH_MAX) {
        struct encoding *e = pop(c);
        struct rk_item *item = &items[all->n];

        if (e->end->gone || !rk_record_put(&e->record, item->text)) {
            encoding_over(e, RK_E_UNSUPPORTED, "the record is too long");
            continue;
        }
        snprintf(item->link, sizeof item->link, "%s", e->end->conf->name);
        snprintf(item->sae, sizeof item->sae, "%s", e->end->conf->peer_sae);
        sign(e->end->carried, &e->record, item);
        all->of[all->n++] = e;
    }
}

static void
encode_batch(struct carry *c)
{
    struct rk_call_msg m = {.verb = RK_V_ENCODE, .budget_ms = RK_CODE_BUDGET_MS, .items = rk_items_new(RK_BATCH_MAX)};
    struct encodings *all = calloc(1, sizeof *all);
    int err = RK_E_NOMEM;

    if (all && m.items) {
        all->channel = c->inst;
        fill(c, all, m.items);
        m.n = all->n;
        err = m.n ? sup_call(c->inst, &m, encoded_all, all) : RK_OK;
        for (size_t i = 0; err && i < all->n; i++)
            encoding_over(all->of[i], err, "the call could not be sent to the plugin's host");
    } else {
        encoding_over(pop(c), err, "out of memory");
    }
    rk_items_free(m.items, RK_BATCH_MAX);
    if (err || m.n == 0)
        free(all);
}

/* Without its host nothing is encoded: what is to be staged is staged, and the rest is said again when it is there. */
static void
give_up(struct carry *c)
{
    while (c->to_encode)
        encoding_over(pop(c), RK_E_UNREACHABLE, "the channel is not ready");
}

void
carry_drop(struct inst *inst)
{
    if (!inst->carry)
        return;
    give_up(inst->carry);
    if (inst->gone)
        forget_left(inst->carry, NULL);
}

static struct encoding *
encode(struct end *end, struct inst *channel, const struct rk_record *record, bool ahead)
{
    struct carry *c = carry_of(channel);
    struct encoding *e = c ? calloc(1, sizeof *e) : NULL;

    if (!e)
        return NULL;
    *e = (struct encoding){.end = end, .ahead = ahead, .record = *record};
    hold(end);
    *c->last = e;
    c->last = &e->next;
    inst_mark(channel);
    return e;
}

void
carry_publish(struct end *end)
{
    struct inst *channel = carry_channel(end);
    struct carried *c = carried_of(end);
    struct rk_record record;
    const struct rk_record *say = &record;

    if (!c || rk_record_get(end->record, &record) != RK_OK)
        return; /* no memory, as if it were lost: it is said again */
    c->awaits = end->live && rk_end_awaits(&end->live->e);
    if (is_shown(c, &record))
        say = &c->said; /* but for the device's clock, and times */
    else
        carry_stir(c);
    if (c->queued)
        c->queued->record = *say;
    else
        c->queued = encode(end, channel, say, false);
    inst_mark(end->device);
}

bool
carry_ahead(struct end *end)
{
    const struct path *path = carry_path(end);
    struct inst *channel = path ? path->channel : NULL;
    struct rk_record record;

    if (!channel || !channel->ready || !path->attached || !rk_end_record_ahead(&end->live->e, &record) ||
        !carried_of(end))
        return false;
    set_ahead(end->carried, NULL);
    if (!encode(end, channel, &record, true))
        return false;
    end->busy = true;
    return true;
}

/* ---- showing ---- */

bool
carry_has_ahead(const struct end *end)
{
    return end->carried && end->carried->ahead && end->live->act == RK_ACT_STAGE;
}

static void
add(struct carry_load *l, struct carried *c, char *text, const struct rk_record *record, struct rk_item *item)
{
    item->op = RK_OP_DESCRIBE;
    rk_copy(item->link, sizeof item->link, c->end->conf->name);
    rk_copy(item->iface, sizeof item->iface, end_iface(c->end));
    rk_copy(item->text, sizeof item->text, text);
    c->showing = true;
    hold(c->end);
    l->of[l->n].end = c->end;
    l->of[l->n].text = text;
    l->of[l->n++].record = *record;
}

/* Of an end that is staged: what it says then, in place of what it says now. */
static void
load_ahead(struct carry_load *l, struct end *end, struct rk_call_msg *m)
{
    struct carried *c = end->carried;

    if (!carry_has_ahead(end))
        return;
    if (m->n == RK_BATCH_MAX || c->showing) { /* afterwards, then */
        set_ahead(c, NULL);
        return;
    }
    set_text(c, NULL);
    add(l, c, c->ahead, &c->later, &m->items[m->n++]);
    c->ahead = NULL;
}

static void
load_waiting(struct carry_load *l, struct carry *device, struct rk_call_msg *m)
{
    for (struct carried *c = device->first; c && device->n_waiting && m->n < RK_BATCH_MAX; c = c->next) {
        if (!c->text || c->showing || (c->failures && c->show_at_ns > rk_now_ns()))
            continue;
        add(l, c, c->text, &c->waits, &m->items[m->n++]);
        c->text = NULL;
        device->n_waiting--;
    }
}

struct carry_load *
carry_load(struct inst *device, struct end *const *ends, struct rk_call_msg *m)
{
    struct carry *c = device->carry;
    struct carry_load *l = c ? calloc(1, sizeof *l) : NULL;

    if (!l)
        return NULL;
    l->device = device;
    for (size_t i = 0, n = m->n; i < n; i++)
        load_ahead(l, ends[i], m);
    load_waiting(l, c, m);
    if (l->n)
        return l;
    free(l);
    return NULL;
}

size_t
carry_loaded(const struct carry_load *l)
{
    return l ? l->n : 0;
}

/* It is shown now, or nobody knows, or it goes again: when nothing newer waits. */
static void
landed_one(struct carried *c, char *text, const struct rk_record *record, int err, const char *why)
{
    enum rk_err_class class = rk_err_class(err);

    c->showing = false;
    if (c->end->gone) {
        landed_last(c, !text[0], err, why);
        free(text);
        return;
    }
    if (!err) {
        set_shown(c, text);
        c->said = *record;
        worked(c);
        carry_stir(c);
        if (c->text && strcmp(c->text, c->shown) == 0)
            set_text(c, NULL);
        return;
    }
    failed(c, err, why);
    if (class == RK_CLASS_OBSERVE || class == RK_CLASS_BUG)
        set_shown(c, NULL);
    c->show_at_ns = rk_now_ns() + pause_ns(c);
    if (c->text) {
        free(text);
        return;
    }
    set_text(c, text);
    c->waits = *record;
}

void
carry_landed(struct carry_load *l, const struct rk_item *items, int err, const char *why)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->n; i++) {
        landed_one(l->of[i].end->carried, l->of[i].text, &l->of[i].record, items ? items[i].err : err,
                   items ? items[i].text : why);
        let_go(l->of[i].end);
    }
    if (!l->device->gone)
        inst_mark(l->device);
    free(l);
}

static void
shown(void *arg, struct rk_reply *reply)
{
    struct carry_load *l = arg;
    struct inst *device = l->device;
    bool match = reply->n == l->n;
    int err = reply->err ? reply->err : match ? RK_OK : RK_E_UNKNOWN;

    device->in_flight--;
    carry_landed(l, err ? NULL : reply->items, err,
                 reply->err ? reply->text : "the host gave the wrong number of results");
    inst_release(device);
}

/* A change that waits for the device takes all along. */
static bool
change_waits(const struct inst *inst)
{
    for (const struct end *end = inst->queue.first; end; end = end->live->next_queue)
        if (!end->gone && end->live->act != RK_ACT_OBSERVE)
            return true;
    return false;
}

static void
show_alone(struct inst *inst)
{
    const struct rk_conf_set *set = inst->d->conf;
    struct rk_call_msg m = {.verb = RK_V_APPLY, .items = rk_items_new(RK_BATCH_MAX),
                            .budget_ms = (uint32_t)rk_conf_apply_ms(set, inst->conf, inst->host->hello.apply_ms)};
    struct carry_load *l = m.items ? carry_load(inst, NULL, &m) : NULL;
    int err = l ? sup_call(inst, &m, shown, l) : RK_E_NOMEM;

    rk_items_free(m.items, RK_BATCH_MAX);
    if (err) {
        carry_landed(l, NULL, err, "the call could not be sent to the plugin's host");
        return;
    }
    inst->in_flight++;
    inst_hold(inst);
}

static bool
any_may_show(const struct carry *device, int64_t now_ns)
{
    const struct carried *c = device->n_waiting ? device->first : NULL;

    while (c && !may_show(c, now_ns))
        c = c->next;
    return c != NULL;
}

void
carry_dispatch(struct inst *inst)
{
    struct carry *c = inst->carry;
    int64_t now_ns = rk_now_ns();

    if (!c)
        return;
    if (inst->conf->kind == RK_CHANNEL) {
        if (!inst->ready)
            give_up(c);
        while (c->to_encode)
            encode_batch(c);
        return;
    }
    if (!inst->d->stopping)
        carry_look(c, now_ns);
    if (inst->in_flight == 0 && !inst->errands && any_may_show(c, now_ns) && !change_waits(inst))
        show_alone(inst);
    carry_wake(c);
}

void
carry_ready(struct inst *inst)
{
    for (struct carried *c = inst->carry ? inst->carry->first : NULL; c; c = c->next) {
        if (!c->text && !c->showing && c->shown) {
            set_text(c, c->shown);
            c->waits = c->said;
            c->shown = NULL;
        }
        set_shown(c, NULL);
        c->show_at_ns = 0;
        c->hear_at_ns = 0;
    }
    if (inst->carry)
        inst_mark(inst);
}

void
carry_explain(const struct end *end, char *text, size_t size)
{
    size_t len = strlen(text);

    if (end->carried && carry_path(end) && len < size)
        snprintf(text + len, size - len, "%sIts records are carried by device %s, in the description of interface %s.",
                 len ? " " : "", end->device->conf->name, end_iface(end));
}
