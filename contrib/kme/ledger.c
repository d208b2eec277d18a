/* ledger.c - see ledger.h.  Pure. */
#include "ledger.h"

#include <core/base/text.h>
#include <rekey/err.h>

#include <stdlib.h>
#include <string.h>

struct pair {
    char master[RK_SAE_MAX + 1], slave[RK_SAE_MAX + 1];
    struct kme_waiting waiting;
    struct pair *next;
};

struct kme_ledger {
    struct pair *pairs;
    struct kme_shared *shared; /* a ring, made when it is used first */
    size_t n_shared;           /* ever */
};

struct kme_ledger *
kme_ledger_new(void)
{
    return calloc(1, sizeof(struct kme_ledger));
}

void
kme_ledger_free(struct kme_ledger *ledger)
{
    struct pair *pair;

    if (!ledger)
        return;
    while ((pair = ledger->pairs) != NULL) {
        ledger->pairs = pair->next;
        free(pair->waiting.id);
        free(pair);
    }
    free(ledger->shared);
    free(ledger);
}

struct kme_waiting *
kme_ledger_waiting(struct kme_ledger *ledger, const struct kme_names *names)
{
    struct pair *pair;

    if (!ledger)
        return NULL;
    for (pair = ledger->pairs; pair; pair = pair->next)
        if (strcmp(pair->master, names->master) == 0 && strcmp(pair->slave, names->slave) == 0)
            return &pair->waiting;
    pair = calloc(1, sizeof *pair);
    if (!pair)
        return NULL;
    rk_copy(pair->master, sizeof pair->master, names->master);
    rk_copy(pair->slave, sizeof pair->slave, names->slave);
    pair->next = ledger->pairs;
    ledger->pairs = pair;
    return &pair->waiting;
}

int
kme_waiting_start(struct kme_waiting *w, size_t n)
{
    w->n = 0;
    if (n > w->room) {
        free(w->id);
        w->id = calloc(n, sizeof *w->id);
        w->room = w->id ? n : 0;
    }
    return n > w->room ? RK_E_NOMEM : RK_OK;
}

void
kme_waiting_add(struct kme_waiting *w, const struct kme_id *id)
{
    if (w->n < w->room)
        w->id[w->n++] = *id;
}

static size_t
waiting_at(const struct kme_waiting *w, const struct kme_id *id)
{
    size_t i = 0;

    while (i < w->n && memcmp(&w->id[i], id, sizeof *id) != 0)
        i++;
    return i;
}

bool
kme_waiting_has(const struct kme_waiting *w, const struct kme_id *id)
{
    return waiting_at(w, id) < w->n;
}

void
kme_waiting_remove(struct kme_waiting *w, const struct kme_id *id)
{
    size_t i = waiting_at(w, id);

    if (i < w->n)
        w->id[i] = w->id[--w->n];
}

int
kme_ledger_share(struct kme_ledger *ledger, const struct kme_shared *shared)
{
    if (!ledger->shared)
        ledger->shared = calloc(KME_SHARED_MAX, sizeof *ledger->shared);
    if (!ledger->shared)
        return RK_E_NOMEM;
    ledger->shared[ledger->n_shared++ % KME_SHARED_MAX] = *shared;
    return RK_OK;
}

struct kme_shared *
kme_ledger_shared(struct kme_ledger *ledger, const struct kme_id *id)
{
    size_t n = ledger && ledger->shared ? ledger->n_shared : 0;

    for (size_t i = 0; i < n && i < KME_SHARED_MAX; i++)
        if (memcmp(&ledger->shared[i].id, id, sizeof *id) == 0)
            return &ledger->shared[i];
    return NULL;
}

int
kme_shared_at(const struct kme_shared *shared, const char *sae)
{
    for (size_t i = 0; i < shared->n; i++)
        if (strcmp(shared->other[i], sae) == 0)
            return (int)i;
    return -1;
}
