/* ask.c - talks to rekeyd's control socket.
 *
 * Runs in rekeyctl.  Nothing that the daemon sends can make it crash, hang longer than the timeout, or take
 * memory without bound.
 */
#include "ask.h"

#include "../base/text.h"
#include "../ipc/frame.h"
#include "show.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct exchange {
    const struct rk_cli_opts *o;
    const struct rk_cli_io *io;
    rk_cli_row_fn *fn;
    void *arg;
    int sock;
    size_t rows, bad;
    char frame[RK_FRAME_MAX];
    char json[RK_FRAME_MAX];
};

static const char *
connect_remedy(int err)
{
    switch (err) {
    case ENOENT: return "is rekeyd running?  Start it, or name its socket with --socket";
    case ECONNREFUSED: return "rekeyd is not running; start it";
    case EACCES: case EPERM: return "run rekeyctl as root, or as a user who may use the socket";
    case EAGAIN: return "rekeyd is running but does not take connections; see its log";
    case EPROTOTYPE: case ENOTSOCK: return "this is not rekeyd's control socket; name it with --socket";
    default: return "name rekeyd's control socket with --socket";
    }
}

/* A socket whose every wait ends after the timeout; -1 when there is no daemon behind it. */
static int
connect_daemon(const struct exchange *x)
{
    int64_t ms = x->o->timeout_ms ? x->o->timeout_ms : RK_CLI_TIMEOUT_MS;
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), err;

    if (sock >= 0 && rk_copy(addr.sun_path, sizeof addr.sun_path, x->o->socket_path) &&
        setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) == 0 &&
        setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv) == 0 &&
        connect(sock, (struct sockaddr *)&addr, sizeof addr) == 0)
        return sock;
    err = errno;
    fprintf(x->io->err, "rekeyctl: cannot reach rekeyd at %s: %s: %s\n", x->o->socket_path, strerror(err),
            connect_remedy(err));
    if (sock >= 0)
        close(sock);
    return -1;
}

static bool
send_ask(struct exchange *x, const char *command)
{
    struct rk_ask ask = {.limit = x->o->limit, .fetch = x->o->fetch, .budget_ms = x->o->budget_ms,
                         .apply = x->o->apply};
    size_t len;

    if (!rk_copy(ask.command, sizeof ask.command, command) ||
        !rk_copy(ask.arg, sizeof ask.arg, x->o->arg ? x->o->arg : "") ||
        !rk_copy(ask.peer, sizeof ask.peer, x->o->peer ? x->o->peer : "") ||
        !rk_copy(ask.words, sizeof ask.words, x->o->words)) {
        fprintf(x->io->err, "rekeyctl: the argument is longer than %d bytes\n", RK_VALUE_MAX - 1);
        return false;
    }
    len = rk_ask_put(x->frame, &ask);
    if (len && rk_frame_send(x->sock, x->frame, len, NULL, 0) == 0)
        return true;
    fprintf(x->io->err, "rekeyctl: cannot send to rekeyd: %s: see its log\n", strerror(errno));
    return false;
}

/* The next frame; 0 when there will be none, with the reason written. */
static size_t
receive(struct exchange *x)
{
    int fds[RK_FRAME_FDS];
    size_t n = 0;
    long len = rk_frame_recv(x->sock, x->frame, fds, &n);
    int err = errno;

    while (n)
        close(fds[--n]);
    if (len > 0)
        return (size_t)len;
    if (len == 0)
        fprintf(x->io->err, "rekeyctl: rekeyd ended the connection before its answer was whole: see its log\n");
    else if (err == EAGAIN)
        fprintf(x->io->err, "rekeyctl: no answer from rekeyd in time: it hangs, or needs a longer --timeout\n");
    else
        fprintf(x->io->err, "rekeyctl: cannot read rekeyd's answer: %s: see its log\n", strerror(err));
    return 0;
}

static bool
take_row(struct exchange *x, size_t len)
{
    json_t *row;

    if (rk_row_get(x->frame, len, x->json, sizeof x->json) != RK_OK)
        return false;
    x->rows++;
    row = json_loads(x->json, 0, NULL);
    if (json_is_object(row)) {
        x->fn(row, x->arg);
    } else {
        fprintf(x->io->err, "rekeyctl: row %zu of rekeyd's answer is not a JSON object and was left out\n", x->rows);
        x->bad++;
    }
    json_decref(row);
    return true;
}

/* Show or hand out what the daemon said last. */
static int
finish(const struct exchange *x, const struct rk_done *done, char *text)
{
    char *safe = rk_show_safe(done->text, x->io->utf8);
    int code = done->exit_code == RK_CLI_OK || done->exit_code == RK_CLI_USAGE ? (int)done->exit_code : RK_CLI_FAILED;

    if (text)
        snprintf(text, RK_TEXT_MAX, "%s", safe ? safe : "");
    else if (code != RK_CLI_OK)
        fprintf(x->io->err, "rekeyctl: %s\n", safe && safe[0] ? safe : "rekeyd refused, and did not say why");
    free(safe);
    return code == RK_CLI_OK && x->bad ? RK_CLI_FAILED : code;
}

static int
receive_all(struct exchange *x, char *text)
{
    struct rk_done done;
    uint32_t type, number;
    size_t len;

    while ((len = receive(x)) > 0) {
        bool known = rk_msg_head(x->frame, len, &type, &number);

        if (known && type == RK_MSG_DONE && rk_done_get(x->frame, len, &done) == RK_OK)
            return finish(x, &done, text);
        if (!known || type != RK_MSG_ROW || x->rows == RK_CLI_ROWS_MAX || !take_row(x, len)) {
            fprintf(x->io->err, "rekeyctl: rekeyd's answer is not understood: are rekeyctl and rekeyd of one build, "
                                "and is %s rekeyd's control socket?\n", x->o->socket_path);
            return RK_CLI_FAILED;
        }
    }
    return RK_CLI_FAILED;
}

int
rk_cli_ask(const struct rk_cli_opts *o, const struct rk_cli_io *io, const char *command, rk_cli_row_fn *fn, void *arg,
           char *text)
{
    struct exchange *x = calloc(1, sizeof *x);
    int code = RK_CLI_FAILED;

    if (text)
        text[0] = '\0';
    if (!x) {
        fprintf(io->err, "rekeyctl: out of memory\n");
        return RK_CLI_FAILED;
    }
    x->o = o;
    x->io = io;
    x->fn = fn;
    x->arg = arg;
    x->sock = connect_daemon(x);
    if (x->sock < 0)
        code = RK_CLI_NO_DAEMON;
    else if (send_ask(x, command))
        code = receive_all(x, text);
    if (x->sock >= 0)
        close(x->sock);
    free(x);
    return code;
}

static int
put_ascii(const char *bytes, size_t n, void *out)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] == 0x7f)
            fputs("\\u007f", out);
        else
            putc(bytes[i], out);
    return 0;
}

void
rk_cli_json(const struct rk_cli_io *io, const json_t *value)
{
    json_dump_callback(value, put_ascii, io->out, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
}
