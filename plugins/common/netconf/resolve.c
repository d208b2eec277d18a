/* resolve.c - addresses of a host, within the budget and not beyond a cancel.
 *
 * An address needs no looking up.  getaddrinfo() of a name cannot be interrupted and may take half a minute, so it runs
 * on a thread of its own, which is left alone when the call ends; whoever comes last frees what both share.  Nowhere
 * else is a thread started; how many there are is bounded.
 */
#include "session.h"

#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LOOKUPS_MAX 32           /* at once, the abandoned ones with them */
#define STACK_BYTES (256 * 1024) /* glibc's resolver and NSS modules want some */

struct lookup {
    bool done, abandoned; /* by the thread; by the caller */
    int done_fd;          /* eventfd */
    int rc;               /* of getaddrinfo; read when done */
    struct addrinfo *list;
    char host[256], port[8];
};

/* Guards how many there are, and of each done and abandoned: whoever comes second frees it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int lookups;

static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};

static void
end(struct lookup *l)
{
    if (l->list)
        freeaddrinfo(l->list);
    close(l->done_fd);
    free(l);
}

static void *
look_up(void *arg)
{
    struct lookup *l = arg;
    uint64_t one = 1;

    l->rc = getaddrinfo(l->host, l->port, &hints, &l->list);
    pthread_mutex_lock(&lock);
    l->done = true;
    lookups--;
    if (l->abandoned)
        end(l);
    else
        (void)!write(l->done_fd, &one, sizeof one); /* cannot fail: the counter is 0 */
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void
leave(struct lookup *l)
{
    pthread_mutex_lock(&lock);
    l->abandoned = true;
    if (l->done)
        end(l);
    pthread_mutex_unlock(&lock);
}

/* ret: 0 or errno */
static int
start_thread(struct lookup *l)
{
    pthread_attr_t attr;
    sigset_t all, old;
    pthread_t thread;
    int e = pthread_attr_init(&attr);

    if (e)
        return e;
    sigfillset(&all);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    e = pthread_create(&thread, &attr, look_up, l);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return e;
}

static struct lookup *
start(const char *host, const char *port)
{
    struct lookup *l = calloc(1, sizeof *l);

    if (!l)
        return NULL;
    snprintf(l->host, sizeof l->host, "%s", host);
    snprintf(l->port, sizeof l->port, "%s", port);
    l->done_fd = eventfd(0, EFD_CLOEXEC);
    if (l->done_fd >= 0 && start_thread(l) == 0)
        return l;
    if (l->done_fd >= 0)
        close(l->done_fd);
    free(l);
    return NULL;
}

/* One more or less that is under way.  ret: false: there are too many */
static bool
count(int change)
{
    bool fine;

    pthread_mutex_lock(&lock);
    fine = lookups + change <= LOOKUPS_MAX;
    lookups += fine ? change : 0;
    pthread_mutex_unlock(&lock);
    return fine;
}

static int
failed(struct nc_session *s, const char *host, int rc)
{
    return s->host->fail(s->call, rc == EAI_MEMORY ? RK_E_NOMEM : RK_E_UNREACHABLE,
                         "%s: no address is known for '%.100s': %s", s->where, host, gai_strerror(rc));
}

static int
resolve_name(struct nc_session *s, const char *host, const char *port, struct addrinfo **list)
{
    struct lookup *l;
    int err;

    if (!count(1))
        return s->host->fail(s->call, RK_E_BUSY,
                             "%s: %d names are being looked up already; the name server does not answer, give the "
                             "router's address instead",
                             s->where, LOOKUPS_MAX);
    l = start(host, port);
    if (!l) {
        (void)count(-1);
        return s->host->fail(s->call, RK_E_NOMEM, "%s: cannot look up its name: out of threads", s->where);
    }
    s->doing = "looking up its name";
    err = nc_wait(s, l->done_fd, POLLIN);
    if (err) {
        nc_gave_up(s, err);
    } else if (l->rc) {
        err = failed(s, host, l->rc);
    } else {
        *list = l->list;
        l->list = NULL;
    }
    leave(l);
    return err;
}

int
nc_resolve(struct nc_session *s, const struct nc_target *t, struct addrinfo **list)
{
    struct addrinfo numeric = hints;
    char port[8];
    int rc, err;

    *list = NULL;
    snprintf(port, sizeof port, "%u", t->port);
    numeric.ai_flags |= AI_NUMERICHOST;
    rc = getaddrinfo(t->host, port, &numeric, list);
    if (rc == 0)
        return RK_OK;
    if (rc != EAI_NONAME)
        return failed(s, t->host, rc);
    err = resolve_name(s, t->host, port, list);
    s->doing = "connecting";
    return err;
}
