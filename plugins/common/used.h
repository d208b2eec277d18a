/* used.h - the list of key IDs that were given out, in a file that survives
 *
 * Linked into sources; one call at a time per struct.
 * One ID per line; appended and synced before a key is given out.  The file is the truth: whoever gives out keys locks
 * it and reads first what others have appended.  A last line without newline was never finished: it is cut off.
 */
#ifndef RKP_USED_H
#define RKP_USED_H

#include <rekey/plugin.h>

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define RKP_USED_BYTES_MAX (256 * 1024 * 1024) /* some 7 million UUIDs; nobody who comes there wants one file */

struct rkp_used {
    const struct rk_host *host;
    char *path;
    int fd;
    off_t read_to; /* all lines before were read */
};

/* rkp_used_open - open or make the file; ret: RK_OK, or a code stated by fail() */
int rkp_used_open(struct rkp_used *u, struct rk_call *call, const char *path);
void rkp_used_close(struct rkp_used *u);

/* rkp_used_lock - ret: RK_OK; RK_E_CANCELED, RK_E_TIMEOUT, RK_E_UNSAFE (the file was removed), RK_E_IO, stated */
int rkp_used_lock(struct rkp_used *u, struct rk_call *call);
void rkp_used_unlock(struct rkp_used *u);

/* rkp_used_read - give each ID that was not read yet to mark(arg, id); the lock is held
 * ret:  RK_OK, or a code stated by fail() with file and line */
int rkp_used_read(struct rkp_used *u, struct rk_call *call, void (*mark)(void *arg, const char *id), void *arg);

/* rkp_used_has - is the ID in the list; the lock is held
 * out:  *has.   ret: as rkp_used_read.   cost: the whole list is read */
int rkp_used_has(const struct rkp_used *u, struct rk_call *call, const char *id, bool *has);

/* rkp_used_add - append lines[len], each with its newline, and sync; the lock is held and all was read
 * ret:  RK_OK: they will be there after a crash.  Else a code, stated; nothing may be given out */
int rkp_used_add(struct rkp_used *u, struct rk_call *call, const char *lines, size_t len);

#endif
