/* files.h - files that plugins trust: opened without following links, checked on the open descriptor, replaced whole
 *
 * Linked into plugins; runs on worker threads of rekey-host.  Every text that it gives names the path and a remedy,
 * never the content.
 */
#ifndef RKP_FILES_H
#define RKP_FILES_H

#include <rekey/plugin.h>

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct rkp_why {
    char text[320];
};

struct rkp_bytes {
    const void *bytes;
    size_t len;
};

/* What a file or directory must not allow. */
#define RKP_PRIVATE 077   /* closed to group and others */
#define RKP_NOT_SHARED 022 /* not writable by group or others */
#define RKP_GROUP_READS 037 /* closed to others, and to writing by group */

/* rkp_code - the code that fits errno e */
int rkp_code(int e);

/* rkp_open_dir - open a directory that is no link, belongs to root or this user, and has no mode bit of `forbidden`
 * out:  *fd, owned by the caller;  why, when it fails
 * ret:  RK_OK, RK_E_NOENT, RK_E_UNSAFE, RK_E_AUTH, RK_E_IO */
int rkp_open_dir(const char *path, mode_t forbidden, int *fd, struct rkp_why *why);

/* rkp_open_file - the same for a regular file `name` in dir_fd (or a path, with AT_FDCWD), for reading
 * rkp_open_file_of - the same for one that may belong to user `owner`, too */
int rkp_open_file(int dir_fd, const char *name, mode_t forbidden, int *fd, struct rkp_why *why);
int rkp_open_file_of(uid_t owner, const char *path, mode_t forbidden, int *fd, struct rkp_why *why);

/* rkp_check_parent - can nobody but root, this user and user `owner` put another file in the place of path
 * in:    owner  may be this user
 * note:  the folder that path is in belongs to one of them, and is closed to writing by others, or sticky (as /tmp)
 * out:   why, when it fails.   ret: RK_OK, RK_E_NOENT, RK_E_UNSAFE, RK_E_AUTH, RK_E_IO */
int rkp_check_parent(uid_t owner, const char *path, struct rkp_why *why);

/* rkp_sync_parent - sync the folder that path is in, so that a new name in it is on the disk
 * ret:  0, or -1 with errno */
int rkp_sync_parent(const char *path);

/* rkp_read_small - read a whole open file into buf[size] with a NUL behind it
 * ret:  length [bytes]; -1: read failed (errno), or longer than size - 1 (EFBIG) */
ssize_t rkp_read_small(int fd, char *buf, size_t size);

/* rkp_write_all - ret: 0, or -1 with errno */
int rkp_write_all(int fd, struct rkp_bytes b);

/* rkp_replace - make b the content of name in dir_fd: at every instant the old or the new file is there, whole
 * in:   name, at most 200 bytes;  mode  of the file;  durable  also after a loss of power (costs two fsync)
 * ret:  0, or -1 with errno; then the old content stays.  blocks: as the file system does */
int rkp_replace(int dir_fd, const char *name, struct rkp_bytes b, mode_t mode, bool durable);

/* rkp_is_temp - is name one that rkp_replace uses before it renames */
bool rkp_is_temp(const char *name);

/* rkp_pause - wait until fd (or -1) is readable, at most ms [ms], within the budget, and not beyond a cancel
 * ret:  1 fd is readable; 0 ms is over; RK_E_CANCELED; RK_E_TIMEOUT the budget is over; RK_E_IO */
int rkp_pause(const struct rk_host *host, const struct rk_call *call, int fd, int64_t ms);

#endif
