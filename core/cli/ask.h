/* ask.h - one command to rekeyd and its answer, row by row
 *
 * Used in rekeyctl.
 */
#ifndef RK_CLI_ASK_H
#define RK_CLI_ASK_H

#include "../ipc/msg.h"
#include "cli.h"

#include <jansson.h>

/* rk_cli_row_fn - takes one row of the answer
 * in: row, a JSON object, borrowed for the call */
typedef void rk_cli_row_fn(json_t *row, void *arg);

/* rk_cli_ask - send a command, give each row of the answer to fn, wait for the end
 * in:   o  socket_path, timeout_ms, command and arg, limit;  command  what to ask, "status"
 * out:  text[RK_TEXT_MAX]  what the daemon said at the end, safe for a terminal, "" nothing; may be NULL, then a
 *       refusal is written to io->err
 * ret:  enum rk_cli_exit; what went wrong was written to io->err.  Rows that are no JSON object are left out, said on
 *       io->err and make the result RK_CLI_FAILED
 * blocks: --timeout for each frame of the answer.   src: core/ipc/msg.h */
int rk_cli_ask(const struct rk_cli_opts *o, const struct rk_cli_io *io, const char *command, rk_cli_row_fn *fn,
               void *arg, char *text);

/* rk_cli_json - write a value as one line of pure ASCII JSON, without a newline
 * src: RFC 8259 */
void rk_cli_json(const struct rk_cli_io *io, const json_t *value);

#endif
