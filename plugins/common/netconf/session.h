/* session.h - one session: its socket, its SSH, its messages; what the files of this folder share of it
 *
 * session.c opens and closes; resolve.c looks up names, connect.c connects; ssh.c waits; known.c and hostkey.c know
 * whom to trust; login.c and agent.c log in; stream.c reads and sends; rpc.c has requests and replies.  Runs on a
 * worker thread of rekey-host, one at a time per session.
 */
#ifndef NC_SESSION_H
#define NC_SESSION_H

#include "frame.h"
#include "hello.h"
#include "netconf.h"

#include <libssh2.h>

#define NC_WHERE_MAX 200
#define NC_GREETING_MAX 4096 /* what is kept of a server's first words, for texts [bytes] */

struct nc_session {
    const struct rk_host *host;
    struct rk_call *call;  /* of the function that runs */
    int64_t until_ms;      /* its own limit, monotonic */
    const char *doing;     /* what it is at, for texts */
    int fd;
    LIBSSH2_SESSION *ssh;
    LIBSSH2_CHANNEL *channel;
    bool over;             /* nothing can be sent or read any more */
    bool closing;          /* libssh2 is to give up at once */
    bool got;              /* the last read of the socket gave something */
    unsigned recv_calls;
    uintptr_t stale;       /* end of what was read into libssh2's memory and is not wiped; 0: nothing was read yet */
    size_t early_bytes;    /* what came before the subsystem was there */
    char *greeting;        /* the first of them; NULL when it is not of interest any more */
    size_t greeting_len;
    unsigned keepalive_s;
    int64_t keepalive_ms;  /* when the next one is due, monotonic */
    struct nc_frame in;
    struct nc_hello hello;
    uint64_t last_id;      /* message-id of the last request */
    char where[NC_WHERE_MAX]; /* "user@host port 830" */
};

/* nc_enter - a function with this call begins: at most limit_ms [ms], 0: as the budget says.   nc_leave - it ends */
void nc_enter(struct nc_session *s, struct rk_call *call, int64_t limit_ms);
void nc_leave(struct nc_session *s);

/* nc_now_ms - CLOCK_MONOTONIC [ms] */
int64_t nc_now_ms(void);

/* nc_left_ms - what is left of budget and limit [ms] */
int nc_left_ms(const struct nc_session *s);

/* nc_wait - wait until fd has events (poll), or for s->ssh to want to go on (fd -1); keepalives are sent meanwhile
 * ret:  RK_OK, RK_E_TIMEOUT, RK_E_CANCELED, RK_E_IO.   nc_stop - the same without waiting: may one go on? */
int nc_wait(struct nc_session *s, int fd, short events);
int nc_stop(const struct nc_session *s);

/* nc_again - libssh2 gave rc: is the same call to be made once more?
 * out:  *err, why not: what nc_wait gave, stated;  RK_OK when rc is not EAGAIN */
bool nc_again(struct nc_session *s, int rc, int *err);

/* nc_gave_up - state that the wait ended with err.   nc_broken - state that libssh2 failed with rc
 * ret:  the code: RK_E_TIMEOUT, RK_E_CANCELED, RK_E_IO; RK_E_UNREACHABLE, RK_E_PROTOCOL, RK_E_NOMEM */
int nc_gave_up(struct nc_session *s, int err);
int nc_broken(struct nc_session *s, int rc);

/* nc_connect - the socket (connect.c).   nc_resolve - addresses of a host; *list is for freeaddrinfo
 * ret:  RK_OK or a stated code */
struct addrinfo;
int nc_connect(struct nc_session *s, const struct nc_target *t);
int nc_resolve(struct nc_session *s, const struct nc_target *t, struct addrinfo **list);

/* nc_handshake - SSH up to the host's key, which is verified (hostkey.c).   nc_login - authentication (login.c)
 * nc_agent_login - the same by the agent at t->agent (agent.c).   ret: RK_OK or a stated code */
int nc_handshake(struct nc_session *s, const struct nc_target *t);
int nc_login(struct nc_session *s, const struct nc_target *t);
int nc_agent_login(struct nc_session *s, const struct nc_target *t);

/* nc_start_ssh - make s->ssh, which nc_wait and nc_again can wait for.   ret: RK_OK or a stated code */
int nc_start_ssh(struct nc_session *s);

/* nc_alloc - memory that is wiped when it is freed, for libssh2 and what it frees */
void *nc_alloc(size_t size);

/* nc_secret_memory - zeroed pages, locked and not dumped.   nc_secret_memory_free - wipe and unmap; NULL is fine
 * in:   the same size for both */
void *nc_secret_memory(size_t size);
void nc_secret_memory_free(void *bytes, size_t size);

/* nc_keepalive - send one when it is due and there is room for it */
void nc_keepalive(struct nc_session *s);

/* nc_message_fn - a whole message came; text[len] is for nc_wipe_free */
typedef int nc_message_fn(struct nc_session *s, char *text, size_t len, void *arg);

/* nc_read - read what has come, once, without waiting; each whole message is given to fn
 * ret:  1: something came; 0: nothing is there; RK_E_UNREACHABLE: the peer closed; what nc_broken gives, or fn;
 *       not stated: RK_E_PROTOCOL with s->in.why.   After an error the session is over */
int nc_read(struct nc_session *s, nc_message_fn *fn, void *arg);

/* nc_wipe_behind - when a message was read: wipe what libssh2 still has of it */
void nc_wipe_behind(struct nc_session *s);

/* nc_send - send bytes.   out: *sent, how many the kernel has whole.   ret: RK_OK or a stated code */
struct nc_bytes {
    const char *bytes;
    size_t len;
};
int nc_send(struct nc_session *s, struct nc_bytes out, size_t *sent);

#endif
