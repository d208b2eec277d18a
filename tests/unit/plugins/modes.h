/* modes.h - how a test plugin is told to misbehave: by the peer SAE, interface or link of a call
 *
 * A name that begins with one of these words does it; any other name is served as it should be.
 */
#ifndef RK_TEST_MODES_H
#define RK_TEST_MODES_H

#include <rekey/plugin.h>

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline int
mode_is(const char *name, const char *mode)
{
    return strncmp(name, mode, strlen(mode)) == 0;
}

/* "wait": until the cancel descriptor is readable, as a good plugin does;  "deaf": for ever, as a bad one;
 * "crash": die;  "fatal", "code", "mute": return that.  RK_OK: go on. */
static inline int
mode_run(const struct rk_host *host, struct rk_call *call, const char *name)
{
    struct pollfd p = {.events = POLLIN};

    if (mode_is(name, "wait")) {
        p.fd = host->cancel_fd(call);
        while (host->left_ms(call) > 0 && poll(&p, 1, host->left_ms(call)) == 0)
            ;
        (void)poll(&p, 1, 0); /* a call that is canceled before it waits has nothing left of its time either */
        return host->fail(call, p.revents ? RK_E_CANCELED : RK_E_TIMEOUT, "waited at %s", name);
    }
    while (mode_is(name, "deaf"))
        pause();
    if (mode_is(name, "crash"))
        _exit(99);
    if (mode_is(name, "fatal"))
        return host->fail(call, RK_E_FATAL, "cannot go on");
    if (mode_is(name, "code"))
        return host->fail(call, 4711, "of no meaning");
    if (mode_is(name, "mute"))
        return RK_E_UNREACHABLE;
    if (mode_is(name, "ugly"))
        return host->fail(call, RK_E_REJECTED, "line\nbreak \033[1m and \xff");
    return RK_OK;
}

#endif
