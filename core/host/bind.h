/* bind.h - which links a channel instance carries, and who the peer of each is
 *
 * A hash table; used by the host's main thread only.  100,000 links on one channel are foreseen, so a binding is as
 * long as its two names.
 */
#ifndef RK_BIND_H
#define RK_BIND_H

#include <rekey/channel.h>

#include <stddef.h>

struct rk_bind {
    struct rk_bind *next;
    const char *sae; /* the peer's; it stands behind link, in the same block */
    char link[];
};

struct rk_binds {
    struct rk_bind **slots; /* n_slots, a power of two; NULL as long as empty */
    size_t n_slots, n;
};

/* rk_bind_set - bind link to this peer, or change its peer;  sae "" ends the binding
 * ret: RK_OK; RK_E_CONTRACT: no link name, or a text too long; RK_E_NOMEM */
struct rk_bind_pair {
    const char *link, *sae;
};
int rk_bind_set(struct rk_binds *b, struct rk_bind_pair pair);

/* rk_bind_find - the binding of link; NULL: none */
struct rk_bind *rk_bind_find(const struct rk_binds *b, const char *link);

/* rk_binds_free - forget all bindings */
void rk_binds_free(struct rk_binds *b);

#endif
