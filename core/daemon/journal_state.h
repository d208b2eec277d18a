/* journal_state.h - what an end remembers, as two values of its row in the journal: its state, and what is counted
 *
 * Private to journal.c and journal_file.c.  Each begins with a byte for its form, and ends with a check value over it
 * and whose it is.  A value is bound, kept and read in a fraction of the time that a column for each of its members
 * takes, and every step of a rotation writes both.
 */
#ifndef RK_JOURNAL_STATE_H
#define RK_JOURNAL_STATE_H

#include "journal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#define RK_JOURNAL_NUMBER_MAX 10 /* seven bits in each byte */
#define RK_JOURNAL_STATE_MAX                                                                                           \
    (1 + 12 * RK_JOURNAL_NUMBER_MAX + 3 * (1 + RK_KEY_ID_MAX) + 2 * (1 + RK_CONFIRM_HEX) + 8)
#define RK_JOURNAL_TALLY_MAX (1 + 3 * RK_JOURNAL_NUMBER_MAX + 8)

/* rk_journal_state_fault - what is wrong with a state; NULL: nothing
 * note: only of one with a fault NULL the packed form can be read again */
const char *rk_journal_state_fault(const struct rk_durable *d);

/* rk_journal_state_put - pack a state
 * in:   d  any values; texts are cut at the end of their arrays.   ret: bytes of `bytes` that are used */
size_t rk_journal_state_put(const struct rk_durable *d, unsigned char bytes[RK_JOURNAL_STATE_MAX]);

/* rk_journal_state_get - unpack it
 * in:   bytes  any n bytes, may be NULL for none;  d  link and end are set.   out: the rest of *d
 * ret:  NULL, or what is wrong: then *d has anything that is not its link and end */
const char *rk_journal_state_get(const unsigned char *bytes, size_t n, struct rk_durable *d);

/* rk_journal_tally_put - pack it
 * in:   link, end  whose it is.   ret: bytes of `bytes` that are used */
size_t rk_journal_tally_put(const struct rk_journal_tally *t, const char *link, char end,
                            unsigned char bytes[RK_JOURNAL_TALLY_MAX]);

/* rk_journal_tally_get - unpack it
 * in:   bytes  any n bytes, may be NULL for none;  link, end  whose it should be
 * out:  *t, zeros when it is damaged.   ret: is it sound */
bool rk_journal_tally_get(const unsigned char *bytes, size_t n, const char *link, char end, struct rk_journal_tally *t);

/* rk_journal_add_state - to migrate, give a connection the SQL functions rk_tally(link, end, last, done, failed) and
 *                        rk_state(link, end, role, phase, term, seq, floor, cur_seq, prev_seq, cur, prev, cand, mine,
 *                        theirs, cur_since_ms, cur_boot, cur_boot_ns, flags, start_ms): the columns of older schemas
 *                        packed, or NULL when something is wrong with them
 * ret:  SQLite's code */
int rk_journal_add_state(sqlite3 *db);

#endif
