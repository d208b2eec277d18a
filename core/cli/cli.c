/* cli.c - from a command line to a command: the list of commands, the help, the output's properties.
 *
 * Runs in rekeyctl.  Must never act on anything before the whole command line is known to be right.
 */
#include "cli.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const struct rk_cli_command commands[] = {
    {"status", "[LINK]", "show the links, or one in detail", rk_cli_status},
    {"rotate", "LINK", "rotate the key of a link now", rk_cli_rotate},
    {"explain", "LINK", "say why a link is in its state, and what happens next", rk_cli_explain},
    {"adopt", "LINK", "give up the keys of a link that are not rekeyd's, and go on", rk_cli_adopt},
    {"history", "LINK", "show what was done on a link, newest first", rk_cli_history},
    {"plugins", "", "show the plugins in use and their processes", rk_cli_plugins},
    {"enable", "NAME", "try a plugin that was stopped, or a device in quarantine, again", rk_cli_enable},
    {"sources", "", "show the key sources, and what each has for each peer", rk_cli_sources},
    {"metrics", "", "print what a monitoring system wants to know, as OpenMetrics text", rk_cli_metrics},
    {"plugin", "NAME", "describe a plugin and its options", rk_cli_plugin},
    {"source test", "NAME", "go the way to a key step by step, and say what is wrong", rk_cli_source_test},
    {"peer test", "NAME", "go the way to the peers of a channel step by step, and say what is wrong", rk_cli_peer_test},
    {"discover", "DEVICE", "print the links that a device finds, for the configuration", rk_cli_discover},
    {"prepare", "DEVICE", "print, or do, what a device needs before keys can be installed", rk_cli_prepare},
    {"shim install", "DEVICE", "print, or do, what a router needs that is to ask rekeyd itself", rk_cli_shim_install},
    {"shim remove", "DEVICE", "print, or do, what takes that away again", rk_cli_shim_remove},
    {"import-offbox", "FILE|DEVICE", "print rekeyd's configuration for a router that runs the script offbox.py",
     rk_cli_import_offbox},
    {"keygen", "", "make a pool of keys for each of two sites", rk_cli_keygen},
    {"check", "FILE", "check a configuration file, touching nothing", rk_cli_check},
    {"reload", "", "read the configuration again", rk_cli_reload},
    {"version", "", "show versions", rk_cli_version},
    {NULL, NULL, NULL, NULL},
};

static void
look_at_output(struct rk_cli_io *io, const struct rk_cli_opts *o)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    struct winsize size;

    io->terminal = isatty(fileno(io->out));
    io->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    io->color = o->color == RK_CLI_COLOR_ALWAYS ||
                (o->color == RK_CLI_COLOR_AUTO && io->terminal && !(no_color && no_color[0]) &&
                 term && strcmp(term, "dumb") != 0);
    if (io->terminal && ioctl(fileno(io->out), TIOCGWINSZ, &size) == 0) {
        io->columns = size.ws_col;
        io->lines = size.ws_row;
    }
    if (o->columns >= 0)
        io->columns = o->columns;
}

int
rk_cli_main(int argc, char **argv, FILE *out, FILE *err)
{
    struct rk_cli_io io = {.out = out, .err = err};
    struct rk_cli_opts o;
    int code = rk_cli_opts_read(argc, argv, commands, &o, err);

    if (code != RK_CLI_OK)
        return code;
    if (o.help) {
        rk_cli_usage(o.command, commands, out);
    } else {
        look_at_output(&io, &o);
        code = o.command->run(&o, &io);
    }
    if (fflush(out) != 0 || ferror(out)) {
        fprintf(err, "rekeyctl: cannot write the output: is the disk full?\n");
        return code == RK_CLI_OK ? RK_CLI_FAILED : code;
    }
    return code;
}
