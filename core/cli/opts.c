/* opts.c - the command line of rekeyctl: one table of options, each with the commands that take it.
 *
 * Runs in rekeyctl.  Pure but for getopt's own state, which is reset by each use.
 */
#include "cli.h"

#include "../base/limits.h"

#include <rekey/channel.h>

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

enum { O_SOCKET = 256, O_TIMEOUT, O_JSON, O_COLOR, O_WIDTH, O_WATCH, O_CHECK_ALARMS, O_WAIT, O_LIMIT, O_REKEYD, O_HOST,
       O_PLUGIN_DIR, O_HELP,
       O_PEER, O_FETCH, O_CONFIG, O_KEYS, O_BITS, O_OUT_A, O_OUT_B, O_APPEND, O_APPLY, O_YES, O_SCRIPT, O_THROUGH,
       O_BOTH, O_SHIM, O_SHIM_END = O_SHIM + RK_CLI_SHIM_WORDS };

#define ASKING " status rotate explain adopt enable history plugins sources metrics reload version source test " \
    "peer test discover prepare import-offbox shim install shim remove "
#define SHIM " shim install shim remove "
#define TABLES " status explain history plugins sources source test peer test "

static const struct option_row {
    const char *name, *arg;
    int arg_kind, code;
    const char *commands; /* with a blank around each; NULL: all */
    const char *help;
} rows[] = {
    {"json", NULL, no_argument, O_JSON, NULL, "write JSON"},
    {"socket", "PATH", required_argument, O_SOCKET, ASKING, "control socket of rekeyd (" RK_CLI_SOCKET ")"},
    {"timeout", "TIME", required_argument, O_TIMEOUT, ASKING,
     "longest wait (10s; rotate --wait: 60s; source, peer test: 20s; what asks a device: 30s, with --apply 60s)"},
    {"color", "WHEN", required_argument, O_COLOR, TABLES, "auto, always or never (auto)"},
    {"width", "N", required_argument, O_WIDTH, TABLES, "cut or fold to N columns, 0: never (the terminal's)"},
    {"watch", "[=TIME]", optional_argument, O_WATCH, " status ", "show again and again, every TIME (1s)"},
    {"check-alarms", NULL, no_argument, O_CHECK_ALARMS, " status ", "exit with 4 when there is an alarm"},
    {"wait", NULL, no_argument, O_WAIT, " rotate ", "until the rotation is done or has failed"},
    {"limit", "N", required_argument, O_LIMIT, " history ", "at most N rows (50)"},
    {"peer", "SAE", required_argument, O_PEER, " source test import-offbox ",
     "the SAE at the other end (source test: those of the links)"},
    {"fetch", NULL, no_argument, O_FETCH, " source test ", "take a key with each peer at the end, and drop it"},
    {"config", "FILE", required_argument, O_CONFIG, " source test peer test discover prepare import-offbox " SHIM,
     "as in this file, without the running rekeyd"},
    {"rekeyd", "PATH", required_argument, O_REKEYD, " check source test peer test discover prepare import-offbox " SHIM,
     "program to run (" RK_SBINDIR "/rekeyd)"},
    {"host", "PATH", required_argument, O_HOST,
     " check plugin source test peer test discover prepare import-offbox " SHIM,
     "program to run (" RK_LIBEXECDIR "/rekey-host)"},
    {"plugin-dir", "DIR", required_argument, O_PLUGIN_DIR,
     " check plugin source test peer test discover prepare import-offbox " SHIM, "plugins (" RK_PLUGINDIR ")"},
    {"keys", "N", required_argument, O_KEYS, " keygen ", "how many keys, 1..1000000"},
    {"bits", "N", required_argument, O_BITS, " keygen ", "size of each (256)"},
    {"out-a", "PATH", required_argument, O_OUT_A, " keygen ", "pool of the one site: a new file, or directory/"},
    {"out-b", "PATH", required_argument, O_OUT_B, " keygen ", "pool of the other site"},
    {"append", NULL, no_argument, O_APPEND, " keygen ", "add the keys to files that are there"},
    {"apply", NULL, no_argument, O_APPLY, " prepare " SHIM, "commit it on the device, not only print it"},
    {"yes", NULL, no_argument, O_YES, " prepare " SHIM, "with --apply: do not ask first"},
    {"script", "NAME", required_argument, O_SCRIPT, " import-offbox shim install ",
     "the old script, as event-options names it; of shim: the path of rekey-shim.py"},
    {"through", "DEVICE", required_argument, O_THROUGH, SHIM, "of plugin junos-netconf, that reaches the same router"},
    {"url", "URL", required_argument, O_SHIM + RK_CLI_SHIM_URL, SHIM,
     "https://HOST[:PORT], as the router reaches rekeyd"},
    {"address", "ADDRESS", required_argument, O_SHIM + RK_CLI_SHIM_ADDRESS, SHIM, "of HOST, for static-host-mapping"},
    {"name", "NAME", required_argument, O_SHIM + RK_CLI_SHIM_NAME, SHIM, "in rekeyd's certificate (HOST)"},
    {"user", "USER", required_argument, O_SHIM + RK_CLI_SHIM_USER, SHIM, "of the router, that the script runs as"},
    {"cert", "FILE", required_argument, O_SHIM + RK_CLI_SHIM_CERT, SHIM, "the router's certificate"},
    {"key", "FILE", required_argument, O_SHIM + RK_CLI_SHIM_KEY, SHIM, "its private key"},
    {"ca", "FILE", required_argument, O_SHIM + RK_CLI_SHIM_CA, SHIM, "who signed rekeyd's certificate"},
    {"linger", "N", required_argument, O_SHIM + RK_CLI_SHIM_LINGER, SHIM,
     "seconds that a run waits for work (tick - 10)"},
    {"both-engines", NULL, no_argument, O_BOTH, SHIM, "the router has two routing engines"},
    {"help", NULL, no_argument, O_HELP, NULL, "show this help"},
};
#define N_ROWS (sizeof rows / sizeof rows[0])

static bool
takes(const struct option_row *row, const char *command)
{
    char name[32];

    if (!row->commands || !command)
        return true;
    snprintf(name, sizeof name, " %s ", command);
    return strstr(row->commands, name) != NULL;
}

void
rk_cli_usage(const struct rk_cli_command *command, const struct rk_cli_command *commands, FILE *out)
{
    if (command) {
        fprintf(out, "usage: rekeyctl %s [options]%s%s\n\n  %s\n\noptions:\n", command->name,
                command->args[0] ? " " : "", command->args, command->help);
    } else {
        fprintf(out, "usage: rekeyctl COMMAND [options] [argument]\n\ncommands:\n");
        for (; commands->name; commands++)
            fprintf(out, "  %-13s %-11s %s\n", commands->name, commands->args, commands->help);
        fprintf(out, "\noptions, of all commands or some (rekeyctl COMMAND --help):\n");
    }
    for (size_t i = 0; i < N_ROWS; i++) {
        char name[40];

        if (!takes(&rows[i], command ? command->name : NULL))
            continue;
        snprintf(name, sizeof name, "--%s%s%s", rows[i].name, rows[i].arg_kind == required_argument ? " " : "",
                 rows[i].arg ? rows[i].arg : "");
        fprintf(out, "  %-18s %s\n", name, rows[i].help);
    }
    fprintf(out, "\nexit codes: 0 done, 1 failed, 2 wrong usage, 3 no daemon, 4 alarm (status --check-alarms)\n");
}

/* "10", "10s", "500ms", "2m" into [ms]; a number alone is seconds.  false when it is none or not in 1 ms..1 day. */
static bool
read_time(const char *text, int64_t *ms)
{
    char *end;
    long long n, unit;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    n = strtoll(text, &end, 10);
    unit = strcmp(end, "ms") == 0 ? 1 : strcmp(end, "s") == 0 || !end[0] ? 1000 : strcmp(end, "m") == 0 ? 60000 : 0;
    if (errno || unit == 0 || n < 1 || n > 86400000 / unit)
        return false;
    *ms = n * unit;
    return true;
}

static bool
read_number(const char *text, long max, long *n)
{
    char *end;

    errno = 0;
    *n = strtol(text, &end, 10);
    return !errno && end != text && !*end && *n >= 0 && *n <= max;
}

static bool
read_color(const char *text, enum rk_cli_color *color)
{
    static const char *const names[] = {"auto", "always", "never"};

    for (int i = 0; i < 3; i++)
        if (strcmp(names[i], text) == 0) {
            *color = (enum rk_cli_color)i;
            return true;
        }
    return false;
}

/* What is wrong with an option's value; NULL: nothing, and it is in *o. */
static const char *
take_value(struct rk_cli_opts *o, int code, const char *value)
{
    long n;

    if (code >= O_SHIM && code < O_SHIM_END) {
        o->shim[code - O_SHIM] = value;
        return value[0] ? NULL : "wants a value";
    }
    switch (code) {
    case O_TIMEOUT:
        return read_time(value, &o->timeout_ms) ? NULL : "wants a time as 10s, 500ms or 2m";
    case O_WATCH:
        o->watch_ms = 1000;
        return !value || read_time(value, &o->watch_ms) ? NULL : "wants a time as 1s or 500ms";
    case O_COLOR:
        return read_color(value, &o->color) ? NULL : "wants auto, always or never";
    case O_WIDTH:
        if (!read_number(value, 10000, &n))
            return "wants a number of columns, 0..10000";
        o->columns = (int)n;
        return NULL;
    case O_LIMIT:
        if (!read_number(value, RK_CLI_ROWS_MAX, &n) || n == 0)
            return "wants a number of rows, 1..1000000";
        o->limit = (uint32_t)n;
        return NULL;
    case O_PEER:
        if (!value[0] || strlen(value) > RK_SAE_MAX)
            return "wants an SAE ID";
        o->peer = value;
        return NULL;
    case O_KEYS:
        return read_number(value, RK_POOL_KEYS_MAX, &o->keys) && o->keys > 0 ? NULL : "wants a number, 1..1000000";
    case O_BITS:
        if (!read_number(value, RK_POOL_KEY_MAX * 8, &o->bits) || o->bits < 128 || o->bits % 16)
            return "wants a number of bits, 128..4096, a multiple of 16";
        return NULL;
    case O_SOCKET:
        if (strlen(value) >= sizeof ((struct sockaddr_un *)0)->sun_path)
            return "is too long: a socket's path has at most 107 bytes";
        o->socket_path = value;
        return NULL;
    default:
        return "is not known";
    }
}

static const char *
take_option(struct rk_cli_opts *o, int code, const char *value)
{
    switch (code) {
    case O_JSON: o->json = true; return NULL;
    case O_WAIT: o->wait = true; return NULL;
    case O_CHECK_ALARMS: o->check_alarms = true; return NULL;
    case O_HELP: o->help = true; return NULL;
    case O_FETCH: o->fetch = true; return NULL;
    case O_CONFIG: o->config = value; return NULL;
    case O_SCRIPT: o->script = value; return NULL;
    case O_THROUGH: o->through = value; return NULL;
    case O_BOTH: o->both = true; return NULL;
    case O_REKEYD: o->rekeyd = value; return NULL;
    case O_HOST: o->host = value; return NULL;
    case O_PLUGIN_DIR: o->plugin_dir = value; return NULL;
    case O_OUT_A: o->out_a = value; return NULL;
    case O_OUT_B: o->out_b = value; return NULL;
    case O_APPEND: o->append = true; return NULL;
    case O_APPLY: o->apply = true; return NULL;
    case O_YES: o->yes = true; return NULL;
    default: return take_value(o, code, value);
    }
}

/* Is it the command that words[n] begin with?  ret: how many of them are its name */
static int
words_of(const struct rk_cli_command *c, char **words, int n)
{
    size_t first = strcspn(c->name, " ");

    if (strncmp(c->name, words[0], first) != 0 || words[0][first])
        return 0;
    return !c->name[first] ? 1 : n > 1 && strcmp(c->name + first + 1, words[1]) == 0 ? 2 : 0;
}

/* The command of which only the first of two words was given; NULL: none. */
static const struct rk_cli_command *
begun(const struct rk_cli_command *commands, const char *word)
{
    for (; commands->name; commands++)
        if (strncmp(commands->name, word, strlen(word)) == 0 && commands->name[strlen(word)] == ' ')
            return commands;
    return NULL;
}

/* Command and argument, from what was no option. */
static int
take_words(char **words, int n, const struct rk_cli_command *commands, struct rk_cli_opts *o, FILE *err)
{
    const struct rk_cli_command *c = commands;
    int own = 0;

    if (n == 0) {
        if (o->help)
            return RK_CLI_OK;
        rk_cli_usage(NULL, commands, err);
        return RK_CLI_USAGE;
    }
    while (c->name && (own = words_of(c, words, n)) == 0)
        c++;
    if (!c->name && (o->command = begun(commands, words[0]))) {
        if (!o->help)
            rk_cli_usage(o->command, commands, err);
        return o->help ? RK_CLI_OK : RK_CLI_USAGE;
    }
    if (!c->name) {
        fprintf(err, "rekeyctl: no such command; rekeyctl --help shows all\n");
        return RK_CLI_USAGE;
    }
    words += own - 1;
    n -= own - 1;
    o->command = c;
    o->arg = n > 1 ? words[1] : NULL;
    if (o->help)
        return RK_CLI_OK;
    if (n > 2 || (n == 2 && !c->args[0]) || (n == 1 && c->args[0] && c->args[0] != '[')) {
        fprintf(err, "rekeyctl: %s takes %s; rekeyctl %s --help shows more\n", c->name,
                !c->args[0] ? "no argument" : c->args[0] == '[' ? "at most one argument" : "one argument", c->name);
        return RK_CLI_USAGE;
    }
    return RK_CLI_OK;
}

static const struct option_row *
find_row(int code)
{
    for (size_t i = 0; i < N_ROWS; i++)
        if (rows[i].code == code)
            return &rows[i];
    return NULL;
}

/* Every option that was given must be one of the command's. */
static int
check_options(const bool *given, const struct rk_cli_command *command, FILE *err)
{
    for (size_t i = 0; i < N_ROWS; i++)
        if (given[i] && command && !takes(&rows[i], command->name)) {
            fprintf(err, "rekeyctl: %s has no option --%s; rekeyctl %s --help shows its options\n", command->name,
                    rows[i].name, command->name);
            return RK_CLI_USAGE;
        }
    return RK_CLI_OK;
}

int
rk_cli_opts_read(int argc, char **argv, const struct rk_cli_command *commands, struct rk_cli_opts *o, FILE *err)
{
    struct option longs[N_ROWS + 1] = {{0}};
    bool given[N_ROWS] = {false};
    int code;

    *o = (struct rk_cli_opts){.socket_path = RK_CLI_SOCKET, .columns = -1};
    for (size_t i = 0; i < N_ROWS; i++)
        longs[i] = (struct option){rows[i].name, rows[i].arg_kind, NULL, rows[i].code};
    optind = 0;
    opterr = 0;
    while ((code = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
        const struct option_row *row = find_row(code == 'h' ? O_HELP : code);
        const char *wrong, *value = optarg;
        int64_t ms;

        if (!row) {
            fprintf(err, code == ':' ? "rekeyctl: an option lacks its value" : "rekeyctl: no such option");
            fprintf(err, "; rekeyctl --help shows all\n");
            return RK_CLI_USAGE;
        }
        /* "--watch 5" is what people type; a link that is named as a time needs "--watch=1s 5". */
        if (row->code == O_WATCH && !value && optind < argc && read_time(argv[optind], &ms))
            value = argv[optind++];
        given[row - rows] = true;
        if ((wrong = take_option(o, row->code, value))) {
            fprintf(err, "rekeyctl: --%s %s\n", row->name, wrong);
            return RK_CLI_USAGE;
        }
    }
    if ((code = take_words(argv + optind, argc - optind, commands, o, err)) != RK_CLI_OK)
        return code;
    return check_options(given, o->command, err);
}
