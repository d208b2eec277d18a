/* inst.c - the table of instances, sorted by id: rekeyd counts up, so adding is at the end. */
#include "inst.h"

#include <rekey/err.h>

#include <stdlib.h>
#include <string.h>

/* Index of the first instance whose id is not below id. */
static size_t
lower_bound(const struct rk_insts *t, uint32_t id)
{
    size_t lo = 0, hi = t->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (t->list[mid]->id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct rk_inst *
rk_inst_find(const struct rk_insts *t, uint32_t id)
{
    size_t i = lower_bound(t, id);

    return i < t->n && t->list[i]->id == id ? t->list[i] : NULL;
}

static int
make_room(struct rk_insts *t)
{
    size_t room = t->room ? 2 * t->room : 8;
    struct rk_inst **list;

    if (t->n < t->room)
        return RK_OK;
    list = realloc(t->list, room * sizeof *list);
    if (!list)
        return RK_E_NOMEM;
    t->list = list;
    t->room = room;
    return RK_OK;
}

int
rk_inst_add(struct rk_insts *t, const struct rk_module *module, uint32_t id, struct rk_inst **out)
{
    size_t i = lower_bound(t, id);

    *out = NULL;
    if (t->n >= RK_INSTANCES_MAX || (i < t->n && t->list[i]->id == id))
        return RK_E_CONTRACT;
    if (make_room(t) != RK_OK || !(*out = calloc(1, sizeof **out)))
        return RK_E_NOMEM;
    (*out)->id = id;
    (*out)->module = module;
    memmove(&t->list[i + 1], &t->list[i], (t->n - i) * sizeof(struct rk_inst *));
    t->list[i] = *out;
    t->n++;
    return RK_OK;
}

void
rk_inst_take(struct rk_insts *t, struct rk_inst *inst)
{
    size_t i = lower_bound(t, inst->id);

    if (i == t->n || t->list[i] != inst)
        return;
    t->n--;
    memmove(&t->list[i], &t->list[i + 1], (t->n - i) * sizeof(struct rk_inst *));
}

void
rk_inst_free(struct rk_inst **inst)
{
    if (!*inst)
        return;
    rk_chankeys_free(&(*inst)->keys);
    rk_binds_free(&(*inst)->binds);
    free(*inst);
    *inst = NULL;
}
