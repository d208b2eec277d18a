/* steps.c - the steps of a test that every plugin with TLS states alike: files, certificates, addresses, connections.
 *
 * Runs on the host's worker threads.  Connections that are made here are closed at once; nothing is sent on them.
 */
#include "steps.h"

#include <openssl/x509_vfy.h>

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DAY_S 86400
#define SOON_S (30 * DAY_S) /* a certificate that ends within this is worth a word */

#define STEP(w, ...) ((w)->host->step((w)->call, __VA_ARGS__))

/* ---- files and certificates ---- */

/* ", for 3 days more", or "" */
const char *
rkp_rest(const struct rkp_probe_cert *c, char text[40])
{
    int64_t left_s = c->to_s - (int64_t)time(NULL);

    if (left_s < 0)
        snprintf(text, 40, ", %" PRId64 " days ago", -left_s / DAY_S);
    else
        snprintf(text, 40, ", %" PRId64 " days from now", left_s / DAY_S);
    return text;
}

/* RK_OK, RK_STEP_WARNING: it ends soon; RK_E_AUTH: it is not valid now. */
int
rkp_state_of(const struct rkp_probe_cert *c)
{
    int64_t now_s = (int64_t)time(NULL);

    if (c->to_s < now_s || c->from_s > now_s)
        return RK_E_AUTH;
    return c->to_s - now_s < SOON_S ? RK_STEP_WARNING : RK_OK;
}

/* Files that were changed since the start and cannot be used: the old ones stay in use, as nothing else would work. */
void
rkp_step_files(const struct rkp_way *w)
{
    char why[sizeof w->certs->refused];

    pthread_mutex_lock(w->certs->lock);
    memcpy(why, w->certs->refused, sizeof why);
    pthread_mutex_unlock(w->certs->lock);
    if (why[0])
        STEP(w, "files", RK_E_CONFIG, "%s; until that is mended, what was read before is in use", why);
}

int
rkp_step_certificate(const struct rkp_way *w, const struct rkp_creds *creds)
{
    const struct rkp_pem *pem = &creds->cert;
    struct rkp_probe_cert c = {0};
    bool client = rkp_probe_is_client(pem);
    int state = rkp_probe_pem(pem, 0, &c) ? rkp_state_of(&c) : RK_E_CONFIG;
    const char *remedy = c.from_s > (int64_t)time(NULL) ? "; it is not valid yet: is this host's clock right?"
                         : state == RK_E_AUTH           ? "; it has expired: renew it, the other end will refuse it"
                         : !client ? "; by its extensions it is none of a TLS client: the other end may refuse it"
                         : state   ? "; renew it soon"
                                   : "";
    char days[40];

    return STEP(w, "certificate", state == RK_OK && !client ? RK_STEP_WARNING : state,
                "%.120s: ours is %s, by %s, until %s%s, and its private key fits%s", w->certs->cert_path, c.subject,
                c.issuer, c.until, rkp_rest(&c, days), remedy);
}

int
rkp_step_ca(const struct rkp_way *w, const struct rkp_creds *creds)
{
    const struct rkp_pem *pem = &creds->ca;
    struct rkp_probe_cert c, first = {0};
    size_t n = 0, ended = 0;
    char days[40];
    int state;

    for (; rkp_probe_pem(pem, n, &c); n++) {
        ended += c.to_s < (int64_t)time(NULL);
        if (!first.there || c.to_s < first.to_s)
            first = c;
    }
    state = ended == n ? RK_E_AUTH : ended || rkp_state_of(&first) ? RK_STEP_WARNING : RK_OK;
    return STEP(w, "ca", state, "%.120s: %zu CA certificate%s; the first to end is %s, until %s%s%s",
                w->certs->ca_path, n, n == 1 ? "" : "s", first.subject, first.until, rkp_rest(&first, days),
                state == RK_OK ? "" : "; put the new one into that file, beside it");
}

/* The chain was not accepted: which certificate of it, and why. */
int
rkp_step_chain(const struct rkp_way *w, const char *step)
{
    const struct rkp_probe *p = w->probe;
    const char *why = X509_verify_cert_error_string(p->verify_err), *remedy;
    char whose[60], days[40];

    switch (p->verify_err) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        remedy = "a new one is needed there; or this host's clock is wrong";
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        remedy = "a clock is wrong, of this host or of the one that made it";
        break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        remedy = "put the certificate of the CA that made it into that file, if this is the right end";
        break;
    case X509_V_ERR_CERT_REVOKED:
        remedy = "it was withdrawn: a new one is needed there";
        break;
    default:
        remedy = "it must come from a CA of that file";
    }
    if (p->bad_depth)
        snprintf(whose, sizeof whose, "certificate %d above %.30s's", p->bad_depth, w->whose);
    else
        snprintf(whose, sizeof whose, "%.30s's own certificate", w->whose);
    return STEP(w, step, RK_E_AUTH, "%s, %s by %s, until %s%s: %s (ca %.80s); %s", whose, p->bad.subject,
                p->bad.issuer, p->bad.until, rkp_rest(&p->bad, days), why, w->certs->ca_path, remedy);
}

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

int
rkp_step_dns(const struct rkp_way *w, int err, const char *text, const char *option)
{
    const struct rkp_probe *p = w->probe;
    char list[200] = "", one[120];
    size_t used = 0;

    if (p->n_addrs == 0 && err == RK_E_UNREACHABLE)
        return STEP(w, "dns", err,
                    "%s has no address: %s; is the name in %s right?  \"getent ahosts %s\" asks the same "
                    "name server",
                    w->near, text, option, w->near);
    if (p->n_addrs == 0)
        return STEP(w, "dns", err ? err : RK_E_PROTOCOL, "%s", "");
    if (is_address(w->near))
        return RK_OK;
    for (size_t i = 0; i < p->n_addrs; i++) {
        int n = snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", address_text(p, i, false, one));

        used = (size_t)n < sizeof list - used ? used + (size_t)n : sizeof list - 1;
    }
    return STEP(w, "dns", RK_OK, "%s %s is %s", w->of, w->near, list);
}

/* ---- TCP ---- */

static int64_t
now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

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
connect_all(const struct rkp_way *w, struct attempt *list, size_t n)
{
    const struct rk_host *host = w->host;
    struct pollfd fds[RKP_PROBE_ADDRESSES + 1];
    int64_t begun_ms = now_ms();

    for (;;) {
        int left = (int)(begun_ms + w->connect_ms - now_ms()), budget = host->left_ms(w->call);
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
            list[i].ms = now_ms() - begun_ms;
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
        return "refused: nothing listens there; is it running, is the port right?";
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
rkp_step_tcp(const struct rkp_way *w)
{
    struct attempt list[RKP_PROBE_ADDRESSES] = {{0}};
    size_t n = w->probe->n_addrs, good = 0;
    char one[120];

    for (size_t i = 0; i < n; i++)
        begin_connect(&list[i], (const struct sockaddr *)&w->probe->addrs[i].addr, w->probe->addrs[i].len);
    connect_all(w, list, n);
    for (size_t i = 0; i < n; i++)
        good += list[i].err == 0;
    for (size_t i = 0; i < n; i++) {
        const char *at = address_text(w->probe, i, true, one);

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
