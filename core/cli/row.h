/* row.h - members of a row, whatever the row holds: a missing or wrong one is the default, never an error
 *
 * Pure.  Used in rekeyctl.
 */
#ifndef RK_CLI_ROW_H
#define RK_CLI_ROW_H

#include <jansson.h>

#include <stdbool.h>
#include <stdint.h>

/* rk_row_text - a text of a row
 * in:   row, may be NULL;  dflt  what to return when there is none.   own: the row's.   src: design */
const char *rk_row_text(const json_t *row, const char *name, const char *dflt);

/* rk_row_int - a whole number of a row; dflt when there is none.   src: design */
int64_t rk_row_int(const json_t *row, const char *name, int64_t dflt);

/* rk_row_has_int - is there such a number (null is none).   src: design */
bool rk_row_has_int(const json_t *row, const char *name);

/* rk_row_words - the texts of a list, each with a comma or blank behind it but the last, into out[size]
 * note: what does not fit is left out whole, with "..." in its place.   src: design */
void rk_row_words(const json_t *row, const char *name, char *out, size_t size);

#endif
