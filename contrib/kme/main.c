/* main.c - rekey-kme: options, start, signals.
 *
 * One process, one thread, one event loop; ends at SIGTERM or SIGINT.  stdout holds one line, "ready".
 */
#include "server.h"
#include "stats.h"

#include <core/base/log.h>
#include <rekey/device.h>
#include <rekey/err.h>

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };

struct options {
    const char *config, *stats;
    int ready_fd, level;
    struct kme_usual usual;
    struct kme_faults faults; /* --fail */
};

static const char usage[] = "usage: rekey-kme --config FILE [OPTION]...\n"
                            "\n"
                            "An ETSI GS QKD 014 KME for labs and tests; see rekey-kme(8).\n"
                            "\n"
                            "  -c, --config FILE        the KMEs to run\n"
                            "  -p, --personality NAME   behave like NAME (strict)\n"
                            "  -f, --fail WORDS         faults, instead of those in FILE\n"
                            "  -s, --seed N             of faults with a probability\n"
                            "  -r, --ready-fd N         write the line \"ready\" to descriptor N instead of stdout\n"
                            "  -l, --log LEVEL          err, warning, notice, info (default) or debug\n"
                            "      --stats FILE         at SIGUSR1, write there how often it was asked\n"
                            "      --list-faults        show the words for --fail\n"
                            "      --list-personalities show the names for --personality\n"
                            "  -h, --help               show this\n"
                            "  -V, --version            show the version\n";

enum { LIST_FAULTS = 256, LIST_PERSONALITIES, STATS };

static int
wrong(const char *what)
{
    fprintf(stderr, "rekey-kme: %s\n", what);
    return EXIT_USAGE;
}

static int
list_personalities(void)
{
    const struct kme_personality *as;

    for (size_t i = 0; (as = kme_personality_at(i)) != NULL; i++)
        printf("%s\t%s\n", as->name, as->like);
    return EXIT_SUCCESS;
}

static int
add_faults(struct options *o)
{
    char why[RK_WHY_MAX];

    o->usual.faults = &o->faults;
    return kme_faults_parse(optarg, &o->faults, why) == RK_OK ? -1 : wrong(why);
}

/* One option that needs a value; -1 to go on, else the exit status. */
static int
take_value(int option, struct options *o)
{
    char *end = NULL;

    switch (option) {
    case 'c':
        o->config = optarg;
        return -1;
    case 'p':
        o->usual.personality = kme_personality_find(optarg);
        return o->usual.personality ? -1 : wrong("--personality must be one of --list-personalities");
    case 'f':
        return add_faults(o);
    case 's':
        o->usual.seed = strtoull(optarg, &end, 10);
        return optarg[0] >= '0' && optarg[0] <= '9' && !*end ? -1 : wrong("--seed must be a number");
    case 'r':
        o->ready_fd = (int)strtol(optarg, &end, 10);
        return end != optarg && !*end && o->ready_fd >= 1 && o->ready_fd <= 1023
                   ? -1 : wrong("--ready-fd must be a number from 1 to 1023");
    case 'l':
        o->level = rk_log_level_parse(optarg);
        return o->level >= 0 ? -1 : wrong("--log must be err, warning, notice, info or debug");
    case STATS:
        o->stats = optarg;
        return -1;
    default:
        return EXIT_USAGE; /* getopt said what is wrong */
    }
}

static int
take_option(int option, struct options *o)
{
    switch (option) {
    case LIST_FAULTS:
        kme_faults_list(stdout);
        return EXIT_SUCCESS;
    case LIST_PERSONALITIES:
        return list_personalities();
    case 'h':
        fputs(usage, stdout);
        return EXIT_SUCCESS;
    case 'V':
        puts("rekey-kme " PACKAGE_VERSION);
        return EXIT_SUCCESS;
    default:
        return take_value(option, o);
    }
}

static int
take_options(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
                                          {"personality", required_argument, NULL, 'p'},
                                          {"fail", required_argument, NULL, 'f'},
                                          {"seed", required_argument, NULL, 's'},
                                          {"ready-fd", required_argument, NULL, 'r'},
                                          {"log", required_argument, NULL, 'l'},
                                          {"stats", required_argument, NULL, STATS},
                                          {"list-faults", no_argument, NULL, LIST_FAULTS},
                                          {"list-personalities", no_argument, NULL, LIST_PERSONALITIES},
                                          {"help", no_argument, NULL, 'h'},
                                          {"version", no_argument, NULL, 'V'},
                                          {0}};
    int option, status = -1;

    while (status < 0 && (option = getopt_long(argc, argv, "c:p:f:s:r:l:hV", longs, NULL)) != -1)
        status = take_option(option, o);
    if (status < 0 && (!o->config || optind < argc)) {
        fputs(usage, stderr);
        status = EXIT_USAGE;
    }
    return status;
}

static void
on_signal(evutil_socket_t signal_number, short what, void *arg)
{
    (void)what;
    rk_log(RK_LOG_NOTICE, "ev=stop signal=%d", (int)signal_number);
    event_base_loopexit(arg, NULL);
}

static void
on_stats(evutil_socket_t signal_number, short what, void *arg)
{
    const struct options *o = arg;

    (void)signal_number;
    (void)what;
    if (o->stats && kme_stats_write(o->stats) < 0)
        rk_log(RK_LOG_ERR, "ev=stats res=failed cannot write %s: %s", o->stats, strerror(errno));
}

/* "ready kme-a=127.0.0.1:8443 ..." when all of them listen. */
static int
say_ready(const struct options *o, const struct kme_conf_set *set, struct kme_server *const *servers)
{
    FILE *out = o->ready_fd == STDOUT_FILENO ? stdout : fdopen(o->ready_fd, "w");
    int failed = out == NULL;

    if (out) {
        fputs("ready", out);
        for (size_t i = 0; i < set->n; i++) {
            fprintf(out, " %s=%s", set->kme[i].id, kme_server_where(servers[i]));
            rk_log(RK_LOG_NOTICE, "ev=listen kme=%s at=%s", set->kme[i].id, kme_server_where(servers[i]));
        }
        fputc('\n', out);
        failed = fflush(out) != 0;
        if (out != stdout)
            failed |= fclose(out) != 0;
    }
    if (failed)
        rk_log(RK_LOG_ERR, "ev=start res=failed cannot write to descriptor %d: %s", o->ready_fd, strerror(errno));
    return failed ? -1 : 0;
}

static int
serve(struct event_base *base, struct options *o, const struct kme_conf_set *set)
{
    struct kme_server *servers[KME_MAX] = {NULL};
    struct event *term = evsignal_new(base, SIGTERM, on_signal, base),
                 *intr = evsignal_new(base, SIGINT, on_signal, base), *usr1 = evsignal_new(base, SIGUSR1, on_stats, o);
    struct kme_ledger *ledger = kme_ledger_new();
    char why[KME_CONF_TEXT_MAX] = "out of memory";
    int status = EXIT_FAILURE;
    size_t n = 0;

    if (ledger && term && intr && usr1 && event_add(term, NULL) == 0 && event_add(intr, NULL) == 0 &&
        event_add(usr1, NULL) == 0)
        while (n < set->n && (servers[n] = kme_server_new(base, &set->kme[n], ledger, why)) != NULL)
            n++;
    if (n < set->n)
        rk_log(RK_LOG_ERR, "ev=start res=failed %s", why);
    else if (say_ready(o, set, servers) == 0 && event_base_dispatch(base) == 0)
        status = EXIT_SUCCESS;
    while (n > 0)
        kme_server_free(servers[--n]);
    kme_ledger_free(ledger);
    if (term)
        event_free(term);
    if (intr)
        event_free(intr);
    if (usr1)
        event_free(usr1);
    return status;
}

/* As many connections as the system allows. */
static void
raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
            rk_log(RK_LOG_WARNING, "ev=start more than the usual number of descriptors: %s", strerror(errno));
    }
}

int
main(int argc, char **argv)
{
    const struct rlimit no_core = {0, 0};
    struct options o = {.ready_fd = STDOUT_FILENO, .level = RK_LOG_INFO,
                        .usual = {.personality = kme_personality_at(0), .seed = (uint64_t)time(NULL)}};
    struct kme_conf_set set;
    struct event_base *base;
    char why[KME_CONF_TEXT_MAX];
    int status = take_options(argc, argv, &o);

    if (status >= 0)
        return status;
    rk_log_start("rekey-kme", o.level);
    if (setrlimit(RLIMIT_CORE, &no_core) < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR ||
        kme_conf_load(o.config, &o.usual, &set, why) != RK_OK) {
        rk_log(RK_LOG_ERR, "ev=config res=failed %s", why);
        return EXIT_FAILURE;
    }
    rk_log(RK_LOG_NOTICE, "ev=start seed=%llu", (unsigned long long)o.usual.seed); /* to have the same faults again */
    raise_descriptors();
    base = event_base_new();
    status = base ? serve(base, &o, &set) : EXIT_FAILURE;
    if (base)
        event_base_free(base);
    libevent_global_shutdown();
    kme_conf_free(&set);
    return status;
}
