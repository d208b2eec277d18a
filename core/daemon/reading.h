/* reading.h - what an end asks its device to tell, and the answer that may be here already; reading.c */
#ifndef RK_READING_H
#define RK_READING_H

#include "daemon.h"

/* reading_ask - the keys of an OBSERVE
 * reading_ask_too - those of the OBSERVE that will follow the APPLY that end->act is; they are remembered
 * reading_keep - the answer of that APPLY for this end: its reading, if there is one, is kept for the next OBSERVE
 * reading_drop - it is not wanted any more
 * thread: loop.   blocks: never */
void reading_ask(const struct end *end, struct rk_item *item);
void reading_ask_too(struct end *end, struct rk_item *item);
void reading_keep(struct end *end, const struct rk_item *item, int64_t now_ns);
void reading_drop(struct end *end);

/* reading_answers - answer the OBSERVE that end->act is with the reading that is kept, if there is one that can be
 *                   relied on; it is gone after this in any case.   ret: was it answered; else ask the device
 * reading_answer - answer it with what the device has told now
 * thread: loop.   blocks: never */
bool reading_answers(struct end *end, int64_t now_ns);
void reading_answer(struct end *end, const struct rk_item *item);

#endif
