/* race.c - claims that its calls may run at once, and numbers its keys without a lock */
#include "source.h"

static int
race_new(void *arg, struct rk_call *call, const char *peer, uint32_t bits, struct rk_key *keys, size_t n)
{
    struct source *s = arg;
    unsigned first = s->given;

    (void)poll(NULL, 0, 20); /* as long as a request takes */
    s->given = first;
    return source_new(arg, call, peer, bits, keys, n);
}

SOURCE(bad_race_LTX_rk_plugin, "bad-race", RK_CAP_PARALLEL, race_new);
