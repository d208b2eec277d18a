/* record.h - one record in one file: names and content
 *
 * LINK.rec holds the record, one line of printable ASCII without blanks, and a newline that shows that it is whole.
 */
#ifndef SPOOL_RECORD_H
#define SPOOL_RECORD_H

#include <rekey/channel.h>

#include <stdbool.h>
#include <stddef.h>

#define SPOOL_SUFFIX ".rec"
#define SPOOL_FILE_MAX (RK_LINK_MAX + sizeof SPOOL_SUFFIX) /* a file name with its NUL [bytes] */

/* spool_name - file name of a link into out[SPOOL_FILE_MAX]; ret: false when link is not a link name */
bool spool_name(const char *link, char *out);

/* spool_link - link of a file name into out[RK_LINK_MAX + 1]; ret: false when name is not LINK.rec */
bool spool_link(const char *name, char *out);

/* spool_record_flaw - what is wrong with text[len] as the content of a file; NULL: nothing */
const char *spool_record_flaw(const char *text, size_t len);

#endif
