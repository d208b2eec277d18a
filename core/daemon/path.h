/* path.h - the ways that an end's records go: one for each channel of its link
 *
 * A record goes out on all of them, and the newest valid one of any counts.  There are as many as links, so what is
 * rarely there is apart.  Private to core/daemon; all of it runs in the loop.
 */
#ifndef RK_PATH_H
#define RK_PATH_H

#include "daemon.h"

/* Why nothing can be sent on it; there until it can. */
struct path_trouble {
    struct wake wake; /* the next try */
    struct path *path;
    int err;
    bool attach;      /* the channel does not take the link at all */
    unsigned tries;
    int64_t since_ns;
    char why[RK_WHY_MAX];
};

/* Something was wrong with the neighbour itself. */
struct path_neighbour {
    int64_t at_ns;
    char why[RK_WHY_MAX];
};

struct path {
    struct end *end;       /* NULL: it is gone, and freed when nothing refers to it any more */
    struct inst *channel;
    struct path *next;     /* of its end */
    struct path *next_post;
    struct refusals *refused; /* NULL: none */
    struct path_trouble *trouble; /* NULL: none */
    struct path_neighbour *neighbour; /* NULL: nothing was ever wrong */
    int64_t since_ns;      /* it is there since then */
    int64_t heard_ns;      /* a record came that was not older than what the peer had said; 0: none yet ... */
    int64_t late_ns;       /* ... and one that was */
    int64_t clock_ms;      /* of the peer, in the last valid one; 0: it had none */
    uint64_t seq;          /* its rotation, and what it said */
    uint32_t say;
    unsigned busy;         /* calls under way that name it */
    bool post_due;
    bool attaching, attached, again; /* its channel is told of the link, knows it, must be told again */
};

/* path_follow - end->paths as conf has its channels, insts by their index: those that stay are not disturbed, others go
 *               or are made; end->channel is the first
 *               ret: RK_OK; RK_E_NOMEM: as many as there was memory for
 * path_begin - have the channels know the link, where they do not;  changed: they were told something else before
 * path_drop_all - the end goes.   path_release - free a path that is gone, when nothing refers to it
 * path_of - the path of end through this instance; NULL: none */
int path_follow(struct end *end, const struct rk_link_conf *conf, struct inst *const *insts);
void path_begin(struct end *end, bool changed);
void path_drop_all(struct end *end);
void path_release(struct path *path);
struct path *path_of(const struct end *end, const struct inst *inst);

/* path_failed - nothing could be sent: it is tried again after a pause, longer each time.   path_works - it could
 * path_heard - a valid record came on it;  late: it is older than what the peer has said since.  The very same once
 *              more is no sign that the way works
 * path_conflict - its channel says that something is wrong with the neighbour */
void path_failed(struct path *path, bool attach, int err, const char *why);
void path_works(struct path *path);
void path_heard(struct path *path, const struct rk_record *record, bool late);
void path_conflict(struct path *path, const char *why);

/* path_alarms - RK_ALARM_PATH, RK_ALARM_NEIGHBOUR as of now_ns
 * path_why - the first that the alarm is about, and in why[RK_WHY_MAX] the reason; NULL: none
 * path_stale - has nothing valid come on it for three verify periods, or only what is old, while others were heard
 * path_neighbour_now - was something wrong with its neighbour just now
 * path_refused - of all paths of the end, the last reason.   out: *all
 * path_explain - a sentence or two about its paths, when there are several or one has troubles, behind text[size] */
uint32_t path_alarms(const struct end *end, int64_t now_ns);
const struct path *path_why(const struct end *end, uint32_t alarm, int64_t now_ns, char *why);
bool path_stale(const struct path *path, int64_t now_ns);
bool path_neighbour_now(const struct path *path, int64_t now_ns);
void path_refused(const struct end *end, struct refusals *all);
void path_explain(const struct end *end, int64_t now_ns, char *text, size_t size);

/* ---- chan.c ---- */

/* chan_post - what the end last said is to be sent on this path, and the link made known there before
 * chan_detach - the channel forgets the link
 * chan_heard - one item of what a channel heard: a record of a bound link whose tag is right, or why it was refused */
void chan_post(struct path *path);
void chan_detach(struct path *path);
void chan_heard(struct inst *inst, struct rk_item *item);

#endif
