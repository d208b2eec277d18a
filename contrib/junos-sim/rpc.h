/* rpc.h - requests of a session and what is written in answer
 *
 * Used by the session's thread only.
 */
#ifndef SIM_RPC_H
#define SIM_RPC_H

#include "session.h"

struct call {
    struct session *s;
    const char *name;            /* of the request */
    const xmlNode *request;
    FILE *out;                   /* body of the reply */
    struct conf_errors *errors;  /* for use by the call; written by whoever uses it */
    bool hang_up;                /* end the session when the reply is sent */
    bool malformed;              /* the reply's end is cut off */
};
typedef void rpc_fn(struct call *c);

/* say_ok - <ok/>.   say_error - one <rpc-error>;  tag, path, element: "": usual, none
 * say_errors - all that were noted.   say_fault - the error of a fault; false: it has none */
void say_ok(struct call *c);
void say_error(struct call *c, const char *severity, const char *tag, const struct conf_error *e);
void say_message(struct call *c, const char *tag, const char *message);
void say_errors(struct call *c);
bool say_fault(struct call *c, const struct sim_fault_hit *hit);

/* flag - does the request have this child element?   text_of_child - its text, "" without */
bool flag(const xmlNode *request, const char *name);
const char *text_of_child(const xmlNode *request, const char *name, char *out, size_t size);
const char *attribute(const xmlNode *n, const char *name, char *out, size_t size);

/* What answers configuration RPCs: rpc_edit.c, rpc_get.c, rpc_commit.c */
void rpc_lock(struct call *c);
void rpc_unlock(struct call *c);
void rpc_open(struct call *c);
void rpc_close(struct call *c);
void rpc_load(struct call *c);
void rpc_edit(struct call *c);
void rpc_discard(struct call *c);
void rpc_get_configuration(struct call *c);
void rpc_get_config(struct call *c);
void rpc_rollback_information(struct call *c);
void rpc_commits(struct call *c);
void rpc_commit_revision(struct call *c);
void rpc_database(struct call *c);
void rpc_commit(struct call *c);
void rpc_commit_standard(struct call *c);
void rpc_validate(struct call *c);

#endif
