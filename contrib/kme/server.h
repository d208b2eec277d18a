/* server.h - one KME on the network: evhttp over TLS, around kme_answer()
 *
 * All KMEs of a process run on one event loop, on one thread.
 */
#ifndef KME_SERVER_H
#define KME_SERVER_H

#include "conf.h"
#include "ledger.h"

#include <event2/event.h>

struct kme_server;

/* kme_server_new - listen and serve on the loop
 * in:   base, conf, ledger: valid as long as the server
 * ret:  NULL with why[KME_CONF_TEXT_MAX];  kme_server_free may be given NULL.   thread: the loop's */
struct kme_server *kme_server_new(struct event_base *base, const struct kme_conf *conf, struct kme_ledger *ledger,
                                  char *why);
void kme_server_free(struct kme_server *server);

/* kme_server_where - "ADDRESS:PORT" that it listens on, with the port that the kernel chose
 * own:  the server's */
const char *kme_server_where(const struct kme_server *server);

#endif
