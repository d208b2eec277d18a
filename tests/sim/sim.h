/* sim.h - the two ends of many links on virtual time: what the files of the simulator share
 *
 * The model, the heap and the journal are the real ones; devices, key sources, channels and clocks are simulated here.
 * Links do not touch each other and each has a chance of its own (a generator seeded by run and link), so that
 * what happens to one link is the same whichever others run beside it: a failing link is replayed alone.
 * One thread; never sleeps, never reads a clock.
 */
#ifndef TESTS_SIM_H
#define TESTS_SIM_H

#include "core/base/clock.h"
#include "core/daemon/journal.h"
#include "core/model/end.h"
#include "core/sched/heap.h"

#include <rekey/err.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MS RK_NS_PER_MS
#define SEC RK_NS_PER_S
#define EPOCH_MS INT64_C(1790000000000) /* Unix time of virtual time 0 */

/* ---- faults: fault.c has what each does, README.md says it in words ---- */

enum sim_fault {
    F_CRASH,        /* kill -9 of an end's daemon, before or after the effect at hand; up again at once */
    F_DOWN,         /* the same, up again after a while */
    F_HOST,         /* the machine of an end is restarted: its boot ID and its clock since boot are new */
    F_FAIL,         /* an action is certainly not done */
    F_UNKNOWN,      /* an action is done, and nobody is told */
    F_NOT_DONE,     /* an action is not done, and nobody is told */
    F_HALF,         /* class A: STAGE fails with the key in a receive slot only */
    F_LIE,          /* a device says done, and did nothing */
    F_SLOW,         /* an action takes long */
    F_DEVICE_OUT,   /* a device cannot be reached for a while */
    F_REBOOT,       /* a device is restarted and keeps its configuration: classes B to E; MKA begins anew */
    F_WIPED,        /* a device is restarted and has lost its keys */
    F_MUTE,         /* class A: a device holds its keys and transmits on none */
    F_PN,           /* packet numbers run out: the device wants a new key */
    F_LINK_DOWN,    /* the cable is cut for a while: no MKA, no frames */
    F_J_ERROR,      /* a journal cannot be written for a while */
    F_J_LOST,       /* a journal is lost while its daemon is down */
    F_J_OLD,        /* an old copy of a journal is put back while its daemon is down */
    F_J_BOTH,       /* both journals are lost */
    F_KME_OUT,      /* a key source does not answer for a while */
    F_KME_EMPTY,    /* both key sources have no key left for a while */
    F_KME_DIVERGE,  /* the two sources have different bytes for the next key ID */
    F_KME_TWICE,    /* the source gives a key ID again that is in use */
    F_KME_LENGTH,   /* the source gives a key of the wrong length */
    F_KME_GONE,     /* the slave's source does not know the next key */
    F_CHANNEL,      /* a channel carries nothing for a while, in one direction */
    F_LOSS,         /* every other record is lost for a while */
    F_REPLAY,       /* a record that was published at any time before is heard once more */
    F_FORGED,       /* a record with a wrong tag: the host drops it, the model hears nothing */
    F_ROLES,        /* an end is started with a role chosen at random */
    F_JUMP,         /* the wall clock of an end jumps by an hour or a year, or back to what it was */
    F_DEVICE_CLOCK, /* the clock of a device jumps */
    F_ROTATE,       /* an operator wants a rotation now */
    F_OPERATOR,     /* an operator sets a key of his own at both devices, or at one */
    F_COUNT
};

#define F_BIT(f) (UINT64_C(1) << (f))
#define F_ALL (F_BIT(F_COUNT) - 1)
/* What takes away the only common key, whatever a protocol does. */
#define F_TAKES_KEYS (F_BIT(F_WIPED) | F_BIT(F_MUTE) | F_BIT(F_OPERATOR))

/* ---- one run ---- */

struct sim_conf {
    uint64_t seed;
    uint32_t first, links;       /* links first .. first + links - 1 */
    uint32_t class[2];           /* RK_CLASS_... of the two devices */
    int64_t interval_ns, drain_ns, verify_ns, lead_ns;
    int64_t path_ns;             /* how long a frame is under way */
    int64_t act_ns, hear_ns;     /* an action, a record take up to */
    int64_t fault_every_ns;      /* of each link, on average; 0: never */
    int64_t outage_ns;           /* the longest "while" */
    uint64_t kinds;              /* faults, F_BIT() */
    uint32_t soup;               /* records of an end that are kept for replay, besides the newest */
    enum rk_stale on_stale;
    bool carried;                /* classes B to E: what is said of a key is said by the commit that brings it */
    bool real;                   /* journals in files, by core/daemon/journal.c */
    bool text;                   /* every record goes through its text; else one in 64 */
    bool trace;
    int64_t time_ns;             /* of the faults; then they end, and all must come to rest */
};

#define SLOTS 5 /* class A: the four ANs.  B, C, E: primary, fallback, preceding.  D: and two for the chain's future */
enum { S_PRIMARY, S_FALLBACK, S_PRECEDING, S_NEXT };

struct sim_slot {
    uint32_t key, bytes;         /* number and content of the key; key 0: empty */
    bool rx, tx, used;           /* class A; used: the peer was heard to transmit on it */
    int64_t since_ns;            /* MKA: when the device began with it */
    int64_t start_ms;            /* class D: by the device's clock */
};

#define INSTALLED 16

struct sim_dev {
    struct sim_slot slot[SLOTS];
    uint32_t class;
    int sending;                 /* class A: AN; -1: none */
    bool shut, wants_rekey;
    uint32_t boots;
    int64_t up_ns;               /* it was or is being restarted, until then */
    int64_t reach_ns;            /* it cannot be reached before */
    int64_t clock_ms;            /* its clock, minus true time */
    uint32_t stale_key;          /* MKA: the peer was live on it until just now, and still seems to be */
    int64_t stale_until_ns;
    struct sim_slot rollback[2]; /* class C: what was primary before the last commits */
    uint32_t top_key;            /* highest key number that was put into a transmit slot, */
    uint32_t installed[INSTALLED], n_installed; /* and the last of them */
};

/* An action under way, or being asked for. */
struct sim_act {
    enum rk_act act;
    enum rk_state state;         /* in which it was asked for */
    uint64_t seq;
    uint32_t key, keep;          /* key numbers */
    bool keep_given, fallback;
    int64_t start_ms, at_ns;
};

struct sim_timer {
    struct rk_timer t;           /* first: the heap's pointers are casted back */
    struct sim_link *link;
    uint32_t what;               /* 0, 1: end; 2: the link itself */
};

struct sim_end {
    struct sim_timer timer;
    struct rk_end e;
    struct rk_durable disk, writing, old;
    struct rk_journal *journal;  /* conf.real */
    struct sim_dev dev;
    struct sim_act act;
    int64_t hear_ns, boot_ns;    /* RK_NEVER: not */
    int64_t base_ns;             /* of the machine's clock since boot */
    uint64_t boot_id;
    int64_t jump_ms;             /* of the wall clock */
    int64_t journal_bad_ns, source_bad_ns, loss_ns, mute_ns; /* until then */
    uint32_t fetched, fetched_bytes;
    uint32_t flight;             /* key of frames under way */
    int64_t flight_until_ns;
    uint32_t committed;          /* the journal says that it is or will be transmitted on */
    uint64_t armed;              /* faults that wait for the next action */
    struct rk_record said;
    struct rk_record *soup;
    uint32_t n_said;
    uint64_t staged_seq;         /* highest, and the key of it */
    uint32_t staged_key;
    uint64_t top_seq;            /* highest seq of the journal since it was last lost */
    bool gone;                   /* process is down */
    bool script;                 /* it is the old script, see script.c */
    int64_t script_ns, script_due_ns;
    bool lied;                   /* MKA: a commit was said to be done and was not: a key may be left over */
    bool set_back;               /* class D: the device's clock went back once: a key may wait for its time */
};

enum sim_given { G_COUNT = 32 };

struct sim_kme {
    uint32_t next;               /* key numbers so far */
    uint32_t taken[G_COUNT];     /* by the slave, the last ones: each is given once */
    uint32_t n_taken;
    uint32_t diverge, lost;      /* key whose bytes differ at the slave; that the slave's source does not know */
    bool diverge_next, twice_next, gone_next;
};

enum sim_point_at { K_BEFORE, K_EFFECT, K_REPLY, K_COUNT }; /* where in an action a process is killed */

struct sim_kill {
    enum rk_state state;
    uint32_t side;
    enum sim_point_at at;
    bool armed, fired;
    int64_t down_ns;             /* until it is started again */
};

struct sim_link {
    struct sim *sim;
    uint32_t no;
    char name[RK_LINK_MAX + 1];
    uint64_t rng;
    struct sim_end end[2];
    struct sim_timer timer;      /* of the next fault, or of the operator's round */
    struct sim_kme kme;
    int64_t fault_ns, round_ns;
    uint32_t fault, fault_side, fault_steps; /* waits for so many more steps in a rotation; F_COUNT: none */
    int64_t link_down_ns;        /* until then */
    struct sim_slot live[2];     /* MKA: key in use by each device; key 0: none */
    bool traffic;                /* class A: frames go both ways, so that a device sees what its peer uses */
    int64_t cure_ns;             /* clocks that jumped are set right then */
    bool common;                 /* a common key was in use, and nothing has taken it or stopped it since */
    bool shares;                 /* MKA: as common, but for what stops MKA only for a while */
    bool mending;                /* a journal was lost, and no rotation ended since */
    bool touched;                /* a device or a journal changed since the last check */
    bool forgot;                 /* a journal was lost once */
    bool operated;               /* an operator's key may be in use */
    int64_t operator_ns;         /* when an operator's hand was at the devices */
    uint64_t steps, crashes;
    struct sim_kill kill[2];
    /* the age of the key, see README.md */
    int64_t since_ns, bad_until_ns, bad_ns; /* when both ends came to their key; trouble since */
    uint32_t faults_since;
    uint32_t last_key;           /* that both ends came to */
    uint64_t cur_text[2];        /* the key IDs of both journals when they were looked at last, as far as they go */
    uint64_t rotations, installs;
    int64_t oldest_ns, bound_ns; /* highest age, and the bound then */
    double fullest;              /* highest share of the bound that was used */
};

struct sim {
    struct sim_conf conf;
    struct rk_heap heap;
    struct sim_link *link;
    int64_t now_ns;
    bool faults;
    uint64_t ahead;                 /* records that a commit showed before its answer came */
    uint64_t steps, crashes, records, cleaned, count[F_COUNT];
    char dir[128];               /* of real journals */
    char replay[160];            /* the command that runs this again; "": as trace_replay() says */
    void (*asked)(struct sim_end *s, void *arg); /* when an action is asked for; may be NULL */
    void *asked_arg;
};

/* ---- sim.c ---- */
/* sim_new - a run of links at virtual time 0, each end started;  sim_free - all of it, and its files */
void sim_new(struct sim *sim, const struct sim_conf *conf);
void sim_free(struct sim *sim);
/* sim_step - the next thing that happens, and the invariants after it;  sim_run - until that time */
void sim_step(struct sim *sim);
void sim_run(struct sim *sim, int64_t until_ns);
/* sim_timers - after a change from outside: when the ends of a link are next to be stepped */
void sim_timers(struct sim_link *l);

/* ---- end.c: driving an end ---- */
void end_boot(struct sim_end *s);
void end_crash(struct sim_end *s, bool effect);
void end_event(struct sim_end *s, struct rk_event *ev);
void end_step(struct sim_end *s);
int64_t end_next_ns(const struct sim_end *s);
struct sim_link *end_link(const struct sim_end *s);
struct sim_end *end_peer(const struct sim_end *s);
uint32_t end_side(const struct sim_end *s);
int64_t end_local_ns(const struct sim_end *s);
int64_t end_wall_ms(const struct sim_end *s);

/* ---- dev.c, mka.c: devices ---- */
int dev_apply(struct sim_end *s);
void dev_observe(struct sim_end *s, struct rk_seen *seen, char facts[RK_FACTS_MAX + 1]);
void dev_wipe(struct sim_end *s);
uint32_t dev_sends(const struct sim_end *s);
bool dev_receives(const struct sim_end *s, uint32_t key);
bool dev_holds(const struct sim_end *s, uint32_t key);
bool dev_is_cak(const struct sim_end *s);
void dev_set_back(struct sim_end *s);
void dev_clean(struct sim_end *s);
void dev_operator(struct sim_end *s, uint32_t key, uint32_t bytes);
int64_t dev_clock_ms(const struct sim_end *s);
int mka_apply(struct sim_end *s);
void mka_settle(struct sim_link *l);
uint32_t mka_held(const struct sim_end *s, uint32_t key);
bool mka_common(const struct sim_link *l);
void mka_restart(struct sim_end *s, int64_t at_ns);
bool mka_began(const struct sim_end *s, const struct sim_slot *slot);

/* ---- kme.c: key sources ---- */
#define KEY_FALLBACK 0x80000000u
#define KEY_OPERATOR 0x40000000u
int kme_get_new(struct sim_end *s);
int kme_get_by_id(struct sim_end *s);
void key_id(uint32_t key, char id[RK_KEY_ID_MAX + 1]);
uint32_t key_number(const char *id);
void key_tag(uint32_t bytes, uint32_t key, uint64_t seq, uint32_t role, char tag[RK_CONFIRM_HEX + 1]);

/* ---- script.c: the peer of class E ---- */
void script_step(struct sim_end *s);

/* ---- store.c: journals ---- */
void store_open(struct sim_end *s);
void store_close(struct sim_end *s);
void store_put(struct sim_end *s, bool commit);
void store_reload(struct sim_end *s);
void store_replace(struct sim_end *s, const struct rk_durable *d);

/* ---- fault.c ---- */
extern const char *const fault_names[F_COUNT];
uint64_t rnd(struct sim_link *l, uint64_t n);
void fault_draw(struct sim_link *l);
void fault_link(struct sim_link *l);
void fault_excuse(struct sim_link *l, bool keys_gone);
void fault_until(struct sim_link *l, int64_t until_ns);
bool fault_strikes(struct sim_end *s);
bool fault_armed(struct sim_end *s, enum sim_fault f);
void fault_do(struct sim_link *l, enum sim_fault f, struct sim_end *s);
void fault_end_all(struct sim_link *l);

/* ---- check.c: invariants ---- */
void check_link(struct sim_link *l);
void check_stage(struct sim_end *s);
void check_retire(struct sim_end *s);
void check_record(struct sim_end *s, const struct rk_record *r);
void check_journal(struct sim_end *s);
void check_age(struct sim_link *l);
/* end_knows - is the key in the end's journal */
bool end_knows(const struct sim_end *s, uint32_t key);
bool check_rest(const struct sim_link *l);
/* check_failed - say what is broken and how to see it again, and end the process */
void check_failed(const struct sim_link *l, const char *what, const char *file, int line) __attribute__((noreturn));
#define CHECK(l, cond) ((cond) ? (void)0 : check_failed(l, #cond, __FILE__, __LINE__))

/* ---- run.c: whole runs ---- */

struct sim_sum { /* of runs */
    uint64_t links, rotations, steps, records, ahead, crashes, stuck;
    uint64_t count[F_COUNT];
    double cpu_s, oldest, fullest; /* highest age in intervals; highest share of its bound */
};

/* run_conf - what suits links of these classes: times, and all faults that they can have */
void run_conf(struct sim_conf *conf, uint32_t class_a, uint32_t class_b);
/* run_fleet - many links of class A as an operator would have them */
void run_fleet(struct sim_conf *conf, uint32_t links, int64_t time_ns, int64_t fault_every_ns);
/* run_whole - links through conf->time_ns of faults, then to rest; sums up.   ret: none; a broken link ends all */
void run_whole(const struct sim_conf *conf, struct sim_sum *sum);
/* run_rest - no faults from now on: each link rotates again and is at rest, or counts as stuck */
void run_rest(struct sim *sim, struct sim_sum *sum);
void run_print(const struct sim_conf *conf, const struct sim_sum *sum);
double run_cpu_s(void);

/* ---- trace.c ---- */
void trace_event(const struct sim_end *s, const struct rk_event *ev);
void trace_fault(const struct sim_link *l, enum sim_fault f, const struct sim_end *s);
/* trace_replay - the command that runs this link alone again, with a trace */
void trace_replay(const struct sim_link *l, char *text, size_t size);

#endif
