/* stream.c - bytes of a session's channel: reads them into messages, sends them, keeps the session alive.
 *
 * Runs on the thread of the call.  What was read or sent is wiped behind.
 */
#include "session.h"

#include <string.h>
#include <sys/mman.h>

#define READ_BYTES 16384
#define TEND_READS 64 /* of one nc_tend: a peer that talks for ever without being asked is not listened to for ever */

void *
nc_secret_memory(size_t size)
{
    void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (bytes == MAP_FAILED)
        return NULL;
    /* Locking may fail for want of RLIMIT_MEMLOCK; swap is then the operator's to encrypt (SECURITY.md). */
    (void)mlock(bytes, size);
    (void)madvise(bytes, size, MADV_DONTDUMP);
    (void)madvise(bytes, size, MADV_WIPEONFORK);
    return bytes;
}

void
nc_secret_memory_free(void *bytes, size_t size)
{
    if (!bytes)
        return;
    explicit_bzero(bytes, size);
    munmap(bytes, size);
}

static int
feed(struct nc_session *s, const char *bytes, size_t n, nc_message_fn *fn, void *arg)
{
    while (n > 0) {
        size_t used, len;
        int err = nc_frame_feed(&s->in, bytes, n, &used);
        char *text;

        if (err < 0)
            return err;
        if (err == 0)
            return RK_OK;
        text = nc_frame_take(&s->in, &len);
        err = text ? fn(s, text, len, arg) : RK_E_NOMEM;
        if (err)
            return err;
        bytes += used;
        n -= used;
    }
    return RK_OK;
}

int
nc_read(struct nc_session *s, nc_message_fn *fn, void *arg)
{
    char buf[READ_BYTES];
    ssize_t n = libssh2_channel_read(s->channel, buf, sizeof buf);
    int err;

    if (n == LIBSSH2_ERROR_EAGAIN || (n == 0 && !libssh2_channel_eof(s->channel)))
        return 0;
    if (n == 0) {
        s->over = true;
        return s->host->fail(s->call, RK_E_UNREACHABLE, "%s: the router ended the session while %s", s->where,
                             s->doing);
    }
    if (n < 0)
        return nc_broken(s, (int)n);
    s->in.why = NULL;
    err = feed(s, buf, (size_t)n, fn, arg);
    explicit_bzero(buf, (size_t)n);
    s->over = s->over || err;
    return err ? err : 1;
}

void
nc_wipe_behind(struct nc_session *s)
{
    char none[1];

    /* reading nothing lets libssh2 look at the socket, for which it makes room: see ssh_recv() */
    if (!s->over && s->channel)
        (void)libssh2_channel_read(s->channel, none, 0);
}

int
nc_send(struct nc_session *s, struct nc_bytes out, size_t *sent)
{
    int err = RK_OK;

    *sent = 0;
    while (*sent < out.len) {
        ssize_t n;

        do
            n = libssh2_channel_write(s->channel, out.bytes + *sent, out.len - *sent);
        while (nc_again(s, (int)n, &err));
        if (err)
            return err;
        if (n < 0)
            return nc_broken(s, (int)n);
        *sent += (size_t)n;
        if (*sent == out.len)
            break;
        err = n == 0 ? nc_wait(s, -1, 0) : nc_stop(s);
        if (err)
            return nc_gave_up(s, err);
    }
    return RK_OK;
}

/* Nobody asked for it: a late word of the router, such as "session end". */
static int
drop(struct nc_session *s, char *text, size_t len, void *arg)
{
    (void)arg;
    nc_wipe_free(text, len);
    s->host->log(s->call, RK_LOG_DEBUG, "ev=unsolicited host=%s bytes=%zu res=dropped", s->where, len);
    return RK_OK;
}

int
nc_tend(struct nc_session *s, struct rk_call *call)
{
    int n = 0;

    nc_enter(s, call, 0);
    s->doing = "being idle";
    if (s->over)
        n = s->host->fail(call, RK_E_UNREACHABLE, "%s: the session is over", s->where);
    else
        for (int i = 0; i < TEND_READS && (i == 0 || n > 0); i++)
            n = nc_read(s, drop, NULL);
    if (n == 0 && !s->over)
        nc_keepalive(s);
    if (n < 0 && n != RK_E_UNREACHABLE)
        n = s->host->fail(call, RK_E_UNREACHABLE, "%s: the session is over: %s", s->where,
                          s->in.why ? s->in.why : "what came cannot be read");
    nc_leave(s);
    return n < 0 ? n : RK_OK;
}
