/* end_run.c - one end of a link, at work: carries out what the model asks for and tells it the outcome.
 *
 * Runs in the loop.  The candidate's key is here only as the descriptor of a sealed memfd, between the source's answer
 * and the device's call.
 */
#include "carry.h"
#include "path.h"
#include "ratchet.h"
#include "reading.h"
#include "source_pool.h"

#include "../base/err.h"
#include "../base/log.h"
#include "../base/secret.h"
#include "../model/end_class.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- life ---- */

/* Of an end that is gone, when there was no memory to keep what it had: only the log asks for it then. */
static const struct rk_link_conf unknown = {.name = "?", .peer_sae = "", .iface = "", .peer_iface = "",
                                            .peer_chassis = "", .peer_port = ""};

static const enum rk_stale policies[] = {[RK_ON_STALE_HOLD] = RK_STALE_HOLD,
                                         [RK_ON_STALE_FALLBACK] = RK_STALE_FALLBACK,
                                         [RK_ON_STALE_SHUT] = RK_STALE_SHUT};

/* A timer that comes too early costs less than to move it with every step of a rotation. */
static void
set_timer(struct end *end)
{
    const struct rk_timer *t = &end->wake.timer;
    int64_t wake_ns = end->live->e.wake_ns;

    if (wake_ns != RK_NEVER && (!t->pos || t->at_ns > wake_ns))
        wake_at(end->d, &end->wake, wake_ns);
}

static void
tick(struct daemon *d, struct wake *w)
{
    struct end *end = (struct end *)w;

    (void)d;
    if (!end->live || rk_now_ns() >= end->live->e.wake_ns)
        end_event(end, &(struct rk_event){.type = RK_EV_TICK});
    else
        set_timer(end);
}

struct end *
end_new(struct daemon *d, const struct rk_link_conf *conf, const struct rk_durable *durable)
{
    struct end *end = calloc(1, sizeof *end);

    if (!end)
        return NULL;
    end->live = live_new();
    if (!end->live) {
        free(end);
        return NULL;
    }
    end->wake.fn = tick;
    end->d = d;
    end->key_fd = -1;
    end->which = durable->end;
    end->master = durable->role == RK_MASTER;
    rk_end_init(&end->live->e, durable);
    end_conf(end, conf);
    return end;
}

/* All of the model's configuration that can be had again at any time: it is not kept of an end at rest.  A local link
 * has its roles by its ends, so that there is nothing to compare. */
void
end_configure(struct end *end)
{
    const struct rk_link_conf *conf = end->conf;
    struct rk_end *e = end->live ? &end->live->e : NULL;

    if (!e)
        return;
    e->own_sae = end->channel ? end->d->sae : "";
    e->peer_sae = end->channel ? conf->peer_sae : "";
    e->interval_ns = conf->interval_ms * RK_NS_PER_MS;
    e->drain_ns = conf->drain_ms * RK_NS_PER_MS;
    e->verify_ns = conf->verify_ms * RK_NS_PER_MS;
    e->lead_ns = conf->start_lead_ms * RK_NS_PER_MS;
    e->shut_after_ns = conf->shut_after_ms * RK_NS_PER_MS;
    e->slot = end->slot;
    e->on_stale = policies[conf->on_stale];
    e->has_fallback = conf->on_stale == RK_ON_STALE_FALLBACK;
    e->priority = conf->priority;
    e->stretch_max = conf->stretch_max;
    e->n_sources = end->mix ? conf->n_sources : 0;
    e->require_any = end->mix && conf->require_any;
    e->supply = end->pair && !e->require_any ? &end->pair->supply : NULL; /* where any will do it waits for none */
}

/* Its configuration is here from now on. */
void
end_conf(struct end *end, const struct rk_link_conf *conf)
{
    end->conf = conf;
    end_configure(end);
}

const char *
end_iface(const struct end *end)
{
    return end->which == 'a' ? end->conf->iface : end->conf->peer_iface;
}

const char *
end_peer_sae(const struct end *end)
{
    bool second = !end->channel && end->which == 'b';

    return second ? end->d->conf->sae : end->conf->peer_sae;
}

void
end_start(struct end *end)
{
    end->started = true;
    end_configure(end);
    end_event(end, &(struct rk_event){.type = RK_EV_START});
}

void
end_free(struct end *end)
{
    mix_free(end);
    ratchet_free(end);
    live_free(end->live);
    rest_free(end->rest);
    free(end->act_terms);
    carry_free(end);
    free(end->record);
    free(end->inbox);
    path_drop_all(end);
    free(end);
}

/* Free an end that is not in the configuration any more, as soon as nothing refers to it. */
void
end_release(struct end *end)
{
    const struct live *live = end->live;

    if (!end->gone || end->busy || end->inbox_due || end->carrying ||
        (live && (live->act == RK_ACT_JOURNAL || live->may_rest)))
        return;
    if (end->conf != &unknown)
        free((void *)(size_t)end->conf);
    end_free(end);
}

/* The configuration will be freed before the end is. */
static void
keep_conf(struct end *end)
{
    struct rk_link_conf *copy = rk_conf_link_copy(end->conf);

    end_conf(end, copy ? copy : &unknown);
}

void
end_retire(struct end *end)
{
    carry_retire(end);
    path_drop_all(end);
    wake_off(end->d, &end->wake);
    rk_secret_fd_wipe(end->key_fd);
    end->key_fd = -1;
    mix_drop(end);
    source_forget(end);
    keep_conf(end);
    end->gone = true;
    end_release(end);
}

static int
compare(const struct end *end, const char *link, char which)
{
    int order = strcmp(end->conf->name, link);

    return order ? order : end->which - which;
}

struct end *
end_find(struct daemon *d, const char *link, char which)
{
    size_t low = 0, high = d->n_ends;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = compare(d->ends[mid], link, which);

        if (order == 0)
            return d->ends[mid];
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

/* ---- carrying out ---- */

const char *
end_phase_name(uint32_t phase)
{
    static const char *const names[] = {"idle", "intent", "fetched", "staged", "activating", "active", "burning"};

    return phase < sizeof names / sizeof *names ? names[phase] : "?";
}

/* Each step of an end, for who wants to know exactly how far it was: "asked" is told before anything is done,
 * "answered" when it was done and nothing has followed yet, "waits" when there is nothing to do but to wait. */
static void
show_step(const struct end *end, enum rk_act act, const char *when)
{
    static const char *const names[] = {"none",  "observe",  "journal", "get-new", "get-by-id",
                                        "stage", "activate", "retire",  "shut",    "sweep"};

    _Static_assert(sizeof names / sizeof *names == RK_ACT_SWEEP + 1, "a name for each");
    if (rk_log_level() < RK_LOG_DEBUG)
        return;
    rk_log(RK_LOG_DEBUG, "ev=step link=%s end=%c phase=%s state=%s act=%s when=%s", end->conf->name, end->which,
           end_phase_name(end->live->e.d.phase), rk_state_name(end->live->e.state), names[act], when);
}

static const struct {
    uint32_t bit;
    const char *remedy;
} remedies[] = {
    {RK_ALARM_DUE, "look at the other alarms and at rekeyctl history"},
    {RK_ALARM_OVERDUE, "look at the other alarms and at rekeyctl history"},
    {RK_ALARM_EXPIRED, "ask rekeyctl explain what keeps rotations from being done, and cure that"},
    {RK_ALARM_ROLE_CONFLICT, "correct role at one end, and reload"},
    {RK_ALARM_FOREIGN, "remove the keys that are not rekeyd's by hand, or all of them with rekeyctl adopt"},
    {RK_ALARM_SPLIT, "wait for the next rotation; if it stays, compare the histories of both ends"},
    {RK_ALARM_NO_PEER, "look at the channel, at the other end's rekeyd, and at the channel's auth-key"},
    {RK_ALARM_JOURNAL, "make room for the state directory, or correct its permissions"},
    {RK_ALARM_DEVICE, "see that the device can be reached and managed"},
    {RK_ALARM_SOURCE, "look at the source and its KME, and at rekeyctl plugins"},
    {RK_ALARM_UNPROTECTED, "set the interface so that nothing passes it in clear"},
    {RK_ALARM_CLOCK_SKEW, "set the clocks of both hosts and of the device, and their time zones"},
    {RK_ALARM_SOURCE_DRY, "see that the source gets new keys"},
    {RK_ALARM_FALLBACK_IN_USE, "bring the first source back: the next rotation then uses it"},
    {RK_ALARM_UNPROVED, "connect devices whose classes have a proved rotation, see rekeyd.conf(5)"},
    {RK_ALARM_CERT_EXPIRY, "renew the certificate that ends, see rekeyctl explain"},
    {RK_ALARM_PATH, "look at that channel and at what carries it; the link goes on by its other channels"},
    {RK_ALARM_NEIGHBOUR, "look what is connected to the interface, and compare peer-chassis and peer-port"},
    {RK_ALARM_RESET_PEER, "did the other end's rekeyd lose its state directory?  If not, somebody has the auth-key: "
                          "replace it"},
    {RK_ALARM_MIX_REDUCED, "bring that source back: the next rotation then mixes all of them"},
};

const char *
alarm_remedy(uint32_t bit)
{
    for (size_t i = 0; i < sizeof remedies / sizeof *remedies; i++)
        if (remedies[i].bit == bit)
            return remedies[i].remedy;
    return "";
}

const char *
alarm_place(const struct end *end, uint32_t bit)
{
    const struct inst *inst = NULL;
    const struct path *path;
    char why[RK_WHY_MAX];

    const struct rk_supply *s = end_see(end)->supply;
    bool first = s && (rk_end_starved(end_see(end)) || (bit == RK_ALARM_SOURCE_DRY && s->dry));

    if (bit & RK_ALARM_MIX_REDUCED)
        inst = mix_missing(end, end_see(end)->d.cur);
    else if (bit & (RK_ALARM_SOURCE | RK_ALARM_SOURCE_DRY))
        inst = end->asked && !first ? end->asked : end->pair ? end->pair->src->inst : end->source;
    else if (bit & RK_ALARM_FALLBACK_IN_USE)
        inst = end_see(end)->d.flags & RK_DF_FALLBACK ? end->fallback : end->device;
    else if (bit & (RK_ALARM_DEVICE | RK_ALARM_FOREIGN | RK_ALARM_UNPROTECTED))
        inst = end->device;
    else if (bit & (RK_ALARM_NO_PEER | RK_ALARM_RESET_PEER))
        inst = end->channel;
    else if (bit & (RK_ALARM_PATH | RK_ALARM_NEIGHBOUR) && (path = path_why(end, bit, rk_now_ns(), why)))
        inst = path->channel;
    else if (bit & RK_ALARM_CERT_EXPIRY)
        inst = expiry_of(end);
    return inst ? inst->conf->name : "";
}

const char *
end_state(const struct end *end)
{
    const struct rk_end *e = end_see(end);

    if (e->state != RK_ST_IDLE)
        return rk_state_name(e->state);
    if (e->d.flags & RK_DF_HELD)
        return "held";
    if (e->d.flags & RK_DF_SHUT)
        return "shut";
    if (rk_end_starved(e))
        return "waiting-source";
    if (e->d.role == RK_MASTER && e->peer.role == 0)
        return "waiting-peer";
    return e->d.cur[0] ? rk_state_name(e->state) : "first-key";
}

/* A peer may be silent because what comes in its name is refused. */
static bool
refused_why(const struct end *end, uint32_t bit, int64_t now_ns, char text[RK_WHY_MAX])
{
    struct refusals all;

    path_refused(end, &all);
    if (bit != RK_ALARM_NO_PEER || all.n == 0 || now_ns - all.at_ns > rk_end_silence_ns(end_see(end)))
        return false;
    snprintf(text, RK_WHY_MAX, "records are refused: %.*s", RK_WHY_MAX - 24, all.why);
    return true;
}

/* The reason, as far as there is a better one than the last failure. */
static const char *
alarm_why(const struct end *end, uint32_t bit, int64_t now_ns, char text[RK_WHY_MAX])
{
    const struct rk_supply *s = end_see(end)->supply;
    bool dry = s && bit == RK_ALARM_SOURCE_DRY && s->dry && s->end_ns != RK_NEVER && s->end_ns > now_ns;

    if (bit & (RK_ALARM_PATH | RK_ALARM_NEIGHBOUR))
        (void)path_why(end, bit, now_ns, text);
    else if (refused_why(end, bit, now_ns, text))
        return text;
    else if (dry)
        snprintf(text, RK_WHY_MAX, "the keys of the source end in %lld s at the links' intervals",
                 (long long)((s->end_ns - now_ns) / RK_NS_PER_S));
    else if (s && bit & (RK_ALARM_SOURCE | RK_ALARM_SOURCE_DRY) && rk_end_starved(end_see(end)))
        snprintf(text, RK_WHY_MAX, "%s", s->why);
    else
        snprintf(text, RK_WHY_MAX, "%s", end_see(end)->last_err ? end_see(end)->last_why : "");
    return text;
}

uint32_t
end_alarms(const struct end *end, int64_t now_ns)
{
    return rk_end_alarms(end_see(end), now_ns) | path_alarms(end, now_ns);
}

/* Alarms are told when they come, with what helps, and when they go. */
void
end_show_alarms(struct end *end, int64_t now_ns)
{
    uint32_t alarms = end_alarms(end, now_ns), changed = alarms ^ end->shown_alarms;
    char renew[RK_WHY_MAX + RK_EXPIRY_TIME_MAX + 20], why[RK_WHY_MAX];

    for (uint32_t bit = 1; changed; bit <<= 1) {
        bool on = alarms & bit;
        const char *at = on ? alarm_place(end, bit) : "";

        if (!(changed & bit))
            continue;
        changed &= ~bit;
        rk_log(on ? RK_LOG_WARNING : RK_LOG_NOTICE, "ev=alarm link=%s end=%c alarm=%s state=%s why=\"%s\"%s%s%s%s%s",
               end->conf->name, end->which, rk_alarm_name(bit), on ? "raised" : "cleared",
               on ? alarm_why(end, bit, now_ns, why) : "", at[0] ? " at=" : "", at,
               on ? " do=\"" : "",
               !on                           ? ""
               : bit == RK_ALARM_CERT_EXPIRY ? expiry_remedy(end, renew, sizeof renew)
                                             : alarm_remedy(bit),
               on ? "\"" : "");
    }
    end->shown_alarms = alarms;
}

/* A device said that it must be driven as another class than before. */
static void
show_class(const struct end *end, uint32_t before)
{
    uint32_t class = end->live->e.class;

    if (class == before)
        return;
    rk_log(class == RK_CLASS_C ? RK_LOG_WARNING : RK_LOG_INFO, "ev=class link=%s end=%c class=%s was=%s%s",
           end->conf->name, end->which, rk_class_letter(class), rk_class_letter(before),
           class == RK_CLASS_C ? " note=\"allowed, without a fallback slot\"" : "");
}

static const char *
number(char text[24], uint64_t v)
{
    char *at = text + 23;

    *at = '\0';
    do
        *--at = (char)('0' + v % 10);
    while ((v /= 10) > 0);
    return at;
}

/* Texts one behind the other; what does not fit is cut.   in: parts  end with NULL */
static void
join(char *out, size_t size, const char *const *parts)
{
    for (size_t n; *parts; parts++, out += n, size -= n) {
        n = strlen(*parts);
        n = n < size ? n : size - 1;
        memcpy(out, *parts, n);
    }
    *out = '\0';
}

/* Put together by hand, for nearly all of a log are these: one line of each step of each end. */
static void
show_note(struct end *end, const struct rk_todo *todo, int64_t took_ms)
{
    const struct rk_end *e = &end->live->e;
    bool bad = todo->note_bad, done = strcmp(todo->note, "rotated") == 0;
    int level = bad ? RK_LOG_WARNING : done ? RK_LOG_NOTICE : RK_LOG_INFO;
    const char which[2] = {e->d.end, '\0'}, *why = bad ? e->last_why : NULL;
    char seq[24], took[24], text[RK_TEXT_MAX + RK_WHY_MAX];

    if (level > rk_log_level())
        return;
    join(text, sizeof text, (const char *const[]){
        "ev=", todo->note, " link=", end->conf->name, " end=", which,
        " role=", e->d.role == RK_MASTER ? "master" : "slave", " seq=", number(seq, e->d.seq),
        " key_id=", todo->note_key, " took_ms=", number(took, (uint64_t)took_ms),
        " res=", rk_err_name(bad ? e->last_err : RK_OK), why ? " why=\"" : NULL, why, "\"", NULL});
    rk_log(level, "%s", text);
}

static void
take_note(struct end *end, const struct rk_todo *todo, int64_t now_ns)
{
    int64_t took_ms;

    if (strcmp(todo->note, "begin") == 0)
        end->live->rotation_since_ns = now_ns;
    if (strcmp(todo->note, "rotated") == 0)
        inst_fetch_paid(end);
    took_ms = end->live->rotation_since_ns ? (now_ns - end->live->rotation_since_ns) / RK_NS_PER_MS : 0;
    if (strcmp(todo->note, "staged") == 0)
        mix_note(end, todo->note_key, took_ms);
    show_note(end, todo, took_ms);
    store_note(end, todo, took_ms);
}

static void
begin_act(struct end *end, const struct rk_todo *todo, int64_t now_ns)
{
    end->live->act = todo->act;
    end->live->act_seq = todo->seq;
    memcpy(end->live->act_key, todo->key_id, sizeof end->live->act_key);
    if (todo->act != RK_ACT_OBSERVE && todo->act != RK_ACT_JOURNAL)
        reading_drop(end); /* it is of before what is asked now */
    if (todo->terms[0] && !(end->act_terms = strdup(todo->terms))) {
        end_failed(end, RK_E_NOMEM, "out of memory");
        return;
    }
    switch (todo->act) {
    case RK_ACT_NONE:
        break;
    case RK_ACT_JOURNAL:
        store_put(end);
        break;
    case RK_ACT_OBSERVE:
        if (!reading_answers(end, now_ns))
            inst_enqueue(end->device, end);
        break;
    case RK_ACT_GET_NEW:
    case RK_ACT_GET_BY_ID:
        end->asked = todo->fallback && end->fallback ? end->fallback : end->source;
        if (end->mix && end->asked == end->source)
            mix_begin(end);
        else
            inst_enqueue(end->asked, end);
        break;
    default:
        if (todo->act != RK_ACT_STAGE || !carry_ahead(end))
            inst_enqueue(end->device, end);
        break;
    }
}

void
end_event(struct end *end, const struct rk_event *ev)
{
    struct rk_event with_wall = *ev;
    struct rk_todo todo;
    uint32_t class;
    int64_t now_ns = rk_now_ns();
    enum rk_state was;

    if (!end_rouse(end)) { /* as if a record were lost, or a timer late */
        wake_at(end->d, &end->wake, now_ns + RK_NS_PER_S);
        return;
    }
    class = end->live->e.class;
    was = end->live->e.state;
    if (end->d->stopping && rk_end_waits(&end->live->e))
        return; /* nothing new is begun */
    with_wall.wall = rk_wall_now();
    with_wall.boot = rk_boot_id();
    rk_end_step(&end->live->e, &with_wall, now_ns, &todo);
    end->master = end->live->e.d.role == RK_MASTER;
    show_class(end, class);
    if (todo.drop_key) {
        rk_secret_fd_wipe(end->key_fd);
        end->key_fd = -1;
        mix_drop(end);
    }
    if (todo.starved)
        source_wait(end);
    ratchet_follow(end, &todo);
    if (todo.publish)
        chan_publish(end);
    if (todo.note)
        take_note(end, &todo, now_ns);
    if (todo.act != RK_ACT_NONE || end->live->e.state != was)
        show_step(end, todo.act, todo.act != RK_ACT_NONE ? "asked" : "waits");
    if (todo.act != RK_ACT_NONE)
        begin_act(end, &todo, now_ns);
    set_timer(end);
    end_show_alarms(end, now_ns);
}

/* The answer to the action under way. */
void
end_answer(struct end *end, const struct rk_event *ev)
{
    if (ev->type == RK_EV_KEY && mix_took_key(end, ev->key_id))
        return;
    if (!end->gone)
        show_step(end, end->live->act, "answered");
    end->busy = false;
    end->live->act = RK_ACT_NONE;
    free(end->act_terms);
    end->act_terms = NULL;
    if (end->gone) {
        rk_secret_fd_wipe(end->key_fd);
        end->key_fd = -1;
        end_release(end);
        return;
    }
    end_event(end, ev);
}

void
end_failed(struct end *end, int err, const char *why)
{
    char text[RK_WHY_MAX]; /* as much as is kept of it */

    rk_log(RK_LOG_DEBUG, "ev=failed link=%s end=%c state=%s res=%s why=\"%s\"", end->conf->name, end->which,
           rk_state_name(end->live->e.state), rk_err_name(err), why);
    if (mix_took_failure(end, err, why))
        return;
    snprintf(text, sizeof text, "%.*s%s", (int)(sizeof text - 1 - strlen(mix_hint(end))), why, mix_hint(end));
    end_answer(end, &(struct rk_event){.type = RK_EV_FAILED, .err = err, .why = text});
}
