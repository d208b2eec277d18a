/* daemon.c - start, loop and stop of rekeyd.
 *
 * Everything happens in callbacks of one libevent loop.  What they bring about is collected, and at the end of each
 * turn calls are dispatched and the journal is written once, or under load once for some turns: that makes batches.
 */
#include "device_ask.h"
#include "discover.h"

#include "../base/err.h"
#include "../base/log.h"
#include "../base/secret.h"

#include <errno.h>
#include <event2/event.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define STOP_MS 5000      /* longest wait at SIGTERM for rotations past the point of no return */
#define STOP_LOOK_MS 20
#define TURN_ROUNDS 64    /* rounds of dispatch and commit in one turn, before other events are looked at */

/* ---- timers ---- */

void
wake_at(struct daemon *d, struct wake *w, int64_t at_ns)
{
    if (w->timer.pos && w->timer.at_ns == at_ns)
        return;
    if (rk_heap_put(&d->heap, &w->timer, at_ns) != RK_OK)
        rk_log(RK_LOG_ERR, "ev=timer res=no-memory"); /* the next event of this object sets it again */
    turn_soon(d);
}

void
wake_off(struct daemon *d, struct wake *w)
{
    rk_heap_remove(&d->heap, &w->timer);
}

static void
arm_timer(struct daemon *d)
{
    struct rk_timer *first = rk_heap_first(&d->heap);
    struct timeval tv;
    int64_t left_ns;

    if (!first) {
        event_del(d->timer_ev);
        return;
    }
    left_ns = first->at_ns - rk_now_ns();
    left_ns = left_ns > 0 ? left_ns : 0;
    tv.tv_sec = (time_t)(left_ns / RK_NS_PER_S);
    tv.tv_usec = (suseconds_t)((left_ns % RK_NS_PER_S + 999) / 1000);
    event_add(d->timer_ev, &tv);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct daemon *d = arg;
    int64_t now_ns = rk_now_ns();
    struct rk_timer *t;

    (void)fd;
    (void)what;
    while ((t = rk_heap_first(&d->heap)) && t->at_ns <= now_ns) {
        struct wake *w = (struct wake *)t;

        rk_heap_remove(&d->heap, t);
        w->fn(d, w);
    }
    turn_soon(d);
}

/* ---- turns ---- */

void
turn_soon(struct daemon *d)
{
    if (!d->turn_due && d->turn_ev) {
        d->turn_due = true;
        event_active(d->turn_ev, EV_TIMEOUT, 0);
    }
}

/* One that is marked while another one is dispatched, and has not had its turn, has it yet. */
static void
dispatch_dirty(struct daemon *d)
{
    struct inst *list = d->dirty;

    d->dirty = NULL;
    while (list) {
        struct inst *i = list;

        list = i->next_dirty;
        i->next_dirty = NULL;
        i->dirty = false;
        inst_dispatch(i);
    }
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct daemon *d = arg;

    (void)fd;
    (void)what;
    for (int round = 0; round < TURN_ROUNDS && (d->inbox || d->dirty || store_due(d)); round++) {
        chan_local(d);
        dispatch_dirty(d);
        store_flush(d);
    }
    d->turn_due = false;
    arm_timer(d);
    if (d->inbox || d->dirty || store_due(d))
        turn_soon(d);
}

/* ---- signals ---- */

/* May not be left now: the journal says ACTIVATING, and the device is about to follow. */
static bool
must_finish(const struct daemon *d)
{
    for (size_t i = 0; i < d->n_ends; i++) {
        const struct live *live = d->ends[i]->live;

        if (live && (live->e.d.phase == RK_PH_ACTIVATING || live->e.state == RK_ST_J_ACTIVE))
            return true;
    }
    return d->group_open;
}

static void
look_whether_to_stop(struct daemon *d, struct wake *w)
{
    if (must_finish(d) && rk_now_ns() < d->stop_by_ns)
        wake_at(d, w, rk_now_ns() + STOP_LOOK_MS * RK_NS_PER_MS);
    else
        event_base_loopbreak(d->base);
}

static void
stop(struct daemon *d)
{
    if (d->stopping)
        return;
    rk_log(RK_LOG_NOTICE, "ev=stop");
    d->stopping = true;
    d->stop_by_ns = rk_now_ns() + STOP_MS * RK_NS_PER_MS;
    d->stop_wake.fn = look_whether_to_stop;
    look_whether_to_stop(d, &d->stop_wake);
}

static void
reap(struct daemon *d)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        sup_reaped(d, pid, status);
}

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
    struct daemon *d = arg;
    char text[RK_TEXT_MAX];

    (void)what;
    if (sig == SIGCHLD)
        reap(d);
    else if (sig == SIGHUP)
        (void)setup_reload(d, text, sizeof text);
    else
        stop(d);
}

/* ---- start ---- */

static int
make_loop(struct daemon *d)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};

    d->base = event_base_new();
    if (!d->base || event_base_priority_init(d->base, 2) < 0)
        return RK_E_NOMEM;
    d->timer_ev = event_new(d->base, -1, 0, on_timer, d);
    d->turn_ev = event_new(d->base, -1, 0, on_turn, d);
    if (!d->timer_ev || !d->turn_ev)
        return RK_E_NOMEM;
    event_priority_set(d->timer_ev, 0);
    event_priority_set(d->turn_ev, 1);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        d->sig_ev[i] = event_new(d->base, signals[i], EV_SIGNAL | EV_PERSIST, on_signal, d);
        if (!d->sig_ev[i] || event_priority_set(d->sig_ev[i], 0) < 0 || event_add(d->sig_ev[i], NULL) < 0)
            return RK_E_NOMEM;
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of the journal, not the end */
    return RK_OK;
}

static int
open_journal(struct daemon *d, const struct rk_conf_set *set)
{
    char path[sizeof set->state_dir + 16], aside[sizeof path + 40], why[RK_TEXT_MAX];
    int err;

    if (mkdir(set->state_dir, 0700) < 0 && errno != EEXIST) {
        rk_log(RK_LOG_ERR, "ev=start res=io why=\"state-dir %s: %s: make its parent folder, or name another in %s\"",
               set->state_dir, strerror(errno), d->opt.config);
        return RK_E_IO;
    }
    snprintf(path, sizeof path, "%s/journal.db", set->state_dir);
    err = rk_journal_open(path, &d->journal, why, sizeof why);
    if (err == RK_E_UNSAFE) { /* damaged: the links go on without it */
        rk_log(RK_LOG_ERR, "ev=journal res=%s why=\"%s\"", rk_err_name(err), why);
        err = rk_journal_set_aside(path, aside, sizeof aside, why, sizeof why);
        if (!err)
            err = rk_journal_open(path, &d->journal, why, sizeof why);
        if (!err)
            store_log_aside(path, aside);
    }
    if (err)
        rk_log(RK_LOG_ERR, "ev=start res=%s why=\"%s\"", rk_err_name(err), why);
    return err;
}

static void
show_errors(const struct daemon *d, const struct rk_conf_errors *errors)
{
    char line[600];

    for (size_t i = 0; i < errors->n; i++) {
        rk_conf_error_text(errors, i, line, sizeof line);
        fprintf(stderr, "%s\n", line);
    }
    if (errors->more)
        fprintf(stderr, "%s: more errors are not shown\n", d->opt.config);
}

static void
print_warnings(const struct rk_conf_set *set)
{
    for (size_t i = 0; i < set->warnings.n; i++)
        printf("%s:%d:%d: warning: %s\n", set->file, set->warnings.list[i].line, set->warnings.list[i].col,
               set->warnings.list[i].text);
}

/* What one turn logs is written at its end: a rotation makes eight lines, and a turn many rotations. */
static void
loop(struct daemon *d)
{
    rk_log_keep(true);
    while (event_base_loop(d->base, EVLOOP_ONCE) == 0 && !event_base_got_break(d->base))
        rk_log_flush();
    rk_log_keep(false);
}

static int
run(struct daemon *d, struct rk_conf_set *set)
{
    char text[RK_TEXT_MAX];
    int err = open_journal(d, set);

    if (err) {
        rk_conf_free(&set);
        return 3;
    }
    d->conf = NULL;
    if (d->opt.log_level < 0)
        sup_log_level(d, set->log_level);
    memcpy(d->control, set->control, sizeof d->control);
    err = ctl_open(d, text, sizeof text);
    if (err) {
        rk_log(RK_LOG_ERR, "ev=start res=%s why=\"%s\"", rk_err_name(err), text);
        rk_conf_free(&set);
        return 3;
    }
    d->conf = NULL;
    err = setup_apply(d, set, text, sizeof text);
    if (err) {
        rk_log(RK_LOG_ERR, "ev=start res=%s", rk_err_name(err));
        if (d->conf != set)
            rk_conf_free(&set);
        return 3;
    }
    rk_log(RK_LOG_NOTICE, "ev=start version=%s sae=%s note=\"%s\"", PACKAGE_VERSION, set->sae, text);
    loop(d);
    return 0;
}

static void
finish(struct daemon *d)
{
    ctl_close(d);
    d->stopping = true;
    sup_stop_all(d);
    for (size_t i = 0; i < d->n_ends; i++) {
        rk_secret_fd_wipe(d->ends[i]->key_fd);
        mix_drop(d->ends[i]);
    }
    discover_free(d);
    rk_journal_close(&d->journal);
    rk_log(RK_LOG_NOTICE, "ev=stopped");
}

static void
usage(FILE *to)
{
    fprintf(to, "usage: rekeyd [options]\n"
                "  -c, --config FILE     configuration (" RK_CONFIG_FILE ")\n"
                "      --check [FILE]    check the configuration, plugin options included; change nothing\n"
                "      --json            with --check: errors as a JSON array\n"
                "      --test-source NAME [--peer SAE] [--fetch] [--budget MS]\n"
                "                        go the way to a key, for rekeyctl source test --config\n"
                "      --test-channel NAME [--budget MS]\n"
                "                        go the way to the peers, for rekeyctl peer test --config\n"
                "      --discover DEVICE | --prepare DEVICE [--word WORD]... [--apply] [--budget MS]\n"
                "                        ask a device, for rekeyctl discover and prepare --config\n"
                "      --plugin-dir DIR  plugins (" RK_PLUGIN_DIR ")\n"
                "      --host PATH       the host program (" RK_HOST_PATH ")\n"
                "      --log-level L     err, warning, notice, info or debug; else as configured\n"
                "      --help, --version\n"
                "It stays in the foreground and logs to stderr.  SIGHUP reloads, SIGTERM stops.  See rekeyd(8).\n");
}

/* Behind the words that are there.  ret: false: no room */
static bool
add_word(char words[RK_WORDS_MAX], const char *word)
{
    size_t at = strlen(words);
    int n = snprintf(words + at, RK_WORDS_MAX - at, "%s%s", at ? "\n" : "", word);

    return n >= 0 && (size_t)n < RK_WORDS_MAX - at;
}

/* ret: -1 go on; else the exit status */
static int
parse_options(struct daemon *d, int argc, char **argv)
{
    static const struct option longs[] = {
        {"config", required_argument, NULL, 'c'},     {"check", optional_argument, NULL, 'k'},
        {"json", no_argument, NULL, 'j'},             {"plugin-dir", required_argument, NULL, 'p'},
        {"host", required_argument, NULL, 'x'},       {"log-level", required_argument, NULL, 'l'},
        {"foreground", no_argument, NULL, 'f'},       {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},          {"test-source", required_argument, NULL, 't'},
        {"test-channel", required_argument, NULL, 'C'},
        {"peer", required_argument, NULL, 'P'},       {"fetch", no_argument, NULL, 'F'},
        {"budget", required_argument, NULL, 'b'},     {"discover", required_argument, NULL, 'd'},
        {"prepare", required_argument, NULL, 'r'},    {"apply", no_argument, NULL, 'a'},
        {"word", required_argument, NULL, 'w'},
        {NULL, 0, NULL, 0},
    };
    char *end;
    int o;

    d->opt = (struct options){RK_CONFIG_FILE, RK_PLUGIN_DIR, RK_HOST_PATH, false, false, -1,
                              {RK_SOURCE, NULL, "", false, 0},
                              {NULL, false, false, 0, NULL}, ""};
    d->opt.device.words = d->opt.words;
    while ((o = getopt_long(argc, argv, "c:fhv", longs, NULL)) != -1) {
        switch (o) {
        case 'c': d->opt.config = optarg; break;
        case 'k': d->opt.check = true; break;
        case 'j': d->opt.json = true; break;
        case 'p': d->opt.plugin_dir = optarg; break;
        case 'x': d->opt.host_path = optarg; break;
        case 'f': break;
        case 't': d->opt.test.name = optarg; break;
        case 'C': d->opt.test.name = optarg; d->opt.test.kind = RK_CHANNEL; break;
        case 'P': d->opt.test.peer = optarg; break;
        case 'd': d->opt.device.name = optarg; break;
        case 'r': d->opt.device.name = optarg; d->opt.device.prepare = true; break;
        case 'a': d->opt.device.apply = true; break;
        case 'F': d->opt.test.fetch = true; break;
        case 'w':
            if (add_word(d->opt.words, optarg))
                break;
            fprintf(stderr, "rekeyd: --word: too long\n");
            return 2;
        case 'b':
            d->opt.test.budget_ms = (uint32_t)strtoul(optarg, &end, 10);
            d->opt.device.budget_ms = d->opt.test.budget_ms;
            if (d->opt.test.budget_ms > 0 && !*end)
                break;
            fprintf(stderr, "rekeyd: --budget %s: milliseconds\n", optarg);
            return 2;
        case 'l':
            d->opt.log_level = rk_log_level_parse(optarg);
            if (d->opt.log_level >= 0)
                break;
            fprintf(stderr, "rekeyd: --log-level %s: err, warning, notice, info or debug\n", optarg);
            return 2;
        case 'h': usage(stdout); return 0;
        case 'v': printf("rekeyd %s\n", PACKAGE_VERSION); return 0;
        default: usage(stderr); return 2;
        }
    }
    if (optind < argc && d->opt.check)
        d->opt.config = argv[optind++];
    if (optind == argc)
        return -1;
    usage(stderr);
    return 2;
}

static int
check_only(struct daemon *d)
{
    struct rk_conf_errors errors = {.n = 0};
    struct rk_conf_set *set = NULL;
    int err = setup_check(d, d->opt.config, &set, &errors);

    if (d->opt.json) {
        check_print_json(d->opt.config, &errors, set);
    } else if (err) {
        show_errors(d, &errors);
    } else {
        print_warnings(set);
        printf("%s: ok: %zu links, %zu sources, devices and channels\n", d->opt.config, set->n_links, set->n_instances);
    }
    rk_conf_free(&set);
    rk_conf_errors_free(&errors);
    return err ? 1 : 0;
}

int
rk_daemon_main(int argc, char **argv)
{
    static struct daemon d = {.ctl_sock = -1};
    struct rk_conf_errors errors = {.n = 0};
    struct rk_conf_set *set = NULL;
    int status = parse_options(&d, argc, argv);
    bool quiet;

    if (status >= 0)
        return status;
    quiet = d.opt.check || d.opt.test.name || d.opt.device.name;
    rk_log_start("rekeyd", d.opt.log_level >= 0 ? d.opt.log_level : quiet ? RK_LOG_ERR : RK_LOG_INFO);
    d.commit_last = &d.commit;
    d.inbox_last = &d.inbox;
    d.commits = (struct rk_bucket){.rate_per_s = RK_COMMITS_PER_S, .burst = RK_COMMITS_BURST};
    d.started_ns = rk_now_ns();
    umask(077);
    if (rk_process_harden() != RK_OK || make_loop(&d) != RK_OK) {
        rk_log(RK_LOG_ERR, "ev=start res=fatal why=\"%s\"", strerror(errno));
        return 3;
    }
    if (d.opt.test.name) {
        status = source_test_only(&d);
    } else if (d.opt.device.name) {
        status = device_ask_only(&d);
    } else if (d.opt.check) {
        status = check_only(&d);
    } else if (setup_check(&d, d.opt.config, &set, &errors) != RK_OK) {
        show_errors(&d, &errors);
        status = 1;
    } else {
        status = run(&d, set);
    }
    rk_conf_errors_free(&errors);
    if (quiet)
        rk_log_level_set(RK_LOG_ERR);
    finish(&d);
    return status;
}
