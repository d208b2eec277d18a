/* body.h - reads and writes the body of a request of the channel "peer": a line for each record
 *
 *   LINK TAB RECORD LF
 *
 * Pure: no allocation, no I/O.  What is read stays in the caller's buffer.  rekey-peer(7) specifies it.
 */
#ifndef PEER_BODY_H
#define PEER_BODY_H

#include <rekey/channel.h>

#include <stdbool.h>
#include <stddef.h>

#define BODY_LINES_MAX 256 /* records of one request */
#define BODY_LINE_MAX (RK_LINK_MAX + 1 + RK_RECORD_MAX + 1)
#define BODY_MAX (BODY_LINES_MAX * BODY_LINE_MAX) /* longest body [bytes] */

struct body_line {
    const char *link, *record; /* NUL-ended, in the caller's buffer */
};

/* body_read - take a body apart
 * in:    text[len], changed in place: separators become NUL
 * out:   lines[BODY_LINES_MAX], *n of them;  *why  static text when it is refused
 * ret:   RK_OK; RK_E_PROTOCOL: anything but whole lines, each a link name and a record; or too many
 * own:   lines point into text.   thread: any.   blocks: never */
int body_read(char *text, size_t len, struct body_line *lines, size_t *n, const char **why);

/* body_put - append one line
 * in:    text[used of BODY_MAX];  link, record  as body_read takes them
 * ret:   bytes used then; 0: it does not fit, or is none.   thread: any */
size_t body_put(char *text, size_t used, const struct body_line *line);

/* body_link_ok - is it a link name;  body_record_ok - is it a record, or one word */
bool body_link_ok(const char *link);
bool body_record_ok(const char *record);

#endif
