/* show.h - text for a terminal: nothing in it can control the terminal; times as people write them
 *
 * Pure.  Used in rekeyctl.
 */
#ifndef RK_CLI_SHOW_H
#define RK_CLI_SHOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RK_SPAN_MAX 32 /* longest time as text, with NUL [bytes] */

/* rk_show_safe - a copy of text in which every control, direction or undecodable character is '?'
 * in:   text, any bytes;  utf8  false: what is not ASCII is '?', too
 * ret:  owned by the caller (free); NULL: no memory.   thread: any.  src: design */
char *rk_show_safe(const char *text, bool utf8);

/* rk_show_width - columns that text made by rk_show_safe takes
 * ret: columns, 0..   src: wcwidth(3) */
int rk_show_width(const char *text);

/* rk_show_cut - bytes of text that fit in this many columns
 * in:  columns, 0 or more.   ret: [bytes], at a character's end.   src: wcwidth(3) */
size_t rk_show_cut(const char *text, int columns);

/* rk_show_span - a time as "0:43", "1:02:03" or "3d 04:05"; less than nothing is "0:00"
 * out: out[RK_SPAN_MAX].   src: design */
void rk_show_span(int64_t ms, char *out);

#endif
