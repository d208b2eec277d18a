/* kdf.h - derivations, all by OpenSSL: HKDF-SHA-256, HMAC-SHA-256, SHA-256
 *
 * Runs in rekey-host (and tests), never in rekeyd.
 */
#ifndef RK_KDF_H
#define RK_KDF_H

#include "hmac.h"

#include "../ipc/msg.h"

#include "../base/secret.h"

/* rk_kdf_derive, rk_kdf_sha256 - struct rk_host.secret_derive and .sha256; documented in rekey/plugin.h */
int rk_kdf_derive(const struct rk_secret *key, const void *info, size_t info_len, size_t len, struct rk_secret **out);
int rk_kdf_sha256(const void *data, size_t len, unsigned char out[32]);

/* rk_kdf_salted - rk_kdf_derive with a salt, which is a text that is fixed by its purpose
 * out:  *out, owned by the caller.   ret: RK_OK, RK_E_CONTRACT (len), RK_E_NOMEM, RK_E_FATAL */
struct rk_kdf_label {
    const char *salt;
    const void *info;
    size_t info_len;
};
int rk_kdf_salted(const struct rk_secret *key, const struct rk_kdf_label *label, size_t len, struct rk_secret **out);

/* rk_kdf_confirm - the tag by which the end with this role (1 master, 2 slave) shows that it holds key
 * out:  hex[RK_CONFIRM_HEX + 1]: first 16 bytes of HMAC-SHA-256(HKDF(key, "rekey confirm v1"|link|id),
 *       link|id|seq|role),
 *       texts NUL-ended, seq as 8 bytes big-endian, role as one byte
 * ret:  RK_OK, RK_E_NOMEM, RK_E_FATAL.   src: design: doc/rotation.md */
int rk_kdf_confirm(const struct rk_secret *key, const char *link, const char *key_id, uint64_t seq, uint32_t role,
                   char *hex);

/* rk_kdf_confirms - the tags of both ends
 * in:   of  what they are about; role is that of this end
 * out:  mine, theirs[RK_CONFIRM_HEX + 1]: of this end and of the other one; NULL: not wanted.   ret: as above */
struct rk_confirm_of {
    const char *link, *key_id;
    uint64_t seq;
    uint32_t role;
};
struct rk_confirm {
    char *mine, *theirs;
};
int rk_kdf_confirms(const struct rk_secret *key, const struct rk_confirm_of *of, struct rk_confirm out);

/* rk_kdf_channel - the key that a link's key gives its channel, while it is in use
 * in:   of  link and key_id count.   out: *out, RK_CHANKEY_BYTES, owned by the caller: HKDF-SHA-256(key,
 *       "rekey channel v1"|link|key ID), texts NUL-ended
 * ret:  as rk_kdf_confirm.   src: design: doc/channels.md */
int rk_kdf_channel(const struct rk_secret *key, const struct rk_confirm_of *of, struct rk_secret **out);

/* rk_kdf_wrap - the key by which a link's channel keys are wrapped for the journal
 * out:  *out, 32 bytes, owned by the caller: HKDF-SHA-256(auth_key, "rekey wrap v1"|link), texts NUL-ended
 * ret:  as rk_kdf_confirm.   src: design: doc/channels.md */
int rk_kdf_wrap(struct rk_bytes auth_key, const char *link, struct rk_secret **out);

/* rk_kdf_record - the tag of a record
 * in:   key  an auth-key of the channel, or a channel key;  parties  who sends it and to whom;  text  the record
 *       without tag
 * out:  hex[RK_CONFIRM_HEX + 1]: first 16 bytes of HMAC-SHA-256(key, "rekey record v1"|from|to|text), NUL-ended texts
 * ret:  RK_OK, RK_E_NOMEM, RK_E_FATAL.   src: design: doc/channels.md */
struct rk_parties {
    const char *from_sae, *to_sae;
};
int rk_kdf_record(struct rk_bytes key, struct rk_parties parties, const char *text, char *hex);

#endif
