/* args.c - command line of junos-sim, and boxes that are described there
 *
 * Used before threads start.  Passwords are read from files: an argument can be seen by everybody.
 */
#include "args.h"
#include "world.h"

#include <core/base/log.h>
#include <core/base/text.h>

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, FILE_MAX = 4 << 20 };

static const char usage[] =
    "usage: junos-sim --topology FILE [OPTION]...\n"
    "       junos-sim --box NAME=127.X.Y.Z[,PERSONALITY] --user NAME --authorized-keys FILE [OPTION]...\n"
    "\n"
    "Routers that speak NETCONF as Junos does, for labs and tests; see junos-sim(8).\n"
    "\n"
    "  -t, --topology FILE         the routers and their cables\n"
    "  -b, --box NAME=ADDR[,LIKE]  a router without cables; may be given again\n"
    "      --user NAME             who may log in on those (lab)\n"
    "      --authorized-keys FILE  by these keys\n"
    "      --password-file FILE    by the password in this file\n"
    "      --config FILE           their configuration at start: {} form, set commands, or XML\n"
    "      --commit-time TIME      how long a commit takes, as 20ms or 2s (0s)\n"
    "  -p, --port N                SSH port of all (830); 0: any\n"
    "      --listen ADDRESS        only there, not on all addresses of the loopback device\n"
    "      --host-keys DIR         keep host keys there; else they are made anew\n"
    "      --local-dir DIR         a socket DIR/NAME for each: NETCONF from the router itself, see README.md\n"
    "      --known-hosts FILE      write what clients need to know them\n"
    "  -r, --ready-fd N            write the line \"ready port=N\" to descriptor N instead of stdout\n"
    "  -l, --log LEVEL             err, warning, notice, info (default) or debug\n"
    "      --list-personalities    show what PERSONALITY may be\n"
    "      --list-faults           show what the topology and the control socket may ask for\n"
    "  -h, --help                  show this\n"
    "  -V, --version               show the version\n";

enum { USER = 256, KEYS, PASSWORD, CONFIG, COMMIT, LISTEN, HOST_KEYS, KNOWN_HOSTS, LOCAL, LIST, FAULTS };

static int
wrong(const char *what)
{
    fprintf(stderr, "junos-sim: %s\n", what);
    return EXIT_USAGE;
}

static int
list_personalities(void)
{
    const struct sim_personality *as;

    for (size_t i = 0; (as = sim_personality_at(i)) != NULL; i++)
        printf("%s\t%s\n", as->name, as->like);
    return EXIT_SUCCESS;
}

static bool
number(const char *text, long most, long *out)
{
    char *end;

    errno = 0;
    *out = strtol(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && !*end && !errno && *out <= most;
}

static bool
duration(const char *text, int64_t *ms)
{
    char *end;
    double n = strtod(text, &end);

    if (end == text || n < 0 || n > 3600000 || (strcmp(end, "ms") != 0 && strcmp(end, "s") != 0))
        return false;
    *ms = (int64_t)(*end == 'm' ? n : n * 1000);
    return true;
}

static int
take_number(int option, struct args *a)
{
    long n;

    if (option == 'p') {
        if (!number(optarg, 65535, &n))
            return wrong("--port must be a number from 0 to 65535");
        a->port = (uint16_t)n;
    } else if (option == 'r') {
        if (!number(optarg, 1023, &n) || n < 1)
            return wrong("--ready-fd must be a number from 1 to 1023");
        a->ready_fd = (int)n;
    } else if (option == 'l') {
        if ((a->level = rk_log_level_parse(optarg)) < 0)
            return wrong("--log must be err, warning, notice, info or debug");
    } else if (!duration(optarg, &a->commit_ms))
        return wrong("--commit-time must be a time as 20ms or 2s");
    return -1;
}

static int
take_option(int option, struct args *a)
{
    switch (option) {
    case 't': a->topology = optarg; return -1;
    case 'b':
        if (a->n_boxes == ARGS_BOXES_MAX)
            return wrong("too many --box: write a topology");
        a->box[a->n_boxes++] = optarg;
        return -1;
    case USER: a->user = optarg; return -1;
    case KEYS: a->keys = optarg; return -1;
    case PASSWORD: a->password = optarg; return -1;
    case CONFIG: a->config = optarg; return -1;
    case LISTEN: a->listen = optarg; return -1;
    case HOST_KEYS: a->host_keys = optarg; return -1;
    case KNOWN_HOSTS: a->known_hosts = optarg; return -1;
    case LOCAL: a->local_dir = optarg; return -1;
    case LIST: return list_personalities();
    case FAULTS: fault_list(stdout); return EXIT_SUCCESS;
    case 'h': fputs(usage, stdout); return EXIT_SUCCESS;
    case 'V': puts("junos-sim " PACKAGE_VERSION); return EXIT_SUCCESS;
    case '?': return EXIT_USAGE; /* getopt said what is wrong */
    default: return take_number(option, a);
    }
}

int
args_take(int argc, char **argv, struct args *a)
{
    static const struct option longs[] = {
        {"topology", required_argument, NULL, 't'},   {"box", required_argument, NULL, 'b'},
        {"user", required_argument, NULL, USER},      {"authorized-keys", required_argument, NULL, KEYS},
        {"password-file", required_argument, NULL, PASSWORD}, {"config", required_argument, NULL, CONFIG},
        {"commit-time", required_argument, NULL, COMMIT}, {"port", required_argument, NULL, 'p'},
        {"listen", required_argument, NULL, LISTEN},  {"host-keys", required_argument, NULL, HOST_KEYS},
        {"known-hosts", required_argument, NULL, KNOWN_HOSTS}, {"local-dir", required_argument, NULL, LOCAL},
        {"ready-fd", required_argument, NULL, 'r'},
        {"log", required_argument, NULL, 'l'},        {"list-personalities", no_argument, NULL, LIST},
        {"list-faults", no_argument, NULL, FAULTS},
        {"help", no_argument, NULL, 'h'},             {"version", no_argument, NULL, 'V'}, {0}};
    int option, status = -1;

    *a = (struct args){.listen = "", .user = "lab", .ready_fd = STDOUT_FILENO, .level = RK_LOG_INFO, .port = 830};
    while (status < 0 && (option = getopt_long(argc, argv, "t:b:p:r:l:hV", longs, NULL)) != -1)
        status = take_option(option, a);
    if (status >= 0)
        return status;
    if (optind < argc || !a->topology == !a->n_boxes) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    if (a->n_boxes && !a->keys && !a->password)
        return wrong("--box needs --authorized-keys or --password-file");
    return -1;
}

/* A whole file as text, to be freed. */
static char *
file_text(const char *path, char *why)
{
    FILE *in = fopen(path, "re");
    char *text = NULL;
    size_t n = 0;

    if (in && (text = malloc(FILE_MAX + 1)) != NULL) {
        n = fread(text, 1, FILE_MAX, in);
        text[n] = '\0';
    }
    if (!text || ferror(in) || n == FILE_MAX || strlen(text) != n) {
        snprintf(why, SIM_WHY_MAX, "%.180s: %s", path, in ? "is no text, or is too large" : strerror(errno));
        free(text);
        text = NULL;
    }
    if (in)
        fclose(in);
    return text ? realloc(text, n + 1) : NULL;
}

static bool
file_into(const char *path, char **out, char *why)
{
    return !path || (*out = file_text(path, why)) != NULL;
}

static struct sim_box *
box_of(const struct args *a, const char *text, char *why)
{
    char name[SIM_NAME_MAX + 1], address[32], like[32] = "mx";
    struct sim_box *box;
    struct sim_user *u;

    if (sscanf(text, "%64[^=]=%31[^,],%31s", name, address, like) < 2 || !rk_name_ok(name, SIM_NAME_MAX) ||
        !sim_personality_find(like)) {
        snprintf(why, SIM_WHY_MAX,
                 "--box %.80s: must be NAME=127.X.Y.Z, with one of --list-personalities behind a comma", text);
        return NULL;
    }
    if (!(box = sim_box_new(name)))
        return NULL;
    u = &box->users[box->n_users++];
    box->as = sim_personality_find(like);
    box->commit_ms = a->commit_ms;
    snprintf(u->name, sizeof u->name, "%s", a->user);
    if (inet_pton(AF_INET, address, &box->address) != 1 || (ntohl(box->address.s_addr) >> 24) != 127)
        snprintf(why, SIM_WHY_MAX, "--box %.80s: must have an address of 127.0.0.0/8", text);
    else if (file_into(a->keys, &u->keys, why) && file_into(a->password, &u->password, why) &&
             file_into(a->config, &box->initial, why)) {
        if (u->password)
            u->password[strcspn(u->password, "\r\n")] = '\0';
        return box;
    }
    sim_box_free(box);
    return NULL;
}

int
args_lab(const struct args *a, struct sim_lab *lab, char *why)
{
    if (a->topology)
        return sim_topology_load(a->topology, lab, why);
    if (!(lab->boxes = calloc(a->n_boxes, sizeof *lab->boxes)))
        return -1;
    for (size_t i = 0; i < a->n_boxes; i++) {
        struct sim_box *box = box_of(a, a->box[i], why);

        if (!box)
            return -1;
        if (sim_lab_at(lab, box->address) || sim_lab_box(lab, box->name)) {
            snprintf(why, SIM_WHY_MAX, "--box %.80s: its name or address is there twice", a->box[i]);
            sim_box_free(box);
            return -1;
        }
        lab->boxes[lab->n++] = box;
    }
    return 0;
}
