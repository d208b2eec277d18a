/* shim.h - what the files of this plugin share: listeners, and the routers that ask there
 *
 * hub.c     a listener, its thread and its certificates; instances with the same options share one
 * serve.c   what scripts send there, and what they are answered: in that thread
 * relay.c   requests of plugins/common/junos over the script (struct jn_line);  edit.c  those of an edit
 * wait.c    how calls wait for a script
 * work.c    a piece of work as JSON, in memory that is locked and wiped
 * body.c    reads JSON of scripts
 * options.c, junos-event.c   are what their names say
 *
 * Everything of a router that both sides look at is under the lock of its hub.
 */
#ifndef JE_SHIM_H
#define JE_SHIM_H

#include "body.h"

#include "../../common/https/https.h"
#include "../../common/junos/junos.h"

#include <pthread.h>

#define JE_ASKED_MAX 16    /* questions of a router that are remembered, to be asked together */
#define JE_FRESH_MS 2000   /* facts that are older by the begin of a call are asked for again */
#define JE_EDIT_MS 3000    /* least time that an edit is given out with */
#define JE_AWAY_TICKS 3    /* ticks without a word of a router, for it to be away */
#define JE_WAITING_MAX 24  /* looks that wait for a router to ask: a host has few threads */
#define JE_BUCKETS 1024    /* of routers by name; a power of 2 */
#define JE_WORDS_MS 10000  /* between two lines of the log on what was refused */

struct event;
struct event_base;

/* Text in memory that is locked, left out of core files, and wiped.  room 0: what is put is only counted. */
struct je_text {
    char *bytes;
    size_t len, room;
};

/* ---- facts ---- */

/* The last reply to a request; owned, wiped when it goes. */
struct je_fact {
    char *rpc, *reply;
    size_t len;
    int64_t at_ms, at_unix_ms; /* when it came: monotonic, Unix time */
    unsigned epoch;            /* of the router then: it is of after the last edit when it is the router's now */
    bool used;                 /* in the call that runs */
};
struct je_asked {
    char *rpc; /* NULL: unused */
    int64_t used_ms;
};

/* ---- work ---- */

enum je_state {
    JE_WAITS = 0, /* it can be withdrawn, and then it was certainly not done */
    JE_GIVEN,     /* the script has it, or it is on its way there */
    JE_REPORTED,  /* see report */
    JE_LOST       /* the script asked again without a report */
};
struct je_work {
    char id[JE_ID_LEN + 1];
    bool edit, check_only, exclusive;
    struct je_text load;     /* of an edit: its member "load"; owned */
    char log[104];           /* of an edit */
    const char *need;        /* of a look: the request that it is for; borrowed */
    int64_t deadline_ms;     /* nothing is waited for beyond it, monotonic */
    enum je_state state;
    char run[JE_ID_LEN + 1]; /* that it was given to */
    bool beside;             /* JE_LOST, and another run asked: the one that has it may still be at work, on another
                              * routing engine */
    struct je_body report;   /* owned; its facts were taken */
};

/* ---- routers ---- */

struct je_hub;

/* One instance: one router.  Its first member is what the operations that all plugins for Junos share know of it. */
struct je_router {
    struct jn_device d;
    char *router;            /* the name in its certificate */
    int64_t tick_ms;
    struct je_hub *hub;
    int wake_fd;             /* of the call that waits */
    struct je_text load;     /* of the edit that is open: its member "load"; of the call */
    bool edit_open, edit_exclusive;
    int64_t began_ms;        /* the call that runs, monotonic */
    int64_t known_ms;        /* when model and release were asked for */
    bool reading;            /* it is an observe: facts of this tick do when nothing newer comes */
    int64_t told_ms;         /* when the last observe ended, monotonic */

    /* what follows is under hub->lock */
    struct je_router *next;     /* in its bucket */
    struct je_router *next_due; /* there is work to give out */
    bool due, leaving;
    struct rkp_conn *poll;      /* an ask that waits for its answer; the loop's */
    int64_t poll_until_ms;
    int64_t since_ms;           /* of this instance */
    int64_t heard_ms;           /* of the last ask or report, monotonic; 0 never */
    char run[JE_ID_LEN + 1], shim[33];
    int64_t n;                  /* of the last request in the run */
    int64_t cert_ends_s;        /* of the certificate that it showed last */
    bool cert_new;              /* that is not told yet */
    bool tick_told;             /* that its tick is another one than the option's */
    bool calling;               /* a call runs */
    unsigned epoch;             /* grows with each edit that is given out, and each that is reported */
    int64_t edited_ms;          /* when it grew last, monotonic; 0 never */
    struct je_fact fact[JE_FACTS_MAX];
    size_t n_facts;
    struct je_asked asked[JE_ASKED_MAX];
    struct je_work *work;       /* of the call that runs */
    unsigned refused;           /* requests, since the last line of the log */
    int64_t words_ms;           /* that line */
};

/* A listener.  It lives as long as an instance that has it. */
struct je_hub {
    struct je_hub *next;
    unsigned refs;
    const struct rk_host *host;
    char *listen;
    struct rkp_certs certs;
    pthread_mutex_t lock;
    pthread_cond_t left;        /* a router that is leaving has no connection any more */
    pthread_t thread;
    bool running;
    int wake_fd;

    /* under lock */
    struct je_router *router[JE_BUCKETS];
    size_t n_routers;
    struct je_router *due;
    struct je_router *teller;   /* who tells when our certificate ends */
    char listen_error[160];     /* why it does not listen; "" it does */
    bool ending, renewed, ends_new;
    unsigned waiting;           /* calls that wait for a router which does not ask just now */
    unsigned strangers;         /* connections that were refused, since the last line of the log */
    int64_t words_ms;

    /* what follows is the loop's */
    struct event_base *base;
    struct event *wake, *tick;
    struct rkp_trust *trust;
    struct rkp_https *server;
};

/* ---- hub.c ---- */

/* je_hub_join - the listener of these options, made when there is none, and the router is known there
 * ret:   RK_OK, or a code stated by fail: RK_E_CONFIG, what certificates are refused for ...   thread: init
 * je_hub_leave - it is not known there any more; the last one ends the listener.   thread: fini */
int je_hub_join(struct je_router *r, struct rk_call *call, const struct rk_conf *conf);
void je_hub_leave(struct je_router *r);
/* je_hub_wake - from any thread: look what is due.   je_hub_look - have certificates changed, when do they end? */
void je_hub_wake(struct je_hub *h);
void je_hub_look(struct je_router *r, struct rk_call *call);
/* je_hub_refused - count what was refused, and say so now and then; r NULL: of nobody that is known.   With the lock */
void je_hub_refused(struct je_hub *h, struct je_router *r, const char *who, const char *why);

/* ---- serve.c ---- */

/* je_serve - of the server: a whole request.   je_gone - a connection ends before its answer */
extern const char *const je_paths[];
void je_serve(void *hub, struct rkp_conn *c, const struct rkp_head *head, char *body);
void je_gone(void *hub, struct rkp_conn *c);
/* je_give - give out what is due, and answer asks whose time is over.   With the lock */
void je_give_due(struct je_hub *h);
void je_end_polls(struct je_hub *h, int64_t now_ms);
/* je_fact_of - the reply to this request, NULL: none.   je_facts_drop - all.   With the lock */
struct je_fact *je_fact_of(struct je_router *r, const char *rpc);
void je_facts_drop(struct je_router *r);
/* je_fresh - may it be used by the call that runs?   With the lock */
bool je_fresh(const struct je_router *r, const struct je_fact *f, int64_t now_ms);

/* ---- wait.c ---- in calls, as the next two */

/* je_begin - a call begins; reading: it changes nothing.   je_end - it is over */
void je_begin(struct je_router *r, struct rk_call *call, bool reading);
void je_end(struct je_router *r);
/* je_left_until - until when may be waited in this call, at most so long (0: no bound), monotonic [ms]
 * je_work_new - with a number of its own.   ret: NULL: no memory, or no random number */
int64_t je_left_until(struct je_router *r, const struct rk_call *call, int64_t most_ms);
struct je_work *je_work_new(struct je_router *r, int64_t deadline_ms);
/* je_carry_out - let the script do it; until it is reported or lost, or the time is over
 * own: *work is taken, and given back.   ret: RK_OK: see its state; RK_E_CANCELED: the same, and the call is to end */
int je_carry_out(struct je_router *r, struct rk_call *call, struct je_work **work);
/* je_check_heard - ret: RK_OK; RK_E_UNREACHABLE: it was not heard for some ticks; RK_E_IO: it cannot be heard */
int je_check_heard(struct je_router *r, struct rk_call *call);

/* ---- relay.c, edit.c ---- */

extern const struct jn_line je_relay;
/* je_edit_rpc - a request that belongs to an edit.   ret: RK_E_NOENT: it does not; else as rpc_here of struct jn_line
 * je_edit_end - forget the edit that is open, wiped */
int je_edit_rpc(struct je_router *r, struct rk_call *call, const struct nc_request *q, struct nc_reply **reply);
void je_edit_end(struct je_router *r);

/* ---- work.c ---- */

/* je_load_make - the member "load" of an edit, of a request <load-configuration>
 * out:   *out, owned (je_text_free).   ret: RK_OK, RK_E_NOMEM, RK_E_CONTRACT (a part is no text, or none of it) */
int je_load_make(const struct rk_host *host, const struct nc_request *request, struct je_text *out);
/* je_work_answer - the answer that gives out this work, with the requests that are to be read behind it
 * out:   *out, owned (je_text_free).   ret: RK_OK, RK_E_NOMEM */
int je_work_answer(const struct je_router *r, const struct je_work *w, int64_t now_ms, struct je_text *out);
void je_text_free(struct je_text *t);
void je_work_free(struct je_work **w);

/* ---- options.c ---- */

extern const struct rk_opt je_opts[];
/* je_options_read - read the options of an instance but those of its listener.   ret: RK_OK, or a code stated by fail
 * je_options_free - free what was read */
int je_options_read(struct je_router *r, struct rk_call *call, const struct rk_conf *conf);
void je_options_free(struct je_router *r);

#endif
