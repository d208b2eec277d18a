/* journal_file.c - the journal's file: made, opened, checked, migrated from older schemas, and renewed.
 *
 * Runs in the loop of rekeyd; with journal.c the only file that uses SQLite.  Nothing is written to a file before it
 * is known to be a journal of this schema or an older one.  Every row carries a check value of its own, for SQLite
 * sees damage to its pages' structure only: it is against decay, not against people.
 */
#include "journal_file.h"

#include "journal_state.h"
#include "journal_sum.h"

#include "../base/clock.h"
#include "../base/log.h"
#include "../base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCHEMA 3
/* The log is folded into the file once a second when it has so many pages, and at the latest at the most. */
#define LOG_PAGES 128
#define LOG_PAGES_MAX 1000
#define LOG_FOLD_NS RK_NS_PER_S
#define APPLICATION_ID 0x524b4a31 /* "RKJ1" */

/* An end has a row in links, which tells its number, and one in states, which is written at each step: both are packed
 * (journal_state.h), and empty until there is something.  The text of each is compared with what a file says, so a
 * schema's number is in it: a newer schema must have another.  Nothing here reads `rotations`: it is for people, and
 * costs nothing. */
static const char *const tables[] = {
    "CREATE TABLE links(/* schema 3 */ no INTEGER PRIMARY KEY, link TEXT, end TEXT, UNIQUE(link, end))",
    "CREATE TABLE states(no INTEGER PRIMARY KEY, state BLOB, tally BLOB)",
    "CREATE TABLE events(id INTEGER PRIMARY KEY, no INTEGER, before INTEGER, seq INTEGER, event TEXT, key_id TEXT,"
    " result INTEGER, why TEXT, took_ms INTEGER, at_ms INTEGER, sum INTEGER)",
    "CREATE VIEW rotations AS SELECT link, end, e.seq AS seq, max(key_id) AS key_id, min(at_ms) AS started_ms,"
    " max(CASE WHEN event IN ('rotated','burnt','failed') THEN at_ms END) AS finished_ms,"
    " max(CASE WHEN event IN ('rotated','burnt','failed') THEN result END) AS result"
    " FROM events e JOIN links USING(no) WHERE e.seq<>0 GROUP BY no, e.seq",
};
#define TABLES (sizeof tables / sizeof *tables)

/* What channels signed by, wrapped: it may be there or not, for a link finds its way back without it.  A row is at the
 * number of its end, times 16, and its place there: it is written over where it is, and needs no index. */
static const char chankeys[] =
    "CREATE TABLE IF NOT EXISTS chankeys(id INTEGER PRIMARY KEY, channel TEXT, key_id TEXT, blob TEXT, proven INTEGER,"
    " sum INTEGER)";

#define NUMBERS "PRAGMA application_id=1380665905; PRAGMA user_version=3;"
_Static_assert(APPLICATION_ID == 1380665905 && SCHEMA == 3, "the numbers in the text above");

static const char *const statements[STATEMENTS] = {
    [S_BEGIN] = "BEGIN IMMEDIATE",
    [S_COMMIT] = "COMMIT",
    [S_ROLLBACK] = "ROLLBACK",
    [S_PUT] = "UPDATE states SET tally=?2,state=?3 WHERE no=?1",
    [S_NOTE] = "UPDATE states SET tally=?2 WHERE no=?1",
    [S_END] = "SELECT no,tally FROM links LEFT JOIN states USING(no) WHERE link=?1 AND end=?2",
    [S_END_NEW] = "INSERT INTO links(link,end) VALUES(?1,?2)",
    [S_END_EMPTY] = "REPLACE INTO states VALUES(?1,x'',x'')",
    [S_END_LAST] = "SELECT max(id) FROM events WHERE no=?1",
    [S_END_FORGET] = "DELETE FROM links WHERE no=?1",
    [S_STATE_FORGET] = "DELETE FROM states WHERE no=?1",
    [S_LOAD] = "SELECT link,end,state,no FROM links LEFT JOIN states USING(no) WHERE state IS NOT x''"
               " ORDER BY link,end",
    [S_EVENT] = ("SELECT before,seq,event,key_id,result,why,took_ms,at_ms,"
                 "sum=rk_sum(?3,?4,id,before,seq,event,key_id,result,why,took_ms,at_ms) FROM events"
                 " WHERE id=?1 AND no=?2"),
    [S_EVENT_PUT] = "INSERT INTO events(id,before,seq,event,key_id,result,why,took_ms,at_ms,sum,no)"
                    " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)",
    [S_EVENT_FORGET] = "DELETE FROM events WHERE id=?1",
    [S_EVENT_OLDEST] = "SELECT min(id),(SELECT max(no) FROM links) FROM events",
    [S_EVENT_PRUNE] = "DELETE FROM events WHERE id<=?1",
    [S_CHANKEY_PUT] = "INSERT OR REPLACE INTO chankeys(id,channel,key_id,blob,proven,sum)"
                      " VALUES(?1,?2,?3,?4,?5,rk_sum(?6,?7,?1,?2,?3,?4,?5))",
    [S_CHANKEY_PROVEN] = "UPDATE chankeys SET proven=1,sum=rk_sum(?2,?3,id,channel,key_id,blob,1) WHERE id=?1",
    [S_CHANKEY_DROP] = "DELETE FROM chankeys WHERE id BETWEEN ?1*16 AND ?1*16+15 AND id%?3=?2",
    [S_CHANKEY_FORGET] = "DELETE FROM chankeys WHERE id BETWEEN ?1*16 AND ?1*16+15",
    [S_CHANKEY_LOAD] = "SELECT id&15,channel,key_id,blob,proven,sum=rk_sum(?1,?2,id,channel,key_id,blob,proven)"
                       " FROM chankeys WHERE id BETWEEN (SELECT no FROM links WHERE link=?1 AND end=?2)*16 AND"
                       " (SELECT no FROM links WHERE link=?1 AND end=?2)*16+15",
};

/* From older schemas.  Tables that change get another name, those that are missing are made, and their rows follow;
 * from schema 1 events too, which had no check values then. */
static const char *const migration[SCHEMA] = {
    [1] = "DROP VIEW rotations; ALTER TABLE links RENAME TO old_links; ALTER TABLE events RENAME TO old_events",
    [2] = "DROP VIEW rotations; ALTER TABLE links RENAME TO old_links",
};

/* A state of which something is wrong becomes NULL: it is left out as damaged, as it was before. */
#define STATE(more) "rk_state(link,end,role,phase,term,seq,floor,cur_seq,prev_seq,cur,prev,cand,mine,theirs," \
                    "cur_since_ms," more ")"
#define SUM2 "rk_sum(link,end,role,phase,term,seq,floor,cur_seq,prev_seq,cur,prev,cand,mine,theirs,cur_since_ms," \
             "cur_boot,cur_boot_ns,flags,start_ms)"

static const char *const migration_rows[SCHEMA] = {
    [1] = "INSERT INTO links SELECT no,link,end FROM old_links;"
          "INSERT INTO states SELECT no,CASE WHEN role IS NULL THEN x'' ELSE " STATE("0,0,0,0") " END,"
          "rk_tally(link,end,last,done,failed) FROM old_links;"
          "INSERT INTO events SELECT id,no,before,e.seq,event,key_id,result,why,took_ms,at_ms,"
          "rk_sum(link,end,id,before,e.seq,event,key_id,result,why,took_ms,at_ms)"
          " FROM old_events e JOIN links USING(no);"
          "DROP TABLE old_links; DROP TABLE old_events;" NUMBERS "COMMIT",
    [2] = "INSERT INTO links SELECT no,link,end FROM old_links;"
          "INSERT INTO states SELECT no,CASE WHEN role IS NULL AND sum IS NULL THEN x''"
          " WHEN sum=" SUM2 " THEN " STATE("cur_boot,cur_boot_ns,flags,start_ms") " END,"
          "CASE WHEN last IS NULL THEN x'' WHEN tally IS NULL OR tally=rk_sum(no,link,end,last,done,failed)"
          " THEN rk_tally(link,end,last,done,failed) END FROM old_links;"
          "DROP TABLE old_links;" NUMBERS "COMMIT",
};

/* ---- Errors ---- */

/* errno of the last failed system call; a failed COMMIT tells it only by the file of the write-ahead log. */
static int
system_error(sqlite3 *db, int rc)
{
    sqlite3_file *wal = NULL;
    int sys = sqlite3_system_errno(db);

    if (sys == 0 && (rc & 0xff) == SQLITE_IOERR &&
        sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) == SQLITE_OK && wal && wal->pMethods)
        (void)wal->pMethods->xFileControl(wal, SQLITE_FCNTL_LAST_ERRNO, &sys);
    return sys;
}

int
rk_journal_explain(struct rk_journal *j, int rc, char *why, size_t size)
{
    int sys = j->db ? system_error(j->db, rc) : 0;

    switch (rc & 0xff) {
    case SQLITE_NOMEM:
        snprintf(why, size, "%s: out of memory", j->path);
        return RK_E_NOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        snprintf(why, size, "%s: in use by another process: is another rekeyd running?", j->path);
        return RK_E_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        j->broken = true;
        snprintf(why, size, "%s: damaged (%s)", j->path, sqlite3_errstr(rc & 0xff));
        return RK_E_UNSAFE;
    case SQLITE_FULL:
        snprintf(why, size, "%s: disk full: free some space on its file system", j->path);
        return RK_E_IO;
    }
    if (sys == ENOSPC || sys == EDQUOT || sys == EFBIG)
        snprintf(why, size, "%s: disk full (%s): free some space, or raise the limit", j->path, strerror(sys));
    else
        snprintf(why, size, "%s: %s%s%s", j->path, j->db ? sqlite3_errmsg(j->db) : sqlite3_errstr(rc),
                 sys ? ": " : "", sys ? strerror(sys) : "");
    return RK_E_IO;
}

/* The same of an error while opening: what a sound journal never gives is damage.  Read-only without more is said of a
 * header that wants a newer SQLite; of file systems it was asked before. */
static int
explain_open(struct rk_journal *j, int rc, char *why, size_t size)
{
    bool damage = rc == SQLITE_ERROR || rc == SQLITE_READONLY || (rc & 0xff) == SQLITE_CONSTRAINT;

    if (damage)
        rk_log(RK_LOG_ERR, "ev=journal-check file=%s res=damaged why=\"%s\"", j->path, sqlite3_errmsg(j->db));
    return rk_journal_explain(j, damage ? SQLITE_CORRUPT : rc, why, size);
}

/* ---- Checking ---- */

static int
check_file(const char *path, char *why, size_t size)
{
    struct stat st;
    int fd;

    /* SQLite would make it with the umask's mode; -wal gets the same mode as this */
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) {
        close(fd);
        return RK_OK;
    }
    if (errno != EEXIST || stat(path, &st) < 0) {
        snprintf(why, size, "%s: cannot be made: %s: make its directory, writable for this user only", path,
                 strerror(errno));
        return errno == ENOENT || errno == ENOTDIR ? RK_E_NOENT : RK_E_IO;
    }
    if (!S_ISREG(st.st_mode) || (st.st_mode & 022) != 0) {
        snprintf(why, size, "%s: %s", path, S_ISREG(st.st_mode) ? "others may write it: chmod 600 it" :
                 "not a regular file");
        return RK_E_CONFIG;
    }
    return RK_OK;
}

static int
query_number(sqlite3 *db, const char *sql, int64_t *out)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &s, NULL);

    if (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        *out = sqlite3_column_int64(s, 0);
        rc = SQLITE_OK;
    }
    sqlite3_finalize(s);
    return rc;
}

/* Does the file say of a table what we say? */
static int
has_table(sqlite3 *db, const char *sql, bool *has)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(db, "SELECT count(*) FROM sqlite_master WHERE sql=?1", -1, &s, NULL);

    if (rc == SQLITE_OK) {
        sqlite3_bind_text(s, 1, sql, -1, SQLITE_STATIC);
        rc = sqlite3_step(s);
    }
    *has = rc == SQLITE_ROW && sqlite3_column_int(s, 0) == 1;
    sqlite3_finalize(s);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int
same_tables(sqlite3 *db, bool *same)
{
    int rc = SQLITE_OK;

    *same = true;
    for (size_t i = 0; i < TABLES && rc == SQLITE_OK && *same; i++)
        rc = has_table(db, tables[i], same);
    return rc;
}

/* Refuse what is no journal, or a newer one, before anything is written to it. */
static int
check_version(struct rk_journal *j, int64_t *version, char *why, size_t size)
{
    int64_t application = 0, objects = 0;
    bool same = false;
    int rc;

    if ((rc = query_number(j->db, "SELECT count(*) FROM sqlite_master", &objects)) != SQLITE_OK ||
        (rc = query_number(j->db, "PRAGMA application_id", &application)) != SQLITE_OK ||
        (rc = query_number(j->db, "PRAGMA user_version", version)) != SQLITE_OK ||
        (rc = same_tables(j->db, &same)) != SQLITE_OK)
        return explain_open(j, rc, why, size);
    if (objects == 0 && *version == 0)
        return RK_OK; /* new */
    if (same && (application != APPLICATION_ID || *version != SCHEMA)) /* these are our tables: the numbers are wrong */
        return explain_open(j, SQLITE_CORRUPT, why, size);
    if (application != APPLICATION_ID) {
        snprintf(why, size, "%s: a database, but not a journal of rekeyd: name another file", j->path);
        return RK_E_CONFLICT;
    }
    if (*version > SCHEMA) {
        snprintf(why, size, "%s: made by a newer rekeyd (schema %lld, this one knows %d): install that one again, or "
                 "move the file away: state is then read back from the devices", j->path, (long long)*version, SCHEMA);
        return RK_E_UNSUPPORTED;
    }
    return *version < 1 || (*version == SCHEMA && !same) ? explain_open(j, SQLITE_CORRUPT, why, size) : RK_OK;
}

/* What SQLite says of all pages, rows and indexes; text "ok" when nothing is wrong with them. */
static int
examine(sqlite3 *db, char *text, size_t size)
{
    sqlite3_stmt *s = NULL;
    const char *said = NULL;
    int rc = sqlite3_prepare_v2(db, "PRAGMA integrity_check(1)", -1, &s, NULL);

    if (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW)
        said = (const char *)sqlite3_column_text(s, 0);
    snprintf(text, size, "%s", said ? said : "nothing");
    sqlite3_finalize(s);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* An index that does not fit its rows is made again from them: they have check values, it has none. */
static int
check_pages(struct rk_journal *j, char *why, size_t size)
{
    char text[RK_TEXT_MAX];
    int rc = examine(j->db, text, sizeof text);

    if (rc != SQLITE_OK)
        return explain_open(j, rc, why, size);
    if (strcmp(text, "ok") == 0)
        return RK_OK;
    rk_log(RK_LOG_ERR, "ev=journal-check file=%s res=damaged why=\"%s\"", j->path, text);
    rc = sqlite3_exec(j->db, "BEGIN IMMEDIATE; REINDEX", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = examine(j->db, text, sizeof text);
    if (rc == SQLITE_OK && strcmp(text, "ok") == 0) {
        rc = sqlite3_exec(j->db, "COMMIT", NULL, NULL, NULL);
        return rc == SQLITE_OK ? RK_OK : explain_open(j, rc, why, size);
    }
    /* closing it rolls back: people may want to see it as it was */
    return explain_open(j, rc == SQLITE_OK ? SQLITE_CORRUPT : rc, why, size);
}

static int
make_missing(sqlite3 *db)
{
    int rc = SQLITE_OK;

    for (size_t i = 0; i < TABLES && rc == SQLITE_OK; i++) {
        bool has = false;

        rc = has_table(db, tables[i], &has);
        if (rc == SQLITE_OK && !has)
            rc = sqlite3_exec(db, tables[i], NULL, NULL, NULL);
    }
    return rc;
}

/* Make the tables, in a file that has none; or replace those of an older schema, with their rows. */
static int
make_tables(sqlite3 *db, int64_t version)
{
    int rc = rk_journal_add_state(db);

    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (rc == SQLITE_OK && version != 0)
        rc = sqlite3_exec(db, migration[version], NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = make_missing(db);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, version != 0 ? migration_rows[version] : NUMBERS "COMMIT", NULL, NULL, NULL);
    return rc;
}

static int
prepare(struct rk_journal *j)
{
    int64_t newest = 0;
    int rc = SQLITE_OK;

    for (int i = 0; i < STATEMENTS && rc == SQLITE_OK; i++)
        rc = sqlite3_prepare_v3(j->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT, &j->stmt[i], NULL);
    if (rc == SQLITE_OK)
        rc = query_number(j->db, "SELECT max(id) FROM events", &newest);
    j->last_id = newest;
    return rc == SQLITE_OK && newest > INT64_MAX / 2 ? SQLITE_CORRUPT : rc; /* so many there never were */
}

/* ---- Opening ---- */

static int
set_options(sqlite3 *db)
{
    int rc;

    sqlite3_extended_result_codes(db, 1);
    sqlite3_db_config(db, SQLITE_DBCONFIG_LOOKASIDE, NULL, 128, 64); /* 8 KiB; by default 48 */
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL); /* none of ours; a file may hold any */
    rc = rk_journal_add_sum(db);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA cache_size=-1024; PRAGMA mmap_size=0;"
                              "PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;"
                              "PRAGMA synchronous=FULL; BEGIN EXCLUSIVE; COMMIT", NULL, NULL, NULL);
    return rc;
}

/* A commit into a log that grows costs twice of one that is written over: so it is folded back into the file before it
 * is long, but not all the time, for each time pages are written that a longer log would have written once. */
static int
fold_log(void *arg, sqlite3 *db, const char *name, int pages)
{
    struct rk_journal *j = arg;
    int64_t now_ns = rk_now_ns();

    if (pages < LOG_PAGES || (pages < LOG_PAGES_MAX && now_ns - j->folded_ns < LOG_FOLD_NS))
        return SQLITE_OK;
    j->folded_ns = now_ns;
    (void)sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL); /* else after another commit */
    return SQLITE_OK;
}

static int
set_up(struct rk_journal *j, char *why, size_t size)
{
    int64_t version = 0;
    int rc, err;

    if (sqlite3_db_readonly(j->db, "main") == 1) {
        snprintf(why, size, "%s: cannot be written: its file system or its mode is read-only", j->path);
        return RK_E_IO;
    }
    rc = set_options(j->db);
    if (rc != SQLITE_OK)
        return explain_open(j, rc, why, size);
    if ((err = check_version(j, &version, why, size)) != RK_OK || (err = check_pages(j, why, size)) != RK_OK)
        return err;
    rc = sqlite3_exec(j->db, "PRAGMA journal_mode=WAL; PRAGMA journal_size_limit=8388608", NULL, NULL, NULL);
    sqlite3_wal_hook(j->db, fold_log, j); /* in place of SQLite's own, each 1000 pages */
    if (rc == SQLITE_OK && version < SCHEMA)
        rc = make_tables(j->db, version);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(j->db, chankeys, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = prepare(j);
    return rc == SQLITE_OK ? RK_OK : explain_open(j, rc, why, size);
}

static struct file_id
file_of(const char *path, const char *suffix)
{
    char name[JOURNAL_PATH_BYTES + 8];
    struct stat st;

    snprintf(name, sizeof name, "%s%s", path, suffix);
    return stat(name, &st) == 0 ? (struct file_id){st.st_dev, st.st_ino} : (struct file_id){0, 0};
}

static bool
same_file(struct file_id a, struct file_id b)
{
    return a.dev == b.dev && a.ino == b.ino;
}

bool
rk_journal_in_place(const struct rk_journal *j)
{
    return same_file(j->db_id, file_of(j->path, "")) && same_file(j->wal_id, file_of(j->path, "-wal"));
}

/* Before SQLite is used first: its memory needs no locks and no statistics, for only the loop's thread uses it. */
static void
set_up_library(void)
{
    static bool done;

    if (!done) {
        (void)sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
        (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    }
    done = true;
}

static void
detach(struct rk_journal *j)
{
    for (int i = 0; i < STATEMENTS; i++) {
        sqlite3_finalize(j->stmt[i]);
        j->stmt[i] = NULL;
    }
    if (j->db && j->broken) /* people may want to see it as it was; and its log's name may be another file's by now */
        sqlite3_db_config(j->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_close(j->db); /* rolls an open group back */
    j->db = NULL;
}

static int
attach(struct rk_journal *j, char *why, size_t size)
{
    int rc, err = check_file(j->path, why, size);

    if (err)
        return err;
    j->broken = false;
    rc = sqlite3_open_v2(j->path, &j->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);
    err = rc == SQLITE_OK ? set_up(j, why, size) : rk_journal_explain(j, rc, why, size);
    if (err)
        detach(j);
    j->db_id = file_of(j->path, "");
    j->wal_id = file_of(j->path, "-wal");
    return err;
}

int
rk_journal_open(const char *path, struct rk_journal **out, char *why, size_t size)
{
    struct rk_journal *j;
    int err;

    *out = NULL;
    if (path[0] != '/' || strlen(path) >= JOURNAL_PATH_BYTES) {
        snprintf(why, size, "%s: must be an absolute path below %d bytes", path, JOURNAL_PATH_BYTES);
        return RK_E_CONFIG;
    }
    j = calloc(1, sizeof *j);
    if (!j) {
        snprintf(why, size, "%s: out of memory", path);
        return RK_E_NOMEM;
    }
    (void)rk_copy(j->path, sizeof j->path, path); /* fits */
    set_up_library();
    err = attach(j, why, size);
    if (err)
        rk_journal_close(&j);
    *out = j;
    return err;
}

void
rk_journal_close(struct rk_journal **j)
{
    if (!*j)
        return;
    detach(*j);
    free(*j);
    *j = NULL;
}

int
rk_journal_renew(struct rk_journal *j, char *aside, size_t aside_size, char *why, size_t size)
{
    int err = RK_OK;

    aside[0] = '\0';
    if (j->open || !j->broken) {
        snprintf(why, size, "%s: not damaged, or in a group", j->path);
        return RK_E_CONTRACT;
    }
    if (!j->begun_anew) { /* else only a file without tables is there, for the last try failed */
        detach(j);
        err = rk_journal_set_aside(j->path, aside, aside_size, why, size);
    }
    if (err)
        return err;
    j->begun_anew = true;
    err = attach(j, why, size);
    j->begun_anew = err != RK_OK && err != RK_E_UNSAFE;
    j->broken = err != RK_OK;
    j->hollow = true;
    j->epoch++;
    return err;
}
