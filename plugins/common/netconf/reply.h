/* reply.h - what the text of a reply says.  Pure. */
#ifndef NC_REPLY_H
#define NC_REPLY_H

#include "netconf.h"

/* nc_reply_read - read text[len], one whole message; it may be mended in place
 * out:  *reply, for nc_reply_free, when RK_OK;  *why, when RK_E_PROTOCOL
 * ret:  RK_OK; RK_E_NOENT: it can be read, and is no rpc-reply and no rpc-error (a comment, a
 *       notification); RK_E_PROTOCOL; RK_E_NOMEM */
int nc_reply_read(char *text, size_t len, struct nc_reply **reply, const char **why);

/* nc_reply_id - its message-id as text; "": it has none that fits */
struct nc_id {
    char text[40];
};
struct nc_id nc_reply_id(const struct nc_reply *reply);

/* nc_mask - replace what may be a key in text by '*', in place: runs of at least `digits` hexadecimal digits, and words
 * that begin with $9$ or another digit */
void nc_mask(char *text, size_t digits);

#endif
