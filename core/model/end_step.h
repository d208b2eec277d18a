/* end_step.h - what the files of the state machine share; private to core/model
 *
 * end.c has the table and the handlers, end_wait.c what a waiting end makes of its peer's record, end_resume.c what
 * follows from the device's truth, end_say.c what an end says to its peer and to people.
 */
#ifndef RK_END_STEP_H
#define RK_END_STEP_H

#include "end.h"

#define RK_REKEY_FACT ",rekey" /* behind a slave's facts: it needs a new key (packet numbers run out) */

struct step { /* one call of rk_end_step */
    struct rk_end *e;
    const struct rk_event *ev;
    int64_t now_ns;
    struct rk_todo *todo;
};

static inline bool
rk_is_master(const struct rk_end *e)
{
    return e->d.role == RK_MASTER;
}

/* rk_end_go - enter a state: ask for its action, or publish and look at the peer's record */
void rk_end_go(struct step *s, enum rk_state state);
/* rk_end_burn - give the candidate up: first in the journal, then on the device, then for good */
void rk_end_burn(struct step *s, int err, const char *why);
/* rk_end_retry - ask for the state's action again, later */
void rk_end_retry(struct step *s);
/* rk_end_remember - the last result, for people;  rk_end_note - a history event;  rk_end_alarm - raise or clear */
void rk_end_remember(struct step *s, int err, const char *why);
void rk_end_note(struct step *s, const char *event, const char *key_id);
void rk_end_alarm(struct rk_end *e, uint32_t alarm, bool on);
/* rk_end_uses - is it a key that the device holds for us already;  rk_end_fits - do offer and answer for it
 * fit a record */
bool rk_end_uses(const struct rk_end *e, const char *key_id);
bool rk_end_fits(const struct rk_end *e, const char *key_id);
/* rk_end_activated - the device transmits on the candidate: it is the current key now */
void rk_end_activated(struct step *s);
/* rk_end_consider - a waiting state looks at what the peer last said */
void rk_end_consider(struct step *s);
/* rk_end_catch_up - a slave counts all that its peer said as past, and says so */
void rk_end_catch_up(struct step *s);
/* rk_end_resume - go on from e->d.phase with what the device was seen to hold */
void rk_end_resume(struct step *s, const struct rk_seen *seen);

#endif
