/* privs.h - what a host process may do: nothing but what its module declares
 *
 * Runs once, in the main thread, after the module is loaded and before an instance is made.
 */
#ifndef RK_PRIVS_H
#define RK_PRIVS_H

#include <stddef.h>
#include <stdint.h>

/* rk_privs_drop - no new privileges, no capability but CAP_NET_ADMIN where RK_CAP_NEEDS_NET_ADMIN asks for it and the
 *   process has it, and a network namespace of its own where the module needs no network
 * in:   caps of the module.   out: why[size] when it failed
 * ret:  RK_OK; RK_E_FATAL: a capability could not be dropped
 * note: the empty network is best effort (it needs CAP_SYS_ADMIN).  Root without capabilities still reads what root
 *       owns: that is how secret files are read */
int rk_privs_drop(uint32_t caps, char *why, size_t size);

/* rk_process_start - the first steps of a host process: no core file, ended with its parent, no inherited descriptor
 *   but 0..2 and keep_fd, an environment of TZ, LANG and JOURNAL_STREAM only, umask 077, SIGPIPE and terminal signals
 *   ignored
 * out:  why[size] when it failed.   ret: RK_OK or RK_E_FATAL */
int rk_process_start(int keep_fd, char *why, size_t size);

#endif
