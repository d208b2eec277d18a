/* rotation_sim.c - the simulator by hand: long runs, and the replay of what broke.  README.md has the options. */
#include "sim.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct how {
    struct sim_conf conf;
    uint64_t seeds;
    uint32_t jobs, at_once;
    bool time_given;
};

static int64_t
duration_ns(const char *text)
{
    static const struct {
        const char *unit;
        int64_t ns;
    } units[] = {{"ms", MS}, {"s", SEC}, {"m", 60 * SEC}, {"h", 3600 * SEC}, {"d", 86400 * SEC}};
    char *end;
    long long n = strtoll(text, &end, 10);

    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (end != text && strcmp(end, units[i].unit) == 0)
            return n * units[i].ns;
    fprintf(stderr, "rotation_sim: %s is no duration: 90s, 3m, 365d\n", text);
    exit(2);
}

static uint32_t
class_of(char c)
{
    if (c >= 'A' && c <= 'E')
        return (uint32_t)(c - 'A') + RK_CLASS_A;
    fprintf(stderr, "rotation_sim: classes are two letters of A to E\n");
    exit(2);
}

/* Names with commas, or a number in hex. */
static uint64_t
kinds_of(char *text)
{
    uint64_t kinds = 0;
    char *end;

    kinds = strtoull(text, &end, 16);
    if (*end == '\0' && end != text)
        return kinds;
    kinds = 0;
    for (char *name = strtok(text, ","); name; name = strtok(NULL, ",")) {
        int f = 0;

        while (f < F_COUNT && strcmp(name, fault_names[f]) != 0)
            f++;
        if (f == F_COUNT) {
            fprintf(stderr, "rotation_sim: no fault is called %s\n", name);
            exit(2);
        }
        kinds |= F_BIT(f);
    }
    return kinds;
}

enum which { O_SEED = 1, O_SEEDS, O_LINK, O_LINKS, O_DAYS, O_TIME, O_CLASSES, O_INTERVAL, O_DRAIN, O_VERIFY, O_LEAD,
              O_PATH, O_ACT, O_HEAR, O_EVERY, O_OUTAGE, O_KINDS, O_NOT, O_SOUP, O_STALE, O_REAL, O_CARRIED, O_TRACE,
              O_JOBS, O_AT_ONCE, O_HELP };

static const struct option options[] = {
    {"seed", 1, NULL, O_SEED},         {"seeds", 1, NULL, O_SEEDS},   {"link", 1, NULL, O_LINK},
    {"links", 1, NULL, O_LINKS},       {"days", 1, NULL, O_DAYS},     {"time", 1, NULL, O_TIME},
    {"classes", 1, NULL, O_CLASSES},   {"interval", 1, NULL, O_INTERVAL}, {"drain", 1, NULL, O_DRAIN},
    {"verify", 1, NULL, O_VERIFY},     {"lead", 1, NULL, O_LEAD},     {"path", 1, NULL, O_PATH},
    {"act", 1, NULL, O_ACT},           {"hear", 1, NULL, O_HEAR},     {"fault-every", 1, NULL, O_EVERY},
    {"outage", 1, NULL, O_OUTAGE},     {"kinds", 1, NULL, O_KINDS},   {"not", 1, NULL, O_NOT},
    {"soup", 1, NULL, O_SOUP},         {"stale", 1, NULL, O_STALE},   {"real", 0, NULL, O_REAL},
    {"carried", 0, NULL, O_CARRIED},
    {"trace", 0, NULL, O_TRACE},       {"jobs", 1, NULL, O_JOBS},     {"at-once", 1, NULL, O_AT_ONCE},
    {"help", 0, NULL, O_HELP},         {NULL, 0, NULL, 0},
};

static int64_t *
duration_of(struct sim_conf *c, int option)
{
    switch (option) {
    case O_INTERVAL:
        return &c->interval_ns;
    case O_DRAIN:
        return &c->drain_ns;
    case O_VERIFY:
        return &c->verify_ns;
    case O_LEAD:
        return &c->lead_ns;
    case O_PATH:
        return &c->path_ns;
    case O_ACT:
        return &c->act_ns;
    case O_HEAR:
        return &c->hear_ns;
    case O_EVERY:
        return &c->fault_every_ns;
    case O_OUTAGE:
        return &c->outage_ns;
    default:
        return &c->time_ns;
    }
}

static void
usage(void)
{
    printf("usage: rotation_sim [options]: both ends of links on virtual time, with faults\n");
    for (const struct option *o = options; o->name; o++)
        printf("  --%s%s\n", o->name, o->has_arg ? " VALUE" : "");
    printf("tests/sim/README.md says what each does.\n");
}

static void
take_option(struct how *h, int option)
{
    struct sim_conf *c = &h->conf;
    uint32_t n = optarg ? (uint32_t)strtoul(optarg, NULL, 10) : 0;

    switch (option) {
    case O_SEED:
        c->seed = strtoull(optarg, NULL, 10);
        break;
    case O_SEEDS:
        h->seeds = strtoull(optarg, NULL, 10);
        break;
    case O_LINK:
        c->first = n;
        c->links = 1;
        break;
    case O_LINKS:
        c->links = n;
        break;
    case O_DAYS:
        c->time_ns = n * 86400 * SEC;
        break;
    case O_CLASSES:
        break; /* taken before */
    case O_KINDS:
        c->kinds = kinds_of(optarg);
        break;
    case O_NOT:
        c->kinds &= ~kinds_of(optarg);
        break;
    case O_SOUP:
        c->soup = n;
        break;
    case O_STALE:
        c->on_stale = n;
        break;
    case O_REAL:
        c->real = true;
        break;
    case O_CARRIED:
        c->carried = true;
        break;
    case O_TRACE:
        c->trace = true;
        break;
    case O_JOBS:
        h->jobs = n ? n : 1;
        break;
    case O_AT_ONCE:
        h->at_once = n;
        break;
    case '?':
        fprintf(stderr, "rotation_sim: tests/sim/README.md has the options\n");
        exit(2);
    case O_HELP:
        usage();
        exit(0);
    default:
        *duration_of(c, option) = duration_ns(optarg);
        break;
    }
}

static void
take_options(struct how *h, int argc, char **argv)
{
    int option;

    run_conf(&h->conf, RK_CLASS_A, RK_CLASS_A);
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (option == O_CLASSES)
            run_conf(&h->conf, class_of(optarg[0]), class_of(optarg[0] ? optarg[1] : 0));
    optind = 1;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        take_option(h, option);
}

/* Links first .. last - 1, so many in one queue. */
static void
run_range(const struct how *h, uint32_t first, uint32_t last, struct sim_sum *sum)
{
    for (uint64_t seed = 0; seed < h->seeds; seed++)
        for (uint32_t i = first; i < last; i += h->at_once) {
            struct sim_conf conf = h->conf;

            conf.seed += seed;
            conf.first = i;
            conf.links = last - i < h->at_once ? last - i : h->at_once;
            run_whole(&conf, sum);
        }
}

static void
add(struct sim_sum *to, const struct sim_sum *from)
{
    to->links += from->links;
    to->rotations += from->rotations;
    to->steps += from->steps;
    to->records += from->records;
    to->crashes += from->crashes;
    to->stuck += from->stuck;
    to->cpu_s += from->cpu_s;
    to->oldest = from->oldest > to->oldest ? from->oldest : to->oldest;
    to->fullest = from->fullest > to->fullest ? from->fullest : to->fullest;
    for (int f = 0; f < F_COUNT; f++)
        to->count[f] += from->count[f];
}

/* One process for each part of the links: they do not touch each other. */
static int
run_jobs(const struct how *h)
{
    struct sim_sum sum = {0}, part;
    uint32_t first = h->conf.first, n = h->conf.links;
    int fd[2], status, bad = 0;

    if (pipe(fd) != 0)
        return 1;
    fflush(stdout);
    for (uint32_t j = 0; j < h->jobs; j++)
        if (fork() == 0) {
            part = (struct sim_sum){0};
            run_range(h, first + n * j / h->jobs, first + n * (j + 1) / h->jobs, &part);
            _exit(write(fd[1], &part, sizeof part) == sizeof part ? 0 : 1);
        }
    close(fd[1]);
    while (read(fd[0], &part, sizeof part) == sizeof part)
        add(&sum, &part);
    while (wait(&status) > 0)
        bad |= status;
    run_print(&h->conf, &sum);
    printf("%s - 0 violations, 0 links stuck\n", bad ? "not ok" : "ok");
    return bad ? 1 : 0;
}

int
main(int argc, char **argv)
{
    struct how h = {.seeds = 1, .jobs = 1, .at_once = 32};
    struct sim_sum sum = {0};

    take_options(&h, argc, argv);
    if (h.jobs > 1)
        return run_jobs(&h);
    run_range(&h, h.conf.first, h.conf.first + h.conf.links, &sum);
    run_print(&h.conf, &sum);
    printf("ok - 0 violations, 0 links stuck\n");
    return 0;
}
