/* wire.h - publish and watch through lldpd, also when it is restarted meanwhile
 *
 * One publish and one watch at a time, beside each other; each has connections of its own.
 */
#ifndef LLDP_WIRE_H
#define LLDP_WIRE_H

#include "links.h"

struct wire;

struct wire_conf {
    char *socket; /* NULL: that of the library; owned by the wire */
    struct ctl_carry carry;
    int64_t refresh_ms; /* how often all neighbours are read */
};

/* wire_new - nothing is connected yet
 * in:    links  borrowed;  conf  copied, its socket taken.   ret: owned; NULL: no memory */
struct wire *wire_new(const struct rk_host *host, struct links *links, const struct wire_conf *conf);
void wire_free(struct wire *w);

/* wire_show - make a port show a text, and a newer one when there is one by then
 * ret:   RK_OK, or a code stated by fail(); watch goes on to try it.   thread: of publish */
int wire_show(struct wire *w, struct rk_call *call, struct links_job *job);

/* wire_watch - see watch in rk_channel_ops */
int wire_watch(struct wire *w, struct rk_call *call, struct rk_post *posts, size_t max, size_t *n);

/* wire_test - see test in rk_channel_ops */
int wire_test(struct wire *w, struct rk_call *call);

/* wire_steps - the steps beyond lldpd, on a connection of its own
 * ret:   RK_OK, or the code of the first step that failed */
int wire_steps(const struct rk_host *host, struct rk_call *call, struct links *links, struct ctl *c);

/* wire_now_ms - the clock of this plugin [ms] */
int64_t wire_now_ms(void);

#endif
