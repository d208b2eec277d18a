/* model_rig.h - one end of a link, brought to any state by the events that lead there */
#ifndef MODEL_RIG_H
#define MODEL_RIG_H

#include "core/model/end.h"

#include <rekey/err.h>

#define MS RK_NS_PER_MS
#define S RK_NS_PER_S
#define INTERVAL (120 * S)
#define DRAIN (2 * S)
#define VERIFY (30 * S)
#define BOTH (RK_HELD_RX | RK_HELD_TX)
#define USED (BOTH | RK_SENDING)
#define TAG_S "5555555555555555aaaaaaaaaaaaaaaa" /* what the slave must show */
#define TAG_M "3333333333333333cccccccccccccccc"
#define M RK_MASTER
#define SL RK_SLAVE

struct fix {
    struct rk_end e;
    struct rk_todo todo; /* of the last step */
    int64_t now_ns;
    const char *old_key, *key, *new_key; /* of ready() and goes_well(): before the one in use, in use, the next */
};

/* An end that has the key "k4" since rotation 4; the peer too.  SAE_A, the master, is the one by the rule. */
void fresh(struct fix *f, uint32_t role);
/* One event: any; with what a good answer has; a failure; a reading of the device; a record; time. */
void step(struct fix *f, struct rk_event ev);
void happens(struct fix *f, enum rk_event_type type);
void fails(struct fix *f, int err);
void sees(struct fix *f, uint32_t cur, uint32_t cand);
void hears(struct fix *f, struct rk_record r);
void tick_at(struct fix *f, int64_t at_ns);
void due(struct fix *f);
struct rk_record record(uint32_t role, uint32_t say, uint64_t seq, const char *key);

/* ---- of any class ---- */

#define IN_USE (USED | RK_PEER_USES)
#define LEAD (60 * S)

struct look { /* what a device shows; state beside "present, up and protected"; facts NULL: those of the class */
    uint32_t cur, prev, cand, peer, state, foreign;
    const char *facts;
};

/* The device is read; this must have been asked for. */
void shown(struct fix *f, struct look look);
/* A record of the other end. */
struct rk_record peer_says(const struct fix *f, uint32_t say, uint64_t seq, const char *key);
/* An end that is idle and has used "k4", of rotation 4, for 30 seconds.  Of classes B to E "k3" is the device's
 * fallback.  alone() has not heard of its peer, ready() has.  With names of one letter: "4", "3", and then "5". */
void alone(struct fix *f, uint32_t class, uint32_t role);
void ready(struct fix *f, uint32_t class, uint32_t role);
void ready_with_letters(struct fix *f, uint32_t class, uint32_t role);
/* The event that leads on when all goes well;  and so on from ready() until the state is entered. */
void goes_well(struct fix *f);
void goes_to(struct fix *f, enum rk_state state);

enum how {
    H_OBSERVED, H_DUE, H_DONE, H_STAGED_SEEN, H_ACTIVE_SEEN, H_KEY, H_DRAINED, H_OFFER, H_STAGED, H_NACK, H_ACTIVE,
    H_WITHDRAWN, H_GONE_SEEN, H_TOO_OLD, H_SHUT_SEEN, H_ADOPT, H_ADOPTED, H_SWEPT_SEEN
};

#define NOT_SAID 99

struct arrow {
    uint32_t role;
    enum rk_state from;
    enum how how;
    enum rk_state to;
    enum rk_act act;
    uint32_t phase;  /* after */
    uint32_t say;    /* published, or NOT_SAID */
    const char *key; /* of the action */
    const char *note;
};

extern const struct arrow arrows[];
extern const size_t n_arrows;

void do_how(struct fix *f, enum how how);
/* Bring an end to a state by the first arrow that leads there, and so on back to the start. */
void bring(struct fix *f, uint32_t role, enum rk_state state);
/* The end does nothing for a while, and then asks for the action of this state. */
void assert_paused(struct fix *f, enum rk_state state);

#endif
