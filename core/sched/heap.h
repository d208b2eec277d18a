/* heap.h - timers of the event loop, the earliest first
 *
 * An intrusive 4-ary min-heap: a timer is a field of the thing that it wakes, so that nothing is allocated per
 * timer; only the array of slots grows.  Owned by the loop; never reads a clock and never calls anything back.
 */
#ifndef RK_HEAP_H
#define RK_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct rk_timer {
    int64_t at_ns; /* CLOCK_BOOTTIME */
    size_t pos;    /* 1-based place in the heap; 0: not in a heap */
};

/* When it is due stands beside the pointer too: to compare timers must not fetch the things that they are part of. */
struct rk_heap_slot {
    int64_t at_ns;
    struct rk_timer *t;
};

/* All zero: an empty heap. */
struct rk_heap {
    struct rk_heap_slot *slot;
    size_t n, cap;
};

/* rk_heap_put - add a timer, or move one that is in the heap already
 * in:   t  zeroed before its first use, in no other heap;  at_ns  when it is due
 * ret:  RK_OK; RK_E_NOMEM (nothing changed; never when t is in the heap already)
 * own:  t stays the caller's, and in place, until it is removed.  thread: loop only.  blocks: never.  cost: O(log n) */
int rk_heap_put(struct rk_heap *h, struct rk_timer *t, int64_t at_ns);

/* rk_heap_remove - take a timer out; nothing happens when it is not in
 * thread: loop only.  cost: O(log n) */
void rk_heap_remove(struct rk_heap *h, struct rk_timer *t);

/* rk_heap_first - the timer that is due first; NULL when there is none
 * own:  borrowed, still in the heap.  cost: O(1) */
struct rk_timer *rk_heap_first(const struct rk_heap *h);

/* rk_heap_free - forget all timers (their pos becomes 0) and free the array; h is an empty heap again */
void rk_heap_free(struct rk_heap *h);

#endif
