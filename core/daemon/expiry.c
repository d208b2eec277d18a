/* expiry.c - the ends of credentials that plugins state: kept for each instance, compared with the calendar each hour
 * and when one is heard, and shown as alarm CERT-EXPIRY by every end that uses the instance.
 */
#include "path.h"

#include "../base/log.h"

#include <stdio.h>

static bool
is_near(const struct inst *inst)
{
    return inst->expiry == RK_EXPIRY_SOON || inst->expiry == RK_EXPIRY_OVER;
}

static void
look_at_inst(struct inst *inst, struct rk_wall now)
{
    static const char *const names[] = {"none", "far", "soon", "over"}; /* enum rk_expiry */
    enum rk_expiry was = inst->expiry;
    char time[RK_EXPIRY_TIME_MAX];

    inst->expiry = rk_expiry_state(now, inst->ends_unix_s);
    if (inst->expiry == was || (was == RK_EXPIRY_NONE && inst->expiry == RK_EXPIRY_FAR))
        return;
    rk_log(inst->expiry == RK_EXPIRY_OVER ? RK_LOG_ERR
           : is_near(inst)                ? RK_LOG_WARNING
                                          : RK_LOG_NOTICE,
           "ev=expiry inst=%s what=\"%s\" ends=\"%s\" state=%s", inst->conf->name, inst->ends_what,
           rk_expiry_time(inst->ends_unix_s, time), names[inst->expiry]);
}

static const struct inst *
earlier(const struct inst *a, const struct inst *b)
{
    if (!b || !is_near(b))
        return a;
    return !a || b->ends_unix_s < a->ends_unix_s ? b : a;
}

const struct inst *
expiry_of(const struct end *end)
{
    const struct inst *first = earlier(NULL, end->device), *source[RK_PARTS_MAX];
    size_t n = mix_sources(end, source);

    for (size_t i = 0; i < n; i++)
        first = earlier(first, source[i]);
    first = earlier(first, end->fallback);
    for (const struct path *p = end->paths; p; p = p->next)
        first = earlier(first, p->channel);
    return first;
}

static void
look_at_end(struct end *end, int64_t now_ns)
{
    uint32_t was = end_see(end)->alarms;
    uint32_t alarms = expiry_of(end) ? was | RK_ALARM_CERT_EXPIRY : was & ~RK_ALARM_CERT_EXPIRY;

    if (alarms == was || !end_rouse(end)) /* without memory: at the next look */
        return;
    end->live->e.alarms = alarms;
    end_show_alarms(end, now_ns);
}

static void
look(struct daemon *d, struct wake *w)
{
    struct rk_wall now = rk_wall_now();
    int64_t now_ns = rk_now_ns();

    for (struct inst *i = d->insts; i; i = i->next)
        look_at_inst(i, now);
    for (size_t i = 0; i < d->n_ends; i++)
        look_at_end(d->ends[i], now_ns);
    wake_at(d, w, now_ns + RK_EXPIRY_LOOK_MS * RK_NS_PER_MS);
}

void
expiry_look(struct daemon *d)
{
    d->expiry_wake.fn = look;
    wake_at(d, &d->expiry_wake, rk_now_ns());
}

void
expiry_heard(struct inst *inst, const struct rk_reply *reply)
{
    if (reply->ends_unix_s == 0 || reply->ends_unix_s == inst->ends_unix_s)
        return;
    inst->ends_unix_s = reply->ends_unix_s;
    snprintf(inst->ends_what, sizeof inst->ends_what, "%s", reply->ends_what);
    if (rk_expiry_state(rk_wall_now(), inst->ends_unix_s) != inst->expiry)
        expiry_look(inst->d);
}

const char *
expiry_remedy(const struct end *end, char *text, size_t size)
{
    const struct inst *inst = expiry_of(end);
    char time[RK_EXPIRY_TIME_MAX];

    if (inst)
        snprintf(text, size, "renew %s: it %s %s", inst->ends_what, inst->expiry == RK_EXPIRY_OVER ? "ended" : "ends",
                 rk_expiry_time(inst->ends_unix_s, time));
    else
        snprintf(text, size, "nothing, it was renewed");
    return text;
}
