/* end_explain.c - for people: why an end is in its state, and what happens next, and when.  Pure. */
#include "end_step.h"

#include "../base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SPAN_MAX 24

struct prose { /* sentences, one after the other */
    char *text;
    size_t size, len;
    const struct rk_end *e;
    int64_t now_ns;
};

static void __attribute__((format(printf, 2, 3)))
add(struct prose *p, const char *fmt, ...)
{
    va_list ap;
    int n;

    if (p->len + 1 >= p->size)
        return;
    if (p->len)
        p->text[p->len++] = ' ';
    va_start(ap, fmt);
    n = vsnprintf(p->text + p->len, p->size - p->len, fmt, ap);
    va_end(ap);
    p->len += n > 0 ? (size_t)n : 0;
    if (p->len >= p->size)
        p->len = p->size - 1;
}

/* A length of time as people say it; one that is over is "0 s". */
static const char *
span(int64_t ns, char out[SPAN_MAX])
{
    long long s = ns > 0 ? (long long)((ns + RK_NS_PER_S / 2) / RK_NS_PER_S) : 0;

    if (s < 120)
        snprintf(out, SPAN_MAX, "%lld s", s);
    else if (s < 7200)
        snprintf(out, SPAN_MAX, "%lld min", s / 60);
    else
        snprintf(out, SPAN_MAX, "%lld h", s / 3600);
    return out;
}

static const char *what_hinders(const struct rk_end *e);
static bool waits_for_word(const struct rk_end *e);

bool
rk_end_first_key(const struct rk_end *e, int64_t *since_ns, const char **waits_for)
{
    const char *why = what_hinders(e);

    if (e->d.cur[0])
        return false;
    *since_ns = e->cur_since_ns;
    *waits_for = why                                ? why
                 : e->last_err                      ? e->last_why
                 : e->supply && rk_end_starved(e)   ? e->supply->why
                 : waits_for_word(e)                ? "the slave to say how the last rotation ended there"
                 : rk_is_master(e)                  ? "its rotation to end"
                                                    : "the master to offer it";
    return true;
}

static void
explain_first(struct prose *p)
{
    const char *what;
    char ago[SPAN_MAX];
    int64_t since_ns;

    add(p, "No key of rekeyd is in use.");
    if (rk_end_first_key(p->e, &since_ns, &what) && !(p->e->d.flags & RK_DF_HELD))
        add(p, "It waits for %s since %s, which comes from the source like every other.",
            p->e->d.seq > 1 ? "a key" : "its first key", span(p->now_ns - since_ns, ago));
}

static void
explain_key(struct prose *p)
{
    const struct rk_end *e = p->e;
    char age[SPAN_MAX];

    if (e->d.cur[0])
        add(p, "Key %s is in use since %s (rotation %llu).", e->d.cur, span(p->now_ns - e->cur_since_ns, age),
            (unsigned long long)e->d.cur_seq);
    else
        explain_first(p);
    if (e->d.flags & RK_DF_FALLBACK)
        add(p, "It is from the fallback source, for the first one gave none in time.");
    if (rk_of(e)->cak && e->d.phase == RK_PH_IDLE && (e->seen_prev & RK_SENDING))
        add(p, "The device has fallen back to the key before it, %s: MKA is not live on the new one.", e->d.prev);
}

/* Why an idle master does not begin, as far as it is not a matter of time. */
static const char *
what_hinders(const struct rk_end *e)
{
    if (e->d.flags & RK_DF_HELD)
        return "the device uses a key that is not rekeyd's, which is never removed: rekeyctl adopt takes over";
    if (e->alarms & RK_ALARM_UNPROVED)
        return "the classes of the two devices have no proved rotation together: drive both as A, or each as B, C or D";
    if (e->clock_bad)
        return "the device's clock is off by more than a start time bears, or is not told: set it, or its NTP";
    if (!e->peer.role && !rk_of(e)->one_way)
        return "nothing was heard of the peer yet: look at the channel and at the peer's rekeyd";
    if (e->peer.role == e->d.role)
        return "both ends claim the same role: correct it at one of them";
    if (!rk_of(e)->cak && (!e->facts[0] || !e->peer.facts[0]))
        return "the device of this end, or of the peer, has not told what the other one must know: can it be read";
    return NULL;
}

/* Of a CAK nothing begins before the slave has said how the last rotation ended for it. */
static bool
waits_for_word(const struct rk_end *e)
{
    return rk_of(e)->cak && !rk_of(e)->one_way && rk_is_master(e) &&
           (e->peer.seq < e->d.seq || e->peer.say == RK_SAY_STAGED || e->peer.say == RK_SAY_OFFER);
}

/* The source gives no keys: what is due waits, and one end of all that wait asks now and then. */
static void
explain_starved(struct prose *p)
{
    const struct rk_supply *s = p->e->supply;
    char left[SPAN_MAX];

    add(p, "A rotation is due, and waits for the source: %s: %s.", rk_err_name(s->err), s->why);
    add(p, "It is asked for one key of all that are waited for in %s; when that comes, all go on.",
        span(s->retry_ns - p->now_ns, left));
}

static void
explain_idle(struct prose *p)
{
    const struct rk_end *e = p->e;
    const char *why = what_hinders(e);
    bool begins = p->now_ns >= e->due_ns || (e->want && !e->failures);
    bool waits_mka = rk_of(e)->cak && e->d.cur[0] && (e->seen_cur & LIVE) != LIVE && begins;
    char left[SPAN_MAX];

    if (why)
        add(p, "No rotation begins: %s.", why);
    else if (!rk_is_master(e))
        add(p, "It waits for the master's next offer.");
    else if (waits_for_word(e))
        add(p, "It waits for the slave to say how rotation %llu ended there.", (unsigned long long)e->d.seq);
    else if (waits_mka)
        add(p, "A rotation is due, and begins as soon as MKA is live on the key in use at both ends.");
    else if (rk_end_starved(e))
        explain_starved(p);
    else if (e->failures)
        add(p, "%u rotation%s in a row failed; the next one is tried in %s.", e->failures, e->failures > 1 ? "s" : "",
            span(e->due_ns - p->now_ns, left));
    else
        add(p, "The next rotation begins in %s.", span(rk_end_due_ns(e) - p->now_ns, left));
    if (e->d.flags & RK_DF_SWEEP)
        add(p, "The device's other keys were adopted, and go as soon as both ends use the key of rekeyd.");
}

static void
explain_wait(struct prose *p)
{
    const struct rk_end *e = p->e;
    char left[SPAN_MAX];

    if (e->state == RK_ST_STAGED) {
        add(p, "Key %s of rotation %llu is installed and not in use; it waits for the %s.", e->d.cand,
            (unsigned long long)e->d.seq, rk_of(e)->one_way ? "peer to use it, which only MKA can show"
                                            : rk_is_master(e) ? "slave to have it too" : "master to use it");
        if (e->give_up_ns != RK_NEVER)
            add(p, "Without that it is given up in %s.", span(e->give_up_ns - p->now_ns, left));
    } else if (e->state == RK_ST_ACTIVE) {
        add(p, "It transmits on the new key and waits for the slave to do so; the old key %s stays until then.",
            e->d.prev);
    } else if (e->state == RK_ST_DRAIN) {
        add(p, "The old key %s is removed in %s, when frames under way have come.", e->d.prev,
            span(e->drain_until_ns - p->now_ns, left));
    }
}

/* An action is under way, or is asked for again after a pause. */
static void
explain_action(struct prose *p)
{
    static const char *const doing[] = {
        [RK_ST_OBSERVE] = "reads the device", [RK_ST_FETCH] = "asks the source for a key",
        [RK_ST_STAGE] = "installs the new key", [RK_ST_ACTIVATE] = "lets the device transmit on the new key",
        [RK_ST_RETIRE] = "removes the old key", [RK_ST_UNSTAGE] = "removes the key that was given up",
        [RK_ST_SHUT] = "shuts the link", [RK_ST_SWEEP] = "removes the adopted keys", [RK_ST_COUNT] = NULL,
    };
    const struct rk_end *e = p->e;
    const char *what = rk_end_unsaved(e) ? "writes its journal" : doing[e->state];
    char left[SPAN_MAX];

    if (e->d.phase == RK_PH_ACTIVATING && rk_of(e)->cak && e->state == RK_ST_OBSERVE) {
        add(p, "Key %s is installed at both ends; it waits for MKA to be live on it.", e->d.cand);
        if (e->start_ns > p->now_ns)
            add(p, "Its start time is in %s.", span(e->start_ns - p->now_ns, left));
    } else {
        add(p, "It %s%s.", what, e->retrying ? " again after a pause" : " now");
    }
    if (e->retrying)
        add(p, "That is in %s.", span(e->wake_ns - p->now_ns, left));
}

/* Of an end that has nothing else to tell. */
static void
explain_skew(struct prose *p)
{
    const struct rk_skew *s = &p->e->skew;
    long long apart_ms = (s->switched_ns < 0 ? -s->switched_ns : s->switched_ns) / RK_NS_PER_MS;

    if (s->seq)
        add(p, "In rotation %llu the ends switched %lld ms apart, %lld ms after both had the key.",
            (unsigned long long)s->seq, apart_ms, (long long)(s->margin_ns / RK_NS_PER_MS));
}

static void
explain_policy(struct prose *p)
{
    static const char *const policies[] = {
        [RK_STALE_HOLD] = "The key stays in use, and a new one is tried for ever (on-stale: hold).",
        [RK_STALE_FALLBACK] = "The fallback source is asked when the first one fails (on-stale: fallback).",
        [RK_STALE_SHUT] = "The link is shut when no new key comes (on-stale: shut).",
    };
    const struct rk_end *e = p->e;
    char left[SPAN_MAX];

    if (e->d.flags & RK_DF_SHUT) {
        add(p, "The link is shut, for its key grew too old; the next rotation that succeeds opens it again.");
    } else if (rk_end_expired(e, p->now_ns)) {
        add(p, "Its key is EXPIRED. %s", policies[e->on_stale]);
        if (e->on_stale == RK_STALE_SHUT && !e->cannot_shut)
            add(p, "That is in %s.", span(e->cur_since_ns + e->shut_after_ns - p->now_ns, left));
    }
    if (e->cannot_shut)
        add(p, "The device cannot be shut by rekeyd.");
    if (e->peer_words.flags & RK_WORD_SHUT)
        add(p, "The peer says that it is shut, or about to be.");
}

static void
explain_dry(struct prose *p, uint32_t alarms)
{
    const struct rk_supply *s = p->e->supply;
    bool later = s && s->dry && s->end_ns != RK_NEVER && s->end_ns > p->now_ns;
    char time[SPAN_MAX];

    if (alarms & RK_ALARM_SOURCE_DRY && later)
        add(p, "The keys of the source end in %s at the links' intervals.", span(s->end_ns - p->now_ns, time));
    else if (alarms & RK_ALARM_SOURCE_DRY)
        add(p, "The source has no key left.");
    if (rk_end_interval_ns(p->e) > p->e->interval_ns)
        add(p, "To spare them its interval is stretched from %lld s to %s.",
            (long long)(p->e->interval_ns / RK_NS_PER_S), span(rk_end_interval_ns(p->e), time));
}

static void
explain_alarms(struct prose *p)
{
    const struct rk_end *e = p->e;
    uint32_t alarms = rk_end_alarms(e, p->now_ns);
    char ago[SPAN_MAX];

    if (alarms & RK_ALARM_NO_PEER)
        add(p, "Nothing valid was heard of the peer for %s.", span(p->now_ns - e->heard_ns, ago));
    if (alarms & RK_ALARM_SPLIT)
        add(p, "The peer transmits on %s, which this end does not use: the next rotation heals that.", e->peer_active);
    if (alarms & RK_ALARM_FOREIGN)
        add(p, "The device holds %u key%s of someone else.", e->seen_foreign, e->seen_foreign == 1 ? "" : "s");
    explain_dry(p, alarms);
    if (alarms & RK_ALARM_MIX_REDUCED)
        add(p, "The key in use was mixed without source %zu of %u, which gave no part in time (require: any).",
            rk_end_missing(e) + 1, e->n_sources);
    if (e->start_bad)
        add(p, "The start time that the master offered does not fit the clock here.");
    if (e->last_err)
        add(p, "Last result, %s ago: %s: %s.", span(p->now_ns - e->last_ns, ago), rk_err_name(e->last_err),
            e->last_why);
}

void
rk_end_explain(const struct rk_end *e, int64_t now_ns, char *text, size_t size)
{
    struct prose p = {text, size, 0, e, now_ns};

    text[0] = '\0';
    add(&p, "This end is %s on a device of class %s.", rk_is_master(e) ? "master" : "slave", rk_class_letter(e->class));
    explain_key(&p);
    if (e->state == RK_ST_IDLE)
        explain_idle(&p);
    else if (e->state == RK_ST_STAGED || e->state == RK_ST_ACTIVE || e->state == RK_ST_DRAIN)
        explain_wait(&p);
    else
        explain_action(&p);
    explain_skew(&p);
    explain_policy(&p);
    explain_alarms(&p);
}
