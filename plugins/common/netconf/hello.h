/* hello.h - the first message of each side: what a peer can do, and which framing follows.  Pure. */
#ifndef NC_HELLO_H
#define NC_HELLO_H

#include <stdbool.h>
#include <stddef.h>

#define NC_HELLO_MAX (1024 * 1024) /* longest hello of a peer [bytes] */
#define NC_CAPS_MAX (64 * 1024)    /* what is kept of its capabilities [bytes]; no router comes near */

extern const char nc_hello_ours[]; /* with its delimiter */

struct nc_hello {
    char session_id[24];
    char *caps;       /* capabilities without their queries, each NUL-ended */
    size_t caps_len;
    bool base_1_1;    /* so that chunks follow, as we can read them, too */
    char refused[240]; /* why it sent an error instead */
};

/* nc_hello_read - read text[len], the peer's first message; it may be mended in place
 * out:  *h, for nc_hello_end;  *why, when RK_E_PROTOCOL
 * ret:  RK_OK; an error was there instead or before it, h->refused says which: RK_E_AUTH (permission) or RK_E_BUSY (all
 *       else: a limit is what it is known for); RK_E_PROTOCOL; RK_E_NOMEM.   src: RFC 6241 8.1; RFC 6242 4.1 */
int nc_hello_read(char *text, size_t len, struct nc_hello *h, const char **why);
void nc_hello_end(struct nc_hello *h);

/* nc_hello_has - this capability, without query */
bool nc_hello_has(const struct nc_hello *h, const char *capability);

#endif
