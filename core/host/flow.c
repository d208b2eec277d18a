/* flow.c - see flow.h. */
#include "flow.h"

#include "../base/clock.h"
#include "../base/text.h"

#define STEP_NS (RK_NS_PER_S / RK_RECORDS_PER_S)

enum rk_flow_way
rk_flow_take(struct rk_flow *f, const char *record, int64_t now_ns)
{
    uint64_t hash = rk_hash(record);

    for (unsigned i = 0; i < RK_REPEATS_MAX; i++)
        if (f->seen[i].hash == hash) {
            if (now_ns < f->seen[i].pass_ns)
                return RK_FLOW_DROP;
            f->seen[i].pass_ns = now_ns + RK_REPEAT_MS * RK_NS_PER_MS;
            return RK_FLOW_PASS;
        }
    if (f->full_ns < now_ns)
        f->full_ns = now_ns;
    if (f->full_ns - now_ns > (RK_RECORDS_BURST - 1) * STEP_NS)
        return RK_FLOW_OVER;
    f->full_ns += STEP_NS;
    f->seen[f->next].hash = hash;
    f->seen[f->next].pass_ns = now_ns + RK_REPEAT_MS * RK_NS_PER_MS;
    f->next = (f->next + 1) % RK_REPEATS_MAX;
    return RK_FLOW_PASS;
}
