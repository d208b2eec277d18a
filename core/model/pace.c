/* pace.c - grid slots and backoff.  Pure. */
#include "pace.h"

#include "../base/clock.h"
#include "../base/log.h"
#include "../base/text.h"

#define BACKOFF_MIN_NS (250 * RK_NS_PER_MS)
#define BACKOFF_MAX_NS (30 * RK_NS_PER_S)

/* splitmix64: every bit of the result depends on every bit of x, so that names that differ in one letter do not
 * get neighbouring phases. */
static uint64_t
mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

int64_t
rk_pace_next(const char *link, int64_t interval_ns, int64_t now_ns)
{
    return rk_pace_slot(rk_hash(link), interval_ns, now_ns);
}

int64_t
rk_pace_slot(uint64_t slot, int64_t interval_ns, int64_t now_ns)
{
    int64_t phase, since;

    rk_assert(interval_ns > 0);
    phase = (int64_t)(mix(slot) % (uint64_t)interval_ns);
    /* time since the last slot, 0..interval-1; by remainders, for now - phase may overflow */
    since = now_ns % interval_ns - phase;
    since += since < 0 ? interval_ns : 0;
    since += since < 0 ? interval_ns : 0; /* now before 0 */
    if (now_ns > RK_NEVER - (interval_ns - since))
        return RK_NEVER;
    return now_ns + (interval_ns - since);
}

static int64_t
doubled(unsigned failures, int64_t most, uint64_t seed)
{
    int64_t pause = BACKOFF_MIN_NS;

    for (unsigned i = 1; i < failures && pause < most; i++)
        pause *= 2;
    if (pause > most)
        pause = most;
    if (pause < BACKOFF_MIN_NS)
        pause = BACKOFF_MIN_NS;
    return pause - pause / 4 + (int64_t)(mix(seed) % (uint64_t)(pause / 2 + 1));
}

int64_t
rk_pace_backoff(unsigned failures, int64_t interval_ns, uint64_t seed)
{
    return doubled(failures, interval_ns / 4 < BACKOFF_MAX_NS ? interval_ns / 4 : BACKOFF_MAX_NS, seed);
}

int64_t
rk_pace_costly(unsigned failures, int64_t interval_ns, uint64_t seed)
{
    return doubled(failures, interval_ns, seed);
}
