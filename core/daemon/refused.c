/* refused.c - records that were refused: counted for their link and their channel, told a few times a minute.
 *
 * Runs in the loop.  Anyone may write into a channel, at any rate; so a refused record costs a count and no more, and
 * changes nothing of its link.
 */
#include "path.h"

#include "../base/log.h"
#include "../base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
count(struct refusals *r, const char *why, int64_t now_ns)
{
    r->n++;
    r->at_ns = now_ns;
    snprintf(r->why, sizeof r->why, "%s", why);
}

/* The path of the link whose record it claims to be; NULL: of no link of this channel, or no memory to count it. */
static struct path *
counted_path(struct inst *inst, const char *link)
{
    const struct end *end = end_find(inst->d, link, 'a');
    struct path *p = end ? path_of(end, inst) : NULL;

    if (p && !p->refused)
        p->refused = calloc(1, sizeof *p->refused);
    return p && p->refused ? p : NULL;
}

static void
tell(const struct inst *inst, const char *link, const char *why, uint64_t more)
{
    if (more)
        rk_log(RK_LOG_WARNING, "ev=record-refused link=%s channel=%s why=\"%s\" note=\"and %llu more before it\"", link,
               inst->conf->name, why, (unsigned long long)more);
    else
        rk_log(RK_LOG_WARNING, "ev=record-refused link=%s channel=%s why=\"%s\"", link, inst->conf->name, why);
}

/* Those that are of no link share the lines of their channel: anyone may invent names. */
void
refused_note(struct inst *inst, const char *link, const char *why)
{
    int64_t now_ns = rk_now_ns();
    struct path *path = counted_path(inst, link);
    struct refusals *r = path ? path->refused : &inst->refused;
    uint64_t more;

    count(&inst->refused, why, now_ns);
    if (path)
        count(r, why, now_ns);
    if (rk_quiet_may(&r->quiet, now_ns, &more))
        tell(inst, rk_name_ok(link, RK_LINK_MAX) ? link : "?", why, more);
    else if (inst->tell_rest_ns == 0)
        inst->tell_rest_ns = now_ns + RK_QUIET_NS;
}

static void
tell_rest_of(struct inst *inst, const char *link, struct refusals *r, int64_t now_ns)
{
    uint64_t more = rk_quiet_owed(&r->quiet, now_ns);

    if (more)
        rk_log(RK_LOG_WARNING, "ev=record-refused link=%s channel=%s why=\"%s\" note=\"and %llu more like it\"", link,
               inst->conf->name, r->why, (unsigned long long)more);
    else if (r->quiet.left_out)
        inst->tell_rest_ns = r->quiet.since_ns + RK_QUIET_NS;
}

void
refused_tell_rest(struct inst *inst)
{
    const struct daemon *d = inst->d;
    int64_t now_ns = rk_now_ns();

    if (inst->tell_rest_ns == 0 || now_ns < inst->tell_rest_ns)
        return;
    inst->tell_rest_ns = 0;
    tell_rest_of(inst, "?", &inst->refused, now_ns);
    for (size_t i = 0; i < d->n_ends; i++) {
        const struct path *p = path_of(d->ends[i], inst);

        if (p && p->refused)
            tell_rest_of(inst, d->ends[i]->conf->name, p->refused, now_ns);
    }
}
