/* discover.c - links: { discover: DEVICE }: looks at the devices again and again, and changes the links accordingly.
 *
 * Runs in the loop.  A link that works is never lost because one look failed or missed it: it goes when an operator has
 * reloaded and it is not there, or after several looks in a row without it.  Nor is what a neighbour says believed at
 * once when it contradicts a link that is there, for LLDP is not signed.
 */
#include "discover.h"

#include "../base/err.h"
#include "../base/log.h"
#include "../base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAILED_MIN_MS 2000 /* pause after a look that failed; doubled up to discover-every */
#define UNUSED_SHOWN 50    /* links that are not used, in a status */

struct discover {
    struct wake wake; /* the next look: first member */
    struct discover *next;
    struct daemon *d;
    char device[RK_NAME_MAX + 1];
    int64_t every_ms;
    struct errand errand;
    bool looking, prune, gone, stays;
    bool again;                 /* when this look ends, another one */
    struct rk_found_link *seen; /* n, of the look under way */
    size_t n, room;
    bool nomem;
    unsigned failures;
    int errand_err;             /* of the look that has just ended */
    int64_t done_ns;            /* of the last look that succeeded; 0: none */
    int err;
    char why[RK_TEXT_MAX];
};

static void look(struct daemon *d, struct wake *w);

/* ---- a link of the device as one of the configuration ---- */

void
discover_link(const struct rk_conf_set *set, const char *device, const struct rk_found_msg *m,
              struct rk_found_link *out)
{
    const struct rk_found_end here = {m->sae, m->iface}, there = {m->peer_sae, m->peer_iface};
    const char *source = rk_found_source(set, m->settings, m->n),
               *kme = rk_found_setting(m->settings, m->n, "kme-host"), *plain = NULL;

    *out = (struct rk_found_link){.device_class = m->device_class};
    (void)rk_copy(out->device, sizeof out->device, device);
    memcpy(out->iface, m->iface, sizeof out->iface);
    memcpy(out->sae, m->sae, sizeof out->sae);
    memcpy(out->peer_sae, m->peer_sae, sizeof out->peer_sae);
    memcpy(out->peer_iface, m->peer_iface, sizeof out->peer_iface);
    memcpy(out->needs, m->why, sizeof out->needs);
    (void)rk_copy(out->source, sizeof out->source, source ? source : "");
    (void)rk_copy(out->kme, sizeof out->kme, kme ? kme : "");
    if (strpbrk(m->peer_sae, "/|"))
        plain = "the neighbour's name is no SAE ID, for it has / or | in it";
    else if (!rk_found_name(here, there, out->name))
        plain = !m->iface[0] || !m->sae[0] ? "the device does not say its interface or its own name"
                : !m->peer_sae[0] ? "no neighbour is known there: is LLDP on at both ends, and does it pass MACsec"
                : !m->peer_iface[0] ? "the neighbour does not say its interface: LLDP port-id-subtype interface-name"
                                    : "the neighbour is this end itself";
    if (plain) {
        out->name[0] = '\0';
        snprintf(out->why, sizeof out->why, "%s", m->why[0] ? m->why : plain);
    }
}

/* ---- what was found before, and now ---- */

static struct rk_found_link *
find(struct rk_found_link *list, size_t n, const char *device, const char *iface)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].iface, iface) == 0 && strcmp(list[i].device, device) == 0)
            return &list[i];
    return NULL;
}

static bool
same(const struct rk_found_link *a, const struct rk_found_link *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->peer_sae, b->peer_sae) == 0 &&
           strcmp(a->source, b->source) == 0;
}

/* An old link that this look does not show as it was.   ret: it stays for now */
static bool
spare(struct discover *v, struct rk_found_link *old, const struct rk_found_link *now)
{
    bool stays = old->used && !v->prune && ++old->missed < RK_DISCOVER_ROUNDS;

    if (!old->used)
        return false;
    if (!stays)
        rk_log(RK_LOG_NOTICE, "ev=discover-gone device=%s interface=%s link=%s looks=%u why=\"%s\"", v->device,
               old->iface, old->name, old->missed, v->prune ? "not found at a reload" : "not found several times");
    else if (old->missed == 1)
        rk_log(RK_LOG_WARNING, "ev=discover-missed device=%s interface=%s link=%s why=\"%.*s\" note=\"it stays unless "
               "%d looks in a row say so, or rekeyctl reload\"", v->device, old->iface, old->name, RK_WHY_MAX,
               !now ? "the device does not name it now" : now->why[0] ? now->why : "its neighbour is another one now",
               RK_DISCOVER_ROUNDS);
    return stays;
}

/* What is known of all devices, with this look of one of them.   ret: false: no memory */
static bool
merge(struct discover *v, bool *changed)
{
    struct rk_found_list *all = &v->d->found;
    struct rk_found_link *list = calloc(all->n + v->n + 1, sizeof *list);
    size_t n = 0, first = 0, n_old = 0;

    if (!list)
        return false;
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->list[i].device, v->device) != 0)
            list[n++] = all->list[i];
        else if (n_old++ == 0)
            first = i;
    for (size_t i = first; i < first + n_old; i++) { /* those of a device are together */
        struct rk_found_link *old = &all->list[i], *now = find(v->seen, v->n, v->device, old->iface);

        if (now && same(old, now)) {
            now->used = old->used;
            memcpy(now->why, old->why, sizeof now->why);
        } else if (spare(v, old, now)) {
            list[n++] = *old;
            if (now)
                now->device[0] = '\0'; /* not this time */
        } else {
            *changed = true;
        }
    }
    for (size_t i = 0; i < v->n; i++) {
        if (!v->seen[i].device[0])
            continue;
        *changed |= n_old == 0 || !find(&all->list[first], n_old, v->device, v->seen[i].iface);
        list[n++] = v->seen[i];
    }
    free(all->list);
    *all = (struct rk_found_list){list, n};
    return true;
}

static void
show_unused(const struct discover *v)
{
    const struct rk_found_list *all = &v->d->found;

    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->list[i].device, v->device) == 0 && !all->list[i].used)
            rk_log(RK_LOG_WARNING, "ev=discover-unused device=%s interface=%s why=\"%s\"", v->device,
                   all->list[i].iface, all->list[i].why);
}

/* ---- one look after the other ---- */

static void
pause_after(struct discover *v)
{
    int64_t ms = v->every_ms;

    if (v->err) {
        ms = FAILED_MIN_MS;
        for (unsigned i = 1; i < v->failures && ms < v->every_ms; i++)
            ms *= 2;
        ms = ms < v->every_ms ? ms : v->every_ms;
    }
    wake_at(v->d, &v->wake, v->again ? rk_now_ns() : rk_now_ns() + ms * RK_NS_PER_MS);
    v->again = false;
}

static void
take_look(struct discover *v)
{
    bool changed = v->done_ns == 0 || v->failures;
    char text[RK_TEXT_MAX] = "";

    if (!merge(v, &changed)) {
        v->err = RK_E_NOMEM;
        snprintf(v->why, sizeof v->why, "out of memory");
        return;
    }
    v->done_ns = rk_now_ns();
    v->prune = false;
    if (!changed)
        return;
    v->err = setup_refind(v->d, text, sizeof text);
    if (v->err)
        snprintf(v->why, sizeof v->why, "%s", text);
    rk_log(v->err ? RK_LOG_ERR : RK_LOG_NOTICE, "ev=discover device=%s found=%zu res=%s note=\"%s\"", v->device, v->n,
           rk_err_name(v->err), text);
    show_unused(v);
}

static void
discover_end(struct discover *v)
{
    wake_off(v->d, &v->wake);
    free(v->seen);
    free(v);
}

/* Not where the call ends, for a change of the links may end its host. */
static void
looked(struct daemon *d, struct wake *w)
{
    struct discover *v = (struct discover *)w;
    int before = v->err;

    (void)d;
    v->looking = false;
    if (v->gone) {
        discover_end(v);
        return;
    }
    v->err = v->nomem ? RK_E_NOMEM : v->errand_err;
    if (v->err && v->err != before)
        rk_log(RK_LOG_WARNING, "ev=discover device=%s res=%s why=\"%s\" note=\"its links stay as they are\"", v->device,
               rk_err_name(v->err), v->why);
    if (!v->err)
        take_look(v);
    v->failures = v->err ? v->failures + 1 : 0;
    free(v->seen);
    v->seen = NULL;
    v->n = v->room = 0;
    v->wake.fn = look;
    pause_after(v);
}

static void
on_done(void *arg, int err, const char *why)
{
    struct discover *v = arg;

    v->errand_err = err;
    snprintf(v->why, sizeof v->why, "%s", err ? why : "");
    v->wake.fn = looked;
    wake_at(v->d, &v->wake, rk_now_ns());
}

static void
on_found(void *arg, const struct rk_found_msg *m)
{
    struct discover *v = arg;

    if (v->n == v->room) {
        size_t room = v->room ? 2 * v->room : 16;
        struct rk_found_link *more = reallocarray(v->seen, room, sizeof *more);

        if (!more) {
            v->nomem = true;
            return;
        }
        v->seen = more;
        v->room = room;
    }
    discover_link(v->d->conf, v->device, m, &v->seen[v->n++]);
}

static void
look(struct daemon *d, struct wake *w)
{
    struct discover *v = (struct discover *)w;
    struct inst *inst = inst_find(d, v->device);

    v->looking = true;
    v->nomem = false;
    v->errand = (struct errand){.inst = inst, .verb = RK_V_DISCOVER, .budget_ms = RK_DISCOVER_MS, .found = on_found,
                                .done = on_done, .arg = v};
    if (inst)
        errand_add(&v->errand);
    else
        on_done(v, RK_E_NOENT, "the device is not in the configuration");
}

/* ---- which devices ---- */

static struct discover *
discover_of(struct daemon *d, const char *device)
{
    struct discover *v = d->discovers;

    while (v && (v->gone || strcmp(v->device, device) != 0))
        v = v->next;
    return v;
}

static void
begin(struct daemon *d, const char *device)
{
    struct discover *v = calloc(1, sizeof *v);

    if (!v) {
        rk_log(RK_LOG_ERR, "ev=discover device=%s res=no-memory", device);
        return;
    }
    v->d = d;
    v->stays = true;
    (void)rk_copy(v->device, sizeof v->device, device);
    v->next = d->discovers;
    d->discovers = v;
    v->wake.fn = look;
    wake_at(d, &v->wake, rk_now_ns());
}

static void
end_others(struct daemon *d)
{
    for (struct discover **at = &d->discovers; *at;) {
        struct discover *v = *at;

        if (v->stays) {
            v->stays = false;
            at = &v->next;
            continue;
        }
        *at = v->next;
        v->gone = true;
        if (v->looking)
            errand_stop(&v->errand); /* it is freed when its end is heard */
        else
            discover_end(v);
    }
}

void
discover_follow(struct daemon *d)
{
    const struct rk_conf_set *set = d->conf;

    for (size_t i = 0; i < set->n_discovers; i++) {
        const char *device = set->instances[set->discovers[i].device].name;
        struct discover *v = discover_of(d, device);

        if (!v)
            begin(d, device);
        v = discover_of(d, device);
        if (!v)
            continue;
        v->stays = true;
        v->every_ms = set->discovers[i].every_ms;
    }
    end_others(d);
}

void
discover_again(struct daemon *d)
{
    for (struct discover *v = d->discovers; v; v = v->next) {
        v->prune = v->done_ns != 0;
        v->again = v->looking;
        if (!v->looking)
            wake_at(d, &v->wake, rk_now_ns());
    }
}

void
discover_free(struct daemon *d)
{
    free(d->found.list);
    d->found = (struct rk_found_list){NULL, 0};
}

/* ---- for people ---- */

static json_t *
unused_of(const struct discover *v, size_t *found, size_t *used, size_t *missed)
{
    const struct rk_found_list *all = &v->d->found;
    json_t *list = json_array();

    *found = *used = *missed = 0;
    for (size_t i = 0; i < all->n; i++) {
        const struct rk_found_link *f = &all->list[i];

        if (strcmp(f->device, v->device) != 0)
            continue;
        ++*found;
        *used += f->used;
        *missed += f->missed != 0;
        if (!f->used && json_array_size(list) < UNUSED_SHOWN)
            json_array_append_new(list, json_pack("{ss ss ss}", "interface", f->iface, "peer_sae", f->peer_sae, "why",
                                                  f->why));
    }
    return list;
}

json_t *
discover_rows(const struct daemon *d, int64_t now_ns)
{
    json_t *rows = json_array();

    for (const struct discover *v = d->discovers; v; v = v->next) {
        size_t found, used, missed;
        json_t *unused = unused_of(v, &found, &used, &missed);

        json_array_append_new(
            rows, json_pack("{ss ss so so sI sI sI so}", "device", v->device, "result",
                            v->done_ns || v->err ? rk_err_name(v->err) : "not-yet", "why",
                            v->err ? json_string(v->why) : json_null(), "ago_ms",
                            v->done_ns ? json_integer((now_ns - v->done_ns) / RK_NS_PER_MS) : json_null(), "found",
                            (json_int_t)found, "used", (json_int_t)used, "missed", (json_int_t)missed, "unused",
                            unused));
    }
    return rows;
}
