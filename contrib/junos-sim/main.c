/* main.c - junos-sim: options, start, signals.
 *
 * The main thread accepts; each session has a thread.  Ends at SIGTERM or SIGINT.  stdout holds one line, "ready".
 */
#include "args.h"
#include "local.h"
#include "server.h"
#include "session.h"

#include <core/base/log.h>
#include <libxml/parser.h>

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

static int
say_ready(const struct args *a, uint16_t port)
{
    FILE *out = a->ready_fd == STDOUT_FILENO ? stdout : fdopen(a->ready_fd, "w");
    bool failed = out == NULL;

    if (out) {
        fprintf(out, "ready port=%u\n", port);
        failed = fflush(out) != 0;
        if (out != stdout)
            failed |= fclose(out) != 0;
    }
    if (failed)
        rk_log(RK_LOG_ERR, "ev=start res=failed cannot write to descriptor %d: %s", a->ready_fd, strerror(errno));
    return failed ? -1 : 0;
}

/* Boxes, keys, listener, world, in this order; the first that fails is told. */
static int
serve(const struct args *a, struct sim_lab *lab, int stop_fd)
{
    char why[SIM_WHY_MAX] = "";
    struct local *local = NULL;
    uint16_t port = a->port;
    int listener = -1;
    bool started = false, ready;

    for (size_t i = 0; i < lab->n && !*why; i++)
        store_start(lab->boxes[i], why);
    ready = !*why && host_keys_start(lab, a->host_keys, why) && (listener = server_open(a->listen, &port, why)) >= 0 &&
            local_open(lab, a->local_dir, &local, why) == 0;
    if (ready && a->known_hosts && host_keys_write(lab, port, a->known_hosts) < 0) {
        snprintf(why, sizeof why, "cannot write %.200s", a->known_hosts);
        ready = false;
    }
    ready = ready && (started = sim_world_start(lab, why) == 0) && say_ready(a, port) == 0;
    if (ready) {
        rk_log(RK_LOG_NOTICE, "ev=start boxes=%zu port=%u", lab->n, port);
        server_run(listener, stop_fd, lab, local);
    } else {
        rk_log(RK_LOG_ERR, "ev=start res=failed %s", why);
        if (listener >= 0)
            close(listener);
    }
    if (started)
        sim_world_stop(lab);
    local_close(&local);
    host_keys_stop();
    return ready ? EXIT_SUCCESS : EXIT_FAILURE;
}

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

/* Signals are read where they can be waited for; blocked in all threads. */
static int
signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
        return -1;
    return signalfd(-1, &set, SFD_CLOEXEC);
}

int
main(int argc, char **argv)
{
    const struct rlimit no_core = {0, 0};
    struct args a;
    struct sim_lab lab = {0};
    char why[SIM_WHY_MAX] = "out of memory";
    int status = args_take(argc, argv, &a), stop_fd;

    if (status >= 0)
        return status;
    rk_log_start("junos-sim", a.level);
    mallopt(M_ARENA_MAX, 4); /* a thread a session would have one each */
    raise_descriptors();
    xmlInitParser();
    stop_fd = signals();
    if (setrlimit(RLIMIT_CORE, &no_core) < 0 || stop_fd < 0 || ssh_init() != SSH_OK || !schema_start() ||
        args_lab(&a, &lab, why) < 0) {
        rk_log(RK_LOG_ERR, "ev=config res=failed %s", why);
        status = EXIT_FAILURE;
    } else
        status = serve(&a, &lab, stop_fd);
    sim_lab_free(&lab);
    schema_stop();
    ssh_finalize();
    xmlCleanupParser();
    if (stop_fd >= 0)
        close(stop_fd);
    return status;
}
