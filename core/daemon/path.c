/* path.c - the ways of an end's records: they come and go with the configuration, and each is watched.
 *
 * Runs in the loop.  A path that fails, or is silent, changes nothing of its link as long as another one works: it is
 * an alarm, and what is published goes on being tried.
 */
#include "path.h"

#include "../base/err.h"
#include "../base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_MIN_MS 1000
#define RETRY_MAX_MS 30000
#define NEIGHBOUR_NS (60 * RK_NS_PER_S) /* so long after it was said last the neighbour counts as right again */
#define STALE_PERIODS 3                 /* of verify: as of NO-PEER */

/* ---- life ---- */

struct path *
path_of(const struct end *end, const struct inst *inst)
{
    struct path *p = end->paths;

    while (p && p->channel != inst)
        p = p->next;
    return p;
}

static void
free_trouble(struct path *p)
{
    if (!p->trouble)
        return;
    wake_off(p->channel->d, &p->trouble->wake);
    free(p->trouble);
    p->trouble = NULL;
}

void
path_release(struct path *p)
{
    if (p->end || p->busy || p->post_due)
        return;
    free(p->refused);
    free(p->neighbour);
    free(p);
}

static void
drop(struct path *p)
{
    chan_detach(p);
    free_trouble(p);
    p->end = NULL;
    path_release(p);
}

void
path_drop_all(struct end *end)
{
    while (end->paths) {
        struct path *p = end->paths;

        end->paths = p->next;
        drop(p);
    }
}

/* Out of the list, when it is there; else a new one; NULL: no memory. */
static struct path *
take_or_make(struct path **list, struct end *end, struct inst *inst)
{
    struct path *p;

    for (; *list; list = &(*list)->next)
        if ((*list)->channel == inst) {
            p = *list;
            *list = p->next;
            return p;
        }
    p = calloc(1, sizeof *p);
    if (p) {
        p->end = end;
        p->channel = inst;
        p->since_ns = rk_now_ns();
    }
    return p;
}

int
path_follow(struct end *end, const struct rk_link_conf *conf, struct inst *const *insts)
{
    struct path *old = end->paths, **last = &end->paths;
    int err = RK_OK;

    end->channel = conf->n_channels ? insts[conf->channel] : NULL;
    end->paths = NULL;
    for (unsigned i = 0; i < conf->n_channels; i++) {
        struct path *p = take_or_make(&old, end, insts[i == 0 ? conf->channel : conf->more_channels[i - 1]]);

        if (!p) {
            err = RK_E_NOMEM;
            continue;
        }
        *last = p;
        last = &p->next;
    }
    *last = NULL;
    while (old) {
        struct path *next = old->next;

        drop(old);
        old = next;
    }
    return err;
}

void
path_begin(struct end *end, bool changed)
{
    for (struct path *p = end->paths; p; p = p->next) {
        p->again |= changed && p->attaching;
        if (changed)
            p->attached = false;
        if (!p->attached && !p->attaching)
            chan_post(p);
    }
}

/* ---- troubles ---- */

static void
try_again(struct daemon *d, struct wake *w)
{
    struct path_trouble *t = (struct path_trouble *)w;

    (void)d;
    chan_post(t->path);
}

static int64_t
pause_ns(unsigned tries)
{
    int64_t ms = RETRY_MIN_MS;

    while (tries-- > 1 && ms < RETRY_MAX_MS)
        ms *= 2;
    return (ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS) * RK_NS_PER_MS;
}

/* It is told of when it comes, or is another one than before. */
static void
tell_trouble(const struct path *p, bool attach, int err, const char *why)
{
    rk_log(RK_LOG_WARNING, "ev=%s link=%s channel=%s res=%s why=\"%s\"", attach ? "attach" : "publish",
           p->end->conf->name, p->channel->conf->name, rk_err_name(err), why);
}

void
path_failed(struct path *p, bool attach, int err, const char *why)
{
    struct path_trouble *t = p->trouble;
    char kept[RK_WHY_MAX];

    if (!t) {
        t = p->trouble = calloc(1, sizeof *t);
        if (!t) {
            tell_trouble(p, attach, err, why); /* with what is said next it is tried again */
            return;
        }
        t->path = p;
        t->wake.fn = try_again;
        t->since_ns = rk_now_ns();
    }
    snprintf(kept, sizeof kept, "%.*s", (int)sizeof kept - 1, why[0] ? why : rk_err_name(err));
    if (t->err != err || strcmp(kept, t->why) != 0)
        tell_trouble(p, attach, err, kept);
    t->err = err;
    t->attach = attach;
    memcpy(t->why, kept, sizeof t->why);
    wake_at(p->channel->d, &t->wake, rk_now_ns() + pause_ns(++t->tries));
    if (p->end->live)
        end_show_alarms(p->end, rk_now_ns());
}

void
path_works(struct path *p)
{
    if (!p->trouble)
        return;
    rk_log(RK_LOG_NOTICE, "ev=path link=%s channel=%s state=works", p->end->conf->name, p->channel->conf->name);
    free_trouble(p);
    if (p->end->live)
        end_show_alarms(p->end, rk_now_ns());
}

/* ---- what is heard ---- */

void
path_heard(struct path *p, const struct rk_record *record, bool late)
{
    bool same = p->heard_ns && record->seq == p->seq && record->say == p->say;
    struct rk_record copy = *record;
    struct rk_times times;

    rk_times_take(copy.facts, &times);
    if (late)
        p->late_ns = rk_now_ns();
    else if (!same || !times.clock_ms || times.clock_ms > p->clock_ms)
        p->heard_ns = rk_now_ns();
    p->clock_ms = times.clock_ms;
    p->seq = record->seq;
    p->say = record->say;
}

void
path_conflict(struct path *p, const char *why)
{
    int64_t now_ns = rk_now_ns();

    if (!p->neighbour)
        p->neighbour = calloc(1, sizeof *p->neighbour);
    if (!p->neighbour)
        return;
    p->neighbour->at_ns = now_ns;
    snprintf(p->neighbour->why, sizeof p->neighbour->why, "%s", why);
    if (!(p->end->shown_alarms & RK_ALARM_NEIGHBOUR) && end_rouse(p->end))
        end_show_alarms(p->end, now_ns);
}

/* ---- alarms ---- */

static int64_t
patience_ns(const struct end *end)
{
    return STALE_PERIODS * end->conf->verify_ms * RK_NS_PER_MS;
}

static int64_t
last_ns(const struct path *p)
{
    return p->heard_ns > p->since_ns ? p->heard_ns : p->since_ns;
}

static bool
is_silent(const struct path *p, int64_t now_ns)
{
    return now_ns - last_ns(p) > patience_ns(p->end);
}

/* Of a link that is silent altogether NO-PEER tells. */
bool
path_stale(const struct path *p, int64_t now_ns)
{
    if (!is_silent(p, now_ns))
        return false;
    for (const struct path *other = p->end->paths; other; other = other->next)
        if (other != p && other->heard_ns && !is_silent(other, now_ns))
            return true;
    return false;
}

static bool
has_trouble(const struct path *p, int64_t now_ns)
{
    return p->trouble && (p->trouble->attach || now_ns - p->trouble->since_ns > patience_ns(p->end));
}

bool
path_neighbour_now(const struct path *p, int64_t now_ns)
{
    return p->neighbour && now_ns - p->neighbour->at_ns < NEIGHBOUR_NS;
}

uint32_t
path_alarms(const struct end *end, int64_t now_ns)
{
    uint32_t alarms = 0;

    for (const struct path *p = end->paths; p; p = p->next) {
        if (has_trouble(p, now_ns) || (end->paths->next && path_stale(p, now_ns)))
            alarms |= RK_ALARM_PATH;
        if (path_neighbour_now(p, now_ns))
            alarms |= RK_ALARM_NEIGHBOUR;
    }
    return alarms;
}

#define SPAN_MAX 24

/* Verify periods may be less than a second, so that "0 s" would tell nothing. */
static const char *
span(int64_t ns, char out[SPAN_MAX])
{
    bool ms = ns < 10 * RK_NS_PER_S;

    snprintf(out, SPAN_MAX, "%lld %s", (long long)(ns / (ms ? RK_NS_PER_MS : RK_NS_PER_S)), ms ? "ms" : "s");
    return out;
}

static void
say_stale(const struct path *p, int64_t now_ns, char *why)
{
    char silent[SPAN_MAX];

    span(now_ns - last_ns(p), silent);
    if (p->late_ns && now_ns - p->late_ns < patience_ns(p->end))
        snprintf(why, RK_WHY_MAX, "for %s it has brought only records that are older than those of the other ways: "
                 "late, or replayed", silent);
    else
        snprintf(why, RK_WHY_MAX, "nothing valid came on it for %s, and the other ways are heard", silent);
}

const struct path *
path_why(const struct end *end, uint32_t alarm, int64_t now_ns, char *why)
{
    for (const struct path *p = end->paths; p; p = p->next) {
        if (alarm == RK_ALARM_NEIGHBOUR ? !path_neighbour_now(p, now_ns)
                                        : !has_trouble(p, now_ns) && !path_stale(p, now_ns))
            continue;
        if (alarm == RK_ALARM_NEIGHBOUR)
            snprintf(why, RK_WHY_MAX, "%s", p->neighbour->why);
        else if (has_trouble(p, now_ns))
            snprintf(why, RK_WHY_MAX, "%s", p->trouble->why);
        else
            say_stale(p, now_ns, why);
        return p;
    }
    why[0] = '\0';
    return NULL;
}

/* ---- for people ---- */

void
path_refused(const struct end *end, struct refusals *all)
{
    *all = (struct refusals){.n = 0};
    for (const struct path *p = end->paths; p; p = p->next) {
        uint64_t n = all->n + (p->refused ? p->refused->n : 0);

        if (p->refused && p->refused->at_ns >= all->at_ns)
            *all = *p->refused;
        all->n = n;
    }
}

static void add(char *text, size_t size, const char *fmt, ...) RK_PRINTF(3, 4);

static void
add(char *text, size_t size, const char *fmt, ...)
{
    size_t len = strlen(text);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text + len, size - len, fmt, ap);
    va_end(ap);
}

static void
explain_one(const struct path *p, int64_t now_ns, char *text, size_t size)
{
    char why[RK_WHY_MAX], ago[SPAN_MAX];
    bool several = p->end->paths->next != NULL;

    add(text, size, " Channel %s: ", p->channel->conf->name);
    if (path_neighbour_now(p, now_ns))
        add(text, size, "the neighbour is not the right one (%s); ", p->neighbour->why);
    if (p->trouble)
        add(text, size, "%s (%s), %s; ", p->trouble->attach ? "it does not take the link" : "nothing can be sent on it",
            p->trouble->why, "it is tried again");
    if (several && path_stale(p, now_ns)) {
        say_stale(p, now_ns, why);
        add(text, size, "%s.", why);
    } else if (p->heard_ns) {
        add(text, size, "heard %s ago.", span(now_ns - p->heard_ns, ago));
    } else {
        add(text, size, "nothing was heard on it yet.");
    }
}

void
path_explain(const struct end *end, int64_t now_ns, char *text, size_t size)
{
    for (const struct path *p = end->paths; p; p = p->next)
        if (end->paths->next || p->trouble || path_neighbour_now(p, now_ns))
            explain_one(p, now_ns, text, size);
}
