/* head.h - reads the head of an HTTP request: the one method, the paths and the media type that a server has
 *
 * Pure: no allocation, no I/O.  It knows what it needs of RFC 9112, and refuses what it does not know.
 */
#ifndef RKP_HEAD_H
#define RKP_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#define RKP_HEAD_MAX 4096 /* longest head [bytes]; ours has about 200 */
#define RKP_SESSION_LEN 16   /* of a session's number [characters]: hexadecimal */

/* What requests a server takes: POST of this media type to one of these paths. */
struct rkp_head_rule {
    const char *const *paths; /* NULL-ended */
    const char *type;
    const char *session;      /* member of the head with a session's number; NULL: there is none */
};

struct rkp_head {
    size_t len;                    /* of the head itself [bytes] */
    size_t body_len;               /* Content-Length */
    size_t path;                   /* its place in paths */
    char session[RKP_SESSION_LEN + 1]; /* "" not given */
    bool close;                    /* Connection: close */
};

/* rkp_head_read - read a head as far as it has come
 * in:    text[len]  from the first byte of the request on
 * out:   *h, when it is whole and good
 * ret:   0: not whole yet; 200: it is good; else the status code of its refusal, after which nothing more is read
 * thread: any.   blocks: never.   src: RFC 9112, 3 and 6 */
int rkp_head_read(const struct rkp_head_rule *rule, const char *text, size_t len, struct rkp_head *h);

#endif
