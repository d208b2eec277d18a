/* prepare.h - the answer of a device that is asked what it needs, or to do it */
#ifndef RK_CLI_PREPARE_H
#define RK_CLI_PREPARE_H

#include "cli.h"

#include <jansson.h>

struct rk_prepared {
    const struct rk_cli_opts *o;
    const struct rk_cli_io *io;
    bool quiet;    /* in: the lines are not printed */
    json_t *lines; /* in: an array; out: of texts */
    bool over, ok;
    char text[RK_TEXT_MAX];
};

/* rk_cli_prepare_ask - ask device o->arg, for o->words, and when o->apply have it done
 * in:   o  arg, words, apply, config, budget_ms.   out: a  lines, text; o->timeout_ms is set
 * ret:  enum rk_cli_exit.   blocks: until the device has answered, or its time is over.   src: rekeyctl(8) */
int rk_cli_prepare_ask(struct rk_cli_opts *o, struct rk_prepared *a);

#endif
