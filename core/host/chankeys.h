/* chankeys.h - all keys of a channel instance: auth-keys by link, and the channel keys that links' keys gave
 *
 * Runs in rekey-host.  Bytes are in locked memory, and wiped.  Of one link at most RK_CHANKEYS_MAX channel keys are
 * held.  The auth-key file is read again when it has changed.
 * A record is signed by one of them, and may be verified by any that is held of its link: the channel keys first.
 */
#ifndef RK_CHANKEYS_H
#define RK_CHANKEYS_H

#include "flow.h"
#include "kdf.h"
#include "wrap.h"

#include <rekey/channel.h>

struct rk_chankeys;

/* rk_chankeys_new - with the auth-keys of a file
 * in:   value  of the option: "file:/absolute/path".   out: *out, owned by the caller;  why[size]: FILE: line N: reason
 * ret:  RK_OK; as rk_conf_secret_read(); RK_E_CONFIG as rk_auth_parse()
 * thread: any.   blocks: as the file system does */
int rk_chankeys_new(const char *value, struct rk_chankeys **out, char *why, size_t size);

/* rk_chankeys_free - wipe and free; *keys becomes NULL, and may be NULL */
void rk_chankeys_free(struct rk_chankeys **keys);

/* rk_chankeys_look - read the file again when it has changed; one that is wrong is told once, and the old keys stay
 * thread: any, the others may run meanwhile.   blocks: as the file system does; hardly ever */
void rk_chankeys_look(struct rk_chankeys *keys);

/* rk_chankeys_add - hold one more channel key of a link
 * in:   of;  fd  of a sealed memfd, the caller's, which stays as it is.   out: hex[RK_WRAP_HEX + 1], wrapped
 * ret:  RK_OK; RK_E_CONTRACT: no names, no such memfd, or RK_CHANKEYS_MAX are held; RK_E_NOENT: the link has no
 *       auth-key; RK_E_NOMEM, RK_E_FATAL
 * rk_chankeys_wrap - one that is held, again.   ret: as rk_chankeys_add(); RK_E_NOENT: it is not held
 * rk_chankeys_restore - the same of a wrapped one.   ret: as rk_unwrap() beside
 * rk_chankeys_keep - of a link hold only these of ids[n]; those that are "" or not held do not matter.  When none is
 *                    left, the link is forgotten, and what it has brought (rk_chankeys_flow())
 * thread: any.   blocks: never */
int rk_chankeys_add(struct rk_chankeys *keys, const struct rk_wrap_of *of, int fd, char *hex);
int rk_chankeys_wrap(struct rk_chankeys *keys, const struct rk_wrap_of *of, char *hex);
int rk_chankeys_restore(struct rk_chankeys *keys, const struct rk_wrap_of *of, const char *hex);
void rk_chankeys_keep(struct rk_chankeys *keys, const char *link, const char *const *ids, size_t n);

/* A record without its tag, and what it is about. */
struct rk_signed {
    const char *link, *text;
    struct rk_parties parties;
};

/* rk_chankeys_sign - make the tag of a record
 * in:   by  key ID whose channel key is to sign; "", or one that is not held: the auth-key
 * out:  tag[RK_CONFIRM_HEX + 1];  used[RK_KEY_ID_MAX + 1]: the key ID that signed; "" the auth-key
 * ret:  RK_OK; RK_E_NOENT: the link has no auth-key; RK_E_FATAL.   thread: any.   blocks: never */
struct rk_tag_out {
    char *tag, *used;
};
int rk_chankeys_sign(struct rk_chankeys *keys, const struct rk_signed *s, const char *by, struct rk_tag_out out);

/* rk_chankeys_verify - is this the right tag
 * in:   tag  any text.   out: by[RK_KEY_ID_MAX + 1]: the key ID that signed; "" the auth-key
 * ret:  RK_OK; RK_E_AUTH: it is not; RK_E_NOENT: the link has no auth-key; RK_E_FATAL
 * thread: any.   blocks: never */
int rk_chankeys_verify(struct rk_chankeys *keys, const struct rk_signed *s, const char *tag, char *by);

/* rk_chankeys_flow - one more record of the link, whose tag was good: see rk_flow_take()
 * in:   record  with its tag.   thread: any.   blocks: never */
enum rk_flow_way rk_chankeys_flow(struct rk_chankeys *keys, const char *link, const char *record, int64_t now_ns);

#endif
