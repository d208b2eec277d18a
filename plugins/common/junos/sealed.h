/* sealed.h - CAKs that may be needed again: of the keys that are in use, to go to the fallback slot or back */
#ifndef JN_SEALED_H
#define JN_SEALED_H

#include "junos.h"

/* Whose key. */
struct jn_key_name {
    const char *iface, *ckn;
};
/* One key that is kept. */
struct jn_sealed_key {
    char iface[RK_IFACE_MAX + 1], ckn[JN_CKN_HEX + 1];
    struct rk_secret *secret;
    bool stored; /* it is the router's own form, as text; else the bytes of the CAK */
};

/* jn_sealed_put - keep a key
 * in:   *secret, taken (NULL after it), also when it fails.   ret: RK_OK, RK_E_NOMEM */
int jn_sealed_put(struct jn_device *d, struct jn_key_name name, bool stored, struct rk_secret **secret);
/* jn_sealed_copy - keep a copy of the router's own form.   ret: RK_OK, RK_E_NOMEM */
int jn_sealed_copy(struct jn_device *d, struct jn_key_name name, const struct rk_secret *stored);
/* jn_sealed_get - NULL: it is not there */
const struct jn_sealed_key *jn_sealed_get(const struct jn_device *d, struct jn_key_name name);
/* jn_sealed_drop - wipe all keys of the interface but these two ("" none) */
void jn_sealed_drop(struct jn_device *d, struct jn_key_name keep, const char *keep_too);
/* jn_sealed_free - wipe all */
void jn_sealed_free(struct jn_device *d);

#endif
