/* end_table.h - the transition table, for whoever enumerates it: tests, and the assertion in rk_end_step()
 *
 * Pure.  The table itself is in end_table.c: for each state and event the handler, and the states that may follow.
 */
#ifndef RK_END_TABLE_H
#define RK_END_TABLE_H

#include "end.h"

/* rk_arrow - may an end that is in `from` be in `to` after one event of this type.   thread: any */
bool rk_arrow(enum rk_state from, enum rk_event_type event, enum rk_state to);

/* rk_state_act - the action that entering a state asks for; RK_ACT_NONE for those that wait
 * note: FETCH asks for RK_ACT_GET_NEW, and of a slave for RK_ACT_GET_BY_ID.   thread: any */
enum rk_act rk_state_act(enum rk_state state);

/* rk_event_name - "start", "tick", ...; "?" for none.   own: static */
const char *rk_event_name(enum rk_event_type event);

#endif
