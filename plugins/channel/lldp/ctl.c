/* ctl.c - see ctl.h
 *
 * liblldpctl calls back for input and output; ours wait no longer than the call has time, and end with its cancel.
 */
#include "ctl.h"

#include "../../common/files.h"

#include <errno.h>
#include <fcntl.h>
#include <lldpctl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PUMP_BYTES 65536 /* taken in one read; what is left makes the descriptor readable again */
#define PUMP_READS 16
#define LLDP_PROTOCOL 1 /* lldpctl_k_port_protocol of LLDP; others are CDP and the like */

struct ctl {
    const struct rk_host *host;
    struct rk_call *call; /* the one that uses it now */
    const struct ctl_carry *carry;
    lldpctl_conn_t *conn;
    lldpctl_atom_t *ifaces; /* of lldpd, as they were first asked for */
    int fd, err;            /* err: why it is of no more use */
    bool same;              /* the text that was shown last was there before */
    const char *path;
    ctl_heard_fn *heard;
    void *arg;
};

/* ---- input and output ---- */

static void
no_log(int severity, const char *msg)
{
    (void)severity;
    (void)msg;
}

void
ctl_quiet(void)
{
    lldpctl_log_callback(no_log);
}

/* Wait until the socket is ready.  ret: 0, or a code */
static int
wait_for(const struct ctl *c, short events)
{
    struct pollfd fds[] = {{.fd = c->fd, .events = events}, {.fd = c->host->cancel_fd(c->call), .events = POLLIN}};

    for (;;) {
        int left = c->host->left_ms(c->call), n;

        n = poll(fds, 2, left);
        if (n < 0 && errno != EINTR)
            return RK_E_IO;
        if (n > 0 && fds[1].revents)
            return RK_E_CANCELED;
        if (n > 0)
            return RK_OK;
        if (n == 0 || left == 0)
            return RK_E_TIMEOUT;
    }
}

static ssize_t
lost(struct ctl *c, int err)
{
    c->err = err;
    return LLDPCTL_ERR_CALLBACK_FAILURE;
}

static ssize_t
to_lldpd(lldpctl_conn_t *conn, const uint8_t *data, size_t length, void *user_data)
{
    struct ctl *c = user_data;
    size_t done = 0;

    (void)conn;
    while (done < length) {
        ssize_t n = send(c->fd, data + done, length - done, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n >= 0) {
            done += (size_t)n;
        } else if (errno == EAGAIN) {
            int err = wait_for(c, POLLOUT);

            if (err)
                return lost(c, err);
        } else if (errno != EINTR) {
            return lost(c, RK_E_UNREACHABLE);
        }
    }
    return (ssize_t)done;
}

static ssize_t
from_lldpd(lldpctl_conn_t *conn, const uint8_t *data, size_t length, void *user_data)
{
    struct ctl *c = user_data;

    (void)conn;
    for (;;) {
        ssize_t n = recv(c->fd, (void *)(uintptr_t)data, length, MSG_DONTWAIT);
        int err;

        if (n > 0)
            return n;
        if (n == 0)
            return lost(c, RK_E_UNREACHABLE);
        if (errno != EAGAIN && errno != EINTR)
            return lost(c, RK_E_UNREACHABLE);
        err = wait_for(c, POLLIN);
        if (err)
            return lost(c, err);
    }
}

/* ---- opening and failing ---- */

/* State why what was tried on the connection failed. */
static int
failed(struct ctl *c, struct rk_call *call, const char *what)
{
    int err = c->err ? c->err : RK_E_PROTOCOL;
    lldpctl_error_t why = lldpctl_last_error(c->conn);

    if (!c->err && (why == LLDPCTL_ERR_NOMEM))
        err = RK_E_NOMEM;
    c->err = err;
    switch (err) {
    case RK_E_UNREACHABLE:
        return c->host->fail(call, err, "lldpd at %s ended the connection (%s): it is being restarted, or crashed",
                             c->path, what);
    case RK_E_TIMEOUT:
        return c->host->fail(call, err, "lldpd at %s did not answer in time (%s)", c->path, what);
    case RK_E_CANCELED:
        return c->host->fail(call, err, "given up while lldpd at %s was asked (%s)", c->path, what);
    default:
        return c->host->fail(call, err, "lldpd at %s: %s: %s; it must be of the version of liblldpctl", c->path, what,
                             lldpctl_strerror(why));
    }
}

static int
refused_socket(const struct ctl *c, struct rk_call *call, int e)
{
    if (e == ENOENT || e == ECONNREFUSED)
        return c->host->fail(call, RK_E_UNREACHABLE, "lldpd is not there: %s: %s; start lldpd, or correct the option "
                             "socket", c->path, strerror(e));
    if (e == EACCES || e == EPERM)
        return c->host->fail(call, RK_E_AUTH, "%s: %s; the daemon's user must be in the group of the socket "
                             "(_lldpd, see rekey-lldp(7))", c->path, strerror(e));
    return c->host->fail(call, rkp_code(e), "%s: %s", c->path, strerror(e));
}

/* A stream socket of this kind connects at once, or says EAGAIN when the queue is full: then it is tried again. */
static int
join(struct ctl *c, struct rk_call *call)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t len = strlen(c->path);

    if (len >= sizeof to.sun_path)
        return c->host->fail(call, RK_E_CONFIG, "socket: %s is longer than %zu bytes", c->path, sizeof to.sun_path - 1);
    memcpy(to.sun_path, c->path, len + 1);
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->fd < 0)
        return c->host->fail(call, RK_E_IO, "socket: %m");
    while (connect(c->fd, (const struct sockaddr *)&to, sizeof to) < 0) {
        int e = errno, err;

        if (e != EAGAIN && e != EINTR)
            return refused_socket(c, call, e);
        err = rkp_pause(c->host, call, -1, 50);
        if (err < 0)
            return c->host->fail(call, err, "lldpd at %s takes no connection", c->path);
    }
    return RK_OK;
}

int
ctl_open(const struct rk_host *host, struct rk_call *call, const char *path, const struct ctl_carry *carry,
         struct ctl **out)
{
    struct ctl *c = calloc(1, sizeof *c);
    int err;

    *out = NULL;
    if (!c)
        return host->fail(call, RK_E_NOMEM, "out of memory");
    c->host = host;
    c->carry = carry;
    c->path = path ? path : lldpctl_get_default_transport();
    c->fd = -1;
    err = join(c, call);
    if (!err) {
        c->conn = lldpctl_new_name(c->path, to_lldpd, from_lldpd, c);
        if (!c->conn)
            err = host->fail(call, RK_E_NOMEM, "out of memory");
    }
    if (err) {
        ctl_close(&c);
        return err;
    }
    *out = c;
    return RK_OK;
}

void
ctl_close(struct ctl **cp)
{
    struct ctl *c = *cp;

    if (!c)
        return;
    if (c->ifaces)
        lldpctl_atom_dec_ref(c->ifaces);
    if (c->conn)
        (void)lldpctl_release(c->conn);
    if (c->fd >= 0)
        close(c->fd);
    free(c);
    *cp = NULL;
}

bool
ctl_usable(const struct ctl *c)
{
    return c && !c->err;
}

int
ctl_fd(const struct ctl *c)
{
    return c->fd;
}

bool
ctl_same(const struct ctl *c)
{
    return c->same;
}

/* ---- ports ---- */

/* The interface of this name in a list.  ret: owned by the caller, or NULL */
static lldpctl_atom_t *
find_iface(lldpctl_atom_t *ifaces, const char *port)
{
    lldpctl_atom_t *found = NULL;
    lldpctl_atom_iter_t *iter = lldpctl_atom_iter(ifaces);

    for (; iter && !found; iter = lldpctl_atom_iter_next(ifaces, iter)) {
        lldpctl_atom_t *iface = lldpctl_atom_iter_value(ifaces, iter);
        const char *name = lldpctl_atom_get_str(iface, lldpctl_k_interface_name);

        if (name && strcmp(name, port) == 0)
            found = iface;
        else
            lldpctl_atom_dec_ref(iface);
    }
    return found;
}

static void
forget_ifaces(struct ctl *c)
{
    if (c->ifaces)
        lldpctl_atom_dec_ref(c->ifaces);
    c->ifaces = NULL;
}

/* Interfaces come and go: what is not in the list as it was is looked for once more in the list as it is. */
static int
get_iface(struct ctl *c, struct rk_call *call, const char *name, lldpctl_atom_t **iface)
{
    bool old = c->ifaces != NULL;

    *iface = NULL;
    for (int i = 0; i < (old ? 2 : 1) && !*iface; i++) {
        if (i > 0)
            forget_ifaces(c);
        if (!c->ifaces)
            c->ifaces = lldpctl_get_interfaces(c->conn);
        if (!c->ifaces)
            return failed(c, call, "list of interfaces");
        *iface = find_iface(c->ifaces, name);
    }
    if (*iface)
        return RK_OK;
    forget_ifaces(c);
    return c->host->fail(call, RK_E_NOENT, "lldpd at %s does not have the interface %s: is it there, and does lldpd's "
                         "pattern of interfaces (-I) match it", c->path, name);
}

static int
get_port(struct ctl *c, struct rk_call *call, const char *name, lldpctl_atom_t **port)
{
    lldpctl_atom_t *iface;
    int err;

    *port = NULL;
    c->call = call;
    err = get_iface(c, call, name, &iface);
    if (err)
        return err;
    *port = lldpctl_get_port(iface);
    lldpctl_atom_dec_ref(iface);
    return *port ? RK_OK : failed(c, call, "port");
}

/* ---- showing ---- */

static int
show_tlv(struct ctl *c, struct rk_call *call, lldpctl_atom_t *port, const struct lldp_bytes *ours)
{
    lldpctl_atom_t *list = lldpctl_atom_get(port, lldpctl_k_custom_tlvs), *tlv = NULL;
    bool done = false;

    if (list)
        tlv = lldpctl_atom_create(list);
    if (tlv && lldpctl_atom_set_buffer(tlv, lldpctl_k_custom_tlv_oui, c->carry->oui, 3) &&
        lldpctl_atom_set_int(tlv, lldpctl_k_custom_tlv_oui_subtype, c->carry->subtype) &&
        lldpctl_atom_set_str(tlv, lldpctl_k_custom_tlv_op, ours->len ? "replace" : "remove") &&
        (!ours->len || lldpctl_atom_set_buffer(tlv, lldpctl_k_custom_tlv_oui_info_string,
                                               (const uint8_t *)ours->bytes, ours->len)))
        done = lldpctl_atom_set(port, lldpctl_k_custom_tlv, tlv) != NULL;
    if (tlv)
        lldpctl_atom_dec_ref(tlv);
    if (list)
        lldpctl_atom_dec_ref(list);
    return done ? RK_OK : failed(c, call, "setting the TLV");
}

/* What is there now is the operator's text, or the part of it that was shown beside ours. */
static void
learn_own(const char *now, struct ctl_own *own)
{
    struct lldp_bytes d = {now, strlen(now)};

    d.len = lldp_own_len(d);
    if (d.len == strlen(own->shown) && memcmp(d.bytes, own->shown, d.len) == 0)
        return;
    lldp_safe(d, own->whole, sizeof own->whole);
}

static int
show_description(struct ctl *c, struct rk_call *call, lldpctl_atom_t *port, const struct lldp_bytes *ours,
                 struct ctl_own *own)
{
    const char *now = lldpctl_atom_get_str(port, lldpctl_k_port_descr);
    char text[LLDP_TEXT_MAX + 1];
    size_t n;

    learn_own(now ? now : "", own);
    n = lldp_join((struct lldp_bytes){own->whole, strlen(own->whole)}, ours->bytes, text);
    c->same = now && strcmp(now, text) == 0;
    if (!lldpctl_atom_set_str(port, lldpctl_k_port_descr, text))
        return failed(c, call, "setting the port description");
    memcpy(own->shown, text, n);
    own->shown[n] = '\0';
    return RK_OK;
}

int
ctl_show(struct ctl *c, struct rk_call *call, const char *port, const struct lldp_bytes *ours, struct ctl_own *own)
{
    lldpctl_atom_t *atom;
    int err = get_port(c, call, port, &atom);

    if (err)
        return err;
    c->same = false;
    err = c->carry->tlv ? show_tlv(c, call, atom, ours) : show_description(c, call, atom, ours, own);
    lldpctl_atom_dec_ref(atom);
    return err;
}

/* A port whose text stays the same sends its frame every 30 s, and somebody else's may have taken its place at the
 * other end meanwhile: what is published again is sent again. */
int
ctl_send(struct ctl *c, struct rk_call *call)
{
    lldpctl_atom_t *conf;
    int err = RK_OK;

    c->call = call;
    conf = lldpctl_get_configuration(c->conn);
    if (!conf || !lldpctl_atom_set_int(conf, lldpctl_k_config_tx_interval, -1))
        err = failed(c, call, "sending now");
    if (conf)
        lldpctl_atom_dec_ref(conf);
    return err;
}

/* ---- hearing ---- */

/* The text of the organisational TLV that is ours.  ret: out, or NULL */
static const char *
find_tlv(const struct ctl *c, lldpctl_atom_t *neighbour, char out[2 * LLDP_TEXT_MAX + 3])
{
    lldpctl_atom_t *list = lldpctl_atom_get(neighbour, lldpctl_k_custom_tlvs);
    lldpctl_atom_iter_t *iter = list ? lldpctl_atom_iter(list) : NULL;
    const char *found = NULL;

    for (; iter && !found; iter = lldpctl_atom_iter_next(list, iter)) {
        lldpctl_atom_t *tlv = lldpctl_atom_iter_value(list, iter);
        size_t len = 0, n = 0;
        const uint8_t *oui = lldpctl_atom_get_buffer(tlv, lldpctl_k_custom_tlv_oui, &len);

        if (oui && len == 3 && memcmp(oui, c->carry->oui, 3) == 0 &&
            lldpctl_atom_get_int(tlv, lldpctl_k_custom_tlv_oui_subtype) == c->carry->subtype) {
            const uint8_t *info = lldpctl_atom_get_buffer(tlv, lldpctl_k_custom_tlv_oui_info_string, &n);

            n = n <= 2 * LLDP_TEXT_MAX + 2 ? n : 2 * LLDP_TEXT_MAX + 2;
            if (info && n)
                memcpy(out, info, n);
            out[info ? n : 0] = '\0';
            found = out;
        }
        lldpctl_atom_dec_ref(tlv);
    }
    if (list)
        lldpctl_atom_dec_ref(list);
    return found;
}

static void
tell(struct ctl *c, enum ctl_how how, const char *port, lldpctl_atom_t *neighbour)
{
    char tlv[2 * LLDP_TEXT_MAX + 3];
    lldpctl_atom_t *chassis;
    struct rk_neighbour seen = {.size = sizeof seen, .iface = port};
    const char *text;
    long ttl;

    if (lldpctl_atom_get_int(neighbour, lldpctl_k_port_protocol) != LLDP_PROTOCOL)
        return;
    chassis = lldpctl_atom_get(neighbour, lldpctl_k_port_chassis);
    text = lldpctl_atom_get_str(chassis, lldpctl_k_chassis_id);
    seen.chassis = text ? text : "";
    text = lldpctl_atom_get_str(chassis, lldpctl_k_chassis_name);
    seen.system = text ? text : "";
    text = lldpctl_atom_get_str(neighbour, lldpctl_k_port_id);
    seen.port = text ? text : "";
    ttl = lldpctl_atom_get_int(neighbour, lldpctl_k_port_ttl);
    seen.ttl_s = ttl > 0 ? (uint32_t)ttl : 0;
    seen.description = c->carry->tlv ? find_tlv(c, neighbour, tlv)
                                     : lldpctl_atom_get_str(neighbour, lldpctl_k_port_descr);
    c->heard(c->arg, how, &seen);
    if (chassis)
        lldpctl_atom_dec_ref(chassis);
}

int
ctl_read(struct ctl *c, struct rk_call *call, const char *port, ctl_heard_fn *heard, void *arg)
{
    lldpctl_atom_t *atom, *list;
    lldpctl_atom_iter_t *iter;
    int err = get_port(c, call, port, &atom);

    if (err)
        return err;
    c->heard = heard;
    c->arg = arg;
    list = lldpctl_atom_get(atom, lldpctl_k_port_neighbors);
    for (iter = list ? lldpctl_atom_iter(list) : NULL; iter; iter = lldpctl_atom_iter_next(list, iter)) {
        lldpctl_atom_t *neighbour = lldpctl_atom_iter_value(list, iter);

        tell(c, CTL_HEARD, port, neighbour);
        lldpctl_atom_dec_ref(neighbour);
    }
    if (list)
        lldpctl_atom_dec_ref(list);
    lldpctl_atom_dec_ref(atom);
    return RK_OK;
}

static void
changed(lldpctl_change_t type, lldpctl_atom_t *iface, lldpctl_atom_t *neighbour, void *data)
{
    const char *port = lldpctl_atom_get_str(iface, lldpctl_k_interface_name);

    if (port && neighbour)
        tell(data, type == lldpctl_c_deleted ? CTL_GONE : type == lldpctl_c_added ? CTL_NEW : CTL_HEARD, port,
             neighbour);
}

int
ctl_watch(struct ctl *c, struct rk_call *call, ctl_heard_fn *heard, void *arg)
{
    c->call = call;
    c->heard = heard;
    c->arg = arg;
    if (lldpctl_watch_callback2(c->conn, changed, c) < 0)
        return failed(c, call, "asking for news");
    return RK_OK;
}

int
ctl_pump(struct ctl *c, struct rk_call *call)
{
    uint8_t *buf = malloc(PUMP_BYTES);
    int err = RK_OK;

    if (!buf)
        return c->host->fail(call, RK_E_NOMEM, "out of memory");
    c->call = call;
    for (int i = 0; i < PUMP_READS && !err; i++) {
        ssize_t n = recv(c->fd, buf, PUMP_BYTES, MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        c->err = n <= 0 ? RK_E_UNREACHABLE : RK_OK;
        if (c->err || lldpctl_recv(c->conn, buf, (size_t)n) < 0)
            err = failed(c, call, "news");
    }
    free(buf);
    return err;
}
