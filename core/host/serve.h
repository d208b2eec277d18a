/* serve.h - a host's main loop
 *
 * One thread: reads frames of rekeyd, starts calls on workers, sends replies, and watches the clock for all of them.
 */
#ifndef RK_SERVE_H
#define RK_SERVE_H

#include "loader.h"

/* Exit codes of rekey-host. */
enum rk_exit { RK_EXIT_OK = 0, RK_EXIT_FAILED = 1, RK_EXIT_USAGE = 2, RK_EXIT_MODULE = 3, RK_EXIT_FATAL = 4 };

/* rk_serve_hello - tell rekeyd what module this is, or with error why it cannot be used
 * in:   sock;  m, NULL with error;  error, "" or NULL: none
 * ret:  RK_OK; RK_E_CONTRACT: its options do not fit in a frame; RK_E_IO.   blocks: as the socket does */
int rk_serve_hello(int sock, const struct rk_module *m, const char *error);

/* rk_serve - run calls until rekeyd closes the socket or a plugin asks for the end
 * in:   sock, set non-blocking;  m, loaded
 * ret:  the process's exit code: RK_EXIT_OK, RK_EXIT_FATAL.  Threads may still run: the caller must _exit() */
int rk_serve(int sock, const struct rk_module *m);

#endif
