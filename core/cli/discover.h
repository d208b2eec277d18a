/* discover.h - the links that a device finds, row by row */
#ifndef RK_CLI_DISCOVER_H
#define RK_CLI_DISCOVER_H

#include "ask.h"

/* rk_cli_discover_rows - ask device o->arg for its links
 * in:   o  arg, config, budget_ms.   out: fn(row) for each, with member "found"; text[RK_TEXT_MAX]; sets
 *       o->timeout_ms
 * ret:  enum rk_cli_exit.   blocks: until the device has answered, or its time is over.   src: rekeyctl(8) */
int rk_cli_discover_rows(struct rk_cli_opts *o, const struct rk_cli_io *io, rk_cli_row_fn *fn, void *arg, char *text);

#endif
