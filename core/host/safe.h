/* safe.h - what a plugin gave, made fit to be passed on
 *
 * Runs in rekey-host, any thread.  Nothing that comes out of a plugin reaches rekeyd or a log without it.
 */
#ifndef RK_SAFE_H
#define RK_SAFE_H

#include <stdbool.h>
#include <stddef.h>

/* rk_safe_err - a code as it may be passed on: RK_OK or a code of enum rk_err; anything else is RK_E_CONTRACT */
int rk_safe_err(int err);

/* rk_safe_text - end text[size] with a NUL and show what is not printable ASCII as '?', in place */
void rk_safe_text(char *text, size_t size);

/* rk_safe_copy - copy what fits of src (NULL: "") into dst[size], made safe */
void rk_safe_copy(char *dst, size_t size, const char *src);

/* rk_safe_ended - does text[size] hold a NUL */
bool rk_safe_ended(const char *text, size_t size);

/* rk_safe_record - is text[size] a record: NUL-ended, not empty, printable ASCII without blanks */
bool rk_safe_record(const char *text, size_t size);

#endif
