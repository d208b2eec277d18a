/* agent.h - how this switch is talked to; switch.py has the words.  No state but the address, so any thread may ask */
#ifndef ACME_AGENT_H
#define ACME_AGENT_H

#include <rekey/plugin.h>

#include <sys/un.h>

#define AGENT_LINE 512

struct agent {
    const struct rk_host *host;
    struct sockaddr_un at;
};

/* agent_ask - send line, and take the answer into its place
 * The one wait has the budget, and beside the socket the descriptor that tells that the call is given up.  What was
 * sent may have been done, so no answer is RK_E_UNKNOWN and not a time-out.
 * ret:  RK_OK; RK_E_UNREACHABLE: nothing was sent; RK_E_UNKNOWN.   The question is wiped: it may have held a key
 */
int agent_ask(const struct agent *a, struct rk_call *call, char line[AGENT_LINE]);

#endif
