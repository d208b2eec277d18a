/* mix.h - one key of several: the parts of a mixed key come together in the host of the device that gets it
 *
 * No code of the plugin runs for it, so it is done at once, on the main thread, whatever the device is busy with.
 */
#ifndef RK_MIX_H
#define RK_MIX_H

#include "call.h"

#include "../base/key_parts.h"

/* What a mixed key is bound to, and the parts that it is made of. */
struct rk_mix {
    struct rk_key_parts ids;                    /* n of them, "" left out */
    const struct rk_secret *part[RK_PARTS_MAX]; /* of each; NULL where it is left out.  Borrowed */
    const char *link, *sae, *other_sae;         /* the order of the SAE IDs does not matter */
    uint32_t bits;                              /* of the result: a multiple of 8 */
};

/* rk_mix_keys - the mixed key and its ID
 * out:  id[RK_KEY_ID_MAX + 1];  *out, owned by the caller:
 *       HKDF-SHA-256(salt "rekey mixed key", IKM, info), bits / 8 bytes, where, numbers big-endian,
 *       IKM = for each part that is there, in order: index from 0 (u16), length of its ID (u32), ID, length of its key
 *       (u32), key;  info = "rekey mix v1", then each with its length (u32) before it: link, lesser SAE ID, greater SAE
 *       ID, id; then bits (u32)
 * ret:  RK_OK; RK_E_CONTRACT: parts and IDs do not fit each other; as rk_key_parts_join(); RK_E_NOMEM, RK_E_FATAL
 * thread: any.  blocks: never.   src: design: doc/rotation.md */
int rk_mix_keys(const struct rk_mix *mix, char *id, struct rk_secret **out);

/* rk_run_mix - the verb MIX: fill call->reply
 * in:   call->msg.items[0]: link, sae, seq, role (0: no tag is asked for);  the others: each part's key_id and key
 * note: the parts are wiped, whatever becomes of it.   thread: main.   blocks: never */
void rk_run_mix(struct rk_call *call);

/* rk_mix_wrong - what of a call of the verb MIX cannot be; NULL: nothing */
const char *rk_mix_wrong(const struct rk_call *call);

#endif
