/* server.c - the one listener of all boxes: a thread for each connection
 *
 * Runs in the main thread.  It is bound to the loopback device, and a connection to anything but 127.0.0.0/8 is closed.
 */
#include "server.h"
#include "local.h"
#include "session.h"

#include <core/base/log.h>

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TICK_MS 250
#define END_MS 10000

/* Stacks are mapped, and cost what is used of them; the sanitizers need more. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define STACK_BYTES (2u << 20)
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STACK_BYTES (2u << 20)
#endif
#endif
#ifndef STACK_BYTES
#define STACK_BYTES (256u << 10)
#endif

static unsigned living; /* sessions; atomic */

int
server_open(const char *address, uint16_t *port, char *why)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(*port)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

    if (*address && inet_pton(AF_INET, address, &at.sin_addr) != 1) {
        snprintf(why, SIM_WHY_MAX, "'%.60s' is no address", address);
        close(fd);
        return -1;
    }
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        (!*address && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) < 0) ||
        bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 1024) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) < 0) {
        snprintf(why, SIM_WHY_MAX, "cannot listen on %.60s port %u: %s%s", *address ? address : "the loopback device",
                 *port, strerror(errno), !*address && errno == EPERM ? "; --listen ADDRESS needs no rights" : "");
        if (fd >= 0)
            close(fd);
        return -1;
    }
    *port = ntohs(at.sin_port);
    return fd;
}

static void *
thread(void *arg)
{
    session_run(arg);
    __atomic_sub_fetch(&living, 1, __ATOMIC_RELEASE);
    return NULL;
}

static struct sim_box *
box_of(int fd, const struct sim_lab *lab)
{
    struct sockaddr_in at;
    socklen_t len = sizeof at;

    if (getsockname(fd, (struct sockaddr *)&at, &len) < 0 || at.sin_family != AF_INET ||
        (ntohl(at.sin_addr.s_addr) >> 24) != 127)
        return NULL;
    return sim_lab_at(lab, at.sin_addr);
}

static void
refuse(int fd)
{
    const struct linger now = {.l_onoff = 1};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}

static void
welcome(int fd, struct sim_box *box, bool local, const pthread_attr_t *small)
{
    struct session *s = box ? calloc(1, sizeof *s) : NULL;
    pthread_t id;
    int one = 1;

    if (!s) {
        refuse(fd);
        return;
    }
    if (!local)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    s->box = box;
    s->fd = fd;
    s->local = local;
    __atomic_add_fetch(&living, 1, __ATOMIC_ACQUIRE);
    if (pthread_create(&id, small, thread, s) != 0) {
        rk_log(RK_LOG_WARNING, "ev=accept box=%s res=failed no thread", box->name);
        __atomic_sub_fetch(&living, 1, __ATOMIC_RELEASE);
        refuse(fd);
        free(s);
    }
}

static void
end_all(const struct sim_lab *lab)
{
    int64_t end = mono_ms() + END_MS;

    while (__atomic_load_n(&living, __ATOMIC_ACQUIRE) > 0 && mono_ms() < end) {
        for (size_t i = 0; i < lab->n; i++) {
            lab->boxes[i]->store->down_until_ms = INT64_MAX;
            sim_hang_up(lab->boxes[i]);
        }
        poll(NULL, 0, 5);
    }
}

void
server_run(int listener, int stop_fd, const struct sim_lab *lab, struct local *local)
{
    struct pollfd wait[] = {{.fd = listener, .events = POLLIN}, {.fd = stop_fd, .events = POLLIN},
                            {.fd = local_fd(local), .events = POLLIN}};
    pthread_attr_t small;
    int64_t ticked = 0;

    if (pthread_attr_init(&small) != 0)
        return;
    pthread_attr_setstacksize(&small, STACK_BYTES);
    pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
    while (poll(wait, 3, TICK_MS) >= 0 || errno == EINTR) {
        struct sim_box *box;
        int fd;

        if (wait[1].revents)
            break;
        while (wait[0].revents && (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
            welcome(fd, box_of(fd, lab), false, &small);
        while (wait[2].revents && (fd = local_accept(local, &box)) >= 0)
            welcome(fd, box, true, &small);
        if (mono_ms() - ticked < TICK_MS)
            continue;
        ticked = mono_ms();
        for (size_t i = 0; i < lab->n; i++)
            store_tick(lab->boxes[i]);
    }
    pthread_attr_destroy(&small);
    close(listener);
    end_all(lab);
}
