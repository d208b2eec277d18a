/* cli.h - the command line of a Tarn switch, over SSH: one session, which is kept from call to call
 *
 * Every wait is in cli.c, on the session's socket and on the descriptor that tells that the call is given up, and never
 * longer than what is left of the call's budget.
 */
#ifndef TARN_CLI_H
#define TARN_CLI_H

#include <rekey/plugin.h>

#include <libssh2.h>
#include <stdbool.h>
#include <sys/socket.h>

#define CLI_LINE 640    /* longest command [bytes]: a port, two CKNs and a CAK */
#define CLI_ANSWER 1024 /* longest answer [bytes] */

struct cli {
    const struct rk_host *host;
    char address[64], user[64], known_hosts[256];
    int port;
    struct rk_secret *key; /* the private key */
    struct sockaddr_storage at;
    socklen_t at_len;

    LIBSSH2_SESSION *ssh; /* NULL: there is no session */
    LIBSSH2_CHANNEL *channel;
    int fd;
};

/* cli_ready - see to a session that answers: the one that there is, or else a new one
 * ret:  RK_OK, or a code with a text: the switch was asked for nothing
 */
int cli_ready(struct cli *c, struct rk_call *call);

/* cli_ask - type a command, and read what is said until the next prompt
 * out:  answer[CLI_ANSWER]
 * ret:  RK_OK; RK_E_REJECTED: the switch does not want to, answer says why; any other code: the session is over, and
 *       whether the command was obeyed is not known
 */
int cli_ask(struct cli *c, struct rk_call *call, const char *command, char *answer);

/* cli_is_open - has the session outlived the last command */
bool cli_is_open(const struct cli *c);

/* cli_close - end the session, when there is one; never waits */
void cli_close(struct cli *c);

#endif
