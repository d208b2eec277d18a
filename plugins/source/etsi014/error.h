/* error.h - reads the error body of ETSI GS QKD 014 in place.  Pure: no allocation, no I/O */
#ifndef ETSI014_ERROR_H
#define ETSI014_ERROR_H

#include <stdbool.h>
#include <stddef.h>

enum error_kind { ERROR_OTHER, ERROR_JSON, ERROR_HTML, ERROR_NOTHING };

/* error_read - the server's own message
 * in:    body[len], changed in place;  size  room at message, 2 at least
 * out:   message  that of the standard, or error, detail or a line of plain text as some servers send; "" when there is
 *        none; else printable ASCII without '"', cut to fit.  A run of characters that may be a key is "***" in it
 * ret:   what the body is, by its own look: servers send errors without Content-Type, or with a wrong one
 * thread: any.   blocks: never.   src: ETSI GS QKD 014 V1.1.1, 6.5 */
enum error_kind error_read(char *body, size_t len, char *message, size_t size);

/* error_is_html - does this text begin as HTML or XML does */
bool error_is_html(const char *body, size_t len);

#endif
