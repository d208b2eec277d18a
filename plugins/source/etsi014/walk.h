/* walk.h - what the parts of a test of a source share
 *
 * test.c         the whole way; certificates of both sides
 * walk_net.c     names and addresses
 * walk_status.c  the KME's status, with one peer
 */
#ifndef ETSI014_WALK_H
#define ETSI014_WALK_H

#include "etsi014.h"
#include "../../common/tls/steps.h"

struct walk { /* one test; what is behind t is of one URL, one after the other */
    struct etsi *e;
    struct rk_call *call;
    const struct rk_source_test *t;
    struct slot *slot;
    const char *base; /* the URL */
    struct rkp_probe probe;
    struct rkp_way way;
    char *host;     /* of the URL */
    char *near;     /* that is connected to: the same, or the proxy's */
    const char *of; /* "the KME" or "the proxy": whose addresses they are */
};

/* STEP - state a step of a walk;  ret: as struct rk_host.step */
#define STEP(w, ...) ((w)->e->host->step((w)->call, __VA_ARGS__))

/* walk_ask - ask w->base for status on the test's own connection;  path  behind the URL.   ret, out: as http_try */
int walk_ask(struct walk *w, const char *path, long *http);

/* walk_dns - which addresses it is
 * walk_status - what the KME says of the peer
 * ret: RK_OK, or the code of a step that failed;  a step is stated for each thing that was seen
 * blocks: within the budget */
int walk_dns(struct walk *w);
int walk_status(struct walk *w);

#endif
