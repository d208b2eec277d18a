/* event_rig.h - instances of junos-event for its tests, and scripts of routers that talk to them over real TLS
 *
 * A client says what a test tells it to.  A box is a client with a router behind it, run by a thread: it has a
 * configuration (junos_fake.h: router.committed), does what is given to it, and ends as the test wants.
 */
#ifndef EVENT_RIG_H
#define EVENT_RIG_H

#include "plugins/device/junos-event/shim.h"

#include "junos_fake.h"
#include "scratch.h"

#define RIG_CALL_MS 8000

extern struct scratch rig_dir;
extern const struct rk_plugin junos_event_LTX_rk_plugin;

/* rig_begin - a folder with the certificates of the listener, and a free port;  rig_end */
int rig_begin(void **state);
int rig_end(void **state);

/* rig_init - an instance, options behind name: name, value ... NULL.   ret: of init
 * rig_device - the same, which must work.   rig_fini */
int rig_init(struct rk_call *call, const char *name, const char *const *options, struct je_router **out);
struct je_router *rig_device(const char *name);
void rig_fini(struct je_router *r);

/* ---- a script that says what it is told ---- */

struct client {
    char name[64];  /* in its certificate */
    void *ctx, *ssl;
    int fd;
    char run[JE_ID_LEN + 1];
    int n, age_ms;  /* age_ms: of its facts */
};
enum signer { BY_CA = 0, BY_ROGUE };

/* client_make - its certificate, of one name or (other not NULL) of two.   client_end
 * client_connect - ret: is it heard?   client_close - the connection */
void client_make(struct client *c, const char *name, const char *other, enum signer by);
void client_end(struct client *c);
bool client_connect(struct client *c);
void client_close(struct client *c);
/* client_send - a request;  client_send_head - with a head of the test's own
 * client_take - its answer.   ret: its code, 0: the connection is over;  *body  JSON, the caller's, NULL: none */
void client_send(struct client *c, const char *path, const char *body);
void client_send_raw(struct client *c, const char *bytes, size_t len);
int client_take(struct client *c, json_t **body);
int client_post(struct client *c, const char *path, const char *body, json_t **answer);
/* client_ask - one ask.   ret: its code;  client_ask_begin - the same, its answer is taken later
 * client_report - an outcome with one step.   ret: its code */
void client_ask_begin(struct client *c, int wait_ms, json_t *facts);
int client_ask(struct client *c, int wait_ms, json_t *facts, json_t **answer);
int client_report(struct client *c, const char *id, const char *outcome, json_t *steps, json_t *facts);
/* client_fact, client_step - one of a list; the list is taken by what sends it */
void client_fact(json_t *facts, const char *rpc, const char *reply);
void client_step(json_t *steps, const char *step, const char *reply);

/* ---- a box ---- */

/* How the next edit ends. */
enum box_end {
    BOX_DONE = 0,
    BOX_LOCKED,      /* somebody else has the lock */
    BOX_REFUSED,     /* a load is refused, naming box.refused */
    BOX_SILENT,      /* it is committed, and the script hears nothing */
    BOX_KILLED,      /* the script gives it up before it commits, and asks again */
    BOX_BESIDE,      /* another run asks some times, before the one that has it commits */
    BOX_KILLED_LATE, /* behind its commit */
    BOX_MUTE,        /* it reports nothing, and asks no more */
    BOX_NOT_BEGUN,
    BOX_LIES_DONE,   /* it reports a commit of which the router said an error */
    BOX_LIES_REFUSED /* it reports a refusal of which the router said success */
};
struct box {
    struct client client;
    pthread_t thread;
    pthread_mutex_t lock; /* of all that follows, and of router.committed */
    enum box_end end;
    const char *refused;  /* a load with this text in it is refused */
    unsigned edits, looks, commits, checks, asks;
    int wait_ms;
    const char *mka;      /* what MKA shows; NULL: nothing */
    char mode[16];        /* of the last edit */
    json_t *late;         /* BOX_BESIDE: the edit; NULL: none, or it is done */
    bool stop, dry;       /* dry: it has no facts of its own with an ask */
};

/* box_start - a box of this name with this <configuration>;  box_stop */
void box_start(struct box *b, const char *name, const char *conf);
void box_stop(struct box *b);
/* box_facts - replies to these requests, as the box has them */
json_t *box_facts(struct box *b, json_t *rpcs);

/* rig_stage - one operation STAGE.   ret: of the call, else of the operation;  rig_text - its text */
int rig_stage(struct je_router *r, const char *iface, const char *key_id, const char *terms, int budget_ms);
const char *rig_text(void);

#endif
