/* cli.h - what the parts of rekeyctl share: its options and where it writes
 *
 * rekeyctl is one short-lived process with one thread.  It asks rekeyd over the control socket, or runs rekeyd or
 * rekey-host for what needs no daemon; it reads no configuration and never sees a key; but keygen makes
 * some.
 */
#ifndef RK_CLI_H
#define RK_CLI_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "../base/limits.h"

#define RK_CLI_SOCKET "/run/rekey/rekeyd.sock"
#define RK_CLI_TIMEOUT_MS 10000
/* A rotation takes its drain time and its devices' commit times. */
#define RK_CLI_WAIT_MS 60000
/* Rows of one answer: 100,000 links with two ends fit; more is a daemon gone wrong. */
#define RK_CLI_ROWS_MAX 1000000

/* Exit codes, documented in rekeyctl(8). */
enum rk_cli_exit { RK_CLI_OK = 0, RK_CLI_FAILED = 1, RK_CLI_USAGE = 2, RK_CLI_NO_DAEMON = 3, RK_CLI_ALARM = 4 };

/* Options of shim install and remove that are words of the plugin. */
enum rk_cli_shim { RK_CLI_SHIM_URL, RK_CLI_SHIM_ADDRESS, RK_CLI_SHIM_USER, RK_CLI_SHIM_NAME, RK_CLI_SHIM_CERT,
                   RK_CLI_SHIM_KEY, RK_CLI_SHIM_CA, RK_CLI_SHIM_LINGER, RK_CLI_SHIM_WORDS };

enum rk_cli_color { RK_CLI_COLOR_AUTO, RK_CLI_COLOR_ALWAYS, RK_CLI_COLOR_NEVER };

/* Where and how to write. */
struct rk_cli_io {
    FILE *out, *err;
    bool terminal; /* out is one */
    bool color;
    bool utf8;     /* out takes UTF-8; else what is not ASCII is shown as '?' */
    int columns;   /* cut tables to this width; 0: never */
    int lines;     /* height of the terminal; 0: not known */
};

struct rk_cli_opts;
typedef int rk_cli_run_fn(struct rk_cli_opts *o, struct rk_cli_io *io);

struct rk_cli_command {
    const char *name, *args; /* name: one word or two;  args: "LINK", "[LINK]" or "" */
    const char *help;
    rk_cli_run_fn *run;      /* ret: enum rk_cli_exit */
};

struct rk_cli_opts {
    const struct rk_cli_command *command;
    const char *arg;         /* NULL: none given */
    const char *socket_path, *rekeyd, *host, *plugin_dir;
    const char *peer, *config, *script; /* NULL: not given */
    bool json, wait, check_alarms, fetch, apply, yes, help;
    enum rk_cli_color color;
    int64_t timeout_ms;      /* 0: not given */
    int64_t watch_ms;        /* 0: once */
    uint32_t limit;          /* 0: not given */
    uint32_t budget_ms;      /* of the daemon, for source test, discover and prepare */
    int columns;             /* -1: not given */
    const char *shim[RK_CLI_SHIM_WORDS], *through; /* shim; NULL: not given */
    bool both;                 /* shim --both-engines */
    char words[RK_WORDS_MAX];  /* of prepare, for what it is: a newline between them; not an option */
    const char *out_a, *out_b; /* keygen */
    long keys, bits;         /* keygen; 0: not given */
    bool append;
};

/* rk_cli_main - run one command line
 * in:   argv[argc];  out, err  where to write
 * ret:  enum rk_cli_exit.   thread: the only one.  blocks: as the daemon does, within --timeout
 * note: `check` and `plugin` replace the process when all is well.   src: rekeyctl(8) */
int rk_cli_main(int argc, char **argv, FILE *out, FILE *err);

/* rk_cli_opts_read - the command line into *o
 * in:   argv[argc]; commands, ended by a row without name.   out: *o, borrowing argv
 * ret:  RK_CLI_OK, or RK_CLI_USAGE with the reason written to err.   src: rekeyctl(8) */
int rk_cli_opts_read(int argc, char **argv, const struct rk_cli_command *commands, struct rk_cli_opts *o, FILE *err);

/* rk_cli_usage - help for o's command, or for all when it is NULL
 * src: rekeyctl(8) */
void rk_cli_usage(const struct rk_cli_command *command, const struct rk_cli_command *commands, FILE *out);

/* The commands; each returns enum rk_cli_exit.   src: rekeyctl(8) */
rk_cli_run_fn rk_cli_status, rk_cli_rotate, rk_cli_history, rk_cli_plugins, rk_cli_reload, rk_cli_version,
    rk_cli_check, rk_cli_plugin, rk_cli_explain, rk_cli_adopt, rk_cli_enable, rk_cli_source_test, rk_cli_peer_test,
    rk_cli_keygen, rk_cli_sources, rk_cli_discover, rk_cli_prepare, rk_cli_metrics, rk_cli_import_offbox,
    rk_cli_shim_install, rk_cli_shim_remove;

#endif
