/* alone.h - a rekeyd that is started for one question, about a file that no running one has read */
#ifndef RK_CLI_ALONE_H
#define RK_CLI_ALONE_H

#include "ask.h"

#define RK_ALONE_ARGS 8 /* most arguments that a question adds */

/* rk_cli_alone - run o->rekeyd on o->config with these arguments, and take its rows
 * in:   more  NULL-ended, at most RK_ALONE_ARGS;  o  rekeyd, config, plugin_dir, host, budget_ms
 * out:  fn(row) for each line that is a JSON object, up to and with the one that has "over" in it
 * ret:  false: it could not be run, and that was written to io->err
 * blocks: until it has ended.   src: rekeyd(8) */
bool rk_cli_alone(const struct rk_cli_opts *o, const struct rk_cli_io *io, const char *const *more, rk_cli_row_fn *fn,
                  void *arg);

#endif
