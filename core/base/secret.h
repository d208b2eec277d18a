/* secret.h - implementation side of include/rekey/secret.h
 *
 * Used in rekey-host, rekey-plugin-check and tests, never in rekeyd: rekeyd moves descriptors of sealed memfds and
 * wipes those that it drops (rk_secret_fd_wipe), but never maps or reads one.
 */
#ifndef RK_BASE_SECRET_H
#define RK_BASE_SECRET_H

#include <rekey/secret.h>

/* The functions of struct rk_host with these names; documented in rekey/plugin.h. */
int rk_secret_new(size_t len, rk_fill_fn *fill, void *arg, struct rk_secret **out);
int rk_secret_use(const struct rk_secret *s, rk_use_fn *use, void *arg);
size_t rk_secret_len(const struct rk_secret *s);
void rk_secret_free(struct rk_secret **s);

/* rk_secret_send - move a secret into a memfd whose size is sealed
 * in:   *s, taken: freed and NULL on every return
 * ret:  a descriptor (close-on-exec), owned by the caller; -1 when the kernel refused (errno)
 * thread: any.  blocks: never */
int rk_secret_send(struct rk_secret **s);

/* rk_secret_receive - move a secret out of a memfd: bytes to locked memory, memfd wiped and closed
 * in:   fd, taken on every return.  out: *out, owned by the caller
 * ret:  RK_OK; RK_E_CONTRACT when it is no memfd, its size is not sealed or not 1..RK_SECRET_MAX, or it
 *       holds only zeros (it was wiped); RK_E_NOMEM */
int rk_secret_receive(int fd, struct rk_secret **out);

/* rk_secret_fd_wipe - overwrite a memfd with zeros without reading it, and close it; fd may be -1 */
void rk_secret_fd_wipe(int fd);

/* rk_secret_peek - read a memfd of exactly len bytes, which stays as it is
 * in:   fd, the caller's;  bytes[len], locked memory of the caller
 * ret:  RK_OK; RK_E_CONTRACT as rk_secret_receive(), and when it has another size.   thread: any.  blocks: never */
int rk_secret_peek(int fd, unsigned char *bytes, size_t len);

/* rk_locked_new - memory for many keys: as that of a secret, zeroed
 * ret:  NULL: no memory;  else the caller's, for rk_locked_free(), which wipes it.   thread: any.  blocks: never */
void *rk_locked_new(size_t bytes);
void rk_locked_free(void *memory, size_t bytes);

/* rk_process_harden - no core files, not dumpable, so that no other user can read this process
 * ret:  RK_OK or RK_E_FATAL.   thread: at start */
int rk_process_harden(void);

#endif
