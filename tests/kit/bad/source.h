/* source.h - a small key source that keeps its contract, for modules that break it in one way each
 *
 * Each key is a byte again and again, and its ID is a number: it is no source for anything but tests.
 */
#ifndef KIT_BAD_SOURCE_H
#define KIT_BAD_SOURCE_H

#include <rekey/source.h>

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct source {
    const struct rk_host *host;
    atomic_uint given;
};

static inline int
source_init(const struct rk_host *host, struct rk_call *call, const struct rk_conf *conf, void **out)
{
    struct source *s = calloc(1, sizeof *s);

    (void)conf;
    if (!s)
        return host->fail(call, RK_E_NOMEM, "out of memory");
    s->host = host;
    *out = s;
    return RK_OK;
}

static inline void
source_fini(void *inst)
{
    free(inst);
}

static inline int
source_fill(unsigned char *bytes, size_t len, void *arg)
{
    const struct source *s = arg;

    return s->host->random(bytes, len);
}

static inline int
source_make(struct source *s, uint32_t bits, struct rk_key *key)
{
    return s->host->secret_new(bits / 8, source_fill, s, &key->secret);
}

static inline int
source_new(void *arg, struct rk_call *call, const char *peer, uint32_t bits, struct rk_key *keys, size_t n)
{
    struct source *s = arg;

    (void)peer;
    for (size_t i = 0; i < n; i++) {
        snprintf(keys[i].id, sizeof keys[i].id, "k-%u", ++s->given);
        keys[i].err = source_make(s, bits, &keys[i]);
        if (keys[i].err)
            (void)s->host->fail(call, keys[i].err, "out of memory");
    }
    return keys[0].err;
}

static inline int
source_by_id(void *arg, struct rk_call *call, const char *peer, uint32_t bits, struct rk_key *keys, size_t n)
{
    struct source *s = arg;

    (void)peer;
    (void)bits;
    for (size_t i = 0; i < n; i++)
        keys[i].err = RK_E_KEY_GONE;
    return s->host->fail(call, RK_E_KEY_GONE, "it keeps no keys");
}

#define SOURCE(symbol, name_, caps_, get_new_) \
    static const struct rk_source_ops ops = {.size = sizeof ops, .get_new = get_new_, .get_by_id = source_by_id}; \
    extern const struct rk_plugin symbol; \
    __attribute__((visibility("default"))) const struct rk_plugin symbol = { \
        RK_PLUGIN_HEAD(RK_SOURCE, caps_), .name = name_, .version = "1", .summary = "breaks the contract in one way", \
        .init = source_init, .fini = source_fini, .ops = &ops}

#endif
