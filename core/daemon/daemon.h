/* daemon.h - what the files of rekeyd share; private to core/daemon
 *
 * One process, one thread, one libevent loop.  It decides and dispatches: vendor code runs in hosts (sup.c), what must
 * not be forgotten is in the journal (store.c), one struct end drives one end of a link (end_run.c) through the pure
 * model in core/model.  It never maps a key: keys pass as descriptors of sealed memfds.
 */
#ifndef RK_DAEMON_H
#define RK_DAEMON_H

#include "../base/clock.h"
#include "../base/expiry.h"
#include "../base/limits.h"
#include "../base/quiet.h"
#include "../conf/conf.h"
#include "../ipc/msg.h"
#include "../model/end.h"
#include "../sched/bucket.h"
#include "../sched/heap.h"
#include "blame.h"
#include "hearer.h"
#include "journal.h"

#include <stdbool.h>
#include <sys/types.h>

struct event;
struct event_base;
struct daemon;
struct inst;
struct call;
struct path;
struct source;
struct source_pair;
struct reading;
struct carry;
struct carried;

/* A thing that wants to be woken: first member of what the timer belongs to. */
struct wake {
    struct rk_timer timer;
    void (*fn)(struct daemon *d, struct wake *w);
};

/* ---- sup.c: hosts, one a module ---- */

enum host_state { HOST_STARTING, HOST_UP, HOST_BACKOFF, HOST_STOPPED };

struct frame_out { /* a frame that the socket had no room for */
    struct frame_out *next;
    size_t len, n_fds;
    int fds[RK_FRAME_FDS];
    unsigned char bytes[];
};

struct host {
    struct wake wake; /* hello deadline, or end of the pause before a restart */
    struct daemon *d;
    struct host *next;
    char plugin[RK_NAME_MAX + 1];
    enum host_state state;
    pid_t pid; /* 0: none */
    int sock;  /* -1: none */
    struct event *read_ev, *write_ev;
    struct frame_out *out, **out_end;
    struct rk_hello hello;
    bool has_hello;
    char error[RK_TEXT_MAX]; /* why it is not up; "" */
    char last_exit[80];
    struct call *calls; /* under way */
    unsigned restarts, failures;
    unsigned deaths; /* without a minute of life between them; blame.h */
    uint64_t n_calls;
    int64_t up_since_ns;
};

/* reply and its items: valid during the call; take fds by setting -1 */
typedef void call_done(void *arg, struct rk_reply *reply);
typedef void call_step(void *arg, const struct rk_step *step);
typedef void call_found(void *arg, const struct rk_found_msg *found);
typedef void call_heard(void *arg, const struct rk_heard_msg *heard);

struct call {
    struct wake wake; /* budget and grace are over: the host is killed */
    struct call *next;
    struct host *host;
    struct inst *inst;
    uint32_t number;
    uint32_t verb; /* 0: CONFIG */
    call_done *done;
    call_step *step;   /* SOURCE_TEST, PREPARE */
    call_found *found; /* DISCOVER */
    call_heard *heard; /* NEIGHBOURS */
    void *arg;
};

/* sup_host - the host of a plugin, made but not started when it is new; NULL: no memory
 * sup_start - start its process.  ret: RK_OK, and a hello follows within 10 s; else a code, and h->error says why
 * sup_again - start one that was stopped, soon
 * sup_wait_hello - wait for the hello outside of the loop; blocks.  ret: RK_OK or RK_E_CONFIG (h->error) */
struct host *sup_host(struct daemon *d, const char *plugin);
int sup_start(struct host *h);
void sup_again(struct host *h);
int sup_wait_hello(struct host *h, int64_t deadline_ns);
/* sup_call - begin a call.  in: m without number and inst; the items' descriptors are taken on RK_OK (set to -1)
 *            ret: RK_OK, and done() comes exactly once: with the reply, or with RK_E_UNKNOWN when the host or the
 *            instance goes; RK_E_UNREACHABLE, RK_E_NOMEM, RK_E_CONTRACT: it does not come.   done may be NULL
 * sup_steps - have the steps of the call that was begun last told to step(), with its arg;  sup_found - its links;
 *             sup_heard - its neighbours
 * sup_cancel - have the host give up the call of this number: it is answered soon
 * sup_config - the same for the making of the instance; done gets the instance
 * sup_drop - end the instance in its host: its calls are canceled there, and still answered
 * sup_log_level - what is logged from now on, here and by all hosts
 * sup_forget - answer its calls under way with RK_E_UNKNOWN now, whatever the host does */
int sup_call(struct inst *inst, struct rk_call_msg *m, call_done *done, void *arg);
void sup_steps(struct inst *inst, call_step *step);
void sup_found(struct inst *inst, call_found *found);
void sup_heard(struct inst *inst, call_heard *heard);
void sup_cancel(struct inst *inst, uint32_t number);
int sup_config(struct inst *inst, call_done *done);
void sup_drop(struct inst *inst);
void sup_log_level(struct daemon *d, int level);
void sup_forget(struct inst *inst);
/* sup_reaped - a child has ended.   sup_in_flight - calls under way
 * sup_stop, sup_stop_all - end one host, or all, for good.   blocks: at most STOP_MS, then they are killed */
void sup_reaped(struct daemon *d, pid_t pid, int status);
void sup_stop(struct host *h);
void sup_stop_all(struct daemon *d);
size_t sup_in_flight(const struct host *h);

/* ---- refused.c: records that are not believed ---- */

struct refusals { /* of a link, or a channel; since it was set up */
    uint64_t n;
    int64_t at_ns; /* the last one, and its reason */
    char why[RK_WHY_MAX];
    struct rk_quiet quiet;
};

/* refused_note - a record that came under this link's name is refused: count it, and tell it, but not too often
 * refused_tell_rest - tell of those that were left out, when it is time */
void refused_note(struct inst *inst, const char *link, const char *why);
void refused_tell_rest(struct inst *inst);

/* ---- bare.c: peers that are no rekeyd ---- */

struct end;

/* bare_unfold - when a channel brought a key ID alone: put the record that it stands for into the item, or why
 *               it counts for nothing;  any other item stays as it is.   end: of its link, NULL none
 * ret:  false: it is too early to say.   thread: loop.   src: core/model/bare.h */
bool bare_unfold(struct end *end, struct rk_item *item);

/* ---- inst.c: instances of plugins, and their queues ---- */

struct queue { /* ends whose action waits for this instance, in order */
    struct end *first, **last;
};

struct inst {
    struct wake wake; /* next try of init, or of watch */
    struct daemon *d;
    struct inst *next;
    struct rk_instance_conf *conf; /* copy of its own */
    struct host *host;
    uint32_t number; /* in its host */
    bool ready, configuring, gone;
    int err; /* why it is not ready */
    char error[RK_TEXT_MAX];
    unsigned failures;
    struct blame blame; /* for deaths of its host */
    struct queue queue; /* DEVICE: actions; SOURCE: key requests */
    size_t in_flight;   /* calls; one that is gone waits for them, and its successor for it */
    size_t holds;       /* inst_hold(): the same, of who does not take a turn */
    struct errand *errands; /* DEVICE: what waits for its turn; errand.h */
    struct carry *carry;    /* DEVICE, CHANNEL: records that devices carry; carry.h.  NULL: none */
    int tend_err;           /* DEVICE: of the last tend */
    struct rk_bucket bucket; /* SOURCE: how often a KME is asked */
    struct source *source;   /* SOURCE: what is known of it; source_pool.h */
    bool dirty;         /* in d->dirty */
    struct inst *next_dirty;
    bool publishing, watching; /* CHANNEL */
    struct refusals refused;   /* CHANNEL: all of its links, and of none; its lines are those of no link */
    int64_t tell_rest_ns;      /* CHANNEL: when to tell how many were left out; 0: none were */
    struct path *post_first, **post_last; /* CHANNEL: what waits to be published; path.h */
    int64_t ends_unix_s;       /* of its credentials the one that ends first; 0: none is known */
    char ends_what[RK_WHY_MAX];
    enum rk_expiry expiry;     /* as it was when it was looked at last */
    uint64_t wasted;           /* SOURCE: keys that came and could not be used, since it was set up */
};

/* inst_new - an instance with a copy of its options, in d->insts; NULL: no memory.   inst_find - by name; NULL
 * inst_start - make it in its host as soon as that is up, and again after each restart
 * inst_retire - out of the configuration: what waits for it is told; it is freed when no call of it is under way any
 *               more, and until then no other instance of its name begins.  No end may enqueue to it after
 * inst_host_up, inst_host_down - its host came or went
 * inst_enqueue - end->act is to be done; it is answered by end_answer() or end_failed()
 * inst_fetch_paid - the key that was fetched has become the one in use: that request does not count
 * inst_fail_tired - of those in the queue of a source that is not asked now, the ones that have waited for long enough
 *                   hear why
 * inst_mark - it may have work: inst_dispatch() at the end of this turn of the loop */
struct inst *inst_new(struct daemon *d, const struct rk_instance_conf *conf);
void inst_start(struct inst *inst);
void inst_host_up(struct host *h);
void inst_host_down(struct host *h);
void inst_enqueue(struct inst *inst, struct end *end);
void inst_fetch_paid(struct end *end);
void inst_mark(struct inst *inst);
void inst_dispatch(struct inst *inst);
void inst_retire(struct inst *inst);
/* inst_hold - it is not freed before inst_release(), even when it goes;  inst_retry - when it could not be made, try
 * again now */
void inst_hold(struct inst *inst);
void inst_release(struct inst *inst);
void inst_retry(struct inst *inst);
void inst_fail_tired(struct inst *inst);
struct inst *inst_find(struct daemon *d, const char *name);

/* ---- chan.c: records out and in ---- */

/* chan_publish - publish what the end says now; only the newest record of an end is kept
 * chan_dispatch - send what waits.   chan_ready - the channel was made: attach its links, watch, publish all again
 * chan_drop_posts - the channel goes: so does what waits for it
 * chan_local - hand records of local links to their other ends */
void chan_publish(struct end *end);
void chan_dispatch(struct inst *inst);
void chan_ready(struct inst *inst);
void chan_drop_posts(struct inst *inst);
void chan_local(struct daemon *d);

/* ---- end_run.c: one end of a link, at work ---- */

struct live { /* what an end is and does, while it is not at rest */
    enum rk_act act;     /* under way; RK_ACT_NONE; of which key and rotation: */
    char act_key[RK_KEY_ID_MAX + 1];
    uint64_t act_seq;
    int64_t rotation_since_ns;
    struct end *next_queue, *next_commit, *next_may_rest; /* in at most one list of each kind */
    bool may_rest;                 /* in d->may_rest */
    bool stirred;                  /* something has happened to it since it was looked whether it can rest */
    int put_err;                   /* of the journal entry in the open group */
    int64_t queued_ns;             /* when it came into the queue of its source */
    int64_t fetch_ns;              /* slave: how far its key requests are ahead of their rate; inst.c */
    struct rk_journal_place place; /* in the journal */
    struct reading *reading;       /* of the device, made with the last change of it; NULL */
    struct rk_end e; /* the last: it is long, and who looks through a queue wants what is before it */
};

struct rest; /* a struct live, packed */

/* There are 200,000 of these, so what is not always there is apart. */
struct end {
    struct wake wake; /* e.wake_ns, or sooner; at rest just then */
    struct daemon *d;
    struct end *next_inbox; /* as those of struct live; this one is also for an end at rest */
    struct end *next_wait, **at_wait; /* the latter: what points to this one, while it waits */
    struct end *other;      /* the second end of a local link; NULL */
    const struct rk_link_conf *conf; /* in d->conf; a copy of its own while it is gone and busy */
    struct inst *device, *source, *channel; /* channel: the first of its paths; NULL: local */
    struct path *paths;     /* one for each channel; path.h */
    struct ratchet *ratchet; /* what its records are signed by; NULL: the auth-key alone.  ratchet.h */
    struct mix *mix;        /* of several sources, of which `source` is the first; NULL */
    struct inst *fallback;  /* source for on-stale: fallback; NULL */
    struct source_pair *pair, *fallback_pair; /* its peer's keys at source and fallback; NULL */
    struct inst *asked;     /* source that was asked last; NULL: none yet */
    struct live *live;      /* NULL: at rest, and then it is in: */
    struct rest *rest;      /* NULL: it never was at rest */
    uint64_t slot;          /* links of the same one are due together; 0: by the link's name */
    char *act_terms;        /* STAGE, RETIRE of classes B to E; NULL: none */
    char which;             /* 'a'; 'b' for the second end of a local link */
    bool master;            /* in its role of now */
    bool busy;           /* a call for it is under way: it must outlive the answer */
    bool gone;           /* not in the configuration any more: freed when it is not busy */
    bool inbox_due;
    bool waits; /* in a list of its pair, for a source that gives no keys */
    bool started;
    int key_fd; /* sealed memfd of the candidate; -1 */
    char *record;            /* channels: what was published last; NULL: nothing */
    struct rk_record *inbox; /* local link: what the other end published, while inbox_due */
    struct carried *carried;  /* its device carries its records; carry.h.  NULL: it does not */
    unsigned carrying;        /* calls and lists for that which name it: it must outlive them */
    uint32_t shown_alarms;
    bool stays; /* in the configuration that is being applied */
};

/* fixed_check - refuse a link of class A whose source, of any kind, gives one fixed key, at its place; warn of others
 * fixed_refused - may this end not take the key that its source gave, for it is such a one, and the device turned out
 *   to be of class A, or has it already.   out: *why.   ret: RK_OK: it may; else the code to fail with */
void fixed_check(struct daemon *d, struct rk_conf_set *set, const struct rk_link_conf *link,
                 struct rk_conf_errors *errors);
int fixed_refused(const struct end *end, const char *key_id, const char **why);

/* end_new - an end as it remembers itself; device, source and channel are the caller's to set; NULL: no memory
 * end_conf - its link's configuration is there from now on.   end_find - 'a' or 'b' of a link; NULL
 * end_configure - have the model go by what the configuration, its pair and its slot are now
 * end_free - one that was never begun
 * end_start - begin by reading the device
 * end_retire - out of the configuration: freed by end_release() when no call, record or list refers to it any more
 * end_iface - its interface
 * end_peer_sae - the SAE that its keys are shared with: of the second end of a local link, this site's
 * end_phase_name - of an enum rk_phase, for people
 * end_event - something happened to it.   end_answer, end_failed - the outcome of end->act, exactly once */
struct end *end_new(struct daemon *d, const struct rk_link_conf *conf, const struct rk_durable *durable);
void end_conf(struct end *end, const struct rk_link_conf *conf);
void end_configure(struct end *end);
void end_free(struct end *end);
void end_start(struct end *end);
void end_retire(struct end *end);
const char *end_iface(const struct end *end);
const char *end_peer_sae(const struct end *end);
const char *end_phase_name(uint32_t phase);
void end_event(struct end *end, const struct rk_event *ev);
void end_answer(struct end *end, const struct rk_event *ev);
void end_failed(struct end *end, int err, const char *why);
void end_release(struct end *end);
struct end *end_find(struct daemon *d, const char *link, char which);

/* ---- rest.c: ends at rest, packed ---- */

/* live_new, live_free - a zeroed struct live; NULL: no memory.   rest_free - what a packed end takes; NULL is fine
 * end_rouse - have end->live, until it comes to rest by itself a moment after its last event, and is idle
 *             ret: false: no memory, and it stays at rest
 * end_see - its state to read, at rest or not: valid until another end is seen, or something happens to this one
 */
struct live *live_new(void);
void live_free(struct live *live);
void rest_free(struct rest *rest);
bool end_rouse(struct end *end);
const struct rk_end *end_see(const struct end *end);

/* end_alarms - all of this end, RK_ALARM_...: the model's, and those of its paths
 * end_show_alarms - tell of those that have come or gone */
uint32_t end_alarms(const struct end *end, int64_t now_ns);
void end_show_alarms(struct end *end, int64_t now_ns);

/* end_state - what people are shown of its state: "idle", "staged", ..., "held", "shut", "waiting-peer", "first-key"
 * alarm_remedy - what helps against an alarm, one clause.   alarm_place - the instance that an alarm is about; "" none
 * own: the state's and the remedy's text is static, the place's is the instance's */
const char *end_state(const struct end *end);
const char *alarm_remedy(uint32_t bit);
const char *alarm_place(const struct end *end, uint32_t bit);

/* ---- expiry.c: credentials that end ---- */

/* expiry_heard - an answer of the instance may state the end of a credential
 * expiry_look - compare all of them with the calendar in this turn of the loop, and then each hour
 * expiry_of - the instance of this end whose credential ends first, or has ended; NULL: none ends soon
 * expiry_remedy - what helps, with the date: into text[size], which is returned */
void expiry_heard(struct inst *inst, const struct rk_reply *reply);
void expiry_look(struct daemon *d);
const struct inst *expiry_of(const struct end *end);
const char *expiry_remedy(const struct end *end, char *text, size_t size);

/* ---- mix.c: one key of several sources ---- */

/* mix_setup - when its link has several sources: end->mix, of insts in the order of the configuration; and what the
 *             model must know.  ret: RK_OK, RK_E_NOMEM
 * mix_same - has the end those sources, as conf says.   mix_free - wipe and free end->mix; NULL is fine
 * mix_drop - the parts at hand are not wanted any more: wipe them, and count them as orphaned
 * mix_holds - are there parts at hand
 * mix_bind - which keys of its peer at each source, and by which of them the model goes;  mix_forget - by none any more
 * mix_pairs - those of its sources, one or several.   mix_pair - of the source that is asked for a part now; NULL: none
 * mix_begin - end->act is to be done with several sources; it is answered by end_answer() or end_failed()
 * mix_goes_on - is it a further question for the key that its peer named, which counts as one
 * mix_request - the item of the source that is asked now; false: it is for one source
 * mix_took_key, mix_took_failure - was the answer for a part: then it is dealt with */
void mix_bind(struct end *end, struct source_pair *(*bind)(struct inst *inst, const struct end *end));
size_t mix_pairs(const struct end *end, struct source_pair *pair[RK_PARTS_MAX]);
struct source_pair *mix_pair(const struct end *end);
void mix_forget(struct end *end);
int mix_setup(struct end *end, struct inst *const *insts);
bool mix_same(const struct end *end, const struct rk_link_conf *conf, struct inst *const *insts);
void mix_free(struct end *end);
void mix_drop(struct end *end);
bool mix_holds(const struct end *end);
void mix_begin(struct end *end);
bool mix_goes_on(const struct end *end);
bool mix_request(const struct end *end, struct rk_item *item);
bool mix_took_key(struct end *end, const char *key_id);
bool mix_took_failure(struct end *end, int err, const char *why);

/* mix_hint - what may be to blame when a source does not know the key that is asked; "" nothing.  own: static
 * mix_sources - the sources of the end, one or several
 * mix_used - those that have a part in a mixed key; 0: it is none
 * mix_missing - the first one that has no part in it; NULL: all have, or it is no mixed key
 * mix_note - a mixed key is staged: into the log and the history, with what it was made of */
const char *mix_hint(const struct end *end);
size_t mix_sources(const struct end *end, const struct inst *source[RK_PARTS_MAX]);
size_t mix_used(const struct end *end, const char *key_id, const struct inst *source[RK_PARTS_MAX]);
const struct inst *mix_missing(const struct end *end, const char *key_id);
void mix_note(struct end *end, const char *key_id, int64_t took_ms);

/* ---- store.c: the journal, one group a turn of the loop, or of some turns under load ---- */

/* store_put - e.d into the open group; the end hears DONE or FAILED after the commit
 * store_note - todo's event into the history, in the same group
 * store_event - another event of the end into it; the caller sets what it is: event, key_id, result, why, took_ms
 * store_due - is a group open that need not wait for others to come into it
 * store_flush - commit it, and tell the ends; a damaged journal is replaced.   blocks: one fsync
 * store_log_aside - say that a damaged journal was set aside, and a new one begun */
void store_put(struct end *end);
void store_note(struct end *end, const struct rk_todo *todo, int64_t took_ms);
void store_event(struct end *end, struct rk_journal_event *event);
bool store_due(const struct daemon *d);
void store_flush(struct daemon *d);
void store_log_aside(const char *path, const char *aside);

/* ---- groups.c: which links are due together ---- */

/* groups_make - give each end of the configuration its slot in the interval
 * note: without memory links stay due as they are.   cost: O(n log n) */
void groups_make(struct daemon *d);

/* ---- setup.c: from a configuration to instances and ends ---- */

/* setup_check - read and check FILE with the schemas of its plugins, whose hosts are started for that
 *               out: *set, the caller's, with its warnings, or errors
 *               ret: RK_OK, RK_E_CONFIG, RK_E_NOENT, RK_E_IO, RK_E_NOMEM
 * setup_apply - make set the one in force (taken on RK_OK).   out: text, what has changed
 *               ret: RK_OK, RK_E_NOMEM, RK_E_IO
 * setup_reload - both, from the file in use; on failure the old one stays, and text says why
 * setup_refind - the configuration in force with the links of d->found.   ret, text: as setup_reload
 * setup_drop_hosts - end the hosts that no instance uses.   blocks: at most 1500 ms for each */
int setup_check(struct daemon *d, const char *file, struct rk_conf_set **set, struct rk_conf_errors *errors);
int setup_apply(struct daemon *d, struct rk_conf_set *set, char *text, size_t size);
int setup_reload(struct daemon *d, char *text, size_t size);
int setup_refind(struct daemon *d, char *text, size_t size);
void setup_drop_hosts(struct daemon *d);

/* ---- source_test.c: rekeyctl source test, rekeyctl peer test ---- */

struct source_test_want {
    uint32_t kind;           /* RK_SOURCE or RK_CHANNEL, which has no peers of its own to be tested with */
    const char *name, *peer; /* peer: "" those of the links that use the source */
    bool fetch;
    uint32_t budget_ms; /* of all together */
};

struct source_test;
/* source_test_begin - go the way to a key with each peer, as the source's plugin does, or the way to the peers, as the
 *                     channel's does; rows come from the loop
 *                     ret: NULL with a text in why: there is no such source, no memory
 * source_test_forget - its hearer goes: what is under way is canceled, and ends unheard
 * source_test_find - the source or channel of a configuration, by kind and name; NULL with why: none, and what it may
 *                    have meant */
struct source_test *source_test_begin(struct daemon *d, const struct source_test_want *want,
                                      const struct hearer *to, char *why, size_t size);
void source_test_forget(struct source_test *t);
const struct rk_instance_conf *source_test_find(const struct rk_conf_set *set, const struct source_test_want *want,
                                                char *why, size_t size);

/* source_test_only - rekeyd --test-source, --test-channel: one of the configuration, without journal or links; rows to
 *                    stdout, each a line, at the end {"over": ...}.   ret: exit status */
int source_test_only(struct daemon *d);

/* ---- ctl.c, ctl_rows.c, ctl_source.c: the control socket ---- */

struct ctl_client;
enum { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2 }; /* exit codes of rekeyctl */

/* ctl_wait - the answer is made later: rows by ctl_push() (taken), its end by ctl_over();  forget(arg) is called when
 *            the client goes before that
 * do_source_test - the commands source-test (kind RK_SOURCE) and peer-test (RK_CHANNEL)
 * ctl_open - listen on d->control.  ret: RK_OK, RK_E_BUSY (another rekeyd answers there), RK_E_IO, RK_E_NOMEM; why
 * ctl_..._row - one JSON object, to be freed; NULL: no memory.   check_print_json - the result of --check, to stdout */
void ctl_wait(struct ctl_client *c, void (*forget)(void *arg), void *arg);
void ctl_push(struct ctl_client *c, char *row);
void ctl_over(struct ctl_client *c, uint32_t code, const char *text);
void do_source_test(struct daemon *d, struct ctl_client *c, const struct rk_ask *ask, uint32_t kind);
int ctl_open(struct daemon *d, char *why, size_t size);
void ctl_close(struct daemon *d);
char *ctl_status_row(const struct end *end, int64_t now_ns);
char *ctl_explain_row(const struct end *end, int64_t now_ns);
char *ctl_daemon_row(const struct daemon *d, int64_t now_ns);
char *ctl_plugin_row(const struct host *h);
char *ctl_history_row(const struct rk_journal_event *e);
void check_print_json(const char *file, const struct rk_conf_errors *errors, const struct rk_conf_set *set);

/* ---- daemon.c ---- */

struct device_ask_want { /* rekeyctl discover, prepare; device_ask.h */
    const char *name;
    bool prepare, apply;
    uint32_t budget_ms;
    const char *words; /* prepare: for what, a newline between them; "": for its links */
};

struct options {
    const char *config, *plugin_dir, *host_path;
    bool check, json;
    int log_level; /* -1: as configured */
    struct source_test_want test; /* --test-source, --test-channel; name NULL: not given */
    struct device_ask_want device; /* --discover, --prepare; the same */
    char words[RK_WORDS_MAX];      /* --word, each: those of device */
};

struct daemon {
    struct options opt;
    struct event_base *base;
    struct event *timer_ev, *turn_ev, *sig_ev[4];
    bool turn_due;
    struct wake stop_wake, expiry_wake, rest_wake;
    struct end *may_rest; /* ends that had an event since it was looked last whether they can rest */
    struct rk_heap heap;
    struct rk_conf_set *conf;
    struct rk_found_list found;  /* of all devices whose links are discovered */
    struct discover *discovers;  /* discover.c */
    char sae[RK_SAE_MAX + 1]; /* of conf, and there for as long as this is */
    struct host *hosts;
    struct inst *insts;
    size_t n_gone; /* of them: out of the configuration, with calls under way */
    struct end **ends; /* sorted by (link, end) */
    size_t n_ends;
    struct inst *dirty;
    struct end *commit, **commit_last; /* ends whose journal entry is in the open group */
    struct rk_journal *journal;
    char journal_error[RK_TEXT_MAX];
    char renew_error[RK_TEXT_MAX]; /* why no new journal could be begun, as it was said last */
    bool group_open;
    struct rk_bucket commits;    /* how many groups a second are committed */
    struct wake commit_wake;     /* in the heap: the open group waits for that */
    struct ratchet_add *ratchet_adds; /* keys that wait for the hosts of their channels; ratchet_add.c */
    struct end *inbox, **inbox_last; /* local ends whose other end has published */
    uint32_t next_number, next_inst;
    int64_t started_ns, surveyed_ns;
    bool stopping;
    int64_t stop_by_ns;
    char control[108]; /* path of the control socket, as at start */
    int ctl_sock;
    struct event *ctl_ev;
    struct ctl_client *clients;
    size_t n_clients;
};

/* wake_at - call w->fn once, then; a later call moves it.   wake_off - never mind */
void wake_at(struct daemon *d, struct wake *w, int64_t at_ns);
void wake_off(struct daemon *d, struct wake *w);
void turn_soon(struct daemon *d); /* run dispatch and journal at the end of this turn of the loop */
int rk_daemon_main(int argc, char **argv);

#endif
