/* links.c - see links.h */
#include "links.h"

#include "../../common/keytext.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BUCKETS 1024 /* by name; an instance whose links are carried by devices may have 10,000 */
#define WHY_BYTES 200

struct link {
    struct link *next;
    char name[RK_LINK_MAX + 1];
    char port[LLDP_PORT_MAX + 1]; /* "": carried by a device */
    char chassis[NEIGH_ID_MAX + 1], peer_port[NEIGH_ID_MAX + 1], where[64];
    bool carried;
    char ours[LLDP_TEXT_MAX + 1]; /* newest; "": none yet */
    uint64_t gen, shown;          /* number of the newest text, and of the one that the port shows */
    uint64_t round;               /* in which it was given out */
    struct ctl_own own;
    struct neighbours *neighbours;
};

struct links {
    pthread_mutex_t lock;
    struct links_format format;
    struct link *buckets[BUCKETS];
    size_t turn; /* bucket whose news go first */
};

/* ---- the table ---- */

static struct link **
place(struct links *l, const char *name)
{
    uint32_t h = 2166136261u;
    struct link **p;

    for (const char *c = name; *c; c++)
        h = (h ^ (unsigned char)*c) * 16777619u;
    for (p = &l->buckets[h % BUCKETS]; *p; p = &(*p)->next)
        if (strcmp((*p)->name, name) == 0)
            break;
    return p;
}

static void
free_link(struct link *k)
{
    if (k)
        neigh_free(k->neighbours);
    free(k);
}

struct links *
links_new(const struct links_format *format)
{
    struct links *l = calloc(1, sizeof *l);

    if (!l)
        return NULL;
    l->format = *format;
    if (pthread_mutex_init(&l->lock, NULL) != 0) {
        free(l);
        return NULL;
    }
    return l;
}

void
links_free(struct links *l)
{
    for (size_t i = 0; l && i < BUCKETS; i++)
        while (l->buckets[i]) {
            struct link *k = l->buckets[i];

            l->buckets[i] = k->next;
            free_link(k);
        }
    if (l)
        pthread_mutex_destroy(&l->lock);
    free(l);
}

/* Give each to fn until it says that it is the one. */
static struct link *
search(struct links *l, bool (*is)(struct link *, const void *), const void *arg)
{
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct link *k = l->buckets[i]; k; k = k->next)
            if (is(k, arg))
                return k;
    return NULL;
}

static bool
on_port(struct link *k, const void *port)
{
    return !k->carried && strcmp(k->port, port) == 0;
}

/* ---- attaching ---- */

/* The port of a link: what is behind '@' of macsec0@eth1, for LLDP goes in clear on the interface below. */
static const char *
port_of(const char *iface)
{
    const char *at = strrchr(iface, '@');

    return at ? at + 1 : iface;
}

static bool
port_ok(const char *port)
{
    size_t len = strlen(port);

    return len > 0 && len <= LLDP_PORT_MAX && strcspn(port, "/ \t\n") == len;
}

static int
make_link(const struct links *l, const struct rk_attach *a, int64_t now_ms, struct link **out)
{
    struct link *k = calloc(1, sizeof *k);

    *out = k;
    if (!k)
        return RK_E_NOMEM;
    k->carried = a->carried;
    snprintf(k->name, sizeof k->name, "%s", a->link);
    if (!k->carried)
        snprintf(k->port, sizeof k->port, "%s", port_of(a->iface));
    snprintf(k->where, sizeof k->where, "%.*s", (int)sizeof k->where - 1, k->carried ? a->iface : k->port);
    snprintf(k->chassis, sizeof k->chassis, "%s", a->peer_chassis);
    snprintf(k->peer_port, sizeof k->peer_port, "%s", a->peer_port);
    k->neighbours = neigh_new(&(struct neigh_rules){k->name, k->where, k->chassis, k->peer_port, l->format.format,
                                                    l->format.member}, now_ms);
    return k->neighbours ? RK_OK : RK_E_NOMEM;
}

static bool
same(const struct link *a, const struct link *b)
{
    return a->carried == b->carried && strcmp(a->port, b->port) == 0 && strcmp(a->where, b->where) == 0 &&
           strcmp(a->chassis, b->chassis) == 0 && strcmp(a->peer_port, b->peer_port) == 0;
}

static void
job_of(const struct link *k, struct links_job *job)
{
    memset(job, 0, sizeof *job);
    memcpy(job->link, k->name, sizeof job->link);
    memcpy(job->port, k->port, sizeof job->port);
    memcpy(job->ours, k->ours, sizeof job->ours);
    job->own = k->own;
    job->gen = k->gen;
}

/* What is to be done on the port that a link leaves. */
static void
leave(const struct link *k, struct links_job *left)
{
    if (k->carried || !k->ours[0])
        return;
    job_of(k, left);
    left->ours[0] = '\0';
}

static int
check(const struct rk_attach *a, char *why)
{
    if (!rkp_name_ok(a->link, strnlen(a->link, RK_LINK_MAX + 1), RK_LINK_MAX)) {
        snprintf(why, WHY_BYTES, "not a link name");
        return RK_E_CONTRACT;
    }
    if (!a->carried && !port_ok(port_of(a->iface))) {
        snprintf(why, WHY_BYTES, "link %s: '%.40s' does not name an interface of this host, so LLDP has no port for it",
                 a->link, a->iface);
        return RK_E_CONFIG;
    }
    if (strlen(a->peer_chassis) > NEIGH_ID_MAX || strlen(a->peer_port) > NEIGH_ID_MAX) {
        snprintf(why, WHY_BYTES, "link %s: peer-chassis and peer-port have at most %d bytes", a->link, NEIGH_ID_MAX);
        return RK_E_CONFIG;
    }
    return RK_OK;
}

/* Put it in the place of the one that there was, with the text that is to be shown. */
static int
replace(struct links *l, struct link *new, struct links_job *left, char *why)
{
    struct link **at = place(l, new->name), *old = *at, *other = new->carried ? NULL : search(l, on_port, new->port);

    if (other && other != old) {
        snprintf(why, WHY_BYTES, "link %s: port %s is that of link %s already; a port carries one record", new->name,
                 new->port, other->name);
        free_link(new);
        return RK_E_CONFLICT;
    }
    if (old && same(old, new)) {
        free_link(new);
        return RK_OK;
    }
    if (old) {
        memcpy(new->ours, old->ours, sizeof new->ours);
        new->gen = old->gen + 1;
        if (strcmp(old->port, new->port) != 0)
            leave(old, left);
        else
            new->own = old->own;
        new->next = old->next;
    }
    *at = new;
    free_link(old);
    return RK_OK;
}

int
links_put(struct links *l, const struct rk_attach *a, int64_t now_ms, struct links_job *left, char *why)
{
    struct link *new;
    int err = check(a, why);

    memset(left, 0, sizeof *left);
    if (err)
        return err;
    err = make_link(l, a, now_ms, &new);
    if (err) {
        free_link(new);
        snprintf(why, WHY_BYTES, "out of memory");
        return err;
    }
    pthread_mutex_lock(&l->lock);
    err = replace(l, new, left, why);
    pthread_mutex_unlock(&l->lock);
    return err;
}

void
links_drop(struct links *l, const char *name, struct links_job *left)
{
    struct link **at, *k;

    memset(left, 0, sizeof *left);
    pthread_mutex_lock(&l->lock);
    at = place(l, name);
    k = *at;
    if (k) {
        leave(k, left);
        *at = k->next;
    }
    pthread_mutex_unlock(&l->lock);
    free_link(k);
}

/* ---- what is shown ---- */

static int
not_attached(const char *name, char *why)
{
    snprintf(why, WHY_BYTES, "link %.32s: it is not known on which interface it is, so it has no LLDP port", name);
    return RK_E_CONFIG;
}

/* Make the text of a record the newest of its link; the lock is held. */
static int
renew(const struct links *l, struct link *k, const char *record, char *why)
{
    char ours[LLDP_TEXT_MAX + 1];
    const char *flaw = lldp_ours(l->format.format, l->format.member, record, ours);

    if (flaw) {
        snprintf(why, WHY_BYTES, "link %s: %s", k->name, flaw);
        return RK_E_CONTRACT;
    }
    if (ours[0]) {
        memcpy(k->ours, ours, sizeof ours);
        k->gen++;
    }
    return k->ours[0] ? RK_OK : RK_E_EMPTY;
}

int
links_show(struct links *l, const char *name, const char *record, struct links_job *job, char *why)
{
    struct link *k;
    int err;

    pthread_mutex_lock(&l->lock);
    k = *place(l, name);
    if (!k || k->carried)
        err = not_attached(name, why);
    else
        err = renew(l, k, record, why);
    if (!err)
        job_of(k, job);
    pthread_mutex_unlock(&l->lock);
    return err;
}

bool
links_shown(struct links *l, struct links_job *job, bool done)
{
    struct link *k;
    bool newer = false;

    pthread_mutex_lock(&l->lock);
    k = *place(l, job->link);
    if (k && strcmp(k->port, job->port) == 0) {
        k->own = job->own;
        if (done)
            k->shown = job->gen;
        newer = done && k->gen != job->gen;
        if (newer)
            job_of(k, job);
    }
    pthread_mutex_unlock(&l->lock);
    return newer;
}

int
links_encode(struct links *l, const char *name, const char *record, char *text, char *why)
{
    struct link *k;
    int err;

    pthread_mutex_lock(&l->lock);
    k = *place(l, name);
    err = k ? renew(l, k, record, why) : not_attached(name, why);
    text[0] = '\0';
    if (!err)
        memcpy(text, k->ours, sizeof k->ours);
    pthread_mutex_unlock(&l->lock);
    return err;
}

void
links_stale(struct links *l)
{
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct link *k = l->buckets[i]; k; k = k->next)
            k->shown = 0;
    pthread_mutex_unlock(&l->lock);
}

struct wanted {
    uint64_t round;
    bool waiting; /* only those whose text is not shown */
};

static bool
is_wanted(struct link *k, const void *arg)
{
    const struct wanted *w = arg;

    if (k->carried || k->round == w->round || (w->waiting && (!k->ours[0] || k->shown == k->gen)))
        return false;
    k->round = w->round;
    return true;
}

static bool
next(struct links *l, struct wanted w, struct links_job *job)
{
    const struct link *k;

    pthread_mutex_lock(&l->lock);
    k = search(l, is_wanted, &w);
    if (k)
        job_of(k, job);
    pthread_mutex_unlock(&l->lock);
    return k != NULL;
}

bool
links_waiting(struct links *l, uint64_t round, struct links_job *job)
{
    return next(l, (struct wanted){round, true}, job);
}

bool
links_port_next(struct links *l, uint64_t round, struct links_job *job)
{
    return next(l, (struct wanted){round, false}, job);
}

bool
links_port_at(struct links *l, size_t at, struct links_job *job)
{
    const struct link *found = NULL;

    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < BUCKETS && !found; i++)
        for (const struct link *k = l->buckets[i]; k && !found; k = k->next)
            if (!k->carried && at-- == 0)
                found = k;
    if (found)
        job_of(found, job);
    pthread_mutex_unlock(&l->lock);
    return found != NULL;
}

/* ---- what is heard ---- */

void
links_heard(struct links *l, enum ctl_how how, const struct rk_neighbour *seen, int64_t now_ms)
{
    const struct link *k;

    pthread_mutex_lock(&l->lock);
    k = search(l, on_port, seen->iface);
    if (k && how == CTL_GONE)
        neigh_gone(k->neighbours, seen, now_ms);
    else if (k)
        neigh_heard(k->neighbours, seen, now_ms);
    pthread_mutex_unlock(&l->lock);
}

void
links_begin(struct links *l, const char *name)
{
    const struct link *k;

    pthread_mutex_lock(&l->lock);
    k = *place(l, name);
    if (k)
        neigh_begin(k->neighbours);
    pthread_mutex_unlock(&l->lock);
}

void
links_end(struct links *l, const char *name, int64_t now_ms)
{
    const struct link *k;

    pthread_mutex_lock(&l->lock);
    k = *place(l, name);
    if (k)
        neigh_end(k->neighbours, now_ms);
    pthread_mutex_unlock(&l->lock);
}

size_t
links_news(struct links *l, int64_t now_ms, struct rk_post *posts, size_t max, int64_t *wait_ms)
{
    size_t n = 0;

    *wait_ms = -1;
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < BUCKETS; i++)
        for (const struct link *k = l->buckets[(l->turn + i) % BUCKETS]; k; k = k->next) {
            int64_t wait;

            if (k->carried)
                continue;
            n += neigh_news(k->neighbours, now_ms, posts + n, max - n);
            wait = neigh_wait_ms(k->neighbours, now_ms);
            if (wait >= 0 && (*wait_ms < 0 || wait < *wait_ms))
                *wait_ms = wait;
        }
    l->turn = (l->turn + 1) % BUCKETS;
    pthread_mutex_unlock(&l->lock);
    return n;
}

int
links_decode(struct links *l, const char *name, struct links_seen all, int64_t now_ms, struct rk_post *posts,
             size_t max, size_t *n)
{
    const struct link *k;

    *n = 0;
    pthread_mutex_lock(&l->lock);
    k = *place(l, name);
    if (k) {
        neigh_begin(k->neighbours);
        for (size_t i = 0; i < all.n; i++)
            neigh_heard(k->neighbours, &all.seen[i], now_ms);
        neigh_end(k->neighbours, now_ms);
        *n = neigh_news(k->neighbours, now_ms, posts, max);
    }
    pthread_mutex_unlock(&l->lock);
    return k ? RK_OK : RK_E_CONFIG;
}

bool
links_rules(struct links *l, const char *name, struct neigh_rules *rules)
{
    const struct link *k;

    pthread_mutex_lock(&l->lock);
    k = *place(l, name);
    if (k && !k->carried)
        *rules = (struct neigh_rules){k->name, k->where, k->chassis, k->peer_port, l->format.format, l->format.member};
    pthread_mutex_unlock(&l->lock);
    return k && !k->carried;
}
