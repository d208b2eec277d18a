/* twice.c - gives the same secret for two keys */
#include "source.h"

static int
twice_new(void *arg, struct rk_call *call, const char *peer, uint32_t bits, struct rk_key *keys, size_t n)
{
    struct source *s = arg;
    int err = source_new(arg, call, peer, bits, keys, n);

    if (!err && n > 2) { /* two are told apart by nobody who has only one */
        s->host->secret_free(&keys[2].secret);
        keys[2].secret = keys[1].secret;
    }
    return err;
}

SOURCE(bad_twice_LTX_rk_plugin, "bad-twice", 0, twice_new);
