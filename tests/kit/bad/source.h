/* source.h - a small key source that keeps its contract, for modules that break it in one way each
 *
 * Each key is the digest of its ID: it is no source for anything but tests.
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
    unsigned mark; /* of this life: no ID is given twice */
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
    if (host->random(&s->mark, sizeof s->mark) != RK_OK) {
        free(s);
        return host->fail(call, RK_E_IO, "no random numbers");
    }
    *out = s;
    return RK_OK;
}

static inline void
source_fini(void *inst)
{
    free(inst);
}

struct source_of {
    const struct rk_host *host;
    const char *id;
};

/* Whoever knows the ID knows the key. */
static inline int
source_fill(unsigned char *bytes, size_t len, void *arg)
{
    const struct source_of *of = arg;
    unsigned char digest[32];
    int err = of->host->sha256(of->id, strlen(of->id), digest);

    for (size_t i = 0; !err && i < len; i++)
        bytes[i] = digest[i % sizeof digest];
    explicit_bzero(digest, sizeof digest);
    return err;
}

static inline int
source_make(struct source *s, struct rk_call *call, uint32_t bits, struct rk_key *key)
{
    struct source_of of = {s->host, key->id};

    key->err = s->host->secret_new(bits / 8, source_fill, &of, &key->secret);
    return key->err ? s->host->fail(call, key->err, "no key can be made") : RK_OK;
}

static inline int
source_new(void *arg, struct rk_call *call, const char *peer, uint32_t bits, struct rk_key *keys, size_t n)
{
    struct source *s = arg;
    int err = RK_OK;

    (void)peer;
    for (size_t i = 0; !err && i < n; i++) {
        snprintf(keys[i].id, sizeof keys[i].id, "k-%u-%u", s->mark, ++s->given);
        err = source_make(s, call, bits, &keys[i]);
    }
    return err;
}

static inline int
source_by_id(void *arg, struct rk_call *call, const char *peer, uint32_t bits, struct rk_key *keys, size_t n)
{
    int err = RK_OK;

    (void)peer;
    for (size_t i = 0; !err && i < n; i++)
        err = source_make(arg, call, bits, &keys[i]);
    return err;
}

#define SOURCE(symbol, name_, caps_, get_new_) \
    static const struct rk_source_ops ops = {.size = sizeof ops, .get_new = get_new_, .get_by_id = source_by_id}; \
    extern const struct rk_plugin symbol; \
    __attribute__((visibility("default"))) const struct rk_plugin symbol = { \
        RK_PLUGIN_HEAD(RK_SOURCE, caps_), .name = name_, .version = "1", .summary = "breaks the contract in one way", \
        .init = source_init, .fini = source_fini, .ops = &ops}

#endif
