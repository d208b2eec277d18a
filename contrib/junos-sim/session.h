/* session.h - one connection, by SSH or on the box itself, with one NETCONF session
 *
 * Each has a thread of its own; others only read its id and shut its socket down.
 */
#ifndef SIM_SESSION_H
#define SIM_SESSION_H

#include "store.h"

#define LIBSSH_LEGACY_0_4 0
#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>

#define SESSION_IN_MAX (16u << 20)  /* largest request [bytes] */

struct session {
    struct sim_box *box;
    struct session *next;        /* of the box; box->lock */
    int fd;                      /* -1 when it is closed; box->lock */
    uint32_t id;
    char user[SIM_NAME_MAX + 1];
    char class[SIM_NAME_MAX + 1];
    struct rights *rights;
    struct editor ed;
    ssh_session ssh;
    ssh_channel chan;
    ssh_event event;
    char *in;
    size_t in_n, in_size, in_scanned;
    bool local;                  /* no SSH: a socket on the box itself */
    bool logged_in, started, over, silent;
    bool compliant, offer_11, use_11, hello_seen;
    bool warned_dirty;
};

/* session_run - the whole life of a connection; frees s.   thread: its own */
void session_run(struct session *s);

/* session_wait - let time pass, with the connection alive;  ret: false: it is over */
bool session_wait(struct session *s, int64_t ms);
/* session_send - one message in the framing agreed on, with the faults of hit */
void session_send(struct session *s, const char *message, size_t n, const struct sim_fault_hit *hit);

/* session_hello - send our hello.   session_message - answer one message (rpc.c);
 * text is read before anything is waited for, and not after: the buffer that it is in may move then */
void session_hello(struct session *s);
void session_message(struct session *s, const char *text, size_t n);

/* session_join - into the box's list, with an id: false: too many, or the box is down.   session_leave */
bool session_join(struct session *s);
void session_leave(struct session *s);
/* session_kill - end another session by its id.   lock: box->lock held */
bool session_kill(struct sim_box *box, uint32_t id);

/* host_keys_* (hostkey.c): keys of boxes, from a folder or made at start */
bool host_keys_start(const struct sim_lab *lab, const char *folder, char *why);
void host_keys_stop(void);
/* host_key - a copy, to be freed by ssh_key_free; wrong: another one;  NULL: it cannot be made */
ssh_key host_key(const struct sim_box *box, enum sim_host_key type, bool wrong);
/* host_keys_write - known_hosts lines of all boxes;   ret: 0 or -1 */
int host_keys_write(const struct sim_lab *lab, uint16_t port, const char *path);

#endif
