/* mix.c - a link with several sources: they are asked one after the other, and the host of the device makes one key of
 * what they gave.
 *
 * Runs in the loop.  The model asks for one key and is answered once; what comes meanwhile is taken here.  Parts are
 * descriptors of sealed memfds, as any key is in rekeyd.  A slave keeps those that it has over its tries, for its
 * sources have none of them any more; a master's are dropped with the rotation that they were for.
 */
#include "carry.h"
#include "ratchet.h"
#include "source_pool.h"

#include "../base/err.h"
#include "../base/key_parts.h"
#include "../base/log.h"
#include "../base/secret.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Key IDs that cannot go together are a mistake of the configuration: to try it again costs a key of each source. */
#define WRONG_IDS_PAUSE_NS (600 * RK_NS_PER_S)

struct mix {
    size_t n;
    bool any; /* require: any */
    struct inst *source[RK_PARTS_MAX];
    struct source_pair *pair[RK_PARTS_MAX]; /* its peer's keys at each; NULL */
    struct rk_key_parts ids; /* of the parts; of a slave's: all that the master has named */
    int fd[RK_PARTS_MAX];    /* those at hand; -1 */
    char key_id[RK_KEY_ID_MAX + 1]; /* slave: of the key that they are for */
    bool asking;                    /* until the model is answered */
    size_t first;                   /* asked first: the one that failed last, so that the others lose no key for it
                                     * when it fails again */
    size_t turn, n_asked;           /* how many were dealt with, and asked */
    unsigned n_sent;                /* parts in a MIX that is under way */
    int missed_err;                 /* require: any: why the last one that was left out gave none; RK_OK */
    char missed_why[RK_WHY_MAX];    /* the same; or why the IDs cannot go together */
    int64_t wrong_until_ns;         /* no source is asked before, for their IDs cannot */
    size_t wrong;                   /* the part that is to blame */
    int wrong_err;
};

/* ---- life ---- */

static struct inst *
source_of(const struct end *end, struct inst *const *inst, size_t i)
{
    const struct rk_link_conf *conf = end->conf;
    bool a = end->which == 'a';

    if (i == 0)
        return inst[a ? conf->source : conf->peer_source];
    return inst[a ? conf->more[i - 1] : conf->peer_more[i - 1]];
}

int
mix_setup(struct end *end, struct inst *const *inst)
{
    struct mix *m;

    if (end->conf->n_sources < 2)
        return RK_OK;
    m = calloc(1, sizeof *m);
    if (!m)
        return RK_E_NOMEM;
    m->n = end->conf->n_sources;
    m->any = end->conf->require_any;
    for (size_t i = 0; i < m->n; i++) {
        m->source[i] = source_of(end, inst, i);
        m->fd[i] = -1;
    }
    end->mix = m;
    return RK_OK;
}

bool
mix_same(const struct end *end, const struct rk_link_conf *conf, struct inst *const *inst)
{
    const struct mix *m = end->mix;

    if ((conf->n_sources < 2) != !m || (m && (m->n != conf->n_sources || m->any != conf->require_any)))
        return false;
    for (size_t i = 1; m && i < m->n; i++)
        if (m->source[i] != inst[end->which == 'a' ? conf->more[i - 1] : conf->peer_more[i - 1]])
            return false;
    return true;
}

void
mix_drop(struct end *end)
{
    struct mix *m = end->mix;

    for (size_t i = 0; m && i < m->n; i++) {
        if (m->fd[i] < 0)
            continue;
        rk_secret_fd_wipe(m->fd[i]);
        m->fd[i] = -1;
        m->source[i]->wasted++;
        end->live->e.orphaned++;
    }
    if (m)
        m->key_id[0] = '\0';
}

bool
mix_holds(const struct end *end)
{
    const struct mix *m = end->mix;
    bool any = false;

    for (size_t i = 0; m && i < m->n; i++)
        any |= m->fd[i] >= 0;
    return any;
}

void
mix_free(struct end *end)
{
    mix_drop(end);
    free(end->mix);
    end->mix = NULL;
}

/* ---- what is known of its sources ---- */

/* The model waits for the source that has failed last, and is asked first.  Where any will do it waits for none. */
static void
ask_first(struct end *end, size_t i)
{
    struct mix *m = end->mix;

    m->first = i;
    if (end->pair != m->pair[i])
        source_leave(end);
    end->pair = m->pair[i];
    end_configure(end);
}

void
mix_bind(struct end *end, struct source_pair *(*bind)(struct inst *inst, const struct end *end))
{
    struct mix *m = end->mix;

    for (size_t i = 0; m && i < m->n; i++)
        m->pair[i] = bind(m->source[i], end);
    if (m)
        ask_first(end, m->first);
}

size_t
mix_pairs(const struct end *end, struct source_pair *pair[RK_PARTS_MAX])
{
    pair[0] = end->pair;
    for (size_t i = 0; end->mix && i < end->mix->n; i++)
        pair[i] = end->mix->pair[i];
    return end->mix ? end->mix->n : 1;
}

void
mix_forget(struct end *end)
{
    if (end->mix)
        memset(end->mix->pair, 0, sizeof end->mix->pair);
}

/* ---- asking ---- */

static size_t
at(const struct mix *m)
{
    return (m->first + m->turn) % m->n;
}

static void fail(struct end *end, int err, const char *fmt, ...) RK_PRINTF(3, 4);

/* It is over: the model hears of it. */
static void
fail(struct end *end, int err, const char *fmt, ...)
{
    char text[RK_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    end->mix->asking = false;
    end_failed(end, err, text);
}

static void
fail_wrong(struct end *end)
{
    const struct mix *m = end->mix;

    end->asked = m->source[m->wrong]; /* the alarm is about that one */
    fail(end, m->wrong_err, "%s", m->missed_why);
}

/* ret: can the IDs go together; else the model has heard why not */
static bool
check_ids(struct end *end)
{
    struct mix *m = end->mix;
    char id[RK_KEY_ID_MAX + 1];
    size_t which = 0;
    int err = rk_key_parts_join(&m->ids, id, &which);
    const char *name = m->source[which]->conf->name;

    if (!err)
        return true;
    if (err == RK_E_CONFIG)
        snprintf(m->missed_why, sizeof m->missed_why, "source %s gives key IDs of %zu characters, too long beside the "
                 "others': take sources with shorter IDs, or fewer", name, strlen(m->ids.id[which]));
    else
        snprintf(m->missed_why, sizeof m->missed_why, "source %s gives key IDs with + or a leading ~, and so cannot be "
                 "one of several", name);
    m->wrong = which;
    m->wrong_err = err == RK_E_CONFIG ? err : RK_E_UNSUPPORTED;
    m->wrong_until_ns = rk_now_ns() + WRONG_IDS_PAUSE_NS;
    fail_wrong(end);
    return false;
}

static void mixed(void *arg, struct rk_reply *reply);

/* The first item says what the key is for; then the parts, in the order of the sources. */
static void
fill_call(const struct end *end, struct rk_call_msg *call)
{
    const struct mix *m = end->mix;
    struct rk_item *head = call->items;

    call->bits = end->conf->bits;
    snprintf(call->peer_sae, sizeof call->peer_sae, "%s", end->conf->peer_sae);
    snprintf(head->link, sizeof head->link, "%s", end->conf->name);
    snprintf(head->sae, sizeof head->sae, "%s", end->d->conf->sae);
    if (end->live->act == RK_ACT_GET_NEW || carry_channel(end)) { /* as a source's host is asked for the tags */
        head->seq = end->live->e.d.seq;
        head->role = end->live->e.d.role;
    }
    head->ratchet = ratchet_wants(end);
    for (size_t i = 0; i < m->n; i++) {
        struct rk_item *item = &call->items[i + 1];

        if (m->fd[i] < 0)
            continue;
        snprintf(item->key_id, sizeof item->key_id, "%s", m->ids.id[i]);
        item->fd = m->fd[i];
    }
}

static void
send_parts(struct end *end)
{
    struct mix *m = end->mix;
    struct rk_call_msg call = {.verb = RK_V_MIX, .budget_ms = RK_MIX_BUDGET_MS, .n = 1 + m->n,
                               .items = rk_items_new(1 + m->n)};
    int err = RK_E_NOMEM;

    if (call.items) {
        fill_call(end, &call);
        err = sup_call(end->device, &call, mixed, end);
    }
    for (size_t i = 0; call.items && i < m->n; i++) {
        if (!err && m->fd[i] >= 0) {
            m->n_sent++;
            m->fd[i] = -1;
        }
        call.items[i + 1].fd = -1; /* else they are here still */
    }
    free(call.items);
    if (err) {
        fail(end, err, "the parts of the key could not be sent to the host of device %s", end->device->conf->name);
    } else {
        end->busy = true; /* no source may have been asked this time: the parts were here */
        inst_hold(end->device);
    }
}

/* require: any: one that is known to give no keys now is not waited for. */
static bool
passes_over(struct end *end, size_t i)
{
    struct mix *m = end->mix;
    const struct source_pair *p = m->pair[i];
    bool shut = p && (p->gate.state == RK_GATE_SHUT || p->src->gate.state == RK_GATE_SHUT);

    if (!shut || !m->any || end->live->act != RK_ACT_GET_NEW || source_room(end, RK_V_GET_NEW, rk_now_ns()) > 0)
        return false;
    m->missed_err = p->supply.err ? p->supply.err : RK_E_BUSY;
    snprintf(m->missed_why, sizeof m->missed_why, "%s: %.120s", m->source[i]->conf->name, p->supply.why);
    return true;
}

/* The next source that is to give a part; behind the last one the key can be made. */
static void
ask_next(struct end *end)
{
    struct mix *m = end->mix;
    bool some = false;

    for (; m->turn < m->n; m->turn++) {
        size_t i = at(m);

        if (m->fd[i] >= 0 || (end->live->act == RK_ACT_GET_BY_ID && !m->ids.id[i][0]))
            continue;
        end->asked = m->source[i];
        if (passes_over(end, i))
            continue;
        m->n_asked++;
        inst_enqueue(end->asked, end);
        return;
    }
    for (size_t i = 0; i < m->n; i++)
        some |= m->fd[i] >= 0;
    if (!some)
        fail(end, m->missed_err, "%s", m->missed_why);
    else if (check_ids(end))
        send_parts(end);
}

/* One that certainly has none now is asked first: then it costs no key of another one. */
static void
choose_first(struct end *end)
{
    const struct mix *m = end->mix;

    for (size_t i = 0; i < m->n; i++)
        if (!m->source[i]->ready) {
            ask_first(end, i);
            return;
        }
}

void
mix_begin(struct end *end)
{
    struct mix *m = end->mix;
    int err = RK_OK;

    m->asking = true;
    m->turn = m->n_asked = 0;
    m->missed_err = RK_OK;
    if (end->live->act == RK_ACT_GET_NEW || strcmp(end->live->act_key, m->key_id) != 0) {
        mix_drop(end);
        memset(&m->ids, 0, sizeof m->ids);
        m->ids.n = m->n;
    }
    if (end->live->act == RK_ACT_GET_BY_ID) {
        memcpy(m->key_id, end->live->act_key, sizeof m->key_id);
        err = rk_key_parts_split(end->live->act_key, m->n, &m->ids);
    }
    choose_first(end);
    if (end->live->act == RK_ACT_GET_NEW && rk_now_ns() < m->wrong_until_ns)
        fail_wrong(end);
    else if (err)
        fail(end, err, "key ID %s does not name a part of each source", end->live->act_key);
    else if (!end->device->ready) /* it would be known only when the parts are taken */
        fail(end, RK_E_UNREACHABLE, "device %s is not ready, and its host mixes the key", end->device->conf->name);
    else
        ask_next(end);
}

/* ---- what sources answer ---- */

bool
mix_goes_on(const struct end *end)
{
    return end->mix && end->mix->asking && end->mix->n_asked > 1;
}

struct source_pair *
mix_pair(const struct end *end)
{
    const struct mix *m = end->mix;

    return m && m->asking ? m->pair[at(m)] : NULL;
}

bool
mix_request(const struct end *end, struct rk_item *item)
{
    const struct mix *m = end->mix;

    if (!m || !m->asking)
        return false;
    snprintf(item->key_id, sizeof item->key_id, "%s", end->live->act == RK_ACT_GET_BY_ID ? m->ids.id[at(m)] : "");
    return true;
}

bool
mix_took_key(struct end *end, const char *key_id)
{
    struct mix *m = end->mix;
    size_t i;

    if (!m || !m->asking || end->gone)
        return false;
    i = at(m);
    snprintf(m->ids.id[i], sizeof m->ids.id[i], "%s", key_id);
    m->fd[i] = end->key_fd;
    end->key_fd = -1;
    m->turn++;
    ask_next(end);
    return true;
}

/* A part that the peer has and this end does not: most likely the lists differ. */
static const char *
hint(const struct end *end, int err)
{
    enum rk_err_class class = rk_err_class(err);
    bool other = class == RK_CLASS_SUPPLY || class == RK_CLASS_CONFIG || class == RK_CLASS_BUG ||
                 err == RK_E_AGAIN;

    return end->live->act == RK_ACT_GET_BY_ID && other
               ? " (are sources the same list in the same order at both ends?)"
               : "";
}

bool
mix_took_failure(struct end *end, int err, const char *why)
{
    struct mix *m = end->mix;
    size_t i;

    if (!m || !m->asking || end->gone)
        return false;
    i = at(m);
    if (end->live->act == RK_ACT_GET_BY_ID || !m->any) {
        ask_first(end, i);
        fail(end, err, "part %zu of %zu, of source %s%s: %s", i + 1, m->n, m->source[i]->conf->name, hint(end, err),
             why);
        return true;
    }
    if (rk_err_class(err) == RK_CLASS_OBSERVE)
        end->live->e.orphaned++; /* asked for, perhaps taken out of the pool, never seen */
    m->missed_err = err;
    snprintf(m->missed_why, sizeof m->missed_why, "%s: %s", m->source[i]->conf->name, why);
    m->turn++;
    ask_next(end);
    return true;
}

/* ---- what the device's host answers ---- */

/* The model counts a key of its own when nobody knows what became of it. */
static unsigned
counted(const struct end *end, int err)
{
    return end->live->act == RK_ACT_GET_NEW && rk_err_class(err) == RK_CLASS_OBSERVE ? 1 : 0;
}

static void
mixed(void *arg, struct rk_reply *reply)
{
    struct end *end = arg;
    struct inst *device = end->device; /* it outlives the call, the end need not */
    struct rk_item *item = reply->n == 1 ? reply->items : NULL;

    end->mix->asking = false;
    if (!reply->err && (!item || item->fd < 0 ||
                        (end->live->act == RK_ACT_GET_BY_ID && strcmp(item->key_id, end->live->act_key) != 0))) {
        reply->err = RK_E_CONTRACT;
        snprintf(reply->text, sizeof reply->text, "the host of device %s mixed no key, or another one",
                 device->conf->name);
    }
    if (reply->err)
        end->live->e.orphaned += end->mix->n_sent - counted(end, reply->err);
    end->mix->n_sent = 0;
    if (reply->err) {
        end_failed(end, reply->err, reply->text);
    } else {
        end->key_fd = item->fd;
        item->fd = -1;
        if (!ratchet_takes(end, item))
            end_answer(end, &(struct rk_event){.type = RK_EV_KEY, .key_id = item->key_id, .mine = item->mine,
                                               .theirs = item->theirs});
    }
    inst_release(device);
}

/* ---- for people ---- */

const char *
mix_hint(const struct end *end)
{
    return !end->mix && end->live->act == RK_ACT_GET_BY_ID && rk_key_parts_likely(end->live->act_key)
               ? " (the key offered is mixed: are sources the same list at both ends?)" : "";
}

size_t
mix_sources(const struct end *end, const struct inst *source[RK_PARTS_MAX])
{
    source[0] = end->source;
    for (size_t i = 1; end->mix && i < end->mix->n; i++)
        source[i] = end->mix->source[i];
    return end->mix ? end->mix->n : 1;
}

size_t
mix_used(const struct end *end, const char *key_id, const struct inst *source[RK_PARTS_MAX])
{
    struct rk_key_parts parts;
    size_t n = 0;

    if (!end->mix || rk_key_parts_split(key_id, end->mix->n, &parts) != RK_OK)
        return 0;
    for (size_t i = 0; i < parts.n; i++)
        if (parts.id[i][0])
            source[n++] = end->mix->source[i];
    return n;
}

const struct inst *
mix_missing(const struct end *end, const char *key_id)
{
    size_t i = end->mix ? rk_key_parts_missing(key_id, end->mix->n) : 0;

    return end->mix && i < end->mix->n ? end->mix->source[i] : NULL;
}

/* "kme-a, pool-a", or "kme-a; without pool-a: it is empty". */
static void
tell(const struct end *end, const char *key_id, char *text, size_t size)
{
    const struct inst *used[RK_PARTS_MAX], *missing = mix_missing(end, key_id);
    size_t n = mix_used(end, key_id, used), len = 0;

    text[0] = '\0';
    for (size_t i = 0; i < n && len < size; i++)
        len += (size_t)snprintf(text + len, size - len, "%s%s", i ? ", " : "", used[i]->conf->name);
    if (!missing || len >= size)
        return;
    if (end->mix->missed_err)
        snprintf(text + len, size - len, "; without %s", end->mix->missed_why);
    else
        snprintf(text + len, size - len, "; without %s", missing->conf->name);
}

void
mix_note(struct end *end, const char *key_id, int64_t took_ms)
{
    struct rk_journal_event event = {.event = "mixed", .key_id = key_id, .took_ms = took_ms};
    const struct inst *used[RK_PARTS_MAX], *missing;
    char text[RK_TEXT_MAX];

    if (mix_used(end, key_id, used) == 0) /* from the fallback source */
        return;
    missing = mix_missing(end, key_id);
    tell(end, key_id, text, sizeof text);
    event.why = text;
    event.result = missing ? end->mix->missed_err : RK_OK;
    rk_log(missing ? RK_LOG_WARNING : RK_LOG_INFO, "ev=mixed link=%s end=%c seq=%llu key_id=%s note=\"%s\"",
           end->conf->name, end->which, (unsigned long long)end->live->e.d.seq, key_id, text);
    store_event(end, &event);
}
