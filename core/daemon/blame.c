/* blame.c - whose call it was that ended a host.
 *
 * When several calls are under way each of them may be to blame.  From then on those are called one at a time, until
 * such calls of each have come back a few times: so the next death is that of one of them, and the others are not held
 * for it.
 * A channel is never blamed, for it always has a call under way.
 */
#include "daemon.h"

#include "../base/err.h"
#include "../base/log.h"

#include <stdio.h>
#include <string.h>

/* ---- instances ---- */

static bool
earlier(const struct host *h, const struct call *c)
{
    for (const struct call *e = h->calls; e != c; e = e->next)
        if (e->inst == c->inst)
            return true;
    return false;
}

static bool
can_be_blamed(const struct inst *inst)
{
    return inst->conf->kind != RK_CHANNEL && !inst->gone;
}

static void
quarantine(struct inst *inst)
{
    struct blame *b = &inst->blame;
    int64_t ms = RK_QUARANTINE_MIN_MS;

    for (unsigned i = 0; i < b->times && ms < RK_QUARANTINE_MAX_MS; i++)
        ms *= 2;
    if (ms > RK_QUARANTINE_MAX_MS)
        ms = RK_QUARANTINE_MAX_MS;
    b->times++;
    b->deaths = RK_QUARANTINE_DEATHS - 1; /* when it is tried again once is enough */
    b->until_ns = rk_now_ns() + ms * RK_NS_PER_MS;
    inst->err = RK_E_UNREACHABLE;
    snprintf(inst->error, sizeof inst->error,
             "in quarantine: its calls have ended the process of plugin %s %d times; it is tried "
             "again after %lld s, or by rekeyctl enable %s", inst->conf->plugin, RK_QUARANTINE_DEATHS,
             (long long)ms / 1000, inst->conf->name);
    rk_log(RK_LOG_ERR, "ev=quarantine inst=%s plugin=%s pause_ms=%lld why=\"%s\"", inst->conf->name, inst->conf->plugin,
           (long long)ms, inst->error);
}

static void
accuse(struct inst *inst, uint32_t verb)
{
    struct blame *b = &inst->blame;

    b->verb = verb;
    b->good = 0;
    if (++b->deaths >= RK_QUARANTINE_DEATHS)
        quarantine(inst);
    else
        rk_log(RK_LOG_NOTICE, "ev=suspect inst=%s plugin=%s deaths=%u", inst->conf->name, inst->conf->plugin,
               b->deaths);
}

void
blame_calls(struct host *h, const struct inst *culprit)
{
    bool known = false; /* one that was to blame before is so again */

    for (const struct call *c = h->calls; c; c = c->next)
        known |= can_be_blamed(c->inst) && c->inst->blame.deaths > 0;
    for (struct call *c = h->calls; c; c = c->next) {
        bool is_it = culprit ? c->inst == culprit : !known || c->inst->blame.deaths > 0;

        if (is_it && can_be_blamed(c->inst) && !earlier(h, c))
            accuse(c->inst, c->verb);
    }
}

void
blame_answered(struct inst *inst, uint32_t verb)
{
    struct blame *b = &inst->blame;

    if (b->deaths == 0)
        return;
    if (b->verb == verb && ++b->good >= RK_QUARANTINE_GOOD)
        *b = (struct blame){0};
    for (struct inst *i = inst->d->insts; i; i = i->next) /* the next of them may be called */
        if (i->host == inst->host && i->blame.deaths)
            inst_mark(i);
}

bool
blame_waits(const struct inst *inst)
{
    if (inst->blame.deaths == 0)
        return false;
    for (const struct call *c = inst->host->calls; c; c = c->next)
        if (c->inst != inst && c->inst->blame.deaths)
            return true;
    return false;
}

bool
blame_quarantined(const struct inst *inst)
{
    return inst->blame.until_ns > rk_now_ns();
}

/* ---- modules ---- */

bool
blame_module(struct host *h, const char *why)
{
    char last[120];

    if (rk_now_ns() - h->up_since_ns > RK_RESTART_GOOD_MS * RK_NS_PER_MS)
        h->deaths = 0;
    if (++h->deaths < RK_DEATHS_MAX)
        return false;
    snprintf(last, sizeof last, "%s", why);
    snprintf(h->error, sizeof h->error,
             "stopped, for its process died %u times in a row, the last time: %s; to start it: rekeyctl enable %s",
             h->deaths, last, h->plugin);
    rk_log(RK_LOG_ERR, "ev=plugin-stopped plugin=%s deaths=%u why=\"%s\"", h->plugin, h->deaths, h->error);
    return true;
}

/* ---- an operator ---- */

static bool
enable_module(struct host *h)
{
    if (h->state != HOST_STOPPED)
        return false;
    rk_log(RK_LOG_NOTICE, "ev=enable plugin=%s note=\"asked by an operator\"", h->plugin);
    h->deaths = h->failures = 0;
    sup_again(h);
    return true;
}

static bool
enable_inst(struct inst *inst)
{
    if (!blame_quarantined(inst))
        return false;
    rk_log(RK_LOG_NOTICE, "ev=enable inst=%s note=\"asked by an operator\"", inst->conf->name);
    inst->blame = (struct blame){0};
    inst_retry(inst);
    return true;
}

int
blame_enable(struct daemon *d, const char *name, char *text, size_t size)
{
    struct inst *inst = inst_find(d, name);
    bool known = inst != NULL, done = inst && enable_inst(inst);

    for (struct host *h = d->hosts; h; h = h->next)
        if (strcmp(h->plugin, name) == 0) {
            known = true;
            done |= enable_module(h);
        }
    if (done)
        snprintf(text, size, "%s: tried again now", name);
    else if (known)
        snprintf(text, size, "%s is neither stopped nor in quarantine: nothing was done", name);
    else
        snprintf(text, size, "there is no plugin, device or source \"%s\": see rekeyctl plugins", name);
    return known ? RK_OK : RK_E_NOENT;
}
