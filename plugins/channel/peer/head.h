/* head.h - reads the head of an HTTP request of the channel "peer": the one method, path and media type that it has
 *
 * Pure: no allocation, no I/O.  It knows what it needs of RFC 9112, and refuses what it does not know.
 */
#ifndef PEER_HEAD_H
#define PEER_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#define HEAD_MAX 4096 /* longest head [bytes]; ours has about 200 */
#define HEAD_PATH "/rekey/v1/records"
#define HEAD_TYPE "application/x-rekey-records"
#define SESSION_LEN 16 /* of Rekey-Session [characters]: hexadecimal */

struct head {
    size_t len;                    /* of the head itself [bytes] */
    size_t body_len;               /* Content-Length */
    char session[SESSION_LEN + 1]; /* Rekey-Session; "" not given */
    bool close;                    /* Connection: close */
};

/* head_read - read a head as far as it has come
 * in:    text[len]  from the first byte of the request on
 * out:   *h, when it is whole and good
 * ret:   0: not whole yet; 200: it is good; else the status code of its refusal, after which nothing more is read
 * thread: any.   blocks: never.   src: RFC 9112, 3 and 6; rekey-peer(7) */
int head_read(const char *text, size_t len, struct head *h);

#endif
