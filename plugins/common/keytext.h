/* keytext.h - key IDs and keys as text: UUIDs, hex, base64
 *
 * Pure; linked into plugins.  Decoding takes a time that does not depend on which digits the text has; callers
 * wipe what they pass and get.
 */
#ifndef RKP_KEYTEXT_H
#define RKP_KEYTEXT_H

#include <stdbool.h>
#include <stddef.h>

#define RKP_UUID_LEN 36

/* rkp_uuid_ok - is it a UUID: 8-4-4-4-12 hex digits, either case */
bool rkp_uuid_ok(const char *id);

/* rkp_uuid_put - random[16] as a UUID of version 4 into out[RKP_UUID_LEN + 1], lower case.   src: RFC 9562, 5.4 */
void rkp_uuid_put(const unsigned char random[16], char *out);

/* rkp_key_id_ok - is id[len] a key ID: 1..RK_KEY_ID_MAX printable ASCII without blank, '|', '/' */
bool rkp_key_id_ok(const char *id, size_t len);

/* rkp_key_id_fold - a UUID to lower case in place; other IDs stay as they are */
void rkp_key_id_fold(char *id);

/* rkp_name_ok - is name[len] a name: 1..max of [A-Za-z0-9._-], first a letter or digit */
bool rkp_name_ok(const char *name, size_t len, size_t max);

/* rkp_hex_put - bytes[n] as lower-case hex into out[2n + 1] */
void rkp_hex_put(const unsigned char *bytes, size_t n, char *out);

/* rkp_hex_len - length of the bytes that text[len] is the hex form of [bytes]; 0: it is none
 * rkp_hex_get - decode into bytes[rkp_hex_len()] */
size_t rkp_hex_len(const char *text, size_t len);
void rkp_hex_get(const char *text, size_t len, unsigned char *bytes);

/* rkp_base64_len - the same for base64 with padding
 * rkp_base64_get - decode into bytes[rkp_base64_len()].   src: RFC 4648, 4 */
size_t rkp_base64_len(const char *text, size_t len);
void rkp_base64_get(const char *text, size_t len, unsigned char *bytes);

#endif
