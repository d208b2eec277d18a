/* session.c - one connection: by SSH (key exchange, login, subsystem) or on the box itself; framing, waiting
 *
 * Runs in a thread of its own.  While a commit takes its time the SSH layer still answers, as sshd does beside mgd.
 */
#include "session.h"

#include <core/base/log.h>

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define DELIMITER "]]>]]>"
#define LOGIN_MS 120000
#define BYTES_MAX 4096

static uint32_t next_id = 10000; /* sessions are mgd processes; atomic */

/* ---- the list of a box ---- */

bool
session_join(struct session *s)
{
    struct sim_store *st = s->box->store;
    unsigned limit = s->box->connection_limit > 0 ? (unsigned)s->box->connection_limit : 75;
    bool in;

    pthread_mutex_lock(&s->box->lock);
    in = st->n_sessions < limit && mono_ms() >= st->down_until_ms;
    if (in) {
        s->id = __atomic_add_fetch(&next_id, 1, __ATOMIC_RELAXED);
        s->next = st->sessions;
        st->sessions = s;
        st->n_sessions++;
    }
    pthread_mutex_unlock(&s->box->lock);
    return in;
}

void
session_leave(struct session *s)
{
    pthread_mutex_lock(&s->box->lock);
    for (struct session **at = &s->box->store->sessions; *at; at = &(*at)->next)
        if (*at == s) {
            *at = s->next;
            s->box->store->n_sessions--;
            break;
        }
    s->fd = -1;
    pthread_mutex_unlock(&s->box->lock);
}

bool
session_kill(struct sim_box *box, uint32_t id)
{
    for (struct session *s = box->store->sessions; s; s = s->next)
        if (s->id == id && s->fd >= 0)
            return shutdown(s->fd, SHUT_RDWR) == 0;
    return false;
}

void
sim_hang_up(struct sim_box *box)
{
    pthread_mutex_lock(&box->lock);
    for (struct session *s = box->store->sessions; s; s = s->next)
        if (s->fd >= 0)
            shutdown(s->fd, SHUT_RDWR);
    pthread_mutex_unlock(&box->lock);
}

unsigned
sim_sessions(const struct sim_box *box)
{
    return __atomic_load_n(&box->store->n_sessions, __ATOMIC_RELAXED);
}

/* ---- waiting and sending ---- */

static int on_data(ssh_session ssh, ssh_channel chan, void *data, uint32_t len, int is_stderr, void *arg);

static void
look_local(struct session *s, int64_t ms)
{
    struct pollfd wait = {.fd = s->fd, .events = POLLIN};
    char bytes[16384];
    ssize_t n;

    if (poll(&wait, 1, ms < 0 ? -1 : (int)ms) <= 0)
        return;
    n = recv(s->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0)
        on_data(NULL, NULL, bytes, (uint32_t)n, 0, s);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        s->over = true;
    explicit_bzero(bytes, sizeof bytes);
}

/* One look at the connection. */
static void
look(struct session *s, int64_t ms)
{
    if (s->local) {
        look_local(s, ms);
        return;
    }
    if (ssh_event_dopoll(s->event, ms < 0 ? -1 : (int)ms) == SSH_ERROR || !ssh_is_connected(s->ssh) ||
        (s->chan && ssh_channel_is_closed(s->chan)))
        s->over = true;
}

bool
session_wait(struct session *s, int64_t ms)
{
    int64_t end = mono_ms() + ms, left;

    while (!s->over && (left = end - mono_ms()) > 0)
        look(s, left);
    return !s->over;
}

static void
put_raw(struct session *s, const char *bytes, size_t n)
{
    while (!s->over && n > 0) {
        ssize_t done = s->local ? send(s->fd, bytes, n, MSG_NOSIGNAL)
                                : ssh_channel_write(s->chan, bytes, n > 1u << 20 ? 1u << 20 : (uint32_t)n);

        if (done <= 0) {
            s->over = true;
            return;
        }
        bytes += done;
        n -= (size_t)done;
    }
}

static void
put_bytes(struct session *s, const char *bytes, size_t n)
{
    size_t single = n < BYTES_MAX ? n : BYTES_MAX;

    for (size_t i = 0; i < single && !s->over; i++)
        put_raw(s, bytes + i, 1);
    put_raw(s, bytes + single, n - single);
}

void
session_send(struct session *s, const char *message, size_t n, const struct sim_fault_hit *hit)
{
    char head[32] = "", tail[16], *all;
    size_t h, t, split;

    if (s->use_11)
        snprintf(head, sizeof head, "\n#%zu\n", n);
    snprintf(tail, sizeof tail, "%s", s->use_11 ? "\n##\n" : DELIMITER "\n");
    h = strlen(head);
    t = strlen(tail);
    if (s->over || s->silent || !(all = malloc(h + n + t)))
        return;
    memcpy(all, head, h);
    memcpy(all + h, message, n);
    memcpy(all + h + n, tail, t);
    split = hit->what & SIM_DO_SPLIT ? h + n + 2 : h + n + t;
    if (hit->what & SIM_DO_BYTES)
        put_bytes(s, all, h + n + t);
    else {
        put_raw(s, all, split);
        if (split < h + n + t && session_wait(s, 20))
            put_raw(s, all + split, h + n + t - split);
    }
    explicit_bzero(all, h + n + t);
    free(all);
}

/* ---- framing of what comes in ---- */

static void
consume(struct session *s, size_t n)
{
    memmove(s->in, s->in + n, s->in_n - n);
    explicit_bzero(s->in + s->in_n - n, n);
    s->in_n -= n;
    s->in_scanned = 0;
}

static bool
message_10(struct session *s)
{
    size_t from = s->in_scanned > 5 ? s->in_scanned - 5 : 0, n;
    char *end = s->in_n > from ? memmem(s->in + from, s->in_n - from, DELIMITER, 6) : NULL;

    s->in_scanned = s->in_n;
    if (!end)
        return false;
    n = (size_t)(end - s->in);
    session_message(s, s->in, n); /* more may come meanwhile, and s->in move */
    consume(s, n + 6);
    return true;
}

/* Chunks, put together in place.   src: RFC 6242 4.2 */
static bool
message_11(struct session *s)
{
    size_t at = 0, got = 0;
    char *joined = malloc(s->in_n + 1);
    bool whole = false, wrong = false;

    while (joined && !whole && !wrong && s->in_n - at >= 4) {
        char *end;
        unsigned long n;

        if (memcmp(s->in + at, "\n##\n", 4) == 0) {
            whole = true;
            at += 4;
            break;
        }
        if (s->in[at] != '\n' || s->in[at + 1] != '#' || s->in[at + 2] < '1' || s->in[at + 2] > '9') {
            wrong = true;
            break;
        }
        if (!memchr(s->in + at + 2, '\n', s->in_n - at - 2))
            break;
        n = strtoul(s->in + at + 2, &end, 10);
        if (*end != '\n' || n > SESSION_IN_MAX) {
            wrong = true;
            break;
        }
        at = (size_t)(end - s->in) + 1;
        if (n > s->in_n - at)
            break;
        memcpy(joined + got, s->in + at, n);
        got += n;
        at += n;
    }
    if (wrong)
        s->over = true;
    if (whole) {
        session_message(s, joined, got);
        consume(s, at);
    }
    if (joined)
        explicit_bzero(joined, got);
    free(joined);
    return whole;
}

static int
on_data(ssh_session ssh, ssh_channel chan, void *data, uint32_t len, int is_stderr, void *arg)
{
    struct session *s = arg;

    (void)ssh;
    (void)chan;
    if (is_stderr || s->silent)
        return (int)len;
    if (s->in_n + len > SESSION_IN_MAX) {
        s->over = true;
        return (int)len;
    }
    if (s->in_n + len + 1 > s->in_size) {
        size_t size = (s->in_n + len + 1) * 2;
        char *more = malloc(size);

        if (!more) {
            s->over = true;
            return (int)len;
        }
        if (s->in_n)
            memcpy(more, s->in, s->in_n);
        if (s->in)
            explicit_bzero(s->in, s->in_n);
        free(s->in);
        s->in = more;
        s->in_size = size;
    }
    memcpy(s->in + s->in_n, data, len);
    s->in_n += len;
    s->in[s->in_n] = '\0';
    return (int)len;
}

static void
on_end(ssh_session ssh, ssh_channel chan, void *arg)
{
    (void)ssh;
    (void)chan;
    ((struct session *)arg)->over = true;
}

/* ---- login ---- */

/* Does one line of an authorized_keys file, "type base64 comment", hold the key? */
static bool
line_is(const char *line, size_t n, ssh_key key)
{
    char text[4200], *type, *blob, *save;
    ssh_key known = NULL;
    bool same = false;

    if (n >= sizeof text)
        return false;
    memcpy(text, line, n);
    text[n] = '\0';
    type = strtok_r(text, " \t", &save);
    blob = type ? strtok_r(NULL, " \t", &save) : NULL;
    if (blob && *type != '#' &&
        ssh_pki_import_pubkey_base64(blob, ssh_key_type_from_name(type), &known) == SSH_OK)
        same = ssh_key_cmp(known, key, SSH_KEY_CMP_PUBLIC) == 0;
    ssh_key_free(known);
    return same;
}

static bool
has_key(const char *file, ssh_key key)
{
    for (; file && *file; file += strspn(file, "\r\n")) {
        size_t n = strcspn(file, "\r\n");

        if (line_is(file, n, key))
            return true;
        file += n;
    }
    return false;
}

/* A user of the committed configuration: class, and whether it has the key. */
static bool
configured(struct session *s, const char *user, ssh_key key)
{
    static const char *const types[] = {"ssh-ed25519", "ssh-ecdsa", "ssh-rsa"};
    char path[160], line[4200];
    bool found = false;
    const xmlNode *u;

    if (strlen(user) > SIM_NAME_MAX || strpbrk(user, "[]/"))
        return false;
    snprintf(path, sizeof path, "system/login/user[%s]", user);
    pthread_mutex_lock(&s->box->lock);
    u = conf_get(xmlDocGetRootElement(s->box->committed), path);
    if (u && !conf_text(u, "class", s->class, sizeof s->class))
        snprintf(s->class, sizeof s->class, "unauthorized");
    for (size_t i = 0; u && key && i < 3 && !found; i++) {
        const xmlNode *auth = conf_get(u, "authentication");

        for (const xmlNode *k = auth ? conf_get(auth, types[i]) : NULL; k && !found; k = conf_next(k))
            found = conf_text(k, "name", line, sizeof line) && line_is(line, strlen(line), key);
    }
    pthread_mutex_unlock(&s->box->lock);
    return u && (found || !key);
}

static bool
login_ok(struct session *s, const char *user, const char *password, ssh_key key)
{
    bool ok = false;

    for (size_t i = 0; i < s->box->n_users && !ok; i++) {
        const struct sim_user *u = &s->box->users[i];

        if (strcmp(u->name, user) != 0)
            continue;
        ok = key ? has_key(u->keys, key) : u->password && password && strcmp(u->password, password) == 0;
        if (ok) {
            snprintf(s->class, sizeof s->class, "%s", u->class);
            if (!*u->class)
                configured(s, user, NULL);
        }
    }
    return ok || (key && configured(s, user, key));
}

static int
login(struct session *s, const char *user, const char *password, ssh_key key)
{
    struct sim_fault_hit hit = sim_fault(s->box, SIM_AT_LOGIN, NULL);
    bool ok;

    if (hit.delay_ms)
        usleep((useconds_t)(hit.delay_ms * 1000));
    if (hit.what & SIM_DO_CLOSE) {
        s->over = true;
        return SSH_AUTH_DENIED;
    }
    ok = !(hit.what & SIM_DO_REFUSE) && login_ok(s, user, password, key);
    if (ok)
        snprintf(s->user, sizeof s->user, "%s", user);
    else
        rk_log(RK_LOG_INFO, "ev=login box=%s user=%s res=refused", s->box->name, user);
    return ok ? SSH_AUTH_SUCCESS : SSH_AUTH_DENIED;
}

static int
on_password(ssh_session ssh, const char *user, const char *password, void *arg)
{
    struct session *s = arg;
    int res = login(s, user, password, NULL);

    (void)ssh;
    s->logged_in |= res == SSH_AUTH_SUCCESS;
    return res;
}

static int
on_key(ssh_session ssh, const char *user, struct ssh_key_struct *key, char state, void *arg)
{
    struct session *s = arg;

    (void)ssh;
    if (state == SSH_PUBLICKEY_STATE_NONE)
        return login_ok(s, user, NULL, key) ? SSH_AUTH_SUCCESS : SSH_AUTH_DENIED;
    if (state != SSH_PUBLICKEY_STATE_VALID || login(s, user, NULL, key) != SSH_AUTH_SUCCESS)
        return SSH_AUTH_DENIED;
    s->logged_in = true;
    return SSH_AUTH_SUCCESS;
}

static int
on_subsystem(ssh_session ssh, ssh_channel chan, const char *name, void *arg)
{
    struct session *s = arg;
    bool known = strcmp(name, "netconf") == 0;

    (void)ssh;
    (void)chan;
    s->started |= known;
    return known ? 0 : 1;
}

static int
on_exec(ssh_session ssh, ssh_channel chan, const char *command, void *arg)
{
    struct session *s = arg;
    bool known = strncmp(command, "xml-mode netconf", 16) == 0 || strcmp(command, "netconf") == 0;

    (void)ssh;
    (void)chan;
    s->started |= known;
    return known ? 0 : 1;
}

struct calls {
    struct ssh_server_callbacks_struct server;
    struct ssh_channel_callbacks_struct channel;
};

static ssh_channel
on_open(ssh_session ssh, void *arg)
{
    struct session *s = arg;

    if (s->chan || !s->logged_in)
        return NULL;
    return s->chan = ssh_channel_new(ssh);
}

/* ---- a life ---- */

static ssh_bind
bound(struct session *s, uint32_t what)
{
    ssh_bind b = ssh_bind_new();
    bool no = false;
    ssh_key key = host_key(s->box, what & SIM_DO_RSA_ONLY ? SIM_HOST_RSA : s->box->host_key,
                           (what & SIM_DO_WRONG_KEY) != 0);

    if (b && key && ssh_bind_options_set(b, SSH_BIND_OPTIONS_PROCESS_CONFIG, &no) == 0 &&
        ssh_bind_options_set(b, SSH_BIND_OPTIONS_IMPORT_KEY, key) == 0)
        return b;
    ssh_key_free(key);
    if (b)
        ssh_bind_free(b);
    return NULL;
}

/* Faults of the connection.   ret: false: it is over */
static bool
connected(struct session *s)
{
    struct sim_fault_hit at = sim_fault(s->box, SIM_AT_CONNECT, NULL);

    if (at.delay_ms)
        usleep((useconds_t)(at.delay_ms * 1000));
    if (at.what & SIM_DO_SILENT) { /* until the client goes, or for ten minutes */
        char byte;
        struct timeval most = {.tv_sec = 600};

        setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
        while (recv(s->fd, &byte, 1, 0) > 0)
            ;
        return false;
    }
    return !(at.what & (SIM_DO_CLOSE | SIM_DO_REFUSE));
}

/* The key exchange, with its faults. */
static bool
greet(struct session *s)
{
    struct sim_fault_hit key = sim_fault(s->box, SIM_AT_HOSTKEY, NULL);
    ssh_bind b;
    bool done = false;

    if (key.delay_ms)
        usleep((useconds_t)(key.delay_ms * 1000));
    if (key.what & SIM_DO_CLOSE || !(b = bound(s, key.what)))
        return false;
    if ((s->ssh = ssh_new()) != NULL)
        done = ssh_bind_accept_fd(b, s->ssh, s->fd) == SSH_OK;
    ssh_bind_free(b);
    return done;
}

static bool
log_in(struct session *s)
{
    int64_t end = mono_ms() + LOGIN_MS;

    ssh_set_auth_methods(s->ssh, SSH_AUTH_METHOD_PASSWORD | SSH_AUTH_METHOD_PUBLICKEY);
    if (ssh_handle_key_exchange(s->ssh) != SSH_OK || !(s->event = ssh_event_new()) ||
        ssh_event_add_session(s->event, s->ssh) != SSH_OK)
        return false;
    while (!s->over && !s->chan && mono_ms() < end)
        look(s, end - mono_ms());
    return s->chan && !s->over;
}

static void
netconf(struct session *s)
{
    pthread_mutex_lock(&s->box->lock);
    s->rights = rights_new(xmlDocGetRootElement(s->box->committed), s->class);
    pthread_mutex_unlock(&s->box->lock);
    s->ed = (struct editor){.id = s->id, .user = s->user, .client = "netconf", .rights = s->rights};
    rk_log(RK_LOG_INFO, "ev=session box=%s user=%s id=%u%s", s->box->name, s->user, s->id, s->local ? " local=1" : "");
    if (s->rights)
        session_hello(s);
    while (!s->over) {
        while (!s->over && (s->use_11 ? message_11(s) : message_10(s)))
            ;
        if (!s->over)
            look(s, -1);
    }
}

/* On the box itself nobody logs in: it is its first user. */
static void
serve_local(struct session *s)
{
    const struct sim_user *u = &s->box->users[0];

    snprintf(s->user, sizeof s->user, "%s", s->box->n_users ? u->name : "root");
    snprintf(s->class, sizeof s->class, "%s", s->box->n_users ? u->class : "");
    if (!*s->class)
        configured(s, s->user, NULL);
    s->started = true;
    netconf(s);
}

static void
serve(struct session *s, struct calls *calls)
{
    int64_t end = mono_ms() + LOGIN_MS;

    calls->channel.userdata = s;
    calls->channel.channel_data_function = on_data;
    calls->channel.channel_eof_function = on_end;
    calls->channel.channel_close_function = on_end;
    calls->channel.channel_subsystem_request_function = on_subsystem;
    calls->channel.channel_exec_request_function = on_exec;
    ssh_callbacks_init(&calls->channel);
    if (ssh_set_channel_callbacks(s->chan, &calls->channel) != SSH_OK)
        return;
    while (!s->over && !s->started && mono_ms() < end)
        look(s, end - mono_ms());
    if (!s->over && s->started)
        netconf(s);
}

static void
say_end(struct session *s)
{
    char now[40], text[96];

    if (!s->started || (!s->local && (!s->chan || !ssh_is_connected(s->ssh) || ssh_channel_is_closed(s->chan))))
        return;
    store_time(s->box, sim_box_now_ms(s->box), now);
    snprintf(text, sizeof text, "<!-- session end at %s -->\n", now);
    if (s->local) {
        send(s->fd, text, strlen(text), MSG_NOSIGNAL);
        return;
    }
    ssh_channel_write(s->chan, text, (uint32_t)strlen(text));
    ssh_channel_send_eof(s->chan);
    ssh_channel_close(s->chan);
}

static void
session_free(struct session *s)
{
    if (s->started)
        rk_log(RK_LOG_INFO, "ev=session box=%s user=%s id=%u res=end", s->box->name, s->user, s->id);
    if (s->event) {
        if (s->ssh)
            ssh_event_remove_session(s->event, s->ssh);
        ssh_event_free(s->event);
    }
    if (s->ssh) {
        ssh_disconnect(s->ssh);
        ssh_free(s->ssh); /* closes the socket */
    } else
        close(s->fd);
    rights_free(&s->rights);
    if (s->in)
        explicit_bzero(s->in, s->in_n);
    free(s->in);
    free(s);
}

void
session_run(struct session *s)
{
    struct calls *calls = calloc(1, sizeof *calls);
    int fd = s->fd;

    if (calls && session_join(s)) {
        calls->server.userdata = s;
        calls->server.auth_password_function = on_password;
        calls->server.auth_pubkey_function = on_key;
        calls->server.channel_open_request_session_function = on_open;
        ssh_callbacks_init(&calls->server);
        if (!connected(s))
            s->over = true;
        else if (s->local)
            serve_local(s);
        else if (greet(s) && ssh_set_server_callbacks(s->ssh, &calls->server) == SSH_OK && log_in(s))
            serve(s, calls);
        store_close(s->box, &s->ed);
        if (!s->silent)
            say_end(s);
        session_leave(s);
    }
    s->fd = fd;
    session_free(s);
    free(calls);
}
