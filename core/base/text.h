/* text.h - small checked operations on names and hex
 *
 * Pure; used in every process.
 */
#ifndef RK_BASE_TEXT_H
#define RK_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* rk_copy - copy src into dst[size] with its NUL
 * ret:  true when all of src fitted; else dst holds "" (a cut name is a wrong name) */
bool rk_copy(char *dst, size_t size, const char *src);

/* rk_name_ok - is it a name: 1..max of [A-Za-z0-9._-], first a letter or digit */
bool rk_name_ok(const char *name, size_t max);

/* rk_key_id_ok - is it a key ID: 1..RK_KEY_ID_MAX printable ASCII without blank, '|', '/' */
bool rk_key_id_ok(const char *id);

/* rk_key_id_fold - a UUID (8-4-4-4-12 hex digits) to lower case in place; other IDs stay as they are */
void rk_key_id_fold(char *id);

/* rk_hex_put - bytes[n] as lower-case hex into out[2n + 1]; time does not depend on the bytes
 * rk_hex_get - hex text into bytes[n]; ret: true when it is exactly 2n hex digits; time does not
 *              depend on which digits they are */
void rk_hex_put(const unsigned char *bytes, size_t n, char *out);
bool rk_hex_get(const char *hex, unsigned char *bytes, size_t n);

/* rk_hex_ok - is it exactly that many hex digits; for what is public: time depends on them */
bool rk_hex_ok(const char *hex, size_t digits);

/* rk_same - compare n bytes in a time that does not depend on them; true when equal */
bool rk_same(const void *a, const void *b, size_t n);

/* rk_nearest - the entry of names[n] that word was most likely meant to be; NULL when none is near */
const char *rk_nearest(const char *word, const char *const *names, size_t n);

/* rk_hash - 64-bit FNV-1a of text: spreads links over time, not for security */
unsigned long long rk_hash(const char *text);

#endif
