/* peer.c - rekeyctl peer test: the steps of the way to the peers of a channel.  Runs in rekeyctl. */
#include "steps.h"

int
rk_cli_peer_test(struct rk_cli_opts *o, struct rk_cli_io *io)
{
    static const struct rk_cli_steps what = {"channel", "peer-test", "--test-channel"};

    return rk_cli_steps(&what, o, io);
}
