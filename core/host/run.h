/* run.h - what a worker does with a call: the plugin's function between two checks
 *
 * Runs on worker threads.  It never touches anything but its call, and of the instance what is constant after init.
 */
#ifndef RK_RUN_H
#define RK_RUN_H

#include "call.h"

/* rk_run - run the call's verb and fill its reply;  job is the first member of a struct rk_call */
void rk_run(struct rk_job *job);

/* rk_run_check - can this call be run on its instance: verb and kind fit, items are as the verb wants them
 * out: a refused call's reply is set.  ret: RK_OK or RK_E_CONTRACT.   thread: main.  blocks: never */
int rk_run_check(struct rk_call *call);

/* The verbs of each kind: fill call->reply.items, return what the reply says; a text by rk_call_fail. */
int rk_run_get(struct rk_call *call);
int rk_run_source_status(struct rk_call *call);
int rk_run_source_test(struct rk_call *call);
int rk_run_channel_test(struct rk_call *call);
int rk_run_apply(struct rk_call *call);
int rk_run_observe(struct rk_call *call);
int rk_run_tend(struct rk_call *call);
int rk_run_discover(struct rk_call *call);
int rk_run_prepare(struct rk_call *call);
int rk_run_publish(struct rk_call *call);
int rk_run_watch(struct rk_call *call);
int rk_run_attach(struct rk_call *call);
int rk_run_encode(struct rk_call *call);
int rk_run_decode(struct rk_call *call);
int rk_run_neighbours(struct rk_call *call);

/* rk_run_init, rk_run_fini - make and end an instance; with the host's own options of a channel */
int rk_run_init(struct rk_call *call);
int rk_run_fini(struct rk_call *call);

/* rk_sign_post - make a post of the record of an item, with its tag
 *                ret: RK_OK, RK_E_CONTRACT, RK_E_NOENT, RK_E_NOMEM, RK_E_FATAL
 * rk_take_post - into an item of a reply: what watch or decode returned; its tag is not looked at
 * thread: any.   blocks: never */
int rk_sign_post(const struct rk_call *call, const struct rk_item *in, struct rk_post *post);
void rk_take_post(struct rk_post *post, struct rk_item *out);

/* rk_watch_verify - look at each record of a WATCH or DECODE reply: one of a bound link with the right tag loses its
 *                   tag; any other gets err and, as text, why it was refused
 * note: on the main thread, as bindings may change while a watch waits.   blocks: never */
void rk_watch_verify(struct rk_call *call);

/* rk_attach_bind - an ATTACH has come: bind its links, or unbind them, before anything else is done
 * out: items of its reply, with err where one cannot be bound;  an ended call when there is no memory
 * ret: true: its plugin wants to know as well.   thread: main.   blocks: never */
bool rk_attach_bind(struct rk_call *call);

#endif
