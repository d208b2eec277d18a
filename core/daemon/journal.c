/* journal.c - the journal in SQLite; the only file that includes sqlite3.h.
 *
 * Runs in the loop of rekeyd.  WAL with synchronous=FULL: a commit is one fsync, however many links are in the group.
 * The first error inside a group fails all of it, for the caller starts no effect of it then.  Events are appended in
 * one order for all links, and each names the one before it of its end, so that a group dirties a few pages however
 * many links are in it; an index or a place per link would dirty one page per event.  Rows are checked when they are
 * read: the disk is input like any other.
 */
#include "journal.h"

#include "../base/log.h"
#include "../base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#define SCHEMA 1
#define APPLICATION_ID 0x524b4a31 /* "RKJ1" */
#define PATH_BYTES 512
#define PRUNE_EVERY 256   /* events between two deletions of old ones, of at most twice as many */
#define EVENT_NAME_MAX 32 /* [bytes] */

/* role is NULL while an end has events but no state; last is its newest event.  Nothing here reads `rotations`: it is
 * for people, and costs nothing. */
static const char schema[] =
    "BEGIN;"
    "CREATE TABLE links(no INTEGER PRIMARY KEY, link TEXT NOT NULL, end TEXT NOT NULL, role INTEGER, phase INTEGER,"
    " term INTEGER, seq INTEGER, floor INTEGER, cur_seq INTEGER, prev_seq INTEGER, cur TEXT, prev TEXT, cand TEXT,"
    " mine TEXT, theirs TEXT, cur_since_ms INTEGER, done INTEGER NOT NULL DEFAULT 0,"
    " failed INTEGER NOT NULL DEFAULT 0, last INTEGER NOT NULL DEFAULT 0, UNIQUE(link, end));"
    "CREATE TABLE events(id INTEGER PRIMARY KEY, no INTEGER, before INTEGER, seq INTEGER, event TEXT, key_id TEXT,"
    " result INTEGER, why TEXT, took_ms INTEGER, at_ms INTEGER);"
    "CREATE VIEW rotations AS SELECT link, end, e.seq AS seq, max(key_id) AS key_id, min(at_ms) AS started_ms,"
    " max(CASE WHEN event IN ('rotated','burnt','failed') THEN at_ms END) AS finished_ms,"
    " max(CASE WHEN event IN ('rotated','burnt','failed') THEN result END) AS result"
    " FROM events e JOIN links USING(no) WHERE e.seq<>0 GROUP BY no, e.seq;"
    "PRAGMA application_id=1380665905;"
    "PRAGMA user_version=1;"
    "COMMIT;";
_Static_assert(APPLICATION_ID == 1380665905 && SCHEMA == 1, "the numbers in the text above");

#define STATE "role,phase,term,seq,floor,cur_seq,prev_seq,cur,prev,cand,mine,theirs,cur_since_ms"

enum statement { S_BEGIN, S_COMMIT, S_ROLLBACK, S_PUT, S_END, S_END_NEW, S_END_NOTE, S_END_FORGET, S_LOAD, S_COUNT,
                 S_EVENT, S_EVENT_PUT, S_EVENT_FORGET, S_EVENT_OLDEST, S_EVENT_NEWEST, S_EVENT_PRUNE, STATEMENTS };

static const char *const statements[STATEMENTS] = {
    [S_BEGIN] = "BEGIN IMMEDIATE",
    [S_COMMIT] = "COMMIT",
    [S_ROLLBACK] = "ROLLBACK",
    [S_PUT] = ("INSERT INTO links(link,end," STATE ") VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)"
               " ON CONFLICT(link,end) DO UPDATE SET role=?3,phase=?4,term=?5,seq=?6,floor=?7,cur_seq=?8,prev_seq=?9,"
               "cur=?10,prev=?11,cand=?12,mine=?13,theirs=?14,cur_since_ms=?15"),
    [S_END] = "SELECT no,last FROM links WHERE link=?1 AND end=?2",
    [S_END_NEW] = "INSERT INTO links(link,end) VALUES(?1,?2)",
    [S_END_NOTE] = "UPDATE links SET last=?2,done=done+?3,failed=failed+?4 WHERE no=?1",
    [S_END_FORGET] = "DELETE FROM links WHERE no=?1",
    [S_LOAD] = "SELECT link,end," STATE ",no FROM links WHERE role IS NOT NULL ORDER BY link,end",
    [S_COUNT] = "SELECT done,failed FROM links WHERE link=?1 AND end=?2",
    [S_EVENT] = "SELECT before,seq,event,key_id,result,why,took_ms,at_ms FROM events WHERE id=?1 AND no=?2",
    [S_EVENT_PUT] = "INSERT INTO events VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)",
    [S_EVENT_FORGET] = "DELETE FROM events WHERE id=?1",
    [S_EVENT_OLDEST] = "SELECT min(id),(SELECT max(no) FROM links) FROM events",
    [S_EVENT_NEWEST] = "SELECT max(id),0 FROM events",
    [S_EVENT_PRUNE] = "DELETE FROM events WHERE id<=?1",
};

struct rk_journal {
    sqlite3 *db;
    sqlite3_stmt *stmt[STATEMENTS];
    bool open;             /* a group is */
    int failed;            /* RK_OK, or why the open group cannot be committed */
    char why[RK_TEXT_MAX]; /* the same in words */
    int64_t last_id;       /* newest event */
    uint64_t damaged;
    char path[PATH_BYTES];
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

/* Say what an SQLite code means for the operator; ret: enum rk_err. */
static int
explain(const struct rk_journal *j, int rc, char *why, size_t size)
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
        snprintf(why, size, "%s: damaged (%s): stop rekeyd, move the file and %s-wal away, and start again: state is "
                 "then read back from the devices", j->path, sqlite3_errstr(rc & 0xff), j->path);
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

/* The open group cannot be committed any more; the first reason counts. */
static int
group_failed(struct rk_journal *j, int rc)
{
    if (j->failed == RK_OK && explain(j, rc, j->why, sizeof j->why) == RK_E_NOMEM)
        j->failed = RK_E_NOMEM;
    else if (j->failed == RK_OK)
        j->failed = RK_E_IO;
    return j->failed;
}

/* ---- Statements ---- */

static sqlite3_stmt *
bound_ints(struct rk_journal *j, enum statement which, const int64_t *values, int n)
{
    for (int i = 0; i < n; i++)
        sqlite3_bind_int64(j->stmt[which], i + 1, values[i]);
    return j->stmt[which];
}

#define BOUND(j, which, ...) \
    bound_ints(j, which, (const int64_t[]){__VA_ARGS__}, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)))

static void
bind_text(sqlite3_stmt *s, int at, const char *text)
{
    sqlite3_bind_text(s, at, text, -1, SQLITE_STATIC);
}

static sqlite3_stmt *
bound_end(struct rk_journal *j, enum statement which, const char *link, const char *end)
{
    bind_text(j->stmt[which], 1, link);
    bind_text(j->stmt[which], 2, end);
    return j->stmt[which];
}

/* Run a statement that gives no rows, and make it ready for its next use. */
static int
run(sqlite3_stmt *s)
{
    int rc = sqlite3_step(s);

    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

/* Run a statement for the two numbers in its first row; they stay as they are when there is no row. */
static int
run_pair(sqlite3_stmt *s, int64_t pair[2])
{
    int rc = sqlite3_step(s);

    for (int i = 0; i < 2 && rc == SQLITE_ROW; i++)
        pair[i] = sqlite3_column_int64(s, i);
    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

/* ---- Opening ---- */

static int
check_file(const char *path, char *why, size_t size)
{
    struct stat st;
    int fd;

    if (path[0] != '/' || strlen(path) >= PATH_BYTES) {
        snprintf(why, size, "%s: must be an absolute path below %d bytes", path, PATH_BYTES);
        return RK_E_CONFIG;
    }
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
        return RK_E_UNSAFE;
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

/* Refuse what is no journal, or a newer one, before anything is written to it. */
static int
check_version(struct rk_journal *j, int64_t *version, char *why, size_t size)
{
    int64_t application = 0, tables = 0;
    int rc;

    if ((rc = query_number(j->db, "SELECT count(*) FROM sqlite_master", &tables)) != SQLITE_OK ||
        (rc = query_number(j->db, "PRAGMA application_id", &application)) != SQLITE_OK ||
        (rc = query_number(j->db, "PRAGMA user_version", version)) != SQLITE_OK)
        return explain(j, rc, why, size);
    if (tables == 0 && *version == 0)
        return RK_OK; /* new */
    if (application != APPLICATION_ID || *version < 1) {
        snprintf(why, size, "%s: a database, but not a journal of rekeyd: name another file", j->path);
        return RK_E_UNSAFE;
    }
    if (*version > SCHEMA) {
        snprintf(why, size, "%s: made by a newer rekeyd (schema %lld, this one knows %d): install that one again, or "
                 "move the file away: state is then read back from the devices", j->path, (long long)*version, SCHEMA);
        return RK_E_UNSUPPORTED;
    }
    return RK_OK;
}

static int
check_pages(struct rk_journal *j, char *why, size_t size)
{
    sqlite3_stmt *s = NULL;
    const char *text = NULL;
    int rc = sqlite3_prepare_v2(j->db, "PRAGMA quick_check(1)", -1, &s, NULL), err = RK_OK;

    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    if (rc == SQLITE_ROW)
        text = (const char *)sqlite3_column_text(s, 0);
    if (!text || strcmp(text, "ok") != 0) {
        if (text)
            rk_log(RK_LOG_ERR, "ev=journal-check file=%s res=damaged why=\"%s\"", j->path, text);
        err = explain(j, text || rc == SQLITE_ROW ? SQLITE_CORRUPT : rc, why, size);
    }
    sqlite3_finalize(s);
    return err;
}

static int
prepare(struct rk_journal *j)
{
    int rc = SQLITE_OK;

    for (int i = 0; i < STATEMENTS && rc == SQLITE_OK; i++)
        rc = sqlite3_prepare_v3(j->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT, &j->stmt[i], NULL);
    return rc;
}

static int
set_up(struct rk_journal *j, char *why, size_t size)
{
    int64_t version = 0, newest[2] = {0, 0};
    int rc, err;

    sqlite3_extended_result_codes(j->db, 1);
    sqlite3_db_config(j->db, SQLITE_DBCONFIG_LOOKASIDE, NULL, 128, 64); /* 8 KiB; by default 48 */
    sqlite3_db_config(j->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL); /* none of ours; a file may hold any */
    rc = sqlite3_exec(j->db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA cache_size=-1024; PRAGMA mmap_size=0;"
                             "PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;"
                             "BEGIN EXCLUSIVE; COMMIT", NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return explain(j, rc, why, size);
    if ((err = check_version(j, &version, why, size)) != RK_OK || (err = check_pages(j, why, size)) != RK_OK)
        return err;
    rc = sqlite3_exec(j->db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA journal_size_limit=8388608",
                      NULL, NULL, NULL);
    if (rc == SQLITE_OK && version == 0)
        rc = sqlite3_exec(j->db, schema, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = prepare(j);
    if (rc == SQLITE_OK)
        rc = run_pair(j->stmt[S_EVENT_NEWEST], newest);
    j->last_id = newest[0];
    if (rc == SQLITE_ERROR) /* a table or column of ours is not there */
        rc = SQLITE_CORRUPT;
    return rc == SQLITE_OK ? RK_OK : explain(j, rc, why, size);
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

int
rk_journal_open(const char *path, struct rk_journal **out, char *why, size_t size)
{
    struct rk_journal *j;
    int rc, err = check_file(path, why, size);

    *out = NULL;
    if (err)
        return err;
    j = calloc(1, sizeof *j);
    if (!j) {
        snprintf(why, size, "%s: out of memory", path);
        return RK_E_NOMEM;
    }
    (void)rk_copy(j->path, sizeof j->path, path); /* fits: check_file */
    set_up_library();
    rc = sqlite3_open_v2(path, &j->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);
    err = rc == SQLITE_OK ? set_up(j, why, size) : explain(j, rc, why, size);
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
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize((*j)->stmt[i]);
    sqlite3_close((*j)->db); /* rolls an open group back */
    free(*j);
    *j = NULL;
}

/* ---- Groups ---- */

int
rk_journal_begin(struct rk_journal *j)
{
    int rc;

    if (j->open)
        return j->failed;
    j->open = true;
    j->failed = RK_OK;
    rc = run(j->stmt[S_BEGIN]);
    return rc == SQLITE_OK ? RK_OK : group_failed(j, rc);
}

int
rk_journal_commit(struct rk_journal *j, char *why, size_t size)
{
    int rc = SQLITE_OK;

    if (!j->open)
        return RK_OK;
    if (j->failed == RK_OK && (rc = run(j->stmt[S_COMMIT])) != SQLITE_OK)
        group_failed(j, rc);
    j->open = false;
    if (j->failed == RK_OK)
        return RK_OK;
    snprintf(why, size, "%s", j->why);
    if (!sqlite3_get_autocommit(j->db)) /* some errors roll back by themselves */
        (void)run(j->stmt[S_ROLLBACK]);
    return j->failed;
}

/* ---- State ---- */

static bool
confirm_ok(const char *tag)
{
    unsigned char bytes[RK_CONFIRM_HEX / 2];

    return tag[0] == '\0' || rk_hex_get(tag, bytes, sizeof bytes);
}

static bool
id_ok(const char *id)
{
    return id[0] == '\0' || rk_key_id_ok(id);
}

/* What is wrong with a state; NULL: nothing. */
static const char *
fault_of(const struct rk_durable *d)
{
    if (!rk_name_ok(d->link, RK_LINK_MAX))
        return "link name";
    if (d->end != 'a' && d->end != 'b')
        return "end";
    if (d->role != RK_MASTER && d->role != RK_SLAVE)
        return "role";
    if (d->phase > RK_PH_BURNING)
        return "phase";
    if (!id_ok(d->cur) || !id_ok(d->prev) || !id_ok(d->cand))
        return "key ID";
    if (!confirm_ok(d->mine) || !confirm_ok(d->theirs))
        return "confirm tag";
    if (d->phase >= RK_PH_FETCHED && d->phase <= RK_PH_ACTIVATING && d->cand[0] == '\0')
        return "phase without its key ID";
    return NULL;
}

int
rk_journal_put(struct rk_journal *j, const struct rk_durable *d)
{
    const char end[2] = {d->end, '\0'};
    sqlite3_stmt *s = j->stmt[S_PUT];
    int rc, err, at = 1;

    if (fault_of(d))
        return RK_E_CONTRACT;
    if ((err = rk_journal_begin(j)) != RK_OK)
        return err;
    bind_text(s, at++, d->link);
    bind_text(s, at++, end);
    sqlite3_bind_int64(s, at++, d->role);
    sqlite3_bind_int64(s, at++, d->phase);
    sqlite3_bind_int64(s, at++, (int64_t)d->term);
    sqlite3_bind_int64(s, at++, (int64_t)d->seq);
    sqlite3_bind_int64(s, at++, (int64_t)d->floor);
    sqlite3_bind_int64(s, at++, (int64_t)d->cur_seq);
    sqlite3_bind_int64(s, at++, (int64_t)d->prev_seq);
    bind_text(s, at++, d->cur);
    bind_text(s, at++, d->prev);
    bind_text(s, at++, d->cand);
    bind_text(s, at++, d->mine);
    bind_text(s, at++, d->theirs);
    sqlite3_bind_int64(s, at, d->cur_since.unix_ms);
    rc = run(s);
    return rc == SQLITE_OK ? RK_OK : group_failed(j, rc);
}

/* Text of a column into dst[size]; false when it is no text, holds a NUL, or does not fit. */
static bool
take_text(sqlite3_stmt *s, int at, char *dst, size_t size)
{
    const char *text = (const char *)sqlite3_column_text(s, at);

    dst[0] = '\0';
    return sqlite3_column_type(s, at) == SQLITE_TEXT && text && rk_copy(dst, size, text) &&
           strlen(dst) == (size_t)sqlite3_column_bytes(s, at);
}

static bool
take_number(sqlite3_stmt *s, int at, uint64_t *out)
{
    *out = (uint64_t)sqlite3_column_int64(s, at);
    return sqlite3_column_type(s, at) == SQLITE_INTEGER;
}

static bool
take_small(sqlite3_stmt *s, int at, uint32_t *out)
{
    uint64_t n = 0;
    bool ok = take_number(s, at, &n) && n <= UINT32_MAX;

    *out = (uint32_t)n;
    return ok;
}

/* One row of S_LOAD; ret: what is wrong with it, or NULL. */
static const char *
take_durable(sqlite3_stmt *s, struct rk_durable *d)
{
    char end[2] = "";
    uint64_t since = 0;
    bool ok;

    *d = (struct rk_durable){0};
    ok = take_text(s, 0, d->link, sizeof d->link);
    ok = take_text(s, 1, end, sizeof end) && ok;
    d->end = end[0];
    ok = ok && take_small(s, 2, &d->role) && take_small(s, 3, &d->phase) && take_number(s, 4, &d->term) &&
         take_number(s, 5, &d->seq) && take_number(s, 6, &d->floor) && take_number(s, 7, &d->cur_seq) &&
         take_number(s, 8, &d->prev_seq) && take_text(s, 9, d->cur, sizeof d->cur) &&
         take_text(s, 10, d->prev, sizeof d->prev) && take_text(s, 11, d->cand, sizeof d->cand) &&
         take_text(s, 12, d->mine, sizeof d->mine) && take_text(s, 13, d->theirs, sizeof d->theirs) &&
         take_number(s, 14, &since);
    d->cur_since.unix_ms = (int64_t)since;
    return ok ? fault_of(d) : "type or length of a column";
}

/* End of a loop over rows: err unless the rows ended with an error of the disk. */
static int
rows_end(struct rk_journal *j, int rc, int err)
{
    char why[RK_TEXT_MAX];

    if (rc == SQLITE_ROW || rc == SQLITE_DONE)
        return err;
    (void)explain(j, rc, why, sizeof why);
    rk_log(RK_LOG_ERR, "ev=journal-read res=io why=\"%s\"", why);
    return RK_E_IO;
}

int
rk_journal_load(struct rk_journal *j, int (*each)(const struct rk_durable *d, void *arg), void *arg)
{
    sqlite3_stmt *s = j->stmt[S_LOAD];
    struct rk_durable d;
    uint64_t before = j->damaged;
    int rc, err = RK_OK;

    while (err == RK_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        const char *fault = take_durable(s, &d);

        if (!fault) {
            err = each(&d, arg);
            continue;
        }
        j->damaged++;
        rk_log(RK_LOG_ERR, "ev=journal-row link=%s end=%c row=%lld res=protocol why=\"damaged: %s; left out\"",
               d.link[0] ? d.link : "?", d.end ? d.end : '?', (long long)sqlite3_column_int64(s, 15), fault);
    }
    sqlite3_reset(s);
    err = rows_end(j, rc, err);
    return err == RK_OK && j->damaged > before ? RK_E_PROTOCOL : err;
}

/* ---- History ---- */

/* An end in the file: its row in links, 0 when it has none, and its newest event, 0 when it has none. */
static int
find_end(struct rk_journal *j, const char *link, char end, int64_t no_last[2])
{
    const char text[2] = {end, '\0'};

    no_last[0] = no_last[1] = 0;
    return run_pair(bound_end(j, S_END, link, text), no_last);
}

static const char *
key_of(const struct rk_journal_event *e)
{
    return e->key_id ? e->key_id : "";
}

static int
put_event(struct rk_journal *j, const struct rk_journal_event *e, const int64_t no_last[2])
{
    sqlite3_stmt *s = BOUND(j, S_EVENT_PUT, ++j->last_id, no_last[0], no_last[1], (int64_t)e->seq);
    const char *why = e->why ? e->why : "";
    size_t len = strnlen(why, RK_TEXT_MAX - 1);

    if (why[len] != '\0') /* not within a UTF-8 character: readers of the history refuse half of one */
        while (len > 0 && ((unsigned char)why[len] & 0xc0) == 0x80)
            len--;
    bind_text(s, 5, e->event);
    bind_text(s, 6, key_of(e));
    sqlite3_bind_int64(s, 7, e->result);
    sqlite3_bind_text(s, 8, why, (int)len, SQLITE_STATIC);
    sqlite3_bind_int64(s, 9, e->took_ms);
    sqlite3_bind_int64(s, 10, e->at.unix_ms);
    return run(s);
}

/* Delete what is beyond the bound from the old end of all events, in one short range. */
static int
prune(struct rk_journal *j)
{
    int64_t oldest_ends[2] = {0, 0}, most, upto;
    int rc = run_pair(j->stmt[S_EVENT_OLDEST], oldest_ends);

    most = oldest_ends[1] * RK_JOURNAL_EVENTS_PER_END; /* numbers of ends are dense: the highest tells how many */
    if (most < RK_JOURNAL_EVENTS_MIN)
        most = RK_JOURNAL_EVENTS_MIN;
    if (most > RK_JOURNAL_EVENTS_MAX)
        most = RK_JOURNAL_EVENTS_MAX;
    upto = j->last_id - most;
    if (upto > oldest_ends[0] + 2 * PRUNE_EVERY)
        upto = oldest_ends[0] + 2 * PRUNE_EVERY;
    return rc == SQLITE_OK && upto >= oldest_ends[0] ? run(BOUND(j, S_EVENT_PRUNE, upto)) : rc;
}

static int
append(struct rk_journal *j, const struct rk_journal_event *e)
{
    const char end[2] = {e->end, '\0'};
    bool done = strcmp(e->event, "rotated") == 0;
    bool failed = strcmp(e->event, "burnt") == 0 || strcmp(e->event, "failed") == 0;
    int64_t no_last[2];
    int rc = find_end(j, e->link, e->end, no_last);

    if (rc == SQLITE_OK && no_last[0] == 0) {
        rc = run(bound_end(j, S_END_NEW, e->link, end));
        no_last[0] = sqlite3_last_insert_rowid(j->db);
    }
    if (rc == SQLITE_OK)
        rc = put_event(j, e, no_last);
    if (rc == SQLITE_OK)
        rc = run(BOUND(j, S_END_NOTE, no_last[0], j->last_id, done, failed));
    return rc == SQLITE_OK && j->last_id % PRUNE_EVERY == 0 ? prune(j) : rc;
}

int
rk_journal_note(struct rk_journal *j, const struct rk_journal_event *e)
{
    int rc, err;

    if (!rk_name_ok(e->link, RK_LINK_MAX) || (e->end != 'a' && e->end != 'b') || !e->event ||
        !rk_name_ok(e->event, EVENT_NAME_MAX) || !id_ok(key_of(e)))
        return RK_E_CONTRACT;
    if ((err = rk_journal_begin(j)) != RK_OK)
        return err;
    rc = append(j, e);
    return rc == SQLITE_OK ? RK_OK : group_failed(j, rc);
}

/* An event as read, with room for its texts. */
struct line {
    struct rk_journal_event e;
    char event[EVENT_NAME_MAX + 1], key_id[RK_KEY_ID_MAX + 1], why[RK_TEXT_MAX];
};

static bool
take_line(sqlite3_stmt *s, struct line *l)
{
    uint64_t result = 0, took = 0, at = 0;
    bool ok = take_number(s, 1, &l->e.seq) && take_text(s, 2, l->event, sizeof l->event) &&
              take_text(s, 3, l->key_id, sizeof l->key_id) && take_number(s, 4, &result) &&
              take_text(s, 5, l->why, sizeof l->why) && take_number(s, 6, &took) && take_number(s, 7, &at);

    l->e.event = l->event;
    l->e.key_id = l->key_id;
    l->e.why = l->why;
    l->e.result = (int)(int64_t)result;
    l->e.took_ms = (int64_t)took;
    l->e.at.unix_ms = (int64_t)at;
    return ok && rk_name_ok(l->event, EVENT_NAME_MAX) && id_ok(l->key_id);
}

/* Read the event no_last[1] of an end, and go on to the one before it (0: there is none).
 * ret: SQLITE_ROW: l is it; SQLITE_DONE: it was pruned, or was damaged; else an error. */
static int
read_line(struct rk_journal *j, int64_t no_last[2], struct line *l)
{
    sqlite3_stmt *s = BOUND(j, S_EVENT, no_last[1], no_last[0]);
    int64_t before = 0;
    int rc = sqlite3_step(s);

    if (rc == SQLITE_ROW) {
        before = sqlite3_column_int64(s, 0);
        if (!take_line(s, l)) {
            j->damaged++;
            rk_log(RK_LOG_ERR, "ev=journal-row link=%s end=%c row=%lld table=events res=protocol "
                   "why=\"damaged; left out\"", l->e.link, l->e.end, (long long)no_last[1]);
            rc = SQLITE_DONE;
        }
    }
    no_last[1] = before < no_last[1] ? before : 0; /* always older: a damaged file leads in no circle */
    sqlite3_reset(s);
    return rc;
}

int
rk_journal_history(struct rk_journal *j, const char *link, uint32_t limit,
                   int (*each)(const struct rk_journal_event *e, void *arg), void *arg)
{
    int64_t ends[2][2] = {{0, 0}, {0, 0}};
    uint64_t before = j->damaged;
    struct line l = {0};
    int rc = SQLITE_OK, err = RK_OK;

    if (rk_copy(l.e.link, sizeof l.e.link, link) && (rc = find_end(j, link, 'a', ends[0])) == SQLITE_OK)
        rc = find_end(j, link, 'b', ends[1]);
    if (rc == SQLITE_OK)
        rc = SQLITE_DONE;
    while (limit > 0 && err == RK_OK && (rc == SQLITE_ROW || rc == SQLITE_DONE)) {
        int newer = ends[1][1] > ends[0][1];

        if (ends[newer][1] <= 0)
            break;
        l.e.end = newer ? 'b' : 'a';
        if ((rc = read_line(j, ends[newer], &l)) != SQLITE_ROW)
            continue;
        limit--;
        err = each(&l.e, arg);
    }
    err = rows_end(j, rc, err);
    return err == RK_OK && j->damaged > before ? RK_E_PROTOCOL : err;
}

/* ---- Counters, and the end of a link ---- */

int
rk_journal_count(struct rk_journal *j, const char *link, char end, uint64_t *done, uint64_t *failed)
{
    const char text[2] = {end, '\0'};
    int64_t pair[2] = {0, 0};
    int rc = run_pair(bound_end(j, S_COUNT, link, text), pair);

    *done = (uint64_t)pair[0];
    *failed = (uint64_t)pair[1];
    return rows_end(j, rc == SQLITE_OK ? SQLITE_DONE : rc, RK_OK);
}

/* Delete an end's events, from the newest to the oldest. */
static int
forget_events(struct rk_journal *j, int64_t no_last[2])
{
    struct line l = {0};
    int rc = SQLITE_OK;

    while (rc == SQLITE_OK && no_last[1] > 0) {
        int64_t id = no_last[1];

        rc = read_line(j, no_last, &l);
        if (rc == SQLITE_ROW)
            rc = run(BOUND(j, S_EVENT_FORGET, id));
        else if (rc == SQLITE_DONE)
            rc = SQLITE_OK;
    }
    return rc;
}

int
rk_journal_forget(struct rk_journal *j, const char *link, char end)
{
    int64_t no_last[2];
    int rc, err;

    if ((err = rk_journal_begin(j)) != RK_OK)
        return err;
    rc = find_end(j, link, end, no_last);
    if (rc == SQLITE_OK && no_last[0] != 0 && (rc = forget_events(j, no_last)) == SQLITE_OK)
        rc = run(BOUND(j, S_END_FORGET, no_last[0]));
    return rc == SQLITE_OK ? RK_OK : group_failed(j, rc);
}

uint64_t
rk_journal_damaged(const struct rk_journal *j)
{
    return j->damaged;
}
