/* control.c - a UNIX socket with one-line commands: faults, cables, time, what state all is in
 *
 * One thread; a command is done before the next one is read, but for "wait", which holds up its own client only.
 * Each answer is one line of JSON: {"ok":true,...} or {"ok":false,"error":"..."}.
 */
#include "world.h"

#include <core/base/log.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { CLIENTS = 16, LINE_MAX_BYTES = 4096, LOOK_MS = 10 };

struct client {
    int fd;
    char line[LINE_MAX_BYTES];
    size_t n;
    bool waits, primary;         /* "wait"; for the primary keys */
    int64_t until_ms;            /* real time */
};

static struct client clients[CLIENTS];
static int listener = -1, stop_pipe[2] = {-1, -1};
static pthread_t thread;
static struct sim_lab *lab;
static char *socket_path;

struct answer {
    FILE *out;
    char why[SIM_WHY_MAX];
    char *words[4];              /* what stands behind the command; the last one has all the rest */
    size_t n;
    struct client *from;
};

/* ---- JSON ---- */

static void
put_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c == '"' || *c == '\\')
            fprintf(out, "\\%c", *c);
        else if (*c < ' ')
            fprintf(out, "\\u%04x", *c);
        else
            fputc(*c, out);
    fputc('"', out);
}

static void
put_port(const struct sim_port *p, int64_t now, FILE *out)
{
    static const char *const words[] = {"unsecured", "primary", "preceding", "fallback", "suspended"};
    static const char *const status[] = {"in-progress", "live", "active"};
    static const char *const types[] = {"primary", "preceding", "fallback"};
    static const char *const excuses[] = {"", "empty", "licence", "torn"};
    const struct mka_port *m = &p->mka;

    put_string(out, p->name);
    fprintf(out, ":{\"linked\":%s,\"configured\":%s,\"secured\":%s,\"state\":\"%s\",\"in_use\":\"%s\"",
            p->linked ? "true" : "false", m->conf.on ? "true" : "false", mka_secured(m) ? "true" : "false",
            words[mka_state_of(m, now)], m->latest.there ? m->latest.by.ckn : "");
    for (int t = MKA_PRIMARY; t <= MKA_FALLBACK; t++) {
        const struct mka_part *part = mka_part_of(m, (enum mka_type)t);

        fprintf(out, ",\"%s\":\"%s\",\"%s_status\":\"%s\"", types[t], part ? part->key.ckn : "", types[t],
                part ? status[mka_status_of(m, part)] : "");
    }
    fprintf(out,
            ",\"slot\":%d,\"secured_once\":%s,\"unsecured_ms\":%lld,\"clear_ms\":%lld,\"lost_ms\":%lld,"
            "\"down_ms\":%lld",
            m->active_slot, m->secured_once ? "true" : "false", (long long)m->unsecured_ms, (long long)m->clear_ms,
            (long long)m->lost_ms, (long long)m->down_ms);
    for (int e = MKA_EMPTY; e < MKA_EXCUSES; e++)
        fprintf(out, ",\"%s_ms\":%lld,\"%s_times\":%u", excuses[e], (long long)m->excused_ms[e], excuses[e],
                m->excuses[e]);
    fprintf(out, ",\"excuse\":\"%s\"", excuses[m->excuse]);
    fprintf(out, ",\"an\":%u,\"icv_mismatch\":%llu,\"unknown_ckn\":%llu,\"description\":", m->latest.an,
            (unsigned long long)m->stats.icv_mismatch, (unsigned long long)m->stats.unknown_ckn);
    put_string(out, p->description);
    fputc('}', out);
}

static void
put_box(const struct sim_box *box, int64_t now, FILE *out)
{
    const struct sim_boxworld *w = box->world;

    put_string(out, box->name);
    fprintf(out, ":{\"commits\":%llu,\"violations\":%llu,\"violation\":", (unsigned long long)w->commits,
            (unsigned long long)__atomic_load_n(&w->violations, __ATOMIC_RELAXED));
    put_string(out, w->violation);
    fprintf(out, ",\"clock_offset_ms\":%lld,\"fault_hits\":%llu,\"faults\":\"",
            (long long)__atomic_load_n(&box->clock_offset_ms, __ATOMIC_RELAXED), (unsigned long long)w->fault_hits);
    fault_put(w, out);
    fputs("\",\"ports\":{", out);
    for (size_t i = 0; i < w->n_ports; i++) {
        fputs(i ? "," : "", out);
        put_port(&w->port[i], now, out);
    }
    fputs("}}", out);
}

/* ---- arguments ---- */

static int
wrong(struct answer *a, const char *what)
{
    snprintf(a->why, sizeof a->why, "%s", what);
    return -1;
}

static struct sim_box *
box_arg(struct answer *a, size_t i)
{
    struct sim_box *box = i < a->n ? sim_lab_box(lab, a->words[i]) : NULL;

    if (!box)
        snprintf(a->why, sizeof a->why, "there is no device '%.60s'", i < a->n ? a->words[i] : "");
    return box;
}

static struct sim_port *
port_arg(struct answer *a, size_t i)
{
    char name[SIM_NAME_MAX + 1] = "";
    const char *colon = i < a->n ? strchr(a->words[i], ':') : NULL;
    struct sim_port *p = NULL;
    struct sim_box *box;

    if (colon && (size_t)(colon - a->words[i]) < sizeof name) {
        memcpy(name, a->words[i], (size_t)(colon - a->words[i]));
        box = sim_lab_box(lab, name);
        p = box ? world_port(box->world, colon + 1) : NULL;
    }
    if (!p)
        snprintf(a->why, sizeof a->why, "there is no port '%.60s': write DEVICE:PORT", i < a->n ? a->words[i] : "");
    return p;
}

/* "20ms", "2s", "-3s", or a bare number of milliseconds */
static bool
ms_arg(struct answer *a, size_t i, int64_t usual, int64_t *ms)
{
    char *end;
    double v;

    *ms = usual;
    if (i >= a->n)
        return true;
    v = strtod(a->words[i], &end);
    *ms = (int64_t)(strcmp(end, "s") == 0 ? v * 1000 : v);
    if (end != a->words[i] && (!*end || strcmp(end, "s") == 0 || strcmp(end, "ms") == 0) && v >= -1e12 && v <= 1e12)
        return true;
    wrong(a, "a time is written 20ms or 2s");
    return false;
}

/* All devices by "*", or one. */
static int
each(struct answer *a, int (*run)(struct answer *a, struct sim_box *box))
{
    struct sim_box *box;

    if (a->n && strcmp(a->words[0], "*") != 0)
        return (box = box_arg(a, 0)) ? run(a, box) : -1;
    for (size_t i = 0; i < lab->n; i++)
        if (run(a, lab->boxes[i]) < 0)
            return -1;
    return 0;
}

/* ---- commands; each returns -1 with a->why ---- */

static int
one_fault(struct answer *a, struct sim_box *box)
{
    int err;

    pthread_mutex_lock(&world_lock);
    err = fault_add(box, a->words[1], a->why);
    pthread_mutex_unlock(&world_lock);
    return err;
}

static int
do_fault(struct answer *a)
{
    return a->n == 2 ? each(a, one_fault) : wrong(a, "fault DEVICE|* WORD[:VALUE][:TIMES][:PERCENT%][@RPC]");
}

static int
one_clear(struct answer *a, struct sim_box *box)
{
    (void)a;
    fault_clear(box);
    return 0;
}

static int
do_clear(struct answer *a)
{
    return each(a, one_clear);
}

static int
do_reboot(struct answer *a)
{
    bool empty = a->n > 1 && strcmp(a->words[1], "empty") == 0;
    struct sim_box *box = box_arg(a, 0);
    int64_t ms;

    if (!box || !ms_arg(a, empty ? 2 : 1, 1000, &ms))
        return -1;
    world_reboot(box, empty, ms);
    return 0;
}

static int
set_cut(struct answer *a, bool cut)
{
    struct sim_port *p = port_arg(a, 0);

    if (!p || !p->peer)
        return p ? wrong(a, "the port has no cable") : -1;
    pthread_mutex_lock(&world_lock);
    p->cut = p->peer->cut = cut;
    world_kick();
    pthread_mutex_unlock(&world_lock);
    return 0;
}

static int
do_cut(struct answer *a)
{
    return set_cut(a, true);
}

static int
do_join(struct answer *a)
{
    return set_cut(a, false);
}

static int
do_port(struct answer *a)
{
    struct sim_port *p = port_arg(a, 0);

    if (!p || a->n != 2 || (strcmp(a->words[1], "up") != 0 && strcmp(a->words[1], "down") != 0))
        return p ? wrong(a, "port DEVICE:PORT up|down") : -1;
    pthread_mutex_lock(&world_lock);
    p->shut = a->words[1][0] == 'd';
    world_kick();
    pthread_mutex_unlock(&world_lock);
    return 0;
}

static int
do_suspend(struct answer *a)
{
    struct sim_port *p = port_arg(a, 0);
    int64_t ms;

    if (!p || !ms_arg(a, 1, 10000, &ms))
        return -1;
    pthread_mutex_lock(&world_lock);
    p->mka.suspended_ms = sim_now_ms() + ms;
    if (p->peer)
        p->peer->mka.suspended_ms = p->mka.suspended_ms;
    pthread_mutex_unlock(&world_lock);
    return 0;
}

/* A frame of somebody: where CHASSIS and PORT are "=", in the name of the neighbour that the cable leads to. */
static int
do_lldp(struct answer *a)
{
    struct sim_port *p = port_arg(a, 0);
    struct lldp_frame f = {.ttl_s = -1};
    char port[sizeof f.port] = "", *text = NULL;
    bool heard;

    if (!p)
        return -1;
    if (a->n < 4 || strlen(a->words[1]) >= sizeof f.chassis || strlen(a->words[2]) >= sizeof port)
        return wrong(a, "lldp DEVICE:PORT CHASSIS|= PORT|= TTL-SECONDS [TEXT]");
    pthread_mutex_lock(&world_lock);
    if (p->peer)
        lldp_say(p->peer, &f);
    if (strcmp(a->words[1], "=") != 0)
        snprintf(f.chassis, sizeof f.chassis, "%s", a->words[1]);
    if (strcmp(a->words[2], "=") != 0)
        snprintf(f.port, sizeof f.port, "%s", a->words[2]);
    f.ttl_s = strtoll(a->words[3], &text, 10);
    snprintf(f.text, sizeof f.text, "%s", text + strspn(text, " "));
    heard = f.ttl_s >= 0 && f.ttl_s <= 65535 && lldp_hear(p, &f, sim_now_ms());
    pthread_mutex_unlock(&world_lock);
    return heard ? 0 : wrong(a, "not heard: LLDP does not run there, the link is down, or there are too many");
}

static int
do_heard(struct answer *a)
{
    struct sim_port *p = port_arg(a, 0);

    if (!p)
        return -1;
    pthread_mutex_lock(&world_lock);
    world_tick();
    fprintf(a->out, ",\"said\":%llu,\"changes\":%llu,\"neighbours\":[", (unsigned long long)p->lldp.frames,
            (unsigned long long)p->lldp.changes);
    for (size_t i = 0; i < p->lldp.n_heard; i++) {
        const struct lldp_frame *f = &p->lldp.heard[i].frame;

        fprintf(a->out, "%s{\"chassis\":", i ? "," : "");
        put_string(a->out, f->chassis);
        fputs(",\"port\":", a->out);
        put_string(a->out, f->port);
        fputs(",\"text\":", a->out);
        put_string(a->out, f->text);
        fprintf(a->out, ",\"ttl\":%lld,\"age\":%lld}", (long long)f->ttl_s,
                (long long)lldp_age_s(&p->lldp.heard[i], sim_now_ms()));
    }
    pthread_mutex_unlock(&world_lock);
    fputc(']', a->out);
    return 0;
}

static int
do_edit(struct answer *a)
{
    struct sim_box *box = box_arg(a, 0);

    for (size_t i = 1; i < a->n; i++)
        for (char *c = a->words[i]; *c; c++)
            *c = *c == ';' ? '\n' : *c;
    return !box ? -1 : a->n == 2 ? sim_edit(box, a->words[1], a->why) : wrong(a, "edit DEVICE COMMAND[;COMMAND...]");
}

static int
do_dirty(struct answer *a)
{
    struct sim_box *box = box_arg(a, 0);

    return !box ? -1 : a->n == 2 ? sim_edit_shared(box, a->words[1], a->why) : wrong(a, "dirty DEVICE COMMAND");
}

static int
do_lock(struct answer *a)
{
    struct sim_box *box = box_arg(a, 0);

    if (!box || a->n != 2 || (strcmp(a->words[1], "on") != 0 && strcmp(a->words[1], "off") != 0))
        return box ? wrong(a, "lock DEVICE on|off") : -1;
    sim_operator_lock(box, strcmp(a->words[1], "on") == 0);
    return 0;
}

static int
do_hang_up(struct answer *a)
{
    struct sim_box *box = box_arg(a, 0);

    if (box)
        sim_hang_up(box);
    return box ? 0 : -1;
}

static int
one_commit_time(struct answer *a, struct sim_box *box)
{
    int64_t ms;

    if (!ms_arg(a, 1, 0, &ms) || ms < 0)
        return wrong(a, "commit-time DEVICE|* TIME");
    __atomic_store_n(&box->commit_ms, ms, __ATOMIC_RELAXED);
    return 0;
}

static int
do_commit_time(struct answer *a)
{
    return a->n == 2 ? each(a, one_commit_time) : wrong(a, "commit-time DEVICE|* TIME");
}

static int
do_speed(struct answer *a)
{
    double speed = a->n ? strtod(a->words[0], NULL) : 0;

    if (!(speed >= 0.001 && speed <= 10000))
        return wrong(a, "speed N, from 0.001 to 10000");
    pthread_mutex_lock(&world_lock);
    world_set_clock(sim_now_ms(), speed);
    world_kick();
    pthread_mutex_unlock(&world_lock);
    return 0;
}

static int
do_time(struct answer *a)
{
    int64_t s;

    if (a->n && (!ms_arg(a, 0, 0, &s) || s < 0))
        return wrong(a, "time [UNIX-SECONDS]");
    if (a->n) {
        pthread_mutex_lock(&world_lock);
        world_set_clock(s * 1000, world_speed());
        world_kick();
        pthread_mutex_unlock(&world_lock);
    }
    fprintf(a->out, ",\"unix_ms\":%lld", (long long)sim_now_ms());
    return 0;
}

static int
one_reset(struct answer *a, struct sim_box *box)
{
    (void)a;
    pthread_mutex_lock(&world_lock);
    for (size_t i = 0; i < box->world->n_ports; i++)
        mka_reset_counts(&box->world->port[i].mka, sim_now_ms());
    pthread_mutex_unlock(&world_lock);
    return 0;
}

static int
do_reset(struct answer *a)
{
    return each(a, one_reset);
}

static int
do_state(struct answer *a)
{
    struct sim_box *only = a->n ? box_arg(a, 0) : NULL;
    int64_t now;
    bool first = true;

    if (a->n && !only)
        return -1;
    pthread_mutex_lock(&world_lock);
    world_tick();
    now = sim_now_ms();
    fprintf(a->out, ",\"unix_ms\":%lld,\"violations\":%llu,\"devices\":{", (long long)now,
            (unsigned long long)__atomic_load_n(&world.violations, __ATOMIC_RELAXED));
    for (size_t i = 0; i < lab->n; i++) {
        if (only && lab->boxes[i] != only)
            continue;
        fputs(first ? "" : ",", a->out);
        put_box(lab->boxes[i], now, a->out);
        first = false;
    }
    pthread_mutex_unlock(&world_lock);
    fputc('}', a->out);
    return 0;
}

static int
do_faults(struct answer *a)
{
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);

    if (!f)
        return wrong(a, "out of memory");
    fault_list(f);
    fclose(f);
    fputs(",\"faults\":", a->out);
    put_string(a->out, text);
    free(text);
    return 0;
}

/* Are all ports that have a cable and a configuration secured, by their primary keys when that is asked? */
static bool
all_secured(bool primary)
{
    int64_t now = sim_now_ms();

    for (size_t i = 0; i < lab->n; i++)
        for (size_t j = 0; j < lab->boxes[i]->world->n_ports; j++) {
            const struct sim_port *p = &lab->boxes[i]->world->port[j];

            if (p->peer && p->mka.conf.on &&
                (!mka_secured(&p->mka) || (primary && mka_state_of(&p->mka, now) != MKA_BY_PRIMARY)))
                return false;
        }
    return true;
}

static int
do_wait(struct answer *a)
{
    int64_t ms;

    if (a->n == 0 || (strcmp(a->words[0], "secured") != 0 && strcmp(a->words[0], "primary") != 0))
        return wrong(a, "wait secured|primary [TIME]");
    if (!ms_arg(a, 1, 10000, &ms))
        return -1;
    a->from->waits = true;
    a->from->primary = a->words[0][0] == 'p';
    a->from->until_ms = world_real_ms() + ms;
    return 0;
}

static int do_help(struct answer *a);

static const struct {
    const char *name;
    int (*run)(struct answer *a);
} commands[] = {
    {"fault", do_fault},   {"clear", do_clear},     {"reboot", do_reboot}, {"cut", do_cut},
    {"join", do_join},     {"port", do_port},       {"edit", do_edit},     {"dirty", do_dirty},
    {"lock", do_lock},     {"hang-up", do_hang_up}, {"speed", do_speed},   {"time", do_time},
    {"reset", do_reset},   {"state", do_state},     {"wait", do_wait},     {"commit-time", do_commit_time},
    {"suspend", do_suspend}, {"lldp", do_lldp},     {"heard", do_heard},   {"faults", do_faults},
    {"help", do_help},
};

static int
do_help(struct answer *a)
{
    fputs(",\"commands\":[", a->out);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(a->out, "%s\"%s\"", i ? "," : "", commands[i].name);
    fputc(']', a->out);
    return 0;
}

/* ---- clients ---- */

static void
hang_up(struct client *c)
{
    close(c->fd);
    *c = (struct client){.fd = -1};
}

static void
send_all(struct client *c, const char *text, size_t n)
{
    if (send(c->fd, text, n, MSG_NOSIGNAL) != (ssize_t)n)
        hang_up(c);
}

static void
say(struct client *c, int err, const char *body, const char *why)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);

    if (!out) {
        hang_up(c);
        return;
    }
    fprintf(out, "{\"ok\":%s%s", err ? "false" : "true", err ? "" : body);
    if (err) {
        fputs(",\"error\":", out);
        put_string(out, why);
    }
    fputs("}\n", out);
    fclose(out);
    send_all(c, text, n);
    free(text);
}

static void
split(struct answer *a, char *rest)
{
    size_t last = strncmp(a->words[0], "edit", 5) == 0 || strncmp(a->words[0], "dirty", 6) == 0 ? 2 : 4;

    a->n = 0;
    while (a->n < last && *(rest += strspn(rest, " \t")) != '\0') {
        a->words[a->n++] = rest;
        if (a->n == last)
            return;
        rest += strcspn(rest, " \t");
        if (*rest)
            *rest++ = '\0';
    }
}

static void
obey(struct client *c, char *line)
{
    struct answer a = {.why = "no such command; try help", .from = c};
    char *rest = line + strcspn(line, " \t"), *body = NULL;
    size_t n = 0;
    int err = -1;

    if (*rest)
        *rest++ = '\0';
    a.words[0] = line;
    split(&a, rest);
    a.out = open_memstream(&body, &n);
    if (!a.out) {
        hang_up(c);
        return;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(commands[i].name, line) == 0) {
            rk_log(RK_LOG_INFO, "ev=control cmd=%s to=%.80s", line, a.n ? a.words[0] : "");
            err = commands[i].run(&a);
        }
    fclose(a.out);
    if (err || !c->waits)
        say(c, err, body, a.why);
    free(body);
}

/* Every whole line that has come, up to one that has to wait. */
static void
obey_lines(struct client *c)
{
    char *end;

    while (c->fd >= 0 && !c->waits && (end = memchr(c->line, '\n', c->n)) != NULL) {
        size_t used = (size_t)(end - c->line) + 1;
        char line[LINE_MAX_BYTES];

        memcpy(line, c->line, used);
        line[used - 1] = '\0';
        c->n -= used;
        memmove(c->line, end + 1, c->n);
        line[strcspn(line, "\r")] = '\0';
        obey(c, line);
    }
    if (c->fd >= 0 && !c->waits && c->n == sizeof c->line)
        hang_up(c); /* no line is as long */
}

static void
take(struct client *c)
{
    ssize_t got = recv(c->fd, c->line + c->n, sizeof c->line - c->n, MSG_DONTWAIT);

    if (got <= 0) {
        if (got == 0 || (errno != EAGAIN && errno != EINTR))
            hang_up(c);
        return;
    }
    c->n += (size_t)got;
    obey_lines(c);
}

static void
look(struct client *c)
{
    bool done;

    pthread_mutex_lock(&world_lock);
    world_tick();
    done = all_secured(c->primary);
    pthread_mutex_unlock(&world_lock);
    if (!done && world_real_ms() < c->until_ms)
        return;
    c->waits = false;
    say(c, done ? 0 : -1, "", "not all ports are secured");
    if (c->fd >= 0)
        obey_lines(c);
}

static void
welcome(void)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    for (size_t i = 0; fd >= 0 && i < CLIENTS; i++)
        if (clients[i].fd < 0) {
            clients[i] = (struct client){.fd = fd};
            return;
        }
    if (fd >= 0)
        close(fd);
}

static void *
serve(void *arg)
{
    (void)arg;
    for (;;) {
        struct pollfd p[CLIENTS + 2] = {{listener, POLLIN, 0}, {stop_pipe[0], POLLIN, 0}};
        bool waits = false;

        for (size_t i = 0; i < CLIENTS; i++) {
            p[i + 2] = (struct pollfd){clients[i].waits ? -1 : clients[i].fd, POLLIN, 0};
            waits |= clients[i].waits;
        }
        if (poll(p, CLIENTS + 2, waits ? LOOK_MS : -1) < 0 && errno != EINTR)
            return NULL;
        if (p[1].revents)
            return NULL;
        for (size_t i = 0; i < CLIENTS; i++)
            if (clients[i].fd >= 0 && clients[i].waits)
                look(&clients[i]);
            else if (clients[i].fd >= 0 && p[i + 2].revents)
                take(&clients[i]);
        if (p[0].revents)
            welcome();
    }
}

static int
failed(char *why, const char *path)
{
    snprintf(why, SIM_WHY_MAX, "control socket %.160s: %s", path, strerror(errno));
    control_stop();
    return -1;
}

int
control_start(struct sim_lab *of, char *why)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int err;

    lab = of;
    for (size_t i = 0; i < CLIENTS; i++)
        clients[i].fd = -1;
    errno = ENAMETOOLONG;
    if (strlen(of->control) >= sizeof at.sun_path)
        return failed(why, of->control);
    strcpy(at.sun_path, of->control);
    unlink(of->control); /* one that an earlier run left; it is ours by the topology */
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || fchmod(listener, 0600) < 0 || bind(listener, (struct sockaddr *)&at, sizeof at) < 0)
        return failed(why, of->control);
    socket_path = of->control;
    if (chmod(of->control, 0600) < 0 || listen(listener, CLIENTS) < 0 || pipe(stop_pipe) < 0)
        return failed(why, of->control);
    err = pthread_create(&thread, NULL, serve, NULL);
    if (err) {
        close(stop_pipe[1]);
        stop_pipe[1] = -1;
        errno = err;
        return failed(why, of->control);
    }
    return 0;
}

void
control_stop(void)
{
    if (stop_pipe[1] >= 0) {
        close(stop_pipe[1]);
        pthread_join(thread, NULL);
    }
    if (stop_pipe[0] >= 0)
        close(stop_pipe[0]);
    for (size_t i = 0; i < CLIENTS && listener >= 0; i++)
        if (clients[i].fd >= 0)
            close(clients[i].fd);
    if (listener >= 0)
        close(listener);
    if (socket_path)
        unlink(socket_path);
    socket_path = NULL;
    listener = stop_pipe[0] = stop_pipe[1] = -1;
}
