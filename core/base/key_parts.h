/* key_parts.h - the key ID of a key that was mixed of several sources
 *
 * It names every part, in the order of the link's sources, joined by '+': "ID+ID", or "ID+ID+ID".  A part that was left
 * out is empty.  A UUID is written as '~' and the base64url of its 16 bytes (22 characters), so that two of them and
 * something short fit RK_KEY_ID_MAX; other IDs stay as they are, and can neither hold '+' nor begin with '~'.
 * Pure; used in every process.
 */
#ifndef RK_KEY_PARTS_H
#define RK_KEY_PARTS_H

#include "limits.h"

#include <rekey/source.h>

#include <stdbool.h>

struct rk_key_parts {
    size_t n;                                 /* 2..RK_PARTS_MAX */
    char id[RK_PARTS_MAX][RK_KEY_ID_MAX + 1]; /* "" left out.  A UUID is in lower case */
};

/* rk_key_parts_join - the key ID of these parts
 * out:  id[RK_KEY_ID_MAX + 1], "" unless RK_OK;  *which  with an error, may be NULL: the part that is to blame
 * ret:  RK_OK; RK_E_CONTRACT: n is out of range, or all parts are left out; RK_E_PROTOCOL: a part's ID is none, or
 *       cannot be part of a mixed one; RK_E_CONFIG: together they are too long, and that part is the longest
 * thread: any.  blocks: never.  src: design: doc/rotation.md */
int rk_key_parts_join(const struct rk_key_parts *parts, char *id, size_t *which);

/* rk_key_parts_split - the parts of a key ID, which a peer may have sent
 * in:   id  any text;  n  how many parts it must have.   out: *parts, zeroed unless RK_OK
 * ret:  RK_OK; RK_E_PROTOCOL: anything that rk_key_parts_join() of n parts could not have written
 * thread: any.  blocks: never */
int rk_key_parts_split(const char *id, size_t n, struct rk_key_parts *parts);

/* rk_key_parts_missing - the first part that was left out of id, which has n parts; n: none, or it is not such an ID
 * thread: any.  blocks: never */
size_t rk_key_parts_missing(const char *id, size_t n);

/* rk_key_parts_likely - was this ID most likely mixed of several sources: for hints to people only
 * thread: any.  blocks: never */
bool rk_key_parts_likely(const char *id);

#endif
