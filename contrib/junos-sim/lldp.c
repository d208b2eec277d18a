/* lldp.c - LLDP between routers: a port says its description, and keeps what it hears for as long as that is valid
 *
 * A change is said no sooner than transmit-delay after the frame before, else every advertisement-interval; what is not
 * said again within hold-multiplier intervals is forgotten, and so is all of a port whose link goes down.  Not known of
 * real routers, and taken in the way that forgives least: a change waits for transmit-delay in any case.
 */
#include "lldp.h"

#include "world.h"

#include <string.h>

/* ---- times ---- */

static int64_t
short_ms(int64_t s)
{
    return s * world.lldp_ms / 2;
}

/* With lldp: 0ms changes are heard at once, and nothing gets too old before it is said again. */
static int64_t
long_ms(int64_t s)
{
    return world.lldp_ms ? short_ms(s) : s * 1000;
}

int64_t
lldp_age_s(const struct lldp_heard *h, int64_t now)
{
    int64_t ms = now > h->at_ms ? now - h->at_ms : 0;

    return world.lldp_ms ? ms * 2 / world.lldp_ms : ms / 1000;
}

static uint32_t
faults(const struct sim_port *p)
{
    return p->box->world->lldp_faults;
}

/* ---- configuration ---- */

static int64_t
number(const xmlNode *lldp, const char *name, int64_t usual)
{
    char text[24];

    return conf_text(lldp, name, text, sizeof text) && *text ? strtoll(text, NULL, 10) : usual;
}

static bool
is_word(const xmlNode *lldp, const char *name, const char *word)
{
    char text[40];

    return conf_text(lldp, name, text, sizeof text) && strcmp(text, word) == 0;
}

static struct lldp_conf
read_conf(const struct sim_port *p, const xmlNode *root)
{
    const xmlNode *lldp = conf_get(root, "protocols/lldp"), *iface;
    struct lldp_conf c = {.interval_s = number(lldp, "advertisement-interval", 30),
                          .delay_s = number(lldp, "transmit-delay", 2), .hold = number(lldp, "hold-multiplier", 4)};
    char path[SIM_NAME_MAX + 32];

    snprintf(path, sizeof path, "interface[%s]", p->name);
    iface = conf_get(lldp, path);
    if (!iface)
        iface = conf_get(lldp, "interface[all]");
    c.on = iface && !conf_has(iface, "disable") && !conf_has(lldp, "disable");
    c.by_name = is_word(lldp, "port-description-type", "interface-description");
    c.by_number = is_word(lldp, "port-id-subtype", "locally-assigned");
    return c;
}

/* ---- saying ---- */

void
lldp_say(const struct sim_port *p, struct lldp_frame *f)
{
    const struct lldp_port *l = &p->lldp;
    uint64_t mac = p->box->world->port[0].mka.sci >> 16;

    memset(f, 0, sizeof *f);
    snprintf(f->chassis, sizeof f->chassis, "%02x:%02x:%02x:%02x:%02x:%02x", (unsigned)(mac >> 40) & 255,
             (unsigned)(mac >> 32) & 255, (unsigned)(mac >> 24) & 255, (unsigned)(mac >> 16) & 255,
             (unsigned)(mac >> 8) & 255, (unsigned)mac & 255);
    if (l->conf.by_number)
        snprintf(f->port, sizeof f->port, "%d", 500 + (int)(p - p->box->world->port));
    else
        memcpy(f->port, p->name, sizeof f->port);
    snprintf(f->system, sizeof f->system, "%.63s", p->box->world->host);
    snprintf(f->text, sizeof f->text, "%s", l->conf.by_name || !l->text[0] ? p->name : l->text);
    f->ttl_s = l->conf.interval_s * l->conf.hold;
}

static void
advertise(struct sim_port *p, int64_t now)
{
    struct lldp_port *l = &p->lldp;
    struct lldp_frame last = l->said;

    l->sent_ms = now;
    l->send_ms = now + long_ms(l->conf.interval_s);
    if (faults(p) & LLDP_MUTE)
        return;
    if (!(faults(p) & LLDP_FROZEN) || !l->said.ttl_s)
        lldp_say(p, &l->said);
    l->frames++;
    l->changes += strcmp(last.text, l->said.text) != 0;
    if (p->peer)
        lldp_hear(p->peer, &l->said, now);
}

static void
plan_change(struct sim_port *p, int64_t now)
{
    struct lldp_port *l = &p->lldp;
    int64_t delay = short_ms(l->conf.delay_s), at = (now - l->sent_ms > delay ? now : l->sent_ms) + delay;

    if (!l->send_ms || (at < l->send_ms && !(faults(p) & LLDP_LAZY)))
        l->send_ms = at;
}

/* A port on which LLDP ends says so. */
static void
leave(struct sim_port *p, int64_t now)
{
    struct lldp_frame last = p->lldp.said;

    p->lldp.send_ms = 0;
    p->lldp.n_heard = 0;
    if (!last.ttl_s)
        return;
    last.ttl_s = p->lldp.said.ttl_s = 0;
    if (p->peer)
        lldp_hear(p->peer, &last, now);
}

void
lldp_read(struct sim_port *p, const xmlNode *root, int64_t now)
{
    struct lldp_port *l = &p->lldp;
    struct lldp_conf was = l->conf;
    struct lldp_frame f;

    l->conf = read_conf(p, root);
    memcpy(l->text, p->description, sizeof l->text);
    lldp_say(p, &f);
    if (was.on && !l->conf.on)
        leave(p, now);
    else if (l->conf.on && p->linked && memcmp(&f, &l->said, sizeof f) != 0)
        plan_change(p, now);
}

void
lldp_link(struct sim_port *p, int64_t now)
{
    struct lldp_port *l = &p->lldp;

    l->n_heard = 0;
    l->said.ttl_s = 0;
    l->send_ms = 0;
    if (p->linked && l->conf.on)
        l->send_ms = now + short_ms(l->conf.delay_s);
}

/* ---- hearing ---- */

static void
forget(struct lldp_port *l, size_t i)
{
    memmove(&l->heard[i], &l->heard[i + 1], (--l->n_heard - i) * sizeof l->heard[0]);
}

static size_t
find(const struct lldp_port *l, const struct lldp_frame *f)
{
    size_t i = 0;

    while (i < l->n_heard &&
           (strcmp(l->heard[i].frame.chassis, f->chassis) != 0 || strcmp(l->heard[i].frame.port, f->port) != 0))
        i++;
    return i;
}

bool
lldp_hear(struct sim_port *p, const struct lldp_frame *f, int64_t now)
{
    struct lldp_port *l = &p->lldp;
    size_t i = find(l, f);

    if (!l->conf.on || !p->linked)
        return false;
    if (f->ttl_s == 0) {
        if (i < l->n_heard)
            forget(l, i);
        return true;
    }
    if (i == LLDP_HEARD_MAX)
        return false;
    l->heard[i] = (struct lldp_heard){*f, now};
    l->n_heard += i == l->n_heard;
    return true;
}

void
lldp_run(struct sim_port *p, int64_t now)
{
    struct lldp_port *l = &p->lldp;

    for (size_t i = l->n_heard; i-- > 0;)
        if (now - l->heard[i].at_ms >= long_ms(l->heard[i].frame.ttl_s))
            forget(l, i);
    if (l->send_ms && now >= l->send_ms)
        advertise(p, now);
}
