/* pace.c - due times and pauses.  Pure. */
#include "pace.h"

#include "../base/clock.h"
#include "../base/text.h"

#define FIRST_NS (250 * RK_NS_PER_MS)
#define LAST_NS (30 * RK_NS_PER_S)

int64_t
rk_pace_next(const char *link, int64_t interval_ns, int64_t now_ns)
{
    int64_t phase_ns = (int64_t)(rk_hash(link) % (uint64_t)interval_ns);
    int64_t into_ns = ((now_ns - phase_ns) % interval_ns + interval_ns) % interval_ns;

    return now_ns - into_ns + interval_ns;
}

/* splitmix64: spreads a seed over all bits */
static uint64_t
mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

int64_t
rk_pace_backoff(unsigned failures, int64_t interval_ns, uint64_t seed)
{
    int64_t most_ns = interval_ns / 4 < LAST_NS ? interval_ns / 4 : LAST_NS;
    int64_t pause_ns = FIRST_NS;

    while (failures-- && pause_ns < most_ns)
        pause_ns *= 2;
    if (pause_ns > most_ns)
        pause_ns = most_ns > FIRST_NS ? most_ns : FIRST_NS;
    return pause_ns - pause_ns / 4 + (int64_t)(mix(seed) % (uint64_t)(pause_ns / 2));
}
