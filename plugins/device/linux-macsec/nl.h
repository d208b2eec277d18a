/* nl.h - the two netlink sockets of an instance
 *
 * They are opened at first use, in the network namespace of the calling thread, and stay open.  One call at a time.
 */
#ifndef LINUX_MACSEC_NL_H
#define LINUX_MACSEC_NL_H

#include "macsec.h"

#include <libmnl/libmnl.h>

enum macsec_bus { MACSEC_ROUTE, MACSEC_GENERIC, MACSEC_BUSES };

struct macsec_nl {
    struct mnl_socket *sock[MACSEC_BUSES]; /* NULL: not open */
    uint32_t seq;
    unsigned char *out; /* a page for requests: locked, left out of dumps, wiped after each request */
    unsigned char *in;  /* answers: never a key (the kernel does not send keys, nor requests back: NETLINK_CAP_ACK) */
};

/* Whose time it is. */
struct macsec_time {
    const struct rk_host *host;
    struct rk_call *call;
    bool undoing; /* taking back what was begun: neither budget nor cancel stops it */
};

/* macsec_nl_init - ret: RK_OK or RK_E_NOMEM; macsec_nl_fini is then needed */
int macsec_nl_init(struct macsec_nl *nl);
void macsec_nl_fini(struct macsec_nl *nl);

/* macsec_take_fn - reads one message of an answer.   ret: RK_OK or a code that ends the request */
typedef int macsec_take_fn(const struct nlmsghdr *nlh, void *arg);

/* macsec_nl_ask - send the request in nl->out, wipe it, take its answer
 * in:   take  for each message of the answer; NULL when there is none but the acknowledgement (a change)
 * out:  *refusal  errno of the kernel's answer, 0: done; EINTR: the dump was disturbed, ask again
 * ret:  RK_OK when the kernel answered; RK_E_CANCELED, RK_E_TIMEOUT, RK_E_NOMEM, RK_E_IO, RK_E_UNSUPPORTED: nothing was
 *       changed; RK_E_UNKNOWN: a change was sent and its answer not seen
 * blocks: within the budget.  A change runs inside the send, as long as the kernel's own lock lets it wait */
int macsec_nl_ask(struct macsec_nl *nl, enum macsec_bus bus, const struct macsec_time *time, macsec_take_fn *take,
                  void *arg, int *refusal);

#endif
