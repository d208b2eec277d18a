/* host.h - a real rekey-host, spoken to as rekeyd does, with a probe in it
 *
 * One thread.  Every wait has a bound.  What goes wrong with the process is in `obituary`, and all calls fail then.
 */
#ifndef RK_CHECK_HOST_H
#define RK_CHECK_HOST_H

#include "probe.h"

#include "../ipc/msg.h"

#include <stdbool.h>
#include <sys/types.h>

struct rk_check_host {
    pid_t pid;             /* 0: it is not there */
    int sock;
    bool has_hello;
    struct rk_hello hello;
    uint32_t number, inst; /* given last */
    struct rk_probe *probe; /* NULL: there is none, and no_probe says why */
    const char *no_probe;
    char obituary[160];    /* how it ended; "": it lives, or ended as it should */
    char out[300], log[300]; /* files of its standard output and error */
    struct rk_reply reply; /* of the last call, freed with the next */
    unsigned char *frame;  /* RK_FRAME_MAX */
};

/* What a host is started with. */
struct rk_check_paths {
    const char *host, *probe, *module; /* absolute; probe "": none */
    const char *dir;                   /* for files of this run */
};

/* rk_check_host_start - start it and hear its HELLO
 * ret:  RK_OK, and hello.error may say that the module cannot be used; else a code and h->obituary
 * own:  end it with rk_check_host_end().   blocks: RK_HELLO_MS at most */
int rk_check_host_start(struct rk_check_host *h, const struct rk_check_paths *paths);

/* rk_check_host_end - close its socket, wait for it, kill what does not end
 * ret:  number of processes that it left behind, which are killed.   blocks: 3 s at most */
int rk_check_host_end(struct rk_check_host *h);

/* rk_check_host_config - make instance h->inst of these options
 * ret:  RK_OK, the code of init (h->reply), or RK_E_UNKNOWN: the host is gone.  blocks: within the budget of init */
int rk_check_host_config(struct rk_check_host *h, const struct rk_config *config);
/* rk_check_host_drop - end an instance; nothing is answered.  ret: RK_OK or RK_E_UNKNOWN */
int rk_check_host_drop(struct rk_check_host *h, uint32_t inst);

/* rk_check_host_send - begin a call: number and inst are set, descriptors of items taken.   ret: RK_OK, RK_E_UNKNOWN
 * rk_check_host_reply - wait for any reply, at most so long: it is in h->reply
 * ret:  RK_OK; RK_E_TIMEOUT; RK_E_UNKNOWN: the host is gone
 * rk_check_host_call - both, and the code of the reply; a host that does not answer in the budget and the grace of
 *                      the call is killed, as rekeyd would
 * rk_check_host_cancel - give up the call of this number */
int rk_check_host_send(struct rk_check_host *h, struct rk_call_msg *m);
int rk_check_host_reply(struct rk_check_host *h, int64_t most_ms);
int rk_check_host_call(struct rk_check_host *h, struct rk_call_msg *m);
int rk_check_host_cancel(struct rk_check_host *h, uint32_t number);

/* rk_check_host_survey - have the probe count, and search for its patterns
 * ret:  RK_OK, RK_E_UNSUPPORTED without a probe, RK_E_UNKNOWN.   blocks: 5 s at most */
int rk_check_host_survey(struct rk_check_host *h);

#endif
