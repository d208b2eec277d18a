/* frame.h - one message as one packet of a SOCK_SEQPACKET socket, with descriptors
 *
 * The same frames run between rekeyd and its hosts and between rekeyctl and rekeyd.
 */
#ifndef RK_FRAME_H
#define RK_FRAME_H

#include "../base/limits.h"

#include <stddef.h>

/* rk_frame_send - send buf[len] with fds[n]
 * in:    sock;  buf[len], 1..RK_FRAME_MAX;  fds[n], 0..RK_FRAME_FDS, stay the caller's
 * ret:   0; -1 with errno (EAGAIN: the socket is full; EMSGSIZE)
 * thread: any, one sender at a time per socket.  blocks: as the socket does.  SIGPIPE: never */
int rk_frame_send(int sock, const void *buf, size_t len, const int *fds, size_t n);

/* rk_frame_recv - receive one frame
 * in:    buf[RK_FRAME_MAX].  out: fds[RK_FRAME_FDS] and *n: close-on-exec, the caller's to close
 * ret:   length [bytes]; 0 at the end of the connection; -1 with errno (EAGAIN; EMSGSIZE: the frame or
 *        its descriptors did not fit, nothing is returned of it) */
long rk_frame_recv(int sock, void *buf, int *fds, size_t *n);

#endif
