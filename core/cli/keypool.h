/* keypool.h - a pool of keys that is being written: nobody sees it before it is whole and on the disk
 *
 * Used by rekeyctl keygen.  The pool is written beside its place, under a hidden name, and takes its place at the end.
 * Its memory is locked where the system allows that, and wiped.  Texts name the path and a remedy, never a key.
 */
#ifndef RK_CLI_KEYPOOL_H
#define RK_CLI_KEYPOOL_H

#include "../base/limits.h"

#include <stdbool.h>
#include <stddef.h>

struct rk_keypool;

/* rk_keypool_begin - begin a pool
 * in:   path  a file that is not there (append: one of lines, whose keys stay before the new ones); or a
 *             directory that is not there, with a '/' behind its name, or is empty
 * out:  *out, owned by the caller (rk_keypool_end);  why[RK_TEXT_MAX], when it fails
 * ret:  RK_OK, or a code of rekey/err.h.   thread: the only one.  blocks: as the file system does */
int rk_keypool_begin(const char *path, bool append, struct rk_keypool **out, char *why);

/* rk_keypool_same - are both to be put in one place;  rk_keypool_keys - keys in it, with those that were there
 * rk_keypool_path - its path as it was given */
bool rk_keypool_same(const struct rk_keypool *a, const struct rk_keypool *b);
size_t rk_keypool_keys(const struct rk_keypool *p);
const char *rk_keypool_path(const struct rk_keypool *p);

/* rk_keypool_add - add the key bytes[n] under id
 * out:  why[RK_TEXT_MAX], when it fails.   ret: RK_OK, or a code */
int rk_keypool_add(struct rk_keypool *p, const char *id, const unsigned char *bytes, size_t n, char *why);

/* rk_keypool_sync - all is written: have it on the disk
 * rk_keypool_publish - put it in its place, where nothing else may have come meanwhile
 * out:  why[RK_TEXT_MAX], when it fails.   ret: RK_OK, or a code */
int rk_keypool_sync(struct rk_keypool *p, char *why);
int rk_keypool_publish(struct rk_keypool *p, char *why);

/* rk_keypool_withdraw - take back what was published, when it is new: its other half could not be
 * ret:  is it gone */
bool rk_keypool_withdraw(struct rk_keypool *p);

/* rk_keypool_end - wipe and free; what was not published is removed.   in: *p, set to NULL; may be NULL */
void rk_keypool_end(struct rk_keypool **p);

#endif
