/* privs.c - a host process gives up what its module does not need.  Linux system calls only, no libcap. */
#include "privs.h"

#include "../base/log.h"
#include "../base/secret.h"

#include <errno.h>
#include <linux/capability.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int
fatal(char *why, size_t size, const char *what)
{
    snprintf(why, size, "%s: %s", what, strerror(errno));
    return RK_E_FATAL;
}

/* ---- privileges ---- */

static void
leave_network(void)
{
    if (unshare(CLONE_NEWNET) == 0)
        rk_log(RK_LOG_DEBUG, "ev=sandbox network=none");
    else
        rk_log(RK_LOG_DEBUG, "ev=sandbox network=shared why=\"%s\"", strerror(errno));
}

/* The bounding set can be cut with CAP_SETPCAP only; who has it not cannot gain by it either (no new privileges). */
static int
cut_bounding(bool net_admin)
{
    for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
        if (net_admin && cap == CAP_NET_ADMIN)
            continue;
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EPERM)
            return -1;
    }
    return 0;
}

static int
cut_sets(bool net_admin)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2];
    const unsigned keep = net_admin ? 1u << CAP_NET_ADMIN : 0;

    if (syscall(SYS_capget, &head, sets) < 0)
        return -1;
    sets[0].permitted &= keep;
    sets[0].effective = sets[0].permitted;
    sets[0].inheritable = 0;
    memset(&sets[1], 0, sizeof sets[1]);
    return (int)syscall(SYS_capset, &head, sets);
}

int
rk_privs_drop(uint32_t caps, char *why, size_t size)
{
    bool net_admin = caps & RK_CAP_NEEDS_NET_ADMIN;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return fatal(why, size, "no-new-privs");
    if (!(caps & (RK_CAP_NEEDS_NET | RK_CAP_NEEDS_NET_ADMIN)))
        leave_network();
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return fatal(why, size, "ambient capabilities");
    if (cut_bounding(net_admin) < 0)
        return fatal(why, size, "capability bounding set");
    if (cut_sets(net_admin) < 0)
        return fatal(why, size, "capabilities");
    return RK_OK;
}

/* ---- start ---- */

static int
close_range_of(unsigned first, unsigned last)
{
#ifdef SYS_close_range
    if (first > last || syscall(SYS_close_range, first, last, 0) == 0)
        return 0;
    if (errno != ENOSYS)
        return -1;
#endif
    for (unsigned fd = first; fd <= last && fd < (unsigned)sysconf(_SC_OPEN_MAX); fd++)
        close((int)fd);
    return 0;
}

static int
close_others(int keep_fd)
{
    unsigned keep = (unsigned)keep_fd;

    if (close_range_of(STDERR_FILENO + 1, keep - 1) < 0)
        return -1;
    return close_range_of(keep + 1, ~0u);
}

/* What steers libraries by environment (proxies, trust stores, debugging) must not steer a plugin. */
static int
clean_environment(void)
{
    static const char *const kept[] = {"TZ", "LANG", "JOURNAL_STREAM"};
    char *values[3];
    int failed = 0;

    for (size_t i = 0; i < 3; i++) {
        const char *value = getenv(kept[i]);

        values[i] = value ? strdup(value) : NULL;
    }
    failed |= clearenv();
    for (size_t i = 0; i < 3; i++) {
        if (values[i])
            failed |= setenv(kept[i], values[i], 1);
        free(values[i]);
    }
    return failed ? -1 : 0;
}

/* Ends of a daemon reach all of its process group, or control group; a host must outlive them until its calls are
 * done, and it ends when rekeyd closes the socket or dies. */
static void
ignore_signals(void)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    static const int signals[] = {SIGPIPE, SIGXFSZ, SIGINT, SIGHUP, SIGTERM};

    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        (void)sigaction(signals[i], &ignore, NULL);
}

static void
raise_files(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur >= files.rlim_max)
        return;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files); /* with what there is it works as well, for fewer calls at once */
}

int
rk_process_start(int keep_fd, char *why, size_t size)
{
    pid_t parent = getppid();

    if (rk_process_harden() != RK_OK)
        return fatal(why, size, "core files cannot be switched off");
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return fatal(why, size, "parent death signal");
    if (getppid() != parent) {
        snprintf(why, size, "rekeyd is gone");
        return RK_E_FATAL;
    }
    ignore_signals();
    if (close_others(keep_fd) < 0)
        return fatal(why, size, "inherited descriptors cannot be closed");
    if (clean_environment() < 0)
        return fatal(why, size, "environment");
    umask(077);
    raise_files();
#ifdef M_ARENA_MAX
    (void)mallopt(M_ARENA_MAX, 2); /* one arena per thread would cost more than 64 workers ever allocate */
#endif
    return RK_OK;
}
