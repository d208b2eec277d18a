/* send.h - sends answers, in all the ways in which an answer can be sent badly
 *
 * What needs time is held: requests wait in a list until they are sent, or their client has gone.
 */
#ifndef KME_SEND_H
#define KME_SEND_H

#include "api.h"

#include <event2/event.h>
#include <event2/http.h>

struct kme_held;

struct kme_sender {
    struct event_base *base;
    struct kme_held *held;
    bool one_at_a_time; /* a slow answer holds up those behind it */
    int64_t busy_until_ns;
};

/* kme_send - answer a request; takes ans->text
 * in:   fault  what was asked for: slow, slow-loris, drop and so on are done here
 * thread: the loop's.   blocks: never */
void kme_send(struct kme_sender *sender, struct evhttp_request *req, struct kme_answer *ans,
              const struct kme_fault *fault);

/* kme_send_stop - forget what is held, before the evhttp is freed */
void kme_send_stop(struct kme_sender *sender);

#endif
