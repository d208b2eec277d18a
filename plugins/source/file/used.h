/* used.h - the list of key IDs that were given out, in a file that survives
 *
 * One ID per line; appended and synced before a key is given out.  The file is the truth: whoever gives out keys locks
 * it and reads first what others have appended.  A last line without newline was never finished: it is cut off.
 */
#ifndef FILE_USED_H
#define FILE_USED_H

#include <rekey/plugin.h>

#include <stddef.h>
#include <sys/types.h>

#define USED_BYTES_MAX (256 * 1024 * 1024) /* some 7 million UUIDs; nobody who comes there wants one file */

struct used {
    const struct rk_host *host;
    char *path;
    int fd;
    off_t read_to; /* all lines before were read */
};

/* used_open - open or make the file; ret: RK_OK, or a code stated by fail() */
int used_open(struct used *u, struct rk_call *call, const char *path);
void used_close(struct used *u);

/* used_lock - ret: RK_OK; RK_E_CANCELED, RK_E_TIMEOUT, RK_E_UNSAFE (the file was removed), RK_E_IO, stated */
int used_lock(struct used *u, struct rk_call *call);
void used_unlock(struct used *u);

/* used_read - give each ID that was not read yet to mark(arg, id); the lock is held
 * ret:  RK_OK, or a code stated by fail() with file and line */
int used_read(struct used *u, struct rk_call *call, void (*mark)(void *arg, const char *id), void *arg);

/* used_add - append lines[len], each with its newline, and sync; the lock is held and all was read
 * ret:  RK_OK: they will be there after a crash.  Else a code, stated; nothing may be given out */
int used_add(struct used *u, struct rk_call *call, const char *lines, size_t len);

#endif
