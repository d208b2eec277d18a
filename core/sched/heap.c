/* heap.c - the timer heap.
 *
 * Four children per node: half the depth of a binary heap, and the children are in one cache line or two.
 * pos is the index in slot[] plus one, so that a zeroed timer is one that is in no heap.
 */
#include "heap.h"

#include <rekey/err.h>

#include <stdlib.h>

#define WAYS 4
#define FIRST_CAP 64

static void
place(struct rk_heap *h, size_t i, struct rk_heap_slot slot)
{
    h->slot[i] = slot;
    slot.t->pos = i + 1;
}

static void
sift_up(struct rk_heap *h, size_t i, struct rk_heap_slot slot)
{
    while (i > 0) {
        size_t parent = (i - 1) / WAYS;

        if (h->slot[parent].at_ns <= slot.at_ns)
            break;
        place(h, i, h->slot[parent]);
        i = parent;
    }
    place(h, i, slot);
}

/* The earliest child of i; n when it has none. */
static size_t
first_child(const struct rk_heap *h, size_t i)
{
    size_t first = i * WAYS + 1, best = first;

    if (first >= h->n)
        return h->n;
    for (size_t c = first + 1; c < first + WAYS && c < h->n; c++)
        if (h->slot[c].at_ns < h->slot[best].at_ns)
            best = c;
    return best;
}

static void
sift_down(struct rk_heap *h, size_t i, struct rk_heap_slot slot)
{
    for (;;) {
        size_t child = first_child(h, i);

        if (child >= h->n || h->slot[child].at_ns >= slot.at_ns)
            break;
        place(h, i, h->slot[child]);
        i = child;
    }
    place(h, i, slot);
}

/* Put it, whose key may be anything, to where it belongs from i on. */
static void
settle(struct rk_heap *h, size_t i, struct rk_heap_slot slot)
{
    if (i > 0 && slot.at_ns < h->slot[(i - 1) / WAYS].at_ns)
        sift_up(h, i, slot);
    else
        sift_down(h, i, slot);
}

static int
grow(struct rk_heap *h)
{
    size_t cap = h->cap ? h->cap * 2 : FIRST_CAP;
    struct rk_heap_slot *slot = reallocarray(h->slot, cap, sizeof *slot);

    if (!slot)
        return RK_E_NOMEM;
    h->slot = slot;
    h->cap = cap;
    return RK_OK;
}

int
rk_heap_put(struct rk_heap *h, struct rk_timer *t, int64_t at_ns)
{
    if (t->pos != 0) {
        t->at_ns = at_ns;
        settle(h, t->pos - 1, (struct rk_heap_slot){at_ns, t});
        return RK_OK;
    }
    if (h->n == h->cap && grow(h) != RK_OK)
        return RK_E_NOMEM;
    t->at_ns = at_ns;
    sift_up(h, h->n++, (struct rk_heap_slot){at_ns, t});
    return RK_OK;
}

void
rk_heap_remove(struct rk_heap *h, struct rk_timer *t)
{
    size_t i = t->pos - 1;
    struct rk_heap_slot last;

    if (t->pos == 0)
        return;
    t->pos = 0;
    last = h->slot[--h->n];
    if (last.t != t)
        settle(h, i, last);
}

struct rk_timer *
rk_heap_first(const struct rk_heap *h)
{
    return h->n > 0 ? h->slot[0].t : NULL;
}

void
rk_heap_free(struct rk_heap *h)
{
    for (size_t i = 0; i < h->n; i++)
        h->slot[i].t->pos = 0;
    free(h->slot);
    *h = (struct rk_heap){0};
}
