/* sum.h - the last lines of rekeyctl status: how many links are well, and the daemon itself
 *
 * Used in rekeyctl.
 */
#ifndef RK_CLI_SUM_H
#define RK_CLI_SUM_H

#include "cli.h"

#include "../base/limits.h"

#include <jansson.h>

#include <rekey/channel.h>

#define RK_SUM_ALARMS 16 /* kinds of alarms that are counted apart; more are counted together */
#define RK_SUM_NAME 24

/* Sums over rows; both ends of a link are one link, and their rows are neighbours. */
struct rk_sum {
    size_t links, alarmed;
    size_t kinds;
    struct {
        char name[RK_SUM_NAME];
        size_t count;
        size_t last; /* number of the link that was counted last */
    } kind[RK_SUM_ALARMS];
    size_t last_alarmed;
    char link[RK_LINK_MAX + 1];
};

/* rk_sum_link - count a row of a link.   src: design */
void rk_sum_link(struct rk_sum *s, const json_t *row);

/* rk_sum_print - "12 links, 11 ok, 1 OVERDUE".   src: design */
void rk_sum_print(const struct rk_sum *s, const struct rk_cli_io *io);

/* rk_sum_daemon - one line on the daemon; NULL: none came.   src: design */
void rk_sum_daemon(const json_t *daemon, const struct rk_cli_io *io);

/* rk_sum_daemon_ok - has the daemon no trouble of its own (its journal); true for NULL.   src: design */
bool rk_sum_daemon_ok(const json_t *daemon);

#endif
