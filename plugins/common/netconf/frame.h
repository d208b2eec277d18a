/* frame.h - messages of NETCONF in a stream of bytes, both framings
 *
 * Pure and incremental: bytes come as they come, a delimiter may be cut anywhere.  What is kept is bounded and wiped.
 */
#ifndef NC_FRAME_H
#define NC_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NC_DELIMITER "]]>]]>"
#define NC_CHUNK_MAX 4294967295u /* largest chunk.   src: RFC 6242 4.2 */

enum nc_frame_at { NC_AT_START = 0, NC_AT_SIZE1, NC_AT_SIZE, NC_AT_DATA, NC_AT_AFTER, NC_AT_HASH, NC_AT_END };

/* All zero but max is the start of a stream. */
struct nc_frame {
    bool chunked;     /* the framing of what comes next; set between two messages */
    size_t max;       /* longest message [bytes] */
    char *buf;        /* the message so far */
    size_t len, room;
    enum nc_frame_at at;  /* chunked: */
    bool newline, begun;  /* the last byte before a chunk was '\n'; a chunk of this message was there */
    uint64_t left;        /* of the chunk */
    const char *why;      /* what was wrong */
};

/* nc_frame_feed - take bytes[n] until a message is whole
 * out:  *used, how many were taken: all of them when no message became whole
 * ret:  1: a message is whole, take it;  0: not yet;  RK_E_PROTOCOL: f->why says what is wrong; RK_E_NOMEM.  After an
 *       error the stream cannot be read any more.   src: RFC 6242 4.2, 4.3 */
int nc_frame_feed(struct nc_frame *f, const char *bytes, size_t n, size_t *used);

/* nc_frame_take - the whole message, NUL-ended, for nc_wipe_free;  NULL: out of memory */
char *nc_frame_take(struct nc_frame *f, size_t *len);

/* nc_frame_end - forget what was there of a message */
void nc_frame_end(struct nc_frame *f);

/* nc_wipe_free - wipe and free text[len]; NULL is fine */
void nc_wipe_free(char *text, size_t len);

#endif
