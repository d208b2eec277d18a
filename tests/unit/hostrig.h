/* hostrig.h - starts rekey-host on a test module and speaks to it as rekeyd does
 *
 * One thread.  Every wait has a bound: a host that does not answer fails the test, and never stops it.
 */
#ifndef RK_HOSTRIG_H
#define RK_HOSTRIG_H

#include "core/ipc/msg.h"

#include <sys/types.h>

#define RIG_WAIT_MS 20000 /* generous: sanitizers on a loaded machine */

struct rig {
    pid_t pid;
    int sock;
    char dir[64];               /* of this rig: stderr, secret files; removed at the end */
    struct rk_hello hello;
    uint32_t number;            /* of the last call */
    struct rk_reply last;       /* whose items are to be freed */
    unsigned char frame[RK_FRAME_MAX];
};

/* rig_start - spawn rekey-host for tests/unit/plugins/NAME and read its HELLO;  extra, NULL: one more argument
 * rig_start_path - the same for the module at path
 * rig_stop - close the socket, wait for the process.  ret: its exit code, -1 when a signal ended it */
void rig_start(struct rig *r, const char *name, const char *extra);
void rig_start_path(struct rig *r, const char *path, const char *extra);
int rig_stop(struct rig *r);

/* rig_wait - wait for the process to end by itself.  ret: as rig_stop */
int rig_wait(struct rig *r);

/* rig_module - path of the built test module NAME */
void rig_module(const char *name, char *path, size_t size);

/* rig_config - make instance `inst` with the settings given as name, value, ..., NULL, beside @name and @sae
 * ret: reply->err */
int rig_config(struct rig *r, uint32_t inst, struct rk_reply *reply, const char *const *pairs);
void rig_drop(struct rig *r, uint32_t inst);

/* rig_send - send a call; items and their descriptors are the caller's still.  ret: its number
 * rig_cancel - cancel call number
 * rig_reply - the next reply; its items are the rig's, until the next one.  rig_call - send, and wait for its reply */
uint32_t rig_send(struct rig *r, struct rk_call_msg *call);
void rig_cancel(struct rig *r, uint32_t number);
void rig_reply(struct rig *r, struct rk_reply *reply);
/* rig_step - the next frame, which must be a step of call number */
void rig_step(struct rig *r, uint32_t number, struct rk_step *step);
int rig_call(struct rig *r, struct rk_call_msg *call, struct rk_reply *reply);

/* rig_log_has - does its stderr hold text;  rig_log_count - how often */
int rig_log_has(const struct rig *r, const char *text);
int rig_log_count(const struct rig *r, const char *text);
/* rig_log_wait - wait until it does.  ret: 1; 0 after RIG_WAIT_MS */
int rig_log_wait(const struct rig *r, const char *text);

/* rig_secret_file - a file with this text and mode, in r->dir; value[size]: "file:..." */
void rig_secret_file(const struct rig *r, const char *text, mode_t mode, char *value, size_t size);

/* rig_key - a sealed memfd of len bytes, all byte;  rig_key_is - does fd hold that; closes it */
int rig_key(unsigned char byte, size_t len);
int rig_key_is(int *fd, unsigned char byte, size_t len);

/* rig_items - n of them, empty; rk_items_free frees them */
struct rk_item *rig_items(size_t n);

#endif
