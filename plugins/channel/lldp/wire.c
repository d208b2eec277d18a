/* wire.c - see wire.h
 *
 * What a port shows is lost when lldpd is restarted, and so is a subscription.  The watch sees its connection end,
 * connects again, shows the newest texts again, and reads all neighbours.
 */
#include "wire.h"

#include "../../common/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAUSE_MIN_MS 250   /* between attempts to connect */
#define PAUSE_MAX_MS 5000
#define AGAIN_MS 1000      /* between attempts to show a text on a port that lldpd does not have yet, and between frames
                            * that are sent again */

struct wire {
    const struct rk_host *host;
    struct links *links;
    struct wire_conf conf;
    struct ctl *shows;       /* of publish */
    struct ctl *news, *asks; /* of watch: changes come on one, the other is for questions */
    bool lost;               /* lldpd was there before */
    int64_t pause_ms, connect_ms; /* connect_ms: not before */
    int64_t read_ms, show_ms;     /* when all neighbours are read, and texts shown, next */
    int64_t send_ms;              /* frames are not sent again before, by publish ... */
    int64_t greet_ms;             /* ... and by watch */
    bool met;                     /* somebody has come who has not heard us yet */
    uint64_t round;
};

int64_t
wire_now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

struct wire *
wire_new(const struct rk_host *host, struct links *links, const struct wire_conf *conf)
{
    struct wire *w = calloc(1, sizeof *w);

    if (!w)
        return NULL;
    w->host = host;
    w->links = links;
    w->conf = *conf;
    ctl_quiet();
    return w;
}

void
wire_free(struct wire *w)
{
    if (!w)
        return;
    ctl_close(&w->shows);
    ctl_close(&w->news);
    ctl_close(&w->asks);
    free(w->conf.socket);
    free(w);
}

static int
open_one(struct wire *w, struct rk_call *call, struct ctl **c)
{
    if (*c && ctl_usable(*c))
        return RK_OK;
    ctl_close(c);
    return ctl_open(w->host, call, w->conf.socket, &w->conf.carry, c);
}

/* ---- showing ---- */

static int
show(struct wire *w, struct rk_call *call, struct ctl *c, struct links_job *job)
{
    int err;

    do {
        struct lldp_bytes ours = {job->ours, strlen(job->ours)};

        err = ctl_show(c, call, job->port, &ours, &job->own);
    } while (links_shown(w->links, job, !err));
    return err;
}

/* What was shown before is sent again, but no more than one frame a second. */
static int
send_again(struct wire *w, struct rk_call *call)
{
    int64_t now = wire_now_ms();

    if (!ctl_same(w->shows) || now < w->send_ms)
        return RK_OK;
    w->send_ms = now + AGAIN_MS;
    return ctl_send(w->shows, call);
}

/* A connection that was idle may be one to an lldpd that is gone: then a new one is tried, once. */
int
wire_show(struct wire *w, struct rk_call *call, struct links_job *job)
{
    int err = RK_E_UNREACHABLE;

    for (int i = 0; i < 2 && err == RK_E_UNREACHABLE; i++) {
        bool old = w->shows && ctl_usable(w->shows);

        err = open_one(w, call, &w->shows);
        if (err)
            break;
        err = show(w, call, w->shows, job);
        if (!err)
            err = send_again(w, call);
        if (!old)
            break;
    }
    return err;
}

/* ---- watching ---- */

static void
heard(void *arg, enum ctl_how how, const struct rk_neighbour *seen)
{
    struct wire *w = arg;

    w->met = w->met || how == CTL_NEW;
    links_heard(w->links, how, seen, wire_now_ms());
}

static void
hang_up(struct wire *w)
{
    ctl_close(&w->news);
    ctl_close(&w->asks);
}

static int
connect_now(struct wire *w, struct rk_call *call)
{
    int err = open_one(w, call, &w->asks);

    if (!err)
        err = open_one(w, call, &w->news);
    if (!err)
        err = ctl_watch(w->news, call, heard, w);
    if (err) {
        hang_up(w);
        w->pause_ms = w->pause_ms ? 2 * w->pause_ms : PAUSE_MIN_MS;
        w->pause_ms = w->pause_ms < PAUSE_MAX_MS ? w->pause_ms : PAUSE_MAX_MS;
        w->connect_ms = wire_now_ms() + w->pause_ms;
        return err;
    }
    if (w->lost)
        w->host->log(call, RK_LOG_NOTICE, "ev=lldpd res=back");
    w->lost = true;
    w->pause_ms = 0;
    w->read_ms = w->show_ms = wire_now_ms();
    links_stale(w->links);
    return RK_OK;
}

/* Be connected.  ret: RK_OK, or a code stated by fail() */
static int
be_connected(struct wire *w, struct rk_call *call)
{
    int64_t wait = w->connect_ms - wire_now_ms();
    int err;

    if (w->news && ctl_usable(w->news) && ctl_usable(w->asks))
        return RK_OK;
    hang_up(w);
    if (wait > 0) {
        err = rkp_pause(w->host, call, -1, wait);
        if (err < 0)
            return w->host->fail(call, err, "given up before lldpd was there again");
    }
    return connect_now(w, call);
}

/* Show what is not shown yet.  A port that lldpd does not have is tried again later; publish says that it is not
 * there. */
static int
show_waiting(struct wire *w, struct rk_call *call)
{
    struct links_job job;
    uint64_t round = ++w->round;

    while (links_waiting(w->links, round, &job)) {
        int err = show(w, call, w->asks, &job);

        if (err && !ctl_usable(w->asks))
            return err;
    }
    w->show_ms = wire_now_ms() + AGAIN_MS;
    return RK_OK;
}

static int
read_all(struct wire *w, struct rk_call *call)
{
    struct links_job job;
    uint64_t round = ++w->round;

    while (links_port_next(w->links, round, &job)) {
        int err;

        links_begin(w->links, job.link);
        err = ctl_read(w->asks, call, job.port, heard, w);
        if (err && !ctl_usable(w->asks))
            return err;
        links_end(w->links, job.link, wire_now_ms());
    }
    w->read_ms = wire_now_ms() + w->conf.refresh_ms;
    return RK_OK;
}

/* Who is new on the wire, as an lldpd that was restarted, would hear of us with the next frame, in up to 30 s. */
static int
greet(struct wire *w, struct rk_call *call)
{
    int64_t now = wire_now_ms();

    if (!w->met || now < w->greet_ms)
        return RK_OK;
    w->met = false;
    w->greet_ms = now + AGAIN_MS;
    return ctl_send(w->asks, call);
}

static int
tend(struct wire *w, struct rk_call *call)
{
    int err = be_connected(w, call);

    if (!err)
        err = greet(w, call);

    if (!err && wire_now_ms() >= w->show_ms)
        err = show_waiting(w, call);
    if (!err && wire_now_ms() >= w->read_ms)
        err = read_all(w, call);
    return err;
}

static int64_t
least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int
wire_watch(struct wire *w, struct rk_call *call, struct rk_post *posts, size_t max, size_t *n)
{
    int err;

    do {
        int64_t wait, now;

        err = tend(w, call);
        if (err)
            break;
        now = wire_now_ms();
        *n = links_news(w->links, now, posts, max, &wait);
        if (*n)
            break;
        wait = least(wait < 0 ? w->conf.refresh_ms : wait, least(w->read_ms, w->show_ms) - now);
        err = rkp_pause(w->host, call, ctl_fd(w->news), wait > 0 ? wait : 0);
        if (err == 1)
            err = ctl_pump(w->news, call);
        if (err == RK_E_UNREACHABLE)
            err = RK_OK; /* it is restarted, or it crashed: connecting says which */
    } while (err >= 0);
    if (err == RK_E_TIMEOUT && ctl_usable(w->news) && ctl_usable(w->asks))
        return RK_OK; /* no news */
    return err == RK_E_CANCELED ? w->host->fail(call, err, "watch was given up") : err;
}

int
wire_test(struct wire *w, struct rk_call *call)
{
    struct ctl *c;
    int err = ctl_open(w->host, call, w->conf.socket, &w->conf.carry, &c);

    if (err)
        return w->host->step(call, "lldpd", err, "%s", "");
    (void)w->host->step(call, "lldpd", RK_OK, "connected");
    err = wire_steps(w->host, call, w->links, c);
    ctl_close(&c);
    return err;
}
