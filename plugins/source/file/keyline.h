/* keyline.h - one key of a pool as text
 *
 * Pure.  What it decodes is the caller's to wipe.
 */
#ifndef FILE_KEYLINE_H
#define FILE_KEYLINE_H

#include <stddef.h>

struct keyline {
    const char *id, *key; /* in the line; id NULL: the line holds no key (blank, comment) */
    size_t id_len, key_len;
};

/* keyline_split - "ID KEY", blanks around and between, or a comment line
 * ret:  NULL, or what is wrong with the line */
const char *keyline_split(const char *line, size_t len, struct keyline *out);

/* keyline_decode - hex or base64 to bytes[RK_SECRET_MAX]
 * in:   raw  what is neither is taken as it is
 * out:  *n
 * ret:  NULL, or what is wrong with the key (no text, too short or long, all zeros) */
const char *keyline_decode(const char *text, size_t len, int raw, unsigned char *bytes, size_t *n);

#endif
