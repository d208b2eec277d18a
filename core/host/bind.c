/* bind.c - bindings of a channel instance in a hash table with chains. */
#include "bind.h"

#include "../base/text.h"

#include <rekey/err.h>

#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 16

static struct rk_bind **
slot_of(struct rk_bind **slots, size_t n_slots, const char *link)
{
    return &slots[rk_hash(link) & (n_slots - 1)];
}

/* The pointer that points to link's binding, or where one would go. */
static struct rk_bind **
place_of(const struct rk_binds *b, const char *link)
{
    struct rk_bind **at = slot_of(b->slots, b->n_slots, link);

    while (*at && strcmp((*at)->link, link) != 0)
        at = &(*at)->next;
    return at;
}

static int
grow(struct rk_binds *b)
{
    size_t n_slots = b->n_slots ? 2 * b->n_slots : SLOTS_MIN;
    struct rk_bind **slots = calloc(n_slots, sizeof *slots);

    if (!slots)
        return RK_E_NOMEM;
    for (size_t i = 0; i < b->n_slots; i++)
        for (struct rk_bind *e = b->slots[i], *next; e; e = next) {
            struct rk_bind **at = slot_of(slots, n_slots, e->link);

            next = e->next;
            e->next = *at;
            *at = e;
        }
    free(b->slots);
    b->slots = slots;
    b->n_slots = n_slots;
    return RK_OK;
}

static void
unbind(struct rk_binds *b, const char *link)
{
    struct rk_bind **at = b->n ? place_of(b, link) : NULL;
    struct rk_bind *gone = at ? *at : NULL;

    if (!gone)
        return;
    *at = gone->next;
    free(gone);
    b->n--;
}

static struct rk_bind *
new_bind(struct rk_bind_pair pair)
{
    size_t link_size = strlen(pair.link) + 1, sae_size = strlen(pair.sae) + 1;
    struct rk_bind *e = malloc(sizeof *e + link_size + sae_size);

    if (!e)
        return NULL;
    memcpy(e->link, pair.link, link_size);
    memcpy(e->link + link_size, pair.sae, sae_size);
    e->sae = e->link + link_size;
    return e;
}

int
rk_bind_set(struct rk_binds *b, struct rk_bind_pair pair)
{
    struct rk_bind **at, *fresh;

    if (!rk_name_ok(pair.link, RK_LINK_MAX) || strlen(pair.sae) > RK_SAE_MAX)
        return RK_E_CONTRACT;
    if (pair.sae[0] == '\0') {
        unbind(b, pair.link);
        return RK_OK;
    }
    if (b->n >= b->n_slots && grow(b) != RK_OK)
        return RK_E_NOMEM;
    fresh = new_bind(pair);
    if (!fresh)
        return RK_E_NOMEM;
    unbind(b, pair.link);
    at = place_of(b, pair.link);
    fresh->next = *at;
    *at = fresh;
    b->n++;
    return RK_OK;
}

struct rk_bind *
rk_bind_find(const struct rk_binds *b, const char *link)
{
    return b->n ? *place_of(b, link) : NULL;
}

void
rk_binds_free(struct rk_binds *b)
{
    for (size_t i = 0; i < b->n_slots; i++)
        while (b->slots[i])
            unbind(b, b->slots[i]->link);
    free(b->slots);
    memset(b, 0, sizeof *b);
}
