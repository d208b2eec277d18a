/* macsec-lab.h - what the tests of macsec-plugin share: two ends of a link, keys, traffic, and the kernel's truth
 *
 * All of it fails the running cmocka test when something does not work.  One thread.
 */
#ifndef MACSEC_LAB_H
#define MACSEC_LAB_H

#include "tests/plugin/fakehost.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#define IFACE_A "macsec0@va"
#define IFACE_B "macsec0@vb"
#define DRAIN_MS 20 /* a frame needs well below a millisecond here */

extern const struct rk_plugin linux_macsec_LTX_rk_plugin;

/* One end of the link. */
struct side {
    const char *netns, *iface;
    int ns; /* descriptor of the namespace */
    void *inst;
    struct rk_conf conf;
    const char *pairs[9];
    char facts[RK_FACTS_MAX + 1];
    const struct rk_host *host; /* NULL: fake_host */
};

/* A key of the link, as both ends get it from a source. */
struct key {
    uint64_t seq;
    char id[RK_KEY_ID_MAX + 1];
    struct rk_secret *secret;
};

/* Traffic in both directions, from start to stop. */
struct traffic {
    pid_t pid;
    FILE *out;
};

extern struct side sides[2];
extern int home_ns;
extern const struct rk_device_ops *device; /* of the plugin */

/* set_up - the namespaces a and b, and a cable;  tear_down - after each test, also one that failed in its middle */
int set_up(void **state);
int tear_down(void **state);

/* sh - run a command that must succeed;  enter - be in this namespace from now on */
void sh(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void enter(int ns);
void pause_ms(long ms);
unsigned count(const char *text, const char *word);

struct key key_new(uint64_t seq);
void key_free(struct key *k);

/* side_start - make the instance of a side with these options: name, value, ..., NULL */
void side_start(struct side *s, const char *const *pairs);
void side_stop(struct side *s);
/* link_up - both ends with these options, interfaces made anew, addresses set */
void link_up(const char *const *pairs);
void link_down(void);

/* Calls of the plugin, in the side's namespace.  doing: one operation, its result;  both: at both ends, must work */
struct rk_dev_seen observe_iface(struct side *s, const char *iface, const char *peer_facts, const struct key *k);
struct rk_dev_seen observe(struct side *s, const struct key *k);
struct rk_dev_op op_of(struct side *s, uint32_t kind, const struct key *k);
int apply(struct side *s, struct rk_dev_op *ops, size_t n, int budget_ms);
int doing(struct side *s, uint32_t kind, const struct key *k);
void both(uint32_t kind, const struct key *k);

/* first_key - of a link that has none;  peers_use - wait until both ends were seen to receive on k, and drain
 * rotate - one good rotation, *old becomes *new */
struct key first_key(uint64_t seq);
void peers_use(const struct key *k);
void rotate(struct key *old, struct key *new);

/* frames - about n in each direction, whether they arrive or not
 * traffic_stop - how many were lost or came twice, of *sent */
void frames(unsigned n);
struct traffic traffic_start(void);
unsigned long traffic_stop(struct traffic *t, unsigned long *sent);

/* kernel_truth - what both ends hold and count, as JSON, by macsec-counters */
void kernel_truth(char *out, size_t size);

#endif
