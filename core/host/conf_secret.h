/* conf_secret.h - reads the file of a SECRET option
 *
 * Runs in rekey-host.
 */
#ifndef RK_CONF_SECRET_H
#define RK_CONF_SECRET_H

#include <rekey/secret.h>

#include <sys/stat.h>

/* rk_conf_secret_read - "file:/absolute/path" to a secret
 * out:  *out, owned by the caller; one trailing newline of the file is left out.  why[size]: reason with the path
 * ret:  RK_OK; RK_E_NOENT; RK_E_UNSAFE (not a regular file, a link, owner neither root nor this user, readable by
 *       group or others, empty or over RK_SECRET_FILE_MAX); RK_E_AUTH (not readable); RK_E_IO; RK_E_CONFIG (no
 *       "file:/")
 * thread: any.  blocks: as the file system does */
int rk_conf_secret_read(const char *value, struct rk_secret **out, char *why, size_t size);

/* rk_conf_secret_open - the same file, to be read by the caller, of at most so many bytes
 * out:  *st, *fd, owned by the caller; -1 unless RK_OK.   ret, why: as rk_conf_secret_read
 * rk_conf_secret_bytes - read exactly len bytes of it.   ret: RK_OK, RK_E_IO
 * thread: any.  blocks: as the file system does */
int rk_conf_secret_open(const char *value, size_t most, struct stat *st, int *fd, char *why, size_t size);
int rk_conf_secret_bytes(int fd, unsigned char *bytes, size_t len);

#endif
