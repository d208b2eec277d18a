/* journal_file.h - the database under the journal; private to journal.c and journal_file.c
 *
 * journal_file.c makes, checks, migrates and renews the file; journal.c says what is in it.
 */
#ifndef RK_JOURNAL_FILE_H
#define RK_JOURNAL_FILE_H

#include "journal.h"

#include <stdbool.h>
#include <sys/types.h>

#include <sqlite3.h>

enum statement { S_BEGIN, S_COMMIT, S_ROLLBACK, S_PUT, S_NOTE, S_END, S_END_NEW, S_END_EMPTY, S_END_LAST,
                 S_END_FORGET, S_STATE_FORGET, S_LOAD, S_EVENT, S_EVENT_PUT, S_EVENT_FORGET, S_EVENT_OLDEST,
                 S_EVENT_PRUNE, S_CHANKEY_PUT, S_CHANKEY_PROVEN, S_CHANKEY_DROP, S_CHANKEY_FORGET, S_CHANKEY_LOAD,
                 STATEMENTS };

#define JOURNAL_PATH_BYTES 512

/* Which file a name meant. */
struct file_id {
    dev_t dev;
    ino_t ino; /* 0: none */
};

struct rk_journal {
    sqlite3 *db; /* NULL: could not be opened again */
    sqlite3_stmt *stmt[STATEMENTS];
    struct file_id db_id, wal_id; /* as they were opened */
    bool open;             /* a group is */
    bool broken;           /* the file is damaged, or not at its place: nothing goes into it any more */
    bool hollow;           /* it was renewed, and nothing was committed since */
    bool begun_anew;       /* the damaged file is out of the way, the new one not there yet */
    int failed;            /* RK_OK, or why the open group cannot be committed */
    char why[RK_TEXT_MAX]; /* the same in words */
    int64_t last_id;       /* newest event */
    uint32_t epoch;        /* of what callers remember about rows: another one after they may have changed */
    uint64_t damaged;
    int64_t folded_ns;     /* when the log was last folded into the file */
    char path[JOURNAL_PATH_BYTES];
};

/* rk_journal_explain - say what an SQLite code means for the operator; a damaged file makes the journal broken
 * ret:  enum rk_err */
int rk_journal_explain(struct rk_journal *j, int rc, char *why, size_t size);

/* rk_journal_run - run a statement that gives no rows, and make it ready for its next use.   ret: SQLite's code */
int rk_journal_run(sqlite3_stmt *s);

/* rk_journal_text - text of a column of the row at hand into dst[size]
 * ret:  false: it is no text, holds a NUL, or does not fit */
bool rk_journal_text(sqlite3_stmt *s, int at, char *dst, size_t size);

/* rk_journal_group_failed - the open group cannot be committed any more; the first reason counts.   ret: enum rk_err */
int rk_journal_group_failed(struct rk_journal *j, int rc);

/* rk_journal_in_place - do the names of the file and its log still mean the files that were opened */
bool rk_journal_in_place(const struct rk_journal *j);

#endif
