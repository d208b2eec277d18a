/* table.h - a table of text whose columns are as wide as what is in them
 *
 * Used in rekeyctl.
 */
#ifndef RK_CLI_TABLE_H
#define RK_CLI_TABLE_H

#include "cli.h"

#include <rekey/plugin.h>

enum rk_tone { RK_TONE_PLAIN, RK_TONE_GOOD, RK_TONE_BUSY, RK_TONE_WARN, RK_TONE_BAD };

struct rk_column {
    const char *title;
    bool right;            /* numbers */
    bool cut;              /* the one that is cut when the table is too wide; at most one */
    const char *hide_when; /* leave the column out when every cell is this; NULL: never */
};

struct rk_cell;

struct rk_table {
    const struct rk_column *columns;
    size_t n_columns;
    struct rk_cell *cells; /* n of them, row by row */
    size_t n, room;
    bool utf8, failed;     /* failed: no memory, the table is not whole */
};

/* rk_table_start - an empty table
 * in:   columns[n], kept by reference;  utf8  see rk_show_safe.   own: end it with rk_table_free.   src: design */
void rk_table_start(struct rk_table *t, const struct rk_column *columns, size_t n, bool utf8);

/* rk_table_add - the next cell, made safe for a terminal; rows fill from the left
 * note: no memory sets t->failed.   src: design */
void rk_table_add(struct rk_table *t, enum rk_tone tone, const char *fmt, ...) RK_PRINTF(3, 4);

/* rk_table_print - heading and rows
 * in:   max_rows  0: all; else how many, with a line that says how many more there are
 * src:  design */
void rk_table_print(const struct rk_table *t, const struct rk_cli_io *io, size_t max_rows);

/* rk_table_free - free the cells.   src: design */
void rk_table_free(struct rk_table *t);

/* rk_tone_on, rk_tone_off - the terminal's sequences for a tone; "" when io has no colour
 * own: static.   src: ECMA-48 8.3.117 (SGR) */
const char *rk_tone_on(const struct rk_cli_io *io, enum rk_tone tone);
const char *rk_tone_off(const struct rk_cli_io *io, enum rk_tone tone);

#endif
