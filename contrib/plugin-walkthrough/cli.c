/* cli.c - the command line of a Tarn switch, over SSH.  On the thread of the call; libssh2 never waits by itself */
#include "cli.h"

#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROMPT "tarn> "
#define FREE_TRIES 8

/* ---- memory: keys pass through libssh2, so nothing that it had stays ---- */

static LIBSSH2_ALLOC_FUNC(take_memory)
{
    (void)abstract;
    return malloc(count);
}

static LIBSSH2_FREE_FUNC(wipe_memory)
{
    (void)abstract;
    if (ptr)
        explicit_bzero(ptr, malloc_usable_size(ptr));
    free(ptr);
}

static LIBSSH2_REALLOC_FUNC(move_memory)
{
    size_t had = ptr ? malloc_usable_size(ptr) : 0;
    void *to = malloc(count);

    if (to && ptr)
        memcpy(to, ptr, had < count ? had : count);
    if (to)
        wipe_memory(ptr, abstract);
    return to;
}

/* ---- waiting ---- */

static int
wait_for(struct cli *c, struct rk_call *call, short events)
{
    struct pollfd p[] = {{.fd = c->fd, .events = events}, {.fd = c->host->cancel_fd(call), .events = POLLIN}};
    int left = c->host->left_ms(call), n = left > 0 ? poll(p, 2, left) : 0;

    if (n < 0 && errno != EINTR)
        return c->host->fail(call, RK_E_IO, "%s: cannot wait for it: %s", c->address, strerror(errno));
    if (n > 0 && p[1].revents)
        return c->host->fail(call, RK_E_CANCELED, "%s: given up while waiting for it", c->address);
    if (n == 0)
        return c->host->fail(call, RK_E_TIMEOUT, "%s: it does not answer in time", c->address);
    return RK_OK;
}

/* Does what returned *rc want to be called again?  Then there is something to be read or written now; when that did not
 * come, *rc is a code of rekey/err.h.  libssh2's own codes are all above these. */
static bool
again(struct cli *c, struct rk_call *call, int *rc)
{
    bool to_write = libssh2_session_block_directions(c->ssh) & LIBSSH2_SESSION_BLOCK_OUTBOUND;

    if (*rc != LIBSSH2_ERROR_EAGAIN)
        return false;
    *rc = wait_for(c, call, to_write ? POLLOUT : POLLIN);
    return *rc == RK_OK;
}

/* The code for what libssh2 returned.  other: what it is when the connection is well */
static int
failed(struct cli *c, struct rk_call *call, int rc, int other, const char *what)
{
    if (rc <= RK_E_UNREACHABLE)
        return rc; /* of wait_for, which has said why */
    if (rc == LIBSSH2_ERROR_ALLOC)
        return c->host->fail(call, RK_E_NOMEM, "out of memory");
    if (rc == LIBSSH2_ERROR_SOCKET_SEND || rc == LIBSSH2_ERROR_SOCKET_RECV || rc == LIBSSH2_ERROR_SOCKET_DISCONNECT ||
        rc == LIBSSH2_ERROR_BANNER_RECV || rc == LIBSSH2_ERROR_CHANNEL_CLOSED)
        other = RK_E_UNREACHABLE;
    return c->host->fail(call, other, "%s: %s (%d)", c->address, what, rc);
}

/* ---- a new session ---- */

static int
dial(struct cli *c, struct rk_call *call)
{
    int err = RK_OK, no = 0, on = 1;
    socklen_t len = sizeof no;

    c->fd = socket(c->at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* commands are short, and waited for */
    if (c->fd < 0 || (connect(c->fd, (struct sockaddr *)&c->at, c->at_len) < 0 && errno != EINPROGRESS))
        no = errno;
    else
        err = wait_for(c, call, POLLOUT);
    if (!no && !err && getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &no, &len) < 0)
        no = errno;
    if (no)
        err = c->host->fail(call, RK_E_UNREACHABLE, "%s: %s: is it on, and port %d its SSH?", c->address, strerror(no),
                            c->port);
    return err;
}

/* Whoever is not known to be this switch gets no key. */
static int
check_host_key(struct cli *c, struct rk_call *call)
{
    LIBSSH2_KNOWNHOSTS *hosts = libssh2_knownhost_init(c->ssh);
    int found = LIBSSH2_KNOWNHOST_CHECK_NOTFOUND, type;
    size_t len;
    const char *key = libssh2_session_hostkey(c->ssh, &len, &type);

    if (hosts && key && libssh2_knownhost_readfile(hosts, c->known_hosts, LIBSSH2_KNOWNHOST_FILE_OPENSSH) >= 0)
        found = libssh2_knownhost_checkp(hosts, c->address, c->port, key, len,
                                         LIBSSH2_KNOWNHOST_TYPE_PLAIN | LIBSSH2_KNOWNHOST_KEYENC_RAW, NULL);
    if (hosts)
        libssh2_knownhost_free(hosts);
    if (found == LIBSSH2_KNOWNHOST_CHECK_MATCH)
        return RK_OK;
    return c->host->fail(call, RK_E_AUTH, "%s: its host key is not in %s: look at both, then write down the right one",
                         c->address, c->known_hosts);
}

struct login {
    struct cli *c;
    struct rk_call *call;
};

static int
log_in(const unsigned char *key, size_t len, void *arg)
{
    const struct login *l = arg;
    struct cli *c = l->c;
    int rc;

    do
        rc = libssh2_userauth_publickey_frommemory(c->ssh, c->user, strlen(c->user), NULL, 0, (const char *)key, len,
                                                   NULL);
    while (again(c, l->call, &rc));
    return rc ? failed(c, l->call, rc, RK_E_AUTH, "the user is refused: is its public key there?") : RK_OK;
}

static int
open_shell(struct cli *c, struct rk_call *call)
{
    int rc;

    do {
        c->channel = libssh2_channel_open_session(c->ssh);
        rc = c->channel ? 0 : libssh2_session_last_errno(c->ssh);
    } while (again(c, call, &rc));
    if (!rc)
        do
            rc = libssh2_channel_shell(c->channel);
        while (again(c, call, &rc));
    return rc ? failed(c, call, rc, RK_E_REJECTED, "there is no command line") : RK_OK;
}

static int
start_ssh(struct cli *c, struct rk_call *call)
{
    int rc;

    c->ssh = libssh2_session_init_ex(take_memory, wipe_memory, move_memory, NULL);
    if (!c->ssh)
        return c->host->fail(call, RK_E_NOMEM, "out of memory");
    libssh2_session_set_blocking(c->ssh, 0);
    do
        rc = libssh2_session_handshake(c->ssh, c->fd);
    while (again(c, call, &rc));
    return rc ? failed(c, call, rc, RK_E_PROTOCOL, "what answers speaks no SSH that is understood here") : RK_OK;
}

/* ---- words ---- */

static int
type(struct cli *c, struct rk_call *call, const char *text, size_t len)
{
    while (len > 0) {
        int rc;

        do
            rc = (int)libssh2_channel_write(c->channel, text, len);
        while (again(c, call, &rc));
        if (rc < 0)
            return failed(c, call, rc, RK_E_UNREACHABLE, "the session is over");
        text += rc;
        len -= (size_t)rc;
    }
    return RK_OK;
}

/* Up to the prompt, which is taken off. */
static int
hear(struct cli *c, struct rk_call *call, char *answer)
{
    size_t len = 0, end = strlen(PROMPT);

    while (len < end || strcmp(answer + len - end, PROMPT) != 0) {
        int rc;

        if (len == CLI_ANSWER - 1)
            return c->host->fail(call, RK_E_PROTOCOL, "%s: it says more than any switch does", c->address);
        do {
            rc = (int)libssh2_channel_read(c->channel, answer + len, CLI_ANSWER - 1 - len);
            if (rc == 0 && !libssh2_channel_eof(c->channel))
                rc = LIBSSH2_ERROR_EAGAIN;
        } while (again(c, call, &rc));
        if (rc <= 0)
            return failed(c, call, rc, RK_E_UNREACHABLE, "the session is over");
        len += (size_t)rc;
        answer[len] = '\0';
    }
    answer[len - end] = '\0';
    return RK_OK;
}

int
cli_ask(struct cli *c, struct rk_call *call, const char *command, char *answer)
{
    int err = type(c, call, command, strlen(command));

    answer[0] = '\0';
    if (!err)
        err = type(c, call, "\n", 1);
    if (!err)
        err = hear(c, call, answer);
    if (err)
        cli_close(c);
    return !err && strncmp(answer, "% ", 2) == 0 ? RK_E_REJECTED : err;
}

/* ---- the session ---- */

bool
cli_is_open(const struct cli *c)
{
    return c->ssh != NULL;
}

void
cli_close(struct cli *c)
{
    if (c->fd >= 0)
        shutdown(c->fd, SHUT_RDWR); /* what libssh2 would like to say now fails at once */
    for (int i = 0; c->ssh && i < FREE_TRIES && libssh2_session_free(c->ssh) == LIBSSH2_ERROR_EAGAIN; i++)
        ;
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->ssh = NULL;
    c->channel = NULL;
}

int
cli_ready(struct cli *c, struct rk_call *call)
{
    struct login l = {c, call};
    char answer[CLI_ANSWER];
    int err;

    if (cli_is_open(c) && cli_ask(c, call, "", answer) == RK_OK)
        return RK_OK;
    cli_close(c);
    err = dial(c, call);
    if (!err)
        err = start_ssh(c, call);
    if (!err)
        err = check_host_key(c, call);
    if (!err)
        err = c->host->secret_use(c->key, log_in, &l);
    if (!err)
        err = open_shell(c, call);
    if (!err)
        err = hear(c, call, answer); /* a greeting, and the first prompt */
    if (err)
        cli_close(c);
    return err;
}
