/* agent.c - logs in with keys that an SSH agent holds.
 *
 * libssh2's own agent code blocks without end when the agent does: here its socket is waited for like every other.
 * src: draft-miller-ssh-agent (requests 11, 13), RFC 4253 6.6, RFC 5656 3.1.2
 */
#include "known.h"
#include "session.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MAX (256 * 1024) /* [bytes] */
#define TRIES_MAX 5             /* servers close after six */
#define LIST_KEYS 11
#define KEYS_ANSWER 12
#define SIGN 13
#define SIGN_ANSWER 14

struct agent {
    struct nc_session *s;
    const struct nc_target *t;
    int fd, err;        /* err: why the agent is of no use any more; stated */
    struct nc_blob key; /* that is tried */
    unsigned char *answer;
    size_t len, at; /* of the answer; what was read of it */
};

/* ---- bytes ---- */

static void
put32(unsigned char *p, size_t v)
{
    p[0] = (unsigned char)(v >> 24);
    p[1] = (unsigned char)(v >> 16);
    p[2] = (unsigned char)(v >> 8);
    p[3] = (unsigned char)v;
}

static size_t
get32(const unsigned char *p)
{
    return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

/* The next string of the answer.  ret: false: there is none */
static bool
next(struct agent *a, struct nc_blob *out)
{
    size_t left = a->len - a->at, n = left >= 4 ? get32(a->answer + a->at) : 0;

    if (left < 4 || n > left - 4)
        return false;
    *out = (struct nc_blob){a->answer + a->at + 4, n};
    a->at += 4 + n;
    return true;
}

/* ---- the socket ---- */

static int
agent_fails(struct agent *a, const char *what)
{
    a->err = a->s->host->fail(a->s->call, RK_E_AUTH, "%s: the SSH agent at %s %s", a->s->where, a->t->agent, what);
    return a->err;
}

static int
move(struct agent *a, unsigned char *bytes, size_t len, bool out)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = out ? send(a->fd, bytes + done, len - done, MSG_NOSIGNAL | MSG_DONTWAIT)
                        : recv(a->fd, bytes + done, len - done, MSG_DONTWAIT);

        if (n > 0) {
            done += (size_t)n;
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            return agent_fails(a, "closed the connection");
        } else {
            a->err = nc_wait(a->s, a->fd, out ? POLLOUT : POLLIN);
            if (a->err)
                return nc_gave_up(a->s, a->err);
        }
    }
    return RK_OK;
}

/* Send a request of len bytes behind its length, read the answer. */
static int
ask(struct agent *a, unsigned char *request, size_t len, unsigned char wanted)
{
    unsigned char head[4];
    int err;

    free(a->answer);
    a->answer = NULL;
    put32(request, len);
    err = move(a, request, len + 4, true);
    if (!err)
        err = move(a, head, sizeof head, false);
    if (err)
        return err;
    a->len = get32(head);
    a->at = 1;
    if (a->len == 0 || a->len > ANSWER_MAX)
        return agent_fails(a, "answered something else than an agent does");
    a->answer = malloc(a->len);
    if (!a->answer)
        return a->err = a->s->host->fail(a->s->call, RK_E_NOMEM, "out of memory");
    err = move(a, a->answer, a->len, false);
    if (!err && a->answer[0] != wanted)
        err = agent_fails(a, "refused; is it locked?");
    return err;
}

static int
open_agent(struct agent *a)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    char text[100], why[160];

    if (strlen(a->t->agent) >= sizeof addr.sun_path)
        return agent_fails(a, "has too long a path");
    strcpy(addr.sun_path, a->t->agent);
    a->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (a->fd >= 0 && connect(a->fd, (struct sockaddr *)&addr, sizeof addr) == 0)
        return RK_OK;
    snprintf(why, sizeof why, "cannot be reached: %s", strerror_r(errno, text, sizeof text));
    return agent_fails(a, why);
}

/* ---- signing ---- */

/* The answer's signature is its type and its bytes; libssh2 wants the bytes. */
static int
take_signature(struct agent *a, unsigned char **sig, size_t *sig_len)
{
    struct nc_blob whole, type, bytes;

    if (!next(a, &whole) || whole.len > a->len)
        return agent_fails(a, "sent no signature");
    a->at -= whole.len;
    if (!next(a, &type) || !next(a, &bytes) || bytes.len == 0)
        return agent_fails(a, "sent no signature");
    *sig = nc_alloc(bytes.len);
    if (!*sig)
        return a->err = a->s->host->fail(a->s->call, RK_E_NOMEM, "out of memory");
    memcpy(*sig, bytes.bytes, bytes.len);
    *sig_len = bytes.len;
    return RK_OK;
}

static LIBSSH2_USERAUTH_PUBLICKEY_SIGN_FUNC(sign)
{
    struct agent *a = *abstract;
    size_t len = 1 + 4 + a->key.len + 4 + data_len + 4;
    unsigned char *request = malloc(len + 4), *p;
    int err;

    (void)session;
    if (!request)
        return -1;
    p = request + 4;
    *p++ = SIGN;
    put32(p, a->key.len);
    memcpy(p + 4, a->key.bytes, a->key.len);
    p += 4 + a->key.len;
    put32(p, data_len);
    memcpy(p + 4, data, data_len);
    put32(p + 4 + data_len, 0); /* no flags: they are for RSA */
    err = ask(a, request, len, SIGN_ANSWER);
    free(request);
    return err || take_signature(a, sig, sig_len) ? -1 : 0;
}

/* ---- the keys ---- */

/* ret: RK_OK logged in; RK_E_AGAIN this key is refused; else stated */
static int
try_key(struct agent *a)
{
    const char *user = a->t->user;
    void *arg = a;
    int rc, err;

    do
        rc = libssh2_userauth_publickey(a->s->ssh, user, a->key.bytes, a->key.len, sign, &arg);
    while (nc_again(a->s, rc, &err));
    if (err)
        return err;
    if (a->err)
        return a->err;
    if (rc == LIBSSH2_ERROR_AUTHENTICATION_FAILED || rc == LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED)
        return RK_E_AGAIN;
    return rc ? nc_broken(a->s, rc) : RK_OK;
}

static int
try_keys(struct agent *a)
{
    unsigned char request[5] = {0, 0, 0, 0, LIST_KEYS};
    struct nc_blob key, comment;
    struct agent list = {.at = 5}; /* behind the number of keys */
    int err = ask(a, request, 1, KEYS_ANSWER), tried = 0;
    char type[40];

    if (err)
        return err;
    list.answer = a->answer; /* signing has answers of its own */
    list.len = a->len;
    a->answer = NULL;
    err = RK_E_AGAIN;
    while (err == RK_E_AGAIN && tried < TRIES_MAX && list.len > 5 && next(&list, &key) && next(&list, &comment)) {
        nc_known_type(key, type);
        if (!nc_known_usable(type))
            continue;
        a->key = key;
        tried++;
        err = try_key(a);
    }
    free(list.answer);
    if (err == RK_E_AGAIN)
        return a->s->host->fail(a->s->call, RK_E_AUTH,
                                "%s: the router took none of the %d ed25519 and ECDSA keys of the "
                                "SSH agent at %s",
                                a->s->where, tried, a->t->agent);
    return err;
}

int
nc_agent_login(struct nc_session *s, const struct nc_target *t)
{
    struct agent a = {.s = s, .t = t, .fd = -1};
    int err = open_agent(&a);

    if (!err)
        err = try_keys(&a);
    if (a.fd >= 0)
        close(a.fd);
    free(a.answer);
    return err;
}
