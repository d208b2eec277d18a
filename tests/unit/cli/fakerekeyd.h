/* fakerekeyd.h - a daemon for the tests of rekeyctl: a process that answers each connection as a test says
 *
 * And a way to run rekeyctl within the test, its output kept.
 */
#ifndef RK_FAKEREKEYD_H
#define RK_FAKEREKEYD_H

#include "core/cli/cli.h"
#include "core/ipc/msg.h"

/* fake_serve_fn - answer one connection, in the daemon's process;  n  number of the connection, from 0 */
typedef void fake_serve_fn(int sock, const struct rk_ask *ask, int n);

/* What one run of rekeyctl did. */
struct fake_run {
    int code;
    char *out, *err; /* owned: fake_run_free */
};

/* fake_start - listen at fake_socket() and answer with serve;  fake_stop - end it, remove the socket.   src: design */
void fake_start(fake_serve_fn *serve);
void fake_stop(void);

/* fake_socket - path of the socket;  fake_dir - folder that it is in.   own: static.   src: design */
const char *fake_socket(void);
const char *fake_dir(void);

/* fake_ctl - run "rekeyctl WORDS";  words: separated by one blank; the word @ is the socket.   src: design
 * fake_run_free - free what it has written, which nothing refers to afterwards
 * fake_end - teardown of a test: the daemon is stopped, and the last run freed */
void fake_ctl(struct fake_run *r, const char *words);
void fake_run_free(struct fake_run *r);
int fake_end(void **state);

/* fake_row, fake_done, fake_raw - send a frame of the answer.   src: core/ipc/msg.h */
void fake_row(int sock, const char *json);
void fake_done(int sock, unsigned code, const char *text);
void fake_raw(int sock, const void *bytes, size_t n);

#endif
