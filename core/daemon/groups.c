/* groups.c - which links are due together: those that one call to the device and one to the source can carry.
 *
 * Links of one device, peer and source share a slot of their interval, as many as a call takes; the slots of such
 * groups are spread over the interval by a hash.  A link by itself has a slot of its own.  Runs in the loop.
 */
#include "daemon.h"

#include "../base/log.h"
#include "../base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Order of what may be in one group, before the names of the links. */
static int
compare_group(const struct end *a, const struct end *b)
{
    if (a->device != b->device)
        return a->device->number < b->device->number ? -1 : 1;
    if (a->source != b->source)
        return a->source->number < b->source->number ? -1 : 1;
    if (a->conf->interval_ms != b->conf->interval_ms)
        return a->conf->interval_ms < b->conf->interval_ms ? -1 : 1;
    return strcmp(a->conf->peer_sae, b->conf->peer_sae);
}

static int
compare(const void *a, const void *b)
{
    const struct end *const *x = a, *const *y = b;
    int order = compare_group(*x, *y);

    return order ? order : strcmp((*x)->conf->name, (*y)->conf->name);
}

/* The links of a group that is too big for one call get slots in equal parts, by their order. */
static void
give_slots(struct end **ends, size_t n)
{
    size_t parts = (n + RK_BATCH_MAX - 1) / RK_BATCH_MAX;
    char name[RK_NAME_MAX + RK_SAE_MAX + 32];

    for (size_t i = 0; i < n; i++) {
        struct end *end = ends[i];

        snprintf(name, sizeof name, "%s|%s|%zu", end->device->conf->name, end->conf->peer_sae, i * parts / n);
        end->slot = n > 1 ? rk_hash(name) : 0;
        end_configure(end);
        if (!end->other)
            continue;
        end->other->slot = end->slot;
        end_configure(end->other);
    }
}

void
groups_make(struct daemon *d)
{
    struct end **ends = malloc((d->n_ends + 1) * sizeof *ends);
    size_t n = 0;

    if (!ends) {
        rk_log(RK_LOG_WARNING, "ev=groups res=no-memory note=\"links are due one by one\"");
        return;
    }
    for (size_t i = 0; i < d->n_ends; i++)
        if (d->ends[i]->which == 'a')
            ends[n++] = d->ends[i];
    qsort(ends, n, sizeof(struct end *), compare);
    for (size_t at = 0, size; at < n; at += size) {
        for (size = 1; at + size < n && compare_group(ends[at], ends[at + size]) == 0;)
            size++;
        give_slots(ends + at, size);
    }
    free(ends);
}
