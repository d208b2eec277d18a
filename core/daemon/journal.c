/* journal.c - what is in the journal: states, events, counters, and the groups that make them durable.
 *
 * Runs in the loop of rekeyd.  WAL with synchronous=FULL: a commit is one fsync, however many links are in the group.
 * The first error inside a group fails all of it, for the caller starts no effect of it then.  Events are appended in
 * one order for all links, and each names the one before it of its end, so that a group dirties a few pages however
 * many links are in it; an index or a place per link would dirty one page per event.  Rows are checked when they are
 * read: the disk is input like any other.
 */
#include "journal_file.h"

#include "journal_state.h"
#include "journal_sum.h"

#include "../base/log.h"
#include "../base/text.h"

#include <stdio.h>
#include <string.h>

#define PRUNE_EVERY 256   /* events between two deletions of old ones, of at most twice as many */
#define EVENT_NAME_MAX 32 /* [bytes] */

int
rk_journal_group_failed(struct rk_journal *j, int rc)
{
    if (j->failed == RK_OK) {
        j->failed = rk_journal_explain(j, rc, j->why, sizeof j->why);
        if (j->failed != RK_E_NOMEM && j->failed != RK_E_UNSAFE)
            j->failed = RK_E_IO;
    }
    return j->failed;
}

/* Nothing goes into this file any more, nor does the open group. */
static int
group_broken(struct rk_journal *j, const char *what)
{
    j->broken = true;
    j->failed = RK_E_UNSAFE;
    snprintf(j->why, sizeof j->why, "%.*s: %s", RK_TEXT_MAX - 60, j->path, what);
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

bool
rk_journal_text(sqlite3_stmt *s, int at, char *dst, size_t size)
{
    const char *text = (const char *)sqlite3_column_text(s, at);

    dst[0] = '\0';
    return sqlite3_column_type(s, at) == SQLITE_TEXT && text && rk_copy(dst, size, text) &&
           strlen(dst) == (size_t)sqlite3_column_bytes(s, at);
}

int
rk_journal_run(sqlite3_stmt *s)
{
    int rc = sqlite3_step(s);

    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

/* Of which all values are bound anew before it is run again: nothing reads the old ones, which may be gone by then. */
static int
run_bound(sqlite3_stmt *s)
{
    int rc = sqlite3_step(s);

    sqlite3_reset(s);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

/* Run a statement for the numbers in its first row; they stay as they are when there is no row. */
static int
run_row(sqlite3_stmt *s, int64_t *numbers, int n)
{
    int rc = sqlite3_step(s);

    for (int i = 0; i < n && rc == SQLITE_ROW; i++)
        numbers[i] = sqlite3_column_int64(s, i);
    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
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
    if (j->broken || !j->db) {
        return group_broken(j, "damaged, or not there any more");
    }
    rc = rk_journal_run(j->stmt[S_BEGIN]);
    return rc == SQLITE_OK ? RK_OK : rk_journal_group_failed(j, rc);
}

int
rk_journal_commit(struct rk_journal *j, char *why, size_t size)
{
    int rc = SQLITE_OK;

    if (!j->open)
        return RK_OK;
    if (!j->broken && !rk_journal_in_place(j)) /* what is written to it now, nobody will find */
        group_broken(j, "was removed or replaced while in use");
    if (j->failed == RK_OK && (rc = rk_journal_run(j->stmt[S_COMMIT])) != SQLITE_OK)
        rk_journal_group_failed(j, rc);
    j->open = false;
    if (j->failed == RK_OK) {
        j->hollow = false;
        return RK_OK;
    }
    j->epoch++; /* rows that the group has made are not there */
    snprintf(why, size, "%s", j->why);
    if (j->db && !sqlite3_get_autocommit(j->db)) /* some errors roll back by themselves */
        (void)rk_journal_run(j->stmt[S_ROLLBACK]);
    return j->failed;
}

/* ---- Where ends are ---- */

/* An end in the file. */
struct row {
    int64_t no; /* 0: none */
    struct rk_journal_tally tally;
};

/* What is counted of it is damaged: its history can still be found, by a look at all of them. */
static int
count_anew(struct rk_journal *j, const char *link, char end, struct row *row)
{
    j->damaged++;
    rk_log(RK_LOG_ERR, "ev=journal-row link=%s end=%c row=%lld res=protocol why=\"damaged: counters; they begin anew\"",
           link, end, (long long)row->no);
    return run_row(BOUND(j, S_END_LAST, row->no), &row->tally.last, 1);
}

static int
find_end(struct rk_journal *j, const char *link, char end, struct row *row)
{
    const char text[2] = {end, '\0'};
    sqlite3_stmt *s = bound_end(j, S_END, link, text);
    int rc = sqlite3_step(s);
    bool sound = true;

    *row = (struct row){0};
    if (rc == SQLITE_ROW) {
        int len = sqlite3_column_bytes(s, 1);
        const unsigned char *bytes = sqlite3_column_blob(s, 1);

        row->no = sqlite3_column_int64(s, 0);
        sound = sqlite3_column_type(s, 1) == SQLITE_BLOB &&
                (len == 0 || rk_journal_tally_get(bytes, (size_t)len, link, end, &row->tally));
    }
    sqlite3_reset(s);
    sqlite3_clear_bindings(s); /* text is of this call */
    if (!sound)
        return count_anew(j, link, end, row);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static int
make_end(struct rk_journal *j, const char *link, char end, struct row *row)
{
    const char text[2] = {end, '\0'};
    int rc = rk_journal_run(bound_end(j, S_END_NEW, link, text));

    row->no = sqlite3_last_insert_rowid(j->db);
    return rc == SQLITE_OK ? rk_journal_run(BOUND(j, S_END_EMPTY, row->no)) : rc;
}

/* Know where an end is; rows are made for it when there are none.  ret: SQLite's code */
static int
know(struct rk_journal *j, struct rk_journal_place *at, const char *link, char end)
{
    struct row row;
    int rc;

    if (at->no != 0 && at->epoch == j->epoch)
        return SQLITE_OK;
    rc = find_end(j, link, end, &row);
    if (rc == SQLITE_OK && row.no == 0)
        rc = make_end(j, link, end, &row);
    *at = (struct rk_journal_place){.no = row.no, .tally = row.tally, .epoch = j->epoch};
    return rc;
}

/* ---- State ---- */

/* Into its row: what is counted, and its state, if it is not NULL.  A row that is known and not there is damage. */
static int
put_row(struct rk_journal *j, const struct rk_journal_place *at, const char *link, char end,
        const struct rk_durable *state)
{
    unsigned char counted[RK_JOURNAL_TALLY_MAX], bytes[RK_JOURNAL_STATE_MAX];
    sqlite3_stmt *s = j->stmt[state ? S_PUT : S_NOTE];
    int rc;

    sqlite3_bind_int64(s, 1, at->no);
    sqlite3_bind_blob(s, 2, counted, (int)rk_journal_tally_put(&at->tally, link, end, counted), SQLITE_STATIC);
    if (state)
        sqlite3_bind_blob(s, 3, bytes, (int)rk_journal_state_put(state, bytes), SQLITE_STATIC);
    rc = run_bound(s);
    return rc == SQLITE_OK && sqlite3_changes(j->db) != 1 ? SQLITE_CORRUPT : rc;
}

int
rk_journal_put_at(struct rk_journal *j, struct rk_journal_place *at, const struct rk_durable *d)
{
    int rc, err;

    if (rk_journal_state_fault(d))
        return RK_E_CONTRACT;
    if ((err = rk_journal_begin(j)) != RK_OK)
        return err;
    rc = know(j, at, d->link, d->end);
    if (rc == SQLITE_OK)
        rc = put_row(j, at, d->link, d->end, d);
    return rc == SQLITE_OK ? RK_OK : rk_journal_group_failed(j, rc);
}

int
rk_journal_put(struct rk_journal *j, const struct rk_durable *d)
{
    struct rk_journal_place at = {0};

    return rk_journal_put_at(j, &at, d);
}

static bool
take_number(sqlite3_stmt *s, int at, uint64_t *out)
{
    *out = (uint64_t)sqlite3_column_int64(s, at);
    return sqlite3_column_type(s, at) == SQLITE_INTEGER;
}

/* One row of S_LOAD; ret: what is wrong with it, or NULL. */
static const char *
take_durable(sqlite3_stmt *s, struct rk_durable *d)
{
    char end[2] = "";
    bool ok;

    *d = (struct rk_durable){0};
    ok = rk_journal_text(s, 0, d->link, sizeof d->link);
    ok = rk_journal_text(s, 1, end, sizeof end) && ok;
    d->end = end[0];
    if (!ok || sqlite3_column_type(s, 2) != SQLITE_BLOB)
        return "type or length of a column";
    return rk_journal_state_get(sqlite3_column_blob(s, 2), (size_t)sqlite3_column_bytes(s, 2), d);
}

/* End of a loop over rows: err unless the rows ended with an error of the disk. */
static int
rows_end(struct rk_journal *j, int rc, int err)
{
    char why[RK_TEXT_MAX];

    if (rc == SQLITE_ROW || rc == SQLITE_DONE)
        return err;
    (void)rk_journal_explain(j, rc, why, sizeof why);
    rk_log(RK_LOG_ERR, "ev=journal-read res=io why=\"%s\"", why);
    return RK_E_IO;
}

int
rk_journal_load(struct rk_journal *j, int (*each)(const struct rk_durable *d, void *arg), void *arg)
{
    sqlite3_stmt *s = j->stmt[S_LOAD];
    struct rk_durable d;
    uint64_t before = j->damaged;
    int rc = SQLITE_DONE, err = RK_OK;

    if (!j->db || j->hollow) /* what it held is in the ends' memory, and goes in with the next group */
        return RK_E_IO;
    while (err == RK_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        const char *fault = take_durable(s, &d);

        if (!fault) {
            err = each(&d, arg);
            continue;
        }
        j->damaged++;
        rk_log(RK_LOG_ERR, "ev=journal-row link=%s end=%c row=%lld res=protocol why=\"damaged: %s; left out\"",
               d.link[0] ? d.link : "?", d.end ? d.end : '?', (long long)sqlite3_column_int64(s, 3), fault);
    }
    sqlite3_reset(s);
    err = rows_end(j, rc, err);
    return err == RK_OK && j->damaged > before ? RK_E_PROTOCOL : err;
}

/* ---- History ---- */

static const char *
key_of(const struct rk_journal_event *e)
{
    return e->key_id ? e->key_id : "";
}

static bool
id_ok(const char *id)
{
    return id[0] == '\0' || rk_key_id_ok(id);
}

/* Length of the reason as it is kept: readers of the history refuse half of a UTF-8 character. */
static size_t
why_len(const char *why)
{
    size_t len = strnlen(why, RK_TEXT_MAX - 1);

    if (why[len] != '\0')
        while (len > 0 && ((unsigned char)why[len] & 0xc0) == 0x80)
            len--;
    return len;
}

static int
put_event(struct rk_journal *j, const struct rk_journal_event *e, const struct rk_journal_place *at)
{
    struct rk_journal_row r = rk_journal_row(j->stmt[S_EVENT_PUT]);
    const char end[2] = {e->end, '\0'}, *why = e->why ? e->why : "";

    r.sum = rk_journal_sum_text(r.sum, e->link, strlen(e->link));
    r.sum = rk_journal_sum_text(r.sum, end, 1);
    rk_journal_row_int(&r, ++j->last_id);
    rk_journal_row_int(&r, at->tally.last);
    rk_journal_row_int(&r, (int64_t)e->seq);
    rk_journal_row_text(&r, e->event, strlen(e->event));
    rk_journal_row_text(&r, key_of(e), strlen(key_of(e)));
    rk_journal_row_int(&r, e->result);
    rk_journal_row_text(&r, why, why_len(why));
    rk_journal_row_int(&r, e->took_ms);
    rk_journal_row_int(&r, e->at.unix_ms);
    sqlite3_bind_int64(r.s, 10, (int64_t)r.sum);
    sqlite3_bind_int64(r.s, 11, at->no);
    return run_bound(r.s);
}

/* Delete what is beyond the bound from the old end of all events, in one short range. */
static int
prune(struct rk_journal *j)
{
    int64_t oldest_ends[2] = {0, 0}, most, upto;
    int rc = run_row(j->stmt[S_EVENT_OLDEST], oldest_ends, 2);

    most = oldest_ends[1] * RK_JOURNAL_EVENTS_PER_END; /* numbers of ends are dense: the highest tells how many */
    if (most < RK_JOURNAL_EVENTS_MIN)
        most = RK_JOURNAL_EVENTS_MIN;
    if (most > RK_JOURNAL_EVENTS_MAX)
        most = RK_JOURNAL_EVENTS_MAX;
    upto = j->last_id - most;
    if (upto > oldest_ends[0] + 2 * PRUNE_EVERY)
        upto = oldest_ends[0] + 2 * PRUNE_EVERY;
    return rc == SQLITE_OK && upto >= oldest_ends[0] ? rk_journal_run(BOUND(j, S_EVENT_PRUNE, upto)) : rc;
}

static int
append(struct rk_journal *j, struct rk_journal_place *at, const struct rk_journal_event *e, bool put_follows)
{
    int rc = know(j, at, e->link, e->end);

    if (rc == SQLITE_OK)
        rc = put_event(j, e, at);
    at->tally.last = j->last_id;
    at->tally.done += strcmp(e->event, "rotated") == 0;
    at->tally.failed += strcmp(e->event, "burnt") == 0 || strcmp(e->event, "failed") == 0;
    if (rc == SQLITE_OK && !put_follows)
        rc = put_row(j, at, e->link, e->end, NULL);
    return rc == SQLITE_OK && j->last_id % PRUNE_EVERY == 0 ? prune(j) : rc;
}

int
rk_journal_note_at(struct rk_journal *j, struct rk_journal_place *at, const struct rk_journal_event *e,
                   bool put_follows)
{
    int rc, err;

    if (!rk_name_ok(e->link, RK_LINK_MAX) || (e->end != 'a' && e->end != 'b') || !e->event ||
        !rk_name_ok(e->event, EVENT_NAME_MAX) || !id_ok(key_of(e)))
        return RK_E_CONTRACT;
    if ((err = rk_journal_begin(j)) != RK_OK)
        return err;
    rc = append(j, at, e, put_follows);
    return rc == SQLITE_OK ? RK_OK : rk_journal_group_failed(j, rc);
}

int
rk_journal_note(struct rk_journal *j, const struct rk_journal_event *e)
{
    struct rk_journal_place at = {0};

    return rk_journal_note_at(j, &at, e, false);
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
    bool ok = take_number(s, 1, &l->e.seq) && rk_journal_text(s, 2, l->event, sizeof l->event) &&
              rk_journal_text(s, 3, l->key_id, sizeof l->key_id) && take_number(s, 4, &result) &&
              rk_journal_text(s, 5, l->why, sizeof l->why) && take_number(s, 6, &took) && take_number(s, 7, &at);

    l->e.event = l->event;
    l->e.key_id = l->key_id;
    l->e.why = l->why;
    l->e.result = (int)(int64_t)result;
    l->e.took_ms = (int64_t)took;
    l->e.at.unix_ms = (int64_t)at;
    return ok && sqlite3_column_int(s, 8) == 1 && rk_name_ok(l->event, EVENT_NAME_MAX) && id_ok(l->key_id);
}

/* Read the newest event of an end, and go on to the one before it (0: there is none).
 * in:  l  its link and end are set
 * ret: SQLITE_ROW: l is it; SQLITE_DONE: it was pruned, or was damaged; else an error. */
static int
read_line(struct rk_journal *j, struct row *row, struct line *l)
{
    const char end[2] = {l->e.end, '\0'};
    sqlite3_stmt *s = BOUND(j, S_EVENT, row->tally.last, row->no);
    int64_t before = 0;
    int rc;

    bind_text(s, 3, l->e.link);
    bind_text(s, 4, end);
    rc = sqlite3_step(s);
    if (rc == SQLITE_ROW) {
        before = sqlite3_column_int64(s, 0);
        if (!take_line(s, l)) {
            j->damaged++;
            rk_log(RK_LOG_ERR, "ev=journal-row link=%s end=%c row=%lld table=events res=protocol "
                   "why=\"damaged; left out\"", l->e.link, l->e.end, (long long)row->tally.last);
            rc = SQLITE_DONE;
        }
    }
    row->tally.last = before < row->tally.last ? before : 0; /* always older: a damaged file leads in no circle */
    sqlite3_reset(s);
    sqlite3_clear_bindings(s); /* end is of this call */
    return rc;
}

int
rk_journal_history(struct rk_journal *j, const char *link, uint32_t limit,
                   int (*each)(const struct rk_journal_event *e, void *arg), void *arg)
{
    struct row ends[2] = {{0}, {0}};
    uint64_t before = j->damaged;
    struct line l = {0};
    int rc = SQLITE_OK, err = RK_OK;

    if (!j->db)
        return RK_E_IO;
    if (rk_copy(l.e.link, sizeof l.e.link, link) && (rc = find_end(j, link, 'a', &ends[0])) == SQLITE_OK)
        rc = find_end(j, link, 'b', &ends[1]);
    if (rc == SQLITE_OK)
        rc = SQLITE_DONE;
    while (limit > 0 && err == RK_OK && (rc == SQLITE_ROW || rc == SQLITE_DONE)) {
        int newer = ends[1].tally.last > ends[0].tally.last;

        if (ends[newer].tally.last <= 0)
            break;
        l.e.end = newer ? 'b' : 'a';
        if ((rc = read_line(j, &ends[newer], &l)) != SQLITE_ROW)
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
    struct row row = {0};
    int rc = j->db ? find_end(j, link, end, &row) : SQLITE_IOERR;

    *done = row.tally.done;
    *failed = row.tally.failed;
    return rows_end(j, rc == SQLITE_OK ? SQLITE_DONE : rc, RK_OK);
}

/* Delete an end's events, from the newest to the oldest. */
static int
forget_events(struct rk_journal *j, const char *link, char end, struct row *row)
{
    struct line l = {.e = {.end = end}};
    int rc = rk_copy(l.e.link, sizeof l.e.link, link) ? SQLITE_OK : SQLITE_MISUSE; /* fits: it was found */

    while (rc == SQLITE_OK && row->tally.last > 0) {
        int64_t id = row->tally.last;

        rc = read_line(j, row, &l);
        if (rc == SQLITE_ROW)
            rc = rk_journal_run(BOUND(j, S_EVENT_FORGET, id));
        else if (rc == SQLITE_DONE)
            rc = SQLITE_OK;
    }
    return rc;
}

int
rk_journal_forget(struct rk_journal *j, const char *link, char end)
{
    struct row row;
    int rc, err;

    if ((err = rk_journal_begin(j)) != RK_OK)
        return err;
    j->epoch++;
    rc = find_end(j, link, end, &row);
    if (rc == SQLITE_OK && row.no != 0 && (rc = forget_events(j, link, end, &row)) == SQLITE_OK)
        rc = rk_journal_run(BOUND(j, S_CHANKEY_FORGET, row.no));
    if (rc == SQLITE_OK && row.no != 0)
        rc = rk_journal_run(BOUND(j, S_STATE_FORGET, row.no));
    if (rc == SQLITE_OK && row.no != 0)
        rc = rk_journal_run(BOUND(j, S_END_FORGET, row.no));
    return rc == SQLITE_OK ? RK_OK : rk_journal_group_failed(j, rc);
}

uint64_t
rk_journal_damaged(const struct rk_journal *j)
{
    return j->damaged;
}

bool
rk_journal_hollow(const struct rk_journal *j)
{
    return j->hollow;
}
