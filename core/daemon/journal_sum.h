/* journal_sum.h - check values of the journal's rows; private to journal.c and journal_file.c
 *
 * FNV-1a over the values of a row and their types: in SQL the function rk_sum(...), and for what is written the same in
 * C, made while the values are bound.  Packed values are taken as words.
 */
#ifndef RK_JOURNAL_SUM_H
#define RK_JOURNAL_SUM_H

#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

/* A statement whose values are bound one after the other. */
struct rk_journal_row {
    sqlite3_stmt *s;
    int at;       /* parameter that is bound next */
    uint64_t sum; /* of the values up to now */
};

/* rk_journal_sum_start - the check value of nothing */
uint64_t rk_journal_sum_start(void);

/* rk_journal_row - begin with a statement's first parameter, and the check value of nothing */
struct rk_journal_row rk_journal_row(sqlite3_stmt *s);

/* rk_journal_row_int, _text - bind the next parameter, and take it into the check value
 * in:   text  text[len]; stays as it is until the statement was run */
void rk_journal_row_int(struct rk_journal_row *r, int64_t value);
void rk_journal_row_text(struct rk_journal_row *r, const char *text, size_t len);

/* rk_journal_sum_int, _text - take a value into the check value only, as rk_sum(...) does.   ret: the new one */
uint64_t rk_journal_sum_int(uint64_t sum, int64_t value);
uint64_t rk_journal_sum_text(uint64_t sum, const char *text, size_t len);

/* rk_journal_sum_block - take bytes into it, eight at a time: not what rk_sum(...) does.   ret: the new one
 * note: each value that is taken in, with the length, tells of a change of any one word for certain */
uint64_t rk_journal_sum_block(uint64_t sum, const void *bytes, size_t n);

/* rk_journal_add_sum - give a connection the SQL function rk_sum(...), the check value of a row
 * ret:  SQLite's code */
int rk_journal_add_sum(sqlite3 *db);

#endif
