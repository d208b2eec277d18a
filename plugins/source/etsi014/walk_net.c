/* walk_net.c - the part of a test of a source that is below TLS: names, addresses, connections.
 *
 * Runs on the host's worker threads.  Connections that are made here are closed at once; nothing is sent on them.
 */
#include "walk.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- names ---- */

/* Address i as text, with its port when that is wanted. */
static const char *
address_text(const struct rkp_probe *p, size_t i, bool with_port, char text[120])
{
    char host[80], port[8];

    if (getnameinfo((const struct sockaddr *)&p->addrs[i].addr, p->addrs[i].len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return "an address of another family";
    snprintf(text, 120, "%s%s%s", host, with_port ? " port " : "", with_port ? port : "");
    return text;
}

static bool
is_address(const char *host)
{
    unsigned char addr[16];

    return inet_pton(AF_INET, host, addr) == 1 || inet_pton(AF_INET6, host, addr) == 1;
}

/* libcurl looks the name up, as it does for a request, and is given no socket for any of its addresses. */
int
walk_dns(struct walk *w)
{
    char list[200] = "", one[120];
    size_t used = 0;
    long http;
    int err;

    curl_easy_setopt(w->slot->easy, CURLOPT_OPENSOCKETFUNCTION, rkp_probe_socket);
    curl_easy_setopt(w->slot->easy, CURLOPT_OPENSOCKETDATA, &w->probe);
    err = walk_ask(w, "", &http);
    curl_easy_setopt(w->slot->easy, CURLOPT_OPENSOCKETFUNCTION, (void *)NULL);
    if (w->probe.n_addrs == 0 && err == RK_E_UNREACHABLE)
        return STEP(w, "dns", err,
                    "%s has no address: %s; is the name in %s right?  \"getent ahosts %s\" asks the same "
                    "name server",
                    w->near, w->slot->err_text, w->e->proxy ? "proxy" : "url", w->near);
    if (w->probe.n_addrs == 0)
        return STEP(w, "dns", err ? err : RK_E_PROTOCOL, "%s", "");
    if (is_address(w->near))
        return RK_OK;
    for (size_t i = 0; i < w->probe.n_addrs; i++) {
        int n =
            snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", address_text(&w->probe, i, false, one));

        used = (size_t)n < sizeof list - used ? used + (size_t)n : sizeof list - 1;
    }
    return STEP(w, "dns", RK_OK, "%s %s is %s", w->of, w->near, list);
}

/* ---- TCP ---- */

struct attempt {
    int fd;
    int err; /* errno; 0: connected; EINPROGRESS: not yet */
    int64_t ms;
};

static void
begin_connect(struct attempt *a, const struct sockaddr *addr, socklen_t len)
{
    a->fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    a->err = a->fd < 0 || connect(a->fd, addr, len) < 0 ? errno : 0;
}

/* All at once, until each has come to something or the time is over. */
static void
connect_all(struct walk *w, struct attempt *list, size_t n)
{
    const struct rk_host *host = w->e->host;
    struct pollfd fds[RKP_PROBE_ADDRESSES + 1];
    int64_t begun_ms = http_now_ms();

    for (;;) {
        int left = (int)(begun_ms + w->e->connect_ms - http_now_ms()), budget = host->left_ms(w->call);
        size_t waiting = 0;

        left = left < budget ? left : budget;
        for (size_t i = 0; i < n; i++) {
            fds[i] = (struct pollfd){.fd = list[i].err == EINPROGRESS ? list[i].fd : -1, .events = POLLOUT};
            waiting += list[i].err == EINPROGRESS;
        }
        fds[n] = (struct pollfd){.fd = host->cancel_fd(w->call), .events = POLLIN};
        if (waiting == 0 || left <= 0 || poll(fds, n + 1, left) < 0 || fds[n].revents)
            return;
        for (size_t i = 0; i < n; i++) {
            socklen_t size = sizeof list[i].err;

            if (fds[i].revents && getsockopt(list[i].fd, SOL_SOCKET, SO_ERROR, &list[i].err, &size) < 0)
                list[i].err = errno;
            list[i].ms = http_now_ms() - begun_ms;
        }
    }
}

static const char *
tcp_remedy(int err)
{
    switch (err) {
    case EINPROGRESS:
    case ETIMEDOUT:
        return "no answer: is a firewall between, is the host up?";
    case ECONNREFUSED:
        return "refused: nothing listens there; is the KME running, is the port right?";
    case ENETUNREACH:
    case EHOSTUNREACH:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
        return "no route: this host has no way to that address; see ip route get";
    case EACCES:
    case EPERM:
        return "this host's own firewall forbids it";
    default:
        return strerror(err);
    }
}

int
walk_tcp(struct walk *w)
{
    struct attempt list[RKP_PROBE_ADDRESSES] = {{0}};
    size_t n = w->probe.n_addrs, good = 0;
    char one[120];

    for (size_t i = 0; i < n; i++)
        begin_connect(&list[i], (const struct sockaddr *)&w->probe.addrs[i].addr, w->probe.addrs[i].len);
    connect_all(w, list, n);
    for (size_t i = 0; i < n; i++)
        good += list[i].err == 0;
    for (size_t i = 0; i < n; i++) {
        const char *at = address_text(&w->probe, i, true, one);

        if (list[i].err)
            STEP(w, "tcp", good ? RK_STEP_WARNING : RK_E_UNREACHABLE, "%s %s: %s%s", w->of, at, tcp_remedy(list[i].err),
                 good ? "; another address answers" : "");
        else
            STEP(w, "tcp", RK_OK, "%s %s: connected in %" PRId64 " ms", w->of, at, list[i].ms);
        if (list[i].fd >= 0)
            close(list[i].fd);
    }
    return good ? RK_OK : RK_E_UNREACHABLE;
}
