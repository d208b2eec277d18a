/* container.h - reads the key container of ETSI GS QKD 014 in place
 *
 * Pure: no allocation, no I/O, no libraries.  A key never leaves the caller's buffer, which can therefore be
 * wiped; a general JSON library would spread it over its heap.
 */
#ifndef ETSI014_CONTAINER_H
#define ETSI014_CONTAINER_H

#include <rekey/source.h>

#include <stdbool.h>
#include <stddef.h>

struct container_key {
    char id[RK_KEY_ID_MAX + 1]; /* checked, UUIDs folded to lower case */
    const char *text;           /* the key in base64, inside the caller's buffer */
    size_t text_len;            /* [bytes] */
};

/* container_read - find the keys of a reply
 * in:    body[len]  JSON text, changed in place (escapes are resolved);  lenient  also take the member names
 *        key_id and keyId;  max  room in keys
 * out:   keys[*n];  *why  static text when the reply is refused
 * ret:   RK_OK; RK_E_PROTOCOL: not JSON, no list of keys, a member missing or twice, an ID that cannot be used
 *        or comes twice, more than max keys
 * own:   keys[].text points into body.   thread: any.  blocks: never
 * src:   ETSI GS QKD 014 V1.1.1, 6.3; RFC 8259
 */
int container_read(char *body, size_t len, bool lenient, struct container_key *keys, size_t max, size_t *n,
                   const char **why);

/* container_fold_id - check a key ID and fold a UUID to lower case, in place
 * ret:   true when it is 1..RK_KEY_ID_MAX printable ASCII without blank, '|' and '/'
 */
bool container_fold_id(char *id);

/* base64_size - how many bytes this base64 text stands for, by its length and padding; 0: the shape is wrong
 * in:    lenient  also without padding
 */
size_t base64_size(const char *text, size_t len, bool lenient);

/* base64_get - decode into bytes[size], size as base64_size() told
 * in:    lenient  also the URL-safe alphabet and no padding
 * ret:   RK_OK or RK_E_PROTOCOL (a character that is not base64, spare bits that are not zero)
 * note:  its time depends on the lengths only, not on the characters
 * src:   RFC 4648, 3.5, 4 and 5
 */
int base64_get(const char *text, size_t len, bool lenient, unsigned char *bytes, size_t size);

#endif
