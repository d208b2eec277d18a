/* steps.h - commands that show the steps of a test: source test, peer test */
#ifndef RK_CLI_STEPS_H
#define RK_CLI_STEPS_H

#include "cli.h"

struct rk_cli_steps {
    const char *kind;    /* of what is tested: "source", "channel" */
    const char *command; /* of the control socket */
    const char *option;  /* of rekeyd, when it is run for the test alone */
};

/* rk_cli_steps - run such a command
 * in:   o  arg, config, peer, fetch, timeout_ms.   ret: enum rk_cli_exit
 * blocks: until the test is over, or the time given for it.   src: rekeyctl(8) */
int rk_cli_steps(const struct rk_cli_steps *what, struct rk_cli_opts *o, struct rk_cli_io *io);

#endif
