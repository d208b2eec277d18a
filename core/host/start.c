/* start.c - arguments of rekey-host, and the order of its start: nothing of a module runs before the process is closed
 * up, and no instance is made before its privileges are gone. */
#include "start.h"

#include "describe.h"
#include "privs.h"
#include "serve.h"

#include "../base/log.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct args {
    int fd;             /* -1: not given */
    const char *module;
    int level;
    bool describe, json, keep_privs;
    bool help, version;
};

static const char usage[] =
    "usage: rekey-host --describe [--json] /path/of/MODULE.so\n"
    "       rekey-host --fd N --module /path/of/MODULE.so [--log-level LEVEL] [--keep-privs]\n"
    "       rekey-host --help | --version\n"
    "\n"
    "Runs one plugin module of rekeyd.  rekeyd starts it; people use --describe, which shows\n"
    "what a module is and its options.  See rekey-host(8).\n";

static bool
parse_fd(const char *text, int *fd)
{
    char *end;
    long v = strtol(text, &end, 10);

    if (*text == '\0' || *end || v < 3 || v > 1 << 20)
        return false;
    *fd = (int)v;
    return true;
}

/* false: wrong, and said so */
static bool
parse(int argc, char **argv, struct args *a)
{
    static const struct option options[] = {
        {"fd", required_argument, NULL, 'f'},     {"module", required_argument, NULL, 'm'},
        {"log-level", required_argument, NULL, 'l'}, {"keep-privs", no_argument, NULL, 'k'},
        {"describe", no_argument, NULL, 'd'},     {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},         {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };
    int o;

    while ((o = getopt_long(argc, argv, "hV", options, NULL)) != -1) {
        if (o == 'f' && !parse_fd(optarg, &a->fd)) {
            fprintf(stderr, "rekey-host: --fd %s: not the number of an open socket\n", optarg);
            return false;
        }
        if (o == 'l' && (a->level = rk_log_level_parse(optarg)) < 0) {
            fprintf(stderr, "rekey-host: --log-level %s: err, warning, notice, info or debug expected\n", optarg);
            return false;
        }
        if (o == 'm')
            a->module = optarg;
        a->keep_privs |= o == 'k';
        a->describe |= o == 'd';
        a->json |= o == 'j';
        a->help |= o == 'h';
        a->version |= o == 'V';
        if (o == '?')
            return false;
    }
    if (a->describe && !a->module && optind < argc)
        a->module = argv[optind++];
    return optind == argc && (a->help || a->version || (a->module && a->describe == (a->fd < 0)));
}

static int
describe(const struct args *a)
{
    struct rk_module m;
    char why[RK_TEXT_MAX];
    int err = rk_module_load(a->module, &m, why, sizeof why);

    if (err) {
        fprintf(stderr, "rekey-host: %s\n", why);
        return RK_EXIT_FAILED;
    }
    err = a->json ? rk_describe_json(stdout, &m) : rk_describe_text(stdout, &m);
    if (err)
        fprintf(stderr, "rekey-host: cannot write\n");
    return err ? RK_EXIT_FAILED : RK_EXIT_OK;
}

static void
name_process(const char *path, int level)
{
    char name[RK_NAME_MAX + 1], who[RK_NAME_MAX + 16];

    snprintf(who, sizeof who, "rekey-host[%s]", rk_module_name(path, name) == RK_OK ? name : "?");
    rk_log_start(who, level);
}

/* The module cannot be used: tell rekeyd, which tells the operator. */
static int
give_up(int sock, const char *why)
{
    rk_log(RK_LOG_ERR, "ev=module res=refused why=\"%s\"", why);
    (void)rk_serve_hello(sock, NULL, why);
    return RK_EXIT_MODULE;
}

static bool
is_seqpacket(int fd)
{
    int type = 0;
    socklen_t size = sizeof type;

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

static int
serve(const struct args *a)
{
    struct rk_module m;
    char why[RK_TEXT_MAX];

    if (!is_seqpacket(a->fd)) {
        fprintf(stderr, "rekey-host: descriptor %d is no SOCK_SEQPACKET socket; rekeyd starts rekey-host, see --help\n",
                a->fd);
        return RK_EXIT_USAGE;
    }
    name_process(a->module, a->level);
    if (rk_process_start(a->fd, why, sizeof why) != RK_OK)
        return give_up(a->fd, why);
    if (rk_module_load(a->module, &m, why, sizeof why) != RK_OK)
        return give_up(a->fd, why);
    if (!a->keep_privs && rk_privs_drop(m.caps, why, sizeof why) != RK_OK)
        return give_up(a->fd, why);
    if (rk_serve_hello(a->fd, &m, NULL) != RK_OK)
        return give_up(a->fd, "its options do not fit in one message: make texts shorter");
    rk_log(RK_LOG_INFO, "ev=module res=ok version=%s abi=%u.%u", m.version, m.abi >> 16, m.abi & 0xffff);
    return rk_serve(a->fd, &m);
}

int
rk_host_main(int argc, char **argv)
{
    struct args a = {.fd = -1, .level = RK_LOG_INFO};

    if (!parse(argc, argv, &a)) {
        fputs(usage, stderr);
        return RK_EXIT_USAGE;
    }
    if (a.help || a.version) {
        fputs(a.help ? usage : "rekey-host " PACKAGE_VERSION "\n", stdout);
        return fflush(stdout) ? RK_EXIT_FAILED : RK_EXIT_OK;
    }
    return a.describe ? describe(&a) : serve(&a);
}
