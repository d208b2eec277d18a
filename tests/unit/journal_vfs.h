/* journal_vfs.h - a disk that fails when told, and that remembers what a power cut would have left
 *
 * An SQLite VFS over the usual one, for tests only; installed as the default.  Calls on files are counted, and the
 * Nth, or all from the Nth on, fail in a given way.  Of one directory every write is logged until it is synced, so that
 * at any moment the files can be had as they may be after a power cut: each sector of what was not synced is on the
 * disk, or is not.
 */
#ifndef RK_TEST_JOURNAL_VFS_H
#define RK_TEST_JOURNAL_VFS_H

#include <stdbool.h>

/* What fails, and how. */
#define VFS_READ 0x1u
#define VFS_WRITE 0x2u
#define VFS_SYNC 0x4u
#define VFS_OPEN 0x8u
#define VFS_TRUNCATE 0x10u
#define VFS_DELETE 0x20u

enum vfs_how {
    VFS_EIO,
    VFS_FULL,
    VFS_SHORT,   /* half of it is written, then the disk is full */
    VFS_READONLY /* EROFS */
};

/* vfs_install - once, before SQLite is used */
void vfs_install(void);

/* vfs_fail - count calls of these kinds from now on; the at-th fails, and when not once all after it; at > 0
 * vfs_heal - no more of it.   vfs_failed - did one fail since vfs_fail() */
void vfs_fail(unsigned kinds, enum vfs_how how, long at, bool once);
void vfs_heal(void);
bool vfs_failed(void);

/* vfs_watch - log what is done to files in this directory, which is empty now; boundary() is called after each write,
 *             sync, truncation and deletion, and may use other directories.   dir NULL: no more, and forget the log
 * vfs_on_boundary - another boundary(), for what follows */
void vfs_watch(const char *dir, void (*boundary)(void *arg), void *arg);
void vfs_on_boundary(void (*boundary)(void *arg), void *arg);

/* vfs_image - write the watched files into the directory `to` as a power cut now might leave them
 * in:   seed  0: nothing that was not synced; 1: all of it; else some of its sectors, by chance */
void vfs_image(const char *to, unsigned seed);

#endif
