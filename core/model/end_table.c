/* end_table.c - the transition table of one end of a link, and the step that follows it.  Pure.
 *
 * For each state and event: the handler, and every state that may follow.  rk_end_step() asserts the latter; a test
 * takes each arrow, and another compares the table with the picture in doc/rotation.md.
 */
#include "end_table.h"

#include "end_step.h"

#include "../base/log.h"

#include <rekey/err.h>
#include <string.h>

#define TO(state) (1u << RK_ST_##state)

struct cell {
    handler *handler; /* NULL: cannot come */
    uint32_t to;
};

/* What may follow when a wait goes on, or begins: then there may be a record of the peer that is not answered yet. */
#define IDLE_ON (TO(IDLE) | TO(OBSERVE) | TO(J_INTENT) | TO(J_SHUT) | TO(SWEEP))
#define AT_IDLE (IDLE_ON | TO(J_BURNT) | TO(J_IDLE) | TO(J_BURNING))
#define AT_STAGED (TO(STAGED) | TO(J_ACTIVATING) | TO(J_BURNING) | TO(J_SHUT))
#define AT_DRAIN (TO(DRAIN) | TO(RETIRE) | TO(J_IDLE))
#define AT_ACTIVE (TO(ACTIVE) | AT_DRAIN)
/* The one way back, from whatever phase the journal is in. */
#define AFTER_LOOK                                                                                                     \
    (AT_IDLE | AT_STAGED | AT_ACTIVE | TO(J_STAGED) | TO(ACTIVATE) | TO(J_ACTIVE) | TO(UNSTAGE) | TO(SHUT))

static const struct cell table[RK_ST_COUNT][RK_EV_COUNT] = {
    [RK_ST_OBSERVE] = {
        [RK_EV_START] = {rk_on_start, TO(OBSERVE)},
        [RK_EV_TICK] = {rk_on_tick, TO(OBSERVE)},
        [RK_EV_OBSERVED] = {rk_on_observed, AFTER_LOOK},
        [RK_EV_FAILED] = {rk_on_failed, TO(OBSERVE)},
        [RK_EV_PEER] = {rk_on_peer, TO(OBSERVE)},
        [RK_EV_ROTATE] = {rk_on_rotate, TO(OBSERVE)},
        [RK_EV_ADOPT] = {rk_on_adopt, TO(OBSERVE)},
    },
    [RK_ST_IDLE] = {
        [RK_EV_TICK] = {rk_on_tick, IDLE_ON},
        [RK_EV_PEER] = {rk_on_peer, AT_IDLE},
        [RK_EV_ROTATE] = {rk_on_rotate, IDLE_ON},
        [RK_EV_ADOPT] = {rk_on_adopt, TO(J_IDLE)},
    },
    [RK_ST_J_INTENT] = {
        [RK_EV_TICK] = {rk_on_tick, TO(J_INTENT)},
        [RK_EV_DONE] = {rk_on_done_intent, TO(FETCH)},
        [RK_EV_FAILED] = {rk_on_failed, TO(J_INTENT)},
        [RK_EV_PEER] = {rk_on_peer, TO(J_INTENT)},
        [RK_EV_ROTATE] = {rk_on_rotate, TO(J_INTENT)},
        [RK_EV_ADOPT] = {rk_on_adopt, TO(J_INTENT)},
    },
    [RK_ST_FETCH] = {
        [RK_EV_TICK] = {rk_on_tick, TO(FETCH)},
        [RK_EV_KEY] = {rk_on_key, TO(J_FETCHED) | TO(STAGE) | TO(J_BURNT)},
        [RK_EV_FAILED] = {rk_on_failed, TO(FETCH) | TO(J_BURNT)},
        [RK_EV_PEER] = {rk_on_peer, TO(FETCH)},
        [RK_EV_ROTATE] = {rk_on_rotate, TO(FETCH)},
        [RK_EV_ADOPT] = {rk_on_adopt, TO(FETCH)},
    },
    [RK_ST_J_FETCHED] = {
        [RK_EV_TICK] = {rk_on_tick, TO(J_FETCHED)},
        [RK_EV_DONE] = {rk_on_done_fetched, TO(STAGE)},
        [RK_EV_FAILED] = {rk_on_failed, TO(J_FETCHED)},
        [RK_EV_PEER] = {rk_on_peer, TO(J_FETCHED)},
        [RK_EV_ROTATE] = {rk_on_rotate, TO(J_FETCHED)},
        [RK_EV_ADOPT] = {rk_on_adopt, TO(J_FETCHED)},
    },
    [RK_ST_STAGE] = {
        [RK_EV_TICK] = {rk_on_tick, TO(STAGE)},
        [RK_EV_DONE] = {rk_on_done_stage, TO(J_STAGED) | TO(J_BURNING)},
        [RK_EV_FAILED] = {rk_on_failed, TO(OBSERVE) | TO(J_BURNING)},
        [RK_EV_PEER] = {rk_on_peer, TO(STAGE)},
        [RK_EV_ROTATE] = {rk_on_rotate, TO(STAGE)},
        [RK_EV_ADOPT] = {rk_on_adopt, TO(STAGE)},
    },
    [RK_ST_J_STAGED] = {
        [RK_EV_TICK] = {rk_on_tick, TO(J_STAGED)},
        [RK_EV_DONE] = {rk_on_done_staged, TO(OBSERVE)},
        [RK_EV_FAILED] = {rk_on_failed, TO(J_STAGED)},
        [RK_EV_PEER] = {rk_on_peer, TO(J_STAGED)},
        [RK_EV_ROTATE] = {rk_on_rotate, TO(J_STAGED)},
        [RK_EV_ADOPT] = {rk_on_adopt, TO(J_STAGED)},
    },
    [RK_ST_STAGED] = {
        [RK_EV_TICK] = {rk_on_tick, TO(STAGED) | TO(J_BURNING) | TO(OBSERVE) | TO(J_SHUT)},
        [RK_EV_PEER] = {rk_on_peer, AT_STAGED},
        [RK_EV_ROTATE] = {rk_on_rotate, TO(STAGED)},
        [RK_EV_ADOPT] = {rk_on_adopt, TO(STAGED)},
    },
    [RK_ST_J_ACTIVATING] = {
        [RK_EV_TICK] = {rk_on_tick, TO(J_ACTIVATING)},
        [RK_EV_DONE] = {rk_on_done_activating, TO(ACTIVATE) | TO(OBSERVE)},
        [RK_EV_FAILED] = {rk_on_failed, TO(J_ACTIVATING)},
        [RK_EV_PEER] = {rk_on_peer, TO(J_ACTIVATING)},
        [RK_EV_ROTATE] = {rk_on_rotate, TO(J_ACTIVATING)},
        [RK_EV_ADOPT] = {rk_on_adopt, TO(J_ACTIVATING)},
    },
    [RK_ST_ACTIVATE] = {
        [RK_EV_TICK] = {rk_on_tick, TO(ACTIVATE)},
        [RK_EV_DONE] = {rk_on_done_device, TO(OBSERVE)},
        [RK_EV_FAILED] = {rk_on_failed, TO(ACTIVATE) | TO(OBSERVE)},
        [RK_EV_PEER] = {rk_on_peer, TO(ACTIVATE)},
        [RK_EV_ROTATE] = {rk_on_rotate, TO(ACTIVATE)},
        [RK_EV_ADOPT] = {rk_on_adopt, TO(ACTIVATE)},
    },
    [RK_ST_J_ACTIVE] = {
        [RK_EV_TICK] = {rk_on_tick, TO(J_ACTIVE)},
        [RK_EV_DONE] = {rk_on_done_active, AT_ACTIVE},
        [RK_EV_FAILED] = {rk_on_failed, TO(J_ACTIVE)},
        [RK_EV_PEER] = {rk_on_peer, TO(J_ACTIVE)},
        [RK_EV_ROTATE] = {rk_on_rotate, TO(J_ACTIVE)},
        [RK_EV_ADOPT] = {rk_on_adopt, TO(J_ACTIVE)},
    },
    [RK_ST_ACTIVE] = {
        [RK_EV_TICK] = {rk_on_tick, TO(ACTIVE) | TO(OBSERVE)},
        [RK_EV_PEER] = {rk_on_peer, AT_ACTIVE},
        [RK_EV_ROTATE] = {rk_on_rotate, TO(ACTIVE)},
        [RK_EV_ADOPT] = {rk_on_adopt, TO(ACTIVE)},
    },
    [RK_ST_DRAIN] = {
        [RK_EV_TICK] = {rk_on_tick, AT_DRAIN},
        [RK_EV_PEER] = {rk_on_peer, TO(DRAIN)},
        [RK_EV_ROTATE] = {rk_on_rotate, TO(DRAIN)},
        [RK_EV_ADOPT] = {rk_on_adopt, TO(DRAIN)},
    },
    [RK_ST_RETIRE] = {
        [RK_EV_TICK] = {rk_on_tick, TO(RETIRE)},
        [RK_EV_DONE] = {rk_on_done_device, TO(OBSERVE)},
        [RK_EV_FAILED] = {rk_on_failed, TO(RETIRE) | TO(OBSERVE)},
        [RK_EV_PEER] = {rk_on_peer, TO(RETIRE)},
        [RK_EV_ROTATE] = {rk_on_rotate, TO(RETIRE)},
        [RK_EV_ADOPT] = {rk_on_adopt, TO(RETIRE)},
    },
    [RK_ST_J_IDLE] = {
        [RK_EV_TICK] = {rk_on_tick, TO(J_IDLE)},
        [RK_EV_DONE] = {rk_on_done_idle, AT_IDLE},
        [RK_EV_FAILED] = {rk_on_failed, TO(J_IDLE)},
        [RK_EV_PEER] = {rk_on_peer, TO(J_IDLE)},
        [RK_EV_ROTATE] = {rk_on_rotate, TO(J_IDLE)},
        [RK_EV_ADOPT] = {rk_on_adopt, TO(J_IDLE)},
    },
    [RK_ST_J_BURNING] = {
        [RK_EV_TICK] = {rk_on_tick, TO(J_BURNING)},
        [RK_EV_DONE] = {rk_on_done_burning, TO(UNSTAGE)},
        [RK_EV_FAILED] = {rk_on_failed, TO(J_BURNING)},
        [RK_EV_PEER] = {rk_on_peer, TO(J_BURNING)},
        [RK_EV_ROTATE] = {rk_on_rotate, TO(J_BURNING)},
        [RK_EV_ADOPT] = {rk_on_adopt, TO(J_BURNING)},
    },
    [RK_ST_UNSTAGE] = {
        [RK_EV_TICK] = {rk_on_tick, TO(UNSTAGE)},
        [RK_EV_DONE] = {rk_on_done_device, TO(OBSERVE)},
        [RK_EV_FAILED] = {rk_on_failed, TO(UNSTAGE) | TO(OBSERVE)},
        [RK_EV_PEER] = {rk_on_peer, TO(UNSTAGE)},
        [RK_EV_ROTATE] = {rk_on_rotate, TO(UNSTAGE)},
        [RK_EV_ADOPT] = {rk_on_adopt, TO(UNSTAGE)},
    },
    [RK_ST_J_BURNT] = {
        [RK_EV_TICK] = {rk_on_tick, TO(J_BURNT)},
        [RK_EV_DONE] = {rk_on_done_burnt, AT_IDLE},
        [RK_EV_FAILED] = {rk_on_failed, TO(J_BURNT)},
        [RK_EV_PEER] = {rk_on_peer, TO(J_BURNT)},
        [RK_EV_ROTATE] = {rk_on_rotate, TO(J_BURNT)},
        [RK_EV_ADOPT] = {rk_on_adopt, TO(J_BURNT)},
    },
    [RK_ST_J_SHUT] = {
        [RK_EV_TICK] = {rk_on_tick, TO(J_SHUT)},
        [RK_EV_DONE] = {rk_on_done_shutting, TO(SHUT)},
        [RK_EV_FAILED] = {rk_on_failed, TO(J_SHUT)},
        [RK_EV_PEER] = {rk_on_peer, TO(J_SHUT)},
        [RK_EV_ROTATE] = {rk_on_rotate, TO(J_SHUT)},
        [RK_EV_ADOPT] = {rk_on_adopt, TO(J_SHUT)},
    },
    [RK_ST_SHUT] = {
        [RK_EV_TICK] = {rk_on_tick, TO(SHUT)},
        [RK_EV_DONE] = {rk_on_done_device, TO(OBSERVE)},
        [RK_EV_FAILED] = {rk_on_failed, TO(OBSERVE) | TO(J_IDLE) | TO(J_STAGED)},
        [RK_EV_PEER] = {rk_on_peer, TO(SHUT)},
        [RK_EV_ROTATE] = {rk_on_rotate, TO(SHUT)},
        [RK_EV_ADOPT] = {rk_on_adopt, TO(SHUT)},
    },
    [RK_ST_SWEEP] = {
        [RK_EV_TICK] = {rk_on_tick, TO(SWEEP)},
        [RK_EV_DONE] = {rk_on_done_device, TO(OBSERVE)},
        [RK_EV_FAILED] = {rk_on_failed, TO(OBSERVE) | TO(J_IDLE)},
        [RK_EV_PEER] = {rk_on_peer, TO(SWEEP)},
        [RK_EV_ROTATE] = {rk_on_rotate, TO(SWEEP)},
        [RK_EV_ADOPT] = {rk_on_adopt, TO(SWEEP)},
    },
};

static const enum rk_act acts[RK_ST_COUNT] = {
    [RK_ST_OBSERVE] = RK_ACT_OBSERVE,   [RK_ST_J_INTENT] = RK_ACT_JOURNAL, [RK_ST_FETCH] = RK_ACT_GET_NEW,
    [RK_ST_J_FETCHED] = RK_ACT_JOURNAL, [RK_ST_STAGE] = RK_ACT_STAGE,      [RK_ST_J_STAGED] = RK_ACT_JOURNAL,
    [RK_ST_J_ACTIVATING] = RK_ACT_JOURNAL, [RK_ST_ACTIVATE] = RK_ACT_ACTIVATE, [RK_ST_J_ACTIVE] = RK_ACT_JOURNAL,
    [RK_ST_RETIRE] = RK_ACT_RETIRE,     [RK_ST_J_IDLE] = RK_ACT_JOURNAL,   [RK_ST_J_BURNING] = RK_ACT_JOURNAL,
    [RK_ST_UNSTAGE] = RK_ACT_RETIRE,    [RK_ST_J_BURNT] = RK_ACT_JOURNAL,  [RK_ST_J_SHUT] = RK_ACT_JOURNAL,
    [RK_ST_SHUT] = RK_ACT_SHUT,         [RK_ST_SWEEP] = RK_ACT_SWEEP,
};

enum rk_act
rk_state_act(enum rk_state state)
{
    return acts[state];
}

bool
rk_arrow(enum rk_state from, enum rk_event_type event, enum rk_state to)
{
    return table[from][event].to >> to & 1u;
}

const char *
rk_event_name(enum rk_event_type event)
{
    static const char *const names[] = {"start",  "tick", "done",   "key",  "observed",
                                        "failed", "peer", "rotate", "adopt"};
    _Static_assert(sizeof names / sizeof *names == RK_EV_COUNT, "a name for each event");

    return event < RK_EV_COUNT ? names[event] : "?";
}

void
rk_end_init(struct rk_end *e, const struct rk_durable *d)
{
    memset(e, 0, sizeof *e);
    e->d = *d;
    if (e->d.term == 0)
        e->d.term = 1;
    e->own_sae = e->peer_sae = "";
    e->class = RK_CLASS_A;
    e->state = RK_ST_OBSERVE;
    e->wake_ns = e->give_up_ns = RK_NEVER;
}

void
rk_end_step(struct rk_end *e, const struct rk_event *ev, int64_t now_ns, struct rk_todo *todo)
{
    struct step s = {e, ev, now_ns, todo};
    const struct cell *cell = &table[e->state][ev->type];

    memset(todo, 0, sizeof *todo);
    rk_assert(cell->handler != NULL);
    if (ev->type == RK_EV_DONE || ev->type == RK_EV_KEY) { /* what was asked for works again */
        e->tries = 0;
        rk_end_alarm(e, rk_end_alarm_of(e->state), false);
    }
    e->stale = e->on_stale == RK_STALE_SHUT && rk_end_expired(e, now_ns);
    cell->handler(&s);
    rk_assert(cell->to >> e->state & 1u);
}
