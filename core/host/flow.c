/* flow.c - see flow.h. */
#include "flow.h"

#include "../base/clock.h"
#include "../base/text.h"

#define STEP_NS (RK_NS_PER_S / RK_RECORDS_PER_S)

/* FNV's upper half is the better one; the lower one is not thrown away. */
static uint32_t
short_hash(const char *record)
{
    uint64_t hash = rk_hash(record);

    return (uint32_t)(hash >> 32 ^ hash);
}

enum rk_flow_way
rk_flow_take(struct rk_flow *f, const char *record, int64_t now_ns)
{
    uint32_t hash = short_hash(record), now_ms = (uint32_t)(now_ns / RK_NS_PER_MS);

    for (unsigned i = 0; i < RK_REPEATS_MAX; i++)
        if (f->seen[i].hash == hash) {
            if (now_ms - f->seen[i].passed_ms < RK_REPEAT_MS)
                return RK_FLOW_DROP;
            f->seen[i].passed_ms = now_ms;
            return RK_FLOW_PASS;
        }
    if (f->full_ns < now_ns)
        f->full_ns = now_ns;
    if (f->full_ns - now_ns > (RK_RECORDS_BURST - 1) * STEP_NS)
        return RK_FLOW_OVER;
    f->full_ns += STEP_NS;
    f->seen[f->next].hash = hash;
    f->seen[f->next].passed_ms = now_ms;
    f->next = (f->next + 1) % RK_REPEATS_MAX;
    return RK_FLOW_PASS;
}
