/* tidy.c - a device that outlives its process keeps the keys of earlier rows, and a class A one has four slots only: so
 * what this program staged there is taken away again, as rekeyd would do with keys that a crash left behind.
 */
#include "check.h"

#include "../base/text.h"

#include <string.h>

void
rk_check_staged(struct rk_check *ck, const struct rk_check_key *key)
{
    struct rk_check_key *slot = &ck->staged[ck->n_staged++ % RK_CHECK_STAGED];

    *slot = (struct rk_check_key){.seq = key->seq};
    rk_copy(slot->id, sizeof slot->id, key->id);
}

/* The next keys go round from the slot of this one. */
static void
go_on_from(struct rk_check *ck, const struct rk_check_key *key)
{
    rk_copy(ck->cur, sizeof ck->cur, key->id);
    ck->cur_seq = key->seq;
    while ((ck->seq & 3) != (key->seq & 3))
        ck->seq++;
}

/* Some of them, as many as one observe may ask for. */
static int
tidy_some(struct rk_check *ck, struct rk_check_host *h, const struct rk_check_key *const *keys, size_t n)
{
    uint32_t held[RK_SEEN_KEYS], budget_ms = (uint32_t)ck->conf.budget_ms;
    int err = rk_check_observe(ck, h, keys, n, budget_ms);

    for (size_t i = 0; !err && i < n; i++)
        held[i] = h->reply.n == 1 ? h->reply.items->key[i].held : 0;
    for (size_t i = 0; !err && i < n; i++) {
        if (held[i] & RK_SENDING)
            go_on_from(ck, keys[i]);
        else if (held[i])
            err = rk_check_apply(ck, h, &(struct rk_check_op){.op = RK_OP_RETIRE, .key = keys[i]}, 1, budget_ms);
    }
    return err;
}

int
rk_check_tidy(struct rk_check *ck, struct rk_check_host *h)
{
    size_t n = ck->n_staged < RK_CHECK_STAGED ? ck->n_staged : RK_CHECK_STAGED;
    const struct rk_check_key *keys[RK_CHECK_STAGED];
    struct rk_check_key cur;
    int err = RK_OK;

    ck->cur[0] = '\0';
    for (size_t i = 0; i < n; i++)
        keys[i] = &ck->staged[i];
    for (size_t i = 0; !err && i < n; i += RK_SEEN_KEYS)
        err = tidy_some(ck, h, keys + i, n - i < RK_SEEN_KEYS ? n - i : RK_SEEN_KEYS);
    cur.seq = ck->cur_seq;
    if (rk_copy(cur.id, sizeof cur.id, ck->cur) && cur.id[0])
        rk_check_staged(ck, &cur); /* it is not forgotten when many others are tried in vain */
    return err;
}

void
rk_check_tidy_up(struct rk_check *ck)
{
    struct rk_check_host h;

    ck->cur[0] = '\0';
    if (!ck->n_staged || ck->kind != RK_DEVICE || !rk_check_class_a(ck))
        return;
    if (rk_check_host_start(&h, &ck->paths) == RK_OK && rk_check_inst(ck, &h, RK_CHECK_AS_GIVEN) == RK_OK)
        (void)rk_check_tidy(ck, &h); /* when it cannot be done, the row will tell */
    (void)rk_check_host_end(&h);
}
