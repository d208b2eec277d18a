/* nl.c - one request, one answer, within the call's budget.  One call at a time per instance. */
#include "nl.h"

#include "dump.h"
#include "msg.h"

#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define IN_BYTES 65536   /* the kernel's dumps come in pieces of at most 32 KiB */
#define ANSWER_MS 1000   /* an answer to a change is in the socket when the send returns */

int
macsec_nl_init(struct macsec_nl *nl)
{
    memset(nl, 0, sizeof *nl);
    nl->out = mmap(NULL, MACSEC_MSG_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    nl->in = malloc(IN_BYTES);
    if (nl->out == MAP_FAILED)
        nl->out = NULL;
    if (!nl->out || !nl->in) {
        macsec_nl_fini(nl);
        return RK_E_NOMEM;
    }
    /* As for secrets: locking may fail for want of RLIMIT_MEMLOCK. */
    (void)mlock(nl->out, MACSEC_MSG_MAX);
    (void)madvise(nl->out, MACSEC_MSG_MAX, MADV_DONTDUMP);
    (void)madvise(nl->out, MACSEC_MSG_MAX, MADV_WIPEONFORK);
    return RK_OK;
}

static void
sock_close(struct macsec_nl *nl, enum macsec_bus bus)
{
    if (nl->sock[bus])
        mnl_socket_close(nl->sock[bus]);
    nl->sock[bus] = NULL;
}

void
macsec_nl_fini(struct macsec_nl *nl)
{
    for (int bus = 0; bus < MACSEC_BUSES; bus++)
        sock_close(nl, (enum macsec_bus)bus);
    if (nl->out) {
        explicit_bzero(nl->out, MACSEC_MSG_MAX);
        munmap(nl->out, MACSEC_MSG_MAX);
    }
    free(nl->in);
    memset(nl, 0, sizeof *nl);
}

static int
sock_open(struct macsec_nl *nl, enum macsec_bus bus)
{
    int on = 1;

    if (nl->sock[bus])
        return RK_OK;
    nl->sock[bus] = mnl_socket_open2(bus == MACSEC_ROUTE ? NETLINK_ROUTE : NETLINK_GENERIC, SOCK_CLOEXEC);
    if (!nl->sock[bus])
        return errno == EPROTONOSUPPORT || errno == EAFNOSUPPORT ? RK_E_UNSUPPORTED : RK_E_IO;
    /* Without this a refusal would carry the whole request, key and all, back into our memory. */
    if (mnl_socket_setsockopt(nl->sock[bus], NETLINK_CAP_ACK, &on, sizeof on)) {
        sock_close(nl, bus);
        return RK_E_UNSUPPORTED;
    }
    if (mnl_socket_bind(nl->sock[bus], 0, MNL_SOCKET_AUTOPID)) {
        sock_close(nl, bus);
        return RK_E_IO;
    }
    return RK_OK;
}

static bool
canceled(const struct macsec_time *time)
{
    struct pollfd p = {time->host->cancel_fd(time->call), POLLIN, 0};

    return poll(&p, 1, 0) > 0;
}

/* May a request be sent now? */
static int
may_begin(const struct macsec_time *time)
{
    if (time->undoing)
        return RK_OK;
    if (canceled(time))
        return RK_E_CANCELED;
    return time->host->left_ms(time->call) > 0 ? RK_OK : RK_E_TIMEOUT;
}

/* Waits for an answer: for a read as long as the call may, for a change a second, come what may. */
static int
await(struct mnl_socket *sock, const struct macsec_time *time, bool change)
{
    struct pollfd p[2] = {{mnl_socket_get_fd(sock), POLLIN, 0}, {time->host->cancel_fd(time->call), POLLIN, 0}};
    bool patient = change || time->undoing;

    for (;;) {
        int left = patient ? ANSWER_MS : time->host->left_ms(time->call);
        int n = poll(p, patient ? 1 : 2, left);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return RK_E_IO;
        if (p[0].revents)
            return RK_OK;
        return n == 0 ? RK_E_TIMEOUT : RK_E_CANCELED;
    }
}

/* One datagram from the kernel; 0 bytes: it was not from the kernel. */
static int
receive(struct macsec_nl *nl, struct mnl_socket *sock, size_t *len)
{
    struct sockaddr_nl from = {0};
    struct iovec iov = {nl->in, IN_BYTES};
    struct msghdr msg = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n;

    do
        n = recvmsg(mnl_socket_get_fd(sock), &msg, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    *len = 0;
    if (n < 0)
        return errno == EAGAIN ? RK_OK : RK_E_IO;
    if (msg.msg_flags & MSG_TRUNC)
        return RK_E_PROTOCOL;
    if (msg.msg_namelen == sizeof from && from.nl_pid == 0)
        *len = (size_t)n;
    return RK_OK;
}

struct answer {
    uint32_t seq, port_id;
    macsec_take_fn *take;
    void *arg;
    bool ended, disturbed;
    int refusal;
};

/* The messages of one datagram; those of earlier requests are passed over. */
static int
read_messages(const unsigned char *bytes, size_t len, struct answer *a)
{
    const struct nlmsghdr *nlh = (const void *)bytes;
    int left = (int)len, err = RK_OK;

    for (; !err && !a->ended && macsec_dump_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
        if (nlh->nlmsg_seq != a->seq || nlh->nlmsg_pid != a->port_id)
            continue;
        if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
            a->disturbed = true;
        if (nlh->nlmsg_type == NLMSG_ERROR || nlh->nlmsg_type == NLMSG_DONE) {
            a->ended = true;
            a->refusal = macsec_dump_errno(nlh);
        } else if (a->take && nlh->nlmsg_type >= NLMSG_MIN_TYPE) {
            err = a->take(nlh, a->arg);
        }
    }
    return err;
}

static int
take_answer(struct macsec_nl *nl, enum macsec_bus bus, const struct macsec_time *time, struct answer *a)
{
    size_t len;
    int err = RK_OK;

    while (!err && !a->ended) {
        err = await(nl->sock[bus], time, !a->take);
        if (!err)
            err = receive(nl, nl->sock[bus], &len);
        if (!err)
            err = read_messages(nl->in, len, a);
    }
    if (a->disturbed && !a->refusal)
        a->refusal = EINTR;
    return err;
}

static int
send_request(struct macsec_nl *nl, enum macsec_bus bus, struct answer *a)
{
    struct nlmsghdr *req = (void *)nl->out;
    ssize_t n;

    req->nlmsg_seq = a->seq = ++nl->seq;
    a->port_id = mnl_socket_get_portid(nl->sock[bus]);
    do
        n = mnl_socket_sendto(nl->sock[bus], req, req->nlmsg_len);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == ENOMEM || errno == ENOBUFS ? RK_E_NOMEM : RK_E_IO;
    return RK_OK;
}

int
macsec_nl_ask(struct macsec_nl *nl, enum macsec_bus bus, const struct macsec_time *time, macsec_take_fn *take,
              void *arg, int *refusal)
{
    struct answer a = {.take = take, .arg = arg};
    int err = may_begin(time);

    *refusal = 0;
    if (!err)
        err = sock_open(nl, bus);
    if (!err)
        err = send_request(nl, bus, &a);
    explicit_bzero(nl->out, MACSEC_MSG_MAX);
    if (err)
        return err;
    err = take_answer(nl, bus, time, &a);
    *refusal = a.refusal;
    if (err)
        sock_close(nl, bus); /* what is still to come belongs to nobody */
    return err && !take ? RK_E_UNKNOWN : err;
}
