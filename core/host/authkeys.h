/* authkeys.h - the keys of an auth-key file, by link
 *
 * A file is one key, which is for all links; or lines:  LINK KEY, where LINK may be '*' for all links that have no line
 * of their own, and what is behind '#' at the start of a line is for people.  Of several keys of one link the first one
 * signs, and all verify.  Pure but for memory; fuzzed.
 */
#ifndef RK_AUTHKEYS_H
#define RK_AUTHKEYS_H

#include "hmac.h"

#include "../base/limits.h"

#include <stddef.h>

struct rk_auth_key {
    const char *link; /* "*": all others */
    const unsigned char *key;
    size_t len;
    int line;
};

/* By link, and of each link in the order of the file.  They point into the text. */
struct rk_auth_keys {
    struct rk_auth_key *list; /* n, at least one */
    size_t n;
};

/* rk_auth_parse - read the text of a file
 * in:   text[len + 1], which is changed (the last byte is only room), and stays where it is while the keys are used
 * out:  *out, for rk_auth_free(); zeroed unless RK_OK.  why[size]: "line N: what is wrong, and the remedy", never a key
 * ret:  RK_OK; RK_E_CONFIG; RK_E_NOMEM
 * thread: any.   blocks: never.   src: rekeyd.conf(5) */
int rk_auth_parse(unsigned char *text, size_t len, struct rk_auth_keys *out, char *why, size_t size);

/* rk_auth_of - the keys of a link: those of its own lines, else those of '*'
 * out:  keys[RK_AUTH_KEYS_MAX], the one that signs first.   ret: how many; 0: it has none
 * thread: any.   blocks: never.   src: rekeyd.conf(5) */
size_t rk_auth_of(const struct rk_auth_keys *all, const char *link, struct rk_bytes *keys);

/* rk_auth_free - forget them; the text is the caller's to wipe */
void rk_auth_free(struct rk_auth_keys *keys);

#endif
