/* local.c - the way into a box from itself: a socket of each, for what runs "on the router"
 *
 * Runs in the main thread; each connection then has a session's thread.  Sockets are for the user of the process only.
 */
#include "local.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct place {
    struct sim_box *box;
    struct sockaddr_un at;
    int fd; /* -1: not there */
};

struct local {
    int epoll;
    size_t n;
    struct place place[];
};

static int
wrong(char *why, const char *path)
{
    snprintf(why, SIM_WHY_MAX, "cannot listen at %.180s: %s", path, strerror(errno));
    return -1;
}

/* A socket that nobody listens at any more is in the way; anything else stays. */
static void
clear_way(const char *path)
{
    struct stat st;

    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(path);
}

static int
open_place(struct local *l, struct place *p, const char *dir, char *why)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = p}};
    int n = snprintf(p->at.sun_path, sizeof p->at.sun_path, "%s/%s", dir, p->box->name);

    p->at.sun_family = AF_UNIX;
    if (n < 0 || (size_t)n >= sizeof p->at.sun_path) {
        errno = ENAMETOOLONG;
        return wrong(why, dir);
    }
    clear_way(p->at.sun_path);
    p->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (p->fd < 0 || bind(p->fd, (struct sockaddr *)&p->at, sizeof p->at) < 0 ||
        chmod(p->at.sun_path, S_IRUSR | S_IWUSR) < 0 || listen(p->fd, 64) < 0 ||
        epoll_ctl(l->epoll, EPOLL_CTL_ADD, p->fd, &event) < 0)
        return wrong(why, p->at.sun_path);
    return 0;
}

int
local_open(const struct sim_lab *lab, const char *dir, struct local **out, char *why)
{
    struct local *l;
    int err = 0;

    *out = NULL;
    if (!dir)
        return 0;
    if (!(l = calloc(1, sizeof *l + lab->n * sizeof l->place[0])))
        return wrong(why, dir);
    l->n = lab->n;
    for (size_t i = 0; i < l->n; i++)
        l->place[i] = (struct place){.box = lab->boxes[i], .fd = -1};
    if ((l->epoll = epoll_create1(EPOLL_CLOEXEC)) < 0)
        err = wrong(why, dir);
    for (size_t i = 0; i < l->n && !err; i++)
        err = open_place(l, &l->place[i], dir, why);
    if (err)
        local_close(&l);
    *out = l;
    return err;
}

void
local_close(struct local **l)
{
    if (!*l)
        return;
    for (size_t i = 0; i < (*l)->n; i++)
        if ((*l)->place[i].fd >= 0) {
            clear_way((*l)->place[i].at.sun_path);
            close((*l)->place[i].fd);
        }
    if ((*l)->epoll >= 0)
        close((*l)->epoll);
    free(*l);
    *l = NULL;
}

int
local_fd(const struct local *l)
{
    return l ? l->epoll : -1;
}

int
local_accept(struct local *l, struct sim_box **box)
{
    struct epoll_event event;
    const struct place *p;

    if (!l || epoll_wait(l->epoll, &event, 1, 0) != 1)
        return -1;
    p = event.data.ptr;
    *box = p->box;
    return accept4(p->fd, NULL, NULL, SOCK_CLOEXEC);
}
