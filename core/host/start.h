/* start.h - rekey-host from its arguments to its exit code
 *
 * The whole program but main().
 */
#ifndef RK_START_H
#define RK_START_H

/* rk_host_main - run rekey-host;  ret: exit code (enum rk_exit in serve.h).  Threads may still run: _exit() with it */
int rk_host_main(int argc, char **argv);

#endif
