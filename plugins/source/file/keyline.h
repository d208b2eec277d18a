/* keyline.h - one key of a pool as a line of text: where the ID is, and where the key
 *
 * Pure; texts never hold what was read.
 */
#ifndef FILE_KEYLINE_H
#define FILE_KEYLINE_H

#include <stddef.h>

struct keyline {
    const char *id, *key; /* in the line; id NULL: the line holds no key (blank, comment) */
    size_t id_len, key_len;
};

/* keyline_split - "ID KEY", "ID: KEY", "ID:KEY" or "ID,KEY", with blanks around and between; or a comment line
 * ret:  NULL, or what is wrong with the line, and what to do about it */
const char *keyline_split(const char *line, size_t len, struct keyline *out);

#endif
