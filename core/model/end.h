/* end.h - one end of a link: the rotation protocol as a pure state machine
 *
 * (state, event, now) -> (state, actions).  No I/O, no clock, no allocation.  An end asks for at most one
 * action at a time, and may publish beside it; the outcome of the action comes back as an event.
 * doc/rotation.md has the picture and the reasons; end_class.h what differs by device class.
 */
#ifndef RK_END_H
#define RK_END_H

#include "durable.h"
#include "end_class.h"
#include "skew.h"
#include "supply.h"

enum rk_state {
    RK_ST_OBSERVE,      /* reading the device back: at start, after an unknown outcome, and to verify */
    RK_ST_IDLE,         /* no rotation; master: until due, slave: until an offer */
    RK_ST_J_INTENT,     /* journal: seq is taken */
    RK_ST_FETCH,        /* source call */
    RK_ST_J_FETCHED,    /* journal: key ID known (master) */
    RK_ST_STAGE,        /* device: STAGE */
    RK_ST_J_STAGED,     /* journal */
    RK_ST_STAGED,       /* published; master waits for STAGED, slave for ACTIVE */
    RK_ST_J_ACTIVATING, /* journal: from here on only forward */
    RK_ST_ACTIVATE,     /* device: ACTIVATE */
    RK_ST_J_ACTIVE,     /* journal */
    RK_ST_ACTIVE,       /* master: published, waits for the slave's ACTIVE */
    RK_ST_DRAIN,        /* frames under way still need the old receive key */
    RK_ST_RETIRE,       /* device: RETIRE the old key */
    RK_ST_J_IDLE,       /* journal: done */
    RK_ST_J_BURNING,    /* journal: candidate given up */
    RK_ST_UNSTAGE,      /* device: RETIRE the candidate */
    RK_ST_J_BURNT,      /* journal: given up and gone */
    RK_ST_J_SHUT,       /* journal: the policy stops the link, for its key is too old */
    RK_ST_SHUT,         /* device: SHUT */
    RK_ST_SWEEP,        /* device: SWEEP, after an operator's adopt */
    RK_ST_COUNT
};

enum rk_event_type {
    RK_EV_START,    /* the end was loaded: begin with reading the device */
    RK_EV_TICK,     /* wake_ns has come */
    RK_EV_DONE,     /* the action asked for was done (journal, STAGE with tags, ACTIVATE, RETIRE) */
    RK_EV_KEY,      /* the source gave a key: key_id */
    RK_EV_OBSERVED, /* the device was read: seen */
    RK_EV_FAILED,   /* the action was not done, or its outcome is unknown: err, why */
    RK_EV_PEER,     /* a record of the other end, its tag checked: record */
    RK_EV_ROTATE,   /* an operator wants a rotation now */
    RK_EV_ADOPT,    /* an operator gives up the keys on the device that are not rekeyd's */
    RK_EV_COUNT
};

struct rk_seen {
    uint32_t state;             /* RK_IF_... */
    uint32_t cur, prev, cand;   /* RK_HELD_... of these keys */
    uint32_t peer;              /* of the key that the peer says it transmits on: peer_active */
    uint32_t foreign;
    const char *facts, *why;
};

struct rk_event {
    enum rk_event_type type;
    struct rk_wall wall;            /* now, for cur_since and start times */
    uint64_t boot;                  /* of the machine: a hash of its boot ID */
    int err;                        /* FAILED */
    const char *why;                /* FAILED */
    const char *key_id;             /* KEY */
    const char *mine, *theirs;      /* DONE of STAGE: confirm tags; KEY of a master: theirs; KEY of a slave: both;
                                     * NULL or "" when not known yet */
    const struct rk_seen *seen;     /* OBSERVED */
    const struct rk_record *record; /* PEER */
};

enum rk_act {
    RK_ACT_NONE,
    RK_ACT_OBSERVE,
    RK_ACT_JOURNAL,
    RK_ACT_GET_NEW,
    RK_ACT_GET_BY_ID,
    RK_ACT_STAGE,
    RK_ACT_ACTIVATE,
    RK_ACT_RETIRE,
    RK_ACT_SHUT,
    RK_ACT_SWEEP
};

/* What to do now.  Journal means: make e->d durable, with the note in the same transaction. */
struct rk_todo {
    enum rk_act act;
    char key_id[RK_KEY_ID_MAX + 1]; /* GET_BY_ID, STAGE, ACTIVATE, RETIRE */
    uint64_t seq;                   /* STAGE, ACTIVATE, RETIRE: the rotation that the key came with */
    char terms[RK_TERMS_MAX + 1];   /* STAGE, RETIRE: text of the operation, "" for class A; see rekey/device.h */
    bool fallback;                  /* GET_NEW, GET_BY_ID: ask the fallback source */
    bool starved;                   /* a rotation is due, and does not begin for supply->wait: remember it */
    bool publish;                   /* publish rk_end_record() */
    bool drop_key;                  /* the key fetched for this end is not wanted any more: wipe it */
    const char *note;               /* history event: "begin", "staged", "activated", "rotated", "burnt", "lost",
                                     * "refused", "adopted", "held", "adopt", "shut", "swept"; NULL: none */
    char note_key[RK_KEY_ID_MAX + 1];
    bool note_bad;                  /* what the event tells of went wrong: e->last_err and last_why say how */
};

#define RK_ALARM_DUE 0x1u           /* key older than 1.25 intervals */
#define RK_ALARM_OVERDUE 0x2u       /* 1.5 intervals */
#define RK_ALARM_EXPIRED 0x4u       /* 3 intervals */
#define RK_ALARM_ROLE_CONFLICT 0x8u /* both ends claim the same role; the smaller SAE ID is master */
#define RK_ALARM_FOREIGN 0x10u      /* the device holds keys that are not ours */
#define RK_ALARM_SPLIT 0x20u        /* the peer transmits on a key that this end does not know */
#define RK_ALARM_NO_PEER 0x40u      /* nothing valid heard of the peer for three verify periods */
#define RK_ALARM_JOURNAL 0x80u      /* the journal cannot be written: nothing new starts */
#define RK_ALARM_DEVICE 0x100u      /* the device cannot be read or written */
#define RK_ALARM_SOURCE 0x200u      /* the source gives no key */
#define RK_ALARM_UNPROTECTED 0x400u /* the interface would let frames through in clear */
#define RK_ALARM_CLOCK_SKEW 0x800u  /* class D: a clock is off by more than a start time bears: nothing is begun */
#define RK_ALARM_SOURCE_DRY 0x1000u /* the source has no key left */
#define RK_ALARM_FALLBACK_IN_USE 0x2000u /* the key in use is from the fallback source, or in the fallback slot */
#define RK_ALARM_UNPROVED 0x4000u   /* the classes of the two devices have no proved rotation together */
#define RK_ALARM_CERT_EXPIRY 0x8000u /* a credential ends soon, or has ended; raised by who knows the calendar */
#define RK_ALARM_MIX_REDUCED 0x10000u /* the key in use was mixed of fewer sources than the link has */

/* Raised by who has the channels: */
#define RK_ALARM_PATH 0x20000u      /* one of the link's channels fails, is silent, or is behind the others */
#define RK_ALARM_NEIGHBOUR 0x40000u /* a wrong or a second neighbour is heard on the interface */
#define RK_ALARM_RESET_PEER 0x80000u /* the peer has lost its channel keys: the auth-key alone counts; see trust.h */

/* What to do when a key is EXPIRED (option on-stale). */
enum rk_stale { RK_STALE_HOLD, RK_STALE_FALLBACK, RK_STALE_SHUT };

/* Key IDs that an end remembers, so that a source which gives one again is found out; cur and prev beside them. */
#define RK_USED_KEYS 16

struct rk_end {
    struct rk_durable d;
    /* configuration */
    const char *own_sae, *peer_sae;            /* borrowed; "" when the role is not to be compared (local link) */
    int64_t interval_ns, drain_ns, verify_ns;
    uint64_t slot;                             /* ends of the same one are due together; 0: by the link's name */
    int64_t lead_ns;                           /* class D: from begin to start time */
    int64_t shut_after_ns;                     /* on-stale: shut: age of the key */
    enum rk_stale on_stale;
    bool has_fallback;                         /* a fallback source is configured */
    uint8_t priority;                          /* of the link: below RK_PRIORITIES */
    uint32_t stretch_max;                      /* how far its interval may be stretched [per mille]; 0: not at all */
    const struct rk_supply *supply;            /* of its source; borrowed; NULL: nothing is known */
    unsigned n_sources;                        /* keys are mixed of so many, see base/key_parts.h; 0 or 1: of none */
    bool require_any;                          /* of them; else all */
    uint32_t class;                            /* RK_CLASS_...: as the plugin declares; a device's word replaces it */
    /* volatile */
    enum rk_state state;
    int64_t wake_ns;                           /* when it wants a TICK; RK_NEVER */
    int64_t due_ns, verify_at_ns, drain_until_ns;
    int64_t soon_ns;                           /* when it would be due if the last failure had not been costly */
    int64_t start_ns;                          /* class D: start time of the candidate, on the monotonic clock */
    int64_t give_up_ns;                        /* a staged candidate is given up then; RK_NEVER */
    int64_t sweep_at_ns;                       /* the next try to remove adopted keys */
    int64_t cur_since_ns;                      /* when cur began to transmit, on the monotonic clock */
    int64_t heard_ns, last_ns;
    int64_t seen_ns;                           /* when the device was read last, and what it held then: */
    uint32_t seen_cur, seen_prev, seen_foreign;
    struct rk_record peer;                     /* newest record of the other end; role 0: none */
    struct rk_words peer_words;                /* behind its facts */
    char peer_active[RK_KEY_ID_MAX + 1];       /* key that the peer last said it transmits on */
    uint64_t peer_active_seq;                  /* the rotation that it came with; 0: not said */
    int64_t peer_clock_ms, said_clock_ms;      /* of the newest record, and of the last that this end said; 0: none */
    struct rk_steps steps;                     /* when both ends staged and switched, in the last rotation ... */
    struct rk_skew skew;                       /* ... and in the last one of which all is known; seq 0: none */
    char facts[RK_FACTS_MAX + 1];              /* own facts, from the device */
    uint64_t used[RK_USED_KEYS];               /* ring: hashes of the last key IDs taken */
    unsigned n_used;
    uint32_t alarms;
    unsigned failures;                         /* rotations in a row that failed */
    bool costly;                               /* master: the last of them used up a key: so would the next */
    unsigned tries;                            /* of the action at hand */
    int nack_err;                              /* why the slave gave d.seq up */
    bool said;                                 /* the device said that it did what it was asked: read it back */
    uint32_t refused;                          /* the state whose change the device has refused, and not done since */
    bool clock_bad, start_bad;                 /* class D: own device's clock; the start time that the peer offered */
    bool use_fallback;                         /* ask the fallback source next */
    bool stale;                                /* on-stale: shut, and the key is EXPIRED: the peer is told */
    bool cannot_shut, cannot_keep;             /* the device said so; keep: it does not have the key that should stay */
    bool save;                                 /* d has flags that are not in the journal */
    bool retrying;                             /* waits for wake_ns to ask for the action again */
    bool want;                                 /* rotate as soon as possible */
    bool let;                                  /* by the caller, then TICK: begin in spite of supply->wait */
    bool starved;                              /* a rotation is due, and waits for the source */
    bool looked;                               /* whether the device transmits on peer_active */
    bool peer_lost;                            /* the slave did not follow this rotation */
    uint32_t conf_role;                        /* as configured; taken when idle.  0: it is what d says */
    bool yielded;                              /* the role is by the rule, not as configured */
    int last_err;
    char last_why[RK_WHY_MAX];
    uint64_t rotations, failed, orphaned;
};

/* rk_end_init - an end as it is before RK_EV_START
 * in:   d  as the journal has it, or zeroed with link, end and role set;  the configuration members of e are set by
 *       the caller after */
void rk_end_init(struct rk_end *e, const struct rk_durable *d);

/* rk_end_step - one event
 * in:   ev;  now_ns  monotonic [ns], never less than before.   out: *todo, all members set; e->wake_ns
 * note: DONE, KEY, OBSERVED and FAILED answer the one action under way, and come exactly once for it.
 * thread: loop only.  blocks: never.  cost: O(1).  src: design: doc/rotation.md */
void rk_end_step(struct rk_end *e, const struct rk_event *ev, int64_t now_ns, struct rk_todo *todo);

/* rk_end_waits - is it in a state in which it has something to say: idle, staged, active, with no action under way */
bool rk_end_waits(const struct rk_end *e);

/* rk_end_unsaved - is e->d ahead of the journal, because its entry is being written or cannot be */
bool rk_end_unsaved(const struct rk_end *e);

/* rk_end_record - what this end says now.  Only while rk_end_waits(), or when todo.publish was just set */
void rk_end_record(const struct rk_end *e, struct rk_record *r);

/* rk_end_record_ahead - what it will say when the STAGE that it asked for is done, so that it can be said in the same
 *                       change of the device;  src: doc/rotation.md, Records that the device carries
 *                       ret: false: it is not known before the device is read, or no STAGE is asked for
 * rk_end_word_waits - what it says now is nothing that its peer needs soon: it may come with the next change of the
 *                     device
 * rk_end_awaits - does it wait for a word of its peer; else the next one is about a rotation that has not begun
 * rk_record_same - do two records say the same, whatever they say of a device's clock and of times */
bool rk_end_record_ahead(const struct rk_end *e, struct rk_record *r);
bool rk_end_word_waits(const struct rk_end *e);
bool rk_end_awaits(const struct rk_end *e);
bool rk_record_same(const struct rk_record *a, const struct rk_record *b);

/* rk_end_record_times - add to r how long ago the steps of its rotation were, and, when it is not to stay as it is, a
 *                       clock by which the peer knows that this end is alive
 * in:   wall  now.   note: it may then be too long for rk_record_put(), and must do without */
void rk_end_record_times(struct rk_end *e, struct rk_record *r, bool clock, struct rk_wall wall, int64_t now_ns);

/* rk_end_outdated - why a record with a good tag is none of now: a newer one was there before it; NULL: it is.
 *                   own: static
 * note: what is said once more is no offence, also when it comes late */
const char *rk_end_outdated(const struct rk_end *e, const struct rk_record *r);

/* rk_end_missing - the first of the link's sources that has no part in the key in use; n_sources: none is missing, or
 *                  it is not known */
size_t rk_end_missing(const struct rk_end *e);

/* rk_end_silence_ns - how long nothing valid is heard of the peer before that counts: NO-PEER */
int64_t rk_end_silence_ns(const struct rk_end *e);

/* rk_end_alarms - all alarms as of now_ns, RK_ALARM_... */
uint32_t rk_end_alarms(const struct rk_end *e, int64_t now_ns);

/* rk_end_first_key - does it wait for its first key, or for one again after all were lost; since_ns: since when, at
 *                    most since this process began.   waits_for: for what, one clause, valid while e is as it is */
bool rk_end_first_key(const struct rk_end *e, int64_t *since_ns, const char **waits_for);

/* rk_end_explain - why the end is in its state, and what happens next and when, in a few sentences
 * out:  text[size], cut when it is too long; sentences end with a full stop, no line breaks
 * thread: loop only.   blocks: never */
void rk_end_explain(const struct rk_end *e, int64_t now_ns, char *text, size_t size);

/* rk_end_interval_ns - its interval, stretched as its source needs it at this moment
 * rk_end_starved - does it wait for a source that gives no keys */
int64_t rk_end_interval_ns(const struct rk_end *e);

/* rk_end_due_ns - when the next rotation is due, by the interval that it has at this moment [ns, monotonic] */
int64_t rk_end_due_ns(const struct rk_end *e);
bool rk_end_starved(const struct rk_end *e);

/* rk_end_age_ns - age of the key in use [ns]; -1: there is none */
int64_t rk_end_age_ns(const struct rk_end *e, int64_t now_ns);

/* Names for people: "idle", "staged", ... and of one alarm bit: "OVERDUE". */
const char *rk_state_name(enum rk_state state);
const char *rk_alarm_name(uint32_t bit);

#endif
