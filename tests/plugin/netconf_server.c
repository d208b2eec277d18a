/* netconf_server.c - plays scripts over SSH.  A step that fails because the client is gone ends the connection. */
#include "netconf_server.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- keys ---- */

ssh_key
srv_new_key(enum ssh_keytypes_e type)
{
    ssh_key key = NULL;

    if (ssh_pki_generate(type, type == SSH_KEYTYPE_RSA ? 2048 : 0, &key) != SSH_OK)
        abort();
    return key;
}

void
srv_key_line(ssh_key key, char *out, size_t size)
{
    char *base64 = NULL;

    if (ssh_pki_export_pubkey_base64(key, &base64) != SSH_OK)
        abort();
    snprintf(out, size, "%s %s",
             ssh_key_type(key) == SSH_KEYTYPE_ECDSA_P256 ? "ecdsa-sha2-nistp256"
                                                         : ssh_key_type_to_char(ssh_key_type(key)),
             base64);
    ssh_string_free_char(base64);
}

void
srv_known(const struct srv *s, char *out)
{
    char line[1900];

    srv_key_line(s->host_key, line, sizeof line);
    snprintf(out, 2048, "[127.0.0.1]:%u %s\n", s->port, line);
}

/* ---- one connection ---- */

struct conn {
    struct srv *srv;
    ssh_session ssh;
    ssh_channel channel;
    size_t read_to; /* of srv->got, what SRV_READ has seen */
    struct ssh_counter_struct counter;
};

/* false: the test ends, or ms are over and nothing came */
static bool
readable(struct conn *c, int ms)
{
    struct pollfd fds[2] = {{.fd = c->srv->wake[0], .events = POLLIN}, {.fd = ssh_get_fd(c->ssh), .events = POLLIN}};

    return poll(fds, 2, ms) > 0 && !fds[0].revents;
}

/* Nothing, for ms or (-1) until the test or the client ends it. */
static void
idle(struct conn *c, int ms)
{
    struct pollfd fds[2] = {{.fd = c->srv->wake[0], .events = POLLIN},
                            {.fd = ssh_get_fd(c->ssh), .events = ms < 0 ? POLLRDHUP : 0}};

    (void)!poll(fds, 2, ms);
}

static void
note_packets(struct conn *c)
{
    atomic_store(&c->srv->packets_in, (unsigned)c->counter.in_packets);
}

/* Nothing is answered any more, but SSH itself: keepalives are read, and counted. */
static void
hang(struct conn *c, int ms)
{
    int64_t left = ms < 0 ? 600000 : ms;

    for (; left > 0 && !atomic_load(&c->srv->stop) && ssh_is_connected(c->ssh); left -= 20) {
        char byte;

        if (readable(c, 20) && c->channel && ssh_channel_read_timeout(c->channel, &byte, 1, 0, 1) == SSH_ERROR)
            return;
        note_packets(c);
        if (c->channel && ssh_channel_is_eof(c->channel))
            return;
    }
}

/* Length of the first message in text[len], with its end; 0: it is not whole */
static size_t
message_len(const char *text, size_t len)
{
    const char *old = memmem(text, len, "]]>]]>", 6), *chunks = memmem(text, len, "\n##\n", 4);

    if (old && (!chunks || old < chunks))
        return (size_t)(old - text) + 6;
    return chunks ? (size_t)(chunks - text) + 4 : 0;
}

static void
take_id(struct srv *s, const char *text)
{
    const char *id = strstr(text, "message-id=\"");

    if (id)
        snprintf(s->id, sizeof s->id, "%.*s", (int)strcspn(id + 12, "\""), id + 12);
}

static bool
read_message(struct conn *c)
{
    struct srv *s = c->srv;

    for (;;) {
        char *begin = s->got + c->read_to;
        int n;

        s->got[s->got_len] = '\0';
        n = (int)message_len(begin, s->got_len - c->read_to);
        if (n > 0) {
            take_id(s, begin);
            c->read_to += (size_t)n;
            return true;
        }
        n = ssh_channel_read_timeout(c->channel, s->got + s->got_len, (uint32_t)(sizeof s->got - 1 - s->got_len), 0,
                                     50);
        if (n > 0)
            s->got_len += (size_t)n;
        if (n == SSH_ERROR || ssh_channel_is_eof(c->channel) || atomic_load(&s->stop) || !ssh_is_connected(c->ssh))
            return false;
    }
}

static bool
send_bytes(struct conn *c, const char *bytes, size_t len)
{
    while (len > 0) {
        int n = ssh_channel_write(c->channel, bytes, (uint32_t)len);

        if (n <= 0 || atomic_load(&c->srv->stop))
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

static void
fill_in(const struct srv *s, const char *text, char *out, size_t size)
{
    size_t len = 0;

    while (*text && len + sizeof s->id < size) {
        if (strncmp(text, "$ID", 3) == 0) {
            len += (size_t)sprintf(out + len, "%s", s->id);
            text += 3;
        } else {
            out[len++] = *text++;
        }
    }
    out[len] = '\0';
}

static bool
play_step(struct conn *c, const struct srv_step *step)
{
    static char text[65536];
    char head[32];
    bool ok = true;

    fill_in(c->srv, step->text ? step->text : "", text, sizeof text);
    switch (step->what) {
    case SRV_SEND:
        return send_bytes(c, text, strlen(text));
    case SRV_BYTES:
        for (const char *p = text; *p && ok; p++)
            ok = send_bytes(c, p, 1);
        return ok;
    case SRV_CHUNK:
        snprintf(head, sizeof head, "\n#%zu\n", strlen(text));
        return send_bytes(c, head, strlen(head)) && send_bytes(c, text, strlen(text)) && send_bytes(c, "\n##\n", 4);
    case SRV_READ:
        return read_message(c);
    case SRV_PAUSE:
        hang(c, step->n);
        return true;
    case SRV_FILL:
        for (int i = 0; i < step->n && ok; i++)
            ok = send_bytes(c, text, strlen(text));
        return ok;
    case SRV_AWAIT:
        while (!atomic_load(&c->srv->go) && !atomic_load(&c->srv->stop))
            usleep(1000);
        return true;
    case SRV_HANG:
        hang(c, -1);
        return false;
    case SRV_CUT:
        shutdown(ssh_get_fd(c->ssh), SHUT_RDWR);
        return false;
    default:
        return false;
    }
}

static void
play(struct conn *c)
{
    ssh_channel_request_send_exit_status(c->channel, 0); /* clients must bear it at any time */
    for (const struct srv_step *step = c->srv->script; step->what != SRV_END && play_step(c, step); step++)
        note_packets(c);
}

/* ---- login and channel ---- */

/* libssh wants callbacks in their place, and those cannot keep silent. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static bool
let_in(struct conn *c, ssh_message m)
{
    ssh_key key = ssh_message_auth_pubkey(m);
    bool ours = !c->srv->user_key || (key && ssh_key_cmp(key, c->srv->user_key, SSH_KEY_CMP_PUBLIC) == 0);

    if (c->srv->fault == SRV_NO_LOGIN || !ours)
        return false;
    if (ssh_message_auth_publickey_state(m) == SSH_PUBLICKEY_STATE_NONE) {
        ssh_message_auth_reply_pk_ok_simple(m);
        return true;
    }
    if (ssh_message_auth_publickey_state(m) != SSH_PUBLICKEY_STATE_VALID)
        return false;
    ssh_message_auth_reply_success(m, 0);
    return true;
}

/* ret: true: it was answered, or is not to be */
static bool
answer(struct conn *c, ssh_message m, bool *ready)
{
    int type = ssh_message_type(m), sub = ssh_message_subtype(m);

    if (type == SSH_REQUEST_AUTH && sub == SSH_AUTH_METHOD_PUBLICKEY) {
        if (c->srv->fault == SRV_HANG_LOGIN) {
            idle(c, -1);
            return true;
        }
        return let_in(c, m);
    }
    if (type == SSH_REQUEST_CHANNEL_OPEN && sub == SSH_CHANNEL_SESSION && c->srv->fault != SRV_NO_CHANNEL) {
        c->channel = ssh_message_channel_request_open_reply_accept(m);
        return true;
    }
    if (type == SSH_REQUEST_CHANNEL && sub == SSH_CHANNEL_REQUEST_SUBSYSTEM && c->srv->fault != SRV_NO_SUBSYSTEM) {
        if (c->srv->fault == SRV_HANG_SUBSYSTEM) {
            idle(c, -1);
            return true;
        }
        ssh_message_channel_request_reply_success(m);
        *ready = true;
        return true;
    }
    return false;
}

static void
converse(struct conn *c)
{
    bool ready = false;
    ssh_message m;

    while (!ready && !atomic_load(&c->srv->stop) && (m = ssh_message_get(c->ssh))) {
        if (!answer(c, m, &ready)) {
            if (ssh_message_type(m) == SSH_REQUEST_AUTH)
                ssh_message_auth_set_methods(m, SSH_AUTH_METHOD_PUBLICKEY);
            ssh_message_reply_default(m);
        }
        ssh_message_free(m);
    }
    if (ready)
        play(c);
}

static void
no_ssh(struct srv *s, int fd)
{
    static const char line[] = "220 mail.example.net ESMTP\r\n";

    while (!atomic_load(&s->stop) && send(fd, line, sizeof line - 1, MSG_NOSIGNAL) > 0)
        ;
}

static void
serve_ssh(struct srv *s, int fd)
{
    struct conn c = {.srv = s, .ssh = ssh_new()};
    ssh_bind bind = ssh_bind_new();
    ssh_key copy = ssh_key_dup(s->host_key);
    int no = 0;

    if (!c.ssh || !bind || !copy)
        abort();
    ssh_bind_options_set(bind, SSH_BIND_OPTIONS_PROCESS_CONFIG, &no);
    ssh_bind_options_set(bind, SSH_BIND_OPTIONS_IMPORT_KEY, copy);
    if (ssh_bind_accept_fd(bind, c.ssh, fd) == SSH_OK) {
        ssh_set_counters(c.ssh, NULL, &c.counter);
        if (ssh_handle_key_exchange(c.ssh) == SSH_OK)
            converse(&c);
    }
    ssh_disconnect(c.ssh);
    ssh_free(c.ssh);
    ssh_bind_free(bind);
}

static void
serve(struct srv *s, int fd)
{
    struct pollfd fds[2] = {{.fd = s->wake[0], .events = POLLIN}, {.fd = fd, .events = POLLRDHUP}};

    s->got_len = 0;
    atomic_store(&s->packets_in, 0);
    if (s->fault == SRV_MUTE)
        (void)!poll(fds, 2, -1);
    else if (s->fault == SRV_NO_SSH)
        no_ssh(s, fd);
    else if (s->fault != SRV_CLOSE_ACCEPTED) {
        serve_ssh(s, fd);
        return;
    }
    close(fd);
}

static void *
run(void *arg)
{
    struct srv *s = arg;

    for (;;) {
        struct pollfd fds[2] = {{.fd = s->wake[0], .events = POLLIN}, {.fd = s->listen_fd, .events = POLLIN}};
        int fd;

        if (poll(fds, 2, -1) < 0 || fds[0].revents)
            return NULL;
        fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        atomic_fetch_add(&s->connections, 1);
        serve(s, fd);
        atomic_fetch_add(&s->done, 1);
    }
}

void
srv_start(struct srv *s, enum ssh_keytypes_e type, const struct srv_step *script)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    pthread_t thread;

    memset(s, 0, sizeof *s);
    s->host_key = srv_new_key(type);
    s->script = script;
    s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->listen_fd < 0 || bind(s->listen_fd, (struct sockaddr *)&addr, sizeof addr) < 0 ||
        listen(s->listen_fd, 16) < 0 || getsockname(s->listen_fd, (struct sockaddr *)&addr, &len) < 0 ||
        pipe(s->wake) < 0 || pthread_create(&thread, NULL, run, s))
        abort();
    s->port = ntohs(addr.sin_port);
    s->thread = (unsigned long)thread;
}

void
srv_stop(struct srv *s)
{
    atomic_store(&s->stop, true);
    if (write(s->wake[1], "", 1) != 1)
        abort();
    pthread_join((pthread_t)s->thread, NULL);
    close(s->listen_fd);
    close(s->wake[0]);
    close(s->wake[1]);
    s->got[s->got_len] = '\0';
    ssh_key_free(s->host_key);
    ssh_key_free(s->user_key);
}
