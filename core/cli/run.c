/* run.c - rekeyctl check and plugin: what needs no daemon is done by the programs that know, in our place.
 *
 * Runs in rekeyctl; on success the process becomes rekeyd --check or rekey-host --describe.
 */
#include "cli.h"

#include "../base/limits.h"
#include "../base/text.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Become the program; comes back only when that failed. */
static int
become(char **argv, const char *option, FILE *err)
{
    execv(argv[0], argv);
    fprintf(err, "rekeyctl: cannot run %s: %s: name it with %s\n", argv[0], strerror(errno), option);
    return RK_CLI_FAILED;
}

static char *
word(const char *text)
{
    return (char *)(size_t)text; /* execv does not write to it */
}

int
rk_cli_check(struct rk_cli_opts *o, struct rk_cli_io *io)
{
    char *argv[12];
    int n = 0;

    argv[n++] = word(o->rekeyd ? o->rekeyd : RK_SBINDIR "/rekeyd");
    argv[n++] = word("--check");
    if (o->json)
        argv[n++] = word("--json");
    if (o->plugin_dir) {
        argv[n++] = word("--plugin-dir");
        argv[n++] = word(o->plugin_dir);
    }
    if (o->host) {
        argv[n++] = word("--host");
        argv[n++] = word(o->host);
    }
    argv[n++] = word(o->arg);
    argv[n] = NULL;
    return become(argv, "--rekeyd", io->err);
}

int
rk_cli_plugin(struct rk_cli_opts *o, struct rk_cli_io *io)
{
    char path[4096], *argv[5];
    int n = 0, len = snprintf(path, sizeof path, "%s/%s.so", o->plugin_dir ? o->plugin_dir : RK_PLUGINDIR, o->arg);

    if (!rk_name_ok(o->arg, RK_NAME_MAX) || len < 0 || (size_t)len >= sizeof path) {
        fprintf(io->err, "rekeyctl: this is not a plugin's name: letters, digits and '-', at most %d\n", RK_NAME_MAX);
        return RK_CLI_USAGE;
    }
    if (access(path, F_OK) != 0) {
        fprintf(io->err, "rekeyctl: no plugin %s: %s: %s: is --plugin-dir right?\n", o->arg, path, strerror(errno));
        return RK_CLI_FAILED;
    }
    argv[n++] = word(o->host ? o->host : RK_LIBEXECDIR "/rekey-host");
    argv[n++] = word("--describe");
    if (o->json)
        argv[n++] = word("--json");
    argv[n++] = path;
    argv[n] = NULL;
    return become(argv, "--host", io->err);
}
