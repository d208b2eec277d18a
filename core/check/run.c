/* run.c - the command line, and the way through the rows: each in a host of its own, so that one that ends it spoils no
 * other. */
#include "check.h"

#include "../base/err.h"
#include "../base/log.h"
#include "../base/text.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

enum { EXIT_FINE, EXIT_FAILED, EXIT_WRONG_USE, EXIT_CANNOT };
#define ROWS_MAX 32

struct args {
    const char *module, *config, *only, *man, *host, *probe;
    bool json, list, help, version;
};

static const char usage[] =
    "usage: rekey-plugin-check [--config FILE] [--man PAGE] [--only ROW,...] [--json] MODULE\n"
    "       rekey-plugin-check --list | --help | --version\n"
    "\n"
    "Runs a plugin of rekeyd in a sandboxed process and looks whether it keeps its contract.  MODULE is the path of\n"
    "a .so file, or the name of an installed plugin.  See rekey-plugin-check(1).\n";

static bool
parse(int argc, char **argv, struct args *a)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"man", required_argument, NULL, 'm'},
        {"only", required_argument, NULL, 'o'},   {"host", required_argument, NULL, 'H'},
        {"probe", required_argument, NULL, 'p'},  {"json", no_argument, NULL, 'j'},
        {"list", no_argument, NULL, 'l'},         {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},      {NULL, 0, NULL, 0},
    };
    int o;

    while ((o = getopt_long(argc, argv, "hV", options, NULL)) != -1) {
        switch (o) {
        case 'c': a->config = optarg; break;
        case 'm': a->man = optarg; break;
        case 'o': a->only = optarg; break;
        case 'H': a->host = optarg; break;
        case 'p': a->probe = optarg; break;
        case 'j': a->json = true; break;
        case 'l': a->list = true; break;
        case 'h': a->help = true; break;
        case 'V': a->version = true; break;
        default: return false;
        }
    }
    if (optind < argc)
        a->module = argv[optind++];
    return optind == argc && (a->help || a->version || a->list || a->module);
}

/* Is the row in "a,b,c"?  NULL has all */
static bool
in_list(const char *list, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, name, len) == 0 && (at[len] == ',' || at[len] == '\0'))
            return true;
    return !list;
}

/* ---- rows ---- */

/* Another row must have gone well before this one says anything. */
static const char *
not_now(const struct rk_check *ck, const struct rk_check_row *row, const struct rk_check_host *h)
{
    static char text[120];
    const char *missing;

    if (row->needs_instance && !ck->loaded)
        return "it cannot be loaded";
    if (row->kinds && !(row->kinds & 1u << ck->kind))
        return "not for a plugin of its kind";
    if (!row->needs_instance)
        return NULL;
    missing = rk_check_missing(ck, h);
    if (missing) {
        if (ck->conf.given)
            snprintf(text, sizeof text, "the configuration does not give %.60s", missing);
        else
            snprintf(text, sizeof text, "no --config, and %.60s must be given", missing);
        return text;
    }
    return row->needs_calls && !ck->works ? "calls do not work: see row calls" : NULL;
}

static void
learn(struct rk_check *ck, const struct rk_check_host *h)
{
    if (!h->has_hello || h->hello.error[0])
        return;
    rk_copy(ck->name, sizeof ck->name, h->hello.name);
    rk_copy(ck->version, sizeof ck->version, h->hello.version);
    ck->kind = h->hello.kind;
    ck->caps = h->hello.caps;
    ck->abi = h->hello.abi;
}

static void
run_row(struct rk_check *ck, const struct rk_check_row *row, const char *only, struct rk_check_line *line)
{
    /* what others need is run, though it may not be shown */
    bool needed = row->run == rk_check_row_load || row->run == rk_check_row_calls;
    struct rk_check_host h;
    const char *why;

    ck->text[0] = '\0';
    line->result = RK_CHECK_SKIPPED;
    if (!in_list(only, row->name) && !needed) {
        snprintf(line->seen, sizeof line->seen, "not asked for");
        return;
    }
    rk_check_tidy_up(ck);
    (void)rk_check_host_start(&h, &ck->paths);
    learn(ck, &h);
    why = not_now(ck, row, &h);
    if (why)
        snprintf(ck->text, sizeof ck->text, "%s", why);
    else
        line->result = row->run(ck, &h);
    (void)rk_check_host_end(&h);
    snprintf(line->seen, sizeof line->seen, "%s", ck->text);
    if (!in_list(only, row->name)) {
        line->result = RK_CHECK_SKIPPED;
        snprintf(line->seen, sizeof line->seen, "not asked for");
    }
}

/* ---- where things are ---- */

static bool
find_files(const struct args *a, struct rk_check *ck, char *module, char *probe)
{
    char path[PATH_MAX];
    const char *want = a->probe ? a->probe : RK_LIBEXECDIR "/rekey-check-probe.so";

    if (strchr(a->module, '/'))
        snprintf(path, sizeof path, "%s", a->module);
    else
        snprintf(path, sizeof path, "%s/%s%s", RK_PLUGINDIR, a->module, strstr(a->module, ".so") ? "" : ".so");
    if (!realpath(path, module)) {
        fprintf(stderr, "rekey-plugin-check: %s: %s\n", path, strerror(errno));
        return false;
    }
#ifdef SANITIZED
    probe[0] = '\0'; /* a sanitizer has an allocator of its own, and wants to be loaded first */
    (void)want;
#else
    if (!realpath(want, probe)) {
        fprintf(stderr, "rekey-plugin-check: %s: %s\n", want, strerror(errno));
        return false;
    }
#endif
    ck->paths.module = module;
    ck->paths.probe = probe;
    ck->paths.host = a->host ? a->host : RK_LIBEXECDIR "/rekey-host";
    if (access(ck->paths.host, X_OK) == 0)
        return true;
    fprintf(stderr, "rekey-plugin-check: %s: %s\n", ck->paths.host, strerror(errno));
    return false;
}

/* Files of this run; no folders are made in it by us, but by the module there may. */
static void
remove_dir(const char *dir)
{
    char command[400];

    snprintf(command, sizeof command, "rm -rf -- '%s'", dir);
    if (system(command) != 0)
        fprintf(stderr, "rekey-plugin-check: %s is left\n", dir);
}

static void
name_of_file(struct rk_check *ck)
{
    const char *base = strrchr(ck->paths.module, '/') + 1;

    snprintf(ck->name, sizeof ck->name, "%.*s", (int)strcspn(base, "."), base);
    strcpy(ck->version, "?");
}

static int
check(struct rk_check *ck, const struct args *a)
{
    static struct rk_check_line lines[ROWS_MAX];
    unsigned failed = 0;

    name_of_file(ck);
    for (size_t i = 0; rk_check_rows[i].name; i++) {
        run_row(ck, &rk_check_rows[i], a->only, &lines[i]);
        failed += lines[i].result == RK_CHECK_FAILED;
    }
    if (rk_check_show(stdout, ck, lines, a->json) != RK_OK) {
        fprintf(stderr, "rekey-plugin-check: cannot write the report\n");
        return EXIT_CANNOT;
    }
    return failed ? EXIT_FAILED : EXIT_FINE;
}

static bool
rows_known(const char *list)
{
    while (list) {
        size_t len = strcspn(list, ","), i = 0;

        while (rk_check_rows[i].name &&
               (strlen(rk_check_rows[i].name) != len || strncmp(rk_check_rows[i].name, list, len) != 0))
            i++;
        if (!rk_check_rows[i].name) {
            fprintf(stderr, "rekey-plugin-check: no row is called \"%.*s\", see --list\n", (int)len, list);
            return false;
        }
        list = list[len] ? list + len + 1 : NULL;
    }
    return true;
}

static int
check_in_dir(const struct args *a, struct rk_check *ck)
{
    char dir[] = "/tmp/rekey-plugin-check.XXXXXX", why[600];
    int code = EXIT_CANNOT;

    if (rk_check_conf_read(a->config, &ck->conf, why, sizeof why) != RK_OK) {
        fprintf(stderr, "rekey-plugin-check: %s\n", why);
        code = EXIT_WRONG_USE;
    } else if (!mkdtemp(dir)) {
        fprintf(stderr, "rekey-plugin-check: %s: %s\n", dir, strerror(errno));
    } else {
        ck->paths.dir = dir;
        code = check(ck, a);
        remove_dir(dir);
    }
    rk_check_conf_free(&ck->conf);
    return code;
}

int
rk_check_main(int argc, char **argv)
{
    static char module[PATH_MAX], probe[PATH_MAX];
    struct rk_check ck = {0};
    struct args a = {0};

    if (!parse(argc, argv, &a)) {
        fputs(usage, stderr);
        return EXIT_WRONG_USE;
    }
    if (a.help || a.version || a.list) {
        if (!a.list)
            fputs(a.help ? usage : "rekey-plugin-check " PACKAGE_VERSION "\n", stdout);
        for (size_t i = 0; a.list && rk_check_rows[i].name; i++)
            printf("%-11s  %s\n", rk_check_rows[i].name, rk_check_rows[i].what);
        return fflush(stdout) ? EXIT_CANNOT : EXIT_FINE;
    }
    if (!rows_known(a.only))
        return EXIT_WRONG_USE;
    ck.man = a.man;
    umask(077);
    signal(SIGPIPE, SIG_IGN);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* what a host leaves behind comes here */
    if (!find_files(&a, &ck, module, probe))
        return EXIT_CANNOT;
    return check_in_dir(&a, &ck);
}
