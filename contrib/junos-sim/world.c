/* world.c - the world's clock and thread: cables, carriers, MKA
 *
 * One thread looks at all cables in steps that are short against a hello.  Nothing here waits for a box.
 */
#include "world.h"

#include <core/base/log.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STEP_MAX_MS 250
#define CATCH_UP_MAX 10000 /* steps; more is a clock that was set */

struct world world = {.hello_ms = 2000, .lldp_ms = 2000, .dice = 1};
pthread_mutex_t world_lock = PTHREAD_MUTEX_INITIALIZER;

static pthread_mutex_t clock_lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t clock_unix_ms, clock_real_ms; /* the world's time at a real time; 0: never set */
static double clock_speed = 1;
static pthread_cond_t kick;
static pthread_t thread;
static bool running, kicked;
static int64_t ticked_ms; /* all cables were looked at; lock: world_lock */

/* ---- time ---- */

int64_t
world_real_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* clock_lock held */
static int64_t
now_ms(void)
{
    struct timespec t;

    if (!clock_real_ms) {
        clock_gettime(CLOCK_REALTIME, &t);
        clock_unix_ms = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
        clock_real_ms = world_real_ms();
    }
    return clock_unix_ms + (int64_t)((double)(world_real_ms() - clock_real_ms) * clock_speed);
}

int64_t
sim_now_ms(void)
{
    int64_t now;

    pthread_mutex_lock(&clock_lock);
    now = now_ms();
    pthread_mutex_unlock(&clock_lock);
    return now;
}

double
world_speed(void)
{
    double speed;

    pthread_mutex_lock(&clock_lock);
    speed = clock_speed;
    pthread_mutex_unlock(&clock_lock);
    return speed;
}

void
world_set_clock(int64_t unix_ms, double speed)
{
    pthread_mutex_lock(&clock_lock);
    clock_real_ms = world_real_ms();
    clock_unix_ms = unix_ms;
    clock_speed = speed;
    pthread_mutex_unlock(&clock_lock);
}

int64_t
sim_box_now_ms(const struct sim_box *box)
{
    return sim_now_ms() + __atomic_load_n(&box->clock_offset_ms, __ATOMIC_RELAXED);
}

/* A zone is never freed while the world runs, so only the pointer needs care. */
int32_t
sim_box_zone_s(const struct sim_box *box, int64_t unix_s)
{
    const struct sim_boxworld *w = __atomic_load_n(&box->world, __ATOMIC_ACQUIRE);

    return w ? zone_offset(__atomic_load_n(&w->zone, __ATOMIC_ACQUIRE), unix_s, NULL) : 0;
}

/* ---- boxes and ports ---- */

struct sim_boxworld *
world_of(struct sim_box *box)
{
    struct sim_boxworld *w = box->world;

    if (w)
        return w;
    w = calloc(1, sizeof *w);
    if (w) {
        snprintf(w->host, sizeof w->host, "%s", box->name);
        w->booted_ms = sim_now_ms();
        w->zone = box->zone ? zone_find(box->zone) : NULL;
        __atomic_store_n(&box->world, w, __ATOMIC_RELEASE);
    }
    return w;
}

bool
world_ports(struct sim_box *box, size_t n)
{
    struct sim_boxworld *w = world_of(box);

    return w && n > 0 && (w->port = calloc(n, sizeof *w->port)) != NULL && (w->n_ports = n) > 0;
}

bool
world_port_init(struct sim_box *box, size_t i, const char *name, const char *speed)
{
    struct sim_port *p = &box->world->port[i];
    uint64_t mac = UINT64_C(0x020000000000) + ((uint64_t)(ntohl(box->address.s_addr) & 0xffffff) << 12) + i;

    p->box = box;
    snprintf(p->name, sizeof p->name, "%s", name);
    snprintf(p->speed, sizeof p->speed, "%s", speed);
    mka_port_start(&p->mka, mac << 16 | 1, world.dice ^ mac * UINT64_C(0x9e3779b97f4a7c15), sim_now_ms());
    p->moved_ms = sim_now_ms();
    return true;
}

struct sim_port *
world_port(const struct sim_boxworld *w, const char *name)
{
    size_t n = strlen(name);

    if (n > 2 && strcmp(name + n - 2, ".0") == 0)
        n -= 2;
    for (size_t i = 0; w && i < w->n_ports; i++)
        if (strncmp(w->port[i].name, name, n) == 0 && !w->port[i].name[n])
            return &w->port[i];
    return NULL;
}

static void
boxworld_free(struct sim_box *box)
{
    struct sim_boxworld *w = box->world;

    for (size_t i = 0; w && i < w->n_ports; i++)
        mka_port_end(&w->port[i].mka);
    if (w) {
        free(w->port);
        world_chains_free(w);
    }
    free(w);
    box->world = NULL;
}

/* ---- commits ---- */

static void
read_interface(const xmlNode *root, struct sim_port *p, int64_t now)
{
    char path[SIM_NAME_MAX + 64], text[LLDP_TEXT_MAX * 4] = "";

    snprintf(path, sizeof path, "interfaces/interface[%s]", p->name);
    p->disabled = conf_has(conf_get(root, path), "disable");
    conf_text(conf_get(root, path), "description", text, sizeof text);
    text[sizeof p->description - 1] = '\0'; /* what LLDP carries at most */
    memcpy(p->description, text, sizeof p->description);
    lldp_read(p, root, now);
}

static void
log_commit(const struct sim_box *box, const struct mka_conf *next, const char *user, const char *log)
{
    char links[400] = "";
    const char *txn = log ? strstr(log, "txn=") : NULL; /* the rest is the client's text, and may be anything */
    size_t used = 0;

    for (size_t i = 0; i < box->world->n_ports; i++) {
        const struct sim_port *p = &box->world->port[i];
        const struct mka_conf *was = &p->mka.conf;

        if (used < sizeof links &&
            (strcmp(was->psk.ckn, next[i].psk.ckn) != 0 || strcmp(was->fallback.ckn, next[i].fallback.ckn) != 0 ||
             was->n_chain != next[i].n_chain || was->on != next[i].on))
            used += (size_t)snprintf(links + used, sizeof links - used, "%s%s=%.12s/%.12s/%zu", used ? "," : "",
                                     p->name, next[i].psk.ckn, next[i].fallback.ckn, next[i].n_chain);
    }
    rk_log(RK_LOG_INFO, "ev=committed box=%s user=%s %.20s links=%s", box->name, user ? user : "", txn ? txn : "",
           links);
}

static void
read_system(struct sim_box *box, const xmlNode *root)
{
    struct sim_boxworld *w = box->world;
    const struct zone *zone;

    if (!conf_text(root, "system/host-name", w->host, sizeof w->host))
        snprintf(w->host, sizeof w->host, "%s", box->name);
    if (!conf_text(root, "system/time-zone", w->zone_name, sizeof w->zone_name))
        snprintf(w->zone_name, sizeof w->zone_name, "%s", box->zone ? box->zone : "UTC");
    zone = zone_find(w->zone_name);
    __atomic_store_n(&w->zone, zone, __ATOMIC_RELEASE);
}

void
sim_violation(struct sim_box *box, const char *what)
{
    __atomic_add_fetch(&world.violations, 1, __ATOMIC_RELAXED);
    if (box->world) {
        __atomic_add_fetch(&box->world->violations, 1, __ATOMIC_RELAXED);
        snprintf(box->world->violation, sizeof box->world->violation, "%s", what);
    }
    rk_log(RK_LOG_WARNING, "ev=violation box=%s %s", box->name, what);
}

/* ---- what time brings ---- */

static bool
box_runs(const struct sim_port *p)
{
    int64_t until_ms = p->box->world->down_until_ms;

    return until_ms == 0 || world_real_ms() >= until_ms;
}

bool
world_link_up(const struct sim_port *p)
{
    const struct sim_port *q = p->peer;

    return q && !p->cut && !p->shut && !q->shut && !p->disabled && !q->disabled && box_runs(p) && box_runs(q);
}

static void
carrier(struct sim_port *p, int64_t now)
{
    bool up = world_link_up(p);

    if (up != p->linked) {
        p->linked = up;
        p->moved_ms = now;
        lldp_link(p, now);
        rk_log(RK_LOG_INFO, "ev=link box=%s port=%s %s", p->box->name, p->name, up ? "up" : "down");
    }
    mka_port_up(&p->mka, up && !p->box->world->no_licence, now); /* without: configured, and no session comes up */
}

static void
log_port(struct sim_port *p, int64_t now)
{
    static const char *const words[] = {"unsecured", "primary", "preceding", "fallback", "suspended"};
    enum mka_state state = mka_state_of(&p->mka, now);
    const char *ckn = p->mka.latest.there ? p->mka.latest.by.ckn : "";

    if (state != p->logged || strcmp(ckn, p->logged_ckn) != 0)
        rk_log(RK_LOG_INFO, "ev=mka box=%s port=%s state=%s ckn=%.16s", p->box->name, p->name, words[state], ckn);
    p->logged = state;
    snprintf(p->logged_ckn, sizeof p->logged_ckn, "%s", ckn);
    if (strcmp(p->mka.unknown, p->logged_unknown) != 0) {
        memcpy(p->logged_unknown, p->mka.unknown, sizeof p->logged_unknown);
        rk_log(RK_LOG_INFO, "ev=syslog box=%s DOT1XD_MACSEC_SC_UNKNOWN_CAK_ERR: intf: %s received CKN %s is unknown",
               p->box->name, p->name, p->mka.unknown);
    }
}

static struct mka_end
end_of(struct sim_port *p, int64_t now)
{
    return p ? (struct mka_end){&p->mka, now + __atomic_load_n(&p->box->clock_offset_ms, __ATOMIC_RELAXED)}
             : (struct mka_end){NULL, 0};
}

static enum mka_excuse
excuse_of(const struct sim_port *p)
{
    return p->box->world->no_licence ? MKA_LICENCE
           : p->box->world->emptied && !box_runs(p) ? MKA_EMPTY : MKA_NO_EXCUSE;
}

/* What no client can help.  came: one end takes part again, with what is committed there and nothing else. */
static void
excuse(struct sim_port *p, struct sim_port *q, bool came)
{
    enum mka_excuse why = excuse_of(p) > excuse_of(q) ? excuse_of(p) : excuse_of(q);

    if (!why && came && p->mka.up && q->mka.up && p->mka.excuse != MKA_EMPTY && q->mka.excuse != MKA_EMPTY &&
        !mka_common(&p->mka, &q->mka))
        why = MKA_TORN;
    if (!mka_secured(&p->mka))
        mka_excuse(&p->mka, why);
    if (!mka_secured(&q->mka))
        mka_excuse(&q->mka, why);
}

static void
run_port(struct sim_port *p, int64_t now)
{
    struct sim_port *q = p->peer;
    bool were_up = p->mka.up && q && q->mka.up;

    if (q && q < p)
        return; /* done with the other end */
    carrier(p, now);
    if (q)
        carrier(q, now);
    mka_run(end_of(p, now), end_of(q, now), now);
    if (q)
        excuse(p, q, !were_up);
    for (struct sim_port *each = p; each; each = each == p ? q : NULL) {
        lldp_run(each, now);
        log_port(each, now);
    }
}

static void
tick_at(int64_t now)
{
    for (size_t i = 0; i < world.lab->n; i++) {
        struct sim_boxworld *w = world.lab->boxes[i]->world;

        for (size_t j = 0; w && j < w->n_ports; j++)
            run_port(&w->port[j], now);
    }
}

static int64_t
step_ms(void)
{
    return world.hello_ms / 8 < 2 ? 2 : world.hello_ms / 8;
}

/* A thread that the machine held up makes up for it, step by step: else all hellos would be late, and peers lost. */
void
world_tick(void)
{
    int64_t now = sim_now_ms(), step = step_ms();

    if (ticked_ms <= now && now - ticked_ms <= CATCH_UP_MAX * step)
        while (ticked_ms + step < now)
            tick_at(ticked_ms += step);
    tick_at(now);
    ticked_ms = now;
}

/* The same for the cables of one box: all others can wait for their next step.  now is not behind that one. */
static void
tick_box(struct sim_boxworld *w, int64_t now)
{
    for (size_t i = 0; i < w->n_ports; i++) {
        struct sim_port *p = &w->port[i];

        run_port(p->peer && p->peer < p ? p->peer : p, now);
    }
}

/* What was before a commit.   ret: the time of it */
static int64_t
tick_before(struct sim_boxworld *w)
{
    int64_t now = sim_now_ms();

    if (now < ticked_ms || now - ticked_ms > step_ms()) {
        world_tick();
        return ticked_ms;
    }
    tick_box(w, now);
    return now;
}

void
sim_committed(struct sim_box *box, const char *user, const char *log)
{
    const xmlNode *root = xmlDocGetRootElement(box->committed);
    struct sim_boxworld *w;
    struct mka_conf *next;
    int64_t now;

    pthread_mutex_lock(&world_lock);
    w = world_of(box);
    now = running && w ? tick_before(w) : sim_now_ms();
    next = w ? calloc(w->n_ports + 1, sizeof *next) : NULL;
    if (next) {
        read_system(box, root);
        world_chains(box, w);
        for (size_t i = 0; i < w->n_ports; i++) {
            world_read(box, &w->port[i], &next[i]);
            read_interface(root, &w->port[i], now);
        }
        world_judge(box, next, user, log);
        log_commit(box, next, user, log);
        for (size_t i = 0; i < w->n_ports; i++)
            mka_port_configure(&w->port[i].mka, &next[i], sim_box_now_ms(box), now);
        w->commits++;
        w->configured_ms = sim_box_now_ms(box);
        snprintf(w->configured_by, sizeof w->configured_by, "%s", user ? user : "root");
        free(next);
        if (running)
            tick_box(w, now);
    }
    pthread_mutex_unlock(&world_lock);
}

void
world_kick(void)
{
    if (running) {
        kicked = true;
        pthread_cond_signal(&kick);
    }
}

/* An operator who locked the database by a fault leaves when his time is over; the store's lock is not taken here. */
static void
unlock_due(void)
{
    for (size_t i = 0; i < world.lab->n; i++) {
        struct sim_box *box = world.lab->boxes[i];
        bool due;

        pthread_mutex_lock(&world_lock);
        due = box->world && box->world->unlock_ms && world_real_ms() >= box->world->unlock_ms;
        if (due)
            box->world->unlock_ms = 0;
        pthread_mutex_unlock(&world_lock);
        if (due)
            sim_operator_lock(box, false);
    }
}

static void
rest(void)
{
    double step = (double)world.hello_ms / 8 / world_speed();
    int64_t ms = step > STEP_MAX_MS ? STEP_MAX_MS : step < 2 ? 2 : (int64_t)step;
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ms * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (running && !kicked && pthread_cond_timedwait(&kick, &world_lock, &until) != ETIMEDOUT)
        ;
    kicked = false;
}

static void *
run(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&world_lock);
    while (running) {
        world_tick();
        pthread_mutex_unlock(&world_lock);
        unlock_due();
        pthread_mutex_lock(&world_lock);
        rest();
    }
    pthread_mutex_unlock(&world_lock);
    return NULL;
}

int
sim_world_start(struct sim_lab *lab, char *why)
{
    pthread_condattr_t attr;
    int err;

    world.lab = lab;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&kick, &attr);
    pthread_condattr_destroy(&attr);
    running = true;
    err = pthread_create(&thread, NULL, run, NULL);
    if (err) {
        running = false;
        snprintf(why, SIM_WHY_MAX, "no thread for the world: %s", strerror(err));
        return -1;
    }
    if (lab->control && control_start(lab, why) < 0) {
        sim_world_stop(lab);
        return -1;
    }
    return 0;
}

void
sim_world_stop(struct sim_lab *lab)
{
    control_stop();
    pthread_mutex_lock(&world_lock);
    if (running) {
        running = false;
        pthread_cond_signal(&kick);
        pthread_mutex_unlock(&world_lock);
        pthread_join(thread, NULL);
        pthread_mutex_lock(&world_lock);
    }
    for (size_t i = 0; i < lab->n; i++)
        boxworld_free(lab->boxes[i]);
    pthread_mutex_unlock(&world_lock);
    zone_stop();
}

void
world_reboot(struct sim_box *box, bool empty, int64_t down_ms)
{
    pthread_mutex_lock(&world_lock);
    if (box->world) {
        box->world->down_until_ms = world_real_ms() + down_ms;
        box->world->booted_ms = sim_now_ms() + (int64_t)((double)down_ms * world_speed());
        box->world->emptied = empty;
        box->world->unlock_ms = 0;
        box->world->n_txns = 0;
        for (size_t i = 0; i < box->world->n_ports; i++)
            mka_port_up(&box->world->port[i].mka, false, sim_now_ms());
    }
    pthread_mutex_unlock(&world_lock);
    rk_log(RK_LOG_NOTICE, "ev=reboot box=%s empty=%d", box->name, empty);
    sim_reboot(box, empty, down_ms);
}
